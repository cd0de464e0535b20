/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Translation without a lock while another thread changes the table, without threads: each store of the writer is
 * noted, and readers are shown the words as they were. A reader begins after any of the stores, and after any of its
 * own loads the writer comes as far as any other one; all of these are tried, and each answer must be right for a
 * moment between the reader's begin and its end.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "unit.h"

#define MOST_STORES 512

static struct {
	const _Atomic uint64_t *word;
	uint64_t before;
} stores[MOST_STORES];
static size_t num_stores;
static bool noting;

/* A reader: how many stores there were when it began, and from a load on. */
static bool reading;
static size_t loads, first_part, since, until;

static void hooked_store(_Atomic uint64_t *word, uint64_t value)
{
	if (noting) {
		ck_assert_uint_lt(num_stores, MOST_STORES);
		stores[num_stores].word = word;
		stores[num_stores++].before = *word;
	}
	*word = value;
}

static uint64_t hooked_load(const _Atomic uint64_t *word)
{
	if (reading)
		for (size_t i = loads++ < first_part ? since : until; i < num_stores; i++)
			if (stores[i].word == word)
				return stores[i].before;
	return *word;
}

#undef atomic_store_explicit
#undef atomic_load_explicit
#define atomic_store_explicit(word, value, order) hooked_store(word, value)
#define atomic_load_explicit(word, order)         hooked_load(word)

#include "../../lib/index.c"
#include "../../lib/radix.c"

#define PAGE UINT64_C(0x1000)
#define MIB  (UINT64_C(1) << 20)
#define GIB  (UINT64_C(1) << 30)
#define TIB  (UINT64_C(1) << 40)

/* ---- What is mapped, and since and until which store ---- */

#define MAPPINGS 64

/* It may be found once `coming` stores were made, must be from `come` on, not any more from `gone` on. */
struct mapping {
	struct ifd_map *map;
	uint64_t vaddr, len, iova;
	size_t coming, come, leaving, gone;
};

static struct ifd_index table;
static struct mapping mappings[MAPPINGS];
static size_t num_mappings;

static void start(void)
{
	ifd_index_init(&table);
	num_mappings = num_stores = 0;
	noting = false;
}

/* What is done from here on is seen by readers. */
static void begin_to_note(void)
{
	noting = true;
}

static struct mapping *come(uint64_t vaddr, uint64_t len, uint64_t iova)
{
	struct mapping *mapping = &mappings[num_mappings++];
	struct iommufd_range there;

	ck_assert_uint_le(num_mappings, MAPPINGS);
	*mapping = (struct mapping){ .map = ifd_map_new((const void *)(uintptr_t)vaddr, len, 3) };
	mapping->vaddr = vaddr;
	mapping->len = len;
	mapping->iova = iova;
	mapping->leaving = mapping->gone = SIZE_MAX;
	ck_assert_ptr_nonnull(mapping->map);
	ck_assert_int_eq(ifd_index_reserve(&table, mapping->map, iova, &there), 0);
	mapping->coming = num_stores;
	ifd_index_commit(&table, mapping->map);
	mapping->come = num_stores;
	return mapping;
}

static void go(struct mapping *mapping)
{
	struct iommufd_range there;
	struct ifd_map *list;

	mapping->leaving = num_stores;
	ck_assert_int_eq(ifd_index_leave(&table, mapping->iova, mapping->iova + mapping->len - 1, &list, &there), 0);
	ck_assert_ptr_eq(list, mapping->map);
	mapping->gone = num_stores;
	mapping->len = noting ? mapping->len : 0; /* what readers see is later */
	ifd_index_left(&table, list);
}

static void come_and_go(uint64_t vaddr, uint64_t len, uint64_t iova)
{
	go(come(vaddr, len, iova));
}

static bool covers(const struct mapping *mapping, uint64_t vaddr, uint64_t len)
{
	return mapping->vaddr <= vaddr && vaddr - mapping->vaddr < mapping->len &&
	       mapping->len - (vaddr - mapping->vaddr) >= len;
}

static bool right(uint64_t vaddr, uint64_t len, uint64_t iova)
{
	for (size_t i = 0; i < num_mappings; i++) {
		const struct mapping *mapping = &mappings[i];

		if (covers(mapping, vaddr, len) && iova == mapping->iova + (vaddr - mapping->vaddr) &&
		    mapping->coming <= until && mapping->gone > since)
			return true;
	}
	return false;
}

/* Whether there is a moment without one that covers all. */
static bool may_be_missing(uint64_t vaddr, uint64_t len)
{
	for (size_t now = since; now <= until; now++) {
		bool there = false;

		for (size_t i = 0; i < num_mappings && !there; i++)
			there = covers(&mappings[i], vaddr, len) && mappings[i].come <= now &&
				mappings[i].leaving >= now;
		if (!there)
			return true;
	}
	return false;
}

/* ---- Readers ---- */

static void expect(bool so, const char *what, uint64_t vaddr, uint64_t len, uint64_t iova)
{
	ck_assert_msg(so,
		      "%s: 0x%" PRIx64 "+0x%" PRIx64 " at 0x%" PRIx64 "; began after %zu stores, from load %zu on %zu",
		      what, vaddr, len, iova, since, first_part, until);
}

static void hit(uint64_t vaddr, uint64_t len)
{
	uint64_t iova = 0;
	bool found;

	loads = 0;
	reading = true;
	found = ifd_radix_hit(&table.radix, vaddr, len, &iova);
	reading = false;
	expect(!found || right(vaddr, len, iova), "a hit", vaddr, len, iova);
}

static void search(uint64_t vaddr, uint64_t want, uint64_t least)
{
	uint64_t iova = 0, len = 0;
	int ret;

	loads = 0;
	reading = true;
	ret = ifd_radix_find(&table.radix, vaddr, want, least, &iova, &len);
	reading = false;
	if (!ret)
		expect(len >= least && len <= want && right(vaddr, len, iova), "a search", vaddr, len, iova);
	else
		expect(ret == -EBUSY || may_be_missing(vaddr, least), "what is there and is not found", vaddr, least,
		       0);
}

/* False when the writer's second part came too late for all of them. */
static bool read_one_way(uint64_t vaddr, uint64_t len)
{
	size_t most;

	hit(vaddr, len);
	most = loads;
	search(vaddr, len, len);
	most = loads > most ? loads : most;
	search(vaddr, len, 1);
	return first_part < (loads > most ? loads : most);
}

/* All ways in which a reader of an address and the writer can come by each other. */
static void read_all_ways(uint64_t vaddr, uint64_t len)
{
	noting = false;
	ck_assert_uint_gt(num_stores, 0);
	for (since = 0; since <= num_stores; since++)
		for (until = since; until <= num_stores; until++) {
			first_part = 0;
			while (read_one_way(vaddr, len) && since < until)
				first_part++;
		}
}

static void stop(void)
{
	noting = false;
	ifd_index_fini(&table);
}

/* ---- Tests ---- */

START_TEST(a_shortcut_that_changes_hands_leads_nobody_to_other_memory)
{
	const uint64_t here = 100 * GIB, there = here + IFD_RADIX_SHORTCUTS * GIB;

	for (int which = 0; which < 2; which++) {
		start();
		come_and_go(which ? there : here, GIB, 3000 * GIB);
		begin_to_note();
		come_and_go(which ? here : there, GIB, 1000 * GIB);
		come_and_go(which ? there : here, GIB, 2000 * GIB);
		read_all_ways(here + PAGE, 64);
		read_all_ways(there + PAGE, 64);
		stop();
	}
}
END_TEST

START_TEST(a_shortcut_that_is_in_use_stays)
{
	const uint64_t here = 100 * GIB, there = here + IFD_RADIX_SHORTCUTS * GIB;

	start();
	come(here, GIB, 3000 * GIB);
	begin_to_note();
	come_and_go(there, GIB, 1000 * GIB);
	read_all_ways(here + PAGE, 64);
	read_all_ways(there + PAGE, 64);
	stop();
}
END_TEST

/* The longest empty of the tables that are kept is used next; it has the smallest slots. */
START_TEST(a_table_that_goes_elsewhere_takes_no_reader_with_it)
{
	for (uint64_t shift = 0; shift < 2; shift++) {
		const uint64_t step = shift ? 3 * GIB : 2 * MIB, len = shift ? 2 * MIB : PAGE;

		start();
		come(TIB + 100 * step, len, 999 * GIB); /* what is above stays */
		for (uint64_t i = 0; i < 16; i++)
			come_and_go(TIB + i * step, len, GIB);
		begin_to_note();
		come_and_go(TIB + 16 * step, len, 2 * GIB);
		ck_assert_ptr_nonnull(table.radix.spare);
		come(TIB + 17 * step, len, 3 * GIB);
		ck_assert_ptr_null(table.radix.spare);
		read_all_ways(TIB, len);
		read_all_ways(TIB + 17 * step, len);
		stop();
	}
}
END_TEST

START_TEST(what_was_apart_is_found_at_each_moment_while_it_goes_in)
{
	struct mapping *first;

	start();
	first = come(GIB - PAGE, 3 * PAGE, GIB);
	come(GIB - PAGE, 3 * PAGE, 2 * GIB);
	begin_to_note();
	go(first);
	ck_assert_uint_eq(table.radix.others, 0);
	read_all_ways(GIB - PAGE, 3 * PAGE);
	read_all_ways(GIB, PAGE);
	stop();
}
END_TEST

START_TEST(the_begin_of_one_mapping_and_the_end_of_the_next_are_not_one)
{
	struct mapping *whole;
	uint64_t moves;

	/* Its slots have 4 KiB and 2 MiB, the first does not tell of all; what comes then has the IOVAs that follow. */
	start();
	whole = come(GIB - PAGE, 4 * MIB + PAGE, TIB);
	begin_to_note();
	go(whole);
	moves = table.radix.moves;
	come(GIB + 2 * MIB, 8 * MIB, TIB + PAGE + 2 * MIB);
	ck_assert_uint_eq(table.radix.moves, moves); /* that is not what tells readers */
	read_all_ways(GIB - PAGE, 8 * MIB);
	stop();
}
END_TEST

START_TEST(neighbours_by_address_and_iova_stay_two)
{
	start();
	come(GIB - PAGE, 4 * MIB + 2 * PAGE, TIB);
	begin_to_note();
	come(GIB + 4 * MIB + PAGE, 3 * PAGE, TIB + 4 * MIB + 2 * PAGE);
	come_and_go(GIB - 4 * PAGE, 3 * PAGE, TIB - 3 * PAGE);
	read_all_ways(GIB - PAGE, 4 * MIB + 5 * PAGE);
	read_all_ways(GIB - 2 * PAGE, 2 * PAGE);
	stop();
}
END_TEST

/* Nobody may be shown a part of what does not go in whole. */
static bool leaf_was_stored(const struct mapping *mapping)
{
	for (size_t i = mapping->coming; i < num_stores; i++)
		for (size_t k = 0; k < IFD_RADIX_SLOTS; k++)
			for (const struct ifd_table *one = table.radix.tables; one; one = one->older)
				if (stores[i].word == &one->slots[k] &&
				    (stores[i].before & IFD_RADIX_LEAF || one->slots[k] & IFD_RADIX_LEAF))
					return true;
	return false;
}

START_TEST(what_overlaps_is_not_seen_in_part)
{
	struct mapping *over;

	/* All of the slots before the one that is taken could have been stored. */
	start();
	come(GIB + 4 * MIB + PAGE, 8 * MIB, TIB);
	begin_to_note();
	over = come(GIB - PAGE, 6 * MIB, 2 * TIB);
	ck_assert(over->map->apart);
	ck_assert(!leaf_was_stored(over));
	read_all_ways(GIB - PAGE, PAGE);
	read_all_ways(GIB - PAGE, 8 * MIB);
	stop();
}
END_TEST

START_TEST(what_overlaps_still_is_not_seen_in_part_when_its_begin_is_free)
{
	struct mapping *first, *over;

	start();
	first = come(GIB - PAGE, MIB, 3 * TIB);
	come(GIB + 4 * MIB + PAGE, 8 * MIB, TIB);
	over = come(GIB - PAGE, 6 * MIB, 2 * TIB);
	begin_to_note();
	go(first);
	ck_assert(over->map->apart);
	read_all_ways(GIB - PAGE, 6 * MIB);
	read_all_ways(GIB - PAGE, 8 * MIB);
	stop();
}
END_TEST

/* Two slots that no writer leaves like that: the first says that it goes on, and there is something else. */
START_TEST(a_length_never_goes_on_at_other_iovas)
{
	uint64_t iova = 0, len = 0;

	start();
	come(GIB - PAGE, 4 * MIB + PAGE, TIB);
	ifd_radix_leave(&table.radix, GIB + 2 * MIB, GIB + 4 * MIB - 1);
	ck_assert(ifd_radix_enter(&table.radix, GIB + 2 * MIB, GIB + 4 * MIB - 1, 2 * TIB));
	ck_assert_int_eq(ifd_radix_find(&table.radix, GIB - PAGE, 8 * MIB, 1, &iova, &len), 0);
	ck_assert_uint_eq(iova, TIB);
	ck_assert_uint_le(len, 4 * MIB);
	stop();
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_shortcut_that_changes_hands_leads_nobody_to_other_memory);
	tcase_add_test(tcase, a_shortcut_that_is_in_use_stays);
	tcase_add_test(tcase, a_table_that_goes_elsewhere_takes_no_reader_with_it);
	tcase_add_test(tcase, what_was_apart_is_found_at_each_moment_while_it_goes_in);
	tcase_add_test(tcase, the_begin_of_one_mapping_and_the_end_of_the_next_are_not_one);
	tcase_add_test(tcase, neighbours_by_address_and_iova_stay_two);
	tcase_add_test(tcase, what_overlaps_is_not_seen_in_part);
	tcase_add_test(tcase, what_overlaps_still_is_not_seen_in_part_when_its_begin_is_free);
	tcase_add_test(tcase, a_length_never_goes_on_at_other_iovas);
}
