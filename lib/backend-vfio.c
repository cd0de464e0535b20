/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Legacy VFIO: an IOAS is a container, a device is reached through its group.
 *
 * The kernel takes mappings only while the container has a group, and forgets them with the last one. The index is
 * what keeps them: they are replayed when a first group joins.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "container.h"
#include "dirty.h"
#include "explain.h"
#include "has.h"
#include "internal.h"
#include "object.h"
#include "peer.h"
#include "probe.h"
#include "type1.h"
#include "udev.h"
#include "vfio-group.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

/* In the order of preference: v1 is vague about what an unmap of a part does. */
static const uint32_t types[] = { VFIO_TYPE1v2_IOMMU, VFIO_TYPE1_IOMMU };

/* The number of /dev/vfio/vfio, in the kernel's list of devices. */
#define MISC_MAJOR 10
#define VFIO_MINOR 196

#define TYPES (sizeof(types) / sizeof(types[0]))

/* 1 or 0, or -errno. */
static int serves(const struct ifd_log *log, int container, uint32_t type)
{
	int ret = ifd_sys_ioctl_number(log, container, VFIO_CHECK_EXTENSION, (void *)(uintptr_t)type);

	return ret > 0 ? 1 : ret;
}

/* The best type, 0 when it serves none; or -errno. */
static int best_type(const struct ifd_log *log, int container)
{
	for (size_t i = 0; i < TYPES; i++) {
		int ret = serves(log, container, types[i]);

		if (ret)
			return ret < 0 ? ret : (int)types[i];
	}
	return 0;
}

static int check_container(const struct ifd_log *log, int fd, struct ifd_candidate *candidate)
{
	int version = ifd_sys_ioctl_number(log, fd, VFIO_GET_API_VERSION, NULL);
	int best;

	if (version != VFIO_API_VERSION)
		return ifd_fail(version < 0 ? version : -EOPNOTSUPP, "this library knows version 0",
				"open " IFD_DEV_VFIO ": its version is %d", version);
	best = best_type(log, fd);
	if (best < 0)
		return ifd_fail(best, NULL, "open " IFD_DEV_VFIO ": ask for what it serves");
	if (candidate) {
		candidate->type1_version = best == VFIO_TYPE1v2_IOMMU ? 2 : best == VFIO_TYPE1_IOMMU ? 1 : 0;
		if (ifd_backend_iommufd.recognise(log, fd))
			candidate->flags |= IOMMUFD_CANDIDATE_COMPAT;
		if (serves(log, fd, VFIO_NOIOMMU_IOMMU) > 0)
			candidate->flags |= IOMMUFD_CANDIDATE_NOIOMMU;
		candidate->memlock_mode = IOMMUFD_MEMLOCK_PROCESS;
		candidate->module = candidate->flags & IOMMUFD_CANDIDATE_COMPAT ? "iommufd" : "vfio_iommu_type1";
		candidate->usable = candidate->flags & IOMMUFD_CANDIDATE_COMPAT
					    ? "usable: the container is served by iommufd"
				    : best == VFIO_TYPE1v2_IOMMU ? "usable: containers with type1v2"
								 : "usable: containers with type1, version 1";
	}
	return best ? 0
		    : ifd_fail(-EOPNOTSUPP, "modprobe vfio_iommu_type1, or switch the IOMMU on: intel_iommu=on",
			       "open " IFD_DEV_VFIO ": it serves neither type1v2 nor type1");
}

static int be_open(const struct ifd_log *log, struct ifd_candidate *candidate)
{
	char hint[IFD_HINT_MAX] = "";
	int fd, ret;

	fd = ifd_sys_open(IFD_DEV_VFIO, O_RDWR);
	if (fd < 0) {
		ifd_hint_open(
			hint, fd, IFD_DEV_VFIO,
			"the kernel has no VFIO containers: modprobe vfio, or a kernel with CONFIG_VFIO_CONTAINER");
		return ifd_fail(fd, hint, "open " IFD_DEV_VFIO);
	}
	ret = check_container(log, fd, candidate);
	if (ret) {
		ifd_sys_close(fd);
		return ret;
	}
	return fd;
}

/* Every iommufd can stand for a container, but one that was opened as such is known by its node. */
static int be_recognise(const struct ifd_log *log, int fd)
{
	struct stat st;

	if (ifd_sys_ioctl_number(log, fd, VFIO_GET_API_VERSION, NULL) != VFIO_API_VERSION)
		return 0;
	return !ifd_backend_iommufd.recognise(log, fd) ||
	       (!ifd_sys_fstat(fd, &st) && st.st_rdev == makedev(MISC_MAJOR, VFIO_MINOR));
}

static int be_memlock(const struct iommufd_ctx *ctx)
{
	char hint[IFD_HINT_MAX] = "VFIO counts by process: leave memlock_mode at 0, or use the backend iommufd";

	if (ctx->memlock_mode == IOMMUFD_MEMLOCK_PROCESS)
		return 0;
	ifd_hint_passed_over(hint, ctx);
	return ifd_fail(-EOPNOTSUPP, hint, "have pinned memory counted by user");
}

bool ifd_container_serves(const struct iommufd_ctx *ctx, int container, bool assumed)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	int ret = ifd_sys_ioctl(&ctx->log, container, VFIO_IOMMU_GET_INFO, &info);

	if (!ret)
		return true;
	/* Without a group; and as iommufd says it for a container that it serves. Without an IOMMU: ENOTTY. */
	return ret != -EINVAL && ret != -ENODEV && ret != -ENOTTY && assumed;
}

/*
 * One IOAS at a time has the context's container, every further one a container of its own. In one that was adopted
 * there may be groups of somebody else; in our own there may be one that could not leave, which nobody new shall share.
 */
static bool take_container(struct iommufd_ctx *ctx)
{
	bool mine;

	pthread_mutex_lock(&ctx->lock);
	mine = ctx->container_free;
	ctx->container_free = false;
	pthread_mutex_unlock(&ctx->lock);
	if (!mine || ctx->adopted || !ifd_container_serves(ctx, ctx->fd, true))
		return mine;
	pthread_mutex_lock(&ctx->lock);
	ctx->container_free = true;
	pthread_mutex_unlock(&ctx->lock);
	return false;
}

static int be_ioas_new(struct iommufd_ioas *ioas)
{
	struct iommufd_ctx *ctx = ioas->ctx;
	int fd = take_container(ctx) ? ctx->fd : be_open(&ctx->log, NULL);

	if (fd < 0)
		return fd;
	ioas->container = fd;
	ioas->serving = ctx->adopted && fd == ctx->fd && ifd_container_serves(ctx, fd, false);
	return 0;
}

/* ---- Limits ---- */

/* Devices without an IOMMU have none. */
static int ask_limits(struct iommufd_ioas *ioas, struct ifd_type1 *limits)
{
	int ret = ioas->physical ? ifd_type1_none(limits) : ifd_type1_ask(&ioas->ctx->log, ioas->container, limits);

	if (ret)
		return ifd_fail(ret, NULL, "ask for the permitted IOVAs");
	ret = ifd_check_limits(limits->ranges, limits->count, limits->alignment);
	if (ret)
		free(limits->ranges);
	return ret;
}

static int be_ioas_limits(struct iommufd_ioas *ioas, struct iommufd_range **ranges, size_t *count, uint64_t *alignment)
{
	struct ifd_type1 limits;
	int ret;

	if (!ioas->serving && !ioas->physical) {
		*ranges = NULL;
		return 0;
	}
	ret = ask_limits(ioas, &limits);
	if (ret)
		return ret;
	*ranges = limits.ranges;
	*count = limits.count;
	*alignment = limits.alignment;
	return 0;
}

static int be_ioas_allow(struct iommufd_ioas *ioas, const struct iommufd_range *ranges, size_t count)
{
	(void)ioas;
	(void)ranges;
	(void)count;
	return 0;
}

/* While the kernel has nothing, it will take what the index has once it is replayed. */
static int left_of_limit(struct iommufd_ioas *ioas, uint64_t *left)
{
	uint64_t limit, count = ifd_index_count(&ioas->index);
	int ret = ifd_type1_map_limit(&limit);

	if (ret)
		return ifd_fail(ret, NULL, "ask for the number of mappings left");
	*left = limit > count ? limit - count : 0;
	return 0;
}

static int be_maps_left(struct iommufd_ioas *ioas, uint64_t *left)
{
	struct ifd_type1 limits;
	int ret;

	if (!ioas->serving)
		return left_of_limit(ioas, left);
	ret = ask_limits(ioas, &limits);
	if (ret)
		return ret;
	free(limits.ranges);
	if (!limits.tells_left)
		return left_of_limit(ioas, left);
	*left = limits.left;
	return 0;
}

/* ---- Mappings ---- */

/* `dev` is what is being attached, for the words, or NULL. */
static int map_now(struct iommufd_ioas *ioas, const struct ifd_map *map, const struct iommufd_device *dev)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd),
		.vaddr = ifd_peer_address(map),
		.iova = map->iova.start,
		.size = ifd_map_len(map),
	};
	int ret;

	if (map->flags & IOMMUFD_MAP_READ)
		cmd.flags |= VFIO_DMA_MAP_FLAG_READ;
	if (map->flags & IOMMUFD_MAP_WRITE)
		cmd.flags |= VFIO_DMA_MAP_FLAG_WRITE;
	ret = ifd_sys_ioctl(&ioas->ctx->log, ioas->container, VFIO_IOMMU_MAP_DMA, &cmd);
	return ret ? ifd_fail_map(ret, map, true, dev) : 0;
}

bool ifd_container_stopped(struct iommufd_ioas *ioas)
{
	if (ioas->attached)
		return false;
	ioas->serving = ifd_container_serves(ioas->ctx, ioas->container, ioas->serving);
	return !ioas->serving;
}

static int be_map(struct iommufd_ioas *ioas, const struct ifd_map *map)
{
	int ret = ioas->serving ? map_now(ioas, map, NULL) : 0;

	return ret && ifd_container_stopped(ioas) ? 0 : ret;
}

static int be_unmap(struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, uint64_t *unmapped)
{
	struct vfio_iommu_type1_dma_unmap cmd = { .argsz = sizeof(cmd), .iova = iova, .size = len };
	int ret = 0;

	if (ioas->serving)
		ret = ifd_sys_ioctl(&ioas->ctx->log, ioas->container, VFIO_IOMMU_UNMAP_DMA, &cmd);
	if (ret && !ifd_container_stopped(ioas))
		return ifd_fail(ret, NULL, "unmap IOVA 0x%" PRIx64 "-0x%" PRIx64, iova, iova + (len - 1));
	*unmapped = ret ? len : cmd.size;
	return 0;
}

/* Where others keep the container alive, the kernel would keep our mappings too. */
static void unmap_rest(struct iommufd_ioas *ioas)
{
	const struct ifd_map *map = ioas->serving ? ifd_index_next(&ioas->index, 0, UINT64_MAX) : NULL;

	for (; map; map = ifd_index_after(&ioas->index, map, UINT64_MAX)) {
		uint64_t bytes;

		if (be_unmap(ioas, map->iova.start, ifd_map_len(map), &bytes))
			ifd_error(&ioas->ctx->log, "a mapping stays: %s", iommufd_errmsg());
	}
}

static void be_ioas_free(struct iommufd_ioas *ioas)
{
	struct iommufd_ctx *ctx = ioas->ctx;

	if (!ifd_in_child(ctx))
		unmap_rest(ioas);
	if (ioas->container != ctx->fd) {
		ifd_sys_close(ioas->container);
		return;
	}
	ifd_lock(ctx, &ctx->lock);
	ctx->container_free = true;
	ifd_unlock(ctx, &ctx->lock);
}

/* Undoes a replay up to a mapping, for when somebody else's group keeps the container alive. Keeps the words. */
static void take_back(struct iommufd_ioas *ioas, const struct ifd_map *end)
{
	const struct ifd_map *map = ifd_index_next(&ioas->index, 0, UINT64_MAX);

	for (; map != end; map = ifd_index_after(&ioas->index, map, UINT64_MAX)) {
		struct vfio_iommu_type1_dma_unmap cmd = { .argsz = sizeof(cmd),
							  .iova = map->iova.start,
							  .size = ifd_map_len(map) };
		int ret = ifd_sys_ioctl(&ioas->ctx->log, ioas->container, VFIO_IOMMU_UNMAP_DMA, &cmd);

		if (ret)
			ifd_error(&ioas->ctx->log, "a mapping that was replayed stays: %s", IFD_STRERROR(ret));
	}
}

int ifd_container_replay(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	struct ifd_type1 limits;
	const struct ifd_map *map;
	size_t n = 0;
	int ret;

	ret = ask_limits(ioas, &limits);
	if (ret)
		return ret;
	map = ifd_ioas_misfit(ioas, limits.ranges, limits.count, limits.alignment);
	if (map)
		ret = ifd_fail_misfit(-EADDRINUSE, map, limits.ranges, limits.count, dev);
	free(limits.ranges);
	if (ret)
		return ret;

	for (map = ifd_index_next(&ioas->index, 0, UINT64_MAX); map;
	     map = ifd_index_after(&ioas->index, map, UINT64_MAX)) {
		ret = map->lost ? 0 : map_now(ioas, map, dev);
		if (ret) {
			take_back(ioas, map);
			return ret;
		}
		n++;
	}
	ifd_info(&ioas->ctx->log, "%zu mappings replayed for %s", n, dev->found->name);
	return 0;
}

/* A device's memory has an address in the process, which type1 takes, and iommufd in its place does not. */
static int be_lends(struct iommufd_ctx *ctx)
{
	return ifd_object_by_process(&ctx->log, ctx->fd) < 0
		       ? 0
		       : ifd_fail(-EOPNOTSUPP, "use the backend iommufd, for which the kernel does it by a dma-buf",
				  "map a device's memory: the container is served by iommufd");
}

/* ---- Types ---- */

/* A second device finds the type chosen, which cannot be done twice: such a container then knows no IOMMU's calls. */
int ifd_container_set_noiommu(struct iommufd_ioas *ioas)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };

	if (ifd_sys_ioctl(&ioas->ctx->log, ioas->container, VFIO_IOMMU_GET_INFO, &info) == -ENOTTY)
		return 0;
	return ifd_sys_ioctl(&ioas->ctx->log, ioas->container, VFIO_SET_IOMMU, (void *)(uintptr_t)VFIO_NOIOMMU_IOMMU);
}

int ifd_container_type(const struct iommufd_ioas *ioas)
{
	return best_type(&ioas->ctx->log, ioas->container);
}

int ifd_container_set_type(struct iommufd_ioas *ioas)
{
	const struct ifd_log *log = &ioas->ctx->log;
	int type = best_type(log, ioas->container), ret;

	if (type <= 0)
		return type ? type : -EOPNOTSUPP;
	ret = ifd_sys_ioctl(log, ioas->container, VFIO_SET_IOMMU, (void *)(uintptr_t)type);
	if (!ret)
		ifd_info(log, "the container is type1%s", type == VFIO_TYPE1v2_IOMMU ? "v2" : ", version 1");
	return ret;
}

/* ---- Devices and groups ---- */

static int be_snooped(struct iommufd_ioas *ioas)
{
	return ioas->serving ? serves(&ioas->ctx->log, ioas->container, VFIO_DMA_CC_IOMMU) : 1;
}

static void be_device_close(struct iommufd_device *dev)
{
	ifd_sys_close(dev->fd); /* open in a child of a process that was just attaching; else -1 */
	dev->fd = -1;
	ifd_group_leave_vm(dev);
}

const struct ifd_backend ifd_backend_vfio = {
	.id = IOMMUFD_BACKEND_VFIO,
	.name = "vfio",
	.node = IFD_DEV_VFIO,
	.open = be_open,
	.recognise = be_recognise,
	.memlock = be_memlock,
	.ioas_new = be_ioas_new,
	.ioas_free = be_ioas_free,
	.ioas_limits = be_ioas_limits,
	.ioas_allow = be_ioas_allow,
	.map = be_map,
	.unmap = be_unmap,
	.lends = be_lends,
	.copy = ifd_container_no_copy,
	.dirty_set = ifd_container_dirty_set,
	.dirty_join = ifd_container_dirty_join,
	.dirty_read = ifd_container_dirty_read,
	.dirty_unmap = ifd_container_dirty_unmap,
	.maps_left = be_maps_left,
	.command = ifd_container_no_command,
	.command_refused = ifd_container_no_command_refused,
	.has = ifd_vfio_has,
	.physical = ifd_container_no_physical,
	.snooped = be_snooped,
	.device_node = ifd_group_node,
	.device_open = ifd_group_open_node,
	.device_adopt = ifd_container_no_device_adopt,
	.device_take = ifd_container_no_device_take,
	.device_close = be_device_close,
	.attach = ifd_container_attach,
	.detach = ifd_container_detach,
	.replace = ifd_container_no_replace,
	.pasid_attach = ifd_container_no_pasid_attach,
	.pasid_detach = ifd_container_no_pasid_detach,
};
