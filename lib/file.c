/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What mappings of a file have in common. */
#include <stdlib.h>

#include "file.h"
#include "internal.h"
#include "peer.h"
#include "sys.h"

struct ifd_file *ifd_file_get(struct ifd_file *file)
{
	if (file)
		atomic_fetch_add(&file->refs, 1);
	return file;
}

void ifd_file_put(struct ifd_file *file)
{
	bool here = true;

	if (!file || atomic_fetch_sub(&file->refs, 1) != 1)
		return;
	/* A child process never had the window of a device, and something else of its own may be there. */
	if (file->peer) {
		here = !ifd_in_child(file->peer->ctx);
		ifd_peer_free(file->peer);
	}
	if (file->window && here)
		ifd_sys_munmap(file->window, file->len);
	free(file);
}

uint64_t ifd_file_offset(const struct ifd_map *map)
{
	const struct ifd_file *file = map->file;

	return file->window && !file->peer ? map->vaddr.start - (uintptr_t)file->window + file->start
					   : map->vaddr.start;
}
