/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Resets of a whole bus or slot: who is affected, who stands in the way, and how those of the context come back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "holders.h"
#include "internal.h"
#include "peer.h"
#include "reset.h"
#include "udev.h"
#include "uapi/vfio.h"

/* All there can be below a bridge; and a bound for answers that never fit. */
#define AFFECTED_MAX   65536
#define TRIES          8
#define BLOCKERS_SHOWN 4

/* What is reset together with a device. */
struct affected {
	struct vfio_pci_hot_reset_info *info;
	bool by_id;              /* the kernel knows by itself what is ours, by the iommufd */
	struct ifd_saved *saved; /* of those that are attached in the context */
	size_t num_saved;
};

static void address_of(const struct vfio_pci_dependent_device *device, char address[IOMMUFD_PCI_NAME_SIZE])
{
	snprintf(address, IOMMUFD_PCI_NAME_SIZE, "%04x:%02x:%02x.%u", device->segment, device->bus, device->devfn >> 3,
		 device->devfn & 7u);
}

static bool is_affected(const struct affected *affected, const struct iommufd_device *dev)
{
	char address[IOMMUFD_PCI_NAME_SIZE];

	for (uint32_t i = 0; i < affected->info->count; i++) {
		address_of(&affected->info->devices[i], address);
		if (!strcmp(address, dev->found->name))
			return true;
	}
	return false;
}

/* ---- Who is affected ---- */

/* Calls on containers have the same numbers, and other arguments: so the log is written here. */
static int call(const struct iommufd_device *dev, unsigned long request, const char *name, void *arg)
{
	int ret = ifd_sys_ioctl(NULL, dev->fd, request, arg);

	ifd_debug(&dev->ctx->log, "fd %d: %s: %s", dev->fd, name, ret ? IFD_STRERROR(ret) : "0");
	return ret;
}

/* Once, with room for so many: 0, or -errno without words. -ENOSPC and -EAGAIN: once more, perhaps with more room. */
static int ask_once(const struct iommufd_device *dev, uint32_t *room, struct affected *affected)
{
	size_t size = sizeof(*affected->info) + *room * sizeof(affected->info->devices[0]);
	struct vfio_pci_hot_reset_info *info = calloc(1, size);
	int ret;

	if (!info)
		return -ENOMEM;
	info->argsz = (uint32_t)size;
	ret = call(dev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO", info);
	if (!ret && info->count <= *room) {
		affected->info = info;
		affected->by_id = info->flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID;
		return 0;
	}
	if (!ret || (ret == -ENOSPC && (info->count <= *room || info->count > AFFECTED_MAX)))
		ret = -EPROTO;
	if (ret == -ENOSPC)
		*room = info->count;
	free(info);
	return ret;
}

/* The device itself is among them, and the kernel does not say both that all is ours and that something is not. */
static bool makes_sense(const struct iommufd_device *dev, const struct affected *affected)
{
	bool owned = true;

	for (uint32_t i = 0; i < affected->info->count; i++)
		owned = owned && affected->info->devices[i].devid != (uint32_t)VFIO_PCI_DEVID_NOT_OWNED;
	return is_affected(affected, dev) &&
	       (!affected->by_id || owned == !!(affected->info->flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED));
}

static const char *hint_for(int err)
{
	switch (err) {
	case -EOPNOTSUPP:
		return "neither its slot nor its bus can be reset: there is no bridge above it, or it is no PCI device";
	case -EPROTO:
		return "the kernel's answer has no end, or contradicts itself";
	case -EINVAL:
		return "whose the affected devices are has changed meanwhile, see iommufd_pci_hot_reset_info()";
	case -EAGAIN:
	case -EBUSY:
		return "something else holds one of the devices: try again later";
	default:
		return NULL;
	}
}

static int fail_reset(const struct iommufd_device *dev, const char *what, int err)
{
	/* ENODEV: there is no bus or slot that can be reset. */
	err = err == -ENODEV || err == -ENOTTY ? -EOPNOTSUPP : err;
	return ifd_fail(err, hint_for(err), "%s of %s", what, dev->found->name);
}

static int ask(struct iommufd_device *dev, const char *what, struct affected *affected)
{
	uint32_t room = 8;
	int ret = ifd_device_ready(dev, what);

	if (ret)
		return ret;
	if (!(dev->flags & VFIO_DEVICE_FLAGS_PCI))
		return fail_reset(dev, what, -ENODEV);
	for (int i = 0; i < TRIES; i++) {
		ret = ask_once(dev, &room, affected);
		if (ret != -ENOSPC && ret != -EAGAIN)
			break;
	}
	if (!ret && !makes_sense(dev, affected))
		ret = -EPROTO;
	return ret ? fail_reset(dev, what, ret == -ENOSPC ? -EPROTO : ret) : 0;
}

/* The node of a group that the context has open, or -1. The caller holds ctx->opening, which keeps it open. */
static int group_fd(struct iommufd_ctx *ctx, uint32_t id)
{
	int fd = -1;

	pthread_mutex_lock(&ctx->lock);
	for (const struct ifd_group *group = ctx->groups; group && fd < 0; group = group->next)
		if (group->id >= 0 && (uint32_t)group->id == id)
			fd = group->fd;
	pthread_mutex_unlock(&ctx->lock);
	return fd;
}

static struct ifd_found *find(const struct vfio_pci_dependent_device *device)
{
	char address[IOMMUFD_PCI_NAME_SIZE];
	struct ifd_found *found;

	address_of(device, address);
	return ifd_udev_find(address, &found) ? NULL : found;
}

static bool blocks(struct iommufd_ctx *ctx, const struct affected *affected,
		   const struct vfio_pci_dependent_device *device)
{
	struct ifd_found *found;
	bool ours;

	if (affected->by_id)
		return device->devid == (uint32_t)VFIO_PCI_DEVID_NOT_OWNED;
	pthread_mutex_lock(&ctx->opening);
	ours = group_fd(ctx, device->group_id) >= 0;
	pthread_mutex_unlock(&ctx->opening);
	/* Each must have a driver of VFIO, though a group can be used where some have none. */
	found = ours ? find(device) : NULL;
	ours = found && found->vfio;
	ifd_found_free(found);
	return !ours;
}

static void hint_open(char *hint, const struct ifd_found *found)
{
	ifd_hint(hint, ": ");
	ifd_hint(hint, ifd_hint_holders(hint, found, -1)
			       ? ": have it, and its group, open in this context alone"
			       : "nobody that can be seen has it open: open it in this context");
}

static void hint_blocker(char *hint, const struct vfio_pci_dependent_device *device)
{
	char address[IOMMUFD_PCI_NAME_SIZE];
	struct ifd_found *found = find(device);

	address_of(device, address);
	ifd_hint(hint, "%s%s", *hint ? "; " : "", address);
	if (!found)
		ifd_hint(hint, " is not to be found");
	else if (!found->vfio)
		ifd_hint(hint, " is bound to %s: bind it to vfio-pci", found->driver ? found->driver : "no driver");
	else
		hint_open(hint, found);
	ifd_found_free(found);
}

/* -EBUSY with words that name them. */
static int check_blockers(struct iommufd_device *dev, const struct affected *affected)
{
	char hint[IFD_HINT_MAX] = "";
	uint32_t count = affected->info->count, blockers = 0;

	for (uint32_t i = 0; i < count; i++)
		if (blocks(dev->ctx, affected, &affected->info->devices[i]) && blockers++ < BLOCKERS_SHOWN)
			hint_blocker(hint, &affected->info->devices[i]);
	if (blockers > BLOCKERS_SHOWN)
		ifd_hint(hint, "; and %u more", blockers - BLOCKERS_SHOWN);
	return blockers ? ifd_fail(-EBUSY, hint, "hot reset of %s: %u of %u devices that it affects are in the way",
				   dev->found->name, blockers, count)
			: 0;
}

/* ---- Those of the context ---- */

/*
 * A device whose memory may be lent stays attached, and its handle valid, while ctx->lending is held, since a detach
 * ends that first. So none of them is held across the reset: it may be detached and freed meanwhile, and opened anew.
 */
static int save(struct iommufd_ctx *ctx, struct affected *affected)
{
	int ret = 0;

	affected->saved = calloc(affected->info->count, sizeof(*affected->saved));
	if (!affected->saved)
		return ifd_fail(-ENOMEM, NULL, "hot reset %u devices", affected->info->count);
	pthread_mutex_lock(&ctx->lending);
	pthread_mutex_lock(&ctx->opening);
	for (struct iommufd_device *dev = ctx->devices; dev && !ret; dev = dev->next)
		if (dev->lends && affected->num_saved < affected->info->count && is_affected(affected, dev)) {
			ret = ifd_reset_save(dev, &affected->saved[affected->num_saved]);
			affected->num_saved += !ret;
		}
	pthread_mutex_unlock(&ctx->opening);
	pthread_mutex_unlock(&ctx->lending);
	return ret;
}

/* ctx->lending is held. NULL when it was detached, whether it is attached anew or not. */
static struct iommufd_device *still_attached(struct iommufd_ctx *ctx, const struct ifd_saved *saved)
{
	struct iommufd_device *dev;

	pthread_mutex_lock(&ctx->opening);
	dev = ctx->devices;
	while (dev && !(dev->lends && dev->attachment == saved->attachment))
		dev = dev->next;
	pthread_mutex_unlock(&ctx->opening);
	return dev;
}

/* Keeps the words of the first that fails. */
static int keep_first(int first, int ret, char *hint)
{
	if (ret && !*hint)
		ifd_hint(hint, "%s", iommufd_errmsg());
	return first ? first : ret;
}

static int restore(struct iommufd_ctx *ctx, const struct affected *affected, int reset, char *hint)
{
	int ret = 0;

	pthread_mutex_lock(&ctx->lending);
	for (size_t i = 0; i < affected->num_saved; i++) {
		struct iommufd_device *dev = still_attached(ctx, &affected->saved[i]);

		if (dev)
			ret = keep_first(ret, ifd_reset_restore(dev, &affected->saved[i], reset), hint);
	}
	for (size_t i = 0; i < affected->num_saved; i++) {
		struct iommufd_device *dev = still_attached(ctx, &affected->saved[i]);

		if (dev)
			ret = keep_first(ret, ifd_peers_restore_held(dev), hint);
	}
	pthread_mutex_unlock(&ctx->lending);
	return ret;
}

static void forget(struct affected *affected)
{
	free(affected->saved);
	free(affected->info);
}

/* ---- The reset ---- */

static void add_group(struct vfio_pci_hot_reset *cmd, int fd)
{
	for (uint32_t i = 0; i < cmd->count; i++)
		if (cmd->group_fds[i] == fd)
			return;
	cmd->group_fds[cmd->count++] = fd;
}

static int reset_once(struct iommufd_device *dev, const struct affected *affected)
{
	size_t size = sizeof(struct vfio_pci_hot_reset) + affected->info->count * sizeof(int32_t);
	struct vfio_pci_hot_reset *cmd = calloc(1, size);
	int ret = 0;

	if (!cmd)
		return -ENOMEM;
	cmd->argsz = (uint32_t)size;
	pthread_mutex_lock(&dev->ctx->opening);
	for (uint32_t i = 0; i < affected->info->count && !affected->by_id && !ret; i++) {
		int fd = group_fd(dev->ctx, affected->info->devices[i].group_id);

		if (fd >= 0)
			add_group(cmd, fd);
		else
			ret = -EBUSY; /* it was closed just now */
	}
	if (!ret)
		ret = call(dev, VFIO_DEVICE_PCI_HOT_RESET, "VFIO_DEVICE_PCI_HOT_RESET", cmd);
	pthread_mutex_unlock(&dev->ctx->opening);
	free(cmd);
	return ret;
}

/* As the kernel says it. */
static int reset(struct iommufd_device *dev, const struct affected *affected)
{
	int ret = 0;

	for (int i = 0; i < IFD_RESET_TRIES; i++) {
		ret = reset_once(dev, affected);
		if (ret != -EAGAIN && ret != -EBUSY)
			break;
		ifd_sys_sleep_ms(IFD_RESET_PAUSE_MS);
	}
	return ret;
}

static int reset_and_restore(struct iommufd_device *dev, const struct affected *affected)
{
	char hint[IFD_HINT_MAX] = "";
	struct ifd_words words;
	int raw = reset(dev, affected), ret = raw ? fail_reset(dev, "hot reset", raw) : 0, back;

	ifd_words_keep(&words);
	back = restore(dev->ctx, affected, raw, hint);
	if (!ret && back)
		return ifd_fail(back, hint, "hot reset of %s: it was done, but not all is as it was", dev->found->name);
	if (back)
		ifd_error(&dev->ctx->log, "after a hot reset that failed: %s", hint);
	if (ret)
		ifd_words_restore(&words);
	return ret;
}

EXPORT int iommufd_pci_hot_reset(struct iommufd_device *dev)
{
	struct affected affected = { .info = NULL };
	int ret = ask(dev, "hot reset", &affected);

	if (!ret)
		ret = check_blockers(dev, &affected);
	if (!ret)
		ret = save(dev->ctx, &affected);
	if (!ret)
		ret = reset_and_restore(dev, &affected);
	forget(&affected);
	return ret;
}

static bool is_open(struct iommufd_ctx *ctx, const char *address)
{
	const struct iommufd_device *dev;

	pthread_mutex_lock(&ctx->opening);
	dev = ctx->devices;
	while (dev && strcmp(dev->found->name, address) != 0)
		dev = dev->next;
	pthread_mutex_unlock(&ctx->opening);
	return dev;
}

static void tell(struct iommufd_ctx *ctx, const struct affected *affected,
		 const struct vfio_pci_dependent_device *device, struct iommufd_pci_affected *info)
{
	struct ifd_found *found = affected->by_id ? find(device) : NULL;

	*info = (struct iommufd_pci_affected){ .group = found             ? found->group
							: affected->by_id ? -1
									  : (int32_t)device->group_id };
	ifd_found_free(found);
	address_of(device, info->address);
	if (blocks(ctx, affected, device))
		info->flags |= IOMMUFD_PCI_AFFECTED_BLOCKS;
	if (is_open(ctx, info->address))
		info->flags |= IOMMUFD_PCI_AFFECTED_OPEN;
}

EXPORT int iommufd_pci_hot_reset_info(struct iommufd_device *dev, struct iommufd_pci_affected *infos, size_t room,
				      size_t *count)
{
	struct affected affected = { .info = NULL };
	int ret = ask(dev, "hot reset info", &affected);

	for (uint32_t i = 0; !ret && i < affected.info->count && i < room; i++)
		tell(dev->ctx, &affected, &affected.info->devices[i], &infos[i]);
	if (!ret)
		*count = affected.info->count;
	forget(&affected);
	return ret;
}
