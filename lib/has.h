/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What backends can do. Internal. */
#ifndef IFD_HAS_H
#define IFD_HAS_H

#include <stdint.h>

struct iommufd_ctx;

/* One more than the last, and few enough for a word. */
#define IFD_FEATURES (IOMMUFD_HAS_REPLACE + 1)

/* The slots of the backends. */
int ifd_iommufd_has(const struct iommufd_ctx *ctx, uint32_t feature);
int ifd_vfio_has(const struct iommufd_ctx *ctx, uint32_t feature);

#endif
