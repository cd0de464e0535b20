/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdio.h>

#include "explain.h"
#include "holders.h"
#include "internal.h"
#include "node.h"
#include "udev.h"
#include "vfio-group.h"
#include "uapi/vfio.h"

static int check_viable(struct iommufd_device *dev, int fd)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char hint[IFD_HINT_MAX] = "";
	int ret = ifd_sys_ioctl(&dev->ctx->log, fd, VFIO_GROUP_GET_STATUS, &status);

	if (ret)
		return ifd_fail(ret, NULL, "ask for the status of IOMMU group %d", dev->group->id);
	if (status.flags & VFIO_GROUP_FLAGS_VIABLE)
		return 0;
	if (!ifd_hint_siblings(hint, dev->found) && !ifd_hint_holders(hint, dev->found, fd))
		ifd_hint(hint, "nobody that can be seen has it: look as root");
	return ifd_fail(-EPERM, hint, "open %s: IOMMU group %d is not viable", dev->found->name, dev->group->id);
}

void ifd_group_node(const struct ifd_found *found, char *path, size_t size)
{
	snprintf(path, size, "/dev/vfio/%s%d", found->noiommu ? "noiommu-" : "", found->group);
}

int ifd_group_open_node(struct iommufd_device *dev)
{
	char path[64];
	int fd, ret;

	dev->unpinned = dev->found->noiommu;
	if (dev->group->fd >= 0)
		return check_viable(dev, dev->group->fd);

	ifd_group_node(dev->found, path, sizeof(path));
	fd = ifd_node_open(dev, path);
	if (fd < 0)
		return fd;
	ret = check_viable(dev, fd);
	if (ret)
		ifd_sys_close(fd);
	else
		dev->group->fd = fd;
	return ret;
}

int ifd_group_placed(struct iommufd_device *dev)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int ret;

	if (!dev->group->adopted)
		return 0;
	ret = ifd_sys_ioctl(&dev->ctx->log, dev->group->fd, VFIO_GROUP_GET_STATUS, &status);
	return ret ? ret : !!(status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET);
}

int ifd_group_get_device(struct iommufd_device *dev)
{
	const unsigned char *t = dev->token;
	const char *name = dev->found->name;
	char with_token[128];

	if (dev->has_token) {
		snprintf(with_token, sizeof(with_token),
			 "%.64s vf_token=%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", name,
			 t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11], t[12], t[13], t[14],
			 t[15]);
		name = with_token;
	}
	return ifd_sys_ioctl_number(&dev->ctx->log, dev->group->fd, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)name);
}
