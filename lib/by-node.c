/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* iommufd, with a device opened by its own node under /dev/vfio/devices. */
#include <errno.h>
#include <string.h>

#include "explain.h"
#include "holders.h"
#include "internal.h"
#include "node.h"
#include "udev.h"
#include "way.h"
#include "uapi/vfio.h"

static int fail_bind(struct iommufd_device *dev, int fd, int err)
{
	char hint[IFD_HINT_MAX] = "";

	if (err == -EPERM)
		ifd_hint_owner(hint, dev->found, "iommufd", fd);
	else if (err == -EBUSY)
		ifd_hint_busy(hint, dev->found, fd);
	else if (err == -EINVAL && ifd_hint_holders(hint, dev->found, fd))
		ifd_hint(hint, ": let only one program, by one way, use it");
	else if (err == -EINVAL)
		ifd_hint(hint, "it is bound already by a process that cannot be seen from here, or its IOMMU does not "
			       "keep caches coherent");
	else if (err == -ENODEV)
		ifd_hint_gone(hint, dev->found);
	return ifd_fail(err, hint, "bind %s to the iommufd", dev->found->name);
}

/* Before the bind a node answers nothing. */
static bool is_bound(struct iommufd_device *dev, int fd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	return !ifd_sys_ioctl(&dev->ctx->log, fd, VFIO_DEVICE_GET_INFO, &info);
}

int ifd_bind_node(struct iommufd_device *dev, int fd)
{
	struct vfio_device_bind_iommufd cmd = { .argsz = sizeof(cmd), .iommufd = dev->ctx->fd };
	int ret;

	if (dev->ctx->adopted && is_bound(dev, fd)) {
		ifd_info(&dev->ctx->log, "%s is bound already", dev->found->name);
		dev->fd = fd;
		return 0;
	}
	ret = ifd_sys_ioctl(&dev->ctx->log, fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd);
	if (ret)
		return fail_bind(dev, fd, ret);
	dev->fd = fd;
	return 0;
}

static int node_open(struct iommufd_device *dev)
{
	int fd = ifd_node_open(dev, dev->found->cdev), ret;

	if (fd < 0)
		return fd;
	ret = ifd_bind_node(dev, fd);
	if (ret)
		ifd_sys_close(fd);
	return ret;
}

static void node_close(struct iommufd_device *dev)
{
	ifd_sys_close(dev->fd);
	dev->fd = -1;
}

static int node_attach(struct iommufd_device *dev, uint32_t id)
{
	struct vfio_device_attach_iommufd_pt cmd = { .argsz = sizeof(cmd), .pt_id = id };

	return ifd_sys_ioctl(&dev->ctx->log, dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

static void node_detach(struct iommufd_device *dev)
{
	struct vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };
	int ret = ifd_sys_ioctl(&dev->ctx->log, dev->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);

	if (ret)
		ifd_error(&dev->ctx->log, "detaching %s: %s", dev->found->name, IFD_STRERROR(ret));
}

const struct ifd_way ifd_by_node = {
	.open = node_open,
	.close = node_close,
	.attach = node_attach,
	.detach = node_detach,
	.replace = node_attach, /* a second attach is a replacement */
};
