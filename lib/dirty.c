/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Which pages devices have written.
 *
 * Kernels tell more than they were asked for, and forget it in the same moment: an IOMMU has one bit for a large page,
 * of which the caller may want a part only, and VFIO answers for whole mappings. So whole mappings are asked for, or
 * large aligned pieces of them, and what the caller did not want is kept with the mapping until somebody does. The same
 * place serves where there is nobody to be asked any more: after the last detach, and after the end of a page table.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dirty.h"
#include "internal.h"
#include "udev.h"

/* ---- Room ---- */

static uint64_t whole_pages(uint64_t bytes)
{
	uint64_t page = ifd_sys_page_size();

	return (bytes + page - 1) & ~(page - 1);
}

int ifd_dirty_empty(struct ifd_dirty_room *room, uint64_t page, uint64_t start, uint64_t last, struct ifd_bitmap *out)
{
	struct ifd_bitmap bitmap = { NULL, start, last, page };
	uint64_t bits = ifd_bitmap_bits(&bitmap), bytes = whole_pages(ifd_bitmap_size(&bitmap));

	if (room->bits < bits) {
		free(room->memory);
		room->memory = calloc(1, bytes + ifd_sys_page_size());
		room->bits = room->memory ? bits : 0;
	}
	if (!room->memory)
		return ifd_fail(-ENOMEM, NULL, "read which pages are dirty");
	bitmap.words = (void *)(uintptr_t)whole_pages((uintptr_t)room->memory);
	memset(bitmap.words, 0, bytes);
	*out = bitmap;
	return 0;
}

/* ---- What is asked for in one go ---- */

bool ifd_dirty_gather(struct iommufd_ioas *ioas, struct ifd_map **at, uint64_t last, uint64_t most,
		      struct iommufd_range *out)
{
	struct ifd_map *map = *at;

	/* What leads nowhere is a hole to the kernel, which would stop there without a word. */
	while (map && map->lost)
		map = ifd_index_after(&ioas->index, map, last);
	*at = map;
	if (!map)
		return false;
	*out = (struct iommufd_range){ map->iova.start, map->iova.last };
	while ((*at = ifd_index_after(&ioas->index, map, last))) {
		map = *at;
		if (map->lost)
			break;
		if (most ? map->iova.last - out->start >= most : map->iova.start != out->last + 1)
			break;
		out->last = map->iova.last;
	}
	return true;
}

/* ---- What is kept ---- */

static struct ifd_bitmap kept_of(const struct ifd_map *map)
{
	return (struct ifd_bitmap){ map->kept, map->iova.start, map->iova.last, ifd_sys_page_size() };
}

static void keep(struct ifd_map *map, const struct ifd_bitmap *from, uint64_t start, uint64_t last)
{
	struct ifd_bitmap kept = kept_of(map);

	if (map->all_dirty || !ifd_bitmap_any(from, start, last))
		return;
	if (!kept.words)
		kept.words = map->kept = calloc(1, ifd_bitmap_size(&kept));
	if (kept.words)
		ifd_bitmap_merge(&kept, from, start, last);
	else
		map->all_dirty = true;
}

/* In a child process that is forked meanwhile the mapping is freed as it is: so it must not have what is freed. */
static void forget(struct ifd_map *map)
{
	uint64_t *volatile *at = &map->kept;
	uint64_t *kept = *at;

	*at = NULL;
	free(kept);
	map->all_dirty = false;
}

/* What the caller has been given. Of a mapping that is dirty as a whole a part cannot be forgotten. */
static void forget_part(struct ifd_map *map, const struct ifd_bitmap *given)
{
	struct ifd_bitmap kept = kept_of(map);

	if (given->start <= map->iova.start && given->last >= map->iova.last)
		forget(map);
	else if (map->kept)
		ifd_bitmap_clear(&kept, given->start, given->last);
}

void ifd_dirty_kept(const struct ifd_map *map, const struct ifd_dirty *to)
{
	struct ifd_bitmap kept = kept_of(map);

	if (map->all_dirty)
		ifd_bitmap_set(&to->out, map->iova.start, map->iova.last);
	if (map->kept)
		ifd_bitmap_merge(&to->out, &kept, map->iova.start, map->iova.last);
}

static void take_one(struct ifd_map *map, const struct ifd_bitmap *from, const struct ifd_dirty *to, bool cleared)
{
	uint64_t start = from->start > map->iova.start ? from->start : map->iova.start;
	uint64_t last = from->last < map->iova.last ? from->last : map->iova.last;
	const struct ifd_bitmap *out = &to->out;

	if (out->words)
		ifd_bitmap_merge(out, from, start, last);
	if (!cleared)
		return;
	if (!out->words || to->keep || start > out->last || last < out->start) {
		keep(map, from, start, last);
		return;
	}
	if (start < out->start)
		keep(map, from, start, out->start - 1);
	if (last > out->last)
		keep(map, from, out->last + 1, last);
}

void ifd_dirty_take(struct iommufd_ioas *ioas, const struct ifd_bitmap *from, const struct ifd_dirty *to, bool cleared)
{
	struct ifd_map *map = ifd_index_next(&ioas->index, from->start, from->last);

	for (; map; map = ifd_index_after(&ioas->index, map, from->last))
		if (map->flags & IOMMUFD_MAP_WRITE)
			take_one(map, from, to, cleared);
}

void ifd_dirty_all(struct iommufd_ioas *ioas)
{
	struct ifd_map *map = ifd_index_next(&ioas->index, 0, UINT64_MAX);

	for (; map; map = ifd_index_after(&ioas->index, map, UINT64_MAX))
		map->all_dirty = map->flags & IOMMUFD_MAP_WRITE;
}

void ifd_dirty_lost(struct iommufd_ioas *ioas)
{
	ifd_warn(&ioas->ctx->log, "every page counts as dirty: %s", iommufd_errmsg());
	ifd_dirty_all(ioas);
}

void ifd_dirty_save(struct iommufd_ioas *ioas)
{
	const struct ifd_dirty nowhere = { .keep = false };
	struct ifd_words words;

	ifd_words_keep(&words);
	if (ioas->ctx->backend->dirty_read(ioas, 0, UINT64_MAX, &nowhere))
		ifd_dirty_lost(ioas);
	ifd_words_restore(&words);
}

/* ---- Begin and end ---- */

int ifd_fail_unseen(const struct iommufd_device *dev, int err, const char *why)
{
	return ifd_fail(err, why, "track dirty pages: what %s writes would not be seen", dev->found->name);
}

static const char begin_first[] = "call iommufd_ioas_dirty_start() first";

/* Gate held exclusively. */
static int start_gated(struct iommufd_ioas *ioas)
{
	int ret;

	if (ioas->tracking)
		return ifd_fail(-EBUSY, "it goes on until iommufd_ioas_dirty_stop()",
				"track dirty pages: they are tracked already");
	if (ioas->physical)
		return ifd_fail(-EOPNOTSUPP, "only an IOMMU could tell",
				"track dirty pages: a device without an IOMMU is attached");
	ret = ioas->ctx->backend->dirty_set(ioas, true);
	if (!ret)
		ioas->tracking = true;
	return ret;
}

EXPORT int iommufd_ioas_dirty_start(struct iommufd_ioas *ioas)
{
	int ret = ifd_ctx_check(ioas->ctx, "track dirty pages");

	if (ret)
		return ret;
	pthread_rwlock_wrlock(&ioas->gate);
	ret = start_gated(ioas);
	pthread_rwlock_unlock(&ioas->gate);
	return ret;
}

/* When it fails, it goes on, and what the kernel has forgotten by then counts as dirty. */
static int stop_gated(struct iommufd_ioas *ioas)
{
	struct ifd_map *map;
	int ret = ioas->tracking ? ioas->ctx->backend->dirty_set(ioas, false)
				 : ifd_fail(-EINVAL, begin_first, "stop tracking dirty pages: they are not tracked");

	if (ret)
		return ret;
	ioas->tracking = false;
	for (map = ifd_index_next(&ioas->index, 0, UINT64_MAX); map;
	     map = ifd_index_after(&ioas->index, map, UINT64_MAX))
		forget(map);
	return 0;
}

EXPORT int iommufd_ioas_dirty_stop(struct iommufd_ioas *ioas)
{
	int ret = ifd_ctx_check(ioas->ctx, "stop tracking dirty pages");

	if (ret)
		return ret;
	pthread_rwlock_wrlock(&ioas->gate);
	ret = stop_gated(ioas);
	pthread_rwlock_unlock(&ioas->gate);
	return ret;
}

/* ---- What is dirty ---- */

int ifd_dirty_check_range(uint64_t iova, uint64_t len, uint64_t page_size, uint64_t least, const char *hint,
			  uint64_t *bitmap, size_t size, struct ifd_bitmap *out)
{
	struct ifd_bitmap asked = { bitmap, iova, iova + (len - 1), page_size };
	char need[IFD_HINT_MAX] = "";
	int err = -EINVAL;

	if (hint)
		;
	else if (!bitmap)
		hint = "give a bitmap, of one bit for each page";
	else if (page_size & (page_size - 1) || page_size < least) {
		ifd_hint(need, "let the page size be a power of two, of %" PRIu64 " at least", least);
		hint = need;
	} else if (!len || (iova | len) & (page_size - 1))
		hint = "let IOVA and length be multiples of the page size, and the length not 0";
	else if (iova + (len - 1) < iova) {
		hint = "choose a length that ends below 2^64";
		err = -EOVERFLOW;
	}
	if (!hint && ifd_bitmap_size(&asked) > size) {
		ifd_hint(need, "give a bitmap of %" PRIu64 " bytes or more, this one has %zu", ifd_bitmap_size(&asked),
			 size);
		hint = need;
	}
	if (hint)
		return ifd_fail(err, hint,
				"tell which pages are dirty of %" PRIu64 " bytes at IOVA 0x%" PRIx64
				", in pages of %" PRIu64,
				len, iova, page_size);
	*out = asked;
	return 0;
}

int ifd_dirty_check(const struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, uint64_t page_size, uint64_t *bitmap,
		    size_t size, struct ifd_dirty *out)
{
	return ifd_dirty_check_range(iova, len, page_size, ioas->alignment, ioas->tracking ? NULL : begin_first, bitmap,
				     size, &out->out);
}

/* The kernel first: what it tells beyond the range is kept, and what fails in the middle leaves the rest for later. */
static int read_gated(struct iommufd_ioas *ioas, const struct ifd_dirty *to)
{
	const struct ifd_bitmap *out = &to->out;
	struct ifd_map *map;
	int ret = ioas->ctx->backend->dirty_read(ioas, out->start, out->last, to);

	if (ret)
		return ret;
	map = ifd_index_next(&ioas->index, out->start, out->last);
	for (; map; map = ifd_index_after(&ioas->index, map, out->last)) {
		ifd_dirty_kept(map, to);
		if (!to->keep)
			forget_part(map, out);
	}
	return 0;
}

EXPORT int iommufd_ioas_dirty_read(struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, uint64_t page_size,
				   uint32_t flags, uint64_t *bitmap, size_t size)
{
	struct ifd_dirty to = { .keep = flags & IOMMUFD_DIRTY_KEEP };
	int ret = ifd_ctx_check(ioas->ctx, "read which pages are dirty");

	if (ret)
		return ret;
	if (flags & ~(uint32_t)IOMMUFD_DIRTY_KEEP)
		return ifd_fail(-EINVAL, "use the IOMMUFD_DIRTY flags only",
				"read which pages are dirty with the flags 0x%x", flags);
	pthread_rwlock_wrlock(&ioas->gate);
	ret = ifd_dirty_check(ioas, iova, len, page_size, bitmap, size, &to);
	if (!ret)
		ret = read_gated(ioas, &to);
	pthread_rwlock_unlock(&ioas->gate);
	return ret;
}
