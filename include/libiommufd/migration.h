/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file migration.h
 * @brief The state of a device as a stream of bytes: for moving a virtual machine, or keeping a device for later.
 *
 * A device is in one of the states below. In some of them it has a stream, out of which its state is read, or into
 * which that of another device is written. Both devices need drivers that understand each other; what is in a stream
 * is between these two. The same on both backends: the driver does it. Moving memory is dirty.h's part.
 *
 * From one program to another, at its shortest:
 *
 *     source: set_state(STOP_COPY), read() until it gives 0 bytes, set_state(STOP)
 *     target: set_state(RESUMING), write() all of them, set_state(RUNNING)
 *
 * With IOMMUFD_MIGRATION_PRE_COPY the source reads while it still runs, until little is left, and then goes on as
 * above.
 */
#ifndef LIBIOMMUFD_MIGRATION_H
#define LIBIOMMUFD_MIGRATION_H

#include <libiommufd/base.h>

IOMMUFD_BEGIN_DECLS

/** States of a device. The numbers are the kernel's. */
enum {
	IOMMUFD_MIGRATION_ERROR = 0,        /**< it has failed; iommufd_migration_abort() leads out of it */
	IOMMUFD_MIGRATION_STOP = 1,         /**< it does nothing and does not change */
	IOMMUFD_MIGRATION_RUNNING = 2,      /**< the usual */
	IOMMUFD_MIGRATION_STOP_COPY = 3,    /**< it does nothing, and all of its state can be read */
	IOMMUFD_MIGRATION_RESUMING = 4,     /**< it does nothing, and a state can be written */
	IOMMUFD_MIGRATION_RUNNING_P2P = 5,  /**< it runs, but reaches no other device */
	IOMMUFD_MIGRATION_PRE_COPY = 6,     /**< it runs, and what is known by now can be read */
	IOMMUFD_MIGRATION_PRE_COPY_P2P = 7, /**< the same, and it reaches no other device */
};

/** Flags of iommufd_migration_new(). */
enum {
	IOMMUFD_MIGRATION_NONBLOCK = 1u << 0, /**< reading and writing answer -EAGAIN instead of waiting */
};

/**
 * @brief Prepare to move the state of a device. Its state is left as it is.
 *
 * Which states a device has, iommufd_migration_has() tells. A handle is of one attach: when the device is detached,
 * its stream ends, and all that is left to do is to free it. A device that has not been brought back by then is brought
 * to IOMMUFD_MIGRATION_RUNNING: by a reset, where it did not run. Use one handle a device; one thread at a time may use
 * it, and none beside the attach and detach of its device.
 *
 * @param dev   an attached device; it may be freed before the handle, and then stays open inside of it
 * @param flags 0 or IOMMUFD_MIGRATION_NONBLOCK
 * @param out   the new handle; give it to iommufd_migration_free()
 *
 * @retval -ENOTCONN   not attached
 * @retval -ENOTTY     the device's driver cannot do it
 * @retval -EINVAL     unknown flag
 * @retval -EOPNOTSUPP the driver has it in a way that this library does not know
 * @retval -ENOMEM     no memory
 *
 * Source: VFIO_DEVICE_FEATURE_MIGRATION, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE (Linux 5.18).
 * @since 0.1
 */
int iommufd_migration_new(struct iommufd_device *dev, uint32_t flags, struct iommufd_migration **out);

/**
 * @brief End it. The stream is closed.
 *
 * A device that was being read goes on as it was: from IOMMUFD_MIGRATION_PRE_COPY it runs, from
 * IOMMUFD_MIGRATION_STOP_COPY it is stopped. One that was being written stays in IOMMUFD_MIGRATION_RESUMING, since the
 * kernel knows no way out of it but a reset: call iommufd_migration_abort() before, or later with another handle.
 *
 * @param migration the handle, or NULL
 * @since 0.1
 */
void iommufd_migration_free(struct iommufd_migration *migration);

/**
 * @brief Whether the device has a state. It always has the first five.
 *
 * @param migration the handle
 * @param state     one of the states
 * @return 1 when it has, 0 when it has not
 *
 * @retval -EINVAL there is no such state
 * @since 0.1
 */
int iommufd_migration_has(const struct iommufd_migration *migration, uint32_t state);

/**
 * @brief The state that the device is in. The kernel is asked.
 *
 * @param migration the handle
 * @param state     one of the states
 *
 * @retval -ENOTCONN the device was detached
 * @retval -EPROTO   the kernel says something else
 *
 * Source: VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE (Linux 5.18).
 * @since 0.1
 */
int iommufd_migration_get_state(struct iommufd_migration *migration, uint32_t *state);

/**
 * @brief Bring the device into another state. The kernel finds the way there, over other states where need be.
 *
 * A stream begins with IOMMUFD_MIGRATION_PRE_COPY, IOMMUFD_MIGRATION_PRE_COPY_P2P or IOMMUFD_MIGRATION_STOP_COPY, and
 * goes on from each of them to the next; and one begins with IOMMUFD_MIGRATION_RESUMING. It ends when they are left.
 * From IOMMUFD_MIGRATION_STOP_COPY there is no way back to the first two. When IOMMUFD_MIGRATION_RESUMING is left, the
 * device takes what was written. The state that it is in already is no mistake, and changes nothing.
 *
 * When it fails, the device may be in any state on the way; the words name it.
 *
 * @param migration the handle
 * @param state     the state to go to
 *
 * @retval -ENOTCONN   the device was detached
 * @retval -EINVAL     there is no such state, or no way to it; or what was written is not the whole state of such a
 *                     device: iommufd_migration_abort() has it start anew, and where only the end is missing, it can
 *                     still be written
 * @retval -EBUSY      another handle has begun to write, or the device refused what was written: only
 *                     iommufd_migration_abort() leads on
 * @retval -EOPNOTSUPP the device does not have the state
 * @retval -EIO        the device is in IOMMUFD_MIGRATION_ERROR
 * @retval -EMFILE     no file descriptor left for the stream
 * @retval -EPROTO     the kernel gave no stream where one begins, or one where none does
 * @retval others      what the driver says
 *
 * Source: VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE (Linux 5.18).
 * @since 0.1
 */
int iommufd_migration_set_state(struct iommufd_migration *migration, uint32_t state);

/**
 * @brief Give up, from any state: afterwards the device runs.
 *
 * From IOMMUFD_MIGRATION_RESUMING and IOMMUFD_MIGRATION_ERROR, and when the kernel finds no other way, the device is
 * reset, as by iommufd_device_reset(): its state is then that of a device that was just opened, and not the one of
 * before.
 *
 * @param migration the handle
 *
 * @retval -ENOTCONN the device was detached
 * @retval -EIO      it was reset and does not run
 * @retval others    as iommufd_device_reset()
 *
 * Source: VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE (Linux 5.18), VFIO_DEVICE_RESET.
 * @since 0.1
 */
int iommufd_migration_abort(struct iommufd_migration *migration);

/**
 * @brief The descriptor of the stream, for poll(): readable when there may be something to read, and so on.
 *
 * It is there as long as the stream, and another stream has another one. iommufd_migration_read() and
 * iommufd_migration_write() move the bytes.
 *
 * @param migration the handle
 * @return the descriptor, which stays the library's
 *
 * @retval -ENOTCONN the device was detached
 * @retval -EINVAL   there is no stream, see iommufd_migration_set_state()
 * @since 0.1
 */
int iommufd_migration_fd(const struct iommufd_migration *migration);

/**
 * @brief Read of the device's state, as much as there is and fits.
 *
 * In IOMMUFD_MIGRATION_STOP_COPY 0 bytes are the end: all has been read.
 *
 * @param migration the handle
 * @param buf       where the bytes go
 * @param size      at most so many; 1 at least
 * @param len       how many were read
 *
 * @retval -ENOTCONN the device was detached
 * @retval -EINVAL   there is no stream to read; or `size` is 0
 * @retval -ENOMSG   nothing for now, in the two states of PRE_COPY: the device has not changed since. Ask later, wait
 *                   with poll(), or go to IOMMUFD_MIGRATION_STOP_COPY
 * @retval -EAGAIN   with IOMMUFD_MIGRATION_NONBLOCK: nothing yet
 * @retval -ENODEV   the stream is over: the device was reset
 * @retval others    what the driver says
 *
 * Source: read() on the stream.
 * @since 0.1
 */
int iommufd_migration_read(struct iommufd_migration *migration, void *buf, size_t size, size_t *len);

/**
 * @brief Write of another device's state, as much as the device takes.
 *
 * Pieces may be of another size than those that were read, but their order counts. A device that refuses something
 * takes nothing more: iommufd_migration_abort() then has it start anew. Which errno a driver has for a stream that is
 * none, or is too long, is up to it.
 *
 * @param migration the handle
 * @param buf       the bytes
 * @param size      how many
 * @param len       how many were taken: 1 or more, unless `size` is 0
 *
 * @retval -ENOTCONN the device was detached
 * @retval -EINVAL   there is no stream to write
 * @retval -EBUSY    the device refused something before
 * @retval -EAGAIN   with IOMMUFD_MIGRATION_NONBLOCK: not now
 * @retval -ENODEV   the stream is over: the device was reset
 * @retval others    what the driver says of bytes that it does not like
 *
 * Source: write() on the stream.
 * @since 0.1
 */
int iommufd_migration_write(struct iommufd_migration *migration, const void *buf, size_t size, size_t *len);

/** What iommufd_migration_precopy_info() tells. */
enum {
	/** There are new first bytes, more than were told of before: the device is set up in another way by now. */
	IOMMUFD_PRECOPY_REINIT = 1u << 0,
};

/** How much there is to read in IOMMUFD_MIGRATION_PRE_COPY: estimates. The caller sets `struct_size`. */
struct iommufd_precopy_info {
	size_t struct_size;     /**< `sizeof(struct iommufd_precopy_info)` */
	uint64_t initial_bytes; /**< of what there was at first; better read before the device is stopped */
	uint64_t dirty_bytes;   /**< of what has changed since it was read */
	uint32_t flags;         /**< IOMMUFD_PRECOPY bits */
	uint32_t state;         /**< IOMMUFD_MIGRATION_PRE_COPY or IOMMUFD_MIGRATION_PRE_COPY_P2P */
};

/**
 * @brief How much there is to read before the device is stopped.
 *
 * @param migration the handle, in IOMMUFD_MIGRATION_PRE_COPY or IOMMUFD_MIGRATION_PRE_COPY_P2P
 * @param info      filled; `info->struct_size` is read first
 *
 * @retval -ENOTCONN the device was detached
 * @retval -EINVAL   another state, or `struct_size` is smaller than in the first release
 * @retval others    what the driver says
 *
 * Source: VFIO_MIG_GET_PRECOPY_INFO (Linux 6.2).
 * @since 0.1
 */
int iommufd_migration_precopy_info(struct iommufd_migration *migration, struct iommufd_precopy_info *info);

/**
 * @brief How many bytes there will be to read at most once the device is stopped: an estimate, in every state.
 *
 * @param migration the handle
 * @param bytes     the number
 *
 * @retval -ENOTCONN the device was detached
 * @retval -ENOTTY   the kernel is older than Linux 6.2
 * @retval others    what the driver says
 *
 * Source: VFIO_DEVICE_FEATURE_MIG_DATA_SIZE (Linux 6.2).
 * @since 0.1
 */
int iommufd_migration_data_size(struct iommufd_migration *migration, uint64_t *bytes);

IOMMUFD_END_DECLS

#endif
