/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The state of an mtty, a sample of the kernel's: from one process to another, and what goes wrong on the way. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mtty.h"

#define STOP         IOMMUFD_MIGRATION_STOP
#define RUNNING      IOMMUFD_MIGRATION_RUNNING
#define STOP_COPY    IOMMUFD_MIGRATION_STOP_COPY
#define RESUMING     IOMMUFD_MIGRATION_RESUMING
#define RUNNING_P2P  IOMMUFD_MIGRATION_RUNNING_P2P
#define PRE_COPY     IOMMUFD_MIGRATION_PRE_COPY
#define PRE_COPY_P2P IOMMUFD_MIGRATION_PRE_COPY_P2P

#define STATE (MTTY_HEAD + 2 * MTTY_PORT)
#define SEED  0x6d

struct mover {
	struct bed bed;
	struct iommufd_migration *m;
};

static void open_mover(struct mover *mover, const char *uuid)
{
	bed_attach(&mover->bed, uuid);
	ok(iommufd_migration_new(mover->bed.dev, 0, &mover->m));
}

static void close_mover(struct mover *mover)
{
	iommufd_migration_free(mover->m);
	bed_close(&mover->bed);
}

static void new_mover(struct mover *mover, unsigned int ports)
{
	mtty_create(MTTY_A, ports);
	open_mover(mover, MTTY_A);
}

static void end_mover(struct mover *mover)
{
	close_mover(mover);
	mtty_remove(MTTY_A);
}

static void is_in(const struct mover *mover, uint32_t state)
{
	uint32_t told = 99;

	ok(iommufd_migration_get_state(mover->m, &told));
	ck_assert_uint_eq(told, state);
}

/* Everything that is there, in pieces of another size each time; how much. */
static size_t read_all(struct mover *mover, unsigned char *buf, size_t size)
{
	size_t done = 0, len, piece = 1;

	do {
		ck_assert_uint_lt(done, size);
		ok(iommufd_migration_read(mover->m, buf + done, piece < size - done ? piece : size - done, &len));
		done += len;
		piece += 3;
	} while (len);
	return done;
}

static void write_all(struct mover *mover, const unsigned char *buf, size_t size)
{
	size_t len;

	while (size) {
		ok(iommufd_migration_write(mover->m, buf, size < 11 ? size : 11, &len));
		ck_assert_uint_ge(len, 1);
		buf += len;
		size -= len;
	}
}

/* The state of a card of two ports that was filled, which then runs on. */
static void take_state(struct mover *mover, unsigned char state[STATE])
{
	mtty_fill(mover->bed.dev, 0, SEED);
	mtty_fill(mover->bed.dev, 1, SEED + 1);
	ok(iommufd_migration_set_state(mover->m, STOP_COPY));
	ck_assert_uint_eq(read_all(mover, state, STATE + 1), STATE);
	ok(iommufd_migration_set_state(mover->m, RUNNING));
}

/* ---- From one process to another ---- */

/* What the other process does: takes the state out of the socket, and looks whether the card has it. */
static void receive(int socket)
{
	struct mover mover;
	unsigned char buf[7];
	ssize_t n;

	open_mover(&mover, MTTY_B);
	ok(iommufd_migration_set_state(mover.m, RESUMING));
	while ((n = read(socket, buf, sizeof(buf))) > 0)
		write_all(&mover, buf, (size_t)n);
	ck_assert_int_eq(n, 0);
	ok(iommufd_migration_set_state(mover.m, RUNNING));
	is_in(&mover, RUNNING);
	mtty_check(mover.bed.dev, 0, SEED);
	mtty_check(mover.bed.dev, 1, SEED + 1);
	close_mover(&mover);
}

static pid_t start_receiver(int *socket)
{
	int ends[2];
	pid_t pid;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		close(ends[0]);
		receive(ends[1]);
		_exit(0);
	}
	close(ends[1]);
	*socket = ends[0];
	return pid;
}

static void end_receiver(pid_t pid, int socket)
{
	int status;

	close(socket);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(!status, "the other process ended with 0x%x", (unsigned int)status);
}

static size_t send_all(struct mover *mover, int socket)
{
	unsigned char buf[16];
	size_t done = 0, len = 1;

	while (len) {
		ok(iommufd_migration_read(mover->m, buf, sizeof(buf), &len));
		ck_assert_int_eq(write(socket, buf, len), (ssize_t)len);
		done += len;
	}
	return done;
}

START_TEST(a_stopped_device_moves_to_another_process)
{
	struct mover mover;
	uint64_t estimate = 0;
	int socket;
	pid_t pid;

	mtty_create(MTTY_B, 2);
	pid = start_receiver(&socket);
	new_mover(&mover, 2);
	mtty_fill(mover.bed.dev, 0, SEED);
	mtty_fill(mover.bed.dev, 1, SEED + 1);
	ok(iommufd_migration_set_state(mover.m, STOP_COPY));
	ok(iommufd_migration_data_size(mover.m, &estimate));
	ck_assert_uint_eq(estimate, STATE);
	ck_assert_uint_eq(send_all(&mover, socket), STATE);
	ok(iommufd_migration_set_state(mover.m, STOP));
	end_receiver(pid, socket);
	end_mover(&mover);
	mtty_remove(MTTY_B);
}
END_TEST

/* The mtty has its head ready at once, and nothing more until it is stopped. */
START_TEST(a_running_device_moves_after_what_could_be_read_before)
{
	struct iommufd_precopy_info info = { .struct_size = sizeof(info), .flags = 7 };
	unsigned char head[MTTY_HEAD], more;
	struct mover mover;
	int socket;
	size_t len;
	pid_t pid;

	mtty_create(MTTY_B, 2);
	pid = start_receiver(&socket);
	new_mover(&mover, 2);
	ok(iommufd_migration_set_state(mover.m, PRE_COPY));
	ok(iommufd_migration_precopy_info(mover.m, &info));
	ck_assert(info.initial_bytes == MTTY_HEAD && !info.dirty_bytes && !info.flags && info.state == PRE_COPY);
	for (size_t done = 0; done < MTTY_HEAD; done += len)
		ok(iommufd_migration_read(mover.m, head + done, MTTY_HEAD - done, &len));
	fails(iommufd_migration_read(mover.m, &more, 1, &len), -ENOMSG, "nothing for now");
	ok(iommufd_migration_precopy_info(mover.m, &info));
	ck_assert_uint_eq(info.initial_bytes, 0);
	ck_assert_int_eq(write(socket, head, MTTY_HEAD), (ssize_t)MTTY_HEAD);

	mtty_fill(mover.bed.dev, 0, SEED); /* while it runs */
	mtty_fill(mover.bed.dev, 1, SEED + 1);
	ok(iommufd_migration_set_state(mover.m, PRE_COPY_P2P));
	ok(iommufd_migration_set_state(mover.m, STOP_COPY));
	fails(iommufd_migration_precopy_info(mover.m, &info), -EINVAL, "only in PRE_COPY");
	ck_assert_uint_eq(send_all(&mover, socket), STATE - MTTY_HEAD);
	ok(iommufd_migration_set_state(mover.m, STOP));
	end_receiver(pid, socket);
	end_mover(&mover);
	mtty_remove(MTTY_B);
}
END_TEST

START_TEST(a_device_can_be_given_an_earlier_state_of_its_own)
{
	unsigned char state[STATE + 1];
	struct mover mover;

	new_mover(&mover, 2);
	take_state(&mover, state);
	mtty_fill(mover.bed.dev, 0, 0x11);
	mtty_fill(mover.bed.dev, 1, 0x22);
	ok(iommufd_migration_set_state(mover.m, RESUMING));
	write_all(&mover, state, STATE);
	ok(iommufd_migration_set_state(mover.m, STOP));
	ok(iommufd_migration_set_state(mover.m, RUNNING));
	mtty_check(mover.bed.dev, 0, SEED);
	mtty_check(mover.bed.dev, 1, SEED + 1);
	end_mover(&mover);
}
END_TEST

/* ---- States ---- */

static uint32_t resumed_from(uint32_t to)
{
	return to == RESUMING ? RESUMING : 99;
}

/* What the library refuses and what the kernel refuses, from everywhere to everywhere. */
START_TEST(every_way_from_state_to_state_ends_where_it_should)
{
	struct mover mover;

	new_mover(&mover, 2);
	for (uint32_t from = STOP; from <= PRE_COPY_P2P; from++)
		for (uint32_t to = STOP; to <= PRE_COPY_P2P; to++) {
			bool back = from == STOP_COPY && (to == PRE_COPY || to == PRE_COPY_P2P);

			ok(iommufd_migration_set_state(mover.m, from));
			if (back)
				fails(iommufd_migration_set_state(mover.m, to), -EINVAL, "let it run before");
			else if (from == RESUMING && to != resumed_from(to))
				fails(iommufd_migration_set_state(mover.m, to), -EINVAL, "it is now in RESUMING");
			else
				ok(iommufd_migration_set_state(mover.m, to));
			is_in(&mover, back || from == RESUMING ? from : to);
			ok(iommufd_migration_abort(mover.m));
			is_in(&mover, RUNNING);
		}
	fails(iommufd_migration_set_state(mover.m, IOMMUFD_MIGRATION_ERROR), -EINVAL, "only a failure");
	fails(iommufd_migration_set_state(mover.m, 8), -EINVAL, "IOMMUFD_MIGRATION constants");
	end_mover(&mover);
}
END_TEST

START_TEST(calls_in_the_wrong_state_say_which_it_is)
{
	struct iommufd_precopy_info info = { .struct_size = sizeof(info) };
	unsigned char byte = 0;
	struct mover mover;
	size_t len = 7;

	new_mover(&mover, 1);
	for (uint32_t state = 0; state <= PRE_COPY_P2P; state++)
		ck_assert_int_eq(ok(iommufd_migration_has(mover.m, state)), 1);
	fails(iommufd_migration_fd(mover.m), -EINVAL, "in RUNNING");
	fails(iommufd_migration_read(mover.m, &byte, 1, &len), -EINVAL, "in RUNNING");
	fails(iommufd_migration_write(mover.m, &byte, 1, &len), -EINVAL, "in RUNNING");
	fails(iommufd_migration_precopy_info(mover.m, &info), -EINVAL, "in RUNNING");
	ok(iommufd_migration_set_state(mover.m, STOP_COPY));
	fails(iommufd_migration_write(mover.m, &byte, 1, &len), -EINVAL, "in STOP_COPY");
	ok(iommufd_migration_set_state(mover.m, RESUMING));
	fails(iommufd_migration_read(mover.m, &byte, 1, &len), -EINVAL, "in RESUMING");
	ck_assert_uint_eq(len, 7);
	ok(iommufd_migration_abort(mover.m));
	end_mover(&mover);
}
END_TEST

/* ---- Streams that are none ---- */

/* It can be used, and its state can be moved. */
static void is_usable(struct mover *mover, const unsigned char *state)
{
	ok(iommufd_migration_abort(mover->m));
	is_in(mover, RUNNING);
	mtty_fill(mover->bed.dev, 0, 0x33);
	mtty_check(mover->bed.dev, 0, 0x33);
	ok(iommufd_migration_set_state(mover->m, RESUMING));
	write_all(mover, state, STATE);
	ok(iommufd_migration_set_state(mover->m, RUNNING));
	mtty_check(mover->bed.dev, 0, SEED);
	mtty_check(mover->bed.dev, 1, SEED + 1);
}

START_TEST(a_stream_that_is_cut_off_can_be_completed_or_given_up)
{
	static const size_t cuts[] = { 0, 1, MTTY_HEAD - 1, MTTY_HEAD, STATE - 1 };
	unsigned char state[STATE + 1];
	struct mover mover;

	new_mover(&mover, 2);
	take_state(&mover, state);
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		ok(iommufd_migration_set_state(mover.m, RESUMING));
		write_all(&mover, state, cuts[i]);
		fails(iommufd_migration_set_state(mover.m, RUNNING), -EINVAL, "write the rest");
		is_in(&mover, RESUMING);
		if (i % 2)
			write_all(&mover, state + cuts[i], STATE - cuts[i]);
		if (i % 2)
			ok(iommufd_migration_set_state(mover.m, RUNNING));
		is_usable(&mover, state);
	}
	end_mover(&mover);
}
END_TEST

/* The mtty would take it all the same, when it is told to run after it has refused this. */
START_TEST(a_stream_of_something_else_is_refused_for_good)
{
	unsigned char state[STATE + 1];
	struct mover mover;
	size_t len = 7;

	new_mover(&mover, 2);
	take_state(&mover, state);
	for (size_t i = 0; i < MTTY_HEAD; i += 4) { /* magic, versions, ports, flags */
		ok(iommufd_migration_set_state(mover.m, RESUMING));
		state[i] ^= 0x40;
		fails(iommufd_migration_write(mover.m, state, MTTY_HEAD, &len), -EFAULT, "does not take it");
		state[i] ^= 0x40;
		fails(iommufd_migration_write(mover.m, state + MTTY_HEAD, STATE - MTTY_HEAD, &len), -EBUSY,
		      "iommufd_migration_abort()");
		fails(iommufd_migration_set_state(mover.m, RUNNING), -EBUSY, "it refused what was written");
		is_in(&mover, RESUMING);
		is_usable(&mover, state);
	}
	ck_assert_uint_eq(len, 7);
	end_mover(&mover);
}
END_TEST

START_TEST(a_stream_that_is_too_long_is_refused)
{
	unsigned char state[STATE + 1] = { 0 };
	struct mover mover;
	size_t len = 7;

	new_mover(&mover, 2);
	take_state(&mover, state);
	ok(iommufd_migration_set_state(mover.m, RESUMING));
	write_all(&mover, state, STATE);
	fails(iommufd_migration_write(mover.m, state, 1, &len), -ENOMEM, "does not take it");
	fails(iommufd_migration_set_state(mover.m, RUNNING), -EBUSY, "it refused what was written");
	is_usable(&mover, state);
	ok(iommufd_migration_set_state(mover.m, RESUMING));
	fails(iommufd_migration_write(mover.m, state, STATE + 1, &len), -ENOMEM, "does not take it");
	ck_assert_uint_eq(len, 7);
	is_usable(&mover, state);
	end_mover(&mover);
}
END_TEST

START_TEST(a_card_of_one_port_does_not_take_the_state_of_one_with_two)
{
	unsigned char state[STATE + 1];
	struct mover one, two;
	size_t len;

	new_mover(&two, 2);
	take_state(&two, state);
	end_mover(&two);
	new_mover(&one, 1);
	mtty_fill(one.bed.dev, 0, 0x2a);
	ok(iommufd_migration_set_state(one.m, RESUMING));
	fails(iommufd_migration_write(one.m, state, MTTY_HEAD, &len), -EFAULT, "does not take it");
	ok(iommufd_migration_abort(one.m));
	mtty_check(one.bed.dev, 0, 0x2a);
	end_mover(&one);
}
END_TEST

/* ---- Lives ---- */

START_TEST(a_handle_goes_with_its_attach)
{
	struct mover mover;
	uint32_t state = 99;
	size_t len = 7;

	new_mover(&mover, 1);
	ok(iommufd_migration_set_state(mover.m, PRE_COPY));
	ok(iommufd_device_detach(mover.bed.dev));
	fails(iommufd_migration_get_state(mover.m, &state), -ENOTCONN, "attach it");
	ok(iommufd_device_attach(mover.bed.dev, mover.bed.ioas));
	fails(iommufd_migration_get_state(mover.m, &state), -ENOTCONN, "make a new one");
	fails(iommufd_migration_read(mover.m, &state, 1, &len), -ENOTCONN, "make a new one");
	fails(iommufd_migration_abort(mover.m), -ENOTCONN, "make a new one");
	iommufd_migration_free(mover.m);
	ok(iommufd_migration_new(mover.bed.dev, 0, &mover.m));
	ok(iommufd_migration_abort(mover.m));
	is_in(&mover, RUNNING);
	ck_assert_uint_eq(state, 99);
	end_mover(&mover);
}
END_TEST

START_TEST(handles_are_freed_in_any_order)
{
	static const uint32_t states[] = { RUNNING, PRE_COPY, STOP_COPY, RESUMING };
	int fds = open_fds();
	struct mover mover;

	mtty_create(MTTY_A, 1);
	for (int order = 0; order < 8; order++) {
		open_mover(&mover, MTTY_A);
		ok(iommufd_migration_abort(mover.m));
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

	new_mover(&mover, 1);
	ok(iommufd_migration_set_state(mover.m, PRE_COPY_P2P));
	iommufd_migration_free(mover.m);
	ok(iommufd_migration_new(mover.bed.dev, 0, &mover.m));
	is_in(&mover, RUNNING_P2P);
	ok(iommufd_migration_set_state(mover.m, STOP_COPY));
	iommufd_migration_free(mover.m);
	ok(iommufd_migration_new(mover.bed.dev, 0, &mover.m));
	is_in(&mover, STOP);
	ok(iommufd_migration_set_state(mover.m, RESUMING));
	close_mover(&mover);

	/*
	 * The mtty stays there even when nobody has it open. To leave it without what was written would harm the
	 * kernel.
	 */
	open_mover(&mover, MTTY_A);
	is_in(&mover, RESUMING);
	for (uint32_t state = STOP; state <= PRE_COPY_P2P; state++)
		if (state != RESUMING)
			fails(iommufd_migration_set_state(mover.m, state), -EBUSY, "another handle");
	ok(iommufd_migration_abort(mover.m));
	is_in(&mover, RUNNING);
	end_mover(&mover);
}
END_TEST

START_TEST(what_another_handle_ends_is_over)
{
	struct iommufd_migration *other;
	struct mover mover;
	unsigned char byte;
	size_t len = 7;

	new_mover(&mover, 1);
	ok(iommufd_migration_set_state(mover.m, STOP_COPY));
	ok(iommufd_migration_new(mover.bed.dev, 0, &other));
	ok(iommufd_migration_abort(other));
	fails(iommufd_migration_read(mover.m, &byte, 1, &len), -ENODEV, "the device was reset");
	is_in(&mover, RUNNING);
	fails(iommufd_migration_fd(mover.m), -EINVAL, "begins one");
	ck_assert_uint_eq(len, 7);
	iommufd_migration_free(other);
	end_mover(&mover);
}
END_TEST

START_TEST(a_child_process_can_only_free)
{
	struct mover mover;
	uint32_t state = 99;
	int status;
	pid_t pid;

	new_mover(&mover, 1);
	ok(iommufd_migration_set_state(mover.m, STOP_COPY));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		fails(iommufd_migration_get_state(mover.m, &state), -EPERM, "before fork()");
		fails(iommufd_migration_set_state(mover.m, RUNNING), -EPERM, "before fork()");
		fails(iommufd_migration_abort(mover.m), -EPERM, "before fork()");
		close_mover(&mover);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	is_in(&mover, STOP_COPY);
	ck_assert_int_ge(ok(iommufd_migration_fd(mover.m)), 0);
	end_mover(&mover);
}
END_TEST

START_TEST(without_a_descriptor_for_its_stream_a_device_stays_where_it_was)
{
	struct rlimit limit, none;
	struct mover mover;
	unsigned char state[STATE + 1];

	new_mover(&mover, 2);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	fails(iommufd_migration_set_state(mover.m, STOP_COPY), -EMFILE, "it is now in RUNNING; raise the limit");
	fails(iommufd_migration_set_state(mover.m, PRE_COPY), -EMFILE, "it is now in RUNNING; raise the limit");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	is_in(&mover, RUNNING);
	take_state(&mover, state);
	is_usable(&mover, state);
	end_mover(&mover);
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

void add_migration_tests(TCase *tc)
{
	tcase_add_test(tc, a_stopped_device_moves_to_another_process);
	tcase_add_test(tc, a_running_device_moves_after_what_could_be_read_before);
	tcase_add_test(tc, a_device_can_be_given_an_earlier_state_of_its_own);
	tcase_add_test(tc, every_way_from_state_to_state_ends_where_it_should);
	tcase_add_test(tc, calls_in_the_wrong_state_say_which_it_is);
	tcase_add_test(tc, a_stream_that_is_cut_off_can_be_completed_or_given_up);
	tcase_add_test(tc, a_stream_of_something_else_is_refused_for_good);
	tcase_add_test(tc, a_stream_that_is_too_long_is_refused);
	tcase_add_test(tc, a_card_of_one_port_does_not_take_the_state_of_one_with_two);
	tcase_add_test(tc, a_handle_goes_with_its_attach);
	tcase_add_test(tc, handles_are_freed_in_any_order);
	tcase_add_test(tc, a_device_that_was_read_goes_on_and_one_that_was_written_waits_for_a_reset);
	tcase_add_test(tc, what_another_handle_ends_is_over);
	tcase_add_test(tc, a_child_process_can_only_free);
	tcase_add_test(tc, without_a_descriptor_for_its_stream_a_device_stays_where_it_was);
	tcase_add_test(tc, a_stream_can_be_polled_and_does_not_wait);
	tcase_add_test(tc, a_device_whose_driver_cannot_is_not_moved);
}
