/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What is found in configuration space, with the drive, which has MSI-X. */
#include "acts.h"
#include "door.h"

static void reattach(struct stage *stage)
{
	ok(iommufd_device_detach(stage->bed.dev));
	ok(iommufd_device_attach(stage->bed.dev, stage->bed.ioas));
}

static int read8(struct stage *stage)
{
	return iommufd_pci_config_read8(stage->bed.dev, 0x0e, stage->out.bytes);
}

static int read16(struct stage *stage)
{
	return iommufd_pci_config_read16(stage->bed.dev, 0, (uint16_t *)&stage->out.number);
}

static int read32(struct stage *stage)
{
	return iommufd_pci_config_read32(stage->bed.dev, 0, &stage->out.on);
}

static int write8(struct stage *stage)
{
	return iommufd_pci_config_write8(stage->bed.dev, 0x3c, 7);
}

static int write16(struct stage *stage)
{
	return iommufd_pci_config_write16(stage->bed.dev, 0x3c, 7);
}

static int write32(struct stage *stage)
{
	return iommufd_pci_config_write32(stage->bed.dev, 0x3c, 7);
}

static int find_cap(struct stage *stage)
{
	return iommufd_pci_find_cap(stage->bed.dev, 0x11, 0, &stage->out.on);
}

/* No emulated device has one at hand on every machine, so the chain is walked for what is not there. */
static int find_ext_cap(struct stage *stage)
{
	int ret = iommufd_pci_find_ext_cap(stage->bed.dev, 0xfffe, 0, &stage->out.on);

	return ret == -ENOENT ? 0 : ret;
}

static int bar_info(struct stage *stage)
{
	return iommufd_pci_bar_info(stage->bed.dev, 0, &stage->out.bar);
}

static int msix_info(struct stage *stage)
{
	return iommufd_pci_msix_info(stage->bed.dev, &stage->out.msix);
}

static int set_memory(struct stage *stage)
{
	return iommufd_pci_set_memory(stage->bed.dev, false);
}

static void memory_on(struct stage *stage)
{
	ok(iommufd_pci_set_memory(stage->bed.dev, true));
	reattach(stage);
}

#define DRIVE(call, undoes) NEEDS_ATTACHED, call, .undo = undoes, .address = NVME

#define WRITES .survives = SURVIVES(LOOKS_WHETHER_THERE)

const struct act pci_acts[] = {
	{ "iommufd_pci_config_read8", DRIVE(read8, reattach) },
	{ "iommufd_pci_config_read16", DRIVE(read16, reattach) },
	{ "iommufd_pci_config_read32", DRIVE(read32, reattach) },
	{ "iommufd_pci_config_write8", DRIVE(write8, reattach), WRITES },
	{ "iommufd_pci_config_write16", DRIVE(write16, reattach), WRITES },
	{ "iommufd_pci_config_write32", DRIVE(write32, reattach), WRITES },
	{ "iommufd_pci_find_cap", DRIVE(find_cap, reattach) },
	{ "iommufd_pci_find_ext_cap", DRIVE(find_ext_cap, reattach) },
	{ "iommufd_pci_bar_info", DRIVE(bar_info, reattach), .size = sizeof(struct iommufd_pci_bar) },
	{ "iommufd_pci_msix_info", DRIVE(msix_info, reattach), .size = sizeof(struct iommufd_pci_msix) },
	{ "iommufd_pci_set_memory", DRIVE(set_memory, memory_on), WRITES },
	{ .name = NULL },
};
