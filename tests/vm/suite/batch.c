/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Several mappings at once, and how many more there may be. */
#include <sys/mman.h>
#include <sys/uio.h>

#include "vm.h"

#define N 16

static void fill(struct iommufd_map *maps, unsigned char *pages)
{
	for (unsigned int i = 0; i < N; i++)
		maps[i] = (struct iommufd_map){ .vaddr = pages + i * PAGE, .len = PAGE, .iova = 42, .flags = RW };
}

/* Neither index nor kernel has anything. */
static void check_empty(struct bed *bed, unsigned char *pages)
{
	uint64_t iova, bytes;

	for (unsigned int i = 0; i < N; i++)
		ck_assert_int_eq(iommufd_ioas_to_iova(bed->ioas, pages + i * PAGE, 1, &iova), -ENOENT);
	ok(iommufd_ioas_unmap_all(bed->ioas, &bytes));
	ck_assert_uint_eq(bytes, 0);
	iova = 0x100000;
	ok(iommufd_ioas_map(bed->ioas, pages, N * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_ioas_unmap_all(bed->ioas, &bytes));
}

START_TEST(a_batch_makes_all_mappings)
{
	unsigned char *pages = memory(N * PAGE);
	struct iommufd_map maps[N];
	uint64_t iova, bytes;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	fill(maps, pages);
	maps[3].flags |= IOMMUFD_MAP_FIXED;
	maps[3].iova = 0x700000;
	ok(iommufd_ioas_map_batch(bed.ioas, maps, N, NULL));
	ck_assert_uint_eq(maps[3].iova, 0x700000);
	for (unsigned int i = 0; i < N; i++) {
		ok(iommufd_ioas_to_iova(bed.ioas, pages + i * PAGE, PAGE, &iova));
		ck_assert_uint_eq(iova, maps[i].iova);
	}
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, maps[0].iova, pages, maps[N - 1].iova, pages + (N - 1) * PAGE);
	ok(iommufd_ioas_unmap_all(bed.ioas, &bytes));
	ck_assert_uint_eq(bytes, N * PAGE);
	bed_close(&bed);
}
END_TEST

START_TEST(a_batch_with_a_mistake_in_it_maps_nothing_and_names_the_mistake)
{
	unsigned char *pages = memory(N * PAGE);
	struct iommufd_map maps[N];
	struct bed bed;

	bed_attach(&bed, EDU);
	fails(iommufd_ioas_map_batch(bed.ioas, maps, 0, NULL), -EINVAL, "one mapping at least");
	fill(maps, pages);
	maps[7].len = 0;
	fails(iommufd_ioas_map_batch(bed.ioas, maps, N, NULL), -EINVAL, "map 7 of a batch of 16");
	fill(maps, pages);
	maps[0].reserved = 1;
	fails(iommufd_ioas_map_batch(bed.ioas, maps, N, NULL), -EINVAL, "map 0 of a batch");
	fill(maps, pages);
	maps[15].flags = 0;
	fails(iommufd_ioas_map_batch(bed.ioas, maps, N, NULL), -EINVAL, "IOMMUFD_MAP_READ");
	/* Two of the same batch in each other's way. */
	fill(maps, pages);
	maps[4].iova = maps[9].iova = 0x500000;
	maps[4].flags = maps[9].flags = RW | IOMMUFD_MAP_FIXED;
	fails(iommufd_ioas_map_batch(bed.ioas, maps, N, NULL), -EEXIST, "0x500000-0x500fff is mapped");
	ck_assert_uint_eq(maps[0].iova, 42);
	check_empty(&bed, pages);
	bed_close(&bed);
}
END_TEST

START_TEST(a_batch_that_the_kernel_refuses_in_the_middle_is_taken_back)
{
	unsigned char *pages = memory(N * PAGE);
	struct iommufd_map maps[N];
	struct bed bed;

	bed_attach(&bed, EDU);
	fill(maps, pages);
	mprotect(pages + 11 * PAGE, PAGE, PROT_NONE);
	fails(iommufd_ioas_map_batch(bed.ioas, maps, N, NULL), -EFAULT, "map 11 of a batch of 16");
	for (unsigned int i = 0; i < N; i++)
		ck_assert_uint_eq(maps[i].iova, 42);
	mprotect(pages + 11 * PAGE, PAGE, PROT_READ | PROT_WRITE);
	check_empty(&bed, pages);
	ok(iommufd_ioas_map_batch(bed.ioas, maps, N, NULL));
	bed_close(&bed);
}
END_TEST

START_TEST(the_number_of_mappings_left_goes_down_and_up)
{
	unsigned char *pages = memory(N * PAGE);
	struct iommufd_map maps[N];
	uint64_t before, left;
	struct bed bed;

	bed_open_device(&bed, EDU);
	fill(maps, pages);
	for (int attached = 0; attached < 2; attached++) {
		ok(iommufd_ioas_maps_left(bed.ioas, &before));
		ok(iommufd_ioas_map_batch(bed.ioas, maps, N, NULL));
		ok(iommufd_ioas_maps_left(bed.ioas, &left));
		ck_assert_uint_eq(before, vm_backend == IOMMUFD_BACKEND_IOMMUFD ? UINT64_MAX
					  : vm_path->compat && attached         ? UINT32_MAX
										: 65535);
		if (before == UINT64_MAX || before == UINT32_MAX) { /* iommufd, or a container that it serves */
			ck_assert_uint_eq(left, before);
		} else {
			ck_assert_uint_eq(left, before - N);
		}
		ok(iommufd_ioas_unmap_all(bed.ioas, NULL));
		ok(iommufd_ioas_maps_left(bed.ioas, &left));
		ck_assert_uint_eq(left, before);
		if (!attached)
			ok(iommufd_device_attach(bed.dev, bed.ioas));
	}
	bed_close(&bed);
}
END_TEST

START_TEST(a_buffer_is_a_list_of_runs)
{
	unsigned char *pages = memory(N * PAGE);
	uint64_t low = 0x100000, next = low + 4 * PAGE, apart = 0x200000;
	struct iovec pieces[3] = { { pages + 1, 3 * PAGE }, { pages + 4 * PAGE, PAGE }, { pages + 9 * PAGE, 16 } };
	struct iommufd_segment runs[4] = { { 0, 0 } };
	struct bed bed;

	bed_attach(&bed, EDU);
	ok(iommufd_ioas_map(bed.ioas, pages, 4 * PAGE, RW | IOMMUFD_MAP_FIXED, &low));
	ok(iommufd_ioas_map(bed.ioas, pages + 4 * PAGE, 4 * PAGE, RW | IOMMUFD_MAP_FIXED, &next));
	ok(iommufd_ioas_map(bed.ioas, pages + 8 * PAGE, 4 * PAGE, RW | IOMMUFD_MAP_FIXED, &apart));

	/* Over the border of two mappings that are neighbours on both sides: one run. */
	ck_assert_int_eq(iommufd_ioas_to_iovas(bed.ioas, &(struct iovec){ pages + 1, 8 * PAGE - 1 }, 1, runs, 4), 1);
	ck_assert_uint_eq(runs[0].addr, low + 1);
	ck_assert_uint_eq(runs[0].len, 8 * PAGE - 1);
	/* And of two that are not. */
	ck_assert_int_eq(iommufd_ioas_to_iovas(bed.ioas, &(struct iovec){ pages, 10 * PAGE }, 1, runs, 4), 2);
	ck_assert_uint_eq(runs[0].len, 8 * PAGE);
	ck_assert_uint_eq(runs[1].addr, apart);
	ck_assert_uint_eq(runs[1].len, 2 * PAGE);

	ck_assert_int_eq(iommufd_ioas_to_iovas(bed.ioas, pieces, 3, runs, 4), 3);
	ck_assert_uint_eq(runs[1].addr, next);
	ck_assert_uint_eq(runs[2].addr, apart + PAGE);
	ck_assert_uint_eq(runs[2].len, 16);
	/* How many there are is told even where there is no room for them. */
	runs[1].addr = 7;
	ck_assert_int_eq(iommufd_ioas_to_iovas(bed.ioas, pieces, 3, runs, 1), 3);
	ck_assert_uint_eq(runs[1].addr, 7);
	ck_assert_int_eq(iommufd_ioas_to_iovas(bed.ioas, pieces, 3, NULL, 0), 3);
	ck_assert_int_eq(iommufd_ioas_to_iovas(bed.ioas, pieces, 0, NULL, 0), 0);

	ck_assert_int_eq(iommufd_ioas_to_iovas(bed.ioas, &(struct iovec){ pages, 12 * PAGE + 1 }, 1, runs, 4), -ENOENT);
	fails(iommufd_ioas_to_iovas(bed.ioas, &(struct iovec){ pages, 0 }, 1, runs, 4), -EINVAL, "length");
	fails(iommufd_ioas_to_iovas(bed.ioas, &(struct iovec){ pages, SIZE_MAX }, 1, runs, 4), -EINVAL, "length");
	bed_close(&bed);
}
END_TEST

void add_batch_tests(TCase *tc)
{
	tcase_add_test(tc, a_buffer_is_a_list_of_runs);
	tcase_add_test(tc, a_batch_makes_all_mappings);
	tcase_add_test(tc, a_batch_with_a_mistake_in_it_maps_nothing_and_names_the_mistake);
	tcase_add_test(tc, a_batch_that_the_kernel_refuses_in_the_middle_is_taken_back);
	tcase_add_test(tc, the_number_of_mappings_left_goes_down_and_up);
}
