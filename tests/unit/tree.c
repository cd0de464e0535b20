/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The tree of intervals, against an array that is searched from one end to the other. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tree.h"
#include "unit.h"

#define MANY   100000
#define MODEL  160 /* intervals at a time: few enough to search all of them after each step */
#define BUDGET 700 /* milliseconds for each test of random steps */

struct model {
	struct ifd_node nodes[MODEL];
	bool in[MODEL];
	struct ifd_tree tree;
	uint64_t state, seed;
};

static struct model *model_new(void)
{
	struct model *model = calloc(1, sizeof(*model));

	ck_assert_ptr_nonnull(model);
	model->seed = model->state = unit_seed();
	return model;
}

static bool overlaps(const struct ifd_node *node, uint64_t start, uint64_t last)
{
	return node->start <= last && node->last >= start;
}

/* Addresses that meet each other and the ends of the space often. */
static uint64_t some_address(struct model *model)
{
	switch (unit_below(&model->state, 8)) {
	case 0:
		return unit_below(&model->state, 4);
	case 1:
		return UINT64_MAX - unit_below(&model->state, 4);
	case 2:
		return unit_random(&model->state);
	default:
		return unit_below(&model->state, 4096);
	}
}

static void some_interval(struct model *model, uint64_t *start, uint64_t *last)
{
	uint64_t len = unit_below(&model->state, 4) ? unit_below(&model->state, 200) : unit_random(&model->state);

	*start = some_address(model);
	*last = UINT64_MAX - *start < len ? UINT64_MAX : *start + len;
}

static bool is_free(const struct model *model, uint64_t start, uint64_t last)
{
	for (size_t i = 0; i < MODEL; i++)
		if (model->in[i] && overlaps(&model->nodes[i], start, last))
			return false;
	return true;
}

/* Puts one in or takes one out; with `apart` only where nothing is. */
static void step(struct model *model, bool apart)
{
	size_t i = unit_below(&model->state, MODEL);
	struct ifd_node *node = &model->nodes[i];
	uint64_t start, last;

	if (model->in[i]) {
		ifd_tree_remove(&model->tree, node);
		model->in[i] = false;
		return;
	}
	some_interval(model, &start, &last);
	if (apart && !is_free(model, start, last))
		return;
	memset(node, 0xa5, sizeof(*node)); /* what an earlier stay left behind must not matter */
	node->start = start;
	node->last = last;
	node->left = node->right = NULL;
	ifd_tree_insert(&model->tree, node);
	model->in[i] = true;
}

static void check_first(struct model *model, uint64_t start, uint64_t last)
{
	const struct ifd_node *found = ifd_tree_first(&model->tree, start, last), *lowest = NULL;

	for (size_t i = 0; i < MODEL; i++)
		if (model->in[i] && overlaps(&model->nodes[i], start, last) &&
		    (!lowest || model->nodes[i].start < lowest->start))
			lowest = &model->nodes[i];
	ck_assert_msg(!found == !lowest, "seed %" PRIu64 ": first of %#" PRIx64 "-%#" PRIx64, model->seed, start, last);
	if (!found)
		return;
	ck_assert_msg(found->start == lowest->start && overlaps(found, start, last),
		      "seed %" PRIu64 ": first of %#" PRIx64 "-%#" PRIx64 " is %#" PRIx64 "-%#" PRIx64, model->seed,
		      start, last, found->start, found->last);
}

static void check_cover(struct model *model, uint64_t start, uint64_t last)
{
	const struct ifd_node *found = ifd_tree_cover(&model->tree, start, last);
	bool expected = false;

	for (size_t i = 0; i < MODEL; i++)
		expected |= model->in[i] && model->nodes[i].start <= start && model->nodes[i].last >= last;
	ck_assert_msg(!found == !expected, "seed %" PRIu64 ": cover of %#" PRIx64 "-%#" PRIx64, model->seed, start,
		      last);
	ck_assert_msg(!found || (found->start <= start && found->last >= last),
		      "seed %" PRIu64 ": %#" PRIx64 "-%#" PRIx64 " is covered by %#" PRIx64 "-%#" PRIx64, model->seed,
		      start, last, found ? found->start : 0, found ? found->last : 0);
}

/* The lowest place from `from` on, by moving over whatever is in the way. */
static bool model_gap(const struct model *model, uint64_t from, uint64_t high, uint64_t len, uint64_t align,
		      uint64_t *out)
{
	for (;;) {
		uint64_t at = (from + align - 1) & ~(align - 1);
		const struct ifd_node *in_the_way = NULL;

		if (at < from || at > high || high - at < len - 1)
			return false;
		for (size_t i = 0; i < MODEL && !in_the_way; i++)
			if (model->in[i] && overlaps(&model->nodes[i], at, at + (len - 1)))
				in_the_way = &model->nodes[i];
		if (!in_the_way) {
			*out = at;
			return true;
		}
		if (in_the_way->last == UINT64_MAX)
			return false;
		from = in_the_way->last + 1;
	}
}

static void check_gap(struct model *model, uint64_t low, uint64_t high, uint64_t len, uint64_t align)
{
	uint64_t at = 1, lowest = 1;
	bool expected = model_gap(model, low, high, len, align, &lowest);
	bool found = ifd_tree_gap(&model->tree, low, high, len, align, &at);

	ck_assert_msg(found == expected,
		      "seed %" PRIu64 ": %#" PRIx64 " of alignment %#" PRIx64 " in %#" PRIx64 "-%#" PRIx64 ": %s",
		      model->seed, len, align, low, high, found ? "a gap too many" : "a gap was missed");
	if (!found)
		return;
	ck_assert_msg(at >= lowest && at <= high && high - at >= len - 1 && !(at & (align - 1)) &&
			      is_free(model, at, at + (len - 1)),
		      "seed %" PRIu64 ": %#" PRIx64 " of alignment %#" PRIx64 " in %#" PRIx64 "-%#" PRIx64
		      " at %#" PRIx64,
		      model->seed, len, align, low, high, at);
	ck_assert_msg(align > 1 || at == lowest, "seed %" PRIu64 ": %#" PRIx64 " is not the lowest, %#" PRIx64 " is",
		      model->seed, at, lowest);
}

START_TEST(first_finds_the_lowest_of_overlapping_intervals_as_a_naive_search_does)
{
	struct model *model = model_new();
	uint64_t end = unit_now() + BUDGET, start, last;

	while (unit_now() < end)
		for (int i = 0; i < 100; i++) {
			step(model, false);
			some_interval(model, &start, &last);
			check_first(model, start, last);
			check_first(model, start, start);
			check_first(model, 0, UINT64_MAX);
		}
	free(model);
}
END_TEST

START_TEST(cover_finds_an_interval_among_overlapping_ones_exactly_when_there_is_one)
{
	struct model *model = model_new();
	uint64_t end = unit_now() + BUDGET, start, last;

	while (unit_now() < end)
		for (int i = 0; i < 100; i++) {
			step(model, false);
			some_interval(model, &start, &last);
			check_cover(model, start, last);
			check_cover(model, start, start);
		}
	free(model);
}
END_TEST

START_TEST(gap_finds_a_free_aligned_place_exactly_when_there_is_one)
{
	struct model *model = model_new();
	uint64_t end = unit_now() + BUDGET, low, high, len;

	while (unit_now() < end)
		for (int i = 0; i < 100; i++) {
			step(model, true);
			some_interval(model, &low, &high);
			len = unit_below(&model->state, 4) ? 1 + unit_below(&model->state, 600)
							   : unit_random(&model->state) | 1;
			check_gap(model, low, high, len, UINT64_C(1) << unit_below(&model->state, 12));
			check_gap(model, 0, UINT64_MAX, len, UINT64_C(1) << unit_below(&model->state, 64));
		}
	free(model);
}
END_TEST

START_TEST(an_empty_tree_finds_nothing_and_is_one_gap)
{
	struct ifd_tree tree = { .root = NULL };
	uint64_t at = 7;

	ck_assert_ptr_null(ifd_tree_first(&tree, 0, UINT64_MAX));
	ck_assert_ptr_null(ifd_tree_cover(&tree, 0, 0));
	ck_assert(ifd_tree_gap(&tree, 0, UINT64_MAX, UINT64_MAX, 1, &at));
	ck_assert_uint_eq(at, 0);
	ck_assert(ifd_tree_gap(&tree, UINT64_MAX, UINT64_MAX, 1, 1, &at));
	ck_assert_uint_eq(at, UINT64_MAX);
	ck_assert(ifd_tree_gap(&tree, 1, UINT64_MAX, 1, UINT64_C(1) << 63, &at));
	ck_assert_uint_eq(at, UINT64_C(1) << 63);
	ck_assert(!ifd_tree_gap(&tree, (UINT64_C(1) << 63) + 1, UINT64_MAX, 1, UINT64_C(1) << 63, &at));
	ck_assert(!ifd_tree_gap(&tree, 1, UINT64_MAX - 1, UINT64_MAX, 1, &at));
}
END_TEST

START_TEST(an_interval_over_everything_leaves_no_gap)
{
	struct ifd_tree tree = { .root = NULL };
	struct ifd_node all = { .start = 0, .last = UINT64_MAX };
	uint64_t at = 7;

	ifd_tree_insert(&tree, &all);
	ck_assert_ptr_eq(ifd_tree_first(&tree, 0, 0), &all);
	ck_assert_ptr_eq(ifd_tree_first(&tree, UINT64_MAX, UINT64_MAX), &all);
	ck_assert_ptr_eq(ifd_tree_cover(&tree, 0, UINT64_MAX), &all);
	ck_assert(!ifd_tree_gap(&tree, 0, UINT64_MAX, 1, 1, &at));
	ck_assert_uint_eq(at, 7);
	ifd_tree_remove(&tree, &all);
	ck_assert(ifd_tree_gap(&tree, 0, UINT64_MAX, 1, 1, &at));
}
END_TEST

START_TEST(single_addresses_at_both_ends_are_found_and_kept_out_of_gaps)
{
	struct ifd_tree tree = { .root = NULL };
	struct ifd_node first = { .start = 0, .last = 0 }, last = { .start = UINT64_MAX, .last = UINT64_MAX };
	uint64_t at;

	ifd_tree_insert(&tree, &last);
	ifd_tree_insert(&tree, &first);
	ck_assert_ptr_eq(ifd_tree_first(&tree, 0, UINT64_MAX), &first);
	ck_assert_ptr_eq(ifd_tree_first(&tree, 1, UINT64_MAX), &last);
	ck_assert_ptr_null(ifd_tree_first(&tree, 1, UINT64_MAX - 1));
	ck_assert_ptr_eq(ifd_tree_cover(&tree, UINT64_MAX, UINT64_MAX), &last);
	ck_assert_ptr_null(ifd_tree_cover(&tree, 0, 1));
	ck_assert(ifd_tree_gap(&tree, 0, UINT64_MAX, UINT64_MAX - 1, 1, &at));
	ck_assert_uint_eq(at, 1);
	ck_assert(!ifd_tree_gap(&tree, 0, UINT64_MAX, UINT64_MAX, 1, &at));
	ck_assert(!ifd_tree_gap(&tree, 0, UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 63, &at));
}
END_TEST

START_TEST(equal_intervals_are_told_apart_on_removal)
{
	struct ifd_tree tree = { .root = NULL };
	struct ifd_node equal[8];

	for (size_t i = 0; i < 8; i++) {
		equal[i] = (struct ifd_node){ .start = 4096, .last = 8191 };
		ifd_tree_insert(&tree, &equal[i]);
	}
	for (size_t i = 0; i < 8; i++) {
		ck_assert_ptr_nonnull(ifd_tree_cover(&tree, 4096, 8191));
		ifd_tree_remove(&tree, &equal[(i * 5 + 3) % 8]);
	}
	ck_assert_ptr_null(tree.root);
}
END_TEST

static unsigned int depth(const struct ifd_node *node)
{
	unsigned int left, right;

	if (!node)
		return 0;
	left = depth(node->left);
	right = depth(node->right);
	return 1 + (left > right ? left : right);
}

START_TEST(the_height_stays_logarithmic_when_insertions_come_in_order)
{
	struct ifd_tree tree = { .root = NULL };
	struct ifd_node *nodes = calloc(MANY, sizeof(*nodes));

	ck_assert_ptr_nonnull(nodes);
	for (size_t i = 0; i < MANY; i++) {
		nodes[i].start = i * 4096;
		nodes[i].last = i * 4096 + 4095;
		ifd_tree_insert(&tree, &nodes[i]);
	}
	ck_assert_uint_lt(depth(tree.root), 60);
	for (size_t i = 0; i < MANY; i += 2)
		ifd_tree_remove(&tree, &nodes[i]);
	ck_assert_uint_lt(depth(tree.root), 60);
	free(nodes);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, first_finds_the_lowest_of_overlapping_intervals_as_a_naive_search_does);
	tcase_add_test(tcase, cover_finds_an_interval_among_overlapping_ones_exactly_when_there_is_one);
	tcase_add_test(tcase, gap_finds_a_free_aligned_place_exactly_when_there_is_one);
	tcase_add_test(tcase, an_empty_tree_finds_nothing_and_is_one_gap);
	tcase_add_test(tcase, an_interval_over_everything_leaves_no_gap);
	tcase_add_test(tcase, single_addresses_at_both_ends_are_found_and_kept_out_of_gaps);
	tcase_add_test(tcase, equal_intervals_are_told_apart_on_removal);
	tcase_add_test(tcase, the_height_stays_logarithmic_when_insertions_come_in_order);
}
