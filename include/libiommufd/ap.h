/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file ap.h
 * @brief Adjunct processors, the cryptographic ones of s390: a mediated device, a matrix of queues, without regions.
 *
 * Its queues are given to the driver `vfio_ap`, the device is made by iommufd_mdev_create(). A guest reaches the queues
 * by instructions, so there is nothing to read or write: what is here are the interrupts, for
 * iommufd_device_irq_enable().
 */
#ifndef LIBIOMMUFD_AP_H
#define LIBIOMMUFD_AP_H

#include <libiommufd/base.h>
#include <libiommufd/device.h>

IOMMUFD_BEGIN_DECLS

/** Interrupt types of an AP device (VFIO's own numbering). */
enum {
	IOMMUFD_AP_REQ = 0,     /**< the kernel asks for the device back */
	IOMMUFD_AP_CFG_CHG = 1, /**< which queues it has was changed; newer kernels */
};

IOMMUFD_END_DECLS

#endif
