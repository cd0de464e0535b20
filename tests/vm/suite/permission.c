/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What an ordinary user meets. Each test is a process of its own, which gives its privileges up for good. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm.h"

static bool iommufd(void)
{
	return vm_backend == IOMMUFD_BACKEND_IOMMUFD;
}

/* The nodes that the backend opens, for everybody or for root alone. */
static void set_modes(mode_t context, mode_t device)
{
	char path[128];

	ck_assert_int_eq(chmod(iommufd() ? "/dev/iommu" : "/dev/vfio/vfio", context), 0);
	if (vm_path->by_node)
		vm_cdev(EDU, path, sizeof(path));
	else
		snprintf(path, sizeof(path), "/dev/vfio/%d", vm_group(EDU));
	ck_assert_int_eq(chmod(path, device), 0);
}

static void restore_modes(void)
{
	set_modes(iommufd() ? 0600 : 0666, 0600);
}

START_TEST(a_context_without_permission_names_mode_owner_and_user)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = vm_backend };
	struct iommufd_ctx *ctx = NULL;

	set_modes(0640, 0600);
	vm_become_user(1 << 20);
	fails(iommufd_ctx_new(&opts, &ctx), -EACCES,
	      "has the mode 0640 and belongs to user 0, group 0; this is user 1000");
	ck_assert_ptr_null(ctx);
}
END_TEST

START_TEST(a_device_without_permission_names_its_node)
{
	struct bed bed;

	set_modes(0666, 0600);
	vm_become_user(1 << 20);
	bed_open(&bed);
	fails(iommufd_device_new(bed.ctx, EDU, &bed.dev), -EACCES,
	      vm_path->by_node ? "/dev/vfio/devices/vfio" : "/dev/vfio/");
	fails(iommufd_device_new(bed.ctx, EDU, &bed.dev), -EACCES, "has the mode 0600");
	ck_assert_ptr_null(bed.dev);
	bed_close(&bed);
}
END_TEST

START_TEST(an_ordinary_user_with_permission_moves_data)
{
	struct iommufd_dma dma;
	struct bed bed;
	struct edu edu;

	set_modes(0666, 0666);
	vm_become_user(1 << 20);
	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_dma_alloc(bed.ioas, 2 * PAGE, RW, &dma));
	edu_copy_works(&edu, dma.iova, dma.vaddr, dma.iova + PAGE, (char *)dma.vaddr + PAGE);
	bed_close(&bed);
}
END_TEST

START_TEST(too_much_locked_memory_names_need_limit_and_accounting)
{
	struct iommufd_dma dma = { .len = 0 };
	struct bed bed;

	set_modes(0666, 0666);
	vm_become_user(64 << 10);
	bed_attach(&bed, EDU);
	fails(iommufd_dma_alloc(bed.ioas, 1 << 20, RW, &dma), -ENOMEM, "1048576 more bytes are to be pinned");
	fails(iommufd_dma_alloc(bed.ioas, 1 << 20, RW, &dma), -ENOMEM,
	      iommufd() ? "the memlock limit is 65536 bytes, counted per user"
			: "the memlock limit is 65536 bytes, counted per process");
	ck_assert_uint_eq(dma.len, 0);
	/* What fits still works, so nothing of the failures was kept. */
	ok(iommufd_dma_alloc(bed.ioas, 32 << 10, RW, &dma));
	bed_close(&bed);
}
END_TEST

START_TEST(too_much_locked_memory_is_found_at_the_attach_too)
{
	struct iommufd_dma dma;
	struct bed bed;

	set_modes(0666, 0666);
	vm_become_user(64 << 10);
	bed_open_device(&bed, EDU);
	ok(iommufd_dma_alloc(bed.ioas, 1 << 20, RW, &dma));
	fails(iommufd_device_attach(bed.dev, bed.ioas), -ENOMEM, "the memlock limit is 65536 bytes");
	fails(iommufd_device_attach(bed.dev, bed.ioas), -ENOMEM, "1048576 bytes, at IOVA 0x");
	iommufd_dma_free(bed.ioas, &dma);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	bed_close(&bed);
}
END_TEST

START_TEST(automatic_choice_passes_over_a_node_without_permission_and_says_so)
{
	struct iommufd_candidate_info info = { .struct_size = sizeof(info) };
	struct iommufd_report_info summary = { .struct_size = sizeof(summary) };
	struct iommufd_report *report;
	struct iommufd_ctx *ctx;

	ck_assert_int_eq(chmod("/dev/iommu", 0600), 0);
	ck_assert_int_eq(chmod("/dev/vfio/vfio", 0666), 0);
	vm_become_user(1 << 20);
	ok(iommufd_ctx_new(NULL, &ctx));
	ck_assert_uint_eq(iommufd_ctx_backend(ctx), IOMMUFD_BACKEND_VFIO);
	iommufd_ctx_free(ctx);
	ok(iommufd_probe(&report));
	ok(iommufd_report_get_info(report, &summary));
	ck_assert_uint_eq(summary.chosen, IOMMUFD_BACKEND_VFIO);
	ck_assert_uint_eq(summary.memlock_mode, IOMMUFD_MEMLOCK_PROCESS);
	ck_assert_uint_eq(summary.memlock_limit, 1 << 20);
	ok(iommufd_report_candidate(report, 0, &info));
	ck_assert_int_eq(info.error, -EACCES);
	ck_assert_ptr_nonnull(strstr(info.reason, "has the mode 0600"));
	iommufd_report_free(report);
}
END_TEST

void add_permission_tests(TCase *tc)
{
	tcase_add_checked_fixture(tc, restore_modes, NULL);
	tcase_add_test(tc, a_context_without_permission_names_mode_owner_and_user);
	tcase_add_test(tc, a_device_without_permission_names_its_node);
	tcase_add_test(tc, an_ordinary_user_with_permission_moves_data);
	tcase_add_test(tc, too_much_locked_memory_names_need_limit_and_accounting);
	tcase_add_test(tc, too_much_locked_memory_is_found_at_the_attach_too);
	if (!access("/dev/iommu", F_OK) && !access("/dev/vfio/vfio", F_OK)) /* else there is nothing to pass over */
		tcase_add_test(tc, automatic_choice_passes_over_a_node_without_permission_and_says_so);
}
