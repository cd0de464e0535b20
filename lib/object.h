/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Address spaces inside of an iommufd, by their number: what the iommufd backend maps into, and what either backend
 * makes for a moment to find out why an attach fails. Internal.
 */
#ifndef IFD_OBJECT_H
#define IFD_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libiommufd/base.h>

struct ifd_log;
struct ifd_map;
struct iommufd_device;
struct iommufd_ioas;

struct ifd_object {
	const struct ifd_log *log;
	int fd; /* the iommufd, or a container that is one */
	uint32_t id;
};

/* Makes one in `object->fd` and sets `object->id`. With words. */
int ifd_object_alloc(struct ifd_object *object);

/* The same of an object that is no address space, to which no device can be attached. -errno without words. */
int ifd_object_alloc_other(struct ifd_object *object);

/* Cannot fail; what the kernel would not do goes to the log. */
void ifd_object_destroy(const struct ifd_object *object);

/* 0, or -errno without words. */
int ifd_object_map(const struct ifd_object *object, const struct ifd_map *map);

/* The same of what another object of the iommufd has at this place. */
int ifd_object_copy(const struct ifd_object *object, uint32_t from, const struct ifd_map *map);

/* Ranges in memory that the caller frees, and the alignment. With words. */
int ifd_object_limits(const struct ifd_object *object, struct iommufd_range **ranges, size_t *count,
		      uint64_t *alignment);

/*
 * IOMMU_OPTION_RLIMIT_MODE of an iommufd: 1 when pinned memory is counted per process, since the program or a container
 * asked for that, 0 when per user. -errno, without words, when the file is no iommufd. Asking changes nothing.
 */
int ifd_object_by_process(const struct ifd_log *log, int fd);

/* Gets, sets or clears the IOAS that devices get when they are opened by their group. -errno without words. */
int ifd_object_compat(const struct ifd_log *log, int fd, uint16_t op, uint32_t *id);

/*
 * The kernel does not tell which mapping keeps a device from attaching, and what it permits can be asked only of an
 * object that it is attached to. So an empty one is made in `fd` and the device attached to it: the mappings are held
 * against its ranges, and then made there one by one. When one is found for the reason `err`, the errno with words;
 * else 0.
 */
struct ifd_scratch {
	int fd;
	int (*attach)(struct iommufd_device *dev, uint32_t id); /* 0, or -errno without words */
	void (*detach)(struct iommufd_device *dev);
};

int ifd_scratch_explain(const struct ifd_scratch *scratch, struct iommufd_device *dev, struct iommufd_ioas *ioas,
			int err);

#endif
