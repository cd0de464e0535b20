/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What a type1 container tells of its limits. Internal. */
#ifndef IFD_TYPE1_H
#define IFD_TYPE1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ifd_log;
struct iommufd_range;

struct ifd_type1 {
	struct iommufd_range *ranges; /* permitted; the caller frees them */
	size_t count;
	uint64_t alignment; /* the IOMMU's smallest page */
	bool tells_left;    /* Linux 5.10 */
	uint32_t left;      /* mappings that it will still take */
};

/* Of a container that has a group and a type. -errno without words. */
int ifd_type1_ask(const struct ifd_log *log, int container, struct ifd_type1 *out);

/* What a container without an IOMMU would tell: no limits. -ENOMEM. */
int ifd_type1_none(struct ifd_type1 *out);

/* How many mappings a container takes in all. -errno without words. */
int ifd_type1_map_limit(uint64_t *out);

#endif
