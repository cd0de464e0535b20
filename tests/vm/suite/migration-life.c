/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Handles for the state of an mtty: how long they live, and what is left when they end. */
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mover.h"

START_TEST(a_handle_goes_with_its_attach)
{
	struct mover mover;
	uint32_t state = 99;
	size_t len = 7;

	mover_new(&mover, 1);
	ok(iommufd_migration_set_state(mover.m, PRE_COPY));
	ok(iommufd_device_detach(mover.bed.dev));
	fails(iommufd_migration_get_state(mover.m, &state), -ENOTCONN, "attach it");
	ok(iommufd_device_attach(mover.bed.dev, mover.bed.ioas));
	fails(iommufd_migration_get_state(mover.m, &state), -ENOTCONN, "make a new one");
	fails(iommufd_migration_read(mover.m, &state, 1, &len), -ENOTCONN, "make a new one");
	fails(iommufd_migration_abort(mover.m), -ENOTCONN, "make a new one");
	iommufd_migration_free(mover.m);
	ok(iommufd_migration_new(mover.bed.dev, 0, &mover.m));
	mover_is_in(&mover, RUNNING);
	ck_assert_uint_eq(state, 99);
	mover_end(&mover);
}
END_TEST

START_TEST(handles_are_freed_in_any_order)
{
	static const uint32_t states[] = { RUNNING, PRE_COPY, STOP_COPY, RESUMING };
	int fds = open_fds();
	struct mover mover;

	mtty_create(MTTY_A, 1);
	for (int order = 0; order < 8; order++) {
		mover_open(&mover, MTTY_A);
		ok(iommufd_migration_set_state(mover.m, states[order % 4]));
		if (order & 1)
			iommufd_device_free(mover.bed.dev);
		if (order & 2)
			iommufd_ioas_free(mover.bed.ioas);
		if (order & 4)
			iommufd_ctx_free(mover.bed.ctx);
		iommufd_migration_free(mover.m);
		if (!(order & 1))
			iommufd_device_free(mover.bed.dev);
		if (!(order & 2))
			iommufd_ioas_free(mover.bed.ioas);
		if (!(order & 4))
			iommufd_ctx_free(mover.bed.ctx);
		ck_assert_int_eq(open_fds(), fds);
	}
	mtty_remove(MTTY_A);
}
END_TEST

START_TEST(a_device_that_was_read_goes_on_and_one_that_was_written_waits_for_a_reset)
{
	struct mover mover;

	mover_new(&mover, 1);
	ok(iommufd_migration_set_state(mover.m, PRE_COPY_P2P));
	iommufd_migration_free(mover.m);
	ok(iommufd_migration_new(mover.bed.dev, 0, &mover.m));
	mover_is_in(&mover, RUNNING_P2P);
	ok(iommufd_migration_set_state(mover.m, STOP_COPY));
	iommufd_migration_free(mover.m);
	ok(iommufd_migration_new(mover.bed.dev, 0, &mover.m));
	mover_is_in(&mover, STOP);
	ok(iommufd_migration_set_state(mover.m, RESUMING));
	iommufd_migration_free(mover.m);

	/* To leave it without what was written would harm the kernel. */
	ok(iommufd_migration_new(mover.bed.dev, 0, &mover.m));
	mover_is_in(&mover, RESUMING);
	for (uint32_t state = STOP; state <= PRE_COPY_P2P; state++)
		if (state != RESUMING)
			fails(iommufd_migration_set_state(mover.m, state), -EBUSY, "another handle");
	ok(iommufd_migration_abort(mover.m));
	mover_is_in(&mover, RUNNING);
	mover_end(&mover);
}
END_TEST

/* The mtty would stay where it is even when nobody has it open. */
START_TEST(a_detach_ends_what_was_begun)
{
	struct mover mover;
	unsigned char byte;
	int stream;

	mover_new(&mover, 1);
	for (uint32_t state = STOP; state <= PRE_COPY_P2P; state++) {
		ok(iommufd_migration_set_state(mover.m, state));
		stream = -1;
		if (state != STOP && state != RUNNING && state != RUNNING_P2P)
			stream = dup(ok(iommufd_migration_fd(mover.m)));
		ok(iommufd_device_detach(mover.bed.dev));
		if (stream >= 0 && state == RESUMING)
			ck_assert_int_eq(write(stream, "", 1), -1);
		else if (stream >= 0)
			ck_assert_int_eq(read(stream, &byte, 1), -1);
		if (stream >= 0)
			ck_assert_int_eq(errno, ENODEV);
		close(stream);
		ok(iommufd_device_attach(mover.bed.dev, mover.bed.ioas));
		iommufd_migration_free(mover.m);
		ok(iommufd_migration_new(mover.bed.dev, 0, &mover.m));
		mover_is_in(&mover, RUNNING);
	}
	/* Also when it is freed as it is. */
	ok(iommufd_migration_set_state(mover.m, RESUMING));
	mover_close(&mover);
	mover_open(&mover, MTTY_A);
	mover_is_in(&mover, RUNNING);
	mover_end(&mover);
}
END_TEST

START_TEST(what_another_handle_ends_is_over)
{
	struct iommufd_migration *other;
	struct mover mover;
	unsigned char byte;
	size_t len = 7;

	mover_new(&mover, 1);
	ok(iommufd_migration_set_state(mover.m, STOP_COPY));
	ok(iommufd_migration_new(mover.bed.dev, 0, &other));
	ok(iommufd_migration_abort(other));
	fails(iommufd_migration_read(mover.m, &byte, 1, &len), -ENODEV, "the device was reset");
	mover_is_in(&mover, RUNNING);
	fails(iommufd_migration_fd(mover.m), -EINVAL, "begins one");
	ck_assert_uint_eq(len, 7);
	iommufd_migration_free(other);
	mover_end(&mover);
}
END_TEST

START_TEST(a_child_process_can_only_free)
{
	struct mover mover;
	uint32_t state = 99;
	int status;
	pid_t pid;

	mover_new(&mover, 1);
	ok(iommufd_migration_set_state(mover.m, STOP_COPY));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		fails(iommufd_migration_get_state(mover.m, &state), -EPERM, "before fork()");
		fails(iommufd_migration_set_state(mover.m, RUNNING), -EPERM, "before fork()");
		fails(iommufd_migration_abort(mover.m), -EPERM, "before fork()");
		mover_close(&mover);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	mover_is_in(&mover, STOP_COPY);
	ck_assert_int_ge(ok(iommufd_migration_fd(mover.m)), 0);
	mover_end(&mover);
}
END_TEST

START_TEST(without_a_descriptor_for_its_stream_a_device_stays_where_it_was)
{
	struct rlimit limit, none;
	struct mover mover;
	unsigned char state[MOVER_STATE + 1];

	mover_new(&mover, 2);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	fails(iommufd_migration_set_state(mover.m, STOP_COPY), -EMFILE, "it is now in RUNNING; raise the limit");
	fails(iommufd_migration_set_state(mover.m, PRE_COPY), -EMFILE, "it is now in RUNNING; raise the limit");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	mover_is_in(&mover, RUNNING);
	mover_take(&mover, state);
	mover_is_usable(&mover, state);
	mover_end(&mover);
}
END_TEST

START_TEST(a_stream_can_be_polled_and_does_not_wait)
{
	struct pollfd poller = { .events = POLLIN };
	struct iommufd_migration *m;
	struct bed bed;

	mtty_create(MTTY_A, 1);
	bed_attach(&bed, MTTY_A);
	fails(iommufd_migration_new(bed.dev, 2, &m), -EINVAL, "IOMMUFD_MIGRATION_NONBLOCK");
	ok(iommufd_migration_new(bed.dev, IOMMUFD_MIGRATION_NONBLOCK, &m));
	ok(iommufd_migration_set_state(m, STOP_COPY));
	poller.fd = ok(iommufd_migration_fd(m));
	ck_assert(fcntl(poller.fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(poller.fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(poll(&poller, 1, 1000), 1);
	iommufd_migration_free(m);
	bed_close(&bed);
	mtty_remove(MTTY_A);
}
END_TEST

START_TEST(a_device_whose_driver_cannot_is_not_moved)
{
	struct iommufd_migration *m = NULL;
	struct bed bed;

	bed_open_device(&bed, EDU);
	fails(iommufd_migration_new(bed.dev, 0, &m), -ENOTCONN, "attach it");
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	fails(iommufd_migration_new(bed.dev, 0, &m), -ENOTTY, "its driver vfio-pci does not have it");
	ck_assert_ptr_null(m);
	iommufd_migration_free(m);
	bed_close(&bed);
}
END_TEST

void add_migration_life_tests(TCase *tc)
{
	tcase_add_test(tc, a_handle_goes_with_its_attach);
	tcase_add_test(tc, handles_are_freed_in_any_order);
	tcase_add_test(tc, a_device_that_was_read_goes_on_and_one_that_was_written_waits_for_a_reset);
	tcase_add_test(tc, a_detach_ends_what_was_begun);
	tcase_add_test(tc, what_another_handle_ends_is_over);
	tcase_add_test(tc, a_child_process_can_only_free);
	tcase_add_test(tc, without_a_descriptor_for_its_stream_a_device_stays_where_it_was);
	tcase_add_test(tc, a_stream_can_be_polled_and_does_not_wait);
	tcase_add_test(tc, a_device_whose_driver_cannot_is_not_moved);
}
