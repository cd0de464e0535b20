/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Opening VFIO's containers and groups, when the kernel refuses. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "scene.h"
#include "uapi/vfio.h"

static void open_scene(struct scene *scene)
{
	scene_open(scene, IOMMUFD_BACKEND_VFIO);
}

static void open_fails(struct scene *scene, const char *address, int err)
{
	struct iommufd_device *dev = (void *)1;
	unsigned int before = inject_fds();

	unit_fails(err, iommufd_device_new(scene->ctx, address, &dev));
	ck_assert_ptr_eq(dev, (void *)1);
	ck_assert_uint_eq(inject_fds(), before);
}

START_TEST(a_group_that_is_not_viable_names_the_others_in_it)
{
	struct scene scene;

	open_scene(&scene);
	iommufd_device_free(scene.dev);
	inject_ioctl(VFIO_GROUP_GET_STATUS, inject_succeed); /* without the flag */
	scene_kernel_has_sibling(true);
	open_fails(&scene, SCENE_DEVICE, -EPERM);
	scene_kernel_has_sibling(false);
	unit_words_have("group 7");
	unit_words_have(SCENE_SIBLING " is bound to e1000e");
	open_fails(&scene, SCENE_OTHER, -EPERM);
	unit_words_have("nobody that can be seen has it");
	scene.dev = NULL;
	scene_close(&scene);
}
END_TEST

START_TEST(a_group_that_cannot_be_opened_is_named)
{
	static const int errs[] = { -EPERM, -EMFILE, -EBUSY, -EIO };
	struct scene scene;

	open_scene(&scene);
	for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
		inject_fail(INJECT_OPEN, 1, errs[i]);
		open_fails(&scene, SCENE_OTHER, errs[i]);
		unit_words_have("/dev/vfio/8");
		if (errs[i] == -EBUSY)
			unit_words_have("IOMMU group 8 is in use");
	}
	scene_close(&scene);
}
END_TEST

START_TEST(a_groups_node_is_opened_once_and_closed_with_the_last_of_its_devices)
{
	struct iommufd_device *sibling;
	unsigned int before;
	struct scene scene;

	open_scene(&scene);
	before = inject_fds();
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_SIBLING, &sibling), 0);
	ck_assert_uint_eq(inject_fds(), before);
	iommufd_device_free(scene.dev);
	ck_assert_uint_eq(inject_fds(), before);
	iommufd_device_free(sibling);
	ck_assert_uint_eq(inject_fds(), before - 1);
	scene.dev = NULL;
	scene_close(&scene);
}
END_TEST

START_TEST(a_devices_node_cannot_be_adopted)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct iommufd_device *dev = (void *)1;
	unsigned int before;
	struct scene scene;

	open_scene(&scene);
	before = inject_fds();
	unit_fails(-EOPNOTSUPP, iommufd_device_from_fd(scene.ctx, fd, &dev));
	ck_assert_ptr_eq(dev, (void *)1);
	ck_assert_uint_eq(inject_fds(), before);
	ck_assert_int_eq(close(fd), 0);
	scene_close(&scene);
}
END_TEST

START_TEST(one_ioas_at_a_time_has_the_contexts_container_and_each_other_one_its_own)
{
	struct iommufd_ctx_opts opts = { sizeof(opts), .backend = IOMMUFD_BACKEND_VFIO };
	struct iommufd_ioas *first, *second = (void *)1, *third;
	struct iommufd_ctx *ctx;

	scene_answers();
	ck_assert_int_eq(iommufd_ctx_new(&opts, &ctx), 0);
	ck_assert_int_eq(iommufd_ioas_new(ctx, &first), 0);
	ck_assert_uint_eq(inject_count(INJECT_OPEN), 1);

	inject_fail(INJECT_OPEN, 1, -EACCES);
	unit_fails(-EACCES, iommufd_ioas_new(ctx, &second));
	unit_words_have("/dev/vfio/vfio");
	inject_ioctl(VFIO_CHECK_EXTENSION, inject_succeed); /* 0 is no */
	unit_fails(-EOPNOTSUPP, iommufd_ioas_new(ctx, &second));
	ck_assert_ptr_eq(second, (void *)1);

	scene_answers();
	ck_assert_int_eq(iommufd_ioas_new(ctx, &second), 0);
	ck_assert_int_ne(second->container, first->container);
	iommufd_ioas_free(first);
	ck_assert_int_eq(iommufd_ioas_new(ctx, &third), 0);
	ck_assert_int_ne(third->container, second->container);
	ck_assert_uint_eq(inject_fds(), 2);
	iommufd_ctx_free(ctx);
	iommufd_ioas_free(second);
	iommufd_ioas_free(third);
	ck_assert_uint_eq(inject_fds(), 0);
}
END_TEST

static void check_reason(const struct scene *scene)
{
	if (scene->ctx->passed_over)
		unit_words_have("iommufd was passed over: open /dev/iommu: Permission denied");
	else
		ck_assert_ptr_null(strstr(iommufd_errmsg(), "passed over"));
}

static void try_what_iommufd_can(struct scene *scene)
{
	struct iommufd_device *dev = NULL;
	struct iommufd_ioas *to;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(iommufd_ioas_new(scene->ctx, &to), 0);
	ck_assert_int_eq(iommufd_device_attach(scene->dev, scene->ioas), 0);
	unit_fails(-EOPNOTSUPP, iommufd_device_from_fd(scene->ctx, fd, &dev));
	unit_words_have("use a context of the backend iommufd");
	check_reason(scene);
	unit_fails(-EOPNOTSUPP, iommufd_device_replace(scene->dev, to));
	unit_words_have("detach it and attach it anew");
	check_reason(scene);
	inject_late(1000, NULL);
	unit_fails(-ENOENT, iommufd_device_new(scene->ctx, SCENE_OTHER, &dev));
	unit_words_have("nobody made it within a second");
	check_reason(scene);
	inject_late(0, NULL);
	iommufd_ioas_free(to);
	ck_assert_int_eq(close(fd), 0);
}

START_TEST(what_only_iommufd_can_do_tells_why_it_was_passed_over)
{
	struct scene scene;

	inject_fail(INJECT_OPEN, 1, -EACCES);
	scene_open(&scene, IOMMUFD_BACKEND_AUTO);
	ck_assert_uint_eq(iommufd_ctx_backend(scene.ctx), IOMMUFD_BACKEND_VFIO);
	ck_assert_ptr_nonnull(scene.ctx->passed_over);
	try_what_iommufd_can(&scene);
	scene_close(&scene);

	/* Not when VFIO was asked for. */
	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	ck_assert_ptr_null(scene.ctx->passed_over);
	try_what_iommufd_can(&scene);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, what_only_iommufd_can_do_tells_why_it_was_passed_over);
	tcase_add_test(tcase, a_group_that_is_not_viable_names_the_others_in_it);
	tcase_add_test(tcase, a_group_that_cannot_be_opened_is_named);
	tcase_add_test(tcase, a_groups_node_is_opened_once_and_closed_with_the_last_of_its_devices);
	tcase_add_test(tcase, a_devices_node_cannot_be_adopted);
	tcase_add_test(tcase, one_ioas_at_a_time_has_the_contexts_container_and_each_other_one_its_own);
}
