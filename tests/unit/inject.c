/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inject.h"
#include "sys.h"

#define REQUESTS 40
#define FDS      256

struct request {
	unsigned long number;
	inject_answer answer;
	atomic_uint made, order;
	atomic_uint fail_in, fail_count; /* calls until the first failure, 0 for none; and how many failures */
	int err;
};

static struct request requests[REQUESTS];
static size_t num_requests;
static atomic_uint counts[INJECT_CALLS], all_ioctls;
static _Atomic enum inject_call fail_call;
static atomic_uint fail_in;
static atomic_int fail_err;
static atomic_bool fail_on, has_failed;

static const char *nodes, *there, *text_path, *text_said;
static size_t text_len;
static atomic_bool owned[FDS];
static atomic_uint num_fds, slept;
static void (*waiting)(void);
static void (*_Atomic after[INJECT_CALLS])(void);
static unsigned int late;
static inject_reader reader;
static int readable;
static inject_writer writer;
static inject_adviser adviser;
static bool no_proc;

int __real_ifd_sys_open(const char *path, int flags);
int __real_ifd_sys_dup(int fd);
int __real_ifd_sys_eventfd(void);
void __real_ifd_sys_close(int fd);
int __real_ifd_sys_access(const char *path);
int __real_ifd_sys_ioctl_number(const struct ifd_log *log, int fd, unsigned long request, void *arg);
int __real_ifd_sys_madvise(void *addr, size_t len, int advice);
ssize_t __real_ifd_sys_pread(int fd, void *buf, size_t len, uint64_t offset);
ssize_t __real_ifd_sys_pwrite(int fd, const void *buf, size_t len, uint64_t offset);
ssize_t __real_ifd_sys_read(int fd, void *buf, size_t len);
ssize_t __real_ifd_sys_write(int fd, const void *buf, size_t len);
int __real_ifd_sys_stat(const char *path, struct stat *st);
int __real_ifd_sys_fstat(int fd, struct stat *st);
int __real_ifd_sys_write_text_within(const char *path, const char *text, unsigned int ms);
ssize_t __real_ifd_sys_readlink(const char *path, char *buf, size_t size);
ssize_t __real_ifd_sys_read_text(const char *path, char *buf, size_t size);
ssize_t __real_ifd_sys_read_text_within(const char *path, char *buf, size_t size, unsigned int ms);

int __wrap_ifd_sys_open(const char *path, int flags);
int __wrap_ifd_sys_dup(int fd);
int __wrap_ifd_sys_eventfd(void);
void __wrap_ifd_sys_close(int fd);
int __wrap_ifd_sys_ioctl(const struct ifd_log *log, int fd, unsigned long request, void *arg);
int __wrap_ifd_sys_ioctl_number(const struct ifd_log *log, int fd, unsigned long request, void *arg);
int __wrap_ifd_sys_madvise(void *addr, size_t len, int advice);
ssize_t __wrap_ifd_sys_pread(int fd, void *buf, size_t len, uint64_t offset);
ssize_t __wrap_ifd_sys_pwrite(int fd, const void *buf, size_t len, uint64_t offset);
ssize_t __wrap_ifd_sys_read(int fd, void *buf, size_t len);
ssize_t __wrap_ifd_sys_write(int fd, const void *buf, size_t len);
int __wrap_ifd_sys_stat(const char *path, struct stat *st);
int __wrap_ifd_sys_fstat(int fd, struct stat *st);
ssize_t __wrap_ifd_sys_readlink(const char *path, char *buf, size_t size);
ssize_t __wrap_ifd_sys_read_text(const char *path, char *buf, size_t size);
ssize_t __wrap_ifd_sys_read_text_within(const char *path, char *buf, size_t size, unsigned int ms);
int __wrap_ifd_sys_write_text_within(const char *path, const char *text, unsigned int ms);
int __wrap_ifd_sys_access(const char *path);
int __wrap_ifd_sys_wait_readable(int fd, unsigned int ms);
void __wrap_ifd_sys_sleep_ms(unsigned int ms);
uint64_t __wrap_ifd_sys_now_ms(void);

/* ---- What tests say and ask ---- */

void inject_fail(enum inject_call call, unsigned int nth, int err)
{
	fail_call = call;
	fail_in = nth;
	fail_err = err;
	fail_on = false;
	has_failed = false;
}

void inject_fail_all(enum inject_call call, int err)
{
	inject_fail(call, 1, err);
	fail_on = true;
}

bool inject_failed(void)
{
	return has_failed;
}

unsigned int inject_count(enum inject_call call)
{
	return counts[call];
}

static struct request *find(unsigned long number)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	size_t i = 0;

	pthread_mutex_lock(&lock);
	while (i < num_requests && requests[i].number != number)
		i++;
	ck_assert_uint_lt(i, REQUESTS);
	if (i == num_requests)
		requests[num_requests++].number = number;
	pthread_mutex_unlock(&lock);
	return &requests[i];
}

void inject_ioctl(unsigned long number, inject_answer answer)
{
	find(number)->answer = answer;
}

void inject_queue(inject_reader new_reader, inject_writer new_writer)
{
	reader = new_reader;
	writer = new_writer;
}

void inject_advice(inject_adviser new_adviser)
{
	adviser = new_adviser;
}

void inject_readable(int answer)
{
	readable = answer;
}

int inject_succeed(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	return 0;
}

void inject_ioctl_fail(unsigned long number, unsigned int nth, unsigned int count, int err)
{
	struct request *request = find(number);

	request->fail_in = nth;
	request->fail_count = count;
	request->err = err;
}

unsigned int inject_ioctls(unsigned long number)
{
	return find(number)->made;
}

unsigned int inject_ioctl_order(unsigned long number)
{
	return find(number)->order;
}

void inject_there(const char *path)
{
	there = path;
}

void inject_nodes(const char *path)
{
	nodes = path;
}

void inject_late(unsigned int pauses, void (*hook)(void))
{
	late = pauses;
	waiting = hook;
}

void inject_text(const char *path, const char *text)
{
	inject_bytes(path, text, text ? strlen(text) : 0);
}

void inject_bytes(const char *path, const void *bytes, size_t len)
{
	text_path = path;
	text_said = bytes;
	text_len = len;
}

void inject_no_proc(bool none)
{
	no_proc = none;
}

unsigned int inject_fds(void)
{
	return num_fds;
}

void inject_after(enum inject_call call, void (*hook)(void))
{
	after[call] = hook;
}

unsigned int inject_slept_ms(void)
{
	return slept;
}

/* ---- Counting and failing ---- */

int inject_enter(enum inject_call call)
{
	counts[call]++;
	if (call != INJECT_MEMORY)
		counts[INJECT_ANY]++;
	if (fail_call != call && !(fail_call == INJECT_ANY && call != INJECT_MEMORY))
		return 0;
	if (!fail_in || --fail_in)
		return 0;
	has_failed = true;
	fail_in += fail_on;
	return fail_err;
}

void inject_leave(enum inject_call call)
{
	void (*hook)(void) = atomic_exchange(&after[call], NULL);

	if (hook)
		hook();
}

static int own(int fd)
{
	if (fd < 0)
		return fd;
	ck_assert_int_lt(fd, FDS);
	owned[fd] = true;
	num_fds++;
	return fd;
}

int inject_fd(void)
{
	int fd = memfd_create("node", MFD_CLOEXEC);

	ck_assert(fd >= 0 && !ftruncate(fd, INJECT_FILE_SIZE));
	return own(fd);
}

static bool is_node(const char *path)
{
	return nodes && !strncmp(path, nodes, strlen(nodes));
}

/* ---- lib/sys.h ---- */

int __wrap_ifd_sys_open(const char *path, int flags)
{
	int err = inject_enter(INJECT_OPEN);

	if (err)
		return err;
	if (is_node(path))
		return late ? -ENOENT : inject_fd();
	return own(__real_ifd_sys_open(path, flags));
}

int __wrap_ifd_sys_dup(int fd)
{
	int err = inject_enter(INJECT_DUP);

	return err ? err : own(__real_ifd_sys_dup(fd));
}

int __wrap_ifd_sys_eventfd(void)
{
	int err = inject_enter(INJECT_OPEN);

	return err ? err : own(__real_ifd_sys_eventfd());
}

void __wrap_ifd_sys_close(int fd)
{
	if (fd >= 0) {
		ck_assert_msg(fd < FDS && owned[fd], "the library closes descriptor %d, which it has not got", fd);
		owned[fd] = false;
		num_fds--;
	}
	__real_ifd_sys_close(fd);
}

int __wrap_ifd_sys_ioctl_number(const struct ifd_log *log, int fd, unsigned long number, void *arg)
{
	struct request *request = find(number);
	int err = inject_enter(INJECT_IOCTL);

	if (!err && request->fail_in && --request->fail_in == 0) {
		err = request->err;
		if (--request->fail_count)
			request->fail_in = 1;
	}
	if (err)
		return err;
	ck_assert_msg(fd >= 0 && fd < FDS && owned[fd], "ioctl 0x%lx on descriptor %d, which is closed", number, fd);
	request->made++;
	request->order = ++all_ioctls;
	return request->answer ? request->answer(fd, arg) : __real_ifd_sys_ioctl_number(log, fd, number, arg);
}

int __wrap_ifd_sys_ioctl(const struct ifd_log *log, int fd, unsigned long number, void *arg)
{
	int ret = __wrap_ifd_sys_ioctl_number(log, fd, number, arg);

	return ret > 0 ? -EPROTO : ret;
}

int __wrap_ifd_sys_madvise(void *addr, size_t len, int advice)
{
	int err = inject_enter(INJECT_MADVISE);

	return err ? err : adviser ? adviser(addr, len, advice) : __real_ifd_sys_madvise(addr, len, advice);
}

ssize_t __wrap_ifd_sys_pread(int fd, void *buf, size_t len, uint64_t offset)
{
	int err = inject_enter(INJECT_PREAD);
	ssize_t ret = err ? err : __real_ifd_sys_pread(fd, buf, len, offset);

	inject_leave(INJECT_PREAD);
	return ret;
}

ssize_t __wrap_ifd_sys_pwrite(int fd, const void *buf, size_t len, uint64_t offset)
{
	int err = inject_enter(INJECT_PWRITE);
	ssize_t ret = err ? err : __real_ifd_sys_pwrite(fd, buf, len, offset);

	inject_leave(INJECT_PWRITE);
	return ret;
}

ssize_t __wrap_ifd_sys_read(int fd, void *buf, size_t len)
{
	int err = inject_enter(INJECT_READ);

	return err ? err : reader ? reader(fd, buf, len) : __real_ifd_sys_read(fd, buf, len);
}

ssize_t __wrap_ifd_sys_write(int fd, const void *buf, size_t len)
{
	int err = inject_enter(INJECT_WRITE);

	return err ? err : writer ? writer(fd, buf, len) : __real_ifd_sys_write(fd, buf, len);
}

int __wrap_ifd_sys_stat(const char *path, struct stat *st)
{
	int err = inject_enter(INJECT_STAT);

	*st = (struct stat){ .st_mode = S_IFDIR };
	if (!err && there && !strcmp(path, there))
		return 0;
	return err ? err : __real_ifd_sys_stat(path, st);
}

int __wrap_ifd_sys_fstat(int fd, struct stat *st)
{
	int err = inject_enter(INJECT_FSTAT);

	return err ? err : __real_ifd_sys_fstat(fd, st);
}

ssize_t __wrap_ifd_sys_readlink(const char *path, char *buf, size_t size)
{
	return no_proc && !strncmp(path, "/proc/", 6) ? -ENOENT : __real_ifd_sys_readlink(path, buf, size);
}

ssize_t __wrap_ifd_sys_read_text(const char *path, char *buf, size_t size)
{
	int err = inject_enter(INJECT_READ_TEXT);

	if (!err && text_path && !strcmp(path, text_path)) {
		size_t len = text_len < size ? text_len : size - 1;

		memcpy(buf, text_said, len);
		buf[len] = '\0';
		return (ssize_t)len;
	}
	return err ? err : __real_ifd_sys_read_text(path, buf, size);
}

ssize_t __wrap_ifd_sys_read_text_within(const char *path, char *buf, size_t size, unsigned int ms)
{
	int err = inject_enter(INJECT_READ_TEXT);

	return err ? err : __real_ifd_sys_read_text_within(path, buf, size, ms);
}

int __wrap_ifd_sys_write_text_within(const char *path, const char *text, unsigned int ms)
{
	int err = inject_enter(INJECT_WRITE);

	return err ? err : __real_ifd_sys_write_text_within(path, text, ms);
}

int __wrap_ifd_sys_access(const char *path)
{
	if (!is_node(path))
		return __real_ifd_sys_access(path);
	return late ? -ENOENT : 0;
}

static void pause_for(unsigned int ms)
{
	slept += ms;
	late -= late > 0;
	if (waiting)
		waiting();
}

int __wrap_ifd_sys_wait_readable(int fd, unsigned int ms)
{
	(void)fd;
	pause_for(ms);
	return ms ? 0 : readable;
}

void __wrap_ifd_sys_sleep_ms(unsigned int ms)
{
	pause_for(ms);
}

static atomic_uint clock_step = 20;

void inject_clock_step(unsigned int ms)
{
	clock_step = ms;
}

/* Nobody waits here, so each look at the clock is a while later. */
uint64_t __wrap_ifd_sys_now_ms(void)
{
	static uint64_t now;

	return now += clock_step;
}
