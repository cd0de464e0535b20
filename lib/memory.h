/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Memory for DMA: which pages it is made of, and of which NUMA node. Internal. */
#ifndef IFD_MEMORY_H
#define IFD_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include <libiommufd/dma.h>

struct iommufd_ctx;

struct ifd_memory_wish {
	const struct iommufd_ctx *ctx;
	size_t len;     /* bytes, not 0; rounded up to a multiple of the pages and of `least` */
	uint64_t least; /* the least alignment, a power of two */
	uint32_t pages; /* IOMMUFD_DMA bits; 0 for those of the CPU */
	uint32_t node;  /* its number + 1, or 0 for any */
};

/* Writes all members but `iova`. It goes by ifd_sys_munmap(). Fails with words. */
int ifd_memory_new(const struct ifd_memory_wish *wish, struct iommufd_dma *out);

#endif
