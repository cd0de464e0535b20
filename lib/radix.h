/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * From virtual address to IOVA without a lock: a radix table of 64-bit addresses, 9 bits a level, whose slots have a
 * table of the level below, or a part of a mapping; so that a mapping takes few large slots and small ones at its ends.
 * What it has does not overlap. One thread at a time changes it, under its owner's lock; any number read meanwhile.
 * Internal.
 */
#ifndef IFD_RADIX_H
#define IFD_RADIX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libiommufd/base.h>

#define IFD_RADIX_SLOTS 512u

/* The smallest slot has 4 KiB, whatever the page size. Those of 1 GiB have shortcuts. */
#define IFD_RADIX_SMALL     12u
#define IFD_RADIX_MIDDLE    21u
#define IFD_RADIX_LARGE     30u
#define IFD_RADIX_SHORTCUTS 128u

/*
 * What is in a slot: 0, or the address of a table, or with the lowest bit set the IOVA of its first byte and
 * - whether the mapping ends with one of the slots that are counted here
 * - how many slots of this size follow that are of the mapping as a whole, or as many as can be counted
 */
#define IFD_RADIX_LEAF     UINT64_C(1)
#define IFD_RADIX_END      UINT64_C(2)
#define IFD_RADIX_MORE(s)  ((s)&0xffc) /* times 4 */
#define IFD_RADIX_MOST     UINT64_C(0x3ff)
#define IFD_RADIX_IOVA(s)  ((s) & ~UINT64_C(0xfff))
#define IFD_RADIX_TABLE(s) ((struct ifd_table *)(uintptr_t)(s))

struct ifd_table {
	_Atomic uint64_t slots[IFD_RADIX_SLOTS];

	/* no reader looks at these */
	uint64_t start; /* the first address that it is of */
	struct ifd_table *parent;
	struct ifd_table *older;       /* all that there are */
	struct ifd_table *prev, *next; /* of those that are idle, the longest first; `next` also of those to spare */
	unsigned int shift;            /* its slots have 1 << shift bytes */
	unsigned int used, leaves;     /* slots; of these, the ones that have no table */
	bool idle;                     /* empty, but still in its place */
	bool in_block;                 /* and not by itself, see radix-memory.c */
};

/* What the slot of 1 GiB at key << IFD_RADIX_LARGE has, or 0 where that is to be looked for from the root on. */
struct ifd_shortcut {
	_Atomic uint64_t key, slot;
};

struct ifd_radix {
	/* Grows whenever a reader that is under way could be led astray: with another number it begins anew. */
	_Atomic uint64_t moves;

	/* How many mappings the owner keeps elsewhere, so that who finds none here has to ask it. */
	_Atomic uint64_t others;
	_Atomic uint64_t root; /* a slot; the table's `shift` is in its lowest bits */
	struct ifd_shortcut shortcuts[IFD_RADIX_SHORTCUTS];

	/* What changes all the time is kept away from what readers load all the time. */
	char gap[64];
	_Atomic uint64_t removals;
	struct ifd_table *tables, *spare, *first_idle, *last_idle;
	size_t num_tables, num_idle;
	struct ifd_block *blocks; /* of many tables, see radix-memory.c */
	size_t num_blocks;        /* of which the newest has so many: */
	size_t in_block;
	bool starved; /* there was no memory for a table; the owner takes note and clears it */
};

/* Of what was filled with zeros. */
void ifd_radix_fini(struct ifd_radix *radix);

/* One more table, of zeros; or NULL. */
struct ifd_table *ifd_radix_more(struct ifd_radix *radix);

/* How much memory they take, at most: so many are allocated one by one, the others in blocks. */
#define IFD_RADIX_BLOCK  ((size_t)2 << 20)
#define IFD_RADIX_SINGLE (IFD_RADIX_BLOCK / sizeof(struct ifd_table))
static inline size_t ifd_radix_bytes(const struct ifd_radix *radix)
{
	size_t single = radix->num_tables < IFD_RADIX_SINGLE ? radix->num_tables : IFD_RADIX_SINGLE;

	return single * sizeof(struct ifd_table) + radix->num_blocks * IFD_RADIX_BLOCK;
}

/* False, and nothing was entered: something is there, no memory, or not aligned to the smallest slot. */
bool ifd_radix_enter(struct ifd_radix *radix, uint64_t start, uint64_t last, uint64_t iova);

/* What was entered. */
void ifd_radix_leave(struct ifd_radix *radix, uint64_t start, uint64_t last);

/* Something went elsewhere; or is nowhere, or here, from now on. */
void ifd_radix_more_others(struct ifd_radix *radix);
void ifd_radix_less_others(struct ifd_radix *radix);

/* The lowest part of a range that is here, as far as one slot tells. */
bool ifd_radix_next(const struct ifd_radix *radix, uint64_t start, uint64_t last, struct iommufd_range *part);

/*
 * Where an address is mapped, and how many bytes are from there on in the same mapping, `want` at most: 0, -ENOENT for
 * less than `least`, which is not 0. -EBUSY: ask the owner, with its lock, since there are others, or so much changes.
 */
int ifd_radix_find(const struct ifd_radix *radix, uint64_t vaddr, uint64_t want, uint64_t least, uint64_t *iova,
		   uint64_t *len);

static inline uint64_t ifd_radix_load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_acquire);
}

static inline uint64_t ifd_radix_slot(uint64_t slot, uint64_t vaddr, unsigned int shift)
{
	return ifd_radix_load(&IFD_RADIX_TABLE(slot)->slots[(vaddr >> shift) % IFD_RADIX_SLOTS]);
}

/* How many bytes of its mapping there are from `vaddr` on, as far as a slot tells. */
static inline uint64_t ifd_radix_reach(uint64_t slot, uint64_t vaddr, unsigned int shift)
{
	uint64_t size = UINT64_C(1) << shift;

	return (IFD_RADIX_MORE(slot) << (shift - 2)) + size - (vaddr & (size - 1));
}

static inline uint64_t ifd_radix_at(uint64_t slot, uint64_t vaddr, unsigned int shift)
{
	return IFD_RADIX_IOVA(slot) + (vaddr & ((UINT64_C(1) << shift) - 1));
}

/* The end of a lookup: whether a slot tells all of it, and `moves` is still as it was. */
static inline bool ifd_radix_tell(const struct ifd_radix *radix, uint64_t moves, uint64_t slot, uint64_t vaddr,
				  uint64_t len, unsigned int shift, uint64_t *iova)
{
	if (len > ifd_radix_reach(slot, vaddr, shift) || ifd_radix_load(&radix->moves) != moves)
		return false;
	*iova = ifd_radix_at(slot, vaddr, shift);
	return true;
}

/* What ifd_radix_find() finds too, where a shortcut and one slot tell all. False says nothing. */
static inline bool ifd_radix_hit(const struct ifd_radix *radix, uint64_t vaddr, uint64_t len, uint64_t *iova)
{
	uint64_t moves = ifd_radix_load(&radix->moves), key = vaddr >> IFD_RADIX_LARGE, slot;
	const struct ifd_shortcut *shortcut = &radix->shortcuts[key % IFD_RADIX_SHORTCUTS];

	if (ifd_radix_load(&shortcut->key) != key)
		return false;
	slot = ifd_radix_load(&shortcut->slot);
	if (slot & IFD_RADIX_LEAF)
		return ifd_radix_tell(radix, moves, slot, vaddr, len, IFD_RADIX_LARGE, iova);
	slot = slot ? ifd_radix_slot(slot, vaddr, IFD_RADIX_MIDDLE) : 0;
	if (slot & IFD_RADIX_LEAF)
		return ifd_radix_tell(radix, moves, slot, vaddr, len, IFD_RADIX_MIDDLE, iova);
	slot = slot ? ifd_radix_slot(slot, vaddr, IFD_RADIX_SMALL) : 0;
	return slot & IFD_RADIX_LEAF && ifd_radix_tell(radix, moves, slot, vaddr, len, IFD_RADIX_SMALL, iova);
}

#endif
