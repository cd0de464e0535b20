/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Drives an NVMe drive: writes, reads back and compares, then measures random reads of one block. */
#include "nvme.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

struct options {
	const char *address;
	unsigned int depth; /* 0 for both 1 and 8 */
	unsigned int seconds;
	unsigned int mib;
	bool interrupts;
	bool huge;
};

static const char usage[] = "usage: nvme [OPTIONS]\n"
			    "  -d ADDRESS  the drive, bound to a VFIO driver (0000:00:04.0)\n"
			    "  -q DEPTH    measure with DEPTH reads on their way (first 1, then 8)\n"
			    "  -t SECONDS  measure for so long (2)\n"
			    "  -s MIB      write, read back and compare so many MiB (4)\n"
			    "  -i          wait for MSI-X interrupts instead of polling\n"
			    "  -H          put the data in huge pages\n"
			    "  --help      print this\n"
			    "The first MIB of namespace 1 are overwritten and put back at the end.\n";

/* Marsaglia's xorshift: good enough to fill and to wander, and free of system calls. */
static uint64_t random64(void)
{
	static uint64_t state;

	while (!state)
		if (getrandom(&state, sizeof(state), 0) != sizeof(state))
			state = 0;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Moves bytes between the start of the namespace and memory, in commands of one, two and many pages by turns. */
static int move(struct nvme *c, uint8_t opcode, uint64_t iova, uint32_t len, bool mixed)
{
	const uint32_t sizes[] = { NVME_PAGE, 2 * NVME_PAGE, c->max_transfer };
	uint32_t step;

	for (uint32_t done = 0, i = 0; done < len; done += step, i++) {
		step = mixed ? sizes[i % 3] : c->max_transfer;
		if (step > c->max_transfer)
			step = c->max_transfer;
		if (step > len - done)
			step = len - done;
		if (nvme_transfer(c, opcode, done / c->block_size, iova + done, step))
			return -1;
	}
	return 0;
}

/*
 * Random bytes must survive the way to the drive and back. They are written in commands of several sizes and read in
 * large ones, so that a mistake in one kind of command does not undo itself.
 */
static int verify(struct nvme *c, uint32_t len)
{
	uint64_t *written = c->data.vaddr, *got = written + len / 8;
	uint64_t new_at = c->data.iova, got_at = new_at + len, old_at = got_at + len;
	uint32_t differences = 0;

	if (move(c, NVME_READ, old_at, len, false))
		return -1;
	for (uint32_t i = 0; i < len / 8; i++)
		written[i] = random64();
	int bad = move(c, NVME_WRITE, new_at, len, true) || nvme_flush(c) || move(c, NVME_READ, got_at, len, false);
	if (!bad) {
		for (uint32_t i = 0; i < len; i++)
			differences += ((uint8_t *)written)[i] != ((uint8_t *)got)[i];
		printf("wrote %u bytes\ncompared %u bytes, %u differences\n", len, len, differences);
	}
	if (move(c, NVME_WRITE, old_at, len, false) || nvme_flush(c))
		return nvme_fail("the first %u bytes of the namespace could not be put back", len);
	return bad || differences ? -1 : 0;
}

static void submit_read(struct nvme *c, uint32_t slot)
{
	uint64_t block = random64() % c->blocks;
	struct nvme_cmd cmd = { .opcode = NVME_READ,
				.cid = (uint16_t)slot,
				.nsid = 1,
				.prp1 = c->data.iova + (uint64_t)slot * NVME_PAGE,
				.cdw10 = (uint32_t)block,
				.cdw11 = (uint32_t)(block >> 32) };

	nvme_submit(&c->io, &cmd);
}

/*
 * Keeps a number of reads on their way. All completions that are there are taken and replaced, then the doorbell is
 * rung once. The clock is read seldom; with a constant number of reads on their way the mean latency follows from the
 * rate (Little's law).
 */
static int measure(struct nvme *c, uint32_t depth, unsigned int seconds)
{
	const uint64_t start = nvme_now(), end = start + seconds * 1000000000ull;
	uint64_t done = 0, now = start, next_look = 0;
	struct nvme_cqe cqe;

	for (uint32_t slot = 0; slot < depth; slot++)
		submit_read(c, slot);
	nvme_ring(&c->io);
	while (now < end) {
		if (nvme_wait(&c->io, &cqe))
			return -1;
		do {
			if (nvme_check(&cqe))
				return -1;
			submit_read(c, cqe.cid);
			done++;
		} while (nvme_take(&c->io, &cqe));
		nvme_ring(&c->io);
		if (done >= next_look) {
			next_look = done + 64;
			now = nvme_now();
		}
	}
	double elapsed = (double)(now - start) / 1e9, rate = (double)done / elapsed;
	printf("depth %u: %.0f IOPS, %.0f us mean\n", depth, rate, depth / rate * 1e6);

	while (depth--)
		if (nvme_wait(&c->io, &cqe) || nvme_check(&cqe))
			return -1;
	return 0;
}

static int run(struct nvme *c, const struct options *opts)
{
	uint64_t size = c->blocks * c->block_size;
	uint32_t len = opts->mib << 20, max_depth = c->io.entries / 2;
	uint32_t flags = IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE | (opts->huge ? (uint32_t)IOMMUFD_DMA_HUGE : 0);

	printf("backend %s\n", iommufd_backend_name(iommufd_ctx_backend(c->ctx)));
	printf("model %s\nserial %s\nfirmware %s\n", c->model, c->serial, c->firmware);
	printf("namespace %llu blocks of %u bytes\n", (unsigned long long)c->blocks, c->block_size);
	printf("transfers up to %u bytes\nqueue of %u entries, %s\n", c->max_transfer, c->io.entries,
	       opts->interrupts ? "MSI-X" : "polling");
	if (size < len)
		return nvme_fail("the namespace has only %llu bytes", (unsigned long long)size);
	if (opts->depth > max_depth)
		return nvme_fail("this controller's queue allows a depth of at most %u", max_depth);
	if (iommufd_dma_alloc(c->ioas, 3 * (size_t)len, flags, &c->data))
		return nvme_fail_lib();
	if (verify(c, len))
		return -1;
	if (opts->depth)
		return measure(c, opts->depth, opts->seconds);
	return measure(c, 1, opts->seconds) || measure(c, 8, opts->seconds) ? -1 : 0;
}

static unsigned int number(const char *text, unsigned long max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value < 1 || value > max) {
		nvme_fail("%s is not a number from 1 to %lu", text, max);
		exit(2);
	}
	return (unsigned int)value;
}

int main(int argc, char **argv)
{
	static const struct option words[] = { { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	struct options opts = { .address = "0000:00:04.0", .seconds = 2, .mib = 4 };
	struct nvme c;
	int opt, result;

	opterr = 0; /* the usage says it all */
	while ((opt = getopt_long(argc, argv, "d:q:t:s:iH", words, NULL)) != -1) {
		switch (opt) {
		case 'd':
			opts.address = optarg;
			break;
		case 'q':
			opts.depth = number(optarg, NVME_IO_ENTRIES / 2);
			break;
		case 't':
			opts.seconds = number(optarg, 86400);
			break;
		case 's':
			opts.mib = number(optarg, 512);
			break;
		case 'i':
			opts.interrupts = true;
			break;
		case 'H':
			opts.huge = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fputs(usage, stderr);
		return 2;
	}
	result = nvme_open(&c, opts.address, opts.interrupts) || run(&c, &opts);
	if (nvme_close(&c))
		result = -1;
	return result ? 1 : 0;
}
