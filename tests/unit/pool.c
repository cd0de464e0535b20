/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Pools of small objects, held against a model, by one thread and by several. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "bare.h"
#include "internal.h"
#include "unit.h"

#define PAGE    UINT64_C(0x1000)
#define RW      (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)
#define THREADS 4
#define BUDGET  900 /* milliseconds */

/* A size, and the power of two or the whole pages that such an object takes. */
static const struct {
	size_t size, stride;
} sizes[] = { { 1, 64 },      { 16, 64 },     { 64, 64 },     { 65, 128 },    { 100, 128 },     { 513, 1024 },
	      { 2048, 2048 }, { 2049, 4096 }, { 4096, 4096 }, { 4097, 8192 }, { 12288, 12288 }, { 100000, 102400 } };

#if defined(__aarch64__) || defined(__powerpc64__)
#define LINE 128u
#else
#define LINE 64u
#endif

static size_t stride_of(int i)
{
	return sizes[i].stride < LINE ? LINE : sizes[i].stride;
}

static uint64_t iova_of(struct iommufd_ioas *ioas, const void *vaddr, size_t len)
{
	uint64_t iova;

	ck_assert_int_eq(iommufd_ioas_to_iova(ioas, vaddr, len, &iova), 0);
	return iova;
}

START_TEST(objects_are_aligned_apart_and_where_the_ioas_says)
{
	size_t size = sizes[_i].size, stride = stride_of(_i), count = 3 * 65536 / stride + 3;
	uint64_t align = stride < PAGE ? stride : PAGE;
	struct iommufd_ioas *ioas = bare_ioas_new();
	struct iommufd_dma *objects = calloc(count, sizeof(*objects));
	struct iommufd_pool *pool;

	ck_assert_ptr_nonnull(objects);
	ck_assert_int_eq(iommufd_pool_new(ioas, size, RW, NULL, &pool), 0);
	for (size_t i = 0; i < count; i++) {
		struct iommufd_dma *one = &objects[i];

		ck_assert_int_eq(iommufd_pool_get(pool, one), 0);
		ck_assert_uint_eq(one->len, size);
		ck_assert_uint_eq(one->page_size, PAGE);
		ck_assert_uint_eq(((uintptr_t)one->vaddr | one->iova) % align, 0);
		ck_assert_uint_eq(one->iova, iova_of(ioas, one->vaddr, size));
		for (size_t at = 0; at < size; at++)
			ck_assert_uint_eq(((unsigned char *)one->vaddr)[at], 0);
		memset(one->vaddr, (int)(i % 255 + 1), stride); /* all that it has for itself */
	}
	for (size_t i = 0; i < count; i++)
		for (size_t at = 0; at < stride; at += 61)
			ck_assert_uint_eq(((unsigned char *)objects[i].vaddr)[at], i % 255 + 1);
	iommufd_pool_free(pool);
	ck_assert_uint_eq(ifd_index_bytes(&ioas->index), 0);
	iommufd_ioas_free(ioas);
	free(objects);
}
END_TEST

START_TEST(what_was_given_back_is_had_again_and_the_pool_does_not_grow)
{
	struct iommufd_ioas *ioas = bare_ioas_new();
	struct iommufd_dma first[65536 / 64], one;
	size_t count = 65536 / LINE;
	struct iommufd_pool *pool;
	uint64_t bytes;

	ck_assert_int_eq(iommufd_pool_new(ioas, 16, RW, NULL, &pool), 0);
	ck_assert_uint_eq(ifd_index_bytes(&ioas->index), 65536);
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(iommufd_pool_get(pool, &first[i]), 0);
	ck_assert_uint_eq(ifd_index_bytes(&ioas->index), 65536);
	ck_assert_int_eq(iommufd_pool_get(pool, &one), 0);
	bytes = ifd_index_bytes(&ioas->index);
	ck_assert_uint_eq(bytes, 2 * 65536);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < count; i++)
			ck_assert_int_eq(iommufd_pool_put(pool, first[(i * 7) % count].vaddr), 0);
		for (size_t i = 0; i < count; i++)
			ck_assert_int_eq(iommufd_pool_get(pool, &first[i]), 0);
	}
	ck_assert_uint_eq(ifd_index_bytes(&ioas->index), bytes);
	/* What its last owner left there. */
	memset(one.vaddr, 7, 16);
	ck_assert_int_eq(iommufd_pool_put(pool, one.vaddr), 0);
	ck_assert_int_eq(iommufd_pool_get(pool, &first[0]), 0);
	ck_assert(first[0].vaddr == one.vaddr && first[0].iova == one.iova && *(char *)one.vaddr == 7);
	/* The pool keeps its IOAS. */
	iommufd_ioas_free(ioas);
	ck_assert_int_eq(iommufd_pool_get(pool, &one), 0);
	iommufd_pool_free(pool);
	iommufd_pool_free(NULL);
}
END_TEST

/* By as much as it has, which is a mapping each time, up to 2 MiB: 1 for the first 64 KiB, 5 up to 2 MiB, then 3. */
START_TEST(a_pool_grows_in_few_steps_and_in_none_that_is_large)
{
	struct iommufd_ioas *ioas = bare_ioas_new();
	struct iommufd_pool *pool;
	struct iommufd_dma one;

	ck_assert_int_eq(iommufd_pool_new(ioas, PAGE, RW, NULL, &pool), 0);
	for (size_t i = 0; i < (8 << 20) / PAGE; i++)
		ck_assert_int_eq(iommufd_pool_get(pool, &one), 0);
	ck_assert_uint_eq(ifd_index_count(&ioas->index), 9);
	ck_assert_uint_eq(ifd_index_bytes(&ioas->index), 8 << 20);
	iommufd_pool_free(pool);
	iommufd_ioas_free(ioas);
}
END_TEST

START_TEST(what_is_no_object_of_the_pool_or_is_free_is_refused)
{
	struct iommufd_ioas *ioas = bare_ioas_new();
	struct iommufd_dma one, other;
	struct iommufd_pool *pool, *second;
	uint64_t bytes;

	ck_assert_int_eq(iommufd_pool_new(ioas, 100, RW, NULL, &pool), 0);
	ck_assert_int_eq(iommufd_pool_new(ioas, 100, RW, NULL, &second), 0);
	ck_assert_int_eq(iommufd_pool_get(pool, &one), 0);
	ck_assert_int_eq(iommufd_pool_get(second, &other), 0);
	unit_fails(-ENOENT, iommufd_pool_put(pool, other.vaddr));
	unit_fails(-ENOENT, iommufd_pool_put(pool, &one));
	unit_fails(-ENOENT, iommufd_pool_put(pool, (char *)one.vaddr + 64));
	unit_fails(-ENOENT, iommufd_pool_put(pool, (void *)(uintptr_t)one.iova));
	unit_fails(-EALREADY, iommufd_pool_put(pool, (char *)one.vaddr + 128)); /* nobody has had it yet */
	ck_assert_int_eq(iommufd_pool_put(pool, NULL), 0);
	ck_assert_int_eq(iommufd_pool_put(pool, one.vaddr), 0);
	unit_fails(-EALREADY, iommufd_pool_put(pool, one.vaddr));
	unit_words_have("once");
	ck_assert_int_eq(iommufd_pool_get(pool, &one), 0);
	ck_assert_int_eq(iommufd_pool_put(pool, one.vaddr), 0);
	iommufd_pool_free(pool);
	iommufd_pool_free(second);
	ck_assert_int_eq(iommufd_ioas_unmap_all(ioas, &bytes), 0);
	ck_assert_uint_eq(bytes, 0);
	iommufd_ioas_free(ioas);
}
END_TEST

START_TEST(all_objects_are_where_the_options_want_them)
{
	struct iommufd_dma_opts opts = { .struct_size = sizeof(opts), .window = { 0x20000000, 0x2003ffff } };
	struct iommufd_ioas *ioas = bare_ioas_new();
	struct iommufd_pool *pool;
	struct iommufd_dma one;
	int count = 0;

	ck_assert_int_eq(iommufd_pool_new(ioas, PAGE, RW | IOMMUFD_MAP_ALIGN(16), &opts, &pool), 0);
	for (; !iommufd_pool_get(pool, &one); count++)
		ck_assert(one.iova >= opts.window.start && one.iova + (PAGE - 1) <= opts.window.last);
	ck_assert_int_eq(count, 64);
	unit_fails(-ENOSPC, iommufd_pool_get(pool, &one));
	iommufd_pool_free(pool);
	iommufd_ioas_free(ioas);
}
END_TEST

/* Of three pages each, of which 64 KiB have five and a rest of a page. */
START_TEST(the_rest_of_a_chunk_is_no_object)
{
	struct iommufd_ioas *ioas = bare_ioas_new();
	struct iommufd_pool *pool;
	struct iommufd_dma one;
	char *last = NULL;

	ck_assert_int_eq(iommufd_pool_new(ioas, 3 * PAGE, RW, NULL, &pool), 0);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(iommufd_pool_get(pool, &one), 0);
		last = (char *)one.vaddr > last ? one.vaddr : last;
	}
	ck_assert_uint_eq(ifd_index_bytes(&ioas->index), 65536);
	unit_fails(-ENOENT, iommufd_pool_put(pool, last + 3 * PAGE));
	iommufd_pool_free(pool);
	iommufd_ioas_free(ioas);
}
END_TEST

START_TEST(a_pool_that_cannot_be_is_refused)
{
	struct iommufd_dma_opts opts = { .struct_size = sizeof(opts), .reserved = 1 };
	struct iommufd_ioas *ioas = bare_ioas_new();
	struct iommufd_pool *pool = (struct iommufd_pool *)1;

	unit_fails(-EINVAL, iommufd_pool_new(ioas, 0, RW, NULL, &pool));
	unit_fails(-EINVAL, iommufd_pool_new(ioas, 64, 0, NULL, &pool));
	unit_fails(-EINVAL, iommufd_pool_new(ioas, 64, RW | 1u << 31, NULL, &pool));
	unit_fails(-EINVAL, iommufd_pool_new(ioas, 64, RW, &opts, &pool));
	opts.struct_size = 8;
	unit_fails(-EINVAL, iommufd_pool_new(ioas, 64, RW, &opts, &pool));
	unit_fails(-EOVERFLOW, iommufd_pool_new(ioas, SIZE_MAX, RW, NULL, &pool));
	unit_fails(-ENOMEM, iommufd_pool_new(ioas, SIZE_MAX / 2, RW, NULL, &pool));
	ck_assert_ptr_eq(pool, (struct iommufd_pool *)1);
	ck_assert_uint_eq(ifd_index_bytes(&ioas->index), 0);
	iommufd_ioas_free(ioas);
}
END_TEST

/* ---- Threads ---- */

/* What threads hand to each other, so that who gives back is not always who got. */
static _Atomic(void *) table[64];

struct worker {
	pthread_t thread;
	struct iommufd_pool *pool;
	uint64_t state, end, got, put;
	char wrong[200];
};

static void expect(struct worker *worker, bool right, const char *what)
{
	if (!right && !*worker->wrong)
		snprintf(worker->wrong, sizeof(worker->wrong), "%s: %s", what, iommufd_errmsg());
}

/* The owner writes all of it, and nobody else has it until it is given back. */
static void get(struct worker *worker)
{
	_Atomic(void *) *place = &table[unit_below(&worker->state, 64)];
	struct iommufd_dma one;
	void *old;

	if (iommufd_pool_get(worker->pool, &one)) {
		expect(worker, false, "get");
		return;
	}
	worker->got++;
	memset(one.vaddr, 0, one.len);
	*(uint64_t *)one.vaddr = one.iova;
	old = atomic_exchange(place, one.vaddr);
	if (!old)
		return;
	memset(old, 0xff, one.len);
	expect(worker, !iommufd_pool_put(worker->pool, old), "put");
	worker->put++;
}

static void put(struct worker *worker)
{
	void *old = atomic_exchange(&table[unit_below(&worker->state, 64)], NULL);

	if (!old)
		return;
	expect(worker, *(uint64_t *)old != UINT64_MAX, "an object had two owners");
	memset(old, 0xff, 64);
	expect(worker, !iommufd_pool_put(worker->pool, old), "put");
	worker->put++;
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	while (unit_now() < worker->end && !*worker->wrong)
		for (int i = 0; i < 64; i++)
			if (unit_below(&worker->state, 3))
				get(worker);
			else
				put(worker);
	return NULL;
}

START_TEST(threads_that_share_a_pool_never_share_an_object)
{
	struct iommufd_ioas *ioas = bare_ioas_new();
	uint64_t end = unit_now() + BUDGET, out = 0, there = 0;
	struct worker workers[THREADS];
	struct iommufd_pool *pool;

	/* Chunks of 16 objects at first, so that it grows while threads are at it. */
	ck_assert_int_eq(iommufd_pool_new(ioas, PAGE, RW, NULL, &pool), 0);
	for (uint64_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .pool = pool, .state = unit_seed() + i, .end = end };
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		ck_assert_msg(!*workers[i].wrong, "%s", workers[i].wrong);
		out += workers[i].got - workers[i].put;
		ck_assert_uint_gt(workers[i].got, 0);
	}
	for (int i = 0; i < 64; i++) {
		there += table[i] != NULL;
		ck_assert(!table[i] || *(uint64_t *)table[i] == iova_of(ioas, table[i], PAGE));
	}
	ck_assert_uint_eq(out, there);
	iommufd_pool_free(pool);
	iommufd_ioas_free(ioas);
}
END_TEST

/* ---- The model ---- */

#define OBJECTS 5000

START_TEST(a_pool_has_what_a_model_says)
{
	static struct iommufd_dma objects[OBJECTS];
	struct iommufd_ioas *ioas = bare_ioas_new();
	uint64_t state = unit_seed(), size = sizes[unit_below(&state, 9)].size, grown = 0;
	struct iommufd_pool *pool;

	ck_assert_int_eq(iommufd_pool_new(ioas, size, RW, NULL, &pool), 0);
	for (int round = 0; round < 200000; round++) {
		struct iommufd_dma *one = &objects[unit_below(&state, OBJECTS)];

		if (one->len && unit_below(&state, 16)) {
			ck_assert_uint_eq(*(unsigned char *)one->vaddr, (uintptr_t)(one - objects) % 251);
			ck_assert_int_eq(iommufd_pool_put(pool, one->vaddr), 0);
			unit_fails(-EALREADY, iommufd_pool_put(pool, one->vaddr));
			one->len = 0;
		} else if (!one->len) {
			ck_assert_int_eq(iommufd_pool_get(pool, one), 0);
			ck_assert_uint_eq(one->iova, iova_of(ioas, one->vaddr, size));
			*(unsigned char *)one->vaddr = (unsigned char)((uintptr_t)(one - objects) % 251);
		}
		ck_assert_uint_ge(ifd_index_bytes(&ioas->index), grown);
		grown = ifd_index_bytes(&ioas->index);
	}
	/* No more than what was needed at any time, doubled. */
	ck_assert_uint_le(grown, 2 * (OBJECTS * PAGE + 65536));
	iommufd_pool_free(pool);
	iommufd_ioas_free(ioas);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, objects_are_aligned_apart_and_where_the_ioas_says, 0,
			    (int)(sizeof(sizes) / sizeof(sizes[0])));
	tcase_add_test(tcase, what_was_given_back_is_had_again_and_the_pool_does_not_grow);
	tcase_add_test(tcase, a_pool_grows_in_few_steps_and_in_none_that_is_large);
	tcase_add_test(tcase, what_is_no_object_of_the_pool_or_is_free_is_refused);
	tcase_add_test(tcase, all_objects_are_where_the_options_want_them);
	tcase_add_test(tcase, the_rest_of_a_chunk_is_no_object);
	tcase_add_test(tcase, a_pool_that_cannot_be_is_refused);
	tcase_add_test(tcase, threads_that_share_a_pool_never_share_an_object);
	tcase_add_test(tcase, a_pool_has_what_a_model_says);
}
