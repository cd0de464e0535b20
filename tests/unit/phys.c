/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Devices without an IOMMU, reached by their groups: which pages the library has locked, one by one. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define PAGES  64
#define SPACES 3

/* What the library has locked. A call that fails has locked what comes before the page that it fails for. */
static bool locked[PAGES];
static size_t hole;

static size_t page_of(const void *addr)
{
	size_t page = (size_t)((const char *)addr - (const char *)scene_memory(0)) / SCENE_PAGE;

	ck_assert_uint_lt(page, PAGES);
	return page;
}

static atomic_uint inside, crowd;
static bool slow;

int __wrap_ifd_sys_mlock(void *addr, size_t len);
int __wrap_ifd_sys_mlock(void *addr, size_t len)
{
	size_t first = page_of(addr);

	if (slow) {
		crowd += inside++ > 0;
		usleep(1000);
		inside--;
	}
	for (size_t page = first; page < first + len / SCENE_PAGE; page++) {
		if (page == hole)
			return -ENOMEM;
		locked[page] = true;
	}
	return 0;
}

void __wrap_ifd_sys_munlock(void *addr, size_t len);
void __wrap_ifd_sys_munlock(void *addr, size_t len)
{
	size_t first = page_of(addr);

	ck_assert_uint_gt(len, 0);
	for (size_t page = first; page < first + len / SCENE_PAGE; page++)
		locked[page] = false;
}

static int no_compat_ioas(int fd, void *arg)
{
	const struct iommu_vfio_ioas *cmd = arg;

	(void)fd;
	return cmd->op == IOMMU_VFIO_IOAS_GET ? -ENODEV : 0;
}

static struct iommufd_ctx *ctx;
static struct iommufd_ioas *spaces[SPACES];
static struct iommufd_device *devices[SPACES];

static void open_spaces(void)
{
	static char names[SPACES][16] = { "0000:00:09.0", "0000:00:0a.0", "0000:00:0b.0" };
	static char path[] = "/sys/devices/x", vfio[] = "vfio-pci";
	static struct ifd_found found[SPACES];
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts),
					 .backend = IOMMUFD_BACKEND_IOMMUFD,
					 .flags = IOMMUFD_CTX_NOIOMMU };

	hole = PAGES;
	scene_answers();
	inject_ioctl(IOMMU_VFIO_IOAS, no_compat_ioas);
	ck_assert_int_eq(iommufd_ctx_new(&opts, &ctx), 0);
	for (int i = 0; i < SPACES; i++) {
		found[i] = (struct ifd_found){
			.name = names[i], .path = path, .driver = vfio, .group = 9 + i, .vfio = true, .noiommu = true
		};
		inject_device(&found[i]);
		ck_assert_int_eq(iommufd_ioas_new(ctx, &spaces[i]), 0);
		ck_assert_int_eq(iommufd_device_new(ctx, names[i], &devices[i]), 0);
	}
}

static void close_spaces(void)
{
	for (int i = 0; i < SPACES; i++) {
		iommufd_device_free(devices[i]);
		iommufd_ioas_free(spaces[i]);
	}
	iommufd_ctx_free(ctx);
	for (size_t page = 0; page < PAGES; page++)
		ck_assert(!locked[page]);
	ck_assert_uint_eq(inject_fds(), 0);
}

/* ---- Against a model: which mappings there are ---- */

struct piece {
	size_t first, count; /* no mapping while `count` is 0 */
	uint64_t iova;
	int space;
};

#define PIECES 24

static void check(const struct piece *pieces, const bool *attached)
{
	bool wanted[PAGES] = { false };

	for (int i = 0; i < PIECES; i++)
		for (size_t page = 0; page < pieces[i].count && attached[pieces[i].space]; page++)
			wanted[pieces[i].first + page] = true;
	for (size_t page = 0; page < PAGES; page++)
		ck_assert_msg(wanted[page] == locked[page], "page %zu is %slocked", page, locked[page] ? "" : "not ");
}

static void toggle_piece(struct piece *piece)
{
	int ret;

	if (piece->count) {
		ret = iommufd_ioas_unmap(spaces[piece->space], piece->iova, piece->count * SCENE_PAGE, NULL);
		piece->count = 0;
	} else {
		piece->space = rand() % SPACES;
		piece->first = (size_t)rand() % (PAGES - 1);
		piece->count = 1 + (size_t)rand() % (PAGES - piece->first < 12 ? PAGES - piece->first : 12);
		ret = iommufd_ioas_map(spaces[piece->space], scene_memory(piece->first), piece->count * SCENE_PAGE,
				       IOMMUFD_MAP_READ, &piece->iova);
	}
	ck_assert_int_eq(ret, 0);
}

START_TEST(exactly_the_pages_of_mappings_for_devices_are_locked)
{
	struct piece pieces[PIECES];
	bool attached[SPACES] = { false };

	memset(pieces, 0, sizeof(pieces));
	open_spaces();
	for (int i = 0; i < 5000; i++) {
		int at = rand() % (PIECES + 1);

		if (at < PIECES) {
			toggle_piece(&pieces[at]);
		} else {
			at = rand() % SPACES;
			ck_assert_int_eq(attached[at] ? iommufd_device_detach(devices[at])
						      : iommufd_device_attach(devices[at], spaces[at]),
					 0);
			attached[at] = !attached[at];
		}
		check(pieces, attached);
	}
	close_spaces();
}
END_TEST

/* ---- Failures ---- */

static size_t count_locked(void)
{
	size_t count = 0;

	for (size_t page = 0; page < PAGES; page++)
		count += locked[page];
	return count;
}

static uint64_t map(int space, size_t first, size_t count)
{
	uint64_t iova;

	ck_assert_int_eq(
		iommufd_ioas_map(spaces[space], scene_memory(first), count * SCENE_PAGE, IOMMUFD_MAP_READ, &iova), 0);
	return iova;
}

START_TEST(a_lock_that_fails_in_the_middle_is_undone_up_to_what_others_need)
{
	uint64_t iova;

	open_spaces();
	ck_assert_int_eq(iommufd_device_attach(devices[0], spaces[0]), 0);
	map(0, 2, 2);
	hole = 8;
	unit_fails(-EFAULT, iommufd_ioas_map(spaces[0], scene_memory(0), 16 * SCENE_PAGE, IOMMUFD_MAP_READ, &iova));
	ck_assert_uint_eq(count_locked(), 2);
	map(1, 3, 4);
	map(1, 6, 6);
	unit_fails(-EFAULT, iommufd_device_attach(devices[1], spaces[1]));
	ck_assert_uint_eq(count_locked(), 2);
	ck_assert(locked[2] && locked[3]);
	hole = PAGES;
	ck_assert_int_eq(iommufd_device_attach(devices[1], spaces[1]), 0);
	ck_assert_uint_eq(count_locked(), 10);
	close_spaces();
}
END_TEST

static uint64_t elsewhere;

/* While the kernel is asked to unmap it, another thread unmaps the same memory elsewhere; and then it is refused. */
static int refuse_to_unmap(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	inject_ioctl(IOMMU_IOAS_UNMAP, inject_succeed);
	if (elsewhere)
		ck_assert_int_eq(iommufd_ioas_unmap(spaces[1], elsewhere, 4 * SCENE_PAGE, NULL), 0);
	elsewhere = 0;
	inject_ioctl(IOMMU_IOAS_UNMAP, refuse_to_unmap);
	return -EBUSY;
}

START_TEST(a_mapping_that_the_kernel_keeps_stays_locked)
{
	uint64_t iova;

	open_spaces();
	ck_assert_int_eq(iommufd_device_attach(devices[0], spaces[0]), 0);
	ck_assert_int_eq(iommufd_device_attach(devices[1], spaces[1]), 0);
	iova = map(0, 0, 4);
	elsewhere = map(1, 0, 4);
	inject_ioctl(IOMMU_IOAS_UNMAP, refuse_to_unmap);
	unit_fails(-EBUSY, iommufd_ioas_unmap(spaces[0], iova, 4 * SCENE_PAGE, NULL));
	ck_assert_uint_eq(elsewhere, 0);
	ck_assert_uint_eq(count_locked(), 4);
	inject_ioctl(IOMMU_IOAS_UNMAP, inject_succeed);
	ck_assert_int_eq(iommufd_ioas_unmap(spaces[0], iova, 4 * SCENE_PAGE, NULL), 0);
	ck_assert_uint_eq(count_locked(), 0);
	close_spaces();
}
END_TEST

START_TEST(what_is_not_taken_back_of_a_batch_stays_locked)
{
	struct iommufd_map maps[3];

	open_spaces();
	ck_assert_int_eq(iommufd_device_attach(devices[0], spaces[0]), 0);
	for (int i = 0; i < 3; i++)
		maps[i] = (struct iommufd_map){ .vaddr = scene_memory((size_t)i),
						.len = 4 * SCENE_PAGE,
						.flags = IOMMUFD_MAP_READ };
	inject_ioctl_fail(IOMMU_IOAS_MAP, 3, 1, -EIO);
	inject_ioctl_fail(IOMMU_IOAS_UNMAP, 1, 1, -EBUSY); /* the first one, pages 0 to 3, stays */
	unit_fails(-EIO, iommufd_ioas_map_batch(spaces[0], maps, 3, NULL));
	ck_assert_uint_eq(count_locked(), 4);
	ck_assert(locked[0] && locked[3]);
	close_spaces();
}
END_TEST

static int advise(void *addr, size_t len, int advice)
{
	(void)addr;
	(void)len;
	(void)advice;
	return 0;
}

/* By whom else pages are locked is looked up meanwhile, however many threads are wanted. */
START_TEST(the_pages_of_a_batch_are_locked_by_one_thread_at_a_time)
{
	struct iommufd_batch_opts opts = { .struct_size = sizeof(opts), .threads = 4 };
	struct iommufd_map maps[16];

	open_spaces();
	ck_assert_int_eq(iommufd_device_attach(devices[0], spaces[0]), 0);
	for (size_t i = 0; i < 16; i++)
		maps[i] = (struct iommufd_map){ scene_memory(i), SCENE_PAGE, 0, IOMMUFD_MAP_READ, 0 };
	inject_advice(advise);
	slow = true;
	for (opts.flags = 0; opts.flags <= IOMMUFD_BATCH_POPULATE; opts.flags++) {
		ck_assert_int_eq(iommufd_ioas_map_batch(spaces[0], maps, 16, &opts), 0);
		ck_assert_uint_eq(count_locked(), 16);
		ck_assert_int_eq(iommufd_ioas_unmap_all(spaces[0], NULL), 0);
	}
	inject_advice(NULL);
	ck_assert_uint_eq(crowd, 0);
	close_spaces();
}
END_TEST

START_TEST(a_kernel_that_makes_no_huge_pages_need_not_be_kept_from_it)
{
	struct iommufd_dma dma;

	open_spaces();
	inject_fail(INJECT_MADVISE, 2, -EINVAL); /* the first keeps it from child processes */
	ck_assert_int_eq(iommufd_dma_alloc(spaces[0], SCENE_PAGE, IOMMUFD_MAP_READ, &dma), 0);
	ck_assert(inject_failed());
	iommufd_dma_free(spaces[0], &dma);
	close_spaces();
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_kernel_that_makes_no_huge_pages_need_not_be_kept_from_it);
	tcase_add_test(tcase, exactly_the_pages_of_mappings_for_devices_are_locked);
	tcase_add_test(tcase, a_lock_that_fails_in_the_middle_is_undone_up_to_what_others_need);
	tcase_add_test(tcase, a_mapping_that_the_kernel_keeps_stays_locked);
	tcase_add_test(tcase, what_is_not_taken_back_of_a_batch_stays_locked);
	tcase_add_test(tcase, the_pages_of_a_batch_are_locked_by_one_thread_at_a_time);
}
