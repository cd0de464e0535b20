/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A drive with two controllers: its disk is below neither of them, and is missed all the same. */
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <sys/swap.h>
#include <unistd.h>

#include "vm.h"

static const char *const controllers[] = { "0000:00:06.0", "0000:00:07.0" };

static struct iommufd_driver_state was = { .struct_size = sizeof(was) };

/* The name of the only file of a kind; waits for it. */
static const char *wait_for(const char *pattern)
{
	static char name[160];
	glob_t found;

	while (glob(pattern, 0, NULL, &found) == GLOB_NOMATCH)
		usleep(10000);
	ck_assert_uint_eq(found.gl_pathc, 1);
	snprintf(name, sizeof(name), "%s", found.gl_pathv[0]);
	globfree(&found);
	return name;
}

/* Both controllers go to the kernel's driver; the node of the disk that they lead to. */
static const char *disk_of_both(void)
{
	char pattern[160];

	for (int i = 0; i < 2; i++) {
		vm_bind(controllers[i], "nvme");
		/* What is below a controller has another name, and no node. */
		snprintf(pattern, sizeof(pattern), "/sys/bus/pci/devices/%s/nvme/nvme*/nvme*c*n1", controllers[i]);
		wait_for(pattern);
	}
	return wait_for("/dev/nvme*n1");
}

/* By either of its controllers. */
static void stays_with_the_kernel(const char *node, const char *words)
{
	char expected[96];

	snprintf(expected, sizeof(expected), "%s %s", node, words);
	for (int i = 0; i < 2; i++) {
		fails(iommufd_driver_bind(controllers[i], NULL, 0, &was), -EBUSY, expected);
		ck_assert_str_eq(vm_driver(controllers[i]), "nvme");
	}
}

static void goes_now(void)
{
	for (int i = 0; i < 2; i++) {
		ok(iommufd_driver_bind(controllers[i], NULL, 0, &was));
		ck_assert_str_eq(was.driver, "nvme");
		ck_assert_str_eq(vm_driver(controllers[i]), "vfio-pci");
	}
}

/* The head of some pages to swap to: version 1, the last page, and the mark at the end of the first. */
static void make_swap(const char *node)
{
	const uint32_t head[] = { 1, 15 };
	unsigned char page[PAGE] = { 0 };
	int fd = open(node, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	memcpy(page + 1024, head, sizeof(head));
	memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
	ck_assert_int_eq(write(fd, page, PAGE), PAGE);
	ck_assert_int_eq(fsync(fd), 0);
	close(fd);
}

/* What is mounted is found in the same way, and this kernel has no file system for drives. */
START_TEST(a_drive_of_two_controllers_that_is_swapped_to_is_not_taken_away)
{
	const char *node = disk_of_both();

	make_swap(node);
	ck_assert_int_eq(swapon(node, 0), 0);
	stays_with_the_kernel(node, "is used for swapping");
	ck_assert_int_eq(swapoff(node), 0);
	goes_now();
}
END_TEST

START_TEST(a_drive_of_two_controllers_that_somebody_claims_is_not_taken_away)
{
	const char *node = disk_of_both();
	int disk = open(node, O_RDONLY | O_EXCL | O_CLOEXEC);

	ck_assert_int_ge(disk, 0);
	stays_with_the_kernel(node, "is in use");
	close(disk);
	goes_now();
}
END_TEST

static void give_back(void)
{
	for (int i = 0; i < 2; i++)
		if (strcmp(vm_driver(controllers[i]), "vfio-pci") != 0)
			vm_bind(controllers[i], "vfio-pci");
}

void add_multipath_tests(TCase *tc)
{
	tcase_add_checked_fixture(tc, NULL, give_back);
	tcase_add_test(tc, a_drive_of_two_controllers_that_is_swapped_to_is_not_taken_away);
	tcase_add_test(tc, a_drive_of_two_controllers_that_somebody_claims_is_not_taken_away);
}
