/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* How a mapping is made, whatever it is of. The gate is held, shared at least. Each fails with words. Internal. */
#ifndef IFD_MAP_H
#define IFD_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ifd_map;
struct iommufd_range;
struct iommufd_ioas;
struct iommufd_map;

/* Where IOMMUFD_MAP_ALIGN() keeps its number in the flags. */
#define IFD_MAP_ALIGN_SHIFT 8
#define IFD_MAP_ALIGN       (UINT32_C(63) << IFD_MAP_ALIGN_SHIFT)

/* The flags and the length of a call, which the words call `what`. No lock. */
int ifd_map_check(const char *what, uint64_t len, uint32_t flags);

/*
 * A place, kept in the index for `map` until ifd_map_make() or ifd_index_withdraw(). The alignment is that of
 * IOMMUFD_MAP_ALIGN() in `flags` at least.
 *
 * The first: at `iova` with IOMMUFD_MAP_FIXED, else wherever the library likes it. The second: wherever it likes it
 * from `low` on and inside of `window`, of which NULL is everywhere; FIXED is not looked at. -ENOSPC: there is none.
 */
int ifd_map_reserve(struct iommufd_ioas *ioas, struct ifd_map *map, uint32_t flags, uint64_t iova);
int ifd_map_reserve_any(struct iommufd_ioas *ioas, struct ifd_map *map, uint32_t flags,
			const struct iommufd_range *window, uint64_t low);

/*
 * All of it, for memory of the process: checks, takes the gate, reserves inside of `window` (NULL: everywhere), maps
 * and commits. As iommufd_ioas_map() without a window; with one, as iommufd_ioas_map_within().
 */
int ifd_map_memory(struct iommufd_ioas *ioas, void *vaddr, size_t len, uint32_t flags,
		   const struct iommufd_range *window, uint64_t *iova);

/* Neither a fixed place nor one that ends before it starts. With words. */
int ifd_map_check_window(uint32_t flags, const struct iommufd_range *window);

/*
 * A request, checked, and its place, inside of `window` (NULL: everywhere): from then on no other thread can take that.
 * The kernel is not asked.
 */
int ifd_map_prepare(struct iommufd_ioas *ioas, const struct iommufd_map *request, const struct iommufd_range *window,
		    struct ifd_map **out);

/* The place is free again, and the mapping freed. */
void ifd_map_give_up(struct iommufd_ioas *ioas, struct ifd_map *map);

/* What has a place, inside of `window` (NULL: everywhere): it is mapped and committed, or else freed. */
int ifd_map_make(struct iommufd_ioas *ioas, struct ifd_map *map, uint32_t flags, const struct iommufd_range *window,
		 uint64_t *iova);

/*
 * Between ifd_phys_begin() and ifd_phys_end(): mapped and no more than that. The second one may move what has not asked
 * for its place, and is then another.
 */
int ifd_map_now(struct iommufd_ioas *ioas, const struct ifd_map *map);
int ifd_map_somewhere(struct iommufd_ioas *ioas, struct ifd_map **map, uint32_t flags,
		      const struct iommufd_range *window);

/*
 * The reverse, and freed. What the kernel does not let go stays in the index, so that the two do not part: false then.
 */
bool ifd_map_take_back(struct iommufd_ioas *ioas, struct ifd_map *map);

#endif
