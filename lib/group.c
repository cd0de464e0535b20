/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* IOMMU groups: which are in use in a context, and by which IOAS. */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"
#include "udev.h"

static struct ifd_group *find(const struct iommufd_ctx *ctx, int id)
{
	struct ifd_group *group = ctx->groups;

	while (group &&
	       (group->id != id || id < 0)) /* a device without an IOMMU may have no group: it is one by itself */
		group = group->next;
	return group;
}

/* The group, new or known, with one more open device; NULL on no memory. */
struct ifd_group *ifd_group_open(struct iommufd_ctx *ctx, int id)
{
	struct ifd_group *group, *fresh = calloc(1, sizeof(*fresh));

	if (!fresh)
		return NULL;
	fresh->id = id;
	fresh->fd = -1;

	pthread_mutex_lock(&ctx->lock);
	group = find(ctx, id);
	if (!group) {
		group = fresh;
		fresh = NULL;
		group->next = ctx->groups;
		ctx->groups = group;
	}
	group->opened++;
	pthread_mutex_unlock(&ctx->lock);
	free(fresh);
	return group;
}

void ifd_group_close(struct iommufd_ctx *ctx, struct ifd_group *group)
{
	struct ifd_group **at = &ctx->groups;
	bool last;

	ifd_lock(ctx, &ctx->lock);
	last = --group->opened == 0;
	if (last) {
		while (*at != group)
			at = &(*at)->next;
		*at = group->next;
	}
	ifd_unlock(ctx, &ctx->lock);
	if (last) {
		ifd_sys_close(group->fd);
		if (group->joined && !group->attached) /* a child may free it while its parent attaches */
			ifd_ioas_put(group->joined);
		free(group);
	}
}

int ifd_group_claim(struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	struct ifd_group *group = dev->group;
	bool free_for_us;

	pthread_mutex_lock(&dev->ctx->lock);
	free_for_us = !group->attached || group->ioas == ioas;
	if (free_for_us) {
		group->ioas = ioas;
		group->attached++;
	}
	pthread_mutex_unlock(&dev->ctx->lock);

	return free_for_us ? 0
			   : ifd_fail(-EBUSY, "attach it to the same IOAS, or detach the others of its group first",
				      "attach %s: another device of IOMMU group %d is attached to another IOAS",
				      dev->found->name, group->id);
}

int ifd_group_move(struct iommufd_device *dev, struct iommufd_ioas *to)
{
	struct ifd_group *group = dev->group;
	bool alone;

	pthread_mutex_lock(&dev->ctx->lock);
	alone = group->attached == 1;
	if (alone)
		group->ioas = to;
	pthread_mutex_unlock(&dev->ctx->lock);
	return alone ? 0
		     : ifd_fail(-EBUSY, "detach the others of its group first, since a group moves as a whole",
				"move %s to another IOAS: others of IOMMU group %d are attached", dev->found->name,
				group->id);
}

void ifd_group_unclaim(struct iommufd_device *dev)
{
	ifd_lock(dev->ctx, &dev->ctx->lock);
	if (--dev->group->attached == 0)
		dev->group->ioas = NULL;
	ifd_unlock(dev->ctx, &dev->ctx->lock);
}
