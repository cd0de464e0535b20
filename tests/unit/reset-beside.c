/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Resets of a bus beside what other threads do with other devices on it. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "scene.h"
#include "uapi/vfio.h"

/* Where the scene's devices have their command register: what is written there stays. */
#define COMMAND (IOMMUFD_PCI_CONFIG * 16 * SCENE_PAGE + 4)
#define MASTER  4

static uint16_t command_of(struct iommufd_device *dev)
{
	uint16_t command;

	ck_assert_int_eq(iommufd_pci_config_read(dev, 4, &command, sizeof(command)), 0);
	return command;
}

static int reset_and_forget(int fd)
{
	const uint16_t none = 0;

	ck_assert_int_eq(pwrite(fd, &none, sizeof(none), COMMAND), sizeof(none));
	return 0;
}

/* The scene's device and the one of another group are on the bus. */
static int tell(int fd, void *arg)
{
	struct vfio_pci_hot_reset_info *info = arg;

	(void)fd;
	info->count = 2;
	info->flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	info->devices[0] = (struct vfio_pci_dependent_device){ .devfn = 3 << 3, .devid = SCENE_DEVICE_ID };
	info->devices[1] = (struct vfio_pci_dependent_device){ .devfn = 5 << 3, .devid = SCENE_DEVICE_ID + 1 };
	return 0;
}

/* The device that a hot reset of the scene's affects, and where the thread is that has it. */
static struct {
	struct iommufd_device *dev;
	pthread_t thread;
	sem_t quiet, go_on;
	unsigned int reads;
} leaving;

/* The calls have the numbers of others, which are made at the attach. */
static void open_told(struct scene *scene)
{
	scene_open(scene, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(iommufd_device_attach(scene->dev, scene->ioas), 0);
	ck_assert_int_eq(iommufd_device_new(scene->ctx, SCENE_OTHER, &leaving.dev), 0);
	ck_assert_int_eq(iommufd_device_attach(leaving.dev, scene->ioas), 0);
	inject_ioctl(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, tell);
}

static void close_told(struct scene *scene)
{
	iommufd_device_free(leaving.dev);
	scene_answers();
	scene_close(scene);
}

/* ---- Beside a detach ---- */

/* It has ended bus mastering, and nothing else has happened since. */
static void wait_quietly(void)
{
	sem_post(&leaving.quiet);
	sem_wait(&leaving.go_on);
}

static void *detach(void *data)
{
	return iommufd_device_detach(leaving.dev) ? data : NULL;
}

static int reset_beside_a_detach(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	inject_after(INJECT_PWRITE, wait_quietly);
	ck_assert_int_eq(pthread_create(&leaving.thread, NULL, detach, &leaving), 0);
	sem_wait(&leaving.quiet);
	leaving.reads = inject_count(INJECT_PREAD);
	return 0;
}

START_TEST(what_is_being_detached_gets_nothing_back)
{
	uint16_t command = 7;
	struct scene scene;
	void *failed;

	open_told(&scene);
	ck_assert_int_eq(iommufd_pci_set_master(leaving.dev, true), 0);
	ck_assert(!sem_init(&leaving.quiet, 0, 0) && !sem_init(&leaving.go_on, 0, 0));
	inject_ioctl(VFIO_DEVICE_PCI_HOT_RESET, reset_beside_a_detach);
	ck_assert_int_eq(iommufd_pci_hot_reset(scene.dev), 0);
	ck_assert_int_eq(pread(leaving.dev->fd, &command, sizeof(command), COMMAND), sizeof(command));
	ck_assert_uint_eq(command, 0);
	ck_assert_uint_eq(inject_count(INJECT_PREAD) - leaving.reads, 1); /* of the other one's command */
	sem_post(&leaving.go_on);
	ck_assert(!pthread_join(leaving.thread, &failed) && !failed);
	close_told(&scene);
}
END_TEST

static struct {
	struct scene *scene;
	pthread_t thread;
	sem_t detached, done;
	int opened;
} again;

static int tell_of_detach(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	sem_post(&again.detached);
	return 0;
}

static void *free_and_open(void *data)
{
	iommufd_device_free(leaving.dev);
	again.opened = iommufd_device_new(again.scene->ctx, SCENE_OTHER, &leaving.dev);
	sem_post(&again.done);
	return data;
}

static void wait_until_open(void)
{
	sem_wait(&again.done);
}

static int reset_beside_a_free(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	ck_assert_int_eq(pthread_create(&again.thread, NULL, free_and_open, NULL), 0);
	sem_wait(&again.detached);
	inject_after(INJECT_PREAD, wait_until_open);
	return 0;
}

START_TEST(what_is_freed_meanwhile_can_be_opened_at_once)
{
	struct scene scene;

	open_told(&scene);
	again.scene = &scene;
	again.opened = 1;
	ck_assert(!sem_init(&again.detached, 0, 0) && !sem_init(&again.done, 0, 0));
	inject_ioctl(VFIO_DEVICE_DETACH_IOMMUFD_PT, tell_of_detach);
	inject_ioctl(VFIO_DEVICE_PCI_HOT_RESET, reset_beside_a_free);
	ck_assert_int_eq(iommufd_pci_hot_reset(scene.dev), 0);
	ck_assert_int_eq(pthread_join(again.thread, NULL), 0);
	ck_assert_int_eq(again.opened, 0);
	close_told(&scene);
}
END_TEST

static void move_other(void)
{
	again.opened = iommufd_device_replace(leaving.dev, again.scene->ioas);
}

static int reset_both(int fd, void *arg)
{
	(void)arg;
	reset_and_forget(again.scene->dev->fd);
	return reset_and_forget(fd);
}

START_TEST(what_moves_to_another_ioas_meanwhile_is_not_taken_for_two)
{
	struct iommufd_ioas *second;
	struct scene scene;

	open_told(&scene);
	again.scene = &scene;
	ck_assert_int_eq(iommufd_ioas_new(scene.ctx, &second), 0);
	ck_assert_int_eq(iommufd_device_replace(leaving.dev, second), 0);
	ck_assert_int_eq(iommufd_pci_set_master(leaving.dev, true), 0);
	ck_assert_int_eq(iommufd_pci_set_master(scene.dev, true), 0);
	inject_ioctl(VFIO_DEVICE_PCI_HOT_RESET, reset_both);
	inject_meanwhile(move_other);
	ck_assert_int_eq(iommufd_pci_hot_reset(leaving.dev), 0);
	inject_meanwhile(NULL);
	ck_assert_uint_eq(command_of(leaving.dev), MASTER);
	ck_assert_uint_eq(command_of(scene.dev), MASTER);
	iommufd_ioas_free(second);
	close_told(&scene);
}
END_TEST

/* Who has the other device writes its command register while it is reset. */
static bool wanted;

static int reset_while_told(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	reset_and_forget(leaving.dev->fd);
	return iommufd_pci_set_master(leaving.dev, wanted);
}

START_TEST(what_its_owner_says_meanwhile_is_not_taken_back)
{
	struct scene scene;

	open_told(&scene);
	inject_ioctl(VFIO_DEVICE_PCI_HOT_RESET, reset_while_told);
	for (int i = 0; i < 4; i++) {
		wanted = i % 2;
		ck_assert_int_eq(iommufd_pci_set_master(leaving.dev, !wanted), 0);
		ck_assert_int_eq(iommufd_pci_hot_reset(scene.dev), 0);
		ck_assert_uint_eq(command_of(leaving.dev), wanted ? MASTER : 0);
	}
	close_told(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, what_is_being_detached_gets_nothing_back);
	tcase_add_test(tcase, what_is_freed_meanwhile_can_be_opened_at_once);
	tcase_add_test(tcase, what_moves_to_another_ioas_meanwhile_is_not_taken_for_two);
	tcase_add_test(tcase, what_its_owner_says_meanwhile_is_not_taken_back);
}
