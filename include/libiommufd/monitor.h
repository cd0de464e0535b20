/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file monitor.h
 * @brief Devices that come and go, told through a file descriptor for the program's own poll loop.
 *
 * A monitor belongs to no context: it can be made before there is anything to open. Make it first and look at what is
 * there, with iommufd_probe(), afterwards: then nothing is missed, and what comes in between is told twice.
 *
 * A device that somebody wants back is told twice, too. The monitor tells everybody with IOMMUFD_MONITOR_UNBOUND: its
 * node is gone, and nobody can open it any more. Who has it open is asked by the interrupt IOMMUFD_PCI_REQ of the
 * device, and keeps it, with all that is mapped, until it frees the device. That long the kernel waits, and that
 * long whoever took the device away waits too. Only then is there IOMMUFD_MONITOR_REMOVED, if the device goes at all.
 *
 * One monitor is for one thread at a time.
 */
#ifndef LIBIOMMUFD_MONITOR_H
#define LIBIOMMUFD_MONITOR_H

#include <libiommufd/base.h>

IOMMUFD_BEGIN_DECLS

/** Devices that come and go. */
struct iommufd_monitor;

/** Who tells the monitor. */
enum {
	/** the udev daemon where one runs, else the kernel */
	IOMMUFD_MONITOR_AUTO = 0,
	/** the kernel: at once, when the rules of udev may not have given a node its owner and mode yet */
	IOMMUFD_MONITOR_KERNEL = 1,
	/**
	 * the udev daemon, when it is done with a device; nothing comes where none runs, or in another network
	 * namespace
	 */
	IOMMUFD_MONITOR_UDEV = 2,
};

/** How a monitor is made. The caller sets `struct_size`, and leaves at zero what it does not want. */
struct iommufd_monitor_opts {
	size_t struct_size; /**< `sizeof(struct iommufd_monitor_opts)` */
	uint32_t source;    /**< one of IOMMUFD_MONITOR_AUTO to IOMMUFD_MONITOR_UDEV */
	uint32_t flags;     /**< 0 */
};

/** What has happened. More may be added: let go what you do not know. */
enum {
	/** a device is there, perhaps without a driver yet */
	IOMMUFD_MONITOR_ADDED = 1,
	/** a device is gone for good */
	IOMMUFD_MONITOR_REMOVED = 2,
	/** a VFIO driver has it, and its node is there: it can be opened */
	IOMMUFD_MONITOR_BOUND = 3,
	/** the VFIO driver is about to give it up: nobody can open it any more. Not before Linux 6.1 */
	IOMMUFD_MONITOR_UNBOUND = 4,
};

/** An event. The caller sets `struct_size`. Strings live until the next read of the monitor, or until it is freed. */
struct iommufd_monitor_event {
	size_t struct_size; /**< `sizeof(struct iommufd_monitor_event)` */
	const char *name;   /**< PCI address, mdev UUID: what iommufd_device_new() takes */
	const char *path;   /**< its directory in sysfs, which may be gone */
	const char *driver; /**< the driver that it is bound to, or NULL; for ADDED and BOUND */
	const char *cdev;   /**< its node under `/dev/vfio/devices`, or NULL; for BOUND */
	int32_t group;      /**< its IOMMU group, or -1; for ADDED and BOUND */
	uint32_t type;      /**< one of IOMMUFD_MONITOR_ADDED to IOMMUFD_MONITOR_UNBOUND */
};

/**
 * @brief Listen from now on.
 *
 * @param opts how, or NULL for the defaults
 * @param out  the monitor; give it to iommufd_monitor_free()
 *
 * @retval -EINVAL `struct_size` is smaller than in the first release, or there is no such source or flag
 * @retval -E2BIG  a member that this library does not know is not zero
 * @retval -ENOMEM no memory
 * @retval -EMFILE no file descriptor is left
 *
 * Source: libudev; a netlink socket of NETLINK_KOBJECT_UEVENT.
 * @since 0.1
 */
int iommufd_monitor_new(const struct iommufd_monitor_opts *opts, struct iommufd_monitor **out);

/**
 * @brief The monitor's file descriptor, for poll(): readable when there may be an event.
 *
 * It stays the library's: do not read it. Its buffer may be made larger, by SO_RCVBUF of setsockopt().
 *
 * @param mon the monitor
 *
 * @return the file descriptor
 * @since 0.1
 */
int iommufd_monitor_fd(const struct iommufd_monitor *mon);

/**
 * @brief Take the next event. Does not wait.
 *
 * The descriptor becomes readable also by what concerns no device that VFIO knows of; then there is no event. Read
 * until there is none.
 *
 * @param mon   the monitor
 * @param event filled when there is one; `event->struct_size` is read first
 *
 * @return 1 for an event, 0 for none
 * @retval -EINVAL  `struct_size` is smaller than in the first release, or no size of a structure
 * @retval -ENOBUFS events were lost since they were not read soon enough: look at what is there, with iommufd_probe().
 *                  The monitor goes on with those that come after
 * @retval -ENOMEM  no memory. The event may be lost
 * @retval -EPERM   in a child process
 * @since 0.1
 */
int iommufd_monitor_read(struct iommufd_monitor *mon, struct iommufd_monitor_event *event);

/**
 * @brief Free a monitor.
 *
 * @param mon the monitor, or NULL
 * @since 0.1
 */
void iommufd_monitor_free(struct iommufd_monitor *mon);

IOMMUFD_END_DECLS

#endif
