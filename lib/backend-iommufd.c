/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* iommufd: address spaces and mappings. How a device is reached is in by-node.c and by-group.c. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "internal.h"
#include "probe.h"
#include "udev.h"
#include "way.h"
#include "uapi/iommufd.h"

/* No IOMMU is known to have more holes than this; both bound what a broken answer can cost. */
#define RANGES_MAX 65536
#define TRIES      16

static int rlimit_mode(const struct ifd_log *log, int fd, uint64_t *mode)
{
	struct iommu_option cmd = { .size = sizeof(cmd),
				    .option_id = IOMMU_OPTION_RLIMIT_MODE,
				    .op = IOMMU_OPTION_OP_GET };
	int ret = ifd_sys_ioctl(log, fd, IOMMU_OPTION, &cmd);

	if (!ret)
		*mode = cmd.val64;
	return ret;
}

/* Only an iommufd answers that, and asking changes nothing. */
static int be_recognise(const struct ifd_log *log, int fd)
{
	uint64_t mode;

	return !rlimit_mode(log, fd, &mode);
}

static int be_open(const struct ifd_log *log, struct ifd_candidate *candidate)
{
	char hint[IFD_HINT_MAX] = "";
	uint64_t mode;
	int fd;

	fd = ifd_sys_open(IFD_DEV_IOMMU, O_RDWR);
	if (fd < 0) {
		ifd_hint_open(hint, fd, IFD_DEV_IOMMU,
			      "the kernel has no iommufd: modprobe iommufd, or a kernel with CONFIG_IOMMUFD");
		return ifd_fail(fd, hint, "open " IFD_DEV_IOMMU);
	}
	if (candidate) {
		bool by_process = !rlimit_mode(log, fd, &mode) && mode;

		candidate->memlock_mode = by_process ? IOMMUFD_MEMLOCK_PROCESS : IOMMUFD_MEMLOCK_USER;
		candidate->usable = "usable, for devices that have a node under /dev/vfio/devices";
	}
	return fd;
}

static void destroy(struct iommufd_ctx *ctx, uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };
	int ret;

	if (ifd_in_child(ctx))
		return;
	/* The kernel may hold it for a moment, on behalf of another call that is about to end. */
	for (int i = 0; i < TRIES; i++) {
		ret = ifd_sys_ioctl(&ctx->log, ctx->fd, IOMMU_DESTROY, &cmd);
		if (ret != -EBUSY)
			break;
		ifd_sys_sleep_ms(1);
	}
	if (ret)
		ifd_error(&ctx->log, "destroying iommufd object %u: %s", id, IFD_STRERROR(ret));
}

static int ioas_alloc(struct iommufd_ctx *ctx, uint32_t *id)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int ret = ifd_sys_ioctl(&ctx->log, ctx->fd, IOMMU_IOAS_ALLOC, &cmd);

	if (!ret && !cmd.out_ioas_id)
		ret = -EPROTO;
	if (ret)
		return ifd_fail(ret,
				ret == -EPROTO   ? "the kernel gave no object"
				: ret == -ENOMEM ? "memory is short, or the memory cgroup's limit is reached"
						 : NULL,
				"make an IOAS");
	*id = cmd.out_ioas_id;
	return 0;
}

static int be_ioas_new(struct iommufd_ioas *ioas)
{
	return ioas_alloc(ioas->ctx, &ioas->id);
}

static void be_ioas_free(struct iommufd_ioas *ioas)
{
	destroy(ioas->ctx, ioas->id);
}

/* The number of ranges may change between two calls, so ask until they fit. */
static int limits_of(struct iommufd_ctx *ctx, uint32_t id, struct iommufd_range **ranges, size_t *count,
		     uint64_t *alignment)
{
	uint32_t room = 16;

	for (int i = 0; i < TRIES; i++) {
		struct iommufd_range *mine = calloc(room, sizeof(*mine));
		struct iommu_ioas_iova_ranges cmd = { .size = sizeof(cmd), .ioas_id = id, .num_iovas = room };
		int ret;

		if (!mine)
			return ifd_fail(-ENOMEM, NULL, "ask for the permitted IOVAs");
		cmd.allowed_iovas = (uintptr_t)mine;
		ret = ifd_sys_ioctl(&ctx->log, ctx->fd, IOMMU_IOAS_IOVA_RANGES, &cmd);
		if (!ret && cmd.num_iovas <= room) {
			*ranges = mine;
			*count = cmd.num_iovas;
			*alignment = cmd.out_iova_alignment;
			return 0;
		}
		free(mine);
		if (ret != -EMSGSIZE || cmd.num_iovas <= room || cmd.num_iovas > RANGES_MAX)
			return ifd_fail(ret && ret != -EMSGSIZE ? ret : -EPROTO, NULL, "ask for the permitted IOVAs");
		room = cmd.num_iovas;
	}
	return ifd_fail(-EPROTO, "their number keeps growing", "ask for the permitted IOVAs");
}

static int be_ioas_limits(struct iommufd_ioas *ioas, struct iommufd_range **ranges, size_t *count, uint64_t *alignment)
{
	if (ioas->attached)
		return limits_of(ioas->ctx, ioas->id, ranges, count, alignment);
	*ranges = NULL;
	return 0;
}

/* How this iommufd counts pinned memory: a compat container, and who asked for it, have it counted by process. */
static const char *counted(const struct iommufd_ctx *ctx)
{
	uint64_t mode = 0;

	return !rlimit_mode(&ctx->log, ctx->fd, &mode) && mode ? "per process" : "per user";
}

static int map_into(struct iommufd_ctx *ctx, uint32_t id, const struct ifd_map *map)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA,
		.ioas_id = id,
		.user_va = map->vaddr.start,
		.length = ifd_map_len(map),
		.iova = map->iova.start,
	};

	if (map->flags & IOMMUFD_MAP_READ)
		cmd.flags |= IOMMU_IOAS_MAP_READABLE;
	if (map->flags & IOMMUFD_MAP_WRITE)
		cmd.flags |= IOMMU_IOAS_MAP_WRITEABLE;
	return ifd_sys_ioctl(&ctx->log, ctx->fd, IOMMU_IOAS_MAP, &cmd);
}

static int be_map(struct iommufd_ioas *ioas, const struct ifd_map *map)
{
	int ret = map_into(ioas->ctx, ioas->id, map);

	return ret ? ifd_fail_map(ret, map, counted(ioas->ctx), NULL) : 0;
}

static int be_unmap(struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, uint64_t *unmapped)
{
	struct iommu_ioas_unmap cmd = { .size = sizeof(cmd), .ioas_id = ioas->id, .iova = iova, .length = len };
	int ret = ifd_sys_ioctl(&ioas->ctx->log, ioas->ctx->fd, IOMMU_IOAS_UNMAP, &cmd);

	if (ret)
		return ifd_fail(ret, NULL, "unmap IOVA 0x%" PRIx64 "-0x%" PRIx64, iova, iova + (len - 1));
	*unmapped = cmd.length;
	return 0;
}

static int be_maps_left(struct iommufd_ioas *ioas, uint64_t *left)
{
	(void)ioas;
	*left = UINT64_MAX;
	return 0;
}

static int be_physical(struct iommufd_ioas *ioas, uint64_t iova, uint64_t *len, uint64_t *addr)
{
	struct iommu_ioas_noiommu_get_pa cmd = {
		.size = sizeof(cmd), .ioas_id = ioas->id, .iova = iova, .length = *len
	};
	int ret = ifd_sys_ioctl(&ioas->ctx->log, ioas->ctx->fd, IOMMU_IOAS_NOIOMMU_GET_PA, &cmd);

	if (!ret && (!cmd.length || cmd.length > *len))
		ret = -EPROTO;
	if (ret)
		return ret;
	*len = cmd.length;
	*addr = cmd.out_phys;
	return 0;
}

static int be_device_open(struct iommufd_device *dev)
{
	/* Whose group is open cannot be opened by its node. */
	dev->way = dev->found->cdev && dev->group->fd < 0 ? &ifd_by_node : &ifd_by_group;
	return dev->way->open(dev);
}

static int be_device_adopt(struct iommufd_device *dev, int fd)
{
	dev->way = &ifd_by_node;
	return ifd_bind_node(dev, fd);
}

static void be_device_close(struct iommufd_device *dev)
{
	dev->way->close(dev);
}

static void be_detach(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	(void)ioas;
	dev->way->detach(dev);
}

/* The first mapping that cannot be made in this object, which a device is attached to, for the reason `err`; or NULL. */
static const struct ifd_map *first_refused(struct iommufd_ioas *ioas, uint32_t id, int err)
{
	const struct ifd_map *map = ifd_index_next(&ioas->index, 0, UINT64_MAX);
	int ret = 0;

	while (map && !(ret = map_into(ioas->ctx, id, map)))
		map = ifd_index_after(&ioas->index, map);
	return ret == err ? map : NULL;
}

/*
 * The kernel does not tell which mapping is in the way, and what a device permits can be asked only of an IOAS that it
 * is attached to. So an empty one is made for it: the mappings are held against its ranges, and then made there one by
 * one. Returns whether one was found, with words.
 */
static bool explain_by_scratch(struct iommufd_device *dev, struct iommufd_ioas *ioas, int err)
{
	struct iommufd_range *ranges = NULL;
	const struct ifd_map *map = NULL;
	uint64_t alignment;
	uint32_t scratch = 0;
	size_t count = 0;

	/* For a further device nothing is pinned anew, so that cannot be what fails. */
	if ((ioas->attached && err != -EADDRINUSE) || ioas_alloc(dev->ctx, &scratch))
		return false;
	if (!dev->way->attach(dev, scratch)) {
		if (err == -EADDRINUSE && !limits_of(dev->ctx, scratch, &ranges, &count, &alignment))
			map = ifd_ioas_misfit(ioas, ranges, count, alignment);
		if (map)
			ifd_fail_misfit(err, map, ranges, count, dev);
		else if (err != -EADDRINUSE && (map = first_refused(ioas, scratch, err)))
			ifd_fail_map(err, map, counted(ioas->ctx), dev);
		dev->way->detach(dev);
	}
	destroy(dev->ctx, scratch);
	free(ranges);
	return map;
}

static int fail_attach(struct iommufd_device *dev, struct iommufd_ioas *ioas, int err)
{
	char hint[IFD_HINT_MAX] = "";

	if ((err == -EADDRINUSE || err == -EFAULT || err == -ENOMEM) && explain_by_scratch(dev, ioas, err))
		return err;
	if (err == -EPERM)
		ifd_hint_owner(hint, dev->found, "iommufd");
	else if (err == -EBUSY)
		ifd_hint(hint,
			 "somebody holds a copy of an earlier descriptor of it, or a child process has it: close it "
			 "first");
	else if (err == -EADDRINUSE)
		ifd_hint(hint, "a mapping conflicts with what its IOMMU permits");
	else if (err == -ENOMEM)
		ifd_hint_memlock(hint, ifd_index_bytes(&ioas->index), counted(ioas->ctx));
	else if (err == -EFAULT)
		ifd_hint(hint,
			 "memory of a mapping is not there any more, or is not writable: unmap before freeing it");
	else if (err == -EINVAL)
		ifd_hint(hint,
			 "the IOMMU cannot serve it together with the devices that are attached already, or a device "
			 "of its group is attached to another address space");
	return ifd_fail(err, hint, "attach %s", dev->found->name);
}

static int be_attach(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	int ret = dev->way->attach(dev, ioas->id);

	return ret ? fail_attach(dev, ioas, ret) : 0;
}

/* What cannot be told by trying with a scratch IOAS, since that would cut the device off. */
static int be_replace(struct iommufd_device *dev, struct iommufd_ioas *to)
{
	const struct ifd_map *map = NULL;
	struct iommufd_range reserved;
	char hint[IFD_HINT_MAX] = "";
	int ret;

	if (!dev->way->replace)
		return ifd_fail(-EOPNOTSUPP, "detach it and attach it anew",
				"move %s to another IOAS: its group's node cannot do that", dev->found->name);
	ret = dev->way->replace(dev, to->id);
	if (ret == -EADDRINUSE)
		map = ifd_find_reserved(&to->index, dev->group->id, &reserved);
	if (map)
		ifd_hint(hint,
			 "the mapping 0x%" PRIx64 "-0x%" PRIx64 " is where its IOMMU reserves 0x%" PRIx64 "-0x%" PRIx64
			 ": unmap it first",
			 map->iova.start, map->iova.last, reserved.start, reserved.last);
	else if (ret == -ENOMEM)
		ifd_hint_memlock(hint, ifd_index_bytes(&to->index), counted(to->ctx));
	else if (ret == -EFAULT)
		ifd_hint(hint, "memory of a mapping of that IOAS is not there any more, or is not writable");
	return ret ? ifd_fail(ret, hint, "move %s to another IOAS", dev->found->name) : 0;
}

const struct ifd_backend ifd_backend_iommufd = {
	.id = IOMMUFD_BACKEND_IOMMUFD,
	.name = "iommufd",
	.node = IFD_DEV_IOMMU,
	.open = be_open,
	.recognise = be_recognise,
	.ioas_new = be_ioas_new,
	.ioas_free = be_ioas_free,
	.ioas_limits = be_ioas_limits,
	.map = be_map,
	.unmap = be_unmap,
	.maps_left = be_maps_left,
	.physical = be_physical,
	.device_open = be_device_open,
	.device_adopt = be_device_adopt,
	.device_close = be_device_close,
	.attach = be_attach,
	.detach = be_detach,
	.replace = be_replace,
};
