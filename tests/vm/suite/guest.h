/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A virtual machine inside of the test machine: one CPU in real mode, 64 KiB of memory, the registers of an edu device,
 * and some instructions that do what they are told. For x86.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stddef.h>
#include <stdint.h>

struct guest {
	int kvm, vm, cpu;
	void *ram, *run;
	size_t run_len;
};

/* Lines of the VM: one by message, four in a row, and one by the old interrupt controller. */
#define GUEST_MSI  24
#define GUEST_INTX 10

/* What the guest can be told to do. Both that wait do so until a handler has run, however late the interrupt comes. */
enum {
	GUEST_RAISE, /* have edu interrupt, and wait */
	GUEST_WAIT,
	GUEST_LOOK, /* handle what is there already */
};

/* The VM is ready for interrupts then. */
void guest_open(struct guest *guest);
void guest_close(struct guest *guest);

/* The guest sees the first page of an edu device's registers. */
void guest_give(struct guest *guest, void *bar);

void guest_do(struct guest *guest, unsigned char what);

/* How often the handler of a line has run, and how often edu was the reason. Both begin again behind 255. */
unsigned int guest_calls(const struct guest *guest, unsigned int gsi);
unsigned int guest_count(const struct guest *guest, unsigned int gsi);

#endif
