/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Translation while another thread maps and unmaps. What stays mapped must be found at each try; what comes and goes is
 * found where it is or not at all. ThreadSanitizer looks on.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "bare.h"
#include "internal.h"
#include "unit.h"

#define PAGE    UINT64_C(0x1000)
#define MIB     (UINT64_C(1) << 20)
#define GIB     (UINT64_C(1) << 30)
#define READERS 2
#define BUDGET  900 /* milliseconds */
#define RW      (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)

/*
 * So many that tables go from one to another; all have the same place in a table, and three each the same shortcut. No
 * two are as far from their IOVAs.
 */
#define REGIONS 96
#define FIRST   (264 * GIB)
#define STEP    (3 * GIB)
#define ROW     32
#define ROUND   (128 * GIB)

/* Two of a slot of 1 GiB, with one shortcut, that come and go in turn. */
#define LARGE_AT   (1000 * GIB)
#define LARGE_IOVA (UINT64_C(3) << 44)

/* One that stays, and one that comes and goes and overlaps its begin, far apart by their IOVAs. */
#define OVER_AT    ((UINT64_C(1) << 42) + PAGE)
#define OVER_LEN   (6 * MIB)
#define OVER_IOVA  (UINT64_C(5) << 44)
#define UNDER_AT   (OVER_AT + 5 * MIB)
#define UNDER_LEN  (12 * MIB)
#define UNDER_IOVA (UINT64_C(6) << 44)

/* Memory that stays mapped, of slots of all sizes; and some that is mapped twice, but for moments of once. */
#define STAYS_AT   (UINT64_C(0x7f00) << 32)
#define STAYS_LEN  (5 * GIB + 6 * PAGE)
#define STAYS_IOVA (UINT64_C(1) << 45)
#define TWICE_AT   (16 * GIB - 3 * PAGE)
#define TWICE_LEN  (8 * PAGE)
#define TWICE_IOVA (UINT64_C(1) << 44)

static struct iommufd_ioas *ioas;
static atomic_bool done;

struct reader {
	pthread_t thread;
	uint64_t state, hits, misses, calls;
	char wrong[200];
};

static uint64_t region_at(uint64_t region)
{
	return FIRST + region % ROW * STEP + region / ROW * ROUND;
}

static uint64_t region_iova(uint64_t region)
{
	return (region + 1) << 36;
}

static void expect(struct reader *reader, bool right, const char *what, uint64_t vaddr, int ret, uint64_t iova)
{
	if (!right && !*reader->wrong)
		snprintf(reader->wrong, sizeof(reader->wrong), "%s at 0x%" PRIx64 ": %d, 0x%" PRIx64, what, vaddr, ret,
			 iova);
}

static int find(uint64_t vaddr, uint64_t len, uint64_t *iova)
{
	*iova = 0;
	return iommufd_ioas_to_iova(ioas, (const void *)(uintptr_t)vaddr, len, iova);
}

static void read_what_stays(struct reader *reader)
{
	uint64_t at = unit_below(&reader->state, STAYS_LEN), len = 1 + unit_below(&reader->state, STAYS_LEN - at), iova;
	struct iovec iov = { (void *)(uintptr_t)(STAYS_AT + at), len };
	struct iommufd_segment segment = { 0, 0 };
	int ret = find(STAYS_AT + at, len, &iova);

	expect(reader, !ret && iova == STAYS_IOVA + at, "what stays", STAYS_AT + at, ret, iova);
	ret = iommufd_ioas_to_iovas(ioas, &iov, 1, &segment, 1);
	expect(reader, ret == 1 && segment.addr == STAYS_IOVA + at && segment.len == len, "segments of what stays",
	       STAYS_AT + at, ret, segment.addr);
}

static void read_what_is_there_twice(struct reader *reader)
{
	uint64_t at = unit_below(&reader->state, TWICE_LEN), len = 1 + unit_below(&reader->state, TWICE_LEN - at), iova;
	int ret = find(TWICE_AT + at, len, &iova);

	expect(reader, !ret && (iova - TWICE_IOVA - at) % GIB == 0 && iova < TWICE_IOVA + 2 * GIB,
	       "what is there twice", TWICE_AT + at, ret, iova);
}

static void read_what_comes_and_goes(struct reader *reader)
{
	uint64_t region = unit_below(&reader->state, REGIONS), at = unit_below(&reader->state, 5 * PAGE), iova;
	int ret = find(region_at(region) + at, 1 + unit_below(&reader->state, 2 * PAGE), &iova);

	expect(reader, ret == -ENOENT || (!ret && iova == region_iova(region) + at), "what comes and goes",
	       region_at(region) + at, ret, iova);
	reader->hits += !ret;
	reader->misses += !!ret;
}

static void read_what_is_large(struct reader *reader)
{
	uint64_t which = unit_below(&reader->state, 2), at = unit_below(&reader->state, GIB - PAGE), iova;
	int ret = find(LARGE_AT + which * ROUND + at, PAGE, &iova);

	expect(reader, ret == -ENOENT || (!ret && iova == LARGE_IOVA + which * (UINT64_C(1) << 40) + at),
	       "what is large", LARGE_AT + which * ROUND + at, ret, iova);
}

static bool is_in(const struct iommufd_segment *segment, uint64_t iova, uint64_t len)
{
	return segment->addr >= iova && segment->addr - iova < len && segment->len <= len - (segment->addr - iova);
}

/* Whatever the length that is asked for, none goes from one mapping into the other. */
static void read_what_overlaps(struct reader *reader)
{
	uint64_t at = unit_below(&reader->state, 5 * MIB), len = 1 + unit_below(&reader->state, UNDER_LEN), iova;
	struct iovec iov = { (void *)(uintptr_t)(OVER_AT + at), len };
	struct iommufd_segment segments[4];
	int ret = find(OVER_AT + at, len, &iova);

	expect(reader, ret == -ENOENT || (!ret && iova == OVER_IOVA + at && at + len <= OVER_LEN), "what overlaps",
	       OVER_AT + at, ret, iova);
	ret = iommufd_ioas_to_iovas(ioas, &iov, 1, segments, 4);
	expect(reader, ret == -ENOENT || (ret > 0 && ret <= 4), "segments of what overlaps", OVER_AT + at, ret, 0);
	for (int i = 0; i < ret && i < 4; i++)
		expect(reader, is_in(&segments[i], OVER_IOVA, OVER_LEN) || is_in(&segments[i], UNDER_IOVA, UNDER_LEN),
		       "a segment of what overlaps", OVER_AT + at, i, segments[i].addr);
}

static void *read_on(void *arg)
{
	struct reader *reader = arg;

	while (!atomic_load(&done) && !*reader->wrong)
		for (int i = 0; i < 64; i++, reader->calls++) {
			read_what_stays(reader);
			read_what_is_there_twice(reader);
			read_what_comes_and_goes(reader);
			read_what_is_large(reader);
			read_what_overlaps(reader);
		}
	return NULL;
}

static void map(uint64_t vaddr, uint64_t len, uint64_t iova)
{
	ck_assert_int_eq(iommufd_ioas_map(ioas, (void *)(uintptr_t)vaddr, len, RW | IOMMUFD_MAP_FIXED, &iova), 0);
}

static void unmap(uint64_t iova, uint64_t len)
{
	uint64_t bytes = 0;

	ck_assert_int_eq(iommufd_ioas_unmap(ioas, iova, len, &bytes), 0);
	ck_assert_uint_eq(bytes, len);
}

/* Of a length of its own each time, and one after another, so that what is left empty is soon of another region. */
static void come_and_go(uint64_t round)
{
	uint64_t len = (1 + round % 5) * PAGE;

	for (uint64_t region = 0; region < REGIONS; region++) {
		map(region_at(region), len, region_iova(region));
		if (region >= 4)
			unmap(region_iova(region - 4), len);
	}
	for (uint64_t region = REGIONS - 4; region < REGIONS; region++)
		unmap(region_iova(region), len);
}

static void map_and_unmap(uint64_t vaddr, uint64_t len, uint64_t iova)
{
	map(vaddr, len, iova);
	unmap(iova, len);
}

START_TEST(what_stays_mapped_is_found_while_all_around_it_comes_and_goes)
{
	struct reader readers[READERS];
	uint64_t seed = unit_seed(), end = unit_now() + BUDGET, hits = 0, misses = 0;

	ioas = bare_ioas_new();
	map(STAYS_AT, STAYS_LEN, STAYS_IOVA);
	map(UNDER_AT, UNDER_LEN, UNDER_IOVA);
	map(TWICE_AT, TWICE_LEN, TWICE_IOVA);
	map(TWICE_AT, TWICE_LEN, TWICE_IOVA + GIB);
	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ .state = seed + (uint64_t)i * 7919 };
		ck_assert_int_eq(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
	}
	for (uint64_t round = 0; round < 8 || unit_now() < end; round++) {
		uint64_t which = TWICE_IOVA + round % 2 * GIB;

		come_and_go(round);
		unmap(which, TWICE_LEN);
		map(TWICE_AT, TWICE_LEN, which);
		/* A neighbour of what stays, by its address and its IOVA. */
		map_and_unmap(STAYS_AT + STAYS_LEN, PAGE, STAYS_IOVA + STAYS_LEN);
		for (uint64_t i = 0; i < 64; i++) {
			map_and_unmap(LARGE_AT + i % 2 * ROUND, GIB, LARGE_IOVA + i % 2 * (UINT64_C(1) << 40));
			if (i % 16 == 0)
				map_and_unmap(OVER_AT, OVER_LEN, OVER_IOVA);
		}
	}
	atomic_store(&done, true);
	for (int i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		ck_assert_msg(!*readers[i].wrong, "%s", readers[i].wrong);
		ck_assert_uint_gt(readers[i].calls, 0);
		hits += readers[i].hits;
		misses += readers[i].misses;
	}
	ck_assert_uint_gt(misses, 0);
	ck_assert_uint_gt(hits, 0);
	iommufd_ioas_free(ioas);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, what_stays_mapped_is_found_while_all_around_it_comes_and_goes);
}
