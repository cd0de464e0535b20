/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Percentiles and medians. */
#include "bench.h"

#include <stdlib.h>

/*
 * Times up to LATENCY_STEPS have a bucket each. Above, each power of two is divided into as many buckets: a time is
 * shifted until it is less than twice LATENCY_STEPS, and each shift has a row of them.
 */
static uint32_t bucket_of(uint64_t ns)
{
	uint32_t shift = 0;

	while (ns >> shift >= 2 * LATENCY_STEPS)
		shift++;
	return shift * LATENCY_STEPS + (uint32_t)(ns >> shift);
}

/* The longest time that is in a bucket. */
static uint64_t end_of(uint32_t bucket)
{
	uint32_t shift = bucket < 2 * LATENCY_STEPS ? 0 : bucket / LATENCY_STEPS - 1;

	return ((uint64_t)(bucket - shift * LATENCY_STEPS + 1) << shift) - 1;
}

void latency_add(struct latency *l, uint64_t ns)
{
	l->buckets[bucket_of(ns)]++;
	l->count++;
	if (ns > l->max)
		l->max = ns;
}

uint64_t latency_at(const struct latency *l, double part)
{
	double wanted = part * (double)l->count;
	uint64_t seen = 0;

	for (uint32_t i = 0; i < sizeof(l->buckets) / sizeof(*l->buckets); i++) {
		seen += l->buckets[i];
		if ((double)seen >= wanted && seen)
			return end_of(i) < l->max ? end_of(i) : l->max;
	}
	return l->max;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(double *values, uint32_t count)
{
	qsort(values, count, sizeof(*values), by_size);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}
