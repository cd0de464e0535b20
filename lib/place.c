/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The place of a mapping: the one that the caller gives, or the library's choice. */
#include <errno.h>
#include <inttypes.h>

#include "explain.h"
#include "internal.h"
#include "iova.h"
#include "map.h"

/*
 * Where the library picks addresses while no device has told what it permits: above the first page, beside the x86
 * interrupt window, below 2^39 (the narrowest IOMMU in use), and only then higher.
 */
static const struct iommufd_range usual_ranges[] = {
	{ 0x10000, 0xfedfffff },
	{ 0x100000000, (UINT64_C(1) << 39) - 1 },
	{ UINT64_C(1) << 39, (UINT64_C(1) << 47) - 1 },
};

/* Larger pages than this are in no IOMMU's page table. */
#define MAX_ALIGNMENT (UINT64_C(1) << 30)

/* One that most have, beside the smallest. */
#define LARGE_PAGE (UINT64_C(1) << 21)

/* A power of two; 1 for whatever the library likes. */
static uint64_t asked_alignment(uint32_t flags)
{
	return UINT64_C(1) << (flags >> IFD_MAP_ALIGN_SHIFT & 63);
}

static int reserve_fixed(struct iommufd_ioas *ioas, struct ifd_map *map, uint32_t flags, uint64_t iova)
{
	uint64_t len = ifd_map_len(map), last = iova + (len - 1), align = ioas->alignment;
	struct iommufd_range there;
	char hint[IFD_HINT_MAX] = "";

	if (iova & (align - 1))
		return ifd_fail(-EINVAL, "let it be a multiple of iommufd_ioas_alignment()",
				"map at IOVA 0x%" PRIx64 ": not aligned to %" PRIu64, iova, align);
	if (iova & (asked_alignment(flags) - 1))
		return ifd_fail(-EINVAL, "choose another one, or leave out IOMMUFD_MAP_ALIGN() or IOMMUFD_MAP_FIXED",
				"map at IOVA 0x%" PRIx64 ": not aligned to 0x%" PRIx64, iova, asked_alignment(flags));
	if (last < iova)
		return ifd_fail(-EOVERFLOW, "choose an IOVA that leaves room for the length",
				"map %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": goes past 2^64", len, iova);
	if (ioas->ranges && !ifd_permitted(ioas->ranges, ioas->num_ranges, iova, last)) {
		ifd_hint(hint, "stay inside of iommufd_ioas_ranges(): ");
		ifd_hint_ranges(hint, ioas->ranges, ioas->num_ranges);
		return ifd_fail(-EINVAL, hint, "map at IOVA 0x%" PRIx64 "-0x%" PRIx64 ": not permitted", iova, last);
	}
	if (ifd_index_reserve(&ioas->index, map, iova, &there))
		return ifd_fail(-EEXIST, "unmap that first, or choose another IOVA",
				"map at IOVA 0x%" PRIx64 "-0x%" PRIx64 ": 0x%" PRIx64 "-0x%" PRIx64 " is mapped", iova,
				last, there.start, there.last);
	return 0;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The alignment that lets the IOMMU use pages as large as the memory and its address allow: the lowest bit of it. */
static uint64_t good_alignment(const struct ifd_map *map, uint64_t least)
{
	uint64_t start = map->vaddr.start | MAX_ALIGNMENT, highest = UINT64_C(1)
								     << (63 - __builtin_clzll(ifd_map_len(map)));
	uint64_t align = less(start & -start, highest);

	return align > least ? align : least;
}

/* How much is free there is not said: to count that takes long, under the lock of all who map. */
static int fail_full(const struct iommufd_ioas *ioas, const struct ifd_map *map, const struct iommufd_range *window)
{
	const char *what = ioas->num_allowed  ? "allow more with iommufd_ioas_allow()"
			   : ioas->num_spared ? "give back what is reserved with iommufd_ioas_unreserve()"
					      : "use IOMMUFD_MAP_FIXED where nothing is attached yet";
	char hint[IFD_HINT_MAX] = "";

	if (window)
		return ifd_fail(-ENOSPC, "unmap something there, or widen the window",
				"map %" PRIu64 " bytes inside of 0x%" PRIx64 "-0x%" PRIx64 ": no free IOVAs for them",
				ifd_map_len(map), window->start, window->last);
	ifd_hint(hint, "unmap something, or %s", what);
	return ifd_fail(-ENOSPC, hint, "map %" PRIu64 " bytes: no free IOVAs for them", ifd_map_len(map));
}

int ifd_map_reserve_any(struct iommufd_ioas *ioas, struct ifd_map *map, uint32_t flags,
			const struct iommufd_range *window, uint64_t low)
{
	uint64_t least = ioas->alignment, asked = asked_alignment(flags);
	struct ifd_iova_wish wish = {
		.ranges = ioas->ranges ? ioas->ranges : usual_ranges,
		.num_ranges = ioas->ranges ? ioas->num_ranges : sizeof(usual_ranges) / sizeof(usual_ranges[0]),
		.spared = ioas->spared,
		.num_spared = ioas->num_spared,
		.window = { low, UINT64_MAX },
		.len = ifd_map_len(map),
	};

	if (ioas->num_allowed) {
		wish.ranges = ioas->allowed;
		wish.num_ranges = ioas->num_allowed;
	}
	if (window) {
		wish.window.start = window->start > low ? window->start : low;
		wish.window.last = window->last;
	}
	least = asked > least ? asked : least;
	/* From what serves the IOMMU best down to what has to be. */
	for (wish.align = good_alignment(map, least);; wish.align = wish.align > LARGE_PAGE ? LARGE_PAGE : least) {
		if (wish.align < least)
			wish.align = least;
		wish.thorough = wish.align == least;
		if (!ifd_index_reserve_any(&ioas->index, map, &wish))
			return 0;
		if (wish.align == least)
			return fail_full(ioas, map, window);
	}
}

int ifd_map_reserve(struct iommufd_ioas *ioas, struct ifd_map *map, uint32_t flags, uint64_t iova)
{
	/* 0 is nobody's favourite address for a buffer */
	return flags & IOMMUFD_MAP_FIXED ? reserve_fixed(ioas, map, flags, iova)
					 : ifd_map_reserve_any(ioas, map, flags, NULL, 1);
}
