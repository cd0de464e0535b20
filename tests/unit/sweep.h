/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the files of the sweep share. */
#ifndef SWEEP_H
#define SWEEP_H

#include "scene.h"

/* Made before each attempt, so that the call finds things as it would in a program. */
struct stage {
	struct scene scene;
	int file;
	/* what the call gives; each is NULL or 0 before it */
	struct iommufd_ctx *ctx;
	struct iommufd_ioas *ioas;
	struct iommufd_device *dev;
	struct iommufd_report *report;
	struct iommufd_dma dma;
	struct iommufd_pool *pool;
	void *addr;
	uint64_t iova;
	struct iommufd_hwpt *hwpt;
	struct iommufd_faultq *faultq;
	struct iommufd_viommu *viommu;
	struct iommufd_vdevice *vdevice;
	struct iommufd_veventq *veventq;
	struct iommufd_hwqueue *hwqueue;
	/* of these there are all, where the act wants objects */
	struct iommufd_ioas *second;
	struct iommufd_hwpt *parent, *nested;
	struct iommufd_viommu *over;
	struct iommufd_faultq *queue;
};

/* What there is before the call; the last three on iommufd alone. */
enum begin { DETACHED, ATTACHED, OBJECTS, NESTED, TRACKED };

struct act {
	const char *name;
	enum begin begin;
	int (*call)(struct stage *stage);
};

/* In sweep-objects.c. Beside the scene's answers; all that the act wants to be there; what is there at the end. */
void sweep_answers(void);
void sweep_nest(struct stage *stage, const struct act *act);
void sweep_free(struct stage *stage);

#define SWEEP_OBJECT_ACTS 14
extern const struct act sweep_object_acts[SWEEP_OBJECT_ACTS];

#endif
