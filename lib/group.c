/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* IOMMU groups: which are in use in a context, and by which IOAS. */
#include <errno.h>
#include <stdlib.h>

#include "hwpt.h"
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

EXPORT int iommufd_ctx_add_group(struct iommufd_ctx *ctx, int fd)
{
	struct ifd_group *group;
	int id, copy, ret = ifd_ctx_check(ctx, "adopt a group");

	if (!ret)
		ret = ifd_udev_group_of_fd(fd, &id);
	if (ret)
		return ret;
	copy = ifd_sys_dup(fd);
	if (copy < 0)
		return ifd_fail(copy, "raise the limit of open files, see ulimit -n", "adopt file descriptor %d", fd);

	pthread_mutex_lock(&ctx->opening);
	group = ifd_group_open(ctx, id);
	if (!group)
		ret = ifd_fail(-ENOMEM, NULL, "adopt IOMMU group %d", id);
	else if (group->opened > 1)
		ret = ifd_fail(-EBUSY, "adopt it before any of its devices is opened, and once",
			       "adopt IOMMU group %d: this context has it open already", id);
	if (!ret) {
		group->fd = copy;
		group->adopted = true;
	} else if (group) {
		ifd_group_close(ctx, group);
	}
	pthread_mutex_unlock(&ctx->opening);
	if (ret)
		ifd_sys_close(copy);
	else
		ifd_info(&ctx->log, "IOMMU group %d was adopted", id);
	return ret;
}

/* Those that were adopted stay open as long as the context. */
void ifd_group_close_all(struct iommufd_ctx *ctx)
{
	while (ctx->groups)
		ifd_group_close(ctx, ctx->groups);
}

/*
 * A group that could not leave its container holds the IOAS, that holds the context, and that an adopted group: once no
 * device can be opened that would attach it again, the circle ends here.
 */
static void let_go(struct iommufd_ctx *ctx, struct ifd_group *group)
{
	struct iommufd_ioas *ioas = NULL;

	ifd_lock(ctx, &ctx->lock);
	if (ctx->orphan && group->adopted && group->opened == 1 && !group->attached) {
		ioas = group->joined;
		group->joined = NULL;
	}
	ifd_unlock(ctx, &ctx->lock);
	if (ioas)
		ifd_ioas_put(ioas);
}

void ifd_group_orphan_all(struct iommufd_ctx *ctx)
{
	ctx->orphan = true;
	for (struct ifd_group *group = ctx->groups; group; group = group->next)
		let_go(ctx, group);
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
	} else {
		let_go(ctx, group);
	}
}

int ifd_group_claim(struct iommufd_device *dev, const struct ifd_target *to)
{
	struct ifd_group *group = dev->group;
	bool free_for_us;

	pthread_mutex_lock(&dev->ctx->lock);
	free_for_us = !group->attached || ifd_target_is(&group->at, to);
	if (free_for_us) {
		group->at = *to;
		group->attached++;
	}
	pthread_mutex_unlock(&dev->ctx->lock);

	return free_for_us ? 0
			   : ifd_fail(-EBUSY, "attach it to the same, or detach the others of its group first",
				      "attach %s: another device of IOMMU group %d is attached to another %s",
				      dev->found->name, group->id, to->hwpt ? "page table" : "IOAS");
}

/* Where the kernel picks the page table, or the library in its place, is the same place for whoever attached it. */
static bool stays(const struct ifd_target *from, const struct ifd_target *to)
{
	return from->ioas == to->ioas && (!from->hwpt || from->hwpt->ours) && (!to->hwpt || to->hwpt->ours);
}

int ifd_group_move(struct iommufd_device *dev, const struct ifd_target *to)
{
	struct ifd_group *group = dev->group;
	bool alone;

	pthread_mutex_lock(&dev->ctx->lock);
	alone = group->attached == 1 || stays(&group->at, to);
	if (alone)
		group->at = *to;
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
		dev->group->at = (struct ifd_target){ NULL, NULL };
	ifd_unlock(dev->ctx, &dev->ctx->lock);
}
