/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Two descriptors, and what they are, over a Unix socket. */
#ifndef FDS_H
#define FDS_H

#include <stdint.h>

struct message {
	uint32_t backend;
	int by_node; /* the device's own node, not its group's */
};

_Noreturn void die(const char *what);

void hand_over(int to, struct message *message, const int fds[2]);
void take(int from, struct message *message, int fds[2]);

/* drive.c: takes them, and lets the device move data. */
void drive(int from, const char *address);

#endif
