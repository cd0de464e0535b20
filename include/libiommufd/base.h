/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file base.h
 * @brief What every other header rests on: the words of a failure, the version, the handles' names.
 *
 * Conventions that hold for every function of the library, unless its own comment says otherwise:
 *
 * - **Results.** 0 or a count on success, a negative errno on failure. What a function produces goes through its last
 *   parameter, which is left untouched on failure.
 * - **Words.** After a failure iommufd_errmsg() has a sentence about it: what was tried, why it failed, what to do. A
 *   translation that finds nothing is the exception.
 * - **Ownership.** A handle has one owner, who gives it to its free function. These take NULL, cannot fail, and may be
 *   called in any order: a handle that others still need stays alive inside until the last of them is freed.
 *   A file descriptor given to the library is duplicated; one handed out by a getter stays the library's.
 * - **Structures that grow.** Options and infos begin with `struct_size`, which the caller sets to the size of the
 *   structure that it was compiled with. Members that this library does not know must be zero (`-E2BIG`); members that
 *   the caller does not know keep their default. A size below that of the first release is `-EINVAL`.
 * - **Threads.** Different handles may be used from different threads at any time. On one IOAS, map, unmap and
 *   translation may run at the same time; on one device, region and interrupt calls may. Freeing a handle must not
 *   happen beside any other use of it.
 * - **Callbacks** return normally: neither longjmp() nor a C++ exception may leave them through the library.
 * - **fork().** A child process may only free what its parent made. That gives back the child's memory and file
 *   descriptors, and leaves the kernel's objects, mappings and buffers to the parent. Other calls on these handles are
 *   `-EPERM`. The child may make a context of its own. As long as it has the descriptors, devices stay open in the
 *   kernel: on VFIO a group that the parent detaches meanwhile cannot leave its container until then.
 */
#ifndef LIBIOMMUFD_BASE_H
#define LIBIOMMUFD_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define IOMMUFD_BEGIN_DECLS extern "C" {
#define IOMMUFD_END_DECLS   }
#else
#define IOMMUFD_BEGIN_DECLS
#define IOMMUFD_END_DECLS
#endif

IOMMUFD_BEGIN_DECLS

/** One backend, opened or adopted: an iommufd, or the legacy VFIO containers. */
struct iommufd_ctx;
/** An I/O address space: a set of DMA mappings that devices are attached to. */
struct iommufd_ioas;
/** A device that is bound to VFIO and was opened through a context. */
struct iommufd_device;
/** A hardware page table, for those who want to see it. */
struct iommufd_hwpt;
/** A queue of page faults. */
struct iommufd_faultq;
/** A virtual IOMMU: a part of a real one that is handed to a guest. */
struct iommufd_viommu;
/** What a guest knows a device as, behind its virtual IOMMU. */
struct iommufd_vdevice;
/** A queue of a virtual IOMMU's events. */
struct iommufd_veventq;
/** A queue of commands that a guest hands to the hardware itself. */
struct iommufd_hwqueue;
/** The state of a device as a stream. */
struct iommufd_migration;
/** A virtual machine of KVM that is told of its devices. */
struct iommufd_kvm;
/** An interrupt of a device that is led into a virtual machine. */
struct iommufd_kvm_irqfd;
/** Small objects of one size that devices reach. */
struct iommufd_pool;
/** What iommufd_probe() found. */
struct iommufd_report;
/** What iommufd_diagnose() found. */
struct iommufd_diagnosis;

/** A range of I/O virtual addresses, both ends included. */
struct iommufd_range {
	uint64_t start; /**< first address of the range */
	uint64_t last;  /**< last address of the range, not the one behind it */
};

/** How a kernel counts the memory that is pinned for DMA. */
enum {
	IOMMUFD_MEMLOCK_UNKNOWN = 0, /**< not known; as an option: as it is */
	IOMMUFD_MEMLOCK_NONE = 1,    /**< not at all: the process has CAP_IPC_LOCK */
	IOMMUFD_MEMLOCK_USER = 2,    /**< per user, summed over the user's processes (iommufd) */
	IOMMUFD_MEMLOCK_PROCESS = 3, /**< per process, together with mlock() (VFIO containers) */
};

/**
 * @brief The words of this thread's most recent failure.
 *
 * The form is `what: strerror (hint)`, for example
 * `open 0000:00:04.0: it is bound to nvme, not to a VFIO driver: No such device (bind it to vfio-pci, as root: ...)`.
 * Success does not clear it. A translation that finds nothing does not set it, since that is not worth the time on
 * a hot path.
 *
 * @return a string that stays valid until this thread's next failing call; empty if nothing has failed yet, never NULL
 * @since 0.1
 */
const char *iommufd_errmsg(void);

/**
 * @brief The version of the library that is running, for example `0.1.0`.
 *
 * @return a constant string
 * @since 0.1
 */
const char *iommufd_version(void);

IOMMUFD_END_DECLS

#endif
