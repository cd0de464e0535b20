/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Configuration spaces, such as no device should have: what is found in them. */
#include <endian.h>
#include <errno.h>

#include "scene.h"
#include "uapi/vfio.h"

#define REGION_SIZE (16 * SCENE_PAGE) /* of each, as a scene has them */
#define CONFIG_AT   (IOMMUFD_PCI_CONFIG * REGION_SIZE)

static struct scene scene;

static void open_attached(void)
{
	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
}

static void put8(uint32_t at, uint8_t value)
{
	ck_assert_int_eq(iommufd_pci_config_write8(scene.dev, at, value), 0);
}

static void put16(uint32_t at, uint16_t value)
{
	ck_assert_int_eq(iommufd_pci_config_write16(scene.dev, at, value), 0);
}

static void put32(uint32_t at, uint32_t value)
{
	ck_assert_int_eq(iommufd_pci_config_write32(scene.dev, at, value), 0);
}

static void put_cap(uint32_t at, uint8_t id, uint8_t next)
{
	put8(at, id);
	put8(at + 1, next);
}

static void put_ext_cap(uint32_t at, uint16_t id, uint32_t next)
{
	put32(at, id | 1u << 16 | next << 20);
}

static void first_cap(uint8_t at)
{
	put16(0x06, 0x10);
	put8(0x34, at);
}

/* ---- Capabilities ---- */

static void finds(uint8_t id, uint32_t after, uint32_t where)
{
	uint32_t at = 0;

	ck_assert_int_eq(iommufd_pci_find_cap(scene.dev, id, after, &at), 0);
	ck_assert_uint_eq(at, where);
}

static void finds_not(uint8_t id, uint32_t after, int err)
{
	uint32_t at = 7;

	unit_fails(err, iommufd_pci_find_cap(scene.dev, id, after, &at));
	ck_assert_uint_eq(at, 7);
}

static void ext_finds(uint16_t id, uint32_t after, uint32_t where)
{
	uint32_t at = 0;

	ck_assert_int_eq(iommufd_pci_find_ext_cap(scene.dev, id, after, &at), 0);
	ck_assert_uint_eq(at, where);
}

static void ext_finds_not(uint16_t id, uint32_t after, int err)
{
	uint32_t at = 7;

	unit_fails(err, iommufd_pci_find_ext_cap(scene.dev, id, after, &at));
	ck_assert_uint_eq(at, 7);
}

START_TEST(a_capability_is_found_and_so_is_the_next_of_its_kind)
{
	open_attached();
	first_cap(0x83); /* the low bits do not count */
	put_cap(0x80, 0x09, 0x40);
	put_cap(0x40, 0x05, 0xfe);
	put_cap(0xfc, 0x09, 0x50);
	put_cap(0x50, 0x11, 0);
	finds(0x09, 0, 0x80);
	finds(0x09, 0x80, 0xfc);
	finds_not(0x09, 0xfc, -ENOENT);
	finds(0x05, 0, 0x40);
	finds(0x11, 0, 0x50);
	finds(0x11, 0x80, 0x50);
	finds_not(0x10, 0, -ENOENT);
	finds_not(0x05, 0x60, -EINVAL); /* none begins there */
	finds_not(0, 0, -EINVAL);
	scene_close(&scene);
}
END_TEST

START_TEST(a_device_without_capabilities_has_none_whatever_its_pointer_says)
{
	open_attached();
	put8(0x34, 0x40);
	put_cap(0x40, 0x11, 0);
	finds_not(0x11, 0, -ENOENT);
	first_cap(0);
	finds_not(0x11, 0, -ENOENT);
	scene_close(&scene);
}
END_TEST

START_TEST(a_chain_that_loops_or_points_into_the_header_is_told_of)
{
	open_attached();
	first_cap(0x40);
	put_cap(0x40, 0x05, 0x40);
	finds(0x05, 0, 0x40);
	finds_not(0x11, 0, -EPROTO);
	put_cap(0x40, 0x05, 0x60);
	put_cap(0x60, 0x01, 0x40);
	finds_not(0x11, 0, -EPROTO);
	finds_not(0x05, 0x50, -EPROTO);
	put_cap(0x60, 0x01, 0x3c);
	finds_not(0x11, 0, -EPROTO);
	unit_words_have("at 0x3c");
	first_cap(0x04);
	finds_not(0x11, 0, -EPROTO);
	scene_close(&scene);
}
END_TEST

START_TEST(the_longest_chain_that_there_can_be_is_walked_to_its_end)
{
	open_attached();
	first_cap(0x40);
	for (uint32_t at = 0x40; at < 0x100; at += 4)
		put_cap(at, at == 0xfc ? 0x11 : 0x09, (uint8_t)(at + 4));
	finds(0x11, 0, 0xfc);
	finds_not(0x05, 0, -ENOENT);
	for (uint32_t at = 0x100; at < 0x1000; at += 4)
		put_ext_cap(at, at == 0xffc ? 0x10 : 0x0b, (at + 4) & 0xfff);
	ext_finds(0x10, 0, 0xffc);
	ext_finds_not(0x0e, 0, -ENOENT);
	scene_close(&scene);
}
END_TEST

START_TEST(an_extended_capability_is_found_behind_one_that_is_hidden)
{
	open_attached();
	ext_finds_not(0x10, 0, -ENOENT); /* there is none */
	put_ext_cap(0x100, 0, 0x148);    /* as VFIO hides the first one */
	put_ext_cap(0x148, 0x0b, 0x200);
	put_ext_cap(0x200, 0x10, 0x160);
	put_ext_cap(0x160, 0x0b, 0);
	ext_finds(0x10, 0, 0x200);
	ext_finds(0x0b, 0, 0x148);
	ext_finds(0x0b, 0x148, 0x160);
	ext_finds_not(0x0b, 0x160, -ENOENT);
	ext_finds_not(0x0b, 0x104, -EINVAL);
	ext_finds_not(0, 0, -EINVAL);
	scene_close(&scene);
}
END_TEST

START_TEST(an_extended_chain_that_loops_or_points_before_its_space_is_told_of)
{
	open_attached();
	put_ext_cap(0x100, 1, 0x100);
	ext_finds(1, 0, 0x100);
	ext_finds_not(2, 0, -EPROTO);
	put_ext_cap(0x100, 1, 0x0fc);
	ext_finds_not(2, 0, -EPROTO);
	put32(0x100, UINT32_MAX); /* the device is gone */
	put32(0xffc, UINT32_MAX);
	ext_finds_not(2, 0, -EPROTO);
	scene_close(&scene);
}
END_TEST

/* ---- BARs and MSI-X, with a space of 256 bytes and a BAR that is not there ---- */

static uint64_t bar_sizes[IOMMUFD_PCI_VGA + 1];

static int sized_region(int fd, void *arg)
{
	struct vfio_region_info *info = arg;

	(void)fd;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (info->index == IOMMUFD_PCI_BAR2)
		info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	info->size = bar_sizes[info->index];
	info->offset = info->index * REGION_SIZE;
	return 0;
}

static void open_sized(uint64_t config)
{
	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	memset(bar_sizes, 0, sizeof(bar_sizes));
	bar_sizes[IOMMUFD_PCI_CONFIG] = config;
	bar_sizes[IOMMUFD_PCI_BAR0] = 0x4000;
	bar_sizes[IOMMUFD_PCI_BAR2] = 0x1000;
	inject_ioctl(VFIO_DEVICE_GET_REGION_INFO, sized_region);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
}

START_TEST(a_space_of_256_bytes_has_no_extended_capabilities)
{
	open_sized(0x100);
	ext_finds_not(1, 0, -ENOENT);
	first_cap(0xfc);
	put_cap(0xfc, 0x05, 0);
	finds(0x05, 0, 0xfc);
	scene_close(&scene);
}
END_TEST

static struct iommufd_pci_bar bar_info(uint32_t bar)
{
	struct iommufd_pci_bar info = { .struct_size = sizeof(info) };

	ck_assert_int_eq(iommufd_pci_bar_info(scene.dev, bar, &info), 0);
	ck_assert_uint_eq(info.bar, bar);
	return info;
}

START_TEST(a_bar_is_what_its_register_and_the_kernel_say)
{
	struct iommufd_pci_bar info = { .struct_size = sizeof(info), .bar = 42 };

	open_sized(0x1000);
	put32(0x10, 0xfe00000c);
	put32(0x14, 0x0000000d); /* an address, not a register of I/O ports */
	put32(0x18, 0xfd000000);
	put32(0x1c, 0x0000c001); /* the kernel has no such region */
	bar_sizes[IOMMUFD_PCI_BAR4] = 0x20;
	put32(0x20, 0x0000d001);
	ck_assert_uint_eq(bar_info(0).flags, IOMMUFD_PCI_BAR_64BIT | IOMMUFD_PCI_BAR_PREFETCH);
	ck_assert_uint_eq(bar_info(0).size, 0x4000);
	ck_assert_uint_eq(bar_info(1).flags, IOMMUFD_PCI_BAR_UPPER);
	ck_assert_uint_eq(bar_info(1).size, 0);
	ck_assert_uint_eq(bar_info(2).flags, IOMMUFD_PCI_BAR_MMAP);
	ck_assert_uint_eq(bar_info(3).flags, 0);
	ck_assert_uint_eq(bar_info(3).size, 0);
	ck_assert_uint_eq(bar_info(4).flags, IOMMUFD_PCI_BAR_IO);
	ck_assert_uint_eq(bar_info(4).size, 0x20);
	unit_fails(-EINVAL, iommufd_pci_bar_info(scene.dev, IOMMUFD_PCI_ROM, &info));
	info.struct_size = 8;
	unit_fails(-EINVAL, iommufd_pci_bar_info(scene.dev, 0, &info));
	ck_assert_uint_eq(info.bar, 42);
	scene_close(&scene);
}
END_TEST

static void put_msix(uint8_t at, uint16_t control, uint32_t table, uint32_t pba)
{
	first_cap(at);
	put_cap(at, 0x11, 0);
	put16(at + 2u, control);
	put32(at + 4u, table);
	put32(at + 8u, pba);
}

static void no_msix(int err)
{
	struct iommufd_pci_msix info = { .struct_size = sizeof(info), .vectors = 42 };

	unit_fails(err, iommufd_pci_msix_info(scene.dev, &info));
	ck_assert_uint_eq(info.vectors, 42);
}

START_TEST(the_msix_table_is_where_the_capability_says)
{
	struct iommufd_pci_msix info = { .struct_size = sizeof(info) };

	open_sized(0x1000);
	no_msix(-ENOENT);
	put_msix(0x70, 0xc000 | 64, 0x2000, 0x0800 | 2); /* bits of its own beside the length */
	ck_assert_int_eq(iommufd_pci_msix_info(scene.dev, &info), 0);
	ck_assert_uint_eq(info.cap, 0x70);
	ck_assert_uint_eq(info.vectors, 65);
	ck_assert_uint_eq(info.table_bar, 0);
	ck_assert_uint_eq(info.table_offset, 0x2000);
	ck_assert_uint_eq(info.table_size, 65 * 16);
	ck_assert_uint_eq(info.pba_bar, 2);
	ck_assert_uint_eq(info.pba_offset, 0x800);
	ck_assert_uint_eq(info.pba_size, 16);
	scene_close(&scene);
}
END_TEST

START_TEST(an_msix_table_that_is_in_no_bar_is_told_of)
{
	struct iommufd_pci_msix info = { .struct_size = sizeof(info) };

	open_sized(0x1000);
	put_msix(0x70, 2047, 0x0000, 0x0000 | 2);
	bar_sizes[IOMMUFD_PCI_BAR0] = 2048 * 16;
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0); /* what is known of regions is forgotten */
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	put_msix(0x70, 2047, 0x0000, 0x0000 | 2);
	ck_assert_int_eq(iommufd_pci_msix_info(scene.dev, &info), 0);
	put_msix(0x70, 2047, 0x0008, 0x0000 | 2); /* eight bytes beyond */
	no_msix(-EPROTO);
	put_msix(0x70, 0, 0x0000, 0x1000 | 2); /* behind the end */
	no_msix(-EPROTO);
	put_msix(0x70, 0, 0x0000 | 1, 0x0000 | 2); /* no such BAR here */
	no_msix(-EPROTO);
	put_msix(0x70, 0, 0x0000 | 6, 0x0000 | 2); /* nor anywhere */
	no_msix(-EPROTO);
	put_msix(0x70, 0, 0xfffffff8, 0x0000 | 2);
	no_msix(-EPROTO);
	first_cap(0xf8); /* it would go on behind the space of capabilities */
	put_cap(0xf8, 0x11, 0);
	no_msix(-EPROTO);
	scene_close(&scene);
}
END_TEST

/* ---- Whatever is in it ---- */

START_TEST(a_space_of_random_bytes_is_read_to_an_end)
{
	struct iommufd_pci_msix msix = { .struct_size = sizeof(msix) };
	struct iommufd_pci_bar bar = { .struct_size = sizeof(bar) };
	uint64_t seed = unit_seed(), space[0x1000 / 8];
	uint32_t at;
	int ret;

	open_attached();
	for (unsigned int round = 0; round < 500; round++) {
		for (size_t i = 0; i < 0x1000 / 8; i++)
			space[i] = unit_random(&seed);
		((unsigned char *)space)[6] |= 0x10;
		ck_assert_int_eq(iommufd_pci_config_write(scene.dev, 0, space, sizeof(space)), 0);
		ret = iommufd_pci_find_cap(scene.dev, (uint8_t)(1 + unit_below(&seed, 255)), 0, &at);
		ck_assert(ret == -ENOENT || ret == -EPROTO || (!ret && at >= 0x40 && at <= 0xfc && !(at % 4)));
		ret = iommufd_pci_find_ext_cap(scene.dev, (uint16_t)(1 + unit_below(&seed, 30)), 0, &at);
		ck_assert(ret == -ENOENT || ret == -EPROTO || (!ret && at >= 0x100 && at <= 0xffc && !(at % 4)));
		ret = iommufd_pci_msix_info(scene.dev, &msix);
		ck_assert(ret == -ENOENT || ret == -EPROTO ||
			  (!ret && msix.table_offset + msix.table_size <= REGION_SIZE && msix.table_bar < 6));
		for (uint32_t i = 0; i < 6; i++)
			ck_assert_int_eq(iommufd_pci_bar_info(scene.dev, i, &bar), 0);
	}
	scene_close(&scene);
}
END_TEST

START_TEST(a_read_that_fails_ends_each_of_them)
{
	struct iommufd_pci_msix msix = { .struct_size = sizeof(msix) };
	struct iommufd_pci_bar bar = { .struct_size = sizeof(bar) };
	unsigned int nth;
	uint32_t at = 7;

	open_attached();
	first_cap(0x40);
	put_cap(0x40, 0x11, 0);
	put_ext_cap(0x100, 0x10, 0);
	for (nth = 1; nth <= 6; nth++) { /* status, pointer, header, control, two places */
		inject_fail(INJECT_PREAD, nth, -EIO);
		unit_fails(-EIO, iommufd_pci_msix_info(scene.dev, &msix));
	}
	ck_assert_int_eq(iommufd_pci_msix_info(scene.dev, &msix), 0);
	inject_fail(INJECT_PREAD, 1, -EIO);
	unit_fails(-EIO, iommufd_pci_find_ext_cap(scene.dev, 0x10, 0, &at));
	inject_fail(INJECT_PREAD, 2, -EIO);
	unit_fails(-EIO, iommufd_pci_find_ext_cap(scene.dev, 0x10, 0, &at));
	inject_fail(INJECT_PREAD, 3, -EIO);
	unit_fails(-EIO, iommufd_pci_bar_info(scene.dev, 2, &bar));
	ck_assert_uint_eq(at, 7);
	scene_close(&scene);
}
END_TEST

static int no_pci(int fd, void *arg)
{
	struct vfio_device_info *info = arg;

	(void)fd;
	info->flags = VFIO_DEVICE_FLAGS_PLATFORM;
	info->num_regions = 9;
	return 0;
}

START_TEST(what_is_no_pci_device_or_not_attached_has_none_of_this)
{
	struct iommufd_pci_msix msix = { .struct_size = sizeof(msix) };
	struct iommufd_pci_bar bar = { .struct_size = sizeof(bar) };
	uint32_t at;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	for (unsigned int i = 0; i < 2; i++) {
		int err = i ? -EOPNOTSUPP : -ENOTCONN;

		unit_fails(err, iommufd_pci_find_cap(scene.dev, 1, 0, &at));
		unit_fails(err, iommufd_pci_find_ext_cap(scene.dev, 1, 0, &at));
		unit_fails(err, iommufd_pci_bar_info(scene.dev, 0, &bar));
		unit_fails(err, iommufd_pci_msix_info(scene.dev, &msix));
		unit_fails(err, iommufd_pci_config_read32(scene.dev, 0, &at));
		unit_fails(err, iommufd_pci_config_write32(scene.dev, 0, 0));
		unit_fails(err, iommufd_pci_set_memory(scene.dev, true));
		inject_ioctl(VFIO_DEVICE_GET_INFO, no_pci);
		ck_assert_int_eq(i ? 0 : iommufd_device_attach(scene.dev, scene.ioas), 0);
	}
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_capability_is_found_and_so_is_the_next_of_its_kind);
	tcase_add_test(tcase, a_device_without_capabilities_has_none_whatever_its_pointer_says);
	tcase_add_test(tcase, a_chain_that_loops_or_points_into_the_header_is_told_of);
	tcase_add_test(tcase, the_longest_chain_that_there_can_be_is_walked_to_its_end);
	tcase_add_test(tcase, an_extended_capability_is_found_behind_one_that_is_hidden);
	tcase_add_test(tcase, an_extended_chain_that_loops_or_points_before_its_space_is_told_of);
	tcase_add_test(tcase, a_space_of_256_bytes_has_no_extended_capabilities);
	tcase_add_test(tcase, a_bar_is_what_its_register_and_the_kernel_say);
	tcase_add_test(tcase, the_msix_table_is_where_the_capability_says);
	tcase_add_test(tcase, an_msix_table_that_is_in_no_bar_is_told_of);
	tcase_add_test(tcase, a_space_of_random_bytes_is_read_to_an_end);
	tcase_add_test(tcase, a_read_that_fails_ends_each_of_them);
	tcase_add_test(tcase, what_is_no_pci_device_or_not_attached_has_none_of_this);
}
