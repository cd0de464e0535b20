/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Lists of runs: all of one is written, or nothing. */
#include <errno.h>

#include "scene.h"

static struct scene scene;

#define RUNS 40

/* Every second page of a row is mapped, where no two are neighbours. */
static void map_apart(struct iovec *iov)
{
	for (uint64_t i = 0; i < RUNS; i++) {
		iov[i] = (struct iovec){ scene_memory(0x40 + 2 * i), SCENE_PAGE };
		scene_map(&scene, (0x40 + 2 * i) * SCENE_PAGE, 1);
	}
}

START_TEST(a_list_of_runs_is_written_when_all_are_found_and_no_further_than_there_is_room)
{
	struct iommufd_segment runs[RUNS + 1];
	struct iovec iov[RUNS];

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	map_apart(iov);
	for (size_t max = 0; max <= RUNS + 1; max++) {
		memset(runs, 7, sizeof(runs));
		ck_assert_int_eq(iommufd_ioas_to_iovas(scene.ioas, iov, RUNS, runs, max), RUNS);
		for (size_t i = 0; i < RUNS + 1; i++) {
			bool written = i < max && i < RUNS;

			ck_assert_uint_eq(runs[i].addr,
					  written ? (0x40 + 2 * i) * SCENE_PAGE : UINT64_C(0x0707070707070707));
			ck_assert_uint_eq(runs[i].len, written ? SCENE_PAGE : UINT64_C(0x0707070707070707));
		}
	}
	scene_close(&scene);
}
END_TEST

static void finds_no_runs(int err, const struct iovec *iov)
{
	struct iommufd_segment runs[RUNS], before[RUNS];

	memset(runs, 7, sizeof(runs));
	memset(before, 7, sizeof(before));
	ck_assert_int_eq(iommufd_ioas_to_iovas(scene.ioas, iov, RUNS, runs, RUNS), err);
	ck_assert_int_eq(memcmp(runs, before, sizeof(runs)), 0);
}

START_TEST(a_list_of_runs_that_cannot_be_had_is_left_as_it_was)
{
	struct iovec iov[RUNS];
	void *last;

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	map_apart(iov);
	last = iov[RUNS - 1].iov_base;
	iov[RUNS - 1].iov_base = scene_memory(0x41);
	finds_no_runs(-ENOENT, iov);
	iov[RUNS - 1] = (struct iovec){ last, 0 };
	finds_no_runs(-EINVAL, iov);
	iov[RUNS - 1].iov_len = SCENE_PAGE;
	for (unsigned int nth = 1; nth <= 2; nth++) {
		inject_fail(INJECT_MEMORY, nth, -ENOMEM);
		unit_stale_words();
		finds_no_runs(-ENOMEM, iov);
		unit_check_words(-ENOMEM);
	}
	inject_fail(INJECT_MEMORY, 0, 0);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_list_of_runs_is_written_when_all_are_found_and_no_further_than_there_is_room);
	tcase_add_test(tcase, a_list_of_runs_that_cannot_be_had_is_left_as_it_was);
}
