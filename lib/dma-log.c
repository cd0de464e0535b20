/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "dirty.h"
#include "feature.h"
#include "internal.h"
#include "udev.h"
#include "uapi/vfio.h"

/* What drivers can tell apart at best, whatever the CPU's pages are. */
#define PAGE_MIN 4096u

/* ---- Ranges ---- */

static int by_start(const void *a, const void *b)
{
	const struct iommufd_range *left = a, *right = b;

	return left->start < right->start ? -1 : left->start > right->start;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

/* Of ranges in order, those that overlap or touch become one. */
static size_t join_touching(struct iommufd_range *ranges, size_t count)
{
	size_t n = 0;

	for (size_t i = 1; i < count; i++) {
		if (ranges[i].start > ranges[n].last && ranges[i].start - ranges[n].last > 1)
			ranges[++n] = ranges[i];
		else if (ranges[i].last > ranges[n].last)
			ranges[n].last = ranges[i].last;
	}
	return n + 1;
}

/* Fills the smallest holes, until `max` ranges are left. `holes` has room for one less than there are ranges. */
static size_t fill_holes(struct iommufd_range *ranges, size_t count, size_t max, uint64_t *holes)
{
	size_t n = 0, ties = count - max;
	uint64_t limit;

	for (size_t i = 1; i < count; i++)
		holes[i - 1] = ranges[i].start - ranges[i - 1].last;
	qsort(holes, count - 1, sizeof(*holes), by_size);
	limit = holes[count - max - 1];
	for (size_t i = 0; holes[i] < limit; i++)
		ties--;

	for (size_t i = 1; i < count; i++) {
		uint64_t hole = ranges[i].start - ranges[n].last;

		if (hole < limit || (hole == limit && ties)) {
			ties -= hole == limit;
			ranges[n].last = ranges[i].last;
		} else {
			ranges[++n] = ranges[i];
		}
	}
	return n + 1;
}

static int check_ranges(const struct iommufd_range *ranges, size_t count, uint64_t page_size, const char **hint)
{
	*hint = NULL;
	if (page_size < PAGE_MIN || page_size & (page_size - 1))
		*hint = "let the page size be a power of two, 4096 or more";
	else if (!ranges || !count)
		*hint = "name the ranges that matter, one at least";
	for (size_t i = 0; !*hint && i < count; i++) {
		if (ranges[i].last < ranges[i].start)
			*hint = "let a range end where it begins, or behind it";
		if ((ranges[i].last | (page_size - 1)) == UINT64_MAX) {
			*hint = "let ranges end before the last page of 2^64 bytes";
			return -EOVERFLOW;
		}
	}
	return *hint ? -EINVAL : 0;
}

/*
 * Memory that holds the ranges in the kernel's words, as few as it takes; NULL when there is none. Numbers of 64 bits
 * are pairs there as here, so that they can be written over.
 */
static struct vfio_device_feature_dma_logging_range *make_ranges(const struct iommufd_range *theirs, size_t *count,
								 uint64_t page_size)
{
	size_t n = *count, max = ifd_sys_page_size() / sizeof(struct vfio_device_feature_dma_logging_range);
	struct iommufd_range *ranges = calloc(n, sizeof(*ranges) + sizeof(uint64_t));
	struct vfio_device_feature_dma_logging_range *out = (void *)ranges;

	if (!ranges)
		return NULL;
	for (size_t i = 0; i < n; i++)
		ranges[i] =
			(struct iommufd_range){ theirs[i].start & ~(page_size - 1), theirs[i].last | (page_size - 1) };
	qsort(ranges, n, sizeof(*ranges), by_start);
	n = join_touching(ranges, n);
	if (n > max)
		n = fill_holes(ranges, n, max, (uint64_t *)(ranges + *count));
	for (size_t i = 0; i < n; i++) {
		struct iommufd_range range = ranges[i];

		out[i] = (struct vfio_device_feature_dma_logging_range){ range.start, range.last - range.start + 1 };
	}
	*count = n;
	return out;
}

_Static_assert(sizeof(struct vfio_device_feature_dma_logging_range) == sizeof(struct iommufd_range), "written over");

/* ---- Begin and end ---- */

static int end(struct iommufd_device *dev)
{
	int ret = ifd_feature(dev, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP | VFIO_DEVICE_FEATURE_SET, NULL, 0);

	if (!ret)
		dev->logging = false;
	return ret;
}

int ifd_dma_log_end(struct iommufd_device *dev)
{
	return dev->logging ? end(dev) : 0;
}

/* dev->lock is held. */
static int start(struct iommufd_device *dev, struct vfio_device_feature_dma_logging_control *control)
{
	uint64_t chosen;
	int ret = dev->logging ? -EBUSY
			       : ifd_feature(dev, VFIO_DEVICE_FEATURE_DMA_LOGGING_START | VFIO_DEVICE_FEATURE_SET,
					     control, sizeof(*control));

	if (ret)
		return ret;
	dev->logging = true;
	chosen = control->page_size;
	if (chosen && !(chosen & (chosen - 1)))
		return 0;
	end(dev);
	return -EPROTO;
}

EXPORT int iommufd_device_dma_log_start(struct iommufd_device *dev, const struct iommufd_range *ranges, size_t count,
					uint64_t page_size, uint64_t *out)
{
	static const char what[] = "begin to log the DMA of";
	struct vfio_device_feature_dma_logging_control control = { .page_size = page_size };
	struct vfio_device_feature_dma_logging_range *made;
	const char *hint;
	int ret = ifd_device_ready(dev, "log of DMA");

	if (ret)
		return ret;
	ret = check_ranges(ranges, count, page_size, &hint);
	if (ret)
		return ifd_fail(ret, hint, "%s %s, in pages of %" PRIu64, what, dev->found->name, page_size);
	made = make_ranges(ranges, &count, page_size);
	if (!made)
		return ifd_fail(-ENOMEM, NULL, "%s %s", what, dev->found->name);
	control.num_ranges = (uint32_t)count;
	control.ranges = (uintptr_t)made;
	pthread_mutex_lock(&dev->lock);
	ret = start(dev, &control);
	pthread_mutex_unlock(&dev->lock);
	free(made);
	if (ret)
		return ifd_fail_feature(dev, ret,
					ret == -EBUSY    ? "it goes on until iommufd_device_dma_log_stop()"
					: ret == -EPROTO ? "the driver chose a size of pages that is none"
							 : NULL,
					what);
	if (out)
		*out = control.page_size;
	return 0;
}

/* The driver's answer where it has no log at all, which is never begun. */
static int fail_not_begun(struct iommufd_device *dev, const char *what)
{
	int has = iommufd_device_has(dev, IOMMUFD_FEATURE_DMA_LOG);

	return has < 0 ? has
		       : ifd_fail_feature(dev, has ? -EINVAL : -ENOTTY, "call iommufd_device_dma_log_start() first",
					  what);
}

EXPORT int iommufd_device_dma_log_stop(struct iommufd_device *dev)
{
	static const char what[] = "stop to log the DMA of";
	int ret = ifd_device_ready(dev, "log of DMA"), logging;

	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	logging = dev->logging;
	ret = logging ? end(dev) : 0;
	pthread_mutex_unlock(&dev->lock);
	if (!logging)
		return fail_not_begun(dev, what);
	return ret ? ifd_fail_feature(dev, ret, NULL, what) : 0;
}

/* ---- What was written ---- */

/*
 * The last IOVA of a piece: pieces are aligned, so that they cut no page of the device in two. Both factors are powers
 * of two, so that a product that goes past 2^64 is 0, and the piece everything.
 */
static uint64_t piece_last(uint64_t start, uint64_t page_size, uint64_t last)
{
	uint64_t end = start | (page_size * IFD_DIRTY_BITS - 1);

	return end < last ? end : last;
}

/* Into memory of our own, for what ifd_dirty_empty() knows of the kernel. */
static int read_piece(struct iommufd_device *dev, struct ifd_dirty_room *room, uint64_t start, uint64_t last,
		      const struct ifd_bitmap *to)
{
	struct vfio_device_feature_dma_logging_report report = { start, last - start + 1, to->page, 0 };
	struct ifd_bitmap told;
	int ret = ifd_dirty_empty(room, to->page, start, last, &told);

	if (ret)
		return ret;
	report.bitmap = (uintptr_t)told.words;
	ret = ifd_feature(dev, VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT | VFIO_DEVICE_FEATURE_GET, &report,
			  sizeof(report));
	if (ret)
		return ifd_fail_feature(dev, ret, "take every page for written", "read the log of");
	ifd_bitmap_merge(to, &told, start, last);
	return 0;
}

EXPORT int iommufd_device_dma_log_read(struct iommufd_device *dev, uint64_t iova, uint64_t len, uint64_t page_size,
				       uint64_t *bitmap, size_t size)
{
	struct ifd_dirty_room room = { NULL, 0 };
	struct ifd_bitmap to;
	uint64_t start, last;
	int ret = ifd_device_ready(dev, "log of DMA");

	if (!ret && !dev->logging)
		ret = fail_not_begun(dev, "read the log of");
	if (!ret)
		ret = ifd_dirty_check_range(iova, len, page_size, PAGE_MIN, NULL, bitmap, size, &to);
	if (!ret && to.last == UINT64_MAX)
		ret = ifd_fail(-EOVERFLOW, "the last page of 2^64 bytes is out of reach", "read the log of %s",
			       dev->found->name);
	for (start = iova; !ret && start - 1 != to.last; start = last + 1) {
		last = piece_last(start, page_size, to.last);
		ret = read_piece(dev, &room, start, last, &to);
	}
	free(room.memory);
	return ret;
}
