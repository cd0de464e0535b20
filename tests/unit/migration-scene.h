/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A device whose state can be moved, as far as a test lets it be one, and a handle on it. */
#ifndef MIGRATION_SCENE_H
#define MIGRATION_SCENE_H

#include "scene.h"
#include "uapi/vfio.h"

#define STOP         IOMMUFD_MIGRATION_STOP
#define RUNNING      IOMMUFD_MIGRATION_RUNNING
#define STOP_COPY    IOMMUFD_MIGRATION_STOP_COPY
#define RESUMING     IOMMUFD_MIGRATION_RESUMING
#define RUNNING_P2P  IOMMUFD_MIGRATION_RUNNING_P2P
#define PRE_COPY     IOMMUFD_MIGRATION_PRE_COPY
#define PRE_COPY_P2P IOMMUFD_MIGRATION_PRE_COPY_P2P

#define MOVER_ALL (VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY)

#define STAYS 99

/* What it can do, where it is, and what it says to the next change. */
extern struct mover_kernel {
	uint64_t can;
	uint32_t state;
	int refuse;         /* instead of a change */
	uint32_t refuse_at; /* and where it then is, or STAYS */
	int stream;         /* -1 none, 0 as a kernel would, 1 always */
	unsigned int sets, resets, v2;
	uint32_t last_set;
	int ask; /* instead of telling the state */
	uint32_t after_reset;
	bool old; /* and so knows no flags of what is told of PRE_COPY */
} mover_kernel;

/* A stream is there, or comes, in these. */
bool mover_saves(uint32_t state);

/* Opens a scene whose device is attached, can do so much and is in that state. */
struct iommufd_migration *mover_open(struct scene *scene, uint64_t can, uint32_t state, uint32_t flags);
void mover_close(struct scene *scene, struct iommufd_migration *m);

/* So it is told, and so it is. */
void mover_is_in(struct iommufd_migration *m, uint32_t state);

#endif
