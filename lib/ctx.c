/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

const struct ifd_backend *const ifd_backends[] = { &ifd_backend_iommufd, &ifd_backend_vfio, NULL };

static const struct ifd_backend *backend_by_id(uint32_t id)
{
	for (size_t i = 0; ifd_backends[i]; i++)
		if (ifd_backends[i]->id == id)
			return ifd_backends[i];
	return NULL;
}

int ifd_backend_from_env(uint32_t *wanted)
{
	const char *env = secure_getenv("LIBIOMMUFD_BACKEND");

	*wanted = IOMMUFD_BACKEND_AUTO;
	if (!env || !*env || !strcmp(env, "auto"))
		return 0;

	for (size_t i = 0; ifd_backends[i]; i++)
		if (!strcmp(env, ifd_backends[i]->name)) {
			*wanted = ifd_backends[i]->id;
			return 0;
		}
	return ifd_fail(-EINVAL, "set it to auto, iommufd or vfio, or unset it", "$LIBIOMMUFD_BACKEND is \"%s\"", env);
}

static int set_home(struct iommufd_ctx *ctx)
{
	size_t page = (size_t)ifd_sys_page_size();
	void *home;
	int ret;

	ret = ifd_sys_mmap(-1, 0, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, &home);
	if (ret)
		return ifd_fail(ret, NULL, "make a context");
	ret = ifd_sys_madvise(home, page, MADV_WIPEONFORK);
	if (ret) {
		ifd_sys_munmap(home, page);
		return ifd_fail(ret, ret == -EINVAL ? "use Linux 4.14 or newer" : NULL,
				"make a context: have a page wiped in child processes");
	}
	*(unsigned char *)home = 1;
	ctx->home = home;
	return 0;
}

/* Checks options and makes a context that has no backend yet. */
static int ctx_alloc(const struct iommufd_ctx_opts *theirs, uint32_t *wanted, struct iommufd_ctx **out)
{
	struct iommufd_ctx_opts opts;
	struct iommufd_ctx *ctx;
	struct ifd_log log;
	int ret;

	ret = ifd_opts_read(&opts, sizeof(opts), IFD_END_OF(struct iommufd_ctx_opts, log_data), theirs,
			    "context options");
	if (ret)
		return ret;
	if (opts.backend != IOMMUFD_BACKEND_AUTO && !backend_by_id(opts.backend))
		return ifd_fail(-EINVAL, "use IOMMUFD_BACKEND_AUTO, _IOMMUFD or _VFIO", "backend %u", opts.backend);
	if (opts.flags & ~(uint32_t)IOMMUFD_CTX_NOIOMMU)
		return ifd_fail(-EINVAL, "use the IOMMUFD_CTX flags only", "context flags 0x%x", opts.flags);
	if (opts.memlock_mode && opts.memlock_mode != IOMMUFD_MEMLOCK_USER &&
	    opts.memlock_mode != IOMMUFD_MEMLOCK_PROCESS)
		return ifd_fail(-EINVAL, "use 0, IOMMUFD_MEMLOCK_USER or _PROCESS", "memlock mode %u",
				opts.memlock_mode);
	ret = ifd_log_init(&log, &opts);
	if (ret)
		return ret;

	ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return ifd_fail(-ENOMEM, NULL, "make a context");
	ctx->refs = 1;
	ctx->log = log;
	ctx->noiommu = opts.flags & IOMMUFD_CTX_NOIOMMU;
	ctx->memlock_mode = opts.memlock_mode;
	ctx->fd = -1;
	ret = set_home(ctx);
	if (ret) {
		free(ctx);
		return ret;
	}
	pthread_mutex_init(&ctx->opening, NULL);
	pthread_mutex_init(&ctx->lock, NULL);
	pthread_mutex_init(&ctx->pins, NULL);
	pthread_mutex_init(&ctx->lending, NULL);
	*wanted = opts.backend;
	*out = ctx;
	return 0;
}

static void ctx_destroy(struct iommufd_ctx *ctx)
{
	ifd_group_close_all(ctx);
	ifd_sys_close(ctx->fd);
	free(ctx->passed_over);
	ifd_sys_munmap((void *)ctx->home, (size_t)ifd_sys_page_size());
	pthread_mutex_destroy(&ctx->lending);
	pthread_mutex_destroy(&ctx->pins);
	pthread_mutex_destroy(&ctx->lock);
	pthread_mutex_destroy(&ctx->opening);
	free(ctx);
}

static void use_backend(struct iommufd_ctx *ctx, const struct ifd_backend *backend, int fd)
{
	ctx->backend = backend;
	ctx->fd = fd;
	ctx->container_free = true;
}

static int set_memlock(struct iommufd_ctx *ctx)
{
	return ctx->memlock_mode ? ctx->backend->memlock(ctx) : 0;
}

static int open_one(struct iommufd_ctx *ctx, const struct ifd_backend *backend)
{
	int fd = backend->open(&ctx->log, NULL);

	if (fd < 0)
		return fd;
	use_backend(ctx, backend, fd);
	ifd_info(&ctx->log, "backend %s: it was asked for", backend->name);
	return 0;
}

static int open_first(struct iommufd_ctx *ctx)
{
	char reasons[IFD_HINT_MAX] = "";
	int first = 0;

	for (size_t i = 0; ifd_backends[i]; i++) {
		int fd = ifd_backends[i]->open(&ctx->log, NULL);

		if (fd >= 0) {
			use_backend(ctx, ifd_backends[i], fd);
			ctx->passed_over = *reasons ? strdup(reasons) : NULL;
			ifd_info(&ctx->log, "backend %s: the first that is usable", ctx->backend->name);
			return 0;
		}
		first = first ? first : fd;
		ifd_warn(&ctx->log, "backend %s passed over: %s", ifd_backends[i]->name, iommufd_errmsg());
		ifd_hint(reasons, "%s%s", *reasons ? "; " : "", iommufd_errmsg());
	}
	return ifd_fail(first, reasons, "find a usable backend");
}

EXPORT int iommufd_ctx_new(const struct iommufd_ctx_opts *opts, struct iommufd_ctx **out)
{
	struct iommufd_ctx *ctx;
	uint32_t wanted;
	int ret;

	ret = ctx_alloc(opts, &wanted, &ctx);
	if (ret)
		return ret;

	if (wanted == IOMMUFD_BACKEND_AUTO)
		ret = ifd_backend_from_env(&wanted);
	if (!ret)
		ret = wanted == IOMMUFD_BACKEND_AUTO ? open_first(ctx) : open_one(ctx, backend_by_id(wanted));
	if (!ret)
		ret = set_memlock(ctx);
	if (ret) {
		ctx_destroy(ctx);
		return ret;
	}
	*out = ctx;
	return 0;
}

/* A container that iommufd serves is of both backends: with AUTO it is the first's. */
static const struct ifd_backend *recognise(const struct iommufd_ctx *ctx, int fd, uint32_t wanted)
{
	for (size_t i = 0; ifd_backends[i]; i++)
		if ((wanted == IOMMUFD_BACKEND_AUTO || wanted == ifd_backends[i]->id) &&
		    ifd_backends[i]->recognise(&ctx->log, fd))
			return ifd_backends[i];
	return NULL;
}

static int fail_recognise(const struct iommufd_ctx *ctx, int copy, int fd, uint32_t wanted)
{
	const struct ifd_backend *actual = recognise(ctx, copy, IOMMUFD_BACKEND_AUTO);

	if (!actual)
		return ifd_fail(-EINVAL, "open " IFD_DEV_IOMMU " or " IFD_DEV_VFIO " for it",
				"adopt file descriptor %d: neither an iommufd nor a VFIO container", fd);
	return ifd_fail(-EINVAL, "leave the backend at IOMMUFD_BACKEND_AUTO to take it as what it is",
			"adopt file descriptor %d as %s: it is of the backend %s", fd, iommufd_backend_name(wanted),
			actual->name);
}

static int adopt(struct iommufd_ctx *ctx, int fd, uint32_t wanted)
{
	const struct ifd_backend *backend;
	int copy;

	copy = ifd_sys_dup(fd);
	if (copy < 0)
		return ifd_fail(copy,
				copy == -EBADF ? "give an open one" : "raise the limit of open files, see ulimit -n",
				"adopt file descriptor %d", fd);
	backend = recognise(ctx, copy, wanted);
	if (!backend) {
		int ret = fail_recognise(ctx, copy, fd, wanted);

		ifd_sys_close(copy);
		return ret;
	}
	use_backend(ctx, backend, copy);
	ctx->adopted = true;
	ifd_info(&ctx->log, "backend %s: file descriptor %d is of it", backend->name, fd);
	return 0;
}

EXPORT int iommufd_ctx_from_fd(int fd, const struct iommufd_ctx_opts *opts, struct iommufd_ctx **out)
{
	struct iommufd_ctx *ctx;
	uint32_t wanted;
	int ret;

	ret = ctx_alloc(opts, &wanted, &ctx);
	if (ret)
		return ret;
	ret = adopt(ctx, fd, wanted);
	if (!ret)
		ret = set_memlock(ctx);
	if (ret) {
		ctx_destroy(ctx);
		return ret;
	}
	*out = ctx;
	return 0;
}

struct iommufd_ctx *ifd_ctx_get(struct iommufd_ctx *ctx)
{
	atomic_fetch_add(&ctx->refs, 1);
	return ctx;
}

void ifd_ctx_put(struct iommufd_ctx *ctx)
{
	if (atomic_fetch_sub(&ctx->refs, 1) == 1)
		ctx_destroy(ctx);
}

EXPORT void iommufd_ctx_free(struct iommufd_ctx *ctx)
{
	if (!ctx)
		return;
	ifd_lock(ctx, &ctx->opening);
	ifd_group_orphan_all(ctx);
	ifd_unlock(ctx, &ctx->opening);
	ifd_ctx_put(ctx);
}

EXPORT uint32_t iommufd_ctx_backend(const struct iommufd_ctx *ctx)
{
	return ctx->backend->id;
}

EXPORT const char *iommufd_backend_name(uint32_t backend)
{
	if (backend == IOMMUFD_BACKEND_AUTO)
		return "auto";
	return backend_by_id(backend) ? backend_by_id(backend)->name : "unknown";
}

EXPORT int iommufd_ctx_fd(const struct iommufd_ctx *ctx)
{
	return ctx->fd;
}
