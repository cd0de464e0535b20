/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file device.h
 * @brief Devices: opening, attaching, reset. Their regions are in region.h, their interrupts in irq.h.
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
 * @brief Detach a device from its IOAS. Its interrupts are disabled; bus mastering ends.
 *
 * @param dev the device
 *
 * @retval -ENOTCONN it is not attached
 * @retval -EBUSY    something that iommufd_device_region_map() or iommufd_device_region_map_all() gave is still mapped;
 *                   nothing has changed
 *
 * Source: VFIO_DEVICE_DETACH_IOMMUFD_PT (Linux 6.6); VFIO_GROUP_UNSET_CONTAINER.
 * @since 0.1
 */
int iommufd_device_detach(struct iommufd_device *dev);

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
