/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Random calls on an IOAS, each of them also asked of an array of mappings that follows what ioas.h promises. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bare.h"
#include "unit.h"

#define PAGE   UINT64_C(0x1000)
#define MAPS   96
#define BUDGET 900                 /* milliseconds */
#define SPACE  (UINT64_C(1) << 47) /* no IOVA that the library picks is beyond it */
#define RW     (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)

/* Where it picks them while no device is there. */
static const struct iommufd_range usual[] = {
	{ 0x10000, 0xfedfffff },
	{ 0x100000000, (UINT64_C(1) << 39) - 1 },
	{ UINT64_C(1) << 39, SPACE - 1 },
};

/* What a call that fails must leave where its result would have gone. */
#define UNTOUCHED UINT64_C(0x5555555555555555)

struct map {
	uint64_t iova, len, vaddr; /* len 0: not in use */
};

struct model {
	struct iommufd_ioas *ioas;
	struct map maps[MAPS];
	uint64_t state, seed, step;
	char call[200];
};

/* What the call may answer: some wrong arguments are wrong in two ways. */
struct verdict {
	bool einval, eoverflow, other; /* `other` is `err`, and counts when neither of the first two does */
	int err;
};

static void check_verdict(struct model *model, struct verdict verdict, int ret, bool untouched)
{
	bool right;

	if (verdict.einval || verdict.eoverflow)
		right = (verdict.einval && ret == -EINVAL) || (verdict.eoverflow && ret == -EOVERFLOW);
	else
		right = ret == (verdict.other ? verdict.err : 0);
	ck_assert_msg(right, "seed %" PRIu64 ", step %" PRIu64 ": %s gave %d: %s", model->seed, model->step,
		      model->call, ret, iommufd_errmsg());
	ck_assert_msg(!ret || untouched, "seed %" PRIu64 ": %s failed and wrote its result", model->seed, model->call);
}

/* Words after every failure but a translation's miss, none otherwise. */
static void check_words(const struct model *model, int ret, bool translation)
{
	if (ret && !(translation && ret == -ENOENT))
		unit_check_words(ret);
	else
		ck_assert_msg(unit_words_are_stale(), "seed %" PRIu64 ": %s gave %d and set: %s", model->seed,
			      model->call, ret, iommufd_errmsg());
}

static uint64_t some_iova(struct model *model)
{
	uint64_t page = unit_below(&model->state, 128) * PAGE;

	switch (unit_below(&model->state, 16)) {
	case 0:
		return UINT64_MAX - page + 1; /* 0, or so many pages before the end */
	case 1:
		return page + unit_below(&model->state, PAGE);
	default:
		return page;
	}
}

static uint64_t some_len(struct model *model)
{
	switch (unit_below(&model->state, 32)) {
	case 0:
		return 0;
	case 1:
		return unit_random(&model->state);
	case 2:
		return -PAGE * unit_below(&model->state, 8);
	default:
		return unit_below(&model->state, 8) ? PAGE * (1 + unit_below(&model->state, 8)) : 100;
	}
}

static uint64_t some_vaddr(struct model *model)
{
	uint64_t page = unit_below(&model->state, 64) * PAGE;

	switch (unit_below(&model->state, 24)) {
	case 0:
		return UINTPTR_MAX - page + 1;
	case 1:
		return 0x10000000 + page + 8;
	default:
		return 0x10000000 + page;
	}
}

static bool overlaps(const struct map *map, uint64_t start, uint64_t last)
{
	return map->len && map->iova <= last && map->iova + (map->len - 1) >= start;
}

static const struct map *any_in(const struct model *model, uint64_t start, uint64_t last)
{
	for (size_t i = 0; i < MAPS; i++)
		if (overlaps(&model->maps[i], start, last))
			return &model->maps[i];
	return NULL;
}

static struct map *unused(struct model *model)
{
	for (size_t i = 0; i < MAPS; i++)
		if (!model->maps[i].len)
			return &model->maps[i];
	return NULL;
}

static bool is_free(const struct model *model, uint64_t start, uint64_t len)
{
	uint64_t last = start + (len - 1);

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (last >= start && start >= usual[i].start && last <= usual[i].last)
			return !any_in(model, start, last);
	return false;
}

/* Where there is room there is some behind a mapping, or at the begin of a range. */
static bool has_room(const struct model *model, uint64_t len)
{
	for (size_t i = 0; i < MAPS; i++)
		if (model->maps[i].len && is_free(model, model->maps[i].iova + model->maps[i].len, len))
			return true;
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (is_free(model, usual[i].start, len))
			return true;
	return false;
}

/* Small ones always find room, but beside one that takes all. */
static bool is_large(const struct model *model, uint64_t len)
{
	for (size_t i = 0; i < MAPS; i++)
		if (model->maps[i].len >= SPACE >> 10)
			return true;
	return len >= SPACE >> 10;
}

static struct verdict judge_map(const struct model *model, uint64_t vaddr, uint64_t len, uint32_t flags, uint64_t iova)
{
	bool fixed = flags & IOMMUFD_MAP_FIXED;
	struct verdict verdict = { .err = -EEXIST };

	verdict.einval = !len || (vaddr | len) % PAGE || !(flags & RW) || flags & ~(uint32_t)(RW | IOMMUFD_MAP_FIXED) ||
			 (fixed && iova % PAGE);
	verdict.eoverflow = len && (vaddr > UINTPTR_MAX - (len - 1) || (fixed && iova > UINT64_MAX - (len - 1)));
	verdict.other = fixed && len && any_in(model, iova, iova + (len - 1));
	if (!fixed && is_large(model, len) && !has_room(model, len)) {
		verdict.other = true;
		verdict.err = -ENOSPC;
	}
	return verdict;
}

/* Where the library is to put things of its own accord before any device is there. */
static void check_place(const struct model *model, uint64_t len, uint64_t iova)
{
	uint64_t last = iova + (len - 1);

	ck_assert_msg(iova && iova % PAGE == 0 && last < (len < SPACE >> 10 ? SPACE >> 8 : SPACE) &&
			      (last < 0xfee00000 || iova > 0xfeefffff) && !any_in(model, iova, last),
		      "seed %" PRIu64 ": %s gave %#" PRIx64, model->seed, model->call, iova);
}

static void do_map(struct model *model)
{
	uint64_t vaddr = some_vaddr(model), len = some_len(model), iova = some_iova(model), result;
	uint32_t flags = unit_below(&model->state, 32) ? RW : (uint32_t)unit_below(&model->state, 16);
	struct map *map = unused(model);
	struct verdict verdict;
	int ret;

	if (!map)
		return;
	if (unit_below(&model->state, 4))
		flags |= IOMMUFD_MAP_FIXED;
	result = flags & IOMMUFD_MAP_FIXED ? iova : UNTOUCHED;
	snprintf(model->call, sizeof(model->call), "map %#" PRIx64 " len %#" PRIx64 " flags %#x iova %#" PRIx64, vaddr,
		 len, flags, result);
	verdict = judge_map(model, vaddr, len, flags, iova);
	ret = iommufd_ioas_map(model->ioas, (void *)(uintptr_t)vaddr, len, flags, &result);
	check_verdict(model, verdict, ret, result == (flags & IOMMUFD_MAP_FIXED ? iova : UNTOUCHED));
	check_words(model, ret, false);
	if (ret)
		return;
	if (flags & IOMMUFD_MAP_FIXED)
		ck_assert_uint_eq(result, iova);
	else
		check_place(model, len, result);
	*map = (struct map){ result, len, vaddr };
}

static void do_unmap(struct model *model)
{
	uint64_t iova = some_iova(model), len = some_len(model) * (1 + unit_below(&model->state, 4));
	uint64_t last = iova + (len - 1), bytes = 0, result = UNTOUCHED;
	struct verdict verdict = { .einval = !len || (iova | len) % PAGE, .eoverflow = len && last < iova };
	int ret;

	for (size_t i = 0; i < MAPS && len; i++) {
		const struct map *map = &model->maps[i];

		if (!overlaps(map, iova, last))
			continue;
		verdict.einval |= map->iova < iova || map->iova + (map->len - 1) > last;
		bytes += map->len;
	}
	verdict.other = !bytes;
	verdict.err = -ENOENT;
	snprintf(model->call, sizeof(model->call), "unmap %#" PRIx64 " len %#" PRIx64, iova, len);
	ret = iommufd_ioas_unmap(model->ioas, iova, len, unit_below(&model->state, 8) ? &result : NULL);
	check_verdict(model, verdict, ret, result == UNTOUCHED);
	check_words(model, ret, false);
	if (ret)
		return;
	ck_assert_msg(result == bytes || result == UNTOUCHED, "seed %" PRIu64 ": %s: %#" PRIx64 " bytes, not %#" PRIx64,
		      model->seed, model->call, result, bytes);
	for (size_t i = 0; i < MAPS; i++)
		if (overlaps(&model->maps[i], iova, last))
			model->maps[i].len = 0;
}

static void do_unmap_all(struct model *model)
{
	uint64_t bytes = 0, result = UNTOUCHED;

	for (size_t i = 0; i < MAPS; i++) {
		bytes += model->maps[i].len;
		model->maps[i].len = 0;
	}
	snprintf(model->call, sizeof(model->call), "unmap all");
	ck_assert_int_eq(iommufd_ioas_unmap_all(model->ioas, &result), 0);
	ck_assert_msg(result == bytes, "seed %" PRIu64 ": %#" PRIx64 " bytes, not %#" PRIx64, model->seed, result,
		      bytes);
}

static void do_to_iova(struct model *model)
{
	uint64_t vaddr = some_vaddr(model) + unit_below(&model->state, PAGE), len = some_len(model), result = UNTOUCHED;
	struct verdict verdict = { .einval = !len, .other = true, .err = -ENOENT };
	bool one_of_them = false;
	int ret;

	snprintf(model->call, sizeof(model->call), "to_iova %#" PRIx64 " len %#" PRIx64, vaddr, len);
	ret = iommufd_ioas_to_iova(model->ioas, (void *)(uintptr_t)vaddr, len, &result);
	for (size_t i = 0; i < MAPS; i++) {
		const struct map *map = &model->maps[i];

		if (!len || vaddr < map->vaddr || len > map->len || vaddr - map->vaddr > map->len - len)
			continue;
		verdict.other = false;
		one_of_them |= result == map->iova + (vaddr - map->vaddr);
	}
	check_verdict(model, verdict, ret, result == UNTOUCHED);
	check_words(model, ret, true);
	ck_assert_msg(ret || one_of_them, "seed %" PRIu64 ": %s gave %#" PRIx64, model->seed, model->call, result);
}

static void do_to_vaddr(struct model *model)
{
	uint64_t iova = some_iova(model) + unit_below(&model->state, PAGE), len = some_len(model);
	struct verdict verdict = { .einval = !len, .other = true, .err = -ENOENT };
	void *const untouched = (void *)(uintptr_t)UNTOUCHED;
	const struct map *map = len ? any_in(model, iova, iova) : NULL;
	void *result = untouched;
	int ret;

	if (map && iova - map->iova < map->len && len <= map->len - (iova - map->iova))
		verdict.other = false;
	snprintf(model->call, sizeof(model->call), "to_vaddr %#" PRIx64 " len %#" PRIx64, iova, len);
	ret = iommufd_ioas_to_vaddr(model->ioas, iova, len, &result);
	check_verdict(model, verdict, ret, result == untouched);
	check_words(model, ret, true);
	ck_assert_msg(ret || (uintptr_t)result == map->vaddr + (iova - map->iova), "seed %" PRIu64 ": %s gave %p",
		      model->seed, model->call, result);
}

START_TEST(random_calls_answer_as_the_contract_says)
{
	struct model *model = calloc(1, sizeof(*model));
	uint64_t end = unit_now() + BUDGET;

	ck_assert_ptr_nonnull(model);
	model->ioas = bare_ioas_new();
	model->seed = model->state = unit_seed();
	for (; model->step % 64 || unit_now() < end; model->step++) {
		uint64_t what = unit_below(&model->state, 1000);

		unit_stale_words();
		if (what < 300)
			do_map(model);
		else if (what < 500)
			do_unmap(model);
		else if (what < 505)
			do_unmap_all(model);
		else if (what < 750)
			do_to_iova(model);
		else
			do_to_vaddr(model);
	}
	iommufd_ioas_free(model->ioas); /* with what is left in it */
	free(model);
}
END_TEST

static uint64_t placed(struct iommufd_ioas *ioas, uint64_t vaddr, uint64_t len)
{
	uint64_t iova = 0;

	ck_assert_int_eq(iommufd_ioas_map(ioas, (void *)(uintptr_t)vaddr, len, RW, &iova), 0);
	return iova;
}

START_TEST(a_place_is_low_and_aligned_so_that_large_pages_can_be_used)
{
	struct iommufd_ioas *ioas = bare_ioas_new();
	uint64_t huge = UINT64_C(2) << 20, giant = UINT64_C(1) << 30, first = placed(ioas, 0x10000000 + PAGE, PAGE);

	ck_assert_uint_gt(first, 0);
	ck_assert_uint_lt(first, huge);
	ck_assert_uint_eq(placed(ioas, 0x10000000 + PAGE, PAGE), first + PAGE);
	ck_assert_uint_eq(placed(ioas, 0x10000000, huge) % huge, 0);
	ck_assert_uint_eq(placed(ioas, giant, giant) % giant, 0);
	ck_assert_uint_eq(placed(ioas, giant + huge, giant) % huge, 0);
	ck_assert_uint_eq(placed(ioas, 0x10000000 + PAGE, PAGE), first + 2 * PAGE);
	iommufd_ioas_free(ioas);
}
END_TEST

START_TEST(an_ioas_without_devices_permits_everything_and_aligns_to_pages)
{
	struct iommufd_ioas *ioas = bare_ioas_new();
	struct iommufd_range ranges[2] = { { 7, 7 }, { 7, 7 } };

	ck_assert_uint_eq(iommufd_ioas_alignment(ioas), PAGE);
	ck_assert_int_eq(iommufd_ioas_ranges(ioas, NULL, 0), 1);
	ck_assert_int_eq(iommufd_ioas_ranges(ioas, ranges, 2), 1);
	ck_assert_uint_eq(ranges[0].start, 0);
	ck_assert_uint_eq(ranges[0].last, UINT64_MAX);
	ck_assert_uint_eq(ranges[1].start, 7);
	iommufd_ioas_free(ioas);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, random_calls_answer_as_the_contract_says);
	tcase_add_test(tcase, a_place_is_low_and_aligned_so_that_large_pages_can_be_used);
	tcase_add_test(tcase, an_ioas_without_devices_permits_everything_and_aligns_to_pages);
}
