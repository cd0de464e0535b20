/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file dirty.h
 * @brief Which pages devices have written: for moving a virtual machine, or copying what has changed.
 *
 * The same calls on both backends, with the same layout: bit n % 64 of word n / 64 stands for the page at
 * `iova + n * page_size`. Bits of dirty pages are set and none is cleared, so that several reads can be gathered in one
 * bitmap. A page is told as dirty once, unless IOMMUFD_DIRTY_KEEP is given. What is told may be more than what was
 * written: an IOMMU knows its own pages, which can be larger, and VFIO takes all that is mapped for dirty as long as a
 * device is attached whose driver does not say which pages it pins, as vfio-pci does not. It is never less.
 *
 * iommufd: the IOMMU must be able to tell. Devices that are attached to the IOAS are moved to page tables that the
 * library makes for it; those that are attached to a page table of the caller's, and PASIDs, need one made with
 * IOMMUFD_HWPT_DIRTY.
 */
#ifndef LIBIOMMUFD_DIRTY_H
#define LIBIOMMUFD_DIRTY_H

#include <libiommufd/base.h>

IOMMUFD_BEGIN_DECLS

/** Flags of iommufd_ioas_dirty_read(). */
enum {
	IOMMUFD_DIRTY_KEEP = 1u << 0, /**< what is told now will be told again */
};

/**
 * @brief Begin to watch which pages of an IOAS are written by devices. What was written before does not count.
 *
 * It goes on over attaches and detaches until iommufd_ioas_dirty_stop(). Meanwhile no device can be attached whose
 * writes would not be seen.
 *
 * @param ioas the IOAS; devices may be attached or not
 *
 * @retval -EBUSY      it has begun already
 * @retval -EOPNOTSUPP what a device writes would not be seen (the words name it): its IOMMU cannot tell, its page table
 *                     was not made with IOMMUFD_HWPT_DIRTY, or there is no IOMMU. VFIO: the container is of type1,
 *                     version 1, or iommufd serves it
 * @retval -ENOTTY     the kernel is older than Linux 6.7 (iommufd) or 5.8 (VFIO)
 * @retval -ENOMEM     no memory, or, where devices are moved, the limit of locked memory
 *
 * Source: IOMMU_HWPT_ALLOC and IOMMU_HWPT_SET_DIRTY_TRACKING (Linux 6.7); VFIO_IOMMU_DIRTY_PAGES (Linux 5.8).
 * @since 0.1
 */
int iommufd_ioas_dirty_start(struct iommufd_ioas *ioas);

/**
 * @brief Stop watching. What nobody has read is forgotten.
 *
 * When the kernel refuses, it goes on. iommufd: every page counts as dirty then, since a page table that had stopped
 * may have forgotten some. VFIO: what is dirty stays as it was.
 *
 * @param ioas the IOAS
 *
 * @retval -EINVAL it has not begun
 *
 * Source: IOMMU_HWPT_SET_DIRTY_TRACKING (Linux 6.7); VFIO_IOMMU_DIRTY_PAGES (Linux 5.8).
 * @since 0.1
 */
int iommufd_ioas_dirty_stop(struct iommufd_ioas *ioas);

/**
 * @brief Which pages of a range were written since they were last told.
 *
 * The range may have holes and cut mappings; a page that is not mapped, or not with IOMMUFD_MAP_WRITE, is not dirty.
 * To ask for a part of a large mapping costs up to as much as to ask for all of it, since the rest is read too, and
 * kept. Other threads that map or unmap in the IOAS wait meanwhile.
 *
 * When it fails, bits may have been set: those are told, the others will be.
 *
 * @param ioas      the IOAS
 * @param iova      start of the range, a multiple of `page_size`
 * @param len       bytes, a multiple of `page_size`
 * @param page_size what a bit stands for: a power of two, iommufd_ioas_alignment() or more
 * @param flags     0 or IOMMUFD_DIRTY_KEEP
 * @param bitmap    `len / page_size` bits, in whole words of 64; bits are set and none is cleared
 * @param size      bytes of the bitmap; what is more than needed is not touched
 *
 * @retval -EINVAL    iommufd_ioas_dirty_start() was not called; no bitmap, or too small a one; a page size, a range or
 *                    a flag that is not as it must be
 * @retval -EOVERFLOW `iova + len` goes past 2^64
 * @retval -ENOMEM    no memory
 *
 * Source: IOMMU_HWPT_GET_DIRTY_BITMAP (Linux 6.7); VFIO_IOMMU_DIRTY_PAGES (Linux 5.8).
 * @since 0.1
 */
int iommufd_ioas_dirty_read(struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, uint64_t page_size, uint32_t flags,
			    uint64_t *bitmap, size_t size);

/**
 * @brief Unmap every mapping in a range, and tell which of their pages were written since they were last told.
 *
 * Like iommufd_ioas_unmap() and iommufd_ioas_dirty_read() in one. VFIO does both at once. iommufd cannot: what a device
 * writes between the read and the unmap that follows is lost, so let devices that use the range be quiet, or take for
 * dirty what they were told to write. iommufd_ioas_unmap() forgets what is dirty.
 *
 * When it fails, bits may have been set: they are right for what was unmapped, and of what stays they may be told
 * again.
 *
 * @param ioas      the IOAS
 * @param iova      start of the range, a multiple of `page_size`
 * @param len       bytes, a multiple of `page_size`
 * @param page_size as for iommufd_ioas_dirty_read()
 * @param bitmap    as for iommufd_ioas_dirty_read()
 * @param size      as for iommufd_ioas_dirty_read()
 * @param unmapped  the bytes that were mapped in the range, or NULL
 *
 * @retval -ENOENT, -EBUSY as iommufd_ioas_unmap()
 * @retval -EINVAL  the range cuts a mapping in two, or as iommufd_ioas_dirty_read()
 * @retval others   as iommufd_ioas_dirty_read()
 *
 * Source: IOMMU_HWPT_GET_DIRTY_BITMAP (Linux 6.7) and IOMMU_IOAS_UNMAP; VFIO_IOMMU_UNMAP_DMA with
 * VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP (Linux 5.8).
 * @since 0.1
 */
int iommufd_ioas_unmap_dirty(struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, uint64_t page_size,
			     uint64_t *bitmap, size_t size, uint64_t *unmapped);

IOMMUFD_END_DECLS

#endif
