/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "caps.h"
#include "internal.h"
#include "udev.h"
#include "uapi/vfio.h"
#include "uapi/vfio_ccw.h"

/* The public structures are the kernel's. */
_Static_assert(sizeof(struct iommufd_ccw_io) == sizeof(struct ccw_io_region) &&
		       offsetof(struct iommufd_ccw_io, ret_code) == offsetof(struct ccw_io_region, ret_code),
	       "START SUBCHANNEL");
_Static_assert(sizeof(struct iommufd_ccw_cmd) == sizeof(struct ccw_cmd_region), "commands");
_Static_assert(sizeof(struct iommufd_ccw_schib) == sizeof(struct ccw_schib_region), "STORE SUBCHANNEL");
_Static_assert(sizeof(struct iommufd_ccw_crw) == sizeof(struct ccw_crw_region), "channel report words");
_Static_assert(IOMMUFD_CCW_CMD == VFIO_REGION_SUBTYPE_CCW_ASYNC_CMD &&
		       IOMMUFD_CCW_SCHIB == VFIO_REGION_SUBTYPE_CCW_SCHIB &&
		       IOMMUFD_CCW_CRW == VFIO_REGION_SUBTYPE_CCW_CRW,
	       "regions");

static const size_t sizes[] = {
	[IOMMUFD_CCW_IO] = sizeof(struct iommufd_ccw_io),
	[IOMMUFD_CCW_CMD] = sizeof(struct iommufd_ccw_cmd),
	[IOMMUFD_CCW_SCHIB] = sizeof(struct iommufd_ccw_schib),
	[IOMMUFD_CCW_CRW] = sizeof(struct iommufd_ccw_crw),
};

static bool is(const struct vfio_region_info *info, size_t len, uint32_t wanted)
{
	struct vfio_region_info_cap_type type;
	const void *at = NULL;
	size_t room;

	if (info->flags & VFIO_REGION_INFO_FLAG_CAPS)
		at = ifd_caps_find(info, len, info->cap_offset, VFIO_REGION_INFO_CAP_TYPE, sizeof(type), &room);
	if (!at)
		return false;
	memcpy(&type, at, sizeof(type));
	return type.type == VFIO_REGION_TYPE_CCW && type.subtype == wanted;
}

/* 1 when the region is the wanted one, 0 when it is not, or -errno without words. */
static int look(struct iommufd_device *dev, uint32_t index, uint32_t wanted, uint64_t *size)
{
	struct vfio_region_info request = { .argsz = sizeof(request), .index = index }, *info;
	void *answer;
	size_t len;
	int ret = ifd_caps_ioctl(&dev->ctx->log, dev->fd, VFIO_DEVICE_GET_REGION_INFO, &request, sizeof(request),
				 &answer, &len);

	if (ret)
		return ret;
	info = answer;
	*size = info->size;
	ret = index == VFIO_CCW_CONFIG_REGION_INDEX ? wanted == IOMMUFD_CCW_IO : is(info, len, wanted);
	free(answer);
	return ret;
}

EXPORT int iommufd_ccw_find_region(struct iommufd_device *dev, uint32_t region, uint32_t *index)
{
	static const char what[] = "region %u of %s";
	int found = 0, ret = ifd_device_ready(dev, "a region");
	uint64_t size = 0;
	uint32_t i;

	if (ret)
		return ret;
	if (!(dev->flags & VFIO_DEVICE_FLAGS_CCW))
		return ifd_fail(-EOPNOTSUPP, "it is no channel device", what, region, dev->found->name);
	if (region > IOMMUFD_CCW_CRW)
		return ifd_fail(-EINVAL, "they are IOMMUFD_CCW_IO to IOMMUFD_CCW_CRW", what, region, dev->found->name);
	for (i = 0; !found && i < dev->num_regions; i++)
		found = look(dev, i, region, &size);
	if (found <= 0)
		return ifd_fail(found ? found : -ENOENT, found ? NULL : "this kernel does not have it", what, region,
				dev->found->name);
	if (size < sizes[region])
		return ifd_fail(-EPROTO, "it is smaller than what is in it", what, region, dev->found->name);
	*index = i - 1;
	return 0;
}
