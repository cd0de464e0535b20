/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* iommufd, with a device that somebody else has bound: its number is known, and how that one attaches it. */
#include <errno.h>

#include "internal.h"
#include "udev.h"
#include "way.h"

static int id_open(struct iommufd_device *dev)
{
	(void)dev;
	return 0;
}

static void id_close(struct iommufd_device *dev)
{
	(void)dev;
}

/* What the kernel has for errnos; a callback answers as a call of the library would. */
#define MAX_ERRNO 4095

static int answer(int ret)
{
	return ret > 0 || ret < -MAX_ERRNO ? -EPROTO : ret;
}

static int id_attach(struct iommufd_device *dev, uint32_t id)
{
	return dev->calls.attach ? answer(dev->calls.attach(dev->calls.data, id)) : -EOPNOTSUPP;
}

static void id_detach(struct iommufd_device *dev)
{
	int ret = dev->calls.detach(dev->calls.data);

	if (ret)
		ifd_error(&dev->ctx->log, "detaching %s: %s", dev->found->name, IFD_STRERROR(answer(ret)));
}

static int id_pasid_attach(struct iommufd_device *dev, uint32_t pasid, uint32_t id)
{
	return dev->calls.pasid_attach ? answer(dev->calls.pasid_attach(dev->calls.data, pasid, id)) : -EOPNOTSUPP;
}

static int id_pasid_detach(struct iommufd_device *dev, uint32_t pasid)
{
	return answer(dev->calls.pasid_detach(dev->calls.data, pasid));
}

const struct ifd_way ifd_by_id = {
	.open = id_open,
	.close = id_close,
	.tables = true,
	.attach = id_attach,
	.detach = id_detach,
	.replace = id_attach,
	.pasid_attach = id_pasid_attach,
	.pasid_detach = id_pasid_detach,
};
