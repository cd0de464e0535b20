/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#ifndef UAPI_FACTS_H
#define UAPI_FACTS_H

#include <stddef.h>

enum { FACT_STRUCT, FACT_MEMBER, FACT_NUMBER };

/* What a compiler made of one declaration; members that do not apply are 0. */
struct fact {
	const char *name;
	int kind;
	size_t size;
	size_t offset;
	size_t alignment;
	int sign; /* 1 for an integer with a sign */
	long long value;
};

/* The same table, compiled against lib/uapi and against the kernel's headers. */
extern const struct fact facts_ours[];
extern const struct fact facts_kernel[];
extern const size_t facts_ours_count;
extern const size_t facts_kernel_count;

#endif
