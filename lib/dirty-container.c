/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * VFIO: dirty pages as a container knows them. A container answers for whole mappings only, always forgets what it has
 * told, and takes every page for dirty as long as it has a group whose driver does not say which pages it pins.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "container.h"
#include "dirty.h"
#include "internal.h"
#include "object.h"
#include "udev.h"
#include "uapi/vfio.h"

static int fail_type(int err)
{
	return ifd_fail(err == -EACCES ? -EOPNOTSUPP : err,
			err == -EACCES ? "containers of type1, version 1, cannot tell: it takes version 2" : NULL,
			"track dirty pages");
}

static int set(const struct iommufd_ioas *ioas, bool on)
{
	struct vfio_iommu_type1_dirty_bitmap cmd = {
		.argsz = sizeof(cmd),
		.flags = on ? VFIO_IOMMU_DIRTY_PAGES_FLAG_START : VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP,
	};

	return ifd_sys_ioctl(&ioas->ctx->log, ioas->container, VFIO_IOMMU_DIRTY_PAGES, &cmd);
}

int ifd_container_dirty_begin(struct iommufd_ioas *ioas)
{
	int ret = set(ioas, true);

	return ret ? fail_type(ret) : 0;
}

/* What will fail at the first attach fails now. */
static int begin(struct iommufd_ioas *ioas)
{
	if (ifd_object_by_process(&ioas->ctx->log, ioas->container) >= 0)
		return ifd_fail(-EOPNOTSUPP, "use the backend iommufd",
				"track dirty pages: iommufd serves the container, and knows no such call there");
	if (ioas->serving) {
		int ret = ifd_container_dirty_begin(ioas);

		/* Without a group it begins with the next one. */
		if (!ret || !ifd_container_stopped(ioas))
			return ret;
	}
	return ifd_container_type(ioas) == VFIO_TYPE1_IOMMU ? fail_type(-EACCES) : 0;
}

int ifd_container_dirty_set(struct iommufd_ioas *ioas, bool on)
{
	int ret;

	if (on)
		return begin(ioas);
	ret = ioas->serving ? set(ioas, false) : 0;
	return ret && !ifd_container_stopped(ioas) ? ifd_fail(ret, NULL, "stop tracking dirty pages") : 0;
}

/* The container begins when it serves, and until then there is nobody to be seen. */
int ifd_container_dirty_join(struct iommufd_device *dev, struct ifd_target *to, struct iommufd_hwpt **made)
{
	(void)made;
	return to->ioas->tracking && dev->found->noiommu ? ifd_fail_unseen(dev, -EOPNOTSUPP, "it has no IOMMU") : 0;
}

/* ---- Reading ---- */

static int get(struct iommufd_ioas *ioas, const struct ifd_bitmap *bitmap)
{
	const struct vfio_iommu_type1_dirty_bitmap head = {
		.argsz = sizeof(head) + sizeof(struct vfio_iommu_type1_dirty_bitmap_get),
		.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
	};
	const struct vfio_iommu_type1_dirty_bitmap_get range = {
		.iova = bitmap->start,
		.size = bitmap->last - bitmap->start + 1,
		.bitmap = { bitmap->page, ifd_bitmap_size(bitmap), (uintptr_t)bitmap->words },
	};
	uint64_t cmd[(sizeof(head) + sizeof(range)) / sizeof(uint64_t)];

	memcpy(cmd, &head, sizeof(head));
	memcpy((char *)cmd + sizeof(head), &range, sizeof(range));
	return ifd_sys_ioctl(&ioas->ctx->log, ioas->container, VFIO_IOMMU_DIRTY_PAGES, cmd);
}

/* Whole mappings, perhaps with holes between them, of which the kernel may tell anything. */
static int read_piece(struct iommufd_ioas *ioas, struct ifd_dirty_room *room, uint64_t start, uint64_t last,
		      const struct ifd_dirty *to)
{
	struct ifd_bitmap bitmap;
	int ret = ifd_dirty_empty(room, ioas->alignment, start, last, &bitmap);

	if (ret)
		return ret;
	ret = get(ioas, &bitmap);
	ifd_dirty_take(ioas, &bitmap, to, true);
	return ret ? ifd_fail(ret, NULL, "read which pages are dirty at IOVA 0x%" PRIx64 "-0x%" PRIx64, start, last)
		   : 0;
}

static int read_pieces(struct iommufd_ioas *ioas, uint64_t start, uint64_t last, const struct ifd_dirty *to)
{
	struct ifd_map *map = ifd_index_next(&ioas->index, start, last);
	struct ifd_dirty_room room = { NULL, 0 };
	struct iommufd_range piece;
	int ret = 0;

	while (!ret && ifd_dirty_gather(ioas, &map, last, ioas->alignment * IFD_DIRTY_BITS, &piece))
		ret = read_piece(ioas, &room, piece.start, piece.last, to);
	free(room.memory);
	return ret;
}

int ifd_container_dirty_read(struct iommufd_ioas *ioas, uint64_t start, uint64_t last, const struct ifd_dirty *to)
{
	int ret = ioas->serving ? read_pieces(ioas, start, last, to) : 0;

	/* What it knew has gone with the last group. */
	if (ret && ifd_container_stopped(ioas)) {
		ifd_dirty_all(ioas);
		return 0;
	}
	return ret;
}

/* The kernel does both at once, and no device can write in between. */
static int unmap(struct iommufd_ioas *ioas, const struct ifd_bitmap *bitmap, uint64_t *unmapped)
{
	struct vfio_iommu_type1_dma_unmap head = {
		.argsz = sizeof(head) + sizeof(struct vfio_bitmap),
		.flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
		.iova = bitmap->start,
		.size = bitmap->last - bitmap->start + 1,
	};
	const struct vfio_bitmap tail = { bitmap->page, ifd_bitmap_size(bitmap), (uintptr_t)bitmap->words };
	uint64_t cmd[(sizeof(head) + sizeof(tail)) / sizeof(uint64_t)];
	int ret;

	memcpy(cmd, &head, sizeof(head));
	memcpy((char *)cmd + sizeof(head), &tail, sizeof(tail));
	ret = ifd_sys_ioctl(&ioas->ctx->log, ioas->container, VFIO_IOMMU_UNMAP_DMA, cmd);
	memcpy(&head, cmd, sizeof(head));
	if (!ret)
		*unmapped = head.size;
	return ret;
}

int ifd_container_dirty_unmap(struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, const struct ifd_dirty *to,
			      uint64_t *unmapped)
{
	uint64_t last = iova + (len - 1);
	struct ifd_dirty_room room = { NULL, 0 };
	struct ifd_bitmap bitmap;
	int ret;

	if (!ioas->serving)
		return ioas->ctx->backend->unmap(ioas, iova, len, unmapped);
	ret = ifd_dirty_empty(&room, ioas->alignment, iova, last, &bitmap);
	if (ret)
		return ret;
	ret = unmap(ioas, &bitmap, unmapped);
	if (ret && ifd_container_stopped(ioas)) {
		ifd_bitmap_set(&bitmap, iova, last);
		*unmapped = len;
		ret = 0;
	}
	ifd_dirty_take(ioas, &bitmap, to, true);
	free(room.memory);
	return ret ? ifd_fail(ret, NULL, "unmap IOVA 0x%" PRIx64 "-0x%" PRIx64, iova, last) : 0;
}
