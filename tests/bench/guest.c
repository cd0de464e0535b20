/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define LIBRARY_DEVICE "0000:00:03.0"
#define RAW_DEVICE     "0000:00:04.0"
#define BEHIND         (UINT64_C(2) << 20)

/* ---- The two sides ---- */

static void library_side(struct side *side, const char *device)
{
	struct iommufd_device *dev;

	bench_ok("open", iommufd_ctx_new(NULL, &side->ctx));
	bench_ok("make an IOAS", iommufd_ioas_new(side->ctx, &side->ioas));
	side->by_vfio = iommufd_ctx_backend(side->ctx) == IOMMUFD_BACKEND_VFIO;
	if (!side->by_vfio) {
		side->fd = iommufd_ctx_fd(side->ctx);
		side->id = iommufd_ioas_id(side->ioas);
	}
	if (device) {
		bench_ok("open a device", iommufd_device_new(side->ctx, device, &dev));
		bench_ok("attach it", iommufd_device_attach(dev, side->ioas));
	}
}

static int group_of(const char *device)
{
	char path[PATH_MAX], link[128];
	ssize_t len;

	snprintf(link, sizeof(link), "/sys/bus/pci/devices/%s/iommu_group", device);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		bench_die("%s has no group: %s", device, strerror(errno));
	path[len] = '\0';
	snprintf(link, sizeof(link), "/dev/vfio/%.64s", strrchr(path, '/') + 1);
	return open(link, O_RDWR | O_CLOEXEC);
}

/* Without a group a container does nothing. */
static void raw_container(struct side *side)
{
	int group = group_of(RAW_DEVICE);

	side->by_vfio = true;
	side->fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (group < 0 || side->fd < 0 || ioctl(group, VFIO_GROUP_SET_CONTAINER, &side->fd) ||
	    ioctl(side->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		bench_die("set up a container: %s", strerror(errno));
}

void guest_sides(struct side sides[GUEST_SIDES], bool attach)
{
	struct side *library = &sides[GUEST_LIBRARY], *raw = &sides[GUEST_RAW];

	*library = (struct side){ .name = "library" };
	*raw = (struct side){ .name = "raw ioctl", .raw = true };
	library_side(library, attach ? LIBRARY_DEVICE : NULL);
	if (library->by_vfio)
		raw_container(raw);
	else
		library_side(raw, attach ? RAW_DEVICE : NULL);
}

void guest_second(const struct side *first, struct side *second)
{
	*second = *first;
	bench_ok("make an IOAS", iommufd_ioas_new(first->ctx, &second->ioas));
	second->id = iommufd_ioas_id(second->ioas);
}

/* ---- Mapping ---- */

static int raw_map(const struct side *side, void *vaddr, uint64_t len, bool fixed, uint64_t *iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE | (fixed ? IOMMU_IOAS_MAP_FIXED_IOVA : 0),
		.ioas_id = side->id,
		.user_va = (uintptr_t)vaddr,
		.length = len,
		.iova = *iova,
	};
	int ret = ioctl(side->fd, IOMMU_IOAS_MAP, &cmd);

	*iova = cmd.iova;
	return ret;
}

static int raw_map_dma(const struct side *side, void *vaddr, uint64_t len, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)vaddr,
		.iova = iova,
		.size = len,
	};

	return ioctl(side->fd, VFIO_IOMMU_MAP_DMA, &cmd);
}

void guest_map(const struct side *side, void *vaddr, uint64_t len, bool fixed, uint64_t *iova)
{
	int ret;

	if (!side->raw)
		bench_ok("map",
			 iommufd_ioas_map(side->ioas, vaddr, len, GUEST_FLAGS | (fixed ? IOMMUFD_MAP_FIXED : 0), iova));
	else {
		ret = side->by_vfio ? raw_map_dma(side, vaddr, len, *iova) : raw_map(side, vaddr, len, fixed, iova);
		if (ret)
			bench_die("the bare ioctl to map: %s", strerror(errno));
	}
}

static int raw_unmap(const struct side *side, uint64_t iova, uint64_t len)
{
	struct iommu_ioas_unmap cmd = { .size = sizeof(cmd), .ioas_id = side->id, .iova = iova, .length = len };

	return ioctl(side->fd, IOMMU_IOAS_UNMAP, &cmd);
}

static int raw_unmap_dma(const struct side *side, uint64_t iova, uint64_t len)
{
	struct vfio_iommu_type1_dma_unmap cmd = { .argsz = sizeof(cmd), .iova = iova, .size = len };

	return ioctl(side->fd, VFIO_IOMMU_UNMAP_DMA, &cmd);
}

void guest_unmap(const struct side *side, uint64_t iova, uint64_t len)
{
	if (!side->raw)
		bench_ok("unmap", iommufd_ioas_unmap(side->ioas, iova, len, NULL));
	else if (side->by_vfio ? raw_unmap_dma(side, iova, len) : raw_unmap(side, iova, len))
		bench_die("the bare ioctl to unmap: %s", strerror(errno));
}

/* ---- Memory ---- */

void *guest_memory(size_t len)
{
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		bench_die("%zu bytes of memory: %s", len, strerror(errno));
	return memory;
}

void *guest_addresses(size_t len)
{
	int fd = memfd_create("bench", MFD_CLOEXEC);
	char *all = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (fd < 0 || ftruncate(fd, BEHIND) || all == MAP_FAILED)
		bench_die("%zu bytes of addresses: %s", len, strerror(errno));
	for (size_t at = 0; at < len; at += BEHIND)
		if (mmap(all + at, len - at < BEHIND ? len - at : BEHIND, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) == MAP_FAILED)
			bench_die("addresses: %s", strerror(errno));
	close(fd);
	return all;
}
