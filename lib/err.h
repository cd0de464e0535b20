/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The words of a failure. Internal. */
#ifndef IFD_ERR_H
#define IFD_ERR_H

#include <stddef.h>
#include <string.h>

/* Room for a hint that is put together at the moment of failure. */
#define IFD_HINT_MAX 1024

#define IFD_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/*
 * The one way to fail: sets the thread's message to `what: strerror (hint)` and returns `err`, a negative errno.
 * `hint` may be NULL, and must not be a part of the current message. errno is left as it was.
 */
int ifd_fail(int err, const char *hint, const char *what_fmt, ...) IFD_PRINTF(3, 4);

/* Formats into `buf`, of IFD_HINT_MAX bytes, behind what is there already. Cuts off rather than overflow. */
void ifd_hint(char *buf, const char *fmt, ...) IFD_PRINTF(2, 3);

/* Around what takes back, and tells its own failures to the log: the thread's message is afterwards what it was. */
struct ifd_words {
	char text[2 * IFD_HINT_MAX];
};
void ifd_words_keep(struct ifd_words *words);
void ifd_words_restore(const struct ifd_words *words);

/* A result's text, for lines of the log. It lives as long as the block that it is used in. */
#define IFD_STRERROR(err) strerror_r(-(err), (char[128]){ 0 }, 128)

#endif
