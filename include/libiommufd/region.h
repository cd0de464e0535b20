/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file region.h
 * @brief Regions of a device: its registers and memory, read, written and mapped; as a dma-buf; writes by eventfd.
 *
 * Until the device is attached each call gives `-ENOTCONN`. Calls may be made by several threads at the same time.
 */
#ifndef LIBIOMMUFD_REGION_H
#define LIBIOMMUFD_REGION_H

#include <libiommufd/base.h>

IOMMUFD_BEGIN_DECLS

/** What a region can do. */
enum {
	IOMMUFD_REGION_READ = 1u << 0,  /**< iommufd_device_region_read() */
	IOMMUFD_REGION_WRITE = 1u << 1, /**< iommufd_device_region_write() */
	IOMMUFD_REGION_MMAP = 1u << 2,  /**< iommufd_device_region_map() */
	/** Of what can be mapped the driver lists parts: iommufd_device_region_areas() */
	IOMMUFD_REGION_SPARSE = 1u << 3,
	IOMMUFD_REGION_TYPE = 1u << 4, /**< beyond those that the bus has: `type` and `subtype` tell what it is */
	IOMMUFD_REGION_MSIX_MAPPABLE = 1u << 5, /**< the page with PCI's MSI-X table can be mapped like any other */
};

/** A region of a device, for instance a BAR. The caller sets `struct_size`. */
struct iommufd_region_info {
	size_t struct_size; /**< `sizeof(struct iommufd_region_info)` */
	uint64_t size;      /**< bytes; 0 for a region that the device does not have */
	uint32_t flags;     /**< IOMMUFD_REGION bits */
	uint32_t index;     /**< as asked for */
	uint32_t type;      /**< with IOMMUFD_REGION_TYPE: VFIO_REGION_TYPE of `<linux/vfio.h>`; else 0 */
	uint32_t subtype;   /**< the same: which one of that type */
};

/**
 * @brief What a region is.
 *
 * @param dev   an attached device
 * @param index the region, for PCI one of IOMMUFD_PCI_BAR0 to IOMMUFD_PCI_VGA
 * @param info  filled; `info->struct_size` is read first
 *
 * @retval -ENOTCONN not attached
 * @retval -EINVAL   `index` is out of range, or `struct_size` is smaller than in the first release
 *
 * Source: VFIO_DEVICE_GET_REGION_INFO.
 * @since 0.1
 */
int iommufd_device_region_info(struct iommufd_device *dev, uint32_t index, struct iommufd_region_info *info);

/**
 * @brief Which parts of a region can be mapped, in ascending order.
 *
 * Most often that is one, from 0 to the end of the region's last page, or none. A driver that keeps registers to itself
 * lists what is beside them (IOMMUFD_REGION_SPARSE).
 *
 * @param dev   an attached device
 * @param index the region
 * @param areas room for `max` ranges of offsets in the region, or NULL when `max` is 0; they consist of whole pages
 * @param max   how many fit; when there are more, the first ones are written
 *
 * @return how many there are, which may be more than `max`; or
 * @retval -ENOTCONN not attached
 * @retval -EINVAL   no such region
 * @retval -ENOMEM   no memory
 *
 * Source: VFIO_DEVICE_GET_REGION_INFO with its capability for sparse mapping.
 * @since 0.1
 */
int iommufd_device_region_areas(struct iommufd_device *dev, uint32_t index, struct iommufd_range *areas, size_t max);

/**
 * @brief Read from a region through the kernel.
 *
 * Of a PCI device that was pulled out bytes are read as ones, and the kernel says no more. When all are ones it is
 * asked whether the device is still there (Linux 6.1 and later): they stand when it is, and else are an error.
 *
 * @param dev    an attached device
 * @param index  the region
 * @param offset from its start, in bytes
 * @param buf    where the bytes go, in the device's byte order
 * @param len    bytes; 1, 2, 4 or 8 at an aligned offset are one access
 *
 * @retval -ENOTCONN not attached
 * @retval -EINVAL   no such region, or it cannot be read
 * @retval -ERANGE   `offset + len` goes beyond the region
 * @retval -EIO      the device's memory is disabled; or it was taken away, and nothing but ones was read
 * @retval -ENOMEM   of an expansion ROM the same; or no memory
 * @retval -EBUSY    a driver of the kernel has claimed the region
 *
 * Source: pread() on the device's file descriptor.
 * @since 0.1
 */
int iommufd_device_region_read(struct iommufd_device *dev, uint32_t index, uint64_t offset, void *buf, size_t len);

/**
 * @brief Write to a region through the kernel.
 *
 * What is written to a BAR of a PCI device that was pulled out gets lost without an error: nobody answers to a write.
 *
 * @param dev    an attached device
 * @param index  the region
 * @param offset from its start, in bytes
 * @param buf    the bytes, in the device's byte order
 * @param len    bytes; 1, 2, 4 or 8 at an aligned offset are one access
 *
 * @retval -ENOTCONN not attached
 * @retval -EINVAL   no such region, or it cannot be written
 * @retval -ERANGE   `offset + len` goes beyond the region
 * @retval -EIO      the device's memory is disabled; or it was taken away, and this is configuration space
 * @retval -EBUSY    a driver of the kernel has claimed the region
 * @retval others    the write was done, but memory of the device that is lent could not be mapped again, see
 *                   iommufd_ioas_map_region()
 *
 * Source: pwrite() on the device's file descriptor.
 * @since 0.1
 */
int iommufd_device_region_write(struct iommufd_device *dev, uint32_t index, uint64_t offset, const void *buf,
				size_t len);

/**
 * @brief Map a part of a region into this process.
 *
 * The window keeps the device attached: iommufd_device_detach() is -EBUSY as long as there is one.
 * iommufd_device_free() unmaps what is left, so nothing may use the address after that. A child process gets no copy of
 * it. From 2 MiB on the address is chosen so that huge pages of the CPU fit, which Linux 6.12 and later then use.
 *
 * An access while the device's memory is disabled (bit 1 of PCI's command register) ends in SIGBUS, where
 * iommufd_device_region_read() has an errno; so does one while the device may sleep, see
 * iommufd_device_low_power_enter(). While the device is reset, an access waits. Of a device that was pulled out ones
 * are read, on some machines zeroes, and what is written gets lost.
 *
 * @param dev    an attached device
 * @param index  the region
 * @param offset from its start, a multiple of the page size
 * @param len    bytes, a multiple of the page size
 * @param prot   PROT_READ, PROT_WRITE or both, of `<sys/mman.h>`
 * @param out    the address; give it to iommufd_device_region_unmap(), or let iommufd_device_free() do it
 *
 * @retval -ENOTCONN   not attached
 * @retval -EINVAL     no such region; `len` is 0; something is not aligned; `prot` is something else
 * @retval -ERANGE     `offset + len` goes beyond the page with the region's last byte
 * @retval -EOPNOTSUPP the region, or this part of it (see iommufd_device_region_areas()), cannot be mapped: use
 *                     iommufd_device_region_read() and iommufd_device_region_write()
 * @retval -EBUSY      a driver of the kernel has claimed the region
 * @retval -EIO        the device was taken away
 * @retval -ENOMEM     no memory
 *
 * Source: mmap() on the device's file descriptor.
 * @since 0.1
 */
int iommufd_device_region_map(struct iommufd_device *dev, uint32_t index, uint64_t offset, size_t len, int prot,
			      void **out);

/**
 * @brief Map all of a region into this process, in one piece, with the parts that cannot be mapped left out.
 *
 * An offset in the region is the same offset from the address. In the gaps (see iommufd_device_region_areas()) and,
 * where the region does not end with a page, behind its end there is nothing to be accessed: in a gap an access ends in
 * SIGSEGV. Everything else is as for iommufd_device_region_map().
 *
 * @param dev   an attached device
 * @param index the region
 * @param prot  PROT_READ, PROT_WRITE or both, of `<sys/mman.h>`
 * @param out   the address; give it to iommufd_device_region_unmap(), or let iommufd_device_free() do it. As many bytes
 *              from there on as the region has, and the rest of its last page, are the window's
 *
 * @retval -ENOTCONN   not attached
 * @retval -EINVAL     no such region, or `prot` is something else
 * @retval -ERANGE     the device has no such region
 * @retval -EOPNOTSUPP no part of it can be mapped: use iommufd_device_region_read() and iommufd_device_region_write()
 * @retval -EBUSY      a driver of the kernel has claimed the region
 * @retval -EIO        the device was taken away
 * @retval -ENOMEM     no memory, or not as many addresses in a row
 *
 * Source: mmap() on the device's file descriptor.
 * @since 0.1
 */
int iommufd_device_region_map_all(struct iommufd_device *dev, uint32_t index, int prot, void **out);

/**
 * @brief Unmap what iommufd_device_region_map() or iommufd_device_region_map_all() gave.
 *
 * @param dev  the device
 * @param addr the address
 *
 * @retval -ENOENT nothing was mapped there
 * @since 0.1
 */
int iommufd_device_region_unmap(struct iommufd_device *dev, void *addr);

/** A part of a region, for iommufd_device_region_dmabuf(). */
struct iommufd_region_part {
	uint64_t offset; /**< from the start of the region, a multiple of the page size */
	size_t len;      /**< bytes, a multiple of the page size */
};

/**
 * @brief Make a dma-buf of parts of a region, for other drivers of the kernel.
 *
 * Who has it can let its device reach the memory of this one, without any address. The kernel takes it back while the
 * device is reset or has its memory switched off, and for good when the device is closed. To map a region for devices
 * of the library, iommufd_ioas_map_region() is simpler and knows when to map anew.
 *
 * @param dev   an attached device
 * @param index the region, a BAR
 * @param parts which parts of it, in this order
 * @param count how many, at most 1024
 * @param flags IOMMUFD_MAP_READ, and perhaps IOMMUFD_MAP_WRITE: what the descriptor may be used for
 * @param fd    the descriptor; it is the caller's, and closed when a program is executed
 *
 * @retval -ENOTCONN   not attached
 * @retval -EINVAL     no parts or too many; no such region; something is not aligned, or 0; an unknown flag
 * @retval -ERANGE     a part goes beyond the region
 * @retval -EOPNOTSUPP the region, or some of it, cannot be mapped; or the kernel has no dma-bufs of devices' memory
 * @retval -ENODEV     the region is no BAR
 * @retval -ENOMEM, -EMFILE  no memory, no file descriptor left
 *
 * Source: VFIO_DEVICE_FEATURE_DMA_BUF (Linux 6.19, CONFIG_VFIO_PCI_DMABUF).
 * @since 0.1
 */
int iommufd_device_region_dmabuf(struct iommufd_device *dev, uint32_t index, const struct iommufd_region_part *parts,
				 size_t count, uint32_t flags, int *fd);

/**
 * @brief Have the kernel write a value to a register whenever an eventfd is signalled: for doorbells that somebody else
 * rings, as KVM does by an eventfd of its own when a guest writes.
 *
 * What is written while the device's memory is disabled is dropped. It survives a reset and ends with
 * iommufd_device_ioeventfd_remove(), with detach and with free. Different values for the same register are different
 * ones, of which each has an eventfd.
 *
 * @param dev     an attached device
 * @param index   the region, for PCI a BAR
 * @param offset  from its start, a multiple of `width`
 * @param width   1, 2, 4 or 8 bytes
 * @param value   what is written, in one access, as iommufd_mmio_write32() and its like write it
 * @param eventfd whose signals it is; it stays the caller's. When it and all copies of it are closed, nothing is
 *                written any more. The kernel takes the signals off it, and a signal that was there before counts
 *
 * @retval -ENOTCONN   not attached
 * @retval -EINVAL     no such region, or it cannot be written; `width`, `offset` or `value` is none of these; `eventfd`
 *                     is another kind of file; or the kernel does not offer it there: not for other regions than BARs,
 *                     not for the MSI-X table, and some kernels not for 8 bytes
 * @retval -ERANGE     `offset + width` goes beyond the region
 * @retval -EBADF      `eventfd` is not open
 * @retval -EEXIST     it is there already, for this value and width
 * @retval -ENOSPC     the kernel allows no more (1000 a device, as of Linux 7.3)
 * @retval -EBUSY      a driver of the kernel has claimed the region
 * @retval -EOPNOTSUPP the device's driver does not offer it
 * @retval -ENOMEM     no memory
 *
 * Source: VFIO_DEVICE_IOEVENTFD (Linux 4.17).
 * @since 0.1
 */
int iommufd_device_ioeventfd_add(struct iommufd_device *dev, uint32_t index, uint64_t offset, uint32_t width,
				 uint64_t value, int eventfd);

/**
 * @brief End what iommufd_device_ioeventfd_add() began.
 *
 * @param dev    an attached device
 * @param index  the region, as it was given there
 * @param offset as it was given there
 * @param width  as it was given there
 * @param value  as it was given there
 *
 * @retval -ENOTCONN not attached
 * @retval -EINVAL   such a thing cannot be added
 * @retval -ERANGE   `offset + width` goes beyond the region
 * @retval -ENOENT   it is not there
 *
 * Source: VFIO_DEVICE_IOEVENTFD (Linux 4.17).
 * @since 0.1
 */
int iommufd_device_ioeventfd_remove(struct iommufd_device *dev, uint32_t index, uint64_t offset, uint32_t width,
				    uint64_t value);

IOMMUFD_END_DECLS

#endif
