/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* How a batch brings memory in: in which pieces, and for what. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "batch-scene.h"

#define GIB (UINT64_C(1) << 30)

void batch_memory_tests(TCase *tcase);

static int map_batch(struct iommufd_map *maps, size_t count, uint32_t threads)
{
	struct iommufd_batch_opts opts = { sizeof(opts), IOMMUFD_BATCH_POPULATE, threads, NULL, NULL };

	return iommufd_ioas_map_batch(batch.scene.ioas, maps, count, &opts);
}

START_TEST(memory_is_cut_at_borders_of_huge_pages_only)
{
	static const struct {
		uint64_t start, len;
		uint32_t threads;
		uint64_t piece;
	} cases[] = {
		{ 0x700000001000, HUGE, 8, HUGE },      { 0x700000000000, 12 * HUGE, 1, HUGE },
		{ 0x7000001ff000, 13 * HUGE, 2, HUGE }, { 0x700000201000, 64 * HUGE, 2, 2 * HUGE },
		{ 0x700000201000, 64 * HUGE, 4, HUGE }, { 0x700000000000 - 0x1000, 64 * GIB, 4, GIB },
		{ 0x700000200000, 640 * GIB, 1, GIB },  { 0x700000201000, 8 * GIB, 4, 64 * HUGE },
	};
	static struct batch_advice advice[1000];
	size_t c = (size_t)_i / 2, count;
	struct iommufd_map map;
	uint64_t next = cases[c].start;
	unsigned int before;

	batch_open((size_t)_i % 2);
	before = inject_ioctls(batch.map);
	batch_fill(&map, 1, cases[c].start, cases[c].len);
	ck_assert_int_eq(map_batch(&map, 1, cases[c].threads), 0);
	ck_assert_uint_eq(inject_ioctls(batch.map) - before, 1);
	count = batch_advice(advice, 1000);
	for (size_t i = 0; i < count; i++) {
		ck_assert_uint_eq(advice[i].start, next);
		ck_assert_int_eq(advice[i].advice, MADV_POPULATE_WRITE);
		next += advice[i].len;
		if (i)
			ck_assert_uint_eq(advice[i].start % cases[c].piece, 0);
		if (i && i + 1 < count)
			ck_assert_uint_eq(advice[i].len, cases[c].piece);
	}
	ck_assert_uint_eq(next, cases[c].start + cases[c].len);
	batch_close();
}
END_TEST

#define WORKERS 4

static uint64_t pages_begun[WORKERS];
static atomic_uint begun;
static pthread_barrier_t start_of_all;

/* Each thread has one piece when they go on. */
static int begin_together(void *addr, size_t len, int advice)
{
	unsigned int n = begun++;

	(void)len;
	(void)advice;
	if (n < WORKERS) {
		pages_begun[n] = (uintptr_t)addr / GIB;
		pthread_barrier_wait(&start_of_all);
	}
	return 0;
}

/* While one of them zeroes a page, all wait who want some of it. */
START_TEST(threads_begin_with_different_pages_of_the_largest_size)
{
	static const uint64_t starts[] = { 0x700000000000, 0x700000201000, 0x700000000000 - SCENE_PAGE };
	struct iommufd_map map;

	batch_open((size_t)_i % 2);
	pthread_barrier_init(&start_of_all, NULL, WORKERS);
	inject_advice(begin_together);
	batch_fill(&map, 1, starts[_i / 2], 8 * GIB);
	ck_assert_int_eq(map_batch(&map, 1, WORKERS), 0);
	ck_assert_uint_gt(begun, 8 * WORKERS);
	for (size_t i = 1; i < WORKERS; i++)
		for (size_t j = 0; j < i; j++)
			ck_assert_uint_ne(pages_begun[i], pages_begun[j]);
	pthread_barrier_destroy(&start_of_all);
	batch_close();
}
END_TEST

/* Six pages: of no file; of a memfd, shared and private; of none, not to be written; of none, shared; of none. */
static unsigned char *all_kinds(void)
{
	int fd = memfd_create("kinds", 0), rw = PROT_READ | PROT_WRITE;
	unsigned char *at = mmap(NULL, 6 * SCENE_PAGE, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert(at != MAP_FAILED && fd >= 0 && !ftruncate(fd, 2 * SCENE_PAGE));
	ck_assert(mmap(at + SCENE_PAGE, SCENE_PAGE, rw, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED);
	ck_assert(mmap(at + 2 * SCENE_PAGE, SCENE_PAGE, rw, MAP_PRIVATE | MAP_FIXED, fd, 0) != MAP_FAILED);
	ck_assert_int_eq(mprotect(at + 3 * SCENE_PAGE, SCENE_PAGE, PROT_READ), 0);
	ck_assert(mmap(at + 4 * SCENE_PAGE, SCENE_PAGE, rw, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
		  MAP_FAILED);
	close(fd);
	return at;
}

START_TEST(what_devices_only_read_is_neither_written_nor_made_of_zeroes)
{
	struct batch_advice advice[16];
	unsigned char *at = all_kinds();
	struct iommufd_map map;

	batch_open((size_t)_i);
	batch_fill(&map, 1, (uintptr_t)at, 6 * SCENE_PAGE);
	map.flags = IOMMUFD_MAP_READ | IOMMUFD_MAP_FIXED;
	ck_assert_int_eq(map_batch(&map, 1, 1), 0);
	/* A border of huge pages may be among them. */
	for (size_t i = 0, count = batch_advice(advice, 16); i < count; i++)
		for (uint64_t page = advice[i].start; page < advice[i].start + advice[i].len; page += SCENE_PAGE) {
			size_t n = (page - (uintptr_t)at) / SCENE_PAGE;

			ck_assert_uint_lt(n, 6);
			ck_assert_int_eq(advice[i].advice, n % 5 ? MADV_POPULATE_READ : MADV_POPULATE_WRITE);
		}
	ck_assert_int_eq(iommufd_ioas_unmap_all(batch.scene.ioas, NULL), 0);

	/* What they write is brought in for that, whatever it is. */
	map.flags = IOMMUFD_MAP_WRITE | IOMMUFD_MAP_FIXED;
	ck_assert_int_eq(map_batch(&map, 1, 1), 0);
	for (size_t i = 0, count = batch_advice(advice, 16); i < count; i++)
		ck_assert_int_eq(advice[i].advice, MADV_POPULATE_WRITE);
	munmap(at, 6 * SCENE_PAGE);
	batch_close();
}
END_TEST

/* What is to be said of each page, in the order of the requests. */
static void read_only_gives(struct iommufd_map *maps, size_t count, const char *wanted)
{
	struct batch_advice advice[64];
	size_t said;

	for (size_t i = 0; i < count; i++)
		maps[i].flags = IOMMUFD_MAP_READ | IOMMUFD_MAP_FIXED;
	ck_assert_int_eq(map_batch(maps, count, 1), 0);
	said = batch_advice(advice, 64);
	for (size_t i = 0; i < count; i++)
		for (uint64_t page = (uintptr_t)maps[i].vaddr; page < (uintptr_t)maps[i].vaddr + maps[i].len;
		     page += SCENE_PAGE) {
			size_t a = 0;

			while (a < said && page - advice[a].start >= advice[a].len)
				a++;
			ck_assert_uint_lt(a, said);
			ck_assert_int_eq(advice[a].advice, *wanted++ == 'w' ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
		}
	ck_assert_int_eq(iommufd_ioas_unmap_all(batch.scene.ioas, NULL), 0);
}

START_TEST(all_memory_of_no_file_is_known_wherever_a_request_begins_and_ends)
{
	enum { PAGES = 48 };
	unsigned char *at = mmap(NULL, PAGES * SCENE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *heap = sbrk(4 * SCENE_PAGE);
	struct iommufd_map maps[2], swapped[2];
	char wanted[PAGES + 1] = { 0 };

	ck_assert(at != MAP_FAILED && heap != (void *)-1);
	batch_open((size_t)_i);
	/* Inside of it. */
	batch_fill(maps, 1, (uintptr_t)at + SCENE_PAGE, 2 * SCENE_PAGE);
	read_only_gives(maps, 1, "ww");
	/* In more pieces than there is room for at first. */
	for (size_t i = 0; i < PAGES; i++) {
		ck_assert(i % 2 == 0 || !mprotect(at + i * SCENE_PAGE, SCENE_PAGE, PROT_READ));
		wanted[i] = i % 2 ? 'r' : 'w';
	}
	batch_fill(maps, 1, (uintptr_t)at, PAGES * SCENE_PAGE);
	read_only_gives(maps, 1, wanted);
	/* In several requests, in their order and in another one. */
	batch_fill(maps, 2, (uintptr_t)at, 4 * SCENE_PAGE);
	read_only_gives(maps, 2, "wrwrwrwr");
	swapped[0] = maps[1];
	swapped[1] = maps[0];
	read_only_gives(swapped, 2, "wrwrwrwr");
	/* The heap has a name, and no file. */
	heap += -(uintptr_t)heap & (SCENE_PAGE - 1);
	batch_fill(maps, 1, (uintptr_t)heap, 3 * SCENE_PAGE);
	read_only_gives(maps, 1, "www");
	munmap(at, PAGES * SCENE_PAGE);
	batch_close();
}
END_TEST

START_TEST(what_the_process_has_is_looked_at_once_a_batch_and_only_if_devices_only_read)
{
	enum { MANY = 10000 };
	static struct iommufd_map many[MANY];
	unsigned char *at = mmap(NULL, MANY * SCENE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int lines;

	ck_assert_ptr_ne(at, MAP_FAILED);
	batch_open((size_t)_i);
	batch_fill(many, MANY, (uintptr_t)at, SCENE_PAGE);
	lines = batch_lines;
	ck_assert_int_eq(map_batch(many, MANY, 2), 0);
	ck_assert_uint_eq(batch_lines, lines);
	ck_assert_int_eq(iommufd_ioas_unmap_all(batch.scene.ioas, NULL), 0);
	for (size_t i = 0; i < MANY; i++)
		many[i].flags = IOMMUFD_MAP_READ | IOMMUFD_MAP_FIXED;
	ck_assert_int_eq(map_batch(many, MANY, 2), 0);
	ck_assert_uint_eq(batch_lines, lines + 1);
	munmap(at, MANY * SCENE_PAGE);
	batch_close();
}
END_TEST

START_TEST(memory_that_the_kernel_cannot_bring_in_is_left_to_the_mapping)
{
	struct iommufd_map maps[3];

	batch_open((size_t)_i);
	batch_fill(maps, 3, 0x700000001000, HUGE);
	batch_advice_fail(0, -EINVAL);
	ck_assert_int_eq(map_batch(maps, 3, 2), 0);
	ck_assert_uint_eq(ifd_index_count(&batch.scene.ioas->index), 3);
	batch_close();
}
END_TEST

/* Of no file, and of one, of which there is more to be suspected. */
START_TEST(a_lack_of_memory_is_told_from_memory_that_is_not_there)
{
	int fd = memfd_create("lack", 0), shared = MAP_SHARED, none = MAP_PRIVATE | MAP_ANONYMOUS;

	ck_assert(fd >= 0 && !ftruncate(fd, 2 * SCENE_PAGE));
	batch_open((size_t)_i);
	for (int of_file = 0; of_file <= 1; of_file++) {
		unsigned char *at = mmap(NULL, 2 * SCENE_PAGE, PROT_READ | PROT_WRITE, of_file ? shared : none,
					 of_file ? fd : -1, 0);
		struct iommufd_map map;

		ck_assert_ptr_ne(at, MAP_FAILED);
		batch_fill(&map, 1, (uintptr_t)at, 2 * SCENE_PAGE);
		batch_advice_fail(0, -ENOMEM);
		unit_fails(-ENOMEM, map_batch(&map, 1, 2));
		unit_words_have("memory is short");
		munmap(at + SCENE_PAGE, SCENE_PAGE);
		unit_fails(-EFAULT, map_batch(&map, 1, 2));
		unit_words_have("nothing is mapped at");
		munmap(at, SCENE_PAGE);
	}
	close(fd);
	batch_close();
}
END_TEST

void batch_memory_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, memory_is_cut_at_borders_of_huge_pages_only, 0, 8 * BATCH_BACKENDS);
	tcase_add_loop_test(tcase, threads_begin_with_different_pages_of_the_largest_size, 0, 3 * BATCH_BACKENDS);
	tcase_add_loop_test(tcase, what_devices_only_read_is_neither_written_nor_made_of_zeroes, 0, BATCH_BACKENDS);
	tcase_add_loop_test(tcase, all_memory_of_no_file_is_known_wherever_a_request_begins_and_ends, 0,
			    BATCH_BACKENDS);
	tcase_add_loop_test(tcase, what_the_process_has_is_looked_at_once_a_batch_and_only_if_devices_only_read, 0,
			    BATCH_BACKENDS);
	tcase_add_loop_test(tcase, memory_that_the_kernel_cannot_bring_in_is_left_to_the_mapping, 0, BATCH_BACKENDS);
	tcase_add_loop_test(tcase, a_lack_of_memory_is_told_from_memory_that_is_not_there, 0, BATCH_BACKENDS);
}
