/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A guest's memory, of which nothing is there yet ("cold") or all ("warm"), mapped by the library and by one bare
 * ioctl, with a device attached.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "guest.h"

#define RAM    (UINT64_C(64) << 20)
#define HUGE   (UINT64_C(2) << 20)
#define PLACE  (UINT64_C(1) << 38)
#define ROUNDS 11

enum kind {
	SMALL,
	THP,
	HUGETLB,
	KINDS,
};
static const char *const names[KINDS] = { "4K", "THP", "hugetlb" };

/* Both CPUs bring in what is not there. */
static void library_map(const struct side *side, void *ram)
{
	struct iommufd_batch_opts opts = { .struct_size = sizeof(opts), .flags = IOMMUFD_BATCH_POPULATE, .threads = 2 };
	struct iommufd_map map = { .vaddr = ram, .len = RAM, .iova = PLACE, .flags = GUEST_FLAGS | IOMMUFD_MAP_FIXED };

	bench_ok("map", iommufd_ioas_map_batch(side->ioas, &map, 1, &opts));
}

static void write_number(const char *path, unsigned int number)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		dprintf(fd, "%u", number);
		close(fd);
	}
}

/* NULL where there is no such memory. */
static void *ram_new(enum kind kind, bool warm)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (kind == HUGETLB ? MAP_HUGETLB : 0);
	size_t slack = kind == HUGETLB ? 0 : HUGE;
	char *all = mmap(NULL, RAM + slack, PROT_READ | PROT_WRITE, flags, -1, 0), *ram;

	if (all == MAP_FAILED)
		return NULL;
	ram = all + (-(uintptr_t)all & (HUGE - 1));
	if (ram > all)
		munmap(all, (size_t)(ram - all));
	if (ram < all + slack)
		munmap(ram + RAM, (size_t)(all + slack - ram));
	if (kind != HUGETLB && madvise(ram, RAM, kind == THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) && kind == THP) {
		munmap(ram, RAM);
		return NULL;
	}
	for (size_t at = 0; warm && at < RAM; at += BENCH_PAGE)
		((volatile char *)ram)[at] = 1;
	return ram;
}

static double go(const struct side *side, void *ram)
{
	uint64_t start = bench_now(), iova = PLACE;

	if (side->raw)
		guest_map(side, ram, RAM, true, &iova);
	else
		library_map(side, ram);
	return (double)(bench_now() - start) / 1e6;
}

static void measure(const struct side *sides, enum kind kind, bool warm)
{
	const char *state = warm ? "warm" : "cold";
	struct bench_figures took[GUEST_SIDES] = { 0 };

	for (unsigned int round = 0; round < ROUNDS; round++)
		for (unsigned int i = 0; i < GUEST_SIDES; i++) {
			void *ram = ram_new(kind, warm);

			if (!ram) {
				bench_skip("the machine has no such pages", "ram/%s/%s", state, names[kind]);
				return;
			}
			bench_add(&took[i], go(&sides[i], ram));
			guest_unmap(&sides[i], PLACE, RAM);
			munmap(ram, RAM);
		}
	bench_row("ms for 64 MiB", &took[GUEST_RAW], &took[GUEST_LIBRARY], "ram/%s/%s", state, names[kind]);
}

int main(void)
{
	struct side sides[GUEST_SIDES];

	write_number("/proc/sys/vm/nr_hugepages", RAM / HUGE + 2);
	guest_sides(sides, true);
	for (enum kind kind = SMALL; kind < KINDS; kind++)
		for (unsigned int warm = 0; warm <= 1; warm++)
			measure(sides, kind, warm);
	return 0;
}
