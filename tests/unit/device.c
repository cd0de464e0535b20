/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Reset, interrupts and regions, where the kernel answers as it rarely does. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scene.h"
#include "uapi/vfio.h"

#define REGION_SIZE (16 * SCENE_PAGE)

static void open_attached(struct scene *scene)
{
	scene_open(scene, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(iommufd_device_attach(scene->dev, scene->ioas), 0);
}

static void before_the_attach(uint32_t backend)
{
	struct iommufd_region_info region = { .struct_size = sizeof(region) };
	struct iommufd_irq_info irq = { .struct_size = sizeof(irq) };
	void *addr = (void *)1;
	struct scene scene;
	uint32_t word = 1;
	int fd = -1;

	scene_open(&scene, backend);
	unit_fails(-ENOTCONN, iommufd_device_fd(scene.dev));
	unit_fails(-ENOTCONN, iommufd_device_reset(scene.dev));
	unit_fails(-ENOTCONN, iommufd_device_detach(scene.dev));
	unit_fails(-ENOTCONN, iommufd_device_region_info(scene.dev, 0, &region));
	unit_fails(-ENOTCONN, iommufd_device_region_read(scene.dev, 0, 0, &word, sizeof(word)));
	unit_fails(-ENOTCONN, iommufd_device_region_write(scene.dev, 0, 0, &word, sizeof(word)));
	unit_fails(-ENOTCONN, iommufd_device_region_map(scene.dev, 0, 0, SCENE_PAGE, PROT_READ, &addr));
	unit_fails(-ENOTCONN, iommufd_device_region_map_all(scene.dev, 0, PROT_READ, &addr));
	unit_fails(-ENOTCONN, iommufd_device_region_areas(scene.dev, 0, NULL, 0));
	unit_fails(-ENOTCONN, iommufd_device_ioeventfd_add(scene.dev, 0, 0, 4, 0, fd));
	unit_fails(-ENOTCONN, iommufd_device_ioeventfd_remove(scene.dev, 0, 0, 4, 0));
	unit_fails(-ENOTCONN, iommufd_device_irq_info(scene.dev, 0, &irq));
	unit_fails(-ENOTCONN, iommufd_device_irq_enable(scene.dev, 0, 0, 1, &fd));
	unit_fails(-ENOTCONN, iommufd_device_irq_disable(scene.dev, 0));
	unit_fails(-ENOTCONN, iommufd_device_irq_mask(scene.dev, 0, 0, 1));
	unit_fails(-ENOTCONN, iommufd_device_irq_unmask(scene.dev, 0, 0, 1));
	unit_fails(-ENOTCONN, iommufd_device_irq_trigger(scene.dev, 0, 0, 1));
	unit_fails(-ENOTCONN, iommufd_device_irq_set_resample(scene.dev, 0, 0, -1));
	unit_fails(-ENOTCONN, iommufd_pci_config_read(scene.dev, 0, &word, sizeof(word)));
	unit_fails(-ENOTCONN, iommufd_pci_config_write(scene.dev, 0, &word, sizeof(word)));
	unit_fails(-ENOTCONN, iommufd_pci_set_master(scene.dev, true));
	ck_assert_ptr_eq(addr, (void *)1);
	ck_assert_uint_eq(word, 1);
	scene_close(&scene);
}

START_TEST(nothing_of_a_device_is_there_before_the_attach)
{
	before_the_attach(IOMMUFD_BACKEND_IOMMUFD);
	before_the_attach(IOMMUFD_BACKEND_VFIO);
}
END_TEST

/* ---- Reset ---- */

START_TEST(a_reset_is_tried_again_while_the_device_is_busy)
{
	struct scene scene;

	open_attached(&scene);
	inject_ioctl_fail(VFIO_DEVICE_RESET, 1, 19, -EAGAIN);
	ck_assert_int_eq(iommufd_device_reset(scene.dev), 0);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_RESET), 1);
	ck_assert_uint_gt(inject_slept_ms(), 0);
	ck_assert_uint_le(inject_slept_ms(), 1000);
	scene_close(&scene);
}
END_TEST

START_TEST(a_reset_gives_up_after_twenty_tries_and_a_second)
{
	struct scene scene;
	unsigned int before;
	uint32_t word;

	open_attached(&scene);
	ck_assert_int_eq(iommufd_pci_config_read(scene.dev, 0, &word, sizeof(word)), 0); /* asks for the region once */
	before = inject_count(INJECT_IOCTL);
	inject_ioctl_fail(VFIO_DEVICE_RESET, 1, 1000, -EAGAIN);
	unit_fails(-EAGAIN, iommufd_device_reset(scene.dev));
	ck_assert_uint_eq(inject_count(INJECT_IOCTL) - before, 20);
	ck_assert_uint_ge(inject_slept_ms(), 900);
	ck_assert_uint_le(inject_slept_ms(), 1000);
	scene_close(&scene);
}
END_TEST

START_TEST(a_reset_that_fails_otherwise_is_not_tried_again)
{
	struct scene scene;

	open_attached(&scene);
	inject_ioctl_fail(VFIO_DEVICE_RESET, 1, 1, -EIO);
	unit_fails(-EIO, iommufd_device_reset(scene.dev));
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_RESET), 0);
	ck_assert_uint_eq(inject_slept_ms(), 0);
	scene.dev->flags &= ~(uint32_t)VFIO_DEVICE_FLAGS_RESET;
	unit_fails(-EOPNOTSUPP, iommufd_device_reset(scene.dev));
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_RESET), 0);
	scene_close(&scene);
}
END_TEST

/* ---- Interrupts ---- */

static uint32_t set_flags, set_count;
static int set_result;

static int set_irqs(int fd, void *arg)
{
	const struct vfio_irq_set *set = arg;

	(void)fd;
	set_flags = set->flags;
	set_count = set->count;
	ck_assert_uint_eq(set->argsz,
			  sizeof(*set) + (set->flags & VFIO_IRQ_SET_DATA_EVENTFD ? set->count * sizeof(int32_t) : 0));
	return set_result;
}

static uint32_t enabled(struct scene *scene, uint32_t index)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };

	ck_assert_int_eq(iommufd_device_irq_info(scene->dev, index, &info), 0);
	return info.enabled;
}

START_TEST(fewer_vectors_than_asked_for_is_no_space_and_tells_how_many)
{
	int fds[4] = { -1, -1, -1, -1 };
	struct scene scene;

	open_attached(&scene);
	inject_ioctl(VFIO_DEVICE_SET_IRQS, set_irqs);
	set_result = 3;
	unit_fails(-ENOSPC, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSIX, 0, 4, fds));
	unit_words_have("there are 3 left");
	ck_assert_uint_eq(enabled(&scene, IOMMUFD_PCI_MSIX), 0);
	set_result = 0;
	ck_assert_int_eq(iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSIX, 0, 3, fds), 0);
	ck_assert_uint_eq(enabled(&scene, IOMMUFD_PCI_MSIX), 3);
	ck_assert_uint_eq(set_count, 3);
	scene_close(&scene);
	ck_assert_uint_eq(set_count, 0); /* the last word was to disable it */
	ck_assert_uint_eq(set_flags, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER);
}
END_TEST

START_TEST(a_refusal_leaves_what_was_enabled_as_it_was)
{
	int fds[4] = { -1, -1, -1, -1 }, closed = eventfd(0, EFD_CLOEXEC);
	struct scene scene;

	open_attached(&scene);
	ck_assert_int_eq(iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSIX, 0, 2, fds), 0);
	inject_ioctl_fail(VFIO_DEVICE_SET_IRQS, 1, 1, -EIO);
	unit_fails(-EIO, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSIX, 0, 4, fds));
	ck_assert_uint_eq(enabled(&scene, IOMMUFD_PCI_MSIX), 2);
	close(closed);
	unit_fails(-EBADF, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSIX, 0, 1, &closed));
	inject_fail(INJECT_MEMORY, 1, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSIX, 0, 4, fds));
	inject_ioctl_fail(VFIO_DEVICE_SET_IRQS, 1, 1, -EIO);
	unit_fails(-EIO, iommufd_device_irq_disable(scene.dev, IOMMUFD_PCI_MSIX));
	ck_assert_uint_eq(enabled(&scene, IOMMUFD_PCI_MSIX), 2);
	ck_assert_int_eq(iommufd_device_irq_disable(scene.dev, IOMMUFD_PCI_MSIX), 0);
	ck_assert_uint_eq(enabled(&scene, IOMMUFD_PCI_MSIX), 0);
	scene_close(&scene);
}
END_TEST

START_TEST(one_of_intx_msi_and_msix_is_enabled_at_a_time)
{
	struct scene scene;
	int fd = -1;

	open_attached(&scene);
	ck_assert_int_eq(iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSI, 0, 1, &fd), 0);
	unit_fails(-EBUSY, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSIX, 0, 1, &fd));
	unit_words_have("MSI is enabled");
	unit_fails(-EBUSY, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_INTX, 0, 1, &fd));
	ck_assert_int_eq(iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_ERR, 0, 1, &fd), 0);
	ck_assert_int_eq(iommufd_device_irq_disable(scene.dev, IOMMUFD_PCI_MSI), 0);
	ck_assert_int_eq(iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_INTX, 0, 1, &fd), 0);
	scene_close(&scene);
}
END_TEST

START_TEST(vectors_that_are_not_there_are_refused_before_the_kernel_is_asked)
{
	int fds[33];
	struct scene scene;

	for (size_t i = 0; i < 33; i++)
		fds[i] = -1;
	open_attached(&scene);
	inject_ioctl(VFIO_DEVICE_SET_IRQS, set_irqs);
	set_result = -EIO; /* would be noticed */
	unit_fails(-EINVAL, iommufd_device_irq_enable(scene.dev, 5, 0, 1, fds));
	unit_fails(-EINVAL, iommufd_device_irq_enable(scene.dev, UINT32_MAX, 0, 1, fds));
	unit_fails(-EINVAL, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSIX, 0, 0, fds));
	unit_fails(-EINVAL, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSIX, 0, 33, fds));
	unit_fails(-EINVAL, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSIX, 32, 1, fds));
	unit_fails(-EINVAL, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSIX, 1, UINT32_MAX, fds));
	unit_fails(-EINVAL, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSIX, 0, 1, NULL));
	unit_fails(-EINVAL, iommufd_device_irq_trigger(scene.dev, IOMMUFD_PCI_MSIX, 0, 1)); /* none is enabled */
	unit_fails(-EOPNOTSUPP, iommufd_device_irq_mask(scene.dev, IOMMUFD_PCI_MSIX, 0, 1));
	unit_fails(-EINVAL, iommufd_device_irq_unmask(scene.dev, IOMMUFD_PCI_INTX, 0, 1));
	unit_fails(-EINVAL, iommufd_device_irq_set_resample(scene.dev, IOMMUFD_PCI_INTX, 0, -1));
	unit_fails(-EOPNOTSUPP, iommufd_device_irq_set_resample(scene.dev, IOMMUFD_PCI_MSI, 0, -1));
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_SET_IRQS), 0);
	scene_close(&scene);
}
END_TEST

static int many_irqs(int fd, void *arg)
{
	struct vfio_device_info *info = arg;

	(void)fd;
	info->flags = VFIO_DEVICE_FLAGS_PLATFORM;
	info->num_irqs = UINT32_MAX;
	info->num_regions = 1;
	return 0;
}

START_TEST(a_device_with_absurdly_many_interrupt_types_is_used_up_to_what_there_is_room_for)
{
	struct iommufd_device_info info = { .struct_size = sizeof(info) };
	struct scene scene;
	int fd = -1;

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl(VFIO_DEVICE_GET_INFO, many_irqs);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_int_eq(iommufd_device_get_info(scene.dev, &info), 0);
	ck_assert_uint_le(info.num_irqs, 64);
	for (uint32_t i = 0; i < info.num_irqs; i++)
		ck_assert_int_eq(iommufd_device_irq_enable(scene.dev, i, 0, 1, &fd), 0);
	unit_fails(-EINVAL, iommufd_device_irq_enable(scene.dev, info.num_irqs, 0, 1, &fd));
	unit_fails(-EOPNOTSUPP, iommufd_pci_set_master(scene.dev, true));
	scene_close(&scene);
}
END_TEST

/* ---- Regions ---- */

START_TEST(a_region_is_read_written_and_mapped_inside_of_its_bounds)
{
	void *addr = (void *)1;
	struct scene scene;
	uint32_t word = 0x12345678, back = 0;

	open_attached(&scene);
	ck_assert_int_eq(iommufd_device_region_write(scene.dev, 2, REGION_SIZE - 4, &word, 4), 0);
	ck_assert_int_eq(iommufd_device_region_read(scene.dev, 2, REGION_SIZE - 4, &back, 4), 0);
	ck_assert_uint_eq(back, word);
	ck_assert_int_eq(
		iommufd_device_region_map(scene.dev, 2, REGION_SIZE - SCENE_PAGE, SCENE_PAGE, PROT_READ, &addr), 0);
	ck_assert_uint_eq(*(uint32_t *)((char *)addr + SCENE_PAGE - 4), word);
	ck_assert_int_eq(iommufd_device_region_unmap(scene.dev, addr), 0);
	unit_fails(-ENOENT, iommufd_device_region_unmap(scene.dev, addr));

	unit_fails(-ERANGE, iommufd_device_region_read(scene.dev, 2, REGION_SIZE - 3, &back, 4));
	unit_fails(-ERANGE, iommufd_device_region_read(scene.dev, 2, REGION_SIZE + 1, &back, 0));
	unit_fails(-ERANGE, iommufd_device_region_write(scene.dev, 2, UINT64_MAX, &back, 4));
	unit_fails(-ERANGE, iommufd_device_region_read(scene.dev, 2, 0, &back, SIZE_MAX));
	unit_fails(-EINVAL, iommufd_device_region_read(scene.dev, 9, 0, &back, 4));
	addr = (void *)1;
	unit_fails(-ERANGE, iommufd_device_region_map(scene.dev, 2, REGION_SIZE, SCENE_PAGE, PROT_READ, &addr));
	unit_fails(-EINVAL, iommufd_device_region_map(scene.dev, 2, 0, 0, PROT_READ, &addr));
	unit_fails(-EINVAL, iommufd_device_region_map(scene.dev, 2, 4, SCENE_PAGE, PROT_READ, &addr));
	unit_fails(-EINVAL, iommufd_device_region_map(scene.dev, 2, 0, SCENE_PAGE, 0, &addr));
	unit_fails(-EINVAL, iommufd_device_region_map(scene.dev, 2, 0, SCENE_PAGE, PROT_READ | PROT_EXEC, &addr));
	unit_fails(-EINVAL, iommufd_device_region_map(scene.dev, 9, 0, SCENE_PAGE, PROT_READ, &addr));
	ck_assert_ptr_eq(addr, (void *)1);
	scene_close(&scene);
}
END_TEST

START_TEST(an_access_that_moves_too_little_is_an_error)
{
	struct scene scene;
	uint64_t word;

	open_attached(&scene);
	ck_assert_int_eq(ftruncate(iommufd_device_fd(scene.dev), SCENE_PAGE), 0); /* the rest is not there any more */
	unit_fails(-EIO, iommufd_device_region_read(scene.dev, 0, SCENE_PAGE - 4, &word, 8));
	unit_fails(-EIO, iommufd_device_region_read(scene.dev, 0, SCENE_PAGE, &word, 8));
	inject_fail(INJECT_PREAD, 1, -EFAULT);
	unit_fails(-EFAULT, iommufd_device_region_read(scene.dev, 0, 0, &word, 8));
	inject_fail(INJECT_PWRITE, 1, -EIO);
	unit_fails(-EIO, iommufd_device_region_write(scene.dev, 0, 0, &word, 8));
	scene_close(&scene);
}
END_TEST

/* Which reads, writes and mmaps of a BAR can be, since kernels before 7.x claim it at its first use. */
START_TEST(a_region_that_another_thread_claims_is_tried_again)
{
	struct scene scene;
	uint32_t word = 0;
	void *addr;

	open_attached(&scene);
	inject_fail(INJECT_PREAD, 1, -EBUSY);
	ck_assert_int_eq(iommufd_device_region_read(scene.dev, 0, 0, &word, 4), 0);
	inject_fail(INJECT_PWRITE, 1, -EBUSY);
	ck_assert_int_eq(iommufd_device_region_write(scene.dev, 0, 0, &word, 4), 0);
	inject_fail(INJECT_MMAP, 1, -EBUSY);
	ck_assert_int_eq(iommufd_device_region_map(scene.dev, 0, 0, SCENE_PAGE, PROT_READ, &addr), 0);
	scene_close(&scene);
}
END_TEST

START_TEST(a_region_that_a_driver_has_claimed_is_told_of_after_some_tries)
{
	unsigned int slept = inject_slept_ms();
	void *addr = (void *)1;
	struct scene scene;
	uint32_t word = 0;

	open_attached(&scene);
	inject_fail_all(INJECT_PREAD, -EBUSY);
	unit_fails(-EBUSY, iommufd_device_region_read(scene.dev, 0, 0, &word, 4));
	unit_words_have("/proc/iomem");
	inject_fail_all(INJECT_PWRITE, -EBUSY);
	unit_fails(-EBUSY, iommufd_device_region_write(scene.dev, 0, 0, &word, 4));
	unit_words_have("/proc/iomem");
	inject_fail_all(INJECT_MMAP, -EBUSY);
	unit_fails(-EBUSY, iommufd_device_region_map(scene.dev, 0, 0, SCENE_PAGE, PROT_READ, &addr));
	unit_words_have("/proc/iomem");
	ck_assert_ptr_eq(addr, (void *)1);
	ck_assert_uint_gt(inject_slept_ms() - slept, 0);
	ck_assert_uint_le(inject_slept_ms() - slept, 100);
	inject_fail(INJECT_MMAP, 0, 0);
	scene_close(&scene);
}
END_TEST

/* Two areas may be mapped: pages 2 and 3, and page 8. What the capability claims of their number is up to the test. */
static uint32_t claimed_areas;

static int sparse_region(int fd, void *arg)
{
	struct {
		struct vfio_region_info info;
		struct vfio_info_cap_header header;
		uint32_t nr_areas, reserved;
		struct vfio_region_sparse_mmap_area areas[2];
	} answer = {
		.info = { .argsz = sizeof(answer),
			  .index = ((struct vfio_region_info *)arg)->index,
			  .flags = VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS,
			  .size = REGION_SIZE },
		.header = { VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0 },
		.nr_areas = claimed_areas,
		.areas = { { 2 * SCENE_PAGE, 2 * SCENE_PAGE }, { 8 * SCENE_PAGE, SCENE_PAGE } },
	};
	bool fits = ((struct vfio_region_info *)arg)->argsz >= sizeof(answer);

	(void)fd;
	answer.info.cap_offset = fits ? offsetof(__typeof__(answer), header) : 0;
	memcpy(arg, &answer, fits ? sizeof(answer) : sizeof(answer.info));
	return 0;
}

static int map_pages(struct scene *scene, uint64_t page, size_t pages)
{
	void *addr;
	int ret = iommufd_device_region_map(scene->dev, 0, page * SCENE_PAGE, pages * SCENE_PAGE, PROT_READ, &addr);

	return ret ? ret : iommufd_device_region_unmap(scene->dev, addr);
}

static void attach_again(struct scene *scene)
{
	ck_assert_int_eq(iommufd_device_detach(scene->dev), 0);
	ck_assert_int_eq(iommufd_device_attach(scene->dev, scene->ioas), 0);
}

START_TEST(what_a_region_is_is_asked_once_an_attach)
{
	struct iommufd_region_info info = { sizeof(info), .size = 1 };
	uint32_t word;
	struct scene scene;

	open_attached(&scene);
	ck_assert_int_eq(iommufd_device_region_info(scene.dev, 0, &info), 0);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(iommufd_device_region_read(scene.dev, 0, 0, &word, sizeof(word)), 0);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_GET_REGION_INFO), 1);
	attach_again(&scene);
	ck_assert_int_eq(iommufd_device_region_read(scene.dev, 0, 0, &word, sizeof(word)), 0);
	/* Of the configuration space too, by which the detach ended bus mastering. */
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_GET_REGION_INFO), 3);
	scene_close(&scene);
}
END_TEST

START_TEST(a_region_that_the_device_lacks_has_no_bytes)
{
	struct iommufd_region_info info = { sizeof(info), .size = 1, .flags = 1 };
	uint32_t word;
	struct scene scene;

	open_attached(&scene);
	inject_ioctl_fail(VFIO_DEVICE_GET_REGION_INFO, 1, 2, -EINVAL);
	ck_assert_int_eq(iommufd_device_region_info(scene.dev, IOMMUFD_PCI_VGA, &info), 0);
	ck_assert_uint_eq(info.size, 0);
	ck_assert_uint_eq(info.flags, 0);
	ck_assert_uint_eq(info.index, IOMMUFD_PCI_VGA);
	unit_fails(-ERANGE, iommufd_device_region_read(scene.dev, IOMMUFD_PCI_VGA, 0, &word, sizeof(word)));
	scene_close(&scene);
}
END_TEST

START_TEST(only_what_a_device_does_not_hide_can_be_mapped)
{
	static const uint32_t claims[] = { 2, 3, UINT32_MAX };
	struct scene scene;

	open_attached(&scene);
	inject_ioctl(VFIO_DEVICE_GET_REGION_INFO, sparse_region);
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		claimed_areas = claims[i];
		attach_again(&scene);
		ck_assert_int_eq(map_pages(&scene, 2, 2), 0);
		ck_assert_int_eq(map_pages(&scene, 3, 1), 0);
		ck_assert_int_eq(map_pages(&scene, 8, 1), 0);
		unit_fails(-EOPNOTSUPP, map_pages(&scene, 1, 1));
		unit_fails(-EOPNOTSUPP, map_pages(&scene, 3, 2));
		unit_fails(-EOPNOTSUPP, map_pages(&scene, 4, 1));
		unit_fails(-EOPNOTSUPP, map_pages(&scene, 9, 1));
		unit_fails(-EOPNOTSUPP, map_pages(&scene, 0, 16));
	}
	claimed_areas = 0;
	attach_again(&scene);
	unit_fails(-EOPNOTSUPP, map_pages(&scene, 2, 1));
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, nothing_of_a_device_is_there_before_the_attach);
	tcase_add_test(tcase, a_reset_is_tried_again_while_the_device_is_busy);
	tcase_add_test(tcase, a_reset_gives_up_after_twenty_tries_and_a_second);
	tcase_add_test(tcase, a_reset_that_fails_otherwise_is_not_tried_again);
	tcase_add_test(tcase, fewer_vectors_than_asked_for_is_no_space_and_tells_how_many);
	tcase_add_test(tcase, a_refusal_leaves_what_was_enabled_as_it_was);
	tcase_add_test(tcase, one_of_intx_msi_and_msix_is_enabled_at_a_time);
	tcase_add_test(tcase, vectors_that_are_not_there_are_refused_before_the_kernel_is_asked);
	tcase_add_test(tcase, a_device_with_absurdly_many_interrupt_types_is_used_up_to_what_there_is_room_for);
	tcase_add_test(tcase, a_region_is_read_written_and_mapped_inside_of_its_bounds);
	tcase_add_test(tcase, an_access_that_moves_too_little_is_an_error);
	tcase_add_test(tcase, a_region_that_another_thread_claims_is_tried_again);
	tcase_add_test(tcase, a_region_that_a_driver_has_claimed_is_told_of_after_some_tries);
	tcase_add_test(tcase, what_a_region_is_is_asked_once_an_attach);
	tcase_add_test(tcase, a_region_that_the_device_lacks_has_no_bytes);
	tcase_add_test(tcase, only_what_a_device_does_not_hide_can_be_mapped);
}
