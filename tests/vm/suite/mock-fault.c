/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Page faults: read, answered, and void after a detach. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "nest.h"

#define GROUP UINT32_C(0x77)

struct bench {
	struct bed bed;
	struct mock_device mock;
	struct iommufd_faultq *q;
	struct iommufd_hwpt *parent, *hwpt, *other; /* nested ones, of which the first is attached */
};

static void bench_open(struct bench *bench, uint32_t flags)
{
	*bench = (struct bench){ .q = NULL };
	bed_open(&bench->bed);
	mock_open(&bench->mock, bench->bed.ctx, flags);
	bench->bed.dev = bench->mock.dev;
	ok(iommufd_faultq_new(bench->bed.ctx, &bench->q));
	ok(iommufd_hwpt_new(bench->mock.dev, bench->bed.ioas, NEST_PARENT_OPTS, &bench->parent));
	ok(iommufd_hwpt_new_nested(bench->mock.dev, bench->parent, NEST_HWPT_OPTS(bench->q), &bench->hwpt));
	ok(iommufd_hwpt_new_nested(bench->mock.dev, bench->parent, NEST_HWPT_OPTS(bench->q), &bench->other));
	ok(iommufd_device_attach_hwpt(bench->mock.dev, bench->hwpt));
}

static void bench_close(struct bench *bench)
{
	ok(iommufd_device_detach(bench->mock.dev));
	iommufd_hwpt_free(bench->hwpt);
	iommufd_hwpt_free(bench->other);
	iommufd_hwpt_free(bench->parent);
	iommufd_faultq_free(bench->q);
	mock_close(&bench->mock);
	bench->bed.dev = NULL;
	bed_close(&bench->bed);
}

static void trigger(const struct bench *bench, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		mock_trigger_iopf(&bench->mock, 0, GROUP + i, IOMMUFD_FAULT_READ | IOMMUFD_FAULT_WRITE,
				  NEST_IOVA + i * PAGE);
}

static uint64_t one(const struct bench *bench)
{
	struct iommufd_fault fault;

	trigger(bench, 1);
	ck_assert_int_eq(ok(iommufd_faultq_read(bench->q, &fault, 1)), 1);
	return fault.cookie;
}

static bool readable(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };

	return poll(&one, 1, 0) == 1 && one.revents & POLLIN;
}

START_TEST(a_fault_is_read_as_it_came_and_answered)
{
	struct iommufd_fault faults[4];
	struct bench bench;

	bench_open(&bench, 0);
	ck_assert_int_eq(ok(iommufd_faultq_read(bench.q, faults, 4)), 0);
	ck_assert(!readable(ok(iommufd_faultq_fd(bench.q))));
	trigger(&bench, 1);
	ck_assert(readable(ok(iommufd_faultq_fd(bench.q))));
	ck_assert_int_eq(ok(iommufd_faultq_read(bench.q, faults, 4)), 1);
	ck_assert(!readable(ok(iommufd_faultq_fd(bench.q))));
	ck_assert_uint_eq(faults[0].device_id, iommufd_device_id(bench.mock.dev));
	ck_assert_uint_eq(faults[0].flags, IOMMUFD_FAULT_LAST);
	ck_assert_uint_eq(faults[0].perm, IOMMUFD_FAULT_READ | IOMMUFD_FAULT_WRITE);
	ck_assert_uint_eq(faults[0].group, GROUP);
	ck_assert_uint_eq(faults[0].addr, NEST_IOVA);
	ck_assert_uint_eq(faults[0].length, 0);
	ck_assert_uint_ne(faults[0].cookie, 0);
	ok(iommufd_faultq_respond(bench.q, faults[0].cookie, IOMMUFD_FAULT_SUCCESS));
	bench_close(&bench);
}
END_TEST

START_TEST(as_many_groups_are_read_as_fit_and_the_rest_stays)
{
	struct iommufd_fault faults[8];
	struct bench bench;

	bench_open(&bench, 0);
	trigger(&bench, 5);
	ck_assert_int_eq(ok(iommufd_faultq_read(bench.q, faults, 3)), 3);
	ck_assert(readable(ok(iommufd_faultq_fd(bench.q))));
	ck_assert_int_eq(ok(iommufd_faultq_read(bench.q, faults + 3, 5)), 2);
	for (unsigned int i = 0; i < 5; i++) {
		ck_assert_uint_eq(faults[i].group, GROUP + i);
		ck_assert_uint_eq(faults[i].addr, NEST_IOVA + i * PAGE);
		for (unsigned int j = 0; j < i; j++)
			ck_assert_uint_ne(faults[i].cookie, faults[j].cookie);
	}
	/* In any order. */
	for (int i = 4; i >= 0; i--)
		ok(iommufd_faultq_respond(bench.q, faults[i].cookie,
					  i % 2 ? IOMMUFD_FAULT_SUCCESS : IOMMUFD_FAULT_INVALID));
	bench_close(&bench);
}
END_TEST

START_TEST(more_faults_than_one_read_takes_are_all_there)
{
	static struct iommufd_fault faults[3000];
	struct bench bench;

	bench_open(&bench, 0);
	trigger(&bench, 3000);
	ck_assert_int_eq(ok(iommufd_faultq_read(bench.q, faults, 1000)), 1000);
	ck_assert_int_eq(ok(iommufd_faultq_read(bench.q, faults + 1000, 2000)), 2000);
	ck_assert_int_eq(ok(iommufd_faultq_read(bench.q, faults, 1)), 0);
	for (unsigned int i = 0; i < 3000; i++) {
		ck_assert_uint_eq(faults[i].group, GROUP + i);
		ok(iommufd_faultq_respond(bench.q, faults[i].cookie, IOMMUFD_FAULT_SUCCESS));
	}
	bench_close(&bench);
}
END_TEST

START_TEST(a_fault_is_answered_once)
{
	struct bench bench;
	uint64_t cookie;

	bench_open(&bench, 0);
	cookie = one(&bench);
	fails(iommufd_faultq_respond(bench.q, cookie, 2), -EINVAL, "IOMMUFD_FAULT_SUCCESS");
	fails(iommufd_faultq_respond(bench.q, cookie + 1, IOMMUFD_FAULT_SUCCESS), -ENOENT, "let it go");
	fails(iommufd_faultq_respond(bench.q, cookie ^ UINT64_C(1) << 40, IOMMUFD_FAULT_SUCCESS), -ENOENT, "let it go");
	fails(iommufd_faultq_respond(bench.q, 0, IOMMUFD_FAULT_SUCCESS), -ENOENT, "let it go");
	ok(iommufd_faultq_respond(bench.q, cookie, IOMMUFD_FAULT_SUCCESS));
	fails(iommufd_faultq_respond(bench.q, cookie, IOMMUFD_FAULT_SUCCESS), -ENOENT, "it was answered");
	fails(iommufd_faultq_read(bench.q, NULL, 0), -EINVAL, "at least one group");
	bench_close(&bench);
}
END_TEST

/* The kernel numbers the next fault like the one that it has answered by itself. */
static void stale_answers_nothing(struct bench *bench, void (*away)(struct bench *bench))
{
	uint64_t stale = one(bench), fresh;

	away(bench);
	fails(iommufd_faultq_respond(bench->q, stale, IOMMUFD_FAULT_SUCCESS), -ENOENT, "detached or moved");
	stale = one(bench);
	away(bench);
	fresh = one(bench);
	ck_assert_uint_ne(stale, fresh);
	ck_assert_uint_eq((uint32_t)stale, (uint32_t)fresh);
	fails(iommufd_faultq_respond(bench->q, stale, IOMMUFD_FAULT_SUCCESS), -ENOENT, "detached or moved");
	ok(iommufd_faultq_respond(bench->q, fresh, IOMMUFD_FAULT_SUCCESS));
	fails(iommufd_faultq_respond(bench->q, fresh, IOMMUFD_FAULT_SUCCESS), -ENOENT, "it was answered");
}

static void detach_and_attach(struct bench *bench)
{
	ok(iommufd_device_detach(bench->mock.dev));
	ok(iommufd_device_attach_hwpt(bench->mock.dev, bench->hwpt));
}

static void replace(struct bench *bench)
{
	struct iommufd_hwpt *from = bench->hwpt;

	ok(iommufd_device_replace_hwpt(bench->mock.dev, bench->other));
	bench->hwpt = bench->other;
	bench->other = from;
}

START_TEST(a_cookie_is_void_after_a_detach_or_a_move)
{
	struct bench bench;

	bench_open(&bench, 0);
	stale_answers_nothing(&bench, detach_and_attach);
	stale_answers_nothing(&bench, replace);
	bench_close(&bench);
}
END_TEST

START_TEST(faults_of_another_device_survive_a_detach)
{
	struct iommufd_fault fault;
	struct mock_device second;
	struct bench bench;
	uint64_t stale;

	bench_open(&bench, 0);
	mock_open(&second, bench.bed.ctx, 0);
	ok(iommufd_device_attach_hwpt(second.dev, bench.other));
	mock_trigger_iopf(&second, 0, 1, IOMMUFD_FAULT_READ, NEST_IOVA);
	ck_assert_int_eq(ok(iommufd_faultq_read(bench.q, &fault, 1)), 1);
	ck_assert_uint_eq(fault.device_id, iommufd_device_id(second.dev));
	stale = one(&bench);
	detach_and_attach(&bench);
	ok(iommufd_faultq_respond(bench.q, fault.cookie, IOMMUFD_FAULT_SUCCESS));
	fails(iommufd_faultq_respond(bench.q, stale, IOMMUFD_FAULT_SUCCESS), -ENOENT, "detached");
	mock_close(&second);
	bench_close(&bench);
}
END_TEST

START_TEST(a_pasids_fault_survives_the_devices_move_and_not_its_own)
{
	struct iommufd_hwpt_opts opts = *NEST_HWPT_OPTS(NULL);
	struct iommufd_hwpt *hwpt, *other;
	struct iommufd_fault fault;
	struct bench bench;

	bench_open(&bench, MOCK_PASID);
	opts.flags = IOMMUFD_HWPT_PASID;
	opts.faultq = bench.q;
	ok(iommufd_hwpt_new_nested(bench.mock.dev, bench.parent, &opts, &hwpt));
	ok(iommufd_hwpt_new_nested(bench.mock.dev, bench.parent, &opts, &other));
	ok(iommufd_device_replace_hwpt(bench.mock.dev, hwpt));
	ok(iommufd_device_pasid_attach(bench.mock.dev, 5, NULL, hwpt));
	mock_trigger_iopf(&bench.mock, 5, 1, IOMMUFD_FAULT_WRITE, NEST_IOVA);
	ck_assert_int_eq(ok(iommufd_faultq_read(bench.q, &fault, 1)), 1);
	ck_assert_uint_eq(fault.flags, IOMMUFD_FAULT_LAST | IOMMUFD_FAULT_PASID);
	ck_assert_uint_eq(fault.pasid, 5);
	ok(iommufd_device_replace_hwpt(bench.mock.dev, other));
	ok(iommufd_faultq_respond(bench.q, fault.cookie, IOMMUFD_FAULT_SUCCESS));
	mock_trigger_iopf(&bench.mock, 5, 1, IOMMUFD_FAULT_WRITE, NEST_IOVA);
	ck_assert_int_eq(ok(iommufd_faultq_read(bench.q, &fault, 1)), 1);
	ok(iommufd_device_pasid_replace(bench.mock.dev, 5, NULL, other));
	fails(iommufd_faultq_respond(bench.q, fault.cookie, IOMMUFD_FAULT_SUCCESS), -ENOENT, "moved");
	ok(iommufd_device_pasid_detach(bench.mock.dev, 5));
	iommufd_hwpt_free(hwpt);
	iommufd_hwpt_free(other);
	bench_close(&bench);
}
END_TEST

/* ---- Threads ---- */

struct racer {
	struct bench *bench;
	atomic_bool end;
	atomic_uint answered, stale, other;
};

static void *answer_all(void *data)
{
	struct racer *racer = data;
	struct iommufd_fault faults[16];

	while (!racer->end) {
		int count = iommufd_faultq_read(racer->bench->q, faults, 16);

		if (count > 0)
			usleep(200); /* while the device goes on */
		for (int i = 0; i < count; i++) {
			int ret = iommufd_faultq_respond(racer->bench->q, faults[i].cookie, IOMMUFD_FAULT_SUCCESS);

			if (!ret)
				racer->answered++;
			else if (ret == -ENOENT)
				racer->stale++;
			else
				racer->other++;
		}
		racer->other += count < 0;
	}
	return NULL;
}

/* The device comes and goes while its faults are answered, with some time for it: each was answered, or was void. */
START_TEST(faults_are_answered_while_the_device_moves)
{
	struct bench bench;
	struct racer racer = { .bench = &bench };
	struct iommufd_fault fault;
	unsigned int rounds = 0;
	pthread_t thread;

	bench_open(&bench, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, answer_all, &racer), 0);
	for (; rounds < 600 || !racer.answered || !racer.stale; rounds++) {
		trigger(&bench, 8);
		usleep(rounds % 4 ? 0 : 1000);
		if (rounds % 2)
			replace(&bench);
		else
			detach_and_attach(&bench);
	}
	racer.end = true;
	pthread_join(thread, NULL);
	printf("# %u answered, %u void\n", racer.answered, racer.stale);
	ck_assert_uint_eq(racer.other, 0);
	ck_assert_uint_le(racer.answered + racer.stale, rounds * 8);
	/* Nothing is in the way of what comes. */
	while (ok(iommufd_faultq_read(bench.q, &fault, 1)))
		;
	ok(iommufd_faultq_respond(bench.q, one(&bench), IOMMUFD_FAULT_SUCCESS));
	bench_close(&bench);
}
END_TEST

START_TEST(a_queue_that_is_gone_does_not_keep_the_device_from_being_moved)
{
	struct bench bench;

	bench_open(&bench, 0);
	one(&bench);
	trigger(&bench, 2);
	iommufd_faultq_free(bench.q);
	bench.q = NULL;
	trigger(&bench, 2);
	detach_and_attach(&bench);
	bench_close(&bench);
}
END_TEST

START_TEST(a_queue_of_another_context_is_refused)
{
	struct iommufd_hwpt *hwpt = NULL;
	struct iommufd_faultq *q;
	struct iommufd_ctx *ctx;
	struct bench bench;

	bench_open(&bench, 0);
	ok(iommufd_ctx_new(NULL, &ctx));
	ok(iommufd_faultq_new(ctx, &q));
	fails(iommufd_hwpt_new_nested(bench.mock.dev, bench.parent, NEST_HWPT_OPTS(q), &hwpt), -EINVAL, "context");
	ck_assert_ptr_null(hwpt);
	iommufd_faultq_free(q);
	iommufd_ctx_free(ctx);
	bench_close(&bench);
}
END_TEST

void add_mock_fault_tests(TCase *tc)
{
	tcase_add_test(tc, a_fault_is_read_as_it_came_and_answered);
	tcase_add_test(tc, as_many_groups_are_read_as_fit_and_the_rest_stays);
	tcase_add_test(tc, more_faults_than_one_read_takes_are_all_there);
	tcase_add_test(tc, a_fault_is_answered_once);
	tcase_add_test(tc, a_cookie_is_void_after_a_detach_or_a_move);
	tcase_add_test(tc, faults_of_another_device_survive_a_detach);
	tcase_add_test(tc, a_pasids_fault_survives_the_devices_move_and_not_its_own);
	tcase_add_test(tc, faults_are_answered_while_the_device_moves);
	tcase_add_test(tc, a_queue_that_is_gone_does_not_keep_the_device_from_being_moved);
	tcase_add_test(tc, a_queue_of_another_context_is_refused);
}
