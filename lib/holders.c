/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "holders.h"
#include "internal.h"
#include "udev.h"

#define HOLDERS_SHOWN 4

/* What is looked for, where the search is, and what it has found. */
struct search {
	char *hint;
	const struct ifd_found *found;
	struct ifd_found_list group;
	int but;
	char pid[16];
	bool held; /* by the process that is being looked at */
	size_t holders;
};

static bool is_node(const struct search *search, const char *target)
{
	char group[64], noiommu[64];

	snprintf(group, sizeof(group), "/dev/vfio/%d", search->found->group);
	snprintf(noiommu, sizeof(noiommu), "/dev/vfio/noiommu-%d", search->found->group);
	if (search->found->group >= 0 && (!strcmp(target, group) || !strcmp(target, noiommu)))
		return true;
	for (size_t i = 0; i < search->group.count; i++)
		if (search->group.devices[i]->cdev && !strcmp(target, search->group.devices[i]->cdev))
			return true;
	return false;
}

static bool look_at_info(void *data, const char *line)
{
	static const char key[] = "vfio-device-syspath: ";
	struct search *search = data;

	if (strncmp(line, key, strlen(key)) != 0)
		return true;
	for (size_t i = 0; i < search->group.count; i++)
		search->held |= !strcmp(line + strlen(key), search->group.devices[i]->path);
	return false;
}

static bool look_at_fd(void *data, const char *fd)
{
	static const char nodes[] = "/dev/vfio/devices/";
	struct search *search = data;
	char path[64], target[64];

	if (*fd == '.')
		return true;
	snprintf(path, sizeof(path), "/proc/%.15s/fd/%.15s", search->pid, fd);
	if (ifd_sys_readlink(path, target, sizeof(target)) < 0)
		return true;
	search->held = is_node(search, target);
	/* Out of its group, or when its node is gone, it has no name in /dev; but newer kernels tell what it is. */
	if (!search->held && (!strcmp(target, "anon_inode:[vfio-device]") || !strncmp(target, nodes, strlen(nodes)))) {
		snprintf(path, sizeof(path), "/proc/%.15s/fdinfo/%.15s", search->pid, fd);
		ifd_sys_each_line(path, look_at_info, search);
	}
	/* Who handed `but` over, or was handed it, has the same file open: that is no use of its own. */
	if (search->held && search->but >= 0 && ifd_sys_same_file(atoi(search->pid), atoi(fd), search->but))
		search->held = false;
	return !search->held;
}

static void show_holder(struct search *search)
{
	char path[64], name[64] = "";

	if (search->holders++ >= HOLDERS_SHOWN)
		return;
	snprintf(path, sizeof(path), "/proc/%s/comm", search->pid);
	ifd_sys_read_text(path, name, sizeof(name));
	name[strcspn(name, "\n")] = '\0';
	ifd_hint(search->hint, "%s%s %s (%s)", search->holders > 1 ? ", " : "it or its group is open in ",
		 atoi(search->pid) == getpid() ? "this process," : "process", search->pid, name);
}

static bool look_at_process(void *data, const char *name)
{
	struct search *search = data;
	char path[64];

	if (name[strspn(name, "0123456789")])
		return true;
	snprintf(search->pid, sizeof(search->pid), "%.15s", name);
	snprintf(path, sizeof(path), "/proc/%s/fd", search->pid);
	search->held = false;
	ifd_sys_each_name(path, look_at_fd, search);
	if (search->held)
		show_holder(search);
	return true;
}

bool ifd_hint_holders(char *hint, const struct ifd_found *found, int but)
{
	struct ifd_found *alone = (struct ifd_found *)(uintptr_t)found; /* only read */
	struct search search = { .hint = hint, .found = found, .but = but };

	struct ifd_found_list group = { .count = 0 };

	/* Without memory for the others: the group's own node, and this device. */
	if (found->group < 0 || ifd_udev_group(found->group, &group) || !group.count)
		search.group = (struct ifd_found_list){ &alone, 1 };
	else
		search.group = group;
	ifd_sys_each_name("/proc", look_at_process, &search);
	ifd_found_list_free(&group);
	if (search.holders > HOLDERS_SHOWN)
		ifd_hint(hint, " and %zu more", search.holders - HOLDERS_SHOWN);
	return search.holders;
}
