/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libudev.h>
#include <sys/sysmacros.h>

#include "internal.h"
#include "udev.h"

static char *copy(const char *text, bool *failed)
{
	char *mine = text ? strdup(text) : NULL;

	if (text && !mine)
		*failed = true;
	return mine;
}

static uint32_t hex_attribute(struct udev_device *dev, const char *name)
{
	const char *text = udev_device_get_sysattr_value(dev, name);

	return text ? (uint32_t)strtoul(text, NULL, 16) : 0;
}

/* What is not there, or has just gone, is an answer; another errno is none. */
static bool is_absent(ssize_t ret)
{
	return ret == -ENOENT || ret == -ENODEV;
}

/* The number, -1 for none. libudev does not follow this link. */
static int group_of(struct udev_device *dev, int *out)
{
	char path[PATH_MAX], target[PATH_MAX], *name, *end;
	ssize_t ret;
	long id;

	*out = -1;
	snprintf(path, sizeof(path), "%s/iommu_group", udev_device_get_syspath(dev));
	ret = ifd_sys_readlink(path, target, sizeof(target));
	if (ret < 0)
		return is_absent(ret) ? 0 : (int)ret;
	name = strrchr(target, '/');
	if (!name || !isdigit((unsigned char)name[1]))
		return 0;
	id = strtol(name + 1, &end, 10);
	if (!*end && id <= INT32_MAX)
		*out = (int)id;
	return 0;
}

static bool is_in(struct udev_device *dev, const char *subsystem)
{
	const char *its = udev_device_get_subsystem(dev);

	return its && !strcmp(its, subsystem);
}

/*
 * VFIO makes a group of its own for a device without an IOMMU, and names the group and the device's node after that.
 * Mediated devices, which make no DMA of their own, have such groups too.
 */
static int is_noiommu(struct udev_device *dev, struct udev_device *child, bool *out)
{
	char path[PATH_MAX], name[64] = "";
	ssize_t ret;

	*out = child && !strncmp(udev_device_get_sysname(child), "noiommu-", strlen("noiommu-"));
	if (*out || is_in(dev, "mdev"))
		return 0;
	snprintf(path, sizeof(path), "%s/iommu_group/name", udev_device_get_syspath(dev));
	ret = ifd_sys_read_text(path, name, sizeof(name));
	if (ret < 0)
		return is_absent(ret) ? 0 : (int)ret;
	*out = !strncmp(name, "vfio-noiommu", strlen("vfio-noiommu"));
	return 0;
}

static bool is_child(struct udev_device *child, struct udev_device *dev)
{
	struct udev_device *parent = udev_device_get_parent(child);

	return parent && !strcmp(udev_device_get_syspath(parent), udev_device_get_syspath(dev));
}

/* Before 6.1 a kernel knows no such children. */
static bool has_children(void)
{
	struct stat st;

	return !ifd_sys_stat("/sys/class/vfio-dev", &st);
}

bool ifd_udev_leaves(const struct ifd_found *found)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/vfio-dev", found->path);
	return ifd_sys_stat(path, &st) == -ENOENT && has_children();
}

/* The child that VFIO makes for a device that is bound to it; it has a node where the kernel has those. */
static struct udev_device *vfio_child(struct udev_device *dev)
{
	struct udev *udev = udev_device_get_udev(dev);
	struct udev_enumerate *below = udev_enumerate_new(udev);
	struct udev_list_entry *entry;
	struct udev_device *child = NULL;

	if (!below || udev_enumerate_add_match_parent(below, dev) < 0 ||
	    udev_enumerate_add_match_subsystem(below, "vfio-dev") < 0 || udev_enumerate_scan_devices(below) < 0) {
		udev_enumerate_unref(below);
		return NULL;
	}
	/* What is below a bridge counts the devices behind it too. */
	udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(below))
	{
		child = udev_device_new_from_syspath(udev, udev_list_entry_get_name(entry));
		if (child && is_child(child, dev))
			break;
		child = udev_device_unref(child);
	}
	udev_enumerate_unref(below);
	return child;
}

int ifd_udev_found(struct udev_device *dev, struct ifd_found **out)
{
	struct ifd_found *found = calloc(1, sizeof(*found));
	struct udev_device *child;
	bool failed = false;
	int ret;

	if (!found)
		return -ENOMEM;
	child = vfio_child(dev);
	found->name = copy(udev_device_get_sysname(dev), &failed);
	found->path = copy(udev_device_get_syspath(dev), &failed);
	found->driver = copy(udev_device_get_driver(dev), &failed);
	found->cdev = copy(child ? udev_device_get_devnode(child) : NULL, &failed);
	/* Kernels before 6.1 have no such child; all VFIO drivers that they know say so in their name. */
	found->vfio = child || (found->driver && strstr(found->driver, "vfio"));
	found->coming = found->vfio && !child && has_children();
	if (is_in(dev, "pci")) {
		found->pci_id = hex_attribute(dev, "vendor") << 16 | (hex_attribute(dev, "device") & 0xffff);
		found->pci_class = hex_attribute(dev, "class");
	}
	ret = failed ? -ENOMEM : group_of(dev, &found->group);
	if (!ret)
		ret = is_noiommu(dev, child, &found->noiommu);
	udev_device_unref(child);
	if (ret)
		ifd_found_free(found);
	else
		*out = found;
	return ret;
}

struct ifd_found *ifd_found_new(const char *name)
{
	struct ifd_found *found = calloc(1, sizeof(*found));
	bool failed = false;

	if (!found)
		return NULL;
	*found =
		(struct ifd_found){ .name = copy(name, &failed), .path = copy("", &failed), .group = -1, .vfio = true };
	if (!failed)
		return found;
	ifd_found_free(found);
	return NULL;
}

void ifd_found_free(struct ifd_found *found)
{
	if (!found)
		return;
	free(found->name);
	free(found->path);
	free(found->driver);
	free(found->cdev);
	free(found);
}

/* 0000:00:03.0, or 00:03.0 in domain 0; the full form goes to `full`. */
static bool is_pci_address(const char *text, char *full, size_t size)
{
	unsigned int domain = 0, bus, slot, function;
	int end = 0;

	/* or %x would take signs, spaces and 0x */
	if (text[strspn(text, "0123456789abcdefABCDEF:.")])
		return false;
	if (sscanf(text, "%8x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &end) != 4 || text[end]) {
		domain = 0;
		if (sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &function, &end) != 3 || text[end])
			return false;
	}
	if (bus > 0xff || slot > 0x1f || function > 7)
		return false;
	snprintf(full, size, "%04x:%02x:%02x.%x", domain, bus, slot, function);
	return true;
}

bool ifd_is_uuid(const char *text)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (strlen(text) != strlen(form))
		return false;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != '-')
			return false;
	return true;
}

/* What is on the last two, of s390, is no device to be opened, but the parent of one. */
#define OPENED 6
const char *const ifd_udev_buses[] = { "pci", "mdev", "platform", "amba", "fsl-mc", "cdx", "ap", "css", NULL };

void ifd_uuid_copy(char *to, const char *uuid)
{
	do
		*to++ = (char)tolower((unsigned char)*uuid);
	while (*uuid++);
}

static bool on_a_bus(struct udev_device *dev)
{
	for (size_t i = 0; ifd_udev_buses[i]; i++)
		if (is_in(dev, ifd_udev_buses[i]))
			return true;
	return false;
}

/* The device itself, or what VFIO made below it. Not every folder of sysfs that has a `uevent` is a bus's device. */
static struct udev_device *from_sysfs(struct udev *udev, const char *path, int *err)
{
	struct udev_device *dev = udev_device_new_from_syspath(udev, path), *parent;

	if (!dev || on_a_bus(dev))
		return dev;
	parent = is_in(dev, "vfio-dev") ? udev_device_ref(udev_device_get_parent(dev)) : NULL;
	udev_device_unref(dev);
	if (!parent)
		*err = -EINVAL;
	return parent;
}

/* The device that a node under /dev/vfio/devices stands for: the parent of the one with the node's number. */
static struct udev_device *from_node(struct udev *udev, const struct stat *st)
{
	struct udev_device *child, *parent = NULL;

	if (!S_ISCHR(st->st_mode))
		return NULL;
	child = udev_device_new_from_devnum(udev, 'c', st->st_rdev);
	if (child && is_in(child, "vfio-dev"))
		parent = udev_device_ref(udev_device_get_parent(child));
	udev_device_unref(child);
	return parent;
}

/* Sets `err` to what it means when there is none. */
static struct udev_device *lookup(struct udev *udev, const char *address, int *err)
{
	char full[64];
	struct stat st;

	*err = -ENOENT;
	if (!strncmp(address, "/sys/", 5))
		return from_sysfs(udev, address, err);
	if (!strncmp(address, "/dev/", 5)) {
		int ret = ifd_sys_stat(address, &st);

		*err = ret ? ret : -EINVAL;
		return ret ? NULL : from_node(udev, &st);
	}
	if (is_pci_address(address, full, sizeof(full)))
		return udev_device_new_from_subsystem_sysname(udev, "pci", full);
	if (ifd_is_uuid(address)) {
		ifd_uuid_copy(full, address);
		return udev_device_new_from_subsystem_sysname(udev, "mdev", full);
	}
	*err = -EINVAL;
	return NULL;
}

int ifd_udev_find(const char *address, struct ifd_found **out)
{
	struct udev *udev = udev_new();
	struct udev_device *dev;
	int err;

	if (!udev)
		return ifd_fail(-ENOMEM, NULL, "look for %s", address);
	dev = lookup(udev, address, &err);
	if (dev)
		err = ifd_udev_found(dev, out);
	udev_device_unref(dev);
	udev_unref(udev);

	if (err)
		return ifd_fail(err,
				err == -EINVAL
					? "give a PCI address such as 0000:00:03.0, a directory under /sys, an mdev "
					  "UUID, or a node under /dev/vfio/devices"
				: err == -ENOENT ? "list what is there with lspci -D, or ls /dev/vfio/devices"
						 : NULL,
				"find the device %s", address);
	return 0;
}

int ifd_udev_find_fd(int fd, struct ifd_found **out)
{
	struct udev_device *dev;
	struct udev *udev;
	struct stat st;
	int ret;

	ret = ifd_sys_fstat(fd, &st);
	if (ret)
		return ifd_fail(ret, ret == -EBADF ? "give an open one" : NULL, "adopt file descriptor %d", fd);
	udev = udev_new();
	dev = udev ? from_node(udev, &st) : NULL;
	ret = udev && !dev ? -EINVAL : -ENOMEM;
	if (dev)
		ret = ifd_udev_found(dev, out);
	udev_device_unref(dev);
	udev_unref(udev);
	if (ret)
		return ifd_fail(ret, ret == -EINVAL ? "open a node under /dev/vfio/devices for it" : NULL,
				"adopt file descriptor %d as a device", fd);
	return 0;
}

/* "7", or "noiommu-7". */
static int group_number(struct udev_device *dev)
{
	const char *name = udev_device_get_sysname(dev), *dash = strrchr(name, '-');

	return is_in(dev, "vfio") ? atoi(dash ? dash + 1 : name) : -1;
}

int ifd_udev_group_of_fd(int fd, int *id)
{
	struct udev *udev;
	struct udev_device *dev;
	struct stat st;
	int ret = ifd_sys_fstat(fd, &st), number = -1;

	if (ret)
		return ifd_fail(ret, ret == -EBADF ? "give an open one" : NULL, "adopt file descriptor %d", fd);
	udev = udev_new();
	dev = udev && S_ISCHR(st.st_mode) ? udev_device_new_from_devnum(udev, 'c', st.st_rdev) : NULL;
	if (dev)
		number = group_number(dev);
	udev_device_unref(dev);
	udev_unref(udev);
	if (number < 0)
		return ifd_fail(-EINVAL, "open a group's node, /dev/vfio/NUMBER, for it",
				"adopt file descriptor %d as an IOMMU group", fd);
	*id = number;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct ifd_found *const *left = a, *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

static int add(struct ifd_found_list *list, struct udev_device *dev, int group)
{
	struct ifd_found **grown, *found;
	int its, ret = group_of(dev, &its);

	if (ret || (group >= 0 && its != group))
		return ret;
	ret = ifd_udev_found(dev, &found);
	if (ret)
		return ret;
	if (found->group < 0 && !found->vfio) {
		ifd_found_free(found);
		return 0;
	}
	grown = realloc(list->devices, (list->count + 1) * sizeof(struct ifd_found *));
	if (!grown) {
		ifd_found_free(found);
		return -ENOMEM;
	}
	list->devices = grown;
	list->devices[list->count++] = found;
	return 0;
}

static int scan(struct udev *udev, int group, struct ifd_found_list *list)
{
	struct udev_enumerate *all = udev_enumerate_new(udev);
	struct udev_list_entry *entry;
	int ret = 0;

	for (size_t i = 0; all && i < OPENED; i++)
		if (udev_enumerate_add_match_subsystem(all, ifd_udev_buses[i]) < 0)
			all = udev_enumerate_unref(all);
	if (!all)
		return -ENOMEM;
	udev_enumerate_scan_devices(all);
	udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(all))
	{
		struct udev_device *dev = udev_device_new_from_syspath(udev, udev_list_entry_get_name(entry));

		/* One that went away in the meantime is none. */
		ret = dev ? add(list, dev, group) : 0;
		udev_device_unref(dev);
		if (ret)
			break;
	}
	udev_enumerate_unref(all);
	return ret;
}

int ifd_udev_group(int group, struct ifd_found_list *list)
{
	struct udev *udev = udev_new();
	int ret;

	*list = (struct ifd_found_list){ .count = 0 };
	ret = udev ? scan(udev, group, list) : -ENOMEM;
	udev_unref(udev);
	if (ret) {
		ifd_found_list_free(list);
		return ret;
	}
	if (list->count)
		qsort(list->devices, list->count, sizeof(struct ifd_found *), by_name);
	return 0;
}

static void show_below(struct udev_device *dev, ifd_below_fn fn, void *data)
{
	dev_t number = udev_device_get_devnum(dev);

	fn(data, &(struct ifd_below){ udev_device_get_sysname(dev), udev_device_get_syspath(dev),
				      udev_device_get_devnode(dev), major(number), minor(number) });
}

void ifd_udev_below(const struct ifd_found *found, const char *subsystem, ifd_below_fn fn, void *data)
{
	struct udev *udev = udev_new();
	struct udev_device *top = udev ? udev_device_new_from_syspath(udev, found->path) : NULL, *dev;
	struct udev_enumerate *below = top ? udev_enumerate_new(udev) : NULL;
	struct udev_list_entry *entry;

	if (below && udev_enumerate_add_match_parent(below, top) >= 0 &&
	    udev_enumerate_add_match_subsystem(below, subsystem) >= 0 && udev_enumerate_scan_devices(below) >= 0) {
		udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(below))
		{
			dev = udev_device_new_from_syspath(udev, udev_list_entry_get_name(entry));
			if (dev)
				show_below(dev, fn, data);
			udev_device_unref(dev);
		}
	}
	udev_enumerate_unref(below);
	udev_device_unref(top);
	udev_unref(udev);
}

void ifd_found_list_free(struct ifd_found_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		ifd_found_free(list->devices[i]);
	free(list->devices);
	*list = (struct ifd_found_list){ .count = 0 };
}
