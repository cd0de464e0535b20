/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file bind.h
 * @brief Which driver a device is bound to: taking it for VFIO, and giving it back.
 *
 * Nothing else in the library binds a device: it is an act on the whole system, which normally only root may do. It
 * goes by `driver_override`, so that no other device is touched, and needs no context.
 */
#ifndef LIBIOMMUFD_BIND_H
#define LIBIOMMUFD_BIND_H

#include <libiommufd/base.h>

IOMMUFD_BEGIN_DECLS

/** Room for the name of a driver, with its end. */
#define IOMMUFD_DRIVER_NAME 64

/** Flags of iommufd_driver_bind() and iommufd_driver_restore(). */
enum {
	/**
	 * Take the device away also where it is in use: what is mounted or up is then gone for its user. Of a device
	 * that a process has open the kernel asks the process to let go (IOMMUFD_PCI_REQ), and that is waited for, up
	 * to five seconds.
	 */
	IOMMUFD_DRIVER_FORCE = 1u << 0,
};

/** What a device was bound to, for iommufd_driver_restore(). The caller sets `struct_size`. */
struct iommufd_driver_state {
	size_t struct_size;                        /**< `sizeof(struct iommufd_driver_state)` */
	char driver[IOMMUFD_DRIVER_NAME];          /**< the driver that it was bound to, "" for none */
	char driver_override[IOMMUFD_DRIVER_NAME]; /**< what `driver_override` said, "" for nothing */
};

/**
 * @brief Take a device from its driver and bind it to another one, normally one of VFIO.
 *
 * When it returns, the nodes of a device of VFIO are there and, where a udev daemon runs, have their permissions; they
 * are waited for up to a second. Nothing blocks without an end: a driver has five seconds to let go of the device,
 * thirty to take it, and each other step five. What is written to sysfs is written by a process of its own, a copy of
 * this one without its descriptors; where that is kept by the kernel it is left behind, a child of init's or of the
 * nearest subreaper's. Memory that is private and pinned for DMA is copied with it: iommufd_driver(3) tells how to keep
 * it out.
 *
 * @param address of a device as iommufd_device_new() takes it, but for mediated ones, which are VFIO's from the start
 * @param driver  the driver's name as under `/sys/bus/.../drivers`; or NULL for the best VFIO driver: the one made for
 *                this device where `/lib/modules` knows of one, else the one for every device of the bus (`vfio-pci`)
 * @param flags   IOMMUFD_DRIVER bits
 * @param was     filled with what it was bound to, `was->struct_size` is read first; or NULL
 *
 * @retval -EINVAL     `address` or `driver` is none, or a flag is unknown, or `struct_size` is no size of a structure
 * @retval -ENOENT     there is no such device; or the driver is not loaded, the words name the module; or the nodes did
 *                     not come
 * @retval -EALREADY   it is bound to that driver, with NULL to any of VFIO's: there is nothing to do, nor to restore
 * @retval -EBUSY      somebody uses it, or a virtual function or a mediated device of it, see IOMMUFD_DRIVER_FORCE;
 *                     the words tell who: a mount, an interface that is up, a process that has it open. Or its last
 *                     driver has not let go of it since an earlier call
 * @retval -ENODEV     it is behind no IOMMU
 * @retval -EACCES     only root may; likewise -EPERM and -EROFS
 * @retval -EOPNOTSUPP its bus or kind cannot be bound so: a bridge, a mediated device
 * @retval -EIO        the driver refused the device, the kernel's log says why
 * @retval -EAGAIN     no process can be made that writes to sysfs
 * @retval -ENOMEM     no memory, perhaps for that process
 * @retval -ETIMEDOUT  its driver did not let go, now or since an earlier call. The kernel goes on with it: once it lets
 *                     go, the device has no driver. Try again then. Or the new driver is not done with taking it,
 *                     and goes on: the device may then have it, or none, and `driver_override` is left to name it
 *
 * After a failure the device has the driver that it had, and `driver_override` says what it said; where that fails too,
 * or after -ETIMEDOUT, the words tell what is left.
 *
 * Source: `driver_override`, `unbind` and `drivers_probe` in sysfs.
 * @since 0.1
 */
int iommufd_driver_bind(const char *address, const char *driver, uint32_t flags, struct iommufd_driver_state *was);

/**
 * @brief Give a device back to the driver that it had.
 *
 * @param address of the device
 * @param was     what iommufd_driver_bind() filled; or NULL: the kernel picks the driver, which may be none, and
 *                `driver_override` becomes empty
 * @param flags   IOMMUFD_DRIVER bits
 *
 * @retval -EINVAL     `address` is none, or `was` is not what iommufd_driver_bind() gave, or a flag is unknown
 * @retval -ENOENT     there is no such device, or its driver is not loaded any more
 * @retval -EBUSY      a process has the device open, or its group, or a virtual function or mediated device; the words
 *                     name it. Or the last driver has not let go of it since an earlier call
 * @retval -EACCES     only root may; likewise -EPERM and -EROFS
 * @retval -EOPNOTSUPP its bus or kind cannot be bound so
 * @retval -EIO        the driver refused the device, the kernel's log says why
 * @retval -EAGAIN     as for iommufd_driver_bind(), and so are the next two
 * @retval -ENOMEM     no memory
 * @retval -ETIMEDOUT  its driver did not let go, or the one that shall have it again is not done with taking it
 *
 * After a failure the device is where it was, as for iommufd_driver_bind().
 *
 * Source: `driver_override`, `unbind`, `drivers_probe` and `bind` in sysfs.
 * @since 0.1
 */
int iommufd_driver_restore(const char *address, const struct iommufd_driver_state *was, uint32_t flags);

IOMMUFD_END_DECLS

#endif
