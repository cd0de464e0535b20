/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The list of IOVAs that the library may pick. Internal. */
#ifndef IFD_ALLOW_H
#define IFD_ALLOW_H

#include <stddef.h>

#include <libiommufd/base.h>

/* The first allowed range that is not inside of a permitted one, or NULL; where `ranges` is NULL, all are permitted. */
const struct iommufd_range *ifd_allow_misfit(const struct iommufd_range *allowed, size_t num_allowed,
					     const struct iommufd_range *ranges, size_t count);

/* Fails with -EADDRINUSE and the words for it. */
int ifd_fail_allow(const char *what, const struct iommufd_range *misfit, const struct iommufd_range *ranges,
		   size_t count);

/* -EINVAL for one that ends before it starts, of which `what` was wanted. */
int ifd_range_check(const char *what, const struct iommufd_range *range);

/* Sorts ranges; those that touch or overlap become one. How many are left. */
size_t ifd_ranges_merge(struct iommufd_range *list, size_t count);

#endif
