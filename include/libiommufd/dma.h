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

/**
 * Flags of iommufd_dma_alloc(), beside IOMMUFD_MAP_READ and IOMMUFD_MAP_WRITE: the pages that memory may be made of.
 * None of them means IOMMUFD_DMA_SMALL. With several, the largest that can be had is taken; those that are larger than
 * the buffer are passed over, unless there is no smaller kind. What was got is in `page_size`.
 *
 * The first two kinds are set aside by the administrator, as `nr_hugepages` in `/sys/kernel/mm/hugepages` or at boot.
 */
enum {
	/** Huge pages of 2 MiB */
	IOMMUFD_DMA_HUGE = 1u << 16,
	/** Huge pages of 1 GiB */
	IOMMUFD_DMA_HUGE_1G = 1u << 17,
	/** Transparent huge pages, which the kernel makes of what is free; of 2 MiB on most machines */
	IOMMUFD_DMA_THP = 1u << 18,
	/** Pages of the CPU; beside IOMMUFD_DMA_THP, whatever mixture comes */
	IOMMUFD_DMA_SMALL = 1u << 19,
	/** All of these: the best that can be had */
	IOMMUFD_DMA_BEST = 0xfu << 16,
};

/** A buffer and its address for devices. A plain value: copy it as you like, free it once. */
struct iommufd_dma {
	void *vaddr;   /**< its address in this process */
	uint64_t iova; /**< its address for devices that are attached to the IOAS */
	size_t len;    /**< its length in bytes, rounded up to whole pages; 0 for no buffer */
	/**
	 * The bytes of its pages: none of them is smaller. Where the kernel does not tell that transparent huge pages
	 * came, or `/proc/self/pagemap` cannot be opened, it is the page size of the CPU
	 */
	size_t page_size;
};

/**
 * @brief Allocate zeroed memory and map it.
 *
 * What is made of huge pages, of either sort, is there when the call returns, so it takes as long as it takes to zero
 * it; the rest comes when a device is attached.
 *
 * @param ioas  the IOAS
 * @param len   bytes, rounded up to a multiple of the page size that is got
 * @param flags IOMMUFD_MAP_READ, IOMMUFD_MAP_WRITE or both, perhaps IOMMUFD_MAP_ALIGN() and IOMMUFD_DMA flags
 * @param out   the buffer; give it to iommufd_dma_free()
 *
 * @retval -EINVAL `len` is 0, or the flags are not as above
 * @retval -EOVERFLOW `len` cannot be rounded up
 * @retval -ENOMEM no memory, not enough free huge pages, or the limit of locked memory; the words tell which
 * @retval -EOPNOTSUPP this machine has no huge pages of that kind; or the kernel does not tell whether transparent ones
 *                     came (before Linux 6.7), and nothing else will do
 * @retval -EACCES the same of a process that has changed its user and so may not open `/proc/self/pagemap`
 * @retval -EHWPOISON a page of the machine's memory is broken
 * @retval -EPERM  in a child process
 * @retval others  as iommufd_ioas_map(), and with several kinds of pages for the smallest of them
 *
 * All threads may allocate and free at the same time.
 *
 * Source: mmap(), madvise(), and iommufd_ioas_map(); PAGEMAP_SCAN (Linux 6.7) of `/proc/self/pagemap`.
 * @since 0.1
 */
int iommufd_dma_alloc(struct iommufd_ioas *ioas, size_t len, uint32_t flags, struct iommufd_dma *out);

/** Where a buffer is to be. Set `struct_size`, and leave at zero what does not matter. */
struct iommufd_dma_opts {
	size_t struct_size; /**< sizeof the structure, set by the caller */
	/**
	 * One more than the number of the NUMA node that all of its memory shall be of, or 0 for any. The memory is
	 * there when the call returns.
	 */
	uint32_t node;
	uint32_t reserved; /**< 0 */
	/** Where the IOVAs are to be, as for iommufd_ioas_map_within(); { 0, 0 } for everywhere. */
	struct iommufd_range window;
};

/**
 * @brief Allocate zeroed memory and map it, with options.
 *
 * A node has less memory than the machine, and where it has too little, the kernel kills a process to have some, as it
 * does with numactl. So what is more than an estimate of what it can give is refused: what is free, half of what is
 * there for files, less an eighth of a small node or 1 GiB of a large one. What others take in the same moment is not
 * foreseen, and the limit of a memory cgroup is not looked at. With huge pages that were set aside, of which each node
 * has its own number, nobody is killed.
 *
 * @param ioas  the IOAS
 * @param len   as for iommufd_dma_alloc()
 * @param flags as for iommufd_dma_alloc()
 * @param opts  the options, or NULL for none
 * @param out   as for iommufd_dma_alloc()
 *
 * @retval -EINVAL the node does not exist, has no memory, or is not for this process; `struct_size` or `reserved` is
 *                 not as it must be; the window ends before it starts; or as for iommufd_dma_alloc()
 * @retval -E2BIG  `opts` has a member that this library does not know
 * @retval -ENOMEM the node cannot give as much, the words tell what it has; or as for iommufd_dma_alloc()
 * @retval -ENOSPC no place is free in the window; or as for iommufd_dma_alloc()
 * @retval -EOPNOTSUPP the kernel knows no nodes, or takes no huge pages of one (before Linux 5.14); or as for
 *                     iommufd_dma_alloc()
 * @retval -EPERM  a container does not permit mbind(); or as for iommufd_dma_alloc()
 * @retval others  as iommufd_dma_alloc()
 *
 * Source: mbind() with MPOL_BIND, and what iommufd_dma_alloc() does.
 * @since 0.1
 */
int iommufd_dma_alloc_opts(struct iommufd_ioas *ioas, size_t len, uint32_t flags, const struct iommufd_dma_opts *opts,
			   struct iommufd_dma *out);

/**
 * @brief Unmap a buffer, give its memory back, and set it to zero. A device must have stopped using it.
 *
 * Its mapping is the library's: iommufd_ioas_unmap() and iommufd_ioas_unmap_all() must not have it before. What is
 * mapped of other memory at its IOVA is left alone then. No other thread may be using it or translating its addresses.
 *
 * @param ioas the IOAS that it was allocated from, not freed yet: iommufd_ioas_free() does not give the memory back
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
