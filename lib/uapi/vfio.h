/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The VFIO ioctls that this library makes: layouts and numbers of the kernel's binary interface, in our own words.
 * They are declared here because the headers of many distributions are older than the kernels that the library runs on.
 * The names are the kernel's, so never include <linux/vfio.h> beside this file.
 *
 * Most arguments begin with argsz. An answer that did not fit succeeds all the same and says so in argsz; the flag for
 * capabilities is then set and the offset of the first one is 0. Capabilities are a chain inside the caller's buffer:
 * each begins with struct vfio_info_cap_header, whose next counts from the start of the buffer and is 0 in the last.
 *
 * Features of devices, and what containers do with memory, have files of their own, which come with this one.
 */
#ifndef IFD_UAPI_VFIO_H
#define IFD_UAPI_VFIO_H

#include <stdint.h>
#include <sys/ioctl.h>

#include "types.h"

#define VFIO_API_VERSION 0

#define VFIO_TYPE (';')
#define VFIO_BASE 100

struct vfio_info_cap_header {
	uint16_t id;
	uint16_t version;
	uint32_t next;
};

/* ---- Containers ---- */

#define VFIO_GET_API_VERSION _IO(VFIO_TYPE, VFIO_BASE + 0)

/* The answer is 0 for no, and a positive number for yes. The argument is one of the numbers below, not a pointer. */
#define VFIO_CHECK_EXTENSION _IO(VFIO_TYPE, VFIO_BASE + 1)
#define VFIO_TYPE1_IOMMU     1
#define VFIO_TYPE1v2_IOMMU   3
#define VFIO_DMA_CC_IOMMU    4 /* no device can get around the CPU's caches; before Linux 5.19 it meant less */
#define VFIO_NOIOMMU_IOMMU   8
#define VFIO_UNMAP_ALL       9
#define VFIO_UPDATE_VADDR    10

/* Works only once the container has a group, and only once. */
#define VFIO_SET_IOMMU _IO(VFIO_TYPE, VFIO_BASE + 2)

/* ---- Groups ---- */

struct vfio_group_status {
	uint32_t argsz;
	uint32_t flags;
};
#define VFIO_GROUP_GET_STATUS          _IO(VFIO_TYPE, VFIO_BASE + 3)
#define VFIO_GROUP_FLAGS_VIABLE        (1 << 0)
#define VFIO_GROUP_FLAGS_CONTAINER_SET (1 << 1)

/* The argument of SET is a pointer to the container's descriptor. The mappings are lost with the last group. */
#define VFIO_GROUP_SET_CONTAINER   _IO(VFIO_TYPE, VFIO_BASE + 4)
#define VFIO_GROUP_UNSET_CONTAINER _IO(VFIO_TYPE, VFIO_BASE + 5)

/* The argument is the device's name as a string, the answer its descriptor. */
#define VFIO_GROUP_GET_DEVICE_FD _IO(VFIO_TYPE, VFIO_BASE + 6)

/* ---- Devices: information and reset ---- */

struct vfio_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
	uint32_t cap_offset;
	uint32_t pad;
};
#define VFIO_DEVICE_GET_INFO       _IO(VFIO_TYPE, VFIO_BASE + 7)
#define VFIO_DEVICE_FLAGS_RESET    (1 << 0)
#define VFIO_DEVICE_FLAGS_PCI      (1 << 1)
#define VFIO_DEVICE_FLAGS_PLATFORM (1 << 2)
#define VFIO_DEVICE_FLAGS_AMBA     (1 << 3)
#define VFIO_DEVICE_FLAGS_CCW      (1 << 4)
#define VFIO_DEVICE_FLAGS_AP       (1 << 5)
#define VFIO_DEVICE_FLAGS_FSL_MC   (1 << 6)
#define VFIO_DEVICE_FLAGS_CAPS     (1 << 7)
#define VFIO_DEVICE_FLAGS_CDX      (1 << 8)

/* EAGAIN when another call holds the device at this moment. */
#define VFIO_DEVICE_RESET _IO(VFIO_TYPE, VFIO_BASE + 11)

/* ---- Devices: regions ---- */

/* A region that the device lacks has size 0, and for some indices the call fails instead. */
struct vfio_region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset;
	IFD_ALIGNED_U64 size;
	IFD_ALIGNED_U64 offset; /* in the device's descriptor, for pread, pwrite and mmap */
};
#define VFIO_DEVICE_GET_REGION_INFO _IO(VFIO_TYPE, VFIO_BASE + 8)
#define VFIO_REGION_INFO_FLAG_READ  (1 << 0)
#define VFIO_REGION_INFO_FLAG_WRITE (1 << 1)
#define VFIO_REGION_INFO_FLAG_MMAP  (1 << 2)
#define VFIO_REGION_INFO_FLAG_CAPS  (1 << 3)

/* Capabilities of a region. Where SPARSE_MMAP is present, only its areas may be mapped. */
#define VFIO_REGION_INFO_CAP_SPARSE_MMAP   1
#define VFIO_REGION_INFO_CAP_TYPE          2
#define VFIO_REGION_INFO_CAP_MSIX_MAPPABLE 3 /* no data: the pages of the MSI-X table may be mapped as well */

struct vfio_region_sparse_mmap_area {
	IFD_ALIGNED_U64 offset; /* in the region */
	IFD_ALIGNED_U64 size;
};

struct vfio_region_info_cap_sparse_mmap {
	struct vfio_info_cap_header header;
	uint32_t nr_areas;
	uint32_t reserved;
	struct vfio_region_sparse_mmap_area areas[];
};

struct vfio_region_info_cap_type {
	struct vfio_info_cap_header header;
	uint32_t type;
	uint32_t subtype;
};
#define VFIO_REGION_TYPE_CCW              2
#define VFIO_REGION_SUBTYPE_CCW_ASYNC_CMD 1
#define VFIO_REGION_SUBTYPE_CCW_SCHIB     2
#define VFIO_REGION_SUBTYPE_CCW_CRW       3

enum {
	VFIO_PCI_BAR0_REGION_INDEX = 0,
	VFIO_PCI_BAR1_REGION_INDEX = 1,
	VFIO_PCI_BAR2_REGION_INDEX = 2,
	VFIO_PCI_BAR3_REGION_INDEX = 3,
	VFIO_PCI_BAR4_REGION_INDEX = 4,
	VFIO_PCI_BAR5_REGION_INDEX = 5,
	VFIO_PCI_ROM_REGION_INDEX = 6,
	VFIO_PCI_CONFIG_REGION_INDEX = 7,
	VFIO_PCI_VGA_REGION_INDEX = 8,
	VFIO_PCI_NUM_REGIONS = 9, /* regions from here on describe themselves by the TYPE capability */
};

/* ---- Devices: interrupts ---- */

struct vfio_irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count; /* how many there are at most, not how many are enabled */
};
#define VFIO_DEVICE_GET_IRQ_INFO _IO(VFIO_TYPE, VFIO_BASE + 9)
#define VFIO_IRQ_INFO_EVENTFD    (1 << 0)
#define VFIO_IRQ_INFO_MASKABLE   (1 << 1)
#define VFIO_IRQ_INFO_AUTOMASKED (1 << 2)
#define VFIO_IRQ_INFO_NORESIZE   (1 << 3)

/* One DATA bit and one ACTION bit. DATA_NONE with ACTION_TRIGGER and a count of 0 disables the whole index. */
struct vfio_irq_set {
	uint32_t argsz; /* with the data */
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
	uint8_t data[]; /* DATA_EVENTFD: descriptors of 32 bits, -1 for none */
};
#define VFIO_DEVICE_SET_IRQS        _IO(VFIO_TYPE, VFIO_BASE + 10)
#define VFIO_IRQ_SET_DATA_NONE      (1 << 0)
#define VFIO_IRQ_SET_DATA_BOOL      (1 << 1)
#define VFIO_IRQ_SET_DATA_EVENTFD   (1 << 2)
#define VFIO_IRQ_SET_ACTION_MASK    (1 << 3)
#define VFIO_IRQ_SET_ACTION_UNMASK  (1 << 4)
#define VFIO_IRQ_SET_ACTION_TRIGGER (1 << 5)

enum {
	VFIO_PCI_INTX_IRQ_INDEX = 0,
	VFIO_PCI_MSI_IRQ_INDEX = 1,
	VFIO_PCI_MSIX_IRQ_INDEX = 2,
	VFIO_PCI_ERR_IRQ_INDEX = 3,
	VFIO_PCI_REQ_IRQ_INDEX = 4,
	VFIO_PCI_NUM_IRQS = 5,
};

/* Channel devices: what their regions have is in vfio_ccw.h. */
enum {
	VFIO_CCW_CONFIG_REGION_INDEX = 0,
	VFIO_CCW_NUM_REGIONS = 1, /* as for PCI */
};

enum {
	VFIO_CCW_IO_IRQ_INDEX = 0,
	VFIO_CCW_CRW_IRQ_INDEX = 1,
	VFIO_CCW_REQ_IRQ_INDEX = 2,
	VFIO_CCW_NUM_IRQS = 3,
};

enum {
	VFIO_AP_REQ_IRQ_INDEX = 0,
	VFIO_AP_CFG_CHG_IRQ_INDEX = 1,
	VFIO_AP_NUM_IRQS = 2,
};

/* ---- Devices: writes by eventfd ---- */

/* The width in bytes is one of the flags. A descriptor of -1 ends it. A second one of the same is EEXIST. */
struct vfio_device_ioeventfd {
	uint32_t argsz;
	uint32_t flags;
	IFD_ALIGNED_U64 offset; /* in the device's descriptor */
	IFD_ALIGNED_U64 data;
	int32_t fd;
	uint32_t reserved;
};
#define VFIO_DEVICE_IOEVENTFD    _IO(VFIO_TYPE, VFIO_BASE + 16)
#define VFIO_DEVICE_IOEVENTFD_8  (1 << 0)
#define VFIO_DEVICE_IOEVENTFD_16 (1 << 1)
#define VFIO_DEVICE_IOEVENTFD_32 (1 << 2)
#define VFIO_DEVICE_IOEVENTFD_64 (1 << 3)

/* ---- PCI devices: resets of all that share a bus or a slot ---- */

/* What is reset together with a device, and whose that is: which of the two numbers, the flags of the answer tell. */
struct vfio_pci_dependent_device {
	union {
		uint32_t group_id;
		uint32_t devid; /* in the iommufd of who asks, or one of the two below */
	};
	uint16_t segment;
	uint8_t bus;
	uint8_t devfn;
};
#define VFIO_PCI_DEVID_OWNED     (0)
#define VFIO_PCI_DEVID_NOT_OWNED (-1)

/* ENOSPC, with the count, when there are more than fit. ENODEV: neither bus nor slot can be reset. */
struct vfio_pci_hot_reset_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t count;
	struct vfio_pci_dependent_device devices[];
};
#define VFIO_DEVICE_GET_PCI_HOT_RESET_INFO   _IO(VFIO_TYPE, VFIO_BASE + 12)
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID       (1 << 0) /* numbers in an iommufd: the device was opened by its node */
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED (1 << 1) /* none of them stands in the way */

/* A device that was opened by its group wants the groups of all that is affected, one by its own node none. */
struct vfio_pci_hot_reset {
	uint32_t argsz;
	uint32_t flags;
	uint32_t count;
	int32_t group_fds[];
};
#define VFIO_DEVICE_PCI_HOT_RESET _IO(VFIO_TYPE, VFIO_BASE + 13)

/* ---- Devices opened by their own node: iommufd (Linux 6.6) ---- */

/*
 * Before it every other call answers EINVAL; a second bind is EINVAL too. Closing the descriptor is the only undo.
 * Kernels that do not know tokens ignore token_uuid_ptr and refuse its flag.
 */
struct vfio_device_bind_iommufd {
	uint32_t argsz;
	uint32_t flags;
	int32_t iommufd;
	uint32_t out_devid;
	IFD_ALIGNED_U64 token_uuid_ptr;
};
#define VFIO_DEVICE_BIND_IOMMUFD    _IO(VFIO_TYPE, VFIO_BASE + 18)
#define VFIO_DEVICE_BIND_FLAG_TOKEN (1 << 0)

/* pt_id is an IOAS or a page table going in, and the page table coming out. A second attach is a replacement. */
struct vfio_device_attach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags;
	uint32_t pt_id;
	uint32_t pasid;
};
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)
#define VFIO_DEVICE_ATTACH_PASID      (1 << 0)

/* Succeeds also when nothing was attached. */
struct vfio_device_detach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags;
	uint32_t pasid;
};
#define VFIO_DEVICE_DETACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 20)
#define VFIO_DEVICE_DETACH_PASID      (1 << 0)

#include "vfio-feature.h"
#include "vfio-type1.h"

#endif
