/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The controller: up, down, and blocks in between. */
#include "nvme.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Registers in BAR 0 (section 3.1) and their bits. */
enum {
	REG_CAP = 0x00,
	REG_CC = 0x14,
	REG_CSTS = 0x1c,
	REG_AQA = 0x24,
	REG_ASQ = 0x28,
	REG_ACQ = 0x30,

	CC_ENABLE = 1,
	CC_SHUTDOWN = 1 << 14,   /* the normal one */
	CC_ENTRIES = 0x46 << 16, /* queue entries of 2^6 and 2^4 bytes */
	CSTS_READY = 1,
	CSTS_FATAL = 1 << 1,
	CSTS_SHUTDOWN = 3 << 2,
	CSTS_SHUTDOWN_DONE = 2 << 2,
};

int nvme_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("nvme: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return -1;
}

int nvme_fail_lib(void)
{
	return nvme_fail("%s", iommufd_errmsg());
}

uint64_t nvme_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t get(struct nvme *c, int reg)
{
	return iommufd_mmio_read32(c->bar + reg);
}

static void set(struct nvme *c, int reg, uint32_t value)
{
	iommufd_mmio_write32(c->bar + reg, value);
}

/* Waits until some bits of the status register have a value. */
static int wait_status(struct nvme *c, uint32_t bits, uint32_t value, const char *what)
{
	uint64_t end = nvme_now() + c->patience_ms * 1000000ull;

	for (;;) {
		uint32_t status = get(c, REG_CSTS);
		if ((status & bits) == value)
			return 0;
		if (status & CSTS_FATAL)
			return nvme_fail("the controller is broken: status 0x%x (while it should %s)", status, what);
		if (nvme_now() > end)
			return nvme_fail("the controller does not %s: status 0x%x after %u ms", what, status,
					 c->patience_ms);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

/* Opens the device, makes sure that it is a drive, and maps its registers up to the last doorbell that is used. */
static int open_device(struct nvme *c, const struct nvme_settings *how)
{
	const struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = how->backend };
	const char *address = how->address;
	const int rw = PROT_READ | PROT_WRITE;
	uint32_t class;
	uint64_t cap;
	void *bar;

	/* Some other device may be named by mistake: it gets no way to memory before its class is known. */
	if (iommufd_ctx_new(&opts, &c->ctx) || iommufd_ioas_new(c->ctx, &c->ioas) ||
	    iommufd_device_new(c->ctx, address, &c->dev) || iommufd_device_attach(c->dev, c->ioas) ||
	    iommufd_pci_config_read(c->dev, 8, &class, sizeof(class)))
		return nvme_fail_lib();
	if (class >> 8 != 0x010802)
		return nvme_fail("%s is no NVMe controller", address);
	if (iommufd_pci_set_master(c->dev, true) ||
	    iommufd_device_region_read(c->dev, IOMMUFD_PCI_BAR0, REG_CAP, &cap, sizeof(cap)) ||
	    iommufd_dma_alloc(c->ioas, 2 * NVME_PAGE, IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE, &c->scratch))
		return nvme_fail_lib();

	uint32_t entries = (uint32_t)(cap & 0xffff) + 1;
	uint32_t min_page_shift = (uint32_t)(cap >> 48 & 0xf);
	c->doorbell_stride = 4u << (cap >> 32 & 0xf);
	c->patience_ms = (uint32_t)(cap >> 24 & 0xff) * 500 + 5000; /* shutting down may take longer than starting */
	c->entries = entries < NVME_IO_ENTRIES ? entries : NVME_IO_ENTRIES;
	if (min_page_shift)
		return nvme_fail("the controller wants pages of at least %u bytes", NVME_PAGE << min_page_shift);

	size_t page = (size_t)sysconf(_SC_PAGESIZE), len = 0x1000 + 2 * (c->queues + 1) * c->doorbell_stride;
	if (iommufd_device_region_map(c->dev, IOMMUFD_PCI_BAR0, 0, (len + page - 1) / page * page, rw, &bar))
		return nvme_fail_lib();
	c->bar = bar;
	return 0;
}

/* Section 7.6.1. */
static int enable(struct nvme *c)
{
	set(c, REG_CC, 0);
	if (wait_status(c, CSTS_READY, 0, "stop"))
		return -1;
	nvme_queue_reset(&c->admin);
	set(c, REG_AQA, (NVME_ADMIN_ENTRIES - 1) << 16 | (NVME_ADMIN_ENTRIES - 1));
	iommufd_mmio_write64(c->bar + REG_ASQ, iommufd_dma_addr(&c->admin.mem, c->admin.sq));
	iommufd_mmio_write64(c->bar + REG_ACQ, iommufd_dma_addr(&c->admin.mem, c->admin.cq));
	set(c, REG_CC, CC_ENTRIES | CC_ENABLE);
	return wait_status(c, CSTS_READY, CSTS_READY, "start");
}

/* Copies text out of what identify gave, without the spaces that fill it up. */
static void copy_text(char *to, const uint8_t *from, size_t len)
{
	memcpy(to, from, len);
	to[len] = '\0';
	while (len && (to[len - 1] == ' ' || to[len - 1] == '\0'))
		to[--len] = '\0';
}

/* Sections 5.15.2.1 and 5.15.2.2. */
static int identify(struct nvme *c)
{
	const uint8_t *data = c->scratch.vaddr;
	struct nvme_cmd cmd = { .opcode = NVME_ADMIN_IDENTIFY, .prp1 = c->scratch.iova, .cdw10 = 1 };
	uint32_t format;

	if (nvme_run(&c->admin, &cmd, NULL))
		return -1;
	copy_text(c->serial, data + 4, 20);
	copy_text(c->model, data + 24, 40);
	copy_text(c->firmware, data + 64, 8);
	uint32_t limit = data[77];
	c->max_transfer = limit == 0 || limit > 9 ? NVME_MAX_TRANSFER : (uint32_t)NVME_PAGE << limit;

	cmd.nsid = 1;
	cmd.cdw10 = 0;
	if (nvme_run(&c->admin, &cmd, NULL))
		return -1;
	memcpy(&c->blocks, data, sizeof(c->blocks));
	memcpy(&format, data + 128 + 4 * (data[26] & 0xf), sizeof(format));
	uint32_t shift = format >> 16 & 0xff;
	if (!c->blocks)
		return nvme_fail("%s has no namespace 1", c->model);
	if (format & 0xffff || shift < 9 || shift > 12)
		return nvme_fail("namespace 1 has blocks of 2^%u bytes and %u bytes of metadata, which this example "
				 "does not handle",
				 shift, format & 0xffff);
	c->block_size = 1u << shift;
	return 0;
}

/* Sections 5.3 and 5.4: the completion side comes first, the other one names it. */
static int create_io_queue(struct nvme *c, struct nvme_queue *q)
{
	uint32_t size_and_id = (q->entries - 1) << 16 | q->id;
	struct nvme_cmd cq = { .opcode = NVME_ADMIN_CREATE_CQ,
			       .prp1 = iommufd_dma_addr(&q->mem, q->cq),
			       .cdw10 = size_and_id,
			       .cdw11 = q->irq >= 0 ? 3 : 1 }; /* in one piece; with interrupts, on vector 0 */
	struct nvme_cmd sq = { .opcode = NVME_ADMIN_CREATE_SQ,
			       .prp1 = iommufd_dma_addr(&q->mem, q->sq),
			       .cdw10 = size_and_id,
			       .cdw11 = q->id << 16 | 1 }; /* completes to that one; in one piece */

	nvme_queue_reset(q);
	return nvme_run(&c->admin, &cq, NULL) || nvme_run(&c->admin, &sq, NULL) ? -1 : 0;
}

/* Section 5.21.1.7: the controller is asked for queue pairs, and may give fewer. */
static int create_io_queues(struct nvme *c)
{
	uint32_t want = c->queues - 1, got;
	struct nvme_cmd count = { .opcode = NVME_ADMIN_SET_FEATURES, .cdw10 = 7, .cdw11 = want << 16 | want };

	if (nvme_run(&c->admin, &count, &got))
		return -1;
	got = (got & 0xffff) < got >> 16 ? got & 0xffff : got >> 16;
	if (got < want)
		return nvme_fail("this controller gives no more than %u I/O queues", got + 1);
	for (uint32_t i = 0; i < c->queues; i++)
		if (create_io_queue(c, &c->io[i]))
			return -1;
	return 0;
}

/* The memory of all queues, which stays the same when the controller is started again. */
static int allocate_queues(struct nvme *c)
{
	if (nvme_queue_new(c, &c->admin, 0, NVME_ADMIN_ENTRIES))
		return -1;
	for (uint32_t i = 0; i < c->queues; i++) {
		if (nvme_queue_new(c, &c->io[i], i + 1, c->entries))
			return -1;
		c->io[i].irq = c->irq;
	}
	return 0;
}

int nvme_open(struct nvme *c, const struct nvme_settings *how)
{
	*c = (struct nvme){ .irq = -1, .queues = how->queues };
	if (open_device(c, how))
		return -1;
	if (how->interrupts) {
		c->irq = eventfd(0, EFD_CLOEXEC);
		if (c->irq < 0)
			return nvme_fail("no eventfd");
		if (iommufd_device_irq_enable(c->dev, IOMMUFD_PCI_MSIX, 0, 1, &c->irq))
			return nvme_fail_lib();
	}
	return allocate_queues(c) || enable(c) || identify(c) || create_io_queues(c) ? -1 : 0;
}

int nvme_restart(struct nvme *c)
{
	return enable(c) || create_io_queues(c) ? -1 : 0;
}

/* Section 7.6.2. Without bus mastering nothing reaches memory any more, also where the controller did not stop. */
static int shut_down(struct nvme *c)
{
	int result = 0;

	if (c->bar && get(c, REG_CC) & CC_ENABLE) {
		set(c, REG_CC, CC_ENTRIES | CC_ENABLE | CC_SHUTDOWN);
		result = wait_status(c, CSTS_SHUTDOWN, CSTS_SHUTDOWN_DONE, "shut down");
		set(c, REG_CC, 0);
		if (wait_status(c, CSTS_READY, 0, "stop"))
			result = -1;
	}
	if (c->bar && iommufd_pci_set_master(c->dev, false))
		result = nvme_fail_lib();
	return result;
}

int nvme_close(struct nvme *c)
{
	int result = shut_down(c);

	iommufd_dma_free(c->ioas, &c->lists);
	iommufd_dma_free(c->ioas, &c->slots);
	iommufd_dma_free(c->ioas, &c->data);
	for (uint32_t i = 0; i < c->queues; i++)
		nvme_queue_free(c, &c->io[i]);
	nvme_queue_free(c, &c->admin);
	iommufd_dma_free(c->ioas, &c->scratch);
	iommufd_device_free(c->dev);
	iommufd_ioas_free(c->ioas);
	iommufd_ctx_free(c->ctx);
	if (c->irq >= 0)
		close(c->irq);
	return result;
}

int nvme_transfer(struct nvme *c, uint8_t opcode, uint64_t block, uint64_t iova, uint32_t len)
{
	struct nvme_cmd cmd = { .opcode = opcode,
				.nsid = 1,
				.cdw10 = (uint32_t)block,
				.cdw11 = (uint32_t)(block >> 32),
				.cdw12 = len / c->block_size - 1 };

	nvme_set_data(&cmd, iova, len, (uint64_t *)((char *)c->scratch.vaddr + NVME_PAGE), c->scratch.iova + NVME_PAGE);
	return nvme_run(&c->io[0], &cmd, NULL);
}

int nvme_flush(struct nvme *c)
{
	struct nvme_cmd cmd = { .opcode = NVME_FLUSH, .nsid = 1 };

	return nvme_run(&c->io[0], &cmd, NULL);
}
