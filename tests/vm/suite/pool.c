/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Objects of a pool, as devices see them. */
#include "vm.h"

#define COUNT 3000 /* more than two chunks have */

START_TEST(a_device_moves_data_from_object_to_object)
{
	static struct iommufd_dma objects[COUNT];
	struct iommufd_pool *pool;
	uint64_t iova, bytes;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_pool_new(bed.ioas, 64, RW, NULL, &pool));
	for (size_t i = 0; i < COUNT; i++) {
		ok(iommufd_pool_get(pool, &objects[i]));
		ok(iommufd_ioas_to_iova(bed.ioas, objects[i].vaddr, 64, &iova));
		ck_assert_uint_eq(iova, objects[i].iova);
		memset(objects[i].vaddr, (int)(i % 251), 64);
	}
	for (size_t i = 0; i + 1 < COUNT; i += COUNT / 10) {
		struct iommufd_dma *to = &objects[COUNT - 1 - i];

		edu_read_memory(&edu, objects[i].iova, 64);
		edu_write_memory(&edu, to->iova, 64);
		ck_assert_mem_eq(to->vaddr, objects[i].vaddr, 64);
		/* Its neighbours have nothing of it. */
		ck_assert_uint_eq(*(unsigned char *)objects[COUNT - 2 - i].vaddr, (COUNT - 2 - i) % 251);
	}
	for (size_t i = 0; i < COUNT; i += 2)
		ok(iommufd_pool_put(pool, objects[i].vaddr));
	fails(iommufd_pool_put(pool, objects[0].vaddr), -EALREADY, "once");
	fails(iommufd_pool_put(pool, &objects[0]), -ENOENT, "iommufd_pool_get()");
	iommufd_pool_free(pool);
	/* With it went what was given out. */
	ck_assert_int_eq(iommufd_ioas_to_iova(bed.ioas, objects[1].vaddr, 1, &iova), -ENOENT);
	ok(iommufd_ioas_unmap_all(bed.ioas, &bytes));
	ck_assert_uint_eq(bytes, 0);
	bed_close(&bed);
}
END_TEST

START_TEST(a_pool_grows_by_huge_pages_and_stops_when_there_are_none)
{
	struct iommufd_dma one, first = { .len = 0 };
	struct iommufd_pool *pool;
	struct bed bed;
	int count = 0;

	bed_attach(&bed, EDU);
	ok(iommufd_pool_new(bed.ioas, 1 << 20, RW | IOMMUFD_DMA_HUGE, NULL, &pool));
	while (!iommufd_pool_get(pool, &one)) {
		ck_assert_uint_eq(one.page_size, 2u << 20);
		ck_assert_uint_eq(one.len, 1u << 20);
		memset(one.vaddr, 1, one.len);
		first = first.len ? first : one;
		count++;
	}
	ck_assert_int_eq(count, 32);
	fails(iommufd_pool_get(pool, &one), -ENOMEM, "0 are free");
	ok(iommufd_pool_put(pool, first.vaddr));
	ok(iommufd_pool_get(pool, &one));
	ck_assert_ptr_eq(one.vaddr, first.vaddr);
	iommufd_pool_free(pool);
	bed_close(&bed);
}
END_TEST

START_TEST(a_pool_may_be_freed_after_its_ioas_and_its_context)
{
	struct iommufd_pool *pool;
	struct iommufd_dma one;
	struct bed bed;

	bed_attach(&bed, EDU);
	ok(iommufd_pool_new(bed.ioas, 4096, RW, NULL, &pool));
	iommufd_device_free(bed.dev);
	iommufd_ioas_free(bed.ioas);
	iommufd_ctx_free(bed.ctx);
	ok(iommufd_pool_get(pool, &one));
	memset(one.vaddr, 1, one.len);
	iommufd_pool_free(pool);
}
END_TEST

void add_pool_tests(TCase *tc)
{
	tcase_add_test(tc, a_device_moves_data_from_object_to_object);
	tcase_add_test(tc, a_pool_grows_by_huge_pages_and_stops_when_there_are_none);
	tcase_add_test(tc, a_pool_may_be_freed_after_its_ioas_and_its_context);
}
