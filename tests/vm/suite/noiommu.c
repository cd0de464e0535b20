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

/* The device moves the start of every page of a buffer to the end of the same page, by the addresses that it was told. */
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

void add_noiommu_tests(TCase *tc)
{
	tcase_add_test(tc, without_the_capability_a_device_without_an_iommu_is_refused_with_words);
	tcase_add_test(tc, a_device_without_an_iommu_is_refused);
	tcase_add_test(tc, who_insists_hears_and_reads_that_it_is_unsafe);
	tcase_add_test(tc, a_device_without_an_iommu_moves_data_by_physical_addresses);
	tcase_add_test(tc, two_devices_without_an_iommu_share_an_ioas);
	tcase_add_test(tc, memory_stays_in_its_place_as_long_as_a_device_needs_it);
}
