/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Addresses that are taken and given back for long, in sizes from 4 KiB to 2 MiB, each aligned to its size. The
 * library maps and unmaps in a kernel that does nothing; the baseline is the first gap that is large enough, looked
 * for from the start of a sorted array, and so is an allocator only. Both do the same things in the same order.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "fake.h"

#define SLOTS   10000
#define BLOCK   10000
#define ROUNDS  15
#define LARGEST (UINT64_C(2) << 20)
#define LOW     UINT64_C(0x10000)
#define FLAGS   (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)

struct place {
	uint64_t iova, len; /* no length: nothing is there */
};

/* ---- The first gap ---- */

static struct place taken[SLOTS];
static size_t count;

static uint64_t first_gap(uint64_t len)
{
	uint64_t at = (LOW + (len - 1)) & ~(len - 1);
	size_t i = 0;

	for (; i < count && (taken[i].iova < at || taken[i].iova - at < len); i++) {
		uint64_t end = taken[i].iova + taken[i].len;

		if (end > at)
			at = (end + (len - 1)) & ~(len - 1);
	}
	memmove(&taken[i + 1], &taken[i], (count - i) * sizeof(taken[0]));
	taken[i] = (struct place){ at, len };
	count++;
	return at;
}

static void give_back(uint64_t iova)
{
	size_t low = 0, high = count;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (taken[middle].iova <= iova)
			low = middle;
		else
			high = middle;
	}
	count--;
	memmove(&taken[low], &taken[low + 1], (count - low) * sizeof(taken[0]));
}

/* ---- Both ---- */

struct side {
	struct iommufd_ioas *ioas; /* NULL for the array */
	struct place *places;
	uint64_t state;
};

static uint64_t take(const struct side *side, size_t slot, uint64_t len)
{
	uint64_t iova;

	if (!side->ioas)
		return first_gap(len);
	bench_ok("map", iommufd_ioas_map(side->ioas, fake_memory(slot * 2 * LARGEST), len, FLAGS, &iova));
	return iova;
}

static void give(const struct side *side, const struct place *place)
{
	if (side->ioas)
		bench_ok("unmap", iommufd_ioas_unmap(side->ioas, place->iova, place->len, NULL));
	else
		give_back(place->iova);
}

/* One time in two a slot is emptied, or else filled. Nanoseconds a step. */
static double churn(struct side *side)
{
	uint64_t start = bench_cpu();

	for (unsigned int i = 0; i < BLOCK; i++) {
		size_t slot = bench_random(&side->state) % SLOTS;
		uint64_t len = BENCH_PAGE << bench_random(&side->state) % 10;
		struct place *place = &side->places[slot];

		if (place->len) {
			give(side, place);
			place->len = 0;
		} else {
			place->iova = take(side, slot, len);
			place->len = len;
		}
	}
	return (double)(bench_cpu() - start) / BLOCK;
}

/* How many times what is in use lies between the lowest and the highest address of it. */
static double spread(const struct side *side)
{
	uint64_t low = UINT64_MAX, high = 0, used = 0;

	for (size_t i = 0; i < SLOTS; i++) {
		const struct place *place = &side->places[i];

		if (!place->len)
			continue;
		used += place->len;
		low = place->iova < low ? place->iova : low;
		high = place->iova + place->len > high ? place->iova + place->len : high;
	}
	return (double)(high - low) / (double)used;
}

enum {
	BASELINE,
	LIBRARY,
	SIDES,
};

/* So many blocks by each, in turns. */
static void blocks(struct side sides[SIDES], unsigned int times, struct bench_figures took[SIDES])
{
	for (unsigned int round = 0; round < times; round++)
		for (unsigned int i = 0; i < SIDES; i++) {
			unsigned int who = bench_turn(round, i, SIDES);
			double ns = churn(&sides[who]);

			if (took)
				bench_add(&took[who], ns);
		}
}

int main(void)
{
	static struct place baseline_places[SLOTS], library_places[SLOTS];
	struct side sides[SIDES] = { { NULL, baseline_places, 1 }, { fake_ioas_new(), library_places, 1 } };
	struct bench_figures early[SIDES] = { 0 }, late[SIDES] = { 0 };
	double spread_early;

	/* Until half of the slots are full, which is how many then stay so. */
	blocks(sides, 2, NULL);
	spread_early = spread(&sides[LIBRARY]);
	blocks(sides, ROUNDS, early);
	blocks(sides, 100, NULL);
	blocks(sides, ROUNDS, late);
	bench_row("ns", &early[BASELINE], &early[LIBRARY], "churn/step");
	bench_row("ns", &early[LIBRARY], &late[LIBRARY], "churn/step after a million more");
	bench_number("times what is in use", spread(&sides[BASELINE]), spread(&sides[LIBRARY]), "churn/spread");
	bench_number("times what is in use", spread_early, spread(&sides[LIBRARY]),
		     "churn/spread after a million more");
	iommufd_ioas_free(sides[LIBRARY].ioas);
	return 0;
}
