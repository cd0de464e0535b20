/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The sweep's calls on page tables, queues and virtual IOMMUs, and what the kernel answers to them. */
#include <errno.h>

#include "sweep.h"
#include "uapi/iommufd.h"

/* ---- The kernel ---- */

static int make(void *arg, size_t id, size_t fd)
{
	static uint32_t last = 100;
	uint32_t number = ++last, file;

	scene_other_object();
	memcpy((char *)arg + id, &number, sizeof(number));
	if (fd) {
		file = (uint32_t)inject_fd();
		memcpy((char *)arg + fd, &file, sizeof(file));
	}
	return 0;
}

#define MAKES(name, type, id, fd)                                \
	static int name(int iommufd, void *arg)                  \
	{                                                        \
		(void)iommufd;                                   \
		return make(arg, offsetof(struct type, id), fd); \
	}

MAKES(hwpt_alloc, iommu_hwpt_alloc, out_hwpt_id, 0)
MAKES(viommu_alloc, iommu_viommu_alloc, out_viommu_id, 0)
MAKES(vdevice_alloc, iommu_vdevice_alloc, out_vdevice_id, 0)
MAKES(hwqueue_alloc, iommu_hw_queue_alloc, out_hw_queue_id, 0)
MAKES(fault_alloc, iommu_fault_alloc, out_fault_id, offsetof(struct iommu_fault_alloc, out_fault_fd))
MAKES(veventq_alloc, iommu_veventq_alloc, out_veventq_id, offsetof(struct iommu_veventq_alloc, out_veventq_fd))

static int has_pasids(int fd, void *arg)
{
	(void)fd;
	((struct iommu_hw_info *)arg)->out_max_pasid_log2 = 20;
	return 0;
}

/* What is too short is how it is asked whether the kernel knows the call. */
static int map_of_file(int fd, void *arg)
{
	(void)fd;
	return ((struct iommu_ioas_map_file *)arg)->size < sizeof(struct iommu_ioas_map_file) ? -EINVAL : 0;
}

void sweep_answers(void)
{
	static const struct {
		unsigned long request;
		inject_answer answer;
	} answers[] = {
		{ IOMMU_IOAS_COPY, inject_succeed },
		{ IOMMU_IOAS_MAP_FILE, map_of_file },
		{ IOMMU_IOAS_ALLOW_IOVAS, inject_succeed },
		{ IOMMU_GET_HW_INFO, has_pasids },
		{ IOMMU_HWPT_ALLOC, hwpt_alloc },
		{ IOMMU_HWPT_INVALIDATE, inject_succeed },
		{ IOMMU_HWPT_SET_DIRTY_TRACKING, inject_succeed },
		{ IOMMU_HWPT_GET_DIRTY_BITMAP, inject_succeed },
		{ IOMMU_FAULT_QUEUE_ALLOC, fault_alloc },
		{ IOMMU_VIOMMU_ALLOC, viommu_alloc },
		{ IOMMU_VDEVICE_ALLOC, vdevice_alloc },
		{ IOMMU_VEVENTQ_ALLOC, veventq_alloc },
		{ IOMMU_HW_QUEUE_ALLOC, hwqueue_alloc },
	};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		inject_ioctl(answers[i].request, answers[i].answer);
}

/* ---- The calls ---- */

static int hwpt_new(struct stage *stage)
{
	return iommufd_hwpt_new(stage->scene.dev, stage->scene.ioas, NULL, &stage->hwpt);
}

static int hwpt_new_nested(struct stage *stage)
{
	static const uint64_t data = 1;
	struct iommufd_hwpt_opts opts = {
		.struct_size = sizeof(opts), .data_type = 1, .data = &data, .data_len = sizeof(data)
	};

	opts.faultq = stage->queue;
	return iommufd_hwpt_new_nested(stage->scene.dev, stage->parent, &opts, &stage->hwpt);
}

static int hwpt_invalidate(struct stage *stage)
{
	static const uint64_t entry = 1;

	return iommufd_hwpt_invalidate(stage->nested, 1, &entry, sizeof(entry), 1, NULL);
}

static int attach_hwpt(struct stage *stage)
{
	return iommufd_device_attach_hwpt(stage->scene.dev, stage->nested);
}

static int replace_hwpt(struct stage *stage)
{
	return iommufd_device_replace_hwpt(stage->scene.dev, stage->parent);
}

static int pasid_attach(struct stage *stage)
{
	return iommufd_device_pasid_attach(stage->scene.dev, 1, stage->second, NULL);
}

static int hw_info(struct stage *stage)
{
	struct iommufd_hw_info info = { .struct_size = sizeof(info) };

	return iommufd_device_hw_info(stage->scene.dev, &info, NULL, 0);
}

static int from_id(struct stage *stage)
{
	return iommufd_device_from_id(stage->scene.ctx, 9, NULL, &stage->dev);
}

static int faultq_new(struct stage *stage)
{
	return iommufd_faultq_new(stage->scene.ctx, &stage->faultq);
}

static int viommu_new(struct stage *stage)
{
	struct iommufd_viommu_opts opts = { .struct_size = sizeof(opts), .type = 1 };

	return iommufd_viommu_new(stage->scene.dev, stage->parent, &opts, &stage->viommu);
}

static int viommu_mmap(struct stage *stage)
{
	int ret = iommufd_viommu_mmap(stage->over, 0, SCENE_PAGE, &stage->addr);

	if (!ret)
		ck_assert_int_eq(iommufd_viommu_munmap(stage->over, stage->addr), 0);
	return ret;
}

static int vdevice_new(struct stage *stage)
{
	return iommufd_vdevice_new(stage->over, stage->scene.dev, 5, &stage->vdevice);
}

static int veventq_new(struct stage *stage)
{
	return iommufd_veventq_new(stage->over, 1, 4, &stage->veventq);
}

static int hwqueue_new(struct stage *stage)
{
	return iommufd_hwqueue_new(stage->over, 1, 0, 0x40000, SCENE_PAGE, &stage->hwqueue);
}

/* ---- What there is before them ---- */

/* One act replaces, one attaches: so the device is attached to a page table before the first. */
void sweep_nest(struct stage *stage, const struct act *act)
{
	struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts), .flags = IOMMUFD_HWPT_NEST_PARENT };

	ck_assert_int_eq(iommufd_hwpt_new(stage->scene.dev, stage->scene.ioas, &opts, &stage->parent), 0);
	ck_assert_int_eq(faultq_new(stage), 0);
	stage->queue = stage->faultq;
	ck_assert_int_eq(hwpt_new_nested(stage), 0);
	stage->nested = stage->hwpt;
	ck_assert_int_eq(viommu_new(stage), 0);
	stage->over = stage->viommu;
	stage->faultq = NULL;
	stage->hwpt = NULL;
	stage->viommu = NULL;
	if (act->call == replace_hwpt)
		ck_assert_int_eq(attach_hwpt(stage), 0);
}

void sweep_free(struct stage *stage)
{
	iommufd_hwpt_free(stage->hwpt);
	iommufd_faultq_free(stage->faultq);
	iommufd_viommu_free(stage->viommu);
	iommufd_vdevice_free(stage->vdevice);
	iommufd_veventq_free(stage->veventq);
	iommufd_hwqueue_free(stage->hwqueue);
	iommufd_hwpt_free(stage->parent);
	iommufd_hwpt_free(stage->nested);
	iommufd_viommu_free(stage->over);
	iommufd_faultq_free(stage->queue);
	iommufd_ioas_free(stage->second);
}

const struct act sweep_object_acts[SWEEP_OBJECT_ACTS] = {
	{ "iommufd_hwpt_new", OBJECTS, hwpt_new },
	{ "iommufd_hwpt_new_nested", NESTED, hwpt_new_nested },
	{ "iommufd_hwpt_invalidate", NESTED, hwpt_invalidate },
	{ "iommufd_device_attach_hwpt", NESTED, attach_hwpt },
	{ "iommufd_device_replace_hwpt", NESTED, replace_hwpt },
	{ "iommufd_device_pasid_attach", OBJECTS, pasid_attach },
	{ "iommufd_device_hw_info", OBJECTS, hw_info },
	{ "iommufd_device_from_id", OBJECTS, from_id },
	{ "iommufd_faultq_new", OBJECTS, faultq_new },
	{ "iommufd_viommu_new", NESTED, viommu_new },
	{ "iommufd_viommu_mmap", NESTED, viommu_mmap },
	{ "iommufd_vdevice_new", NESTED, vdevice_new },
	{ "iommufd_veventq_new", NESTED, veventq_new },
	{ "iommufd_hwqueue_new", NESTED, hwqueue_new },
};
