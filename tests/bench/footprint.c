/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Memory that a mapping costs the process, as the kernel counts it; the baseline is three numbers in an array. */
#include <stdlib.h>

#include "bench.h"
#include "fake.h"

#define FLAGS (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)

struct plain {
	uint64_t vaddr, iova, len;
};

/* Every second page, or 2 MiB in a row; in a process that has not allocated before. */
static void mappings(size_t count, uint64_t len, uint64_t stride)
{
	struct iommufd_ioas *ioas = fake_ioas_new();
	struct plain *plain;
	double start = bench_memory("Rss"), baseline, library;
	uint64_t iova;

	plain = malloc(count * sizeof(*plain));
	if (!plain)
		bench_die("no memory for %zu entries", count);
	for (size_t i = 0; i < count; i++)
		plain[i] = (struct plain){ i * stride, i * stride, len };
	baseline = bench_memory("Rss") - start;
	start = bench_memory("Rss");
	for (size_t i = 0; i < count; i++)
		bench_ok("map", iommufd_ioas_map(ioas, fake_memory(i * stride), len, FLAGS, &iova));
	library = bench_memory("Rss") - start;
	bench_number("bytes a mapping", baseline / (double)count, library / (double)count, "footprint/%s of %s",
		     bench_count(count), len == BENCH_PAGE ? "4K" : "2M");
	/* So that the next one is not given what this one leaves. */
	if (!plain[count - 1].len)
		bench_die("the array was lost");
}

/* What the first mapping costs in an IOAS that had none, in bytes. */
static double first(uint64_t len)
{
	struct iommufd_ioas *ioas = fake_ioas_new();
	double start = bench_memory("Rss");
	uint64_t iova;

	bench_ok("map", iommufd_ioas_map(ioas, fake_memory(0), len, FLAGS, &iova));
	return bench_memory("Rss") - start;
}

/* As much as a large machine has, in one mapping. */
static void large(void)
{
	static const uint64_t lens[] = { BENCH_PAGE, UINT64_C(1) << 40 };
	struct iommufd_ioas *ioas = fake_ioas_new();
	struct bench_figures took[2] = { 0 };
	uint64_t iova;
	double small;

	for (unsigned int round = 0; round < 20; round++)
		for (unsigned int i = 0; i < 2; i++) {
			unsigned int which = bench_turn(round, i, 2);
			uint64_t start = bench_cpu();

			bench_ok("map", iommufd_ioas_map(ioas, fake_memory(0), lens[which], FLAGS, &iova));
			bench_ok("unmap", iommufd_ioas_unmap(ioas, iova, lens[which], NULL));
			bench_add(&took[which], (double)(bench_cpu() - start));
		}
	bench_row("ns", &took[0], &took[1], "footprint/time of 1T over 4K");
	first(lens[0]); /* what the first of all takes for the program itself */
	small = first(lens[0]);
	bench_number("bytes", small, first(lens[1]), "footprint/memory of 1T");
}

int main(void)
{
	large();
	mappings(10000, BENCH_PAGE, 2 * BENCH_PAGE);
	mappings(100000, BENCH_PAGE, 2 * BENCH_PAGE);
	mappings(1000000, BENCH_PAGE, 2 * BENCH_PAGE);
	mappings(10000, UINT64_C(2) << 20, UINT64_C(2) << 20);
	return 0;
}
