/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "internal.h"
#include "kvm.h"
#include "node.h"
#include "peer.h"
#include "token.h"
#include "udev.h"
#include "uapi/vfio.h"

static struct iommufd_device *device_alloc(struct iommufd_ctx *ctx, struct ifd_found *found)
{
	struct iommufd_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return NULL;
	dev->refs = 1;
	dev->ctx = ifd_ctx_get(ctx);
	dev->found = found;
	dev->fd = -1;
	pthread_mutex_init(&dev->lock, NULL);
	pthread_mutex_init(&dev->command, NULL);
	return dev;
}

static void device_destroy(struct iommufd_device *dev)
{
	struct iommufd_ctx *ctx = dev->ctx;

	ifd_peers_forget(dev);
	ifd_kvm_put(dev->kvm);
	ifd_found_free(dev->found);
	pthread_mutex_destroy(&dev->lock);
	pthread_mutex_destroy(&dev->command);
	free(dev);
	ifd_ctx_put(ctx);
}

static int check_found(const struct iommufd_ctx *ctx, const struct ifd_found *found)
{
	char hint[IFD_HINT_MAX] = "";

	if (found->noiommu && ctx->noiommu) {
		ifd_warn(&ctx->log, "%s runs without an IOMMU, which is UNSAFE: its DMA reaches all memory",
			 found->name);
		return 0;
	}
	/* First, since without an IOMMU vfio-pci would refuse the device anyway. */
	ifd_hint_iommu(hint, found);
	if (*hint)
		return ifd_fail(found->noiommu ? -EOPNOTSUPP : -ENODEV, hint, "open %s", found->name);
	if (!found->vfio) {
		ifd_hint_bind(hint, found);
		return ifd_fail(-ENODEV, hint, "open %s: it is bound to %s, not to a VFIO driver", found->name,
				found->driver ? found->driver : "no driver");
	}
	return 0;
}

/* What there is to open: the device's own node, a descriptor that is to be adopted, or what somebody else has bound. */
struct source {
	int (*open)(struct iommufd_device *dev, const struct source *source);
	struct iommufd_device_opts opts;
	int fd;
	uint32_t id;
};

static int open_node(struct iommufd_device *dev, const struct source *source)
{
	(void)source;
	return dev->ctx->backend->device_open(dev);
}

static int open_fd(struct iommufd_device *dev, const struct source *source)
{
	return dev->ctx->backend->device_adopt(dev, source->fd);
}

static int open_id(struct iommufd_device *dev, const struct source *source)
{
	return dev->ctx->backend->device_take(dev, source->id);
}

/* The caller holds ctx->opening. */
static int open_in_group(struct iommufd_device *dev, const struct source *source)
{
	const struct iommufd_device *other = dev->ctx->devices;
	int ret;

	while (other && strcmp(other->found->name, dev->found->name) != 0)
		other = other->next;
	if (other)
		return ifd_fail(-EBUSY, "use that handle, or free it and its virtual devices first",
				"open %s: this context has it open already", dev->found->name);
	dev->group = ifd_group_open(dev->ctx, dev->found->group);
	if (!dev->group)
		return ifd_fail(-ENOMEM, NULL, "open %s", dev->found->name);
	ret = source->open(dev, source);
	if (ret) {
		ifd_group_close(dev->ctx, dev->group);
		return ret;
	}
	dev->next = dev->ctx->devices;
	dev->ctx->devices = dev;
	ifd_kvm_enter(dev);
	return 0;
}

/* The caller holds ctx->opening. */
static void close_in_group(struct iommufd_device *dev)
{
	struct iommufd_device **at = &dev->ctx->devices;

	while (*at != dev)
		at = &(*at)->next;
	*at = dev->next;
	ifd_kvm_leave(dev);
	dev->ctx->backend->device_close(dev);
	ifd_group_close(dev->ctx, dev->group);
}

static int open_locked(struct iommufd_device *dev, const struct source *source)
{
	int ret;

	pthread_mutex_lock(&dev->ctx->opening);
	ret = open_in_group(dev, source);
	pthread_mutex_unlock(&dev->ctx->opening);
	return ret;
}

static int open_now(struct iommufd_device *dev, const struct source *source)
{
	int ret = open_locked(dev, source);

	/* A node that is late is waited for without the lock, so that other threads need not. */
	if (source->open == open_node && ifd_node_await(dev, ret))
		ret = open_locked(dev, source);
	return ret;
}

static void take_opts(struct iommufd_device *dev, const struct iommufd_device_opts *opts)
{
	dev->has_token = opts->vf_token;
	if (dev->has_token)
		memcpy(dev->token, opts->vf_token, sizeof(dev->token));
	dev->kvm = opts->kvm ? ifd_kvm_get(opts->kvm) : NULL;
}

/* Takes over `found`, and on success the source's descriptor. `calls` may be NULL. */
static int device_open(struct iommufd_ctx *ctx, struct ifd_found *found, const struct source *source,
		       const struct iommufd_device_calls *calls, struct iommufd_device **out)
{
	struct iommufd_device *dev;
	int ret;

	ret = calls ? 0 : check_found(ctx, found);
	if (ret) {
		ifd_found_free(found);
		return ret;
	}
	dev = device_alloc(ctx, found);
	if (!dev) {
		ret = ifd_fail(-ENOMEM, NULL, "open %s", found->name);
		ifd_found_free(found);
		return ret;
	}
	if (calls)
		dev->calls = *calls;
	take_opts(dev, &source->opts);
	ret = calls ? 0 : ifd_token_check(dev);
	if (!ret)
		ret = open_now(dev, source);
	if (ret)
		device_destroy(dev);
	else
		*out = dev;
	return ret;
}

static int read_opts(const struct iommufd_ctx *ctx, const struct iommufd_device_opts *theirs, struct source *source,
		     const char *what)
{
	int ret = ifd_ctx_check(ctx, what);

	if (!ret)
		ret = ifd_opts_read(&source->opts, sizeof(source->opts), IFD_END_OF(struct iommufd_device_opts, kvm),
				    theirs, "device options");
	return ret || !source->opts.kvm ? ret : ifd_kvm_check(source->opts.kvm, what);
}

EXPORT int iommufd_device_new_opts(struct iommufd_ctx *ctx, const char *address, const struct iommufd_device_opts *opts,
				   struct iommufd_device **out)
{
	struct source source = { .open = open_node };
	struct ifd_found *found;
	int ret = read_opts(ctx, opts, &source, "open a device");

	if (!ret)
		ret = ifd_udev_find(address, &found);
	if (ret)
		return ret;
	ifd_node_settle(address, &found);
	return device_open(ctx, found, &source, NULL, out);
}

EXPORT int iommufd_device_new(struct iommufd_ctx *ctx, const char *address, struct iommufd_device **out)
{
	return iommufd_device_new_opts(ctx, address, NULL, out);
}

EXPORT int iommufd_device_from_fd_opts(struct iommufd_ctx *ctx, int fd, const struct iommufd_device_opts *opts,
				       struct iommufd_device **out)
{
	struct source source = { .open = open_fd };
	struct ifd_found *found;
	int ret = read_opts(ctx, opts, &source, "adopt a device");

	if (!ret)
		ret = ifd_udev_find_fd(fd, &found);
	if (ret)
		return ret;
	source.fd = ifd_sys_dup(fd);
	if (source.fd < 0) {
		ifd_found_free(found);
		return ifd_fail(source.fd, "raise the limit of open files, see ulimit -n", "adopt file descriptor %d",
				fd);
	}
	ret = device_open(ctx, found, &source, NULL, out);
	if (ret)
		ifd_sys_close(source.fd);
	return ret;
}

EXPORT int iommufd_device_from_fd(struct iommufd_ctx *ctx, int fd, struct iommufd_device **out)
{
	return iommufd_device_from_fd_opts(ctx, fd, NULL, out);
}

static int check_calls(const struct iommufd_device_calls *theirs, struct iommufd_device_calls *calls)
{
	int ret = ifd_opts_read(calls, sizeof(*calls), IFD_END_OF(struct iommufd_device_calls, data), theirs,
				"device calls");

	if (!ret && (!calls->attach != !calls->detach || !calls->pasid_attach != !calls->pasid_detach))
		ret = ifd_fail(-EINVAL, "give both or none",
			       "device calls with a way in and no way out, or the reverse");
	return ret;
}

EXPORT int iommufd_device_from_id(struct iommufd_ctx *ctx, uint32_t id, const struct iommufd_device_calls *theirs,
				  struct iommufd_device **out)
{
	struct iommufd_device_calls calls;
	struct ifd_found *found;
	char name[32];
	int ret = ifd_ctx_check(ctx, "take over a device");

	if (!ret)
		ret = check_calls(theirs, &calls);
	if (!ret && !id)
		ret = ifd_fail(-EINVAL, "numbers begin at 1", "take over object 0");
	if (ret)
		return ret;
	snprintf(name, sizeof(name), "object %u", id);
	found = ifd_found_new(calls.name ? calls.name : name);
	if (!found)
		return ifd_fail(-ENOMEM, NULL, "take over object %u", id);
	calls.name = NULL; /* that is the caller's */
	return device_open(ctx, found, &(struct source){ .open = open_id, .id = id }, &calls, out);
}

EXPORT uint32_t iommufd_device_id(const struct iommufd_device *dev)
{
	return dev->id;
}

void ifd_device_get(struct iommufd_device *dev)
{
	atomic_fetch_add(&dev->refs, 1);
}

void ifd_device_put(struct iommufd_device *dev)
{
	if (atomic_fetch_sub(&dev->refs, 1) != 1)
		return;
	ifd_lock(dev->ctx, &dev->ctx->opening);
	close_in_group(dev);
	ifd_unlock(dev->ctx, &dev->ctx->opening);
	device_destroy(dev);
}

/* In a child process: for the kernel it is the parent's device, and stays attached. */
static void forget_attach(struct iommufd_device *dev)
{
	struct ifd_target from = dev->at;

	ifd_irq_forget_all(dev);
	ifd_region_close_all(dev);
	ifd_sys_close(dev->fd);
	dev->fd = -1;
	dev->attached = false;
	dev->at = (struct ifd_target){ NULL, NULL };
	from.ioas->attached--;
	ifd_group_unclaim(dev);
	if (!dev->group->attached)
		dev->group->joined = NULL;
	ifd_target_put(&from);
}

EXPORT void iommufd_device_free(struct iommufd_device *dev)
{
	if (!dev)
		return;
	ifd_pasid_detach_all(dev);
	if (dev->attached && ifd_in_child(dev->ctx))
		forget_attach(dev);
	else if (dev->attached)
		ifd_device_detach(dev);
	ifd_device_put(dev);
}

static const struct {
	uint32_t kernels, ours;
} kinds[] = {
	{ VFIO_DEVICE_FLAGS_PCI, IOMMUFD_DEVICE_PCI },           { VFIO_DEVICE_FLAGS_RESET, IOMMUFD_DEVICE_RESET },
	{ VFIO_DEVICE_FLAGS_PLATFORM, IOMMUFD_DEVICE_PLATFORM }, { VFIO_DEVICE_FLAGS_AMBA, IOMMUFD_DEVICE_AMBA },
	{ VFIO_DEVICE_FLAGS_CCW, IOMMUFD_DEVICE_CCW },           { VFIO_DEVICE_FLAGS_AP, IOMMUFD_DEVICE_AP },
	{ VFIO_DEVICE_FLAGS_FSL_MC, IOMMUFD_DEVICE_FSL_MC },     { VFIO_DEVICE_FLAGS_CDX, IOMMUFD_DEVICE_CDX },
};

EXPORT int iommufd_device_get_info(const struct iommufd_device *dev, struct iommufd_device_info *info)
{
	struct iommufd_device_info mine = {
		.name = dev->found->name,
		.path = dev->found->path,
		.driver = dev->found->driver,
		.group = dev->found->group,
	};
	int ret = ifd_info_check(info, IFD_END_OF(struct iommufd_device_info, num_irqs), "device info");

	if (ret)
		return ret;
	if (dev->attached) {
		mine.flags = IOMMUFD_DEVICE_ATTACHED;
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			if (dev->flags & kinds[i].kernels)
				mine.flags |= kinds[i].ours;
		mine.num_regions = dev->num_regions;
		mine.num_irqs = dev->num_irqs;
	}
	ifd_info_write(info, &mine, sizeof(mine));
	return 0;
}

EXPORT int iommufd_device_fd(const struct iommufd_device *dev)
{
	int ret = ifd_device_ready(dev, "file descriptor");

	return ret ? ret : dev->fd;
}
