/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "node.h"
#include "sysfs.h"
#include "udev.h"

#define TYPES_MAX  256
#define FOLDER_MAX 2048

/* The parent's driver prepares hardware in it, perhaps. */
#define CREATE_MS 30000

/* The folder of a parent's types; its sysfs folder may have any name, and so has a link to it in a class of its own. */
static int types_of(const char *parent, char *path, const char *what)
{
	struct stat st;
	int ret;

	if (strncmp(parent, "/sys/", 5) != 0 && (!*parent || *parent == '.' || strchr(parent, '/')))
		return ifd_fail(-EINVAL, "give a name as under /sys/class/mdev_bus, or a directory under /sys",
				"%s: the parent \"%s\"", what, parent);
	ret = snprintf(path, FOLDER_MAX, "%s%s/mdev_supported_types", *parent == '/' ? "" : "/sys/class/mdev_bus/",
		       parent);
	ret = ret < FOLDER_MAX ? ifd_sys_stat(path, &st) : -ENAMETOOLONG;
	return ret ? ifd_fail(ret, "ls /sys/class/mdev_bus tells which there are: its driver may have to be loaded",
			      "%s: %s makes no mediated devices", what, parent)
		   : 0;
}

/* ---- Types ---- */

struct types {
	char *names[TYPES_MAX];
	size_t count;
	bool no_memory;
};

static bool add_type(void *data, const char *name)
{
	struct types *types = data;

	if (*name == '.')
		return true;
	types->names[types->count] = strdup(name);
	types->no_memory = !types->names[types->count];
	types->count += !types->no_memory;
	return !types->no_memory && types->count < TYPES_MAX;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void types_free(struct types *types)
{
	while (types->count)
		free(types->names[--types->count]);
}

static int types_read(const char *path, struct types *types)
{
	int ret;

	*types = (struct types){ .count = 0 };
	ret = ifd_sys_each_name(path, add_type, types);
	if (!ret && types->no_memory)
		ret = -ENOMEM;
	if (ret)
		types_free(types);
	else if (types->count)
		qsort(types->names, types->count, sizeof(*types->names), by_name);
	return ret;
}

/* Without the last line's end; "" where there is no such file. 0 or -errno without words. */
static int read_attribute(const char *folder, const char *type, const char *name, char *buf, size_t size)
{
	char path[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s/%s", folder, type, name);
	n = ifd_sys_read_text(path, buf, size);
	buf[n > 0 ? n - (buf[n - 1] == '\n') : 0] = '\0';
	return n < 0 && n != -ENOENT ? (int)n : 0;
}

static int available(const char *folder, const char *type, unsigned long *left)
{
	char text[32];
	int ret = read_attribute(folder, type, "available_instances", text, sizeof(text));

	*left = strtoul(text, NULL, 10);
	return ret;
}

static int type_read(const char *folder, const char *name, struct iommufd_mdev_type *type)
{
	unsigned long left;
	int ret = available(folder, name, &left);

	snprintf(type->type, sizeof(type->type), "%s", name);
	type->available = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
	if (!ret)
		ret = read_attribute(folder, name, "name", type->name, sizeof(type->name));
	if (!ret)
		ret = read_attribute(folder, name, "description", type->description, sizeof(type->description));
	return ret ? ret : read_attribute(folder, name, "device_api", type->device_api, sizeof(type->device_api));
}

EXPORT int iommufd_mdev_type_info(const char *parent, uint32_t index, struct iommufd_mdev_type *type)
{
	static const char what[] = "look at a type of mediated devices";
	struct iommufd_mdev_type mine = { .flags = 0 };
	char folder[FOLDER_MAX];
	struct types types;
	int ret = ifd_info_check(type, IFD_END_OF(struct iommufd_mdev_type, flags), "mdev type");

	if (!ret)
		ret = types_of(parent, folder, what);
	if (ret)
		return ret;
	ret = types_read(folder, &types);
	if (ret)
		return ifd_fail(ret, NULL, "%s of %s", what, parent);
	if (index >= types.count)
		ret = ifd_fail(-ENOENT, "that was the last one", "%s: %u of %s, which has %zu", what, index, parent,
			       types.count);
	else if ((ret = type_read(folder, types.names[index], &mine)))
		ifd_fail(ret, NULL, "%s: %s of %s", what, types.names[index], parent);
	types_free(&types);
	if (!ret)
		ifd_info_write(type, &mine, sizeof(mine));
	return ret;
}

/* ---- Making and removing ---- */

/* As the kernel writes it. */
static int read_uuid(const char *uuid, char *mine, const char *what)
{
	if (!ifd_is_uuid(uuid))
		return ifd_fail(-EINVAL, "give one such as 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001, see uuidgen",
				"%s: the UUID \"%.64s\"", what, uuid);
	ifd_uuid_copy(mine, uuid);
	return 0;
}

static bool is_there(const char *uuid, char *path)
{
	struct stat st;

	snprintf(path, PATH_MAX, "/sys/bus/mdev/devices/%s", uuid);
	return !ifd_sys_stat(path, &st);
}

static int fail_type(const char *folder, const char *type, const char *parent, const char *what)
{
	char hint[IFD_HINT_MAX] = "";
	struct types types;

	if (types_read(folder, &types))
		types.count = 0;
	for (size_t i = 0; i < types.count; i++)
		ifd_hint(hint, "%s%s", i ? ", " : "it has ", types.names[i]);
	types_free(&types);
	return ifd_fail(-ENOENT, hint, "%s: %s has no type %s", what, parent, type);
}

static int fail_none_left(const char *folder, const char *type, const char *what)
{
	char hint[IFD_HINT_MAX] = "";

	ifd_hint(hint, "remove another one, of this type or one that uses the same: ls %s/*/devices", folder);
	return ifd_fail(-ENOSPC, hint, "%s: no more of type %s can be made", what, type);
}

static int check_type(const char *folder, const char *type, const char *parent, const char *what)
{
	char path[PATH_MAX];
	unsigned long left;
	struct stat st;
	int ret;

	if (!*type || *type == '.' || strchr(type, '/'))
		return ifd_fail(-EINVAL, "see iommufd_mdev_type_info()", "%s: the type \"%.64s\"", what, type);
	if (snprintf(path, sizeof(path), "%s/%s", folder, type) >= PATH_MAX || ifd_sys_stat(path, &st))
		return fail_type(folder, type, parent, what);
	ret = available(folder, type, &left);
	if (ret)
		return ifd_fail(ret, NULL, "%s: how many of type %s are left", what, type);
	return left ? 0 : fail_none_left(folder, type, what);
}

/* The driver of the parent takes the device before the kernel's answer; what is left is the work of udev. */
static int await(const char *uuid, const char *what)
{
	struct ifd_found *found;
	int ret = ifd_udev_find(uuid, &found);

	if (ret)
		return ret;
	ret = ifd_node_appear(&found, what);
	ifd_found_free(found);
	return ret;
}

struct leaving {
	const char *uuid;
	bool found;
};

static bool look_at_parent(void *data, const char *parent)
{
	struct leaving *leaving = data;
	char path[PATH_MAX];
	struct stat st;

	if (*parent == '.')
		return true;
	snprintf(path, sizeof(path), "/sys/class/mdev_bus/%s/%s", parent, leaving->uuid);
	leaving->found = !ifd_sys_stat(path, &st);
	return !leaving->found;
}

/* One that is being removed has left its bus already, and stays below its parent until nobody has it open. */
static int check_left(const char *uuid, const char *what)
{
	struct leaving leaving = { .uuid = uuid };

	ifd_sys_each_name("/sys/class/mdev_bus", look_at_parent, &leaving);
	return leaving.found ? ifd_fail(-EBUSY, "it ends when who has it open lets go of it: try again then",
					"%s: it is being removed", what)
			     : 0;
}

/* After a failure, whose words stay; they say so when the device does. */
static int take_back(const char *uuid, int err)
{
	struct ifd_words words;
	char path[PATH_MAX];
	int ret;

	ifd_words_keep(&words);
	snprintf(path, sizeof(path), "/sys/bus/mdev/devices/%s/remove", uuid);
	ret = ifd_sys_write_text_within(path, "1", IFD_LET_GO_MS);
	if (ret && ret != -ENOENT)
		return ifd_fail(err, words.text, "make %s, and then remove it: %s", uuid, IFD_STRERROR(ret));
	ifd_words_restore(&words);
	return err;
}

EXPORT int iommufd_mdev_create(const char *parent, const char *type, const char *uuid)
{
	char what[64] = "make a mediated device", mine[IFD_UUID_SIZE], folder[FOLDER_MAX], path[PATH_MAX];
	int ret = read_uuid(uuid, mine, what);

	if (ret)
		return ret;
	snprintf(what, sizeof(what), "make %s", mine);
	ret = types_of(parent, folder, what);
	if (!ret)
		ret = check_type(folder, type, parent, what);
	if (!ret && is_there(mine, path))
		ret = ifd_fail(-EEXIST, "take another UUID, or open this one", "%s: there is such a device", what);
	if (!ret)
		ret = check_left(mine, what);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "%s/%s/create", folder, type);
	ret = ifd_sys_write_text_within(path, mine, CREATE_MS);
	if (ret == -ENOSPC || ret == -EUSERS) /* somebody was faster */
		return fail_none_left(folder, type, what);
	if (ret == -ETIMEDOUT)
		return ifd_fail(ret, "its driver goes on with it: see later whether it is there", "%s: write to %s",
				what, path);
	if (ret)
		return ifd_sysfs_fail(ret, path, what);
	ret = await(mine, what);
	return ret ? take_back(mine, ret) : 0;
}

EXPORT int iommufd_mdev_remove(const char *uuid)
{
	char what[64] = "remove a mediated device", mine[IFD_UUID_SIZE], path[PATH_MAX];
	struct ifd_found *found;
	int ret = read_uuid(uuid, mine, what), group = -1;

	if (ret)
		return ret;
	snprintf(what, sizeof(what), "remove %s", mine);
	if (!is_there(mine, path)) {
		ret = check_left(mine, what);
		return ret ? ret : ifd_fail(-ENOENT, "ls /sys/bus/mdev/devices tells which there are", "%s", what);
	}
	ret = ifd_udev_find(path, &found);
	if (ret)
		return ret;
	ret = ifd_sysfs_unused(found, what, &group);
	if (!ret) {
		snprintf(path, sizeof(path), "%s/remove", found->path);
		ret = ifd_sysfs_write(path, "1", what);
	}
	ifd_sys_close(group);
	ifd_found_free(found);
	return ret;
}
