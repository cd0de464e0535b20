/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "allow.h"
#include "explain.h"
#include "internal.h"
#include "map.h"

int ifd_map_check(const char *what, uint64_t len, uint32_t flags)
{
	if (flags & ~(IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE | IOMMUFD_MAP_FIXED | IFD_MAP_ALIGN))
		return ifd_fail(-EINVAL, "use the IOMMUFD_MAP flags only, and IOMMUFD_MAP_ALIGN() with 0 to 63",
				"%s with the flags 0x%x", what, flags);
	if (!(flags & (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)))
		return ifd_fail(-EINVAL, "add IOMMUFD_MAP_READ, IOMMUFD_MAP_WRITE or both",
				"%s that a device may neither read nor write", what);
	return len ? 0 : ifd_fail(-EINVAL, "give the length in bytes", "%s of no bytes", what);
}

static int check_map(const struct iommufd_ioas *ioas, const void *vaddr, size_t len, uint32_t flags)
{
	uint64_t align = ioas->alignment, start = (uintptr_t)vaddr;
	int ret = ifd_map_check("map", len, flags);

	if (ret)
		return ret;
	if ((start | len) & (align - 1))
		return ifd_fail(-EINVAL, "let both be multiples of iommufd_ioas_alignment()",
				"map %p of %zu bytes: not aligned to %" PRIu64, vaddr, len, align);
	if (start > UINTPTR_MAX - (len - 1))
		return ifd_fail(-EOVERFLOW, "give the length in bytes that the memory has", "map %p of %zu bytes",
				vaddr, len);
	return 0;
}

int ifd_map_prepare(struct iommufd_ioas *ioas, const struct iommufd_map *request, const struct iommufd_range *window,
		    struct ifd_map **out)
{
	struct ifd_map *map;
	int ret = check_map(ioas, request->vaddr, request->len, request->flags);

	if (ret)
		return ret;
	map = ifd_map_new(request->vaddr, request->len, request->flags & (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE));
	if (!map)
		return ifd_fail(-ENOMEM, NULL, "map %p of %zu bytes", request->vaddr, request->len);
	ret = window ? ifd_map_reserve_any(ioas, map, request->flags, window, 1)
		     : ifd_map_reserve(ioas, map, request->flags, request->iova);
	if (ret)
		ifd_map_free(map);
	else
		*out = map;
	return ret;
}

void ifd_map_give_up(struct iommufd_ioas *ioas, struct ifd_map *map)
{
	ifd_index_withdraw(&ioas->index, map);
	ifd_map_free(map);
}

int ifd_map_now(struct iommufd_ioas *ioas, const struct ifd_map *map)
{
	int ret = ifd_phys_pin(ioas, map);

	if (ret)
		return ret;
	ret = ioas->ctx->backend->map(ioas, map);
	if (ret)
		ifd_phys_unpin(ioas, map);
	return ret;
}

/* To a place of at least `step` further up. When there is none, it stays where it is. */
static int move_up(struct iommufd_ioas *ioas, struct ifd_map **map, uint32_t flags, const struct iommufd_range *window,
		   uint64_t step)
{
	const struct ifd_map *old = *map;
	uint64_t start = old->iova.start;
	struct ifd_map *fresh;
	int ret;

	fresh = ifd_map_part(old, 0, ifd_map_len(old), old->flags);
	if (!fresh)
		return ifd_fail(-ENOMEM, NULL, "map %" PRIu64 " bytes", ifd_map_len(old));
	ret = ifd_map_reserve_any(ioas, fresh, flags, window, step < UINT64_MAX - start ? start + step : UINT64_MAX);
	if (ret) {
		ifd_map_free(fresh);
		return ret;
	}
	ifd_map_give_up(ioas, *map);
	*map = fresh;
	return 0;
}

/*
 * In a window a step that goes on doubling would soon be past all of it: there it does as long as it is less than a
 * 1024th of that. So of a narrow one no place is passed over.
 */
static uint64_t longer_step(uint64_t step, const struct iommufd_range *window)
{
	uint64_t enough = window ? (window->last - window->start) >> 10 : UINT64_MAX >> 1;

	return step < enough ? 2 * step : step;
}

/*
 * In a container that was adopted, its owner may have mapped something of which only the kernel knows. A place that was
 * not asked for is then looked for further on, and further at each try: a step that doubles soon is past anything.
 */
int ifd_map_somewhere(struct iommufd_ioas *ioas, struct ifd_map **map, uint32_t flags,
		      const struct iommufd_range *window)
{
	bool may_move = ioas->ctx->adopted && !(flags & IOMMUFD_MAP_FIXED);
	uint64_t step = ifd_map_len(*map);
	int ret = ifd_map_now(ioas, *map);

	for (; ret == -EEXIST && may_move; step = longer_step(step, window)) {
		ret = move_up(ioas, map, flags, window, step);
		if (!ret)
			ret = ifd_map_now(ioas, *map);
	}
	return ret;
}

/* Once it is committed, another thread may unmap it: `map` is not looked at from then on. */
int ifd_map_make(struct iommufd_ioas *ioas, struct ifd_map *map, uint32_t flags, const struct iommufd_range *window,
		 uint64_t *iova)
{
	int ret;

	ifd_phys_begin(ioas);
	ret = ifd_map_somewhere(ioas, &map, flags, window);
	if (ret) {
		ifd_map_give_up(ioas, map);
	} else {
		*iova = map->iova.start;
		ifd_index_commit(&ioas->index, map);
	}
	ifd_phys_end(ioas);
	return ret;
}

int ifd_map_check_window(uint32_t flags, const struct iommufd_range *window)
{
	if (flags & IOMMUFD_MAP_FIXED)
		return ifd_fail(-EINVAL, "leave out IOMMUFD_MAP_FIXED, or use iommufd_ioas_map()",
				"map at a fixed IOVA and inside of a window");
	return ifd_range_check("map inside of", window);
}

int ifd_map_memory(struct iommufd_ioas *ioas, void *vaddr, size_t len, uint32_t flags,
		   const struct iommufd_range *window, uint64_t *iova)
{
	struct iommufd_map request = { .vaddr = vaddr, .len = len, .flags = flags };
	struct ifd_map *map;
	int ret = ifd_ctx_check(ioas->ctx, "map");

	if (!ret && window)
		ret = ifd_map_check_window(flags, window);
	if (ret)
		return ret;
	if (flags & IOMMUFD_MAP_FIXED)
		request.iova = *iova;
	pthread_rwlock_rdlock(&ioas->gate);
	ret = ifd_map_prepare(ioas, &request, window, &map);
	if (!ret)
		ret = ifd_map_make(ioas, map, flags, window, iova);
	pthread_rwlock_unlock(&ioas->gate);
	return ret;
}

EXPORT int iommufd_ioas_map(struct iommufd_ioas *ioas, void *vaddr, size_t len, uint32_t flags, uint64_t *iova)
{
	return ifd_map_memory(ioas, vaddr, len, flags, NULL, iova);
}

EXPORT int iommufd_ioas_map_within(struct iommufd_ioas *ioas, void *vaddr, size_t len, uint32_t flags,
				   const struct iommufd_range *window, uint64_t *iova)
{
	return ifd_map_memory(ioas, vaddr, len, flags, window, iova);
}

bool ifd_map_take_back(struct iommufd_ioas *ioas, struct ifd_map *map)
{
	uint64_t bytes;
	int ret = ioas->ctx->backend->unmap(ioas, map->iova.start, ifd_map_len(map), &bytes);

	if (!ret || ret == -ENOENT) {
		ifd_phys_unpin(ioas, map);
		ifd_map_give_up(ioas, map);
		return true;
	}
	ifd_error(&ioas->ctx->log, "a mapping of several that failed stays: %s", iommufd_errmsg());
	ifd_phys_keep(ioas, map);
	ifd_index_commit(&ioas->index, map);
	return false;
}

/* ---- How many more ---- */

EXPORT int iommufd_ioas_maps_left(struct iommufd_ioas *ioas, uint64_t *left)
{
	uint64_t mine;
	int ret = ifd_ctx_check(ioas->ctx, "ask for the number of mappings left");

	if (ret)
		return ret;
	pthread_rwlock_rdlock(&ioas->gate);
	ret = ioas->ctx->backend->maps_left(ioas, &mine);
	pthread_rwlock_unlock(&ioas->gate);
	if (!ret)
		*left = mine;
	return ret;
}
