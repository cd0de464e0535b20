/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Calls on a device that go beyond its own registers: features, its state, resets of a bus, memory for others, VMs. */
#include "fuzz-calls.h"

static void features(struct iommufd_device *of)
{
	struct iommufd_range ranges[3];
	uint64_t bits[4] = { 0 }, chosen = 77;
	size_t count = fuzz_call_byte() % 4, len = 77;
	unsigned char error[64];
	int ret;

	COUNT(iommufd_device_has, of, fuzz_call_byte() % 16);
	CALL(iommufd_device_low_power_enter, of, fuzz_call_byte() & 1 ? fuzz.event : -1);
	for (size_t i = 0; i < count; i++) {
		ranges[i].start = fuzz_call_pages();
		ranges[i].last = ranges[i].start + fuzz_call_pages() - 1;
	}
	ret = CALL(iommufd_device_dma_log_start, of, ranges, count, PAGE << (fuzz_call_byte() & 7), &chosen);
	fuzz_check(!ret == (chosen != 77), "a log of %llu bytes a page, and %d", (unsigned long long)chosen, ret);
	CALL(iommufd_device_dma_log_read, of, fuzz_call_pages(), fuzz_call_pages(), PAGE << (fuzz_call_byte() & 7),
	     bits, sizeof(bits));
	if (fuzz_call_byte() & 1)
		CALL(iommufd_device_dma_log_stop, of);
	CALL(iommufd_device_set_master, of, fuzz_call_byte() & 1);
	CALL(iommufd_pci_set_vf_token, of, (const unsigned char *)"0123456789abcdef");
	ret = CALL(iommufd_device_zpci_error, of, error, sizeof(error), &len);
	fuzz_check(!ret ? len <= sizeof(error) : len == 77, "an error of %zu bytes, and %d", len, ret);
	if (fuzz_call_byte() & 1)
		CALL(iommufd_device_low_power_exit, of);
}

/* ---- Its state ---- */

static void migration_make(unsigned int slot)
{
	struct iommufd_migration *made = NULL;
	int ret;

	if (fuzz.migration[slot])
		return;
	ret = CALL(iommufd_migration_new, fuzz.dev[slot], fuzz_call_byte() & 3, &made);
	fuzz_check(!ret == !!made, "a handle for a state, and %d", ret);
	fuzz.migration[slot] = made;
}

static void migration_drop(unsigned int slot)
{
	iommufd_migration_free(fuzz.migration[slot]);
	fuzz.migration[slot] = NULL;
}

static void migrate(unsigned int slot)
{
	struct iommufd_precopy_info info = { .struct_size = sizeof(info) };
	struct iommufd_migration *m = fuzz.migration[slot];
	uint32_t state = 77;
	uint64_t bytes = 77;
	unsigned char buf[32];
	size_t len = 77;
	int ret;

	if (!m)
		return;
	COUNT(iommufd_migration_has, m, fuzz_call_byte() % 9);
	CALL(iommufd_migration_set_state, m, fuzz_call_byte() % 9);
	ret = CALL(iommufd_migration_get_state, m, &state);
	fuzz_check(ret ? state == 77 : state < 8, "state %u, and %d", state, ret);
	COUNT(iommufd_migration_fd, m);
	ret = CALL(iommufd_migration_read, m, buf, fuzz_call_byte() % (sizeof(buf) + 1), &len);
	fuzz_check(ret ? len == 77 : len <= sizeof(buf), "%zu bytes were read, and %d", len, ret);
	len = 77;
	ret = CALL(iommufd_migration_write, m, buf, fuzz_call_byte() % (sizeof(buf) + 1), &len);
	fuzz_check(ret ? len == 77 : len <= sizeof(buf), "%zu bytes were written, and %d", len, ret);
	CALL(iommufd_migration_precopy_info, m, &info);
	ret = CALL(iommufd_migration_data_size, m, &bytes);
	fuzz_check(!ret || bytes == 77, "an estimate was given");
	if (fuzz_call_byte() & 1)
		CALL(iommufd_migration_abort, m);
}

/* ---- What is about others too ---- */

static void hot_reset(struct iommufd_device *of)
{
	struct iommufd_pci_affected infos[3];
	size_t count = 77;

	if (CALL(iommufd_pci_hot_reset_info, of, infos, fuzz_call_byte() % 4, &count))
		fuzz_check(count == 77, "%zu devices are affected", count);
	CALL(iommufd_pci_hot_reset, of);
}

static void lend(struct iommufd_device *of, struct iommufd_ioas *to)
{
	uint32_t index = fuzz_call_byte() % 10;
	struct iommufd_region_part parts[2];
	uint64_t offset = fuzz_call_pages(), len = fuzz_call_pages(), was = fuzz_call_pages(), iova = was;
	uint8_t how = fuzz_call_byte();
	int fd = -77, ret;

	if (to) {
		ret = CALL(iommufd_ioas_map_region, to, of, index, offset, len,
			   how & 0x80 ? how : (how & 7) | IOMMUFD_MAP_READ, &iova);
		fuzz_check(!ret || iova == was, "the IOVA was written");
	}
	for (int i = 0; i < 2; i++)
		parts[i] = (struct iommufd_region_part){ fuzz_call_pages(), fuzz_call_pages() };
	ret = CALL(iommufd_device_region_dmabuf, of, index, parts, fuzz_call_byte() % 3, how & 3, &fd);
	fuzz_check(ret ? fd == -77 : fd >= 0, "descriptor %d, and %d", fd, ret);
	if (!ret)
		fuzz_close(fd);
}

static void functions(void)
{
	struct iommufd_sriov_info info = { .struct_size = sizeof(info) };
	const char *name = fuzz_device(fuzz_call_byte() % 6);
	char vf[IOMMUFD_PCI_NAME_SIZE];

	CALL(iommufd_pci_sriov_get_info, name ? name : "0000:00:07.0", &info);
	CALL(iommufd_pci_get_vf, name ? name : "0000:00:07.0", fuzz_call_byte() % 4, vf, fuzz_call_byte() % sizeof(vf));
}

/* What configuration space says is the kernel's to say too. */
static void config(struct iommufd_device *of)
{
	struct iommufd_pci_bar bar = { .struct_size = sizeof(bar) };
	struct iommufd_pci_msix msix = { .struct_size = sizeof(msix) };
	uint32_t at = 77, value;

	if (CALL(iommufd_pci_find_cap, of, fuzz_call_byte(), fuzz_call_byte(), &at))
		fuzz_check(at == 77, "a capability was given");
	at = 77;
	if (CALL(iommufd_pci_find_ext_cap, of, fuzz_call_byte(), (uint32_t)fuzz_call_number(), &at))
		fuzz_check(at == 77, "a capability was given");
	CALL(iommufd_pci_bar_info, of, fuzz_call_byte() % 8, &bar);
	CALL(iommufd_pci_msix_info, of, &msix);
	CALL(iommufd_pci_set_memory, of, fuzz_call_byte() & 1);
	CALL(iommufd_pci_config_read32, of, (uint32_t)fuzz_call_number(), &value);
	CALL(iommufd_pci_config_write, of, fuzz_call_number(), "01234567", fuzz_call_byte() % 9);
}

/* ---- VMs ---- */

static void irqfd_drop(unsigned int slot)
{
	iommufd_kvm_irqfd_free(fuzz.irqfd[slot]);
	fuzz.irqfd[slot] = NULL;
}

void fuzz_kvm(uint8_t what)
{
	struct iommufd_kvm *made = NULL;
	int vm, ret;

	if (fuzz.kvm) {
		if (what & 1)
			COUNT(iommufd_kvm_no_snoop_blocked, fuzz.kvm);
		if (what & 6)
			return;
		iommufd_kvm_free(fuzz.kvm);
		fuzz.kvm = NULL;
		return;
	}
	vm = fuzz_open(FUZZ_KINDS);
	if (what & 1)
		ret = CALL(iommufd_kvm_new, vm, &made);
	else
		ret = CALL(iommufd_kvm_from_fd, vm, vm, &made);
	fuzz_close(vm);
	fuzz_check(!ret == !!made, "a VM, and %d", ret);
	fuzz.kvm = made;
}

static void irqfd(unsigned int slot)
{
	struct iommufd_kvm_irqfd *made = NULL;
	int ret;

	COUNT(iommufd_device_is_coherent, fuzz.dev[slot]);
	irqfd_drop(slot);
	if (!fuzz.kvm)
		return;
	ret = CALL(iommufd_kvm_irqfd_add, fuzz.kvm, fuzz.dev[slot], fuzz_call_byte() % 6, fuzz_call_byte() % 40,
		   fuzz_call_byte(), fuzz_call_byte() & 3, &made);
	fuzz_check(!ret == !!made, "an interrupt of a VM, and %d", ret);
	fuzz.irqfd[slot] = made;
}

/* ---- The choice ---- */

static void call_on(uint8_t what, unsigned int slot, struct iommufd_ioas *in)
{
	switch (what) {
	case 3:
		features(fuzz.dev[slot]);
		break;
	case 4:
		migration_make(slot);
		break;
	case 5:
		hot_reset(fuzz.dev[slot]);
		break;
	case 6:
		lend(fuzz.dev[slot], in);
		break;
	case 7:
		irqfd(slot);
		break;
	default:
		config(fuzz.dev[slot]);
	}
}

void fuzz_call_layer(uint8_t what, unsigned int slot, struct iommufd_ioas *in)
{
	if (what == 0)
		migration_drop(slot);
	else if (what == 1)
		migrate(slot);
	else if (what == 2)
		functions();
	else if (fuzz.dev[slot])
		call_on(what, slot, in);
	if (in)
		fuzz_check_ioas(in);
}

void fuzz_layer_drop(unsigned int slot)
{
	migration_drop(slot);
	irqfd_drop(slot);
}
