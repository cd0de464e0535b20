/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Features of VFIO devices, in the order of their numbers, and the streams of those that move. Each is one number of
 * one ioctl, with a structure behind it; ENOTTY where the driver has none. Comes with vfio.h.
 */
#ifndef IFD_UAPI_VFIO_FEATURE_H
#define IFD_UAPI_VFIO_FEATURE_H

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

#endif
