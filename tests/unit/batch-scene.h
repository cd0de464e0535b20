/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A scene for batches: what is said about memory, which threads are had, and what is mapped, is remembered. */
#ifndef BATCH_SCENE_H
#define BATCH_SCENE_H

#include <pthread.h>
#include <stdatomic.h>

#include "scene.h"

#define RW   (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)
#define HUGE (UINT64_C(2) << 20)

/* Both backends, for loop tests. */
#define BATCH_BACKENDS 2

struct batch_scene {
	struct scene scene;
	unsigned long map, unmap; /* the backend's requests */
};

extern struct batch_scene batch;

/* With an attached device. Memory is brought in by nobody, and all threads are had. */
void batch_open(size_t backend);

void batch_close(void);

/* Nothing is mapped, as far as index and kernel know, and nothing was written to `maps`. */
void batch_check_empty(const struct iommufd_map *maps, size_t count);

/* What was mapped is unmapped, of which the kernel was told as few ranges. */
void batch_forget(void);

/* Requests of `len` bytes each, one behind the other in memory and in the IOAS. */
#define BATCH_IOVA UINT64_C(0x100000000)
void batch_fill(struct iommufd_map *maps, size_t count, uint64_t start, uint64_t len);

/* What was said of memory, in order of the addresses; it is forgotten then. */
struct batch_advice {
	uint64_t start, len;
	int advice;
};
size_t batch_advice(struct batch_advice *out, size_t max);

/* The `nth` such piece from now, counted from 1, cannot be brought in. 0 for all. */
void batch_advice_fail(unsigned int nth, int err);

/* How many threads are to be had from now on; and how many were, all of which must have ended. */
void batch_threads_left(unsigned int left);
unsigned int batch_threads(void);

/* Returns when all that were had up to now have ended. */
void batch_await_threads(void);

/* How often something was read line by line. */
extern atomic_uint batch_lines;

/* The batch of most tests. */
#define N     12
#define START UINT64_C(0x7ec000001000) /* not at a border of huge pages; nothing is there, under sanitizers either */
extern struct iommufd_map batch_maps[N];
int batch_map(uint32_t flags, uint32_t threads, iommufd_progress_fn progress, void *data);

/* It is there, and is unmapped again. */
void batch_check_there(void);

/* With how many threads they try it. */
#define COUNTS 5
extern const uint32_t batch_counts[COUNTS];

/* A callback and its data. */
struct batch_listener {
	pthread_t thread;
	uint64_t done, total;
	unsigned int calls, cancel_at; /* 0: never */
	bool wrong;
};
int batch_listen(void *data, uint64_t done, uint64_t total);

#endif
