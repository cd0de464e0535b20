/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Bitmaps of pages, against a model that looks at each address of the smallest page by itself. */
#include "bitmap.h"
#include "unit.h"

#define UNIT  UINT64_C(0x1000)
#define UNITS 2048u
#define BASE  (UINT64_MAX - UNITS * UNIT + 1) /* up to the last address there is */
#define WORDS (UNITS / 64)

static uint64_t state;

static unsigned int any(unsigned int below)
{
	return (unsigned int)unit_below(&state, below);
}

/* Pages of 1 to 64 units. */
static struct ifd_bitmap some_bitmap(uint64_t *words)
{
	unsigned int scale = 1u << any(7), first = any(UNITS / scale), count = 1 + any(UNITS / scale - first);

	for (unsigned int i = 0; i < WORDS + 1; i++)
		words[i] = any(3) ? 0 : any(2) ? UINT64_MAX : unit_random(&state);
	return (struct ifd_bitmap){ words, BASE + first * scale * UNIT,
				    BASE + first * scale * UNIT + (count * scale * UNIT - 1), scale * UNIT };
}

static void some_range(uint64_t *start, uint64_t *last)
{
	unsigned int first = any(UNITS), count = 1 + any(any(2) ? UNITS - first : 1);

	*start = BASE + first * UNIT;
	*last = *start + (count * UNIT - 1);
}

static bool is_set(const struct ifd_bitmap *map, uint64_t addr)
{
	uint64_t bit = (addr - map->start) / map->page;

	return map->words[bit / 64] >> bit % 64 & 1;
}

static bool is_in(const struct ifd_bitmap *map, uint64_t addr)
{
	return addr >= map->start && addr <= map->last;
}

static void model_set(const struct ifd_bitmap *map, uint64_t addr, bool set)
{
	uint64_t bit = (addr - map->start) / map->page, mask = UINT64_C(1) << bit % 64;

	map->words[bit / 64] = set ? map->words[bit / 64] | mask : map->words[bit / 64] & ~mask;
}

/* Every address of a range, a unit at a time; it ends where the addresses do. */
#define EACH(addr, start, last) (uint64_t addr = start, n = ((last) - (start)) / UNIT + 1; n; addr += UNIT, n--)

START_TEST(a_range_is_set_cleared_and_found_as_in_the_model)
{
	state = unit_seed();
	for (unsigned int i = 0; i < 2000; i++) {
		uint64_t words[WORDS + 1], wanted[WORDS + 1], start, last;
		struct ifd_bitmap map = some_bitmap(words), model = map;
		bool found = false, set = any(2);

		some_range(&start, &last);
		memcpy(wanted, words, sizeof(words));
		model.words = wanted;
		for
			EACH(addr, start, last)
		found = found || (is_in(&map, addr) && is_set(&map, addr));
		ck_assert_int_eq(ifd_bitmap_any(&map, start, last), found);
		for
			EACH(addr, start, last)
		if (is_in(&model, addr))
			model_set(&model, addr, set);
		if (set)
			ifd_bitmap_set(&map, start, last);
		else
			ifd_bitmap_clear(&map, start, last);
		ck_assert_mem_eq(words, wanted, sizeof(words));
	}
}
END_TEST

START_TEST(a_bitmap_of_other_pages_is_merged_as_in_the_model)
{
	state = unit_seed();
	for (unsigned int i = 0; i < 2000; i++) {
		uint64_t words[WORDS + 1], wanted[WORDS + 1], other[WORDS + 1], start, last;
		struct ifd_bitmap to, from, model;

		to = model = some_bitmap(words);
		from = some_bitmap(other);
		some_range(&start, &last);
		memcpy(wanted, words, sizeof(words));
		model.words = wanted;
		for
			EACH(addr, start, last)
		if (is_in(&from, addr) && is_in(&to, addr) && is_set(&from, addr))
			model_set(&model, addr, true);
		ifd_bitmap_merge(&to, &from, start, last);
		ck_assert_mem_eq(words, wanted, sizeof(words));
	}
}
END_TEST

START_TEST(the_size_is_that_of_whole_words)
{
	struct ifd_bitmap map = { NULL, 0x1000, 0x1fff, 0x1000 };

	ck_assert_uint_eq(ifd_bitmap_bits(&map), 1);
	ck_assert_uint_eq(ifd_bitmap_size(&map), 8);
	map.last = 0x40fff;
	ck_assert_uint_eq(ifd_bitmap_bits(&map), 64);
	ck_assert_uint_eq(ifd_bitmap_size(&map), 8);
	map.last = 0x41fff;
	ck_assert_uint_eq(ifd_bitmap_size(&map), 16);
	map = (struct ifd_bitmap){ NULL, 0, UINT64_MAX, 0x1000 };
	ck_assert_uint_eq(ifd_bitmap_bits(&map), UINT64_C(1) << 52);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_range_is_set_cleared_and_found_as_in_the_model);
	tcase_add_test(tcase, a_bitmap_of_other_pages_is_merged_as_in_the_model);
	tcase_add_test(tcase, the_size_is_that_of_whole_words);
}
