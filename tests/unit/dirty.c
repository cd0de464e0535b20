/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Dirty pages where a kernel here does not go: memory of hundreds of gigabytes, bits that mean nothing, no memory. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define GIB   (UINT64_C(1) << 30)
#define PIECE (64 * GIB)

/* ---- Page tables ---- */

static struct iommufd_range asked[8];
static unsigned int asks;

/* The first and the last page of what is asked for are dirty, once. */
static int tell(int fd, void *arg)
{
	struct iommu_hwpt_get_dirty_bitmap *cmd = arg;
	uint64_t *words = (void *)(uintptr_t)cmd->data, bits = cmd->length / cmd->page_size;

	(void)fd;
	ck_assert_uint_lt(asks, 8);
	ck_assert_uint_eq(cmd->data % SCENE_PAGE, 0);
	ck_assert_uint_eq(cmd->page_size, SCENE_PAGE);
	for (uint64_t i = 0; i < (bits + 63) / 64; i++)
		ck_assert_uint_eq(words[i], 0);
	asked[asks++] = (struct iommufd_range){ cmd->iova, cmd->iova + cmd->length - 1 };
	words[0] |= 1;
	words[(bits - 1) / 64] |= UINT64_C(1) << (bits - 1) % 64;
	return 0;
}

static int tell_nothing(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	return 0;
}

static int make_table(int fd, void *arg)
{
	struct iommu_hwpt_alloc *cmd = arg;

	(void)fd;
	cmd->out_hwpt_id = 77;
	scene_other_object();
	return 0;
}

static struct iommufd_hwpt *open_table(struct scene *scene)
{
	struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts), .flags = IOMMUFD_HWPT_DIRTY };
	struct iommufd_hwpt *hwpt;

	scene_open(scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl(IOMMU_HWPT_ALLOC, make_table);
	inject_ioctl(IOMMU_HWPT_SET_DIRTY_TRACKING, inject_succeed);
	inject_ioctl(IOMMU_HWPT_GET_DIRTY_BITMAP, tell);
	asks = 0;
	ck_assert_msg(!iommufd_hwpt_new(scene->dev, scene->ioas, &opts, &hwpt), "%s", iommufd_errmsg());
	ck_assert_int_eq(iommufd_ioas_dirty_start(scene->ioas), 0);
	return hwpt;
}

static void close_table(struct scene *scene, struct iommufd_hwpt *hwpt)
{
	inject_ioctl(IOMMU_HWPT_GET_DIRTY_BITMAP, tell_nothing);
	iommufd_hwpt_free(hwpt);
	scene_close(scene);
}

static void was_asked(unsigned int i, uint64_t start, uint64_t last)
{
	ck_assert_uint_lt(i, asks);
	ck_assert_uint_eq(asked[i].start, start);
	ck_assert_uint_eq(asked[i].last, last);
}

START_TEST(large_memory_is_asked_for_in_pieces_that_cut_no_page_of_an_iommu)
{
	uint64_t start = PIECE - SCENE_PAGE, len = PIECE + 2 * GIB, *bits = calloc(1 + len / SCENE_PAGE / 64, 8);
	struct iommufd_hwpt *hwpt;
	struct scene scene;
	uint64_t told = 0;

	hwpt = open_table(&scene);
	scene_map_at(&scene, start, len);
	ck_assert_int_eq(iommufd_ioas_dirty_read(scene.ioas, start, len, SCENE_PAGE, 0, bits, len / SCENE_PAGE / 8), 0);
	ck_assert_uint_eq(asks, 3);
	was_asked(0, start, PIECE - 1);
	was_asked(1, PIECE, 2 * PIECE - 1);
	was_asked(2, 2 * PIECE, start + len - 1);
	for (uint64_t i = 0; i < len / SCENE_PAGE / 64; i++)
		told += (unsigned int)__builtin_popcountll(bits[i]);
	ck_assert_uint_eq(told, 5);
	free(bits);
	close_table(&scene, hwpt);
}
END_TEST

START_TEST(a_part_of_it_takes_the_piece_that_it_is_in_and_keeps_the_rest)
{
	uint64_t start = PIECE - GIB, len = PIECE, bits = 0;
	struct iommufd_hwpt *hwpt;
	struct scene scene;

	hwpt = open_table(&scene);
	scene_map_at(&scene, start, len);
	ck_assert_int_eq(
		iommufd_ioas_dirty_read(scene.ioas, PIECE + GIB, SCENE_PAGE, SCENE_PAGE, 0, &bits, sizeof(bits)), 0);
	ck_assert_uint_eq(asks, 1);
	was_asked(0, PIECE, start + len - 1);
	ck_assert_uint_eq(bits, 0);
	inject_ioctl(IOMMU_HWPT_GET_DIRTY_BITMAP, tell_nothing);
	ck_assert_int_eq(iommufd_ioas_dirty_read(scene.ioas, PIECE - SCENE_PAGE, 2 * SCENE_PAGE, SCENE_PAGE, 0, &bits,
						 sizeof(bits)),
			 0);
	ck_assert_uint_eq(bits, 2);
	bits = 0;
	ck_assert_int_eq(iommufd_ioas_dirty_read(scene.ioas, start, len, PIECE / 64, 0, &bits, sizeof(bits)), 0);
	ck_assert_uint_eq(bits, UINT64_C(1) << 63);
	close_table(&scene, hwpt);
}
END_TEST

START_TEST(memory_that_leads_nowhere_hides_none_beside_it)
{
	uint64_t iova = GIB + SCENE_PAGE, last = GIB + 4 * SCENE_PAGE, bits = 0;
	struct iommufd_device *lender;
	struct iommufd_ioas *second;
	struct iommufd_hwpt *hwpt;
	struct scene scene;

	hwpt = open_table(&scene);
	scene_lends();
	ck_assert_int_eq(iommufd_ioas_new(scene.ctx, &second), 0);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_OTHER, &lender), 0);
	ck_assert_int_eq(iommufd_device_attach(lender, second), 0);
	scene_map_at(&scene, GIB, SCENE_PAGE);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(iommufd_ioas_map_region(scene.ioas, lender, 2, 0, SCENE_PAGE,
							 IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE | IOMMUFD_MAP_FIXED,
							 &iova),
				 0);
		iova = last;
	}
	scene_map_at(&scene, GIB + 2 * SCENE_PAGE, 2 * SCENE_PAGE);
	ck_assert_int_eq(iommufd_device_detach(lender), 0);
	ck_assert_int_eq(iommufd_ioas_dirty_read(scene.ioas, GIB, 5 * SCENE_PAGE, SCENE_PAGE, 0, &bits, sizeof(bits)),
			 0);
	ck_assert_uint_eq(asks, 2);
	was_asked(0, GIB, GIB + SCENE_PAGE - 1);
	was_asked(1, GIB + 2 * SCENE_PAGE, last - 1);
	ck_assert_uint_eq(bits, 0x1f); /* what may have been written there is not known any more */
	iommufd_device_free(lender);
	iommufd_ioas_free(second);
	close_table(&scene, hwpt);
}
END_TEST

/* ---- Devices of one group ---- */

static unsigned int tables;

static int make_tables(int fd, void *arg)
{
	struct iommu_hwpt_alloc *cmd = arg;

	(void)fd;
	cmd->out_hwpt_id = 70 + tables++;
	return 0;
}

static struct iommufd_device *open_siblings(struct scene *scene)
{
	struct iommufd_device *sibling;

	scene_open(scene, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(iommufd_device_new(scene->ctx, SCENE_SIBLING, &sibling), 0);
	scene->dev->id = 5;
	sibling->id = 6;
	tables = 0;
	inject_ioctl(IOMMU_HWPT_ALLOC, make_tables);
	inject_ioctl(IOMMU_HWPT_SET_DIRTY_TRACKING, inject_succeed);
	inject_ioctl(IOMMU_HWPT_GET_DIRTY_BITMAP, tell_nothing);
	ck_assert_int_eq(iommufd_device_attach(scene->dev, scene->ioas), 0);
	return sibling;
}

static void close_siblings(struct scene *scene, struct iommufd_device *sibling)
{
	iommufd_device_free(sibling);
	ck_assert_uint_eq(inject_ioctls(IOMMU_DESTROY), 0);
	iommufd_device_free(scene->dev);
	ck_assert_uint_eq(inject_ioctls(IOMMU_DESTROY), tables);
	iommufd_ioas_free(scene->ioas);
	iommufd_ctx_free(scene->ctx);
	ck_assert_uint_eq(inject_fds(), 0);
}

START_TEST(a_device_of_the_group_can_follow_when_tracking_has_ended)
{
	struct iommufd_device *sibling;
	struct scene scene;

	sibling = open_siblings(&scene);
	ck_assert_int_eq(iommufd_ioas_dirty_start(scene.ioas), 0);
	ck_assert_int_eq(iommufd_ioas_dirty_stop(scene.ioas), 0);
	ck_assert_msg(!iommufd_device_attach(sibling, scene.ioas), "%s", iommufd_errmsg());
	ck_assert_ptr_eq(sibling->at.hwpt, scene.dev->at.hwpt);
	ck_assert_int_eq(iommufd_device_replace(sibling, scene.ioas), 0);
	ck_assert_int_eq(iommufd_ioas_dirty_start(scene.ioas), 0);
	ck_assert_uint_eq(tables, 1);
	close_siblings(&scene, sibling);
}
END_TEST

START_TEST(tracking_takes_all_devices_of_a_group_to_one_page_table)
{
	struct iommufd_device *sibling;
	struct scene scene;

	sibling = open_siblings(&scene);
	ck_assert_int_eq(iommufd_device_attach(sibling, scene.ioas), 0);
	ck_assert_msg(!iommufd_ioas_dirty_start(scene.ioas), "%s", iommufd_errmsg());
	ck_assert_uint_eq(tables, 1);
	ck_assert_ptr_nonnull(sibling->at.hwpt);
	ck_assert_ptr_eq(sibling->at.hwpt, scene.dev->at.hwpt);
	ck_assert_int_eq(iommufd_ioas_dirty_stop(scene.ioas), 0);
	close_siblings(&scene, sibling);
}
END_TEST

START_TEST(when_tracking_fails_all_devices_of_a_group_go_back)
{
	struct iommufd_device *sibling, *other;
	struct iommufd_ioas *second;
	struct scene scene;

	sibling = open_siblings(&scene);
	ck_assert_int_eq(iommufd_device_attach(sibling, scene.ioas), 0);
	inject_ioctl_fail(IOMMU_HWPT_SET_DIRTY_TRACKING, 2, 1, -EIO);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_OTHER, &other), 0);
	other->id = 7;
	ck_assert_int_eq(iommufd_device_attach(other, scene.ioas), 0);
	unit_fails(-EIO, iommufd_ioas_dirty_start(scene.ioas));
	ck_assert_ptr_null(scene.dev->at.hwpt);
	ck_assert_ptr_null(sibling->at.hwpt);
	ck_assert_ptr_null(other->at.hwpt);
	ck_assert_ptr_null(scene.dev->group->at.hwpt);
	ck_assert_uint_eq(inject_ioctls(IOMMU_DESTROY), tables);
	ck_assert_int_eq(iommufd_ioas_new(scene.ctx, &second), 0);
	unit_fails(-EBUSY, iommufd_device_replace(sibling, second));
	iommufd_ioas_free(second);
	iommufd_device_free(other);
	iommufd_device_free(sibling);
	iommufd_device_free(scene.dev);
	iommufd_ioas_free(scene.ioas);
	iommufd_ctx_free(scene.ctx);
	ck_assert_uint_eq(inject_fds(), 0);
}
END_TEST

/* What lies behind the range is unmapped by another thread while the kernel tells. */
static struct iommufd_ioas *shared;
static int neighbour_left;

static void *unmap_neighbour(void *arg)
{
	neighbour_left = iommufd_ioas_unmap(shared, GIB + SCENE_PAGE, SCENE_PAGE, NULL);
	return arg;
}

static int lose_neighbour(int fd, void *arg)
{
	pthread_t thread;

	(void)fd;
	(void)arg;
	ck_assert_int_eq(pthread_create(&thread, NULL, unmap_neighbour, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	return 0;
}

START_TEST(an_unmap_does_not_look_at_what_lies_behind_its_range)
{
	struct iommufd_hwpt *hwpt;
	struct scene scene;
	uint64_t bits = 0;

	hwpt = open_table(&scene);
	scene_map_at(&scene, GIB, SCENE_PAGE);
	scene_map_at(&scene, GIB + SCENE_PAGE, SCENE_PAGE);
	shared = scene.ioas;
	neighbour_left = 1;
	inject_ioctl(IOMMU_HWPT_GET_DIRTY_BITMAP, lose_neighbour);
	ck_assert_int_eq(iommufd_ioas_unmap_dirty(scene.ioas, GIB, SCENE_PAGE, SCENE_PAGE, &bits, sizeof(bits), NULL),
			 0);
	ck_assert_int_eq(neighbour_left, 0);
	close_table(&scene, hwpt);
}
END_TEST

/* ---- Words ---- */

START_TEST(an_attach_that_fails_tells_why_when_its_page_table_cannot_be_read_either)
{
	struct iommufd_hwpt *hwpt;
	struct scene scene;

	hwpt = open_table(&scene);
	scene_map_at(&scene, GIB, SCENE_PAGE);
	inject_ioctl_fail(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 1, 1, -EIO);
	inject_ioctl_fail(IOMMU_HWPT_GET_DIRTY_BITMAP, 1, 1, -ENXIO);
	unit_fails(-EIO, iommufd_device_attach(scene.dev, scene.ioas));
	unit_words_have(SCENE_DEVICE);
	close_table(&scene, hwpt);
}
END_TEST

START_TEST(a_start_that_fails_tells_why_when_devices_cannot_be_moved_back_either)
{
	struct iommufd_hwpt *hwpt;
	struct scene scene;

	hwpt = open_table(&scene);
	ck_assert_int_eq(iommufd_ioas_dirty_stop(scene.ioas), 0);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	inject_ioctl_fail(IOMMU_HWPT_SET_DIRTY_TRACKING, 1, 1, -EIO);
	inject_ioctl_fail(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 2, 1, -ENXIO);
	unit_fails(-EIO, iommufd_ioas_dirty_start(scene.ioas));
	unit_words_have("tracking dirty pages");
	close_table(&scene, hwpt);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, large_memory_is_asked_for_in_pieces_that_cut_no_page_of_an_iommu);
	tcase_add_test(tcase, a_part_of_it_takes_the_piece_that_it_is_in_and_keeps_the_rest);
	tcase_add_test(tcase, memory_that_leads_nowhere_hides_none_beside_it);
	tcase_add_test(tcase, an_unmap_does_not_look_at_what_lies_behind_its_range);
	tcase_add_test(tcase, an_attach_that_fails_tells_why_when_its_page_table_cannot_be_read_either);
	tcase_add_test(tcase, a_start_that_fails_tells_why_when_devices_cannot_be_moved_back_either);
	tcase_add_test(tcase, a_device_of_the_group_can_follow_when_tracking_has_ended);
	tcase_add_test(tcase, tracking_takes_all_devices_of_a_group_to_one_page_table);
	tcase_add_test(tcase, when_tracking_fails_all_devices_of_a_group_go_back);
}
