/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
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
