/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The words of a failure. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "unit.h"

START_TEST(there_are_no_words_before_the_first_failure)
{
	ck_assert_str_eq(iommufd_errmsg(), "");
}
END_TEST

START_TEST(the_form_is_what_then_strerror_then_the_hint)
{
	ck_assert_int_eq(ifd_fail(-ENOENT, "look elsewhere", "open %s %d", "door", 7), -ENOENT);
	ck_assert_str_eq(iommufd_errmsg(), "open door 7: No such file or directory (look elsewhere)");
	ck_assert_int_eq(ifd_fail(-EBUSY, NULL, "open"), -EBUSY);
	ck_assert_str_eq(iommufd_errmsg(), "open: Device or resource busy");
	ck_assert_int_eq(ifd_fail(-EBUSY, "", "open again"), -EBUSY);
	ck_assert_str_eq(iommufd_errmsg(), "open again: Device or resource busy");
}
END_TEST

START_TEST(failing_leaves_errno_alone)
{
	errno = EXDEV;
	ifd_fail(-ENOENT, NULL, "open");
	ck_assert_int_eq(errno, EXDEV);
}
END_TEST

START_TEST(the_words_of_an_earlier_failure_can_be_part_of_what_failed)
{
	ifd_fail(-ENOENT, NULL, "first");
	ifd_fail(-EIO, NULL, "second after <%s>", iommufd_errmsg());
	ck_assert_str_eq(iommufd_errmsg(), "second after <first: No such file or directory>: Input/output error");
}
END_TEST

START_TEST(words_that_are_too_long_are_cut_off_and_keep_the_reason)
{
	char much[8000], hint[IFD_HINT_MAX] = "";

	memset(much, 'x', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	ifd_fail(-EIO, NULL, "%s", much);
	ck_assert_ptr_nonnull(strstr(iommufd_errmsg(), "x: Input/output error"));

	ifd_hint(hint, "%s", much);
	ck_assert_uint_eq(strlen(hint), IFD_HINT_MAX - 1);
	ifd_hint(hint, "more");
	ck_assert_uint_eq(strlen(hint), IFD_HINT_MAX - 1);

	ifd_fail(-EIO, much, "%s", much);
	ck_assert_ptr_nonnull(strstr(iommufd_errmsg(), "x: Input/output error (x"));
	ck_assert_uint_lt(strlen(iommufd_errmsg()), 4 * IFD_HINT_MAX);
}
END_TEST

START_TEST(hints_are_appended)
{
	char hint[IFD_HINT_MAX] = "";

	ifd_hint(hint, "%d", 1);
	ifd_hint(hint, ", %s", "two");
	ck_assert_str_eq(hint, "1, two");
}
END_TEST

START_TEST(an_errno_that_nobody_knows_still_gives_words)
{
	ck_assert_int_eq(ifd_fail(-4000, NULL, "open"), -4000);
	ck_assert_ptr_nonnull(strstr(iommufd_errmsg(), "open: "));
	ck_assert_uint_gt(strlen(iommufd_errmsg()), strlen("open: "));
}
END_TEST

/* What the other thread sees. It asserts nothing by itself: libcheck is not made for that. */
struct other {
	char before[64], after[64];
	const char *at;
};

static void *fail_there(void *arg)
{
	struct other *other = arg;

	snprintf(other->before, sizeof(other->before), "%s", iommufd_errmsg());
	ifd_fail(-EIO, NULL, "there");
	snprintf(other->after, sizeof(other->after), "%s", iommufd_errmsg());
	other->at = iommufd_errmsg();
	return NULL;
}

START_TEST(each_thread_has_its_own_words)
{
	struct other other;
	pthread_t thread;

	ifd_fail(-ENOENT, NULL, "here");
	ck_assert_int_eq(pthread_create(&thread, NULL, fail_there, &other), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_str_eq(other.before, "");
	ck_assert_str_eq(other.after, "there: Input/output error");
	ck_assert_ptr_ne(other.at, iommufd_errmsg());
	ck_assert_str_eq(iommufd_errmsg(), "here: No such file or directory");
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, there_are_no_words_before_the_first_failure);
	tcase_add_test(tcase, the_form_is_what_then_strerror_then_the_hint);
	tcase_add_test(tcase, failing_leaves_errno_alone);
	tcase_add_test(tcase, the_words_of_an_earlier_failure_can_be_part_of_what_failed);
	tcase_add_test(tcase, words_that_are_too_long_are_cut_off_and_keep_the_reason);
	tcase_add_test(tcase, hints_are_appended);
	tcase_add_test(tcase, an_errno_that_nobody_knows_still_gives_words);
	tcase_add_test(tcase, each_thread_has_its_own_words);
}
