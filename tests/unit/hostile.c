/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Answers about devices such as no kernel should give. What fuzz-sys found is kept here. */
#include <errno.h>
#include <sys/mman.h>

#include "scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

static void open_attached(struct scene *scene)
{
	scene_open(scene, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(iommufd_device_attach(scene->dev, scene->ioas), 0);
}

/* ---- Interrupts ---- */

static int other_type(int fd, void *arg)
{
	struct vfio_irq_info *info = arg;

	(void)fd;
	info->flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE;
	info->count = 32;
	info->index = 0x10000000;
	return 0;
}

START_TEST(an_answer_about_another_interrupt_type_is_taken_for_the_one_that_was_asked_for)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };
	struct scene scene;
	int fd = -1;

	open_attached(&scene);
	inject_ioctl(VFIO_DEVICE_GET_IRQ_INFO, other_type);
	ck_assert_int_eq(iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSI, 0, 1, &fd), 0);
	ck_assert_int_eq(iommufd_device_irq_info(scene.dev, IOMMUFD_PCI_MSI, &info), 0);
	ck_assert_uint_eq(info.index, IOMMUFD_PCI_MSI);
	ck_assert_uint_eq(info.enabled, 1);
	ck_assert_int_eq(iommufd_device_irq_disable(scene.dev, IOMMUFD_PCI_MSI), 0);
	scene_close(&scene);
}
END_TEST

/* ---- Objects ---- */

START_TEST(a_device_that_is_bound_as_nothing_is_not_opened)
{
	struct iommufd_device *dev = NULL;
	struct scene scene;
	unsigned int fds;

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	fds = inject_fds();
	inject_ioctl(VFIO_DEVICE_BIND_IOMMUFD, inject_succeed);
	unit_fails(-EPROTO, iommufd_device_new(scene.ctx, SCENE_OTHER, &dev));
	unit_words_have(SCENE_OTHER);
	ck_assert_ptr_null(dev);
	ck_assert_uint_eq(inject_fds(), fds);
	scene_close(&scene);
}
END_TEST

/* ---- Groups ---- */

/* The handles are freed in this order: c for the context, d for the device, i for the IOAS. */
static void free_all(struct scene *scene, const char *order)
{
	for (; *order; order++)
		if (*order == 'c') {
			iommufd_ctx_free(scene->ctx);
			scene->ctx = NULL;
		} else if (*order == 'd') {
			iommufd_device_free(scene->dev);
			scene->dev = NULL;
		} else {
			iommufd_ioas_free(scene->ioas);
			scene->ioas = NULL;
		}
}

START_TEST(an_adopted_group_that_cannot_leave_its_container_keeps_nothing_open)
{
	static const char *const orders[] = { "cdi", "cid", "dci", "dic", "icd", "idc" };
	struct scene scene;
	int fd;

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		scene_open(&scene, IOMMUFD_BACKEND_VFIO);
		iommufd_device_free(scene.dev);
		fd = inject_fd();
		ck_assert_int_eq(iommufd_ctx_add_group(scene.ctx, fd), 0);
		ifd_sys_close(fd);
		ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_OTHER, &scene.dev), 0);
		ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
		inject_ioctl_fail(VFIO_GROUP_UNSET_CONTAINER, 1, 1, -EBUSY);
		free_all(&scene, orders[i]);
		ck_assert_msg(!inject_fds() && !inject_mapped(), "%u descriptors are left after %s", inject_fds(),
			      orders[i]);
	}
}
END_TEST

START_TEST(a_device_of_an_adopted_group_that_could_not_leave_attaches_again)
{
	struct scene scene;
	int fd;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	iommufd_device_free(scene.dev);
	fd = inject_fd();
	ck_assert_int_eq(iommufd_ctx_add_group(scene.ctx, fd), 0);
	ifd_sys_close(fd);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_OTHER, &scene.dev), 0);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	inject_ioctl_fail(VFIO_GROUP_UNSET_CONTAINER, 1, 1, -EBUSY);
	iommufd_device_free(scene.dev);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_OTHER, &scene.dev), 0);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_SET_CONTAINER), 1); /* it is in there still */
	scene_close(&scene);
}
END_TEST

/* ---- Moves ---- */

START_TEST(a_move_that_fails_and_cannot_be_undone_tells_why_it_failed)
{
	struct iommufd_ioas *to;
	struct scene scene;

	open_attached(&scene);
	ck_assert_int_eq(iommufd_ioas_new(scene.ctx, &to), 0);
	inject_ioctl_fail(IOMMU_IOAS_IOVA_RANGES, 1, 1, -ENXIO);
	inject_ioctl_fail(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 2, 1, -EAGAIN);
	unit_fails(-ENXIO, iommufd_device_replace(scene.dev, to));
	unit_words_have("ask for the permitted IOVAs");
	ck_assert_ptr_eq(scene.dev->at.ioas, scene.ioas);
	iommufd_ioas_free(to);
	scene_close(&scene);
}
END_TEST

/* ---- Regions ---- */

static uint64_t size, offset;

static int beyond_any_file(int fd, void *arg)
{
	struct vfio_region_info *info = arg;

	(void)fd;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_MMAP;
	info->size = size;
	info->offset = offset;
	return 0;
}

START_TEST(a_region_that_goes_beyond_what_a_file_can_have_is_a_breach_of_protocol)
{
	static const uint64_t both[][2] = {
		{ UINT64_MAX, SCENE_PAGE },
		{ SCENE_PAGE, UINT64_MAX - SCENE_PAGE + 1 },
		{ SCENE_PAGE, UINT64_C(1) << 63 },
		{ UINT64_C(1) << 63, 0 },
		{ INT64_MAX, 1 },
	};
	struct iommufd_region_info info = { .struct_size = sizeof(info) };
	struct scene scene;
	uint32_t word;
	void *addr;

	open_attached(&scene);
	inject_ioctl(VFIO_DEVICE_GET_REGION_INFO, beyond_any_file);
	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
		size = both[i][0];
		offset = both[i][1];
		unit_fails(-EPROTO, iommufd_device_region_info(scene.dev, 1, &info));
		unit_fails(-EPROTO, iommufd_device_region_read(scene.dev, 1, 0, &word, sizeof(word)));
		unit_fails(-EPROTO, iommufd_device_region_map(scene.dev, 1, 0, SCENE_PAGE, PROT_READ, &addr));
		unit_words_have("no file can have");
	}
	size = INT64_MAX - SCENE_PAGE + 1;
	offset = SCENE_PAGE - 1;
	ck_assert_int_eq(iommufd_device_region_info(scene.dev, 1, &info), 0);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, an_answer_about_another_interrupt_type_is_taken_for_the_one_that_was_asked_for);
	tcase_add_test(tcase, a_device_that_is_bound_as_nothing_is_not_opened);
	tcase_add_test(tcase, an_adopted_group_that_cannot_leave_its_container_keeps_nothing_open);
	tcase_add_test(tcase, a_device_of_an_adopted_group_that_could_not_leave_attaches_again);
	tcase_add_test(tcase, a_move_that_fails_and_cannot_be_undone_tells_why_it_failed);
	tcase_add_test(tcase, a_region_that_goes_beyond_what_a_file_can_have_is_a_breach_of_protocol);
}
