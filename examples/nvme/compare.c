/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* This driver and the kernel's, in turns, on the same drive: what else the machine does then slows down both alike. */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static const uint32_t backends[] = { IOMMUFD_BACKEND_IOMMUFD, IOMMUFD_BACKEND_VFIO };

enum {
	BACKENDS = sizeof(backends) / sizeof(*backends),
	KERNEL = BACKENDS,
	DRIVERS,
};

/* What was measured, by driver, depth and time. */
static double rates[DRIVERS][2][MAX_TIMES];

/* A machine may have one backend only. */
static bool usable(uint32_t backend)
{
	const struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = backend };
	struct iommufd_ctx *ctx;

	if (iommufd_ctx_new(&opts, &ctx)) {
		fprintf(stderr, "nvme: without %s: %s\n", iommufd_backend_name(backend), iommufd_errmsg());
		return false;
	}
	iommufd_ctx_free(ctx);
	return true;
}

/* Whoever looks at a new disk, to find a file system on it, has it open for a moment. */
static int give_back(const char *address, const struct iommufd_driver_state *was)
{
	int result;

	for (int i = 0; (result = iommufd_driver_restore(address, was, 0)) == -EBUSY && i < 50; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	return result ? nvme_fail_lib() : 0;
}

static int kernels_turn(const struct options *opts, uint32_t bytes, uint64_t size, double *out)
{
	struct iommufd_driver_state was = { .struct_size = sizeof(was) };

	if (iommufd_driver_bind(opts->address, "nvme", 0, &was))
		return nvme_fail_lib();
	int result = kernel_rates(opts, bytes, size, out);
	return give_back(opts->address, &was) || result ? -1 : 0;
}

static int take_turns(const struct options *opts, const bool *there, uint32_t time)
{
	double at[2] = { 0 };
	uint32_t bytes = 0;
	uint64_t size = 0;

	for (uint32_t driver = 0; driver < DRIVERS && !stopped; driver++) {
		if (driver != KERNEL && !there[driver])
			continue;
		if (driver == KERNEL ? kernels_turn(opts, bytes, size, at)
				     : drive_rates(opts, backends[driver], at, &bytes, &size))
			return -1;
		for (uint32_t i = 0; i < 2; i++)
			rates[driver][i][time] = at[i];
	}
	return stopped ? -1 : 0;
}

/* The ratio is taken each time, of what was measured one after the other, and then the median of them. */
static void tell(const char *backend, double *ours, const double *theirs, uint32_t depth, uint32_t times)
{
	double ratios[MAX_TIMES], sorted[MAX_TIMES];

	for (uint32_t i = 0; i < times; i++) {
		ratios[i] = ours[i] / theirs[i];
		sorted[i] = theirs[i];
	}
	printf("compare depth %u, %s: %.2f times the kernel's driver", depth, backend, median(ratios, times));
	printf(" (%.0f to %.0f IOPS", median(ours, times), median(sorted, times));
	if (times > 1)
		printf("; %u rounds, %.2f to %.2f", times, ratios[0], ratios[times - 1]);
	printf(")\n");
}

static int take_all_turns(const struct options *opts)
{
	uint32_t depths[2], count = options_depths(opts, depths), times = opts->times ? opts->times : 3;
	bool there[BACKENDS];

	for (uint32_t i = 0; i < BACKENDS; i++)
		there[i] = usable(backends[i]);
	if (!there[0] && !there[1])
		return -1;
	options_tell_load(opts);
	printf("the kernel's driver has it from one thread: by pread() or pwrite() one at a time, by libaio several\n");
	for (uint32_t time = 0; time < times; time++)
		if (take_turns(opts, there, time))
			return -1;
	for (uint32_t depth = 0; depth < count; depth++)
		for (uint32_t i = 0; i < BACKENDS; i++)
			if (there[i])
				tell(iommufd_backend_name(backends[i]), rates[i][depth], rates[KERNEL][depth],
				     depths[depth], times);
	return 0;
}

int compare(const struct options *opts)
{
	struct iommufd_driver_state was = { .struct_size = sizeof(was) };
	int bound = iommufd_driver_bind(opts->address, NULL, 0, &was);

	if (bound && bound != -EALREADY)
		return nvme_fail_lib();
	int result = take_all_turns(opts);
	if (!bound && give_back(opts->address, &was))
		result = -1;
	return result;
}
