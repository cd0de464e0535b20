/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Calls on page tables, queues, virtual IOMMUs, and what a context says of itself. */
#include "fuzz-calls.h"

static char data[256];

/* Numbers and descriptors are the kernel's, but those that make no sense are not let through. */
#define MADE(ret, made, id)                                               \
	do {                                                              \
		fuzz_check(!(ret) == !!(made), "an object, and %d", ret); \
		fuzz_check((ret) || (id), "an object with the number 0"); \
	} while (0)

/* ---- Page tables ---- */

static struct iommufd_hwpt_opts hwpt_opts(void)
{
	uint8_t how = fuzz_call_byte();
	struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts), .flags = how & 7 };

	if (how & 8) {
		opts.data_type = fuzz_call_byte();
		opts.data = data;
		opts.data_len = fuzz_call_byte();
	}
	if (how & 16)
		opts.faultq = fuzz.faultq[how >> 6];
	if (how & 32)
		opts.flags = 0;
	return opts;
}

static void hwpt_make(unsigned int slot, struct iommufd_device *dev, struct iommufd_ioas *of)
{
	const struct iommufd_hwpt_opts opts = hwpt_opts();
	uint8_t what = fuzz_call_byte(), from = fuzz_call_byte() % SLOTS;
	struct iommufd_hwpt *made = NULL;
	int ret;

	if (fuzz.hwpt[slot])
		return;
	if (what % 4 == 2 && fuzz.hwpt[from])
		ret = CALL(iommufd_hwpt_new_nested, dev, fuzz.hwpt[from], &opts, &made);
	else if (what % 4 == 3 && fuzz.viommu[from])
		ret = CALL(iommufd_viommu_hwpt_new, fuzz.viommu[from], dev, &opts, &made);
	else if (of)
		ret = CALL(iommufd_hwpt_new, dev, of, &opts, &made);
	else
		return;
	MADE(ret, made, iommufd_hwpt_id(made));
	fuzz.hwpt[slot] = made;
}

static void hwpt_drop(unsigned int slot)
{
	iommufd_hwpt_free(fuzz.hwpt[slot]);
	fuzz.hwpt[slot] = NULL;
}

static void invalidate(unsigned int slot)
{
	size_t len = fuzz_call_byte() % 65;
	uint32_t count = fuzz_call_byte() % 4, done = 77;
	uint8_t what = fuzz_call_byte();
	int ret;

	if (what & 1 && fuzz.hwpt[slot])
		ret = CALL(iommufd_hwpt_invalidate, fuzz.hwpt[slot], what, data, len, count, &done);
	else if (fuzz.viommu[slot])
		ret = CALL(iommufd_viommu_invalidate, fuzz.viommu[slot], what, data, len, count, &done);
	else
		return;
	fuzz_check(ret ? done == 77 || done <= count : done == count, "%u of %u entries, and %d", done, count, ret);
}

/* ---- Where devices are attached ---- */

static void attach_hwpt(struct iommufd_device *dev, unsigned int slot)
{
	uint8_t how = fuzz_call_byte();

	if (!fuzz.hwpt[slot])
		return;
	if (how & 1)
		CALL(iommufd_device_replace_hwpt, dev, fuzz.hwpt[slot]);
	else
		CALL(iommufd_device_attach_hwpt, dev, fuzz.hwpt[slot]);
}

static void pasid(struct iommufd_device *dev, unsigned int slot, struct iommufd_ioas *in)
{
	uint8_t how = fuzz_call_byte(), number = fuzz_call_byte() & 3;
	struct iommufd_hwpt *hwpt = how & 4 ? fuzz.hwpt[slot] : NULL;

	if (hwpt && !(how & 8))
		in = NULL;
	if (how % 3 == 0)
		CALL(iommufd_device_pasid_attach, dev, number, in, hwpt);
	else if (how % 3 == 1)
		CALL(iommufd_device_pasid_replace, dev, number, in, hwpt);
	else
		CALL(iommufd_device_pasid_detach, dev, number);
}

static void ask_iommu(struct iommufd_device *dev)
{
	struct iommufd_hw_info info = { .struct_size = sizeof(info) }, was = info;
	struct iommufd_hw_vtd vtd = { .struct_size = sizeof(vtd) };
	struct iommufd_hw_smmuv3 smmu = { .struct_size = sizeof(smmu) };
	struct iommufd_hw_amd amd = { .struct_size = sizeof(amd) };

	if (CALL(iommufd_device_hw_info, dev, &info, data, fuzz_call_byte()))
		fuzz_check(!memcmp(&info, &was, sizeof(info)), "the info was written");
	CALL(iommufd_device_hw_vtd, dev, &vtd);
	CALL(iommufd_device_hw_smmuv3, dev, &smmu);
	CALL(iommufd_device_hw_amd, dev, &amd);
	iommufd_device_id(dev);
}

/* ---- Queues of faults ---- */

static void faultq_make(unsigned int slot)
{
	struct iommufd_faultq *made = NULL;
	int ret;

	if (!fuzz.ctx || fuzz.faultq[slot])
		return;
	ret = CALL(iommufd_faultq_new, fuzz.ctx, &made);
	MADE(ret, made, iommufd_faultq_fd(made) >= 0);
	fuzz.faultq[slot] = made;
}

static void faultq_drop(unsigned int slot)
{
	iommufd_faultq_free(fuzz.faultq[slot]);
	fuzz.faultq[slot] = NULL;
}

static void faults(unsigned int slot)
{
	struct iommufd_fault read[8];
	size_t room = fuzz_call_byte() % 9;
	int count;

	if (!fuzz.faultq[slot])
		return;
	count = COUNT(iommufd_faultq_read, fuzz.faultq[slot], read, room);
	fuzz_check(count <= (int)room, "%d faults where there is room for %zu", count, room);
	for (int i = 0; i < count; i++) {
		fuzz_check(read[i].cookie, "the cookie of fault %d is 0", i);
		CALL(iommufd_faultq_respond, fuzz.faultq[slot], read[i].cookie ^ (fuzz_call_byte() >> 7),
		     fuzz_call_byte() % 3);
	}
}

/* ---- Virtual IOMMUs ---- */

static void viommu_make(unsigned int slot, struct iommufd_device *dev)
{
	struct iommufd_viommu_opts opts = { .struct_size = sizeof(opts), .type = fuzz_call_byte() };
	struct iommufd_hwpt *parent = fuzz.hwpt[fuzz_call_byte() % SLOTS];
	struct iommufd_viommu *made = NULL;
	int ret;

	if (!parent || fuzz.viommu[slot])
		return;
	if (opts.type & 1) {
		opts.data = data;
		opts.data_len = opts.type;
	}
	ret = CALL(iommufd_viommu_new, dev, parent, &opts, &made);
	MADE(ret, made, iommufd_viommu_id(made));
	fuzz.viommu[slot] = made;
}

static void viommu_drop(unsigned int slot)
{
	iommufd_viommu_free(fuzz.viommu[slot]);
	fuzz.viommu[slot] = NULL;
}

static void registers(unsigned int slot)
{
	uint64_t offset = fuzz_call_pages(), len = fuzz_call_pages();
	void *window = NULL;
	int ret;

	if (!fuzz.viommu[slot])
		return;
	ret = CALL(iommufd_viommu_mmap, fuzz.viommu[slot], offset, len, &window);
	fuzz_check(!ret == !!window, "a window, and %d", ret);
	if (!ret && fuzz_call_byte() & 1)
		CALL(iommufd_viommu_munmap, fuzz.viommu[slot], window);
	CALL(iommufd_viommu_munmap, fuzz.viommu[slot], &window);
}

static void vdevice(unsigned int slot, struct iommufd_device *dev)
{
	struct iommufd_viommu *viommu = fuzz.viommu[fuzz_call_byte() % SLOTS];
	struct iommufd_vdevice *made = NULL;
	int ret;

	if (fuzz.vdevice[slot]) {
		iommufd_vdevice_free(fuzz.vdevice[slot]);
	} else if (viommu) {
		ret = CALL(iommufd_vdevice_new, viommu, dev, fuzz_call_byte(), &made);
		MADE(ret, made, iommufd_vdevice_id(made));
	}
	fuzz.vdevice[slot] = made;
}

static void veventq(unsigned int slot)
{
	struct iommufd_viommu *viommu = fuzz.viommu[fuzz_call_byte() % SLOTS];
	struct iommufd_veventq *made = NULL;
	int ret;

	if (fuzz.veventq[slot]) {
		iommufd_veventq_free(fuzz.veventq[slot]);
	} else if (viommu) {
		ret = CALL(iommufd_veventq_new, viommu, 1, (uint32_t)fuzz_call_number(), &made);
		MADE(ret, made, iommufd_veventq_fd(made) >= 0);
	}
	fuzz.veventq[slot] = made;
}

static void events(unsigned int slot)
{
	struct iommufd_vevent event = { 0 };
	size_t room = fuzz_call_byte();

	if (fuzz.veventq[slot] && COUNT(iommufd_veventq_read, fuzz.veventq[slot], &event, data, room) > 0)
		fuzz_check(event.len <= room && (event.len || event.lost), "an event of %u bytes, %u lost", event.len,
			   event.lost);
}

static void hwqueue(unsigned int slot)
{
	struct iommufd_viommu *viommu = fuzz.viommu[fuzz_call_byte() % SLOTS];
	struct iommufd_hwqueue *made = NULL;
	int ret;

	if (fuzz.hwqueue[slot]) {
		iommufd_hwqueue_free(fuzz.hwqueue[slot]);
	} else if (viommu) {
		ret = CALL(iommufd_hwqueue_new, viommu, 1, fuzz_call_byte() & 3, fuzz_call_pages(), fuzz_call_pages(),
			   &made);
		MADE(ret, made, iommufd_hwqueue_id(made));
	}
	fuzz.hwqueue[slot] = made;
}

/* ---- The context ---- */

static void ask_ctx(struct iommufd_ioas *in)
{
	uint8_t what = fuzz_call_byte();
	uint32_t id = 0;
	int ret;

	if (!fuzz.ctx)
		return;
	if (what & 1)
		CALL(iommufd_ctx_can_change_process, fuzz.ctx);
	if (what & 2)
		CALL(iommufd_ctx_change_process, fuzz.ctx);
	if (what & 4 && in)
		CALL(iommufd_ctx_set_compat_ioas, fuzz.ctx, in);
	if (what & 8) {
		ret = CALL(iommufd_ctx_get_compat_ioas, fuzz.ctx, &id);
		fuzz_check(!ret == !!id, "the compat IOAS %u, and %d", id, ret);
	}
	if (what & 16)
		CALL(iommufd_ctx_clear_compat_ioas, fuzz.ctx);
	fuzz_before("iommufd_ctx_has");
	fuzz_after(iommufd_ctx_has(fuzz.ctx, fuzz_call_byte() % 24), 1);
}

/* ---- The choice ---- */

static void call_with_device(uint8_t what, unsigned int slot, struct iommufd_device *dev, struct iommufd_ioas *in)
{
	if (!dev)
		return;
	switch (what) {
	case 0:
		hwpt_make(slot, dev, in);
		break;
	case 1:
		attach_hwpt(dev, slot);
		break;
	case 2:
		pasid(dev, slot, in);
		break;
	case 3:
		ask_iommu(dev);
		break;
	case 4:
		viommu_make(slot, dev);
		break;
	default:
		vdevice(slot, dev);
	}
	if (in)
		fuzz_check_ioas(in);
}

void fuzz_call_object(uint8_t what, unsigned int slot, unsigned int dev, struct iommufd_ioas *in)
{
	switch (what) {
	case 6:
		hwpt_drop(slot);
		break;
	case 7:
		invalidate(slot);
		break;
	case 8:
		faultq_make(slot);
		break;
	case 9:
		faultq_drop(slot);
		break;
	case 10:
		faults(slot);
		break;
	case 11:
		viommu_drop(slot);
		break;
	case 12:
		registers(slot);
		break;
	case 13:
		veventq(slot);
		break;
	case 14:
		events(slot);
		break;
	case 15:
		hwqueue(slot);
		break;
	case 16:
		ask_ctx(in);
		break;
	default:
		call_with_device(what, slot, fuzz.dev[dev], in);
	}
}

void fuzz_objects_drop(unsigned int slot)
{
	hwpt_drop(slot);
	viommu_drop(slot);
	faultq_drop(slot);
	iommufd_vdevice_free(fuzz.vdevice[slot]);
	iommufd_veventq_free(fuzz.veventq[slot]);
	iommufd_hwqueue_free(fuzz.hwqueue[slot]);
	fuzz.vdevice[slot] = NULL;
	fuzz.veventq[slot] = NULL;
	fuzz.hwqueue[slot] = NULL;
}
