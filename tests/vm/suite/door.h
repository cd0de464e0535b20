/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Between the library and libc: the system calls that the library makes, of which the n-th can be made to fail, and the
 * kernel's allocations in them. What libudev and the tests call is passed on, and not counted. For one thread.
 */
#ifndef DOOR_H
#define DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a system call is named: an ioctl by its request, which is a larger number than these. */
enum door_call {
	DOOR_OPEN = 1,
	DOOR_DUP,
	DOOR_EVENTFD,
	DOOR_MMAP,
	DOOR_MPROTECT,
	DOOR_MADVISE,
	DOOR_SYSCALL, /* mlock and capget, which are made by number */
	DOOR_PREAD,
	DOOR_PWRITE,
	DOOR_READ,
	DOOR_WRITE,
	DOOR_STAT,
	DOOR_FSTAT,
	DOOR_READLINK,
	DOOR_STATFS,
	DOOR_CALLS,
};

enum door_failure {
	DOOR_ONCE,    /* the n-th system call is not made and gives an errno */
	DOOR_LASTING, /* and so do all further ones of the same name */
	DOOR_MEMORY,  /* the n-th allocation of the kernel finds no memory */
};

struct door_point {
	unsigned long call; /* in which it happened */
	unsigned int turn;  /* and which of that name it was, counted from 1 */
	bool refused;       /* whether the library saw an errno: the kernel can do without some of its memory */
};

/* From now on. The second ends it, and returns whether it happened. */
void door_fail(enum door_failure how, unsigned int nth);
bool door_end(struct door_point *point);

/* For a line of the log; lives until the next one. */
const char *door_name(unsigned long call);

/* How many bytes the library has mapped and not unmapped. */
size_t door_mapped(void);

/* The iommufd object that was made last for an IOAS. */
uint32_t door_ioas(void);

/* Whether this kernel was built to let its allocations fail; it is told to let all kinds of them. */
bool door_memory_fails(void);

/*
 * Which ioctls of iommufd the kernel has done for the library since door_forget(), where TEST_MADE is set: bit 0 is the
 * first number, 0x80.
 */
uint32_t door_done(void);
void door_forget(void);

#endif
