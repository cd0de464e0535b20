/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "trace.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

struct field {
	const char *name;
	uint16_t offset;
	uint16_t size;
};

/* How the argument of a request is to be read. */
enum kind {
	KIND_NONE,
	KIND_NUMBER,  /* the argument is the number */
	KIND_POINTER, /* the argument points to an int */
	KIND_STRING,
	KIND_STRUCT,
};

#define MAX_FIELDS 6

struct request {
	unsigned long number;
	const char *name;
	enum kind kind;
	struct field fields[MAX_FIELDS];
};

#define F(type, member)                                                                              \
	{                                                                                            \
#member, (uint16_t)offsetof(struct type, member), sizeof(((struct type *)0)->member) \
	}
#define PLAIN(request, kind)               \
	{                                  \
		request, #request, kind,   \
		{                          \
			{                  \
				NULL, 0, 0 \
			}                  \
		}                          \
	}
#define STRUCT(request, ...)                    \
	{                                       \
		request, #request, KIND_STRUCT, \
		{                               \
			__VA_ARGS__             \
		}                               \
	}

/* Requests that share a number take different files; the first entry wins, so the library's own use comes first. */
static const struct request requests[] = {
	STRUCT(IOMMU_DESTROY, F(iommu_destroy, id)),
	STRUCT(IOMMU_IOAS_ALLOC, F(iommu_ioas_alloc, flags), F(iommu_ioas_alloc, out_ioas_id)),
	STRUCT(IOMMU_IOAS_IOVA_RANGES, F(iommu_ioas_iova_ranges, ioas_id), F(iommu_ioas_iova_ranges, num_iovas),
	       F(iommu_ioas_iova_ranges, out_iova_alignment)),
	STRUCT(IOMMU_IOAS_MAP, F(iommu_ioas_map, flags), F(iommu_ioas_map, ioas_id), F(iommu_ioas_map, user_va),
	       F(iommu_ioas_map, length), F(iommu_ioas_map, iova)),
	STRUCT(IOMMU_IOAS_UNMAP, F(iommu_ioas_unmap, ioas_id), F(iommu_ioas_unmap, iova), F(iommu_ioas_unmap, length)),
	STRUCT(IOMMU_OPTION, F(iommu_option, option_id), F(iommu_option, op), F(iommu_option, object_id),
	       F(iommu_option, val64)),
	STRUCT(IOMMU_FAULT_QUEUE_ALLOC, F(iommu_fault_alloc, out_fault_id), F(iommu_fault_alloc, out_fault_fd)),
	PLAIN(VFIO_GET_API_VERSION, KIND_NONE),
	PLAIN(VFIO_CHECK_EXTENSION, KIND_NUMBER),
	PLAIN(VFIO_SET_IOMMU, KIND_NUMBER),
	STRUCT(VFIO_GROUP_GET_STATUS, F(vfio_group_status, flags)),
	PLAIN(VFIO_GROUP_SET_CONTAINER, KIND_POINTER),
	PLAIN(VFIO_GROUP_UNSET_CONTAINER, KIND_NONE),
	PLAIN(VFIO_GROUP_GET_DEVICE_FD, KIND_STRING),
	STRUCT(VFIO_DEVICE_GET_INFO, F(vfio_device_info, flags), F(vfio_device_info, num_regions),
	       F(vfio_device_info, num_irqs)),
	STRUCT(VFIO_DEVICE_GET_REGION_INFO, F(vfio_region_info, argsz), F(vfio_region_info, flags),
	       F(vfio_region_info, index), F(vfio_region_info, size), F(vfio_region_info, offset)),
	STRUCT(VFIO_DEVICE_GET_IRQ_INFO, F(vfio_irq_info, flags), F(vfio_irq_info, index), F(vfio_irq_info, count)),
	STRUCT(VFIO_DEVICE_SET_IRQS, F(vfio_irq_set, flags), F(vfio_irq_set, index), F(vfio_irq_set, start),
	       F(vfio_irq_set, count)),
	PLAIN(VFIO_DEVICE_RESET, KIND_NONE),
	STRUCT(VFIO_DEVICE_BIND_IOMMUFD, F(vfio_device_bind_iommufd, flags), F(vfio_device_bind_iommufd, iommufd),
	       F(vfio_device_bind_iommufd, out_devid)),
	STRUCT(VFIO_DEVICE_ATTACH_IOMMUFD_PT, F(vfio_device_attach_iommufd_pt, pt_id)),
	STRUCT(VFIO_DEVICE_DETACH_IOMMUFD_PT, F(vfio_device_detach_iommufd_pt, flags)),
	STRUCT(VFIO_IOMMU_GET_INFO, F(vfio_iommu_type1_info, argsz), F(vfio_iommu_type1_info, flags),
	       F(vfio_iommu_type1_info, iova_pgsizes)),
	STRUCT(VFIO_IOMMU_MAP_DMA, F(vfio_iommu_type1_dma_map, flags), F(vfio_iommu_type1_dma_map, vaddr),
	       F(vfio_iommu_type1_dma_map, iova), F(vfio_iommu_type1_dma_map, size)),
	STRUCT(VFIO_IOMMU_UNMAP_DMA, F(vfio_iommu_type1_dma_unmap, flags), F(vfio_iommu_type1_dma_unmap, iova),
	       F(vfio_iommu_type1_dma_unmap, size)),
};

static const struct request *find(unsigned long number)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (requests[i].number == number)
			return &requests[i];
	return NULL;
}

static uint64_t load(const void *at, size_t size)
{
	uint16_t half;
	uint32_t word;
	uint64_t wide;

	switch (size) {
	case sizeof(half):
		memcpy(&half, at, size);
		return half;
	case sizeof(word):
		memcpy(&word, at, size);
		return word;
	default:
		memcpy(&wide, at, sizeof(wide));
		return wide;
	}
}

static void describe_struct(char *text, const struct request *request, const void *arg)
{
	for (size_t i = 0; i < MAX_FIELDS && request->fields[i].name; i++) {
		const struct field *field = &request->fields[i];

		ifd_hint(text, " %s=0x%llx", field->name,
			 (unsigned long long)load((const char *)arg + field->offset, field->size));
	}
}

void ifd_trace_ioctl(const struct ifd_log *log, int fd, unsigned long number, const void *arg, int ret)
{
	const struct request *request = find(number);
	char text[IFD_HINT_MAX] = "", reason[128];

	if (!request)
		ifd_hint(text, "ioctl 0x%lx", number);
	else
		ifd_hint(text, "%s", request->name);

	if (request && request->kind == KIND_NUMBER)
		ifd_hint(text, " %lu", (unsigned long)(uintptr_t)arg);
	else if (request && request->kind == KIND_POINTER)
		ifd_hint(text, " %d", *(const int *)arg);
	else if (request && request->kind == KIND_STRING)
		ifd_hint(text, " %s", (const char *)arg);
	else if (request && request->kind == KIND_STRUCT)
		describe_struct(text, request, arg);

	if (ret < 0)
		ifd_log_write(log, IOMMUFD_LOG_DEBUG, "fd %d: %s: %s", fd, text,
			      strerror_r(-ret, reason, sizeof(reason)));
	else
		ifd_log_write(log, IOMMUFD_LOG_DEBUG, "fd %d: %s: %d", fd, text, ret);
}
