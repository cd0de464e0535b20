/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the files on regions share. Internal. */
#ifndef IFD_REGION_H
#define IFD_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libiommufd/base.h>

struct iommufd_device;
struct vfio_region_info;

/* What the kernel told of a region, with its capabilities; `info` is NULL while nobody has asked. */
struct ifd_region {
	struct vfio_region_info *info;
	size_t len;
	struct iommufd_range *areas; /* of whole pages, that can be mapped: ascending and apart; NULL for none */
	size_t num_areas;
};

/* With words that begin with `what`. The region stays until the device is detached. */
int ifd_region_get(struct iommufd_device *dev, const char *what, uint32_t index, const struct ifd_region **out);

/* -ERANGE with words unless the bytes are inside of `size`, which is the region's or a little more. */
int ifd_region_check_range(const struct iommufd_device *dev, uint32_t index, uint64_t size, uint64_t offset,
			   size_t len);

/* Where in the device's descriptor an access goes that has to have this flag; with words. */
int ifd_region_at(struct iommufd_device *dev, uint32_t index, uint64_t offset, size_t len, uint32_t flag, uint64_t *at);

/*
 * A kernel that claims a BAR at its first use turns away a second thread that is the first as well. Whether to try once
 * more, having slept for a moment; and what is to be said when that did not help.
 */
bool ifd_region_again(int64_t ret, int *tries);
extern const char ifd_region_busy[];

/* window.c: -EBUSY with words while something is mapped. */
int ifd_window_check_none(struct iommufd_device *dev);

/* With dev->lock held. window.c: unmaps what is mapped. In a child process too. */
void ifd_window_close_all(struct iommufd_device *dev);

/* ioevent.c: ends them all. In a child process the kernel is not asked. */
void ifd_ioevent_close_all(struct iommufd_device *dev);

#endif
