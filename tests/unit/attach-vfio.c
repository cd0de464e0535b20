/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Attaching through VFIO's containers and groups, when the kernel refuses. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"
#include "uapi/vfio.h"

static void open_scene(struct scene *scene)
{
	scene_open(scene, IOMMUFD_BACKEND_VFIO);
}

static void attach_fails(struct scene *scene, int err)
{
	unsigned int fds = inject_fds();

	unit_fails(err, iommufd_device_attach(scene->dev, scene->ioas));
	scene_check_detached(scene);
	ck_assert_int_eq(scene->dev->fd, -1);
	ck_assert_uint_eq(inject_fds(), fds);
}

static void attaches(struct scene *scene)
{
	ck_assert_int_eq(iommufd_device_attach(scene->dev, scene->ioas), 0);
	ck_assert_int_ge(iommufd_device_fd(scene->dev), 0);
}

START_TEST(mappings_are_replayed_when_the_first_group_joins_and_after_the_last_one_left)
{
	uint64_t bytes;
	struct scene scene;

	open_scene(&scene);
	for (uint64_t i = 1; i <= 5; i++)
		scene_map(&scene, i * 0x10000, 1);
	ck_assert_uint_eq(inject_ioctls(VFIO_IOMMU_MAP_DMA), 0);
	attaches(&scene);
	ck_assert_uint_eq(inject_ioctls(VFIO_IOMMU_MAP_DMA), 5);
	scene_map(&scene, 0x80000, 1);
	ck_assert_uint_eq(inject_ioctls(VFIO_IOMMU_MAP_DMA), 6);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	scene_check_detached(&scene);
	ck_assert_int_eq(iommufd_ioas_unmap(scene.ioas, 0x10000, SCENE_PAGE, NULL), 0);
	ck_assert_uint_eq(inject_ioctls(VFIO_IOMMU_UNMAP_DMA), 0); /* the kernel has forgotten it by itself */
	attaches(&scene);
	ck_assert_uint_eq(inject_ioctls(VFIO_IOMMU_MAP_DMA), 11);
	ck_assert_int_eq(iommufd_ioas_unmap_all(scene.ioas, &bytes), 0);
	ck_assert_uint_eq(bytes, 5 * SCENE_PAGE);
	ck_assert_uint_eq(inject_ioctls(VFIO_IOMMU_UNMAP_DMA), 5);
	scene_close(&scene);
}
END_TEST

START_TEST(a_replay_that_fails_in_the_middle_leaves_nothing_behind_in_the_kernel)
{
	uint64_t bytes;
	struct scene scene;

	open_scene(&scene);
	for (uint64_t i = 1; i <= 5; i++)
		scene_map(&scene, i * 0x10000, 1);
	for (unsigned int nth = 1; nth <= 5; nth++) {
		inject_ioctl_fail(VFIO_IOMMU_MAP_DMA, nth, 1, -EFAULT);
		attach_fails(&scene, -EFAULT);
		ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_UNSET_CONTAINER), nth);
		ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_GET_DEVICE_FD), 0);
	}
	ck_assert_uint_gt(inject_ioctl_order(VFIO_GROUP_UNSET_CONTAINER), inject_ioctl_order(VFIO_IOMMU_MAP_DMA));
	attaches(&scene);
	ck_assert_uint_eq(inject_ioctls(VFIO_IOMMU_MAP_DMA), 1 + 2 + 3 + 4 + 5);
	ck_assert_int_eq(iommufd_ioas_unmap_all(scene.ioas, &bytes), 0);
	ck_assert_uint_eq(bytes, 5 * SCENE_PAGE);
	scene_close(&scene);
}
END_TEST

START_TEST(a_mapping_that_keeps_a_device_from_attaching_is_named_before_anything_is_mapped)
{
	struct scene scene;

	open_scene(&scene);
	scene_map(&scene, 0x40000, 4);
	scene_map(&scene, 0xfedff000, 2);
	attach_fails(&scene, -EADDRINUSE);
	unit_words_have(SCENE_DEVICE);
	unit_words_have("0xfedff000-0xfee00fff");
	unit_words_have("0x0-0xfedfffff, 0xfef00000-0xffffffffffff");
	ck_assert_uint_eq(inject_ioctls(VFIO_IOMMU_MAP_DMA), 0);
	ck_assert_int_eq(iommufd_ioas_unmap(scene.ioas, 0xfedff000, 2 * SCENE_PAGE, NULL), 0);
	attaches(&scene);
	scene_close(&scene);
}
END_TEST

START_TEST(the_limit_of_mappings_is_named_at_attach_and_at_map)
{
	uint64_t iova = 0x80000;
	struct scene scene;

	open_scene(&scene);
	scene_map(&scene, 0x40000, 1);
	inject_ioctl_fail(VFIO_IOMMU_MAP_DMA, 1, 1, -ENOSPC);
	attach_fails(&scene, -ENOSPC);
	unit_words_have("takes 65535 mappings");
	unit_words_have("dma_entry_limit");
	attaches(&scene);
	inject_ioctl_fail(VFIO_IOMMU_MAP_DMA, 1, 1, -ENOSPC);
	unit_fails(-ENOSPC, iommufd_ioas_map(scene.ioas, scene_memory(0), SCENE_PAGE,
					     IOMMUFD_MAP_READ | IOMMUFD_MAP_FIXED, &iova));
	unit_words_have("dma_entry_limit");
	scene_map(&scene, iova, 1); /* its place is free again */
	scene_close(&scene);
}
END_TEST

START_TEST(what_fails_after_the_group_joined_takes_it_out_again)
{
	static const unsigned long requests[] = { VFIO_IOMMU_GET_INFO, VFIO_GROUP_GET_DEVICE_FD, VFIO_DEVICE_GET_INFO };
	struct scene scene;

	open_scene(&scene);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		/* First it is asked whether the container serves. */
		inject_ioctl_fail(requests[i], requests[i] == VFIO_IOMMU_GET_INFO ? 2 : 1, 1, -EIO);
		attach_fails(&scene, -EIO);
		ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_UNSET_CONTAINER), i + 1);
	}
	/*
	 * And then twice for the ranges, those for the replay and those that go with the device; each takes two calls.
	 */
	inject_ioctl_fail(VFIO_IOMMU_GET_INFO, 4, 1, -EIO);
	attach_fails(&scene, -EIO);
	attaches(&scene);
	scene_close(&scene);
}
END_TEST

static int version_1_only(int fd, void *arg)
{
	(void)fd;
	return (uintptr_t)arg == VFIO_TYPE1_IOMMU;
}

START_TEST(the_container_is_type1v2_or_else_type1_or_else_refused)
{
	struct scene scene;

	open_scene(&scene);
	attaches(&scene);
	ck_assert_int_eq(scene_container_type(), VFIO_TYPE1v2_IOMMU);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);

	inject_ioctl(VFIO_CHECK_EXTENSION, version_1_only);
	attaches(&scene);
	ck_assert_int_eq(scene_container_type(), VFIO_TYPE1_IOMMU);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);

	/* Where version 2 is served, its failure is no reason for version 1. */
	scene_answers();
	inject_ioctl_fail(VFIO_SET_IOMMU, 1, 1, -EPERM);
	attach_fails(&scene, -EPERM);
	unit_words_have("allow_unsafe_interrupts");
	inject_ioctl(VFIO_CHECK_EXTENSION, inject_succeed); /* 0 is no */
	attach_fails(&scene, -EOPNOTSUPP);
	unit_words_have("type1");
	scene_close(&scene);
}
END_TEST

START_TEST(a_group_that_cannot_join_is_explained)
{
	struct scene scene;

	open_scene(&scene);
	inject_ioctl_fail(VFIO_GROUP_SET_CONTAINER, 1, 1, -EINVAL);
	attach_fails(&scene, -EINVAL);
	unit_words_have(SCENE_DEVICE);
	unit_words_have("beside the others in the container");
	inject_ioctl_fail(VFIO_GROUP_SET_CONTAINER, 1, 1, -EPERM);
	scene_kernel_has_sibling(true);
	attach_fails(&scene, -EPERM);
	unit_words_have(SCENE_SIBLING " is bound to e1000e");
	scene_kernel_has_sibling(false);
	ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_UNSET_CONTAINER), 0);
	attaches(&scene);
	scene_close(&scene);
}
END_TEST

START_TEST(a_range_that_a_further_group_reserves_is_named_with_the_mapping_in_it)
{
	struct iommufd_device *other;
	struct scene scene;

	open_scene(&scene);
	attaches(&scene);
	scene_map(&scene, 0x40000, 4);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_OTHER, &other), 0);
	inject_text("/sys/kernel/iommu_groups/8/reserved_regions",
		    "0x0000000000040000 0x0000000000040fff direct-relaxable\n0x0000000000042000 0x0000000000042fff "
		    "direct\n");
	inject_ioctl_fail(VFIO_GROUP_SET_CONTAINER, 1, 1, -EINVAL);
	unit_fails(-EADDRINUSE, iommufd_device_attach(other, scene.ioas));
	unit_words_have("0x40000-0x43fff");
	unit_words_have("group 8 reserves 0x42000-0x42fff");
	inject_text("/sys/kernel/iommu_groups/8/reserved_regions",
		    "0x0000000000044000 0x0000000000044fff msi\n0x40000 reserved\n");
	inject_ioctl_fail(VFIO_GROUP_SET_CONTAINER, 1, 1, -EINVAL);
	unit_fails(-EINVAL, iommufd_device_attach(other, scene.ioas));
	ck_assert_uint_eq(scene.ioas->attached, 1);
	ck_assert_int_eq(iommufd_device_attach(other, scene.ioas), 0);
	iommufd_device_free(other);
	scene_close(&scene);
}
END_TEST

static int no_type(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	return -EINVAL;
}

static int no_memory(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	return -ENOMEM;
}

START_TEST(mappings_that_the_kernel_dropped_without_a_word_can_still_be_unmapped_and_made)
{
	uint64_t bytes = 0;
	struct scene scene;

	open_scene(&scene);
	scene_map(&scene, 0x40000, 2);
	attaches(&scene);
	/* Nobody drops anything as long as a device is attached, whatever else fails. */
	inject_ioctl(VFIO_IOMMU_GET_INFO, no_type);
	inject_ioctl_fail(VFIO_IOMMU_UNMAP_DMA, 1, 2, -EINVAL);
	unit_fails(-EINVAL, iommufd_ioas_unmap(scene.ioas, 0x40000, 2 * SCENE_PAGE, &bytes));
	scene_answers();
	inject_ioctl_fail(VFIO_GROUP_UNSET_CONTAINER, 1, 1, -EBUSY);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	/* Nor is an answer that tells nothing taken for one. */
	inject_ioctl(VFIO_IOMMU_GET_INFO, no_memory);
	inject_ioctl_fail(VFIO_IOMMU_UNMAP_DMA, 1, 2, -EINVAL);
	unit_fails(-EINVAL, iommufd_ioas_unmap(scene.ioas, 0x40000, 2 * SCENE_PAGE, &bytes));
	scene_answers();
	inject_ioctl_fail(VFIO_IOMMU_UNMAP_DMA, 1, 2, -EINVAL);
	unit_fails(-EINVAL, iommufd_ioas_unmap(scene.ioas, 0x40000, 2 * SCENE_PAGE, &bytes));
	inject_ioctl(VFIO_IOMMU_GET_INFO, no_type);
	inject_ioctl_fail(VFIO_IOMMU_UNMAP_DMA, 1, 2, -EINVAL);
	ck_assert_int_eq(iommufd_ioas_unmap(scene.ioas, 0x40000, 2 * SCENE_PAGE, &bytes), 0);
	ck_assert_uint_eq(bytes, 2 * SCENE_PAGE);

	/* From then on it is not even asked. */
	inject_ioctl_fail(VFIO_IOMMU_MAP_DMA, 1, 1, -EINVAL);
	scene_map(&scene, 0x40000, 2);
	ck_assert_int_eq(iommufd_ioas_unmap(scene.ioas, 0x40000, 2 * SCENE_PAGE, NULL), 0);
	ck_assert_uint_eq(inject_ioctls(VFIO_IOMMU_UNMAP_DMA), 0);
	scene_answers();
	attaches(&scene);
	scene_close(&scene);
}
END_TEST

static struct scene forked;
static int child_status = -1;

/* Another thread attaches, this one forks, and the child frees what there is. */
static int fork_in_the_midst(int fd, void *arg)
{
	pid_t child = fork();

	(void)fd;
	(void)arg;
	if (!child) {
		alarm(10);
		iommufd_device_free(forked.dev);
		iommufd_ioas_free(forked.ioas);
		iommufd_ctx_free(forked.ctx);
		_exit(inject_fds() ? 1 : 42);
	}
	waitpid(child, &child_status, 0);
	return 0;
}

START_TEST(a_child_that_is_forked_in_the_midst_of_an_attach_frees_all_of_it)
{
	open_scene(&forked);
	scene_map(&forked, 0x40000, 1);
	inject_ioctl(VFIO_IOMMU_MAP_DMA, fork_in_the_midst);
	attaches(&forked);
	ck_assert_msg(WIFEXITED(child_status) && WEXITSTATUS(child_status) == 42, "the child ended with 0x%x",
		      (unsigned int)child_status);
	/* And once more when the device has its descriptor, and the handle does not know of it yet. */
	ck_assert_int_eq(iommufd_device_detach(forked.dev), 0);
	scene_answers();
	inject_ioctl(VFIO_DEVICE_GET_INFO, fork_in_the_midst);
	child_status = -1;
	attaches(&forked);
	ck_assert_msg(WIFEXITED(child_status) && WEXITSTATUS(child_status) == 42, "the child ended with 0x%x",
		      (unsigned int)child_status);
	scene_close(&forked);
}
END_TEST

START_TEST(a_replay_that_fails_beside_somebody_elses_group_is_taken_back)
{
	unsigned int mapped;
	struct scene scene;

	open_scene(&scene);
	scene_map(&scene, 0x40000, 1);
	scene_map(&scene, 0x50000, 1);
	scene_foreign_group(true); /* it begins to serve behind our back, as an adopted one may */
	inject_ioctl_fail(VFIO_IOMMU_MAP_DMA, 2, 1, -EFAULT);
	unit_fails(-EFAULT, iommufd_device_attach(scene.dev, scene.ioas));
	unit_words_have("IOVA 0x50000");
	ck_assert_uint_eq(inject_ioctls(VFIO_IOMMU_UNMAP_DMA), 1);
	scene_check_detached(&scene);
	mapped = inject_ioctls(VFIO_IOMMU_MAP_DMA);
	attaches(&scene);
	ck_assert_uint_eq(inject_ioctls(VFIO_IOMMU_MAP_DMA) - mapped, 2);
	/* It goes on serving when our group leaves, and what the IOAS had there goes with the IOAS. */
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	ck_assert(scene.ioas->serving);
	iommufd_ioas_free(scene.ioas);
	ck_assert_uint_eq(inject_ioctls(VFIO_IOMMU_UNMAP_DMA), 3);

	/* Nobody new shares a container with a group that is not his. */
	ck_assert_int_eq(iommufd_ioas_new(scene.ctx, &scene.ioas), 0);
	ck_assert_int_ne(scene.ioas->container, iommufd_ctx_fd(scene.ctx));
	iommufd_ioas_free(scene.ioas);
	scene_foreign_group(false);
	ck_assert_int_eq(iommufd_ioas_new(scene.ctx, &scene.ioas), 0);
	ck_assert_int_eq(scene.ioas->container, iommufd_ctx_fd(scene.ctx));
	scene_close(&scene);
}
END_TEST

START_TEST(a_group_that_could_not_leave_tries_again_before_it_is_refused_elsewhere)
{
	struct iommufd_ioas *second;
	struct scene scene;

	open_scene(&scene);
	ck_assert_int_eq(iommufd_ioas_new(scene.ctx, &second), 0);
	attaches(&scene);
	inject_ioctl_fail(VFIO_GROUP_UNSET_CONTAINER, 1, 2, -EBUSY);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	unit_fails(-EBUSY, iommufd_device_attach(scene.dev, second));
	unit_words_have("group 7 could not leave another IOAS");
	unit_words_have("copy of a descriptor");
	ck_assert_int_eq(iommufd_device_attach(scene.dev, second), 0);
	ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_UNSET_CONTAINER), 1);
	iommufd_ioas_free(second);
	scene_close(&scene);
}
END_TEST

START_TEST(a_group_that_could_not_leave_a_container_that_failed_to_serve_makes_it_serve_at_the_next_attach)
{
	static char name[] = "0000:00:09.0", path[] = "/sys/devices/x", vfio[] = "vfio-pci";
	static const struct ifd_found found = {
		.name = name, .path = path, .driver = vfio, .group = 9, .vfio = true, .noiommu = true
	};
	static const unsigned long requests[] = { VFIO_SET_IOMMU, VFIO_IOMMU_MAP_DMA };
	struct scene scene;

	for (size_t i = 0; i < 2; i++) {
		open_scene(&scene);
		scene_map(&scene, 0x40000, 1);
		inject_ioctl_fail(requests[i], 1, 2, -EFAULT);
		inject_ioctl_fail(VFIO_GROUP_UNSET_CONTAINER, 1, 1, -EBUSY);
		unit_fails(-EFAULT, iommufd_device_attach(scene.dev, scene.ioas));
		unit_fails(-EFAULT,
			   iommufd_device_attach(scene.dev, scene.ioas)); /* nor is it taken for one that serves */
		attaches(&scene);
		scene_map(&scene, 0x80000, 1);
		ck_assert_uint_eq(inject_ioctls(VFIO_IOMMU_MAP_DMA), 2 * (i + 1));
		scene_close(&scene);
	}

	open_scene(&scene);
	iommufd_device_free(scene.dev);
	scene.ctx->noiommu = true;
	inject_device(&found);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, name, &scene.dev), 0);
	inject_ioctl_fail(VFIO_SET_IOMMU, 1, 1, -EPERM);
	inject_ioctl_fail(VFIO_GROUP_UNSET_CONTAINER, 1, 1, -EBUSY);
	unit_fails(-EPERM, iommufd_device_attach(scene.dev, scene.ioas));
	attaches(&scene);
	ck_assert_int_eq(scene_container_type(), VFIO_NOIOMMU_IOMMU);
	scene_close(&scene);
}
END_TEST

START_TEST(a_group_stays_in_the_container_until_the_last_of_its_devices_is_detached)
{
	struct iommufd_device *sibling;
	struct scene scene;

	open_scene(&scene);
	attaches(&scene);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_SIBLING, &sibling), 0);
	inject_ioctl_fail(VFIO_GROUP_GET_DEVICE_FD, 1, 1, -EIO);
	unit_fails(-EIO, iommufd_device_attach(sibling, scene.ioas));
	ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_UNSET_CONTAINER), 0);
	ck_assert_int_eq(iommufd_device_attach(sibling, scene.ioas), 0);
	ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_SET_CONTAINER), 1);
	ck_assert_uint_eq(scene.ioas->attached, 2);

	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_UNSET_CONTAINER), 0);
	iommufd_device_free(sibling);
	ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_UNSET_CONTAINER), 1);
	scene_check_detached(&scene);
	scene_close(&scene);
}
END_TEST

START_TEST(devices_of_a_group_attach_to_one_ioas_only)
{
	struct iommufd_device *sibling;
	struct iommufd_ioas *second;
	struct scene scene;

	open_scene(&scene);
	attaches(&scene);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_SIBLING, &sibling), 0);
	ck_assert_int_eq(iommufd_ioas_new(scene.ctx, &second), 0);
	unit_fails(-EBUSY, iommufd_device_attach(sibling, second));
	unit_words_have("group 7");
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	ck_assert_int_eq(iommufd_device_attach(sibling, second), 0);
	unit_fails(-EBUSY, iommufd_device_attach(scene.dev, scene.ioas));
	iommufd_device_free(sibling);
	iommufd_ioas_free(second);
	attaches(&scene);
	scene_close(&scene);
}
END_TEST

static struct iommufd_device *other_thread_has;

static void detach_in_the_other_thread(void)
{
	ck_assert_int_eq(iommufd_device_detach(other_thread_has), 0);
}

START_TEST(a_group_leaves_its_container_when_two_threads_detach_its_last_two_devices)
{
	struct iommufd_device *sibling;
	struct scene scene;

	open_scene(&scene);
	attaches(&scene);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_SIBLING, &sibling), 0);
	ck_assert_int_eq(iommufd_device_attach(sibling, scene.ioas), 0);
	other_thread_has = sibling;
	inject_meanwhile(detach_in_the_other_thread);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	ck_assert_ptr_null(sibling->at.ioas);
	ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_UNSET_CONTAINER), 1);
	scene_check_detached(&scene);
	iommufd_device_free(sibling);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, mappings_are_replayed_when_the_first_group_joins_and_after_the_last_one_left);
	tcase_add_test(tcase, a_replay_that_fails_in_the_middle_leaves_nothing_behind_in_the_kernel);
	tcase_add_test(tcase, a_mapping_that_keeps_a_device_from_attaching_is_named_before_anything_is_mapped);
	tcase_add_test(tcase, the_limit_of_mappings_is_named_at_attach_and_at_map);
	tcase_add_test(tcase, what_fails_after_the_group_joined_takes_it_out_again);
	tcase_add_test(tcase, the_container_is_type1v2_or_else_type1_or_else_refused);
	tcase_add_test(tcase, a_group_that_cannot_join_is_explained);
	tcase_add_test(tcase, a_range_that_a_further_group_reserves_is_named_with_the_mapping_in_it);
	tcase_add_test(tcase, mappings_that_the_kernel_dropped_without_a_word_can_still_be_unmapped_and_made);
	tcase_add_test(tcase, a_child_that_is_forked_in_the_midst_of_an_attach_frees_all_of_it);
	tcase_add_test(tcase, a_replay_that_fails_beside_somebody_elses_group_is_taken_back);
	tcase_add_test(tcase, a_group_that_could_not_leave_tries_again_before_it_is_refused_elsewhere);
	tcase_add_test(tcase,
		       a_group_that_could_not_leave_a_container_that_failed_to_serve_makes_it_serve_at_the_next_attach);
	tcase_add_test(tcase, a_group_stays_in_the_container_until_the_last_of_its_devices_is_detached);
	tcase_add_test(tcase, devices_of_a_group_attach_to_one_ioas_only);
	tcase_add_test(tcase, a_group_leaves_its_container_when_two_threads_detach_its_last_two_devices);
}
