/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Our declarations of the kernel's binary interface against the kernel's own. */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uapi-facts.h"

static bool equal(const struct fact *a, const struct fact *b)
{
	return strcmp(a->name, b->name) == 0 && a->kind == b->kind && a->size == b->size && a->offset == b->offset &&
	       a->alignment == b->alignment && a->sign == b->sign && a->value == b->value;
}

static int print(char *to, size_t room, const char *whose, const struct fact *fact)
{
	switch (fact->kind) {
	case FACT_STRUCT:
		return snprintf(to, room, ", %s: size %zu, alignment %zu", whose, fact->size, fact->alignment);
	case FACT_MEMBER:
		return snprintf(to, room, ", %s: offset %zu, size %zu%s", whose, fact->offset, fact->size,
				fact->sign ? ", with a sign" : "");
	default:
		return snprintf(to, room, ", %s: %#llx", whose, (unsigned long long)fact->value);
	}
}

/* Names every entry of a kind that differs, not only the first. */
static void compare(int kind)
{
	char words[4096] = "";
	size_t used = 0, seen = 0;

	ck_assert_uint_eq(facts_ours_count, facts_kernel_count);
	for (size_t i = 0; i < facts_ours_count; i++) {
		const struct fact *ours = &facts_ours[i], *kernel = &facts_kernel[i];

		seen += ours->kind == kind;
		if (ours->kind != kind || equal(ours, kernel) || used > sizeof(words) - 256)
			continue;
		used += (size_t)snprintf(words + used, sizeof(words) - used, "%s%s", used ? "; " : "", ours->name);
		used += (size_t)print(words + used, sizeof(words) - used, "here", ours);
		used += (size_t)print(words + used, sizeof(words) - used, "kernel", kernel);
	}
	ck_assert_msg(seen > 0, "the table has no such entry");
	ck_assert_msg(!used, "%s", words);
}

START_TEST(every_structure_has_the_size_and_alignment_of_the_kernels)
{
	compare(FACT_STRUCT);
}
END_TEST

START_TEST(every_member_has_the_offset_size_and_sign_of_the_kernels)
{
	compare(FACT_MEMBER);
}
END_TEST

START_TEST(every_constant_and_ioctl_number_has_the_value_of_the_kernels)
{
	compare(FACT_NUMBER);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("uapi");
	TCase *tcase = tcase_create("kernel");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, every_structure_has_the_size_and_alignment_of_the_kernels);
	tcase_add_test(tcase, every_member_has_the_offset_size_and_sign_of_the_kernels);
	tcase_add_test(tcase, every_constant_and_ioctl_number_has_the_value_of_the_kernels);
	suite_add_tcase(suite, tcase);

	runner = srunner_create(suite);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
