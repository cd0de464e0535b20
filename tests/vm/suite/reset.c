/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Resets of one device and of a whole bus, what comes back, and who stands in the way. */
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vm.h"

static int event(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* How often an eventfd was signalled, waiting up to the time for a first one. */
static uint64_t signals(int fd, int ms)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	uint64_t count = 0;

	if (poll(&poller, 1, ms) == 1)
		ck_assert_int_eq(read(fd, &count, sizeof(count)), sizeof(count));
	return count;
}

static uint16_t command_of(struct iommufd_device *dev)
{
	uint16_t command;

	ok(iommufd_pci_config_read(dev, PCI_COMMAND, &command, sizeof(command)));
	return command;
}

/* ---- One device ---- */

START_TEST(bus_mastering_and_interrupts_survive_a_reset)
{
	int fds[3] = { event(), -1, event() };
	uint16_t command;
	struct bed bed;

	bed_attach(&bed, NVME);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 0, 3, fds));
	command = command_of(bed.dev);
	for (int i = 0; i < 4; i++) {
		ok(iommufd_pci_set_master(bed.dev, i % 2));
		ok(iommufd_device_reset(bed.dev));
		ck_assert_int_eq(!!(command_of(bed.dev) & PCI_COMMAND_MASTER), i % 2);
		ck_assert_uint_eq(command_of(bed.dev) | PCI_COMMAND_MASTER, command | PCI_COMMAND_MASTER);
		ok(iommufd_device_irq_trigger(bed.dev, IOMMUFD_PCI_MSIX, 0, 3));
		ck_assert_uint_eq(signals(fds[0], 2000), 1);
		ck_assert_uint_eq(signals(fds[2], 2000), 1);
	}
	bed_close(&bed);
}
END_TEST

/* ---- All behind a bridge ---- */

/* The twins, of which the third has a driver of VFIO and is not open. */
struct twins {
	struct bed bed; /* with the first one */
	struct iommufd_device *b;
};

static void twins_open(struct twins *twins)
{
	bed_attach(&twins->bed, TWIN_A);
	ok(iommufd_device_new(twins->bed.ctx, TWIN_B, &twins->b));
	ok(iommufd_device_attach(twins->b, twins->bed.ioas));
}

static void twins_close(struct twins *twins)
{
	iommufd_device_free(twins->b);
	bed_close(&twins->bed);
}

START_TEST(a_hot_reset_tells_whom_it_affects)
{
	struct iommufd_pci_affected infos[5];
	struct twins twins;
	size_t count = 0;

	twins_open(&twins);
	ok(iommufd_pci_hot_reset_info(twins.b, NULL, 0, &count));
	ck_assert_uint_eq(count, 3);
	memset(infos, 7, sizeof(infos));
	ok(iommufd_pci_hot_reset_info(twins.b, infos, 2, &count));
	ck_assert_uint_eq(count, 3);
	ck_assert_int_eq(infos[2].address[0], 7);
	ok(iommufd_pci_hot_reset_info(twins.b, infos, 5, &count));
	for (int i = 0; i < 3; i++) {
		ck_assert_str_eq(infos[i].address, vm_twins[i]);
		ck_assert_int_eq(infos[i].group, vm_group(TWIN_A));
		ck_assert_uint_eq(infos[i].flags, i < 2 ? IOMMUFD_PCI_AFFECTED_OPEN : 0);
	}
	ck_assert_int_eq(infos[3].address[0], 7);
	vm_bind(TWIN_VIRTIO, NULL);
	ok(iommufd_pci_hot_reset_info(twins.b, infos, 5, &count));
	ck_assert_uint_eq(infos[2].flags, IOMMUFD_PCI_AFFECTED_BLOCKS);
	vm_bind(TWIN_VIRTIO, "vfio-pci");
	twins_close(&twins);
}
END_TEST

static void raise_irq(struct edu *edu)
{
	iommufd_mmio_write32((char *)edu->bar + EDU_IRQ_RAISE, 1);
}

static void ack_irq(struct edu *edu)
{
	iommufd_mmio_write32((char *)edu->bar + EDU_IRQ_ACK, 1);
}

/* Whether it may not raise its INTx: what the device itself has, which VFIO's configuration space does not show. */
static bool is_silent(const char *address)
{
	char path[PATH_MAX + 8];
	uint16_t command = 0;
	int fd;

	vm_sysfs(address, path);
	strcat(path, "/config");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(pread(fd, &command, sizeof(command), PCI_COMMAND), sizeof(command));
	close(fd);
	return command & PCI_COMMAND_INTX_DISABLE;
}

/* One of them by INTx, which is masked, and the other by MSI; DMA by both, without a further call. */
START_TEST(after_a_hot_reset_all_is_as_before)
{
	int line = event(), message = event();
	struct edu edus[2];
	struct twins twins;
	uint64_t iova = 0;
	char *pages;

	twins_open(&twins);
	pages = memory(2 * PAGE);
	ok(iommufd_ioas_map(twins.bed.ioas, pages, 2 * PAGE, RW, &iova));
	edu_setup(&edus[0], twins.bed.dev);
	edu_setup(&edus[1], twins.b);
	ok(iommufd_device_irq_enable(twins.bed.dev, IOMMUFD_PCI_INTX, 0, 1, &line));
	ok(iommufd_device_irq_mask(twins.bed.dev, IOMMUFD_PCI_INTX, 0, 1));
	ok(iommufd_device_irq_enable(twins.b, IOMMUFD_PCI_MSI, 0, 1, &message));
	for (int i = 0; i < 3; i++) {
		ok(iommufd_pci_hot_reset(i % 2 ? twins.b : twins.bed.dev));
		edu_copy_works(&edus[0], iova, pages, iova + PAGE, pages + PAGE);
		edu_copy_works(&edus[1], iova, pages, iova + PAGE, pages + PAGE);
		raise_irq(&edus[1]);
		ck_assert_uint_eq(signals(message, 2000), 1);
		ack_irq(&edus[1]);
	}
	ck_assert(is_silent(TWIN_A));
	raise_irq(&edus[0]);
	vm_is_silent(line);
	ok(iommufd_device_irq_unmask(twins.bed.dev, IOMMUFD_PCI_INTX, 0, 1));
	ck_assert_uint_eq(signals(line, 2000), 1);
	ack_irq(&edus[0]);
	twins_close(&twins);
}
END_TEST

START_TEST(a_sibling_without_a_driver_is_named)
{
	struct twins twins;

	twins_open(&twins);
	vm_bind(TWIN_VIRTIO, NULL);
	fails(iommufd_pci_hot_reset(twins.b), -EBUSY, "1 of 3 devices that it affects are in the way");
	fails(iommufd_pci_hot_reset(twins.b), -EBUSY, "is bound to no driver: bind it to vfio-pci");
	fails(iommufd_pci_hot_reset(twins.b), -EBUSY, TWIN_VIRTIO);
	vm_bind(TWIN_VIRTIO, "vfio-pci");
	ok(iommufd_pci_hot_reset(twins.b));
	twins_close(&twins);
}
END_TEST

START_TEST(where_there_is_no_bridge_there_is_no_hot_reset)
{
	size_t count = 7;
	struct bed bed;

	bed_attach(&bed, EDU);
	fails(iommufd_pci_hot_reset(bed.dev), -EOPNOTSUPP, "neither its slot nor its bus");
	fails(iommufd_pci_hot_reset_info(bed.dev, NULL, 0, &count), -EOPNOTSUPP, "neither its slot nor its bus");
	ok(iommufd_device_detach(bed.dev));
	fails(iommufd_pci_hot_reset(bed.dev), -ENOTCONN, "attach it");
	fails(iommufd_pci_hot_reset_info(bed.dev, NULL, 0, &count), -ENOTCONN, "attach it");
	ck_assert_uint_eq(count, 7);
	bed_close(&bed);
}
END_TEST

/* ---- Threads ---- */

struct racers {
	struct twins twins;
	atomic_bool over;
	atomic_ulong rounds;
};

static void *attach_and_detach(void *data)
{
	struct racers *racers = data;

	while (!racers->over) {
		ok(iommufd_device_detach(racers->twins.b));
		ok(iommufd_device_attach(racers->twins.b, racers->twins.bed.ioas));
		ck_assert_uint_eq(command_of(racers->twins.b) & PCI_COMMAND_MASTER, 0);
		ok(iommufd_pci_set_master(racers->twins.b, true));
		racers->rounds++;
	}
	return NULL;
}

START_TEST(a_sibling_may_come_and_go_meanwhile)
{
	struct racers racers = { .over = false };
	unsigned long resets = 0;
	pthread_t thread;
	uint16_t command;

	twins_open(&racers.twins);
	ok(iommufd_pci_set_master(racers.twins.bed.dev, true));
	command = command_of(racers.twins.bed.dev);
	ck_assert_int_eq(pthread_create(&thread, NULL, attach_and_detach, &racers), 0);
	for (; resets < 3 || racers.rounds < 10; resets++)
		ok(iommufd_pci_hot_reset(racers.twins.bed.dev));
	racers.over = true;
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_uint_eq(command_of(racers.twins.bed.dev), command);
	ck_assert_uint_eq(command_of(racers.twins.b), command);
	printf("# %s: attached %lu times beside %lu hot resets\n", vm_path->name, racers.rounds, resets);
	twins_close(&racers.twins);
}
END_TEST

void add_reset_tests(TCase *tc)
{
	tcase_add_test(tc, bus_mastering_and_interrupts_survive_a_reset);
	tcase_add_test(tc, where_there_is_no_bridge_there_is_no_hot_reset);
	if (!vm_twins_have_bridge())
		return;
	tcase_add_test(tc, a_hot_reset_tells_whom_it_affects);
	tcase_add_test(tc, after_a_hot_reset_all_is_as_before);
	tcase_add_test(tc, a_sibling_without_a_driver_is_named);
	tcase_add_test(tc, a_sibling_may_come_and_go_meanwhile);
}
