/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>

#include "internal.h"
#include "uapi/iommufd.h"
#include "viommu.h"

struct iommufd_hwqueue {
	struct ifd_handle handle;     /* needs the virtual IOMMU, and the queue of the index before */
	struct iommufd_hwqueue *next; /* in viommu->hwqueues */
	struct iommufd_viommu *viommu;
	uint32_t type, index;
};

static const struct ifd_reason refusals[] = {
	{ -EINVAL, "the virtual IOMMU has no queue of this index, or wants another length or alignment" },
	{ -EEXIST, "free the queue that has this index" },
	{ -EIO, "make the queue of the index before first" },
	{ -ENOENT, "map all of it in the IOAS that the nest parent shows" },
	{ -EFAULT, "the memory is not contiguous: take a huge page, see IOMMUFD_DMA_HUGE" },
	{ -EOPNOTSUPP, "the virtual IOMMU has no queues of this type" },
	{ 0, NULL },
};

/*
 * Under the lock from the list to the kernel, or one that another thread makes at this moment would depend on an object
 * that is about to go.
 */
static void leave(struct ifd_handle *handle)
{
	struct iommufd_hwqueue *q = (struct iommufd_hwqueue *)handle, **at = &q->viommu->hwqueues;

	ifd_lock(handle->ctx, &q->viommu->lock);
	while (*at && *at != q)
		at = &(*at)->next;
	if (*at)
		*at = q->next;
	ifd_handle_destroy(handle);
	ifd_unlock(handle->ctx, &q->viommu->lock);
}

/* Lock held. The one of the index before, which the kernel wants to outlive this one; NULL where there is none. */
static struct iommufd_hwqueue *previous(const struct iommufd_hwqueue *q)
{
	struct iommufd_hwqueue *other = q->index ? q->viommu->hwqueues : NULL;

	while (other && (other->type != q->type || other->index + 1 != q->index))
		other = other->next;
	return other;
}

/*
 * Lock held, and given up meanwhile. As long as one that nobody holds any more is in the kernel, that would have the
 * new one depend on it, and then not destroy it: so it has to be gone. Whether it can be done without is up to the
 * kernel.
 */
static void hold_previous(struct iommufd_hwqueue *q)
{
	struct iommufd_hwqueue *other;

	while ((other = previous(q)) && !ifd_handle_need_living(&q->handle, &other->handle)) {
		pthread_mutex_unlock(&q->viommu->lock);
		ifd_sys_sleep_ms(1);
		pthread_mutex_lock(&q->viommu->lock);
	}
}

static int make_locked(struct iommufd_hwqueue *q, struct iommu_hw_queue_alloc *cmd)
{
	int ret;

	hold_previous(q);
	ret = ifd_handle_make(&q->handle, IOMMU_HW_QUEUE_ALLOC, cmd, &cmd->out_hw_queue_id, NULL);
	if (ret)
		return ret;
	q->next = q->viommu->hwqueues;
	q->viommu->hwqueues = q;
	return 0;
}

EXPORT int iommufd_hwqueue_new(struct iommufd_viommu *viommu, uint32_t type, uint32_t index, uint64_t iova,
			       uint64_t len, struct iommufd_hwqueue **out)
{
	static const char what[] = "make a hardware queue";
	struct iommu_hw_queue_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu->handle.id,
		.type = type,
		.index = index,
		.nesting_parent_iova = iova,
		.length = len,
	};
	struct iommufd_hwqueue *q;
	int ret = ifd_ctx_check(viommu->handle.ctx, what);

	if (ret)
		return ret;
	if (!len)
		return ifd_fail(-EINVAL, "give the length in bytes", "%s of no bytes", what);
	if (iova + (len - 1) < iova)
		return ifd_fail(-EOVERFLOW, "give a place that is mapped",
				"%s of %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": goes past 2^64", what, len, iova);
	q = ifd_handle_new(viommu->handle.ctx, sizeof(*q));
	if (!q)
		return ifd_fail(-ENOMEM, NULL, "%s", what);
	q->viommu = viommu;
	q->type = type;
	q->index = index;
	q->handle.leave = leave;
	ifd_handle_need(&q->handle, &viommu->handle);
	pthread_mutex_lock(&viommu->lock);
	ret = make_locked(q, &cmd);
	pthread_mutex_unlock(&viommu->lock);
	ret = ifd_handle_made(&q->handle, ret, IOMMU_HW_QUEUE_ALLOC, refusals, what);
	if (!ret)
		*out = q;
	return ret;
}

EXPORT void iommufd_hwqueue_free(struct iommufd_hwqueue *q)
{
	if (q)
		ifd_handle_put(&q->handle);
}

EXPORT uint32_t iommufd_hwqueue_id(const struct iommufd_hwqueue *q)
{
	return q->handle.id;
}
