/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Memory for the tables of a radix table. The first ones are allocated one by one. Of many, a lookup at random finds
 * neither a word nor the CPU's translation of its address in a cache, so the others are in blocks, each of which is one
 * huge page where the kernel has such. A block is not more than what there is already.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "radix.h"
#include "sys.h"

/* Behind its tables. */
struct ifd_block {
	struct ifd_block *older;
};

#define BLOCK    IFD_RADIX_BLOCK
#define LINE     64u
#define STRIDE   ((sizeof(struct ifd_table) + (LINE - 1)) / LINE * LINE)
#define IN_BLOCK ((BLOCK - sizeof(struct ifd_block)) / STRIDE)
#define SINGLE   IFD_RADIX_SINGLE

/* Where the block is; or NULL. Kernels do not align what is mapped, or have only done so of late. */
static char *map_block(void)
{
	size_t head;
	void *all;

	if (ifd_sys_mmap(-1, 0, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, &all))
		return NULL;
	head = (size_t)(-(uintptr_t)all & (BLOCK - 1));
	if (head)
		ifd_sys_munmap(all, head);
	ifd_sys_munmap((char *)all + head + BLOCK, BLOCK - head);
	return (char *)all + head;
}

static char *memory_of(struct ifd_block *block)
{
	return (char *)block - IN_BLOCK * STRIDE;
}

/* Advice that the kernel does not take changes nothing but the time that lookups take. */
static bool add_block(struct ifd_radix *radix)
{
	char *memory = map_block();
	struct ifd_block *block;

	if (!memory)
		return false;
	ifd_sys_madvise(memory, BLOCK, MADV_HUGEPAGE);
	block = (struct ifd_block *)(void *)(memory + IN_BLOCK * STRIDE);
	block->older = radix->blocks;
	radix->blocks = block;
	radix->num_blocks++;
	radix->in_block = 0;
	return true;
}

static struct ifd_table *from_block(struct ifd_radix *radix)
{
	struct ifd_table *table;

	if ((!radix->blocks || radix->in_block == IN_BLOCK) && !add_block(radix))
		return NULL;
	table = (struct ifd_table *)(void *)(memory_of(radix->blocks) + radix->in_block++ * STRIDE);
	table->in_block = true;
	return table;
}

struct ifd_table *ifd_radix_more(struct ifd_radix *radix)
{
	struct ifd_table *table = radix->num_tables < SINGLE ? calloc(1, sizeof(*table)) : from_block(radix);

	if (!table)
		return NULL;
	table->older = radix->tables;
	radix->tables = table;
	radix->num_tables++;
	return table;
}

void ifd_radix_fini(struct ifd_radix *radix)
{
	while (radix->tables) {
		struct ifd_table *table = radix->tables;

		radix->tables = table->older;
		if (!table->in_block)
			free(table);
	}
	while (radix->blocks) {
		struct ifd_block *block = radix->blocks;

		radix->blocks = block->older;
		ifd_sys_munmap(memory_of(block), BLOCK);
	}
}
