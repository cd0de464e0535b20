/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* PASIDs of a device: each is attached by itself. */
#include <errno.h>
#include <stdlib.h>

#include "dirty.h"
#include "fault.h"
#include "hwpt.h"
#include "internal.h"
#include "udev.h"

struct ifd_pasid {
	struct ifd_pasid *next; /* in dev->pasids */
	uint32_t pasid;
	struct ifd_target at;
};

static struct ifd_pasid **find(struct iommufd_device *dev, uint32_t pasid)
{
	struct ifd_pasid **at = &dev->pasids;

	while (*at && (*at)->pasid != pasid)
		at = &(*at)->next;
	return at;
}

/* How many the device has is what the kernel knows best, and what differs from one to the next. */
static int check(struct iommufd_device *dev, uint32_t pasid, const struct ifd_target *to, const char *what)
{
	struct iommufd_hw_info info = { .struct_size = sizeof(info) };
	int ret = ifd_ctx_check(dev->ctx, what);

	if (!ret)
		ret = ifd_target_check(dev, to);
	if (!ret)
		ret = iommufd_device_hw_info(dev, &info, NULL, 0);
	if (ret)
		return ret;
	if (!info.pasid_bits)
		return ifd_fail(-EOPNOTSUPP, "the device or its IOMMU has none, or Linux is older than 6.15",
				"%s %u of %s", what, pasid, dev->found->name);
	if (!pasid || (info.pasid_bits < 32 && pasid >> info.pasid_bits))
		return ifd_fail(-EINVAL, "PASIDs go from 1 to 2^pasid_bits - 1, see iommufd_device_hw_info()",
				"%s %u of %s, whose PASIDs have %u bits", what, pasid, dev->found->name,
				info.pasid_bits);
	return 0;
}

/* Exactly one of the two. */
static int choose(struct iommufd_ioas *ioas, struct iommufd_hwpt *hwpt, struct ifd_target *to)
{
	if (!ioas == !hwpt)
		return ifd_fail(-EINVAL, "give one, and NULL for the other", "attach a PASID to %s",
				ioas ? "both an IOAS and a page table" : "nothing");
	*to = (struct ifd_target){ hwpt ? hwpt->ioas : ioas, hwpt };
	return 0;
}

/* Gate held. Also those whose writes are not seen. */
static void count(const struct ifd_target *at, int change)
{
	at->ioas->pasids += (unsigned int)change;
	if (!ifd_dirty_tells(at))
		at->ioas->unseen_pasids += (unsigned int)change;
}

/* Gate held. What the kernel permits may have changed with it. */
static int attach_gated(struct iommufd_device *dev, uint32_t pasid, const struct ifd_target *to)
{
	int ret = dev->ctx->backend->pasid_attach(dev, pasid, to);

	if (ret)
		return ret;
	count(to, 1);
	ret = ifd_ioas_refresh(to->ioas);
	if (!ret)
		return 0;
	count(to, -1);
	dev->ctx->backend->pasid_detach(dev, pasid);
	return ret;
}

EXPORT int iommufd_device_pasid_attach(struct iommufd_device *dev, uint32_t pasid, struct iommufd_ioas *ioas,
				       struct iommufd_hwpt *hwpt)
{
	struct ifd_pasid *entry;
	struct ifd_target to;
	int ret = choose(ioas, hwpt, &to);

	if (!ret)
		ret = check(dev, pasid, &to, "attach PASID");
	if (ret)
		return ret;
	if (*find(dev, pasid))
		return ifd_fail(-EBUSY, "detach it first, or use iommufd_device_pasid_replace()",
				"attach PASID %u of %s: it is attached", pasid, dev->found->name);
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return ifd_fail(-ENOMEM, NULL, "attach PASID %u of %s", pasid, dev->found->name);
	*entry = (struct ifd_pasid){ .next = dev->pasids, .pasid = pasid, .at = to };
	pthread_rwlock_wrlock(&to.ioas->gate);
	ret = attach_gated(dev, pasid, &to);
	pthread_rwlock_unlock(&to.ioas->gate);
	if (ret) {
		free(entry);
		return ret;
	}
	ifd_target_get(&to);
	dev->pasids = entry;
	return 0;
}

static int not_attached(const struct iommufd_device *dev, uint32_t pasid)
{
	return ifd_fail(-ENOTCONN, "attach it first", "PASID %u of %s: it is not attached", pasid, dev->found->name);
}

/* Both gates held. */
static int replace_gated(struct iommufd_device *dev, struct ifd_pasid *entry, const struct ifd_target *to)
{
	const struct ifd_backend *backend = dev->ctx->backend;
	char hint[IFD_HINT_MAX] = "";
	int ret = backend->pasid_attach(dev, entry->pasid, to);

	if (ret)
		return ret;
	count(&entry->at, -1);
	count(to, 1);
	ret = ifd_ioas_refresh(to->ioas);
	if (!ret) {
		if (entry->at.ioas != to->ioas)
			ifd_ioas_refresh_after(entry->at.ioas);
		return 0;
	}
	ifd_hint(hint, "%s", iommufd_errmsg());
	count(to, -1);
	count(&entry->at, 1);
	if (backend->pasid_attach(dev, entry->pasid, &entry->at))
		ifd_error(&dev->ctx->log, "PASID %u of %s stays where it was moved to: %s", entry->pasid,
			  dev->found->name, iommufd_errmsg());
	return ifd_fail(ret, hint, "move PASID %u of %s", entry->pasid, dev->found->name);
}

EXPORT int iommufd_device_pasid_replace(struct iommufd_device *dev, uint32_t pasid, struct iommufd_ioas *ioas,
					struct iommufd_hwpt *hwpt)
{
	struct ifd_pasid *entry;
	struct ifd_target to, from;
	uint32_t mark;
	int ret = choose(ioas, hwpt, &to);

	if (!ret)
		ret = check(dev, pasid, &to, "move PASID");
	if (ret)
		return ret;
	entry = *find(dev, pasid);
	if (!entry)
		return not_attached(dev, pasid);
	from = entry->at;
	if (ifd_target_is(&from, &to))
		return 0;
	mark = ifd_faults_mark(from.hwpt);
	ifd_gates_lock(from.ioas, to.ioas);
	ret = replace_gated(dev, entry, &to);
	ifd_gates_unlock(from.ioas, to.ioas);
	if (ret)
		return ret;
	ifd_faults_drop(from.hwpt, dev->id, pasid, mark);
	ifd_target_get(&to);
	entry->at = to;
	ifd_target_put(&from);
	return 0;
}

static void detach(struct iommufd_device *dev, struct ifd_pasid **at)
{
	struct ifd_pasid *entry = *at;
	struct iommufd_ioas *ioas = entry->at.ioas;
	uint32_t mark;

	if (ifd_in_child(dev->ctx)) {
		count(&entry->at, -1);
	} else {
		mark = ifd_faults_mark(entry->at.hwpt);
		pthread_rwlock_wrlock(&ioas->gate);
		dev->ctx->backend->pasid_detach(dev, entry->pasid);
		count(&entry->at, -1);
		ifd_ioas_refresh_after(ioas);
		pthread_rwlock_unlock(&ioas->gate);
		ifd_faults_drop(entry->at.hwpt, dev->id, entry->pasid, mark);
	}
	*at = entry->next;
	ifd_target_put(&entry->at);
	free(entry);
}

EXPORT int iommufd_device_pasid_detach(struct iommufd_device *dev, uint32_t pasid)
{
	struct ifd_pasid **at;
	int ret = ifd_ctx_check(dev->ctx, "detach a PASID");

	if (ret)
		return ret;
	at = find(dev, pasid);
	if (!*at)
		return not_attached(dev, pasid);
	detach(dev, at);
	return 0;
}

void ifd_pasid_detach_all(struct iommufd_device *dev)
{
	while (dev->pasids)
		detach(dev, &dev->pasids);
}
