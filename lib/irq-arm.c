/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the kernel is told of interrupts, and what is remembered of it. */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"
#include "udev.h"
#include "uapi/vfio.h"

static struct vfio_irq_set *set_new(uint32_t flags, uint32_t index, uint32_t start, uint32_t count)
{
	size_t size = sizeof(struct vfio_irq_set) + (flags & VFIO_IRQ_SET_DATA_EVENTFD ? count * sizeof(int) : 0);
	struct vfio_irq_set *set = calloc(1, size);

	if (set)
		*set = (struct vfio_irq_set){
			.argsz = (uint32_t)size, .flags = flags, .index = index, .start = start, .count = count
		};
	return set;
}

static int set_make(struct iommufd_device *dev, struct vfio_irq_set *set)
{
	int ret = ifd_sys_ioctl_number(&dev->ctx->log, dev->fd, VFIO_DEVICE_SET_IRQS, set);

	free(set);
	return ret;
}

int ifd_irq_set(struct iommufd_device *dev, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
		const int *fds)
{
	struct vfio_irq_set *set = set_new(flags, index, start, count);

	if (!set)
		return -ENOMEM;
	if (fds)
		memcpy(set->data, fds, count * sizeof(*fds));
	return set_make(dev, set);
}

/* Vectors as they are on record. Also where the type is not enabled yet, or not any more. */
static int arm(struct iommufd_device *dev, uint32_t index, const struct ifd_irq *irq, uint32_t start, uint32_t count)
{
	struct vfio_irq_set *set =
		set_new(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index, start, count);

	if (!set)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		memcpy(set->data + i * sizeof(int), &irq->vectors[start + i].event, sizeof(int));
	return set_make(dev, set);
}

static bool signals(const struct ifd_irq *irq)
{
	for (uint32_t i = 0; i < irq->enabled; i++)
		if (irq->vectors[i].event >= 0)
			return true;
	return false;
}

/*
 * An error or a request is a mere eventfd in the kernel: it can be taken back, but not when there is none. Some drivers
 * have no other types either: one without eventfds is not enabled for them.
 */
int ifd_irq_set_off(struct iommufd_device *dev, uint32_t index)
{
	static const int none = -1;
	int ret;

	if (dev->flags & VFIO_DEVICE_FLAGS_PCI && index > IOMMUFD_PCI_MSIX)
		ret = ifd_irq_set(dev, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 1, &none);
	else
		ret = ifd_irq_set(dev, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 0, NULL);
	if (ret == -EINVAL && !signals(&dev->irqs[index]))
		ret = 0;
	return ret > 0 ? -EPROTO : ret;
}

static int set_resample(struct iommufd_device *dev, uint32_t index, uint32_t vector, int fd)
{
	int ret = ifd_irq_set(dev, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, index, vector, 1, &fd);

	return ret > 0 ? -EPROTO : ret;
}

int ifd_irq_set_resample(struct iommufd_device *dev, uint32_t index, uint32_t vector, int fd)
{
	int old = dev->irqs[index].vectors[vector].resample, ret;

	/* The kernel has one a vector, and does not change it for another. */
	ret = old >= 0 || fd < 0 ? set_resample(dev, index, vector, -1) : 0;
	if (ret || fd < 0)
		return ret;
	ret = set_resample(dev, index, vector, fd);
	if (ret && old >= 0)
		set_resample(dev, index, vector, old);
	return ret;
}

/* What there is beside the eventfds. */
static int arm_masks(struct iommufd_device *dev, uint32_t index, const struct ifd_irq *irq)
{
	int ret = 0;

	for (uint32_t i = 0; i < irq->enabled && !ret; i++)
		if (irq->vectors[i].resample >= 0)
			ret = ifd_irq_set_resample(dev, index, i, irq->vectors[i].resample);
		else if (irq->vectors[i].masked)
			ret = ifd_irq_set(dev, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, index, i, 1, NULL);
	return ret;
}

void ifd_irq_clear(struct ifd_irq *irq)
{
	for (uint32_t i = 0; i < irq->enabled; i++) {
		ifd_sys_close(irq->vectors[i].event);
		ifd_sys_close(irq->vectors[i].resample);
	}
	irq->enabled = 0;
	free(irq->vectors);
	irq->vectors = NULL;
}

/*
 * Where the kernel cannot add vectors to those that are enabled, the type is disabled and enabled anew. What the device
 * sends in between goes nowhere, so whoever waits for one of the old vectors is woken, and looks.
 */
static int enable_anew(struct iommufd_device *dev, uint32_t index, const struct ifd_irq *next, bool *lost)
{
	struct ifd_irq *irq = &dev->irqs[index];
	int ret = ifd_irq_set_off(dev, index);

	if (ret)
		return ret;
	ret = arm(dev, index, next, 0, next->enabled);
	*lost = ret && arm(dev, index, irq, 0, irq->enabled);
	if (*lost)
		ifd_irq_clear(irq);
	else if (ifd_irq_set(dev, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, irq->enabled, NULL))
		ifd_warn(&dev->ctx->log, "what %s sent while interrupt type %u was enabled anew may be lost",
			 dev->found->name, index);
	return ret;
}

/* When the kernel fails it takes the vectors of the call away that were there. */
static int enable_some(struct iommufd_device *dev, uint32_t index, const struct ifd_irq *next, uint32_t start,
		       uint32_t count, bool *lost)
{
	struct ifd_irq *irq = &dev->irqs[index];
	uint32_t old = start >= irq->enabled ? 0 : start + count < irq->enabled ? count : irq->enabled - start;
	int ret = arm(dev, index, next, start, count);

	*lost = ret && old && arm(dev, index, irq, start, old);
	for (uint32_t i = start; *lost && i < start + old; i++) {
		ifd_sys_close(irq->vectors[i].event);
		irq->vectors[i].event = -1;
	}
	return ret;
}

int ifd_irq_change(struct iommufd_device *dev, const struct vfio_irq_info *info, struct ifd_irq *next, uint32_t start,
		   uint32_t count, bool *lost)
{
	struct ifd_irq *irq = &dev->irqs[info->index], old = *irq;
	int ret;

	if (!(info->flags & VFIO_IRQ_INFO_NORESIZE))
		ret = enable_some(dev, info->index, next, start, count, lost);
	else if (!old.enabled)
		ret = enable_some(dev, info->index, next, 0, next->enabled, lost);
	else if (next->enabled == old.enabled)
		ret = enable_some(dev, info->index, next, start, count, lost);
	else
		ret = enable_anew(dev, info->index, next, lost);
	if (ret)
		return ret;
	/* In this order, for a child process that is forked in the midst of it. */
	irq->enabled = 0;
	irq->vectors = next->vectors;
	irq->enabled = next->enabled;
	for (uint32_t i = start; i < start + count && i < old.enabled; i++)
		ifd_sys_close(old.vectors[i].event);
	free(old.vectors);
	return 0;
}

int ifd_irq_rearm(struct iommufd_device *dev)
{
	uint32_t failed = 0;
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	for (uint32_t index = 0; index < dev->num_irqs; index++) {
		const struct ifd_irq *irq = &dev->irqs[index];
		int one = irq->enabled ? arm(dev, index, irq, 0, irq->enabled) : 0;

		if (!one && irq->enabled)
			one = arm_masks(dev, index, irq);
		if (!one || ret)
			continue;
		ret = one > 0 ? -ENOSPC : one;
		failed = index;
	}
	pthread_mutex_unlock(&dev->lock);
	return ret ? ifd_fail(ret, "disable it, and enable it again", "arm interrupt type %u of %s again", failed,
			      dev->found->name)
		   : 0;
}
