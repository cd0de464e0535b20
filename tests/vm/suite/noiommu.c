/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Devices that VFIO runs without an IOMMU: refused, unless the program insists; then by physical addresses. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm.h"

static char heard[4096];

static void hear(void *data, int level, const char *message)
{
	(void)data;
	if (level <= IOMMUFD_LOG_WARN && strlen(heard) + strlen(message) + 2 < sizeof(heard))
		sprintf(heard + strlen(heard), "%s\n", message);
}

static void insist(struct bed *bed)
{
	struct iommufd_ctx_opts opts = {
		.struct_size = sizeof(opts),
		.backend = vm_backend,
		.flags = IOMMUFD_CTX_NOIOMMU,
		.log_level = IOMMUFD_LOG_WARN,
		.log = hear,
	};

	*bed = (struct bed){ .ctx = NULL };
	heard[0] = '\0';
	ok(iommufd_ctx_new(&opts, &bed->ctx));
	ok(iommufd_ioas_new(bed->ctx, &bed->ioas));
}

static void insist_on_edu(struct bed *bed)
{
	insist(bed);
	ok(iommufd_device_new(bed->ctx, EDU, &bed->dev));
}

START_TEST(a_device_without_an_iommu_is_refused)
{
	int fds = open_fds();
	struct bed bed;

	bed_open(&bed);
	fails(iommufd_device_new(bed.ctx, EDU, &bed.dev), -EOPNOTSUPP, "switch the IOMMU on");
	fails(iommufd_device_new(bed.ctx, EDU, &bed.dev), -EOPNOTSUPP, "IOMMUFD_CTX_NOIOMMU");
	vm_finds(EDU, "iommu", -EOPNOTSUPP, "IOMMUFD_CTX_NOIOMMU");
	ck_assert_ptr_null(bed.dev);
	bed_close(&bed);
	ck_assert_int_eq(open_fds(), fds);
}
END_TEST

START_TEST(who_insists_hears_and_reads_that_it_is_unsafe)
{
	struct iommufd_report_info summary = { .struct_size = sizeof(summary) };
	struct iommufd_found_info info = { .struct_size = sizeof(info) };
	struct iommufd_report *report;
	struct bed bed;
	bool seen = false;

	insist_on_edu(&bed);
	ck_assert_ptr_nonnull(strstr(heard, EDU " runs without an IOMMU, which is UNSAFE"));
	bed_close(&bed);

	ok(iommufd_probe(&report));
	ok(iommufd_report_get_info(report, &summary));
	for (uint32_t i = 0; i < summary.devices; i++) {
		ok(iommufd_report_device(report, i, &info));
		if (strcmp(info.name, EDU) != 0)
			continue;
		ck_assert_uint_eq(info.flags, IOMMUFD_FOUND_VFIO | IOMMUFD_FOUND_NOIOMMU);
		seen = true;
	}
	ck_assert(seen);
	iommufd_report_free(report);
}
END_TEST

/*
 * The device moves the start of every page of a buffer to the end of the same page, by the addresses that it was told.
 */
static void dma_by_segments(struct bed *bed, unsigned char *buf, size_t len)
{
	struct iommufd_segment runs[64];
	struct iovec iov = { buf, len };
	uint64_t sum = 0;
	struct edu edu;
	int n;

	n = ok(iommufd_ioas_to_iovas(bed->ioas, &iov, 1, runs, 64));
	ck_assert(n >= 1 && n <= (int)(len / PAGE));
	edu_setup(&edu, bed->dev);
	for (int i = 0; i < n; i++) {
		unsigned char *at = buf + sum;

		edu_copy_works(&edu, runs[i].addr, at, runs[i].addr + runs[i].len - EDU_CHUNK,
			       at + runs[i].len - EDU_CHUNK);
		sum += runs[i].len;
	}
	edu_unmap(&edu);
	ck_assert_uint_eq(sum, len);
}

START_TEST(a_device_without_an_iommu_moves_data_by_physical_addresses)
{
	unsigned char *before = memory(16 * PAGE), *after = memory(16 * PAGE);
	struct iommufd_segment run;
	uint64_t iova;
	struct bed bed;

	insist_on_edu(&bed);
	ok(iommufd_ioas_map(bed.ioas, before, 16 * PAGE, RW, &iova));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ok(iommufd_ioas_map(bed.ioas, after, 16 * PAGE, RW, &iova));
	dma_by_segments(&bed, before, 16 * PAGE);
	dma_by_segments(&bed, after, 16 * PAGE);

	/* The end of a page, and nothing but what is mapped. */
	ck_assert_int_eq(iommufd_ioas_to_iovas(bed.ioas, &(struct iovec){ before + 100, PAGE - 100 }, 1, &run, 1), 1);
	ck_assert_uint_eq(run.len, PAGE - 100);
	ck_assert_uint_eq(run.addr % PAGE, 100);
	ok(iommufd_ioas_unmap(bed.ioas, iova, 16 * PAGE, NULL));
	ck_assert_int_eq(iommufd_ioas_to_iovas(bed.ioas, &(struct iovec){ after, 1 }, 1, &run, 1), -ENOENT);
	ok(iommufd_device_detach(bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	dma_by_segments(&bed, before, 16 * PAGE);
	bed_close(&bed);
}
END_TEST

START_TEST(memory_that_is_gone_has_no_physical_address)
{
	unsigned char *pages = memory(2 * PAGE);
	struct iommufd_segment run;
	uint64_t iova;
	struct bed bed;
	int ret;

	insist_on_edu(&bed);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ok(iommufd_ioas_map(bed.ioas, pages, 2 * PAGE, RW, &iova));
	ck_assert_int_eq(munmap(pages + PAGE, PAGE), 0);
	ret = iommufd_ioas_to_iovas(bed.ioas, &(struct iovec){ pages + PAGE, 1 }, 1, &run, 1);
	if (vm_path->by_node) /* the kernel has pinned it */
		ck_assert_int_eq(ret, 1);
	else
		fails(ret, -EFAULT, "unmap memory from the IOAS before freeing it");
	ck_assert_int_eq(iommufd_ioas_to_iovas(bed.ioas, &(struct iovec){ pages, PAGE }, 1, &run, 1), 1);
	bed_close(&bed);
}
END_TEST

/* How many KiB of this process are locked. */
static unsigned long locked(void)
{
	char line[256];
	unsigned long kib = 0;
	FILE *status = fopen("/proc/self/status", "re");

	ck_assert_ptr_nonnull(status);
	while (fgets(line, sizeof(line), status))
		sscanf(line, "VmLck: %lu kB", &kib);
	fclose(status);
	return kib;
}

START_TEST(memory_stays_in_its_place_as_long_as_a_device_needs_it)
{
	unsigned char *pages = memory(8 * PAGE);
	bool by_kernel;
	uint64_t first, second;
	struct bed bed;

	insist_on_edu(&bed);
	ok(iommufd_ioas_map(bed.ioas, pages, 8 * PAGE, RW, &first));
	ck_assert_uint_eq(locked(), 0);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	by_kernel = vm_path->by_node;
	ck_assert_uint_eq(locked(), by_kernel ? 0 : 32);
	/* The same memory a second time: one of the two goes, and it stays. */
	ok(iommufd_ioas_map(bed.ioas, pages, 8 * PAGE, RW, &second));
	ok(iommufd_ioas_unmap(bed.ioas, first, 8 * PAGE, NULL));
	ck_assert_uint_eq(locked(), by_kernel ? 0 : 32);
	ok(iommufd_ioas_unmap(bed.ioas, second, 8 * PAGE, NULL));
	ck_assert_uint_eq(locked(), 0);
	ok(iommufd_ioas_map(bed.ioas, pages, 8 * PAGE, RW, &first));
	ok(iommufd_device_detach(bed.dev));
	ck_assert_uint_eq(locked(), 0);
	bed_close(&bed);
}
END_TEST

static uint64_t map_pages(struct iommufd_ioas *ioas, unsigned char *pages, unsigned int first, unsigned int count)
{
	uint64_t iova;

	ok(iommufd_ioas_map(ioas, pages + (size_t)first * PAGE, (size_t)count * PAGE, RW, &iova));
	return iova;
}

static void check_locked(unsigned int pages)
{
	ck_assert_uint_eq(locked(), vm_path->by_node ? 0 : pages * (PAGE / 1024));
}

/* A context with two address spaces, each with a device. */
struct two {
	struct bed bed;
	struct iommufd_ioas *ioas;
	struct iommufd_device *dev;
};

static void open_two(struct two *two)
{
	insist_on_edu(&two->bed);
	ok(iommufd_device_attach(two->bed.dev, two->bed.ioas));
	ok(iommufd_ioas_new(two->bed.ctx, &two->ioas));
	ok(iommufd_device_new(two->bed.ctx, NVME, &two->dev));
}

static void close_two(struct two *two)
{
	iommufd_device_free(two->dev);
	iommufd_ioas_free(two->ioas);
	bed_close(&two->bed);
	ck_assert_uint_eq(locked(), 0);
}

START_TEST(memory_in_two_address_spaces_stays_until_both_have_unmapped_it)
{
	unsigned char *pages = memory(16 * PAGE);
	uint64_t first, second;
	struct two two;

	open_two(&two);
	first = map_pages(two.bed.ioas, pages, 0, 8);
	second = map_pages(two.ioas, pages, 0, 8);
	ok(iommufd_device_attach(two.dev, two.ioas));
	check_locked(8);
	ok(iommufd_ioas_unmap(two.bed.ioas, first, 8 * PAGE, NULL));
	check_locked(8);
	dma_by_segments(&(struct bed){ .dev = two.bed.dev, .ioas = two.ioas }, pages, 8 * PAGE);
	first = map_pages(two.bed.ioas, pages, 0, 8);
	ok(iommufd_ioas_unmap_all(two.ioas, NULL));
	check_locked(8);
	second = map_pages(two.ioas, pages, 0, 8);
	ok(iommufd_device_detach(two.dev));
	check_locked(8);
	ok(iommufd_ioas_unmap(two.bed.ioas, first, 8 * PAGE, NULL));
	check_locked(0);
	/* Attached again, it is one of the two again. */
	ok(iommufd_device_attach(two.dev, two.ioas));
	check_locked(8);
	ok(iommufd_ioas_unmap(two.ioas, second, 8 * PAGE, NULL));
	check_locked(0);
	close_two(&two);
}
END_TEST

START_TEST(of_mappings_that_overlap_the_common_pages_stay)
{
	unsigned char *pages = memory(16 * PAGE);
	uint64_t all, low, high, far;
	struct two two;

	open_two(&two);
	ok(iommufd_device_attach(two.dev, two.ioas));
	low = map_pages(two.bed.ioas, pages, 0, 8);
	high = map_pages(two.ioas, pages, 4, 8);
	check_locked(12);
	ok(iommufd_ioas_unmap(two.bed.ioas, low, 8 * PAGE, NULL)); /* 4 to 11 stay */
	check_locked(8);
	all = map_pages(two.bed.ioas, pages, 0, 16);
	low = map_pages(two.bed.ioas, pages, 1, 2);
	far = map_pages(two.ioas, pages, 13, 3);
	check_locked(16);
	ok(iommufd_ioas_unmap(two.bed.ioas, all, 16 * PAGE, NULL)); /* 1, 2, 4 to 11, 13 to 15 */
	check_locked(13);
	ok(iommufd_device_detach(two.dev)); /* 1, 2 */
	check_locked(2);
	ok(iommufd_device_attach(two.dev, two.ioas));
	check_locked(13);
	ok(iommufd_ioas_unmap(two.ioas, high, 8 * PAGE, NULL));
	check_locked(5);
	ok(iommufd_ioas_unmap(two.bed.ioas, low, 2 * PAGE, NULL));
	check_locked(3);
	ok(iommufd_ioas_unmap(two.ioas, far, 3 * PAGE, NULL));
	check_locked(0);
	close_two(&two);
}
END_TEST

#define COMPACTS   "/proc/sys/vm/compact_unevictable_allowed"
#define MAKES_HUGE "/sys/kernel/mm/transparent_hugepage/enabled"

static void set(const char *path, const char *value)
{
	FILE *file = fopen(path, "we");

	ck_assert(file && fputs(value, file) >= 0 && !fclose(file));
}

/* How often the log has had these words. */
static unsigned int heard_of(const char *words)
{
	unsigned int times = 0;

	for (const char *at = heard; (at = strstr(at, words)); at++)
		times++;
	return times;
}

START_TEST(that_locked_memory_may_move_is_told_once_a_context)
{
	static const char sysctl[] = "sysctl vm.compact_unevictable_allowed=0";
	bool locks = !vm_path->by_node;
	struct two two;

	for (int allowed = 1; allowed >= 0; allowed--) {
		set(COMPACTS, allowed ? "1" : "0");
		open_two(&two);
		ok(iommufd_device_attach(two.dev, two.ioas));
		ok(iommufd_device_detach(two.dev));
		ok(iommufd_device_attach(two.dev, two.bed.ioas));
		ck_assert_uint_eq(heard_of(": khugepaged and NUMA balancing may still move its pages"),
				  locks && !allowed);
		ck_assert_uint_eq(heard_of(": compaction, khugepaged and NUMA balancing may"), locks && allowed);
		ck_assert_uint_eq(heard_of(sysctl), locks && allowed);
		if (locks)
			vm_finds(EDU, "pages", 0, allowed ? sysctl : "only locked: khugepaged");
		close_two(&two);
	}
	set(COMPACTS, "1");
}
END_TEST

#define HUGE_PAGE ((size_t)2 << 20)
#define COLLAPSE  25 /* MADV_COLLAPSE, what khugepaged does, at once; older libc headers lack the name */

/* Whether an attempt to put the pages together to a huge one moves any of them. */
static bool moves(const struct bed *bed, unsigned char *at)
{
	static struct iommufd_segment before[HUGE_PAGE / PAGE], after[HUGE_PAGE / PAGE];
	struct iovec iov = { at, HUGE_PAGE };
	int count = ok(iommufd_ioas_to_iovas(bed->ioas, &iov, 1, before, HUGE_PAGE / PAGE));

	madvise(at, HUGE_PAGE, COLLAPSE);
	return ok(iommufd_ioas_to_iovas(bed->ioas, &iov, 1, after, HUGE_PAGE / PAGE)) != count ||
	       memcmp(before, after, (size_t)count * sizeof(before[0])) != 0;
}

static unsigned char *first_huge(void *start)
{
	return (unsigned char *)(((uintptr_t)start + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
}

START_TEST(what_makes_huge_pages_moves_own_memory_but_neither_buffers_nor_what_is_kept_from_it)
{
	unsigned char *own = first_huge(memory(3 * HUGE_PAGE));
	struct iommufd_dma dma;
	uint64_t iova;
	struct bed bed;

	set(MAKES_HUGE, "madvise");
	insist_on_edu(&bed);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ok(iommufd_dma_alloc(bed.ioas, 2 * HUGE_PAGE, RW, &dma));
	ck_assert(!moves(&bed, first_huge(dma.vaddr)));
	ck_assert_int_eq(madvise(own + HUGE_PAGE, HUGE_PAGE, MADV_NOHUGEPAGE), 0);
	ok(iommufd_ioas_map(bed.ioas, own, 2 * HUGE_PAGE, RW, &iova));
	ck_assert_int_eq(moves(&bed, own), !vm_path->by_node); /* where the kernel pins it stays */
	ck_assert(!moves(&bed, own + HUGE_PAGE));
	iommufd_dma_free(bed.ioas, &dma);
	bed_close(&bed);
	set(MAKES_HUGE, "always");
}
END_TEST

START_TEST(what_cannot_be_locked_leaves_nothing_locked_but_what_was)
{
	unsigned char *pages = memory(16 * PAGE);
	uint64_t iova, there;
	struct two two;

	open_two(&two);
	there = map_pages(two.bed.ioas, pages, 0, 2);
	ck_assert_int_eq(mprotect(pages + 8 * PAGE, PAGE, PROT_NONE), 0);
	/* With the errno and the words of a kernel that pins. */
	fails(iommufd_ioas_map(two.bed.ioas, pages, 16 * PAGE, RW, &iova), -EFAULT, "may not even be read");
	fails(iommufd_ioas_map(two.bed.ioas, pages, 16 * PAGE, IOMMUFD_MAP_READ, &iova), -EFAULT,
	      "may not even be read");
	ck_assert_int_eq(mprotect(pages + 12 * PAGE, PAGE, PROT_READ), 0);
	fails(iommufd_ioas_map(two.bed.ioas, pages + 12 * PAGE, PAGE, RW, &iova), -EFAULT, "is read-only");
	if (!vm_path->by_node) {
		check_locked(2);
		map_pages(two.ioas, pages, 1, 5);
		map_pages(two.ioas, pages, 6, 10);
		fails(iommufd_device_attach(two.dev, two.ioas), -EFAULT, "may not even be read");
		check_locked(2);
	}
	ok(iommufd_ioas_unmap(two.bed.ioas, there, 2 * PAGE, NULL));
	check_locked(0);
	close_two(&two);
}
END_TEST

START_TEST(two_devices_without_an_iommu_share_an_ioas)
{
	unsigned char *buf = memory(PAGE);
	struct iommufd_device *second;
	uint64_t iova;
	struct bed bed;

	insist_on_edu(&bed);
	ok(iommufd_ioas_map(bed.ioas, buf, PAGE, RW, &iova));
	ok(iommufd_device_new(bed.ctx, NVME, &second));
	for (int i = 0; i < 2; i++) {
		ok(iommufd_device_attach(second, bed.ioas));
		ok(iommufd_device_attach(bed.dev, bed.ioas));
		dma_by_segments(&bed, buf, PAGE);
		ok(iommufd_device_detach(second));
		dma_by_segments(&bed, buf, PAGE);
		ok(iommufd_device_detach(bed.dev));
	}
	iommufd_device_free(second);
	bed_close(&bed);
}
END_TEST

START_TEST(without_the_capability_a_device_without_an_iommu_is_refused_with_words)
{
	char node[128];
	struct bed bed;

	if (vm_path->by_node)
		vm_cdev(EDU, node, sizeof(node));
	else
		snprintf(node, sizeof(node), "/dev/vfio/noiommu-%d", vm_group(EDU));
	ck_assert_int_eq(chmod(node, 0666), 0);
	ck_assert_int_eq(chmod(vm_backend == IOMMUFD_BACKEND_IOMMUFD ? "/dev/iommu" : "/dev/vfio/vfio", 0666), 0);
	vm_become_user(1 << 20);
	insist(&bed);
	fails(iommufd_device_new(bed.ctx, EDU, &bed.dev), -EPERM, "CAP_SYS_RAWIO");
	vm_finds(EDU, "node", -EPERM, "CAP_SYS_RAWIO");
	ck_assert_ptr_null(bed.dev);
	bed_close(&bed);
}
END_TEST

/* Nobody knows where the pages of a file are, so a device that needs that cannot be where one is mapped. */
START_TEST(a_device_does_not_get_to_where_a_file_is_mapped)
{
	int file = memfd_create("memory", MFD_CLOEXEC);
	struct iommufd_ioas *with_file;
	uint64_t iova = 0;
	struct bed bed;

	ck_assert_int_eq(ftruncate(file, PAGE), 0);
	insist_on_edu(&bed);
	ok(iommufd_ioas_new(bed.ctx, &with_file));
	ok(iommufd_ioas_map_file(with_file, file, 0, PAGE, IOMMUFD_MAP_READ, &iova));
	fails(iommufd_device_attach(bed.dev, with_file), -EOPNOTSUPP, "file");
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	if (vm_can_replace())
		fails(iommufd_device_replace(bed.dev, with_file), -EOPNOTSUPP, "file");
	ok(iommufd_ioas_unmap_all(with_file, NULL));
	if (vm_can_replace()) {
		ok(iommufd_device_replace(bed.dev, with_file));
		ok(iommufd_device_replace(bed.dev, bed.ioas));
	}
	ok(iommufd_ioas_map_file(with_file, file, 0, PAGE, IOMMUFD_MAP_READ, &iova));
	iommufd_ioas_free(with_file);
	bed_close(&bed);
	close(file);
}
END_TEST

void add_noiommu_tests(TCase *tc)
{
	tcase_add_test(tc, without_the_capability_a_device_without_an_iommu_is_refused_with_words);
	tcase_add_test(tc, a_device_without_an_iommu_is_refused);
	tcase_add_test(tc, who_insists_hears_and_reads_that_it_is_unsafe);
	tcase_add_test(tc, a_device_without_an_iommu_moves_data_by_physical_addresses);
	tcase_add_test(tc, memory_that_is_gone_has_no_physical_address);
	tcase_add_test(tc, two_devices_without_an_iommu_share_an_ioas);
	tcase_add_test(tc, memory_stays_in_its_place_as_long_as_a_device_needs_it);
	tcase_add_test(tc, memory_in_two_address_spaces_stays_until_both_have_unmapped_it);
	tcase_add_test(tc, of_mappings_that_overlap_the_common_pages_stay);
	tcase_add_test(tc, that_locked_memory_may_move_is_told_once_a_context);
	tcase_add_test(tc, what_makes_huge_pages_moves_own_memory_but_neither_buffers_nor_what_is_kept_from_it);
	tcase_add_test(tc, what_cannot_be_locked_leaves_nothing_locked_but_what_was);
	tcase_add_test(tc, a_device_does_not_get_to_where_a_file_is_mapped);
}
