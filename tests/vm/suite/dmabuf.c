/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A device's memory as a file; and devices without an IOMMU, which it cannot be lent to. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm.h"

#define AT UINT64_C(0x10000000)

START_TEST(parts_of_a_region_are_a_file)
{
	struct iommufd_region_part parts[2] = { { 0, PAGE }, { 2 * PAGE, PAGE } };
	struct stat st;
	struct bed bed;
	int fd = -7;

	bed_attach(&bed, NVME);
	if (vm_linux() < 7) {
		lacks(iommufd_device_region_dmabuf(bed.dev, IOMMUFD_PCI_BAR0, parts, 1, RW, &fd), -EOPNOTSUPP,
		      "Linux 6.19");
		ck_assert_int_eq(fd, -7);
		bed_close(&bed);
		return;
	}
	ok(iommufd_device_region_dmabuf(bed.dev, IOMMUFD_PCI_BAR0, parts, 2, RW, &fd));
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 2 * PAGE);
	close(fd);
	ok(iommufd_device_region_dmabuf(bed.dev, IOMMUFD_PCI_BAR0, parts, 1, IOMMUFD_MAP_READ, &fd));
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(fd);
	fd = -7;
	fails(iommufd_device_region_dmabuf(bed.dev, IOMMUFD_PCI_BAR0, parts, 0, RW, &fd), -EINVAL, "one part");
	fails(iommufd_device_region_dmabuf(bed.dev, IOMMUFD_PCI_BAR0, parts, 1025, RW, &fd), -EINVAL, "1024");
	fails(iommufd_device_region_dmabuf(bed.dev, IOMMUFD_PCI_BAR0, parts, 1, IOMMUFD_MAP_WRITE, &fd), -EINVAL,
	      "IOMMUFD_MAP_READ");
	parts[1].len = 1 << 30;
	fails(iommufd_device_region_dmabuf(bed.dev, IOMMUFD_PCI_BAR0, parts, 2, RW, &fd), -ERANGE, "inside");
	parts[1] = (struct iommufd_region_part){ 1, PAGE };
	fails(iommufd_device_region_dmabuf(bed.dev, IOMMUFD_PCI_BAR0, parts, 2, RW, &fd), -EINVAL, "multiples");
	ok(iommufd_device_detach(bed.dev));
	fails(iommufd_device_region_dmabuf(bed.dev, IOMMUFD_PCI_BAR0, parts, 1, RW, &fd), -ENOTCONN, "attach it");
	ck_assert_int_eq(fd, -7);
	bed_close(&bed);
}
END_TEST

START_TEST(a_file_of_a_region_is_mapped_like_other_files)
{
	struct iommufd_region_part part = { 0, PAGE };
	uint64_t iova = AT;
	struct bed bed;
	int fd;

	bed_attach(&bed, NVME);
	if (vm_linux() < 7) {
		lacks(iommufd_device_region_dmabuf(bed.dev, IOMMUFD_PCI_BAR0, &part, 1, IOMMUFD_MAP_READ, &fd),
		      -EOPNOTSUPP, "Linux 6.19");
		bed_close(&bed);
		return;
	}
	ok(iommufd_device_region_dmabuf(bed.dev, IOMMUFD_PCI_BAR0, &part, 1, IOMMUFD_MAP_READ, &fd));
	if (vm_backend == IOMMUFD_BACKEND_VFIO) {
		lacks(iommufd_ioas_map_file(bed.ioas, fd, 0, PAGE, IOMMUFD_MAP_READ | IOMMUFD_MAP_FIXED, &iova),
		      -EOPNOTSUPP, "it is a dma-buf; VFIO's containers have no such thing");
	} else {
		ok(iommufd_ioas_map_file(bed.ioas, fd, 0, PAGE, IOMMUFD_MAP_READ | IOMMUFD_MAP_FIXED, &iova));
		ok(iommufd_ioas_unmap(bed.ioas, AT, PAGE, NULL));
	}
	close(fd);
	bed_close(&bed);
}
END_TEST

/* Whether iommufd can do it, or type1, in a container that it serves itself. */
bool vm_can_lend(void)
{
	if (vm_path->noiommu)
		return false;
	return vm_backend == IOMMUFD_BACKEND_IOMMUFD ? vm_linux() >= 7 : !vm_path->compat;
}

void add_dmabuf_tests(TCase *tc)
{
	tcase_add_test(tc, parts_of_a_region_are_a_file);
	tcase_add_test(tc, a_file_of_a_region_is_mapped_like_other_files);
}

/* ---- Without an IOMMU ---- */

START_TEST(without_an_iommu_there_is_no_address_to_lend_by)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts),
					 .backend = vm_backend,
					 .flags = IOMMUFD_CTX_NOIOMMU };
	struct iommufd_device *drive;
	struct bed bed = { .ctx = NULL };
	struct iommufd_ioas *second;
	uint64_t iova = 7;

	ok(iommufd_ctx_new(&opts, &bed.ctx));
	ok(iommufd_ioas_new(bed.ctx, &bed.ioas));
	ok(iommufd_ioas_new(bed.ctx, &second));
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	ok(iommufd_device_new(bed.ctx, NVME, &drive));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ok(iommufd_device_attach(drive, bed.ioas));
	fails(iommufd_ioas_map_region(bed.ioas, drive, IOMMUFD_PCI_BAR0, 0, PAGE, RW, &iova), -EOPNOTSUPP,
	      "physical address");
	ck_assert_uint_eq(iova, 7);
	iommufd_device_free(drive);
	iommufd_ioas_free(second);
	bed_close(&bed);
}
END_TEST

void add_dmabuf_noiommu_tests(TCase *tc)
{
	tcase_add_test(tc, without_an_iommu_there_is_no_address_to_lend_by);
}
