/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* All handles that there are in an iommufd, made for one mock device. */
#ifndef NEST_H
#define NEST_H

#include "mock.h"

enum nest_handle {
	NEST_CTX,
	NEST_IOAS,
	NEST_DEVICE,
	NEST_PARENT,
	NEST_VIOMMU,
	NEST_HWPT,
	NEST_VDEVICE,
	NEST_VEVENTQ,
	NEST_HWQUEUE0,
	NEST_HWQUEUE1,
	NEST_FAULTQ,
	NEST_HANDLES,
};

#define NEST_IOVA    UINT64_C(0x2000000) /* where two pages are mapped */
#define NEST_VIRT_ID UINT64_C(0x99)
#define NEST_DATA    UINT32_C(0x1234567)
#define NEST_IOTLB   UINT32_C(0xabcd)
#define NEST_OBJECTS 9 /* in the kernel; the device and the context are not */

struct nest {
	struct iommufd_ctx *ctx;
	struct iommufd_ioas *ioas;
	struct iommufd_device *dev; /* attached to `hwpt` */
	struct iommufd_hwpt *parent, *hwpt;
	struct iommufd_viommu *viommu;
	struct iommufd_vdevice *vdevice;
	struct iommufd_veventq *veventq;
	struct iommufd_hwqueue *hwqueue[2];
	struct iommufd_faultq *faultq;
	unsigned char *pages;
	struct mock_viommu_data data; /* as it came back */
};

/* A nested page table's options and its data, which live as long as the block. */
#define NEST_HWPT_OPTS(queue)                                                                                       \
	&(struct iommufd_hwpt_opts)                                                                                 \
	{                                                                                                           \
		.struct_size = sizeof(struct iommufd_hwpt_opts), .data_type = MOCK_HWPT_DATA,                       \
		.data = &(struct mock_hwpt_data){ .iotlb = NEST_IOTLB }, .data_len = sizeof(struct mock_hwpt_data), \
		.faultq = (queue),                                                                                  \
	}

#define NEST_PARENT_OPTS                                                                           \
	&(struct iommufd_hwpt_opts)                                                                \
	{                                                                                          \
		.struct_size = sizeof(struct iommufd_hwpt_opts), .flags = IOMMUFD_HWPT_NEST_PARENT \
	}

/* In the iommufd of the mock device, whose handle it takes; `errors` counts what is logged as an error or warning. */
void nest_open(struct nest *nest, struct mock_device *mock, unsigned int *errors);

/* The same without a context of its own. */
void nest_fill(struct nest *nest, struct iommufd_ctx *ctx, struct iommufd_device *dev);

/* Frees one, which must be there. */
void nest_free(struct nest *nest, enum nest_handle which);

/* What is left, in the order of the list. */
void nest_close(struct nest *nest);

/* The lowest `count` numbers that a new object would get in an iommufd. */
void nest_numbers(int fd, uint32_t *numbers, unsigned int count);

/* All of them beside a mock device, in the context of that. */
struct nest_bed {
	struct iommufd_ctx *ctx;
	struct mock_device mock;
	struct nest nest;
};

void nest_bed_open(struct nest_bed *bench);
void nest_bed_close(struct nest_bed *bench);

#endif
