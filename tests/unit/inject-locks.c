/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What a test does in the moment in which the library lets a gate go, or asks for one. */
#include <pthread.h>

#include "inject.h"

static void (*meanwhile)(void), (*queueing)(void);

int __real_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __real_pthread_rwlock_wrlock(pthread_rwlock_t *lock);

int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock);
int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock);

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
	void (*hook)(void) = meanwhile;
	int ret = __real_pthread_rwlock_unlock(lock);

	meanwhile = NULL;
	if (hook)
		hook();
	return ret;
}

int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	void (*hook)(void) = queueing;

	queueing = NULL;
	if (hook)
		hook();
	return __real_pthread_rwlock_wrlock(lock);
}
