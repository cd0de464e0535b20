/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file hwpt.h
 * @brief Hardware page tables, for those who want to see them: nesting, dirty tracking, page faults, PASIDs.
 *
 * Who attaches devices to an IOAS needs none of this: the kernel then makes page tables as they are needed. Only
 * iommufd has them (Linux 6.6); the backend VFIO answers -EOPNOTSUPP to everything here.
 *
 * Vendor data goes to the kernel and comes from it as it is. Its layouts are those of `<linux/iommufd.h>`.
 */
#ifndef LIBIOMMUFD_HWPT_H
#define LIBIOMMUFD_HWPT_H

#include <libiommufd/base.h>

IOMMUFD_BEGIN_DECLS

/** What a page table is to be able to do. */
enum {
	IOMMUFD_HWPT_NEST_PARENT = 1u << 0, /**< to be below others that a guest has made */
	IOMMUFD_HWPT_DIRTY = 1u << 1,       /**< to tell which pages a device has written, see dirty.h */
	IOMMUFD_HWPT_PASID = 1u << 2,       /**< to be attached to PASIDs too, or beside such */
};

/** Options of a page table. Set `struct_size`, leave at zero what does not matter. */
struct iommufd_hwpt_opts {
	size_t struct_size;            /**< `sizeof(struct iommufd_hwpt_opts)` */
	uint32_t flags;                /**< IOMMUFD_HWPT bits */
	uint32_t data_type;            /**< IOMMU_HWPT_DATA_* of the kernel; 0 for no data */
	const void *data;              /**< read, and not kept; NULL for none */
	size_t data_len;               /**< bytes */
	struct iommufd_faultq *faultq; /**< where its page faults go (Linux 6.11); may be freed before it; or NULL */
};

/**
 * @brief Make a page table that shows what is mapped in an IOAS.
 *
 * It has the IOAS's mappings from the beginning, and gets and loses them with it. Making one pins them, as an attach
 * does, and may narrow the permitted IOVAs.
 *
 * @param dev  a device whose IOMMU it is for; the device need not be attached
 * @param ioas an IOAS of the same context; it may be freed before the page table
 * @param opts options, or NULL
 * @param out  the page table; give it to iommufd_hwpt_free()
 *
 * @retval -EINVAL     the two are of different contexts; an unknown flag; data that the IOMMU does not take; flags that
 *                     exclude each other
 * @retval -E2BIG      `opts` has a member that this library does not know
 * @retval -ENOENT     the device's object is gone
 * @retval -EOPNOTSUPP the IOMMU, its driver or the backend cannot do what is asked for, or the device is reached by
 *                     its group and so has no number
 * @retval -ENOTTY     the kernel is older than Linux 6.6
 * @retval -EADDRINUSE, -ENOMEM, -EFAULT  as iommufd_device_attach(): what is mapped cannot be shown
 *
 * Source: IOMMU_HWPT_ALLOC (Linux 6.6).
 * @since 0.1
 */
int iommufd_hwpt_new(struct iommufd_device *dev, struct iommufd_ioas *ioas, const struct iommufd_hwpt_opts *opts,
		     struct iommufd_hwpt **out);

/**
 * @brief Make a page table that a guest has filled, above one that translates what the guest takes for physical.
 *
 * @param dev    a device whose IOMMU it is for
 * @param parent made with IOMMUFD_HWPT_NEST_PARENT; it may be freed before this one
 * @param opts   options with the vendor's data; IOMMUFD_HWPT_PASID is the only flag
 * @param out    the page table; give it to iommufd_hwpt_free()
 *
 * @retval -EINVAL     the parent is none, or of another context; the data has not the type or length that it wants
 * @retval -EIO        an Arm SMMUv3 does not take what the data says
 * @retval -EOPNOTSUPP the IOMMU cannot nest, or not on this backend
 * @retval others      as iommufd_hwpt_new()
 *
 * Source: IOMMU_HWPT_ALLOC (Linux 6.8 for nesting).
 * @since 0.1
 */
int iommufd_hwpt_new_nested(struct iommufd_device *dev, struct iommufd_hwpt *parent,
			    const struct iommufd_hwpt_opts *opts, struct iommufd_hwpt **out);

/**
 * @brief Free a page table. It stays inside as long as devices are attached to it or other handles need it.
 *
 * @param hwpt the page table, or NULL
 * @since 0.1
 */
void iommufd_hwpt_free(struct iommufd_hwpt *hwpt);

/**
 * @brief The number of its object in the iommufd, for calls that the library does not make.
 *
 * @param hwpt the page table
 * @return the number, never 0
 * @since 0.1
 */
uint32_t iommufd_hwpt_id(const struct iommufd_hwpt *hwpt);

/**
 * @brief Throw away what the IOMMU has cached of a nested page table.
 *
 * More entries than the kernel takes at once (2^19) are handed over piece by piece.
 *
 * @param hwpt      a nested page table
 * @param data_type IOMMU_HWPT_INVALIDATE_DATA_* of the kernel
 * @param entries   `count` entries of the vendor's layout
 * @param entry_len bytes of one, up to the page size
 * @param count     how many; 0 asks whether the IOMMU knows the type
 * @param done      how many were handled, also when it fails: go on behind them; or NULL
 *
 * @retval -EINVAL     no nested page table; a length, or an entry, that the IOMMU does not take
 * @retval -EIO        an entry that an Arm SMMUv3 does not take
 * @retval -EOPNOTSUPP the IOMMU does not know the type, or a flag in an entry
 * @retval -ENOTTY     the kernel is older than Linux 6.8
 * @retval -EFAULT     the entries cannot be read
 *
 * Source: IOMMU_HWPT_INVALIDATE (Linux 6.8).
 * @since 0.1
 */
int iommufd_hwpt_invalidate(struct iommufd_hwpt *hwpt, uint32_t data_type, const void *entries, size_t entry_len,
			    uint32_t count, uint32_t *done);

/**
 * @brief Attach a device to a page table, in place of an IOAS.
 *
 * Like iommufd_device_attach(), to the IOAS that the page table, or the one below it, shows. iommufd_device_detach()
 * undoes it. All devices of an IOMMU group must be attached to the same page table.
 *
 * @param dev  the device
 * @param hwpt a page table of the same context; it may be freed before the device
 *
 * @retval -EINVAL     the page table is of another context, or not for the device's IOMMU
 * @retval -ENOENT     the page table is above a virtual IOMMU of which the device has no virtual device; or its object
 *                     is gone
 * @retval -EOPNOTSUPP the device is reached by its group; or dirty pages of the IOAS are tracked, and the page table
 *                     was not made with IOMMUFD_HWPT_DIRTY
 * @retval others      as iommufd_device_attach()
 *
 * Source: VFIO_DEVICE_ATTACH_IOMMUFD_PT (Linux 6.6).
 * @since 0.1
 */
int iommufd_device_attach_hwpt(struct iommufd_device *dev, struct iommufd_hwpt *hwpt);

/**
 * @brief Move an attached device to a page table, in one step for the kernel.
 *
 * Like iommufd_device_replace(), which moves it back to an IOAS and has more on DMA that is under way.
 *
 * @param dev  the device
 * @param hwpt a page table of the same context; it may be freed before the device
 *
 * @retval -ENOTCONN   it is not attached
 * @retval -EOPNOTSUPP dirty pages of the IOAS are tracked, and the page table was not made with IOMMUFD_HWPT_DIRTY
 * @retval others      as iommufd_device_replace() and iommufd_device_attach_hwpt()
 *
 * Source: VFIO_DEVICE_ATTACH_IOMMUFD_PT on an attached device (Linux 6.6).
 * @since 0.1
 */
int iommufd_device_replace_hwpt(struct iommufd_device *dev, struct iommufd_hwpt *hwpt);

/**
 * @brief Attach one of a device's PASIDs to an IOAS, or to a page table.
 *
 * Exactly one of `ioas` and `hwpt` is given. The page table, and the one that the device itself is attached to if it
 * is, must have been made with IOMMUFD_HWPT_PASID; so an IOAS, whose page tables the kernel makes without, is good for
 * IOMMUs that do not care only.
 *
 * @param dev   the device, opened by its own node
 * @param pasid 1 to 2^pasid_bits - 1, see iommufd_device_hw_info()
 * @param ioas  an IOAS of the same context, or NULL
 * @param hwpt  a page table of the same context, or NULL
 *
 * @retval -EINVAL     both or none are given, or are of another context; the PASID is 0, or out of range; a page table
 *                     that is not for PASIDs
 * @retval -EBUSY      the PASID is attached
 * @retval -EOPNOTSUPP the device is reached by its group; or it, its driver, its IOMMU or the backend knows no PASIDs;
 *                     or the kernel is older than Linux 6.15; or dirty pages of the IOAS are tracked, and none is
 *                     given that was made with IOMMUFD_HWPT_DIRTY
 * @retval -ENOTTY     the kernel is older than Linux 6.6
 * @retval others      as iommufd_device_attach()
 *
 * Source: VFIO_DEVICE_ATTACH_IOMMUFD_PT with VFIO_DEVICE_ATTACH_PASID (Linux 6.15).
 * @since 0.1
 */
int iommufd_device_pasid_attach(struct iommufd_device *dev, uint32_t pasid, struct iommufd_ioas *ioas,
				struct iommufd_hwpt *hwpt);

/**
 * @brief Move an attached PASID to another IOAS or page table, in one step for the kernel.
 *
 * @param dev   the device
 * @param pasid the PASID
 * @param ioas  an IOAS of the same context, or NULL
 * @param hwpt  a page table of the same context, or NULL
 *
 * @retval -ENOTCONN   the PASID is not attached
 * @retval -EOPNOTSUPP dirty pages are tracked, as for iommufd_device_pasid_attach()
 * @retval others      as iommufd_device_pasid_attach()
 *
 * Source: VFIO_DEVICE_ATTACH_IOMMUFD_PT with VFIO_DEVICE_ATTACH_PASID (Linux 6.15).
 * @since 0.1
 */
int iommufd_device_pasid_replace(struct iommufd_device *dev, uint32_t pasid, struct iommufd_ioas *ioas,
				 struct iommufd_hwpt *hwpt);

/**
 * @brief Detach a PASID. iommufd_device_free() does it too.
 *
 * @param dev   the device
 * @param pasid the PASID
 *
 * @retval -ENOTCONN the PASID is not attached
 *
 * Source: VFIO_DEVICE_DETACH_IOMMUFD_PT with VFIO_DEVICE_DETACH_PASID (Linux 6.15).
 * @since 0.1
 */
int iommufd_device_pasid_detach(struct iommufd_device *dev, uint32_t pasid);

IOMMUFD_END_DECLS

#endif
