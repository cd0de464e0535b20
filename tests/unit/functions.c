/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "functions.h"
#include "scene.h"

static char top[] = "/tmp/functions.XXXXXX", pf_path[64], vf_path[64];
static char pf_name[] = FUNCTIONS_PF, vf_name[] = FUNCTIONS_VF, vfio[] = "vfio-pci", pf_driver[32];
static char pf_node[] = "/dev/vfio/devices/vfio6", vf_node[] = "/dev/vfio/devices/vfio7";
static struct ifd_found pf, vf, plain;

static const char *in(const char *folder, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

void functions_write(const char *name, const char *text)
{
	const char *path = in(pf_path, name);
	int fd;

	unlink(path);
	if (!text)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
}

void functions_check(const char *name, const char *text)
{
	char said[32] = "";
	int fd = open(in(pf_path, name), O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(read(fd, said, sizeof(said) - 1), 0);
	ck_assert_str_eq(said, text);
	close(fd);
}

void functions_link(const char *name, const char *target)
{
	unlink(in(vf_path, name));
	ck_assert_int_eq(symlink(target, in(vf_path, name)), 0);
}

void functions_bind_pf(const char *driver)
{
	snprintf(pf_driver, sizeof(pf_driver), "%s", driver ? driver : "");
	pf.driver = driver ? pf_driver : NULL;
	pf.vfio = driver && strstr(driver, "vfio");
}

void functions_lose_vf(void)
{
	vf.path = top;
}

void functions_add_plain(void)
{
	static char name[] = FUNCTIONS_PLAIN, driver[] = "nvme";

	plain = (struct ifd_found){ .name = name, .path = top, .driver = driver, .group = 18 };
	ck_assert_int_eq(symlink("../" FUNCTIONS_PLAIN, in(pf_path, "virtfn1")), 0);
	inject_device(&plain);
}

void functions_open(bool has)
{
	strcpy(strrchr(top, '.'), ".XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	snprintf(pf_path, sizeof(pf_path), "%s/" FUNCTIONS_PF, top);
	snprintf(vf_path, sizeof(vf_path), "%s/" FUNCTIONS_VF, top);
	ck_assert_int_eq(mkdir(pf_path, 0700), 0);
	ck_assert_int_eq(mkdir(vf_path, 0700), 0);
	pf = (struct ifd_found){ .name = pf_name, .path = pf_path, .cdev = pf_node, .group = 16 };
	vf = (struct ifd_found){ .name = vf_name, .path = vf_path, .cdev = vf_node, .group = 17 };
	vf.driver = vfio;
	vf.vfio = true;
	pf.pci_id = vf.pci_id = 0x1b360010;
	functions_bind_pf(vfio);
	functions_write("sriov_totalvfs", "4\n");
	functions_write("sriov_numvfs", has ? "1\n" : "0\n");
	functions_link("physfn", "../" FUNCTIONS_PF);
	if (has)
		ck_assert_int_eq(symlink("../" FUNCTIONS_VF, in(pf_path, "virtfn0")), 0);
	inject_found_by_path(true);
	inject_device(&pf);
	inject_device(&vf);
}

void functions_close(void)
{
	inject_found_by_path(false);
	functions_write("sriov_totalvfs", NULL);
	functions_write("sriov_numvfs", NULL);
	functions_write("virtfn0", NULL);
	functions_write("virtfn1", NULL);
	unlink(in(vf_path, "physfn"));
	ck_assert_int_eq(rmdir(pf_path), 0);
	ck_assert_int_eq(rmdir(vf_path), 0);
	ck_assert_int_eq(rmdir(top), 0);
}
