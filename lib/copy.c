/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What is mapped in one IOAS, mapped in another. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "explain.h"
#include "file.h"
#include "internal.h"
#include "map.h"
#include "object.h"
#include "peer.h"
#include "vma.h"

struct copy {
	struct iommufd_ioas *src, *dst;
	uint64_t start, last; /* in `src` */
	uint32_t flags;
	struct ifd_map **pieces; /* of `dst`, one for each mapping of `src` */
	size_t count;
	struct ifd_map *whole; /* finds the place for all of them */
};

static uint64_t len_of(const struct copy *copy)
{
	return copy->last - copy->start + 1;
}

static int check_copy(const struct iommufd_ioas *src, const struct iommufd_ioas *dst, uint64_t iova, uint64_t len)
{
	uint64_t align = src->alignment > dst->alignment ? src->alignment : dst->alignment;

	if ((iova | len) & (align - 1))
		return ifd_fail(-EINVAL, "let both be multiples of iommufd_ioas_alignment()",
				"copy %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": not aligned to %" PRIu64, len, iova,
				align);
	if (iova + (len - 1) < iova)
		return ifd_fail(-EOVERFLOW, "give the length that is mapped",
				"copy %" PRIu64 " bytes at IOVA 0x%" PRIx64 ": goes past 2^64", len, iova);
	return 0;
}

static int fail_hold(const struct copy *copy, int err, const struct iommufd_range *there)
{
	char hint[IFD_HINT_MAX] = "";

	if (err == -ENOENT)
		ifd_hint(hint, "nothing is mapped at 0x%" PRIx64, there->start);
	else
		ifd_hint(hint, "another thread is at work on 0x%" PRIx64 "-0x%" PRIx64, there->start, there->last);
	return ifd_fail(err, hint, "copy IOVA 0x%" PRIx64 "-0x%" PRIx64, copy->start, copy->last);
}

static int check_piece(const struct copy *copy, const struct ifd_map *map)
{
	if (map->file && copy->dst->physical)
		return ifd_file_fail_physical("copy a mapping of a file");
	if (map->lost || ifd_peer_is_away(map))
		return ifd_fail(-ENODEV, "its device is detached, or being reset: try again when it is back",
				"copy IOVA 0x%" PRIx64 "-0x%" PRIx64 ": the memory of a device is not there",
				copy->start, copy->last);
	if (copy->flags & ~map->flags & IOMMUFD_MAP_WRITE)
		return ifd_fail(-EPERM, "leave out IOMMUFD_MAP_WRITE, or map it with that in the first place",
				"copy IOVA 0x%" PRIx64 "-0x%" PRIx64 " for writing: 0x%" PRIx64 "-0x%" PRIx64
				" is mapped for reading only",
				copy->start, copy->last, map->iova.start, map->iova.last);
	return 0;
}

/* The mappings are held, so that they stay as they are. */
static int cut(struct copy *copy)
{
	uint64_t at = copy->start;
	int ret;

	for (size_t i = 0; i < copy->count; i++) {
		const struct ifd_map *map = ifd_index_next(&copy->src->index, at, at);
		uint64_t last = map->iova.last < copy->last ? map->iova.last : copy->last;

		ret = check_piece(copy, map);
		if (ret)
			return ret;
		copy->pieces[i] = ifd_map_part(map, at - map->iova.start, last - at + 1,
					       copy->flags & (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE));
		if (!i && copy->pieces[0])
			copy->whole = ifd_map_part(copy->pieces[0], 0, len_of(copy), 0);
		if (!copy->pieces[i] || !copy->whole)
			return ifd_fail(-ENOMEM, NULL, "copy IOVA 0x%" PRIx64 "-0x%" PRIx64, copy->start, copy->last);
		at = last + 1;
	}
	return 0;
}

/* Those that have been mapped, when a further one cannot be. */
static void take_back(struct copy *copy, size_t mapped)
{
	for (size_t i = 0; i < mapped; i++) {
		ifd_map_take_back(copy->dst, copy->pieces[i]);
		copy->pieces[i] = NULL;
	}
}

static int make_each(struct copy *copy)
{
	char why[IFD_HINT_MAX];
	size_t mapped = 0;
	int ret = 0;

	for (; mapped < copy->count && !ret; mapped += !ret)
		ret = ifd_map_now(copy->dst, copy->pieces[mapped]);
	if (!ret || !mapped)
		return ret;
	snprintf(why, sizeof(why), "nothing was copied; %s", iommufd_errmsg());
	take_back(copy, mapped);
	return ifd_fail(ret, why, "copy IOVA 0x%" PRIx64 "-0x%" PRIx64, copy->start, copy->last);
}

static int fail_copy(const struct copy *copy, int err)
{
	const struct iommufd_ctx *ctx = copy->dst->ctx;
	char hint[IFD_HINT_MAX] = "";

	for (size_t i = 0; err == -EFAULT && !*hint && i < copy->count; i++)
		ifd_hint_memory(hint, copy->pieces[i]->vaddr.start, copy->pieces[i]->vaddr.last,
				copy->flags & IOMMUFD_MAP_WRITE);
	if (!*hint)
		ifd_hint_map(hint, err, err == -EFAULT ? copy->pieces[0] : copy->whole,
			     ifd_object_by_process(&ctx->log, ctx->fd) > 0);
	return ifd_fail(err, hint, "copy IOVA 0x%" PRIx64 "-0x%" PRIx64 " to IOVA 0x%" PRIx64, copy->start, copy->last,
			copy->pieces[0]->iova.start);
}

/* -EOPNOTSUPP has no words. */
static int make_at_once(struct copy *copy)
{
	struct iommufd_range from = { copy->start, copy->last };
	size_t pinned = 0;
	int ret = 0;

	for (; pinned < copy->count && !ret; pinned += !ret)
		ret = ifd_phys_pin(copy->dst, copy->pieces[pinned]);
	if (!ret) {
		ret = copy->dst->ctx->backend->copy(copy->src, &from, copy->dst, copy->pieces[0]->iova.start,
						    copy->flags);
		if (ret && ret != -EOPNOTSUPP)
			fail_copy(copy, ret);
	}
	while (ret && pinned)
		ifd_phys_unpin(copy->dst, copy->pieces[--pinned]);
	return ret;
}

static int make(struct copy *copy)
{
	int ret;

	ifd_index_split(&copy->dst->index, copy->whole, copy->pieces, copy->count);
	ifd_phys_begin(copy->dst);
	ret = make_at_once(copy);
	if (ret == -EOPNOTSUPP)
		ret = make_each(copy);
	for (size_t i = 0; i < copy->count; i++)
		if (!ret)
			ifd_index_commit(&copy->dst->index, copy->pieces[i]);
		else if (copy->pieces[i])
			ifd_index_withdraw(&copy->dst->index, copy->pieces[i]);
	ifd_phys_end(copy->dst);
	return ret;
}

static void forget(struct copy *copy)
{
	for (size_t i = 0; copy->pieces && i < copy->count; i++) {
		ifd_map_free(copy->pieces[i]);
		copy->pieces[i] = NULL;
	}
	ifd_map_free(copy->whole);
	copy->whole = NULL;
}

/* From a place of at least `step` further up, as for a mapping: somebody else's may be in an adopted container. */
static int copy_held(struct copy *copy, uint64_t fixed, uint64_t *iova)
{
	bool may_move = copy->dst->ctx->adopted && !(copy->flags & IOMMUFD_MAP_FIXED);
	uint64_t step = len_of(copy), low;
	int ret = cut(copy);

	if (!ret)
		ret = ifd_map_reserve(copy->dst, copy->whole, copy->flags, fixed);
	if (ret)
		return ret;
	low = copy->whole->iova.start;
	ret = make(copy);
	for (; ret == -EEXIST && may_move && step <= UINT64_MAX - low; step *= 2) {
		forget(copy);
		ret = cut(copy);
		if (!ret)
			ret = ifd_map_reserve_any(copy->dst, copy->whole, copy->flags, NULL, low + step);
		if (ret)
			return ret;
		low = copy->whole->iova.start;
		ret = make(copy);
	}
	if (!ret)
		*iova = low;
	return ret;
}

/* Both gates held. */
static int copy_gated(struct copy *copy, uint64_t *iova)
{
	struct iommufd_range there;
	int ret = check_copy(copy->src, copy->dst, copy->start, len_of(copy));

	if (ret)
		return ret;
	ret = ifd_index_hold(&copy->src->index, copy->start, copy->last, &copy->count, &there);
	if (ret)
		return fail_hold(copy, ret, &there);
	copy->pieces = calloc(copy->count, sizeof(struct ifd_map *));
	ret = copy->pieces ? copy_held(copy, copy->flags & IOMMUFD_MAP_FIXED ? *iova : 0, iova)
			   : ifd_fail(-ENOMEM, NULL, "copy %zu mappings", copy->count);
	if (ret)
		forget(copy);
	else
		ifd_map_free(copy->whole);
	free(copy->pieces);
	ifd_index_release(&copy->src->index, copy->start, copy->last);
	return ret;
}

EXPORT int iommufd_ioas_copy(struct iommufd_ioas *src, uint64_t src_iova, uint64_t len, struct iommufd_ioas *dst,
			     uint32_t flags, uint64_t *iova)
{
	struct copy copy = { .src = src, .dst = dst, .start = src_iova, .last = src_iova + (len - 1), .flags = flags };
	int ret = ifd_ctx_check(src->ctx, "copy");

	if (!ret)
		ret = ifd_map_check("copy", len, flags);
	if (ret)
		return ret;
	if (src->ctx != dst->ctx)
		return ifd_fail(-EINVAL, "make both from the same context", "copy to an IOAS of another context");
	ifd_gates_share(src, dst);
	ret = copy_gated(&copy, iova);
	ifd_gates_unlock(src, dst);
	return ret;
}
