/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "caps.h"
#include "internal.h"
#include "peer.h"
#include "udev.h"
#include "uapi/vfio.h"

/* Longer than a thread takes to claim a BAR, and short for who uses one that a driver of the kernel has. */
#define TRIES 20

/* A region that the bus knows and a device lacks, which the kernel says of some by an error and of some by the size. */
static const struct vfio_region_info no_bytes;
static const struct ifd_region absent = { (struct vfio_region_info *)&no_bytes, sizeof(no_bytes) };

/* Offsets in files have a sign. From here on what is inside of the region can be added up. */
static bool in_a_file(const struct vfio_region_info *info)
{
	return info->offset <= INT64_MAX && info->size <= INT64_MAX - info->offset;
}

/* dev->lock is held. */
static int ask(struct iommufd_device *dev, uint32_t index, const struct ifd_region **out)
{
	struct vfio_region_info request = { .argsz = sizeof(request), .index = index };
	struct ifd_region *region;
	void *answer;
	int ret;

	if (!dev->regions)
		dev->regions = calloc(dev->num_regions, sizeof(*dev->regions));
	if (!dev->regions)
		return -ENOMEM;
	region = &dev->regions[index];
	*out = region;
	if (region->info)
		return 0;
	ret = ifd_caps_ioctl(&dev->ctx->log, dev->fd, VFIO_DEVICE_GET_REGION_INFO, &request, sizeof(request), &answer,
			     &region->len);
	if (!ret && !in_a_file(answer)) {
		free(answer);
		ret = -EPROTO;
	}
	if (!ret)
		region->info = answer;
	if (ret == -EINVAL)
		*out = &absent;
	return ret == -EINVAL ? 0 : ret;
}

/* The kernel is asked once an attach, since what a region is does not change: then an access is one system call. */
static int region_get(struct iommufd_device *dev, const char *what, uint32_t index, const struct ifd_region **out)
{
	int ret = ifd_device_ready(dev, what);

	if (ret)
		return ret;
	if (index >= dev->num_regions)
		return ifd_fail(-EINVAL, "see num_regions of iommufd_device_get_info()", "%s %u of %s, which has %u",
				what, index, dev->found->name, dev->num_regions);
	pthread_mutex_lock(&dev->lock);
	ret = ask(dev, index, out);
	pthread_mutex_unlock(&dev->lock);
	return ret ? ifd_fail(ret,
			      ret == -EPROTO ? "the kernel's answer has no end, or tells of bytes that no file can have"
					     : NULL,
			      "%s %u of %s", what, index, dev->found->name)
		   : 0;
}

EXPORT int iommufd_device_region_info(struct iommufd_device *dev, uint32_t index, struct iommufd_region_info *info)
{
	struct iommufd_region_info mine = { .index = index };
	const struct ifd_region *region;
	int ret;

	ret = ifd_info_check(info, IFD_END_OF(struct iommufd_region_info, index), "region info");
	if (!ret)
		ret = region_get(dev, "region", index, &region);
	if (ret)
		return ret;
	mine.size = region->info->size;
	if (region->info->flags & VFIO_REGION_INFO_FLAG_READ)
		mine.flags |= IOMMUFD_REGION_READ;
	if (region->info->flags & VFIO_REGION_INFO_FLAG_WRITE)
		mine.flags |= IOMMUFD_REGION_WRITE;
	if (region->info->flags & VFIO_REGION_INFO_FLAG_MMAP)
		mine.flags |= IOMMUFD_REGION_MMAP;
	ifd_info_write(info, &mine, sizeof(mine));
	return 0;
}

static int check_range(const struct iommufd_device *dev, uint32_t index, uint64_t size, uint64_t offset, size_t len)
{
	if (offset <= size && len <= size - offset)
		return 0;
	return ifd_fail(-ERANGE, size ? "stay inside of the region" : "the device has no such region",
			"%zu bytes at offset 0x%" PRIx64 " of region %u of %s, which has %" PRIu64, len, offset, index,
			dev->found->name, size);
}

/* A kernel that claims a BAR at its first use turns away a second thread that is the first as well. */
static bool again(int64_t ret, int *tries)
{
	if (ret != -EBUSY || ++*tries == TRIES)
		return false;
	ifd_sys_sleep_ms(1);
	return true;
}

static const char busy[] = "a driver of the kernel has claimed this region: /proc/iomem names it";

/* What the kernel moved at once: all, or less where a part of the region cannot be reached. */
static int check_moved(const struct iommufd_device *dev, ssize_t moved, size_t len, const char *what)
{
	if (moved >= 0 && (size_t)moved == len)
		return 0;
	return ifd_fail(moved < 0 ? (int)moved : -EIO,
			moved == -EBUSY ? busy : "the device's memory may be disabled, or the device be gone",
			"%s %s: %zd of %zu bytes", what, dev->found->name, moved < 0 ? 0 : moved, len);
}

/* Returns where in the device's descriptor the access goes. */
static int access_at(struct iommufd_device *dev, uint32_t index, uint64_t offset, size_t len, uint32_t flag,
		     uint64_t *at)
{
	const struct ifd_region *region;
	int ret = region_get(dev, "region", index, &region);

	if (!ret)
		ret = check_range(dev, index, region->info->size, offset, len);
	if (ret)
		return ret;
	if (!(region->info->flags & flag))
		return ifd_fail(-EINVAL, "see the flags of iommufd_device_region_info()", "%s region %u of %s",
				flag == VFIO_REGION_INFO_FLAG_READ ? "read" : "write", index, dev->found->name);
	*at = region->info->offset + offset;
	return 0;
}

EXPORT int iommufd_device_region_read(struct iommufd_device *dev, uint32_t index, uint64_t offset, void *buf,
				      size_t len)
{
	uint64_t at;
	int ret = access_at(dev, index, offset, len, VFIO_REGION_INFO_FLAG_READ, &at), tries = 0;
	ssize_t moved;

	if (ret)
		return ret;
	do
		moved = ifd_sys_pread(dev->fd, buf, len, at);
	while (again(moved, &tries));
	return check_moved(dev, moved, len, "read from");
}

int ifd_region_write(struct iommufd_device *dev, uint32_t index, uint64_t offset, const void *buf, size_t len)
{
	uint64_t at;
	int ret = access_at(dev, index, offset, len, VFIO_REGION_INFO_FLAG_WRITE, &at), tries = 0;
	ssize_t moved;

	if (ret)
		return ret;
	do
		moved = ifd_sys_pwrite(dev->fd, buf, len, at);
	while (again(moved, &tries));
	return check_moved(dev, moved, len, "write to");
}

/* What is written to configuration space may take the device's memory from those for whom it is mapped. */
EXPORT int iommufd_device_region_write(struct iommufd_device *dev, uint32_t index, uint64_t offset, const void *buf,
				       size_t len)
{
	bool renews = index == IOMMUFD_PCI_CONFIG && ifd_peers_due(dev, offset, buf, len);
	int ret = ifd_region_write(dev, index, offset, buf, len);

	return !ret && renews ? ifd_peers_restore(dev) : ret;
}

static bool in_area(const struct vfio_region_sparse_mmap_area *area, uint64_t offset, size_t len)
{
	return offset >= area->offset && offset - area->offset <= area->size &&
	       len <= area->size - (offset - area->offset);
}

/* Without the capability the whole region may be mapped. */
static bool in_sparse_area(const struct ifd_region *region, uint64_t offset, size_t len)
{
	struct vfio_region_info_cap_sparse_mmap cap;
	struct vfio_region_sparse_mmap_area area;
	const char *at;
	size_t room;

	if (!(region->info->flags & VFIO_REGION_INFO_FLAG_CAPS))
		return true;
	at = ifd_caps_find(region->info, region->len, region->info->cap_offset, VFIO_REGION_INFO_CAP_SPARSE_MMAP,
			   sizeof(cap), &room);
	if (!at)
		return true;
	memcpy(&cap, at, sizeof(cap));
	for (size_t i = 0; i < cap.nr_areas && i < (room - sizeof(cap)) / sizeof(area); i++) {
		memcpy(&area, at + sizeof(cap) + i * sizeof(area), sizeof(area));
		if (in_area(&area, offset, len))
			return true;
	}
	return false;
}

static int check_window(const struct iommufd_device *dev, uint32_t index, const struct ifd_region *region,
			uint64_t offset, size_t len)
{
	int ret;

	if (region->info->size && !(region->info->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return ifd_fail(-EOPNOTSUPP, "use iommufd_device_region_read() and iommufd_device_region_write()",
				"map region %u of %s", index, dev->found->name);
	ret = check_range(dev, index, region->info->size, offset, len);
	if (ret)
		return ret;
	if (!in_sparse_area(region, offset, len))
		return ifd_fail(-EOPNOTSUPP, "map the parts beside it, and reach it by iommufd_device_region_read()",
				"map 0x%" PRIx64 " of region %u of %s: the device hides some of it", offset, index,
				dev->found->name);
	return 0;
}

static int check_window_args(const struct iommufd_device *dev, uint64_t offset, size_t len, int prot)
{
	if (!len || ((offset | len) & (ifd_sys_page_size() - 1)))
		return ifd_fail(-EINVAL, "let both be multiples of the page size, and the length not 0",
				"map %zu bytes at 0x%" PRIx64 " of a region of %s", len, offset, dev->found->name);
	if (!(prot & (PROT_READ | PROT_WRITE)) || (prot & ~(PROT_READ | PROT_WRITE)))
		return ifd_fail(-EINVAL, "use PROT_READ, PROT_WRITE or both", "map a region of %s with protection 0x%x",
				dev->found->name, (unsigned int)prot);
	return 0;
}

int ifd_region_window(struct iommufd_device *dev, uint32_t index, uint64_t offset, size_t len, int prot, uint64_t *at)
{
	const struct ifd_region *region;
	int ret = check_window_args(dev, offset, len, prot);

	if (!ret)
		ret = region_get(dev, "region", index, &region);
	if (!ret)
		ret = check_window(dev, index, region, offset, len);
	if (!ret)
		*at = region->info->offset + offset;
	return ret;
}

EXPORT int iommufd_device_region_map(struct iommufd_device *dev, uint32_t index, uint64_t offset, size_t len, int prot,
				     void **out)
{
	const struct ifd_region *region;
	struct ifd_window *window;
	int ret, tries = 0;

	ret = ifd_device_ready(dev, "map a region");
	if (!ret)
		ret = check_window_args(dev, offset, len, prot);
	if (!ret)
		ret = region_get(dev, "region", index, &region);
	if (!ret)
		ret = check_window(dev, index, region, offset, len);
	if (ret)
		return ret;

	window = calloc(1, sizeof(*window));
	do
		ret = window ? ifd_sys_mmap(dev->fd, region->info->offset + offset, len, prot, MAP_SHARED,
					    &window->addr)
			     : -ENOMEM;
	while (again(ret, &tries));
	if (ret) {
		free(window);
		return ifd_fail(ret, ret == -EBUSY ? busy : NULL, "map region %u of %s", index, dev->found->name);
	}
	window->len = len;
	pthread_mutex_lock(&dev->lock);
	window->next = dev->windows;
	dev->windows = window;
	pthread_mutex_unlock(&dev->lock);
	*out = window->addr;
	return 0;
}

static void window_free(struct ifd_window *window)
{
	ifd_sys_munmap(window->addr, window->len);
	free(window);
}

EXPORT int iommufd_device_region_unmap(struct iommufd_device *dev, void *addr)
{
	struct ifd_window **at = &dev->windows, *window;
	int ret = ifd_ctx_check(dev->ctx, "unmap a region");

	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	while (*at && (*at)->addr != addr)
		at = &(*at)->next;
	window = *at;
	if (window)
		*at = window->next;
	pthread_mutex_unlock(&dev->lock);

	if (!window)
		return ifd_fail(-ENOENT, "give an address that iommufd_device_region_map() gave", "unmap %p of %s",
				addr, dev->found->name);
	window_free(window);
	return 0;
}

/* The kernel counts a mapping as a use of the device, which would then not be closed. */
void ifd_region_close_all(struct iommufd_device *dev)
{
	struct ifd_window *window;

	ifd_lock(dev->ctx, &dev->lock);
	while ((window = dev->windows)) {
		dev->windows = window->next;
		window_free(window);
	}
	for (uint32_t i = 0; dev->regions && i < dev->num_regions; i++)
		free(dev->regions[i].info);
	free(dev->regions);
	dev->regions = NULL;
	ifd_unlock(dev->ctx, &dev->lock);
}
