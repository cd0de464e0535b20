/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* An IOAS without a kernel: of the VFIO backend, which asks the kernel nothing while no group is in the container. */
#ifndef BARE_H
#define BARE_H

#include <libiommufd.h>

/* Give it to iommufd_ioas_free(). */
struct iommufd_ioas *bare_ioas_new(void);

#endif
