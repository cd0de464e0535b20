/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The state of an mtty, a sample of the kernel's: from one process to another, and streams that are none. */
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mover.h"

/* ---- From one process to another ---- */

/* What the other process does: takes the state out of the socket, and looks whether the card has it. */
static void receive(int socket)
{
	struct mover mover;
	unsigned char buf[7];
	ssize_t n;

	mover_open(&mover, MTTY_B);
	ok(iommufd_migration_set_state(mover.m, RESUMING));
	while ((n = read(socket, buf, sizeof(buf))) > 0)
		mover_write(&mover, buf, (size_t)n);
	ck_assert_int_eq(n, 0);
	ok(iommufd_migration_set_state(mover.m, RUNNING));
	mover_is_in(&mover, RUNNING);
	mtty_check(mover.bed.dev, 0, MOVER_SEED);
	mtty_check(mover.bed.dev, 1, MOVER_SEED + 1);
	mover_close(&mover);
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
	mover_new(&mover, 2);
	mtty_fill(mover.bed.dev, 0, MOVER_SEED);
	mtty_fill(mover.bed.dev, 1, MOVER_SEED + 1);
	ok(iommufd_migration_set_state(mover.m, STOP_COPY));
	ok(iommufd_migration_data_size(mover.m, &estimate));
	ck_assert_uint_eq(estimate, MOVER_STATE);
	ck_assert_uint_eq(send_all(&mover, socket), MOVER_STATE);
	ok(iommufd_migration_set_state(mover.m, STOP));
	end_receiver(pid, socket);
	mover_end(&mover);
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
	mover_new(&mover, 2);
	ok(iommufd_migration_set_state(mover.m, PRE_COPY));
	ok(iommufd_migration_precopy_info(mover.m, &info));
	ck_assert(info.initial_bytes == MTTY_HEAD && !info.dirty_bytes && !info.flags && info.state == PRE_COPY);
	for (size_t done = 0; done < MTTY_HEAD; done += len)
		ok(iommufd_migration_read(mover.m, head + done, MTTY_HEAD - done, &len));
	fails(iommufd_migration_read(mover.m, &more, 1, &len), -ENOMSG, "nothing for now");
	ok(iommufd_migration_precopy_info(mover.m, &info));
	ck_assert_uint_eq(info.initial_bytes, 0);
	ck_assert_int_eq(write(socket, head, MTTY_HEAD), (ssize_t)MTTY_HEAD);

	mtty_fill(mover.bed.dev, 0, MOVER_SEED); /* while it runs */
	mtty_fill(mover.bed.dev, 1, MOVER_SEED + 1);
	ok(iommufd_migration_set_state(mover.m, PRE_COPY_P2P));
	ok(iommufd_migration_set_state(mover.m, STOP_COPY));
	fails(iommufd_migration_precopy_info(mover.m, &info), -EINVAL, "only in PRE_COPY");
	ck_assert_uint_eq(send_all(&mover, socket), MOVER_STATE - MTTY_HEAD);
	ok(iommufd_migration_set_state(mover.m, STOP));
	end_receiver(pid, socket);
	mover_end(&mover);
	mtty_remove(MTTY_B);
}
END_TEST

START_TEST(a_device_can_be_given_an_earlier_state_of_its_own)
{
	unsigned char state[MOVER_STATE + 1];
	struct mover mover;

	mover_new(&mover, 2);
	mover_take(&mover, state);
	mtty_fill(mover.bed.dev, 0, 0x11);
	mtty_fill(mover.bed.dev, 1, 0x22);
	ok(iommufd_migration_set_state(mover.m, RESUMING));
	mover_write(&mover, state, MOVER_STATE);
	ok(iommufd_migration_set_state(mover.m, STOP));
	ok(iommufd_migration_set_state(mover.m, RUNNING));
	mtty_check(mover.bed.dev, 0, MOVER_SEED);
	mtty_check(mover.bed.dev, 1, MOVER_SEED + 1);
	mover_end(&mover);
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

	mover_new(&mover, 2);
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
			mover_is_in(&mover, back || from == RESUMING ? from : to);
			ok(iommufd_migration_abort(mover.m));
			mover_is_in(&mover, RUNNING);
		}
	fails(iommufd_migration_set_state(mover.m, IOMMUFD_MIGRATION_ERROR), -EINVAL, "only a failure");
	fails(iommufd_migration_set_state(mover.m, 8), -EINVAL, "IOMMUFD_MIGRATION constants");
	mover_end(&mover);
}
END_TEST

START_TEST(calls_in_the_wrong_state_say_which_it_is)
{
	struct iommufd_precopy_info info = { .struct_size = sizeof(info) };
	unsigned char byte = 0;
	struct mover mover;
	size_t len = 7;

	mover_new(&mover, 1);
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
	mover_end(&mover);
}
END_TEST

/* ---- Streams that are none ---- */

START_TEST(a_stream_that_is_cut_off_can_be_completed_or_given_up)
{
	static const size_t cuts[] = { 0, 1, MTTY_HEAD - 1, MTTY_HEAD, MOVER_STATE - 1 };
	unsigned char state[MOVER_STATE + 1];
	struct mover mover;

	mover_new(&mover, 2);
	mover_take(&mover, state);
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		ok(iommufd_migration_set_state(mover.m, RESUMING));
		mover_write(&mover, state, cuts[i]);
		fails(iommufd_migration_set_state(mover.m, RUNNING), -EINVAL, "write the rest");
		mover_is_in(&mover, RESUMING);
		if (i % 2)
			mover_write(&mover, state + cuts[i], MOVER_STATE - cuts[i]);
		if (i % 2)
			ok(iommufd_migration_set_state(mover.m, RUNNING));
		mover_is_usable(&mover, state);
	}
	mover_end(&mover);
}
END_TEST

/* The mtty would take it all the same, when it is told to run after it has refused this. */
START_TEST(a_stream_of_something_else_is_refused_for_good)
{
	unsigned char state[MOVER_STATE + 1];
	struct mover mover;
	size_t len = 7;

	mover_new(&mover, 2);
	mover_take(&mover, state);
	for (size_t i = 0; i < MTTY_HEAD; i += 4) { /* magic, versions, ports, flags */
		ok(iommufd_migration_set_state(mover.m, RESUMING));
		state[i] ^= 0x40;
		fails(iommufd_migration_write(mover.m, state, MTTY_HEAD, &len), -EFAULT, "does not take it");
		state[i] ^= 0x40;
		fails(iommufd_migration_write(mover.m, state + MTTY_HEAD, MOVER_STATE - MTTY_HEAD, &len), -EBUSY,
		      "iommufd_migration_abort()");
		fails(iommufd_migration_set_state(mover.m, RUNNING), -EBUSY, "it refused what was written");
		mover_is_in(&mover, RESUMING);
		mover_is_usable(&mover, state);
	}
	ck_assert_uint_eq(len, 7);
	mover_end(&mover);
}
END_TEST

START_TEST(a_stream_that_is_too_long_is_refused)
{
	unsigned char state[MOVER_STATE + 1] = { 0 };
	struct mover mover;
	size_t len = 7;

	mover_new(&mover, 2);
	mover_take(&mover, state);
	ok(iommufd_migration_set_state(mover.m, RESUMING));
	mover_write(&mover, state, MOVER_STATE);
	fails(iommufd_migration_write(mover.m, state, 1, &len), -ENOMEM, "does not take it");
	fails(iommufd_migration_set_state(mover.m, RUNNING), -EBUSY, "it refused what was written");
	mover_is_usable(&mover, state);
	ok(iommufd_migration_set_state(mover.m, RESUMING));
	fails(iommufd_migration_write(mover.m, state, MOVER_STATE + 1, &len), -ENOMEM, "does not take it");
	ck_assert_uint_eq(len, 7);
	mover_is_usable(&mover, state);
	mover_end(&mover);
}
END_TEST

START_TEST(a_card_of_one_port_does_not_take_the_state_of_one_with_two)
{
	unsigned char state[MOVER_STATE + 1];
	struct mover one, two;
	size_t len;

	mover_new(&two, 2);
	mover_take(&two, state);
	mover_end(&two);
	mover_new(&one, 1);
	mtty_fill(one.bed.dev, 0, 0x2a);
	ok(iommufd_migration_set_state(one.m, RESUMING));
	fails(iommufd_migration_write(one.m, state, MTTY_HEAD, &len), -EFAULT, "does not take it");
	ok(iommufd_migration_abort(one.m));
	mtty_check(one.bed.dev, 0, 0x2a);
	mover_end(&one);
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
}
