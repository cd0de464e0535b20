/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What configuration space tells: capabilities, BARs, the MSI-X table. None of it is believed. */
#include <endian.h>
#include <errno.h>

#include "internal.h"
#include "pci-regs.h"
#include "pci.h"
#include "udev.h"

#define PCI_STATUS_CAPS     0x10
#define PCI_BAR             0x10
#define PCI_CAPS            0x34
#define PCI_FIRST_CAP       0x40
#define PCI_SPACE           0x100u
#define PCI_EXPRESS_SPACE   0x1000u
#define PCI_CAP_MSIX        0x11
#define PCI_BARS            6u
#define PCI_BAR_IO          0x1u
#define PCI_BAR_WIDTH       0x6u
#define PCI_BAR_WIDTH_64    0x4u
#define PCI_BAR_PREFETCH    0x8u
#define MSIX_CONTROL        2
#define MSIX_TABLE          4
#define MSIX_PBA            8
#define MSIX_SIZE           12u
#define MSIX_CONTROL_LENGTH 0x7ffu
#define MSIX_BAR            0x7u

/* ---- Numbers ---- */

static int check_aligned(const struct iommufd_device *dev, uint32_t offset, uint32_t size)
{
	return offset % size ? ifd_fail(-EINVAL, "numbers are at multiples of their size",
					"%u bytes at offset 0x%x of the configuration space of %s", size, offset,
					dev->found->name)
			     : 0;
}

#define CONFIG_NUMBER(bits, from_bus, to_bus)                                                                      \
	EXPORT int iommufd_pci_config_read##bits(struct iommufd_device *dev, uint32_t offset, uint##bits##_t *out) \
	{                                                                                                          \
		uint##bits##_t value;                                                                              \
		int ret = check_aligned(dev, offset, (bits) / 8);                                                  \
                                                                                                                   \
		if (!ret)                                                                                          \
			ret = iommufd_pci_config_read(dev, offset, &value, sizeof(value));                         \
		if (!ret)                                                                                          \
			*out = from_bus(value);                                                                    \
		return ret;                                                                                        \
	}                                                                                                          \
                                                                                                                   \
	EXPORT int iommufd_pci_config_write##bits(struct iommufd_device *dev, uint32_t offset, uint##bits##_t in)  \
	{                                                                                                          \
		uint##bits##_t value = to_bus(in);                                                                 \
		int ret = check_aligned(dev, offset, (bits) / 8);                                                  \
                                                                                                                   \
		return ret ? ret : iommufd_pci_config_write(dev, offset, &value, sizeof(value));                   \
	}

#define AS_IT_IS(byte) (byte)

CONFIG_NUMBER(8, AS_IT_IS, AS_IT_IS)
CONFIG_NUMBER(16, le16toh, htole16)
CONFIG_NUMBER(32, le32toh, htole32)

/* ---- Capabilities ---- */

/*
 * A walk along a chain. No chain of a space has more links than the space has room for: that is how one without an end
 * is noticed.
 */
struct walk {
	struct iommufd_device *dev;
	uint32_t id, after;
	uint32_t low, high; /* where a capability may begin, the last place included */
	int (*step)(const struct walk *walk, uint32_t at, uint32_t *id, uint32_t *next);
	const char *kind;
};

static int step_cap(const struct walk *walk, uint32_t at, uint32_t *id, uint32_t *next)
{
	uint16_t header;
	int ret = iommufd_pci_config_read16(walk->dev, at, &header);

	if (ret)
		return ret;
	*id = header & 0xff;
	*next = (header >> 8) & 0xfcu;
	return 0;
}

static int step_ext_cap(const struct walk *walk, uint32_t at, uint32_t *id, uint32_t *next)
{
	uint32_t header;
	int ret = iommufd_pci_config_read32(walk->dev, at, &header);

	if (ret)
		return ret;
	*id = header & 0xffff;
	*next = (header >> 20) & 0xffcu;
	return 0;
}

static int none(const struct walk *walk)
{
	return ifd_fail(-ENOENT, walk->after ? "that was the last one" : "the device cannot do what it is about",
			"%s 0x%02x of %s", walk->kind, walk->id, walk->dev->found->name);
}

static int check_walk(const struct walk *walk)
{
	return walk->id ? ifd_device_pci(walk->dev)
			: ifd_fail(-EINVAL, "0 stands for nothing", "%s 0 of %s", walk->kind, walk->dev->found->name);
}

static int walk_from(const struct walk *walk, uint32_t at, uint32_t *offset)
{
	uint32_t links = (walk->high - walk->low) / 4 + 1, id, next;
	bool passed = !walk->after;
	int ret;

	for (; at; at = next) {
		if (at < walk->low || at > walk->high || !links--)
			return ifd_fail(-EPROTO,
					"its chain of capabilities has no end or leads astray, or the device is gone",
					"%s 0x%02x of %s: at 0x%x", walk->kind, walk->id, walk->dev->found->name, at);
		ret = walk->step(walk, at, &id, &next);
		if (ret)
			return ret;
		if (passed && id == walk->id) {
			*offset = at;
			return 0;
		}
		passed |= at == walk->after;
	}
	return passed ? none(walk)
		      : ifd_fail(-EINVAL, "give 0, or what a call before has found",
				 "%s 0x%02x of %s behind 0x%x, where no capability is", walk->kind, walk->id,
				 walk->dev->found->name, walk->after);
}

EXPORT int iommufd_pci_find_cap(struct iommufd_device *dev, uint8_t id, uint32_t after, uint32_t *offset)
{
	struct walk walk = { dev, id, after, PCI_FIRST_CAP, PCI_SPACE - 4, step_cap, "capability" };
	uint16_t status;
	uint8_t first = 0;
	int ret = check_walk(&walk);

	if (!ret)
		ret = iommufd_pci_config_read16(dev, PCI_STATUS, &status);
	if (!ret && status & PCI_STATUS_CAPS)
		ret = iommufd_pci_config_read8(dev, PCI_CAPS, &first);
	return ret ? ret : walk_from(&walk, first & 0xfcu, offset);
}

EXPORT int iommufd_pci_find_ext_cap(struct iommufd_device *dev, uint16_t id, uint32_t after, uint32_t *offset)
{
	struct walk walk = { dev, id, after, PCI_SPACE, PCI_EXPRESS_SPACE - 4, step_ext_cap, "extended capability" };
	struct iommufd_region_info space = { .struct_size = sizeof(space) };
	uint32_t first = 0;
	int ret = check_walk(&walk);

	if (!ret)
		ret = iommufd_device_region_info(dev, IOMMUFD_PCI_CONFIG, &space);
	if (!ret && space.size >= PCI_EXPRESS_SPACE)
		ret = iommufd_pci_config_read32(dev, PCI_SPACE, &first);
	/* Where there is none the header is 0. */
	return ret ? ret : walk_from(&walk, first ? PCI_SPACE : 0, offset);
}

/* ---- BARs ---- */

static uint32_t bar_flags(uint32_t value)
{
	if (value & PCI_BAR_IO)
		return IOMMUFD_PCI_BAR_IO;
	return ((value & PCI_BAR_WIDTH) == PCI_BAR_WIDTH_64 ? IOMMUFD_PCI_BAR_64BIT : 0) |
	       (value & PCI_BAR_PREFETCH ? IOMMUFD_PCI_BAR_PREFETCH : 0);
}

/* Which registers are the upper half of another one is only known from the first on. */
static int read_bar(struct iommufd_device *dev, uint32_t bar, uint32_t *flags)
{
	uint32_t value;
	int ret;

	*flags = 0;
	for (uint32_t i = 0; i <= bar; i++) {
		if (*flags & IOMMUFD_PCI_BAR_64BIT) {
			*flags = IOMMUFD_PCI_BAR_UPPER;
			continue;
		}
		ret = iommufd_pci_config_read32(dev, PCI_BAR + 4 * i, &value);
		if (ret)
			return ret;
		*flags = bar_flags(value);
	}
	return 0;
}

EXPORT int iommufd_pci_bar_info(struct iommufd_device *dev, uint32_t bar, struct iommufd_pci_bar *info)
{
	struct iommufd_region_info region = { .struct_size = sizeof(region) };
	struct iommufd_pci_bar mine = { .bar = bar };
	int ret = ifd_info_check(info, IFD_END_OF(struct iommufd_pci_bar, bar), "BAR info");

	if (!ret)
		ret = ifd_device_pci(dev);
	if (!ret && bar >= PCI_BARS)
		ret = ifd_fail(-EINVAL, "they are IOMMUFD_PCI_BAR0 to IOMMUFD_PCI_BAR5", "BAR %u of %s", bar,
			       dev->found->name);
	if (!ret)
		ret = iommufd_device_region_info(dev, bar, &region);
	if (!ret)
		ret = read_bar(dev, bar, &mine.flags);
	if (ret)
		return ret;
	if (mine.flags & IOMMUFD_PCI_BAR_UPPER)
		region.size = 0;
	else if (!region.size)
		mine.flags = 0;
	else if (region.flags & IOMMUFD_REGION_MMAP)
		mine.flags |= IOMMUFD_PCI_BAR_MMAP;
	mine.size = region.size;
	ifd_info_write(info, &mine, sizeof(mine));
	return 0;
}

/* ---- MSI-X ---- */

/* A place of `size` bytes, as MSI-X tells it: a BAR in the low bits, an offset in the rest. */
static int read_place(struct iommufd_device *dev, uint32_t at, uint64_t size, uint32_t *bar, uint64_t *offset)
{
	struct iommufd_region_info region = { .struct_size = sizeof(region) };
	uint32_t value;
	int ret = iommufd_pci_config_read32(dev, at, &value);

	if (ret)
		return ret;
	*bar = value & MSIX_BAR;
	*offset = value & ~MSIX_BAR;
	if (*bar < PCI_BARS)
		ret = iommufd_device_region_info(dev, *bar, &region);
	if (!ret && (*offset > region.size || size > region.size - *offset))
		ret = ifd_fail(-EPROTO, "the device tells of a place that it has not", "MSI-X of %s: 0x%x in BAR %u",
			       dev->found->name, (uint32_t)*offset, *bar);
	return ret;
}

EXPORT int iommufd_pci_msix_info(struct iommufd_device *dev, struct iommufd_pci_msix *info)
{
	struct iommufd_pci_msix mine = { .vectors = 0 };
	uint16_t control;
	int ret = ifd_info_check(info, IFD_END_OF(struct iommufd_pci_msix, cap), "MSI-X info");

	if (!ret)
		ret = iommufd_pci_find_cap(dev, PCI_CAP_MSIX, 0, &mine.cap);
	if (!ret && mine.cap > PCI_SPACE - MSIX_SIZE)
		ret = ifd_fail(-EPROTO, "no room is left there for it", "MSI-X of %s: a capability at 0x%x",
			       dev->found->name, mine.cap);
	if (!ret)
		ret = iommufd_pci_config_read16(dev, mine.cap + MSIX_CONTROL, &control);
	if (ret)
		return ret;
	mine.vectors = (control & MSIX_CONTROL_LENGTH) + 1;
	mine.table_size = UINT64_C(16) * mine.vectors;
	mine.pba_size = UINT64_C(8) * ((mine.vectors + 63) / 64);
	ret = read_place(dev, mine.cap + MSIX_TABLE, mine.table_size, &mine.table_bar, &mine.table_offset);
	if (!ret)
		ret = read_place(dev, mine.cap + MSIX_PBA, mine.pba_size, &mine.pba_bar, &mine.pba_offset);
	if (!ret)
		ifd_info_write(info, &mine, sizeof(mine));
	return ret;
}
