/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Moving a device from one address space to another. */
#include "vm.h"

/* Whether this path can do it; where it cannot, it must say so and leave the device where it was. */
static bool replaces(struct bed *bed, struct iommufd_ioas *to)
{
	int ret = iommufd_device_replace(bed->dev, to);

	if (ret == -EOPNOTSUPP)
		fails(ret, -EOPNOTSUPP, "detach it and attach it anew");
	else
		ok(ret);
	ck_assert_int_eq(ret == 0, vm_can_replace());
	return !ret;
}

START_TEST(a_device_moves_to_another_ioas_and_keeps_its_registers)
{
	unsigned char *pages = memory(4 * PAGE);
	uint64_t from = 0x100000, to = 0x200000;
	struct iommufd_ioas *second;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	ok(iommufd_ioas_new(bed.ctx, &second));
	ok(iommufd_ioas_map(bed.ioas, pages, PAGE, RW | IOMMUFD_MAP_FIXED, &from));
	ok(iommufd_ioas_map(bed.ioas, pages + PAGE, PAGE, RW | IOMMUFD_MAP_FIXED, &to));
	ok(iommufd_ioas_map(second, pages + 2 * PAGE, PAGE, RW | IOMMUFD_MAP_FIXED, &from));
	ok(iommufd_ioas_map(second, pages + 3 * PAGE, PAGE, RW | IOMMUFD_MAP_FIXED, &to));
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, from, pages, to, pages + PAGE);
	if (replaces(&bed, second)) {
		/* The same registers, other memory at the same addresses. */
		edu_copy_works(&edu, from, pages + 2 * PAGE, to, pages + 3 * PAGE);
		ok(iommufd_ioas_unmap_all(bed.ioas, NULL));
		edu_copy_works(&edu, to, pages + 3 * PAGE, from, pages + 2 * PAGE);
		ok(iommufd_device_replace(bed.dev, second));
		fails(iommufd_device_attach(bed.dev, bed.ioas), -EBUSY, "another IOAS");
		iommufd_ioas_free(second);
		edu_copy_works(&edu, from, pages + 2 * PAGE, to, pages + 3 * PAGE);
		ok(iommufd_device_replace(bed.dev, bed.ioas));
		ok(iommufd_ioas_map(bed.ioas, pages, PAGE, RW | IOMMUFD_MAP_FIXED, &from));
		ok(iommufd_ioas_map(bed.ioas, pages + PAGE, PAGE, RW | IOMMUFD_MAP_FIXED, &to));
	} else {
		iommufd_ioas_free(second);
	}
	edu_copy_works(&edu, from, pages, to, pages + PAGE);
	edu_detach(&edu);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	bed_close(&bed);
}
END_TEST

START_TEST(a_move_that_is_refused_leaves_the_device_where_it_was)
{
	unsigned char *pages = memory(2 * PAGE);
	uint64_t iova = 0x100000, bad = MSI_WINDOW;
	struct iommufd_ioas *second;
	struct bed bed, other;
	struct edu edu;

	bed_open_device(&bed, EDU);
	ok(iommufd_ioas_new(bed.ctx, &second));
	fails(iommufd_device_replace(bed.dev, second), -ENOTCONN, "attach it");
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	bed_open(&other);
	fails(iommufd_device_replace(bed.dev, other.ioas), -EINVAL, "same context");
	bed_close(&other);

	ok(iommufd_ioas_map(bed.ioas, pages, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_ioas_map(second, pages, PAGE, RW | IOMMUFD_MAP_FIXED, &bad));
	if (vm_can_replace()) {
		fails(iommufd_device_replace(bed.dev, second), -EADDRINUSE, MSI_WINDOW_PAGE);
		ck_assert_int_eq(iommufd_ioas_ranges(second, NULL, 0), 1);
	}
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, iova, pages, iova + PAGE, pages + PAGE);
	iommufd_ioas_free(second);
	bed_close(&bed);
}
END_TEST

START_TEST(a_group_does_not_move_in_parts)
{
	struct iommufd_device *other;
	struct iommufd_ioas *second;
	struct bed bed;

	vm_bind(TWIN_VIRTIO, "vfio-pci");
	bed_attach(&bed, TWIN_A);
	ok(iommufd_ioas_new(bed.ctx, &second));
	ok(iommufd_device_new(bed.ctx, TWIN_B, &other));
	ok(iommufd_device_attach(other, bed.ioas));
	fails(iommufd_device_replace(bed.dev, second), -EBUSY, "detach the others of its group");
	ok(iommufd_device_detach(other));
	replaces(&bed, second);
	if (vm_can_replace())
		fails(iommufd_device_attach(other, bed.ioas), -EBUSY, "group");
	iommufd_device_free(other);
	iommufd_ioas_free(second);
	bed_close(&bed);
}
END_TEST

void add_replace_tests(TCase *tc)
{
	tcase_add_test(tc, a_device_moves_to_another_ioas_and_keeps_its_registers);
	tcase_add_test(tc, a_move_that_is_refused_leaves_the_device_where_it_was);
	tcase_add_test(tc, a_group_does_not_move_in_parts);
}
