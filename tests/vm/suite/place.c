/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Where the library puts what is mapped, as far as a kernel and a device have a say in it. */
#include "vm.h"

#define GIB          (UINT64_C(1) << 30)
#define WINDOW_BYTES 0x100000 /* that interrupts take */

static uint64_t within(const struct bed *bed, uint64_t start, uint64_t last, void *vaddr, uint32_t flags)
{
	const struct iommufd_range window = { start, last };
	uint64_t iova = 7;

	ok(iommufd_ioas_map_within(bed->ioas, vaddr, PAGE, RW | flags, &window, &iova));
	ck_assert_uint_ge(iova, start);
	ck_assert_uint_le(iova + (PAGE - 1), last);
	return iova;
}

START_TEST(a_device_reaches_what_is_aligned_to_1_gib_or_to_8)
{
	unsigned char *pages = memory(2 * PAGE);
	uint64_t first, second;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_ioas_map(bed.ioas, pages, PAGE, RW | IOMMUFD_MAP_ALIGN(30), &first));
	ok(iommufd_ioas_map(bed.ioas, pages + PAGE, PAGE, RW | IOMMUFD_MAP_ALIGN(33), &second));
	ck_assert_uint_eq(first, GIB);
	ck_assert_uint_eq(second, 8 * GIB);
	edu_copy_works(&edu, first, pages, second, pages + PAGE);
	bed_close(&bed);
}
END_TEST

START_TEST(what_was_aligned_before_the_attach_stays_so)
{
	unsigned char *pages = memory(2 * PAGE);
	uint64_t first, second;
	struct bed bed;
	struct edu edu;

	bed_open_device(&bed, EDU);
	ok(iommufd_ioas_map(bed.ioas, pages, PAGE, RW | IOMMUFD_MAP_ALIGN(30), &first));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ok(iommufd_ioas_map(bed.ioas, pages + PAGE, PAGE, RW | IOMMUFD_MAP_ALIGN(30), &second));
	ck_assert_uint_eq(first, GIB);
	ck_assert_uint_eq(second, 2 * GIB);
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, first, pages, second, pages + PAGE);
	bed_close(&bed);
}
END_TEST

START_TEST(a_device_reaches_what_is_inside_of_its_32_bits)
{
	unsigned char *pages = memory(2 * PAGE);
	uint64_t first, second, iova = 7;
	const struct iommufd_range window = { 0, UINT32_MAX };
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	first = within(&bed, 0, UINT32_MAX, pages, 0);
	second = within(&bed, 0, UINT32_MAX, pages + PAGE, IOMMUFD_MAP_ALIGN(31));
	ck_assert_uint_eq(second, 2 * GIB);
	edu_copy_works(&edu, first, pages, second, pages + PAGE);
	fails(iommufd_ioas_map_within(bed.ioas, pages, PAGE, RW | IOMMUFD_MAP_ALIGN(31), &window, &iova), -ENOSPC,
	      "inside of 0x0-0xffffffff");
	ck_assert_uint_eq(iova, 7);
	bed_close(&bed);
}
END_TEST

/* The page on each side of it is taken, and nothing of it. */
START_TEST(the_interrupt_window_is_gone_around_on_both_sides)
{
	const struct iommufd_range window = { MSI_WINDOW - PAGE, MSI_WINDOW + WINDOW_BYTES + PAGE - 1 };
	unsigned char *pages = memory(2 * PAGE);
	uint64_t below, above, iova = 7;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	below = within(&bed, window.start, window.last, pages, 0);
	above = within(&bed, window.start, window.last, pages + PAGE, 0);
	ck_assert_uint_eq(below, MSI_WINDOW - PAGE);
	ck_assert_uint_eq(above, MSI_WINDOW + WINDOW_BYTES);
	fails(iommufd_ioas_map_within(bed.ioas, pages, PAGE, RW, &window, &iova), -ENOSPC, "inside of 0x");
	edu_copy_works(&edu, below, pages, above, pages + PAGE);
	bed_close(&bed);
}
END_TEST

START_TEST(what_is_reserved_is_left_to_fixed_mappings_before_and_after_an_attach)
{
	const struct iommufd_range range = { 0, GIB - 1 };
	unsigned char *pages = memory(4 * PAGE);
	uint64_t picked[2], fixed = 0x100000;
	struct bed bed;
	struct edu edu;

	bed_open_device(&bed, EDU);
	ok(iommufd_ioas_reserve(bed.ioas, &range));
	ok(iommufd_ioas_map(bed.ioas, pages, PAGE, RW, &picked[0]));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ok(iommufd_ioas_map(bed.ioas, pages + PAGE, PAGE, RW, &picked[1]));
	ck_assert_uint_eq(picked[0], GIB);
	ck_assert_uint_eq(picked[1], GIB + PAGE);
	ok(iommufd_ioas_map(bed.ioas, pages + 2 * PAGE, PAGE, RW | IOMMUFD_MAP_FIXED, &fixed));
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, picked[0], pages, fixed, pages + 2 * PAGE);
	ok(iommufd_ioas_unreserve(bed.ioas, &range));
	ok(iommufd_ioas_map(bed.ioas, pages + 3 * PAGE, PAGE, RW, &picked[1]));
	ck_assert_uint_lt(picked[1], fixed);
	edu_copy_works(&edu, picked[1], pages + 3 * PAGE, fixed, pages + 2 * PAGE);
	bed_close(&bed);
}
END_TEST

START_TEST(buffers_and_batches_are_aligned_too)
{
	struct iommufd_map batch = { .vaddr = memory(PAGE), .len = PAGE, .flags = RW | IOMMUFD_MAP_ALIGN(30) };
	struct iommufd_dma dma;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	ok(iommufd_ioas_map_batch(bed.ioas, &batch, 1, NULL));
	ck_assert_uint_eq(batch.iova, GIB);
	ok(iommufd_dma_alloc(bed.ioas, PAGE, RW | IOMMUFD_MAP_ALIGN(30), &dma));
	ck_assert_uint_eq(dma.iova, 2 * GIB);
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, batch.iova, batch.vaddr, dma.iova, dma.vaddr);
	iommufd_dma_free(bed.ioas, &dma);
	bed_close(&bed);
}
END_TEST

void add_place_tests(TCase *tc)
{
	tcase_add_test(tc, a_device_reaches_what_is_aligned_to_1_gib_or_to_8);
	tcase_add_test(tc, what_was_aligned_before_the_attach_stays_so);
	tcase_add_test(tc, a_device_reaches_what_is_inside_of_its_32_bits);
	tcase_add_test(tc, the_interrupt_window_is_gone_around_on_both_sides);
	tcase_add_test(tc, what_is_reserved_is_left_to_fixed_mappings_before_and_after_an_attach);
	tcase_add_test(tc, buffers_and_batches_are_aligned_too);
}
