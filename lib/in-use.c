/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the system does with a device that a driver of the kernel has, and would miss. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "sysfs.h"
#include "udev.h"

#define IFF_UP_BIT 1u /* if.h */

struct search {
	char *hint;
	const char *node; /* of a disk or a partition */
	unsigned int major, minor;
	unsigned int found;
};

static void tell(struct search *search, const char *name, const char *does, const char *what)
{
	ifd_hint(search->hint, "%s%s %s%s", search->found++ ? ", " : "", name, does, what);
}

/*
 * "36 25 259:1 / /home rw - ext4 /dev/nvme0n1p1 rw". Some file systems have numbers of their own: their source counts.
 */
static bool look_at_mount(void *data, const char *line)
{
	struct search *search = data;
	const char *dash = strstr(line, " - ");
	char where[256], source[256] = "";
	unsigned int major, minor;

	if (sscanf(line, "%*s %*s %u:%u %*s %255s", &major, &minor, where) != 3)
		return true;
	if (dash)
		sscanf(dash + 3, "%*s %255s", source);
	if ((major != search->major || minor != search->minor) && strcmp(source, search->node) != 0)
		return true;
	tell(search, search->node, "is mounted at ", where);
	return false;
}

/* "/dev/nvme0n1p2 partition 1234 0 -2", behind a headline. */
static bool look_at_swap(void *data, const char *line)
{
	struct search *search = data;
	size_t len = strlen(search->node);

	if (strncmp(line, search->node, len) != 0 || (line[len] != ' ' && line[len] != '\t'))
		return true;
	tell(search, search->node, "is used for swapping", "");
	return false;
}

/* What is made of disks, by the device mapper or md, holds them. */
static bool look_at_holder(void *data, const char *name)
{
	struct search *search = data;

	if (*name == '.')
		return true;
	tell(search, search->node, "is a part of ", name);
	return false;
}

/*
 * A drive that may have several controllers has a disk that is below none of them. Each has a hidden one without a
 * node, whose name is that of the disk, with the controller's number in it: nvme0c1n2 is a path to nvme0n2.
 */
static void look_behind(const struct ifd_below *hidden, ifd_below_fn fn, void *data)
{
	unsigned int drive, disk;
	char path[64];

	if (sscanf(hidden->name, "nvme%uc%*un%u", &drive, &disk) != 2)
		return;
	snprintf(path, sizeof(path), "/sys/class/block/nvme%un%u", drive, disk);
	ifd_udev_below(&(struct ifd_found){ .path = path }, "block", fn, data);
}

static void look_at_disk(void *data, const struct ifd_below *disk)
{
	struct search *search = data;
	char path[PATH_MAX];

	if (!disk->node) {
		look_behind(disk, look_at_disk, data);
		return;
	}
	search->node = disk->node;
	search->major = disk->major;
	search->minor = disk->minor;
	ifd_sys_each_line("/proc/self/mountinfo", look_at_mount, search);
	ifd_sys_each_line("/proc/swaps", look_at_swap, search);
	snprintf(path, sizeof(path), "%s/holders", disk->path);
	ifd_sys_each_name(path, look_at_holder, search);
}

/*
 * Mounts elsewhere, the second disk of a file system, what is made of disks in ways of its own: all claim it for
 * themselves, and the kernel tells of nobody but that there is one.
 */
static void claim_disk(void *data, const struct ifd_below *disk)
{
	int fd;

	if (!disk->node) {
		look_behind(disk, claim_disk, data);
		return;
	}
	fd = ifd_sys_open(disk->node, O_RDONLY | O_EXCL | O_NONBLOCK);
	ifd_sys_close(fd);
	if (fd == -EBUSY)
		tell(data, disk->node, "is in use, by whom cannot be seen from here", "");
}

static void look_at_interface(void *data, const struct ifd_below *interface)
{
	char path[PATH_MAX], flags[32];

	snprintf(path, sizeof(path), "%s/flags", interface->path);
	if (ifd_sysfs_read(path, flags, sizeof(flags)) > 0 && strtoul(flags, NULL, 16) & IFF_UP_BIT)
		tell(data, interface->name, "is up, which ends with: ip link set down dev ", interface->name);
}

bool ifd_hint_in_use(char *hint, const struct ifd_found *found)
{
	struct search search = { .hint = hint };

	ifd_udev_below(found, "block", look_at_disk, &search);
	if (!search.found)
		ifd_udev_below(found, "block", claim_disk, &search);
	ifd_udev_below(found, "net", look_at_interface, &search);
	return search.found;
}

struct children {
	const struct ifd_found *parent;
	char *hint;
	bool used;
};

static void look_at_mediated(void *data, const struct ifd_below *below)
{
	struct children *children = data;
	char who[IFD_HINT_MAX] = "";
	struct ifd_found *child;
	int group;

	/* A device is below itself too. */
	if (children->used || !strcmp(below->path, children->parent->path) || ifd_udev_find(below->path, &child))
		return;
	children->used = ifd_hint_user(who, child, &group);
	ifd_sys_close(group);
	ifd_found_free(child);
	if (children->used)
		ifd_hint(children->hint, "its mediated device %s is in use: %s", below->name, who);
}

bool ifd_mdev_in_use(const struct ifd_found *parent, char *hint)
{
	struct children children = { .parent = parent, .hint = hint };

	ifd_udev_below(parent, "mdev", look_at_mediated, &children);
	return children.used;
}
