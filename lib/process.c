/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* An iommufd that more than one has to do with: old calls of VFIO on it, and another process that takes it over. */
#include <errno.h>
#include <inttypes.h>

#include "file.h"
#include "handle.h"
#include "internal.h"
#include "uapi/iommufd.h"

/* ---- The compat IOAS ---- */

/* By the group's node an attach lends it for a moment, with ctx->opening held. */
static int compat(struct iommufd_ctx *ctx, const char *what, uint16_t op, uint32_t *id)
{
	struct iommu_vfio_ioas cmd = { .size = sizeof(cmd), .ioas_id = *id, .op = op };
	char hint[IFD_HINT_MAX] = "";
	int ret = ifd_ctx_check(ctx, what);

	if (ret)
		return ret;
	pthread_mutex_lock(&ctx->opening);
	ret = ifd_command(ctx, IOMMU_VFIO_IOAS, &cmd);
	pthread_mutex_unlock(&ctx->opening);
	if (!ret && op == IOMMU_VFIO_IOAS_GET && !cmd.ioas_id)
		ret = -EPROTO;
	if (ret) {
		ret = ret == -ENODEV ? -ENOENT : ret;
		if (ret == -ENOENT)
			ifd_hint(hint, "there is none: set one");
		ifd_hint_command(hint, ctx, IOMMU_VFIO_IOAS, ret);
		return ifd_fail(ret, hint, "%s", what);
	}
	*id = cmd.ioas_id;
	return 0;
}

EXPORT int iommufd_ctx_set_compat_ioas(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas)
{
	uint32_t id = ioas->id;

	if (ioas->ctx != ctx)
		return ifd_fail(-EINVAL, "make it from this context",
				"set an IOAS of another context for VFIO's calls");
	return compat(ctx, "set the IOAS for VFIO's calls", IOMMU_VFIO_IOAS_SET, &id);
}

EXPORT int iommufd_ctx_get_compat_ioas(struct iommufd_ctx *ctx, uint32_t *id)
{
	uint32_t mine = 0;
	int ret = compat(ctx, "ask for the IOAS for VFIO's calls", IOMMU_VFIO_IOAS_GET, &mine);

	if (!ret)
		*id = mine;
	return ret;
}

EXPORT int iommufd_ctx_clear_compat_ioas(struct iommufd_ctx *ctx)
{
	uint32_t none = 0;

	return compat(ctx, "clear the IOAS for VFIO's calls", IOMMU_VFIO_IOAS_CLEAR, &none);
}

/* ---- Another process ---- */

static bool is_on_its_way(const struct ifd_map *map)
{
	return map->state != IFD_MAP_LIVE;
}

static bool is_of_memory(const struct ifd_map *map)
{
	return ifd_file_is_kernels(map->file) ? map->file->dmabuf : true;
}

/* Appends the first mapping that keeps the kernel from it, of all IOASes that were made here; the errno, or 0. */
static int find_obstacle(struct iommufd_ctx *ctx, char *hint)
{
	struct iommufd_range range;
	int ret = 0;

	pthread_mutex_lock(&ctx->lock);
	for (struct iommufd_ioas *ioas = ctx->ioases; ioas && !ret; ioas = ioas->next) {
		if (ifd_index_first(&ioas->index, is_of_memory, &range)) {
			ifd_hint(hint,
				 "the mapping 0x%" PRIx64 "-0x%" PRIx64 " is of this process's memory or of a dma-buf: "
				 "unmap it, and map a file by iommufd_ioas_map_file()",
				 range.start, range.last);
			ret = -EINVAL;
		} else if (ifd_index_first(&ioas->index, is_on_its_way, &range)) {
			ifd_hint(hint, "another thread is at work on 0x%" PRIx64 "-0x%" PRIx64, range.start,
				 range.last);
			ret = -EBUSY;
		}
	}
	pthread_mutex_unlock(&ctx->lock);
	return ret;
}

static int fail_change(const struct iommufd_ctx *ctx, int err, char *hint)
{
	ifd_hint_command(hint, ctx, IOMMU_IOAS_CHANGE_PROCESS, err);
	return ifd_fail(err, hint, "hand pinned memory over to another process");
}

EXPORT int iommufd_ctx_can_change_process(struct iommufd_ctx *ctx)
{
	struct iommu_ioas_change_process probe = { .size = sizeof(probe.size) };
	char hint[IFD_HINT_MAX] = "";
	int ret = ifd_ctx_check(ctx, "hand pinned memory over to another process");

	if (ret)
		return ret;
	ret = ifd_command(ctx, IOMMU_IOAS_CHANGE_PROCESS, &probe);
	if (ret != -EINVAL) /* that it is too short: it is known */
		return fail_change(ctx, ret ? ret : -EPROTO, hint);
	ret = find_obstacle(ctx, hint);
	return ret ? fail_change(ctx, ret, hint) : 0;
}

EXPORT int iommufd_ctx_change_process(struct iommufd_ctx *ctx)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };
	char hint[IFD_HINT_MAX] = "";
	int ret = ifd_ctx_check(ctx, "take over pinned memory");

	if (ret)
		return ret;
	ret = ifd_command(ctx, IOMMU_IOAS_CHANGE_PROCESS, &cmd);
	if (!ret)
		return 0;
	if (ret == -EINVAL && !find_obstacle(ctx, hint))
		ifd_hint(hint,
			 "a mapping that was not made through this context is of a process's memory or of a dma-buf: "
			 "ask iommufd_ctx_can_change_process() where it was made");
	else if (ret == -EBUSY)
		ifd_hint(hint, "something is being mapped: try again");
	else if (ret == -ENOMEM)
		ifd_hint(hint, "what is pinned does not fit into this process's memlock limit, beside what counts for "
			       "the old process if "
			       "both are of one user: raise it with ulimit -l, limits.conf or LimitMEMLOCK=");
	return fail_change(ctx, ret, hint);
}
