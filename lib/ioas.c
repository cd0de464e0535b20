/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static const struct iommufd_range everything = { 0, UINT64_MAX };

/* Larger pages than this are in no IOMMU's page table. */
#define MAX_ALIGNMENT (UINT64_C(1) << 30)

EXPORT int iommufd_ioas_new(struct iommufd_ctx *ctx, struct iommufd_ioas **out)
{
	struct iommufd_ioas *ioas;
	int ret = ifd_ctx_check(ctx, "make an IOAS");

	if (ret)
		return ret;
	ioas = calloc(1, sizeof(*ioas));
	if (!ioas)
		return ifd_fail(-ENOMEM, NULL, "make an IOAS");
	ioas->refs = 1;
	ioas->ctx = ctx;
	ioas->container = -1;
	ioas->alignment = ifd_sys_page_size();
	ret = ctx->backend->ioas_new(ioas);
	if (ret) {
		free(ioas);
		return ret;
	}
	pthread_rwlock_init(&ioas->gate, NULL);
	ifd_index_init(&ioas->index);
	ifd_ctx_get(ctx);
	*out = ioas;
	return 0;
}

void ifd_ioas_get(struct iommufd_ioas *ioas)
{
	atomic_fetch_add(&ioas->refs, 1);
}

void ifd_ioas_put(struct iommufd_ioas *ioas)
{
	struct iommufd_ctx *ctx = ioas->ctx;

	if (atomic_fetch_sub(&ioas->refs, 1) != 1)
		return;
	ctx->backend->ioas_free(ioas);
	ifd_index_fini(&ioas->index);
	pthread_rwlock_destroy(&ioas->gate);
	free(ioas->ranges);
	free(ioas);
	iommufd_ctx_free(ctx);
}

EXPORT void iommufd_ioas_free(struct iommufd_ioas *ioas)
{
	if (ioas)
		ifd_ioas_put(ioas);
}

/* Whether a range is inside of one of the permitted ones. */
static bool permitted(const struct iommufd_range *ranges, size_t count, uint64_t start, uint64_t last)
{
	for (size_t i = 0; i < count; i++)
		if (start >= ranges[i].start && last <= ranges[i].last)
			return true;
	return false;
}

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
	if (ioas->ranges && !permitted(ioas->ranges, ioas->num_ranges, iova, last)) {
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

/*
 * After the kernel refused to unmap a run: each mapping by itself, so that the index knows which ones are left. The
 * errno of the last that stays, 0 when all went after all.
 */
static int sort_out(struct iommufd_ioas *ioas, struct ifd_map *map, const struct ifd_map *end, uint64_t *total)
{
	int error = 0;

	while (map != end) {
		struct ifd_map *next = map->next;
		uint64_t done = 0;
		int ret = ioas->ctx->backend->unmap(ioas, map->iova.start, ifd_map_len(map), &done);

		if (ret && ret != -ENOENT) {
			error = ret;
			ifd_index_stay(&ioas->index, map);
		} else {
			*total += ifd_map_len(map);
			ifd_index_left(&ioas->index, map);
		}
		map = next;
	}
	return error;
}

/* Unmaps the neighbours at the head of the list in one go. Returns the rest of the list. */
static struct ifd_map *unmap_run(struct iommufd_ioas *ioas, struct ifd_map *first, uint64_t *total, int *error)
{
	uint64_t start = first->iova.start, last = first->iova.last, done = 0;
	struct ifd_map *map, *end = first->next;
	int ret;

	for (; end && last != UINT64_MAX && end->iova.start == last + 1; end = end->next)
		last = end->iova.last;

	ret = ioas->ctx->backend->unmap(ioas, start, last - start + 1, &done);
	if (ret) {
		ret = sort_out(ioas, first, end, total);
		*error = *error ? *error : ret;
		return end;
	}
	if (done != last - start + 1)
		ifd_warn(&ioas->ctx->log, "unmapping 0x%" PRIx64 "-0x%" PRIx64 " the kernel counted %" PRIu64 " bytes",
			 start, last, done);
	*total += last - start + 1;
	while (first != end) {
		map = first;
		first = first->next;
		ifd_index_left(&ioas->index, map);
	}
	return end;
}

static int fail_unmap(int ret, uint64_t start, uint64_t last, const struct iommufd_range *there)
{
	char hint[IFD_HINT_MAX] = "";

	if (ret == -ENOENT)
		ifd_hint(hint, "use an IOVA that iommufd_ioas_map() gave or took");
	else
		ifd_hint(hint, "%s 0x%" PRIx64 "-0x%" PRIx64,
			 ret == -EINVAL ? "unmap whole mappings; the range cuts" : "another thread is at work on",
			 there->start, there->last);
	return ifd_fail(ret, hint, "unmap IOVA 0x%" PRIx64 "-0x%" PRIx64, start, last);
}

/* Gate held, arguments checked. Holes in the range are never shown to the kernel: another thread may map there. */
static int unmap_gated(struct iommufd_ioas *ioas, uint64_t start, uint64_t last, uint64_t *total)
{
	struct iommufd_range there = { 0, 0 };
	char hint[IFD_HINT_MAX];
	struct ifd_map *list = NULL;
	int ret, error = 0;

	ret = ifd_index_leave(&ioas->index, start, last, &list, &there);
	if (ret)
		return fail_unmap(ret, start, last, &there);
	while (list)
		list = unmap_run(ioas, list, total, &error);
	if (!error)
		return 0;
	snprintf(hint, sizeof(hint),
		 "the kernel refused some of it: %" PRIu64 " bytes were unmapped, the rest stays mapped", *total);
	return ifd_fail(error, hint, "unmap IOVA 0x%" PRIx64 "-0x%" PRIx64, start, last);
}

static int check_unmap(const struct iommufd_ioas *ioas, uint64_t iova, uint64_t len)
{
	uint64_t align = ioas->alignment;

	if (!len)
		return ifd_fail(-EINVAL, "give the length in bytes, or use iommufd_ioas_unmap_all()",
				"unmap of no bytes");
	if (iova + (len - 1) < iova)
		return ifd_fail(-EOVERFLOW, "use iommufd_ioas_unmap_all() to unmap everything",
				"unmap %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": goes past 2^64", len, iova);
	if ((iova | len) & (align - 1))
		return ifd_fail(-EINVAL, "let both be multiples of iommufd_ioas_alignment()",
				"unmap %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": not aligned to %" PRIu64, len, iova,
				align);
	return 0;
}

EXPORT int iommufd_ioas_unmap(struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, uint64_t *unmapped)
{
	uint64_t total = 0;
	int ret = ifd_ctx_check(ioas->ctx, "unmap");

	if (ret)
		return ret;
	pthread_rwlock_rdlock(&ioas->gate);
	ret = check_unmap(ioas, iova, len);
	if (!ret)
		ret = unmap_gated(ioas, iova, iova + (len - 1), &total);
	pthread_rwlock_unlock(&ioas->gate);
	if (!ret && unmapped)
		*unmapped = total;
	return ret;
}

EXPORT int iommufd_ioas_unmap_all(struct iommufd_ioas *ioas, uint64_t *unmapped)
{
	uint64_t total = 0;
	int ret = ifd_ctx_check(ioas->ctx, "unmap all");

	if (ret)
		return ret;
	/* Exclusive, so that "everything" means something while other threads map. */
	pthread_rwlock_wrlock(&ioas->gate);
	if (ifd_index_next(&ioas->index, 0, UINT64_MAX))
		ret = unmap_gated(ioas, 0, UINT64_MAX, &total);
	pthread_rwlock_unlock(&ioas->gate);
	if (!ret && unmapped)
		*unmapped = total;
	return ret;
}

EXPORT int iommufd_ioas_ranges(struct iommufd_ioas *ioas, struct iommufd_range *ranges, size_t max)
{
	const struct iommufd_range *from = &everything;
	size_t count = 1;

	pthread_rwlock_rdlock(&ioas->gate);
	if (ioas->ranges) {
		from = ioas->ranges;
		count = ioas->num_ranges;
	}
	if (max)
		memcpy(ranges, from, (count < max ? count : max) * sizeof(*ranges));
	pthread_rwlock_unlock(&ioas->gate);
	return (int)count;
}

EXPORT uint64_t iommufd_ioas_alignment(const struct iommufd_ioas *ioas)
{
	return ioas->alignment;
}

EXPORT int iommufd_ioas_to_iova(struct iommufd_ioas *ioas, const void *vaddr, size_t len, uint64_t *iova)
{
	if (!len)
		return ifd_fail(-EINVAL, "give the length in bytes", "translate no bytes at %p", vaddr);
	return ifd_index_to_iova(&ioas->index, (uintptr_t)vaddr, len, iova);
}

EXPORT int iommufd_ioas_to_vaddr(struct iommufd_ioas *ioas, uint64_t iova, size_t len, void **vaddr)
{
	uint64_t found;
	int ret;

	if (!len)
		return ifd_fail(-EINVAL, "give the length in bytes", "translate no bytes at IOVA 0x%" PRIx64, iova);
	ret = ifd_index_to_vaddr(&ioas->index, iova, len, &found);
	if (!ret)
		*vaddr = (void *)(uintptr_t)found;
	return ret;
}

const struct ifd_map *ifd_ioas_misfit(struct iommufd_ioas *ioas, const struct iommufd_range *ranges, size_t count,
				      uint64_t alignment)
{
	const struct ifd_map *map = ifd_index_next(&ioas->index, 0, UINT64_MAX);

	for (; map; map = ifd_index_after(&ioas->index, map))
		if (!permitted(ranges, count, map->iova.start, map->iova.last) ||
		    ((map->iova.start | map->vaddr.start | ifd_map_len(map)) & (alignment - 1)))
			return map;
	return NULL;
}

int ifd_ioas_refresh(struct iommufd_ioas *ioas)
{
	struct iommufd_range *ranges = NULL;
	uint64_t alignment = ifd_sys_page_size();
	size_t count = 0;

	if (ioas->attached) {
		uint64_t wanted;
		int ret = ioas->ctx->backend->ioas_limits(ioas, &ranges, &count, &wanted);

		if (ret)
			return ret;
		alignment = wanted > alignment ? wanted : alignment;
	}
	free(ioas->ranges);
	ioas->ranges = ranges;
	ioas->num_ranges = count;
	ioas->alignment = alignment;
	return 0;
}
