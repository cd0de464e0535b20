/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the tests of virtual functions share. */
#ifndef SRIOV_H
#define SRIOV_H

#include "vm.h"

#define DRIVE     "0000:03:00.0" /* an NVMe drive that can have four virtual functions */
#define DRIVE_VFS 4u
#define CARD      "0000:02:00.0" /* igb, with eight; nothing in the kernel drives it here */
#define CARD_VFS  8u

extern const unsigned char vf_token[16], other_token[16];

/* What an earlier test left behind would be in the way. */
void vfs_none(const char *pf);

/* Opens a device with a token, or with NULL without. */
int vf_open_with(struct bed *bed, const char *address, const unsigned char *token);

/* The address of a virtual function, until the next call. */
const char *vf_of(const char *pf, uint32_t index);

#endif
