/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Intervals in order of their start: a treap whose nodes know the extent and the largest gap of what is below them.
 * Every operation takes logarithmic time in expectation. Pure: no allocation, no lock. Internal.
 */
#ifndef IFD_TREE_H
#define IFD_TREE_H

#include <stdbool.h>
#include <stdint.h>

struct ifd_node {
	uint64_t start, last; /* set by the user before the insertion, both included */

	/* of the node and all below it */
	uint64_t min_start, max_last, max_gap;

	struct ifd_node *left, *right;
	uint32_t priority;
};

struct ifd_tree {
	struct ifd_node *root;
	uint32_t random;
};

/* Intervals may overlap, unless ifd_tree_gap() is to be used on the tree. */
void ifd_tree_insert(struct ifd_tree *tree, struct ifd_node *node);
void ifd_tree_remove(struct ifd_tree *tree, struct ifd_node *node);

/* The interval with the lowest start of those that share an address with start..last, or NULL. */
struct ifd_node *ifd_tree_first(const struct ifd_tree *tree, uint64_t start, uint64_t last);

/* An interval that has all of start..last in it, or NULL. */
struct ifd_node *ifd_tree_cover(const struct ifd_tree *tree, uint64_t start, uint64_t last);

/*
 * The lowest multiple of `align`, a power of two, where `len` addresses inside of low..high belong to no interval; or,
 * where gaps of `len` are many but badly aligned, the lowest in a gap with room to align. False when there is none.
 */
bool ifd_tree_gap(const struct ifd_tree *tree, uint64_t low, uint64_t high, uint64_t len, uint64_t align,
		  uint64_t *out);

#endif
