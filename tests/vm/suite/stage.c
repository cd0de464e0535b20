/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Which page tables an Intel IOMMU uses, on machines that say which those must be. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "vm.h"

/* "first", "second", or "" where it does not matter. */
static const char *stage(void)
{
	const char *name = getenv("TEST_STAGE");

	return name ? name : "";
}

static bool first_stage(void)
{
	return !strcmp(stage(), "first");
}

START_TEST(the_iommu_offers_the_stage_that_the_machine_is_for)
{
	uint64_t ecap;
	FILE *file = fopen("/sys/class/iommu/dmar0/intel-iommu/ecap", "r");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%" SCNx64, &ecap), 1);
	fclose(file);
	ck_assert_uint_eq(ecap >> 47 & 1, first_stage());
}
END_TEST

/* Addresses are those of a CPU in the first stage, and only their lower half is used: of 48 bits, 47. */
START_TEST(addresses_are_as_wide_as_in_the_stage_that_the_machine_is_for)
{
	struct iommufd_range ranges[16];
	struct bed bed;
	int count;

	bed_attach(&bed, EDU);
	count = ok(iommufd_ioas_ranges(bed.ioas, ranges, 16));
	ck_assert_int_le(count, 16);
	ck_assert_uint_eq(ranges[count - 1].last, (UINT64_C(1) << (first_stage() ? 47 : 48)) - 1);
	bed_close(&bed);
}
END_TEST

/* The first stage's tables, like those of a CPU, cannot tell that a page may be written and not be read. */
START_TEST(what_is_mapped_for_writing_alone_can_be_read_in_the_first_stage_only)
{
	unsigned char *page = memory(2 * PAGE);
	uint64_t iova = 0x100000, other = 0x200000;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_ioas_map(bed.ioas, page, PAGE, IOMMUFD_MAP_WRITE | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_ioas_map(bed.ioas, page + PAGE, PAGE, RW | IOMMUFD_MAP_FIXED, &other));
	memset(page, 0x5a, PAGE);
	if (!first_stage())
		vm_expect_fault(EDU, iova);
	edu_read_memory(&edu, iova, EDU_CHUNK);
	edu_write_memory(&edu, other, EDU_CHUNK);
	ck_assert_int_eq(page[PAGE] == 0x5a, first_stage());
	bed_close(&bed);
}
END_TEST

void add_stage_tests(TCase *tc)
{
	if (!*stage())
		return;
	tcase_add_test(tc, the_iommu_offers_the_stage_that_the_machine_is_for);
	tcase_add_test(tc, addresses_are_as_wide_as_in_the_stage_that_the_machine_is_for);
	tcase_add_test(tc, what_is_mapped_for_writing_alone_can_be_read_in_the_first_stage_only);
}
