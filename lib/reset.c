/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>

#include "internal.h"
#include "peer.h"
#include "udev.h"
#include "uapi/vfio.h"

/* The kernel gives up at once when it cannot lock the device; a second of trying is more than it needs. */
#define TRIES    20
#define PAUSE_MS 50

EXPORT int iommufd_device_reset(struct iommufd_device *dev)
{
	int ret = ifd_device_ready(dev, "reset"), lent;

	if (ret)
		return ret;
	if (!(dev->flags & VFIO_DEVICE_FLAGS_RESET))
		return ifd_fail(-EOPNOTSUPP, "reset it by its own registers, or together with its bus",
				"reset %s: it cannot be reset by itself", dev->found->name);

	for (int i = 0; i < TRIES; i++) {
		ret = ifd_sys_ioctl(&dev->ctx->log, dev->fd, VFIO_DEVICE_RESET, NULL);
		if (ret != -EAGAIN)
			break;
		ifd_sys_sleep_ms(PAUSE_MS);
	}
	lent = ifd_peers_restore(dev); /* one that fails may have begun */
	return ret ? ifd_fail(ret, ret == -EAGAIN ? "something else holds the device: try again later" : NULL,
			      "reset %s", dev->found->name)
		   : lent;
}
