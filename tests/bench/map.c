/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Mapping and unmapping, with a device attached, by the library and by the bare ioctl. --short measures what the goals
 * are about only; --rows gives the names of the rows another beginning, for other clocks and kernels.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "guest.h"

#define MOST    (UINT64_C(64) << 20)
#define PRESENT UINT64_C(0x10000000)
#define PLACE   (UINT64_C(1) << 38)

static struct side sides[GUEST_SIDES];
static const char *rows = "", *unit = "us";
static double unit_ns = 1000;
static char *memory, *addresses;
static size_t present;

/* How often, so that a round is long against the clock and all of them together are not. */
struct size {
	const char *name;
	uint64_t len;
	unsigned int pieces, rounds;
};

static const struct size sizes[] = {
	{ "4K", BENCH_PAGE, 64, 25 },
	{ "64K", UINT64_C(64) << 10, 32, 15 },
	{ "2M", UINT64_C(2) << 20, 8, 9 },
	{ "64M", MOST, 1, 5 },
};

static void fill(size_t count)
{
	for (; present < count; present++)
		for (unsigned int i = 0; i < GUEST_SIDES; i++) {
			uint64_t iova = PRESENT + present * BENCH_PAGE;

			guest_map(&sides[i], addresses + present * BENCH_PAGE, BENCH_PAGE, true, &iova);
		}
}

struct took {
	struct bench_figures map, unmap, both;
};

/* All pieces, and then away again; and each piece away at once. */
static void go(const struct side *side, const struct size *size, bool fixed, struct took *took)
{
	double each = size->pieces * unit_ns;
	uint64_t start, iovas[64], iova = PLACE;

	for (unsigned int i = 0; i < size->pieces; i++)
		iovas[i] = PLACE + i * size->len;
	start = bench_now();
	for (unsigned int i = 0; i < size->pieces; i++)
		guest_map(side, memory + i * size->len, size->len, fixed, &iovas[i]);
	bench_add(&took->map, (double)(bench_now() - start) / each);

	start = bench_now();
	for (unsigned int i = 0; i < size->pieces; i++)
		guest_unmap(side, iovas[i], size->len);
	bench_add(&took->unmap, (double)(bench_now() - start) / each);

	start = bench_now();
	for (unsigned int i = 0; i < size->pieces; i++) {
		guest_map(side, memory + i * size->len, size->len, fixed, &iova);
		guest_unmap(side, iova, size->len);
	}
	bench_add(&took->both, (double)(bench_now() - start) / each);
}

static void measure(const struct size *size, bool fixed)
{
	struct took took[GUEST_SIDES] = { 0 };
	const struct took *baseline = &took[GUEST_RAW], *library = &took[GUEST_LIBRARY];
	const char *how = fixed ? "" : "picked/", *count = bench_count(present);

	for (unsigned int round = 0; round < size->rounds; round++)
		for (unsigned int i = 0; i < GUEST_SIDES; i++) {
			unsigned int who = bench_turn(round, i, GUEST_SIDES);

			go(&sides[who], size, fixed, &took[who]);
		}
	bench_row(unit, &baseline->map, &library->map, "%smap/%s%s/%s", rows, how, size->name, count);
	bench_row(unit, &baseline->unmap, &library->unmap, "%sunmap/%s%s/%s", rows, how, size->name, count);
	bench_row(unit, &baseline->both, &library->both, "%smap+unmap/%s%s/%s", rows, how, size->name, count);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "short", no_argument, NULL, 's' },
		{ "rows", required_argument, NULL, 'r' },
		{ "instructions", no_argument, NULL, 'i' },
		{ NULL, 0, NULL, 0 },
	};
	static const size_t counts[] = { 1, 10, 100, 1000, 10000, 50000, 100000 };
	/* A kernel that picks an address looks through all that is mapped: not so often then. */
	static const struct size picked = { "4K", BENCH_PAGE, 16, 5 };
	bool is_short = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case 's':
			is_short = true;
			break;
		case 'r':
			rows = optarg;
			break;
		case 'i':
			unit = "instructions", unit_ns = 1;
			break;
		default:
			bench_die("usage: bench-map [--short] [--rows PREFIX] [--instructions]");
		}
	guest_sides(sides, true);
	memory = guest_memory(MOST);
	addresses = guest_addresses(100000 * BENCH_PAGE);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		bool asked = counts[i] == 1 || counts[i] == 1000 || counts[i] == 100000;

		/* A container takes no more than 65535. */
		if (sides[GUEST_RAW].by_vfio ? counts[i] == 100000 : counts[i] == 50000)
			continue;
		fill(counts[i]);
		for (size_t s = 0; s < (asked && !is_short ? sizeof(sizes) / sizeof(sizes[0]) : 1); s++)
			measure(&sizes[s], true);
		if (asked && !is_short && !sides[GUEST_RAW].by_vfio)
			measure(&picked, false);
	}
	return 0;
}
