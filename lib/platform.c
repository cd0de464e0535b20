/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What a device tree calls the regions and interrupts of a platform device. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "udev.h"
#include "uapi/vfio.h"

static int check(const struct iommufd_device *dev, const char *what)
{
	int ret = ifd_device_ready(dev, what);

	if (ret || dev->flags & (VFIO_DEVICE_FLAGS_PLATFORM | VFIO_DEVICE_FLAGS_AMBA))
		return ret;
	return ifd_fail(-EOPNOTSUPP, "it is no platform device", "%s of %s", what, dev->found->name);
}

/* `property` is a list of names, each with an end. `count` is how many of them VFIO has. */
static int find(const struct iommufd_device *dev, const char *property, const char *what, const char *name,
		uint32_t count, uint32_t *index)
{
	char path[PATH_MAX], names[4096], hint[IFD_HINT_MAX] = "";
	uint32_t i = 0;
	ssize_t n;
	bool cut;

	snprintf(path, sizeof(path), "%s/of_node/%s", dev->found->path, property);
	n = ifd_sys_read_text(path, names, sizeof(names));
	cut = n == sizeof(names) - 1;
	for (const char *at = names; n > 0 && at + (cut ? strlen(at) : 0) < names + n; at += strlen(at) + 1, i++) {
		if (!strcmp(at, name)) {
			if (i >= count)
				return ifd_fail(-EPROTO, "the device tree tells of more than VFIO does",
						"%s %s of %s: number %u of %u", what, name, dev->found->name, i, count);
			*index = i;
			return 0;
		}
		ifd_hint(hint, "%s%s", i ? ", " : "it has ", at);
	}
	if (cut)
		return ifd_fail(-ENAMETOOLONG, "it is not among the first ones: use its number", "%s %s of %s", what,
				name, dev->found->name);
	return ifd_fail(-ENOENT, i ? hint : "no device tree names them: use its number", "%s %s of %s", what, name,
			dev->found->name);
}

EXPORT int iommufd_platform_find_region(struct iommufd_device *dev, const char *name, uint32_t *index)
{
	int ret = check(dev, "region");

	return ret ? ret : find(dev, "reg-names", "region", name, dev->num_regions, index);
}

EXPORT int iommufd_platform_find_irq(struct iommufd_device *dev, const char *name, uint32_t *index)
{
	int ret = check(dev, "interrupt");

	return ret ? ret : find(dev, "interrupt-names", "interrupt", name, dev->num_irqs, index);
}
