/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Drivers and mediated devices, as sysfs has them: writing there, and who is in the way. Internal. */
#ifndef IFD_SYSFS_H
#define IFD_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ifd_found;

/* How long a driver has to let go of a device. Who is asked for it by the kernel needs some time. */
#define IFD_LET_GO_MS 5000

/* What it means that a file could not be written. Returns `ret`, with words that begin with `what`. */
int ifd_sysfs_fail(int ret, const char *path, const char *what);

/*
 * Writes a file. 0, or -errno with words that begin with `what`. Whoever has the device's lock is waited for, and so is
 * who keeps a driver from letting go of it; but not for ever, see ifd_sys_write_text_within().
 */
int ifd_sysfs_write(const char *path, const char *text, const char *what);

/*
 * The first line of a file, without its end. Its length, or -errno without words; -ENAMETOOLONG when it does not fit.
 */
ssize_t ifd_sysfs_read(const char *path, char *buf, size_t size);

/* The same of one that is not shown before the kernel has the device's lock. With words, but for -ENOENT. */
ssize_t ifd_sysfs_read_locked(const char *path, char *buf, size_t size, const char *what);

/* The last part of what a link leads to: the name of a driver, of a bus. 0, or -errno without words. */
int ifd_sysfs_link(const char *path, char *name, size_t size);

/*
 * Appends to a hint who uses a device. Of one that VFIO has: a process has its node or that of its group. `group` is
 * then, when nobody has, a descriptor of the group's node that keeps all others out until it is closed, or negative
 * where that cannot be had. Of another one: something on it is mounted, or up.
 */
bool ifd_hint_user(char *hint, const struct ifd_found *found, int *group);

/*
 * 0 when nobody uses a device, nor a virtual function or mediated device of it, else -EBUSY with words that begin with
 * `what`.
 */
int ifd_sysfs_unused(const struct ifd_found *found, const char *what, int *group);

/* in-use.c: appends to a hint what of a device with a driver of the kernel is mounted or up. False when nothing is. */
bool ifd_hint_in_use(char *hint, const struct ifd_found *found);

/* in-use.c: whether a mediated device of a parent is used, and then appends to a hint by whom. */
bool ifd_mdev_in_use(const struct ifd_found *parent, char *hint);

/*
 * best-driver.c: the name of the VFIO driver for a device of a bus whose general one is `general`, as the kernel's list
 * of modules knows it. 0, or -ENOENT with words when that is not loaded.
 */
int ifd_best_driver(const struct ifd_found *found, const char *bus, const char *general, char *name, size_t size);

#endif
