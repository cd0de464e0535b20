/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* How the iommufd backend reaches a device: by the device's own node, by its group's, or by somebody else. Internal. */
#ifndef IFD_WAY_H
#define IFD_WAY_H

#include <stdbool.h>
#include <stdint.h>

struct iommufd_device;
struct iommufd_ioas;

struct ifd_way {
	/* Opens what can be opened before the attach; the words are set on failure. close() undoes it. */
	int (*open)(struct iommufd_device *dev);
	void (*close)(struct iommufd_device *dev);

	bool tables; /* page tables can be attached to, not only IOASes */

	/* To the iommufd object `id`; 0 or -errno, without words. Afterwards dev->fd gives access. */
	int (*attach)(struct iommufd_device *dev, uint32_t id);
	void (*detach)(struct iommufd_device *dev);

	/* The same while it is attached elsewhere; NULL where the kernel cannot. */
	int (*replace)(struct iommufd_device *dev, uint32_t id);

	/* A PASID of it: 0 or -errno, without words; NULL where the kernel cannot. The first also moves one. */
	int (*pasid_attach)(struct iommufd_device *dev, uint32_t pasid, uint32_t id);
	int (*pasid_detach)(struct iommufd_device *dev, uint32_t pasid);
};

extern const struct ifd_way ifd_by_node;  /* Linux 6.6, with CONFIG_VFIO_DEVICE_CDEV */
extern const struct ifd_way ifd_by_group; /* Linux 6.2, with CONFIG_VFIO_GROUP */
extern const struct ifd_way ifd_by_id;    /* somebody else has bound it */

/* Of the backend: see backend.h. */
int ifd_iommufd_snooped(struct iommufd_ioas *ioas);

/* For a node that somebody else has opened: it is the device's when that succeeds. With words. */
int ifd_bind_node(struct iommufd_device *dev, int fd);

#endif
