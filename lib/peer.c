/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"
#include "map.h"
#include "pci-regs.h"
#include "peer.h"
#include "udev.h"
#include "uapi/vfio.h"

/* ---- Pieces that are lent ---- */

static struct ifd_file *peer_new(struct iommufd_ioas *ioas, struct iommufd_device *dev, bool dmabuf)
{
	struct iommufd_ctx *ctx = ioas->ctx;
	struct ifd_file *file = calloc(1, sizeof(*file));
	struct ifd_peer *peer = calloc(1, sizeof(*peer));

	if (!file || !peer) {
		free(file);
		free(peer);
		return NULL;
	}
	*file = (struct ifd_file){ .refs = 1, .fd = -1, .dmabuf = dmabuf, .peer = peer };
	peer->ctx = ctx;
	peer->file = file;
	peer->dev = dev;
	dev->lent++;
	pthread_mutex_lock(&ctx->lock);
	peer->next = ctx->peers;
	ctx->peers = peer;
	pthread_mutex_unlock(&ctx->lock);
	return file;
}

void ifd_peer_free(struct ifd_peer *peer)
{
	struct iommufd_ctx *ctx = peer->ctx;
	struct ifd_peer **at = &ctx->peers;

	ifd_lock(ctx, &ctx->lock);
	while (*at != peer)
		at = &(*at)->next;
	*at = peer->next;
	if (peer->dev)
		peer->dev->lent--;
	ifd_unlock(ctx, &ctx->lock);
	free(peer);
}

void ifd_peers_forget(struct iommufd_device *dev)
{
	struct iommufd_ctx *ctx = dev->ctx;

	ifd_lock(ctx, &ctx->lock);
	for (struct ifd_peer *peer = ctx->peers; peer; peer = peer->next)
		if (peer->dev == dev)
			peer->dev = NULL;
	ifd_unlock(ctx, &ctx->lock);
}

static void set_away(struct iommufd_device *dev, bool away)
{
	struct iommufd_ctx *ctx = dev->ctx;

	pthread_mutex_lock(&ctx->lock);
	for (struct ifd_peer *peer = ctx->peers; peer; peer = peer->next)
		if (peer->dev == dev)
			peer->away = away;
	pthread_mutex_unlock(&ctx->lock);
}

/* Of a file that leaves at the same time, who takes it out of the list first finds the window. */
static bool take_window(struct iommufd_device *dev, void **window, size_t *len)
{
	struct iommufd_ctx *ctx = dev->ctx;
	struct ifd_peer *peer;

	pthread_mutex_lock(&ctx->lock);
	peer = ctx->peers;
	while (peer && (peer->dev != dev || !peer->file->window))
		peer = peer->next;
	if (peer) {
		*window = peer->file->window;
		*len = peer->file->len;
		peer->file->window = NULL;
	}
	pthread_mutex_unlock(&ctx->lock);
	return peer;
}

/* ---- Making a mapping ---- */

/* What the kernel is to be given for it. ctx->lending is held, so that the device keeps its descriptor. */
static int open_file(struct ifd_file *file)
{
	struct ifd_peer *peer = file->peer;
	struct iommufd_device *dev = peer->dev;
	const struct vfio_region_dma_range range = { file->start, file->len };
	uint64_t at;
	int ret, tries = 0;

	if (file->window)
		return 0;
	if (file->dmabuf) {
		ret = ifd_dmabuf(dev, peer->region, &range, 1, O_RDWR);
		if (ret >= 0)
			file->fd = ret;
		return ret < 0 ? ret : 0;
	}
	ret = ifd_region_window(dev, peer->region, file->start, file->len, peer->prot, &at);
	if (ret)
		return ret;
	do
		ret = ifd_sys_mmap(dev->fd, at, file->len, peer->prot, MAP_SHARED, &file->window);
	while (ifd_region_again(ret, &tries));
	/* A child process would keep the device open by it. */
	if (!ret)
		ret = ifd_sys_madvise(file->window, file->len, MADV_DONTFORK);
	if (ret && file->window) {
		ifd_sys_munmap(file->window, file->len);
		file->window = NULL;
	}
	return ret ? ifd_fail(ret, ret == -EBUSY ? ifd_region_busy : NULL, "map region %u of %s into the process",
			      peer->region, dev->found->name)
		   : 0;
}

/* A dma-buf lives on in its mappings. */
static void close_file(struct ifd_file *file)
{
	ifd_sys_close(file->fd);
	file->fd = -1;
}

/* What is to be mapped. */
struct wish {
	struct iommufd_device *dev;
	uint32_t region, flags;
	uint64_t offset;
	size_t len;
};

static int new_map(struct iommufd_ioas *ioas, const struct wish *wish, int prot, bool dmabuf, struct ifd_map **out)
{
	struct ifd_map *map = ifd_map_new((const void *)(uintptr_t)wish->offset, wish->len,
					  wish->flags & (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE));

	if (map)
		map->file = peer_new(ioas, wish->dev, dmabuf);
	if (!map || !map->file) {
		ifd_map_free(map);
		return ifd_fail(-ENOMEM, NULL, "map region %u of %s", wish->region, wish->dev->found->name);
	}
	map->file->start = wish->offset;
	map->file->len = wish->len;
	map->file->peer->region = wish->region;
	map->file->peer->prot = prot;
	*out = map;
	return 0;
}

static int check_ioas(const struct iommufd_ioas *ioas, const struct wish *wish)
{
	if ((wish->offset | wish->len) & (ioas->alignment - 1))
		return ifd_fail(-EINVAL, "let both be multiples of iommufd_ioas_alignment()",
				"map %zu bytes at 0x%" PRIx64 " of region %u of %s", wish->len, wish->offset,
				wish->region, wish->dev->found->name);
	if (ioas->physical)
		return ifd_fail(-EOPNOTSUPP, "use the physical address, which the file resource in sysfs tells",
				"map region %u of %s for a device without an IOMMU", wish->region,
				wish->dev->found->name);
	return 0;
}

/* ctx->lending and the gate are held. */
static int map_gated(struct iommufd_ioas *ioas, const struct wish *wish, int prot, uint64_t *iova)
{
	struct ifd_file *file;
	struct ifd_map *map = NULL;
	int ret = check_ioas(ioas, wish), by_dmabuf;

	if (ret)
		return ret;
	by_dmabuf = ioas->ctx->backend->lends(ioas->ctx);
	if (by_dmabuf < 0)
		return by_dmabuf;
	ret = new_map(ioas, wish, prot, by_dmabuf, &map);
	if (ret)
		return ret;
	file = ifd_file_get(map->file);
	ret = open_file(file);
	if (!ret)
		ret = ifd_map_reserve(ioas, map, wish->flags, *iova);
	if (ret)
		ifd_map_free(map);
	else
		ret = ifd_map_make(ioas, map, wish->flags, NULL, iova);
	close_file(file);
	ifd_file_put(file);
	return ret;
}

/* ctx->lending is held, as it is for going there. The kernel would hand out memory that it does not keep awake. */
static bool may_sleep(struct iommufd_device *dev)
{
	bool sleepy;

	pthread_mutex_lock(&dev->lock);
	sleepy = dev->sleepy;
	pthread_mutex_unlock(&dev->lock);
	return sleepy;
}

static int map_region(struct iommufd_ioas *ioas, const struct wish *wish, uint64_t *iova)
{
	int prot = wish->flags & IOMMUFD_MAP_WRITE ? PROT_READ | PROT_WRITE : PROT_READ, ret;
	uint64_t at;

	if (!wish->dev->lends)
		return ifd_fail(-ENOTCONN, "attach it to an IOAS first", "map region %u of %s: it is being detached",
				wish->region, wish->dev->found->name);
	if (may_sleep(wish->dev))
		return ifd_fail(-ENODEV, "end that with iommufd_device_low_power_exit()",
				"map region %u of %s: it may go into low power", wish->region, wish->dev->found->name);
	ret = ifd_region_window(wish->dev, wish->region, wish->offset, wish->len, prot, &at);
	if (ret)
		return ret;
	pthread_rwlock_rdlock(&ioas->gate);
	ret = map_gated(ioas, wish, prot, iova);
	pthread_rwlock_unlock(&ioas->gate);
	return ret;
}

EXPORT int iommufd_ioas_map_region(struct iommufd_ioas *ioas, struct iommufd_device *dev, uint32_t index,
				   uint64_t offset, size_t len, uint32_t flags, uint64_t *iova)
{
	const struct wish wish = { .dev = dev, .region = index, .flags = flags, .offset = offset, .len = len };
	uint64_t mine = flags & IOMMUFD_MAP_FIXED ? *iova : 0;
	int ret = ifd_ctx_check(ioas->ctx, "map a region");

	if (!ret)
		ret = ifd_map_check("map a region", len, flags);
	if (!ret && dev->ctx != ioas->ctx)
		ret = ifd_fail(-EINVAL, "make both from the same context", "map a region of %s in another context",
			       dev->found->name);
	if (!ret)
		ret = ifd_device_ready(dev, "map a region");
	if (ret)
		return ret;
	pthread_mutex_lock(&ioas->ctx->lending);
	ret = map_region(ioas, &wish, &mine);
	pthread_mutex_unlock(&ioas->ctx->lending);
	if (!ret)
		*iova = mine;
	return ret;
}

/* ---- Taking all of a device's from the kernel, and giving it again ---- */

typedef int (*each_fn)(struct iommufd_ioas *ioas, struct ifd_map *map);

/*
 * Each mapping of the device's memory, in all IOASes: gates exclusive, so that all are live. ctx->lending is held. The
 * errno of the first that fails, whose words are put into `hint`; the others are done all the same.
 */
static int each(struct iommufd_device *dev, each_fn fn, char *hint)
{
	struct iommufd_ioas *ioas = ifd_ioas_step(dev->ctx, NULL);
	int ret = 0;

	for (; ioas; ioas = ifd_ioas_step(dev->ctx, ioas)) {
		struct ifd_map *map;

		/* A copy that is being made has looked at the device already, and is not in the index yet. */
		pthread_rwlock_wrlock(&ioas->gate);
		map = ifd_index_peers(&ioas->index) ? ifd_index_next(&ioas->index, 0, UINT64_MAX) : NULL;
		for (; map; map = ifd_index_after(&ioas->index, map, UINT64_MAX)) {
			int failed = map->file && map->file->peer && map->file->peer->dev == dev ? fn(ioas, map) : 0;

			if (failed && !*hint)
				ifd_hint(hint, "%s", iommufd_errmsg());
			ret = ret ? ret : failed;
		}
		pthread_rwlock_unlock(&ioas->gate);
	}
	return ret;
}

/* What the kernel does not let go stays known to it, and is not taken for lost. */
static int lose(struct iommufd_ioas *ioas, struct ifd_map *map)
{
	uint64_t bytes;
	int ret = map->lost ? 0 : ioas->ctx->backend->unmap(ioas, map->iova.start, ifd_map_len(map), &bytes);

	if (ret && ret != -ENOENT)
		return ret;
	/* Which pages were written goes with it. */
	map->all_dirty |= !map->lost && ioas->tracking && map->flags & IOMMUFD_MAP_WRITE;
	map->lost = true;
	return 0;
}

/*
 * By its address it is there as long as the window is. The kernel does not say of a dma-buf whether it still leads on.
 */
static int renew(struct iommufd_ioas *ioas, struct ifd_map *map)
{
	int ret;

	if (!map->lost && !map->file->dmabuf)
		return 0;
	ret = lose(ioas, map);
	if (!ret)
		ret = open_file(map->file);
	if (!ret)
		ret = ifd_map_now(ioas, map);
	close_file(map->file);
	map->lost = map->lost && ret;
	return ret;
}

/* Where the capability is, 0 for nowhere, or -errno with words. A chain without a loop has no more links than fit. */
static int find_capability(struct iommufd_device *dev, unsigned int kind)
{
	int left = (PCI_CHAIN_END - PCI_HEADER_SIZE) / 4, ret;
	unsigned char link[2] = { 0, 0 };

	ret = iommufd_pci_config_read(dev, PCI_CAPABILITIES, &link[1], 1);
	while (!ret && link[1] >= PCI_HEADER_SIZE && left--) {
		int at = link[1] & ~3;

		ret = iommufd_pci_config_read(dev, (uint64_t)at, link, sizeof(link));
		if (!ret && link[0] == kind)
			return at;
	}
	return ret;
}

/* 1, 0, or -errno with words. */
static int is_asleep(struct iommufd_device *dev, int power)
{
	unsigned char control = 0;
	int ret = power > 0 ? iommufd_pci_config_read(dev, (uint64_t)power + PCI_POWER_CONTROL, &control, 1) : power;

	return ret ? ret : !!(control & PCI_POWER_STATE);
}

/* The same; else the kernel does not let anybody have it. */
static int has_memory_on(struct iommufd_device *dev)
{
	uint16_t command;
	int ret;

	if (!(dev->flags & VFIO_DEVICE_FLAGS_PCI))
		return 1;
	ret = iommufd_pci_config_read(dev, PCI_COMMAND, &command, sizeof(command));
	if (ret || !(le16toh(command) & PCI_COMMAND_MEMORY))
		return ret;
	ret = is_asleep(dev, find_capability(dev, PCI_CAP_POWER));
	return ret < 0 ? ret : !ret;
}

/* ctx->lending is held. */
static int restore(struct iommufd_device *dev)
{
	char hint[IFD_HINT_MAX] = "";
	int ret;

	ret = dev->lends && !may_sleep(dev) ? has_memory_on(dev) : 0;
	if (ret <= 0)
		return ret;
	/* A copy of what leads nowhere any more would be missed where it goes to an IOAS that is done already. */
	set_away(dev, true);
	ret = each(dev, renew, hint);
	set_away(dev, false);
	return ret ? ifd_fail(ret, hint, "map the memory of %s again for other devices", dev->found->name) : 0;
}

int ifd_peers_restore_held(struct iommufd_device *dev)
{
	return dev->lent ? restore(dev) : 0;
}

int ifd_peers_restore(struct iommufd_device *dev)
{
	int ret;

	if (!dev->lent)
		return 0;
	pthread_mutex_lock(&dev->ctx->lending);
	ret = restore(dev);
	pthread_mutex_unlock(&dev->ctx->lending);
	return ret;
}

void ifd_peers_lend(struct iommufd_device *dev)
{
	if (dev->fd < 0)
		return;
	pthread_mutex_lock(&dev->ctx->lending);
	dev->lends = true;
	if (dev->lent && restore(dev))
		ifd_error(&dev->ctx->log, "%s", iommufd_errmsg());
	pthread_mutex_unlock(&dev->ctx->lending);
}

void ifd_peers_lose(struct iommufd_device *dev)
{
	char hint[IFD_HINT_MAX] = "";
	void *window;
	size_t len;

	pthread_mutex_lock(&dev->ctx->lending);
	dev->lends = false;
	if (dev->lent) {
		set_away(dev, true);
		if (each(dev, lose, hint))
			ifd_error(&dev->ctx->log, "the memory of %s stays mapped for other devices: %s",
				  dev->found->name, hint);
		while (take_window(dev, &window, &len))
			ifd_sys_munmap(window, len);
	}
	pthread_mutex_unlock(&dev->ctx->lending);
}

/* ---- Configuration space ---- */

/* What is written there. */
struct bytes {
	struct iommufd_device *dev;
	const unsigned char *data;
	uint64_t at;
	size_t len;
};

static bool reaches(const struct bytes *bytes, uint64_t at)
{
	return at >= bytes->at && at - bytes->at < bytes->len;
}

/* The byte that goes to a place, 0 when none does. */
static unsigned int byte_at(const struct bytes *bytes, uint64_t at)
{
	return reaches(bytes, at) ? bytes->data[at - bytes->at] : 0;
}

/* What cannot be read is taken for a reason. */
static bool is_due_by_capability(const struct bytes *bytes)
{
	int power = find_capability(bytes->dev, PCI_CAP_POWER);
	int express = find_capability(bytes->dev, PCI_CAP_EXPRESS);
	int advanced = find_capability(bytes->dev, PCI_CAP_ADVANCED);

	if (power < 0 || express < 0 || advanced < 0)
		return true;
	return (power && reaches(bytes, (uint64_t)power + PCI_POWER_CONTROL) && is_asleep(bytes->dev, power)) ||
	       (express && byte_at(bytes, (uint64_t)express + PCI_EXPRESS_CONTROL) & PCI_EXPRESS_RESET) ||
	       (advanced && byte_at(bytes, (uint64_t)advanced + PCI_ADVANCED_CONTROL) & PCI_ADVANCED_RESET);
}

bool ifd_peers_due(struct iommufd_device *dev, uint64_t offset, const void *buf, size_t len)
{
	const struct bytes bytes = { .dev = dev, .data = buf, .at = offset, .len = len };

	if (!dev->lent || !(dev->flags & VFIO_DEVICE_FLAGS_PCI) || offset >= PCI_CHAIN_END || len > PCI_SPACE_SIZE)
		return false;
	if (byte_at(&bytes, PCI_COMMAND) & PCI_COMMAND_MEMORY && has_memory_on(dev) <= 0)
		return true;
	return offset + len > PCI_HEADER_SIZE && is_due_by_capability(&bytes);
}
