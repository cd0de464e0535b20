/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the example does with a drive.
 *
 * main.c    reads the options
 * drive.c   proves that data survives the way there and back, then measures
 * region.c  keeps what is overwritten, and puts it back
 * load.c    keeps commands on their way
 * compare.c lets this driver and the kernel's take turns
 * kernel.c  the same load through the kernel's driver
 * stats.c   percentiles and medians
 */
#ifndef BENCH_H
#define BENCH_H

#include "nvme.h"

#include <signal.h>

enum {
	MAX_DEPTH = NVME_IO_ENTRIES / 2, /* the other half is for completions not given back yet */
	MAX_TIMES = 99,
};

struct options {
	const char *address;
	uint32_t depth; /* commands on their way in a queue; 0 for first 1, then 8 */
	uint32_t queues;
	uint32_t bytes; /* in a command; 0 for one block */
	uint32_t seconds;
	uint32_t times; /* how often all is measured; 0 where nothing was said */
	uint32_t mib;
	uint32_t looks; /* how often no completion must be found before a doorbell is rung */
	bool write;
	bool sequential;
	bool latency;
	bool interrupts;
	bool huge;
	bool compare;
};

/* The depths that are to be measured; how many there are is the result. */
uint32_t options_depths(const struct options *opts, uint32_t depths[2]);
/* Prints what is going to be measured. */
void options_tell_load(const struct options *opts);

/* The signal that asked the program to stop, or 0. Who works for longer looks at it. */
extern volatile sig_atomic_t stopped;

/* Marsaglia's xorshift: good enough to fill and to wander, and free of system calls. */
uint64_t random64(void);
/* Random bytes, whole words of them: what is written, by whichever driver. */
void fill(void *to, size_t len);

/* How many bytes are others. */
uint32_t differences(const uint8_t *a, const uint8_t *b, uint32_t len);

/* The start of the namespace, which is overwritten. */
struct region {
	uint32_t len;
	bool dirty; /* the drive may have other bytes there than were saved */
};

/* Reads what is there. */
int region_save(struct nvme *c, struct region *r, const struct options *opts);
/* Writes other bytes, reads them and compares. They stay there. */
int region_verify(struct nvme *c, struct region *r);
/* Puts back what was saved, where anything else was written, and reads it to be sure. Tells how much it could not. */
int region_put_back(struct nvme *c, struct region *r);

/* Places of equal size, one after the other or at random. */
struct places {
	uint64_t count, next;
	bool sequential;
};

uint64_t places_take(struct places *p);

struct latency;

/* Commands of one kind. */
struct load {
	struct nvme *c;
	struct places places;
	uint32_t blocks;       /* in a command */
	uint32_t slots;        /* in a queue, of which there are that many commands at most */
	struct nvme_cmd *cmds; /* one a slot, complete but for the block */
	uint64_t *since;       /* when it was submitted, where somebody asks */
	uint32_t looks;        /* as in the options */
};

/* Makes buffers and commands for up to `slots` at once in each queue. Places are the first `len` bytes. */
int load_new(struct load *l, struct nvme *c, const struct options *opts, uint32_t slots, uint64_t len);
void load_free(struct load *l);
/* Keeps so many commands on their way in each queue, and tells how many were done in a second. */
int load_rate(struct load *l, uint32_t depth, uint32_t seconds, double *rate);
/* The same, and gathers how long each took. The clock is read more often, so the rate is another. */
int load_latency(struct load *l, uint32_t depth, uint32_t seconds, struct latency *out);

enum {
	LATENCY_STEPS = 32, /* in each power of two: what is told is too large by 3 % at most */
};

/* How often a command took how long. */
struct latency {
	uint64_t count, max;
	uint64_t buckets[60 * LATENCY_STEPS];
};

void latency_add(struct latency *l, uint64_t ns);
/* The time in which that part of the commands was done. */
uint64_t latency_at(const struct latency *l, double part);
/* Sorts the values. */
double median(double *values, uint32_t count);

/* All that the program does with a drive that is bound to VFIO. */
int drive(const struct options *opts);
/* The rate of this driver at each of the depths; also gives what the kernel's driver needs to do the same. */
int drive_rates(const struct options *opts, uint32_t backend, double *rates, uint32_t *bytes, uint64_t *size);
/* Both drivers, in turns. */
int compare(const struct options *opts);

/* How the kernel's driver did it. */
struct kernel_way {
	uint32_t queues; /* of the hardware */
	bool merging;    /* commands of neighbouring blocks may have become one */
};

/* The rate of the kernel's driver at each of the depths, with commands of so many bytes on a drive of that size. */
int kernel_rates(const struct options *opts, uint32_t bytes, uint64_t size, double *rates, struct kernel_way *way);

#endif
