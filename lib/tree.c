/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <stddef.h>

#include "tree.h"

/* The largest power of two, as an exponent, that has a multiple in start..last. */
static uint8_t point_of(uint64_t start, uint64_t last)
{
	return (uint8_t)(63 - __builtin_clzll((start - 1) ^ last)); /* what is between two intervals is not at 0 */
}

/* The same, of which one has a whole aligned block there: the largest that the length has room for, or half of that. */
static uint8_t order_of(uint64_t start, uint64_t last)
{
	uint64_t len = last - start + 1, block = UINT64_C(1) << (63 - __builtin_clzll(len));

	return (uint8_t)(63 - __builtin_clzll(len) - (block > 1 && len - (-start & (block - 1)) < block));
}

/* Addresses from `free` up to the node belong to nobody. */
static void set_gap(struct ifd_node *node, uint64_t free)
{
	node->free = free;
	node->point = free < node->start ? point_of(free, node->start - 1) : 0;
	node->order = free < node->start ? order_of(free, node->start - 1) : 0;
}

/* From the node itself and what is right below; false when it was so before. */
static bool update_gaps(struct ifd_node *node)
{
	const struct ifd_node *left = node->left, *right = node->right;
	uint64_t gap = node->start - node->free;
	uint8_t point = node->point, order = node->order;
	bool changed;

	if (left) {
		gap = left->max_gap > gap ? left->max_gap : gap;
		point = left->max_point > point ? left->max_point : point;
		order = left->max_order > order ? left->max_order : order;
	}
	if (right) {
		gap = right->max_gap > gap ? right->max_gap : gap;
		point = right->max_point > point ? right->max_point : point;
		order = right->max_order > order ? right->max_order : order;
	}
	changed = gap != node->max_gap || point != node->max_point || order != node->max_order;
	node->max_gap = gap;
	node->max_point = point;
	node->max_order = order;
	return changed;
}

static bool update_last(struct ifd_node *node)
{
	uint64_t old = node->max_last;

	node->max_last = node->last;
	if (node->left && node->left->max_last > node->max_last)
		node->max_last = node->left->max_last;
	if (node->right && node->right->max_last > node->max_last)
		node->max_last = node->right->max_last;
	return node->max_last != old;
}

static bool update(const struct ifd_tree *tree, struct ifd_node *node)
{
	return tree->gaps ? update_gaps(node) : update_last(node);
}

/* What is above a node that changed, as far as that makes a difference there: few levels, most of the time. */
static void update_above(const struct ifd_tree *tree, struct ifd_node *node)
{
	while (node && update(tree, node))
		node = node->parent;
}

/* A gap that has grown over all that it was joined from: so much is above it, at least. */
static void raise_above(struct ifd_node *node)
{
	uint64_t gap = node->start - node->free;
	uint8_t point = node->point, order = node->order;

	for (; node && (node->max_gap < gap || node->max_point < point || node->max_order < order);
	     node = node->parent) {
		node->max_gap = gap > node->max_gap ? gap : node->max_gap;
		node->max_point = point > node->max_point ? point : node->max_point;
		node->max_order = order > node->max_order ? order : node->max_order;
	}
}

static void update_up_to(const struct ifd_tree *tree, struct ifd_node *node, const struct ifd_node *end)
{
	for (; node != end; node = node->parent)
		update(tree, node);
}

/* A total order, so that equal intervals can be told apart. */
static bool before(const struct ifd_node *a, const struct ifd_node *b)
{
	if (a->start != b->start)
		return a->start < b->start;
	return (uintptr_t)a < (uintptr_t)b;
}

/* xorshift: the heights need no better randomness. */
static uint32_t next_random(struct ifd_tree *tree)
{
	uint32_t x = tree->random ? tree->random : 0x9e3779b9;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return tree->random = x;
}

struct ifd_node *ifd_tree_after(const struct ifd_node *node)
{
	struct ifd_node *next = node->right;

	if (next) {
		while (next->left)
			next = next->left;
		return next;
	}
	for (next = node->parent; next && next->right == node; next = next->parent)
		node = next;
	return next;
}

void ifd_tree_insert(struct ifd_tree *tree, struct ifd_node *node)
{
	struct ifd_node **link = &tree->root, **left = &node->left, **right = &node->right, *at;
	struct ifd_node *parent = NULL, *prev = NULL, *next = NULL, *lefts = node, *rights = node;

	node->priority = next_random(tree);
	while ((at = *link) && at->priority >= node->priority) {
		parent = at;
		if (before(at, node)) {
			prev = at;
			link = &at->right;
		} else {
			next = at;
			link = &at->left;
		}
	}
	node->parent = parent;
	*link = node;
	/* What was there goes below it, to one side or the other. */
	while (at)
		if (before(at, node)) {
			*left = at;
			at->parent = lefts;
			prev = lefts = at;
			left = &at->right;
			at = at->right;
		} else {
			*right = at;
			at->parent = rights;
			next = rights = at;
			right = &at->left;
			at = at->left;
		}
	*left = *right = NULL;

	if (tree->gaps) {
		set_gap(node, prev ? prev->last + 1 : node->start);
		if (next)
			set_gap(next, node->last + 1);
		if (!prev)
			tree->first = node;
	}
	update_up_to(tree, lefts, node);
	update_up_to(tree, rights, node);
	update(tree, node);
	update_above(tree, parent);
	if (tree->gaps && rights == node)
		update_above(tree, next);
}

void ifd_tree_remove(struct ifd_tree *tree, struct ifd_node *node)
{
	struct ifd_node *left = node->left, *right = node->right, *top = node->parent, *parent = top;
	struct ifd_node **link = !top ? &tree->root : top->left == node ? &top->left : &top->right;
	struct ifd_node *next = tree->gaps ? ifd_tree_after(node) : NULL;

	if (tree->first == node)
		tree->first = next;
	if (next) {
		set_gap(next, tree->first == next ? next->start : node->free);
		raise_above(next);
	}
	while (left && right)
		if (left->priority > right->priority) {
			*link = left;
			left->parent = parent;
			parent = left;
			link = &left->right;
			left = left->right;
		} else {
			*link = right;
			right->parent = parent;
			parent = right;
			link = &right->left;
			right = right->left;
		}
	*link = left ? left : right;
	if (*link)
		(*link)->parent = parent;
	update_up_to(tree, parent, top);
	update_above(tree, top);
	if (tree->first == next)
		update_above(tree, next);
}

/* Where none overlap, the first one that ends high enough is found by the order alone. */
static struct ifd_node *first_apart(const struct ifd_tree *tree, uint64_t start, uint64_t last)
{
	struct ifd_node *node = tree->root, *found = NULL;

	while (node)
		if (node->last >= start) {
			found = node;
			node = node->left;
		} else {
			node = node->right;
		}
	return found && found->start <= last ? found : NULL;
}

struct ifd_node *ifd_tree_first(const struct ifd_tree *tree, uint64_t start, uint64_t last)
{
	struct ifd_node *node = tree->root;

	if (tree->gaps)
		return first_apart(tree, start, last);
	while (node && node->max_last >= start) {
		if (node->left && node->left->max_last >= start)
			node = node->left; /* the lowest of those that end high enough is there */
		else if (node->last >= start)
			return node->start <= last ? node : NULL;
		else
			node = node->right;
	}
	return NULL;
}

struct ifd_node *ifd_tree_cover(const struct ifd_tree *tree, uint64_t start, uint64_t last)
{
	struct ifd_node *node = tree->root;

	while (node && node->max_last >= last) {
		if (node->start > start)
			node = node->left;
		else if (node->last >= last)
			return node;
		else if (node->left && node->left->max_last >= last)
			node = node->left; /* all there start low enough, so one of them covers */
		else
			node = node->right;
	}
	return NULL;
}
