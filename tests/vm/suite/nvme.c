/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <poll.h>
#include <unistd.h>

#include "nvme.h"

/* Section 3.1. */
enum {
	REG_CAP = 0x00,
	REG_CC = 0x14,
	REG_CSTS = 0x1c,
	REG_AQA = 0x24,
	REG_ASQ = 0x28,
	REG_ACQ = 0x30,
	DOORBELLS = 0x1000,

	CC_ENABLE = 1,
	CC_ENTRIES = 0x46 << 16, /* of 2^6 and 2^4 bytes */
	CSTS_READY = 1,
};

/* In the memory: a page each. */
enum { ADMIN_SQ, ADMIN_CQ, IO_SQ, IO_CQ, DATA };

/* What takes longer than this does not come. */
#define PATIENCE_US 20000000
#define PAUSE_US    200

static uint32_t doorbell(const struct nvme *nvme, const struct nvme_queue *queue, bool completions)
{
	return DOORBELLS + (2 * queue->id + completions) * nvme->stride;
}

static void *page(const struct nvme *nvme, unsigned int n)
{
	return (char *)nvme->mem.vaddr + (size_t)n * PAGE;
}

void nvme_open(struct nvme *nvme, struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	uint64_t cap;
	void *bar;

	*nvme = (struct nvme){ .dev = dev, .ioas = ioas, .admin = { .event = -1 }, .io = { .event = -1 } };
	ok(iommufd_device_region_map(dev, IOMMUFD_PCI_BAR0, 0, 2 * PAGE, PROT_READ | PROT_WRITE, &bar));
	nvme->bar = bar;
	ok(iommufd_dma_alloc(ioas, (DATA + NVME_DATA_PAGES) * PAGE, RW, &nvme->mem));
	cap = iommufd_mmio_read64(nvme->bar + REG_CAP);
	nvme->stride = 4u << (cap >> 32 & 0xf);
	ck_assert_uint_ge(cap & 0xffff, NVME_ENTRIES - 1);
	nvme->data = page(nvme, DATA);
	nvme->data_iova = iommufd_dma_addr(&nvme->mem, nvme->data);
}

void nvme_close(struct nvme *nvme)
{
	ok(iommufd_pci_set_master(nvme->dev, false));
	ok(iommufd_device_region_unmap(nvme->dev, nvme->bar));
	iommufd_dma_free(nvme->ioas, &nvme->mem);
}

static void queue_clear(struct nvme *nvme, struct nvme_queue *queue, uint32_t id, unsigned int first)
{
	queue->sq = page(nvme, first);
	queue->cq = page(nvme, first + 1);
	queue->id = id;
	queue->tail = queue->head = 0;
	queue->phase = 1;
	memset(queue->sq, 0, 2 * PAGE);
}

static void await_ready(const struct nvme *nvme, uint32_t ready)
{
	uint32_t status = 0;

	for (int us = 0; us < PATIENCE_US; us += PAUSE_US) {
		status = iommufd_mmio_read32(nvme->bar + REG_CSTS);
		if ((status & CSTS_READY) == ready)
			return;
		usleep(PAUSE_US);
	}
	ck_abort_msg("the drive does not %s: status 0x%x", ready ? "start" : "stop", status);
}

void nvme_start(struct nvme *nvme)
{
	ok(iommufd_pci_set_master(nvme->dev, true));
	iommufd_mmio_write32(nvme->bar + REG_CC, 0);
	await_ready(nvme, 0);
	queue_clear(nvme, &nvme->admin, 0, ADMIN_SQ);
	iommufd_mmio_write32(nvme->bar + REG_AQA, (NVME_ENTRIES - 1) << 16 | (NVME_ENTRIES - 1));
	iommufd_mmio_write64(nvme->bar + REG_ASQ, iommufd_dma_addr(&nvme->mem, nvme->admin.sq));
	iommufd_mmio_write64(nvme->bar + REG_ACQ, iommufd_dma_addr(&nvme->mem, nvme->admin.cq));
	iommufd_mmio_write32(nvme->bar + REG_CC, CC_ENTRIES | CC_ENABLE);
	await_ready(nvme, CSTS_READY);
}

/* Sections 5.3 and 5.4. */
void nvme_start_io(struct nvme *nvme, int vector)
{
	struct nvme_cmd cq = { .opcode = NVME_CREATE_CQ, .cdw10 = (NVME_ENTRIES - 1) << 16 | 1, .cdw11 = 1 };
	struct nvme_cmd sq = { .opcode = NVME_CREATE_SQ, .cdw10 = cq.cdw10, .cdw11 = 1 << 16 | 1 };

	queue_clear(nvme, &nvme->io, 1, IO_SQ);
	cq.prp1 = iommufd_dma_addr(&nvme->mem, nvme->io.cq);
	sq.prp1 = iommufd_dma_addr(&nvme->mem, nvme->io.sq);
	if (vector >= 0)
		cq.cdw11 |= (uint32_t)vector << 16 | 2;
	nvme_run(nvme, &nvme->admin, &cq, NULL);
	nvme_run(nvme, &nvme->admin, &sq, NULL);
}

void nvme_submit(struct nvme *nvme, struct nvme_queue *queue, const struct nvme_cmd *cmd)
{
	queue->sq[queue->tail] = *cmd;
	queue->tail = (queue->tail + 1) % NVME_ENTRIES;
	iommufd_mmio_write32(nvme->bar + doorbell(nvme, queue, false), queue->tail);
}

bool nvme_take(struct nvme *nvme, struct nvme_queue *queue, struct nvme_cqe *cqe)
{
	struct nvme_cqe *next = &queue->cq[queue->head];

	/* The phase comes first: the rest of the entry is complete only when it is new. */
	if ((iommufd_mmio_read16(&next->status) & 1) != queue->phase)
		return false;
	*cqe = *next;
	queue->head = (queue->head + 1) % NVME_ENTRIES;
	queue->phase ^= !queue->head;
	iommufd_mmio_write32(nvme->bar + doorbell(nvme, queue, true), queue->head);
	return true;
}

/* For a while, until there is an interrupt, or simply for a moment. */
static void pause_for(struct nvme_queue *queue)
{
	struct pollfd poller = { .fd = queue->event, .events = POLLIN };
	uint64_t count;

	if (queue->event < 0) {
		usleep(PAUSE_US);
		return;
	}
	ck_assert_msg(poll(&poller, 1, PATIENCE_US / 1000) == 1, "queue %u has had %lu interrupts and gets no more",
		      queue->id, (unsigned long)queue->interrupts);
	ck_assert_int_eq(read(queue->event, &count, sizeof(count)), sizeof(count));
	queue->interrupts += count;
}

uint32_t nvme_try(struct nvme *nvme, struct nvme_queue *queue, const struct nvme_cmd *cmd, uint32_t *result)
{
	struct nvme_cqe cqe;

	nvme_submit(nvme, queue, cmd);
	for (int us = 0; us < PATIENCE_US; us += PAUSE_US) {
		pause_for(queue);
		if (!nvme_take(nvme, queue, &cqe))
			continue;
		if (result)
			*result = cqe.result;
		return cqe.status >> 1;
	}
	ck_abort_msg("command 0x%02x does not end", cmd->opcode);
}

void nvme_run(struct nvme *nvme, struct nvme_queue *queue, const struct nvme_cmd *cmd, uint32_t *result)
{
	uint32_t status = nvme_try(nvme, queue, cmd, result);

	ck_assert_msg(!status, "command 0x%02x ends with status 0x%x", cmd->opcode, status);
}

void nvme_blocks(struct nvme *nvme, uint8_t opcode, uint64_t block, uint32_t count, size_t offset)
{
	struct nvme_cmd cmd = { .opcode = opcode,
				.nsid = 1,
				.prp1 = nvme->data_iova + offset,
				.cdw10 = (uint32_t)block,
				.cdw11 = (uint32_t)(block >> 32),
				.cdw12 = count - 1 };

	nvme_run(nvme, &nvme->io, &cmd, NULL);
}
