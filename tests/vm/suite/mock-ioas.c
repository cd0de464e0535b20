/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the mock IOMMU shows of files, copies, dma-bufs and the list of allowed IOVAs: which pages it has, and how
 * often.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mock.h"

#define AT    ((uint64_t)MOCK_APERTURE_START)
#define LATER (AT + 0x100000)

struct mock_bed {
	struct bed bed;
	struct mock_device mock;
	int fd; /* a memfd of four pages */
	unsigned char *view;
};

static void open_bed(struct mock_bed *m)
{
	bed_open(&m->bed);
	mock_open(&m->mock, m->bed.ctx, 0);
	m->fd = memfd_create("guest", MFD_CLOEXEC);
	ck_assert_int_ge(m->fd, 0);
	ck_assert_int_eq(ftruncate(m->fd, 4 * PAGE), 0);
	m->view = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	ck_assert_ptr_ne(m->view, MAP_FAILED);
	memset(m->view, 1, 4 * PAGE);
}

static void close_bed(struct mock_bed *m)
{
	mock_close(&m->mock);
	munmap(m->view, 4 * PAGE);
	close(m->fd);
	bed_close(&m->bed);
}

static void map_file(struct mock_bed *m, int fd, uint64_t start, size_t len, uint64_t iova)
{
	ok(iommufd_ioas_map_file(m->bed.ioas, fd, start, len, RW | IOMMUFD_MAP_FIXED, &iova));
}

START_TEST(the_pages_of_a_file_are_pinned_once_however_often_they_are_copied)
{
	struct iommufd_ioas *second;
	struct mock_device other;
	uint64_t iova = AT;
	struct mock_bed m;

	open_bed(&m);
	map_file(&m, m.fd, PAGE, 2 * PAGE, AT);
	ok(mock_check_refs(m.mock.fd, m.view, 4 * PAGE, 0)); /* not before there is a device */
	ok(iommufd_device_attach(m.mock.dev, m.bed.ioas));
	ok(mock_check_map(m.mock.fd, m.mock.hwpt, AT, m.view + PAGE, 2 * PAGE));
	ok(mock_check_refs(m.mock.fd, m.view + PAGE, 2 * PAGE, 1));
	ok(mock_check_refs(m.mock.fd, m.view, PAGE, 0));

	ok(iommufd_ioas_new(m.bed.ctx, &second));
	mock_open(&other, m.bed.ctx, 0);
	ok(iommufd_device_attach(other.dev, second));
	ok(iommufd_ioas_copy(m.bed.ioas, AT + PAGE, PAGE, second, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(mock_check_map(other.fd, other.hwpt, AT, m.view + 2 * PAGE, PAGE));
	ok(mock_check_refs(m.mock.fd, m.view + PAGE, 2 * PAGE, 1));
	ok(iommufd_ioas_unmap_all(m.bed.ioas, NULL));
	ok(mock_check_refs(m.mock.fd, m.view + PAGE, PAGE, 0));
	ok(mock_check_refs(m.mock.fd, m.view + 2 * PAGE, PAGE, 1));
	ok(iommufd_ioas_unmap_all(second, NULL));
	ok(mock_check_refs(m.mock.fd, m.view, 4 * PAGE, 0));
	mock_close(&other);
	iommufd_ioas_free(second);
	close_bed(&m);
}
END_TEST

START_TEST(an_attach_that_a_file_prevents_leaves_nothing_pinned)
{
	uint64_t iova = LATER;
	struct mock_bed m;

	open_bed(&m);
	map_file(&m, m.fd, 0, 2 * PAGE, AT);
	ok(iommufd_ioas_map(m.bed.ioas, memory(PAGE), PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	map_file(&m, m.fd, 2 * PAGE, 2 * PAGE, LATER + PAGE);
	ck_assert_int_eq(ftruncate(m.fd, 3 * PAGE), 0);
	fails(iommufd_device_attach(m.mock.dev, m.bed.ioas), -EFAULT, "bytes 0x2000-0x3fff of a file");
	ok(mock_check_refs(m.mock.fd, m.view, 3 * PAGE, 0));
	ok(iommufd_ioas_unmap(m.bed.ioas, LATER + PAGE, 2 * PAGE, NULL));
	ok(iommufd_device_attach(m.mock.dev, m.bed.ioas));
	ok(mock_check_refs(m.mock.fd, m.view, 2 * PAGE, 1));
	close_bed(&m);
}
END_TEST

START_TEST(a_dma_buf_is_mapped_until_its_device_takes_it_back)
{
	struct iommufd_ioas *second;
	uint64_t iova = LATER, bytes;
	struct mock_bed m;
	int buf, again;

	open_bed(&m);
	buf = mock_dmabuf(m.mock.fd, 4 * PAGE);
	again = mock_dmabuf(m.mock.fd, 4 * PAGE);
	map_file(&m, buf, 0, 4 * PAGE, AT); /* before there is a device */
	ok(iommufd_device_attach(m.mock.dev, m.bed.ioas));
	map_file(&m, again, PAGE, 2 * PAGE, LATER);
	ok(iommufd_ioas_new(m.bed.ctx, &second));
	ok(iommufd_ioas_copy(m.bed.ioas, LATER, PAGE, second, RW | IOMMUFD_MAP_FIXED, &iova));
	fails(iommufd_ctx_can_change_process(m.bed.ctx), -EINVAL, "or of a dma-buf");
	fails(iommufd_ioas_map_file(m.bed.ioas, buf, 0, 5 * PAGE, RW, &iova), -EINVAL, "ends after 0x4000 bytes");

	mock_dmabuf_revoke(m.mock.fd, buf, true);
	fails(iommufd_ioas_map_file(m.bed.ioas, buf, 0, PAGE, RW, &iova), -ENODEV, "map it anew");
	mock_dmabuf_revoke(m.mock.fd, buf, false);
	iova = LATER + 2 * PAGE;
	ok(iommufd_ioas_map_file(m.bed.ioas, buf, 0, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	close(buf);
	close(again);
	ok(iommufd_ioas_unmap_all(m.bed.ioas, &bytes));
	ck_assert_uint_eq(bytes, 7 * PAGE);
	iommufd_ioas_free(second);
	close_bed(&m);
}
END_TEST

START_TEST(a_device_with_another_aperture_does_not_come_to_what_is_allowed)
{
	const struct iommufd_range low = { 0x10000, 0x1ffff }, mid = { AT, AT + 0xffff };
	uint64_t iova;
	struct mock_bed m;

	open_bed(&m);
	ok(iommufd_ioas_allow(m.bed.ioas, &low, 1));
	ok(iommufd_ioas_allow(m.bed.ioas, &mid, 1));
	fails(iommufd_device_attach(m.mock.dev, m.bed.ioas), -EADDRINUSE,
	      "0x10000-0x1ffff of what iommufd_ioas_allow()");
	ok(iommufd_ioas_allow(m.bed.ioas, NULL, 0));
	ok(iommufd_ioas_allow(m.bed.ioas, &mid, 1));
	ok(iommufd_device_attach(m.mock.dev, m.bed.ioas));
	ok(iommufd_ioas_map_file(m.bed.ioas, m.fd, 0, PAGE, RW, &iova));
	ck_assert_uint_eq(iova, AT);
	/* the kernel keeps it, too: what is allowed cannot be reserved any more */
	ck_assert_int_eq(mock_add_reserved(m.mock.fd, iommufd_ioas_id(m.bed.ioas), AT + 0x8000, PAGE), -EADDRINUSE);
	ok(mock_add_reserved(m.mock.fd, iommufd_ioas_id(m.bed.ioas), AT + 0x10000, PAGE));
	close_bed(&m);
}
END_TEST

void add_mock_ioas_tests(TCase *tc)
{
	tcase_add_test(tc, the_pages_of_a_file_are_pinned_once_however_often_they_are_copied);
	tcase_add_test(tc, an_attach_that_a_file_prevents_leaves_nothing_pinned);
	tcase_add_test(tc, a_dma_buf_is_mapped_until_its_device_takes_it_back);
	tcase_add_test(tc, a_device_with_another_aperture_does_not_come_to_what_is_allowed);
}
