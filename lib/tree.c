/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <stddef.h>

#include "tree.h"

static uint64_t max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The free addresses between two neighbours, 0 when they overlap. */
static uint64_t gap_between(uint64_t last, uint64_t start)
{
	return start > last ? start - last - 1 : 0;
}

static void update(struct ifd_node *node)
{
	const struct ifd_node *left = node->left, *right = node->right;

	node->min_start = left ? left->min_start : node->start;
	node->max_last = node->last;
	node->max_gap = 0;
	if (left) {
		node->max_last = max64(node->max_last, left->max_last);
		node->max_gap = max64(left->max_gap, gap_between(left->max_last, node->start));
	}
	if (right) {
		node->max_last = max64(node->max_last, right->max_last);
		node->max_gap = max64(node->max_gap, right->max_gap);
		node->max_gap = max64(node->max_gap, gap_between(node->last, right->min_start));
	}
}

/* A total order, so that equal intervals can be told apart on removal. */
static bool before(const struct ifd_node *a, const struct ifd_node *b)
{
	if (a->start != b->start)
		return a->start < b->start;
	return (uintptr_t)a < (uintptr_t)b;
}

static void split(struct ifd_node *root, const struct ifd_node *at, struct ifd_node **left, struct ifd_node **right)
{
	if (!root) {
		*left = *right = NULL;
	} else if (before(root, at)) {
		split(root->right, at, &root->right, right);
		*left = root;
		update(root);
	} else {
		split(root->left, at, left, &root->left);
		*right = root;
		update(root);
	}
}

static struct ifd_node *merge(struct ifd_node *left, struct ifd_node *right)
{
	if (!left || !right)
		return left ? left : right;
	if (left->priority > right->priority) {
		left->right = merge(left->right, right);
		update(left);
		return left;
	}
	right->left = merge(left, right->left);
	update(right);
	return right;
}

static struct ifd_node *insert(struct ifd_node *root, struct ifd_node *node)
{
	if (!root || node->priority > root->priority) {
		split(root, node, &node->left, &node->right);
		root = node;
	} else if (before(node, root)) {
		root->left = insert(root->left, node);
	} else {
		root->right = insert(root->right, node);
	}
	update(root);
	return root;
}

static struct ifd_node *remove_from(struct ifd_node *root, const struct ifd_node *node)
{
	if (root == node)
		return merge(root->left, root->right);
	if (before(node, root))
		root->left = remove_from(root->left, node);
	else
		root->right = remove_from(root->right, node);
	update(root);
	return root;
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

void ifd_tree_insert(struct ifd_tree *tree, struct ifd_node *node)
{
	node->priority = next_random(tree);
	tree->root = insert(tree->root, node);
}

void ifd_tree_remove(struct ifd_tree *tree, struct ifd_node *node)
{
	tree->root = remove_from(tree->root, node);
}

struct ifd_node *ifd_tree_first(const struct ifd_tree *tree, uint64_t start, uint64_t last)
{
	struct ifd_node *node = tree->root;

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

/* A search for a gap, in order of addresses. `from` is the lowest address that is not known to be taken. */
struct search {
	uint64_t from, high, len, align, need;
	bool full; /* the last address of all is taken */
};

static bool fits(const struct search *search, uint64_t last, uint64_t *out)
{
	uint64_t at = (search->from + search->align - 1) & ~(search->align - 1);

	if (last > search->high)
		last = search->high;
	if (at < search->from || at > last || last - at < search->len - 1)
		return false;
	*out = at;
	return true;
}

static void skip(struct search *search, uint64_t last)
{
	if (last == UINT64_MAX)
		search->full = true;
	else
		search->from = max64(search->from, last + 1);
}

static bool walk(const struct ifd_node *node, struct search *search, uint64_t *out)
{
	if (!node || node->max_last < search->from || node->min_start > search->high)
		return false;
	if (node->max_gap < search->need && gap_between(search->from, node->min_start) + 1 < search->need) {
		skip(search, node->max_last);
		return false;
	}
	if (walk(node->left, search, out))
		return true;
	if (node->start > search->from && fits(search, node->start - 1, out))
		return true;
	skip(search, node->last);
	return !search->full && walk(node->right, search, out);
}

bool ifd_tree_gap(const struct ifd_tree *tree, uint64_t low, uint64_t high, uint64_t len, uint64_t align, uint64_t *out)
{
	/* With this much room any gap can be aligned, so the first one that the walk enters is the answer. */
	uint64_t roomy = len + align - 1 >= len ? len + align - 1 : UINT64_MAX;

	for (int pass = 0; pass < 2; pass++) {
		struct search search = { low, high, len, align, pass ? len : roomy, false };

		if (walk(tree->root, &search, out) || (!search.full && fits(&search, high, out)))
			return true;
	}
	return false;
}
