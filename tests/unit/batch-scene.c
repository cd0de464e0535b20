/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "batch-scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define MAX_ADVICE 4096

struct batch_scene batch;
atomic_uint batch_lines;

static struct batch_advice advice[MAX_ADVICE];
static atomic_uint num_advice, fail_in, num_threads, num_ended;
static atomic_int fail_err;
static atomic_uint threads_left;
static unsigned int mapped, unmapped;

int __real_ifd_sys_thread(pthread_t *thread, void *(*fn)(void *data), void *data);
int __wrap_ifd_sys_thread(pthread_t *thread, void *(*fn)(void *data), void *data);
int __real_ifd_sys_each_line(const char *path, ifd_sys_text_fn fn, void *data);
int __wrap_ifd_sys_each_line(const char *path, ifd_sys_text_fn fn, void *data);

static int advise(void *addr, size_t len, int what)
{
	unsigned int in = fail_in, n = num_advice++;

	if (n < MAX_ADVICE)
		advice[n] = (struct batch_advice){ .start = (uintptr_t)addr, .len = len, .advice = what };
	if (fail_err && (!in || atomic_fetch_sub(&fail_in, 1) == 1))
		return in ? atomic_exchange(&fail_err, 0) : fail_err;
	return 0;
}

void batch_advice_fail(unsigned int nth, int err)
{
	fail_in = nth;
	fail_err = err;
}

static int by_start(const void *a, const void *b)
{
	uint64_t x = ((const struct batch_advice *)a)->start, y = ((const struct batch_advice *)b)->start;

	return x < y ? -1 : x > y;
}

size_t batch_advice(struct batch_advice *out, size_t max)
{
	size_t count = atomic_exchange(&num_advice, 0);

	ck_assert_uint_le(count, max);
	ck_assert_uint_le(count, MAX_ADVICE);
	memcpy(out, advice, count * sizeof(*out));
	qsort(out, count, sizeof(*out), by_start);
	return count;
}

/* ---- Threads, lines ---- */

struct start {
	void *(*fn)(void *data);
	void *data;
};

static void *run(void *data)
{
	struct start start = *(struct start *)data;

	free(data);
	start.fn(start.data);
	usleep(100); /* so that who does not wait for it is noticed */
	num_ended++;
	return NULL;
}

int __wrap_ifd_sys_thread(pthread_t *thread, void *(*fn)(void *data), void *data)
{
	struct start *start;
	int ret;

	if (!threads_left)
		return -EAGAIN;
	threads_left--;
	start = malloc(sizeof(*start));
	*start = (struct start){ fn, data };
	ret = __real_ifd_sys_thread(thread, run, start);
	ck_assert_int_eq(ret, 0);
	num_threads++;
	return 0;
}

void batch_threads_left(unsigned int left)
{
	threads_left = left;
}

unsigned int batch_threads(void)
{
	unsigned int threads = atomic_exchange(&num_threads, 0);

	ck_assert_uint_eq(atomic_exchange(&num_ended, 0), threads);
	return threads;
}

void batch_await_threads(void)
{
	while (num_ended != num_threads)
		sched_yield();
}

int __wrap_ifd_sys_each_line(const char *path, ifd_sys_text_fn fn, void *data)
{
	batch_lines++;
	return __real_ifd_sys_each_line(path, fn, data);
}

/* ---- The scene ---- */

void batch_forget(void)
{
	mapped = inject_ioctls(batch.map);
	unmapped = inject_ioctls(batch.unmap);
}

void batch_open(size_t backend)
{
	bool iommufd = backend == 0;

	scene_open(&batch.scene, iommufd ? IOMMUFD_BACKEND_IOMMUFD : IOMMUFD_BACKEND_VFIO);
	ck_assert_int_eq(iommufd_device_attach(batch.scene.dev, batch.scene.ioas), 0);
	batch.map = iommufd ? (unsigned long)IOMMU_IOAS_MAP : (unsigned long)VFIO_IOMMU_MAP_DMA;
	batch.unmap = iommufd ? (unsigned long)IOMMU_IOAS_UNMAP : (unsigned long)VFIO_IOMMU_UNMAP_DMA;
	batch_forget();
	inject_advice(advise);
	batch_advice_fail(0, 0);
	batch_threads_left(UINT32_MAX);
	num_threads = num_ended = num_advice = 0;
}

void batch_close(void)
{
	inject_advice(NULL);
	scene_close(&batch.scene);
}

void batch_check_empty(const struct iommufd_map *maps, size_t count)
{
	ck_assert_uint_eq(ifd_index_count(&batch.scene.ioas->index), 0);
	ck_assert_uint_eq(inject_ioctls(batch.map) - mapped, inject_ioctls(batch.unmap) - unmapped);
	for (size_t i = 0; i < count; i++)
		ck_assert_uint_eq(maps[i].iova, maps[i].flags & IOMMUFD_MAP_FIXED ? BATCH_IOVA + i * maps[i].len : 42);
}

void batch_fill(struct iommufd_map *maps, size_t count, uint64_t start, uint64_t len)
{
	for (size_t i = 0; i < count; i++)
		maps[i] = (struct iommufd_map){
			.vaddr = (void *)(uintptr_t)(start + i * len),
			.len = len,
			.iova = BATCH_IOVA + i * len,
			.flags = RW | IOMMUFD_MAP_FIXED,
		};
}

const uint32_t batch_counts[COUNTS] = { 0, 1, 2, 3, 8 };

struct iommufd_map batch_maps[N];

int batch_map(uint32_t flags, uint32_t threads, iommufd_progress_fn progress, void *data)
{
	struct iommufd_batch_opts opts = { sizeof(opts), flags, threads, progress, data };

	return iommufd_ioas_map_batch(batch.scene.ioas, batch_maps, N, &opts);
}

int batch_listen(void *data, uint64_t done, uint64_t total)
{
	struct batch_listener *listener = data;

	listener->wrong |= !pthread_equal(listener->thread, pthread_self()) || done <= listener->done || done > total ||
			   (listener->calls && total != listener->total);
	listener->done = done;
	listener->total = total;
	return ++listener->calls == listener->cancel_at;
}

void batch_check_there(void)
{
	uint64_t iova;

	ck_assert_uint_eq(ifd_index_count(&batch.scene.ioas->index), N);
	for (size_t i = 0; i < N; i++) {
		ck_assert_int_eq(iommufd_ioas_to_iova(batch.scene.ioas, batch_maps[i].vaddr, batch_maps[i].len, &iova),
				 0);
		ck_assert_uint_eq(iova, batch_maps[i].iova);
	}
	ck_assert_int_eq(iommufd_ioas_unmap_all(batch.scene.ioas, NULL), 0);
	batch_forget();
}
