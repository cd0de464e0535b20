/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What KVM refuses: of a VM, and of interrupts into it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvm-scene.h"
#include "uapi/kvm.h"
#include "uapi/vfio.h"

START_TEST(what_a_vm_refuses_has_words)
{
	static const struct {
		int err, ret;
		const char *words;
	} refusals[] = {
		{ -EBUSY, -EBUSY, "iommufd_kvm_from_fd()" },  { -ENODEV, -ENODEV, "CONFIG_KVM_VFIO" },
		{ -EIO, -EIO, "another process's, or dead" }, { -EINVAL, -EINVAL, "memfd:vm" },
		{ -ENOTTY, -EINVAL, "KVM_CREATE_VM" },        { -EMFILE, -EMFILE, "ulimit -n" },
	};
	struct iommufd_kvm *kvm = (void *)1;

	kvm_scene_fd = memfd_create("vm", MFD_CLOEXEC);
	inject_ioctl(KVM_HAS_DEVICE_ATTR, inject_succeed);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		inject_ioctl_fail(KVM_CREATE_DEVICE, 1, 1, refusals[i].err);
		unit_fails(refusals[i].ret, iommufd_kvm_new(kvm_scene_fd, &kvm));
		unit_words_have(refusals[i].words);
		inject_ioctl_fail(KVM_CREATE_DEVICE, 1, 1, refusals[i].err);
		unit_fails(refusals[i].ret, iommufd_kvm_from_fd(kvm_scene_fd, kvm_scene_fd, &kvm));
	}
	inject_ioctl(KVM_CREATE_DEVICE, inject_succeed); /* and gives no descriptor */
	unit_fails(-EPROTO, iommufd_kvm_new(kvm_scene_fd, &kvm));
	unit_fails(-EBADF, iommufd_kvm_new(-1, &kvm));
	unit_fails(-EBADF, iommufd_kvm_from_fd(-1, kvm_scene_fd, &kvm));
	unit_words_have("-1");
	unit_fails(-EBADF, iommufd_kvm_from_fd(kvm_scene_fd, -1, &kvm));
	inject_ioctl_fail(KVM_HAS_DEVICE_ATTR, 1, 1, -ENXIO);
	unit_fails(-EINVAL, iommufd_kvm_from_fd(kvm_scene_fd, kvm_scene_fd, &kvm));
	unit_words_have("it is /memfd:vm");
	inject_ioctl_fail(KVM_HAS_DEVICE_ATTR, 1, 1, -EIO);
	unit_fails(-EIO, iommufd_kvm_from_fd(kvm_scene_fd, kvm_scene_fd, &kvm));
	for (unsigned int nth = 1; nth <= 2; nth++) {
		inject_fail(INJECT_DUP, nth, -EMFILE);
		unit_fails(-EMFILE, iommufd_kvm_from_fd(kvm_scene_fd, kvm_scene_fd, &kvm));
	}
	inject_fail(INJECT_MEMORY, 1, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_kvm_from_fd(kvm_scene_fd, kvm_scene_fd, &kvm));
	ck_assert_ptr_eq(kvm, (void *)1);
	ck_assert_uint_eq(inject_fds(), 0);
	iommufd_kvm_free(NULL);
	close(kvm_scene_fd);
}
END_TEST

/* What KVM has: how many, and the last one. */
static unsigned int assigned;
static struct kvm_irqfd last;

static int irqfd_ioctl(int fd, void *arg)
{
	(void)fd;
	last = *(const struct kvm_irqfd *)arg;
	ck_assert_int_ge(fcntl((int)last.fd, F_GETFD), 0);
	if (last.flags & KVM_IRQFD_FLAG_RESAMPLE)
		ck_assert_int_ge(fcntl((int)last.resamplefd, F_GETFD), 0);
	if (last.flags & KVM_IRQFD_FLAG_DEASSIGN)
		assigned--;
	else
		assigned++;
	return 0;
}

static void begin_irqfd(struct scene *scene, struct iommufd_kvm **kvm, uint32_t backend)
{
	kvm_scene_open(scene, backend);
	*kvm = kvm_scene_vm();
	assigned = 0;
	inject_ioctl(KVM_IRQFD, irqfd_ioctl);
	ck_assert_int_eq(iommufd_device_attach(scene->dev, scene->ioas), 0);
}

START_TEST(a_level_is_taken_back_with_what_unmasks_it)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };
	struct iommufd_kvm_irqfd *irqfd;
	struct iommufd_kvm *kvm;
	struct scene scene;

	begin_irqfd(&scene, &kvm, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(iommufd_kvm_irqfd_add(kvm, scene.dev, IOMMUFD_PCI_INTX, 0, 10, IOMMUFD_KVM_RESAMPLE, &irqfd),
			 0);
	ck_assert_uint_eq(last.gsi, 10);
	ck_assert_uint_eq(last.flags, KVM_IRQFD_FLAG_RESAMPLE);
	ck_assert_uint_ne(last.fd, last.resamplefd);
	ck_assert_uint_lt(inject_ioctl_order(KVM_IRQFD), inject_ioctl_order(VFIO_DEVICE_SET_IRQS));
	iommufd_kvm_irqfd_free(irqfd);
	ck_assert_uint_eq(last.gsi, 10);
	ck_assert_uint_eq(last.flags, KVM_IRQFD_FLAG_DEASSIGN);
	ck_assert_uint_eq(assigned, 0);
	ck_assert_int_eq(iommufd_device_irq_info(scene.dev, IOMMUFD_PCI_INTX, &info), 0);
	ck_assert_uint_eq(info.enabled, 0);
	iommufd_kvm_free(kvm);
	kvm_scene_close(&scene);
}
END_TEST

/* As in a container whose processes may not compare files, or on a kernel without that. */
static void forbid_kcmp(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kcmp, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
	ck_assert_int_eq(syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 0), -1);
}

START_TEST(only_a_vector_that_is_still_its_own_is_taken_back)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };
	struct iommufd_kvm_irqfd *first, *second, *level;
	int mine = eventfd(0, EFD_CLOEXEC);
	unsigned int copies, made;
	struct iommufd_kvm *kvm;
	struct scene scene;

	begin_irqfd(&scene, &kvm, IOMMUFD_BACKEND_IOMMUFD);
	forbid_kcmp();
	copies = inject_fds();
	ck_assert_int_eq(iommufd_kvm_irqfd_add(kvm, scene.dev, IOMMUFD_PCI_MSIX, 0, 10, 0, &first), 0);
	ck_assert_int_eq(iommufd_kvm_irqfd_add(kvm, scene.dev, IOMMUFD_PCI_MSIX, 1, 11, 0, &second), 0);
	ck_assert_int_eq(iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSIX, 0, 1, &mine), 0);
	made = inject_ioctls(VFIO_DEVICE_SET_IRQS);
	iommufd_kvm_irqfd_free(first);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_SET_IRQS), made);
	iommufd_kvm_irqfd_free(second);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_SET_IRQS), made + 1);
	ck_assert_uint_eq(inject_fds(), copies + 1); /* that of the caller's eventfd */
	ck_assert_int_eq(iommufd_device_irq_disable(scene.dev, IOMMUFD_PCI_MSIX), 0);

	ck_assert_int_eq(iommufd_kvm_irqfd_add(kvm, scene.dev, IOMMUFD_PCI_INTX, 0, 10, IOMMUFD_KVM_RESAMPLE, &level),
			 0);
	iommufd_kvm_irqfd_free(level);
	ck_assert_int_eq(iommufd_device_irq_info(scene.dev, IOMMUFD_PCI_INTX, &info), 0);
	ck_assert_uint_eq(info.enabled, 0);
	ck_assert_int_eq(iommufd_kvm_irqfd_add(kvm, scene.dev, IOMMUFD_PCI_INTX, 0, 10, 0, &level), 0);
	ck_assert_int_eq(iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_INTX, 0, 1, &mine), 0);
	iommufd_kvm_irqfd_free(level);
	ck_assert_int_eq(iommufd_device_irq_info(scene.dev, IOMMUFD_PCI_INTX, &info), 0);
	ck_assert_uint_eq(info.enabled, 1);
	close(mine);
	iommufd_kvm_free(kvm);
	kvm_scene_close(&scene);
}
END_TEST

START_TEST(what_kvm_refuses_of_an_interrupt_has_words)
{
	static const struct {
		int err;
		const char *words;
	} refusals[] = {
		{ -EINVAL, "KVM_CREATE_IRQCHIP first" },
		{ -EAGAIN, "make it first" },
		{ -EIO, "dead" },
		{ -ENOMEM, "interrupt line 10 of the VM for " SCENE_DEVICE },
	};
	struct iommufd_kvm_irqfd *irqfd = (void *)1;
	struct iommufd_kvm *kvm;
	struct scene scene;

	begin_irqfd(&scene, &kvm, IOMMUFD_BACKEND_VFIO);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		inject_ioctl_fail(KVM_IRQFD, 1, 1, refusals[i].err);
		unit_fails(refusals[i].err, iommufd_kvm_irqfd_add(kvm, scene.dev, IOMMUFD_PCI_INTX, 0, 10,
								  IOMMUFD_KVM_RESAMPLE, &irqfd));
		unit_words_have(refusals[i].words);
	}
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_SET_IRQS), 0);
	ck_assert_ptr_eq(irqfd, (void *)1);
	iommufd_kvm_free(kvm);
	kvm_scene_close(&scene);
}
END_TEST

START_TEST(an_interrupt_that_fails_half_way_is_taken_back)
{
	uint32_t index = _i & 2 ? IOMMUFD_PCI_INTX : IOMMUFD_PCI_MSIX;
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };
	struct iommufd_kvm_irqfd *irqfd;
	unsigned int fds, failed = 0;
	struct iommufd_kvm *kvm;
	struct scene scene;
	int ret = -1;

	begin_irqfd(&scene, &kvm, _i & 1 ? IOMMUFD_BACKEND_IOMMUFD : IOMMUFD_BACKEND_VFIO);
	fds = inject_fds();
	for (unsigned int nth = 1; ret; nth++) {
		inject_fail(_i & 4 ? INJECT_MEMORY : INJECT_ANY, nth, -ENOMEM);
		ret = iommufd_kvm_irqfd_add(kvm, scene.dev, index, 0, 10,
					    index == IOMMUFD_PCI_INTX ? IOMMUFD_KVM_RESAMPLE : 0, &irqfd);
		inject_fail(INJECT_ANY, 0, 0);
		if (!ret)
			break;
		failed++;
		unit_check_words(-ENOMEM);
		ck_assert_int_eq(ret, -ENOMEM);
		ck_assert_uint_eq(assigned, 0);
		ck_assert_uint_eq(inject_fds(), fds);
		ck_assert_int_eq(iommufd_device_irq_info(scene.dev, index, &info), 0);
		ck_assert_uint_eq(info.enabled, 0);
	}
	ck_assert_uint_ge(failed, 3);
	iommufd_device_free(scene.dev);
	scene.dev = NULL;
	iommufd_kvm_free(kvm);
	iommufd_kvm_irqfd_free(irqfd);
	ck_assert_uint_eq(assigned, 0);
	kvm_scene_close(&scene);
}
END_TEST

START_TEST(a_child_that_frees_an_interrupt_leaves_it_to_its_parent)
{
	struct iommufd_kvm_irqfd *irqfd;
	struct iommufd_kvm *kvm;
	struct scene scene;
	int status;
	pid_t child;

	begin_irqfd(&scene, &kvm, IOMMUFD_BACKEND_VFIO);
	ck_assert_int_eq(iommufd_kvm_irqfd_add(kvm, scene.dev, IOMMUFD_PCI_MSIX, 3, 10, 0, &irqfd), 0);
	child = fork();
	if (!child) {
		unsigned int asked = inject_count(INJECT_IOCTL);

		alarm(10);
		unit_fails(-EPERM, iommufd_kvm_irqfd_add(kvm, scene.dev, IOMMUFD_PCI_MSIX, 4, 10, 0, &irqfd));
		iommufd_kvm_irqfd_free(irqfd);
		ck_assert_uint_eq(inject_count(INJECT_IOCTL), asked);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	iommufd_kvm_irqfd_free(irqfd);
	iommufd_kvm_free(kvm);
	kvm_scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, what_a_vm_refuses_has_words);
	tcase_add_test(tcase, a_level_is_taken_back_with_what_unmasks_it);
	tcase_add_test(tcase, only_a_vector_that_is_still_its_own_is_taken_back);
	tcase_add_test(tcase, what_kvm_refuses_of_an_interrupt_has_words);
	tcase_add_loop_test(tcase, an_interrupt_that_fails_half_way_is_taken_back, 0, 8);
	tcase_add_test(tcase, a_child_that_frees_an_interrupt_leaves_it_to_its_parent);
}
