/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* An ioctl as a line of text, for the debug log. Internal. */
#ifndef IFD_TRACE_H
#define IFD_TRACE_H

#include "log.h"

/* Writes the request's name, the members of its argument as they are after the call, and the result. */
void ifd_trace_ioctl(const struct ifd_log *log, int fd, unsigned long request, const void *arg, int ret);

#endif
