/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Devices that come and go, as the kernel or the udev daemon tells it. */
#include <errno.h>
#include <libudev.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "node.h"
#include "udev.h"

struct iommufd_monitor {
	struct udev_monitor *socket;
	struct ifd_found *found; /* of the last event, whose strings are those of this */
	pid_t owner;             /* a child process has the same socket: what it read would be missing here */
};

/*
 * The daemon is listened to where there is one, since what is bound is of no use before a rule has let its user in. In
 * a network namespace of its own it cannot be heard, but the kernel can: hence the option.
 */
static bool from_daemon(struct udev *udev, uint32_t source)
{
	return source == IOMMUFD_MONITOR_UDEV || (source == IOMMUFD_MONITOR_AUTO && ifd_node_has_daemon(udev));
}

static struct udev_monitor *listen_to(struct udev *udev, const char *name)
{
	struct udev_monitor *socket = udev_monitor_new_from_netlink(udev, name);
	int ret = socket ? udev_monitor_filter_add_match_subsystem_devtype(socket, "vfio-dev", NULL) : -ENOMEM;

	for (size_t i = 0; ret >= 0 && ifd_udev_buses[i]; i++)
		ret = udev_monitor_filter_add_match_subsystem_devtype(socket, ifd_udev_buses[i], NULL);
	if (ret >= 0)
		ret = udev_monitor_enable_receiving(socket);
	return ret < 0 ? udev_monitor_unref(socket) : socket;
}

static int monitor_open(struct iommufd_monitor *mon, uint32_t source)
{
	struct udev *udev = udev_new();
	int err;

	errno = ENOMEM; /* which not all failures of libudev set */
	mon->socket = udev ? listen_to(udev, from_daemon(udev, source) ? "udev" : "kernel") : NULL;
	err = mon->socket ? 0 : -errno;
	udev_unref(udev);
	return err;
}

EXPORT int iommufd_monitor_new(const struct iommufd_monitor_opts *theirs, struct iommufd_monitor **out)
{
	struct iommufd_monitor_opts opts;
	struct iommufd_monitor *mon;
	int ret = ifd_opts_read(&opts, sizeof(opts), IFD_END_OF(struct iommufd_monitor_opts, flags), theirs,
				"monitor options");

	if (!ret && (opts.source > IOMMUFD_MONITOR_UDEV || opts.flags))
		ret = ifd_fail(-EINVAL, "see the constants in monitor.h; there are no flags",
			       "monitor of source %u with flags 0x%x", opts.source, opts.flags);
	if (ret)
		return ret;
	mon = calloc(1, sizeof(*mon));
	ret = mon ? monitor_open(mon, opts.source) : -ENOMEM;
	if (ret) {
		free(mon);
		return ifd_fail(ret, NULL, "listen to which devices come and go");
	}
	mon->owner = getpid();
	*out = mon;
	return 0;
}

EXPORT void iommufd_monitor_free(struct iommufd_monitor *mon)
{
	if (!mon)
		return;
	udev_monitor_unref(mon->socket);
	ifd_found_free(mon->found);
	free(mon);
}

EXPORT int iommufd_monitor_fd(const struct iommufd_monitor *mon)
{
	return udev_monitor_get_fd(mon->socket);
}

/* Of a device that may be gone: then sysfs would tell of nothing, or of what has come since. */
static int found_by_path(const char *path, size_t len, struct ifd_found **out)
{
	char *mine = strndup(path, len);
	struct ifd_found *found = mine ? ifd_found_new(strrchr(mine, '/') + 1) : NULL;

	if (!found) {
		free(mine);
		return -ENOMEM;
	}
	free(found->path);
	found->path = mine;
	*out = found;
	return 0;
}

/* Where the path of a device ends in that of what VFIO has made below it; all of another path. */
static size_t length_of_parent(const char *path)
{
	const char *child = strstr(path, "/vfio-dev/");

	return child ? (size_t)(child - path) : strlen(path);
}

/* Which event it is, 0 for none. VFIO makes and removes its child while the driver is at work. */
static uint32_t type_of(struct udev_device *dev)
{
	const char *action = udev_device_get_action(dev), *subsystem = udev_device_get_subsystem(dev);
	bool child = subsystem && !strcmp(subsystem, "vfio-dev");

	if (!action)
		return 0;
	if (!strcmp(action, "remove"))
		return child ? IOMMUFD_MONITOR_UNBOUND : IOMMUFD_MONITOR_REMOVED;
	if (!child && !strcmp(action, "add"))
		return IOMMUFD_MONITOR_ADDED;
	return !child && !strcmp(action, "bind") ? IOMMUFD_MONITOR_BOUND : 0;
}

/* An event has the driver of its moment, and what is found below the device may be another one's, of now. */
static bool is_bound_still(const struct ifd_found *found)
{
	char path[PATH_MAX], target[PATH_MAX], *now;

	snprintf(path, sizeof(path), "%s/driver", found->path);
	if (!found->vfio || found->coming || ifd_sys_readlink(path, target, sizeof(target)) < 0)
		return false;
	now = strrchr(target, '/');
	return now && found->driver && !strcmp(now + 1, found->driver);
}

/* 1 with a device, 0 when it is of no interest, or -errno. */
static int look_at(struct udev_device *dev, uint32_t type, struct ifd_found **out)
{
	const char *path = udev_device_get_syspath(dev);
	int ret;

	if (!type)
		return 0;
	if (type == IOMMUFD_MONITOR_REMOVED || type == IOMMUFD_MONITOR_UNBOUND)
		ret = found_by_path(path, length_of_parent(path), out);
	else
		ret = ifd_udev_found(dev, out);
	if (ret || type != IOMMUFD_MONITOR_BOUND || is_bound_still(*out))
		return ret ? ret : 1;
	/* To another driver, or it is unbound again, which the next events tell. */
	ifd_found_free(*out);
	*out = NULL;
	return 0;
}

/* 1 with an event, 0 for none so far, -EAGAIN for one of no interest; or -errno, without words. */
static int next(struct iommufd_monitor *mon, uint32_t *type)
{
	struct ifd_found *found = NULL;
	struct udev_device *dev;
	int ret;

	errno = 0;
	dev = udev_monitor_receive_device(mon->socket);
	if (!dev && errno && errno != EAGAIN && errno != EINTR)
		return -errno;
	/* An event that libudev leaves out looks to it like none. */
	if (!dev)
		return ifd_sys_wait_readable(iommufd_monitor_fd(mon), 0) > 0 ? -EAGAIN : 0;
	*type = type_of(dev);
	ret = look_at(dev, *type, &found);
	udev_device_unref(dev);
	if (ret <= 0)
		return ret ? ret : -EAGAIN;
	ifd_found_free(mon->found);
	mon->found = found;
	return 1;
}

EXPORT int iommufd_monitor_read(struct iommufd_monitor *mon, struct iommufd_monitor_event *event)
{
	struct iommufd_monitor_event mine = { .group = -1 };
	int ret = ifd_info_check(event, IFD_END_OF(struct iommufd_monitor_event, type), "monitor event");

	if (ret)
		return ret;
	if (mon->owner != getpid())
		return ifd_fail(-EPERM, "make one in the child", "read a monitor of the parent process");
	do
		ret = next(mon, &mine.type);
	while (ret == -EAGAIN);
	if (ret < 0)
		return ifd_fail(
			ret, ret == -ENOBUFS ? "events were lost: look at what is there now, by iommufd_probe()" : NULL,
			"read which devices come and go");
	if (!ret)
		return 0;
	mine.name = mon->found->name;
	mine.path = mon->found->path;
	mine.driver = mon->found->driver;
	mine.cdev = mon->found->cdev;
	mine.group = mon->found->group;
	ifd_info_write(event, &mine, sizeof(mine));
	return 1;
}
