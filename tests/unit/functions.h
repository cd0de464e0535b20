/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A physical function with a virtual one, in a folder that looks like sysfs. */
#ifndef FUNCTIONS_H
#define FUNCTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define FUNCTIONS_PF    "0000:06:00.0"
#define FUNCTIONS_VF    "0000:06:00.1"
#define FUNCTIONS_PLAIN "0000:06:00.2"

/* `has` says whether the virtual one is there. Both are bound to vfio-pci; the physical one can have four. */
void functions_open(bool has);

/* The physical function is bound to a driver; "vfio-pci" is the one of VFIO, and NULL none. */
void functions_bind_pf(const char *driver);

/* A file of the physical function. The first makes it, or with NULL takes it away. */
void functions_write(const char *name, const char *text);
void functions_check(const char *name, const char *text);

/* A link of the virtual function leads elsewhere. */
void functions_link(const char *name, const char *target);

/* A second virtual function, which a driver of the kernel has. */
void functions_add_plain(void);

/* The virtual function is not where it was any more. */
void functions_lose_vf(void);

void functions_close(void);

#endif
