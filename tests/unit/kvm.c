/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Telling KVM of devices: when, what is taken back, and what KVM makes of them. */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvm-scene.h"
#include "uapi/iommufd.h"
#include "uapi/kvm.h"
#include "uapi/vfio.h"

/* ---- By a device's node ---- */

START_TEST(a_node_is_told_before_it_is_bound_and_forgotten_before_it_is_closed)
{
	struct iommufd_device *dev, *second;
	struct iommufd_kvm *kvm;
	struct scene scene;

	kvm_scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	kvm = kvm_scene_vm();
	ck_assert_int_eq(kvm_scene_device(scene.ctx, SCENE_SIBLING, kvm, &dev), 0);
	ck_assert_uint_eq(kvm_scene_known, 1);
	ck_assert_uint_lt(inject_ioctl_order(KVM_SET_DEVICE_ATTR), inject_ioctl_order(VFIO_DEVICE_BIND_IOMMUFD));
	ck_assert_int_eq(kvm_scene_device(scene.ctx, SCENE_OTHER, kvm, &second), 0);
	ck_assert_uint_eq(kvm_scene_known, 2);
	iommufd_kvm_free(kvm);
	ck_assert_uint_eq(kvm_scene_known, 2);
	iommufd_device_free(dev);
	ck_assert_uint_eq(kvm_scene_known, 1);
	iommufd_device_free(second);
	kvm_scene_close(&scene);
}
END_TEST

START_TEST(a_node_that_cannot_be_bound_is_taken_back)
{
	struct iommufd_device *dev = (void *)1;
	struct iommufd_kvm *kvm;
	struct scene scene;

	kvm_scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	kvm = kvm_scene_vm();
	inject_ioctl_fail(VFIO_DEVICE_BIND_IOMMUFD, 1, 1, -EPERM);
	unit_fails(-EPERM, kvm_scene_device(scene.ctx, SCENE_OTHER, kvm, &dev));
	ck_assert_uint_eq(inject_ioctls(KVM_SET_DEVICE_ATTR), 2);
	ck_assert_uint_eq(kvm_scene_known, 0);
	ck_assert_ptr_eq(dev, (void *)1);
	iommufd_kvm_free(kvm);
	kvm_scene_close(&scene);
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

	kvm_scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	kvm = kvm_scene_vm();
	binds = inject_ioctls(VFIO_DEVICE_BIND_IOMMUFD);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		inject_ioctl_fail(KVM_SET_DEVICE_ATTR, 1, 1, refusals[i].err);
		unit_fails(refusals[i].err, kvm_scene_device(scene.ctx, SCENE_OTHER, kvm, &dev));
		unit_words_have(refusals[i].words);
	}
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_BIND_IOMMUFD), binds);
	iommufd_kvm_free(kvm);
	kvm_scene_close(&scene);
}
END_TEST

/* ---- By a group's node ---- */

START_TEST(a_container_has_a_type_before_its_group_is_told_and_hands_out_devices_after)
{
	struct iommufd_device *dev;
	struct iommufd_kvm *kvm;
	struct scene scene;

	kvm_scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	kvm = kvm_scene_vm();
	ck_assert_int_eq(kvm_scene_device(scene.ctx, ALONE, kvm, &dev), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(kvm_scene_known, 0);
		ck_assert_int_eq(iommufd_device_attach(dev, scene.ioas), 0);
		ck_assert_uint_eq(kvm_scene_known, 1);
		ck_assert_uint_gt(inject_ioctl_order(KVM_SET_DEVICE_ATTR), inject_ioctl_order(VFIO_SET_IOMMU));
		ck_assert_uint_lt(inject_ioctl_order(KVM_SET_DEVICE_ATTR),
				  inject_ioctl_order(VFIO_GROUP_GET_DEVICE_FD));
		ck_assert_int_eq(iommufd_device_detach(dev), 0);
	}
	ck_assert_uint_eq(kvm_scene_known, 0);
	iommufd_device_free(dev);
	iommufd_kvm_free(kvm);
	kvm_scene_close(&scene);
}
END_TEST

/* Which of two devices of a group have the VM, and in which order they go. */
static void share_group(bool both, bool first_goes_first, bool freed_early)
{
	struct iommufd_device *devs[2];
	struct iommufd_kvm *kvm;
	struct scene scene;

	kvm_scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	kvm = kvm_scene_vm();
	iommufd_device_free(scene.dev);
	scene.dev = NULL;
	ck_assert_int_eq(kvm_scene_device(scene.ctx, SCENE_DEVICE, both ? kvm : NULL, &devs[0]), 0);
	ck_assert_int_eq(iommufd_device_attach(devs[0], scene.ioas), 0);
	ck_assert_uint_eq(kvm_scene_known, both);
	ck_assert_int_eq(kvm_scene_device(scene.ctx, SCENE_SIBLING, kvm, &devs[1]), 0);
	ck_assert_int_eq(iommufd_device_attach(devs[1], scene.ioas), 0);
	ck_assert_uint_eq(kvm_scene_known, 1);
	ck_assert_uint_eq(inject_ioctls(KVM_SET_DEVICE_ATTR), 1);
	if (freed_early)
		iommufd_kvm_free(kvm);
	iommufd_device_free(devs[!first_goes_first]);
	ck_assert_uint_eq(kvm_scene_known, both || first_goes_first);
	iommufd_device_free(devs[first_goes_first]);
	ck_assert_uint_eq(inject_ioctls(KVM_SET_DEVICE_ATTR), 2);
	if (!freed_early)
		iommufd_kvm_free(kvm);
	kvm_scene_close(&scene);
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

	kvm_scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	kvm = kvm_scene_vm();
	ck_assert_int_eq(kvm_scene_device(scene.ctx, SCENE_SIBLING, kvm, &sibling), 0);
	/* One that was opened without a VM, in the group of one. */
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_uint_eq(kvm_scene_known, 1);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	ck_assert_uint_eq(kvm_scene_known, 0);
	ck_assert_int_eq(iommufd_device_attach(sibling, scene.ioas), 0);
	ck_assert_uint_eq(kvm_scene_known, 1);
	iommufd_device_free(sibling);
	iommufd_kvm_free(kvm);
	kvm_scene_close(&scene);
}
END_TEST

START_TEST(a_group_is_one_vms)
{
	struct iommufd_device *mine, *dev = (void *)1;
	struct iommufd_kvm *first, *second;
	struct scene scene;

	kvm_scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	first = kvm_scene_vm();
	ck_assert_int_eq(iommufd_kvm_new(kvm_scene_fd, &second), 0);
	ck_assert_int_eq(kvm_scene_device(scene.ctx, SCENE_SIBLING, first, &mine), 0);
	iommufd_device_free(scene.dev);
	scene.dev = NULL;
	unit_fails(-EBUSY, kvm_scene_device(scene.ctx, SCENE_DEVICE, second, &dev));
	unit_words_have("IOMMU group 7 is another VM's");
	ck_assert_ptr_eq(dev, (void *)1);
	iommufd_device_free(mine);
	ck_assert_int_eq(kvm_scene_device(scene.ctx, SCENE_DEVICE, second, &scene.dev), 0);
	iommufd_kvm_free(second);
	iommufd_kvm_free(first);
	kvm_scene_close(&scene);
}
END_TEST

START_TEST(an_attach_that_fails_takes_the_group_back)
{
	struct iommufd_device *dev;
	struct iommufd_kvm *kvm;
	struct scene scene;

	kvm_scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	kvm = kvm_scene_vm();
	ck_assert_int_eq(kvm_scene_device(scene.ctx, ALONE, kvm, &dev), 0);
	inject_ioctl_fail(VFIO_GROUP_GET_DEVICE_FD, 1, 1, -EPERM);
	unit_fails(-EPERM, iommufd_device_attach(dev, scene.ioas));
	ck_assert_uint_eq(inject_ioctls(KVM_SET_DEVICE_ATTR), 2);
	ck_assert_uint_eq(kvm_scene_known, 0);
	inject_ioctl_fail(KVM_SET_DEVICE_ATTR, 1, 1, -EEXIST);
	unit_fails(-EEXIST, iommufd_device_attach(dev, scene.ioas));
	unit_words_have("tell the VM of IOMMU group 9");
	ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_SET_CONTAINER), inject_ioctls(VFIO_GROUP_UNSET_CONTAINER));
	ck_assert_int_eq(iommufd_device_attach(dev, scene.ioas), 0);
	ck_assert_uint_eq(kvm_scene_known, 1);
	iommufd_device_free(dev);
	iommufd_kvm_free(kvm);
	kvm_scene_close(&scene);
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

	kvm_scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	kvm = kvm_scene_vm();
	inject_ioctl(IOMMU_VFIO_IOAS, vfio_ioas);
	inject_ioctl_fail(KVM_SET_DEVICE_ATTR, 1, 1, -ENOMEM);
	unit_fails(-ENOMEM, kvm_scene_device(scene.ctx, NODELESS, kvm, &dev));
	ck_assert_int_eq(kvm_scene_device(scene.ctx, NODELESS, kvm, &dev), 0);
	ck_assert_uint_eq(kvm_scene_known, 1);
	ck_assert_int_eq(iommufd_device_attach(dev, scene.ioas), 0);
	ck_assert_uint_lt(inject_ioctl_order(KVM_SET_DEVICE_ATTR), inject_ioctl_order(VFIO_GROUP_GET_DEVICE_FD));
	ck_assert_int_eq(iommufd_device_detach(dev), 0);
	ck_assert_uint_eq(kvm_scene_known, 1);
	iommufd_device_free(dev);
	ck_assert_uint_eq(kvm_scene_known, 0);
	iommufd_kvm_free(kvm);
	scene_other_object();
	inject_ioctl(IOMMU_VFIO_IOAS, NULL);
	kvm_scene_forget_folder();
	iommufd_device_free(scene.dev);
	iommufd_ioas_free(scene.ioas);
	iommufd_ctx_free(scene.ctx);
	ck_assert_uint_eq(inject_fds(), 0);
}
END_TEST

/* ---- Child processes ---- */

START_TEST(a_child_frees_and_asks_for_nothing)
{
	struct iommufd_device *dev, *other;
	struct iommufd_kvm *kvm;
	struct scene scene;
	int status;
	pid_t child;

	kvm_scene_open(&scene, _i ? IOMMUFD_BACKEND_IOMMUFD : IOMMUFD_BACKEND_VFIO);
	kvm = kvm_scene_vm();
	ck_assert_int_eq(kvm_scene_device(scene.ctx, ALONE, kvm, &dev), 0);
	ck_assert_int_eq(iommufd_device_attach(dev, scene.ioas), 0);
	pthread_mutex_lock(&kvm->lock); /* by another thread, that will not be there */
	child = fork();
	if (!child) {
		unsigned int asked = inject_count(INJECT_IOCTL);

		alarm(10);
		unit_fails(-EPERM, iommufd_kvm_no_snoop_blocked(kvm));
		unit_fails(-EPERM, iommufd_device_is_coherent(dev));
		unit_fails(-EPERM, kvm_scene_device(scene.ctx, SCENE_OTHER, kvm, &other));
		iommufd_kvm_free(kvm);
		iommufd_device_free(dev);
		ck_assert_uint_eq(inject_count(INJECT_IOCTL), asked);
		ck_assert_uint_eq(inject_destroyed_held(), 0);
		_exit(0);
	}
	pthread_mutex_unlock(&kvm->lock);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	iommufd_device_free(dev);
	iommufd_kvm_free(kvm);
	kvm_scene_close(&scene);
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
	kvm_scene_close(scene);
}

START_TEST(one_device_that_gets_around_the_caches_is_enough)
{
	uint32_t backend = _i ? IOMMUFD_BACKEND_IOMMUFD : IOMMUFD_BACKEND_VFIO;
	struct iommufd_device *dev, *other;
	struct iommufd_ioas *second;
	struct iommufd_kvm *kvm;
	struct scene scene;

	kvm_scene_open(&scene, backend);
	bring_answers();
	kvm = kvm_scene_vm();
	ck_assert_int_eq(iommufd_ioas_new(scene.ctx, &second), 0);
	ck_assert_int_eq(iommufd_kvm_no_snoop_blocked(kvm), 1);
	ck_assert_int_eq(kvm_scene_device(scene.ctx, ALONE, kvm, &dev), 0);
	unit_fails(-ENOTCONN, iommufd_kvm_no_snoop_blocked(kvm));
	unit_words_have(ALONE);
	snooped = 1;
	ck_assert_int_eq(iommufd_device_attach(dev, scene.ioas), 0);
	ck_assert_int_eq(iommufd_kvm_no_snoop_blocked(kvm), 1);

	/* One without an IOMMU of its own, whatever the kernel says of the IOAS. */
	ck_assert_int_eq(kvm_scene_device(scene.ctx, SCENE_OTHER, kvm, &other), 0);
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

	kvm_scene_open(&scene, _i ? IOMMUFD_BACKEND_IOMMUFD : IOMMUFD_BACKEND_VFIO);
	bring_answers();
	kvm = kvm_scene_vm();
	snooped = 0;
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0); /* of nobody's VM */
	ck_assert_int_eq(kvm_scene_device(scene.ctx, ALONE, kvm, &dev), 0);
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

	kvm_scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl(IOMMU_GET_HW_INFO, inject_succeed);
	kvm_scene_fd = -1;
	ck_assert_int_eq(iommufd_device_new(scene.ctx, ALONE, &dev), 0);
	ck_assert_int_eq(iommufd_device_is_coherent(dev), 1);
	unit_fails(-EOPNOTSUPP, iommufd_device_is_coherent(scene.dev));
	unit_words_have("no IOMMU of its own");
	ck_assert_int_eq(iommufd_device_from_id(scene.ctx, 4711, &calls, &theirs), 0);
	unit_fails(-EOPNOTSUPP, iommufd_device_is_coherent(theirs));
	unit_words_have("who has bound it");
	iommufd_device_free(theirs);
	iommufd_device_free(dev);
	kvm_scene_close(&scene);
}
END_TEST

/* ---- Each failure ---- */

static int use(struct scene *scene, struct iommufd_kvm *kvm, bool *more)
{
	struct iommufd_device *dev;
	int ret = kvm_scene_device(scene->ctx, ALONE, kvm, &dev);

	*more = inject_failed();
	if (ret)
		return ret;
	ret = iommufd_device_attach(dev, scene->ioas);
	*more = inject_failed();
	inject_fail(INJECT_ANY, 0, 0);
	ck_assert_int_eq(kvm_scene_known, !ret || scene->ctx->backend == &ifd_backend_iommufd);
	iommufd_device_free(dev);
	return ret;
}

START_TEST(whatever_fails_kvm_is_left_as_it_was)
{
	struct iommufd_kvm *kvm;
	struct scene scene;
	unsigned int fds, nth = 0, failed = 0;
	bool more = true;

	kvm_scene_open(&scene, _i ? IOMMUFD_BACKEND_IOMMUFD : IOMMUFD_BACKEND_VFIO);
	bring_answers();
	snooped = 1;
	kvm = kvm_scene_vm();
	fds = inject_fds();
	while (more) {
		inject_fail(INJECT_ANY, ++nth, -EIO);
		failed += use(&scene, kvm, &more) != 0;
		inject_fail(INJECT_ANY, 0, 0);
		ck_assert_msg(!kvm_scene_known, "after the failure of system call %u", nth);
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
	tcase_add_loop_test(tcase, a_child_frees_and_asks_for_nothing, 0, 2);
	tcase_add_loop_test(tcase, one_device_that_gets_around_the_caches_is_enough, 0, 2);
	tcase_add_loop_test(tcase, what_another_device_hides_is_not_guessed, 0, 2);
	tcase_add_test(tcase, coherency_is_known_of_what_has_an_iommu);
	tcase_add_loop_test(tcase, whatever_fails_kvm_is_left_as_it_was, 0, 2);
}
