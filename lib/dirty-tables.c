/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * iommufd: dirty pages as the page tables of an IOAS know them, each for the devices that are attached to it.
 *
 * The kernel reads up to the first hole, and says that all went well; so only what is mapped is asked for. It has one
 * bit for a page of the table, however large, forgets it when any part of it is asked for, and tells only of pages that
 * begin in the range: so the ends of what is asked for are ends of mappings, in which no such page is cut, or multiples
 * of more than an IOMMU's largest page.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "dirty.h"
#include "hwpt.h"
#include "internal.h"
#include "udev.h"
#include "uapi/iommufd.h"

static int set(const struct iommufd_hwpt *hwpt, bool on)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd),
		.flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
		.hwpt_id = hwpt->handle.id,
	};

	return ifd_command(hwpt->handle.ctx, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
}

static int fail_set(const struct iommufd_ctx *ctx, bool on, int err)
{
	char hint[IFD_HINT_MAX] = "";

	ifd_hint_command(hint, ctx, IOMMU_HWPT_SET_DIRTY_TRACKING, err);
	return ifd_fail(err, hint, "%s tracking dirty pages in a page table", on ? "begin" : "stop");
}

/* The first one of the list from here on that tells. */
static struct iommufd_hwpt *telling(struct iommufd_hwpt *hwpt)
{
	while (hwpt && !(hwpt->flags & IOMMUFD_HWPT_DIRTY))
		hwpt = hwpt->next;
	return hwpt;
}

bool ifd_dirty_tells(const struct ifd_target *at)
{
	return at->hwpt && at->hwpt->flags & IOMMUFD_HWPT_DIRTY;
}

static const char remedy[] =
	"attach it to a page table made with IOMMUFD_HWPT_DIRTY, or call iommufd_ioas_dirty_stop() first";

int ifd_dirty_may_attach(const struct iommufd_device *dev, const struct ifd_target *to)
{
	return !to->ioas->tracking || ifd_dirty_tells(to) ? 0 : ifd_fail_unseen(dev, -EOPNOTSUPP, remedy);
}

/* Gate held. One that tells, for a device that the kernel would find one for. */
static int make_table(struct iommufd_device *dev, struct iommufd_ioas *ioas, struct iommufd_hwpt **out)
{
	const struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts), .flags = IOMMUFD_HWPT_DIRTY };
	char why[IFD_HINT_MAX] = "";
	int ret = ifd_device_numbered(dev, "a page table");
	bool asked = !ret;

	if (asked)
		ret = ifd_hwpt_show(dev, ioas, &opts, out);
	if (!ret) {
		(*out)->ours = true;
		return 0;
	}
	/* The flag that its words would be about is ours. */
	ifd_hint(why, "%s", asked && ret == -EOPNOTSUPP ? "its IOMMU does not track dirty pages" : iommufd_errmsg());
	return ifd_fail_unseen(dev, ret, why);
}

/*
 * The table that was made for the others of its group, or for itself: they stay there when tracking ends. With the gate
 * held it stays so.
 */
static struct iommufd_hwpt *of_its_group(const struct iommufd_device *dev, const struct iommufd_ioas *ioas)
{
	const struct ifd_target *at = &dev->group->at;
	struct iommufd_hwpt *hwpt;

	pthread_mutex_lock(&dev->ctx->lock);
	hwpt = at->ioas == ioas && at->hwpt && at->hwpt->ours ? at->hwpt : NULL;
	pthread_mutex_unlock(&dev->ctx->lock);
	return hwpt;
}

int ifd_tables_dirty_join(struct iommufd_device *dev, struct ifd_target *to, struct iommufd_hwpt **made)
{
	int ret;

	if (to->hwpt)
		return ifd_dirty_may_attach(dev, to);
	to->hwpt = of_its_group(dev, to->ioas);
	if (to->hwpt || !to->ioas->tracking)
		return 0;
	ret = make_table(dev, to->ioas, made);
	if (!ret)
		to->hwpt = *made;
	return ret;
}

/* ---- Begin and end ---- */

/* One that the kernel has found a page table for, to one that tells; the first of a group takes the others along. */
static int move_one(struct iommufd_device *dev)
{
	struct ifd_target from = dev->at, to = { from.ioas, of_its_group(dev, from.ioas) };
	struct iommufd_hwpt *made = NULL;
	char why[IFD_HINT_MAX] = "";
	int ret = 0;

	if (!to.hwpt) {
		ret = make_table(dev, from.ioas, &made);
		to.hwpt = made;
	}
	if (ret)
		return ret;
	ret = ifd_device_move(dev, &from, &to);
	if (made)
		ifd_hwpt_drop(made);
	if (!ret) {
		ifd_target_put(&from);
		return 0;
	}
	ifd_hint(why, "attach it after tracking has begun: %s", iommufd_errmsg());
	return ifd_fail_unseen(dev, ret, why);
}

/* What is permitted is asked for afterwards, and does not keep it there. */
static void move_back(struct iommufd_device *dev)
{
	struct iommufd_hwpt *made = dev->at.hwpt;
	struct ifd_target to = { dev->at.ioas, NULL };
	struct ifd_words words;

	ifd_words_keep(&words);
	if (ifd_group_move(dev, &to) || dev->ctx->backend->replace(dev, &to)) {
		ifd_error(&dev->ctx->log, "%s stays at its new page table: %s", dev->found->name, iommufd_errmsg());
	} else {
		dev->at = to;
		ifd_hwpt_drop(made);
	}
	ifd_words_restore(&words);
}

/* Those that cannot be seen by no fault of the library. */
static int check_users(const struct iommufd_ioas *ioas)
{
	for (const struct iommufd_device *dev = ioas->users; dev; dev = dev->next_user)
		if (dev->at.hwpt && !ifd_dirty_tells(&dev->at))
			return ifd_fail_unseen(dev, -EOPNOTSUPP, remedy);
	return ioas->unseen_pasids
		       ? ifd_fail(-EOPNOTSUPP, remedy, "track dirty pages: what a PASID writes would not be seen")
		       : 0;
}

static int set_all(struct iommufd_ioas *ioas, bool on)
{
	struct iommufd_hwpt *hwpt = telling(ioas->hwpts), *done;
	int ret = 0;

	for (; hwpt && !ret; hwpt = ret ? hwpt : telling(hwpt->next))
		ret = set(hwpt, on);
	if (!ret)
		return 0;
	ret = fail_set(ioas->ctx, on, ret);
	for (done = telling(ioas->hwpts); done != hwpt; done = telling(done->next))
		if (set(done, !on))
			ifd_error(&ioas->ctx->log, "a page table %s tracking dirty pages", on ? "goes on" : "stopped");
	return ret;
}

static int begin(struct iommufd_ioas *ioas)
{
	struct iommufd_device **moved = calloc(ioas->attached + 1, sizeof(struct iommufd_device *));
	size_t n = 0;
	int ret = moved ? check_users(ioas) : ifd_fail(-ENOMEM, NULL, "track dirty pages");

	for (struct iommufd_device *dev = ioas->users; dev && !ret; dev = dev->next_user)
		if (!dev->at.hwpt) {
			ret = move_one(dev);
			if (!ret)
				moved[n++] = dev;
		}
	if (!ret)
		ret = set_all(ioas, true);
	while (ret && n)
		move_back(moved[--n]);
	free(moved);
	return ret;
}

int ifd_tables_dirty_set(struct iommufd_ioas *ioas, bool on)
{
	int ret = on ? begin(ioas) : set_all(ioas, false);

	if (ret && !on)
		ifd_dirty_all(ioas);
	return ret;
}

/* ---- Reading ---- */

/* From one page table, or with NULL from all of the IOAS. */
struct reading {
	struct iommufd_ioas *ioas;
	struct iommufd_hwpt *only;
	const struct ifd_dirty *to;
	bool keep; /* the kernel does not forget */
	struct ifd_dirty_room room;
};

static int get(const struct iommufd_hwpt *hwpt, const struct ifd_bitmap *bitmap, bool keep)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd),
		.hwpt_id = hwpt->handle.id,
		.flags = keep ? IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR : 0,
		.iova = bitmap->start,
		.length = bitmap->last - bitmap->start + 1,
		.page_size = bitmap->page,
		.data = (uintptr_t)bitmap->words,
	};
	char hint[IFD_HINT_MAX] = "";
	int ret = ifd_command(hwpt->handle.ctx, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);

	if (!ret)
		return 0;
	ifd_hint_command(hint, hwpt->handle.ctx, IOMMU_HWPT_GET_DIRTY_BITMAP, ret);
	return ifd_fail(ret, hint, "read which pages are dirty at IOVA 0x%" PRIx64 "-0x%" PRIx64, bitmap->start,
			bitmap->last);
}

/* The kernel sets bits and clears none, so that all page tables can tell into the same ones. */
static int read_piece(struct reading *reading, uint64_t start, uint64_t last)
{
	struct iommufd_hwpt *hwpt = reading->only ? reading->only : telling(reading->ioas->hwpts);
	struct ifd_bitmap bitmap;
	int ret = ifd_dirty_empty(&reading->room, reading->ioas->alignment, start, last, &bitmap);

	if (ret)
		return ret;
	for (; hwpt && !ret; hwpt = reading->only ? NULL : telling(hwpt->next))
		ret = get(hwpt, &bitmap, reading->keep);
	ifd_dirty_take(reading->ioas, &bitmap, reading->to, !reading->keep);
	return ret;
}

/* Mapped without a hole. */
static int read_run(struct reading *reading, uint64_t start, uint64_t last)
{
	uint64_t piece = reading->ioas->alignment * IFD_DIRTY_BITS - 1;
	int ret;

	for (;;) {
		uint64_t end = start | piece;

		ret = read_piece(reading, start, end < last ? end : last);
		if (ret || end >= last)
			return ret;
		start = end + 1;
	}
}

static int read_runs(struct reading *reading, uint64_t start, uint64_t last)
{
	uint64_t piece = reading->ioas->alignment * IFD_DIRTY_BITS - 1, low = start & ~piece, high = last | piece;
	struct ifd_map *map = ifd_index_next(&reading->ioas->index, start, last);
	struct iommufd_range run;
	int ret = 0;

	while (!ret && ifd_dirty_gather(reading->ioas, &map, last, 0, &run))
		ret = read_run(reading, run.start > low ? run.start : low, run.last < high ? run.last : high);
	return ret;
}

static int read_tables(struct reading *reading, uint64_t start, uint64_t last)
{
	int ret;

	if (!reading->only && !telling(reading->ioas->hwpts))
		return 0;
	ret = read_runs(reading, start, last);
	free(reading->room.memory);
	return ret;
}

int ifd_tables_dirty_read(struct iommufd_ioas *ioas, uint64_t start, uint64_t last, const struct ifd_dirty *to)
{
	struct reading reading = { .ioas = ioas, .to = to, .keep = to->keep };

	return read_tables(&reading, start, last);
}

/* The kernel cannot do both at once, and knows nothing of what is not mapped any more. */
int ifd_tables_dirty_unmap(struct iommufd_ioas *ioas, uint64_t iova, uint64_t len, const struct ifd_dirty *to,
			   uint64_t *unmapped)
{
	struct reading reading = { .ioas = ioas, .to = to, .keep = true };
	int ret = read_tables(&reading, iova, iova + (len - 1));

	return ret ? ret : ioas->ctx->backend->unmap(ioas, iova, len, unmapped);
}

/* ---- Page tables that come and go ---- */

int ifd_dirty_begin(struct iommufd_hwpt *hwpt)
{
	int ret = 0;

	if (hwpt->ioas->tracking && hwpt->flags & IOMMUFD_HWPT_DIRTY)
		ret = set(hwpt, true);
	return ret ? fail_set(hwpt->handle.ctx, true, ret) : 0;
}

void ifd_dirty_end(struct iommufd_hwpt *hwpt)
{
	const struct ifd_dirty nowhere = { .keep = false };
	struct reading reading = { .ioas = hwpt->ioas, .only = hwpt, .to = &nowhere };
	struct ifd_words words;

	if (!hwpt->ioas->tracking || !(hwpt->flags & IOMMUFD_HWPT_DIRTY))
		return;
	ifd_words_keep(&words);
	if (read_tables(&reading, 0, UINT64_MAX))
		ifd_dirty_lost(hwpt->ioas);
	ifd_words_restore(&words);
}
