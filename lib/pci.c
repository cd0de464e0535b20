/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>

#include "internal.h"
#include "pci.h"
#include "udev.h"
#include "uapi/vfio.h"

#define PCI_COMMAND        0x04
#define PCI_COMMAND_MEMORY 0x0002
#define PCI_COMMAND_MASTER 0x0004

int ifd_device_pci(const struct iommufd_device *dev)
{
	int ret = ifd_device_ready(dev, "configuration space");

	if (ret || dev->flags & VFIO_DEVICE_FLAGS_PCI)
		return ret;
	return ifd_fail(-EOPNOTSUPP, "it is no PCI device", "configuration space of %s", dev->found->name);
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

static int set_command(struct iommufd_device *dev, uint16_t bit, bool on)
{
	uint16_t command;
	int ret = iommufd_pci_config_read16(dev, PCI_COMMAND, &command);

	return ret ? ret
		   : iommufd_pci_config_write16(dev, PCI_COMMAND, (uint16_t)(on ? command | bit : command & ~bit));
}

EXPORT int iommufd_pci_set_master(struct iommufd_device *dev, bool on)
{
	return set_command(dev, PCI_COMMAND_MASTER, on);
}

EXPORT int iommufd_pci_set_memory(struct iommufd_device *dev, bool on)
{
	return set_command(dev, PCI_COMMAND_MEMORY, on);
}

void ifd_pci_quiet(struct iommufd_device *dev)
{
	if (dev->flags & VFIO_DEVICE_FLAGS_PCI && iommufd_pci_set_master(dev, false))
		ifd_warn(&dev->ctx->log, "%s may still be a bus master: %s", dev->found->name, iommufd_errmsg());
}
