/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Parts of a device's memory as a file that other drivers of the kernel take. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"
#include "peer.h"
#include "udev.h"
#include "uapi/vfio.h"

/* The kernel sets no limit; a BAR that is handed out piece by piece is handed out in pieces that mean something. */
#define MAX_PARTS 1024

static const char *hint_for(int err)
{
	switch (err) {
	case -EOPNOTSUPP:
		return "it takes a driver like vfio-pci of Linux 6.19 or newer, with CONFIG_VFIO_PCI_DMABUF";
	case -EINVAL:
		return "the kernel cannot hand it to other devices";
	case -ENODEV:
		return "only memory of a BAR can be had, and not once the device is gone";
	case -EMFILE:
		return "raise the limit of open files, see ulimit -n";
	default:
		return NULL;
	}
}

int ifd_dmabuf(struct iommufd_device *dev, uint32_t index, const struct vfio_region_dma_range *ranges, size_t count,
	       int flags)
{
	size_t size = sizeof(struct vfio_device_feature) + sizeof(struct vfio_device_feature_dma_buf) +
		      count * sizeof(*ranges);
	struct vfio_device_feature_dma_buf what = { .region_index = index,
						    .open_flags = (uint32_t)(flags | O_CLOEXEC),
						    .nr_ranges = (uint32_t)count };
	struct vfio_device_feature *cmd = calloc(1, size);
	int ret = -ENOMEM;

	if (cmd) {
		*cmd = (struct vfio_device_feature){ .argsz = (uint32_t)size,
						     .flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF };
		memcpy(cmd->data, &what, sizeof(what));
		memcpy(cmd->data + sizeof(what), ranges, count * sizeof(*ranges));
		ret = ifd_sys_ioctl_number(&dev->ctx->log, dev->fd, VFIO_DEVICE_FEATURE, cmd);
		free(cmd);
	}
	ret = ret == -ENOTTY ? -EOPNOTSUPP : ret;
	return ret < 0 ? ifd_fail(ret, hint_for(ret), "make a dma-buf of region %u of %s", index, dev->found->name)
		       : ret;
}

static int check_parts(struct iommufd_device *dev, uint32_t index, const struct iommufd_region_part *parts,
		       size_t count, uint32_t flags)
{
	uint64_t at;
	int ret = 0;

	if (!(flags & IOMMUFD_MAP_READ) || flags & ~(uint32_t)(IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE))
		return ifd_fail(-EINVAL, "use IOMMUFD_MAP_READ, alone or with IOMMUFD_MAP_WRITE",
				"make a dma-buf of a region of %s with the flags 0x%x", dev->found->name, flags);
	if (!count || count > MAX_PARTS)
		return ifd_fail(-EINVAL, "name one part at least, and 1024 at most",
				"make a dma-buf of %zu parts of region %u of %s", count, index, dev->found->name);
	for (size_t i = 0; i < count && !ret; i++)
		ret = ifd_region_window(dev, index, parts[i].offset, parts[i].len, PROT_READ, &at);
	return ret;
}

EXPORT int iommufd_device_region_dmabuf(struct iommufd_device *dev, uint32_t index,
					const struct iommufd_region_part *parts, size_t count, uint32_t flags, int *fd)
{
	struct vfio_region_dma_range *ranges;
	int ret = ifd_device_ready(dev, "dma-buf");

	if (!ret)
		ret = check_parts(dev, index, parts, count, flags);
	if (ret)
		return ret;
	ranges = calloc(count, sizeof(*ranges));
	if (!ranges)
		return ifd_fail(-ENOMEM, NULL, "make a dma-buf of region %u of %s", index, dev->found->name);
	for (size_t i = 0; i < count; i++)
		ranges[i] = (struct vfio_region_dma_range){ parts[i].offset, parts[i].len };
	ret = ifd_dmabuf(dev, index, ranges, count, flags & IOMMUFD_MAP_WRITE ? O_RDWR : O_RDONLY);
	free(ranges);
	if (ret < 0)
		return ret;
	*fd = ret;
	return 0;
}
