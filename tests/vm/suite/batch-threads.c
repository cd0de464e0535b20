/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Batches by several threads, of memory that nobody has used before: what a guest's RAM is. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm.h"

#define HUGE  UINT64_C(0x200000)
#define BASE  UINT64_C(0x40000000)
#define KINDS 6

static struct iommufd_batch_opts by(uint32_t threads)
{
	return (struct iommufd_batch_opts){
		.struct_size = sizeof(struct iommufd_batch_opts),
		.flags = IOMMUFD_BATCH_POPULATE,
		.threads = threads,
	};
}

/* Memory of `len` bytes that begins at the border of a huge page. */
static unsigned char *of(size_t len, int flags, int fd)
{
	unsigned char *at = mmap(NULL, len + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ck_assert_ptr_ne(at, MAP_FAILED);
	at += -(uintptr_t)at & (HUGE - 1);
	ck_assert_ptr_eq(mmap(at, len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0), at);
	return at;
}

static int file(size_t len)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);

	ck_assert(fd >= 0 && !ftruncate(fd, (off_t)len));
	return fd;
}

/* Of no file, in small and in large pages; of hugetlbfs; of a memfd, shared and not; shared, of none. */
static void fill(struct iommufd_map *maps, size_t len, uint32_t flags)
{
	int fd = file(len);
	unsigned char *kinds[KINDS] = {
		of(len, MAP_PRIVATE | MAP_ANONYMOUS, -1),
		of(len, MAP_PRIVATE | MAP_ANONYMOUS, -1),
		of(len, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1),
		of(len, MAP_SHARED, fd),
		of(len, MAP_PRIVATE, fd),
		of(len, MAP_SHARED | MAP_ANONYMOUS, -1),
	};

	ck_assert_int_eq(madvise(kinds[0], len, MADV_NOHUGEPAGE), 0);
	ck_assert_int_eq(madvise(kinds[1], len, MADV_HUGEPAGE), 0);
	close(fd);
	for (size_t i = 0; i < KINDS; i++)
		maps[i] = (struct iommufd_map){ kinds[i], len, BASE + i * len, flags | IOMMUFD_MAP_FIXED, 0 };
}

static void drop(const struct iommufd_map *maps)
{
	for (size_t i = 0; i < KINDS; i++)
		ck_assert_int_eq(munmap(maps[i].vaddr, maps[i].len), 0);
}

static uint64_t unmapped(struct bed *bed)
{
	uint64_t bytes = 1;

	ok(iommufd_ioas_unmap_all(bed->ioas, &bytes));
	return bytes;
}

START_TEST(memory_of_each_kind_is_brought_in_and_mapped)
{
	struct iommufd_batch_opts opts = by(3);
	struct iommufd_map maps[KINDS];
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	fill(maps, 2 * HUGE, RW);
	ok(iommufd_ioas_map_batch(bed.ioas, maps, KINDS, &opts));
	for (size_t i = 0; i < KINDS; i++) {
		size_t to = (i + 1) % KINDS, end = 2 * HUGE - PAGE;

		edu_copy_works(&edu, maps[i].iova, maps[i].vaddr, maps[to].iova + end,
			       (unsigned char *)maps[to].vaddr + end);
	}
	ck_assert_uint_eq(unmapped(&bed), KINDS * 2 * HUGE);
	bed_close(&bed);
	drop(maps);
}
END_TEST

/* No page of zeroes in the place of what the process has not written yet. */
START_TEST(what_a_device_only_reads_is_what_the_process_writes_later)
{
	unsigned char *pages = of(HUGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct iommufd_batch_opts opts = by(2);
	struct iommufd_map maps[] = {
		{ pages, 4 * PAGE, 0, IOMMUFD_MAP_READ, 0 },
		{ pages + 4 * PAGE, PAGE, 0, IOMMUFD_MAP_WRITE, 0 },
	};
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_ioas_map_batch(bed.ioas, maps, 2, &opts));
	for (size_t i = 0; i < 4; i++)
		edu_copy_works(&edu, maps[0].iova + i * PAGE, pages + i * PAGE, maps[1].iova, pages + 4 * PAGE);
	bed_close(&bed);
}
END_TEST

/* How much of the memory that begins at `at` is in huge pages. */
static unsigned long huge_kib(const unsigned char *at)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	unsigned long start = 0, kib = 0, n;
	char line[512];

	ck_assert_ptr_nonnull(smaps);
	while (fgets(line, sizeof(line), smaps))
		if (sscanf(line, "%lx-%*x ", &n) == 1 && strchr(line, '-'))
			start = n;
		else if (start == (uintptr_t)at && sscanf(line, "AnonHugePages: %lu", &n) == 1)
			kib = n;
	fclose(smaps);
	return kib;
}

/* Before a device is attached too, so that the attach has less to do. As many as by touching it. */
START_TEST(large_pages_are_kept)
{
	unsigned char *by_threads = of(8 * HUGE, MAP_PRIVATE | MAP_ANONYMOUS, -1),
		      *by_touch = of(8 * HUGE, MAP_PRIVATE | MAP_ANONYMOUS, -1), in[8 * HUGE / PAGE];
	struct iommufd_batch_opts opts = by(4);
	struct iommufd_map map = { by_threads, 8 * HUGE, 0, RW, 0 };
	struct bed bed;

	ck_assert_int_eq(madvise(by_threads, 8 * HUGE, MADV_HUGEPAGE), 0);
	ck_assert_int_eq(madvise(by_touch, 8 * HUGE, MADV_HUGEPAGE), 0);
	bed_open(&bed);
	memset(by_touch, 1, 8 * HUGE);
	ok(iommufd_ioas_map_batch(bed.ioas, &map, 1, &opts));
	ck_assert_uint_eq(map.iova % HUGE, 0);
	ck_assert_int_eq(mincore(by_threads, 8 * HUGE, in), 0);
	for (size_t i = 0; i < sizeof(in); i++)
		ck_assert_int_eq(in[i] & 1, 1);
	ck_assert_uint_ge(huge_kib(by_threads), huge_kib(by_touch));
	bed_close(&bed);
}
END_TEST

/* However many pieces its memory was brought in by. */
START_TEST(what_one_request_has_made_is_one_mapping)
{
	unsigned char *pages = of(8 * HUGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct iommufd_batch_opts opts = by(4);
	struct iommufd_map map = { pages, 8 * HUGE, BASE, RW | IOMMUFD_MAP_FIXED, 0 };
	uint64_t before, after;
	struct bed bed;

	bed_attach(&bed, EDU);
	ok(iommufd_ioas_maps_left(bed.ioas, &before));
	ok(iommufd_ioas_map_batch(bed.ioas, &map, 1, &opts));
	ok(iommufd_ioas_maps_left(bed.ioas, &after));
	ck_assert_uint_le(before - after, 1);
	fails(iommufd_ioas_unmap(bed.ioas, BASE, 4 * HUGE, NULL), -EINVAL, "cuts");
	ok(iommufd_ioas_unmap(bed.ioas, BASE, 8 * HUGE, &after));
	ck_assert_uint_eq(after, 8 * HUGE);
	bed_close(&bed);
}
END_TEST

START_TEST(memory_that_is_not_there_is_told_and_all_is_taken_back)
{
	struct iommufd_batch_opts opts = by(3);
	struct iommufd_map maps[KINDS];
	unsigned char *hole;
	struct bed bed;

	bed_attach(&bed, EDU);
	fill(maps, 2 * HUGE, RW);
	hole = (unsigned char *)maps[1].vaddr + HUGE + PAGE;
	munmap(hole, PAGE);
	fails(iommufd_ioas_map_batch(bed.ioas, maps, KINDS, &opts), -EFAULT, "map 1 of a batch of 6");
	fails(iommufd_ioas_map_batch(bed.ioas, maps, KINDS, &opts), -EFAULT, "nothing is mapped at");
	ck_assert_uint_eq(unmapped(&bed), 0);
	/* There, but not to be used: it is the mapping that is refused. */
	ck_assert_ptr_eq(mmap(hole, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), hole);
	fails(iommufd_ioas_map_batch(bed.ioas, maps, KINDS, &opts), -EFAULT, "map 1 of a batch of 6");
	fails(iommufd_ioas_map_batch(bed.ioas, maps, KINDS, &opts), -EFAULT, "mprotect()");
	ck_assert_uint_eq(unmapped(&bed), 0);
	ck_assert_int_eq(mprotect(hole, PAGE, PROT_READ | PROT_WRITE), 0);
	ok(iommufd_ioas_map_batch(bed.ioas, maps, KINDS, &opts));
	ck_assert_uint_eq(unmapped(&bed), KINDS * 2 * HUGE);
	bed_close(&bed);
	drop(maps);
}
END_TEST

START_TEST(a_file_that_ends_too_early_is_told)
{
	int fd = file(HUGE);
	struct iommufd_batch_opts opts = by(2);
	struct iommufd_map map = { of(2 * HUGE, MAP_SHARED, fd), 2 * HUGE, 0, IOMMUFD_MAP_READ, 0 };
	struct bed bed;

	bed_attach(&bed, EDU);
	fails(iommufd_ioas_map_batch(bed.ioas, &map, 1, &opts), -EFAULT, "a file must not end before its mapping");
	ck_assert_uint_eq(unmapped(&bed), 0);
	ck_assert_int_eq(ftruncate(fd, 2 * HUGE), 0);
	ok(iommufd_ioas_map_batch(bed.ioas, &map, 1, &opts));
	bed_close(&bed);
	close(fd);
}
END_TEST

static int cancel(void *data, uint64_t done, uint64_t total)
{
	(void)done;
	(void)total;
	return !--*(unsigned int *)data;
}

START_TEST(a_batch_that_is_cancelled_leaves_nothing)
{
	unsigned char *pages = of(8 * HUGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct iommufd_batch_opts opts = by(2);
	struct iommufd_map maps[8];
	unsigned int left, at = 0;
	struct bed bed;
	int ret = 1;

	bed_attach(&bed, EDU);
	for (size_t i = 0; i < 8; i++)
		maps[i] = (struct iommufd_map){ pages + i * HUGE, HUGE, BASE + i * HUGE, RW | IOMMUFD_MAP_FIXED, 0 };
	opts.progress = cancel;
	opts.data = &left;
	while (ret) {
		left = ++at;
		ret = iommufd_ioas_map_batch(bed.ioas, maps, 8, &opts);
		if (ret)
			fails(ret, -ECANCELED, "nothing was mapped");
		ck_assert_uint_eq(unmapped(&bed), ret ? 0 : 8 * HUGE);
		ok(madvise(pages, 8 * HUGE, MADV_DONTNEED));
	}
	ck_assert_uint_ge(at, 2);
	bed_close(&bed);
}
END_TEST

START_TEST(ten_thousand_mappings_are_one_batch)
{
	enum { MANY = 10000 };
	struct iommufd_map *maps = calloc(MANY, sizeof(*maps));
	unsigned char *pages = of(MANY * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct iommufd_batch_opts opts = by(2);
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	for (size_t i = 0; i < MANY; i++)
		maps[i] =
			(struct iommufd_map){ pages + i * PAGE, PAGE, BASE + 2 * i * PAGE, RW | IOMMUFD_MAP_FIXED, 0 };
	ok(iommufd_ioas_map_batch(bed.ioas, maps, MANY, &opts));
	edu_copy_works(&edu, maps[0].iova, pages, maps[MANY - 1].iova, pages + (MANY - 1) * PAGE);
	ck_assert_uint_eq(unmapped(&bed), MANY * PAGE);
	maps[MANY - 2].iova = maps[7].iova;
	fails(iommufd_ioas_map_batch(bed.ioas, maps, MANY, &opts), -EEXIST, "map 9998 of a batch of 10000");
	ck_assert_uint_eq(unmapped(&bed), 0);
	bed_close(&bed);
	free(maps);
}
END_TEST

void add_batch_threads_tests(TCase *tc)
{
	tcase_add_test(tc, memory_of_each_kind_is_brought_in_and_mapped);
	tcase_add_test(tc, what_a_device_only_reads_is_what_the_process_writes_later);
	tcase_add_test(tc, large_pages_are_kept);
	tcase_add_test(tc, what_one_request_has_made_is_one_mapping);
	tcase_add_test(tc, memory_that_is_not_there_is_told_and_all_is_taken_back);
	tcase_add_test(tc, a_file_that_ends_too_early_is_told);
	tcase_add_test(tc, a_batch_that_is_cancelled_leaves_nothing);
	tcase_add_test(tc, ten_thousand_mappings_are_one_batch);
}
