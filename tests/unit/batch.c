/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Batches by several threads, where memory, threads, mappings or the caller's patience come to an end. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "batch-scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define N     12
#define START UINT64_C(0x7ec000001000) /* not at a border of huge pages; nothing is there, under sanitizers either */

static const uint32_t thread_counts[] = { 0, 1, 2, 3, 8 };

#define COUNTS (sizeof(thread_counts) / sizeof(thread_counts[0]))

static struct iommufd_map maps[N];

static int map_batch(uint32_t flags, uint32_t threads, iommufd_progress_fn progress, void *data)
{
	struct iommufd_batch_opts opts = { sizeof(opts), flags, threads, progress, data };

	return iommufd_ioas_map_batch(batch.scene.ioas, maps, N, &opts);
}

struct listener {
	pthread_t thread;
	uint64_t done, total;
	unsigned int calls, cancel_at; /* 0: never */
	bool wrong;
};

static int listen(void *data, uint64_t done, uint64_t total)
{
	struct listener *listener = data;

	listener->wrong |= !pthread_equal(listener->thread, pthread_self()) || done <= listener->done || done > total ||
			   (listener->calls && total != listener->total);
	listener->done = done;
	listener->total = total;
	return ++listener->calls == listener->cancel_at;
}

static void check_all_there(void)
{
	uint64_t iova;

	ck_assert_uint_eq(ifd_index_count(&batch.scene.ioas->index), N);
	for (size_t i = 0; i < N; i++) {
		ck_assert_int_eq(iommufd_ioas_to_iova(batch.scene.ioas, maps[i].vaddr, maps[i].len, &iova), 0);
		ck_assert_uint_eq(iova, maps[i].iova);
	}
	ck_assert_int_eq(iommufd_ioas_unmap_all(batch.scene.ioas, NULL), 0);
	batch_forget();
}

START_TEST(options_that_are_not_known_are_refused)
{
	struct iommufd_batch_opts opts = { .struct_size = 4 };

	batch_open(0);
	batch_fill(maps, N, START, HUGE);
	unit_fails(-EINVAL, iommufd_ioas_map_batch(batch.scene.ioas, maps, N, &opts));
	unit_words_have("struct_size 4 of the options of a batch");
	unit_fails(-EINVAL, map_batch(1u << 2, 0, NULL, NULL));
	unit_words_have("0x4");
	unit_fails(-EINVAL, map_batch(0, 1025, NULL, NULL));
	unit_words_have("1025 threads");
	unit_fails(-EINVAL, map_batch(IOMMUFD_BATCH_ALL_CPUS, 2, NULL, NULL));
	unit_words_have("IOMMUFD_BATCH_ALL_CPUS alone");
	batch_check_empty(maps, N);
	maps[3].len = INT64_MAX - SCENE_PAGE + 1;
	unit_fails(-EOVERFLOW, map_batch(0, 0, NULL, NULL));
	unit_words_have("map 3 of a batch of 12");
	batch_close();
}
END_TEST

START_TEST(a_batch_without_options_is_made_by_the_caller_alone_from_memory_as_it_is)
{
	struct batch_advice advice[1];

	batch_open((size_t)_i);
	batch_fill(maps, N, START, HUGE);
	ck_assert_int_eq(iommufd_ioas_map_batch(batch.scene.ioas, maps, N, NULL), 0);
	check_all_there();
	ck_assert_int_eq(map_batch(0, 1, NULL, NULL), 0);
	check_all_there();
	ck_assert_uint_eq(batch_threads(), 0);
	ck_assert_uint_eq(batch_advice(advice, 1), 0);
	batch_close();
}
END_TEST

START_TEST(as_many_threads_work_as_were_asked_for_where_there_is_work_for_them)
{
	uint32_t populate = IOMMUFD_BATCH_POPULATE;

	batch_open((size_t)_i);
	batch_fill(maps, N, START, HUGE);
	ck_assert_int_eq(map_batch(populate, 8, NULL, NULL), 0);
	ck_assert_uint_eq(batch_threads(), 7);
	check_all_there();
	ck_assert_int_eq(map_batch(populate | IOMMUFD_BATCH_ALL_CPUS, 0, NULL, NULL), 0);
	ck_assert_uint_eq(batch_threads(), ifd_sys_cpus() < 24 ? ifd_sys_cpus() - 1 : 23);
	check_all_there();
	ck_assert_int_eq(map_batch(populate, 1024, NULL, NULL), 0);
	ck_assert_uint_eq(batch_threads(), 23); /* twelve borders, twelve mappings */
	check_all_there();
	batch_fill(maps, N, START & ~(HUGE - 1), HUGE);
	ck_assert_int_eq(map_batch(populate, 1024, NULL, NULL), 0);
	ck_assert_uint_eq(batch_threads(), 11); /* twelve mappings between borders */
	check_all_there();
	/* Where mappings are made one after the other, nobody can help with them. */
	ck_assert_int_eq(map_batch(0, 1024, NULL, NULL), 0);
	ck_assert_uint_eq(batch_threads(), _i ? 0 : 11);
	check_all_there();
	batch_close();
}
END_TEST

START_TEST(no_thread_is_started_for_what_is_done_at_once_unless_it_is_much)
{
	struct listener listener = { .thread = pthread_self() };
	unsigned int threads;

	batch_open((size_t)_i);
	inject_clock_step(0);
	batch_fill(maps, N, START, HUGE);
	ck_assert_int_eq(map_batch(IOMMUFD_BATCH_POPULATE, 8, listen, &listener), 0);
	ck_assert(!listener.wrong);
	ck_assert_uint_eq(listener.done, 2 * N * HUGE);
	check_all_there();
	listener = (struct listener){ .thread = pthread_self(), .cancel_at = 3 };
	unit_fails(-ECANCELED, map_batch(IOMMUFD_BATCH_POPULATE, 8, listen, &listener));
	batch_check_empty(maps, N);
	ck_assert_uint_eq(batch_threads(), 0);
	batch_fill(maps, N, START, 8 * HUGE);
	for (threads = 8; threads > 1; threads /= 2) {
		ck_assert_int_eq(map_batch(IOMMUFD_BATCH_POPULATE, threads, NULL, NULL), 0);
		ck_assert_uint_eq(batch_threads(), threads - 1);
		check_all_there();
	}
	inject_clock_step(20);
	batch_close();
}
END_TEST

START_TEST(a_thread_that_cannot_be_had_is_done_without)
{
	batch_open((size_t)_i);
	batch_fill(maps, N, START, HUGE);
	for (unsigned int left = 0; left < 4; left++) {
		batch_threads_left(left);
		ck_assert_int_eq(map_batch(IOMMUFD_BATCH_POPULATE, 8, NULL, NULL), 0);
		ck_assert_uint_eq(batch_threads(), left);
		check_all_there();
	}
	batch_close();
}
END_TEST

START_TEST(a_batch_is_taken_back_whichever_memory_cannot_be_brought_in)
{
	static const int errs[] = { -ENOMEM, -EFAULT, -EHWPOISON };

	batch_open((size_t)_i);
	batch_fill(maps, N, START, HUGE);
	maps[2].flags = RW;
	maps[2].iova = 42;
	for (size_t c = 0; c < COUNTS; c++)
		for (unsigned int nth = 1; nth <= 2 * N; nth++) {
			int err = errs[nth % 3];

			batch_advice_fail(nth, err);
			/* Nobody has that memory: where /proc says so, it is not one of the two lacks. */
			unit_fails(err == -ENOMEM ? -EFAULT : err,
				   map_batch(IOMMUFD_BATCH_POPULATE, thread_counts[c], NULL, NULL));
			unit_words_have("nothing was mapped");
			unit_words_have(err == -EHWPOISON ? "broken in hardware" : "nothing is mapped at 0x7ec0");
			batch_check_empty(maps, N);
		}
	/* Of one thread it is the first, and it has a name. */
	batch_advice_fail(5, -EHWPOISON);
	unit_fails(-EHWPOISON, map_batch(IOMMUFD_BATCH_POPULATE, 1, NULL, NULL));
	unit_words_have("map 2 of a batch of 12");
	unit_words_have("0x7ec000401000-0x7ec0005fffff");
	batch_advice_fail(0, 0);
	ck_assert_int_eq(map_batch(IOMMUFD_BATCH_POPULATE, 2, NULL, NULL), 0);
	batch_close();
}
END_TEST

START_TEST(a_batch_is_taken_back_whichever_mapping_the_kernel_refuses)
{
	batch_open((size_t)_i);
	batch_fill(maps, N, START, HUGE);
	for (size_t c = 0; c < COUNTS; c++)
		for (uint32_t flags = 0; flags <= IOMMUFD_BATCH_POPULATE; flags++)
			for (unsigned int nth = 1; nth <= N; nth++) {
				inject_ioctl_fail(batch.map, nth, 1, -EPERM);
				unit_fails(-EPERM, map_batch(flags, thread_counts[c], NULL, NULL));
				unit_words_have("of a batch of 12");
				batch_check_empty(maps, N);
			}
	batch_close();
}
END_TEST

START_TEST(a_batch_that_has_no_memory_of_its_own_maps_nothing)
{
	unsigned int nth = 0;
	int ret = -ENOMEM;

	batch_open((size_t)_i);
	batch_fill(maps, N, START, HUGE);
	maps[1].flags = IOMMUFD_MAP_READ | IOMMUFD_MAP_FIXED;
	maps[1].vaddr = NULL; /* so that all there is comes into question */
	while (ret == -ENOMEM) {
		inject_fail(INJECT_MEMORY, ++nth, -ENOMEM);
		unit_stale_words();
		ret = map_batch(IOMMUFD_BATCH_POPULATE, 2, NULL, NULL);
		if (ret)
			unit_check_words(-ENOMEM);
		if (ret)
			batch_check_empty(maps, N);
	}
	ck_assert_int_eq(ret, 0);
	ck_assert_uint_gt(nth, N + 2);
	inject_fail(INJECT_MEMORY, 0, 0);
	batch_close();
}
END_TEST

/* ---- At once, and in order ---- */

static pthread_barrier_t meeting;

static int meet(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	pthread_barrier_wait(&meeting);
	return 0;
}

static int meet_in_memory(void *addr, size_t len, int advice)
{
	(void)addr;
	(void)len;
	(void)advice;
	pthread_barrier_wait(&meeting);
	return 0;
}

/* Each waits for another one, so that this would not end if they came one after the other. */
START_TEST(on_iommufd_mappings_are_made_at_once)
{
	batch_open(0);
	pthread_barrier_init(&meeting, NULL, 3);
	inject_ioctl(IOMMU_IOAS_MAP, meet);
	batch_fill(maps, N, START, HUGE);
	ck_assert_int_eq(map_batch(0, 3, NULL, NULL), 0);
	check_all_there();
	ck_assert_int_eq(map_batch(IOMMUFD_BATCH_POPULATE, 3, NULL, NULL), 0);
	check_all_there();
	pthread_barrier_destroy(&meeting);
	batch_close();
}
END_TEST

START_TEST(memory_is_brought_in_at_once)
{
	struct iommufd_batch_opts opts = { sizeof(opts), IOMMUFD_BATCH_POPULATE, 3, NULL, NULL };
	struct iommufd_map one;

	batch_open((size_t)_i);
	pthread_barrier_init(&meeting, NULL, 3);
	inject_advice(meet_in_memory);
	batch_fill(maps, N, START, HUGE);
	ck_assert_int_eq(map_batch(IOMMUFD_BATCH_POPULATE, 3, NULL, NULL), 0);
	check_all_there();
	/* Also of one request alone. */
	batch_fill(&one, 1, START - SCENE_PAGE, N * HUGE);
	ck_assert_int_eq(iommufd_ioas_map_batch(batch.scene.ioas, &one, 1, &opts), 0);
	pthread_barrier_destroy(&meeting);
	batch_close();
}
END_TEST

static uint64_t order[2 * N];
static atomic_uint mapped, inside, crowd;

static int note_order(int fd, void *arg)
{
	const struct vfio_iommu_type1_dma_map *cmd = arg;

	(void)fd;
	if (inside++)
		crowd++;
	order[mapped++ % (2 * N)] = cmd->iova;
	sched_yield();
	inside--;
	return 0;
}

START_TEST(on_type1_mappings_are_made_one_after_the_other_in_their_order)
{
	batch_open(1);
	inject_ioctl(VFIO_IOMMU_MAP_DMA, note_order);
	batch_fill(maps, N, START, HUGE);
	for (int round = 0; round < 200; round++) {
		mapped = 0;
		ck_assert_int_eq(map_batch(IOMMUFD_BATCH_POPULATE, 1 + (uint32_t)round % 8, NULL, NULL), 0);
		ck_assert_uint_eq(mapped, N);
		for (size_t i = 0; i < N; i++)
			ck_assert_uint_eq(order[i], BATCH_IOVA + i * HUGE);
		check_all_there();
	}
	ck_assert_uint_eq(crowd, 0);
	batch_close();
}
END_TEST

/* The second one, which is told of later. */
static int fail_both(int fd, void *arg)
{
	const struct iommu_ioas_map *cmd = arg;

	(void)fd;
	if (cmd->iova == BATCH_IOVA) {
		while (!inside)
			sched_yield();
		mapped++;
		return -EIO;
	}
	inside++;
	while (!mapped)
		sched_yield();
	usleep(20000);
	return -EPERM;
}

START_TEST(of_two_that_fail_at_once_the_first_in_order_is_told)
{
	batch_open(0);
	inject_ioctl(IOMMU_IOAS_MAP, fail_both);
	batch_fill(maps, N, START, HUGE);
	unit_fails(-EIO, map_batch(0, 2, NULL, NULL));
	unit_words_have("map 0 of a batch of 12");
	ck_assert_uint_eq(mapped + inside, 2);
	ck_assert_uint_eq(ifd_index_count(&batch.scene.ioas->index), 0);
	batch_close();
}
END_TEST

START_TEST(ten_thousand_mappings_are_made_and_taken_back)
{
	enum { MANY = 10000 };
	struct iommufd_batch_opts opts = { sizeof(opts), 0, 8, NULL, NULL };
	struct iommufd_map *many = calloc(MANY, sizeof(*many));

	batch_open((size_t)_i);
	batch_fill(many, MANY, START, SCENE_PAGE);
	inject_ioctl_fail(batch.map, 9999, 1, -ENOSPC);
	unit_fails(-ENOSPC, iommufd_ioas_map_batch(batch.scene.ioas, many, MANY, &opts));
	batch_check_empty(many, MANY);
	opts.flags = IOMMUFD_BATCH_POPULATE;
	ck_assert_int_eq(iommufd_ioas_map_batch(batch.scene.ioas, many, MANY, &opts), 0);
	ck_assert_uint_eq(ifd_index_count(&batch.scene.ioas->index), MANY);
	free(many);
	batch_close();
}
END_TEST

/* ---- Progress ---- */

START_TEST(the_callers_thread_hears_of_progress_up_to_the_end)
{
	batch_open((size_t)_i);
	batch_fill(maps, N, START, HUGE);
	for (size_t c = 0; c < COUNTS; c++)
		for (uint32_t flags = 0; flags <= IOMMUFD_BATCH_POPULATE; flags++) {
			struct listener listener = { .thread = pthread_self() };

			ck_assert_int_eq(map_batch(flags, thread_counts[c], listen, &listener), 0);
			ck_assert(!listener.wrong);
			ck_assert_uint_eq(listener.total, N * HUGE * (flags ? 2 : 1));
			ck_assert_uint_eq(listener.done, listener.total);
			if (thread_counts[c] < 2 && !flags)
				ck_assert_uint_eq(listener.calls, N);
			check_all_there();
		}
	batch_close();
}
END_TEST

static pthread_t caller;
static atomic_uint helpers, told;

/* The caller's thread has nothing left to do when the second one's mapping is told of, nor the third one's made. */
static int wait_for_call(int fd, void *arg)
{
	unsigned int nth;

	(void)fd;
	(void)arg;
	if (pthread_equal(pthread_self(), caller)) {
		while (helpers < 2)
			sched_yield();
		return 0;
	}
	nth = ++helpers;
	while (told < nth)
		sched_yield();
	return 0;
}

static int listen_long(void *data, uint64_t done, uint64_t total)
{
	if (++told == 2)
		batch_await_threads();
	return listen(data, done, total);
}

START_TEST(the_end_is_told_also_when_it_comes_during_a_call)
{
	struct listener listener = { .thread = pthread_self() };
	struct iommufd_batch_opts opts = { sizeof(opts), 0, 3, listen_long, &listener };

	batch_open(0);
	caller = pthread_self();
	inject_ioctl(IOMMU_IOAS_MAP, wait_for_call);
	batch_fill(maps, 3, START, HUGE);
	ck_assert_int_eq(iommufd_ioas_map_batch(batch.scene.ioas, maps, 3, &opts), 0);
	ck_assert(!listener.wrong);
	ck_assert_uint_eq(listener.done, 3 * HUGE);
	batch_close();
}
END_TEST

START_TEST(a_batch_is_taken_back_at_whichever_step_it_is_cancelled)
{
	batch_open((size_t)_i);
	batch_fill(maps, N, START, HUGE);
	for (size_t c = 0; c < COUNTS; c++) {
		struct listener listener = { .thread = pthread_self() };
		unsigned int at = 0;
		int ret = -ECANCELED;

		while (ret) {
			listener = (struct listener){ .thread = pthread_self(), .cancel_at = ++at };
			unit_stale_words();
			ret = map_batch(IOMMUFD_BATCH_POPULATE, thread_counts[c], listen, &listener);
			if (!ret)
				break;
			ck_assert_int_eq(ret, -ECANCELED);
			unit_check_words(-ECANCELED);
			unit_words_have("nothing was mapped; the progress callback said so");
			ck_assert_uint_eq(listener.calls, at);
			batch_check_empty(maps, N);
		}
		ck_assert(!listener.wrong);
		ck_assert_uint_eq(listener.done, listener.total);
		ck_assert_uint_ge(at, 2);
		check_all_there();
	}
	batch_close();
}
END_TEST

/* At the last step all is mapped, and is taken back nevertheless. */
START_TEST(the_last_step_can_be_cancelled_too)
{
	struct listener listener = { .thread = pthread_self(), .cancel_at = N };

	batch_open((size_t)_i);
	batch_fill(maps, N, START, HUGE);
	unit_fails(-ECANCELED, map_batch(0, 0, listen, &listener));
	ck_assert_uint_eq(listener.done, N * HUGE);
	batch_check_empty(maps, N);
	batch_close();
}
END_TEST

static int use_the_context(void *data, uint64_t done, uint64_t total)
{
	struct iommufd_ioas *ioas = batch.scene.ioas, *other;
	unsigned int *calls = data;
	uint64_t iova = 0;

	(void)done;
	(void)total;
	if ((*calls)++)
		return 0;
	unit_fails(-EDEADLK, iommufd_ioas_unmap_all(ioas, NULL));
	unit_words_have("callback");
	unit_fails(-EDEADLK, iommufd_ioas_map(ioas, (void *)(uintptr_t)START, HUGE, RW, &iova));
	unit_fails(-EDEADLK, iommufd_ioas_map_batch(ioas, maps, N, NULL));
	unit_fails(-EDEADLK, iommufd_device_detach(batch.scene.dev));
	unit_fails(-EDEADLK, iommufd_device_replace(batch.scene.dev, ioas));
	unit_fails(-EDEADLK, iommufd_device_reset(batch.scene.dev));
	unit_fails(-EDEADLK, iommufd_ioas_new(batch.scene.ctx, &other));
	return 0;
}

START_TEST(the_callback_may_not_use_the_context)
{
	unsigned int calls = 0;

	batch_open((size_t)_i);
	batch_fill(maps, N, START, HUGE);
	ck_assert_int_eq(map_batch(IOMMUFD_BATCH_POPULATE, 3, use_the_context, &calls), 0);
	ck_assert_uint_gt(calls, 0);
	check_all_there(); /* for which it may again */
	batch_close();
}
END_TEST

/* The context of another batch, in whose callback this one is. */
static struct iommufd_ioas *inner;

static int use_the_outer_context(void *data, uint64_t done, uint64_t total)
{
	(void)done;
	(void)total;
	unit_fails(-EDEADLK, iommufd_ioas_unmap_all(batch.scene.ioas, NULL));
	unit_fails(-EDEADLK, iommufd_ioas_unmap_all(inner, NULL));
	++*(unsigned int *)data;
	return 0;
}

static int use_another_context(void *data, uint64_t done, uint64_t total)
{
	struct iommufd_batch_opts opts = { sizeof(opts), 0, 0, use_the_outer_context, data };
	struct iommufd_map map;

	(void)done;
	(void)total;
	batch_fill(&map, 1, START, HUGE);
	ck_assert_int_eq(iommufd_ioas_map_batch(inner, &map, 1, &opts), 0);
	ck_assert_int_eq(iommufd_ioas_unmap_all(inner, NULL), 0);
	unit_fails(-EDEADLK, iommufd_ioas_unmap_all(batch.scene.ioas, NULL));
	return 0;
}

START_TEST(the_callback_may_use_another_context_and_nobody_in_it_the_first)
{
	struct iommufd_ctx_opts opts = { sizeof(opts), .backend = IOMMUFD_BACKEND_IOMMUFD };
	struct iommufd_ctx *ctx;
	unsigned int calls = 0;

	batch_open(0);
	ck_assert_int_eq(iommufd_ctx_new(&opts, &ctx), 0);
	ck_assert_int_eq(iommufd_ioas_new(ctx, &inner), 0);
	batch_fill(maps, N, START, HUGE);
	ck_assert_int_eq(map_batch(0, 0, use_another_context, &calls), 0);
	ck_assert_uint_eq(calls, N);
	iommufd_ioas_free(inner);
	iommufd_ctx_free(ctx);
	batch_close();
}
END_TEST

void batch_memory_tests(TCase *tcase);

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, options_that_are_not_known_are_refused);
	tcase_add_loop_test(tcase, a_batch_without_options_is_made_by_the_caller_alone_from_memory_as_it_is, 0,
			    BATCH_BACKENDS);
	tcase_add_loop_test(tcase, as_many_threads_work_as_were_asked_for_where_there_is_work_for_them, 0,
			    BATCH_BACKENDS);
	tcase_add_loop_test(tcase, no_thread_is_started_for_what_is_done_at_once_unless_it_is_much, 0, BATCH_BACKENDS);
	tcase_add_loop_test(tcase, a_thread_that_cannot_be_had_is_done_without, 0, BATCH_BACKENDS);
	tcase_add_loop_test(tcase, a_batch_is_taken_back_whichever_memory_cannot_be_brought_in, 0, BATCH_BACKENDS);
	tcase_add_loop_test(tcase, a_batch_is_taken_back_whichever_mapping_the_kernel_refuses, 0, BATCH_BACKENDS);
	tcase_add_loop_test(tcase, a_batch_that_has_no_memory_of_its_own_maps_nothing, 0, BATCH_BACKENDS);
	tcase_add_test(tcase, on_iommufd_mappings_are_made_at_once);
	tcase_add_loop_test(tcase, memory_is_brought_in_at_once, 0, BATCH_BACKENDS);
	tcase_add_test(tcase, on_type1_mappings_are_made_one_after_the_other_in_their_order);
	tcase_add_test(tcase, of_two_that_fail_at_once_the_first_in_order_is_told);
	tcase_add_loop_test(tcase, ten_thousand_mappings_are_made_and_taken_back, 0, BATCH_BACKENDS);
	tcase_add_loop_test(tcase, the_callers_thread_hears_of_progress_up_to_the_end, 0, BATCH_BACKENDS);
	tcase_add_test(tcase, the_end_is_told_also_when_it_comes_during_a_call);
	tcase_add_loop_test(tcase, a_batch_is_taken_back_at_whichever_step_it_is_cancelled, 0, BATCH_BACKENDS);
	tcase_add_loop_test(tcase, the_last_step_can_be_cancelled_too, 0, BATCH_BACKENDS);
	tcase_add_loop_test(tcase, the_callback_may_not_use_the_context, 0, BATCH_BACKENDS);
	tcase_add_test(tcase, the_callback_may_use_another_context_and_nobody_in_it_the_first);
	batch_memory_tests(tcase);
}
