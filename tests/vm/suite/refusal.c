/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Bad input: an errno, a sentence that says what to do, and nothing changed. */
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "vm.h"

START_TEST(an_address_of_nothing_is_refused)
{
	char above[PATH_MAX];
	struct bed bed;

	vm_sysfs(EDU "/..", above);
	bed_open(&bed);
	fails(iommufd_device_new(bed.ctx, "0000:00:1e.7", &bed.dev), -ENOENT, "lspci");
	fails(iommufd_device_new(bed.ctx, "/sys/bus/pci/devices/0000:00:1e.7", &bed.dev), -ENOENT, "lspci");
	fails(iommufd_device_new(bed.ctx, "/dev/vfio/devices/vfio99", &bed.dev), -ENOENT, "/dev/vfio/devices");
	fails(iommufd_device_new(bed.ctx, "12345678-1234-1234-1234-123456789abc", &bed.dev), -ENOENT, "lspci");
	fails(iommufd_device_new(bed.ctx, "/dev/null", &bed.dev), -EINVAL, "PCI address");
	fails(iommufd_device_new(bed.ctx, "0000:00:20.0", &bed.dev), -EINVAL, "PCI address");
	fails(iommufd_device_new(bed.ctx, "00:03", &bed.dev), -EINVAL, "PCI address");
	fails(iommufd_device_new(bed.ctx, "0000:00:03.0x", &bed.dev), -EINVAL, "PCI address");
	fails(iommufd_device_new(bed.ctx, "100000000:00:03.0", &bed.dev), -EINVAL, "PCI address");
	fails(iommufd_device_new(bed.ctx, "0000:00:3.000000000", &bed.dev), -EINVAL, "PCI address");
	fails(iommufd_device_new(bed.ctx, above, &bed.dev), -EINVAL, "PCI address");
	fails(iommufd_device_new(bed.ctx, "/sys/class/tty/console", &bed.dev), -EINVAL, "PCI address");
	fails(iommufd_device_new(bed.ctx, "/sys/none", &bed.dev), -ENOENT, "lspci");
	fails(iommufd_device_new(bed.ctx, "nvme0", &bed.dev), -EINVAL, "PCI address");
	fails(iommufd_device_new(bed.ctx, "", &bed.dev), -EINVAL, "PCI address");
	ck_assert_ptr_null(bed.dev);
	bed_close(&bed);
}
END_TEST

START_TEST(a_drive_in_the_hands_of_its_driver_is_refused)
{
	int fds = open_fds();
	struct bed bed;

	vm_bind(NVME, "nvme");
	bed_open(&bed);
	fails(iommufd_device_new(bed.ctx, NVME, &bed.dev), -ENODEV, "bound to nvme");
	fails(iommufd_device_new(bed.ctx, NVME, &bed.dev), -ENODEV, "/driver/unbind; echo vfio-pci > ");
	ck_assert_ptr_null(bed.dev);
	bed_close(&bed);
	ck_assert_int_eq(open_fds(), fds);
	vm_bind(NVME, "vfio-pci");
}
END_TEST

START_TEST(a_device_without_a_driver_is_refused)
{
	struct bed bed;

	vm_bind(EDU, NULL);
	bed_open(&bed);
	fails(iommufd_device_new(bed.ctx, EDU, &bed.dev), -ENODEV, "bound to no driver");
	fails(iommufd_device_new(bed.ctx, EDU, &bed.dev), -ENODEV, "echo vfio-pci > ");
	ck_assert_ptr_null(bed.dev);
	bed_close(&bed);
	vm_bind(EDU, "vfio-pci");
	bed_attach(&bed, EDU);
	bed_close(&bed);
}
END_TEST

START_TEST(a_sibling_in_the_hands_of_the_kernel_is_named)
{
	char words[64];
	struct bed bed;

	vm_bind(TWIN_VIRTIO, "virtio-pci");
	bed_open(&bed);
	snprintf(words, sizeof(words), "%s is bound to virtio-pci", TWIN_VIRTIO);
	fails(iommufd_device_new(bed.ctx, TWIN_A, &bed.dev), -EPERM, words);
	ck_assert_ptr_null(bed.dev);
	bed_close(&bed);
	vm_bind(TWIN_VIRTIO, "vfio-pci");
	bed_attach(&bed, TWIN_A);
	bed_close(&bed);
}
END_TEST

/* The rows about a map, first without a device and then with one. */
static void map_rows(struct bed *bed)
{
	unsigned char *page = memory(2 * PAGE);
	uint64_t iova = 0x100000, bytes;

	fails(iommufd_ioas_map(bed->ioas, page, 0, RW, &iova), -EINVAL, "length");
	fails(iommufd_ioas_map(bed->ioas, page, 100, RW, &iova), -EINVAL, "iommufd_ioas_alignment");
	fails(iommufd_ioas_map(bed->ioas, page + 1, PAGE, RW, &iova), -EINVAL, "iommufd_ioas_alignment");
	fails(iommufd_ioas_map(bed->ioas, page, PAGE, 0, &iova), -EINVAL, "IOMMUFD_MAP_READ");
	fails(iommufd_ioas_map(bed->ioas, page, PAGE, IOMMUFD_MAP_FIXED, &iova), -EINVAL, "IOMMUFD_MAP_READ");
	fails(iommufd_ioas_map(bed->ioas, page, PAGE, RW | 1u << 3, &iova), -EINVAL, "IOMMUFD_MAP flags");
	fails(iommufd_ioas_map(bed->ioas, page, PAGE, RW | 1u << 31, &iova), -EINVAL, "IOMMUFD_MAP flags");
	fails(iommufd_ioas_map(bed->ioas, page, SIZE_MAX - PAGE + 1, RW, &iova), -EOVERFLOW, "length");
	ck_assert_uint_eq(iova, 0x100000);

	iova = 0x100001;
	fails(iommufd_ioas_map(bed->ioas, page, PAGE, RW | IOMMUFD_MAP_FIXED, &iova), -EINVAL,
	      "iommufd_ioas_alignment");
	iova = UINT64_MAX - PAGE + 1;
	fails(iommufd_ioas_map(bed->ioas, page, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova), -EOVERFLOW, "leaves room");
	ck_assert_uint_eq(iova, UINT64_MAX - PAGE + 1);

	fails(iommufd_ioas_unmap(bed->ioas, 0x100000, 0, &bytes), -EINVAL, "iommufd_ioas_unmap_all");
	fails(iommufd_ioas_unmap(bed->ioas, 0x100001, PAGE, &bytes), -EINVAL, "iommufd_ioas_alignment");
	fails(iommufd_ioas_unmap(bed->ioas, 0x100000, 100, &bytes), -EINVAL, "iommufd_ioas_alignment");
	fails(iommufd_ioas_unmap(bed->ioas, PAGE, UINT64_MAX - PAGE + 1, &bytes), -ENOENT, "iommufd_ioas_map");
	fails(iommufd_ioas_unmap(bed->ioas, 2 * PAGE, UINT64_MAX - PAGE + 1, &bytes), -EOVERFLOW, "unmap_all");
	ok(iommufd_ioas_unmap_all(bed->ioas, &bytes));
	ck_assert_uint_eq(bytes, 0);
}

START_TEST(a_bad_map_or_unmap_changes_nothing)
{
	struct bed bed;

	bed_open_device(&bed, EDU);
	map_rows(&bed);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	map_rows(&bed);
	bed_close(&bed);
}
END_TEST

START_TEST(an_iova_that_is_not_permitted_is_refused)
{
	static const uint64_t bad[] = { MSI_WINDOW, MSI_WINDOW - PAGE, MSI_WINDOW + (1 << 20) - PAGE };
	unsigned char *pages = memory(2 * PAGE);
	struct bed bed;

	bed_attach(&bed, EDU);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t iova = bad[i];

		fails(iommufd_ioas_map(bed.ioas, pages, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova), -EINVAL,
		      "iommufd_ioas_ranges(): " MSI_WINDOW_BELOW);
		ck_assert_uint_eq(iova, bad[i]);
	}
	bed_close(&bed);
}
END_TEST

void add_refusal_tests(TCase *tc)
{
	tcase_add_test(tc, an_address_of_nothing_is_refused);
	tcase_add_test(tc, a_drive_in_the_hands_of_its_driver_is_refused);
	tcase_add_test(tc, a_device_without_a_driver_is_refused);
	tcase_add_test(tc, a_sibling_in_the_hands_of_the_kernel_is_named);
	tcase_add_test(tc, a_bad_map_or_unmap_changes_nothing);
	tcase_add_test(tc, an_iova_that_is_not_permitted_is_refused);
}
