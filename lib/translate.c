/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* From virtual address to IOVA: what drivers do for each request, so it is one pass through the radix table inline. */
#include <errno.h>

#include "internal.h"

/* Apart, so that the others need no stack. */
static __attribute__((noinline)) int refuse(const struct iommufd_ioas *ioas, const void *vaddr)
{
	int ret = ifd_ctx_check(ioas->ctx, "translate");

	return ret ? ret : ifd_fail(-EINVAL, "give the length in bytes", "translate no bytes at %p", vaddr);
}

EXPORT int iommufd_ioas_to_iova(struct iommufd_ioas *ioas, const void *vaddr, size_t len, uint64_t *iova)
{
	if (!len || ifd_in_child(ioas->ctx))
		return refuse(ioas, vaddr);
	return ifd_index_to_iova(&ioas->index, (uintptr_t)vaddr, len, iova);
}
