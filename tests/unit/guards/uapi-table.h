/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Every declaration of lib/uapi, one a line and in a file for each of the kernel's headers, for whoever defines these
 * four:
 *
 * STRUCT(type)          its size and alignment
 * MEMBER(type, member)  its offset, size and sign
 * TAIL(type, member)    the same of an array without a length
 * NUMBER(name)          the value of a constant or an ioctl number
 */
#include "uapi-iommufd.h"
#include "uapi-kvm.h"
#include "uapi-pagemap.h"
#include "uapi-vfio.h"
