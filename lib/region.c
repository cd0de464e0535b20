/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "caps.h"
#include "internal.h"
#include "udev.h"
#include "uapi/vfio.h"

/* Asks the kernel each time: a region's flags follow what is in its capabilities, and one ioctl is cheap here. */
static int region_get(struct iommufd_device *dev, const char *what, uint32_t index, struct vfio_region_info **info,
		      size_t *len)
{
	struct vfio_region_info request = { .argsz = sizeof(request), .index = index };
	void *answer;
	int ret = ifd_device_ready(dev, what);

	if (ret)
		return ret;
	if (index >= dev->num_regions)
		return ifd_fail(-EINVAL, "see num_regions of iommufd_device_get_info()", "%s %u of %s, which has %u",
				what, index, dev->found->name, dev->num_regions);
	ret = ifd_caps_ioctl(&dev->ctx->log, dev->fd, VFIO_DEVICE_GET_REGION_INFO, &request, sizeof(request), &answer,
			     len);
	if (ret)
		return ifd_fail(ret, ret == -EINVAL ? "the device does not have it" : NULL, "%s %u of %s", what, index,
				dev->found->name);
	*info = answer;
	return 0;
}

EXPORT int iommufd_device_region_info(struct iommufd_device *dev, uint32_t index, struct iommufd_region_info *info)
{
	struct iommufd_region_info mine = { .index = index };
	struct vfio_region_info *found;
	size_t len;
	int ret;

	ret = ifd_info_check(info, IFD_END_OF(struct iommufd_region_info, index), "region info");
	if (!ret)
		ret = region_get(dev, "region", index, &found, &len);
	if (ret)
		return ret;
	mine.size = found->size;
	if (found->flags & VFIO_REGION_INFO_FLAG_READ)
		mine.flags |= IOMMUFD_REGION_READ;
	if (found->flags & VFIO_REGION_INFO_FLAG_WRITE)
		mine.flags |= IOMMUFD_REGION_WRITE;
	if (found->flags & VFIO_REGION_INFO_FLAG_MMAP)
		mine.flags |= IOMMUFD_REGION_MMAP;
	free(found);
	ifd_info_write(info, &mine, sizeof(mine));
	return 0;
}

static int check_range(const struct iommufd_device *dev, const struct vfio_region_info *info, uint64_t offset,
		       size_t len)
{
	if (offset <= info->size && len <= info->size - offset)
		return 0;
	return ifd_fail(-ERANGE, "stay inside of the region",
			"%zu bytes at offset 0x%" PRIx64 " of region %u of %s, which has %" PRIu64, len, offset,
			info->index, dev->found->name, info->size);
}

/* What the kernel moved at once: all, or less where a part of the region cannot be reached. */
static int check_moved(const struct iommufd_device *dev, ssize_t moved, size_t len, const char *what)
{
	if (moved >= 0 && (size_t)moved == len)
		return 0;
	return ifd_fail(moved < 0 ? (int)moved : -EIO, "the device's memory may be disabled, or the device be gone",
			"%s %s: %zd of %zu bytes", what, dev->found->name, moved < 0 ? 0 : moved, len);
}

/* Returns where in the device's descriptor the access goes. */
static int access_at(struct iommufd_device *dev, uint32_t index, uint64_t offset, size_t len, uint32_t flag,
		     uint64_t *at)
{
	struct vfio_region_info *info;
	size_t size;
	int ret = region_get(dev, "region", index, &info, &size);

	if (ret)
		return ret;
	ret = check_range(dev, info, offset, len);
	if (!ret && !(info->flags & flag))
		ret = ifd_fail(-EINVAL, "see the flags of iommufd_device_region_info()", "%s region %u of %s",
			       flag == VFIO_REGION_INFO_FLAG_READ ? "read" : "write", index, dev->found->name);
	*at = info->offset + offset;
	free(info);
	return ret;
}

EXPORT int iommufd_device_region_read(struct iommufd_device *dev, uint32_t index, uint64_t offset, void *buf,
				      size_t len)
{
	uint64_t at;
	int ret = access_at(dev, index, offset, len, VFIO_REGION_INFO_FLAG_READ, &at);

	return ret ? ret : check_moved(dev, ifd_sys_pread(dev->fd, buf, len, at), len, "read from");
}

EXPORT int iommufd_device_region_write(struct iommufd_device *dev, uint32_t index, uint64_t offset, const void *buf,
				       size_t len)
{
	uint64_t at;
	int ret = access_at(dev, index, offset, len, VFIO_REGION_INFO_FLAG_WRITE, &at);

	return ret ? ret : check_moved(dev, ifd_sys_pwrite(dev->fd, buf, len, at), len, "write to");
}

/* Without the capability the whole region may be mapped. */
static bool in_sparse_area(const struct vfio_region_info *info, size_t answer_len, uint64_t offset, size_t len)
{
	const struct vfio_region_info_cap_sparse_mmap *cap;
	size_t room, count;

	if (!(info->flags & VFIO_REGION_INFO_FLAG_CAPS))
		return true;
	cap = ifd_caps_find(info, answer_len, info->cap_offset, VFIO_REGION_INFO_CAP_SPARSE_MMAP, sizeof(*cap), &room);
	if (!cap)
		return true;
	count = (room - sizeof(*cap)) / sizeof(cap->areas[0]);
	count = cap->nr_areas < count ? cap->nr_areas : count;
	for (size_t i = 0; i < count; i++)
		if (offset >= cap->areas[i].offset && offset - cap->areas[i].offset <= cap->areas[i].size &&
		    len <= cap->areas[i].size - (offset - cap->areas[i].offset))
			return true;
	return false;
}

static int check_window(const struct iommufd_device *dev, const struct vfio_region_info *info, size_t answer_len,
			uint64_t offset, size_t len)
{
	int ret = check_range(dev, info, offset, len);

	if (ret)
		return ret;
	if (!(info->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return ifd_fail(-EOPNOTSUPP, "use iommufd_device_region_read() and iommufd_device_region_write()",
				"map region %u of %s", info->index, dev->found->name);
	if (!in_sparse_area(info, answer_len, offset, len))
		return ifd_fail(-EOPNOTSUPP, "map the parts beside it, and reach it by iommufd_device_region_read()",
				"map 0x%" PRIx64 " of region %u of %s: the device hides some of it", offset,
				info->index, dev->found->name);
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

EXPORT int iommufd_device_region_map(struct iommufd_device *dev, uint32_t index, uint64_t offset, size_t len, int prot,
				     void **out)
{
	struct vfio_region_info *info = NULL;
	struct ifd_window *window = NULL;
	size_t answer_len;
	int ret;

	ret = ifd_device_ready(dev, "map a region");
	if (!ret)
		ret = check_window_args(dev, offset, len, prot);
	if (!ret)
		ret = region_get(dev, "region", index, &info, &answer_len);
	if (ret)
		return ret;
	ret = check_window(dev, info, answer_len, offset, len);
	if (ret)
		goto out;

	window = calloc(1, sizeof(*window));
	ret = window ? ifd_sys_mmap(dev->fd, info->offset + offset, len, prot, MAP_SHARED, &window->addr) : -ENOMEM;
	if (ret) {
		free(window);
		ret = ifd_fail(ret, NULL, "map region %u of %s", index, dev->found->name);
		goto out;
	}
	window->len = len;
	pthread_mutex_lock(&dev->lock);
	window->next = dev->windows;
	dev->windows = window;
	pthread_mutex_unlock(&dev->lock);
	*out = window->addr;
out:
	free(info);
	return ret;
}

static void window_free(struct ifd_window *window)
{
	ifd_sys_munmap(window->addr, window->len);
	free(window);
}

EXPORT int iommufd_device_region_unmap(struct iommufd_device *dev, void *addr)
{
	struct ifd_window **at = &dev->windows, *window;

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
void ifd_region_unmap_all(struct iommufd_device *dev)
{
	struct ifd_window *window;

	ifd_lock(dev->ctx, &dev->lock);
	while ((window = dev->windows)) {
		dev->windows = window->next;
		window_free(window);
	}
	ifd_unlock(dev->ctx, &dev->lock);
}
