/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* One device's DMA into another one's memory, after what takes that away for a while. */
#include <linux/pci_regs.h>

#include "peer.h"

START_TEST(after_a_reset_it_is_there_without_a_further_call)
{
	struct pair pair;

	peer_open(&pair);
	peer_lend(&pair, pair.bed.ioas, AT);
	for (int i = 0; i < 3; i++) {
		peer_puts(&pair, AT + NVME_MASK, 5);
		ck_assert_uint_eq(peer_has(&pair, NVME_MASK), 5);
		ok(iommufd_device_reset(pair.drive));
		ck_assert_uint_eq(peer_has(&pair, NVME_MASK), 0);
		peer_reaches(&pair, AT);
	}
	peer_close(&pair);
}
END_TEST

static void set_memory(struct iommufd_device *dev, bool on)
{
	uint16_t command;

	ok(iommufd_pci_config_read(dev, PCI_COMMAND, &command, sizeof(command)));
	command = (uint16_t)(on ? command | PCI_COMMAND_MEMORY : command & ~PCI_COMMAND_MEMORY);
	ok(iommufd_pci_config_write(dev, PCI_COMMAND, &command, sizeof(command)));
}

START_TEST(after_the_memory_was_switched_off_it_is_there_again)
{
	uint64_t iova = 7;
	struct pair pair;

	peer_open(&pair);
	peer_lend(&pair, pair.bed.ioas, AT);
	set_memory(pair.drive, false);
	fails(iommufd_ioas_map_region(pair.bed.ioas, pair.drive, IOMMUFD_PCI_BAR0, 0, PAGE, RW, &iova),
	      vm_backend == IOMMUFD_BACKEND_IOMMUFD ? -ENODEV : -EFAULT, "memory may be switched off");
	ck_assert_uint_eq(iova, 7);
	set_memory(pair.drive, true);
	peer_reaches(&pair, AT);
	/* a reset while it is off leaves it off, and forgets nothing */
	set_memory(pair.drive, false);
	ok(iommufd_device_reset(pair.drive));
	set_memory(pair.drive, true);
	peer_reaches(&pair, AT);
	peer_close(&pair);
}
END_TEST

/* Where the device has this capability, 0 for nowhere. */
static uint8_t capability(struct iommufd_device *dev, uint8_t kind)
{
	uint8_t link[2] = { 0, 0 }, at;

	ok(iommufd_pci_config_read(dev, PCI_CAPABILITY_LIST, &at, 1));
	for (int i = 0; i < 48 && at; i++, at = link[1]) {
		ok(iommufd_pci_config_read(dev, at, link, sizeof(link)));
		if (link[0] == kind)
			return at;
	}
	return 0;
}

/* While it may sleep, the kernel lets no other device at its memory where that is a dma-buf. */
START_TEST(after_low_power_it_is_there_again)
{
	struct pair pair;

	peer_open(&pair);
	peer_lend(&pair, pair.bed.ioas, AT);
	peer_reaches(&pair, AT);
	for (int i = 0; i < 2; i++) {
		ok(iommufd_device_low_power_enter(pair.drive, -1));
		ok(iommufd_device_low_power_exit(pair.drive));
		peer_reaches(&pair, AT);
	}
	peer_close(&pair);
}
END_TEST

/* iommufd takes a dma-buf back at once, and gives nothing. To a container it is an address, and stays one. */
START_TEST(while_it_may_sleep_nothing_brings_it_back)
{
	uint64_t iova = 7;
	struct pair pair;

	peer_open(&pair);
	peer_lend(&pair, pair.bed.ioas, AT);
	ok(iommufd_device_low_power_enter(pair.drive, -1));
	fails(iommufd_ioas_map_region(pair.bed.ioas, pair.drive, IOMMUFD_PCI_BAR0, 0, PAGE, RW, &iova), -ENODEV,
	      "iommufd_device_low_power_exit()");
	ck_assert_uint_eq(iova, 7);
	ok(iommufd_device_reset(pair.drive));
	set_memory(pair.drive, false);
	set_memory(pair.drive, true);
	if (vm_backend == IOMMUFD_BACKEND_IOMMUFD) {
		vm_expect_fault(EDU, AT);
		peer_puts(&pair, AT + NVME_MASK, 5);
		ck_assert_uint_eq(peer_has(&pair, NVME_MASK), 0);
	}
	ok(iommufd_device_low_power_exit(pair.drive));
	peer_reaches(&pair, AT);
	peer_close(&pair);
}
END_TEST

START_TEST(after_a_reset_through_configuration_space_it_is_there_again)
{
	uint16_t control;
	struct pair pair;
	uint8_t express;

	peer_open(&pair);
	express = capability(pair.drive, PCI_CAP_ID_EXP);
	ck_assert_uint_ne(express, 0);
	peer_lend(&pair, pair.bed.ioas, AT);
	peer_puts(&pair, AT + NVME_MASK, 5);
	ok(iommufd_pci_config_read(pair.drive, express + PCI_EXP_DEVCTL, &control, sizeof(control)));
	control |= PCI_EXP_DEVCTL_BCR_FLR;
	ok(iommufd_pci_config_write(pair.drive, express + PCI_EXP_DEVCTL, &control, sizeof(control)));
	ck_assert_uint_eq(peer_has(&pair, NVME_MASK), 0);
	peer_reaches(&pair, AT);
	peer_close(&pair);
}
END_TEST

START_TEST(after_the_device_slept_it_is_there_again)
{
	struct pair pair;
	uint16_t control;
	uint8_t power;

	peer_open(&pair);
	power = capability(pair.drive, PCI_CAP_ID_PM);
	ck_assert_uint_ne(power, 0);
	peer_lend(&pair, pair.bed.ioas, AT);
	ok(iommufd_pci_config_read(pair.drive, power + PCI_PM_CTRL, &control, sizeof(control)));
	control |= 3;
	ok(iommufd_pci_config_write(pair.drive, power + PCI_PM_CTRL, &control, sizeof(control)));
	control &= (uint16_t)~3u;
	ok(iommufd_pci_config_write(pair.drive, power + PCI_PM_CTRL, &control, sizeof(control)));
	peer_reaches(&pair, AT);
	peer_close(&pair);
}
END_TEST

START_TEST(a_hot_reset_by_another_device_gives_it_back_too)
{
	struct iommufd_device *twins[2];
	uint64_t iova = AT;
	struct pair pair;

	peer_open(&pair);
	ok(iommufd_device_new(pair.bed.ctx, TWIN_A, &twins[0]));
	ok(iommufd_device_new(pair.bed.ctx, TWIN_B, &twins[1]));
	ok(iommufd_device_attach(twins[0], pair.bed.ioas));
	ok(iommufd_device_attach(twins[1], pair.bed.ioas));
	ok(iommufd_ioas_map_region(pair.bed.ioas, twins[1], IOMMUFD_PCI_BAR0, 0, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	peer_puts(&pair, AT + EDU_LIVENESS, 0x12345678);
	ck_assert_uint_eq(peer_gets(&pair, AT + EDU_LIVENESS), ~0x12345678u);
	ok(iommufd_pci_hot_reset(twins[0]));
	peer_puts(&pair, AT + EDU_LIVENESS, 0x87654321);
	ck_assert_uint_eq(peer_gets(&pair, AT + EDU_LIVENESS), ~0x87654321u);
	iommufd_device_free(twins[0]);
	iommufd_device_free(twins[1]);
	peer_close(&pair);
}
END_TEST

void add_peer_away_tests(TCase *tc)
{
	if (!vm_can_lend())
		return;
	tcase_add_test(tc, after_a_reset_it_is_there_without_a_further_call);
	tcase_add_test(tc, after_the_memory_was_switched_off_it_is_there_again);
	tcase_add_test(tc, after_low_power_it_is_there_again);
	tcase_add_test(tc, while_it_may_sleep_nothing_brings_it_back);
	tcase_add_test(tc, after_a_reset_through_configuration_space_it_is_there_again);
	tcase_add_test(tc, after_the_device_slept_it_is_there_again);
	if (vm_twins_have_bridge())
		tcase_add_test(tc, a_hot_reset_by_another_device_gives_it_back_too);
}
