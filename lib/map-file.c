/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include "file.h"
#include "handle.h"
#include "internal.h"
#include "map.h"
#include "uapi/iommufd.h"

/* What statfs() says of the few kinds of files that can be pinned: linux/magic.h, and for the last dma-buf.h. */
#define TMPFS_MAGIC     0x01021994
#define HUGETLBFS_MAGIC 0x958458f6
#define DMA_BUF_MAGIC   0x444d4142

/* Larger pages are in no CPU. */
#define MAX_PAGE (UINT64_C(1) << 40)

int ifd_file_fail_physical(const char *what)
{
	return ifd_fail(-EOPNOTSUPP, "map the file into the process, and use iommufd_ioas_map()",
			"%s: a device without an IOMMU needs addresses, and for files there are none", what);
}

static bool is_of_file(const struct ifd_map *map)
{
	return map->file;
}

bool ifd_file_is_mapped(struct ifd_index *index)
{
	struct iommufd_range range;

	return ifd_index_first(index, is_of_file, &range);
}

/* What is to be mapped. */
struct wish {
	int fd;
	uint64_t start, len;
	uint32_t flags;
	uint64_t page; /* of the file: what a window begins and ends with */
	bool dmabuf;
};

static int fail_wish(int err, const char *hint, const struct wish *wish)
{
	return ifd_fail(err, hint, "map bytes 0x%" PRIx64 "-0x%" PRIx64 " of file descriptor %d", wish->start,
			wish->start + (wish->len - 1), wish->fd);
}

static int check_place(const struct iommufd_ioas *ioas, const struct wish *wish)
{
	if ((wish->start | wish->len) & (ioas->alignment - 1))
		return fail_wish(-EINVAL, "let start and length be multiples of iommufd_ioas_alignment()", wish);
	if (wish->start + (wish->len - 1) < wish->start)
		return fail_wish(-EOVERFLOW, "give the length that the file has", wish);
	return 0;
}

/* The kernel pins whatever a descriptor may be used for, and says so of nothing before a device is attached. */
static int check_kind(struct wish *wish, const struct stat *st)
{
	struct statfs fs;
	int ret = ifd_sys_fstatfs(wish->fd, &fs);

	if (ret)
		return fail_wish(ret, NULL, wish);
	wish->dmabuf = (uint32_t)fs.f_type == DMA_BUF_MAGIC;
	wish->page = (uint64_t)fs.f_bsize;
	if (wish->dmabuf)
		return 0;
	if (!S_ISREG(st->st_mode) || ((uint32_t)fs.f_type != TMPFS_MAGIC && (uint32_t)fs.f_type != HUGETLBFS_MAGIC))
		return fail_wish(-EINVAL,
				 "only a memfd, a file of tmpfs or hugetlbfs, and a dma-buf can be pinned: use one of "
				 "these, or map it into the process and use iommufd_ioas_map()",
				 wish);
	if (!wish->page || wish->page & (wish->page - 1) || wish->page > MAX_PAGE)
		return fail_wish(-EPROTO, "its file system has pages of no sensible size", wish);
	return 0;
}

static int check_rights(const struct wish *wish)
{
	int mode = ifd_sys_fcntl(wish->fd, F_GETFL), seals;

	if (mode < 0)
		return fail_wish(mode, NULL, wish);
	if (mode & O_PATH)
		return fail_wish(-EBADF, "it was opened with O_PATH: open it for reading and writing", wish);
	mode &= O_ACCMODE;
	if (mode == O_WRONLY || (mode == O_RDONLY && wish->flags & IOMMUFD_MAP_WRITE))
		return fail_wish(-EACCES,
				 mode == O_WRONLY ? "it was opened for writing only: open it for reading too"
						  : "it was opened for reading only: open it for writing too, or leave "
						    "out IOMMUFD_MAP_WRITE",
				 wish);
	if (!(wish->flags & IOMMUFD_MAP_WRITE))
		return 0;
	seals = ifd_sys_fcntl(wish->fd, F_GET_SEALS);
	if (seals < 0 && seals != -EINVAL) /* which says that it has none */
		return fail_wish(seals, NULL, wish);
	return seals > 0 && seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)
		       ? fail_wish(-EPERM, "it is sealed against writing: leave out IOMMUFD_MAP_WRITE", wish)
		       : 0;
}

static int check_file(struct wish *wish)
{
	char hint[IFD_HINT_MAX] = "";
	struct stat st;
	int ret = ifd_sys_fstat(wish->fd, &st);

	if (ret)
		return fail_wish(ret, ret == -EBADF ? "give an open one" : NULL, wish);
	ret = check_kind(wish, &st);
	if (!ret)
		ret = check_rights(wish);
	if (ret || (uint64_t)st.st_size > wish->start + (wish->len - 1))
		return ret;
	ifd_hint(hint, "it ends after 0x%" PRIx64 " bytes: make it larger with ftruncate(), or map less",
		 (uint64_t)st.st_size);
	return fail_wish(-EINVAL, hint, wish);
}

int ifd_file_kernel_maps(struct iommufd_ctx *ctx)
{
	enum { UNKNOWN, NO, YES };
	struct iommu_ioas_map_file probe = { .size = sizeof(probe.size) };
	int ret;

	if (ctx->maps_files != UNKNOWN)
		return ctx->maps_files == YES;
	ret = ifd_command(ctx, IOMMU_IOAS_MAP_FILE, &probe);
	if (ret != -EINVAL && ret != -ENOTTY && ret != -EOPNOTSUPP)
		return ifd_fail(ret ? ret : -EPROTO, NULL, "ask whether files can be mapped");
	ctx->maps_files = ret == -EINVAL ? YES : NO;
	return ret == -EINVAL;
}

/* hugetlbfs maps whole pages of its own only. */
static int open_window(struct ifd_file *file, const struct wish *wish)
{
	uint64_t end = (wish->start + wish->len + (wish->page - 1)) & ~(wish->page - 1);
	int prot = wish->flags & IOMMUFD_MAP_WRITE ? PROT_READ | PROT_WRITE : PROT_READ, ret;

	file->start = wish->start & ~(wish->page - 1);
	file->len = (size_t)(end - file->start);
	ret = ifd_sys_mmap(wish->fd, file->start, file->len, prot, MAP_SHARED, &file->window);
	return ret ? fail_wish(ret,
			       ret == -ENOMEM ? "there are no huge pages left, or no addresses in the process" : NULL,
			       wish)
		   : 0;
}

static int fail_dmabuf(const struct iommufd_ctx *ctx, const struct wish *wish)
{
	char hint[IFD_HINT_MAX] = "it is a dma-buf; ";

	/* Of the two, the backend knows which one is its own. */
	ifd_hint_command(hint, ctx, IOMMU_IOAS_MAP_FILE, -ENOTTY);
	ifd_hint_command(hint, ctx, IOMMU_IOAS_MAP_FILE, -EOPNOTSUPP);
	return fail_wish(-EOPNOTSUPP, hint, wish);
}

/* With the file as its own, so that to free the mapping is all there is to undo. */
static int new_map(struct iommufd_ctx *ctx, const struct wish *wish, struct ifd_map **out)
{
	struct ifd_file *file;
	struct ifd_map *map;
	uint64_t at = wish->start;
	int ret = ifd_file_kernel_maps(ctx);

	if (ret < 0)
		return ret;
	if (!ret && wish->dmabuf)
		return fail_dmabuf(ctx, wish);
	file = calloc(1, sizeof(*file));
	if (!file)
		return fail_wish(-ENOMEM, NULL, wish);
	*file = (struct ifd_file){ .refs = 1, .fd = wish->fd, .dmabuf = wish->dmabuf };
	ret = ret ? 0 : open_window(file, wish);
	if (!ret) {
		if (file->window)
			at += (uintptr_t)file->window - file->start;
		map = ifd_map_new((const void *)(uintptr_t)at, (size_t)wish->len,
				  wish->flags & (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE));
		if (map) {
			map->file = file;
			*out = map;
			return 0;
		}
		ret = fail_wish(-ENOMEM, NULL, wish);
	}
	ifd_file_put(file);
	return ret;
}

static int map_gated(struct iommufd_ioas *ioas, struct wish *wish, uint64_t fixed, uint64_t *iova)
{
	struct ifd_map *map = NULL;
	int ret = check_place(ioas, wish);

	if (!ret)
		ret = check_file(wish);
	if (!ret && ioas->physical)
		ret = ifd_file_fail_physical("map a file");
	if (!ret)
		ret = new_map(ioas->ctx, wish, &map);
	if (ret)
		return ret;
	ret = ifd_map_reserve(ioas, map, wish->flags, fixed);
	if (!ret)
		return ifd_map_make(ioas, map, wish->flags, NULL, iova);
	ifd_map_free(map);
	return ret;
}

EXPORT int iommufd_ioas_map_file(struct iommufd_ioas *ioas, int fd, uint64_t start, size_t len, uint32_t flags,
				 uint64_t *iova)
{
	struct wish wish = { .fd = fd, .start = start, .len = len, .flags = flags };
	int ret = ifd_ctx_check(ioas->ctx, "map a file");

	if (!ret)
		ret = ifd_map_check("map a file", len, flags);
	if (ret)
		return ret;
	pthread_rwlock_rdlock(&ioas->gate);
	ret = map_gated(ioas, &wish, flags & IOMMUFD_MAP_FIXED ? *iova : 0, iova);
	pthread_rwlock_unlock(&ioas->gate);
	return ret;
}
