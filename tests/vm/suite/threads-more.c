/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Several threads at once in one IOAS: some map, copy, map files and unmap, while others read dirty pages, make page
 * tables and translate. Work is counted, not timed. ThreadSanitizer sees what is not guarded.
 */
#include <pthread.h>
#include <stdatomic.h>
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

/* ---- Translation ---- */

#define COMING 12 /* pages that come and go, behind one that stays and one that is there twice for moments */

static atomic_bool done;

static void expect_at(struct worker *worker, uint64_t page, bool stays)
{
	uint64_t iova = 0, there = WINDOW + page * PAGE;
	struct iovec iov = { pool + page * PAGE + 8, 64 };
	struct iommufd_segment segment = { 0, 0 };
	int ret = iommufd_ioas_to_iova(worker->bed->ioas, pool + page * PAGE, PAGE, &iova);
	bool right = ret ? !stays && ret == -ENOENT : iova == there || (page == 1 && iova == there + WINDOW);

	if (!right && !*worker->wrong)
		snprintf(worker->wrong, sizeof(worker->wrong), "page %d: %d, 0x%llx", (int)page, ret,
			 (unsigned long long)iova);
	if (page == 1)
		return;
	ret = iommufd_ioas_to_iovas(worker->bed->ioas, &iov, 1, &segment, 1);
	right = ret < 0 ? !stays && ret == -ENOENT : ret == 1 && segment.addr == there + 8 && segment.len == 64;
	if (!right && !*worker->wrong)
		snprintf(worker->wrong, sizeof(worker->wrong), "segment of page %d: %d, 0x%llx", (int)page, ret,
			 (unsigned long long)segment.addr);
}

static void *translate(void *arg)
{
	struct worker *worker = arg;

	do {
		for (uint64_t page = 0; page < 2 + COMING; page++)
			expect_at(worker, page, page < 2);
	} while (!atomic_load(&done) && !*worker->wrong);
	return NULL;
}

/* What is there twice: each of the two in turn is unmapped, and so the other is left. */
static void come_and_go(struct iommufd_ioas *ioas, int round)
{
	uint64_t second = WINDOW + PAGE + (round % 2 ? WINDOW : 0), iova;

	for (uint64_t page = 2; page < 2 + COMING; page++) {
		iova = WINDOW + page * PAGE;
		ok(iommufd_ioas_map(ioas, pool + page * PAGE, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	}
	ok(iommufd_ioas_unmap(ioas, second, PAGE, NULL));
	ok(iommufd_ioas_unmap(ioas, WINDOW + 2 * PAGE, COMING * PAGE, NULL));
	ok(iommufd_ioas_map(ioas, pool + PAGE, PAGE, RW | IOMMUFD_MAP_FIXED, &second));
}

START_TEST(threads_translate_what_stays_while_another_maps_and_unmaps_all_around_it)
{
	uint64_t iova = WINDOW, again = 2 * WINDOW + PAGE;
	struct worker readers[2];
	struct bed bed;

	pool = memory((2 + COMING) * PAGE);
	bed_attach(&bed, EDU);
	ok(iommufd_ioas_map(bed.ioas, pool, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	iova += PAGE;
	ok(iommufd_ioas_map(bed.ioas, pool + PAGE, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_ioas_map(bed.ioas, pool + PAGE, PAGE, RW | IOMMUFD_MAP_FIXED, &again));
	for (int i = 0; i < 2; i++) {
		readers[i] = (struct worker){ .bed = &bed };
		ck_assert_int_eq(pthread_create(&readers[i].thread, NULL, translate, &readers[i]), 0);
	}
	for (int i = 0; i < CALLS; i++)
		come_and_go(bed.ioas, i);
	atomic_store(&done, true);
	for (int i = 0; i < 2; i++)
		pthread_join(readers[i].thread, NULL);
	for (int i = 0; i < 2; i++)
		ck_assert_msg(!*readers[i].wrong, "thread %d: %s", i, readers[i].wrong);
	bed_close(&bed);
}
END_TEST

void add_threads_more_tests(TCase *tc)
{
	tcase_add_test(tc, threads_translate_what_stays_while_another_maps_and_unmaps_all_around_it);
	tcase_add_test(tc, threads_map_copy_read_dirty_pages_and_make_page_tables_of_one_ioas);
}
