/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The callback of a batch: what it hears, that it can cancel, and what it may not do. */
#include <errno.h>
#include <stdlib.h>

#include "batch-scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

void batch_progress_tests(TCase *tcase);

START_TEST(the_callers_thread_hears_of_progress_up_to_the_end)
{
	batch_open((size_t)_i);
	batch_fill(batch_maps, N, START, HUGE);
	for (size_t c = 0; c < COUNTS; c++)
		for (uint32_t flags = 0; flags <= IOMMUFD_BATCH_POPULATE; flags++) {
			struct batch_listener listener = { .thread = pthread_self() };

			ck_assert_int_eq(batch_map(flags, batch_counts[c], batch_listen, &listener), 0);
			ck_assert(!listener.wrong);
			ck_assert_uint_eq(listener.total, N * HUGE * (flags ? 2 : 1));
			ck_assert_uint_eq(listener.done, listener.total);
			if (batch_counts[c] < 2 && !flags)
				ck_assert_uint_eq(listener.calls, N);
			batch_check_there();
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
	return batch_listen(data, done, total);
}

START_TEST(the_end_is_told_also_when_it_comes_during_a_call)
{
	struct batch_listener listener = { .thread = pthread_self() };
	struct iommufd_batch_opts opts = { sizeof(opts), 0, 3, listen_long, &listener };

	batch_open(0);
	caller = pthread_self();
	inject_ioctl(IOMMU_IOAS_MAP, wait_for_call);
	batch_fill(batch_maps, 3, START, HUGE);
	ck_assert_int_eq(iommufd_ioas_map_batch(batch.scene.ioas, batch_maps, 3, &opts), 0);
	ck_assert(!listener.wrong);
	ck_assert_uint_eq(listener.done, 3 * HUGE);
	batch_close();
}
END_TEST

START_TEST(a_batch_is_taken_back_at_whichever_step_it_is_cancelled)
{
	batch_open((size_t)_i);
	batch_fill(batch_maps, N, START, HUGE);
	for (size_t c = 0; c < COUNTS; c++) {
		struct batch_listener listener = { .thread = pthread_self() };
		unsigned int at = 0;
		int ret = -ECANCELED;

		while (ret) {
			listener = (struct batch_listener){ .thread = pthread_self(), .cancel_at = ++at };
			unit_stale_words();
			ret = batch_map(IOMMUFD_BATCH_POPULATE, batch_counts[c], batch_listen, &listener);
			if (!ret)
				break;
			ck_assert_int_eq(ret, -ECANCELED);
			unit_check_words(-ECANCELED);
			unit_words_have("nothing was mapped; the progress callback said so");
			ck_assert_uint_eq(listener.calls, at);
			batch_check_empty(batch_maps, N);
		}
		ck_assert(!listener.wrong);
		ck_assert_uint_eq(listener.done, listener.total);
		ck_assert_uint_ge(at, 2);
		batch_check_there();
	}
	batch_close();
}
END_TEST

/* At the last step all is mapped, and is taken back nevertheless. */
START_TEST(the_last_step_can_be_cancelled_too)
{
	struct batch_listener listener = { .thread = pthread_self(), .cancel_at = N };

	batch_open((size_t)_i);
	batch_fill(batch_maps, N, START, HUGE);
	unit_fails(-ECANCELED, batch_map(0, 0, batch_listen, &listener));
	ck_assert_uint_eq(listener.done, N * HUGE);
	batch_check_empty(batch_maps, N);
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
	unit_fails(-EDEADLK, iommufd_ioas_map_batch(ioas, batch_maps, N, NULL));
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
	batch_fill(batch_maps, N, START, HUGE);
	ck_assert_int_eq(batch_map(IOMMUFD_BATCH_POPULATE, 3, use_the_context, &calls), 0);
	ck_assert_uint_gt(calls, 0);
	batch_check_there(); /* for which it may again */
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
	batch_fill(batch_maps, N, START, HUGE);
	ck_assert_int_eq(batch_map(0, 0, use_another_context, &calls), 0);
	ck_assert_uint_eq(calls, N);
	iommufd_ioas_free(inner);
	iommufd_ctx_free(ctx);
	batch_close();
}
END_TEST

void batch_progress_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, the_callers_thread_hears_of_progress_up_to_the_end, 0, BATCH_BACKENDS);
	tcase_add_test(tcase, the_end_is_told_also_when_it_comes_during_a_call);
	tcase_add_loop_test(tcase, a_batch_is_taken_back_at_whichever_step_it_is_cancelled, 0, BATCH_BACKENDS);
	tcase_add_loop_test(tcase, the_last_step_can_be_cancelled_too, 0, BATCH_BACKENDS);
	tcase_add_loop_test(tcase, the_callback_may_not_use_the_context, 0, BATCH_BACKENDS);
	tcase_add_test(tcase, the_callback_may_use_another_context_and_nobody_in_it_the_first);
}
