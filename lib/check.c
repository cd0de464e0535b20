/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What every call asks first: whether the handle may be used here, and now. */
#include <errno.h>

#include "internal.h"
#include "udev.h"

int ifd_ctx_check(const struct iommufd_ctx *ctx, const char *what)
{
	return ifd_in_child(ctx) ? ifd_fail(-EPERM, "free what the parent made, and make a context here",
					    "%s: the handle was made before fork()", what)
				 : 0;
}

int ifd_device_ready(const struct iommufd_device *dev, const char *what)
{
	if (ifd_in_child(dev->ctx))
		return ifd_ctx_check(dev->ctx, what);
	return dev->ioas ? 0 : ifd_fail(-ENOTCONN, "attach it to an IOAS first", "%s of %s", what, dev->found->name);
}
