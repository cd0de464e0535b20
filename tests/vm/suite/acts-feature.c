/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What drivers have beside the usual: edu's low power, and what an mtty has, beside it in the same IOAS. Writing into a
 * stream has no row: a device takes nothing more once something has failed, which is what the call promises.
 */
#include <linux/vfio.h>
#include <unistd.h>

#include "acts.h"
#include "door.h"
#include "mtty.h"

/* Here the two have one number. */
#define FEATURE VFIO_IOMMU_DIRTY_PAGES

static struct iommufd_migration *migration;

/* ---- edu ---- */

static int has(struct stage *stage)
{
	return iommufd_device_has(stage->bed.dev, IOMMUFD_FEATURE_LOW_POWER);
}

/* What was asked for is forgotten. */
static void reattach(struct stage *stage)
{
	ok(iommufd_device_detach(stage->bed.dev));
	ok(iommufd_device_attach(stage->bed.dev, stage->bed.ioas));
}

static int sleepy(struct stage *stage)
{
	return iommufd_device_low_power_enter(stage->bed.dev, -1);
}

static int sleepy_until_woken(struct stage *stage)
{
	return iommufd_device_low_power_enter(stage->bed.dev, stage->event);
}

static int awake(struct stage *stage)
{
	return iommufd_device_low_power_exit(stage->bed.dev);
}

static void keep_awake(struct stage *stage)
{
	ok(awake(stage));
}

static void let_sleep(struct stage *stage)
{
	ok(sleepy(stage));
}

/* ---- mtty ---- */

/* To be attached beside the stage's device it must have an IOMMU as that has. */
static bool has_mtty(void)
{
	return !vm_path->noiommu && !access("/sys/class/mdev_bus/mtty", F_OK);
}

static void add_mtty(struct stage *stage)
{
	mtty_create(MTTY_A, 1);
	ok(iommufd_device_new(stage->bed.ctx, MTTY_A, &stage->other));
	ok(iommufd_device_attach(stage->other, stage->bed.ioas));
}

static void remove_mtty(struct stage *stage)
{
	iommufd_migration_free(migration);
	migration = NULL;
	iommufd_device_free(stage->other);
	stage->other = NULL;
	mtty_remove(MTTY_A);
}

static int log_start(struct stage *stage)
{
	struct iommufd_range range = { 0, PAGE - 1 };

	return iommufd_device_dma_log_start(stage->other, &range, 1, PAGE, &stage->out.number);
}

static int log_stop(struct stage *stage)
{
	return iommufd_device_dma_log_stop(stage->other);
}

static int log_read(struct stage *stage)
{
	uint64_t bits = 0;

	return iommufd_device_dma_log_read(stage->other, 0, PAGE, PAGE, &bits, sizeof(bits));
}

static void begin_log(struct stage *stage)
{
	ok(log_start(stage));
}

static void end_log(struct stage *stage)
{
	ok(log_stop(stage));
}

static void add_logging_mtty(struct stage *stage)
{
	add_mtty(stage);
	ok(log_start(stage));
}

static int migration_new(struct stage *stage)
{
	return iommufd_migration_new(stage->other, 0, (struct iommufd_migration **)&stage->out.addr);
}

static void migration_free(struct stage *stage)
{
	iommufd_migration_free(stage->out.addr);
}

static void add_migration(struct stage *stage)
{
	add_mtty(stage);
	ok(iommufd_migration_new(stage->other, 0, &migration));
}

static void bring_to(uint32_t state)
{
	ok(iommufd_migration_set_state(migration, state));
}

static void run(struct stage *stage)
{
	(void)stage;
	bring_to(IOMMUFD_MIGRATION_RUNNING);
}

static void stop(struct stage *stage)
{
	(void)stage;
	bring_to(IOMMUFD_MIGRATION_STOP);
}

static void read_anew(struct stage *stage)
{
	stop(stage);
	bring_to(IOMMUFD_MIGRATION_STOP_COPY);
}

static void add_stopped(struct stage *stage)
{
	add_migration(stage);
	stop(stage);
}

static void add_read(struct stage *stage)
{
	add_migration(stage);
	read_anew(stage);
}

static void add_precopy(struct stage *stage)
{
	add_migration(stage);
	bring_to(IOMMUFD_MIGRATION_PRE_COPY);
}

static int get_state(struct stage *stage)
{
	return iommufd_migration_get_state(migration, &stage->out.on);
}

static int set_state(struct stage *stage)
{
	(void)stage;
	return iommufd_migration_set_state(migration, IOMMUFD_MIGRATION_STOP);
}

static int set_copy(struct stage *stage)
{
	(void)stage;
	return iommufd_migration_set_state(migration, IOMMUFD_MIGRATION_STOP_COPY);
}

static int give_up(struct stage *stage)
{
	(void)stage;
	return iommufd_migration_abort(migration);
}

static int read_stream(struct stage *stage)
{
	unsigned char buf[8];

	return iommufd_migration_read(migration, buf, sizeof(buf), (size_t *)&stage->out.number);
}

static int precopy_info(struct stage *stage)
{
	struct iommufd_precopy_info info = { .struct_size = sizeof(info) };
	int ret = iommufd_migration_precopy_info(migration, &info);

	if (!ret)
		stage->out.number = info.initial_bytes;
	return ret;
}

static int data_size(struct stage *stage)
{
	return iommufd_migration_data_size(migration, &stage->out.number);
}

/* ---- The table ---- */

/* Where a change of its state fails, the device is reset. */
#define RESETS SURVIVES({ FEATURE, EACH })

#define MTTY(call, prepares) NEEDS_ATTACHED, call, .prepare = prepares, .finish = remove_mtty, .on = has_mtty

const struct act feature_acts[] = {
	{ "iommufd_device_has", NEEDS_ATTACHED, has, .undo = reattach },
	{ "iommufd_device_low_power_enter", NEEDS_ATTACHED, sleepy, .undo = keep_awake },
	{ "iommufd_device_low_power_enter, eventfd", NEEDS_ATTACHED, sleepy_until_woken, .undo = keep_awake,
	  .survives = SURVIVES({ DOOR_READLINK, EACH }) },
	{ "iommufd_device_low_power_exit", NEEDS_ATTACHED, awake, .undo = let_sleep, .prepare = let_sleep },
	{ "iommufd_device_dma_log_start", MTTY(log_start, add_mtty), .undo = end_log },
	{ "iommufd_device_dma_log_stop", MTTY(log_stop, add_logging_mtty), .undo = begin_log },
	{ "iommufd_device_dma_log_read", MTTY(log_read, add_logging_mtty) },
	{ "iommufd_migration_new", MTTY(migration_new, add_mtty), .undo = migration_free, .handle = true },
	{ "iommufd_migration_get_state", MTTY(get_state, add_migration) },
	{ "iommufd_migration_set_state", MTTY(set_state, add_migration), .undo = run },
	{ "iommufd_migration_set_state, with a stream", MTTY(set_copy, add_migration), .undo = run },
	{ "iommufd_migration_abort", MTTY(give_up, add_stopped), .undo = stop, .survives = RESETS },
	{ "iommufd_migration_read", MTTY(read_stream, add_read), .undo = read_anew },
	{ "iommufd_migration_precopy_info", MTTY(precopy_info, add_precopy) },
	{ "iommufd_migration_data_size", MTTY(data_size, add_migration) },
	{ .name = NULL },
};
