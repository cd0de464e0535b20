/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What an IOAS permits, as the kernel tells it: well, badly, or without an end. */
#include <errno.h>
#include <stdlib.h>

#include "scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

static const struct iommufd_range everything = { 0, UINT64_MAX };

/* ---- iommufd: EMSGSIZE until the room is enough ---- */

static uint32_t has;   /* ranges that the IOAS has */
static uint32_t grows; /* by so many each time it is asked */
static int answers;    /* when they do not fit */

static int count_ranges(int fd, void *arg)
{
	struct iommu_ioas_iova_ranges *cmd = arg;
	struct iommu_iova_range *ranges = (void *)(uintptr_t)cmd->allowed_iovas;
	uint32_t room = cmd->num_iovas;

	(void)fd;
	for (uint32_t i = 0; i < room && i < has; i++)
		ranges[i] = (struct iommu_iova_range){ i * 0x10000, i * 0x10000 + 0xfff };
	cmd->num_iovas = has;
	cmd->out_iova_alignment = SCENE_PAGE;
	if (has <= room)
		return 0;
	has += grows;
	return answers;
}

static int limits_of(struct scene *scene, struct iommufd_range **ranges, size_t *count)
{
	uint64_t alignment = 1;
	int ret;

	*ranges = NULL;
	*count = 1;
	scene->ioas->attached++; /* or there would be nothing to know */
	ret = scene->ctx->backend->ioas_limits(scene->ioas, ranges, count, &alignment);
	scene->ioas->attached--;
	ck_assert(ret == 0 || (!*ranges && *count == 1 && alignment == 1));
	ck_assert(ret != 0 || alignment == SCENE_PAGE);
	return ret;
}

static void open_iommufd(struct scene *scene, uint32_t ranges, uint32_t grow, int answer)
{
	scene_open(scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_ioctl(IOMMU_IOAS_IOVA_RANGES, count_ranges);
	has = ranges;
	grows = grow;
	answers = answer;
}

START_TEST(iommufd_is_asked_again_until_all_ranges_fit)
{
	static const uint32_t counts[] = { 1, 2, 16, 17, 100, 5000 };
	struct scene scene;
	struct iommufd_range *ranges;
	size_t count;

	open_iommufd(&scene, 0, 0, -EMSGSIZE);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		has = counts[i];
		ck_assert_int_eq(limits_of(&scene, &ranges, &count), 0);
		ck_assert_uint_eq(count, counts[i]);
		ck_assert_uint_eq(ranges[count - 1].last, (count - 1) * 0x10000 + 0xfff);
		free(ranges);
	}
	scene_close(&scene);
}
END_TEST

START_TEST(iommufd_may_have_more_ranges_when_asked_again)
{
	struct scene scene;
	struct iommufd_range *ranges;
	size_t count;

	open_iommufd(&scene, 20, 3, -EMSGSIZE);
	inject_ioctl_fail(IOMMU_IOAS_IOVA_RANGES, 100, 1, -EIO);
	has = 20;
	grows = 0;
	ck_assert_int_eq(limits_of(&scene, &ranges, &count), 0);
	ck_assert_uint_eq(inject_ioctls(IOMMU_IOAS_IOVA_RANGES), 2);
	free(ranges);
	scene_close(&scene);
}
END_TEST

START_TEST(iommufd_ranges_that_grow_for_ever_are_given_up)
{
	static const uint32_t steps[] = { 1000, 65536, 1u << 30 };
	struct scene scene;
	struct iommufd_range *ranges;
	size_t count;

	open_iommufd(&scene, 0, 0, -EMSGSIZE);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		has = 17;
		grows = steps[i];
		unit_fails(-EPROTO, limits_of(&scene, &ranges, &count));
	}
	ck_assert_uint_le(inject_ioctls(IOMMU_IOAS_IOVA_RANGES), 100);
	scene_close(&scene);
}
END_TEST

START_TEST(an_answer_of_iommufd_that_contradicts_itself_is_a_breach_of_protocol)
{
	struct scene scene;
	struct iommufd_range *ranges;
	size_t count;

	open_iommufd(&scene, 17, 0, 0); /* success, and yet more than there is room for */
	unit_fails(-EPROTO, limits_of(&scene, &ranges, &count));
	inject_ioctl_fail(IOMMU_IOAS_IOVA_RANGES, 1, 1,
			  -EMSGSIZE); /* too many, and yet not more than there is room for */
	unit_fails(-EPROTO, limits_of(&scene, &ranges, &count));
	has = UINT32_MAX;
	answers = -EMSGSIZE;
	unit_fails(-EPROTO, limits_of(&scene, &ranges, &count));
	scene_close(&scene);
}
END_TEST

START_TEST(a_failure_of_iommufd_is_passed_on_with_words)
{
	struct scene scene;
	struct iommufd_range *ranges;
	size_t count;

	open_iommufd(&scene, 17, 0, -EMSGSIZE);
	inject_ioctl_fail(IOMMU_IOAS_IOVA_RANGES, 2, 1, -ENOENT);
	unit_fails(-ENOENT, limits_of(&scene, &ranges, &count));
	inject_fail(INJECT_MEMORY, 2, -ENOMEM);
	unit_fails(-ENOMEM, limits_of(&scene, &ranges, &count));
	scene_close(&scene);
}
END_TEST

/* ---- Both: what makes no sense ---- */

static const struct iommufd_range *odd;
static uint64_t odd_alignment;

static int odd_ranges(int fd, void *arg)
{
	struct iommu_ioas_iova_ranges *cmd = arg;

	(void)fd;
	memcpy((void *)(uintptr_t)cmd->allowed_iovas, odd, 2 * sizeof(*odd));
	cmd->num_iovas = 2;
	cmd->out_iova_alignment = odd_alignment;
	return 0;
}

static int odd_info(int fd, void *arg)
{
	(void)fd;
	return scene_iommu_info(arg, odd_alignment, odd, 2);
}

static void check_refused(uint32_t backend, const char *words)
{
	struct scene scene;

	scene_open(&scene, backend);
	scene_map(&scene, 0x40000, 1);
	inject_ioctl(IOMMU_IOAS_IOVA_RANGES, odd_ranges);
	inject_ioctl(VFIO_IOMMU_GET_INFO, odd_info);
	unit_fails(-EPROTO, iommufd_device_attach(scene.dev, scene.ioas));
	unit_words_have(words);
	scene_check_detached(&scene);
	scene_close(&scene);
}

START_TEST(ranges_that_are_reversed_overlap_or_descend_are_a_breach_of_protocol)
{
	static const struct iommufd_range none[][2] = {
		{ { 0, 0xfffff }, { 0x200000, 0x1fffff } },
		{ { 0, 0xfffff }, { 0xfffff, 0x1fffff } },
		{ { 0x200000, 0x2fffff }, { 0, 0xfffff } },
		{ { UINT64_MAX, 0 }, { 0, UINT64_MAX } },
	};

	odd_alignment = SCENE_PAGE;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		odd = none[i];
		check_refused(IOMMUFD_BACKEND_IOMMUFD, i == 3 ? "in number 1 of 2" : "in number 2 of 2");
		check_refused(IOMMUFD_BACKEND_VFIO, i == 3 ? "in number 1 of 2" : "in number 2 of 2");
	}
}
END_TEST

START_TEST(an_alignment_that_is_no_power_of_two_is_a_breach_of_protocol)
{
	odd = scene_ranges;
	odd_alignment = 3 * SCENE_PAGE;
	check_refused(IOMMUFD_BACKEND_IOMMUFD, "the alignment 0x3000");
	odd_alignment = 0;
	check_refused(IOMMUFD_BACKEND_IOMMUFD, "the alignment 0x0");
}
END_TEST

START_TEST(a_kernel_that_attaches_where_a_mapping_is_not_aligned_breaks_the_protocol)
{
	struct scene scene;

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	scene_map(&scene, 0x40000, 1);
	inject_ioctl(IOMMU_IOAS_IOVA_RANGES, odd_ranges);
	odd = scene_ranges;
	odd_alignment = 0x10000;
	unit_fails(-EPROTO, iommufd_device_attach(scene.dev, scene.ioas));
	unit_words_have("0x40000-0x40fff");
	scene_check_detached(&scene);
	ck_assert_int_eq(iommufd_ioas_unmap(scene.ioas, 0x40000, SCENE_PAGE, NULL), 0);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_uint_eq(iommufd_ioas_alignment(scene.ioas), 0x10000);
	scene_close(&scene);
}
END_TEST

/* ---- VFIO: a capability ---- */

static int no_capabilities(int fd, void *arg)
{
	struct vfio_iommu_type1_info *info = arg;

	(void)fd;
	info->flags = 0;
	info->iova_pgsizes = 0x1234; /* says nothing without its flag */
	info->cap_offset = 8;        /* neither does this */
	return 0;
}

static int large_pages(int fd, void *arg)
{
	(void)fd;
	return scene_iommu_info(arg, 0x10000 | 1u << 21, &everything, 1);
}

static int no_ranges(int fd, void *arg)
{
	(void)fd;
	return scene_iommu_info(arg, SCENE_PAGE, &everything, 0);
}

/* The capability says that it has more ranges than the answer has room for. */
static int too_many_ranges(int fd, void *arg)
{
	struct vfio_iommu_type1_info_cap_iova_range *cap = (void *)((char *)arg + sizeof(struct vfio_iommu_type1_info));
	uint32_t room = ((struct vfio_iommu_type1_info *)arg)->argsz;

	(void)fd;
	scene_iommu_info(arg, SCENE_PAGE, scene_ranges, 2);
	if (room >= ((struct vfio_iommu_type1_info *)arg)->argsz)
		cap->nr_iovas = 3;
	return 0;
}

static int absurdly_many_ranges(int fd, void *arg)
{
	struct vfio_iommu_type1_info_cap_iova_range *cap = (void *)((char *)arg + sizeof(struct vfio_iommu_type1_info));
	uint32_t room = ((struct vfio_iommu_type1_info *)arg)->argsz;

	(void)fd;
	scene_iommu_info(arg, SCENE_PAGE, scene_ranges, 2);
	if (room >= ((struct vfio_iommu_type1_info *)arg)->argsz)
		cap->nr_iovas = UINT32_MAX;
	return 0;
}

static int chain_out_of_bounds(int fd, void *arg)
{
	struct vfio_iommu_type1_info *info = arg;

	(void)fd;
	info->flags = VFIO_IOMMU_INFO_CAPS | VFIO_IOMMU_INFO_PGSIZES;
	info->iova_pgsizes = SCENE_PAGE;
	info->cap_offset = UINT32_MAX - 3;
	return 0;
}

static int argsz_without_end(int fd, void *arg)
{
	(void)fd;
	((struct vfio_iommu_type1_info *)arg)->argsz += 16;
	return 0;
}

static int argsz_absurd(int fd, void *arg)
{
	(void)fd;
	((struct vfio_iommu_type1_info *)arg)->argsz = UINT32_MAX;
	return 0;
}

START_TEST(vfio_tells_the_ranges_of_the_device)
{
	struct scene scene;
	struct iommufd_range *ranges;
	size_t count;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_int_eq(limits_of(&scene, &ranges, &count), 0);
	ck_assert_uint_eq(count, 2);
	ck_assert_int_eq(memcmp(ranges, scene_ranges, sizeof(scene_ranges)), 0);
	free(ranges);
	scene_close(&scene);
}
END_TEST

START_TEST(vfio_that_tells_no_ranges_permits_everything)
{
	static const inject_answer silent[] = { no_capabilities, no_ranges, chain_out_of_bounds };
	struct scene scene;
	struct iommufd_range *ranges;
	size_t count;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		inject_ioctl(VFIO_IOMMU_GET_INFO, silent[i]);
		ck_assert_int_eq(limits_of(&scene, &ranges, &count), 0);
		ck_assert_uint_eq(count, 1);
		ck_assert_int_eq(memcmp(ranges, &everything, sizeof(everything)), 0);
		free(ranges);
	}
	scene_close(&scene);
}
END_TEST

/* As kernels before 6.6: behind 12 bytes the next is at a multiple of 4. On x86 only the sanitizer sees it. */
static int not_aligned(int fd, void *arg)
{
	struct vfio_iommu_type1_info *info = arg;
	const uint32_t at = sizeof(*info), next = at + sizeof(struct vfio_iommu_type1_info_dma_avail);
	const struct vfio_iommu_type1_info_dma_avail left = { { VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 1, next }, 5 };
	const struct vfio_iommu_type1_info_cap_iova_range ranges = { { VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, 0 },
								     2,
								     0 };
	uint32_t room = info->argsz;

	(void)fd;
	info->flags = VFIO_IOMMU_INFO_CAPS | VFIO_IOMMU_INFO_PGSIZES;
	info->iova_pgsizes = SCENE_PAGE;
	info->argsz = next + sizeof(ranges) + sizeof(scene_ranges);
	if (room < info->argsz)
		return 0;
	info->cap_offset = at;
	memcpy((char *)arg + at, &left, sizeof(left));
	memcpy((char *)arg + next, &ranges, sizeof(ranges));
	memcpy((char *)arg + next + sizeof(ranges), scene_ranges, sizeof(scene_ranges));
	return 0;
}

START_TEST(vfio_may_put_its_capabilities_where_they_are_not_aligned)
{
	struct scene scene;
	struct iommufd_range *ranges;
	uint64_t left;
	size_t count;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	inject_ioctl(VFIO_IOMMU_GET_INFO, not_aligned);
	ck_assert_int_eq(limits_of(&scene, &ranges, &count), 0);
	ck_assert_uint_eq(count, 2);
	ck_assert_int_eq(memcmp(ranges, scene_ranges, sizeof(scene_ranges)), 0);
	ck_assert_int_eq(iommufd_ioas_maps_left(scene.ioas, &left), 0);
	ck_assert_uint_eq(left, 5);
	free(ranges);
	scene_close(&scene);
}
END_TEST

static inject_answer answer;

static int answer_when_serving(int fd, void *arg)
{
	return scene_container_type() ? answer(fd, arg) : -EINVAL;
}

START_TEST(an_answer_of_vfio_that_contradicts_itself_is_a_breach_of_protocol)
{
	static const inject_answer hostile[] = { too_many_ranges, absurdly_many_ranges, argsz_without_end,
						 argsz_absurd };
	struct scene scene;
	struct iommufd_range *ranges;
	size_t count;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		scene_answers();
		ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
		answer = hostile[i];
		inject_ioctl(VFIO_IOMMU_GET_INFO, answer_when_serving);
		unit_fails(-EPROTO, limits_of(&scene, &ranges, &count));
		ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
		unit_fails(-EPROTO, iommufd_device_attach(scene.dev, scene.ioas));
		scene_check_detached(&scene);
	}
	ck_assert_uint_le(inject_ioctls(VFIO_IOMMU_GET_INFO), 128);
	scene_close(&scene);
}
END_TEST

START_TEST(the_smallest_page_of_the_iommu_is_the_alignment)
{
	struct scene scene;
	uint64_t iova = 0x20000 + SCENE_PAGE;
	struct iommufd_range range;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	inject_ioctl(VFIO_IOMMU_GET_INFO, large_pages);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_uint_eq(iommufd_ioas_alignment(scene.ioas), 0x10000);
	ck_assert_int_eq(iommufd_ioas_ranges(scene.ioas, &range, 1), 1);
	unit_fails(-EINVAL,
		   iommufd_ioas_map(scene.ioas, scene_memory(0), 0x10000, IOMMUFD_MAP_READ | IOMMUFD_MAP_FIXED, &iova));
	unit_words_have("65536");
	unit_fails(-EINVAL, iommufd_ioas_map(scene.ioas, scene_memory(0), SCENE_PAGE, IOMMUFD_MAP_READ, &iova));
	unit_fails(-EINVAL, iommufd_ioas_unmap(scene.ioas, 0x20000, SCENE_PAGE, NULL));
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	ck_assert_uint_eq(iommufd_ioas_alignment(scene.ioas), SCENE_PAGE);
	scene_close(&scene);
}
END_TEST

START_TEST(a_mapping_that_is_not_aligned_for_a_device_keeps_it_from_attaching)
{
	struct scene scene;

	scene_open(&scene, IOMMUFD_BACKEND_VFIO);
	scene_map(&scene, 0x20000, 1);
	inject_ioctl(VFIO_IOMMU_GET_INFO, large_pages);
	unit_fails(-EADDRINUSE, iommufd_device_attach(scene.dev, scene.ioas));
	unit_words_have("0x20000-0x20fff");
	scene_check_detached(&scene);
	scene_close(&scene);
}
END_TEST

static void ranges_follow_attachment(uint32_t backend)
{
	struct iommufd_range ranges[3] = { { 0, 0 } };
	uint64_t iova = 0xfee00000;
	struct scene scene;

	scene_open(&scene, backend);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_int_eq(iommufd_ioas_ranges(scene.ioas, NULL, 0), 2);
	ck_assert_int_eq(iommufd_ioas_ranges(scene.ioas, ranges, 1), 2);
	ck_assert_uint_eq(ranges[1].last, 0);
	ck_assert_int_eq(iommufd_ioas_ranges(scene.ioas, ranges, 3), 2);
	ck_assert_int_eq(memcmp(ranges, scene_ranges, sizeof(scene_ranges)), 0);
	unit_fails(-EINVAL, iommufd_ioas_map(scene.ioas, scene_memory(0), SCENE_PAGE,
					     IOMMUFD_MAP_READ | IOMMUFD_MAP_FIXED, &iova));
	unit_words_have("0x0-0xfedfffff, 0xfef00000-0xffffffffffff");

	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	ck_assert_int_eq(iommufd_ioas_ranges(scene.ioas, ranges, 3), 1);
	ck_assert_int_eq(memcmp(ranges, &everything, sizeof(everything)), 0);
	scene_map(&scene, iova, 1);
	scene_close(&scene);
}

START_TEST(permitted_ranges_come_with_the_first_device_and_go_with_the_last)
{
	ranges_follow_attachment(IOMMUFD_BACKEND_IOMMUFD);
	ranges_follow_attachment(IOMMUFD_BACKEND_VFIO);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, iommufd_is_asked_again_until_all_ranges_fit);
	tcase_add_test(tcase, iommufd_may_have_more_ranges_when_asked_again);
	tcase_add_test(tcase, iommufd_ranges_that_grow_for_ever_are_given_up);
	tcase_add_test(tcase, an_answer_of_iommufd_that_contradicts_itself_is_a_breach_of_protocol);
	tcase_add_test(tcase, a_failure_of_iommufd_is_passed_on_with_words);
	tcase_add_test(tcase, ranges_that_are_reversed_overlap_or_descend_are_a_breach_of_protocol);
	tcase_add_test(tcase, an_alignment_that_is_no_power_of_two_is_a_breach_of_protocol);
	tcase_add_test(tcase, a_kernel_that_attaches_where_a_mapping_is_not_aligned_breaks_the_protocol);
	tcase_add_test(tcase, vfio_tells_the_ranges_of_the_device);
	tcase_add_test(tcase, vfio_that_tells_no_ranges_permits_everything);
	tcase_add_test(tcase, vfio_may_put_its_capabilities_where_they_are_not_aligned);
	tcase_add_test(tcase, an_answer_of_vfio_that_contradicts_itself_is_a_breach_of_protocol);
	tcase_add_test(tcase, the_smallest_page_of_the_iommu_is_the_alignment);
	tcase_add_test(tcase, a_mapping_that_is_not_aligned_for_a_device_keeps_it_from_attaching);
	tcase_add_test(tcase, permitted_ranges_come_with_the_first_device_and_go_with_the_last);
}
