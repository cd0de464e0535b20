/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The drive's registers, which edu reaches by DMA. Helpers fail the test when they cannot do what they are for. */
#ifndef PEER_H
#define PEER_H

#include "vm.h"

/*
 * Registers of the drive: its interrupt mask, which a reset clears, and its admin queue's attributes, which keep what
 * is written.
 */
#define NVME_MASK 0x0c
#define NVME_AQA  0x24

#define AT UINT64_C(0x10000000)

/* The drive, whose memory is lent, and edu, which reaches it: the bed's device. */
struct pair {
	struct bed bed;
	struct iommufd_device *drive;
	struct edu edu;
	uint32_t *memory;
	uint64_t at; /* of the memory */
};

void peer_open(struct pair *pair);
void peer_close(struct pair *pair);

/* The drive, when it was freed. */
void peer_open_drive(struct pair *pair);

/* Maps the drive's first page in an IOAS, at this IOVA. */
void peer_lend(struct pair *pair, struct iommufd_ioas *ioas, uint64_t iova);

/* edu writes a word to an IOVA, or reads it there. */
void peer_puts(struct pair *pair, uint64_t iova, uint32_t word);
uint32_t peer_gets(struct pair *pair, uint64_t iova);

/* A register of the drive. */
uint32_t peer_has(const struct pair *pair, uint64_t offset);

/* Fails the test unless the drive's registers are at this IOVA, both ways. */
void peer_reaches(struct pair *pair, uint64_t iova);

#endif
