/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Throwing away what an IOMMU has cached. Internal. */
#ifndef IFD_INVALIDATE_H
#define IFD_INVALIDATE_H

#include <stddef.h>
#include <stdint.h>

struct ifd_handle;

/*
 * Hands entries to the kernel that concern a nested page table or a virtual IOMMU, in pieces. With words; `done`, or
 * NULL, is also written when it fails.
 */
int ifd_invalidate(const struct ifd_handle *handle, uint32_t data_type, const void *entries, size_t entry_len,
		   uint32_t count, uint32_t *done);

#endif
