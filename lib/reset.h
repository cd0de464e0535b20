/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What a reset takes from a device, and how it comes back. Internal. */
#ifndef IFD_RESET_H
#define IFD_RESET_H

#include <stdbool.h>
#include <stdint.h>

struct iommufd_device;

/* How long a reset is tried again while the kernel cannot lock what it needs: a second, more than it ever takes. */
#define IFD_RESET_TRIES    20
#define IFD_RESET_PAUSE_MS 50

struct ifd_saved {
	unsigned int attachment; /* of the device: another one began anew */
	unsigned int commanded;  /* how often the caller had written PCI's command register */
	uint16_t command;        /* what it was, as the bus has it */
};

/* Only the reset: nothing is saved or comes back. With words. */
int ifd_reset_alone(struct iommufd_device *dev);

/* Before a reset, of an attached device. With words. */
int ifd_reset_save(struct iommufd_device *dev, struct ifd_saved *saved);

/*
 * After it, of which the kernel said `reset`: bus mastering, memory decode, interrupts. One that fails may have begun;
 * where it has not, interrupts are left alone, since to arm them anew may cost one. With words.
 */
int ifd_reset_restore(struct iommufd_device *dev, const struct ifd_saved *saved, int reset);

#endif
