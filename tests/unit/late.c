/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Nodes that appear only after the device was bound: they are waited for, and nobody else has to wait with it. */
#include <errno.h>

#include "scene.h"
#include "uapi/vfio.h"

static struct scene scene;
static unsigned int pauses, busy;
static struct iommufd_device *other;

/* What another thread would need to open, attach or free a device. */
static void try_the_lock(void)
{
	pauses++;
	if (pthread_mutex_trylock(&scene.ctx->opening)) {
		busy++;
		return;
	}
	pthread_mutex_unlock(&scene.ctx->opening);
}

static void waits_for_a_node(uint32_t backend)
{
	pauses = busy = 0;
	scene_open(&scene, backend);
	iommufd_device_free(scene.dev);
	inject_late(3, try_the_lock);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_DEVICE, &scene.dev), 0);
	ck_assert_uint_eq(pauses, 3);
	ck_assert_uint_eq(busy, 0);
	scene_close(&scene);
}

START_TEST(a_node_that_is_late_is_waited_for_without_a_lock)
{
	waits_for_a_node(IOMMUFD_BACKEND_IOMMUFD);
	waits_for_a_node(IOMMUFD_BACKEND_VFIO);
}
END_TEST

START_TEST(a_node_that_never_comes_is_waited_for_a_second)
{
	unsigned int before, opens;

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	iommufd_device_free(scene.dev);
	scene.dev = NULL;
	before = inject_slept_ms();
	opens = inject_count(INJECT_OPEN);
	inject_late(1000, NULL);
	unit_fails(-ENOENT, iommufd_device_new(scene.ctx, SCENE_DEVICE, &scene.dev));
	unit_words_have("nobody made it within a second");
	ck_assert_ptr_null(scene.dev);
	ck_assert_uint_ge(inject_slept_ms() - before, 900);
	ck_assert_uint_le(inject_slept_ms() - before, 1000);
	ck_assert_uint_eq(inject_count(INJECT_OPEN) - opens, 1);
	inject_late(0, NULL);
	scene_close(&scene);
}
END_TEST

START_TEST(a_node_that_is_there_costs_one_call_and_no_pause)
{
	unsigned int before;

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	iommufd_device_free(scene.dev);
	before = inject_count(INJECT_ANY);
	inject_late(0, try_the_lock);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_DEVICE, &scene.dev), 0);
	ck_assert_uint_eq(inject_count(INJECT_ANY) - before, 2); /* open and bind */
	ck_assert_uint_eq(pauses, 0);
	scene_close(&scene);
}
END_TEST

START_TEST(a_group_that_is_open_already_needs_no_node)
{
	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	inject_late(1000, try_the_lock);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_SIBLING, &other), 0);
	ck_assert_uint_eq(pauses, 0);
	iommufd_device_free(other);
	inject_late(0, NULL);
	scene_close(&scene);
}
END_TEST

/* While one thread waits for a device's node, another opens that very device. */
static void open_it_first(void)
{
	inject_late(0, NULL);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_DEVICE, &other), 0);
}

START_TEST(who_waits_is_told_when_another_thread_was_faster)
{
	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	iommufd_device_free(scene.dev);
	scene.dev = NULL;
	inject_late(2, open_it_first);
	unit_fails(-EBUSY, iommufd_device_new(scene.ctx, SCENE_DEVICE, &scene.dev));
	unit_words_have("has it open already");
	ck_assert_ptr_null(scene.dev);
	scene.dev = other;
	scene_close(&scene);
}
END_TEST

/* ---- A device that is found while its driver is at work on it ---- */

static char name[] = "0000:00:09.0", path[] = "/sys/devices/x", driver[] = "vfio-pci";
static char node[] = "/dev/vfio/devices/vfio9";
static struct ifd_found fresh;
static unsigned int until;

static void work_on_it(void)
{
	try_the_lock();
	if (pauses < until)
		return;
	fresh.cdev = node;
	fresh.coming = false;
}

static void open_fresh(unsigned int end)
{
	fresh = (struct ifd_found){
		.name = name, .path = path, .driver = driver, .group = 9, .vfio = true, .coming = true
	};
	pauses = busy = 0;
	until = end;
	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_device(&fresh);
	inject_late(0, work_on_it);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, name, &other), 0);
	ck_assert_uint_eq(busy, 0);
	inject_late(0, NULL);
}

static void close_fresh(void)
{
	iommufd_device_free(other);
	scene_close(&scene);
}

START_TEST(a_device_whose_driver_is_at_work_is_waited_for_and_has_its_node_then)
{
	open_fresh(3);
	ck_assert_uint_eq(pauses, 3);
	ck_assert_str_eq(other->found->cdev, node);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_BIND_IOMMUFD), 2); /* the scene's device, and this one */
	close_fresh();
}
END_TEST

START_TEST(a_device_whose_driver_never_gets_done_is_opened_as_it_is_after_a_second)
{
	unsigned int before = inject_slept_ms();

	open_fresh(1000);
	ck_assert_uint_ge(inject_slept_ms() - before, 900);
	ck_assert_uint_le(inject_slept_ms() - before, 1000);
	ck_assert_ptr_null(other->found->cdev);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_BIND_IOMMUFD), 1);
	close_fresh();
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_node_that_is_late_is_waited_for_without_a_lock);
	tcase_add_test(tcase, a_node_that_never_comes_is_waited_for_a_second);
	tcase_add_test(tcase, a_node_that_is_there_costs_one_call_and_no_pause);
	tcase_add_test(tcase, a_group_that_is_open_already_needs_no_node);
	tcase_add_test(tcase, a_device_whose_driver_is_at_work_is_waited_for_and_has_its_node_then);
	tcase_add_test(tcase, a_device_whose_driver_never_gets_done_is_opened_as_it_is_after_a_second);
	tcase_add_test(tcase, who_waits_is_told_when_another_thread_was_faster);
}
