/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Physical and virtual functions, as sysfs has them. Internal. */
#ifndef IFD_SRIOV_H
#define IFD_SRIOV_H

#include <stdbool.h>
#include <stdint.h>

#include <libiommufd/pci.h>

struct ifd_found;

/* The device that a link in a device's directory leads to: "physfn", or "virtfn0". -ENOENT for none; no words. */
int ifd_sriov_link(const struct ifd_found *found, const char *link, char name[IOMMUFD_PCI_NAME_SIZE]);

/* 1 and the physical function of a virtual one, or 0 for any other device; or -errno without words of use. */
int ifd_sriov_pf(const struct ifd_found *found, struct ifd_found **pf);

/* How many virtual functions a device can have; 0 for what is no physical one, or -errno without words. */
int ifd_sriov_total(const struct ifd_found *found, uint32_t *total);

/*
 * Whether somebody uses a virtual function of a device, and then appends to a hint which one and who. `by_vfio`: what
 * drivers of the kernel have does not count.
 */
bool ifd_sriov_in_use(const struct ifd_found *pf, bool by_vfio, char *hint);

#endif
