/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "explain.h"
#include "holders.h"
#include "internal.h"
#include "udev.h"

#define SIBLINGS_SHOWN    6
#define CAP_SYS_RAWIO_BIT 17     /* capability.h */
#define PCI_BRIDGE        0x0604 /* class and subclass */

void ifd_hint_iommu(char *hint, const struct ifd_found *found)
{
	if (found->noiommu)
		ifd_hint(hint, "it is bound to VFIO without an IOMMU: switch the IOMMU on; or let the device reach all "
			       "memory, which is unsafe, by the context's flag IOMMUFD_CTX_NOIOMMU");
	else if (found->group < 0)
		ifd_hint(hint, "it has no IOMMU group: switch the IOMMU on, in the firmware, and for Intel with "
			       "intel_iommu=on on the kernel's command line");
}

void ifd_hint_bind(char *hint, const struct ifd_found *found)
{
	if (!found->pci_id || found->pci_class >> 8 == PCI_BRIDGE) {
		ifd_hint(hint, found->pci_id ? "a bridge cannot be bound to vfio-pci" : "bind it to a VFIO driver");
		return;
	}
	ifd_hint(hint, "bind it to vfio-pci, as root, unless the system itself needs it: ");
	if (ifd_sys_access("/sys/bus/pci/drivers/vfio-pci") == -ENOENT)
		ifd_hint(hint, "modprobe vfio-pci; ");
	if (found->driver)
		ifd_hint(hint, "echo %s > %s/driver/unbind; ", found->name, found->path);
	ifd_hint(hint, "echo vfio-pci > %s/driver_override; echo %s > /sys/bus/pci/drivers_probe", found->path,
		 found->name);
}

/* Drivers that leave a device's DMA alone do not mind who has the rest of the group. */
static bool blocks(const struct ifd_found *other, const struct ifd_found *found)
{
	return strcmp(other->name, found->name) != 0 && other->driver && !other->vfio &&
	       strcmp(other->driver, "pci-stub") != 0 && strcmp(other->driver, "pcieport") != 0;
}

bool ifd_hint_siblings(char *hint, const struct ifd_found *found)
{
	struct ifd_found_list list;
	size_t count = 0;

	if (found->group < 0 || ifd_udev_group(found->group, &list))
		return false;
	for (size_t i = 0; i < list.count; i++)
		if (blocks(list.devices[i], found) && count++ < SIBLINGS_SHOWN)
			ifd_hint(hint, "%s%s is bound to %s", count > 1 ? ", " : "", list.devices[i]->name,
				 list.devices[i]->driver);
	ifd_found_list_free(&list);
	if (count > SIBLINGS_SHOWN)
		ifd_hint(hint, " and %zu more", count - SIBLINGS_SHOWN);
	if (count)
		ifd_hint(hint, ": all devices of IOMMU group %d must be bound to vfio-pci or to no driver",
			 found->group);
	return count;
}

int ifd_unsafe_interrupts(const char *module)
{
	char path[96], value[8];

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/allow_unsafe_interrupts", module);
	return ifd_sys_read_text(path, value, sizeof(value)) < 1 ? -ENOENT : *value == 'Y' || *value == '1';
}

static void hint_unsafe_interrupts(char *hint, const char *module)
{
	int allowed = ifd_unsafe_interrupts(module);

	if (allowed < 0) {
		ifd_hint(hint, "interrupts may not be isolated, see %s's parameter allow_unsafe_interrupts", module);
		return;
	}
	ifd_hint(hint,
		 allowed ? "%s's parameter allow_unsafe_interrupts is on, so that is not it; nobody that this process "
			   "can see has the group"
			 : "%s's parameter allow_unsafe_interrupts is off, and no driver or process that can be seen "
			   "has "
			   "the group: its interrupts are not isolated. Switch interrupt remapping on, or that "
			   "parameter "
			   "if you trust the device",
		 module);
}

bool ifd_may_do_without_iommu(void)
{
	return ifd_sys_capable(CAP_SYS_RAWIO_BIT);
}

void ifd_hint_rawio(char *hint)
{
	ifd_hint(hint, "a device without an IOMMU can be opened with CAP_SYS_RAWIO only: run as root");
}

void ifd_hint_owner(char *hint, const struct ifd_found *found, const char *module, int but)
{
	if (found->noiommu && !ifd_may_do_without_iommu()) {
		ifd_hint_rawio(hint);
		return;
	}
	if (ifd_hint_siblings(hint, found))
		return;
	if (!ifd_hint_holders(hint, found, but)) {
		hint_unsafe_interrupts(hint, module);
		return;
	}
	/* Who has it open need not be who owns it: then it is the interrupts. */
	if (!ifd_unsafe_interrupts(module))
		ifd_hint(hint,
			 "; or its interrupts are not isolated, and %s's parameter allow_unsafe_interrupts is off",
			 module);
}

void ifd_hint_busy(char *hint, const struct ifd_found *found, int but)
{
	if (ifd_hint_holders(hint, found, but))
		ifd_hint(hint, ": let only one program, by one way, use it");
	else
		ifd_hint(
			hint,
			"it or IOMMU group %d is in use, by nobody that this process can see: look as root, with fuser "
			"-v /dev/vfio/* /dev/vfio/devices/*",
			found->group);
}

void ifd_hint_gone(char *hint, const struct ifd_found *found)
{
	struct ifd_found *now;

	if (ifd_udev_find(found->path, &now)) {
		ifd_hint(hint, "it is not there any more");
		return;
	}
	if (now->vfio) {
		ifd_hint(hint, "it was taken from VFIO and given back: free it and open it anew");
	} else {
		ifd_hint(hint, "it is now bound to %s: ", now->driver ? now->driver : "no driver");
		ifd_hint_bind(hint, now);
	}
	ifd_found_free(now);
}
