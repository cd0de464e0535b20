/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Listening to a monitor, for the tests of what comes and goes. */
#ifndef MONITOR_H
#define MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include <libiommufd.h>

struct iommufd_monitor *monitor_open(void);

/* What is next about a device, of what is there already; false for nothing. */
bool monitor_next(struct iommufd_monitor *mon, const char *address, struct iommufd_monitor_event *event);

/* Waits for what is next about a device, and fails the test unless it is this. `event` may be NULL. */
void monitor_await(struct iommufd_monitor *mon, const char *address, uint32_t type,
		   struct iommufd_monitor_event *event);

#endif
