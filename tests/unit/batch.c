/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Batches by several threads, where memory, threads, mappings or the caller's patience come to an end. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "batch-scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

START_TEST(options_that_are_not_known_are_refused)
{
	struct iommufd_batch_opts opts = { .struct_size = 4 };

	batch_open(0);
	batch_fill(batch_maps, N, START, HUGE);
	unit_fails(-EINVAL, iommufd_ioas_map_batch(batch.scene.ioas, batch_maps, N, &opts));
	unit_words_have("struct_size 4 of the options of a batch");
	unit_fails(-EINVAL, batch_map(1u << 2, 0, NULL, NULL));
	unit_words_have("0x4");
	unit_fails(-EINVAL, batch_map(0, 1025, NULL, NULL));
	unit_words_have("1025 threads");
	unit_fails(-EINVAL, batch_map(IOMMUFD_BATCH_ALL_CPUS, 2, NULL, NULL));
	unit_words_have("IOMMUFD_BATCH_ALL_CPUS alone");
	batch_check_empty(batch_maps, N);
	batch_maps[3].len = INT64_MAX - SCENE_PAGE + 1;
	unit_fails(-EOVERFLOW, batch_map(0, 0, NULL, NULL));
	unit_words_have("map 3 of a batch of 12");
	batch_close();
}
END_TEST

START_TEST(what_the_library_picks_is_in_the_way_of_no_fixed_place_of_the_same_batch)
{
	batch_open((size_t)_i);
	for (size_t fixed = 0; fixed < N; fixed++) {
		batch_fill(batch_maps, N, START, HUGE);
		for (size_t i = 0; i < N; i++)
			batch_maps[i].flags = RW;
		ck_assert_int_eq(batch_map(0, 0, NULL, NULL), 0);
		ck_assert_int_eq(iommufd_ioas_unmap_all(batch.scene.ioas, NULL), 0);
		/* The lowest, which the first of the others would have. */
		batch_maps[fixed].iova = batch_maps[0].iova;
		batch_maps[fixed].flags = RW | IOMMUFD_MAP_FIXED;
		ck_assert_int_eq(batch_map(0, 0, NULL, NULL), 0);
		batch_check_there();
	}
	batch_close();
}
END_TEST

START_TEST(a_batch_without_options_is_made_by_the_caller_alone_from_memory_as_it_is)
{
	struct batch_advice advice[1];

	batch_open((size_t)_i);
	batch_fill(batch_maps, N, START, HUGE);
	ck_assert_int_eq(iommufd_ioas_map_batch(batch.scene.ioas, batch_maps, N, NULL), 0);
	batch_check_there();
	ck_assert_int_eq(batch_map(0, 1, NULL, NULL), 0);
	batch_check_there();
	ck_assert_uint_eq(batch_threads(), 0);
	ck_assert_uint_eq(batch_advice(advice, 1), 0);
	batch_close();
}
END_TEST

START_TEST(as_many_threads_work_as_were_asked_for_where_there_is_work_for_them)
{
	uint32_t populate = IOMMUFD_BATCH_POPULATE;

	batch_open((size_t)_i);
	batch_fill(batch_maps, N, START, HUGE);
	ck_assert_int_eq(batch_map(populate, 8, NULL, NULL), 0);
	ck_assert_uint_eq(batch_threads(), 7);
	batch_check_there();
	ck_assert_int_eq(batch_map(populate | IOMMUFD_BATCH_ALL_CPUS, 0, NULL, NULL), 0);
	ck_assert_uint_eq(batch_threads(), ifd_sys_cpus() < 24 ? ifd_sys_cpus() - 1 : 23);
	batch_check_there();
	ck_assert_int_eq(batch_map(populate, 1024, NULL, NULL), 0);
	ck_assert_uint_eq(batch_threads(), 23); /* twelve borders, twelve mappings */
	batch_check_there();
	batch_fill(batch_maps, N, START & ~(HUGE - 1), HUGE);
	ck_assert_int_eq(batch_map(populate, 1024, NULL, NULL), 0);
	ck_assert_uint_eq(batch_threads(), 11); /* twelve mappings between borders */
	batch_check_there();
	/* Where mappings are made one after the other, nobody can help with them. */
	ck_assert_int_eq(batch_map(0, 1024, NULL, NULL), 0);
	ck_assert_uint_eq(batch_threads(), _i ? 0 : 11);
	batch_check_there();
	batch_close();
}
END_TEST

START_TEST(no_thread_is_started_for_what_is_done_at_once_unless_it_is_much)
{
	struct batch_listener listener = { .thread = pthread_self() };
	unsigned int threads;

	batch_open((size_t)_i);
	inject_clock_step(0);
	batch_fill(batch_maps, N, START, HUGE);
	ck_assert_int_eq(batch_map(IOMMUFD_BATCH_POPULATE, 8, batch_listen, &listener), 0);
	ck_assert(!listener.wrong);
	ck_assert_uint_eq(listener.done, 2 * N * HUGE);
	batch_check_there();
	listener = (struct batch_listener){ .thread = pthread_self(), .cancel_at = 3 };
	unit_fails(-ECANCELED, batch_map(IOMMUFD_BATCH_POPULATE, 8, batch_listen, &listener));
	batch_check_empty(batch_maps, N);
	ck_assert_uint_eq(batch_threads(), 0);
	batch_fill(batch_maps, N, START, 8 * HUGE);
	for (threads = 8; threads > 1; threads /= 2) {
		ck_assert_int_eq(batch_map(IOMMUFD_BATCH_POPULATE, threads, NULL, NULL), 0);
		ck_assert_uint_eq(batch_threads(), threads - 1);
		batch_check_there();
	}
	inject_clock_step(20);
	batch_close();
}
END_TEST

START_TEST(what_one_thread_alone_would_take_long_for_is_not_begun_before_the_others)
{
	batch_open(0);
	inject_clock_step(0);
	batch_fill(batch_maps, N, START, 2 * HUGE);
	ck_assert_int_eq(batch_map(0, 8, NULL, NULL), 0);
	ck_assert_uint_eq(batch_threads(), 0);
	batch_check_there();
	batch_fill(batch_maps, N, START, 2 * HUGE + SCENE_PAGE);
	ck_assert_int_eq(batch_map(0, 8, NULL, NULL), 0);
	ck_assert_uint_eq(batch_threads(), 7);
	batch_check_there();
	/* Of which the pieces are short. */
	ck_assert_int_eq(batch_map(IOMMUFD_BATCH_POPULATE, 8, NULL, NULL), 0);
	ck_assert_uint_eq(batch_threads(), 0);
	batch_check_there();
	/* After which there is nothing to do for others. */
	batch_fill(batch_maps, N, START, 2 * HUGE);
	batch_maps[N - 1].len += SCENE_PAGE;
	ck_assert_int_eq(batch_map(0, 8, NULL, NULL), 0);
	ck_assert_uint_eq(batch_threads(), 0);
	batch_check_there();
	inject_clock_step(20);
	batch_close();
}
END_TEST

START_TEST(a_thread_that_cannot_be_had_is_done_without)
{
	batch_open((size_t)_i);
	batch_fill(batch_maps, N, START, HUGE);
	for (unsigned int left = 0; left < 4; left++) {
		batch_threads_left(left);
		ck_assert_int_eq(batch_map(IOMMUFD_BATCH_POPULATE, 8, NULL, NULL), 0);
		ck_assert_uint_eq(batch_threads(), left);
		batch_check_there();
	}
	batch_close();
}
END_TEST

START_TEST(a_batch_is_taken_back_whichever_memory_cannot_be_brought_in)
{
	static const int errs[] = { -ENOMEM, -EFAULT, -EHWPOISON };

	batch_open((size_t)_i);
	batch_fill(batch_maps, N, START, HUGE);
	batch_maps[2].flags = RW;
	batch_maps[2].iova = 42;
	for (size_t c = 0; c < COUNTS; c++)
		for (unsigned int nth = 1; nth <= 2 * N; nth++) {
			int err = errs[nth % 3];

			batch_advice_fail(nth, err);
			/* Nobody has that memory: where /proc says so, it is not one of the two lacks. */
			unit_fails(err == -ENOMEM ? -EFAULT : err,
				   batch_map(IOMMUFD_BATCH_POPULATE, batch_counts[c], NULL, NULL));
			unit_words_have("nothing was mapped");
			unit_words_have(err == -EHWPOISON ? "broken in hardware" : "nothing is mapped at 0x7ec0");
			batch_check_empty(batch_maps, N);
		}
	/* Of one thread it is the first, and it has a name. */
	batch_advice_fail(5, -EHWPOISON);
	unit_fails(-EHWPOISON, batch_map(IOMMUFD_BATCH_POPULATE, 1, NULL, NULL));
	unit_words_have("map 2 of a batch of 12");
	unit_words_have("0x7ec000401000-0x7ec0005fffff");
	batch_advice_fail(0, 0);
	ck_assert_int_eq(batch_map(IOMMUFD_BATCH_POPULATE, 2, NULL, NULL), 0);
	batch_close();
}
END_TEST

START_TEST(a_batch_is_taken_back_whichever_mapping_the_kernel_refuses)
{
	batch_open((size_t)_i);
	batch_fill(batch_maps, N, START, HUGE);
	for (size_t c = 0; c < COUNTS; c++)
		for (uint32_t flags = 0; flags <= IOMMUFD_BATCH_POPULATE; flags++)
			for (unsigned int nth = 1; nth <= N; nth++) {
				inject_ioctl_fail(batch.map, nth, 1, -EPERM);
				unit_fails(-EPERM, batch_map(flags, batch_counts[c], NULL, NULL));
				unit_words_have("of a batch of 12");
				batch_check_empty(batch_maps, N);
			}
	batch_close();
}
END_TEST

START_TEST(a_batch_that_has_no_memory_of_its_own_maps_nothing)
{
	unsigned int nth = 0;
	bool looked = false;
	int ret = -ENOMEM;

	batch_open((size_t)_i);
	batch_fill(batch_maps, N, START, HUGE);
	batch_maps[1].flags = IOMMUFD_MAP_READ | IOMMUFD_MAP_FIXED;
	batch_maps[1].vaddr = NULL; /* so that all that is below comes into question */
	batch_maps[2].flags = IOMMUFD_MAP_READ | IOMMUFD_MAP_FIXED;
	while (ret == -ENOMEM) {
		inject_fail(INJECT_MEMORY, ++nth, -ENOMEM);
		unit_stale_words();
		ret = batch_map(IOMMUFD_BATCH_POPULATE, 2, NULL, NULL);
		if (!ret)
			break;
		unit_check_words(-ENOMEM);
		looked |= strstr(iommufd_errmsg(), "look at the memory of 12 mappings") != NULL;
		batch_check_empty(batch_maps, N);
	}
	ck_assert_int_eq(ret, 0);
	ck_assert(looked);
	ck_assert_uint_gt(nth, N + 2);
	inject_fail(INJECT_MEMORY, 0, 0);
	batch_close();
}
END_TEST

/* The other threads have the caller's memory, also that of its stack. */
static void *be_cancelled(void *data)
{
	pthread_cancel(pthread_self());
	*(bool *)data = !batch_map(IOMMUFD_BATCH_POPULATE, 3, NULL, NULL);
	pthread_testcancel();
	return NULL;
}

START_TEST(a_thread_that_is_cancelled_makes_its_batch_first)
{
	pthread_t thread;
	bool made = false;
	void *result;

	batch_open((size_t)_i);
	batch_fill(batch_maps, N, START, HUGE);
	batch_maps[1].flags = IOMMUFD_MAP_READ | IOMMUFD_MAP_FIXED; /* so that a file is read first */
	ck_assert_int_eq(pthread_create(&thread, NULL, be_cancelled, &made), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	ck_assert(made);
	ck_assert_uint_eq(batch_threads(), 2);
	batch_check_there();
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
	batch_fill(batch_maps, N, START, HUGE);
	ck_assert_int_eq(batch_map(0, 3, NULL, NULL), 0);
	batch_check_there();
	ck_assert_int_eq(batch_map(IOMMUFD_BATCH_POPULATE, 3, NULL, NULL), 0);
	batch_check_there();
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
	batch_fill(batch_maps, N, START, HUGE);
	ck_assert_int_eq(batch_map(IOMMUFD_BATCH_POPULATE, 3, NULL, NULL), 0);
	batch_check_there();
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
	batch_fill(batch_maps, N, START, HUGE);
	for (int round = 0; round < 200; round++) {
		mapped = 0;
		ck_assert_int_eq(batch_map(IOMMUFD_BATCH_POPULATE, 1 + (uint32_t)round % 8, NULL, NULL), 0);
		ck_assert_uint_eq(mapped, N);
		for (size_t i = 0; i < N; i++)
			ck_assert_uint_eq(order[i], BATCH_IOVA + i * HUGE);
		batch_check_there();
	}
	ck_assert_uint_eq(crowd, 0);
	batch_close();
}
END_TEST

/* Both are under way when one of them fails, and the late one fails some time after that. */
static uint64_t late;

static int fail_both(int fd, void *arg)
{
	const struct iommu_ioas_map *cmd = arg;

	(void)fd;
	inside++;
	if (cmd->iova != late) {
		while (inside < 2)
			sched_yield();
		mapped++;
	} else {
		while (!mapped)
			sched_yield();
		usleep(20000);
	}
	return cmd->iova == BATCH_IOVA ? -EIO : -EPERM;
}

START_TEST(of_two_that_fail_at_once_the_first_in_order_is_told)
{
	batch_open(0);
	late = BATCH_IOVA + (uint64_t)_i * HUGE;
	inject_ioctl(IOMMU_IOAS_MAP, fail_both);
	batch_fill(batch_maps, N, START, HUGE);
	unit_fails(-EIO, batch_map(0, 2, NULL, NULL));
	unit_words_have("map 0 of a batch of 12");
	ck_assert_uint_eq(inside, 2);
	ck_assert_uint_eq(ifd_index_count(&batch.scene.ioas->index), 0);
	batch_close();
}
END_TEST

/* ---- After a failure ---- */

START_TEST(after_a_failure_a_thread_begins_nothing_more)
{
	struct batch_advice advice[2 * N];

	batch_open((size_t)_i);
	batch_fill(batch_maps, N, START & ~(HUGE - 1), HUGE);
	for (unsigned int nth = 1; nth <= N; nth++) {
		unsigned int before = inject_ioctls(batch.map);

		inject_ioctl_fail(batch.map, nth, 1, -EPERM);
		unit_fails(-EPERM, batch_map(IOMMUFD_BATCH_POPULATE, 1, NULL, NULL));
		ck_assert_uint_eq(inject_ioctls(batch.map) - before, nth - 1);
		ck_assert_uint_eq(batch_advice(advice, 2 * N), nth);
		before = inject_ioctls(batch.map);
		batch_advice_fail(nth, -EFAULT);
		unit_fails(-EFAULT, batch_map(IOMMUFD_BATCH_POPULATE, 1, NULL, NULL));
		ck_assert_uint_eq(inject_ioctls(batch.map) - before, nth - 1);
		ck_assert_uint_eq(batch_advice(advice, 2 * N), nth);
	}
	batch_check_empty(batch_maps, N);
	batch_close();
}
END_TEST

static pthread_t caller;
static atomic_uint at_memory;

/* Each brings in all of a request. The other thread cannot, and ends; the caller's goes on when that has been. */
static int fail_in_the_other(void *addr, size_t len, int advice)
{
	bool other = !pthread_equal(pthread_self(), caller);

	(void)addr;
	(void)len;
	(void)advice;
	at_memory++;
	while (at_memory < 2)
		sched_yield();
	if (!other)
		batch_await_threads();
	return other ? -EFAULT : 0;
}

START_TEST(what_was_brought_in_while_another_one_failed_is_not_mapped)
{
	unsigned int before;

	batch_open((size_t)_i);
	caller = pthread_self();
	inject_advice(fail_in_the_other);
	batch_fill(batch_maps, N, START & ~(HUGE - 1), HUGE);
	before = inject_ioctls(batch.map);
	unit_fails(-EFAULT, batch_map(IOMMUFD_BATCH_POPULATE, 2, NULL, NULL));
	ck_assert_uint_eq(at_memory, 2);
	ck_assert_uint_eq(inject_ioctls(batch.map), before);
	batch_check_empty(batch_maps, N);
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

void batch_memory_tests(TCase *tcase);
void batch_progress_tests(TCase *tcase);

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, options_that_are_not_known_are_refused);
	tcase_add_loop_test(tcase, what_the_library_picks_is_in_the_way_of_no_fixed_place_of_the_same_batch, 0,
			    BATCH_BACKENDS);
	tcase_add_loop_test(tcase, a_batch_without_options_is_made_by_the_caller_alone_from_memory_as_it_is, 0,
			    BATCH_BACKENDS);
	tcase_add_loop_test(tcase, as_many_threads_work_as_were_asked_for_where_there_is_work_for_them, 0,
			    BATCH_BACKENDS);
	tcase_add_loop_test(tcase, no_thread_is_started_for_what_is_done_at_once_unless_it_is_much, 0, BATCH_BACKENDS);
	tcase_add_test(tcase, what_one_thread_alone_would_take_long_for_is_not_begun_before_the_others);
	tcase_add_loop_test(tcase, a_thread_that_cannot_be_had_is_done_without, 0, BATCH_BACKENDS);
	tcase_add_loop_test(tcase, a_batch_is_taken_back_whichever_memory_cannot_be_brought_in, 0, BATCH_BACKENDS);
	tcase_add_loop_test(tcase, a_batch_is_taken_back_whichever_mapping_the_kernel_refuses, 0, BATCH_BACKENDS);
	tcase_add_loop_test(tcase, a_batch_that_has_no_memory_of_its_own_maps_nothing, 0, BATCH_BACKENDS);
	tcase_add_loop_test(tcase, a_thread_that_is_cancelled_makes_its_batch_first, 0, BATCH_BACKENDS);
	tcase_add_test(tcase, on_iommufd_mappings_are_made_at_once);
	tcase_add_loop_test(tcase, memory_is_brought_in_at_once, 0, BATCH_BACKENDS);
	tcase_add_test(tcase, on_type1_mappings_are_made_one_after_the_other_in_their_order);
	tcase_add_loop_test(tcase, of_two_that_fail_at_once_the_first_in_order_is_told, 0, 2);
	tcase_add_loop_test(tcase, after_a_failure_a_thread_begins_nothing_more, 0, BATCH_BACKENDS);
	tcase_add_loop_test(tcase, what_was_brought_in_while_another_one_failed_is_not_mapped, 0, BATCH_BACKENDS);
	tcase_add_loop_test(tcase, ten_thousand_mappings_are_made_and_taken_back, 0, BATCH_BACKENDS);
	batch_memory_tests(tcase);
	batch_progress_tests(tcase);
}
