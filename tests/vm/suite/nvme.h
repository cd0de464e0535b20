/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * As much of an NVMe drive as tests need: an admin queue and one pair for blocks, one command at a time or several.
 * Section numbers are those of the NVM Express base specification 1.4. Whatever fails fails the test.
 */
#ifndef VM_NVME_H
#define VM_NVME_H

#include "vm.h"

/* Entries in each queue; a queue of commands is a page. */
#define NVME_ENTRIES 64u

/* Pages for the caller's data, behind the queues. */
#define NVME_DATA_PAGES 4u
#define NVME_BLOCK      512u

/* Section 4.2. */
struct nvme_cmd {
	uint8_t opcode, flags;
	uint16_t cid;
	uint32_t nsid;
	uint64_t reserved, metadata, prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

/* Section 4.6. */
struct nvme_cqe {
	uint32_t result, reserved;
	uint16_t sq_head, sq_id, cid, status; /* bit 0 is the phase, the rest is 0 for success */
};

enum {
	NVME_CREATE_SQ = 0x01,
	NVME_CREATE_CQ = 0x05,
	NVME_IDENTIFY = 0x06,
	NVME_SET_FEATURES = 0x09,
	NVME_GET_FEATURES = 0x0a,
	NVME_NS_ATTACH = 0x15,
	NVME_VIRT_MGMT = 0x1c,

	NVME_WRITE = 0x01,
	NVME_READ = 0x02,
};

struct nvme_queue {
	struct nvme_cmd *sq;
	struct nvme_cqe *cq;
	uint32_t id, tail, head;
	uint16_t phase;
	int event;           /* an eventfd that nvme_try() waits for; -1, as at first, when it asks again and again */
	uint64_t interrupts; /* that it took off the eventfd */
};

struct nvme {
	struct iommufd_device *dev;
	struct iommufd_ioas *ioas;
	char *bar;
	uint32_t stride; /* of doorbells */
	struct iommufd_dma mem;
	struct nvme_queue admin, io;
	unsigned char *data; /* NVME_DATA_PAGES */
	uint64_t data_iova;
};

/* Registers and memory of an attached drive. Nothing of it is started. nvme_close() comes before the device's free. */
void nvme_open(struct nvme *nvme, struct iommufd_device *dev, struct iommufd_ioas *ioas);
void nvme_close(struct nvme *nvme);

/*
 * Bus mastering and the admin queue, for the first time or again: after a reset a drive knows nothing. Section 7.6.1.
 */
void nvme_start(struct nvme *nvme);

/* The queue for blocks, whose completions interrupt by a vector of MSI-X; or not, with -1. */
void nvme_start_io(struct nvme *nvme, int vector);

/* A command, and a completion if there is one. Those of the admin queue interrupt by vector 0. */
void nvme_submit(struct nvme *nvme, struct nvme_queue *queue, const struct nvme_cmd *cmd);
bool nvme_take(struct nvme *nvme, struct nvme_queue *queue, struct nvme_cqe *cqe);

/* One command: its status, 0 for success. `result` may be NULL. */
uint32_t nvme_try(struct nvme *nvme, struct nvme_queue *queue, const struct nvme_cmd *cmd, uint32_t *result);
void nvme_run(struct nvme *nvme, struct nvme_queue *queue, const struct nvme_cmd *cmd, uint32_t *result);

/* Up to eight blocks of namespace 1, from or to the data at an offset that is a multiple of a page. */
void nvme_blocks(struct nvme *nvme, uint8_t opcode, uint64_t block, uint32_t count, size_t offset);

#endif
