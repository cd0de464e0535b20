/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What a VM, or the library for it, does not take. */
#include "vm.h"

#if defined(__x86_64__)
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

static int open_for(struct iommufd_ctx *ctx, const char *address, struct iommufd_kvm *kvm, struct iommufd_device **dev)
{
	struct iommufd_device_opts opts = { .struct_size = sizeof(opts), .kvm = kvm };

	return iommufd_device_new_opts(ctx, address, &opts, dev);
}

START_TEST(what_is_no_vm_is_named)
{
	struct iommufd_kvm *kvm = (void *)1;
	int event = eventfd(0, EFD_CLOEXEC), closed = 1023;
	struct guest guest;

	guest_open(&guest);
	fails(iommufd_kvm_new(guest.kvm, &kvm), -EINVAL, "it is /dev/kvm");
	fails(iommufd_kvm_new(guest.cpu, &kvm), -EINVAL, "it is anon_inode:kvm-vcpu");
	fails(iommufd_kvm_new(event, &kvm), -EINVAL, "it is anon_inode:[eventfd]");
	fails(iommufd_kvm_new(closed, &kvm), -EBADF, "KVM_CREATE_VM");
	fails(iommufd_kvm_from_fd(guest.vm, guest.vm, &kvm), -EINVAL, "it is anon_inode:kvm-vm");
	fails(iommufd_kvm_from_fd(event, guest.vm, &kvm), -EINVAL, "it is anon_inode:[eventfd]");
	fails(iommufd_kvm_from_fd(closed, guest.vm, &kvm), -EBADF, "give an open one");
	ck_assert_ptr_eq(kvm, (void *)1);
	close(event);
	guest_close(&guest);
}
END_TEST

START_TEST(a_vm_has_one_such_device_which_can_be_adopted)
{
	struct kvm_create_device cmd = { .type = KVM_DEV_TYPE_VFIO };
	struct iommufd_kvm *kvm, *second = (void *)1;
	struct guest guest;
	struct bed bed;

	guest_open(&guest);
	ok(iommufd_kvm_new(guest.vm, &kvm));
	fails(iommufd_kvm_new(guest.vm, &second), -EBUSY, "iommufd_kvm_from_fd()");
	iommufd_kvm_free(kvm);

	ck_assert_int_eq(ioctl(guest.vm, KVM_CREATE_DEVICE, &cmd), 0);
	fails(iommufd_kvm_new(guest.vm, &second), -EBUSY, "iommufd_kvm_from_fd()");
	ck_assert_ptr_eq(second, (void *)1);
	fails(iommufd_kvm_from_fd((int)cmd.fd, guest.kvm, &second), -EINVAL, "it is /dev/kvm");
	ok(iommufd_kvm_from_fd((int)cmd.fd, guest.vm, &kvm));
	close((int)cmd.fd);
	bed_open(&bed);
	ok(open_for(bed.ctx, EDU, kvm, &bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	bed_close(&bed);
	iommufd_kvm_free(kvm);
	guest_close(&guest);
}
END_TEST

static void tell(int device, int fd)
{
	struct kvm_device_attr attr = { .group = 1, .attr = 1, .addr = (uintptr_t)&fd };

	ck_assert_msg(!ioctl(device, KVM_SET_DEVICE_ATTR, &attr), "KVM_DEV_VFIO_FILE_ADD: %s", strerror(errno));
}

/* By whoever has opened its node, and handed that over. */
START_TEST(what_the_vm_knows_already_is_not_told_again)
{
	struct iommufd_device_opts opts = { .struct_size = sizeof(opts) };
	struct kvm_create_device cmd = { .type = KVM_DEV_TYPE_VFIO };
	struct guest guest;
	char path[128];
	struct bed bed;
	int fd;

	guest_open(&guest);
	ck_assert_int_eq(ioctl(guest.vm, KVM_CREATE_DEVICE, &cmd), 0);
	ok(iommufd_kvm_from_fd((int)cmd.fd, guest.vm, &opts.kvm));
	if (vm_path->by_node)
		vm_cdev(EDU, path, sizeof(path));
	else
		snprintf(path, sizeof(path), "/dev/vfio/%d", vm_group(EDU));
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	tell((int)cmd.fd, fd);
	bed_open(&bed);
	if (vm_path->by_node) {
		fails(iommufd_device_from_fd_opts(bed.ctx, fd, &opts, &bed.dev), -EEXIST, "knows it already");
		ok(iommufd_device_from_fd(bed.ctx, fd, &bed.dev));
	} else {
		ok(iommufd_ctx_add_group(bed.ctx, fd));
		if (vm_backend == IOMMUFD_BACKEND_IOMMUFD) {
			fails(open_for(bed.ctx, EDU, opts.kvm, &bed.dev), -EEXIST, "knows it already");
		} else {
			ok(open_for(bed.ctx, EDU, opts.kvm, &bed.dev));
			fails(iommufd_device_attach(bed.dev, bed.ioas), -EEXIST, "knows it already");
			iommufd_device_free(bed.dev);
		}
		ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	}
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	bed_close(&bed);
	close(fd);
	iommufd_kvm_free(opts.kvm);
	close((int)cmd.fd);
	guest_close(&guest);
}
END_TEST

static void adopt_bound_node(struct bed *bed, const struct iommufd_device_opts *opts)
{
	struct iommufd_device *none = (void *)1;
	struct iommufd_ctx *copy;

	ok(iommufd_device_new(bed->ctx, EDU, &bed->dev));
	ok(iommufd_device_attach(bed->dev, bed->ioas));
	ok(iommufd_ctx_from_fd(iommufd_ctx_fd(bed->ctx), NULL, &copy));
	fails(iommufd_device_from_fd_opts(copy, iommufd_device_fd(bed->dev), opts, &none), -EBUSY, "bound already");
	ck_assert_ptr_eq(none, (void *)1);
	iommufd_ctx_free(copy);
}

START_TEST(a_node_that_is_bound_already_is_not_for_a_vm)
{
	struct iommufd_device_opts opts = { .struct_size = sizeof(opts) };
	struct guest guest;
	struct bed bed;
	char path[128];
	int fd;

	guest_open(&guest);
	ok(iommufd_kvm_new(guest.vm, &opts.kvm));
	bed_open(&bed);
	if (vm_path->by_node) {
		adopt_bound_node(&bed, &opts);
	} else {
		vm_cdev(EDU, path, sizeof(path));
		fd = open(path, O_RDWR | O_CLOEXEC);
		lacks(iommufd_device_from_fd_opts(bed.ctx, fd, &opts, &bed.dev), -EOPNOTSUPP,
		      "use a context of the backend iommufd");
		close(fd);
	}
	bed_close(&bed);
	iommufd_kvm_free(opts.kvm);
	guest_close(&guest);
}
END_TEST

START_TEST(a_vm_is_of_the_process_that_made_it)
{
	struct iommufd_kvm *kvm, *theirs = (void *)1;
	struct guest guest;
	int status;
	pid_t child;

	guest_open(&guest);
	ok(iommufd_kvm_new(guest.vm, &kvm));
	child = fork();
	if (!child) {
		struct bed bed;

		fails(iommufd_kvm_new(guest.vm, &theirs), -EIO, "another process's");
		fails(iommufd_kvm_no_snoop_blocked(kvm), -EPERM, "before fork()");
		bed_open(&bed);
		fails(open_for(bed.ctx, EDU, kvm, &bed.dev), -EPERM, "before fork()");
		iommufd_kvm_free(kvm);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	iommufd_kvm_free(kvm);
	guest_close(&guest);
}
END_TEST

void add_kvm_refusal_tests(TCase *tc)
{
	tcase_add_test(tc, what_is_no_vm_is_named);
	tcase_add_test(tc, a_vm_has_one_such_device_which_can_be_adopted);
	tcase_add_test(tc, what_the_vm_knows_already_is_not_told_again);
	if (vm_path->by_node || vm_backend == IOMMUFD_BACKEND_VFIO)
		tcase_add_test(tc, a_node_that_is_bound_already_is_not_for_a_vm);
	tcase_add_test(tc, a_vm_is_of_the_process_that_made_it);
}
#endif
