/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Where a mapping finds room: the choice of IOVAs. The lowest place that fits, or where gaps that might fit and do not
 * are many, the lowest that fits for sure.
 *
 * The nodes of the tree know the longest gap below them, and the largest power of two of which there is a multiple, or
 * a whole aligned block, in one. A search that these lead looks at IFD_IOVA_BRIEF nodes at most. When it has found
 * nothing until then, a second one goes, in logarithmic time for each range, to a gap that has an aligned block of the
 * length or of the alignment, whichever is more, rounded up to a power of two, or that is as long as length and
 * alignment together: that fits wherever it begins.
 *
 * When there is no such gap either, the answer is no; but who insists gets a third search without a bound, since his
 * wish may still fit by chance. That one is linear in the number of gaps that are long enough, have a multiple of the
 * alignment, and too little room behind it. Pure: no allocation, no lock. Internal.
 */
#ifndef IFD_IOVA_H
#define IFD_IOVA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libiommufd/base.h>

#include "tree.h"

/* How many nodes are looked at for the lowest place, before one that is easier to find will do. */
#define IFD_IOVA_BRIEF 256

/* What is looked for. Both lists are ascending, and the ranges of each are apart. */
struct ifd_iova_wish {
	const struct iommufd_range *ranges; /* that may be used */
	size_t num_ranges;
	const struct iommufd_range *spared; /* that are not to be used all the same */
	size_t num_spared;
	struct iommufd_range window; /* and nothing outside of this */
	uint64_t len;                /* at least 1 */
	uint64_t align;              /* a power of two */
	bool thorough;               /* rather a long search than a wrong no */
};

/* In a tree with `gaps`. False, and `iova` as it was, when there is no place; how many nodes it took, or NULL. */
bool ifd_iova_find(const struct ifd_tree *tree, const struct ifd_iova_wish *wish, uint64_t *iova, size_t *visits);

#endif
