/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Which IOVAs the library may pick, and how large the pages may be that an IOMMU uses. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "allow.h"
#include "explain.h"
#include "handle.h"
#include "internal.h"
#include "uapi/iommufd.h"

/* Bounds what the kernel is handed at once. */
#define ALLOWED_MAX 65536

/* ---- The allow-list ---- */

const struct iommufd_range *ifd_allow_misfit(const struct iommufd_range *allowed, size_t num_allowed,
					     const struct iommufd_range *ranges, size_t count)
{
	for (size_t i = 0; ranges && i < num_allowed; i++)
		if (!ifd_permitted(ranges, count, allowed[i].start, allowed[i].last))
			return &allowed[i];
	return NULL;
}

int ifd_fail_allow(const char *what, const struct iommufd_range *misfit, const struct iommufd_range *ranges,
		   size_t count)
{
	char hint[IFD_HINT_MAX] = "";

	ifd_hint(hint,
		 "0x%" PRIx64 "-0x%" PRIx64 " of what iommufd_ioas_allow() was given is not permitted: stay inside of ",
		 misfit->start, misfit->last);
	ifd_hint_ranges(hint, ranges, count);
	return ifd_fail(-EADDRINUSE, hint, "%s", what);
}

int ifd_range_check(const char *what, const struct iommufd_range *range)
{
	if (range->start <= range->last)
		return 0;
	return ifd_fail(-EINVAL, "let it not end before it starts, and give the last address that belongs to it",
			"%s 0x%" PRIx64 "-0x%" PRIx64, what, range->start, range->last);
}

static int by_start(const void *a, const void *b)
{
	const struct iommufd_range *one = a, *other = b;

	return one->start < other->start ? -1 : one->start > other->start;
}

size_t ifd_ranges_merge(struct iommufd_range *list, size_t count)
{
	size_t n = 0;

	qsort(list, count, sizeof(*list), by_start);
	for (size_t i = 0; i < count; i++)
		if (n && (list[n - 1].last == UINT64_MAX || list[i].start <= list[n - 1].last + 1)) {
			if (list[i].last > list[n - 1].last)
				list[n - 1].last = list[i].last;
		} else {
			list[n++] = list[i];
		}
	return n;
}

/* The old and the new ones together, in memory of its own; NULL for none of either. */
static int make_list(const struct iommufd_ioas *ioas, const struct iommufd_range *ranges, size_t count,
		     struct iommufd_range **out, size_t *num)
{
	size_t all = ioas->num_allowed + count;
	struct iommufd_range *list = calloc(all, sizeof(*list));

	if (!list)
		return ifd_fail(-ENOMEM, NULL, "allow %zu ranges of IOVAs", count);
	if (ioas->num_allowed)
		memcpy(list, ioas->allowed, ioas->num_allowed * sizeof(*list));
	memcpy(list + ioas->num_allowed, ranges, count * sizeof(*list));
	*num = ifd_ranges_merge(list, all);
	*out = list;
	for (size_t i = 0; i < *num; i++)
		if (list[i].start == list[i].last)
			return ifd_fail(-EINVAL, "give the last address that belongs to it, not a length",
					"allow 0x%" PRIx64 ": a range of a single address", list[i].start);
	return 0;
}

static int allow_gated(struct iommufd_ioas *ioas, const struct iommufd_range *ranges, size_t count)
{
	const struct iommufd_range *misfit;
	struct iommufd_range *list = NULL, *old;
	size_t num = 0;
	int ret = count ? make_list(ioas, ranges, count, &list, &num) : 0;

	misfit = ret ? NULL : ifd_allow_misfit(list, num, ioas->ranges, ioas->num_ranges);
	if (misfit)
		ret = ifd_fail_allow("allow IOVAs", misfit, ioas->ranges, ioas->num_ranges);
	if (!ret)
		ret = ioas->ctx->backend->ioas_allow(ioas, list, num);
	if (ret) {
		free(list);
		return ret;
	}
	/* In this order, for a child process that is forked in the midst of it. */
	old = ioas->allowed;
	ioas->num_allowed = 0;
	ioas->allowed = list;
	ioas->num_allowed = num;
	free(old);
	return 0;
}

EXPORT int iommufd_ioas_allow(struct iommufd_ioas *ioas, const struct iommufd_range *ranges, size_t count)
{
	int ret = ifd_ctx_check(ioas->ctx, "allow IOVAs");

	if (ret)
		return ret;
	for (size_t i = 0; i < count && count <= ALLOWED_MAX; i++)
		if (ranges[i].start > ranges[i].last)
			return ifd_fail(-EINVAL, "let none of them end before it starts",
					"allow 0x%" PRIx64 "-0x%" PRIx64, ranges[i].start, ranges[i].last);
	pthread_rwlock_wrlock(&ioas->gate);
	ret = count > ALLOWED_MAX - ioas->num_allowed && count
		      ? ifd_fail(-EINVAL, "give fewer and larger ones", "allow %zu ranges of IOVAs", count)
		      : allow_gated(ioas, ranges, count);
	pthread_rwlock_unlock(&ioas->gate);
	return ret;
}

/* ---- What is to be spared ---- */

/* Each is looked at by whoever looks for room. */
#define SPARED_MAX 256

/* The first one that ends at `start` or above. */
static size_t spared_at(const struct iommufd_ioas *ioas, uint64_t start)
{
	size_t i = 0;

	while (i < ioas->num_spared && ioas->spared[i].last < start)
		i++;
	return i;
}

/* The list is as long as it may become from the start: what is given back is then sure to be. */
static int insert_spared(struct iommufd_ioas *ioas, size_t i, const struct iommufd_range *range)
{
	if (!ioas->spared)
		ioas->spared = calloc(SPARED_MAX, sizeof(*range));
	if (!ioas->spared)
		return ifd_fail(-ENOMEM, NULL, "reserve a range of IOVAs");
	memmove(&ioas->spared[i + 1], &ioas->spared[i], (ioas->num_spared++ - i) * sizeof(*range));
	ioas->spared[i] = *range;
	return 0;
}

static void remove_spared(struct iommufd_ioas *ioas, size_t i)
{
	memmove(&ioas->spared[i], &ioas->spared[i + 1], (--ioas->num_spared - i) * sizeof(*ioas->spared));
}

static int reserve_gated(struct iommufd_ioas *ioas, const struct iommufd_range *range)
{
	size_t i = spared_at(ioas, range->start);

	if (i < ioas->num_spared && ioas->spared[i].start <= range->last)
		return ifd_fail(-EEXIST, "give that back first, or leave it out",
				"reserve 0x%" PRIx64 "-0x%" PRIx64 ": 0x%" PRIx64 "-0x%" PRIx64 " is reserved",
				range->start, range->last, ioas->spared[i].start, ioas->spared[i].last);
	if (ioas->num_spared == SPARED_MAX)
		return ifd_fail(-ENOSPC, "reserve fewer and larger ranges", "reserve a range beside %zu others",
				ioas->num_spared);
	return insert_spared(ioas, i, range);
}

EXPORT int iommufd_ioas_reserve(struct iommufd_ioas *ioas, const struct iommufd_range *range)
{
	int ret = ifd_ctx_check(ioas->ctx, "reserve IOVAs");

	if (!ret)
		ret = ifd_range_check("reserve", range);
	if (ret)
		return ret;
	pthread_rwlock_wrlock(&ioas->gate);
	ret = reserve_gated(ioas, range);
	pthread_rwlock_unlock(&ioas->gate);
	return ret;
}

EXPORT int iommufd_ioas_unreserve(struct iommufd_ioas *ioas, const struct iommufd_range *range)
{
	int ret = ifd_ctx_check(ioas->ctx, "give reserved IOVAs back");
	size_t i;

	if (ret)
		return ret;
	pthread_rwlock_wrlock(&ioas->gate);
	i = spared_at(ioas, range->start);
	if (i < ioas->num_spared && ioas->spared[i].start == range->start && ioas->spared[i].last == range->last)
		remove_spared(ioas, i);
	else
		ret = ifd_fail(-ENOENT, "give the same range as to iommufd_ioas_reserve()",
			       "give 0x%" PRIx64 "-0x%" PRIx64 " back: it was not reserved", range->start, range->last);
	pthread_rwlock_unlock(&ioas->gate);
	return ret;
}

/* ---- Huge pages ---- */

static int option(const struct iommufd_ioas *ioas, uint16_t op, uint64_t *value)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = op,
		.object_id = ioas->id,
		.val64 = *value,
	};
	int ret = ifd_command(ioas->ctx, IOMMU_OPTION, &cmd);

	*value = cmd.val64;
	return ret;
}

static int fail_option(const struct iommufd_ioas *ioas, int err)
{
	char hint[IFD_HINT_MAX] = "";

	if (err == -EBUSY)
		ifd_hint(hint, "that is possible before something is mapped where a device or a page table is: unmap "
			       "all, or detach them, and do it then");
	ifd_hint_command(hint, ioas->ctx, IOMMU_OPTION, err);
	return ifd_fail(err, hint, "huge pages of an IOAS");
}

EXPORT int iommufd_ioas_set_huge_pages(struct iommufd_ioas *ioas, uint32_t on)
{
	uint64_t value = on;
	int ret = ifd_ctx_check(ioas->ctx, "set huge pages");

	if (ret)
		return ret;
	if (on > 1)
		return ifd_fail(-EINVAL, "give 1 for on, 0 for off", "set huge pages of an IOAS to %u", on);
	pthread_rwlock_wrlock(&ioas->gate);
	ret = option(ioas, IOMMU_OPTION_OP_SET, &value);
	if (ret)
		ret = fail_option(ioas, ret == -EINVAL ? -EBUSY : ret);
	else
		ifd_ioas_refresh_after(ioas);
	pthread_rwlock_unlock(&ioas->gate);
	return ret;
}

EXPORT int iommufd_ioas_get_huge_pages(struct iommufd_ioas *ioas, uint32_t *on)
{
	uint64_t value = 0;
	int ret = ifd_ctx_check(ioas->ctx, "ask for huge pages");

	if (!ret) {
		ret = option(ioas, IOMMU_OPTION_OP_GET, &value);
		ret = ret ? fail_option(ioas, ret) : 0;
	}
	if (!ret)
		*on = value != 0;
	return ret;
}
