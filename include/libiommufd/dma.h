/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file dma.h
 * @brief Buffers that are memory and mapping in one.
 */
#ifndef LIBIOMMUFD_DMA_H
#define LIBIOMMUFD_DMA_H

#include <libiommufd/base.h>
#include <libiommufd/ioas.h>

IOMMUFD_BEGIN_DECLS

/** Flags of iommufd_dma_alloc(), beside IOMMUFD_MAP_READ and IOMMUFD_MAP_WRITE. */
enum {
	/** Memory in huge pages of 2 MiB, which the administrator has set aside */
	IOMMUFD_DMA_HUGE = 1u << 16,
};

/** A buffer and its address for devices. A plain value: copy it as you like, free it once. */
struct iommufd_dma {
	void *vaddr;   /**< its address in this process */
	uint64_t iova; /**< its address for devices that are attached to the IOAS */
	size_t len;    /**< its length in bytes, rounded up to whole pages; 0 for no buffer */
};

/**
 * @brief Allocate zeroed memory and map it.
 *
 * @param ioas  the IOAS
 * @param len   bytes, rounded up to a multiple of the page size
 * @param flags IOMMUFD_MAP_READ, IOMMUFD_MAP_WRITE or both, and perhaps IOMMUFD_DMA_HUGE and IOMMUFD_MAP_ALIGN()
 * @param out   the buffer; give it to iommufd_dma_free()
 *
 * @retval -EINVAL `len` is 0, or the flags are not as above
 * @retval -EOVERFLOW `len` cannot be rounded up
 * @retval -ENOMEM no memory, no free huge page, or the limit of locked memory; the words tell which
 * @retval others  as iommufd_ioas_map()
 * @since 0.1
 */
int iommufd_dma_alloc(struct iommufd_ioas *ioas, size_t len, uint32_t flags, struct iommufd_dma *out);

/**
 * @brief Unmap a buffer, give its memory back, and set it to zero.
 *
 * @param ioas the IOAS that it was allocated from
 * @param dma  the buffer, or NULL; one with `len` 0 is left alone
 * @since 0.1
 */
void iommufd_dma_free(struct iommufd_ioas *ioas, struct iommufd_dma *dma);

/**
 * @brief The address for devices of a place inside a buffer.
 *
 * @param dma the buffer
 * @param at  an address from `dma->vaddr` to `dma->vaddr + dma->len`; not checked
 * @return its IOVA
 * @since 0.1
 */
static inline uint64_t iommufd_dma_addr(const struct iommufd_dma *dma, const void *at)
{
	return dma->iova + (uint64_t)((const char *)at - (const char *)dma->vaddr);
}

IOMMUFD_END_DECLS

#endif
