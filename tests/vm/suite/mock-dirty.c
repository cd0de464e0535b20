/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Dirty pages of page tables that the mock IOMMU writes to, held against a model: which pages are mapped, and which of
 * them were written since they were last told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mock.h"

#define BASE   ((uint64_t)MOCK_APERTURE_START)
#define PAGES  1024u
#define WORDS  (PAGES / 64)
#define TABLES 2

struct model {
	struct bed bed;
	struct mock_device mocks[TABLES];
	struct iommufd_hwpt *hwpts[TABLES];
	char *memory;
	unsigned int mapped[PAGES]; /* pages of the mapping that begins here, or 0 */
	bool there[PAGES], writable[PAGES], dirty[PAGES];
	unsigned int seed;
	unsigned long told; /* pages */
};

static unsigned int any(struct model *model, unsigned int below)
{
	return (unsigned int)rand_r(&model->seed) % below;
}

static void new_table(struct model *model, unsigned int i)
{
	struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts), .flags = IOMMUFD_HWPT_DIRTY };

	ok(iommufd_hwpt_new(model->mocks[i].dev, model->bed.ioas, &opts, &model->hwpts[i]));
}

static void model_open(struct model *model)
{
	*model = (struct model){ .seed = 1, .memory = mock_scattered(PAGES) };
	bed_open(&model->bed);
	for (unsigned int i = 0; i < TABLES; i++) {
		mock_open(&model->mocks[i], model->bed.ctx, 0);
		new_table(model, i);
		ok(iommufd_device_attach_hwpt(model->mocks[i].dev, model->hwpts[i]));
	}
}

static void model_close(struct model *model)
{
	for (unsigned int i = 0; i < TABLES; i++) {
		iommufd_device_free(model->mocks[i].dev);
		model->mocks[i].dev = NULL;
		iommufd_hwpt_free(model->hwpts[i]);
		mock_close(&model->mocks[i]);
	}
	bed_close(&model->bed);
	munmap(model->memory, (size_t)PAGES * PAGE);
}

/* ---- What the model does, on both sides ---- */

static void map(struct model *model, unsigned int first, unsigned int count, bool writable)
{
	uint64_t iova = BASE + first * PAGE;

	ok(iommufd_ioas_map(model->bed.ioas, model->memory + (size_t)first * PAGE, (size_t)count * PAGE,
			    IOMMUFD_MAP_FIXED | IOMMUFD_MAP_READ | (writable ? IOMMUFD_MAP_WRITE : 0), &iova));
	model->mapped[first] = count;
	for (unsigned int i = first; i < first + count; i++) {
		model->there[i] = true;
		model->writable[i] = writable;
		model->dirty[i] = false;
	}
}

static void gone(struct model *model, unsigned int first, unsigned int count)
{
	for (unsigned int i = first; i < first + count; i++) {
		model->mapped[i] = 0;
		model->there[i] = model->writable[i] = model->dirty[i] = false;
	}
}

static void write_pages(struct model *model, unsigned int table, const uint64_t *pages)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < PAGES; i++)
		if (pages[i / 64] >> i % 64 & 1) {
			model->dirty[i] = true;
			count++;
		}
	ck_assert_int_eq(mock_dirty(iommufd_ctx_fd(model->bed.ctx), iommufd_hwpt_id(model->hwpts[table]), BASE,
				    (uint64_t)PAGES * PAGE, PAGE, pages),
			 (int)count);
}

static void write_page(struct model *model, unsigned int table, unsigned int page)
{
	uint64_t pages[WORDS] = { 0 };

	pages[page / 64] = UINT64_C(1) << page % 64;
	write_pages(model, table, pages);
}

/* A bitmap with some bits set, which are to stay, and a guard behind it; and what a call is to make of it. */
struct answer {
	uint64_t words[WORDS + 1], wanted[WORDS + 1];
	unsigned int first, count, scale; /* pages; pages of 4 KiB that a bit stands for */
};

static void prepare(struct model *model, struct answer *answer)
{
	for (unsigned int i = 0; i <= WORDS; i++)
		answer->words[i] = any(model, 4) ? 0 : UINT64_C(1) << any(model, 64);
	memcpy(answer->wanted, answer->words, sizeof(answer->words));
	for (unsigned int i = 0; i < answer->count; i++)
		if (model->dirty[answer->first + i]) {
			unsigned int bit = i / answer->scale;

			answer->wanted[bit / 64] |= UINT64_C(1) << bit % 64;
			model->told++;
		}
}

static void check(const struct answer *answer)
{
	for (unsigned int i = 0; i <= WORDS; i++)
		ck_assert_msg(answer->words[i] == answer->wanted[i],
			      "word %u of %u pages from %u, %u a bit: %016lx, not %016lx", i, answer->count,
			      answer->first, answer->scale, (unsigned long)answer->words[i],
			      (unsigned long)answer->wanted[i]);
}

static void read_some(struct model *model, unsigned int first, unsigned int count, unsigned int scale, bool keep)
{
	struct answer answer = { .first = first, .count = count, .scale = scale };

	prepare(model, &answer);
	ok(iommufd_ioas_dirty_read(model->bed.ioas, BASE + first * PAGE, (uint64_t)count * PAGE, (uint64_t)scale * PAGE,
				   keep ? IOMMUFD_DIRTY_KEEP : 0, answer.words, (count / scale + 63) / 64 * 8));
	check(&answer);
	for (unsigned int i = first; i < first + count && !keep; i++)
		model->dirty[i] = false;
}

static void unmap_some(struct model *model, unsigned int first, unsigned int count, unsigned int scale)
{
	struct answer answer = { .first = first, .count = count, .scale = scale };
	uint64_t bytes = 0, wanted = 0;

	for (unsigned int i = first; i < first + count; i++)
		wanted += model->there[i] ? PAGE : 0;
	prepare(model, &answer);
	if (wanted) {
		ok(iommufd_ioas_unmap_dirty(model->bed.ioas, BASE + first * PAGE, (uint64_t)count * PAGE,
					    (uint64_t)scale * PAGE, answer.words, sizeof(answer.words), &bytes));
		ck_assert_uint_eq(bytes, wanted);
	} else {
		fails(iommufd_ioas_unmap_dirty(model->bed.ioas, BASE + first * PAGE, (uint64_t)count * PAGE,
					       (uint64_t)scale * PAGE, answer.words, sizeof(answer.words), &bytes),
		      -ENOENT, "use an IOVA");
	}
	check(&answer);
	gone(model, first, count);
}

/* ---- Rounds ---- */

static void some_range(struct model *model, unsigned int scale, unsigned int *first, unsigned int *count)
{
	unsigned int bits = PAGES / scale, from = any(model, bits);

	*first = from * scale;
	*count = (1 + any(model, any(model, 4) ? (bits - from < 8 ? bits - from : 8) : bits - from)) * scale;
}

static void map_somewhere(struct model *model)
{
	unsigned int first = any(model, PAGES), count = 1 + any(model, 40);

	for (unsigned int i = first; i < first + count; i++)
		if (i >= PAGES || model->there[i])
			return;
	map(model, first, count, any(model, 8));
}

/* Makes a range one that cuts no mapping, and a multiple of nothing but the page. */
static void unmap_somewhere(struct model *model, bool dirty)
{
	unsigned int first, count, end, i;

	some_range(model, 1, &first, &count);
	for (i = first; i > 0 && !model->mapped[i] && model->there[i]; i--)
		;
	end = first + count;
	for (first = i; end < PAGES && model->there[end] && !model->mapped[end]; end++)
		;
	if (dirty) {
		unmap_some(model, first, end - first, 1);
		return;
	}
	iommufd_ioas_unmap(model->bed.ioas, BASE + first * PAGE, (uint64_t)(end - first) * PAGE, NULL);
	gone(model, first, end - first);
}

static void write_somewhere(struct model *model)
{
	uint64_t pages[WORDS] = { 0 };

	for (unsigned int n = 1 + any(model, 12); n; n--) {
		unsigned int page = any(model, PAGES);

		if (model->writable[page])
			pages[page / 64] |= UINT64_C(1) << page % 64;
	}
	write_pages(model, any(model, TABLES), pages);
}

static void read_somewhere(struct model *model)
{
	static const unsigned int scales[] = { 1, 1, 2, 8, 64, 512 };
	unsigned int scale = scales[any(model, 6)], first, count;

	some_range(model, scale, &first, &count);
	read_some(model, first, count, scale, !any(model, 3));
}

/* The device goes to another page table, and what the old one knows goes with that. */
static void exchange_table(struct model *model)
{
	unsigned int i = any(model, TABLES);
	struct iommufd_hwpt *old = model->hwpts[i];

	new_table(model, i);
	ok(iommufd_device_replace_hwpt(model->mocks[i].dev, model->hwpts[i]));
	iommufd_hwpt_free(old);
}

static void start_anew(struct model *model)
{
	ok(iommufd_ioas_dirty_stop(model->bed.ioas));
	ok(iommufd_ioas_dirty_start(model->bed.ioas));
	memset(model->dirty, 0, sizeof(model->dirty));
}

static void round_of(struct model *model)
{
	unsigned int choice = any(model, 100);

	if (choice < 40)
		write_somewhere(model);
	else if (choice < 60)
		map_somewhere(model);
	else if (choice < 66)
		unmap_somewhere(model, true);
	else if (choice < 70)
		unmap_somewhere(model, false);
	else if (choice < 98)
		read_somewhere(model);
	else if (choice < 99)
		exchange_table(model);
	else
		start_anew(model);
}

START_TEST(each_page_that_is_written_is_told_once_and_no_other)
{
	unsigned long rounds = vm_rounds("TEST_DIRTY_ROUNDS", 2000);
	struct model model;

	model_open(&model);
	ok(iommufd_ioas_dirty_start(model.bed.ioas));
	for (unsigned long i = 0; i < rounds; i++)
		round_of(&model);
	read_some(&model, 0, PAGES, 1, false);
	printf("# dirty: mock: %lu rounds, %lu pages told\n", rounds, model.told);
	ck_assert_uint_gt(model.told, rounds / 10);
	model_close(&model);
}
END_TEST

/* One bit of the IOMMU for 512 pages: who reads a part has been told of that part only. */
START_TEST(a_large_page_of_the_iommu_is_told_whole_even_when_it_is_read_in_parts)
{
	size_t large = (size_t)512 * PAGE;
	uint64_t iova = BASE, words[8] = { 0 };
	struct model model;
	char *memory_of;

	model_open(&model);
	memory_of = memory(2 * large);
	memory_of = (char *)(((uintptr_t)memory_of + large - 1) & ~(large - 1));
	ck_assert_int_eq(madvise(memory_of, large, MADV_HUGEPAGE), 0);
	memset(memory_of, 1, large);
	ok(iommufd_ioas_map(model.bed.ioas, memory_of, large, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_ioas_dirty_start(model.bed.ioas));
	write_page(&model, 0, 3);
	ok(iommufd_ioas_dirty_read(model.bed.ioas, BASE, large, PAGE, IOMMUFD_DIRTY_KEEP, words, sizeof(words)));
	ck_assert_msg(words[7] >> 63, "the IOMMU has no large page here");
	ok(iommufd_ioas_dirty_read(model.bed.ioas, BASE + large / 2, large / 4, PAGE, 0, words, sizeof(words)));
	memset(words, 0, sizeof(words));
	ok(iommufd_ioas_dirty_read(model.bed.ioas, BASE, large, PAGE, 0, words, sizeof(words)));
	for (unsigned int i = 0; i < 8; i++)
		ck_assert_uint_eq(words[i], i == 4 || i == 5 ? 0 : UINT64_MAX);
	model_close(&model);
}
END_TEST

static void small_hwpt(struct model *model, uint32_t flags, struct iommufd_hwpt **out)
{
	struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts), .flags = flags };

	ok(iommufd_hwpt_new(model->mocks[0].dev, model->bed.ioas, &opts, out));
}

/* What the device is attached to in the kernel is written, and the library tells. */
static void is_seen(struct bed *bed, const struct mock_device *mock, unsigned int page)
{
	uint64_t pages = UINT64_C(1) << page, bits = 0;

	ck_assert_int_eq(mock_dirty(mock->fd, mock->hwpt, BASE, (uint64_t)64 * PAGE, PAGE, &pages), 1);
	ok(iommufd_ioas_dirty_read(bed->ioas, BASE, (uint64_t)64 * PAGE, PAGE, 0, &bits, sizeof(bits)));
	ck_assert_uint_eq(bits, pages);
}

START_TEST(devices_of_an_ioas_get_page_tables_that_tell_before_and_after_it_begins)
{
	struct mock_device early, late;
	char *pages = mock_scattered(PAGES);
	uint64_t iova = BASE;
	struct bed bed;

	bed_open(&bed);
	mock_open(&early, bed.ctx, 0);
	mock_open(&late, bed.ctx, 0);
	ok(iommufd_device_attach(early.dev, bed.ioas));
	ok(iommufd_ioas_map(bed.ioas, pages, (size_t)64 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_ioas_dirty_start(bed.ioas));
	is_seen(&bed, &early, 5);
	ok(iommufd_device_attach(late.dev, bed.ioas));
	ck_assert_uint_ne(late.hwpt, early.hwpt);
	is_seen(&bed, &late, 6);
	ok(iommufd_ioas_dirty_stop(bed.ioas));
	ok(iommufd_ioas_dirty_start(bed.ioas));
	is_seen(&bed, &early, 7);
	is_seen(&bed, &late, 8);
	ok(iommufd_device_detach(early.dev));
	ok(iommufd_device_replace(late.dev, bed.ioas));
	is_seen(&bed, &late, 9);
	mock_close(&late);
	mock_close(&early);
	bed_close(&bed);
	munmap(pages, (size_t)PAGES * PAGE);
}
END_TEST

START_TEST(who_cannot_be_seen_is_named_and_the_others_stay_where_they_were)
{
	struct mock_device blind, one, other;
	uint32_t lowest, before;
	struct bed bed;

	bed_open(&bed);
	mock_open(&one, bed.ctx, 0);
	mock_open(&blind, bed.ctx, MOCK_NO_DIRTY);
	mock_open(&other, bed.ctx, 0);
	ok(iommufd_device_attach(one.dev, bed.ioas));
	ok(iommufd_device_attach(blind.dev, bed.ioas));
	ok(iommufd_device_attach(other.dev, bed.ioas));
	before = other.hwpt;
	lowest = mock_lowest_id(other.fd);
	fails(iommufd_ioas_dirty_start(bed.ioas), -EOPNOTSUPP, "(its IOMMU does not track dirty pages)");
	ck_assert_uint_eq(mock_lowest_id(other.fd), lowest);
	ck_assert_uint_eq(other.hwpt, before);
	ck_assert_uint_eq(one.hwpt, before);
	ok(iommufd_device_detach(blind.dev));
	ok(iommufd_ioas_dirty_start(bed.ioas));
	fails(iommufd_device_attach(blind.dev, bed.ioas), -EOPNOTSUPP, "(its IOMMU does not track dirty pages)");
	ok(iommufd_ioas_dirty_stop(bed.ioas));
	ok(iommufd_device_attach(blind.dev, bed.ioas));
	mock_close(&other);
	mock_close(&blind);
	mock_close(&one);
	bed_close(&bed);
}
END_TEST

START_TEST(nothing_can_be_attached_whose_writes_would_not_be_seen)
{
	struct iommufd_hwpt *blind;
	struct model model;

	model_open(&model);
	small_hwpt(&model, 0, &blind);
	ok(iommufd_device_replace_hwpt(model.mocks[0].dev, blind));
	fails(iommufd_ioas_dirty_start(model.bed.ioas), -EOPNOTSUPP, "would not be seen");
	ok(iommufd_device_replace_hwpt(model.mocks[0].dev, model.hwpts[0]));
	ok(iommufd_ioas_dirty_start(model.bed.ioas));
	fails(iommufd_device_replace_hwpt(model.mocks[0].dev, blind), -EOPNOTSUPP, "IOMMUFD_HWPT_DIRTY");
	ok(iommufd_device_detach(model.mocks[0].dev));
	fails(iommufd_device_attach_hwpt(model.mocks[0].dev, blind), -EOPNOTSUPP, "IOMMUFD_HWPT_DIRTY");
	ok(iommufd_device_attach_hwpt(model.mocks[0].dev, model.hwpts[0]));
	iommufd_hwpt_free(blind);
	model_close(&model);
}
END_TEST

void add_mock_dirty_tests(TCase *tc)
{
	if (getenv("TEST_DIRTY_ROUNDS"))
		tcase_set_timeout(tc, 3600);
	tcase_add_test(tc, a_large_page_of_the_iommu_is_told_whole_even_when_it_is_read_in_parts);
	tcase_add_test(tc, devices_of_an_ioas_get_page_tables_that_tell_before_and_after_it_begins);
	tcase_add_test(tc, who_cannot_be_seen_is_named_and_the_others_stay_where_they_were);
	tcase_add_test(tc, nothing_can_be_attached_whose_writes_would_not_be_seen);
	tcase_add_test(tc, each_page_that_is_written_is_told_once_and_no_other);
}
