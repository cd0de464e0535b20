/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Public calls, chosen by a stream of bytes, on a kernel that lies (fuzz-kernel.h). Whatever it says, a call succeeds
 * or fails with an errno and words, a call that failed has given nothing, and at the end nothing is left. The
 * sanitizers look for the rest.
 */
#include <stdlib.h>

#include "err.h"
#include "fuzz-calls.h"

#define CALLS 300
#define STALE "words of an earlier failure"

struct fuzz_handles fuzz;
static struct fuzz_stream stream;
static const char *now; /* the call that is being made */

/* ---- What every call has to keep to ---- */

uint8_t fuzz_call_byte(void)
{
	return fuzz_front(&stream);
}

/* A number such as a careless caller gives. */
uint64_t fuzz_call_number(void)
{
	uint8_t what = fuzz_call_byte();

	if (what < 0xc0)
		return what;
	if (what < 0xd0)
		return UINT64_C(1) << (fuzz_call_byte() & 63);
	if (what < 0xe0)
		return (UINT64_C(1) << (fuzz_call_byte() & 63)) - 1;
	return UINT64_MAX - fuzz_call_byte();
}

uint64_t fuzz_call_pages(void)
{
	uint64_t count = fuzz_call_number();

	return count < 0xc0 ? count * PAGE : count;
}

void fuzz_before(const char *name)
{
	now = name;
	fuzz_tell("%s", name);
	ifd_fail(-ENOLCK, NULL, STALE);
}

/* 0, or more where the call counts something, or an errno with words that have its text. */
int fuzz_after(int ret, int most)
{
	const char *words = iommufd_errmsg();

	fuzz_check(ret >= -4095 && ret <= most, "%s gave %d", now, ret);
	fuzz_tell("%s: %d %s", now, ret, ret ? words : "");
	if (ret < 0) {
		fuzz_check(strncmp(words, STALE, strlen(STALE)) != 0, "%s gave %d without words", now, ret);
		fuzz_check(strstr(words, strerror(-ret)) && *words != ':', "%s gave %d with these words: %s", now, ret,
			   words);
	}
	return ret;
}

/* The same for translation, which has no words for a miss. */
int fuzz_after_search(int ret, int most)
{
	return ret == -ENOENT ? ret : fuzz_after(ret, most);
}

/* What the kernel said of an address space must have been made sense of. */
void fuzz_check_ioas(struct iommufd_ioas *ioas)
{
	struct iommufd_range ranges[80];
	uint64_t align = iommufd_ioas_alignment(ioas);
	int count = COUNT(iommufd_ioas_ranges, ioas, ranges, 80);

	fuzz_check(align >= PAGE && !(align & (align - 1)), "the alignment is 0x%llx", (unsigned long long)align);
	for (int i = 0; i < count && i < 80; i++) {
		fuzz_check(ranges[i].start <= ranges[i].last, "range %d ends before it begins", i);
		fuzz_check(!i || ranges[i - 1].last < ranges[i].start, "range %d is not above the one before", i);
	}
}

static void hear(void *data, int level, const char *line)
{
	(void)data;
	(void)level;
	fuzz_check(*line, "an empty line in the log");
}

/* ---- Making and freeing ---- */

static void ctx_make(uint8_t how)
{
	struct iommufd_ctx_opts opts = {
		.struct_size = sizeof(opts),
		.backend = how & 3,
		.log_level = how & 4 ? IOMMUFD_LOG_DEBUG : IOMMUFD_LOG_NONE,
		.flags = how & 8 ? 0 : IOMMUFD_CTX_NOIOMMU,
		.log = how & 4 ? hear : NULL,
	};
	struct iommufd_ctx *made = NULL;
	int fd, ret;

	if (fuzz.ctx)
		return;
	if (how & 16) {
		fd = fuzz_open(how & 1 ? FUZZ_IOMMUFD : FUZZ_CONTAINER);
		opts.backend = 0;
		ret = CALL(iommufd_ctx_from_fd, fd, &opts, &made);
		fuzz_close(fd);
	} else {
		ret = CALL(iommufd_ctx_new, &opts, &made);
	}
	fuzz_check(!ret == !!made, "a context, and %d", ret);
	fuzz.ctx = made;
}

static void ctx_drop(void)
{
	iommufd_ctx_free(fuzz.ctx);
	fuzz.ctx = NULL;
}

static void ioas_make(unsigned int slot)
{
	struct iommufd_ioas *made = NULL;
	int ret;

	if (!fuzz.ctx || fuzz.ioas[slot])
		return;
	ret = CALL(iommufd_ioas_new, fuzz.ctx, &made);
	fuzz_check(!ret == !!made, "an IOAS, and %d", ret);
	fuzz.ioas[slot] = made;
}

static void ioas_drop(unsigned int slot)
{
	for (int i = 0; i < SLOTS; i++)
		if (fuzz.buffers[i].ioas == fuzz.ioas[slot])
			fuzz_buffer_drop(&fuzz.buffers[i]);
	iommufd_ioas_free(fuzz.ioas[slot]);
	fuzz.ioas[slot] = NULL;
}

/* Who has bound a device is not to be trusted more than the kernel. */
static int attach(void *to, uint32_t id)
{
	fuzz_check(to && id, "object %u to be attached to", id);
	return fuzz_callback();
}

static int detach(void *from)
{
	fuzz_check(from, "detached from nothing");
	return fuzz_callback();
}

static int pasid_attach(void *to, uint32_t pasid, uint32_t id)
{
	fuzz_check(pasid, "PASID 0");
	return attach(to, id);
}

static int pasid_detach(void *from, uint32_t pasid)
{
	fuzz_check(pasid, "PASID 0");
	return detach(from);
}

static void device_make(unsigned int slot, uint8_t which)
{
	struct iommufd_device_calls calls = { .struct_size = sizeof(calls),
					      .attach = attach,
					      .detach = detach,
					      .pasid_attach = pasid_attach,
					      .pasid_detach = pasid_detach };
	struct iommufd_device_opts opts = { .struct_size = sizeof(opts) };
	struct iommufd_device *made = NULL;
	int fd, ret;

	if (!fuzz.ctx || fuzz.dev[slot])
		return;
	if ((which & 0xc0) == 0xc0) {
		calls.data = (void *)(uintptr_t)which;
		ret = CALL(iommufd_device_from_id, fuzz.ctx, which & 31, which & 32 ? &calls : NULL, &made);
	} else if (which & 0x80) {
		fd = fuzz_open(FUZZ_DEVICE);
		ret = CALL(iommufd_device_from_fd, fuzz.ctx, fd, &made);
		fuzz_close(fd);
	} else if (which & 0x40) {
		opts.kvm = fuzz.kvm;
		ret = CALL(iommufd_device_new_opts, fuzz.ctx, fuzz_device(which % 5), &opts, &made);
	} else {
		ret = CALL(iommufd_device_new, fuzz.ctx, which < 5 ? fuzz_device(which) : "0000:00:03.0", &made);
	}
	fuzz_check(!ret == !!made, "a device, and %d", ret);
	fuzz.dev[slot] = made;
}

static void device_drop(unsigned int slot)
{
	iommufd_device_free(fuzz.dev[slot]);
	fuzz.dev[slot] = NULL;
	fuzz.window[slot] = NULL;
}

static void group_add(void)
{
	int fd;

	if (!fuzz.ctx)
		return;
	fd = fuzz_open(FUZZ_GROUP);
	CALL(iommufd_ctx_add_group, fuzz.ctx, fd);
	fuzz_close(fd);
}

static void probe(void)
{
	struct iommufd_report *report = NULL;
	struct iommufd_report_info info = { .struct_size = sizeof(info) };
	struct iommufd_candidate_info candidate = { .struct_size = sizeof(candidate) };
	struct iommufd_found_info found = { .struct_size = sizeof(found) };

	if (CALL(iommufd_probe, &report)) {
		fuzz_check(!report, "a report of a probe that failed");
		return;
	}
	CALL(iommufd_report_get_info, report, &info);
	for (uint32_t i = 0; i <= info.candidates; i++)
		CALL(iommufd_report_candidate, report, i, &candidate);
	CALL(iommufd_report_device, report, fuzz_call_byte(), &found);
	iommufd_report_free(report);
}

/* ---- The choice ---- */

#define CTX_CALLS 9

static void call_ctx(uint8_t what)
{
	switch (what) {
	case 0:
		ctx_make(fuzz_call_byte());
		break;
	case 1:
		ctx_drop();
		break;
	case 2:
		group_add();
		break;
	case 3:
		probe();
		break;
	case 4:
		fuzz_fail_memory(fuzz_call_byte() % 32);
		break;
	case 5:
		ioas_make(fuzz_call_byte() % SLOTS);
		break;
	case 6:
		ioas_drop(fuzz_call_byte() % SLOTS);
		break;
	case 7:
		device_make(fuzz_call_byte() % SLOTS, fuzz_call_byte());
		break;
	default:
		device_drop(fuzz_call_byte() % SLOTS);
	}
}

static void choose_object(uint8_t what, unsigned int slot, unsigned int dev, struct iommufd_ioas *in)
{
	if (what < FUZZ_OBJECT_CALLS)
		fuzz_call_object(what, slot, dev, in);
	else if (what < FUZZ_OBJECT_CALLS + FUZZ_LAYER_CALLS)
		fuzz_call_layer(what - FUZZ_OBJECT_CALLS, slot, in);
	else
		fuzz_kvm(fuzz_call_byte());
}

static void choose(uint8_t kind, uint8_t what, unsigned int slot, unsigned int ioas, unsigned int dev)
{
	if (kind == 0)
		call_ctx(what % CTX_CALLS);
	else if (kind == 1)
		fuzz_call_ioas(what % (FUZZ_IOAS_CALLS + FUZZ_MORE_CALLS + FUZZ_PLACE_CALLS), fuzz.ioas[slot]);
	else if (kind == 2)
		fuzz_call_device(what % FUZZ_DEVICE_CALLS, slot, fuzz.ioas[ioas]);
	else
		choose_object(what % (FUZZ_OBJECT_CALLS + FUZZ_LAYER_CALLS + 1), slot, dev, fuzz.ioas[ioas]);
}

/* Most of what there is to find is behind an attached device, so a first byte other than 0 begins with one. */
static void begin(uint8_t how)
{
	if (!how)
		return;
	ctx_make(how & 0x3f);
	ioas_make(0);
	device_make(0, how >> 6);
	if (fuzz.ioas[0] && fuzz.dev[0])
		fuzz_call_device(0, 0, fuzz.ioas[0]);
}

static void end(void)
{
	/* In an order that the stream chooses. */
	uint8_t order = fuzz_call_byte();

	if (order & 1)
		ctx_drop();
	for (unsigned int i = 0; i < SLOTS && order & 4; i++) {
		fuzz_objects_drop(i);
		fuzz_layer_drop(i);
	}
	for (unsigned int i = 0; i < SLOTS && order & 2; i++)
		device_drop(i);
	for (unsigned int i = 0; i < SLOTS; i++)
		ioas_drop(i);
	for (unsigned int i = 0; i < SLOTS; i++)
		device_drop(i);
	for (unsigned int i = 0; i < SLOTS; i++) {
		fuzz_objects_drop(i);
		fuzz_layer_drop(i);
	}
	iommufd_kvm_free(fuzz.kvm);
	fuzz.kvm = NULL;
	ctx_drop();
	fuzz_close(fuzz.event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	stream = (struct fuzz_stream){ data, data + size };
	fuzz_kernel_start(&stream);
	fuzz.event = fuzz_open(FUZZ_KINDS);
	begin(fuzz_call_byte());
	for (int i = 0; i < CALLS && !fuzz_empty(&stream); i++) {
		uint8_t what = fuzz_call_byte(), slot = fuzz_call_byte();

		choose(what % 4, what / 4, slot % SLOTS, slot / SLOTS % SLOTS, slot / SLOTS / SLOTS % SLOTS);
	}
	end();
	fuzz_kernel_end();
	return 0;
}
