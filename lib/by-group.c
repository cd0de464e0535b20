/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * iommufd, with a device opened through its group. The iommufd takes a container's place, and one of its IOASes is the
 * one that devices are attached to when the group hands them out: the compat IOAS.
 */
#include <errno.h>

#include "internal.h"
#include "object.h"
#include "udev.h"
#include "vfio-group.h"
#include "way.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

static int compat_ioas(struct iommufd_ctx *ctx, uint16_t op, uint32_t *id)
{
	return ifd_object_compat(&ctx->log, ctx->fd, op, id);
}

static int group_open(struct iommufd_device *dev)
{
	int ret = ifd_group_open_node(dev);

	if (ret)
		return ret;
	ret = ifd_group_tell_vm(dev);
	if (ret)
		ifd_group_leave_vm(dev);
	return ret;
}

/* The group goes with the last of its devices. */
static void group_close(struct iommufd_device *dev)
{
	ifd_group_leave_vm(dev);
}

static void group_detach(struct iommufd_device *dev)
{
	ifd_sys_close(dev->fd);
	dev->fd = -1;
}

/* The group stays with the iommufd until its node is closed. */
static int get_device(struct iommufd_device *dev)
{
	struct ifd_group *group = dev->group;
	int ret = 0;

	if (!group->contained)
		ret = ifd_sys_ioctl(&dev->ctx->log, group->fd, VFIO_GROUP_SET_CONTAINER, &dev->ctx->fd);
	if (ret)
		return ret;
	group->contained = true;
	ret = ifd_group_get_device(dev);
	if (ret < 0)
		return ret;
	dev->fd = ret;
	return 0;
}

/*
 * A device that is still open by a copy of an earlier descriptor would not be attached anew, and nobody would be told.
 * It is found out by asking for it while there is no IOAS to attach it to: that succeeds only if it is open, or if its
 * group is in another container.
 */
static int check_not_held(struct iommufd_device *dev)
{
	uint32_t none = 0;
	int fd, ret;

	if (!dev->group->contained)
		return 0;
	ret = compat_ioas(dev->ctx, IOMMU_VFIO_IOAS_CLEAR, &none);
	if (ret)
		return ret;
	fd = ifd_group_get_device(dev);
	ifd_sys_close(fd);
	return fd >= 0 ? -EBUSY : fd == -ENODEV ? 0 : fd;
}

/* A group that was adopted may come and go without us. */
static int see_container(struct iommufd_device *dev)
{
	int placed = dev->group->adopted ? ifd_group_placed(dev) : dev->group->contained;

	if (placed < 0)
		return placed;
	dev->group->contained = placed;
	return 0;
}

static bool is_bound(const struct iommufd_device *dev)
{
	struct ifd_found *now;
	bool bound;

	if (ifd_udev_find(dev->found->path, &now))
		return false;
	bound = now->vfio;
	ifd_found_free(now);
	return bound;
}

static int get_device_by(struct iommufd_device *dev, uint32_t id)
{
	uint32_t none = 0;
	int ret = see_container(dev);
	bool placed;

	if (ret)
		return ret;
	placed = dev->group->adopted && dev->group->contained;
	/* Who has a compat IOAS expects translation, so without an IOMMU there must be none. */
	if (dev->unpinned)
		ret = compat_ioas(dev->ctx, IOMMU_VFIO_IOAS_CLEAR, &none);
	else
		ret = check_not_held(dev);
	if (!ret && !dev->unpinned)
		ret = compat_ioas(dev->ctx, IOMMU_VFIO_IOAS_SET, &id);
	if (ret)
		return ret;
	ret = get_device(dev);
	/* Here is a compat IOAS. What lacks one is another iommufd, and the group is there; or the device is gone. */
	return ret == -ENODEV && placed && !dev->unpinned && is_bound(dev) ? -EBUSY : ret;
}

/*
 * Whether an IOMMU lets devices get around the CPU's caches iommufd tells only in the place of a container, of all that
 * is in the compat IOAS.
 */
int ifd_iommufd_snooped(struct iommufd_ioas *ioas)
{
	struct iommufd_ctx *ctx = ioas->ctx;
	uint32_t theirs = 0, id = ioas->id;
	int ret, back;

	pthread_mutex_lock(&ctx->opening);
	ret = compat_ioas(ctx, IOMMU_VFIO_IOAS_GET, &theirs);
	if (!ret || ret == -ENODEV)
		ret = compat_ioas(ctx, IOMMU_VFIO_IOAS_SET, &id);
	if (!ret) {
		ret = ifd_sys_ioctl_number(&ctx->log, ctx->fd, VFIO_CHECK_EXTENSION,
					   (void *)(uintptr_t)VFIO_DMA_CC_IOMMU);
		back = compat_ioas(ctx, theirs ? IOMMU_VFIO_IOAS_SET : IOMMU_VFIO_IOAS_CLEAR, &theirs);
		if (back)
			ifd_error(&ctx->log, "the IOAS for VFIO's calls is not what it was: %s", IFD_STRERROR(back));
		ret = ret > 0 ? 1 : ret;
	}
	pthread_mutex_unlock(&ctx->opening);
	return ret;
}

/* The compat IOAS is one a context, and may be in somebody else's use: it is lent for the moment of the attach. */
static int group_attach(struct iommufd_device *dev, uint32_t id)
{
	struct iommufd_ctx *ctx = dev->ctx;
	uint32_t theirs = 0;
	int ret, back;

	pthread_mutex_lock(&ctx->opening);
	ret = compat_ioas(ctx, IOMMU_VFIO_IOAS_GET, &theirs);
	if (!ret || ret == -ENODEV) {
		ret = get_device_by(dev, id);
		back = compat_ioas(ctx, theirs ? IOMMU_VFIO_IOAS_SET : IOMMU_VFIO_IOAS_CLEAR, &theirs);
		if (!ret && back)
			group_detach(dev);
		ret = ret ? ret : back;
	}
	pthread_mutex_unlock(&ctx->opening);
	return ret;
}

const struct ifd_way ifd_by_group = {
	.open = group_open,
	.close = group_close,
	.attach = group_attach,
	.detach = group_detach,
};
