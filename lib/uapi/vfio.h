/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The VFIO ioctls that this library makes: layouts and numbers of the kernel's binary interface, in our own words.
 * They are declared here because the headers of many distributions are older than the kernels that the library runs on.
 * The names are the kernel's, so never include <linux/vfio.h> beside this file.
 *
 * Most arguments begin with argsz. An answer that did not fit succeeds all the same and says so in argsz; the flag for
 * capabilities is then set and the offset of the first one is 0. Capabilities are a chain inside the caller's buffer:
 * each begins with struct vfio_info_cap_header, whose next counts from the start of the buffer and is 0 in the last.
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

/* ---- Devices: features ---- */

/* PROBE may be combined with GET and SET, to ask for both at once; GET and SET exclude each other otherwise. */
struct vfio_device_feature {
	uint32_t argsz; /* with the data */
	uint32_t flags; /* number of the feature, and the bits below */
	uint8_t data[];
};
#define VFIO_DEVICE_FEATURE       _IO(VFIO_TYPE, VFIO_BASE + 17)
#define VFIO_DEVICE_FEATURE_MASK  (0xffff)
#define VFIO_DEVICE_FEATURE_GET   (1 << 16)
#define VFIO_DEVICE_FEATURE_SET   (1 << 17)
#define VFIO_DEVICE_FEATURE_PROBE (1 << 18)

/* One file for pieces of a BAR, all on pages of the CPU: the answer of a GET is its descriptor (Linux 6.19). */
#define VFIO_DEVICE_FEATURE_DMA_BUF 11

struct vfio_region_dma_range {
	uint64_t offset;
	uint64_t length;
};

struct vfio_device_feature_dma_buf {
	uint32_t region_index;
	uint32_t open_flags;
	uint32_t flags; /* none yet */
	uint32_t nr_ranges;
	struct vfio_region_dma_range dma_ranges[];
};

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
/* Set only, by who has the physical function: 16 bytes in the order in which a UUID is written. */
#define VFIO_DEVICE_FEATURE_PCI_VF_TOKEN 0

/* Get: what a device can do beside STOP, STOP_COPY and RESUMING, for which the first flag stands. */
struct vfio_device_feature_migration {
	IFD_ALIGNED_U64 flags;
};
#define VFIO_DEVICE_FEATURE_MIGRATION 1
#define VFIO_MIGRATION_STOP_COPY      (1 << 0)
#define VFIO_MIGRATION_P2P            (1 << 1)
#define VFIO_MIGRATION_PRE_COPY       (1 << 2)

/*
 * Set: the way to a state may lead over others, and a failure may leave the device in one of those. data_fd comes back,
 * -1 unless a stream begins. Get: the state alone.
 */
struct vfio_device_feature_mig_state {
	uint32_t device_state;
	int32_t data_fd;
};
#define VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE 2

enum {
	VFIO_DEVICE_STATE_ERROR = 0, /* only a reset leads out of it */
	VFIO_DEVICE_STATE_STOP = 1,
	VFIO_DEVICE_STATE_RUNNING = 2,
	VFIO_DEVICE_STATE_STOP_COPY = 3,
	VFIO_DEVICE_STATE_RESUMING = 4,
	VFIO_DEVICE_STATE_RUNNING_P2P = 5,
	VFIO_DEVICE_STATE_PRE_COPY = 6,
	VFIO_DEVICE_STATE_PRE_COPY_P2P = 7,
};

/* Set. While it may sleep, a mapped region is SIGBUS, and every other access wakes the device for its time. */
#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY 3

/* Set: the same until the first waking, which signals the eventfd when the device did sleep. */
struct vfio_device_low_power_entry_with_wakeup {
	int32_t wakeup_eventfd;
	uint32_t reserved;
};
#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP 4

/* Set; succeeds also when it was not entered. */
#define VFIO_DEVICE_FEATURE_LOW_POWER_EXIT 5

/* Set. page_size is a wish going in, and what the device took coming out. E2BIG: more ranges than fill a page. */
struct vfio_device_feature_dma_logging_control {
	IFD_ALIGNED_U64 page_size;
	uint32_t num_ranges;
	uint32_t __reserved;
	IFD_ALIGNED_U64 ranges; /* address of the array */
};

struct vfio_device_feature_dma_logging_range {
	IFD_ALIGNED_U64 iova;
	IFD_ALIGNED_U64 length;
};
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_START 6

/* Set. */
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP 7

/* Get: bits are set and none is cleared, and what was told is forgotten. Pages of 4096 bytes or more. */
struct vfio_device_feature_dma_logging_report {
	IFD_ALIGNED_U64 iova;
	IFD_ALIGNED_U64 length;
	IFD_ALIGNED_U64 page_size;
	IFD_ALIGNED_U64 bitmap; /* address of the words */
};
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT 8

/* Get, in every state. */
struct vfio_device_feature_mig_data_size {
	IFD_ALIGNED_U64 stop_copy_length;
};
#define VFIO_DEVICE_FEATURE_MIG_DATA_SIZE 9

/* Set. For buses whose devices have no such bit in registers of their own; PCI has. */
struct vfio_device_feature_bus_master {
	uint32_t op;
};
#define VFIO_DEVICE_FEATURE_BUS_MASTER   10
#define VFIO_DEVICE_FEATURE_CLEAR_MASTER 0
#define VFIO_DEVICE_FEATURE_SET_MASTER   1

/* Set, without data: from then on the flags of struct vfio_precopy_info are an answer. EINVAL without PRE_COPY. */
#define VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 12

/* A capability of the answer to VFIO_DEVICE_GET_INFO, on s390; its last member is as old as the feature below. */
struct vfio_device_info_cap_zpci_base {
	struct vfio_info_cap_header header;
	uint64_t start_dma;
	uint64_t end_dma;
	uint16_t pchid;
	uint16_t vfn;
	uint16_t fmb_length;
	uint8_t pft;
	uint8_t gid;
	uint32_t fh;
	uint32_t ccdf_err_length; /* bytes of an error */
};
#define VFIO_DEVICE_INFO_CAP_ZPCI_BASE 1

/* Get, on s390: where the oldest error goes. ENOMSG: there is none. */
struct vfio_device_feature_zpci_err {
	IFD_ALIGNED_U64 data; /* address */
};
#define VFIO_DEVICE_FEATURE_ZPCI_ERROR 13

/* Of a stream, in the states of PRE_COPY; EINVAL in others. */
struct vfio_precopy_info {
	uint32_t argsz;
	uint32_t flags;
	IFD_ALIGNED_U64 initial_bytes;
	IFD_ALIGNED_U64 dirty_bytes;
};
#define VFIO_MIG_GET_PRECOPY_INFO _IO(VFIO_TYPE, VFIO_BASE + 21)
#define VFIO_PRECOPY_INFO_REINIT  (1 << 0)

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

/* ---- Type 1 IOMMUs: mappings of a container ---- */

struct vfio_iommu_type1_info {
	uint32_t argsz;
	uint32_t flags;
	IFD_ALIGNED_U64 iova_pgsizes;
	uint32_t cap_offset;
	uint32_t pad;
};
#define VFIO_IOMMU_GET_INFO     _IO(VFIO_TYPE, VFIO_BASE + 12)
#define VFIO_IOMMU_INFO_PGSIZES (1 << 0)
#define VFIO_IOMMU_INFO_CAPS    (1 << 1)

#define VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE 1 /* Linux 5.4 */
#define VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL      3 /* Linux 5.10 */

struct vfio_iova_range {
	uint64_t start;
	uint64_t end; /* inclusive, whatever its name says */
};

struct vfio_iommu_type1_info_cap_iova_range {
	struct vfio_info_cap_header header;
	uint32_t nr_iovas;
	uint32_t reserved;
	struct vfio_iova_range iova_ranges[];
};

/* How many more mappings the kernel would take, without regard to their size. */
struct vfio_iommu_type1_info_dma_avail {
	struct vfio_info_cap_header header;
	uint32_t avail;
};

struct vfio_iommu_type1_dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t vaddr;
	uint64_t iova;
	uint64_t size;
};
#define VFIO_IOMMU_MAP_DMA      _IO(VFIO_TYPE, VFIO_BASE + 13)
#define VFIO_DMA_MAP_FLAG_READ  (1 << 0) /* the device may read */
#define VFIO_DMA_MAP_FLAG_WRITE (1 << 1) /* the device may write */
#define VFIO_DMA_MAP_FLAG_VADDR (1 << 2)

/*
 * Unmapping nothing succeeds, with size 0. A part of a mapping is EINVAL with type1v2, while type1 may take away the
 * whole mapping. With FLAG_ALL, iova and size must be 0.
 */
struct vfio_iommu_type1_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t iova;
	uint64_t size; /* out: the bytes that were unmapped */
	uint8_t data[];
};
#define VFIO_IOMMU_UNMAP_DMA                 _IO(VFIO_TYPE, VFIO_BASE + 14)
#define VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP (1 << 0)
#define VFIO_DMA_UNMAP_FLAG_ALL              (1 << 1)
#define VFIO_DMA_UNMAP_FLAG_VADDR            (1 << 2)

/* With GET_DIRTY_BITMAP this stands behind an unmap. Pages as small as the IOMMU has them, and no others. */
struct vfio_bitmap {
	uint64_t pgsize;
	uint64_t size; /* of the data in bytes */
	uint64_t data; /* address of the words */
};

/*
 * One flag at a time; with GET_BITMAP the range stands behind. EACCES: the container is type1. What was told is
 * forgotten. The words of a mapping are written, not merely its bits set; a range that cuts a mapping is EINVAL.
 */
struct vfio_iommu_type1_dirty_bitmap {
	uint32_t argsz;
	uint32_t flags;
	uint8_t data[];
};
#define VFIO_IOMMU_DIRTY_PAGES                 _IO(VFIO_TYPE, VFIO_BASE + 17)
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_START      (1 << 0)
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP       (1 << 1)
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP (1 << 2)

struct vfio_iommu_type1_dirty_bitmap_get {
	uint64_t iova;
	uint64_t size;
	struct vfio_bitmap bitmap;
};

#endif
