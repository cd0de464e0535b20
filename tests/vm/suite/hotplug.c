/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Devices that QEMU plugs in and pulls out, by the kernel's own PCI Express hotplug. */
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor.h"
#include "qemu.h"
#include "vm.h"

/* The slot, and what is plugged into it: an edu device. */
#define PORT    "0000:00:0a.0"
#define PLUGGED "0000:04:00.0"
#define TAKEN   "it was taken away: free it"
#define POWER   "/sys/bus/pci/slots/10/power"

/* ---- Plugging ---- */

static struct iommufd_monitor *plug(void)
{
	struct iommufd_monitor *mon = monitor_open();
	struct iommufd_monitor_event event;

	vm_qemu("device_add edu,bus=empty,id=plugged,dma_mask=0xffffffffffffffff");
	monitor_await(mon, PLUGGED, IOMMUFD_MONITOR_ADDED, &event);
	ck_assert_ptr_null(event.driver);
	vm_bind(PLUGGED, "vfio-pci");
	monitor_await(mon, PLUGGED, IOMMUFD_MONITOR_BOUND, NULL);
	return mon;
}

/*
 * As if somebody had pressed the button at the slot: the kernel lets five seconds go by, in which it could be pressed
 * again, and need not when the slot is switched off by software. Who does that waits for the device, so that is left to
 * another process, which must have none of our descriptors.
 */
static void press_button(void)
{
	FILE *log = fopen("/dev/kmsg", "re");
	char line[1024] = "";

	ck_assert_ptr_nonnull(log);
	setvbuf(log, NULL, _IONBF, 0);
	lseek(fileno(log), 0, SEEK_END);
	vm_qemu("device_del plugged");
	while (!strstr(line, "Button press: will power off")) {
		ssize_t bytes = read(fileno(log), memset(line, 0, sizeof(line)), sizeof(line) - 1);

		ck_assert(bytes > 0 || errno == EPIPE); /* which says that lines were lost */
	}
	fclose(log);
	ck_assert_int_eq(system("echo 0 >" POWER " &"), 0);
}

/* The root port's control of its slot, in its configuration space. */
struct slot {
	int config;
	off_t at;
};

enum {
	SLOT_CONTROL = 0x18,
	SLOT_INTERRUPTS = 0x0020, /* of hotplug */
	SLOT_OFF = 0x0700,        /* its power, and the lamp that tells of it */
};

static struct slot slot_open(void)
{
	int config = open("/sys/bus/pci/devices/" PORT "/config", O_RDWR | O_CLOEXEC);
	uint8_t at, id;

	ck_assert_int_eq(pread(config, &at, 1, 0x34), 1);
	while (pread(config, &id, 1, at) == 1 && id != 0x10) /* PCI Express */
		ck_assert_int_eq(pread(config, &at, 1, at + 1), 1);
	return (struct slot){ config, at + SLOT_CONTROL };
}

static unsigned int slot_control(const struct slot *slot)
{
	uint16_t control;

	ck_assert_int_eq(pread(slot->config, &control, sizeof(control), slot->at), sizeof(control));
	return control;
}

static void set_slot(const struct slot *slot, unsigned int control)
{
	uint16_t value = (uint16_t)control;

	ck_assert_int_eq(pwrite(slot->config, &value, sizeof(value), slot->at), sizeof(value));
}

/*
 * QEMU takes out what is in a slot whose power is off, be it in use or not. Switched off and on again, with nobody told
 * before it is over, that is for the kernel as if somebody had just taken the device.
 */
static void pull_out(void)
{
	struct slot slot = slot_open();
	unsigned int control = slot_control(&slot), silent = control & ~(unsigned int)SLOT_INTERRUPTS;

	set_slot(&slot, silent);
	set_slot(&slot, silent | SLOT_OFF);
	set_slot(&slot, silent);
	set_slot(&slot, control);
	close(slot.config);
}

/* And the kernel has switched the slot off, a second later: QEMU would take the next device out again. */
static void await_gone(struct iommufd_monitor *mon)
{
	struct slot slot = slot_open();

	monitor_await(mon, PLUGGED, IOMMUFD_MONITOR_REMOVED, NULL);
	while (vm_qemu_has("plugged") || (slot_control(&slot) & SLOT_OFF) != SLOT_OFF)
		usleep(20000);
	close(slot.config);
	iommufd_monitor_free(mon);
}

/* A test that failed may have left the device there. */
static void empty_slot(void)
{
	if (!vm_qemu_has("plugged"))
		return;
	pull_out();
	while (vm_qemu_has("plugged") || !access("/sys/bus/pci/devices/" PLUGGED, F_OK))
		usleep(20000);
}

/* ---- What a program does with it ---- */

struct user {
	struct bed bed;
	struct edu edu;
	struct iommufd_dma dma;
	int request;
};

static void use_device(struct user *user, const char *address)
{
	user->request = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	bed_attach(&user->bed, address);
	edu_setup(&user->edu, user->bed.dev);
	ok(iommufd_dma_alloc(user->bed.ioas, 2 * PAGE, RW, &user->dma));
	ok(iommufd_device_irq_enable(user->bed.dev, IOMMUFD_PCI_REQ, 0, 1, &user->request));
}

static void use(struct user *user)
{
	use_device(user, PLUGGED);
}

static void works(struct user *user)
{
	edu_copy_works(&user->edu, user->dma.iova, user->dma.vaddr, user->dma.iova + PAGE,
		       (char *)user->dma.vaddr + PAGE);
}

static void await_request(const struct user *user)
{
	struct pollfd poller = { .fd = user->request, .events = POLLIN };

	ck_assert_int_eq(poll(&poller, 1, -1), 1);
}

/* What it says goes on to be what it says, and what it is told is done. */
static void answers_with_ones(struct user *user)
{
	const uint32_t value = 0;
	uint32_t ones = 0;
	uint8_t line = 0;
	void *bar;

	ok(iommufd_device_region_write(user->bed.dev, IOMMUFD_PCI_BAR0, EDU_LIVENESS, &value, sizeof(value)));
	ok(iommufd_device_region_read(user->bed.dev, IOMMUFD_PCI_BAR0, EDU_LIVENESS, &ones, sizeof(ones)));
	ck_assert_uint_eq(ones, UINT32_MAX); /* what it was told, inverted */
	ok(iommufd_pci_config_write8(user->bed.dev, PCI_INTERRUPT_LINE, 0xff));
	ok(iommufd_pci_config_read8(user->bed.dev, PCI_INTERRUPT_LINE, &line));
	ck_assert_uint_eq(line, 0xff);
	ok(iommufd_pci_set_master(user->bed.dev, true));
	ok(iommufd_device_region_map(user->bed.dev, IOMMUFD_PCI_BAR0, 0, PAGE, PROT_READ, &bar));
	ok(iommufd_device_region_unmap(user->bed.dev, bar));
}

static void give_back(struct user *user)
{
	edu_detach(&user->edu);
	iommufd_dma_free(user->bed.ioas, &user->dma);
	bed_close(&user->bed);
	close(user->request);
}

START_TEST(a_device_that_is_plugged_in_can_be_used_and_pulled_out)
{
	struct iommufd_monitor *mon = plug();
	struct user user;

	use(&user);
	works(&user);
	give_back(&user);
	press_button();
	monitor_await(mon, PLUGGED, IOMMUFD_MONITOR_UNBOUND, NULL);
	await_gone(mon);
}
END_TEST

START_TEST(who_has_a_device_open_is_asked_for_it_and_goes_on_until_it_is_freed)
{
	struct iommufd_monitor *mon = plug();
	struct iommufd_monitor_event event;
	struct user user;
	struct bed other;

	use(&user);
	press_button();
	monitor_await(mon, PLUGGED, IOMMUFD_MONITOR_UNBOUND, NULL);
	await_request(&user);
	works(&user);
	answers_with_ones(&user);
	bed_open(&other);
	fails(iommufd_device_new(other.ctx, PLUGGED, &other.dev), -ENODEV, "it is bound to no driver");
	ck_assert_ptr_null(other.dev);
	bed_close(&other);
	works(&user);
	ck_assert(vm_qemu_has("plugged"));
	ck_assert(!monitor_next(mon, PLUGGED, &event));
	give_back(&user);
	await_gone(mon);
	bed_open(&other);
	fails(iommufd_device_new(other.ctx, PLUGGED, &other.dev), -ENOENT, "find the device " PLUGGED);
	bed_close(&other);
}
END_TEST

/*
 * Nothing answers any more: what asks the device, or whether it is there, fails with words, and what only tells it
 * something succeeds. A window has nobody to ask. Nothing hangs.
 */
START_TEST(a_device_that_was_pulled_out_while_mapped_leads_to_errors_and_no_more)
{
	struct iommufd_monitor *mon = plug();
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t iova = 0x2000000;
	void *more = memory(PAGE), *bar = NULL;
	uint32_t word, id;
	struct user user;

	use(&user);
	ok(iommufd_device_region_read(user.bed.dev, IOMMUFD_PCI_BAR0, EDU_ID, &id, sizeof(id)));
	pull_out();
	monitor_await(mon, PLUGGED, IOMMUFD_MONITOR_UNBOUND, NULL);
	await_request(&user);
	/* What is not the kernel's own copy. Of a BAR these machines read zeroes, which anything may have. */
	ok(iommufd_device_region_read(user.bed.dev, IOMMUFD_PCI_BAR0, EDU_ID, &word, sizeof(word)));
	ck_assert_uint_ne(word, id);
	fails(iommufd_pci_config_read(user.bed.dev, PCI_CLASS_REVISION, &word, sizeof(word)), -EIO, TAKEN);
	ck_assert_uint_ne(iommufd_mmio_read32((char *)user.edu.bar + EDU_ID), id);
	iommufd_mmio_write32((char *)user.edu.bar + EDU_LIVENESS, 1);
	ok(iommufd_device_region_write(user.bed.dev, IOMMUFD_PCI_BAR0, EDU_LIVENESS, &word, sizeof(word)));
	fails(iommufd_device_region_map(user.bed.dev, IOMMUFD_PCI_BAR0, 0, PAGE, PROT_READ, &bar), -EIO, TAKEN);
	fails(iommufd_device_region_map_all(user.bed.dev, IOMMUFD_PCI_BAR0, PROT_READ, &bar), -EIO, TAKEN);
	ck_assert_ptr_null(bar);
	fails(iommufd_pci_config_write(user.bed.dev, PCI_INTERRUPT_LINE, "", 1), -EIO, TAKEN);
	fails(iommufd_pci_set_master(user.bed.dev, true), -EIO, TAKEN);
	fails(iommufd_pci_set_memory(user.bed.dev, true), -EIO, TAKEN);
	fails(iommufd_device_irq_enable(user.bed.dev, IOMMUFD_PCI_MSI, 0, 1, &fd), -EIO, TAKEN);
	fails(iommufd_device_reset(user.bed.dev), -EAGAIN, "it is being taken away: free it");
	ok(iommufd_ioas_map(user.bed.ioas, more, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_ioas_unmap(user.bed.ioas, iova, PAGE, NULL));
	edu_detach(&user.edu);
	/* With its own node the device stays open; else the kernel goes on from here, and is to be through. */
	if (vm_path->by_node) {
		ok(iommufd_device_attach(user.bed.dev, user.bed.ioas));
	} else {
		await_gone(mon);
		fails(iommufd_device_attach(user.bed.dev, user.bed.ioas), -ENODEV, "attach " PLUGGED);
	}
	iommufd_dma_free(user.bed.ioas, &user.dma);
	bed_close(&user.bed);
	if (vm_path->by_node)
		await_gone(mon);
	close(fd);
}
END_TEST

/* Of a device that has gone, what others have of it stays where it is until it is unmapped, or the device detached. */
START_TEST(memory_of_a_device_that_was_pulled_out_while_lent_is_given_back)
{
	const uint64_t lent = 0x20000000;
	struct iommufd_monitor *mon = plug();
	struct iommufd_device *gone;
	struct user user; /* of another device, which goes on */
	uint64_t bytes;

	use_device(&user, EDU);
	ok(iommufd_device_new(user.bed.ctx, PLUGGED, &gone));
	ok(iommufd_device_attach(gone, user.bed.ioas));
	for (uint64_t i = 0; i < 2; i++) {
		uint64_t iova = lent + i * PAGE;

		ok(iommufd_ioas_map_region(user.bed.ioas, gone, IOMMUFD_PCI_BAR0, i * PAGE, PAGE,
					   RW | IOMMUFD_MAP_FIXED, &iova));
	}
	pull_out();
	monitor_await(mon, PLUGGED, IOMMUFD_MONITOR_UNBOUND, NULL);
	fails(iommufd_device_reset(gone), -EAGAIN, "it is being taken away: free it");
	works(&user);
	ok(iommufd_ioas_unmap(user.bed.ioas, lent, PAGE, &bytes));
	ck_assert_uint_eq(bytes, PAGE);
	ok(iommufd_device_detach(gone));
	if (vm_path->by_node) {
		ok(iommufd_device_attach(gone, user.bed.ioas));
	} else {
		await_gone(mon);
		fails(iommufd_device_attach(gone, user.bed.ioas), -ENODEV, "attach " PLUGGED);
	}
	ok(iommufd_ioas_unmap(user.bed.ioas, lent, 2 * PAGE, &bytes));
	ck_assert_uint_eq(bytes, PAGE);
	works(&user);
	iommufd_device_free(gone);
	if (vm_path->by_node)
		await_gone(mon);
	give_back(&user);
}
END_TEST

START_TEST(who_does_not_give_a_device_back_keeps_it_no_longer_than_it_lives)
{
	struct iommufd_monitor *mon = plug();
	struct iommufd_monitor_event event;
	struct vm_other other;
	struct bed bed;
	struct edu edu;
	struct iommufd_dma dma;
	int status;

	vm_hold(PLUGGED, &other);
	press_button();
	monitor_await(mon, PLUGGED, IOMMUFD_MONITOR_UNBOUND, NULL);
	/* Nobody else waits for that. */
	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_dma_alloc(bed.ioas, 2 * PAGE, RW, &dma));
	edu_copy_works(&edu, dma.iova, dma.vaddr, dma.iova + PAGE, (char *)dma.vaddr + PAGE);
	iommufd_dma_free(bed.ioas, &dma);
	bed_close(&bed);
	ck_assert(!monitor_next(mon, PLUGGED, &event));
	ck_assert(vm_qemu_has("plugged"));

	ck_assert_int_eq(kill(other.pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(other.pid, &status, 0), other.pid);
	await_gone(mon);
}
END_TEST

void add_hotplug_tests(TCase *tc)
{
	tcase_add_checked_fixture(tc, empty_slot, NULL);
	tcase_add_test(tc, a_device_that_is_plugged_in_can_be_used_and_pulled_out);
	tcase_add_test(tc, who_has_a_device_open_is_asked_for_it_and_goes_on_until_it_is_freed);
	tcase_add_test(tc, a_device_that_was_pulled_out_while_mapped_leads_to_errors_and_no_more);
	if (vm_can_lend())
		tcase_add_test(tc, memory_of_a_device_that_was_pulled_out_while_lent_is_given_back);
	tcase_add_test(tc, who_does_not_give_a_device_back_keeps_it_no_longer_than_it_lives);
}
