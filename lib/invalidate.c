/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>

#include "hwpt.h"
#include "internal.h"
#include "invalidate.h"
#include "uapi/iommufd.h"

/* What the kernel takes at once. */
#define PIECE (UINT32_C(1) << 19)

/* One piece. Tells how many the kernel has handled, in any case. -errno without words. */
static int invalidate_piece(const struct ifd_handle *handle, struct iommu_hwpt_invalidate *cmd)
{
	uint32_t asked = cmd->entry_num;
	int ret = ifd_command(handle->ctx, IOMMU_HWPT_INVALIDATE, cmd);

	/* A failure of the last entry leaves one to be done; this one is as the kernel found it, and says nothing. */
	if (ret && cmd->entry_num >= asked)
		cmd->entry_num = 0;
	if (ret || cmd->entry_num == asked)
		return ret;
	if (!cmd->entry_num || cmd->entry_num > asked) {
		cmd->entry_num = 0;
		return -EPROTO;
	}
	return 0;
}

/*
 * The driver of an SMMUv3 counts the entries before one that it refuses as done, and has sent none of them (Linux 7.3).
 * They are handed over once more, by themselves: what is thrown away twice is gone as well.
 */
#define COUNTS_WHAT_IT_HAS_NOT_SENT 1u /* IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 */

static int invalidate_again(const struct ifd_handle *handle, struct iommu_hwpt_invalidate *cmd, int ret)
{
	int again = 0;

	if (ret && cmd->entry_num && cmd->data_type == COUNTS_WHAT_IT_HAS_NOT_SENT)
		again = invalidate_piece(handle, cmd);
	return again ? again : ret;
}

static int fail_entry(const struct ifd_handle *handle, int ret, uint32_t data_type, uint32_t at, uint32_t count)
{
	char hint[IFD_HINT_MAX] = "";

	ifd_hint_command(hint, handle->ctx, IOMMU_HWPT_INVALIDATE, ret);
	if (!*hint && (ret == -EOPNOTSUPP || ret == -EINVAL || ret == -EIO))
		ifd_hint(hint, "the IOMMU does not take data type 0x%" PRIx32 ", or not what this entry says",
			 data_type);
	return ifd_fail(ret, hint, "invalidate: entry %" PRIu32 " of %" PRIu32, at, count);
}

int ifd_invalidate(const struct ifd_handle *handle, uint32_t data_type, const void *entries, size_t entry_len,
		   uint32_t count, uint32_t *done)
{
	uint32_t none, total = 0;
	int ret = ifd_ctx_check(handle->ctx, "invalidate");

	done = done ? done : &none;
	*done = 0;
	if (!ret && count && (!entries || !entry_len || entry_len > ifd_sys_page_size()))
		ret = ifd_fail(-EINVAL, "give an array whose entries have a byte to a page each",
			       "invalidate %" PRIu32 " entries of %zu bytes at %p", count, entry_len, entries);
	if (ret)
		return ret;
	do {
		uint32_t left = count - total;
		struct iommu_hwpt_invalidate cmd = {
			.size = sizeof(cmd),
			.hwpt_id = handle->id,
			.data_uptr = (uintptr_t)entries + (uintptr_t)total * entry_len,
			.data_type = data_type,
			.entry_len = (uint32_t)entry_len,
			.entry_num = left < PIECE ? left : PIECE,
		};

		ret = invalidate_again(handle, &cmd, invalidate_piece(handle, &cmd));
		total += cmd.entry_num;
	} while (!ret && total < count);
	*done = total;
	return ret ? fail_entry(handle, ret, data_type, total, count) : 0;
}

EXPORT int iommufd_hwpt_invalidate(struct iommufd_hwpt *hwpt, uint32_t data_type, const void *entries, size_t entry_len,
				   uint32_t count, uint32_t *done)
{
	if (hwpt->nested)
		return ifd_invalidate(&hwpt->handle, data_type, entries, entry_len, count, done);
	if (done)
		*done = 0;
	return ifd_fail(-EINVAL, "iommufd_ioas_unmap() does that for one that shows an IOAS",
			"invalidate a page table that is not nested");
}
