/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The capability chains behind VFIO's answers. Internal. */
#ifndef IFD_CAPS_H
#define IFD_CAPS_H

#include <stddef.h>
#include <stdint.h>

#include "log.h"

/*
 * Makes an ioctl whose argument begins with argsz, with as much room as the kernel asks for. `arg` holds the request,
 * of `size` bytes. The answer, in memory that the caller frees, and its length, which is at least `size`. Negative
 * errno without words: of the ioctl, -ENOMEM, or -EPROTO when the answer keeps growing or is out of all proportion.
 */
int ifd_caps_ioctl(const struct ifd_log *log, int fd, unsigned long request, const void *arg, size_t size,
		   void **answer, size_t *len);

/*
 * The capability `id` of an answer, if it lies inside of it with `size` bytes at least; `first` is the offset of the
 * chain. `room` is how many bytes there are from it to the end. NULL when there is none or the chain is broken. It may
 * be at any address: kernels before 6.6 put one that follows another of 12 bytes at a multiple of 4. So copy it.
 */
const void *ifd_caps_find(const void *answer, size_t len, uint32_t first, uint16_t id, size_t size, size_t *room);

#endif
