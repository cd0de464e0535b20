/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the handles of objects inside of an iommufd have in common: page tables, queues, virtual IOMMUs and their
 * devices. Each holds what the kernel wants to be there as long as it is, so that they can be freed in any order and
 * are destroyed in the right one. Internal.
 */
#ifndef IFD_HANDLE_H
#define IFD_HANDLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iommufd_ctx;
struct iommufd_device;
struct iommufd_ioas;

/* How many other handles one can need: a page table, for instance, its parent and a queue of faults. */
#define IFD_NEEDS_MAX 3

/* The first member of every such handle. */
struct ifd_handle {
	atomic_uint refs; /* the owner, each handle that needs this one, each device that is attached to it */
	struct iommufd_ctx *ctx;
	uint32_t id; /* of the object; 0 before it is made */
	int fd;      /* of a queue, else -1: the kernel keeps the object until it is closed */

	/* Held until this one is destroyed; NULL for none. */
	struct ifd_handle *needs[IFD_NEEDS_MAX];
	struct iommufd_ioas *ioas;
	struct iommufd_device *dev;

	/* Called when nobody holds it any more, before the object is destroyed; or NULL. In a child process too. */
	void (*leave)(struct ifd_handle *handle);
};

/* Zeroed memory of `size` bytes that begins with a handle, held once; NULL on no memory. */
void *ifd_handle_new(struct iommufd_ctx *ctx, size_t size);

/* Holds `other` on behalf of `handle`, until that is destroyed. At most IFD_NEEDS_MAX times. */
void ifd_handle_need(struct ifd_handle *handle, struct ifd_handle *other);

/* The same of one that another thread may be about to destroy: false, and nothing, when nobody holds it any more. */
bool ifd_handle_need_living(struct ifd_handle *handle, struct ifd_handle *other);
void ifd_handle_need_ioas(struct ifd_handle *handle, struct iommufd_ioas *ioas);
void ifd_handle_need_device(struct ifd_handle *handle, struct iommufd_device *dev);

void ifd_handle_get(struct ifd_handle *handle);

/* With the last reference the object is destroyed and the memory freed. Takes what was never made, but not NULL. */
void ifd_handle_put(struct ifd_handle *handle);

/* Destroys the object, for a leave() that has to do something behind it. In a child process it is the parent's. */
void ifd_handle_destroy(struct ifd_handle *handle);

/*
 * Makes the object: the command, whose answers are the number and for a queue the descriptor, else NULL. 0, or -errno
 * without words.
 */
int ifd_handle_make(struct ifd_handle *handle, unsigned long request, void *cmd, const uint32_t *id,
		    const uint32_t *fd);

/* What there is to say about an errno of the kernel. A table of these ends with an errno of 0. */
struct ifd_reason {
	int err;
	const char *hint;
};

/* When it could not be made: puts it, with words. Returns `ret`, and does nothing when that is 0. */
int ifd_handle_made(struct ifd_handle *handle, int ret, unsigned long request, const struct ifd_reason *reasons,
		    const char *what);

/* An ioctl that only an iommufd knows: 0, or -errno without words. */
int ifd_command(const struct iommufd_ctx *ctx, unsigned long request, void *arg);

/* Adds to the hint why this backend, or a kernel of this age, cannot do it; nothing when the errno says more. */
void ifd_hint_command(char *hint, const struct iommufd_ctx *ctx, unsigned long request, int err);

#endif
