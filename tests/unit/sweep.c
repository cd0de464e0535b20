/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Each public call that talks to the kernel, with the first, the second, the third system call in it made to fail, and
 * so on until it makes no more of them. Whichever it was: an errno with words, nothing left behind, nothing lost; and
 * when the call is made again, it succeeds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sweep.h"

#define RW (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)

static int new_ctx(struct stage *stage)
{
	return iommufd_ctx_new(
		&(struct iommufd_ctx_opts){ sizeof(struct iommufd_ctx_opts), .backend = stage->scene.ctx->backend->id },
		&stage->ctx);
}

static int new_ctx_from_fd(struct stage *stage)
{
	return iommufd_ctx_from_fd(stage->file, NULL, &stage->ctx);
}

static int new_ioas(struct stage *stage)
{
	return iommufd_ioas_new(stage->scene.ctx, &stage->ioas);
}

static int new_device(struct stage *stage)
{
	return iommufd_device_new(stage->scene.ctx, SCENE_OTHER, &stage->dev);
}

static int probe(struct stage *stage)
{
	return iommufd_probe(&stage->report);
}

static int attach(struct stage *stage)
{
	return iommufd_device_attach(stage->scene.dev, stage->scene.ioas);
}

static int map(struct stage *stage)
{
	return iommufd_ioas_map(stage->scene.ioas, scene_memory(1), SCENE_PAGE, RW, &stage->iova);
}

static int dma_alloc(struct stage *stage)
{
	return iommufd_dma_alloc(stage->scene.ioas, SCENE_PAGE, RW, &stage->dma);
}

static int dma_alloc_opts(struct stage *stage)
{
	struct iommufd_dma_opts opts = { .struct_size = sizeof(opts), .node = 1 };

	return iommufd_dma_alloc_opts(stage->scene.ioas, SCENE_PAGE, RW, &opts, &stage->dma);
}

static int pool_new(struct stage *stage)
{
	return iommufd_pool_new(stage->scene.ioas, 64, RW, NULL, &stage->pool);
}

/* One object more than there is room for. */
static int pool_get(struct stage *stage)
{
	struct iommufd_pool *pool = NULL;
	struct iommufd_dma one;
	int ret = iommufd_pool_new(stage->scene.ioas, 65536, RW, NULL, &pool);

	for (int i = 0; i < 2 && !ret; i++)
		ret = iommufd_pool_get(pool, &one);
	if (ret)
		iommufd_pool_free(pool);
	else
		stage->pool = pool;
	return ret;
}

static int region_map(struct stage *stage)
{
	return iommufd_device_region_map(stage->scene.dev, 1, 0, SCENE_PAGE, PROT_READ, &stage->addr);
}

static int region_map_all(struct stage *stage)
{
	return iommufd_device_region_map_all(stage->scene.dev, 1, PROT_READ, &stage->addr);
}

static int ioeventfd_add(struct stage *stage)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	int ret = iommufd_device_ioeventfd_add(stage->scene.dev, 1, 0, 4, 1, fd);

	close(fd);
	return ret;
}

static int region_info(struct stage *stage)
{
	struct iommufd_region_info info = { .struct_size = sizeof(info) };

	return iommufd_device_region_info(stage->scene.dev, 1, &info);
}

static int set_master(struct stage *stage)
{
	return iommufd_pci_set_master(stage->scene.dev, true);
}

static int irq_enable(struct stage *stage)
{
	int fds[2] = { -1, eventfd(0, EFD_CLOEXEC) }, ret;

	ret = iommufd_device_irq_enable(stage->scene.dev, IOMMUFD_PCI_MSIX, 0, 2, fds);
	close(fds[1]);
	return ret;
}

static int irq_info(struct stage *stage)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };

	return iommufd_device_irq_info(stage->scene.dev, IOMMUFD_PCI_MSIX, &info);
}

static int reset(struct stage *stage)
{
	return iommufd_device_reset(stage->scene.dev);
}

/* ---- Mappings of other kinds ---- */

static int copy(struct stage *stage)
{
	return iommufd_ioas_copy(stage->scene.ioas, 0x40000, 2 * SCENE_PAGE, stage->second, RW, &stage->iova);
}

static int map_file(struct stage *stage)
{
	int fd = memfd_create("sweep", MFD_CLOEXEC), ret;

	ck_assert_int_eq(ftruncate(fd, (off_t)SCENE_PAGE), 0);
	ret = iommufd_ioas_map_file(stage->second, fd, 0, SCENE_PAGE, RW, &stage->iova);
	close(fd);
	return ret;
}

static int allow(struct stage *stage)
{
	return iommufd_ioas_allow(stage->scene.ioas, &(struct iommufd_range){ 0x40000, 0xfffff }, 1);
}

static int set_huge_pages(struct stage *stage)
{
	return iommufd_ioas_set_huge_pages(stage->scene.ioas, 0);
}

/* ---- Dirty pages ---- */

static int dirty_start(struct stage *stage)
{
	return iommufd_ioas_dirty_start(stage->scene.ioas);
}

static int dirty_stop(struct stage *stage)
{
	return iommufd_ioas_dirty_stop(stage->scene.ioas);
}

static int dirty_read(struct stage *stage)
{
	uint64_t bitmap = 0;

	return iommufd_ioas_dirty_read(stage->scene.ioas, 0x40000, 2 * SCENE_PAGE, SCENE_PAGE, 0, &bitmap,
				       sizeof(bitmap));
}

static int unmap_dirty(struct stage *stage)
{
	uint64_t bitmap = 0;

	return iommufd_ioas_unmap_dirty(stage->scene.ioas, 0x40000, 2 * SCENE_PAGE, SCENE_PAGE, &bitmap, sizeof(bitmap),
					&stage->iova);
}

/* ---- The sweep ---- */

static const struct act acts[] = {
	{ "iommufd_ctx_new", DETACHED, new_ctx },
	{ "iommufd_ctx_from_fd", DETACHED, new_ctx_from_fd },
	{ "iommufd_ioas_new", DETACHED, new_ioas },
	{ "iommufd_device_new", DETACHED, new_device },
	{ "iommufd_probe", DETACHED, probe },
	{ "iommufd_device_attach", DETACHED, attach },
	{ "iommufd_ioas_map", ATTACHED, map },
	{ "iommufd_dma_alloc", ATTACHED, dma_alloc },
	{ "iommufd_dma_alloc_opts", ATTACHED, dma_alloc_opts },
	{ "iommufd_pool_new", ATTACHED, pool_new },
	{ "iommufd_pool_get", ATTACHED, pool_get },
	{ "iommufd_device_region_map", ATTACHED, region_map },
	{ "iommufd_device_region_map_all", ATTACHED, region_map_all },
	{ "iommufd_device_region_info", ATTACHED, region_info },
	{ "iommufd_device_ioeventfd_add", ATTACHED, ioeventfd_add },
	{ "iommufd_pci_set_master", ATTACHED, set_master },
	{ "iommufd_device_irq_enable", ATTACHED, irq_enable },
	{ "iommufd_device_irq_info", ATTACHED, irq_info },
	{ "iommufd_device_reset", ATTACHED, reset },
	{ "iommufd_ioas_copy", ATTACHED, copy },
	{ "iommufd_ioas_map_file", ATTACHED, map_file },
	{ "iommufd_ioas_allow", ATTACHED, allow },
	{ "iommufd_ioas_set_huge_pages", OBJECTS, set_huge_pages },
	{ "iommufd_ioas_dirty_start", OBJECTS, dirty_start },
	{ "iommufd_ioas_dirty_stop", TRACKED, dirty_stop },
	{ "iommufd_ioas_dirty_read", TRACKED, dirty_read },
	{ "iommufd_ioas_unmap_dirty", TRACKED, unmap_dirty },
};

#define ACTS ((int)(sizeof(acts) / sizeof(acts[0])))

static const int errs[] = { -EIO,    -EPERM,  -EACCES, -ENOENT, -ENODEV,     -EBUSY,      -EINVAL, -ENOMEM,
			    -EMFILE, -EFAULT, -EAGAIN, -ENOSPC, -EADDRINUSE, -EOPNOTSUPP, -ENOTTY };

/* ---- Before and after ---- */

static void stage_open(struct stage *stage, const struct act *act, uint32_t backend)
{
	*stage = (struct stage){ .file = open("/dev/null", O_RDWR | O_CLOEXEC) };
	scene_open(&stage->scene, backend);
	sweep_answers();
	ck_assert_int_eq(iommufd_ioas_new(stage->scene.ctx, &stage->second), 0);
	scene_map(&stage->scene, 0x40000, 2);
	scene_map(&stage->scene, 0x80000, 1);
	if (act->begin == NESTED)
		sweep_nest(stage, act);
	else if (act->begin != DETACHED)
		ck_assert_int_eq(attach(stage), 0);
	if (act->begin == TRACKED)
		ck_assert_int_eq(dirty_start(stage), 0);
}

static void stage_close(struct stage *stage)
{
	iommufd_ctx_free(stage->ctx);
	iommufd_ioas_free(stage->ioas);
	iommufd_device_free(stage->dev);
	iommufd_report_free(stage->report);
	iommufd_dma_free(stage->scene.ioas, &stage->dma);
	iommufd_pool_free(stage->pool);
	sweep_free(stage);
	scene_close(&stage->scene);
	close(stage->file);
}

static bool empty(const struct stage *stage)
{
	return !stage->ctx && !stage->ioas && !stage->dev && !stage->report && !stage->dma.len && !stage->pool &&
	       !stage->addr && !stage->iova && !stage->hwpt && !stage->faultq && !stage->viommu && !stage->vdevice &&
	       !stage->veventq && !stage->hwqueue;
}

/* What a call that failed must have left as it was. */
struct before {
	uint64_t fds, memory, bytes, second, objects;
};

static struct before look(const struct stage *stage)
{
	return (struct before){ inject_fds(), inject_mapped(), ifd_index_bytes(&stage->scene.ioas->index),
				ifd_index_bytes(&stage->second->index), scene_objects() };
}

/* True while the call makes so many system calls. */
static bool attempt(const struct act *act, uint32_t backend, enum inject_call what, unsigned int nth, int err)
{
	struct before before, after;
	struct stage stage;
	bool happened;
	int ret;

	stage_open(&stage, act, backend);
	before = look(&stage);
	unit_stale_words();
	inject_fail(what, nth, err);
	ret = act->call(&stage);
	happened = inject_failed();
	inject_fail(what, 0, 0);
	after = look(&stage);
	ck_assert_msg(ret <= 0, "%s gave %d", act->name, ret);
	ck_assert_msg(happened || !ret, "%s fails by itself: %d, %s", act->name, ret, iommufd_errmsg());
	if (ret) {
		ck_assert_msg(!memcmp(&before, &after, sizeof(before)) && empty(&stage),
			      "%s on %s left something behind: call %u failed with %d, fds %u to %u", act->name,
			      iommufd_backend_name(backend), nth, err, (unsigned int)before.fds,
			      (unsigned int)after.fds);
		unit_check_words(ret);
		if (act->begin == DETACHED)
			scene_check_detached(&stage.scene);
		ck_assert_msg(act->call(&stage) == 0, "%s on %s, again: %s", act->name, iommufd_backend_name(backend),
			      iommufd_errmsg());
	}
	stage_close(&stage);
	return happened;
}

static void sweep(const struct act *act, enum inject_call what, int err)
{
	uint32_t last = act->begin >= OBJECTS ? IOMMUFD_BACKEND_IOMMUFD : IOMMUFD_BACKEND_VFIO;

	for (uint32_t backend = IOMMUFD_BACKEND_IOMMUFD; backend <= last; backend++) {
		unsigned int nth = 1;

		while (attempt(act, backend, what, nth, err))
			ck_assert_uint_lt(++nth, 200);
	}
}

static const struct act *act_of(int i)
{
	return i < ACTS ? &acts[i] : &sweep_object_acts[i - ACTS];
}

START_TEST(whichever_system_call_fails_nothing_is_left_behind_and_nothing_is_lost)
{
	for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++)
		sweep(act_of(_i), INJECT_ANY, errs[i]);
}
END_TEST

START_TEST(whichever_allocation_fails_nothing_is_left_behind_and_nothing_is_lost)
{
	sweep(act_of(_i), INJECT_MEMORY, -ENOMEM);
}
END_TEST

void unit_tests(TCase *tcase)
{
	unsetenv("LIBIOMMUFD_BACKEND");
	tcase_add_loop_test(tcase, whichever_system_call_fails_nothing_is_left_behind_and_nothing_is_lost, 0,
			    ACTS + SWEEP_OBJECT_ACTS);
	tcase_add_loop_test(tcase, whichever_allocation_fails_nothing_is_left_behind_and_nothing_is_lost, 0,
			    ACTS + SWEEP_OBJECT_ACTS);
}
