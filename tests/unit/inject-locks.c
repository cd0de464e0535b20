/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What a test does in the moment in which the library lets a gate go, or asks for one. In any thread. */
#include <pthread.h>
#include <stdatomic.h>

#include "inject.h"

static void (*_Atomic meanwhile)(void), (*_Atomic queueing)(void);
static atomic_uint destroyed_held;

int __real_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __real_pthread_mutex_destroy(pthread_mutex_t *lock);

int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *lock);

unsigned int inject_destroyed_held(void)
{
	return destroyed_held;
}

void inject_meanwhile(void (*hook)(void))
{
	meanwhile = hook;
}

void inject_queueing(void (*hook)(void))
{
	queueing = hook;
}

int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
	void (*hook)(void) = atomic_exchange(&meanwhile, NULL);
	int ret = __real_pthread_rwlock_unlock(lock);

	if (hook)
		hook();
	return ret;
}

int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	void (*hook)(void) = atomic_exchange(&queueing, NULL);

	if (hook)
		hook();
	return __real_pthread_rwlock_wrlock(lock);
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *lock)
{
	if (pthread_mutex_trylock(lock))
		destroyed_held++;
	else
		pthread_mutex_unlock(lock);
	return __real_pthread_mutex_destroy(lock);
}
