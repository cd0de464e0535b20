/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Every declaration of lib/uapi/pagemap.h: see uapi-table.h. */
/* clang-format off */

STRUCT(page_region)
MEMBER(page_region, start)
MEMBER(page_region, end)
MEMBER(page_region, categories)
STRUCT(pm_scan_arg)
MEMBER(pm_scan_arg, size)
MEMBER(pm_scan_arg, flags)
MEMBER(pm_scan_arg, start)
MEMBER(pm_scan_arg, end)
MEMBER(pm_scan_arg, walk_end)
MEMBER(pm_scan_arg, vec)
MEMBER(pm_scan_arg, vec_len)
MEMBER(pm_scan_arg, max_pages)
MEMBER(pm_scan_arg, category_inverted)
MEMBER(pm_scan_arg, category_mask)
MEMBER(pm_scan_arg, category_anyof_mask)
MEMBER(pm_scan_arg, return_mask)
NUMBER(PAGEMAP_SCAN)
NUMBER(PAGE_IS_HUGE)
