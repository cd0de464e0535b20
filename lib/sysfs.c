/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "explain.h"
#include "holders.h"
#include "internal.h"
#include "sysfs.h"
#include "udev.h"
#include "vfio-group.h"

int ifd_sysfs_fail(int ret, const char *path, const char *what)
{
	const char *hint = NULL;

	if (ret == -EACCES || ret == -EPERM)
		hint = "only root may: run it as root";
	else if (ret == -EROFS)
		hint = "/sys is read-only here, as in a container: do it outside";
	else if (ret == -ETIMEDOUT)
		hint = "who uses the device does not let go of it, and cannot be seen from here, or was asked to in "
		       "vain; "
		       "the kernel goes on waiting, and ends this when the device is free";
	return ifd_fail(ret, hint, "%s: write to %s", what, path);
}

int ifd_sysfs_write(const char *path, const char *text, const char *what)
{
	int ret = ifd_sys_write_text(path, text);

	return ret ? ifd_sysfs_fail(ret, path, what) : 0;
}

int ifd_sysfs_write_within(const char *path, const char *text, const char *what)
{
	int ret = ifd_sys_write_text_within(path, text, IFD_LET_GO_MS);

	return ret ? ifd_sysfs_fail(ret, path, what) : 0;
}

ssize_t ifd_sysfs_read(const char *path, char *buf, size_t size)
{
	ssize_t n = ifd_sys_read_text(path, buf, size);
	size_t len;

	if (n < 0)
		return n;
	len = strcspn(buf, "\n");
	if (len == size - 1) /* it may go on */
		return -ENAMETOOLONG;
	buf[len] = '\0';
	return (ssize_t)len;
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

int ifd_sysfs_unused(const struct ifd_found *found, const char *what, int *group)
{
	char hint[IFD_HINT_MAX] = "";

	*group = -1;
	if (!found->vfio)
		return ifd_hint_in_use(hint, found) ? ifd_fail(-EBUSY, hint, "%s: it is in use", what) : 0;
	if (!ifd_hint_holders(hint, found, -1)) {
		*group = take_group(found);
		if (*group != -EBUSY)
			return 0;
	}
	*hint = '\0';
	ifd_hint_busy(hint, found, -1);
	return ifd_fail(-EBUSY, hint, "%s: VFIO has handed it out", what);
}
