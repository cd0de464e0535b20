/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A program for libFuzzer: the choice of IOVAs beside a naive one. The input is the size of a page, where the first one
 * is, and steps: places that are looked for, taken and given back.
 */
#include <stdlib.h>
#include <string.h>

#include "iova-model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at, *end;
};

static uint64_t next(struct input *input, unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | (input->at < input->end ? *input->at++ : 0);
	return value;
}

static void check(bool good)
{
	if (!good)
		abort();
}

static struct iova_model model;

/* Ascending and apart, of whole pages. */
static size_t some_ranges(struct input *input, struct iommufd_range *ranges, size_t max)
{
	size_t count = 0, page = 0;

	while (count < max && page < MODEL_PAGES) {
		size_t pages = next(input, 2) % (MODEL_PAGES - page) + 1;

		ranges[count++] = (struct iommufd_range){
			iova_model_at(&model, page),
			iova_model_at(&model, page + pages - 1) + ((UINT64_C(1) << model.shift) - 1),
		};
		page += pages + next(input, 1);
	}
	return count;
}

static void find(struct input *input, unsigned int what)
{
	struct iommufd_range ranges[3], spared[3];
	struct ifd_iova_wish wish = {
		.ranges = ranges, .num_ranges = 1, .spared = spared, .window = { 0, UINT64_MAX }, .thorough = what & 4
	};
	uint64_t at = 1;
	size_t visits;
	bool found;

	ranges[0] = (struct iommufd_range){ iova_model_at(&model, 0),
					    iova_model_at(&model, 0) + (((uint64_t)MODEL_PAGES << model.shift) - 1) };
	if (what & 8)
		wish.num_ranges = some_ranges(input, ranges, 3);
	if (what & 16)
		wish.num_spared = some_ranges(input, spared, 3);
	if (what & 32) {
		wish.window.start = ranges[0].start + (next(input, 2) << model.shift >> 3);
		wish.window.last = wish.window.start + (next(input, 2) << model.shift >> 3);
		if (wish.window.last < wish.window.start)
			wish.window.last = UINT64_MAX;
	}
	wish.len = ((next(input, what & 64 ? 2 : 1) % MODEL_PAGES + 1) << model.shift) - (what & 128 ? 1 : 0);
	wish.align = UINT64_C(1) << (model.shift + next(input, 1) % 13);

	found = ifd_iova_find(&model.tree, &wish, &at, &visits);
	check(found || at == 1);
	check(iova_model_agrees(&model, &wish, found, at, visits));
	if (found && what & 1)
		iova_model_take(&model, at, wish.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned int shifts[] = { 12, 16, 21, 30, 51 };
	struct input input = { data, data + size };
	unsigned int kind = (unsigned int)next(&input, 1), shift = shifts[kind % 5];
	uint64_t all = (uint64_t)MODEL_PAGES << shift;

	iova_model_init(&model, kind & 128 ? -all : all, shift);
	if (kind & 64) /* to begin with: pieces with the same gap between them */
		for (size_t page = kind >> 3 & 1; page < MODEL_PAGES; page += 2 + (kind & 7))
			iova_model_take(&model, iova_model_at(&model, page), UINT64_C(1) << shift);
	while (input.at < input.end) {
		unsigned int what = (unsigned int)next(&input, 1);

		if (what & 2)
			iova_model_give(&model, next(&input, 2) % MODEL_PAGES);
		else
			find(&input, what);
	}
	return 0;
}
