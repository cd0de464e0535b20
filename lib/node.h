/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Opening nodes that may not be ready yet. Internal. */
#ifndef IFD_NODE_H
#define IFD_NODE_H

struct iommufd_device;

/* The node of a device or of its group; waits up to a second for it to appear. A descriptor, or -errno with words. */
int ifd_node_open(const struct iommufd_device *dev, const char *path);

#endif
