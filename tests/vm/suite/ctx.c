/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vm.h"

static const char *node(void)
{
	return vm_backend == IOMMUFD_BACKEND_IOMMUFD ? "/dev/iommu" : "/dev/vfio/vfio";
}

START_TEST(the_variable_forces_a_backend)
{
	struct iommufd_ctx *ctx;

	setenv("LIBIOMMUFD_BACKEND", iommufd_backend_name(vm_backend), 1);
	ok(iommufd_ctx_new(NULL, &ctx));
	ck_assert_uint_eq(iommufd_ctx_backend(ctx), vm_backend);
	iommufd_ctx_free(ctx);
}
END_TEST

START_TEST(the_options_win_over_the_variable)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = vm_backend };
	struct iommufd_ctx *ctx;

	setenv("LIBIOMMUFD_BACKEND", vm_backend == IOMMUFD_BACKEND_VFIO ? "iommufd" : "vfio", 1);
	ok(iommufd_ctx_new(&opts, &ctx));
	ck_assert_uint_eq(iommufd_ctx_backend(ctx), vm_backend);
	iommufd_ctx_free(ctx);
}
END_TEST

START_TEST(a_file_descriptor_is_recognised_for_what_it_is)
{
	int fd = open(node(), O_RDWR | O_CLOEXEC), fds;
	struct iommufd_ctx *ctx;
	struct iommufd_ioas *ioas;

	ck_assert_int_ge(fd, 0);
	fds = open_fds();
	/* An environment that says otherwise has no say in what a file is. */
	setenv("LIBIOMMUFD_BACKEND", vm_backend == IOMMUFD_BACKEND_VFIO ? "iommufd" : "vfio", 1);
	ok(iommufd_ctx_from_fd(fd, NULL, &ctx));
	/* A container that iommufd serves is both; the better one wins. */
	ck_assert_uint_eq(iommufd_ctx_backend(ctx), vm_path->compat ? IOMMUFD_BACKEND_IOMMUFD : vm_backend);
	ck_assert_int_ne(iommufd_ctx_fd(ctx), fd);
	ok(iommufd_ioas_new(ctx, &ioas));
	iommufd_ioas_free(ioas);
	iommufd_ctx_free(ctx);
	ck_assert_int_eq(open_fds(), fds);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(an_adopted_descriptor_drives_a_device)
{
	int fd = open(node(), O_RDWR | O_CLOEXEC);
	struct bed bed = { .ctx = NULL };
	struct edu edu;
	struct iommufd_dma dma;

	ok(iommufd_ctx_from_fd(fd, NULL, &bed.ctx));
	close(fd);
	ok(iommufd_ioas_new(bed.ctx, &bed.ioas));
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	edu_setup(&edu, bed.dev);
	ok(iommufd_dma_alloc(bed.ioas, 2 * PAGE, RW, &dma));
	edu_copy_works(&edu, dma.iova, dma.vaddr, dma.iova + PAGE, (char *)dma.vaddr + PAGE);
	iommufd_dma_free(bed.ioas, &dma);
	bed_close(&bed);
}
END_TEST

START_TEST(a_descriptor_of_the_other_backend_is_refused)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts) };
	struct iommufd_ctx *ctx = (void *)&opts;
	int fd = open(node(), O_RDWR | O_CLOEXEC);

	opts.backend = vm_backend == IOMMUFD_BACKEND_VFIO ? IOMMUFD_BACKEND_IOMMUFD : IOMMUFD_BACKEND_VFIO;
	if (vm_path->compat) { /* it is of both */
		for (uint32_t id = IOMMUFD_BACKEND_IOMMUFD; id <= IOMMUFD_BACKEND_VFIO; id++) {
			opts.backend = id;
			ok(iommufd_ctx_from_fd(fd, &opts, &ctx));
			ck_assert_uint_eq(iommufd_ctx_backend(ctx), id);
			iommufd_ctx_free(ctx);
		}
	} else {
		fails(iommufd_ctx_from_fd(fd, &opts, &ctx), -EINVAL, "IOMMUFD_BACKEND_AUTO");
		ck_assert_ptr_eq(ctx, &opts);
	}
	close(fd);
}
END_TEST

START_TEST(a_file_of_another_kind_is_refused)
{
	struct iommufd_ctx *ctx = NULL;
	int pipes[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(pipe(pipes), 0);
	fails(iommufd_ctx_from_fd(null, NULL, &ctx), -EINVAL, "neither an iommufd nor a VFIO container");
	fails(iommufd_ctx_from_fd(pipes[0], NULL, &ctx), -EINVAL, "neither an iommufd nor a VFIO container");
	fails(iommufd_ctx_from_fd(-1, NULL, &ctx), -EBADF, "give an open one");
	close(null);
	fails(iommufd_ctx_from_fd(null, NULL, &ctx), -EBADF, "give an open one");
	ck_assert_ptr_null(ctx);
}
END_TEST

START_TEST(nothing_is_left_open)
{
	int fds = open_fds();
	struct bed bed;

	bed_attach(&bed, EDU);
	ck_assert_int_gt(open_fds(), fds);
	bed_close(&bed);
	ck_assert_int_eq(open_fds(), fds);
}
END_TEST

START_TEST(handles_may_be_freed_in_any_order)
{
	for (int order = 0; order < 6; order++) {
		static const int orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
						  { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
		int fds = open_fds();
		struct bed bed;

		bed_attach(&bed, EDU);
		for (int i = 0; i < 3; i++) {
			if (orders[order][i] == 0)
				iommufd_ctx_free(bed.ctx);
			else if (orders[order][i] == 1)
				iommufd_ioas_free(bed.ioas);
			else
				iommufd_device_free(bed.dev);
		}
		ck_assert_int_eq(open_fds(), fds);
	}
}
END_TEST

START_TEST(descriptors_are_closed_in_programs_that_are_executed)
{
	struct bed bed;

	bed_attach(&bed, EDU);
	ck_assert(fcntl(iommufd_ctx_fd(bed.ctx), F_GETFD) & FD_CLOEXEC);
	ck_assert(fcntl(iommufd_device_fd(bed.dev), F_GETFD) & FD_CLOEXEC);
	bed_close(&bed);
}
END_TEST

static char heard[1 << 16];

static void hear(void *data, int level, const char *message)
{
	ck_assert_ptr_eq(data, &vm_backend);
	ck_assert_int_ge(level, IOMMUFD_LOG_ERROR);
	ck_assert_int_le(level, IOMMUFD_LOG_DEBUG);
	strncat(heard, message, sizeof(heard) - strlen(heard) - 1);
	strncat(heard, "\n", sizeof(heard) - strlen(heard) - 1);
}

START_TEST(the_log_hears_opening_and_every_ioctl)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts),
					 .backend = vm_backend,
					 .log_level = IOMMUFD_LOG_DEBUG,
					 .log = hear,
					 .log_data = &vm_backend };
	bool iommufd = vm_backend == IOMMUFD_BACKEND_IOMMUFD;
	struct bed bed = { .ctx = NULL };
	uint64_t iova = 0x123000;
	void *page = memory(PAGE);

	ok(iommufd_ctx_new(&opts, &bed.ctx));
	ck_assert_ptr_nonnull(strstr(heard, "it was asked for"));
	ok(iommufd_ioas_new(bed.ctx, &bed.ioas));
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ok(iommufd_ioas_map(bed.ioas, page, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	bed_close(&bed);
	ck_assert_ptr_nonnull(strstr(heard, iommufd ? "IOMMU_IOAS_MAP" : "VFIO_IOMMU_MAP_DMA"));
	ck_assert_ptr_nonnull(strstr(heard, "iova=0x123000"));
	ck_assert_ptr_nonnull(strstr(heard, "VFIO_DEVICE_GET_INFO"));
	ck_assert_ptr_nonnull(strstr(heard, "is attached"));
	ck_assert_ptr_nonnull(strstr(heard, "is detached"));
}
END_TEST

static int new_counted(uint32_t mode, struct iommufd_ctx **out)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = vm_backend, .memlock_mode = mode };

	return iommufd_ctx_new(&opts, out);
}

static int adopt_counted(uint32_t mode, struct iommufd_ctx *from, struct iommufd_ctx **out)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = vm_backend, .memlock_mode = mode };

	return iommufd_ctx_from_fd(iommufd_ctx_fd(from), &opts, out);
}

START_TEST(pinned_memory_is_counted_as_the_options_say)
{
	struct iommufd_ctx *ctx = NULL, *other = NULL;
	struct iommufd_ioas *ioas;

	fails(new_counted(17, &ctx), -EINVAL, "IOMMUFD_MEMLOCK_USER");
	fails(new_counted(IOMMUFD_MEMLOCK_NONE, &ctx), -EINVAL, "IOMMUFD_MEMLOCK_USER");
	if (vm_backend == IOMMUFD_BACKEND_VFIO) {
		fails(new_counted(IOMMUFD_MEMLOCK_USER, &ctx), -EOPNOTSUPP, "VFIO counts by process");
		ck_assert_ptr_null(ctx);
		ok(new_counted(IOMMUFD_MEMLOCK_PROCESS, &ctx));
		iommufd_ctx_free(ctx);
		return;
	}
	ok(new_counted(IOMMUFD_MEMLOCK_USER, &ctx));
	ok(iommufd_ioas_new(ctx, &ioas));
	fails(adopt_counted(IOMMUFD_MEMLOCK_PROCESS, ctx, &other), -EBUSY, "there is something in the iommufd");
	ck_assert_ptr_null(other);
	ok(adopt_counted(IOMMUFD_MEMLOCK_USER, ctx, &other)); /* that it is so already is no change */
	iommufd_ctx_free(other);
	iommufd_ioas_free(ioas);
	iommufd_ctx_free(ctx);
}
END_TEST

/* Two contexts: by user their memory adds up, by process too, but only with what the process has locked beside it. */
START_TEST(memory_that_is_counted_by_process_adds_to_what_is_locked)
{
	struct iommufd_ctx *ctx = NULL, *by_user;
	void *locked = memory(8 * PAGE);
	struct iommufd_device *dev;
	struct iommufd_ioas *ioas;
	uint64_t iova;

	vm_open_to_all(EDU);
	ok(new_counted(IOMMUFD_MEMLOCK_PROCESS, &ctx)); /* while there is the right to do so */
	vm_become_user(64 << 10);
	ok(new_counted(0, &by_user));
	iommufd_ctx_free(by_user);
	if (vm_backend == IOMMUFD_BACKEND_IOMMUFD)
		fails(new_counted(IOMMUFD_MEMLOCK_PROCESS, &by_user), -EPERM, "CAP_SYS_RESOURCE");
	ok(iommufd_ioas_new(ctx, &ioas));
	ok(iommufd_device_new(ctx, EDU, &dev));
	ok(iommufd_device_attach(dev, ioas));
	/* AddressSanitizer has a mlock() that does nothing. */
	ck_assert_int_eq(syscall(SYS_mlock, locked, (size_t)8 * PAGE), 0);
	fails(iommufd_ioas_map(ioas, memory(9 * PAGE), 9 * PAGE, RW, &iova), -ENOMEM, "counted per process");
	ok(iommufd_ioas_map(ioas, memory(8 * PAGE), 8 * PAGE, RW, &iova));
	iommufd_device_free(dev);
	iommufd_ioas_free(ioas);
	iommufd_ctx_free(ctx);
}
END_TEST

void add_ctx_tests(TCase *tc)
{
	tcase_add_test(tc, the_variable_forces_a_backend);
	tcase_add_test(tc, the_options_win_over_the_variable);
	tcase_add_test(tc, a_file_descriptor_is_recognised_for_what_it_is);
	tcase_add_test(tc, an_adopted_descriptor_drives_a_device);
	tcase_add_test(tc, a_descriptor_of_the_other_backend_is_refused);
	tcase_add_test(tc, a_file_of_another_kind_is_refused);
	tcase_add_test(tc, nothing_is_left_open);
	tcase_add_test(tc, handles_may_be_freed_in_any_order);
	tcase_add_test(tc, descriptors_are_closed_in_programs_that_are_executed);
	tcase_add_test(tc, the_log_hears_opening_and_every_ioctl);
	tcase_add_test(tc, pinned_memory_is_counted_as_the_options_say);
	tcase_add_test(tc, memory_that_is_counted_by_process_adds_to_what_is_locked);
}
