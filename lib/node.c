/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Opening a device's node, or its group's. It appears some milliseconds after the driver was bound, and its permissions
 * are set still later, by the udev daemon: who has just bound a device need not know of that.
 */
#include <errno.h>
#include <fcntl.h>
#include <libudev.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "explain.h"
#include "internal.h"
#include "node.h"
#include "udev.h"
#include "vfio-group.h"

/* Longer than udev takes on a busy machine, and short for who waits for a node that never comes. */
#define WAIT_MS  1000
#define PAUSE_MS 20

/* Events of the daemon when there is one, since it sets permissions; else of the kernel. NULL when there are none. */
static struct udev_monitor *listen(struct udev *udev, bool daemon)
{
	struct udev_monitor *monitor = udev_monitor_new_from_netlink(udev, daemon ? "udev" : "kernel");

	if (monitor && (udev_monitor_filter_add_match_subsystem_devtype(monitor, "vfio-dev", NULL) < 0 ||
			udev_monitor_filter_add_match_subsystem_devtype(monitor, "vfio", NULL) < 0 ||
			udev_monitor_enable_receiving(monitor) < 0))
		monitor = udev_monitor_unref(monitor);
	return monitor;
}

bool ifd_node_has_daemon(struct udev *udev)
{
	struct udev_queue *queue = udev_queue_new(udev);
	bool active = queue && udev_queue_get_udev_is_active(queue);

	udev_queue_unref(queue);
	return active;
}

static void wait_a_little(struct udev_monitor *monitor)
{
	if (!monitor || ifd_sys_wait_readable(udev_monitor_get_fd(monitor), PAUSE_MS) < 0)
		ifd_sys_sleep_ms(PAUSE_MS);
	else
		udev_device_unref(udev_monitor_receive_device(monitor));
}

/* What is in the way at last, as `look` tells it: 0 for nothing. */
static int wait_for(int (*look)(void *data), void *data, int err)
{
	struct udev *udev = udev_new();
	uint64_t end = ifd_sys_now_ms() + WAIT_MS;
	struct udev_monitor *monitor;
	bool daemon;

	if (!udev)
		return err;
	daemon = ifd_node_has_daemon(udev);
	monitor = listen(udev, daemon);
	/* With a daemon permissions may still change, without one nobody changes them. */
	while (ifd_sys_now_ms() < end && (err == -ENOENT || (daemon && err == -EACCES))) {
		wait_a_little(monitor);
		err = look(data);
	}
	udev_monitor_unref(monitor);
	udev_unref(udev);
	return err;
}

/* Without opening it. */
static int look_at_node(void *path)
{
	return ifd_sys_access(path);
}

bool ifd_node_await(const struct iommufd_device *dev, int err)
{
	char path[128];

	if (err != -ENOENT && err != -EACCES)
		return false;
	dev->ctx->backend->device_node(dev->found, path, sizeof(path));
	return wait_for(look_at_node, path, err) != err;
}

struct coming {
	const char *address;
	struct ifd_found **found;
};

static int look_again(void *data)
{
	const struct coming *coming = data;
	struct ifd_found *now;

	if (ifd_udev_find(coming->address, &now))
		return -ENODEV; /* it went away */
	ifd_found_free(*coming->found);
	*coming->found = now;
	return now->coming ? -ENOENT : 0;
}

void ifd_node_settle(const char *address, struct ifd_found **found)
{
	struct coming coming = { address, found };

	if ((*found)->coming)
		wait_for(look_again, &coming, -ENOENT);
}

/* Where the kernel has groups, it has a folder for the group's node. */
static int look_at_group(const struct ifd_found *found)
{
	char path[64], folder[96];
	struct stat st;

	if (found->group < 0)
		return 0;
	ifd_group_node(found, path, sizeof(path));
	snprintf(folder, sizeof(folder), "/sys/class/vfio/%s", strrchr(path, '/') + 1);
	return ifd_sys_stat(folder, &st) ? 0 : ifd_sys_access(path);
}

static int look_at_nodes(void *data)
{
	const struct coming *coming = data;
	int ret = look_again(data);

	if (!ret && (*coming->found)->cdev)
		ret = ifd_sys_access((*coming->found)->cdev);
	return ret ? ret : look_at_group(*coming->found);
}

int ifd_node_appear(struct ifd_found **found, const char *what)
{
	char path[PATH_MAX];
	struct coming coming = { path, found };
	int ret;

	snprintf(path, sizeof(path), "%s", (*found)->path); /* that of `found` goes with it */
	ret = look_at_nodes(&coming);
	if (ret)
		ret = wait_for(look_at_nodes, &coming, ret);
	if (!ret || ret == -EACCES)
		return 0;
	return ifd_fail(ret,
			ret == -ENOENT ? "nobody made it within a second: has /dev a udev daemon, or is it a "
					 "container's?"
				       : NULL,
			"%s: a node under /dev/vfio", what);
}

int ifd_node_open(const struct iommufd_device *dev, const char *path)
{
	char hint[IFD_HINT_MAX] = "";
	int fd = ifd_sys_open(path, O_RDWR);

	if (fd >= 0)
		return fd;
	if (fd == -EBUSY)
		ifd_hint_busy(hint, dev->found, -1);
	else if (fd == -ENODEV || fd == -ENXIO)
		ifd_hint_gone(hint, dev->found);
	else if (fd == -EPERM && dev->found->noiommu && !ifd_may_do_without_iommu())
		ifd_hint_rawio(hint);
	else
		ifd_hint_open(hint, fd, path,
			      "nobody made it within a second: has /dev a udev daemon, or is it a container's?");
	if (fd == -ENOENT && dev->found->cdev)
		ifd_hint_passed_over(hint, dev->ctx);
	return ifd_fail(fd, hint, "open %s for %s", path, dev->found->name);
}
