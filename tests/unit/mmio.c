/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Each accessor touches the bytes of its width and no others, in the order of the bus. */
#include <string.h>

#include <libiommufd.h>

#include "unit.h"

static _Alignas(8) unsigned char at[24];

static void check(size_t width)
{
	static const unsigned char bytes[8] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88 };

	for (size_t i = 0; i < sizeof(at); i++)
		ck_assert_msg(at[i] == (i >= 8 && i < 8 + width ? bytes[i - 8] : 0xee), "byte %zu is 0x%02x", i, at[i]);
}

START_TEST(a_write_is_as_wide_as_its_name_says_and_little_endian)
{
	memset(at, 0xee, sizeof(at));
	iommufd_mmio_write8(at + 8, 0x11);
	check(1);
	memset(at, 0xee, sizeof(at));
	iommufd_mmio_write16(at + 8, 0x2211);
	check(2);
	memset(at, 0xee, sizeof(at));
	iommufd_mmio_write32(at + 8, 0x44332211);
	check(4);
	memset(at, 0xee, sizeof(at));
	iommufd_mmio_write64(at + 8, UINT64_C(0x8877665544332211));
	check(8);
}
END_TEST

START_TEST(a_read_gives_what_was_written)
{
	memset(at, 0xee, sizeof(at));
	iommufd_mmio_write64(at + 8, UINT64_C(0x8877665544332211));
	ck_assert_uint_eq(iommufd_mmio_read8(at + 8), 0x11);
	ck_assert_uint_eq(iommufd_mmio_read8(at + 15), 0x88);
	ck_assert_uint_eq(iommufd_mmio_read16(at + 8), 0x2211);
	ck_assert_uint_eq(iommufd_mmio_read32(at + 8), 0x44332211);
	ck_assert_uint_eq(iommufd_mmio_read64(at + 8), UINT64_C(0x8877665544332211));
	check(8);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_write_is_as_wide_as_its_name_says_and_little_endian);
	tcase_add_test(tcase, a_read_gives_what_was_written);
}
