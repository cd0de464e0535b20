/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Threads that map and unmap 4 KiB each, on one IOAS or on one each, without a device, so that the kernel does as
 * little as it can and locks show most. One thread on two IOASes takes them by turns.
 */
#include <pthread.h>

#include "bench.h"
#include "guest.h"

#define PAIRS  1000
#define ROUNDS 9
#define PLACE  (UINT64_C(1) << 38)
#define APART  (UINT64_C(1) << 30)

struct worker {
	const struct side *first, *second; /* by turns */
	pthread_barrier_t *barrier;
	char *memory;
	uint64_t place, start, end;
};

static void *work(void *arg)
{
	struct worker *worker = arg;

	pthread_barrier_wait(worker->barrier);
	worker->start = bench_now();
	for (unsigned int i = 0; i < PAIRS; i++) {
		const struct side *side = i & 1 ? worker->second : worker->first;
		uint64_t iova = worker->place;

		guest_map(side, worker->memory, BENCH_PAGE, true, &iova);
		guest_unmap(side, iova, BENCH_PAGE);
	}
	worker->end = bench_now();
	return NULL;
}

/* From the first start to the last end; microseconds a pair, of all that were made. */
static double run(const struct side *sides, unsigned int threads, unsigned int spaces, char *memory)
{
	struct worker workers[2];
	pthread_t handles[2];
	pthread_barrier_t barrier;
	uint64_t start = UINT64_MAX, end = 0;

	pthread_barrier_init(&barrier, NULL, threads);
	for (unsigned int i = 0; i < threads; i++) {
		workers[i] = (struct worker){
			.first = &sides[spaces == 2 ? i : 0],
			.second = &sides[spaces == 2 && threads == 1 ? 1
					 : spaces == 2               ? i
								     : 0],
			.barrier = &barrier,
			.memory = memory + i * BENCH_PAGE,
			.place = PLACE + i * APART,
		};
		if (pthread_create(&handles[i], NULL, work, &workers[i]))
			bench_die("no thread");
	}
	for (unsigned int i = 0; i < threads; i++) {
		pthread_join(handles[i], NULL);
		start = workers[i].start < start ? workers[i].start : start;
		end = workers[i].end > end ? workers[i].end : end;
	}
	pthread_barrier_destroy(&barrier);
	return (double)(end - start) / (1000.0 * PAIRS * threads);
}

int main(void)
{
	struct side first[GUEST_SIDES], sides[GUEST_SIDES][2];
	char *memory = guest_memory(2 * BENCH_PAGE);

	guest_sides(first, false);
	for (unsigned int i = 0; i < GUEST_SIDES; i++) {
		sides[i][0] = first[i];
		guest_second(&first[i], &sides[i][1]);
	}
	for (unsigned int threads = 1; threads <= 2; threads++)
		for (unsigned int spaces = 1; spaces <= 2; spaces++) {
			struct bench_figures took[GUEST_SIDES] = { 0 };

			for (unsigned int round = 0; round < ROUNDS; round++)
				for (unsigned int i = 0; i < GUEST_SIDES; i++) {
					unsigned int who = bench_turn(round, i, GUEST_SIDES);

					bench_add(&took[who], run(sides[who], threads, spaces, memory));
				}
			bench_row("us", &took[GUEST_RAW], &took[GUEST_LIBRARY], "threads/%u on %u ioas", threads,
				  spaces);
		}
	return 0;
}
