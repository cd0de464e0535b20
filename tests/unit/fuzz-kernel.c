/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fuzz-answers.h"
#include "fuzz-kernel.h"
#include "sys.h"
#include "uapi/vfio.h"

/* Far above what the process itself has open. */
#define FIRST_FD 5000
#define FDS      64

#define MMAP_MAX (size_t)(64 << 20)

/* No memory of a process is above. */
#define USER_END (UINT64_C(1) << 47)

static struct fuzz_stream *stream;
static struct fuzz_file files[FDS];
static size_t mapped;
static unsigned int refused_unmaps;

/* What was mapped while somebody wants to know. */
#define FRESH 64
static struct {
	unsigned char *at;
	size_t size;
} fresh[FRESH];
static unsigned int num_fresh;
static bool watched;

/* ---- The stream ---- */

uint8_t fuzz_front(struct fuzz_stream *s)
{
	return s->front < s->back ? *s->front++ : 0;
}

uint8_t fuzz_back(struct fuzz_stream *s)
{
	return s->front < s->back ? *--s->back : 0;
}

bool fuzz_empty(const struct fuzz_stream *s)
{
	return s->front >= s->back;
}

void fuzz_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%s:%d: ", file, line);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
	abort();
}

void fuzz_tell(const char *fmt, ...)
{
	static int wanted = -1;
	va_list args;

	if (wanted < 0)
		wanted = getenv("FUZZ_TRACE") != NULL;
	if (!wanted)
		return;
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
}

bool fuzz_dry(void)
{
	return !stream || fuzz_empty(stream);
}

uint8_t fuzz_byte(void)
{
	return stream ? fuzz_back(stream) : 0;
}

/* Numbers that are at the edge of something, or plain noise. */
uint64_t fuzz_number(uint64_t now)
{
	uint8_t what = fuzz_byte();
	uint64_t noise = 0;

	switch (what % 16) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return now + 1;
	case 3:
		return now - 1;
	case 4:
		return now ^ (UINT64_C(1) << (fuzz_byte() & 63));
	case 5:
		return UINT64_C(1) << (fuzz_byte() & 63);
	case 6:
		return (UINT64_C(1) << (fuzz_byte() & 63)) - 1;
	case 7:
		return UINT64_MAX - fuzz_byte();
	case 8:
		return UINT64_MAX - UINT64_C(4096) * fuzz_byte() + 1;
	case 9:
		return UINT64_C(4096) * fuzz_byte();
	case 10:
		return now << 32 | now >> 32;
	case 11:
		for (int i = 0; i < 8; i++)
			noise = noise << 8 | fuzz_byte();
		return noise;
	default:
		return fuzz_byte();
	}
}

/* An errno, most often one that the library knows of; any that Linux can give. */
static int some_errno(void)
{
	static const uint16_t known[] = { EPERM,  ENOENT, EINTR,  EIO,    ENXIO,    E2BIG,      EBADF,
					  EAGAIN, ENOMEM, EACCES, EFAULT, EBUSY,    EEXIST,     ENODEV,
					  EINVAL, EMFILE, ENOTTY, ENOSPC, EMSGSIZE, EOPNOTSUPP, EADDRINUSE };
	uint8_t what = fuzz_byte();

	if (what < 240)
		return known[what % (sizeof(known) / sizeof(known[0]))];
	return 1 + (what << 8 | fuzz_byte()) % 4095;
}

/* 0, or seldom a negative errno. */
int fuzz_mood(void)
{
	return fuzz_byte() >= 0xe8 ? -some_errno() : 0;
}

int fuzz_callback(void)
{
	int err = fuzz_mood();

	return err ? err : fuzz_byte() >= 0xf0 ? (int)fuzz_number(0) : 0;
}

/* ---- Descriptors ---- */

struct fuzz_file *fuzz_file(int fd)
{
	return fd >= FIRST_FD && fd < FIRST_FD + FDS && files[fd - FIRST_FD].open ? &files[fd - FIRST_FD] : NULL;
}

struct fuzz_file *fuzz_file_of(int fd)
{
	struct fuzz_file *file = fuzz_file(fd);

	fuzz_check(file, "descriptor %d is used, which is not open", fd);
	return file;
}

int fuzz_open(enum fuzz_kind kind)
{
	for (int i = 0; i < FDS; i++)
		if (!files[i].open) {
			fuzz_tell("  open %d, kind %d", FIRST_FD + i, kind);
			files[i] = (struct fuzz_file){ .open = true, .kind = kind, .state = VFIO_DEVICE_STATE_RUNNING };
			return FIRST_FD + i;
		}
	return -EMFILE;
}

void fuzz_close(int fd)
{
	fuzz_tell("  close %d", fd);
	fuzz_file_of(fd)->open = false;
}

int __wrap_ifd_sys_open(const char *path, int flags);
int __wrap_ifd_sys_open(const char *path, int flags)
{
	int err = fuzz_mood(), fd;

	(void)flags;
	if (err)
		return err;
	if (!strcmp(path, "/dev/iommu"))
		return fuzz_open(FUZZ_IOMMUFD);
	if (!strcmp(path, "/dev/vfio/vfio"))
		return fuzz_open(FUZZ_CONTAINER);
	if (!strncmp(path, "/dev/vfio/devices/", strlen("/dev/vfio/devices/")))
		return fuzz_open(FUZZ_DEVICE);
	if (strncmp(path, "/dev/vfio/", strlen("/dev/vfio/")) != 0)
		return fuzz_open(FUZZ_KINDS);
	fd = fuzz_open(FUZZ_GROUP);
	if (fd >= 0)
		fuzz_file_of(fd)->noiommu = strstr(path, "noiommu");
	return fd;
}

int __wrap_ifd_sys_dup(int fd);
int __wrap_ifd_sys_dup(int fd)
{
	int err = fuzz_mood(), copy;

	if (err)
		return err;
	copy = fuzz_open(FUZZ_KINDS);
	if (copy >= 0)
		*fuzz_file_of(copy) = *fuzz_file_of(fd);
	return copy;
}

void __wrap_ifd_sys_close(int fd);
void __wrap_ifd_sys_close(int fd)
{
	if (fd >= 0)
		fuzz_close(fd);
}

int __wrap_ifd_sys_eventfd(void);
int __wrap_ifd_sys_eventfd(void)
{
	int err = fuzz_mood();

	return err ? err : fuzz_open(FUZZ_KINDS);
}

int __wrap_ifd_sys_set_nonblock(int fd);
int __wrap_ifd_sys_set_nonblock(int fd)
{
	fuzz_file_of(fd);
	return fuzz_mood();
}

/* ---- ioctl() ---- */

/* Something in the answer is not what it should be. */
static void overwrite(unsigned char *at, size_t size)
{
	size_t wide = fuzz_byte() & 1 ? sizeof(uint64_t) : sizeof(uint32_t), offset;
	uint64_t value = 0;

	if (size < wide)
		return;
	/* Members are at multiples of 4, and answers are short. */
	offset = (size_t)fuzz_byte() * 4 % (size - wide + 1) & ~(size_t)3;
	memcpy(&value, at + offset, wide);
	value = fuzz_number(value);
	memcpy(at + offset, &value, wide);
}

static void corrupt(const struct fuzz_span spans[2], size_t count)
{
	for (int i = fuzz_byte() & 3; i >= 0 && count; i--) {
		const struct fuzz_span *span = &spans[count > 1 ? fuzz_byte() & 1 : 0];

		overwrite(span->at, span->size);
	}
}

/* What happens in a call: an errno, a result that the request does not have, or an answer that lies. */
int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	struct fuzz_file *file = fuzz_file_of(fd);
	struct fuzz_span spans[2];
	size_t count = fuzz_answer_spans(file, request, arg, spans); /* before the answer: its room is the library's */
	uint8_t how;
	int ret;

	fuzz_switch();
	how = fuzz_byte();
	if (how >= 0xe0 && how < 0xf0) {
		if (how & 1)
			corrupt(spans, count);
		ret = -some_errno();
	} else {
		ret = fuzz_answer(file, request, arg);
	}
	if (how >= 0xf6)
		corrupt(spans, count);
	else if (how >= 0xf0 && !ret && !fuzz_gives_file(file, request, arg))
		ret = (int)fuzz_number(1);
	fuzz_tell("  ioctl %lu of %d: %d", request & 0xff, fd, ret);
	if (ret && fuzz_is_unmap(request))
		refused_unmaps++;
	if (ret >= -4095 && ret < 0) {
		errno = -ret;
		return -1;
	}
	errno = 0; /* libc takes what is below for a result */
	return ret;
}

/* ---- Memory ---- */

/* All of it, its begin or its end. */
static void forget_fresh(const unsigned char *addr, size_t len)
{
	for (unsigned int i = 0; watched && i < num_fresh; i++)
		if (addr >= fresh[i].at && addr < fresh[i].at + fresh[i].size) {
			if (addr == fresh[i].at)
				fresh[i].at += len;
			fresh[i].size -= len;
			return;
		}
}

int __real_ifd_sys_mmap(int fd, uint64_t offset, size_t len, int prot, int flags, void **out);
int __real_ifd_sys_munmap(void *addr, size_t len);
int __wrap_ifd_sys_mmap(int fd, uint64_t offset, size_t len, int prot, int flags, void **out);
int __wrap_ifd_sys_mmap(int fd, uint64_t offset, size_t len, int prot, int flags, void **out)
{
	int err = fuzz_mood();

	if (err)
		return err;
	if (fd >= 0) {
		fuzz_file_of(fd);
		fuzz_check(offset <= INT64_MAX && len <= INT64_MAX - offset,
			   "a mapping of %zu bytes at offset 0x%llx of a device", len, (unsigned long long)offset);
		if (offset & 4095)
			return -EINVAL;
	}
	if (len > MMAP_MAX)
		return -ENOMEM;
	flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (flags & MAP_FIXED_NOREPLACE);
	err = __real_ifd_sys_mmap(-1, 0, len, prot, flags, out);
	if (err)
		return err;
	mapped += len;
	if (watched && num_fresh < FRESH) {
		fresh[num_fresh].at = *out;
		fresh[num_fresh++].size = len;
	}
	return 0;
}

int __wrap_ifd_sys_munmap(void *addr, size_t len);
int __wrap_ifd_sys_munmap(void *addr, size_t len)
{
	fuzz_check(len <= mapped, "%zu bytes are unmapped of %zu", len, mapped);
	mapped -= len;
	forget_fresh(addr, len);
	return __real_ifd_sys_munmap(addr, len);
}

void fuzz_watch_memory(void)
{
	num_fresh = 0;
	watched = true;
}

size_t fuzz_take_watched(void)
{
	size_t bytes = 0;

	watched = false;
	fuzz_check(num_fresh < FRESH, "too much memory to watch");
	for (unsigned int i = 0; i < num_fresh; i++)
		if (fresh[i].size) {
			bytes += fresh[i].size;
			__wrap_ifd_sys_munmap(fresh[i].at, fresh[i].size);
		}
	return bytes;
}

void fuzz_take_lost(void *addr, size_t len)
{
	__wrap_ifd_sys_munmap(addr, len);
}

unsigned int fuzz_refused_unmaps(void)
{
	return refused_unmaps;
}

int __real_ifd_sys_mprotect(void *addr, size_t len, int prot);
int __wrap_ifd_sys_mprotect(void *addr, size_t len, int prot);
int __wrap_ifd_sys_mprotect(void *addr, size_t len, int prot)
{
	int mood = fuzz_mood();

	return mood ? mood : __real_ifd_sys_mprotect(addr, len, prot);
}

int __wrap_ifd_sys_madvise(void *addr, size_t len, int advice);
int __wrap_ifd_sys_madvise(void *addr, size_t len, int advice)
{
	(void)advice;
	fuzz_switch();
	if (len > USER_END || (uintptr_t)addr > USER_END - len)
		return -ENOMEM;
	return fuzz_mood();
}

int __wrap_ifd_sys_mbind(void *addr, size_t len, unsigned int node);
int __wrap_ifd_sys_mbind(void *addr, size_t len, unsigned int node)
{
	(void)addr;
	(void)len;
	(void)node;
	return fuzz_mood();
}

int __wrap_ifd_sys_mlock(void *addr, size_t len);
int __wrap_ifd_sys_mlock(void *addr, size_t len)
{
	(void)addr;
	(void)len;
	return fuzz_mood();
}

void __wrap_ifd_sys_munlock(void *addr, size_t len);
void __wrap_ifd_sys_munlock(void *addr, size_t len)
{
	(void)addr;
	(void)len;
}

/* ---- The rest ---- */

bool __wrap_ifd_sys_capable(int capability);
bool __wrap_ifd_sys_capable(int capability)
{
	(void)capability;
	return fuzz_byte() & 1;
}

uint64_t __wrap_ifd_sys_memlock_limit(void);
uint64_t __wrap_ifd_sys_memlock_limit(void)
{
	return fuzz_number(8 << 20);
}

int __wrap_ifd_sys_wait_readable(int fd, unsigned int ms);
int __wrap_ifd_sys_wait_readable(int fd, unsigned int ms)
{
	(void)fd;
	(void)ms;
	return fuzz_mood();
}

uint64_t __wrap_ifd_sys_now_ms(void);
uint64_t __wrap_ifd_sys_now_ms(void)
{
	static uint64_t now;

	return now += 20; /* nobody waits, so each look at the clock is a while later */
}

void __wrap_ifd_sys_sleep_ms(unsigned int ms);
void __wrap_ifd_sys_sleep_ms(unsigned int ms)
{
	(void)ms;
}

void fuzz_kernel_start(struct fuzz_stream *from)
{
	stream = from;
	refused_unmaps = 0;
	fuzz_fail_memory(0);
	fuzz_answers_start();
}

void fuzz_kernel_end(void)
{
	for (int i = 0; i < FDS; i++)
		fuzz_check(!files[i].open, "descriptor %d was left open", FIRST_FD + i);
	fuzz_check(!mapped, "%zu bytes were left mapped", mapped);
	stream = NULL;
}
