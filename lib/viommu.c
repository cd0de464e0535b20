/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "hwpt.h"
#include "internal.h"
#include "invalidate.h"
#include "uapi/iommufd.h"
#include "viommu.h"

/* ---- Their life ---- */

static const char make[] = "make a virtual IOMMU";

static const struct ifd_reason refusals[] = {
	{ -EINVAL, "the IOMMU takes data of another length or content, or the page table is no nest parent" },
	{ -EOPNOTSUPP, "the device's IOMMU, or its driver, has no virtual ones of this type" },
	{ -ENOENT, "the device's object or the page table's is gone" },
	{ 0, NULL },
};

static int check_new(const struct iommufd_device *dev, const struct iommufd_hwpt *parent,
		     const struct iommufd_viommu_opts *opts)
{
	int ret = ifd_ctx_check(dev->ctx, make);

	if (!ret)
		ret = ifd_device_numbered(dev, make);
	if (ret)
		return ret;
	if (parent->handle.ctx != dev->ctx)
		return ifd_fail(-EINVAL, "take a page table of the device's context", "%s", make);
	if (parent->nested || !(parent->flags & IOMMUFD_HWPT_NEST_PARENT))
		return ifd_fail(-EINVAL, "make the page table with IOMMUFD_HWPT_NEST_PARENT", "%s", make);
	if (opts->flags)
		return ifd_fail(-EINVAL, "leave the flags at 0", "%s with flags 0x%" PRIx32, make, opts->flags);
	if (opts->data_len > UINT32_MAX || !opts->data != !opts->data_len)
		return ifd_fail(-EINVAL, "give data and its length, or neither", "%s with %zu bytes of data", make,
				opts->data_len);
	return 0;
}

/* Registers that a guest writes to; child processes do not have them, see below. */
static void close_windows(struct iommufd_viommu *viommu)
{
	struct ifd_window *window;

	ifd_lock(viommu->handle.ctx, &viommu->lock);
	while ((window = viommu->windows)) {
		viommu->windows = window->next;
		if (!ifd_in_child(viommu->handle.ctx))
			ifd_sys_munmap(window->addr, window->len);
		free(window);
	}
	ifd_unlock(viommu->handle.ctx, &viommu->lock);
}

static void leave(struct ifd_handle *handle)
{
	pthread_mutex_destroy(&((struct iommufd_viommu *)handle)->lock);
}

EXPORT int iommufd_viommu_new(struct iommufd_device *dev, struct iommufd_hwpt *parent,
			      const struct iommufd_viommu_opts *opts, struct iommufd_viommu **out)
{
	struct iommu_viommu_alloc cmd = { .size = sizeof(cmd) };
	struct iommufd_viommu_opts mine;
	struct iommufd_viommu *viommu;
	int ret = ifd_opts_read(&mine, sizeof(mine), IFD_END_OF(struct iommufd_viommu_opts, data_len), opts,
				"virtual IOMMU's options");

	if (!ret)
		ret = check_new(dev, parent, &mine);
	if (ret)
		return ret;
	viommu = ifd_handle_new(dev->ctx, sizeof(*viommu));
	if (!viommu)
		return ifd_fail(-ENOMEM, NULL, "%s", make);
	pthread_mutex_init(&viommu->lock, NULL);
	viommu->handle.leave = leave;
	viommu->parent = parent;
	ifd_handle_need(&viommu->handle, &parent->handle);
	cmd.type = mine.type;
	cmd.dev_id = dev->id;
	cmd.hwpt_id = parent->handle.id;
	cmd.data_len = (uint32_t)mine.data_len;
	cmd.data_uptr = (uintptr_t)mine.data;
	ret = ifd_handle_make(&viommu->handle, IOMMU_VIOMMU_ALLOC, &cmd, &cmd.out_viommu_id, NULL);
	ret = ifd_handle_made(&viommu->handle, ret, IOMMU_VIOMMU_ALLOC, refusals, make);
	if (!ret)
		*out = viommu;
	return ret;
}

/* What is mapped goes now, and not with the last of those that need the virtual IOMMU. */
EXPORT void iommufd_viommu_free(struct iommufd_viommu *viommu)
{
	if (!viommu)
		return;
	close_windows(viommu);
	ifd_handle_put(&viommu->handle);
}

EXPORT uint32_t iommufd_viommu_id(const struct iommufd_viommu *viommu)
{
	return viommu->handle.id;
}

/* ---- What it does for a guest ---- */

EXPORT int iommufd_viommu_hwpt_new(struct iommufd_viommu *viommu, struct iommufd_device *dev,
				   const struct iommufd_hwpt_opts *opts, struct iommufd_hwpt **out)
{
	return ifd_hwpt_new_above(dev, viommu->parent, &viommu->handle, opts, out);
}

EXPORT int iommufd_viommu_invalidate(struct iommufd_viommu *viommu, uint32_t data_type, const void *entries,
				     size_t entry_len, uint32_t count, uint32_t *done)
{
	return ifd_invalidate(&viommu->handle, data_type, entries, entry_len, count, done);
}

/* A copy of the mapping in a child process would keep the object from being destroyed. */
static int map_window(const struct iommufd_viommu *viommu, uint64_t offset, struct ifd_window *window)
{
	int ret = ifd_sys_mmap(viommu->handle.ctx->fd, offset, window->len, PROT_READ | PROT_WRITE, MAP_SHARED,
			       &window->addr);

	if (ret)
		return ret;
	ret = ifd_sys_madvise(window->addr, window->len, MADV_DONTFORK);
	if (ret)
		ifd_sys_munmap(window->addr, window->len);
	return ret;
}

EXPORT int iommufd_viommu_mmap(struct iommufd_viommu *viommu, uint64_t offset, size_t len, void **out)
{
	struct ifd_window *window;
	int ret = ifd_ctx_check(viommu->handle.ctx, "map registers of a virtual IOMMU");

	if (ret)
		return ret;
	if (!len || ((offset | len) & (ifd_sys_page_size() - 1)) || offset > INT64_MAX || len > INT64_MAX - offset)
		ret = -EINVAL;
	window = ret ? NULL : calloc(1, sizeof(*window));
	if (window) {
		window->len = len;
		ret = map_window(viommu, offset, window);
	}
	if (ret || !window) {
		free(window);
		return ifd_fail(ret ? ret : -ENOMEM,
				ret == -EINVAL || ret == -ENXIO
					? "use offset and length as the data came back with them"
					: NULL,
				"map %zu bytes at 0x%" PRIx64 " of a virtual IOMMU", len, offset);
	}
	pthread_mutex_lock(&viommu->lock);
	window->next = viommu->windows;
	viommu->windows = window;
	pthread_mutex_unlock(&viommu->lock);
	*out = window->addr;
	return 0;
}

EXPORT int iommufd_viommu_munmap(struct iommufd_viommu *viommu, void *addr)
{
	struct ifd_window **at = &viommu->windows, *window;
	int ret = ifd_ctx_check(viommu->handle.ctx, "unmap registers of a virtual IOMMU");

	if (ret)
		return ret;
	pthread_mutex_lock(&viommu->lock);
	while (*at && (*at)->addr != addr)
		at = &(*at)->next;
	window = *at;
	if (window)
		*at = window->next;
	pthread_mutex_unlock(&viommu->lock);
	if (!window)
		return ifd_fail(-ENOENT, "give an address that iommufd_viommu_mmap() gave",
				"unmap %p of a virtual IOMMU", addr);
	ifd_sys_munmap(window->addr, window->len);
	free(window);
	return 0;
}

/* ---- Its devices ---- */

struct iommufd_vdevice {
	struct ifd_handle handle; /* needs the virtual IOMMU, and the device to be open */
};

static const struct ifd_reason vdevice_refusals[] = {
	{ -EINVAL, "the device is behind another IOMMU" },
	{ -EEXIST, "free the virtual device that it has, or take a number that no other one has" },
	{ -ENOENT, "the device's object or the virtual IOMMU's is gone" },
	{ 0, NULL },
};

EXPORT int iommufd_vdevice_new(struct iommufd_viommu *viommu, struct iommufd_device *dev, uint64_t virt_id,
			       struct iommufd_vdevice **out)
{
	static const char what[] = "make a virtual device";
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd), .viommu_id = viommu->handle.id, .dev_id = dev->id, .virt_id = virt_id
	};
	struct iommufd_vdevice *vdevice;
	int ret = ifd_ctx_check(dev->ctx, what);

	if (!ret)
		ret = ifd_device_numbered(dev, what);
	if (ret)
		return ret;
	if (viommu->handle.ctx != dev->ctx)
		return ifd_fail(-EINVAL, "take a device of the virtual IOMMU's context", "%s", what);
	vdevice = ifd_handle_new(dev->ctx, sizeof(*vdevice));
	if (!vdevice)
		return ifd_fail(-ENOMEM, NULL, "%s", what);
	ifd_handle_need(&vdevice->handle, &viommu->handle);
	/* Else the kernel would keep the number for good, and let go of the device later. */
	ifd_handle_need_device(&vdevice->handle, dev);
	ret = ifd_handle_make(&vdevice->handle, IOMMU_VDEVICE_ALLOC, &cmd, &cmd.out_vdevice_id, NULL);
	ret = ifd_handle_made(&vdevice->handle, ret, IOMMU_VDEVICE_ALLOC, vdevice_refusals, what);
	if (!ret)
		*out = vdevice;
	return ret;
}

EXPORT void iommufd_vdevice_free(struct iommufd_vdevice *vdevice)
{
	if (vdevice)
		ifd_handle_put(&vdevice->handle);
}

EXPORT uint32_t iommufd_vdevice_id(const struct iommufd_vdevice *vdevice)
{
	return vdevice->handle.id;
}
