/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Queues of page faults. Internal. */
#ifndef IFD_FAULT_H
#define IFD_FAULT_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "handle.h"

struct ifd_fault_group;
struct iommufd_hwpt;

struct iommufd_faultq {
	struct ifd_handle handle;
	pthread_mutex_t lock;           /* a leaf; held across reads and writes, which do not wait */
	uint32_t generation;            /* of the group that was read last */
	struct ifd_fault_group *groups; /* that were read and not answered, in no order */
	size_t num_groups, room;
};

/*
 * The kernel answers the faults of a device, or of a PASID, that it detaches or moves. Ask for the mark before that,
 * and drop what was read up to there when it succeeded: those that are read meanwhile may be of where it has been moved
 * to.
 * `pasid` is 0 for the device itself; the page table is the one that it leaves, or NULL. Takes the queue's lock.
 *
 * What is not dropped, since it came in between, or was a PASID's in a table that only the guest knows, does no harm:
 * the kernel does not know the number any more, or has given it to a fault that makes this one stale once it is read.
 */
uint32_t ifd_faults_mark(const struct iommufd_hwpt *hwpt);
void ifd_faults_drop(const struct iommufd_hwpt *hwpt, uint32_t dev_id, uint32_t pasid, uint32_t mark);

#endif
