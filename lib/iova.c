/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include "iova.h"

/* What is left of a range between `low` and `high`; false for nothing. */
static bool clip(const struct iommufd_range *range, uint64_t low, uint64_t high, struct iommufd_range *out)
{
	out->start = range->start > low ? range->start : low;
	out->last = range->last < high ? range->last : high;
	return out->start <= out->last;
}

/* The pieces that may be used, one after the other. `low` is where the next one is looked for; 0 behind the last. */
struct pieces {
	const struct ifd_iova_wish *wish;
	size_t range, spared;
	uint64_t low;
	bool done;
};

static void go_on_behind(struct pieces *pieces, uint64_t last)
{
	pieces->low = last + 1;
	pieces->done = last == UINT64_MAX;
}

static bool next_piece(struct pieces *pieces, struct iommufd_range *piece)
{
	const struct ifd_iova_wish *wish = pieces->wish;

	while (!pieces->done && pieces->range < wish->num_ranges) {
		const struct iommufd_range *spared = NULL;

		if (!clip(&wish->ranges[pieces->range], pieces->low, wish->window.last, piece)) {
			pieces->range++;
			continue;
		}
		while (pieces->spared < wish->num_spared && wish->spared[pieces->spared].last < piece->start)
			pieces->spared++;
		if (pieces->spared < wish->num_spared)
			spared = &wish->spared[pieces->spared];
		if (!spared || spared->start > piece->last) {
			go_on_behind(pieces, piece->last);
			return true;
		}
		go_on_behind(pieces, spared->last);
		if (spared->start > piece->start) {
			piece->last = spared->start - 1;
			return true;
		}
	}
	return false;
}

bool ifd_iova_find(const struct ifd_tree *tree, const struct ifd_iova_wish *wish, uint64_t *iova)
{
	struct pieces pieces = { .wish = wish, .low = wish->window.start };
	struct iommufd_range piece;

	while (next_piece(&pieces, &piece))
		if (ifd_tree_gap(tree, piece.start, piece.last, wish->len, wish->align, iova))
			return true;
	return false;
}

uint64_t ifd_iova_free(const struct ifd_tree *tree, const struct ifd_iova_wish *wish)
{
	struct pieces pieces = { .wish = wish, .low = wish->window.start };
	struct iommufd_range piece, taken;
	const struct ifd_node *node;
	uint64_t sum = 0;

	while (next_piece(&pieces, &piece)) {
		sum += piece.last - piece.start + 1;
		for (node = ifd_tree_first(tree, piece.start, piece.last); node;
		     node = node->last < piece.last ? ifd_tree_first(tree, node->last + 1, piece.last) : NULL) {
			const struct iommufd_range range = { node->start, node->last };

			if (clip(&range, piece.start, piece.last, &taken))
				sum -= taken.last - taken.start + 1;
		}
	}
	return sum;
}
