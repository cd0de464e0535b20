/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Writes to registers that the kernel makes when an eventfd is signalled. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "handle.h"
#include "internal.h"
#include "udev.h"
#include "uapi/vfio.h"

/* What makes it one and not another. */
struct key {
	uint64_t at; /* in the device's descriptor */
	uint64_t value;
	uint32_t width;
};

/* On record, since it is to end when the device is detached, which on iommufd leaves the descriptor open. */
struct ifd_ioevent {
	struct ifd_ioevent *next;
	struct key key;
};

static int ask_kernel(struct iommufd_device *dev, const struct key *key, int fd)
{
	struct vfio_device_ioeventfd cmd = {
		.argsz = sizeof(cmd), .flags = key->width, .offset = key->at, .data = key->value, .fd = fd
	};

	return ifd_sys_ioctl(&dev->ctx->log, dev->fd, VFIO_DEVICE_IOEVENTFD, &cmd);
}

/* dev->lock is held. Where it is in the list, or where the list ends. */
static struct ifd_ioevent **find(struct iommufd_device *dev, const struct key *key)
{
	struct ifd_ioevent **at = &dev->ioevents;

	while (*at && ((*at)->key.at != key->at || (*at)->key.value != key->value || (*at)->key.width != key->width))
		at = &(*at)->next;
	return at;
}

/* Fills what the key has of the place. */
static int check(struct iommufd_device *dev, uint32_t index, uint64_t offset, struct key *key)
{
	uint32_t width = key->width;

	if ((width != 1 && width != 2 && width != 4 && width != 8) || offset & (width - 1))
		return ifd_fail(-EINVAL, "use 1, 2, 4 or 8 bytes at a multiple of them",
				"a write of %u bytes at 0x%" PRIx64 " of region %u of %s", width, offset, index,
				dev->found->name);
	if (width < 8 && key->value >> 8 * width)
		return ifd_fail(-EINVAL, "give a value of this width", "a write of 0x%" PRIx64 " in %u bytes",
				key->value, width);
	return ifd_region_at(dev, index, offset, width, VFIO_REGION_INFO_FLAG_WRITE, &key->at);
}

static int add(struct iommufd_device *dev, const struct key *key, int eventfd)
{
	struct ifd_ioevent *event;
	int ret;

	if (*find(dev, key))
		return -EEXIST;
	event = calloc(1, sizeof(*event));
	if (!event)
		return -ENOMEM;
	ret = ask_kernel(dev, key, eventfd);
	if (ret) {
		free(event);
		return ret;
	}
	event->key = *key;
	event->next = dev->ioevents;
	dev->ioevents = event;
	return 0;
}

EXPORT int iommufd_device_ioeventfd_add(struct iommufd_device *dev, uint32_t index, uint64_t offset, uint32_t width,
					uint64_t value, int eventfd)
{
	static const struct ifd_reason reasons[] = {
		{ -EEXIST, "remove that one first" },
		{ -EINVAL,
		  "only BARs can have it, and not where the MSI-X table is; some kernels not 8 bytes at once" },
		{ -ENOSPC, "the device has as many as the kernel allows: remove one" },
		{ -EBUSY, ifd_region_busy },
		{ 0, NULL },
	};
	const struct ifd_reason *reason = reasons;
	struct key key = { .value = value, .width = width };
	int ret = check(dev, index, offset, &key);

	if (!ret)
		ret = ifd_irq_check_eventfd(eventfd, "write to", dev->found->name);
	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	ret = add(dev, &key, eventfd);
	pthread_mutex_unlock(&dev->lock);
	if (!ret)
		return 0;
	if (ret == -ENOTTY)
		return ifd_fail(-EOPNOTSUPP, "write to the region", "write to %s by an eventfd: its driver cannot",
				dev->found->name);
	while (reason->err && reason->err != ret)
		reason++;
	return ifd_fail(ret, reason->hint, "write 0x%" PRIx64 " to 0x%" PRIx64 " of region %u of %s by an eventfd",
			value, offset, index, dev->found->name);
}

EXPORT int iommufd_device_ioeventfd_remove(struct iommufd_device *dev, uint32_t index, uint64_t offset, uint32_t width,
					   uint64_t value)
{
	struct key key = { .value = value, .width = width };
	struct ifd_ioevent **at, *event;
	int ret = check(dev, index, offset, &key);

	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	at = find(dev, &key);
	event = *at;
	ret = event ? ask_kernel(dev, &key, -1) : -ENOENT;
	if (!ret)
		*at = event->next;
	pthread_mutex_unlock(&dev->lock);
	if (ret)
		return ifd_fail(ret, ret == -ENOENT ? "give what iommufd_device_ioeventfd_add() was given" : NULL,
				"write 0x%" PRIx64 " to 0x%" PRIx64 " of region %u of %s by no eventfd any more", value,
				offset, index, dev->found->name);
	free(event);
	return 0;
}

void ifd_ioevent_close_all(struct iommufd_device *dev)
{
	struct ifd_ioevent *event;

	while ((event = dev->ioevents)) {
		int ret = ifd_in_child(dev->ctx) ? 0 : ask_kernel(dev, &event->key, -1);

		if (ret)
			ifd_error(&dev->ctx->log, "an eventfd still writes to %s: %s", dev->found->name,
				  IFD_STRERROR(ret));
		dev->ioevents = event->next;
		free(event);
	}
}
