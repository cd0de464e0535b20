/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The log of a device's DMA, which no device here keeps. */
#include <errno.h>
#include <stdlib.h>

#include "scene.h"
#include "uapi/vfio.h"

#define RANGES 256
#define PIECE  (UINT64_C(4096) << 24)

static struct vfio_device_feature_dma_logging_range got[RANGES];
static uint32_t num_got, last_flags;
static uint64_t page_size, chosen;
static int answer, probe;
static struct iommufd_range reads[8];
static unsigned int num_reads, calls;

/* As the kernel looks at it. */
static int start(const struct vfio_device_feature_dma_logging_control *control)
{
	const struct vfio_device_feature_dma_logging_range *ranges = (const void *)(uintptr_t)control->ranges;

	ck_assert_uint_ge(control->num_ranges, 1);
	ck_assert_uint_le(control->num_ranges, RANGES);
	ck_assert_uint_eq(control->__reserved, 0);
	num_got = control->num_ranges;
	page_size = control->page_size;
	memcpy(got, ranges, num_got * sizeof(*got));
	for (uint32_t i = 0; i < num_got; i++) {
		ck_assert_uint_eq((got[i].iova | got[i].length) % page_size, 0);
		ck_assert_uint_gt(got[i].length, 0);
		ck_assert_uint_gt(got[i].iova + got[i].length, got[i].iova);
		ck_assert(!i || got[i].iova > got[i - 1].iova + got[i - 1].length);
	}
	return answer;
}

/* The first and the last page, and behind the range up to the end of the CPU's page. */
static int report(const struct vfio_device_feature_dma_logging_report *what)
{
	uint64_t *words = (void *)(uintptr_t)what->bitmap, pages = what->length / what->page_size;

	ck_assert_uint_lt(num_reads, 8);
	ck_assert_uint_eq(what->bitmap % SCENE_PAGE, 0);
	reads[num_reads++] = (struct iommufd_range){ what->iova, what->iova + what->length - 1 };
	words[0] |= 1;
	words[(pages - 1) / 64] |= UINT64_C(1) << (pages - 1) % 64;
	for (uint64_t i = pages; i % (8 * SCENE_PAGE); i++)
		words[i / 64] |= UINT64_C(1) << i % 64;
	return answer;
}

static int feature(int fd, void *arg)
{
	struct vfio_device_feature *cmd = arg;
	struct vfio_device_feature_dma_logging_control control;
	struct vfio_device_feature_dma_logging_report what;
	int ret;

	(void)fd;
	calls++;
	last_flags = cmd->flags;
	switch (cmd->flags) {
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_START | VFIO_DEVICE_FEATURE_SET:
		ck_assert_uint_eq(cmd->argsz, sizeof(*cmd) + sizeof(control));
		memcpy(&control, cmd->data, sizeof(control));
		ret = start(&control);
		control.page_size = chosen;
		memcpy(cmd->data, &control, sizeof(control));
		return ret;
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT | VFIO_DEVICE_FEATURE_GET:
		ck_assert_uint_eq(cmd->argsz, sizeof(*cmd) + sizeof(what));
		memcpy(&what, cmd->data, sizeof(what));
		return report(&what);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP | VFIO_DEVICE_FEATURE_SET:
		ck_assert_uint_eq(cmd->argsz, sizeof(*cmd));
		return answer;
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_START | VFIO_DEVICE_FEATURE_PROBE:
		return probe;
	default:
		ck_abort_msg("feature 0x%x", cmd->flags);
	}
}

static void open_attached(struct scene *scene)
{
	scene_open(scene, IOMMUFD_BACKEND_VFIO);
	inject_ioctl(VFIO_DEVICE_FEATURE, feature);
	num_reads = num_got = calls = 0;
	chosen = 4096;
	answer = probe = 0;
	ck_assert_int_eq(iommufd_device_attach(scene->dev, scene->ioas), 0);
}

static void got_range(uint32_t i, uint64_t start_at, uint64_t last)
{
	ck_assert_uint_lt(i, num_got);
	ck_assert_uint_eq(got[i].iova, start_at);
	ck_assert_uint_eq(got[i].length, last - start_at + 1);
}

START_TEST(ranges_are_sorted_widened_and_joined)
{
	struct iommufd_range ranges[] = {
		{ 0x100000, 0x100fff }, { 0x20001, 0x20002 }, { 0x21000, 0x21fff },
		{ 0x100800, 0x104000 }, { 0x0, 0x0 },         { 0x102000, 0x102fff },
	};
	uint64_t out = 0;
	struct scene scene;

	open_attached(&scene);
	chosen = 8192;
	ck_assert_int_eq(iommufd_device_dma_log_start(scene.dev, ranges, 6, 4096, &out), 0);
	ck_assert_uint_eq(out, 8192);
	ck_assert_uint_eq(page_size, 4096);
	ck_assert_uint_eq(num_got, 3);
	got_range(0, 0, 0xfff);
	got_range(1, 0x20000, 0x21fff);
	got_range(2, 0x100000, 0x104fff);
	ck_assert_int_eq(iommufd_device_dma_log_stop(scene.dev), 0);

	ck_assert_int_eq(iommufd_device_dma_log_start(scene.dev, ranges, 6, 0x100000, NULL), 0);
	ck_assert_uint_eq(num_got, 1);
	got_range(0, 0, 0x1fffff);
	scene_close(&scene);
}
END_TEST

/* Each of what was asked for is in what the kernel got, and what is between is the least that it takes. */
static void check_cover(const struct iommufd_range *ranges, size_t count, uint64_t most)
{
	uint64_t asked = 0, given = 0;

	for (uint32_t i = 0; i < num_got; i++)
		given += got[i].length;
	for (size_t i = 0; i < count; i++) {
		uint32_t n = 0;

		while (n < num_got && got[n].iova + got[n].length - 1 < ranges[i].last)
			n++;
		ck_assert_uint_lt(n, num_got);
		ck_assert_uint_le(got[n].iova, ranges[i].start);
		asked += ranges[i].last - ranges[i].start + 1;
	}
	ck_assert_uint_eq(given - asked, most);
}

START_TEST(of_too_many_ranges_the_nearest_are_put_together)
{
	struct iommufd_range ranges[RANGES + 44];
	uint64_t at = 0x10000000, between = 0;
	struct scene scene;

	open_attached(&scene);
	/* Holes of 1 to 7 pages in turn: 44 of one page go, or with more ranges all of these and some of two pages. */
	for (size_t i = 0; i < RANGES + 44; i++) {
		ranges[i] = (struct iommufd_range){ at, at + 4095 };
		at += 4096 * (2 + i % 7);
	}
	ck_assert_int_eq(iommufd_device_dma_log_start(scene.dev, ranges, RANGES, 4096, NULL), 0);
	ck_assert_uint_eq(num_got, RANGES);
	check_cover(ranges, RANGES, 0);
	ck_assert_int_eq(iommufd_device_dma_log_stop(scene.dev), 0);

	/* One less than there are ranges: 299 holes, of which the 43 of one page and one of two are filled. */
	between = 43 * 4096 + 8192;
	ck_assert_int_eq(iommufd_device_dma_log_start(scene.dev, ranges, RANGES + 44, 4096, NULL), 0);
	ck_assert_uint_eq(num_got, RANGES);
	check_cover(ranges, RANGES + 44, between);
	ck_assert_int_eq(iommufd_device_dma_log_stop(scene.dev), 0);

	/* All holes of one size. */
	for (size_t i = 0; i < RANGES + 44; i++)
		ranges[i] = (struct iommufd_range){ i << 32, (i << 32) + 4095 };
	ck_assert_int_eq(iommufd_device_dma_log_start(scene.dev, ranges, RANGES + 1, 4096, NULL), 0);
	ck_assert_uint_eq(num_got, RANGES);
	check_cover(ranges, RANGES + 1, (UINT64_C(1) << 32) - 4096);
	scene_close(&scene);
}
END_TEST

START_TEST(any_ranges_are_covered_by_as_few_as_the_kernel_takes)
{
	static struct iommufd_range ranges[2000];
	uint64_t seed = unit_seed();
	struct scene scene;

	open_attached(&scene);
	for (int round = 0; round < 200; round++) {
		size_t count = 1 + unit_below(&seed, 2000);

		for (size_t i = 0; i < count; i++) {
			uint64_t at = unit_below(&seed, UINT64_C(1) << unit_below(&seed, 48));

			ranges[i] = (struct iommufd_range){ at, at + unit_below(&seed, 1 << 20) };
		}
		ck_assert_int_eq(iommufd_device_dma_log_start(scene.dev, ranges, count, 4096, NULL), 0);
		for (size_t i = 0; i < count; i++) {
			uint32_t n = 0;

			while (n < num_got && got[n].iova + got[n].length - 1 < ranges[i].last)
				n++;
			ck_assert_uint_lt(n, num_got);
			ck_assert_uint_le(got[n].iova, ranges[i].start);
		}
		ck_assert_int_eq(iommufd_device_dma_log_stop(scene.dev), 0);
	}
	scene_close(&scene);
}
END_TEST

START_TEST(bad_ranges_do_not_reach_the_kernel)
{
	struct iommufd_range good = { 0x1000, 0x1fff }, bad = { 0x1000, 0xfff }, end = { 0x1000, UINT64_MAX - 4096 };
	struct scene scene;
	uint64_t out = 7;

	open_attached(&scene);
	unit_fails(-EINVAL, iommufd_device_dma_log_start(scene.dev, NULL, 1, 4096, &out));
	unit_fails(-EINVAL, iommufd_device_dma_log_start(scene.dev, &good, 0, 4096, &out));
	unit_fails(-EINVAL, iommufd_device_dma_log_start(scene.dev, &good, 1, 0, &out));
	unit_fails(-EINVAL, iommufd_device_dma_log_start(scene.dev, &good, 1, 2048, &out));
	unit_fails(-EINVAL, iommufd_device_dma_log_start(scene.dev, &good, 1, 12288, &out));
	unit_fails(-EINVAL, iommufd_device_dma_log_start(scene.dev, &bad, 1, 4096, &out));
	ck_assert_int_eq(iommufd_device_dma_log_start(scene.dev, &end, 1, 4096, &out), 0);
	got_range(0, 0x1000, UINT64_MAX - 4096);
	ck_assert_int_eq(iommufd_device_dma_log_stop(scene.dev), 0);
	calls = 0;
	end.last++;
	out = 7;
	unit_fails(-EOVERFLOW, iommufd_device_dma_log_start(scene.dev, &end, 1, 4096, &out));
	ck_assert_uint_eq(out, 7);
	ck_assert_uint_eq(calls, 0);
	scene_close(&scene);
}
END_TEST

START_TEST(a_log_is_begun_once_and_ends_with_the_attach)
{
	struct iommufd_range range = { 0, 4095 };
	uint64_t word = 0;
	struct scene scene;

	open_attached(&scene);
	unit_fails(-EINVAL, iommufd_device_dma_log_stop(scene.dev));
	unit_words_have("iommufd_device_dma_log_start()");
	unit_fails(-EINVAL, iommufd_device_dma_log_read(scene.dev, 0, 4096, 4096, &word, sizeof(word)));
	unit_words_have("iommufd_device_dma_log_start()");
	ck_assert_uint_eq(calls, 1); /* whether there is a log at all, and no more */
	answer = -EIO;
	unit_fails(-EIO, iommufd_device_dma_log_start(scene.dev, &range, 1, 4096, NULL));
	unit_fails(-EINVAL, iommufd_device_dma_log_stop(scene.dev));
	answer = 0;
	ck_assert_int_eq(iommufd_device_dma_log_start(scene.dev, &range, 1, 4096, NULL), 0);
	calls = 0;
	unit_fails(-EBUSY, iommufd_device_dma_log_start(scene.dev, &range, 1, 4096, NULL));
	ck_assert_uint_eq(calls, 0);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	ck_assert_uint_eq(calls, 1);
	ck_assert_uint_eq(last_flags, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP | VFIO_DEVICE_FEATURE_SET);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_int_eq(iommufd_device_dma_log_start(scene.dev, &range, 1, 4096, NULL), 0);
	answer = -EIO;
	unit_fails(-EIO, iommufd_device_dma_log_stop(scene.dev));
	answer = 0;
	ck_assert_int_eq(iommufd_device_dma_log_stop(scene.dev), 0);
	scene_close(&scene);
}
END_TEST

START_TEST(a_page_size_that_is_none_stops_the_log)
{
	static const uint64_t none[] = { 0, 4097 };
	struct iommufd_range range = { 0, 4095 };
	struct scene scene;
	uint64_t out = 7;

	open_attached(&scene);
	for (int i = 0; i < 2; i++) {
		chosen = none[i];
		unit_fails(-EPROTO, iommufd_device_dma_log_start(scene.dev, &range, 1, 4096, &out));
		ck_assert_uint_eq(last_flags, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP | VFIO_DEVICE_FEATURE_SET);
		unit_fails(-EINVAL, iommufd_device_dma_log_stop(scene.dev));
	}
	ck_assert_uint_eq(out, 7);
	scene_close(&scene);
}
END_TEST

START_TEST(bits_are_added_to_those_of_the_caller_and_no_others)
{
	uint64_t bits[4] = { 0x10, 0, 0, 0 };
	struct iommufd_range range = { 0, PIECE };
	struct scene scene;

	open_attached(&scene);
	ck_assert_int_eq(iommufd_device_dma_log_start(scene.dev, &range, 1, 4096, NULL), 0);
	ck_assert_int_eq(iommufd_device_dma_log_read(scene.dev, 0x10000, 70 * 4096, 4096, bits, sizeof(bits)), 0);
	ck_assert_uint_eq(bits[0], 0x11);
	ck_assert_uint_eq(bits[1], UINT64_C(1) << 5);
	ck_assert(!bits[2] && !bits[3]);
	ck_assert_uint_eq(num_reads, 1);

	answer = -EIO;
	unit_fails(-EIO, iommufd_device_dma_log_read(scene.dev, 0, 64 * 4096, 4096, bits + 2, 8));
	unit_words_have("take every page for written");
	scene_close(&scene);
}
END_TEST

START_TEST(a_large_range_is_read_in_aligned_pieces)
{
	uint64_t start_at = PIECE - 64 * 4096, len = PIECE + 128 * 4096, *bits = calloc(len / 4096 / 64, 8), told = 0;
	struct iommufd_range range = { 0, 4 * PIECE };
	struct scene scene;

	open_attached(&scene);
	ck_assert_int_eq(iommufd_device_dma_log_start(scene.dev, &range, 1, 4096, NULL), 0);
	ck_assert_int_eq(iommufd_device_dma_log_read(scene.dev, start_at, len, 4096, bits, len / 4096 / 8), 0);
	ck_assert_uint_eq(num_reads, 3);
	ck_assert(reads[0].start == start_at && reads[0].last == PIECE - 1);
	ck_assert(reads[1].start == PIECE && reads[1].last == 2 * PIECE - 1);
	ck_assert(reads[2].start == 2 * PIECE && reads[2].last == start_at + len - 1);
	for (uint64_t i = 0; i < len / 4096 / 64; i++)
		told += (unsigned int)__builtin_popcountll(bits[i]);
	ck_assert_uint_eq(told, 6);
	free(bits);

	/* Pages so large that a piece would have more than 2^64 bytes. */
	num_reads = 0;
	told = 0;
	ck_assert_int_eq(iommufd_device_dma_log_read(scene.dev, 0, UINT64_C(15) << 60, UINT64_C(1) << 60, &told, 8), 0);
	ck_assert_uint_eq(told, 1 | 1 << 14);
	ck_assert_uint_eq(num_reads, 1);
	unit_fails(-EOVERFLOW, iommufd_device_dma_log_read(scene.dev, UINT64_C(1) << 60, UINT64_C(15) << 60,
							   UINT64_C(1) << 60, &told, 8));
	ck_assert_uint_eq(num_reads, 1);
	scene_close(&scene);
}
END_TEST

START_TEST(bad_reads_do_not_reach_the_kernel)
{
	struct iommufd_range range = { 0, 4095 };
	uint64_t bits[2] = { 0, 0 };
	struct scene scene;

	open_attached(&scene);
	ck_assert_int_eq(iommufd_device_dma_log_start(scene.dev, &range, 1, 4096, NULL), 0);
	unit_fails(-EINVAL, iommufd_device_dma_log_read(scene.dev, 0, 4096, 4096, NULL, 8));
	unit_fails(-EINVAL, iommufd_device_dma_log_read(scene.dev, 0, 0, 4096, bits, 16));
	unit_fails(-EINVAL, iommufd_device_dma_log_read(scene.dev, 0, 4096, 2048, bits, 16));
	unit_fails(-EINVAL, iommufd_device_dma_log_read(scene.dev, 2048, 4096, 4096, bits, 16));
	unit_fails(-EINVAL, iommufd_device_dma_log_read(scene.dev, 0, 65 * 4096, 4096, bits, 8));
	unit_fails(-EOVERFLOW, iommufd_device_dma_log_read(scene.dev, UINT64_MAX - 4095, 8192, 4096, bits, 16));
	ck_assert_uint_eq(num_reads, 0);
	ck_assert(!bits[0] && !bits[1]);
	scene_close(&scene);
}
END_TEST

START_TEST(without_memory_nothing_is_asked)
{
	struct iommufd_range range = { 0, 4095 };
	uint64_t bits = 0;
	struct scene scene;

	open_attached(&scene);
	inject_fail(INJECT_MEMORY, 1, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_device_dma_log_start(scene.dev, &range, 1, 4096, NULL));
	ck_assert_uint_eq(calls, 0);
	ck_assert_int_eq(iommufd_device_dma_log_start(scene.dev, &range, 1, 4096, NULL), 0);
	inject_fail(INJECT_MEMORY, 1, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_device_dma_log_read(scene.dev, 0, 4096, 4096, &bits, 8));
	ck_assert_uint_eq(num_reads, 0);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tc)
{
	tcase_add_test(tc, ranges_are_sorted_widened_and_joined);
	tcase_add_test(tc, of_too_many_ranges_the_nearest_are_put_together);
	tcase_add_test(tc, any_ranges_are_covered_by_as_few_as_the_kernel_takes);
	tcase_add_test(tc, bad_ranges_do_not_reach_the_kernel);
	tcase_add_test(tc, a_log_is_begun_once_and_ends_with_the_attach);
	tcase_add_test(tc, a_page_size_that_is_none_stops_the_log);
	tcase_add_test(tc, bits_are_added_to_those_of_the_caller_and_no_others);
	tcase_add_test(tc, a_large_range_is_read_in_aligned_pieces);
	tcase_add_test(tc, bad_reads_do_not_reach_the_kernel);
	tcase_add_test(tc, without_memory_nothing_is_asked);
}
