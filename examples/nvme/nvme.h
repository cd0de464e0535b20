/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A small NVMe driver in user space. Section numbers are those of the NVM Express base specification 1.4.
 *
 * ctrl.c  brings the controller up and down, reads or writes blocks
 * queue.c submits commands and takes completions
 * main.c  proves that data survives the way there and back, and measures
 */
#ifndef NVME_H
#define NVME_H

#include <libiommufd.h>
#include <stdbool.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "commands and completions are little-endian, and this example does not convert them"
#endif

enum {
	NVME_PAGE = 4096,              /* the page size that the controller is told to use */
	NVME_ADMIN_ENTRIES = 64,       /* fills one page of commands */
	NVME_IO_ENTRIES = 256,         /* at most; the controller may have less */
	NVME_MAX_TRANSFER = 512 << 12, /* what one page of PRP entries describes */
	NVME_TIMEOUT_MS = 5000,        /* for one command */
};

/* A submission queue entry (section 4.2). */
struct nvme_cmd {
	uint8_t opcode;
	uint8_t flags;
	uint16_t cid; /* comes back in the completion */
	uint32_t nsid;
	uint64_t reserved;
	uint64_t metadata;
	uint64_t prp1;
	uint64_t prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

/* A completion queue entry (section 4.6). */
struct nvme_cqe {
	uint32_t result;
	uint32_t reserved;
	uint16_t sq_head;
	uint16_t sq_id;
	uint16_t cid;
	uint16_t status; /* bit 0 is the phase, the rest is 0 for success */
};

/* Opcodes of commands. */
enum {
	NVME_ADMIN_CREATE_SQ = 0x01,
	NVME_ADMIN_CREATE_CQ = 0x05,
	NVME_ADMIN_IDENTIFY = 0x06,
	NVME_ADMIN_SET_FEATURES = 0x09,
	NVME_FLUSH = 0x00,
	NVME_WRITE = 0x01,
	NVME_READ = 0x02,
};

/* A submission queue and the completion queue that belongs to it. */
struct nvme_queue {
	struct nvme_cmd *sq;
	struct nvme_cqe *cq;
	void *sq_doorbell, *cq_doorbell;
	uint32_t entries;       /* of each */
	uint32_t tail;          /* where the next command goes */
	uint32_t head;          /* where the next completion comes */
	uint32_t taken;         /* completions that the controller was not yet told we took */
	uint16_t phase;         /* of completions that are new */
	int irq;                /* an eventfd to sleep on, or -1 to poll */
	struct iommufd_dma mem; /* holds both rings */
};

struct nvme {
	struct iommufd_ctx *ctx;
	struct iommufd_ioas *ioas;
	struct iommufd_device *dev;
	char *bar;
	uint32_t doorbell_stride;
	uint32_t patience_ms; /* how long starting, stopping and shutting down may take */
	struct nvme_queue admin, io;
	struct iommufd_dma scratch; /* a page for what identify tells, a page for PRP entries */
	struct iommufd_dma data;    /* for the program; freed with the rest, when the controller has stopped */
	int irq;                    /* the I/O queue's eventfd, or -1 */

	char model[41], serial[21], firmware[9];
	uint32_t max_transfer; /* bytes in one command */
	uint32_t block_size;
	uint64_t blocks;
};

/*
 * All functions that return an int give 0, or -1 after having said on the standard error stream what went wrong.
 */

/* Says what went wrong in this program or in the device; returns -1. */
int nvme_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Says what went wrong in the library; returns -1. */
int nvme_fail_lib(void);
/* The time in nanoseconds, from a clock that only goes forward. */
uint64_t nvme_now(void);

/* Brings up a controller with one I/O queue pair. Call nvme_close() also after a failure. */
int nvme_open(struct nvme *c, const char *address, bool interrupts);
/* Shuts the controller down and frees everything. */
int nvme_close(struct nvme *c);

/* A read or write of blocks in one command, at most max_transfer bytes, from or to an address aligned to NVME_PAGE. */
int nvme_transfer(struct nvme *c, uint8_t opcode, uint64_t block, uint64_t iova, uint32_t len);
/* What was written is on stable storage afterwards. */
int nvme_flush(struct nvme *c);

int nvme_queue_new(struct nvme *c, struct nvme_queue *q, uint32_t id, uint32_t entries);
void nvme_queue_free(struct nvme *c, struct nvme_queue *q);

/* Puts a command in the ring. The controller looks at it after nvme_ring(), which can tell of many at once. */
void nvme_submit(struct nvme_queue *q, const struct nvme_cmd *cmd);
void nvme_ring(struct nvme_queue *q);
/* Takes a completion if there is one. */
bool nvme_take(struct nvme_queue *q, struct nvme_cqe *cqe);
/* Takes a completion, and waits for it until the time is up. */
int nvme_wait(struct nvme_queue *q, struct nvme_cqe *cqe);
/* Complains if a completion tells of a failure. */
int nvme_check(const struct nvme_cqe *cqe);
/* Runs one command and waits for it. The result may be NULL. */
int nvme_run(struct nvme_queue *q, const struct nvme_cmd *cmd, uint32_t *result);

#endif
