/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <linux/capability.h>
#include <linux/kcmp.h>
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

int ifd_sys_write_text(const char *path, const char *text)
{
	int fd = ifd_sys_open(path, O_WRONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = ifd_sys_write(fd, text, strlen(text));
	ifd_sys_close(fd);
	return n < 0 ? (int)n : 0;
}

/*
 * All arguments are 0, so their order, which is not the same everywhere, does not matter: no signal tells of its end.
 */
static long fork_unheard(void)
{
	return syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L);
}

/* Nothing but system calls: what else the process has, locks above all, is a copy of somebody's half-done work. */
static _Noreturn void tell_and_exit(int done, int err)
{
	uint64_t told = 1 + (uint64_t)err;

	syscall(SYS_write, done, &told, sizeof(told));
	syscall(SYS_exit_group, 0);
	__builtin_unreachable();
}

/* In the process that is perhaps left behind. What it has open beside the two would stay open with it. */
static _Noreturn void write_apart(int fd, int done, const char *text, size_t len)
{
	unsigned int low = (unsigned int)(fd < done ? fd : done), high = (unsigned int)(fd < done ? done : fd);

	if (low)
		syscall(SYS_close_range, 0U, low - 1, 0U);
	if (low + 1 < high)
		syscall(SYS_close_range, low + 1, high - 1, 0U);
	syscall(SYS_close_range, high + 1, ~0U, 0U);
	tell_and_exit(done, syscall(SYS_write, fd, text, len) < 0 ? errno : 0);
}

/* A child's child, so that nobody has to wait for its end. It hears no signal, since the handlers are the caller's. */
static int start_apart(int fd, int done, const char *text)
{
	size_t len = strlen(text);
	sigset_t all, before;
	long child, second;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	child = fork_unheard();
	if (!child) {
		second = fork_unheard();
		if (!second)
			write_apart(fd, done, text, len);
		if (second < 0)
			tell_and_exit(done, errno);
		syscall(SYS_exit_group, 0);
	}
	err = child < 0 ? -errno : 0;
	if (!err)
		waitpid((pid_t)child, NULL, __WALL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

int ifd_sys_write_text_within(const char *path, const char *text, unsigned int ms)
{
	int fd = ifd_sys_open(path, O_WRONLY), done, ret;
	uint64_t told, now = ifd_sys_now_ms(), end = now + ms;

	if (fd < 0)
		return fd;
	done = eventfd(0, EFD_CLOEXEC);
	ret = done < 0 ? -errno : start_apart(fd, done, text);
	if (!ret) {
		do
			ret = ifd_sys_wait_readable(done, (unsigned int)(end - now));
		while (ret == -EINTR && (now = ifd_sys_now_ms()) < end);
		ret = ret < 0 && ret != -EINTR ? ret : ret > 0 ? 0 : -ETIMEDOUT;
	}
	if (!ret)
		ret = ifd_sys_read(done, &told, sizeof(told)) == sizeof(told) ? -(int)(told - 1) : -EIO;
	ifd_sys_close(done);
	ifd_sys_close(fd);
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
