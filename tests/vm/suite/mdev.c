/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Mediated devices, of the kernel's sample driver for serial ports: mtty. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm.h"

#define PARENT "mtty"
#define SINGLE "mtty-1"
#define DUAL   "mtty-2"
#define UUID   "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
#define SECOND "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002"

/* How many serial ports the driver has. */
#define PORTS 24u

static uint32_t left(const char *parent, uint32_t index)
{
	struct iommufd_mdev_type type = { .struct_size = sizeof(type) };

	ok(iommufd_mdev_type_info(parent, index, &type));
	return type.available;
}

static bool is_there(const char *uuid)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/mdev/devices/%s", uuid);
	return !access(path, F_OK);
}

START_TEST(the_types_of_a_parent_are_told)
{
	struct iommufd_mdev_type type = { .struct_size = sizeof(type) };

	ok(iommufd_mdev_type_info(PARENT, 0, &type));
	ck_assert_str_eq(type.type, SINGLE);
	ck_assert_str_eq(type.name, "Single port serial");
	ck_assert_str_eq(type.device_api, "vfio-pci");
	ck_assert_uint_eq(type.available, PORTS);
	ck_assert_uint_eq(type.flags, 0);
	ok(iommufd_mdev_type_info("/sys/devices/virtual/mtty/mtty", 1, &type));
	ck_assert_str_eq(type.type, DUAL);
	ck_assert_uint_eq(type.available, PORTS / 2);
	type.available = 7;
	fails(iommufd_mdev_type_info(PARENT, 2, &type), -ENOENT, "which has 2");
	fails(iommufd_mdev_type_info("no-such", 0, &type), -ENOENT, "no-such makes no mediated devices");
	fails(iommufd_mdev_type_info(NVME, 0, &type), -ENOENT, NVME " makes no mediated devices");
	fails(iommufd_mdev_type_info("../mdev_bus/mtty", 0, &type), -EINVAL, "give a name");
	fails(iommufd_mdev_type_info("", 0, &type), -EINVAL, "give a name");
	ck_assert_uint_eq(type.available, 7);
	type.struct_size = 8;
	fails(iommufd_mdev_type_info(PARENT, 0, &type), -EINVAL, "struct_size");
}
END_TEST

START_TEST(a_device_is_made_used_and_removed)
{
	struct iommufd_device_info info = { .struct_size = sizeof(info) };
	struct bed bed;
	int fds = open_fds();
	uint16_t id[2];

	ok(iommufd_mdev_create(PARENT, DUAL, UUID));
	ck_assert_uint_eq(left(PARENT, 0), PORTS - 2);
	bed_attach(&bed, UUID); /* at once: its node is there */
	ok(iommufd_device_get_info(bed.dev, &info));
	ck_assert_str_eq(info.name, UUID);
	ck_assert_uint_eq(info.flags & IOMMUFD_DEVICE_PCI, IOMMUFD_DEVICE_PCI);
	ok(iommufd_pci_config_read(bed.dev, 0, id, sizeof(id)));
	ck_assert_uint_eq(id[0], 0x4348);
	ck_assert_uint_eq(id[1], 0x3253);
	bed_close(&bed);
	ok(iommufd_mdev_remove(UUID));
	ck_assert(!is_there(UUID));
	ck_assert_uint_eq(left(PARENT, 0), PORTS);
	ck_assert_int_eq(open_fds(), fds);
}
END_TEST

/* The scratch register of a serial port keeps what is written there. */
START_TEST(the_registers_of_a_made_device_work)
{
	struct iommufd_region_info region = { .struct_size = sizeof(region) };
	struct bed bed;
	uint8_t byte = 0x5a;

	ok(iommufd_mdev_create(PARENT, SINGLE, UUID));
	bed_attach(&bed, UUID);
	ok(iommufd_device_region_info(bed.dev, IOMMUFD_PCI_BAR0, &region));
	ck_assert_uint_eq(region.size, 8);
	ok(iommufd_device_region_write(bed.dev, IOMMUFD_PCI_BAR0, 7, &byte, 1));
	byte = 0;
	ok(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_BAR0, 7, &byte, 1));
	ck_assert_uint_eq(byte, 0x5a);
	fails(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_BAR0, 8, &byte, 1), -ERANGE, "inside of the region");
	bed_close(&bed);
	ok(iommufd_mdev_remove(UUID));
}
END_TEST

START_TEST(a_made_device_interrupts)
{
	int efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct bed bed;
	uint64_t count = 0;

	ok(iommufd_mdev_create(PARENT, SINGLE, UUID));
	bed_attach(&bed, UUID);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_INTX, 0, 1, &efd));
	ok(iommufd_device_irq_trigger(bed.dev, IOMMUFD_PCI_INTX, 0, 1));
	ck_assert_int_eq(read(efd, &count, sizeof(count)), sizeof(count));
	ck_assert_uint_eq(count, 1);
	bed_close(&bed);
	ok(iommufd_mdev_remove(UUID));
	close(efd);
}
END_TEST

START_TEST(an_upper_case_uuid_is_the_same_device)
{
	struct bed bed;

	ok(iommufd_mdev_create(PARENT, SINGLE, "83B8F4F2-509F-382F-3C1E-E6BFE0FA1001"));
	ck_assert(is_there(UUID));
	bed_attach(&bed, "83B8F4F2-509F-382F-3C1E-E6BFE0FA1001");
	bed_close(&bed);
	ok(iommufd_mdev_remove("83B8F4F2-509F-382F-3C1E-E6BFE0FA1001"));
	ck_assert(!is_there(UUID));
}
END_TEST

START_TEST(what_cannot_be_made_is_refused_in_words)
{
	fails(iommufd_mdev_create(PARENT, SINGLE, "83b8f4f2"), -EINVAL, "uuidgen");
	fails(iommufd_mdev_create(PARENT, SINGLE, "83b8f4f2-509f-382f-3c1e-e6bfe0fa100g"), -EINVAL, "uuidgen");
	fails(iommufd_mdev_create(PARENT, "mtty-3", UUID), -ENOENT, "it has mtty-1, mtty-2");
	fails(iommufd_mdev_create(PARENT, "../x", UUID), -EINVAL, "iommufd_mdev_type_info");
	fails(iommufd_mdev_create("no-such", SINGLE, UUID), -ENOENT, "no-such makes no mediated devices");
	fails(iommufd_mdev_remove(UUID), -ENOENT, "/sys/bus/mdev/devices");
	fails(iommufd_mdev_remove("nonsense"), -EINVAL, "uuidgen");
	ck_assert_uint_eq(left(PARENT, 0), PORTS);
	ok(iommufd_mdev_create(PARENT, SINGLE, UUID));
	fails(iommufd_mdev_create(PARENT, DUAL, UUID), -EEXIST, "take another UUID");
	ck_assert_uint_eq(left(PARENT, 0), PORTS - 1);
	fails(iommufd_driver_bind(UUID, NULL, 0, NULL), -EOPNOTSUPP, "VFIO's from the start");
	ok(iommufd_mdev_remove(UUID));
}
END_TEST

START_TEST(when_no_more_can_be_made_it_is_told)
{
	char uuid[64];

	for (unsigned int i = 0; i < PORTS / 2; i++) {
		snprintf(uuid, sizeof(uuid), "83b8f4f2-509f-382f-3c1e-e6bfe0fa20%02x", i);
		ok(iommufd_mdev_create(PARENT, DUAL, uuid));
	}
	ck_assert_uint_eq(left(PARENT, 1), 0);
	fails(iommufd_mdev_create(PARENT, DUAL, UUID), -ENOSPC, "no more of type mtty-2");
	ck_assert(!is_there(UUID));
	for (unsigned int i = 0; i < PORTS / 2; i++) {
		snprintf(uuid, sizeof(uuid), "83b8f4f2-509f-382f-3c1e-e6bfe0fa20%02x", i);
		ok(iommufd_mdev_remove(uuid));
	}
	ck_assert_uint_eq(left(PARENT, 1), PORTS / 2);
}
END_TEST

START_TEST(a_device_that_somebody_has_is_not_removed)
{
	struct vm_other other;

	ok(iommufd_mdev_create(PARENT, SINGLE, UUID));
	ok(iommufd_mdev_create(PARENT, SINGLE, SECOND));
	vm_hold(UUID, &other);
	fails(iommufd_mdev_remove(UUID), -EBUSY, other.words);
	ck_assert(is_there(UUID));
	ok(iommufd_mdev_remove(SECOND));
	vm_let_go(&other);
	ok(iommufd_mdev_remove(UUID));
	ck_assert(!is_there(UUID));
}
END_TEST

/* It leaves its bus first, and stays below its parent until it is closed. */
START_TEST(a_device_that_is_being_removed_is_neither_there_nor_gone)
{
	char path[] = "/sys/bus/mdev/devices/" UUID "/remove";
	struct vm_other other;
	pid_t kernel;

	ok(iommufd_mdev_create(PARENT, SINGLE, UUID));
	vm_hold(UUID, &other);
	kernel = fork();
	if (!kernel) { /* as somebody does it who asks nobody */
		int fd = open(path, O_WRONLY | O_CLOEXEC);

		close(other.leash);
		_exit(write(fd, "1", 1) != 1);
	}
	while (is_there(UUID))
		usleep(10000);
	fails(iommufd_mdev_remove(UUID), -EBUSY, "it is being removed");
	fails(iommufd_mdev_create(PARENT, DUAL, UUID), -EBUSY, "it is being removed");
	vm_let_go(&other);
	ck_assert_int_eq(waitpid(kernel, NULL, 0), kernel);
	fails(iommufd_mdev_remove(UUID), -ENOENT, "/sys/bus/mdev/devices");
	ok(iommufd_mdev_create(PARENT, SINGLE, UUID));
	ok(iommufd_mdev_remove(UUID));
}
END_TEST

static void remove_all(void)
{
	if (is_there(UUID))
		iommufd_mdev_remove(UUID);
	if (is_there(SECOND))
		iommufd_mdev_remove(SECOND);
}

void add_mdev_tests(TCase *tc)
{
	if (access("/sys/class/mdev_bus/" PARENT, F_OK))
		return;
	tcase_add_checked_fixture(tc, remove_all, NULL); /* of one that has failed */
	tcase_add_test(tc, the_types_of_a_parent_are_told);
	tcase_add_test(tc, a_device_is_made_used_and_removed);
	tcase_add_test(tc, the_registers_of_a_made_device_work);
	tcase_add_test(tc, a_made_device_interrupts);
	tcase_add_test(tc, an_upper_case_uuid_is_the_same_device);
	tcase_add_test(tc, what_cannot_be_made_is_refused_in_words);
	tcase_add_test(tc, when_no_more_can_be_made_it_is_told);
	tcase_add_test(tc, a_device_that_somebody_has_is_not_removed);
	tcase_add_test(tc, a_device_that_is_being_removed_is_neither_there_nor_gone);
}
