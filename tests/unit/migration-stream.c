/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The stream of a device that moves: what a kernel answers when something goes wrong. */
#include <errno.h>
#include <fcntl.h>

#include "migration-scene.h"

static ssize_t moved;
static size_t asked_for;

static ssize_t give(int fd, void *buf, size_t len)
{
	(void)fd;
	asked_for = len;
	if (moved > 0 && (size_t)moved <= len)
		memset(buf, 0x5a, (size_t)moved);
	return moved;
}

static ssize_t take(int fd, const void *buf, size_t len)
{
	(void)fd;
	(void)buf;
	asked_for = len;
	return moved;
}

START_TEST(reading_tells_how_much_came_and_why_nothing_did)
{
	unsigned char buf[64] = { 0 };
	struct iommufd_migration *m;
	struct scene scene;
	size_t len = 7;

	m = mover_open(&scene, MOVER_ALL, RUNNING, 0);
	inject_queue(give, take);
	unit_fails(-EINVAL, iommufd_migration_read(m, buf, sizeof(buf), &len));
	unit_words_have("in RUNNING");
	ck_assert_int_eq(iommufd_migration_set_state(m, PRE_COPY), 0);
	unit_fails(-EINVAL, iommufd_migration_read(m, buf, 0, &len));
	unit_fails(-EINVAL, iommufd_migration_write(m, buf, 1, &len));
	ck_assert_uint_eq(len, 7);
	moved = 10;
	ck_assert_int_eq(iommufd_migration_read(m, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, 10);
	ck_assert(buf[9] == 0x5a && buf[10] == 0);
	len = 7;
	moved = 0;
	unit_fails(-ENOMSG, iommufd_migration_read(m, buf, sizeof(buf), &len));
	moved = -ENOMSG;
	unit_fails(-ENOMSG, iommufd_migration_read(m, buf, sizeof(buf), &len));
	moved = -EAGAIN;
	unit_fails(-EAGAIN, iommufd_migration_read(m, buf, sizeof(buf), &len));
	moved = sizeof(buf) + 1;
	unit_fails(-EPROTO, iommufd_migration_read(m, buf, sizeof(buf), &len));
	moved = -ENODEV;
	unit_fails(-ENODEV, iommufd_migration_read(m, buf, sizeof(buf), &len));
	unit_words_have("the device was reset");
	ck_assert_uint_eq(len, 7);

	ck_assert_int_eq(iommufd_migration_set_state(m, STOP_COPY), 0);
	moved = 0;
	ck_assert_int_eq(iommufd_migration_read(m, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, 0);
	ck_assert_int_eq(iommufd_migration_read(m, buf, SIZE_MAX, &len), 0);
	ck_assert_uint_eq(asked_for, 1 << 30);
	mover_close(&scene, m);
}
END_TEST

START_TEST(what_a_device_refused_leads_to_a_reset_only)
{
	static const int errors[] = { -EFAULT, -ENOMEM, -EINVAL };
	struct iommufd_migration *m;
	struct scene scene;
	size_t len = 7;

	m = mover_open(&scene, MOVER_ALL, RUNNING, 0);
	inject_queue(give, take);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(iommufd_migration_set_state(m, RESUMING), 0);
		mover_kernel.sets = 0;
		unit_fails(-EINVAL, iommufd_migration_read(m, &len, 1, &len));
		moved = 3;
		ck_assert_int_eq(iommufd_migration_write(m, "abcd", 4, &len), 0);
		ck_assert_uint_eq(len, 3);
		asked_for = 99;
		ck_assert_int_eq(iommufd_migration_write(m, "abcd", 0, &len), 0);
		ck_assert_uint_eq(len, 0);
		ck_assert_uint_eq(asked_for, 99);
		moved = -EAGAIN;
		unit_fails(-EAGAIN, iommufd_migration_write(m, "d", 1, &len));
		moved = errors[i];
		unit_fails(errors[i], iommufd_migration_write(m, "d", 1, &len));
		unit_words_have("iommufd_migration_abort()");
		moved = 1;
		unit_fails(-EBUSY, iommufd_migration_write(m, "d", 1, &len));
		unit_fails(-EBUSY, iommufd_migration_set_state(m, RUNNING));
		ck_assert_uint_eq(mover_kernel.sets, 0);
		ck_assert_int_eq(iommufd_migration_abort(m), 0);
		ck_assert_uint_eq(mover_kernel.sets, 0);
		mover_is_in(m, RUNNING);
	}
	ck_assert_uint_eq(mover_kernel.resets, 3);
	ck_assert_int_eq(iommufd_migration_set_state(m, RESUMING), 0);
	moved = 2;
	unit_fails(-EPROTO, iommufd_migration_write(m, "d", 1, &len));
	mover_close(&scene, m);
}
END_TEST

START_TEST(an_incomplete_stream_can_be_completed)
{
	struct iommufd_migration *m;
	struct scene scene;
	size_t len;

	m = mover_open(&scene, MOVER_ALL, RUNNING, 0);
	inject_queue(give, take);
	ck_assert_int_eq(iommufd_migration_set_state(m, RESUMING), 0);
	mover_kernel.refuse = -EINVAL;
	unit_fails(-EINVAL, iommufd_migration_set_state(m, RUNNING));
	unit_words_have("write the rest");
	mover_kernel.refuse = 0;
	moved = 1;
	ck_assert_int_eq(iommufd_migration_write(m, "d", 1, &len), 0);
	ck_assert_int_eq(iommufd_migration_set_state(m, RUNNING), 0);
	ck_assert_uint_eq(mover_kernel.resets, 0);
	mover_close(&scene, m);
}
END_TEST

START_TEST(a_stream_waits_or_does_not_as_was_said)
{
	struct iommufd_migration *m;
	struct scene scene;

	for (uint32_t flags = 0; flags < 2; flags++) {
		m = mover_open(&scene, MOVER_ALL, RUNNING, flags);
		ck_assert_int_eq(iommufd_migration_set_state(m, STOP_COPY), 0);
		ck_assert_int_eq(!!(fcntl(iommufd_migration_fd(m), F_GETFL) & O_NONBLOCK), flags);
		mover_close(&scene, m);
	}
}
END_TEST

static uint32_t precopy_flags;
static int precopy_answer;

static int precopy(int fd, void *arg)
{
	struct vfio_precopy_info *info = arg;

	(void)fd;
	ck_assert_uint_eq(info->argsz, sizeof(*info));
	*info = (struct vfio_precopy_info){ sizeof(*info), precopy_flags, 11, 22 };
	return precopy_answer;
}

START_TEST(how_much_there_is_to_read_is_told_in_pre_copy)
{
	struct iommufd_precopy_info info = { .struct_size = sizeof(info) }, small = { .struct_size = 8 };
	struct iommufd_migration *m;
	struct scene scene;
	uint64_t bytes = 7;

	m = mover_open(&scene, MOVER_ALL, RUNNING, 0);
	inject_ioctl(VFIO_MIG_GET_PRECOPY_INFO, precopy);
	precopy_answer = 0;
	precopy_flags = ~(uint32_t)0;
	unit_fails(-EINVAL, iommufd_migration_precopy_info(m, &info));
	ck_assert_int_eq(iommufd_migration_set_state(m, PRE_COPY_P2P), 0);
	unit_fails(-EINVAL, iommufd_migration_precopy_info(m, &small));
	ck_assert_uint_eq(info.initial_bytes, 0);
	ck_assert_int_eq(iommufd_migration_precopy_info(m, &info), 0);
	ck_assert(info.initial_bytes == 11 && info.dirty_bytes == 22 && info.state == PRE_COPY_P2P);
	ck_assert_uint_eq(info.flags, IOMMUFD_PRECOPY_REINIT);
	precopy_answer = -EINVAL;
	unit_fails(-EINVAL, iommufd_migration_precopy_info(m, &info));
	ck_assert_int_eq(iommufd_migration_set_state(m, STOP_COPY), 0);
	precopy_answer = 0;
	unit_fails(-EINVAL, iommufd_migration_precopy_info(m, &info));
	ck_assert_int_eq(iommufd_migration_data_size(m, &bytes), 0);
	ck_assert_uint_eq(bytes, 1234);
	mover_close(&scene, m);
}
END_TEST

START_TEST(flags_of_an_older_kernel_mean_nothing)
{
	struct iommufd_precopy_info info = { .struct_size = sizeof(info), .flags = 7 };
	struct iommufd_migration *first, *m;
	struct scene scene;

	first = mover_open(&scene, MOVER_ALL, RUNNING, 0);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0); /* what it has is forgotten */
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	iommufd_migration_free(first);
	mover_kernel.old = true;
	mover_kernel.v2 = 0;
	ck_assert_int_eq(iommufd_migration_new(scene.dev, 0, &m), 0);
	inject_ioctl(VFIO_MIG_GET_PRECOPY_INFO, precopy);
	precopy_answer = 0;
	precopy_flags = ~(uint32_t)0;
	ck_assert_int_eq(iommufd_migration_set_state(m, PRE_COPY), 0);
	ck_assert_int_eq(iommufd_migration_precopy_info(m, &info), 0);
	ck_assert_uint_eq(info.flags, 0);
	ck_assert_uint_eq(mover_kernel.v2, 0);
	mover_close(&scene, m);
}
END_TEST

void unit_tests(TCase *tc)
{
	tcase_add_test(tc, reading_tells_how_much_came_and_why_nothing_did);
	tcase_add_test(tc, what_a_device_refused_leads_to_a_reset_only);
	tcase_add_test(tc, an_incomplete_stream_can_be_completed);
	tcase_add_test(tc, a_stream_waits_or_does_not_as_was_said);
	tcase_add_test(tc, how_much_there_is_to_read_is_told_in_pre_copy);
	tcase_add_test(tc, flags_of_an_older_kernel_mean_nothing);
}
