/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdlib.h>

#include "explain.h"
#include "internal.h"
#include "object.h"

/*
 * The first mapping that cannot be made in this object, which a device is attached to, for the reason `err`; or NULL.
 */
static const struct ifd_map *first_refused(struct iommufd_ioas *ioas, const struct ifd_object *object, int err)
{
	const struct ifd_map *map = ifd_index_next(&ioas->index, 0, UINT64_MAX);
	int ret = 0;

	while (map && !(ret = ifd_object_map(object, map)))
		map = ifd_index_after(&ioas->index, map);
	return ret == err ? map : NULL;
}

/* The device is attached to the object. */
static bool explain(const struct ifd_object *object, struct iommufd_device *dev, struct iommufd_ioas *ioas, int err)
{
	struct iommufd_range *ranges = NULL;
	const struct ifd_map *map = NULL;
	uint64_t alignment;
	size_t count = 0;

	if (err == -EADDRINUSE && !ifd_object_limits(object, &ranges, &count, &alignment)) {
		map = ifd_ioas_misfit(ioas, ranges, count, alignment);
		if (map)
			ifd_fail_misfit(err, map, ranges, count, dev);
		free(ranges);
	} else if (err != -EADDRINUSE) {
		map = first_refused(ioas, object, err);
		if (map)
			ifd_fail_map(err, map, ifd_object_by_process(object->log, object->fd) > 0, dev);
	}
	return map;
}

bool ifd_scratch_explains(const struct ifd_scratch *scratch, struct iommufd_device *dev, struct iommufd_ioas *ioas,
			  int err)
{
	struct ifd_object object = { .log = &dev->ctx->log, .fd = scratch->fd };
	bool found = false;

	if (err != -EADDRINUSE && err != -EFAULT && err != -ENOMEM)
		return false;
	/* For a further device nothing is pinned anew, so that cannot be what fails. */
	if ((ioas->attached && err != -EADDRINUSE) || ifd_object_alloc(&object))
		return false;
	if (!scratch->attach(dev, object.id)) {
		found = explain(&object, dev, ioas, err);
		scratch->detach(dev);
	}
	ifd_object_destroy(&object);
	return found;
}
