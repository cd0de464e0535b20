/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The rows of the contract in docs/ARCHITECTURE.md: what every backend does the same. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>

#include "vm.h"

START_TEST(a_map_before_the_first_attach_is_there_after_it)
{
	unsigned char *pages = memory(2 * PAGE);
	uint64_t iova = 0x100000;
	struct bed bed;
	struct edu edu;

	bed_open_device(&bed, EDU);
	ok(iommufd_ioas_map(bed.ioas, pages, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, iova, pages, iova + PAGE, pages + PAGE);
	bed_close(&bed);
}
END_TEST

START_TEST(a_map_after_the_last_detach_is_there_at_the_next_attach)
{
	unsigned char *pages = memory(2 * PAGE);
	uint64_t iova = 0x100000, got;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	ok(iommufd_ioas_map(bed.ioas, pages, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_device_detach(bed.dev));
	ok(iommufd_ioas_to_iova(bed.ioas, pages, PAGE, &got));
	iova += PAGE;
	ok(iommufd_ioas_map(bed.ioas, pages + PAGE, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, iova - PAGE, pages, iova, pages + PAGE);
	bed_close(&bed);
}
END_TEST

START_TEST(an_attach_that_fails_names_the_mapping_and_changes_nothing)
{
	unsigned char *page = memory(PAGE);
	uint64_t good = 0x100000, bad = MSI_WINDOW, got;
	struct bed bed;

	bed_open_device(&bed, EDU);
	ok(iommufd_ioas_map(bed.ioas, page, PAGE, RW | IOMMUFD_MAP_FIXED, &good));
	ok(iommufd_ioas_map(bed.ioas, page, PAGE, RW | IOMMUFD_MAP_FIXED, &bad));
	fails(iommufd_device_attach(bed.dev, bed.ioas), -EADDRINUSE, MSI_WINDOW_PAGE);
	ck_assert_int_eq(iommufd_ioas_ranges(bed.ioas, NULL, 0), 1);
	ok(iommufd_ioas_to_iova(bed.ioas, page, 1, &got));

	ok(iommufd_ioas_unmap(bed.ioas, bad, PAGE, &got));
	ck_assert_uint_eq(got, PAGE);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	bed_close(&bed);
}
END_TEST

START_TEST(an_attach_finds_memory_that_has_gone)
{
	unsigned char *good = memory(PAGE), *page;
	char words[128];
	uint64_t iova;
	struct bed bed;

	bed_open_device(&bed, EDU);
	page = memory(PAGE);
	ok(iommufd_ioas_map(bed.ioas, good, PAGE, RW, &iova));
	ok(iommufd_ioas_map(bed.ioas, page, PAGE, RW, &iova));
	mprotect(page, PAGE, PROT_NONE); /* rather than munmap(), which leaves a place that others would take */
	fails(iommufd_device_attach(bed.dev, bed.ioas), -EFAULT, "may not even be read");
	snprintf(words, sizeof(words), "attach %s: the mapping of 0x%lx, %u bytes, at IOVA 0x%lx", EDU,
		 (unsigned long)page, PAGE, (unsigned long)iova);
	fails(iommufd_device_attach(bed.dev, bed.ioas), -EFAULT, words);
	fails(iommufd_device_detach(bed.dev), -ENOTCONN, "nothing to undo");
	ok(iommufd_ioas_unmap(bed.ioas, iova, PAGE, NULL));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	bed_close(&bed);
}
END_TEST

/* The rows about unmapping, with a device attached and without. */
static void unmap_rows(struct bed *bed)
{
	unsigned char *pages = memory(8 * PAGE);
	uint64_t iova = 0x100000, hole = 0x108000, bytes = 7, got;

	fails(iommufd_ioas_unmap(bed->ioas, iova, PAGE, &bytes), -ENOENT, "0x100000-0x100fff");
	ck_assert_uint_eq(bytes, 7);

	ok(iommufd_ioas_map(bed->ioas, pages, 4 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_ioas_map(bed->ioas, pages + 4 * PAGE, PAGE, RW | IOMMUFD_MAP_FIXED, &hole));
	fails(iommufd_ioas_unmap(bed->ioas, iova, PAGE, &bytes), -EINVAL, "cuts 0x100000-0x103fff");
	fails(iommufd_ioas_unmap(bed->ioas, iova + PAGE, PAGE, &bytes), -EINVAL, "cuts 0x100000-0x103fff");
	fails(iommufd_ioas_unmap(bed->ioas, iova + PAGE, 16 * PAGE, &bytes), -EINVAL, "cuts 0x100000-0x103fff");
	fails(iommufd_ioas_unmap(bed->ioas, iova - PAGE, 2 * PAGE, &bytes), -EINVAL, "cuts 0x100000-0x103fff");
	fails(iommufd_ioas_unmap(bed->ioas, hole - PAGE, PAGE, &bytes), -ENOENT, "iommufd_ioas_map");
	ck_assert_uint_eq(bytes, 7);
	ok(iommufd_ioas_to_iova(bed->ioas, pages, 4 * PAGE, &got));
	ck_assert_uint_eq(got, iova);

	ok(iommufd_ioas_unmap(bed->ioas, iova - PAGE, 16 * PAGE, &bytes));
	ck_assert_uint_eq(bytes, 5 * PAGE);
	ck_assert_int_eq(iommufd_ioas_to_iova(bed->ioas, pages, 1, &got), -ENOENT);
	/* The kernel has let go of it too: it can be mapped again there. */
	ok(iommufd_ioas_map(bed->ioas, pages, 8 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_ioas_unmap(bed->ioas, iova, 8 * PAGE, NULL));
}

START_TEST(unmap_takes_whole_mappings_only)
{
	struct bed bed;

	bed_open_device(&bed, EDU);
	unmap_rows(&bed);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	unmap_rows(&bed);
	ok(iommufd_device_detach(bed.dev));
	unmap_rows(&bed);
	bed_close(&bed);
}
END_TEST

START_TEST(unmap_all_counts_the_bytes_and_is_no_failure_when_empty)
{
	uint64_t bytes = 7, iova;
	struct bed bed;

	bed_attach(&bed, EDU);
	ok(iommufd_ioas_unmap_all(bed.ioas, &bytes));
	ck_assert_uint_eq(bytes, 0);
	for (int i = 0; i < 10; i++)
		ok(iommufd_ioas_map(bed.ioas, memory(2 * PAGE), 2 * PAGE, RW, &iova));
	ok(iommufd_ioas_unmap_all(bed.ioas, &bytes));
	ck_assert_uint_eq(bytes, 20 * PAGE);
	ok(iommufd_ioas_unmap_all(bed.ioas, NULL));
	bed_close(&bed);
}
END_TEST

START_TEST(an_overlap_is_refused_and_names_what_is_there)
{
	unsigned char *pages = memory(4 * PAGE);
	uint64_t there = 0x100000, got;
	struct bed bed;

	for (int attached = 0; attached < 2; attached++) {
		bed_open_device(&bed, EDU);
		if (attached)
			ok(iommufd_device_attach(bed.dev, bed.ioas));
		ok(iommufd_ioas_map(bed.ioas, pages, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &there));
		for (uint64_t iova = there - 3 * PAGE; iova <= there + PAGE; iova += PAGE) {
			uint64_t at = iova;

			if (iova + 4 * PAGE <= there)
				continue;
			fails(iommufd_ioas_map(bed.ioas, pages, 4 * PAGE, RW | IOMMUFD_MAP_FIXED, &at), -EEXIST,
			      "0x100000-0x101fff is mapped");
			ck_assert_uint_eq(at, iova);
		}
		ok(iommufd_ioas_to_iova(bed.ioas, pages, 2 * PAGE, &got));
		ck_assert_int_eq(iommufd_ioas_to_iova(bed.ioas, pages, 3 * PAGE, &got), -ENOENT);
		bed_close(&bed);
	}
}
END_TEST

START_TEST(nothing_of_a_device_works_before_the_attach)
{
	struct iommufd_region_info region = { .struct_size = sizeof(region) };
	struct iommufd_irq_info irq = { .struct_size = sizeof(irq) };
	struct bed bed;
	void *bar = NULL;
	uint32_t word = 7;
	int fd = -1;

	bed_open_device(&bed, EDU);
	for (int round = 0; round < 2; round++) {
		fails(iommufd_device_region_info(bed.dev, 0, &region), -ENOTCONN, "attach it");
		fails(iommufd_device_region_read(bed.dev, 0, 0, &word, 4), -ENOTCONN, "attach it");
		fails(iommufd_device_region_write(bed.dev, 0, 0, &word, 4), -ENOTCONN, "attach it");
		fails(iommufd_device_region_map(bed.dev, 0, 0, PAGE, PROT_READ, &bar), -ENOTCONN, "attach it");
		fails(iommufd_device_irq_info(bed.dev, 0, &irq), -ENOTCONN, "attach it");
		fails(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSI, 0, 1, &fd), -ENOTCONN, "attach it");
		fails(iommufd_device_irq_disable(bed.dev, IOMMUFD_PCI_MSI), -ENOTCONN, "attach it");
		fails(iommufd_device_irq_trigger(bed.dev, IOMMUFD_PCI_MSI, 0, 1), -ENOTCONN, "attach it");
		fails(iommufd_device_reset(bed.dev), -ENOTCONN, "attach it");
		fails(iommufd_device_fd(bed.dev), -ENOTCONN, "attach it");
		fails(iommufd_pci_config_read(bed.dev, 0, &word, 4), -ENOTCONN, "attach it");
		fails(iommufd_pci_config_write(bed.dev, 0, &word, 4), -ENOTCONN, "attach it");
		fails(iommufd_pci_set_master(bed.dev, true), -ENOTCONN, "attach it");
		fails(iommufd_device_detach(bed.dev), -ENOTCONN, "nothing to undo");
		/* and the same once it is detached */
		ok(iommufd_device_attach(bed.dev, bed.ioas));
		ok(iommufd_device_region_read(bed.dev, 0, 0, &word, 4));
		ok(iommufd_device_detach(bed.dev));
		word = 7;
	}
	ck_assert_uint_eq(word, 7);
	ck_assert_ptr_null(bar);
	bed_close(&bed);
}
END_TEST

START_TEST(a_group_is_in_one_ioas_at_a_time)
{
	struct iommufd_device *a, *b;
	struct iommufd_ioas *second;
	struct bed bed;

	bed_open(&bed);
	ok(iommufd_ioas_new(bed.ctx, &second));
	ok(iommufd_device_new(bed.ctx, TWIN_A, &a));
	ok(iommufd_device_new(bed.ctx, TWIN_B, &b));
	ok(iommufd_device_attach(a, bed.ioas));
	fails(iommufd_device_attach(b, second), -EBUSY, "another device of IOMMU group");
	ok(iommufd_device_attach(b, bed.ioas));
	ok(iommufd_device_detach(a));
	fails(iommufd_device_attach(a, second), -EBUSY, "another device of IOMMU group");
	ok(iommufd_device_detach(b));
	ok(iommufd_device_attach(a, second));
	ok(iommufd_device_attach(b, second));
	iommufd_device_free(a);
	iommufd_device_free(b);
	iommufd_ioas_free(second);
	bed_close(&bed);
}
END_TEST

START_TEST(a_device_is_attached_once)
{
	struct iommufd_ioas *second;
	struct bed bed, other;

	bed_attach(&bed, EDU);
	ok(iommufd_ioas_new(bed.ctx, &second));
	fails(iommufd_device_attach(bed.dev, bed.ioas), -EBUSY, "detach it first");
	fails(iommufd_device_attach(bed.dev, second), -EBUSY, "detach it first");
	bed_open(&other);
	ok(iommufd_device_detach(bed.dev));
	fails(iommufd_device_attach(bed.dev, other.ioas), -EINVAL, "same context");
	ok(iommufd_device_attach(bed.dev, second));
	iommufd_ioas_free(second);
	bed_close(&other);
	bed_close(&bed);
}
END_TEST

START_TEST(a_device_that_was_left_running_does_not_go_on_in_the_next_ioas)
{
	uint16_t command;
	struct bed bed;

	bed_attach(&bed, EDU);
	for (int i = 0; i < 2; i++) {
		ok(iommufd_pci_config_read(bed.dev, 4, &command, sizeof(command)));
		ck_assert_uint_eq(command & 4, 0);
		ok(iommufd_pci_set_master(bed.dev, true));
		ok(iommufd_pci_config_read(bed.dev, 4, &command, sizeof(command)));
		ck_assert_uint_eq(command & 4, 4);
		ok(iommufd_device_detach(bed.dev));
		ok(iommufd_device_attach(bed.dev, bed.ioas));
	}
	bed_close(&bed);
}
END_TEST

/* The kernel keeps a group in its container as long as somebody holds a device of it, and the device its reach. */
START_TEST(a_copy_of_the_descriptor_does_not_part_index_and_kernel)
{
	unsigned char *page = memory(PAGE);
	uint64_t iova = 0x100000, bytes;
	struct iommufd_ioas *second;
	struct bed bed;
	struct edu edu;
	int copy;

	bed_attach(&bed, EDU);
	ok(iommufd_ioas_map(bed.ioas, page, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	copy = dup(iommufd_device_fd(bed.dev));
	ok(iommufd_device_detach(bed.dev));
	ok(iommufd_ioas_unmap(bed.ioas, iova, PAGE, &bytes));
	ck_assert_uint_eq(bytes, PAGE);
	ok(iommufd_ioas_map(bed.ioas, page, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_ioas_new(bed.ctx, &second));
	/* A node can be detached whoever else has it open. Of a container that iommufd serves nobody is told. */
	if (!vm_path->by_node && !vm_path->compat)
		fails(iommufd_device_attach(bed.dev, second), -EBUSY, "holds a copy of");
	close(copy);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, iova, page, iova + EDU_CHUNK, page + EDU_CHUNK);
	ok(iommufd_ioas_unmap(bed.ioas, iova, PAGE, NULL));
	edu_detach(&edu);
	ok(iommufd_device_attach(bed.dev, second));

	/* The group's last file goes with the copy, and the kernel's mappings with it; the library's do not. */
	ok(iommufd_ioas_map(second, page, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	copy = dup(iommufd_device_fd(bed.dev));
	iommufd_device_free(bed.dev);
	close(copy);
	ok(iommufd_ioas_unmap(second, iova, PAGE, &bytes));
	ck_assert_uint_eq(bytes, PAGE);
	ok(iommufd_ioas_map(second, page, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	ok(iommufd_device_attach(bed.dev, second));
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, iova, page, iova + EDU_CHUNK, page + EDU_CHUNK);

	/* An IOAS that goes takes its mappings along, and nobody new shares the device's container. */
	copy = dup(iommufd_device_fd(bed.dev));
	iommufd_device_free(bed.dev);
	iommufd_ioas_free(second);
	ok(iommufd_ioas_new(bed.ctx, &second));
	ok(iommufd_ioas_map(second, page, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	close(copy);
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	ok(iommufd_device_attach(bed.dev, second));

	/* What is freed meanwhile stays inside as long as it is needed. */
	copy = dup(iommufd_device_fd(bed.dev));
	iommufd_device_free(bed.dev);
	iommufd_ioas_free(second);
	close(copy);
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	bed_close(&bed);
}
END_TEST

/*
 * Containers have one, here a smaller one than usual unless $TEST_MAP_LIMIT says 65535, which takes its time; iommufd
 * has none. One page of memory serves them all.
 */
START_TEST(a_limit_of_mappings_is_named)
{
	unsigned long limit = vm_rounds("TEST_MAP_LIMIT", 2000), n = 0;
	uint64_t iova = UINT64_C(1) << 32, bytes; /* from there on no window is in the way */
	bool container = vm_backend == IOMMUFD_BACKEND_VFIO && !vm_path->compat;
	void *page = memory(PAGE);
	struct bed bed;
	int ret = 0;

	ck_assert(vm_set_map_limit(limit) || !container);
	bed_attach(&bed, EDU);
	for (; n < limit + 500 && !ret; n++, iova += PAGE)
		ret = iommufd_ioas_map(bed.ioas, page, PAGE, IOMMUFD_MAP_READ | IOMMUFD_MAP_FIXED, &iova);
	if (container) {
		fails(ret, -ENOSPC, "dma_entry_limit");
		ck_assert_uint_eq(--n, limit);
	} else {
		ck_assert_int_eq(ret, 0);
	}
	ok(iommufd_ioas_unmap_all(bed.ioas, &bytes));
	ck_assert_uint_eq(bytes, n * PAGE);
	bed_close(&bed);
	vm_set_map_limit(VM_USUAL_MAP_LIMIT);
}
END_TEST

/* Before the first attach, while attached, and after a detach; of the best pages that there are. */
START_TEST(buffers_and_pools_outlive_attaching_and_detaching)
{
	struct iommufd_dma_opts opts = { .struct_size = sizeof(opts) };
	struct iommufd_dma buf, one, another;
	struct iommufd_pool *pool;
	struct bed bed;
	struct edu edu;

	bed_open_device(&bed, EDU);
	ok(iommufd_dma_alloc_opts(bed.ioas, 2 << 20, RW | IOMMUFD_DMA_BEST, &opts, &buf));
	ok(iommufd_pool_new(bed.ioas, PAGE, RW, &opts, &pool));
	ok(iommufd_pool_get(pool, &one));
	for (int i = 0; i < 2; i++) {
		ok(iommufd_device_attach(bed.dev, bed.ioas));
		edu_setup(&edu, bed.dev);
		edu_copy_works(&edu, one.iova, one.vaddr, buf.iova, buf.vaddr);
		for (int more = 0; more < 20; more++)
			ok(iommufd_pool_get(pool, &another));
		edu_copy_works(&edu, another.iova, another.vaddr, one.iova, one.vaddr);
		ok(iommufd_pool_put(pool, another.vaddr));
		edu_detach(&edu);
	}
	iommufd_pool_free(pool);
	iommufd_dma_free(bed.ioas, &buf);
	bed_close(&bed);
}
END_TEST

void add_contract_tests(TCase *tc)
{
	tcase_add_test(tc, buffers_and_pools_outlive_attaching_and_detaching);
	tcase_add_test(tc, a_map_before_the_first_attach_is_there_after_it);
	tcase_add_test(tc, a_map_after_the_last_detach_is_there_at_the_next_attach);
	tcase_add_test(tc, an_attach_that_fails_names_the_mapping_and_changes_nothing);
	tcase_add_test(tc, an_attach_finds_memory_that_has_gone);
	tcase_add_test(tc, unmap_takes_whole_mappings_only);
	tcase_add_test(tc, unmap_all_counts_the_bytes_and_is_no_failure_when_empty);
	tcase_add_test(tc, an_overlap_is_refused_and_names_what_is_there);
	tcase_add_test(tc, nothing_of_a_device_works_before_the_attach);
	tcase_add_test(tc, a_group_is_in_one_ioas_at_a_time);
	tcase_add_test(tc, a_device_is_attached_once);
	tcase_add_test(tc, a_device_that_was_left_running_does_not_go_on_in_the_next_ioas);
	tcase_add_test(tc, a_copy_of_the_descriptor_does_not_part_index_and_kernel);
	tcase_add_test(tc, a_limit_of_mappings_is_named);
}
