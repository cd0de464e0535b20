/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Mappings and translations that a stream of bytes chooses, each also asked of a plain list. It aborts with a line of
 * words at the first difference.
 */
#ifndef TRANSLATE_MODEL_H
#define TRANSLATE_MODEL_H

#include <stddef.h>
#include <stdint.h>

/* What has been seen to happen, for who wants to know that it has. */
struct model_seen {
	unsigned int hits, misses, overlaps, kept_apart, failures;
};

void model_run(const uint8_t *data, size_t size, struct model_seen *seen);

/* How many tables there may still be memory for, -1 for any number. Other allocations do not fail. */
extern int model_tables_left;

#endif
