/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "allow.h"
#include "explain.h"
#include "file.h"
#include "internal.h"
#include "object.h"
#include "udev.h"

/* Of a file nobody has a descriptor any more. */
static int try_map(const struct iommufd_ioas *ioas, const struct ifd_object *object, const struct ifd_map *map)
{
	return ifd_file_is_kernels(map->file) ? ifd_object_copy(object, ioas->id, map) : ifd_object_map(object, map);
}

/*
 * The first mapping that cannot be made in this object, which a device is attached to, for the reason `err`; or NULL.
 */
static const struct ifd_map *first_refused(struct iommufd_ioas *ioas, const struct ifd_object *object, int err)
{
	const struct ifd_map *map = ifd_index_next(&ioas->index, 0, UINT64_MAX);
	int ret = 0;

	while (map && (map->lost || !(ret = try_map(ioas, object, map))))
		map = ifd_index_after(&ioas->index, map, UINT64_MAX);
	return ret == err ? map : NULL;
}

/* The device is attached to the object. 0, or the errno that the words are for. */
static int explain(const struct ifd_object *object, struct iommufd_device *dev, struct iommufd_ioas *ioas, int err)
{
	struct iommufd_range *ranges = NULL;
	const struct iommufd_range *misfit;
	const struct ifd_map *map;
	uint64_t alignment;
	char what[128];
	size_t count = 0;
	int ret = 0;

	if (err == -EADDRINUSE && !ifd_object_limits(object, &ranges, &count, &alignment)) {
		map = ifd_ioas_misfit(ioas, ranges, count, alignment);
		if (map)
			ret = ifd_fail_misfit(err, map, ranges, count, dev);
		misfit = ifd_allow_misfit(ioas->allowed, ioas->num_allowed, ranges, count);
		if (!map && misfit) {
			snprintf(what, sizeof(what), "attach %s", dev->found->name);
			ret = ifd_fail_allow(what, misfit, ranges, count);
		}
		free(ranges);
	} else if (err != -EADDRINUSE) {
		map = first_refused(ioas, object, err);
		if (map)
			ret = ifd_fail_map(err, map, ifd_object_by_process(object->log, object->fd) > 0, dev);
	}
	return ret;
}

/* EINVAL can mean anything, but of a file also that it is shorter than what is mapped of it. */
static bool may_explain(struct iommufd_ioas *ioas, int err)
{
	return err == -EADDRINUSE || err == -EFAULT || err == -ENOMEM ||
	       (err == -EINVAL && ifd_file_is_mapped(&ioas->index));
}

int ifd_scratch_explain(const struct ifd_scratch *scratch, struct iommufd_device *dev, struct iommufd_ioas *ioas,
			int err)
{
	struct ifd_object object = { .log = &dev->ctx->log, .fd = scratch->fd };
	int ret = 0;

	if (!may_explain(ioas, err))
		return 0;
	/* For a further device nothing is pinned anew, so that cannot be what fails. */
	if ((ioas->attached && err != -EADDRINUSE) || ifd_object_alloc(&object))
		return 0;
	if (!scratch->attach(dev, object.id)) {
		ret = explain(&object, dev, ioas, err);
		scratch->detach(dev);
	}
	ifd_object_destroy(&object);
	return ret;
}
