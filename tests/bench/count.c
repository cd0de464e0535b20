/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Instructions of a call beside the kernel, for callgrind: what is counted is dumped under the name of its row and who
 * it was, and tests/bench/rows-of makes rows of that. The baseline is the ioctl of a kernel that does nothing, with the
 * filling in of its argument; so what the library has more is its own. For a lookup it is the loop alone.
 */
#include <stdio.h>
#include <string.h>
#include <valgrind/callgrind.h>

#include "bench.h"
#include "fake.h"

#define TIMES  100 /* as tests/bench/rows-of has it */
#define FLAGS  (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)
#define STRIDE (2 * BENCH_PAGE)
#define PLACE  (UINT64_C(1) << 36)

enum step {
	MAP,
	UNMAP,
	LOOK_UP,
};

static struct iommufd_ioas *ioas;
static uint64_t iovas[TIMES];

static void by_library(enum step step, unsigned int i, uint32_t flags)
{
	void *vaddr = fake_memory(PLACE + i * STRIDE);

	switch (step) {
	case MAP:
		bench_ok("map", iommufd_ioas_map(ioas, vaddr, BENCH_PAGE, flags, &iovas[i]));
		break;
	case UNMAP:
		bench_ok("unmap", iommufd_ioas_unmap(ioas, iovas[i], BENCH_PAGE, NULL));
		break;
	case LOOK_UP:
		bench_ok("look up", iommufd_ioas_to_iova(ioas, vaddr, BENCH_PAGE, &iovas[i]));
		break;
	}
}

static void by_ioctl(enum step step, unsigned int i)
{
	switch (step) {
	case MAP:
		fake_raw_map(fake_memory(PLACE + i * STRIDE), BENCH_PAGE, iovas[i]);
		break;
	case UNMAP:
		fake_raw_unmap(iovas[i], BENCH_PAGE);
		break;
	case LOOK_UP:
		break;
	}
}

static void counted(enum step step, bool raw, uint32_t flags, const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "%s %s", name, raw ? "baseline" : "library");
	CALLGRIND_ZERO_STATS;
	CALLGRIND_TOGGLE_COLLECT;
	for (unsigned int i = 0; i < TIMES; i++)
		if (raw)
			by_ioctl(step, i);
		else
			by_library(step, i, flags);
	CALLGRIND_TOGGLE_COLLECT;
	CALLGRIND_DUMP_STATS_AT(text);
}

static void all(const char *present, const char *picked, uint32_t flags)
{
	static const char *const names[] = { "map", "unmap", "look up" };
	static const enum step order[] = { MAP, LOOK_UP, UNMAP };
	char name[64];

	for (unsigned int i = 0; i < TIMES; i++)
		iovas[i] = PLACE + i * STRIDE;
	for (unsigned int i = 0; i < 3; i++) {
		enum step step = order[i];

		if (step == LOOK_UP && *picked)
			continue;
		snprintf(name, sizeof(name), "count/%s%s/%s", names[step], picked, present);
		counted(step, true, flags, name);
		counted(step, false, flags, name);
	}
}

int main(void)
{
	static const size_t counts[] = { 1, 1000, 100000 };
	size_t present = 0;
	uint64_t iova;

	ioas = fake_ioas_new();
	/* Each call once before, for what is done at the first time only: the linker looks up names then. */
	bench_ok("map", iommufd_ioas_map(ioas, fake_memory(PLACE), BENCH_PAGE, FLAGS, &iova));
	bench_ok("look up", iommufd_ioas_to_iova(ioas, fake_memory(PLACE), BENCH_PAGE, &iova));
	bench_ok("unmap", iommufd_ioas_unmap(ioas, iova, BENCH_PAGE, NULL));
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		for (; present < counts[i]; present++)
			bench_ok("map",
				 iommufd_ioas_map(ioas, fake_memory(present * STRIDE), BENCH_PAGE, FLAGS, &iova));
		all(bench_count(present), "", FLAGS | IOMMUFD_MAP_FIXED);
		all(bench_count(present), " picked", FLAGS);
	}
	return 0;
}
