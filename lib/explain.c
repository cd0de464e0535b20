/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explain.h"
#include "internal.h"
#include "udev.h"

#define RANGES_SHOWN     4
#define SIBLINGS_SHOWN   6
#define CAP_IPC_LOCK_BIT 14 /* capability.h */

void ifd_hint_ranges(char *hint, const struct iommufd_range *ranges, size_t count)
{
	for (size_t i = 0; i < count && i < RANGES_SHOWN; i++)
		ifd_hint(hint, "%s0x%" PRIx64 "-0x%" PRIx64, i ? ", " : "", ranges[i].start, ranges[i].last);
	if (count > RANGES_SHOWN)
		ifd_hint(hint, " and %zu more", count - RANGES_SHOWN);
}

void ifd_hint_open(char *hint, int err, const char *path, const char *absent)
{
	struct stat st;

	if (err == -EACCES && !ifd_sys_stat(path, &st))
		ifd_hint(hint,
			 "%s has the mode %04o and belongs to user %u, group %u; this is user %u, group %u: let a udev "
			 "rule "
			 "or chown give it to you, or run as root",
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

void ifd_hint_memlock(char *hint, uint64_t need, const char *mode)
{
	uint64_t limit = ifd_sys_memlock_limit();

	if (ifd_has_ipc_lock() || limit == UINT64_MAX)
		ifd_hint(hint,
			 "%" PRIu64 " bytes are to be pinned; the memlock limit is not in the way, memory is short",
			 need);
	else
		ifd_hint(hint,
			 "%" PRIu64 " more bytes are to be pinned, the memlock limit is %" PRIu64
			 " bytes, counted %s: raise it with ulimit -l, limits.conf or LimitMEMLOCK=, or give "
			 "CAP_IPC_LOCK",
			 need, limit, mode);
}

int ifd_fail_map(int err, const struct ifd_map *map, const char *mode, const struct iommufd_device *dev)
{
	char hint[IFD_HINT_MAX] = "";
	uint64_t len = ifd_map_len(map);

	if (err == -ENOMEM)
		ifd_hint_memlock(hint, len, mode);
	else if (err == -EFAULT)
		ifd_hint(hint, "some of it is not there, is not writable but mapped for writing, or is of a kind that "
			       "cannot be pinned, such as a device's memory");
	else if (err == -EEXIST || err == -EINVAL)
		ifd_hint(hint, "the kernel knows of a mapping or a limit there that was not made through this IOAS");
	else if (err == -ENOSPC)
		ifd_hint(hint, "the kernel's limit of mappings in a container is reached, see the parameter "
			       "dma_entry_limit of vfio_iommu_type1: map larger pieces");
	else if (err == -ENOENT)
		ifd_hint(hint, "somebody destroyed this IOAS behind the library's back");
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

void ifd_hint_bind(char *hint, const struct ifd_found *found)
{
	if (!found->pci_id) {
		ifd_hint(hint, "bind it to a VFIO driver");
		return;
	}
	ifd_hint(hint, "bind it to vfio-pci, as root: ");
	if (found->driver)
		ifd_hint(hint, "echo %s > %s/driver/unbind; ", found->name, found->path);
	ifd_hint(hint, "echo vfio-pci > %s/driver_override; echo %s > /sys/bus/pci/drivers_probe", found->path,
		 found->name);
}

void ifd_hint_siblings(char *hint, const struct ifd_found *found)
{
	struct ifd_found_list list;
	size_t shown = 0;

	if (found->group < 0)
		return;

	ifd_hint(hint, "all devices of IOMMU group %d must be bound to vfio-pci or to no driver;", found->group);
	if (ifd_udev_group(found->group, &list))
		return;
	for (size_t i = 0; i < list.count && shown < SIBLINGS_SHOWN; i++) {
		const struct ifd_found *other = list.devices[i];

		if (!strcmp(other->name, found->name))
			continue;
		ifd_hint(hint, "%s %s is bound to %s", shown++ ? "," : "", other->name,
			 other->driver ? other->driver : "nothing");
	}
	if (!shown)
		ifd_hint(hint, " it has no others");
	ifd_found_list_free(&list);
}

void ifd_hint_owner(char *hint, const struct ifd_found *found, const char *module)
{
	ifd_hint_siblings(hint, found);
	ifd_hint(hint, "; or interrupts are not isolated, see %s's parameter allow_unsafe_interrupts", module);
}
