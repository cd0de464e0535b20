/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Opening and attaching through iommufd, when the kernel refuses. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

static struct iommufd_device *const untouched = (void *)1;

static void attach_fails(struct scene *scene, int err)
{
	unit_fails(err, iommufd_device_attach(scene->dev, scene->ioas));
	unit_words_have(SCENE_DEVICE);
	scene_check_detached(scene);
	ck_assert_uint_eq(inject_ioctls(IOMMU_IOAS_ALLOC), inject_ioctls(IOMMU_DESTROY) + 1); /* the IOAS itself */
}

static void open_scene(struct scene *scene)
{
	scene_open(scene, IOMMUFD_BACKEND_IOMMUFD);
}

static void close_scene(struct scene *scene)
{
	ck_assert_int_eq(iommufd_device_attach(scene->dev, scene->ioas), 0); /* nothing is left in the way */
	scene_close(scene);
}

START_TEST(a_mapping_that_keeps_a_device_from_attaching_is_named)
{
	struct scene scene;

	open_scene(&scene);
	scene_map(&scene, 0x40000, 4);
	scene_map(&scene, 0xfee00000, 2);
	inject_ioctl_fail(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 1, 1, -EADDRINUSE);
	attach_fails(&scene, -EADDRINUSE);
	unit_words_have("0xfee00000-0xfee01fff");
	unit_words_have("0x0-0xfedfffff, 0xfef00000-0xffffffffffff");
	ck_assert_ptr_null(strstr(iommufd_errmsg(), "0x40000-"));
	ck_assert_int_eq(iommufd_ioas_unmap(scene.ioas, 0xfee00000, 2 * SCENE_PAGE, NULL), 0);
	close_scene(&scene);
}
END_TEST

START_TEST(a_conflict_stays_a_conflict_when_it_cannot_be_explained)
{
	static const struct {
		unsigned long request;
		unsigned int nth;
	} fails[] = {
		{ IOMMU_IOAS_ALLOC, 1 },
		{ VFIO_DEVICE_ATTACH_IOMMUFD_PT, 2 },
		{ IOMMU_IOAS_IOVA_RANGES, 1 },
	};
	struct scene scene;

	open_scene(&scene);
	scene_map(&scene, 0xfee00000, 1);
	for (size_t i = 0; i < sizeof(fails) / sizeof(fails[0]); i++) {
		inject_ioctl_fail(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 1, 1, -EADDRINUSE);
		if (fails[i].request == VFIO_DEVICE_ATTACH_IOMMUFD_PT)
			inject_ioctl_fail(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 1, 2, -EADDRINUSE);
		else
			inject_ioctl_fail(fails[i].request, fails[i].nth, 1, -EIO);
		attach_fails(&scene, -EADDRINUSE);
		unit_words_have("conflict");
	}
	close_scene(&scene);
}
END_TEST

START_TEST(a_conflict_with_no_mapping_that_is_out_of_place_blames_none)
{
	struct scene scene;

	open_scene(&scene);
	scene_map(&scene, 0x40000, 4);
	inject_ioctl_fail(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 1, 1, -EADDRINUSE);
	attach_fails(&scene, -EADDRINUSE);
	ck_assert_ptr_null(strstr(iommufd_errmsg(), "0x40000"));
	close_scene(&scene);
}
END_TEST

START_TEST(memory_that_cannot_be_pinned_at_the_attach_is_named)
{
	static const int errs[] = { -EFAULT, -ENOMEM };
	struct scene scene;

	open_scene(&scene);
	scene_map(&scene, 0x40000, 4);
	scene_map(&scene, 0x80000, 2);
	for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
		inject_ioctl_fail(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 1, 1, errs[i]);
		inject_ioctl_fail(IOMMU_IOAS_MAP, 2, 1, errs[i]);
		attach_fails(&scene, errs[i]);
		unit_words_have("attach " SCENE_DEVICE);
		unit_words_have("8192 bytes, at IOVA 0x80000");
		ck_assert_uint_eq(inject_ioctls(IOMMU_IOAS_ALLOC), inject_ioctls(IOMMU_DESTROY) + 1);
	}
	close_scene(&scene);
}
END_TEST

START_TEST(no_mapping_is_blamed_for_what_has_another_reason)
{
	struct iommufd_device *other;
	struct scene scene;

	open_scene(&scene);
	scene_map(&scene, 0x40000, 4);
	inject_ioctl_fail(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 1, 1, -EFAULT);
	inject_ioctl_fail(IOMMU_IOAS_MAP, 1, 1, -ENOMEM);
	attach_fails(&scene, -EFAULT);
	ck_assert_ptr_null(strstr(iommufd_errmsg(), "0x40000"));
	scene_answers();

	/* A further device has nothing pinned anew, so nothing is pinned to find out. */
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_OTHER, &other), 0);
	inject_ioctl_fail(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 1, 1, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_device_attach(other, scene.ioas));
	ck_assert_uint_eq(inject_ioctls(IOMMU_IOAS_ALLOC), 2); /* its own, and the one before */
	iommufd_device_free(other);
	scene_close(&scene);
}
END_TEST

START_TEST(an_ioas_that_the_kernel_holds_for_a_moment_is_destroyed_after_it)
{
	struct iommufd_ioas *ioas;
	struct scene scene;

	open_scene(&scene);
	ck_assert_int_eq(iommufd_ioas_new(scene.ctx, &ioas), 0);
	inject_ioctl_fail(IOMMU_DESTROY, 1, 3, -EBUSY);
	iommufd_ioas_free(ioas);
	ck_assert_uint_eq(inject_ioctls(IOMMU_DESTROY), 1);
	close_scene(&scene);
}
END_TEST

START_TEST(each_refusal_to_attach_has_its_hint)
{
	static const struct {
		int err;
		const char *hint;
	} refusals[] = {
		{ -ENOMEM, "16384" }, /* what is to be pinned */
		{ -EFAULT, "unmap before freeing" },
		{ -EINVAL, "cannot serve" },
		{ -EIO, "attach" },
	};
	struct scene scene;

	open_scene(&scene);
	scene_map(&scene, 0x40000, 4);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		inject_ioctl_fail(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 1, 1, refusals[i].err);
		attach_fails(&scene, refusals[i].err);
		unit_words_have(refusals[i].hint);
	}
	close_scene(&scene);
}
END_TEST

/* Nothing is tried there with a scratch IOAS, but the words are the same. */
START_TEST(a_refusal_to_move_has_the_hint_of_one_to_attach)
{
	static const struct {
		int err;
		const char *hint;
	} refusals[] = {
		{ -ENOMEM, "16384" },
		{ -EFAULT, "unmap before freeing" },
		{ -EADDRINUSE, "a mapping conflicts" },
		{ -EINVAL, "cannot serve" },
		{ -EBUSY, "copy of an earlier descriptor" },
		{ -EPERM, "interrupts" },
		{ -ENODEV, "not there any more" },
		{ -ENOENT, "behind the library's back" },
		{ -EOPNOTSUPP, "its IOMMU, or the way" },
		{ -EIO, "to another IOAS" },
	};
	struct iommufd_ioas *second;
	struct scene scene;
	uint64_t iova = 0x40000;

	open_scene(&scene);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_int_eq(iommufd_ioas_new(scene.ctx, &second), 0);
	ck_assert_int_eq(
		iommufd_ioas_map(second, (void *)0x40000, 4 * SCENE_PAGE, IOMMUFD_MAP_READ | IOMMUFD_MAP_FIXED, &iova),
		0);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		inject_ioctl_fail(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 1, 1, refusals[i].err);
		unit_fails(refusals[i].err, iommufd_device_replace(scene.dev, second));
		unit_words_have(refusals[i].hint);
	}
	iommufd_ioas_free(second);
	scene_close(&scene);
}
END_TEST

START_TEST(what_fails_after_the_attach_undoes_it)
{
	struct scene scene;

	open_scene(&scene);
	inject_ioctl_fail(VFIO_DEVICE_GET_INFO, 1, 1, -EIO);
	attach_fails(&scene, -EIO);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_DETACH_IOMMUFD_PT), 1);
	inject_ioctl_fail(IOMMU_IOAS_IOVA_RANGES, 1, 1, -ENOENT);
	unit_fails(-ENOENT, iommufd_device_attach(scene.dev, scene.ioas));
	scene_check_detached(&scene);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_DETACH_IOMMUFD_PT), 2);
	close_scene(&scene);
}
END_TEST

START_TEST(a_device_is_attached_to_one_ioas_of_its_own_context)
{
	struct iommufd_ioas *second;
	struct scene scene, elsewhere;

	open_scene(&scene);
	open_scene(&elsewhere);
	unit_fails(-EINVAL, iommufd_device_attach(scene.dev, elsewhere.ioas));
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	unit_fails(-EBUSY, iommufd_device_attach(scene.dev, scene.ioas));
	unit_words_have("this IOAS");
	ck_assert_int_eq(iommufd_ioas_new(scene.ctx, &second), 0);
	unit_fails(-EBUSY, iommufd_device_attach(scene.dev, second));
	unit_words_have("another IOAS");
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_ATTACH_IOMMUFD_PT), 1);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	unit_fails(-ENOTCONN, iommufd_device_detach(scene.dev));
	scene_check_detached(&scene);
	iommufd_ioas_free(second);
	iommufd_ioas_free(elsewhere.ioas);
	iommufd_device_free(elsewhere.dev);
	iommufd_ctx_free(elsewhere.ctx);
	scene_close(&scene);
}
END_TEST

static struct iommufd_device *open_by_node(struct iommufd_ctx *ctx, struct ifd_found *found)
{
	static char path[] = "/sys/devices/x", vfio[] = "vfio-pci";
	struct iommufd_device *dev;

	found->path = path;
	found->driver = vfio;
	found->vfio = true;
	inject_device(found);
	ck_assert_int_eq(iommufd_device_new(ctx, found->name, &dev), 0);
	return dev;
}

START_TEST(devices_with_and_without_an_iommu_never_meet_in_an_ioas)
{
	static char names[2][16] = { "0000:00:09.0", "0000:00:0a.0" };
	static char nodes[2][40] = { "/dev/vfio/devices/noiommu-vfio9", "/dev/vfio/devices/vfio10" };
	static struct ifd_found bare = { .name = names[0], .cdev = nodes[0], .group = 9, .noiommu = true };
	static struct ifd_found guarded = { .name = names[1], .cdev = nodes[1], .group = 10 };
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts),
					 .backend = IOMMUFD_BACKEND_IOMMUFD,
					 .flags = IOMMUFD_CTX_NOIOMMU };
	struct iommufd_device *without, *with;
	struct iommufd_ioas *spaces[3];
	struct iommufd_ctx *ctx;

	scene_answers();
	ck_assert_int_eq(iommufd_ctx_new(&opts, &ctx), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(iommufd_ioas_new(ctx, &spaces[i]), 0);
	without = open_by_node(ctx, &bare);
	with = open_by_node(ctx, &guarded);

	ck_assert_int_eq(iommufd_device_attach(without, spaces[0]), 0);
	unit_fails(-EINVAL, iommufd_device_attach(with, spaces[0]));
	unit_words_have("with and without an IOMMU");
	ck_assert_int_eq(iommufd_device_attach(with, spaces[1]), 0);
	unit_fails(-EINVAL, iommufd_device_replace(with, spaces[0]));
	unit_words_have("with and without an IOMMU");
	unit_fails(-EINVAL, iommufd_device_replace(without, spaces[1]));
	unit_words_have("with and without an IOMMU");
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_ATTACH_IOMMUFD_PT), 2);
	ck_assert_ptr_eq(with->at.ioas, spaces[1]);
	ck_assert_ptr_eq(without->at.ioas, spaces[0]);

	/* Who is alone takes its kind of addresses along. */
	ck_assert_int_eq(iommufd_device_replace(without, spaces[2]), 0);
	ck_assert_int_eq(iommufd_device_replace(with, spaces[0]), 0);
	unit_fails(-EINVAL, iommufd_device_replace(with, spaces[2]));
	ck_assert_int_eq(iommufd_device_replace(without, spaces[1]), 0);

	iommufd_device_free(with);
	iommufd_device_free(without);
	for (int i = 0; i < 3; i++)
		iommufd_ioas_free(spaces[i]);
	iommufd_ctx_free(ctx);
	ck_assert_uint_eq(inject_fds(), 0);
}
END_TEST

START_TEST(an_ioas_that_the_kernel_gives_without_an_id_is_a_breach_of_protocol)
{
	struct iommufd_ioas *ioas = (void *)1;
	struct scene scene;

	open_scene(&scene);
	inject_ioctl(IOMMU_IOAS_ALLOC, inject_succeed);
	unit_fails(-EPROTO, iommufd_ioas_new(scene.ctx, &ioas));
	ck_assert_ptr_eq(ioas, (void *)1);
	inject_ioctl_fail(IOMMU_IOAS_ALLOC, 1, 1, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_ioas_new(scene.ctx, &ioas));
	ck_assert_ptr_eq(ioas, (void *)1);
	ck_assert_uint_eq(inject_ioctls(IOMMU_DESTROY), 0);
	iommufd_device_free(scene.dev);
	iommufd_ioas_free(scene.ioas);
	iommufd_ctx_free(scene.ctx);
	ck_assert_uint_eq(inject_fds(), 0);
}
END_TEST

/* ---- Opening ---- */

static void open_fails(struct scene *scene, const char *address, int err)
{
	struct iommufd_device *dev = untouched;
	unsigned int before = inject_fds();

	unit_fails(err, iommufd_device_new(scene->ctx, address, &dev));
	ck_assert_ptr_eq(dev, untouched);
	ck_assert_uint_eq(inject_fds(), before);
	unit_words_have(address);
}

START_TEST(each_refusal_to_bind_has_its_hint_and_closes_the_node)
{
	static const struct {
		int err;
		const char *hint;
	} refusals[] = {
		{ -EPERM, SCENE_SIBLING " is bound to e1000e" },
		{ -EBUSY, "IOMMU group 8 is in use" },
		{ -EINVAL, "coherent" },
		{ -EIO, "bind" },
	};
	struct scene scene;

	open_scene(&scene);
	iommufd_device_free(scene.dev);
	scene.dev = NULL;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		/* The one in group 7 has another beside it. */
		const char *address = refusals[i].err == -EPERM ? SCENE_DEVICE : SCENE_OTHER;

		scene_kernel_has_sibling(refusals[i].err == -EPERM);
		inject_ioctl_fail(VFIO_DEVICE_BIND_IOMMUFD, 1, 1, refusals[i].err);
		open_fails(&scene, address, refusals[i].err);
		unit_words_have(refusals[i].hint);
	}
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_DEVICE, &scene.dev), 0);
	close_scene(&scene);
}
END_TEST

START_TEST(a_node_that_cannot_be_opened_is_named)
{
	static const int errs[] = { -EPERM, -EMFILE, -ENODEV, -EIO };
	struct scene scene;

	open_scene(&scene);
	for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
		inject_fail(INJECT_OPEN, 1, errs[i]);
		open_fails(&scene, SCENE_OTHER, errs[i]);
		unit_words_have("/dev/vfio/devices/vfio0");
	}
	/* But one that is only late is waited for. */
	iommufd_device_free(scene.dev);
	inject_fail(INJECT_OPEN, 1, -ENOENT);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_DEVICE, &scene.dev), 0);
	close_scene(&scene);
}
END_TEST

START_TEST(a_device_that_cannot_be_opened_is_told_what_to_do)
{
	static char name[] = "0000:00:1f.7", path[] = "/sys/devices/x", nvme[] = "nvme", vfio[] = "vfio-pci";
	static struct ifd_found found = { .name = name, .path = path, .driver = nvme, .group = 9, .pci_id = 1 };
	struct scene scene;

	open_scene(&scene);
	inject_device(&found);
	open_fails(&scene, name, -ENODEV);
	unit_words_have("bound to nvme");
	unit_words_have("echo vfio-pci > /sys/devices/x/driver_override");
	found.driver = NULL;
	open_fails(&scene, name, -ENODEV);
	unit_words_have("no driver");
	found.driver = vfio;
	found.vfio = true;
	found.group = -1;
	open_fails(&scene, name, -ENODEV);
	unit_words_have("intel_iommu=on");
	close_scene(&scene);
}
END_TEST

START_TEST(an_adopted_descriptor_is_duplicated_and_closed_again_on_failure)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct iommufd_device *dev = untouched;
	unsigned int before;
	struct scene scene;

	open_scene(&scene);
	before = inject_fds();
	inject_fail(INJECT_DUP, 1, -EMFILE);
	unit_fails(-EMFILE, iommufd_device_from_fd(scene.ctx, fd, &dev));
	inject_ioctl_fail(VFIO_DEVICE_BIND_IOMMUFD, 1, 1, -EINVAL);
	unit_fails(-EINVAL, iommufd_device_from_fd(scene.ctx, fd, &dev));
	inject_fail(INJECT_MEMORY, 1, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_device_from_fd(scene.ctx, fd, &dev));
	ck_assert_ptr_eq(dev, untouched);
	ck_assert_uint_eq(inject_fds(), before);

	ck_assert_int_eq(iommufd_device_from_fd(scene.ctx, fd, &dev), 0);
	ck_assert_uint_eq(inject_fds(), before + 1);
	iommufd_device_free(dev);
	ck_assert_int_eq(close(fd), 0);
	close_scene(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_mapping_that_keeps_a_device_from_attaching_is_named);
	tcase_add_test(tcase, a_conflict_stays_a_conflict_when_it_cannot_be_explained);
	tcase_add_test(tcase, a_conflict_with_no_mapping_that_is_out_of_place_blames_none);
	tcase_add_test(tcase, memory_that_cannot_be_pinned_at_the_attach_is_named);
	tcase_add_test(tcase, no_mapping_is_blamed_for_what_has_another_reason);
	tcase_add_test(tcase, an_ioas_that_the_kernel_holds_for_a_moment_is_destroyed_after_it);
	tcase_add_test(tcase, each_refusal_to_attach_has_its_hint);
	tcase_add_test(tcase, a_refusal_to_move_has_the_hint_of_one_to_attach);
	tcase_add_test(tcase, what_fails_after_the_attach_undoes_it);
	tcase_add_test(tcase, a_device_is_attached_to_one_ioas_of_its_own_context);
	tcase_add_test(tcase, devices_with_and_without_an_iommu_never_meet_in_an_ioas);
	tcase_add_test(tcase, an_ioas_that_the_kernel_gives_without_an_id_is_a_breach_of_protocol);
	tcase_add_test(tcase, each_refusal_to_bind_has_its_hint_and_closes_the_node);
	tcase_add_test(tcase, a_node_that_cannot_be_opened_is_named);
	tcase_add_test(tcase, a_device_that_cannot_be_opened_is_told_what_to_do);
	tcase_add_test(tcase, an_adopted_descriptor_is_duplicated_and_closed_again_on_failure);
}
