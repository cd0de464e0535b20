/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Where the library puts what is mapped: the alignment, windows and ranges that a caller asks for. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "scene.h"
#include "uapi/vfio.h"

#define RW (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)

static const uint32_t backends[] = { IOMMUFD_BACKEND_IOMMUFD, IOMMUFD_BACKEND_VFIO };

#define BACKENDS (sizeof(backends) / sizeof(backends[0]))

static struct scene scene;

static uint64_t picked(size_t len, uint32_t flags)
{
	uint64_t iova = 7;

	ck_assert_msg(!iommufd_ioas_map(scene.ioas, scene_memory(1), len, flags, &iova), "%s", iommufd_errmsg());
	return iova;
}

/* Constant expressions, in C at least. */
enum {
	TWO_MIB = IOMMUFD_MAP_ALIGN(21),
	NO_ALIGNMENT = IOMMUFD_MAP_ALIGN(0),
};

START_TEST(an_alignment_fits_into_its_bits_or_into_one_that_is_refused)
{
	static const uint32_t good = IOMMUFD_MAP_ALIGN(63);
	int below = -1;
	long long beyond = INT64_C(1) << 40;

	ck_assert_uint_eq(good, 63u << 8);
	ck_assert_uint_eq(TWO_MIB, 21u << 8);
	ck_assert_uint_eq(NO_ALIGNMENT, 0);
	ck_assert_uint_eq(IOMMUFD_MAP_ALIGN(64), 1u << 14);
	ck_assert_uint_eq(IOMMUFD_MAP_ALIGN(below), 1u << 14);
	ck_assert_uint_eq(IOMMUFD_MAP_ALIGN(beyond), 1u << 14);
}
END_TEST

START_TEST(an_iova_is_aligned_as_asked_or_better)
{
	uint64_t iova;

	for (size_t b = 0; b < BACKENDS; b++) {
		scene_open(&scene, backends[b]);
		ck_assert_uint_eq(picked(SCENE_PAGE, RW), 0x10000);
		ck_assert_uint_eq(picked(SCENE_PAGE, RW | IOMMUFD_MAP_ALIGN(0)), 0x11000);
		ck_assert_uint_eq(picked(SCENE_PAGE, RW | IOMMUFD_MAP_ALIGN(1)), 0x12000);
		ck_assert_uint_eq(picked(SCENE_PAGE, RW | IOMMUFD_MAP_ALIGN(12)), 0x13000);
		ck_assert_uint_eq(picked(SCENE_PAGE, RW | IOMMUFD_MAP_ALIGN(16)), 0x20000);
		ck_assert_uint_eq(picked(SCENE_PAGE, RW | IOMMUFD_MAP_ALIGN(21)), 0x200000);
		ck_assert_uint_eq(picked(SCENE_PAGE, RW | IOMMUFD_MAP_ALIGN(30)), 0x40000000);
		ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
		ck_assert_uint_eq(picked(SCENE_PAGE, RW | IOMMUFD_MAP_ALIGN(30)), 0x80000000);
		ck_assert_uint_eq(picked(SCENE_PAGE, RW | IOMMUFD_MAP_ALIGN(32)), UINT64_C(1) << 32);
		ck_assert_uint_eq(picked(SCENE_PAGE, RW), 0x1000);
		iova = 7;
		unit_fails(-ENOSPC, iommufd_ioas_map(scene.ioas, scene_memory(1), SCENE_PAGE,
						     RW | IOMMUFD_MAP_ALIGN(63), &iova));
		ck_assert_uint_eq(iova, 7);
		scene_close(&scene);
	}
}
END_TEST

START_TEST(an_alignment_that_is_none_is_refused_by_every_call)
{
	const uint32_t flags = RW | IOMMUFD_MAP_ALIGN(64);
	uint64_t iova = 7;
	struct iommufd_dma dma;
	struct iommufd_map request = { .vaddr = scene_memory(1), .len = SCENE_PAGE, .flags = flags };

	scene_open(&scene, backends[0]);
	unit_fails(-EINVAL, iommufd_ioas_map(scene.ioas, scene_memory(1), SCENE_PAGE, flags, &iova));
	unit_words_have("0 to 63");
	unit_fails(-EINVAL, iommufd_ioas_map_batch(scene.ioas, &request, 1, NULL));
	unit_fails(-EINVAL, iommufd_ioas_map_file(scene.ioas, 0, 0, SCENE_PAGE, flags, &iova));
	unit_fails(-EINVAL, iommufd_ioas_copy(scene.ioas, 0, SCENE_PAGE, scene.ioas, flags, &iova));
	unit_fails(-EINVAL, iommufd_dma_alloc(scene.ioas, SCENE_PAGE, flags, &dma));
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	unit_fails(-EINVAL, iommufd_ioas_map_region(scene.ioas, scene.dev, 0, 0, SCENE_PAGE, flags, &iova));
	ck_assert_uint_eq(iova, 7);
	scene_close(&scene);
}
END_TEST

START_TEST(a_fixed_iova_must_have_the_alignment_that_is_asked_for)
{
	uint64_t iova = 0x210000;

	for (size_t b = 0; b < BACKENDS; b++) {
		scene_open(&scene, backends[b]);
		unit_fails(-EINVAL, iommufd_ioas_map(scene.ioas, scene_memory(1), SCENE_PAGE,
						     RW | IOMMUFD_MAP_FIXED | IOMMUFD_MAP_ALIGN(21), &iova));
		unit_words_have("not aligned to 0x200000");
		ck_assert_int_eq(iommufd_ioas_map(scene.ioas, scene_memory(1), SCENE_PAGE,
						  RW | IOMMUFD_MAP_FIXED | IOMMUFD_MAP_ALIGN(16), &iova),
				 0);
		scene_close(&scene);
	}
}
END_TEST

START_TEST(batches_copies_and_buffers_are_aligned_too)
{
	struct iommufd_map requests[2] = {
		{ .vaddr = scene_memory(1), .len = SCENE_PAGE, .flags = RW | IOMMUFD_MAP_ALIGN(24) },
		{ .vaddr = scene_memory(1), .len = SCENE_PAGE, .flags = RW | IOMMUFD_MAP_ALIGN(24) },
	};
	struct iommufd_dma dma;
	uint64_t iova;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	ck_assert_int_eq(iommufd_ioas_map_batch(scene.ioas, requests, 2, NULL), 0);
	ck_assert_uint_eq(requests[0].iova, 1 << 24);
	ck_assert_uint_eq(requests[1].iova, 2 << 24);
	ck_assert_int_eq(
		iommufd_ioas_copy(scene.ioas, 1 << 24, SCENE_PAGE, scene.ioas, RW | IOMMUFD_MAP_ALIGN(24), &iova), 0);
	ck_assert_uint_eq(iova, 3 << 24);
	ck_assert_int_eq(iommufd_dma_alloc(scene.ioas, 1, RW | IOMMUFD_MAP_ALIGN(24), &dma), 0);
	ck_assert_uint_eq(dma.iova, 4 << 24);
	iommufd_dma_free(scene.ioas, &dma);
	scene_close(&scene);
}
END_TEST

/* While memory is got, a device is attached whose IOMMU has larger pages. */
static int attach_with_larger_pages(void *addr, size_t len, int advice)
{
	(void)addr;
	(void)len;
	(void)advice;
	scene.ioas->alignment = 0x10000;
	return 0;
}

START_TEST(a_buffer_is_aligned_to_what_is_larger_when_it_is_mapped)
{
	struct iommufd_dma dma;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	inject_advice(attach_with_larger_pages);
	ck_assert_int_eq(iommufd_dma_alloc(scene.ioas, 1, RW, &dma), 0);
	inject_advice(NULL);
	ck_assert_uint_eq((uintptr_t)dma.vaddr % 0x10000, 0);
	ck_assert_uint_eq(dma.len, 0x10000);
	iommufd_dma_free(scene.ioas, &dma);
	scene_close(&scene);
}
END_TEST

static int map_within(uint64_t start, uint64_t last, size_t len, uint32_t flags, uint64_t *iova)
{
	const struct iommufd_range window = { start, last };

	return iommufd_ioas_map_within(scene.ioas, scene_memory(1), len, flags, &window, iova);
}

static void is_within(uint64_t start, uint64_t last, size_t len, uint32_t flags, uint64_t expected)
{
	uint64_t iova = 7;

	ck_assert_msg(!map_within(start, last, len, flags, &iova), "%s", iommufd_errmsg());
	ck_assert_uint_eq(iova, expected);
}

START_TEST(a_window_bounds_the_choice_at_both_ends)
{
	uint64_t iova = 7;

	for (size_t b = 0; b < BACKENDS; b++) {
		scene_open(&scene, backends[b]);
		is_within(0x40000000, 0x40003fff, 2 * SCENE_PAGE, RW, 0x40000000);
		is_within(0x40000001, 0x40003fff, SCENE_PAGE, RW, 0x40002000);
		unit_fails(-ENOSPC, map_within(0x40000000, 0x40003ffe, SCENE_PAGE, RW, &iova));
		unit_words_have("inside of 0x40000000-0x40003ffe");
		is_within(0x40000000, 0x40003fff, SCENE_PAGE, RW, 0x40003000);
		unit_fails(-ENOSPC, map_within(0x40000000, 0x40003fff, SCENE_PAGE, RW, &iova));
		unit_words_have("inside of 0x40000000-0x40003fff");
		is_within(0, UINT64_MAX, SCENE_PAGE, RW, 0x10000);
		is_within(0, UINT32_MAX, SCENE_PAGE, RW | IOMMUFD_MAP_ALIGN(31), 0x80000000);
		unit_fails(-ENOSPC, map_within(0, UINT32_MAX, SCENE_PAGE, RW | IOMMUFD_MAP_ALIGN(31), &iova));
		ck_assert_uint_eq(iova, 7);
		scene_close(&scene);
	}
}
END_TEST

START_TEST(a_window_is_met_with_what_is_permitted)
{
	uint64_t iova = 7;

	for (size_t b = 0; b < BACKENDS; b++) {
		scene_open(&scene, backends[b]);
		ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
		/* The x86 interrupt window, and the page on each side of it. */
		is_within(0xfedff000, 0xfef00fff, SCENE_PAGE, RW, 0xfedff000);
		is_within(0xfedff000, 0xfef00fff, SCENE_PAGE, RW, 0xfef00000);
		unit_fails(-ENOSPC, map_within(0xfedff000, 0xfef00fff, SCENE_PAGE, RW, &iova));
		unit_fails(-ENOSPC, map_within(0xfee00000, 0xfeefffff, SCENE_PAGE, RW, &iova));
		unit_words_have("inside of 0xfee00000-0xfeefffff");
		scene_close(&scene);
	}
}
END_TEST

/* Where the kernel has no say in it. */
START_TEST(a_window_is_met_with_what_is_allowed)
{
	const struct iommufd_range allowed = { 0x80000000, 0x80001fff };
	uint64_t iova = 7;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	ck_assert_int_eq(iommufd_ioas_allow(scene.ioas, &allowed, 1), 0);
	is_within(0x80001000, 0x8fffffff, SCENE_PAGE, RW, 0x80001000);
	unit_fails(-ENOSPC, map_within(0x80001000, 0x8fffffff, SCENE_PAGE, RW, &iova));
	is_within(0, UINT64_MAX, SCENE_PAGE, RW, 0x80000000);
	scene_close(&scene);
}
END_TEST

START_TEST(where_there_is_no_place_for_the_largest_pages_one_for_large_ones_is_picked)
{
	const uint64_t gib = UINT64_C(1) << 30, start = gib + 0x200000;
	const struct iommufd_range window = { start - SCENE_PAGE, start + gib - 1 };
	uint64_t iova;

	for (size_t b = 0; b < BACKENDS; b++) {
		scene_open(&scene, backends[b]);
		ck_assert_int_eq(iommufd_ioas_map_within(scene.ioas, (void *)(uintptr_t)gib, gib, RW, &window, &iova),
				 0);
		ck_assert_uint_eq(iova, start);
		scene_close(&scene);
	}
}
END_TEST

START_TEST(a_window_that_is_none_is_refused_and_no_window_is_everywhere)
{
	uint64_t iova = 0x20000;

	scene_open(&scene, backends[0]);
	unit_fails(-EINVAL, map_within(0x2000, 0x1fff, SCENE_PAGE, RW, &iova));
	unit_words_have("map inside of 0x2000-0x1fff");
	unit_fails(-EINVAL, map_within(0, UINT32_MAX, SCENE_PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	unit_words_have("IOMMUFD_MAP_FIXED");
	unit_fails(-EINVAL, map_within(0, UINT32_MAX, 0, RW, &iova));
	ck_assert_uint_eq(iova, 0x20000);
	ck_assert_int_eq(iommufd_ioas_map_within(scene.ioas, scene_memory(1), SCENE_PAGE, RW, NULL, &iova), 0);
	ck_assert_uint_eq(iova, 0x10000);
	scene_close(&scene);
}
END_TEST

/* What somebody else has mapped in a container that was adopted, of which only the kernel knows. */
#define FOREIGN_END UINT64_C(0x18000)

static int map_beside_another(int fd, void *arg)
{
	(void)fd;
	return ((struct vfio_iommu_type1_dma_map *)arg)->iova < FOREIGN_END ? -EEXIST : 0;
}

START_TEST(a_place_that_turns_out_to_be_taken_is_left_for_one_of_the_same_window_and_alignment)
{
	uint64_t iova = 7;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	scene.ctx->adopted = true;
	inject_ioctl(VFIO_IOMMU_MAP_DMA, map_beside_another);
	is_within(0x10000, 0x1bfff, SCENE_PAGE, RW | IOMMUFD_MAP_ALIGN(14), 0x18000);
	unit_fails(-ENOSPC, map_within(0x10000, 0x1bfff, SCENE_PAGE, RW | IOMMUFD_MAP_ALIGN(14), &iova));
	unit_fails(-ENOSPC, map_within(0x10000, 0x17fff, SCENE_PAGE, RW, &iova));
	ck_assert_uint_eq(iova, 7);
	ck_assert_uint_eq(ifd_index_count(&scene.ioas->index), 1);
	scene.ctx->adopted = false;
	scene_close(&scene);
}
END_TEST

/* Of sixteen pages from 0x10000 on. */
static unsigned int foreign_pages, tries;

static int map_between_others(int fd, void *arg)
{
	uint64_t iova = ((struct vfio_iommu_type1_dma_map *)arg)->iova;

	(void)fd;
	tries++;
	ck_assert_uint_lt(iova - 0x10000, 0x10000);
	return foreign_pages >> (iova - 0x10000) / SCENE_PAGE & 1 ? -EEXIST : 0;
}

START_TEST(no_page_of_a_narrow_window_is_passed_over_because_others_are_taken)
{
	uint64_t iova = 7;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	scene.ctx->adopted = true;
	inject_ioctl(VFIO_IOMMU_MAP_DMA, map_between_others);
	for (unsigned int free = 0; free < 16; free++) {
		foreign_pages = 0xffff & ~(1u << free);
		is_within(0x10000, 0x1ffff, SCENE_PAGE, RW, 0x10000 + free * SCENE_PAGE);
		iommufd_ioas_unmap_all(scene.ioas, NULL);
	}
	foreign_pages = 0xffff;
	tries = 0;
	unit_fails(-ENOSPC, map_within(0x10000, 0x1ffff, SCENE_PAGE, RW, &iova));
	unit_words_have("inside of 0x10000-0x1ffff");
	ck_assert_uint_eq(tries, 16);
	ck_assert_uint_eq(iova, 7);
	scene.ctx->adopted = false;
	scene_close(&scene);
}
END_TEST

static int map_nowhere(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	tries++;
	return -EEXIST;
}

START_TEST(who_has_taken_all_is_soon_found_out)
{
	uint64_t iova = 7;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	scene.ctx->adopted = true;
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	inject_ioctl(VFIO_IOMMU_MAP_DMA, map_nowhere);
	tries = 0;
	unit_fails(-ENOSPC, map_within(0, UINT32_MAX, SCENE_PAGE, RW, &iova));
	unit_words_have("inside of 0x0-0xffffffff");
	ck_assert_uint_ge(tries, 16);
	ck_assert_uint_le(tries, 1100);
	tries = 0;
	unit_fails(-ENOSPC, iommufd_ioas_map(scene.ioas, scene_memory(1), SCENE_PAGE, RW, &iova));
	ck_assert_uint_ge(tries, 16);
	ck_assert_uint_le(tries, 64);
	ck_assert_uint_eq(iova, 7);
	scene.ctx->adopted = false;
	scene_close(&scene);
}
END_TEST

static int reserve(uint64_t start, uint64_t last)
{
	const struct iommufd_range range = { start, last };

	return iommufd_ioas_reserve(scene.ioas, &range);
}

static int unreserve(uint64_t start, uint64_t last)
{
	const struct iommufd_range range = { start, last };

	return iommufd_ioas_unreserve(scene.ioas, &range);
}

START_TEST(nothing_is_picked_of_what_is_reserved_until_it_is_given_back)
{
	uint64_t iova = 0x12000;

	for (size_t b = 0; b < BACKENDS; b++) {
		scene_open(&scene, backends[b]);
		ck_assert_uint_eq(picked(SCENE_PAGE, RW), 0x10000);
		ck_assert_int_eq(reserve(0x10000, 0x13fff), 0); /* over what is mapped */
		ck_assert_int_eq(reserve(0, 0x5fff), 0);
		ck_assert_int_eq(reserve(0x16001, 0x16001), 0);
		ck_assert_uint_eq(picked(2 * SCENE_PAGE, RW), 0x14000);
		ck_assert_uint_eq(picked(SCENE_PAGE, RW), 0x17000);
		ck_assert_int_eq(
			iommufd_ioas_map(scene.ioas, scene_memory(1), SCENE_PAGE, RW | IOMMUFD_MAP_FIXED, &iova), 0);
		ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
		ck_assert_uint_eq(picked(SCENE_PAGE, RW), 0x6000);
		ck_assert_int_eq(unreserve(0x10000, 0x13fff), 0);
		is_within(0x10000, UINT64_MAX, SCENE_PAGE, RW, 0x11000);
		is_within(0x10000, UINT64_MAX, SCENE_PAGE, RW, 0x13000);
		is_within(0x10000, UINT64_MAX, SCENE_PAGE, RW, 0x18000);
		ck_assert_int_eq(unreserve(0x16001, 0x16001), 0);
		is_within(0x10000, UINT64_MAX, SCENE_PAGE, RW, 0x16000);
		ck_assert_int_eq(reserve(0, UINT64_MAX >> 1), -EEXIST);
		ck_assert_int_eq(unreserve(0, 0x5fff), 0);
		ck_assert_int_eq(reserve(0, UINT64_MAX), 0);
		unit_fails(-ENOSPC, iommufd_ioas_map(scene.ioas, scene_memory(1), SCENE_PAGE, RW, &iova));
		unit_words_have("iommufd_ioas_unreserve()");
		scene_close(&scene);
	}
}
END_TEST

START_TEST(ranges_that_are_reserved_are_apart_and_given_back_as_they_were_reserved)
{
	scene_open(&scene, backends[0]);
	unit_fails(-EINVAL, reserve(0x2000, 0x1fff));
	unit_words_have("reserve 0x2000-0x1fff");
	unit_fails(-ENOENT, unreserve(0x2000, 0x2fff));
	ck_assert_int_eq(reserve(0x2000, 0x2fff), 0);
	unit_fails(-EEXIST, reserve(0x2fff, 0x3fff));
	unit_words_have("0x2000-0x2fff is reserved");
	unit_fails(-EEXIST, reserve(0x1000, 0x2000));
	unit_fails(-EEXIST, reserve(0, UINT64_MAX));
	ck_assert_int_eq(reserve(0x3000, 0x3fff), 0);
	ck_assert_int_eq(reserve(0x1000, 0x1fff), 0);
	unit_fails(-ENOENT, unreserve(0x2000, 0x3fff));
	unit_fails(-ENOENT, unreserve(0x2000, 0x2ffe));
	unit_fails(-ENOENT, unreserve(0x2001, 0x2fff));
	ck_assert_int_eq(unreserve(0x2000, 0x2fff), 0);
	unit_fails(-ENOENT, unreserve(0x2000, 0x2fff));
	unit_fails(-EEXIST, reserve(0x2000, 0x3000));
	ck_assert_int_eq(reserve(0x2000, 0x2fff), 0);
	scene_close(&scene);
}
END_TEST

START_TEST(the_number_of_ranges_that_are_reserved_is_bounded)
{
	scene_open(&scene, backends[0]);
	for (uint64_t i = 256; i; i--)
		ck_assert_int_eq(reserve(i << 20, (i << 20) + 1), 0);
	unit_fails(-ENOSPC, reserve(0, 1));
	unit_words_have("256 others");
	ck_assert_int_eq(unreserve(UINT64_C(77) << 20, (UINT64_C(77) << 20) + 1), 0);
	ck_assert_int_eq(reserve(0, 1), 0);
	unit_fails(-ENOSPC, reserve(UINT64_C(77) << 20, (UINT64_C(77) << 20) + 1));
	for (uint64_t i = 256; i; i--)
		ck_assert_int_eq(unreserve(i << 20, (i << 20) + 1), i == 77 ? -ENOENT : 0);
	ck_assert_int_eq(unreserve(0, 1), 0);
	scene_close(&scene);
}
END_TEST

START_TEST(only_the_first_range_that_is_reserved_needs_memory)
{
	scene_open(&scene, backends[0]);
	inject_fail(INJECT_MEMORY, 1, -ENOMEM);
	unit_fails(-ENOMEM, reserve(0, 1));
	unit_fails(-ENOENT, unreserve(0, 1));
	ck_assert_int_eq(reserve(0, 1), 0);
	inject_fail(INJECT_MEMORY, 1, -ENOMEM);
	ck_assert_int_eq(reserve(2, 3), 0);
	ck_assert_int_eq(unreserve(0, 1), 0);
	ck_assert_int_eq(unreserve(2, 3), 0);
	ck_assert_int_eq(reserve(0, 1), 0);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, an_alignment_fits_into_its_bits_or_into_one_that_is_refused);
	tcase_add_test(tcase, an_iova_is_aligned_as_asked_or_better);
	tcase_add_test(tcase, an_alignment_that_is_none_is_refused_by_every_call);
	tcase_add_test(tcase, a_fixed_iova_must_have_the_alignment_that_is_asked_for);
	tcase_add_test(tcase, batches_copies_and_buffers_are_aligned_too);
	tcase_add_test(tcase, a_buffer_is_aligned_to_what_is_larger_when_it_is_mapped);
	tcase_add_test(tcase, a_window_bounds_the_choice_at_both_ends);
	tcase_add_test(tcase, a_window_is_met_with_what_is_permitted);
	tcase_add_test(tcase, a_window_is_met_with_what_is_allowed);
	tcase_add_test(tcase, where_there_is_no_place_for_the_largest_pages_one_for_large_ones_is_picked);
	tcase_add_test(tcase, a_window_that_is_none_is_refused_and_no_window_is_everywhere);
	tcase_add_test(tcase, a_place_that_turns_out_to_be_taken_is_left_for_one_of_the_same_window_and_alignment);
	tcase_add_test(tcase, no_page_of_a_narrow_window_is_passed_over_because_others_are_taken);
	tcase_add_test(tcase, who_has_taken_all_is_soon_found_out);
	tcase_add_test(tcase, nothing_is_picked_of_what_is_reserved_until_it_is_given_back);
	tcase_add_test(tcase, ranges_that_are_reserved_are_apart_and_given_back_as_they_were_reserved);
	tcase_add_test(tcase, the_number_of_ranges_that_are_reserved_is_bounded);
	tcase_add_test(tcase, only_the_first_range_that_is_reserved_needs_memory);
}
