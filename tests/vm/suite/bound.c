/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Nodes of devices that are bound already when they are adopted, to the iommufd of the context or to another one. */
#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "uapi/iommufd.h"
#include "vm.h"

static int open_iommufd(void)
{
	int iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(iommufd, 0);
	return iommufd;
}

/* Numbers that headers before Linux 6.6 lack, and the structures that go with them. */
#define BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#define ATTACH_PT    _IO(VFIO_TYPE, VFIO_BASE + 19)
#define DETACH_PT    _IO(VFIO_TYPE, VFIO_BASE + 20)

/* More numbers than the library tries. */
#define OBJECTS 32

static int bound_node(int iommufd)
{
	struct {
		uint32_t argsz, flags;
		int32_t iommufd;
		uint32_t out_devid;
	} bind = { .argsz = sizeof(bind), .iommufd = iommufd };
	char path[128];
	int device;

	vm_cdev(EDU, path, sizeof(path));
	device = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(device, 0);
	ck_assert_int_eq(ioctl(device, BIND_IOMMUFD, &bind), 0);
	return device;
}

static uint32_t make_ioas(int iommufd)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	ck_assert_int_eq(ioctl(iommufd, IOMMU_IOAS_ALLOC, &cmd), 0);
	return cmd.out_ioas_id;
}

static int destroy(int iommufd, uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return ioctl(iommufd, IOMMU_DESTROY, &cmd) ? -errno : 0;
}

static void make_queue(int iommufd)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };

	ck_assert_int_eq(ioctl(iommufd, IOMMU_FAULT_QUEUE_ALLOC, &cmd), 0);
}

static void adopt_iommufd(struct bed *bed, int iommufd)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = vm_backend };

	opts.flags = vm_path->noiommu ? IOMMUFD_CTX_NOIOMMU : 0;
	*bed = (struct bed){ .ctx = NULL };
	ok(iommufd_ctx_from_fd(iommufd, &opts, &bed->ctx));
	ok(iommufd_ioas_new(bed->ctx, &bed->ioas));
}

static void is_refused(struct bed *bed, int device)
{
	int fds = open_fds();

	fails(iommufd_device_from_fd(bed->ctx, device, &bed->dev), -EINVAL, "bound to another iommufd");
	ck_assert_ptr_null(bed->dev);
	ck_assert_int_eq(open_fds(), fds);
}

START_TEST(a_node_that_is_bound_to_another_iommufd_is_refused)
{
	int ours = open_iommufd(), empty = open_iommufd(), of_queues = open_iommufd(), device;
	struct edu edu;
	struct bed bed;

	adopt_iommufd(&bed, ours);
	/* There the number that is tried is nothing. */
	device = bound_node(empty);
	is_refused(&bed, device);
	close(device);

	/* There it is something else that no device can be attached to. */
	for (int i = 0; i < OBJECTS; i++)
		make_queue(of_queues);
	device = bound_node(of_queues);
	is_refused(&bed, device);
	close(device);

	device = bound_node(ours);
	ok(iommufd_device_from_fd(bed.ctx, device, &bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	edu_setup(&edu, bed.dev);
	bed_close(&bed);
}
END_TEST

START_TEST(a_node_is_not_left_attached_where_the_number_that_is_tried_is_an_address_space)
{
	int ours = open_iommufd(), of_spaces = open_iommufd(), device;
	struct bed bed;

	adopt_iommufd(&bed, ours);
	for (int i = 0; i < OBJECTS; i++)
		make_ioas(of_spaces);
	device = bound_node(of_spaces);
	is_refused(&bed, device);
	for (uint32_t id = 1; id <= OBJECTS; id++) /* with a device it would be EBUSY */
		ck_assert_int_eq(destroy(of_spaces, id), 0);
	bed_close(&bed);
	close(device);
}
END_TEST

START_TEST(a_node_that_is_ours_is_left_as_it_was_when_it_is_asked_whose_it_is)
{
	struct {
		uint32_t argsz, flags, pt_id;
	} attach = { .argsz = sizeof(attach) };
	struct {
		uint32_t argsz, flags;
	} detach = { .argsz = sizeof(detach) };
	int ours = open_iommufd(), device, fds;
	uint32_t theirs = make_ioas(ours), next;
	struct edu edu;
	struct bed bed;

	device = bound_node(ours);
	attach.pt_id = theirs;
	ck_assert_int_eq(ioctl(device, ATTACH_PT, &attach), 0);
	adopt_iommufd(&bed, ours);
	next = make_ioas(ours);
	ck_assert_int_eq(destroy(ours, next), 0);
	fds = open_fds();
	ok(iommufd_device_from_fd(bed.ctx, device, &bed.dev));
	ck_assert_int_eq(open_fds(), fds + 1);
	ck_assert_uint_eq(make_ioas(ours), next); /* nothing of what was made for it is left */
	ck_assert_int_eq(destroy(ours, theirs), -EBUSY);
	ck_assert_int_eq(ioctl(device, DETACH_PT, &detach), 0);
	ck_assert_int_eq(destroy(ours, theirs), 0);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	edu_setup(&edu, bed.dev);
	bed_close(&bed);
}
END_TEST

void add_bound_tests(TCase *tc)
{
	if (!vm_path->by_node)
		return;
	tcase_add_test(tc, a_node_that_is_bound_to_another_iommufd_is_refused);
	tcase_add_test(tc, a_node_is_not_left_attached_where_the_number_that_is_tried_is_an_address_space);
	tcase_add_test(tc, a_node_that_is_ours_is_left_as_it_was_when_it_is_asked_whose_it_is);
}
