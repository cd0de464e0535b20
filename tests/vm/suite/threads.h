/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Threads that note what is wrong, each for itself, and a context whose log is listened to. */
#ifndef THREADS_H
#define THREADS_H

#include <pthread.h>

#include "vm.h"

struct worker {
	pthread_t thread;
	struct bed *bed;
	const char *address;
	uint64_t state;            /* of the random numbers */
	uint64_t mapped, unmapped; /* bytes */
	int number;
	char wrong[400];
};

void worker_start(struct worker *worker, struct bed *bed, const char *address, int number, void *(*work)(void *));
void worker_join(struct worker *worker);

/* Notes it, unless that is right; then, in the test's own thread, fails the test for what was noted. */
void worker_expect(struct worker *worker, bool right, const char *what, int ret);
void worker_must(struct worker *worker, int ret, const char *what);
#define MUST(worker, call) worker_must(worker, call, #call)
void worker_check(const struct worker *worker);

/* A context and an IOAS; and that nothing was told in its log. */
void threads_open(struct bed *bed);
void threads_check_log(void);

/* Of threads.c, in a file of their own. */
void add_threads_device_tests(TCase *tc);

#endif
