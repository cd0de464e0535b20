/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the process's memory is, as /proc/self tells. Read only when pinning it has failed. Internal. */
#ifndef IFD_VMA_H
#define IFD_VMA_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Appends to a hint what keeps the kernel from pinning the memory from `start` to `last`, for a device that writes to
 * it or not. False, and nothing appended, when it seems fit.
 */
bool ifd_hint_memory(char *hint, uint64_t start, uint64_t last, bool written);

#endif
