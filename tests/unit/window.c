/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Regions of which the kernel here has none: with capabilities, larger than huge pages, smaller than a page. */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scene.h"
#include "uapi/vfio.h"

#define MIB UINT64_C(0x100000)
#define GIB UINT64_C(0x40000000)

/* ---- What the kernel says ---- */

#define MAX_AREAS 8

static struct {
	uint64_t size;
	bool sparse, type, msix;
	uint32_t num_areas;
	struct vfio_region_sparse_mmap_area areas[MAX_AREAS];
} told;

/* The chain is in memory from the last capability to the first. */
static int region_info(int fd, void *arg)
{
	struct {
		struct vfio_region_info info;
		struct vfio_info_cap_header msix;
		struct vfio_region_info_cap_type type;
		struct vfio_info_cap_header sparse;
		uint32_t nr_areas, reserved;
		struct vfio_region_sparse_mmap_area areas[MAX_AREAS];
	} answer = {
		.info = { .argsz = sizeof(answer),
			  .index = ((struct vfio_region_info *)arg)->index,
			  .flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
				   VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS,
			  .size = told.size },
		.msix = { VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 1, 0 },
		.type = { { VFIO_REGION_INFO_CAP_TYPE, 1, 0 }, 0x80008086, 3 },
		.sparse = { VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0 },
		.nr_areas = told.num_areas,
	};
	bool fits = ((struct vfio_region_info *)arg)->argsz >= sizeof(answer);
	uint32_t next = 0;

	(void)fd;
	if (told.msix)
		next = offsetof(__typeof__(answer), msix);
	answer.type.header.next = next;
	if (told.type)
		next = offsetof(__typeof__(answer), type);
	answer.sparse.next = next;
	if (told.sparse)
		next = offsetof(__typeof__(answer), sparse);
	memcpy(answer.areas, told.areas, sizeof(told.areas));
	answer.info.cap_offset = fits ? next : 0;
	memcpy(arg, &answer, fits ? sizeof(answer) : sizeof(answer.info));
	return 0;
}

static void open_attached(struct scene *scene)
{
	scene_open(scene, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(iommufd_device_attach(scene->dev, scene->ioas), 0);
	inject_ioctl(VFIO_DEVICE_GET_REGION_INFO, region_info);
}

static struct iommufd_region_info info_of(struct scene *scene)
{
	struct iommufd_region_info info = { .struct_size = sizeof(info) };

	ck_assert_int_eq(iommufd_device_region_info(scene->dev, 2, &info), 0);
	return info;
}

static void *map(struct scene *scene, uint64_t offset, size_t len)
{
	void *addr = NULL;

	ck_assert_int_eq(iommufd_device_region_map(scene->dev, 2, offset, len, PROT_READ | PROT_WRITE, &addr), 0);
	return addr;
}

/* Whether the kernel can read there. */
static bool readable(const void *addr)
{
	int pipes[2];
	bool yes;

	ck_assert_int_eq(pipe(pipes), 0);
	yes = write(pipes[1], addr, 1) == 1;
	ck_assert(yes || errno == EFAULT);
	close(pipes[0]);
	close(pipes[1]);
	return yes;
}

/* ---- Capabilities ---- */

START_TEST(what_the_capabilities_say_is_in_the_info)
{
	struct iommufd_region_info info;
	struct scene scene;

	for (int i = 0; i < 8; i++) {
		__typeof__(told) next = { .size = MIB, .sparse = i & 1, .type = i & 2, .msix = i & 4 };

		told = next;
		open_attached(&scene);
		info = info_of(&scene);
		ck_assert_int_eq(!(info.flags & IOMMUFD_REGION_SPARSE), !told.sparse);
		ck_assert_int_eq(!(info.flags & IOMMUFD_REGION_TYPE), !told.type);
		ck_assert_int_eq(!(info.flags & IOMMUFD_REGION_MSIX_MAPPABLE), !told.msix);
		ck_assert_uint_eq(info.type, told.type ? 0x80008086 : 0);
		ck_assert_uint_eq(info.subtype, told.type ? 3 : 0);
		scene_close(&scene);
	}
}
END_TEST

/* Out of order, over one another, with halves of pages, beyond the end. */
static const __typeof__(told) rough = {
	.size = 64 * SCENE_PAGE - 100,
	.sparse = true,
	.num_areas = 8,
	.areas = { { 40 * SCENE_PAGE, UINT64_MAX },
		   { 8 * SCENE_PAGE, 4 * SCENE_PAGE },
		   { 2 * SCENE_PAGE + 1, 2 * SCENE_PAGE },
		   { 10 * SCENE_PAGE, 4 * SCENE_PAGE },
		   { 20 * SCENE_PAGE, 100 },
		   { 64 * SCENE_PAGE, SCENE_PAGE },
		   { UINT64_MAX, UINT64_MAX },
		   { 30 * SCENE_PAGE, 0 } },
};

static const struct iommufd_range fine[] = { { 3 * SCENE_PAGE, 4 * SCENE_PAGE - 1 },
					     { 8 * SCENE_PAGE, 14 * SCENE_PAGE - 1 },
					     { 40 * SCENE_PAGE, 64 * SCENE_PAGE - 1 } };

START_TEST(areas_are_whole_pages_of_the_region_in_order)
{
	struct iommufd_range areas[4] = { { 1, 1 }, { 1, 1 }, { 1, 1 }, { 1, 1 } };
	struct scene scene;
	void *addr = NULL;

	told = rough;
	open_attached(&scene);
	ck_assert_int_eq(iommufd_device_region_areas(scene.dev, 2, NULL, 0), 3);
	ck_assert_int_eq(iommufd_device_region_areas(scene.dev, 2, areas, 1), 3);
	ck_assert_uint_eq(areas[1].start, 1);
	ck_assert_int_eq(iommufd_device_region_areas(scene.dev, 2, areas, 4), 3);
	ck_assert_int_eq(memcmp(areas, fine, sizeof(fine)), 0);
	ck_assert_uint_eq(areas[3].start, 1);
	map(&scene, 8 * SCENE_PAGE, 6 * SCENE_PAGE);
	map(&scene, 63 * SCENE_PAGE, SCENE_PAGE);
	unit_fails(-EOPNOTSUPP, iommufd_device_region_map(scene.dev, 2, 2 * SCENE_PAGE, SCENE_PAGE, PROT_READ, &addr));
	unit_fails(-EOPNOTSUPP, iommufd_device_region_map(scene.dev, 2, 20 * SCENE_PAGE, SCENE_PAGE, PROT_READ, &addr));
	ck_assert_ptr_null(addr);
	scene_close(&scene);
}
END_TEST

/* ---- All of a region ---- */

START_TEST(gaps_of_a_whole_region_are_there_and_cannot_be_reached)
{
	struct scene scene;
	size_t before;
	char *addr;

	told = rough;
	open_attached(&scene);
	before = inject_mapped();
	ck_assert_int_eq(iommufd_device_region_map_all(scene.dev, 2, PROT_READ | PROT_WRITE, (void **)&addr), 0);
	ck_assert_uint_eq(inject_mapped(), before + 64 * SCENE_PAGE);
	for (uint64_t page = 0, area = 0; page < 64; page++) {
		bool in = page * SCENE_PAGE >= fine[area].start;
		uint64_t back, mark = page + 1;

		ck_assert_msg(readable(addr + page * SCENE_PAGE) == in, "page %u can%s be reached", (unsigned int)page,
			      in ? "not" : "");
		if (in) {
			memcpy(addr + page * SCENE_PAGE, &mark, sizeof(mark));
			ck_assert_int_eq(iommufd_device_region_read(scene.dev, 2, page * SCENE_PAGE, &back, 8), 0);
			ck_assert_uint_eq(back, mark);
		}
		area += page * SCENE_PAGE + SCENE_PAGE - 1 == fine[area].last;
	}
	ck_assert_int_eq(iommufd_device_region_unmap(scene.dev, addr), 0);
	ck_assert_uint_eq(inject_mapped(), before);
	scene_close(&scene);
}
END_TEST

START_TEST(a_region_that_hides_everything_is_not_mapped)
{
	struct scene scene;
	void *addr = NULL;

	told = (__typeof__(told)){ .size = MIB, .sparse = true };
	open_attached(&scene);
	ck_assert_int_eq(iommufd_device_region_areas(scene.dev, 2, NULL, 0), 0);
	unit_fails(-EOPNOTSUPP, iommufd_device_region_map_all(scene.dev, 2, PROT_READ, &addr));
	unit_words_have("hides all");
	unit_fails(-EOPNOTSUPP, iommufd_device_region_map(scene.dev, 2, 0, SCENE_PAGE, PROT_READ, &addr));
	ck_assert_ptr_null(addr);
	scene_close(&scene);
}
END_TEST

START_TEST(whichever_part_cannot_be_mapped_none_is)
{
	struct scene scene;
	size_t before;
	unsigned int n = 0;
	void *addr = NULL;

	told = rough;
	open_attached(&scene);
	ck_assert_int_eq(iommufd_device_region_areas(scene.dev, 2, NULL, 0), 3);
	before = inject_mapped();
	for (;;) {
		int ret;

		unit_stale_words();
		inject_fail(INJECT_MMAP, ++n, -ENOMEM);
		ret = iommufd_device_region_map_all(scene.dev, 2, PROT_READ, &addr);
		if (!inject_failed())
			break;
		ck_assert_int_eq(ret, -ENOMEM);
		unit_check_words(ret);
		ck_assert_ptr_null(addr);
		ck_assert_uint_eq(inject_mapped(), before);
	}
	ck_assert_uint_eq(n, 1 + 6 + 1); /* for the place, three gaps and three areas, and the time that it went well */
	inject_fail(INJECT_MMAP, 0, 0);
	scene_close(&scene);
}
END_TEST

START_TEST(an_address_that_another_thread_takes_is_given_up_for_another)
{
	struct scene scene;
	size_t before;
	void *addr = NULL;

	told = rough;
	open_attached(&scene);
	before = inject_mapped();
	inject_fail(INJECT_MMAP, 3, -EEXIST);
	ck_assert_int_eq(iommufd_device_region_map_all(scene.dev, 2, PROT_READ, &addr), 0);
	ck_assert(inject_failed());
	ck_assert_uint_eq(inject_mapped(), before + 64 * SCENE_PAGE);
	ck_assert_int_eq(iommufd_device_region_unmap(scene.dev, addr), 0);
	addr = NULL;
	inject_fail_all(INJECT_MMAP, -EEXIST);
	unit_fails(-ENOMEM, iommufd_device_region_map_all(scene.dev, 2, PROT_READ, &addr));
	ck_assert_ptr_null(addr);
	inject_fail(INJECT_MMAP, 0, 0);
	scene_close(&scene);
}
END_TEST

/* ---- Large and small ---- */

START_TEST(large_windows_are_where_huge_pages_fit)
{
	static const struct {
		uint64_t offset, len, align;
	} windows[] = {
		{ 0, 2 * MIB, 2 * MIB },  { 3 * MIB, 5 * MIB, 2 * MIB },          { 0, 4 * GIB, GIB },
		{ SCENE_PAGE, GIB, GIB }, { 2 * MIB + SCENE_PAGE, 3 * GIB, GIB },
	};
	struct scene scene;
	void *addr;

	told = (__typeof__(told)){ .size = 4 * GIB };
	open_attached(&scene);
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		unsigned int advised = inject_count(INJECT_MADVISE);

		addr = map(&scene, windows[i].offset, windows[i].len);
		ck_assert_uint_eq(((uintptr_t)addr - windows[i].offset) & (windows[i].align - 1), 0);
		ck_assert_uint_eq(inject_count(INJECT_MADVISE), advised + 2); /* and that a child gets no copy */
		/* Not every kernel has any. */
		ck_assert_int_eq(iommufd_device_region_unmap(scene.dev, addr), 0);
		inject_fail(INJECT_MADVISE, 1, -EINVAL);
		addr = map(&scene, windows[i].offset, windows[i].len);
		ck_assert_int_eq(iommufd_device_region_unmap(scene.dev, addr), 0);
	}
	ck_assert_int_eq(iommufd_device_region_map_all(scene.dev, 2, PROT_READ, &addr), 0);
	ck_assert_uint_eq((uintptr_t)addr & (GIB - 1), 0);
	scene_close(&scene);
}
END_TEST

START_TEST(a_region_smaller_than_a_page_is_mapped_by_its_page)
{
	struct scene scene;
	void *addr = NULL;
	uint32_t word;

	told = (__typeof__(told)){ .size = 256 };
	open_attached(&scene);
	map(&scene, 0, SCENE_PAGE);
	ck_assert_int_eq(iommufd_device_region_map_all(scene.dev, 2, PROT_READ, &addr), 0);
	ck_assert_int_eq(iommufd_device_region_unmap(scene.dev, addr), 0);
	addr = NULL;
	unit_fails(-ERANGE, iommufd_device_region_map(scene.dev, 2, SCENE_PAGE, SCENE_PAGE, PROT_READ, &addr));
	unit_fails(-ERANGE, iommufd_device_region_map(scene.dev, 2, 0, 2 * SCENE_PAGE, PROT_READ, &addr));
	unit_fails(-ERANGE, iommufd_device_region_read(scene.dev, 2, 256, &word, 4));
	told.size = 0;
	unit_fails(-ERANGE, iommufd_device_region_map_all(scene.dev, 3, PROT_READ, &addr));
	ck_assert_ptr_null(addr);
	scene_close(&scene);
}
END_TEST

/* Into nothing, by as much as the kernel takes at once. */
START_TEST(more_bytes_than_a_system_call_moves_are_moved)
{
	size_t len = 3 * GIB + 5;
	unsigned int writes;
	struct scene scene;
	void *zeroes;
	int null;

	told = (__typeof__(told)){ .size = 4 * GIB };
	open_attached(&scene);
	zeroes = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	ck_assert(zeroes != MAP_FAILED && null >= 0);
	ck_assert_int_eq(dup3(null, scene.dev->fd, O_CLOEXEC), scene.dev->fd);
	writes = inject_count(INJECT_PWRITE);
	ck_assert_int_eq(iommufd_device_region_write(scene.dev, 2, 0, zeroes, len), 0);
	ck_assert_uint_eq(inject_count(INJECT_PWRITE) - writes, 4);
	/* Where it ends early, or fails further on, it says so. */
	inject_fail(INJECT_PWRITE, 3, -EFAULT);
	unit_fails(-EFAULT, iommufd_device_region_write(scene.dev, 2, 0, zeroes, len));
	inject_fail(INJECT_PWRITE, 2, 7);
	unit_fails(-EIO, iommufd_device_region_write(scene.dev, 2, 0, zeroes, len));
	unit_words_have("1073741831 of 3221225477 bytes");
	munmap(zeroes, len);
	close(null);
	scene_close(&scene);
}
END_TEST

/* ---- Windows and their device ---- */

START_TEST(windows_keep_their_device_attached_and_are_unmapped_when_it_is_freed)
{
	unsigned int detached = inject_ioctls(VFIO_DEVICE_DETACH_IOMMUFD_PT);
	void *addr[3];
	struct scene scene;

	told = (__typeof__(told)){ .size = MIB };
	open_attached(&scene);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_int_eq(
			iommufd_device_region_map(scene.dev, i, 0, SCENE_PAGE, PROT_READ | PROT_WRITE, &addr[i]), 0);
	ck_assert_int_eq(iommufd_device_region_unmap(scene.dev, addr[1]), 0);
	ck_assert_uint_eq(inject_mapped(), SCENE_MAPPED + 2 * SCENE_PAGE);
	unit_fails(-EBUSY, iommufd_device_detach(scene.dev));
	unit_words_have("2 of its windows are mapped");
	ck_assert_uint_eq(inject_mapped(), SCENE_MAPPED + 2 * SCENE_PAGE);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_DETACH_IOMMUFD_PT), detached);
	ck_assert_int_eq(iommufd_device_region_unmap(scene.dev, addr[0]), 0);
	unit_fails(-EBUSY, iommufd_device_detach(scene.dev));
	ck_assert_int_eq(iommufd_device_region_unmap(scene.dev, addr[2]), 0);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_int_eq(iommufd_device_region_map(scene.dev, 0, 0, SCENE_PAGE, PROT_READ, &addr[0]), 0);
	iommufd_device_free(scene.dev);
	scene.dev = NULL;
	ck_assert_uint_eq(inject_mapped(), SCENE_MAPPED);
	scene_close(&scene);
}
END_TEST

/* ---- Writes by eventfd ---- */

static struct vfio_device_ioeventfd asked;
static int answer;

static int ioeventfd(int fd, void *arg)
{
	(void)fd;
	asked = *(struct vfio_device_ioeventfd *)arg;
	return answer;
}

START_TEST(a_write_by_eventfd_is_asked_for_by_its_place_in_the_device)
{
	static const struct {
		int err, ret;
		const char *words;
	} refusals[] = {
		{ -ENOTTY, -EOPNOTSUPP, "driver cannot" }, { -EINVAL, -EINVAL, "only BARs" },
		{ -ENOSPC, -ENOSPC, "remove one" },        { -EBUSY, -EBUSY, "/proc/iomem" },
		{ -EEXIST, -EEXIST, "remove that" },       { -ENOMEM, -ENOMEM, "memory" },
	};
	int bell = eventfd(0, EFD_CLOEXEC);
	struct scene scene;

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	inject_ioctl(VFIO_DEVICE_IOEVENTFD, ioeventfd);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		answer = refusals[i].err;
		unit_fails(refusals[i].ret, iommufd_device_ioeventfd_add(scene.dev, 2, 0x100, 8, UINT64_MAX, bell));
		unit_words_have(refusals[i].words);
	}
	answer = 0;
	ck_assert_int_eq(iommufd_device_ioeventfd_add(scene.dev, 2, 0x100, 8, UINT64_MAX, bell), 0);
	ck_assert_uint_eq(asked.argsz, sizeof(asked));
	ck_assert_uint_eq(asked.flags, VFIO_DEVICE_IOEVENTFD_64);
	ck_assert_uint_eq(asked.offset, 2 * 16 * SCENE_PAGE + 0x100);
	ck_assert_uint_eq(asked.data, UINT64_MAX);
	ck_assert_int_eq(asked.fd, bell);
	answer = -EIO;
	unit_fails(-EIO, iommufd_device_ioeventfd_remove(scene.dev, 2, 0x100, 8, UINT64_MAX));
	answer = 0;
	ck_assert_int_eq(iommufd_device_ioeventfd_remove(scene.dev, 2, 0x100, 8, UINT64_MAX), 0);
	ck_assert_int_eq(asked.fd, -1);
	ck_assert_int_eq(iommufd_device_ioeventfd_add(scene.dev, 2, 0x80, 1, 7, bell), 0);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	ck_assert_int_eq(asked.fd, -1);
	ck_assert_uint_eq(asked.flags, VFIO_DEVICE_IOEVENTFD_8);
	ck_assert_uint_eq(asked.offset, 2 * 16 * SCENE_PAGE + 0x80);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, what_the_capabilities_say_is_in_the_info);
	tcase_add_test(tcase, areas_are_whole_pages_of_the_region_in_order);
	tcase_add_test(tcase, gaps_of_a_whole_region_are_there_and_cannot_be_reached);
	tcase_add_test(tcase, a_region_that_hides_everything_is_not_mapped);
	tcase_add_test(tcase, whichever_part_cannot_be_mapped_none_is);
	tcase_add_test(tcase, an_address_that_another_thread_takes_is_given_up_for_another);
	tcase_add_test(tcase, large_windows_are_where_huge_pages_fit);
	tcase_add_test(tcase, a_region_smaller_than_a_page_is_mapped_by_its_page);
	tcase_add_test(tcase, more_bytes_than_a_system_call_moves_are_moved);
	tcase_add_test(tcase, windows_keep_their_device_attached_and_are_unmapped_when_it_is_freed);
	tcase_add_test(tcase, a_write_by_eventfd_is_asked_for_by_its_place_in_the_device);
}
