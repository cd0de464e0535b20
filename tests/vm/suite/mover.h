/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* An mtty whose state is moved, and the handle for it. */
#ifndef MOVER_H
#define MOVER_H

#include "mtty.h"

#define STOP         IOMMUFD_MIGRATION_STOP
#define RUNNING      IOMMUFD_MIGRATION_RUNNING
#define STOP_COPY    IOMMUFD_MIGRATION_STOP_COPY
#define RESUMING     IOMMUFD_MIGRATION_RESUMING
#define RUNNING_P2P  IOMMUFD_MIGRATION_RUNNING_P2P
#define PRE_COPY     IOMMUFD_MIGRATION_PRE_COPY
#define PRE_COPY_P2P IOMMUFD_MIGRATION_PRE_COPY_P2P

#define MOVER_STATE (MTTY_HEAD + 2 * MTTY_PORT)
#define MOVER_SEED  0x6d

struct mover {
	struct bed bed;
	struct iommufd_migration *m;
};

/* Opens the one of that name; makes one of so many ports and opens it. */
void mover_open(struct mover *mover, const char *uuid);
void mover_close(struct mover *mover);
void mover_new(struct mover *mover, unsigned int ports);
void mover_end(struct mover *mover);

void mover_is_in(const struct mover *mover, uint32_t state);

/* Everything that is there, in pieces of another size each time; how much. */
size_t mover_read(struct mover *mover, unsigned char *buf, size_t size);
void mover_write(struct mover *mover, const unsigned char *buf, size_t size);

/* The state of a card of two ports that was filled, which then runs on. */
void mover_take(struct mover *mover, unsigned char state[MOVER_STATE]);

/* It can be used, and that state can be given to it. */
void mover_is_usable(struct mover *mover, const unsigned char *state);

#endif
