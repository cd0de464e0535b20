/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The only door to the kernel: one wrapper a system call, each of which returns -errno. Internal.
 *
 * Tests replace these functions at link time (`ld --wrap`), so that the n-th one can be made to fail; nothing in the
 * library knows of it.
 */
#ifndef IFD_SYS_H
#define IFD_SYS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "log.h"

/* A file descriptor, or -errno. O_CLOEXEC is always set. */
int ifd_sys_open(const char *path, int flags);
int ifd_sys_dup(int fd);
int ifd_sys_eventfd(void);

/* Takes -1. Linux frees the descriptor whatever close() returns, so there is nothing to report. */
void ifd_sys_close(int fd);

/*
 * 0 or -errno; the other one for requests that answer with a number, of 0 or more. `arg` is a pointer or, where the
 * request wants that, a number. -EPROTO: the kernel gave something else.
 */
int ifd_sys_ioctl(const struct ifd_log *log, int fd, unsigned long request, void *arg);
int ifd_sys_ioctl_number(const struct ifd_log *log, int fd, unsigned long request, void *arg);

/* With MAP_FIXED_NOREPLACE, `*out` is where; kernels before 4.17 take that for a suggestion. */
int ifd_sys_mmap(int fd, uint64_t offset, size_t len, int prot, int flags, void **out);
int ifd_sys_munmap(void *addr, size_t len);
int ifd_sys_mprotect(void *addr, size_t len, int prot);
int ifd_sys_mlock(void *addr, size_t len);
void ifd_sys_munlock(void *addr, size_t len);
int ifd_sys_madvise(void *addr, size_t len, int advice);

/*
 * Memory that is not there yet comes of this node alone. -EINVAL: there is no such node, or not for this process. -EIO:
 * some of it is there, of another one.
 */
int ifd_sys_mbind(void *addr, size_t len, unsigned int node);

/* Bytes that were moved, or -errno. Interrupted calls are made again. */
ssize_t ifd_sys_pread(int fd, void *buf, size_t len, uint64_t offset);
ssize_t ifd_sys_pwrite(int fd, const void *buf, size_t len, uint64_t offset);

/* The same of files without a position: queues. */
ssize_t ifd_sys_read(int fd, void *buf, size_t len);
ssize_t ifd_sys_write(int fd, const void *buf, size_t len);

int ifd_sys_stat(const char *path, struct stat *st);
int ifd_sys_fstat(int fd, struct stat *st);
struct statfs;
int ifd_sys_fstatfs(int fd, struct statfs *fs);

/* A command of fcntl() that takes nothing and answers with a number of 0 or more; or -errno. */
int ifd_sys_fcntl(int fd, int command);

/* From now on reads and writes do not wait. */
int ifd_sys_set_nonblock(int fd);

/* The text of a small file, or the target of a link; cut off at `size`, always terminated. Its length, or -errno. */
ssize_t ifd_sys_read_text(const char *path, char *buf, size_t size);
ssize_t ifd_sys_readlink(const char *path, char *buf, size_t size);

/*
 * Writes a small file at once, such as sysfs has, or reads it, where the kernel may keep who does so for ever, and deaf
 * to signals: a process of its own does it, and is left behind after `ms`. -ETIMEDOUT: it has not come back, and what
 * it has begun goes on. -EAGAIN: no process can be made, as -ENOMEM may mean too. Others: what the file says.
 *
 * Nobody is told of that process's death, and it keeps no other descriptor open. It is a copy of the caller's, so all
 * memory is copied that the kernel cannot share for writing: what is private and pinned for DMA.
 */
int ifd_sys_write_text_within(const char *path, const char *text, unsigned int ms);

/* The text is cut off at `size` and at IFD_SYS_TEXT_MAX, always terminated. Its length, or -errno. */
#define IFD_SYS_TEXT_MAX 256
ssize_t ifd_sys_read_text_within(const char *path, char *buf, size_t size, unsigned int ms);

/* Whether a descriptor of a process is the same open file as one of ours; false when that cannot be known. */
bool ifd_sys_same_file(int pid, int fd, int mine);

/* Each line of a text file, without its end, or each name in a folder, until `fn` returns false. 0, or -errno. */
typedef bool (*ifd_sys_text_fn)(void *data, const char *text);
int ifd_sys_each_line(const char *path, ifd_sys_text_fn fn, void *data);
int ifd_sys_each_name(const char *path, ifd_sys_text_fn fn, void *data);

/* Whether this process may open a node for reading and writing, without doing so: 0, or -errno. */
int ifd_sys_access(const char *path);

/* Whether this thread has a capability, in its own user namespace. */
bool ifd_sys_capable(int capability);

/* RLIMIT_MEMLOCK in bytes; UINT64_MAX when there is none. */
uint64_t ifd_sys_memlock_limit(void);

/* The page size of the CPU. */
uint64_t ifd_sys_page_size(void);

/* How many CPUs this thread may run on: 1 at least. */
unsigned int ifd_sys_cpus(void);

/* A thread, to be joined. 0, or -errno. */
int ifd_sys_thread(pthread_t *thread, void *(*fn)(void *data), void *data);

/* Waits until there is something to read. 1, or 0 when the time is over, or -errno. */
int ifd_sys_wait_readable(int fd, unsigned int ms);

void ifd_sys_sleep_ms(unsigned int ms);

/* Milliseconds on a clock that never goes back. */
uint64_t ifd_sys_now_ms(void);

#endif
