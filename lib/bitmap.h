/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Bitmaps of pages, and how one with pages of another size or another start is merged into them: bit n % 64 of word
 * n / 64 is the page at start + n * page. Pure. Internal.
 */
#ifndef IFD_BITMAP_H
#define IFD_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ifd_bitmap {
	uint64_t *words;
	uint64_t start; /* IOVA of the first page, a multiple of `page` */
	uint64_t last;  /* the last IOVA, not the one behind it */
	uint64_t page;  /* bytes of one, a power of two */
};

static inline uint64_t ifd_bitmap_bits(const struct ifd_bitmap *map)
{
	return (map->last - map->start) / map->page + 1;
}

/* Bytes of the words. */
static inline uint64_t ifd_bitmap_size(const struct ifd_bitmap *map)
{
	return ((ifd_bitmap_bits(map) - 1) / 64 + 1) * sizeof(uint64_t);
}

/* Sets, or clears, every page that has an address of the range; what is outside of the bitmap is passed over. */
void ifd_bitmap_set(const struct ifd_bitmap *map, uint64_t start, uint64_t last);
void ifd_bitmap_clear(const struct ifd_bitmap *map, uint64_t start, uint64_t last);

/* Whether a page that has an address of the range is set. */
bool ifd_bitmap_any(const struct ifd_bitmap *map, uint64_t start, uint64_t last);

/* Sets every page of `to` that has an address of the range in a page that is set in `from`. Never clears one. */
void ifd_bitmap_merge(const struct ifd_bitmap *to, const struct ifd_bitmap *from, uint64_t start, uint64_t last);

#endif
