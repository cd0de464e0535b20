/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Mapping and translation, with a device attached unless the name says otherwise. */
#include <stdio.h>
#include <sys/mman.h>

#include "vm.h"

START_TEST(memory_that_is_mapped_moves_both_ways)
{
	struct iommufd_dma dma;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_dma_alloc(bed.ioas, 2 * PAGE, RW, &dma));
	edu_copy_works(&edu, dma.iova, dma.vaddr, dma.iova + PAGE, (char *)dma.vaddr + PAGE);
	iommufd_dma_free(bed.ioas, &dma);
	bed_close(&bed);
}
END_TEST

START_TEST(a_fixed_iova_is_where_the_device_finds_the_memory)
{
	uint64_t iova = UINT64_C(0x123456000);
	unsigned char *page = memory(2 * PAGE);
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_ioas_map(bed.ioas, page, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ck_assert_uint_eq(iova, UINT64_C(0x123456000));
	edu_copy_works(&edu, iova, page, iova + PAGE, page + PAGE);
	bed_close(&bed);
}
END_TEST

START_TEST(what_is_unmapped_is_out_of_reach)
{
	uint64_t iova = 0x100000, other = 0x200000;
	unsigned char *page = memory(PAGE), *target = memory(PAGE);
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_ioas_map(bed.ioas, page, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_ioas_map(bed.ioas, target, PAGE, RW | IOMMUFD_MAP_FIXED, &other));
	edu_copy_works(&edu, iova, page, other, target);

	vm_expect_fault(EDU, other);
	ok(iommufd_ioas_unmap(bed.ioas, other, PAGE, NULL));
	memset(target, 0x5a, PAGE);
	edu_write_memory(&edu, other, EDU_CHUNK);
	for (size_t i = 0; i < PAGE; i++)
		ck_assert_uint_eq(target[i], 0x5a);
	bed_close(&bed);
}
END_TEST

START_TEST(a_device_cannot_write_what_is_mapped_for_reading)
{
	uint64_t iova = 0x100000;
	unsigned char *page = memory(PAGE);
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	memset(page, 0x5a, PAGE);
	ok(iommufd_ioas_map(bed.ioas, page, PAGE, IOMMUFD_MAP_READ | IOMMUFD_MAP_FIXED, &iova));
	edu_read_memory(&edu, iova, EDU_CHUNK);
	memset(page, 0xa5, PAGE);
	vm_expect_fault(EDU, iova);
	edu_write_memory(&edu, iova, EDU_CHUNK);
	for (size_t i = 0; i < PAGE; i++)
		ck_assert_uint_eq(page[i], 0xa5);
	bed_close(&bed);
}
END_TEST

START_TEST(memory_that_may_not_be_written_can_be_mapped_for_reading)
{
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t iova;
	struct bed bed;

	bed_attach(&bed, EDU);
	fails(iommufd_ioas_map(bed.ioas, page, PAGE, RW, &iova), -EFAULT, "is read-only");
	ok(iommufd_ioas_map(bed.ioas, page, PAGE, IOMMUFD_MAP_READ, &iova));
	ok(iommufd_ioas_unmap(bed.ioas, iova, PAGE, NULL));
	bed_close(&bed);
}
END_TEST

START_TEST(memory_that_is_not_there_is_refused)
{
	void *page = memory(PAGE);
	uint64_t iova = 42;
	struct bed bed;

	bed_attach(&bed, EDU);
	mprotect(page, PAGE, PROT_NONE); /* rather than munmap(), which leaves a place that others would take */
	fails(iommufd_ioas_map(bed.ioas, page, PAGE, RW, &iova), -EFAULT, "may not even be read");
	ck_assert_uint_eq(iova, 42);
	iova = 0x100000;
	/* Nothing stayed behind: the place is free. */
	page = memory(PAGE);
	ok(iommufd_ioas_map(bed.ioas, page, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	bed_close(&bed);
}
END_TEST

START_TEST(picked_iovas_are_permitted_aligned_and_apart)
{
	struct iommufd_range ranges[16];
	struct {
		uint64_t iova;
		size_t len;
	} got[64];
	struct bed bed;
	int count;

	bed_attach(&bed, EDU);
	count = ok(iommufd_ioas_ranges(bed.ioas, ranges, 16));
	for (size_t i = 0; i < 64; i++) {
		bool inside = false;

		got[i].len = (i % 5 + 1) * PAGE;
		ok(iommufd_ioas_map(bed.ioas, memory(got[i].len), got[i].len, RW, &got[i].iova));
		ck_assert_uint_ne(got[i].iova, 0);
		ck_assert_uint_eq(got[i].iova % PAGE, 0);
		for (int r = 0; r < count; r++)
			inside |= got[i].iova >= ranges[r].start && got[i].iova + got[i].len - 1 <= ranges[r].last;
		ck_assert(inside);
		for (size_t j = 0; j < i; j++)
			ck_assert(got[j].iova + got[j].len <= got[i].iova || got[i].iova + got[i].len <= got[j].iova);
	}
	bed_close(&bed);
}
END_TEST

START_TEST(ranges_leave_out_the_interrupt_window)
{
	struct iommufd_range ranges[16];
	struct bed bed;
	int count;

	bed_open(&bed);
	ck_assert_int_eq(iommufd_ioas_ranges(bed.ioas, ranges, 16), 1);
	ck_assert_uint_eq(ranges[0].start, 0);
	ck_assert_uint_eq(ranges[0].last, UINT64_MAX);

	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	count = ok(iommufd_ioas_ranges(bed.ioas, ranges, 16));
	ck_assert_int_gt(count, 1);
	for (int i = 0; i < count; i++) {
		ck_assert_uint_le(ranges[i].start, ranges[i].last);
		ck_assert(ranges[i].last < MSI_WINDOW || ranges[i].start >= MSI_WINDOW + (1 << 20));
		ck_assert(!i || ranges[i - 1].last < ranges[i].start);
	}
	ck_assert_int_eq(iommufd_ioas_ranges(bed.ioas, NULL, 0), count);

	ok(iommufd_device_detach(bed.dev));
	ck_assert_int_eq(iommufd_ioas_ranges(bed.ioas, ranges, 16), 1);
	bed_close(&bed);
}
END_TEST

START_TEST(the_highest_permitted_page_is_in_reach_and_the_next_is_refused)
{
	unsigned char *two = memory(2 * PAGE);
	struct iommufd_range ranges[16];
	uint64_t iova = 0x100000, high;
	struct bed bed;
	struct edu edu;
	int count;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	count = ok(iommufd_ioas_ranges(bed.ioas, ranges, 16));
	ck_assert_int_le(count, 16);
	high = ranges[count - 1].last - (PAGE - 1);
	ok(iommufd_ioas_map(bed.ioas, two, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_ioas_map(bed.ioas, two + PAGE, PAGE, RW | IOMMUFD_MAP_FIXED, &high));
	edu_copy_works(&edu, iova, two, high, two + PAGE);
	edu_copy_works(&edu, high, two + PAGE, iova, two);
	if (ranges[count - 1].last < UINT64_MAX) {
		high += PAGE;
		fails(iommufd_ioas_map(bed.ioas, two + PAGE, PAGE, RW | IOMMUFD_MAP_FIXED, &high), -EINVAL,
		      "not permitted");
	}
	bed_close(&bed);
}
END_TEST

START_TEST(the_alignment_is_the_page_size_here)
{
	struct bed bed;

	bed_open(&bed);
	ck_assert_uint_eq(iommufd_ioas_alignment(bed.ioas), PAGE);
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ck_assert_uint_eq(iommufd_ioas_alignment(bed.ioas), PAGE);
	bed_close(&bed);
}
END_TEST

START_TEST(translation_goes_both_ways_and_stays_inside_one_mapping)
{
	unsigned char *two = memory(2 * PAGE);
	uint64_t iova = 0x100000, got = 7;
	void *back = two;
	struct bed bed;

	bed_attach(&bed, EDU);
	ok(iommufd_ioas_map(bed.ioas, two, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_ioas_to_iova(bed.ioas, two + 17, 5, &got));
	ck_assert_uint_eq(got, iova + 17);
	ok(iommufd_ioas_to_vaddr(bed.ioas, iova + 4095, 1, &back));
	ck_assert_ptr_eq(back, two + 4095);

	got = 7;
	back = NULL;
	ck_assert_int_eq(iommufd_ioas_to_iova(bed.ioas, two + 4095, 2, &got), -ENOENT);
	ck_assert_int_eq(iommufd_ioas_to_iova(bed.ioas, two + PAGE, 1, &got), -ENOENT);
	ck_assert_int_eq(iommufd_ioas_to_vaddr(bed.ioas, iova - 1, 1, &back), -ENOENT);
	ck_assert_int_eq(iommufd_ioas_to_vaddr(bed.ioas, iova, PAGE + 1, &back), -ENOENT);
	ck_assert_uint_eq(got, 7);
	ck_assert_ptr_null(back);
	fails(iommufd_ioas_to_iova(bed.ioas, two, 0, &got), -EINVAL, "length");
	fails(iommufd_ioas_to_vaddr(bed.ioas, iova, 0, &back), -EINVAL, "length");

	ok(iommufd_ioas_unmap(bed.ioas, iova, PAGE, NULL));
	ck_assert_int_eq(iommufd_ioas_to_iova(bed.ioas, two, 1, &got), -ENOENT);
	bed_close(&bed);
}
END_TEST

START_TEST(the_same_memory_may_be_mapped_twice)
{
	unsigned char *page = memory(PAGE);
	uint64_t one = 0x100000, two = 0x300000, got;
	struct bed bed;

	bed_attach(&bed, EDU);
	ok(iommufd_ioas_map(bed.ioas, page, PAGE, RW | IOMMUFD_MAP_FIXED, &one));
	ok(iommufd_ioas_map(bed.ioas, page, PAGE, RW | IOMMUFD_MAP_FIXED, &two));
	ok(iommufd_ioas_to_iova(bed.ioas, page, PAGE, &got));
	ck_assert(got == one || got == two);
	ok(iommufd_ioas_unmap(bed.ioas, one, PAGE, NULL));
	ok(iommufd_ioas_to_iova(bed.ioas, page, PAGE, &got));
	ck_assert_uint_eq(got, two);
	bed_close(&bed);
}
END_TEST

START_TEST(two_devices_share_an_ioas)
{
	struct iommufd_device *other;
	struct iommufd_dma dma;
	struct edu one, two;
	struct bed bed;

	bed_attach(&bed, EDU);
	ok(iommufd_dma_alloc(bed.ioas, 2 * PAGE, RW, &dma));
	ok(iommufd_device_new(bed.ctx, TWIN_A, &other));
	ok(iommufd_device_attach(other, bed.ioas));
	edu_setup(&one, bed.dev);
	edu_setup(&two, other);
	edu_copy_works(&one, dma.iova, dma.vaddr, dma.iova + PAGE, (char *)dma.vaddr + PAGE);
	edu_copy_works(&two, dma.iova, dma.vaddr, dma.iova + PAGE, (char *)dma.vaddr + PAGE);
	edu_detach(&one);
	edu_copy_works(&two, dma.iova, dma.vaddr, dma.iova + PAGE, (char *)dma.vaddr + PAGE);
	iommufd_device_free(other);
	bed_close(&bed);
}
END_TEST

START_TEST(two_ioases_keep_devices_apart)
{
	struct iommufd_ioas *second;
	struct iommufd_device *other;
	unsigned char *mine = memory(2 * PAGE), *theirs = memory(2 * PAGE);
	uint64_t iova = 0x100000;
	struct edu one, two;
	struct bed bed;

	bed_attach(&bed, EDU);
	ok(iommufd_ioas_new(bed.ctx, &second));
	ok(iommufd_device_new(bed.ctx, TWIN_A, &other));
	ok(iommufd_device_attach(other, second));
	ok(iommufd_ioas_map(bed.ioas, mine, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_ioas_map(second, theirs, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	edu_setup(&one, bed.dev);
	edu_setup(&two, other);
	edu_copy_works(&one, iova, mine, iova + PAGE, mine + PAGE);
	edu_copy_works(&two, iova, theirs, iova + PAGE, theirs + PAGE);
	iommufd_device_free(other);
	iommufd_ioas_free(second);
	bed_close(&bed);
}
END_TEST

void add_ioas_tests(TCase *tc)
{
	tcase_add_test(tc, memory_that_is_mapped_moves_both_ways);
	tcase_add_test(tc, a_fixed_iova_is_where_the_device_finds_the_memory);
	tcase_add_test(tc, what_is_unmapped_is_out_of_reach);
	tcase_add_test(tc, a_device_cannot_write_what_is_mapped_for_reading);
	tcase_add_test(tc, memory_that_may_not_be_written_can_be_mapped_for_reading);
	tcase_add_test(tc, memory_that_is_not_there_is_refused);
	tcase_add_test(tc, picked_iovas_are_permitted_aligned_and_apart);
	tcase_add_test(tc, ranges_leave_out_the_interrupt_window);
	tcase_add_test(tc, the_highest_permitted_page_is_in_reach_and_the_next_is_refused);
	tcase_add_test(tc, the_alignment_is_the_page_size_here);
	tcase_add_test(tc, translation_goes_both_ways_and_stays_inside_one_mapping);
	tcase_add_test(tc, the_same_memory_may_be_mapped_twice);
	tcase_add_test(tc, two_devices_share_an_ioas);
	tcase_add_test(tc, two_ioases_keep_devices_apart);
}
