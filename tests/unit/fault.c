/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Page faults, with answers that no kernel here gives. */
#include <errno.h>

#include "fault.h"
#include "hwpt.h"
#include "scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define DEVICE SCENE_DEVICE_ID

static struct scene scene;
static struct iommufd_faultq *faultq;
static unsigned int made;

static int fault_alloc(int fd, void *arg)
{
	struct iommu_fault_alloc *cmd = arg;

	(void)fd;
	made++;
	cmd->out_fault_id = 90;
	cmd->out_fault_fd = (uint32_t)inject_fd();
	return 0;
}

static void setup(void)
{
	scene_answers();
	inject_ioctl(IOMMU_FAULT_QUEUE_ALLOC, fault_alloc);
	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(iommufd_faultq_new(scene.ctx, &faultq), 0);
}

static void teardown(void)
{
	iommufd_faultq_free(faultq);
	inject_queue(NULL, NULL);
	iommufd_device_free(scene.dev);
	iommufd_ioas_free(scene.ioas);
	iommufd_ctx_free(scene.ctx);
	ck_assert_uint_eq(inject_fds(), 0);
	ck_assert_uint_eq(inject_ioctls(IOMMU_IOAS_ALLOC) + made, inject_ioctls(IOMMU_DESTROY));
}

static struct iommu_hwpt_pgfault waiting[8];
static ssize_t read_bytes, write_answer = sizeof(struct iommu_hwpt_page_response);
static unsigned int writes;
static struct iommu_hwpt_page_response written;

static ssize_t read_faults(int fd, void *buf, size_t len)
{
	(void)fd;
	if (read_bytes > 0)
		memcpy(buf, waiting, (size_t)read_bytes < len ? (size_t)read_bytes : len);
	return read_bytes;
}

static ssize_t write_response(int fd, const void *buf, size_t len)
{
	(void)fd;
	ck_assert_uint_eq(len, sizeof(written));
	memcpy(&written, buf, len);
	writes++;
	return write_answer;
}

/* Faults of groups, by the kernel's numbers. */
static void faults_are(const uint32_t *cookies, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		waiting[i] = (struct iommu_hwpt_pgfault){
			.flags = i + 1 < count && cookies[i + 1] == cookies[i] ? 0 : IOMMU_PGFAULT_FLAGS_LAST_PAGE,
			.dev_id = DEVICE,
			.grpid = 10 + cookies[i],
			.perm = IOMMU_PGFAULT_PERM_WRITE,
			.addr = i * SCENE_PAGE,
			.cookie = cookies[i],
		};
	read_bytes = (ssize_t)(count * sizeof(waiting[0]));
	inject_queue(read_faults, write_response);
}

static uint64_t read_one(uint32_t cookie)
{
	struct iommufd_fault fault;

	faults_are(&cookie, 1);
	ck_assert_int_eq(iommufd_faultq_read(faultq, &fault, 1), 1);
	return fault.cookie;
}

START_TEST(faults_of_a_group_have_one_cookie_and_one_answer)
{
	struct iommufd_fault faults[8];

	faults_are((const uint32_t[]){ 1, 1, 1, 2, 3, 3 }, 6);
	ck_assert_int_eq(iommufd_faultq_read(faultq, faults, 8), 6);
	for (unsigned int i = 0; i < 6; i++) {
		ck_assert_uint_eq(faults[i].addr, i * SCENE_PAGE);
		ck_assert_uint_eq(faults[i].flags, i == 2 || i == 3 || i == 5 ? IOMMUFD_FAULT_LAST : 0);
	}
	ck_assert(faults[0].cookie == faults[1].cookie && faults[0].cookie == faults[2].cookie);
	ck_assert(faults[4].cookie == faults[5].cookie && faults[3].cookie != faults[2].cookie);
	ck_assert_int_eq(iommufd_faultq_respond(faultq, faults[1].cookie, IOMMUFD_FAULT_INVALID), 0);
	ck_assert(written.cookie == 1 && written.code == IOMMUFD_PAGE_RESP_INVALID);
	unit_fails(-ENOENT, iommufd_faultq_respond(faultq, faults[2].cookie, IOMMUFD_FAULT_SUCCESS));
	ck_assert_int_eq(iommufd_faultq_respond(faultq, faults[5].cookie, IOMMUFD_FAULT_SUCCESS), 0);
	ck_assert(written.cookie == 3 && written.code == IOMMUFD_PAGE_RESP_SUCCESS);
	ck_assert_uint_eq(writes, 2);
}
END_TEST

START_TEST(a_number_that_the_kernel_gives_again_makes_the_old_cookie_void)
{
	uint64_t old = read_one(5), fresh = read_one(5);

	unit_fails(-ENOENT, iommufd_faultq_respond(faultq, old, IOMMUFD_FAULT_SUCCESS));
	ck_assert_uint_eq(writes, 0);
	ck_assert_int_eq(iommufd_faultq_respond(faultq, fresh, IOMMUFD_FAULT_SUCCESS), 0);
	unit_fails(-ENOENT, iommufd_faultq_respond(faultq, fresh, IOMMUFD_FAULT_SUCCESS));
	ck_assert_uint_eq(writes, 1);
}
END_TEST

START_TEST(what_the_kernel_does_not_know_any_more_is_void_and_not_tried_again)
{
	uint64_t cookie = read_one(5);

	write_answer = -EINVAL;
	unit_fails(-ENOENT, iommufd_faultq_respond(faultq, cookie, IOMMUFD_FAULT_SUCCESS));
	unit_words_have("detached or moved");
	unit_fails(-ENOENT, iommufd_faultq_respond(faultq, cookie, IOMMUFD_FAULT_SUCCESS));
	ck_assert_uint_eq(writes, 1);
}
END_TEST

START_TEST(an_answer_that_did_not_get_through_can_be_given_again)
{
	uint64_t cookie = read_one(5);

	write_answer = -EIO;
	unit_fails(-EIO, iommufd_faultq_respond(faultq, cookie, IOMMUFD_FAULT_SUCCESS));
	write_answer = 4;
	unit_fails(-EPROTO, iommufd_faultq_respond(faultq, cookie, IOMMUFD_FAULT_SUCCESS));
	write_answer = sizeof(written);
	ck_assert_int_eq(iommufd_faultq_respond(faultq, cookie, IOMMUFD_FAULT_SUCCESS), 0);
	ck_assert_uint_eq(writes, 3);
}
END_TEST

START_TEST(a_read_that_is_no_number_of_faults_is_told)
{
	struct iommufd_fault faults[2];

	faults_are((const uint32_t[]){ 1, 2, 3 }, 3);
	unit_fails(-EPROTO, iommufd_faultq_read(faultq, faults, 2)); /* more than asked for */
	read_bytes = sizeof(waiting[0]) + 1;
	unit_fails(-EPROTO, iommufd_faultq_read(faultq, faults, 2));
	read_bytes = -EINVAL;
	unit_fails(-EMSGSIZE, iommufd_faultq_read(faultq, faults, 2));
	unit_words_have("give more room");
	read_bytes = -ENODEV;
	unit_fails(-ENODEV, iommufd_faultq_read(faultq, faults, 2));
	unit_fails(-EINVAL, iommufd_faultq_read(faultq, faults, 0));
	read_bytes = 0;
	ck_assert_int_eq(iommufd_faultq_read(faultq, faults, SIZE_MAX), 0);
	faults_are((const uint32_t[]){ 1, 2 }, 2);
	ck_assert_int_eq(iommufd_faultq_read(faultq, faults, 2), 2); /* there is room for these two now */
	inject_fail(INJECT_MEMORY, 1, 1);
	faultq->room = faultq->num_groups;
	unit_fails(-ENOMEM, iommufd_faultq_read(faultq, faults, 2));
	ck_assert_uint_eq(faultq->num_groups, 2);
	inject_fail(INJECT_MEMORY, 0, 0);
}
END_TEST

static unsigned int empty_reads;

/* The second time there is one. */
static ssize_t read_late(int fd, void *buf, size_t len)
{
	return empty_reads++ ? read_faults(fd, buf, len) : 0;
}

/* Linux 6.12 reads nothing then. */
START_TEST(a_group_without_room_is_told_from_an_empty_queue)
{
	struct iommufd_fault fault;

	read_bytes = 0;
	inject_queue(read_faults, write_response);
	ck_assert_int_eq(iommufd_faultq_read(faultq, &fault, 1), 0);
	inject_readable(1);
	unit_fails(-EMSGSIZE, iommufd_faultq_read(faultq, &fault, 1));
	unit_words_have("give more room");
	faults_are((const uint32_t[]){ 1 }, 1);
	inject_queue(read_late, write_response);
	ck_assert_int_eq(iommufd_faultq_read(faultq, &fault, 1), 1);
	ck_assert_uint_eq(empty_reads, 2);
	read_bytes = 0;
	inject_readable(-EINTR);
	ck_assert_int_eq(iommufd_faultq_read(faultq, &fault, 1), 0);
	inject_readable(0);
}
END_TEST

START_TEST(what_was_read_before_a_detach_is_void_and_what_came_after_it_is_not)
{
	struct iommufd_hwpt hwpt = { .faultq = faultq };
	struct iommufd_fault faults[3];
	uint32_t mark;
	uint64_t fresh;

	faults_are((const uint32_t[]){ 1, 2, 3 }, 3);
	waiting[1].dev_id++;
	waiting[2].flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
	waiting[2].pasid = 9;
	ck_assert_int_eq(iommufd_faultq_read(faultq, faults, 3), 3);
	mark = ifd_faults_mark(&hwpt);
	fresh = read_one(4);
	ifd_faults_drop(&hwpt, DEVICE, 0, mark);
	unit_fails(-ENOENT, iommufd_faultq_respond(faultq, faults[0].cookie, IOMMUFD_FAULT_SUCCESS));
	ck_assert_uint_eq(writes, 0);
	ck_assert_int_eq(iommufd_faultq_respond(faultq, faults[1].cookie, IOMMUFD_FAULT_SUCCESS), 0);
	ck_assert_int_eq(iommufd_faultq_respond(faultq, fresh, IOMMUFD_FAULT_SUCCESS), 0);
	ifd_faults_drop(&hwpt, DEVICE, 8, mark);
	ifd_faults_drop(NULL, DEVICE, 9, mark);
	ck_assert_uint_eq(faultq->num_groups, 1);
	ifd_faults_drop(&hwpt, DEVICE, 9, ifd_faults_mark(&hwpt));
	unit_fails(-ENOENT, iommufd_faultq_respond(faultq, faults[2].cookie, IOMMUFD_FAULT_SUCCESS));
	ck_assert_uint_eq(writes, 2);
	ck_assert_uint_eq(ifd_faults_mark(NULL), 0);
}
END_TEST

START_TEST(generations_begin_anew_after_four_milliards)
{
	struct iommufd_hwpt hwpt = { .faultq = faultq };
	uint64_t before, behind;

	faultq->generation = UINT32_MAX - 1;
	before = read_one(1);
	behind = read_one(2);
	ck_assert_uint_eq(before >> 32, UINT32_MAX);
	ck_assert_uint_eq(behind >> 32, 1);
	ifd_faults_drop(&hwpt, DEVICE, 0, UINT32_MAX);
	unit_fails(-ENOENT, iommufd_faultq_respond(faultq, before, IOMMUFD_FAULT_SUCCESS));
	ck_assert_int_eq(iommufd_faultq_respond(faultq, behind, IOMMUFD_FAULT_SUCCESS), 0);
	before = (faultq->generation = UINT32_MAX - 1, read_one(1));
	ifd_faults_drop(&hwpt, DEVICE, 0, 3);
	unit_fails(-ENOENT, iommufd_faultq_respond(faultq, before, IOMMUFD_FAULT_SUCCESS));
}
END_TEST

static int hwpt_alloc(int fd, void *arg)
{
	(void)fd;
	made++;
	((struct iommu_hwpt_alloc *)arg)->out_hwpt_id = 100 + made;
	return 0;
}

static int hw_info(int fd, void *arg)
{
	(void)fd;
	((struct iommu_hw_info *)arg)->out_max_pasid_log2 = 20;
	return 0;
}

static uint64_t read_of_pasid(uint32_t pasid)
{
	struct iommufd_fault fault;

	faults_are((const uint32_t[]){ 5 }, 1);
	waiting[0].flags |= pasid ? IOMMU_PGFAULT_FLAGS_PASID_VALID : 0;
	waiting[0].pasid = pasid;
	ck_assert_int_eq(iommufd_faultq_read(faultq, &fault, 1), 1);
	return fault.cookie;
}

static void is_void(uint64_t cookie)
{
	unit_fails(-ENOENT, iommufd_faultq_respond(faultq, cookie, IOMMUFD_FAULT_SUCCESS));
	ck_assert_uint_eq(writes, 0);
}

/* Without a word to the kernel. */
START_TEST(whoever_is_detached_or_moved_has_no_fault_any_more)
{
	struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts), .flags = IOMMUFD_HWPT_PASID, .faultq = faultq };
	struct iommufd_hwpt *hwpt[2];
	struct iommufd_device *dev;
	uint64_t cookie;

	inject_ioctl(IOMMU_HWPT_ALLOC, hwpt_alloc);
	inject_ioctl(IOMMU_GET_HW_INFO, hw_info);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_OTHER, &dev), 0);
	for (unsigned int i = 0; i < 2; i++)
		ck_assert_int_eq(iommufd_hwpt_new(dev, scene.ioas, &opts, &hwpt[i]), 0);
	ck_assert_int_eq(iommufd_device_attach_hwpt(dev, hwpt[0]), 0);
	cookie = read_of_pasid(0);
	ck_assert_int_eq(iommufd_device_replace_hwpt(dev, hwpt[1]), 0);
	is_void(cookie);
	cookie = read_of_pasid(0);
	ck_assert_int_eq(iommufd_device_detach(dev), 0);
	is_void(cookie);

	ck_assert_int_eq(iommufd_device_pasid_attach(dev, 9, NULL, hwpt[0]), 0);
	cookie = read_of_pasid(9);
	ck_assert_int_eq(iommufd_device_pasid_replace(dev, 9, NULL, hwpt[1]), 0);
	is_void(cookie);
	cookie = read_of_pasid(9);
	ck_assert_int_eq(iommufd_device_pasid_detach(dev, 9), 0);
	is_void(cookie);
	iommufd_hwpt_free(hwpt[0]);
	iommufd_hwpt_free(hwpt[1]);
	iommufd_device_free(dev);
}
END_TEST

static int without_number(int fd, void *arg)
{
	(void)fd;
	((struct iommu_fault_alloc *)arg)->out_fault_fd = (uint32_t)inject_fd();
	return 0;
}

START_TEST(a_queue_that_cannot_be_made_leaves_nothing_and_the_words_say_why)
{
	struct iommufd_faultq *q = NULL;
	unsigned int fds = inject_fds();

	inject_ioctl_fail(IOMMU_FAULT_QUEUE_ALLOC, 1, 1, -ENOTTY);
	unit_fails(-ENOTTY, iommufd_faultq_new(scene.ctx, &q));
	unit_words_have("Linux 6.11");
	inject_ioctl_fail(IOMMU_FAULT_QUEUE_ALLOC, 1, 1, -EMFILE);
	unit_fails(-EMFILE, iommufd_faultq_new(scene.ctx, &q));
	unit_words_have("ulimit -n");
	inject_ioctl(IOMMU_FAULT_QUEUE_ALLOC, without_number);
	unit_fails(-EPROTO, iommufd_faultq_new(scene.ctx, &q));
	inject_fail(INJECT_MEMORY, 1, 1);
	unit_fails(-ENOMEM, iommufd_faultq_new(scene.ctx, &q));
	ck_assert_ptr_null(q);
	ck_assert_uint_eq(inject_fds(), fds);
}
END_TEST

START_TEST(a_container_has_no_queues_of_faults)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = IOMMUFD_BACKEND_VFIO };
	struct iommufd_faultq *q = NULL;
	struct iommufd_ctx *ctx;

	ck_assert_int_eq(iommufd_ctx_new(&opts, &ctx), 0);
	unit_fails(-EOPNOTSUPP, iommufd_faultq_new(ctx, &q));
	unit_words_have("use the backend iommufd");
	ck_assert_ptr_null(q);
	iommufd_ctx_free(ctx);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, faults_of_a_group_have_one_cookie_and_one_answer);
	tcase_add_test(tcase, a_number_that_the_kernel_gives_again_makes_the_old_cookie_void);
	tcase_add_test(tcase, what_the_kernel_does_not_know_any_more_is_void_and_not_tried_again);
	tcase_add_test(tcase, an_answer_that_did_not_get_through_can_be_given_again);
	tcase_add_test(tcase, a_read_that_is_no_number_of_faults_is_told);
	tcase_add_test(tcase, a_group_without_room_is_told_from_an_empty_queue);
	tcase_add_test(tcase, what_was_read_before_a_detach_is_void_and_what_came_after_it_is_not);
	tcase_add_test(tcase, generations_begin_anew_after_four_milliards);
	tcase_add_test(tcase, whoever_is_detached_or_moved_has_no_fault_any_more);
	tcase_add_test(tcase, a_queue_that_cannot_be_made_leaves_nothing_and_the_words_say_why);
	tcase_add_test(tcase, a_container_has_no_queues_of_faults);
}
