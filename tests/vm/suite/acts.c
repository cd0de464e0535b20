/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "acts.h"
#include "door.h"
#include "uapi/iommufd.h"

/* ---- The stage ---- */

static void new_context(struct iommufd_ctx **out)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = vm_backend };

	opts.flags = vm_path->noiommu ? IOMMUFD_CTX_NOIOMMU : 0;
	ok(iommufd_ctx_new(&opts, out));
}

static void map_at(struct stage *stage, unsigned int page, unsigned int count, uint64_t iova)
{
	ok(iommufd_ioas_map(stage->bed.ioas, stage->pages + page * PAGE, count * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
}

static void map_second(struct stage *stage)
{
	map_at(stage, 1, 1, STAGE_FIRST + PAGE);
}

static void map_all(struct stage *stage)
{
	map_at(stage, 0, 1, STAGE_FIRST);
	map_second(stage);
	map_at(stage, 2, 2, STAGE_FIRST + 4 * PAGE);
}

static void fill(struct stage *stage)
{
	ok(iommufd_ioas_new(stage->bed.ctx, &stage->bed.ioas));
	stage->id = door_ioas();
	ok(iommufd_ioas_new(stage->bed.ctx, &stage->second));
	map_all(stage);
}

void stage_open(struct stage *stage, const struct act *act)
{
	*stage = (struct stage){ .file = -1, .event = eventfd(0, EFD_CLOEXEC), .pages = memory(STAGE_PAGES * PAGE) };
	memset(stage->pages, 1, STAGE_PAGES * PAGE);
	new_context(&stage->fresh);
	new_context(&stage->bed.ctx);
	fill(stage);
	if (act->needs >= NEEDS_DEVICE)
		ok(iommufd_device_new(stage->bed.ctx, act->address ? act->address : EDU, &stage->bed.dev));
	if (act->needs >= NEEDS_ATTACHED)
		ok(iommufd_device_attach(stage->bed.dev, stage->bed.ioas));
	if (act->prepare)
		act->prepare(stage);
}

void stage_adopt(struct stage *stage, int fd)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = vm_backend };

	opts.flags = vm_path->noiommu ? IOMMUFD_CTX_NOIOMMU : 0;
	iommufd_ioas_free(stage->second);
	bed_close(&stage->bed);
	ok(iommufd_ctx_from_fd(fd, &opts, &stage->bed.ctx));
	fill(stage);
}

void stage_close(struct stage *stage)
{
	uint64_t bytes;

	ok(iommufd_ioas_unmap_all(stage->bed.ioas, &bytes));
	ck_assert_uint_eq(bytes, 4 * PAGE);
	iommufd_device_free(stage->other);
	iommufd_ioas_free(stage->second);
	iommufd_ctx_free(stage->fresh);
	bed_close(&stage->bed);
	munmap(stage->pages, STAGE_PAGES * PAGE);
	close(stage->event);
	if (stage->file >= 0)
		close(stage->file);
}

/* ---- Contexts ---- */

static int ctx_new(struct stage *stage)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = vm_backend };

	return iommufd_ctx_new(&opts, &stage->out.ctx);
}

static int ctx_from_fd(struct stage *stage)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = vm_backend };

	int ret = iommufd_ctx_from_fd(iommufd_ctx_fd(stage->bed.ctx), &opts, &stage->out.ctx);

	stage->facts = ret ? 0 : iommufd_ctx_backend(stage->out.ctx);
	return ret;
}

static void free_ctx(struct stage *stage)
{
	iommufd_ctx_free(stage->out.ctx);
}

bool by_group(void)
{
	return !vm_path->by_node;
}

void stage_open_group(struct stage *stage)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%s%d", vm_path->noiommu ? "noiommu-" : "", vm_group(EDU));
	stage->file = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(stage->file, 0);
}

static int add_group(struct stage *stage)
{
	return iommufd_ctx_add_group(stage->fresh, stage->file);
}

static void new_fresh(struct stage *stage)
{
	iommufd_ctx_free(stage->fresh);
	new_context(&stage->fresh);
}

/* Once a context the kernel is asked. */
static int ctx_has(struct stage *stage)
{
	int ret = iommufd_ctx_has(stage->fresh, IOMMUFD_HAS_DIRTY);

	stage->facts = ret == 1;
	return ret;
}

static int probe(struct stage *stage)
{
	struct iommufd_report_info info = { .struct_size = sizeof(info) };
	int ret = iommufd_probe(&stage->out.report);

	if (ret)
		return ret;
	ok(iommufd_report_get_info(stage->out.report, &info));
	stage->facts = (uint64_t)info.devices << 32 | info.groups << 16 | info.cdevs;
	return 0;
}

static void free_report(struct stage *stage)
{
	iommufd_report_free(stage->out.report);
}

static int diagnose(struct stage *stage)
{
	return iommufd_diagnose(EDU, &stage->out.diagnosis);
}

static void free_diagnosis(struct stage *stage)
{
	iommufd_diagnosis_free(stage->out.diagnosis);
}

static int ioas_new(struct stage *stage)
{
	return iommufd_ioas_new(stage->fresh, &stage->out.ioas);
}

static int ioas_new_further(struct stage *stage)
{
	return iommufd_ioas_new(stage->bed.ctx, &stage->out.ioas);
}

static void free_ioas(struct stage *stage)
{
	iommufd_ioas_free(stage->out.ioas);
}

/* ---- Mappings ---- */

static int map(struct stage *stage)
{
	return iommufd_ioas_map(stage->bed.ioas, stage->pages + 4 * PAGE, 2 * PAGE, RW, &stage->out.number);
}

static int map_within(struct stage *stage)
{
	const struct iommufd_range window = { STAGE_FREE, UINT32_MAX };

	return iommufd_ioas_map_within(stage->bed.ioas, stage->pages + 4 * PAGE, 2 * PAGE, RW, &window,
				       &stage->out.number);
}

static void unmap(struct stage *stage)
{
	ok(iommufd_ioas_unmap(stage->bed.ioas, stage->out.number, 2 * PAGE, NULL));
}

static int map_fixed(struct stage *stage)
{
	uint64_t iova = STAGE_FREE;

	return iommufd_ioas_map(stage->bed.ioas, stage->pages + 4 * PAGE, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova);
}

static void unmap_fixed(struct stage *stage)
{
	ok(iommufd_ioas_unmap(stage->bed.ioas, STAGE_FREE, 2 * PAGE, NULL));
}

/* The second of them goes where the library likes it. */
static int map_batch_opts(struct stage *stage, const struct iommufd_batch_opts *opts)
{
	uint32_t flags[3] = { RW | IOMMUFD_MAP_FIXED, RW, RW | IOMMUFD_MAP_FIXED };
	struct iommufd_map maps[3];
	int ret;

	for (unsigned int i = 0; i < 3; i++)
		maps[i] = (struct iommufd_map){
			.vaddr = stage->pages + (4 + i) * PAGE,
			.len = PAGE,
			.iova = STAGE_FREE + i * PAGE,
			.flags = flags[i],
		};
	ret = iommufd_ioas_map_batch(stage->bed.ioas, maps, 3, opts);
	if (!ret)
		memcpy(stage->out.maps, maps, sizeof(maps));
	else
		for (unsigned int i = 0; i < 3; i++)
			ck_assert_uint_eq(maps[i].iova, STAGE_FREE + i * PAGE);
	return ret;
}

static int map_batch(struct stage *stage)
{
	return map_batch_opts(stage, NULL);
}

/* By this thread alone, since it is whose calls fail. */
static int map_batch_populated(struct stage *stage)
{
	struct iommufd_batch_opts opts = { .struct_size = sizeof(opts), .flags = IOMMUFD_BATCH_POPULATE };

	return map_batch_opts(stage, &opts);
}

static void unmap_batch(struct stage *stage)
{
	for (unsigned int i = 0; i < 3; i++)
		ok(iommufd_ioas_unmap(stage->bed.ioas, stage->out.maps[i].iova, PAGE, NULL));
}

static int maps_left(struct stage *stage)
{
	return iommufd_ioas_maps_left(stage->bed.ioas, &stage->out.number);
}

static int unmap_one(struct stage *stage)
{
	return iommufd_ioas_unmap(stage->bed.ioas, STAGE_FIRST + PAGE, PAGE, &stage->out.number);
}

static int unmap_several(struct stage *stage)
{
	return iommufd_ioas_unmap(stage->bed.ioas, STAGE_FIRST, STAGE_LAST + 1 - STAGE_FIRST, &stage->out.number);
}

static int unmap_all(struct stage *stage)
{
	return iommufd_ioas_unmap_all(stage->bed.ioas, &stage->out.number);
}

static int ranges(struct stage *stage)
{
	return iommufd_ioas_ranges(stage->bed.ioas, stage->out.ranges, 4);
}

static int to_iova(struct stage *stage)
{
	return iommufd_ioas_to_iova(stage->bed.ioas, stage->pages + 3 * PAGE, PAGE, &stage->out.number);
}

static int to_vaddr(struct stage *stage)
{
	return iommufd_ioas_to_vaddr(stage->bed.ioas, STAGE_FIRST, PAGE, &stage->out.addr);
}

static int to_iovas(struct stage *stage)
{
	struct iovec iov = { stage->pages, 4 * PAGE };

	return iommufd_ioas_to_iovas(stage->bed.ioas, &iov, 1, stage->out.segments, 8);
}

/* ---- Dirty pages ---- */

/* Where the device is attached while they are tracked. */
bool tells_dirty(void)
{
	return vm_backend == IOMMUFD_BACKEND_VFIO && !vm_path->noiommu && !vm_path->compat && !vm_path->hide_v2;
}

static int dirty_start(struct stage *stage)
{
	return iommufd_ioas_dirty_start(stage->bed.ioas);
}

static int dirty_stop(struct stage *stage)
{
	return iommufd_ioas_dirty_stop(stage->bed.ioas);
}

void stage_track(struct stage *stage)
{
	ok(dirty_start(stage));
}

static void untrack(struct stage *stage)
{
	ok(dirty_stop(stage));
}

/* All that is mapped. */
static int dirty_read(struct stage *stage)
{
	uint64_t bits = 0;
	int ret = iommufd_ioas_dirty_read(stage->bed.ioas, STAGE_FIRST, 64 * PAGE, PAGE, 0, &bits, sizeof(bits));

	stage->facts = bits;
	if (!ret)
		ck_assert_uint_eq(bits, 0x33);
	return ret;
}

static int dirty_keep(struct stage *stage)
{
	uint64_t bits = 0;
	int ret = iommufd_ioas_dirty_read(stage->bed.ioas, STAGE_FIRST + PAGE, 4 * PAGE, PAGE, IOMMUFD_DIRTY_KEEP,
					  &bits, sizeof(bits));

	stage->facts = bits;
	if (!ret)
		ck_assert_uint_eq(bits, 0x9);
	return ret;
}

static int unmap_dirty(struct stage *stage)
{
	uint64_t bits = 0;
	int ret = iommufd_ioas_unmap_dirty(stage->bed.ioas, STAGE_FIRST, STAGE_LAST + 1 - STAGE_FIRST, PAGE, &bits,
					   sizeof(bits), &stage->out.number);

	stage->facts = bits;
	return ret;
}

/* ---- The table ---- */

/* A run that is refused is unmapped again, mapping by mapping. */
#define UNMAPS SURVIVES({ IOMMU_IOAS_UNMAP, EACH }, { VFIO_IOMMU_UNMAP_DMA, EACH })
/* A candidate that cannot be opened or does not answer is not usable; a capability that cannot be seen is not there. */
#define REPORTS                                                                                                   \
	SURVIVES({ DOOR_OPEN, 1 }, { DOOR_OPEN, 2 }, { DOOR_OPEN, 3 }, { DOOR_PREAD, 1 }, { DOOR_SYSCALL, EACH }, \
		 { IOMMU_OPTION, EACH }, { VFIO_GET_API_VERSION, EACH }, { VFIO_CHECK_EXTENSION, EACH })
/* What cannot be opened is a finding; what cannot be seen is no evidence. */
#define FINDS                                                                                                \
	SURVIVES({ DOOR_OPEN, EACH }, { DOOR_PREAD, EACH }, { DOOR_READLINK, EACH }, { DOOR_SYSCALL, EACH }, \
		 { IOMMU_OPTION, EACH }, { VFIO_GET_API_VERSION, EACH }, { VFIO_CHECK_EXTENSION, EACH })
/* What an iommufd answers and this is not. */
#define RECOGNISES SURVIVES({ IOMMU_OPTION, EACH })
/* A container that may be in use is left alone, and a new one opened. */
#define AVOIDS SURVIVES({ VFIO_IOMMU_GET_INFO, EACH })

const struct act acts[] = {
	{ "iommufd_ctx_new", NEEDS_CONTEXT, ctx_new, .undo = free_ctx, .handle = true },
	{ "iommufd_ctx_from_fd", NEEDS_CONTEXT, ctx_from_fd, .undo = free_ctx, .survives = RECOGNISES, .handle = true },
	{ "iommufd_ctx_add_group", NEEDS_CONTEXT, add_group, .undo = new_fresh, .prepare = stage_open_group,
	  .on = by_group },
	{ "iommufd_ctx_has", NEEDS_CONTEXT, ctx_has, .undo = new_fresh },
	{ "iommufd_probe", NEEDS_CONTEXT, probe, .undo = free_report, .survives = REPORTS, .costly = true,
	  .handle = true },
	{ "iommufd_diagnose", NEEDS_CONTEXT, diagnose, .undo = free_diagnosis, .survives = FINDS, .costly = true,
	  .handle = true },
	{ "iommufd_ioas_new", NEEDS_CONTEXT, ioas_new, .undo = free_ioas, .survives = AVOIDS, .spends = true,
	  .handle = true },
	{ "iommufd_ioas_new, a further one", NEEDS_CONTEXT, ioas_new_further, .undo = free_ioas, .handle = true },
	{ "iommufd_ioas_map", NEEDS_ATTACHED, map, .undo = unmap },
	{ "iommufd_ioas_map_within", NEEDS_ATTACHED, map_within, .undo = unmap, .seldom = true },
	{ "iommufd_ioas_map, fixed", NEEDS_ATTACHED, map_fixed, .undo = unmap_fixed },
	{ "iommufd_ioas_map_batch", NEEDS_ATTACHED, map_batch, .undo = unmap_batch },
	{ "iommufd_ioas_map_batch, brought in before", NEEDS_ATTACHED, map_batch_populated, .undo = unmap_batch },
	{ "iommufd_ioas_maps_left", NEEDS_ATTACHED, maps_left, .seldom = true },
	{ "iommufd_ioas_maps_left, detached", NEEDS_DEVICE, maps_left, .seldom = true },
	{ "iommufd_ioas_unmap", NEEDS_ATTACHED, unmap_one, .undo = map_second, .survives = UNMAPS, .seldom = true },
	{ "iommufd_ioas_unmap, several", NEEDS_ATTACHED, unmap_several, .undo = map_all, .survives = UNMAPS,
	  .seldom = true, .by_steps = true },
	{ "iommufd_ioas_unmap_all", NEEDS_ATTACHED, unmap_all, .undo = map_all, .survives = UNMAPS, .seldom = true,
	  .by_steps = true },
	{ "iommufd_ioas_dirty_start", NEEDS_ATTACHED, dirty_start, .undo = untrack, .on = tells_dirty,
	  .survives = RECOGNISES },
	{ "iommufd_ioas_dirty_stop", NEEDS_ATTACHED, dirty_stop, .undo = stage_track, .prepare = stage_track,
	  .on = tells_dirty },
	{ "iommufd_ioas_dirty_read", NEEDS_ATTACHED, dirty_read, .prepare = stage_track, .on = tells_dirty },
	{ "iommufd_ioas_dirty_read, keep", NEEDS_ATTACHED, dirty_keep, .prepare = stage_track, .on = tells_dirty },
	{ "iommufd_ioas_unmap_dirty", NEEDS_ATTACHED, unmap_dirty, .undo = map_all, .prepare = stage_track,
	  .on = tells_dirty, .survives = UNMAPS, .by_steps = true },
	{ "iommufd_ioas_ranges", NEEDS_ATTACHED, ranges, .silent = true },
	{ "iommufd_ioas_to_iova", NEEDS_ATTACHED, to_iova, .silent = true },
	{ "iommufd_ioas_to_vaddr", NEEDS_ATTACHED, to_vaddr, .silent = true },
	{ "iommufd_ioas_to_iovas", NEEDS_ATTACHED, to_iovas, .seldom = true },
	{ .name = NULL },
};
