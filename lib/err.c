/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

static _Thread_local struct ifd_words message;

int ifd_fail(int err, const char *hint, const char *what_fmt, ...)
{
	char what[IFD_HINT_MAX], reason[128];
	int saved = errno;
	va_list args;

	va_start(args, what_fmt);
	vsnprintf(what, sizeof(what), what_fmt, args);
	va_end(args);

	snprintf(message.text, sizeof(message.text), "%s: %s%s%s%s", what, strerror_r(-err, reason, sizeof(reason)),
		 hint && *hint ? " (" : "", hint ? hint : "", hint && *hint ? ")" : "");
	errno = saved;
	return err;
}

void ifd_hint(char *buf, const char *fmt, ...)
{
	size_t used = strlen(buf);
	va_list args;

	va_start(args, fmt);
	vsnprintf(buf + used, IFD_HINT_MAX - used, fmt, args);
	va_end(args);
}

void ifd_words_keep(struct ifd_words *words)
{
	*words = message;
}

void ifd_words_restore(const struct ifd_words *words)
{
	message = *words;
}

EXPORT const char *iommufd_errmsg(void)
{
	return message.text;
}
