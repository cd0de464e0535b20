/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The iommufd ioctls that this library makes: layouts and numbers of the kernel's binary interface, in our own words.
 * They are declared here because the headers of many distributions are older than the kernels that the library runs on.
 * The names are the kernel's, so never include <linux/iommufd.h> beside this file.
 *
 * Every argument begins with its own size, the kernel's means to tell old callers from new ones:
 * - a size that is too small is EINVAL when the kernel knows the call, and ENOTTY when it does not: a probe without
 *   side effects is any call with size 4;
 * - a non-zero byte behind what the kernel knows is E2BIG.
 */
#ifndef IFD_UAPI_IOMMUFD_H
#define IFD_UAPI_IOMMUFD_H

#include <stdint.h>
#include <sys/ioctl.h>

#include "types.h"

#define IOMMUFD_TYPE (';')

/* ---- Objects and the context ---- */

/* EBUSY may be short-lived: any other call that is using the object at this moment causes it. */
struct iommu_destroy {
	uint32_t size;
	uint32_t id; /* ids begin at 1, in one number space for all kinds of objects */
};
#define IOMMU_DESTROY _IO(IOMMUFD_TYPE, 0x80)

enum {
	IOMMU_OPTION_RLIMIT_MODE = 0, /* of the context, while it is empty; SET wants CAP_SYS_RESOURCE */
	IOMMU_OPTION_HUGE_PAGES = 1,  /* of an IOAS; clear it before the first map */
};

enum {
	IOMMU_OPTION_OP_SET = 0,
	IOMMU_OPTION_OP_GET = 1,
};

struct iommu_option {
	uint32_t size;
	uint32_t option_id;
	uint16_t op;
	uint16_t __reserved;
	uint32_t object_id; /* 0 for options of the context */
	IFD_ALIGNED_U64 val64;
};
#define IOMMU_OPTION _IO(IOMMUFD_TYPE, 0x87)

/* ---- Address spaces ---- */

struct iommu_ioas_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t out_ioas_id;
};
#define IOMMU_IOAS_ALLOC _IO(IOMMUFD_TYPE, 0x81)

struct iommu_iova_range {
	IFD_ALIGNED_U64 start;
	IFD_ALIGNED_U64 last; /* inclusive, unlike the end that length arithmetic gives */
};

/*
 * EMSGSIZE writes the needed count to num_iovas, and what fits has then been written. The count may change between two
 * calls. Each attach and detach changes the ranges and may raise the alignment.
 */
struct iommu_ioas_iova_ranges {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas;
	uint32_t __reserved;
	IFD_ALIGNED_U64 allowed_iovas; /* address of an array of struct iommu_iova_range */
	IFD_ALIGNED_U64 out_iova_alignment;
};
#define IOMMU_IOAS_IOVA_RANGES _IO(IOMMUFD_TYPE, 0x84)

/* Replaces the whole list, never adds to it. A range of a single address is refused. */
struct iommu_ioas_allow_iovas {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas;
	uint32_t __reserved;
	IFD_ALIGNED_U64 allowed_iovas;
};
#define IOMMU_IOAS_ALLOW_IOVAS _IO(IOMMUFD_TYPE, 0x82)

/* The IOAS that old VFIO calls on an iommufd work on. */
enum {
	IOMMU_VFIO_IOAS_GET = 0,
	IOMMU_VFIO_IOAS_SET = 1,
	IOMMU_VFIO_IOAS_CLEAR = 2,
};

struct iommu_vfio_ioas {
	uint32_t size;
	uint32_t ioas_id; /* in for SET, out for GET */
	uint16_t op;
	uint16_t __reserved;
};
#define IOMMU_VFIO_IOAS _IO(IOMMUFD_TYPE, 0x88)

/* ---- Mappings ---- */

/* At least one of the two permissions must be there. */
enum {
	IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0, /* without it the kernel picks the lowest place that fits, never 0 */
	IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,
	IOMMU_IOAS_MAP_READABLE = 1 << 2,
};

/* Before the first attach this pins nothing and checks no range: the attach is then what fails. */
struct iommu_ioas_map {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	uint32_t __reserved;
	IFD_ALIGNED_U64 user_va;
	IFD_ALIGNED_U64 length;
	IFD_ALIGNED_U64 iova; /* in with FIXED_IOVA, out without */
};
#define IOMMU_IOAS_MAP _IO(IOMMUFD_TYPE, 0x85)

/* Takes any descriptor; that it is a memfd or the like is only checked when the memory is pinned. Linux 6.13. */
struct iommu_ioas_map_file {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	int32_t fd;
	IFD_ALIGNED_U64 start;
	IFD_ALIGNED_U64 length;
	IFD_ALIGNED_U64 iova;
};
#define IOMMU_IOAS_MAP_FILE _IO(IOMMUFD_TYPE, 0x8f)

/* The copy shares the pinned pages, so that they count once against the limit of locked memory. */
struct iommu_ioas_copy {
	uint32_t size;
	uint32_t flags;
	uint32_t dst_ioas_id;
	uint32_t src_ioas_id;
	IFD_ALIGNED_U64 length;
	IFD_ALIGNED_U64 dst_iova;
	IFD_ALIGNED_U64 src_iova;
};
#define IOMMU_IOAS_COPY _IO(IOMMUFD_TYPE, 0x83)

/*
 * On failure length is not written, and the mappings before the one that failed are gone. (0, UINT64_MAX) means
 * everything and succeeds when there is nothing; every other use of UINT64_MAX is EOVERFLOW.
 */
struct iommu_ioas_unmap {
	uint32_t size;
	uint32_t ioas_id;
	IFD_ALIGNED_U64 iova;
	IFD_ALIGNED_U64 length; /* out: the bytes that were unmapped */
};
#define IOMMU_IOAS_UNMAP _IO(IOMMUFD_TYPE, 0x86)

/* Known but configured out is EOPNOTSUPP here, not ENOTTY. */
struct iommu_ioas_noiommu_get_pa {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	uint32_t __reserved;
	IFD_ALIGNED_U64 iova;
	IFD_ALIGNED_U64 length; /* in: the most to look at; out: how much of that is contiguous */
	IFD_ALIGNED_U64 out_phys;
};
#define IOMMU_IOAS_NOIOMMU_GET_PA _IO(IOMMUFD_TYPE, 0x95)

/* ---- Faults ---- */

/* Since Linux 6.11. The descriptor holds the object: it cannot be destroyed before the last copy is closed. */
struct iommu_fault_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t out_fault_id;
	uint32_t out_fault_fd;
};
#define IOMMU_FAULT_QUEUE_ALLOC _IO(IOMMUFD_TYPE, 0x8e)

/* ---- Devices ---- */

enum {
	IOMMU_HW_INFO_TYPE_NONE = 0,
	IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,
	IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2,
	IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV = 3,
	IOMMU_HW_INFO_TYPE_AMD = 4,
};

enum {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1 << 0,
	IOMMU_HW_CAP_PCI_PASID_EXEC = 1 << 1,
	IOMMU_HW_CAP_PCI_PASID_PRIV = 1 << 2,
	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 1 << 3,
};

enum {
	IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 << 0, /* in_data_type names the kind of data that is wanted */
};

/* data_len comes back as what the kernel has, which may be more than the buffer holds. */
struct iommu_hw_info {
	uint32_t size;
	uint32_t flags;
	uint32_t dev_id;
	uint32_t data_len;
	IFD_ALIGNED_U64 data_uptr;
	union {
		uint32_t in_data_type;
		uint32_t out_data_type;
	};
	uint8_t out_max_pasid_log2;
	uint8_t __reserved[3];
	IFD_ALIGNED_U64 out_capabilities;
};
#define IOMMU_GET_HW_INFO _IO(IOMMUFD_TYPE, 0x8a)

#endif
