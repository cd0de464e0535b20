/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Structures that grow: the rules of struct_size, in both directions. Internal. */
#ifndef IFD_OPTS_H
#define IFD_OPTS_H

#include <stddef.h>

/*
 * Copies the caller's options into `mine` (of `size` bytes), zero where the caller's structure ends earlier. `theirs`
 * may be NULL for all defaults. `min` is the size that the structure had in its first release.
 * -EINVAL: struct_size is no size of this structure; -E2BIG: a member that this library does not know is not zero.
 */
int ifd_opts_read(void *mine, size_t size, size_t min, const void *theirs, const char *name);

/*
 * Checks the struct_size of an info that the library is to fill; -EINVAL as above. Then ifd_info_write() copies what
 * fits and zeroes what the caller knows and this library does not; struct_size stays the caller's.
 */
int ifd_info_check(const void *theirs, size_t min, const char *name);
void ifd_info_write(void *theirs, const void *mine, size_t size);

#endif
