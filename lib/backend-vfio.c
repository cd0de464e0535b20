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

#include "explain.h"
#include "internal.h"
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

static int serves(const struct ifd_log *log, int container, uint32_t type)
{
	return ifd_sys_ioctl(log, container, VFIO_CHECK_EXTENSION, (void *)(uintptr_t)type) > 0;
}

static int check_container(const struct ifd_log *log, int fd, struct ifd_candidate *candidate)
{
	int version = ifd_sys_ioctl(log, fd, VFIO_GET_API_VERSION, NULL);
	uint32_t best = 0;

	if (version != VFIO_API_VERSION)
		return ifd_fail(version < 0 ? version : -EOPNOTSUPP, "this library knows version 0",
				"open " IFD_DEV_VFIO ": its version is %d", version);
	for (size_t i = 0; i < TYPES && !best; i++)
		best = serves(log, fd, types[i]) ? types[i] : 0;
	if (candidate) {
		candidate->type1_version = best == VFIO_TYPE1v2_IOMMU ? 2 : best == VFIO_TYPE1_IOMMU ? 1 : 0;
		if (ifd_backend_iommufd.recognise(log, fd))
			candidate->flags |= IOMMUFD_CANDIDATE_COMPAT;
		if (serves(log, fd, VFIO_NOIOMMU_IOMMU))
			candidate->flags |= IOMMUFD_CANDIDATE_NOIOMMU;
		candidate->memlock_mode = IOMMUFD_MEMLOCK_PROCESS;
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

	if (ifd_sys_ioctl(log, fd, VFIO_GET_API_VERSION, NULL) != VFIO_API_VERSION)
		return 0;
	return !ifd_backend_iommufd.recognise(log, fd) ||
	       (!ifd_sys_fstat(fd, &st) && st.st_rdev == makedev(MISC_MAJOR, VFIO_MINOR));
}

/* Whether the container takes mappings: the kernel answers once it has a group and a type. */
static bool serves_now(struct iommufd_ioas *ioas)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };

	return !ifd_sys_ioctl(&ioas->ctx->log, ioas->container, VFIO_IOMMU_GET_INFO, &info);
}

/* One IOAS at a time has the context's container, every further one a container of its own. */
static int be_ioas_new(struct iommufd_ioas *ioas)
{
	struct iommufd_ctx *ctx = ioas->ctx;
	bool mine;
	int fd;

	pthread_mutex_lock(&ctx->lock);
	mine = ctx->container_free;
	ctx->container_free = false;
	pthread_mutex_unlock(&ctx->lock);

	fd = mine ? ctx->fd : be_open(&ctx->log, NULL);
	if (fd < 0)
		return fd;
	ioas->container = fd;
	ioas->serving = serves_now(ioas); /* one that was adopted may have a group already */
	return 0;
}

static void be_ioas_free(struct iommufd_ioas *ioas)
{
	struct iommufd_ctx *ctx = ioas->ctx;

	if (ioas->container != ctx->fd) {
		ifd_sys_close(ioas->container);
		return;
	}
	ifd_lock(ctx, &ctx->lock);
	ctx->container_free = true;
	ifd_unlock(ctx, &ctx->lock);
}

/* ---- Limits ---- */

/* Devices without an IOMMU have none. */
static int ask_limits(struct iommufd_ioas *ioas, struct ifd_type1 *limits)
{
	int ret = ioas->physical ? ifd_type1_none(limits) : ifd_type1_ask(&ioas->ctx->log, ioas->container, limits);

	return ret ? ifd_fail(ret, NULL, "ask for the permitted IOVAs") : 0;
}

static int be_ioas_limits(struct iommufd_ioas *ioas, struct iommufd_range **ranges, size_t *count, uint64_t *alignment)
{
	struct ifd_type1 limits;
	int ret = ask_limits(ioas, &limits);

	if (ret)
		return ret;
	*ranges = limits.ranges;
	*count = limits.count;
	*alignment = limits.alignment;
	return 0;
}

/* While the kernel has nothing, it will take what the index has once it is replayed. */
static int be_maps_left(struct iommufd_ioas *ioas, uint64_t *left)
{
	uint64_t limit = ifd_type1_map_limit(), count = ifd_index_count(&ioas->index);
	struct ifd_type1 limits;
	int ret;

	*left = limit > count ? limit - count : 0;
	if (!ioas->serving)
		return 0;
	ret = ask_limits(ioas, &limits);
	if (ret)
		return ret;
	free(limits.ranges);
	if (limits.tells_left)
		*left = limits.left;
	return 0;
}

/* ---- Mappings ---- */

/* `dev` is what is being attached, for the words, or NULL. */
static int map_now(struct iommufd_ioas *ioas, const struct ifd_map *map, const struct iommufd_device *dev)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd),
		.vaddr = map->vaddr.start,
		.iova = map->iova.start,
		.size = ifd_map_len(map),
	};
	int ret;

	if (map->flags & IOMMUFD_MAP_READ)
		cmd.flags |= VFIO_DMA_MAP_FLAG_READ;
	if (map->flags & IOMMUFD_MAP_WRITE)
		cmd.flags |= VFIO_DMA_MAP_FLAG_WRITE;
	ret = ifd_sys_ioctl(&ioas->ctx->log, ioas->container, VFIO_IOMMU_MAP_DMA, &cmd);
	return ret ? ifd_fail_map(ret, map, "per process", dev) : 0;
}

/*
 * A group that could not leave, since somebody had a copy of its device's descriptor, goes by itself when the last copy
 * is closed. With the last group go all mappings, and nobody is told. Found out when a call fails: true if it is so.
 */
static bool stopped_serving(struct iommufd_ioas *ioas)
{
	if (!serves_now(ioas))
		ioas->serving = false;
	return !ioas->serving;
}

static int be_map(struct iommufd_ioas *ioas, const struct ifd_map *map)
{
	int ret = ioas->serving ? map_now(ioas, map, NULL) : 0;

	return ret && stopped_serving(ioas) ? 0 : ret;
}

static int be_unmap(struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, uint64_t *unmapped)
{
	struct vfio_iommu_type1_dma_unmap cmd = { .argsz = sizeof(cmd), .iova = iova, .size = len };
	int ret = 0;

	if (ioas->serving)
		ret = ifd_sys_ioctl(&ioas->ctx->log, ioas->container, VFIO_IOMMU_UNMAP_DMA, &cmd);
	if (ret && !stopped_serving(ioas))
		return ifd_fail(ret, NULL, "unmap IOVA 0x%" PRIx64 "-0x%" PRIx64, iova, iova + (len - 1));
	*unmapped = ret ? len : cmd.size;
	return 0;
}

/* A container that has begun to serve: what it permits is known now, so a mapping that does not fit gets a name. */
static int replay(struct iommufd_device *dev, struct iommufd_ioas *ioas)
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

	for (map = ifd_index_next(&ioas->index, 0, UINT64_MAX); map; map = ifd_index_after(&ioas->index, map)) {
		ret = map_now(ioas, map, dev);
		if (ret)
			return ret;
		n++;
	}
	ifd_info(&ioas->ctx->log, "%zu mappings replayed for %s", n, dev->found->name);
	return 0;
}

/* ---- Devices and groups ---- */

static int be_device_adopt(struct iommufd_device *dev, int fd)
{
	return ifd_fail(-EOPNOTSUPP, "use a context of the backend iommufd, or iommufd_device_new()",
			"adopt file descriptor %d as %s: the backend vfio has no device nodes", fd, dev->found->name);
}

static void be_device_close(struct iommufd_device *dev)
{
	(void)dev; /* the group goes with the last of its devices */
}

/* Without an IOMMU there is no table of mappings: the container only stands for the permission. */
static int set_noiommu(struct iommufd_ioas *ioas)
{
	return ifd_sys_ioctl(&ioas->ctx->log, ioas->container, VFIO_SET_IOMMU, (void *)(uintptr_t)VFIO_NOIOMMU_IOMMU);
}

static int set_type(struct iommufd_ioas *ioas)
{
	int ret = -EOPNOTSUPP;

	for (size_t i = 0; i < TYPES; i++) {
		if (!serves(&ioas->ctx->log, ioas->container, types[i]))
			continue;
		ret = ifd_sys_ioctl(&ioas->ctx->log, ioas->container, VFIO_SET_IOMMU, (void *)(uintptr_t)types[i]);
		if (!ret) {
			ifd_info(&ioas->ctx->log, "the container is type1%s",
				 types[i] == VFIO_TYPE1v2_IOMMU ? "v2" : ", version 1");
			return 0;
		}
	}
	return ret;
}

static int fail_join(struct iommufd_device *dev, const char *what, int err)
{
	char hint[IFD_HINT_MAX] = "";

	if (err == -EPERM) {
		ifd_hint_owner(hint, dev->found, "vfio_iommu_type1");
	} else if (err == -EINVAL || err == -EBUSY) {
		ifd_hint(hint,
			 "the group is in a container already, or its IOMMU cannot serve it beside the others there");
	} else if (err == -EOPNOTSUPP) {
		ifd_hint(hint, "its IOMMU serves neither type1v2 nor type1");
	}
	return ifd_fail(err, hint, "attach %s: %s", dev->found->name, what);
}

/* The kernel only says that something does not fit, which may be a range that this group's IOMMU reserves. */
static int fail_put(struct iommufd_device *dev, struct iommufd_ioas *ioas, int err)
{
	const struct ifd_map *map = NULL;
	struct iommufd_range reserved;
	char hint[IFD_HINT_MAX];

	if (err == -EINVAL && ioas->serving)
		map = ifd_find_reserved(&ioas->index, dev->group->id, &reserved);
	if (!map)
		return fail_join(dev, "put its group into the container", err);
	snprintf(hint, sizeof(hint), "unmap it first; the IOMMU of group %d reserves 0x%" PRIx64 "-0x%" PRIx64,
		 dev->group->id, reserved.start, reserved.last);
	return ifd_fail(-EADDRINUSE, hint, "attach %s: the mapping 0x%" PRIx64 "-0x%" PRIx64 " is not permitted",
			dev->found->name, map->iova.start, map->iova.last);
}

static void set_joined(struct ifd_group *group, struct iommufd_ioas *to, struct iommufd_ioas *gated)
{
	pthread_mutex_lock(&gated->ctx->lock);
	group->joined = to;
	pthread_mutex_unlock(&gated->ctx->lock);
}

static void leave(struct ifd_group *group, struct iommufd_ioas *ioas)
{
	int ret = ifd_sys_ioctl(&ioas->ctx->log, group->fd, VFIO_GROUP_UNSET_CONTAINER, NULL);

	if (ret) {
		/* Somebody holds a copy of a device's descriptor, so the device can still reach what is mapped. */
		ifd_error(&ioas->ctx->log, "group %d stays in its container: %s", group->id, strerror(-ret));
		ifd_ioas_get(ioas);
		return;
	}
	set_joined(group, NULL, ioas);
	ioas->serving = serves_now(ioas);
}

/* Puts the group into the container, and makes that one serve when it is the first. */
static int join(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	struct ifd_group *group = dev->group;
	int ret = ifd_sys_ioctl(&ioas->ctx->log, group->fd, VFIO_GROUP_SET_CONTAINER, &ioas->container);
	bool serves;

	if (ret)
		return fail_put(dev, ioas, ret);
	set_joined(group, ioas, ioas);
	if (dev->found->noiommu) {
		ret = set_noiommu(ioas);
		if (ret)
			leave(group, ioas);
		return ret ? fail_join(dev, "let it do without an IOMMU", ret) : 0;
	}
	serves = serves_now(ioas);
	if (serves && ioas->serving)
		return 0;

	ret = serves ? 0 : set_type(ioas);
	ret = ret ? fail_join(dev, "choose the container's IOMMU", ret) : replay(dev, ioas);
	if (ret)
		leave(group, ioas);
	else
		ioas->serving = true;
	return ret;
}

static int be_attach(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	bool joins = !dev->group->joined, stuck = !joins && dev->group->attached == 1;
	int fd, ret;

	ret = joins ? join(dev, ioas) : 0;
	if (ret)
		return ret;
	fd = ifd_group_get_device(dev);
	if (fd >= 0) {
		dev->fd = fd;
		if (stuck) /* it is attached here again, which keeps the IOAS */
			ifd_ioas_put(ioas);
		return 0;
	}
	if (joins)
		leave(dev->group, ioas);
	return fail_join(dev, "get the device out of its group", fd);
}

static void be_detach(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	bool last;

	ifd_sys_close(dev->fd);
	dev->fd = -1;
	pthread_mutex_lock(&dev->ctx->lock);
	last = dev->group->attached == 1;
	pthread_mutex_unlock(&dev->ctx->lock);
	if (last)
		leave(dev->group, ioas);
}

static int be_replace(struct iommufd_device *dev, struct iommufd_ioas *to)
{
	(void)to;
	return ifd_fail(-EOPNOTSUPP, "detach it and attach it anew, or use the backend iommufd",
			"move %s to another IOAS: a group's container cannot be exchanged", dev->found->name);
}

static int be_physical(struct iommufd_ioas *ioas, uint64_t iova, uint64_t *len, uint64_t *addr)
{
	(void)ioas;
	(void)iova;
	(void)len;
	(void)addr;
	return -EOPNOTSUPP;
}

const struct ifd_backend ifd_backend_vfio = {
	.id = IOMMUFD_BACKEND_VFIO,
	.name = "vfio",
	.node = IFD_DEV_VFIO,
	.open = be_open,
	.recognise = be_recognise,
	.ioas_new = be_ioas_new,
	.ioas_free = be_ioas_free,
	.ioas_limits = be_ioas_limits,
	.map = be_map,
	.unmap = be_unmap,
	.maps_left = be_maps_left,
	.physical = be_physical,
	.device_open = ifd_group_open_node,
	.device_adopt = be_device_adopt,
	.device_close = be_device_close,
	.attach = be_attach,
	.detach = be_detach,
	.replace = be_replace,
};
