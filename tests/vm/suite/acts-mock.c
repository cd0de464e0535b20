/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Calls that only the mock IOMMU serves. The stage's own IOAS is attached to nothing, since what it maps is outside of
 * what that IOMMU permits; there is a second set of all handles.
 */
#include <poll.h>

#include "acts.h"
#include "nest.h"
#include "uapi/iommufd.h"

static struct mock_device mock;
static struct nest nest;
static uint64_t cookie;

static void all(struct stage *stage)
{
	nest = (struct nest){ .pages = stage->pages + (STAGE_PAGES - 4) * PAGE };
	mock_open(&mock, stage->bed.ctx, MOCK_PASID);
	nest_fill(&nest, stage->bed.ctx, mock.dev);
}

static void none(struct stage *stage)
{
	(void)stage;
	ok(iommufd_device_detach(mock.dev));
	nest_close(&nest);
	mock_close(&mock);
}

/* ---- Page tables ---- */

static int hwpt_new(struct stage *stage)
{
	return iommufd_hwpt_new(mock.dev, nest.ioas, NEST_PARENT_OPTS, (struct iommufd_hwpt **)&stage->out.addr);
}

static int hwpt_new_nested(struct stage *stage)
{
	return iommufd_hwpt_new_nested(mock.dev, nest.parent, NEST_HWPT_OPTS(nest.faultq),
				       (struct iommufd_hwpt **)&stage->out.addr);
}

static void free_hwpt(struct stage *stage)
{
	iommufd_hwpt_free(stage->out.addr);
}

static int hwpt_invalidate(struct stage *stage)
{
	struct mock_hwpt_invalidate entry = { 0, 1 };

	(void)stage;
	return iommufd_hwpt_invalidate(nest.hwpt, MOCK_HWPT_INVALIDATE_DATA, &entry, sizeof(entry), 1, NULL);
}

static void all_detached(struct stage *stage)
{
	all(stage);
	ok(iommufd_device_detach(mock.dev));
}

static void none_attached(struct stage *stage)
{
	ok(iommufd_device_attach_hwpt(mock.dev, nest.hwpt));
	none(stage);
}

static int attach_hwpt(struct stage *stage)
{
	(void)stage;
	return iommufd_device_attach_hwpt(mock.dev, nest.hwpt);
}

static void detach(struct stage *stage)
{
	(void)stage;
	ok(iommufd_device_detach(mock.dev));
}

static int replace_hwpt(struct stage *stage)
{
	(void)stage;
	return iommufd_device_replace_hwpt(mock.dev, nest.parent);
}

static void move_back(struct stage *stage)
{
	(void)stage;
	ok(iommufd_device_replace_hwpt(mock.dev, nest.hwpt));
}

/* ---- Devices by their number, and PASIDs ---- */

#define A_PASID 7u

static struct iommufd_hwpt *tables[3]; /* of the device itself, and two for a PASID */

static int from_id(struct stage *stage)
{
	struct iommufd_device_calls calls = { .struct_size = sizeof(calls), .name = "once more" };

	return iommufd_device_from_id(stage->bed.ctx, mock.id, &calls, &stage->out.dev);
}

static void free_device(struct stage *stage)
{
	iommufd_device_free(stage->out.dev);
}

static int hw_info(struct stage *stage)
{
	uint32_t filled = stage->out.hw.want_type;
	int ret;

	stage->out.hw.want_type = 0; /* the one member that is read */
	ret = iommufd_device_hw_info(mock.dev, &stage->out.hw, NULL, 0);
	stage->out.hw.want_type = filled;
	return ret;
}

static void some_tables(struct stage *stage)
{
	struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts), .flags = IOMMUFD_HWPT_PASID };

	mock_open(&mock, stage->bed.ctx, MOCK_PASID);
	ok(iommufd_ioas_new(stage->bed.ctx, &nest.ioas));
	for (int i = 0; i < 3; i++)
		ok(iommufd_hwpt_new(mock.dev, nest.ioas, &opts, &tables[i]));
	ok(iommufd_device_attach_hwpt(mock.dev, tables[0]));
}

static void no_tables(struct stage *stage)
{
	(void)stage;
	for (int i = 0; i < 3; i++)
		iommufd_hwpt_free(tables[i]);
	iommufd_ioas_free(nest.ioas);
	mock_close(&mock);
}

static int pasid_attach(struct stage *stage)
{
	(void)stage;
	return iommufd_device_pasid_attach(mock.dev, A_PASID, NULL, tables[1]);
}

static void pasid_detach(struct stage *stage)
{
	(void)stage;
	ok(iommufd_device_pasid_detach(mock.dev, A_PASID));
}

static void a_pasid(struct stage *stage)
{
	some_tables(stage);
	ok(pasid_attach(stage));
}

static int pasid_replace(struct stage *stage)
{
	(void)stage;
	return iommufd_device_pasid_replace(mock.dev, A_PASID, NULL, tables[2]);
}

static void pasid_back(struct stage *stage)
{
	(void)stage;
	ok(iommufd_device_pasid_replace(mock.dev, A_PASID, NULL, tables[1]));
}

static int to_ioas(struct stage *stage)
{
	(void)stage;
	return iommufd_device_replace(mock.dev, nest.ioas);
}

static void to_table(struct stage *stage)
{
	(void)stage;
	ok(iommufd_device_replace_hwpt(mock.dev, tables[0]));
}

/* ---- Page faults ---- */

static int faultq_new(struct stage *stage)
{
	return iommufd_faultq_new(stage->bed.ctx, (struct iommufd_faultq **)&stage->out.addr);
}

static void free_faultq(struct stage *stage)
{
	iommufd_faultq_free(stage->out.addr);
}

static bool readable(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };

	return poll(&one, 1, 0) == 1 && one.revents & POLLIN;
}

static int read_fault(struct stage *stage)
{
	struct iommufd_fault fault;
	int ret;

	if (!readable(iommufd_faultq_fd(nest.faultq)))
		mock_trigger_iopf(&mock, 0, 1, IOMMUFD_FAULT_READ, NEST_IOVA);
	ret = iommufd_faultq_read(nest.faultq, &fault, 1);
	if (ret < 0)
		return ret;
	cookie = fault.cookie;
	stage->facts = fault.addr;
	return ret;
}

static int answer_fault(struct stage *stage)
{
	(void)stage;
	return iommufd_faultq_respond(nest.faultq, cookie, IOMMUFD_FAULT_SUCCESS);
}

static void answer_it(struct stage *stage)
{
	ok(answer_fault(stage));
}

static void read_another(struct stage *stage)
{
	uint64_t facts = stage->facts;

	ck_assert_int_eq(ok(read_fault(stage)), 1);
	stage->facts = facts;
}

static void all_and_a_fault(struct stage *stage)
{
	all(stage);
	read_another(stage);
}

/* ---- Virtual IOMMUs ---- */

static int viommu_new(struct stage *stage)
{
	struct mock_viommu_data data = { .in = NEST_DATA };
	struct iommufd_viommu_opts opts = {
		.struct_size = sizeof(opts), .type = MOCK_VIOMMU_TYPE, .data = &data, .data_len = sizeof(data)
	};

	return iommufd_viommu_new(mock.dev, nest.parent, &opts, (struct iommufd_viommu **)&stage->out.addr);
}

static void free_viommu(struct stage *stage)
{
	iommufd_viommu_free(stage->out.addr);
}

static int viommu_hwpt_new(struct stage *stage)
{
	return iommufd_viommu_hwpt_new(nest.viommu, mock.dev, NEST_HWPT_OPTS(nest.faultq),
				       (struct iommufd_hwpt **)&stage->out.addr);
}

static int viommu_invalidate(struct stage *stage)
{
	struct mock_viommu_invalidate entry = { 0, NEST_VIRT_ID, 1 };

	(void)stage;
	return iommufd_viommu_invalidate(nest.viommu, MOCK_VIOMMU_INVALIDATE_DATA, &entry, sizeof(entry), 1, NULL);
}

static int viommu_mmap(struct stage *stage)
{
	return iommufd_viommu_mmap(nest.viommu, nest.data.out_offset, nest.data.out_length, &stage->out.addr);
}

static void munmap_it(struct stage *stage)
{
	ok(iommufd_viommu_munmap(nest.viommu, stage->out.addr));
}

static int vdevice_new(struct stage *stage)
{
	return iommufd_vdevice_new(nest.viommu, mock.dev, NEST_VIRT_ID, (struct iommufd_vdevice **)&stage->out.addr);
}

static void free_vdevice(struct stage *stage)
{
	iommufd_vdevice_free(stage->out.addr);
}

static void all_but_vdevice(struct stage *stage)
{
	all(stage);
	nest_free(&nest, NEST_VDEVICE);
}

static int veventq_new(struct stage *stage)
{
	return iommufd_veventq_new(nest.viommu, MOCK_VEVENTQ_TYPE, 4, (struct iommufd_veventq **)&stage->out.addr);
}

static void free_veventq(struct stage *stage)
{
	iommufd_veventq_free(stage->out.addr);
}

static void all_but_veventq(struct stage *stage)
{
	all(stage);
	nest_free(&nest, NEST_VEVENTQ);
}

static int read_event(struct stage *stage)
{
	struct iommufd_vevent event;
	struct mock_event data;
	int ret;

	if (!readable(iommufd_veventq_fd(nest.veventq)))
		ck_assert_int_eq(mock_trigger_vevent(&mock), 0);
	ret = iommufd_veventq_read(nest.veventq, &event, &data, sizeof(data));
	if (ret >= 0)
		stage->facts = data.vdevice + (uint64_t)event.lost;
	return ret;
}

static int hwqueue_new(struct stage *stage)
{
	return iommufd_hwqueue_new(nest.viommu, MOCK_HW_QUEUE_TYPE, 0, NEST_IOVA, PAGE,
				   (struct iommufd_hwqueue **)&stage->out.addr);
}

static void free_hwqueue(struct stage *stage)
{
	iommufd_hwqueue_free(stage->out.addr);
}

static void all_but_hwqueues(struct stage *stage)
{
	all(stage);
	nest_free(&nest, NEST_HWQUEUE1);
	nest_free(&nest, NEST_HWQUEUE0);
}

/* ---- The table ---- */

/* What the IOAS permits once it is left may stay as narrow as it was. */
#define STAYS_NARROW SURVIVES({ IOMMU_IOAS_IOVA_RANGES, 2 })

#define ROW(name, call, ...)                                                           \
	{                                                                              \
		name, NEEDS_CONTEXT, call, .prepare = all, .finish = none, __VA_ARGS__ \
	}

const struct act mock_acts[] = {
	ROW("iommufd_hwpt_new", hwpt_new, .undo = free_hwpt, .handle = true),
	ROW("iommufd_hwpt_new_nested", hwpt_new_nested, .undo = free_hwpt, .handle = true),
	ROW("iommufd_hwpt_invalidate", hwpt_invalidate, .silent = false),
	{ "iommufd_device_attach_hwpt", NEEDS_CONTEXT, attach_hwpt, .undo = detach, .prepare = all_detached,
	  .finish = none_attached },
	ROW("iommufd_device_replace_hwpt", replace_hwpt, .undo = move_back, .survives = STAYS_NARROW),
	ROW("iommufd_device_from_id", from_id, .undo = free_device, .handle = true),
	ROW("iommufd_device_hw_info", hw_info, .size = sizeof(struct iommufd_hw_info)),
	{ "iommufd_device_replace", NEEDS_CONTEXT, to_ioas, .undo = to_table, .prepare = some_tables,
	  .finish = no_tables },
	{ "iommufd_device_pasid_attach", NEEDS_CONTEXT, pasid_attach, .undo = pasid_detach, .prepare = some_tables,
	  .finish = no_tables },
	{ "iommufd_device_pasid_replace", NEEDS_CONTEXT, pasid_replace, .undo = pasid_back, .prepare = a_pasid,
	  .finish = no_tables },
	ROW("iommufd_faultq_new", faultq_new, .undo = free_faultq, .handle = true),
	ROW("iommufd_faultq_read", read_fault, .undo = answer_it),
	{ "iommufd_faultq_respond", NEEDS_CONTEXT, answer_fault, .undo = read_another, .prepare = all_and_a_fault,
	  .finish = none },
	ROW("iommufd_viommu_new", viommu_new, .undo = free_viommu, .handle = true),
	ROW("iommufd_viommu_hwpt_new", viommu_hwpt_new, .undo = free_hwpt, .handle = true),
	ROW("iommufd_viommu_invalidate", viommu_invalidate, .silent = false),
	ROW("iommufd_viommu_mmap", viommu_mmap, .undo = munmap_it, .handle = true),
	{ "iommufd_vdevice_new", NEEDS_CONTEXT, vdevice_new, .undo = free_vdevice, .prepare = all_but_vdevice,
	  .finish = none, .handle = true },
	{ "iommufd_veventq_new", NEEDS_CONTEXT, veventq_new, .undo = free_veventq, .prepare = all_but_veventq,
	  .finish = none, .handle = true },
	ROW("iommufd_veventq_read", read_event, .silent = false),
	{ "iommufd_hwqueue_new", NEEDS_CONTEXT, hwqueue_new, .undo = free_hwqueue, .prepare = all_but_hwqueues,
	  .finish = none, .handle = true },
	{ .name = NULL },
};
