/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The ways from a program to a device that this machine has. Two of them the library takes only where a better one is
 * missing; so that they can be tried on any kernel, this program takes the better one away before the library's eyes:
 * its own ioctl(), see door.c, and its own function of libudev come before those of the libraries.
 */
#include <dlfcn.h>
#include <libudev.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mock.h"
#include "vm.h"

const struct path *vm_path;
uint32_t vm_backend;

/* ---- What there is ---- */

static bool has_group_node(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%s%d", vm_noiommu(EDU) ? "noiommu-" : "", vm_group(EDU));
	return !access(path, F_OK);
}

static bool iommufd_by_node(void)
{
	return !access("/dev/iommu", F_OK) && vm_has_node(EDU);
}

static bool iommufd_by_group(void)
{
	return !access("/dev/iommu", F_OK) && has_group_node();
}

static bool container(void)
{
	return !access("/dev/vfio/vfio", F_OK) && has_group_node();
}

/* Whether iommufd serves the container. */
static bool is_compat(void)
{
	struct iommufd_candidate_info info = { .struct_size = sizeof(info) };
	struct iommufd_report *report;
	bool compat = false;

	if (iommufd_probe(&report)) { /* no test runs yet that could fail */
		fprintf(stderr, "%s\n", iommufd_errmsg());
		exit(EXIT_FAILURE);
	}
	for (uint32_t i = 0; !iommufd_report_candidate(report, i, &info); i++)
		compat |= info.flags & IOMMUFD_CANDIDATE_COMPAT;
	iommufd_report_free(report);
	return compat;
}

static bool type1(void)
{
	return container() && !is_compat();
}

static bool compat(void)
{
	return container() && is_compat();
}

static void go(size_t i);

/* A fixture of libcheck takes no argument. */
#define FIXTURE(i)                \
	static void use_##i(void) \
	{                         \
		go(i);            \
	}                         \
	struct semicolon

FIXTURE(0);
FIXTURE(1);
FIXTURE(2);
FIXTURE(3);
FIXTURE(4);
FIXTURE(5);
FIXTURE(6);
FIXTURE(7);
FIXTURE(8);
FIXTURE(9);

static const struct path paths[] = {
	{ "iommufd-node", IOMMUFD_BACKEND_IOMMUFD, iommufd_by_node, use_0, .by_node = true },
	{ "iommufd-group", IOMMUFD_BACKEND_IOMMUFD, iommufd_by_group, use_1, .hide_nodes = true },
	{ "type1v2", IOMMUFD_BACKEND_VFIO, type1, use_2, .noiommu = false },
	{ "type1", IOMMUFD_BACKEND_VFIO, type1, use_3, .hide_v2 = true },
	{ "compat", IOMMUFD_BACKEND_VFIO, compat, use_4, .compat = true },
	{ "noiommu-node", IOMMUFD_BACKEND_IOMMUFD, iommufd_by_node, use_5, .by_node = true, .noiommu = true },
	{ "noiommu-group", IOMMUFD_BACKEND_IOMMUFD, iommufd_by_group, use_6, .hide_nodes = true, .noiommu = true },
	{ "noiommu-vfio", IOMMUFD_BACKEND_VFIO, container, use_7, .noiommu = true },
	{ "mock", IOMMUFD_BACKEND_IOMMUFD, mock_new, use_8, .mock = true },
	{ "mock-lts", IOMMUFD_BACKEND_IOMMUFD, mock_old, use_9, .mock = true },
};

#define PATHS (sizeof(paths) / sizeof(paths[0]))

static void go(size_t i)
{
	vm_path = &paths[i];
	vm_backend = paths[i].backend;
}

const struct path *vm_paths(size_t i)
{
	return i < PATHS ? &paths[i] : NULL;
}

/* Where the kernel has the mock IOMMU, the other paths are those of other machines once more. */
bool vm_has_path(const struct path *path)
{
	return path->noiommu == vm_noiommu(EDU) && path->mock == mock_here() && path->there();
}

/* ---- What the library is not to see ---- */

bool vm_hides(unsigned long request, const void *arg)
{
	return vm_path && vm_path->hide_v2 && request == VFIO_CHECK_EXTENSION && (uintptr_t)arg == VFIO_TYPE1v2_IOMMU;
}

static const char *(*real_devnode)(struct udev_device *);

/* Before there are threads. */
__attribute__((constructor)) static void find_real(void)
{
	*(void **)&real_devnode = dlsym(RTLD_NEXT, "udev_device_get_devnode");
}

const char *udev_device_get_devnode(struct udev_device *dev)
{
	const char *node = real_devnode(dev);

	return vm_path && vm_path->hide_nodes && node && !strncmp(node, "/dev/vfio/devices/", 18) ? NULL : node;
}
