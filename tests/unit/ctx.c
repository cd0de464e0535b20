/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Contexts: options, the choice of the backend, descriptors that are adopted. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

static struct iommufd_ctx *const untouched = (void *)1;

static void new_fails(int err, const struct iommufd_ctx_opts *opts)
{
	struct iommufd_ctx *ctx = untouched;

	unit_fails(err, iommufd_ctx_new(opts, &ctx));
	ck_assert_ptr_eq(ctx, untouched);
	unit_fails(err, iommufd_ctx_from_fd(-1, opts, &ctx));
	ck_assert_ptr_eq(ctx, untouched);
	ck_assert_uint_eq(inject_fds(), 0);
}

START_TEST(options_with_a_bad_value_open_nothing)
{
	struct iommufd_ctx_opts opts = { sizeof(opts), .backend = 3 };

	new_fails(-EINVAL, &opts);
	unit_words_have("backend 3");
	opts.backend = UINT32_MAX;
	new_fails(-EINVAL, &opts);
	opts = (struct iommufd_ctx_opts){ sizeof(opts), .log_level = 5 };
	new_fails(-EINVAL, &opts);
	opts = (struct iommufd_ctx_opts){ sizeof(opts) - 1, .backend = 0 };
	new_fails(-EINVAL, &opts);
	opts.struct_size = 0;
	new_fails(-EINVAL, &opts);
	ck_assert_uint_eq(inject_count(INJECT_OPEN), 0);
}
END_TEST

START_TEST(options_of_a_newer_program_are_taken_if_what_is_unknown_is_zero)
{
	struct {
		struct iommufd_ctx_opts opts;
		uint64_t more;
	} newer = { .opts = { sizeof(newer), .backend = IOMMUFD_BACKEND_VFIO } };
	struct iommufd_ctx *ctx;

	scene_answers();
	ck_assert_int_eq(iommufd_ctx_new(&newer.opts, &ctx), 0);
	ck_assert_uint_eq(iommufd_ctx_backend(ctx), IOMMUFD_BACKEND_VFIO);
	iommufd_ctx_free(ctx);
	newer.more = 1;
	new_fails(-E2BIG, &newer.opts);
}
END_TEST

static uint32_t backend_of(const struct iommufd_ctx_opts *opts)
{
	struct iommufd_ctx *ctx;
	uint32_t backend;

	ck_assert_int_eq(iommufd_ctx_new(opts, &ctx), 0);
	backend = iommufd_ctx_backend(ctx);
	ck_assert_int_ge(iommufd_ctx_fd(ctx), 0);
	iommufd_ctx_free(ctx);
	ck_assert_uint_eq(inject_fds(), 0);
	return backend;
}

START_TEST(auto_takes_iommufd_first_and_vfio_when_that_cannot_be_opened)
{
	scene_answers();
	ck_assert_uint_eq(backend_of(NULL), IOMMUFD_BACKEND_IOMMUFD);
	inject_fail(INJECT_OPEN, 1, -ENOENT);
	ck_assert_uint_eq(backend_of(NULL), IOMMUFD_BACKEND_VFIO);
}
END_TEST

START_TEST(without_a_usable_backend_the_words_have_the_reasons_of_both)
{
	struct iommufd_ctx *ctx = untouched;

	scene_answers();
	inject_ioctl(VFIO_CHECK_EXTENSION, inject_succeed); /* 0 is no */
	inject_fail(INJECT_OPEN, 1, -EACCES);
	unit_fails(-EACCES, iommufd_ctx_new(NULL, &ctx));
	ck_assert_ptr_eq(ctx, untouched);
	unit_words_have("/dev/iommu");
	unit_words_have("neither type1v2 nor type1");
	ck_assert_uint_eq(inject_fds(), 0);
}
END_TEST

START_TEST(a_backend_that_was_asked_for_is_not_exchanged_for_another)
{
	struct iommufd_ctx_opts opts = { sizeof(opts), .backend = IOMMUFD_BACKEND_IOMMUFD };
	struct iommufd_ctx *ctx = untouched;

	scene_answers();
	inject_fail(INJECT_OPEN, 1, -ENOENT);
	unit_fails(-ENOENT, iommufd_ctx_new(&opts, &ctx));
	ck_assert_ptr_eq(ctx, untouched);
	unit_words_have("modprobe iommufd");
	opts.backend = IOMMUFD_BACKEND_VFIO;
	ck_assert_uint_eq(backend_of(&opts), IOMMUFD_BACKEND_VFIO);
}
END_TEST

START_TEST(the_variable_forces_a_backend_unless_the_options_name_one)
{
	struct iommufd_ctx_opts opts = { sizeof(opts), .backend = IOMMUFD_BACKEND_IOMMUFD };

	scene_answers();
	setenv("LIBIOMMUFD_BACKEND", "vfio", 1);
	ck_assert_uint_eq(backend_of(NULL), IOMMUFD_BACKEND_VFIO);
	ck_assert_uint_eq(backend_of(&opts), IOMMUFD_BACKEND_IOMMUFD);
	setenv("LIBIOMMUFD_BACKEND", "iommufd", 1);
	ck_assert_uint_eq(backend_of(NULL), IOMMUFD_BACKEND_IOMMUFD);
	setenv("LIBIOMMUFD_BACKEND", "auto", 1);
	ck_assert_uint_eq(backend_of(NULL), IOMMUFD_BACKEND_IOMMUFD);
	setenv("LIBIOMMUFD_BACKEND", "", 1);
	ck_assert_uint_eq(backend_of(NULL), IOMMUFD_BACKEND_IOMMUFD);
}
END_TEST

START_TEST(a_variable_that_names_no_backend_is_refused)
{
	struct iommufd_ctx *ctx = untouched;

	setenv("LIBIOMMUFD_BACKEND", "Vfio", 1);
	unit_fails(-EINVAL, iommufd_ctx_new(NULL, &ctx));
	unit_words_have("LIBIOMMUFD_BACKEND");
	unit_words_have("Vfio");
	ck_assert_ptr_eq(ctx, untouched);
	ck_assert_uint_eq(inject_count(INJECT_OPEN), 0);
}
END_TEST

/* On whatever this machine has: the answers come from its kernel. */
static void from_fd_fails(int err, int fd)
{
	struct iommufd_ctx *ctx = untouched;

	unit_fails(err, iommufd_ctx_from_fd(fd, NULL, &ctx));
	ck_assert_ptr_eq(ctx, untouched);
	ck_assert_uint_eq(inject_fds(), 0);
	ck_assert(err == -EBADF || fcntl(fd, F_GETFD) >= 0);
}

START_TEST(a_descriptor_that_is_neither_iommufd_nor_container_is_refused_and_stays_open)
{
	int ends[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);

	ck_assert(null >= 0 && !pipe(ends));
	from_fd_fails(-EINVAL, ends[0]);
	unit_words_have("neither an iommufd nor a VFIO container");
	from_fd_fails(-EINVAL, ends[1]);
	from_fd_fails(-EINVAL, null);
	close(null);
	close(ends[0]);
	close(ends[1]);
	from_fd_fails(-EBADF, null);
	from_fd_fails(-EBADF, -1);
}
END_TEST

static int not_mine(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	return -ENOTTY;
}

START_TEST(an_adopted_descriptor_is_what_it_is_and_no_other_backend)
{
	struct iommufd_ctx_opts opts = { sizeof(opts), .backend = IOMMUFD_BACKEND_IOMMUFD };
	struct iommufd_ctx *ctx = untouched;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	scene_answers();
	inject_ioctl(IOMMU_OPTION, not_mine);
	unit_fails(-EINVAL, iommufd_ctx_from_fd(fd, &opts, &ctx));
	unit_words_have("it is of the backend vfio");
	ck_assert_ptr_eq(ctx, untouched);
	ck_assert_uint_eq(inject_fds(), 0);

	/* An iommufd answers like a container, but is none unless it was opened as one. */
	scene_answers();
	opts.backend = IOMMUFD_BACKEND_VFIO;
	unit_fails(-EINVAL, iommufd_ctx_from_fd(fd, &opts, &ctx));
	unit_words_have("it is of the backend iommufd");
	ck_assert_uint_eq(inject_fds(), 0);

	inject_ioctl(IOMMU_OPTION, not_mine);
	ck_assert_int_eq(iommufd_ctx_from_fd(fd, NULL, &ctx), 0);
	ck_assert_uint_eq(iommufd_ctx_backend(ctx), IOMMUFD_BACKEND_VFIO);
	ck_assert_int_ne(iommufd_ctx_fd(ctx), fd);
	iommufd_ctx_free(ctx);
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	close(fd);
	ck_assert_uint_eq(inject_fds(), 0);
}
END_TEST

START_TEST(backends_have_names)
{
	ck_assert_str_eq(iommufd_backend_name(IOMMUFD_BACKEND_AUTO), "auto");
	ck_assert_str_eq(iommufd_backend_name(IOMMUFD_BACKEND_IOMMUFD), "iommufd");
	ck_assert_str_eq(iommufd_backend_name(IOMMUFD_BACKEND_VFIO), "vfio");
	ck_assert_str_eq(iommufd_backend_name(3), "unknown");
	ck_assert_str_eq(iommufd_backend_name(UINT32_MAX), "unknown");
}
END_TEST

START_TEST(a_context_lives_until_the_last_of_what_was_made_from_it)
{
	struct scene scene;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	iommufd_ctx_free(scene.ctx);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	iommufd_ioas_free(scene.ioas);
	ck_assert_uint_gt(inject_fds(), 0);
	iommufd_device_free(scene.dev);
	ck_assert_uint_eq(inject_fds(), 0);
	iommufd_ctx_free(NULL);
	iommufd_ioas_free(NULL);
	iommufd_device_free(NULL);
}
END_TEST

static int refusal;

static int refuse(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	return refusal;
}

/* The result, and how many ioctls it took. */
static int has(const struct scene *scene, uint32_t feature, int answer, unsigned int *asked)
{
	unsigned int before = inject_count(INJECT_IOCTL);
	int ret;

	refusal = answer;
	ret = iommufd_ctx_has(scene->ctx, feature);
	*asked = inject_count(INJECT_IOCTL) - before;
	return ret;
}

START_TEST(a_feature_is_asked_for_once_and_an_answer_that_tells_nothing_is_not_kept)
{
	struct scene scene;
	unsigned int asked;

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl(IOMMU_FAULT_QUEUE_ALLOC, refuse);
	inject_ioctl(IOMMU_IOAS_COPY, refuse);
	inject_ioctl(IOMMU_IOAS_NOIOMMU_GET_PA, refuse);
	unit_fails(-EIO, has(&scene, IOMMUFD_HAS_FAULTS, -EIO, &asked));
	unit_fails(-EPROTO, has(&scene, IOMMUFD_HAS_FAULTS, 0, &asked));
	ck_assert_int_eq(has(&scene, IOMMUFD_HAS_FAULTS, -EINVAL, &asked), 1);
	ck_assert_uint_eq(asked, 1);
	ck_assert_int_eq(has(&scene, IOMMUFD_HAS_FAULTS, -ENOTTY, &asked), 1);
	ck_assert_uint_eq(asked, 0);
	ck_assert_int_eq(has(&scene, IOMMUFD_HAS_COPY, -ENOTTY, &asked), 0);
	ck_assert_uint_eq(asked, 1);
	ck_assert_int_eq(has(&scene, IOMMUFD_HAS_COPY, -EINVAL, &asked), 0);
	ck_assert_uint_eq(asked, 0);
	ck_assert_int_eq(has(&scene, IOMMUFD_HAS_MAP_FILE, -ENOTTY, &asked), 1);
	ck_assert_uint_eq(asked, 0);
	/* This one can be known, and not be there. */
	unit_fails(-EINVAL, has(&scene, IOMMUFD_HAS_PHYSICAL, -EINVAL, &asked));
	ck_assert_int_eq(has(&scene, IOMMUFD_HAS_PHYSICAL, -EOPNOTSUPP, &asked), 0);
	scene_close(&scene);
}
END_TEST

START_TEST(who_may_not_ask_for_physical_addresses_is_told_that_they_are_there)
{
	struct scene scene;
	unsigned int asked;

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl(IOMMU_IOAS_NOIOMMU_GET_PA, refuse);
	ck_assert_int_eq(has(&scene, IOMMUFD_HAS_PHYSICAL, -EPERM, &asked), 1);
	ck_assert_uint_eq(asked, 1);
	scene_close(&scene);
}
END_TEST

START_TEST(a_feature_that_the_library_does_not_know_is_refused_on_both_backends)
{
	struct scene scene;
	unsigned int asked;

	for (uint32_t backend = IOMMUFD_BACKEND_IOMMUFD; backend <= IOMMUFD_BACKEND_VFIO; backend++) {
		scene_open(&scene, backend);
		unit_fails(-EINVAL, has(&scene, 0, 0, &asked));
		ck_assert_uint_eq(asked, 0);
		unit_fails(-EINVAL, has(&scene, IOMMUFD_HAS_REPLACE + 1, 0, &asked));
		unit_words_have("feature 19");
		ck_assert_uint_eq(asked, 0);
		unit_fails(-EINVAL, has(&scene, UINT32_MAX, 0, &asked));
		ck_assert_uint_eq(asked, 0);
		scene_close(&scene);
	}
}
END_TEST

START_TEST(a_container_has_dirty_tracking_unless_iommufd_serves_it)
{
	struct scene scene;
	unsigned int asked;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	inject_ioctl(IOMMU_OPTION, refuse);
	unit_fails(-ENOMEM, has(&scene, IOMMUFD_HAS_DIRTY, -ENOMEM, &asked));
	inject_ioctl_fail(VFIO_CHECK_EXTENSION, 1, 1, -EIO);
	unit_fails(-EIO, has(&scene, IOMMUFD_HAS_DIRTY, 0, &asked));
	ck_assert_int_eq(has(&scene, IOMMUFD_HAS_DIRTY, -EINVAL, &asked), 1);
	scene_close(&scene);
	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	inject_ioctl(IOMMU_OPTION, refuse);
	ck_assert_int_eq(has(&scene, IOMMUFD_HAS_DIRTY, 0, &asked), 0);
	ck_assert_int_eq(has(&scene, IOMMUFD_HAS_HWPT, 0, &asked), 0);
	ck_assert_int_eq(has(&scene, IOMMUFD_HAS_COPY, 0, &asked), 1);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	unsetenv("LIBIOMMUFD_BACKEND");
	tcase_add_test(tcase, options_with_a_bad_value_open_nothing);
	tcase_add_test(tcase, options_of_a_newer_program_are_taken_if_what_is_unknown_is_zero);
	tcase_add_test(tcase, auto_takes_iommufd_first_and_vfio_when_that_cannot_be_opened);
	tcase_add_test(tcase, without_a_usable_backend_the_words_have_the_reasons_of_both);
	tcase_add_test(tcase, a_backend_that_was_asked_for_is_not_exchanged_for_another);
	tcase_add_test(tcase, the_variable_forces_a_backend_unless_the_options_name_one);
	tcase_add_test(tcase, a_variable_that_names_no_backend_is_refused);
	tcase_add_test(tcase, a_descriptor_that_is_neither_iommufd_nor_container_is_refused_and_stays_open);
	tcase_add_test(tcase, an_adopted_descriptor_is_what_it_is_and_no_other_backend);
	tcase_add_test(tcase, backends_have_names);
	tcase_add_test(tcase, a_feature_is_asked_for_once_and_an_answer_that_tells_nothing_is_not_kept);
	tcase_add_test(tcase, who_may_not_ask_for_physical_addresses_is_told_that_they_are_there);
	tcase_add_test(tcase, a_feature_that_the_library_does_not_know_is_refused_on_both_backends);
	tcase_add_test(tcase, a_container_has_dirty_tracking_unless_iommufd_serves_it);
	tcase_add_test(tcase, a_context_lives_until_the_last_of_what_was_made_from_it);
}
