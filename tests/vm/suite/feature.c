/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What drivers have beside the usual: vfio-pci low power, the mtty a log of DMA, although it makes none. And what they
 * lack.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mtty.h"

#define NO_TOKEN ((const unsigned char *)"0123456789abcdef")

/* Of a driver: which features it has, in the order of their numbers; ? where kernels differ. */
static void has(struct iommufd_device *dev, const char *which)
{
	for (uint32_t feature = 0; feature < 14; feature++) {
		int ret = ok(iommufd_device_has(dev, feature));

		ck_assert_msg(which[feature] == '?' || ret == which[feature] - '0', "feature %u: %d", feature, ret);
		ck_assert_int_eq(iommufd_device_has(dev, feature), ret);
	}
	fails(iommufd_device_has(dev, 14), -EINVAL, "IOMMUFD_FEATURE constants");
}

START_TEST(drivers_tell_what_they_have)
{
	struct bed bed;

	bed_open_device(&bed, EDU);
	fails(iommufd_device_has(bed.dev, IOMMUFD_FEATURE_LOW_POWER), -ENOTCONN, "attach it");
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	has(bed.dev, "00011100000?00");
	bed_close(&bed);

	mtty_create(MTTY_A, 1);
	bed_attach(&bed, MTTY_A);
	has(bed.dev, vm_linux() >= 7 ? "01100011110010" : "01100011110000");
	bed_close(&bed);
	mtty_remove(MTTY_A);
}
END_TEST

START_TEST(what_a_driver_lacks_is_refused)
{
	struct iommufd_range range = { 0, PAGE - 1 };
	uint64_t word = 7;
	struct bed bed;
	size_t len = 7;

	bed_attach(&bed, EDU);
	fails(iommufd_device_dma_log_start(bed.dev, &range, 1, PAGE, &word), -ENOTTY, "driver vfio-pci does not");
	fails(iommufd_device_dma_log_stop(bed.dev), -ENOTTY, "driver vfio-pci does not");
	fails(iommufd_device_dma_log_read(bed.dev, 0, PAGE, PAGE, &word, 8), -ENOTTY, "driver vfio-pci does not");
	fails(iommufd_device_set_master(bed.dev, true), -ENOTTY, "iommufd_pci_set_master()");
	fails(iommufd_device_zpci_error(bed.dev, &word, sizeof(word), &len), -ENOTTY, "driver vfio-pci does not");
	fails(iommufd_pci_set_vf_token(bed.dev, NO_TOKEN), -ENOTTY, "physical functions with SR-IOV");
	ck_assert(word == 7 && len == 7);
	bed_close(&bed);

	mtty_create(MTTY_A, 1);
	bed_attach(&bed, MTTY_A);
	fails(iommufd_device_low_power_enter(bed.dev, -1), -ENOTTY, "driver mtty does not");
	fails(iommufd_device_low_power_exit(bed.dev), -ENOTTY, "driver mtty does not");
	bed_close(&bed);
	mtty_remove(MTTY_A);
}
END_TEST

/* ---- Low power ---- */

/* Without CONFIG_PM a kernel takes the calls, and no device ever sleeps. */
static bool can_sleep(const char *address)
{
	char path[160], text[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/power/runtime_status", address);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	return strcmp(text, "unsupported\n");
}

static bool sleeps(const char *address)
{
	char path[160], text[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/power/runtime_status", address);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
	fclose(file);
	return !strcmp(text, "suspended\n");
}

static void wait_for_sleep(const char *address)
{
	for (int i = 0; i < 500 && !sleeps(address); i++)
		usleep(20000);
	ck_assert_msg(sleeps(address), "%s does not go to sleep", address);
}

static uint64_t signals(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static uint32_t vendor(struct iommufd_device *dev)
{
	unsigned char id[4] = { 0 };

	ok(iommufd_pci_config_read(dev, 0, id, sizeof(id)));
	return id[0] | (uint32_t)id[1] << 8;
}

START_TEST(a_device_sleeps_between_accesses_until_that_is_ended)
{
	struct bed bed;
	uint32_t id;

	bed_attach(&bed, NVME);
	id = vendor(bed.dev);
	ok(iommufd_device_low_power_exit(bed.dev)); /* nothing to end */
	ok(iommufd_device_low_power_enter(bed.dev, -1));
	fails(iommufd_device_low_power_enter(bed.dev, -1), -EBUSY, "iommufd_device_low_power_exit()");
	for (int i = 0; i < 3; i++) {
		if (can_sleep(NVME))
			wait_for_sleep(NVME);
		ck_assert_uint_eq(vendor(bed.dev), id);
	}
	ok(iommufd_device_low_power_exit(bed.dev));
	if (can_sleep(NVME))
		ck_assert(!sleeps(NVME));
	ok(iommufd_device_low_power_enter(bed.dev, -1));
	ok(iommufd_device_detach(bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ok(iommufd_device_low_power_enter(bed.dev, -1)); /* the detach has ended it */
	bed_close(&bed);
}
END_TEST

START_TEST(the_first_waking_signals_an_eventfd_and_ends_it)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), copy = dup(fd);
	struct bed bed;

	bed_attach(&bed, NVME);
	for (int i = 0; i < 3; i++) {
		ok(iommufd_device_low_power_enter(bed.dev, fd));
		if (can_sleep(NVME)) {
			wait_for_sleep(NVME);
			ck_assert_uint_eq(signals(fd), 0);
			vendor(bed.dev);
			ck_assert_uint_eq(signals(fd), 1);
			vendor(bed.dev);
			ck_assert(!sleeps(NVME));
			ck_assert_uint_eq(signals(fd), 0);
		} else {
			vendor(bed.dev);
			ck_assert_uint_eq(signals(fd), 0);
			ok(iommufd_device_low_power_exit(bed.dev));
		}
	}
	/* It is the kernel's copy that counts. */
	ok(iommufd_device_low_power_enter(bed.dev, copy));
	close(copy);
	if (can_sleep(NVME))
		wait_for_sleep(NVME);
	ok(iommufd_device_low_power_exit(bed.dev));
	ck_assert_uint_eq(signals(fd), can_sleep(NVME));
	bed_close(&bed);
}
END_TEST

START_TEST(what_is_no_eventfd_is_refused)
{
	struct bed bed;
	int pipes[2];

	ck_assert_int_eq(pipe(pipes), 0);
	bed_attach(&bed, EDU);
	fails(iommufd_device_low_power_enter(bed.dev, pipes[0]), -EINVAL, "open eventfd");
	close(pipes[0]);
	fails(iommufd_device_low_power_enter(bed.dev, pipes[0]), -EBADF, "open eventfd");
	ok(iommufd_device_low_power_enter(bed.dev, -1)); /* none of it has changed anything */
	bed_close(&bed);
}
END_TEST

static sigjmp_buf past;

static void jump(int number)
{
	(void)number;
	siglongjmp(past, 1);
}

/* Whether a register can be read where it is mapped. */
static bool readable(const volatile void *at)
{
	if (sigsetjmp(past, 1))
		return false;
	iommufd_mmio_read32(at);
	return true;
}

START_TEST(mapped_registers_are_out_of_reach_in_low_power)
{
	struct sigaction action = { .sa_handler = jump }, old;
	uint32_t id = 0;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ck_assert_int_eq(sigaction(SIGBUS, &action, &old), 0);
	ck_assert(readable(edu.bar));
	ok(iommufd_device_low_power_enter(bed.dev, -1));
	ck_assert(!readable(edu.bar));
	ok(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_BAR0, EDU_ID, &id, sizeof(id)));
	ck_assert_uint_eq(id, 0x010000ed);
	ck_assert(!readable(edu.bar));
	ok(iommufd_device_low_power_exit(bed.dev));
	ck_assert(readable(edu.bar));
	ck_assert_int_eq(sigaction(SIGBUS, &old, NULL), 0);
	bed_close(&bed);
}
END_TEST

/* A register of the drive that keeps what is written, and where edu finds the drive's registers. */
#define NVME_AQA 0x24
#define AT       UINT64_C(0x10000000)

/* edu writes a word into the drive's register; what is there then. */
static uint32_t write_by_edu(struct edu *edu, uint64_t from, uint32_t *memory, struct iommufd_device *drive,
			     uint32_t word)
{
	uint32_t got = 0;

	*memory = word;
	edu_read_memory(edu, from, sizeof(word));
	edu_write_memory(edu, AT + NVME_AQA, sizeof(word));
	ok(iommufd_device_region_read(drive, IOMMUFD_PCI_BAR0, NVME_AQA, &got, sizeof(got)));
	return got;
}

/*
 * By address it is there as long as the device does not sleep; as a dma-buf not even after a reset, until low power is
 * ended.
 */
START_TEST(lent_memory_is_back_when_low_power_is_ended)
{
	bool away = vm_backend == IOMMUFD_BACKEND_IOMMUFD;
	uint64_t at = AT, from = 0;
	struct iommufd_device *drive;
	uint32_t *words = memory(PAGE);
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_ioas_map(bed.ioas, words, PAGE, RW, &from));
	ok(iommufd_device_new(bed.ctx, NVME, &drive));
	ok(iommufd_device_attach(drive, bed.ioas));
	ok(iommufd_ioas_map_region(bed.ioas, drive, IOMMUFD_PCI_BAR0, 0, PAGE, RW | IOMMUFD_MAP_FIXED, &at));
	ck_assert_uint_eq(write_by_edu(&edu, from, words, drive, 0x00110011), 0x00110011);
	if (away)
		vm_expect_fault(EDU, AT);
	for (uint32_t i = 0; i < 2; i++) {
		ok(iommufd_device_low_power_enter(drive, -1));
		if (away)
			ck_assert_uint_ne(write_by_edu(&edu, from, words, drive, 0x00220022), 0x00220022);
		ok(iommufd_device_reset(drive));
		if (away)
			ck_assert_uint_ne(write_by_edu(&edu, from, words, drive, 0x00330033), 0x00330033);
		ok(iommufd_device_low_power_exit(drive));
		ck_assert_uint_eq(write_by_edu(&edu, from, words, drive, 0x00440044 + i), 0x00440044 + i);
	}
	iommufd_device_free(drive);
	bed_close(&bed);
}
END_TEST

/* ---- A log of DMA ---- */

START_TEST(a_log_takes_any_number_of_ranges)
{
	struct iommufd_range ranges[1000];
	uint64_t chosen = 0, bits[4] = { 1, 0, 0, 0 };
	struct bed bed;

	mtty_create(MTTY_A, 1);
	bed_attach(&bed, MTTY_A);
	for (size_t i = 0; i < 1000; i++)
		ranges[i] = (struct iommufd_range){ i * 16 * PAGE, i * 16 * PAGE + i };
	for (size_t count = 1; count <= 1000; count += 111) {
		ok(iommufd_device_dma_log_start(bed.dev, ranges, count, PAGE, &chosen));
		ck_assert_uint_eq(chosen, PAGE);
		fails(iommufd_device_dma_log_start(bed.dev, ranges, count, PAGE, &chosen), -EBUSY,
		      "iommufd_device_dma_log_stop()");
		ok(iommufd_device_dma_log_read(bed.dev, 0, 256 * PAGE, PAGE, bits, sizeof(bits)));
		ck_assert(bits[0] == 1 && !bits[1] && !bits[2] && !bits[3]);
		ok(iommufd_device_dma_log_stop(bed.dev));
		fails(iommufd_device_dma_log_stop(bed.dev), -EINVAL, "iommufd_device_dma_log_start()");
	}
	ok(iommufd_device_dma_log_start(bed.dev, ranges, 10, PAGE, NULL));
	ok(iommufd_device_detach(bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ok(iommufd_device_dma_log_start(bed.dev, ranges, 10, PAGE, NULL));
	bed_close(&bed);
	mtty_remove(MTTY_A);
}
END_TEST

/* The kernel checks before it asks the driver: what it takes of the library is as it must be, also at the ends. */
START_TEST(a_log_reaches_to_the_end_of_what_the_kernel_takes)
{
	struct iommufd_range all = { 0, UINT64_MAX - PAGE }, some[2] = { { PAGE, 5 * PAGE }, { 0, 2 * PAGE } };
	uint64_t bits[2] = { 0, 0 };
	struct bed bed;

	mtty_create(MTTY_A, 1);
	bed_attach(&bed, MTTY_A);
	ok(iommufd_device_dma_log_start(bed.dev, &all, 1, PAGE, NULL));
	ok(iommufd_device_dma_log_read(bed.dev, 0, UINT64_C(15) << 60, UINT64_C(1) << 60, bits, 8));
	ok(iommufd_device_dma_log_stop(bed.dev));
	all.last++;
	fails(iommufd_device_dma_log_start(bed.dev, &all, 1, PAGE, NULL), -EOVERFLOW, "before the last page");
	ok(iommufd_device_dma_log_start(bed.dev, some, 2, UINT64_C(1) << 21, NULL));
	fails(iommufd_device_dma_log_read(bed.dev, 0, 65 * PAGE, PAGE, bits, 8), -EINVAL, "16 bytes or more");
	ok(iommufd_device_dma_log_read(bed.dev, PAGE, 65 * PAGE, PAGE, bits, 16));
	bed_close(&bed);
	mtty_remove(MTTY_A);
}
END_TEST

/* ---- Interrupts of an mtty ---- */

START_TEST(a_type_that_signals_nothing_can_be_disabled)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), none = -1;
	struct bed bed;

	mtty_create(MTTY_A, 1);
	bed_attach(&bed, MTTY_A);
	for (uint32_t index = IOMMUFD_PCI_INTX; index <= IOMMUFD_PCI_MSI; index++) {
		ok(iommufd_device_irq_enable(bed.dev, index, 0, 1, &fd));
		ok(iommufd_device_irq_trigger(bed.dev, index, 0, 1));
		ck_assert_uint_eq(signals(fd), 1);
		ok(iommufd_device_irq_enable(bed.dev, index, 0, 1, &none));
		ok(iommufd_device_irq_disable(bed.dev, index));
		ok(iommufd_device_irq_info(bed.dev, index, &info));
		ck_assert_uint_eq(info.enabled, 0);
	}
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_INTX, 0, 1, &fd));
	fails(iommufd_device_irq_set_resample(bed.dev, IOMMUFD_PCI_INTX, 0, fd), -EOPNOTSUPP,
	      "iommufd_device_irq_unmask()");
	fails(iommufd_device_irq_set_resample(bed.dev, IOMMUFD_PCI_INTX, 0, -1), -EOPNOTSUPP, "mtty cannot");
	ok(iommufd_device_irq_trigger(bed.dev, IOMMUFD_PCI_INTX, 0, 1));
	ck_assert_uint_eq(signals(fd), 1);
	bed_close(&bed);
	mtty_remove(MTTY_A);
}
END_TEST

void add_feature_tests(TCase *tc)
{
	tcase_add_test(tc, drivers_tell_what_they_have);
	tcase_add_test(tc, what_a_driver_lacks_is_refused);
	tcase_add_test(tc, a_device_sleeps_between_accesses_until_that_is_ended);
	tcase_add_test(tc, the_first_waking_signals_an_eventfd_and_ends_it);
	tcase_add_test(tc, what_is_no_eventfd_is_refused);
	tcase_add_test(tc, mapped_registers_are_out_of_reach_in_low_power);
	if (vm_can_lend())
		tcase_add_test(tc, lent_memory_is_back_when_low_power_is_ended);
	tcase_add_test(tc, a_log_takes_any_number_of_ranges);
	tcase_add_test(tc, a_log_reaches_to_the_end_of_what_the_kernel_takes);
	tcase_add_test(tc, a_type_that_signals_nothing_can_be_disabled);
}
