/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "unit.h"

/* Generous: with ThreadSanitizer on a busy machine the longest test takes some ten times what it takes plainly. */
#define TIMEOUT_SECONDS 90

#define STALE_WORDS "words of an earlier failure"

uint64_t unit_seed(void)
{
	const char *text = getenv("UNIT_SEED");
	uint64_t seed = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();

	if (text)
		seed = strtoull(text, NULL, 0);
	fprintf(stderr, "UNIT_SEED=%" PRIu64 "\n", seed);
	return seed;
}

/* splitmix64 */
uint64_t unit_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

uint64_t unit_below(uint64_t *state, uint64_t end)
{
	return unit_random(state) % end;
}

uint64_t unit_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void unit_check_words(int err)
{
	const char *words = iommufd_errmsg(), *at;
	char reason[160];
	size_t left;

	snprintf(reason, sizeof(reason), ": %s", strerror(-err));
	at = strstr(words, reason);
	ck_assert_msg(at && at != words, "%d is not in these words: %s", err, words);
	at += strlen(reason);
	left = strlen(at);
	ck_assert_msg(!left || (left > 3 && at[0] == ' ' && at[1] == '(' && at[left - 1] == ')'), "not of the form: %s",
		      words);
}

void unit_stale_words(void)
{
	ifd_fail(-ENOLCK, NULL, STALE_WORDS);
}

bool unit_words_are_stale(void)
{
	return strncmp(iommufd_errmsg(), STALE_WORDS, strlen(STALE_WORDS)) == 0;
}

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	Suite *suite = suite_create(slash ? slash + 1 : "unit");
	TCase *tcase = tcase_create("unit");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, TIMEOUT_SECONDS);
	unit_tests(tcase);
	suite_add_tcase(suite, tcase);

	runner = srunner_create(suite);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
