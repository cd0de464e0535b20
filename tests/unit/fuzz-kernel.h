/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A kernel that lies. The functions of lib/sys.h and ioctl() itself are replaced at link time, and each takes its
 * answer from a stream of bytes: mostly what a kernel would say, so that calls go deep, and sometimes an errno, a
 * number that makes no sense, or an answer with something in it overwritten. It aborts when the library breaks a rule
 * of its own: a descriptor that it has not got, an access beyond what any file has.
 */
#ifndef FUZZ_KERNEL_H
#define FUZZ_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Calls are read from the front and answers from the back, so that a change in one of them leaves the others. */
struct fuzz_stream {
	const uint8_t *front, *back;
};

/* 0 when there is nothing left, which is the plain answer everywhere. */
uint8_t fuzz_front(struct fuzz_stream *stream);
uint8_t fuzz_back(struct fuzz_stream *stream);
bool fuzz_empty(const struct fuzz_stream *stream);

/* Fails the run with words. */
#define fuzz_check(right, ...) ((right) ? (void)0 : fuzz_fail(__FILE__, __LINE__, __VA_ARGS__))
void fuzz_fail(const char *file, int line, const char *fmt, ...) __attribute__((noreturn, format(printf, 3, 4)));

/* With FUZZ_TRACE in the environment: what happens, for who looks into a run that failed. */
void fuzz_tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* From now on the kernel answers out of the stream. */
void fuzz_kernel_start(struct fuzz_stream *stream);

/* Checks that the library has no descriptor open and nothing mapped. */
void fuzz_kernel_end(void);

/* A descriptor that is not the library's, to be given to it: what it is of. The last ones are read. */
enum fuzz_kind {
	FUZZ_IOMMUFD,
	FUZZ_CONTAINER,
	FUZZ_GROUP,
	FUZZ_DEVICE,
	FUZZ_MEMORY,
	FUZZ_FAULTS,
	FUZZ_EVENTS,
	FUZZ_STREAM,
	FUZZ_KINDS,
};
int fuzz_open(enum fuzz_kind kind);
void fuzz_close(int fd);

/* What somebody else than the kernel answers: 0, or seldom anything. */
int fuzz_callback(void);

/* At a system call: another thread of the library may be next. */
void fuzz_switch(void);

/* The n-th allocation from now fails, once; 0 for none. */
void fuzz_fail_memory(unsigned int nth);

/* Memory that the library has mapped, and may lose where the kernel does not let a mapping go. */
void fuzz_take_lost(void *addr, size_t len);

/* Where nobody outside knows the addresses: what is mapped from now on is watched; what of it is there still, taken. */
void fuzz_watch_memory(void);
size_t fuzz_take_watched(void);

/* How many requests to unmap were refused. */
unsigned int fuzz_refused_unmaps(void);

/* The i-th device that is found, by name; NULL behind the last. */
const char *fuzz_device(size_t i);

#endif
