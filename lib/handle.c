/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdlib.h>

#include "handle.h"
#include "internal.h"
#include "object.h"

void *ifd_handle_new(struct iommufd_ctx *ctx, size_t size)
{
	struct ifd_handle *handle = calloc(1, size);

	if (!handle)
		return NULL;
	handle->refs = 1;
	handle->ctx = ifd_ctx_get(ctx);
	handle->fd = -1;
	return handle;
}

static void add_need(struct ifd_handle *handle, struct ifd_handle *other)
{
	int i = 0;

	while (handle->needs[i])
		i++;
	handle->needs[i] = other;
}

void ifd_handle_need(struct ifd_handle *handle, struct ifd_handle *other)
{
	add_need(handle, other);
	ifd_handle_get(other);
}

bool ifd_handle_need_living(struct ifd_handle *handle, struct ifd_handle *other)
{
	unsigned int refs = other->refs;

	while (refs && !atomic_compare_exchange_weak(&other->refs, &refs, refs + 1))
		;
	if (refs)
		add_need(handle, other);
	return refs;
}

void ifd_handle_need_ioas(struct ifd_handle *handle, struct iommufd_ioas *ioas)
{
	ifd_ioas_get(ioas);
	handle->ioas = ioas;
}

void ifd_handle_need_device(struct ifd_handle *handle, struct iommufd_device *dev)
{
	ifd_device_get(dev);
	handle->dev = dev;
}

void ifd_handle_get(struct ifd_handle *handle)
{
	atomic_fetch_add(&handle->refs, 1);
}

void ifd_handle_destroy(struct ifd_handle *handle)
{
	struct ifd_object object = { &handle->ctx->log, handle->ctx->fd, handle->id };

	ifd_sys_close(handle->fd);
	if (handle->id && !ifd_in_child(handle->ctx))
		ifd_object_destroy(&object);
	handle->fd = -1;
	handle->id = 0;
}

int ifd_handle_make(struct ifd_handle *handle, unsigned long request, void *cmd, const uint32_t *id, const uint32_t *fd)
{
	int ret = ifd_command(handle->ctx, request, cmd);

	if (ret)
		return ret;
	handle->id = *id;
	if (fd)
		handle->fd = (int)*fd;
	return handle->id && (!fd || handle->fd >= 0) ? 0 : -EPROTO;
}

int ifd_handle_made(struct ifd_handle *handle, int ret, unsigned long request, const struct ifd_reason *reasons,
		    const char *what)
{
	char hint[IFD_HINT_MAX] = "";

	if (!ret)
		return 0;
	ifd_hint_command(hint, handle->ctx, request, ret);
	while (reasons->err && reasons->err != ret)
		reasons++;
	if (!*hint && reasons->err)
		ifd_hint(hint, "%s", reasons->hint);
	ifd_handle_put(handle);
	return ifd_fail(ret, hint, "%s", what);
}

void ifd_handle_put(struct ifd_handle *handle)
{
	struct iommufd_ctx *ctx = handle->ctx;

	if (atomic_fetch_sub(&handle->refs, 1) != 1)
		return;
	if (handle->leave)
		handle->leave(handle);
	ifd_handle_destroy(handle);
	for (int i = 0; i < IFD_NEEDS_MAX; i++)
		if (handle->needs[i])
			ifd_handle_put(handle->needs[i]);
	if (handle->dev)
		ifd_device_put(handle->dev);
	if (handle->ioas)
		ifd_ioas_put(handle->ioas);
	free(handle);
	ifd_ctx_put(ctx);
}

int ifd_command(const struct iommufd_ctx *ctx, unsigned long request, void *arg)
{
	return ctx->backend->command(ctx, request, arg);
}

void ifd_hint_command(char *hint, const struct iommufd_ctx *ctx, unsigned long request, int err)
{
	ctx->backend->command_refused(ctx, request, err, hint);
}
