/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What is mapped in an IOAS: the authority on it. A range is reserved here before the kernel is asked and committed or
 * withdrawn after, so that the lock is held only while searching and changing, never across an ioctl. Internal.
 */
#ifndef IFD_INDEX_H
#define IFD_INDEX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libiommufd/base.h>

#include "radix.h"
#include "tree.h"

struct ifd_file;
struct ifd_iova_wish;

enum ifd_map_state {
	IFD_MAP_RESERVED, /* the kernel is being asked to map it; not found by translation */
	IFD_MAP_LIVE,
	IFD_MAP_LEAVING, /* the kernel is being asked to unmap it; not found by translation */
};

/* A mapping. Its addresses and flags do not change while it is in the index. */
struct ifd_map {
	struct ifd_node iova;
	struct ifd_node vaddr;
	struct ifd_map *next; /* in a list that ifd_index_leave() made */
	uint32_t flags;       /* IOMMUFD_MAP_READ, IOMMUFD_MAP_WRITE */
	enum ifd_map_state state;
	struct ifd_file *file; /* what it is of, or NULL for memory of the process, which alone is found by address */
	unsigned int held;     /* by threads that are copying it: it cannot leave */
	uint64_t *kept;        /* its dirty pages that nobody has been told of, see dirty.c; NULL for none */
	bool all_dirty;        /* in place of that, where there was no memory for it */
	bool apart;            /* it is in by_vaddr */
	bool lost;             /* the kernel has nothing there, see peer.h; guarded by the IOAS's gate */
};

struct ifd_index {
	/* Live mappings of memory by their virtual addresses: each is in one of the two, most in the first. */
	struct ifd_radix radix;
	struct ifd_tree by_vaddr; /* what the radix table does not take, since they overlap for the most part */

	pthread_mutex_t lock; /* but who looks something up in the radix table goes without */
	struct ifd_tree by_iova;
	size_t count;
	size_t peers; /* of these, the ones that are of a device's memory */
	uint64_t bytes;
};

void ifd_index_init(struct ifd_index *index);

/* Frees what is left in it. */
void ifd_index_fini(struct ifd_index *index);

/* Null on no memory. It belongs to the caller until it is reserved, and again after it was withdrawn. */
struct ifd_map *ifd_map_new(const void *vaddr, size_t len, uint32_t flags);

/* The same of a part of a mapping, with flags of its own. */
struct ifd_map *ifd_map_part(const struct ifd_map *map, uint64_t offset, uint64_t len, uint32_t flags);

/* One that is in no index; or NULL. */
void ifd_map_free(struct ifd_map *map);

static inline uint64_t ifd_map_len(const struct ifd_map *map)
{
	return map->vaddr.last - map->vaddr.start + 1;
}

/* At `iova`; the end of the range must have been checked. -EEXIST, and then `there` is what is in the way. */
int ifd_index_reserve(struct ifd_index *index, struct ifd_map *map, uint64_t iova, struct iommufd_range *there);

/* Where ifd_iova_find() puts it; the wish's length is the mapping's. -ENOSPC. */
int ifd_index_reserve_any(struct ifd_index *index, struct ifd_map *map, const struct ifd_iova_wish *wish);

/* Puts mappings that fill it in the place of a reserved one, which is withdrawn. */
void ifd_index_split(struct ifd_index *index, struct ifd_map *whole, struct ifd_map *const *pieces, size_t count);

void ifd_index_commit(struct ifd_index *index, struct ifd_map *map);
void ifd_index_withdraw(struct ifd_index *index, struct ifd_map *map);

/*
 * Marks every mapping of a range as leaving, all or none, and chains them in order of IOVA. -ENOENT: there is none;
 * -EINVAL: `there` would be cut; -EBUSY: another thread is at work on `there`.
 */
int ifd_index_leave(struct ifd_index *index, uint64_t start, uint64_t last, struct ifd_map **list,
		    struct iommufd_range *there);

/*
 * Keeps every mapping of a range from leaving, until it is released, and counts them. -ENOENT: there is a hole, at
 * there->start; -EBUSY: another thread is at work on `there`.
 */
int ifd_index_hold(struct ifd_index *index, uint64_t start, uint64_t last, size_t *count, struct iommufd_range *there);
void ifd_index_release(struct ifd_index *index, uint64_t start, uint64_t last);

/* A leaving mapping is gone (and freed), or stays after all. */
void ifd_index_left(struct ifd_index *index, struct ifd_map *map);
void ifd_index_stay(struct ifd_index *index, struct ifd_map *map);

/*
 * The lowest mapping that shares an address with the range, whatever its state, or NULL. What it returns stays only
 * while no other thread can unmap; with the IOAS's gate held exclusively, that is.
 */
struct ifd_map *ifd_index_next(struct ifd_index *index, uint64_t start, uint64_t last);

/*
 * The lowest mapping above `map` that begins up to `last`, or NULL. The same goes for it; and who has marked all of a
 * range as leaving may walk up to its end, but not see what is behind that.
 */
struct ifd_map *ifd_index_after(struct ifd_index *index, const struct ifd_map *map, uint64_t last);

/* The range of the lowest mapping of a kind, whatever its state; false when there is none. */
bool ifd_index_first(struct ifd_index *index, bool (*is)(const struct ifd_map *map), struct iommufd_range *range);

/* How many bytes are mapped, or about to be; and how many mappings they are. */
uint64_t ifd_index_bytes(struct ifd_index *index);
size_t ifd_index_count(struct ifd_index *index);
size_t ifd_index_peers(struct ifd_index *index);

/* Of a range of memory, the lowest part of which a live mapping has all, and which may go on behind it. */
bool ifd_index_first_vaddr(struct ifd_index *index, uint64_t start, uint64_t last, struct iommufd_range *part);

/*
 * Where an address is mapped, and how many bytes are from there on in the same mapping, `want` at most: 0, or -ENOENT
 * for less than `least`, which is not 0. Without the lock, unless memory is mapped more than once.
 */
int ifd_index_find_vaddr(struct ifd_index *index, uint64_t vaddr, uint64_t want, uint64_t least, uint64_t *iova,
			 uint64_t *len);

/* Translation of a live mapping of memory; -ENOENT when none covers all of it. Sets no words. */
int ifd_index_search(struct ifd_index *index, uint64_t vaddr, size_t len, uint64_t *iova);
static inline int ifd_index_to_iova(struct ifd_index *index, uint64_t vaddr, size_t len, uint64_t *iova)
{
	return ifd_radix_hit(&index->radix, vaddr, len, iova) ? 0 : ifd_index_search(index, vaddr, len, iova);
}

int ifd_index_to_vaddr(struct ifd_index *index, uint64_t iova, size_t len, uint64_t *vaddr);

#endif
