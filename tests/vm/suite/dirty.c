/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Dirty pages on every path. A container takes everything that is mapped for dirty as long as vfio-pci has a device in
 * it, so that is what is told; after the last detach the library has what was not read yet, and tells exactly that.
 * No IOMMU that is emulated here tells iommufd anything; see mock-dirty.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "vm.h"

#define BASE  UINT64_C(0x10000000)
#define PAGES 256u
#define WORDS (PAGES / 64)

static bool can_track(void)
{
	return vm_backend == IOMMUFD_BACKEND_VFIO && !vm_path->compat && !vm_path->hide_v2;
}

/* As long as no device is attached. */
static bool may_start(void)
{
	return vm_backend == IOMMUFD_BACKEND_IOMMUFD || can_track();
}

static const char *reason(void)
{
	return vm_backend == IOMMUFD_BACKEND_IOMMUFD ? "what " EDU " writes would not be seen"
	       : vm_path->compat                     ? "use the backend iommufd"
						     : "it takes version 2";
}

static void map_at(struct bed *bed, void *memory, unsigned int first, unsigned int count, uint32_t flags)
{
	uint64_t iova = BASE + first * PAGE;

	ok(iommufd_ioas_map(bed->ioas, memory, (size_t)count * PAGE, flags | IOMMUFD_MAP_FIXED, &iova));
}

START_TEST(tracking_begins_and_ends_once_or_says_why_it_cannot)
{
	struct bed bed;

	bed_attach(&bed, EDU);
	if (can_track()) {
		ok(iommufd_ioas_dirty_start(bed.ioas));
		fails(iommufd_ioas_dirty_start(bed.ioas), -EBUSY, "it goes on until iommufd_ioas_dirty_stop()");
		ok(iommufd_ioas_dirty_stop(bed.ioas));
	} else {
		fails(iommufd_ioas_dirty_start(bed.ioas), -EOPNOTSUPP, reason());
	}
	fails(iommufd_ioas_dirty_stop(bed.ioas), -EINVAL, "call iommufd_ioas_dirty_start() first");
	bed_close(&bed);
}
END_TEST

START_TEST(what_begins_before_the_first_attach_holds_for_who_comes)
{
	uint64_t bits = 0;
	struct bed bed;

	bed_open_device(&bed, EDU);
	if (!may_start()) {
		fails(iommufd_ioas_dirty_start(bed.ioas), -EOPNOTSUPP, reason());
		bed_close(&bed);
		return;
	}
	map_at(&bed, memory(2 * PAGE), 0, 2, RW);
	ok(iommufd_ioas_dirty_start(bed.ioas));
	if (can_track()) {
		ok(iommufd_device_attach(bed.dev, bed.ioas));
		map_at(&bed, memory(2 * PAGE), 3, 2, RW);
		ok(iommufd_ioas_dirty_read(bed.ioas, BASE, 8 * PAGE, PAGE, 0, &bits, sizeof(bits)));
		ck_assert_uint_eq(bits, 0x1b);
		ok(iommufd_ioas_dirty_stop(bed.ioas));
	} else {
		fails(iommufd_device_attach(bed.dev, bed.ioas), -EOPNOTSUPP, reason());
		ok(iommufd_ioas_dirty_read(bed.ioas, BASE, 8 * PAGE, PAGE, 0, &bits, sizeof(bits)));
		ck_assert_uint_eq(bits, 0);
		ok(iommufd_ioas_dirty_stop(bed.ioas));
		ok(iommufd_device_attach(bed.dev, bed.ioas));
	}
	bed_close(&bed);
}
END_TEST

/* What is told after the last detach is told once; the rest of a mapping of which a part was read stays for later. */
START_TEST(what_nobody_has_read_outlives_the_last_detach)
{
	char *pages = memory(4 * PAGE);
	uint64_t bits = 0;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	map_at(&bed, pages, 0, 4, RW);
	map_at(&bed, pages, 6, 1, IOMMUFD_MAP_READ);
	ok(iommufd_ioas_dirty_start(bed.ioas));
	edu_write_memory(&edu, BASE + PAGE, 64);
	edu_detach(&edu);
	ok(iommufd_ioas_dirty_read(bed.ioas, BASE + PAGE, PAGE, PAGE, 0, &bits, sizeof(bits)));
	ck_assert_uint_eq(bits, 1);
	bits = UINT64_C(1) << 63;
	ok(iommufd_ioas_dirty_read(bed.ioas, BASE, 8 * PAGE, PAGE, IOMMUFD_DIRTY_KEEP, &bits, sizeof(bits)));
	ck_assert_uint_eq(bits, UINT64_C(1) << 63 | 0xd);
	bits = 0;
	ok(iommufd_ioas_dirty_read(bed.ioas, BASE, 8 * PAGE, 4 * PAGE, 0, &bits, sizeof(bits)));
	ck_assert_uint_eq(bits, 1);
	bits = 0;
	ok(iommufd_ioas_dirty_read(bed.ioas, BASE, 8 * PAGE, PAGE, 0, &bits, sizeof(bits)));
	ck_assert_uint_eq(bits, 0);

	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ok(iommufd_ioas_dirty_read(bed.ioas, BASE, 8 * PAGE, PAGE, 0, &bits, sizeof(bits)));
	ck_assert_uint_eq(bits, 0xf);
	bed_close(&bed);
}
END_TEST

START_TEST(an_unmap_tells_what_was_dirty)
{
	char *pages = memory(4 * PAGE);
	uint64_t bits = 0, bytes = 0;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	map_at(&bed, pages, 0, 2, RW);
	map_at(&bed, pages, 2, 1, RW);
	map_at(&bed, pages, 5, 1, RW);
	ok(iommufd_ioas_dirty_start(bed.ioas));
	edu_write_memory(&edu, BASE + PAGE, 64);
	fails(iommufd_ioas_unmap_dirty(bed.ioas, BASE, PAGE, PAGE, &bits, sizeof(bits), &bytes), -EINVAL,
	      "unmap whole mappings");
	fails(iommufd_ioas_unmap_dirty(bed.ioas, BASE + 3 * PAGE, PAGE, PAGE, &bits, sizeof(bits), &bytes), -ENOENT,
	      "use an IOVA");
	ck_assert_uint_eq(bits, 0);
	ok(iommufd_ioas_unmap_dirty(bed.ioas, BASE, 8 * PAGE, PAGE, &bits, sizeof(bits), &bytes));
	ck_assert_uint_eq(bits, 0x27);
	ck_assert_uint_eq(bytes, 4 * PAGE);
	bits = 0;
	ok(iommufd_ioas_dirty_read(bed.ioas, BASE, 8 * PAGE, PAGE, 0, &bits, sizeof(bits)));
	ck_assert_uint_eq(bits, 0);
	bed_close(&bed);
}
END_TEST

START_TEST(a_bad_request_is_refused_with_words)
{
	uint64_t bits = 0, top = UINT64_MAX - PAGE + 1;
	struct bed bed;

	bed_open(&bed);
	fails(iommufd_ioas_dirty_read(bed.ioas, BASE, PAGE, PAGE, 0, &bits, sizeof(bits)), -EINVAL,
	      "iommufd_ioas_dirty_start()");
	fails(iommufd_ioas_unmap_dirty(bed.ioas, BASE, PAGE, PAGE, &bits, sizeof(bits), NULL), -EINVAL,
	      "iommufd_ioas_dirty_start()");
	if (may_start()) {
		ok(iommufd_ioas_dirty_start(bed.ioas));
		fails(iommufd_ioas_dirty_read(bed.ioas, BASE, PAGE, PAGE, 2, &bits, sizeof(bits)), -EINVAL,
		      "IOMMUFD_DIRTY flags");
		fails(iommufd_ioas_dirty_read(bed.ioas, BASE, PAGE, PAGE, 0, NULL, 8), -EINVAL,
		      "one bit for each page");
		fails(iommufd_ioas_dirty_read(bed.ioas, BASE, PAGE, 0, 0, &bits, sizeof(bits)), -EINVAL,
		      "power of two");
		fails(iommufd_ioas_dirty_read(bed.ioas, BASE, 3 * PAGE, 3 * PAGE, 0, &bits, sizeof(bits)), -EINVAL,
		      "power of two");
		fails(iommufd_ioas_dirty_read(bed.ioas, BASE, PAGE, PAGE / 2, 0, &bits, sizeof(bits)), -EINVAL,
		      "power of two, of 4096 at least");
		fails(iommufd_ioas_dirty_read(bed.ioas, BASE, 0, PAGE, 0, &bits, sizeof(bits)), -EINVAL,
		      "length not 0");
		fails(iommufd_ioas_dirty_read(bed.ioas, BASE + 1, PAGE, PAGE, 0, &bits, sizeof(bits)), -EINVAL,
		      "multiples");
		fails(iommufd_ioas_dirty_read(bed.ioas, BASE, 3 * PAGE, 2 * PAGE, 0, &bits, sizeof(bits)), -EINVAL,
		      "multiples");
		fails(iommufd_ioas_dirty_read(bed.ioas, BASE + PAGE, 2 * PAGE, 2 * PAGE, 0, &bits, sizeof(bits)),
		      -EINVAL, "multip");
		fails(iommufd_ioas_dirty_read(bed.ioas, top, 2 * PAGE, PAGE, 0, &bits, sizeof(bits)), -EOVERFLOW,
		      "2^64");
		fails(iommufd_ioas_unmap_dirty(bed.ioas, top, 2 * PAGE, PAGE, &bits, sizeof(bits), NULL), -EOVERFLOW,
		      "2^64");
		fails(iommufd_ioas_unmap_dirty(bed.ioas, BASE, PAGE, PAGE, NULL, 8, NULL), -EINVAL,
		      "one bit for each page");
		fails(iommufd_ioas_dirty_read(bed.ioas, BASE, 65 * PAGE, PAGE, 0, &bits, sizeof(bits)), -EINVAL,
		      "give a bitmap of 16 bytes or more, this one has 8");
		fails(iommufd_ioas_unmap_dirty(bed.ioas, BASE, PAGE, PAGE, &bits, 7, NULL), -EINVAL, "this one has 7");
		ok(iommufd_ioas_dirty_read(bed.ioas, top, PAGE, PAGE, 0, &bits, sizeof(bits)));
		ok(iommufd_ioas_dirty_read(bed.ioas, 0, PAGE, PAGE, 0, &bits, sizeof(bits)));
	}
	ck_assert_uint_eq(bits, 0);
	bed_close(&bed);
}
END_TEST

/* ---- Against a model ---- */

struct model {
	struct bed bed;
	struct edu edu;
	bool attached;
	char *memory;
	unsigned int mapped[PAGES]; /* pages of the mapping that begins here, or 0 */
	bool there[PAGES], writable[PAGES], dirty[PAGES];
	unsigned int seed;
	unsigned long told, written;
};

static unsigned int any(struct model *model, unsigned int below)
{
	return (unsigned int)rand_r(&model->seed) % below;
}

static void attach(struct model *model)
{
	ok(iommufd_device_attach(model->bed.dev, model->bed.ioas));
	edu_setup(&model->edu, model->bed.dev);
	model->attached = true;
}

/* While a device is attached everything is dirty, whatever was read; afterwards, what was not. */
static void all_dirty(struct model *model)
{
	for (unsigned int i = 0; model->attached && i < PAGES; i++)
		model->dirty[i] = model->writable[i];
}

static void detach(struct model *model)
{
	all_dirty(model);
	edu_detach(&model->edu);
	model->attached = false;
}

static void map_somewhere(struct model *model)
{
	unsigned int first = any(model, PAGES), count = 1 + any(model, 20);
	bool writable = any(model, 8);

	for (unsigned int i = first; i < first + count; i++)
		if (i >= PAGES || model->there[i])
			return;
	map_at(&model->bed, model->memory + (size_t)first * PAGE, first, count, writable ? RW : IOMMUFD_MAP_READ);
	model->mapped[first] = count;
	for (unsigned int i = first; i < first + count; i++) {
		model->there[i] = true;
		model->writable[i] = writable;
	}
}

/* What the call is to make of the words, of which some bits are set before. */
static void expect(struct model *model, unsigned int first, unsigned int count, unsigned int scale, uint64_t *words,
		   uint64_t *wanted)
{
	all_dirty(model);
	for (unsigned int i = 0; i <= WORDS; i++)
		words[i] = any(model, 4) ? 0 : UINT64_C(1) << any(model, 64);
	memcpy(wanted, words, (WORDS + 1) * sizeof(*words));
	for (unsigned int i = 0; i < count; i++)
		if (model->dirty[first + i]) {
			wanted[i / scale / 64] |= UINT64_C(1) << i / scale % 64;
			model->told++;
		}
}

static void unmap_somewhere(struct model *model)
{
	unsigned int first = any(model, PAGES), end = first + 1 + any(model, PAGES - first < 30 ? PAGES - first : 30);
	uint64_t words[WORDS + 1], wanted[WORDS + 1], bytes = 0, mapped = 0;
	int ret;

	for (; first > 0 && model->there[first] && !model->mapped[first]; first--)
		;
	for (; end < PAGES && model->there[end] && !model->mapped[end]; end++)
		;
	expect(model, first, end - first, 1, words, wanted);
	ret = iommufd_ioas_unmap_dirty(model->bed.ioas, BASE + first * PAGE, (uint64_t)(end - first) * PAGE, PAGE,
				       words, sizeof(words), &bytes);
	ck_assert_mem_eq(words, wanted, sizeof(words));
	for (; first < end; first++) {
		mapped += model->there[first] ? PAGE : 0;
		model->mapped[first] = 0;
		model->there[first] = model->writable[first] = model->dirty[first] = false;
	}
	ck_assert_int_eq(ret, mapped ? 0 : -ENOENT);
	ck_assert_uint_eq(bytes, mapped);
}

static void write_somewhere(struct model *model)
{
	unsigned int page = any(model, PAGES);

	if (!model->attached || !model->writable[page])
		return;
	edu_write_memory(&model->edu, BASE + page * PAGE, 64);
	model->written++;
}

static void read_somewhere(struct model *model)
{
	static const unsigned int scales[] = { 1, 1, 2, 8, 64, 256 };
	unsigned int scale = scales[any(model, 6)], first = any(model, PAGES / scale) * scale;
	unsigned int count = (1 + any(model, (PAGES - first) / scale)) * scale;
	uint64_t words[WORDS + 1], wanted[WORDS + 1];
	bool keep = !any(model, 3);

	expect(model, first, count, scale, words, wanted);
	ok(iommufd_ioas_dirty_read(model->bed.ioas, BASE + first * PAGE, (uint64_t)count * PAGE, (uint64_t)scale * PAGE,
				   keep ? IOMMUFD_DIRTY_KEEP : 0, words, (count / scale + 63) / 64 * sizeof(*words)));
	ck_assert_mem_eq(words, wanted, sizeof(words));
	for (unsigned int i = first; i < first + count && !keep; i++)
		model->dirty[i] = false;
}

static void round_of(struct model *model)
{
	unsigned int choice = any(model, 1000);

	if (choice < 100)
		write_somewhere(model);
	else if (choice < 400)
		map_somewhere(model);
	else if (choice < 500)
		unmap_somewhere(model);
	else if (choice < 996)
		read_somewhere(model);
	else if (model->attached)
		detach(model);
	else
		attach(model);
}

START_TEST(no_page_that_is_written_is_missed_and_none_is_told_that_is_not_there)
{
	unsigned long rounds = vm_rounds("TEST_DIRTY_ROUNDS", 2000);
	struct model model = { .seed = 1, .memory = memory((size_t)PAGES * PAGE) };

	bed_open_device(&model.bed, EDU);
	ok(iommufd_ioas_dirty_start(model.bed.ioas));
	attach(&model);
	for (unsigned long i = 0; i < rounds; i++)
		round_of(&model);
	printf("# dirty: %s: %lu rounds, %lu pages written, %lu told\n", vm_path->name, rounds, model.written,
	       model.told);
	ck_assert_uint_gt(model.written, rounds / 100);
	bed_close(&model.bed);
	munmap(model.memory, (size_t)PAGES * PAGE);
}
END_TEST

void add_dirty_tests(TCase *tc)
{
	if (getenv("TEST_DIRTY_ROUNDS"))
		tcase_set_timeout(tc, 3600);
	tcase_add_test(tc, tracking_begins_and_ends_once_or_says_why_it_cannot);
	tcase_add_test(tc, what_begins_before_the_first_attach_holds_for_who_comes);
	tcase_add_test(tc, a_bad_request_is_refused_with_words);
	if (!can_track())
		return;
	tcase_add_test(tc, what_nobody_has_read_outlives_the_last_detach);
	tcase_add_test(tc, an_unmap_tells_what_was_dirty);
	tcase_add_test(tc, no_page_that_is_written_is_missed_and_none_is_told_that_is_not_there);
}
