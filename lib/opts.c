/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <string.h>

#include "internal.h"

/* A larger struct_size is garbage on the stack, not a structure from the future. */
#define STRUCT_MAX 4096

static size_t size_of(const void *theirs)
{
	size_t size;

	memcpy(&size, theirs, sizeof(size));
	return size;
}

static int check_size(size_t size, size_t min, const char *name)
{
	if (size < min)
		return ifd_fail(-EINVAL, "set struct_size to sizeof the structure, before the call",
				"struct_size %zu of the %s is below %zu", size, name, min);
	if (size > STRUCT_MAX)
		return ifd_fail(-EINVAL, "set struct_size to sizeof the structure, before the call",
				"struct_size %zu of the %s is no size of a structure", size, name);
	return 0;
}

int ifd_opts_read(void *mine, size_t size, size_t min, const void *theirs, const char *name)
{
	int ret;

	memset(mine, 0, size);
	if (!theirs)
		return 0;

	ret = check_size(size_of(theirs), min, name);
	if (ret)
		return ret;

	for (size_t i = size; i < size_of(theirs); i++)
		if (((const unsigned char *)theirs)[i])
			return ifd_fail(-E2BIG,
					"this library is older than the program: leave at zero what it does not know",
					"the %s have something unknown at byte %zu", name, i);

	memcpy(mine, theirs, size_of(theirs) < size ? size_of(theirs) : size);
	return 0;
}

int ifd_info_check(const void *theirs, size_t min, const char *name)
{
	return check_size(size_of(theirs), min, name);
}

void ifd_info_write(void *theirs, const void *mine, size_t size)
{
	size_t known = size_of(theirs), copied = known < size ? known : size;

	memcpy((char *)theirs + sizeof(size_t), (const char *)mine + sizeof(size_t), copied - sizeof(size_t));
	memset((char *)theirs + copied, 0, known - copied);
}
