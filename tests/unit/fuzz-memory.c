/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Where the library gets memory while it is fuzzed. */
#include <stdlib.h>

#include "fuzz-kernel.h"
#include "index.h"

#define MEMORY_MAX (size_t)(16 << 20)

static unsigned int memory_fails_in;

void fuzz_fail_memory(unsigned int nth)
{
	memory_fails_in = nth;
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
	if (memory_fails_in && !--memory_fails_in)
		return NULL;
	if (size && count > MEMORY_MAX / size)
		return NULL;
	return __real_calloc(count, size);
}

struct ifd_map *__real_ifd_map_new(const void *vaddr, size_t len, uint32_t flags);
struct ifd_map *__wrap_ifd_map_new(const void *vaddr, size_t len, uint32_t flags);
struct ifd_map *__wrap_ifd_map_new(const void *vaddr, size_t len, uint32_t flags)
{
	return memory_fails_in && !--memory_fails_in ? NULL : __real_ifd_map_new(vaddr, len, flags);
}

struct ifd_map *__real_ifd_map_part(const struct ifd_map *map, uint64_t offset, uint64_t len, uint32_t flags);
struct ifd_map *__wrap_ifd_map_part(const struct ifd_map *map, uint64_t offset, uint64_t len, uint32_t flags);
struct ifd_map *__wrap_ifd_map_part(const struct ifd_map *map, uint64_t offset, uint64_t len, uint32_t flags)
{
	return memory_fails_in && !--memory_fails_in ? NULL : __real_ifd_map_part(map, offset, len, flags);
}
