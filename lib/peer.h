/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A device's memory, mapped in IOASes for other devices. iommufd takes it as a dma-buf, type1 by its address in the
 * process, for which the library keeps a window. Both are the device's, so a mapping can be lost while it stays in the
 * index: its IOVAs are taken and lead nowhere. That is when the device is detached, until it is attached again; and for
 * ever when it was freed. On iommufd the kernel takes a dma-buf back, for good, whenever the device is reset or has its
 * memory switched off: then the library maps it anew. Internal.
 */
#ifndef IFD_PEER_H
#define IFD_PEER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file.h"
#include "index.h"

struct iommufd_ctx;
struct iommufd_device;
struct vfio_region_dma_range;

/* A piece of a region that has been mapped, perhaps by several mappings that are of the same file. */
struct ifd_peer {
	struct ifd_peer *next; /* in ctx->peers */
	struct iommufd_ctx *ctx;
	struct iommufd_device *_Atomic dev; /* NULL once it was freed */
	struct ifd_file *file;
	uint32_t region;
	int prot;         /* of the window */
	atomic_bool away; /* it is being taken from the mappings, or given back, and may not be copied */
};

/* Of a file that nobody uses any more. */
void ifd_peer_free(struct ifd_peer *peer);

static inline bool ifd_peer_is_away(const struct ifd_map *map)
{
	return map->file && map->file->peer && map->file->peer->away;
}

/* Where the memory of a mapping is in the process. */
static inline uint64_t ifd_peer_address(const struct ifd_map *map)
{
	const struct ifd_file *file = map->file;

	return file && file->peer ? (uintptr_t)file->window + (map->vaddr.start - file->start) : map->vaddr.start;
}

/* After the attach, and before the detach; when the device's memory goes. None of them fails; the log tells. */
void ifd_peers_lend(struct iommufd_device *dev);
void ifd_peers_lose(struct iommufd_device *dev);
void ifd_peers_forget(struct iommufd_device *dev);

/*
 * After the device was reset, or has its memory switched on again: the kernel has what was mapped. No gate is held.
 * Nothing is done while its memory is off. With words for the first mapping that cannot be had.
 */
int ifd_peers_restore(struct iommufd_device *dev);

/* The same with ctx->lending held. */
int ifd_peers_restore_held(struct iommufd_device *dev);

/* Whether that is due after a write to configuration space. */
bool ifd_peers_due(struct iommufd_device *dev, uint64_t offset, const void *buf, size_t len);

/* dmabuf.c: parts of a region as a file; its descriptor, or -errno with words. `flags` are those of open(). */
int ifd_dmabuf(struct iommufd_device *dev, uint32_t index, const struct vfio_region_dma_range *ranges, size_t count,
	       int flags);

#endif
