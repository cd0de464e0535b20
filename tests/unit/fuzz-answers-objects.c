/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What a kernel in its right mind answers about page tables, queues, virtual IOMMUs, copies, files and dirty pages. */
#include <errno.h>
#include <string.h>

#include "fuzz-answers.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

/* ---- Mappings ---- */

static int plain(struct fuzz_file *file, void *arg)
{
	(void)file;
	(void)arg;
	return 0;
}

static int ioas_copy(struct fuzz_file *file, void *arg)
{
	struct iommu_ioas_copy *cmd = arg;

	(void)file;
	fuzz_check_map(cmd->dst_iova, cmd->length);
	return 0;
}

static int ioas_map_file(struct fuzz_file *file, void *arg)
{
	struct iommu_ioas_map_file *cmd = arg;

	(void)file;
	fuzz_check_map(cmd->iova, cmd->length);
	fuzz_check(fuzz_file(cmd->fd), "file %d is mapped, which is not open", cmd->fd);
	return 0;
}

/* ---- Dirty pages ---- */

/* All of the bitmap is the kernel's to write to; it sets some bits. */
void fuzz_dirty_bits(uint64_t bitmap, uint64_t size)
{
	unsigned char *bytes = (void *)(uintptr_t)bitmap;

	fuzz_check(size && !(size % sizeof(uint64_t)), "a bitmap of %llu bytes", (unsigned long long)size);
	bytes[0] |= fuzz_byte();
	bytes[size - 1] |= fuzz_byte();
	bytes[fuzz_byte() % size] |= fuzz_byte();
}

static int get_dirty(struct fuzz_file *file, void *arg)
{
	struct iommu_hwpt_get_dirty_bitmap *cmd = arg;
	uint64_t pages;

	(void)file;
	fuzz_check_map(cmd->iova, cmd->length);
	fuzz_check(cmd->page_size && !(cmd->page_size & (cmd->page_size - 1)), "pages of %llu bytes",
		   (unsigned long long)cmd->page_size);
	pages = (cmd->length + cmd->page_size - 1) / cmd->page_size;
	fuzz_dirty_bits(cmd->data, (pages + 63) / 64 * sizeof(uint64_t));
	return 0;
}

/* ---- Objects ---- */

static int hw_info(struct fuzz_file *file, void *arg)
{
	struct iommu_hw_info *cmd = arg;

	(void)file;
	if (cmd->data_len)
		memset((void *)(uintptr_t)cmd->data_uptr, 1, cmd->data_len);
	cmd->data_len = 32;
	cmd->out_data_type = 1 + fuzz_byte() % 4;
	cmd->out_max_pasid_log2 = 20;
	cmd->out_capabilities = IOMMU_HW_CAP_DIRTY_TRACKING;
	return 0;
}

#define ALLOC(name, type, member)                             \
	static int name(struct fuzz_file *file, void *arg)    \
	{                                                     \
		(void)file;                                   \
		((struct type *)arg)->member = fuzz_new_id(); \
		return 0;                                     \
	}

ALLOC(hwpt_alloc, iommu_hwpt_alloc, out_hwpt_id)
ALLOC(viommu_alloc, iommu_viommu_alloc, out_viommu_id)
ALLOC(vdevice_alloc, iommu_vdevice_alloc, out_vdevice_id)
ALLOC(hw_queue_alloc, iommu_hw_queue_alloc, out_hw_queue_id)

static uint32_t sometimes_none(void)
{
	return fuzz_byte() < 0xf0 ? fuzz_new_id() : 0;
}

static int fault_alloc(struct fuzz_file *file, void *arg)
{
	struct iommu_fault_alloc *cmd = arg;

	(void)file;
	cmd->out_fault_id = sometimes_none();
	cmd->out_fault_fd = (uint32_t)fuzz_open(FUZZ_FAULTS);
	return 0;
}

static int veventq_alloc(struct fuzz_file *file, void *arg)
{
	struct iommu_veventq_alloc *cmd = arg;

	(void)file;
	cmd->out_veventq_id = sometimes_none();
	cmd->out_veventq_fd = (uint32_t)fuzz_open(FUZZ_EVENTS);
	return 0;
}

static int invalidate(struct fuzz_file *file, void *arg)
{
	struct iommu_hwpt_invalidate *cmd = arg;

	(void)file;
	fuzz_check(!cmd->entry_num || cmd->entry_len, "%u entries of no bytes", cmd->entry_num);
	return 0;
}

/* Those that give a file are told whole: nobody can know a wrong descriptor. */
const struct fuzz_ioctl fuzz_object_ioctls[] = {
	{ IOMMU_IOAS_COPY, ioas_copy, 0 },
	{ IOMMU_IOAS_MAP_FILE, ioas_map_file, 0 },
	{ IOMMU_IOAS_ALLOW_IOVAS, plain, 0 },
	{ IOMMU_IOAS_CHANGE_PROCESS, plain, 0 },
	{ IOMMU_GET_HW_INFO, hw_info, sizeof(struct iommu_hw_info) },
	{ IOMMU_HWPT_ALLOC, hwpt_alloc, sizeof(struct iommu_hwpt_alloc) },
	{ IOMMU_HWPT_INVALIDATE, invalidate, sizeof(struct iommu_hwpt_invalidate) },
	{ IOMMU_HWPT_SET_DIRTY_TRACKING, plain, 0 },
	{ IOMMU_HWPT_GET_DIRTY_BITMAP, get_dirty, 0 },
	{ IOMMU_FAULT_QUEUE_ALLOC, fault_alloc, 0 },
	{ IOMMU_VIOMMU_ALLOC, viommu_alloc, sizeof(struct iommu_viommu_alloc) },
	{ IOMMU_VDEVICE_ALLOC, vdevice_alloc, sizeof(struct iommu_vdevice_alloc) },
	{ IOMMU_VEVENTQ_ALLOC, veventq_alloc, 0 },
	{ IOMMU_HW_QUEUE_ALLOC, hw_queue_alloc, sizeof(struct iommu_hw_queue_alloc) },
	{ 0, NULL, 0 },
};
