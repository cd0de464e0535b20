/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file ioas.h
 * @brief I/O address spaces: mapping memory for devices, and translating addresses.
 *
 * An IOAS is a set of mappings, from I/O virtual addresses (IOVA) that a device uses to memory of this process. The
 * library keeps an index of them, and checks a call against it before the kernel is asked, so that both backends
 * behave the same. Mappings may be made before any device is attached, and outlive the last one's detaching.
 *
 * Memory that is mapped must stay mapped in the process; a device sees the pages that were there when they were pinned.
 */
#ifndef LIBIOMMUFD_IOAS_H
#define LIBIOMMUFD_IOAS_H

#include <sys/uio.h>

#include <libiommufd/base.h>

IOMMUFD_BEGIN_DECLS

/** Flags of iommufd_ioas_map() and iommufd_dma_alloc(); see IOMMUFD_MAP_ALIGN() too. */
enum {
	IOMMUFD_MAP_READ = 1u << 0,  /**< the device may read the memory */
	IOMMUFD_MAP_WRITE = 1u << 1, /**< the device may write the memory */
	IOMMUFD_MAP_FIXED = 1u << 2, /**< at the IOVA that the caller gives, and no other */
};

/**
 * @brief Flag of all calls that map: the IOVA is to be a multiple of 2^n bytes.
 *
 * The library then picks none that is less aligned, and more where that lets the IOMMU use large pages. An n below
 * iommufd_ioas_alignment() is raised to that, and 0 is the library's choice. A constant expression where n is one; n is
 * evaluated twice, and one that is not 0 to 63 makes flags that every call refuses with -EINVAL. With IOMMUFD_MAP_FIXED
 * the given IOVA must be so aligned, or it is -EINVAL.
 */
#define IOMMUFD_MAP_ALIGN(n) ((uint32_t)((uint64_t)(n) < 64 ? (uint64_t)(n) << 8 : 1u << 14))

/**
 * @brief Make an empty IOAS.
 *
 * @param ctx the context; it may be freed before the IOAS
 * @param out the new IOAS; give it to iommufd_ioas_free()
 *
 * @retval -ENOMEM no memory
 * @retval -EMFILE no file descriptor is left (VFIO: each IOAS is a container)
 * @retval -EACCES, -ENOENT, -ENODEV, -EOPNOTSUPP  VFIO only: a further container cannot be opened, or serves no IOMMU
 * @retval -EPROTO the kernel's answer contradicts itself
 *
 * Source: IOMMU_IOAS_ALLOC (Linux 6.2); `open("/dev/vfio/vfio")`.
 * @since 0.1
 */
int iommufd_ioas_new(struct iommufd_ctx *ctx, struct iommufd_ioas **out);

/**
 * @brief Free an IOAS with all of its mappings. Devices that are still attached keep it alive inside, with its
 * mappings, until they are detached or freed.
 *
 * @param ioas the IOAS, or NULL
 * @since 0.1
 */
void iommufd_ioas_free(struct iommufd_ioas *ioas);

/**
 * @brief Map memory of this process for devices.
 *
 * Without IOMMUFD_MAP_FIXED the library picks a free IOVA: low addresses first, inside the permitted ranges, aligned so
 * that large pages can be used; never 0. Before the first attach the permitted ranges are not known yet, so it picks
 * below 2^39 as long as there is room, and outside of the x86 interrupt window, which nearly all hardware permits.
 *
 * @param ioas  the IOAS
 * @param vaddr start of the memory, aligned to iommufd_ioas_alignment()
 * @param len   bytes, a multiple of iommufd_ioas_alignment()
 * @param flags IOMMUFD_MAP_READ, IOMMUFD_MAP_WRITE or both, and perhaps IOMMUFD_MAP_FIXED and IOMMUFD_MAP_ALIGN()
 * @param iova  the address for the device; read with IOMMUFD_MAP_FIXED, written without it
 *
 * @retval -EINVAL    `len` is 0; something is not aligned; neither READ nor WRITE; an unknown flag; the IOVA is not in
 *                    a permitted range
 * @retval -EOVERFLOW `vaddr + len` or `iova + len` goes past the end of its address space
 * @retval -EEXIST    the IOVAs overlap a mapping; the words name it
 * @retval -ENOSPC    no free IOVA fits, or (VFIO) the kernel's limit of mappings in a container is reached
 * @retval -ENOMEM    the limit of locked memory is in the way (the words give need and limit), or no memory
 * @retval -EFAULT    some of the memory is not there, is not writable but mapped with WRITE, or cannot be pinned
 *
 * Where no device is attached yet, limits and memory are looked at by iommufd_device_attach() instead.
 *
 * Source: IOMMU_IOAS_MAP (Linux 6.2); VFIO_IOMMU_MAP_DMA.
 * @since 0.1
 */
int iommufd_ioas_map(struct iommufd_ioas *ioas, void *vaddr, size_t len, uint32_t flags, uint64_t *iova);

/**
 * @brief Map memory of this process at an IOVA inside of a window, for a device that reaches no other addresses.
 *
 * The library picks a place as for iommufd_ioas_map(), inside of what is permitted, of iommufd_ioas_allow()'s list when
 * there is one, and of the window. Many devices have 32 address bits: { 0, UINT32_MAX }.
 *
 * @param ioas   the IOAS
 * @param vaddr  as for iommufd_ioas_map()
 * @param len    as for iommufd_ioas_map()
 * @param flags  as for iommufd_ioas_map(), but never IOMMUFD_MAP_FIXED
 * @param window of IOVAs, both ends included; NULL for everywhere
 * @param iova   the address for the device, written
 *
 * @retval -EINVAL IOMMUFD_MAP_FIXED; a window that ends before it starts; or see iommufd_ioas_map()
 * @retval -ENOSPC no place fits; the words have the window
 * @retval -EOVERFLOW, -ENOMEM, -EFAULT  as for iommufd_ioas_map()
 *
 * Source: IOMMU_IOAS_MAP (Linux 6.2); VFIO_IOMMU_MAP_DMA.
 * @since 0.1
 */
int iommufd_ioas_map_within(struct iommufd_ioas *ioas, void *vaddr, size_t len, uint32_t flags,
			    const struct iommufd_range *window, uint64_t *iova);

/** A mapping to be made, for iommufd_ioas_map_batch(). */
struct iommufd_map {
	void *vaddr;       /**< start of the memory */
	size_t len;        /**< bytes */
	uint64_t iova;     /**< the address for the device; read with IOMMUFD_MAP_FIXED, written without it */
	uint32_t flags;    /**< as for iommufd_ioas_map() */
	uint32_t reserved; /**< 0 */
};

/** Flags of struct iommufd_batch_opts. */
enum {
	IOMMUFD_BATCH_POPULATE = 1u << 0, /**< memory is brought in before it is mapped, by all threads at once */
	IOMMUFD_BATCH_ALL_CPUS =
		1u << 1, /**< a thread for each CPU that the caller's may run on; `threads` is 0 then */
};

/**
 * @brief How far a batch is. It is called by the thread that called the library, between its own pieces of the work.
 *
 * Neither a handle of the batch's context nor of what was made from that may be used in it: what the library notices is
 * -EDEADLK, and in a callback of another context's batch that is begun in it too. They must not be freed in it either,
 * since that cannot fail; nor may it wait for another thread that is in a call on them, which may wait for the batch.
 *
 * @param data  as given in the options
 * @param done  bytes, never fewer than before; `total` in the last call, unless the batch failed
 * @param total bytes: each counts once for being mapped, and with IOMMUFD_BATCH_POPULATE once for being brought in
 * @return 0 to go on; anything else and all is taken back, also at the last call
 */
typedef int (*iommufd_progress_fn)(void *data, uint64_t done, uint64_t total);

/** Options of a batch. Set `struct_size`, leave at zero what does not matter. */
struct iommufd_batch_opts {
	size_t struct_size;           /**< `sizeof(struct iommufd_batch_opts)` */
	uint32_t flags;               /**< IOMMUFD_BATCH bits */
	uint32_t threads;             /**< to work, up to 1024, with the caller's; 0 and 1 are the caller's alone */
	iommufd_progress_fn progress; /**< the callback, or NULL */
	void *data;                   /**< handed to `progress` */
};

/**
 * @brief Map several pieces of memory: all of them, or none.
 *
 * All places are reserved before the kernel is asked, so that a mistake in any of them is found before memory is
 * pinned; those with IOMMUFD_MAP_FIXED come first, so that none of the others is in their way. When the kernel refuses
 * one, those that were made are unmapped again. Should it refuse that as well, which it does only when somebody uses
 * the IOAS behind the library's back, the mapping stays known and the log has an error.
 *
 * With IOMMUFD_BATCH_POPULATE memory is brought in first (MADV_POPULATE_WRITE), in pieces that end at borders of huge
 * pages; what a device only reads, of files, with MADV_POPULATE_READ. It stays in memory also when the batch fails.
 * What the kernel cannot bring in, as any before Linux 5.14 and a device's memory, is left to the mapping.
 *
 * Threads bring in pieces of any mapping at once. On iommufd they also make mappings at once, each of which is made by
 * one ioctl of one thread. On VFIO, whose lock is one for all, they are made one after the other, in the order of
 * `maps`. Threads live during the call, hear no signals, and may call the log's callback; where one cannot be had, the
 * others do its work. What is little, and takes no longer than starting them, the caller's does.
 *
 * @param ioas  the IOAS
 * @param maps  what to map; `iova` of those without IOMMUFD_MAP_FIXED is written when all have been made
 * @param count how many
 * @param opts  how, or NULL: by the caller's thread, and nothing is brought in before
 *
 * @retval -EINVAL    `count`, `struct_size`, one of the `reserved`, flags or number of threads is not as it must be
 * @retval -E2BIG     the options have something that this library does not know
 * @retval -EOVERFLOW 2^63 bytes or more
 * @retval -ECANCELED the progress callback said so
 * @retval -EHWPOISON a page of the memory is broken in hardware
 * @retval others     as iommufd_ioas_map(), for the first that cannot be made, those with IOMMUFD_MAP_FIXED before the
 *                    others (with several threads: for one of those); the words have its place, from 0. With
 *                    IOMMUFD_BATCH_POPULATE -EFAULT, and -ENOMEM where memory is short, also while no device is
 *                    attached
 *
 * Source: IOMMU_IOAS_MAP (Linux 6.2); VFIO_IOMMU_MAP_DMA; madvise().
 * @since 0.1
 */
int iommufd_ioas_map_batch(struct iommufd_ioas *ioas, struct iommufd_map *maps, size_t count,
			   const struct iommufd_batch_opts *opts);

/**
 * @brief Map a piece of a file for devices: of a memfd, of tmpfs or hugetlbfs, or of a dma-buf.
 *
 * The process need not have the file mapped, and may close the descriptor afterwards. What a device sees are the file's
 * pages, as every process does that maps it. Such a mapping has no address in the process, so that translation by
 * address or to one does not find it (-ENOENT); a device without an IOMMU cannot use it.
 *
 * Where the kernel cannot map files (VFIO, and iommufd before Linux 6.13) the library maps the file into the process,
 * and that; it takes addresses until the mapping is gone. Dma-bufs cannot be had like this. On iommufd the kernel takes
 * those that vfio-pci has made of a device's memory (Linux 6.19), in one piece, and refuses others, such as udmabuf's.
 * One whose device takes the memory back, at a reset for instance, stays mapped and leads nowhere from then on, also
 * when the device gives it again: unmap it and map it anew.
 *
 * Mappings of files alone can go from process to process, see iommufd_ctx_change_process().
 *
 * @param ioas  the IOAS
 * @param fd    the file, open for reading, and for writing with IOMMUFD_MAP_WRITE
 * @param start where the piece begins in the file, aligned to iommufd_ioas_alignment()
 * @param len   bytes, aligned like that; they must be there, see ftruncate()
 * @param flags as for iommufd_ioas_map()
 * @param iova  as for iommufd_ioas_map()
 *
 * @retval -EBADF      `fd` is not open, or was opened with O_PATH
 * @retval -EINVAL     the file is of another kind, or ends before the piece does (the words have its size); something
 *                     is not aligned, or see iommufd_ioas_map()
 * @retval -EACCES     `fd` is not open for what is asked for
 * @retval -EPERM      IOMMUFD_MAP_WRITE of a memfd that is sealed against writing
 * @retval -EOPNOTSUPP a dma-buf that cannot be had; or there is a device without an IOMMU
 * @retval -ENODEV     a dma-buf whose device has taken its memory back
 * @retval -EFAULT     the file was made shorter meanwhile, or has no pages left
 * @retval -EOVERFLOW, -EEXIST, -ENOSPC, -ENOMEM  as for iommufd_ioas_map()
 *
 * Source: IOMMU_IOAS_MAP_FILE (Linux 6.13); mmap() and IOMMU_IOAS_MAP or VFIO_IOMMU_MAP_DMA.
 * @since 0.1
 */
int iommufd_ioas_map_file(struct iommufd_ioas *ioas, int fd, uint64_t start, size_t len, uint32_t flags,
			  uint64_t *iova);

/**
 * @brief Map a part of a device's memory for other devices: from one to another, past the memory of the machine.
 *
 * On iommufd that is a dma-buf to the kernel, on type1 the address of a mapping of the region, which the library makes
 * and keeps. The mapping is as every other: it is unmapped and copied like them. It has no address in the process, so
 * that translation by address or to one does not find it (-ENOENT). Whether the machine lets the one device reach the
 * other is up to its bridges.
 *
 * The memory is the device's, and comes and goes with it. While the device is reset, or has its memory switched off in
 * configuration space, accesses are refused; the library maps it again when that is over, if it was this library that
 * reset it or wrote there. When it is detached, the mapping stays, so that its IOVAs are not given to anybody else, but
 * leads nowhere; when this handle is attached again, it leads there as before. When the device is freed it leads
 * nowhere for good, and is still to be unmapped.
 *
 * @param ioas   the IOAS
 * @param dev    an attached device of the same context, to whichever IOAS
 * @param index  its region
 * @param offset from the start of the region, aligned to iommufd_ioas_alignment()
 * @param len    bytes, aligned like that
 * @param flags  as for iommufd_ioas_map()
 * @param iova   as for iommufd_ioas_map()
 *
 * @retval -ENOTCONN   the device is not attached
 * @retval -EINVAL     it is of another context; no such region; something is not aligned, or see iommufd_ioas_map()
 * @retval -ERANGE     `offset + len` goes beyond the region
 * @retval -EOPNOTSUPP the region, or some of it, cannot be mapped; or the kernel cannot: iommufd before Linux 6.19,
 *                     and a container that iommufd serves; or there is a device without an IOMMU
 * @retval -ENODEV, -EFAULT  the device's memory is switched off, or the device is gone; -ENODEV too while it may go
 *                     into low power, see iommufd_device_low_power_enter()
 * @retval -EBUSY      a driver of the kernel has claimed the region
 * @retval -EOVERFLOW, -EEXIST, -ENOSPC, -ENOMEM, -EMFILE  as for iommufd_ioas_map()
 *
 * Source: VFIO_DEVICE_FEATURE_DMA_BUF (Linux 6.19) and IOMMU_IOAS_MAP_FILE; mmap() and VFIO_IOMMU_MAP_DMA.
 * @since 0.1
 */
int iommufd_ioas_map_region(struct iommufd_ioas *ioas, struct iommufd_device *dev, uint32_t index, uint64_t offset,
			    size_t len, uint32_t flags, uint64_t *iova);

/**
 * @brief Map in an IOAS what is mapped in another one, or elsewhere in the same.
 *
 * The range must be mapped from end to end: by one mapping or by several neighbours, of which the first and the last
 * may be cut. All of it is copied, or nothing. In `dst` there is then one mapping for each in `src`, one behind the
 * other, to be unmapped by itself or with the others; it does not matter what becomes of those in `src`.
 *
 * On iommufd the copies share the pinned pages, so that these count once against the limit of locked memory. On VFIO
 * the memory is mapped anew, and counts again.
 *
 * @param src      the IOAS to copy from
 * @param src_iova start of the range, aligned to the iommufd_ioas_alignment() of both
 * @param len      bytes, aligned like that
 * @param dst      the IOAS to copy to, of the same context; it may be `src`
 * @param flags    as for iommufd_ioas_map(); IOMMUFD_MAP_WRITE only where `src` has that too
 * @param iova     the address in `dst`; read with IOMMUFD_MAP_FIXED, written without it
 *
 * @retval -ENOENT some of the range is not mapped; the words have the first such address
 * @retval -EPERM  a mapping in `src` is without IOMMUFD_MAP_WRITE; the words name it
 * @retval -EBUSY  another thread is mapping or unmapping in the range
 * @retval -EINVAL, -EOVERFLOW, -EEXIST, -ENOSPC, -ENOMEM, -EFAULT  as for iommufd_ioas_map()
 *
 * Source: IOMMU_IOAS_COPY (Linux 6.2); VFIO_IOMMU_MAP_DMA.
 * @since 0.1
 */
int iommufd_ioas_copy(struct iommufd_ioas *src, uint64_t src_iova, uint64_t len, struct iommufd_ioas *dst,
		      uint32_t flags, uint64_t *iova);

/**
 * @brief How many more mappings the kernel takes.
 *
 * @param ioas the IOAS
 * @param left the number; UINT64_MAX on iommufd, where only memory limits it. On VFIO before the first attach it is
 *             what will be left when the present mappings have been replayed. Of a container that iommufd serves
 *             (IOMMUFD_CANDIDATE_COMPAT) the kernel says UINT32_MAX at any time, and means that it sets no limit;
 *             before the first attach, when it cannot be asked, 65535 less the present mappings is assumed
 *
 * @retval -EIO or another errno when the kernel does not answer
 *
 * Source: VFIO_IOMMU_GET_INFO with its DMA available capability (Linux 5.10), before it the parameter
 * `dma_entry_limit` of vfio_iommu_type1.
 * @since 0.1
 */
int iommufd_ioas_maps_left(struct iommufd_ioas *ioas, uint64_t *left);

/**
 * @brief Unmap every mapping in a range.
 *
 * The range must cover whole mappings. It may cover several and may have holes.
 *
 * @param ioas     the IOAS
 * @param iova     start of the range, aligned to iommufd_ioas_alignment()
 * @param len      bytes, a multiple of iommufd_ioas_alignment()
 * @param unmapped the bytes that were mapped in the range, or NULL
 *
 * @retval -EINVAL    `len` is 0; something is not aligned; the range cuts a mapping in two (the words name it)
 * @retval -EOVERFLOW `iova + len` goes past 2^64
 * @retval -ENOENT    nothing is mapped in the range
 * @retval -EBUSY     another thread is mapping, unmapping or copying in the range, or the kernel holds a mapping
 *
 * Source: IOMMU_IOAS_UNMAP (Linux 6.2); VFIO_IOMMU_UNMAP_DMA.
 * @since 0.1
 */
int iommufd_ioas_unmap(struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, uint64_t *unmapped);

/**
 * @brief Unmap everything. An IOAS with no mappings is no failure: the byte count is then 0.
 *
 * @param ioas     the IOAS
 * @param unmapped the bytes that were mapped, or NULL
 *
 * It waits for other threads that map or unmap. Buffers and pools must be gone before: their mappings are theirs.
 *
 * @retval -EBUSY the kernel holds a mapping: it stays, while others are gone
 *
 * Source: IOMMU_IOAS_UNMAP (Linux 6.2); VFIO_IOMMU_UNMAP_DMA.
 * @since 0.1
 */
int iommufd_ioas_unmap_all(struct iommufd_ioas *ioas, uint64_t *unmapped);

/**
 * @brief The ranges of IOVAs that may be mapped, in ascending order.
 *
 * They depend on the attached devices: ask again after an attach or a detach. Before the first attach there is one
 * range with everything in it, unless a container was adopted in which there is a group already.
 *
 * @param ioas   the IOAS
 * @param ranges room for `max` ranges, or NULL when `max` is 0
 * @param max    how many fit; when there are more, the first ones are written
 *
 * @return how many ranges there are, which may be more than `max`
 *
 * Source: IOMMU_IOAS_IOVA_RANGES (Linux 6.2); VFIO_IOMMU_GET_INFO with its IOVA range capability (Linux 5.4).
 * @since 0.1
 */
int iommufd_ioas_ranges(struct iommufd_ioas *ioas, struct iommufd_range *ranges, size_t max);

/**
 * @brief Add ranges to the IOVAs that the library may pick.
 *
 * As long as there is such a list, IOVAs that are picked are of it only; IOMMUFD_MAP_FIXED may go elsewhere. It stays
 * for the IOAS's life. A device that reserves some of it for something else cannot be attached, so that a guest's
 * addresses stay free whatever comes.
 *
 * @param ioas   the IOAS
 * @param ranges in any order; those that touch or overlap, each other or what is there, become one
 * @param count  how many; 0 empties the list, and `ranges` may then be NULL
 *
 * @retval -EINVAL     a range ends before it starts, or has a single address; or there are more than 65536
 * @retval -EADDRINUSE an attached device does not permit all of it; the words have the range
 * @retval -ENOMEM     no memory
 *
 * Source: IOMMU_IOAS_ALLOW_IOVAS (Linux 6.2); on VFIO the library sees to it by itself.
 * @since 0.1
 */
int iommufd_ioas_allow(struct iommufd_ioas *ioas, const struct iommufd_range *ranges, size_t count);

/**
 * @brief Keep a range of IOVAs free: the library picks none of it from now on.
 *
 * For what the caller wants to map there later, with IOMMUFD_MAP_FIXED, which may use the range as before. What is
 * mapped there already stays. The kernel is not told: a device may be attached that does not permit the range, and the
 * other processes that use an adopted descriptor know nothing of it. iommufd_ioas_allow() is the reverse; with both,
 * the library picks of the list what is not reserved.
 *
 * @param ioas  the IOAS, whether something is attached or not
 * @param range both ends included, of any alignment
 *
 * @retval -EINVAL it ends before it starts
 * @retval -EEXIST it overlaps another one that is reserved; the words name that
 * @retval -ENOSPC there are 256 already
 * @retval -ENOMEM no memory, which the first range of an IOAS takes for all
 *
 * It waits for other threads that map or unmap. Source: none, the library sees to it by itself.
 * @since 0.1
 */
int iommufd_ioas_reserve(struct iommufd_ioas *ioas, const struct iommufd_range *range);

/**
 * @brief Let the library pick from a range again.
 *
 * @param ioas  the IOAS
 * @param range one that was given to iommufd_ioas_reserve(), all of it
 *
 * @retval -ENOENT it is not reserved, or not as one range
 *
 * Source: none, the library sees to it by itself.
 * @since 0.1
 */
int iommufd_ioas_unreserve(struct iommufd_ioas *ioas, const struct iommufd_range *range);

/**
 * @brief Whether IOMMUs may use pages larger than the CPU's smallest for what is mapped: they may at first.
 *
 * Without them all mappings cost more memory and time. Dirty tracking by small pages, and whoever measures, may want
 * it.
 *
 * @param ioas the IOAS
 * @param on   1 for yes, 0 for no
 *
 * @retval -EINVAL     `on` is neither
 * @retval -EBUSY      something is mapped, and a device or a page table is there: it is too late to say no
 * @retval -EADDRINUSE a mapping is not aligned as it would have to be
 * @retval -EOPNOTSUPP VFIO has no such option
 *
 * Source: IOMMU_OPTION_HUGE_PAGES (Linux 6.2).
 * @since 0.1
 */
int iommufd_ioas_set_huge_pages(struct iommufd_ioas *ioas, uint32_t on);

/**
 * @brief Whether they may.
 *
 * @param ioas the IOAS
 * @param on   1 or 0
 *
 * @retval -EOPNOTSUPP VFIO has no such option
 *
 * Source: IOMMU_OPTION_HUGE_PAGES (Linux 6.2).
 * @since 0.1
 */
int iommufd_ioas_get_huge_pages(struct iommufd_ioas *ioas, uint32_t *on);

/**
 * @brief What addresses and lengths of mappings must be a multiple of: the page size, or more if an IOMMU wants it.
 *
 * @param ioas the IOAS
 * @return bytes, a power of two; it may grow at an attach
 * @since 0.1
 */
uint64_t iommufd_ioas_alignment(const struct iommufd_ioas *ioas);

/**
 * @brief The number by which the iommufd knows the IOAS, for those who make ioctls of their own on iommufd_ctx_fd().
 *
 * @param ioas the IOAS
 * @return the number; 0 on VFIO, which has none
 * @since 0.1
 */
uint32_t iommufd_ioas_id(const struct iommufd_ioas *ioas);

/**
 * @brief The IOVA of memory that is mapped.
 *
 * For each request of a driver: it takes no lock, writes to nothing that threads share, and takes a few nanoseconds,
 * also while other threads map and unmap; among so many mappings that the CPU's caches do not hold what it needs of
 * them, as long as memory takes to answer. Memory that is mapped all the while is found; memory that another thread
 * maps or unmaps meanwhile is found or not. Where memory is mapped more than once, in this IOAS, some calls take a
 * lock: those that find nothing, and those for which the other place is the answer.
 *
 * @param ioas  the IOAS
 * @param vaddr any address inside a mapping
 * @param len   bytes from there that must be inside the same mapping, at least 1
 * @param iova  where a device finds `vaddr`; when the memory is mapped more than once, one of the places
 *
 * @retval -ENOENT no one mapping covers the memory; sets no words
 * @retval -EINVAL `len` is 0
 * @since 0.1
 */
int iommufd_ioas_to_iova(struct iommufd_ioas *ioas, const void *vaddr, size_t len, uint64_t *iova);

/**
 * @brief The memory behind an IOVA.
 *
 * @param ioas  the IOAS
 * @param iova  any IOVA inside a mapping
 * @param len   bytes from there that must be inside the same mapping, at least 1
 * @param vaddr where this process finds what a device sees at `iova`
 *
 * @retval -ENOENT no one mapping covers the range; sets no words
 * @retval -EINVAL `len` is 0
 * @since 0.1
 */
int iommufd_ioas_to_vaddr(struct iommufd_ioas *ioas, uint64_t iova, size_t len, void **vaddr);

/** A run of addresses for a device. */
struct iommufd_segment {
	uint64_t addr; /**< the address that the device uses */
	uint64_t len;  /**< bytes */
};

/**
 * @brief The addresses by which devices reach a buffer, as few runs as there are.
 *
 * Behind an IOMMU these are IOVAs, and a buffer inside one mapping is one run, unless some of it is in another one too.
 * For a device without an IOMMU (IOMMUFD_CTX_NOIOMMU) they are physical addresses, of which a buffer may need one run
 * for each page. Neighbouring runs are joined. For descriptor lists such as NVMe's PRP or SGL.
 *
 * The runs are looked up one after the other, each as by iommufd_ioas_to_iova(): when another thread unmaps some of
 * the buffer meanwhile, the result is a failure, or has runs that are not mapped any more. On failure nothing is
 * written.
 *
 * @param ioas     the IOAS
 * @param iov      the pieces of the buffer, each inside what is mapped, though perhaps in several mappings
 * @param iovcnt   how many
 * @param segments room for `max` runs, or NULL when `max` is 0
 * @param max      how many fit; when there are more, the first ones are written
 *
 * @return how many runs there are, which may be more than `max`
 * @retval -ENOENT some of the buffer is not mapped; sets no words
 * @retval -EINVAL a piece has no bytes
 * @retval -EOVERFLOW there are more runs than an int counts
 * @retval -ENOMEM there are more than 16 runs, and no memory to gather them in
 * @retval -EPERM  physical addresses are not told to this process: it needs CAP_SYS_ADMIN, or CAP_SYS_RAWIO on iommufd
 * @retval -EFAULT without an IOMMU: some of the memory is mapped in the IOAS, but not present in the process any more
 * @retval others  without an IOMMU: the source below cannot be read
 *
 * Source: IOMMU_IOAS_NOIOMMU_GET_PA (Linux 7.3), elsewhere `/proc/self/pagemap`, for devices without an IOMMU only.
 * @since 0.1
 */
int iommufd_ioas_to_iovas(struct iommufd_ioas *ioas, const struct iovec *iov, size_t iovcnt,
			  struct iommufd_segment *segments, size_t max);

IOMMUFD_END_DECLS

#endif
