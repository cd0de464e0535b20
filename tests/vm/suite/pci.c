/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include "vm.h"

static const uint8_t cap_msi = 0x05, cap_express = 0x10, cap_msix = 0x11;

START_TEST(what_config_space_tells_as_numbers_it_tells_as_bytes)
{
	unsigned char bytes[4];
	struct bed bed;
	uint32_t word;
	uint16_t half;
	uint8_t byte;

	bed_attach(&bed, NVME);
	ok(iommufd_pci_config_read(bed.dev, 8, bytes, sizeof(bytes)));
	ok(iommufd_pci_config_read32(bed.dev, 8, &word));
	ck_assert_uint_eq(word >> 8, 0x010802); /* an NVMe drive */
	ck_assert_uint_eq(word & 0xff, bytes[0]);
	ok(iommufd_pci_config_read16(bed.dev, 10, &half));
	ck_assert_uint_eq(half, 0x0108);
	ok(iommufd_pci_config_read8(bed.dev, 11, &byte));
	ck_assert_uint_eq(byte, 0x01);
	/* The latency of interrupts is for who likes to write something there. */
	ok(iommufd_pci_config_write8(bed.dev, 0x3c, 0x0b));
	ok(iommufd_pci_config_read8(bed.dev, 0x3c, &byte));
	ck_assert_uint_eq(byte, 0x0b);
	fails(iommufd_pci_config_read32(bed.dev, 10, &word), -EINVAL, "multiples of their size");
	fails(iommufd_pci_config_read32(bed.dev, 4096, &word), -ERANGE, "inside of the region");
	bed_close(&bed);
}
END_TEST

START_TEST(capabilities_are_found)
{
	uint32_t at = 0, header;
	struct bed bed;

	bed_attach(&bed, NVME);
	ok(iommufd_pci_find_cap(bed.dev, cap_msix, 0, &at));
	ok(iommufd_pci_config_read32(bed.dev, at, &header));
	ck_assert_uint_eq(header & 0xff, cap_msix);
	ok(iommufd_pci_find_cap(bed.dev, cap_express, 0, &at));
	fails(iommufd_pci_find_cap(bed.dev, cap_express, at, &at), -ENOENT, "the last one");
	fails(iommufd_pci_find_cap(bed.dev, cap_msi, 0, &at), -ENOENT, "capability 0x05 of " NVME);
	fails(iommufd_pci_find_ext_cap(bed.dev, 0x7777, 0, &at), -ENOENT, "extended capability 0x7777");
	bed_close(&bed);

	bed_attach(&bed, EDU);
	ok(iommufd_pci_find_cap(bed.dev, cap_msi, 0, &at));
	fails(iommufd_pci_find_cap(bed.dev, cap_msix, 0, &at), -ENOENT, "capability 0x11 of " EDU);
	fails(iommufd_pci_find_ext_cap(bed.dev, 1, 0, &at), -ENOENT, "extended capability 0x01");
	fails(iommufd_pci_find_cap(bed.dev, 0, 0, &at), -EINVAL, "0 stands for nothing");
	bed_close(&bed);
}
END_TEST

/* A device of virtio tells by several capabilities of one number where what of it is. */
START_TEST(all_capabilities_of_a_number_are_found)
{
	uint32_t at = 0, kinds = 0, header;
	struct bed bed;

	bed_attach(&bed, TWIN_VIRTIO);
	while (!iommufd_pci_find_cap(bed.dev, 0x09, at, &at)) {
		ok(iommufd_pci_config_read32(bed.dev, at, &header));
		kinds |= 1u << (header >> 24);
	}
	ck_assert_uint_eq(kinds & 0x1e, 0x1e); /* common, notifications, interrupts, the device's own */
	bed_close(&bed);
}
END_TEST

START_TEST(the_bars_of_a_device_are_told)
{
	struct iommufd_pci_bar bar = { .struct_size = sizeof(bar) };
	struct bed bed;

	bed_attach(&bed, NVME);
	ok(iommufd_pci_bar_info(bed.dev, IOMMUFD_PCI_BAR0, &bar));
	ck_assert_uint_eq(bar.flags, IOMMUFD_PCI_BAR_64BIT | IOMMUFD_PCI_BAR_MMAP);
	ck_assert_uint_eq(bar.size, 0x4000);
	ok(iommufd_pci_bar_info(bed.dev, IOMMUFD_PCI_BAR1, &bar));
	ck_assert_uint_eq(bar.flags, IOMMUFD_PCI_BAR_UPPER);
	ck_assert_uint_eq(bar.size, 0);
	ok(iommufd_pci_bar_info(bed.dev, IOMMUFD_PCI_BAR5, &bar));
	ck_assert_uint_eq(bar.flags, 0);
	ck_assert_uint_eq(bar.bar, 5);
	fails(iommufd_pci_bar_info(bed.dev, IOMMUFD_PCI_CONFIG, &bar), -EINVAL, "BAR 7");
	bed_close(&bed);
	bed_attach(&bed, EDU);
	ok(iommufd_pci_bar_info(bed.dev, IOMMUFD_PCI_BAR0, &bar));
	ck_assert_uint_eq(bar.flags, IOMMUFD_PCI_BAR_MMAP);
	ck_assert_uint_eq(bar.size, 1 << 20);
	bed_close(&bed);
}
END_TEST

START_TEST(the_msix_table_is_where_the_device_says_and_no_bar_hides_more)
{
	struct iommufd_pci_msix msix = { .struct_size = sizeof(msix) };
	struct iommufd_irq_info irq = { .struct_size = sizeof(irq) };
	struct bed bed;
	uint32_t entry;

	bed_attach(&bed, NVME);
	ok(iommufd_pci_msix_info(bed.dev, &msix));
	ok(iommufd_device_irq_info(bed.dev, IOMMUFD_PCI_MSIX, &irq));
	ck_assert_uint_eq(msix.vectors, irq.count);
	ck_assert_uint_eq(msix.table_size, 16 * irq.count);
	ck_assert_uint_eq(msix.table_bar, 0);
	ck_assert_uint_ge(msix.table_offset, 0x1000); /* behind the registers of the drive */
	/* Every entry is masked, which its last word tells. */
	ok(iommufd_device_region_read(bed.dev, msix.table_bar, msix.table_offset + msix.table_size - 4, &entry, 4));
	ck_assert_uint_eq(entry & 1, 1);
	bed_close(&bed);
	bed_attach(&bed, EDU);
	fails(iommufd_pci_msix_info(bed.dev, &msix), -ENOENT, "0x11");
	bed_close(&bed);
}
END_TEST

START_TEST(a_device_whose_memory_is_off_answers_to_nothing_until_it_is_on)
{
	struct bed bed;
	uint32_t word;

	bed_attach(&bed, EDU);
	ok(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_BAR0, EDU_ID, &word, 4));
	ok(iommufd_pci_set_memory(bed.dev, false));
	fails(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_BAR0, EDU_ID, &word, 4), -EIO, "memory may be disabled");
	fails(iommufd_device_region_write(bed.dev, IOMMUFD_PCI_BAR0, EDU_ID, &word, 4), -EIO, "memory may be disabled");
	ok(iommufd_pci_set_memory(bed.dev, true));
	word = 0;
	ok(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_BAR0, EDU_ID, &word, 4));
	ck_assert_uint_eq(word & 0xffff, 0x00ed);
	ok(iommufd_pci_find_cap(bed.dev, cap_msi, 0, &word)); /* nothing else was touched */
	bed_close(&bed);
}
END_TEST

void add_pci_tests(TCase *tc)
{
	tcase_add_test(tc, what_config_space_tells_as_numbers_it_tells_as_bytes);
	tcase_add_test(tc, capabilities_are_found);
	tcase_add_test(tc, all_capabilities_of_a_number_are_found);
	tcase_add_test(tc, the_bars_of_a_device_are_told);
	tcase_add_test(tc, the_msix_table_is_where_the_device_says_and_no_bar_hides_more);
	tcase_add_test(tc, a_device_whose_memory_is_off_answers_to_nothing_until_it_is_on);
}
