/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"
#include "populate.h"
#include "vma.h"

static bool is_read_only(uint32_t flags)
{
	return !(flags & IOMMUFD_MAP_WRITE);
}

/* ---- What a device only reads ---- */

static void add(struct ifd_populate *populate, uint64_t start, uint64_t last)
{
	struct iommufd_range *more;

	if (populate->count && populate->anonymous[populate->count - 1].last + 1 == start) {
		populate->anonymous[populate->count - 1].last = last;
		return;
	}
	if (populate->count == populate->room) {
		populate->room = populate->room ? 2 * populate->room : 16;
		more = calloc(populate->room, sizeof(*more));
		if (!more) {
			populate->err = -ENOMEM;
			return;
		}
		if (populate->count)
			memcpy(more, populate->anonymous, populate->count * sizeof(*more));
		free(populate->anonymous);
		populate->anonymous = more;
	}
	populate->anonymous[populate->count++] = (struct iommufd_range){ start, last };
}

/* A name that is no path is given to parts of anonymous memory. */
static bool note(void *data, const char *line)
{
	struct ifd_populate *populate = data;
	struct ifd_vma area;

	if (!ifd_vma_parse(line, &area) || area.end <= populate->start)
		return true;
	if (area.start > populate->last)
		return false;
	if (area.perms[1] == 'w' && (!*area.name || *area.name == '['))
		add(populate, area.start, area.end - 1);
	return !populate->err;
}

/* What cannot be read tells nothing: everything is then brought in for reading. */
int ifd_populate_begin(struct ifd_populate *populate, const struct iommufd_map *requests, size_t count)
{
	*populate = (struct ifd_populate){ .start = UINT64_MAX };
	for (size_t i = 0; i < count; i++)
		if (is_read_only(requests[i].flags)) {
			uint64_t start = (uintptr_t)requests[i].vaddr, last = start + (requests[i].len - 1);

			populate->start = start < populate->start ? start : populate->start;
			populate->last = last > populate->last ? last : populate->last;
		}
	if (populate->start <= populate->last)
		ifd_sys_each_line("/proc/self/maps", note, populate);
	if (!populate->err)
		return 0;
	ifd_populate_end(populate);
	return ifd_fail(-ENOMEM, NULL, "look at the memory of %zu mappings", count);
}

void ifd_populate_end(struct ifd_populate *populate)
{
	free(populate->anonymous);
	populate->anonymous = NULL;
}

/* The first of them that does not end before `start`, or NULL. */
static const struct iommufd_range *find(const struct ifd_populate *populate, uint64_t start)
{
	size_t low = 0, high = populate->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (populate->anonymous[middle].last < start)
			low = middle + 1;
		else
			high = middle;
	}
	return low < populate->count ? &populate->anonymous[low] : NULL;
}

/* ---- Bringing it in ---- */

/* Of a hole the kernel says ENOMEM. */
static int fail(int err, uint64_t start, uint64_t last, bool written)
{
	char hint[IFD_HINT_MAX] = "";

	if (err == -EHWPOISON)
		ifd_hint(hint, "a page of it is broken in hardware: do not use that any more");
	else if (err == -EFAULT)
		ifd_hint(hint, "%sno huge page, or no room in its file system, may be left for it",
			 ifd_hint_memory(hint, start, last, written) ? "; or " : "");
	else if (err == -ENOMEM && ifd_hint_rights(hint, start, last, written))
		err = -EFAULT;
	else if (err == -ENOMEM)
		ifd_hint(hint, "memory is short, or what its cgroup permits");
	return ifd_fail(err, hint, "bring in memory 0x%" PRIx64 "-0x%" PRIx64, start, last);
}

/*
 * EINVAL: the kernel is from before Linux 5.14, or it is a device's memory, or not to be written or read. What that
 * means is told by who pins it, in the same words as without us.
 */
static int bring_in(uint64_t start, uint64_t last, int advice, bool written)
{
	int ret = ifd_sys_madvise((void *)(uintptr_t)start, (size_t)(last - start + 1), advice);

	return !ret || ret == -EINVAL ? 0 : fail(ret, start, last, written);
}

/*
 * What devices write is brought in for writing, so that it is no page that others have too. So is anonymous memory that
 * they only read: a read would bring in the page of zeroes, in whose place another one comes when it is pinned or, in
 * the process alone, when it is written. A file is not written to, nor copied, for who only reads.
 */
int ifd_populate(const struct ifd_populate *populate, uint64_t start, uint64_t len, uint32_t flags)
{
	uint64_t last = start + (len - 1), end;
	int ret = 0;

	if (!is_read_only(flags))
		return bring_in(start, last, MADV_POPULATE_WRITE, true);
	for (bool more = true; more && !ret; start = end + 1) {
		const struct iommufd_range *range = find(populate, start);
		bool anonymous = range && range->start <= start;

		end = !range ? last : anonymous ? range->last : range->start - 1;
		more = end < last;
		end = more ? end : last;
		ret = bring_in(start, end, anonymous ? MADV_POPULATE_WRITE : MADV_POPULATE_READ, false);
	}
	return ret;
}
