/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allow.h"
#include "explain.h"
#include "internal.h"

static const struct iommufd_range everything = { 0, UINT64_MAX };

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
	pthread_mutex_lock(&ctx->lock);
	ioas->next = ctx->ioases;
	ctx->ioases = ioas;
	pthread_mutex_unlock(&ctx->lock);
	ret = ifd_ioas_refresh(ioas);
	if (ret)
		ifd_ioas_put(ioas);
	else
		*out = ioas;
	return ret;
}

static void take_out(struct iommufd_ioas *ioas)
{
	struct iommufd_ctx *ctx = ioas->ctx;
	struct iommufd_ioas **at = &ctx->ioases;

	ifd_lock(ctx, &ctx->lock);
	while (*at != ioas)
		at = &(*at)->next;
	*at = ioas->next;
	ifd_unlock(ctx, &ctx->lock);
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
	take_out(ioas);
	ctx->backend->ioas_free(ioas);
	ifd_index_fini(&ioas->index);
	pthread_rwlock_destroy(&ioas->gate);
	free(ioas->ranges);
	free(ioas->allowed);
	free(ioas->spared);
	free(ioas);
	ifd_ctx_put(ctx);
}

/* One that nobody holds any more is on its way out. */
static bool get_living(struct iommufd_ioas *ioas)
{
	unsigned int refs = ioas->refs;

	while (refs && !atomic_compare_exchange_weak(&ioas->refs, &refs, refs + 1))
		;
	return refs;
}

struct iommufd_ioas *ifd_ioas_step(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas)
{
	struct iommufd_ioas *next;

	pthread_mutex_lock(&ctx->lock);
	next = ioas ? ioas->next : ctx->ioases;
	while (next && !get_living(next))
		next = next->next;
	pthread_mutex_unlock(&ctx->lock);
	if (ioas)
		ifd_ioas_put(ioas);
	return next;
}

EXPORT void iommufd_ioas_free(struct iommufd_ioas *ioas)
{
	if (ioas)
		ifd_ioas_put(ioas);
}

bool ifd_permitted(const struct iommufd_range *ranges, size_t count, uint64_t start, uint64_t last)
{
	for (size_t i = 0; i < count; i++)
		if (start >= ranges[i].start && last <= ranges[i].last)
			return true;
	return false;
}

int ifd_check_limits(const struct iommufd_range *ranges, size_t count, uint64_t alignment)
{
	char hint[IFD_HINT_MAX] = "";

	if (!alignment || alignment & (alignment - 1))
		ifd_hint(hint, "the kernel gave the alignment 0x%" PRIx64, alignment);
	for (size_t i = 0; i < count && !*hint; i++)
		if (ranges[i].start > ranges[i].last || (i && ranges[i].start <= ranges[i - 1].last))
			ifd_hint(hint, "the kernel gave 0x%" PRIx64 "-0x%" PRIx64 " in number %zu of %zu",
				 ranges[i].start, ranges[i].last, i + 1, count);
	return *hint ? ifd_fail(-EPROTO, hint, "ask for the permitted IOVAs") : 0;
}

EXPORT int iommufd_ioas_ranges(struct iommufd_ioas *ioas, struct iommufd_range *ranges, size_t max)
{
	const struct iommufd_range *from = &everything;
	size_t count = 1;
	int ret = ifd_ctx_check(ioas->ctx, "ask for the permitted IOVAs");

	if (ret)
		return ret;
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

EXPORT uint32_t iommufd_ioas_id(const struct iommufd_ioas *ioas)
{
	return ioas->id;
}

EXPORT int iommufd_ioas_to_vaddr(struct iommufd_ioas *ioas, uint64_t iova, size_t len, void **vaddr)
{
	uint64_t found;
	int ret = ifd_ctx_check(ioas->ctx, "translate");

	if (ret)
		return ret;
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

	for (; map; map = ifd_index_after(&ioas->index, map, UINT64_MAX))
		if (!ifd_permitted(ranges, count, map->iova.start, map->iova.last) ||
		    ((map->iova.start | map->vaddr.start | ifd_map_len(map)) & (alignment - 1)))
			return map;
	return NULL;
}

/* By address, so that two threads that want the same two do not wait for each other for ever. */
void ifd_gates_lock(struct iommufd_ioas *a, struct iommufd_ioas *b)
{
	pthread_rwlock_wrlock(a < b ? &a->gate : &b->gate);
	if (a != b)
		pthread_rwlock_wrlock(a < b ? &b->gate : &a->gate);
}

void ifd_gates_share(struct iommufd_ioas *a, struct iommufd_ioas *b)
{
	pthread_rwlock_rdlock(a < b ? &a->gate : &b->gate);
	if (a != b)
		pthread_rwlock_rdlock(a < b ? &b->gate : &a->gate);
}

void ifd_gates_unlock(struct iommufd_ioas *a, struct iommufd_ioas *b)
{
	pthread_rwlock_unlock(&a->gate);
	if (a != b)
		pthread_rwlock_unlock(&b->gate);
}

void ifd_ioas_refresh_after(struct iommufd_ioas *ioas)
{
	struct ifd_words words;

	ifd_words_keep(&words);
	if (ifd_ioas_refresh(ioas))
		ifd_warn(&ioas->ctx->log, "the permitted IOVAs stay as they were: %s", iommufd_errmsg());
	ifd_words_restore(&words);
}

int ifd_ioas_refresh(struct iommufd_ioas *ioas)
{
	struct iommufd_range *ranges = NULL, *old = ioas->ranges;
	uint64_t align, least = ifd_sys_page_size(), wanted = 0;
	const struct iommufd_range *misfit;
	const struct ifd_map *map = NULL;
	size_t count = 0;
	int ret;

	ret = ioas->ctx->backend->ioas_limits(ioas, &ranges, &count, &wanted);
	if (ret)
		return ret;
	align = wanted > least ? wanted : least;
	/* Or it could not be unmapped any more. */
	if (align > ioas->alignment)
		map = ifd_ioas_misfit(ioas, ranges, count, align);
	if (map) {
		ret = ifd_fail(-EPROTO, "the kernel should have refused the device for it",
			       "the mapping 0x%" PRIx64 "-0x%" PRIx64 " does not fit the device", map->iova.start,
			       map->iova.last);
		free(ranges);
		return ret;
	}
	misfit = ifd_allow_misfit(ioas->allowed, ioas->num_allowed, ranges, count);
	if (misfit) {
		ret = ifd_fail_allow("attach a device", misfit, ranges, count);
		free(ranges);
		return ret;
	}
	/* In this order, for a child process that is forked in the midst of it. */
	ioas->num_ranges = ranges ? count : 0;
	ioas->ranges = ranges;
	ioas->alignment = align;
	free(old);
	return 0;
}
