/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file fault.h
 * @brief Page faults of devices: a queue, what is in it, and the answers.
 *
 * A device that can ask for pages (PRI) does so for what the page table that it is attached to does not have. The
 * requests go to the queue that the page table was made with, see `faultq` of struct iommufd_hwpt_opts, and the device
 * waits for the answers. Only iommufd has this (Linux 6.11); the backend VFIO answers -EOPNOTSUPP.
 *
 * On one queue, reads and answers may run in different threads at the same time.
 */
#ifndef LIBIOMMUFD_FAULT_H
#define LIBIOMMUFD_FAULT_H

#include <libiommufd/base.h>

IOMMUFD_BEGIN_DECLS

/** What a page fault is like. */
enum {
	IOMMUFD_FAULT_PASID = 1u << 0, /**< it is of a PASID, not of the device itself */
	IOMMUFD_FAULT_LAST = 1u << 1,  /**< it is the last one of its group */
};

/** What the device wants to do there. */
enum {
	IOMMUFD_FAULT_READ = 1u << 0,  /**< read */
	IOMMUFD_FAULT_WRITE = 1u << 1, /**< write */
	IOMMUFD_FAULT_EXEC = 1u << 2,  /**< execute */
	IOMMUFD_FAULT_PRIV = 1u << 3,  /**< with the rights of a kernel */
};

/** Answers. */
enum {
	IOMMUFD_FAULT_SUCCESS = 0, /**< the pages are there now: the device tries again */
	IOMMUFD_FAULT_INVALID = 1, /**< they will not be there: the device gives up */
};

/** One page fault. */
struct iommufd_fault {
	uint64_t cookie;    /**< for iommufd_faultq_respond(); the same for all faults of a group, and never 0 */
	uint64_t addr;      /**< the address that the device wants */
	uint32_t flags;     /**< IOMMUFD_FAULT_PASID, IOMMUFD_FAULT_LAST */
	uint32_t device_id; /**< iommufd_device_id() of the device */
	uint32_t pasid;     /**< when the flag says so */
	uint32_t group;     /**< the number that the device gave the group */
	uint32_t perm;      /**< IOMMUFD_FAULT_READ to IOMMUFD_FAULT_PRIV */
	uint32_t length;    /**< a hint how many bytes it wants, 0 for none */
};

/**
 * @brief Make a queue of page faults.
 *
 * @param ctx the context
 * @param out the queue; give it to iommufd_faultq_free()
 *
 * @retval -EOPNOTSUPP not on this backend
 * @retval -ENOTTY     the kernel is older than Linux 6.11
 * @retval -EMFILE     no file descriptor is left
 * @retval -ENOMEM     no memory
 *
 * Source: IOMMU_FAULT_QUEUE_ALLOC (Linux 6.11).
 * @since 0.1
 */
int iommufd_faultq_new(struct iommufd_ctx *ctx, struct iommufd_faultq **out);

/**
 * @brief Free a queue. It stays inside as long as page tables need it, but nobody answers any more.
 *
 * The kernel answers what is left with IOMMUFD_FAULT_INVALID when the device is detached.
 *
 * @param q the queue, or NULL
 * @since 0.1
 */
void iommufd_faultq_free(struct iommufd_faultq *q);

/**
 * @brief The queue's file descriptor, for poll(): readable when there is a fault.
 *
 * It stays the library's. Do not read it, or the library cannot know what it answers.
 *
 * @param q the queue
 * @return the descriptor
 *
 * @retval -EPERM in a child process
 * @since 0.1
 */
int iommufd_faultq_fd(const struct iommufd_faultq *q);

/**
 * @brief Take faults out of the queue: as many whole groups as there are and fit. Does not wait.
 *
 * @param q      the queue
 * @param faults room for `max` of them; those of a group come one behind the other
 * @param max    how many
 * @return how many were read, 0 when there are none
 *
 * @retval -EINVAL   `max` is 0
 * @retval -EMSGSIZE the next group has more faults than `max`; nothing was taken
 * @retval -ENOMEM   no memory; nothing was taken
 * @retval -EPROTO   the kernel gave something that is no fault
 *
 * Source: read() of the queue (Linux 6.11).
 * @since 0.1
 */
int iommufd_faultq_read(struct iommufd_faultq *q, struct iommufd_fault *faults, size_t max);

/**
 * @brief Answer a group of faults, once.
 *
 * When a device, or its PASID, is detached or moved, the kernel answers what was left. The cookie is void then: it
 * never answers another fault, even where the kernel has given its number to one.
 *
 * @param q      the queue that it was read from
 * @param cookie of any fault of the group
 * @param code   IOMMUFD_FAULT_SUCCESS or IOMMUFD_FAULT_INVALID
 *
 * @retval -EINVAL no such answer
 * @retval -ENOENT no such fault is waiting: it was answered, or the device was detached or moved
 *
 * Source: write() to the queue (Linux 6.11).
 * @since 0.1
 */
int iommufd_faultq_respond(struct iommufd_faultq *q, uint64_t cookie, uint32_t code);

IOMMUFD_END_DECLS

#endif
