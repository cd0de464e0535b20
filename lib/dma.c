/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"
#include "map.h"

#define HUGE_PAGE       (UINT64_C(2) << 20)
#define HUGE_PAGE_SHIFT 21
#define HUGE_SHIFT_BIT  26 /* where mmap() takes the size of huge pages; older libc headers lack the name */

static int fail_memory(int err, size_t len, bool huge)
{
	char total[64] = "?", hint[IFD_HINT_MAX] = "";

	if (!huge)
		return ifd_fail(err,
				err == -ENOMEM ? "ask for less: memory is short, or the limit of the process's address "
						 "space, see ulimit -v, or vm.overcommit_memory is in the way"
					       : NULL,
				"allocate %zu bytes for DMA", len);
	ifd_sys_read_text("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", total, sizeof(total));
	total[strcspn(total, "\n")] = '\0';
	ifd_hint(hint,
		 "%zu huge pages of 2 MiB are needed and %s are free: raise "
		 "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages, or leave out IOMMUFD_DMA_HUGE",
		 len / HUGE_PAGE, total);
	return ifd_fail(err, hint, "allocate %zu bytes of huge pages for DMA", len);
}

/* Pages at a multiple of `align`, a power of two that may be more than the CPU's page size. */
static int map_aligned(size_t len, uint64_t align, int flags, void **out)
{
	size_t slack = align > ifd_sys_page_size() && !(flags & MAP_HUGETLB) ? (size_t)align : 0, head;
	void *all;
	int ret;

	if (len + slack < len)
		return -ENOMEM;
	ret = ifd_sys_mmap(-1, 0, len + slack, PROT_READ | PROT_WRITE, flags, &all);
	if (ret)
		return ret;
	head = slack ? (size_t)(-(uintptr_t)all & (align - 1)) : 0;
	if (head)
		ifd_sys_munmap(all, head);
	if (slack > head)
		ifd_sys_munmap((char *)all + head + len, slack - head);
	*out = (char *)all + head;
	return 0;
}

/*
 * Memory that no child process shares: a copy on write would part the process from what the device sees. Where it may
 * be no more than locked, it must not be put together to huge pages later: those are elsewhere.
 */
static int memory_new(const struct iommufd_ctx *ctx, size_t len, uint64_t align, bool huge, void **out)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS, ret;

	if (huge)
		flags |= MAP_HUGETLB | HUGE_PAGE_SHIFT << HUGE_SHIFT_BIT;
	ret = map_aligned(len, align, flags, out);
	if (ret)
		return fail_memory(ret, len, huge);

	ret = ifd_sys_madvise(*out, len, MADV_DONTFORK);
	if (ret) {
		ifd_sys_munmap(*out, len);
		return ifd_fail(ret, NULL, "keep %zu bytes for DMA from child processes", len);
	}
	if (ctx->noiommu && !huge)
		ifd_sys_madvise(*out, len, MADV_NOHUGEPAGE); /* fails where there are no such pages */
	return 0;
}

EXPORT int iommufd_dma_alloc(struct iommufd_ioas *ioas, size_t len, uint32_t flags, struct iommufd_dma *out)
{
	bool huge = flags & IOMMUFD_DMA_HUGE;
	uint64_t page = huge && HUGE_PAGE > ioas->alignment ? HUGE_PAGE : ioas->alignment;
	struct iommufd_dma dma = { .len = (size_t)((len + (page - 1)) & ~(page - 1)) };
	int ret;

	if (!len)
		return ifd_fail(-EINVAL, "give the length in bytes", "allocate no bytes for DMA");
	if (flags & ~(IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE | IOMMUFD_DMA_HUGE | IFD_MAP_ALIGN))
		return ifd_fail(
			-EINVAL,
			"use IOMMUFD_MAP_READ, IOMMUFD_MAP_WRITE, IOMMUFD_DMA_HUGE and IOMMUFD_MAP_ALIGN() only",
			"allocate for DMA with the flags 0x%x", flags);
	if (dma.len < len)
		return ifd_fail(-EOVERFLOW, "ask for less", "allocate %zu bytes for DMA", len);

	ret = memory_new(ioas->ctx, dma.len, page, huge, &dma.vaddr);
	if (ret)
		return ret;
	ret = iommufd_ioas_map(ioas, dma.vaddr, dma.len, flags & ~(uint32_t)IOMMUFD_DMA_HUGE, &dma.iova);
	if (ret) {
		ifd_sys_munmap(dma.vaddr, dma.len);
		return ret;
	}
	*out = dma;
	return 0;
}

EXPORT void iommufd_dma_free(struct iommufd_ioas *ioas, struct iommufd_dma *dma)
{
	if (!dma || !dma->len)
		return;
	/* A child process never had the memory, and something else of its own may be there. */
	if (ifd_in_child(ioas->ctx)) {
		*dma = (struct iommufd_dma){ .len = 0 };
		return;
	}
	/* Memory that the device may still reach is better lost than given to somebody else. */
	if (iommufd_ioas_unmap(ioas, dma->iova, dma->len, NULL))
		ifd_error(&ioas->ctx->log, "a buffer for DMA is lost: %s", iommufd_errmsg());
	else
		ifd_sys_munmap(dma->vaddr, dma->len);
	*dma = (struct iommufd_dma){ .len = 0 };
}
