/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What a VFIO container cannot do: the slots of the backend that only fail, with words that say what can. */
#include <errno.h>

#include "container.h"
#include "explain.h"
#include "internal.h"
#include "udev.h"

int ifd_container_no_device_adopt(struct iommufd_device *dev, int fd)
{
	char hint[IFD_HINT_MAX] = "use a context of the backend iommufd, or iommufd_device_new()";

	ifd_hint_passed_over(hint, dev->ctx);
	return ifd_fail(-EOPNOTSUPP, hint, "adopt file descriptor %d as %s: the backend vfio has no device nodes", fd,
			dev->found->name);
}

int ifd_container_no_device_take(struct iommufd_device *dev, uint32_t id)
{
	char hint[IFD_HINT_MAX] = "use the backend iommufd";

	ifd_hint_passed_over(hint, dev->ctx);
	return ifd_fail(-EOPNOTSUPP, hint, "take over object %u: the backend vfio has no objects", id);
}

int ifd_container_no_replace(struct iommufd_device *dev, const struct ifd_target *to)
{
	char hint[IFD_HINT_MAX] = "detach it and attach it anew, or use the backend iommufd";

	(void)to;
	ifd_hint_passed_over(hint, dev->ctx);
	return ifd_fail(-EOPNOTSUPP, hint, "move %s to another IOAS: a group's container cannot be exchanged",
			dev->found->name);
}

int ifd_container_no_command(const struct iommufd_ctx *ctx, unsigned long request, void *arg)
{
	(void)ctx;
	(void)request;
	(void)arg;
	return -EOPNOTSUPP;
}

void ifd_container_no_command_refused(const struct iommufd_ctx *ctx, unsigned long request, int err, char *hint)
{
	(void)request;
	if (err != -EOPNOTSUPP)
		return;
	ifd_hint(hint, "VFIO's containers have no such thing: use the backend iommufd");
	ifd_hint_passed_over(hint, ctx);
}

int ifd_container_no_pasid_attach(struct iommufd_device *dev, uint32_t pasid, const struct ifd_target *to)
{
	char hint[IFD_HINT_MAX] = "use the backend iommufd";

	(void)to;
	ifd_hint_passed_over(hint, dev->ctx);
	return ifd_fail(-EOPNOTSUPP, hint, "attach PASID %u of %s: VFIO's containers know no PASIDs", pasid,
			dev->found->name);
}

/* None is ever attached. */
void ifd_container_no_pasid_detach(struct iommufd_device *dev, uint32_t pasid)
{
	(void)dev;
	(void)pasid;
}

int ifd_container_no_physical(struct iommufd_ioas *ioas, uint64_t iova, uint64_t *len, uint64_t *addr)
{
	(void)ioas;
	(void)iova;
	(void)len;
	(void)addr;
	return -EOPNOTSUPP;
}

int ifd_container_no_copy(struct iommufd_ioas *src, const struct iommufd_range *range, struct iommufd_ioas *dst,
			  uint64_t iova, uint32_t flags)
{
	(void)src;
	(void)range;
	(void)dst;
	(void)iova;
	(void)flags;
	return -EOPNOTSUPP;
}
