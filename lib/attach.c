/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A device's way into an address space, out of it, and from one to another. */
#include <errno.h>

#include "internal.h"
#include "udev.h"
#include "uapi/vfio.h"

/* What the kernel tells of a device once it may be used. */
static int learn(struct iommufd_device *dev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int ret = ifd_sys_ioctl(&dev->ctx->log, dev->fd, VFIO_DEVICE_GET_INFO, &info);

	if (ret)
		return ifd_fail(ret, NULL, "ask what %s is", dev->found->name);
	dev->flags = info.flags;
	dev->num_regions = info.num_regions < IFD_MAX_REGIONS ? info.num_regions : IFD_MAX_REGIONS;
	dev->num_irqs = info.num_irqs < IFD_MAX_IRQS ? info.num_irqs : IFD_MAX_IRQS;
	return 0;
}

/* One without an IOMMU would reach somebody else's memory by IOVAs, and one with an IOMMU by physical addresses. */
static int check_addresses(const struct iommufd_device *dev, const struct iommufd_ioas *ioas)
{
	return !ioas->attached || !ioas->physical == !dev->found->noiommu
		       ? 0
		       : ifd_fail(-EINVAL, "use another IOAS for it",
				  "attach %s: devices with and without an IOMMU need different addresses",
				  dev->found->name);
}

/*
 * Gate held exclusively, also for the claim: whether a device is the last of its group must not change between the
 * count and the ioctl.
 */
static int attach_gated(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	const struct ifd_backend *backend = dev->ctx->backend;
	int ret = check_addresses(dev, ioas);

	if (!ret)
		ret = ifd_group_claim(dev, ioas);
	if (ret)
		return ret;
	ret = backend->attach(dev, ioas);
	if (ret)
		goto unclaim;
	ioas->attached++;
	ret = ifd_phys_attach(dev, ioas);
	if (ret)
		goto detach;
	ret = learn(dev);
	if (!ret)
		ret = ifd_ioas_refresh(ioas);
	if (!ret)
		return 0;

	ifd_phys_detach(dev, ioas);
detach:
	ioas->attached--;
	backend->detach(dev, ioas);
unclaim:
	ifd_group_unclaim(dev);
	return ret;
}

static void detach_gated(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	dev->ctx->backend->detach(dev, ioas);
	ifd_group_unclaim(dev);
	ifd_phys_detach(dev, ioas);
	ioas->attached--;
	if (ifd_ioas_refresh(ioas))
		ifd_warn(&dev->ctx->log, "the permitted IOVAs stay as they were: %s", iommufd_errmsg());
}

static int check_same_ctx(const struct iommufd_device *dev, const struct iommufd_ioas *ioas)
{
	return ioas->ctx == dev->ctx ? 0
				     : ifd_fail(-EINVAL, "make both from the same context",
						"attach %s to an IOAS of another context", dev->found->name);
}

EXPORT int iommufd_device_attach(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	int ret = check_same_ctx(dev, ioas);

	if (!ret)
		ret = ifd_ctx_check(dev->ctx, "attach a device");
	if (ret)
		return ret;
	if (dev->ioas)
		return ifd_fail(-EBUSY, "detach it first", "attach %s: it is attached to %s IOAS", dev->found->name,
				dev->ioas == ioas ? "this" : "another");

	pthread_rwlock_wrlock(&ioas->gate);
	ret = attach_gated(dev, ioas);
	pthread_rwlock_unlock(&ioas->gate);
	if (ret)
		return ret;
	ifd_ioas_get(ioas);
	dev->ioas = ioas;
	ifd_info(&dev->ctx->log, "%s is attached", dev->found->name);
	return 0;
}

EXPORT int iommufd_device_detach(struct iommufd_device *dev)
{
	struct iommufd_ioas *ioas = dev->ioas;
	int ret = ifd_ctx_check(dev->ctx, "detach a device");

	if (ret)
		return ret;
	if (!ioas)
		return ifd_fail(-ENOTCONN, "there is nothing to undo", "detach %s: it is not attached",
				dev->found->name);
	ifd_irq_disable_all(dev);
	ifd_pci_quiet(dev);
	ifd_region_close_all(dev);

	pthread_rwlock_wrlock(&ioas->gate);
	detach_gated(dev, ioas);
	pthread_rwlock_unlock(&ioas->gate);

	dev->ioas = NULL;
	ifd_ioas_put(ioas);
	ifd_info(&dev->ctx->log, "%s is detached", dev->found->name);
	return 0;
}

/* ---- From one to another ---- */

/* By address, so that two threads that exchange devices do not wait for each other for ever. */
static void lock_both(struct iommufd_ioas *a, struct iommufd_ioas *b)
{
	pthread_rwlock_wrlock(a < b ? &a->gate : &b->gate);
	pthread_rwlock_wrlock(a < b ? &b->gate : &a->gate);
}

static void unlock_both(struct iommufd_ioas *a, struct iommufd_ioas *b)
{
	pthread_rwlock_unlock(&a->gate);
	pthread_rwlock_unlock(&b->gate);
}

/* The device is in `to`, about which the kernel gave no good answer, and the words tell of that. */
static int move_back(struct iommufd_device *dev, struct iommufd_ioas *from, int err)
{
	char hint[IFD_HINT_MAX] = "";

	ifd_hint(hint, "%s", iommufd_errmsg());
	ifd_group_move(dev, from);
	if (dev->ctx->backend->replace(dev, from))
		ifd_error(&dev->ctx->log, "%s stays in the other IOAS: %s", dev->found->name, iommufd_errmsg());
	return ifd_fail(err, hint, "move %s to another IOAS", dev->found->name);
}

/* Both gates held exclusively. */
static int replace_gated(struct iommufd_device *dev, struct iommufd_ioas *from, struct iommufd_ioas *to)
{
	const struct ifd_backend *backend = dev->ctx->backend;
	int ret = check_addresses(dev, to);

	if (!ret)
		ret = ifd_group_move(dev, to);
	if (ret)
		return ret;
	ret = backend->replace(dev, to);
	if (ret) {
		ifd_group_move(dev, from);
		return ret;
	}
	from->attached--;
	to->attached++;
	ret = ifd_ioas_refresh(to);
	if (ret) {
		to->attached--;
		from->attached++;
		return move_back(dev, from, ret);
	}
	ifd_phys_detach(dev, from);
	ifd_phys_attach(dev, to); /* only the kernel pins for devices that can be moved */
	if (ifd_ioas_refresh(from))
		ifd_warn(&dev->ctx->log, "the permitted IOVAs stay as they were: %s", iommufd_errmsg());
	return 0;
}

EXPORT int iommufd_device_replace(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	struct iommufd_ioas *from = dev->ioas;
	int ret = check_same_ctx(dev, ioas);

	if (!ret)
		ret = ifd_device_ready(dev, "replace the IOAS");
	if (ret || from == ioas)
		return ret;
	lock_both(from, ioas);
	ret = replace_gated(dev, from, ioas);
	unlock_both(from, ioas);
	if (ret)
		return ret;
	ifd_ioas_get(ioas);
	dev->ioas = ioas;
	ifd_ioas_put(from);
	ifd_info(&dev->ctx->log, "%s is attached to another IOAS", dev->found->name);
	return 0;
}
