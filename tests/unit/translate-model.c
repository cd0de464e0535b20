/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "index.h"
#include "translate-model.h"

#define MAPS 48
#define PAGE UINT64_C(0x1000)

/* What a lookup that fails must leave alone. */
#define UNTOUCHED UINT64_C(0x5555555555555555)

/* Around the borders of slots of every size, and of everything. */
static const uint64_t bases[] = {
	0,
	UINT64_C(1) << 21,
	UINT64_C(1) << 30,
	(UINT64_C(1) << 30) - (UINT64_C(1) << 21),
	UINT64_C(1) << 39,
	UINT64_C(0x7f1234) << 24,
	UINT64_C(1) << 47,
	UINT64_C(1) << 48,
	UINT64_C(1) << 57,
	UINT64_C(1) << 63,
	-(UINT64_C(1) << 48),
	-(UINT64_C(1) << 30),
	-(UINT64_C(1) << 21),
	-PAGE,
	(UINT64_C(1) << 30) * 128, /* shares its shortcut with 0 */
	(UINT64_C(1) << 30) * 384,
};

static const unsigned int shifts[] = { 12, 12, 12, 16, 21, 30, 39, 48 };

struct entry {
	struct ifd_map *map; /* NULL: not in use */
	uint64_t start, last, iova;
};

struct model {
	const uint8_t *at, *end;
	struct ifd_index index;
	struct entry entries[MAPS];
	size_t recent;
	struct model_seen *seen;
};

int model_tables_left = -1;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
	if (size == sizeof(struct ifd_table) && model_tables_left >= 0 && model_tables_left-- == 0) {
		model_tables_left = 0;
		return NULL;
	}
	return __real_calloc(count, size);
}

static void __attribute__((format(printf, 2, 3))) expect(bool right, const char *format, ...)
{
	va_list args;

	if (right)
		return;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

static uint8_t next_byte(struct model *model)
{
	return model->at < model->end ? *model->at++ : 0;
}

static uint64_t some_address(struct model *model)
{
	uint8_t base = next_byte(model), count = next_byte(model);

	if (count % 4) /* so that some meet */
		count %= 8;
	return bases[base % 16] + (uint64_t)(int64_t)(int8_t)count * (UINT64_C(1) << shifts[base / 16 % 8]);
}

static uint64_t some_length(struct model *model)
{
	uint8_t unit = next_byte(model), count = next_byte(model);
	uint64_t len;

	if (count % 4)
		count %= 8;
	len = (UINT64_C(1) + count / 4) << shifts[unit % 8];
	return unit & 0x40 ? len + PAGE : unit & 0x80 && len > PAGE ? len - PAGE : len;
}

static bool has(const struct entry *entry, uint64_t start, uint64_t last)
{
	return entry->map && entry->start <= start && entry->last >= last;
}

static bool meets(const struct entry *entry, uint64_t start, uint64_t last)
{
	return entry->map && entry->start <= last && entry->last >= start;
}

/* ---- Lookups ---- */

static void check_to_iova(struct model *model, uint64_t vaddr, uint64_t len)
{
	uint64_t iova = UNTOUCHED, last = vaddr + (len - 1);
	bool expected = false, right = false;
	int ret;

	if (!len) /* it has been asked for by nobody then */
		return;
	ret = ifd_index_to_iova(&model->index, vaddr, len, &iova);
	for (size_t i = 0; i < MAPS && last >= vaddr; i++)
		if (has(&model->entries[i], vaddr, last)) {
			expected = true;
			right |= iova == model->entries[i].iova + (vaddr - model->entries[i].start);
		}
	expect(ret == (expected ? 0 : -ENOENT), "0x%" PRIx64 ", 0x%" PRIx64 " bytes: %d", vaddr, len, ret);
	expect(ret ? iova == UNTOUCHED : right, "0x%" PRIx64 ", 0x%" PRIx64 " bytes: at 0x%" PRIx64, vaddr, len, iova);
	model->seen->hits += !ret;
	model->seen->misses += !!ret;
}

static void check_find(struct model *model, uint64_t vaddr, uint64_t want)
{
	uint64_t iova = UNTOUCHED, len = UNTOUCHED;
	int ret = ifd_index_find_vaddr(&model->index, vaddr, want, 1, &iova, &len);
	bool expected = false, right = false;

	for (size_t i = 0; i < MAPS; i++) {
		const struct entry *entry = &model->entries[i];

		if (!has(entry, vaddr, vaddr))
			continue;
		expected = true;
		right |= iova == entry->iova + (vaddr - entry->start) &&
			 len == (entry->last - vaddr < want - 1 ? entry->last - vaddr + 1 : want);
	}
	expect(ret == (expected ? 0 : -ENOENT), "what is at 0x%" PRIx64 ": %d", vaddr, ret);
	expect(ret ? iova == UNTOUCHED && len == UNTOUCHED : right,
	       "what is at 0x%" PRIx64 ": 0x%" PRIx64 ", and 0x%" PRIx64 " of 0x%" PRIx64 " bytes", vaddr, iova, len,
	       want);
}

static void check_first(struct model *model, uint64_t start, uint64_t last)
{
	struct iommufd_range part = { UNTOUCHED, 0 };
	bool found = ifd_index_first_vaddr(&model->index, start, last, &part), expected = false, right = false;
	uint64_t lowest = UINT64_MAX;

	for (size_t i = 0; i < MAPS; i++) {
		const struct entry *entry = &model->entries[i];

		if (!meets(entry, start, last))
			continue;
		expected = true;
		if (entry->start < lowest)
			lowest = entry->start > start ? entry->start : start;
		right |= has(entry, part.start, part.last);
	}
	expect(found == expected, "the first from 0x%" PRIx64 " to 0x%" PRIx64, start, last);
	expect(!found || (right && part.start == lowest && part.last >= part.start && part.last <= last),
	       "the first from 0x%" PRIx64 " to 0x%" PRIx64 ": 0x%" PRIx64 " to 0x%" PRIx64 ", not 0x%" PRIx64, start,
	       last, part.start, part.last, lowest);
}

static void check_around(struct model *model, const struct entry *entry)
{
	uint64_t len = entry->last - entry->start + 1;

	check_to_iova(model, entry->start, 1);
	check_to_iova(model, entry->start, len);
	check_to_iova(model, entry->start, len + 1);
	check_to_iova(model, entry->last, 1);
	check_to_iova(model, entry->last, 2);
	check_to_iova(model, entry->last + 1, 1);
	check_to_iova(model, entry->start - 1, 1);
	check_to_iova(model, entry->start - 1, 2);
	check_to_iova(model, entry->start + len / 2, len - len / 2);
	check_to_iova(model, entry->start + len / 3, len / 3);
	check_find(model, entry->start, len + 1);
	check_find(model, entry->start + len / 2, len);
	check_first(model, entry->start, entry->last);
	check_first(model, entry->start / 2, entry->last);
}

/* Nothing stays where the lock must be taken without need. */
static void check_apart(struct model *model)
{
	for (size_t i = 0; i < MAPS && !model->index.radix.starved; i++) {
		const struct entry *entry = &model->entries[i];
		bool needed = (entry->start | entry->iova | (entry->last + 1)) % PAGE;

		if (!entry->map || !entry->map->apart)
			continue;
		for (size_t k = 0; k < MAPS && !needed; k++)
			needed = meets(&model->entries[k], entry->start, entry->last) && !model->entries[k].map->apart;
		expect(needed, "0x%" PRIx64 " to 0x%" PRIx64 " stands apart alone", entry->start, entry->last);
	}
}

/* ---- Changes ---- */

static void do_map(struct model *model)
{
	uint64_t start = some_address(model), len = some_length(model), high = next_byte(model);
	uint64_t iova = high << 56 | (uint64_t)next_byte(model) << 48 | (uint64_t)next_byte(model) << 12;
	struct iommufd_range there;
	struct entry *entry = NULL;
	size_t overlaps = 0;
	uint8_t odd = next_byte(model);

	start += odd % 32 == 1 ? 0x123 : 0; /* of no page */
	len += odd % 32 == 2 ? 0x321 : 0;
	iova += odd % 32 == 3 ? 8 : 0;

	for (size_t i = 0; i < MAPS; i++) {
		overlaps += meets(&model->entries[i], start, start + (len - 1));
		if (!model->entries[i].map)
			entry = &model->entries[i];
	}
	if (!entry || start + (len - 1) < start || iova + (len - 1) < iova)
		return;
	*entry = (struct entry){ ifd_map_new((const void *)(uintptr_t)start, len, 3), start, start + (len - 1), iova };
	expect(entry->map, "no memory");
	if (ifd_index_reserve(&model->index, entry->map, iova, &there)) {
		ifd_map_free(entry->map);
		entry->map = NULL;
		return;
	}
	ifd_index_commit(&model->index, entry->map);
	model->recent = (size_t)(entry - model->entries);
	model->seen->overlaps += overlaps > 0;
	model->seen->kept_apart += entry->map->apart;
	model->seen->failures += entry->map->apart && !overlaps;
	check_around(model, entry);
}

static void do_unmap(struct model *model)
{
	struct entry *entry = &model->entries[next_byte(model) % MAPS], old = *entry;
	struct iommufd_range there;
	struct ifd_map *list;

	if (!entry->map)
		return;
	expect(!ifd_index_leave(&model->index, old.iova, old.iova + (old.last - old.start), &list, &there) &&
		       list == old.map && !list->next,
	       "a mapping that does not leave");
	entry->map = NULL;
	check_around(model, &old);
	check_apart(model);
	if (next_byte(model) & 1) {
		ifd_index_stay(&model->index, list);
		entry->map = list;
		check_around(model, &old);
	} else {
		ifd_index_left(&model->index, list);
	}
}

static void check_end(struct model *model)
{
	struct iommufd_range there;
	struct ifd_map *list, *next;

	if (!ifd_index_leave(&model->index, 0, UINT64_MAX, &list, &there))
		for (; list; list = next) {
			next = list->next;
			ifd_index_left(&model->index, list);
		}
	for (size_t i = 0; i < MAPS; i++)
		model->entries[i].map = NULL;
	check_first(model, 0, UINT64_MAX);
	expect(!atomic_load(&model->index.radix.others), "others, although nothing is left");
	for (size_t i = 0; i < IFD_RADIX_SHORTCUTS; i++) {
		uint64_t slot = atomic_load(&model->index.radix.shortcuts[i].slot);

		expect(!(slot & IFD_RADIX_LEAF), "a shortcut to a mapping that is gone");
	}
	expect(model->index.radix.num_idle <= 16, "%zu tables are kept for nothing", model->index.radix.num_idle);
}

void model_run(const uint8_t *data, size_t size, struct model_seen *seen)
{
	struct model *model = calloc(1, sizeof(*model));

	expect(model, "no memory");
	*model = (struct model){ .at = data, .end = data + size, .seen = seen };
	ifd_index_init(&model->index);
	while (model->at < model->end) {
		uint8_t what = next_byte(model);
		uint64_t vaddr;

		if (what < 90) {
			do_map(model);
		} else if (what < 150) {
			do_unmap(model);
		} else if (what < 200) {
			vaddr = some_address(model) + next_byte(model);
			check_to_iova(model, vaddr, some_length(model) - what % 2);
		} else if (what < 220) {
			vaddr = some_address(model) + next_byte(model);
			check_find(model, vaddr, some_length(model));
		} else if (what < 235) {
			vaddr = some_address(model);
			check_first(model, vaddr, vaddr > UINT64_MAX / 2 ? UINT64_MAX : vaddr + some_length(model));
		} else if (what < 250) {
			check_around(model, &model->entries[model->recent]);
		} else {
			model_tables_left = what % 2 ? -1 : next_byte(model) % 8;
		}
	}
	model_tables_left = -1;
	check_end(model);
	ifd_index_fini(&model->index);
	free(model);
}
