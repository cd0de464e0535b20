/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* From virtual address to IOVA: what is found, what it costs in memory, and that no lock is taken for it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bare.h"
#include "internal.h"
#include "translate-model.h"
#include "unit.h"

#define PAGE   UINT64_C(0x1000)
#define MIB    (UINT64_C(1) << 20)
#define GIB    (UINT64_C(1) << 30)
#define TIB    (UINT64_C(1) << 40)
#define ROUNDS 4   /* at least */
#define BUDGET 900 /* milliseconds */
#define BYTES  4000

START_TEST(what_a_plain_list_finds_is_found_and_nothing_else)
{
	struct model_seen seen = { .hits = 0 };
	uint64_t state = unit_seed(), end = unit_now() + BUDGET;
	uint8_t bytes[BYTES];

	for (int i = 0; i < ROUNDS || unit_now() < end; i++) {
		for (size_t k = 0; k < BYTES; k++)
			bytes[k] = (uint8_t)unit_random(&state);
		model_run(bytes, sizeof(bytes), &seen);
	}
	ck_assert_uint_gt(seen.hits, ROUNDS);
	ck_assert_uint_gt(seen.misses, ROUNDS);
	ck_assert_uint_gt(seen.overlaps, ROUNDS);
	ck_assert_uint_gt(seen.kept_apart, ROUNDS);
	ck_assert_uint_gt(seen.failures, 0);
}
END_TEST

/* ---- By hand ---- */

static struct ifd_map *mapped(struct ifd_index *index, uint64_t vaddr, uint64_t len, uint64_t iova)
{
	struct ifd_map *map = ifd_map_new((const void *)(uintptr_t)vaddr, len, 3);
	struct iommufd_range there;

	ck_assert_ptr_nonnull(map);
	ck_assert_int_eq(ifd_index_reserve(index, map, iova, &there), 0);
	ifd_index_commit(index, map);
	return map;
}

static void unmapped(struct ifd_index *index, struct ifd_map *map)
{
	struct iommufd_range there;
	struct ifd_map *list;

	ck_assert_int_eq(ifd_index_leave(index, map->iova.start, map->iova.last, &list, &there), 0);
	ck_assert_ptr_eq(list, map);
	ifd_index_left(index, map);
}

/* Without the owner's help, that is without its lock. */
static void alone_finds(const struct ifd_index *index, uint64_t vaddr, uint64_t len, uint64_t iova)
{
	uint64_t found = 1, all = 1;

	ck_assert_int_eq(ifd_radix_find(&index->radix, vaddr, len, len, &found, &all), 0);
	ck_assert_uint_eq(found, iova);
	ck_assert_uint_eq(all, len);
}

static void alone_says(const struct ifd_index *index, int err, uint64_t vaddr, uint64_t len)
{
	uint64_t found = 1, all = 1;

	ck_assert_int_eq(ifd_radix_find(&index->radix, vaddr, len, len, &found, &all), err);
	ck_assert_uint_eq(found, 1);
	ck_assert_uint_eq(all, 1);
}

START_TEST(a_mapping_of_a_terabyte_costs_no_more_than_a_few_tables)
{
	static const struct iommufd_range tried[] = {
		{ TIB, TIB + (TIB - 1) },
		{ TIB + PAGE, TIB + PAGE + (TIB - 1) },
		{ 0x7f1234567000, 0x7f1234567000 + (TIB - 1) },
		{ PAGE, (UINT64_C(1) << 47) - PAGE - 1 },
		{ PAGE, UINT64_MAX - PAGE },
	};

	for (size_t i = 0; i < sizeof(tried) / sizeof(tried[0]); i++) {
		uint64_t start = tried[i].start, len = tried[i].last - start + 1;
		struct ifd_index index;

		ifd_index_init(&index);
		mapped(&index, start, len, PAGE);
		ck_assert_uint_eq(atomic_load(&index.radix.others), 0);
		ck_assert_uint_le(ifd_radix_bytes(&index.radix), 64 * 1024);
		alone_finds(&index, start, len, PAGE);
		alone_finds(&index, start + 123456789, 4096, PAGE + 123456789);
		alone_finds(&index, tried[i].last, 1, len - 1 + PAGE);
		alone_says(&index, -ENOENT, start, len + 1);
		alone_says(&index, -ENOENT, start - 1, 1);
		ifd_index_fini(&index);
	}
}
END_TEST

START_TEST(each_of_many_small_mappings_in_a_row_costs_a_word)
{
	struct ifd_index index;

	ifd_index_init(&index);
	for (uint64_t i = 0; i < 1 << 16; i++)
		mapped(&index, GIB + i * PAGE, PAGE, TIB - i * PAGE);
	ck_assert_uint_le(ifd_radix_bytes(&index.radix), (8 << 16) + (8 << 16) / 32 + 32 * 1024);
	for (uint64_t i = 0; i < 1 << 16; i++)
		alone_finds(&index, GIB + i * PAGE + 8, PAGE - 8, TIB - i * PAGE + 8);
	ifd_index_fini(&index);
}
END_TEST

START_TEST(mapping_ever_new_memory_and_unmapping_it_uses_the_same_tables)
{
	struct ifd_index index;
	size_t bytes = 0;

	ifd_index_init(&index);
	for (uint64_t i = 0; i < 1000; i++) {
		struct ifd_map *map = mapped(&index, (i + 1) * 17 * GIB + i * 6 * MIB, 3 * PAGE, PAGE);

		alone_finds(&index, map->vaddr.start, 3 * PAGE, PAGE);
		unmapped(&index, map);
		alone_says(&index, -ENOENT, (i + 1) * 17 * GIB + i * 6 * MIB, 1);
		if (i == 100)
			bytes = ifd_radix_bytes(&index.radix);
	}
	ck_assert_uint_gt(bytes, 0);
	ck_assert_uint_eq(ifd_radix_bytes(&index.radix), bytes);
	ck_assert_uint_le(bytes, 192 * 1024); /* what is idle has tables above it */
	ifd_index_fini(&index);
}
END_TEST

START_TEST(large_memory_takes_the_place_of_small_that_was_unmapped)
{
	struct ifd_index index;
	struct ifd_map *map;

	ifd_index_init(&index);
	for (uint64_t i = 0; i < 8; i++)
		unmapped(&index, mapped(&index, TIB + i * 4 * MIB, PAGE, PAGE));
	map = mapped(&index, TIB, GIB, PAGE);
	alone_finds(&index, TIB, GIB, PAGE);
	unmapped(&index, map);
	mapped(&index, TIB + PAGE, PAGE, PAGE);
	map = mapped(&index, TIB, GIB, GIB); /* around it */
	ck_assert(map->apart);
	alone_finds(&index, TIB + PAGE, PAGE, PAGE);
	alone_says(&index, -EBUSY, TIB, PAGE);
	ifd_index_fini(&index);
}
END_TEST

START_TEST(what_stood_apart_is_found_without_the_lock_when_it_is_alone)
{
	struct ifd_map *twice[2], *both;
	struct ifd_index index;

	ifd_index_init(&index);
	twice[0] = mapped(&index, GIB, 4 * PAGE, PAGE);
	twice[1] = mapped(&index, GIB + 2 * PAGE, 4 * PAGE, GIB);
	both = mapped(&index, GIB, 6 * PAGE, TIB);
	ck_assert_uint_eq(atomic_load(&index.radix.others), 2);
	alone_finds(&index, GIB + 2 * PAGE, 2 * PAGE, 3 * PAGE);
	alone_says(&index, -EBUSY, GIB + 2 * PAGE, 3 * PAGE);
	alone_says(&index, -EBUSY, GIB + 6 * PAGE, PAGE); /* nowhere, but only the owner knows */
	unmapped(&index, both);
	ck_assert_uint_eq(atomic_load(&index.radix.others), 1);
	unmapped(&index, twice[0]);
	ck_assert_uint_eq(atomic_load(&index.radix.others), 0);
	alone_finds(&index, GIB + 2 * PAGE, 4 * PAGE, GIB);
	alone_says(&index, -ENOENT, GIB, PAGE);
	ifd_index_fini(&index);
}
END_TEST

START_TEST(what_stood_apart_inside_of_another_is_found_without_the_lock_too)
{
	struct ifd_map *row, *over, *inner[2];
	struct ifd_index index;

	ifd_index_init(&index);
	mapped(&index, GIB, PAGE, PAGE);
	row = mapped(&index, GIB + PAGE, 15 * PAGE, TIB);
	over = mapped(&index, GIB, 8 * PAGE, 2 * TIB); /* cannot go in while the first is there */
	inner[0] = mapped(&index, GIB + 2 * PAGE, PAGE, 3 * TIB);
	inner[1] = mapped(&index, GIB + 15 * PAGE, 4 * PAGE, 4 * TIB); /* nor this inside of what leaves */
	ck_assert_uint_eq(atomic_load(&index.radix.others), 3);
	unmapped(&index, row);
	ck_assert(!inner[0]->apart && !inner[1]->apart);
	unmapped(&index, over);
	ck_assert_uint_eq(atomic_load(&index.radix.others), 0);
	alone_finds(&index, GIB + 2 * PAGE, PAGE, 3 * TIB);
	alone_finds(&index, GIB + 15 * PAGE, 4 * PAGE, 4 * TIB);
	alone_says(&index, -ENOENT, GIB + PAGE, PAGE);
	ifd_index_fini(&index);
}
END_TEST

START_TEST(what_there_was_no_memory_for_is_found_without_the_lock_later)
{
	struct ifd_index index;
	struct ifd_map *map;

	for (int apart = 0; apart < 2; apart++) {
		ifd_index_init(&index);
		mapped(&index, GIB, PAGE, PAGE);
		model_tables_left = 0;
		map = mapped(&index, TIB, PAGE, TIB);
		ck_assert(map->apart);
		model_tables_left = -1;
		/* Far from it, and of either kind. */
		unmapped(&index, mapped(&index, apart ? GIB : GIB + PAGE, PAGE, 2 * TIB));
		ck_assert(!map->apart);
		ck_assert_uint_eq(atomic_load(&index.radix.others), 0);
		alone_finds(&index, TIB, PAGE, TIB);
		ifd_index_fini(&index);
	}
}
END_TEST

START_TEST(without_memory_for_tables_a_mapping_stands_apart_whole)
{
	struct ifd_index index;
	struct ifd_map *map;
	uint64_t iova;

	for (int left = 0; left < 8; left++) {
		ifd_index_init(&index);
		model_tables_left = left;
		map = mapped(&index, TIB - PAGE, TIB + 3 * PAGE, PAGE); /* slots of four sizes */
		model_tables_left = -1;
		ck_assert_int_eq(map->apart, left < 7);
		ck_assert_int_eq(ifd_index_to_iova(&index, TIB, TIB + PAGE, &iova), 0);
		ck_assert_uint_eq(iova, 2 * PAGE);
		if (map->apart)
			alone_says(&index, -EBUSY, TIB, 1);
		unmapped(&index, map);
		ck_assert_int_eq(ifd_index_to_iova(&index, TIB, 1, &iova), -ENOENT);
		alone_says(&index, -ENOENT, TIB, 1);
		unmapped(&index, mapped(&index, TIB - PAGE, TIB + 3 * PAGE, PAGE));
		ifd_index_fini(&index);
	}
}
END_TEST

/* ---- What readers rely on ---- */

START_TEST(whoever_could_be_led_astray_finds_a_number_that_grew)
{
	struct ifd_map *first, *second;
	struct ifd_index index;
	uint64_t moves;

	ifd_index_init(&index);
	mapped(&index, 2 * TIB + 5 * GIB, GIB, 2 * TIB);

	/* A shortcut that is of another address next. */
	unmapped(&index, mapped(&index, TIB, GIB, TIB));
	moves = atomic_load(&index.radix.moves);
	unmapped(&index, mapped(&index, TIB + IFD_RADIX_SHORTCUTS * GIB, GIB, TIB));
	ck_assert_uint_gt(atomic_load(&index.radix.moves), moves);

	/* What was to be found elsewhere only. */
	first = mapped(&index, GIB, PAGE, PAGE);
	second = mapped(&index, GIB, PAGE, GIB);
	moves = atomic_load(&index.radix.moves);
	unmapped(&index, first);
	ck_assert(!second->apart);
	ck_assert_uint_gt(atomic_load(&index.radix.moves), moves);

	/* Several slots of one mapping. */
	moves = atomic_load(&index.radix.removals);
	unmapped(&index, mapped(&index, GIB + PAGE, 2 * PAGE, 2 * PAGE));
	ck_assert_uint_gt(atomic_load(&index.radix.removals), moves);

	/* An empty table, each time that one goes elsewhere. */
	for (uint64_t i = 2; i < 100; i++) {
		const struct ifd_table *before = index.radix.first_idle;

		moves = atomic_load(&index.radix.moves);
		unmapped(&index, mapped(&index, GIB + i * 2 * MIB, PAGE, 2 * PAGE));
		if (i > 40)
			ck_assert_ptr_ne(index.radix.first_idle, before);
		if (i > 40)
			ck_assert_uint_gt(atomic_load(&index.radix.moves), moves);
	}
	ifd_index_fini(&index);
}
END_TEST

static atomic_bool enough;

static void *grow(void *number)
{
	while (!atomic_load(&enough))
		atomic_fetch_add((_Atomic uint64_t *)number, 1);
	return NULL;
}

/* How it looks to a reader when so much changes that it should not trust what it sees. */
static void is_noticed(struct ifd_index *index, _Atomic uint64_t *number,
		       bool (*is_lost)(const struct ifd_index *index))
{
	bool lost = false;
	pthread_t thread;

	atomic_store(&enough, false);
	ck_assert_int_eq(pthread_create(&thread, NULL, grow, number), 0);
	for (uint64_t end = unit_now() + 30000; !lost && unit_now() < end;)
		for (int i = 0; i < 1000 && !lost; i++)
			lost = is_lost(index);
	atomic_store(&enough, true);
	pthread_join(thread, NULL);
	ck_assert(lost);
	ck_assert(!is_lost(index));
}

static bool hit_is_lost(const struct ifd_index *index)
{
	uint64_t iova;

	return !ifd_radix_hit(&index->radix, GIB, PAGE, &iova);
}

static bool search_is_lost(const struct ifd_index *index)
{
	uint64_t iova, len;
	int ret = ifd_radix_find(&index->radix, GIB, 4 * MIB, 4 * MIB, &iova, &len);

	ck_assert(!ret || ret == -EBUSY);
	return ret;
}

START_TEST(a_reader_that_could_be_led_astray_notices_and_goes_to_the_lock_in_the_end)
{
	struct ifd_index index;
	uint64_t iova = 0;

	ifd_index_init(&index);
	mapped(&index, GIB, 4 * MIB + PAGE, PAGE); /* of slots of two sizes */
	ck_assert_int_eq(ifd_index_to_iova(&index, GIB, 4 * MIB + PAGE, &iova), 0);
	is_noticed(&index, &index.radix.moves, hit_is_lost);
	is_noticed(&index, &index.radix.moves, search_is_lost);
	ifd_index_fini(&index);
}
END_TEST

static bool long_search_is_lost(const struct ifd_index *index)
{
	uint64_t iova, len;

	return ifd_radix_find(&index->radix, GIB, 4 * MIB + PAGE, 4 * MIB + PAGE, &iova, &len) == -EBUSY;
}

START_TEST(who_reads_several_slots_notices_that_something_was_removed)
{
	struct ifd_index index;

	ifd_index_init(&index);
	mapped(&index, GIB, 4 * MIB + PAGE, PAGE);
	is_noticed(&index, &index.radix.removals, long_search_is_lost);
	ifd_index_fini(&index);
}
END_TEST

static void remap(struct iommufd_ioas *ioas, uint64_t vaddr, uint64_t len, uint64_t iova)
{
	ck_assert_int_eq(iommufd_ioas_map(ioas, (void *)(uintptr_t)vaddr, len,
					  IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE | IOMMUFD_MAP_FIXED, &iova),
			 0);
}

static const pthread_mutex_t *watched; /* libcheck has locks of its own */
static unsigned int locked;

int __real_pthread_mutex_lock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_lock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_lock(pthread_mutex_t *lock)
{
	locked += lock == watched;
	return __real_pthread_mutex_lock(lock);
}

static uint64_t find(struct iommufd_ioas *ioas, uint64_t vaddr, uint64_t len)
{
	uint64_t iova = 0;

	locked = 0;
	ck_assert_int_eq(iommufd_ioas_to_iova(ioas, (void *)(uintptr_t)vaddr, len, &iova), 0);
	return iova;
}

START_TEST(translation_takes_no_lock_unless_memory_is_mapped_twice)
{
	struct iommufd_ioas *ioas = bare_ioas_new();
	struct iommufd_segment segments[4];
	struct iovec iov[2] = { { (void *)(uintptr_t)(GIB + 5), 2 * PAGE }, { (void *)(uintptr_t)TIB, GIB } };
	uint64_t iova = 0;

	watched = &ioas->index.lock;
	remap(ioas, GIB, 4 * PAGE, PAGE);
	ck_assert_uint_gt(locked, 0);
	remap(ioas, TIB - PAGE, 2 * GIB, GIB);
	ck_assert_uint_eq(find(ioas, GIB + 5, 4 * PAGE - 5), PAGE + 5);
	ck_assert_uint_eq(locked, 0);
	ck_assert_uint_eq(find(ioas, TIB + PAGE, 3 * MIB), GIB + 2 * PAGE);
	ck_assert_uint_eq(locked, 0);
	ck_assert_int_eq(iommufd_ioas_to_iova(ioas, (void *)(uintptr_t)(GIB + 4 * PAGE), 1, &iova), -ENOENT);
	ck_assert_int_eq(iommufd_ioas_to_iovas(ioas, iov, 2, segments, 4), 2);
	ck_assert_uint_eq(segments[0].addr, PAGE + 5);
	ck_assert_uint_eq(segments[1].addr, GIB + PAGE);
	ck_assert_uint_eq(segments[1].len, GIB);
	ck_assert_uint_eq(locked, 0);

	remap(ioas, GIB, 5 * PAGE, TIB); /* the same once more, and a page with it */
	ck_assert_uint_eq(find(ioas, GIB + 5, 1), PAGE + 5);
	ck_assert_uint_eq(locked, 0);
	ck_assert_uint_eq(find(ioas, GIB + 5, 5 * PAGE - 5), TIB + 5);
	ck_assert_uint_eq(locked, 1);
	iommufd_ioas_free(ioas);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, what_a_plain_list_finds_is_found_and_nothing_else);
	tcase_add_test(tcase, a_mapping_of_a_terabyte_costs_no_more_than_a_few_tables);
	tcase_add_test(tcase, each_of_many_small_mappings_in_a_row_costs_a_word);
	tcase_add_test(tcase, mapping_ever_new_memory_and_unmapping_it_uses_the_same_tables);
	tcase_add_test(tcase, large_memory_takes_the_place_of_small_that_was_unmapped);
	tcase_add_test(tcase, what_stood_apart_is_found_without_the_lock_when_it_is_alone);
	tcase_add_test(tcase, what_stood_apart_inside_of_another_is_found_without_the_lock_too);
	tcase_add_test(tcase, what_there_was_no_memory_for_is_found_without_the_lock_later);
	tcase_add_test(tcase, without_memory_for_tables_a_mapping_stands_apart_whole);
	tcase_add_test(tcase, whoever_could_be_led_astray_finds_a_number_that_grew);
	tcase_add_test(tcase, a_reader_that_could_be_led_astray_notices_and_goes_to_the_lock_in_the_end);
	tcase_add_test(tcase, who_reads_several_slots_notices_that_something_was_removed);
	tcase_add_test(tcase, translation_takes_no_lock_unless_memory_is_mapped_twice);
}
