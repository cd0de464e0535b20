/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Opening with options. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "scene.h"
#include "uapi/vfio.h"

static const unsigned char token[16] = {
	0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe,
};
static const char *const as_text = SCENE_OTHER " vf_token=01234567-89ab-cdef-1032-547698badcfe";

static uint32_t bind_flags;
static unsigned char bind_token[16];
static char group_was_asked_for[128];

static int see_bind(int fd, void *arg)
{
	struct vfio_device_bind_iommufd *cmd = arg;

	(void)fd;
	bind_flags = cmd->flags;
	if (cmd->token_uuid_ptr)
		memcpy(bind_token, (const void *)(uintptr_t)cmd->token_uuid_ptr, sizeof(bind_token));
	cmd->out_devid = 1234;
	return 0;
}

static int see_name(int fd, void *arg)
{
	(void)fd;
	snprintf(group_was_asked_for, sizeof(group_was_asked_for), "%s", (const char *)arg);
	return -EACCES;
}

START_TEST(a_token_is_copied_and_given_at_the_bind)
{
	struct iommufd_device_opts opts = { .struct_size = sizeof(opts) };
	struct iommufd_device *dev;
	struct scene scene;

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl(VFIO_DEVICE_BIND_IOMMUFD, see_bind);
	ck_assert_int_eq(iommufd_device_new_opts(scene.ctx, SCENE_OTHER, &opts, &dev), 0);
	ck_assert_uint_eq(bind_flags, 0);
	iommufd_device_free(dev);
	opts.vf_token = token;
	ck_assert_int_eq(iommufd_device_new_opts(scene.ctx, SCENE_OTHER, &opts, &dev), 0);
	ck_assert_uint_eq(bind_flags, VFIO_DEVICE_BIND_FLAG_TOKEN);
	ck_assert_mem_eq(bind_token, token, sizeof(token));
	iommufd_device_free(dev);
	scene_close(&scene);
}
END_TEST

START_TEST(a_group_is_asked_for_the_device_with_the_token_behind_its_name)
{
	struct iommufd_device_opts opts = { .struct_size = sizeof(opts), .vf_token = token };
	struct iommufd_device *dev;
	struct scene scene;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	ck_assert_int_eq(iommufd_device_new_opts(scene.ctx, SCENE_OTHER, &opts, &dev), 0);
	inject_ioctl(VFIO_GROUP_GET_DEVICE_FD, see_name);
	unit_fails(-EACCES, iommufd_device_attach(dev, scene.ioas));
	ck_assert_str_eq(group_was_asked_for, as_text);
	iommufd_device_free(dev);
	scene_close(&scene);
}
END_TEST

START_TEST(options_that_are_not_understood_open_nothing)
{
	struct {
		struct iommufd_device_opts opts;
		uint64_t later;
	} more = { .opts = { .struct_size = sizeof(more) }, .later = 1 };
	struct iommufd_device_opts unset = { .struct_size = 0 };
	struct iommufd_device *dev = (void *)1;
	struct scene scene;

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	unit_fails(-EINVAL, iommufd_device_new_opts(scene.ctx, SCENE_OTHER, &unset, &dev));
	unit_words_have("struct_size");
	unit_fails(-E2BIG, iommufd_device_new_opts(scene.ctx, SCENE_OTHER, &more.opts, &dev));
	unit_fails(-E2BIG, iommufd_device_from_fd_opts(scene.ctx, 0, &more.opts, &dev));
	ck_assert_ptr_eq(dev, (void *)1);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_token_is_copied_and_given_at_the_bind);
	tcase_add_test(tcase, a_group_is_asked_for_the_device_with_the_token_behind_its_name);
	tcase_add_test(tcase, options_that_are_not_understood_open_nothing);
}
