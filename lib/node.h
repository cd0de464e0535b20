/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Opening nodes that may not be ready yet. Internal. */
#ifndef IFD_NODE_H
#define IFD_NODE_H

#include <stdbool.h>

struct iommufd_device;
struct ifd_found;

/* The node of a device or of its group, as it is now. A descriptor, or -errno with words. */
int ifd_node_open(const struct iommufd_device *dev, const char *path);

/*
 * With no lock held: when the device's driver is at work on it, waits up to a second until that is done, and puts what
 * is found then in the place of `found`. Else it would seem to have no node of its own.
 */
void ifd_node_settle(const char *address, struct ifd_found **found);

/* Whether a udev daemon runs, as far as this process can see. */
struct udev;
bool ifd_node_has_daemon(struct udev *udev);

/*
 * After a device was bound to a VFIO driver: waits up to a second until its nodes are there, with their permissions
 * where a daemon sets them, and puts what is found then in the place of `found`. 0, or -ENOENT with words that begin
 * with `what`. That this process may open them is not asked.
 */
int ifd_node_appear(struct ifd_found **found, const char *what);

/*
 * After the device could not be opened, with no lock held: waits up to a second where its node may only be late.
 * Whether something has changed, so that a second try is worth it.
 */
bool ifd_node_await(const struct iommufd_device *dev, int err);

#endif
