/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a benchmark is made of. A row has a name, a unit, what the baseline took and what the library took, both
 * measured in turns in the same process. Rows go to standard output as JSON, one a line; tests/bench/report gathers
 * them.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_PAGE UINT64_C(4096)

/* Nanoseconds: of the wall's clock, and that the calling thread was on a CPU. */
uint64_t bench_now(void);
uint64_t bench_cpu(void);

/* Bytes of the process's memory, of a kind that is a line of /proc/self/smaps_rollup: "Rss", "AnonHugePages". */
double bench_memory(const char *kind);

/* Ends the program, with the thread's words, when something does not work that has to. */
void bench_ok(const char *what, int ret);
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Who is next in a round: each begins as often as the others, so that nobody always comes after the same one. */
static inline unsigned int bench_turn(unsigned int round, unsigned int i, unsigned int count)
{
	return (round + i) % count;
}

/* Figures of the same thing. The best is what it costs when nothing is in the way; few if any were lucky. */
#define BENCH_MAX_ROUNDS 100
struct bench_figures {
	size_t count;
	double of[BENCH_MAX_ROUNDS];
};

void bench_add(struct bench_figures *figures, double figure);
double bench_best(const struct bench_figures *figures);
double bench_median(const struct bench_figures *figures);

/* A row of rounds that were made in turns. `format` is the row's name. */
void bench_row(const char *unit, const struct bench_figures *baseline, const struct bench_figures *library,
	       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* One of two numbers that are what they are; NAN for a baseline that there is not. */
void bench_number(const char *unit, double baseline, double library, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A row that cannot be had here. */
void bench_skip(const char *reason, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "1", "1k", "100k", "1M" in a buffer of the thread. */
const char *bench_count(size_t count);

/* The next of a sequence that looks random and is the same each time. */
static inline uint64_t bench_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

#endif
