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
