/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Proves that data survives the way to the drive and back, then measures. */
#include "bench.h"

#include <stdio.h>

uint32_t options_depths(const struct options *opts, uint32_t depths[2])
{
	depths[0] = opts->depth ? opts->depth : 1;
	depths[1] = 8;
	return opts->depth ? 1 : 2;
}

static void introduce(const struct nvme *c, const struct options *opts)
{
	printf("backend %s\n", iommufd_backend_name(iommufd_ctx_backend(c->ctx)));
	printf("model %s\nserial %s\nfirmware %s\n", c->model, c->serial, c->firmware);
	printf("namespace %llu blocks of %u bytes\n", (unsigned long long)c->blocks, c->block_size);
	printf("transfers up to %u bytes\n", c->max_transfer);
	if (c->queues > 1)
		printf("%u queues of %u entries, ", c->queues, c->entries);
	else
		printf("queue of %u entries, ", c->entries);
	printf("%s\n", opts->interrupts ? "MSI-X" : "polling");
}

void options_tell_load(const struct options *opts)
{
	printf("load: %s %s of ", opts->sequential ? "sequential" : "random", opts->write ? "writes" : "reads");
	if (opts->bytes)
		printf("%u bytes\n", opts->bytes);
	else
		printf("one block\n");
}

/* With a constant number of commands on their way the mean latency follows from the rate (Little's law). */
static void tell_rate(const struct load *l, uint32_t depth, double *rates, uint32_t times)
{
	double middle = median(rates, times);

	printf("depth %u", depth);
	if (l->c->queues > 1)
		printf(" on %u queues", l->c->queues);
	printf(": %.0f IOPS, %.0f us mean", middle, depth * l->c->queues / middle * 1e6);
	if (l->blocks > 1)
		printf(", %.1f MiB/s", middle * l->blocks * l->c->block_size / (1 << 20));
	if (times > 1)
		printf(", median of %u from %.0f to %.0f", times, rates[0], rates[times - 1]);
	printf("\n");
}

static void tell_latency(uint32_t depth, const struct latency *latency)
{
	static const double parts[] = { 0.5, 0.9, 0.99, 0.999 };

	printf("depth %u: latency", depth);
	for (uint32_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		printf(" p%g %.1f us,", parts[i] * 100, (double)latency_at(latency, parts[i]) / 1e3);
	printf(" max %.1f us\n", (double)latency->max / 1e3);
}

static int measure(struct load *l, const struct options *opts)
{
	static struct latency latency;
	double rates[MAX_TIMES];
	uint32_t depths[2], count = options_depths(opts, depths), times = opts->times ? opts->times : 1;

	options_tell_load(opts);
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t n = 0; n < times; n++)
			if (stopped || load_rate(l, depths[i], opts->seconds, &rates[n]))
				return -1;
		if (stopped)
			return -1;
		tell_rate(l, depths[i], rates, times);
		if (!opts->latency)
			continue;
		if (load_latency(l, depths[i], opts->seconds, &latency) || stopped)
			return -1;
		tell_latency(depths[i], &latency);
	}
	return 0;
}

/* Whoever reads may read all, whoever writes stays in the part that is put back. */
static int prepare(struct nvme *c, const struct options *opts, struct region *r, struct load *l)
{
	uint32_t depths[2], count = options_depths(opts, depths);

	return load_new(l, c, opts, depths[count - 1], opts->write ? r->len : c->blocks * c->block_size);
}

/* What was saved is put back after each step that overwrites it, also where that step failed or was stopped. */
static int run(struct nvme *c, const struct options *opts, struct region *r, struct load *l)
{
	introduce(c, opts);
	if (region_save(c, r, opts) || prepare(c, opts, r, l))
		return -1;
	int result = region_verify(c, r);
	if (region_put_back(c, r) || result || stopped)
		return -1;
	r->dirty = opts->write;
	result = measure(l, opts);
	return region_put_back(c, r) || result ? -1 : 0;
}

int drive(const struct options *opts)
{
	const struct nvme_settings how = { opts->address, IOMMUFD_BACKEND_AUTO, opts->queues, opts->interrupts };
	struct region region = { 0 };
	struct load load = { 0 };
	struct nvme c;
	int result = nvme_open(&c, &how) || run(&c, opts, &region, &load) ? -1 : 0;

	load_free(&load);
	return nvme_close(&c) || result ? -1 : 0;
}

static int rates_of(struct nvme *c, const struct options *opts, struct region *r, struct load *l, double *rates)
{
	uint32_t depths[2], count = options_depths(opts, depths);
	int result = 0;

	if ((opts->write && region_save(c, r, opts)) || prepare(c, opts, r, l))
		return -1;
	r->dirty = opts->write;
	for (uint32_t i = 0; i < count && !result && !stopped; i++)
		result = load_rate(l, depths[i], opts->seconds, &rates[i]);
	return region_put_back(c, r) || result ? -1 : 0;
}

int drive_rates(const struct options *opts, uint32_t backend, double *rates, uint32_t *bytes, uint64_t *size)
{
	const struct nvme_settings how = { opts->address, backend, opts->queues, opts->interrupts };
	struct region region = { 0 };
	struct load load = { 0 };
	struct nvme c;
	int result = nvme_open(&c, &how) || rates_of(&c, opts, &region, &load, rates) ? -1 : 0;

	*bytes = opts->bytes ? opts->bytes : c.block_size;
	*size = c.blocks * c.block_size;
	load_free(&load);
	return nvme_close(&c) || result ? -1 : 0;
}
