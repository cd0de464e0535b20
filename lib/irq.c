/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "pci.h"
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
	if (info->count > IFD_MAX_VECTORS)
		info->count = IFD_MAX_VECTORS;
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
	mine.enabled = dev->irqs[index].enabled;
	pthread_mutex_unlock(&dev->lock);
	ifd_info_write(info, &mine, sizeof(mine));
	return 0;
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
		if (other != index && dev->irqs[other].enabled)
			return ifd_fail(-EBUSY, "disable that first", "enable %s of %s: %s is enabled", names[index],
					dev->found->name, names[other]);
	return 0;
}

/* What the type has with new eventfds, of which the library keeps copies; without words. dev->lock is held. */
static int make_next(const struct ifd_irq *irq, uint32_t start, uint32_t count, const int *eventfds, const void *owner,
		     struct ifd_irq *next)
{
	uint32_t enabled = start + count > irq->enabled ? start + count : irq->enabled;
	int ret = 0;

	next->vectors = calloc(enabled, sizeof(*next->vectors));
	if (!next->vectors)
		return -ENOMEM;
	next->enabled = enabled;
	for (uint32_t i = 0; i < enabled; i++)
		next->vectors[i] = i < irq->enabled ? irq->vectors[i] : (struct ifd_vector){ -1, -1, false, NULL };
	for (uint32_t i = 0; i < count; i++) {
		next->vectors[start + i].event = -1;
		next->vectors[start + i].owner = owner;
	}
	for (uint32_t i = 0; i < count && ret >= 0; i++)
		if (eventfds[i] >= 0) {
			ret = ifd_sys_dup(eventfds[i]);
			next->vectors[start + i].event = ret < 0 ? -1 : ret;
		}
	return ret < 0 ? ret : 0;
}

/* It was not taken: the rest of it is what the type has. */
static void drop_next(struct ifd_irq *next, uint32_t start, uint32_t count)
{
	for (uint32_t i = 0; next->vectors && i < count; i++)
		ifd_sys_close(next->vectors[start + i].event);
	free(next->vectors);
}

static int fail_enable(const struct iommufd_device *dev, int ret, uint32_t index, uint32_t count, bool lost)
{
	char hint[IFD_HINT_MAX] = "";

	if (ret > 0)
		ifd_hint(hint, "enable fewer");
	else if (ret == -EMFILE)
		ifd_hint(hint, "raise the limit of open files, see ulimit -n: each vector takes one");
	else if (ret == -EBADF || ret == -EINVAL)
		ifd_hint(hint, "give an open eventfd for each vector, or -1");
	if (lost)
		ifd_hint(hint, "%swhat was enabled there is not any more: enable it again", *hint ? "; " : "");
	if (ret > 0)
		return ifd_fail(-ENOSPC, hint, "enable %u vectors of interrupt type %u of %s: there are %d left", count,
				index, dev->found->name, ret);
	return ifd_fail(ret, hint, "enable interrupt type %u of %s", index, dev->found->name);
}

static int enable_locked(struct iommufd_device *dev, const struct vfio_irq_info *info, uint32_t start, uint32_t count,
			 const int *eventfds, const void *owner)
{
	struct ifd_irq next = { NULL, 0 };
	bool lost = false;
	int ret;

	ret = check_exclusive(dev, info->index);
	if (ret)
		return ret;
	ret = make_next(&dev->irqs[info->index], start, count, eventfds, owner, &next);
	if (!ret)
		ret = ifd_irq_change(dev, info, &next, start, count, &lost);
	if (!ret)
		return 0;
	drop_next(&next, start, count);
	return fail_enable(dev, ret, info->index, count, lost);
}

int ifd_irq_check_eventfd(int fd, const char *what, const char *name)
{
	char link[64], target[64];
	ssize_t told;
	int ret = 0;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	told = ifd_sys_readlink(link, target, sizeof(target));
	if (told >= 0 && strcmp(target, "anon_inode:[eventfd]"))
		ret = -EINVAL;
	else if (told < 0 && ifd_sys_fcntl(fd, F_GETFD) < 0) /* else it is a process without /proc */
		ret = -EBADF;
	return ret ? ifd_fail(ret, "give an open eventfd", "%s %s: file descriptor %d", what, name, fd) : 0;
}

/*
 * Before the kernel is asked: what it answers depends on the type of the interrupt, and it takes the vectors away that
 * were enabled when one of the new ones is refused.
 */
static int check_eventfds(const struct iommufd_device *dev, uint32_t index, uint32_t count, const int *eventfds)
{
	char what[64];
	int ret = 0;

	snprintf(what, sizeof(what), "enable interrupt type %u of", index);
	if (!eventfds)
		return ifd_fail(-EINVAL, "give an eventfd for each vector", "%s %s", what, dev->found->name);
	for (uint32_t i = 0; i < count && !ret; i++)
		if (eventfds[i] != -1)
			ret = ifd_irq_check_eventfd(eventfds[i], what, dev->found->name);
	return ret;
}

static int enable(struct iommufd_device *dev, uint32_t index, uint32_t start, uint32_t count, const int *eventfds,
		  const void *owner)
{
	struct vfio_irq_info info;
	int ret = irq_get(dev, index, &info);

	if (!ret)
		ret = check_vectors(dev, &info, start, count);
	if (!ret)
		ret = check_eventfds(dev, index, count, eventfds);
	if (!ret)
		ret = ifd_pci_check_there(dev, "enable interrupts of");
	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	ret = enable_locked(dev, &info, start, count, eventfds, owner);
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

EXPORT int iommufd_device_irq_enable(struct iommufd_device *dev, uint32_t index, uint32_t start, uint32_t count,
				     const int *eventfds)
{
	return enable(dev, index, start, count, eventfds, NULL);
}

int ifd_irq_enable_for(struct iommufd_device *dev, uint32_t index, uint32_t vector, int eventfd, const void *owner)
{
	return enable(dev, index, vector, 1, &eventfd, owner);
}

static int disable(struct iommufd_device *dev, uint32_t index)
{
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	if (dev->irqs[index].enabled)
		ret = ifd_irq_set_off(dev, index);
	if (!ret)
		ifd_irq_clear(&dev->irqs[index]);
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
	}
	ifd_irq_forget_all(dev); /* the kernel ends them with the device's file anyway */
}

void ifd_irq_forget_all(struct iommufd_device *dev)
{
	/* Not in a child: the lock may be somebody's who is not there. */
	ifd_lock(dev->ctx, &dev->lock);
	for (uint32_t index = 0; index < dev->num_irqs; index++)
		ifd_irq_clear(&dev->irqs[index]);
	ifd_unlock(dev->ctx, &dev->lock);
}

static int check_maskable(const struct iommufd_device *dev, const struct vfio_irq_info *info, const char *what)
{
	return info->flags & VFIO_IRQ_INFO_MASKABLE
		       ? 0
		       : ifd_fail(-EOPNOTSUPP, "hold them back in the device's own registers",
				  "%s interrupt type %u of %s: it cannot be masked", what, info->index,
				  dev->found->name);
}

/* An action without data on vectors that are enabled. */
static int act(struct iommufd_device *dev, const char *what, uint32_t action, uint32_t index, uint32_t start,
	       uint32_t count)
{
	struct vfio_irq_info info;
	struct ifd_irq *irq;
	int ret = irq_get(dev, index, &info);

	if (!ret)
		ret = check_vectors(dev, &info, start, count);
	if (!ret && action != VFIO_IRQ_SET_ACTION_TRIGGER)
		ret = check_maskable(dev, &info, what);
	if (ret)
		return ret;

	pthread_mutex_lock(&dev->lock);
	irq = &dev->irqs[index];
	ret = start + count <= irq->enabled
		      ? ifd_irq_set(dev, VFIO_IRQ_SET_DATA_NONE | action, index, start, count, NULL)
		      : -EINVAL;
	ret = ret > 0 ? -EPROTO : ret;
	for (uint32_t i = start; !ret && action != VFIO_IRQ_SET_ACTION_TRIGGER && i < start + count; i++)
		irq->vectors[i].masked = action == VFIO_IRQ_SET_ACTION_MASK;
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

/* ---- An eventfd that unmasks ---- */

static int resample_locked(struct iommufd_device *dev, uint32_t index, uint32_t vector, int fd)
{
	struct ifd_vector *at;
	int ret;

	if (vector >= dev->irqs[index].enabled)
		return -EINVAL;
	at = &dev->irqs[index].vectors[vector];
	ret = ifd_irq_set_resample(dev, index, vector, fd);
	if (ret)
		return ret;
	ifd_sys_close(at->resample);
	at->resample = fd;
	return 0;
}

EXPORT int iommufd_device_irq_set_resample(struct iommufd_device *dev, uint32_t index, uint32_t vector, int eventfd)
{
	static const char what[] = "unmask by an eventfd";
	struct vfio_irq_info info;
	int copy = -1, ret = irq_get(dev, index, &info);

	if (!ret)
		ret = check_vectors(dev, &info, vector, 1);
	if (!ret)
		ret = check_maskable(dev, &info, what);
	if (!ret)
		ret = check_eventfds(dev, index, 1, &eventfd);
	if (ret)
		return ret;
	if (eventfd >= 0)
		copy = ifd_sys_dup(eventfd);
	if (eventfd >= 0 && copy < 0)
		return ifd_fail(copy, "raise the limit of open files, see ulimit -n", "%s: interrupt type %u of %s",
				what, index, dev->found->name);
	pthread_mutex_lock(&dev->lock);
	ret = resample_locked(dev, index, vector, copy);
	pthread_mutex_unlock(&dev->lock);
	if (!ret)
		return 0;
	ifd_sys_close(copy);
	if (ret == -ENOTTY)
		return ifd_fail(-EOPNOTSUPP, "call iommufd_device_irq_unmask()",
				"%s: interrupt type %u of %s: %s cannot", what, index, dev->found->name,
				dev->found->driver ? dev->found->driver : "its driver");
	return ifd_fail(ret, ret == -EINVAL ? "enable it first" : NULL, "%s: interrupt type %u of %s", what, index,
			dev->found->name);
}
