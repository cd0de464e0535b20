/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explain.h"
#include "file.h"
#include "internal.h"
#include "type1.h"
#include "udev.h"
#include "vma.h"

#define RANGES_SHOWN     4
#define CAP_IPC_LOCK_BIT 14 /* capability.h */

void ifd_hint_ranges(char *hint, const struct iommufd_range *ranges, size_t count)
{
	for (size_t i = 0; i < count && i < RANGES_SHOWN; i++)
		ifd_hint(hint, "%s0x%" PRIx64 "-0x%" PRIx64, i ? ", " : "", ranges[i].start, ranges[i].last);
	if (count > RANGES_SHOWN)
		ifd_hint(hint, " and %zu more", count - RANGES_SHOWN);
}

void ifd_hint_passed_over(char *hint, const struct iommufd_ctx *ctx)
{
	if (ctx->passed_over)
		ifd_hint(hint, "; %s was passed over: %s", ifd_backends[0]->name, ctx->passed_over);
}

void ifd_hint_open(char *hint, int err, const char *path, const char *absent)
{
	struct stat st;

	if (err == -EACCES && !ifd_sys_stat(path, &st))
		ifd_hint(hint,
			 "%s has the mode %04o and belongs to user %u, group %u; this is user %u, group %u: let a udev "
			 "rule or chown give it to you, or run as root",
			 path, (unsigned int)st.st_mode & 07777, (unsigned int)st.st_uid, (unsigned int)st.st_gid,
			 (unsigned int)geteuid(), (unsigned int)getegid());
	else if (err == -EACCES)
		ifd_hint(hint, "a directory on the way to %s may not be searched", path);
	else if (err == -ENOENT || err == -ENODEV || err == -ENXIO)
		ifd_hint(hint, "%s", absent);
	else if (err == -EPERM)
		ifd_hint(hint,
			 "the node's permissions are not in the way: a container's or service's list of devices may "
			 "be (DeviceAllow=, --device)");
	else if (err == -EMFILE)
		ifd_hint(hint, "raise the limit of open files, see ulimit -n");
}

/* The map of the first user namespace is the identity; a kernel without user namespaces has no map. */
static bool in_first_user_namespace(void)
{
	unsigned long inside, outside, count;
	char map[128] = "";

	return ifd_sys_read_text("/proc/self/uid_map", map, sizeof(map)) == -ENOENT ||
	       (sscanf(map, "%lu %lu %lu", &inside, &outside, &count) == 3 && !inside && !outside &&
		count == UINT32_MAX);
}

bool ifd_has_ipc_lock(void)
{
	return ifd_sys_capable(CAP_IPC_LOCK_BIT) && in_first_user_namespace();
}

/* A line of /proc/self/status, such as "VmLck:	      64 kB". */
struct amount {
	const char *key;
	uint64_t bytes;
};

static bool look_for_amount(void *data, const char *line)
{
	struct amount *amount = data;
	size_t len = strlen(amount->key);
	uint64_t kib;

	if (strncmp(line, amount->key, len) != 0 || sscanf(line + len, "%" SCNu64, &kib) != 1)
		return true;
	amount->bytes = kib * 1024;
	return false;
}

bool ifd_hint_limit(char *hint, bool by_process)
{
	struct amount used = { by_process ? "VmLck:" : "VmPin:", 0 };
	uint64_t limit = ifd_sys_memlock_limit();

	if (ifd_has_ipc_lock() || limit == UINT64_MAX) {
		ifd_hint(hint, limit == UINT64_MAX ? "there is no memlock limit"
						   : "no memlock limit holds, since the process has CAP_IPC_LOCK");
		return false;
	}
	ifd_sys_each_line("/proc/self/status", look_for_amount, &used);
	ifd_hint(hint, "the memlock limit is %" PRIu64 " bytes, counted %s, of which this process uses %" PRIu64, limit,
		 by_process ? "per process" : "per user", used.bytes);
	return true;
}

void ifd_hint_memlock(char *hint, uint64_t need, bool by_process)
{
	ifd_hint(hint, "%" PRIu64 " more bytes are to be pinned, and ", need);
	ifd_hint(hint, ifd_hint_limit(hint, by_process) ? ": raise it with ulimit -l, limits.conf or LimitMEMLOCK=, or "
							  "give CAP_IPC_LOCK"
							: ": memory is short, or what its cgroup permits");
}

/* A dma-buf is looked at when it is mapped, not when it is pinned. */
static void hint_dmabuf(char *hint, int err)
{
	if (err == -EOPNOTSUPP)
		ifd_hint(hint,
			 "the kernel takes dma-bufs that vfio-pci has made of a device's memory, in one piece, and no "
			 "others: of udmabuf, map the memfd behind it");
	else if (err == -ENODEV)
		ifd_hint(hint,
			 "its device has taken the memory back, at a reset for instance: unmap it, and map it anew");
	else if (err == -EINVAL || err == -EFAULT)
		ifd_hint(hint, "a kernel before Linux 6.19 takes no dma-buf");
}

/* What the kernel says of a mapping as such, so that the same words serve when it is made and when it is replayed. */
void ifd_hint_map(char *hint, int err, const struct ifd_map *map, bool by_process)
{
	uint64_t limit;

	if (err == -ENOMEM) {
		ifd_hint_memlock(hint, ifd_map_len(map), by_process);
	} else if (map->file && map->file->peer && (err == -ENODEV || err == -EFAULT)) {
		ifd_hint(hint, "its memory may be switched off: set bit 1 of PCI's command register");
	} else if (map->file && map->file->dmabuf) {
		hint_dmabuf(hint, err);
	} else if (map->file && err == -EFAULT) {
		ifd_hint(hint, "the file ends before, since it was cut off, or has no pages left for it");
	} else if (err == -EFAULT) {
		if (!ifd_hint_memory(hint, map->vaddr.start, map->vaddr.last, map->flags & IOMMUFD_MAP_WRITE))
			ifd_hint(hint, "some of it is of a kind that cannot be pinned");
	} else if (err == -EEXIST || err == -EINVAL) {
		ifd_hint(hint, "the kernel knows of a mapping or a limit there that was not made through this IOAS");
	} else if (err == -ENOSPC) {
		if (!ifd_type1_map_limit(&limit))
			ifd_hint(hint, "a container takes %" PRIu64 " mappings, ", limit);
		ifd_hint(hint,
			 "see the parameter dma_entry_limit of vfio_iommu_type1: map larger pieces, or unmap some");
	} else if (err == -ENOENT) {
		ifd_hint(hint, "somebody destroyed this IOAS behind the library's back");
	}
}

static int fail_map_file(int err, const struct ifd_map *map, const char *hint, const struct iommufd_device *dev)
{
	uint64_t start = ifd_file_offset(map), last = start + (ifd_map_len(map) - 1);

	return ifd_fail(err, hint, "%s%s%s bytes 0x%" PRIx64 "-0x%" PRIx64 " of a %s at IOVA 0x%" PRIx64 "%s",
			dev ? "attach " : "map", dev ? dev->found->name : "", dev ? ": the mapping of" : "", start,
			last, map->file->peer ? "device's region" : "file", map->iova.start,
			dev ? " cannot be made" : "");
}

int ifd_fail_map(int err, const struct ifd_map *map, bool by_process, const struct iommufd_device *dev)
{
	char hint[IFD_HINT_MAX] = "";
	uint64_t len = ifd_map_len(map);

	/* The kernel has another errno for a file that has become too short, where memory of one is EFAULT. */
	if (map->file && !map->file->peer && err == -EINVAL)
		err = -EFAULT;
	ifd_hint_map(hint, err, map, by_process);
	if (map->file)
		return fail_map_file(err, map, hint, dev);
	if (dev)
		return ifd_fail(err, hint,
				"attach %s: the mapping of 0x%" PRIx64 ", %" PRIu64 " bytes, at IOVA 0x%" PRIx64
				" cannot be made",
				dev->found->name, map->vaddr.start, len, map->iova.start);
	return ifd_fail(err, hint, "map 0x%" PRIx64 " of %" PRIu64 " bytes at IOVA 0x%" PRIx64, map->vaddr.start, len,
			map->iova.start);
}

int ifd_fail_misfit(int err, const struct ifd_map *map, const struct iommufd_range *ranges, size_t count,
		    const struct iommufd_device *dev)
{
	char hint[IFD_HINT_MAX] = "unmap it first, and map inside of ";

	ifd_hint_ranges(hint, ranges, count);
	return ifd_fail(err, hint, "attach %s: the mapping 0x%" PRIx64 "-0x%" PRIx64 " is not permitted",
			dev->found->name, map->iova.start, map->iova.last);
}

/* One line a range: first address, last address, kind. Devices may share a range that is only relaxable. */
const struct ifd_map *ifd_find_reserved(struct ifd_index *index, int group, struct iommufd_range *reserved)
{
	char path[64], text[4096], kind[32], *line, *rest = text;
	const struct ifd_map *map = NULL;

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/reserved_regions", group);
	if (ifd_sys_read_text(path, text, sizeof(text)) < 0)
		return NULL;
	while (!map && (line = strsep(&rest, "\n")))
		if (sscanf(line, "%" SCNx64 " %" SCNx64 " %31s", &reserved->start, &reserved->last, kind) == 3 &&
		    strcmp(kind, "direct-relaxable") != 0 && reserved->start <= reserved->last)
			map = ifd_index_next(index, reserved->start, reserved->last);
	return map;
}
