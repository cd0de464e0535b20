/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Where a mapping finds room: the choice of IOVAs. Pure: no allocation, no lock. Internal. */
#ifndef IFD_IOVA_H
#define IFD_IOVA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libiommufd/base.h>

#include "tree.h"

/* What is looked for. Both lists are ascending, and the ranges of each are apart. */
struct ifd_iova_wish {
	const struct iommufd_range *ranges; /* that may be used */
	size_t num_ranges;
	const struct iommufd_range *spared; /* that are not to be used all the same */
	size_t num_spared;
	struct iommufd_range window; /* and nothing outside of this */
	uint64_t len;                /* at least 1 */
	uint64_t align;              /* a power of two */
};

/* False, and `iova` as it was, when there is no such place. */
bool ifd_iova_find(const struct ifd_tree *tree, const struct ifd_iova_wish *wish, uint64_t *iova);

/* How many addresses of the ranges, inside of the window and without the spared ones, belong to no interval. */
uint64_t ifd_iova_free(const struct ifd_tree *tree, const struct ifd_iova_wish *wish);

#endif
