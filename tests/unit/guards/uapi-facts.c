/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Compiled twice: no C file can include both headers, since the names are the same. */
#include "uapi-facts.h"

#ifdef KERNEL_HEADERS
#include <linux/iommufd.h>
#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <linux/vfio_ccw.h>
#include <linux/vfio_zdev.h>
#define FACTS       facts_kernel
#define FACTS_COUNT facts_kernel_count
#else
#include "uapi/iommufd.h"
#include "uapi/kvm.h"
#include "uapi/pagemap.h"
#include "uapi/vfio.h"
#include "uapi/vfio_ccw.h"
#define FACTS       facts_ours
#define FACTS_COUNT facts_ours_count
#endif

#define SIGN(lvalue) _Generic((lvalue), signed char : 1, short : 1, int : 1, long : 1, long long : 1, default : 0)

#define STRUCT(type)                   \
	{ .name = "struct " #type,     \
	  .kind = FACT_STRUCT,         \
	  .size = sizeof(struct type), \
	  .alignment = _Alignof(struct type) },
#define FIELD(type, member, sized)                   \
	{ .name = #type "." #member,                 \
	  .kind = FACT_MEMBER,                       \
	  .size = sizeof(((struct type *)0)->sized), \
	  .offset = offsetof(struct type, member),   \
	  .sign = SIGN(((struct type *)0)->sized) },
#define MEMBER(type, member) FIELD(type, member, member)
#define TAIL(type, member)   FIELD(type, member, member[0])
#define NUMBER(number)       { .name = #number, .kind = FACT_NUMBER, .value = (number) },

const struct fact FACTS[] = {
#include "uapi-table.h"
};

const size_t FACTS_COUNT = sizeof(FACTS) / sizeof(FACTS[0]);
