/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Memory that a mapping costs the process, as the kernel counts it; the baseline is three numbers in an array. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "fake.h"

#define FLAGS (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)

struct plain {
	uint64_t vaddr, iova, len;
};

static double resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long all, mine;

	if (!file || fscanf(file, "%lu %lu", &all, &mine) != 2)
		bench_die("/proc/self/statm does not tell how much memory there is");
	fclose(file);
	return (double)mine * (double)sysconf(_SC_PAGESIZE);
}

/* Every second page, or 2 MiB in a row; in a process that has not allocated before. */
static void mappings(size_t count, uint64_t len, uint64_t stride)
{
	struct iommufd_ioas *ioas = fake_ioas_new();
	struct plain *plain;
	double start = resident(), baseline, library;
	uint64_t iova;

	plain = malloc(count * sizeof(*plain));
	if (!plain)
		bench_die("no memory for %zu entries", count);
	for (size_t i = 0; i < count; i++)
		plain[i] = (struct plain){ i * stride, i * stride, len };
	baseline = resident() - start;
	start = resident();
	for (size_t i = 0; i < count; i++)
		bench_ok("map", iommufd_ioas_map(ioas, fake_memory(i * stride), len, FLAGS, &iova));
	library = resident() - start;
	bench_number("bytes a mapping", baseline / (double)count, library / (double)count, "footprint/%s of %s",
		     bench_count(count), len == BENCH_PAGE ? "4K" : "2M");
	/* So that the next one is not given what this one leaves. */
	if (!plain[count - 1].len)
		bench_die("the array was lost");
}

/* As much as a large machine has, in one mapping. */
static void large(void)
{
	struct iommufd_ioas *ioas = fake_ioas_new();
	struct bench_figures small = { 0 }, large = { 0 };
	uint64_t iova;
	double start;

	for (unsigned int i = 0; i < 20; i++)
		for (unsigned int is_large = 0; is_large < 2; is_large++) {
			uint64_t len = is_large ? UINT64_C(1) << 40 : BENCH_PAGE, from = bench_cpu();

			bench_ok("map", iommufd_ioas_map(ioas, fake_memory(0), len, FLAGS, &iova));
			bench_ok("unmap", iommufd_ioas_unmap(ioas, iova, len, NULL));
			bench_add(is_large ? &large : &small, (double)(bench_cpu() - from));
		}
	bench_row("ns", &small, &large, "footprint/time of 1T over 4K");
	start = resident();
	bench_ok("map", iommufd_ioas_map(ioas, fake_memory(0), UINT64_C(1) << 40, FLAGS, &iova));
	bench_number("bytes", NAN, resident() - start, "footprint/memory of 1T");
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
