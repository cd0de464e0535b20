/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the NVMe example tells of what it measured, and which blocks it wanders over. */
#include "bench.h"
#include "unit.h"

#include <stdlib.h>

#define MOST 5000

volatile sig_atomic_t stopped; /* main.c has it */
static struct latency latency;
static uint64_t state;

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The shortest time that is not shorter than this part of them, which are sorted. */
static uint64_t exactly(const uint64_t *times, size_t count, double part)
{
	size_t i = 0;

	while ((double)(i + 1) < part * (double)count)
		i++;
	return times[i];
}

START_TEST(percentiles_are_those_of_all_times_or_3_percent_more)
{
	static const double parts[] = { 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1 };
	static uint64_t times[MOST];

	state = unit_seed();
	for (unsigned int round = 0; round < 300; round++) {
		size_t count = 1 + unit_below(&state, round % 2 ? MOST : 20);
		unsigned int shift = (unsigned int)unit_below(&state, 64);

		latency = (struct latency){ 0 };
		for (size_t i = 0; i < count; i++) {
			times[i] = unit_random(&state) >> (shift + unit_below(&state, 64 - shift));
			latency_add(&latency, times[i]);
		}
		qsort(times, count, sizeof(times[0]), by_size);
		ck_assert_uint_eq(latency.count, count);
		ck_assert_uint_eq(latency.max, times[count - 1]);
		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
			uint64_t is = latency_at(&latency, parts[i]), exact = exactly(times, count, parts[i]);

			ck_assert_uint_ge(is, exact);
			ck_assert_uint_le(is - exact, exact / LATENCY_STEPS);
			ck_assert_uint_le(is, latency.max);
		}
	}
}
END_TEST

START_TEST(times_at_the_borders_of_powers_of_two_are_told_as_well)
{
	for (unsigned int shift = 0; shift < 64; shift++)
		for (unsigned int i = 0; i < 3; i++) {
			uint64_t ns = (UINT64_C(1) << shift) + i - 1, is;

			latency = (struct latency){ 0 };
			latency_add(&latency, ns);
			latency_add(&latency, UINT64_MAX);
			is = latency_at(&latency, 0.5);
			ck_assert_uint_ge(is, ns);
			ck_assert_uint_le(is - ns, ns / LATENCY_STEPS);
			ck_assert_uint_eq(latency_at(&latency, 1), UINT64_MAX);
		}
}
END_TEST

START_TEST(where_nothing_was_done_no_time_is_told)
{
	latency = (struct latency){ 0 };
	ck_assert_uint_eq(latency_at(&latency, 0.5), 0);
}
END_TEST

START_TEST(the_median_is_in_the_middle_or_between_the_two_that_are)
{
	double one[] = { 5 }, two[] = { 4, 1 }, three[] = { 9, 1, 4 }, four[] = { 8, 1, 100, 2 };

	ck_assert_double_eq(median(one, 1), 5);
	ck_assert_double_eq(median(two, 2), 2.5);
	ck_assert_double_eq(median(three, 3), 4);
	ck_assert_double_eq(median(four, 4), 5);
	ck_assert_double_eq(four[0], 1);
	ck_assert_double_eq(four[3], 100);
}
END_TEST

START_TEST(sequential_places_begin_anew_at_the_end)
{
	struct places places = { .count = 3, .sequential = true };

	for (uint64_t i = 0; i < 10; i++)
		ck_assert_uint_eq(places_take(&places), i % 3);
}
END_TEST

START_TEST(random_places_are_all_of_them_in_no_order)
{
	struct places places = { .count = 7 };
	unsigned int often[7] = { 0 }, next = 0;
	uint64_t last = 0;

	for (unsigned int i = 0; i < 7000; i++) {
		uint64_t place = places_take(&places);

		ck_assert_uint_lt(place, 7);
		often[place]++;
		next += place == (last + 1) % 7;
		last = place;
	}
	for (unsigned int i = 0; i < 7; i++)
		ck_assert_uint_gt(often[i], 500);
	ck_assert_uint_lt(next, 2000);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, percentiles_are_those_of_all_times_or_3_percent_more);
	tcase_add_test(tcase, times_at_the_borders_of_powers_of_two_are_told_as_well);
	tcase_add_test(tcase, where_nothing_was_done_no_time_is_told);
	tcase_add_test(tcase, the_median_is_in_the_middle_or_between_the_two_that_are);
	tcase_add_test(tcase, sequential_places_begin_anew_at_the_end);
	tcase_add_test(tcase, random_places_are_all_of_them_in_no_order);
}
