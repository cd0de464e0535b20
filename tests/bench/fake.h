/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * An iommufd that is always content, for what the library does beside the kernel: its ioctls succeed and do nothing.
 * The program's own open() and ioctl() come before those of libc, for the library too.
 */
#ifndef FAKE_H
#define FAKE_H

#include <libiommufd.h>

/* An IOAS of a context of its own. Give it to iommufd_ioas_free(). */
struct iommufd_ioas *fake_ioas_new(void);

/* What mapping and unmapping are in such a kernel: its ioctl alone. */
void fake_raw_map(const void *vaddr, uint64_t len, uint64_t iova);
void fake_raw_unmap(uint64_t iova, uint64_t len);

/* Nobody looks at the memory there, which is not there. */
static inline void *fake_memory(uint64_t offset)
{
	return (void *)(uintptr_t)(UINT64_C(0x100000000000) + offset);
}

#endif
