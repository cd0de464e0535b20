/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Virtual IOMMUs, and what belongs to one. Internal. */
#ifndef IFD_VIOMMU_H
#define IFD_VIOMMU_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "handle.h"

struct ifd_window;
struct iommufd_hwqueue;

struct iommufd_viommu {
	struct ifd_handle handle;    /* needs the nest parent */
	struct iommufd_hwpt *parent; /* which it needs */
	pthread_mutex_t lock;        /* both lists; held while hardware queues are made and destroyed */
	struct ifd_window *windows;
	struct iommufd_hwqueue *hwqueues;
};

#endif
