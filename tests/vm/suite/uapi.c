/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Each ioctl of iommufd by the library's call for it, on every path: it does what it is for, or says why it cannot. The
 * log tells whether the ioctl was made. tests/uapi-table makes a table of what this prints.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "mock.h"
#include "uapi/iommufd.h"

#define IOVA UINT64_C(0x2000000) /* where all IOMMUs, also the mock one, have room */

/* What a call is tried with. Those that are NULL at the end were not made. */
struct uapi {
	struct bed bed; /* dev: of the mock where there is one, else EDU */
	struct mock_device mock;
	struct iommufd_ioas *second;
	struct iommufd_hwpt *hwpt, *nested;
	struct iommufd_faultq *faultq;
	struct iommufd_viommu *viommu;
	struct iommufd_vdevice *vdevice;
	struct iommufd_veventq *veventq;
	struct iommufd_hwqueue *hwqueue;
	unsigned char *pages;
};

struct row {
	const char *name;
	unsigned long request;
	const char *call;
	uint32_t feature; /* 0 where it is a part of every iommufd */
	int (*use)(struct uapi *uapi);
	bool without;  /* where the kernel does not have it, the library does the same by itself */
	bool hardware; /* what VFIO has instead cannot do without an IOMMU */
	bool physical; /* it is for devices without an IOMMU */
};

/* ---- The calls ---- */

static int use_destroy(struct uapi *uapi)
{
	int ret = iommufd_ioas_new(uapi->bed.ctx, &uapi->second);

	if (ret)
		return ret;
	iommufd_ioas_free(uapi->second);
	uapi->second = NULL;
	return 0;
}

static int use_alloc(struct uapi *uapi)
{
	return iommufd_ioas_new(uapi->bed.ctx, &uapi->second);
}

static int use_ranges(struct uapi *uapi)
{
	struct iommufd_range range;
	int ret = iommufd_device_attach(uapi->bed.dev, uapi->bed.ioas);

	return ret ? ret : iommufd_ioas_ranges(uapi->bed.ioas, &range, 1);
}

static int use_map(struct uapi *uapi)
{
	uint64_t iova = IOVA;

	return iommufd_ioas_map(uapi->bed.ioas, uapi->pages, PAGE, RW | IOMMUFD_MAP_FIXED, &iova);
}

/* VFIO maps for a device only. */
static int use_unmap(struct uapi *uapi)
{
	int ret = use_map(uapi);

	return ret ? ret : iommufd_ioas_unmap(uapi->bed.ioas, IOVA, PAGE, NULL);
}

static int use_allow(struct uapi *uapi)
{
	struct iommufd_range range = { IOVA, IOVA + PAGE - 1 };

	return iommufd_ioas_allow(uapi->bed.ioas, &range, 1);
}

static int use_option(struct uapi *uapi)
{
	return iommufd_ioas_set_huge_pages(uapi->bed.ioas, 0);
}

static int use_map_file(struct uapi *uapi)
{
	uint64_t iova = IOVA;
	int fd = memfd_create("uapi", MFD_CLOEXEC), ret;

	ck_assert_int_eq(ftruncate(fd, PAGE), 0);
	ret = iommufd_ioas_map_file(uapi->bed.ioas, fd, 0, PAGE, RW | IOMMUFD_MAP_FIXED, &iova);
	close(fd);
	return ret;
}

static int use_compat(struct uapi *uapi)
{
	int ret = iommufd_ctx_set_compat_ioas(uapi->bed.ctx, uapi->bed.ioas);

	return ret ? ret : iommufd_ctx_clear_compat_ioas(uapi->bed.ctx);
}

/* Only files can go. */
static int use_change_process(struct uapi *uapi)
{
	int ret = use_map_file(uapi);

	return ret ? ret : iommufd_ctx_change_process(uapi->bed.ctx);
}

static int new_hwpt(struct uapi *uapi, uint32_t flags)
{
	struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts), .flags = flags };

	return iommufd_hwpt_new(uapi->bed.dev, uapi->bed.ioas, &opts, &uapi->hwpt);
}

static int use_copy(struct uapi *uapi)
{
	uint64_t iova = IOVA;
	int ret = use_map(uapi);

	if (!ret)
		ret = iommufd_ioas_new(uapi->bed.ctx, &uapi->second);
	if (ret)
		return ret;
	return iommufd_ioas_copy(uapi->bed.ioas, IOVA, PAGE, uapi->second, RW | IOMMUFD_MAP_FIXED, &iova);
}

/* On iommufd it takes a page table that can tell. */
static int attach_dirty(struct uapi *uapi)
{
	int ret;

	if (vm_backend == IOMMUFD_BACKEND_VFIO)
		return iommufd_device_attach(uapi->bed.dev, uapi->bed.ioas);
	ret = new_hwpt(uapi, IOMMUFD_HWPT_DIRTY);
	return ret ? ret : iommufd_device_attach_hwpt(uapi->bed.dev, uapi->hwpt);
}

static int use_dirty_start(struct uapi *uapi)
{
	int ret = attach_dirty(uapi);

	if (!ret)
		ret = use_map(uapi);
	return ret ? ret : iommufd_ioas_dirty_start(uapi->bed.ioas);
}

static int use_dirty_read(struct uapi *uapi)
{
	uint64_t bitmap = 0;
	int ret = use_dirty_start(uapi);

	return ret ? ret : iommufd_ioas_dirty_read(uapi->bed.ioas, IOVA, PAGE, PAGE, 0, &bitmap, sizeof(bitmap));
}

static int use_physical(struct uapi *uapi)
{
	struct iovec iov = { .iov_base = uapi->pages, .iov_len = PAGE };
	struct iommufd_segment segment;
	int ret = iommufd_device_attach(uapi->bed.dev, uapi->bed.ioas);

	if (!ret)
		ret = use_map(uapi);
	return ret ? ret : iommufd_ioas_to_iovas(uapi->bed.ioas, &iov, 1, &segment, 1);
}

static int use_hw_info(struct uapi *uapi)
{
	struct iommufd_hw_info info = { .struct_size = sizeof(info) };

	return iommufd_device_hw_info(uapi->bed.dev, &info, NULL, 0);
}

static int use_hwpt(struct uapi *uapi)
{
	return new_hwpt(uapi, 0);
}

static int use_invalidate(struct uapi *uapi)
{
	struct mock_hwpt_data data = { .iotlb = 1 }; /* of which older kernels know the first member */
	struct iommufd_hwpt_opts opts = {
		.struct_size = sizeof(opts),
		.data_type = MOCK_HWPT_DATA,
		.data = &data,
		.data_len = sizeof(data.iotlb),
	};
	struct mock_hwpt_invalidate entry = { .flags = MOCK_INVALIDATE_ALL };
	int ret = new_hwpt(uapi, IOMMUFD_HWPT_NEST_PARENT);

	if (!ret)
		ret = iommufd_hwpt_new_nested(uapi->bed.dev, uapi->hwpt, &opts, &uapi->nested);
	if (ret)
		return ret;
	return iommufd_hwpt_invalidate(uapi->nested, MOCK_HWPT_INVALIDATE_DATA, &entry, sizeof(entry), 1, NULL);
}

static int use_faultq(struct uapi *uapi)
{
	return iommufd_faultq_new(uapi->bed.ctx, &uapi->faultq);
}

/* Of a type that no other IOMMU has. */
static int use_viommu(struct uapi *uapi)
{
	struct mock_viommu_data data = { .in = 1 };
	struct iommufd_viommu_opts opts = {
		.struct_size = sizeof(opts),
		.type = MOCK_VIOMMU_TYPE,
		.data = &data,
		.data_len = sizeof(data),
	};
	int ret = new_hwpt(uapi, IOMMUFD_HWPT_NEST_PARENT);

	return ret ? ret : iommufd_viommu_new(uapi->bed.dev, uapi->hwpt, &opts, &uapi->viommu);
}

static int use_vdevice(struct uapi *uapi)
{
	int ret = use_viommu(uapi);

	return ret ? ret : iommufd_vdevice_new(uapi->viommu, uapi->bed.dev, 1, &uapi->vdevice);
}

static int use_veventq(struct uapi *uapi)
{
	int ret = use_viommu(uapi);

	return ret ? ret : iommufd_veventq_new(uapi->viommu, MOCK_VEVENTQ_TYPE, 8, &uapi->veventq);
}

static int use_hwqueue(struct uapi *uapi)
{
	int ret = use_viommu(uapi);

	if (!ret)
		ret = use_map(uapi);
	return ret ? ret : iommufd_hwqueue_new(uapi->viommu, MOCK_HW_QUEUE_TYPE, 0, IOVA, PAGE, &uapi->hwqueue);
}

#define ROW(number) .name = #number, .request = (number)

static const struct row rows[] = {
	{ ROW(IOMMU_DESTROY), "iommufd_ioas_free", 0, use_destroy },
	{ ROW(IOMMU_IOAS_ALLOC), "iommufd_ioas_new", 0, use_alloc },
	{ ROW(IOMMU_IOAS_IOVA_RANGES), "iommufd_ioas_ranges", 0, use_ranges },
	{ ROW(IOMMU_IOAS_MAP), "iommufd_ioas_map", 0, use_map },
	{ ROW(IOMMU_IOAS_UNMAP), "iommufd_ioas_unmap", 0, use_unmap },
	{ ROW(IOMMU_IOAS_COPY), "iommufd_ioas_copy", IOMMUFD_HAS_COPY, use_copy },
	{ ROW(IOMMU_IOAS_ALLOW_IOVAS), "iommufd_ioas_allow", IOMMUFD_HAS_ALLOW_IOVAS, use_allow },
	{ ROW(IOMMU_OPTION), "iommufd_ioas_set_huge_pages", IOMMUFD_HAS_HUGE_PAGES, use_option },
	{ ROW(IOMMU_IOAS_MAP_FILE), "iommufd_ioas_map_file", IOMMUFD_HAS_MAP_FILE, use_map_file, .without = true },
	{ ROW(IOMMU_VFIO_IOAS), "iommufd_ctx_set_compat_ioas", IOMMUFD_HAS_VFIO_IOAS, use_compat },
	{ ROW(IOMMU_IOAS_CHANGE_PROCESS), "iommufd_ctx_change_process", IOMMUFD_HAS_CHANGE_PROCESS,
	  use_change_process },
	{ ROW(IOMMU_HWPT_SET_DIRTY_TRACKING), "iommufd_ioas_dirty_start", IOMMUFD_HAS_DIRTY, use_dirty_start,
	  .hardware = true },
	{ ROW(IOMMU_HWPT_GET_DIRTY_BITMAP), "iommufd_ioas_dirty_read", IOMMUFD_HAS_DIRTY, use_dirty_read,
	  .hardware = true },
	{ ROW(IOMMU_GET_HW_INFO), "iommufd_device_hw_info", IOMMUFD_HAS_HW_INFO, use_hw_info },
	{ ROW(IOMMU_HWPT_ALLOC), "iommufd_hwpt_new", IOMMUFD_HAS_HWPT, use_hwpt },
	{ ROW(IOMMU_HWPT_INVALIDATE), "iommufd_hwpt_invalidate", IOMMUFD_HAS_NESTING, use_invalidate },
	{ ROW(IOMMU_FAULT_QUEUE_ALLOC), "iommufd_faultq_new", IOMMUFD_HAS_FAULTS, use_faultq },
	{ ROW(IOMMU_VIOMMU_ALLOC), "iommufd_viommu_new", IOMMUFD_HAS_VIOMMU, use_viommu },
	{ ROW(IOMMU_VDEVICE_ALLOC), "iommufd_vdevice_new", IOMMUFD_HAS_VDEVICE, use_vdevice },
	{ ROW(IOMMU_VEVENTQ_ALLOC), "iommufd_veventq_new", IOMMUFD_HAS_VEVENTQ, use_veventq },
	{ ROW(IOMMU_HW_QUEUE_ALLOC), "iommufd_hwqueue_new", IOMMUFD_HAS_HW_QUEUE, use_hwqueue },
	{ ROW(IOMMU_IOAS_NOIOMMU_GET_PA), "iommufd_ioas_to_iovas", IOMMUFD_HAS_PHYSICAL, use_physical, .without = true,
	  .physical = true },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* ---- What is heard of them ---- */

static const struct row *listened_for;
static unsigned int made, done; /* how often the ioctl was made, and of these the kernel did it */

static void hear(void *data, int level, const char *message)
{
	const char *at = strstr(message, listened_for->name), *result = strrchr(message, ':');
	size_t len = strlen(listened_for->name);

	(void)data;
	if (level != IOMMUFD_LOG_DEBUG || !at || !strchr(" :", at[len]))
		return;
	made++;
	done += result[2] >= '0' && result[2] <= '9';
}

static void uapi_open(struct uapi *uapi, const struct row *row)
{
	struct iommufd_ctx_opts opts = {
		.struct_size = sizeof(opts),
		.backend = vm_backend,
		.flags = vm_path->noiommu ? IOMMUFD_CTX_NOIOMMU : 0,
		.log_level = IOMMUFD_LOG_DEBUG,
		.log = hear,
	};

	*uapi = (struct uapi){ .pages = memory(PAGE) };
	listened_for = row;
	ok(iommufd_ctx_new(&opts, &uapi->bed.ctx));
	ok(iommufd_ioas_new(uapi->bed.ctx, &uapi->bed.ioas));
	if (!vm_path->mock) {
		ok(iommufd_device_new(uapi->bed.ctx, EDU, &uapi->bed.dev));
		return;
	}
	mock_open(&uapi->mock, uapi->bed.ctx, 0);
	uapi->bed.dev = uapi->mock.dev;
}

static void uapi_close(struct uapi *uapi)
{
	iommufd_hwqueue_free(uapi->hwqueue);
	iommufd_veventq_free(uapi->veventq);
	iommufd_vdevice_free(uapi->vdevice);
	iommufd_viommu_free(uapi->viommu);
	iommufd_faultq_free(uapi->faultq);
	iommufd_hwpt_free(uapi->nested);
	iommufd_hwpt_free(uapi->hwpt);
	iommufd_ioas_free(uapi->second);
	if (vm_path->mock) {
		mock_close(&uapi->mock);
		uapi->bed.dev = NULL;
	}
	bed_close(&uapi->bed);
	munmap(uapi->pages, PAGE);
}

/* What the kernel says of the ioctl, asked past the library: a size that is too small tells who knows it. */
static bool kernel_knows(const struct uapi *uapi, const struct row *row)
{
	struct iommu_ioas_noiommu_get_pa whole = { .size = sizeof(whole), .length = 1 };
	uint32_t size = sizeof(size);

	ck_assert_int_eq(ioctl(iommufd_ctx_fd(uapi->bed.ctx), row->request, &size), -1);
	if (errno == ENOTTY)
		return false;
	ck_assert_int_eq(errno, EINVAL);
	if (!row->physical)
		return true;
	ck_assert_int_eq(ioctl(iommufd_ctx_fd(uapi->bed.ctx), row->request, &whole), -1);
	return errno != EOPNOTSUPP;
}

/* ---- The table ---- */

/* The words are of the last failure, so nothing else may be asked of the library in between. */
static void tell(const struct row *row, bool knows, int ret)
{
	const char *machine = getenv("TEST_MACHINE");
	struct utsname name;

	ck_assert_int_eq(uname(&name), 0);
	printf("# uapi: %s | %s | %s %s %s | %s | ", row->name, row->call, machine ? machine : "?", name.release,
	       vm_path->name, knows ? "known" : "unknown");
	if (ret < 0)
		printf("-%s: %s\n", strerrorname_np(-ret), iommufd_errmsg());
	else
		printf("%s\n", done ? "ok" : vm_backend == IOMMUFD_BACKEND_VFIO ? "ok, on VFIO" : "ok, by the library");
	fflush(stdout);
}

/* Who has not got it is told so, and what to do. */
static void check_refusal(const struct row *row, int ret)
{
	const char *hint = strchr(iommufd_errmsg(), '(');

	ck_assert_msg(ret == -ENOTTY || ret == -EOPNOTSUPP, "%s gave %d: %s", row->call, ret, iommufd_errmsg());
	ck_assert_msg(hint && strlen(hint) > 10, "%s says no more than: %s", row->call, iommufd_errmsg());
}

static void check(const struct row *row, bool knows, int has, int ret)
{
	bool iommufd = vm_backend == IOMMUFD_BACKEND_IOMMUFD;

	if (row->without && !row->physical)
		ck_assert_int_eq(has, 1);
	else if (iommufd && row->feature)
		ck_assert_int_eq(has, knows);
	if (!has && !row->without) {
		check_refusal(row, ret);
	} else if (vm_path->noiommu && row->hardware && ret < 0) {
		check_refusal(row, ret);
	} else if (!iommufd || row->without) {
		ck_assert_msg(ret >= 0, "%s gave %d: %s", row->call, ret, iommufd_errmsg());
	} else if (vm_path->mock || !row->feature) {
		ck_assert_msg(ret >= 0, "%s gave %d: %s", row->call, ret, iommufd_errmsg());
		ck_assert_uint_gt(done, 0);
	} else {
		ck_assert_msg(ret != -ENOTTY, "%s gave %d: %s", row->call, ret, iommufd_errmsg());
		ck_assert(ret < 0 || done);
	}
	ck_assert(knows || !done);
	ck_assert(iommufd || !made);
}

START_TEST(each_ioctl_has_a_call_that_does_it_or_says_why_it_cannot)
{
	const struct row *row = &rows[_i];
	struct uapi uapi;
	bool knows;
	int has, ret;

	uapi_open(&uapi, row);
	knows = vm_backend == IOMMUFD_BACKEND_IOMMUFD && kernel_knows(&uapi, row);
	has = row->feature ? ok(iommufd_ctx_has(uapi.bed.ctx, row->feature)) : 1;
	made = done = 0;
	ret = row->use(&uapi);
	tell(row, knows, ret);
	check(row, knows, has, ret);
	uapi_close(&uapi);
}
END_TEST

START_TEST(a_feature_that_nobody_knows_is_refused)
{
	struct bed bed;

	bed_open(&bed);
	fails(iommufd_ctx_has(bed.ctx, 0), -EINVAL, "IOMMUFD_HAS");
	fails(iommufd_ctx_has(bed.ctx, 1000), -EINVAL, "feature 1000");
	bed_close(&bed);
}
END_TEST

/* What the library does by itself is there on every path, and on VFIO little else. */
START_TEST(every_feature_is_there_or_not_and_stays_so)
{
	const uint32_t always = 1u << IOMMUFD_HAS_COPY | 1u << IOMMUFD_HAS_MAP_FILE | 1u << IOMMUFD_HAS_ALLOW_IOVAS;
	uint32_t has = 0, again = 0;
	struct bed bed;

	bed_open(&bed);
	for (uint32_t feature = IOMMUFD_HAS_COPY; feature <= IOMMUFD_HAS_REPLACE; feature++) {
		has |= (uint32_t)ok(iommufd_ctx_has(bed.ctx, feature)) << feature;
		again |= (uint32_t)ok(iommufd_ctx_has(bed.ctx, feature)) << feature;
	}
	ck_assert_uint_eq(has, again);
	ck_assert_uint_eq(has & always, always);
	if (vm_backend == IOMMUFD_BACKEND_VFIO)
		ck_assert_uint_eq(has & ~always & ~(1u << IOMMUFD_HAS_DIRTY), 0);
	else
		ck_assert_uint_ne(has & 1u << IOMMUFD_HAS_RLIMIT_MODE, 0);
	bed_close(&bed);
}
END_TEST

/* Those that are reached by their group cannot, on any kernel. */
START_TEST(a_device_is_moved_where_the_context_can)
{
	const struct row none = { .name = "-" };
	struct uapi uapi;
	int has;

	uapi_open(&uapi, &none);
	has = ok(iommufd_ctx_has(uapi.bed.ctx, IOMMUFD_HAS_REPLACE));
	ok(iommufd_ioas_new(uapi.bed.ctx, &uapi.second));
	ok(iommufd_device_attach(uapi.bed.dev, uapi.bed.ioas));
	if (vm_path->by_node || vm_path->mock)
		ck_assert_int_eq(iommufd_device_replace(uapi.bed.dev, uapi.second), has ? 0 : -EOPNOTSUPP);
	else
		fails(iommufd_device_replace(uapi.bed.dev, uapi.second), -EOPNOTSUPP, "detach it and attach it anew");
	ck_assert(has == (vm_backend == IOMMUFD_BACKEND_IOMMUFD));
	uapi_close(&uapi);
}
END_TEST

void add_uapi_tests(TCase *tc)
{
	tcase_add_loop_test(tc, each_ioctl_has_a_call_that_does_it_or_says_why_it_cannot, 0, ROWS);
	if (vm_path->noiommu)
		return;
	tcase_add_test(tc, every_feature_is_there_or_not_and_stays_so);
	tcase_add_test(tc, a_feature_that_nobody_knows_is_refused);
	tcase_add_test(tc, a_device_is_moved_where_the_context_can);
}
