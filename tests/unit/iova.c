/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The choice of IOVAs: at the borders, over a long time, and among very many gaps. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "iova-model.h"
#include "unit.h"

#define MANY 100000

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)

static const struct iommufd_range everything = { 0, UINT64_MAX };

/* ---- Borders ---- */

struct few {
	struct ifd_tree tree;
	struct ifd_node nodes[4];
	size_t count;
};

static void take(struct few *few, uint64_t start, uint64_t last)
{
	struct ifd_node *node = &few->nodes[few->count++];

	few->tree.gaps = true;
	node->start = start;
	node->last = last;
	ifd_tree_insert(&few->tree, node);
}

/* The place, or `otherwise`. */
static uint64_t find(const struct few *few, uint64_t low, uint64_t high, uint64_t len, uint64_t align,
		     uint64_t otherwise)
{
	const struct ifd_iova_wish wish = { .ranges = &everything,
					    .num_ranges = 1,
					    .window = { low, high },
					    .len = len,
					    .align = align,
					    .thorough = true };
	uint64_t at = otherwise;

	ck_assert(ifd_iova_find(&few->tree, &wish, &at, NULL) || at == otherwise);
	return at;
}

START_TEST(nothing_taken_is_one_gap_from_0_to_the_end_of_all)
{
	const struct few few = { .tree.gaps = true };

	ck_assert_uint_eq(find(&few, 0, UINT64_MAX, UINT64_MAX, 1, 7), 0);
	ck_assert_uint_eq(find(&few, 1, UINT64_MAX, UINT64_MAX, 1, 7), 1);
	ck_assert_uint_eq(find(&few, 1, UINT64_MAX - 1, UINT64_MAX, 1, 7), 7);
	ck_assert_uint_eq(find(&few, UINT64_MAX, UINT64_MAX, 1, 1, 7), UINT64_MAX);
	ck_assert_uint_eq(find(&few, 1, UINT64_MAX, 1, UINT64_C(1) << 63, 7), UINT64_C(1) << 63);
	ck_assert_uint_eq(find(&few, 1, UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 63, 7), UINT64_C(1) << 63);
	ck_assert_uint_eq(find(&few, 1, UINT64_MAX - 1, UINT64_C(1) << 63, UINT64_C(1) << 63, 7), 7);
	ck_assert_uint_eq(find(&few, (UINT64_C(1) << 63) + 1, UINT64_MAX, 1, UINT64_C(1) << 63, 7), 7);
}
END_TEST

START_TEST(what_is_taken_at_the_ends_is_not_found)
{
	struct few few = { .count = 0 }, full = { .count = 0 };

	take(&few, UINT64_MAX, UINT64_MAX);
	take(&few, 0, 0);
	ck_assert_uint_eq(find(&few, 0, UINT64_MAX, UINT64_MAX - 1, 1, 7), 1);
	ck_assert_uint_eq(find(&few, 0, UINT64_MAX, UINT64_MAX, 1, 7), 7);
	ck_assert_uint_eq(find(&few, 0, UINT64_MAX, 1, UINT64_C(1) << 63, 7), UINT64_C(1) << 63);
	ck_assert_uint_eq(find(&few, 0, UINT64_MAX, UINT64_C(1) << 62, UINT64_C(1) << 62, 7), UINT64_C(1) << 62);
	ck_assert_uint_eq(find(&few, 0, UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 63, 7), 7);
	ck_assert_uint_eq(find(&few, UINT64_MAX, UINT64_MAX, 1, 1, 7), 7);
	ck_assert_uint_eq(find(&few, 0, 0, 1, 1, 7), 7);

	take(&full, 0, UINT64_MAX);
	ck_assert_uint_eq(find(&full, 0, UINT64_MAX, 1, 1, 7), 7);
	ck_assert_uint_eq(find(&full, UINT64_MAX, UINT64_MAX, 1, 1, 7), 7);
}
END_TEST

START_TEST(a_gap_that_a_window_cuts_counts_as_far_as_it_is_inside)
{
	struct few few = { .count = 0 };

	take(&few, 0, 0xfff);
	take(&few, 0x9000, 0x9fff);
	take(&few, 0x20000, 0x20fff);
	ck_assert_uint_eq(find(&few, 0, UINT64_MAX, 0x8000, 0x1000, 7), 0x1000);
	ck_assert_uint_eq(find(&few, 0x2000, UINT64_MAX, 0x8000, 0x1000, 7), 0xa000);
	ck_assert_uint_eq(find(&few, 0x1001, UINT64_MAX, 0x7000, 0x1000, 7), 0x2000);
	ck_assert_uint_eq(find(&few, 0x2000, 0x11fff, 0x8000, 0x1000, 7), 0xa000);
	ck_assert_uint_eq(find(&few, 0x2000, 0x11ffe, 0x8000, 0x1000, 7), 7);
	ck_assert_uint_eq(find(&few, 0xb000, 0xbfff, 0x1000, 0x1000, 7), 0xb000);
	ck_assert_uint_eq(find(&few, 0x9000, 0x9fff, 1, 1, 7), 7);
}
END_TEST

START_TEST(ranges_that_are_spared_are_kept_out_of_also_at_the_ends)
{
	static const struct iommufd_range ranges[] = { { 0x1000, 0x8fff }, { 0x9000, UINT64_MAX } };
	static const struct iommufd_range spared[] = {
		{ 0, 0x1fff }, { 0x4000, 0x4000 }, { 0x8000, 0xafff }, { 0x20000, UINT64_MAX }
	};
	struct ifd_iova_wish wish = { .ranges = ranges, .num_ranges = 2, .spared = spared, .num_spared = 4 };
	struct few few = { .tree.gaps = true };
	uint64_t at;

	wish.window = everything;
	wish.align = 0x1000;
	wish.len = 0x2000;
	ck_assert(ifd_iova_find(&few.tree, &wish, &at, NULL));
	ck_assert_uint_eq(at, 0x2000);
	wish.len = 0x3000;
	ck_assert(ifd_iova_find(&few.tree, &wish, &at, NULL));
	ck_assert_uint_eq(at, 0x5000);
	wish.len = 0x3001; /* 0x4001-0x7fff has room, but not from a page on */
	ck_assert(ifd_iova_find(&few.tree, &wish, &at, NULL));
	ck_assert_uint_eq(at, 0xb000);
	wish.len = 0x15001;
	ck_assert(!ifd_iova_find(&few.tree, &wish, &at, NULL));
}
END_TEST

/* ---- Over a long time ---- */

#define CHURN_STEPS 60000
#define CHURN_FILL  70

/* One to 512 pages, as many small as large ones; a third are no powers of two. */
static uint64_t churn_length(uint64_t *state)
{
	uint64_t pages = UINT64_C(1) << unit_below(state, 9);

	return (pages + (unit_below(state, 3) ? 0 : unit_below(state, pages))) << 12;
}

/* As the library looks for it: with the alignment that serves the IOMMU best, else with any. */
static bool churn_take(struct iova_model *model, const struct iommufd_range *all, uint64_t len)
{
	struct ifd_iova_wish wish = { .ranges = all, .num_ranges = 1, .window = everything, .len = len };
	uint64_t at;

	for (wish.align = UINT64_C(1) << 21; wish.align > len;)
		wish.align >>= 1;
	if (!ifd_iova_find(&model->tree, &wish, &at, NULL)) {
		wish.align = 1 << 12;
		if (!ifd_iova_find(&model->tree, &wish, &at, NULL))
			return false;
	}
	ck_assert(iova_model_fits(model, &wish, at));
	iova_model_take(model, at, len);
	return true;
}

/*
 * 16 MiB of which 70 % are taken, by pieces of 4 KiB to 4 MiB that come and go. Wishes of at most a quarter of what is
 * free are refused once in fifty at most, and when all have gone there is one gap again.
 */
START_TEST(places_that_come_and_go_for_long_leave_room_for_others)
{
	uint64_t seed = unit_seed(), state = seed, at, size = (uint64_t)MODEL_PAGES << 12;
	struct iova_model *model = iova_model_new(size, 12);
	const struct iommufd_range all = { size, 2 * size - 1 };
	const struct ifd_iova_wish whole = {
		.ranges = &all, .num_ranges = 1, .window = everything, .len = size, .align = size
	};
	size_t wishes = 0, refused = 0;

	for (int i = 0; i < CHURN_STEPS; i++) {
		uint64_t len = churn_length(&state);

		while (model->free < size * (100 - CHURN_FILL) / 100)
			iova_model_give(model, unit_below(&state, MODEL_PAGES));
		if (len > model->free / 4)
			continue;
		wishes++;
		refused += !churn_take(model, &all, len);
	}
	printf("# %zu of %zu wishes refused\n", refused, wishes);
	ck_assert_uint_gt(wishes, CHURN_STEPS / 2);
	ck_assert_msg(refused <= wishes / 50, "seed %" PRIu64 ": %zu of %zu wishes were refused", seed, refused,
		      wishes);
	for (size_t i = 0; i < MODEL_PAGES; i++)
		iova_model_give(model, i);
	ck_assert_ptr_null(model->tree.root);
	ck_assert(ifd_iova_find(&model->tree, &whole, &at, NULL));
	ck_assert_uint_eq(at, size);
	free(model);
}
END_TEST

START_TEST(a_place_that_was_given_back_is_the_next_one_to_be_picked)
{
	struct iova_model *model = iova_model_new(MIB(16), 12);
	const struct iommufd_range all = { MIB(16), MIB(32) - 1 };
	struct ifd_iova_wish wish = { .ranges = &all, .num_ranges = 1, .window = everything };
	uint64_t at;

	wish.align = KIB(8);
	wish.len = KIB(12); /* which fills its gap up only when single pages have filled the rest */
	for (int i = 0; i < 300; i++) {
		ck_assert(ifd_iova_find(&model->tree, &wish, &at, NULL));
		iova_model_take(model, at, wish.len);
		iova_model_take(model, at + wish.len, KIB(4));
	}
	for (size_t i = 0; i < 300; i += 7) {
		iova_model_give(model, 4 * i);
		ck_assert(ifd_iova_find(&model->tree, &wish, &at, NULL));
		ck_assert_uint_eq(at, iova_model_at(model, 4 * i));
		iova_model_take(model, at, wish.len);
	}
	free(model);
}
END_TEST

/* ---- Among very many gaps ---- */

#define LOG_MANY 17

/* Nodes on the way to one gap, which in a tree of random heights is not much longer than twice this. */
#define ONE_WAY ((size_t)6 * LOG_MANY)

static struct ifd_node nodes[MANY + 1];

/* From slot 1 on, in each: `first` addresses are free, then those up to `last`, itself included, are taken. */
static void slots(struct ifd_tree *tree, uint64_t slot, uint64_t first, uint64_t last)
{
	*tree = (struct ifd_tree){ .gaps = true };
	for (size_t i = 0; i < MANY; i++) {
		nodes[i] = (struct ifd_node){ .start = (i + 1) * slot + first, .last = (i + 1) * slot + last };
		ifd_tree_insert(tree, &nodes[i]);
	}
}

/* Up to the end of the last one that is taken. */
static struct ifd_iova_wish wish_of(const struct iommufd_range *range, uint64_t len, uint64_t align, bool thorough)
{
	return (struct ifd_iova_wish){ .ranges = range,
				       .num_ranges = 1,
				       .window = { nodes[0].start, nodes[MANY - 1].last },
				       .len = len,
				       .align = align,
				       .thorough = thorough };
}

static void is_refused_soon(const struct ifd_tree *tree, uint64_t len, uint64_t align)
{
	struct ifd_iova_wish wish = wish_of(&everything, len, align, true);
	size_t visits = 0;
	uint64_t at;

	ck_assert(!ifd_iova_find(tree, &wish, &at, &visits));
	ck_assert_msg(visits <= ONE_WAY, "%zu nodes for 0x%" PRIx64 " aligned to 0x%" PRIx64, visits, len, align);
}

static void is_found_soon(const struct ifd_tree *tree, uint64_t len, uint64_t align, bool thorough, uint64_t expected,
			  size_t most)
{
	struct ifd_iova_wish wish = wish_of(&everything, len, align, thorough);
	size_t visits = 0;
	uint64_t at = 7;

	ck_assert(ifd_iova_find(tree, &wish, &at, &visits));
	ck_assert_uint_eq(at, expected);
	ck_assert_msg(visits <= most, "%zu nodes for 0x%" PRIx64 " aligned to 0x%" PRIx64, visits, len, align);
}

/* Where a node is taken away, there is room. */
static void open_slot(struct ifd_tree *tree, size_t i)
{
	ifd_tree_remove(tree, &nodes[i]);
}

START_TEST(gaps_without_a_multiple_of_the_alignment_are_not_looked_at)
{
	struct ifd_tree tree;

	/* The first page of each 2 MiB is taken. */
	slots(&tree, MIB(2), 0, KIB(4) - 1);
	is_refused_soon(&tree, KIB(4), MIB(2));
	is_refused_soon(&tree, KIB(64), MIB(2));
	is_refused_soon(&tree, KIB(4), MIB(1024));
	is_refused_soon(&tree, MIB(2), KIB(4));
	open_slot(&tree, MANY - 7);
	is_found_soon(&tree, KIB(4), MIB(2), true, nodes[MANY - 7].start, ONE_WAY);
	is_found_soon(&tree, KIB(64), MIB(2), false, nodes[MANY - 7].start, ONE_WAY);
}
END_TEST

START_TEST(gaps_without_an_aligned_block_are_not_looked_at)
{
	struct ifd_tree tree;

	/* Of each 4 MiB the middle 3 MiB are free: more than 2 MiB, and a multiple of it, but no block of it. */
	slots(&tree, MIB(4), KIB(3584), MIB(4) + KIB(512) - 1);
	is_refused_soon(&tree, MIB(2), MIB(2));
	is_refused_soon(&tree, MIB(3), MIB(2));
	is_refused_soon(&tree, MIB(3) + 1, KIB(4));
	is_found_soon(&tree, MIB(1), MIB(2), false, nodes[0].last + 1 + KIB(1536), ONE_WAY);
	open_slot(&tree, MANY - 7);
	is_found_soon(&tree, MIB(2), MIB(2), true, nodes[MANY - 7].start + KIB(512) - MIB(2), ONE_WAY);
}
END_TEST

START_TEST(gaps_that_fit_but_for_chance_are_passed_over_after_a_bound)
{
	struct ifd_tree tree;
	struct ifd_iova_wish wish;
	size_t visits = 0;
	uint64_t at;

	/* Room from the middle of each 2 MiB to 32 KiB behind the next multiple. */
	slots(&tree, MIB(2), KIB(32), MIB(1) - 1);
	wish = wish_of(&everything, KIB(64), MIB(2), false);
	ck_assert(!ifd_iova_find(&tree, &wish, &at, &visits));
	ck_assert_uint_ge(visits, IFD_IOVA_BRIEF);
	ck_assert_uint_le(visits, IFD_IOVA_BRIEF + ONE_WAY);

	/* What fits for sure is found, wherever it is. */
	open_slot(&tree, MANY - 7);
	at = nodes[MANY - 7].start - KIB(32);
	is_found_soon(&tree, KIB(64), MIB(2), true, at, IFD_IOVA_BRIEF + ONE_WAY);
	is_found_soon(&tree, KIB(64), MIB(2), false, at, IFD_IOVA_BRIEF + ONE_WAY);
	wish.window.last = UINT64_MAX;
	ck_assert(ifd_iova_find(&tree, &wish, &at, NULL));
	ck_assert_uint_eq(at, nodes[MANY - 7].start - KIB(32)); /* which is below what is above all */
	wish.window.last = nodes[MANY - 1].last;
	ifd_tree_insert(&tree, &nodes[MANY - 7]);

	/* And what fits by chance by who insists, though that takes long. */
	open_slot(&tree, MANY - 7);
	nodes[MANY - 7].start += KIB(32);
	ifd_tree_insert(&tree, &nodes[MANY - 7]);
	is_found_soon(&tree, KIB(64), MIB(2), true, at, 4 * (size_t)MANY);
	ck_assert(!ifd_iova_find(&tree, &wish, &at, &visits));
}
END_TEST

START_TEST(a_length_that_is_no_power_of_two_is_sure_of_a_larger_block_only)
{
	struct ifd_tree tree;
	struct ifd_iova_wish wish;
	size_t visits = 0;
	uint64_t at;

	/* Three pages, of which the first one is odd: with a block of two. */
	slots(&tree, KIB(16), 0, KIB(4) - 1);
	wish = wish_of(&everything, KIB(12), KIB(8), false);
	ck_assert(!ifd_iova_find(&tree, &wish, &at, &visits));
	ck_assert_uint_le(visits, IFD_IOVA_BRIEF + ONE_WAY);
	is_found_soon(&tree, KIB(12), KIB(4), false, nodes[0].last + 1, ONE_WAY);
}
END_TEST

START_TEST(gaps_that_are_too_short_are_not_looked_at)
{
	struct ifd_tree tree;

	slots(&tree, KIB(8), KIB(4), KIB(8) - 1);
	is_refused_soon(&tree, KIB(8), KIB(4));
	is_found_soon(&tree, KIB(4), KIB(4), false, nodes[0].last + 1, ONE_WAY);
	open_slot(&tree, MANY - 7);
	is_found_soon(&tree, KIB(8), KIB(4), false, nodes[MANY - 8].last + 1, ONE_WAY);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, nothing_taken_is_one_gap_from_0_to_the_end_of_all);
	tcase_add_test(tcase, what_is_taken_at_the_ends_is_not_found);
	tcase_add_test(tcase, a_gap_that_a_window_cuts_counts_as_far_as_it_is_inside);
	tcase_add_test(tcase, ranges_that_are_spared_are_kept_out_of_also_at_the_ends);
	tcase_add_test(tcase, places_that_come_and_go_for_long_leave_room_for_others);
	tcase_add_test(tcase, a_place_that_was_given_back_is_the_next_one_to_be_picked);
	tcase_add_test(tcase, gaps_without_a_multiple_of_the_alignment_are_not_looked_at);
	tcase_add_test(tcase, gaps_without_an_aligned_block_are_not_looked_at);
	tcase_add_test(tcase, gaps_that_fit_but_for_chance_are_passed_over_after_a_bound);
	tcase_add_test(tcase, a_length_that_is_no_power_of_two_is_sure_of_a_larger_block_only);
	tcase_add_test(tcase, gaps_that_are_too_short_are_not_looked_at);
}
