/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file ccw.h
 * @brief Channel devices of s390: a mediated device, a subchannel that runs channel programs.
 *
 * Its regions are structures, in the byte order of the CPU. Each is read or written as a whole or in parts by
 * iommufd_device_region_read() and iommufd_device_region_write() at the index that iommufd_ccw_find_region() gives.
 */
#ifndef LIBIOMMUFD_CCW_H
#define LIBIOMMUFD_CCW_H

#include <libiommufd/base.h>
#include <libiommufd/device.h>

IOMMUFD_BEGIN_DECLS

/** Interrupt types of a channel device (VFIO's own numbering). */
enum {
	IOMMUFD_CCW_IRQ_IO = 0,  /**< the status in struct iommufd_ccw_io is new */
	IOMMUFD_CCW_IRQ_CRW = 1, /**< there is something to read in struct iommufd_ccw_crw */
	IOMMUFD_CCW_IRQ_REQ = 2, /**< the kernel asks for the device back */
};

/** Regions of a channel device. Only the first is always there, and has a fixed index. */
enum {
	IOMMUFD_CCW_IO = 0,    /**< struct iommufd_ccw_io */
	IOMMUFD_CCW_CMD = 1,   /**< struct iommufd_ccw_cmd */
	IOMMUFD_CCW_SCHIB = 2, /**< struct iommufd_ccw_schib */
	IOMMUFD_CCW_CRW = 3,   /**< struct iommufd_ccw_crw */
};

/** START SUBCHANNEL: writing it starts a channel program, reading it tells what became of that. */
struct iommufd_ccw_io {
	unsigned char orb[12];  /**< operation request block */
	unsigned char scsw[12]; /**< subchannel status word */
	unsigned char irb[96];  /**< interruption response block */
	uint32_t ret_code;      /**< 0, or a negative errno */
};

/** Commands that end a channel program: writing it does so. */
struct iommufd_ccw_cmd {
	uint32_t command;  /**< IOMMUFD_CCW_HSCH or IOMMUFD_CCW_CSCH */
	uint32_t ret_code; /**< 0, or a negative errno */
};

/** Commands of struct iommufd_ccw_cmd. */
enum {
	IOMMUFD_CCW_HSCH = 1u << 0, /**< HALT SUBCHANNEL */
	IOMMUFD_CCW_CSCH = 1u << 1, /**< CLEAR SUBCHANNEL */
};

/** What STORE SUBCHANNEL tells: reading it asks the hardware. */
struct iommufd_ccw_schib {
	unsigned char schib[52]; /**< subchannel information block */
};

/** A channel report word: reading takes the oldest one. */
struct iommufd_ccw_crw {
	uint32_t crw; /**< 0 for none */
	uint32_t pad; /**< not used */
};

/**
 * @brief The index of a region of a channel device.
 *
 * @param dev    an attached channel device
 * @param region IOMMUFD_CCW_IO, IOMMUFD_CCW_CMD, IOMMUFD_CCW_SCHIB or IOMMUFD_CCW_CRW
 * @param index  what iommufd_device_region_read() takes
 *
 * @retval -ENOENT     the kernel has no such region
 * @retval -EINVAL     `region` is none of these
 * @retval -EPROTO     the region is smaller than its structure
 * @retval -ENOTCONN   not attached
 * @retval -EOPNOTSUPP not a channel device
 *
 * Source: VFIO_DEVICE_GET_REGION_INFO.
 * @since 0.1
 */
int iommufd_ccw_find_region(struct iommufd_device *dev, uint32_t region, uint32_t *index);

IOMMUFD_END_DECLS

#endif
