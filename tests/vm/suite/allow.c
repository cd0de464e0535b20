/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The list of IOVAs that may be picked, and the size of an IOMMU's pages. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "vm.h"

static void allow(struct iommufd_ioas *ioas, uint64_t start, uint64_t last)
{
	const struct iommufd_range range = { start, last };

	ok(iommufd_ioas_allow(ioas, &range, 1));
}

static uint64_t picked(struct iommufd_ioas *ioas, size_t len)
{
	uint64_t iova = 0;

	ok(iommufd_ioas_map(ioas, memory(len), len, RW, &iova));
	return iova;
}

START_TEST(picked_iovas_are_of_the_list_until_that_is_emptied)
{
	uint64_t iova = 7, outside = 0x100000;
	struct bed bed;

	bed_open_device(&bed, EDU);
	allow(bed.ioas, 0x40000000, 0x40001fff);
	ck_assert_uint_eq(picked(bed.ioas, PAGE), 0x40000000);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ck_assert_uint_eq(picked(bed.ioas, PAGE), 0x40001000);
	fails(iommufd_ioas_map(bed.ioas, memory(PAGE), PAGE, RW, &iova), -ENOSPC, "iommufd_ioas_allow()");
	ck_assert_uint_eq(iova, 7);
	ok(iommufd_ioas_map(bed.ioas, memory(PAGE), PAGE, RW | IOMMUFD_MAP_FIXED, &outside));
	allow(bed.ioas, 0x50000000, 0x50000fff);
	ck_assert_uint_eq(picked(bed.ioas, PAGE), 0x50000000);
	ok(iommufd_device_detach(bed.dev));
	fails(iommufd_ioas_map(bed.ioas, memory(PAGE), PAGE, RW, &iova), -ENOSPC, "no free IOVAs");
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ok(iommufd_ioas_allow(bed.ioas, NULL, 0));
	ck_assert_uint_lt(picked(bed.ioas, PAGE), 0x40000000);
	bed_close(&bed);
}
END_TEST

/* Five pages fit only where ranges were put together. */
START_TEST(ranges_that_touch_or_overlap_become_one)
{
	const struct iommufd_range ranges[] = {
		{ 0x40004000, 0x40004fff }, { 0x40000000, 0x40001fff }, { 0x40002000, 0x40003fff },
		{ 0x40001000, 0x40002fff }, { 0x40003000, 0x40003000 },
	};
	uint64_t iova = 7;
	struct bed bed;

	bed_attach(&bed, EDU);
	ok(iommufd_ioas_allow(bed.ioas, ranges, 4));
	ok(iommufd_ioas_allow(bed.ioas, ranges, 5));
	ck_assert_uint_eq(picked(bed.ioas, 5 * PAGE), 0x40000000);
	allow(bed.ioas, 0x40005000, 0x40005fff);
	ck_assert_uint_eq(picked(bed.ioas, PAGE), 0x40005000);
	allow(bed.ioas, 0x40007000, 0x40007fff); /* and what does not touch stays apart */
	fails(iommufd_ioas_map(bed.ioas, memory(2 * PAGE), 2 * PAGE, RW, &iova), -ENOSPC, "no free IOVAs");
	bed_close(&bed);
}
END_TEST

START_TEST(a_device_that_reserves_some_of_the_list_is_not_attached)
{
	char words[128];
	uint64_t iova;
	struct bed bed;

	bed_open_device(&bed, EDU);
	allow(bed.ioas, MSI_WINDOW - 0x100000, MSI_WINDOW + PAGE - 1);
	snprintf(words, sizeof(words),
		 "0x%" PRIx64 "-0x%" PRIx64 " of what iommufd_ioas_allow() was given is not permitted",
		 MSI_WINDOW - 0x100000, MSI_WINDOW + PAGE - 1);
	fails(iommufd_device_attach(bed.dev, bed.ioas), -EADDRINUSE, words);
	ck_assert_int_eq(iommufd_device_detach(bed.dev), -ENOTCONN);
	iova = picked(bed.ioas, PAGE);
	ck_assert_uint_eq(iova, MSI_WINDOW - 0x100000);
	ok(iommufd_ioas_allow(bed.ioas, NULL, 0));
	allow(bed.ioas, MSI_WINDOW - 0x100000, MSI_WINDOW - 1);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	bed_close(&bed);
}
END_TEST

START_TEST(what_a_device_does_not_permit_cannot_be_allowed)
{
	const struct iommufd_range wrong[] = {
		{ 0x40000000, 0x40000fff }, { MSI_WINDOW, MSI_WINDOW + PAGE - 1 },
		{ 0x2000, 0x1fff },         { 0x5000, 0x5000 },
		{ 0x60000000, UINT64_MAX },
	};
	uint64_t iova;
	struct bed bed;

	bed_attach(&bed, EDU);
	fails(iommufd_ioas_allow(bed.ioas, wrong, 2), -EADDRINUSE, MSI_WINDOW_PAGE);
	fails(iommufd_ioas_allow(bed.ioas, wrong + 2, 1), -EINVAL, "end before it starts");
	fails(iommufd_ioas_allow(bed.ioas, wrong + 3, 1), -EINVAL, "a range of a single address");
	fails(iommufd_ioas_allow(bed.ioas, wrong + 4, 1), -EADDRINUSE, "0x60000000-0xffffffffffffffff");
	fails(iommufd_ioas_allow(bed.ioas, wrong, 65537), -EINVAL, "fewer and larger");
	fails(iommufd_ioas_allow(bed.ioas, wrong, SIZE_MAX), -EINVAL, "fewer and larger");
	iova = picked(bed.ioas, PAGE); /* nothing of all this was kept */
	ck_assert_uint_lt(iova, 0x40000000);
	bed_close(&bed);
}
END_TEST

START_TEST(all_addresses_may_be_allowed_while_nothing_is_attached)
{
	struct bed bed;

	bed_open_device(&bed, EDU);
	allow(bed.ioas, 0, UINT64_MAX);
	allow(bed.ioas, 0x1000, 0x2fff);
	ck_assert_uint_eq(picked(bed.ioas, PAGE), PAGE); /* never 0 */
	fails(iommufd_device_attach(bed.dev, bed.ioas), -EADDRINUSE, "0x0-0xffffffffffffffff");
	bed_close(&bed);
}
END_TEST

START_TEST(many_ranges_that_touch_take_no_place)
{
	struct iommufd_range *ranges = calloc(65536, sizeof(*ranges));
	struct bed bed;

	bed_attach(&bed, EDU);
	for (unsigned int i = 0; i < 65536; i++)
		ranges[i] = (struct iommufd_range){ 0x40000000 + (uint64_t)i * PAGE,
						    0x40000000 + (uint64_t)(i + 1) * PAGE - 1 };
	ok(iommufd_ioas_allow(bed.ioas, ranges, 65535));
	ok(iommufd_ioas_allow(bed.ioas, ranges + 1, 65535));
	ck_assert_uint_eq(picked(bed.ioas, 4096 * PAGE), 0x40000000);
	free(ranges);
	bed_close(&bed);
}
END_TEST

/* ---- Huge pages ---- */

START_TEST(huge_pages_can_be_switched_off_before_something_is_mapped)
{
	uint32_t on = 7;
	uint64_t iova;
	struct bed bed;
	struct edu edu;
	void *huge = memory(4 << 20);

	bed_attach(&bed, EDU);
	if (vm_backend == IOMMUFD_BACKEND_VFIO) {
		fails(iommufd_ioas_set_huge_pages(bed.ioas, 0), -EOPNOTSUPP, "use the backend iommufd");
		fails(iommufd_ioas_get_huge_pages(bed.ioas, &on), -EOPNOTSUPP, "use the backend iommufd");
		ck_assert_uint_eq(on, 7);
		bed_close(&bed);
		return;
	}
	ok(iommufd_ioas_get_huge_pages(bed.ioas, &on));
	ck_assert_uint_eq(on, 1);
	fails(iommufd_ioas_set_huge_pages(bed.ioas, 2), -EINVAL, "1 for on");
	ok(iommufd_ioas_set_huge_pages(bed.ioas, 0));
	ok(iommufd_ioas_get_huge_pages(bed.ioas, &on));
	ck_assert_uint_eq(on, 0);
	ck_assert_uint_eq(iommufd_ioas_alignment(bed.ioas), PAGE);
	edu_setup(&edu, bed.dev);
	ok(iommufd_ioas_map(bed.ioas, huge, 4 << 20, RW, &iova));
	edu_copy_works(&edu, iova, huge, iova + (3 << 20), (char *)huge + (3 << 20));
	ok(iommufd_ioas_set_huge_pages(bed.ioas, 1));
	fails(iommufd_ioas_set_huge_pages(bed.ioas, 0), -EBUSY, "before something is mapped");
	ok(iommufd_ioas_unmap_all(bed.ioas, NULL));
	ok(iommufd_ioas_set_huge_pages(bed.ioas, 0));
	bed_close(&bed);
}
END_TEST

void add_allow_tests(TCase *tc)
{
	tcase_add_test(tc, picked_iovas_are_of_the_list_until_that_is_emptied);
	tcase_add_test(tc, ranges_that_touch_or_overlap_become_one);
	tcase_add_test(tc, a_device_that_reserves_some_of_the_list_is_not_attached);
	tcase_add_test(tc, what_a_device_does_not_permit_cannot_be_allowed);
	tcase_add_test(tc, all_addresses_may_be_allowed_while_nothing_is_attached);
	tcase_add_test(tc, many_ranges_that_touch_take_no_place);
	tcase_add_test(tc, huge_pages_can_be_switched_off_before_something_is_mapped);
}
