/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <endian.h>
#include <errno.h>
#include <stdio.h>

#include "internal.h"
#include "pci-regs.h"
#include "peer.h"
#include "reset.h"
#include "udev.h"
#include "uapi/vfio.h"

static int read_command(struct iommufd_device *dev, uint16_t *command)
{
	return iommufd_pci_config_read(dev, PCI_COMMAND, command, sizeof(*command));
}

int ifd_reset_save(struct iommufd_device *dev, struct ifd_saved *saved)
{
	int ret = 0;

	*saved = (struct ifd_saved){ .attachment = dev->attachment };
	if (!(dev->flags & VFIO_DEVICE_FLAGS_PCI))
		return 0;
	pthread_mutex_lock(&dev->command);
	saved->commanded = dev->commanded;
	ret = read_command(dev, &saved->command);
	pthread_mutex_unlock(&dev->command);
	return ret;
}

/* dev->command is held. What the caller has said since stands. */
static int restore_command(struct iommufd_device *dev, const struct ifd_saved *saved)
{
	const uint16_t ours = htole16(PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	uint16_t now, lost;
	int ret;

	if (dev->commanded != saved->commanded)
		return 0;
	ret = read_command(dev, &now);
	lost = ret ? 0 : saved->command & (uint16_t)~now & ours;
	if (!lost)
		return ret;
	now |= lost;
	return ifd_region_write(dev, IOMMUFD_PCI_CONFIG, PCI_COMMAND, &now, sizeof(now));
}

/* All other errors are about locks, rights, memory or what was asked for, and come before. */
static bool may_have_begun(int reset)
{
	return !reset || reset == -ENOTTY || reset == -EIO || reset == -ETIMEDOUT;
}

/* The kernel restores configuration space by itself, unless a device has a way of its own to be reset. */
int ifd_reset_restore(struct iommufd_device *dev, const struct ifd_saved *saved, int reset)
{
	int ret = 0, armed = 0;

	if (dev->flags & VFIO_DEVICE_FLAGS_PCI) {
		pthread_mutex_lock(&dev->command);
		ret = restore_command(dev, saved);
		pthread_mutex_unlock(&dev->command);
	}
	if (may_have_begun(reset))
		armed = ifd_irq_rearm(dev);
	return ret ? ret : armed;
}

int ifd_reset_alone(struct iommufd_device *dev)
{
	int ret = 0;

	for (int i = 0; i < IFD_RESET_TRIES; i++) {
		ret = ifd_sys_ioctl(&dev->ctx->log, dev->fd, VFIO_DEVICE_RESET, NULL);
		if (ret != -EAGAIN)
			break;
		ifd_sys_sleep_ms(IFD_RESET_PAUSE_MS);
	}
	return ret ? ifd_fail(ret,
			      ret != -EAGAIN                ? NULL
			      : ifd_udev_leaves(dev->found) ? "it is being taken away: free it"
							    : "something else holds the device: try again later",
			      "reset %s", dev->found->name)
		   : 0;
}

int ifd_device_reset(struct iommufd_device *dev)
{
	char hint[IFD_HINT_MAX] = "";
	struct ifd_saved saved;
	struct ifd_words words;
	int ret = ifd_reset_save(dev, &saved), back, lent;

	if (ret)
		return ret;
	ret = ifd_reset_alone(dev);
	ifd_words_keep(&words);
	back = ifd_reset_restore(dev, &saved, ret);
	lent = ifd_peers_restore(dev);
	back = back ? back : lent;
	if (!ret && back) {
		ifd_hint(hint, "%s", iommufd_errmsg());
		return ifd_fail(back, hint, "reset %s: it was reset, but not all is as it was", dev->found->name);
	}
	if (back)
		ifd_error(&dev->ctx->log, "after a reset that failed: %s", iommufd_errmsg());
	if (ret)
		ifd_words_restore(&words);
	return ret;
}

EXPORT int iommufd_device_reset(struct iommufd_device *dev)
{
	int ret = ifd_device_ready(dev, "reset");

	if (ret)
		return ret;
	if (!(dev->flags & VFIO_DEVICE_FLAGS_RESET))
		return ifd_fail(-EOPNOTSUPP, "reset it by its own registers, or with iommufd_pci_hot_reset()",
				"reset %s: it cannot be reset by itself", dev->found->name);
	return ifd_device_reset(dev);
}
