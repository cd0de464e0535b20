/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Devices of buses that no machine of the tests has, as the kernel would answer for them. */
#include <errno.h>

#include "scene.h"
#include "uapi/vfio.h"

#define NODE "/sys/devices/pci0000:00/somewhere/of_node/"

static struct scene scene;
static uint32_t flags, num_regions, num_irqs;

static int info_of(int fd, void *arg)
{
	struct vfio_device_info *info = arg;

	(void)fd;
	info->flags = flags;
	info->num_regions = num_regions;
	info->num_irqs = num_irqs;
	return 0;
}

static void open_as(uint32_t kind, uint32_t regions, uint32_t irqs)
{
	flags = kind;
	num_regions = regions;
	num_irqs = irqs;
	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl(VFIO_DEVICE_GET_INFO, info_of);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
}

START_TEST(the_info_tells_the_bus)
{
	static const struct {
		uint32_t kernels, ours;
	} kinds[] = {
		{ VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET, IOMMUFD_DEVICE_PCI | IOMMUFD_DEVICE_RESET },
		{ VFIO_DEVICE_FLAGS_PLATFORM, IOMMUFD_DEVICE_PLATFORM },
		{ VFIO_DEVICE_FLAGS_AMBA, IOMMUFD_DEVICE_AMBA },
		{ VFIO_DEVICE_FLAGS_CCW, IOMMUFD_DEVICE_CCW },
		{ VFIO_DEVICE_FLAGS_AP, IOMMUFD_DEVICE_AP },
		{ VFIO_DEVICE_FLAGS_FSL_MC, IOMMUFD_DEVICE_FSL_MC },
		{ VFIO_DEVICE_FLAGS_CDX, IOMMUFD_DEVICE_CDX },
		{ VFIO_DEVICE_FLAGS_CAPS | 1u << 31, 0 },
	};
	struct iommufd_device_info info = { .struct_size = sizeof(info) };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		open_as(kinds[i].kernels, 1, 1);
		ck_assert_int_eq(iommufd_device_get_info(scene.dev, &info), 0);
		ck_assert_uint_eq(info.flags, IOMMUFD_DEVICE_ATTACHED | kinds[i].ours);
		scene_close(&scene);
	}
}
END_TEST

/* ---- Platform ---- */

START_TEST(a_platform_device_has_regions_interrupts_and_no_configuration_space)
{
	struct iommufd_region_info region = { .struct_size = sizeof(region) };
	struct iommufd_irq_info irq = { .struct_size = sizeof(irq) };
	uint32_t word;
	int fd = -1;

	open_as(VFIO_DEVICE_FLAGS_PLATFORM, 2, 3);
	ck_assert_int_eq(iommufd_device_region_info(scene.dev, 1, &region), 0);
	unit_fails(-EINVAL, iommufd_device_region_info(scene.dev, 2, &region));
	ck_assert_int_eq(iommufd_device_region_read(scene.dev, 0, 0, &word, 4), 0);
	ck_assert_int_eq(iommufd_device_irq_info(scene.dev, 2, &irq), 0);
	ck_assert_int_eq(iommufd_device_irq_enable(scene.dev, 0, 0, 1, &fd), 0);
	ck_assert_int_eq(iommufd_device_irq_enable(scene.dev, 1, 0, 1, &fd), 0); /* they do not exclude each other */
	unit_fails(-EOPNOTSUPP, iommufd_pci_config_read(scene.dev, 0, &word, 4));
	scene_close(&scene);
}
END_TEST

START_TEST(what_a_device_tree_names_is_found_by_its_name)
{
	uint32_t index = 7;

	open_as(VFIO_DEVICE_FLAGS_PLATFORM, 2, 2);
	inject_bytes(NODE "reg-names", "ctrl\0data", 10);
	ck_assert_int_eq(iommufd_platform_find_region(scene.dev, "ctrl", &index), 0);
	ck_assert_uint_eq(index, 0);
	ck_assert_int_eq(iommufd_platform_find_region(scene.dev, "data", &index), 0);
	ck_assert_uint_eq(index, 1);
	index = 7;
	unit_fails(-ENOENT, iommufd_platform_find_region(scene.dev, "dat", &index));
	unit_words_have("it has ctrl, data");
	unit_fails(-ENOENT, iommufd_platform_find_irq(scene.dev, "ctrl", &index));
	unit_words_have("no device tree names them");
	inject_bytes(NODE "interrupt-names", "rx\0tx\0err", 10);
	ck_assert_int_eq(iommufd_platform_find_irq(scene.dev, "tx", &index), 0);
	ck_assert_uint_eq(index, 1);
	unit_fails(-EPROTO, iommufd_platform_find_irq(scene.dev, "err", &index)); /* VFIO has but two */
	ck_assert_uint_eq(index, 1);
	scene_close(&scene);
}
END_TEST

START_TEST(names_without_an_end_are_read_to_the_end_of_the_file)
{
	char many[8192];
	uint32_t index = 7;

	memset(many, 'x', sizeof(many));
	open_as(VFIO_DEVICE_FLAGS_AMBA, 1, 1);
	inject_bytes(NODE "reg-names", "ctrl", 4);
	ck_assert_int_eq(iommufd_platform_find_region(scene.dev, "ctrl", &index), 0);
	ck_assert_uint_eq(index, 0);
	inject_bytes(NODE "reg-names", many, sizeof(many));
	unit_fails(-ENAMETOOLONG, iommufd_platform_find_region(scene.dev, "ctrl", &index));
	memcpy(many, "ctrl", 5);
	ck_assert_int_eq(iommufd_platform_find_region(scene.dev, "ctrl", &index), 0);
	/* One that is cut off is not the one that it looks like then. */
	memset(many, 'x', sizeof(many));
	memcpy(many + 4089, "\0ctrl-2", 8);
	unit_fails(-ENAMETOOLONG, iommufd_platform_find_region(scene.dev, "ctrl-", &index));
	unit_words_have("use its number");
	inject_bytes(NODE "reg-names", "", 0);
	unit_fails(-ENOENT, iommufd_platform_find_region(scene.dev, "ctrl", &index));
	scene_close(&scene);
}
END_TEST

/* ---- Channel devices ---- */

static uint32_t subtypes[4], type;
static uint64_t sizes[4];

static int ccw_region(int fd, void *arg)
{
	struct {
		struct vfio_region_info info;
		struct vfio_region_info_cap_type type;
	} answer = {
		.info = { .argsz = sizeof(answer), .flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE },
		.type = { { VFIO_REGION_INFO_CAP_TYPE, 1, 0 }, type, 0 },
	};
	uint32_t index = ((struct vfio_region_info *)arg)->index;
	bool fits = ((struct vfio_region_info *)arg)->argsz >= sizeof(answer);

	(void)fd;
	answer.info.index = index;
	answer.info.size = sizes[index];
	answer.type.subtype = subtypes[index];
	if (index) {
		answer.info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		answer.info.cap_offset = fits ? offsetof(__typeof__(answer), type) : 0;
	} else {
		answer.info.argsz = sizeof(answer.info);
	}
	memcpy(arg, &answer, fits ? sizeof(answer) : sizeof(answer.info));
	return 0;
}

static void open_ccw(void)
{
	type = VFIO_REGION_TYPE_CCW;
	/* In another order than the numbers of the kinds. */
	subtypes[1] = IOMMUFD_CCW_SCHIB;
	subtypes[2] = IOMMUFD_CCW_CRW;
	subtypes[3] = IOMMUFD_CCW_CMD;
	sizes[0] = sizeof(struct iommufd_ccw_io);
	sizes[1] = sizeof(struct iommufd_ccw_schib);
	sizes[2] = sizeof(struct iommufd_ccw_crw);
	sizes[3] = sizeof(struct iommufd_ccw_cmd);
	open_as(VFIO_DEVICE_FLAGS_CCW, 4, 3);
	inject_ioctl(VFIO_DEVICE_GET_REGION_INFO, ccw_region);
}

static uint32_t place_of(uint32_t region)
{
	uint32_t index = 42;

	ck_assert_int_eq(iommufd_ccw_find_region(scene.dev, region, &index), 0);
	return index;
}

START_TEST(the_regions_of_a_channel_device_are_found_wherever_they_are)
{
	open_ccw();
	ck_assert_uint_eq(place_of(IOMMUFD_CCW_IO), 0);
	ck_assert_uint_eq(place_of(IOMMUFD_CCW_SCHIB), 1);
	ck_assert_uint_eq(place_of(IOMMUFD_CCW_CRW), 2);
	ck_assert_uint_eq(place_of(IOMMUFD_CCW_CMD), 3);
	scene_close(&scene);
}
END_TEST

START_TEST(a_region_that_a_channel_device_lacks_or_that_is_too_small_is_told_of)
{
	uint32_t index = 42;

	open_ccw();
	unit_fails(-EINVAL, iommufd_ccw_find_region(scene.dev, 4, &index));
	subtypes[2] = 7;
	unit_fails(-ENOENT, iommufd_ccw_find_region(scene.dev, IOMMUFD_CCW_CRW, &index));
	sizes[1]--;
	unit_fails(-EPROTO, iommufd_ccw_find_region(scene.dev, IOMMUFD_CCW_SCHIB, &index));
	sizes[0] = 0;
	unit_fails(-EPROTO, iommufd_ccw_find_region(scene.dev, IOMMUFD_CCW_IO, &index));
	type = 1; /* graphics */
	unit_fails(-ENOENT, iommufd_ccw_find_region(scene.dev, IOMMUFD_CCW_CMD, &index));
	inject_ioctl_fail(VFIO_DEVICE_GET_REGION_INFO, 2, 1, -EIO);
	unit_fails(-EIO, iommufd_ccw_find_region(scene.dev, IOMMUFD_CCW_CMD, &index));
	ck_assert_uint_eq(index, 42);
	scene_close(&scene);
}
END_TEST

START_TEST(each_of_these_is_for_devices_of_its_bus_that_are_attached)
{
	uint32_t index = 42;

	open_as(VFIO_DEVICE_FLAGS_AP, 0, 2);
	unit_fails(-EOPNOTSUPP, iommufd_ccw_find_region(scene.dev, IOMMUFD_CCW_IO, &index));
	unit_fails(-EOPNOTSUPP, iommufd_platform_find_region(scene.dev, "ctrl", &index));
	unit_fails(-EOPNOTSUPP, iommufd_platform_find_irq(scene.dev, "rx", &index));
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	unit_fails(-ENOTCONN, iommufd_ccw_find_region(scene.dev, IOMMUFD_CCW_IO, &index));
	unit_fails(-ENOTCONN, iommufd_platform_find_region(scene.dev, "ctrl", &index));
	unit_fails(-ENOTCONN, iommufd_platform_find_irq(scene.dev, "rx", &index));
	ck_assert_uint_eq(index, 42);
	scene_close(&scene);
}
END_TEST

START_TEST(the_names_of_interrupts_are_those_of_the_kernel)
{
	ck_assert_int_eq(IOMMUFD_AP_REQ, VFIO_AP_REQ_IRQ_INDEX);
	ck_assert_int_eq(IOMMUFD_AP_CFG_CHG, VFIO_AP_CFG_CHG_IRQ_INDEX);
	ck_assert_int_eq(IOMMUFD_CCW_IRQ_IO, VFIO_CCW_IO_IRQ_INDEX);
	ck_assert_int_eq(IOMMUFD_CCW_IRQ_CRW, VFIO_CCW_CRW_IRQ_INDEX);
	ck_assert_int_eq(IOMMUFD_CCW_IRQ_REQ, VFIO_CCW_REQ_IRQ_INDEX);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, the_info_tells_the_bus);
	tcase_add_test(tcase, a_platform_device_has_regions_interrupts_and_no_configuration_space);
	tcase_add_test(tcase, what_a_device_tree_names_is_found_by_its_name);
	tcase_add_test(tcase, names_without_an_end_are_read_to_the_end_of_the_file);
	tcase_add_test(tcase, the_regions_of_a_channel_device_are_found_wherever_they_are);
	tcase_add_test(tcase, a_region_that_a_channel_device_lacks_or_that_is_too_small_is_told_of);
	tcase_add_test(tcase, each_of_these_is_for_devices_of_its_bus_that_are_attached);
	tcase_add_test(tcase, the_names_of_interrupts_are_those_of_the_kernel);
}
