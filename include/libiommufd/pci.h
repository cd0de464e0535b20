/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file pci.h
 * @brief PCI devices: the names of regions and interrupts, configuration space, bus mastering.
 */
#ifndef LIBIOMMUFD_PCI_H
#define LIBIOMMUFD_PCI_H

#include <libiommufd/base.h>
#include <libiommufd/device.h>

#ifndef __cplusplus
#include <stdbool.h>
#endif

IOMMUFD_BEGIN_DECLS

/** Regions of a PCI device (VFIO's own numbering). */
enum {
	IOMMUFD_PCI_BAR0 = 0,   /**< base address register 0 */
	IOMMUFD_PCI_BAR1 = 1,   /**< base address register 1 */
	IOMMUFD_PCI_BAR2 = 2,   /**< base address register 2 */
	IOMMUFD_PCI_BAR3 = 3,   /**< base address register 3 */
	IOMMUFD_PCI_BAR4 = 4,   /**< base address register 4 */
	IOMMUFD_PCI_BAR5 = 5,   /**< base address register 5 */
	IOMMUFD_PCI_ROM = 6,    /**< expansion ROM */
	IOMMUFD_PCI_CONFIG = 7, /**< configuration space */
	IOMMUFD_PCI_VGA = 8,    /**< legacy VGA ranges */
};

/** Interrupt types of a PCI device (VFIO's own numbering). */
enum {
	IOMMUFD_PCI_INTX = 0, /**< the interrupt pin */
	IOMMUFD_PCI_MSI = 1,  /**< message signalled interrupts */
	IOMMUFD_PCI_MSIX = 2, /**< message signalled interrupts, extended */
	IOMMUFD_PCI_ERR = 3,  /**< uncorrectable errors (AER) */
	IOMMUFD_PCI_REQ = 4,  /**< the kernel asks for the device back */
};

/**
 * @brief Read from configuration space.
 *
 * @param dev    an attached PCI device
 * @param offset in bytes
 * @param buf    where the bytes go, little-endian as on the bus
 * @param len    bytes
 *
 * @retval -ENOTCONN   not attached
 * @retval -EOPNOTSUPP not a PCI device
 * @retval -ERANGE     beyond configuration space
 *
 * Source: pread() on the device's file descriptor; PCI Local Bus Specification 3.0, section 6.1.
 * @since 0.1
 */
int iommufd_pci_config_read(struct iommufd_device *dev, uint64_t offset, void *buf, size_t len);

/**
 * @brief Write to configuration space. VFIO emulates or refuses what would harm the host.
 *
 * @param dev    an attached PCI device
 * @param offset in bytes
 * @param buf    the bytes, little-endian as on the bus
 * @param len    bytes
 *
 * @retval -ENOTCONN   not attached
 * @retval -EOPNOTSUPP not a PCI device
 * @retval -ERANGE     beyond configuration space
 *
 * Source: pwrite() on the device's file descriptor; PCI Local Bus Specification 3.0, section 6.1.
 * @since 0.1
 */
int iommufd_pci_config_write(struct iommufd_device *dev, uint64_t offset, const void *buf, size_t len);

/**
 * @brief Let a PCI device start DMA, or forbid it. It is forbidden after each attach: without this call no DMA happens,
 * and no MSI either.
 *
 * @param dev an attached PCI device
 * @param on  true to permit
 *
 * @retval -ENOTCONN   not attached
 * @retval -EOPNOTSUPP not a PCI device
 *
 * Source: the command register's bit 2; PCI Local Bus Specification 3.0, section 6.2.2.
 * @since 0.1
 */
int iommufd_pci_set_master(struct iommufd_device *dev, bool on);

IOMMUFD_END_DECLS

#endif
