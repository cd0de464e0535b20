/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include "bench.h"

#include <json-c/json.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libiommufd.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t bench_now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t bench_cpu(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

/* Each page is counted there; statm is told by counters that a CPU adds to when it has many. */
double bench_memory(const char *kind)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	unsigned long kib = ULONG_MAX;
	size_t len = strlen(kind);
	char line[256];

	while (file && kib == ULONG_MAX && fgets(line, sizeof(line), file))
		if (!strncmp(line, kind, len) && line[len] == ':')
			kib = strtoul(line + len + 1, NULL, 10);
	if (kib == ULONG_MAX)
		bench_die("/proc/self/smaps_rollup does not tell %s", kind);
	fclose(file);
	return (double)kib * 1024;
}

void bench_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void bench_ok(const char *what, int ret)
{
	if (ret < 0)
		bench_die("%s: %s", what, iommufd_errmsg());
}

/* ---- Figures ---- */

void bench_add(struct bench_figures *figures, double figure)
{
	if (figures->count == BENCH_MAX_ROUNDS)
		bench_die("more than %d rounds", BENCH_MAX_ROUNDS);
	figures->of[figures->count++] = figure;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_best(const struct bench_figures *figures)
{
	double best = NAN;

	for (size_t i = 0; i < figures->count; i++)
		best = fmin(best, figures->of[i]);
	return best;
}

double bench_median(const struct bench_figures *figures)
{
	struct bench_figures sorted = *figures;

	if (!sorted.count)
		return NAN;
	qsort(sorted.of, sorted.count, sizeof(sorted.of[0]), compare);
	return (sorted.of[(sorted.count - 1) / 2] + sorted.of[sorted.count / 2]) / 2;
}

/* ---- Rows ---- */

__attribute__((format(printf, 1, 0))) static struct json_object *row_new(const char *format, va_list args)
{
	struct json_object *row = json_object_new_object();
	char what[128];

	vsnprintf(what, sizeof(what), format, args);
	json_object_object_add(row, "what", json_object_new_string(what));
	return row;
}

/* With the arguments of the function that it stands in. */
#define ROW_NEW(row, format)                   \
	do {                                   \
		va_list args;                  \
		va_start(args, format);        \
		(row) = row_new(format, args); \
		va_end(args);                  \
	} while (0)

static void add_number(struct json_object *row, const char *name, double number)
{
	if (isfinite(number))
		json_object_object_add(row, name, json_object_new_double(number));
}

/* At once, so that what is known stays known when the program does not get to its end. */
static void print(struct json_object *row)
{
	puts(json_object_to_json_string_ext(row, JSON_C_TO_STRING_PLAIN));
	fflush(stdout);
	json_object_put(row);
}

void bench_row(const char *unit, const struct bench_figures *baseline, const struct bench_figures *library,
	       const char *format, ...)
{
	struct json_object *row;

	ROW_NEW(row, format);
	json_object_object_add(row, "unit", json_object_new_string(unit));
	add_number(row, "baseline", bench_best(baseline));
	add_number(row, "library", bench_best(library));
	if (bench_best(baseline) >= 0.1) /* below, it is what is left of the clock's noise */
		add_number(row, "ratio", bench_best(library) / bench_best(baseline));
	add_number(row, "baseline_median", bench_median(baseline));
	add_number(row, "library_median", bench_median(library));
	json_object_object_add(row, "rounds", json_object_new_int((int)library->count));
	print(row);
}

void bench_number(const char *unit, double baseline, double library, const char *format, ...)
{
	struct json_object *row;

	ROW_NEW(row, format);
	json_object_object_add(row, "unit", json_object_new_string(unit));
	add_number(row, "baseline", baseline);
	add_number(row, "library", library);
	add_number(row, "ratio", library / baseline);
	print(row);
}

void bench_skip(const char *reason, const char *format, ...)
{
	struct json_object *row;

	ROW_NEW(row, format);
	json_object_object_add(row, "skipped", json_object_new_string(reason));
	print(row);
}

const char *bench_count(size_t count)
{
	static _Thread_local char text[32];
	bool million = count && !(count % 1000000), thousand = count && !(count % 1000);

	snprintf(text, sizeof(text), "%zu%s",
		 count / (million    ? 1000000
			  : thousand ? 1000
				     : 1),
		 million    ? "M"
		 : thousand ? "k"
			    : "");
	return text;
}
