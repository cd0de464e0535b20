/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Evidence for hints: what the system says at the moment of a failure, and only then. Each appends to a buffer of
 * IFD_HINT_MAX bytes and makes the best of what it may read. Internal.
 */
#ifndef IFD_EXPLAIN_H
#define IFD_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libiommufd/base.h>

struct ifd_found;
struct ifd_index;
struct ifd_map;
struct iommufd_ctx;

/* Ranges of IOVAs, the first few. */
void ifd_hint_ranges(char *hint, const struct iommufd_range *ranges, size_t count);

/* For what only the first backend could do: why that one was passed over when the context was opened, if it was. */
void ifd_hint_passed_over(char *hint, const struct iommufd_ctx *ctx);

/* Why a node could not be opened: its mode and owner, or what makes it appear. `absent` says the latter. */
void ifd_hint_open(char *hint, int err, const char *path, const char *absent);

/* The limit of locked memory and how much of it is used; false when none holds for this process. */
bool ifd_hint_limit(char *hint, bool by_process);

/* What the limit of locked memory is beside the need, and how much of it is used; the backend says how it counts. */
void ifd_hint_memlock(char *hint, uint64_t need, bool by_process);

/* Why the kernel refused a mapping. */
void ifd_hint_map(char *hint, int err, const struct ifd_map *map, bool by_process);

/* Fails with the words for a mapping that the kernel refused, at the attach of `dev`, or with NULL by itself. */
int ifd_fail_map(int err, const struct ifd_map *map, bool by_process, const struct iommufd_device *dev);

/* Fails with the words for a mapping that keeps a device from attaching, since that permits only these ranges. */
int ifd_fail_misfit(int err, const struct ifd_map *map, const struct iommufd_range *ranges, size_t count,
		    const struct iommufd_device *dev);

/* The lowest mapping in a range that the IOMMU of a group reserves for something else, and that range; or NULL. */
const struct ifd_map *ifd_find_reserved(struct ifd_index *index, int group, struct iommufd_range *reserved);

/* Whether the process has CAP_IPC_LOCK, which lifts the limit. */
bool ifd_has_ipc_lock(void);

/*
 * explain-device.c: what keeps a device from being had. `but` is a descriptor of our own, whose open file does not
 * count, or -1.
 *
 * EPERM: the first of these that there is evidence for: a driver that has another device of the group, a process that
 * has it open, or `module` that wants interrupts to be isolated.
 */
void ifd_hint_owner(char *hint, const struct ifd_found *found, const char *module, int but);

/* Whether this process may open a device that has no IOMMU; and the words for who may not. */
bool ifd_may_do_without_iommu(void);
void ifd_hint_rawio(char *hint);

/* The value of that parameter: 1 for on, 0 for off, or -ENOENT where it cannot be read. */
int ifd_unsafe_interrupts(const char *module);

/* EBUSY: who has it or its group open. */
void ifd_hint_busy(char *hint, const struct ifd_found *found, int but);

/* ENODEV: what the device that was bound to VFIO a moment ago is bound to now. */
void ifd_hint_gone(char *hint, const struct ifd_found *found);

/* Why the library does not take a device whose DMA no IOMMU translates; nothing when one does. */
void ifd_hint_iommu(char *hint, const struct ifd_found *found);

/* How to bind a device to vfio-pci. */
void ifd_hint_bind(char *hint, const struct ifd_found *found);

/* The other devices of the group that keep it from being used, with their drivers. False when there are none. */
bool ifd_hint_siblings(char *hint, const struct ifd_found *found);

#endif
