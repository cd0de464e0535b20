/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Binding: the drive between the kernel's driver nvme and vfio-pci, and who may not be robbed of it. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm.h"

/* ---- What sysfs says ---- */

static void read_file(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "re");

	ck_assert_ptr_nonnull(file);
	text[fread(text, 1, size - 1, file)] = '\0';
	text[strcspn(text, "\n")] = '\0';
	fclose(file);
}

static void override_is(const char *address, const char *expected)
{
	char path[128], text[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", address);
	read_file(path, text, sizeof(text));
	ck_assert_str_eq(strcmp(text, "(null)") ? text : "", expected);
}

#define has_driver(address, expected) ck_assert_str_eq(vm_driver(address), expected)

static void clear_override(const char *address)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", address);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(write(fd, "\n", 1), 1);
	close(fd);
}

/* As a system without VFIO has it. */
static void give_to_kernel(const char *address, const char *driver)
{
	vm_bind(address, driver);
	clear_override(address);
	has_driver(address, driver);
}

static struct iommufd_driver_state was = { .struct_size = sizeof(was) };

/* ---- There and back ---- */

START_TEST(a_device_goes_from_its_driver_to_vfio_and_back)
{
	struct bed bed;
	int fds = open_fds();

	give_to_kernel(NVME, "nvme");
	for (unsigned int round = 0; round < 3; round++) {
		ok(iommufd_driver_bind(NVME, NULL, 0, &was));
		has_driver(NVME, "vfio-pci");
		override_is(NVME, "vfio-pci");
		ck_assert_str_eq(was.driver, "nvme");
		ck_assert_str_eq(was.driver_override, "");
		bed_attach(&bed, NVME); /* its node is there */
		bed_close(&bed);
		ok(iommufd_driver_restore(NVME, &was, 0));
		has_driver(NVME, "nvme");
		override_is(NVME, "");
	}
	ck_assert_int_eq(open_fds(), fds);
	vm_bind(NVME, "vfio-pci");
}
END_TEST

START_TEST(without_a_memory_of_it_the_kernel_picks_the_driver)
{
	ok(iommufd_driver_restore(TWIN_VIRTIO, NULL, 0));
	has_driver(TWIN_VIRTIO, "virtio-pci");
	override_is(TWIN_VIRTIO, "");
	ok(iommufd_driver_restore(TWIN_VIRTIO, NULL, 0)); /* and leaves it there */
	has_driver(TWIN_VIRTIO, "virtio-pci");
	ok(iommufd_driver_bind(TWIN_VIRTIO, "vfio-pci", 0, &was));
	ck_assert_str_eq(was.driver, "virtio-pci");
	ok(iommufd_driver_restore(TWIN_VIRTIO, &was, 0));
	has_driver(TWIN_VIRTIO, "virtio-pci");
	ok(iommufd_driver_bind(TWIN_VIRTIO, NULL, 0, NULL));
	has_driver(TWIN_VIRTIO, "vfio-pci");
	/* No driver of this kernel wants the teaching device. */
	ok(iommufd_driver_restore(EDU, NULL, 0));
	has_driver(EDU, "");
	ok(iommufd_driver_bind(EDU, NULL, 0, &was));
	ck_assert_str_eq(was.driver, "");
	ok(iommufd_driver_restore(EDU, &was, 0));
	has_driver(EDU, "");
	vm_bind(EDU, "vfio-pci");
}
END_TEST

START_TEST(an_override_that_was_there_comes_back)
{
	vm_bind(NVME, "nvme");
	override_is(NVME, "nvme");
	ok(iommufd_driver_bind("00:04.0", "vfio-pci", 0, &was));
	ck_assert_str_eq(was.driver_override, "nvme");
	override_is(NVME, "vfio-pci");
	ok(iommufd_driver_restore(NVME, &was, 0));
	has_driver(NVME, "nvme");
	override_is(NVME, "nvme");
	/* The other way round is no different. */
	vm_bind(NVME, "vfio-pci");
	ok(iommufd_driver_bind(NVME, "nvme", 0, &was));
	ck_assert_str_eq(was.driver, "vfio-pci");
	has_driver(NVME, "nvme");
	ok(iommufd_driver_restore(NVME, &was, 0));
	has_driver(NVME, "vfio-pci");
	override_is(NVME, "vfio-pci");
}
END_TEST

START_TEST(who_is_bound_already_is_told_so)
{
	struct iommufd_driver_state mine = { .struct_size = sizeof(mine), .driver = "x" };

	fails(iommufd_driver_bind(EDU, NULL, 0, &mine), -EALREADY, "it is bound to vfio-pci");
	fails(iommufd_driver_bind(EDU, "vfio-pci", 0, &mine), -EALREADY, "nothing to do");
	ck_assert_str_eq(mine.driver, "x");
}
END_TEST

/* ---- What is refused ---- */

START_TEST(what_cannot_be_bound_is_refused_and_nothing_has_changed)
{
	struct iommufd_driver_state garbage = { .struct_size = sizeof(garbage) };

	fails(iommufd_driver_bind("0000:00:1d.7", NULL, 0, NULL), -ENOENT, "find the device");
	fails(iommufd_driver_bind("nonsense", NULL, 0, NULL), -EINVAL, "give a PCI address");
	fails(iommufd_driver_bind(NVME, "no-such-driver", 0, NULL), -ENOENT, "modprobe no-such-driver");
	fails(iommufd_driver_bind(NVME, "", 0, NULL), -EINVAL, "give a name");
	fails(iommufd_driver_bind(NVME, "../nvme", 0, NULL), -EINVAL, "give a name");
	fails(iommufd_driver_bind(NVME, "nvme\nx", 0, NULL), -EINVAL, "give a name");
	fails(iommufd_driver_bind(NVME, "nvme", 2, NULL), -EINVAL, "0x2");
	fails(iommufd_driver_restore(NVME, NULL, 2), -EINVAL, "0x2");
	memset(garbage.driver, 'x', sizeof(garbage.driver));
	fails(iommufd_driver_restore(NVME, &garbage, 0), -EINVAL, "without end");
	garbage.struct_size = 8;
	fails(iommufd_driver_restore(NVME, &garbage, 0), -EINVAL, "struct_size");
	fails(iommufd_driver_bind(NVME, "nvme", 0, &garbage), -EINVAL, "struct_size");
	has_driver(NVME, "vfio-pci");
	override_is(NVME, "vfio-pci");
}
END_TEST

/* That of drives would not do: in older kernels it takes the device first, and thinks better of it later. */
START_TEST(a_driver_that_does_not_want_a_device_leaves_it_where_it_was)
{
	fails(iommufd_driver_bind(EDU, "virtio-pci", 0, &was), -EIO, "virtio-pci does not take it");
	has_driver(EDU, "vfio-pci");
	override_is(EDU, "vfio-pci");
	ok(iommufd_driver_restore(EDU, NULL, 0));
	fails(iommufd_driver_bind(EDU, "virtio-pci", 0, &was), -EIO, "dmesg");
	has_driver(EDU, "");
	override_is(EDU, "");
	vm_bind(EDU, "vfio-pci");
}
END_TEST

static const char *bridge(void)
{
	return strcmp(TWIN_A, "0000:01:01.0") ? NULL : "0000:00:05.0";
}

START_TEST(a_bridge_is_not_handed_out)
{
	fails(iommufd_driver_bind(bridge(), NULL, 0, NULL), -EOPNOTSUPP, "what is behind it");
}
END_TEST

START_TEST(an_ordinary_user_may_not_and_changes_nothing)
{
	pid_t child;
	int status;

	give_to_kernel(NVME, "nvme");
	child = fork();
	if (!child) {
		vm_become_user(1 << 20);
		fails(iommufd_driver_bind(NVME, "vfio-pci", 0, &was), -EACCES, "run it as root");
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	has_driver(NVME, "nvme");
	override_is(NVME, "");
}
END_TEST

/* ---- Somebody uses it ---- */

START_TEST(a_device_that_a_process_has_is_not_taken_away)
{
	struct vm_other other;

	vm_hold(NVME, &other);
	fails(iommufd_driver_bind(NVME, "nvme", 0, &was), -EBUSY, other.words);
	fails(iommufd_driver_restore(NVME, NULL, 0), -EBUSY, other.words);
	has_driver(NVME, "vfio-pci");
	override_is(NVME, "vfio-pci");
	vm_let_go(&other);
	ok(iommufd_driver_bind(NVME, "nvme", 0, &was));
	ok(iommufd_driver_restore(NVME, &was, 0));
	has_driver(NVME, "vfio-pci");
}
END_TEST

START_TEST(a_device_that_this_process_has_is_not_taken_away)
{
	struct bed bed;

	bed_attach(&bed, NVME);
	fails(iommufd_driver_restore(NVME, NULL, 0), -EBUSY, "is open in this process");
	has_driver(NVME, "vfio-pci");
	bed_close(&bed);
}
END_TEST

/* What has another device of the group has the group. */
START_TEST(a_device_whose_group_is_in_use_stays)
{
	struct vm_other other;

	vm_hold(TWIN_A, &other);
	fails(iommufd_driver_restore(TWIN_VIRTIO, NULL, 0), -EBUSY, other.words);
	has_driver(TWIN_VIRTIO, "vfio-pci");
	vm_let_go(&other);
}
END_TEST

/* A process that gives its device back when the kernel asks for it, or one that does not. */
static pid_t start_user(bool gives_back, int *leash)
{
	int ready[2], end[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(end), 0);
	pid = fork();
	if (!pid) {
		int efd = eventfd(0, EFD_CLOEXEC);
		uint64_t count;
		struct bed bed;

		close(end[1]);
		bed_attach(&bed, NVME);
		ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_REQ, 0, 1, &efd));
		ck_assert_int_eq(write(ready[1], "", 1), 1);
		ck_assert_int_eq(read(efd, &count, sizeof(count)), sizeof(count));
		if (gives_back)
			bed_close(&bed);
		_exit((int)read(end[0], &byte, 1));
	}
	close(end[0]);
	*leash = end[1];
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end_user(pid_t pid, int leash)
{
	int status;

	close(leash);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(by_force_who_has_it_is_asked_and_gives_it_back)
{
	int leash;
	pid_t pid = start_user(true, &leash);

	fails(iommufd_driver_bind(NVME, "nvme", 0, &was), -EBUSY, "is open in process");
	ok(iommufd_driver_bind(NVME, "nvme", IOMMUFD_DRIVER_FORCE, &was));
	has_driver(NVME, "nvme");
	end_user(pid, leash);
	ok(iommufd_driver_restore(NVME, &was, 0));
}
END_TEST

/* A device of this process, of which a part is mapped. */
static void map_own(struct bed *bed, const char *address, void **bar)
{
	bed_attach(bed, address);
	ok(iommufd_device_region_map(bed->dev, IOMMUFD_PCI_BAR0, 0, PAGE, PROT_READ | PROT_WRITE, bar));
}

struct giver {
	struct bed bed;
	int efd;
};

static void *give_back(void *data)
{
	struct giver *giver = data;
	uint64_t count;

	ck_assert_int_eq(read(giver->efd, &count, sizeof(count)), sizeof(count));
	bed_close(&giver->bed);
	return NULL;
}

/* The copy of this process that writes has nothing of what this one has mapped. */
START_TEST(by_force_a_device_that_this_very_process_maps_is_given_back)
{
	struct giver giver = { .efd = eventfd(0, EFD_CLOEXEC) };
	uint64_t iova = 0x2000000;
	pthread_t thread;
	void *bar;

	map_own(&giver.bed, NVME, &bar);
	if (_i) /* what is lent may be mapped into the process too */
		ok(iommufd_ioas_map_region(giver.bed.ioas, giver.bed.dev, 0, 0, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_device_irq_enable(giver.bed.dev, IOMMUFD_PCI_REQ, 0, 1, &giver.efd));
	ck_assert_int_eq(pthread_create(&thread, NULL, give_back, &giver), 0);
	ok(iommufd_driver_bind(NVME, "nvme", IOMMUFD_DRIVER_FORCE, &was));
	has_driver(NVME, "nvme");
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	close(giver.efd);
	ok(iommufd_driver_restore(NVME, &was, 0));
}
END_TEST

/* Whether it was told that it is not done, and neither waited for nor said to be. */
static bool is_not_done(int ret)
{
	return ret == -EBUSY || ret == -ETIMEDOUT;
}

/* The kernel cannot be stopped, but the caller is not held; nor by calling again, or with other devices. */
START_TEST(who_does_not_give_it_back_does_not_hold_the_caller)
{
	int leash, ret, fds = open_fds();
	pid_t pid = start_user(false, &leash);
	struct bed own;
	void *bar;

	map_own(&own, EDU, &bar);
	fails(iommufd_driver_bind(NVME, "nvme", IOMMUFD_DRIVER_FORCE, &was), -ETIMEDOUT, "goes on waiting");
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), 0); /* nobody but the user is a child of ours */
	ck_assert(is_not_done(iommufd_driver_bind(NVME, NULL, 0, &was)));
	ck_assert_ptr_nonnull(strstr(iommufd_errmsg(), "try again then"));
	ck_assert(is_not_done(iommufd_driver_restore(NVME, NULL, IOMMUFD_DRIVER_FORCE)));
	ck_assert_ptr_nonnull(strstr(iommufd_errmsg(), "try again then"));
	/* What is left behind keeps nothing of this process. */
	bed_close(&own);
	map_own(&own, EDU, &bar);
	bed_close(&own);
	end_user(pid, leash);
	do
		ret = iommufd_driver_bind(NVME, NULL, 0, &was);
	while (is_not_done(ret));
	ok(ret);
	ck_assert_str_eq(was.driver, "");
	ck_assert_str_eq(was.driver_override, "vfio-pci");
	has_driver(NVME, "vfio-pci");
	ck_assert_int_eq(open_fds(), fds);
}
END_TEST

/* ---- A driver of the kernel uses it ---- */

static bool has_romfs(void)
{
	char text[4096];
	FILE *file = fopen("/proc/filesystems", "re");

	if (!file)
		return false;
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return strstr(text, "romfs");
}

/* A machine whose kernel is built for the tests, and so has it. */
static bool is_ours(void)
{
	return !strcmp(getenv("TEST_MACHINE"), "device");
}

static void put32(unsigned char *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* The smallest file system that Linux knows: a head of 32 bytes and a folder with nothing in it. */
static void make_romfs(const char *node)
{
	unsigned char image[1024] = "-rom1fs-";
	uint32_t sum = 0;
	int fd = open(node, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	put32(image + 8, sizeof(image));
	put32(image + 32, 1); /* a folder */
	put32(image + 36, 32);
	for (size_t i = 0; i < 512; i += 4)
		sum += (uint32_t)image[i] << 24 | (uint32_t)image[i + 1] << 16 | (uint32_t)image[i + 2] << 8 |
		       image[i + 3];
	put32(image + 12, -sum);
	ck_assert_int_eq(write(fd, image, sizeof(image)), sizeof(image));
	ck_assert_int_eq(fsync(fd), 0);
	close(fd);
}

static void wait_for_node(const char *node)
{
	while (access(node, F_OK))
		usleep(10000);
}

START_TEST(a_drive_that_is_mounted_is_not_taken_away)
{
	give_to_kernel(NVME, "nvme");
	wait_for_node("/dev/nvme0n1");
	make_romfs("/dev/nvme0n1");
	ck_assert_int_eq(mkdir("/tmp/mounted", 0700), 0);
	ck_assert_int_eq(mount("/dev/nvme0n1", "/tmp/mounted", "romfs", MS_RDONLY, NULL), 0);
	fails(iommufd_driver_bind(NVME, NULL, 0, &was), -EBUSY, "/dev/nvme0n1 is mounted at ");
	has_driver(NVME, "nvme");
	override_is(NVME, "");
	ck_assert_int_eq(umount("/tmp/mounted"), 0);
	ck_assert_int_eq(rmdir("/tmp/mounted"), 0);
	ok(iommufd_driver_bind(NVME, NULL, 0, &was));
	has_driver(NVME, "vfio-pci");
}
END_TEST

/* A file system of several disks, a mount in another container: all that is known is that somebody has it. */
START_TEST(a_drive_that_somebody_claims_is_not_taken_away)
{
	int disk;

	give_to_kernel(NVME, "nvme");
	wait_for_node("/dev/nvme0n1");
	disk = open("/dev/nvme0n1", O_RDONLY | O_EXCL | O_CLOEXEC);
	ck_assert_int_ge(disk, 0);
	fails(iommufd_driver_bind(NVME, NULL, 0, &was), -EBUSY, "/dev/nvme0n1 is in use");
	has_driver(NVME, "nvme");
	override_is(NVME, "");
	close(disk);
	ok(iommufd_driver_bind(NVME, NULL, 0, &was));
	has_driver(NVME, "vfio-pci");
}
END_TEST

static void give_all_back(void)
{
	if (strcmp(vm_driver(NVME), "vfio-pci") != 0)
		vm_bind(NVME, "vfio-pci");
}

void add_driver_tests(TCase *tc)
{
	tcase_add_checked_fixture(tc, NULL, give_all_back);
	tcase_add_test(tc, a_device_goes_from_its_driver_to_vfio_and_back);
	tcase_add_test(tc, without_a_memory_of_it_the_kernel_picks_the_driver);
	tcase_add_test(tc, an_override_that_was_there_comes_back);
	tcase_add_test(tc, who_is_bound_already_is_told_so);
	tcase_add_test(tc, what_cannot_be_bound_is_refused_and_nothing_has_changed);
	tcase_add_test(tc, a_driver_that_does_not_want_a_device_leaves_it_where_it_was);
	if (bridge())
		tcase_add_test(tc, a_bridge_is_not_handed_out);
	tcase_add_test(tc, an_ordinary_user_may_not_and_changes_nothing);
	tcase_add_test(tc, a_device_that_a_process_has_is_not_taken_away);
	tcase_add_test(tc, a_device_that_this_process_has_is_not_taken_away);
	tcase_add_test(tc, a_device_whose_group_is_in_use_stays);
	tcase_add_test(tc, by_force_who_has_it_is_asked_and_gives_it_back);
	tcase_add_loop_test(tc, by_force_a_device_that_this_very_process_maps_is_given_back, 0, 1 + vm_can_lend());
	tcase_add_test(tc, who_does_not_give_it_back_does_not_hold_the_caller);
	tcase_add_test(tc, a_drive_that_somebody_claims_is_not_taken_away);
	if (has_romfs() || is_ours())
		tcase_add_test(tc, a_drive_that_is_mounted_is_not_taken_away);
}
