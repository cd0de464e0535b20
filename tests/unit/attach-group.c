/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* iommufd with devices that have no node of their own: their group hands them out. */
#include <errno.h>

#include "hwpt.h"
#include "scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define DEVICE "0000:00:09.0"

/* The context's compat IOAS; 0 for none. And which one it was when the group last handed out a device. */
static uint32_t compat, attached_to;

static int vfio_ioas(int fd, void *arg)
{
	struct iommu_vfio_ioas *cmd = arg;

	(void)fd;
	if (cmd->op == IOMMU_VFIO_IOAS_GET && !compat)
		return -ENODEV;
	if (cmd->op == IOMMU_VFIO_IOAS_GET)
		cmd->ioas_id = compat;
	else
		compat = cmd->op == IOMMU_VFIO_IOAS_SET ? cmd->ioas_id : 0;
	return 0;
}

static int get_device_fd(int fd, void *arg)
{
	(void)fd;
	ck_assert_str_eq(arg, DEVICE);
	if (!compat)
		return -ENODEV;
	attached_to = compat;
	return inject_fd();
}

static void open_scene(struct scene *scene)
{
	static char name[] = DEVICE, path[] = "/sys/devices/x", vfio[] = "vfio-pci";
	static const struct ifd_found found = { .name = name, .path = path, .driver = vfio, .group = 9, .vfio = true };

	scene_open(scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_device(&found);
	inject_ioctl(IOMMU_VFIO_IOAS, vfio_ioas);
	inject_ioctl(VFIO_GROUP_GET_DEVICE_FD, get_device_fd);
	iommufd_device_free(scene->dev);
	scene->dev = NULL;
	ck_assert_int_eq(iommufd_device_new(scene->ctx, DEVICE, &scene->dev), 0);
}

static void close_scene(struct scene *scene)
{
	iommufd_device_free(scene->dev);
	iommufd_ioas_free(scene->ioas);
	iommufd_ctx_free(scene->ctx);
	ck_assert_uint_eq(inject_fds(), 0);
	ck_assert_uint_eq(inject_ioctls(IOMMU_IOAS_ALLOC), inject_ioctls(IOMMU_DESTROY));
}

START_TEST(the_compat_ioas_is_lent_for_the_attach_and_given_back)
{
	static const uint32_t before[] = { 0, 4711 };
	struct scene scene;

	open_scene(&scene);
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		compat = before[i];
		ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
		ck_assert_uint_eq(attached_to, scene.ioas->id);
		ck_assert_uint_eq(compat, before[i]);
		ck_assert_int_ge(iommufd_device_fd(scene.dev), 0);
		ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
		unit_fails(-ENOTCONN, iommufd_device_fd(scene.dev));
	}
	ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_SET_CONTAINER), 1);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_BIND_IOMMUFD), 1); /* the device that the scene began with */
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_ATTACH_IOMMUFD_PT), 0);
	close_scene(&scene);
}
END_TEST

START_TEST(whatever_fails_of_the_attach_the_compat_ioas_is_given_back)
{
	static const unsigned long requests[] = { VFIO_GROUP_SET_CONTAINER, VFIO_GROUP_GET_DEVICE_FD,
						  VFIO_DEVICE_GET_INFO };
	unsigned int fds;
	struct scene scene;

	open_scene(&scene);
	fds = inject_fds();
	compat = 4711;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		inject_ioctl_fail(requests[i], 1, 1, -EPERM);
		unit_fails(-EPERM, iommufd_device_attach(scene.dev, scene.ioas));
		ck_assert_uint_eq(compat, 4711);
		ck_assert_uint_eq(inject_fds(), fds);
		ck_assert_ptr_null(scene.dev->at.ioas);
	}
	unit_words_have(DEVICE);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	close_scene(&scene);
}
END_TEST

START_TEST(a_mapping_that_keeps_it_from_attaching_is_found_through_the_group_too)
{
	struct scene scene;

	open_scene(&scene);
	scene_map(&scene, 0xfee00000, 1);
	inject_ioctl_fail(VFIO_GROUP_GET_DEVICE_FD, 1, 1, -EADDRINUSE);
	unit_fails(-EADDRINUSE, iommufd_device_attach(scene.dev, scene.ioas));
	unit_words_have("0xfee00000-0xfee00fff");
	ck_assert_uint_eq(inject_ioctls(IOMMU_IOAS_ALLOC), inject_ioctls(IOMMU_DESTROY) + 1);
	ck_assert_uint_ne(attached_to, scene.ioas->id);
	close_scene(&scene);
}
END_TEST

/* Open by a copy of its descriptor, it is handed out though there is nothing to attach it to. */
static int get_device_that_is_open(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	return inject_fd();
}

START_TEST(a_device_that_somebody_holds_is_not_taken_for_attached)
{
	unsigned int fds;
	struct scene scene;

	open_scene(&scene);
	fds = inject_fds();
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	inject_ioctl(VFIO_GROUP_GET_DEVICE_FD, get_device_that_is_open);
	unit_fails(-EBUSY, iommufd_device_attach(scene.dev, scene.ioas));
	unit_words_have("copy of an earlier descriptor");
	ck_assert_uint_eq(inject_fds(), fds);
	inject_ioctl(VFIO_GROUP_GET_DEVICE_FD, get_device_fd);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	close_scene(&scene);
}
END_TEST

static int status_in_container(int fd, void *arg)
{
	(void)fd;
	((struct vfio_group_status *)arg)->flags = VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET;
	return 0;
}

static int no_device(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	return -ENODEV;
}

START_TEST(a_group_on_another_iommufd_is_told_from_a_device_that_is_gone)
{
	static char name[] = DEVICE, driver[] = "e1000e";
	static struct ifd_found found = { .name = name, .path = name, .driver = driver, .group = 9, .vfio = true };
	struct scene scene;
	int fd;

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	iommufd_device_free(scene.dev);
	inject_device(&found);
	inject_ioctl(IOMMU_VFIO_IOAS, vfio_ioas);
	inject_ioctl(VFIO_GROUP_GET_STATUS, status_in_container);
	inject_ioctl(VFIO_GROUP_GET_DEVICE_FD, no_device);
	fd = inject_fd();
	ck_assert_int_eq(iommufd_ctx_add_group(scene.ctx, fd), 0);
	ifd_sys_close(fd);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, DEVICE, &scene.dev), 0);
	unit_fails(-EBUSY, iommufd_device_attach(scene.dev, scene.ioas));
	unit_words_have("its group is in another container");
	found.vfio = false;
	unit_fails(-ENODEV, iommufd_device_attach(scene.dev, scene.ioas));
	unit_words_have("it is now bound to e1000e");
	close_scene(&scene);
}
END_TEST

/* The kernel would look for an IOAS of that number. */
START_TEST(a_page_table_is_nothing_to_attach_a_group_to)
{
	struct iommufd_hwpt hwpt = { .handle.id = 4712 };
	struct scene scene;

	open_scene(&scene);
	hwpt.ioas = scene.ioas;
	unit_fails(-EOPNOTSUPP, iommufd_device_attach_hwpt(scene.dev, &hwpt));
	unit_words_have("its group's node takes an IOAS only");
	ck_assert_uint_eq(inject_ioctls(IOMMU_VFIO_IOAS), 0);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	close_scene(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_device_that_somebody_holds_is_not_taken_for_attached);
	tcase_add_test(tcase, a_group_on_another_iommufd_is_told_from_a_device_that_is_gone);
	tcase_add_test(tcase, the_compat_ioas_is_lent_for_the_attach_and_given_back);
	tcase_add_test(tcase, whatever_fails_of_the_attach_the_compat_ioas_is_given_back);
	tcase_add_test(tcase, a_page_table_is_nothing_to_attach_a_group_to);
	tcase_add_test(tcase, a_mapping_that_keeps_it_from_attaching_is_found_through_the_group_too);
}
