/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What a device's driver has beside the usual: VFIO_DEVICE_FEATURE. Internal. */
#ifndef IFD_FEATURE_H
#define IFD_FEATURE_H

#include <stddef.h>
#include <stdint.h>

struct iommufd_device;

/*
 * The ioctl. `flags` are the number and what to do with it, `data` goes in and comes back, of at most 32 bytes. 0, or
 * -errno without words.
 */
int ifd_feature(struct iommufd_device *dev, uint32_t flags, void *data, size_t size);

/* The words of its failure: `what` was tried. `hint` may be NULL, and is not used when the driver does not have it. */
int ifd_fail_feature(const struct iommufd_device *dev, int err, const char *hint, const char *what);

/* After an attach, and before a detach: what the two begin and end with on every path. */
void ifd_feature_attached(struct iommufd_device *dev);
void ifd_feature_detach(struct iommufd_device *dev);

/* dma-log.c, low-power.c: ends it, when it was begun. 0, or -errno without words. dev->lock is held. */
int ifd_dma_log_end(struct iommufd_device *dev);
int ifd_low_power_end(struct iommufd_device *dev);

/* migration.c: the same, so that the device is in RUNNING. No lock is needed. */
int ifd_migration_end(struct iommufd_device *dev);

#endif
