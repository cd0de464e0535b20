/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Where the library gets memory: any of it can be made to fail. */
#include <stdlib.h>

#include "index.h"
#include "inject.h"

void *__real_calloc(size_t count, size_t size);
struct ifd_map *__real_ifd_map_new(const void *vaddr, size_t len, uint32_t flags);
struct ifd_map *__real_ifd_map_part(const struct ifd_map *map, uint64_t offset, uint64_t len, uint32_t flags);

void *__wrap_calloc(size_t count, size_t size);
struct ifd_map *__wrap_ifd_map_new(const void *vaddr, size_t len, uint32_t flags);
struct ifd_map *__wrap_ifd_map_part(const struct ifd_map *map, uint64_t offset, uint64_t len, uint32_t flags);

void *__wrap_calloc(size_t count, size_t size)
{
	void *memory = inject_enter(INJECT_MEMORY) ? NULL : __real_calloc(count, size);

	inject_leave(INJECT_MEMORY);
	return memory;
}

/* Of malloc(), which libcheck needs as well. */
struct ifd_map *__wrap_ifd_map_new(const void *vaddr, size_t len, uint32_t flags)
{
	struct ifd_map *map = inject_enter(INJECT_MEMORY) ? NULL : __real_ifd_map_new(vaddr, len, flags);

	inject_leave(INJECT_MEMORY);
	return map;
}

struct ifd_map *__wrap_ifd_map_part(const struct ifd_map *map, uint64_t offset, uint64_t len, uint32_t flags)
{
	struct ifd_map *part = inject_enter(INJECT_MEMORY) ? NULL : __real_ifd_map_part(map, offset, len, flags);

	inject_leave(INJECT_MEMORY);
	return part;
}
