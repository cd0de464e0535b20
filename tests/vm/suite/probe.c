/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the report says of each machine, and what AUTO makes of it. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vm.h"

static void find_device(const struct iommufd_report *report, const char *name, struct iommufd_found_info *info)
{
	info->struct_size = sizeof(*info);
	for (uint32_t i = 0; !iommufd_report_device(report, i, info); i++)
		if (!strcmp(info->name, name))
			return;
	ck_abort_msg("%s is not in the report", name);
}

START_TEST(the_report_agrees_with_what_opening_does)
{
	struct iommufd_candidate_info info = { .struct_size = sizeof(info) };
	struct iommufd_report *report;

	ok(iommufd_probe(&report));
	for (uint32_t i = 0; !iommufd_report_candidate(report, i, &info); i++) {
		struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = info.backend };
		struct iommufd_ctx *ctx = NULL;

		ck_assert_str_eq(info.name, iommufd_backend_name(info.backend));
		ck_assert_int_eq(iommufd_ctx_new(&opts, &ctx), info.error);
		ck_assert_ptr_nonnull(info.reason);
		ck_assert_msg(!info.error || !strcmp(info.reason, iommufd_errmsg()), "\"%s\" is not \"%s\"",
			      info.reason, iommufd_errmsg());
		iommufd_ctx_free(ctx);
	}
	iommufd_report_free(report);
}
END_TEST

START_TEST(automatic_choice_is_what_the_report_foretold)
{
	struct iommufd_report_info info = { .struct_size = sizeof(info) };
	struct iommufd_report *report;
	struct iommufd_ctx *ctx;

	ok(iommufd_probe(&report));
	ok(iommufd_report_get_info(report, &info));
	ok(iommufd_ctx_new(NULL, &ctx));
	ck_assert_uint_eq(iommufd_ctx_backend(ctx), info.chosen);
	ck_assert_uint_eq(info.chosen, access("/dev/iommu", F_OK) ? IOMMUFD_BACKEND_VFIO : IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_uint_eq(info.memlock_mode, IOMMUFD_MEMLOCK_NONE); /* root has CAP_IPC_LOCK */
	iommufd_ctx_free(ctx);
	iommufd_report_free(report);
}
END_TEST

START_TEST(the_report_knows_of_the_variable)
{
	const struct {
		const char *value;
		uint32_t chosen;
	} cases[] = { { "vfio", access("/dev/vfio/vfio", F_OK) ? IOMMUFD_BACKEND_AUTO : IOMMUFD_BACKEND_VFIO },
		      { "neither", IOMMUFD_BACKEND_AUTO } };
	struct iommufd_report_info info = { .struct_size = sizeof(info) };
	struct iommufd_report *report;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setenv("LIBIOMMUFD_BACKEND", cases[i].value, 1);
		ok(iommufd_probe(&report));
		ok(iommufd_report_get_info(report, &info));
		ck_assert_uint_eq(info.chosen, cases[i].chosen);
		iommufd_report_free(report);
	}
}
END_TEST

START_TEST(the_report_lists_devices_with_group_driver_and_node)
{
	struct iommufd_report_info info = { .struct_size = sizeof(info) };
	struct iommufd_found_info edu, nvme, a, b;
	struct iommufd_report *report;
	char path[128];

	ok(iommufd_probe(&report));
	ok(iommufd_report_get_info(report, &info));
	find_device(report, EDU, &edu);
	find_device(report, NVME, &nvme);
	find_device(report, TWIN_A, &a);
	find_device(report, TWIN_B, &b);
	ck_assert_int_eq(edu.group, vm_group(EDU));
	ck_assert_uint_eq(edu.pci_id, 0x123411e8);
	ck_assert_uint_eq(nvme.pci_class, 0x010802);
	ck_assert_str_eq(edu.driver, "vfio-pci");
	ck_assert_uint_eq(edu.flags, IOMMUFD_FOUND_VFIO);
	ck_assert_int_eq(a.group, b.group);
	ck_assert_int_ne(a.group, edu.group);
	vm_cdev(EDU, path, sizeof(path));
	if (!vm_has_node(EDU)) {
		ck_assert_ptr_null(edu.cdev);
		ck_assert_uint_eq(info.cdevs, 0);
	} else {
		ck_assert_str_eq(edu.cdev, path);
		ck_assert_uint_eq(info.cdevs, 5);
	}
	ck_assert_uint_gt(info.groups, 3);
	ck_assert_uint_gt(info.devices, info.groups);
	iommufd_report_free(report);
}
END_TEST

START_TEST(the_report_has_an_end)
{
	struct iommufd_candidate_info candidate = { .struct_size = sizeof(candidate), .error = 42 };
	struct iommufd_report_info info = { .struct_size = sizeof(info) };
	struct iommufd_found_info device = { .struct_size = sizeof(device) };
	struct iommufd_report *report;

	ok(iommufd_probe(&report));
	ok(iommufd_report_get_info(report, &info));
	ck_assert_uint_eq(info.candidates, 2);
	fails(iommufd_report_candidate(report, info.candidates, &candidate), -ENOENT, "iommufd_report_get_info");
	fails(iommufd_report_device(report, info.devices, &device), -ENOENT, "iommufd_report_get_info");
	candidate.struct_size = 16;
	fails(iommufd_report_candidate(report, 0, &candidate), -EINVAL, "struct_size");
	ck_assert_int_eq(candidate.error, 42);
	iommufd_report_free(report);
	iommufd_report_free(NULL);
}
END_TEST

START_TEST(probing_leaves_nothing_open)
{
	int fds = open_fds();
	struct iommufd_report *report;

	ok(iommufd_probe(&report));
	ck_assert_int_eq(open_fds(), fds);
	iommufd_report_free(report);
}
END_TEST

START_TEST(a_device_opens_beside_a_report)
{
	struct iommufd_report *report;
	struct bed bed;

	vm_backend = access("/dev/iommu", F_OK) ? IOMMUFD_BACKEND_VFIO : IOMMUFD_BACKEND_IOMMUFD;
	ok(iommufd_probe(&report));
	bed_attach(&bed, EDU);
	bed_close(&bed);
	iommufd_report_free(report);
}
END_TEST

void add_probe_tests(TCase *tc)
{
	tcase_add_test(tc, the_report_agrees_with_what_opening_does);
	tcase_add_test(tc, automatic_choice_is_what_the_report_foretold);
	tcase_add_test(tc, the_report_knows_of_the_variable);
	tcase_add_test(tc, the_report_has_an_end);
	tcase_add_test(tc, probing_leaves_nothing_open);
}

void add_iommu_tests(TCase *tc)
{
	tcase_add_test(tc, the_report_lists_devices_with_group_driver_and_node);
	tcase_add_test(tc, a_device_opens_beside_a_report);
}

START_TEST(a_device_behind_no_iommu_says_what_to_switch_on)
{
	struct bed bed;

	for (vm_backend = IOMMUFD_BACKEND_IOMMUFD; vm_backend <= IOMMUFD_BACKEND_VFIO; vm_backend++) {
		bed_open(&bed);
		fails(iommufd_device_new(bed.ctx, EDU, &bed.dev), -ENODEV, "it has no IOMMU group");
		fails(iommufd_device_new(bed.ctx, EDU, &bed.dev), -ENODEV, "intel_iommu=on");
		fails(iommufd_device_new(bed.ctx, NVME, &bed.dev), -ENODEV, "intel_iommu=on");
		vm_finds(NVME, "iommu", -ENODEV, "it has no IOMMU group");
		ck_assert_ptr_null(bed.dev);
		bed_close(&bed);
	}
}
END_TEST

START_TEST(memory_can_be_mapped_before_there_is_any_device)
{
	uint64_t iova, bytes;
	struct bed bed;

	for (vm_backend = IOMMUFD_BACKEND_IOMMUFD; vm_backend <= IOMMUFD_BACKEND_VFIO; vm_backend++) {
		bed_open(&bed);
		ok(iommufd_ioas_map(bed.ioas, memory(PAGE), PAGE, RW, &iova));
		ok(iommufd_ioas_unmap(bed.ioas, iova, PAGE, &bytes));
		ck_assert_uint_eq(bytes, PAGE);
		bed_close(&bed);
	}
}
END_TEST

void add_no_iommu_tests(TCase *tc)
{
	tcase_add_test(tc, a_device_behind_no_iommu_says_what_to_switch_on);
	tcase_add_test(tc, memory_can_be_mapped_before_there_is_any_device);
}

START_TEST(a_kernel_without_iommufd_is_served_by_vfio_and_the_report_says_why)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = IOMMUFD_BACKEND_IOMMUFD };
	struct iommufd_candidate_info info = { .struct_size = sizeof(info) };
	struct iommufd_report *report;
	struct iommufd_ctx *ctx = NULL;

	ok(iommufd_probe(&report));
	ok(iommufd_report_candidate(report, 0, &info));
	ck_assert_int_eq(info.error, -ENOENT);
	ck_assert_ptr_nonnull(strstr(info.reason, "/dev/iommu"));
	ck_assert_ptr_nonnull(strstr(info.reason, "CONFIG_IOMMUFD"));
	ok(iommufd_report_candidate(report, 1, &info));
	ck_assert_int_eq(info.error, 0);
	ck_assert_uint_eq(info.type1_version, 2);
	iommufd_report_free(report);

	fails(iommufd_ctx_new(&opts, &ctx), -ENOENT, "modprobe iommufd");
	ok(iommufd_ctx_new(NULL, &ctx));
	ck_assert_uint_eq(iommufd_ctx_backend(ctx), IOMMUFD_BACKEND_VFIO);
	iommufd_ctx_free(ctx);
}
END_TEST

void add_no_iommufd_tests(TCase *tc)
{
	tcase_add_test(tc, a_kernel_without_iommufd_is_served_by_vfio_and_the_report_says_why);
}
