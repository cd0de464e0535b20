/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Features of a device's driver, with answers that no driver here gives. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "scene.h"
#include "uapi/vfio.h"

static uint32_t asked[64], sizes[64];
static unsigned int asks;
static int answer;
static unsigned char seen[32];

/* What was asked for, and with which data; one answer for all. */
static int feature(int fd, void *arg)
{
	const struct vfio_device_feature *cmd = arg;

	(void)fd;
	ck_assert_uint_lt(asks, 64);
	ck_assert_uint_ge(cmd->argsz, sizeof(*cmd));
	ck_assert_uint_le(cmd->argsz, sizeof(*cmd) + sizeof(seen));
	sizes[asks] = cmd->argsz - (uint32_t)sizeof(*cmd);
	memcpy(seen, cmd->data, sizes[asks]);
	asked[asks++] = cmd->flags;
	return answer;
}

static void open_attached(struct scene *scene, uint32_t backend)
{
	scene_open(scene, backend);
	inject_ioctl(VFIO_DEVICE_FEATURE, feature);
	asks = 0;
	answer = 0;
	ck_assert_int_eq(iommufd_device_attach(scene->dev, scene->ioas), 0);
	ck_assert_uint_eq(asks, 0);
}

static void was_asked(unsigned int i, uint32_t flags, uint32_t size)
{
	ck_assert_uint_lt(i, asks);
	ck_assert_uint_eq(asked[i], flags);
	ck_assert_uint_eq(sizes[i], size);
}

static void before_the_attach(uint32_t backend)
{
	static const unsigned char token[16];
	struct iommufd_range range = { 0, 4095 };
	struct iommufd_migration *m = NULL;
	uint64_t word = 7, size = 7;
	struct scene scene;
	size_t len = 7;

	scene_open(&scene, backend);
	inject_ioctl(VFIO_DEVICE_FEATURE, feature);
	asks = 0;
	unit_fails(-ENOTCONN, iommufd_device_has(scene.dev, IOMMUFD_FEATURE_LOW_POWER));
	unit_fails(-ENOTCONN, iommufd_device_low_power_enter(scene.dev, -1));
	unit_fails(-ENOTCONN, iommufd_device_low_power_exit(scene.dev));
	unit_fails(-ENOTCONN, iommufd_device_dma_log_start(scene.dev, &range, 1, 4096, &size));
	unit_fails(-ENOTCONN, iommufd_device_dma_log_stop(scene.dev));
	unit_fails(-ENOTCONN, iommufd_device_dma_log_read(scene.dev, 0, 4096, 4096, &word, sizeof(word)));
	unit_fails(-ENOTCONN, iommufd_device_set_master(scene.dev, true));
	unit_fails(-ENOTCONN, iommufd_device_zpci_error(scene.dev, &word, sizeof(word), &len));
	unit_fails(-ENOTCONN, iommufd_pci_set_vf_token(scene.dev, token));
	unit_fails(-ENOTCONN, iommufd_migration_new(scene.dev, 0, &m));
	ck_assert_ptr_null(m);
	ck_assert(word == 7 && size == 7 && len == 7);
	ck_assert_uint_eq(asks, 0);
	scene_close(&scene);
}

START_TEST(nothing_is_there_before_the_attach)
{
	before_the_attach(IOMMUFD_BACKEND_IOMMUFD);
	before_the_attach(IOMMUFD_BACKEND_VFIO);
}
END_TEST

START_TEST(a_driver_is_asked_once_an_attach)
{
	struct scene scene;

	open_attached(&scene, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(iommufd_device_has(scene.dev, IOMMUFD_FEATURE_DMA_LOG), 1);
	was_asked(0, VFIO_DEVICE_FEATURE_DMA_LOGGING_START | VFIO_DEVICE_FEATURE_PROBE, 0);
	answer = -ENOTTY;
	ck_assert_int_eq(iommufd_device_has(scene.dev, IOMMUFD_FEATURE_DMA_LOG), 1);
	ck_assert_int_eq(iommufd_device_has(scene.dev, IOMMUFD_FEATURE_PCI_VF_TOKEN), 0);
	ck_assert_int_eq(iommufd_device_has(scene.dev, IOMMUFD_FEATURE_PCI_VF_TOKEN), 0);
	ck_assert_uint_eq(asks, 2);

	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_int_eq(iommufd_device_has(scene.dev, IOMMUFD_FEATURE_DMA_LOG), 0);
	ck_assert_uint_eq(asks, 3);
	scene_close(&scene);
}
END_TEST

START_TEST(what_says_that_it_is_invalid_is_not_there)
{
	struct scene scene;

	open_attached(&scene, IOMMUFD_BACKEND_VFIO);
	answer = -EINVAL;
	ck_assert_int_eq(iommufd_device_has(scene.dev, IOMMUFD_FEATURE_PRECOPY_REINIT), 0);
	/* All variant drivers but two say of files of their BARs that they do not support them. */
	answer = -EOPNOTSUPP;
	ck_assert_int_eq(iommufd_device_has(scene.dev, IOMMUFD_FEATURE_DMA_BUF), 0);
	answer = -EIO;
	unit_fails(-EIO, iommufd_device_has(scene.dev, IOMMUFD_FEATURE_ZPCI_ERROR));
	answer = 0;
	ck_assert_int_eq(iommufd_device_has(scene.dev, IOMMUFD_FEATURE_ZPCI_ERROR), 1);
	unit_fails(-EINVAL, iommufd_device_has(scene.dev, 14));
	unit_fails(-EINVAL, iommufd_device_has(scene.dev, UINT32_MAX));
	ck_assert_uint_eq(asks, 4);
	scene_close(&scene);
}
END_TEST

START_TEST(what_a_driver_lacks_is_refused_with_words)
{
	static const unsigned char token[16];
	struct iommufd_range range = { 0, 4095 };
	struct iommufd_migration *m = NULL;
	struct scene scene;
	uint64_t word = 7;
	size_t len = 7;

	open_attached(&scene, IOMMUFD_BACKEND_IOMMUFD);
	answer = -ENOTTY;
	unit_fails(-ENOTTY, iommufd_device_low_power_enter(scene.dev, -1));
	unit_words_have("driver vfio-pci does not have it");
	unit_fails(-ENOTTY, iommufd_device_low_power_exit(scene.dev));
	unit_fails(-ENOTTY, iommufd_device_dma_log_start(scene.dev, &range, 1, 4096, &word));
	unit_fails(-ENOTTY, iommufd_device_dma_log_stop(scene.dev));
	unit_words_have("stop to log the DMA of");
	unit_fails(-ENOTTY, iommufd_device_dma_log_read(scene.dev, 0, 4096, 4096, &word, sizeof(word)));
	unit_words_have("driver vfio-pci does not have it");
	unit_fails(-ENOTTY, iommufd_device_set_master(scene.dev, true));
	unit_words_have("iommufd_pci_set_master()");
	unit_fails(-ENOTTY, iommufd_device_zpci_error(scene.dev, &word, sizeof(word), &len));
	unit_fails(-ENOTTY, iommufd_pci_set_vf_token(scene.dev, token));
	unit_words_have("physical functions with SR-IOV");
	unit_fails(-ENOTTY, iommufd_migration_new(scene.dev, 0, &m));
	unit_words_have("iommufd_device_has()");
	ck_assert(word == 7 && len == 7 && !m);
	scene_close(&scene);
}
END_TEST

START_TEST(a_token_goes_to_the_kernel_as_it_is)
{
	static const unsigned char token[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
	struct scene scene;

	open_attached(&scene, IOMMUFD_BACKEND_IOMMUFD);
	unit_fails(-EINVAL, iommufd_pci_set_vf_token(scene.dev, NULL));
	ck_assert_uint_eq(asks, 0);
	ck_assert_int_eq(iommufd_pci_set_vf_token(scene.dev, token), 0);
	was_asked(0, VFIO_DEVICE_FEATURE_PCI_VF_TOKEN | VFIO_DEVICE_FEATURE_SET, 16);
	ck_assert_mem_eq(seen, token, 16);
	scene_close(&scene);
}
END_TEST

START_TEST(bus_mastering_is_set_and_cleared)
{
	struct vfio_device_feature_bus_master data;
	struct scene scene;

	open_attached(&scene, IOMMUFD_BACKEND_VFIO);
	for (unsigned int on = 0; on < 2; on++) {
		ck_assert_int_eq(iommufd_device_set_master(scene.dev, on), 0);
		was_asked(on, VFIO_DEVICE_FEATURE_BUS_MASTER | VFIO_DEVICE_FEATURE_SET, sizeof(data));
		memcpy(&data, seen, sizeof(data));
		ck_assert_uint_eq(data.op, on);
	}
	scene_close(&scene);
}
END_TEST

/* ---- Low power ---- */

static void sleeps_until_the_detach(uint32_t backend)
{
	struct scene scene;
	int event = eventfd(0, EFD_CLOEXEC), said;

	open_attached(&scene, backend);
	ck_assert_int_eq(iommufd_device_low_power_enter(scene.dev, event), 0);
	was_asked(0, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP | VFIO_DEVICE_FEATURE_SET, 8);
	memcpy(&said, seen, sizeof(said));
	ck_assert_int_eq(said, event);
	ck_assert_int_eq(iommufd_device_low_power_exit(scene.dev), 0);
	was_asked(1, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | VFIO_DEVICE_FEATURE_SET, 0);
	ck_assert_int_eq(iommufd_device_low_power_enter(scene.dev, -1), 0);
	was_asked(2, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | VFIO_DEVICE_FEATURE_SET, 0);
	answer = -EINVAL;
	unit_fails(-EBUSY, iommufd_device_low_power_enter(scene.dev, event));
	unit_words_have("iommufd_device_low_power_exit()");
	answer = 0;
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	was_asked(4, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | VFIO_DEVICE_FEATURE_SET, 0);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	ck_assert_uint_eq(asks, 5);
	close(event);
	scene_close(&scene);
}

START_TEST(low_power_ends_with_the_attach)
{
	sleeps_until_the_detach(IOMMUFD_BACKEND_IOMMUFD);
	sleeps_until_the_detach(IOMMUFD_BACKEND_VFIO);
}
END_TEST

START_TEST(what_is_no_eventfd_does_not_reach_the_kernel)
{
	struct scene scene;
	int pipes[2];

	ck_assert_int_eq(pipe(pipes), 0);
	open_attached(&scene, IOMMUFD_BACKEND_IOMMUFD);
	unit_fails(-EINVAL, iommufd_device_low_power_enter(scene.dev, pipes[0]));
	close(pipes[0]);
	close(pipes[1]);
	unit_fails(-EBADF, iommufd_device_low_power_enter(scene.dev, pipes[0]));
	unit_fails(-EBADF, iommufd_device_low_power_enter(scene.dev, -2));
	ck_assert_uint_eq(asks, 0);
	scene_close(&scene);
}
END_TEST

/* In a process without /proc the kernel is asked, which has one errno for two things. */
START_TEST(without_proc_the_kernel_tells_what_is_no_eventfd)
{
	int event = eventfd(0, EFD_CLOEXEC), pipes[2];
	struct scene scene;

	ck_assert_int_eq(pipe(pipes), 0);
	open_attached(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_no_proc(true);
	ck_assert_int_eq(iommufd_device_low_power_enter(scene.dev, event), 0);
	ck_assert_int_eq(iommufd_device_low_power_exit(scene.dev), 0);
	ck_assert_uint_eq(asks, 2);
	answer = -EINVAL;
	unit_fails(-EINVAL, iommufd_device_low_power_enter(scene.dev, pipes[0]));
	unit_words_have("give an open eventfd");
	ck_assert_uint_eq(asks, 3);
	answer = 0;
	close(pipes[0]);
	close(pipes[1]);
	unit_fails(-EBADF, iommufd_device_low_power_enter(scene.dev, pipes[0]));
	unit_fails(-EBADF, iommufd_device_low_power_enter(scene.dev, -2));
	ck_assert_uint_eq(asks, 3);
	close(event);
	scene_close(&scene);
}
END_TEST

/* ---- s390 ---- */

static uint32_t error_bytes;

/* The capability is the second one, and appears when there is room for it. */
static int info_with_caps(int fd, void *arg)
{
	struct {
		struct vfio_device_info info;
		struct vfio_info_cap_header other;
		struct vfio_device_info_cap_zpci_base cap;
	} all = {
		.info = { .flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_CAPS, .num_regions = 9, .num_irqs = 5 },
		.other = { 9, 1, offsetof(__typeof__(all), cap) },
		.cap = { .header = { VFIO_DEVICE_INFO_CAP_ZPCI_BASE, 3, 0 }, .ccdf_err_length = error_bytes },
	};
	struct vfio_device_info *info = arg;
	uint32_t room = info->argsz;

	(void)fd;
	all.info.argsz = sizeof(all);
	if (room >= sizeof(all))
		all.info.cap_offset = offsetof(__typeof__(all), other);
	memcpy(arg, &all, room < sizeof(all) ? sizeof(all.info) : sizeof(all));
	return 0;
}

static int give_error(int fd, void *arg)
{
	struct vfio_device_feature *cmd = arg;
	uint64_t at;

	feature(fd, arg);
	if (cmd->flags & VFIO_DEVICE_FEATURE_GET && !answer) {
		memcpy(&at, cmd->data, sizeof(at));
		memset((void *)(uintptr_t)at, 0xab, error_bytes);
	}
	return answer;
}

START_TEST(an_error_of_s390_has_the_length_that_the_device_tells)
{
	unsigned char buf[64] = { 0 };
	struct scene scene;
	size_t len = 7;

	error_bytes = 40;
	open_attached(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl(VFIO_DEVICE_GET_INFO, info_with_caps);
	inject_ioctl(VFIO_DEVICE_FEATURE, give_error);
	unit_fails(-ENOSPC, iommufd_device_zpci_error(scene.dev, buf, 39, &len));
	unit_words_have("40 bytes");
	unit_fails(-ENOSPC, iommufd_device_zpci_error(scene.dev, NULL, 64, &len));
	ck_assert_uint_eq(len, 7);
	ck_assert_int_eq(iommufd_device_zpci_error(scene.dev, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, 40);
	ck_assert(buf[39] == 0xab && buf[40] == 0);
	len = 7;
	answer = -ENOMSG;
	unit_fails(-ENOMSG, iommufd_device_zpci_error(scene.dev, buf, sizeof(buf), &len));
	ck_assert_uint_eq(len, 7);
	scene_close(&scene);
}
END_TEST

START_TEST(an_error_without_a_length_is_not_asked_for)
{
	unsigned char buf[64] = { 0 };
	struct scene scene;
	size_t len = 7;

	open_attached(&scene, IOMMUFD_BACKEND_IOMMUFD);
	unit_fails(-EPROTO, iommufd_device_zpci_error(scene.dev, buf, sizeof(buf), &len));
	ck_assert_uint_eq(asks, 1);
	ck_assert_uint_eq(len, 7);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tc)
{
	tcase_add_test(tc, nothing_is_there_before_the_attach);
	tcase_add_test(tc, a_driver_is_asked_once_an_attach);
	tcase_add_test(tc, what_says_that_it_is_invalid_is_not_there);
	tcase_add_test(tc, what_a_driver_lacks_is_refused_with_words);
	tcase_add_test(tc, a_token_goes_to_the_kernel_as_it_is);
	tcase_add_test(tc, bus_mastering_is_set_and_cleared);
	tcase_add_test(tc, low_power_ends_with_the_attach);
	tcase_add_test(tc, what_is_no_eventfd_does_not_reach_the_kernel);
	tcase_add_test(tc, without_proc_the_kernel_tells_what_is_no_eventfd);
	tcase_add_test(tc, an_error_of_s390_has_the_length_that_the_device_tells);
	tcase_add_test(tc, an_error_without_a_length_is_not_asked_for);
}
