/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Many small mappings at once, with a device attached: a call against one ioctl each. */
#include <stdlib.h>

#include "bench.h"
#include "guest.h"

#define COUNT  10000
#define STRIDE (2 * BENCH_PAGE)
#define PLACE  (UINT64_C(1) << 38)
#define ROUNDS 5

static struct iommufd_map maps[COUNT];
static char *addresses;

static void map_all(const struct side *side)
{
	for (size_t i = 0; i < COUNT; i++)
		maps[i] = (struct iommufd_map){
			.vaddr = addresses + i * BENCH_PAGE,
			.len = BENCH_PAGE,
			.iova = PLACE + i * STRIDE,
			.flags = GUEST_FLAGS | IOMMUFD_MAP_FIXED,
		};
	if (!side->raw)
		bench_ok("map a batch", iommufd_ioas_map_batch(side->ioas, maps, COUNT, NULL));
	for (size_t i = 0; i < COUNT && side->raw; i++)
		guest_map(side, maps[i].vaddr, maps[i].len, true, &maps[i].iova);
}

/* The range has holes, over which both reach. */
static void unmap_all(const struct side *side)
{
	guest_unmap(side, PLACE, COUNT * STRIDE);
}

int main(void)
{
	struct side sides[GUEST_SIDES];
	struct bench_figures map[GUEST_SIDES] = { 0 }, unmap[GUEST_SIDES] = { 0 };

	guest_sides(sides, true);
	addresses = guest_addresses(COUNT * BENCH_PAGE);
	for (unsigned int round = 0; round < ROUNDS; round++)
		for (unsigned int i = 0; i < GUEST_SIDES; i++) {
			unsigned int who = bench_turn(round, i, GUEST_SIDES);
			uint64_t start = bench_now(), middle;

			map_all(&sides[who]);
			middle = bench_now();
			unmap_all(&sides[who]);
			bench_add(&map[who], (double)(middle - start) / (1000.0 * COUNT));
			bench_add(&unmap[who], (double)(bench_now() - middle) / (1000.0 * COUNT));
		}
	bench_row("us a mapping", &map[GUEST_RAW], &map[GUEST_LIBRARY], "batch/map 10k");
	bench_row("us a mapping", &unmap[GUEST_RAW], &unmap[GUEST_LIBRARY], "batch/unmap 10k");
	return 0;
}
