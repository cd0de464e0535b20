/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <linux/capability.h>
#include <linux/kcmp.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"
#include "trace.h"

/* No kernel is built for more NUMA nodes. */
#define MAX_NODES 1024u
#define LONG_BITS (8 * sizeof(long))

int ifd_sys_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int ifd_sys_dup(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 ? -errno : copy;
}

int ifd_sys_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

void ifd_sys_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* A driver can give a negative number that is no errno. libc hands it on and sets none: errno is of an earlier call. */
int ifd_sys_ioctl_number(const struct ifd_log *log, int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	if (ret < 0)
		ret = ret == -1 ? -errno : -EPROTO;
	if (ifd_log_on(log, IOMMUFD_LOG_DEBUG))
		ifd_trace_ioctl(log, fd, request, arg, ret);
	return ret;
}

int ifd_sys_ioctl(const struct ifd_log *log, int fd, unsigned long request, void *arg)
{
	int ret = ifd_sys_ioctl_number(log, fd, request, arg);

	return ret > 0 ? -EPROTO : ret;
}

int ifd_sys_mmap(int fd, uint64_t offset, size_t len, int prot, int flags, void **out)
{
	void *addr = mmap(flags & MAP_FIXED_NOREPLACE ? *out : NULL, len, prot, flags, fd, (off_t)offset);

	if (addr == MAP_FAILED)
		return -errno;
	*out = addr;
	return 0;
}

int ifd_sys_munmap(void *addr, size_t len)
{
	return munmap(addr, len) ? -errno : 0;
}

int ifd_sys_mprotect(void *addr, size_t len, int prot)
{
	return mprotect(addr, len, prot) ? -errno : 0;
}

/* Sanitizers put a function that does nothing in the place of libc's mlock() and munlock(). */
int ifd_sys_mlock(void *addr, size_t len)
{
	return syscall(SYS_mlock, addr, len) ? -errno : 0;
}

void ifd_sys_munlock(void *addr, size_t len)
{
	syscall(SYS_munlock, addr, len);
}

int ifd_sys_madvise(void *addr, size_t len, int advice)
{
	return madvise(addr, len, advice) ? -errno : 0;
}

/* The kernel takes one bit less than it is told of. */
int ifd_sys_mbind(void *addr, size_t len, unsigned int node)
{
	unsigned long nodes[MAX_NODES / LONG_BITS] = { 0 };

	if (node >= MAX_NODES)
		return -EINVAL;
	nodes[node / LONG_BITS] = 1ul << node % LONG_BITS;
	return syscall(SYS_mbind, addr, len, MPOL_BIND, nodes, MAX_NODES + 1ul, MPOL_MF_STRICT) ? -errno : 0;
}

ssize_t ifd_sys_pread(int fd, void *buf, size_t len, uint64_t offset)
{
	ssize_t n;

	do
		n = pread(fd, buf, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t ifd_sys_pwrite(int fd, const void *buf, size_t len, uint64_t offset)
{
	ssize_t n;

	do
		n = pwrite(fd, buf, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t ifd_sys_read(int fd, void *buf, size_t len)
{
	ssize_t n;

	do
		n = read(fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t ifd_sys_write(int fd, const void *buf, size_t len)
{
	ssize_t n;

	do
		n = write(fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int ifd_sys_stat(const char *path, struct stat *st)
{
	return stat(path, st) ? -errno : 0;
}

int ifd_sys_fstat(int fd, struct stat *st)
{
	return fstat(fd, st) ? -errno : 0;
}

int ifd_sys_fstatfs(int fd, struct statfs *fs)
{
	return fstatfs(fd, fs) ? -errno : 0;
}

int ifd_sys_fcntl(int fd, int command)
{
	int ret = fcntl(fd, command);

	return ret < 0 ? -errno : ret;
}

int ifd_sys_set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

ssize_t ifd_sys_read_text(const char *path, char *buf, size_t size)
{
	int fd = ifd_sys_open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = ifd_sys_pread(fd, buf, size - 1, 0);
	ifd_sys_close(fd);
	if (n >= 0)
		buf[n] = '\0';
	return n;
}

/* ---- What may take for ever ---- */

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
	ifd_sys_close(ends[1]);
	if (!ret) {
		ret = ifd_sys_read(ends[0], answer, sizeof(*answer));
		ret = ret == sizeof(*answer) ? answer->ret : ret == -EAGAIN ? -ETIMEDOUT : ret < 0 ? ret : -EIO;
	}
	ifd_sys_close(ends[0]);
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

int ifd_sys_each_line(const char *path, ifd_sys_text_fn fn, void *data)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	if (!file)
		return -errno;
	do {
		len = getline(&line, &room, file);
		if (len > 0 && line[len - 1] == '\n')
			line[len - 1] = '\0';
	} while (len > 0 && fn(data, line));
	free(line);
	fclose(file);
	return 0;
}

int ifd_sys_each_name(const char *path, ifd_sys_text_fn fn, void *data)
{
	DIR *dir = opendir(path); /* which sets O_CLOEXEC */
	struct dirent *entry;

	if (!dir)
		return -errno;
	do
		entry = readdir(dir);
	while (entry && fn(data, entry->d_name));
	closedir(dir);
	return 0;
}

int ifd_sys_access(const char *path)
{
	return faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) ? -errno : 0;
}

ssize_t ifd_sys_readlink(const char *path, char *buf, size_t size)
{
	ssize_t n = readlink(path, buf, size - 1);

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return n;
}

bool ifd_sys_same_file(int pid, int fd, int mine)
{
	if (pid == getpid() && fd == mine)
		return true;
	return syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, mine, fd) == 0;
}

bool ifd_sys_capable(int capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[capability / 32].effective >> capability % 32 & 1;
}

uint64_t ifd_sys_memlock_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur;
}

uint64_t ifd_sys_page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

unsigned int ifd_sys_cpus(void)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN); /* for machines of more than a set can have */
	cpu_set_t set;

	if (!sched_getaffinity(0, sizeof(set), &set))
		return (unsigned int)CPU_COUNT(&set);
	return online > 0 ? (unsigned int)online : 1;
}

/* It hears no signal, since the handlers are the caller's. */
int ifd_sys_thread(pthread_t *thread, void *(*fn)(void *data), void *data)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(thread, NULL, fn, data);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

int ifd_sys_wait_readable(int fd, unsigned int ms)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };
	int n = poll(&one, 1, (int)ms);

	return n < 0 ? -errno : n;
}

void ifd_sys_sleep_ms(unsigned int ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

uint64_t ifd_sys_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
