/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Some devices have a VFIO driver of their own, which can do more than the general one, for instance migrate. Modules
 * say which devices they are for: depmod writes these aliases down, "alias vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i*
 * mlx5_vfio_pci". The general driver has one that fits everything.
 */
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "sysfs.h"
#include "udev.h"

struct search {
	char device[512]; /* its modalias, with "vfio_" before it */
	char module[IOMMUFD_DRIVER_NAME];
	size_t stars; /* in the alias that `module` has: the fewer, the more it is made for the device */
};

static size_t stars_in(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += *text == '*';
	return count;
}

static bool look_at_alias(void *data, const char *line)
{
	char pattern[512], module[IOMMUFD_DRIVER_NAME];
	struct search *search = data;

	if (strncmp(line, "alias vfio_", strlen("alias vfio_")) != 0 ||
	    sscanf(line, "alias %511s %63s", pattern, module) != 2 || fnmatch(pattern, search->device, 0))
		return true;
	if (stars_in(pattern) < search->stars) {
		search->stars = stars_in(pattern);
		snprintf(search->module, sizeof(search->module), "%s", module);
	}
	return true;
}

struct driver {
	const char *bus;
	char *name;
	size_t size;
	bool found;
};

/* "pci:mlx5_vfio_pci" */
static bool look_at_driver(void *data, const char *entry)
{
	struct driver *driver = data;
	size_t len = strlen(driver->bus);

	if (strncmp(entry, driver->bus, len) != 0 || entry[len] != ':' || strlen(entry + len + 1) >= driver->size)
		return true;
	snprintf(driver->name, driver->size, "%s", entry + len + 1);
	driver->found = true;
	return false;
}

int ifd_best_driver(const struct ifd_found *found, const char *bus, const char *general, char *name, size_t size)
{
	struct search search = { .device = "vfio_", .stars = SIZE_MAX };
	struct driver driver = { bus, name, size, false };
	char path[PATH_MAX], release[128];

	snprintf(name, size, "%s", general);
	snprintf(path, sizeof(path), "%s/modalias", found->path);
	if (ifd_sysfs_read(path, search.device + strlen("vfio_"), sizeof(search.device) - strlen("vfio_")) < 0 ||
	    ifd_sysfs_read("/proc/sys/kernel/osrelease", release, sizeof(release)) < 0)
		return 0;
	snprintf(path, sizeof(path), "/lib/modules/%s/modules.alias", release);
	ifd_sys_each_line(path, look_at_alias, &search);
	if (!*search.module || !strcmp(search.module, "vfio_pci"))
		return 0;
	snprintf(path, sizeof(path), "/sys/module/%s/drivers", search.module);
	ifd_sys_each_name(path, look_at_driver, &driver);
	return driver.found ? 0
			    : ifd_fail(-ENOENT, "load it with modprobe, or name vfio-pci, which can do less with it",
				       "bind %s: the VFIO driver %s that is made for it is not loaded", found->name,
				       search.module);
}
