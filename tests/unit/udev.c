/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Which buses are looked at, as libudev is asked for them. */
#include <errno.h>
#include <libudev.h>
#include <stdio.h>

#include "udev.h"
#include "unit.h"

static char asked[256];
static int answer;

int __wrap_udev_enumerate_add_match_subsystem(struct udev_enumerate *all, const char *subsystem);
int __wrap_udev_enumerate_add_match_subsystem(struct udev_enumerate *all, const char *subsystem)
{
	ck_assert_ptr_nonnull(all);
	snprintf(asked + strlen(asked), sizeof(asked) - strlen(asked), "%s ", subsystem);
	return answer;
}

/* None of its own: what the kernel here has does not matter. */
int __wrap_udev_enumerate_scan_devices(struct udev_enumerate *all);
int __wrap_udev_enumerate_scan_devices(struct udev_enumerate *all)
{
	(void)all;
	return 0;
}

/* The queues and channels of s390 are parents of what is opened. */
START_TEST(the_devices_of_a_group_may_be_on_any_bus_whose_devices_are_opened)
{
	struct ifd_found_list list;

	ck_assert_int_eq(ifd_udev_group(7, &list), 0);
	ck_assert_str_eq(asked, "pci mdev platform amba fsl-mc cdx ");
	ck_assert_uint_eq(list.count, 0);
}
END_TEST

START_TEST(without_memory_there_is_no_list)
{
	struct ifd_found_list list;

	answer = -ENOMEM;
	ck_assert_int_eq(ifd_udev_group(7, &list), -ENOMEM);
	ck_assert_str_eq(asked, "pci ");
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, the_devices_of_a_group_may_be_on_any_bus_whose_devices_are_opened);
	tcase_add_test(tcase, without_memory_there_is_no_list);
}
