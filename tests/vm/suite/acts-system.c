/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Devices that come and go: mediated ones, and the monitor. Binding has no row: what fails while a driver is awaited is
 * looked at again for seconds, and when taking back fails as well the device stays where it came to, as it has to.
 */
#include <unistd.h>

#include "acts.h"
#include "door.h"
#include "mtty.h"

/* ---- Mediated devices ---- */

static bool has_mtty(void)
{
	return !access("/sys/class/mdev_bus/mtty", F_OK);
}

static int type_info(struct stage *stage)
{
	return iommufd_mdev_type_info("mtty", 0, &stage->out.type);
}

static int create(struct stage *stage)
{
	(void)stage;
	return iommufd_mdev_create("mtty", "mtty-1", MTTY_A);
}

static int take_away(struct stage *stage)
{
	(void)stage;
	return iommufd_mdev_remove(MTTY_A);
}

static void have(struct stage *stage)
{
	ok(create(stage));
}

static void have_none(struct stage *stage)
{
	ok(take_away(stage));
}

/* ---- The monitor ---- */

static int monitor_new(struct stage *stage)
{
	return iommufd_monitor_new(NULL, &stage->out.monitor);
}

static void monitor_free(struct stage *stage)
{
	iommufd_monitor_free(stage->out.monitor);
}

/* ---- The table ---- */

/* Whether there is such a device, or a node, the kernel tells too; the node is then waited for. */
#define LOOKS_FIRST SURVIVES({ DOOR_STAT, EACH })
/* Who has it open is looked for in all processes, and one that cannot be seen is none. */
#define LOOKS_FOR_USERS SURVIVES({ DOOR_READLINK, EACH }, { DOOR_OPEN, EACH }, { DOOR_STAT, EACH })

const struct act system_acts[] = {
	{ "iommufd_mdev_type_info", NEEDS_CONTEXT, type_info, .on = has_mtty,
	  .size = sizeof(struct iommufd_mdev_type) },
	{ "iommufd_mdev_create", NEEDS_CONTEXT, create, .undo = have_none, .on = has_mtty, .survives = LOOKS_FIRST,
	  .costly = true },
	{ "iommufd_mdev_remove", NEEDS_CONTEXT, take_away, .undo = have, .prepare = have, .finish = have_none,
	  .on = has_mtty, .survives = LOOKS_FOR_USERS, .costly = true },
	{ "iommufd_monitor_new", NEEDS_CONTEXT, monitor_new, .undo = monitor_free, .handle = true, .seldom = true },
	{ .name = NULL },
};
