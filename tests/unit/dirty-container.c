/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Dirty pages of a container, whose kernel is made to answer what no kernel answers at will. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define GIB (UINT64_C(1) << 30)

static unsigned int gets;

/* All words of the bitmap are written, with bits of what is not mapped. */
static int tell_all(int fd, void *arg)
{
	struct vfio_iommu_type1_dirty_bitmap head;
	struct vfio_iommu_type1_dirty_bitmap_get range;

	(void)fd;
	memcpy(&head, arg, sizeof(head));
	if (head.flags != VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP)
		return 0;
	gets++;
	memcpy(&range, (char *)arg + sizeof(head), sizeof(range));
	ck_assert_uint_eq(range.bitmap.pgsize, SCENE_PAGE);
	ck_assert_uint_eq(range.bitmap.size, (range.size / SCENE_PAGE + 63) / 64 * 8);
	memset((void *)(uintptr_t)range.bitmap.data, 0xff, range.bitmap.size);
	return 0;
}

/* As VFIO's own containers answer what only an iommufd knows. */
static int unknown(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	return -ENOTTY;
}

static void open_container(struct scene *scene)
{
	scene_open(scene, IOMMUFD_BACKEND_VFIO);
	inject_ioctl(IOMMU_OPTION, unknown);
	inject_ioctl(VFIO_IOMMU_DIRTY_PAGES, tell_all);
	gets = 0;
	ck_assert_int_eq(iommufd_device_attach(scene->dev, scene->ioas), 0);
	scene_map_at(scene, GIB, 2 * SCENE_PAGE);
	scene_map_at(scene, GIB + 3 * SCENE_PAGE, SCENE_PAGE);
	ck_assert_int_eq(iommufd_ioas_dirty_start(scene->ioas), 0);
}

/* As a container answers that has no group. */
static int no_group(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	return -EINVAL;
}

/* The group could not leave with its device, and goes by itself: nobody is told. */
static void lose_group(struct scene *scene)
{
	inject_ioctl_fail(VFIO_GROUP_UNSET_CONTAINER, 1, 1, -EBUSY);
	ck_assert_int_eq(iommufd_device_detach(scene->dev), 0);
	ck_assert(scene->ioas->serving);
	scene_foreign_group(false);
	inject_ioctl(VFIO_IOMMU_DIRTY_PAGES, no_group);
}

START_TEST(tracking_begins_and_ends_in_a_container_that_has_lost_its_group)
{
	struct scene scene;

	open_container(&scene);
	lose_group(&scene);
	ck_assert_msg(!iommufd_ioas_dirty_stop(scene.ioas), "%s", iommufd_errmsg());
	ck_assert(!scene.ioas->serving);
	scene.ioas->serving = true; /* as if nobody had noticed yet */
	ck_assert_msg(!iommufd_ioas_dirty_start(scene.ioas), "%s", iommufd_errmsg());
	ck_assert(!scene.ioas->serving);
	ck_assert_int_eq(iommufd_ioas_dirty_stop(scene.ioas), 0);
	iommufd_device_free(scene.dev);
	iommufd_ioas_free(scene.ioas);
	iommufd_ctx_free(scene.ctx);
	ck_assert_uint_eq(inject_fds(), 0);
}
END_TEST

START_TEST(what_a_container_refuses_while_it_has_a_group_is_a_failure)
{
	struct scene scene;

	open_container(&scene);
	inject_ioctl(VFIO_IOMMU_DIRTY_PAGES, no_group);
	unit_fails(-EINVAL, iommufd_ioas_dirty_stop(scene.ioas));
	unit_words_have("stop tracking dirty pages: ");
	scene_close(&scene);
}
END_TEST

START_TEST(an_attach_that_fails_tells_why_when_the_container_cannot_be_read_either)
{
	uint64_t bits = 0;
	struct scene scene;

	open_container(&scene);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	ck_assert_int_eq(iommufd_ioas_dirty_read(scene.ioas, GIB, 2 * SCENE_PAGE, SCENE_PAGE, 0, &bits, sizeof(bits)),
			 0);
	inject_ioctl_fail(VFIO_DEVICE_GET_INFO, 1, 1, -EIO);
	inject_ioctl_fail(VFIO_IOMMU_DIRTY_PAGES, 2, 1, -ENXIO); /* the first one begins */
	unit_fails(-EIO, iommufd_device_attach(scene.dev, scene.ioas));
	unit_words_have(SCENE_DEVICE);
	bits = 0;
	ck_assert_int_eq(iommufd_ioas_dirty_read(scene.ioas, GIB, 2 * SCENE_PAGE, SCENE_PAGE, 0, &bits, sizeof(bits)),
			 0);
	ck_assert_uint_eq(bits, 0x3);
	scene_close(&scene);
}
END_TEST

START_TEST(bits_of_what_is_not_mapped_mean_nothing)
{
	uint64_t bits = 0;
	struct scene scene;

	open_container(&scene);
	ck_assert_int_eq(iommufd_ioas_dirty_read(scene.ioas, GIB, 8 * SCENE_PAGE, SCENE_PAGE, 0, &bits, sizeof(bits)),
			 0);
	ck_assert_uint_eq(bits, 0xb);
	ck_assert_uint_eq(gets, 1);
	scene_close(&scene);
}
END_TEST

/* A process may be forked at any free, and its child then frees the mapping as it is. */
static const struct ifd_map *watched;
static unsigned int freed, freed_too_early;

void __real_free(void *memory);
void __wrap_free(void *memory);

void __wrap_free(void *memory)
{
	if (watched && memory) {
		freed++;
		freed_too_early += watched->kept == memory;
	}
	__real_free(memory);
}

START_TEST(what_is_kept_is_out_of_reach_before_it_is_freed)
{
	uint64_t bits = 0;
	struct scene scene;

	open_container(&scene);
	ck_assert_int_eq(iommufd_ioas_dirty_read(scene.ioas, GIB, SCENE_PAGE, SCENE_PAGE, 0, &bits, sizeof(bits)), 0);
	watched = ifd_index_next(&scene.ioas->index, GIB, GIB);
	ck_assert_ptr_nonnull(watched->kept);
	freed = freed_too_early = 0;
	ck_assert_int_eq(iommufd_ioas_dirty_stop(scene.ioas), 0);
	ck_assert_ptr_null(watched->kept);
	watched = NULL;
	ck_assert_uint_gt(freed, 0);
	ck_assert_uint_eq(freed_too_early, 0);
	scene_close(&scene);
}
END_TEST

START_TEST(without_memory_to_keep_pages_in_their_mapping_is_dirty)
{
	uint64_t bits = 0;
	struct scene scene;

	open_container(&scene);
	inject_fail(INJECT_MEMORY, 2, ENOMEM);
	ck_assert_int_eq(iommufd_ioas_dirty_read(scene.ioas, GIB, SCENE_PAGE, SCENE_PAGE, 0, &bits, sizeof(bits)), 0);
	ck_assert(inject_failed());
	ck_assert_uint_eq(bits, 1);
	bits = 0;
	inject_ioctl(VFIO_IOMMU_DIRTY_PAGES, inject_succeed);
	ck_assert_int_eq(iommufd_ioas_dirty_read(scene.ioas, GIB, 8 * SCENE_PAGE, SCENE_PAGE, 0, &bits, sizeof(bits)),
			 0);
	ck_assert_uint_eq(bits, 0x3);
	bits = 0;
	ck_assert_int_eq(iommufd_ioas_dirty_read(scene.ioas, GIB, 8 * SCENE_PAGE, SCENE_PAGE, 0, &bits, sizeof(bits)),
			 0);
	ck_assert_uint_eq(bits, 0);
	scene_close(&scene);
}
END_TEST

START_TEST(a_bitmap_that_is_too_small_is_refused_and_not_touched)
{
	uint64_t bits[2] = { 0 }, bytes = 0;
	struct scene scene;

	open_container(&scene);
	unit_fails(-EINVAL, iommufd_ioas_dirty_read(scene.ioas, GIB, 65 * SCENE_PAGE, SCENE_PAGE, 0, bits, 15));
	unit_words_have("give a bitmap of 16 bytes or more, this one has 15");
	unit_fails(-EINVAL, iommufd_ioas_unmap_dirty(scene.ioas, GIB, 64 * SCENE_PAGE, SCENE_PAGE, bits, 0, &bytes));
	unit_words_have("give a bitmap of 8 bytes or more, this one has 0");
	ck_assert_uint_eq(gets, 0);
	ck_assert_uint_eq(bits[0] | bits[1] | bytes, 0);
	ck_assert_int_eq(iommufd_ioas_dirty_read(scene.ioas, GIB, 65 * SCENE_PAGE, SCENE_PAGE, 0, bits, 16), 0);
	ck_assert_uint_eq(bits[0], 0xb);
	scene_close(&scene);
}
END_TEST

START_TEST(without_memory_to_read_into_nothing_is_lost)
{
	uint64_t bits = 0;
	struct scene scene;

	open_container(&scene);
	inject_fail(INJECT_MEMORY, 1, ENOMEM);
	unit_fails(-ENOMEM,
		   iommufd_ioas_dirty_read(scene.ioas, GIB, 8 * SCENE_PAGE, SCENE_PAGE, 0, &bits, sizeof(bits)));
	ck_assert_uint_eq(bits, 0);
	ck_assert_uint_eq(gets, 0);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, an_attach_that_fails_tells_why_when_the_container_cannot_be_read_either);
	tcase_add_test(tcase, bits_of_what_is_not_mapped_mean_nothing);
	tcase_add_test(tcase, tracking_begins_and_ends_in_a_container_that_has_lost_its_group);
	tcase_add_test(tcase, what_a_container_refuses_while_it_has_a_group_is_a_failure);
	tcase_add_test(tcase, what_is_kept_is_out_of_reach_before_it_is_freed);
	tcase_add_test(tcase, without_memory_to_keep_pages_in_their_mapping_is_dirty);
	tcase_add_test(tcase, a_bitmap_that_is_too_small_is_refused_and_not_touched);
	tcase_add_test(tcase, without_memory_to_read_into_nothing_is_lost);
}
