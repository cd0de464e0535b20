/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Page tables, and devices that are known by their number, on the kernel's mock IOMMU. */
#include <unistd.h>

#include "mock.h"

#define AT ((uint64_t)MOCK_APERTURE_START)

/* A context, an IOAS with two pages mapped at AT, and a mock device that is attached to nothing. */
struct mock_bed {
	struct bed bed;
	struct mock_device mock;
	unsigned char *pages;
	uint32_t lowest; /* the number that a new object gets when nothing of the test is left */
};

static void open_bed(struct mock_bed *m, uint32_t flags)
{
	uint64_t iova = AT;

	bed_open(&m->bed);
	mock_open(&m->mock, m->bed.ctx, flags);
	m->pages = memory((size_t)2 * PAGE);
	ok(iommufd_ioas_map(m->bed.ioas, m->pages, (size_t)2 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	m->lowest = mock_lowest_id(m->mock.fd);
}

static void close_bed(struct mock_bed *m)
{
	ck_assert_uint_eq(mock_lowest_id(m->mock.fd), m->lowest);
	mock_close(&m->mock);
	munmap(m->pages, (size_t)2 * PAGE);
	bed_close(&m->bed);
}

static bool shows(const struct mock_bed *m, uint32_t hwpt)
{
	int ret = mock_check_map(m->mock.fd, hwpt, AT, m->pages, (size_t)2 * PAGE);

	ck_assert(!ret || ret == -EINVAL);
	return !ret;
}

static struct iommufd_hwpt *paging(struct mock_bed *m, uint32_t flags)
{
	struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts), .flags = flags };
	struct iommufd_hwpt *hwpt;

	ok(iommufd_hwpt_new(m->mock.dev, m->bed.ioas, &opts, &hwpt));
	ck_assert_uint_gt(iommufd_hwpt_id(hwpt), 0);
	return hwpt;
}

static struct iommufd_hwpt *nested(struct mock_bed *m, struct iommufd_hwpt *parent)
{
	struct mock_hwpt_data data = { .iotlb = MOCK_IOTLB_DEFAULT };
	struct iommufd_hwpt_opts opts = {
		.struct_size = sizeof(opts), .data_type = MOCK_HWPT_DATA, .data = &data, .data_len = sizeof(data)
	};
	struct iommufd_hwpt *hwpt;

	ok(iommufd_hwpt_new_nested(m->mock.dev, parent, &opts, &hwpt));
	return hwpt;
}

static size_t permitted(struct iommufd_ioas *ioas, struct iommufd_range *first)
{
	return (size_t)ok(iommufd_ioas_ranges(ioas, first, 1));
}

/* ---- By its number ---- */

START_TEST(a_device_tells_its_iommu_before_there_is_any_address_space)
{
	struct iommufd_hw_info info = { .struct_size = sizeof(info) };
	struct mock_hw_info data = { 0 };
	struct iommufd_ctx *ctx;
	struct mock_device mock;

	ok(iommufd_ctx_new(NULL, &ctx));
	mock_open(&mock, ctx, MOCK_PASID);
	ck_assert_uint_eq(iommufd_device_id(mock.dev), mock.id);
	ok(iommufd_device_hw_info(mock.dev, &info, &data, sizeof(data)));
	ck_assert_uint_eq(info.type, MOCK_HW_INFO_TYPE);
	ck_assert_uint_eq(info.data_len, sizeof(data));
	ck_assert_uint_eq(data.value, MOCK_HW_INFO_VALUE);
	ck_assert_uint_eq(info.capabilities & IOMMUFD_HW_CAN_DIRTY, IOMMUFD_HW_CAN_DIRTY);
	ck_assert_uint_eq(info.pasid_bits, MOCK_PASID_BITS);
	mock_close(&mock);
	iommufd_ctx_free(ctx);
}
END_TEST

START_TEST(an_iommu_tells_of_the_type_that_is_wanted)
{
	struct iommufd_hw_info info = { .struct_size = sizeof(info), .want_type = MOCK_HW_INFO_TYPE };
	struct mock_bed m;

	open_bed(&m, 0);
	ok(iommufd_device_hw_info(m.mock.dev, &info, NULL, 0));
	ck_assert(info.type == MOCK_HW_INFO_TYPE && info.want_type == MOCK_HW_INFO_TYPE);
	info.want_type = IOMMUFD_HW_TEGRA241;
	fails(iommufd_device_hw_info(m.mock.dev, &info, NULL, 0), -EOPNOTSUPP, "tells of type 3");
	close_bed(&m);
}
END_TEST

START_TEST(room_for_less_or_more_than_the_data_is_respected)
{
	struct iommufd_hw_info info = { .struct_size = sizeof(info) };
	uint32_t room[6];
	struct mock_bed m;

	open_bed(&m, MOCK_NO_DIRTY);
	memset(room, 0xff, sizeof(room));
	ok(iommufd_device_hw_info(m.mock.dev, &info, room, 4));
	ck_assert_uint_eq(info.data_len, sizeof(struct mock_hw_info));
	ck_assert_uint_eq(room[1], 0xffffffffu);
	ok(iommufd_device_hw_info(m.mock.dev, &info, room, 16));
	ck_assert_uint_eq(room[1], MOCK_HW_INFO_VALUE);
	ck_assert_uint_eq(room[3], 0);
	ck_assert_uint_eq(room[4], 0xffffffffu);
	ck_assert_uint_eq(info.capabilities & IOMMUFD_HW_CAN_DIRTY, 0);
	ck_assert_uint_eq(info.pasid_bits, 0);
	ok(iommufd_device_hw_info(m.mock.dev, &info, NULL, 0));
	close_bed(&m);
}
END_TEST

START_TEST(typed_views_refuse_the_iommu_of_another_vendor)
{
	struct iommufd_hw_smmuv3 smmuv3 = { .struct_size = sizeof(smmuv3) };
	struct iommufd_hw_vtd vtd = { .struct_size = sizeof(vtd) };
	struct iommufd_hw_amd amd = { .struct_size = sizeof(amd) };
	struct mock_bed m;

	open_bed(&m, 0);
	fails(iommufd_device_hw_vtd(m.mock.dev, &vtd), -EOPNOTSUPP, "not Intel VT-d");
	fails(iommufd_device_hw_smmuv3(m.mock.dev, &smmuv3), -EOPNOTSUPP, "not an Arm SMMUv3");
	fails(iommufd_device_hw_amd(m.mock.dev, &amd), -EOPNOTSUPP, "not an AMD IOMMU");
	close_bed(&m);
}
END_TEST

START_TEST(a_number_that_is_no_device_is_refused)
{
	struct iommufd_device_calls calls = { .struct_size = sizeof(calls), .attach = mock_attach };
	struct iommufd_device *dev = NULL;
	struct iommufd_hwpt *hwpt;
	struct mock_bed m;

	open_bed(&m, 0);
	hwpt = paging(&m, 0);
	fails(iommufd_device_from_id(m.bed.ctx, 0, NULL, &dev), -EINVAL, "numbers begin at 1");
	fails(iommufd_device_from_id(m.bed.ctx, 4711, NULL, &dev), -ENOENT, "the number that binding it gave");
	fails(iommufd_device_from_id(m.bed.ctx, m.mock.scratch, NULL, &dev), -ENOENT, "the number that binding");
	fails(iommufd_device_from_id(m.bed.ctx, iommufd_hwpt_id(hwpt), NULL, &dev), -ENOENT, "the number that");
	fails(iommufd_device_from_id(m.bed.ctx, m.mock.id, NULL, &dev), -EBUSY, "open already");
	fails(iommufd_device_from_id(m.bed.ctx, m.mock.id, &calls, &dev), -EINVAL, "give both or none");
	ck_assert_ptr_null(dev);
	iommufd_hwpt_free(hwpt);
	close_bed(&m);
}
END_TEST

START_TEST(what_is_somebody_elses_business_is_not_done)
{
	struct iommufd_region_info region = { .struct_size = sizeof(region) };
	struct iommufd_device_info info = { .struct_size = sizeof(info) };
	struct iommufd_device_calls calls = { .struct_size = sizeof(calls), .name = "the other's device" };
	struct iommufd_device *dev;
	struct mock_bed m;

	open_bed(&m, 0);
	fails(iommufd_device_reset(m.mock.dev), -ENOTCONN, "attach it");
	ok(iommufd_device_attach(m.mock.dev, m.bed.ioas));
	fails(iommufd_device_reset(m.mock.dev), -EOPNOTSUPP, "only its number is known");
	fails(iommufd_device_region_info(m.mock.dev, 0, &region), -EOPNOTSUPP, "only its number is known");
	fails(iommufd_device_fd(m.mock.dev), -EOPNOTSUPP, "only its number is known");
	ok(iommufd_device_get_info(m.mock.dev, &info));
	ck_assert_uint_eq(info.flags, IOMMUFD_DEVICE_ATTACHED);
	ck_assert_uint_eq(info.num_irqs, 0);
	ok(iommufd_device_detach(m.mock.dev));

	ok(iommufd_device_from_id(m.bed.ctx, m.mock.id, &calls, &dev));
	fails(iommufd_device_attach(dev, m.bed.ioas), -EOPNOTSUPP, "attach the other's device");
	iommufd_device_free(dev);
	close_bed(&m);
}
END_TEST

/* ---- Page tables ---- */

START_TEST(a_page_table_shows_what_is_mapped_before_and_after)
{
	struct iommufd_range range;
	struct iommufd_hwpt *hwpt;
	unsigned char *more = memory(PAGE);
	struct mock_bed m;
	uint64_t iova = 0;

	open_bed(&m, 0);
	hwpt = paging(&m, 0);
	ck_assert(shows(&m, iommufd_hwpt_id(hwpt)));
	ck_assert_uint_eq(permitted(m.bed.ioas, &range), 1);
	ck_assert_uint_eq(range.start, MOCK_APERTURE_START);
	ck_assert_uint_eq(range.last, MOCK_APERTURE_LAST);

	ok(iommufd_ioas_map(m.bed.ioas, more, PAGE, RW, &iova));
	ck_assert_uint_ge(iova, MOCK_APERTURE_START);
	ck_assert_int_eq(mock_check_map(m.mock.fd, iommufd_hwpt_id(hwpt), iova, more, PAGE), 0);
	ok(iommufd_ioas_unmap(m.bed.ioas, iova, PAGE, NULL));
	ck_assert_int_eq(mock_check_map(m.mock.fd, iommufd_hwpt_id(hwpt), iova, more, PAGE), -EINVAL);

	iommufd_hwpt_free(hwpt);
	permitted(m.bed.ioas, &range);
	ck_assert_uint_eq(range.last, UINT64_MAX);
	munmap(more, PAGE);
	close_bed(&m);
}
END_TEST

START_TEST(a_mapping_that_a_page_table_cannot_show_keeps_it_from_being_made)
{
	struct iommufd_hwpt *hwpt = NULL;
	unsigned char *low = memory(PAGE);
	uint64_t iova = PAGE;
	struct mock_bed m;

	open_bed(&m, 0);
	ok(iommufd_ioas_map(m.bed.ioas, low, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	fails(iommufd_hwpt_new(m.mock.dev, m.bed.ioas, NULL, &hwpt), -EADDRINUSE, "permits none");
	ck_assert_ptr_null(hwpt);
	ok(iommufd_ioas_unmap(m.bed.ioas, iova, PAGE, NULL));
	ok(iommufd_ioas_allow(m.bed.ioas, &(struct iommufd_range){ 0, AT + 2 * PAGE - 1 }, 1));
	fails(iommufd_hwpt_new(m.mock.dev, m.bed.ioas, NULL, &hwpt), -EADDRINUSE, "iommufd_ioas_allow()");
	ok(iommufd_ioas_allow(m.bed.ioas, NULL, 0));
	hwpt = paging(&m, 0);
	iommufd_hwpt_free(hwpt);
	munmap(low, PAGE);
	close_bed(&m);
}
END_TEST

START_TEST(a_move_to_a_file_that_was_cut_off_says_so)
{
	int fd = memfd_create("cut off", MFD_CLOEXEC);
	struct iommufd_ioas *second;
	uint64_t iova = AT;
	struct mock_bed m;

	open_bed(&m, 0);
	ok(iommufd_ioas_new(m.bed.ctx, &second));
	ok(iommufd_device_attach(m.mock.dev, m.bed.ioas));
	ck_assert(fd >= 0 && !ftruncate(fd, 2 * PAGE));
	ok(iommufd_ioas_map_file(second, fd, 0, (size_t)2 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ck_assert_int_eq(ftruncate(fd, PAGE), 0);
	fails(iommufd_device_replace(m.mock.dev, second), -EFAULT, "cut off");
	ck_assert_int_eq(ftruncate(fd, 2 * PAGE), 0);
	ok(iommufd_device_replace(m.mock.dev, second));
	ok(iommufd_device_replace(m.mock.dev, m.bed.ioas)); /* the kernel's numbers are as before then */
	ok(iommufd_device_detach(m.mock.dev));
	iommufd_ioas_free(second);
	close(fd);
	close_bed(&m);
}
END_TEST

START_TEST(a_device_goes_from_an_ioas_to_a_page_table_and_back)
{
	struct iommufd_hwpt *hwpt, *other;
	struct iommufd_ioas *empty;
	struct mock_bed m;

	open_bed(&m, 0);
	hwpt = paging(&m, 0);
	other = paging(&m, 0);
	ok(iommufd_ioas_new(m.bed.ctx, &empty));

	ok(iommufd_device_attach_hwpt(m.mock.dev, hwpt));
	ck_assert_uint_eq(m.mock.hwpt, iommufd_hwpt_id(hwpt));
	fails(iommufd_device_attach_hwpt(m.mock.dev, hwpt), -EBUSY, "this page table");
	fails(iommufd_device_attach(m.mock.dev, m.bed.ioas), -EBUSY, "another IOAS");
	ok(iommufd_device_replace_hwpt(m.mock.dev, other));
	ck_assert_uint_eq(m.mock.hwpt, iommufd_hwpt_id(other));
	ok(iommufd_device_replace(m.mock.dev, empty));
	ck_assert(!shows(&m, m.mock.hwpt));
	ok(iommufd_device_replace(m.mock.dev, m.bed.ioas));
	ck_assert(shows(&m, m.mock.hwpt));
	ck_assert_uint_ne(m.mock.hwpt, iommufd_hwpt_id(hwpt));
	ok(iommufd_device_replace_hwpt(m.mock.dev, hwpt));
	ck_assert_uint_eq(m.mock.hwpt, iommufd_hwpt_id(hwpt));
	ok(iommufd_device_replace_hwpt(m.mock.dev, hwpt));
	ok(iommufd_device_detach(m.mock.dev));
	fails(iommufd_device_replace_hwpt(m.mock.dev, hwpt), -ENOTCONN, "attach it");

	iommufd_ioas_free(empty);
	iommufd_hwpt_free(other);
	iommufd_hwpt_free(hwpt);
	close_bed(&m);
}
END_TEST

START_TEST(a_page_table_lives_on_while_a_device_is_attached_to_it)
{
	struct iommufd_hwpt *hwpt;
	struct mock_bed m;
	uint32_t id;

	open_bed(&m, 0);
	hwpt = paging(&m, 0);
	id = iommufd_hwpt_id(hwpt);
	ok(iommufd_device_attach_hwpt(m.mock.dev, hwpt));
	iommufd_hwpt_free(hwpt);
	ck_assert(shows(&m, id));
	ok(iommufd_device_detach(m.mock.dev));
	ck_assert_int_eq(mock_check_map(m.mock.fd, id, AT, m.pages, PAGE), -ENOENT);
	close_bed(&m);
}
END_TEST

/* ---- Nesting ---- */

START_TEST(a_nested_page_table_is_made_above_a_nest_parent)
{
	struct iommufd_hwpt *parent, *guest;
	struct mock_bed m;

	open_bed(&m, 0);
	parent = paging(&m, IOMMUFD_HWPT_NEST_PARENT);
	guest = nested(&m, parent);
	for (uint32_t i = 0; i < MOCK_CACHE_ENTRIES; i++)
		ck_assert_int_eq(mock_check_iotlb(m.mock.fd, iommufd_hwpt_id(guest), i, MOCK_IOTLB_DEFAULT), 0);
	iommufd_hwpt_free(parent);
	ok(iommufd_device_attach_hwpt(m.mock.dev, guest));
	ck_assert_uint_eq(m.mock.hwpt, iommufd_hwpt_id(guest));
	iommufd_hwpt_free(guest);
	ok(iommufd_device_detach(m.mock.dev));
	close_bed(&m);
}
END_TEST

START_TEST(what_cannot_be_nested_is_refused_with_words)
{
	struct mock_hwpt_data data = { .iotlb = MOCK_IOTLB_DEFAULT };
	struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts) };
	struct iommufd_hwpt *plain, *parent, *guest, *out = NULL;
	struct mock_bed m;

	open_bed(&m, 0);
	plain = paging(&m, 0);
	parent = paging(&m, IOMMUFD_HWPT_NEST_PARENT);
	fails(iommufd_hwpt_new_nested(m.mock.dev, parent, &opts, &out), -EINVAL, "describe the guest's page table");
	opts.data = &data;
	opts.data_len = sizeof(data);
	fails(iommufd_hwpt_new_nested(m.mock.dev, parent, &opts, &out), -EINVAL, "give type, address and length");
	opts.data_type = MOCK_HWPT_DATA;
	fails(iommufd_hwpt_new_nested(m.mock.dev, plain, &opts, &out), -EINVAL, "IOMMUFD_HWPT_NEST_PARENT");
	guest = nested(&m, parent);
	fails(iommufd_hwpt_new_nested(m.mock.dev, guest, &opts, &out), -EINVAL, "IOMMUFD_HWPT_NEST_PARENT");
	opts.data_len = 2;
	fails(iommufd_hwpt_new_nested(m.mock.dev, parent, &opts, &out), -EINVAL, "the type, the length");
	opts.data_len = sizeof(data);
	opts.data_type = MOCK_HWPT_DATA + 1;
	fails(iommufd_hwpt_new_nested(m.mock.dev, parent, &opts, &out), -EOPNOTSUPP, "not with data of type");
	opts.data_type = MOCK_HWPT_DATA;
	opts.flags = IOMMUFD_HWPT_DIRTY;
	fails(iommufd_hwpt_new_nested(m.mock.dev, parent, &opts, &out), -EINVAL, "IOMMUFD_HWPT_PASID only");
	ck_assert_ptr_null(out);
	iommufd_hwpt_free(guest);
	iommufd_hwpt_free(parent);
	iommufd_hwpt_free(plain);
	close_bed(&m);
}
END_TEST

START_TEST(options_that_mean_nothing_are_refused)
{
	struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts) };
	struct iommufd_hwpt *out = NULL;
	struct mock_bed m, other;

	open_bed(&m, MOCK_NO_DIRTY);
	open_bed(&other, 0);
	opts.flags = 1u << 31;
	fails(iommufd_hwpt_new(m.mock.dev, m.bed.ioas, &opts, &out), -EINVAL, "use the IOMMUFD_HWPT flags only");
	opts.flags = IOMMUFD_HWPT_DIRTY;
	fails(iommufd_hwpt_new(m.mock.dev, m.bed.ioas, &opts, &out), -EOPNOTSUPP, "does not track dirty pages");
	opts.flags = 0;
	fails(iommufd_hwpt_new(m.mock.dev, other.bed.ioas, &opts, &out), -EINVAL, "from the same context");
	out = paging(&other, 0);
	fails(iommufd_device_attach_hwpt(m.mock.dev, out), -EINVAL, "another context");
	iommufd_hwpt_free(out);
	close_bed(&other);
	close_bed(&m);
}
END_TEST

/* ---- PASIDs ---- */

START_TEST(a_pasid_is_attached_moved_and_detached)
{
	struct iommufd_hwpt *one, *two, *own;
	struct mock_bed m;

	open_bed(&m, MOCK_PASID);
	one = paging(&m, IOMMUFD_HWPT_PASID);
	two = paging(&m, IOMMUFD_HWPT_PASID);
	own = paging(&m, IOMMUFD_HWPT_PASID);
	ok(iommufd_device_attach_hwpt(m.mock.dev, own));
	ok(iommufd_device_pasid_attach(m.mock.dev, 7, NULL, one));
	ck_assert_int_eq(mock_check_pasid(&m.mock, 7, iommufd_hwpt_id(one)), 0);
	fails(iommufd_device_pasid_attach(m.mock.dev, 7, NULL, two), -EBUSY, "iommufd_device_pasid_replace()");
	ok(iommufd_device_pasid_replace(m.mock.dev, 7, NULL, two));
	ck_assert_int_eq(mock_check_pasid(&m.mock, 7, iommufd_hwpt_id(two)), 0);
	ok(iommufd_device_pasid_attach(m.mock.dev, 8, NULL, one));
	iommufd_hwpt_free(one);
	ck_assert_int_eq(mock_check_pasid(&m.mock, 8, iommufd_hwpt_id(one)), 0);
	ok(iommufd_device_pasid_detach(m.mock.dev, 8));
	ck_assert_int_eq(mock_check_pasid(&m.mock, 8, 0), 0);
	fails(iommufd_device_pasid_detach(m.mock.dev, 8), -ENOTCONN, "not attached");
	fails(iommufd_device_pasid_replace(m.mock.dev, 8, NULL, two), -ENOTCONN, "not attached");

	/* what is left goes with the device */
	iommufd_hwpt_free(two);
	iommufd_hwpt_free(own);
	iommufd_device_free(m.mock.dev);
	m.mock.dev = NULL;
	ck_assert_int_eq(mock_check_pasid(&m.mock, 7, 0), 0);
	close_bed(&m);
}
END_TEST

START_TEST(a_pasid_that_cannot_be_attached_is_refused_with_words)
{
	struct iommufd_hwpt *plain, *good;
	struct mock_bed m, without;

	open_bed(&m, MOCK_PASID);
	open_bed(&without, 0);
	plain = paging(&m, 0);
	good = paging(&m, IOMMUFD_HWPT_PASID);
	fails(iommufd_device_pasid_attach(m.mock.dev, 0, NULL, good), -EINVAL, "PASIDs go from 1");
	fails(iommufd_device_pasid_attach(m.mock.dev, 1u << MOCK_PASID_BITS, NULL, good), -EINVAL, "20 bits");
	fails(iommufd_device_pasid_attach(m.mock.dev, 1, m.bed.ioas, good), -EINVAL, "give one");
	fails(iommufd_device_pasid_attach(m.mock.dev, 1, NULL, NULL), -EINVAL, "give one");
	fails(iommufd_device_pasid_attach(m.mock.dev, 1, NULL, plain), -EINVAL, "IOMMUFD_HWPT_PASID");
	ok(iommufd_device_attach_hwpt(m.mock.dev, plain));
	fails(iommufd_device_pasid_attach(m.mock.dev, 1, NULL, good), -EINVAL, "IOMMUFD_HWPT_PASID");
	fails(iommufd_device_pasid_attach(without.mock.dev, 1, without.bed.ioas, NULL), -EOPNOTSUPP, "has none");
	fails(iommufd_device_pasid_attach(without.mock.dev, 1, NULL, good), -EINVAL, "another context");
	ok(iommufd_device_detach(m.mock.dev));
	iommufd_hwpt_free(plain);
	iommufd_hwpt_free(good);
	close_bed(&without);
	close_bed(&m);
}
END_TEST

START_TEST(a_pasid_that_the_kernel_cannot_move_stays_where_it_is)
{
	struct iommufd_hwpt *one, *two;
	struct mock_bed m;

	open_bed(&m, MOCK_PASID);
	one = paging(&m, IOMMUFD_HWPT_PASID);
	two = paging(&m, IOMMUFD_HWPT_PASID);
	ok(iommufd_device_attach_hwpt(m.mock.dev, two));
	ok(iommufd_device_pasid_attach(m.mock.dev, MOCK_PASID_FAILING, NULL, one));
	fails(iommufd_device_pasid_replace(m.mock.dev, MOCK_PASID_FAILING, NULL, two), -ENOMEM, "PASID 1024");
	ck_assert_int_eq(mock_check_pasid(&m.mock, MOCK_PASID_FAILING, iommufd_hwpt_id(one)), 0);
	ok(iommufd_device_pasid_detach(m.mock.dev, MOCK_PASID_FAILING));
	ok(iommufd_device_detach(m.mock.dev));
	iommufd_hwpt_free(two);
	iommufd_hwpt_free(one);
	close_bed(&m);
}
END_TEST

void add_mock_hwpt_tests(TCase *tc)
{
	tcase_add_test(tc, a_device_tells_its_iommu_before_there_is_any_address_space);
	tcase_add_test(tc, an_iommu_tells_of_the_type_that_is_wanted);
	tcase_add_test(tc, room_for_less_or_more_than_the_data_is_respected);
	tcase_add_test(tc, typed_views_refuse_the_iommu_of_another_vendor);
	tcase_add_test(tc, a_number_that_is_no_device_is_refused);
	tcase_add_test(tc, what_is_somebody_elses_business_is_not_done);
	tcase_add_test(tc, a_page_table_shows_what_is_mapped_before_and_after);
	tcase_add_test(tc, a_mapping_that_a_page_table_cannot_show_keeps_it_from_being_made);
	tcase_add_test(tc, a_move_to_a_file_that_was_cut_off_says_so);
	tcase_add_test(tc, a_device_goes_from_an_ioas_to_a_page_table_and_back);
	tcase_add_test(tc, a_page_table_lives_on_while_a_device_is_attached_to_it);
	tcase_add_test(tc, a_nested_page_table_is_made_above_a_nest_parent);
	tcase_add_test(tc, what_cannot_be_nested_is_refused_with_words);
	tcase_add_test(tc, options_that_mean_nothing_are_refused);
	tcase_add_test(tc, a_pasid_is_attached_moved_and_detached);
	tcase_add_test(tc, a_pasid_that_cannot_be_attached_is_refused_with_words);
	tcase_add_test(tc, a_pasid_that_the_kernel_cannot_move_stays_where_it_is);
}
