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
	q->sq_doorbell = c->bar + DOORBELLS + 2 * id * c->doorbell_stride;
	q->cq_doorbell = c->bar + DOORBELLS + (2 * id + 1) * c->doorbell_stride;
	q->entries = entries;
	q->phase = 1;
	q->irq = -1;
	return 0;
}

void nvme_queue_free(struct nvme *c, struct nvme_queue *q)
{
	iommufd_dma_free(c->ioas, &q->mem);
}

void nvme_submit(struct nvme_queue *q, const struct nvme_cmd *cmd)
{
	q->sq[q->tail] = *cmd;
	if (++q->tail == q->entries)
		q->tail = 0;
}

void nvme_ring(struct nvme_queue *q)
{
	iommufd_mmio_write32(q->sq_doorbell, q->tail);
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
	if (++q->head == q->entries) {
		q->head = 0;
		q->phase ^= 1;
	}
	/* A register write costs more than all of this. Half a ring of free slots is enough for the other half. */
	if (++q->taken == q->entries / 2)
		give_back(q);
	return true;
}

/* Sleeps until the controller interrupts. */
static int sleep_on(struct nvme_queue *q)
{
	struct pollfd event = { .fd = q->irq, .events = POLLIN };
	uint64_t count;
	int n;

	/* A controller may hold its interrupt back while it thinks that earlier completions are not taken yet. */
	give_back(q);
	do
		n = poll(&event, 1, NVME_TIMEOUT_MS);
	while (n < 0 && errno == EINTR);
	if (n != 1 || read(q->irq, &count, sizeof(count)) != sizeof(count))
		return nvme_fail("no interrupt in %d ms", NVME_TIMEOUT_MS);
	return 0;
}

int nvme_wait(struct nvme_queue *q, struct nvme_cqe *cqe)
{
	uint64_t start = 0;

	while (q->irq >= 0) {
		if (nvme_take(q, cqe))
			return 0;
		if (sleep_on(q))
			return -1;
	}
	for (;;) {
		for (int i = 0; i < LOOKS; i++)
			if (nvme_take(q, cqe))
				return 0;
		uint64_t now = nvme_now();
		if (!start)
			start = now;
		if (now - start > NVME_TIMEOUT_MS * 1000000ull)
			return nvme_fail("no completion in %d ms", NVME_TIMEOUT_MS);
	}
}

int nvme_check(const struct nvme_cqe *cqe)
{
	unsigned int status = cqe->status >> 1;

	if (status)
		return nvme_fail("a command failed with status type 0x%x, code 0x%02x", status >> 8 & 7, status & 0xff);
	return 0;
}

int nvme_run(struct nvme_queue *q, const struct nvme_cmd *cmd, uint32_t *result)
{
	struct nvme_cqe cqe;

	nvme_submit(q, cmd);
	nvme_ring(q);
	if (nvme_wait(q, &cqe) || nvme_check(&cqe))
		return -1;
	if (result)
		*result = cqe.result;
	return 0;
}
