/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Calls on an address space. */
#include <sys/mman.h>
#include <sys/uio.h>

#include "fuzz-calls.h"

struct iommufd_map fuzz_some_map(void)
{
	uint8_t how = fuzz_call_byte();
	struct iommufd_map map = { .vaddr = (void *)(uintptr_t)(0x10000000 + fuzz_call_pages()),
				   .len = fuzz_call_pages(),
				   .iova = fuzz_call_pages(),
				   .flags = how & 7 };

	if (how & 0x10 && !map.len)
		map.len = PAGE;
	if (how & 0x20)
		map.flags |= IOMMUFD_MAP_READ;
	if (how & 0x40) {
		uint8_t shift = fuzz_call_byte() % 65;

		map.flags |= IOMMUFD_MAP_ALIGN(shift);
	}
	if (how & 0x80)
		map.flags = how;
	return map;
}

void fuzz_check_aligned(uint32_t flags, uint64_t iova)
{
	fuzz_check(!(iova & ((UINT64_C(1) << (flags >> 8 & 63)) - 1)), "0x%llx with the flags 0x%x",
		   (unsigned long long)iova, flags);
}

static void map_one(struct iommufd_ioas *to)
{
	struct iommufd_map map = fuzz_some_map();
	uint64_t iova = map.iova;
	void *vaddr = NULL;
	int ret = CALL(iommufd_ioas_map, to, map.vaddr, map.len, map.flags, &iova);

	if (ret || map.flags & IOMMUFD_MAP_FIXED)
		fuzz_check(iova == map.iova, "the IOVA was written");
	if (ret)
		return;
	fuzz_check_aligned(map.flags, iova);
	fuzz_check(!iommufd_ioas_to_vaddr(to, iova, map.len, &vaddr) && vaddr == map.vaddr,
		   "what was mapped is not found");
}

static void map_many(struct iommufd_ioas *to)
{
	struct iommufd_map maps[4], was[4];
	size_t count = fuzz_call_byte() % 5;

	for (size_t i = 0; i < count; i++)
		was[i] = maps[i] = fuzz_some_map();
	if (CALL(iommufd_ioas_map_batch, to, maps, count, NULL))
		for (size_t i = 0; i < count; i++)
			fuzz_check(maps[i].iova == was[i].iova, "IOVA %zu of a batch that failed was written", i);
}

static void unmap(struct iommufd_ioas *from, bool all)
{
	uint64_t iova = fuzz_call_pages(), len = fuzz_call_pages(), bytes = 77;
	int ret = all ? CALL(iommufd_ioas_unmap_all, from, &bytes) : CALL(iommufd_ioas_unmap, from, iova, len, &bytes);

	fuzz_check(!ret == (bytes != 77), "an unmap gave %d, and 0x%llx bytes", ret, (unsigned long long)bytes);
	fuzz_check(ret || all || bytes <= len, "more was unmapped than was asked for");
}

static void translate(struct iommufd_ioas *in)
{
	struct iommufd_segment segments[4] = { { 77, 77 } };
	struct iovec iov[2];
	uint64_t iova = 77;
	void *vaddr = &iova;
	int ret;

	for (int i = 0; i < 2; i++)
		iov[i] = (struct iovec){ (void *)(uintptr_t)(0x10000000 + fuzz_call_pages()), fuzz_call_number() };
	fuzz_before("iommufd_ioas_to_iova");
	ret = fuzz_after_search(iommufd_ioas_to_iova(in, iov[0].iov_base, iov[0].iov_len, &iova), 0);
	fuzz_check(!ret || iova == 77, "the IOVA was written");
	fuzz_before("iommufd_ioas_to_vaddr");
	ret = fuzz_after_search(iommufd_ioas_to_vaddr(in, fuzz_call_pages(), fuzz_call_number(), &vaddr), 0);
	fuzz_check(!ret || vaddr == &iova, "the address was written");
	fuzz_before("iommufd_ioas_to_iovas");
	ret = fuzz_after_search(iommufd_ioas_to_iovas(in, iov, 2, segments, 4), INT32_MAX);
	fuzz_check(ret >= 0 || (segments[0].addr == 77 && segments[0].len == 77), "the runs were written");
}

static void maps_left(struct iommufd_ioas *of)
{
	uint64_t left = 77;
	int ret = CALL(iommufd_ioas_maps_left, of, &left);

	fuzz_check(!ret || left == 77, "the number was written");
}

void fuzz_buffer_make(unsigned int slot, struct iommufd_ioas *in, const struct iommufd_dma_opts *opts)
{
	struct iommufd_dma *dma = &fuzz.buffers[slot].dma;
	uint8_t how = fuzz_call_byte();
	uint32_t flags = (how & 7 ? how & 3 : 1) | (uint32_t)(how >> 4) << 16;
	uint64_t len = fuzz_call_pages();
	int ret;

	if (dma->len)
		return;
	ret = opts ? CALL(iommufd_dma_alloc_opts, in, len, flags, opts, dma)
		   : CALL(iommufd_dma_alloc, in, len, flags, dma);
	fuzz_check(!ret == (dma->len > 0), "a buffer of %zu bytes, and %d", dma->len, ret);
	if (ret)
		return;
	fuzz_check(dma->len >= len && dma->vaddr && dma->page_size >= PAGE, "a buffer of %zu bytes", dma->len);
	memset(dma->vaddr, 1, dma->len < PAGE ? dma->len : PAGE);
	((char *)dma->vaddr)[dma->len - 1] = 1;
	fuzz.buffers[slot].ioas = in;
}

/* What the kernel does not let go, or what was unmapped by its IOVA before, is not freed: that is told in the log. */
void fuzz_buffer_drop(struct fuzz_buffer *buffer)
{
	struct iommufd_dma dma = buffer->dma;
	unsigned int refused = fuzz_refused_unmaps();
	unsigned char there;
	void *vaddr = NULL;
	bool whole;

	if (!dma.len)
		return;
	whole = !iommufd_ioas_to_vaddr(buffer->ioas, dma.iova, dma.len, &vaddr) && vaddr == dma.vaddr;
	iommufd_dma_free(buffer->ioas, &buffer->dma);
	fuzz_check(!buffer->dma.len, "a buffer is still there");
	if (mincore(dma.vaddr, 1, &there))
		return;
	fuzz_check(!whole || refused != fuzz_refused_unmaps(), "a buffer was lost");
	fuzz_take_lost(dma.vaddr, dma.len);
}

void fuzz_call_ioas(uint8_t what, struct iommufd_ioas *in)
{
	if (!in)
		return;
	switch (what) {
	case 0:
	case 1:
		map_one(in);
		break;
	case 2:
		map_many(in);
		break;
	case 3:
		unmap(in, false);
		break;
	case 4:
		unmap(in, true);
		break;
	case 5:
		translate(in);
		break;
	case 6:
		maps_left(in);
		break;
	case 7:
		fuzz_buffer_make(fuzz_call_byte() % SLOTS, in, NULL);
		break;
	case 8:
		fuzz_buffer_drop(&fuzz.buffers[fuzz_call_byte() % SLOTS]);
		break;
	default:
		fuzz_call_more(what - FUZZ_IOAS_CALLS, in);
	}
	fuzz_check_ioas(in);
}
