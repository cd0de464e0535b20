/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The start of the namespace: what was there is kept, and put back. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

/* The three parts of the memory. */
enum {
	NEW, /* what is written */
	GOT, /* what is read back */
	OLD, /* what was there */
};

static uint8_t *memory(struct nvme *c, const struct region *r, int part)
{
	return (uint8_t *)c->data.vaddr + (size_t)r->len * (size_t)part;
}

/* Moves the region from or to a part of the memory, in large commands, or of one, two and many pages by turns. */
static int move(struct nvme *c, const struct region *r, uint8_t opcode, int part, bool mixed)
{
	const uint32_t sizes[] = { NVME_PAGE, 2 * NVME_PAGE, c->max_transfer };
	uint64_t iova = iommufd_dma_addr(&c->data, memory(c, r, part));
	uint32_t step;

	for (uint32_t done = 0, i = 0; done < r->len; done += step, i++) {
		step = mixed ? sizes[i % 3] : c->max_transfer;
		if (step > c->max_transfer)
			step = c->max_transfer;
		if (step > r->len - done)
			step = r->len - done;
		if (nvme_transfer(c, opcode, done / c->block_size, iova + done, step))
			return -1;
	}
	return 0;
}

uint32_t differences(const uint8_t *a, const uint8_t *b, uint32_t len)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < len; i++)
		count += a[i] != b[i];
	return count;
}

int region_save(struct nvme *c, struct region *r, const struct options *opts)
{
	uint32_t flags = IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE | (opts->huge ? (uint32_t)IOMMUFD_DMA_HUGE : 0);

	*r = (struct region){ .len = opts->mib << 20 };
	if (c->blocks * c->block_size < r->len)
		return nvme_fail("the namespace has only %llu bytes", (unsigned long long)(c->blocks * c->block_size));
	if (iommufd_dma_alloc(c->ioas, 3 * (size_t)r->len, flags, &c->data))
		return nvme_fail_lib();
	return move(c, r, NVME_READ, OLD, false);
}

/*
 * Random bytes must survive the way to the drive and back. They are written in commands of several sizes and read in
 * large ones, so that a mistake in one kind of command does not undo itself.
 */
int region_verify(struct nvme *c, struct region *r)
{
	fill(memory(c, r, NEW), r->len);
	r->dirty = true;
	if (move(c, r, NVME_WRITE, NEW, true) || nvme_flush(c) || move(c, r, NVME_READ, GOT, false))
		return -1;
	uint32_t wrong = differences(memory(c, r, NEW), memory(c, r, GOT), r->len);
	printf("wrote %u bytes\ncompared %u bytes, %u differences\n", r->len, r->len, wrong);
	return wrong ? -1 : 0;
}

/* Commands that never came back could still write: only a controller that was stopped has forgotten them. */
static int calm(struct nvme *c)
{
	for (uint32_t i = 0; i < c->queues; i++)
		if (c->io[i].flying)
			return nvme_restart(c);
	return 0;
}

/*
 * Where a command fails, each block has one of its own: one bad block is one that is lost. How many bytes are lost is
 * the result. A drive that does not answer any more is given up.
 */
static uint32_t write_back(struct nvme *c, const struct region *r)
{
	uint64_t iova = iommufd_dma_addr(&c->data, memory(c, r, OLD));
	uint32_t step = c->max_transfer, lost = 0;

	for (uint32_t done = 0; done < r->len; done += step) {
		if (c->io[0].flying)
			return lost + r->len - done;
		if (step > r->len - done)
			step = r->len - done;
		if (!nvme_transfer(c, NVME_WRITE, done / c->block_size, iova + done, step))
			continue;
		for (uint32_t at = done; at < done + step; at += c->block_size) {
			if (c->io[0].flying)
				return lost + r->len - at;
			if (nvme_transfer(c, NVME_WRITE, at / c->block_size, iova + at, c->block_size))
				lost += c->block_size;
		}
	}
	return lost;
}

int region_put_back(struct nvme *c, struct region *r)
{
	uint32_t lost = r->len;

	if (!r->dirty)
		return 0;
	if (!calm(c))
		lost = write_back(c, r);
	if (lost && !c->io[0].flying)
		nvme_flush(c);
	if (!lost && (nvme_flush(c) || move(c, r, NVME_READ, GOT, false)))
		return nvme_fail("whether the first %u bytes of the namespace were put back is not known", r->len);
	if (!lost)
		lost = differences(memory(c, r, OLD), memory(c, r, GOT), r->len);
	if (lost)
		return nvme_fail("%u of the first %u bytes of the namespace could not be put back", lost, r->len);
	r->dirty = false;
	return 0;
}
