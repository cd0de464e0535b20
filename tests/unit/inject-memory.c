/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Where the library gets memory: any of it can be made to fail. */
#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "index.h"
#include "inject.h"

int __real_ifd_sys_mmap(int fd, uint64_t offset, size_t len, int prot, int flags, void **out);
int __real_ifd_sys_munmap(void *addr, size_t len);
int __real_ifd_sys_mprotect(void *addr, size_t len, int prot);
void *__real_calloc(size_t count, size_t size);
struct ifd_map *__real_ifd_map_new(const void *vaddr, size_t len, uint32_t flags);
struct ifd_map *__real_ifd_map_part(const struct ifd_map *map, uint64_t offset, uint64_t len, uint32_t flags);

int __wrap_ifd_sys_mmap(int fd, uint64_t offset, size_t len, int prot, int flags, void **out);
int __wrap_ifd_sys_munmap(void *addr, size_t len);
int __wrap_ifd_sys_mprotect(void *addr, size_t len, int prot);
int __wrap_ifd_sys_mbind(void *addr, size_t len, unsigned int node);
void *__wrap_calloc(size_t count, size_t size);
struct ifd_map *__wrap_ifd_map_new(const void *vaddr, size_t len, uint32_t flags);
struct ifd_map *__wrap_ifd_map_part(const struct ifd_map *map, uint64_t offset, uint64_t len, uint32_t flags);

static atomic_size_t mapped;

size_t inject_mapped(void)
{
	return mapped;
}

int __wrap_ifd_sys_mmap(int fd, uint64_t offset, size_t len, int prot, int flags, void **out)
{
	int err = inject_enter(INJECT_MMAP);

	err = err ? err : __real_ifd_sys_mmap(fd, offset, len, prot, flags, out);
	if (!err)
		mapped += len;
	return err;
}

int __wrap_ifd_sys_munmap(void *addr, size_t len)
{
	ck_assert_msg(len <= mapped, "the library unmaps %zu bytes at %p and has %zu", len, addr, mapped);
	mapped -= len;
	return __real_ifd_sys_munmap(addr, len);
}

int __wrap_ifd_sys_mprotect(void *addr, size_t len, int prot)
{
	int err = inject_enter(INJECT_MPROTECT);

	return err ? err : __real_ifd_sys_mprotect(addr, len, prot);
}

int __wrap_ifd_sys_mbind(void *addr, size_t len, unsigned int node)
{
	(void)addr;
	(void)len;
	(void)node;
	return inject_enter(INJECT_MBIND);
}

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
