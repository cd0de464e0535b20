/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Regions as other devices have them: large, smaller than a page, an expansion ROM. */
#include <sys/resource.h>

#include "vm.h"

/* See machines/device. */
#define MEMORY "0000:00:06.0" /* BAR 0 has 256 bytes */
#define LARGE  "0000:00:07.0" /* BAR 2 has 8 MiB, and there is a ROM */

#define HUGE    (2u << 20)
#define FEW     256 /* page faults, where page by page it would be many more */
#define RW_PROT (PROT_READ | PROT_WRITE)

enum {
	COMMAND = 0x04,
	COMMAND_MEMORY = 0x02,
};

static struct iommufd_region_info info_of(struct iommufd_device *dev, uint32_t index)
{
	struct iommufd_region_info info = { .struct_size = sizeof(info) };

	ok(iommufd_device_region_info(dev, index, &info));
	return info;
}

/* AddressSanitizer looks at a byte of its own for each eight, and so has faults of its own. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static long few(uint64_t len)
{
	return FEW + (SANITIZED ? (long)(len / PAGE / 8) : 0);
}

/* How many page faults it takes to read each page. */
static long faults(const char *addr, uint64_t len)
{
	struct rusage before, after;

	ck_assert_int_eq(getrusage(RUSAGE_SELF, &before), 0);
	for (uint64_t at = 0; at < len; at += PAGE)
		iommufd_mmio_read32(addr + at);
	ck_assert_int_eq(getrusage(RUSAGE_SELF, &after), 0);
	return after.ru_minflt - before.ru_minflt;
}

/* Page by page it would be 2048 faults, and 1536. */
START_TEST(a_large_bar_is_mapped_by_huge_pages)
{
	struct bed bed;
	uint64_t size;
	char *all, *part;

	bed_attach(&bed, LARGE);
	size = info_of(bed.dev, IOMMUFD_PCI_BAR2).size;
	ck_assert_uint_eq(size, 4 * HUGE);
	ok(iommufd_device_region_map_all(bed.dev, IOMMUFD_PCI_BAR2, RW_PROT, (void **)&all));
	ck_assert_uint_eq((uintptr_t)all % HUGE, 0);
	ck_assert_int_lt(faults(all, size), few(size));
	ok(iommufd_device_region_unmap(bed.dev, all));
	/* From the middle of a huge page on: that half of one page by page, and the others are huge. */
	ok(iommufd_device_region_map(bed.dev, IOMMUFD_PCI_BAR2, HUGE / 2, 3 * HUGE, RW_PROT, (void **)&part));
	ck_assert_uint_eq((uintptr_t)part % HUGE, HUGE / 2);
	ck_assert_int_lt(faults(part, 3 * HUGE), HUGE / 2 / PAGE * 2 + few(3 * HUGE));
	bed_close(&bed);
}
END_TEST

START_TEST(a_bar_smaller_than_a_page_is_mapped_by_its_page)
{
	struct iommufd_range area;
	uint32_t word = 0x12345678;
	struct bed bed;
	char *bar, *all;

	bed_attach(&bed, MEMORY);
	ck_assert_uint_eq(info_of(bed.dev, IOMMUFD_PCI_BAR0).size, 256);
	ck_assert_int_eq(iommufd_device_region_areas(bed.dev, IOMMUFD_PCI_BAR0, &area, 1), 1);
	ck_assert_uint_eq(area.start, 0);
	ck_assert_uint_eq(area.last, PAGE - 1);
	ok(iommufd_device_region_map(bed.dev, IOMMUFD_PCI_BAR0, 0, PAGE, RW_PROT, (void **)&bar));
	ok(iommufd_device_region_map_all(bed.dev, IOMMUFD_PCI_BAR0, RW_PROT, (void **)&all));
	/* Its first register is plain storage. */
	iommufd_mmio_write32(bar, word);
	word = 0;
	ok(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_BAR0, 0, &word, 4));
	ck_assert_uint_eq(word, 0x12345678);
	ck_assert_uint_eq(iommufd_mmio_read32(all), 0x12345678);
	fails(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_BAR0, 256, &word, 4), -ERANGE, "which has 256");
	fails(iommufd_device_region_map(bed.dev, IOMMUFD_PCI_BAR0, PAGE, PAGE, RW_PROT, (void **)&bar), -ERANGE,
	      "which has");
	bed_close(&bed);
}
END_TEST

START_TEST(a_rom_is_read)
{
	struct iommufd_region_info info;
	uint16_t command;
	uint8_t head[0x1a], name[4];
	struct bed bed;
	void *addr;

	bed_attach(&bed, LARGE);
	info = info_of(bed.dev, IOMMUFD_PCI_ROM);
	ck_assert_uint_ge(info.size, 2048);
	ck_assert_uint_eq(info.flags, IOMMUFD_REGION_READ);
	ok(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_ROM, 0, head, sizeof(head)));
	ck_assert_uint_eq(head[0], 0x55);
	ck_assert_uint_eq(head[1], 0xaa);
	ok(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_ROM, head[0x18] | (uint64_t)head[0x19] << 8, name, 4));
	ck_assert_int_eq(memcmp(name, "PCIR", 4), 0);
	fails(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_ROM, info.size, head, 1), -ERANGE,
	      "inside of the region");
	fails(iommufd_device_region_write(bed.dev, IOMMUFD_PCI_ROM, 0, head, 1), -EINVAL, "flags");
	fails(iommufd_device_region_map(bed.dev, IOMMUFD_PCI_ROM, 0, PAGE, PROT_READ, &addr), -EOPNOTSUPP,
	      "iommufd_device_region_read()");
	ok(iommufd_pci_config_read(bed.dev, COMMAND, &command, sizeof(command)));
	command &= (uint16_t)~COMMAND_MEMORY;
	ok(iommufd_pci_config_write(bed.dev, COMMAND, &command, sizeof(command)));
	/* Of a ROM the kernel says it in another way than of a BAR. */
	fails(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_ROM, 0, head, 2), -ENOMEM, "memory may be disabled");
	bed_close(&bed);
}
END_TEST

START_TEST(a_device_without_a_rom_has_one_of_no_bytes)
{
	uint8_t byte;
	struct bed bed;

	bed_attach(&bed, EDU);
	ck_assert_uint_eq(info_of(bed.dev, IOMMUFD_PCI_ROM).size, 0);
	ck_assert_uint_eq(info_of(bed.dev, IOMMUFD_PCI_ROM).flags, 0);
	fails(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_ROM, 0, &byte, 1), -ERANGE, "no such region");
	bed_close(&bed);
}
END_TEST

void add_bars_tests(TCase *tc)
{
	tcase_add_test(tc, a_large_bar_is_mapped_by_huge_pages);
	tcase_add_test(tc, a_bar_smaller_than_a_page_is_mapped_by_its_page);
	tcase_add_test(tc, a_rom_is_read);
	tcase_add_test(tc, a_device_without_a_rom_has_one_of_no_bytes);
}
