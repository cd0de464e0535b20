/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Devices without an IOMMU: what they need is where memory is, and that it stays there. iommufd can do both for a
 * device with a node of its own; else memory is locked, and the process's page map tells where it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "explain.h"
#include "internal.h"
#include "udev.h"

/* An entry of /proc/self/pagemap, as Documentation/admin-guide/mm/pagemap.rst has it. */
#define PRESENT    (UINT64_C(1) << 63)
#define FRAME_MASK ((UINT64_C(1) << 55) - 1)

static int lock(const struct ifd_map *map)
{
	uint64_t len = ifd_map_len(map);
	char hint[IFD_HINT_MAX] = "";
	int ret = ifd_sys_mlock((void *)(uintptr_t)map->vaddr.start, (size_t)len);

	if (ret)
		ifd_hint_memlock(hint, len, true);
	return ret ? ifd_fail(ret, hint, "keep 0x%" PRIx64 " of %" PRIu64 " bytes in its place", map->vaddr.start, len)
		   : 0;
}

/*
 * mlock() does not count. Between finding that no other mapping is of this memory and unlocking it, no other thread may
 * lock it for a mapping of its own.
 */
void ifd_phys_begin(struct iommufd_ioas *ioas)
{
	if (ioas->unpinned)
		pthread_mutex_lock(&ioas->pins);
}

void ifd_phys_end(struct iommufd_ioas *ioas)
{
	if (ioas->unpinned)
		pthread_mutex_unlock(&ioas->pins);
}

int ifd_phys_pin(const struct iommufd_ioas *ioas, const struct ifd_map *map)
{
	return ioas->unpinned ? lock(map) : 0;
}

/* Memory that is mapped at another IOVA too stays. */
void ifd_phys_unpin(struct iommufd_ioas *ioas, const struct ifd_map *map)
{
	if (ioas->unpinned && !ifd_index_has_vaddr(&ioas->index, map))
		ifd_sys_munlock((void *)(uintptr_t)map->vaddr.start, (size_t)ifd_map_len(map));
}

static void unlock_all(struct iommufd_ioas *ioas, const struct ifd_map *end)
{
	for (const struct ifd_map *map = ifd_index_next(&ioas->index, 0, UINT64_MAX); map && map != end;
	     map = ifd_index_after(&ioas->index, map))
		ifd_sys_munlock((void *)(uintptr_t)map->vaddr.start, (size_t)ifd_map_len(map));
}

int ifd_phys_attach(const struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	const struct ifd_map *map = NULL;

	if (dev->unpinned && !ioas->unpinned)
		for (map = ifd_index_next(&ioas->index, 0, UINT64_MAX); map; map = ifd_index_after(&ioas->index, map)) {
			int ret = lock(map);

			if (ret) {
				unlock_all(ioas, map);
				return ret;
			}
		}
	ioas->unpinned += dev->unpinned;
	ioas->physical += dev->found->noiommu;
	return 0;
}

void ifd_phys_detach(const struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	ioas->physical -= dev->found->noiommu;
	ioas->unpinned -= dev->unpinned;
	if (dev->unpinned && !ioas->unpinned)
		unlock_all(ioas, NULL);
}

/* How many of `len` bytes at `vaddr` are in a row from `addr` on: to the end of the page. */
static int look_up(uint64_t vaddr, uint64_t *len, uint64_t *addr)
{
	uint64_t page = ifd_sys_page_size(), entry = 0, left = page - vaddr % page;
	int fd = ifd_sys_open("/proc/self/pagemap", O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = ifd_sys_pread(fd, &entry, sizeof(entry), vaddr / page * sizeof(entry));
	ifd_sys_close(fd);
	if (n != sizeof(entry))
		return n < 0 ? (int)n : -EIO;
	if (!(entry & PRESENT))
		return -EFAULT;
	if (!(entry & FRAME_MASK)) /* the kernel tells it to nobody else */
		return -EPERM;
	*len = left < *len ? left : *len;
	*addr = (entry & FRAME_MASK) * page + vaddr % page;
	return 0;
}

/* What a device uses for the first of `len` bytes at `vaddr`, mapped at `iova`, and how many are there in a row. */
static int address_of(struct iommufd_ioas *ioas, uint64_t vaddr, uint64_t iova, uint64_t *len, uint64_t *addr)
{
	int ret;

	*addr = iova;
	if (!ioas->physical)
		return 0;
	ret = ioas->unpinned ? look_up(vaddr, len, addr) : ioas->ctx->backend->physical(ioas, iova, len, addr);
	return ret ? ifd_fail(ret, ret == -EPERM ? "it takes CAP_SYS_ADMIN, and CAP_SYS_RAWIO on iommufd" : NULL,
			      "find the physical address of 0x%" PRIx64, vaddr)
		   : 0;
}

/* Where the runs go, and how many there have been. */
struct runs {
	struct iommufd_segment *segments;
	size_t max, count;
	uint64_t next; /* address behind the last run */
};

static void add_run(struct runs *runs, uint64_t addr, uint64_t len)
{
	if (runs->count && addr == runs->next) {
		if (runs->count <= runs->max)
			runs->segments[runs->count - 1].len += len;
	} else {
		if (runs->count < runs->max)
			runs->segments[runs->count] = (struct iommufd_segment){ addr, len };
		runs->count++;
	}
	runs->next = addr + len;
}

static int add_piece(struct iommufd_ioas *ioas, uint64_t vaddr, uint64_t len, struct runs *runs)
{
	while (len) {
		uint64_t iova, addr, run;
		int ret = ifd_index_find_vaddr(&ioas->index, vaddr, &iova, &run);

		if (ret)
			return ret;
		run = run < len ? run : len;
		ret = address_of(ioas, vaddr, iova, &run, &addr);
		if (ret)
			return ret;
		add_run(runs, addr, run);
		vaddr += run;
		len -= run;
	}
	return 0;
}

EXPORT int iommufd_ioas_to_iovas(struct iommufd_ioas *ioas, const struct iovec *iov, size_t iovcnt,
				 struct iommufd_segment *segments, size_t max)
{
	struct runs runs = { .segments = segments, .max = max };
	int refused = ifd_ctx_check(ioas->ctx, "translate");

	if (refused)
		return refused;
	for (size_t i = 0; i < iovcnt; i++) {
		uint64_t vaddr = (uintptr_t)iov[i].iov_base, len = iov[i].iov_len;
		int ret;

		if (!len || vaddr + (len - 1) < vaddr)
			return ifd_fail(-EINVAL, "give the length in bytes", "translate %zu bytes at %p",
					iov[i].iov_len, iov[i].iov_base);
		ret = add_piece(ioas, vaddr, len, &runs);
		if (ret)
			return ret;
	}
	return runs.count <= INT32_MAX ? (int)runs.count
				       : ifd_fail(-EOVERFLOW, "ask for less at once", "translate %zu pieces", iovcnt);
}
