/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Structures that grow, in both directions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "opts.h"
#include "unit.h"

/* The structure as an old program, this library and a program of the future know it. */
struct old {
	size_t struct_size;
	uint64_t a;
};

struct now {
	size_t struct_size;
	uint64_t a, b;
};

struct future {
	size_t struct_size;
	uint64_t a, b, c;
};

/* In memory of its exact size, so that AddressSanitizer sees a step too far. */
static void *exactly(const void *what, size_t size)
{
	void *copy = malloc(size);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, what, size);
	return copy;
}

static int read_size(const void *theirs, size_t size, struct now *mine)
{
	void *copy = exactly(theirs, size);
	int ret = ifd_opts_read(mine, sizeof(*mine), sizeof(struct old), copy, "options");

	free(copy);
	return ret;
}

START_TEST(no_options_are_all_defaults)
{
	struct now mine = { 1, 2, 3 };

	ck_assert_int_eq(ifd_opts_read(&mine, sizeof(mine), sizeof(struct old), NULL, "options"), 0);
	ck_assert_uint_eq(mine.a, 0);
	ck_assert_uint_eq(mine.b, 0);
}
END_TEST

START_TEST(options_of_an_old_program_leave_newer_members_at_their_default)
{
	struct old theirs = { sizeof(theirs), 5 };
	struct now mine = { 1, 2, 3 };

	ck_assert_int_eq(read_size(&theirs, sizeof(theirs), &mine), 0);
	ck_assert_uint_eq(mine.a, 5);
	ck_assert_uint_eq(mine.b, 0);
}
END_TEST

START_TEST(options_that_are_exactly_known_are_read_in_full)
{
	struct now theirs = { sizeof(theirs), 5, 6 }, mine;

	ck_assert_int_eq(read_size(&theirs, sizeof(theirs), &mine), 0);
	ck_assert_uint_eq(mine.a, 5);
	ck_assert_uint_eq(mine.b, 6);
}
END_TEST

START_TEST(unknown_members_that_are_zero_are_accepted)
{
	struct future theirs = { sizeof(theirs), 5, 6, 0 };
	struct now mine;

	ck_assert_int_eq(read_size(&theirs, sizeof(theirs), &mine), 0);
	ck_assert_uint_eq(mine.a, 5);
	ck_assert_uint_eq(mine.b, 6);
}
END_TEST

START_TEST(an_unknown_member_that_is_set_is_refused_whichever_byte_it_is)
{
	for (size_t byte = offsetof(struct future, c); byte < sizeof(struct future); byte++) {
		struct future theirs = { sizeof(theirs), 5, 6, 0 };
		struct now mine;

		((unsigned char *)&theirs)[byte] = 0x80;
		unit_fails(-E2BIG, read_size(&theirs, sizeof(theirs), &mine));
		unit_words_have("options");
	}
}
END_TEST

START_TEST(a_size_below_the_first_release_is_refused)
{
	for (size_t size = 0; size < sizeof(struct old); size++) {
		struct old theirs = { size, 5 };
		struct now mine;

		unit_fails(-EINVAL, read_size(&theirs, sizeof(theirs), &mine));
		unit_words_have("struct_size");
		unit_fails(-EINVAL, ifd_info_check(&theirs, sizeof(theirs), "info"));
	}
}
END_TEST

START_TEST(a_size_that_no_structure_has_is_refused_before_it_is_believed)
{
	static const size_t sizes[] = { 4097, (size_t)1 << 32, SIZE_MAX };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct old theirs = { sizes[i], 5 };
		struct now mine;

		unit_fails(-EINVAL, read_size(&theirs, sizeof(theirs), &mine));
		unit_fails(-EINVAL, ifd_info_check(&theirs, sizeof(theirs), "info"));
		unit_words_have("info");
	}
}
END_TEST

START_TEST(an_info_for_an_old_program_is_cut_off_at_its_size)
{
	struct now mine = { 1, 5, 6 };
	struct old *theirs = exactly(&(struct old){ sizeof(*theirs), 9 }, sizeof(*theirs));

	ck_assert_int_eq(ifd_info_check(theirs, sizeof(*theirs), "info"), 0);
	ifd_info_write(theirs, &mine, sizeof(mine));
	ck_assert_uint_eq(theirs->struct_size, sizeof(*theirs));
	ck_assert_uint_eq(theirs->a, 5);
	free(theirs);
}
END_TEST

START_TEST(an_info_for_a_program_of_the_future_is_zero_where_this_library_ends)
{
	struct now mine = { 1, 5, 6 };
	struct future theirs = { sizeof(theirs), 9, 9, 9 };

	ck_assert_int_eq(ifd_info_check(&theirs, sizeof(struct old), "info"), 0);
	ifd_info_write(&theirs, &mine, sizeof(mine));
	ck_assert_uint_eq(theirs.struct_size, sizeof(theirs));
	ck_assert_uint_eq(theirs.a, 5);
	ck_assert_uint_eq(theirs.b, 6);
	ck_assert_uint_eq(theirs.c, 0);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, no_options_are_all_defaults);
	tcase_add_test(tcase, options_of_an_old_program_leave_newer_members_at_their_default);
	tcase_add_test(tcase, options_that_are_exactly_known_are_read_in_full);
	tcase_add_test(tcase, unknown_members_that_are_zero_are_accepted);
	tcase_add_test(tcase, an_unknown_member_that_is_set_is_refused_whichever_byte_it_is);
	tcase_add_test(tcase, a_size_below_the_first_release_is_refused);
	tcase_add_test(tcase, a_size_that_no_structure_has_is_refused_before_it_is_believed);
	tcase_add_test(tcase, an_info_for_an_old_program_is_cut_off_at_its_size);
	tcase_add_test(tcase, an_info_for_a_program_of_the_future_is_zero_where_this_library_ends);
}
