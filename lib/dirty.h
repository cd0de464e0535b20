/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Which pages were written: what dirty.c, unmap.c, the backends and page tables know of each other. Internal. */
#ifndef IFD_DIRTY_H
#define IFD_DIRTY_H

#include <stdbool.h>

#include "bitmap.h"

struct ifd_map;
struct ifd_target;
struct iommufd_device;
struct iommufd_hwpt;
struct iommufd_ioas;
struct iommufd_range;

/* Where dirty pages go: into the caller's bitmap, if there is one, and those that it does not cover stay for later. */
struct ifd_dirty {
	struct ifd_bitmap out; /* words NULL for none */
	bool keep;             /* what the caller gets stays for later too */
};

/*
 * Hands on what the kernel told of the pages of `from`, and has forgotten if `cleared`: what is mapped there, and may
 * be written, goes to the caller's bitmap or is kept for a later call. Cannot fail: where there is no memory to keep
 * it in, the whole mapping counts as dirty.
 */
void ifd_dirty_take(struct iommufd_ioas *ioas, const struct ifd_bitmap *from, const struct ifd_dirty *to, bool cleared);

/* What was kept of a mapping, which goes or is read. */
void ifd_dirty_kept(const struct ifd_map *map, const struct ifd_dirty *to);

/* Gate held: whether this may be asked for, with words, and then where it goes to. */
int ifd_dirty_check(const struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, uint64_t page_size, uint64_t *bitmap,
		    size_t size, struct ifd_dirty *out);

/* The same without an IOAS: `least` is the smallest page, `hint` says why nothing may be asked for, or is NULL. */
int ifd_dirty_check_range(uint64_t iova, uint64_t len, uint64_t page_size, uint64_t least, const char *hint,
			  uint64_t *bitmap, size_t size, struct ifd_bitmap *out);

/* Gate held exclusively: before the kernel forgets what it has. What cannot be asked any more counts as dirty. */
void ifd_dirty_save(struct iommufd_ioas *ioas);
void ifd_dirty_all(struct iommufd_ioas *ioas);
void ifd_dirty_lost(struct iommufd_ioas *ioas); /* the same, with why in the log */

/* What may be asked for in one go: 2 MiB of bits, which are 64 GiB. */
#define IFD_DIRTY_BITS (UINT64_C(1) << 24)

/*
 * Room for what the kernel tells. It drops bits without a word when it cannot reach the memory, and writes up to the
 * end of the page that the last bit is in: so these are whole pages of their own, which ifd_dirty_empty() brings in.
 */
struct ifd_dirty_room {
	void *memory; /* NULL before the first use; the caller frees it */
	uint64_t bits;
};

/* An empty bitmap of a range in it. -ENOMEM with words. */
int ifd_dirty_empty(struct ifd_dirty_room *room, uint64_t page, uint64_t start, uint64_t last, struct ifd_bitmap *out);

/*
 * The mappings from *at on, up to one that begins behind `last`, which are to be asked for in one go: with `most`, up
 * to so many bytes, or the first one whatever its size, with the holes between them; with 0, up to the first hole.
 * Moves *at to the one behind them; false at the end.
 */
bool ifd_dirty_gather(struct iommufd_ioas *ioas, struct ifd_map **at, uint64_t last, uint64_t most,
		      struct iommufd_range *out);

/* ---- The slots of the backends: page tables of an iommufd, and containers ---- */

int ifd_tables_dirty_set(struct iommufd_ioas *ioas, bool on);
int ifd_tables_dirty_join(struct iommufd_device *dev, struct ifd_target *to, struct iommufd_hwpt **made);
int ifd_tables_dirty_read(struct iommufd_ioas *ioas, uint64_t start, uint64_t last, const struct ifd_dirty *to);
int ifd_tables_dirty_unmap(struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, const struct ifd_dirty *to,
			   uint64_t *unmapped);
int ifd_container_dirty_set(struct iommufd_ioas *ioas, bool on);
int ifd_container_dirty_join(struct iommufd_device *dev, struct ifd_target *to, struct iommufd_hwpt **made);
int ifd_container_dirty_read(struct iommufd_ioas *ioas, uint64_t start, uint64_t last, const struct ifd_dirty *to);
int ifd_container_dirty_unmap(struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, const struct ifd_dirty *to,
			      uint64_t *unmapped);

/* Whether what is attached there writes to a page table that can tell of it. */
bool ifd_dirty_tells(const struct ifd_target *at);

/* Gate held: whether what it writes there would be seen, if anybody wants to know. With words. */
int ifd_dirty_may_attach(const struct iommufd_device *dev, const struct ifd_target *to);

/* The words for what cannot be attached, or watched, for a reason that is not part of the current words. */
int ifd_fail_unseen(const struct iommufd_device *dev, int err, const char *why);

/*
 * Gate held exclusively. A page table that is made while dirty pages are tracked; with words. And one that goes: what
 * it knows is kept.
 */
int ifd_dirty_begin(struct iommufd_hwpt *hwpt);
void ifd_dirty_end(struct iommufd_hwpt *hwpt);

#endif
