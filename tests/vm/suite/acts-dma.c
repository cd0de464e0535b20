/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Buffers and pools. */
#include "acts.h"
#include "door.h"

static int dma_alloc(struct stage *stage)
{
	int ret = iommufd_dma_alloc(stage->bed.ioas, 3 * PAGE, RW, &stage->out.dma);

	stage->facts = ret ? 0 : stage->out.dma.iova;
	return ret;
}

static int alloc_pages(struct stage *stage, uint32_t pages, uint32_t node)
{
	struct iommufd_dma_opts opts = { .struct_size = sizeof(opts), .node = node };
	int ret = iommufd_dma_alloc_opts(stage->bed.ioas, 3 * PAGE, RW | pages, &opts, &stage->out.dma);

	stage->facts = ret ? 0 : stage->out.dma.iova;
	return ret;
}

static int dma_alloc_huge(struct stage *stage)
{
	return alloc_pages(stage, IOMMUFD_DMA_HUGE, 0);
}

/* Larger than the buffer, but than no page that will do. */
static int dma_alloc_thp(struct stage *stage)
{
	return alloc_pages(stage, IOMMUFD_DMA_THP, 0);
}

static int dma_alloc_node(struct stage *stage)
{
	return alloc_pages(stage, 0, 1);
}

static void dma_free(struct stage *stage)
{
	iommufd_dma_free(stage->bed.ioas, &stage->out.dma);
}

static int pool_new(struct stage *stage)
{
	return iommufd_pool_new(stage->bed.ioas, 64, RW, NULL, &stage->out.pool);
}

/* One object more than there is room for. */
static int pool_get(struct stage *stage)
{
	struct iommufd_pool *pool = NULL;
	struct iommufd_dma one;
	int ret = iommufd_pool_new(stage->bed.ioas, 65536, RW, NULL, &pool);

	for (int i = 0; i < 2 && !ret; i++)
		ret = iommufd_pool_get(pool, &one);
	if (ret)
		iommufd_pool_free(pool);
	else
		stage->out.pool = pool;
	return ret;
}

static void pool_free(struct stage *stage)
{
	iommufd_pool_free(stage->out.pool);
}

/* ---- The table ---- */

/* A kernel without transparent huge pages need not be kept from making some. */
#define KEEPS_SMALL SURVIVES({ DOOR_MADVISE, 2 })
/* The same, after two more pieces of advice, and after one. */
#define KEEPS_JOINED        SURVIVES({ DOOR_MADVISE, 4 })
#define KEEPS_SMALL_OF_NODE SURVIVES({ DOOR_MADVISE, 3 })
/* Twice, where the library may advise the same of what it locks. */
#define KEEPS_BOTH_SMALL SURVIVES({ DOOR_MADVISE, 2 }, { DOOR_MADVISE, 4 }, { DOOR_MADVISE, 5 })

const struct act dma_acts[] = {
	{ "iommufd_dma_alloc", NEEDS_ATTACHED, dma_alloc, .undo = dma_free, .survives = KEEPS_SMALL, .handle = true },
	{ "iommufd_dma_alloc, huge", NEEDS_ATTACHED, dma_alloc_huge, .undo = dma_free, .handle = true },
	{ "iommufd_dma_alloc, transparent", NEEDS_ATTACHED, dma_alloc_thp, .undo = dma_free, .on = vm_tells_huge,
	  .survives = KEEPS_JOINED, .handle = true },
	{ "iommufd_dma_alloc_opts, of a node", NEEDS_ATTACHED, dma_alloc_node, .undo = dma_free, .on = vm_has_nodes,
	  .survives = KEEPS_SMALL_OF_NODE, .handle = true },
	{ "iommufd_pool_new", NEEDS_ATTACHED, pool_new, .undo = pool_free, .survives = KEEPS_SMALL, .handle = true },
	{ "iommufd_pool_get", NEEDS_ATTACHED, pool_get, .undo = pool_free, .survives = KEEPS_BOTH_SMALL,
	  .handle = true },
	{ .name = NULL },
};
