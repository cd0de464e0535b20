/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What becomes of the results of system calls. */
#include <errno.h>
#include <limits.h>

#include "sys.h"
#include "unit.h"

static int result, its_errno;

int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	(void)fd;
	(void)request;
	(void)arg;
	errno = its_errno;
	return result;
}

static void gives(int ret, int err)
{
	result = ret;
	its_errno = err;
}

START_TEST(an_ioctl_gives_0_or_an_errno)
{
	gives(0, EIO);
	ck_assert_int_eq(ifd_sys_ioctl(NULL, -1, 0, NULL), 0);
	gives(-1, EIO);
	ck_assert_int_eq(ifd_sys_ioctl(NULL, -1, 0, NULL), -EIO);
	ck_assert_int_eq(ifd_sys_ioctl_number(NULL, -1, 0, NULL), -EIO);
}
END_TEST

START_TEST(a_number_is_one_only_where_it_was_asked_for)
{
	gives(3, 0);
	ck_assert_int_eq(ifd_sys_ioctl_number(NULL, -1, 0, NULL), 3);
	ck_assert_int_eq(ifd_sys_ioctl(NULL, -1, 0, NULL), -EPROTO);
}
END_TEST

START_TEST(a_negative_result_that_is_no_errno_is_a_breach_of_protocol)
{
	static const int results[] = { -2, -5000, INT_MIN };

	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		gives(results[i], i ? 0 : EIO);
		ck_assert_int_eq(ifd_sys_ioctl(NULL, -1, 0, NULL), -EPROTO);
		ck_assert_int_eq(ifd_sys_ioctl_number(NULL, -1, 0, NULL), -EPROTO);
	}
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, an_ioctl_gives_0_or_an_errno);
	tcase_add_test(tcase, a_number_is_one_only_where_it_was_asked_for);
	tcase_add_test(tcase, a_negative_result_that_is_no_errno_is_a_breach_of_protocol);
}
