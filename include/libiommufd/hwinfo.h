/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file hwinfo.h
 * @brief What a device's IOMMU is and can do, known before any address space exists.
 *
 * Only iommufd tells (Linux 6.6), and only of devices that have a number there: opened by their own node, or taken over
 * by iommufd_device_from_id().
 */
#ifndef LIBIOMMUFD_HWINFO_H
#define LIBIOMMUFD_HWINFO_H

#include <libiommufd/base.h>

IOMMUFD_BEGIN_DECLS

/** Whose IOMMU it is. Kernels may have further ones, of which there is the raw data only. */
enum {
	IOMMUFD_HW_NONE = 0,     /**< the kernel tells nothing of it */
	IOMMUFD_HW_VTD = 1,      /**< Intel VT-d, see iommufd_device_hw_vtd() */
	IOMMUFD_HW_SMMUV3 = 2,   /**< Arm SMMUv3, see iommufd_device_hw_smmuv3() */
	IOMMUFD_HW_TEGRA241 = 3, /**< NVIDIA's command queues beside an SMMUv3 */
	IOMMUFD_HW_AMD = 4,      /**< AMD, see iommufd_device_hw_amd() */
};

/** What the IOMMU can do for the device. */
enum {
	IOMMUFD_HW_CAN_DIRTY = 1u << 0,      /**< tell which pages were written, see dirty.h */
	IOMMUFD_HW_CAN_PASID_EXEC = 1u << 1, /**< the device's PASIDs can ask to execute */
	IOMMUFD_HW_CAN_PASID_PRIV = 1u << 2, /**< the device's PASIDs can ask as privileged */
	IOMMUFD_HW_CAN_NOT_ATS = 1u << 3,    /**< the device may not be let translate by itself */
};

/** What iommufd_device_hw_info() tells. The caller sets `struct_size` and `want_type`. */
struct iommufd_hw_info {
	size_t struct_size;    /**< `sizeof(struct iommufd_hw_info)` */
	uint64_t capabilities; /**< IOMMUFD_HW_CAN bits, as far as the kernel knows them; 0 before Linux 6.7 */
	uint32_t type;         /**< an IOMMUFD_HW constant, or one of the kernel's that is not among them */
	uint32_t pasid_bits;   /**< PASIDs are below 2 to this power; 0 for none, and before Linux 6.15 */
	uint32_t data_len;     /**< bytes of raw data that the kernel has, which may be more than were asked for */
	uint32_t want_type;    /**< in: the type to tell of, where there are several (Linux 6.17); 0 for the usual */
};

/**
 * @brief What a device's IOMMU is. The device need not be attached.
 *
 * @param dev  the device
 * @param info filled; `info->struct_size` is read first, and `info->want_type`, an IOMMUFD_HW constant or 0
 * @param data room for the raw data, in the kernel's layout for `info->type`; zeroed where there is less; NULL for none
 * @param len  bytes that fit
 *
 * @retval -EINVAL     `struct_size` is smaller than in the first release; or `len` is more than 2^32 - 1
 * @retval -EOPNOTSUPP the device is reached by its group, or has no IOMMU, or none that tells of the wanted type, or
 *                     Linux is older than 6.17 and a type is wanted; or the backend is VFIO
 * @retval -ENOTTY     the kernel is older than Linux 6.6
 * @retval -ENOENT     the device's object is gone
 *
 * Source: IOMMU_GET_HW_INFO (Linux 6.6).
 * @since 0.1
 */
int iommufd_device_hw_info(const struct iommufd_device *dev, struct iommufd_hw_info *info, void *data, size_t len);

/** Registers of an Intel VT-d unit, as in its specification. The caller sets `struct_size`. */
struct iommufd_hw_vtd {
	size_t struct_size; /**< `sizeof(struct iommufd_hw_vtd)` */
	uint64_t cap;       /**< Capability Register */
	uint64_t ecap;      /**< Extended Capability Register */
	uint32_t flags;     /**< IOMMU_HW_INFO_VTD_* of the kernel: errata */
	uint32_t reserved;  /**< 0 */
};

/** Registers of an Arm SMMUv3, as in its specification. The caller sets `struct_size`. */
struct iommufd_hw_smmuv3 {
	size_t struct_size; /**< `sizeof(struct iommufd_hw_smmuv3)` */
	uint32_t idr[6];    /**< SMMU_IDR0 to SMMU_IDR5 */
	uint32_t iidr;      /**< SMMU_IIDR */
	uint32_t aidr;      /**< SMMU_AIDR */
	uint32_t flags;     /**< IOMMU_HW_INFO_ARM_SMMUV3_* of the kernel: errata */
	uint32_t reserved;  /**< 0 */
};

/** Registers of an AMD IOMMU, as in its specification. The caller sets `struct_size`. */
struct iommufd_hw_amd {
	size_t struct_size; /**< `sizeof(struct iommufd_hw_amd)` */
	uint64_t efr;       /**< Extended Feature Register */
	uint64_t efr2;      /**< Extended Feature 2 Register */
};

/**
 * @brief The registers of an Intel IOMMU.
 *
 * @param dev the device
 * @param out filled; `out->struct_size` is read first
 *
 * @retval -EOPNOTSUPP its IOMMU is another, which the words name
 * @retval -EPROTO     the kernel gave less than the registers
 * @retval others      as iommufd_device_hw_info()
 *
 * Source: IOMMU_GET_HW_INFO (Linux 6.6).
 * @since 0.1
 */
int iommufd_device_hw_vtd(const struct iommufd_device *dev, struct iommufd_hw_vtd *out);

/**
 * @brief The registers of an Arm SMMUv3.
 *
 * @param dev the device
 * @param out filled; `out->struct_size` is read first
 *
 * @retval -EOPNOTSUPP its IOMMU is another, which the words name
 * @retval -EPROTO     the kernel gave less than the registers
 * @retval others      as iommufd_device_hw_info()
 *
 * Source: IOMMU_GET_HW_INFO (Linux 6.12 for this one).
 * @since 0.1
 */
int iommufd_device_hw_smmuv3(const struct iommufd_device *dev, struct iommufd_hw_smmuv3 *out);

/**
 * @brief The registers of an AMD IOMMU.
 *
 * @param dev the device
 * @param out filled; `out->struct_size` is read first
 *
 * @retval -EOPNOTSUPP its IOMMU is another, which the words name
 * @retval -EPROTO     the kernel gave less than the registers
 * @retval others      as iommufd_device_hw_info()
 *
 * Source: IOMMU_GET_HW_INFO.
 * @since 0.1
 */
int iommufd_device_hw_amd(const struct iommufd_device *dev, struct iommufd_hw_amd *out);

IOMMUFD_END_DECLS

#endif
