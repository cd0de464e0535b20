/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A guest's memory, of which nothing is there yet ("cold") or all ("warm"), with a device attached: mapped by the
 * library, and by one bare ioctl. What is cold also by the library in parts, and by the ioctl after two threads have
 * touched each page.
 */
#include <fcntl.h>
#include <pthread.h>
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
#define PARTS  8

enum kind {
	SMALL,
	THP,
	HUGETLB,
	KINDS,
};
static const char *const names[KINDS] = { "4K", "THP", "hugetlb" };

/* Both CPUs bring in what is not there. Of several parts, they map one each too. */
static void library_map(const struct side *side, char *ram, unsigned int parts)
{
	struct iommufd_batch_opts opts = { .struct_size = sizeof(opts), .flags = IOMMUFD_BATCH_POPULATE, .threads = 2 };
	struct iommufd_map maps[PARTS];
	size_t len = RAM / parts;

	for (unsigned int i = 0; i < parts; i++)
		maps[i] = (struct iommufd_map){
			.vaddr = ram + i * len,
			.len = len,
			.iova = PLACE + i * len,
			.flags = GUEST_FLAGS | IOMMUFD_MAP_FIXED,
		};
	bench_ok("map", iommufd_ioas_map_batch(side->ioas, maps, parts, &opts));
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
static char *ram_new(enum kind kind, bool warm)
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

/* ---- The ways to map it ---- */

enum way {
	BY_LIBRARY,
	BY_IOCTL,
	IN_PARTS, /* by the library; these two of cold memory only */
	TOUCHED,
	WAYS,
};

/* Each page, in half of the memory. */
static void *touch(void *half)
{
	for (size_t at = 0; at < RAM / 2; at += BENCH_PAGE)
		((volatile char *)half)[at] = 1;
	return NULL;
}

static void touch_all(char *ram)
{
	pthread_t other;

	if (pthread_create(&other, NULL, touch, ram + RAM / 2))
		bench_die("no thread");
	touch(ram);
	pthread_join(other, NULL);
}

static bool is_librarys(enum way way)
{
	return way == BY_LIBRARY || way == IN_PARTS;
}

/* Milliseconds. */
static double go(const struct side *side, enum way way, char *ram)
{
	uint64_t start = bench_now(), iova = PLACE;

	if (is_librarys(way)) {
		library_map(side, ram, way == IN_PARTS ? PARTS : 1);
	} else {
		if (way == TOUCHED)
			touch_all(ram);
		guest_map(side, ram, RAM, true, &iova);
	}
	return (double)(bench_now() - start) / 1e6;
}

/* Whoever asks for transparent huge pages may be given small ones, and is not told. Nothing else here is huge so. */
static bool are_huge(void)
{
	return bench_memory("AnonHugePages") >= (double)RAM;
}

/* NULL, or why there is no figure. */
static const char *measure_once(const struct side *side, enum way way, enum kind kind, bool warm, double *ms)
{
	char *ram = ram_new(kind, warm);
	const char *why = NULL;

	if (!ram)
		return "the machine has no such pages";
	*ms = go(side, way, ram);
	if (kind == THP && !are_huge())
		why = "the machine gave small pages";
	guest_unmap(side, PLACE, RAM);
	munmap(ram, RAM);
	return why;
}

static void measure(const struct side *sides, enum kind kind, bool warm)
{
	struct bench_figures took[WAYS] = { 0 };
	unsigned int ways = warm ? IN_PARTS : WAYS;
	const char *state = warm ? "warm" : "cold", *why = NULL;

	for (unsigned int round = 0; round < ROUNDS && !why; round++)
		for (unsigned int i = 0; i < ways && !why; i++) {
			enum way way = bench_turn(round, i, ways);
			double ms = 0;

			why = measure_once(&sides[is_librarys(way) ? GUEST_LIBRARY : GUEST_RAW], way, kind, warm, &ms);
			bench_add(&took[way], ms);
		}
	if (why) {
		bench_skip(why, "ram/%s/%s", state, names[kind]);
		if (!warm) {
			bench_skip(why, "ram/parts/%s", names[kind]);
			bench_skip(why, "ram/touched/%s", names[kind]);
		}
		return;
	}
	bench_row("ms for 64 MiB", &took[BY_IOCTL], &took[BY_LIBRARY], "ram/%s/%s", state, names[kind]);
	if (!warm) {
		bench_row("ms for 64 MiB", &took[BY_IOCTL], &took[IN_PARTS], "ram/parts/%s", names[kind]);
		bench_row("ms for 64 MiB", &took[TOUCHED], &took[BY_LIBRARY], "ram/touched/%s", names[kind]);
	}
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
