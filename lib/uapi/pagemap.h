/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The ioctl of /proc/self/pagemap that this library makes: layout and numbers of the kernel's binary interface, in our
 * own words. The names are the kernel's, so never include <linux/fs.h> beside this file.
 */
#ifndef IFD_UAPI_PAGEMAP_H
#define IFD_UAPI_PAGEMAP_H

#include <sys/ioctl.h>

#include "types.h"

/* A run of pages, `end` being behind it. */
struct page_region {
	IFD_ALIGNED_U64 start;
	IFD_ALIGNED_U64 end;
	IFD_ALIGNED_U64 categories;
};

/*
 * Of the pages from `start` to before `end`, those of the wanted categories, as runs in the array `vec`, of which the
 * ioctl returns the number. `walk_end` is the answer too: how far it came.
 */
struct pm_scan_arg {
	IFD_ALIGNED_U64 size;
	IFD_ALIGNED_U64 flags;
	IFD_ALIGNED_U64 start;
	IFD_ALIGNED_U64 end;
	IFD_ALIGNED_U64 walk_end;
	IFD_ALIGNED_U64 vec;
	IFD_ALIGNED_U64 vec_len;
	IFD_ALIGNED_U64 max_pages;
	IFD_ALIGNED_U64 category_inverted;
	IFD_ALIGNED_U64 category_mask;
	IFD_ALIGNED_U64 category_anyof_mask;
	IFD_ALIGNED_U64 return_mask;
};
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)

/* A category: one entry of the page table for a huge page, transparent or not. */
#define PAGE_IS_HUGE (1 << 6)

#endif
