/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Calls on an address space that choose a place: windows, what is reserved; batches, buffers and pools with options. */
#include "fuzz-calls.h"

static struct iommufd_range some_range(void)
{
	struct iommufd_range range = { .start = fuzz_call_pages() };

	range.last = range.start + fuzz_call_pages() - 1;
	return range;
}

static bool is_inside(const struct iommufd_range *range, uint64_t iova, uint64_t len)
{
	return iova >= range->start && iova <= range->last && len - 1 <= range->last - iova;
}

static void map_within(struct iommufd_ioas *to)
{
	struct iommufd_map map = fuzz_some_map();
	struct iommufd_range window = some_range();
	bool anywhere = fuzz_call_byte() >= 0xf0;
	uint64_t iova = map.iova;
	int ret = CALL(iommufd_ioas_map_within, to, map.vaddr, map.len, map.flags, anywhere ? NULL : &window, &iova);

	if (ret) {
		fuzz_check(iova == map.iova, "the IOVA was written");
		return;
	}
	fuzz_check_aligned(map.flags, iova);
	fuzz_check(anywhere || is_inside(&window, iova, map.len), "0x%llx is outside of the window",
		   (unsigned long long)iova);
}

/* A mapping between the two, perhaps, and perhaps it stays reserved. */
static void reserve(struct iommufd_ioas *in)
{
	struct iommufd_range range = some_range();
	uint8_t how = fuzz_call_byte();
	int ret = CALL(iommufd_ioas_reserve, in, &range);

	if (!ret && how & 1) {
		struct iommufd_map map = fuzz_some_map();
		uint64_t iova = 0;

		map.flags &= ~(uint32_t)IOMMUFD_MAP_FIXED;
		if (!CALL(iommufd_ioas_map, in, map.vaddr, map.len, map.flags, &iova))
			fuzz_check(iova > range.last || iova + (map.len - 1) < range.start,
				   "0x%llx is of what is reserved", (unsigned long long)iova);
	}
	if (!ret && how & 2)
		fuzz_check(!CALL(iommufd_ioas_unreserve, in, &range), "what was reserved is not given back");
}

static void unreserve(struct iommufd_ioas *in)
{
	struct iommufd_range range = some_range();

	CALL(iommufd_ioas_unreserve, in, &range);
}

/* What a caller has that knows more members. */
#define MORE 256

/* ---- Batches ---- */

struct progress {
	uint64_t done, total;
};

static int hear_progress(void *data, uint64_t done, uint64_t total)
{
	struct progress *progress = data;

	fuzz_check(done >= progress->done && done <= total, "0x%llx of 0x%llx are done", (unsigned long long)done,
		   (unsigned long long)total);
	*progress = (struct progress){ done, total };
	return fuzz_callback();
}

static void map_many(struct iommufd_ioas *to)
{
	uint8_t how = fuzz_call_byte();
	struct progress progress = { 0, 0 };
	struct {
		struct iommufd_batch_opts opts;
		uint8_t more[MORE];
	} large = { { .struct_size = how & 0x80 ? fuzz_call_byte() : sizeof(large.opts),
		      .flags = how & 1 ? IOMMUFD_BATCH_POPULATE : 0,
		      .threads = how & 8 ? 1025 : (how >> 1 & 1) + (how >> 4 & 3),
		      .progress = how & 4 ? hear_progress : NULL,
		      .data = &progress },
		    { 0 } };
	struct iommufd_map maps[4], was[4];
	size_t count = fuzz_call_byte() % 5;
	int ret;

	for (size_t i = 0; i < count; i++)
		was[i] = maps[i] = fuzz_some_map();
	large.more[0] = how & 0x40;
	ret = CALL(iommufd_ioas_map_batch, to, maps, count, &large.opts);
	for (size_t i = 0; i < count; i++)
		if (ret)
			fuzz_check(maps[i].iova == was[i].iova, "IOVA %zu of a batch that failed was written", i);
		else
			fuzz_check_aligned(maps[i].flags, maps[i].iova);
	fuzz_check(ret || progress.done == progress.total, "a batch that was made was not told of");
}

/* ---- Buffers ---- */

struct large_opts {
	struct iommufd_dma_opts opts;
	uint8_t more[MORE];
};

static struct large_opts some_opts(void)
{
	struct large_opts large = { .opts.struct_size = sizeof(large.opts) };
	uint8_t how = fuzz_call_byte();

	if (how & 1)
		large.opts.window = some_range();
	if (how & 2)
		large.opts.node = fuzz_call_byte() & 3;
	if (how & 0x40)
		large.opts.node = (uint32_t)fuzz_call_number();
	if (how >= 0xe0)
		large.opts.struct_size = fuzz_call_byte();
	large.more[0] = how & 0x10;
	return large;
}

static void buffer(struct iommufd_ioas *in, unsigned int slot)
{
	struct large_opts large = some_opts();
	const struct iommufd_dma *dma = &fuzz.buffers[slot].dma;

	if (dma->len)
		return;
	fuzz_buffer_make(slot, in, &large.opts);
	if (dma->len && large.opts.window.last && large.opts.struct_size >= sizeof(large.opts))
		fuzz_check(is_inside(&large.opts.window, dma->iova, dma->len),
			   "a buffer at 0x%llx is outside of its window", (unsigned long long)dma->iova);
}

/* Two objects, which are not in each other's way, and go back; twice of one is once too often. */
static void use_pool(struct iommufd_pool *pool, uint64_t size)
{
	struct iommufd_dma dma[2] = { { .len = 0 } };

	for (int i = 0; i < 2; i++)
		if (!CALL(iommufd_pool_get, pool, &dma[i])) {
			fuzz_check(dma[i].len == size && dma[i].vaddr, "an object of %zu bytes", dma[i].len);
			memset(dma[i].vaddr, 1, size < PAGE ? size : PAGE);
			((char *)dma[i].vaddr)[size - 1] = 1;
		}
	if (dma[0].len && dma[1].len)
		fuzz_check((char *)dma[0].vaddr + size <= (char *)dma[1].vaddr ||
				   (char *)dma[1].vaddr + size <= (char *)dma[0].vaddr,
			   "two objects at one place");
	for (int i = 0; i < 2; i++)
		if (dma[i].len) {
			fuzz_check(!CALL(iommufd_pool_put, pool, dma[i].vaddr), "an object does not go back");
			fuzz_check(CALL(iommufd_pool_put, pool, dma[i].vaddr) == -EALREADY,
				   "an object goes back twice");
		}
	CALL(iommufd_pool_put, pool, &dma);
}

/* From its begin to its end, since only the library knows where its memory is, to be looked for where it is lost. */
static void pool(struct iommufd_ioas *in)
{
	uint64_t size = fuzz_call_number();
	struct large_opts large = some_opts();
	uint8_t how = fuzz_call_byte();
	unsigned int refused = fuzz_refused_unmaps();
	struct iommufd_pool *made = NULL;
	size_t lost;
	int ret;

	fuzz_watch_memory();
	ret = CALL(iommufd_pool_new, in, size, (how & 7 ? how & 3 : 1) | (uint32_t)(how >> 4) << 16,
		   how & 8 ? &large.opts : NULL, &made);
	fuzz_check(!ret == !!made, "a pool, and %d", ret);
	if (made)
		use_pool(made, size);
	iommufd_pool_free(made);
	lost = fuzz_take_watched();
	fuzz_check(!lost || refused != fuzz_refused_unmaps(), "%zu bytes of a pool were lost", lost);
}

void fuzz_call_place(uint8_t what, struct iommufd_ioas *in)
{
	switch (what) {
	case 0:
		map_within(in);
		break;
	case 1:
		reserve(in);
		break;
	case 2:
		unreserve(in);
		break;
	case 3:
		map_many(in);
		break;
	case 4:
		buffer(in, fuzz_call_byte() % SLOTS);
		break;
	default:
		pool(in);
	}
}
