/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file diagnosis.h
 * @brief What would keep a device from being used, found before anyone tries.
 */
#ifndef LIBIOMMUFD_DIAGNOSIS_H
#define LIBIOMMUFD_DIAGNOSIS_H

#include <libiommufd/base.h>

IOMMUFD_BEGIN_DECLS

/** One thing that was looked at. The caller sets `struct_size`. Strings live as long as the diagnosis. */
struct iommufd_finding {
	size_t struct_size; /**< `sizeof(struct iommufd_finding)` */
	/** what: `iommu`, `driver`, `token`, `group`, `users`, `backend`, `node`, `interrupts`, `memlock`, `pages` */
	const char *subject;
	const char *words; /**< a sentence; where something is in the way, with what to do */
	uint32_t backend;  /**< the one backend that it is about, or IOMMUFD_BACKEND_AUTO for all */
	int32_t error;     /**< 0, or what opening or attaching would fail with now: a negative errno */
};

/**
 * @brief Look at everything that decides whether a device can be used, by this process, at this moment.
 *
 * Nodes of backends are opened and closed as iommufd_probe() does; the device and its group are not opened, so nobody
 * is disturbed. A device that nothing keeps from being used is no promise: what the kernel finds only when it is asked
 * in earnest (interrupts that are not isolated, memory that is short) shows only then. Who may not look at all
 * processes, does not see all users of the device.
 *
 * @param address as for iommufd_device_new()
 * @param out     the diagnosis; give it to iommufd_diagnosis_free()
 *
 * @retval -ENOENT there is no such device
 * @retval -EINVAL `address` is none of the forms that iommufd_device_new() takes
 * @retval -EACCES `address` is a node in a directory that may not be searched
 * @retval -ENOMEM no memory
 *
 * Source: sysfs by libudev, `/proc/PID/fd`, `/proc/self/status`, the modules' parameters, faccessat().
 * @since 0.1
 */
int iommufd_diagnose(const char *address, struct iommufd_diagnosis **out);

/**
 * @brief One finding, in the order in which opening and attaching would meet it.
 *
 * @param diagnosis the diagnosis
 * @param index     from 0
 * @param info      filled; `info->struct_size` is read first
 *
 * @retval -ENOENT there are no more
 * @retval -EINVAL `struct_size` is smaller than in the first release, or no size of a structure
 * @since 0.1
 */
int iommufd_diagnosis_finding(const struct iommufd_diagnosis *diagnosis, uint32_t index, struct iommufd_finding *info);

/**
 * @brief Free a diagnosis, and with it the strings that came out of it.
 *
 * @param diagnosis the diagnosis, or NULL
 * @since 0.1
 */
void iommufd_diagnosis_free(struct iommufd_diagnosis *diagnosis);

IOMMUFD_END_DECLS

#endif
