/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Answers about devices such as no kernel should give. What fuzz-sys found is kept here. */
#include "scene.h"
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

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, an_answer_about_another_interrupt_type_is_taken_for_the_one_that_was_asked_for);
}
