/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What a kernel in its right mind answers to each ioctl, and where in the answer a lie can be put. */
#ifndef FUZZ_ANSWERS_H
#define FUZZ_ANSWERS_H

#include "fuzz-kernel.h"

/* An open file. What is kept is what later answers depend on. */
struct fuzz_file {
	bool open, noiommu;
	enum fuzz_kind kind;
	unsigned int groups; /* container: how many it has, and the type that it was set to */
	unsigned int type;
	int container;   /* group: the descriptor of the one that it is in */
	uint32_t compat; /* iommufd: the compat IOAS */
	uint32_t state;  /* device: when it is moved */
};

/* NULL where nothing is open; the second one fails the run then. */
struct fuzz_file *fuzz_file(int fd);
struct fuzz_file *fuzz_file_of(int fd);

/* 0 or more, or -errno. */
int fuzz_answer(struct fuzz_file *file, unsigned long request, void *arg);

/* The memory that the answer is in: one piece, or two where there is an array beside it. 0 where there is none. */
struct fuzz_span {
	void *at;
	size_t size;
};
size_t fuzz_answer_spans(const struct fuzz_file *file, unsigned long request, void *arg, struct fuzz_span spans[2]);

bool fuzz_is_unmap(unsigned long request);

/* Whether the answer has a descriptor in it, of which a kernel that says something else than 0 could tell nobody. */
bool fuzz_gives_file(const struct fuzz_file *file, unsigned long request, const void *arg);
void fuzz_answers_start(void);

/* Of the stream: a byte, and a number that is likely to hurt; `now` is what it would be otherwise. */
uint8_t fuzz_byte(void);
uint64_t fuzz_number(uint64_t now);
bool fuzz_dry(void);

/* 0, or seldom a negative errno. */
int fuzz_mood(void);

/*
 * An ioctl that is known here: the answer, and how much the kernel writes to: 0 for nothing, 1 for as much as argsz
 * says.
 */
struct fuzz_ioctl {
	unsigned long request;
	int (*answer)(struct fuzz_file *file, void *arg);
	size_t size;
};

/* In fuzz-answers-objects.c: those on objects of an iommufd, and on dirty pages. An empty one ends it. */
extern const struct fuzz_ioctl fuzz_object_ioctls[];

/*
 * In fuzz-answers-layer.c: those of devices, which share numbers with others, and the rest; and whether a file comes.
 */
extern const struct fuzz_ioctl fuzz_device_ioctls[], fuzz_other_ioctls[];
bool fuzz_feature_gives_file(const void *arg);

uint32_t fuzz_new_id(void);
void fuzz_check_map(uint64_t iova, uint64_t len);
void fuzz_dirty_bits(uint64_t bitmap, uint64_t size);

#endif
