/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A part of sys: what may take for ever, and is done by a process apart. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sys.h"

/* One read or write of a file, and where a process of its own says what came of it. */
struct apart {
	int fd, told, heard; /* the file, and the ends of a pipe: to write to, to read from */
	const char *text;    /* to be written, or NULL to read */
	size_t len;          /* of it */
	unsigned int ms, descriptors;
};

struct answer {
	ssize_t ret; /* as read() and write() give it, or -errno */
	char text[IFD_SYS_TEXT_MAX];
};

/* More descriptors than this nobody has. */
#define DESCRIPTORS_MAX (1u << 20)

/*
 * All arguments are 0, so their order, which is not the same everywhere, does not matter: no signal tells of its end.
 */
static long fork_unheard(void)
{
	return syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L);
}

/*
 * From here to watch(): in the processes apart. Nothing but system calls: what else the process has, locks above all,
 * is a copy of somebody's half-done work.
 */
static _Noreturn void tell_and_exit(const struct apart *apart, const struct answer *answer)
{
	syscall(SYS_write, apart->told, answer, sizeof(*answer));
	_exit(0);
}

/* Before Linux 5.9 there is no such call, and who filters calls need not know it. */
static void close_from_to(const struct apart *apart, unsigned int first, unsigned int last)
{
	if (first > last || !syscall(SYS_close_range, first, last, 0U))
		return;
	for (; first <= last && first < apart->descriptors; first++)
		syscall(SYS_close, first);
}

/* What is left open here would stay open for as long as the write takes. */
static void close_others(const struct apart *apart)
{
	int keep[] = { apart->fd, apart->told, apart->heard }, swap;
	unsigned int next = 0;

	for (size_t i = 0; i < 3; i++) {
		for (size_t j = i + 1; j < 3; j++)
			if (keep[j] < keep[i])
				swap = keep[i], keep[i] = keep[j], keep[j] = swap;
		if (keep[i] > 0)
			close_from_to(apart, next, (unsigned int)keep[i] - 1);
		next = (unsigned int)keep[i] + 1;
	}
	close_from_to(apart, next, ~0U);
}

static _Noreturn void act(const struct apart *apart)
{
	struct answer answer = { .ret = 0 };

	answer.ret = apart->text ? syscall(SYS_write, apart->fd, apart->text, apart->len)
				 : syscall(SYS_read, apart->fd, answer.text, sizeof(answer.text));
	if (answer.ret < 0)
		answer.ret = -errno;
	tell_and_exit(apart, &answer);
}

static long wait_for_answer(const struct apart *apart)
{
	struct pollfd heard = { .fd = apart->heard, .events = POLLIN };
#ifdef SYS_poll
	return syscall(SYS_poll, &heard, 1, (int)apart->ms);
#else
	struct timespec time = { .tv_sec = apart->ms / 1000, .tv_nsec = (long)(apart->ms % 1000) * 1000000 };

	return syscall(SYS_ppoll, &heard, 1, &time, NULL, 0);
#endif
}

/* The caller's child: its own does the work, and becomes somebody else's when it takes too long. */
static _Noreturn void watch(const struct apart *apart)
{
	struct answer answer = { .ret = 0 };
	long child;

	close_others(apart);
	child = fork_unheard();
	if (!child)
		act(apart);
	if (child < 0) {
		answer.ret = -errno;
		tell_and_exit(apart, &answer);
	}
	syscall(SYS_close, apart->told); /* so that the child's death is noticed */
	if (wait_for_answer(apart) > 0)
		syscall(SYS_wait4, child, NULL, __WALL, NULL);
	_exit(0);
}

/* They hear no signal, since the handlers are the caller's. Refusals of it are told from those of the file. */
static int start_apart(const struct apart *apart)
{
	sigset_t all, before;
	long child;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	child = fork_unheard();
	if (!child)
		watch(apart);
	err = child < 0 ? -errno : 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return err == -ENOMEM ? err : -EAGAIN;
	while (waitpid((pid_t)child, NULL, __WALL) < 0 && errno == EINTR)
		;
	return 0;
}

static ssize_t do_apart(struct apart *apart, struct answer *answer)
{
	struct rlimit limit;
	int ends[2];
	ssize_t ret;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	apart->heard = ends[0];
	apart->told = ends[1];
	apart->descriptors = getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > DESCRIPTORS_MAX
				     ? DESCRIPTORS_MAX
				     : (unsigned int)limit.rlim_cur;
	ret = start_apart(apart);
	close(ends[1]);
	if (!ret) {
		ret = ifd_sys_read(ends[0], answer, sizeof(*answer));
		ret = ret == sizeof(*answer) ? answer->ret : ret == -EAGAIN ? -ETIMEDOUT : ret < 0 ? ret : -EIO;
	}
	close(ends[0]);
	return ret;
}

int ifd_sys_write_text_within(const char *path, const char *text, unsigned int ms)
{
	struct apart apart = { .fd = ifd_sys_open(path, O_WRONLY), .text = text, .len = strlen(text), .ms = ms };
	struct answer answer;
	ssize_t ret = apart.fd < 0 ? apart.fd : do_apart(&apart, &answer);

	ifd_sys_close(apart.fd);
	return ret < 0 ? (int)ret : 0;
}

ssize_t ifd_sys_read_text_within(const char *path, char *buf, size_t size, unsigned int ms)
{
	struct apart apart = { .fd = ifd_sys_open(path, O_RDONLY), .ms = ms };
	struct answer answer;
	ssize_t ret = apart.fd < 0 ? apart.fd : do_apart(&apart, &answer);

	ifd_sys_close(apart.fd);
	if (ret < 0)
		return ret;
	ret = (size_t)ret < size ? ret : (ssize_t)size - 1;
	memcpy(buf, answer.text, (size_t)ret);
	buf[ret] = '\0';
	return ret;
}
