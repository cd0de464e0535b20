/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the unit tests share. */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <libiommufd/base.h>

/* Each test program defines this; unit.c has the rest of the program. */
void unit_tests(TCase *tcase);

/*
 * The seed of this run: $UNIT_SEED, or the clock. It is printed, so that a failure can be had again. Each thread keeps
 * a state of its own, which begins as the seed or something made from it.
 */
uint64_t unit_seed(void);
uint64_t unit_random(uint64_t *state);

/* 0 to `end` - 1 */
uint64_t unit_below(uint64_t *state, uint64_t end);

/* Milliseconds on a clock that never goes back. */
uint64_t unit_now(void);

/* The words of this thread's last failure have the form `what: strerror` or `what: strerror (hint)`. */
void unit_check_words(int err);

/* Puts words there that no test expects, so that a call which sets none is noticed. */
void unit_stale_words(void);
bool unit_words_are_stale(void);

#define unit_fails(err, call)                \
	do {                                 \
		unit_stale_words();          \
		ck_assert_int_eq(call, err); \
		unit_check_words(err);       \
	} while (0)

#define unit_words_have(part) ck_assert_msg(strstr(iommufd_errmsg(), part), "no %s in: %s", part, iommufd_errmsg())

#endif
