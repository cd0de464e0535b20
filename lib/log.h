/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A context's log. Internal. */
#ifndef IFD_LOG_H
#define IFD_LOG_H

#include <stdint.h>

#include <libiommufd/ctx.h>

#include "err.h"

struct ifd_log {
	iommufd_log_fn fn;
	void *data;
	uint32_t level;
};

/* From the options, or else from $LIBIOMMUFD_LOG, or else silent. -EINVAL with words for a level that is none. */
int ifd_log_init(struct ifd_log *log, const struct iommufd_ctx_opts *opts);

/* Takes NULL for silence. Use the macro: it tests the level before anything is formatted. */
void ifd_log_write(const struct ifd_log *log, uint32_t level, const char *fmt, ...) IFD_PRINTF(3, 4);

#define ifd_log_on(log, at)      ((log) && (log)->level >= (at))
#define ifd_log_at(log, at, ...) (ifd_log_on(log, at) ? ifd_log_write(log, at, __VA_ARGS__) : (void)0)
#define ifd_error(log, ...)      ifd_log_at(log, IOMMUFD_LOG_ERROR, __VA_ARGS__)
#define ifd_warn(log, ...)       ifd_log_at(log, IOMMUFD_LOG_WARN, __VA_ARGS__)
#define ifd_info(log, ...)       ifd_log_at(log, IOMMUFD_LOG_INFO, __VA_ARGS__)
#define ifd_debug(log, ...)      ifd_log_at(log, IOMMUFD_LOG_DEBUG, __VA_ARGS__)

#endif
