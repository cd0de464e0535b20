/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What a context can do, found out by asking: each thing once. */
#include <errno.h>

#include "has.h"
#include "internal.h"
#include "object.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

/*
 * The ioctl that stands for a feature; a later one of the same kernel where that is what makes it of use. 0 where the
 * library does without what is missing.
 */
static const uint16_t numbers[IFD_FEATURES] = {
#define NUMBER(feature, request) [IOMMUFD_HAS_##feature] = (uint16_t)(request)
	NUMBER(COPY, IOMMU_IOAS_COPY),           NUMBER(ALLOW_IOVAS, IOMMU_IOAS_ALLOW_IOVAS),
	NUMBER(HUGE_PAGES, IOMMU_OPTION),        NUMBER(RLIMIT_MODE, IOMMU_OPTION),
	NUMBER(VFIO_IOAS, IOMMU_VFIO_IOAS),      NUMBER(CHANGE_PROCESS, IOMMU_IOAS_CHANGE_PROCESS),
	NUMBER(HW_INFO, IOMMU_GET_HW_INFO),      NUMBER(HWPT, IOMMU_HWPT_ALLOC),
	NUMBER(NESTING, IOMMU_HWPT_INVALIDATE),  NUMBER(DIRTY, IOMMU_HWPT_SET_DIRTY_TRACKING),
	NUMBER(FAULTS, IOMMU_FAULT_QUEUE_ALLOC), NUMBER(VIOMMU, IOMMU_VIOMMU_ALLOC),
	NUMBER(VDEVICE, IOMMU_VDEVICE_ALLOC),    NUMBER(VEVENTQ, IOMMU_VEVENTQ_ALLOC),
	NUMBER(HW_QUEUE, IOMMU_HW_QUEUE_ALLOC),  NUMBER(PHYSICAL, IOMMU_IOAS_NOIOMMU_GET_PA),
	NUMBER(REPLACE, IOMMU_HWPT_ALLOC), /* they came together */
#undef NUMBER
};

/*
 * What is too short, or about no object, changes nothing, and is refused in another way by who knows it. Only for
 * physical addresses there is a kernel that knows the ioctl and was built without what is behind it.
 */
int ifd_iommufd_has(const struct iommufd_ctx *ctx, uint32_t feature)
{
	union {
		uint32_t size;
		struct iommu_ioas_noiommu_get_pa physical;
		char room[128]; /* for the log, which looks at members */
	} cmd = { .room = { 0 } };
	bool physical = feature == IOMMUFD_HAS_PHYSICAL;
	int ret;

	if (!numbers[feature])
		return 1;
	cmd.size = sizeof(cmd.size);
	if (physical)
		cmd.physical = (struct iommu_ioas_noiommu_get_pa){ .size = sizeof(cmd.physical), .length = 1 };
	ret = ifd_sys_ioctl(&ctx->log, ctx->fd, numbers[feature], &cmd);
	if (ret == -ENOTTY || (physical && ret == -EOPNOTSUPP))
		return 0;
	if (physical ? ret == -ENOENT || ret == -EPERM : ret == -EINVAL)
		return 1;
	return ret ? ret : -EPROTO;
}

/* Type 1 tells what was written since its version 2; a container that iommufd serves does not. */
static int container_has_dirty(const struct iommufd_ctx *ctx)
{
	int ret = ifd_sys_ioctl_number(&ctx->log, ctx->fd, VFIO_CHECK_EXTENSION, (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU);

	if (ret <= 0)
		return ret;
	ret = ifd_object_by_process(&ctx->log, ctx->fd);
	return ret == -ENOTTY || ret == -EINVAL ? 1 : ret < 0 ? ret : 0;
}

int ifd_vfio_has(const struct iommufd_ctx *ctx, uint32_t feature)
{
	switch (feature) {
	case IOMMUFD_HAS_COPY:
	case IOMMUFD_HAS_MAP_FILE:
	case IOMMUFD_HAS_ALLOW_IOVAS:
		return 1; /* the library does it by itself */
	case IOMMUFD_HAS_DIRTY:
		return container_has_dirty(ctx);
	default:
		return 0;
	}
}

EXPORT int iommufd_ctx_has(const struct iommufd_ctx *ctx, uint32_t feature)
{
	atomic_uint *known = (atomic_uint *)&ctx->known, *has = (atomic_uint *)&ctx->has;
	int ret = ifd_ctx_check(ctx, "ask for a feature");

	if (ret)
		return ret;
	if (!feature || feature >= IFD_FEATURES)
		return ifd_fail(-EINVAL, "use one of the IOMMUFD_HAS constants", "ask for feature %u", feature);
	if (atomic_load(known) >> feature & 1)
		return (int)(atomic_load(has) >> feature & 1);
	ret = ctx->backend->has(ctx, feature);
	if (ret < 0)
		return ifd_fail(ret, ret == -EPROTO ? "the kernel took what makes no sense" : NULL,
				"ask for feature %u", feature);
	atomic_fetch_or(has, (unsigned int)ret << feature);
	atomic_fetch_or(known, 1u << feature); /* after the answer, for threads that do not wait */
	return ret;
}
