/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What is mapped in one IOAS, mapped in another: on iommufd the same pages, elsewhere the same memory once more. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "vm.h"

#define SOURCE UINT64_C(0x100000)
#define TARGET UINT64_C(0x400000)

/* A bed whose IOAS has EDU, and a second IOAS with a device of another group. */
struct two {
	struct bed bed;
	struct iommufd_ioas *second;
	struct iommufd_device *other;
	struct edu edu; /* what reads and writes by the second one */
};

static void two_open(struct two *two)
{
	bed_attach(&two->bed, EDU);
	ok(iommufd_ioas_new(two->bed.ctx, &two->second));
	ok(iommufd_device_new(two->bed.ctx, TWIN_A, &two->other));
	ok(iommufd_device_attach(two->other, two->second));
	edu_setup(&two->edu, two->other);
}

static void two_close(struct two *two)
{
	iommufd_device_free(two->other);
	iommufd_ioas_free(two->second);
	bed_close(&two->bed);
}

static void map_at(struct iommufd_ioas *ioas, void *vaddr, size_t len, uint32_t flags, uint64_t iova)
{
	ok(iommufd_ioas_map(ioas, vaddr, len, flags | IOMMUFD_MAP_FIXED, &iova));
}

START_TEST(a_device_of_the_other_ioas_reaches_what_was_copied)
{
	unsigned char *pages = memory(4 * PAGE);
	uint64_t iova = 7, got;
	struct two two;

	two_open(&two);
	map_at(two.bed.ioas, pages, 4 * PAGE, RW, SOURCE);
	ok(iommufd_ioas_copy(two.bed.ioas, SOURCE, 4 * PAGE, two.second, RW, &iova));
	ck_assert_uint_eq(iova % PAGE, 0);
	ck_assert_uint_ne(iova, 0);
	edu_copy_works(&two.edu, iova, pages, iova + 3 * PAGE, pages + 3 * PAGE);
	ok(iommufd_ioas_to_iova(two.second, pages + PAGE, PAGE, &got));
	ck_assert_uint_eq(got, iova + PAGE);
	/* it does not depend on the first one */
	ok(iommufd_ioas_unmap_all(two.bed.ioas, NULL));
	edu_copy_works(&two.edu, iova, pages, iova + 2 * PAGE, pages + 2 * PAGE);
	ok(iommufd_ioas_unmap(two.second, iova, 4 * PAGE, &got));
	ck_assert_uint_eq(got, 4 * PAGE);
	two_close(&two);
}
END_TEST

/* From the middle of the first mapping to the middle of the third. */
START_TEST(several_mappings_are_copied_and_the_outer_ones_cut)
{
	unsigned char *one = memory(4 * PAGE), *two_ = memory(PAGE), *three = memory(4 * PAGE);
	uint64_t iova = TARGET, got;
	struct two two;

	two_open(&two);
	map_at(two.bed.ioas, one, 4 * PAGE, RW, SOURCE);
	map_at(two.bed.ioas, two_, PAGE, RW, SOURCE + 4 * PAGE);
	map_at(two.bed.ioas, three, 4 * PAGE, RW, SOURCE + 5 * PAGE);
	ok(iommufd_ioas_copy(two.bed.ioas, SOURCE + 3 * PAGE, 4 * PAGE, two.second, RW | IOMMUFD_MAP_FIXED, &iova));
	ck_assert_uint_eq(iova, TARGET);
	edu_copy_works(&two.edu, TARGET, one + 3 * PAGE, TARGET + PAGE, two_);
	edu_copy_works(&two.edu, TARGET + 3 * PAGE, three + PAGE, TARGET + 2 * PAGE, three);
	/* three mappings, of one, one and two pages */
	fails(iommufd_ioas_unmap(two.second, TARGET + 3 * PAGE, PAGE, NULL), -EINVAL, "0x402000-0x403fff");
	ok(iommufd_ioas_unmap(two.second, TARGET + PAGE, PAGE, &got));
	ck_assert_uint_eq(got, PAGE);
	edu_copy_works(&two.edu, TARGET, one + 3 * PAGE, TARGET + 3 * PAGE, three + PAGE);
	ok(iommufd_ioas_unmap_all(two.second, &got));
	ck_assert_uint_eq(got, 3 * PAGE);
	two_close(&two);
}
END_TEST

START_TEST(a_hole_is_not_copied_and_nothing_is_changed)
{
	unsigned char *pages = memory(2 * PAGE);
	uint64_t iova = 7, bytes;
	struct two two;

	two_open(&two);
	map_at(two.bed.ioas, pages, PAGE, RW, SOURCE);
	map_at(two.bed.ioas, pages + PAGE, PAGE, RW, SOURCE + 2 * PAGE);
	fails(iommufd_ioas_copy(two.bed.ioas, SOURCE, 3 * PAGE, two.second, RW, &iova), -ENOENT,
	      "nothing is mapped at 0x101000");
	fails(iommufd_ioas_copy(two.bed.ioas, SOURCE, 2 * PAGE, two.second, RW, &iova), -ENOENT, "at 0x101000");
	fails(iommufd_ioas_copy(two.bed.ioas, SOURCE - PAGE, 2 * PAGE, two.second, RW, &iova), -ENOENT, "at 0xff000");
	fails(iommufd_ioas_copy(two.bed.ioas, TARGET, PAGE, two.second, RW, &iova), -ENOENT, "at 0x400000");
	ck_assert_uint_eq(iova, 7);
	ok(iommufd_ioas_unmap_all(two.second, &bytes));
	ck_assert_uint_eq(bytes, 0);
	ok(iommufd_ioas_unmap_all(two.bed.ioas, &bytes));
	ck_assert_uint_eq(bytes, 2 * PAGE);
	two_close(&two);
}
END_TEST

START_TEST(a_copy_may_be_written_only_if_the_mapping_may)
{
	unsigned char *pages = memory(2 * PAGE);
	uint64_t iova = 7, bytes;
	struct two two;

	two_open(&two);
	map_at(two.bed.ioas, pages, PAGE, RW, SOURCE);
	map_at(two.bed.ioas, pages + PAGE, PAGE, IOMMUFD_MAP_READ, SOURCE + PAGE);
	fails(iommufd_ioas_copy(two.bed.ioas, SOURCE, 2 * PAGE, two.second, RW, &iova), -EPERM,
	      "0x101000-0x101fff is mapped for reading only");
	ck_assert_uint_eq(iova, 7);
	ok(iommufd_ioas_copy(two.bed.ioas, SOURCE, 2 * PAGE, two.second, IOMMUFD_MAP_READ, &iova));
	/* what may be written was made less, and a copy of that stays so */
	fails(iommufd_ioas_copy(two.second, iova, PAGE, two.bed.ioas, RW, &iova), -EPERM, "for reading only");
	ok(iommufd_ioas_unmap_all(two.second, &bytes));
	ck_assert_uint_eq(bytes, 2 * PAGE);
	two_close(&two);
}
END_TEST

START_TEST(a_copy_goes_where_it_is_asked_for_or_says_what_is_there)
{
	unsigned char *pages = memory(3 * PAGE);
	uint64_t iova = TARGET + PAGE;
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = vm_backend };
	struct iommufd_ioas *foreign;
	struct iommufd_ctx *ctx;
	struct two two;

	two_open(&two);
	map_at(two.bed.ioas, pages, 2 * PAGE, RW, SOURCE);
	map_at(two.second, pages + 2 * PAGE, PAGE, RW, TARGET + 2 * PAGE);
	fails(iommufd_ioas_copy(two.bed.ioas, SOURCE, 2 * PAGE, two.second, RW | IOMMUFD_MAP_FIXED, &iova), -EEXIST,
	      "0x402000-0x402fff is mapped");
	iova = MSI_WINDOW;
	fails(iommufd_ioas_copy(two.bed.ioas, SOURCE, 2 * PAGE, two.second, RW | IOMMUFD_MAP_FIXED, &iova), -EINVAL,
	      "not permitted");
	iova = TARGET;
	fails(iommufd_ioas_copy(two.bed.ioas, SOURCE, 2 * PAGE, two.second, 0, &iova), -EINVAL, "IOMMUFD_MAP_READ");
	fails(iommufd_ioas_copy(two.bed.ioas, SOURCE, 2 * PAGE, two.second, RW | 1u << 31, &iova), -EINVAL, "flags");
	fails(iommufd_ioas_copy(two.bed.ioas, SOURCE, 0, two.second, RW, &iova), -EINVAL, "no bytes");
	fails(iommufd_ioas_copy(two.bed.ioas, SOURCE + 1, PAGE, two.second, RW, &iova), -EINVAL, "not aligned");
	fails(iommufd_ioas_copy(two.bed.ioas, SOURCE, PAGE + 1, two.second, RW, &iova), -EINVAL, "not aligned");
	fails(iommufd_ioas_copy(two.bed.ioas, UINT64_MAX - (PAGE - 1), 2 * PAGE, two.second, RW, &iova), -EOVERFLOW,
	      "past 2^64");
	ok(iommufd_ctx_new(&opts, &ctx));
	ok(iommufd_ioas_new(ctx, &foreign));
	fails(iommufd_ioas_copy(two.bed.ioas, SOURCE, PAGE, foreign, RW, &iova), -EINVAL, "from the same context");
	iommufd_ioas_free(foreign);
	iommufd_ctx_free(ctx);
	ok(iommufd_ioas_copy(two.bed.ioas, SOURCE, 2 * PAGE, two.second, RW | IOMMUFD_MAP_FIXED, &iova));
	edu_copy_works(&two.edu, TARGET, pages, TARGET + 2 * PAGE, pages + 2 * PAGE);
	two_close(&two);
}
END_TEST

START_TEST(a_copy_inside_of_one_ioas_is_a_second_place_of_the_memory)
{
	unsigned char *pages = memory(2 * PAGE);
	uint64_t iova = SOURCE + PAGE, bytes;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	map_at(bed.ioas, pages, 2 * PAGE, RW, SOURCE);
	fails(iommufd_ioas_copy(bed.ioas, SOURCE, 2 * PAGE, bed.ioas, RW | IOMMUFD_MAP_FIXED, &iova), -EEXIST,
	      "0x100000-0x101fff is mapped");
	iova = TARGET;
	ok(iommufd_ioas_copy(bed.ioas, SOURCE, 2 * PAGE, bed.ioas, RW | IOMMUFD_MAP_FIXED, &iova));
	edu_copy_works(&edu, TARGET, pages, SOURCE + PAGE, pages + PAGE);
	ok(iommufd_ioas_unmap(bed.ioas, SOURCE, 2 * PAGE, NULL));
	edu_copy_works(&edu, TARGET, pages, TARGET + PAGE, pages + PAGE);
	ok(iommufd_ioas_unmap_all(bed.ioas, &bytes));
	ck_assert_uint_eq(bytes, 2 * PAGE);
	bed_close(&bed);
}
END_TEST

/* Neither has a device: the copies are pinned, or replayed, at the attach. */
START_TEST(what_is_copied_before_the_attach_is_there_after_it)
{
	unsigned char *pages = memory(2 * PAGE);
	struct iommufd_ioas *second;
	uint64_t iova;
	struct bed bed;
	struct edu edu;

	bed_open_device(&bed, EDU);
	ok(iommufd_ioas_new(bed.ctx, &second));
	map_at(bed.ioas, pages, PAGE, RW, SOURCE);
	map_at(bed.ioas, pages + PAGE, PAGE, RW, SOURCE + PAGE);
	ok(iommufd_ioas_copy(bed.ioas, SOURCE, 2 * PAGE, second, RW, &iova));
	ok(iommufd_device_attach(bed.dev, second));
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, iova, pages, iova + PAGE, pages + PAGE);
	iommufd_ioas_free(second);
	bed_close(&bed);
}
END_TEST

/* 48 KiB twice do not fit into 64, unless they are the same pages. */
START_TEST(copies_count_once_on_iommufd_and_again_elsewhere)
{
	unsigned char *pages = memory(12 * PAGE);
	uint64_t iova = 7;
	struct two two;

	vm_open_to_all(EDU);
	vm_open_to_all(TWIN_A);
	vm_become_user(64 << 10);
	two_open(&two);
	map_at(two.bed.ioas, pages, 12 * PAGE, RW, SOURCE);
	if (vm_backend == IOMMUFD_BACKEND_IOMMUFD) {
		ok(iommufd_ioas_copy(two.bed.ioas, SOURCE, 12 * PAGE, two.second, RW, &iova));
		edu_copy_works(&two.edu, iova, pages, iova + 11 * PAGE, pages + 11 * PAGE);
		/* and a mapping does count, so that there is a limit to be met */
		fails(iommufd_ioas_map(two.second, pages, 12 * PAGE, RW, &iova), -ENOMEM, "memlock limit is 65536");
	} else {
		fails(iommufd_ioas_copy(two.bed.ioas, SOURCE, 12 * PAGE, two.second, RW, &iova), -ENOMEM,
		      "memlock limit is 65536");
		ck_assert_uint_eq(iova, 7);
		ok(iommufd_ioas_copy(two.bed.ioas, SOURCE, 4 * PAGE, two.second, RW, &iova));
	}
	two_close(&two);
}
END_TEST

/* The second of two pieces does not fit into the limit: the first is taken back. */
START_TEST(a_copy_that_fails_in_the_middle_leaves_nothing)
{
	unsigned char *pages = memory(20 * PAGE);
	struct iommufd_ioas *second;
	uint64_t iova = 7, bytes;
	struct bed bed;

	vm_open_to_all(EDU);
	vm_become_user(64 << 10);
	bed_attach(&bed, EDU);
	ok(iommufd_ioas_new(bed.ctx, &second));
	map_at(second, pages, 10 * PAGE, RW, SOURCE); /* not pinned, since it has no device */
	map_at(second, pages + 10 * PAGE, 10 * PAGE, RW, SOURCE + 10 * PAGE);
	fails(iommufd_ioas_copy(second, SOURCE, 20 * PAGE, bed.ioas, RW, &iova), -ENOMEM, "memlock limit is 65536");
	ck_assert_uint_eq(iova, 7);
	ok(iommufd_ioas_unmap_all(bed.ioas, &bytes));
	ck_assert_uint_eq(bytes, 0);
	ok(iommufd_ioas_copy(second, SOURCE + 2 * PAGE, 16 * PAGE, bed.ioas, RW, &iova)); /* nothing is pinned still */
	iommufd_ioas_free(second);
	bed_close(&bed);
}
END_TEST

/* ---- Beside others that map and unmap ---- */

struct churn {
	struct iommufd_ioas *ioas;
	unsigned char *pages;
	atomic_bool over;
	unsigned int rounds;
};

/* At the same place there is now one mapping, now two of them. */
static void *change(void *data)
{
	struct churn *churn = data;

	for (; !churn->over; churn->rounds++) {
		uint64_t at = SOURCE, behind = SOURCE + PAGE;
		int ret;

		if (churn->rounds % 2) {
			ret = iommufd_ioas_map(churn->ioas, churn->pages, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &at);
		} else {
			ret = iommufd_ioas_map(churn->ioas, churn->pages, PAGE, RW | IOMMUFD_MAP_FIXED, &at);
			if (!ret)
				ret = iommufd_ioas_map(churn->ioas, churn->pages + PAGE, PAGE, RW | IOMMUFD_MAP_FIXED,
						       &behind);
		}
		for (volatile int i = rand() % 3000; i > 0; i--) /* so that there is something to be copied */
			;
		while (!ret && (ret = iommufd_ioas_unmap(churn->ioas, SOURCE, 2 * PAGE, NULL)) == -EBUSY)
			ret = 0;
		if (ret)
			return churn;
	}
	return NULL;
}

START_TEST(a_copy_beside_an_unmap_is_all_of_the_one_or_nothing)
{
	unsigned int copied = 0, whole = 0, missed = 0;
	struct churn churn = { .pages = memory(2 * PAGE) };
	pthread_t thread;
	struct two two;
	void *wrong = NULL;

	two_open(&two);
	churn.ioas = two.bed.ioas;
	ck_assert_int_eq(pthread_create(&thread, NULL, change, &churn), 0);
	while (copied < 500 || !missed) {
		uint64_t iova = TARGET, bytes;
		int ret = iommufd_ioas_copy(two.bed.ioas, SOURCE, 2 * PAGE, two.second, RW | IOMMUFD_MAP_FIXED, &iova);

		ck_assert_msg(!ret || ret == -ENOENT || ret == -EBUSY, "%d: %s", ret, iommufd_errmsg());
		missed += ret != 0;
		if (ret)
			continue;
		copied++;
		/* What the library thinks to be there is what the kernel lets go: else it would say so. */
		if (iommufd_ioas_unmap(two.second, TARGET, PAGE, &bytes) == -EINVAL)
			whole++;
		else
			ck_assert_uint_eq(bytes, PAGE);
		ok(iommufd_ioas_unmap_all(two.second, &bytes));
	}
	churn.over = true;
	ck_assert_int_eq(pthread_join(thread, &wrong), 0);
	ck_assert_msg(!wrong, "a map or an unmap failed");
	printf("# %s: %u copies beside %u changes, %u of one mapping, %u found none\n", vm_path->name, copied,
	       churn.rounds, whole, missed);
	two_close(&two);
}
END_TEST

START_TEST(the_number_of_an_ioas_is_the_kernels)
{
	struct iommufd_ioas *second;
	struct bed bed;

	bed_open(&bed);
	ok(iommufd_ioas_new(bed.ctx, &second));
	if (vm_backend == IOMMUFD_BACKEND_IOMMUFD) {
		ck_assert_uint_ne(iommufd_ioas_id(bed.ioas), 0);
		ck_assert_uint_ne(iommufd_ioas_id(second), iommufd_ioas_id(bed.ioas));
	} else {
		ck_assert_uint_eq(iommufd_ioas_id(bed.ioas), 0);
	}
	iommufd_ioas_free(second);
	bed_close(&bed);
}
END_TEST

void add_copy_tests(TCase *tc)
{
	tcase_add_test(tc, a_device_of_the_other_ioas_reaches_what_was_copied);
	tcase_add_test(tc, several_mappings_are_copied_and_the_outer_ones_cut);
	tcase_add_test(tc, a_hole_is_not_copied_and_nothing_is_changed);
	tcase_add_test(tc, a_copy_may_be_written_only_if_the_mapping_may);
	tcase_add_test(tc, a_copy_goes_where_it_is_asked_for_or_says_what_is_there);
	tcase_add_test(tc, a_copy_inside_of_one_ioas_is_a_second_place_of_the_memory);
	tcase_add_test(tc, what_is_copied_before_the_attach_is_there_after_it);
	tcase_add_test(tc, copies_count_once_on_iommufd_and_again_elsewhere);
	tcase_add_test(tc, a_copy_that_fails_in_the_middle_leaves_nothing);
	tcase_add_test(tc, a_copy_beside_an_unmap_is_all_of_the_one_or_nothing);
	tcase_add_test(tc, the_number_of_an_ioas_is_the_kernels);
}
