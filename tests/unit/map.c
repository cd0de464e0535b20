/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Mapping and unmapping when the kernel refuses: afterwards it and the index agree on what is mapped. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define RW    (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)
#define BASE  UINT64_C(0x100000)
#define SLOTS 16

static const struct {
	uint32_t backend;
	unsigned long map, unmap;
} backends[] = {
	{ IOMMUFD_BACKEND_IOMMUFD, IOMMU_IOAS_MAP, IOMMU_IOAS_UNMAP },
	{ IOMMUFD_BACKEND_VFIO, VFIO_IOMMU_MAP_DMA, VFIO_IOMMU_UNMAP_DMA },
};

#define BACKENDS (sizeof(backends) / sizeof(backends[0]))

static struct scene scene;
static unsigned long map_request, unmap_request;

static void open_attached(size_t i)
{
	scene_open(&scene, backends[i].backend);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	map_request = backends[i].map;
	unmap_request = backends[i].unmap;
}

static bool translates(uint64_t iova)
{
	uint64_t back = 0;
	void *vaddr;

	if (iommufd_ioas_to_vaddr(scene.ioas, iova, 1, &vaddr))
		return false;
	ck_assert_ptr_eq(vaddr, scene_memory(iova / SCENE_PAGE));
	ck_assert_int_eq(iommufd_ioas_to_iova(scene.ioas, vaddr, 1, &back), 0);
	ck_assert_uint_eq(back, iova);
	return true;
}

START_TEST(a_map_that_the_kernel_refuses_leaves_its_place_free)
{
	static const int errs[] = { -ENOMEM, -EFAULT, -EEXIST, -EINVAL, -EPERM };
	uint64_t fixed = BASE, any = 1;

	for (size_t b = 0; b < BACKENDS; b++) {
		open_attached(b);
		for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
			inject_ioctl_fail(map_request, 1, 2, errs[i]);
			unit_fails(errs[i], iommufd_ioas_map(scene.ioas, scene_memory(0), SCENE_PAGE, RW, &any));
			unit_fails(errs[i], iommufd_ioas_map(scene.ioas, scene_memory(0), SCENE_PAGE,
							     RW | IOMMUFD_MAP_FIXED, &fixed));
			unit_words_have("0x100000");
			ck_assert_uint_eq(any, 1);
			ck_assert_uint_eq(fixed, BASE);
			ck_assert_uint_eq(ifd_index_bytes(&scene.ioas->index), 0);
			ck_assert(!translates(BASE));
		}
		scene_map(&scene, BASE, 1);
		scene_close(&scene);
	}
}
END_TEST

START_TEST(a_refusal_for_lack_of_memory_tells_the_need_the_limit_and_how_it_is_counted)
{
	uint64_t iova;

	for (size_t b = 0; b < BACKENDS; b++) {
		open_attached(b);
		inject_ioctl_fail(map_request, 1, 2, -ENOMEM);
		inject_fail(INJECT_READ_TEXT, 1, -EIO); /* so that it cannot tell that it has CAP_IPC_LOCK */
		unit_fails(-ENOMEM, iommufd_ioas_map(scene.ioas, scene_memory(0), 5 * SCENE_PAGE, RW, &iova));
		unit_words_have("20480");
		if (ifd_sys_memlock_limit() != UINT64_MAX) {
			char limit[32];

			snprintf(limit, sizeof(limit), "%llu", (unsigned long long)ifd_sys_memlock_limit());
			unit_words_have(limit);
			unit_words_have(b ? "per process" : "per user");
			unit_words_have("ulimit -l");
		}
		scene_close(&scene);
	}
}
END_TEST

/* ---- Unmapping: the kernel's side, as far as a test has to follow it ---- */

static bool kernel_has[SLOTS]; /* pages from BASE on */
static uint64_t stubborn;      /* bits: pages that the kernel will not unmap */
static int refusal;
static int refuse_runs; /* what an unmap of more than one page gives, 0 for none */

static int kernel_map(uint64_t iova, uint64_t len)
{
	for (uint64_t at = iova; at < iova + len; at += SCENE_PAGE)
		kernel_has[(at - BASE) / SCENE_PAGE] = true;
	return 0;
}

/* As iommufd does it: those before the one that fails are gone, and nothing is said of them. */
static int kernel_unmap(uint64_t iova, uint64_t *len)
{
	uint64_t bytes = 0;

	if (*len > SCENE_PAGE && refuse_runs)
		return refuse_runs;
	for (uint64_t slot = (iova - BASE) / SCENE_PAGE; slot < (iova - BASE + *len) / SCENE_PAGE; slot++) {
		if (stubborn >> slot & 1)
			return refusal;
		bytes += kernel_has[slot] ? SCENE_PAGE : 0;
		kernel_has[slot] = false;
	}
	*len = bytes;
	return bytes || map_request == VFIO_IOMMU_MAP_DMA ? 0 : -ENOENT;
}

static int answer_map(int fd, void *arg)
{
	(void)fd;
	if (map_request == VFIO_IOMMU_MAP_DMA)
		return kernel_map(((struct vfio_iommu_type1_dma_map *)arg)->iova,
				  ((struct vfio_iommu_type1_dma_map *)arg)->size);
	return kernel_map(((struct iommu_ioas_map *)arg)->iova, ((struct iommu_ioas_map *)arg)->length);
}

static int answer_unmap(int fd, void *arg)
{
	struct vfio_iommu_type1_dma_unmap *vfio = arg;
	struct iommu_ioas_unmap *iommufd = arg;
	uint64_t len = map_request == VFIO_IOMMU_MAP_DMA ? vfio->size : iommufd->length;
	int ret = kernel_unmap(map_request == VFIO_IOMMU_MAP_DMA ? vfio->iova : iommufd->iova, &len);

	(void)fd;
	if (!ret && map_request == VFIO_IOMMU_MAP_DMA)
		vfio->size = len;
	else if (!ret)
		iommufd->length = len;
	return ret;
}

/* Every second slot from 8 on, and all before: a run of eight, and four single pages. */
static void map_slots(size_t backend)
{
	open_attached(backend);
	inject_ioctl(map_request, answer_map);
	inject_ioctl(unmap_request, answer_unmap);
	memset(kernel_has, 0, sizeof(kernel_has));
	stubborn = 0;
	refusal = 0;
	refuse_runs = 0;
	for (uint64_t slot = 0; slot < SLOTS; slot += slot < 8 ? 1 : 2)
		scene_map(&scene, BASE + slot * SCENE_PAGE, 1);
}

static void check_agreement(uint64_t expected)
{
	uint64_t bytes = 0;

	for (uint64_t slot = 0; slot < SLOTS; slot++) {
		bool mapped = translates(BASE + slot * SCENE_PAGE);

		ck_assert_msg(mapped == kernel_has[slot], "page %u: the index has it %d, the kernel %d",
			      (unsigned int)slot, mapped, kernel_has[slot]);
		ck_assert_msg(mapped == (expected >> slot & 1), "page %u is mapped: %d", (unsigned int)slot, mapped);
		bytes += mapped ? SCENE_PAGE : 0;
	}
	ck_assert_uint_eq(ifd_index_bytes(&scene.ioas->index), bytes);
}

START_TEST(an_unmap_over_holes_takes_all_and_counts_them)
{
	uint64_t bytes;

	for (size_t b = 0; b < BACKENDS; b++) {
		map_slots(b);
		check_agreement(0x55ff);
		ck_assert_int_eq(iommufd_ioas_unmap(scene.ioas, BASE + 4 * SCENE_PAGE, 6 * SCENE_PAGE, &bytes), 0);
		ck_assert_uint_eq(bytes, 5 * SCENE_PAGE);
		check_agreement(0x540f);
		ck_assert_int_eq(iommufd_ioas_unmap_all(scene.ioas, &bytes), 0);
		ck_assert_uint_eq(bytes, 7 * SCENE_PAGE);
		check_agreement(0);
		scene_close(&scene);
	}
}
END_TEST

START_TEST(after_a_run_of_which_some_stay_kernel_and_index_agree)
{
	uint64_t bytes = 7;

	for (size_t b = 0; b < BACKENDS; b++) {
		map_slots(b);
		stubborn = 1 << 2 | 1 << 5 | 1 << 10;
		refusal = -EBUSY;
		unit_fails(-EBUSY, iommufd_ioas_unmap_all(scene.ioas, &bytes));
		ck_assert_uint_eq(bytes, 7);
		check_agreement(stubborn);

		stubborn = 1 << 5;
		unit_fails(-EBUSY, iommufd_ioas_unmap(scene.ioas, BASE, SLOTS * SCENE_PAGE, &bytes));
		ck_assert_uint_eq(bytes, 7);
		check_agreement(stubborn);
		stubborn = 0;
		ck_assert_int_eq(iommufd_ioas_unmap(scene.ioas, BASE, SLOTS * SCENE_PAGE, &bytes), 0);
		ck_assert_uint_eq(bytes, SCENE_PAGE);
		check_agreement(0);
		bytes = 7;
		scene_close(&scene);
	}
}
END_TEST

START_TEST(what_the_kernel_has_lost_by_itself_is_not_kept)
{
	for (size_t b = 0; b < BACKENDS; b++) {
		map_slots(b);
		for (size_t slot = 0; slot < SLOTS; slot += 3)
			kernel_has[slot] = false; /* behind the library's back */
		stubborn = 1 << 4;
		refusal = -EBUSY;
		unit_fails(-EBUSY, iommufd_ioas_unmap(scene.ioas, BASE, 8 * SCENE_PAGE, NULL));
		for (size_t slot = 0; slot < 8; slot++)
			ck_assert_int_eq(translates(BASE + slot * SCENE_PAGE), slot == 4);
		stubborn = 0;
		scene_close(&scene);
	}
}
END_TEST

/* A run is refused as a whole, and its pages are not, or for another reason; and then there is a second such run. */
START_TEST(the_words_of_an_unmap_that_was_sorted_out_fit_the_errno)
{
	static const uint64_t stays[] = { 1 << 2, 1 << 11, 1 << 2 | 1 << 11 };

	for (size_t b = 0; b < BACKENDS; b++)
		for (size_t i = 0; i < sizeof(stays) / sizeof(stays[0]); i++) {
			int ret;

			map_slots(b);
			scene_map(&scene, BASE + 11 * SCENE_PAGE, 1);
			refuse_runs = -EIO;
			stubborn = stays[i];
			refusal = -EBUSY;
			unit_stale_words();
			ret = iommufd_ioas_unmap_all(scene.ioas, NULL);
			ck_assert_msg(ret == -EIO || ret == -EBUSY, "%d", ret);
			unit_check_words(ret);
			check_agreement(stubborn);
			stubborn = 0;
			refuse_runs = 0;
			scene_close(&scene);
		}
}
END_TEST

START_TEST(an_unmap_whose_mappings_go_one_by_one_is_no_failure)
{
	uint64_t bytes;

	for (size_t b = 0; b < BACKENDS; b++) {
		map_slots(b);
		refuse_runs = -EBUSY;
		ck_assert_int_eq(iommufd_ioas_unmap(scene.ioas, BASE, 4 * SCENE_PAGE, &bytes), 0);
		ck_assert_uint_eq(bytes, 4 * SCENE_PAGE);
		ck_assert(!translates(BASE));
		refuse_runs = 0;
		scene_close(&scene);
	}
}
END_TEST

static int counts_wrong(int fd, void *arg)
{
	(void)fd;
	((struct iommu_ioas_unmap *)arg)->length = 1;
	return 0;
}

START_TEST(a_count_of_the_kernel_that_is_wrong_is_not_passed_on)
{
	uint64_t bytes;

	open_attached(0);
	inject_ioctl(IOMMU_IOAS_UNMAP, counts_wrong);
	scene_map(&scene, BASE, 4);
	ck_assert_int_eq(iommufd_ioas_unmap(scene.ioas, BASE, 4 * SCENE_PAGE, &bytes), 0);
	ck_assert_uint_eq(bytes, 4 * SCENE_PAGE);
	ck_assert_int_eq(iommufd_ioas_unmap_all(scene.ioas, &bytes), 0);
	ck_assert_uint_eq(bytes, 0);
	scene_close(&scene);
}
END_TEST

START_TEST(what_the_index_refuses_does_not_reach_the_kernel)
{
	uint64_t iova = BASE;

	for (size_t b = 0; b < BACKENDS; b++) {
		open_attached(b);
		scene_map(&scene, BASE, 2);
		unit_fails(-EEXIST,
			   iommufd_ioas_map(scene.ioas, scene_memory(0), SCENE_PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
		unit_words_have("0x100000-0x101fff is mapped");
		unit_fails(-EINVAL, iommufd_ioas_unmap(scene.ioas, BASE, SCENE_PAGE, NULL));
		unit_words_have("0x100000-0x101fff");
		unit_fails(-ENOENT, iommufd_ioas_unmap(scene.ioas, 2 * BASE, SCENE_PAGE, NULL));
		ck_assert_uint_eq(inject_ioctls(map_request), 1);
		ck_assert_uint_eq(inject_ioctls(unmap_request), 0);
		scene_close(&scene);
	}
}
END_TEST

/* ---- Buffers ---- */

START_TEST(a_batch_is_taken_back_wherever_it_fails)
{
	struct iommufd_map maps[5];
	uint64_t iova;

	open_attached((size_t)_i);
	for (unsigned int nth = 1; nth <= 5; nth++) {
		unsigned int unmapped = inject_ioctls(unmap_request);

		for (unsigned int i = 0; i < 5; i++)
			maps[i] = (struct iommufd_map){ scene_memory(2 * i), SCENE_PAGE, 42, IOMMUFD_MAP_READ, 0 };
		inject_ioctl_fail(map_request, nth, 1, -EFAULT);
		unit_fails(-EFAULT, iommufd_ioas_map_batch(scene.ioas, maps, 5, NULL));
		ck_assert_uint_eq(ifd_index_count(&scene.ioas->index), 0);
		ck_assert_uint_eq(inject_ioctls(unmap_request) - unmapped, nth - 1);
		for (unsigned int i = 0; i < 5; i++)
			ck_assert_uint_eq(maps[i].iova, 42);
	}
	unit_words_have("map 4 of a batch of 5");

	/* One of those before it cannot be unmapped again: index and kernel go on agreeing. */
	inject_ioctl_fail(map_request, 3, 1, -EFAULT);
	inject_ioctl_fail(unmap_request, 2, 1, -EBUSY);
	unit_fails(-EFAULT, iommufd_ioas_map_batch(scene.ioas, maps, 5, NULL));
	ck_assert_uint_eq(ifd_index_count(&scene.ioas->index), 1);
	ck_assert_int_eq(iommufd_ioas_to_iova(scene.ioas, scene_memory(2), 1, &iova), 0);
	ck_assert_int_eq(iommufd_ioas_map_batch(scene.ioas, maps, 5, NULL), 0);
	scene_close(&scene);
}
END_TEST

START_TEST(a_buffer_that_cannot_be_had_leaves_nothing)
{
	static const enum inject_call calls[] = { INJECT_MMAP, INJECT_MPROTECT, INJECT_MADVISE, INJECT_IOCTL,
						  INJECT_MEMORY };
	struct iommufd_dma_opts opts = { .struct_size = sizeof(opts), .reserved = 1 };
	struct iommufd_dma dma = { (void *)1, 2, 3, 4 };

	for (size_t b = 0; b < BACKENDS; b++) {
		open_attached(b);
		for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
			inject_fail(calls[i], 1, -ENOMEM);
			unit_fails(-ENOMEM, iommufd_dma_alloc(scene.ioas, 100, RW, &dma));
			ck_assert(inject_failed());
			ck_assert(dma.vaddr == (void *)1 && dma.iova == 2 && dma.len == 3);
			ck_assert_uint_eq(inject_mapped(), SCENE_MAPPED);
			ck_assert_uint_eq(ifd_index_bytes(&scene.ioas->index), 0);
		}
		unit_fails(-EINVAL, iommufd_dma_alloc(scene.ioas, 0, RW, &dma));
		unit_fails(-EINVAL, iommufd_dma_alloc(scene.ioas, 100, 0, &dma));
		unit_fails(-EINVAL, iommufd_dma_alloc(scene.ioas, 100, RW | IOMMUFD_MAP_FIXED, &dma));
		unit_fails(-EOVERFLOW, iommufd_dma_alloc(scene.ioas, SIZE_MAX - 100, RW, &dma));
		unit_fails(-EINVAL, iommufd_dma_alloc_opts(scene.ioas, 100, RW, &opts, &dma));
		opts.struct_size = 4;
		unit_fails(-EINVAL, iommufd_dma_alloc_opts(scene.ioas, 100, RW, &opts, &dma));
		ck_assert_uint_eq(inject_mapped(), SCENE_MAPPED);
		scene_close(&scene);
	}
}
END_TEST

START_TEST(a_buffer_is_where_its_options_want_it)
{
	struct iommufd_dma_opts opts = { .struct_size = sizeof(opts), .window = { 0x200000, 0x2fffff } };
	struct iommufd_dma dma[3] = { { .len = 0 } };
	unsigned int tried;

	open_attached(0);
	ck_assert_int_eq(iommufd_dma_alloc_opts(scene.ioas, 1, RW | IOMMUFD_MAP_ALIGN(19), &opts, &dma[0]), 0);
	ck_assert_int_eq(iommufd_dma_alloc_opts(scene.ioas, 1, RW | IOMMUFD_MAP_ALIGN(19), &opts, &dma[1]), 0);
	ck_assert_uint_eq(dma[0].iova, 0x200000);
	ck_assert_uint_eq(dma[1].iova, 0x280000);
	unit_fails(-ENOSPC, iommufd_dma_alloc_opts(scene.ioas, 1, RW | IOMMUFD_MAP_ALIGN(19), &opts, &dma[2]));
	ck_assert_uint_eq(dma[2].len, 0);
	opts.window = (struct iommufd_range){ 2, 1 };
	tried = inject_count(INJECT_MMAP);
	unit_fails(-EINVAL, iommufd_dma_alloc_opts(scene.ioas, 1, RW, &opts, &dma[2]));
	opts.window = (struct iommufd_range){ 0x200000, 0 };
	unit_fails(-EINVAL, iommufd_dma_alloc_opts(scene.ioas, 1, RW, &opts, &dma[2]));
	ck_assert_uint_eq(inject_count(INJECT_MMAP), tried); /* no memory was got for that */
	ck_assert_uint_eq(inject_mapped(), SCENE_MAPPED + 2 * SCENE_PAGE);
	opts.window = (struct iommufd_range){ 0, 0 };
	ck_assert_int_eq(iommufd_dma_alloc_opts(scene.ioas, 1, RW | IOMMUFD_MAP_ALIGN(30), &opts, &dma[2]), 0);
	ck_assert_uint_eq(dma[2].iova % (1 << 30), 0);
	for (int i = 0; i < 3; i++)
		iommufd_dma_free(scene.ioas, &dma[i]);
	scene_close(&scene);
}
END_TEST

START_TEST(a_buffer_that_the_kernel_will_not_unmap_is_lost_rather_than_given_back)
{
	struct iommufd_dma dma, copy;

	open_attached(0);
	ck_assert_int_eq(iommufd_dma_alloc(scene.ioas, 100, RW, &dma), 0);
	ck_assert_uint_eq(dma.len, SCENE_PAGE);
	copy = dma;
	inject_ioctl_fail(unmap_request, 1, 2, -EBUSY);
	unit_stale_words();
	iommufd_dma_free(scene.ioas, &dma);
	ck_assert(unit_words_are_stale()); /* who cleans up still has those of what went wrong */
	ck_assert_uint_eq(dma.len, 0);
	ck_assert_uint_eq(inject_mapped(), SCENE_MAPPED + SCENE_PAGE); /* a device may still write to it */
	memset(copy.vaddr, 1, copy.len);
	iommufd_dma_free(scene.ioas, &dma);
	iommufd_dma_free(scene.ioas, NULL);
	iommufd_dma_free(scene.ioas, &copy);
	ck_assert_uint_eq(inject_mapped(), SCENE_MAPPED);
	scene_close(&scene);
}
END_TEST

/* By unmap_all(), which must not be: then nothing of anybody else goes, and no memory is lost. */
START_TEST(a_buffer_that_was_unmapped_already_gives_its_memory_back)
{
	struct iommufd_dma dma[3], other;

	for (size_t b = 0; b < BACKENDS; b++) {
		open_attached(b);
		for (int i = 0; i < 3; i++)
			ck_assert_int_eq(iommufd_dma_alloc(scene.ioas, SCENE_PAGE, RW, &dma[i]), 0);
		ck_assert_int_eq(iommufd_ioas_unmap_all(scene.ioas, NULL), 0);
		ck_assert_int_eq(iommufd_dma_alloc(scene.ioas, SCENE_PAGE, RW, &other), 0);
		ck_assert_uint_eq(other.iova, dma[0].iova);
		for (int i = 0; i < 3; i++)
			iommufd_dma_free(scene.ioas, &dma[i]);
		ck_assert_uint_eq(inject_mapped(), SCENE_MAPPED + SCENE_PAGE);
		ck_assert_uint_eq(ifd_index_bytes(&scene.ioas->index), SCENE_PAGE);
		iommufd_dma_free(scene.ioas, &other);
		ck_assert_uint_eq(inject_mapped(), SCENE_MAPPED);
		scene_close(&scene);
	}
}
END_TEST

START_TEST(a_buffer_has_the_alignment_of_an_iommu_with_pages_larger_than_the_cpus)
{
	struct iommufd_dma dma[8];

	open_attached(0);
	scene.ioas->alignment = 0x10000;
	for (size_t i = 0; i < 8; i++) {
		ck_assert_int_eq(iommufd_dma_alloc(scene.ioas, 1, RW, &dma[i]), 0);
		ck_assert_uint_eq((uintptr_t)dma[i].vaddr % 0x10000, 0);
		ck_assert_uint_eq(dma[i].len, 0x10000);
	}
	for (size_t i = 0; i < 8; i++)
		iommufd_dma_free(scene.ioas, &dma[i]);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_map_that_the_kernel_refuses_leaves_its_place_free);
	tcase_add_test(tcase, a_refusal_for_lack_of_memory_tells_the_need_the_limit_and_how_it_is_counted);
	tcase_add_test(tcase, an_unmap_over_holes_takes_all_and_counts_them);
	tcase_add_test(tcase, after_a_run_of_which_some_stay_kernel_and_index_agree);
	tcase_add_test(tcase, what_the_kernel_has_lost_by_itself_is_not_kept);
	tcase_add_test(tcase, the_words_of_an_unmap_that_was_sorted_out_fit_the_errno);
	tcase_add_test(tcase, an_unmap_whose_mappings_go_one_by_one_is_no_failure);
	tcase_add_test(tcase, a_count_of_the_kernel_that_is_wrong_is_not_passed_on);
	tcase_add_test(tcase, what_the_index_refuses_does_not_reach_the_kernel);
	tcase_add_loop_test(tcase, a_batch_is_taken_back_wherever_it_fails, 0, BACKENDS);
	tcase_add_test(tcase, a_buffer_that_cannot_be_had_leaves_nothing);
	tcase_add_test(tcase, a_buffer_is_where_its_options_want_it);
	tcase_add_test(tcase, a_buffer_that_the_kernel_will_not_unmap_is_lost_rather_than_given_back);
	tcase_add_test(tcase, a_buffer_that_was_unmapped_already_gives_its_memory_back);
	tcase_add_test(tcase, a_buffer_has_the_alignment_of_an_iommu_with_pages_larger_than_the_cpus);
}
