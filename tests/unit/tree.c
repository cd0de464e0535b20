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

/* What each node says of the gaps before it and below it, of which `free` is where the next one begins. */
static void check_gaps(const struct ifd_tree *tree, const struct ifd_node *node, uint64_t *free, struct ifd_node *sum)
{
	struct ifd_node mine = { .max_gap = 0 };
	uint64_t len;

	if (!node)
		return;
	ck_assert_ptr_eq(node->parent ? (node->parent->left == node ? node->parent->left : node->parent->right)
				      : tree->root,
			 node);
	check_gaps(tree, node->left, free, &mine);
	ck_assert_uint_eq(node->free, tree->first == node ? node->start : *free);
	len = node->start - node->free;
	mine.max_gap = mine.max_gap > len ? mine.max_gap : len;
	for (unsigned int i = 0; i < 64 && len; i++) {
		uint64_t align = UINT64_C(1) << i, at = (node->free + (align - 1)) & ~(align - 1);

		if (at < node->free || at >= node->start)
			break;
		mine.max_point = mine.max_point > i ? mine.max_point : (uint8_t)i;
		if (node->start - at >= align)
			mine.max_order = mine.max_order > i ? mine.max_order : (uint8_t)i;
	}
	*free = node->last + 1;
	check_gaps(tree, node->right, free, &mine);
	ck_assert_uint_eq(node->max_gap, mine.max_gap);
	ck_assert_uint_eq(node->max_point, mine.max_point);
	ck_assert_uint_eq(node->max_order, mine.max_order);
	sum->max_gap = sum->max_gap > mine.max_gap ? sum->max_gap : mine.max_gap;
	sum->max_point = sum->max_point > mine.max_point ? sum->max_point : mine.max_point;
	sum->max_order = sum->max_order > mine.max_order ? sum->max_order : mine.max_order;
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

START_TEST(intervals_that_are_apart_are_found_too_and_known_with_the_gaps_between_them)
{
	struct model *model = model_new();
	uint64_t end = unit_now() + BUDGET, start, last, next = 0;
	struct ifd_node sum = { .max_gap = 0 };

	model->tree.gaps = true;
	while (unit_now() < end)
		for (int i = 0; i < 100; i++) {
			step(model, true);
			check_gaps(&model->tree, model->tree.root, &next, &sum);
			some_interval(model, &start, &last);
			check_first(model, start, last);
			check_first(model, 0, UINT64_MAX);
		}
	next = 0;
	for (const struct ifd_node *node = model->tree.first; node; node = ifd_tree_after(node)) {
		ck_assert(node == model->tree.first || node->start >= next);
		next = node->last + 1;
		model->in[node - model->nodes] = false;
	}
	for (size_t i = 0; i < MODEL; i++)
		ck_assert(!model->in[i]);
	free(model);
}
END_TEST

START_TEST(an_empty_tree_finds_nothing)
{
	struct ifd_tree tree = { .root = NULL };

	for (int gaps = 0; gaps < 2; gaps++) {
		tree.gaps = gaps;
		ck_assert_ptr_null(ifd_tree_first(&tree, 0, UINT64_MAX));
		ck_assert_ptr_null(ifd_tree_cover(&tree, 0, 0));
	}
}
END_TEST

START_TEST(an_interval_over_everything_is_found_everywhere)
{
	struct ifd_node all = { .start = 0, .last = UINT64_MAX };

	for (int gaps = 0; gaps < 2; gaps++) {
		struct ifd_tree tree = { .gaps = gaps };

		ifd_tree_insert(&tree, &all);
		ck_assert_ptr_eq(ifd_tree_first(&tree, 0, 0), &all);
		ck_assert_ptr_eq(ifd_tree_first(&tree, UINT64_MAX, UINT64_MAX), &all);
		ck_assert_ptr_null(ifd_tree_after(&all));
		if (!gaps)
			ck_assert_ptr_eq(ifd_tree_cover(&tree, 0, UINT64_MAX), &all);
		ifd_tree_remove(&tree, &all);
		ck_assert_ptr_null(tree.root);
		ck_assert_ptr_null(tree.first);
	}
}
END_TEST

START_TEST(single_addresses_at_both_ends_are_found)
{
	struct ifd_node first = { .start = 0, .last = 0 }, last = { .start = UINT64_MAX, .last = UINT64_MAX };

	for (int gaps = 0; gaps < 2; gaps++) {
		struct ifd_tree tree = { .gaps = gaps };

		ifd_tree_insert(&tree, &last);
		ifd_tree_insert(&tree, &first);
		ck_assert_ptr_eq(ifd_tree_first(&tree, 0, UINT64_MAX), &first);
		ck_assert_ptr_eq(ifd_tree_first(&tree, 1, UINT64_MAX), &last);
		ck_assert_ptr_null(ifd_tree_first(&tree, 1, UINT64_MAX - 1));
		ck_assert_ptr_eq(ifd_tree_after(&first), &last);
		ck_assert_ptr_null(ifd_tree_after(&last));
		if (gaps) {
			ck_assert_uint_eq(tree.root->max_gap, UINT64_MAX - 1);
			ck_assert_uint_eq(tree.root->max_point, 63);
			ck_assert_uint_eq(tree.root->max_order, 62);
		} else {
			ck_assert_ptr_eq(ifd_tree_cover(&tree, UINT64_MAX, UINT64_MAX), &last);
			ck_assert_ptr_null(ifd_tree_cover(&tree, 0, 1));
		}
	}
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
	tcase_add_test(tcase, intervals_that_are_apart_are_found_too_and_known_with_the_gaps_between_them);
	tcase_add_test(tcase, an_empty_tree_finds_nothing);
	tcase_add_test(tcase, an_interval_over_everything_is_found_everywhere);
	tcase_add_test(tcase, single_addresses_at_both_ends_are_found);
	tcase_add_test(tcase, equal_intervals_are_told_apart_on_removal);
	tcase_add_test(tcase, the_height_stays_logarithmic_when_insertions_come_in_order);
}
