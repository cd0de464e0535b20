/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The mock IOMMU itself: that its test ioctl is what mock.h says, and that what it checks can also be wrong. */
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "mock.h"
#include "uapi/iommufd.h"

/* The kernel takes no less than its members, and nothing but zeroes behind what it knows. */
START_TEST(the_test_ioctl_has_the_kernels_size)
{
	struct {
		struct mock_command cmd;
		uint32_t behind[2];
	} room = { .cmd.op = 0 };
	uint32_t members = offsetof(struct mock_command, last) + sizeof(uint32_t);
	struct bed bed;

	bed_open(&bed);
	room.cmd.size = members - 1;
	ck_assert(ioctl(iommufd_ctx_fd(bed.ctx), MOCK_IOCTL, &room) == -1 && errno == EINVAL);
	room.cmd.size = members;
	ck_assert(ioctl(iommufd_ctx_fd(bed.ctx), MOCK_IOCTL, &room) == -1 && errno == EOPNOTSUPP);
	room.cmd.size = sizeof(room);
	ck_assert(ioctl(iommufd_ctx_fd(bed.ctx), MOCK_IOCTL, &room) == -1 && errno == EOPNOTSUPP);
	room.behind[0] = 1;
	ck_assert(ioctl(iommufd_ctx_fd(bed.ctx), MOCK_IOCTL, &room) == -1 && errno == E2BIG);
	bed_close(&bed);
}
END_TEST

static void map(int fd, uint32_t ioas, uint64_t iova, const void *addr, size_t len)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)addr,
		.length = len,
		.iova = iova,
	};

	ck_assert_int_eq(ioctl(fd, IOMMU_IOAS_MAP, &cmd), 0);
}

START_TEST(the_mock_tells_what_is_mapped_and_how_often_pinned)
{
	unsigned char *buf = memory((size_t)2 * PAGE);
	struct mock_device mock;
	struct bed bed;

	bed_open(&bed);
	mock_open(&mock, bed.ctx, 0);
	map(mock.fd, mock.scratch, MOCK_APERTURE_START, buf, PAGE);
	ck_assert_int_eq(mock_check_map(mock.fd, mock.hwpt, MOCK_APERTURE_START, buf, PAGE), 0);
	ck_assert_int_eq(mock_check_map(mock.fd, mock.hwpt, MOCK_APERTURE_START, buf + PAGE, PAGE), -EINVAL);
	ck_assert_int_eq(mock_check_refs(mock.fd, buf, PAGE, 1), 0);
	ck_assert_int_eq(mock_check_refs(mock.fd, buf + PAGE, PAGE, 1), -EIO);
	mock_close(&mock);
	ck_assert_int_eq(mock_check_refs(iommufd_ctx_fd(bed.ctx), buf, PAGE, 0), 0);
	bed_close(&bed);
}
END_TEST

START_TEST(an_access_reads_and_pins_what_is_mapped)
{
	unsigned char *buf = memory(PAGE), *other = memory(PAGE), back[16];
	struct mock_device mock;
	struct bed bed;
	uint32_t pins;
	int access;

	bed_open(&bed);
	mock_open(&mock, bed.ctx, 0);
	map(mock.fd, mock.scratch, MOCK_APERTURE_START, buf, PAGE);
	memset(buf, 0x5a, PAGE);
	access = mock_access(mock.fd, mock.scratch, MOCK_ACCESS_NEEDS_PIN);
	ck_assert_int_ge(access, 0);
	ck_assert_int_eq(mock_access_rw(mock.fd, access, MOCK_APERTURE_START + 5, back, sizeof(back), 0), 0);
	ck_assert_mem_eq(back, buf, sizeof(back));
	ck_assert_int_eq(mock_access_pin(mock.fd, access, MOCK_APERTURE_START, PAGE, buf, 0, &pins), 0);
	ck_assert_int_eq(mock_access_pin(mock.fd, access, MOCK_APERTURE_START, PAGE, other, 0, &pins), -EBADE);
	ck_assert_int_eq(mock_access_unpin(mock.fd, access, pins), 0);
	close(access);
	mock_close(&mock);
	bed_close(&bed);
}
END_TEST

START_TEST(a_dma_buffer_is_made_and_revoked)
{
	struct bed bed;
	int dmabuf;

	bed_open(&bed);
	dmabuf = mock_dmabuf(iommufd_ctx_fd(bed.ctx), (size_t)4 * PAGE);
	ck_assert_int_eq(lseek(dmabuf, 0, SEEK_END), 4 * PAGE);
	mock_dmabuf_revoke(iommufd_ctx_fd(bed.ctx), dmabuf, true);
	close(dmabuf);
	bed_close(&bed);
}
END_TEST

static uint32_t new_hwpt(const struct mock_device *mock)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_HWPT_ALLOC_PASID,
		.dev_id = mock->id,
		.pt_id = mock->scratch,
	};

	ck_assert_int_eq(ioctl(mock->fd, IOMMU_HWPT_ALLOC, &cmd), 0);
	return cmd.out_hwpt_id;
}

static void destroy(int fd, uint32_t id)
{
	ck_assert_int_eq(ioctl(fd, IOMMU_DESTROY, &(struct iommu_destroy){ sizeof(struct iommu_destroy), id }), 0);
}

START_TEST(a_pasid_is_attached_replaced_and_detached)
{
	struct mock_device mock;
	uint32_t one, other;
	struct bed bed;

	bed_open(&bed);
	mock_open(&mock, bed.ctx, MOCK_PASID);
	one = new_hwpt(&mock);
	other = new_hwpt(&mock);
	ck_assert_int_eq(mock_pasid_attach(&mock, 5, one), -EINVAL); /* that of the device is not for PASIDs */
	ck_assert_int_eq(mock_check_pasid(&mock, 5, 0), 0);
	ck_assert_int_eq(mock_attach(&mock, one), 0);
	ck_assert_int_eq(mock_pasid_attach(&mock, 5, one), 0);
	ck_assert_int_eq(mock_check_pasid(&mock, 5, one), 0);
	ck_assert_int_eq(mock_pasid_attach(&mock, 5, other), 0);
	ck_assert_int_eq(mock_check_pasid(&mock, 5, one), -EINVAL);
	ck_assert_int_eq(mock_check_pasid(&mock, 5, other), 0);
	ck_assert_int_eq(mock_pasid_detach(&mock, 5), 0);
	ck_assert_int_eq(mock_check_pasid(&mock, 5, 0), 0);
	ck_assert_int_eq(mock_detach(&mock), 0);
	destroy(mock.fd, one);
	destroy(mock.fd, other);
	mock_close(&mock);
	bed_close(&bed);
}
END_TEST

void add_mock_bed_tests(TCase *tc)
{
	tcase_add_test(tc, the_test_ioctl_has_the_kernels_size);
	tcase_add_test(tc, the_mock_tells_what_is_mapped_and_how_often_pinned);
	tcase_add_test(tc, an_access_reads_and_pins_what_is_mapped);
	tcase_add_test(tc, a_dma_buffer_is_made_and_revoked);
	tcase_add_test(tc, a_pasid_is_attached_replaced_and_detached);
}
