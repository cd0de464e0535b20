/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file pool.h
 * @brief Pools: many small objects that devices reach, such as entries of queues and lists of pages.
 *
 * A pool has objects of one size, in memory of the process that is mapped in an IOAS. To get one and to give it back
 * asks the kernel nothing, but when the pool grows.
 *
 * **Where objects are.** Up to the page size of the CPU, an object begins at a multiple of its size, rounded up to a
 * power of two of 64 at least (128 on 64-bit Arm and Power); both its address in the process and its IOVA do. So it
 * shares no cache line with another one, and crosses no page, of the CPU or of the device, that is not smaller than
 * itself. A larger object begins with a page of the CPU and has its pages for itself.
 *
 * **What is in them.** Zeroes in one that nobody has had yet, else what the last owner and the device left there.
 *
 * **Growing.** A pool has 64 KiB at first, or a page of the kind that was asked for, or one object. When all of them
 * are given out it doubles, by up to 2 MiB at a time, or by such a page. It never becomes smaller.
 *
 * **Threads.** All may get objects and give them back at any time. While one lets the pool grow the others wait. When
 * the pool is freed, none may be using it.
 *
 * **Its mappings** are the library's. After iommufd_ioas_unmap_all(), or iommufd_ioas_unmap() of what a pool has, it
 * gives objects that no device reaches, or whose IOVA is another's: free all pools and buffers of an IOAS first.
 */
#ifndef LIBIOMMUFD_POOL_H
#define LIBIOMMUFD_POOL_H

#include <libiommufd/base.h>
#include <libiommufd/dma.h>

IOMMUFD_BEGIN_DECLS

/**
 * @brief Make a pool, with memory for its first objects.
 *
 * @param ioas  the IOAS; it may be freed before the pool
 * @param size  of an object, in bytes
 * @param flags as for iommufd_dma_alloc(): what devices may do with the objects, and of which pages they are.
 *              IOMMUFD_MAP_ALIGN() is for the memory that the pool grows by, not for each object
 * @param opts  as for iommufd_dma_alloc_opts(), or NULL for none
 * @param out   the pool; give it to iommufd_pool_free()
 *
 * @retval -EINVAL    `size` is 0, or as for iommufd_dma_alloc_opts()
 * @retval -EOVERFLOW `size` cannot be rounded up
 * @retval others     as iommufd_dma_alloc_opts(), -EPERM in a child process among them
 * @since 0.1
 */
int iommufd_pool_new(struct iommufd_ioas *ioas, size_t size, uint32_t flags, const struct iommufd_dma_opts *opts,
		     struct iommufd_pool **out);

/**
 * @brief Free a pool with all of its objects, those that are given out too. Devices must have stopped using them.
 *
 * @param pool the pool, or NULL
 * @since 0.1
 */
void iommufd_pool_free(struct iommufd_pool *pool);

/**
 * @brief Get an object.
 *
 * @param pool the pool
 * @param out  its addresses, `len` being the size that was given to iommufd_pool_new(). It is no buffer of its own: its
 *             `vaddr` goes to iommufd_pool_put(), and iommufd_dma_free() must not have it
 *
 * @retval -EPERM in a child process
 * @retval others as iommufd_dma_alloc_opts(), when the pool has to grow
 * @since 0.1
 */
int iommufd_pool_get(struct iommufd_pool *pool, struct iommufd_dma *out);

/**
 * @brief Give an object back. A device must have stopped using it; the next one to get it may be another thread.
 *
 * @param pool  the pool
 * @param vaddr its address in the process, or NULL for none
 *
 * @retval -ENOENT   no object of this pool begins there
 * @retval -EALREADY the object is free already
 * @retval -EPERM    in a child process
 * @since 0.1
 */
int iommufd_pool_put(struct iommufd_pool *pool, void *vaddr);

IOMMUFD_END_DECLS

#endif
