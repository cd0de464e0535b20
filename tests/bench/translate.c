/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * VA to IOVA: the public call against a sorted array without a lock, which is what a program would write that never
 * maps while it looks up. What the loop itself takes, measured in the same rounds, is taken off both. "Chained": each
 * address depends on the answer before, so that this is how long one waits for an answer; "overlapped": it does not,
 * so that the CPU may have several lookups on their way.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "bench.h"
#include "fake.h"

#define STRIDE     (2 * BENCH_PAGE)
#define MANY       200000
#define LEAST      100 /* changes, for somebody to have changed anything */
#define ROUNDS     15
#define FLAGS      (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)
#define ALWAYS     static inline __attribute__((always_inline))
#define WRITER_GAP (UINT64_C(1) << 40)

struct entry {
	uint64_t start, last, iova;
};

struct set {
	struct iommufd_ioas *ioas;
	struct entry *entries;
	uint64_t *table; /* IOVAs by number, for who knew the number */
	size_t count;
	uint64_t base, delta;
	pthread_rwlock_t lock; /* for threads; whoever is alone takes none */
};

static void set_new(struct set *set, size_t count)
{
	*set = (struct set){ .ioas = fake_ioas_new(), .count = count, .base = (uintptr_t)fake_memory(0) };
	pthread_rwlock_init(&set->lock, NULL);
	set->entries = calloc(count + 1, sizeof(*set->entries));
	set->table = calloc(count, sizeof(*set->table));
	if (!set->entries || !set->table)
		bench_die("no memory for %zu entries", count);
	for (size_t i = 0; i < count; i++) {
		struct entry *entry = &set->entries[i];

		entry->start = set->base + i * STRIDE;
		entry->last = entry->start + BENCH_PAGE - 1;
		bench_ok("map",
			 iommufd_ioas_map(set->ioas, (void *)(uintptr_t)entry->start, BENCH_PAGE, FLAGS, &entry->iova));
		set->table[i] = entry->iova;
	}
	set->delta = set->entries[0].iova - set->base;
}

static void set_free(struct set *set)
{
	iommufd_ioas_free(set->ioas);
	pthread_rwlock_destroy(&set->lock);
	free(set->entries);
	free(set->table);
}

/* ---- Ways to look up ---- */

enum way {
	NOTHING,
	TABLE, /* one load, which is the least that memory lets anybody take */
	ARRAY,
	LIBRARY,
	LOCKED_ARRAY,
	WAYS,
};

static uint64_t by_array(const struct set *set, uint64_t va)
{
	size_t low = 0, high = set->count;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (set->entries[middle].start <= va)
			low = middle;
		else
			high = middle;
	}
	if (va < set->entries[low].start || va + 63 > set->entries[low].last)
		abort();
	return set->entries[low].iova + (va - set->entries[low].start);
}

ALWAYS uint64_t look_up(struct set *set, enum way way, uint64_t va)
{
	uint64_t iova = va + set->delta;

	if (way == TABLE)
		iova = set->table[(va - set->base) / STRIDE] + 128;
	if (way == ARRAY)
		iova = by_array(set, va);
	if (way == LIBRARY && iommufd_ioas_to_iova(set->ioas, (void *)(uintptr_t)va, 64, &iova))
		abort();
	if (way == LOCKED_ARRAY) {
		pthread_rwlock_rdlock(&set->lock);
		iova = by_array(set, va);
		pthread_rwlock_unlock(&set->lock);
	}
	return iova;
}

/* Often enough for what a lookup finds in a cache to be what it would find there in the long run. */
static size_t lookups(const struct set *set)
{
	return set->count > MANY ? set->count : MANY;
}

/* The lowest bit of an answer is 0, which only the CPU knows, and not before it has it. */
ALWAYS uint64_t walk(struct set *set, enum way way, bool random, bool chained, uint64_t seed)
{
	uint64_t state = seed, iova = 0, sum = 0, index = 0;

	for (size_t i = 0; i < lookups(set); i++) {
		if (random)
			index = (bench_random(&state) * set->count) >> 31;
		else
			index = index + 1 < set->count ? index + 1 : 0;
		if (chained) {
			state += iova & 1;
			index += iova & 1;
		}
		iova = look_up(set, way, set->base + index * STRIDE + 128);
		sum += iova;
	}
	return sum;
}

/* Nanoseconds a lookup, by one clock or the other. Each kind of walk has a loop of its own. */
static double timed(uint64_t (*now)(void), struct set *set, enum way way, bool random, bool chained, uint64_t seed)
{
	uint64_t start = now(), sum;

#define WALKS(WAY)                                                                                       \
	(sum = random ? (chained ? walk(set, WAY, true, true, seed) : walk(set, WAY, true, false, seed)) \
		      : (chained ? walk(set, WAY, false, true, seed) : walk(set, WAY, false, false, seed)))
	switch (way) {
	case TABLE:
		WALKS(TABLE);
		break;
	case ARRAY:
		WALKS(ARRAY);
		break;
	case LIBRARY:
		WALKS(LIBRARY);
		break;
	case LOCKED_ARRAY:
		WALKS(LOCKED_ARRAY);
		break;
	default:
		WALKS(NOTHING);
		break;
	}
	__asm__ volatile("" : : "r"(sum)); /* somebody wants it */
	return (double)(now() - start) / (double)lookups(set);
}

static void alone(struct set *set, bool random, bool chained)
{
	struct bench_figures took[WAYS] = { 0 }, net[WAYS] = { 0 };

	for (unsigned int round = 0; round < ROUNDS; round++)
		for (unsigned int i = 0; i <= LIBRARY; i++) {
			enum way way = bench_turn(round, i, LIBRARY + 1);

			bench_add(&took[way], timed(bench_cpu, set, way, random, chained, round));
		}
	for (enum way way = TABLE; way <= LIBRARY; way++)
		for (size_t round = 0; round < ROUNDS; round++)
			bench_add(&net[way], fmax(0, took[way].of[round] - bench_best(&took[NOTHING])));
	bench_row("ns", &net[ARRAY], &net[LIBRARY], "translate/%s/%s/%s", bench_count(set->count),
		  random ? "random" : "sequential", chained ? "chained" : "overlapped");
	if (random)
		bench_row("ns", &net[TABLE], &net[LIBRARY], "translate/%s/one load/%s", bench_count(set->count),
			  chained ? "chained" : "overlapped");
}

/* ---- Threads ---- */

struct reader {
	struct set *set;
	pthread_barrier_t *barrier;
	enum way way;
	uint64_t seed;
	double took;
};

static void *read_on(void *arg)
{
	struct reader *reader = arg;

	pthread_barrier_wait(reader->barrier);
	reader->took = timed(bench_now, reader->set, reader->way, true, false, reader->seed);
	return NULL;
}

struct writer {
	struct set *set;
	pthread_barrier_t *barrier;
	enum way way;
	atomic_bool stop;
	uint64_t changes;
};

static void *write_on(void *arg)
{
	struct writer *writer = arg;
	struct set *set = writer->set;

	pthread_barrier_wait(writer->barrier);
	for (uint64_t i = 0; !writer->stop; i++, writer->changes++) {
		void *vaddr = (void *)(uintptr_t)(set->base + WRITER_GAP + (i % 512) * STRIDE);
		uint64_t iova;

		if (writer->way == LIBRARY) {
			bench_ok("map", iommufd_ioas_map(set->ioas, vaddr, BENCH_PAGE, FLAGS, &iova));
			bench_ok("unmap", iommufd_ioas_unmap(set->ioas, iova, BENCH_PAGE, NULL));
		} else {
			pthread_rwlock_wrlock(&set->lock);
			set->entries[set->count].start = (uintptr_t)vaddr;
			pthread_rwlock_unlock(&set->lock);
		}
	}
	return NULL;
}

/*
 * By the wall's clock, since who waits for a lock is on no CPU. Of three threads on two CPUs one waits for those too.
 * NAN when the writer was that.
 */
static double together(struct set *set, enum way way, unsigned int readers, bool with_writer, uint64_t seed)
{
	pthread_barrier_t barrier;
	struct writer writer = { .set = set, .barrier = &barrier, .way = way };
	struct reader reader[2];
	pthread_t threads[2], other;
	double sum = 0;

	pthread_barrier_init(&barrier, NULL, readers + with_writer);
	if (with_writer && pthread_create(&other, NULL, write_on, &writer))
		bench_die("no thread");
	for (unsigned int i = 0; i < readers; i++) {
		reader[i] = (struct reader){ set, &barrier, way, seed + i, 0 };
		if (pthread_create(&threads[i], NULL, read_on, &reader[i]))
			bench_die("no thread");
	}
	for (unsigned int i = 0; i < readers; i++) {
		pthread_join(threads[i], NULL);
		sum += reader[i].took;
	}
	writer.stop = true;
	if (with_writer)
		pthread_join(other, NULL);
	pthread_barrier_destroy(&barrier);
	return with_writer && writer.changes < LEAST ? NAN : sum / readers;
}

/* Without a writer that writes it is another figure, and the best of all: who was given no CPU tries again. */
static double together_at_last(struct set *set, enum way way, unsigned int readers, bool with_writer, uint64_t seed)
{
	double ns = NAN;

	for (unsigned int i = 0; isnan(ns) && i < 100; i++)
		ns = together(set, way, readers, with_writer, seed);
	if (isnan(ns))
		bench_die("the thread that maps and unmaps was given no CPU, a hundred times");
	return ns;
}

static void threads(struct set *set, unsigned int readers, bool with_writer)
{
	struct bench_figures took[WAYS] = { 0 };
	double loop;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		bench_add(&took[NOTHING], timed(bench_now, set, NOTHING, true, false, round));
		for (unsigned int i = 0; i < 2; i++) {
			enum way way = bench_turn(round, i, 2) ? LIBRARY : LOCKED_ARRAY;

			bench_add(&took[way], together_at_last(set, way, readers, with_writer, round));
		}
	}
	loop = bench_best(&took[NOTHING]);
	for (enum way way = LIBRARY; way < WAYS; way++)
		for (size_t round = 0; round < ROUNDS; round++)
			took[way].of[round] -= loop;
	bench_row("ns", &took[LOCKED_ARRAY], &took[LIBRARY], "translate/threads/%u%s", readers,
		  with_writer ? "+writer" : "");
}

int main(void)
{
	static const size_t counts[] = { 1000, 10000, 100000, 1000000 };
	struct set set;

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		set_new(&set, counts[i]);
		for (unsigned int kind = 0; kind < 4; kind++)
			alone(&set, kind & 2, kind & 1);
		set_free(&set);
	}
	set_new(&set, 10000);
	for (unsigned int readers = 1; readers <= 2; readers++)
		for (unsigned int writers = 0; writers <= 1; writers++)
			threads(&set, readers, writers);
	set_free(&set);
	return 0;
}
