/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* How a mapping is made, whatever it is of. The gate is held, shared at least. Each fails with words. Internal. */
#ifndef IFD_MAP_H
#define IFD_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct ifd_map;
struct iommufd_ioas;

/* The flags and the length of a call, which the words call `what`. No lock. */
int ifd_map_check(const char *what, uint64_t len, uint32_t flags);

/* A place: at `iova` with IOMMUFD_MAP_FIXED, else wherever the library likes it; or from `low` on. */
int ifd_map_reserve(struct iommufd_ioas *ioas, struct ifd_map *map, uint32_t flags, uint64_t iova);
int ifd_map_reserve_any(struct iommufd_ioas *ioas, struct ifd_map *map, uint64_t low);

/* What has a place: it is mapped and committed, or else freed. */
int ifd_map_make(struct iommufd_ioas *ioas, struct ifd_map *map, uint32_t flags, uint64_t *iova);

/* Between ifd_phys_begin() and ifd_phys_end(): mapped and no more than that; the reverse, and freed. */
int ifd_map_now(struct iommufd_ioas *ioas, const struct ifd_map *map);

/* What the kernel does not let go stays in the index, so that the two do not part: false then. */
bool ifd_map_take_back(struct iommufd_ioas *ioas, struct ifd_map *map);

#endif
