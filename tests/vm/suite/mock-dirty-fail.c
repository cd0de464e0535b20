/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Dirty pages of the mock IOMMU while things fail: each system call of each call, and each allocation of the kernel in
 * it. Whichever it was, no object is left behind, and no page that was written is lost: what the failed call did not
 * tell, the next one does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "door.h"
#include "mock.h"

#define BASE   ((uint64_t)MOCK_APERTURE_START)
#define PAGES  64u
#define MAPPED UINT64_C(0x00ffffff0000ffff) /* two mappings, and a hole between them */
#define FIRST  UINT64_C(0x0000000100008010) /* what the one device writes, and the other */
#define SECOND UINT64_C(0x0080000000000001)

struct scene {
	struct bed bed;
	struct mock_device one, other;
	char *memory;
	uint64_t bits;
};

/* A call, how it is prepared, and what it must have done in the end, which is then taken back. */
struct act {
	const char *name;
	void (*prepare)(struct scene *scene);
	int (*call)(struct scene *scene);
	void (*check)(struct scene *scene);
	void (*failed)(struct scene *scene); /* what must be so when it has failed; or NULL */
};

static uint64_t told(struct scene *scene, uint32_t flags)
{
	uint64_t bits = 0;

	ok(iommufd_ioas_dirty_read(scene->bed.ioas, BASE, (uint64_t)PAGES * PAGE, PAGE, flags, &bits, sizeof(bits)));
	return bits;
}

static void write_pages(struct scene *scene)
{
	const uint64_t first = FIRST, second = SECOND;
	int fd = scene->one.fd;

	ck_assert_int_gt(mock_dirty(fd, scene->one.hwpt, BASE, (uint64_t)PAGES * PAGE, PAGE, &first), 0);
	ck_assert_int_gt(mock_dirty(fd, scene->other.hwpt, BASE, (uint64_t)PAGES * PAGE, PAGE, &second), 0);
}

static void map_at(struct scene *scene, unsigned int first, unsigned int count)
{
	uint64_t iova = BASE + first * PAGE;

	ok(iommufd_ioas_map(scene->bed.ioas, scene->memory, (size_t)count * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
}

/* ---- The calls ---- */

static void nothing(struct scene *scene)
{
	(void)scene;
}

static int start(struct scene *scene)
{
	return iommufd_ioas_dirty_start(scene->bed.ioas);
}

/* The devices go back to what the kernel picks for them. */
static void is_started(struct scene *scene)
{
	write_pages(scene);
	ck_assert_uint_eq(told(scene, 0), FIRST | SECOND);
	ok(iommufd_ioas_dirty_stop(scene->bed.ioas));
	ok(iommufd_device_replace(scene->one.dev, scene->bed.ioas));
	ok(iommufd_device_replace(scene->other.dev, scene->bed.ioas));
}

static void start_and_write(struct scene *scene)
{
	ok(start(scene));
	write_pages(scene);
}

static int read_all(struct scene *scene)
{
	return iommufd_ioas_dirty_read(scene->bed.ioas, BASE, (uint64_t)PAGES * PAGE, PAGE, 0, &scene->bits,
				       sizeof(scene->bits));
}

static void is_read(struct scene *scene)
{
	ck_assert_uint_eq(scene->bits, FIRST | SECOND);
	ck_assert_uint_eq(told(scene, 0), 0);
	is_started(scene);
}

static int read_and_keep(struct scene *scene)
{
	return iommufd_ioas_dirty_read(scene->bed.ioas, BASE, (uint64_t)PAGES * PAGE, PAGE, IOMMUFD_DIRTY_KEEP,
				       &scene->bits, sizeof(scene->bits));
}

static void is_kept(struct scene *scene)
{
	ck_assert_uint_eq(scene->bits, FIRST | SECOND);
	ck_assert_uint_eq(told(scene, 0), FIRST | SECOND);
	is_started(scene);
}

/* What a first attempt has unmapped is no failure of the second. */
static int unmap(struct scene *scene)
{
	int ret = iommufd_ioas_unmap_dirty(scene->bed.ioas, BASE, (uint64_t)PAGES * PAGE, PAGE, &scene->bits,
					   sizeof(scene->bits), NULL);

	return ret == -ENOENT ? 0 : ret;
}

static void is_unmapped(struct scene *scene)
{
	ck_assert_uint_eq(scene->bits, FIRST | SECOND);
	map_at(scene, 0, 16);
	map_at(scene, 32, 24);
	ck_assert_uint_eq(told(scene, 0), 0);
	is_started(scene);
}

static int stop(struct scene *scene)
{
	return iommufd_ioas_dirty_stop(scene->bed.ioas);
}

static void is_all_dirty(struct scene *scene)
{
	ck_assert_uint_eq(told(scene, 0), MAPPED);
}

static void is_stopped(struct scene *scene)
{
	ok(start(scene));
	ck_assert_uint_eq(told(scene, 0), 0);
	is_started(scene);
}

static void start_without(struct scene *scene)
{
	ok(iommufd_device_detach(scene->other.dev));
	ok(start(scene));
}

static int attach(struct scene *scene)
{
	return iommufd_device_attach(scene->other.dev, scene->bed.ioas);
}

static int detach(struct scene *scene)
{
	return iommufd_device_detach(scene->other.dev);
}

/* Its page table went with it, and what that knew is kept, at the worst as everything. */
static void is_detached(struct scene *scene)
{
	ck_assert_uint_eq(told(scene, 0) & (FIRST | SECOND), FIRST | SECOND);
	ok(attach(scene));
	is_started(scene);
}

static const struct act acts[] = {
	{ "start", nothing, start, is_started, NULL },
	{ "stop", start_and_write, stop, is_stopped, is_all_dirty },
	{ "read", start_and_write, read_all, is_read, NULL },
	{ "read and keep", start_and_write, read_and_keep, is_kept, NULL },
	{ "unmap", start_and_write, unmap, is_unmapped, NULL },
	{ "attach", start_without, attach, is_started, NULL },
	{ "detach", start_and_write, detach, is_detached, NULL },
};

/* ---- Each place where they can fail ---- */

/* True while the call has so many places. */
static bool attempt(struct scene *scene, const struct act *act, enum door_failure how, unsigned int nth)
{
	struct door_point point;
	bool happened;
	uint32_t lowest;
	int ret;

	act->prepare(scene);
	lowest = mock_lowest_id(scene->one.fd);
	scene->bits = 0;
	door_fail(how, nth);
	ret = act->call(scene);
	happened = door_end(&point);
	if (ret) {
		ck_assert_msg(happened, "%s: %s", act->name, iommufd_errmsg());
		ck_assert_msg(mock_lowest_id(scene->one.fd) == lowest, "%s, %u of %d, %s: an object is left", act->name,
			      nth, (int)how, door_name(point.call));
		if (act->failed)
			act->failed(scene);
		ok(act->call(scene));
	}
	if (getenv("TEST_DIRTY_PLACES"))
		printf("# %s, %u of %d, %s: %d\n", act->name, nth, (int)how, happened ? door_name(point.call) : "none",
		       ret);
	fflush(stdout);
	act->check(scene);
	return happened;
}

static void scene_open(struct scene *scene)
{
	bed_open(&scene->bed);
	mock_open(&scene->one, scene->bed.ctx, 0);
	mock_open(&scene->other, scene->bed.ctx, 0);
	ok(iommufd_device_attach(scene->one.dev, scene->bed.ioas));
	ok(attach(scene));
	scene->memory = mock_scattered(PAGES);
	map_at(scene, 0, 16);
	map_at(scene, 32, 24);
}

static void sweep(enum door_failure how)
{
	unsigned int places = 0;

	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		struct scene scene = { .bits = 0 };

		scene_open(&scene);
		for (unsigned int nth = 1; attempt(&scene, &acts[i], how, nth); nth++)
			ck_assert_uint_lt(++places, 2000);
		mock_close(&scene.other);
		mock_close(&scene.one);
		bed_close(&scene.bed);
		munmap(scene.memory, (size_t)PAGES * PAGE);
	}
	ck_assert_uint_gt(places, 10);
	printf("# dirty: mock: %u places, %s\n", places, how == DOOR_MEMORY ? "allocations" : "system calls");
}

START_TEST(whichever_system_call_fails_no_written_page_is_lost)
{
	sweep(DOOR_ONCE);
	sweep(DOOR_LASTING);
}
END_TEST

START_TEST(whichever_allocation_of_the_kernel_fails_no_written_page_is_lost)
{
	ck_assert(door_memory_fails());
	door_fail(DOOR_MEMORY, 1);
	door_end(&(struct door_point){ 0 });
	sweep(DOOR_MEMORY);
}
END_TEST

void add_mock_dirty_fail_tests(TCase *tc)
{
	tcase_add_test(tc, whichever_system_call_fails_no_written_page_is_lost);
	tcase_add_test(tc, whichever_allocation_of_the_kernel_fails_no_written_page_is_lost);
}
