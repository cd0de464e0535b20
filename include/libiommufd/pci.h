/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file pci.h
 * @brief PCI devices: the names of regions and interrupts, configuration space, capabilities, BARs, bus mastering,
 * resets of a bus, virtual functions.
 */
#ifndef LIBIOMMUFD_PCI_H
#define LIBIOMMUFD_PCI_H

#include <libiommufd/base.h>
#include <libiommufd/device.h>
#include <libiommufd/irq.h>
#include <libiommufd/region.h>

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
 * @retval -EIO        as iommufd_device_region_read()
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
 * @retval others      as iommufd_device_region_write()
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
 * @retval others      as iommufd_device_region_write()
 *
 * Source: the command register's bit 2; PCI Local Bus Specification 3.0, section 6.2.2.
 * @since 0.1
 */
int iommufd_pci_set_master(struct iommufd_device *dev, bool on);

/**
 * @brief Read a number from configuration space: iommufd_pci_config_read8(), iommufd_pci_config_read16(),
 * iommufd_pci_config_read32() and the writes are one access each, and turn the bytes into the CPU's order.
 *
 * @param dev    an attached PCI device
 * @param offset in bytes, a multiple of the number's size
 * @param value  what is there
 *
 * @retval -ENOTCONN   not attached
 * @retval -EOPNOTSUPP not a PCI device
 * @retval -EINVAL     `offset` is not aligned
 * @retval -ERANGE     beyond configuration space
 * @retval -EIO        the device was taken away, see iommufd_device_region_read()
 *
 * Source: pread() on the device's file descriptor.
 * @since 0.1
 */
int iommufd_pci_config_read8(struct iommufd_device *dev, uint32_t offset, uint8_t *value);
/** @copydoc iommufd_pci_config_read8 */
int iommufd_pci_config_read16(struct iommufd_device *dev, uint32_t offset, uint16_t *value);
/** @copydoc iommufd_pci_config_read8 */
int iommufd_pci_config_read32(struct iommufd_device *dev, uint32_t offset, uint32_t *value);

/**
 * @brief Write a number to configuration space.
 *
 * @param dev    an attached PCI device
 * @param offset in bytes, a multiple of the number's size
 * @param value  what is to be there; VFIO emulates or refuses what would harm the host
 *
 * @retval -ENOTCONN   not attached
 * @retval -EOPNOTSUPP not a PCI device
 * @retval -EINVAL     `offset` is not aligned
 * @retval -ERANGE     beyond configuration space
 * @retval -EIO        the device was taken away, see iommufd_device_region_write()
 * @retval others      as iommufd_device_region_write()
 *
 * Source: pwrite() on the device's file descriptor.
 * @since 0.1
 */
int iommufd_pci_config_write8(struct iommufd_device *dev, uint32_t offset, uint8_t value);
/** @copydoc iommufd_pci_config_write8 */
int iommufd_pci_config_write16(struct iommufd_device *dev, uint32_t offset, uint16_t value);
/** @copydoc iommufd_pci_config_write8 */
int iommufd_pci_config_write32(struct iommufd_device *dev, uint32_t offset, uint32_t value);

/**
 * @brief Find a capability.
 *
 * @param dev    an attached PCI device
 * @param id     its number, for instance 0x01 for power management, 0x05 for MSI, 0x10 for PCI Express, 0x11 for MSI-X
 * @param after  0 for the first one; or where one was found, for the next one behind it: some are there several times
 * @param offset where it begins in configuration space
 *
 * @retval -ENOENT     there is none, or none behind `after`
 * @retval -EINVAL     `id` is 0, or `after` is the place of no capability
 * @retval -EPROTO     the chain of capabilities has no end or leads astray
 * @retval -EIO        the device was taken away
 * @retval -ENOTCONN   not attached
 * @retval -EOPNOTSUPP not a PCI device
 *
 * Source: PCI Local Bus Specification 3.0, section 6.7.
 * @since 0.1
 */
int iommufd_pci_find_cap(struct iommufd_device *dev, uint8_t id, uint32_t after, uint32_t *offset);

/**
 * @brief Find an extended capability.
 *
 * @param dev    an attached PCI device
 * @param id     its number, for instance 0x0001 for advanced error reporting, 0x000f for ATS, 0x0010 for SR-IOV
 * @param after  0 for the first one; or where one was found, for the next one behind it
 * @param offset where it begins in configuration space
 *
 * @retval -ENOENT     there is none, or none behind `after`, or the device has no such space
 * @retval -EINVAL     `id` is 0, or `after` is the place of no capability
 * @retval -EPROTO     the chain of capabilities has no end or leads astray
 * @retval -EIO        the device was taken away
 * @retval -ENOTCONN   not attached
 * @retval -EOPNOTSUPP not a PCI device
 *
 * Source: PCI Express Base Specification 5.0, section 7.6.
 * @since 0.1
 */
int iommufd_pci_find_ext_cap(struct iommufd_device *dev, uint16_t id, uint32_t after, uint32_t *offset);

/** What a base address register is. */
enum {
	IOMMUFD_PCI_BAR_IO = 1u << 0,       /**< I/O ports, not memory */
	IOMMUFD_PCI_BAR_64BIT = 1u << 1,    /**< its address has 64 bits, and takes the next register as well */
	IOMMUFD_PCI_BAR_PREFETCH = 1u << 2, /**< reading has no side effects */
	IOMMUFD_PCI_BAR_UPPER = 1u << 3,    /**< no BAR, but the upper half of the address of the one before */
	IOMMUFD_PCI_BAR_MMAP = 1u << 4,     /**< iommufd_device_region_map() works, perhaps not for all of it */
};

/** A base address register. The caller sets `struct_size`. */
struct iommufd_pci_bar {
	size_t struct_size; /**< `sizeof(struct iommufd_pci_bar)` */
	uint64_t size;      /**< bytes; 0 for one that the device does not have */
	uint32_t flags;     /**< IOMMUFD_PCI_BAR bits; 0 for one that the device does not have */
	uint32_t bar;       /**< as asked for, and the index of the region */
};

/**
 * @brief What a base address register is.
 *
 * @param dev  an attached PCI device
 * @param bar  IOMMUFD_PCI_BAR0 to IOMMUFD_PCI_BAR5
 * @param info filled; `info->struct_size` is read first
 *
 * @retval -EINVAL     there is no such register, or `struct_size` is smaller than in the first release
 * @retval -ENOTCONN   not attached
 * @retval -EOPNOTSUPP not a PCI device
 *
 * Source: VFIO_DEVICE_GET_REGION_INFO; PCI Local Bus Specification 3.0, section 6.2.5.
 * @since 0.1
 */
int iommufd_pci_bar_info(struct iommufd_device *dev, uint32_t bar, struct iommufd_pci_bar *info);

/** Where a device has its MSI-X table. The caller sets `struct_size`. */
struct iommufd_pci_msix {
	size_t struct_size;    /**< `sizeof(struct iommufd_pci_msix)` */
	uint64_t table_offset; /**< where the table begins in its BAR */
	uint64_t table_size;   /**< bytes of the table: 16 for each vector */
	uint64_t pba_offset;   /**< where the array of pending bits begins in its BAR */
	uint64_t pba_size;     /**< bytes of that array: 8 for each 64 vectors */
	uint32_t table_bar;    /**< IOMMUFD_PCI_BAR0 to IOMMUFD_PCI_BAR5 */
	uint32_t pba_bar;      /**< IOMMUFD_PCI_BAR0 to IOMMUFD_PCI_BAR5 */
	uint32_t vectors;      /**< entries of the table */
	uint32_t cap;          /**< where the capability is in configuration space */
};

/**
 * @brief Where a device has its MSI-X table: what a VMM must not let a guest reach, and a driver leaves alone.
 *
 * @param dev  an attached PCI device
 * @param info filled; `info->struct_size` is read first
 *
 * @retval -ENOENT     the device has no MSI-X
 * @retval -EPROTO     it tells of a place that is in none of its BARs; or as iommufd_pci_find_cap()
 * @retval -EINVAL     `struct_size` is smaller than in the first release
 * @retval -ENOTCONN   not attached
 * @retval -EOPNOTSUPP not a PCI device
 *
 * Source: PCI Local Bus Specification 3.0, section 6.8.2.
 * @since 0.1
 */
int iommufd_pci_msix_info(struct iommufd_device *dev, struct iommufd_pci_msix *info);

/**
 * @brief Let a PCI device answer to its memory BARs, or forbid it. It is permitted after each attach.
 *
 * While it is forbidden, iommufd_device_region_read() and iommufd_device_region_write() of a BAR are `-EIO`, and an
 * access to what iommufd_device_region_map() gave ends in SIGBUS.
 *
 * @param dev an attached PCI device
 * @param on  true to permit
 *
 * @retval -ENOTCONN   not attached
 * @retval -EOPNOTSUPP not a PCI device
 * @retval others      as iommufd_device_region_write()
 *
 * Source: the command register's bit 1; PCI Local Bus Specification 3.0, section 6.2.2.
 * @since 0.1
 */
int iommufd_pci_set_memory(struct iommufd_device *dev, bool on);

/** Room for the address of a PCI device as text, `0000:00:03.0`, with its end. */
enum { IOMMUFD_PCI_NAME_SIZE = 24 };

/** What there is to know of a device that a hot reset affects. */
enum {
	IOMMUFD_PCI_AFFECTED_OPEN = 1u << 0,   /**< it is open in this context */
	IOMMUFD_PCI_AFFECTED_BLOCKS = 1u << 1, /**< it keeps the reset from being done */
};

/** A device that a hot reset affects. */
struct iommufd_pci_affected {
	char address[IOMMUFD_PCI_NAME_SIZE]; /**< as iommufd_device_new() takes it */
	int32_t group;                       /**< its IOMMU group, or -1 */
	uint32_t flags;                      /**< IOMMUFD_PCI_AFFECTED bits */
};

/**
 * @brief Which devices iommufd_pci_hot_reset() would reset, and which of them stand in its way.
 *
 * These are all devices of the slot, or where that cannot be reset by itself all behind the bridge above the device.
 * One stands in the way when it is not bound to a VFIO driver, or when this context does not own it: it owns the
 * devices of every IOMMU group of which it has one open.
 *
 * @param dev   an attached PCI device
 * @param infos filled, as far as there is room
 * @param room  how many fit
 * @param count how many devices there are, the one that was asked about among them
 *
 * @retval -ENOTCONN   not attached
 * @retval -EOPNOTSUPP neither slot nor bus can be reset, or it is no PCI device
 * @retval -EPROTO     the kernel's answer contradicts itself
 * @retval -EAGAIN     devices come and go too fast
 * @retval -ENOMEM     no memory
 *
 * Source: VFIO_DEVICE_GET_PCI_HOT_RESET_INFO.
 * @since 0.1
 */
int iommufd_pci_hot_reset_info(struct iommufd_device *dev, struct iommufd_pci_affected *infos, size_t room,
			       size_t *count);

/**
 * @brief Reset a PCI device together with all that share its slot or bus: for a device that cannot be reset by itself.
 *
 * Every affected device that is attached in this context comes back as iommufd_device_reset() says it of one. They must
 * all be at rest. It is tried for up to a second while the kernel cannot lock them.
 *
 * @param dev an attached PCI device
 *
 * @retval -ENOTCONN   not attached
 * @retval -EBUSY      a device that would be reset too is in the way; the words name it, its driver, and who has it
 *                     open. Or something held one of them for all of the second
 * @retval -EAGAIN     the same
 * @retval -EOPNOTSUPP neither slot nor bus can be reset, or it is no PCI device
 * @retval -EINVAL     whose the affected devices are changed during the call
 * @retval -EPROTO     the kernel's answer contradicts itself
 * @retval -ENOMEM     no memory
 * @retval others      it was done, but not all is as it was; the words say what
 *
 * Source: VFIO_DEVICE_PCI_HOT_RESET; without groups Linux 6.6.
 * @since 0.1
 */
int iommufd_pci_hot_reset(struct iommufd_device *dev);

/**
 * @brief Set the token of a physical function: from now on only who has it can open one of its virtual functions.
 *
 * Who opens one says the token in the options of iommufd_device_new_opts(). Those that are open already stay so. Until
 * it is set, a physical function has a token that nobody knows, and the kernel cannot be asked for it.
 *
 * @param dev   an attached device, a physical function with SR-IOV that is bound to vfio-pci
 * @param token 16 bytes of a UUID, in the order in which it is written; they are copied
 *
 * @retval -ENOTCONN not attached
 * @retval -EINVAL   no token
 * @retval -ENOTTY   it is no such function
 * @retval others    what the driver says
 *
 * Source: VFIO_DEVICE_FEATURE_PCI_VF_TOKEN (Linux 5.7).
 * @since 0.1
 */
int iommufd_pci_set_vf_token(struct iommufd_device *dev, const unsigned char *token);

/** What a device is in the terms of SR-IOV. */
enum {
	IOMMUFD_SRIOV_PF = 1u << 0, /**< a physical function, which can have virtual ones */
	IOMMUFD_SRIOV_VF = 1u << 1, /**< a virtual function */
	/** a virtual function that iommufd_device_new_opts() opens with the token of its physical function only */
	IOMMUFD_SRIOV_TOKEN = 1u << 2,
};

/** What SR-IOV makes of a device. The caller sets `struct_size`. */
struct iommufd_sriov_info {
	size_t struct_size;             /**< `sizeof(struct iommufd_sriov_info)` */
	uint32_t flags;                 /**< IOMMUFD_SRIOV bits; 0 for a device that has nothing to do with it */
	uint32_t max_vfs;               /**< how many virtual functions it can have */
	uint32_t num_vfs;               /**< how many it has now */
	uint32_t index;                 /**< of a virtual function: which one of its physical function, from 0 */
	char pf[IOMMUFD_PCI_NAME_SIZE]; /**< of a virtual function: the address of its physical one; else empty */
};

/**
 * @brief What a PCI device is in the terms of SR-IOV: whether it has, or is, a virtual function.
 *
 * @param address as for iommufd_device_new(); the device need not be open, nor bound to a VFIO driver
 * @param info    filled; `info->struct_size` is read first
 *
 * @retval -ENOENT there is no such device
 * @retval -EINVAL `address` is none of the forms that iommufd_device_new() takes; `struct_size` is smaller than in the
 *                 first release, or no size of a structure
 * @retval -ENOMEM no memory
 *
 * Source: sysfs (`sriov_totalvfs`, `physfn`, `virtfn0`); Single Root I/O Virtualization and Sharing 1.1, section 3.3.
 * @since 0.1
 */
int iommufd_pci_sriov_get_info(const char *address, struct iommufd_sriov_info *info);

/**
 * @brief The address of a virtual function.
 *
 * @param pf    its physical function, as for iommufd_device_new(); it need not be open
 * @param index which one, from 0
 * @param name  where the address goes, with its end
 * @param size  bytes of `name`; IOMMUFD_PCI_NAME_SIZE are enough
 *
 * @retval -ENOENT there is no such device, or it has no virtual function of that number
 * @retval -EINVAL `pf` is none of the forms that iommufd_device_new() takes
 * @retval -ERANGE `size` is too small
 * @retval -ENOMEM no memory
 *
 * Source: sysfs (`virtfn0`).
 * @since 0.1
 */
int iommufd_pci_get_vf(const char *pf, uint32_t index, char *name, size_t size);

/**
 * @brief Give a physical function virtual ones, or take all of them away.
 *
 * It has to be bound to a driver that can do it, such as vfio-pci with its parameter `enable_sriov`. vfio-pci takes the
 * virtual functions too, and then this call waits until their nodes are there, up to a second for each. It takes root.
 * A reset of the physical function, so its open too, resets the virtual ones with it.
 *
 * A virtual function that a process has open is not taken away: the kernel would wait until it is closed. One that only
 * a driver of the kernel uses is.
 *
 * @param pf    the physical function, as for iommufd_device_new(); it may be open, by this process too
 * @param count how many it is to have; 0 for none
 *
 * @retval -ENOENT     there is no such device
 * @retval -EINVAL     `pf` is none of the forms that iommufd_device_new() takes
 * @retval -EOPNOTSUPP it is no physical function, or its driver cannot do it; the words name vfio-pci's parameter where
 *                     that is it
 * @retval -ENODEV     it is bound to no driver; or somebody took the virtual functions away again in the meantime
 * @retval -ERANGE     it cannot have so many
 * @retval -EBUSY      it has another number of them, and it is not 0: set 0 first; or one of them is in use, and the
 *                     words say by whom
 * @retval -EACCES     only root may do it
 * @retval -EAGAIN     no process can be made that writes to sysfs, see iommufd_driver_bind()
 * @retval -ENOMEM     no memory, perhaps for that process; or the firmware left no bus numbers, or addresses, for so
 *                     many
 * @retval -ETIMEDOUT  they are there, but not their nodes; or one of them is in use by somebody who cannot be seen:
 *                     after half a minute and a second for each the call ends, and they go as soon as it is closed. Or
 *                     an earlier change of their number, or of the driver, is not at its end: try again then
 *
 * Source: sysfs (`sriov_numvfs`), vfio-pci's parameter `enable_sriov` (Linux 5.7).
 * @since 0.1
 */
int iommufd_pci_set_num_vfs(const char *pf, uint32_t count);

IOMMUFD_END_DECLS

#endif
