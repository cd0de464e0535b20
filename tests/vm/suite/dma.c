/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm.h"

START_TEST(a_buffer_is_zeroed_rounded_up_and_found)
{
	struct iommufd_dma dma = { .len = 0 };
	uint64_t got;
	struct bed bed;

	bed_attach(&bed, EDU);
	ok(iommufd_dma_alloc(bed.ioas, 5000, RW, &dma));
	ck_assert_uint_eq(dma.len, 2 * PAGE);
	for (size_t i = 0; i < dma.len; i++)
		ck_assert_uint_eq(((unsigned char *)dma.vaddr)[i], 0);
	ok(iommufd_ioas_to_iova(bed.ioas, (char *)dma.vaddr + 100, 100, &got));
	ck_assert_uint_eq(got, iommufd_dma_addr(&dma, (char *)dma.vaddr + 100));
	iommufd_dma_free(bed.ioas, &dma);
	ck_assert_uint_eq(dma.len, 0);
	ck_assert_ptr_null(dma.vaddr);
	/* twice, and of nothing, is fine */
	iommufd_dma_free(bed.ioas, &dma);
	iommufd_dma_free(bed.ioas, NULL);
	bed_close(&bed);
}
END_TEST

START_TEST(a_huge_buffer_is_aligned_to_two_mebibytes_for_the_device_too)
{
	struct iommufd_dma dma;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_dma_alloc(bed.ioas, 1, RW | IOMMUFD_DMA_HUGE, &dma));
	ck_assert_uint_eq(dma.len, 2u << 20);
	ck_assert_uint_eq((uintptr_t)dma.vaddr % (2u << 20), 0);
	ck_assert_uint_eq(dma.iova % (2u << 20), 0);
	edu_copy_works(&edu, dma.iova, dma.vaddr, dma.iova + dma.len - PAGE, (char *)dma.vaddr + dma.len - PAGE);
	iommufd_dma_free(bed.ioas, &dma);
	bed_close(&bed);
}
END_TEST

START_TEST(huge_pages_that_are_not_there_are_counted_in_the_words)
{
	struct iommufd_dma dma = { .len = 0 };
	struct bed bed;

	bed_attach(&bed, EDU);
	fails(iommufd_dma_alloc(bed.ioas, (size_t)4 << 30, RW | IOMMUFD_DMA_HUGE, &dma), -ENOMEM,
	      "2048 huge pages of 2 MiB are needed and 16 are free");
	ck_assert_uint_eq(dma.len, 0);
	bed_close(&bed);
}
END_TEST

START_TEST(more_than_any_memory_is_refused_with_words)
{
	struct iommufd_dma dma = { .len = 0 };
	struct bed bed;

	bed_attach(&bed, EDU);
	fails(iommufd_dma_alloc(bed.ioas, (size_t)1 << 50, RW, &dma), -ENOMEM, "ask for less");
	fails(iommufd_dma_alloc(bed.ioas, SIZE_MAX / 2, RW, &dma), -ENOMEM, "ask for less");
	fails(iommufd_dma_alloc(bed.ioas, (size_t)1 << 50, RW | IOMMUFD_DMA_HUGE, &dma), -ENOMEM, "nr_hugepages");
	ck_assert_uint_eq(dma.len, 0);
	bed_close(&bed);
}
END_TEST

START_TEST(a_buffer_needs_a_length_and_known_flags)
{
	struct iommufd_dma dma = { .len = 0 };
	struct bed bed;

	bed_open(&bed);
	fails(iommufd_dma_alloc(bed.ioas, 0, RW, &dma), -EINVAL, "length");
	fails(iommufd_dma_alloc(bed.ioas, PAGE, 0, &dma), -EINVAL, "IOMMUFD_MAP_READ");
	fails(iommufd_dma_alloc(bed.ioas, PAGE, RW | IOMMUFD_MAP_FIXED, &dma), -EINVAL, "flags");
	fails(iommufd_dma_alloc(bed.ioas, PAGE, RW | 1u << 31, &dma), -EINVAL, "flags");
	fails(iommufd_dma_alloc(bed.ioas, SIZE_MAX, RW, &dma), -EOVERFLOW, "ask for less");
	fails(iommufd_dma_alloc(bed.ioas, SIZE_MAX - PAGE, RW, &dma), -ENOMEM, "allocate");
	ck_assert_uint_eq(dma.len, 0);
	bed_close(&bed);
}
END_TEST

START_TEST(a_child_process_does_not_have_the_buffer)
{
	struct iommufd_dma dma;
	struct bed bed;
	int status;
	pid_t child;

	bed_attach(&bed, EDU);
	ok(iommufd_dma_alloc(bed.ioas, PAGE, RW, &dma));
	memset(dma.vaddr, 1, PAGE);
	child = fork();
	if (!child) {
		int pipes[2];

		/* The kernel says EFAULT where a page is not there. */
		_exit(pipe(pipes) || write(pipes[1], dma.vaddr, 1) >= 0 || errno != EFAULT);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	iommufd_dma_free(bed.ioas, &dma);
	bed_close(&bed);
}
END_TEST

START_TEST(buffers_come_and_go)
{
	struct iommufd_dma dma[32] = { { .len = 0 } };
	uint64_t bytes;
	struct bed bed;

	bed_attach(&bed, EDU);
	for (int i = 0; i < 1000; i++) {
		struct iommufd_dma *one = &dma[rand() % 32];

		if (one->len)
			iommufd_dma_free(bed.ioas, one);
		else
			ok(iommufd_dma_alloc(bed.ioas, (size_t)(rand() % 16 + 1) * PAGE, RW, one));
	}
	for (int i = 0; i < 32; i++)
		iommufd_dma_free(bed.ioas, &dma[i]);
	ok(iommufd_ioas_unmap_all(bed.ioas, &bytes));
	ck_assert_uint_eq(bytes, 0);
	bed_close(&bed);
}
END_TEST

void add_dma_tests(TCase *tc)
{
	tcase_add_test(tc, a_buffer_is_zeroed_rounded_up_and_found);
	tcase_add_test(tc, a_huge_buffer_is_aligned_to_two_mebibytes_for_the_device_too);
	tcase_add_test(tc, more_than_any_memory_is_refused_with_words);
	tcase_add_test(tc, huge_pages_that_are_not_there_are_counted_in_the_words);
	tcase_add_test(tc, a_buffer_needs_a_length_and_known_flags);
	tcase_add_test(tc, a_child_process_does_not_have_the_buffer);
	tcase_add_test(tc, buffers_come_and_go);
}
