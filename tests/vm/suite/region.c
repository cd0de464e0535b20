/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <stdio.h>
#include <sys/mman.h>

#include "vm.h"

START_TEST(a_register_reads_the_same_by_map_and_by_read)
{
	uint32_t word, all = UINT32_MAX;
	struct bed bed;
	void *bar;

	bed_attach(&bed, EDU);
	ok(iommufd_device_region_map(bed.dev, IOMMUFD_PCI_BAR0, 0, PAGE, PROT_READ | PROT_WRITE, &bar));
	ok(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_BAR0, EDU_ID, &word, 4));
	ck_assert_uint_eq(word, iommufd_mmio_read32((char *)bar + EDU_ID));
	ck_assert_uint_eq(word & 0xff, 0xed);

	word = 0x12345678;
	ok(iommufd_device_region_write(bed.dev, IOMMUFD_PCI_BAR0, EDU_LIVENESS, &word, 4));
	ck_assert_uint_eq(iommufd_mmio_read32((char *)bar + EDU_LIVENESS), word ^ all);
	iommufd_mmio_write32((char *)bar + EDU_LIVENESS, 0xff00ff00);
	ok(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_BAR0, EDU_LIVENESS, &word, 4));
	ck_assert_uint_eq(word, 0x00ff00ff);
	bed_close(&bed);
}
END_TEST

/* The registers of an NVMe drive, by each width that QEMU gets right: of a byte it delivers more than a byte. */
START_TEST(each_width_reads_the_same_register)
{
	uint64_t all;
	struct bed bed;
	char *bar;

	bed_attach(&bed, NVME);
	ok(iommufd_device_region_map(bed.dev, IOMMUFD_PCI_BAR0, 0, PAGE, PROT_READ | PROT_WRITE, (void **)&bar));
	ok(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_BAR0, 0, &all, sizeof(all)));
	ck_assert_uint_ne(all, 0);
	ck_assert_uint_eq(iommufd_mmio_read64(bar), all);
	for (unsigned int i = 0; i < 8; i += 4)
		ck_assert_uint_eq(iommufd_mmio_read32(bar + i), (uint32_t)(all >> 8 * i));
	for (unsigned int i = 0; i < 8; i += 2)
		ck_assert_uint_eq(iommufd_mmio_read16(bar + i), (uint16_t)(all >> 8 * i));
	bed_close(&bed);
}
END_TEST

START_TEST(the_info_tells_what_a_region_is)
{
	struct iommufd_region_info info = { .struct_size = sizeof(info) };
	struct bed bed;

	bed_attach(&bed, EDU);
	ok(iommufd_device_region_info(bed.dev, IOMMUFD_PCI_BAR0, &info));
	ck_assert_uint_eq(info.size, 1u << 20);
	ck_assert_uint_eq(info.flags, IOMMUFD_REGION_READ | IOMMUFD_REGION_WRITE | IOMMUFD_REGION_MMAP);
	ck_assert_uint_eq(info.index, IOMMUFD_PCI_BAR0);
	ok(iommufd_device_region_info(bed.dev, IOMMUFD_PCI_BAR1, &info));
	ck_assert_uint_eq(info.size, 0);
	info.size = 1;
	ok(iommufd_device_region_info(bed.dev, IOMMUFD_PCI_VGA, &info));
	ck_assert_uint_eq(info.size, 0);
	ok(iommufd_device_region_info(bed.dev, IOMMUFD_PCI_CONFIG, &info));
	ck_assert_uint_ge(info.size, 256);
	ck_assert_uint_eq(info.flags, IOMMUFD_REGION_READ | IOMMUFD_REGION_WRITE);
	bed_close(&bed);
}
END_TEST

START_TEST(access_beyond_a_region_is_refused)
{
	struct iommufd_region_info info = { .struct_size = sizeof(info), .size = 42 };
	uint32_t word = 7;
	void *bar = NULL;
	struct bed bed;

	bed_attach(&bed, EDU);
	fails(iommufd_device_region_info(bed.dev, 9, &info), -EINVAL, "num_regions");
	fails(iommufd_device_region_read(bed.dev, UINT32_MAX, 0, &word, 4), -EINVAL, "num_regions");
	fails(iommufd_device_region_map(bed.dev, 9, 0, PAGE, PROT_READ, &bar), -EINVAL, "num_regions");
	fails(iommufd_device_region_read(bed.dev, 0, (1 << 20) - 3, &word, 4), -ERANGE, "which has 1048576");
	fails(iommufd_device_region_write(bed.dev, 0, 1 << 20, &word, 4), -ERANGE, "inside of the region");
	fails(iommufd_device_region_read(bed.dev, 0, UINT64_MAX, &word, 4), -ERANGE, "inside of the region");
	fails(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_BAR1, 0, &word, 4), -ERANGE, "has no such region");
	fails(iommufd_device_region_map(bed.dev, 0, 1 << 20, PAGE, PROT_READ, &bar), -ERANGE, "inside of the region");
	fails(iommufd_device_region_map(bed.dev, 0, 0, 2 << 20, PROT_READ, &bar), -ERANGE, "inside of the region");
	ck_assert_uint_eq(word, 7);
	ck_assert_uint_eq(info.size, 42);
	ck_assert_ptr_null(bar);
	bed_close(&bed);
}
END_TEST

START_TEST(a_region_map_is_checked)
{
	void *bar = NULL;
	struct bed bed;

	bed_attach(&bed, EDU);
	fails(iommufd_device_region_map(bed.dev, 0, 0, 0, PROT_READ, &bar), -EINVAL, "page size");
	fails(iommufd_device_region_map(bed.dev, 0, 0, 100, PROT_READ, &bar), -EINVAL, "page size");
	fails(iommufd_device_region_map(bed.dev, 0, 100, PAGE, PROT_READ, &bar), -EINVAL, "page size");
	fails(iommufd_device_region_map(bed.dev, 0, 0, PAGE, 0, &bar), -EINVAL, "PROT_READ");
	fails(iommufd_device_region_map(bed.dev, 0, 0, PAGE, PROT_READ | PROT_EXEC, &bar), -EINVAL, "PROT_READ");
	fails(iommufd_device_region_map(bed.dev, IOMMUFD_PCI_CONFIG, 0, PAGE, PROT_READ, &bar), -EOPNOTSUPP,
	      "iommufd_device_region_read()");
	fails(iommufd_device_region_unmap(bed.dev, &bed), -ENOENT, "iommufd_device_region_map");
	ck_assert_ptr_null(bar);
	ok(iommufd_device_region_map(bed.dev, 0, 0, PAGE, PROT_READ, &bar));
	ok(iommufd_device_region_unmap(bed.dev, bar));
	fails(iommufd_device_region_unmap(bed.dev, bar), -ENOENT, "iommufd_device_region_map");
	bed_close(&bed);
}
END_TEST

/* A mapping that stayed would keep the device open in the kernel, and the next open would fail. */
START_TEST(a_map_that_is_forgotten_goes_with_the_device)
{
	struct bed bed;
	void *bar;

	for (int i = 0; i < 3; i++) {
		bed_attach(&bed, EDU);
		ok(iommufd_device_region_map(bed.dev, 0, 0, PAGE, PROT_READ | PROT_WRITE, &bar));
		bed_close(&bed);
		ck_assert_int_eq(msync(bar, PAGE, MS_ASYNC), -1);
		ck_assert_int_eq(errno, ENOMEM);
	}
}
END_TEST

START_TEST(a_device_is_not_detached_while_registers_are_mapped)
{
	uint64_t iova = 0;
	struct bed bed;
	struct edu edu;
	char *pages;
	void *all;

	bed_attach(&bed, EDU);
	pages = memory(2 * PAGE);
	ok(iommufd_ioas_map(bed.ioas, pages, 2 * PAGE, RW, &iova));
	edu_setup(&edu, bed.dev);
	ok(iommufd_device_region_map_all(bed.dev, IOMMUFD_PCI_BAR0, PROT_READ, &all));
	fails(iommufd_device_detach(bed.dev), -EBUSY, "2 of its windows are mapped");
	ok(iommufd_device_region_unmap(bed.dev, all));
	fails(iommufd_device_detach(bed.dev), -EBUSY, "1 of its windows is mapped");
	fails(iommufd_device_detach(bed.dev), -EBUSY, "or free the device");
	/* It is attached as before, a bus master too. */
	edu_copy_works(&edu, iova, pages, iova + PAGE, pages + PAGE);
	edu_detach(&edu);
	fails(iommufd_device_detach(bed.dev), -ENOTCONN, "nothing to undo");
	bed_close(&bed);
}
END_TEST

START_TEST(every_width_of_register_access_works)
{
	struct bed bed;
	char *bar;

	bed_attach(&bed, NVME);
	ok(iommufd_device_region_map(bed.dev, 0, 0, PAGE, PROT_READ | PROT_WRITE, (void **)&bar));
	/* CAP is 64 bits, VS is 1.4 in this drive, ASQ is plain storage of 64 bits */
	ck_assert_uint_eq(iommufd_mmio_read64(bar) & 0xffffffff, iommufd_mmio_read32(bar));
	ck_assert_uint_eq(iommufd_mmio_read32(bar + 8) >> 16, 1);
	iommufd_mmio_write64(bar + 0x28, UINT64_C(0x123456789000));
	ck_assert_uint_eq(iommufd_mmio_read64(bar + 0x28), UINT64_C(0x123456789000));
	bed_close(&bed);
}
END_TEST

void add_region_tests(TCase *tc)
{
	tcase_add_test(tc, a_register_reads_the_same_by_map_and_by_read);
	tcase_add_test(tc, each_width_reads_the_same_register);
	tcase_add_test(tc, the_info_tells_what_a_region_is);
	tcase_add_test(tc, access_beyond_a_region_is_refused);
	tcase_add_test(tc, a_region_map_is_checked);
	tcase_add_test(tc, a_map_that_is_forgotten_goes_with_the_device);
	tcase_add_test(tc, a_device_is_not_detached_while_registers_are_mapped);
	tcase_add_test(tc, every_width_of_register_access_works);
}
