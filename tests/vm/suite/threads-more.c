/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Several threads at once in one IOAS: some map, copy, map files and unmap, while others read dirty pages and make page
 * tables. Work is counted, not timed. ThreadSanitizer sees what is not guarded.
 */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "vm.h"

#define CALLS  60
#define WINDOW UINT64_C(0x40000000)

struct worker {
	pthread_t thread;
	struct bed *bed;
	struct iommufd_ioas *second;
	int file;
	char wrong[300];
};

static unsigned char *pool;

static void expect(struct worker *worker, int ret, const char *what)
{
	if (ret && !*worker->wrong)
		snprintf(worker->wrong, sizeof(worker->wrong), "%s gave %d: %s", what, ret, iommufd_errmsg());
}

#define MUST(worker, call) expect(worker, call, #call)

/* The one page that is always mapped is read by the copies. */
static void *map_and_unmap(void *arg)
{
	struct worker *worker = arg;
	uint64_t iova;

	for (int i = 0; i < CALLS && !*worker->wrong; i++) {
		MUST(worker, iommufd_ioas_map(worker->bed->ioas, pool + PAGE, PAGE, RW, &iova));
		if (!*worker->wrong)
			MUST(worker, iommufd_ioas_unmap(worker->bed->ioas, iova, PAGE, NULL));
	}
	return NULL;
}

static void *copy_and_unmap(void *arg)
{
	struct worker *worker = arg;
	uint64_t iova;

	for (int i = 0; i < CALLS && !*worker->wrong; i++) {
		struct iommufd_ioas *to = i % 2 ? worker->second : worker->bed->ioas;

		MUST(worker, iommufd_ioas_copy(worker->bed->ioas, WINDOW, PAGE, to, RW, &iova));
		if (!*worker->wrong)
			MUST(worker, iommufd_ioas_unmap(to, iova, PAGE, NULL));
	}
	return NULL;
}

static void *map_files(void *arg)
{
	struct worker *worker = arg;
	uint64_t iova;

	for (int i = 0; i < CALLS && !*worker->wrong; i++) {
		MUST(worker, iommufd_ioas_map_file(worker->bed->ioas, worker->file, 0, PAGE, RW, &iova));
		if (!*worker->wrong)
			MUST(worker, iommufd_ioas_unmap(worker->bed->ioas, iova, PAGE, NULL));
	}
	return NULL;
}

/* Where the IOMMU can tell; the others say that they cannot. */
static void *read_dirty(void *arg)
{
	struct worker *worker = arg;
	uint64_t bits = 0;

	for (int i = 0; i < CALLS && !*worker->wrong; i++) {
		int ret = iommufd_ioas_dirty_start(worker->bed->ioas);

		if (ret == -EOPNOTSUPP)
			return NULL;
		MUST(worker, ret);
		MUST(worker, iommufd_ioas_dirty_read(worker->bed->ioas, WINDOW, PAGE, PAGE, 0, &bits, sizeof(bits)));
		MUST(worker, iommufd_ioas_dirty_stop(worker->bed->ioas));
	}
	return NULL;
}

static void *make_tables(void *arg)
{
	struct worker *worker = arg;
	struct iommufd_hwpt *hwpt = NULL;

	for (int i = 0; i < CALLS / 4 && !*worker->wrong && iommufd_device_id(worker->bed->dev); i++) {
		MUST(worker, iommufd_hwpt_new(worker->bed->dev, worker->bed->ioas, NULL, &hwpt));
		iommufd_hwpt_free(hwpt);
		hwpt = NULL;
	}
	return NULL;
}

START_TEST(threads_map_copy_read_dirty_pages_and_make_page_tables_of_one_ioas)
{
	static void *(*const works[])(void *) = {
		map_and_unmap, copy_and_unmap, copy_and_unmap, map_files, read_dirty, make_tables,
	};
	struct worker workers[sizeof(works) / sizeof(works[0])];
	uint64_t iova = WINDOW, bytes = 0;
	struct iommufd_ioas *second;
	int fds = open_fds(), file;
	struct bed bed;

	pool = memory(2 * PAGE);
	file = memfd_create("threads", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(file, PAGE), 0);
	bed_attach(&bed, EDU);
	ok(iommufd_ioas_new(bed.ctx, &second));
	ok(iommufd_ioas_map(bed.ioas, pool, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
		workers[i] = (struct worker){ .bed = &bed, .second = second, .file = file };
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, works[i], &workers[i]), 0);
	}
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
		pthread_join(workers[i].thread, NULL);
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
		ck_assert_msg(!*workers[i].wrong, "thread %zu: %s", i, workers[i].wrong);
	ok(iommufd_ioas_unmap_all(bed.ioas, &bytes));
	ck_assert_uint_eq(bytes, PAGE);
	ok(iommufd_ioas_unmap_all(second, &bytes));
	ck_assert_uint_eq(bytes, 0);
	iommufd_ioas_free(second);
	bed_close(&bed);
	close(file);
	ck_assert_int_eq(open_fds(), fds);
}
END_TEST

void add_threads_more_tests(TCase *tc)
{
	tcase_add_test(tc, threads_map_copy_read_dirty_pages_and_make_page_tables_of_one_ioas);
}
