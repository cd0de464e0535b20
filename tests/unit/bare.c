/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <stdlib.h>
#include <sys/mman.h>

#include "bare.h"
#include "internal.h"
#include "unit.h"

static int no_container(struct iommufd_ioas *ioas)
{
	ioas->container = -1;
	return 0;
}

struct iommufd_ioas *bare_ioas_new(void)
{
	static struct ifd_backend backend;
	struct iommufd_ctx *ctx = calloc(1, sizeof(*ctx));
	struct iommufd_ioas *ioas;
	void *home;

	ck_assert_ptr_nonnull(ctx);
	backend = ifd_backend_vfio;
	backend.ioas_new = no_container;
	ctx->refs = 1;
	ctx->backend = &backend;
	ctx->fd = -1;
	ck_assert_int_eq(
		ifd_sys_mmap(-1, 0, ifd_sys_page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, &home),
		0);
	*(unsigned char *)home = 1;
	ctx->home = home;
	pthread_mutex_init(&ctx->opening, NULL);
	pthread_mutex_init(&ctx->lock, NULL);
	ck_assert_int_eq(iommufd_ioas_new(ctx, &ioas), 0);
	iommufd_ctx_free(ctx);
	return ioas;
}
