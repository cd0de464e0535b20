/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>

#include "dirty.h"
#include "explain.h"
#include "hwpt.h"
#include "internal.h"
#include "object.h"
#include "udev.h"
#include "uapi/iommufd.h"

#define FLAGS (IOMMUFD_HWPT_NEST_PARENT | IOMMUFD_HWPT_DIRTY | IOMMUFD_HWPT_PASID)

/* ---- What is asked for ---- */

static int check_opts(const struct iommufd_hwpt_opts *theirs, struct iommufd_hwpt_opts *opts, uint32_t flags)
{
	int ret = ifd_opts_read(opts, sizeof(*opts), IFD_END_OF(struct iommufd_hwpt_opts, faultq), theirs,
				"page table options");

	if (ret)
		return ret;
	if (opts->flags & ~flags)
		return ifd_fail(-EINVAL,
				"use the IOMMUFD_HWPT flags only, and for a nested one IOMMUFD_HWPT_PASID only",
				"make a page table with the flags 0x%x", opts->flags);
	if (!opts->data != !opts->data_len || !opts->data_type != !opts->data_len)
		return ifd_fail(-EINVAL, "give type, address and length, or none of them",
				"make a page table with %zu bytes of data of type %u", opts->data_len, opts->data_type);
	if (opts->data_len > UINT32_MAX)
		return ifd_fail(-EINVAL, "give the length in bytes", "make a page table with %zu bytes of data",
				opts->data_len);
	if (opts->faultq && opts->flags & IOMMUFD_HWPT_NEST_PARENT)
		return ifd_fail(-EINVAL, "faults go to the nested page tables",
				"make a nest parent with a queue of faults");
	return 0;
}

static int check_ctx(const struct iommufd_device *dev, const struct iommufd_ctx *ctx,
		     const struct iommufd_hwpt_opts *opts)
{
	const struct ifd_handle *faultq = (const struct ifd_handle *)opts->faultq;
	int ret = ifd_ctx_check(dev->ctx, "make a page table");

	if (!ret && (dev->ctx != ctx || (faultq && faultq->ctx != ctx)))
		ret = ifd_fail(-EINVAL, "make all of it from the same context", "make a page table for %s",
			       dev->found->name);
	return ret ? ret : ifd_device_numbered(dev, "a page table");
}

/* ---- The call ---- */

/* What the kernel has no room to say: which of the flags it was. */
static void hint_unsupported(char *hint, const struct iommufd_device *dev, const struct iommu_hwpt_alloc *cmd)
{
	struct iommufd_hw_info info = { .struct_size = sizeof(info) };

	if (cmd->flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING && !iommufd_device_hw_info(dev, &info, NULL, 0) &&
	    !(info.capabilities & IOMMUFD_HW_CAN_DIRTY))
		ifd_hint(hint, "its IOMMU does not track dirty pages, so IOMMUFD_HWPT_DIRTY is not to be had");
	else if (cmd->data_len)
		ifd_hint(hint, "its IOMMU does not nest, or not with data of type %u", cmd->data_type);
	else if (cmd->flags == IOMMU_HWPT_ALLOC_NEST_PARENT)
		ifd_hint(hint, "its IOMMU does not nest: leave IOMMUFD_HWPT_NEST_PARENT out");
	else
		ifd_hint(hint, "its IOMMU cannot do all that the flags ask for");
}

static int fail_alloc(const struct iommufd_device *dev, const struct iommu_hwpt_alloc *cmd, struct iommufd_ioas *ioas,
		      int err)
{
	char hint[IFD_HINT_MAX] = "";

	ifd_hint_command(hint, dev->ctx, IOMMU_HWPT_ALLOC, err);
	if (*hint)
		;
	else if (err == -EOPNOTSUPP)
		hint_unsupported(hint, dev, cmd);
	else if ((err == -EINVAL || err == -EIO) && cmd->data_len)
		ifd_hint(hint,
			 "the data has not the type, the length or the values that its IOMMU takes, or what is below "
			 "it was not made with IOMMUFD_HWPT_NEST_PARENT");
	else if (err == -EADDRINUSE)
		ifd_hint(hint, "%s lies where its IOMMU permits none: see iommufd_ioas_ranges() once it is there",
			 ioas->num_allowed ? "a mapping, or what iommufd_ioas_allow() was given," : "a mapping");
	else if (err == -ENOMEM)
		ifd_hint_memlock(hint, ifd_index_bytes(&ioas->index),
				 ifd_object_by_process(&dev->ctx->log, dev->ctx->fd) > 0);
	else if (err == -EFAULT)
		ifd_hint(hint, "the data cannot be read, or memory of a mapping is not there any more");
	else if (err == -ENOENT)
		ifd_hint(hint, "who has bound it has unbound it");
	return ifd_fail(err, hint, "make a page table for %s", dev->found->name);
}

static uint32_t kernel_flags(const struct iommufd_hwpt_opts *opts)
{
	uint32_t flags = 0;

	if (opts->flags & IOMMUFD_HWPT_NEST_PARENT)
		flags |= IOMMU_HWPT_ALLOC_NEST_PARENT;
	if (opts->flags & IOMMUFD_HWPT_DIRTY)
		flags |= IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	if (opts->flags & IOMMUFD_HWPT_PASID)
		flags |= IOMMU_HWPT_ALLOC_PASID;
	return opts->faultq ? flags | IOMMU_HWPT_FAULT_ID_VALID : flags;
}

/* Makes the object; `below` is its number. The handle holds nothing yet but its context. */
static int alloc(struct iommufd_device *dev, struct iommufd_hwpt *hwpt, uint32_t below,
		 const struct iommufd_hwpt_opts *opts)
{
	struct ifd_handle *faultq = (struct ifd_handle *)opts->faultq;
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = kernel_flags(opts),
		.dev_id = dev->id,
		.pt_id = below,
		.data_type = opts->data_type,
		.data_len = (uint32_t)opts->data_len,
		.data_uptr = (uintptr_t)opts->data,
		.fault_id = faultq ? faultq->id : 0,
	};
	int ret = ifd_command(dev->ctx, IOMMU_HWPT_ALLOC, &cmd);

	if (!ret && !cmd.out_hwpt_id)
		ret = -EPROTO;
	if (ret)
		return fail_alloc(dev, &cmd, hwpt->ioas, ret);
	hwpt->handle.id = cmd.out_hwpt_id;
	hwpt->flags = opts->flags;
	hwpt->faultq = opts->faultq;
	if (faultq)
		ifd_handle_need(&hwpt->handle, faultq);
	return 0;
}

static struct iommufd_hwpt *hwpt_new(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	struct iommufd_hwpt *hwpt = ifd_handle_new(dev->ctx, sizeof(*hwpt));

	if (hwpt)
		hwpt->ioas = ioas;
	else
		ifd_fail(-ENOMEM, NULL, "make a page table for %s", dev->found->name);
	return hwpt;
}

/* ---- Those that show an IOAS ---- */

/* Gate held. It permits more when a page table is gone. */
static void leave_gated(struct iommufd_hwpt *hwpt)
{
	struct iommufd_hwpt **at = &hwpt->ioas->hwpts;

	while (*at != hwpt)
		at = &(*at)->next;
	ifd_dirty_end(hwpt);
	*at = hwpt->next;
	ifd_handle_destroy(&hwpt->handle);
	ifd_ioas_refresh_after(hwpt->ioas);
}

/* In a child process the list is the parent's. */
static void leave(struct ifd_handle *handle)
{
	struct iommufd_hwpt *hwpt = (struct iommufd_hwpt *)handle;

	if (ifd_in_child(handle->ctx))
		return;
	pthread_rwlock_wrlock(&hwpt->ioas->gate);
	leave_gated(hwpt);
	pthread_rwlock_unlock(&hwpt->ioas->gate);
}

/* Whoever else has one cannot give it up before the gate is open again, or had given up the device's before. */
void ifd_hwpt_drop(struct iommufd_hwpt *hwpt)
{
	if (hwpt->handle.refs == 1) {
		hwpt->handle.leave = NULL;
		leave_gated(hwpt);
	}
	ifd_handle_put(&hwpt->handle);
}

/* Gate held. From the moment when it is there the IOAS is bound to what it permits. */
static int show(struct iommufd_device *dev, struct iommufd_hwpt *hwpt, const struct iommufd_hwpt_opts *opts)
{
	int ret = alloc(dev, hwpt, hwpt->ioas->id, opts);

	if (ret)
		return ret;
	hwpt->next = hwpt->ioas->hwpts;
	hwpt->ioas->hwpts = hwpt;
	ret = ifd_dirty_begin(hwpt);
	if (!ret)
		ret = ifd_ioas_refresh(hwpt->ioas);
	if (ret)
		hwpt->ioas->hwpts = hwpt->next;
	return ret;
}

int ifd_hwpt_show(struct iommufd_device *dev, struct iommufd_ioas *ioas, const struct iommufd_hwpt_opts *opts,
		  struct iommufd_hwpt **out)
{
	struct iommufd_hwpt *hwpt = hwpt_new(dev, ioas);
	int ret;

	if (!hwpt)
		return -ENOMEM;
	ret = show(dev, hwpt, opts);
	if (ret) {
		ifd_handle_put(&hwpt->handle);
		return ret;
	}
	ifd_handle_need_ioas(&hwpt->handle, ioas);
	hwpt->handle.leave = leave;
	*out = hwpt;
	return 0;
}

EXPORT int iommufd_hwpt_new(struct iommufd_device *dev, struct iommufd_ioas *ioas,
			    const struct iommufd_hwpt_opts *theirs, struct iommufd_hwpt **out)
{
	struct iommufd_hwpt_opts opts;
	int ret = check_opts(theirs, &opts, FLAGS);

	if (!ret)
		ret = check_ctx(dev, ioas->ctx, &opts);
	if (ret)
		return ret;
	pthread_rwlock_wrlock(&ioas->gate);
	ret = ifd_hwpt_show(dev, ioas, &opts, out);
	pthread_rwlock_unlock(&ioas->gate);
	return ret;
}

/* ---- Nested ones ---- */

int ifd_hwpt_new_above(struct iommufd_device *dev, const struct iommufd_hwpt *parent, struct ifd_handle *below,
		       const struct iommufd_hwpt_opts *theirs, struct iommufd_hwpt **out)
{
	struct iommufd_hwpt_opts opts;
	struct iommufd_hwpt *hwpt;
	int ret = check_opts(theirs, &opts, IOMMUFD_HWPT_PASID);

	if (!ret)
		ret = check_ctx(dev, below->ctx, &opts);
	if (!ret && !opts.data)
		ret = ifd_fail(-EINVAL, "describe the guest's page table in the options",
			       "make a nested page table for %s", dev->found->name);
	if (ret)
		return ret;
	hwpt = hwpt_new(dev, parent->ioas);
	if (!hwpt)
		return -ENOMEM;
	hwpt->nested = true;
	ret = alloc(dev, hwpt, below->id, &opts);
	if (ret) {
		ifd_handle_put(&hwpt->handle);
		return ret;
	}
	hwpt->flags |= parent->flags & IOMMUFD_HWPT_DIRTY; /* that one is written through it */
	ifd_handle_need(&hwpt->handle, below);
	*out = hwpt;
	return 0;
}

EXPORT int iommufd_hwpt_new_nested(struct iommufd_device *dev, struct iommufd_hwpt *parent,
				   const struct iommufd_hwpt_opts *opts, struct iommufd_hwpt **out)
{
	if (!(parent->flags & IOMMUFD_HWPT_NEST_PARENT))
		return ifd_fail(-EINVAL, "make that one with IOMMUFD_HWPT_NEST_PARENT",
				"make a nested page table above one that is no nest parent");
	return ifd_hwpt_new_above(dev, parent, &parent->handle, opts, out);
}

EXPORT void iommufd_hwpt_free(struct iommufd_hwpt *hwpt)
{
	if (hwpt)
		ifd_handle_put(&hwpt->handle);
}

EXPORT uint32_t iommufd_hwpt_id(const struct iommufd_hwpt *hwpt)
{
	return hwpt->handle.id;
}
