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

/*
 * How a gap is judged by its numbers, and all gaps below a node by the largest of each. What a brief or a thorough
 * search looks for, a gap that fits must have: room for the length, a multiple of the alignment, and a block of what
 * both have in common. What a sure search looks for, either of two, is enough: a block of the larger one, or room for
 * the length wherever the gap begins.
 */
struct search {
	const struct ifd_iova_wish *wish;
	struct iommufd_range piece;
	uint64_t len;
	unsigned int point, order;
	bool sure;
	size_t visits, most; /* nodes that were looked at, and how many may be */
	uint64_t found;
};

static bool may_fit(const struct search *search, uint64_t len, unsigned int point, unsigned int order)
{
	if (search->sure)
		return len >= search->len || order >= search->order;
	return len >= search->len && point >= search->point && order >= search->order;
}

/* Whether a gap that may begin and end outside of the piece does. */
static bool fits(struct search *search, uint64_t start, uint64_t last)
{
	const struct iommufd_range gap = { start, last };
	uint64_t align = search->wish->align, at;
	struct iommufd_range room;

	if (!clip(&gap, search->piece.start, search->piece.last, &room))
		return false;
	at = (room.start + (align - 1)) & ~(align - 1);
	if (at < room.start || at > room.last || room.last - at < search->wish->len - 1)
		return false;
	search->found = at;
	return true;
}

/* Then there may be a lower place than any that is still found. */
static bool gave_up(const struct search *search)
{
	return search->visits > search->most;
}

static bool may_fit_below(const struct search *search, const struct ifd_node *node)
{
	return node && may_fit(search, node->max_gap, node->max_point, node->max_order);
}

/* The gaps before a node, of which one may fit, and before all below it, in order of addresses. */
static bool walk(struct search *search, const struct ifd_node *node)
{
	do {
		if (++search->visits > search->most)
			return false;
		if (node->start > search->piece.start) {
			if (may_fit_below(search, node->left) && walk(search, node->left))
				return true;
			if (gave_up(search))
				return false;
			if (may_fit(search, node->start - node->free, node->point, node->order) &&
			    fits(search, node->free, node->start - 1))
				return true;
		}
		node = node->last < search->piece.last ? node->right : NULL;
	} while (may_fit_below(search, node));
	return false;
}

static bool in_piece(struct search *search, const struct ifd_tree *tree)
{
	const struct ifd_node *last = tree->root;

	if (!last)
		return fits(search, 0, UINT64_MAX);
	if (tree->first->start && fits(search, 0, tree->first->start - 1))
		return true;
	if (may_fit_below(search, tree->root) && walk(search, tree->root))
		return true;
	if (gave_up(search))
		return false;
	while (last->right)
		last = last->right;
	return last->last < UINT64_MAX && fits(search, last->last + 1, UINT64_MAX);
}

static bool in_pieces(struct search *search, const struct ifd_tree *tree)
{
	struct pieces pieces = { .wish = search->wish, .low = search->wish->window.start };

	while (!gave_up(search) && next_piece(&pieces, &search->piece))
		if (in_piece(search, tree))
			return true;
	return false;
}

/* As exponents of two: the largest power up to a number, and the lowest from it on. */
static unsigned int log_down(uint64_t n)
{
	return 63 - (unsigned int)__builtin_clzll(n);
}

static unsigned int log_up(uint64_t n)
{
	return n > 1 ? log_down(n - 1) + 1 : 0;
}

static void look_for_what_may_fit(struct search *search, size_t most)
{
	unsigned int align = log_down(search->wish->align), len = log_down(search->wish->len);

	search->sure = false;
	search->len = search->wish->len;
	search->point = align;
	search->order = align < len ? align : len;
	search->most = most;
}

static void look_for_what_fits(struct search *search)
{
	const struct ifd_iova_wish *wish = search->wish;
	unsigned int align = log_down(wish->align), len = log_up(wish->len);

	search->sure = true;
	search->len = wish->len + (wish->align - 1);
	if (search->len < wish->len)
		search->len = UINT64_MAX;
	search->order = align > len ? align : len;
	if (!search->order)
		search->order = 64; /* 0 is said of no gap as well as of a single address */
	search->most = SIZE_MAX;
}

bool ifd_iova_find(const struct ifd_tree *tree, const struct ifd_iova_wish *wish, uint64_t *iova, size_t *visits)
{
	struct search search = { .wish = wish };
	bool found;

	look_for_what_may_fit(&search, IFD_IOVA_BRIEF);
	found = in_pieces(&search, tree);
	if (!found && gave_up(&search)) {
		look_for_what_fits(&search);
		found = in_pieces(&search, tree);
		if (!found && wish->thorough) {
			look_for_what_may_fit(&search, SIZE_MAX);
			found = in_pieces(&search, tree);
		}
	}
	if (visits)
		*visits = search.visits;
	if (found)
		*iova = search.found;
	return found;
}
