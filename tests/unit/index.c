/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The index of mappings. */
#include <errno.h>
#include <stdlib.h>

#include "index.h"
#include "iova.h"
#include "unit.h"

#define PAGE UINT64_C(0x1000)

static void *at(uintptr_t vaddr)
{
	return (void *)vaddr; /* never looked at */
}

static struct ifd_map *reserved(struct ifd_index *index, uintptr_t vaddr, uint64_t iova, size_t len)
{
	struct ifd_map *map = ifd_map_new(at(vaddr), len, 3);
	struct iommufd_range there;

	ck_assert_ptr_nonnull(map);
	ck_assert_int_eq(ifd_index_reserve(index, map, iova, &there), 0);
	return map;
}

static struct ifd_map *live(struct ifd_index *index, uintptr_t vaddr, uint64_t iova, size_t len)
{
	struct ifd_map *map = reserved(index, vaddr, iova, len);

	ifd_index_commit(index, map);
	return map;
}

static void is_at(struct ifd_index *index, uintptr_t vaddr, uint64_t iova, size_t len)
{
	uint64_t found_iova = 1, found_vaddr = 1;

	ck_assert_int_eq(ifd_index_to_iova(index, vaddr, len, &found_iova), 0);
	ck_assert_uint_eq(found_iova, iova);
	ck_assert_int_eq(ifd_index_to_vaddr(index, iova, len, &found_vaddr), 0);
	ck_assert_uint_eq(found_vaddr, vaddr);
}

static void is_not_at(struct ifd_index *index, uintptr_t vaddr, uint64_t iova, size_t len)
{
	uint64_t found_iova = 1, found_vaddr = 1;

	ck_assert_int_eq(ifd_index_to_iova(index, vaddr, len, &found_iova), -ENOENT);
	ck_assert_uint_eq(found_iova, 1);
	ck_assert_int_eq(ifd_index_to_vaddr(index, iova, len, &found_vaddr), -ENOENT);
	ck_assert_uint_eq(found_vaddr, 1);
}

START_TEST(a_mapping_is_translated_from_its_commit_to_its_leaving)
{
	struct iommufd_range there;
	struct ifd_index index;
	struct ifd_map *map, *list = NULL;

	ifd_index_init(&index);
	map = reserved(&index, 0x100000, 0x40000, 4 * PAGE);
	is_not_at(&index, 0x100000, 0x40000, 1);
	ifd_index_commit(&index, map);
	is_at(&index, 0x100000, 0x40000, 4 * PAGE);
	is_at(&index, 0x101234, 0x41234, 0x100);
	is_at(&index, 0x103fff, 0x43fff, 1);

	ck_assert_int_eq(ifd_index_leave(&index, 0x40000, 0x43fff, &list, &there), 0);
	ck_assert_ptr_eq(list, map);
	ck_assert_ptr_null(list->next);
	is_not_at(&index, 0x100000, 0x40000, 1);
	ifd_index_stay(&index, map);
	is_at(&index, 0x100000, 0x40000, 4 * PAGE);

	ck_assert_int_eq(ifd_index_leave(&index, 0x40000, 0x43fff, &list, &there), 0);
	ifd_index_left(&index, map);
	is_not_at(&index, 0x100000, 0x40000, 1);
	ck_assert_uint_eq(ifd_index_bytes(&index), 0);
	ifd_index_fini(&index);
}
END_TEST

START_TEST(translation_covers_no_more_than_one_mapping)
{
	struct ifd_index index;

	ifd_index_init(&index);
	live(&index, 0x100000, 0x40000, PAGE);
	live(&index, 0x101000, 0x41000, PAGE); /* a neighbour on both sides */
	is_at(&index, 0x100fff, 0x40fff, 1);
	is_not_at(&index, 0x100fff, 0x40fff, 2);
	is_not_at(&index, 0x0fffff, 0x3ffff, 2);
	is_not_at(&index, 0x102000, 0x42000, 1);
	is_not_at(&index, 0x101000, 0x41000, SIZE_MAX); /* past the end of everything */
	ifd_index_fini(&index);
}
END_TEST

START_TEST(a_reservation_that_overlaps_is_refused_and_names_the_lowest_that_is_there)
{
	static const struct iommufd_range tried[] = {
		{ 0x40000, 0x40fff }, { 0x43000, 0x43fff }, { 0x3f000, 0x40fff }, { 0x41000, 0x42fff },
		{ 0x30000, 0x4ffff }, { 0x43000, 0x44fff }, { 0x40000, 0x50fff },
	};
	struct iommufd_range there;
	struct ifd_index index;

	ifd_index_init(&index);
	reserved(&index, 0x100000, 0x40000, 4 * PAGE); /* in the way before its commit, too */
	live(&index, 0x200000, 0x50000, PAGE);
	for (size_t i = 0; i < sizeof(tried) / sizeof(tried[0]); i++) {
		size_t len = tried[i].last - tried[i].start + 1;
		struct ifd_map *map = ifd_map_new(at(0x300000), len, 3);

		there = (struct iommufd_range){ 1, 1 };
		ck_assert_int_eq(ifd_index_reserve(&index, map, tried[i].start, &there), -EEXIST);
		ck_assert_uint_eq(there.start, 0x40000);
		ck_assert_uint_eq(there.last, 0x43fff);
		free(map);
	}
	ck_assert_uint_eq(index.count, 2);
	ck_assert_uint_eq(ifd_index_bytes(&index), 5 * PAGE);
	ifd_index_fini(&index);
}
END_TEST

START_TEST(what_was_withdrawn_leaves_its_place_free)
{
	struct ifd_index index;
	struct ifd_map *map;

	ifd_index_init(&index);
	map = reserved(&index, 0x100000, 0x40000, PAGE);
	ck_assert_uint_eq(ifd_index_bytes(&index), PAGE);
	ifd_index_withdraw(&index, map);
	ck_assert_uint_eq(ifd_index_bytes(&index), 0);
	ck_assert_ptr_null(ifd_index_next(&index, 0, UINT64_MAX));
	free(map);
	live(&index, 0x200000, 0x40000, PAGE);
	is_at(&index, 0x200000, 0x40000, PAGE);
	ifd_index_fini(&index);
}
END_TEST

static void refuses_to_leave(struct ifd_index *index, uint64_t start, uint64_t last, int err,
			     struct iommufd_range expected)
{
	struct iommufd_range there = { 1, 1 };
	struct ifd_map *list = NULL;

	ck_assert_int_eq(ifd_index_leave(index, start, last, &list, &there), err);
	ck_assert_ptr_null(list);
	if (err == -ENOENT)
		return;
	ck_assert_uint_eq(there.start, expected.start);
	ck_assert_uint_eq(there.last, expected.last);
}

START_TEST(leaving_is_all_or_none_and_says_what_is_in_the_way)
{
	struct iommufd_range none = { 0, 0 }, first = { 0x40000, 0x41fff }, second = { 0x50000, 0x50fff };
	struct ifd_index index;
	struct ifd_map *map;

	ifd_index_init(&index);
	live(&index, 0x100000, 0x40000, 2 * PAGE);
	map = reserved(&index, 0x200000, 0x50000, PAGE);

	refuses_to_leave(&index, 0x42000, 0x4ffff, -ENOENT, none);
	refuses_to_leave(&index, 0x51000, UINT64_MAX, -ENOENT, none);
	refuses_to_leave(&index, 0x40000, 0x40fff, -EINVAL, first);
	refuses_to_leave(&index, 0x41000, 0x41fff, -EINVAL, first);
	refuses_to_leave(&index, 0x30000, 0x40fff, -EINVAL, first);
	refuses_to_leave(&index, 0x50000, 0x50fff, -EBUSY, second);
	refuses_to_leave(&index, 0x40000, 0x50fff, -EBUSY, second);
	is_at(&index, 0x100000, 0x40000, 2 * PAGE); /* it was live and first, and did not leave */

	ifd_index_commit(&index, map);
	refuses_to_leave(&index, 0x41000, 0x50fff, -EINVAL, first);
	refuses_to_leave(&index, 0x40000, 0x507ff, -EINVAL, second);
	is_at(&index, 0x100000, 0x40000, 2 * PAGE);
	is_at(&index, 0x200000, 0x50000, PAGE);
	ifd_index_fini(&index);
}
END_TEST

START_TEST(what_is_leaving_keeps_its_place_and_cannot_leave_twice)
{
	struct iommufd_range there, only = { 0x40000, 0x40fff };
	struct ifd_map *map, *list = NULL, *other;
	struct ifd_index index;

	ifd_index_init(&index);
	map = live(&index, 0x100000, 0x40000, PAGE);
	ck_assert_int_eq(ifd_index_leave(&index, 0, UINT64_MAX, &list, &there), 0);
	refuses_to_leave(&index, 0, UINT64_MAX, -EBUSY, only);
	other = ifd_map_new(at(0x200000), PAGE, 3);
	ck_assert_int_eq(ifd_index_reserve(&index, other, 0x40000, &there), -EEXIST);
	ifd_index_left(&index, map);
	ck_assert_int_eq(ifd_index_reserve(&index, other, 0x40000, &there), 0);
	ifd_index_fini(&index);
}
END_TEST

START_TEST(those_that_leave_are_chained_in_order_of_their_iovas)
{
	static const uint64_t iovas[] = { 0x70000, 0x10000, 0x40000, 0x41000, 0x20000 };
	struct iommufd_range there;
	struct ifd_map *list = NULL;
	struct ifd_index index;
	uint64_t before = 0;
	int count = 0;

	ifd_index_init(&index);
	for (size_t i = 0; i < 5; i++)
		live(&index, 0x100000 + i * PAGE, iovas[i], PAGE);
	live(&index, 0x200000, 0x80000, PAGE);
	ck_assert_int_eq(ifd_index_leave(&index, 0x10000, 0x70fff, &list, &there), 0);
	while (list) {
		struct ifd_map *map = list;

		list = map->next;
		ck_assert_uint_gt(map->iova.start, before);
		before = map->iova.start;
		ifd_index_left(&index, map);
		count++;
	}
	ck_assert_int_eq(count, 5);
	ck_assert_uint_eq(index.count, 1);
	is_at(&index, 0x200000, 0x80000, PAGE);
	ifd_index_fini(&index);
}
END_TEST

START_TEST(memory_that_is_mapped_twice_is_found_until_both_are_gone)
{
	struct iommufd_range there;
	struct ifd_map *list = NULL;
	struct ifd_index index;
	uint64_t iova;

	ifd_index_init(&index);
	live(&index, 0x100000, 0x40000, 4 * PAGE);
	live(&index, 0x102000, 0x80000, 4 * PAGE); /* its first half is the other one's second */
	ck_assert_int_eq(ifd_index_to_iova(&index, 0x102000, 2 * PAGE, &iova), 0);
	ck_assert_msg(iova == 0x42000 || iova == 0x80000, "%#llx", (unsigned long long)iova);
	ck_assert_int_eq(ifd_index_to_iova(&index, 0x103000, 2 * PAGE, &iova), 0);
	ck_assert_uint_eq(iova, 0x81000); /* only one of them covers this */
	ck_assert_int_eq(ifd_index_to_iova(&index, 0x101000, 2 * PAGE, &iova), 0);
	ck_assert_uint_eq(iova, 0x41000);
	ck_assert_int_eq(ifd_index_to_iova(&index, 0x101000, 4 * PAGE, &iova), -ENOENT);

	ck_assert_int_eq(ifd_index_leave(&index, 0x40000, 0x43fff, &list, &there), 0);
	ifd_index_left(&index, list);
	ck_assert_int_eq(ifd_index_to_iova(&index, 0x102000, 2 * PAGE, &iova), 0);
	ck_assert_uint_eq(iova, 0x80000);
	ck_assert_int_eq(ifd_index_to_iova(&index, 0x101000, PAGE, &iova), -ENOENT);
	ifd_index_fini(&index);
}
END_TEST

static int reserve_any(struct ifd_index *index, struct ifd_map *map, const struct iommufd_range *ranges, size_t count,
		       uint64_t align)
{
	const struct ifd_iova_wish wish = { .ranges = ranges,
					    .num_ranges = count,
					    .window = { 1, UINT64_MAX },
					    .len = ifd_map_len(map),
					    .align = align };

	return ifd_index_reserve_any(index, map, &wish);
}

START_TEST(a_place_is_found_in_the_first_range_with_room_and_never_at_0)
{
	static const struct iommufd_range ranges[] = { { 0, 0x2fff }, { 0x10000, 0x1ffff } };
	struct ifd_map *map;
	struct ifd_index index;

	ifd_index_init(&index);
	for (uint64_t expected = PAGE; expected < 3 * PAGE; expected += PAGE) {
		map = ifd_map_new(at(0x100000), PAGE, 3);
		ck_assert_int_eq(reserve_any(&index, map, ranges, 2, PAGE), 0);
		ck_assert_uint_eq(map->iova.start, expected);
		ck_assert_uint_eq(map->iova.last, expected + PAGE - 1);
	}
	map = ifd_map_new(at(0x100000), 15 * PAGE, 3);
	ck_assert_int_eq(reserve_any(&index, map, ranges, 2, PAGE), 0);
	ck_assert_uint_eq(map->iova.start, 0x10000);

	map = ifd_map_new(at(0x100000), 2 * PAGE, 3);
	ck_assert_int_eq(reserve_any(&index, map, ranges, 2, PAGE), -ENOSPC);
	free(map);
	map = ifd_map_new(at(0x100000), PAGE, 3);
	ck_assert_int_eq(reserve_any(&index, map, ranges, 2, 0x10000), -ENOSPC);
	ck_assert_int_eq(reserve_any(&index, map, ranges, 0, PAGE), -ENOSPC);
	ck_assert_int_eq(reserve_any(&index, map, ranges, 2, PAGE), 0);
	ck_assert_uint_eq(map->iova.start, 0x1f000);
	ck_assert_uint_eq(index.count, 4);
	ifd_index_fini(&index);
}
END_TEST

START_TEST(next_walks_over_all_states_in_order)
{
	struct ifd_index index;
	const struct ifd_map *map;

	ifd_index_init(&index);
	reserved(&index, 0x100000, 0x40000, PAGE);
	live(&index, 0x200000, 0x50000, PAGE);
	reserved(&index, 0x300000, UINT64_MAX - PAGE + 1, PAGE);
	map = ifd_index_next(&index, 0, UINT64_MAX);
	ck_assert_uint_eq(map->iova.start, 0x40000);
	map = ifd_index_next(&index, map->iova.last + 1, UINT64_MAX);
	ck_assert_uint_eq(map->iova.start, 0x50000);
	ck_assert_ptr_null(ifd_index_next(&index, map->iova.last + 1, 0x60000));
	map = ifd_index_next(&index, map->iova.last + 1, UINT64_MAX);
	ck_assert_uint_eq(map->iova.last, UINT64_MAX);
	ifd_index_fini(&index);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_mapping_is_translated_from_its_commit_to_its_leaving);
	tcase_add_test(tcase, translation_covers_no_more_than_one_mapping);
	tcase_add_test(tcase, a_reservation_that_overlaps_is_refused_and_names_the_lowest_that_is_there);
	tcase_add_test(tcase, what_was_withdrawn_leaves_its_place_free);
	tcase_add_test(tcase, leaving_is_all_or_none_and_says_what_is_in_the_way);
	tcase_add_test(tcase, what_is_leaving_keeps_its_place_and_cannot_leave_twice);
	tcase_add_test(tcase, those_that_leave_are_chained_in_order_of_their_iovas);
	tcase_add_test(tcase, memory_that_is_mapped_twice_is_found_until_both_are_gone);
	tcase_add_test(tcase, a_place_is_found_in_the_first_range_with_room_and_never_at_0);
	tcase_add_test(tcase, next_walks_over_all_states_in_order);
}
