/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Opening with options; tokens are in token.c. */
#include <errno.h>

#include "scene.h"

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
	tcase_add_test(tcase, options_that_are_not_understood_open_nothing);
}
