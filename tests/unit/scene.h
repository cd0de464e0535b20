/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A context, an IOAS and a device, where every ioctl succeeds with a plain answer unless a test says otherwise. */
#ifndef SCENE_H
#define SCENE_H

#include "inject.h"
#include "internal.h"
#include "udev.h"
#include "unit.h"

#define SCENE_PAGE UINT64_C(0x1000)

/* What inject_mapped() tells of a scene that has no window and no buffer: the page by which a context knows a child. */
#define SCENE_MAPPED SCENE_PAGE

/* Two devices of one group, and one of another. */
#define SCENE_DEVICE  "0000:00:03.0"
#define SCENE_SIBLING "0000:00:03.1"
#define SCENE_OTHER   "0000:00:05.0"

/* What each has in an iommufd, when it is bound by its own node. */
#define SCENE_DEVICE_ID UINT32_C(7)

/* What a device's IOMMU permits: two ranges around the x86 interrupt window. */
extern const struct iommufd_range scene_ranges[2];

struct scene {
	struct iommufd_ctx *ctx;
	struct iommufd_ioas *ioas;
	struct iommufd_device *dev; /* not attached */
};

/* The sibling is bound to e1000e, a driver of the kernel, or else to vfio-pci as all are at first. */
void scene_kernel_has_sibling(bool has);

/* Plain answers from now on. */
void scene_answers(void);

/* A kernel of which a device's memory can be had for others, from now on: by dma-bufs, or with VFIO by its address. */
void scene_lends(void);

/* Those, and the three handles on a backend. */
void scene_open(struct scene *scene, uint32_t backend);

/* Frees what is there, and checks that nothing is left open or mapped. */
void scene_close(struct scene *scene);

/* How many objects an iommufd has. A test that makes other ones than IOASes says so of each. */
unsigned int scene_objects(void);
void scene_other_object(void);

/* Nothing is attached, neither in the objects nor as far as the kernel was told. */
void scene_check_detached(const struct scene *scene);

/* Somebody else puts a group into the container, which then has a type, or takes it out. */
void scene_foreign_group(bool in);

/* What the container was set to; 0 while it has no group. There is one container in a scene. */
int scene_container_type(void);

/*
 * The answer to VFIO_IOMMU_GET_INFO: complete where there is room, as the kernel would otherwise. Returns 0, or as the
 * kernel does -EINVAL while the container has no type, and -ENOTTY where it does without an IOMMU.
 */
#define SCENE_MAX_RANGES 64
int scene_iommu_info(void *arg, uint64_t page_sizes, const struct iommufd_range *ranges, uint32_t count);

/* Maps `pages` at an IOVA, of memory that nobody looks at. */
void scene_map(struct scene *scene, uint64_t iova, unsigned int pages);
void *scene_memory(uint64_t page);

/* Maps something for reading and writing at an IOVA. */
void scene_map_at(struct scene *scene, uint64_t iova, uint64_t len);

#endif
