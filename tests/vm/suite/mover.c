/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include "mover.h"

void mover_open(struct mover *mover, const char *uuid)
{
	bed_attach(&mover->bed, uuid);
	ok(iommufd_migration_new(mover->bed.dev, 0, &mover->m));
}

void mover_close(struct mover *mover)
{
	iommufd_migration_free(mover->m);
	bed_close(&mover->bed);
}

void mover_new(struct mover *mover, unsigned int ports)
{
	mtty_create(MTTY_A, ports);
	mover_open(mover, MTTY_A);
}

void mover_end(struct mover *mover)
{
	mover_close(mover);
	mtty_remove(MTTY_A);
}

void mover_is_in(const struct mover *mover, uint32_t state)
{
	uint32_t told = 99;

	ok(iommufd_migration_get_state(mover->m, &told));
	ck_assert_uint_eq(told, state);
}

size_t mover_read(struct mover *mover, unsigned char *buf, size_t size)
{
	size_t done = 0, len, piece = 1;

	do {
		ck_assert_uint_lt(done, size);
		ok(iommufd_migration_read(mover->m, buf + done, piece < size - done ? piece : size - done, &len));
		done += len;
		piece += 3;
	} while (len);
	return done;
}

void mover_write(struct mover *mover, const unsigned char *buf, size_t size)
{
	size_t len;

	while (size) {
		ok(iommufd_migration_write(mover->m, buf, size < 11 ? size : 11, &len));
		ck_assert_uint_ge(len, 1);
		buf += len;
		size -= len;
	}
}

void mover_take(struct mover *mover, unsigned char state[MOVER_STATE])
{
	mtty_fill(mover->bed.dev, 0, MOVER_SEED);
	mtty_fill(mover->bed.dev, 1, MOVER_SEED + 1);
	ok(iommufd_migration_set_state(mover->m, STOP_COPY));
	ck_assert_uint_eq(mover_read(mover, state, MOVER_STATE + 1), MOVER_STATE);
	ok(iommufd_migration_set_state(mover->m, RUNNING));
}

void mover_is_usable(struct mover *mover, const unsigned char *state)
{
	ok(iommufd_migration_abort(mover->m));
	mover_is_in(mover, RUNNING);
	mtty_fill(mover->bed.dev, 0, 0x33);
	mtty_check(mover->bed.dev, 0, 0x33);
	ok(iommufd_migration_set_state(mover->m, RESUMING));
	mover_write(mover, state, MOVER_STATE);
	ok(iommufd_migration_set_state(mover->m, RUNNING));
	mtty_check(mover->bed.dev, 0, MOVER_SEED);
	mtty_check(mover->bed.dev, 1, MOVER_SEED + 1);
}
