/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The choice of IOVAs beside a naive one. */
#include <inttypes.h>
#include <stdlib.h>

#include "iova-model.h"
#include "unit.h"

#define BUDGET 700 /* milliseconds for the random steps */

#define KIB(n) ((uint64_t)(n) << 10)

static const struct iommufd_range everything = { 0, UINT64_MAX };

/* Up to four ranges, ascending and apart or touching, of whole pages. */
static size_t some_ranges(const struct iova_model *model, uint64_t *state, struct iommufd_range *ranges)
{
	size_t count = 0, page = unit_below(state, 4) ? 0 : unit_below(state, MODEL_PAGES);

	while (count < 4 && page < MODEL_PAGES) {
		size_t pages = unit_below(state, MODEL_PAGES) + 1;

		if (pages > MODEL_PAGES - page)
			pages = MODEL_PAGES - page;
		ranges[count++] = (struct iommufd_range){ iova_model_at(model, page),
							  iova_model_at(model, page + pages - 1) +
								  ((UINT64_C(1) << model->shift) - 1) };
		page += pages + (unit_below(state, 2) ? unit_below(state, 64) : 0);
	}
	return count;
}

static uint64_t some_length(const struct iova_model *model, uint64_t *state)
{
	uint64_t page = UINT64_C(1) << model->shift;
	uint64_t pages = unit_below(state, 8) ? 1 + unit_below(state, 24) : 1 + unit_below(state, MODEL_PAGES);

	/* Some do not end with a page. */
	return (pages << model->shift) - (unit_below(state, 4) ? 0 : unit_below(state, page));
}

/* Looks for it, and holds what is found against the model. */
static bool find_beside(const struct iova_model *model, const struct ifd_iova_wish *wish, uint64_t *at, size_t *visits,
			uint64_t seed)
{
	bool found;

	*at = 1;
	found = ifd_iova_find(&model->tree, wish, at, visits);
	ck_assert_msg(found || *at == 1, "seed %" PRIu64 ": nothing found, and yet written", seed);
	ck_assert_msg(iova_model_agrees(model, wish, found, *at, *visits),
		      "seed %" PRIu64 ": found %d, 0x%" PRIx64 " for 0x%" PRIx64 " bytes at a multiple of 0x%" PRIx64,
		      seed, found, *at, wish->len, wish->align);
	return found;
}

static void step(struct iova_model *model, uint64_t *state, uint64_t seed)
{
	struct iommufd_range ranges[4], spared[4];
	struct ifd_iova_wish wish = { .ranges = ranges,
				      .spared = spared,
				      .window = everything,
				      .len = some_length(model, state),
				      .align = UINT64_C(1) << (model->shift + unit_below(state, 13)),
				      .thorough = unit_below(state, 2) };
	uint64_t at;
	size_t visits;

	wish.num_ranges = some_ranges(model, state, ranges);
	wish.num_spared = unit_below(state, 2) ? some_ranges(model, state, spared) : 0;
	for (size_t i = 0; i < wish.num_spared; i++) /* so that something is left */
		spared[i].last = spared[i].start + ((spared[i].last - spared[i].start) >> 4);
	if (!unit_below(state, 4)) {
		wish.window.start = iova_model_at(model, 0) + unit_below(state, (uint64_t)MODEL_PAGES << model->shift);
		wish.window.last = wish.window.start + unit_below(state, (uint64_t)MODEL_PAGES << model->shift);
		if (wish.window.last < wish.window.start)
			wish.window.last = UINT64_MAX;
	}
	if (find_beside(model, &wish, &at, &visits, seed) && unit_below(state, 4))
		iova_model_take(model, at, wish.len);
}

/* Pages of 4 KiB to 1 GiB, and alignments of up to 4096 of them; at a low place, and up to the end of all. */
START_TEST(a_place_is_found_exactly_where_a_naive_search_finds_one)
{
	static const unsigned int shifts[] = { 12, 16, 21, 30, 51 };
	uint64_t seed = unit_seed(), state = seed, end = unit_now() + BUDGET;

	for (size_t round = 0; unit_now() < end || round < 10; round++) {
		unsigned int shift = shifts[round % 5];
		uint64_t size = (uint64_t)MODEL_PAGES << shift;
		struct iova_model *model = iova_model_new(round / 5 % 2 ? -size : size, shift);

		for (int i = 0; i < 1500; i++) {
			step(model, &state, seed);
			for (int j = 0; j < 20 && model->free < size / 3; j++)
				iova_model_give(model, unit_below(&state, MODEL_PAGES));
		}
		free(model);
	}
}
END_TEST

/* In each four pages the second one is taken: two at a multiple of four do not fit, though the gap looks as if. */
static struct iova_model *model_of_bad_gaps(uint64_t *state)
{
	struct iova_model *model = iova_model_new((uint64_t)MODEL_PAGES << 12, 12);

	for (size_t page = 1; page < MODEL_PAGES; page += 4)
		iova_model_take(model, iova_model_at(model, page), KIB(4));
	for (uint64_t i = unit_below(state, 6); i; i--) {
		size_t page = unit_below(state, MODEL_PAGES / 4) * 4 + 1;
		uint64_t further = unit_below(state, 3);

		/* Two fit: with a block of four; by chance, before one a page further on; or with room for six. */
		if (iova_model_give(model, page) && further)
			iova_model_take(model, iova_model_at(model, page + further), KIB(4));
		if (further == 2 && page > 4 && iova_model_give(model, page - 4))
			iova_model_take(model, iova_model_at(model, page - 5), KIB(4));
	}
	return model;
}

START_TEST(after_the_bound_only_what_fits_for_sure_is_found_and_of_that_the_lowest)
{
	uint64_t seed = unit_seed(), state = seed, at, size = (uint64_t)MODEL_PAGES << 12;
	const struct iommufd_range all = { size, 2 * size - 1 };
	struct ifd_iova_wish wish = { .ranges = &all, .num_ranges = 1, .len = KIB(8), .align = KIB(16) };
	size_t visits, late = 0;

	for (int round = 0; round < 400; round++) {
		struct iova_model *model = model_of_bad_gaps(&state);

		for (int i = 0; i < 20; i++) {
			wish.window = everything;
			if (i)
				wish.window.start = size + unit_below(&state, size / 2);
			if (i > 10)
				wish.window.last = wish.window.start + unit_below(&state, size);
			wish.thorough = unit_below(&state, 2);
			late += find_beside(model, &wish, &at, &visits, seed) && visits > IFD_IOVA_BRIEF;
		}
		free(model);
	}
	ck_assert_uint_gt(late, 100);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_place_is_found_exactly_where_a_naive_search_finds_one);
	tcase_add_test(tcase, after_the_bound_only_what_fits_for_sure_is_found_and_of_that_the_lowest);
}
