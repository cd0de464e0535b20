/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* How a device's group gets into a container, and out of it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "container.h"
#include "dirty.h"
#include "explain.h"
#include "holders.h"
#include "internal.h"
#include "object.h"
#include "token.h"
#include "udev.h"
#include "vfio-group.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

/* Else it is iommufd that serves the container. */
static bool serves_type1(const struct iommufd_device *dev)
{
	return ifd_object_by_process(&dev->ctx->log, dev->ctx->fd) < 0;
}

static int fail_join(struct iommufd_device *dev, const char *what, int err)
{
	char hint[IFD_HINT_MAX] = "";

	if (err == -EPERM) {
		ifd_hint_owner(hint, dev->found, serves_type1(dev) ? "vfio_iommu_type1" : "iommufd", dev->group->fd);
	} else if (err == -EINVAL || err == -EBUSY) {
		if (!ifd_hint_holders(hint, dev->found, dev->group->fd))
			ifd_hint(hint, "its IOMMU cannot serve it beside the others in the container");
	} else if (err == -ENODEV) {
		ifd_hint_gone(hint, dev->found);
	} else if (err == -EACCES && dev->sriov) {
		ifd_hint_token(hint, dev);
	} else if (err == -EOPNOTSUPP) {
		ifd_hint(hint, "its IOMMU serves neither type1v2 nor type1");
	}
	return ifd_fail(err, hint, "attach %s: %s", dev->found->name, what);
}

/* The kernel only says that something does not fit, which may be a range that this group's IOMMU reserves. */
static int fail_reserved(struct iommufd_device *dev, struct iommufd_ioas *ioas, int err)
{
	struct iommufd_range reserved;
	char hint[IFD_HINT_MAX];
	const struct ifd_map *map = ifd_find_reserved(&ioas->index, dev->group->id, &reserved);

	if (!map)
		return fail_join(dev, "put its group into the container", err);
	snprintf(hint, sizeof(hint), "unmap it first; the IOMMU of group %d reserves 0x%" PRIx64 "-0x%" PRIx64,
		 dev->group->id, reserved.start, reserved.last);
	return ifd_fail(-EADDRINUSE, hint, "attach %s: the mapping 0x%" PRIx64 "-0x%" PRIx64 " is not permitted",
			dev->found->name, map->iova.start, map->iova.last);
}

static int fail_elsewhere(struct iommufd_device *dev)
{
	return ifd_fail(
		-EBUSY,
		"take it out of that one, or make a context of that one with iommufd_ctx_from_fd() and attach to "
		"the first IOAS of it",
		"attach %s: IOMMU group %d is in another container", dev->found->name, dev->group->id);
}

static void set_joined(struct ifd_group *group, struct iommufd_ioas *to, struct iommufd_ioas *gated)
{
	pthread_mutex_lock(&gated->ctx->lock);
	group->joined = to;
	pthread_mutex_unlock(&gated->ctx->lock);
}

/*
 * 0, or -errno without words: the group stays where it is, and keeps the IOAS. One that somebody else put there stays
 * too, but that does not concern the IOAS: its mappings go when it is freed.
 */
static int leave(struct ifd_group *group, struct iommufd_ioas *ioas)
{
	int ret = 0;

	/* What the container knows may go with the group. */
	if (ioas->tracking && ioas->serving)
		ifd_dirty_save(ioas);
	if (!group->theirs)
		ret = ifd_sys_ioctl(&ioas->ctx->log, group->fd, VFIO_GROUP_UNSET_CONTAINER, NULL);
	if (ret)
		return ret;
	set_joined(group, NULL, ioas);
	ioas->serving = ifd_container_serves(ioas->ctx, ioas->container, ioas->serving);
	return 0;
}

/* Somebody who holds a copy of a device's descriptor can still reach what is mapped, so the IOAS is kept for it. */
static void try_to_leave(struct ifd_group *group, struct iommufd_ioas *ioas)
{
	int ret = leave(group, ioas);

	if (!ret)
		return;
	ifd_error(&ioas->ctx->log, "group %d stays in its container: %s", group->id, IFD_STRERROR(ret));
	ifd_ioas_get(ioas);
}

/*
 * A group that could not leave when it should: perhaps it can by now. What the other IOAS permits changes with it, so
 * that one's gate is taken too; to wait for it with a gate in hand could be for ever.
 */
static int leave_the_other(struct iommufd_device *dev)
{
	struct iommufd_ioas *other = dev->group->joined;
	int ret;

	if (pthread_rwlock_trywrlock(&other->gate))
		return ifd_fail(-EBUSY, "try again", "attach %s: another thread is at work on the IOAS that it leaves",
				dev->found->name);
	ret = leave(dev->group, other);
	if (!ret && !other->attached)
		ifd_ioas_refresh_after(other);
	pthread_rwlock_unlock(&other->gate);
	if (ret)
		return ifd_fail(-EBUSY,
				"somebody holds a copy of a descriptor of one of its devices, or a child process "
				"has it: close it first",
				"attach %s: IOMMU group %d could not leave another IOAS", dev->found->name,
				dev->group->id);
	ifd_ioas_put(other);
	return 0;
}

/* Such a container has no group, so that it takes no type; ENODEV is how iommufd says it. */
static bool is_elsewhere(const struct iommufd_device *dev, int err)
{
	return dev->group->theirs && (err == -EINVAL || err == -ENODEV);
}

/* A container that serves already has mappings that stay when this attach fails. */
static int make_serve(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	bool serves = ifd_container_serves(ioas->ctx, ioas->container, ioas->serving);
	int ret;

	if (serves && ioas->serving)
		return 0;
	ret = serves ? 0 : ifd_container_set_type(ioas);
	if (is_elsewhere(dev, ret))
		return fail_elsewhere(dev);
	if (ret)
		ret = fail_join(dev, "choose the container's IOMMU", ret);
	if (!ret && ioas->tracking)
		ret = ifd_container_dirty_begin(ioas);
	if (!ret)
		ret = ifd_container_replay(dev, ioas);
	ioas->serving = !ret;
	return ret;
}

/* Nobody else puts groups into a container of our own. */
static int enter(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	struct ifd_group *group = dev->group;
	int placed = ifd_group_placed(dev), ret = 0;

	if (placed < 0)
		return fail_join(dev, "ask whether its group is in a container", placed);
	if (placed && (!ioas->ctx->adopted || ioas->container != ioas->ctx->fd))
		return fail_elsewhere(dev);
	if (!placed)
		ret = ifd_sys_ioctl(&ioas->ctx->log, group->fd, VFIO_GROUP_SET_CONTAINER, &ioas->container);
	if (ret)
		return ret == -EINVAL && ioas->serving ? fail_reserved(dev, ioas, ret)
						       : fail_join(dev, "put its group into the container", ret);
	group->theirs = placed;
	set_joined(group, ioas, ioas);
	return 0;
}

/* What it finds done is left as it is. */
static int let_serve(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	int ret;

	if (!dev->found->noiommu)
		return make_serve(dev, ioas);
	/* A container takes its type once, and here each device is a group of its own. */
	ret = ioas->physical ? 0 : ifd_container_set_noiommu(ioas);
	if (!ret)
		return 0;
	return is_elsewhere(dev, ret) ? fail_elsewhere(dev) : fail_join(dev, "let it do without an IOMMU", ret);
}

/* Puts the group into the container unless it is there, and makes that one serve when it is the first. */
static int join(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	int ret = enter(dev, ioas);

	if (ret)
		return ret;
	ret = let_serve(dev, ioas);
	if (ret) {
		bool serving = ioas->serving;

		try_to_leave(dev->group, ioas);
		ioas->serving = ioas->serving && serving;
	}
	return ret;
}

/* ---- Where iommufd serves the container, the device gets what is the container's compat IOAS at that moment ---- */

static int compat_attach(struct iommufd_device *dev, uint32_t id)
{
	struct iommufd_ioas *ioas = dev->group->joined;
	uint32_t own = 0;
	int ret, fd = -1;

	ret = ifd_object_compat(&dev->ctx->log, ioas->container, IOMMU_VFIO_IOAS_GET, &own);
	if (!ret)
		ret = ifd_object_compat(&dev->ctx->log, ioas->container, IOMMU_VFIO_IOAS_SET, &id);
	if (ret)
		return ret;
	fd = ifd_group_get_device(dev);
	ret = ifd_object_compat(&dev->ctx->log, ioas->container, IOMMU_VFIO_IOAS_SET, &own);
	if (ret)
		ifd_error(&dev->ctx->log, "the container has lost its compat IOAS: %s", IFD_STRERROR(ret));
	if (fd >= 0)
		dev->fd = fd;
	return fd < 0 ? fd : 0;
}

static void compat_detach(struct iommufd_device *dev)
{
	ifd_sys_close(dev->fd);
	dev->fd = -1;
}

/* There, only now is anything pinned and held against what the device permits. */
static int fail_get_device(struct iommufd_device *dev, struct iommufd_ioas *ioas, int err)
{
	const struct ifd_scratch scratch = { ioas->container, compat_attach, compat_detach };
	char hint[IFD_HINT_MAX] = "";
	int ret = ifd_scratch_explain(&scratch, dev, ioas, err);

	if (ret)
		return ret;
	if (err == -EADDRINUSE)
		return fail_reserved(dev, ioas, err);
	if (err == -ENOMEM)
		ifd_hint_memlock(hint, ifd_index_bytes(&ioas->index), true);
	else if (err == -EFAULT)
		ifd_hint(hint,
			 "memory of a mapping is not there any more, or is not writable: unmap before freeing it");
	else
		return fail_join(dev, "get the device out of its group", err);
	return ifd_fail(err, hint, "attach %s", dev->found->name);
}

/* Linux before 6.2 tells KVM what the container permits, so the group is in it by now. */
static int tell_vm(struct iommufd_device *dev)
{
	int ret;

	pthread_mutex_lock(&dev->ctx->opening);
	ret = ifd_group_tell_vm(dev);
	pthread_mutex_unlock(&dev->ctx->opening);
	return ret;
}

/* Of the last device of the group that was attached, or was to be. */
static void tell_vm_of_end(struct iommufd_device *dev)
{
	pthread_mutex_lock(&dev->ctx->opening);
	ifd_group_tell_vm_of_end(dev);
	pthread_mutex_unlock(&dev->ctx->opening);
}

static int get_device(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	int ret = tell_vm(dev);

	if (ret)
		return ret;
	ret = ifd_group_get_device(dev);
	if (ret >= 0) {
		dev->fd = ret;
		return 0;
	}
	ret = fail_get_device(dev, ioas, ret);
	if (dev->group->attached == 1)
		tell_vm_of_end(dev);
	return ret;
}

int ifd_container_attach(struct iommufd_device *dev, const struct ifd_target *to)
{
	struct iommufd_ioas *ioas = to->ioas;
	struct iommufd_ioas *before = dev->group->joined;
	bool stuck = before == ioas && dev->group->attached == 1;
	int ret = 0;

	if (before && before != ioas)
		ret = leave_the_other(dev);
	/* One that could not leave after a failure may be in a container that does not serve. */
	if (!ret)
		ret = before == ioas ? let_serve(dev, ioas) : join(dev, ioas);
	if (ret)
		return ret;
	ret = get_device(dev, ioas);
	if (!ret) {
		if (stuck) /* it is attached here again, which keeps the IOAS */
			ifd_ioas_put(ioas);
		return 0;
	}
	if (before != ioas)
		try_to_leave(dev->group, ioas);
	return ret;
}

void ifd_container_detach(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	bool last;

	ifd_sys_close(dev->fd);
	dev->fd = -1;
	pthread_mutex_lock(&dev->ctx->lock);
	last = dev->group->attached == 1;
	pthread_mutex_unlock(&dev->ctx->lock);
	if (!last)
		return;
	tell_vm_of_end(dev);
	try_to_leave(dev->group, ioas);
}
