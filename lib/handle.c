/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
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

void ifd_handle_need(struct ifd_handle *handle, struct ifd_handle *other)
{
	int i = 0;

	while (handle->needs[i])
		i++;
	handle->needs[i] = other;
	ifd_handle_get(other);
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
