/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file kvm.h
 * @brief Virtual machines of KVM: their devices, and interrupts that go straight into them.
 *
 * KVM is to know the devices that a VM gets: some drivers need the VM, and KVM keeps the guest's caches in order where
 * a device can get around them. A device is opened for a VM by the member `kvm` of struct iommufd_device_opts; the
 * library tells KVM of it in the order that the kernel wants, and takes it back when the device is freed:
 *
 * | path | KVM is told of | when |
 * |---|---|---|
 * | iommufd, a device with a node | the node | before it is bound, until it is closed |
 * | iommufd, a device by its group | the group's node | with the first device of the VM, until the last is freed |
 * | VFIO | the group's node | at the first attach, until the last detach |
 *
 * The kernel lets only the process use a VM that made it.
 */
#ifndef LIBIOMMUFD_KVM_H
#define LIBIOMMUFD_KVM_H

#include <libiommufd/base.h>

IOMMUFD_BEGIN_DECLS

/**
 * @brief Make a VM ready to be told of devices.
 *
 * KVM's device for that is made in the VM, which can have one only. The VM stays as long as the handle or a device that
 * was opened for it, even when all other descriptors of it are closed.
 *
 * @param vm_fd the descriptor of a VM, from KVM_CREATE_VM; it is duplicated and stays the caller's
 * @param out   the handle; give it to iommufd_kvm_free()
 *
 * @retval -EBADF  `vm_fd` is not open
 * @retval -EINVAL it is something else; the words say what
 * @retval -EBUSY  the VM has such a device already: see iommufd_kvm_from_fd(); before Linux 6.5 it keeps one that was
 *                 made, also after iommufd_kvm_free()
 * @retval -ENODEV the kernel's KVM knows no VFIO
 * @retval -EIO    the VM was made by another process, or is dead
 * @retval -ENOMEM, -EMFILE  no memory, no file descriptor left
 *
 * Source: KVM_CREATE_DEVICE with KVM_DEV_TYPE_VFIO (Linux 3.14).
 * @since 0.1
 */
int iommufd_kvm_new(int vm_fd, struct iommufd_kvm **out);

/**
 * @brief The same for a VM that has a device of KVM for it already.
 *
 * @param device_fd its descriptor, from KVM_CREATE_DEVICE; it is duplicated and stays the caller's
 * @param vm_fd     the descriptor of the VM that it was made in, which the kernel does not tell; duplicated too
 * @param out       the handle; give it to iommufd_kvm_free()
 *
 * @retval -EBADF  one of them is not open
 * @retval -EINVAL one of them is something else; the words say what
 * @retval -EIO    the VM was made by another process, or is dead
 * @retval -ENOMEM, -EMFILE  no memory, no file descriptor left
 *
 * Source: KVM_HAS_DEVICE_ATTR with KVM_DEV_VFIO_FILE_ADD.
 * @since 0.1
 */
int iommufd_kvm_from_fd(int device_fd, int vm_fd, struct iommufd_kvm **out);

/**
 * @brief Be done with a VM. Devices and interrupts that were given to it stay so until they are freed.
 *
 * @param kvm the handle, or NULL
 * @since 0.1
 */
void iommufd_kvm_free(struct iommufd_kvm *kvm);

/**
 * @brief Whether no device of a VM can get around the CPU's caches.
 *
 * A PCI device may mark what it writes and reads as not to be snooped. Some IOMMUs ignore the mark, and the kernel lets
 * them where they can. Where they do for all devices, an instruction such as wbinvd need not be done for the guest,
 * whose memory may then be taken for write-back at all times; this is what KVM concludes by itself of the devices that
 * it is told of. On other machines than x86 KVM does not ask.
 *
 * The answer rests on what the kernel told when each device was attached. Where another device can that was in its IOAS
 * before, nothing is known of the device itself.
 *
 * @param kvm the handle
 *
 * @return 1 when none can, or there is no device; 0 when one can; or a negative errno
 * @retval -ENOTCONN   a device of the VM is not attached; so it is not known
 * @retval -EOPNOTSUPP it is not known of one of them, which the words name
 * @retval others      of the system call that failed when that device was attached
 *
 * Source: VFIO_CHECK_EXTENSION with VFIO_DMA_CC_IOMMU on the container, or on an iommufd whose compat IOAS is the
 * device's for that moment. A device without an IOMMU, and a mediated one, can.
 * @since 0.1
 */
int iommufd_kvm_no_snoop_blocked(struct iommufd_kvm *kvm);

/**
 * @brief Whether a device's DMA is coherent with the CPU's caches, unless it asks for the opposite.
 *
 * VFIO and iommufd take no device that is behind an IOMMU whose DMA is not (Linux 5.19): then it is no failure to open,
 * but the device cannot be bound to a VFIO driver. What a device can do that asks not to be snooped is the question of
 * iommufd_kvm_no_snoop_blocked().
 *
 * @param dev the device, attached or not
 *
 * @return 1 when it is, or a negative errno
 * @retval -EOPNOTSUPP it is not known: the device has no IOMMU, or none of its own (mdev), or somebody else has bound
 *                     it
 *
 * Source: the link `iommu` of the device in sysfs.
 * @since 0.1
 */
int iommufd_device_is_coherent(const struct iommufd_device *dev);

/** Flags of iommufd_kvm_irqfd_add(). */
enum {
	IOMMUFD_KVM_RESAMPLE = 1u << 0, /**< a level (INTx): it is unmasked when the guest has handled it */
};

/**
 * @brief Lead an interrupt of a device into a VM. From now on it comes there without this process.
 *
 * The vector is enabled as by iommufd_device_irq_enable(), with an eventfd of the library's: one that it had before is
 * replaced, and where vectors cannot be enabled one by one, enable all of them before, with -1 for each. Do not enable
 * or disable it by other calls until iommufd_kvm_irqfd_free(), or it does not come any more. Where the line leads is up
 * to KVM_SET_GSI_ROUTING, also later.
 *
 * INTx is masked when it fires. With IOMMUFD_KVM_RESAMPLE it is unmasked when the guest tells the interrupt controller
 * that it is done; without, that is up to iommufd_device_irq_unmask().
 *
 * @param kvm    the handle; it may be freed before the interrupt
 * @param dev    an attached device; it need not have been opened for the VM, and may be freed before the interrupt: it
 *               is then detached, but stays open until iommufd_kvm_irqfd_free()
 * @param index  the interrupt type
 * @param vector its vector
 * @param gsi    the line of the VM
 * @param flags  IOMMUFD_KVM_RESAMPLE, or 0
 * @param out    the new handle; give it to iommufd_kvm_irqfd_free()
 *
 * @retval -ENOTCONN not attached
 * @retval -EINVAL   no such type or vector, or the type is no level and is to be resampled; or the VM has no such line,
 *                   or no interrupt controller in the kernel that can do it: see KVM_CREATE_IRQCHIP
 * @retval -EAGAIN   that is not ready yet (Arm)
 * @retval -EIO      the VM is dead
 * @retval -EMFILE   no file descriptor left
 * @retval others    as iommufd_device_irq_enable()
 *
 * On failure nothing has changed, but that a vector which was enabled may signal nothing any more.
 *
 * Source: KVM_IRQFD (Linux 2.6.32; to resample 3.8), VFIO_DEVICE_SET_IRQS.
 * @since 0.1
 */
int iommufd_kvm_irqfd_add(struct iommufd_kvm *kvm, struct iommufd_device *dev, uint32_t index, uint32_t vector,
			  uint32_t gsi, uint32_t flags, struct iommufd_kvm_irqfd **out);

/**
 * @brief Take an interrupt out of a VM. If it still is this one's, the vector signals nothing any more; a type of one
 * vector is disabled.
 *
 * @param irqfd the handle, or NULL
 * @since 0.1
 */
void iommufd_kvm_irqfd_free(struct iommufd_kvm_irqfd *irqfd);

IOMMUFD_END_DECLS

#endif
