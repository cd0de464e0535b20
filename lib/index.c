/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdlib.h>

#include "file.h"
#include "index.h"
#include "iova.h"

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

void ifd_index_init(struct ifd_index *index)
{
	*index = (struct ifd_index){ .by_iova.gaps = true };
	pthread_mutex_init(&index->lock, NULL);
}

void ifd_index_fini(struct ifd_index *index)
{
	struct ifd_node *node;

	/* In a child process that was forked while another thread changed it: then it is not fit to be walked. */
	if (pthread_mutex_trylock(&index->lock))
		return;
	pthread_mutex_unlock(&index->lock);
	while ((node = ifd_tree_first(&index->by_iova, 0, UINT64_MAX))) {
		ifd_tree_remove(&index->by_iova, node);
		ifd_map_free(container_of(node, struct ifd_map, iova));
	}
	ifd_radix_fini(&index->radix);
	pthread_mutex_destroy(&index->lock);
}

/* Not calloc(): glibc's does not look at what the thread has just freed, and so costs three times as much. */
struct ifd_map *ifd_map_new(const void *vaddr, size_t len, uint32_t flags)
{
	struct ifd_map *map = malloc(sizeof(*map));

	if (map)
		*map = (struct ifd_map){
			.vaddr = { .start = (uintptr_t)vaddr, .last = (uintptr_t)vaddr + (len - 1) },
			.flags = flags,
		};
	return map;
}

struct ifd_map *ifd_map_part(const struct ifd_map *map, uint64_t offset, uint64_t len, uint32_t flags)
{
	struct ifd_map *part = ifd_map_new((const void *)(uintptr_t)(map->vaddr.start + offset), (size_t)len, flags);

	if (part)
		part->file = ifd_file_get(map->file);
	return part;
}

void ifd_map_free(struct ifd_map *map)
{
	if (!map)
		return;
	ifd_file_put(map->file);
	free(map->kept);
	free(map);
}

static struct ifd_map *find(const struct ifd_index *index, uint64_t start, uint64_t last)
{
	struct ifd_node *node = ifd_tree_first(&index->by_iova, start, last);

	return node ? container_of(node, struct ifd_map, iova) : NULL;
}

/* The next one inside of a range that ends with `last`. */
static struct ifd_map *after(const struct ifd_map *map, uint64_t last)
{
	struct ifd_node *node = map->iova.last < last ? ifd_tree_after(&map->iova) : NULL;

	return node && node->start <= last ? container_of(node, struct ifd_map, iova) : NULL;
}

static bool is_peer(const struct ifd_map *map)
{
	return map->file && map->file->peer;
}

static void place(struct ifd_index *index, struct ifd_map *map, uint64_t iova)
{
	map->iova.start = iova;
	map->iova.last = iova + (ifd_map_len(map) - 1);
	map->state = IFD_MAP_RESERVED;
	ifd_tree_insert(&index->by_iova, &map->iova);
	index->count++;
	index->peers += is_peer(map);
	index->bytes += ifd_map_len(map);
}

int ifd_index_reserve(struct ifd_index *index, struct ifd_map *map, uint64_t iova, struct iommufd_range *there)
{
	const struct ifd_map *other;

	pthread_mutex_lock(&index->lock);
	other = find(index, iova, iova + (ifd_map_len(map) - 1));
	if (other)
		*there = (struct iommufd_range){ other->iova.start, other->iova.last };
	else
		place(index, map, iova);
	pthread_mutex_unlock(&index->lock);
	return other ? -EEXIST : 0;
}

int ifd_index_reserve_any(struct ifd_index *index, struct ifd_map *map, const struct ifd_iova_wish *wish)
{
	uint64_t iova;
	bool found;

	pthread_mutex_lock(&index->lock);
	found = ifd_iova_find(&index->by_iova, wish, &iova, NULL);
	if (found)
		place(index, map, iova);
	pthread_mutex_unlock(&index->lock);
	return found ? 0 : -ENOSPC;
}

static bool enter(struct ifd_index *index, const struct ifd_map *map)
{
	return ifd_radix_enter(&index->radix, map->vaddr.start, map->vaddr.last, map->iova.start);
}

static void appear(struct ifd_index *index, struct ifd_map *map)
{
	map->apart = !enter(index, map);
	if (map->apart) {
		ifd_tree_insert(&index->by_vaddr, &map->vaddr);
		ifd_radix_more_others(&index->radix);
	}
}

static void come_back(struct ifd_index *index, struct ifd_map *map)
{
	ifd_tree_remove(&index->by_vaddr, &map->vaddr);
	map->apart = false;
	ifd_radix_less_others(&index->radix);
}

/* What stood apart since something else had its memory may now be found without the lock. */
static void enter_others(struct ifd_index *index, uint64_t start, uint64_t last)
{
	struct ifd_node *node = ifd_tree_first(&index->by_vaddr, start, last), *next;

	for (; node && node->start <= last; node = next) {
		struct ifd_map *map = container_of(node, struct ifd_map, vaddr);

		next = ifd_tree_after(node);
		if (node->last >= start && enter(index, map))
			come_back(index, map);
	}
}

static void vanish(struct ifd_index *index, struct ifd_map *map)
{
	bool was_apart = map->apart;

	if (was_apart)
		come_back(index, map);
	else
		ifd_radix_leave(&index->radix, map->vaddr.start, map->vaddr.last);
	if (index->radix.starved) {
		index->radix.starved = false;
		enter_others(index, 0, UINT64_MAX);
	} else if (!was_apart) {
		enter_others(index, map->vaddr.start, map->vaddr.last);
	}
}

void ifd_index_commit(struct ifd_index *index, struct ifd_map *map)
{
	pthread_mutex_lock(&index->lock);
	map->state = IFD_MAP_LIVE;
	if (!map->file)
		appear(index, map);
	pthread_mutex_unlock(&index->lock);
}

static void take_out(struct ifd_index *index, struct ifd_map *map)
{
	ifd_tree_remove(&index->by_iova, &map->iova);
	index->count--;
	index->peers -= is_peer(map);
	index->bytes -= ifd_map_len(map);
}

void ifd_index_withdraw(struct ifd_index *index, struct ifd_map *map)
{
	pthread_mutex_lock(&index->lock);
	take_out(index, map);
	pthread_mutex_unlock(&index->lock);
}

void ifd_index_split(struct ifd_index *index, struct ifd_map *whole, struct ifd_map *const *pieces, size_t count)
{
	uint64_t iova = whole->iova.start;

	pthread_mutex_lock(&index->lock);
	take_out(index, whole);
	for (size_t i = 0; i < count; iova += ifd_map_len(pieces[i++]))
		place(index, pieces[i], iova);
	pthread_mutex_unlock(&index->lock);
}

/* Why the range cannot be held, looking only. */
static int check_hold(const struct ifd_index *index, uint64_t start, uint64_t last, size_t *count,
		      struct iommufd_range *there)
{
	const struct ifd_map *map = find(index, start, last);

	*there = (struct iommufd_range){ start, last };
	for (*count = 0; map && map->iova.start <= there->start; map = after(map, last)) {
		if (map->state != IFD_MAP_LIVE) {
			*there = (struct iommufd_range){ map->iova.start, map->iova.last };
			return -EBUSY;
		}
		++*count;
		if (map->iova.last >= last)
			return 0;
		there->start = map->iova.last + 1;
	}
	return -ENOENT;
}

int ifd_index_hold(struct ifd_index *index, uint64_t start, uint64_t last, size_t *count, struct iommufd_range *there)
{
	int ret;

	pthread_mutex_lock(&index->lock);
	ret = check_hold(index, start, last, count, there);
	for (struct ifd_map *map = ret ? NULL : find(index, start, last); map; map = after(map, last))
		map->held++;
	pthread_mutex_unlock(&index->lock);
	return ret;
}

void ifd_index_release(struct ifd_index *index, uint64_t start, uint64_t last)
{
	pthread_mutex_lock(&index->lock);
	for (struct ifd_map *map = find(index, start, last); map; map = after(map, last))
		map->held--;
	pthread_mutex_unlock(&index->lock);
}

/* Chains what can leave the range, or says why it cannot; nobody else looks at `next` of a live mapping. */
static int gather(const struct ifd_index *index, uint64_t start, uint64_t last, struct ifd_map **list,
		  struct iommufd_range *there)
{
	struct ifd_map *map = find(index, start, last), **tail = list;

	if (!map)
		return -ENOENT;
	for (; map; map = after(map, last)) {
		*there = (struct iommufd_range){ map->iova.start, map->iova.last };
		if (map->iova.start < start || map->iova.last > last)
			return -EINVAL;
		if (map->state != IFD_MAP_LIVE || map->held)
			return -EBUSY;
		*tail = map;
		tail = &map->next;
	}
	*tail = NULL;
	return 0;
}

int ifd_index_leave(struct ifd_index *index, uint64_t start, uint64_t last, struct ifd_map **list,
		    struct iommufd_range *there)
{
	struct ifd_map *first = NULL;
	int ret;

	pthread_mutex_lock(&index->lock);
	ret = gather(index, start, last, &first, there);
	if (!ret)
		*list = first;
	for (struct ifd_map *map = ret ? NULL : first; map; map = map->next) {
		map->state = IFD_MAP_LEAVING;
		if (!map->file)
			vanish(index, map);
	}
	pthread_mutex_unlock(&index->lock);
	return ret;
}

void ifd_index_left(struct ifd_index *index, struct ifd_map *map)
{
	ifd_index_withdraw(index, map);
	ifd_map_free(map);
}

void ifd_index_stay(struct ifd_index *index, struct ifd_map *map)
{
	ifd_index_commit(index, map);
}

struct ifd_map *ifd_index_next(struct ifd_index *index, uint64_t start, uint64_t last)
{
	struct ifd_map *map;

	pthread_mutex_lock(&index->lock);
	map = find(index, start, last);
	pthread_mutex_unlock(&index->lock);
	return map;
}

struct ifd_map *ifd_index_after(struct ifd_index *index, const struct ifd_map *map, uint64_t last)
{
	struct ifd_map *next;

	pthread_mutex_lock(&index->lock);
	next = after(map, last);
	pthread_mutex_unlock(&index->lock);
	return next;
}

bool ifd_index_first(struct ifd_index *index, bool (*is)(const struct ifd_map *map), struct iommufd_range *range)
{
	const struct ifd_map *map;

	pthread_mutex_lock(&index->lock);
	map = find(index, 0, UINT64_MAX);
	while (map && !is(map))
		map = after(map, UINT64_MAX);
	if (map)
		*range = (struct iommufd_range){ map->iova.start, map->iova.last };
	pthread_mutex_unlock(&index->lock);
	return map;
}

uint64_t ifd_index_bytes(struct ifd_index *index)
{
	uint64_t bytes;

	pthread_mutex_lock(&index->lock);
	bytes = index->bytes;
	pthread_mutex_unlock(&index->lock);
	return bytes;
}

size_t ifd_index_count(struct ifd_index *index)
{
	size_t count;

	pthread_mutex_lock(&index->lock);
	count = index->count;
	pthread_mutex_unlock(&index->lock);
	return count;
}

size_t ifd_index_peers(struct ifd_index *index)
{
	size_t peers;

	pthread_mutex_lock(&index->lock);
	peers = index->peers;
	pthread_mutex_unlock(&index->lock);
	return peers;
}

int ifd_index_to_vaddr(struct ifd_index *index, uint64_t iova, size_t len, uint64_t *vaddr)
{
	uint64_t last = iova + (len - 1);
	const struct ifd_map *map = NULL;

	pthread_mutex_lock(&index->lock);
	if (last >= iova)
		map = find(index, iova, last);
	if (map && (map->file || map->state != IFD_MAP_LIVE || map->iova.start > iova || map->iova.last < last))
		map = NULL;
	if (map)
		*vaddr = map->vaddr.start + (iova - map->iova.start);
	pthread_mutex_unlock(&index->lock);
	return map ? 0 : -ENOENT;
}

bool ifd_index_first_vaddr(struct ifd_index *index, uint64_t start, uint64_t last, struct iommufd_range *part)
{
	const struct ifd_node *node;
	bool found;

	pthread_mutex_lock(&index->lock);
	found = ifd_radix_next(&index->radix, start, last, part);
	node = ifd_tree_first(&index->by_vaddr, start, last);
	if (node && (!found || node->start < part->start)) {
		part->start = node->start > start ? node->start : start;
		part->last = node->last < last ? node->last : last;
		found = true;
	}
	pthread_mutex_unlock(&index->lock);
	return found;
}

/* Where a mapping in the radix table has only the begin of it, one in the tree may have it all. */
static int find_all(struct ifd_index *index, uint64_t vaddr, uint64_t want, uint64_t least, uint64_t *iova,
		    uint64_t *len)
{
	int ret = ifd_radix_find(&index->radix, vaddr, want, least, iova, len);
	const struct ifd_node *node;

	if (ret != -EBUSY)
		return ret;
	node = ifd_tree_cover(&index->by_vaddr, vaddr, vaddr + (least - 1));
	if (!node)
		return -ENOENT;
	*iova = container_of(node, struct ifd_map, vaddr)->iova.start + (vaddr - node->start);
	*len = node->last - vaddr < want - 1 ? node->last - vaddr + 1 : want;
	return 0;
}

int ifd_index_find_vaddr(struct ifd_index *index, uint64_t vaddr, uint64_t want, uint64_t least, uint64_t *iova,
			 uint64_t *len)
{
	int ret;

	if (vaddr + (least - 1) < vaddr)
		return -ENOENT;
	ret = ifd_radix_find(&index->radix, vaddr, want, least, iova, len);
	if (ret != -EBUSY)
		return ret;
	pthread_mutex_lock(&index->lock);
	ret = find_all(index, vaddr, want, least, iova, len);
	pthread_mutex_unlock(&index->lock);
	return ret;
}

int ifd_index_search(struct ifd_index *index, uint64_t vaddr, size_t len, uint64_t *iova)
{
	uint64_t all;

	return ifd_index_find_vaddr(index, vaddr, len, len, iova, &all);
}
