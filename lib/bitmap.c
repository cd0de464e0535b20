/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include "bitmap.h"

/* The bits from..to of a word. */
static uint64_t mask(unsigned int from, unsigned int to)
{
	return (UINT64_MAX << from) & (UINT64_MAX >> (63 - to));
}

/* Cuts the range to what the bitmap has; false when nothing is left. */
static bool clip(const struct ifd_bitmap *map, uint64_t *start, uint64_t *last)
{
	*start = *start > map->start ? *start : map->start;
	*last = *last < map->last ? *last : map->last;
	return *start <= *last;
}

static void change(const struct ifd_bitmap *map, uint64_t start, uint64_t last, bool set)
{
	uint64_t bit, end;

	if (!clip(map, &start, &last))
		return;
	bit = (start - map->start) / map->page;
	end = (last - map->start) / map->page;
	for (uint64_t word = bit / 64; word <= end / 64; word++) {
		uint64_t bits = mask(word == bit / 64 ? bit % 64 : 0, word == end / 64 ? end % 64 : 63);

		map->words[word] = set ? map->words[word] | bits : map->words[word] & ~bits;
	}
}

void ifd_bitmap_set(const struct ifd_bitmap *map, uint64_t start, uint64_t last)
{
	change(map, start, last, true);
}

void ifd_bitmap_clear(const struct ifd_bitmap *map, uint64_t start, uint64_t last)
{
	change(map, start, last, false);
}

/* The first bit of this value in from..end, or end + 1. */
static uint64_t find(const struct ifd_bitmap *map, uint64_t from, uint64_t end, bool value)
{
	for (uint64_t word = from / 64; word <= end / 64; word++) {
		uint64_t bits = value ? map->words[word] : ~map->words[word];

		if (word == from / 64)
			bits &= mask(from % 64, 63);
		if (bits) {
			uint64_t bit = word * 64 + (unsigned int)__builtin_ctzll(bits);

			return bit <= end ? bit : end + 1;
		}
	}
	return end + 1;
}

bool ifd_bitmap_any(const struct ifd_bitmap *map, uint64_t start, uint64_t last)
{
	uint64_t end;

	if (!clip(map, &start, &last))
		return false;
	end = (last - map->start) / map->page;
	return find(map, (start - map->start) / map->page, end, true) <= end;
}

void ifd_bitmap_merge(const struct ifd_bitmap *to, const struct ifd_bitmap *from, uint64_t start, uint64_t last)
{
	uint64_t bit, end, behind;

	if (!clip(from, &start, &last) || !clip(to, &start, &last))
		return;
	end = (last - from->start) / from->page;
	for (bit = (start - from->start) / from->page; bit <= end; bit = behind) {
		uint64_t first, final;

		bit = find(from, bit, end, true);
		if (bit > end)
			return;
		behind = find(from, bit, end, false);
		first = from->start + bit * from->page;
		final = from->start + (behind - 1) * from->page + (from->page - 1);
		/* A page of either size may stick out of the range. */
		ifd_bitmap_set(to, first > start ? first : start, final < last ? final : last);
	}
}
