/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Groups and nodes that somebody else has set up: what a kernel does not show at will. */
#include <errno.h>
#include <limits.h>

#include "scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

/* ---- Groups that are in a container ---- */

static int status_in_container(int fd, void *arg)
{
	(void)fd;
	((struct vfio_group_status *)arg)->flags = VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET;
	return 0;
}

static int not_an_iommufd(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	return -ENOTTY;
}

/* A device of a group that was adopted while it was in the container, which was adopted too. */
static void open_handed_over(struct scene *scene)
{
	int fd;

	scene_answers();
	inject_ioctl(VFIO_GROUP_GET_STATUS, status_in_container);
	inject_ioctl(IOMMU_OPTION, not_an_iommufd);
	fd = inject_fd();
	ck_assert_int_eq(iommufd_ctx_from_fd(fd, NULL, &scene->ctx), 0);
	ck_assert_int_eq(iommufd_ioas_new(scene->ctx, &scene->ioas), 0);
	scene_foreign_group(true); /* not seen before the attach, so that what is mapped before is replayed then */
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

/* ---- Nodes that are bound ---- */

/* What the kernel says to an attach by the number that is tried: while the object is there, and when it is gone. */
static int while_there, when_gone;
static unsigned int queues;
static uint32_t last_queue, tried;

static int fault_alloc(int fd, void *arg)
{
	struct iommu_fault_alloc *cmd = arg;

	(void)fd;
	queues++;
	cmd->out_fault_id = last_queue = 100 + queues;
	cmd->out_fault_fd = (uint32_t)inject_fd();
	return 0;
}

static int destroy(int fd, void *arg)
{
	(void)fd;
	if (((struct iommu_destroy *)arg)->id > 100)
		queues--;
	return 0;
}

static int attach_pt(int fd, void *arg)
{
	(void)fd;
	tried = ((struct vfio_device_attach_iommufd_pt *)arg)->pt_id;
	return queues ? while_there : when_gone;
}

/* A context of an iommufd that was adopted, and a node to adopt. */
static int open_bound(struct scene *scene)
{
	int iommufd;

	scene_answers();
	inject_ioctl(IOMMU_FAULT_QUEUE_ALLOC, fault_alloc);
	inject_ioctl(IOMMU_DESTROY, destroy);
	inject_ioctl(VFIO_DEVICE_ATTACH_IOMMUFD_PT, attach_pt);
	while_there = -EINVAL;
	when_gone = -ENOENT;
	*scene = (struct scene){ .dev = NULL };
	iommufd = inject_fd();
	ck_assert_int_eq(iommufd_ctx_from_fd(iommufd, NULL, &scene->ctx), 0);
	ifd_sys_close(iommufd);
	return inject_fd();
}

static void close_bound(struct scene *scene, int fd)
{
	ifd_sys_close(fd);
	iommufd_device_free(scene->dev);
	iommufd_ctx_free(scene->ctx);
	ck_assert_uint_eq(inject_fds(), 0);
	ck_assert_uint_eq(queues, 0);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_BIND_IOMMUFD), 0);
}

static void is_refused(struct scene *scene, int fd, int err)
{
	unsigned int fds = inject_fds();

	unit_fails(err, iommufd_device_from_fd(scene->ctx, fd, &scene->dev));
	ck_assert_ptr_null(scene->dev);
	ck_assert_uint_eq(inject_fds(), fds);
	ck_assert_uint_eq(queues, 0);
}

START_TEST(a_node_is_ours_only_if_the_number_of_an_object_of_ours_is_known_there_while_the_object_is)
{
	static const int answers[][2] = { { -ENOENT, -ENOENT },     { -EINVAL, -EINVAL },     { 0, 0 },
					  { -EADDRINUSE, -ENOENT }, { -EINVAL, -EADDRINUSE }, { -EINVAL, 0 } };
	struct scene scene;
	int fd = open_bound(&scene);

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		while_there = answers[i][0];
		when_gone = answers[i][1];
		is_refused(&scene, fd, -EINVAL);
		unit_words_have("bound to another iommufd");
		unit_words_have("iommufd_ctx_from_fd()");
	}
	/* Both attaches that succeeded were undone. */
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_DETACH_IOMMUFD_PT), 2);
	while_there = -EINVAL;
	when_gone = -ENOENT;
	ck_assert_int_eq(iommufd_device_from_fd(scene.ctx, fd, &scene.dev), 0);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_DETACH_IOMMUFD_PT), 2);
	ck_assert_uint_eq(tried, last_queue);
	close_bound(&scene, fd);
}
END_TEST

START_TEST(a_node_is_taken_where_the_kernel_has_no_object_by_which_to_tell)
{
	static const int errs[] = { -ENOTTY, -EOPNOTSUPP };
	struct scene scene;
	int fd = open_bound(&scene);

	for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
		inject_ioctl_fail(IOMMU_FAULT_QUEUE_ALLOC, 1, 1, errs[i]);
		ck_assert_int_eq(iommufd_device_from_fd(scene.ctx, fd, &scene.dev), 0);
		iommufd_device_free(scene.dev);
	}
	scene.dev = NULL;
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_ATTACH_IOMMUFD_PT), 0);
	close_bound(&scene, fd);
}
END_TEST

START_TEST(a_mediated_device_is_not_asked_since_it_would_say_the_same_wherever_it_is_bound)
{
	static char name[] = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", path[] = "/sys/devices/x", vfio[] = "vfio-mdev",
		    cdev[] = "/dev/vfio/devices/vfio9";
	static const struct ifd_found found = {
		.name = name, .path = path, .driver = vfio, .cdev = cdev, .group = 9, .vfio = true
	};
	struct scene scene;
	int fd = open_bound(&scene);

	inject_device(&found);
	while_there = -ENOENT;
	ck_assert_int_eq(iommufd_device_from_fd(scene.ctx, fd, &scene.dev), 0);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_ATTACH_IOMMUFD_PT), 0);
	close_bound(&scene, fd);
}
END_TEST

START_TEST(what_fails_while_it_is_asked_whose_a_node_is_leaves_nothing_behind)
{
	struct scene scene;
	int fd = open_bound(&scene);

	for (unsigned int nth = 1; nth <= 4; nth++) {
		inject_ioctl_fail(IOMMU_FAULT_QUEUE_ALLOC, nth, 1, -EMFILE);
		is_refused(&scene, fd, -EMFILE);
		unit_words_have("ulimit -n");
	}
	inject_ioctl_fail(IOMMU_FAULT_QUEUE_ALLOC, 2, 1, -ENOMEM);
	is_refused(&scene, fd, -ENOMEM);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_ATTACH_IOMMUFD_PT), 0);
	close_bound(&scene, fd);
}
END_TEST

/* ---- Devices that somebody else has bound ---- */

static int answers(void *data, uint32_t pt_id)
{
	(void)pt_id;
	return *(int *)data;
}

static int leaves(void *data)
{
	(void)data;
	return 0;
}

START_TEST(a_callback_that_answers_with_no_errno_is_a_breach_of_protocol)
{
	struct iommufd_device_calls calls = { .struct_size = sizeof(calls), .attach = answers, .detach = leaves };
	const int wrong[] = { 1, INT_MAX, -4096, INT_MIN };
	struct iommufd_device *dev;
	struct scene scene;
	int answer = -EIO;

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl(IOMMU_GET_HW_INFO, inject_succeed);
	calls.data = &answer;
	ck_assert_int_eq(iommufd_device_from_id(scene.ctx, 5, &calls, &dev), 0);
	unit_fails(-EIO, iommufd_device_attach(dev, scene.ioas));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		answer = wrong[i];
		unit_fails(-EPROTO, iommufd_device_attach(dev, scene.ioas));
	}
	iommufd_device_free(dev);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_callback_that_answers_with_no_errno_is_a_breach_of_protocol);
	tcase_add_test(tcase,
		       a_node_is_ours_only_if_the_number_of_an_object_of_ours_is_known_there_while_the_object_is);
	tcase_add_test(tcase, a_node_is_taken_where_the_kernel_has_no_object_by_which_to_tell);
	tcase_add_test(tcase, a_mediated_device_is_not_asked_since_it_would_say_the_same_wherever_it_is_bound);
	tcase_add_test(tcase, what_fails_while_it_is_asked_whose_a_node_is_leaves_nothing_behind);
	tcase_add_test(tcase, whatever_fails_a_group_that_was_handed_over_stays_in_its_container);
	tcase_add_test(tcase, a_group_that_does_not_tell_where_it_is_does_not_attach);
	tcase_add_test(tcase, a_group_of_our_own_is_not_taken_for_one_that_was_handed_over);
}
