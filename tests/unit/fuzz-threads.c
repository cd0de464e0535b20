/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Threads of the library that run one at a time: who is next at a system call, or where somebody waits for another one,
 * the stream says. So a run that failed fails again, and the kernel needs no lock.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "fuzz-answers.h"
#include "sys.h"

#define THREADS 8

/* The first one is the caller's, and is there as long as any other. */
static struct {
	void *(*fn)(void *data);
	void *data;
	pthread_t thread;
	bool there;
} threads[THREADS];
static unsigned int others;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t passed = PTHREAD_COND_INITIALIZER;
static unsigned int turn;

/* Its place among them, plus 1; 0 for the fuzzer's own threads. */
static _Thread_local unsigned int me;

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __real_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_ifd_sys_thread(pthread_t *thread, void *(*fn)(void *data), void *data);

static void await_turn(void)
{
	while (turn != me - 1)
		__real_pthread_cond_wait(&passed, &lock);
}

/* The one behind, or with bytes of the stream a later one: so each has its turn when there are no more. */
static void pass(void)
{
	unsigned int next = me - 1;

	__real_pthread_mutex_lock(&lock);
	for (unsigned int skip = fuzz_byte() % THREADS + 1; skip; skip--)
		do
			next = (next + 1) % THREADS;
		while (!threads[next].there);
	turn = next;
	fuzz_tell("  turn of thread %u", next);
	pthread_cond_broadcast(&passed);
	if (threads[me - 1].there)
		await_turn();
	pthread_mutex_unlock(&lock);
}

void fuzz_switch(void)
{
	if (others && fuzz_byte() & 1)
		pass();
}

static void *run(void *data)
{
	unsigned int i = (unsigned int)(uintptr_t)data;

	me = i + 1;
	__real_pthread_mutex_lock(&lock);
	await_turn();
	pthread_mutex_unlock(&lock);
	threads[i].fn(threads[i].data);
	threads[i].there = false;
	others--;
	pass();
	return NULL;
}

int __wrap_ifd_sys_thread(pthread_t *thread, void *(*fn)(void *data), void *data)
{
	uintptr_t i = 1;
	int err = fuzz_callback();

	while (i < THREADS && threads[i].there)
		i++;
	if (err || i == THREADS)
		return -EAGAIN;
	threads[i].fn = fn;
	threads[i].data = data;
	err = pthread_create(thread, NULL, run, (void *)i);
	fuzz_check(!err, "no thread: %d", err);
	threads[i].thread = *thread;
	threads[i].there = threads[0].there = true;
	others++;
	me = 1;
	return 0;
}

/* Whoever has it is at a system call. */
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (!me || !others)
		return __real_pthread_mutex_lock(mutex);
	while (pthread_mutex_trylock(mutex))
		pass();
	return 0;
}

/* It ends without a reason, as it may. */
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	if (!me)
		return __real_pthread_cond_wait(cond, mutex);
	fuzz_check(others, "somebody waits for nobody");
	pthread_mutex_unlock(mutex);
	pass();
	return __wrap_pthread_mutex_lock(mutex);
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
	for (size_t i = 1; me && i < THREADS; i++)
		while (threads[i].there && pthread_equal(threads[i].thread, thread))
			pass();
	return __real_pthread_join(thread, result);
}
