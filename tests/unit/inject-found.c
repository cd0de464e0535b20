/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The functions of lib/udev.h that find devices: they find those that a test has named, or what is here. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "inject.h"
#include "udev.h"

#define DEVICES 8

static const struct ifd_found *devices[DEVICES];
static size_t num_devices;
static bool by_path;

int __real_ifd_udev_find(const char *address, struct ifd_found **out);
int __real_ifd_udev_find_fd(int fd, struct ifd_found **out);
int __real_ifd_udev_group(int group, struct ifd_found_list *list);
int __real_ifd_udev_group_of_fd(int fd, int *id);
void *__real_calloc(size_t count, size_t size);

int __wrap_ifd_udev_find(const char *address, struct ifd_found **out);
int __wrap_ifd_udev_find_fd(int fd, struct ifd_found **out);
int __wrap_ifd_udev_group(int group, struct ifd_found_list *list);
int __wrap_ifd_udev_group_of_fd(int fd, int *id);

void inject_device(const struct ifd_found *device)
{
	for (size_t i = 0; i < num_devices; i++)
		if (devices[i] == device)
			return;
	ck_assert_uint_lt(num_devices, DEVICES);
	devices[num_devices++] = device;
}

void inject_found_by_path(bool on)
{
	by_path = on;
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static struct ifd_found *found_copy(const struct ifd_found *device)
{
	struct ifd_found *found = __real_calloc(1, sizeof(*found));

	*found = *device;
	found->name = copy(device->name);
	found->path = copy(device->path);
	found->driver = copy(device->driver);
	found->cdev = copy(device->cdev);
	return found;
}

int __wrap_ifd_udev_find(const char *address, struct ifd_found **out)
{
	for (size_t i = 0; i < num_devices; i++)
		if (!strcmp(address, devices[i]->name) || (by_path && !strcmp(address, devices[i]->path))) {
			*out = found_copy(devices[i]);
			return 0;
		}
	return __real_ifd_udev_find(address, out);
}

/* Any descriptor is the last device, which no scene opens by itself. */
int __wrap_ifd_udev_find_fd(int fd, struct ifd_found **out)
{
	if (!num_devices)
		return __real_ifd_udev_find_fd(fd, out);
	*out = found_copy(devices[num_devices - 1]);
	return 0;
}

int __wrap_ifd_udev_group_of_fd(int fd, int *id)
{
	if (!num_devices)
		return __real_ifd_udev_group_of_fd(fd, id);
	*id = devices[num_devices - 1]->group;
	return 0;
}

int __wrap_ifd_udev_group(int group, struct ifd_found_list *list)
{
	if (!num_devices)
		return __real_ifd_udev_group(group, list);
	list->devices = __real_calloc(DEVICES, sizeof(*list->devices));
	list->count = 0;
	for (size_t i = 0; i < num_devices; i++)
		if (group < 0 || devices[i]->group == group)
			list->devices[list->count++] = found_copy(devices[i]);
	return 0;
}
