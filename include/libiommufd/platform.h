/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file platform.h
 * @brief Platform devices: those that no bus finds, but a device tree or ACPI tells of.
 *
 * Such a device is opened by its directory under `/sys`, for instance `/sys/bus/platform/devices/fff51000.ethernet`.
 * Its regions and interrupt types are numbered in the order in which the device tree or ACPI lists them, from 0; each
 * type has one vector. A device tree may also name them.
 */
#ifndef LIBIOMMUFD_PLATFORM_H
#define LIBIOMMUFD_PLATFORM_H

#include <libiommufd/base.h>
#include <libiommufd/device.h>

IOMMUFD_BEGIN_DECLS

/**
 * @brief The index of a region that the device tree has a name for.
 *
 * @param dev   an attached platform device
 * @param name  as in the property `reg-names`
 * @param index what iommufd_device_region_read() takes
 *
 * @retval -ENOENT     there is no such name, or no device tree; the words list the names that there are
 * @retval -ENAMETOOLONG the names are more than 4095 bytes, and it is not among the first of them
 * @retval -EPROTO     there is such a name, but no region of this index
 * @retval -ENOTCONN   not attached
 * @retval -EOPNOTSUPP not a platform device
 *
 * Source: `of_node` in sysfs.
 * @since 0.1
 */
int iommufd_platform_find_region(struct iommufd_device *dev, const char *name, uint32_t *index);

/**
 * @brief The index of an interrupt type that the device tree has a name for.
 *
 * @param dev   an attached platform device
 * @param name  as in the property `interrupt-names`
 * @param index what iommufd_device_irq_enable() takes
 *
 * @retval -ENOENT     there is no such name, or no device tree; the words list the names that there are
 * @retval -ENAMETOOLONG the names are more than 4095 bytes, and it is not among the first of them
 * @retval -EPROTO     there is such a name, but no interrupt of this index
 * @retval -ENOTCONN   not attached
 * @retval -EOPNOTSUPP not a platform device
 *
 * Source: `of_node` in sysfs.
 * @since 0.1
 */
int iommufd_platform_find_irq(struct iommufd_device *dev, const char *name, uint32_t *index);

IOMMUFD_END_DECLS

#endif
