/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <stdlib.h>
#include <string.h>

#include "iova-model.h"

void iova_model_init(struct iova_model *model, uint64_t base, unsigned int shift)
{
	memset(model->pages, 0, sizeof(model->pages));
	memset(model->taken, false, sizeof(model->taken));
	model->tree = (struct ifd_tree){ .gaps = true };
	model->base = base;
	model->shift = shift;
	model->free = (uint64_t)MODEL_PAGES << shift;
}

struct iova_model *iova_model_new(uint64_t base, unsigned int shift)
{
	struct iova_model *model = malloc(sizeof(*model));

	if (!model)
		abort();
	iova_model_init(model, base, shift);
	return model;
}

static size_t page_of(const struct iova_model *model, uint64_t iova)
{
	return (size_t)((iova - model->base) >> model->shift);
}

static bool inside(const struct iommufd_range *range, uint64_t start, uint64_t last)
{
	return start >= range->start && last <= range->last;
}

bool iova_model_fits(const struct iova_model *model, const struct ifd_iova_wish *wish, uint64_t iova)
{
	uint64_t last = iova + (wish->len - 1);
	bool in_a_range = false;

	if (last < iova || iova & (wish->align - 1) || !inside(&wish->window, iova, last))
		return false;
	for (size_t i = 0; i < wish->num_ranges; i++)
		in_a_range |= inside(&wish->ranges[i], iova, last);
	if (!in_a_range)
		return false;
	for (size_t i = 0; i < wish->num_spared; i++)
		if (wish->spared[i].start <= last && wish->spared[i].last >= iova)
			return false;
	for (size_t page = page_of(model, iova); page <= page_of(model, last); page++)
		if (model->taken[page])
			return false;
	return true;
}

bool iova_model_find(const struct iova_model *model, const struct ifd_iova_wish *wish, uint64_t *iova)
{
	for (size_t page = 0; page < MODEL_PAGES; page++)
		if (!model->taken[page] && iova_model_fits(model, wish, iova_model_at(model, page))) {
			*iova = iova_model_at(model, page);
			return true;
		}
	return false;
}

/* The gap that has a free page in it. False for one that has no end among the pages, or no beginning. */
static bool gap_of(const struct iova_model *model, uint64_t iova, uint64_t *start, uint64_t *last)
{
	size_t before = page_of(model, iova), behind = before;

	while (before && !model->pages[before])
		before--;
	while (behind < MODEL_PAGES && !model->pages[behind])
		behind++;
	if (!model->pages[before] || behind == MODEL_PAGES)
		return false;
	*start = model->nodes[before].last + 1;
	*last = model->nodes[behind].start - 1;
	return true;
}

static bool is_sure(const struct iova_model *model, const struct ifd_iova_wish *wish, uint64_t iova)
{
	uint64_t start, last, block = wish->align, at;

	if (!gap_of(model, iova, &start, &last))
		return true;
	if (last - start >= wish->len - 1 && last - start - (wish->len - 1) >= wish->align - 1)
		return true;
	while (block < wish->len)
		block <<= 1;
	at = (start + (block - 1)) & ~(block - 1);
	return at >= start && at <= last && last - at >= block - 1;
}

bool iova_model_find_sure(const struct iova_model *model, const struct ifd_iova_wish *wish, uint64_t *iova)
{
	for (size_t page = 0; page < MODEL_PAGES; page++) {
		uint64_t at = iova_model_at(model, page);

		if (!model->taken[page] && iova_model_fits(model, wish, at) && is_sure(model, wish, at)) {
			*iova = at;
			return true;
		}
	}
	return false;
}

bool iova_model_agrees(const struct iova_model *model, const struct ifd_iova_wish *wish, bool found, uint64_t iova,
		       size_t visits)
{
	uint64_t expected;
	bool any;

	if (visits > IFD_IOVA_BRIEF && iova_model_find_sure(model, wish, &expected))
		any = true;
	else if (visits > IFD_IOVA_BRIEF && !wish->thorough)
		any = false;
	else
		any = iova_model_find(model, wish, &expected);
	return found == any && (!found || (iova == expected && iova_model_fits(model, wish, iova)));
}

void iova_model_take(struct iova_model *model, uint64_t iova, uint64_t len)
{
	size_t first = page_of(model, iova), last = page_of(model, iova + (len - 1));
	struct ifd_node *node = &model->nodes[first];

	memset(node, 0xa5, sizeof(*node)); /* what an earlier stay left behind must not matter */
	node->start = iova;
	node->last = iova + (len - 1);
	ifd_tree_insert(&model->tree, node);
	model->pages[first] = (uint16_t)(last - first + 1);
	memset(&model->taken[first], true, last - first + 1);
	model->free -= (uint64_t)(last - first + 1) << model->shift;
}

bool iova_model_give(struct iova_model *model, size_t page)
{
	if (!model->pages[page])
		return false;
	ifd_tree_remove(&model->tree, &model->nodes[page]);
	memset(&model->taken[page], false, model->pages[page]);
	model->free += (uint64_t)model->pages[page] << model->shift;
	model->pages[page] = 0;
	return true;
}
