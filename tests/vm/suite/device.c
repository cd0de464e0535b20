/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm.h"

START_TEST(a_device_is_found_by_every_kind_of_address)
{
	char path[PATH_MAX];
	const char *const addresses[] = { EDU, "00:03.0", "/sys/bus/pci/devices/" EDU, path };
	struct iommufd_device_info info = { .struct_size = sizeof(info) };
	struct bed bed;

	vm_sysfs(EDU, path);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		bed_open_device(&bed, addresses[i]);
		ok(iommufd_device_get_info(bed.dev, &info));
		ck_assert_str_eq(info.name, EDU);
		bed_close(&bed);
	}
}
END_TEST

START_TEST(a_device_is_found_by_what_vfio_made_below_it_in_sysfs)
{
	struct iommufd_device_info info = { .struct_size = sizeof(info) };
	glob_t found;
	struct bed bed;

	ck_assert_int_eq(glob("/sys/bus/pci/devices/" EDU "/vfio-dev/vfio*", 0, NULL, &found), 0);
	bed_open_device(&bed, found.gl_pathv[0]);
	ok(iommufd_device_get_info(bed.dev, &info));
	ck_assert_str_eq(info.name, EDU);
	globfree(&found);
	bed_close(&bed);
}
END_TEST

START_TEST(a_device_is_found_by_its_node)
{
	struct iommufd_device_info info = { .struct_size = sizeof(info) };
	char path[128];
	struct bed bed;

	vm_cdev(EDU, path, sizeof(path));
	bed_open_device(&bed, path);
	ok(iommufd_device_get_info(bed.dev, &info));
	ck_assert_str_eq(info.name, EDU);
	bed_close(&bed);
}
END_TEST

START_TEST(a_device_is_adopted_by_its_descriptor)
{
	char path[128];
	struct bed bed;
	struct edu edu;
	int fd, fds;

	vm_cdev(EDU, path, sizeof(path));
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) /* this kernel has no such nodes, so any other file will do */
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	fds = open_fds();
	bed_open(&bed);
	if (!vm_has_node(EDU)) {
		lacks(iommufd_device_from_fd(bed.ctx, fd, &bed.dev), -EINVAL,
		      "open a node under /dev/vfio/devices for it");
		ck_assert_ptr_null(bed.dev);
	} else if (vm_backend == IOMMUFD_BACKEND_VFIO) {
		lacks(iommufd_device_from_fd(bed.ctx, fd, &bed.dev), -EOPNOTSUPP,
		      "the backend vfio has no device nodes");
		ck_assert_ptr_null(bed.dev);
	} else {
		struct iommufd_dma dma;

		ok(iommufd_device_from_fd(bed.ctx, fd, &bed.dev));
		ok(iommufd_device_attach(bed.dev, bed.ioas));
		edu_setup(&edu, bed.dev);
		ok(iommufd_dma_alloc(bed.ioas, 2 * PAGE, RW, &dma));
		edu_copy_works(&edu, dma.iova, dma.vaddr, dma.iova + PAGE, (char *)dma.vaddr + PAGE);
	}
	bed_close(&bed);
	ck_assert_int_eq(open_fds(), fds);
	close(fd);
}
END_TEST

START_TEST(a_descriptor_of_something_else_is_no_device)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), pipes[2];
	struct bed bed;

	bed_open(&bed);
	ck_assert_int_eq(pipe(pipes), 0);
	fails(iommufd_device_from_fd(bed.ctx, null, &bed.dev), -EINVAL, "/dev/vfio/devices");
	fails(iommufd_device_from_fd(bed.ctx, pipes[0], &bed.dev), -EINVAL, "/dev/vfio/devices");
	fails(iommufd_device_from_fd(bed.ctx, -1, &bed.dev), -EBADF, "give an open one");
	ck_assert_ptr_null(bed.dev);
	bed_close(&bed);
}
END_TEST

START_TEST(the_info_tells_what_a_device_is)
{
	struct iommufd_device_info info = { .struct_size = sizeof(info) };
	char path[PATH_MAX];
	struct bed bed;

	vm_sysfs(NVME, path);
	bed_open_device(&bed, NVME);
	ok(iommufd_device_get_info(bed.dev, &info));
	ck_assert_str_eq(info.name, NVME);
	ck_assert_str_eq(info.driver, "vfio-pci");
	ck_assert_ptr_nonnull(strstr(info.path, path));
	ck_assert_int_eq(info.group, vm_group(NVME));
	ck_assert_uint_eq(info.flags, 0);
	ck_assert_uint_eq(info.num_regions, 0);

	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ok(iommufd_device_get_info(bed.dev, &info));
	ck_assert_uint_eq(info.flags, IOMMUFD_DEVICE_ATTACHED | IOMMUFD_DEVICE_PCI | IOMMUFD_DEVICE_RESET);
	ck_assert_uint_eq(info.num_regions, 9);
	ck_assert_uint_eq(info.num_irqs, 5);
	bed_close(&bed);
}
END_TEST

START_TEST(an_info_keeps_to_the_size_that_the_caller_knows)
{
	struct {
		struct iommufd_device_info info;
		uint64_t unknown;
	} larger = { .info.struct_size = sizeof(larger), .unknown = 7 };
	struct iommufd_device_info info = { .struct_size = 8, .group = 42 };
	struct bed bed;

	bed_open_device(&bed, EDU);
	fails(iommufd_device_get_info(bed.dev, &info), -EINVAL, "struct_size");
	info.struct_size = SIZE_MAX;
	fails(iommufd_device_get_info(bed.dev, &info), -EINVAL, "struct_size");
	ck_assert_int_eq(info.group, 42);
	ok(iommufd_device_get_info(bed.dev, &larger.info));
	ck_assert_str_eq(larger.info.name, EDU);
	ck_assert_uint_eq(larger.info.struct_size, sizeof(larger));
	ck_assert_uint_eq(larger.unknown, 0);
	bed_close(&bed);
}
END_TEST

START_TEST(a_reset_takes_the_state_away)
{
	uint16_t command;
	struct bed bed;
	void *bar;

	bed_attach(&bed, NVME);
	ok(iommufd_device_region_map(bed.dev, IOMMUFD_PCI_BAR0, 0, PAGE, PROT_READ | PROT_WRITE, &bar));
	ok(iommufd_pci_set_master(bed.dev, true));
	/* The interrupt mask of the drive: what is written is set, and a reset clears it. */
	iommufd_mmio_write32((char *)bar + 0x0c, 5);
	ck_assert_uint_eq(iommufd_mmio_read32((char *)bar + 0x0c), 5);
	ok(iommufd_device_reset(bed.dev));
	ck_assert_uint_eq(iommufd_mmio_read32((char *)bar + 0x0c), 0);
	/* while the kernel restores configuration space */
	ok(iommufd_pci_config_read(bed.dev, 4, &command, 2));
	ck_assert_uint_eq(command & 4, 4);
	bed_close(&bed);
}
END_TEST

START_TEST(a_device_without_a_reset_says_so)
{
	struct iommufd_device_info info = { .struct_size = sizeof(info) };
	struct bed bed;

	bed_attach(&bed, EDU);
	ok(iommufd_device_get_info(bed.dev, &info));
	ck_assert(!(info.flags & IOMMUFD_DEVICE_RESET));
	fails(iommufd_device_reset(bed.dev), -EOPNOTSUPP, "cannot be reset by itself");
	bed_close(&bed);
}
END_TEST

/* As after a driver was bound: the kernel knows the device already, and its node comes a moment later. */
START_TEST(a_node_that_comes_a_moment_later_is_waited_for)
{
	char path[128], aside[160];
	struct bed bed;
	pid_t child;
	int status;

	if (vm_path->by_node)
		vm_cdev(EDU, path, sizeof(path));
	else
		snprintf(path, sizeof(path), "/dev/vfio/%d", vm_group(EDU));
	/* Another node would not do: the kernel takes away only those that it has made itself. */
	snprintf(aside, sizeof(aside), "%s.aside", path);
	ck_assert_int_eq(rename(path, aside), 0);
	bed_open(&bed);
	fails(iommufd_device_new(bed.ctx, EDU, &bed.dev), -ENOENT, path);
	child = fork();
	if (!child) {
		usleep(200000);
		_exit(rename(aside, path) != 0);
	}
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	bed_close(&bed);
}
END_TEST

START_TEST(a_device_is_opened_by_one_at_a_time)
{
	struct bed bed, second;

	bed_attach(&bed, EDU);
	bed_open(&second);
	if (vm_path->by_node)
		fails(iommufd_device_new(second.ctx, EDU, &second.dev), -EINVAL, "is open in this process");
	else
		fails(iommufd_device_new(second.ctx, EDU, &second.dev), -EBUSY, "is open in this process");
	ck_assert_ptr_null(second.dev);
	iommufd_device_free(bed.dev);
	ok(iommufd_device_new(second.ctx, EDU, &second.dev));
	bed.dev = NULL;
	bed_close(&bed);
	bed_close(&second);
}
END_TEST

START_TEST(a_device_is_open_once_in_a_context)
{
	struct iommufd_device *second = NULL;
	struct bed bed;

	bed_attach(&bed, EDU);
	fails(iommufd_device_new(bed.ctx, "00:03.0", &second), -EBUSY, "this context has it open already");
	ck_assert_ptr_null(second);
	iommufd_device_free(bed.dev);
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	bed_close(&bed);
}
END_TEST

START_TEST(a_device_taken_by_the_other_way_is_busy)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts) };
	struct iommufd_device *dev = NULL;
	struct iommufd_ctx *ctx;
	struct bed bed;

	bed_attach(&bed, EDU);
	opts.backend = vm_backend == IOMMUFD_BACKEND_VFIO ? IOMMUFD_BACKEND_IOMMUFD : IOMMUFD_BACKEND_VFIO;
	ok(iommufd_ctx_new(&opts, &ctx));
	fails(iommufd_device_new(ctx, EDU, &dev), -EBUSY, "is open in this process");
	ck_assert_ptr_null(dev);
	iommufd_ctx_free(ctx);
	bed_close(&bed);
}
END_TEST

START_TEST(config_space_can_be_read_and_bus_mastering_set)
{
	uint16_t id[2], command;
	struct bed bed;

	bed_attach(&bed, EDU);
	ok(iommufd_pci_config_read(bed.dev, 0, id, sizeof(id)));
	ck_assert_uint_eq(id[0], 0x1234);
	ck_assert_uint_eq(id[1], 0x11e8);
	ok(iommufd_pci_config_read(bed.dev, 4, &command, 2));
	ck_assert_uint_eq(command & 4, 0);
	ok(iommufd_pci_set_master(bed.dev, true));
	ok(iommufd_pci_config_read(bed.dev, 4, &command, 2));
	ck_assert_uint_eq(command & 4, 4);
	ok(iommufd_pci_set_master(bed.dev, false));
	ok(iommufd_pci_config_read(bed.dev, 4, &command, 2));
	ck_assert_uint_eq(command & 4, 0);
	fails(iommufd_pci_config_read(bed.dev, 4096, &command, 2), -ERANGE, "inside of the region");
	bed_close(&bed);
}
END_TEST

void add_device_tests(TCase *tc)
{
	tcase_add_test(tc, a_device_is_found_by_every_kind_of_address);
	if (vm_has_node(EDU))
		tcase_add_test(tc, a_device_is_found_by_its_node);
	if (!access("/dev/iommu", F_OK) && !access("/dev/vfio/vfio", F_OK))
		tcase_add_test(tc, a_device_taken_by_the_other_way_is_busy);
	tcase_add_test(tc, a_device_is_found_by_what_vfio_made_below_it_in_sysfs);
	tcase_add_test(tc, a_device_is_adopted_by_its_descriptor);
	tcase_add_test(tc, a_descriptor_of_something_else_is_no_device);
	tcase_add_test(tc, the_info_tells_what_a_device_is);
	tcase_add_test(tc, an_info_keeps_to_the_size_that_the_caller_knows);
	tcase_add_test(tc, a_reset_takes_the_state_away);
	tcase_add_test(tc, a_device_without_a_reset_says_so);
	tcase_add_test(tc, a_node_that_comes_a_moment_later_is_waited_for);
	tcase_add_test(tc, a_device_is_opened_by_one_at_a_time);
	tcase_add_test(tc, a_device_is_open_once_in_a_context);
	tcase_add_test(tc, config_space_can_be_read_and_bus_mastering_set);
}
