/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Between the library and the kernel: the functions of lib/sys.h, and those of lib/udev.h that find devices, replaced
 * at link time. They pass on what they are not told about, count, and fail where a test wants it. This is no kernel: it
 * remembers nothing, and an ioctl gets the answer that the test wrote for it. For one thread.
 */
#ifndef INJECT_H
#define INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ifd_found;

enum inject_call {
	INJECT_OPEN,
	INJECT_DUP,
	INJECT_IOCTL,
	INJECT_MMAP,
	INJECT_MADVISE,
	INJECT_MPROTECT,
	INJECT_MBIND, /* succeeds, and does nothing */
	INJECT_PREAD,
	INJECT_PWRITE,
	INJECT_READ,
	INJECT_WRITE,
	INJECT_STAT,
	INJECT_FSTAT,
	INJECT_READ_TEXT,
	INJECT_ANY,    /* any of the above */
	INJECT_MEMORY, /* calloc(), which libcheck does without, unlike malloc() and its other relatives */
	INJECT_CALLS,
};

/* The `nth` such call from now, counted from 1, fails with `err`, once. Replaces what was said before; 0 for none. */
void inject_fail(enum inject_call call, unsigned int nth, int err);

/* All such calls fail with `err` from now on, until the next inject_fail(). */
void inject_fail_all(enum inject_call call, int err);

/* Whether the failure has happened that the last inject_fail() asked for. */
bool inject_failed(void);

/* How many there were since the program began. */
unsigned int inject_count(enum inject_call call);

/* What an ioctl does instead of the kernel: fills its argument, returns what ifd_sys_ioctl() would. */
typedef int (*inject_answer)(int fd, void *arg);

/* NULL sends the request to the kernel again. */
void inject_ioctl(unsigned long request, inject_answer answer);

/* The same for what is read from, and written to, descriptors without a position. */
typedef ssize_t (*inject_reader)(int fd, void *buf, size_t len);
typedef ssize_t (*inject_writer)(int fd, const void *buf, size_t len);
void inject_queue(inject_reader reader, inject_writer writer);

/* What who asks, without waiting, whether there is something to read is told; 0 by itself. */
void inject_readable(int answer);

/* The same for what is said about memory; NULL for the kernel. By several threads at once. */
typedef int (*inject_adviser)(void *addr, size_t len, int advice);
void inject_advice(inject_adviser adviser);

/* The answer that fills nothing and returns 0. */
int inject_succeed(int fd, void *arg);

/* From the `nth` one on, counted from 1 from now, `count` of these requests fail with `err`. */
void inject_ioctl_fail(unsigned long request, unsigned int nth, unsigned int count, int err);

/* How many of these requests there were; those that were made to fail do not count. */
unsigned int inject_ioctls(unsigned long request);

/* Which ioctl of all the last such one was, counted from 1: tells what came before what. 0 for never. */
unsigned int inject_ioctl_order(unsigned long request);

/* What the file at `path` says when the library reads it; one such file at a time, NULL for none. */
void inject_text(const char *path, const char *text);

/* The same of a file that has bytes of any kind. */
void inject_bytes(const char *path, const void *bytes, size_t len);

/* How much later each look at the clock is than the one before; 20 at first. */
void inject_clock_step(unsigned int ms);

/* From now on no link below /proc can be read, as in a process that has none. */
void inject_no_proc(bool none);

/* Opens of what begins with `path` give a file of INJECT_FILE_SIZE zeroes that knows no ioctl, NULL for none. */
#define INJECT_FILE_SIZE (1u << 20)
void inject_nodes(const char *path);

/* There is something at this path for who looks by its name, NULL for none. */
void inject_there(const char *path);

/* These nodes are not there until the library has paused so many times; `hook` is called in each pause, or NULL. */
void inject_late(unsigned int pauses, void (*hook)(void));

/* Devices are found by their place in sysfs too: those that are still there when the library looks again. */
void inject_found_by_path(bool on);

/* Such a file, for the answer of an ioctl: the library owns it from then on. */
int inject_fd(void);

/* How many file descriptors the library has got and not closed. Closing any other one fails the test. */
unsigned int inject_fds(void);

/* How many bytes it has mapped by ifd_sys_mmap() and not unmapped. */
size_t inject_mapped(void);

/* A device that is then found by its name and in its group. With one or more, no others are. */
void inject_device(const struct ifd_found *device);

/*
 * Called once, when the library next releases the gate of an IOAS: the place for what another thread might do at this
 * very moment.
 */
void inject_meanwhile(void (*hook)(void));

/* How many locks were destroyed while somebody held them; what becomes of such a one is not defined. */
unsigned int inject_destroyed_held(void);

/* Called once, when the library next asks for the gate of an IOAS for itself alone, before it waits for it. */
void inject_queueing(void (*hook)(void));

/*
 * Called once, right after the next such call, whether it failed or not: INJECT_PREAD, INJECT_PWRITE or INJECT_MEMORY.
 */
void inject_after(enum inject_call call, void (*hook)(void));

/* How long the library has slept or waited for something to read, which it does in no time. */
unsigned int inject_slept_ms(void);

/* For the other files that stand between: the errno that this call is to fail with, or 0; and what comes after it. */
int inject_enter(enum inject_call call);
void inject_leave(enum inject_call call);

#endif
