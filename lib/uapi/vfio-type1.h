/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Mappings of VFIO's containers, whose IOMMUs are of type 1, and which pages were written. Comes with vfio.h. */
#ifndef IFD_UAPI_VFIO_TYPE1_H
#define IFD_UAPI_VFIO_TYPE1_H

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
