/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Calls on a device. */
#include <sys/mman.h>

#include "fuzz-calls.h"

static void region(unsigned int slot)
{
	struct iommufd_region_info info = { .struct_size = sizeof(info) }, was = info;
	uint32_t index = fuzz_call_byte() % 16;
	uint64_t offset = fuzz_call_pages(), len = fuzz_call_pages();
	struct iommufd_range areas[4];
	char buf[64];
	void *window = NULL;

	if (CALL(iommufd_device_region_info, fuzz.dev[slot], index, &info))
		fuzz_check(!memcmp(&info, &was, sizeof(info)), "the info was written");
	else
		fuzz_check(info.index == index, "the info is of region %u", info.index);
	CALL(iommufd_device_region_read, fuzz.dev[slot], index, offset, buf, fuzz_call_byte() % sizeof(buf));
	CALL(iommufd_device_region_write, fuzz.dev[slot], index, offset, "0123456789abcdef", fuzz_call_byte() % 16);
	CALL(iommufd_device_ioeventfd_add, fuzz.dev[slot], index, offset, fuzz_call_byte() % 9, len, fuzz.event);
	CALL(iommufd_device_ioeventfd_remove, fuzz.dev[slot], index, offset, fuzz_call_byte() % 9, len);
	COUNT(iommufd_device_region_areas, fuzz.dev[slot], index, areas, fuzz_call_byte() % 4);
	if (fuzz_call_byte() & 1) {
		if (CALL(iommufd_device_region_map_all, fuzz.dev[slot], index, PROT_READ, &window))
			fuzz_check(!window, "a window was given");
		else
			CALL(iommufd_device_region_unmap, fuzz.dev[slot], window);
		return;
	}
	if (CALL(iommufd_device_region_map, fuzz.dev[slot], index, offset, len, PROT_READ, &window))
		fuzz_check(!window, "a window was given");
	else
		fuzz.window[slot] = window;
}

static void window_drop(unsigned int slot)
{
	if (fuzz.window[slot])
		CALL(iommufd_device_region_unmap, fuzz.dev[slot], fuzz.window[slot]);
	fuzz.window[slot] = NULL;
}

static void irq(struct iommufd_device *of)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) }, was = info;
	uint32_t index = fuzz_call_byte() % 10, start = fuzz_call_byte() % 40, count = fuzz_call_byte() % 40;
	int fds[40];

	for (int i = 0; i < 40; i++)
		fds[i] = i & 1 ? -1 : fuzz.event;
	if (CALL(iommufd_device_irq_info, of, index, &info))
		fuzz_check(!memcmp(&info, &was, sizeof(info)), "the info was written");
	else
		fuzz_check(info.index == index, "the info is of interrupt %u", info.index);
	switch (fuzz_call_byte() % 7) {
	case 6:
		CALL(iommufd_device_irq_set_resample, of, index, start, count & 1 ? fuzz.event : -1);
		break;
	case 0:
		CALL(iommufd_device_irq_disable, of, index);
		break;
	case 1:
		CALL(iommufd_device_irq_mask, of, index, start, count);
		break;
	case 2:
		CALL(iommufd_device_irq_unmask, of, index, start, count);
		break;
	case 3:
		CALL(iommufd_device_irq_trigger, of, index, start, count);
		break;
	default:
		CALL(iommufd_device_irq_enable, of, index, start, count, fds);
	}
}

static void ask_device(struct iommufd_device *of)
{
	struct iommufd_device_info info = { .struct_size = sizeof(info) };
	unsigned char buf[8];

	CALL(iommufd_device_get_info, of, &info);
	COUNT(iommufd_device_fd, of);
	CALL(iommufd_pci_config_read, of, fuzz_call_number(), buf, fuzz_call_byte() % sizeof(buf));
	CALL(iommufd_pci_set_master, of, fuzz_call_byte() & 1);
}

static void move(unsigned int slot, struct iommufd_ioas *to, bool replace)
{
	struct iommufd_device *moved = fuzz.dev[slot];

	if (replace)
		CALL(iommufd_device_replace, moved, to);
	else
		CALL(iommufd_device_attach, moved, to);
}

static void detach(unsigned int slot)
{
	CALL(iommufd_device_detach, fuzz.dev[slot]);
	fuzz.window[slot] = NULL;
}

void fuzz_call_device(uint8_t what, unsigned int slot, struct iommufd_ioas *in)
{
	if (!fuzz.dev[slot])
		return;
	switch (what) {
	case 0:
	case 1:
		if (in)
			move(slot, in, what);
		break;
	case 2:
		detach(slot);
		break;
	case 3:
	case 4:
		region(slot);
		break;
	case 5:
		window_drop(slot);
		break;
	case 6:
		irq(fuzz.dev[slot]);
		break;
	case 7:
		CALL(iommufd_device_reset, fuzz.dev[slot]);
		break;
	default:
		ask_device(fuzz.dev[slot]);
	}
	if (in)
		fuzz_check_ioas(in);
}
