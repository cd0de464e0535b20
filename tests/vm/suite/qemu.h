/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Commands for the QEMU that runs this machine, as its monitor takes them; root alone can give them. */
#ifndef QEMU_H
#define QEMU_H

#include <stdbool.h>
#include <stddef.h>

/* Gives a command, and fails the test when QEMU answers with anything: what succeeds says nothing. */
void vm_qemu(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same of commands that answer; the answer, cut off at `size`. */
void vm_qemu_ask(char *answer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Whether QEMU has a device with this id. It is gone some moments after the guest has let it go. */
bool vm_qemu_has(const char *id);

#endif
