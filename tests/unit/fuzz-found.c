/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The devices that are found: two of one group, one without a node of its own, and two without an IOMMU. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "fuzz-answers.h"
#include "fuzz-kernel.h"
#include "udev.h"

static const struct {
	const char *name, *driver, *cdev;
	int group;
	bool noiommu;
} devices[] = {
	{ "0000:00:03.0", "vfio-pci", "/dev/vfio/devices/vfio0", 7, false },
	{ "0000:00:03.1", NULL, "/dev/vfio/devices/vfio1", 7, false },
	{ "0000:00:04.0", "vfio-pci", NULL, 8, false },
	{ "0000:00:05.0", "vfio-pci", "/dev/vfio/devices/noiommu-vfio2", -1, true },
	{ "0000:00:06.0", "vfio-pci", NULL, 9, true },
};

#define DEVICES (sizeof(devices) / sizeof(devices[0]))

const char *fuzz_device(size_t i)
{
	return i < DEVICES ? devices[i].name : NULL;
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static struct ifd_found *found_new(size_t i)
{
	struct ifd_found *found = malloc(sizeof(*found));

	*found = (struct ifd_found){
		.name = copy(devices[i].name),
		.path = copy("/sys/devices/pci0000:00/somewhere"),
		.driver = copy(devices[i].driver),
		.cdev = copy(devices[i].cdev),
		.group = devices[i].group,
		.pci_id = 0x12345678,
		.vfio = true,
		.noiommu = devices[i].noiommu,
	};
	return found;
}

int __wrap_ifd_udev_find(const char *address, struct ifd_found **out);
int __wrap_ifd_udev_find(const char *address, struct ifd_found **out)
{
	for (size_t i = 0; i < DEVICES; i++)
		if (!strcmp(address, devices[i].name)) {
			*out = found_new(i);
			return 0;
		}
	return ifd_fail(-ENOENT, NULL, "find the device %s", address);
}

int __wrap_ifd_udev_find_fd(int fd, struct ifd_found **out);
int __wrap_ifd_udev_find_fd(int fd, struct ifd_found **out)
{
	*out = found_new((size_t)fd % DEVICES);
	return 0;
}

/* Whether a node that was late is there by now. */
int __wrap_ifd_sys_access(const char *path);
int __wrap_ifd_sys_access(const char *path)
{
	(void)path;
	return fuzz_byte() & 1 ? -ENOENT : 0;
}

int __wrap_ifd_udev_group_of_fd(int fd, int *id);
int __wrap_ifd_udev_group_of_fd(int fd, int *id)
{
	*id = 7 + fd % 2;
	return 0;
}

int __wrap_ifd_udev_group(int group, struct ifd_found_list *list);
int __wrap_ifd_udev_group(int group, struct ifd_found_list *list)
{
	list->devices = malloc(DEVICES * sizeof(struct ifd_found *));
	list->count = 0;
	for (size_t i = 0; i < DEVICES; i++)
		if (group < 0 || devices[i].group == group)
			list->devices[list->count++] = found_new(i);
	return 0;
}
