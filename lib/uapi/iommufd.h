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

/* Every IOAS of the context becomes the caller's; each mapping must be of a file, and none on its way. Linux 6.14. */
struct iommu_ioas_change_process {
	uint32_t size;
	uint32_t __reserved;
};
#define IOMMU_IOAS_CHANGE_PROCESS _IO(IOMMUFD_TYPE, 0x92)

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

/* What data_uptr leads to, by the type that comes back. */
struct iommu_hw_info_vtd {
	uint32_t flags;
	uint32_t __reserved;
	IFD_ALIGNED_U64 cap_reg;
	IFD_ALIGNED_U64 ecap_reg;
};

struct iommu_hw_info_arm_smmuv3 {
	uint32_t flags;
	uint32_t __reserved;
	uint32_t idr[6];
	uint32_t iidr;
	uint32_t aidr;
};

struct iommu_hw_info_amd {
	IFD_ALIGNED_U64 efr;
	IFD_ALIGNED_U64 efr2;
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

/* ---- Page tables ---- */

enum {
	IOMMU_HWPT_ALLOC_NEST_PARENT = 1 << 0,
	IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 1 << 1,
	IOMMU_HWPT_FAULT_ID_VALID = 1 << 2,
	IOMMU_HWPT_ALLOC_PASID = 1 << 3,
};

enum {
	IOMMU_HWPT_DATA_NONE = 0,
	IOMMU_HWPT_DATA_VTD_S1 = 1,
	IOMMU_HWPT_DATA_ARM_SMMUV3 = 2,
	IOMMU_HWPT_DATA_AMD_GUEST = 3,
};

/* pt_id: an IOAS makes one that shows it, a nest parent or a vIOMMU one below that. Since Linux 6.6. */
struct iommu_hwpt_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t dev_id;
	uint32_t pt_id;
	uint32_t out_hwpt_id;
	uint32_t __reserved;
	uint32_t data_type;
	uint32_t data_len;
	IFD_ALIGNED_U64 data_uptr;
	uint32_t fault_id;
	uint32_t __reserved2;
};
#define IOMMU_HWPT_ALLOC _IO(IOMMUFD_TYPE, 0x89)

/* What data_uptr leads to, by data type. */
struct iommu_hwpt_vtd_s1 {
	IFD_ALIGNED_U64 flags;
	IFD_ALIGNED_U64 pgtbl_addr;
	uint32_t addr_width;
	uint32_t __reserved;
};

struct iommu_hwpt_arm_smmuv3 {
	IFD_ALIGNED_U64 ste[2];
};

struct iommu_hwpt_amd_guest {
	IFD_ALIGNED_U64 dte[4];
};

/* The entries that were done are counted in entry_num, also on failure. Since Linux 6.8. */
struct iommu_hwpt_invalidate {
	uint32_t size;
	uint32_t hwpt_id; /* or a vIOMMU */
	IFD_ALIGNED_U64 data_uptr;
	uint32_t data_type;
	uint32_t entry_len;
	uint32_t entry_num;
	uint32_t __reserved;
};
#define IOMMU_HWPT_INVALIDATE _IO(IOMMUFD_TYPE, 0x8d)

/* ---- Dirty tracking, Linux 6.7 ---- */

enum {
	IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1,
};

/* Enabling also forgets what was dirty before. */
struct iommu_hwpt_set_dirty_tracking {
	uint32_t size;
	uint32_t flags;
	uint32_t hwpt_id;
	uint32_t __reserved;
};
#define IOMMU_HWPT_SET_DIRTY_TRACKING _IO(IOMMUFD_TYPE, 0x8b)

enum {
	IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1,
};

/* Ends at the first hole between mappings, without a word. Sets bits and clears none. */
struct iommu_hwpt_get_dirty_bitmap {
	uint32_t size;
	uint32_t hwpt_id;
	uint32_t flags;
	uint32_t __reserved;
	IFD_ALIGNED_U64 iova;
	IFD_ALIGNED_U64 length;
	IFD_ALIGNED_U64 page_size;
	IFD_ALIGNED_U64 data; /* address of the bitmap */
};
#define IOMMU_HWPT_GET_DIRTY_BITMAP _IO(IOMMUFD_TYPE, 0x8c)

/* ---- Page faults, Linux 6.11 ---- */

enum {
	IOMMU_PGFAULT_FLAGS_PASID_VALID = 1 << 0,
	IOMMU_PGFAULT_FLAGS_LAST_PAGE = 1 << 1,
};

enum {
	IOMMU_PGFAULT_PERM_READ = 1 << 0,
	IOMMU_PGFAULT_PERM_WRITE = 1 << 1,
	IOMMU_PGFAULT_PERM_EXEC = 1 << 2,
	IOMMU_PGFAULT_PERM_PRIV = 1 << 3,
};

/* Read from the queue's descriptor, always whole groups; 0 bytes when there is nothing. */
struct iommu_hwpt_pgfault {
	uint32_t flags;
	uint32_t dev_id;
	uint32_t pasid;
	uint32_t grpid;
	uint32_t perm;
	uint32_t __reserved;
	IFD_ALIGNED_U64 addr;
	uint32_t length;
	uint32_t cookie; /* one a group */
};

enum {
	IOMMUFD_PAGE_RESP_SUCCESS = 0,
	IOMMUFD_PAGE_RESP_INVALID = 1,
};

/* Written to the queue's descriptor. */
struct iommu_hwpt_page_response {
	uint32_t cookie;
	uint32_t code;
};

/* ---- Virtual IOMMUs: Linux 6.13, events 6.15, hardware queues 6.17 ---- */

enum {
	IOMMU_VIOMMU_TYPE_DEFAULT = 0,
	IOMMU_VIOMMU_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV = 2,
};

/* The data goes in and comes back. */
struct iommu_viommu_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t type;
	uint32_t dev_id;
	uint32_t hwpt_id; /* a nest parent */
	uint32_t out_viommu_id;
	uint32_t data_len;
	uint32_t __reserved;
	IFD_ALIGNED_U64 data_uptr;
};
#define IOMMU_VIOMMU_ALLOC _IO(IOMMUFD_TYPE, 0x90)

struct iommu_vdevice_alloc {
	uint32_t size;
	uint32_t viommu_id;
	uint32_t dev_id;
	uint32_t out_vdevice_id;
	IFD_ALIGNED_U64 virt_id; /* as the guest knows the device: a stream ID, a requester ID */
};
#define IOMMU_VDEVICE_ALLOC _IO(IOMMUFD_TYPE, 0x91)

enum {
	IOMMU_VEVENTQ_FLAG_LOST_EVENTS = 1u << 0,
};

/* Before each event; one with the flag has no event, and tells that some did not fit. */
struct iommufd_vevent_header {
	uint32_t flags;
	uint32_t sequence;
};

struct iommu_veventq_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t viommu_id;
	uint32_t type;
	uint32_t veventq_depth;
	uint32_t out_veventq_id;
	uint32_t out_veventq_fd;
	uint32_t __reserved;
};
#define IOMMU_VEVENTQ_ALLOC _IO(IOMMUFD_TYPE, 0x93)

struct iommu_hw_queue_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t viommu_id;
	uint32_t type;
	uint32_t index;
	uint32_t out_hw_queue_id;
	IFD_ALIGNED_U64 nesting_parent_iova;
	IFD_ALIGNED_U64 length;
};
#define IOMMU_HW_QUEUE_ALLOC _IO(IOMMUFD_TYPE, 0x94)

#endif
