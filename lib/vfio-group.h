/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The node of a device's group, which hands out the device: VFIO, and iommufd where devices have no node. Internal. */
#ifndef IFD_VFIO_GROUP_H
#define IFD_VFIO_GROUP_H

#include <stddef.h>

struct ifd_found;
struct iommufd_device;

void ifd_group_node(const struct ifd_found *found, char *path, size_t size);

/* Opens the node with the first device of a group, and makes sure that the group is viable. With words. */
int ifd_group_open_node(struct iommufd_device *dev);

/* Before the group is closed: the device's VM may be done with it. */
void ifd_group_leave_vm(struct iommufd_device *dev);

/*
 * A VM is told of the group before that hands out a device; 0 also where there is none, or it knows. With words. The
 * second takes that back. ctx->opening is held.
 */
int ifd_group_tell_vm(struct iommufd_device *dev);
void ifd_group_tell_vm_of_end(struct iommufd_device *dev);

/*
 * 1 when the group was adopted and is in a container: who handed it over put it there, and takes it out again. 0 when
 * it is in none, or never was anybody else's; or -errno without words.
 */
int ifd_group_placed(struct iommufd_device *dev);

/* The device's descriptor, once its group is where it shall be; or -errno without words. */
int ifd_group_get_device(struct iommufd_device *dev);

#endif
