/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Keeps commands on their way, in one thread for all queues. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

uint64_t random64(void)
{
	static uint64_t state;

	while (!state)
		if (getrandom(&state, sizeof(state), 0) != sizeof(state))
			state = 0;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

void fill(void *to, size_t len)
{
	for (uint64_t *word = to, *end = word + len / 8; word < end; word++)
		*word = random64();
}

uint64_t places_take(struct places *p)
{
	if (!p->sequential)
		return random64() % p->count;
	uint64_t place = p->next;
	p->next = place + 1 < p->count ? place + 1 : 0;
	return place;
}

/*
 * A slot keeps its buffer and its page of PRP entries, so all that a command says but for the block is written here,
 * once.
 */
static void prepare(struct load *l, const struct options *opts, uint32_t bytes, size_t room)
{
	struct nvme *c = l->c;

	for (uint32_t i = 0; i < c->queues * l->slots; i++) {
		struct nvme_cmd *cmd = &l->cmds[i];
		*cmd = (struct nvme_cmd){ .opcode = opts->write ? NVME_WRITE : NVME_READ,
					  .cid = (uint16_t)(i % l->slots),
					  .nsid = 1,
					  .cdw12 = l->blocks - 1 };
		nvme_set_data(cmd, c->slots.iova + i * room, bytes,
			      (uint64_t *)((char *)c->lists.vaddr + (size_t)i * NVME_PAGE),
			      c->lists.iova + (size_t)i * NVME_PAGE);
	}
}

int load_new(struct load *l, struct nvme *c, const struct options *opts, uint32_t slots, uint64_t len)
{
	const uint32_t rw = IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE, count = c->queues * slots;
	uint32_t bytes = opts->bytes ? opts->bytes : c->block_size;
	size_t room = (bytes + NVME_PAGE - 1) / NVME_PAGE * NVME_PAGE;

	*l = (struct load){ .c = c, .slots = slots, .blocks = bytes / c->block_size, .looks = opts->looks };
	l->places = (struct places){ .count = len / bytes, .sequential = opts->sequential };
	if (slots > c->entries / 2)
		return nvme_fail("this controller's queues allow a depth of at most %u", c->entries / 2);
	if (bytes % c->block_size || bytes > c->max_transfer)
		return nvme_fail(
			"a command of %u bytes is none for this drive: it has blocks of %u, and takes up to %u", bytes,
			c->block_size, c->max_transfer);
	if (!l->places.count)
		return nvme_fail("%u bytes are more than there are", bytes);
	if (room > SIZE_MAX / count)
		return nvme_fail("%u commands of %u bytes are more than fits into memory", count, bytes);
	if (iommufd_dma_alloc(c->ioas, count * room, rw | (opts->huge ? (uint32_t)IOMMUFD_DMA_HUGE : 0), &c->slots) ||
	    iommufd_dma_alloc(c->ioas, (size_t)count * NVME_PAGE, rw, &c->lists))
		return nvme_fail_lib();
	l->cmds = calloc(count, sizeof(*l->cmds));
	l->since = calloc(count, sizeof(*l->since));
	if (!l->cmds || !l->since)
		return nvme_fail("no memory");
	fill(c->slots.vaddr, count * room);
	prepare(l, opts, bytes, room);
	return 0;
}

void load_free(struct load *l)
{
	free(l->cmds);
	free(l->since);
}

static void submit(struct load *l, uint32_t queue, uint32_t slot, uint64_t now)
{
	struct nvme_cmd *cmd = &l->cmds[queue * l->slots + slot];
	uint64_t block = places_take(&l->places) * l->blocks;

	cmd->cdw10 = (uint32_t)block;
	cmd->cdw11 = (uint32_t)(block >> 32);
	l->since[queue * l->slots + slot] = now;
	nvme_submit(&l->c->io[queue], cmd);
}

/* A time during which commands are kept on their way. */
struct run {
	uint64_t now; /* as of the last look at the clock */
	uint64_t done;
	struct latency *latency; /* or NULL */
};

/* What a device tells is looked at before anything is found by it. */
static int check_slot(const struct load *l, const struct nvme_cqe *cqe)
{
	return cqe->cid < l->slots ? 0 : nvme_fail("a completion of command %u, which there is not", cqe->cid);
}

static bool take_within(struct nvme_queue *q, uint32_t looks, struct nvme_cqe *cqe)
{
	for (uint32_t i = 0; i < looks; i++)
		if (nvme_take(q, cqe))
			return true;
	return false;
}

/*
 * Takes all completions that a queue has, puts a command in the place of each, and rings once for all of them: a write
 * to a register costs more than the rest. So it looks again for others that are just coming. For a drive that is
 * emulated that is worth even more, and with one command too: while the emulator is still busy with the last one, a
 * write waits for it. With latencies, the clock is read once for all too.
 */
static int turn(struct load *l, uint32_t queue, struct run *run)
{
	struct nvme_queue *q = &l->c->io[queue];
	struct nvme_cqe cqe;
	uint32_t count = 0;

	while (take_within(q, count ? l->looks : 1, &cqe)) {
		if (nvme_check(&cqe) || check_slot(l, &cqe))
			return -1;
		if (run->latency) {
			if (!count)
				run->now = nvme_now();
			latency_add(run->latency, run->now - l->since[queue * l->slots + cqe.cid]);
		}
		submit(l, queue, cqe.cid, run->now);
		count++;
	}
	if (count)
		nvme_ring(q);
	run->done += count;
	return (int)count;
}

/* Until the time is up, or somebody asks the program to stop. The clock is read seldom: it may be a system call. */
static int keep_busy(struct load *l, uint64_t end, struct run *run)
{
	struct nvme_patience patience = { 0 };
	uint64_t next_look = 0;

	while (run->now < end && !stopped) {
		uint64_t before = run->done;
		for (uint32_t i = 0; i < l->c->queues; i++)
			if (turn(l, i, run) < 0)
				return -1;
		if (run->done == before) {
			if (nvme_rest(l->c->io, l->c->queues, &patience))
				return -1;
			if (!patience.looks) /* it was a long one */
				run->now = nvme_now();
			continue;
		}
		patience = (struct nvme_patience){ 0 };
		if (run->done >= next_look) {
			next_look = run->done + 64;
			run->now = nvme_now();
		}
	}
	return 0;
}

/* Takes what is still on its way. */
static int drain(struct nvme *c)
{
	struct nvme_cqe cqe;

	for (uint32_t i = 0; i < c->queues; i++) {
		struct nvme_patience patience = { 0 };
		while (c->io[i].flying) {
			if (!nvme_take(&c->io[i], &cqe)) {
				if (nvme_rest(&c->io[i], 1, &patience))
					return -1;
			} else if (nvme_check(&cqe)) {
				return -1;
			} else {
				patience = (struct nvme_patience){ 0 };
			}
		}
	}
	return 0;
}

/* After a failure, commands stay on their way: what comes of them is for nvme_restart() or nvme_close(). */
static int run_load(struct load *l, uint32_t depth, uint32_t seconds, struct latency *latency, double *rate)
{
	const uint64_t start = nvme_now();
	struct run run = { .now = start, .latency = latency };

	for (uint32_t i = 0; i < l->c->queues; i++) {
		for (uint32_t slot = 0; slot < depth; slot++)
			submit(l, i, slot, start);
		nvme_ring(&l->c->io[i]);
	}
	if (keep_busy(l, start + seconds * 1000000000ull, &run))
		return -1;
	uint64_t elapsed = (stopped ? nvme_now() : run.now) - start;
	if (drain(l->c))
		return -1;
	*rate = (double)run.done / ((double)elapsed / 1e9);
	return 0;
}

int load_rate(struct load *l, uint32_t depth, uint32_t seconds, double *rate)
{
	return run_load(l, depth, seconds, NULL, rate);
}

int load_latency(struct load *l, uint32_t depth, uint32_t seconds, struct latency *out)
{
	double rate;

	*out = (struct latency){ 0 };
	return run_load(l, depth, seconds, out, &rate);
}
