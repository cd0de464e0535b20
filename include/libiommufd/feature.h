/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file feature.h
 * @brief What the VFIO driver of a device can do beside the usual: low power, a log of its DMA, and more.
 *
 * Each call answers -ENOTTY where the driver or the kernel has nothing of the kind, and iommufd_device_has() tells
 * before. The same on both backends: the driver does it. What a device state is moved with is in migration.h.
 */
#ifndef LIBIOMMUFD_FEATURE_H
#define LIBIOMMUFD_FEATURE_H

#include <libiommufd/base.h>

#ifndef __cplusplus
#include <stdbool.h>
#endif

IOMMUFD_BEGIN_DECLS

/** What a driver may have, see iommufd_device_has(). The numbers are those of VFIO_DEVICE_FEATURE. */
enum {
	IOMMUFD_FEATURE_PCI_VF_TOKEN = 0,        /**< iommufd_pci_set_vf_token(): of physical functions with SR-IOV */
	IOMMUFD_FEATURE_MIGRATION = 1,           /**< iommufd_migration_new() */
	IOMMUFD_FEATURE_MIGRATION_STATE = 2,     /**< iommufd_migration_set_state() */
	IOMMUFD_FEATURE_LOW_POWER = 3,           /**< iommufd_device_low_power_enter() without an eventfd */
	IOMMUFD_FEATURE_LOW_POWER_WAKEUP = 4,    /**< iommufd_device_low_power_enter() with one */
	IOMMUFD_FEATURE_LOW_POWER_EXIT = 5,      /**< iommufd_device_low_power_exit() */
	IOMMUFD_FEATURE_DMA_LOG = 6,             /**< iommufd_device_dma_log_start() */
	IOMMUFD_FEATURE_DMA_LOG_STOP = 7,        /**< iommufd_device_dma_log_stop() */
	IOMMUFD_FEATURE_DMA_LOG_READ = 8,        /**< iommufd_device_dma_log_read() */
	IOMMUFD_FEATURE_MIGRATION_DATA_SIZE = 9, /**< iommufd_migration_data_size() */
	IOMMUFD_FEATURE_MASTER = 10,             /**< iommufd_device_set_master() */
	IOMMUFD_FEATURE_DMA_BUF = 11,            /**< a region as a dma-buf */
	IOMMUFD_FEATURE_PRECOPY_REINIT = 12,     /**< IOMMUFD_PRECOPY_REINIT is told */
	IOMMUFD_FEATURE_ZPCI_ERROR = 13,         /**< iommufd_device_zpci_error(): on s390 */
};

/**
 * @brief Whether a device's driver has a feature, before it is tried.
 *
 * The driver is asked once an attach, in a way that changes nothing.
 *
 * @param dev     an attached device
 * @param feature one of the IOMMUFD_FEATURE constants
 * @return 1 when it has, 0 when it has not
 *
 * @retval -ENOTCONN   not attached
 * @retval -EINVAL     this library does not know the feature
 * @retval -EOPNOTSUPP the device is somebody else's, see iommufd_device_from_id()
 *
 * Source: VFIO_DEVICE_FEATURE with VFIO_DEVICE_FEATURE_PROBE (Linux 5.7).
 * @since 0.1
 */
int iommufd_device_has(struct iommufd_device *dev, uint32_t feature);

/**
 * @brief Let a device go into a state of low power while nobody uses it.
 *
 * Whether and when it does is up to the kernel. Calls of this library that need the device wake it by themselves and
 * let it sleep again. What is mapped by iommufd_device_region_map() must not be touched: that would be SIGBUS. On
 * iommufd what iommufd_ioas_map_region() gave of it to other devices leads nowhere, whatever is reset or written
 * meanwhile, and nothing more is given, until iommufd_device_low_power_exit(). An interrupt does not arrive while it
 * sleeps.
 *
 * With an eventfd, the first waking ends it: when the device did sleep, whatever woke it, the eventfd is signalled, and
 * it does not sleep again until the next call. The eventfd stays the caller's and may be closed.
 *
 * It ends with iommufd_device_low_power_exit() or the detach.
 *
 * @param dev     an attached device
 * @param eventfd signalled at the first waking; or -1 to let it sleep as often as it can
 *
 * @retval -ENOTCONN not attached
 * @retval -ENOTTY   the driver or the kernel cannot do it
 * @retval -EBUSY    it may sleep already
 * @retval -EBADF    `eventfd` is not open
 * @retval -EINVAL   `eventfd` is something else
 *
 * Source: VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP (Linux 6.1).
 * @since 0.1
 */
int iommufd_device_low_power_enter(struct iommufd_device *dev, int eventfd);

/**
 * @brief Wake a device, and keep it awake. Does nothing to one that may not sleep.
 *
 * What iommufd_ioas_map_region() gave of its memory to other devices is there again. Call it for that also when an
 * eventfd has told that the device woke.
 *
 * @param dev an attached device
 *
 * @retval -ENOTCONN not attached
 * @retval -ENOTTY   the driver or the kernel cannot do it
 * @retval others    the device is awake, but something of its memory could not be mapped again; the words name it
 *
 * Source: VFIO_DEVICE_FEATURE_LOW_POWER_EXIT (Linux 6.1).
 * @since 0.1
 */
int iommufd_device_low_power_exit(struct iommufd_device *dev);

/**
 * @brief Let a device note which pages it writes, or have its driver do so.
 *
 * It is the device's own knowledge, beside that of an IOMMU, see dirty.h: bitmaps of both have one layout, so that they
 * can be gathered in one. The log ends with iommufd_device_dma_log_stop() or the detach.
 *
 * Ranges may overlap and come in any order. The kernel takes as many as fill a page of the CPU, 256 on most; of more,
 * the ones with the smallest holes between them are put together, so that the log can tell more than was asked for.
 *
 * @param dev       an attached device
 * @param ranges    the IOVAs that are of interest, `last` included; widened to whole pages
 * @param count     how many; one at least
 * @param page_size what the device shall tell apart: a power of two, 4096 or more
 * @param out       the size that it does tell apart, or NULL
 *
 * @retval -ENOTCONN  not attached
 * @retval -ENOTTY    the driver cannot do it
 * @retval -EBUSY     it has begun already
 * @retval -EINVAL    no ranges, one that ends before it begins, or a page size that is not as it must be
 * @retval -EOVERFLOW a range reaches to the end of 2^64 bytes
 * @retval -ENOMEM    no memory
 * @retval -EPROTO    the driver chose a page size that is none; it is stopped again
 * @retval others     what the driver says
 *
 * Source: VFIO_DEVICE_FEATURE_DMA_LOGGING_START (Linux 6.1).
 * @since 0.1
 */
int iommufd_device_dma_log_start(struct iommufd_device *dev, const struct iommufd_range *ranges, size_t count,
				 uint64_t page_size, uint64_t *out);

/**
 * @brief End the log. What nobody has read is forgotten.
 *
 * @param dev an attached device
 *
 * @retval -ENOTCONN not attached
 * @retval -ENOTTY   the driver has no log
 * @retval -EINVAL   it has not begun
 * @retval others    what the driver says
 *
 * Source: VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP (Linux 6.1).
 * @since 0.1
 */
int iommufd_device_dma_log_stop(struct iommufd_device *dev);

/**
 * @brief Which pages of a range the device has written since that was last told.
 *
 * Sets bits of pages and clears none: bit n % 64 of word n / 64 stands for the page at `iova + n * page_size`. When it
 * fails, what was written is lost: take every page for written.
 *
 * @param dev       an attached device
 * @param iova      start of the range, a multiple of `page_size`
 * @param len       bytes, a multiple of `page_size`
 * @param page_size what a bit stands for: a power of two, 4096 or more, whatever the log was begun with
 * @param bitmap    `len / page_size` bits, in whole words of 64
 * @param size      bytes of the bitmap; what is more than needed is not touched
 *
 * @retval -ENOTCONN  not attached
 * @retval -ENOTTY    the driver has no log
 * @retval -EINVAL    it has not begun; no bitmap, or too small a one; a page size or a range that is not as it must be
 * @retval -EOVERFLOW `iova + len` reaches 2^64
 * @retval others     what the driver says
 *
 * Source: VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT (Linux 6.1).
 * @since 0.1
 */
int iommufd_device_dma_log_read(struct iommufd_device *dev, uint64_t iova, uint64_t len, uint64_t page_size,
				uint64_t *bitmap, size_t size);

/**
 * @brief Let a device make DMA, or keep it from it, on a bus that has no registers for it: CDX.
 *
 * For PCI this is iommufd_pci_set_master().
 *
 * @param dev an attached device
 * @param on  whether it may be a bus master
 *
 * @retval -ENOTCONN not attached
 * @retval -ENOTTY   the driver has nothing of the kind, as of every PCI device
 * @retval others    what the driver says
 *
 * Source: VFIO_DEVICE_FEATURE_BUS_MASTER (Linux 6.7).
 * @since 0.1
 */
int iommufd_device_set_master(struct iommufd_device *dev, bool on);

/**
 * @brief The oldest error that s390's firmware has told of a PCI function, and that nobody has read.
 *
 * @param dev  an attached device
 * @param buf  the bytes, as the firmware has them
 * @param size bytes of `buf`
 * @param len  how many of them there are
 *
 * @retval -ENOTCONN not attached
 * @retval -ENOTTY   the driver or the kernel has nothing of the kind, as on every other architecture
 * @retval -ENOMSG   there is no error
 * @retval -ENOSPC   `size` is too small; the words have the number
 *
 * Source: VFIO_DEVICE_FEATURE_ZPCI_ERROR, VFIO_DEVICE_INFO_CAP_ZPCI_BASE (Linux 7.3).
 * @since 0.1
 */
int iommufd_device_zpci_error(struct iommufd_device *dev, void *buf, size_t size, size_t *len);

IOMMUFD_END_DECLS

#endif
