/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Devices without an IOMMU: what they need is where memory is, and that it stays there. iommufd can do both for a
 * device with a node of its own; else memory is locked, and the process's page map tells where it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "explain.h"
#include "file.h"
#include "internal.h"
#include "udev.h"
#include "vma.h"

/* An entry of /proc/self/pagemap, as Documentation/admin-guide/mm/pagemap.rst has it. */
#define PRESENT    (UINT64_C(1) << 63)
#define FRAME_MASK ((UINT64_C(1) << 55) - 1)

/* The first part of a range of memory that a mapping needs in its place, in whichever IOAS of the context. */
static bool is_needed(const struct iommufd_ctx *ctx, uint64_t start, uint64_t last, struct iommufd_range *part)
{
	struct iommufd_range mine;
	bool found = false;

	for (struct iommufd_ioas *ioas = ctx->unpinned; ioas; ioas = ioas->next_unpinned)
		if (ifd_index_first_vaddr(&ioas->index, start, last, &mine) && (!found || mine.start < part->start)) {
			*part = mine;
			found = true;
		}
	return found;
}

static void unlock_range(uint64_t start, uint64_t len)
{
	ifd_sys_munlock((void *)(uintptr_t)start, (size_t)len);
}

/* mlock() does not count: of this memory only what no mapping has may be unlocked. */
static void unlock(const struct iommufd_ctx *ctx, const struct ifd_map *map)
{
	uint64_t at = map->vaddr.start, last = map->vaddr.last;
	struct iommufd_range part = { 0, 0 };

	while (is_needed(ctx, at, last, &part)) {
		if (part.start > at)
			unlock_range(at, part.start - at);
		if (part.last >= last)
			return;
		at = part.last + 1;
	}
	unlock_range(at, last - at + 1);
}

/* Whether /proc shows why the memory could not be pinned either. */
static bool is_unfit(const struct ifd_map *map)
{
	char hint[IFD_HINT_MAX] = "";

	return ifd_hint_memory(hint, map->vaddr.start, map->vaddr.last, map->flags & IOMMUFD_MAP_WRITE);
}

/*
 * Refuses what the kernel would not pin, as it does: mlock() takes what may only be read, and says ENOMEM of what is
 * not there. When that fails, it has locked what comes before. `dev` is the one that is being attached, if any.
 */
static int lock(const struct iommufd_ctx *ctx, const struct ifd_map *map, const struct iommufd_device *dev)
{
	void *vaddr = (void *)(uintptr_t)map->vaddr.start;
	size_t len = (size_t)ifd_map_len(map);
	int ret = map->flags & IOMMUFD_MAP_WRITE ? ifd_sys_madvise(vaddr, len, MADV_POPULATE_WRITE) : 0;

	if (ret == -EINVAL && !is_unfit(map))
		ret = 0; /* before Linux 5.14 */
	if (!ret) {
		ret = ifd_sys_mlock(vaddr, len);
		if (!ret)
			return 0;
		unlock(ctx, map);
	}
	return ifd_fail_map(is_unfit(map) ? -EFAULT : ret, map, true, dev);
}

/*
 * Between finding that no other mapping is of this memory and unlocking it, no other thread may lock it for a mapping
 * of its own, in this IOAS or another.
 */
void ifd_phys_begin(struct iommufd_ioas *ioas)
{
	if (ioas->unpinned)
		pthread_mutex_lock(&ioas->ctx->pins);
}

void ifd_phys_end(struct iommufd_ioas *ioas)
{
	if (ioas->unpinned)
		pthread_mutex_unlock(&ioas->ctx->pins);
}

int ifd_phys_pin(const struct iommufd_ioas *ioas, const struct ifd_map *map)
{
	return ioas->unpinned ? lock(ioas->ctx, map, NULL) : 0;
}

void ifd_phys_unpin(const struct iommufd_ioas *ioas, const struct ifd_map *map)
{
	if (ioas->unpinned)
		unlock(ioas->ctx, map);
}

void ifd_phys_keep(const struct iommufd_ioas *ioas, const struct ifd_map *map)
{
	if (ioas->unpinned && lock(ioas->ctx, map, NULL))
		ifd_error(&ioas->ctx->log, "a mapping that stays may move: %s", iommufd_errmsg());
}

static void unlock_all(struct iommufd_ioas *ioas, const struct ifd_map *end)
{
	for (const struct ifd_map *map = ifd_index_next(&ioas->index, 0, UINT64_MAX); map && map != end;
	     map = ifd_index_after(&ioas->index, map, UINT64_MAX))
		unlock(ioas->ctx, map);
}

/* From then on the IOAS is one of those whose mappings are asked for before anything is unlocked. */
static int begin_locking(struct iommufd_ioas *ioas, const struct iommufd_device *dev)
{
	struct iommufd_ctx *ctx = ioas->ctx;
	const struct ifd_map *map = ifd_index_next(&ioas->index, 0, UINT64_MAX);
	int ret = 0;

	pthread_mutex_lock(&ctx->pins);
	for (; map; map = ifd_index_after(&ioas->index, map, UINT64_MAX)) {
		ret = lock(ctx, map, dev);
		if (ret)
			break;
	}
	if (ret) {
		unlock_all(ioas, map);
	} else {
		ioas->next_unpinned = ctx->unpinned;
		ctx->unpinned = ioas;
	}
	pthread_mutex_unlock(&ctx->pins);
	return ret;
}

static void end_locking(struct iommufd_ioas *ioas)
{
	struct iommufd_ctx *ctx = ioas->ctx;
	struct iommufd_ioas **at = &ctx->unpinned;

	pthread_mutex_lock(&ctx->pins);
	while (*at != ioas)
		at = &(*at)->next_unpinned;
	*at = ioas->next_unpinned;
	unlock_all(ioas, NULL);
	pthread_mutex_unlock(&ctx->pins);
}

/* Without compaction the kernel has no such file. */
static bool is_compacted(void)
{
	char value[8];

	return ifd_sys_read_text("/proc/sys/vm/compact_unevictable_allowed", value, sizeof(value)) > 0 && *value != '0';
}

#define MAY_MOVE(who, remedy)                                                                           \
	"is only locked: " who "khugepaged and NUMA balancing may still move its pages, unless " remedy \
	"madvise() with MADV_NOHUGEPAGE and sysctl kernel.numa_balancing=0 keep them from it, or they " \
	"are huge (IOMMUFD_DMA_HUGE)"

const char *ifd_phys_may_move(void)
{
	return is_compacted() ? MAY_MOVE("compaction, ", "sysctl vm.compact_unevictable_allowed=0, ")
			      : MAY_MOVE("", "");
}

static void warn_of_moves(const struct iommufd_device *dev)
{
	struct iommufd_ctx *ctx = dev->ctx;

	if (ifd_log_on(&ctx->log, IOMMUFD_LOG_WARN) && !atomic_exchange(&ctx->warned, true))
		ifd_warn(&ctx->log, "memory for %s %s", dev->found->name, ifd_phys_may_move());
}

int ifd_phys_attach(const struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	int ret = 0;

	if (dev->unpinned && !ioas->unpinned)
		ret = begin_locking(ioas, dev);
	if (ret)
		return ret;
	if (dev->unpinned)
		warn_of_moves(dev);
	ioas->unpinned += dev->unpinned;
	ioas->physical += dev->found->noiommu;
	return 0;
}

void ifd_phys_detach(const struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	ioas->physical -= dev->found->noiommu;
	ioas->unpinned -= dev->unpinned;
	if (dev->unpinned && !ioas->unpinned)
		end_locking(ioas);
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
	return ret ? ifd_fail(ret,
			      ret == -EPERM    ? "it takes CAP_SYS_ADMIN, and CAP_SYS_RAWIO on iommufd"
			      : ret == -EFAULT ? "it is not there: unmap memory from the IOAS before freeing it"
					       : NULL,
			      "find the physical address of 0x%" PRIx64, vaddr)
		   : 0;
}

/* What most buffers have is kept on the stack. */
#define FEW_RUNS 16

/* The first `max` runs, kept aside until all are found, and how many there have been. */
struct runs {
	struct iommufd_segment *kept;
	struct iommufd_segment *more; /* the same, if allocated */
	size_t room, max, count;
	uint64_t next; /* address behind the last run */
};

static int make_room(struct runs *runs)
{
	struct iommufd_segment *more = calloc(runs->room * 2, sizeof(*more));

	if (!more)
		return ifd_fail(-ENOMEM, NULL, "translate to more than %zu runs", runs->count);
	memcpy(more, runs->kept, runs->count * sizeof(*more));
	free(runs->more);
	runs->kept = runs->more = more;
	runs->room *= 2;
	return 0;
}

static int add_run(struct runs *runs, uint64_t addr, uint64_t len)
{
	int ret;

	if (runs->count && addr == runs->next) {
		if (runs->count <= runs->max)
			runs->kept[runs->count - 1].len += len;
	} else {
		ret = runs->count < runs->max && runs->count == runs->room ? make_room(runs) : 0;
		if (ret)
			return ret;
		if (runs->count < runs->max)
			runs->kept[runs->count] = (struct iommufd_segment){ addr, len };
		runs->count++;
	}
	runs->next = addr + len;
	return 0;
}

static int add_piece(struct iommufd_ioas *ioas, const struct iovec *piece, struct runs *runs)
{
	uint64_t vaddr = (uintptr_t)piece->iov_base, len = piece->iov_len;

	if (!len || vaddr + (len - 1) < vaddr)
		return ifd_fail(-EINVAL, "give the length in bytes", "translate %zu bytes at %p", piece->iov_len,
				piece->iov_base);
	while (len) {
		uint64_t iova, addr, run;
		int ret = ifd_index_find_vaddr(&ioas->index, vaddr, len, 1, &iova, &run);

		if (ret)
			return ret;
		ret = address_of(ioas, vaddr, iova, &run, &addr);
		if (!ret)
			ret = add_run(runs, addr, run);
		if (ret)
			return ret;
		vaddr += run;
		len -= run;
	}
	return 0;
}

EXPORT int iommufd_ioas_to_iovas(struct iommufd_ioas *ioas, const struct iovec *iov, size_t iovcnt,
				 struct iommufd_segment *segments, size_t max)
{
	struct iommufd_segment few[FEW_RUNS];
	struct runs runs = { .kept = few, .room = FEW_RUNS, .max = max };
	int ret = ifd_ctx_check(ioas->ctx, "translate");

	for (size_t i = 0; !ret && i < iovcnt; i++)
		ret = add_piece(ioas, &iov[i], &runs);
	if (!ret && runs.count > INT32_MAX)
		ret = ifd_fail(-EOVERFLOW, "ask for less at once", "translate %zu pieces", iovcnt);
	if (!ret && runs.count && max)
		memcpy(segments, runs.kept, (runs.count < max ? runs.count : max) * sizeof(*segments));
	free(runs.more);
	return ret ? ret : (int)runs.count;
}
