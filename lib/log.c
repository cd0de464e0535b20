/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static const char *const level_names[] = { "none", "error", "warn", "info", "debug" };

#define LEVELS (sizeof(level_names) / sizeof(level_names[0]))

static void to_stderr(void *data, int level, const char *text)
{
	(void)data;
	fprintf(stderr, "libiommufd: %s: %s\n", level_names[level], text);
}

/* What the variable says counts only where it can be trusted and means something; anything else is silence. */
static uint32_t level_from_env(void)
{
	const char *value = secure_getenv("LIBIOMMUFD_LOG");

	for (uint32_t level = 0; value && level < LEVELS; level++)
		if (!strcmp(value, level_names[level]))
			return level;
	return IOMMUFD_LOG_NONE;
}

int ifd_log_init(struct ifd_log *log, const struct iommufd_ctx_opts *opts)
{
	if (opts->log_level >= LEVELS)
		return ifd_fail(-EINVAL, "use IOMMUFD_LOG_NONE to IOMMUFD_LOG_DEBUG", "log level %u", opts->log_level);

	if (opts->log)
		*log = (struct ifd_log){ .fn = opts->log, .data = opts->log_data, .level = opts->log_level };
	else
		*log = (struct ifd_log){ .fn = to_stderr, .level = level_from_env() };
	return 0;
}

void ifd_log_write(const struct ifd_log *log, uint32_t level, const char *fmt, ...)
{
	char line[1024];
	int saved = errno;
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	log->fn(log->data, (int)level, line);
	errno = saved;
}
