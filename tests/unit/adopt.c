/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Groups and nodes that somebody else has set up, when the kernel refuses. */
#include <errno.h>

#include "scene.h"
#include "uapi/vfio.h"

/* ---- Groups that are in a container ---- */

static int status_in_container(int fd, void *arg)
{
	(void)fd;
	((struct vfio_group_status *)arg)->flags = VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET;
	return 0;
}

/* A device of a group that was adopted while it was in the container. */
static void open_handed_over(struct scene *scene)
{
	int fd;

	scene_open(scene, IOMMUFD_BACKEND_VFIO);
	iommufd_device_free(scene->dev);
	scene_foreign_group(true);
	inject_ioctl(VFIO_GROUP_GET_STATUS, status_in_container);
	fd = inject_fd();
	ck_assert_int_eq(iommufd_ctx_add_group(scene->ctx, fd), 0);
	ifd_sys_close(fd);
	ck_assert_int_eq(iommufd_device_new(scene->ctx, SCENE_OTHER, &scene->dev), 0);
}

static void close_handed_over(struct scene *scene)
{
	scene_close(scene);
	ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_SET_CONTAINER), 0);
	ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_UNSET_CONTAINER), 0);
	ck_assert_uint_eq(inject_ioctls(VFIO_IOMMU_MAP_DMA), inject_ioctls(VFIO_IOMMU_UNMAP_DMA));
	scene_foreign_group(false);
}

START_TEST(whatever_fails_a_group_that_was_handed_over_stays_in_its_container)
{
	unsigned int failures = 0;
	struct scene scene;
	bool failed = true;

	for (unsigned int nth = 1; failed; nth++) {
		unsigned int fds;
		int ret;

		open_handed_over(&scene);
		scene_map(&scene, 0x40000, 1);
		scene_map(&scene, 0x80000, 1);
		fds = inject_fds();
		inject_fail(INJECT_IOCTL, nth, -EIO);
		ret = iommufd_device_attach(scene.dev, scene.ioas);
		if (!ret)
			ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
		failed = inject_failed();
		inject_fail(INJECT_IOCTL, 0, 0);
		failures += !!ret;
		ck_assert_ptr_null(scene.dev->group->joined);
		ck_assert_uint_eq(scene.ioas->attached, 0);
		ck_assert_uint_eq(inject_fds(), fds);
		ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
		ck_assert_uint_eq(inject_ioctls(VFIO_IOMMU_MAP_DMA), inject_ioctls(VFIO_IOMMU_UNMAP_DMA) + 2);
		close_handed_over(&scene);
	}
	ck_assert_uint_ge(failures, 7); /* the status, two ranges, two mappings, the descriptor, what it is */
}
END_TEST

START_TEST(a_group_that_does_not_tell_where_it_is_does_not_attach)
{
	struct scene scene;

	open_handed_over(&scene);
	inject_ioctl_fail(VFIO_GROUP_GET_STATUS, 1, 1, -ENODEV);
	unit_fails(-ENODEV, iommufd_device_attach(scene.dev, scene.ioas));
	unit_words_have("ask whether its group is in a container");
	close_handed_over(&scene);
}
END_TEST

START_TEST(a_group_of_our_own_is_not_taken_for_one_that_was_handed_over)
{
	struct scene scene;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	inject_ioctl(VFIO_GROUP_GET_STATUS, status_in_container);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_SET_CONTAINER), 1);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, whatever_fails_a_group_that_was_handed_over_stays_in_its_container);
	tcase_add_test(tcase, a_group_that_does_not_tell_where_it_is_does_not_attach);
	tcase_add_test(tcase, a_group_of_our_own_is_not_taken_for_one_that_was_handed_over);
}
