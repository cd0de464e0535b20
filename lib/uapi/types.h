/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#ifndef IFD_UAPI_TYPES_H
#define IFD_UAPI_TYPES_H

#include <stdint.h>

/* Aligned to 8 bytes on every machine, so that a 32-bit program has the layout of a 64-bit kernel. */
#define IFD_ALIGNED_U64 __attribute__((aligned(8))) uint64_t

#endif
