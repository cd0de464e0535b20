/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What backend-vfio.c and vfio-attach.c know of each other: the container behind an IOAS. Internal. */
#ifndef IFD_CONTAINER_H
#define IFD_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>

struct iommufd_ctx;
struct iommufd_device;
struct iommufd_ioas;
struct iommufd_range;
struct ifd_target;

/*
 * Whether a container takes mappings: the kernel answers once it has a group and a type. What fails for another reason,
 * such as a lack of memory, tells nothing, and `assumed` stands.
 */
bool ifd_container_serves(const struct iommufd_ctx *ctx, int container, bool assumed);

/* The best that is served; version 1 is not tried where version 2 is served and fails. -errno without words. */
int ifd_container_set_type(struct iommufd_ioas *ioas);

/* The type that it has, or will get; 0 for none. -errno without words. */
int ifd_container_type(const struct iommufd_ioas *ioas);

/*
 * A group that could not leave, since somebody had a copy of its device's descriptor, goes by itself when the last copy
 * is closed. With the last group go all mappings, and nobody is told. Found out when a call fails: true if it is so.
 */
bool ifd_container_stopped(struct iommufd_ioas *ioas);

/* Begins to track dirty pages, in a container that serves. With words. */
int ifd_container_dirty_begin(struct iommufd_ioas *ioas);

/* Without an IOMMU there is no table of mappings: the container only stands for the permission. */
int ifd_container_set_noiommu(struct iommufd_ioas *ioas);

/*
 * All mappings of the index into a container that has begun to serve. What it permits is known now, so one that does
 * not fit gets a name. All or nothing, with words.
 */
int ifd_container_replay(struct iommufd_device *dev, struct iommufd_ioas *ioas);

/* The slots of the backend. */
int ifd_container_attach(struct iommufd_device *dev, const struct ifd_target *to);
void ifd_container_detach(struct iommufd_device *dev, struct iommufd_ioas *ioas);

/* vfio-lacks.c: those that only fail. */
int ifd_container_no_device_adopt(struct iommufd_device *dev, int fd);
int ifd_container_no_device_take(struct iommufd_device *dev, uint32_t id);
int ifd_container_no_copy(struct iommufd_ioas *src, const struct iommufd_range *range, struct iommufd_ioas *dst,
			  uint64_t iova, uint32_t flags);
int ifd_container_no_replace(struct iommufd_device *dev, const struct ifd_target *to);
int ifd_container_no_command(const struct iommufd_ctx *ctx, unsigned long request, void *arg);
void ifd_container_no_command_refused(const struct iommufd_ctx *ctx, unsigned long request, int err, char *hint);
int ifd_container_no_pasid_attach(struct iommufd_device *dev, uint32_t pasid, const struct ifd_target *to);
void ifd_container_no_pasid_detach(struct iommufd_device *dev, uint32_t pasid);
int ifd_container_no_physical(struct iommufd_ioas *ioas, uint64_t iova, uint64_t *len, uint64_t *addr);

#endif
