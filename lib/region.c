/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What a device's regions are, and access to them through the kernel. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "allow.h"
#include "caps.h"
#include "internal.h"
#include "pci.h"
#include "peer.h"
#include "udev.h"
#include "uapi/vfio.h"

/* Longer than a thread takes to claim a BAR, and short for who uses one that a driver of the kernel has. */
#define TRIES 20

/* A region that the bus knows and a device lacks, which the kernel says of some by an error and of some by the size. */
static const struct vfio_region_info no_bytes;
static const struct ifd_region absent = { (struct vfio_region_info *)&no_bytes, sizeof(no_bytes), NULL, 0 };

/* Offsets in files have a sign. From here on what is inside of the region can be added up. */
static bool in_a_file(const struct vfio_region_info *info)
{
	return info->offset <= INT64_MAX && info->size <= INT64_MAX - info->offset;
}

/* ---- What it is ---- */

/* NULL when the region does not have it. */
static const char *capability(const struct ifd_region *region, uint16_t id, size_t size, size_t *room)
{
	if (!(region->info->flags & VFIO_REGION_INFO_FLAG_CAPS))
		return NULL;
	return ifd_caps_find(region->info, region->len, region->info->cap_offset, id, size, room);
}

/* What of an area is whole pages of the region, of which the last may go beyond its end. */
static bool clip(const struct vfio_region_sparse_mmap_area *area, uint64_t size, struct iommufd_range *out)
{
	uint64_t page = ifd_sys_page_size(), start, end;

	if (area->offset >= size)
		return false;
	end = area->size < size - area->offset ? area->offset + area->size : size;
	end = end == size ? (end + page - 1) & ~(page - 1) : end & ~(page - 1);
	start = (area->offset + page - 1) & ~(page - 1);
	*out = (struct iommufd_range){ start, end - 1 };
	return start < end;
}

/* Without the capability that lists areas the whole region can be mapped. */
static int learn_areas(struct ifd_region *region)
{
	struct vfio_region_info_cap_sparse_mmap cap;
	struct vfio_region_sparse_mmap_area area = { 0, region->info->size };
	size_t count = 1, room;
	const char *at;

	if (!(region->info->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;
	at = capability(region, VFIO_REGION_INFO_CAP_SPARSE_MMAP, sizeof(cap), &room);
	if (at) {
		memcpy(&cap, at, sizeof(cap));
		room = (room - sizeof(cap)) / sizeof(area);
		count = cap.nr_areas < room ? cap.nr_areas : room;
	}
	if (!count)
		return 0;
	region->areas = calloc(count, sizeof(*region->areas));
	if (!region->areas)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (at)
			memcpy(&area, at + sizeof(cap) + i * sizeof(area), sizeof(area));
		if (clip(&area, region->info->size, &region->areas[region->num_areas]))
			region->num_areas++;
	}
	region->num_areas = ifd_ranges_merge(region->areas, region->num_areas);
	return 0;
}

/* dev->lock is held. */
static int ask(struct iommufd_device *dev, uint32_t index, const struct ifd_region **out)
{
	struct vfio_region_info request = { .argsz = sizeof(request), .index = index };
	struct ifd_region *region, answer = { NULL, 0, NULL, 0 };
	int ret;

	if (!dev->regions)
		dev->regions = calloc(dev->num_regions, sizeof(*dev->regions));
	if (!dev->regions)
		return -ENOMEM;
	region = &dev->regions[index];
	*out = region;
	if (region->info)
		return 0;
	ret = ifd_caps_ioctl(&dev->ctx->log, dev->fd, VFIO_DEVICE_GET_REGION_INFO, &request, sizeof(request),
			     (void **)&answer.info, &answer.len);
	if (!ret)
		ret = in_a_file(answer.info) ? learn_areas(&answer) : -EPROTO;
	if (!ret)
		*region = answer;
	else
		free(answer.info);
	if (ret == -EINVAL)
		*out = &absent;
	return ret == -EINVAL ? 0 : ret;
}

/* The kernel is asked once an attach, since what a region is does not change: then an access is one system call. */
int ifd_region_get(struct iommufd_device *dev, const char *what, uint32_t index, const struct ifd_region **out)
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

static void add_capabilities(const struct ifd_region *region, struct iommufd_region_info *info)
{
	struct vfio_region_info_cap_type type;
	const char *at;
	size_t room;

	if (capability(region, VFIO_REGION_INFO_CAP_SPARSE_MMAP, sizeof(struct vfio_region_info_cap_sparse_mmap),
		       &room))
		info->flags |= IOMMUFD_REGION_SPARSE;
	if (capability(region, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, sizeof(struct vfio_info_cap_header), &room))
		info->flags |= IOMMUFD_REGION_MSIX_MAPPABLE;
	at = capability(region, VFIO_REGION_INFO_CAP_TYPE, sizeof(type), &room);
	if (!at)
		return;
	memcpy(&type, at, sizeof(type));
	info->flags |= IOMMUFD_REGION_TYPE;
	info->type = type.type;
	info->subtype = type.subtype;
}

EXPORT int iommufd_device_region_info(struct iommufd_device *dev, uint32_t index, struct iommufd_region_info *info)
{
	struct iommufd_region_info mine = { .index = index };
	const struct ifd_region *region;
	int ret;

	ret = ifd_info_check(info, IFD_END_OF(struct iommufd_region_info, index), "region info");
	if (!ret)
		ret = ifd_region_get(dev, "region", index, &region);
	if (ret)
		return ret;
	mine.size = region->info->size;
	if (region->info->flags & VFIO_REGION_INFO_FLAG_READ)
		mine.flags |= IOMMUFD_REGION_READ;
	if (region->info->flags & VFIO_REGION_INFO_FLAG_WRITE)
		mine.flags |= IOMMUFD_REGION_WRITE;
	if (region->info->flags & VFIO_REGION_INFO_FLAG_MMAP)
		mine.flags |= IOMMUFD_REGION_MMAP;
	add_capabilities(region, &mine);
	ifd_info_write(info, &mine, sizeof(mine));
	return 0;
}

EXPORT int iommufd_device_region_areas(struct iommufd_device *dev, uint32_t index, struct iommufd_range *areas,
				       size_t max)
{
	const struct ifd_region *region;
	int ret = ifd_region_get(dev, "region", index, &region);

	if (ret)
		return ret;
	if (max && region->num_areas)
		memcpy(areas, region->areas, (max < region->num_areas ? max : region->num_areas) * sizeof(*areas));
	return (int)region->num_areas;
}

static void forget_all(struct iommufd_device *dev)
{
	for (uint32_t i = 0; dev->regions && i < dev->num_regions; i++) {
		free(dev->regions[i].info);
		free(dev->regions[i].areas);
	}
	free(dev->regions);
	dev->regions = NULL;
}

/* ---- Access ---- */

int ifd_region_check_range(const struct iommufd_device *dev, uint32_t index, uint64_t size, uint64_t offset, size_t len)
{
	if (offset <= size && len <= size - offset)
		return 0;
	return ifd_fail(-ERANGE, size ? "stay inside of the region" : "the device has no such region",
			"%zu bytes at offset 0x%" PRIx64 " of region %u of %s, which has %" PRIu64, len, offset, index,
			dev->found->name, size);
}

bool ifd_region_again(int64_t ret, int *tries)
{
	if (ret != -EBUSY || ++*tries == TRIES)
		return false;
	ifd_sys_sleep_ms(1);
	return true;
}

const char ifd_region_busy[] = "a driver of the kernel has claimed this region: /proc/iomem names it";

/* What the kernel moved at once: all, or less where a part of the region cannot be reached. */
static int check_moved(const struct iommufd_device *dev, ssize_t moved, size_t len, const char *what)
{
	if (moved >= 0 && (size_t)moved == len)
		return 0;
	return ifd_fail(moved < 0 ? (int)moved : -EIO,
			moved == -EBUSY ? ifd_region_busy
					: "the device's memory may be disabled, or the device be gone",
			"%s %s: %zd of %zu bytes", what, dev->found->name, moved < 0 ? 0 : moved, len);
}

int ifd_region_at(struct iommufd_device *dev, uint32_t index, uint64_t offset, size_t len, uint32_t flag, uint64_t *at)
{
	const struct ifd_region *region;
	int ret = ifd_region_get(dev, "region", index, &region);

	if (!ret)
		ret = ifd_region_check_range(dev, index, region->info->size, offset, len);
	if (ret)
		return ret;
	if (!(region->info->flags & flag))
		return ifd_fail(-EINVAL, "see the flags of iommufd_device_region_info()", "%s region %u of %s",
				flag == VFIO_REGION_INFO_FLAG_READ ? "read" : "write", index, dev->found->name);
	*at = region->info->offset + offset;
	return 0;
}

/* Linux moves a page less than 2 GiB at once. */
#define MOST ((size_t)1 << 30)

/* What nobody answers is read as, and what a device may well say too. */
static bool only_ones(const unsigned char *buf, size_t len)
{
	return len && *buf == 0xff && !memcmp(buf, buf + 1, len - 1);
}

/* Reads or writes; the bytes of a write are only read. One system call, unless there is more than that. */
static int move_bytes(struct iommufd_device *dev, uint32_t index, uint64_t offset, unsigned char *buf, size_t len,
		      uint32_t flag)
{
	bool reads = flag == VFIO_REGION_INFO_FLAG_READ;
	size_t done = 0, part;
	uint64_t at;
	int ret = ifd_region_at(dev, index, offset, len, flag, &at), tries = 0;
	ssize_t moved;

	if (ret)
		return ret;
	do {
		part = len - done < MOST ? len - done : MOST;
		do
			moved = reads ? ifd_sys_pread(dev->fd, buf + done, part, at + done)
				      : ifd_sys_pwrite(dev->fd, buf + done, part, at + done);
		while (ifd_region_again(moved, &tries));
		done += moved > 0 ? (size_t)moved : 0;
	} while (done < len && moved == (ssize_t)part);
	ret = check_moved(dev, moved < 0 ? moved : (ssize_t)done, len, reads ? "read from" : "write to");
	return ret || !reads || !only_ones(buf, len) ? ret : ifd_pci_check_there(dev, "read from");
}

EXPORT int iommufd_device_region_read(struct iommufd_device *dev, uint32_t index, uint64_t offset, void *buf,
				      size_t len)
{
	return move_bytes(dev, index, offset, buf, len, VFIO_REGION_INFO_FLAG_READ);
}

int ifd_region_write(struct iommufd_device *dev, uint32_t index, uint64_t offset, const void *buf, size_t len)
{
	return move_bytes(dev, index, offset, (unsigned char *)(uintptr_t)buf, len, VFIO_REGION_INFO_FLAG_WRITE);
}

/* What is written to configuration space may take the device's memory from those for whom it is mapped. */
EXPORT int iommufd_device_region_write(struct iommufd_device *dev, uint32_t index, uint64_t offset, const void *buf,
				       size_t len)
{
	bool renews;
	int ret;

	if (index != IOMMUFD_PCI_CONFIG)
		return ifd_region_write(dev, index, offset, buf, len);
	ret = ifd_pci_check_there(dev, "write to");
	if (ret)
		return ret;
	renews = ifd_peers_due(dev, offset, buf, len);
	ret = ifd_pci_write(dev, offset, buf, len);
	return !ret && renews ? ifd_peers_restore(dev) : ret;
}

void ifd_region_close_all(struct iommufd_device *dev)
{
	ifd_lock(dev->ctx, &dev->lock);
	ifd_ioevent_close_all(dev);
	ifd_window_close_all(dev);
	forget_all(dev);
	ifd_unlock(dev->ctx, &dev->lock);
}
