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

static const char *name_of(uint32_t driver)
{
	return driver == KERNEL ? "kernel" : iommufd_backend_name(backends[driver]);
}

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

/* What the kernel's driver has to do, as this one did it, and how it did. */
struct kernels {
	uint32_t bytes;
	uint64_t size;
	struct kernel_way way;
};

static int kernels_turn(const struct options *opts, struct kernels *kernels, double *out)
{
	struct iommufd_driver_state was = { .struct_size = sizeof(was) };

	if (iommufd_driver_bind(opts->address, "nvme", 0, &was))
		return nvme_fail_lib();
	int result = kernel_rates(opts, kernels->bytes, kernels->size, out, &kernels->way);
	return give_back(opts->address, &was) || result ? -1 : 0;
}

static int turn(const struct options *opts, uint32_t driver, struct kernels *kernels, double *out)
{
	if (driver == KERNEL)
		return kernels_turn(opts, kernels, out);
	return drive_rates(opts, backends[driver], out, &kernels->bytes, &kernels->size);
}

/*
 * In each round another driver is the first one: what gets slower or quicker from turn to turn shall do so for all. The
 * very first is this driver, which finds out what the kernel's is asked for.
 */
static int take_turns(const struct options *opts, const bool *there, uint32_t time, struct kernels *kernels)
{
	double at[2] = { 0 };

	for (uint32_t i = 0; i < DRIVERS; i++) {
		uint32_t driver = (time + i) % DRIVERS;
		if (there[driver] && (turn(opts, driver, kernels, at) || stopped))
			return -1;
		for (uint32_t depth = 0; depth < 2; depth++)
			rates[driver][depth][time] = at[depth];
	}
	return 0;
}

/* What was measured at each depth, in the order in which it was. */
static void tell_round(const struct options *opts, const bool *there, uint32_t time)
{
	uint32_t depths[2], count = options_depths(opts, depths), told = 0;

	printf("round %u, IOPS:", time + 1);
	for (uint32_t i = 0; i < DRIVERS; i++) {
		uint32_t driver = (time + i) % DRIVERS;
		if (!there[driver])
			continue;
		printf("%s %s", told++ ? "," : "", name_of(driver));
		for (uint32_t depth = 0; depth < count; depth++)
			printf(" %.0f", rates[driver][depth][time]);
	}
	printf("\n");
}

/* So that nobody takes the one for what the other is. */
static void tell_ways(const struct options *opts, const struct kernel_way *way)
{
	printf("iommufd, vfio: one thread, %u queue%s, %s%s\n", opts->queues, opts->queues > 1 ? "s" : "",
	       opts->interrupts ? "MSI-X" : "polling", opts->huge ? ", data in huge pages" : "");
	printf("kernel: one thread, %u hardware queue%s (a thread uses that of its CPU), interrupts, merging %s,\n"
	       "        by pread() or pwrite() one at a time, by libaio several%s\n",
	       way->queues, way->queues == 1 ? "" : "s", way->merging ? "on" : "off",
	       opts->huge ? ", data in small pages" : "");
}

/* The ratio is taken each time, of what was measured in the same round, and then the median of them. */
static void tell(const struct options *opts, const char *backend, double *ours, const double *theirs, uint32_t depth,
		 uint32_t times)
{
	double ratios[MAX_TIMES], sorted[MAX_TIMES];

	for (uint32_t i = 0; i < times; i++) {
		ratios[i] = ours[i] / theirs[i];
		sorted[i] = theirs[i];
	}
	printf("compare depth %u", depth * opts->queues);
	if (opts->queues > 1)
		printf(" (%u on each of %u queues)", depth, opts->queues);
	printf(", %s with %s: %.2f times the kernel's driver with interrupts", backend,
	       opts->interrupts ? "interrupts" : "polling", median(ratios, times));
	printf(" (%.0f to %.0f IOPS", median(ours, times), median(sorted, times));
	if (times > 1)
		printf("; %u rounds, %.2f to %.2f", times, ratios[0], ratios[times - 1]);
	printf(")\n");
}

static int take_all_turns(const struct options *opts)
{
	uint32_t depths[2], count = options_depths(opts, depths), times = opts->times ? opts->times : 3;
	struct kernels kernels = { 0 };
	bool there[DRIVERS] = { [KERNEL] = true };

	for (uint32_t i = 0; i < BACKENDS; i++)
		there[i] = usable(backends[i]);
	if (!there[0] && !there[1])
		return -1;
	options_tell_load(opts);
	for (uint32_t time = 0; time < times; time++) {
		if (take_turns(opts, there, time, &kernels))
			return -1;
		tell_round(opts, there, time);
	}
	tell_ways(opts, &kernels.way);
	for (uint32_t depth = 0; depth < count; depth++)
		for (uint32_t i = 0; i < BACKENDS; i++)
			if (there[i])
				tell(opts, name_of(i), rates[i][depth], rates[KERNEL][depth], depths[depth], times);
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
