/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Queue pairs: commands go in, completions come out. */
#include "nvme.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum {
	DOORBELLS = 0x1000,
	/* Looks at an empty queue between two looks at the clock, which may be a system call. */
	LOOKS = 100000,
};

int nvme_queue_new(struct nvme *c, struct nvme_queue *q, uint32_t id, uint32_t entries)
{
	size_t sq_len = (entries * sizeof(struct nvme_cmd) + NVME_PAGE - 1) / NVME_PAGE * NVME_PAGE;

	if (iommufd_dma_alloc(c->ioas, sq_len + entries * sizeof(struct nvme_cqe), IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE,
			      &q->mem))
		return nvme_fail_lib();
	q->sq = q->mem.vaddr;
	q->cq = (struct nvme_cqe *)((char *)q->mem.vaddr + sq_len);
	q->id = id;
	q->sq_doorbell = c->bar + DOORBELLS + 2 * id * c->doorbell_stride;
	q->cq_doorbell = c->bar + DOORBELLS + (2 * id + 1) * c->doorbell_stride;
	q->entries = entries;
	q->irq = -1;
	nvme_queue_reset(q);
	return 0;
}

void nvme_queue_reset(struct nvme_queue *q)
{
	memset(q->mem.vaddr, 0, q->mem.len); /* else old completions look like new ones */
	q->tail = q->rung = q->head = q->taken = q->flying = 0;
	q->phase = 1;
}

void nvme_queue_free(struct nvme *c, struct nvme_queue *q)
{
	iommufd_dma_free(c->ioas, &q->mem);
}

/* Section 4.3: one page, two pages, or the first page and a list of the others. */
void nvme_set_data(struct nvme_cmd *cmd, uint64_t iova, uint32_t len, uint64_t *list, uint64_t list_iova)
{
	cmd->prp1 = iova;
	if (len > 2 * NVME_PAGE) {
		for (uint32_t done = NVME_PAGE; done < len; done += NVME_PAGE)
			*list++ = iova + done;
		cmd->prp2 = list_iova;
	} else if (len > NVME_PAGE) {
		cmd->prp2 = iova + NVME_PAGE;
	}
}

void nvme_submit(struct nvme_queue *q, const struct nvme_cmd *cmd)
{
	q->sq[q->tail] = *cmd;
	if (++q->tail == q->entries)
		q->tail = 0;
	q->flying++;
}

void nvme_ring(struct nvme_queue *q)
{
	/* To be told the same twice is an error for a controller (section 5.2). */
	if (q->rung != q->tail)
		iommufd_mmio_write32(q->sq_doorbell, q->tail);
	q->rung = q->tail;
}

/* Gives the slots of completions that were taken back to the controller. */
static void give_back(struct nvme_queue *q)
{
	if (q->taken)
		iommufd_mmio_write32(q->cq_doorbell, q->head);
	q->taken = 0;
}

bool nvme_take(struct nvme_queue *q, struct nvme_cqe *cqe)
{
	struct nvme_cqe *next = &q->cq[q->head];

	/* The phase comes first: the rest of the entry is complete only when it is new. */
	if ((iommufd_mmio_read16(&next->status) & 1) != q->phase)
		return false;
	*cqe = *next;
	q->flying--;
	if (++q->head == q->entries) {
		q->head = 0;
		q->phase ^= 1;
	}
	/* A register write costs more than all of this. Half a ring of free slots is enough for the other half. */
	if (++q->taken == q->entries / 2)
		give_back(q);
	return true;
}

/* Sleeps until the controller interrupts, or a signal comes. */
static int sleep_on(int irq)
{
	struct pollfd event = { .fd = irq, .events = POLLIN };
	uint64_t count;
	int n = poll(&event, 1, NVME_TIMEOUT_MS);

	if (n < 0 && errno == EINTR)
		return 0;
	if (n != 1 || read(irq, &count, sizeof(count)) != sizeof(count))
		return nvme_fail("no interrupt in %d ms", NVME_TIMEOUT_MS);
	return 0;
}

int nvme_rest(struct nvme_queue *queues, uint32_t count, struct nvme_patience *patience)
{
	if (queues->irq >= 0) {
		/* A controller may hold its interrupt back while it thinks that earlier completions are not taken. */
		for (uint32_t i = 0; i < count; i++)
			give_back(&queues[i]);
		return sleep_on(queues->irq);
	}
	if (++patience->looks < LOOKS)
		return 0;
	patience->looks = 0;
	uint64_t now = nvme_now();
	if (!patience->since)
		patience->since = now;
	if (now - patience->since > NVME_TIMEOUT_MS * 1000000ull)
		return nvme_fail("no completion in %d ms", NVME_TIMEOUT_MS);
	return 0;
}

/* A drive that refuses everything would be told of for each block. */
int nvme_check(const struct nvme_cqe *cqe)
{
	static uint32_t told;
	unsigned int status = cqe->status >> 1;

	if (status && ++told > 16)
		return -1;
	if (status)
		return nvme_fail("a command failed with status type 0x%x, code 0x%02x", status >> 8 & 7, status & 0xff);
	return 0;
}

int nvme_run(struct nvme_queue *q, const struct nvme_cmd *cmd, uint32_t *result)
{
	struct nvme_patience patience = { 0 };
	struct nvme_cqe cqe;

	nvme_submit(q, cmd);
	nvme_ring(q);
	while (!nvme_take(q, &cqe))
		if (nvme_rest(q, 1, &patience))
			return -1;
	if (nvme_check(&cqe))
		return -1;
	if (cqe.cid != cmd->cid)
		return nvme_fail("a completion of command %u, where %u was submitted", cqe.cid, cmd->cid);
	if (result)
		*result = cqe.result;
	return 0;
}
