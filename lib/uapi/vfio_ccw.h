/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What is in the regions of VFIO's channel devices: the layouts of <linux/vfio_ccw.h>, in our own words. Never include
 * that beside this file.
 */
#ifndef IFD_UAPI_VFIO_CCW_H
#define IFD_UAPI_VFIO_CCW_H

#include <stdint.h>

#pragma pack(push, 1)

#define ORB_AREA_SIZE  12
#define SCSW_AREA_SIZE 12
#define IRB_AREA_SIZE  96
struct ccw_io_region {
	uint8_t orb_area[ORB_AREA_SIZE];
	uint8_t scsw_area[SCSW_AREA_SIZE];
	uint8_t irb_area[IRB_AREA_SIZE];
	uint32_t ret_code;
};

#define VFIO_CCW_ASYNC_CMD_HSCH (1 << 0)
#define VFIO_CCW_ASYNC_CMD_CSCH (1 << 1)
struct ccw_cmd_region {
	uint32_t command;
	uint32_t ret_code;
};

#define SCHIB_AREA_SIZE 52
struct ccw_schib_region {
	uint8_t schib_area[SCHIB_AREA_SIZE];
};

struct ccw_crw_region {
	uint32_t crw;
	uint32_t pad;
};

#pragma pack(pop)

#endif
