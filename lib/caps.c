/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "caps.h"
#include "internal.h"
#include "uapi/vfio.h"

#define ANSWER_MAX (1u << 20)
#define TRIES      8

int ifd_caps_ioctl(const struct ifd_log *log, int fd, unsigned long request, const void *arg, size_t size,
		   void **answer, size_t *len)
{
	uint32_t room = (uint32_t)size;

	for (int i = 0; i < TRIES; i++) {
		void *buf = calloc(1, room);
		uint32_t needed;
		int ret;

		if (!buf)
			return -ENOMEM;
		memcpy(buf, arg, size);
		memcpy(buf, &room, sizeof(room));
		ret = ifd_sys_ioctl(log, fd, request, buf);
		memcpy(&needed, buf, sizeof(needed));
		if (!ret && needed <= room) {
			*answer = buf;
			*len = room;
			return 0;
		}
		free(buf);
		if (ret)
			return ret;
		if (needed > ANSWER_MAX)
			return -EPROTO;
		room = needed;
	}
	return -EPROTO;
}

const void *ifd_caps_find(const void *answer, size_t len, uint32_t first, uint16_t id, size_t size, size_t *room)
{
	uint32_t at = first;

	/* A chain without loops has no more links than fit. */
	for (size_t links = len / sizeof(struct vfio_info_cap_header); at && links; links--) {
		struct vfio_info_cap_header header;

		if (at > len || len - at < sizeof(header))
			return NULL;
		memcpy(&header, (const char *)answer + at, sizeof(header));
		if (header.id == id) {
			*room = len - at;
			return *room >= size ? (const char *)answer + at : NULL;
		}
		at = header.next;
	}
	return NULL;
}
