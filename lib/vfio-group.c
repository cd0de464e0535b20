/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdio.h>

#include "explain.h"
#include "holders.h"
#include "internal.h"
#include "kvm.h"
#include "node.h"
#include "token.h"
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

/*
 * A group gives nothing away while it is in no container, but looks at the name and the token first. Where it is in
 * one, the device would be opened.
 */
static int ask_token(struct iommufd_device *dev, int fd, const unsigned char *token)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char name[IFD_TOKEN_NAME_MAX];
	int ret = ifd_sys_ioctl(&dev->ctx->log, fd, VFIO_GROUP_GET_STATUS, &status);

	if (ret)
		return ret;
	if (status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET)
		return -EBUSY;
	ifd_token_name(dev->found, token, name);
	ret = ifd_sys_ioctl_number(&dev->ctx->log, fd, VFIO_GROUP_GET_DEVICE_FD, name);
	if (ret >= 0)
		ifd_sys_close(ret);
	return ret == -EINVAL ? 0 : ret < 0 ? ret : -EBUSY;
}

static int check_group(struct iommufd_device *dev, int fd)
{
	int ret = check_viable(dev, fd);

	return ret ? ret : ifd_token_settle(dev, fd, ask_token);
}

static int open_node(struct iommufd_device *dev)
{
	char path[64];
	int fd, ret;

	dev->unpinned = dev->found->noiommu;
	if (dev->group->fd >= 0)
		return check_group(dev, dev->group->fd);

	ifd_group_node(dev->found, path, sizeof(path));
	fd = ifd_node_open(dev, path);
	if (fd < 0)
		return fd;
	ret = check_group(dev, fd);
	if (ret)
		ifd_sys_close(fd);
	else
		dev->group->fd = fd;
	return ret;
}

/* ---- A VM has a group as a whole ---- */

#define VM_NAME_MAX 32

static const char *name_group(const struct ifd_group *group, char name[VM_NAME_MAX])
{
	snprintf(name, VM_NAME_MAX, "IOMMU group %d", group->id);
	return name;
}

static int enter_vm(struct iommufd_device *dev)
{
	struct ifd_group *group = dev->group;

	if (dev->kvm && group->kvm && group->kvm != dev->kvm)
		return ifd_fail(-EBUSY, "give all devices of a group to one VM",
				"open %s: IOMMU group %d is another VM's", dev->found->name, group->id);
	if (dev->kvm) {
		group->kvm = dev->kvm;
		group->kvm_users++;
	}
	return 0;
}

void ifd_group_leave_vm(struct iommufd_device *dev)
{
	if (!dev->kvm || --dev->group->kvm_users)
		return;
	ifd_group_tell_vm_of_end(dev);
	dev->group->kvm = NULL;
}

int ifd_group_tell_vm(struct iommufd_device *dev)
{
	struct ifd_group *group = dev->group;
	char name[VM_NAME_MAX];
	int ret;

	if (!group->kvm || group->kvm_knows)
		return 0;
	ret = ifd_kvm_add(group->kvm, &dev->ctx->log, group->fd, name_group(group, name));
	group->kvm_knows = !ret;
	return ret;
}

void ifd_group_tell_vm_of_end(struct iommufd_device *dev)
{
	struct ifd_group *group = dev->group;
	char name[VM_NAME_MAX];

	if (group->kvm_knows)
		ifd_kvm_del(group->kvm, dev->ctx, group->fd, name_group(group, name));
	group->kvm_knows = false;
}

int ifd_group_open_node(struct iommufd_device *dev)
{
	int ret = open_node(dev);

	return ret ? ret : enter_vm(dev);
}

/* ---- Devices ---- */

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
	char name[IFD_TOKEN_NAME_MAX];

	ifd_token_name(dev->found, dev->has_token ? dev->token : NULL, name);
	return ifd_sys_ioctl_number(&dev->ctx->log, dev->group->fd, VFIO_GROUP_GET_DEVICE_FD, name);
}
