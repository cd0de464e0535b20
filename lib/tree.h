/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Intervals in order of their start: a treap. Where they may overlap, its nodes know how far those below them reach;
 * where they never do, the largest gaps between them. A search and an insertion take logarithmic time in expectation;
 * what is above a change is looked at as far as it makes a difference. Pure: no allocation, no lock. Internal.
 */
#ifndef IFD_TREE_H
#define IFD_TREE_H

#include <stdbool.h>
#include <stdint.h>

struct ifd_node {
	uint64_t start, last; /* set by the user before the insertion, both included */

	/* of the node and all below it: the longest gap, or where no account is kept of these, the highest end */
	union {
		uint64_t max_gap, max_last;
	};

	uint64_t free; /* where the gap before it begins: its `start` for none, and for the first of all */
	struct ifd_node *left, *right, *parent;
	uint32_t priority;

	/*
	 * Powers of two, as exponents: the largest that has a multiple in the gap, and the largest of which a whole
	 * aligned block is in it; and the largest of the node and all below it.
	 */
	uint8_t point, order, max_point, max_order;
};

/* All zero for an empty one, but `gaps` perhaps. */
struct ifd_tree {
	struct ifd_node *root;
	struct ifd_node *first; /* with `gaps` */
	uint32_t random;
	bool gaps; /* intervals never overlap, and account is kept of what is between them */
};

void ifd_tree_insert(struct ifd_tree *tree, struct ifd_node *node);
void ifd_tree_remove(struct ifd_tree *tree, struct ifd_node *node);

/* The interval with the lowest start of those that share an address with start..last, or NULL. */
struct ifd_node *ifd_tree_first(const struct ifd_tree *tree, uint64_t start, uint64_t last);

/* The next one in order, or NULL. */
struct ifd_node *ifd_tree_after(const struct ifd_node *node);

/* An interval that has all of start..last in it, or NULL; of a tree without `gaps`. */
struct ifd_node *ifd_tree_cover(const struct ifd_tree *tree, uint64_t start, uint64_t last);

#endif
