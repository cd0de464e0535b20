/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Memory for very many tables: that it is used, given back, and done without. */
#include <errno.h>
#include <sys/mman.h>

#include "radix.h"
#include "sys.h"
#include "unit.h"

#define PAGE   UINT64_C(0x1000)
#define MIB    (UINT64_C(1) << 20)
#define GIB    (UINT64_C(1) << 30)
#define TIB    (UINT64_C(1) << 40)
#define TABLES 1100u /* more than come before the second block */

static size_t held, advised;
static bool none_left;

int __real_ifd_sys_mmap(int fd, uint64_t offset, size_t len, int prot, int flags, void **out);
int __real_ifd_sys_munmap(void *addr, size_t len);
int __wrap_ifd_sys_mmap(int fd, uint64_t offset, size_t len, int prot, int flags, void **out);
int __wrap_ifd_sys_munmap(void *addr, size_t len);
int __wrap_ifd_sys_madvise(void *addr, size_t len, int advice);

/* Never where a huge page could begin. */
int __wrap_ifd_sys_mmap(int fd, uint64_t offset, size_t len, int prot, int flags, void **out)
{
	void *all;

	if (none_left)
		return -ENOMEM;
	ck_assert_int_eq(__real_ifd_sys_mmap(fd, offset, len + 4 * MIB, prot, flags, &all), 0);
	*out = (char *)all + (-(uintptr_t)all & (2 * MIB - 1)) + PAGE;
	ck_assert_int_eq(__real_ifd_sys_munmap(all, (size_t)((char *)*out - (char *)all)), 0);
	ck_assert_int_eq(
		__real_ifd_sys_munmap((char *)*out + len, (size_t)((char *)all + len + 4 * MIB - ((char *)*out + len))),
		0);
	held += len;
	return 0;
}

int __wrap_ifd_sys_munmap(void *addr, size_t len)
{
	ck_assert_uint_le(len, held);
	held -= len;
	return __real_ifd_sys_munmap(addr, len);
}

/* A kernel without huge pages. */
int __wrap_ifd_sys_madvise(void *addr, size_t len, int advice)
{
	ck_assert_uint_eq((uintptr_t)addr % (2 * MIB), 0);
	ck_assert_uint_eq(len, 2 * MIB);
	ck_assert_int_eq(advice, MADV_HUGEPAGE);
	advised++;
	return -EINVAL;
}

/* Each in a table of its own. */
static uint64_t place(uint64_t i)
{
	return GIB + i * 2 * MIB;
}

static bool enter(struct ifd_radix *radix, uint64_t i)
{
	return ifd_radix_enter(radix, place(i), place(i) + (PAGE - 1), TIB + i * PAGE);
}

static void check_found(const struct ifd_radix *radix, uint64_t count)
{
	uint64_t iova, len;

	for (uint64_t i = 0; i < count; i++) {
		ck_assert_int_eq(ifd_radix_find(radix, place(i) + 5, PAGE - 5, PAGE - 5, &iova, &len), 0);
		ck_assert_uint_eq(iova, TIB + i * PAGE + 5);
	}
}

START_TEST(very_many_tables_are_in_blocks_that_are_given_back)
{
	struct ifd_radix radix = { .num_tables = 0 };

	for (int twice = 0; twice < 2; twice++) {
		for (uint64_t i = 0; i < TABLES; i++)
			ck_assert(enter(&radix, i));
		check_found(&radix, TABLES);
		ck_assert_uint_eq(held, 4 * MIB);
		ck_assert_uint_eq(advised, 2);
		ck_assert_uint_le(ifd_radix_bytes(&radix), 6 * MIB);
		for (uint64_t i = 0; i < TABLES; i++)
			ifd_radix_leave(&radix, place(i), place(i) + (PAGE - 1));
	}
	ifd_radix_fini(&radix);
	ck_assert_uint_eq(held, 0);
}
END_TEST

START_TEST(few_tables_need_no_block)
{
	struct ifd_radix radix = { .num_tables = 0 };

	for (uint64_t i = 0; i < 400; i++)
		ck_assert(enter(&radix, i));
	check_found(&radix, 400);
	ck_assert_uint_eq(held, 0);
	ck_assert_uint_eq(advised, 0);
	ifd_radix_fini(&radix);
}
END_TEST

START_TEST(without_memory_for_a_block_nothing_is_entered_and_what_is_there_stays)
{
	struct ifd_radix radix = { .num_tables = 0 };
	uint64_t count = 0;

	none_left = true;
	while (enter(&radix, count))
		ck_assert_uint_lt(++count, TABLES);
	ck_assert(radix.starved);
	check_found(&radix, count);
	none_left = false;
	ck_assert(enter(&radix, count));
	check_found(&radix, count + 1);
	ifd_radix_fini(&radix);
	ck_assert_uint_eq(held, 0);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, very_many_tables_are_in_blocks_that_are_given_back);
	tcase_add_test(tcase, few_tables_need_no_block);
	tcase_add_test(tcase, without_memory_for_a_block_nothing_is_entered_and_what_is_there_stays);
}
