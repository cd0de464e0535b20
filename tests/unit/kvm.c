/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Telling KVM of devices: when, what is taken back, and what KVM makes of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvm.h"
#include "scene.h"
#include "uapi/iommufd.h"
#include "uapi/kvm.h"
#include "uapi/vfio.h"

#define ALONE    "0000:00:0a.0" /* by itself in a group */
#define NODELESS "0000:00:0b.0" /* as ALONE, without a node of its own */

/* What KVM knows of: which descriptors it was told, each an open file. */
static int known[8];
static unsigned int num_known;
static int vm;

static int create_device(int fd, void *arg)
{
	struct kvm_create_device *cmd = arg;

	(void)fd;
	ck_assert_uint_eq(cmd->type, KVM_DEV_TYPE_VFIO);
	if (!(cmd->flags & KVM_CREATE_DEVICE_TEST))
		cmd->fd = (uint32_t)inject_fd();
	return 0;
}

static int set_attr(int device, void *arg)
{
	const struct kvm_device_attr *cmd = arg;
	int fd = *(const int32_t *)(uintptr_t)cmd->addr;
	unsigned int i = 0;

	(void)device;
	ck_assert_uint_eq(cmd->group, KVM_DEV_VFIO_FILE);
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	while (i < num_known && known[i] != fd)
		i++;
	if (cmd->attr == KVM_DEV_VFIO_FILE_ADD) {
		ck_assert_msg(i == num_known, "KVM is told of descriptor %d twice", fd);
		known[num_known++] = fd;
	} else {
		ck_assert_uint_eq(cmd->attr, KVM_DEV_VFIO_FILE_DEL);
		ck_assert_msg(i < num_known, "KVM never heard of descriptor %d", fd);
		known[i] = known[--num_known];
	}
	return 0;
}

static struct iommufd_kvm *make_kvm(void)
{
	struct iommufd_kvm *kvm;

	num_known = 0;
	inject_ioctl(KVM_CREATE_DEVICE, create_device);
	inject_ioctl(KVM_SET_DEVICE_ATTR, set_attr);
	inject_ioctl(KVM_HAS_DEVICE_ATTR, inject_succeed);
	vm = memfd_create("vm", MFD_CLOEXEC);
	ck_assert_int_eq(iommufd_kvm_new(vm, &kvm), 0);
	return kvm;
}

static int open_for(struct iommufd_ctx *ctx, const char *address, struct iommufd_kvm *kvm, struct iommufd_device **dev)
{
	struct iommufd_device_opts opts = { .struct_size = sizeof(opts), .kvm = kvm };

	return iommufd_device_new_opts(ctx, address, &opts, dev);
}

/* ---- Two devices that have an IOMMU, as sysfs shows it ---- */

static char folder[64], link_to_iommu[80];

static void open_scene(struct scene *scene, uint32_t backend)
{
	static char alone_name[] = ALONE, nodeless_name[] = NODELESS, driver[] = "vfio-pci";
	static char cdev[] = "/dev/vfio/devices/vfio9";
	static const struct ifd_found alone = {
		.name = alone_name, .path = folder, .driver = driver, .cdev = cdev, .group = 9, .vfio = true
	};
	static const struct ifd_found nodeless = {
		.name = nodeless_name, .path = folder, .driver = driver, .group = 10, .vfio = true
	};

	scene_open(scene, backend);
	snprintf(folder, sizeof(folder), "/tmp/unit-kvm-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(link_to_iommu, sizeof(link_to_iommu), "%s/iommu", folder);
	ck_assert_int_eq(symlink("dmar0", link_to_iommu), 0);
	inject_device(&alone);
	inject_device(&nodeless);
}

static void close_scene(struct scene *scene)
{
	unlink(link_to_iommu);
	rmdir(folder);
	close(vm);
	scene_close(scene);
	ck_assert_uint_eq(num_known, 0);
}

/* ---- By a device's node ---- */

START_TEST(a_node_is_told_before_it_is_bound_and_forgotten_before_it_is_closed)
{
	struct iommufd_device *dev, *second;
	struct iommufd_kvm *kvm;
	struct scene scene;

	open_scene(&scene, IOMMUFD_BACKEND_IOMMUFD);
	kvm = make_kvm();
	ck_assert_int_eq(open_for(scene.ctx, SCENE_SIBLING, kvm, &dev), 0);
	ck_assert_uint_eq(num_known, 1);
	ck_assert_uint_lt(inject_ioctl_order(KVM_SET_DEVICE_ATTR), inject_ioctl_order(VFIO_DEVICE_BIND_IOMMUFD));
	ck_assert_int_eq(open_for(scene.ctx, SCENE_OTHER, kvm, &second), 0);
	ck_assert_uint_eq(num_known, 2);
	iommufd_kvm_free(kvm);
	ck_assert_uint_eq(num_known, 2);
	iommufd_device_free(dev);
	ck_assert_uint_eq(num_known, 1);
	iommufd_device_free(second);
	close_scene(&scene);
}
END_TEST

START_TEST(a_node_that_cannot_be_bound_is_taken_back)
{
	struct iommufd_device *dev = (void *)1;
	struct iommufd_kvm *kvm;
	struct scene scene;

	open_scene(&scene, IOMMUFD_BACKEND_IOMMUFD);
	kvm = make_kvm();
	inject_ioctl_fail(VFIO_DEVICE_BIND_IOMMUFD, 1, 1, -EPERM);
	unit_fails(-EPERM, open_for(scene.ctx, SCENE_OTHER, kvm, &dev));
	ck_assert_uint_eq(inject_ioctls(KVM_SET_DEVICE_ATTR), 2);
	ck_assert_uint_eq(num_known, 0);
	ck_assert_ptr_eq(dev, (void *)1);
	iommufd_kvm_free(kvm);
	close_scene(&scene);
}
END_TEST

START_TEST(a_node_that_kvm_does_not_take_is_not_bound)
{
	static const struct {
		int err;
		const char *words;
	} refusals[] = {
		{ -EEXIST, "knows it already" },
		{ -EINVAL, "Linux 6.6" },
		{ -EIO, "another process's, or dead" },
		{ -ENOMEM, "tell the VM of " SCENE_OTHER },
	};
	struct iommufd_device *dev;
	struct iommufd_kvm *kvm;
	struct scene scene;
	unsigned int binds;

	open_scene(&scene, IOMMUFD_BACKEND_IOMMUFD);
	kvm = make_kvm();
	binds = inject_ioctls(VFIO_DEVICE_BIND_IOMMUFD);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		inject_ioctl_fail(KVM_SET_DEVICE_ATTR, 1, 1, refusals[i].err);
		unit_fails(refusals[i].err, open_for(scene.ctx, SCENE_OTHER, kvm, &dev));
		unit_words_have(refusals[i].words);
	}
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_BIND_IOMMUFD), binds);
	iommufd_kvm_free(kvm);
	close_scene(&scene);
}
END_TEST

/* ---- By a group's node ---- */

START_TEST(a_container_has_a_type_before_its_group_is_told_and_hands_out_devices_after)
{
	struct iommufd_device *dev;
	struct iommufd_kvm *kvm;
	struct scene scene;

	open_scene(&scene, IOMMUFD_BACKEND_VFIO);
	kvm = make_kvm();
	ck_assert_int_eq(open_for(scene.ctx, ALONE, kvm, &dev), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(num_known, 0);
		ck_assert_int_eq(iommufd_device_attach(dev, scene.ioas), 0);
		ck_assert_uint_eq(num_known, 1);
		ck_assert_uint_gt(inject_ioctl_order(KVM_SET_DEVICE_ATTR), inject_ioctl_order(VFIO_SET_IOMMU));
		ck_assert_uint_lt(inject_ioctl_order(KVM_SET_DEVICE_ATTR),
				  inject_ioctl_order(VFIO_GROUP_GET_DEVICE_FD));
		ck_assert_int_eq(iommufd_device_detach(dev), 0);
	}
	ck_assert_uint_eq(num_known, 0);
	iommufd_device_free(dev);
	iommufd_kvm_free(kvm);
	close_scene(&scene);
}
END_TEST

/* Which of two devices of a group have the VM, and in which order they go. */
static void share_group(bool both, bool first_goes_first, bool freed_early)
{
	struct iommufd_device *devs[2];
	struct iommufd_kvm *kvm;
	struct scene scene;

	open_scene(&scene, IOMMUFD_BACKEND_VFIO);
	kvm = make_kvm();
	iommufd_device_free(scene.dev);
	scene.dev = NULL;
	ck_assert_int_eq(open_for(scene.ctx, SCENE_DEVICE, both ? kvm : NULL, &devs[0]), 0);
	ck_assert_int_eq(iommufd_device_attach(devs[0], scene.ioas), 0);
	ck_assert_uint_eq(num_known, both);
	ck_assert_int_eq(open_for(scene.ctx, SCENE_SIBLING, kvm, &devs[1]), 0);
	ck_assert_int_eq(iommufd_device_attach(devs[1], scene.ioas), 0);
	ck_assert_uint_eq(num_known, 1);
	ck_assert_uint_eq(inject_ioctls(KVM_SET_DEVICE_ATTR), 1);
	if (freed_early)
		iommufd_kvm_free(kvm);
	iommufd_device_free(devs[!first_goes_first]);
	ck_assert_uint_eq(num_known, both || first_goes_first);
	iommufd_device_free(devs[first_goes_first]);
	ck_assert_uint_eq(inject_ioctls(KVM_SET_DEVICE_ATTR), 2);
	if (!freed_early)
		iommufd_kvm_free(kvm);
	close_scene(&scene);
}

START_TEST(a_group_is_told_once_whatever_the_order_in_which_its_devices_go)
{
	share_group(_i & 1, _i & 2, _i & 4);
}
END_TEST

START_TEST(a_group_is_told_again_when_its_last_device_was_detached_meanwhile)
{
	struct iommufd_device *sibling;
	struct iommufd_kvm *kvm;
	struct scene scene;

	open_scene(&scene, IOMMUFD_BACKEND_VFIO);
	kvm = make_kvm();
	ck_assert_int_eq(open_for(scene.ctx, SCENE_SIBLING, kvm, &sibling), 0);
	/* One that was opened without a VM, in the group of one. */
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_uint_eq(num_known, 1);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	ck_assert_uint_eq(num_known, 0);
	ck_assert_int_eq(iommufd_device_attach(sibling, scene.ioas), 0);
	ck_assert_uint_eq(num_known, 1);
	iommufd_device_free(sibling);
	iommufd_kvm_free(kvm);
	close_scene(&scene);
}
END_TEST

START_TEST(a_group_is_one_vms)
{
	struct iommufd_device *mine, *dev = (void *)1;
	struct iommufd_kvm *first, *second;
	struct scene scene;

	open_scene(&scene, IOMMUFD_BACKEND_VFIO);
	first = make_kvm();
	ck_assert_int_eq(iommufd_kvm_new(vm, &second), 0);
	ck_assert_int_eq(open_for(scene.ctx, SCENE_SIBLING, first, &mine), 0);
	iommufd_device_free(scene.dev);
	scene.dev = NULL;
	unit_fails(-EBUSY, open_for(scene.ctx, SCENE_DEVICE, second, &dev));
	unit_words_have("IOMMU group 7 is another VM's");
	ck_assert_ptr_eq(dev, (void *)1);
	iommufd_device_free(mine);
	ck_assert_int_eq(open_for(scene.ctx, SCENE_DEVICE, second, &scene.dev), 0);
	iommufd_kvm_free(second);
	iommufd_kvm_free(first);
	close_scene(&scene);
}
END_TEST

START_TEST(an_attach_that_fails_takes_the_group_back)
{
	struct iommufd_device *dev;
	struct iommufd_kvm *kvm;
	struct scene scene;

	open_scene(&scene, IOMMUFD_BACKEND_VFIO);
	kvm = make_kvm();
	ck_assert_int_eq(open_for(scene.ctx, ALONE, kvm, &dev), 0);
	inject_ioctl_fail(VFIO_GROUP_GET_DEVICE_FD, 1, 1, -EPERM);
	unit_fails(-EPERM, iommufd_device_attach(dev, scene.ioas));
	ck_assert_uint_eq(inject_ioctls(KVM_SET_DEVICE_ATTR), 2);
	ck_assert_uint_eq(num_known, 0);
	inject_ioctl_fail(KVM_SET_DEVICE_ATTR, 1, 1, -EEXIST);
	unit_fails(-EEXIST, iommufd_device_attach(dev, scene.ioas));
	unit_words_have("tell the VM of IOMMU group 9");
	ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_SET_CONTAINER), inject_ioctls(VFIO_GROUP_UNSET_CONTAINER));
	ck_assert_int_eq(iommufd_device_attach(dev, scene.ioas), 0);
	ck_assert_uint_eq(num_known, 1);
	iommufd_device_free(dev);
	iommufd_kvm_free(kvm);
	close_scene(&scene);
}
END_TEST

static uint32_t compat;

static int vfio_ioas(int fd, void *arg)
{
	struct iommu_vfio_ioas *cmd = arg;

	(void)fd;
	if (cmd->op == IOMMU_VFIO_IOAS_GET && !compat)
		return -ENODEV;
	if (cmd->op == IOMMU_VFIO_IOAS_GET)
		cmd->ioas_id = compat;
	else
		compat = cmd->op == IOMMU_VFIO_IOAS_SET ? cmd->ioas_id : 0;
	return 0;
}

START_TEST(a_group_on_an_iommufd_is_told_when_its_first_device_is_opened)
{
	struct iommufd_device *dev;
	struct iommufd_kvm *kvm;
	struct scene scene;

	open_scene(&scene, IOMMUFD_BACKEND_IOMMUFD);
	kvm = make_kvm();
	inject_ioctl(IOMMU_VFIO_IOAS, vfio_ioas);
	inject_ioctl_fail(KVM_SET_DEVICE_ATTR, 1, 1, -ENOMEM);
	unit_fails(-ENOMEM, open_for(scene.ctx, NODELESS, kvm, &dev));
	ck_assert_int_eq(open_for(scene.ctx, NODELESS, kvm, &dev), 0);
	ck_assert_uint_eq(num_known, 1);
	ck_assert_int_eq(iommufd_device_attach(dev, scene.ioas), 0);
	ck_assert_uint_lt(inject_ioctl_order(KVM_SET_DEVICE_ATTR), inject_ioctl_order(VFIO_GROUP_GET_DEVICE_FD));
	ck_assert_int_eq(iommufd_device_detach(dev), 0);
	ck_assert_uint_eq(num_known, 1);
	iommufd_device_free(dev);
	ck_assert_uint_eq(num_known, 0);
	iommufd_kvm_free(kvm);
	scene_other_object();
	inject_ioctl(IOMMU_VFIO_IOAS, NULL);
	unlink(link_to_iommu);
	rmdir(folder);
	close(vm);
	iommufd_device_free(scene.dev);
	iommufd_ioas_free(scene.ioas);
	iommufd_ctx_free(scene.ctx);
	ck_assert_uint_eq(inject_fds(), 0);
}
END_TEST

/* ---- The handle ---- */

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

	vm = memfd_create("vm", MFD_CLOEXEC);
	inject_ioctl(KVM_HAS_DEVICE_ATTR, inject_succeed);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		inject_ioctl_fail(KVM_CREATE_DEVICE, 1, 1, refusals[i].err);
		unit_fails(refusals[i].ret, iommufd_kvm_new(vm, &kvm));
		unit_words_have(refusals[i].words);
		inject_ioctl_fail(KVM_CREATE_DEVICE, 1, 1, refusals[i].err);
		unit_fails(refusals[i].ret, iommufd_kvm_from_fd(vm, vm, &kvm));
	}
	inject_ioctl(KVM_CREATE_DEVICE, inject_succeed); /* and gives no descriptor */
	unit_fails(-EPROTO, iommufd_kvm_new(vm, &kvm));
	unit_fails(-EBADF, iommufd_kvm_new(-1, &kvm));
	unit_fails(-EBADF, iommufd_kvm_from_fd(-1, vm, &kvm));
	unit_words_have("-1");
	unit_fails(-EBADF, iommufd_kvm_from_fd(vm, -1, &kvm));
	inject_ioctl_fail(KVM_HAS_DEVICE_ATTR, 1, 1, -ENXIO);
	unit_fails(-EINVAL, iommufd_kvm_from_fd(vm, vm, &kvm));
	unit_words_have("it is /memfd:vm");
	inject_ioctl_fail(KVM_HAS_DEVICE_ATTR, 1, 1, -EIO);
	unit_fails(-EIO, iommufd_kvm_from_fd(vm, vm, &kvm));
	for (unsigned int nth = 1; nth <= 2; nth++) {
		inject_fail(INJECT_DUP, nth, -EMFILE);
		unit_fails(-EMFILE, iommufd_kvm_from_fd(vm, vm, &kvm));
	}
	inject_fail(INJECT_MEMORY, 1, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_kvm_from_fd(vm, vm, &kvm));
	ck_assert_ptr_eq(kvm, (void *)1);
	ck_assert_uint_eq(inject_fds(), 0);
	iommufd_kvm_free(NULL);
	close(vm);
}
END_TEST

START_TEST(a_child_frees_and_asks_for_nothing)
{
	struct iommufd_device *dev, *other;
	struct iommufd_kvm *kvm;
	struct scene scene;
	int status;
	pid_t child;

	open_scene(&scene, _i ? IOMMUFD_BACKEND_IOMMUFD : IOMMUFD_BACKEND_VFIO);
	kvm = make_kvm();
	ck_assert_int_eq(open_for(scene.ctx, ALONE, kvm, &dev), 0);
	ck_assert_int_eq(iommufd_device_attach(dev, scene.ioas), 0);
	pthread_mutex_lock(&kvm->lock); /* by another thread, that will not be there */
	child = fork();
	if (!child) {
		unsigned int asked = inject_count(INJECT_IOCTL);

		alarm(10);
		unit_fails(-EPERM, iommufd_kvm_no_snoop_blocked(kvm));
		unit_fails(-EPERM, iommufd_device_is_coherent(dev));
		unit_fails(-EPERM, open_for(scene.ctx, SCENE_OTHER, kvm, &other));
		iommufd_kvm_free(kvm);
		iommufd_device_free(dev);
		ck_assert_uint_eq(inject_count(INJECT_IOCTL), asked);
		_exit(0);
	}
	pthread_mutex_unlock(&kvm->lock);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	iommufd_device_free(dev);
	iommufd_kvm_free(kvm);
	close_scene(&scene);
}
END_TEST

/* ---- Coherency ---- */

static int snooped; /* what the kernel says of all that is in an IOAS, in its turn */
static int later = -1;

static int check_extension(int fd, void *arg)
{
	int now = snooped;

	(void)fd;
	if ((uintptr_t)arg != VFIO_DMA_CC_IOMMU)
		return (uintptr_t)arg == VFIO_TYPE1v2_IOMMU || (uintptr_t)arg == VFIO_TYPE1_IOMMU;
	if (later >= 0)
		snooped = later;
	return now;
}

static void bring_answers(void)
{
	inject_ioctl(VFIO_CHECK_EXTENSION, check_extension);
	inject_ioctl(IOMMU_VFIO_IOAS, vfio_ioas);
}

static void end_answers(struct scene *scene, struct iommufd_kvm *kvm)
{
	ck_assert_uint_eq(compat, 0);
	iommufd_kvm_free(kvm);
	close_scene(scene);
}

START_TEST(one_device_that_gets_around_the_caches_is_enough)
{
	uint32_t backend = _i ? IOMMUFD_BACKEND_IOMMUFD : IOMMUFD_BACKEND_VFIO;
	struct iommufd_device *dev, *other;
	struct iommufd_ioas *second;
	struct iommufd_kvm *kvm;
	struct scene scene;

	open_scene(&scene, backend);
	bring_answers();
	kvm = make_kvm();
	ck_assert_int_eq(iommufd_ioas_new(scene.ctx, &second), 0);
	ck_assert_int_eq(iommufd_kvm_no_snoop_blocked(kvm), 1);
	ck_assert_int_eq(open_for(scene.ctx, ALONE, kvm, &dev), 0);
	unit_fails(-ENOTCONN, iommufd_kvm_no_snoop_blocked(kvm));
	unit_words_have(ALONE);
	snooped = 1;
	ck_assert_int_eq(iommufd_device_attach(dev, scene.ioas), 0);
	ck_assert_int_eq(iommufd_kvm_no_snoop_blocked(kvm), 1);

	/* One without an IOMMU of its own, whatever the kernel says of the IOAS. */
	ck_assert_int_eq(open_for(scene.ctx, SCENE_OTHER, kvm, &other), 0);
	unit_fails(-ENOTCONN, iommufd_kvm_no_snoop_blocked(kvm));
	ck_assert_int_eq(iommufd_device_attach(other, second), 0);
	ck_assert_int_eq(iommufd_kvm_no_snoop_blocked(kvm), 0);
	iommufd_device_free(other);
	ck_assert_int_eq(iommufd_kvm_no_snoop_blocked(kvm), 1);
	ck_assert_int_eq(iommufd_device_detach(dev), 0);
	unit_fails(-ENOTCONN, iommufd_kvm_no_snoop_blocked(kvm));
	snooped = 0;
	if (backend == IOMMUFD_BACKEND_IOMMUFD) {
		snooped = 1;
		later = 0;
	}
	ck_assert_int_eq(iommufd_device_attach(dev, scene.ioas), 0);
	ck_assert_int_eq(iommufd_kvm_no_snoop_blocked(kvm), 0);
	iommufd_device_free(dev);
	iommufd_ioas_free(second);
	end_answers(&scene, kvm);
}
END_TEST

START_TEST(what_another_device_hides_is_not_guessed)
{
	struct iommufd_device *dev;
	struct iommufd_kvm *kvm;
	struct scene scene;

	open_scene(&scene, _i ? IOMMUFD_BACKEND_IOMMUFD : IOMMUFD_BACKEND_VFIO);
	bring_answers();
	kvm = make_kvm();
	snooped = 0;
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0); /* of nobody's VM */
	ck_assert_int_eq(open_for(scene.ctx, ALONE, kvm, &dev), 0);
	ck_assert_int_eq(iommufd_device_attach(dev, scene.ioas), 0);
	unit_fails(-EOPNOTSUPP, iommufd_kvm_no_snoop_blocked(kvm));
	unit_words_have(ALONE);
	unit_words_have("an IOAS of its own");
	ck_assert_int_eq(iommufd_device_detach(dev), 0);

	/* What fails then costs the answer, and not the attach. */
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	snooped = -EIO;
	ck_assert_int_eq(iommufd_device_attach(dev, scene.ioas), 0);
	unit_fails(-EIO, iommufd_kvm_no_snoop_blocked(kvm));
	unit_words_have("at the attach");
	iommufd_device_free(dev);
	end_answers(&scene, kvm);
}
END_TEST

START_TEST(coherency_is_known_of_what_has_an_iommu)
{
	struct iommufd_device_calls calls = { .struct_size = sizeof(calls) };
	struct iommufd_device *dev, *theirs;
	struct scene scene;

	open_scene(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl(IOMMU_GET_HW_INFO, inject_succeed);
	vm = -1;
	ck_assert_int_eq(iommufd_device_new(scene.ctx, ALONE, &dev), 0);
	ck_assert_int_eq(iommufd_device_is_coherent(dev), 1);
	unit_fails(-EOPNOTSUPP, iommufd_device_is_coherent(scene.dev));
	unit_words_have("no IOMMU of its own");
	ck_assert_int_eq(iommufd_device_from_id(scene.ctx, 4711, &calls, &theirs), 0);
	unit_fails(-EOPNOTSUPP, iommufd_device_is_coherent(theirs));
	unit_words_have("who has bound it");
	iommufd_device_free(theirs);
	iommufd_device_free(dev);
	close_scene(&scene);
}
END_TEST

/* ---- Interrupts ---- */

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
	open_scene(scene, backend);
	*kvm = make_kvm();
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
	close_scene(&scene);
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
	close_scene(&scene);
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
	close_scene(&scene);
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
	close_scene(&scene);
}
END_TEST

/* ---- Each failure ---- */

static int use(struct scene *scene, struct iommufd_kvm *kvm, bool *more)
{
	struct iommufd_device *dev;
	int ret = open_for(scene->ctx, ALONE, kvm, &dev);

	*more = inject_failed();
	if (ret)
		return ret;
	ret = iommufd_device_attach(dev, scene->ioas);
	*more = inject_failed();
	inject_fail(INJECT_ANY, 0, 0);
	ck_assert_int_eq(num_known, !ret || scene->ctx->backend == &ifd_backend_iommufd);
	iommufd_device_free(dev);
	return ret;
}

START_TEST(whatever_fails_kvm_is_left_as_it_was)
{
	struct iommufd_kvm *kvm;
	struct scene scene;
	unsigned int fds, nth = 0, failed = 0;
	bool more = true;

	open_scene(&scene, _i ? IOMMUFD_BACKEND_IOMMUFD : IOMMUFD_BACKEND_VFIO);
	bring_answers();
	snooped = 1;
	kvm = make_kvm();
	fds = inject_fds();
	while (more) {
		inject_fail(INJECT_ANY, ++nth, -EIO);
		failed += use(&scene, kvm, &more) != 0;
		inject_fail(INJECT_ANY, 0, 0);
		ck_assert_msg(!num_known, "after the failure of system call %u", nth);
		ck_assert_uint_eq(inject_fds(), fds);
		compat = 0; /* giving that back may have been what failed */
	}
	ck_assert_uint_ge(failed, 4);
	end_answers(&scene, kvm);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_node_is_told_before_it_is_bound_and_forgotten_before_it_is_closed);
	tcase_add_test(tcase, a_node_that_cannot_be_bound_is_taken_back);
	tcase_add_test(tcase, a_node_that_kvm_does_not_take_is_not_bound);
	tcase_add_test(tcase, a_container_has_a_type_before_its_group_is_told_and_hands_out_devices_after);
	tcase_add_loop_test(tcase, a_group_is_told_once_whatever_the_order_in_which_its_devices_go, 0, 8);
	tcase_add_test(tcase, a_group_is_told_again_when_its_last_device_was_detached_meanwhile);
	tcase_add_test(tcase, a_group_is_one_vms);
	tcase_add_test(tcase, an_attach_that_fails_takes_the_group_back);
	tcase_add_test(tcase, a_group_on_an_iommufd_is_told_when_its_first_device_is_opened);
	tcase_add_test(tcase, what_a_vm_refuses_has_words);
	tcase_add_loop_test(tcase, a_child_frees_and_asks_for_nothing, 0, 2);
	tcase_add_loop_test(tcase, one_device_that_gets_around_the_caches_is_enough, 0, 2);
	tcase_add_loop_test(tcase, what_another_device_hides_is_not_guessed, 0, 2);
	tcase_add_test(tcase, coherency_is_known_of_what_has_an_iommu);
	tcase_add_test(tcase, a_level_is_taken_back_with_what_unmasks_it);
	tcase_add_test(tcase, what_kvm_refuses_of_an_interrupt_has_words);
	tcase_add_loop_test(tcase, an_interrupt_that_fails_half_way_is_taken_back, 0, 8);
	tcase_add_test(tcase, a_child_that_frees_an_interrupt_leaves_it_to_its_parent);
	tcase_add_loop_test(tcase, whatever_fails_kvm_is_left_as_it_was, 0, 2);
}
