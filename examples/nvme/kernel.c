/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The same load through the kernel's own driver: the disk opened with O_DIRECT, one thread. A single command at a time
 * is a pread(), the shortest way; more go through libaio, which takes all that are done and submits as many at once.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libaio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct disk {
	char path[512]; /* in /sys */
	char node[64];
	int fd;
	io_context_t aio;
	struct places places;
	uint32_t bytes, region;
	bool write;
	size_t room;    /* of a buffer, which begins with a page, as in load.c */
	char *buffers;  /* one for each command on its way */
	uint8_t *saved; /* the region, where it is written to, and then the same room to read it again */
};

/* The disk of namespace 1. The kernel may have a path to it here, hidden (nvme0c1n1), of the disk nvme0n1. */
static int find_disk(struct disk *d, const char *address)
{
	unsigned int system, path;
	glob_t found;

	snprintf(d->path, sizeof(d->path), "%s%s/nvme/nvme*/nvme*n1", *address == '/' ? "" : "/sys/bus/pci/devices/",
		 address);
	if (glob(d->path, 0, NULL, &found))
		return -1;
	snprintf(d->path, sizeof(d->path), "%s", found.gl_pathv[0]);
	globfree(&found);
	const char *name = strrchr(d->path, '/') + 1;
	if (sscanf(name, "nvme%uc%un", &system, &path) == 2)
		snprintf(d->node, sizeof(d->node), "/dev/nvme%un1", system);
	else
		snprintf(d->node, sizeof(d->node), "/dev/%s", name);
	return 0;
}

/*
 * The driver looks at the drive after it was bound, and devtmpfs makes the node then. It is opened for nobody else:
 * what finds its file system or its part of an array there, and takes it, comes first and keeps it, or comes too late.
 */
static int open_disk(struct disk *d, const char *address)
{
	const uint64_t end = nvme_now() + 10 * 1000000000ull;

	do {
		if (!find_disk(d, address)) {
			d->fd = open(d->node, (d->write ? O_RDWR : O_RDONLY) | O_EXCL | O_DIRECT | O_CLOEXEC);
			if (d->fd >= 0)
				return 0;
			if (errno == EBUSY)
				return nvme_fail(
					"%s is in use since the kernel's driver has it (mounted, swapped to, or a part "
					"of an array): nothing was measured or overwritten",
					d->node);
		}
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	} while (nvme_now() < end && !stopped);
	return nvme_fail("the disk of %s cannot be opened (%s): %s", address, *d->node ? d->node : "its node",
			 strerror(errno));
}

/* One command must stay one: without merging, the drive gets the same commands as from this driver. */
static bool forbid_merging(const struct disk *d)
{
	char path[sizeof(d->path) + 32];

	snprintf(path, sizeof(path), "%s/queue/nomerges", d->path);
	FILE *file = fopen(path, "we");
	if (!file)
		return false;
	bool said = fputs("2", file) >= 0;
	return !fclose(file) && said;
}

static uint32_t hardware_queues(const struct disk *d)
{
	char pattern[sizeof(d->path) + 32];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/mq/*", d->path);
	if (glob(pattern, 0, NULL, &found))
		return 0;
	uint32_t count = (uint32_t)found.gl_pathc;
	globfree(&found);
	return count;
}

static int read_region(const struct disk *d, uint8_t *to)
{
	ssize_t n;

	for (uint32_t done = 0; done < d->region; done += (uint32_t)n) {
		n = pread(d->fd, to + done, d->region - done, done);
		if (n <= 0)
			return nvme_fail("the kernel's driver: %s", n ? strerror(errno) : "the disk ends");
	}
	return 0;
}

/* In small parts, so that one bad block is all that is lost, and read to be sure. */
static int put_back(const struct disk *d)
{
	uint32_t lost = 0;

	for (uint32_t at = 0; at < d->region; at += NVME_PAGE)
		if (pwrite(d->fd, d->saved + at, NVME_PAGE, at) != NVME_PAGE)
			lost += NVME_PAGE;
	if (fsync(d->fd) || (!lost && read_region(d, d->saved + d->region)))
		return nvme_fail("whether the first %u bytes of the namespace were put back is not known", d->region);
	if (!lost)
		lost = differences(d->saved, d->saved + d->region, d->region);
	if (lost)
		return nvme_fail("%u of the first %u bytes of the namespace could not be put back", lost, d->region);
	return 0;
}

/* One command after the other. */
static int run_alone(struct disk *d, uint64_t end, uint64_t *done)
{
	for (uint64_t now = 0; now < end && !stopped;) {
		off_t at = (off_t)(places_take(&d->places) * d->bytes);
		ssize_t n = d->write ? pwrite(d->fd, d->buffers, d->bytes, at) : pread(d->fd, d->buffers, d->bytes, at);
		if (n != (ssize_t)d->bytes)
			return nvme_fail("the kernel's driver: %s", n < 0 ? strerror(errno) : "a part was moved");
		if (++*done % 64 == 0)
			now = nvme_now();
	}
	return 0;
}

static void set_command(struct disk *d, struct iocb *command, char *buffer)
{
	long long at = (long long)(places_take(&d->places) * d->bytes);

	if (d->write)
		io_prep_pwrite(command, d->fd, buffer, d->bytes, at);
	else
		io_prep_pread(command, d->fd, buffer, d->bytes, at);
}

static int submit_all(struct disk *d, struct iocb **commands, int count)
{
	int n, sent;

	for (sent = 0; sent<count; sent += n> 0 ? n : 0) {
		n = io_submit(d->aio, count - sent, commands + sent);
		if (n <= 0 && n != -EAGAIN && n != -EINTR)
			return nvme_fail("the kernel's driver: io_submit: %s", strerror(-n));
	}
	return 0;
}

/* Several at once. What is on its way at the end is waited for by io_destroy(), before anything is put back. */
static int run_many(struct disk *d, uint32_t depth, uint64_t end, uint64_t *done)
{
	static struct iocb commands[MAX_DEPTH * NVME_MAX_QUEUES], *these[MAX_DEPTH * NVME_MAX_QUEUES];
	static struct io_event events[MAX_DEPTH * NVME_MAX_QUEUES];
	int count = (int)depth;
	uint64_t next_look = 0;

	for (uint32_t i = 0; i < depth; i++) {
		these[i] = &commands[i];
		set_command(d, these[i], d->buffers + i * d->room);
	}
	for (uint64_t now = 0; now < end && !stopped;) {
		if (submit_all(d, these, count))
			return -1;
		count = io_getevents(d->aio, 1, depth, events, NULL);
		if (count < 0 && count != -EINTR)
			return nvme_fail("the kernel's driver: io_getevents: %s", strerror(-count));
		count = count < 0 ? 0 : count;
		for (int i = 0; i < count; i++) {
			if (events[i].res != d->bytes)
				return nvme_fail("the kernel's driver: a command failed: %ld", (long)events[i].res);
			these[i] = events[i].obj;
			set_command(d, these[i], these[i]->u.c.buf);
		}
		*done += (uint32_t)count;
		if (*done >= next_look) {
			next_look = *done + 64;
			now = nvme_now();
		}
	}
	return 0;
}

static int rate_at(struct disk *d, uint32_t depth, uint32_t seconds, double *rate)
{
	uint64_t done = 0, start, end;
	int result;

	if (depth > 1) {
		d->aio = NULL;
		int error = io_setup((int)depth, &d->aio);
		if (error)
			return nvme_fail("the kernel's driver: io_setup: %s", strerror(-error));
	}
	start = nvme_now();
	end = start + seconds * 1000000000ull;
	result = depth > 1 ? run_many(d, depth, end, &done) : run_alone(d, end, &done);
	*rate = (double)done / ((double)(nvme_now() - start) / 1e9);
	if (depth > 1)
		io_destroy(d->aio);
	return result;
}

/* The drive gets random bytes, as in load.c: it may be quicker with zeros. Pages that are read to are there before. */
static int allocate(struct disk *d, uint32_t commands)
{
	void *buffers = NULL, *saved = NULL;

	d->room = (d->bytes + NVME_PAGE - 1) / NVME_PAGE * (size_t)NVME_PAGE;
	if (posix_memalign(&buffers, NVME_PAGE, commands * d->room) ||
	    (d->write && posix_memalign(&saved, NVME_PAGE, 2 * (size_t)d->region)))
		nvme_fail("no memory");
	d->buffers = buffers;
	d->saved = saved;
	if (!buffers || (d->write && !saved))
		return -1;
	fill(buffers, commands * d->room);
	return 0;
}

int kernel_rates(const struct options *opts, uint32_t bytes, uint64_t size, double *rates, struct kernel_way *way)
{
	uint32_t depths[2], count = options_depths(opts, depths);
	struct disk d = { .bytes = bytes, .region = opts->mib << 20, .write = opts->write };
	bool dirty = false;
	int result;

	d.places = (struct places){ .count = (d.write ? d.region : size) / bytes, .sequential = opts->sequential };
	if (open_disk(&d, opts->address))
		return -1;
	*way = (struct kernel_way){ .queues = hardware_queues(&d), .merging = !forbid_merging(&d) };
	result = allocate(&d, depths[count - 1] * opts->queues);
	if (!result && d.write)
		result = read_region(&d, d.saved);
	dirty = !result && d.write;
	for (uint32_t i = 0; i < count && !result && !stopped; i++)
		result = rate_at(&d, depths[i] * opts->queues, opts->seconds, &rates[i]);
	if (dirty && put_back(&d))
		result = -1;
	close(d.fd);
	free(d.buffers);
	free(d.saved);
	return result;
}
