/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Each public call, with the first, the second, the third system call in it made to fail, and so on until it makes no
 * more of them; and the same with the kernel's allocations. Whichever it was: an errno with words, nothing left behind,
 * nothing lost, the kernel and the library agree on what is mapped, and when the call is made again it succeeds.
 */
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <time.h>

#include "acts.h"
#include "door.h"
#include "nest.h"
#include "uapi/iommufd.h"

#define UNTOUCHED 0x5a
#define MOST      2000

/* Of what takes long, these first ones are tried, and then each so many. */
#define DENSE  8
#define STRIDE 9

/* Of all tests of a path, in memory that they share with the process that tells of it. */
static struct totals {
	const char *path; /* NULL until a test has run */
	unsigned int calls, system_calls, allocations, spared, tolerated, leaks, mistakes;
} * totals;

/* ---- What is there ---- */

enum { NOTHING, MAPPED, UNKNOWN };

/* At which addresses it is looked. */
static const uint64_t places[] = {
	STAGE_FIRST, STAGE_FIRST + PAGE, STAGE_FIRST + 2 * PAGE, STAGE_FIRST + 5 * PAGE, STAGE_FREE, STAGE_FREE + PAGE,
};

#define PLACES (sizeof(places) / sizeof(places[0]))

struct view {
	uint64_t ranges, alignment, mapped, locked; /* bytes that the library has mapped; kilobytes that are locked */
	int fds, attached, msi, intx;
	uint32_t objects[4]; /* the lowest numbers that are free in the iommufd, of the mock IOMMU */
	unsigned char index[PLACES], kernel[PLACES];
};

/* The kernel is asked by trying to map there. While it has no IOMMU it cannot tell. */
static int ask_iommufd(const struct stage *stage, uint64_t iova)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = stage->id,
		.user_va = (uintptr_t)(stage->pages + (STAGE_PAGES - 1) * PAGE),
		.length = PAGE,
		.iova = iova,
	};
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap), .ioas_id = stage->id, .iova = iova, .length = PAGE };
	int fd = iommufd_ctx_fd(stage->bed.ctx);

	if (ioctl(fd, IOMMU_IOAS_MAP, &map))
		return errno == EEXIST ? MAPPED : UNKNOWN;
	ck_assert_int_eq(ioctl(fd, IOMMU_IOAS_UNMAP, &unmap), 0);
	return NOTHING;
}

static int ask_container(const struct stage *stage, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (uintptr_t)(stage->pages + (STAGE_PAGES - 1) * PAGE),
		.iova = iova,
		.size = PAGE,
	};
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = iova, .size = PAGE };
	int fd = iommufd_ctx_fd(stage->bed.ctx);

	if (ioctl(fd, VFIO_IOMMU_MAP_DMA, &map))
		return errno == EEXIST ? MAPPED : UNKNOWN;
	ck_assert_int_eq(ioctl(fd, VFIO_IOMMU_UNMAP_DMA, &unmap), 0);
	return NOTHING;
}

static int vectors(struct iommufd_device *dev, uint32_t index)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };

	ok(iommufd_device_irq_info(dev, index, &info));
	return (int)info.enabled;
}

static uint64_t locked(void)
{
	unsigned long kilobytes = 0;
	char line[128];
	FILE *file = fopen("/proc/self/status", "re");

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file) && sscanf(line, "VmLck: %lu", &kilobytes) != 1)
		;
	fclose(file);
	return kilobytes;
}

static void look(struct stage *stage, struct view *view)
{
	struct iommufd_range ranges[4];
	void *vaddr;
	int count;

	memset(view, 0, sizeof(*view));
	for (size_t i = 0; i < PLACES; i++) {
		view->index[i] = iommufd_ioas_to_vaddr(stage->bed.ioas, places[i], PAGE, &vaddr) ? NOTHING : MAPPED;
		view->kernel[i] =
			(unsigned char)(vm_backend == IOMMUFD_BACKEND_IOMMUFD ? ask_iommufd(stage, places[i])
									      : ask_container(stage, places[i]));
	}
	count = iommufd_ioas_ranges(stage->bed.ioas, ranges, 4);
	for (int i = 0; i < count && i < 4; i++)
		view->ranges = view->ranges * 31 + ranges[i].start * 7 + ranges[i].last;
	view->alignment = iommufd_ioas_alignment(stage->bed.ioas);
	view->mapped = door_mapped();
	view->locked = vm_path->noiommu ? locked() : 0;
	view->attached = stage->bed.dev && iommufd_device_fd(stage->bed.dev) >= 0;
	if (view->attached) {
		view->msi = vectors(stage->bed.dev, IOMMUFD_PCI_MSI);
		view->intx = vectors(stage->bed.dev, IOMMUFD_PCI_INTX);
	}
	if (vm_path->mock)
		nest_numbers(iommufd_ctx_fd(stage->bed.ctx), view->objects, 4);
	view->fds = open_fds();
}

/* ---- One row ---- */

/* A row of the table while it is gone through. */
struct row {
	const struct act *act;
	struct stage stage;
	struct view before, after; /* a call that succeeds */
	union out out;             /* what that gives, and returns */
	uint64_t facts;
	int ret;
	bool spared;          /* the kernel did without some memory: it may tell of fewer ranges that it reserves */
	bool spends, halfway; /* as the call does when it survives */
	char where[160];      /* what is being tried, for the words */
};

static void wrong(struct row *row, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void wrong(struct row *row, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	printf("# %s: ", row->where);
	vprintf(fmt, args);
	printf("\n");
	va_end(args);
	fflush(stdout);
	totals->mistakes++;
}

/* Iommufd tells always, a container while it has a group with an IOMMU: of an attached device, or handed over in it. */
static bool kernel_tells(const struct row *row)
{
	return vm_backend == IOMMUFD_BACKEND_IOMMUFD ||
	       (!vm_path->noiommu && (row->before.attached || row->stage.other || row->stage.handed));
}

static void agree(struct row *row, const struct view *now, const char *when)
{
	for (size_t i = 0; i < PLACES; i++)
		if (now->kernel[i] != UNKNOWN && now->kernel[i] != now->index[i])
			wrong(row, "%s: the kernel %s at 0x%lx, the library does not think so", when,
			      now->kernel[i] == MAPPED ? "has a mapping" : "has nothing", (unsigned long)places[i]);
}

static void compare(struct row *row, const struct view *expected, const char *when)
{
	struct view now, same = *expected;
	bool index, kernel = false, rest;

	look(&row->stage, &now);
	agree(row, &now, when);
	if (now.fds > expected->fds + row->spends || now.mapped > expected->mapped || now.locked > expected->locked) {
		totals->leaks++;
		wrong(row, "%s: a leak: %d file descriptors, not %d; %lu bytes, not %lu; %lu KiB locked, not %lu", when,
		      now.fds, expected->fds, (unsigned long)now.mapped, (unsigned long)expected->mapped,
		      (unsigned long)now.locked, (unsigned long)expected->locked);
	}
	if (memcmp(now.objects, expected->objects, sizeof(now.objects)) != 0) {
		totals->leaks++;
		wrong(row, "%s: a leak: the next objects are %u to %u, not %u to %u", when, now.objects[0],
		      now.objects[3], expected->objects[0], expected->objects[3]);
	}
	if (row->halfway)
		return;
	index = memcmp(now.index, expected->index, sizeof(now.index));
	for (size_t i = 0; i < PLACES; i++) /* a container may begin to tell */
		if (now.kernel[i] != UNKNOWN && expected->kernel[i] != UNKNOWN)
			kernel |= now.kernel[i] != expected->kernel[i];
	if (row->spared)
		now.ranges = expected->ranges;
	rest = now.ranges != same.ranges || now.alignment != same.alignment || now.attached != same.attached ||
	       now.msi != same.msi || now.intx != same.intx || now.locked != same.locked;
	if (index || kernel || rest)
		wrong(row, "%s: changed:%s%s%s", when, index ? " what is mapped" : "",
		      kernel ? " what the kernel has" : "", rest ? " the device or the limits" : "");
}

static int call(struct row *row)
{
	memset(&row->stage.out, UNTOUCHED, sizeof(row->stage.out));
	if (row->act->size)
		row->stage.out.info.struct_size = row->act->size;
	return row->act->call(&row->stage);
}

static void undo(struct row *row)
{
	if (row->act->undo)
		row->act->undo(&row->stage);
}

static bool untouched(const struct row *row)
{
	union out fresh;

	memset(&fresh, UNTOUCHED, sizeof(fresh));
	if (row->act->size)
		fresh.info.struct_size = row->act->size;
	return !memcmp(&fresh, &row->stage.out, sizeof(fresh));
}

static bool is_turn(unsigned int turn, const struct door_point *point, bool memory)
{
	return turn == EACH || turn == point->turn || (memory && turn == WITHOUT_MEMORY(point->turn));
}

static bool survives(const struct act *act, const struct door_point *point, bool memory)
{
	for (const struct survival *one = act->survives; one && one->call; one++)
		if (one->call == point->call && is_turn(one->turn, point, memory))
			return true;
	return false;
}

static void check_success(struct row *row, int ret, const char *when)
{
	if (ret < 0)
		wrong(row, "%s: %d, %s", when, ret, iommufd_errmsg());
	else if (ret != row->ret)
		wrong(row, "%s: it returns %d, not %d", when, ret, row->ret);
	else if (row->stage.facts != row->facts ||
		 (!row->act->handle && memcmp(&row->stage.out, &row->out, sizeof(row->out)) != 0))
		wrong(row, "%s: it gives something else than without a failure", when);
	compare(row, &row->after, when);
}

static void check_failure(struct row *row, enum door_failure how, const char *stale)
{
	bool kept = row->act->keeps && how == DOOR_LASTING;

	if (!*iommufd_errmsg() || !strcmp(iommufd_errmsg(), stale))
		wrong(row, "no words");
	if (!untouched(row))
		wrong(row, "something was written to the result");
	row->halfway = row->act->by_steps || kept;
	row->spends = kept;
	compare(row, &row->before, "after the failure");
	row->halfway = row->spends = false;
}

/* True while the call has so many places where it could fail. */
static bool attempt(struct row *row, enum door_failure how, unsigned int nth)
{
	const struct act *act = row->act;
	struct door_point point;
	char stale[512];
	bool happened;
	int ret;

	iommufd_ioas_map(row->stage.bed.ioas, NULL, 0, 0, &(uint64_t){ 0 });
	snprintf(stale, sizeof(stale), "%s", iommufd_errmsg());
	door_fail(how, nth);
	ret = call(row);
	happened = door_end(&point);
	snprintf(row->where, sizeof(row->where), "%s on %s: %u%s: %s", act->name, vm_path->name, nth,
		 how == DOOR_MEMORY ? ". allocation"
		 : how == DOOR_ONCE ? ". system call"
				    : ". system call, and all like it",
		 happened ? door_name(point.call) : "none");
	if (ret < 0) {
		if (!happened)
			wrong(row, "it fails by itself: %d, %s", ret, iommufd_errmsg());
		check_failure(row, how, stale);
		ret = call(row);
		if (act->by_steps && ret >= 0)
			compare(row, &row->after, "the second time");
		else
			check_success(row, ret, "the second time");
	} else {
		totals->tolerated += happened && point.refused;
		totals->spared += happened && !point.refused;
		if (happened && point.refused && !survives(act, &point, how == DOOR_MEMORY))
			wrong(row, "it succeeds all the same");
		row->spared = happened && !point.refused;
		row->spends = happened && point.refused && act->spends;
		row->halfway = happened && point.refused && act->halfway;
		check_success(row, ret, "although it did not fail");
		row->spared = row->spends = row->halfway = false;
	}
	if (ret >= 0)
		undo(row);
	return happened;
}

static void open_row(struct row *row, const struct act *act)
{
	*row = (struct row){ .act = act };
	snprintf(row->where, sizeof(row->where), "%s on %s", act->name, vm_path->name);
	stage_open(&row->stage, act);
	look(&row->stage, &row->before);
	ck_assert_int_eq(row->before.index[0], MAPPED);
	ck_assert_int_eq(row->before.kernel[0], kernel_tells(row) ? MAPPED : UNKNOWN);
	row->ret = ok(call(row));
	row->out = row->stage.out;
	row->facts = row->stage.facts;
	look(&row->stage, &row->after);
	undo(row);
	compare(row, &row->before, "with nothing injected");
}

/* How many places were tried. */
static unsigned int sweep(struct row *row, enum door_failure how)
{
	unsigned int points = 0;

	for (unsigned int nth = 1; attempt(row, how, nth); nth += row->act->costly && nth >= DENSE ? STRIDE : 1)
		ck_assert_uint_lt(++points, MOST);
	return points;
}

/*
 * Linux 6.12 frees what it knows of a device's MSI capability twice when it has no memory for all of it
 * (vfio_msi_cap_len() in drivers/vfio/pci/vfio_pci_config.c), and that brings it down; 7.3 does not. There is no way to
 * find out but the number.
 */
static bool opening_is_safe(void)
{
	struct utsname name;

	return !uname(&name) && strtoul(name.release, NULL, 10) >= 7;
}

static void go_through(const struct act *act, bool memory)
{
	unsigned int once, points;
	struct timespec from, to;
	struct row row;

	if (act->on && !act->on())
		return;
	if (memory && (act->fatal || (act->opens && act->opens() && !opening_is_safe()))) {
		printf("# %s: left out, since this kernel does not survive it\n", act->name);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &from);
	open_row(&row, act);
	if (memory) {
		points = sweep(&row, DOOR_MEMORY);
		totals->allocations += points;
	} else {
		once = sweep(&row, DOOR_ONCE);
		points = once + sweep(&row, DOOR_LASTING);
		if (!act->seldom && (once != 0) == act->silent)
			wrong(&row, "it makes %u system calls", once);
		totals->calls++;
		totals->system_calls += points;
	}
	snprintf(row.where, sizeof(row.where), "%s on %s", act->name, vm_path->name);
	compare(&row, &row.before, "in the end");
	if (act->finish)
		act->finish(&row.stage);
	stage_close(&row.stage);
	clock_gettime(CLOCK_MONOTONIC, &to);
	if (getenv("TEST_INJECT_TIMES"))
		printf("# %s: %u points, %ld ms\n", act->name, points,
		       (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000);
	fflush(stdout);
}

static void go_through_all(bool memory)
{
	const struct act *const ours[] = { acts,       dma_acts, ioas_acts, device_acts, feature_acts,
					   sriov_acts, kvm_acts, pci_acts,  system_acts, NULL };
	const struct act *const mocks[] = { mock_acts, NULL };
	const char *only = getenv("TEST_INJECT_ONLY");
	unsigned int before = totals->mistakes;

	totals->path = vm_path->name;
	for (const struct act *const *table = vm_path->mock ? mocks : ours; *table; table++)
		for (const struct act *act = *table; act->name; act++)
			if (!only || strstr(act->name, only))
				go_through(act, memory);
	ck_assert_uint_eq(totals->leaks, 0);
	ck_assert_msg(totals->mistakes == before, "%u mistakes, see above", totals->mistakes - before);
}

/* ---- The tables ---- */

START_TEST(whichever_system_call_fails_nothing_is_left_behind_and_nothing_is_lost)
{
	go_through_all(false);
}
END_TEST

/*
 * Where the kernel complains of itself when memory is short: it removes the file that shows an interrupt's handler
 * though there was none for it, Linux 6.12 unmaps an MSI-X table that it could not map; it cannot always give a group
 * back to its own driver; it gives up a group of a new device that was not all made; and virtio's IOMMU needs memory to
 * unmap.
 */
#define KERNEL_WARNS                                                                                         \
	"WARNING: .*(remove_proc_entry|iounmap|__iommu_release_dma_ownership|__iommu_group_set_core_domain|" \
	"iommu_unmap_nofail|vfio_unmap_unpin|vfio_group_release)"

START_TEST(whichever_allocation_of_the_kernel_fails_nothing_is_left_behind_and_nothing_is_lost)
{
	const char *const devices[] = { EDU, NVME, TWIN_A, TWIN_B };

	ck_assert(door_memory_fails());
	door_fail(DOOR_MEMORY, 1); /* opens what that takes, before descriptors are counted */
	door_end(&(struct door_point){ 0 });
	vm_expect_kernel(KERNEL_WARNS);
	for (int i = 0; i < 4; i++)
		vm_keep_enabled(devices[i], true);
	go_through_all(true);
	for (int i = 0; i < 4; i++)
		vm_keep_enabled(devices[i], false);
}
END_TEST

/* These two run in the process that outlives the tests. */
static void begin(void)
{
	memset(totals, 0, sizeof(*totals));
}

static void tell(void)
{
	if (!totals->path)
		return;
	printf("# injected: %s: %u calls, %u system-call points, %u kernel-allocation points (%u without effect), "
	       "%u tolerated, %u leaks\n",
	       totals->path, totals->calls, totals->system_calls, totals->allocations, totals->spared,
	       totals->tolerated, totals->leaks);
	fflush(stdout);
}

/* Some machines have paths that are the same on another, where this was done. */
static bool is_left_out(void)
{
	const char *paths = getenv("TEST_INJECT_PATHS");
	char words[256];

	if (!paths || !*paths)
		return false;
	snprintf(words, sizeof(words), " %s ", paths);
	for (char *at = words; (at = strstr(at, vm_path->name)); at++)
		if (at[-1] == ' ' && at[strlen(vm_path->name)] == ' ')
			return false;
	return true;
}

void add_inject_tests(TCase *tc)
{
	if (is_left_out()) {
		printf("# path %s: no failures are injected, as the machine's file says\n", vm_path->name);
		return;
	}
	if (!totals)
		totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	tcase_set_timeout(tc, 900); /* as many times the longest path's on an idle computer as other tests have */
	tcase_add_unchecked_fixture(tc, begin, tell);
	tcase_add_test(tc, whichever_system_call_fails_nothing_is_left_behind_and_nothing_is_lost);
	if (getenv("TEST_INJECT_CALLS_ONLY"))
		printf("# path %s: no allocations fail, since TEST_INJECT_CALLS_ONLY is set\n", vm_path->name);
	else if (door_memory_fails())
		tcase_add_test(tc, whichever_allocation_of_the_kernel_fails_nothing_is_left_behind_and_nothing_is_lost);
	else
		printf("# path %s: no allocations fail, this kernel has no fail-nth\n", vm_path->name);
}
