/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The kernel's sample of a mediated device: a serial card of one or two ports that gives back what is sent. */
#ifndef MTTY_H
#define MTTY_H

#include "vm.h"

#define MTTY_A "6f3a2b10-0000-4000-8000-00000000000a"
#define MTTY_B "6f3a2b10-0000-4000-8000-00000000000b"

/* Registers of a port, in the region of its number. */
enum {
	MTTY_DATA = 0, /* sent and received, through a FIFO of 16 that counts as empty when it is full */
	MTTY_FIFO_CONTROL = 2,
	MTTY_LINE_CONTROL = 3,
	MTTY_MODEM_CONTROL = 4,
	MTTY_LINE_STATUS = 5,
	MTTY_SCRATCH = 7,
};

/* How many bytes of its state each port has, and how many come before. */
#define MTTY_HEAD 24u
#define MTTY_PORT 36u

/* Makes one of so many ports, in place of one that is there. The second one takes it away. */
void mtty_create(const char *uuid, unsigned int ports);
void mtty_remove(const char *uuid);

void mtty_write(struct iommufd_device *dev, uint32_t port, uint64_t reg, uint8_t value);
uint8_t mtty_read(struct iommufd_device *dev, uint32_t port, uint64_t reg);

/* Gives a port registers and a full FIFO that are made of `seed`, and looks for these, which empties the FIFO. */
void mtty_fill(struct iommufd_device *dev, uint32_t port, uint8_t seed);
void mtty_check(struct iommufd_device *dev, uint32_t port, uint8_t seed);

#endif
