/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Physical and virtual functions, in a sysfs made up. */
#include <errno.h>

#include "functions.h"
#include "scene.h"

START_TEST(functions_tell_of_each_other)
{
	struct iommufd_sriov_info info = { .struct_size = sizeof(info) };
	char name[IOMMUFD_PCI_NAME_SIZE] = "untouched";

	functions_open(true);
	ck_assert_int_eq(iommufd_pci_sriov_get_info(FUNCTIONS_PF, &info), 0);
	ck_assert_uint_eq(info.flags, IOMMUFD_SRIOV_PF);
	ck_assert_uint_eq(info.max_vfs, 4);
	ck_assert_uint_eq(info.num_vfs, 1);
	ck_assert_str_eq(info.pf, "");

	unit_fails(-ERANGE, iommufd_pci_get_vf(FUNCTIONS_PF, 0, name, strlen(FUNCTIONS_VF)));
	unit_fails(-ENOENT, iommufd_pci_get_vf(FUNCTIONS_PF, 1, name, sizeof(name)));
	unit_fails(-ENOENT, iommufd_pci_get_vf(FUNCTIONS_PF, UINT32_MAX, name, sizeof(name)));
	ck_assert_str_eq(name, "untouched");
	ck_assert_int_eq(iommufd_pci_get_vf(FUNCTIONS_PF, 0, name, strlen(FUNCTIONS_VF) + 1), 0);
	ck_assert_str_eq(name, FUNCTIONS_VF);

	ck_assert_int_eq(iommufd_pci_sriov_get_info(FUNCTIONS_VF, &info), 0);
	ck_assert_uint_eq(info.flags, IOMMUFD_SRIOV_VF | IOMMUFD_SRIOV_TOKEN);
	ck_assert_uint_eq(info.max_vfs, 0);
	ck_assert_uint_eq(info.index, 0);
	ck_assert_str_eq(info.pf, FUNCTIONS_PF);
	functions_bind_pf("nvme");
	ck_assert_int_eq(iommufd_pci_sriov_get_info(FUNCTIONS_VF, &info), 0);
	ck_assert_uint_eq(info.flags, IOMMUFD_SRIOV_VF);
	functions_close();
}
END_TEST

START_TEST(an_answer_that_cannot_be_had_or_cannot_be_is_none)
{
	struct iommufd_sriov_info info = { .struct_size = sizeof(info) - 1, .flags = 77 };

	functions_open(true);
	unit_fails(-EINVAL, iommufd_pci_sriov_get_info(FUNCTIONS_PF, &info));
	info.struct_size++;
	inject_fail(INJECT_READ_TEXT, 1, -EMFILE);
	unit_fails(-EMFILE, iommufd_pci_sriov_get_info(FUNCTIONS_PF, &info));
	functions_write("sriov_totalvfs", "65536\n");
	unit_fails(-EPROTO, iommufd_pci_sriov_get_info(FUNCTIONS_PF, &info));
	unit_fails(-EPROTO, iommufd_pci_set_num_vfs(FUNCTIONS_PF, 0));
	ck_assert_uint_eq(info.flags, 77);
	functions_close();
}
END_TEST

START_TEST(the_number_is_written_when_it_can_be)
{
	functions_open(false);
	unit_fails(-ERANGE, iommufd_pci_set_num_vfs(FUNCTIONS_PF, 5));
	unit_words_have("it can have 4");
	ck_assert_int_eq(iommufd_pci_set_num_vfs(FUNCTIONS_PF, 0), 0);
	functions_bind_pf(NULL);
	unit_fails(-ENODEV, iommufd_pci_set_num_vfs(FUNCTIONS_PF, 4));
	functions_check("sriov_numvfs", "0\n");
	functions_close();
}
END_TEST

START_TEST(a_number_that_is_not_0_is_not_changed)
{
	functions_open(true);
	functions_bind_pf("nvme");
	unit_fails(-EBUSY, iommufd_pci_set_num_vfs(FUNCTIONS_PF, 2));
	unit_words_have("it has 1: set it to 0 first");
	unit_fails(-EOPNOTSUPP, iommufd_pci_set_num_vfs(FUNCTIONS_VF, 1));
	unit_words_have("being a virtual function of " FUNCTIONS_PF);
	unit_fails(-EOPNOTSUPP, iommufd_pci_set_num_vfs(FUNCTIONS_VF, 0));
	functions_check("sriov_numvfs", "1\n");
	ck_assert_int_eq(iommufd_pci_set_num_vfs(FUNCTIONS_PF, 0), 0);
	functions_check("sriov_numvfs", "0\n");
	functions_close();
}
END_TEST

/* To see whether its group is free it is opened; closed twice, its number may be another thread's by then. */
START_TEST(what_is_looked_into_is_closed_once)
{
	functions_open(true);
	functions_add_plain();
	inject_nodes("/dev/vfio/17");
	ck_assert_int_eq(iommufd_pci_set_num_vfs(FUNCTIONS_PF, 0), 0);
	inject_nodes(NULL);
	ck_assert_uint_eq(inject_fds(), 0);
	functions_check("sriov_numvfs", "0\n");
	functions_close();
}
END_TEST

START_TEST(what_the_kernel_does_not_do_is_told)
{
	static const struct {
		int says, ret;
		const char *words;
	} errors[] = {
		{ -ENOENT, -EOPNOTSUPP, "its driver nvme cannot do that" },
		{ -EACCES, -EACCES, "only root may" },
		{ -EPERM, -EPERM, "only root may" },
		{ -ENOMEM, -ENOMEM, "bus numbers" },
		{ -EIO, -EIO, "set the number of virtual functions of " FUNCTIONS_PF " to 3" },
	};

	functions_open(false);
	functions_bind_pf("nvme");
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		inject_fail(INJECT_WRITE, 1, errors[i].says);
		unit_fails(errors[i].ret, iommufd_pci_set_num_vfs(FUNCTIONS_PF, 3));
		unit_words_have(errors[i].words);
	}
	functions_bind_pf("vfio-pci");
	inject_text("/sys/module/vfio_pci/parameters/enable_sriov", "N\n");
	inject_fail(INJECT_WRITE, 1, -ENOENT);
	unit_fails(-EOPNOTSUPP, iommufd_pci_set_num_vfs(FUNCTIONS_PF, 3));
	unit_words_have("enable_sriov is off");
	inject_text(NULL, NULL);
	functions_close();
}
END_TEST

START_TEST(who_cannot_be_seen_is_not_waited_for_any_longer)
{
	functions_open(true);
	inject_fail(INJECT_WRITE, 1, -ETIMEDOUT);
	unit_fails(-ETIMEDOUT, iommufd_pci_set_num_vfs(FUNCTIONS_PF, 0));
	unit_words_have("as soon as that is closed");
	functions_close();
}
END_TEST

/* The links go first, and who has the last function open is still waited for. */
START_TEST(while_they_are_being_taken_away_they_are_not_said_to_be_gone)
{
	functions_open(false);
	for (uint32_t count = 0; count < 2; count++) {
		inject_fail(INJECT_READ_TEXT, 2, -ETIMEDOUT);
		unit_fails(-ETIMEDOUT, iommufd_pci_set_num_vfs(FUNCTIONS_PF, count));
		unit_words_have("try again then");
	}
	functions_check("sriov_numvfs", "0\n");
	functions_close();
}
END_TEST

START_TEST(a_process_that_cannot_be_made_to_read_their_number_is_told_as_what_it_is)
{
	functions_open(false);
	inject_fail(INJECT_READ_TEXT, 2, -EAGAIN);
	unit_fails(-EAGAIN, iommufd_pci_set_num_vfs(FUNCTIONS_PF, 1));
	unit_words_have("ulimit -u");
	inject_fail(INJECT_READ_TEXT, 2, -EACCES);
	unit_fails(-EACCES, iommufd_pci_set_num_vfs(FUNCTIONS_PF, 1));
	unit_words_have("run it as root");
	functions_check("sriov_numvfs", "0\n");
	functions_close();
}
END_TEST

START_TEST(a_driver_that_takes_its_time_to_make_them_is_not_waited_for_any_longer)
{
	functions_open(false);
	inject_fail(INJECT_WRITE, 1, -ETIMEDOUT);
	unit_fails(-ETIMEDOUT, iommufd_pci_set_num_vfs(FUNCTIONS_PF, 1));
	unit_words_have("goes on");
	functions_close();
}
END_TEST

START_TEST(nodes_that_nobody_makes_are_told)
{
	functions_open(true);
	unit_fails(-ETIMEDOUT, iommufd_pci_set_num_vfs(FUNCTIONS_PF, 1));
	unit_words_have("udev");
	functions_close();
}
END_TEST

START_TEST(a_function_that_goes_while_its_node_is_awaited_is_not_udevs_fault)
{
	functions_open(true);
	inject_late(100, functions_lose_vf);
	unit_fails(-ENODEV, iommufd_pci_set_num_vfs(FUNCTIONS_PF, 1));
	unit_words_have("taken them away again");
	inject_late(0, NULL);
	functions_close();
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, functions_tell_of_each_other);
	tcase_add_test(tcase, an_answer_that_cannot_be_had_or_cannot_be_is_none);
	tcase_add_test(tcase, the_number_is_written_when_it_can_be);
	tcase_add_test(tcase, a_number_that_is_not_0_is_not_changed);
	tcase_add_test(tcase, what_is_looked_into_is_closed_once);
	tcase_add_test(tcase, what_the_kernel_does_not_do_is_told);
	tcase_add_test(tcase, who_cannot_be_seen_is_not_waited_for_any_longer);
	tcase_add_test(tcase, while_they_are_being_taken_away_they_are_not_said_to_be_gone);
	tcase_add_test(tcase, a_process_that_cannot_be_made_to_read_their_number_is_told_as_what_it_is);
	tcase_add_test(tcase, a_driver_that_takes_its_time_to_make_them_is_not_waited_for_any_longer);
	tcase_add_test(tcase, nodes_that_nobody_makes_are_told);
	tcase_add_test(tcase, a_function_that_goes_while_its_node_is_awaited_is_not_udevs_fault);
}
