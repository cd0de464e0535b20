/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Opening nodes that may not be ready yet. Internal. */
#ifndef IFD_NODE_H
#define IFD_NODE_H

#include <stdbool.h>

struct iommufd_device;

/* The node of a device or of its group, as it is now. A descriptor, or -errno with words. */
int ifd_node_open(const struct iommufd_device *dev, const char *path);

/*
 * After the device could not be opened, with no lock held: waits up to a second where its node may only be late. Whether
 * something has changed, so that a second try is worth it.
 */
bool ifd_node_await(const struct iommufd_device *dev, int err);

#endif
