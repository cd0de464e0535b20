/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "explain.h"
#include "internal.h"

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

static int check_map(const struct iommufd_ioas *ioas, const void *vaddr, size_t len, uint32_t flags)
{
	uint64_t align = ioas->alignment, start = (uintptr_t)vaddr;

	if (flags & ~(uint32_t)(IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE | IOMMUFD_MAP_FIXED))
		return ifd_fail(-EINVAL, "use the IOMMUFD_MAP flags only", "map with the flags 0x%x", flags);
	if (!(flags & (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)))
		return ifd_fail(-EINVAL, "add IOMMUFD_MAP_READ, IOMMUFD_MAP_WRITE or both",
				"map that a device may neither read nor write");
	if (!len)
		return ifd_fail(-EINVAL, "give the length in bytes", "map of no bytes");
	if ((start | len) & (align - 1))
		return ifd_fail(-EINVAL, "let both be multiples of iommufd_ioas_alignment()",
				"map %p of %zu bytes: not aligned to %" PRIu64, vaddr, len, align);
	if (start > UINTPTR_MAX - (len - 1))
		return ifd_fail(-EOVERFLOW, "give the length in bytes that the memory has", "map %p of %zu bytes",
				vaddr, len);
	return 0;
}

static int reserve_fixed(struct iommufd_ioas *ioas, struct ifd_map *map, uint64_t iova)
{
	uint64_t len = ifd_map_len(map), last = iova + (len - 1), align = ioas->alignment;
	struct iommufd_range there;
	char hint[IFD_HINT_MAX] = "";

	if (iova & (align - 1))
		return ifd_fail(-EINVAL, "let it be a multiple of iommufd_ioas_alignment()",
				"map at IOVA 0x%" PRIx64 ": not aligned to %" PRIu64, iova, align);
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

/* The alignment that lets the IOMMU use pages as large as the memory and its address allow. */
static uint64_t good_alignment(const struct ifd_map *map, uint64_t least)
{
	uint64_t align = MAX_ALIGNMENT, len = ifd_map_len(map);

	while (align > least && (align > len || (map->vaddr.start & (align - 1))))
		align >>= 1;
	return align;
}

static int reserve_any(struct iommufd_ioas *ioas, struct ifd_map *map)
{
	const struct iommufd_range *ranges = ioas->ranges ? ioas->ranges : usual_ranges;
	size_t count = ioas->ranges ? ioas->num_ranges : sizeof(usual_ranges) / sizeof(usual_ranges[0]);
	uint64_t least = ioas->alignment;

	if (!ifd_index_reserve_any(&ioas->index, map, ranges, count, good_alignment(map, least)) ||
	    !ifd_index_reserve_any(&ioas->index, map, ranges, count, least))
		return 0;
	return ifd_fail(-ENOSPC, "unmap something, or use IOMMUFD_MAP_FIXED where nothing is attached yet",
			"map %" PRIu64 " bytes: no free IOVAs for them", ifd_map_len(map));
}

/* Once it is committed, another thread may unmap it: `map` is not looked at from then on. */
static int map_gated(struct iommufd_ioas *ioas, struct ifd_map *map, uint32_t flags, uint64_t *iova)
{
	int ret = flags & IOMMUFD_MAP_FIXED ? reserve_fixed(ioas, map, *iova) : reserve_any(ioas, map);

	if (ret)
		return ret;
	ret = ioas->ctx->backend->map(ioas, map);
	if (ret) {
		ifd_index_withdraw(&ioas->index, map);
		return ret;
	}
	*iova = map->iova.start;
	ifd_index_commit(&ioas->index, map);
	return 0;
}

EXPORT int iommufd_ioas_map(struct iommufd_ioas *ioas, void *vaddr, size_t len, uint32_t flags, uint64_t *iova)
{
	struct ifd_map *map;
	int ret = ifd_ctx_check(ioas->ctx, "map");

	if (ret)
		return ret;
	pthread_rwlock_rdlock(&ioas->gate);
	ret = check_map(ioas, vaddr, len, flags);
	if (ret)
		goto out;
	map = ifd_map_new(vaddr, len, flags & (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE));
	if (!map) {
		ret = ifd_fail(-ENOMEM, NULL, "map %p of %zu bytes", vaddr, len);
		goto out;
	}
	ret = map_gated(ioas, map, flags, iova);
	if (ret)
		free(map);
out:
	pthread_rwlock_unlock(&ioas->gate);
	return ret;
}
