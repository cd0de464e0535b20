/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file irq.h
 * @brief Interrupts of a device, by eventfds.
 *
 * Until the device is attached each call gives `-ENOTCONN`. Calls may be made by several threads at the same time.
 */
#ifndef LIBIOMMUFD_IRQ_H
#define LIBIOMMUFD_IRQ_H

#include <libiommufd/base.h>

IOMMUFD_BEGIN_DECLS

/** What an interrupt type can do. */
enum {
	IOMMUFD_IRQ_EVENTFD = 1u << 0,    /**< signals eventfds */
	IOMMUFD_IRQ_MASKABLE = 1u << 1,   /**< iommufd_device_irq_mask() and iommufd_device_irq_unmask() */
	IOMMUFD_IRQ_AUTOMASKED = 1u << 2, /**< is masked when it fires: unmask it after handling (INTx) */
	IOMMUFD_IRQ_NORESIZE =
		1u << 3, /**< to add vectors takes a moment without any, see iommufd_device_irq_enable() */
};

/** An interrupt type of a device. The caller sets `struct_size`. */
struct iommufd_irq_info {
	size_t struct_size; /**< `sizeof(struct iommufd_irq_info)` */
	uint32_t count;     /**< vectors; 0 when the device does not have the type */
	uint32_t flags;     /**< IOMMUFD_IRQ bits */
	uint32_t index;     /**< as asked for */
	uint32_t enabled;   /**< vectors that were enabled through this handle */
};

/**
 * @brief What an interrupt type is.
 *
 * @param dev   an attached device
 * @param index the type, for PCI one of IOMMUFD_PCI_INTX to IOMMUFD_PCI_REQ
 * @param info  filled; `info->struct_size` is read first
 *
 * @retval -ENOTCONN not attached
 * @retval -EINVAL   `index` is out of range, or `struct_size` is smaller than in the first release
 *
 * Source: VFIO_DEVICE_GET_IRQ_INFO.
 * @since 0.1
 */
int iommufd_device_irq_info(struct iommufd_device *dev, uint32_t index, struct iommufd_irq_info *info);

/**
 * @brief Let interrupts signal eventfds.
 *
 * Only one of INTx, MSI and MSI-X can be enabled at a time. Calling it again for vectors that are enabled changes
 * their eventfds. What the device sends by these at that very moment may be lost, with MSI-X too: where that matters,
 * call iommufd_device_irq_trigger() afterwards, so that whoever waits looks at the device. Calling it for other vectors
 * adds these.
 *
 * Where the kernel cannot add vectors (IOMMUFD_IRQ_NORESIZE: MSI; MSI-X before Linux 6.5, or where the machine cannot),
 * the library disables the type and enables it anew with all of them. What the device sends in between goes nowhere, so
 * afterwards each vector that was enabled before is signalled once: who waits for it looks at the device, and nothing
 * is lost. Such a signal need not mean that there was an interrupt. To do without, enable all vectors at once, with -1
 * for those that have no eventfd yet.
 *
 * When the kernel refuses, all is as it was. Should it refuse to take that back as well, the words say so: then
 * vectors that were enabled signal nothing any more.
 *
 * What is enabled survives iommufd_device_reset().
 *
 * @param dev      an attached device
 * @param index    the type
 * @param start    the first vector
 * @param count    how many vectors, at least 1
 * @param eventfds an eventfd for each, or -1 for a vector that shall signal nothing; they stay the caller's and may be
 *                 closed when enabled, since the library keeps a copy of each, a file descriptor a vector
 *
 * @retval -ENOTCONN   not attached
 * @retval -EINVAL     no such type or vector; `count` is 0; no eventfds, or one that is another kind of file
 * @retval -EBADF      one of the eventfds is not open
 * @retval -EBUSY      another one of INTx, MSI and MSI-X is enabled
 * @retval -ENOSPC     the machine has fewer vectors left
 * @retval -EIO        the device was taken away
 * @retval -EMFILE     no file descriptor left
 * @retval -ENOMEM     no memory
 *
 * Source: VFIO_DEVICE_SET_IRQS.
 * @since 0.1
 */
int iommufd_device_irq_enable(struct iommufd_device *dev, uint32_t index, uint32_t start, uint32_t count,
			      const int *eventfds);

/**
 * @brief Disable an interrupt type, all its vectors.
 *
 * @param dev   an attached device
 * @param index the type
 *
 * @retval -ENOTCONN not attached
 * @retval -EINVAL   no such type
 *
 * Source: VFIO_DEVICE_SET_IRQS.
 * @since 0.1
 */
int iommufd_device_irq_disable(struct iommufd_device *dev, uint32_t index);

/**
 * @brief Hold interrupts back.
 *
 * @param dev   an attached device
 * @param index a type with IOMMUFD_IRQ_MASKABLE
 * @param start the first vector
 * @param count how many
 *
 * @retval -ENOTCONN   not attached
 * @retval -EINVAL     no such type or vector, or it is not enabled
 * @retval -EOPNOTSUPP the type cannot be masked
 *
 * Source: VFIO_DEVICE_SET_IRQS.
 * @since 0.1
 */
int iommufd_device_irq_mask(struct iommufd_device *dev, uint32_t index, uint32_t start, uint32_t count);

/**
 * @brief Let interrupts through again: after iommufd_device_irq_mask(), or after an automasked one has been handled.
 *
 * @param dev   an attached device
 * @param index a type with IOMMUFD_IRQ_MASKABLE
 * @param start the first vector
 * @param count how many
 *
 * @retval -ENOTCONN   not attached
 * @retval -EINVAL     no such type or vector, or it is not enabled
 * @retval -EOPNOTSUPP the type cannot be masked
 *
 * Source: VFIO_DEVICE_SET_IRQS.
 * @since 0.1
 */
int iommufd_device_irq_unmask(struct iommufd_device *dev, uint32_t index, uint32_t start, uint32_t count);

/**
 * @brief Have a vector unmasked when an eventfd is signalled, without a call: for interrupts that are masked when they
 * fire, whose handling ends somewhere else. KVM signals such an eventfd, its resamplefd, when the guest is done.
 *
 * When the device still interrupts at that moment, the vector's eventfd is signalled again. A signal that was there
 * before the call counts. It ends when the type is disabled.
 *
 * @param dev     an attached device
 * @param index   a type with IOMMUFD_IRQ_MASKABLE
 * @param vector  the vector, enabled
 * @param eventfd in place of the one that was given before, or -1 for none any more; the kernel takes the signals off
 *                it. It stays the caller's and may be closed, since the library keeps a copy
 *
 * @retval -ENOTCONN   not attached
 * @retval -EINVAL     no such type or vector, it is not enabled, or `eventfd` is another kind of file
 * @retval -EBADF      `eventfd` is not open
 * @retval -EOPNOTSUPP the type cannot be masked, or the device's driver cannot do this
 * @retval -EMFILE     no file descriptor left
 * @retval -ENOMEM     no memory
 *
 * On failure it is as it was.
 *
 * Source: VFIO_DEVICE_SET_IRQS.
 * @since 0.1
 */
int iommufd_device_irq_set_resample(struct iommufd_device *dev, uint32_t index, uint32_t vector, int eventfd);

/**
 * @brief Signal the eventfds as if the device had interrupted: for trying out the receiving side.
 *
 * @param dev   an attached device
 * @param index the type, enabled
 * @param start the first vector
 * @param count how many
 *
 * @retval -ENOTCONN not attached
 * @retval -EINVAL   no such type or vector, or it is not enabled
 *
 * Source: VFIO_DEVICE_SET_IRQS.
 * @since 0.1
 */
int iommufd_device_irq_trigger(struct iommufd_device *dev, uint32_t index, uint32_t start, uint32_t count);

IOMMUFD_END_DECLS

#endif
