/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A device's way into an address space, out of it, and from one to another. */
#include <errno.h>

#include "fault.h"
#include "feature.h"
#include "file.h"
#include "hwpt.h"
#include "internal.h"
#include "kvm.h"
#include "peer.h"
#include "region.h"
#include "udev.h"
#include "uapi/vfio.h"

/* What the kernel tells of a device once it may be used. Of one that is somebody else's there is no descriptor. */
static int learn(struct iommufd_device *dev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int ret = dev->fd < 0 ? 0 : ifd_sys_ioctl(&dev->ctx->log, dev->fd, VFIO_DEVICE_GET_INFO, &info);

	if (ret)
		return ifd_fail(ret, NULL, "ask what %s is", dev->found->name);
	dev->flags = info.flags;
	dev->num_regions = info.num_regions < IFD_MAX_REGIONS ? info.num_regions : IFD_MAX_REGIONS;
	dev->num_irqs = info.num_irqs < IFD_MAX_IRQS ? info.num_irqs : IFD_MAX_IRQS;
	return 0;
}

/* One without an IOMMU would reach somebody else's memory by IOVAs, and one with an IOMMU by physical addresses. */
static int check_addresses(const struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	if (dev->found->noiommu && ifd_file_is_mapped(&ioas->index))
		return ifd_file_fail_physical("attach it to an IOAS with a mapping of a file");
	return !ioas->attached || !ioas->physical == !dev->found->noiommu
		       ? 0
		       : ifd_fail(-EINVAL, "use another IOAS for it",
				  "attach %s: devices with and without an IOMMU need different addresses",
				  dev->found->name);
}

/* Gate held exclusively, for both. */
static void enter(struct iommufd_device *dev, const struct ifd_target *to)
{
	ifd_target_get(to);
	dev->at = *to;
	dev->next_user = to->ioas->users;
	to->ioas->users = dev;
}

static void leave(struct iommufd_device *dev)
{
	struct iommufd_device **at = &dev->at.ioas->users;

	while (*at != dev)
		at = &(*at)->next_user;
	*at = dev->next_user;
	dev->at = (struct ifd_target){ NULL, NULL };
}

/*
 * Gate held exclusively, also for the claim: whether a device is the last of its group must not change between the
 * count and the ioctl.
 */
static int attach_now(struct iommufd_device *dev, const struct ifd_target *to)
{
	const struct ifd_backend *backend = dev->ctx->backend;
	int ret = check_addresses(dev, to->ioas), snooped;

	if (!ret)
		ret = ifd_group_claim(dev, to);
	if (ret)
		return ret;
	snooped = ifd_kvm_look(dev, to->ioas);
	ret = backend->attach(dev, to);
	if (ret)
		goto unclaim;
	to->ioas->attached++;
	ret = ifd_phys_attach(dev, to->ioas);
	if (ret)
		goto detach;
	ret = learn(dev);
	if (!ret)
		ret = ifd_ioas_refresh(to->ioas);
	if (!ret) {
		enter(dev, to);
		dev->attachment = ++dev->ctx->attachments;
		ifd_feature_attached(dev);
		ifd_kvm_learn(dev, to->ioas, snooped);
		dev->attached = true;
		return 0;
	}

	ifd_phys_detach(dev, to->ioas);
detach:
	to->ioas->attached--;
	backend->detach(dev, to->ioas);
unclaim:
	ifd_group_unclaim(dev);
	return ret;
}

static int attach_gated(struct iommufd_device *dev, struct ifd_target to)
{
	struct iommufd_hwpt *made = NULL;
	int ret = dev->ctx->backend->dirty_join(dev, &to, &made);

	if (!ret)
		ret = attach_now(dev, &to);
	if (made)
		ifd_hwpt_drop(made); /* the device has it */
	return ret;
}

static void detach_gated(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	dev->attached = false;
	ifd_kvm_forget(dev);
	leave(dev);
	dev->ctx->backend->detach(dev, ioas);
	ifd_group_unclaim(dev);
	ifd_phys_detach(dev, ioas);
	ioas->attached--;
	ifd_ioas_refresh_after(ioas);
}

int ifd_target_check(const struct iommufd_device *dev, const struct ifd_target *to)
{
	return to->ioas->ctx == dev->ctx
		       ? 0
		       : ifd_fail(-EINVAL, "make both from the same context", "attach %s to %s of another context",
				  dev->found->name, to->hwpt ? "a page table" : "an IOAS");
}

void ifd_target_get(const struct ifd_target *target)
{
	ifd_ioas_get(target->ioas);
	if (target->hwpt)
		ifd_handle_get(&target->hwpt->handle);
}

void ifd_target_put(const struct ifd_target *target)
{
	if (target->hwpt)
		ifd_handle_put(&target->hwpt->handle);
	ifd_ioas_put(target->ioas);
}

static int attach(struct iommufd_device *dev, const struct ifd_target *to)
{
	int ret = ifd_target_check(dev, to);

	if (!ret)
		ret = ifd_ctx_check(dev->ctx, "attach a device");
	if (ret)
		return ret;
	if (dev->attached)
		return ifd_fail(-EBUSY, "detach it first", "attach %s: it is attached to %s %s", dev->found->name,
				ifd_target_is(&dev->at, to) ? "this" : "another", to->hwpt ? "page table" : "IOAS");

	pthread_rwlock_wrlock(&to->ioas->gate);
	ret = attach_gated(dev, *to);
	pthread_rwlock_unlock(&to->ioas->gate);
	if (ret)
		return ret;
	ifd_peers_lend(dev);
	ifd_info(&dev->ctx->log, "%s is attached", dev->found->name);
	return 0;
}

EXPORT int iommufd_device_attach(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	return attach(dev, &(struct ifd_target){ ioas, NULL });
}

EXPORT int iommufd_device_attach_hwpt(struct iommufd_device *dev, struct iommufd_hwpt *hwpt)
{
	return attach(dev, &(struct ifd_target){ hwpt->ioas, hwpt });
}

void ifd_device_detach(struct iommufd_device *dev)
{
	struct ifd_target from = { .ioas = dev->at.ioas };
	uint32_t mark;

	/* After this a hot reset by somebody else does not look for what it had, nor gives anything back. */
	ifd_peers_lose(dev);
	ifd_feature_detach(dev);
	ifd_irq_disable_all(dev);
	ifd_pci_quiet(dev);
	ifd_region_close_all(dev);

	pthread_rwlock_wrlock(&from.ioas->gate);
	from = dev->at; /* perhaps by now to another page table of the same IOAS */
	mark = ifd_faults_mark(from.hwpt);
	detach_gated(dev, from.ioas);
	pthread_rwlock_unlock(&from.ioas->gate);
	ifd_faults_drop(from.hwpt, dev->id, 0, mark);

	ifd_target_put(&from);
	ifd_info(&dev->ctx->log, "%s is detached", dev->found->name);
}

EXPORT int iommufd_device_detach(struct iommufd_device *dev)
{
	int ret = ifd_ctx_check(dev->ctx, "detach a device");

	if (!ret && !dev->attached)
		ret = ifd_fail(-ENOTCONN, "there is nothing to undo", "detach %s: it is not attached",
			       dev->found->name);
	if (!ret)
		ret = ifd_window_check_none(dev);
	if (!ret)
		ifd_device_detach(dev);
	return ret;
}

/* ---- From one to another ---- */

/* The device is in `to`, about which the kernel gave no good answer, and the words tell of that. */
static int move_back(struct iommufd_device *dev, const struct ifd_target *from, int err)
{
	char hint[IFD_HINT_MAX] = "";

	ifd_hint(hint, "%s", iommufd_errmsg());
	ifd_group_move(dev, from);
	if (dev->ctx->backend->replace(dev, from))
		ifd_error(&dev->ctx->log, "%s stays in the other IOAS: %s", dev->found->name, iommufd_errmsg());
	return ifd_fail(err, hint, "move %s to another IOAS", dev->found->name);
}

/* Both gates held exclusively. */
int ifd_device_move(struct iommufd_device *dev, const struct ifd_target *from, const struct ifd_target *to)
{
	const struct ifd_backend *backend = dev->ctx->backend;
	int ret = check_addresses(dev, to->ioas);

	if (!ret)
		ret = ifd_group_move(dev, to);
	if (ret)
		return ret;
	ret = backend->replace(dev, to);
	if (ret) {
		ifd_group_move(dev, from);
		return ret;
	}
	from->ioas->attached--;
	to->ioas->attached++;
	ret = ifd_ioas_refresh(to->ioas);
	if (ret) {
		to->ioas->attached--;
		from->ioas->attached++;
		return move_back(dev, from, ret);
	}
	if (from->ioas == to->ioas) {
		ifd_target_get(to);
		dev->at.hwpt = to->hwpt;
		return 0;
	}
	leave(dev);
	enter(dev, to);
	ifd_phys_detach(dev, from->ioas);
	ifd_phys_attach(dev, to->ioas); /* it fails where the library pins, and the kernel does for what can be moved */
	ifd_ioas_refresh_after(from->ioas);
	return 0;
}

static int replace_gated(struct iommufd_device *dev, const struct ifd_target *from, struct ifd_target to)
{
	struct iommufd_hwpt *made = NULL;
	int ret = dev->ctx->backend->dirty_join(dev, &to, &made);

	if (!ret)
		ret = ifd_device_move(dev, from, &to);
	if (made)
		ifd_hwpt_drop(made);
	return ret;
}

static int replace(struct iommufd_device *dev, const struct ifd_target *to)
{
	struct ifd_target from = { .ioas = dev->at.ioas };
	uint32_t mark = 0;
	bool there;
	int ret = ifd_target_check(dev, to);

	if (!ret)
		ret = ifd_device_attached(dev, "replace the IOAS");
	if (ret)
		return ret;
	ifd_gates_lock(from.ioas, to->ioas);
	from = dev->at; /* perhaps by now another page table of the same IOAS */
	there = ifd_target_is(&from, to);
	if (!there) {
		mark = ifd_faults_mark(from.hwpt);
		ret = replace_gated(dev, &from, *to);
	}
	ifd_gates_unlock(from.ioas, to->ioas);
	if (ret || there)
		return ret;
	ifd_faults_drop(from.hwpt, dev->id, 0, mark);
	ifd_target_put(&from);
	ifd_info(&dev->ctx->log, "%s is attached elsewhere", dev->found->name);
	return 0;
}

EXPORT int iommufd_device_replace(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	return replace(dev, &(struct ifd_target){ ioas, NULL });
}

EXPORT int iommufd_device_replace_hwpt(struct iommufd_device *dev, struct iommufd_hwpt *hwpt)
{
	return replace(dev, &(struct ifd_target){ hwpt->ioas, hwpt });
}
