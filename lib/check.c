/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What every call asks first: whether the handle may be used here, and now. */
#include <errno.h>

#include "internal.h"
#include "udev.h"

/* Callbacks are called while locks are held that the library might take again, were it called there. */
void ifd_ctx_call_begin(struct iommufd_ctx *ctx, struct ifd_call *call)
{
	call->thread = pthread_self();
	pthread_mutex_lock(&ctx->lock);
	call->next = ctx->calls;
	ctx->calls = call;
	ctx->calling++;
	pthread_mutex_unlock(&ctx->lock);
}

void ifd_ctx_call_end(struct iommufd_ctx *ctx, struct ifd_call *call)
{
	struct ifd_call **at = &ctx->calls;

	pthread_mutex_lock(&ctx->lock);
	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	ctx->calling--;
	pthread_mutex_unlock(&ctx->lock);
}

static bool is_in_callback_of(const struct iommufd_ctx *ctx)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&ctx->lock; /* that is no change to who looks */
	const struct ifd_call *call;

	pthread_mutex_lock(lock);
	call = ctx->calls;
	while (call && !pthread_equal(call->thread, pthread_self()))
		call = call->next;
	pthread_mutex_unlock(lock);
	return call;
}

int ifd_ctx_check(const struct iommufd_ctx *ctx, const char *what)
{
	if (ifd_in_child(ctx))
		return ifd_fail(-EPERM, "free what the parent made, and make a context here",
				"%s: the handle was made before fork()", what);
	if (ctx->calling && is_in_callback_of(ctx))
		return ifd_fail(-EDEADLK, "return from it first", "%s in a callback of a call that is under way", what);
	return 0;
}

int ifd_device_attached(const struct iommufd_device *dev, const char *what)
{
	int ret = ifd_ctx_check(dev->ctx, what);

	if (ret || dev->attached)
		return ret;
	return ifd_fail(-ENOTCONN, "attach it to an IOAS first", "%s of %s", what, dev->found->name);
}

int ifd_device_ready(const struct iommufd_device *dev, const char *what)
{
	int ret = ifd_device_attached(dev, what);

	if (ret || dev->fd >= 0)
		return ret;
	return ifd_fail(-EOPNOTSUPP, "use the descriptor of who has bound it", "%s of %s: only its number is known",
			what, dev->found->name);
}
