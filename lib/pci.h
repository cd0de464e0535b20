/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the files about PCI share. Internal. */
#ifndef IFD_PCI_H
#define IFD_PCI_H

#include <stddef.h>
#include <stdint.h>

struct iommufd_device;

/* 0 when it is one, and attached; else -EOPNOTSUPP or as ifd_device_ready(), with words. */
int ifd_device_pci(const struct iommufd_device *dev);

/*
 * -EIO with words, that begin with `what`, for an attached device that was pulled out; 0 for what is no PCI device, and
 * where it is not known. One system call as long as nobody takes it away; of a PCI device then one access more.
 */
int ifd_pci_check_there(struct iommufd_device *dev, const char *what);

/* A write to configuration space for the caller, without what the public call does afterwards. With words. */
int ifd_pci_write(struct iommufd_device *dev, uint64_t offset, const void *buf, size_t len);

#endif
