/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Resets, where the kernel restores less than it should, or says of other devices what cannot be. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "scene.h"
#include "uapi/vfio.h"

/* Where the scene's devices have their command register: what is written there stays. */
#define COMMAND (IOMMUFD_PCI_CONFIG * 16 * SCENE_PAGE + 4)
#define MASTER  4

static void open_attached(struct scene *scene, uint32_t backend)
{
	scene_open(scene, backend);
	ck_assert_int_eq(iommufd_device_attach(scene->dev, scene->ioas), 0);
}

/* ---- What comes back ---- */

static uint16_t command_of(struct iommufd_device *dev)
{
	uint16_t command;

	ck_assert_int_eq(iommufd_pci_config_read(dev, 4, &command, sizeof(command)), 0);
	return command;
}

static int reset_and_forget(int fd, void *arg)
{
	const uint16_t none = 0;

	(void)arg;
	ck_assert_int_eq(pwrite(fd, &none, sizeof(none), COMMAND), sizeof(none));
	return 0;
}

START_TEST(bus_mastering_that_the_kernel_forgets_is_set_again)
{
	struct scene scene;

	open_attached(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl(VFIO_DEVICE_RESET, reset_and_forget);
	ck_assert_int_eq(iommufd_pci_set_master(scene.dev, true), 0);
	ck_assert_int_eq(iommufd_device_reset(scene.dev), 0);
	ck_assert_uint_eq(command_of(scene.dev), MASTER);
	ck_assert_int_eq(iommufd_pci_set_master(scene.dev, false), 0);
	ck_assert_int_eq(iommufd_device_reset(scene.dev), 0);
	ck_assert_uint_eq(command_of(scene.dev), 0);
	scene_close(&scene);
}
END_TEST

START_TEST(what_cannot_be_brought_back_is_said)
{
	struct scene scene;

	open_attached(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl(VFIO_DEVICE_RESET, reset_and_forget);
	ck_assert_int_eq(iommufd_pci_set_master(scene.dev, true), 0);
	inject_fail(INJECT_PWRITE, 1, -EIO);
	unit_fails(-EIO, iommufd_device_reset(scene.dev));
	unit_words_have("it was reset, but not all is as it was");
	ck_assert_uint_eq(command_of(scene.dev), 0);
	scene_close(&scene);
}
END_TEST

static int fail_and_forget(int fd, void *arg)
{
	reset_and_forget(fd, arg);
	return -ENODEV;
}

START_TEST(a_reset_that_fails_half_way_leaves_bus_mastering_as_it_was)
{
	struct scene scene;

	open_attached(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl(VFIO_DEVICE_RESET, fail_and_forget);
	ck_assert_int_eq(iommufd_pci_set_master(scene.dev, true), 0);
	unit_fails(-ENODEV, iommufd_device_reset(scene.dev));
	unit_words_have("reset " SCENE_DEVICE ": No such device");
	ck_assert_uint_eq(command_of(scene.dev), MASTER);
	scene_close(&scene);
}
END_TEST

/* ---- Who is affected ---- */

#define DEVFN(slot, function) ((slot) << 3 | (function))

/* The device, its sibling, and the one of another group, as scene.h has them. */
static const struct vfio_pci_dependent_device all[3] = {
	{ .devfn = DEVFN(3, 0), .devid = SCENE_DEVICE_ID },
	{ .devfn = DEVFN(3, 1), .devid = VFIO_PCI_DEVID_OWNED },
	{ .devfn = DEVFN(5, 0), .devid = SCENE_DEVICE_ID + 1 },
};

/* What is told, and how: a number that grows whenever it is asked for; errors before an answer. */
static struct {
	struct vfio_pci_dependent_device devices[3];
	uint32_t count, flags, grows;
	int err;
	unsigned int errs, asked;
} told;

#define OURS (VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED)

static int tell(int fd, void *arg)
{
	struct vfio_pci_hot_reset_info *info = arg;
	size_t room = (info->argsz - sizeof(*info)) / sizeof(info->devices[0]);

	(void)fd;
	told.asked++;
	if (told.errs) {
		told.errs--;
		return told.err;
	}
	told.count += told.grows;
	info->count = told.count;
	info->flags = told.flags;
	if (told.grows || room < told.count)
		return -ENOSPC;
	memcpy(info->devices, told.devices, told.count * sizeof(told.devices[0]));
	return 0;
}

/* The calls have the numbers of others, which are made at the attach. */
static void open_told(struct scene *scene, uint32_t backend)
{
	open_attached(scene, backend);
	memcpy(told.devices, all, sizeof(all));
	told.count = 3;
	told.flags = OURS;
	told.grows = told.errs = told.asked = 0;
	inject_ioctl(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, tell);
	inject_ioctl(VFIO_DEVICE_PCI_HOT_RESET, inject_succeed);
}

static void close_told(struct scene *scene)
{
	scene_answers();
	scene_kernel_has_sibling(false);
	scene_close(scene);
}

/* Both calls ask, and neither resets anything. */
static void both_fail(struct scene *scene, int err, const char *words)
{
	unsigned int resets = inject_ioctls(VFIO_DEVICE_PCI_HOT_RESET);
	struct iommufd_pci_affected infos[3];
	size_t count = 7;

	unit_fails(err, iommufd_pci_hot_reset_info(scene->dev, infos, 3, &count));
	unit_words_have(words);
	ck_assert_uint_eq(count, 7);
	unit_fails(err, iommufd_pci_hot_reset(scene->dev));
	unit_words_have(words);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_PCI_HOT_RESET), resets);
}

START_TEST(a_number_that_never_fits_ends_with_words)
{
	struct scene scene;

	open_told(&scene, IOMMUFD_BACKEND_IOMMUFD);
	told.grows = 10;
	both_fail(&scene, -EPROTO, "has no end");
	ck_assert_uint_le(told.asked, 32);
	close_told(&scene);
}
END_TEST

START_TEST(a_number_that_no_bus_has_is_not_believed)
{
	struct scene scene;

	open_told(&scene, IOMMUFD_BACKEND_IOMMUFD);
	told.count = UINT32_MAX;
	both_fail(&scene, -EPROTO, "contradicts itself");
	ck_assert_uint_eq(told.asked, 2);
	close_told(&scene);
}
END_TEST

static int no_room_for_two(int fd, void *arg)
{
	(void)fd;
	((struct vfio_pci_hot_reset_info *)arg)->count = 2;
	return -ENOSPC;
}

static int more_than_fit(int fd, void *arg)
{
	struct vfio_pci_hot_reset_info *info = arg;

	(void)fd;
	info->count = info->argsz;
	return 0;
}

START_TEST(a_number_that_contradicts_the_answer_is_an_error)
{
	struct scene scene;

	open_told(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, no_room_for_two);
	both_fail(&scene, -EPROTO, "contradicts itself");
	inject_ioctl(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, more_than_fit);
	both_fail(&scene, -EPROTO, "contradicts itself");
	close_told(&scene);
}
END_TEST

START_TEST(an_answer_without_the_device_itself_is_an_error)
{
	struct scene scene;

	open_told(&scene, IOMMUFD_BACKEND_IOMMUFD);
	told.count = 0;
	both_fail(&scene, -EPROTO, "contradicts itself");
	told.count = 3;
	told.devices[0].bus = 1;
	both_fail(&scene, -EPROTO, "contradicts itself");
	told.devices[0].bus = 0;
	told.devices[0].segment = 1;
	both_fail(&scene, -EPROTO, "contradicts itself");
	close_told(&scene);
}
END_TEST

START_TEST(whose_devices_are_is_not_told_in_two_ways)
{
	struct scene scene;

	open_told(&scene, IOMMUFD_BACKEND_IOMMUFD);
	told.devices[2].devid = (uint32_t)VFIO_PCI_DEVID_NOT_OWNED;
	both_fail(&scene, -EPROTO, "contradicts itself");
	told.devices[2].devid = VFIO_PCI_DEVID_OWNED;
	told.flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID;
	both_fail(&scene, -EPROTO, "contradicts itself");
	close_told(&scene);
}
END_TEST

START_TEST(while_devices_come_and_go_it_is_asked_again)
{
	struct scene scene;
	size_t count = 0;

	open_told(&scene, IOMMUFD_BACKEND_IOMMUFD);
	told.err = -EAGAIN;
	told.errs = 3;
	ck_assert_int_eq(iommufd_pci_hot_reset_info(scene.dev, NULL, 0, &count), 0);
	ck_assert_uint_eq(count, 3);
	told.errs = 1000;
	both_fail(&scene, -EAGAIN, "try again later");
	told.errs = 1000;
	told.err = -ENODEV;
	both_fail(&scene, -EOPNOTSUPP, "neither its slot nor its bus");
	close_told(&scene);
}
END_TEST

/* ---- Who is in the way ---- */

START_TEST(what_is_not_ours_is_named_with_its_driver)
{
	struct iommufd_pci_affected infos[3];
	struct scene scene;
	size_t count;

	open_told(&scene, IOMMUFD_BACKEND_IOMMUFD);
	told.flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID;
	told.devices[1].devid = told.devices[2].devid = (uint32_t)VFIO_PCI_DEVID_NOT_OWNED;
	scene_kernel_has_sibling(true);
	unit_fails(-EBUSY, iommufd_pci_hot_reset(scene.dev));
	unit_words_have("2 of 3 devices");
	unit_words_have(SCENE_SIBLING " is bound to e1000e: bind it to vfio-pci");
	unit_words_have(SCENE_OTHER ": nobody that can be seen has it open: open it in this context");
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_PCI_HOT_RESET), 0);
	ck_assert_int_eq(iommufd_pci_hot_reset_info(scene.dev, infos, 3, &count), 0);
	ck_assert_str_eq(infos[0].address, SCENE_DEVICE);
	ck_assert_uint_eq(infos[0].flags, IOMMUFD_PCI_AFFECTED_OPEN);
	ck_assert_uint_eq(infos[1].flags, IOMMUFD_PCI_AFFECTED_BLOCKS);
	ck_assert_uint_eq(infos[2].flags, IOMMUFD_PCI_AFFECTED_BLOCKS);
	close_told(&scene);
}
END_TEST

static struct vfio_pci_hot_reset last;
static int last_fds[4];

static int remember(int fd, void *arg)
{
	const struct vfio_pci_hot_reset *cmd = arg;

	(void)fd;
	last = *cmd;
	for (uint32_t i = 0; i < cmd->count && i < 4; i++)
		last_fds[i] = cmd->group_fds[i];
	return 0;
}

START_TEST(by_their_node_the_kernel_knows_whose_they_are)
{
	struct scene scene;

	open_told(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl(VFIO_DEVICE_PCI_HOT_RESET, remember);
	ck_assert_int_eq(iommufd_pci_hot_reset(scene.dev), 0);
	ck_assert_uint_eq(last.count, 0);
	ck_assert_uint_eq(last.flags, 0);
	close_told(&scene);
}
END_TEST

/* By groups: two of three devices share one. */
static void by_groups(struct scene *scene)
{
	open_told(scene, IOMMUFD_BACKEND_VFIO);
	told.flags = 0;
	told.devices[0].group_id = told.devices[1].group_id = 7;
	told.devices[2].group_id = 8;
	inject_ioctl(VFIO_DEVICE_PCI_HOT_RESET, remember);
}

START_TEST(by_group_each_is_given_once)
{
	struct iommufd_device *other;
	struct scene scene;

	by_groups(&scene);
	unit_fails(-EBUSY, iommufd_pci_hot_reset(scene.dev));
	unit_words_have("1 of 3 devices");
	unit_words_have(SCENE_OTHER ": nobody that can be seen has it open");
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_OTHER, &other), 0);
	ck_assert_int_eq(iommufd_pci_hot_reset(scene.dev), 0);
	ck_assert_uint_eq(last.count, 2);
	ck_assert_int_eq(last_fds[0], scene.dev->group->fd);
	ck_assert_int_eq(last_fds[1], other->group->fd);
	/* its group is ours, but the kernel wants each to have a driver that can wait */
	scene_kernel_has_sibling(true);
	unit_fails(-EBUSY, iommufd_pci_hot_reset(scene.dev));
	unit_words_have(SCENE_SIBLING " is bound to e1000e");
	iommufd_device_free(other);
	close_told(&scene);
}
END_TEST

/* ---- The reset of all ---- */

START_TEST(a_hot_reset_is_tried_again_while_a_device_is_busy)
{
	struct scene scene;

	open_told(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl_fail(VFIO_DEVICE_PCI_HOT_RESET, 1, 19, -EBUSY);
	ck_assert_int_eq(iommufd_pci_hot_reset(scene.dev), 0);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_PCI_HOT_RESET), 1);
	ck_assert_uint_le(inject_slept_ms(), 1000);
	inject_ioctl_fail(VFIO_DEVICE_PCI_HOT_RESET, 1, 1000, -EAGAIN);
	unit_fails(-EAGAIN, iommufd_pci_hot_reset(scene.dev));
	unit_words_have("try again later");
	inject_ioctl_fail(VFIO_DEVICE_PCI_HOT_RESET, 1, 1, -EINVAL);
	unit_fails(-EINVAL, iommufd_pci_hot_reset(scene.dev));
	unit_words_have("has changed meanwhile");
	close_told(&scene);
}
END_TEST

START_TEST(a_hot_reset_sets_bus_mastering_of_each_again)
{
	struct iommufd_device *other;
	struct scene scene;

	open_told(&scene, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_OTHER, &other), 0);
	ck_assert_int_eq(iommufd_device_attach(other, scene.ioas), 0);
	ck_assert_int_eq(iommufd_pci_set_master(other, true), 0);
	ck_assert_int_eq(iommufd_pci_set_master(scene.dev, true), 0);
	inject_ioctl(VFIO_DEVICE_PCI_HOT_RESET, reset_and_forget);
	ck_assert_int_eq(iommufd_pci_hot_reset(other), 0);
	ck_assert_uint_eq(command_of(other), MASTER);
	inject_fail(INJECT_PWRITE, 1, -EIO);
	unit_fails(-EIO, iommufd_pci_hot_reset(scene.dev));
	unit_words_have("it was done, but not all is as it was");
	iommufd_device_free(other);
	close_told(&scene);
}
END_TEST

static int ending;

static int end_so(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	return ending;
}

/* To arm them anew may cost one that is on its way. */
START_TEST(interrupts_are_armed_again_where_something_may_have_been_reset)
{
	static const struct {
		int err;
		unsigned int armed;
	} ends[] = {
		{ 0, 1 },      { -ENOTTY, 1 }, { -EIO, 1 },    { -ETIMEDOUT, 1 }, { -EAGAIN, 0 },
		{ -EBUSY, 0 }, { -EINVAL, 0 }, { -ENOMEM, 0 }, { -ENODEV, 0 },    { -EPERM, 0 },
	};
	int event = eventfd(0, EFD_CLOEXEC);
	struct scene scene;

	open_told(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl(VFIO_DEVICE_RESET, end_so);
	inject_ioctl(VFIO_DEVICE_PCI_HOT_RESET, end_so);
	ck_assert_int_eq(iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSI, 0, 1, &event), 0);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		unsigned int armed = inject_ioctls(VFIO_DEVICE_SET_IRQS);

		ending = ends[i].err;
		ck_assert_int_eq(iommufd_device_reset(scene.dev), ending);
		ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_SET_IRQS) - armed, ends[i].armed);
		ck_assert_int_eq(!iommufd_pci_hot_reset(scene.dev), !ending);
		ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_SET_IRQS) - armed, 2 * ends[i].armed);
	}
	close(event);
	close_told(&scene);
}
END_TEST

START_TEST(without_memory_nothing_is_reset)
{
	struct scene scene;
	bool happened = true;

	for (unsigned int nth = 1; happened; nth++) {
		int ret;

		open_told(&scene, IOMMUFD_BACKEND_IOMMUFD);
		inject_fail(INJECT_MEMORY, nth, -ENOMEM);
		ret = iommufd_pci_hot_reset(scene.dev);
		happened = inject_failed();
		inject_fail(INJECT_MEMORY, 0, 0);
		ck_assert_int_eq(ret, happened ? -ENOMEM : 0);
		close_told(&scene);
	}
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, bus_mastering_that_the_kernel_forgets_is_set_again);
	tcase_add_test(tcase, what_cannot_be_brought_back_is_said);
	tcase_add_test(tcase, a_reset_that_fails_half_way_leaves_bus_mastering_as_it_was);
	tcase_add_test(tcase, a_number_that_never_fits_ends_with_words);
	tcase_add_test(tcase, a_number_that_no_bus_has_is_not_believed);
	tcase_add_test(tcase, a_number_that_contradicts_the_answer_is_an_error);
	tcase_add_test(tcase, an_answer_without_the_device_itself_is_an_error);
	tcase_add_test(tcase, whose_devices_are_is_not_told_in_two_ways);
	tcase_add_test(tcase, while_devices_come_and_go_it_is_asked_again);
	tcase_add_test(tcase, what_is_not_ours_is_named_with_its_driver);
	tcase_add_test(tcase, by_their_node_the_kernel_knows_whose_they_are);
	tcase_add_test(tcase, by_group_each_is_given_once);
	tcase_add_test(tcase, a_hot_reset_is_tried_again_while_a_device_is_busy);
	tcase_add_test(tcase, a_hot_reset_sets_bus_mastering_of_each_again);
	tcase_add_test(tcase, interrupts_are_armed_again_where_something_may_have_been_reset);
	tcase_add_test(tcase, without_memory_nothing_is_reset);
}
