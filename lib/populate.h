/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Bringing memory in before it is pinned, which several threads can do at once, where one that pins does it page by
 * page. What is brought in stays. Internal.
 */
#ifndef IFD_POPULATE_H
#define IFD_POPULATE_H

#include <stddef.h>
#include <stdint.h>

#include <libiommufd/base.h>

struct iommufd_map;

/* What is to be known of the memory of several requests. */
struct ifd_populate {
	struct iommufd_range *anonymous; /* of no file, and may be written; ascending */
	size_t count, room;
	uint64_t start, last; /* what devices only read is between; nothing if start > last */
	int err;
};

/* Looks once, however many there are, and not at all where devices write to everything. 0, or -ENOMEM with words. */
int ifd_populate_begin(struct ifd_populate *populate, const struct iommufd_map *requests, size_t count);
void ifd_populate_end(struct ifd_populate *populate);

/*
 * A piece of the memory of a request with these flags. By several threads at once. What the kernel cannot bring in, as
 * any before Linux 5.14, is left to who pins it. 0, or -errno with words.
 */
int ifd_populate(const struct ifd_populate *populate, uint64_t start, uint64_t len, uint32_t flags);

#endif
