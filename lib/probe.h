/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What a backend adds to a report while it is opened. Internal. */
#ifndef IFD_PROBE_H
#define IFD_PROBE_H

#include <stdint.h>

struct ifd_backend;

struct ifd_candidate {
	const struct ifd_backend *backend;
	char *reason; /* in the end: the words of the failure, or a copy of `usable` */
	const char *usable;
	const char *module;    /* whose parameter allow_unsafe_interrupts counts */
	uint32_t memlock_mode; /* for whoever has no CAP_IPC_LOCK: an IOMMUFD_MEMLOCK constant */
	int error;
	uint32_t type1_version;
	uint32_t flags; /* IOMMUFD_CANDIDATE bits */
};

#endif
