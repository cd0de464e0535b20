/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Who has a device or its group open, as far as /proc lets us see. Internal. */
#ifndef IFD_HOLDERS_H
#define IFD_HOLDERS_H

#include <stdbool.h>

struct ifd_found;

/*
 * Appends to a hint which processes have the node of the device's group open, or a device of that group; `but` is a
 * descriptor of this process, or -1: the file that it has open does not count, in whosever hands. False, and nothing
 * appended, when none can be seen.
 */
bool ifd_hint_holders(char *hint, const struct ifd_found *found, int but);

#endif
