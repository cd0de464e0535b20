/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "caps.h"
#include "internal.h"
#include "type1.h"
#include "uapi/vfio.h"

#define USUAL_MAP_LIMIT 65535 /* the kernel's own, when the module does not tell */

static int ranges_from(const void *answer, size_t len, uint32_t first, struct ifd_type1 *out)
{
	struct vfio_iommu_type1_info_cap_iova_range cap = { .nr_iovas = 0 };
	size_t room = 0, n;
	const void *at;

	at = ifd_caps_find(answer, len, first, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, sizeof(cap), &room);
	if (at)
		memcpy(&cap, at, sizeof(cap));
	if (at && cap.nr_iovas > (room - sizeof(cap)) / sizeof(cap.iova_ranges[0]))
		return -EPROTO;
	n = cap.nr_iovas ? cap.nr_iovas : 1;
	out->ranges = calloc(n, sizeof(*out->ranges));
	if (!out->ranges)
		return -ENOMEM;
	out->count = n;

	out->ranges[0] = (struct iommufd_range){ 0, UINT64_MAX }; /* before Linux 5.4 the kernel does not tell */
	for (size_t i = 0; i < cap.nr_iovas; i++) {
		struct vfio_iova_range range;

		memcpy(&range, (const char *)at + sizeof(cap) + i * sizeof(range), sizeof(range));
		out->ranges[i] = (struct iommufd_range){ range.start, range.end };
	}
	return 0;
}

static void left_from(const void *answer, size_t len, uint32_t first, struct ifd_type1 *out)
{
	struct vfio_iommu_type1_info_dma_avail cap = { .avail = 0 };
	size_t room;
	const void *at = ifd_caps_find(answer, len, first, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, sizeof(cap), &room);

	if (at)
		memcpy(&cap, at, sizeof(cap));
	out->tells_left = at;
	out->left = cap.avail;
}

int ifd_type1_ask(const struct ifd_log *log, int container, struct ifd_type1 *out)
{
	struct vfio_iommu_type1_info request = { .argsz = sizeof(request) }, *info;
	uint64_t sizes;
	uint32_t first;
	void *answer;
	size_t len;
	int ret;

	ret = ifd_caps_ioctl(log, container, VFIO_IOMMU_GET_INFO, &request, sizeof(request), &answer, &len);
	if (ret)
		return ret;
	info = answer;
	sizes = info->flags & VFIO_IOMMU_INFO_PGSIZES ? info->iova_pgsizes : 0;
	out->alignment = sizes ? sizes & -sizes : ifd_sys_page_size();
	first = info->flags & VFIO_IOMMU_INFO_CAPS ? info->cap_offset : 0;
	left_from(answer, len, first, out);
	ret = ranges_from(answer, len, first, out);
	free(answer);
	return ret;
}

int ifd_type1_none(struct ifd_type1 *out)
{
	*out = (struct ifd_type1){ .alignment = ifd_sys_page_size() };
	return ranges_from(NULL, 0, 0, out);
}

int ifd_type1_map_limit(uint64_t *out)
{
	char text[32];
	ssize_t n = ifd_sys_read_text("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit", text, sizeof(text));

	if (n < 0 && n != -ENOENT)
		return (int)n;
	*out = n > 0 ? strtoull(text, NULL, 10) : 0;
	if (!*out)
		*out = USUAL_MAP_LIMIT;
	return 0;
}
