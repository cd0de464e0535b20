/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What one may want of address spaces beyond maps of memory, and of their iommufd. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "acts.h"

static void free_ctx(struct stage *stage)
{
	iommufd_ctx_free(stage->out.ctx);
}

static void unmap(struct stage *stage)
{
	ok(iommufd_ioas_unmap(stage->bed.ioas, stage->out.number, 2 * PAGE, NULL));
}

static void unmap_fixed(struct stage *stage)
{
	ok(iommufd_ioas_unmap(stage->bed.ioas, STAGE_FREE, 2 * PAGE, NULL));
}

static int ctx_new_by_process(struct stage *stage)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts),
					 .backend = vm_backend,
					 .memlock_mode = IOMMUFD_MEMLOCK_PROCESS };

	return iommufd_ctx_new(&opts, &stage->out.ctx);
}

static bool has_options(void)
{
	return vm_backend == IOMMUFD_BACKEND_IOMMUFD;
}

static int set_compat(struct stage *stage)
{
	return iommufd_ctx_set_compat_ioas(stage->bed.ctx, stage->second);
}

static void clear_compat(struct stage *stage)
{
	ok(iommufd_ctx_clear_compat_ioas(stage->bed.ctx));
}

static void put_compat(struct stage *stage)
{
	ok(set_compat(stage));
}

static int get_compat(struct stage *stage)
{
	return iommufd_ctx_get_compat_ioas(stage->bed.ctx, &stage->out.on);
}

static int unset_compat(struct stage *stage)
{
	return iommufd_ctx_clear_compat_ioas(stage->bed.ctx);
}

/* All of this context is empty, and so nothing stands in the way. */
static int can_change(struct stage *stage)
{
	return iommufd_ctx_can_change_process(stage->fresh);
}

static int change(struct stage *stage)
{
	return iommufd_ctx_change_process(stage->fresh);
}

static bool changes_process(void)
{
	return has_options() && vm_linux() >= 7;
}

/* Beside the places that are looked at, since for a file there is no address to be found. */
#define FILE_AT UINT64_C(0x300000)

static void make_file(struct stage *stage)
{
	stage->file = memfd_create("stage", MFD_CLOEXEC);
	ck_assert_int_ge(stage->file, 0);
	ck_assert_int_eq(ftruncate(stage->file, 4 * PAGE), 0);
}

static int map_file(struct stage *stage)
{
	uint64_t iova = FILE_AT;

	return iommufd_ioas_map_file(stage->bed.ioas, stage->file, PAGE, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova);
}

static void unmap_file(struct stage *stage)
{
	ok(iommufd_ioas_unmap(stage->bed.ioas, FILE_AT, 2 * PAGE, NULL));
}

static int copy_file(struct stage *stage)
{
	return iommufd_ioas_copy(stage->second, FILE_AT, PAGE, stage->bed.ioas, RW, &stage->out.number);
}

static void unmap_copy(struct stage *stage)
{
	ok(iommufd_ioas_unmap(stage->bed.ioas, stage->out.number, PAGE, NULL));
}

static void map_file_second(struct stage *stage)
{
	uint64_t iova = FILE_AT;

	make_file(stage);
	ok(iommufd_ioas_map_file(stage->second, stage->file, 0, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
}

static bool has_iommu(void)
{
	return !vm_path->noiommu;
}

static int allow(struct stage *stage)
{
	const struct iommufd_range range = { 0x40000000, 0x4fffffff };

	return iommufd_ioas_allow(stage->bed.ioas, &range, 1);
}

static void allow_all(struct stage *stage)
{
	ok(iommufd_ioas_allow(stage->bed.ioas, NULL, 0));
}

static int huge_pages_off(struct stage *stage)
{
	return iommufd_ioas_set_huge_pages(stage->second, 0);
}

static void huge_pages_on(struct stage *stage)
{
	ok(iommufd_ioas_set_huge_pages(stage->second, 1));
}

static int get_huge_pages(struct stage *stage)
{
	return iommufd_ioas_get_huge_pages(stage->bed.ioas, &stage->out.on);
}

static int copy(struct stage *stage)
{
	return iommufd_ioas_copy(stage->bed.ioas, STAGE_FIRST, 2 * PAGE, stage->bed.ioas, RW, &stage->out.number);
}

static int copy_fixed(struct stage *stage)
{
	uint64_t iova = STAGE_FREE;

	return iommufd_ioas_copy(stage->bed.ioas, STAGE_FIRST, 2 * PAGE, stage->bed.ioas, RW | IOMMUFD_MAP_FIXED,
				 &iova);
}

const struct act ioas_acts[] = {
	{ "iommufd_ctx_new, by process", NEEDS_CONTEXT, ctx_new_by_process, .undo = free_ctx, .handle = true },
	{ "iommufd_ctx_set_compat_ioas", NEEDS_CONTEXT, set_compat, .undo = clear_compat, .on = has_options },
	{ "iommufd_ctx_get_compat_ioas", NEEDS_CONTEXT, get_compat, .prepare = put_compat, .on = has_options },
	{ "iommufd_ctx_clear_compat_ioas", NEEDS_CONTEXT, unset_compat, .undo = put_compat, .prepare = put_compat,
	  .on = has_options },
	{ "iommufd_ctx_can_change_process", NEEDS_CONTEXT, can_change, .on = changes_process },
	{ "iommufd_ctx_change_process", NEEDS_CONTEXT, change, .on = changes_process },
	{ "iommufd_ioas_map_file", NEEDS_ATTACHED, map_file, .undo = unmap_file, .prepare = make_file,
	  .on = has_iommu },
	{ "iommufd_ioas_map_file, detached", NEEDS_CONTEXT, map_file, .undo = unmap_file, .prepare = make_file,
	  .on = has_iommu },
	{ "iommufd_ioas_copy, of a file", NEEDS_ATTACHED, copy_file, .undo = unmap_copy, .prepare = map_file_second,
	  .on = has_iommu },
	{ "iommufd_ioas_copy", NEEDS_ATTACHED, copy, .undo = unmap },
	{ "iommufd_ioas_copy, fixed", NEEDS_ATTACHED, copy_fixed, .undo = unmap_fixed },
	{ "iommufd_ioas_allow", NEEDS_ATTACHED, allow, .undo = allow_all, .on = has_iommu, .seldom = true },
	{ "iommufd_ioas_set_huge_pages", NEEDS_CONTEXT, huge_pages_off, .undo = huge_pages_on, .on = has_options },
	{ "iommufd_ioas_get_huge_pages", NEEDS_CONTEXT, get_huge_pages, .on = has_options },
	{ .name = NULL },
};
