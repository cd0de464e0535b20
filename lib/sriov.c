/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "explain.h"
#include "internal.h"
#include "node.h"
#include "sriov.h"
#include "sysfs.h"
#include "udev.h"

#define VFS_MAX 65535 /* the capability's field has 16 bits */

/* The kernel itself sleeps for a second in it, and takes a while for each; a busy machine has little time for it. */
#define SET_MS     30000u
#define SET_ONE_MS 1000u

int ifd_sriov_link(const struct ifd_found *found, const char *link, char name[IOMMUFD_PCI_NAME_SIZE])
{
	char path[PATH_MAX], target[PATH_MAX], *last;
	ssize_t ret;

	snprintf(path, sizeof(path), "%s/%s", found->path, link);
	ret = ifd_sys_readlink(path, target, sizeof(target));
	if (ret < 0)
		return ret == -ENODEV ? -ENOENT : (int)ret;
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (strlen(last) >= IOMMUFD_PCI_NAME_SIZE)
		return -EPROTO;
	strcpy(name, last);
	return 0;
}

static int vf_link(const struct ifd_found *pf, uint32_t index, char name[IOMMUFD_PCI_NAME_SIZE])
{
	char link[32];

	snprintf(link, sizeof(link), "virtfn%u", index);
	return ifd_sriov_link(pf, link, name);
}

int ifd_sriov_pf(const struct ifd_found *found, struct ifd_found **pf)
{
	char name[IOMMUFD_PCI_NAME_SIZE];
	int ret = ifd_sriov_link(found, "physfn", name);

	if (ret)
		return ret == -ENOENT ? 0 : ret;
	ret = ifd_udev_find(name, pf);
	return ret ? ret : 1;
}

int ifd_sriov_total(const struct ifd_found *found, uint32_t *total)
{
	char path[PATH_MAX], text[16] = "";
	ssize_t ret;

	*total = 0;
	snprintf(path, sizeof(path), "%s/sriov_totalvfs", found->path);
	ret = ifd_sys_read_text(path, text, sizeof(text));
	if (ret < 0)
		return ret == -ENOENT || ret == -ENODEV ? 0 : (int)ret;
	if (strtoul(text, NULL, 10) > VFS_MAX)
		return -EPROTO;
	*total = (uint32_t)strtoul(text, NULL, 10);
	return 0;
}

/*
 * How many virtual functions there are, or with `vf` how many before that one. The links are counted, since to read the
 * number means to wait for who is taking the device's driver away, and for the user of the device with that; but see
 * read_num_vfs().
 */
static int count_vfs(const struct ifd_found *pf, const char *vf, uint32_t *count)
{
	char name[IOMMUFD_PCI_NAME_SIZE];
	uint32_t i = 0;
	int ret = vf_link(pf, 0, name);

	while (!ret && i < VFS_MAX && (!vf || strcmp(name, vf) != 0))
		ret = vf_link(pf, ++i, name);
	*count = i;
	return ret == -ENOENT ? 0 : ret;
}

static int fail_look(const struct ifd_found *found, int err)
{
	return ifd_fail(err, NULL, "ask for the physical and virtual functions of %s", found->name);
}

static int fill_info(const struct ifd_found *found, struct iommufd_sriov_info *info)
{
	struct ifd_found *pf = NULL;
	int ret = ifd_sriov_pf(found, &pf);

	if (ret > 0) {
		info->flags = IOMMUFD_SRIOV_VF | (pf->vfio ? IOMMUFD_SRIOV_TOKEN : 0);
		snprintf(info->pf, sizeof(info->pf), "%.23s", pf->name);
		ret = count_vfs(pf, found->name, &info->index);
		ifd_found_free(pf);
	} else if (!ret) {
		ret = ifd_sriov_total(found, &info->max_vfs);
		info->flags = info->max_vfs ? IOMMUFD_SRIOV_PF : 0;
		if (!ret)
			ret = count_vfs(found, NULL, &info->num_vfs);
	}
	return ret ? fail_look(found, ret) : 0;
}

EXPORT int iommufd_pci_sriov_get_info(const char *address, struct iommufd_sriov_info *info)
{
	struct iommufd_sriov_info mine = { .flags = 0 };
	struct ifd_found *found;
	int ret = ifd_info_check(info, sizeof(mine), "SR-IOV info");

	if (!ret)
		ret = ifd_udev_find(address, &found);
	if (ret)
		return ret;
	ret = fill_info(found, &mine);
	ifd_found_free(found);
	if (!ret)
		ifd_info_write(info, &mine, sizeof(mine));
	return ret;
}

EXPORT int iommufd_pci_get_vf(const char *pf, uint32_t index, char *name, size_t size)
{
	char mine[IOMMUFD_PCI_NAME_SIZE];
	struct ifd_found *found;
	int ret = ifd_udev_find(pf, &found);

	if (ret)
		return ret;
	ret = vf_link(found, index, mine);
	if (!ret && strlen(mine) >= size)
		ret = -ERANGE;
	if (!ret)
		strcpy(name, mine);
	else
		ifd_fail(ret,
			 ret == -ERANGE   ? "give it IOMMUFD_PCI_NAME_SIZE bytes"
			 : ret == -ENOENT ? "see iommufd_pci_sriov_get_info() for how many it has"
					  : NULL,
			 "find virtual function %u of %s", index, found->name);
	ifd_found_free(found);
	return ret;
}

/* ---- Setting their number ---- */

static int fail_set(const struct ifd_found *pf, int err, const char *hint, uint32_t count)
{
	return ifd_fail(err, hint, "set the number of virtual functions of %s to %u", pf->name, count);
}

/*
 * Links are made, and taken away, one after the other, and each that goes waits for who has it open: in the meantime
 * they say nothing. Who makes or takes them has the lock that this needs. With words.
 */
static int read_num_vfs(const struct ifd_found *pf, uint32_t *count)
{
	char path[PATH_MAX], text[16] = "";
	ssize_t ret;

	snprintf(path, sizeof(path), "%s/sriov_numvfs", pf->path);
	ret = ifd_sysfs_read_locked(path, text, sizeof(text), pf->name);
	if (ret == -ENOENT) {
		ret = count_vfs(pf, NULL, count);
		return ret ? fail_look(pf, (int)ret) : 0;
	}
	if (ret >= 0)
		*count = (uint32_t)strtoul(text, NULL, 10);
	return ret < 0 ? (int)ret : 0;
}

/* What is refused before the kernel is asked. With words; `has` is how many there are. */
static int check_set(const struct ifd_found *pf, uint32_t count, uint32_t *has)
{
	char hint[IFD_HINT_MAX] = "", name[IOMMUFD_PCI_NAME_SIZE];
	uint32_t total = 0;
	int ret = ifd_sriov_total(pf, &total);

	if (ret)
		return fail_look(pf, ret);
	if (total)
		ret = read_num_vfs(pf, has);
	if (ret == -ETIMEDOUT)
		return fail_set(pf, ret,
				"they are being made or taken away, or its driver is, and somebody who has one open "
				"is waited for: try again then",
				count);
	if (ret)
		return ret;
	if (count > total || !total) {
		ret = total ? -ERANGE : -EOPNOTSUPP;
		ifd_hint(hint, total ? "it can have %u" : "it has no SR-IOV", total);
		if (!total && !ifd_sriov_link(pf, "physfn", name))
			ifd_hint(hint, " of its own, being a virtual function of %s", name);
	} else if (*has && count && count != *has) {
		ret = -EBUSY;
		ifd_hint(hint, "it has %u: set it to 0 first, which takes all of them away", *has);
	} else if (!pf->driver && count != *has) {
		ret = -ENODEV;
		ifd_hint(hint, "it is bound to no driver, and one has to do it: ");
		ifd_hint_bind(hint, pf);
	}
	return ret ? fail_set(pf, ret, hint, count) : 0;
}

bool ifd_sriov_in_use(const struct ifd_found *pf, bool by_vfio, char *hint)
{
	char name[IOMMUFD_PCI_NAME_SIZE], who[IFD_HINT_MAX] = "";
	struct ifd_found *vf;
	uint32_t total;
	bool used;

	if (ifd_sriov_total(pf, &total))
		return false;
	for (uint32_t i = 0; i < total; i++) {
		int group = -1; /* opened for a function that VFIO has only */

		if (vf_link(pf, i, name) || ifd_udev_find(name, &vf))
			continue; /* it is gone, or never was */
		used = (vf->vfio || !by_vfio) && ifd_hint_user(who, vf, &group);
		ifd_sys_close(group);
		ifd_found_free(vf);
		if (!used)
			continue;
		ifd_hint(hint, "its virtual function %s is in use: %s", name, who);
		return true;
	}
	return false;
}

/* The kernel would wait until nobody has them open any more. */
static int check_unused(const struct ifd_found *pf)
{
	char hint[IFD_HINT_MAX] = "";

	return ifd_sriov_in_use(pf, true, hint) ? fail_set(pf, -EBUSY, hint, 0) : 0;
}

static int fail_write(const struct ifd_found *pf, const char *path, uint32_t count, int err)
{
	char hint[IFD_HINT_MAX] = "", value[8] = "";

	if (err == -ENOENT) {
		err = -EOPNOTSUPP;
		if (ifd_sys_read_text("/sys/module/vfio_pci/parameters/enable_sriov", value, sizeof(value)) > 0 &&
		    *value == 'N' && !strcmp(pf->driver, "vfio-pci"))
			ifd_hint(hint, "vfio-pci's parameter enable_sriov is off: as root, echo 1 > "
				       "/sys/module/vfio_pci/parameters/enable_sriov");
		else
			ifd_hint(hint, "its driver %s cannot do that", pf->driver);
	} else if (err == -ENOMEM) {
		ifd_hint(hint, "there is no memory, also for a copy of this process, or the firmware left no bus "
			       "numbers or addresses for so many: see dmesg");
	} else if (err == -ETIMEDOUT) {
		ifd_hint(hint, count ? "its driver is not done with it, and goes on: see later how many it has"
				     : "somebody has one of them open whom this process cannot see: the kernel takes "
				       "them away as soon as that is closed; try again then");
	} else {
		ifd_hint(hint, "set the number of virtual functions of %s to %u", pf->name, count);
		return ifd_sysfs_fail(err, path, hint);
	}
	return fail_set(pf, err, hint, count);
}

/*
 * Of those that VFIO's driver has got. The kernel binds them before it is done with the write, unless it was told not
 * to.
 */
static int await_nodes(const struct ifd_found *pf, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		char name[IOMMUFD_PCI_NAME_SIZE];
		struct ifd_found *vf;
		int ret = vf_link(pf, i, name);

		if (!ret)
			ret = ifd_udev_find(name, &vf);
		if (ret)
			return fail_look(pf, ret);
		if (vf->vfio)
			ret = ifd_node_appear(&vf, "wait for a virtual function");
		ifd_found_free(vf);
		if (ret == -ENOENT)
			return fail_set(pf, -ETIMEDOUT,
					"they are there, but nobody made their nodes within a second: has /dev a udev "
					"daemon, or is it a container's?",
					count);
		if (ret)
			return fail_set(pf, ret, ret == -ENODEV ? "somebody has taken them away again" : NULL, count);
	}
	return 0;
}

static int set_num_vfs(const struct ifd_found *pf, uint32_t count)
{
	char path[PATH_MAX], text[16];
	uint32_t has = 0;
	int ret = check_set(pf, count, &has);

	if (!ret && has && !count)
		ret = check_unused(pf);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "%s/sriov_numvfs", pf->path);
	snprintf(text, sizeof(text), "%u", count);
	/* Who has one open need not be seen, and the kernel waits. */
	if (count != has)
		ret = ifd_sys_write_text_within(path, text, SET_MS + (count + has) * SET_ONE_MS);
	return ret ? fail_write(pf, path, count, ret) : await_nodes(pf, count);
}

EXPORT int iommufd_pci_set_num_vfs(const char *pf, uint32_t count)
{
	struct ifd_found *found;
	int ret = ifd_udev_find(pf, &found);

	if (ret)
		return ret;
	ret = set_num_vfs(found, count);
	ifd_found_free(found);
	return ret;
}
