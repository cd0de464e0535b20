/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "vma.h"

bool ifd_vma_parse(const char *line, struct ifd_vma *area)
{
	int name = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*s %*s %*s %n", &area->start, &area->end, area->perms, &name) !=
	    3)
		return false;
	area->name = line + name;
	return true;
}

/* A walk over a range, from low to high. */
struct walk {
	char *hint;
	uint64_t next, last; /* what has not been looked at yet */
	bool written, done;
	struct ifd_vma area; /* smaps: the area that the lines are about; its name is not kept */
};

/* True while there is more to look at. */
static bool advance(struct walk *walk, const struct ifd_vma *area)
{
	if (area->end > walk->last)
		return false;
	if (area->end > walk->next)
		walk->next = area->end;
	return true;
}

static uint64_t last_of(const struct walk *walk, const struct ifd_vma *area)
{
	return area->end - 1 < walk->last ? area->end - 1 : walk->last;
}

/* Holes, and what may not be read or written. */
static bool look_at_rights(void *data, const char *line)
{
	struct walk *walk = data;
	struct ifd_vma area;

	if (!ifd_vma_parse(line, &area) || area.end <= walk->next)
		return true;
	walk->done = true;
	if (area.start > walk->next)
		ifd_hint(walk->hint, "nothing is mapped at 0x%" PRIx64 "-0x%" PRIx64, walk->next,
			 area.start - 1 < walk->last ? area.start - 1 : walk->last);
	else if (area.perms[0] != 'r' && area.perms[1] != 'w')
		ifd_hint(walk->hint, "0x%" PRIx64 "-0x%" PRIx64 " may not even be read by the process, see mprotect()",
			 walk->next, last_of(walk, &area));
	else if (walk->written && area.perms[1] != 'w')
		ifd_hint(walk->hint, "0x%" PRIx64 "-0x%" PRIx64 "%s%s is read-only: map it without IOMMUFD_MAP_WRITE",
			 walk->next, last_of(walk, &area), *area.name ? " of " : "", area.name);
	else
		walk->done = false;
	return !walk->done && advance(walk, &area);
}

static void is_device_memory(struct walk *walk, const struct ifd_vma *area)
{
	ifd_hint(walk->hint,
		 "0x%" PRIx64 "-0x%" PRIx64
		 " is a device's memory, such as a region of one: the kernel cannot pin that",
		 walk->next, last_of(walk, area));
	walk->done = true;
}

/* VFIO's own regions have a name. To look at it spares smaps, which goes through all of the process's pages. */
static bool look_at_name(void *data, const char *line)
{
	struct walk *walk = data;
	struct ifd_vma area;

	if (!ifd_vma_parse(line, &area) || area.end <= walk->next)
		return true;
	if (!strncmp(area.name, "/dev/vfio/", 10) || !strcmp(area.name, "anon_inode:[vfio-device]"))
		is_device_memory(walk, &area);
	return !walk->done && advance(walk, &area);
}

static bool has_flag(const char *flags, const char *flag)
{
	const char *at = strstr(flags, flag);

	return at && at[-1] == ' ' && (at[2] == ' ' || !at[2]);
}

/* Of what a device or a file has put there, its flags tell: I/O memory, or pages without a structure of their own. */
static bool look_at_kind(void *data, const char *line)
{
	struct walk *walk = data;
	struct ifd_vma area;

	if (strncmp(line, "VmFlags:", 8) != 0) {
		if (ifd_vma_parse(line, &area))
			walk->area = area;
		return true;
	}
	if (walk->area.end <= walk->next)
		return true;
	if (has_flag(line, "io") || has_flag(line, "pf"))
		is_device_memory(walk, &walk->area);
	return !walk->done && advance(walk, &walk->area);
}

/* A file that is shorter than its mapping, or that has to be written back, shows by its name only. */
static bool look_at_file(void *data, const char *line)
{
	struct walk *walk = data;
	struct ifd_vma area;

	if (!ifd_vma_parse(line, &area) || area.end <= walk->next)
		return true;
	if (*area.name == '/') {
		ifd_hint(walk->hint,
			 "%s is mapped at 0x%" PRIx64 "-0x%" PRIx64 ", perhaps with others: a file must not end before "
			 "its mapping, and must be in memory only, of shm, memfd or hugetlbfs",
			 area.name, walk->next, last_of(walk, &area));
		walk->done = true;
	}
	return !walk->done && advance(walk, &area);
}

static bool look(char *hint, const char *path, ifd_sys_text_fn fn, uint64_t start, uint64_t last, bool written)
{
	struct walk walk = { .hint = hint, .next = start, .last = last, .written = written };

	ifd_sys_each_line(path, fn, &walk); /* what cannot be read tells nothing */
	return walk.done;
}

bool ifd_hint_rights(char *hint, uint64_t start, uint64_t last, bool written)
{
	return look(hint, "/proc/self/maps", look_at_rights, start, last, written);
}

bool ifd_hint_memory(char *hint, uint64_t start, uint64_t last, bool written)
{
	return ifd_hint_rights(hint, start, last, written) ||
	       look(hint, "/proc/self/maps", look_at_name, start, last, written) ||
	       look(hint, "/proc/self/smaps", look_at_kind, start, last, written) ||
	       look(hint, "/proc/self/maps", look_at_file, start, last, written);
}
