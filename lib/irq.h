/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What is armed of a device's interrupts, so that it can be armed again: after a reset, after a failure, and where the
 * kernel has no way to add to what is enabled. Internal.
 */
#ifndef IFD_IRQ_H
#define IFD_IRQ_H

#include <stdbool.h>
#include <stdint.h>

/*
 * VFIO has five interrupt types for PCI, and one for each interrupt of a device on other buses. A vector more than this
 * has none.
 */
#define IFD_MAX_IRQS    64
#define IFD_MAX_VECTORS 65536u

struct iommufd_device;
struct vfio_irq_info;

/* The descriptors are copies of the caller's, or -1. */
struct ifd_vector {
	int event;
	int resample;      /* unmasks it */
	bool masked;       /* by the caller; whoever has `resample` may have unmasked it since */
	const void *owner; /* who of the library has enabled it, or NULL for the caller */
};

/* An interrupt type. Guarded by dev->lock. */
struct ifd_irq {
	struct ifd_vector *vectors;
	uint32_t enabled; /* how many; 0 while the type is not enabled */
};

/*
 * irq-arm.c, with dev->lock held and without words. The one place that makes the ioctl;
 * `fds` may be NULL. Positive: so many could be enabled, instead of all.
 */
int ifd_irq_set(struct iommufd_device *dev, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
		const int *fds);

/* Disables a type as far as the kernel is concerned: 0 or -errno. */
int ifd_irq_set_off(struct iommufd_device *dev, uint32_t index);

/*
 * What a type has from now on, of which the vectors from `start` on, `count` of them, are new: 0, -errno, or as
 * ifd_irq_set(). On success the new list is the type's. On failure it is as it was, but `lost` tells that the kernel
 * did not take back what it had: then it is not in the record any more.
 */
int ifd_irq_change(struct iommufd_device *dev, const struct vfio_irq_info *info, struct ifd_irq *next, uint32_t start,
		   uint32_t count, bool *lost);

/* Which descriptor unmasks a vector, for the kernel, or -1: 0 or -errno, and then it is as it was if it can be. */
int ifd_irq_set_resample(struct iommufd_device *dev, uint32_t index, uint32_t vector, int fd);

/*
 * irq.c: whether it is an eventfd: 0, -EBADF or -EINVAL with words that begin with `what` and a device's name. Without
 * /proc it may be some other file after all.
 */
int ifd_irq_check_eventfd(int fd, const char *what, const char *name);

/*
 * irq.c: iommufd_device_irq_enable() of one vector for somebody in the library, who owns it until the next such call.
 */
int ifd_irq_enable_for(struct iommufd_device *dev, uint32_t index, uint32_t vector, int eventfd, const void *owner);

/* The record of a type is forgotten, and its copies are closed. In a child process too. */
void ifd_irq_clear(struct ifd_irq *irq);

#endif
