/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* iommufd: address spaces and mappings. How a device is reached is in by-node.c and by-group.c. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dirty.h"
#include "explain.h"
#include "file.h"
#include "has.h"
#include "hwpt.h"
#include "internal.h"
#include "object.h"
#include "probe.h"
#include "token.h"
#include "udev.h"
#include "vfio-group.h"
#include "way.h"
#include "uapi/iommufd.h"

/* Only an iommufd answers that, and asking changes nothing. */
static int be_recognise(const struct ifd_log *log, int fd)
{
	return ifd_object_by_process(log, fd) >= 0;
}

static int be_open(const struct ifd_log *log, struct ifd_candidate *candidate)
{
	char hint[IFD_HINT_MAX] = "";
	int fd;

	fd = ifd_sys_open(IFD_DEV_IOMMU, O_RDWR);
	if (fd < 0) {
		ifd_hint_open(hint, fd, IFD_DEV_IOMMU,
			      "the kernel has no iommufd: modprobe iommufd, or a kernel with CONFIG_IOMMUFD");
		return ifd_fail(fd, hint, "open " IFD_DEV_IOMMU);
	}
	if (candidate) {
		candidate->memlock_mode =
			ifd_object_by_process(log, fd) > 0 ? IOMMUFD_MEMLOCK_PROCESS : IOMMUFD_MEMLOCK_USER;
		candidate->module = "iommufd";
		candidate->usable = "usable: devices by their own node, or by their group where they have none";
	}
	return fd;
}

/* Nothing is to be done where it is so already: in a container that iommufd serves, and perhaps in what was adopted. */
static int be_memlock(const struct iommufd_ctx *ctx)
{
	uint64_t wanted = ctx->memlock_mode == IOMMUFD_MEMLOCK_PROCESS;
	struct iommu_option cmd = {
		.size = sizeof(cmd), .option_id = IOMMU_OPTION_RLIMIT_MODE, .op = IOMMU_OPTION_OP_SET, .val64 = wanted
	};
	int ret = ifd_object_by_process(&ctx->log, ctx->fd);

	if (ret >= 0)
		ret = (uint64_t)ret == wanted ? 0 : ifd_sys_ioctl(&ctx->log, ctx->fd, IOMMU_OPTION, &cmd);
	return ret ? ifd_fail(ret,
			      ret == -EPERM   ? "it takes CAP_SYS_RESOURCE: give it, or leave memlock_mode at 0"
			      : ret == -EBUSY ? "there is something in the iommufd: set it before that is made"
					      : NULL,
			      "have pinned memory counted by %s", wanted ? "process" : "user")
		   : 0;
}

static struct ifd_object object_of(const struct iommufd_ioas *ioas)
{
	return (struct ifd_object){ &ioas->ctx->log, ioas->ctx->fd, ioas->id };
}

static int be_ioas_new(struct iommufd_ioas *ioas)
{
	struct ifd_object object = object_of(ioas);
	int ret = ifd_object_alloc(&object);

	if (!ret)
		ioas->id = object.id;
	return ret;
}

static void be_ioas_free(struct iommufd_ioas *ioas)
{
	struct ifd_object object = object_of(ioas);

	if (!ifd_in_child(ioas->ctx))
		ifd_object_destroy(&object);
}

static int be_ioas_limits(struct iommufd_ioas *ioas, struct iommufd_range **ranges, size_t *count, uint64_t *alignment)
{
	struct ifd_object object = object_of(ioas);

	if (ioas->attached || ioas->pasids || ioas->hwpts)
		return ifd_object_limits(&object, ranges, count, alignment);
	*ranges = NULL;
	return 0;
}

static int be_ioas_allow(struct iommufd_ioas *ioas, const struct iommufd_range *ranges, size_t count)
{
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas->id,
		.num_iovas = (uint32_t)count,
		.allowed_iovas = (uintptr_t)ranges,
	};
	int ret = ifd_sys_ioctl(&ioas->ctx->log, ioas->ctx->fd, IOMMU_IOAS_ALLOW_IOVAS, &cmd);

	return ret ? ifd_fail(ret,
			      ret == -EADDRINUSE ? "something in them is reserved: stay inside of iommufd_ioas_ranges()"
						 : NULL,
			      "allow IOVAs")
		   : 0;
}

/* A compat container, and who asked for it, have pinned memory counted by process. */
static bool by_process(const struct iommufd_ctx *ctx)
{
	return ifd_object_by_process(&ctx->log, ctx->fd) > 0;
}

static int be_map(struct iommufd_ioas *ioas, const struct ifd_map *map)
{
	struct ifd_object object = object_of(ioas);
	int ret = ifd_object_map(&object, map);

	return ret ? ifd_fail_map(ret, map, by_process(ioas->ctx), NULL) : 0;
}

/* Addresses of a device's memory cannot be pinned. */
static int be_lends(struct iommufd_ctx *ctx)
{
	int ret = ifd_file_kernel_maps(ctx);

	return ret ? ret
		   : ifd_fail(-EOPNOTSUPP, "it takes Linux 6.19 or newer, or the backend vfio",
			      "map a device's memory: this kernel's iommufd has no dma-bufs");
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

static int be_copy(struct iommufd_ioas *src, const struct iommufd_range *range, struct iommufd_ioas *dst, uint64_t iova,
		   uint32_t flags)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA,
		.src_ioas_id = src->id,
		.dst_ioas_id = dst->id,
		.length = range->last - range->start + 1,
		.src_iova = range->start,
		.dst_iova = iova,
	};

	cmd.flags |= flags & IOMMUFD_MAP_READ ? IOMMU_IOAS_MAP_READABLE : 0;
	cmd.flags |= flags & IOMMUFD_MAP_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : 0;
	return ifd_sys_ioctl(&dst->ctx->log, dst->ctx->fd, IOMMU_IOAS_COPY, &cmd);
}

static int be_maps_left(struct iommufd_ioas *ioas, uint64_t *left)
{
	(void)ioas;
	*left = UINT64_MAX;
	return 0;
}

static int be_command(const struct iommufd_ctx *ctx, unsigned long request, void *arg)
{
	return ifd_sys_ioctl(&ctx->log, ctx->fd, request, arg);
}

/* The Linux that brought a call; those that are not here came with iommufd itself. */
static const struct {
	unsigned long request;
	const char *linux_version;
} first_kernels[] = {
	{ IOMMU_HWPT_ALLOC, "6.6" },
	{ IOMMU_GET_HW_INFO, "6.6" },
	{ IOMMU_HWPT_SET_DIRTY_TRACKING, "6.7" },
	{ IOMMU_HWPT_GET_DIRTY_BITMAP, "6.7" },
	{ IOMMU_HWPT_INVALIDATE, "6.8" },
	{ IOMMU_FAULT_QUEUE_ALLOC, "6.11" },
	{ IOMMU_IOAS_MAP_FILE, "6.13" },
	{ IOMMU_VIOMMU_ALLOC, "6.13" },
	{ IOMMU_VDEVICE_ALLOC, "6.13" },
	{ IOMMU_IOAS_CHANGE_PROCESS, "6.14" },
	{ IOMMU_VEVENTQ_ALLOC, "6.15" },
	{ IOMMU_HW_QUEUE_ALLOC, "6.17" },
	{ IOMMU_IOAS_NOIOMMU_GET_PA, "7.3" },
};

static void be_command_refused(const struct iommufd_ctx *ctx, unsigned long request, int err, char *hint)
{
	(void)ctx;
	for (size_t i = 0; err == -ENOTTY && i < sizeof(first_kernels) / sizeof(first_kernels[0]); i++)
		if (first_kernels[i].request == request)
			ifd_hint(hint, "this kernel does not know it: it takes Linux %s or newer",
				 first_kernels[i].linux_version);
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

static void be_device_node(const struct ifd_found *found, char *path, size_t size)
{
	if (found->cdev)
		snprintf(path, size, "%s", found->cdev);
	else
		ifd_group_node(found, path, size);
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

/*
 * What is no device has no hardware to tell of. Kernels before 6.6 tell of none, and 7.3 not where there is no IOMMU.
 */
static int be_device_take(struct iommufd_device *dev, uint32_t id)
{
	struct iommu_hw_info cmd = { .size = sizeof(cmd), .dev_id = id };
	int ret = be_command(dev->ctx, IOMMU_GET_HW_INFO, &cmd);

	if (ret && ret != -ENOTTY && ret != -EOPNOTSUPP)
		return ifd_fail(ret, ret == -ENOENT ? "give the number that binding it gave, of this iommufd" : NULL,
				"take over object %u", id);
	dev->way = &ifd_by_id;
	dev->id = id;
	return 0;
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

/* ---- Attaching ---- */

/* What the IOMMU reserves where the address space has something. */
static void hint_conflict(char *hint, const struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	struct iommufd_range reserved;
	const struct ifd_map *map = ifd_find_reserved(&ioas->index, dev->group->id, &reserved);

	if (map)
		ifd_hint(hint,
			 "the mapping 0x%" PRIx64 "-0x%" PRIx64 " is where its IOMMU reserves 0x%" PRIx64 "-0x%" PRIx64
			 ": unmap it first",
			 map->iova.start, map->iova.last, reserved.start, reserved.last);
	else
		ifd_hint(hint, "%s conflicts with what its IOMMU permits",
			 ioas->num_allowed ? "a mapping, or what iommufd_ioas_allow() was given," : "a mapping");
}

/* A page table has pinned its memory already, and so has an IOAS that anything is attached to. */
static void hint_memory(char *hint, const struct ifd_target *to)
{
	if (to->hwpt)
		ifd_hint(hint, "memory is short, or what its cgroup permits");
	else
		ifd_hint_memlock(hint, ifd_index_bytes(&to->ioas->index), by_process(to->ioas->ctx));
}

static void hint_held(char *hint, const struct iommufd_device *dev)
{
	ifd_hint(hint,
		 "somebody holds a copy of an earlier descriptor of it, or a child process has it: close it first%s",
		 dev->group->adopted
			 ? "; or its group is in another container: take it out there, or make a context of "
			   "that one with iommufd_ctx_from_fd()"
			 : "");
}

/* That which needs no more than words. */
static const char *words_for(int err, const struct iommufd_hwpt *hwpt, bool pasid)
{
	switch (err) {
	case -EFAULT:
		return "memory of a mapping is not there any more, or is not writable: unmap before freeing it";
	case -ENOENT:
		return hwpt && hwpt->nested ? "make a virtual device of it first, or the page table is gone"
					    : "somebody destroyed it behind the library's back";
	case -EOPNOTSUPP:
		return pasid ? "its driver, or the way by which it is reached, has no PASIDs"
			     : "its IOMMU, or the way by which it is reached, cannot do it";
	case -EINVAL:
		return pasid  ? "the page table, and the one that the device itself is attached to, must have been "
				"made with IOMMUFD_HWPT_PASID, for an IOMMU like its own"
		       : hwpt ? "the page table is not for an IOMMU like its own, or a device of its group is attached "
				"to another"
			      : "the IOMMU cannot serve it together with the devices that are attached already, or a "
				"device of its group is attached to another address space";
	default:
		return "";
	}
}

/* Why the kernel does not let a device, or a PASID of it, into something. */
static void hint_refused(char *hint, const struct iommufd_device *dev, const struct ifd_target *to, bool pasid, int err)
{
	if (dev->way == &ifd_by_id && (pasid ? !dev->calls.pasid_attach : !dev->calls.attach))
		ifd_hint(hint, "give iommufd_device_from_id() a way to do it");
	else if (dev->way == &ifd_by_id && (err == -EPERM || err == -EBUSY || err == -ENODEV))
		ifd_hint(hint, "so says who has bound it");
	else if (err == -EPERM)
		ifd_hint_owner(hint, dev->found, "iommufd", dev->fd >= 0 ? dev->fd : dev->group->fd);
	else if (err == -EBUSY)
		hint_held(hint, dev);
	else if (err == -ENODEV)
		ifd_hint_gone(hint, dev->found);
	else if (err == -EACCES && dev->sriov)
		ifd_hint_token(hint, dev);
	else if (err == -EADDRINUSE)
		hint_conflict(hint, dev, to->ioas);
	else if (err == -ENOMEM)
		hint_memory(hint, to);
	else
		ifd_hint(hint, "%s", words_for(err, to->hwpt, pasid));
}

static int fail_attach(struct iommufd_device *dev, const struct ifd_target *to, int err)
{
	const struct ifd_scratch scratch = { dev->ctx->fd, dev->way->attach, dev->way->detach };
	char hint[IFD_HINT_MAX] = "";
	int ret = to->hwpt ? 0 : ifd_scratch_explain(&scratch, dev, to->ioas, err);

	if (ret)
		return ret;
	hint_refused(hint, dev, to, false, err);
	return ifd_fail(err, hint, "attach %s", dev->found->name);
}

static uint32_t id_of(const struct ifd_target *target)
{
	return target->hwpt ? target->hwpt->handle.id : target->ioas->id;
}

static int be_attach(struct iommufd_device *dev, const struct ifd_target *to)
{
	int ret;

	if (to->hwpt && !dev->way->tables)
		return ifd_fail(-EOPNOTSUPP, "attach it to the IOAS, or have it opened by its own node",
				"attach %s to a page table: its group's node takes an IOAS only", dev->found->name);
	ret = ifd_dirty_may_attach(dev, to);
	if (ret)
		return ret;
	ret = dev->way->attach(dev, id_of(to));
	return ret ? fail_attach(dev, to, ret) : 0;
}

/* Nobody has pinned a file of it before, one of which may be shorter by now: EINVAL to the kernel. */
static bool may_be_cut_off(const struct ifd_target *to, int err)
{
	struct iommufd_ioas *ioas = to->ioas;

	return err == -EINVAL && !to->hwpt && !ioas->attached && !ioas->pasids && !ioas->hwpts &&
	       ifd_file_is_mapped(&ioas->index);
}

/* The mapping cannot be told by trying with a scratch IOAS, since that would cut the device off. */
static int be_replace(struct iommufd_device *dev, const struct ifd_target *to)
{
	const char *where = to->hwpt ? "page table" : "IOAS";
	char hint[IFD_HINT_MAX] = "";
	int ret;

	if (!dev->way->replace)
		return ifd_fail(-EOPNOTSUPP, "detach it and attach it anew",
				"move %s to another %s: its group's node cannot do that", dev->found->name, where);
	ret = dev->way->replace(dev, id_of(to));
	if (!ret)
		return 0;
	if (may_be_cut_off(to, ret)) {
		ret = -EFAULT;
		ifd_hint(hint,
			 "a file that is mapped there may have been cut off, so that some of it cannot be pinned");
	} else {
		hint_refused(hint, dev, to, false, ret);
	}
	return ifd_fail(ret, hint, "move %s to another %s", dev->found->name, where);
}

static int be_pasid_attach(struct iommufd_device *dev, uint32_t pasid, const struct ifd_target *to)
{
	char hint[IFD_HINT_MAX] = "";
	int ret = ifd_dirty_may_attach(dev, to);

	if (ret)
		return ret;
	ret = dev->way->pasid_attach ? dev->way->pasid_attach(dev, pasid, id_of(to)) : -EOPNOTSUPP;
	if (!ret)
		return 0;
	hint_refused(hint, dev, to, true, ret);
	return ifd_fail(ret, hint, "attach PASID %u of %s", pasid, dev->found->name);
}

static void be_pasid_detach(struct iommufd_device *dev, uint32_t pasid)
{
	int ret = dev->way->pasid_detach(dev, pasid);

	if (ret)
		ifd_error(&dev->ctx->log, "detaching PASID %u of %s: %s", pasid, dev->found->name, IFD_STRERROR(ret));
}

const struct ifd_backend ifd_backend_iommufd = {
	.id = IOMMUFD_BACKEND_IOMMUFD,
	.name = "iommufd",
	.node = IFD_DEV_IOMMU,
	.open = be_open,
	.recognise = be_recognise,
	.memlock = be_memlock,
	.ioas_new = be_ioas_new,
	.ioas_free = be_ioas_free,
	.ioas_limits = be_ioas_limits,
	.ioas_allow = be_ioas_allow,
	.map = be_map,
	.maps_at_once = true,
	.unmap = be_unmap,
	.lends = be_lends,
	.copy = be_copy,
	.dirty_set = ifd_tables_dirty_set,
	.dirty_join = ifd_tables_dirty_join,
	.dirty_read = ifd_tables_dirty_read,
	.dirty_unmap = ifd_tables_dirty_unmap,
	.maps_left = be_maps_left,
	.command = be_command,
	.command_refused = be_command_refused,
	.has = ifd_iommufd_has,
	.physical = be_physical,
	.snooped = ifd_iommufd_snooped,
	.device_node = be_device_node,
	.device_open = be_device_open,
	.device_adopt = be_device_adopt,
	.device_take = be_device_take,
	.device_close = be_device_close,
	.attach = be_attach,
	.detach = be_detach,
	.replace = be_replace,
	.pasid_attach = be_pasid_attach,
	.pasid_detach = be_pasid_detach,
};
