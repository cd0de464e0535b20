/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A device's memory for other devices, at moments and with failures that a kernel does not give at will. */
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define AT UINT64_C(0x10000000)
#define RW (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)

/* The scene's IOAS is the one that is lent to; the device is in one of its own. */
struct lending {
	struct scene scene;
	struct iommufd_ioas *home;
};

static void lending_open(struct lending *lending, uint32_t backend)
{
	scene_open(&lending->scene, backend);
	scene_lends();
	ck_assert_int_eq(iommufd_ioas_new(lending->scene.ctx, &lending->home), 0);
	ck_assert_int_eq(iommufd_device_attach(lending->scene.dev, lending->home), 0);
	ck_assert_int_eq(iommufd_pci_set_memory(lending->scene.dev, true), 0);
}

static void lending_close(struct lending *lending)
{
	iommufd_ioas_free(lending->home);
	scene_close(&lending->scene);
}

static int lend(struct lending *lending, uint64_t iova)
{
	return iommufd_ioas_map_region(lending->scene.ioas, lending->scene.dev, 2, 0, SCENE_PAGE,
				       RW | IOMMUFD_MAP_FIXED, &iova);
}

static unsigned int mapped(void)
{
	return inject_ioctls(IOMMU_IOAS_MAP_FILE);
}

/* ---- A copy beside a detach ---- */

static struct {
	struct iommufd_device *dev;
	pthread_t thread;
	sem_t there;
	int ret;
} leaving;

/* The first gate that a detach asks for is that of the first IOAS whose mappings are looked at. */
static void stand_at_a_gate(void)
{
	sem_post(&leaving.there);
}

static void *detach(void *data)
{
	leaving.ret = iommufd_device_detach(leaving.dev);
	return data;
}

/* The copy has found the device's memory to be there, and is not in the index. */
static void begin_detach(void)
{
	inject_queueing(stand_at_a_gate);
	ck_assert_int_eq(pthread_create(&leaving.thread, NULL, detach, NULL), 0);
	sem_wait(&leaving.there);
}

static void next_one(void)
{
	inject_after(INJECT_MEMORY, begin_detach);
}

START_TEST(a_copy_that_is_being_made_is_lost_with_its_source)
{
	struct iommufd_ioas *newest;
	struct lending lending;
	uint64_t iova = AT;

	lending_open(&lending, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(iommufd_ioas_new(lending.scene.ctx, &newest), 0);
	ck_assert_int_eq(lend(&lending, AT), 0);
	leaving.dev = lending.scene.dev;
	leaving.ret = 1;
	ck_assert_int_eq(sem_init(&leaving.there, 0, 0), 0);
	inject_after(INJECT_MEMORY, next_one); /* the list of its pieces, and the first of these */
	ck_assert_int_eq(iommufd_ioas_copy(lending.scene.ioas, AT, SCENE_PAGE, newest, RW | IOMMUFD_MAP_FIXED, &iova),
			 0);
	ck_assert_int_eq(pthread_join(leaving.thread, NULL), 0);
	ck_assert_int_eq(leaving.ret, 0);
	ck_assert_uint_eq(inject_ioctls(IOMMU_IOAS_UNMAP), 2);
	iommufd_ioas_free(newest);
	lending_close(&lending);
}
END_TEST

/* ---- Low power ---- */

START_TEST(what_may_sleep_is_not_mapped_by_anything)
{
	const uint16_t memory = htole16(2);
	struct lending lending;
	unsigned int before;

	lending_open(&lending, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(lend(&lending, AT), 0);
	ck_assert_int_eq(iommufd_device_low_power_enter(lending.scene.dev, -1), 0);
	before = mapped();
	unit_fails(-ENODEV, lend(&lending, 2 * AT));
	unit_words_have("iommufd_device_low_power_exit()");
	ck_assert_int_eq(iommufd_device_reset(lending.scene.dev), 0);
	ck_assert_int_eq(iommufd_pci_set_memory(lending.scene.dev, false), 0);
	ck_assert_int_eq(iommufd_pci_config_write(lending.scene.dev, 4, &memory, sizeof(memory)), 0);
	ck_assert_uint_eq(mapped(), before);
	ck_assert_int_eq(iommufd_device_low_power_exit(lending.scene.dev), 0);
	ck_assert_uint_eq(mapped(), before + 1);
	ck_assert_int_eq(lend(&lending, 2 * AT), 0);
	/* It is there, and is not taken away once more. */
	ck_assert_int_eq(iommufd_device_low_power_exit(lending.scene.dev), 0);
	ck_assert_uint_eq(mapped(), before + 2);
	lending_close(&lending);
}
END_TEST

START_TEST(what_cannot_be_had_back_after_low_power_can_be_asked_for_again)
{
	struct lending lending;
	unsigned int before;

	lending_open(&lending, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(lend(&lending, AT), 0);
	ck_assert_int_eq(iommufd_device_low_power_enter(lending.scene.dev, -1), 0);
	before = mapped();
	for (int i = 0; i < 2; i++) {
		inject_ioctl_fail(IOMMU_IOAS_MAP_FILE, 1, 1, -ENOMEM);
		unit_fails(-ENOMEM, iommufd_device_low_power_exit(lending.scene.dev));
	}
	ck_assert_uint_eq(mapped(), before);
	ck_assert_int_eq(iommufd_device_low_power_exit(lending.scene.dev), 0);
	ck_assert_uint_eq(mapped(), before + 1);
	lending_close(&lending);
}
END_TEST

/* ---- By its address ---- */

static int no_option(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	return -ENOTTY;
}

START_TEST(a_region_that_another_thread_is_claiming_is_tried_again)
{
	struct lending lending;

	lending_open(&lending, IOMMUFD_BACKEND_VFIO);
	inject_ioctl(IOMMU_OPTION, no_option);
	inject_fail(INJECT_MMAP, 1, -EBUSY);
	ck_assert_int_eq(lend(&lending, AT), 0);
	ck_assert(inject_failed());
	inject_fail_all(INJECT_MMAP, -EBUSY);
	unit_fails(-EBUSY, lend(&lending, 2 * AT));
	unit_words_have("/proc/iomem");
	inject_fail(INJECT_MMAP, 0, 0);
	lending_close(&lending);
}
END_TEST

static void open_by_address(struct lending *lending)
{
	lending_open(lending, IOMMUFD_BACKEND_VFIO);
	inject_ioctl(IOMMU_OPTION, no_option);
}

/* A copy in a child would keep the device open. */
START_TEST(what_is_lent_is_mapped_into_no_child)
{
	struct lending lending;
	unsigned int told;
	size_t before;

	open_by_address(&lending);
	told = inject_count(INJECT_MADVISE);
	ck_assert_int_eq(lend(&lending, AT), 0);
	ck_assert_uint_eq(inject_count(INJECT_MADVISE), told + 1);
	before = inject_mapped();
	inject_fail(INJECT_MADVISE, 1, -ENOMEM);
	unit_fails(-ENOMEM, lend(&lending, 2 * AT));
	unit_words_have("into the process");
	ck_assert(inject_failed());
	ck_assert_uint_eq(inject_mapped(), before);
	lending_close(&lending);
}
END_TEST

START_TEST(a_child_unmaps_nothing_of_what_its_parent_was_lent)
{
	struct lending lending;
	int status;
	pid_t child;

	open_by_address(&lending);
	ck_assert_int_eq(lend(&lending, AT), 0);
	ck_assert_uint_eq(inject_mapped(), SCENE_MAPPED + SCENE_PAGE);
	child = fork();
	if (!child) {
		iommufd_device_free(lending.scene.dev);
		iommufd_ioas_free(lending.home);
		iommufd_ioas_free(lending.scene.ioas);
		iommufd_ctx_free(lending.scene.ctx);
		/* It is on the parent's account. */
		ck_assert_uint_eq(inject_mapped(), SCENE_PAGE);
		_exit(42);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	lending_close(&lending);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, what_is_lent_is_mapped_into_no_child);
	tcase_add_test(tcase, a_child_unmaps_nothing_of_what_its_parent_was_lent);
	tcase_add_test(tcase, a_copy_that_is_being_made_is_lost_with_its_source);
	tcase_add_test(tcase, what_may_sleep_is_not_mapped_by_anything);
	tcase_add_test(tcase, what_cannot_be_had_back_after_low_power_can_be_asked_for_again);
	tcase_add_test(tcase, a_region_that_another_thread_is_claiming_is_tried_again);
}
