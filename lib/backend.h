/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a backend is. The noun files check arguments, hold the locks and keep the index; a slot makes the ioctls and
 * turns their failures into words. Each slot that can fail returns 0 or -errno, with words set by ifd_fail(), and has
 * then changed nothing. No slot may be NULL. Internal.
 */
#ifndef IFD_BACKEND_H
#define IFD_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libiommufd/base.h>

struct ifd_candidate;
struct ifd_dirty;
struct ifd_found;
struct ifd_log;
struct ifd_map;
struct ifd_target;
struct iommufd_ctx;

struct ifd_backend {
	uint32_t id; /* IOMMUFD_BACKEND_* */
	const char *name;
	const char *node;

	/*
	 * Opens the node and makes sure that it is what it should be. Returns a file descriptor. Called by
	 * iommufd_ctx_new() and iommufd_probe(); `candidate` then takes the facts, else it is NULL.
	 */
	int (*open)(const struct ifd_log *log, struct ifd_candidate *candidate);

	/* 1 when the file is this backend's, 0 when not; sets no words. Called by iommufd_ctx_from_fd(). */
	int (*recognise)(const struct ifd_log *log, int fd);

	/*
	 * Has pinned memory counted by ctx->memlock_mode, which is not 0. Right after the context was opened or
	 * adopted.
	 */
	int (*memlock)(const struct iommufd_ctx *ctx);

	/* Fills the backend's own members; no lock. The free cannot fail: no device is attached any more. */
	int (*ioas_new)(struct iommufd_ioas *ioas);
	void (*ioas_free)(struct iommufd_ioas *ioas);

	/*
	 * Permitted ranges, in memory that the caller frees, ascending and bounded; and the alignment that the IOMMUs
	 * want. NULL while the kernel cannot know them, since no device is attached. Called with the gate held
	 * exclusively, after the set of devices changed, and once for a new IOAS.
	 */
	int (*ioas_limits)(struct iommufd_ioas *ioas, struct iommufd_range **ranges, size_t *count,
			   uint64_t *alignment);

	/*
	 * The only IOVAs that may be picked, ascending and apart; none for all. Gate exclusive. Where the kernel picks
	 * none it need not know them: then 0, and that devices permit them is up to ifd_ioas_refresh().
	 */
	int (*ioas_allow)(struct iommufd_ioas *ioas, const struct iommufd_range *ranges, size_t count);

	/*
	 * One mapping, reserved in the index. Gate shared. Where the kernel cannot take it yet, remember to replay.
	 * Several threads may call it at once; whether the kernel then does their work at once is `maps_at_once`.
	 */
	int (*map)(struct iommufd_ioas *ioas, const struct ifd_map *map);
	bool maps_at_once;

	/*
	 * A range that is made up of whole mappings without a hole, and how many bytes the kernel says were unmapped.
	 * Gate shared or exclusive.
	 */
	int (*unmap)(struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, uint64_t *unmapped);

	/*
	 * How map() takes a device's memory: 1 by a dma-buf, 0 by its address in the process, or -errno with words.
	 */
	int (*lends)(struct iommufd_ctx *ctx);

	/*
	 * Begins or ends to watch which pages are written, with words. Where the kernel cannot begin yet, it does when
	 * the first device is attached. When an end fails, what was written is lost to the kernel. Gate exclusive.
	 */
	int (*dirty_set)(struct iommufd_ioas *ioas, bool on);

	/*
	 * What a device is to be attached to becomes something that tells of its writes, if anybody wants to know: what
	 * others of its group have, or a page table that is made for it and dropped by the caller afterwards.
	 * -EOPNOTSUPP where nothing can tell. Gate exclusive.
	 */
	int (*dirty_join)(struct iommufd_device *dev, struct ifd_target *to, struct iommufd_hwpt **made);

	/*
	 * Hands over to ifd_dirty_take() what the kernel knows to be dirty, in a range at least, and lets it forget it
	 * unless it can be told to keep it. With words; what it told until it failed has been handed over. Gate
	 * exclusive.
	 */
	int (*dirty_read)(struct iommufd_ioas *ioas, uint64_t start, uint64_t last, const struct ifd_dirty *to);

	/* As unmap(), and hands over what is dirty in the range, as late as the kernel permits. Gate held. */
	int (*dirty_unmap)(struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, const struct ifd_dirty *to,
			   uint64_t *unmapped);

	/*
	 * What is mapped in a range of one IOAS, without a hole, to a place in another that is reserved: all or
	 * nothing. Both gates shared. -errno without words; -EOPNOTSUPP where that takes a map() for each mapping.
	 */
	int (*copy)(struct iommufd_ioas *src, const struct iommufd_range *range, struct iommufd_ioas *dst,
		    uint64_t iova, uint32_t flags);

	/* How many more mappings the kernel will take, UINT64_MAX where it sets no number. Gate shared. */
	int (*maps_left)(struct iommufd_ioas *ioas, uint64_t *left);

	/*
	 * An ioctl on the iommufd that has no counterpart elsewhere: -errno without words, -EOPNOTSUPP where there is
	 * no iommufd. command_refused() then adds to the hint what is to be said of the errno on this backend, and
	 * nothing where that is up to the caller. No lock.
	 */
	int (*command)(const struct iommufd_ctx *ctx, unsigned long request, void *arg);
	void (*command_refused)(const struct iommufd_ctx *ctx, unsigned long request, int err, char *hint);

	/*
	 * Whether there is a feature, IOMMUFD_HAS_*, that the library knows: 1, 0, or -errno without words. Asked once
	 * a context, unless it fails. No lock.
	 */
	int (*has)(const struct iommufd_ctx *ctx, uint32_t feature);

	/*
	 * For a device without an IOMMU whose memory the kernel has pinned: where the memory at an IOVA is, and how
	 * many of `len` bytes are there in a row. -errno without words. No lock.
	 */
	int (*physical)(struct iommufd_ioas *ioas, uint64_t iova, uint64_t *len, uint64_t *addr);

	/*
	 * Whether the IOMMUs keep all that is attached to an IOAS from getting around the CPU's caches: 1, 0, or -errno
	 * without words. 1 too while nothing is attached. Gate exclusive.
	 */
	int (*snooped)(struct iommufd_ioas *ioas);

	/* The path of the node that device_open() would open; nothing is looked at, and no lock is held. */
	void (*device_node)(const struct ifd_found *found, char *path, size_t size);

	/*
	 * dev->found is known to be bound to VFIO and dev->group is set. Opens what can be opened before the attach.
	 * device_adopt() does the same with a descriptor, which is its own from then on when it succeeds, and
	 * device_take() with the number of what somebody else has bound, with dev->calls. device_close() undoes each;
	 * no lock.
	 */
	int (*device_open)(struct iommufd_device *dev);
	int (*device_adopt)(struct iommufd_device *dev, int fd);
	int (*device_take)(struct iommufd_device *dev, uint32_t id);
	void (*device_close)(struct iommufd_device *dev);

	/*
	 * The group is claimed, the gate held exclusively, ioas->attached not changed yet. After attach() dev->fd gives
	 * access to the device, and all mappings are in the kernel. detach() cannot fail.
	 */
	int (*attach)(struct iommufd_device *dev, const struct ifd_target *to);
	void (*detach)(struct iommufd_device *dev, struct iommufd_ioas *ioas);

	/*
	 * From the IOAS that it is attached to straight to another one, in one ioctl. The claim has been
	 * moved, both gates are held exclusively. -EOPNOTSUPP where the kernel cannot.
	 */
	int (*replace)(struct iommufd_device *dev, const struct ifd_target *to);

	/*
	 * A PASID, to a target or with no IOAS to nothing. pasid_attach() is also how one moves. The gates of all
	 * IOASes that are concerned are held exclusively. The second logs what the kernel refuses.
	 */
	int (*pasid_attach)(struct iommufd_device *dev, uint32_t pasid, const struct ifd_target *to);
	void (*pasid_detach)(struct iommufd_device *dev, uint32_t pasid);
};

extern const struct ifd_backend ifd_backend_iommufd;
extern const struct ifd_backend ifd_backend_vfio;

/* In the order in which AUTO tries them, NULL at the end. */
extern const struct ifd_backend *const ifd_backends[];

#endif
