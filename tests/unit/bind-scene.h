/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A device, two drivers and what the kernel does with them, in a sysfs that is made up. */
#ifndef BIND_SCENE_H
#define BIND_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#define DEVICE "0000:00:04.0"
#define PATH   "/sys/devices/pci0000:00/" DEVICE
#define UUID   "c7a1e3f0-0000-4000-8000-000000000001"

struct sim {
	char driver[64], override[64], subsystem[16];
	int group;
	uint32_t class;
	bool no_group_node, busy_group, mounted, up, deaf, held, claimed;
	bool slow;                     /* whoever is to take the device is not done, and has it all the same */
	bool shared, mediated;         /* its disk is below no controller; it has a mediated device */
	bool half_gone, old, no_power; /* of its last driver; where all is told under the lock; without power */
	const char *thief;             /* who binds it in the moment that it has no driver */
	const char *refuses;           /* a driver that does not want the device */
	int refuses_with;
	bool late;                                /* its nodes do not come */
	unsigned int calls, fail_at, fails_after; /* of writes: the first that fails */
	unsigned int group_fds, unbinds;
	int fail_with;
	const char *alias;  /* a line of modules.alias */
	const char *loaded; /* a third driver, of a module of this name */
};
extern struct sim sim;

/* The device has this driver and override, and nothing else is the matter. */
void reset(const char *driver, const char *override);

/* Fails the test unless it has these, and the library has closed what it had opened. */
void is_at(const char *driver, const char *override);

#endif
