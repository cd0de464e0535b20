/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Mappings of files. Where the kernel maps a file by itself, nobody knows an address for it, and vaddr of such a
 * mapping is the place in the file. Elsewhere the library maps the file into the process, and that. A device's memory
 * is such a file too, whose bytes are those of the region: see peer.h. Internal.
 */
#ifndef IFD_FILE_H
#define IFD_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ifd_index;
struct ifd_map;
struct ifd_peer;
struct iommufd_ctx;
struct iommufd_ioas;

struct ifd_file {
	atomic_uint refs; /* mappings that are of it */
	int fd;           /* the caller's, while the kernel is asked to map it for the first time */
	bool dmabuf;
	void *window; /* in the process, or NULL */
	size_t len;
	uint64_t start;        /* of the window, in the file */
	struct ifd_peer *peer; /* a device's memory, for which the two above may come and go; else NULL */
};

/* Both take NULL for a mapping that is of no file. The last one closes the window. */
struct ifd_file *ifd_file_get(struct ifd_file *file);
void ifd_file_put(struct ifd_file *file);

/* Where a mapping begins in its file. */
uint64_t ifd_file_offset(const struct ifd_map *map);

/* Whether the kernel has to be asked for a file, and not for memory of the process. */
static inline bool ifd_file_is_kernels(const struct ifd_file *file)
{
	return file && !file->window;
}

/* map-file.c: 1 when the kernel maps files, 0 when that is up to the library; or -errno with words. */
int ifd_file_kernel_maps(struct iommufd_ctx *ctx);

/* map-file.c: devices without an IOMMU find memory by its address, which no file has. -EOPNOTSUPP with words. */
int ifd_file_fail_physical(const char *what);
bool ifd_file_is_mapped(struct ifd_index *index);

#endif
