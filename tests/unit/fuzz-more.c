/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Calls on an address space that go beyond mapping memory: copies, files, dirty pages, what may be picked. */
#include "fuzz-calls.h"

#define WORDS 8
#define GUARD UINT64_C(0x5a5a5a5a5a5a5a5a)

static void copy(struct iommufd_ioas *in)
{
	struct iommufd_ioas *to = fuzz.ioas[fuzz_call_byte() % SLOTS];
	uint64_t from = fuzz_call_pages(), len = fuzz_call_pages(), iova = 77;
	uint8_t how = fuzz_call_byte();
	int ret;

	if (!to)
		return;
	if (how & 0x20)
		how |= IOMMUFD_MAP_READ;
	ret = CALL(iommufd_ioas_copy, in, from, len, to, how & 0x80 ? how : how & 3, &iova);
	fuzz_check(!ret == (iova != 77), "a copy at 0x%llx, and %d", (unsigned long long)iova, ret);
	fuzz_check_ioas(to);
}

static void map_file(struct iommufd_ioas *in)
{
	uint64_t start = fuzz_call_pages(), len = fuzz_call_pages(), was = fuzz_call_pages(), iova = was;
	uint8_t how = fuzz_call_byte();
	int fd = fuzz_open(FUZZ_MEMORY), ret;

	ret = CALL(iommufd_ioas_map_file, in, fd, start, len, how & 0x80 ? how : (how & 7) | IOMMUFD_MAP_READ, &iova);
	fuzz_check(!ret || iova == was, "the IOVA was written");
	fuzz_close(fd);
}

static void allow(struct iommufd_ioas *in)
{
	struct iommufd_range ranges[3];
	size_t count = fuzz_call_byte() % 4;

	for (size_t i = 0; i < count; i++) {
		ranges[i].start = fuzz_call_pages();
		ranges[i].last = ranges[i].start + fuzz_call_pages() - 1;
	}
	CALL(iommufd_ioas_allow, in, ranges, count);
}

static void huge_pages(struct iommufd_ioas *in)
{
	uint32_t on = 77;

	CALL(iommufd_ioas_set_huge_pages, in, fuzz_call_byte() % 3);
	if (CALL(iommufd_ioas_get_huge_pages, in, &on))
		fuzz_check(on == 77, "the answer was written");
	else
		fuzz_check(on <= 1, "huge pages are %u", on);
}

/* Into a bitmap with something behind its end. */
static void dirty(struct iommufd_ioas *in, bool unmaps)
{
	uint64_t iova = fuzz_call_pages(), len = fuzz_call_pages(), page = PAGE << (fuzz_call_byte() & 3);
	uint64_t bitmap[WORDS + 1] = { 0 }, bytes = 77, bits = (len + page - 1) / page;
	uint8_t flags = fuzz_call_byte();
	int ret;

	if (bits > (uint64_t)WORDS * 64) {
		len = page * WORDS * 64;
		bits = (uint64_t)WORDS * 64;
	}
	bitmap[(bits + 63) / 64] = GUARD;
	if (unmaps) {
		ret = CALL(iommufd_ioas_unmap_dirty, in, iova, len, page, bitmap, sizeof(bitmap), &bytes);
		fuzz_check(!ret == (bytes != 77), "an unmap gave %d, and 0x%llx bytes", ret, (unsigned long long)bytes);
		fuzz_check(ret || bytes <= len, "more was unmapped than was asked for");
	} else {
		CALL(iommufd_ioas_dirty_read, in, iova, len, page, flags & 0x80 ? flags : flags & 1, bitmap,
		     sizeof(bitmap));
	}
	fuzz_check(bitmap[(bits + 63) / 64] == GUARD, "a bit behind the end of the bitmap was written");
	fuzz_check(!(bits % 64) || !(bitmap[bits / 64] >> bits % 64), "a bit behind the last page was set");
}

void fuzz_call_more(uint8_t what, struct iommufd_ioas *in)
{
	switch (what) {
	case 0:
		copy(in);
		break;
	case 1:
		map_file(in);
		break;
	case 2:
		allow(in);
		break;
	case 3:
		huge_pages(in);
		break;
	case 4:
		CALL(iommufd_ioas_dirty_start, in);
		break;
	case 5:
		CALL(iommufd_ioas_dirty_stop, in);
		break;
	case 6:
	case 7:
		dirty(in, false);
		break;
	case 8:
		dirty(in, true);
		break;
	default:
		fuzz_call_place(what - FUZZ_MORE_CALLS, in);
	}
}
