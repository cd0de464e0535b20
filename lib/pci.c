/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <endian.h>
#include <errno.h>

#include "internal.h"
#include "pci-regs.h"
#include "pci.h"
#include "peer.h"
#include "udev.h"
#include "uapi/vfio.h"

int ifd_device_pci(const struct iommufd_device *dev)
{
	int ret = ifd_device_ready(dev, "configuration space");

	if (ret || dev->flags & VFIO_DEVICE_FLAGS_PCI)
		return ret;
	return ifd_fail(-EOPNOTSUPP, "it is no PCI device", "configuration space of %s", dev->found->name);
}

/* Of the status, which is the device's own and not the kernel's copy, some bits are never set. */
#define NOBODY_ANSWERS 0xffff

/* One that is merely asked for goes on working, so its end in sysfs is not enough. */
int ifd_pci_check_there(struct iommufd_device *dev, const char *what)
{
	uint16_t status = 0;
	uint64_t at;

	if (!(dev->flags & VFIO_DEVICE_FLAGS_PCI) || !ifd_udev_leaves(dev->found))
		return 0;
	if (!ifd_region_at(dev, IOMMUFD_PCI_CONFIG, PCI_STATUS, sizeof(status), VFIO_REGION_INFO_FLAG_READ, &at))
		ifd_sys_pread(dev->fd, &status, sizeof(status), at);
	return status == NOBODY_ANSWERS ? ifd_fail(-EIO, "it was taken away: free it", "%s %s", what, dev->found->name)
					: 0;
}

EXPORT int iommufd_pci_config_read(struct iommufd_device *dev, uint64_t offset, void *buf, size_t len)
{
	int ret = ifd_device_pci(dev);

	return ret ? ret : iommufd_device_region_read(dev, IOMMUFD_PCI_CONFIG, offset, buf, len);
}

EXPORT int iommufd_pci_config_write(struct iommufd_device *dev, uint64_t offset, const void *buf, size_t len)
{
	int ret = ifd_device_pci(dev);

	return ret ? ret : iommufd_device_region_write(dev, IOMMUFD_PCI_CONFIG, offset, buf, len);
}

static bool reaches_command(uint64_t offset, size_t len)
{
	return offset < PCI_COMMAND + 2 && (offset >= PCI_COMMAND || len > PCI_COMMAND - offset);
}

int ifd_pci_write(struct iommufd_device *dev, uint64_t offset, const void *buf, size_t len)
{
	int ret;

	pthread_mutex_lock(&dev->command);
	dev->commanded += reaches_command(offset, len);
	ret = ifd_region_write(dev, IOMMUFD_PCI_CONFIG, offset, buf, len);
	pthread_mutex_unlock(&dev->command);
	return ret;
}

static int set_command(struct iommufd_device *dev, uint16_t bit, bool on)
{
	bool renews = false;
	uint16_t command;
	int ret;

	pthread_mutex_lock(&dev->command);
	ret = iommufd_pci_config_read(dev, PCI_COMMAND, &command, sizeof(command));
	if (!ret) {
		command = on ? command | htole16(bit) : command & (uint16_t)~htole16(bit);
		renews = ifd_peers_due(dev, PCI_COMMAND, &command, sizeof(command));
		dev->commanded++;
		ret = ifd_region_write(dev, IOMMUFD_PCI_CONFIG, PCI_COMMAND, &command, sizeof(command));
	}
	pthread_mutex_unlock(&dev->command);
	return !ret && renews ? ifd_peers_restore(dev) : ret;
}

static int change_command(struct iommufd_device *dev, uint16_t bit, bool on)
{
	int ret = ifd_pci_check_there(dev, "change the command register of");

	return ret ? ret : set_command(dev, bit, on);
}

EXPORT int iommufd_pci_set_master(struct iommufd_device *dev, bool on)
{
	return change_command(dev, PCI_COMMAND_MASTER, on);
}

EXPORT int iommufd_pci_set_memory(struct iommufd_device *dev, bool on)
{
	return change_command(dev, PCI_COMMAND_MEMORY, on);
}

void ifd_pci_quiet(struct iommufd_device *dev)
{
	if (dev->flags & VFIO_DEVICE_FLAGS_PCI && set_command(dev, PCI_COMMAND_MASTER, false))
		ifd_warn(&dev->ctx->log, "%s may still be a bus master: %s", dev->found->name, iommufd_errmsg());
}
