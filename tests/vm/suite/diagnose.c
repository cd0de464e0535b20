/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A diagnosis finds what a device would be refused for, and is right when it finds nothing. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm.h"

void vm_finds(const char *address, const char *subject, int err, const char *words)
{
	struct iommufd_finding finding = { .struct_size = sizeof(finding) };
	struct iommufd_diagnosis *diagnosis;
	uint32_t i = 0;

	ok(iommufd_diagnose(address, &diagnosis));
	do
		ok(iommufd_diagnosis_finding(diagnosis, i++, &finding));
	while (strcmp(finding.subject, subject) != 0 || (finding.backend && finding.backend != vm_backend));
	ck_assert_int_eq(finding.error, err);
	ck_assert_msg(strstr(finding.words, words) != NULL, "\"%s\" is not in \"%s\"", words, finding.words);
	iommufd_diagnosis_free(diagnosis);
}

START_TEST(a_device_that_works_has_nothing_in_its_way)
{
	struct iommufd_finding finding = { .struct_size = sizeof(finding) };
	struct iommufd_diagnosis *diagnosis;
	int fds = open_fds();
	struct bed bed;
	uint32_t i = 0;

	ok(iommufd_diagnose(EDU, &diagnosis));
	while (!iommufd_diagnosis_finding(diagnosis, i++, &finding))
		ck_assert_msg(!finding.error || finding.backend + vm_backend == 3, "%s: %s", finding.subject,
			      finding.words);
	ck_assert_uint_gt(i, 8);
	iommufd_diagnosis_free(diagnosis);
	ck_assert_int_eq(open_fds(), fds);
	bed_attach(&bed, EDU);
	bed_close(&bed);
}
END_TEST

START_TEST(what_the_kernel_has_is_found)
{
	char words[64];

	vm_bind(NVME, "nvme");
	vm_finds(NVME, "driver", -ENODEV, "it is bound to nvme: bind it to vfio-pci");
	vm_bind(NVME, "vfio-pci");
	vm_finds(NVME, "driver", 0, "vfio-pci");

	vm_bind(TWIN_VIRTIO, "virtio-pci");
	snprintf(words, sizeof(words), "%s is bound to virtio-pci", TWIN_VIRTIO);
	vm_finds(TWIN_A, "group", -EPERM, words);
	vm_bind(TWIN_VIRTIO, "vfio-pci");
	vm_finds(TWIN_A, "group", 0, "no driver that would be in the way");
}
END_TEST

START_TEST(who_has_the_device_is_found_and_not_disturbed)
{
	struct vm_other other;

	vm_hold(TWIN_A, &other);
	vm_finds(TWIN_B, "users", -EBUSY, other.words);
	vm_finds(TWIN_A, "users", -EBUSY, other.words);
	vm_let_go(&other);
	vm_finds(TWIN_A, "users", 0, "no process that can be seen");
}
END_TEST

START_TEST(what_a_user_may_not_open_is_found)
{
	const char *context = vm_backend == IOMMUFD_BACKEND_IOMMUFD ? "/dev/iommu" : "/dev/vfio/vfio";
	char node[128];

	vm_open_to_all(EDU);
	if (vm_path->by_node)
		vm_cdev(EDU, node, sizeof(node));
	else
		snprintf(node, sizeof(node), "/dev/vfio/%d", vm_group(EDU));
	ck_assert_int_eq(chmod(node, 0600), 0);
	vm_become_user(64 << 10);
	vm_finds(EDU, "backend", 0, "usable");
	vm_finds(EDU, "node", -EACCES, "has the mode 0600 and belongs to user 0");
	vm_finds(EDU, "memlock", 0, "the memlock limit is 65536 bytes, counted per ");
	ck_assert_int_eq(access(context, R_OK | W_OK), 0);
}
END_TEST

START_TEST(a_backend_that_may_not_be_opened_is_found)
{
	const char *context = vm_backend == IOMMUFD_BACKEND_IOMMUFD ? "/dev/iommu" : "/dev/vfio/vfio";

	ck_assert_int_eq(chmod(context, 0600), 0);
	vm_become_user(64 << 10);
	vm_finds(EDU, "backend", -EACCES, "has the mode 0600");
}
END_TEST

START_TEST(an_address_of_nothing_has_no_diagnosis)
{
	struct iommufd_diagnosis *diagnosis = NULL;

	fails(iommufd_diagnose("0000:00:1e.7", &diagnosis), -ENOENT, "lspci");
	fails(iommufd_diagnose("nvme0", &diagnosis), -EINVAL, "PCI address");
	ck_assert_ptr_null(diagnosis);
}
END_TEST

static void restore_modes(void)
{
	vm_open_to_all(EDU);
}

void add_diagnose_tests(TCase *tc)
{
	tcase_add_checked_fixture(tc, restore_modes, NULL);
	tcase_add_test(tc, a_device_that_works_has_nothing_in_its_way);
	tcase_add_test(tc, what_the_kernel_has_is_found);
	tcase_add_test(tc, who_has_the_device_is_found_and_not_disturbed);
	tcase_add_test(tc, what_a_user_may_not_open_is_found);
	tcase_add_test(tc, a_backend_that_may_not_be_opened_is_found);
	tcase_add_test(tc, an_address_of_nothing_has_no_diagnosis);
}
