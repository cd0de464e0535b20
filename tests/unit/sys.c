/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What becomes of the results of system calls. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys.h"
#include "unit.h"

static int result, its_errno;

int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	(void)fd;
	(void)request;
	(void)arg;
	errno = its_errno;
	return result;
}

static void gives(int ret, int err)
{
	result = ret;
	its_errno = err;
}

START_TEST(an_ioctl_gives_0_or_an_errno)
{
	gives(0, EIO);
	ck_assert_int_eq(ifd_sys_ioctl(NULL, -1, 0, NULL), 0);
	gives(-1, EIO);
	ck_assert_int_eq(ifd_sys_ioctl(NULL, -1, 0, NULL), -EIO);
	ck_assert_int_eq(ifd_sys_ioctl_number(NULL, -1, 0, NULL), -EIO);
}
END_TEST

START_TEST(a_number_is_one_only_where_it_was_asked_for)
{
	gives(3, 0);
	ck_assert_int_eq(ifd_sys_ioctl_number(NULL, -1, 0, NULL), 3);
	ck_assert_int_eq(ifd_sys_ioctl(NULL, -1, 0, NULL), -EPROTO);
}
END_TEST

START_TEST(a_negative_result_that_is_no_errno_is_a_breach_of_protocol)
{
	static const int results[] = { -2, -5000, INT_MIN };

	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		gives(results[i], i ? 0 : EIO);
		ck_assert_int_eq(ifd_sys_ioctl(NULL, -1, 0, NULL), -EPROTO);
		ck_assert_int_eq(ifd_sys_ioctl_number(NULL, -1, 0, NULL), -EPROTO);
	}
}
END_TEST

/* ---- Writing apart ---- */

START_TEST(what_is_written_apart_is_written_and_its_failures_are_told)
{
	char path[] = "/tmp/unit-sys-XXXXXX", text[16] = "";
	int fd = mkstemp(path);

	ck_assert_int_eq(ifd_sys_write_text_within(path, "hello", 10000), 0);
	ck_assert_int_eq(pread(fd, text, sizeof(text), 0), 5);
	ck_assert_str_eq(text, "hello");
	unlink(path);
	ck_assert_int_eq(ifd_sys_write_text_within(path, "hello", 10000), -ENOENT);
	ck_assert_int_eq(ifd_sys_write_text_within("/dev/full", "hello", 10000), -ENOSPC);
	close(fd);
}
END_TEST

START_TEST(what_is_read_apart_is_read_and_its_failures_are_told)
{
	char path[] = "/tmp/unit-sys-XXXXXX", text[512] = "", many[400];
	int fd = mkstemp(path);

	memset(many, 'm', sizeof(many));
	ck_assert_int_eq(write(fd, "vfio-pci\n", 9), 9);
	ck_assert_int_eq(ifd_sys_read_text_within(path, text, sizeof(text), 10000), 9);
	ck_assert_str_eq(text, "vfio-pci\n");
	ck_assert_int_eq(ifd_sys_read_text_within(path, text, 5, 10000), 4);
	ck_assert_str_eq(text, "vfio");
	ck_assert_int_eq(pwrite(fd, many, sizeof(many), 0), sizeof(many));
	ck_assert_int_eq(ifd_sys_read_text_within(path, text, sizeof(text), 10000), IFD_SYS_TEXT_MAX);
	ck_assert_uint_eq(strlen(text), IFD_SYS_TEXT_MAX);
	unlink(path);
	ck_assert_int_eq(ifd_sys_read_text_within(path, text, sizeof(text), 10000), -ENOENT);
	ck_assert_int_eq(ifd_sys_read_text_within("/tmp", text, sizeof(text), 10000), -EISDIR);
	close(fd);
}
END_TEST

/* A process whose descendants become its own, as those of the first process of a container do. */
START_TEST(nobody_gets_a_child_by_what_is_done_apart)
{
	char text[16];

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(ifd_sys_write_text_within("/dev/null", "hello", 10000), 0);
		ck_assert_int_eq(ifd_sys_read_text_within("/dev/null", text, sizeof(text), 10000), 0);
	}
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	ck_assert_int_eq(errno, ECHILD);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}
END_TEST

/* As an ordinary user, since root may have any number of processes. */
START_TEST(where_no_process_can_be_made_it_is_told)
{
	struct rlimit none = { 0, 0 };
	pid_t child = fork();
	int status;

	if (!child) {
		if ((!getuid() && setresuid(65534, 65534, 65534)) || setrlimit(RLIMIT_NPROC, &none))
			_exit(1);
		_exit(ifd_sys_write_text_within("/dev/null", "hello", 10000) == -EAGAIN ? 0 : 2);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

static void ignore(int signal)
{
	(void)signal;
}

/* A pipe that is full keeps who writes there, until somebody reads. */
static void write_for_ever(void)
{
	char path[] = "/tmp/unit-sys-XXXXXX/pipe", page[4096] = "";
	int pipe, held[2], high;
	ssize_t n, total = 0;

	path[strlen(path) - 5] = '\0';
	ck_assert_ptr_nonnull(mkdtemp(path));
	path[strlen(path)] = '/';
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	pipe = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	while ((n = write(pipe, page, sizeof(page))) > 0)
		total += n;
	ck_assert_int_eq(pipe2(held, O_NONBLOCK), 0);
	high = fcntl(held[1], F_DUPFD, 100); /* one below, and one above of what the writer needs */
	signal(SIGCHLD, ignore);
	ck_assert_int_eq(ifd_sys_write_text_within(path, "hello", 50), -ETIMEDOUT);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	ck_assert_int_eq(errno, ECHILD);
	close(held[1]);
	close(high);
	while ((n = read(held[0], page, 1)) < 0) /* what is left behind may still be closing it */
		ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(n, 0);
	/* It is still at it, and ends as soon as it can. */
	for (total += 5; total > 0; total -= n > 0 ? n : 0)
		n = read(pipe, page, total < (ssize_t)sizeof(page) ? (size_t)total : sizeof(page));
	ck_assert_mem_eq(page + n - 5, "hello", 5);
	close(pipe);
	unlink(path);
	path[strlen(path) - 5] = '\0';
	rmdir(path);
}

START_TEST(who_writes_apart_for_ever_keeps_nothing_and_is_nobodys_child)
{
	write_for_ever();
}
END_TEST

/* As before Linux 5.9, or where somebody filters calls. */
START_TEST(nothing_is_kept_where_descriptors_are_closed_one_by_one)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
	ck_assert_int_eq(syscall(SYS_close_range, ~0U, ~0U, 0U), -1);
	write_for_ever();
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, what_is_written_apart_is_written_and_its_failures_are_told);
	tcase_add_test(tcase, what_is_read_apart_is_read_and_its_failures_are_told);
	tcase_add_test(tcase, nobody_gets_a_child_by_what_is_done_apart);
	tcase_add_test(tcase, where_no_process_can_be_made_it_is_told);
	tcase_add_test(tcase, who_writes_apart_for_ever_keeps_nothing_and_is_nobodys_child);
	tcase_add_test(tcase, nothing_is_kept_where_descriptors_are_closed_one_by_one);
	tcase_add_test(tcase, an_ioctl_gives_0_or_an_errno);
	tcase_add_test(tcase, a_number_is_one_only_where_it_was_asked_for);
	tcase_add_test(tcase, a_negative_result_that_is_no_errno_is_a_breach_of_protocol);
}
