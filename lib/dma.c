/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdio.h>

#include "internal.h"
#include "map.h"
#include "memory.h"

#define MAPPED (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)

static int check(size_t len, uint32_t flags, const struct iommufd_dma_opts *opts)
{
	if (!len)
		return ifd_fail(-EINVAL, "give the length in bytes", "allocate no bytes for DMA");
	if (flags & ~(uint32_t)(MAPPED | IFD_MAP_ALIGN | IOMMUFD_DMA_BEST))
		return ifd_fail(
			-EINVAL,
			"use IOMMUFD_MAP_READ, IOMMUFD_MAP_WRITE, IOMMUFD_MAP_ALIGN() and IOMMUFD_DMA flags only",
			"allocate for DMA with the flags 0x%x", flags);
	if (!(flags & MAPPED))
		return ifd_fail(-EINVAL, "add IOMMUFD_MAP_READ, IOMMUFD_MAP_WRITE or both",
				"allocate what a device may neither read nor write");
	if (opts->reserved)
		return ifd_fail(-EINVAL, "set it to 0", "allocate for DMA with a reserved member that is not 0");
	return ifd_map_check_window(flags, &opts->window); /* before memory is got, which may take its time */
}

EXPORT int iommufd_dma_alloc_opts(struct iommufd_ioas *ioas, size_t len, uint32_t flags,
				  const struct iommufd_dma_opts *theirs, struct iommufd_dma *out)
{
	struct ifd_memory_wish wish = { .ctx = ioas->ctx, .len = len, .pages = flags & IOMMUFD_DMA_BEST };
	struct iommufd_dma_opts opts;
	struct iommufd_dma dma;
	int ret = ifd_ctx_check(ioas->ctx, "allocate for DMA");

	if (!ret)
		ret = ifd_opts_read(&opts, sizeof(opts), IFD_END_OF(struct iommufd_dma_opts, window), theirs,
				    "options of a buffer");
	if (!ret)
		ret = check(len, flags, &opts);
	if (ret)
		return ret;
	wish.node = opts.node;
	/* Again, when a device was attached meanwhile whose IOMMU has larger pages. */
	do {
		wish.least = ioas->alignment;
		ret = ifd_memory_new(&wish, &dma);
		if (ret)
			return ret;
		ret = ifd_map_memory(ioas, dma.vaddr, dma.len, flags & ~(uint32_t)IOMMUFD_DMA_BEST,
				     opts.window.last ? &opts.window : NULL, &dma.iova);
		if (ret)
			ifd_sys_munmap(dma.vaddr, dma.len);
		else
			*out = dma;
	} while (ret == -EINVAL && ioas->alignment > wish.least);
	return ret;
}

EXPORT int iommufd_dma_alloc(struct iommufd_ioas *ioas, size_t len, uint32_t flags, struct iommufd_dma *out)
{
	return iommufd_dma_alloc_opts(ioas, len, flags, NULL, out);
}

/* The mapping at a buffer's IOVA is another one's, since somebody unmapped the buffer's. */
static bool is_taken(struct iommufd_ioas *ioas, const struct iommufd_dma *dma)
{
	uint64_t vaddr;

	return !ifd_index_to_vaddr(&ioas->index, dma->iova, 1, &vaddr) && vaddr != (uintptr_t)dma->vaddr;
}

EXPORT void iommufd_dma_free(struct iommufd_ioas *ioas, struct iommufd_dma *dma)
{
	struct ifd_words words;
	int ret = 0;

	if (!dma || !dma->len)
		return;
	/* A child process never had the memory, and something else of its own may be there. */
	if (ifd_in_child(ioas->ctx)) {
		*dma = (struct iommufd_dma){ .len = 0 };
		return;
	}
	ifd_words_keep(&words);
	if (!is_taken(ioas, dma))
		ret = iommufd_ioas_unmap(ioas, dma->iova, dma->len, NULL);
	/* Memory that the device may still reach is better lost than given to somebody else. */
	if (ret && ret != -ENOENT)
		ifd_error(&ioas->ctx->log, "a buffer for DMA is lost: %s", iommufd_errmsg());
	else
		ifd_sys_munmap(dma->vaddr, dma->len);
	ifd_words_restore(&words);
	*dma = (struct iommufd_dma){ .len = 0 };
}
