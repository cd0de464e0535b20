/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Functions of this program come before those of libc, also for the library; the names are those after preprocessing.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "door.h"
#include "vm.h"
#include "uapi/iommufd.h"

static enum door_failure failure;
static bool armed, happened;
static pid_t owner; /* what processes do that the library makes is passed on */
static unsigned int left;
static struct door_point seen;
static atomic_size_t mapped;
static atomic_uint
	done;      /* ioctls of iommufd that the kernel did for the library, a bit each, from the first number on */
static bool notes; /* whether somebody wants to know */
static _Atomic uint32_t last_ioas;

#define NAMES 64

/* How often each has been called. */
static struct {
	unsigned long call;
	unsigned int turns;
} counts[NAMES];

/* ---- The kernel's allocations ---- */

/*
 * The number of the allocation to fail, counted down by the kernel for this thread; 0 when there is none or it was.
 * While it counts nothing else may be done, and an assertion of libcheck does a lot.
 */
static int countdown = -1;

static void count_down_from(unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	if (pwrite(countdown, text, (size_t)len, 0) != len)
		ck_abort_msg("the kernel does not count allocations: %s", strerror(errno));
}

static unsigned int counted_down_to(void)
{
	char text[16] = "";

	if (pread(countdown, text, sizeof(text) - 1, 0) <= 0)
		ck_abort_msg("the kernel does not tell what it counted: %s", strerror(errno));
	return (unsigned int)strtoul(text, NULL, 10);
}

static bool tell(const char *file, const char *text)
{
	char path[128];
	FILE *out;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s", file);
	out = fopen(path, "we");
	return out && fputs(text, out) >= 0 && !fclose(out);
}

/* Also those that may wait, of single pages, and without a trace in the log. */
bool door_memory_fails(void)
{
	return !access("/proc/thread-self/fail-nth", W_OK) && tell("failslab/ignore-gfp-wait", "N") &&
	       tell("failslab/verbose", "0") && tell("fail_page_alloc/ignore-gfp-wait", "N") &&
	       tell("fail_page_alloc/ignore-gfp-highmem", "N") && tell("fail_page_alloc/min-order", "0") &&
	       tell("fail_page_alloc/verbose", "0");
}

/* ---- Arming ---- */

void door_fail(enum door_failure how, unsigned int nth)
{
	if (how == DOOR_MEMORY && countdown < 0)
		countdown = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	failure = how;
	left = nth;
	happened = false;
	owner = getpid();
	armed = true;
	memset(counts, 0, sizeof(counts));
}

bool door_end(struct door_point *point)
{
	armed = false;
	*point = seen;
	return happened;
}

const char *door_name(unsigned long call)
{
	static const char *const names[DOOR_CALLS] = {
		[DOOR_OPEN] = "open",       [DOOR_DUP] = "dup",           [DOOR_MMAP] = "mmap",
		[DOOR_EVENTFD] = "eventfd", [DOOR_MADVISE] = "madvise",   [DOOR_SYSCALL] = "syscall",
		[DOOR_PREAD] = "pread",     [DOOR_PWRITE] = "pwrite",     [DOOR_STAT] = "stat",
		[DOOR_FSTAT] = "fstat",     [DOOR_READLINK] = "readlink", [DOOR_STATFS] = "fstatfs",
		[DOOR_READ] = "read",       [DOOR_WRITE] = "write",       [DOOR_MPROTECT] = "mprotect",
	};
	static char request[32];

	if (call < DOOR_CALLS)
		return names[call];
	snprintf(request, sizeof(request), "ioctl '%c' %lu", (int)(call >> 8 & 0xff), call & 0xff);
	return request;
}

uint32_t door_done(void)
{
	return done;
}

void door_forget(void)
{
	notes = getenv("TEST_MADE");
	done = 0;
}

size_t door_mapped(void)
{
	return mapped;
}

uint32_t door_ioas(void)
{
	return last_ioas;
}

/* ---- Every call ---- */

static bool by_library(const void *caller)
{
	Dl_info info;

	return caller && dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "/libiommufd.so");
}

#define IOMMUFD_FIRST 0x80u

/* To ask who has called takes time, so each is asked for once. */
static void note(unsigned long request, const void *caller)
{
	unsigned int bit = (unsigned int)_IOC_NR(request) - IOMMUFD_FIRST;

	if (notes && _IOC_TYPE(request) == IOMMUFD_TYPE && bit < 32 && !(done >> bit & 1) && by_library(caller))
		atomic_fetch_or(&done, 1u << bit);
}

static unsigned int count(unsigned long call)
{
	size_t i = 0;

	while (counts[i].turns && counts[i].call != call)
		ck_assert_uint_lt(++i, NAMES);
	counts[i].call = call;
	return ++counts[i].turns;
}

struct passage {
	unsigned long call;
	unsigned int turn;
	bool counts;
	bool refused;
};

static struct passage enter(unsigned long call, const void *caller)
{
	struct passage passage = { .call = call, .counts = armed && by_library(caller) && getpid() == owner };

	if (!passage.counts)
		return passage;
	passage.turn = count(call);
	if (failure == DOOR_MEMORY) {
		if (!happened)
			count_down_from(left);
	} else if (happened ? failure == DOOR_LASTING && call == seen.call : --left == 0) {
		passage.refused = true;
		if (!happened)
			seen = (struct door_point){ .call = call, .turn = passage.turn, .refused = true };
		happened = true;
		errno = call > DOOR_CALLS                                               ? EIO
			: call == DOOR_OPEN || call == DOOR_DUP || call == DOOR_EVENTFD ? EMFILE
											: ENOMEM;
	}
	return passage;
}

static void leave(const struct passage *passage, bool failed)
{
	int saved = errno;

	if (!passage->counts || failure != DOOR_MEMORY || happened)
		return;
	left = counted_down_to();
	happened = !left;
	if (happened)
		seen = (struct door_point){ .call = passage->call, .turn = passage->turn, .refused = failed };
	else
		count_down_from(0);
	errno = saved;
}

/* Threads pass too, where nothing is made to fail. */
static void *behind_us(_Atomic(void *) *known, const char *name)
{
	if (!*known)
		*known = dlsym(RTLD_NEXT, name);
	return *known;
}

#define REAL(name, result, ...)       \
	static _Atomic(void *) known; \
	result (*real)(__VA_ARGS__);  \
	*(void **)&real = behind_us(&known, name)

int door_open(const char *path, int flags, ...) __asm__("open64");
int door_open(const char *path, int flags, ...)
{
	struct passage passage = enter(DOOR_OPEN, __builtin_return_address(0));
	va_list args;
	mode_t mode;
	int ret;
	REAL("open64", int, const char *, int, ...);

	va_start(args, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	ret = passage.refused ? -1 : real(path, flags, mode);
	leave(&passage, ret < 0);
	return ret;
}

int door_fcntl(int fd, int command, ...) __asm__("fcntl64");
int door_fcntl(int fd, int command, ...)
{
	struct passage passage = enter(DOOR_DUP, __builtin_return_address(0));
	va_list args;
	void *arg;
	int ret;
	REAL("fcntl64", int, int, int, ...);

	va_start(args, command);
	arg = va_arg(args, void *);
	va_end(args);
	ret = passage.refused ? -1 : real(fd, command, arg);
	leave(&passage, ret < 0);
	return ret;
}

int eventfd(unsigned int count, int flags);
int eventfd(unsigned int count, int flags)
{
	struct passage passage = enter(DOOR_EVENTFD, __builtin_return_address(0));
	int ret;
	REAL("eventfd", int, unsigned int, int);

	ret = passage.refused ? -1 : real(count, flags);
	leave(&passage, ret < 0);
	return ret;
}

int ioctl(int fd, unsigned long request, ...);
int ioctl(int fd, unsigned long request, ...)
{
	struct passage passage = enter(request, __builtin_return_address(0));
	va_list args;
	void *arg;
	int ret;
	REAL("ioctl", int, int, unsigned long, ...);

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	ret = passage.refused ? -1 : vm_hides(request, arg) ? 0 : real(fd, request, arg);
	leave(&passage, ret < 0);
	if (ret >= 0)
		note(request, __builtin_return_address(0));
	if (!ret && request == IOMMU_IOAS_ALLOC)
		last_ioas = ((struct iommu_ioas_alloc *)arg)->out_ioas_id;
	return ret;
}

/* To unlock memory cannot fail. */
long syscall(long number, ...)
{
	struct passage passage = enter(DOOR_SYSCALL, number == SYS_munlock ? NULL : __builtin_return_address(0));
	long arg[6], ret;
	va_list args;
	REAL("syscall", long, long, ...);

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	ret = passage.refused ? -1 : real(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
	leave(&passage, ret < 0);
	return ret;
}

void *door_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset) __asm__("mmap64");
void *door_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	struct passage passage = enter(DOOR_MMAP, __builtin_return_address(0));
	void *ret = MAP_FAILED;
	REAL("mmap64", void *, void *, size_t, int, int, int, off_t);

	if (!passage.refused)
		ret = real(addr, len, prot, flags, fd, offset);
	leave(&passage, ret == MAP_FAILED);
	if (ret != MAP_FAILED && by_library(__builtin_return_address(0)))
		mapped += len;
	return ret;
}

/* Nobody can do anything about one that fails. */
int munmap(void *addr, size_t len)
{
	REAL("munmap", int, void *, size_t);

	if (by_library(__builtin_return_address(0)))
		mapped -= len;
	return real(addr, len);
}

int mprotect(void *addr, size_t len, int prot)
{
	struct passage passage = enter(DOOR_MPROTECT, __builtin_return_address(0));
	int ret;
	REAL("mprotect", int, void *, size_t, int);

	ret = passage.refused ? -1 : real(addr, len, prot);
	leave(&passage, ret < 0);
	return ret;
}

int madvise(void *addr, size_t len, int advice)
{
	struct passage passage = enter(DOOR_MADVISE, __builtin_return_address(0));
	int ret;
	REAL("madvise", int, void *, size_t, int);

	ret = passage.refused ? -1 : real(addr, len, advice);
	leave(&passage, ret < 0);
	return ret;
}

ssize_t door_pread(int fd, void *buf, size_t len, off_t offset) __asm__("pread64");
ssize_t door_pread(int fd, void *buf, size_t len, off_t offset)
{
	struct passage passage = enter(DOOR_PREAD, __builtin_return_address(0));
	ssize_t ret;
	REAL("pread64", ssize_t, int, void *, size_t, off_t);

	ret = passage.refused ? -1 : real(fd, buf, len, offset);
	leave(&passage, ret < 0);
	return ret;
}

ssize_t door_pwrite(int fd, const void *buf, size_t len, off_t offset) __asm__("pwrite64");
ssize_t door_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	struct passage passage = enter(DOOR_PWRITE, __builtin_return_address(0));
	ssize_t ret;
	REAL("pwrite64", ssize_t, int, const void *, size_t, off_t);

	ret = passage.refused ? -1 : real(fd, buf, len, offset);
	leave(&passage, ret < 0);
	return ret;
}

ssize_t read(int fd, void *buf, size_t len)
{
	struct passage passage = enter(DOOR_READ, __builtin_return_address(0));
	ssize_t ret;
	REAL("read", ssize_t, int, void *, size_t);

	ret = passage.refused ? -1 : real(fd, buf, len);
	leave(&passage, ret < 0);
	return ret;
}

ssize_t write(int fd, const void *buf, size_t len)
{
	struct passage passage = enter(DOOR_WRITE, __builtin_return_address(0));
	ssize_t ret;
	REAL("write", ssize_t, int, const void *, size_t);

	ret = passage.refused ? -1 : real(fd, buf, len);
	leave(&passage, ret < 0);
	return ret;
}

int door_stat(const char *path, struct stat *st) __asm__("stat64");
int door_stat(const char *path, struct stat *st)
{
	struct passage passage = enter(DOOR_STAT, __builtin_return_address(0));
	int ret;
	REAL("stat64", int, const char *, struct stat *);

	ret = passage.refused ? -1 : real(path, st);
	leave(&passage, ret < 0);
	return ret;
}

int door_fstat(int fd, struct stat *st) __asm__("fstat64");
int door_fstat(int fd, struct stat *st)
{
	struct passage passage = enter(DOOR_FSTAT, __builtin_return_address(0));
	int ret;
	REAL("fstat64", int, int, struct stat *);

	ret = passage.refused ? -1 : real(fd, st);
	leave(&passage, ret < 0);
	return ret;
}

int door_fstatfs(int fd, struct statfs *fs) __asm__("fstatfs64");
int door_fstatfs(int fd, struct statfs *fs)
{
	struct passage passage = enter(DOOR_STATFS, __builtin_return_address(0));
	int ret;
	REAL("fstatfs64", int, int, struct statfs *);

	ret = passage.refused ? -1 : real(fd, fs);
	leave(&passage, ret < 0);
	return ret;
}

ssize_t readlink(const char *path, char *buf, size_t size)
{
	struct passage passage = enter(DOOR_READLINK, __builtin_return_address(0));
	ssize_t ret;
	REAL("readlink", ssize_t, const char *, char *, size_t);

	ret = passage.refused ? -1 : real(path, buf, size);
	leave(&passage, ret < 0);
	return ret;
}
