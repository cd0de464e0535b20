/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* One IOAS, used by several threads at once. ThreadSanitizer is who looks closest. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "bare.h"
#include "dirty.h"
#include "internal.h"
#include "unit.h"

#define THREADS 4
#define PAGE    UINT64_C(0x1000)
#define BUDGET  900 /* milliseconds */

/* Fixed mappings lie in these pages, and the memory of each is this far above its IOVA, at all times. */
#define FIRST_PAGE  16
#define FIXED_PAGES 64
#define DISTANCE    UINT64_C(0x100000000)

#define RW (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)

struct worker {
	pthread_t thread;
	struct iommufd_ioas *ioas;
	uint64_t number, state, end;
	uint64_t mapped, unmapped, calls, translated; /* bytes, bytes, calls, hits */
	char wrong[200];
};

/* Notes the first thing that is wrong: libcheck's own asserts are for one thread. */
static void expect(struct worker *worker, bool right, const char *what, int ret)
{
	if (!right && !*worker->wrong)
		snprintf(worker->wrong, sizeof(worker->wrong), "%s gave %d: %s", what, ret, iommufd_errmsg());
}

static uint64_t some_iova(struct worker *worker)
{
	return (FIRST_PAGE + unit_below(&worker->state, FIXED_PAGES)) * PAGE;
}

static uint64_t some_len(struct worker *worker)
{
	return (1 + unit_below(&worker->state, 4)) * PAGE;
}

static void map_fixed(struct worker *worker)
{
	uint64_t iova = some_iova(worker), len = some_len(worker);
	int ret = iommufd_ioas_map(worker->ioas, (void *)(uintptr_t)(iova + DISTANCE), len, RW | IOMMUFD_MAP_FIXED,
				   &iova);

	expect(worker, !ret || ret == -EEXIST, "a fixed map", ret);
	worker->mapped += ret ? 0 : len;
}

static void map_any(struct worker *worker)
{
	uint64_t iova = 0, len = some_len(worker);
	int ret = iommufd_ioas_map(worker->ioas, (void *)(uintptr_t)(4 * DISTANCE), len, RW, &iova);

	expect(worker, !ret && iova, "a map", ret);
	worker->mapped += ret ? 0 : len;
	if (unit_below(&worker->state, 8))
		return;
	/* Another thread may have unmapped everything in between, and mapped there. */
	ret = iommufd_ioas_unmap(worker->ioas, iova, len, &len);
	expect(worker, !ret || ret == -ENOENT || ret == -EINVAL || ret == -EBUSY, "an unmap of one's own", ret);
	worker->unmapped += ret ? 0 : len;
}

/* What comes and goes as reserved is apart from the window, but looked at by all who look for a place. */
#define WINDOW_START UINT64_C(0x40000000)
#define WINDOW_LAST  UINT64_C(0x4fffffff)

static void map_within(struct worker *worker)
{
	const struct iommufd_range window = { WINDOW_START, WINDOW_LAST };
	uint64_t iova = 0, len = some_len(worker);
	int ret = iommufd_ioas_map_within(worker->ioas, (void *)(uintptr_t)(4 * DISTANCE), len,
					  RW | IOMMUFD_MAP_ALIGN(15), &window, &iova);

	expect(worker, !ret, "a map in a window", ret);
	expect(worker, iova >= WINDOW_START && iova + (len - 1) <= WINDOW_LAST && !(iova & 0x7fff), "its place", ret);
	worker->mapped += ret ? 0 : len;
	ret = iommufd_ioas_unmap(worker->ioas, iova, len, &len);
	expect(worker, !ret || ret == -ENOENT || ret == -EINVAL || ret == -EBUSY, "its unmap", ret);
	worker->unmapped += ret ? 0 : len;
}

/* Each thread has a range of its own, in which nobody picks anything meanwhile. */
static void reserve(struct worker *worker)
{
	const uint64_t start = WINDOW_LAST + 1 + worker->number * 8 * PAGE;
	const struct iommufd_range range = { start, start + 4 * PAGE - 1 }, window = { start, start + 8 * PAGE - 1 };
	uint64_t iova = 0, len = 0;
	int ret = iommufd_ioas_reserve(worker->ioas, &range);

	expect(worker, !ret, "a range to be reserved", ret);
	ret = iommufd_ioas_map_within(worker->ioas, (void *)(uintptr_t)(4 * DISTANCE), PAGE, RW, &window, &iova);
	expect(worker, !ret && iova > range.last && iova < window.last, "a map beside what is reserved", ret);
	worker->mapped += ret ? 0 : PAGE;
	ret = iommufd_ioas_unmap(worker->ioas, iova, PAGE, &len);
	expect(worker, !ret || ret == -ENOENT || ret == -EBUSY, "its unmap", ret);
	worker->unmapped += len;
	ret = iommufd_ioas_unreserve(worker->ioas, &range);
	expect(worker, !ret, "a range to be given back", ret);
}

static void unmap(struct worker *worker)
{
	uint64_t len = 0;
	int ret = iommufd_ioas_unmap(worker->ioas, some_iova(worker), 4 * some_len(worker), &len);

	expect(worker, !ret || ret == -ENOENT || ret == -EINVAL || ret == -EBUSY, "an unmap", ret);
	expect(worker, ret || len, "an unmap of nothing", ret);
	worker->unmapped += len;
}

static void unmap_all(struct worker *worker)
{
	uint64_t len = 0;
	int ret = iommufd_ioas_unmap_all(worker->ioas, &len);

	expect(worker, !ret || ret == -EBUSY, "an unmap of everything", ret);
	worker->unmapped += len;
}

static void translate(struct worker *worker)
{
	uint64_t iova = some_iova(worker) + unit_below(&worker->state, PAGE), found = 0;
	void *vaddr = NULL;
	int ret = iommufd_ioas_to_vaddr(worker->ioas, iova, 1, &vaddr);

	/* What the library itself placed in these pages has its memory elsewhere. */
	expect(worker, ret == -ENOENT || (uintptr_t)vaddr == iova + DISTANCE || (uintptr_t)vaddr >= 4 * DISTANCE,
	       "to_vaddr", ret);
	worker->translated += !ret;
	ret = iommufd_ioas_to_iova(worker->ioas, (void *)(uintptr_t)(iova + DISTANCE), 1, &found);
	expect(worker, ret == -ENOENT || (!ret && found == iova), "to_iova", ret);
	worker->translated += !ret;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct iommufd_range range;

	while (unit_now() < worker->end && !*worker->wrong)
		for (int i = 0; i < 64; i++, worker->calls++) {
			uint64_t what = unit_below(&worker->state, 256);

			if (what < 60)
				map_fixed(worker);
			else if (what < 80)
				map_any(worker);
			else if (what < 120)
				unmap(worker);
			else if (what < 122)
				unmap_all(worker);
			else if (what < 128)
				map_within(worker);
			else if (what < 130)
				reserve(worker);
			else if (what < 132)
				expect(worker, iommufd_ioas_ranges(worker->ioas, &range, 1) == 1, "ranges", 0);
			else
				translate(worker);
		}
	return NULL;
}

START_TEST(threads_map_unmap_and_translate_on_one_ioas_and_the_bytes_add_up)
{
	struct iommufd_ioas *ioas = bare_ioas_new();
	struct worker workers[THREADS];
	uint64_t seed = unit_seed(), end = unit_now() + BUDGET, expected = 0, left = 1, translated = 0;

	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){
			.ioas = ioas, .number = (uint64_t)i, .state = seed + (uint64_t)i * 7919, .end = end
		};
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);

	for (int i = 0; i < THREADS; i++) {
		ck_assert_msg(!*workers[i].wrong, "%s", workers[i].wrong);
		ck_assert_uint_gt(workers[i].calls, 0);
		expected += workers[i].mapped - workers[i].unmapped;
		translated += workers[i].translated;
	}
	ck_assert_uint_gt(translated, 0);
	ck_assert_int_eq(iommufd_ioas_unmap_all(ioas, &left), 0);
	ck_assert_uint_eq(left, expected);
	ck_assert_int_eq(iommufd_ioas_unmap_all(ioas, &left), 0);
	ck_assert_uint_eq(left, 0);
	iommufd_ioas_free(ioas);
}
END_TEST

static void *only_map(void *arg)
{
	struct worker *worker = arg;
	uint64_t iova;

	for (int i = 0; i < 500; i++) {
		int ret = iommufd_ioas_map(worker->ioas, (void *)(uintptr_t)DISTANCE, PAGE, RW, &iova);

		expect(worker, !ret, "a map", ret);
		worker->mapped += PAGE;
	}
	return NULL;
}

START_TEST(no_two_threads_are_given_the_same_iova)
{
	struct iommufd_ioas *ioas = bare_ioas_new();
	struct worker workers[THREADS];
	uint64_t left;

	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .ioas = ioas };
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, only_map, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		ck_assert_msg(!*workers[i].wrong, "%s", workers[i].wrong);
	}
	ck_assert_int_eq(iommufd_ioas_unmap_all(ioas, &left), 0);
	ck_assert_uint_eq(left, THREADS * 500 * PAGE);
	iommufd_ioas_free(ioas);
}
END_TEST

START_TEST(threads_with_an_ioas_each_do_not_meet)
{
	struct worker workers[THREADS];
	uint64_t seed = unit_seed(), end = unit_now() + BUDGET / 3, left;

	for (int i = 0; i < THREADS; i++)
		workers[i] = (struct worker){ .ioas = bare_ioas_new(), .state = seed + (uint64_t)i * 7919, .end = end };
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (int i = 0; i < THREADS; i++) {
		ck_assert_msg(!*workers[i].wrong, "%s", workers[i].wrong);
		ck_assert_int_eq(iommufd_ioas_unmap_all(workers[i].ioas, &left), 0);
		ck_assert_uint_eq(left, workers[i].mapped - workers[i].unmapped);
		iommufd_ioas_free(workers[i].ioas);
	}
}
END_TEST

/* What a container does that serves, and has every page for dirty. */
static int all_is_dirty(struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, const struct ifd_dirty *to,
			uint64_t *unmapped)
{
	struct ifd_dirty_room room = { NULL, 0 };
	struct ifd_bitmap bitmap;
	int ret = ifd_dirty_empty(&room, ioas->alignment, iova, iova + (len - 1), &bitmap);

	if (ret)
		return ret;
	ifd_bitmap_set(&bitmap, iova, iova + (len - 1));
	ifd_dirty_take(ioas, &bitmap, to, true);
	free(room.memory);
	*unmapped = len;
	return 0;
}

/* Every other page is one's own, and both of its neighbours are the other thread's. */
static void *come_and_go(void *arg)
{
	struct worker *worker = arg;

	while (unit_now() < worker->end && !*worker->wrong)
		for (uint64_t page = worker->state; page < FIXED_PAGES; page += 2, worker->calls++) {
			uint64_t iova = (FIRST_PAGE + page) * PAGE, bits = 0, len = 0;
			int ret = iommufd_ioas_map(worker->ioas, (void *)(uintptr_t)(iova + DISTANCE), PAGE,
						   RW | IOMMUFD_MAP_FIXED, &iova);

			expect(worker, !ret, "a map of one's own", ret);
			ret = iommufd_ioas_unmap_dirty(worker->ioas, iova, PAGE, PAGE, &bits, sizeof(bits), &len);
			expect(worker, !ret && bits == 1 && len == PAGE, "an unmap of one's own", ret);
		}
	return NULL;
}

START_TEST(who_unmaps_and_asks_what_is_dirty_does_not_look_at_mappings_of_others)
{
	static struct ifd_backend backend;
	struct iommufd_ioas *ioas = bare_ioas_new();
	uint64_t end = unit_now() + BUDGET;
	struct worker workers[2];

	backend = *ioas->ctx->backend;
	backend.dirty_unmap = all_is_dirty;
	ioas->ctx->backend = &backend;
	ioas->tracking = true;
	for (unsigned int i = 0; i < 2; i++) {
		workers[i] = (struct worker){ .ioas = ioas, .state = i, .end = end };
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, come_and_go, &workers[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(workers[i].thread, NULL);
	for (int i = 0; i < 2; i++) {
		ck_assert_msg(!*workers[i].wrong, "%s", workers[i].wrong);
		ck_assert_uint_gt(workers[i].calls, 0);
	}
	iommufd_ioas_free(ioas);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, threads_map_unmap_and_translate_on_one_ioas_and_the_bytes_add_up);
	tcase_add_test(tcase, no_two_threads_are_given_the_same_iova);
	tcase_add_test(tcase, threads_with_an_ioas_each_do_not_meet);
	tcase_add_test(tcase, who_unmaps_and_asks_what_is_dirty_does_not_look_at_mappings_of_others);
}
