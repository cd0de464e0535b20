/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Binding, in a sysfs that is made up: whatever fails, the device has its driver and its override again. */
#include <errno.h>
#include <stdio.h>

#include "bind-scene.h"
#include "unit.h"

#include <libiommufd/bind.h>

static struct iommufd_driver_state was = { .struct_size = sizeof(was) };

/* ---- Whatever fails ---- */

START_TEST(wherever_a_write_fails_all_is_as_it_was)
{
	unsigned int steps;

	reset("nvme", "");
	ck_assert_int_eq(iommufd_driver_bind(DEVICE, NULL, 0, &was), 0);
	is_at("vfio-pci", "vfio-pci");
	steps = sim.calls;
	ck_assert_uint_eq(steps, 3); /* override, unbind, bind */
	for (unsigned int i = 1; i <= steps; i++) {
		reset("nvme", "");
		sim.fail_at = i;
		sim.fails_after = 1;
		sim.fail_with = -ENOMEM;
		unit_fails(i == 3 ? -EIO : -ENOMEM, iommufd_driver_bind(DEVICE, NULL, 0, &was));
		is_at("nvme", "");
	}
	reset("vfio-pci", "vfio-pci");
	snprintf(was.driver, sizeof(was.driver), "nvme");
	was.driver_override[0] = '\0';
	ck_assert_int_eq(iommufd_driver_restore(DEVICE, &was, 0), 0);
	is_at("nvme", "");
	steps = sim.calls;
	for (unsigned int i = 1; i <= steps; i++) {
		reset("vfio-pci", "vfio-pci");
		sim.fail_at = i;
		sim.fails_after = 1;
		sim.fail_with = -EACCES;
		unit_fails(-EACCES, iommufd_driver_restore(DEVICE, &was, 0));
		unit_words_have("run it as root");
		is_at("vfio-pci", "vfio-pci");
	}
}
END_TEST

START_TEST(what_cannot_be_put_back_is_told_of)
{
	reset("nvme", "");
	sim.fail_at = 3;
	sim.fails_after = 100;
	sim.fail_with = -ENOMEM;
	unit_fails(-EIO, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("give it back to \"nvme\"");
	unit_words_have("vfio-pci does not take it"); /* the first reason is not lost */
	is_at("", "vfio-pci");
}
END_TEST

START_TEST(a_driver_that_refuses_is_told_with_its_errno_and_the_old_one_comes_back)
{
	reset("nvme", "nvme");
	sim.refuses = "vfio-pci";
	sim.refuses_with = -EINVAL;
	unit_fails(-EIO, iommufd_driver_bind(DEVICE, "vfio-pci", 0, &was));
	unit_words_have("it said: Invalid argument");
	is_at("nvme", "nvme");
}
END_TEST

START_TEST(nodes_that_do_not_come_are_a_failure_that_is_taken_back)
{
	reset("nvme", "");
	sim.late = true;
	unit_fails(-ENOENT, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("nobody made it within a second");
	is_at("nvme", "");
	sim.no_group_node = true; /* and where there is no group, the device's own is what counts */
	unit_fails(-ENOENT, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	is_at("nvme", "");
}
END_TEST

START_TEST(a_driver_that_does_not_let_go_keeps_the_device_and_the_override_is_as_it_was)
{
	reset("vfio-pci", "vfio-pci");
	sim.deaf = true;
	unit_fails(-ETIMEDOUT, iommufd_driver_restore(DEVICE, NULL, 0));
	unit_words_have("goes on waiting");
	is_at("vfio-pci", "vfio-pci");
	ck_assert_uint_eq(sim.unbinds, 1); /* it is not waited for twice */
}
END_TEST

/* ---- While somebody else is at it ---- */

static struct iommufd_driver_state nothing = { .struct_size = sizeof(nothing) };

START_TEST(what_a_driver_has_not_let_go_of_is_not_waited_for_and_nothing_is_said_to_be_done)
{
	for (unsigned int i = 0; i < 2; i++) {
		reset("", "");
		sim.half_gone = true;
		sim.old = i;
		unit_fails(-ETIMEDOUT, iommufd_driver_bind(DEVICE, NULL, 0, &was));
		unit_words_have("try again then");
		unit_fails(-ETIMEDOUT, iommufd_driver_restore(DEVICE, NULL, 0));
		unit_words_have("try again then");
		unit_fails(-ETIMEDOUT, iommufd_driver_restore(DEVICE, &nothing, IOMMUFD_DRIVER_FORCE));
		ck_assert_uint_eq(sim.calls, 0); /* nothing is left behind that binds it some day */
		is_at("", "");
	}
	/* A kernel without power management: at the latest the bind tells. */
	reset("", "");
	sim.half_gone = sim.no_power = true;
	unit_fails(-ETIMEDOUT, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	is_at("", "vfio-pci"); /* it gets it as soon as that is over */
}
END_TEST

/* The kernel links the device with its driver before it asks the driver. */
START_TEST(a_driver_that_is_not_done_is_no_success_and_its_override_stays)
{
	for (unsigned int i = 0; i < 2; i++) {
		reset("nvme", "");
		sim.slow = true;
		sim.refuses = i ? "vfio-pci" : NULL; /* in the end */
		sim.refuses_with = -EINVAL;
		unit_fails(-ETIMEDOUT, iommufd_driver_bind(DEVICE, NULL, 0, &was));
		unit_words_have("not done with taking it");
		is_at(i ? "" : "vfio-pci", "vfio-pci");
		ck_assert_uint_eq(sim.calls, 3); /* nothing is written after it */
	}
	/* What the kernel picks would be VFIO's again at the next occasion. */
	reset("vfio-pci", "vfio-pci");
	sim.slow = true;
	unit_fails(-ETIMEDOUT, iommufd_driver_restore(DEVICE, NULL, 0));
	unit_words_have("not done with taking it");
	is_at("nvme", "");
	reset("vfio-pci", "vfio-pci");
	sim.slow = true;
	snprintf(was.driver, sizeof(was.driver), "nvme");
	was.driver_override[0] = '\0';
	unit_fails(-ETIMEDOUT, iommufd_driver_restore(DEVICE, &was, 0));
	is_at("nvme", "");
}
END_TEST

START_TEST(who_else_binds_it_in_between_keeps_it)
{
	reset("nvme", "");
	sim.thief = "vfio-thief";
	unit_fails(-EBUSY, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("vfio-thief has it: somebody else binds it");
	is_at("vfio-thief", "");
	ck_assert_uint_eq(sim.unbinds, 1);
}
END_TEST

/* Others may have begun, and gone on after. */
START_TEST(where_nothing_was_begun_nothing_is_put_back)
{
	reset("nvme", "");
	sim.fail_at = 1;
	sim.fails_after = 100;
	sim.fail_with = -EACCES;
	unit_fails(-EACCES, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	ck_assert_ptr_null(strstr(iommufd_errmsg(), "give it back"));
	ck_assert_uint_eq(sim.calls, 1);
}
END_TEST

START_TEST(a_process_that_cannot_be_made_is_told_as_what_it_is)
{
	reset("nvme", "");
	sim.fail_at = 1;
	sim.fails_after = 1;
	sim.fail_with = -EAGAIN;
	unit_fails(-EAGAIN, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("a process of its own");
	reset("nvme", "");
	sim.fail_at = 1;
	sim.fails_after = 1;
	sim.fail_with = -ENOMEM;
	unit_fails(-ENOMEM, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("MADV_DONTFORK");
	is_at("nvme", "");
}
END_TEST

/* ---- Who uses it ---- */

START_TEST(what_the_system_uses_is_not_taken_unless_by_force)
{
	for (unsigned int round = 0; round < 8; round++) {
		unsigned int i = round / 2;

		reset("nvme", "");
		sim.shared = round % 2; /* the disk may be that of several controllers */
		sim.claimed = i == 3;
		sim.mounted = i == 0;
		sim.up = i == 1;
		sim.held = i == 2;
		unit_fails(-EBUSY, iommufd_driver_bind(DEVICE, NULL, 0, &was));
		unit_words_have(i == 0   ? "(/dev/nvme0n1p1 is mounted at /home)"
				: i == 1 ? "(eth0 is up, which ends with: ip link set down dev eth0)"
				: i == 2 ? "(/dev/nvme0n1 is a part of dm-0)"
					 : "(/dev/nvme0n1p1 is in use, by whom cannot be seen from here)");
		ck_assert_uint_eq(sim.calls, 0);
		is_at("nvme", "");
		ck_assert_int_eq(iommufd_driver_bind(DEVICE, NULL, IOMMUFD_DRIVER_FORCE, &was), 0);
		is_at("vfio-pci", "vfio-pci");
	}
}
END_TEST

START_TEST(a_parent_is_not_taken_while_a_mediated_device_of_it_is_used_unless_by_force)
{
	for (unsigned int force = 0; force < 2; force++) {
		reset("nvme", "");
		sim.mediated = sim.busy_group = true;
		unit_fails(-EBUSY, iommufd_driver_bind(DEVICE, NULL, 0, &was));
		unit_words_have("its mediated device " UUID " is in use: ");
		ck_assert_uint_eq(sim.calls, 0);
		is_at("nvme", "");
		sim.busy_group = force;
		ck_assert_int_eq(iommufd_driver_bind(DEVICE, NULL, force ? IOMMUFD_DRIVER_FORCE : 0, &was), 0);
		is_at("vfio-pci", "vfio-pci");
	}
}
END_TEST

START_TEST(a_group_that_somebody_has_whom_nobody_sees_is_in_use)
{
	reset("vfio-pci", "vfio-pci");
	sim.busy_group = true;
	unit_fails(-EBUSY, iommufd_driver_restore(DEVICE, NULL, 0));
	unit_words_have("by nobody that this process can see");
	ck_assert_uint_eq(sim.unbinds, 0);
	is_at("vfio-pci", "vfio-pci");
	ck_assert_int_eq(iommufd_driver_restore(DEVICE, NULL, IOMMUFD_DRIVER_FORCE), 0);
	is_at("nvme", "");
}
END_TEST

/* ---- Which driver ---- */

START_TEST(the_driver_that_is_made_for_a_device_is_the_best)
{
	reset("nvme", "");
	sim.alias = "alias vfio_pci:v00001234d00005678sv*sd*bc*sc*i* special_vfio_pci";
	unit_fails(-ENOENT, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("special_vfio_pci that is made for it is not loaded");
	ck_assert_uint_eq(sim.calls, 0);
	sim.loaded = "special-vfio";
	ck_assert_int_eq(iommufd_driver_bind(DEVICE, NULL, 0, &was), 0);
	is_at("special-vfio", "special-vfio");
	unit_fails(-EALREADY, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("special-vfio");
	reset("nvme", "");
	sim.alias = "alias vfio_pci:v00001234d00009999sv*sd*bc*sc*i* special_vfio_pci"; /* for another one */
	ck_assert_int_eq(iommufd_driver_bind(DEVICE, NULL, 0, &was), 0);
	is_at("vfio-pci", "vfio-pci");
}
END_TEST

/* It is VFIO's, and what its best driver would be does not matter. */
START_TEST(what_vfio_has_is_bound_already_also_where_its_best_driver_is_not_loaded)
{
	reset("vfio-pci", "vfio-pci");
	sim.alias = "alias vfio_pci:v00001234d00005678sv*sd*bc*sc*i* special_vfio_pci";
	unit_fails(-EALREADY, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("vfio-pci");
	ck_assert_uint_eq(sim.calls, 0);
}
END_TEST

/* Queues and channels of s390 make no DMA of their own: they are in no group, and cannot be opened. */
START_TEST(a_queue_without_a_group_is_bound)
{
	static const char *const pairs[][2] = { { "ap", "vfio_ap" }, { "css", "vfio_ccw" } };

	for (size_t i = 0; i < 2; i++) {
		reset("nvme", "");
		snprintf(sim.subsystem, sizeof(sim.subsystem), "%s", pairs[i][0]);
		sim.group = -1;
		sim.loaded = pairs[i][1];
		ck_assert_int_eq(iommufd_driver_bind(DEVICE, NULL, 0, &was), 0);
		is_at(pairs[i][1], pairs[i][1]);
	}
}
END_TEST

START_TEST(a_driver_whose_name_has_spaces_gets_its_device_back)
{
	reset("Prestera DX", "");
	sim.loaded = "Prestera DX";
	ck_assert_int_eq(iommufd_driver_bind(DEVICE, NULL, 0, &was), 0);
	is_at("vfio-pci", "vfio-pci");
	ck_assert_str_eq(was.driver, "Prestera DX");
	ck_assert_int_eq(iommufd_driver_restore(DEVICE, &was, 0), 0);
	is_at("Prestera DX", "");
	ck_assert_int_eq(iommufd_driver_bind(DEVICE, "vfio-pci", 0, NULL), 0);
	ck_assert_int_eq(iommufd_driver_bind(DEVICE, "Prestera DX", 0, NULL), 0);
	is_at("Prestera DX", "Prestera DX");
}
END_TEST

START_TEST(what_cannot_be_bound_is_refused_before_anything_is_written)
{
	reset("nvme", "");
	sim.group = -1;
	unit_fails(-ENODEV, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("switch the IOMMU on");
	reset("nvme", "");
	snprintf(sim.subsystem, sizeof(sim.subsystem), "usb");
	unit_fails(-EOPNOTSUPP, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	snprintf(sim.subsystem, sizeof(sim.subsystem), "mdev");
	unit_fails(-EOPNOTSUPP, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("iommufd_mdev_create()");
	reset("nvme", "");
	sim.class = 0x060400;
	unit_fails(-EOPNOTSUPP, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	reset("nvme", "");
	memset(sim.override, 'x', 63);
	unit_fails(-ENAMETOOLONG, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	ck_assert_uint_eq(sim.calls, 0);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, wherever_a_write_fails_all_is_as_it_was);
	tcase_add_test(tcase, what_cannot_be_put_back_is_told_of);
	tcase_add_test(tcase, a_driver_that_refuses_is_told_with_its_errno_and_the_old_one_comes_back);
	tcase_add_test(tcase, nodes_that_do_not_come_are_a_failure_that_is_taken_back);
	tcase_add_test(tcase, a_driver_that_does_not_let_go_keeps_the_device_and_the_override_is_as_it_was);
	tcase_add_test(tcase, what_a_driver_has_not_let_go_of_is_not_waited_for_and_nothing_is_said_to_be_done);
	tcase_add_test(tcase, a_driver_that_is_not_done_is_no_success_and_its_override_stays);
	tcase_add_test(tcase, who_else_binds_it_in_between_keeps_it);
	tcase_add_test(tcase, where_nothing_was_begun_nothing_is_put_back);
	tcase_add_test(tcase, a_process_that_cannot_be_made_is_told_as_what_it_is);
	tcase_add_test(tcase, what_the_system_uses_is_not_taken_unless_by_force);
	tcase_add_test(tcase, a_parent_is_not_taken_while_a_mediated_device_of_it_is_used_unless_by_force);
	tcase_add_test(tcase, a_group_that_somebody_has_whom_nobody_sees_is_in_use);
	tcase_add_test(tcase, the_driver_that_is_made_for_a_device_is_the_best);
	tcase_add_test(tcase, what_vfio_has_is_bound_already_also_where_its_best_driver_is_not_loaded);
	tcase_add_test(tcase, a_queue_without_a_group_is_bound);
	tcase_add_test(tcase, a_driver_whose_name_has_spaces_gets_its_device_back);
	tcase_add_test(tcase, what_cannot_be_bound_is_refused_before_anything_is_written);
}
