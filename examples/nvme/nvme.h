/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A small NVMe driver in user space. Section numbers are those of the NVM Express base specification 1.4.
 *
 * ctrl.c  brings the controller up and down, reads or writes blocks
 * queue.c submits commands and takes completions
 *
 * What is done with it, see bench.h.
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
	NVME_MAX_QUEUES = 16,          /* for I/O */
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
	uint32_t id;
	uint32_t entries;       /* of each */
	uint32_t tail;          /* where the next command goes */
	uint32_t rung;          /* the tail that the controller was told */
	uint32_t head;          /* where the next completion comes */
	uint32_t taken;         /* completions that the controller was not yet told we took */
	uint32_t flying;        /* commands whose completions have not come */
	uint16_t phase;         /* of completions that are new */
	int irq;                /* an eventfd to sleep on, or -1 to poll */
	struct iommufd_dma mem; /* holds both rings */
};

/* How to drive a controller. */
struct nvme_settings {
	const char *address;
	uint32_t backend; /* of the library */
	uint32_t queues;  /* for I/O */
	bool interrupts;  /* in place of polling; all queues share one */
};

struct nvme {
	struct iommufd_ctx *ctx;
	struct iommufd_ioas *ioas;
	struct iommufd_device *dev;
	char *bar;
	uint32_t doorbell_stride;
	uint32_t patience_ms; /* how long starting, stopping and shutting down may take */
	uint32_t entries;     /* of an I/O queue */
	uint32_t queues;
	struct nvme_queue admin, io[NVME_MAX_QUEUES];
	struct iommufd_dma scratch; /* a page for what identify tells, a page for PRP entries */
	int irq;                    /* the I/O queues' eventfd, or -1 */

	/* For the program; freed with the rest, when the controller has stopped. */
	struct iommufd_dma data;  /* what is written and compared, see region.c */
	struct iommufd_dma slots; /* a buffer for each command on its way, see load.c */
	struct iommufd_dma lists; /* and its page of PRP entries */

	char model[41], serial[21], firmware[9];
	uint32_t max_transfer; /* bytes in one command */
	uint32_t block_size;
	uint64_t blocks;
};

/* How long there was nothing to take. Starts as zeros. */
struct nvme_patience {
	uint64_t since;
	uint32_t looks;
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

/* Brings up a controller with its I/O queue pairs. Call nvme_close() also after a failure. */
int nvme_open(struct nvme *c, const struct nvme_settings *how);
/* Stops the controller, whatever it was doing, and starts it again: no command is on its way any more. */
int nvme_restart(struct nvme *c);
/* Shuts the controller down and frees everything. */
int nvme_close(struct nvme *c);

/* A read or write of blocks in one command, at most max_transfer bytes, aligned to NVME_PAGE or within such a page. */
int nvme_transfer(struct nvme *c, uint8_t opcode, uint64_t block, uint64_t iova, uint32_t len);
/* What was written is on stable storage afterwards. */
int nvme_flush(struct nvme *c);

/* Memory and doorbells of a queue, which is empty. */
int nvme_queue_new(struct nvme *c, struct nvme_queue *q, uint32_t id, uint32_t entries);
/* Empties a queue that the controller has forgotten. */
void nvme_queue_reset(struct nvme_queue *q);
void nvme_queue_free(struct nvme *c, struct nvme_queue *q);

/* Tells a command where its data is. What is longer than two pages fills a list of a page of its own. */
void nvme_set_data(struct nvme_cmd *cmd, uint64_t iova, uint32_t len, uint64_t *list, uint64_t list_iova);
/* Puts a command in the ring. The controller looks at it after nvme_ring(), which tells of all that are new at once. */
void nvme_submit(struct nvme_queue *q, const struct nvme_cmd *cmd);
void nvme_ring(struct nvme_queue *q);
/* Takes a completion if there is one. */
bool nvme_take(struct nvme_queue *q, struct nvme_cqe *cqe);
/*
 * For who looked at some queues and found nothing: sleeps until the controller interrupts or a signal comes; without
 * interrupts it only sees to it that this does not go on for ever.
 */
int nvme_rest(struct nvme_queue *queues, uint32_t count, struct nvme_patience *patience);
/* Complains if a completion tells of a failure. */
int nvme_check(const struct nvme_cqe *cqe);
/* Runs one command on an empty queue and waits for it. The result may be NULL. */
int nvme_run(struct nvme_queue *q, const struct nvme_cmd *cmd, uint32_t *result);

#endif
