/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the process's memory is, as /proc/self tells. Read when pinning it has failed, and by populate.c. Internal. */
#ifndef IFD_VMA_H
#define IFD_VMA_H

#include <stdbool.h>
#include <stdint.h>

/* A line of /proc/self/maps, and a header in smaps. `name` is what is mapped; "" for anonymous memory. */
struct ifd_vma {
	uint64_t start, end;
	char perms[8];
	const char *name;
};

/* False for a line of another kind. */
bool ifd_vma_parse(const char *line, struct ifd_vma *area);

/*
 * Appends to a hint what keeps the kernel from pinning the memory from `start` to `last`, for a device that writes to
 * it or not. False, and nothing appended, when it seems fit.
 */
bool ifd_hint_memory(char *hint, uint64_t start, uint64_t last, bool written);

/* The same, of what is sure: that nothing is there, or that it may not be read or written. */
bool ifd_hint_rights(char *hint, uint64_t start, uint64_t last, bool written);

#endif
