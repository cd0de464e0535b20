/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the kernel is told of interrupts, call by call: where it has no way to do it at once, refuses, or has forgotten.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "scene.h"
#include "uapi/vfio.h"

#define ARM    (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)
#define OFF    (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER)
#define MASK   (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK)
#define UNMASK (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK)

/* What was asked for since the last look, and how the n-th of these is to end, counted from 1. */
static struct {
	uint32_t flags, index, start, count;
	int fds[8];
} asked[16];
static unsigned int num_asked, fail_from, fail_to;
static int failure;

static int set_irqs(int fd, void *arg)
{
	const struct vfio_irq_set *set = arg;

	(void)fd;
	ck_assert_uint_lt(num_asked, 16);
	asked[num_asked].flags = set->flags;
	asked[num_asked].index = set->index;
	asked[num_asked].start = set->start;
	asked[num_asked].count = set->count;
	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		memcpy(asked[num_asked].fds, set->data, set->count * sizeof(int));
	num_asked++;
	return num_asked >= fail_from && num_asked <= fail_to ? failure : 0;
}

static void look(unsigned int from, unsigned int to, int err)
{
	num_asked = 0;
	fail_from = from;
	fail_to = to;
	failure = err;
}

/* The n-th question, counted from 0. */
static void was(unsigned int n, uint32_t flags, uint32_t index, uint32_t start, uint32_t count)
{
	ck_assert_uint_lt(n, num_asked);
	ck_assert_uint_eq(asked[n].flags, flags);
	ck_assert_uint_eq(asked[n].index, index);
	ck_assert_uint_eq(asked[n].start, start);
	ck_assert_uint_eq(asked[n].count, count);
}

/* Whether two descriptors are the same eventfd, which each change of its count tells. */
static bool same(int fd, int copy)
{
	uint64_t count = 1;

	ck_assert_int_eq(write(copy, &count, sizeof(count)), sizeof(count));
	count = 0;
	return read(fd, &count, sizeof(count)) == sizeof(count) && count == 1;
}

static int event(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void open_attached(struct scene *scene)
{
	scene_open(scene, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(iommufd_device_attach(scene->dev, scene->ioas), 0);
	inject_ioctl(VFIO_DEVICE_SET_IRQS, set_irqs);
	look(0, 0, 0);
}

static uint32_t enabled(struct scene *scene, uint32_t index)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };

	ck_assert_int_eq(iommufd_device_irq_info(scene->dev, index, &info), 0);
	return info.enabled;
}

static void enable(struct scene *scene, uint32_t index, uint32_t start, uint32_t count, const int *fds)
{
	ck_assert_int_eq(iommufd_device_irq_enable(scene->dev, index, start, count, fds), 0);
}

/* ---- Again, after a reset ---- */

START_TEST(what_is_enabled_is_armed_again)
{
	int fds[3] = { event(), -1, event() }, err = event();
	struct scene scene;

	open_attached(&scene);
	ck_assert_int_eq(ifd_irq_rearm(scene.dev), 0);
	ck_assert_uint_eq(num_asked, 0);
	enable(&scene, IOMMUFD_PCI_MSIX, 0, 3, fds);
	enable(&scene, IOMMUFD_PCI_MSIX, 4, 1, &fds[0]);
	enable(&scene, IOMMUFD_PCI_ERR, 0, 1, &err);
	look(0, 0, 0);
	ck_assert_int_eq(ifd_irq_rearm(scene.dev), 0);
	ck_assert_uint_eq(num_asked, 2);
	was(0, ARM, IOMMUFD_PCI_MSIX, 0, 5);
	was(1, ARM, IOMMUFD_PCI_ERR, 0, 1);
	ck_assert(same(fds[0], asked[0].fds[0]));
	ck_assert_int_eq(asked[0].fds[1], -1);
	ck_assert(same(fds[2], asked[0].fds[2]));
	ck_assert_int_eq(asked[0].fds[3], -1);
	ck_assert(same(fds[0], asked[0].fds[4]));
	ck_assert(same(err, asked[1].fds[0]));
	scene_close(&scene);
}
END_TEST

START_TEST(a_mask_is_set_again_and_so_is_what_unmasks)
{
	int fd = event(), done = event();
	struct scene scene;

	open_attached(&scene);
	enable(&scene, IOMMUFD_PCI_INTX, 0, 1, &fd);
	ck_assert_int_eq(iommufd_device_irq_mask(scene.dev, IOMMUFD_PCI_INTX, 0, 1), 0);
	look(0, 0, 0);
	ck_assert_int_eq(ifd_irq_rearm(scene.dev), 0);
	ck_assert_uint_eq(num_asked, 2);
	was(0, ARM, IOMMUFD_PCI_INTX, 0, 1);
	was(1, MASK, IOMMUFD_PCI_INTX, 0, 1);

	/* Whoever signals may have unmasked it meanwhile. The kernel refuses a second eventfd beside the first one. */
	ck_assert_int_eq(iommufd_device_irq_set_resample(scene.dev, IOMMUFD_PCI_INTX, 0, done), 0);
	look(0, 0, 0);
	ck_assert_int_eq(ifd_irq_rearm(scene.dev), 0);
	ck_assert_uint_eq(num_asked, 3);
	was(0, ARM, IOMMUFD_PCI_INTX, 0, 1);
	was(1, UNMASK, IOMMUFD_PCI_INTX, 0, 1);
	ck_assert_int_eq(asked[1].fds[0], -1);
	was(2, UNMASK, IOMMUFD_PCI_INTX, 0, 1);
	ck_assert(same(done, asked[2].fds[0]));

	ck_assert_int_eq(iommufd_device_irq_set_resample(scene.dev, IOMMUFD_PCI_INTX, 0, -1), 0);
	ck_assert_int_eq(iommufd_device_irq_unmask(scene.dev, IOMMUFD_PCI_INTX, 0, 1), 0);
	look(0, 0, 0);
	ck_assert_int_eq(ifd_irq_rearm(scene.dev), 0);
	ck_assert_uint_eq(num_asked, 1);
	scene_close(&scene);
}
END_TEST

START_TEST(one_type_that_cannot_be_armed_again_is_told_of_and_does_not_stop_the_others)
{
	struct scene scene;
	int fd = event();

	open_attached(&scene);
	enable(&scene, IOMMUFD_PCI_MSI, 0, 1, &fd);
	enable(&scene, IOMMUFD_PCI_REQ, 0, 1, &fd);
	look(1, 1, -EIO);
	unit_fails(-EIO, ifd_irq_rearm(scene.dev));
	unit_words_have("interrupt type 1");
	ck_assert_uint_eq(num_asked, 2);
	was(1, ARM, IOMMUFD_PCI_REQ, 0, 1);
	look(1, 1, 1);
	unit_fails(-ENOSPC, ifd_irq_rearm(scene.dev));
	ck_assert_uint_eq(enabled(&scene, IOMMUFD_PCI_MSI), 1);
	scene_close(&scene);
}
END_TEST

/* ---- Vectors that are added where their number is fixed ---- */

START_TEST(where_the_number_is_fixed_a_type_is_enabled_anew_with_all_vectors)
{
	int fds[4] = { event(), event(), event(), event() };
	struct scene scene;
	unsigned int copies;

	open_attached(&scene);
	/* From the middle on: those before it are there, and signal nothing. */
	enable(&scene, IOMMUFD_PCI_MSI, 1, 1, &fds[1]);
	was(0, ARM, IOMMUFD_PCI_MSI, 0, 2);
	ck_assert_int_eq(asked[0].fds[0], -1);
	enable(&scene, IOMMUFD_PCI_MSI, 0, 1, &fds[0]);
	was(1, ARM, IOMMUFD_PCI_MSI, 0, 1);
	copies = inject_fds();
	look(0, 0, 0);
	enable(&scene, IOMMUFD_PCI_MSI, 2, 2, &fds[2]);
	ck_assert_uint_eq(num_asked, 3);
	was(0, OFF, IOMMUFD_PCI_MSI, 0, 0);
	was(1, ARM, IOMMUFD_PCI_MSI, 0, 4);
	was(2, OFF, IOMMUFD_PCI_MSI, 0, 2); /* which signals those that were there */
	for (int i = 0; i < 4; i++)
		ck_assert(same(fds[i], asked[1].fds[i]));
	ck_assert_uint_eq(enabled(&scene, IOMMUFD_PCI_MSI), 4);
	ck_assert_uint_eq(inject_fds(), copies + 2);
	scene_close(&scene);
}
END_TEST

START_TEST(when_a_type_cannot_be_enabled_anew_it_is_as_before)
{
	int fds[4] = { event(), event(), event(), event() };
	struct scene scene;
	unsigned int copies;

	open_attached(&scene);
	enable(&scene, IOMMUFD_PCI_MSI, 0, 2, fds);
	copies = inject_fds();
	look(1, 1, -EIO);
	unit_fails(-EIO, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSI, 2, 2, &fds[2]));
	ck_assert_uint_eq(num_asked, 1);
	look(2, 2, 3);
	unit_fails(-ENOSPC, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSI, 2, 2, &fds[2]));
	unit_words_have("there are 3 left");
	ck_assert_uint_eq(num_asked, 4);
	was(2, ARM, IOMMUFD_PCI_MSI, 0, 2);
	ck_assert(same(fds[0], asked[2].fds[0]));
	ck_assert(same(fds[1], asked[2].fds[1]));
	was(3, OFF, IOMMUFD_PCI_MSI, 0, 2);
	ck_assert_uint_eq(enabled(&scene, IOMMUFD_PCI_MSI), 2);
	ck_assert_uint_eq(inject_fds(), copies);

	look(2, 3, -EIO);
	unit_fails(-EIO, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSI, 2, 2, &fds[2]));
	unit_words_have("enable it again");
	ck_assert_uint_eq(num_asked, 3);
	ck_assert_uint_eq(enabled(&scene, IOMMUFD_PCI_MSI), 0);
	ck_assert_uint_eq(inject_fds(), copies - 2);
	enable(&scene, IOMMUFD_PCI_MSIX, 0, 1, fds); /* nothing is in the way */
	scene_close(&scene);
}
END_TEST

/* ---- Vectors that change ---- */

START_TEST(what_the_kernel_takes_away_when_it_refuses_is_put_back)
{
	int old[3] = { event(), event(), event() }, new[4] = { event(), event(), event(), event() };
	struct scene scene;
	unsigned int copies;

	open_attached(&scene);
	enable(&scene, IOMMUFD_PCI_MSIX, 0, 3, old);
	copies = inject_fds();
	look(1, 1, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSIX, 1, 4, new));
	ck_assert_uint_eq(num_asked, 2);
	was(0, ARM, IOMMUFD_PCI_MSIX, 1, 4);
	was(1, ARM, IOMMUFD_PCI_MSIX, 1, 2);
	ck_assert(same(old[1], asked[1].fds[0]));
	ck_assert(same(old[2], asked[1].fds[1]));
	ck_assert_uint_eq(inject_fds(), copies);
	look(1, 1, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSIX, 3, 1, new));
	ck_assert_uint_eq(num_asked, 1);

	/* It does not take them back either. */
	look(1, 2, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSIX, 2, 1, new));
	unit_words_have("enable it again");
	ck_assert_uint_eq(inject_fds(), copies - 1);
	ck_assert_uint_eq(enabled(&scene, IOMMUFD_PCI_MSIX), 3);
	look(0, 0, 0);
	ck_assert_int_eq(ifd_irq_rearm(scene.dev), 0);
	ck_assert(same(old[0], asked[0].fds[0]));
	ck_assert(same(old[1], asked[0].fds[1]));
	ck_assert_int_eq(asked[0].fds[2], -1);
	scene_close(&scene);
}
END_TEST

START_TEST(what_unmasks_is_put_back_when_another_is_refused)
{
	int fd = event(), first = event(), second = event();
	struct scene scene;
	unsigned int copies;

	open_attached(&scene);
	enable(&scene, IOMMUFD_PCI_INTX, 0, 1, &fd);
	ck_assert_int_eq(iommufd_device_irq_set_resample(scene.dev, IOMMUFD_PCI_INTX, 0, first), 0);
	copies = inject_fds();
	look(2, 2, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_device_irq_set_resample(scene.dev, IOMMUFD_PCI_INTX, 0, second));
	ck_assert_uint_eq(num_asked, 3);
	was(2, UNMASK, IOMMUFD_PCI_INTX, 0, 1);
	ck_assert(same(first, asked[2].fds[0]));
	ck_assert_uint_eq(inject_fds(), copies);
	inject_fail(INJECT_DUP, 1, -EMFILE);
	unit_fails(-EMFILE, iommufd_device_irq_set_resample(scene.dev, IOMMUFD_PCI_INTX, 0, second));
	unit_words_have("ulimit -n");
	/* A change of the eventfd leaves it. */
	enable(&scene, IOMMUFD_PCI_INTX, 0, 1, &second);
	look(0, 0, 0);
	ck_assert_int_eq(ifd_irq_rearm(scene.dev), 0);
	ck_assert_uint_eq(num_asked, 3);
	ck_assert(same(second, asked[0].fds[0]));
	ck_assert(same(first, asked[2].fds[0]));
	scene_close(&scene);
}
END_TEST

/* As the kernel's mtty: a type is enabled for it while there is an eventfd. */
START_TEST(a_type_without_eventfds_can_be_disabled_where_the_kernel_has_forgotten_it)
{
	struct scene scene;
	int fd = event(), none = -1;

	open_attached(&scene);
	enable(&scene, IOMMUFD_PCI_MSI, 0, 1, &fd);
	look(1, 1, -EINVAL);
	unit_fails(-EINVAL, iommufd_device_irq_disable(scene.dev, IOMMUFD_PCI_MSI));
	ck_assert_uint_eq(enabled(&scene, IOMMUFD_PCI_MSI), 1);
	look(0, 0, 0);
	enable(&scene, IOMMUFD_PCI_MSI, 0, 1, &none);
	look(1, 2, -EIO);
	unit_fails(-EIO, iommufd_device_irq_disable(scene.dev, IOMMUFD_PCI_MSI));
	look(1, 1, -EINVAL);
	ck_assert_int_eq(iommufd_device_irq_disable(scene.dev, IOMMUFD_PCI_MSI), 0);
	was(0, OFF, IOMMUFD_PCI_MSI, 0, 0);
	ck_assert_uint_eq(enabled(&scene, IOMMUFD_PCI_MSI), 0);
	enable(&scene, IOMMUFD_PCI_MSIX, 0, 1, &fd); /* nothing is in the way */
	scene_close(&scene);
}
END_TEST

static int many_vectors(int fd, void *arg)
{
	(void)fd;
	((struct vfio_irq_info *)arg)->flags = VFIO_IRQ_INFO_EVENTFD;
	((struct vfio_irq_info *)arg)->count = UINT32_MAX;
	return 0;
}

START_TEST(absurdly_many_vectors_are_used_up_to_what_there_is_room_for)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };
	struct scene scene;
	int fd = -1;

	open_attached(&scene);
	inject_ioctl(VFIO_DEVICE_GET_IRQ_INFO, many_vectors);
	ck_assert_int_eq(iommufd_device_irq_info(scene.dev, IOMMUFD_PCI_MSIX, &info), 0);
	ck_assert_uint_ge(info.count, 2048); /* what PCI can have */
	ck_assert_uint_le(info.count, 65536);
	enable(&scene, IOMMUFD_PCI_MSIX, info.count - 1, 1, &fd);
	unit_fails(-EINVAL, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSIX, info.count, 1, &fd));
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, what_is_enabled_is_armed_again);
	tcase_add_test(tcase, a_mask_is_set_again_and_so_is_what_unmasks);
	tcase_add_test(tcase, one_type_that_cannot_be_armed_again_is_told_of_and_does_not_stop_the_others);
	tcase_add_test(tcase, where_the_number_is_fixed_a_type_is_enabled_anew_with_all_vectors);
	tcase_add_test(tcase, when_a_type_cannot_be_enabled_anew_it_is_as_before);
	tcase_add_test(tcase, what_the_kernel_takes_away_when_it_refuses_is_put_back);
	tcase_add_test(tcase, what_unmasks_is_put_back_when_another_is_refused);
	tcase_add_test(tcase, a_type_without_eventfds_can_be_disabled_where_the_kernel_has_forgotten_it);
	tcase_add_test(tcase, absurdly_many_vectors_are_used_up_to_what_there_is_room_for);
}
