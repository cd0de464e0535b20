/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* iommufd, with a device opened by its own node under /dev/vfio/devices. */
#include <errno.h>
#include <string.h>

#include "explain.h"
#include "holders.h"
#include "internal.h"
#include "kvm.h"
#include "node.h"
#include "object.h"
#include "token.h"
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
	else if (err == -EACCES && dev->sriov)
		ifd_hint_token(hint, dev);
	return ifd_fail(err, hint, "bind %s to the iommufd", dev->found->name);
}

/* Before the bind a node answers nothing. */
static bool is_bound(struct iommufd_device *dev, int fd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	return !ifd_sys_ioctl(&dev->ctx->log, fd, VFIO_DEVICE_GET_INFO, &info);
}

/* ---- Whose a node is that is bound already ---- */

/* How an attach to what has this number answers; if it succeeds, that is undone. */
static int try_number(struct iommufd_device *dev, int fd, uint32_t id)
{
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach), .pt_id = id };
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };
	int ret = ifd_sys_ioctl(&dev->ctx->log, fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);

	if (!ret)
		ifd_sys_ioctl(&dev->ctx->log, fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
	return ret;
}

#define OBJECTS 16

/*
 * The kernel looks a number up in the iommufd that the device is bound to: EINVAL when it is something that no device
 * can be attached to, ENOENT when there is nothing. So the number of such an object of ours is tried while that is
 * there, and when it is gone. A device of ours stays as it is; in another iommufd nothing changes between the two.
 *
 * Kernels give the lowest number that is free. The last of several is less likely to be something in another iommufd,
 * and the others are given back before it, so that another thread gets those.
 *
 * 1 when it is ours, 0 when not, -errno without words; ENOTTY and EOPNOTSUPP from kernels that have no such object.
 */
static int ask_whose(struct iommufd_device *dev, int fd)
{
	struct ifd_object objects[OBJECTS];
	int made = 0, there = 0, ret = 0;
	uint32_t id = 0;

	while (made < OBJECTS && !ret) {
		objects[made] = (struct ifd_object){ .log = &dev->ctx->log, .fd = dev->ctx->fd };
		ret = ifd_object_alloc_other(&objects[made]);
		if (!ret)
			id = objects[made++].id;
	}
	if (!ret)
		there = try_number(dev, fd, id);
	for (int i = 0; i < made; i++)
		ifd_object_destroy(&objects[i]);
	if (ret)
		return ret;
	return there == -EINVAL && try_number(dev, fd, id) == -ENOENT;
}

/* A mediated device is attached by another way, which says ENOENT for both. */
static int check_ours(struct iommufd_device *dev, int fd)
{
	int ret = dev->found->pci_id ? ask_whose(dev, fd) : -EOPNOTSUPP;

	if (ret == -ENOTTY || ret == -EOPNOTSUPP)
		ifd_info(&dev->ctx->log, "%s is bound already; whether to this iommufd cannot be told",
			 dev->found->name);
	else if (ret < 0)
		return ifd_fail(ret, ret == -EMFILE ? "raise the limit of open files, see ulimit -n" : NULL,
				"adopt %s: ask which iommufd it is bound to", dev->found->name);
	else if (!ret)
		return ifd_fail(-EINVAL,
				"make a context of that one with iommufd_ctx_from_fd(), or have its node opened anew",
				"adopt %s: it is bound to another iommufd", dev->found->name);
	else
		ifd_info(&dev->ctx->log, "%s is bound already", dev->found->name);
	return 0;
}

/* `iommufd` may be something else: then the kernel looks at the token first, which is all that it does. */
static int bind_with(struct iommufd_device *dev, int fd, int iommufd, const unsigned char *token, uint32_t *id)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.flags = token ? VFIO_DEVICE_BIND_FLAG_TOKEN : 0,
		.iommufd = iommufd,
		.token_uuid_ptr = (uintptr_t)token,
	};
	int ret = ifd_sys_ioctl(&dev->ctx->log, fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	*id = cmd.out_devid;
	return ret ? ret : cmd.out_devid ? 0 : -EPROTO;
}

/* The device's own node is no iommufd. */
static int ask_token(struct iommufd_device *dev, int fd, const unsigned char *token)
{
	uint32_t id;
	int ret = bind_with(dev, fd, fd, token, &id);

	return ret == -EBADFD ? 0 : ret ? ret : -EPROTO;
}

static void tell_vm_of_end(struct iommufd_device *dev, int fd)
{
	if (dev->kvm)
		ifd_kvm_del(dev->kvm, dev->ctx, fd, dev->found->name);
}

int ifd_bind_node(struct iommufd_device *dev, int fd)
{
	uint32_t id;
	int ret;

	if (dev->ctx->adopted && is_bound(dev, fd)) {
		ret = dev->kvm ? ifd_fail(-EBUSY, "the VM is to know it before: leave that to who binds it",
					  "adopt %s for a VM: it is bound already", dev->found->name)
			       : check_ours(dev, fd);
		if (!ret)
			dev->fd = fd;
		return ret;
	}
	ret = ifd_token_settle(dev, fd, ask_token);
	if (ret)
		return ret;
	/* At the bind the kernel takes note of the VM that the node belongs to. */
	ret = dev->kvm ? ifd_kvm_add(dev->kvm, &dev->ctx->log, fd, dev->found->name) : 0;
	if (ret)
		return ret;
	ret = bind_with(dev, fd, dev->ctx->fd, dev->has_token ? dev->token : NULL, &id);
	if (ret)
		tell_vm_of_end(dev, fd);
	if (ret)
		return fail_bind(dev, fd, ret);
	dev->fd = fd;
	dev->id = id;
	return 0;
}

/* ---- The way ---- */

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
	tell_vm_of_end(dev, dev->fd);
	ifd_sys_close(dev->fd);
	dev->fd = -1;
	dev->id = 0;
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

static int node_pasid_attach(struct iommufd_device *dev, uint32_t pasid, uint32_t id)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd), .flags = VFIO_DEVICE_ATTACH_PASID, .pt_id = id, .pasid = pasid
	};

	return ifd_sys_ioctl(&dev->ctx->log, dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

static int node_pasid_detach(struct iommufd_device *dev, uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd),
						     .flags = VFIO_DEVICE_DETACH_PASID,
						     .pasid = pasid };

	return ifd_sys_ioctl(&dev->ctx->log, dev->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

const struct ifd_way ifd_by_node = {
	.open = node_open,
	.close = node_close,
	.tables = true,
	.attach = node_attach,
	.detach = node_detach,
	.replace = node_attach, /* a second attach is a replacement */
	.pasid_attach = node_pasid_attach,
	.pasid_detach = node_pasid_detach,
};
