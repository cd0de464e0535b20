/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Readers have nothing but single words, each of which is right by itself from the moment when it is stored. What they
 * come through to it is a table that may go elsewhere meanwhile: a table is only cut off when it is empty, `moves`
 * grows then, and only after that it gets something of another address. So who has loaded that from it finds `moves`
 * changed. Memory is never given back while there may be readers, but used again.
 */
#include <errno.h>
#include <stdlib.h>

#include "radix.h"

#define BITS 9u
#define MASK (IFD_RADIX_SLOTS - 1)

/* The table with the largest slots has 2^57 in each; the first root has 2^39. */
#define TOP        57u
#define FIRST_ROOT 39u

/* Empty tables that stay where they are, since most memory is mapped again. */
#define MAX_IDLE 16

/* How often a reader looks again before it asks with the lock. */
#define TRIES 4

static void store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_release);
}

/* For words that only one thread at a time stores. */
static void add(_Atomic uint64_t *word, uint64_t value)
{
	store(word, atomic_load_explicit(word, memory_order_relaxed) + value);
}

static uint64_t peek(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static uint64_t size_of(unsigned int shift)
{
	return UINT64_C(1) << shift;
}

/* ---- Tables ---- */

static void become_idle(struct ifd_radix *radix, struct ifd_table *table)
{
	table->idle = true;
	table->next = NULL;
	table->prev = radix->last_idle;
	*(table->prev ? &table->prev->next : &radix->first_idle) = table;
	radix->last_idle = table;
	radix->num_idle++;
}

static void become_busy(struct ifd_radix *radix, struct ifd_table *table)
{
	*(table->prev ? &table->prev->next : &radix->first_idle) = table->next;
	*(table->next ? &table->next->prev : &radix->last_idle) = table->prev;
	table->idle = false;
	radix->num_idle--;
}

/*
 * Another key's slot must not be taken for this one's. Keys change while the slot is 0, which says nothing, and `moves`
 * grows between the key and the slot: who has read the key before and the slot after finds `moves` changed, and who has
 * seen the new `moves` sees the new key.
 */
static void set_shortcut(struct ifd_radix *radix, uint64_t key, uint64_t value)
{
	struct ifd_shortcut *shortcut = &radix->shortcuts[key % IFD_RADIX_SHORTCUTS];

	if (peek(&shortcut->key) == key) {
		store(&shortcut->slot, value);
	} else if (value && !peek(&shortcut->slot)) {
		store(&shortcut->key, key);
		add(&radix->moves, 1);
		store(&shortcut->slot, value);
	}
}

static void set_slot(struct ifd_radix *radix, struct ifd_table *table, uint64_t at, uint64_t value)
{
	store(&table->slots[(at >> table->shift) % IFD_RADIX_SLOTS], value);
	if (table->shift == IFD_RADIX_LARGE)
		set_shortcut(radix, at >> IFD_RADIX_LARGE, value);
}

static void use(struct ifd_radix *radix, struct ifd_table *table)
{
	if (table->idle)
		become_busy(radix, table);
	table->used++;
}

static void unuse(struct ifd_radix *radix, struct ifd_table *table)
{
	if (!--table->used && table->parent)
		become_idle(radix, table);
}

static struct ifd_table *new_table(struct ifd_radix *radix, uint64_t at, unsigned int shift)
{
	struct ifd_table *table = radix->spare;

	if (table) {
		radix->spare = table->next;
	} else {
		table = ifd_radix_more(radix);
		radix->starved |= !table;
		if (!table)
			return NULL;
	}
	table->start = shift == TOP ? 0 : at & ~(size_of(shift + BITS) - 1);
	table->shift = shift;
	table->parent = NULL;
	return table;
}

/* One that is empty: it may be of other addresses next. */
static void cut_off(struct ifd_radix *radix, struct ifd_table *table)
{
	become_busy(radix, table);
	set_slot(radix, table->parent, table->start, 0);
	unuse(radix, table->parent);
	add(&radix->moves, 1);
	table->next = radix->spare;
	radix->spare = table;
}

static void trim(struct ifd_radix *radix)
{
	while (radix->num_idle > MAX_IDLE)
		cut_off(radix, radix->first_idle);
}

/* Whether there was nothing but empty tables. */
static bool clear(struct ifd_radix *radix, struct ifd_table *table)
{
	if (table->leaves)
		return false;
	for (unsigned int i = 0; i < IFD_RADIX_SLOTS && table->used; i++) {
		uint64_t slot = peek(&table->slots[i]);

		if (slot && !clear(radix, IFD_RADIX_TABLE(slot)))
			return false;
	}
	cut_off(radix, table);
	return true;
}

/* Of the root's slot, where a table's size is in the bits that its address leaves free. */
#define LEVELS UINT64_C(7)

static unsigned int root_shift(uint64_t root)
{
	return (unsigned int)(root & LEVELS) * BITS + IFD_RADIX_SMALL;
}

static struct ifd_table *root_table(uint64_t root)
{
	return IFD_RADIX_TABLE(root & ~LEVELS);
}

static bool is_below(uint64_t at, unsigned int shift)
{
	return shift == TOP || at < size_of(shift + BITS);
}

static struct ifd_table *set_root(struct ifd_radix *radix, struct ifd_table *table)
{
	store(&radix->root, (uintptr_t)table | (table->shift - IFD_RADIX_SMALL) / BITS);
	return table;
}

/* A root that has the address, with slots that are as large or larger. */
static struct ifd_table *make_root(struct ifd_radix *radix, uint64_t at, unsigned int shift)
{
	uint64_t root = peek(&radix->root);
	struct ifd_table *table = root ? root_table(root) : new_table(radix, 0, FIRST_ROOT);

	if (table && !root)
		set_root(radix, table);
	while (table && (!is_below(at, table->shift) || table->shift < shift)) {
		struct ifd_table *higher = new_table(radix, 0, table->shift + BITS);

		if (!higher)
			return NULL;
		table->parent = higher;
		use(radix, higher);
		set_slot(radix, higher, 0, (uintptr_t)table);
		if (!table->used)
			become_idle(radix, table);
		table = set_root(radix, higher);
	}
	return table;
}

/* The one below, where a mapping does not stand in the way. */
static struct ifd_table *make_below(struct ifd_radix *radix, struct ifd_table *table, uint64_t at)
{
	uint64_t slot = peek(&table->slots[(at >> table->shift) % IFD_RADIX_SLOTS]);
	struct ifd_table *below;

	if (slot)
		return slot & IFD_RADIX_LEAF ? NULL : IFD_RADIX_TABLE(slot);
	below = new_table(radix, at, table->shift - BITS);
	if (!below)
		return NULL;
	below->parent = table;
	become_idle(radix, below);
	use(radix, table);
	set_slot(radix, table, at, (uintptr_t)below);
	return below;
}

/* The table that has slots of this size for an address; or NULL. */
static struct ifd_table *make_table(struct ifd_radix *radix, uint64_t at, unsigned int shift)
{
	uint64_t key = at >> IFD_RADIX_LARGE;
	const struct ifd_shortcut *shortcut = &radix->shortcuts[key % IFD_RADIX_SHORTCUTS];
	uint64_t slot = peek(&shortcut->key) == key ? peek(&shortcut->slot) : 0;
	struct ifd_table *table;

	if (slot && shift < IFD_RADIX_LARGE)
		table = slot & IFD_RADIX_LEAF ? NULL : IFD_RADIX_TABLE(slot);
	else
		table = make_root(radix, at, shift);
	while (table && table->shift > shift)
		table = make_below(radix, table, at);
	return table;
}

/* ---- Mappings ---- */

/* The largest slot that begins with an address and ends with another, or before. */
static unsigned int best_shift(uint64_t at, uint64_t last)
{
	unsigned int shift = IFD_RADIX_SMALL;

	while (shift < TOP && !(at & (size_of(shift + BITS) - 1)) && last - at >= size_of(shift + BITS) - 1)
		shift += BITS;
	return shift;
}

/* How many slots of that size there are up to the end, or to that of the table. */
static uint64_t count_slots(uint64_t at, uint64_t last, unsigned int shift)
{
	uint64_t count = (last - at + 1) >> shift, room = IFD_RADIX_SLOTS - ((at >> shift) & MASK);

	return count < room ? count : room;
}

static uint64_t leaf(uint64_t at, uint64_t last, uint64_t iova, unsigned int shift)
{
	uint64_t left = last - at + 1, more = (left >> shift) - 1;
	bool end = more <= IFD_RADIX_MOST && !(left & (size_of(shift) - 1));

	return iova | (more < IFD_RADIX_MOST ? more : IFD_RADIX_MOST) << 2 | (end ? IFD_RADIX_END : 0) | IFD_RADIX_LEAF;
}

static bool is_small(uint64_t start, uint64_t last)
{
	return last - start < size_of(IFD_RADIX_SMALL);
}

/* For what is mapped and unmapped most: the table of the smallest slots, where there is one and a way to it. */
static struct ifd_table *near_table(const struct ifd_radix *radix, uint64_t at)
{
	uint64_t key = at >> IFD_RADIX_LARGE, slot;
	const struct ifd_shortcut *shortcut = &radix->shortcuts[key % IFD_RADIX_SHORTCUTS];

	slot = peek(&shortcut->key) == key ? peek(&shortcut->slot) : 0;
	if (!slot || slot & IFD_RADIX_LEAF)
		return NULL;
	slot = peek(&IFD_RADIX_TABLE(slot)->slots[(at >> IFD_RADIX_MIDDLE) & MASK]);
	return slot & IFD_RADIX_LEAF ? NULL : IFD_RADIX_TABLE(slot);
}

/* False says nothing. */
static bool enter_small(struct ifd_radix *radix, uint64_t at, uint64_t iova)
{
	struct ifd_table *table = near_table(radix, at);
	_Atomic uint64_t *slot = table ? &table->slots[(at >> IFD_RADIX_SMALL) & MASK] : NULL;

	if (!slot || peek(slot))
		return false;
	use(radix, table);
	table->leaves++;
	store(slot, iova | IFD_RADIX_END | IFD_RADIX_LEAF);
	return true;
}

/* Nobody goes on from it to another slot, so it does not count as a removal. */
static bool leave_small(struct ifd_radix *radix, uint64_t at)
{
	struct ifd_table *table = near_table(radix, at);

	if (!table)
		return false;
	store(&table->slots[(at >> IFD_RADIX_SMALL) & MASK], 0);
	table->leaves--;
	unuse(radix, table);
	return true;
}

/* The slots that a mapping takes, in their order. */
struct way {
	uint64_t at, last, count;
	struct ifd_table *table;
	unsigned int shift;
};

/* The one where it is; or NULL, no memory for its table, or a mapping in its place. */
static _Atomic uint64_t *slot_of(struct ifd_radix *radix, struct way *way)
{
	if (!way->count) {
		way->shift = best_shift(way->at, way->last);
		way->count = count_slots(way->at, way->last, way->shift);
		way->table = make_table(radix, way->at, way->shift);
	}
	return way->table ? &way->table->slots[(way->at >> way->shift) & MASK] : NULL;
}

static bool go_on(struct way *way)
{
	bool more = way->last - way->at >= size_of(way->shift);

	way->at += size_of(way->shift);
	way->count--;
	return more;
}

/* Whether all of it is free; the tables are there then. */
static bool make_way(struct ifd_radix *radix, struct way way)
{
	do {
		const _Atomic uint64_t *slot = slot_of(radix, &way);
		uint64_t value = slot ? peek(slot) : IFD_RADIX_LEAF;

		if (value & IFD_RADIX_LEAF || (value && !clear(radix, IFD_RADIX_TABLE(value))))
			return false;
	} while (go_on(&way));
	return true;
}

/* Readers go on from one slot to the next, so nothing is stored before it is certain that all can be. */
bool ifd_radix_enter(struct ifd_radix *radix, uint64_t start, uint64_t last, uint64_t iova)
{
	struct way way = { .at = start, .last = last };

	if ((start | iova | (last + 1)) & (size_of(IFD_RADIX_SMALL) - 1))
		return false;
	if (is_small(start, last) && enter_small(radix, start, iova))
		return true;
	if (!make_way(radix, way)) {
		trim(radix);
		return false;
	}
	do {
		slot_of(radix, &way);
		use(radix, way.table);
		way.table->leaves++;
		set_slot(radix, way.table, way.at, leaf(way.at, last, iova + (way.at - start), way.shift));
	} while (go_on(&way));
	return true;
}

void ifd_radix_leave(struct ifd_radix *radix, uint64_t start, uint64_t last)
{
	struct way way = { .at = start, .last = last };

	if (!is_small(start, last) || !leave_small(radix, start)) {
		do {
			slot_of(radix, &way);
			set_slot(radix, way.table, way.at, 0);
			way.table->leaves--;
			unuse(radix, way.table);
		} while (go_on(&way));
		add(&radix->removals, 1);
	}
	trim(radix);
}

void ifd_radix_more_others(struct ifd_radix *radix)
{
	add(&radix->others, 1);
}

/* Who has not found it here, since it came later, must not take the smaller number for the whole truth. */
void ifd_radix_less_others(struct ifd_radix *radix)
{
	add(&radix->moves, 1);
	add(&radix->others, UINT64_MAX);
}

/* ---- Looking ---- */

/* What is at an address: a leaf or 0, and how large the slot is that says so. */
static uint64_t look(const struct ifd_radix *radix, uint64_t vaddr, unsigned int *shift)
{
	uint64_t slot = ifd_radix_load(&radix->root);
	unsigned int size = slot ? root_shift(slot) : TOP;

	*shift = TOP + BITS;
	if (!slot || !is_below(vaddr, size))
		return 0;
	slot = (uintptr_t)root_table(slot);
	for (;; size -= BITS) {
		slot = ifd_radix_slot(slot, vaddr, size);
		*shift = size;
		if (!slot || slot & IFD_RADIX_LEAF)
			return slot;
		if (size == IFD_RADIX_SMALL)
			return 0; /* of a table that is elsewhere now */
	}
}

/* From one slot to the next that is not told of goes up by a size, or down. Who walks further was led astray. */
#define MAX_WALK 32

/*
 * How much of one mapping there is. What several slots tell goes together when nothing was removed meanwhile: a mapping
 * goes on behind each slot that is not its end, and nothing else is there. Should something be, it has other IOVAs.
 */
static uint64_t walk(const struct ifd_radix *radix, uint64_t vaddr, uint64_t want, uint64_t *iova, bool *torn)
{
	uint64_t removals = ifd_radix_load(&radix->removals), found = 0, slot;
	unsigned int shift, slots = 0;

	do {
		slot = look(radix, vaddr + found, &shift);
		if (!slot)
			break;
		if (!slots++)
			*iova = ifd_radix_at(slot, vaddr, shift);
		else if (ifd_radix_at(slot, vaddr + found, shift) != *iova + found)
			break;
		found += ifd_radix_reach(slot, vaddr + found, shift);
	} while (found < want && !(slot & IFD_RADIX_END) && slots < MAX_WALK);
	*torn = slots == MAX_WALK || (slots > 1 && ifd_radix_load(&radix->removals) != removals);
	return found < want ? found : want;
}

int ifd_radix_find(const struct ifd_radix *radix, uint64_t vaddr, uint64_t want, uint64_t least, uint64_t *iova,
		   uint64_t *len)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t moves = ifd_radix_load(&radix->moves), at = 0, found;
		bool torn;

		found = walk(radix, vaddr, want, &at, &torn);
		if (found < least && ifd_radix_load(&radix->others))
			return -EBUSY;
		if (torn || ifd_radix_load(&radix->moves) != moves)
			continue;
		if (found < least)
			return -ENOENT;
		*iova = at;
		*len = found;
		return 0;
	}
	return -EBUSY;
}

bool ifd_radix_next(const struct ifd_radix *radix, uint64_t start, uint64_t last, struct iommufd_range *part)
{
	for (;;) {
		unsigned int shift;
		uint64_t slot = look(radix, start, &shift), end = UINT64_MAX;

		if (slot) {
			end = start + (ifd_radix_reach(slot, start, shift) - 1);
			*part = (struct iommufd_range){ start, end < last ? end : last };
			return true;
		}
		if (shift <= TOP)
			end = start | (size_of(shift) - 1);
		if (end >= last)
			return false;
		start = end + 1;
	}
}
