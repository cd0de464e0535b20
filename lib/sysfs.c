/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "explain.h"
#include "holders.h"
#include "internal.h"
#include "sriov.h"
#include "sysfs.h"
#include "udev.h"
#include "vfio-group.h"

/* Of one that a process of its own does, see ifd_sys_write_text_within(). */
static const char *hint_of(int err)
{
	switch (err) {
	case -EACCES:
	case -EPERM:
		return "only root may: run it as root";
	case -EROFS:
		return "/sys is read-only here, as in a container: do it outside";
	case -EAGAIN:
		return "it takes a process of its own, and none can be made: see ulimit -u, and what seccomp permits";
	case -ENOMEM:
		return "it takes a copy of this process, with all memory that is pinned for DMA: keep that out of it "
		       "by "
		       "madvise(MADV_DONTFORK)";
	case -ETIMEDOUT:
		return "who uses the device does not let go of it, and cannot be seen from here, or was asked to in "
		       "vain; the kernel goes on waiting, and ends this when the device is free: try again then";
	default:
		return NULL;
	}
}

int ifd_sysfs_fail(int ret, const char *path, const char *what)
{
	return ifd_fail(ret, hint_of(ret), "%s: write to %s", what, path);
}

int ifd_sysfs_write(const char *path, const char *text, const char *what)
{
	int ret = ifd_sys_write_text_within(path, text, IFD_LET_GO_MS);

	return ret ? ifd_sysfs_fail(ret, path, what) : 0;
}

/* The length of the first line, whose end is taken away. */
static ssize_t first_line(char *buf, size_t size)
{
	size_t len = strcspn(buf, "\n");

	if (len == size - 1) /* it may go on */
		return -ENAMETOOLONG;
	buf[len] = '\0';
	return (ssize_t)len;
}

ssize_t ifd_sysfs_read(const char *path, char *buf, size_t size)
{
	ssize_t n = ifd_sys_read_text(path, buf, size);

	return n < 0 ? n : first_line(buf, size);
}

ssize_t ifd_sysfs_read_locked(const char *path, char *buf, size_t size, const char *what)
{
	ssize_t n = ifd_sys_read_text_within(path, buf, size, IFD_LET_GO_MS);

	if (n >= 0)
		n = first_line(buf, size);
	return n < 0 && n != -ENOENT ? ifd_fail((int)n, hint_of((int)n), "%s: read %s", what, path) : n;
}

int ifd_sysfs_link(const char *path, char *name, size_t size)
{
	char target[PATH_MAX];
	const char *slash;
	ssize_t n = ifd_sys_readlink(path, target, sizeof(target));

	if (n < 0)
		return (int)n;
	slash = strrchr(target, '/');
	n = snprintf(name, size, "%s", slash ? slash + 1 : target);
	return (size_t)n < size ? 0 : -ENAMETOOLONG;
}

/* Who opens a group's node keeps everybody else from it, and from the nodes of its devices. */
static int take_group(const struct ifd_found *found)
{
	char path[64];

	if (found->group < 0)
		return -ENOENT;
	ifd_group_node(found, path, sizeof(path));
	return ifd_sys_open(path, O_RDWR);
}

bool ifd_hint_user(char *hint, const struct ifd_found *found, int *group)
{
	*group = -1;
	if (!found->vfio)
		return ifd_hint_in_use(hint, found);
	if (!ifd_hint_holders(hint, found, -1)) {
		*group = take_group(found);
		if (*group != -EBUSY)
			return false;
	}
	*hint = '\0';
	ifd_hint_busy(hint, found, -1);
	return true;
}

int ifd_sysfs_unused(const struct ifd_found *found, const char *what, int *group)
{
	char hint[IFD_HINT_MAX] = "";

	if (ifd_hint_user(hint, found, group))
		return ifd_fail(-EBUSY, hint, found->vfio ? "%s: VFIO has handed it out" : "%s: it is in use", what);
	/* They go with it, and whoever has one is waited for. */
	if (ifd_sriov_in_use(found, false, hint) || ifd_mdev_in_use(found, hint))
		return ifd_fail(-EBUSY, hint, "%s", what);
	return 0;
}
