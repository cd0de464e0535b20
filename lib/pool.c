/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "internal.h"
#include "tree.h"

/* The most that caches of a machine of this kind have in a line. */
#if defined(__aarch64__) || defined(__powerpc64__)
#define LINE 128u
#else
#define LINE 64u
#endif

/* A pool grows by as much as it has, between these. Bytes. */
#define LEAST_CHUNK ((size_t)64 << 10)
#define MOST_CHUNK  ((size_t)2 << 20)

/* In `next`: what no free object is. */
#define GIVEN_OUT UINT32_MAX
#define NO_MORE   (UINT32_MAX - 1)

/*
 * Memory for some objects. All that is known of them is here, in memory that no device can write, and that a child
 * process has.
 */
struct chunk {
	struct ifd_node vaddr;
	struct chunk *next_spare; /* in pool->spare */
	struct iommufd_dma dma;
	uint32_t count;
	uint32_t first;  /* free object, or NO_MORE */
	uint32_t next[]; /* free object for each that is free, or NO_MORE; GIVEN_OUT */
};

struct iommufd_pool {
	struct iommufd_ioas *ioas;
	size_t size, stride;
	uint32_t flags;
	struct iommufd_dma_opts opts;
	pthread_mutex_t lock;   /* for all below; held while the pool grows */
	struct ifd_tree chunks; /* by address */
	struct chunk *spare;    /* those with a free object */
	size_t bytes;
};

/* A power of two, so that no object crosses a multiple of one that is not smaller; from a page on whole pages do. */
static size_t stride_of(size_t size)
{
	size_t page = (size_t)ifd_sys_page_size(), stride = LINE;

	while (stride < size && stride < page)
		stride *= 2;
	return stride < page ? stride : (size + (page - 1)) & ~(page - 1);
}

static int grow(struct iommufd_pool *pool)
{
	size_t len = pool->bytes < LEAST_CHUNK ? LEAST_CHUNK : pool->bytes > MOST_CHUNK ? MOST_CHUNK : pool->bytes;
	struct iommufd_dma dma;
	struct chunk *chunk;
	int ret = iommufd_dma_alloc_opts(pool->ioas, len < pool->stride ? pool->stride : len, pool->flags, &pool->opts,
					 &dma);

	if (ret)
		return ret;
	chunk = calloc(1, sizeof(*chunk) + dma.len / pool->stride * sizeof(chunk->next[0]));
	if (!chunk) {
		iommufd_dma_free(pool->ioas, &dma);
		return ifd_fail(-ENOMEM, NULL, "let a pool grow by %zu bytes", len);
	}
	chunk->dma = dma;
	chunk->count = (uint32_t)(dma.len / pool->stride);
	chunk->vaddr.start = (uintptr_t)dma.vaddr;
	chunk->vaddr.last = (uintptr_t)dma.vaddr + (dma.len - 1);
	for (uint32_t i = 0; i < chunk->count; i++)
		chunk->next[i] = i + 1 < chunk->count ? i + 1 : NO_MORE;
	chunk->next_spare = pool->spare;
	pool->spare = chunk;
	pool->bytes += dma.len;
	ifd_tree_insert(&pool->chunks, &chunk->vaddr);
	return 0;
}

EXPORT int iommufd_pool_new(struct iommufd_ioas *ioas, size_t size, uint32_t flags, const struct iommufd_dma_opts *opts,
			    struct iommufd_pool **out)
{
	struct iommufd_pool *pool;
	int ret;

	if (!size)
		return ifd_fail(-EINVAL, "give the length in bytes", "make a pool of objects without length");
	if (stride_of(size) < size)
		return ifd_fail(-EOVERFLOW, "ask for less", "make a pool of objects of %zu bytes", size);
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return ifd_fail(-ENOMEM, NULL, "make a pool");
	ret = ifd_opts_read(&pool->opts, sizeof(pool->opts), IFD_END_OF(struct iommufd_dma_opts, window), opts,
			    "options of a pool");
	pool->opts.struct_size = sizeof(pool->opts);
	pool->ioas = ioas;
	pool->size = size;
	pool->stride = stride_of(size);
	pool->flags = flags;
	if (!ret)
		ret = grow(pool);
	if (ret) {
		free(pool);
		return ret;
	}
	pthread_mutex_init(&pool->lock, NULL);
	ifd_ioas_get(ioas);
	*out = pool;
	return 0;
}

EXPORT void iommufd_pool_free(struct iommufd_pool *pool)
{
	struct ifd_node *node;

	if (!pool)
		return;
	/* In a child process that was forked while another thread was at it: then it is not fit to be walked. */
	if (!pthread_mutex_trylock(&pool->lock)) {
		pthread_mutex_unlock(&pool->lock);
		while ((node = ifd_tree_first(&pool->chunks, 0, UINT64_MAX))) {
			struct chunk *chunk = (struct chunk *)node;

			ifd_tree_remove(&pool->chunks, node);
			iommufd_dma_free(pool->ioas, &chunk->dma);
			free(chunk);
		}
		pthread_mutex_destroy(&pool->lock);
	}
	ifd_ioas_put(pool->ioas);
	free(pool);
}

static void take(struct iommufd_pool *pool, struct iommufd_dma *out)
{
	struct chunk *chunk = pool->spare;
	uint32_t i = chunk->first;

	chunk->first = chunk->next[i];
	chunk->next[i] = GIVEN_OUT;
	if (chunk->first == NO_MORE)
		pool->spare = chunk->next_spare;
	*out = (struct iommufd_dma){ .vaddr = (char *)chunk->dma.vaddr + i * pool->stride,
				     .iova = chunk->dma.iova + i * pool->stride,
				     .len = pool->size,
				     .page_size = chunk->dma.page_size };
}

EXPORT int iommufd_pool_get(struct iommufd_pool *pool, struct iommufd_dma *out)
{
	int ret = ifd_ctx_check(pool->ioas->ctx, "get an object of a pool");

	if (ret)
		return ret;
	pthread_mutex_lock(&pool->lock);
	if (!pool->spare)
		ret = grow(pool);
	if (!ret)
		take(pool, out);
	pthread_mutex_unlock(&pool->lock);
	return ret;
}

/* -ENOENT: it begins no object of this pool. -EALREADY: the object is free. */
static int put(struct iommufd_pool *pool, uint64_t vaddr)
{
	struct chunk *chunk = (struct chunk *)ifd_tree_cover(&pool->chunks, vaddr, vaddr);
	uint64_t i = chunk ? (vaddr - chunk->vaddr.start) / pool->stride : 0;

	if (!chunk || i >= chunk->count || chunk->vaddr.start + i * pool->stride != vaddr)
		return -ENOENT;
	if (chunk->next[i] != GIVEN_OUT)
		return -EALREADY;
	if (chunk->first == NO_MORE) {
		chunk->next_spare = pool->spare;
		pool->spare = chunk;
	}
	chunk->next[i] = chunk->first;
	chunk->first = (uint32_t)i;
	return 0;
}

EXPORT int iommufd_pool_put(struct iommufd_pool *pool, void *vaddr)
{
	int ret = ifd_ctx_check(pool->ioas->ctx, "give an object back to a pool");

	if (ret || !vaddr)
		return ret;
	pthread_mutex_lock(&pool->lock);
	ret = put(pool, (uintptr_t)vaddr);
	pthread_mutex_unlock(&pool->lock);
	if (!ret)
		return 0;
	return ifd_fail(ret,
			ret == -ENOENT ? "give back the vaddr that iommufd_pool_get() of this pool gave"
				       : "give an object back once",
			"give %p back to a pool", vaddr);
}
