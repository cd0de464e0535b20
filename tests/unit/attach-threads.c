/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A device that one thread moves and others use. */
#include <pthread.h>
#include <stdatomic.h>

#include "scene.h"

struct onlooker {
	const struct iommufd_device *dev;
	atomic_bool end;
	unsigned int looks, wrong;
};

static void *look_on(void *arg)
{
	struct iommufd_device_info info = { .struct_size = sizeof(info) };
	struct onlooker *onlooker = arg;

	for (; !onlooker->end || !onlooker->looks; onlooker->looks++)
		onlooker->wrong +=
			iommufd_device_get_info(onlooker->dev, &info) || !(info.flags & IOMMUFD_DEVICE_ATTACHED);
	return NULL;
}

START_TEST(a_device_is_attached_all_the_while_it_is_moved)
{
	struct onlooker onlooker = { .looks = 0 };
	struct iommufd_ioas *second;
	struct scene scene;
	pthread_t thread;

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_int_eq(iommufd_ioas_new(scene.ctx, &second), 0);
	onlooker.dev = scene.dev;
	ck_assert_int_eq(pthread_create(&thread, NULL, look_on, &onlooker), 0);
	for (int i = 0; i < 20000; i++)
		ck_assert_int_eq(iommufd_device_replace(scene.dev, i % 2 ? scene.ioas : second), 0);
	onlooker.end = true;
	pthread_join(thread, NULL);
	ck_assert_uint_eq(onlooker.wrong, 0);
	iommufd_ioas_free(second);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_device_is_attached_all_the_while_it_is_moved);
}
