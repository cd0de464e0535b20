/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "dirty.h"
#include "internal.h"

/* `to`, here and below: where its dirty pages go, or NULL. */
static void gone(struct iommufd_ioas *ioas, struct ifd_map *map, const struct ifd_dirty *to)
{
	if (to)
		ifd_dirty_kept(map, to);
	ifd_phys_begin(ioas);
	ifd_phys_unpin(ioas, map);
	ifd_phys_end(ioas);
	ifd_index_left(&ioas->index, map);
}

/* Who unmapped the same memory elsewhere meanwhile did not find this mapping in the index. */
static void stays(struct iommufd_ioas *ioas, struct ifd_map *map)
{
	ifd_phys_begin(ioas);
	ifd_phys_keep(ioas, map);
	ifd_index_stay(&ioas->index, map);
	ifd_phys_end(ioas);
}

static int unmap_now(struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, const struct ifd_dirty *to, uint64_t *done)
{
	const struct ifd_backend *backend = ioas->ctx->backend;

	return to ? backend->dirty_unmap(ioas, iova, len, to, done) : backend->unmap(ioas, iova, len, done);
}

/*
 * After the kernel refused to unmap a run: each mapping by itself, so that the index knows which ones are left. The
 * errno of the last that stays, 0 when all went after all.
 */
static int sort_out(struct iommufd_ioas *ioas, struct ifd_map *map, const struct ifd_map *end,
		    const struct ifd_dirty *to, uint64_t *total)
{
	int error = 0;

	while (map != end) {
		struct ifd_map *next = map->next;
		uint64_t done = 0;
		int ret = unmap_now(ioas, map->iova.start, ifd_map_len(map), to, &done);

		if (ret && ret != -ENOENT) {
			error = ret;
			stays(ioas, map);
		} else {
			*total += ifd_map_len(map);
			gone(ioas, map, to);
		}
		map = next;
	}
	return error;
}

/* Unmaps the neighbours at the head of the list in one go. Returns the rest of the list. */
static struct ifd_map *unmap_run(struct iommufd_ioas *ioas, struct ifd_map *first, const struct ifd_dirty *to,
				 uint64_t *total, int *error)
{
	uint64_t start = first->iova.start, last = first->iova.last, done = 0;
	struct ifd_map *map, *end = first->next;
	int ret;

	if (first->lost) { /* the kernel has nothing there */
		*total += ifd_map_len(first);
		gone(ioas, first, to);
		return end;
	}
	for (; end && !end->lost && last != UINT64_MAX && end->iova.start == last + 1; end = end->next)
		last = end->iova.last;

	ret = unmap_now(ioas, start, last - start + 1, to, &done);
	if (ret) {
		ret = sort_out(ioas, first, end, to, total);
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
		gone(ioas, map, to);
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
static int unmap_gated(struct iommufd_ioas *ioas, uint64_t start, uint64_t last, const struct ifd_dirty *to,
		       uint64_t *total)
{
	struct iommufd_range there = { 0, 0 };
	char hint[IFD_HINT_MAX];
	struct ifd_map *list = NULL;
	int ret, error = 0;

	ret = ifd_index_leave(&ioas->index, start, last, &list, &there);
	if (ret)
		return fail_unmap(ret, start, last, &there);
	while (list)
		list = unmap_run(ioas, list, to, total, &error);
	if (!error)
		return 0;
	snprintf(hint, sizeof(hint),
		 "the kernel refused some of it: %" PRIu64 " bytes were unmapped, the rest stays mapped", *total);
	if (error == -EBUSY)
		ifd_hint(hint, "; a hardware queue may be there, see iommufd_hwqueue_free()");
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
		ret = unmap_gated(ioas, iova, iova + (len - 1), NULL, &total);
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
		ret = unmap_gated(ioas, 0, UINT64_MAX, NULL, &total);
	pthread_rwlock_unlock(&ioas->gate);
	if (!ret && unmapped)
		*unmapped = total;
	return ret;
}

EXPORT int iommufd_ioas_unmap_dirty(struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, uint64_t page_size,
				    uint64_t *bitmap, size_t size, uint64_t *unmapped)
{
	struct ifd_dirty to = { .keep = false };
	uint64_t total = 0;
	int ret = ifd_ctx_check(ioas->ctx, "unmap");

	if (ret)
		return ret;
	pthread_rwlock_rdlock(&ioas->gate);
	ret = ifd_dirty_check(ioas, iova, len, page_size, bitmap, size, &to);
	if (!ret)
		ret = unmap_gated(ioas, iova, iova + (len - 1), &to, &total);
	pthread_rwlock_unlock(&ioas->gate);
	if (!ret && unmapped)
		*unmapped = total;
	return ret;
}
