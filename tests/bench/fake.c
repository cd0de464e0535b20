/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"
#include "uapi/iommufd.h"

int open64(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return (int)syscall(SYS_openat, AT_FDCWD, strcmp(path, "/dev/iommu") ? path : "/dev/null", flags, mode);
}

/* What else there is of iommufd's ioctls is refused as by a kernel that does not know them. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	switch (request) {
	case IOMMU_IOAS_ALLOC:
		((struct iommu_ioas_alloc *)arg)->out_ioas_id = 1;
		return 0;
	case IOMMU_IOAS_MAP:
	case IOMMU_IOAS_UNMAP: /* the length stays what it is: all was mapped */
	case IOMMU_DESTROY:
		return 0;
	}
	if ((request >> 8 & 0xff) != ';')
		return (int)syscall(SYS_ioctl, fd, request, arg);
	errno = ENOTTY;
	return -1;
}

struct iommufd_ioas *fake_ioas_new(void)
{
	struct iommufd_ctx_opts opts = { sizeof(opts), .backend = IOMMUFD_BACKEND_IOMMUFD };
	struct iommufd_ctx *ctx;
	struct iommufd_ioas *ioas;

	bench_ok("open an iommufd that is none", iommufd_ctx_new(&opts, &ctx));
	bench_ok("make an IOAS", iommufd_ioas_new(ctx, &ioas));
	iommufd_ctx_free(ctx);
	return ioas;
}

void fake_raw_map(const void *vaddr, uint64_t len, uint64_t iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = 1,
		.user_va = (uintptr_t)vaddr,
		.length = len,
		.iova = iova,
	};

	if (ioctl(-1, IOMMU_IOAS_MAP, &cmd))
		bench_die("a kernel that is always content was not");
}

void fake_raw_unmap(uint64_t iova, uint64_t len)
{
	struct iommu_ioas_unmap cmd = { .size = sizeof(cmd), .ioas_id = 1, .iova = iova, .length = len };

	if (ioctl(-1, IOMMU_IOAS_UNMAP, &cmd))
		bench_die("a kernel that is always content was not");
}
