/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "udev.h"
#include "uapi/vfio.h"

static int irq_get(struct iommufd_device *dev, uint32_t index, struct vfio_irq_info *info)
{
	int ret = ifd_device_ready(dev, "interrupts");

	if (ret)
		return ret;
	if (index >= dev->num_irqs)
		return ifd_fail(-EINVAL, "see num_irqs of iommufd_device_get_info()",
				"interrupt type %u of %s, which has %u", index, dev->found->name, dev->num_irqs);
	*info = (struct vfio_irq_info){ .argsz = sizeof(*info), .index = index };
	ret = ifd_sys_ioctl(&dev->ctx->log, dev->fd, VFIO_DEVICE_GET_IRQ_INFO, info);
	info->index = index; /* what the answer has there is not looked at */
	return ret ? ifd_fail(ret, ret == -EINVAL ? "the device does not have it" : NULL, "interrupt type %u of %s",
			      index, dev->found->name)
		   : 0;
}

EXPORT int iommufd_device_irq_info(struct iommufd_device *dev, uint32_t index, struct iommufd_irq_info *info)
{
	struct iommufd_irq_info mine = { .index = index };
	struct vfio_irq_info found;
	int ret;

	ret = ifd_info_check(info, IFD_END_OF(struct iommufd_irq_info, enabled), "interrupt info");
	if (!ret)
		ret = irq_get(dev, index, &found);
	if (ret)
		return ret;
	mine.count = found.count;
	if (found.flags & VFIO_IRQ_INFO_EVENTFD)
		mine.flags |= IOMMUFD_IRQ_EVENTFD;
	if (found.flags & VFIO_IRQ_INFO_MASKABLE)
		mine.flags |= IOMMUFD_IRQ_MASKABLE;
	if (found.flags & VFIO_IRQ_INFO_AUTOMASKED)
		mine.flags |= IOMMUFD_IRQ_AUTOMASKED;
	if (found.flags & VFIO_IRQ_INFO_NORESIZE)
		mine.flags |= IOMMUFD_IRQ_NORESIZE;
	pthread_mutex_lock(&dev->lock);
	mine.enabled = dev->enabled[index];
	pthread_mutex_unlock(&dev->lock);
	ifd_info_write(info, &mine, sizeof(mine));
	return 0;
}

/* The one place that makes the ioctl; `fds` may be NULL. Positive: so many could be enabled, instead of all. */
static int set_irqs(struct iommufd_device *dev, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
		    const int *fds)
{
	size_t data = fds ? count * sizeof(*fds) : 0;
	struct vfio_irq_set *set = calloc(1, sizeof(*set) + data);
	int ret;

	if (!set)
		return -ENOMEM;
	*set = (struct vfio_irq_set){
		.argsz = (uint32_t)(sizeof(*set) + data), .flags = flags, .index = index, .start = start, .count = count
	};
	if (fds)
		memcpy(set->data, fds, data);
	ret = ifd_sys_ioctl_number(&dev->ctx->log, dev->fd, VFIO_DEVICE_SET_IRQS, set);
	free(set);
	return ret;
}

static int check_vectors(const struct iommufd_device *dev, const struct vfio_irq_info *info, uint32_t start,
			 uint32_t count)
{
	if (!count)
		return ifd_fail(-EINVAL, "name one vector at least", "no vectors of interrupt type %u of %s",
				info->index, dev->found->name);
	if (start >= info->count || count > info->count - start)
		return ifd_fail(-EINVAL, "see count of iommufd_device_irq_info()",
				"vectors %u to %llu of interrupt type %u of %s, which has %u", start,
				(unsigned long long)start + count - 1, info->index, dev->found->name, info->count);
	return 0;
}

/* INTx, MSI and MSI-X exclude each other; the kernel says only that something is invalid. dev->lock is held. */
static int check_exclusive(const struct iommufd_device *dev, uint32_t index)
{
	static const char *const names[] = { "INTx", "MSI", "MSI-X" };

	if (!(dev->flags & VFIO_DEVICE_FLAGS_PCI) || index > IOMMUFD_PCI_MSIX)
		return 0;
	for (uint32_t other = IOMMUFD_PCI_INTX; other <= IOMMUFD_PCI_MSIX; other++)
		if (other != index && dev->enabled[other])
			return ifd_fail(-EBUSY, "disable that first", "enable %s of %s: %s is enabled", names[index],
					dev->found->name, names[other]);
	return 0;
}

static int check_start(const struct iommufd_device *dev, const struct vfio_irq_info *info, uint32_t start,
		       uint32_t count)
{
	uint32_t enabled = dev->enabled[info->index];

	if (!(info->flags & VFIO_IRQ_INFO_NORESIZE) || (enabled ? start + count <= enabled : start == 0))
		return 0;
	return ifd_fail(-EINVAL,
			enabled ? "disable the type first, then enable all vectors at once"
				: "enable all vectors at once, from 0",
			"enable vectors %u to %u of interrupt type %u of %s: their number is fixed", start,
			start + count - 1, info->index, dev->found->name);
}

static int enable_locked(struct iommufd_device *dev, const struct vfio_irq_info *info, uint32_t start, uint32_t count,
			 const int *eventfds)
{
	uint32_t index = info->index;
	int ret;

	ret = check_exclusive(dev, index);
	if (!ret)
		ret = check_start(dev, info, start, count);
	if (ret)
		return ret;
	ret = set_irqs(dev, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index, start, count, eventfds);
	if (ret > 0)
		return ifd_fail(-ENOSPC, "enable fewer",
				"enable %u vectors of interrupt type %u of %s: there are %d left", count, index,
				dev->found->name, ret);
	if (ret)
		return ifd_fail(ret,
				ret == -EBADF || ret == -EINVAL ? "give an open eventfd for each vector, or -1" : NULL,
				"enable interrupt type %u of %s", index, dev->found->name);
	if (start + count > dev->enabled[index])
		dev->enabled[index] = start + count;
	return 0;
}

/*
 * Before the kernel is asked: what it answers depends on the type of the interrupt, and it takes the vectors away that
 * were enabled when one of the new ones is refused.
 */
static int check_eventfds(const struct iommufd_device *dev, uint32_t index, uint32_t count, const int *eventfds)
{
	char link[64], target[64];

	if (!eventfds)
		return ifd_fail(-EINVAL, "give an eventfd for each vector", "enable interrupt type %u of %s", index,
				dev->found->name);
	for (uint32_t i = 0; i < count; i++) {
		ssize_t ret;

		if (eventfds[i] == -1)
			continue;
		snprintf(link, sizeof(link), "/proc/self/fd/%d", eventfds[i]);
		ret = ifd_sys_readlink(link, target, sizeof(target));
		if (ret > 0 && !strcmp(target, "anon_inode:[eventfd]"))
			continue;
		return ifd_fail(ret < 0 ? -EBADF : -EINVAL, "give an open eventfd for each vector, or -1",
				"enable interrupt type %u of %s: file descriptor %d", index, dev->found->name,
				eventfds[i]);
	}
	return 0;
}

EXPORT int iommufd_device_irq_enable(struct iommufd_device *dev, uint32_t index, uint32_t start, uint32_t count,
				     const int *eventfds)
{
	struct vfio_irq_info info;
	int ret = irq_get(dev, index, &info);

	if (!ret)
		ret = check_vectors(dev, &info, start, count);
	if (!ret)
		ret = check_eventfds(dev, index, count, eventfds);
	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	ret = enable_locked(dev, &info, start, count, eventfds);
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

/* An error or a request is a mere eventfd in the kernel: it can be taken back, but not when there is none. */
static int set_off(struct iommufd_device *dev, uint32_t index)
{
	static const int none = -1;
	int ret;

	if (dev->flags & VFIO_DEVICE_FLAGS_PCI && index > IOMMUFD_PCI_MSIX)
		ret = set_irqs(dev, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 1, &none);
	else
		ret = set_irqs(dev, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 0, NULL);
	return ret > 0 ? -EPROTO : ret;
}

static int disable(struct iommufd_device *dev, uint32_t index)
{
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	if (dev->enabled[index])
		ret = set_off(dev, index);
	if (!ret)
		dev->enabled[index] = 0;
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

EXPORT int iommufd_device_irq_disable(struct iommufd_device *dev, uint32_t index)
{
	struct vfio_irq_info info;
	int ret = irq_get(dev, index, &info);

	if (ret)
		return ret;
	ret = disable(dev, index);
	return ret ? ifd_fail(ret, "the device may be gone", "disable interrupt type %u of %s", index, dev->found->name)
		   : 0;
}

void ifd_irq_disable_all(struct iommufd_device *dev)
{
	for (uint32_t index = 0; index < dev->num_irqs; index++) {
		int ret = disable(dev, index);

		if (ret)
			ifd_error(&dev->ctx->log, "disabling interrupt type %u of %s: %s", index, dev->found->name,
				  IFD_STRERROR(ret));
		dev->enabled[index] = 0; /* the kernel ends them with the device's file anyway */
	}
}

/* An action without data on vectors that are enabled. */
static int act(struct iommufd_device *dev, const char *what, uint32_t action, uint32_t index, uint32_t start,
	       uint32_t count)
{
	struct vfio_irq_info info;
	int ret = irq_get(dev, index, &info);

	if (!ret)
		ret = check_vectors(dev, &info, start, count);
	if (ret)
		return ret;
	if (action != VFIO_IRQ_SET_ACTION_TRIGGER && !(info.flags & VFIO_IRQ_INFO_MASKABLE))
		return ifd_fail(-EOPNOTSUPP, "hold them back in the device's own registers",
				"%s interrupt type %u of %s: it cannot be masked", what, index, dev->found->name);

	pthread_mutex_lock(&dev->lock);
	ret = start + count <= dev->enabled[index]
		      ? set_irqs(dev, VFIO_IRQ_SET_DATA_NONE | action, index, start, count, NULL)
		      : -EINVAL;
	ret = ret > 0 ? -EPROTO : ret;
	pthread_mutex_unlock(&dev->lock);
	return ret ? ifd_fail(ret, ret == -EINVAL ? "enable it first" : NULL, "%s interrupt type %u of %s", what, index,
			      dev->found->name)
		   : 0;
}

EXPORT int iommufd_device_irq_mask(struct iommufd_device *dev, uint32_t index, uint32_t start, uint32_t count)
{
	return act(dev, "mask", VFIO_IRQ_SET_ACTION_MASK, index, start, count);
}

EXPORT int iommufd_device_irq_unmask(struct iommufd_device *dev, uint32_t index, uint32_t start, uint32_t count)
{
	return act(dev, "unmask", VFIO_IRQ_SET_ACTION_UNMASK, index, start, count);
}

EXPORT int iommufd_device_irq_trigger(struct iommufd_device *dev, uint32_t index, uint32_t start, uint32_t count)
{
	return act(dev, "trigger", VFIO_IRQ_SET_ACTION_TRIGGER, index, start, count);
}
