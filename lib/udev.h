/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Finding devices with libudev. Internal. */
#ifndef IFD_UDEV_H
#define IFD_UDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is known of a device without opening it. Strings belong to it; NULL for none. */
struct ifd_found {
	char *name; /* PCI address, mdev UUID */
	char *path; /* in sysfs */
	char *driver;
	char *cdev; /* node under /dev/vfio/devices */
	int group;  /* -1 for none */
	uint32_t pci_id, pci_class;
	bool vfio;    /* bound to a VFIO driver */
	bool noiommu; /* and that without an IOMMU, which the administrator allowed: its DMA reaches any memory */
	bool coming;  /* the driver is not done: what VFIO makes for the device, perhaps a node, is not there yet */
};

struct ifd_found_list {
	struct ifd_found **devices;
	size_t count;
};

/*
 * By PCI address, directory in sysfs, mdev UUID or node. -EINVAL: none of these; -ENOENT: no such device; -ENOMEM.
 * With words.
 */
int ifd_udev_find(const char *address, struct ifd_found **out);

/* The buses that the kernel has VFIO drivers for; NULL behind the last. */
extern const char *const ifd_udev_buses[];

/* Of a device that an event tells of, as it is now. 0, or -errno without words. */
struct udev_device;
int ifd_udev_found(struct udev_device *dev, struct ifd_found **out);

/* Whether a text has the form of one. */
bool ifd_is_uuid(const char *text);

/* The same as the kernel writes it, in lower case, with its end: IFD_UUID_SIZE bytes. */
#define IFD_UUID_SIZE 37
void ifd_uuid_copy(char *to, const char *uuid);

/* Whether VFIO gives a device up, and at most waits for who has it open. Not before Linux 6.1: then false. */
bool ifd_udev_leaves(const struct ifd_found *found);

/* By the device number of an open node under /dev/vfio/devices. -EINVAL, with words, when it is no such node. */
int ifd_udev_find_fd(int fd, struct ifd_found **out);

/* Of an open node of a group its number. -EBADF, or -EINVAL when it is no such node; with words. */
int ifd_udev_group_of_fd(int fd, int *id);

/*
 * The devices of a group, of all buses whose devices can be opened; with -1 all that have a group or a VFIO driver. By
 * name. -ENOMEM.
 */
int ifd_udev_group(int group, struct ifd_found_list *list);

/* What the system has made of a device: a disk, a partition, a network interface. Strings live during the call. */
struct ifd_below {
	const char *name;
	const char *path; /* in sysfs */
	const char *node; /* or NULL */
	unsigned int major, minor;
};

/* All that a subsystem has below a device. What cannot be looked at is left out. */
typedef void (*ifd_below_fn)(void *data, const struct ifd_below *below);
void ifd_udev_below(const struct ifd_found *found, const char *subsystem, ifd_below_fn fn, void *data);

/* Of a device of which nothing but a name is known, given by who has bound it. NULL on no memory. */
struct ifd_found *ifd_found_new(const char *name);
void ifd_found_free(struct ifd_found *found);
void ifd_found_list_free(struct ifd_found_list *list);

#endif
