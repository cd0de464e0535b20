/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file mdev.h
 * @brief Mediated devices: parts of a device that its driver hands out, each with VFIO from the start.
 *
 * A parent is a directory under `/sys`, or its name under `/sys/class/mdev_bus`: a PCI address, or for instance `mtty`.
 * A mediated device is opened by its UUID: iommufd_device_new(). These calls need no context, and normally root.
 */
#ifndef LIBIOMMUFD_MDEV_H
#define LIBIOMMUFD_MDEV_H

#include <libiommufd/base.h>

IOMMUFD_BEGIN_DECLS

/** One type of mediated device that a parent has. The caller sets `struct_size`. Texts that are too long are cut. */
struct iommufd_mdev_type {
	size_t struct_size;    /**< `sizeof(struct iommufd_mdev_type)` */
	char type[64];         /**< what iommufd_mdev_create() takes, for instance `mtty-2` */
	char name[128];        /**< for people */
	char description[256]; /**< for people too, perhaps of several lines; "" for none */
	char device_api[32];   /**< what the devices are: `vfio-pci`, `vfio-ap`, `vfio-ccw` */
	uint32_t available;    /**< how many of this type can still be made */
	uint32_t flags;        /**< 0 */
};

/**
 * @brief A type of mediated device that a parent has, in the order of their names.
 *
 * @param parent the parent
 * @param index  from 0
 * @param type   filled; `type->struct_size` is read first
 *
 * @retval -ENOENT `index` is not below the number of types; or there is no such parent, or it makes no mediated devices
 * @retval -EINVAL `struct_size` is smaller than in the first release, or no size of a structure; or `parent` is no name
 * @retval -ENOMEM no memory
 *
 * Source: `mdev_supported_types` in sysfs.
 * @since 0.1
 */
int iommufd_mdev_type_info(const char *parent, uint32_t index, struct iommufd_mdev_type *type);

/**
 * @brief Make a mediated device, and wait until it can be opened: up to a second. Its driver has half a minute to make
 * it.
 *
 * @param parent the parent
 * @param type   the type, as iommufd_mdev_type_info() names it
 * @param uuid   of the new device, 36 characters; upper case is made lower case
 *
 * @retval -EINVAL `uuid` is none, or `parent` or `type` is no name
 * @retval -ENOENT there is no such parent or type, the words name those that there are; or the node did not come
 * @retval -EEXIST there is a mediated device of this UUID, perhaps of another parent
 * @retval -EBUSY  one of this UUID is being removed, and waits for who has it open
 * @retval -ENOSPC no more of this type can be made
 * @retval -EACCES only root may; likewise -EPERM and -EROFS
 * @retval -EAGAIN no process can be made that writes to sysfs, see iommufd_driver_bind()
 * @retval -ENOMEM no memory, perhaps for that process
 * @retval -ETIMEDOUT the parent's driver is not done: it goes on, and the device may come
 * @retval others  the parent's driver refused it
 *
 * After another failure there is no such device; where it cannot be removed again the words say so.
 *
 * Source: `create` in sysfs.
 * @since 0.1
 */
int iommufd_mdev_create(const char *parent, const char *type, const char *uuid);

/**
 * @brief Remove a mediated device that nobody has open. Its driver has five seconds for that.
 *
 * @param uuid of the device
 *
 * @retval -EINVAL `uuid` is none
 * @retval -ENOENT there is no such mediated device
 * @retval -EBUSY  a process has it open, or its group, and the words name it; or it is being removed already
 * @retval -EACCES only root may; likewise -EPERM and -EROFS
 * @retval -EAGAIN no process can be made that writes to sysfs, see iommufd_driver_bind()
 * @retval -ENOMEM no memory, perhaps for that process
 * @retval -ETIMEDOUT who cannot be seen from here does not let go of it; it is removed as soon as they do
 *
 * Source: `remove` in sysfs.
 * @since 0.1
 */
int iommufd_mdev_remove(const char *uuid);

IOMMUFD_END_DECLS

#endif
