/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file device.h
 * @brief Devices: opening, attaching, regions, interrupts, reset.
 *
 * On the VFIO backend the kernel gives access to a device only while it is attached to an IOAS. The library promises
 * the same on both: registers, interrupts and reset answer `-ENOTCONN` before the attach.
 */
#ifndef LIBIOMMUFD_DEVICE_H
#define LIBIOMMUFD_DEVICE_H

#include <libiommufd/base.h>

IOMMUFD_BEGIN_DECLS

/** What iommufd_device_get_info() tells. The caller sets `struct_size`. Strings live as long as the device. */
struct iommufd_device_info {
	size_t struct_size;   /**< `sizeof(struct iommufd_device_info)` */
	const char *name;     /**< PCI address or mdev UUID */
	const char *path;     /**< its directory in sysfs */
	const char *driver;   /**< the VFIO driver that it is bound to */
	int32_t group;        /**< its IOMMU group, or -1 */
	uint32_t flags;       /**< IOMMUFD_DEVICE bits */
	uint32_t num_regions; /**< regions have an index below this; 0 while not attached */
	uint32_t num_irqs;    /**< interrupt types have an index below this; 0 while not attached */
};

/** Flags of iommufd_device_get_info(). */
enum {
	IOMMUFD_DEVICE_ATTACHED = 1u << 0, /**< attached to an IOAS */
	IOMMUFD_DEVICE_PCI = 1u << 1,      /**< a PCI device; known while attached */
	IOMMUFD_DEVICE_RESET = 1u << 2,    /**< iommufd_device_reset() works; known while attached */
	IOMMUFD_DEVICE_PLATFORM = 1u << 3, /**< a platform device, see platform.h; known while attached, as the rest */
	IOMMUFD_DEVICE_AMBA = 1u << 4,     /**< one of Arm's primecells, otherwise a platform device */
	IOMMUFD_DEVICE_CCW = 1u << 5,      /**< a channel device, see ccw.h */
	IOMMUFD_DEVICE_AP = 1u << 6,       /**< a matrix of adjunct processors, see ap.h */
	IOMMUFD_DEVICE_FSL_MC = 1u << 7,   /**< an object of a DPAA2 management complex */
	IOMMUFD_DEVICE_CDX = 1u << 8,      /**< a device on a CDX bus */
};

/**
 * @brief Open a device that is bound to a VFIO driver.
 *
 * A node that the driver's binding has not brought yet, or that udev has not given its permissions yet, is waited for,
 * up to a second, and so is, before that, a VFIO driver that is still at work on the device. Opening resets the device,
 * if it can be reset, and clears its bus mastering; the kernel does this at the moment when it hands out the device:
 * here on iommufd, at the attach on VFIO.
 *
 * @param ctx     the context; it may be freed before the device
 * @param address a PCI address (`0000:00:03.0`, or `00:03.0` in domain 0), its directory under `/sys`, an mdev UUID, or
 *                a node under `/dev/vfio/devices`
 * @param out     the new device; give it to iommufd_device_free()
 *
 * @retval -EINVAL `address` is none of these; or (iommufd) the device's node was opened by somebody else, or the IOMMU
 *                 does not keep the CPU's caches coherent
 * @retval -ENOENT there is no such device
 * @retval -ENODEV the device is not bound to a VFIO driver, or is behind no IOMMU; the words say what to do
 * @retval -EACCES the device's or the group's node may not be opened
 * @retval -EPERM  another device of its IOMMU group is in the hands of a driver of the kernel or of somebody else, or
 *                 interrupts are not isolated
 * @retval -EBUSY  the device or its group is opened by somebody else, or the device in this context already
 * @retval -EOPNOTSUPP the device is bound to VFIO without an IOMMU (noiommu): its DMA would reach all memory
 * @retval -ENOMEM, -EMFILE  no memory, no file descriptor left
 *
 * Source: VFIO_DEVICE_BIND_IOMMUFD (Linux 6.6); VFIO_GROUP_GET_STATUS.
 * @since 0.1
 */
int iommufd_device_new(struct iommufd_ctx *ctx, const char *address, struct iommufd_device **out);

/** How a device is to be opened. Set `struct_size`, and leave at zero what shall be as usual. */
struct iommufd_device_opts {
	size_t struct_size; /**< sizeof the structure, set by the caller */
	/**
	 * A token, 16 bytes of a UUID in the order in which it is written, or NULL. A virtual function whose physical
	 * function is bound to vfio-pci is opened with that one's token only, and so is such a physical function while
	 * one of its virtual functions is in use.
	 */
	const unsigned char *vf_token;
	/** The virtual machine that gets the device, see kvm.h, or NULL. */
	struct iommufd_kvm *kvm;
};

/**
 * @brief Open a device as iommufd_device_new() does, with options.
 *
 * @param ctx     the context; it may be freed before the device
 * @param address as for iommufd_device_new()
 * @param opts    options, or NULL; what it points to is copied or held
 * @param out     the new device; give it to iommufd_device_free()
 *
 * @retval -EINVAL `struct_size` of `opts` is not set; or there is a token that nobody asks for, so of a physical
 *                 function whose virtual ones are not in use; or as for iommufd_device_new()
 * @retval -E2BIG  `opts` has a member that this library does not know
 * @retval -EACCES the device needs a token, or another one; or as for iommufd_device_new()
 * @retval -ENOTTY there is a token, and this kernel takes none at a device's own node, where it asks for none either
 * @retval -EBUSY  there is a token for a physical function, and its group is in a container already, so that it cannot
 *                 be told whether it is asked for; its group is another virtual machine's; or as for
 *                 iommufd_device_new()
 * @retval -EEXIST somebody has told KVM of the node that `kvm` has this device from
 * @retval -EIO    the virtual machine is dead
 * @retval -EPERM  `kvm` was made before fork(); or as for iommufd_device_new()
 * @retval others  as iommufd_device_new()
 *
 * iommufd_device_new() gives `-EACCES` for a device that needs a token. The kernel takes what is given at the open of a
 * physical function for its new token while no virtual function is in use; the library finds out before the open, and
 * sets none that way: see iommufd_pci_set_vf_token(). On VFIO, and on iommufd where a device is reached by its group,
 * the kernel looks at the token at each attach, and here too unless the group is in a container already. On VFIO KVM is
 * told at the attach, which then fails with -EEXIST or -EIO.
 *
 * Source: VFIO_DEVICE_BIND_FLAG_TOKEN (Linux 6.17); VFIO_GROUP_GET_DEVICE_FD, whose string takes a token (Linux 5.7).
 * @since 0.1
 */
int iommufd_device_new_opts(struct iommufd_ctx *ctx, const char *address, const struct iommufd_device_opts *opts,
			    struct iommufd_device **out);

/**
 * @brief Adopt an open file descriptor of a device's node under `/dev/vfio/devices`.
 *
 * The descriptor is bound here, or it is bound already to the very iommufd that the context has adopted. The kernel
 * does not tell to which one, so this is tried: by an attach to an object of the context's iommufd that no device can
 * be attached to, which leaves a device that is bound there as it is. One that is bound to another iommufd may happen
 * to be attached to something of that one for a moment, and is then detached. It cannot be told of mediated devices,
 * and before Linux 6.11: there it is up to the caller. The device must not be attached. The descriptor is duplicated
 * and stays the caller's.
 *
 * @param ctx a context of the iommufd backend
 * @param fd  the descriptor
 * @param out the new device; give it to iommufd_device_free()
 *
 * @retval -EBADF      `fd` is not open
 * @retval -EINVAL     `fd` is no device's node; or it is bound, and the context's iommufd was not adopted or is
 *                     another one
 * @retval -EOPNOTSUPP the context's backend has no such nodes
 * @retval others      as iommufd_device_new()
 *
 * Source: VFIO_DEVICE_BIND_IOMMUFD (Linux 6.6); when it is bound already VFIO_DEVICE_ATTACH_IOMMUFD_PT and
 * IOMMU_FAULT_QUEUE_ALLOC (Linux 6.11).
 * @since 0.1
 */
int iommufd_device_from_fd(struct iommufd_ctx *ctx, int fd, struct iommufd_device **out);

/**
 * @brief Adopt a file descriptor as iommufd_device_from_fd() does, with options.
 *
 * @param ctx  a context of the iommufd backend
 * @param fd   the descriptor
 * @param opts options, or NULL; of a device that is bound already the token is not looked at
 * @param out  the new device; give it to iommufd_device_free()
 *
 * @retval -EBUSY  the device is bound already, and `kvm` is to be told before; or as for iommufd_device_new_opts()
 * @retval -E2BIG, -EACCES, -EEXIST, -EIO, -EPERM  as for iommufd_device_new_opts()
 * @retval others  as iommufd_device_from_fd()
 * @since 0.1
 */
int iommufd_device_from_fd_opts(struct iommufd_ctx *ctx, int fd, const struct iommufd_device_opts *opts,
				struct iommufd_device **out);

/**
 * @brief Detach and close a device. Its interrupts are disabled and what iommufd_device_region_map() gave is unmapped.
 *
 * @param dev the device, or NULL
 * @since 0.1
 */
void iommufd_device_free(struct iommufd_device *dev);

/**
 * @brief What is known about a device.
 *
 * @param dev  the device
 * @param info filled; `info->struct_size` is read first
 *
 * @retval -EINVAL `struct_size` is smaller than in the first release, or no size of a structure
 *
 * Source: VFIO_DEVICE_GET_INFO, sysfs.
 * @since 0.1
 */
int iommufd_device_get_info(const struct iommufd_device *dev, struct iommufd_device_info *info);

/**
 * @brief The VFIO device's file descriptor.
 *
 * Close copies and unmap what was mapped from it by hand before the device is detached. On VFIO the kernel otherwise
 * keeps the device's group, with its reach, where it was: the group can then be attached to that IOAS only.
 *
 * @param dev the device
 * @return the descriptor, which stays the library's; or -ENOTCONN while the device is not attached
 * @since 0.1
 */
int iommufd_device_fd(const struct iommufd_device *dev);

/**
 * @brief Attach a device to an IOAS: from now on it can reach what is mapped there.
 *
 * All devices of an IOMMU group must be attached to the same IOAS. While a device is open, unbinding its driver waits:
 * a program that wants to be asked first enables IOMMUFD_PCI_REQ.
 *
 * @param dev  the device
 * @param ioas an IOAS of the same context; it may be freed before the device
 *
 * @retval -EINVAL the IOAS belongs to another context; or its IOMMU cannot serve the device beside the others that are
 *                 attached; or one of them has an IOMMU and the other has none
 * @retval -EBUSY  the device, or another one of its group, is attached elsewhere; or (VFIO) the group cannot leave
 *                 where it was, see iommufd_device_fd(); or the group was adopted and is in another container, see
 *                 iommufd_ctx_add_group()
 * @retval -EADDRINUSE a mapping lies where this device permits none; the words name it where it can be found out
 * @retval -ENOMEM the limit of locked memory, or no memory; the words name the mapping, where it can be found out
 * @retval -EFAULT memory of a mapping is not there any more; so do the words here
 * @retval -ENOSPC (VFIO) there are more mappings than a container takes
 * @retval -EPERM  the group is in use by somebody else, or interrupts are not isolated
 * @retval -EOPNOTSUPP (VFIO) the group's IOMMU serves neither type1v2 nor type1; or dirty pages of the IOAS are
 *                     tracked, and what it writes would not be seen, see iommufd_ioas_dirty_start()
 *
 * On failure the device is not attached and the IOAS is as it was.
 *
 * Source: VFIO_DEVICE_ATTACH_IOMMUFD_PT (Linux 6.6); VFIO_GROUP_SET_CONTAINER, VFIO_SET_IOMMU,
 * VFIO_GROUP_GET_DEVICE_FD.
 * @since 0.1
 */
int iommufd_device_attach(struct iommufd_device *dev, struct iommufd_ioas *ioas);

/**
 * @brief Move an attached device to another IOAS, in one step for the kernel.
 *
 * Whether DMA that is under way goes on is up to the IOMMU's driver: virtio's attaches in one request, while Intel's
 * (as of Linux 7.3) lets nothing through for a moment, so that a device at work must be able to try again. Its
 * registers, interrupts and mapped regions stay as they are, and other threads may use them meanwhile. Moving it to the
 * IOAS that it is attached to does nothing.
 *
 * @param dev  the device
 * @param ioas an IOAS of the same context; it may be freed before the device
 *
 * @retval -ENOTCONN   it is not attached
 * @retval -EINVAL     the IOAS belongs to another context; or see iommufd_device_attach()
 * @retval -EBUSY      another device of its group is attached too
 * @retval -EOPNOTSUPP VFIO's containers, and groups on an iommufd, cannot do it: detach and attach anew; or dirty pages
 *                     of the IOAS are tracked, as for iommufd_device_attach()
 * @retval others      as iommufd_device_attach()
 *
 * On failure the device is attached where it was.
 *
 * Source: VFIO_DEVICE_ATTACH_IOMMUFD_PT on an attached device (Linux 6.6).
 * @since 0.1
 */
int iommufd_device_replace(struct iommufd_device *dev, struct iommufd_ioas *ioas);

/**
 * @brief Detach a device from its IOAS. Its interrupts are disabled; what iommufd_device_region_map() gave is unmapped;
 * bus mastering ends.
 *
 * @param dev the device
 *
 * @retval -ENOTCONN it is not attached
 *
 * Source: VFIO_DEVICE_DETACH_IOMMUFD_PT (Linux 6.6); VFIO_GROUP_UNSET_CONTAINER.
 * @since 0.1
 */
int iommufd_device_detach(struct iommufd_device *dev);

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
 * @param dev    an attached device
 * @param index  the region
 * @param offset from its start, in bytes
 * @param buf    where the bytes go, in the device's byte order
 * @param len    bytes; 1, 2, 4 or 8 at an aligned offset are one access
 *
 * @retval -ENOTCONN not attached
 * @retval -EINVAL   no such region, or it cannot be read
 * @retval -ERANGE   `offset + len` goes beyond the region
 * @retval -EIO      the device's memory is disabled or the device is gone
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
 * @param dev    an attached device
 * @param index  the region
 * @param offset from its start, in bytes
 * @param buf    the bytes, in the device's byte order
 * @param len    bytes; 1, 2, 4 or 8 at an aligned offset are one access
 *
 * @retval -ENOTCONN not attached
 * @retval -EINVAL   no such region, or it cannot be written
 * @retval -ERANGE   `offset + len` goes beyond the region
 * @retval -EIO      the device's memory is disabled or the device is gone
 * @retval -EBUSY    a driver of the kernel has claimed the region
 *
 * Source: pwrite() on the device's file descriptor.
 * @since 0.1
 */
int iommufd_device_region_write(struct iommufd_device *dev, uint32_t index, uint64_t offset, const void *buf,
				size_t len);

/**
 * @brief Map a part of a region into this process.
 *
 * The window belongs to the device: iommufd_device_detach() and iommufd_device_free() unmap what is left, so nothing
 * may use the address after these. From 2 MiB on the address is chosen so that huge pages of the CPU fit, which Linux
 * 6.12 and later then use.
 *
 * An access while the device's memory is disabled (bit 1 of PCI's command register), while it is reset, or after it is
 * gone ends in SIGBUS, where iommufd_device_region_read() has an errno.
 *
 * @param dev    an attached device
 * @param index  the region
 * @param offset from its start, a multiple of the page size
 * @param len    bytes, a multiple of the page size
 * @param prot   PROT_READ, PROT_WRITE or both, of `<sys/mman.h>`
 * @param out    the address; give it to iommufd_device_region_unmap(), or let detach or free do it
 *
 * @retval -ENOTCONN   not attached
 * @retval -EINVAL     no such region; `len` is 0; something is not aligned; `prot` is something else
 * @retval -ERANGE     `offset + len` goes beyond the page with the region's last byte
 * @retval -EOPNOTSUPP the region, or this part of it (see iommufd_device_region_areas()), cannot be mapped: use
 *                     iommufd_device_region_read() and iommufd_device_region_write()
 * @retval -EBUSY      a driver of the kernel has claimed the region
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
 * @param out   the address; give it to iommufd_device_region_unmap(), or let detach or free do it. As many bytes from
 *              there on as the region has, and the rest of its last page, are the window's
 *
 * @retval -ENOTCONN   not attached
 * @retval -EINVAL     no such region, or `prot` is something else
 * @retval -ERANGE     the device has no such region
 * @retval -EOPNOTSUPP no part of it can be mapped: use iommufd_device_region_read() and iommufd_device_region_write()
 * @retval -EBUSY      a driver of the kernel has claimed the region
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

/** What an interrupt type can do. */
enum {
	IOMMUFD_IRQ_EVENTFD = 1u << 0,    /**< signals eventfds */
	IOMMUFD_IRQ_MASKABLE = 1u << 1,   /**< iommufd_device_irq_mask() and iommufd_device_irq_unmask() */
	IOMMUFD_IRQ_AUTOMASKED = 1u << 2, /**< is masked when it fires: unmask it after handling (INTx) */
	IOMMUFD_IRQ_NORESIZE =
		1u << 3, /**< to add vectors takes a moment without any, see iommufd_device_irq_enable() */
};

/** An interrupt type of a device. The caller sets `struct_size`. */
struct iommufd_irq_info {
	size_t struct_size; /**< `sizeof(struct iommufd_irq_info)` */
	uint32_t count;     /**< vectors; 0 when the device does not have the type */
	uint32_t flags;     /**< IOMMUFD_IRQ bits */
	uint32_t index;     /**< as asked for */
	uint32_t enabled;   /**< vectors that were enabled through this handle */
};

/**
 * @brief What an interrupt type is.
 *
 * @param dev   an attached device
 * @param index the type, for PCI one of IOMMUFD_PCI_INTX to IOMMUFD_PCI_REQ
 * @param info  filled; `info->struct_size` is read first
 *
 * @retval -ENOTCONN not attached
 * @retval -EINVAL   `index` is out of range, or `struct_size` is smaller than in the first release
 *
 * Source: VFIO_DEVICE_GET_IRQ_INFO.
 * @since 0.1
 */
int iommufd_device_irq_info(struct iommufd_device *dev, uint32_t index, struct iommufd_irq_info *info);

/**
 * @brief Let interrupts signal eventfds.
 *
 * Only one of INTx, MSI and MSI-X can be enabled at a time. Calling it again for vectors that are enabled changes
 * their eventfds. What the device sends by these at that very moment may be lost, with MSI-X too: where that matters,
 * call iommufd_device_irq_trigger() afterwards, so that whoever waits looks at the device. Calling it for other vectors
 * adds these.
 *
 * Where the kernel cannot add vectors (IOMMUFD_IRQ_NORESIZE: MSI; MSI-X before Linux 6.5, or where the machine cannot),
 * the library disables the type and enables it anew with all of them. What the device sends in between goes nowhere, so
 * afterwards each vector that was enabled before is signalled once: who waits for it looks at the device, and nothing
 * is lost. Such a signal need not mean that there was an interrupt. To do without, enable all vectors at once, with -1
 * for those that have no eventfd yet.
 *
 * When the kernel refuses, all is as it was. Should it refuse to take that back as well, the words say so: then
 * vectors that were enabled signal nothing any more.
 *
 * What is enabled survives iommufd_device_reset().
 *
 * @param dev      an attached device
 * @param index    the type
 * @param start    the first vector
 * @param count    how many vectors, at least 1
 * @param eventfds an eventfd for each, or -1 for a vector that shall signal nothing; they stay the caller's and may be
 *                 closed when enabled, since the library keeps a copy of each, a file descriptor a vector
 *
 * @retval -ENOTCONN   not attached
 * @retval -EINVAL     no such type or vector; `count` is 0; no eventfds, or one that is another kind of file
 * @retval -EBADF      one of the eventfds is not open
 * @retval -EBUSY      another one of INTx, MSI and MSI-X is enabled
 * @retval -ENOSPC     the machine has fewer vectors left
 * @retval -EMFILE     no file descriptor left
 * @retval -ENOMEM     no memory
 *
 * Source: VFIO_DEVICE_SET_IRQS.
 * @since 0.1
 */
int iommufd_device_irq_enable(struct iommufd_device *dev, uint32_t index, uint32_t start, uint32_t count,
			      const int *eventfds);

/**
 * @brief Disable an interrupt type, all its vectors.
 *
 * @param dev   an attached device
 * @param index the type
 *
 * @retval -ENOTCONN not attached
 * @retval -EINVAL   no such type
 *
 * Source: VFIO_DEVICE_SET_IRQS.
 * @since 0.1
 */
int iommufd_device_irq_disable(struct iommufd_device *dev, uint32_t index);

/**
 * @brief Hold interrupts back.
 *
 * @param dev   an attached device
 * @param index a type with IOMMUFD_IRQ_MASKABLE
 * @param start the first vector
 * @param count how many
 *
 * @retval -ENOTCONN   not attached
 * @retval -EINVAL     no such type or vector, or it is not enabled
 * @retval -EOPNOTSUPP the type cannot be masked
 *
 * Source: VFIO_DEVICE_SET_IRQS.
 * @since 0.1
 */
int iommufd_device_irq_mask(struct iommufd_device *dev, uint32_t index, uint32_t start, uint32_t count);

/**
 * @brief Let interrupts through again: after iommufd_device_irq_mask(), or after an automasked one has been handled.
 *
 * @param dev   an attached device
 * @param index a type with IOMMUFD_IRQ_MASKABLE
 * @param start the first vector
 * @param count how many
 *
 * @retval -ENOTCONN   not attached
 * @retval -EINVAL     no such type or vector, or it is not enabled
 * @retval -EOPNOTSUPP the type cannot be masked
 *
 * Source: VFIO_DEVICE_SET_IRQS.
 * @since 0.1
 */
int iommufd_device_irq_unmask(struct iommufd_device *dev, uint32_t index, uint32_t start, uint32_t count);

/**
 * @brief Have a vector unmasked when an eventfd is signalled, without a call: for interrupts that are masked when they
 * fire, whose handling ends somewhere else. KVM signals such an eventfd, its resamplefd, when the guest is done.
 *
 * When the device still interrupts at that moment, the vector's eventfd is signalled again. A signal that was there
 * before the call counts. It ends when the type is disabled.
 *
 * @param dev     an attached device
 * @param index   a type with IOMMUFD_IRQ_MASKABLE
 * @param vector  the vector, enabled
 * @param eventfd in place of the one that was given before, or -1 for none any more; the kernel takes the signals off
 *                it. It stays the caller's and may be closed, since the library keeps a copy
 *
 * @retval -ENOTCONN   not attached
 * @retval -EINVAL     no such type or vector, it is not enabled, or `eventfd` is another kind of file
 * @retval -EBADF      `eventfd` is not open
 * @retval -EOPNOTSUPP the type cannot be masked
 * @retval -EMFILE     no file descriptor left
 * @retval -ENOMEM     no memory
 *
 * On failure it is as it was.
 *
 * Source: VFIO_DEVICE_SET_IRQS.
 * @since 0.1
 */
int iommufd_device_irq_set_resample(struct iommufd_device *dev, uint32_t index, uint32_t vector, int eventfd);

/**
 * @brief Signal the eventfds as if the device had interrupted: for trying out the receiving side.
 *
 * @param dev   an attached device
 * @param index the type, enabled
 * @param start the first vector
 * @param count how many
 *
 * @retval -ENOTCONN not attached
 * @retval -EINVAL   no such type or vector, or it is not enabled
 *
 * Source: VFIO_DEVICE_SET_IRQS.
 * @since 0.1
 */
int iommufd_device_irq_trigger(struct iommufd_device *dev, uint32_t index, uint32_t start, uint32_t count);

/**
 * @brief Reset a device. Tries again for up to a second while the kernel says that the device is busy.
 *
 * Afterwards as before: configuration space, and in it bus mastering; interrupts, with their eventfds; mappings of its
 * regions into this process; and mappings of its memory for other devices. Lost: everything that the device itself has
 * in its registers and behind them, so whoever drives it starts it anew as after iommufd_device_attach(), beginning
 * with what lies in its regions. An interrupt that was under way may have been signalled or not.
 *
 * The device must be at rest. While it is reset its memory is not there: an access to a mapped region waits, and what
 * other devices do there is refused by the IOMMU.
 *
 * @param dev an attached device
 *
 * @retval -ENOTCONN   not attached
 * @retval -EOPNOTSUPP the device has no way to be reset by itself; see iommufd_pci_hot_reset()
 * @retval -EAGAIN     still busy after a second
 * @retval others      it was reset, but not all is as it was; the words say what
 *
 * Source: VFIO_DEVICE_RESET.
 * @since 0.1
 */
int iommufd_device_reset(struct iommufd_device *dev);

IOMMUFD_END_DECLS

#endif
