/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "trace.h"
#include "uapi/iommufd.h"
#include "uapi/kvm.h"
#include "uapi/vfio.h"

/* Names lie in the table itself: pointers would each cost a relocation. */
struct field {
	char name[21];
	uint8_t size;
	uint16_t offset;
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
	char name[36];
	uint32_t number;
	enum kind kind;
	struct field fields[MAX_FIELDS];
};

#define F(type, member)                                                                              \
	{                                                                                            \
#member, sizeof(((struct type *)0)->member), (uint16_t)offsetof(struct type, member) \
	}
#define PLAIN(request, kind)             \
	{                                \
#request, request, kind, \
		{                        \
			{                \
				"", 0, 0 \
			}                \
		}                        \
	}
#define STRUCT(request, ...)                    \
	{                                       \
#request, request, KIND_STRUCT, \
		{                               \
			__VA_ARGS__             \
		}                               \
	}

/*
 * Requests that share a number take different files; the first entry wins, so the library's own use comes first. What
 * it uses in both ways is told apart in find().
 */
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
	STRUCT(IOMMU_IOAS_ALLOW_IOVAS, F(iommu_ioas_allow_iovas, ioas_id), F(iommu_ioas_allow_iovas, num_iovas)),
	STRUCT(IOMMU_IOAS_COPY, F(iommu_ioas_copy, flags), F(iommu_ioas_copy, dst_ioas_id),
	       F(iommu_ioas_copy, src_ioas_id), F(iommu_ioas_copy, length), F(iommu_ioas_copy, dst_iova),
	       F(iommu_ioas_copy, src_iova)),
	STRUCT(IOMMU_IOAS_MAP_FILE, F(iommu_ioas_map_file, flags), F(iommu_ioas_map_file, ioas_id),
	       F(iommu_ioas_map_file, fd), F(iommu_ioas_map_file, start), F(iommu_ioas_map_file, length),
	       F(iommu_ioas_map_file, iova)),
	PLAIN(IOMMU_IOAS_CHANGE_PROCESS, KIND_NONE),
	STRUCT(IOMMU_VFIO_IOAS, F(iommu_vfio_ioas, op), F(iommu_vfio_ioas, ioas_id)),
	STRUCT(IOMMU_IOAS_NOIOMMU_GET_PA, F(iommu_ioas_noiommu_get_pa, ioas_id), F(iommu_ioas_noiommu_get_pa, iova),
	       F(iommu_ioas_noiommu_get_pa, length), F(iommu_ioas_noiommu_get_pa, out_phys)),
	STRUCT(IOMMU_GET_HW_INFO, F(iommu_hw_info, dev_id), F(iommu_hw_info, data_len), F(iommu_hw_info, out_data_type),
	       F(iommu_hw_info, out_capabilities)),
	STRUCT(IOMMU_HWPT_ALLOC, F(iommu_hwpt_alloc, flags), F(iommu_hwpt_alloc, dev_id), F(iommu_hwpt_alloc, pt_id),
	       F(iommu_hwpt_alloc, data_type), F(iommu_hwpt_alloc, fault_id), F(iommu_hwpt_alloc, out_hwpt_id)),
	STRUCT(IOMMU_HWPT_INVALIDATE, F(iommu_hwpt_invalidate, hwpt_id), F(iommu_hwpt_invalidate, data_type),
	       F(iommu_hwpt_invalidate, entry_len), F(iommu_hwpt_invalidate, entry_num)),
	STRUCT(IOMMU_HWPT_SET_DIRTY_TRACKING, F(iommu_hwpt_set_dirty_tracking, flags),
	       F(iommu_hwpt_set_dirty_tracking, hwpt_id)),
	STRUCT(IOMMU_HWPT_GET_DIRTY_BITMAP, F(iommu_hwpt_get_dirty_bitmap, hwpt_id),
	       F(iommu_hwpt_get_dirty_bitmap, flags), F(iommu_hwpt_get_dirty_bitmap, iova),
	       F(iommu_hwpt_get_dirty_bitmap, length), F(iommu_hwpt_get_dirty_bitmap, page_size)),
	STRUCT(IOMMU_VIOMMU_ALLOC, F(iommu_viommu_alloc, type), F(iommu_viommu_alloc, dev_id),
	       F(iommu_viommu_alloc, hwpt_id), F(iommu_viommu_alloc, data_len), F(iommu_viommu_alloc, out_viommu_id)),
	STRUCT(IOMMU_VDEVICE_ALLOC, F(iommu_vdevice_alloc, viommu_id), F(iommu_vdevice_alloc, dev_id),
	       F(iommu_vdevice_alloc, virt_id), F(iommu_vdevice_alloc, out_vdevice_id)),
	STRUCT(IOMMU_VEVENTQ_ALLOC, F(iommu_veventq_alloc, viommu_id), F(iommu_veventq_alloc, type),
	       F(iommu_veventq_alloc, veventq_depth), F(iommu_veventq_alloc, out_veventq_id)),
	STRUCT(IOMMU_HW_QUEUE_ALLOC, F(iommu_hw_queue_alloc, viommu_id), F(iommu_hw_queue_alloc, type),
	       F(iommu_hw_queue_alloc, index), F(iommu_hw_queue_alloc, nesting_parent_iova),
	       F(iommu_hw_queue_alloc, length), F(iommu_hw_queue_alloc, out_hw_queue_id)),
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
	STRUCT(VFIO_DEVICE_IOEVENTFD, F(vfio_device_ioeventfd, flags), F(vfio_device_ioeventfd, offset),
	       F(vfio_device_ioeventfd, data), F(vfio_device_ioeventfd, fd)),
	STRUCT(VFIO_DEVICE_BIND_IOMMUFD, F(vfio_device_bind_iommufd, flags), F(vfio_device_bind_iommufd, iommufd),
	       F(vfio_device_bind_iommufd, out_devid)),
	/* The PASID counts when the flag says so, and else is not looked at by the kernel. */
	STRUCT(VFIO_DEVICE_ATTACH_IOMMUFD_PT, F(vfio_device_attach_iommufd_pt, flags),
	       F(vfio_device_attach_iommufd_pt, pt_id), F(vfio_device_attach_iommufd_pt, pasid)),
	STRUCT(VFIO_DEVICE_DETACH_IOMMUFD_PT, F(vfio_device_detach_iommufd_pt, flags),
	       F(vfio_device_detach_iommufd_pt, pasid)),
	STRUCT(VFIO_IOMMU_GET_INFO, F(vfio_iommu_type1_info, argsz), F(vfio_iommu_type1_info, flags),
	       F(vfio_iommu_type1_info, iova_pgsizes)),
	STRUCT(VFIO_IOMMU_MAP_DMA, F(vfio_iommu_type1_dma_map, flags), F(vfio_iommu_type1_dma_map, vaddr),
	       F(vfio_iommu_type1_dma_map, iova), F(vfio_iommu_type1_dma_map, size)),
	STRUCT(VFIO_IOMMU_UNMAP_DMA, F(vfio_iommu_type1_dma_unmap, flags), F(vfio_iommu_type1_dma_unmap, iova),
	       F(vfio_iommu_type1_dma_unmap, size)),
	STRUCT(VFIO_MIG_GET_PRECOPY_INFO, F(vfio_precopy_info, argsz), F(vfio_precopy_info, flags),
	       F(vfio_precopy_info, initial_bytes), F(vfio_precopy_info, dirty_bytes)),
	STRUCT(VFIO_IOMMU_DIRTY_PAGES, F(vfio_iommu_type1_dirty_bitmap, argsz),
	       F(vfio_iommu_type1_dirty_bitmap, flags)),
	STRUCT(KVM_SET_DEVICE_ATTR, F(kvm_device_attr, group), F(kvm_device_attr, attr)),
	STRUCT(KVM_IRQFD, F(kvm_irqfd, fd), F(kvm_irqfd, gsi), F(kvm_irqfd, flags), F(kvm_irqfd, resamplefd)),
	STRUCT(VFIO_DEVICE_FEATURE, F(vfio_device_feature, argsz), F(vfio_device_feature, flags)),
};

#define REQUESTS (sizeof(requests) / sizeof(requests[0]))

/* Dirty pages of a container and features of a device: both begin with argsz and flags, which differ. */
static const struct request *find(unsigned long number, const void *arg)
{
	const struct vfio_device_feature *feature = arg;

	if (number == VFIO_DEVICE_FEATURE &&
	    feature->flags & (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PROBE))
		return &requests[REQUESTS - 1];
	for (size_t i = 0; i < REQUESTS; i++)
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
	for (size_t i = 0; i < MAX_FIELDS && request->fields[i].size; i++) {
		const struct field *field = &request->fields[i];

		ifd_hint(text, " %s=0x%llx", field->name,
			 (unsigned long long)load((const char *)arg + field->offset, field->size));
	}
}

void ifd_trace_ioctl(const struct ifd_log *log, int fd, unsigned long number, const void *arg, int ret)
{
	const struct request *request = find(number, arg);
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
		ifd_hint(text, " %.*s", (int)strcspn(arg, " "), (const char *)arg); /* behind it is a secret */
	else if (request && request->kind == KIND_STRUCT)
		describe_struct(text, request, arg);

	if (ret < 0)
		ifd_log_write(log, IOMMUFD_LOG_DEBUG, "fd %d: %s: %s", fd, text,
			      strerror_r(-ret, reason, sizeof(reason)));
	else
		ifd_log_write(log, IOMMUFD_LOG_DEBUG, "fd %d: %s: %d", fd, text, ret);
}
