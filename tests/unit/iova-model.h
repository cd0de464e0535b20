/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The choice of IOVAs beside one that cannot be wrong: an array of pages, searched from one end to the other. `unit.h`
 * is not needed, so that the fuzz program can have it.
 */
#ifndef IOVA_MODEL_H
#define IOVA_MODEL_H

#include "iova.h"

#define MODEL_PAGES 4096

struct iova_model {
	struct ifd_tree tree;
	struct ifd_node nodes[MODEL_PAGES]; /* the one that begins at a page */
	uint16_t pages[MODEL_PAGES];        /* how many it takes, 0 for none */
	bool taken[MODEL_PAGES];
	uint64_t base; /* where the first page is, a multiple of their size */
	unsigned int shift;
	uint64_t free;
};

void iova_model_init(struct iova_model *model, uint64_t base, unsigned int shift);

/* For free(). */
struct iova_model *iova_model_new(uint64_t base, unsigned int shift);

static inline uint64_t iova_model_at(const struct iova_model *model, size_t page)
{
	return model->base + ((uint64_t)page << model->shift);
}

/* The lowest place for a wish whose alignment is that of a page at least; all of its ranges are among the pages. */
bool iova_model_find(const struct iova_model *model, const struct ifd_iova_wish *wish, uint64_t *iova);

/*
 * The lowest one in a gap, counted beyond ranges and window too, of which all know that it fits: with an aligned block
 * of the length or the alignment, or with room for both together, or one before or behind all that is taken.
 */
bool iova_model_find_sure(const struct iova_model *model, const struct ifd_iova_wish *wish, uint64_t *iova);

/* Whether nothing is in the way of a wish there. */
bool iova_model_fits(const struct iova_model *model, const struct ifd_iova_wish *wish, uint64_t iova);

/* What a search that looked at `visits` nodes found, and whether it did, is what it had to find. */
bool iova_model_agrees(const struct iova_model *model, const struct ifd_iova_wish *wish, bool found, uint64_t iova,
		       size_t visits);

void iova_model_take(struct iova_model *model, uint64_t iova, uint64_t len);

/* False when no interval begins at this page. */
bool iova_model_give(struct iova_model *model, size_t page);

#endif
