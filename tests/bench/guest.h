/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A machine of tests/vm, where there is a kernel that maps. The library and the bare ioctl have an iommufd each, or a
 * VFIO container each ($LIBIOMMUFD_BACKEND), with a device each behind the same IOMMU, and the same things are mapped
 * in both.
 */
#ifndef GUEST_H
#define GUEST_H

#include <libiommufd.h>
#include <stdbool.h>
#include <stdint.h>

#define GUEST_FLAGS (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)

struct side {
	const char *name;
	bool raw;     /* ioctls are made without the library, or else calls of it */
	bool by_vfio; /* on a container */
	int fd;       /* raw: the iommufd or the container */
	uint32_t id;  /* raw: of the IOAS in the iommufd */
	struct iommufd_ctx *ctx;
	struct iommufd_ioas
		*ioas; /* the library's; of a raw one on an iommufd the handle that nothing is mapped with */
};

/* The library's first, with a device attached or without; and of the second the ioctls are made. */
enum {
	GUEST_LIBRARY,
	GUEST_RAW,
	GUEST_SIDES,
};
void guest_sides(struct side sides[GUEST_SIDES], bool attach);

/* One more IOAS, without a device, in the same iommufd. */
void guest_second(const struct side *first, struct side *second);

/* At the IOVA that is given, or where who maps picks it. */
void guest_map(const struct side *side, void *vaddr, uint64_t len, bool fixed, uint64_t *iova);
void guest_unmap(const struct side *side, uint64_t iova, uint64_t len);

/* Memory that is there. */
void *guest_memory(size_t len);

/* Addresses for `len` bytes, behind all of which are the same 2 MiB of memory, time and again. */
void *guest_addresses(size_t len);

#endif
