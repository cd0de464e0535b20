/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdlib.h>

#include "file.h"
#include "internal.h"
#include "object.h"
#include "uapi/iommufd.h"

/* No IOMMU is known to have more holes than this; both bound what a broken answer can cost. */
#define RANGES_MAX 65536
#define TRIES      16

int ifd_object_by_process(const struct ifd_log *log, int fd)
{
	struct iommu_option cmd = { .size = sizeof(cmd),
				    .option_id = IOMMU_OPTION_RLIMIT_MODE,
				    .op = IOMMU_OPTION_OP_GET };
	int ret = ifd_sys_ioctl(log, fd, IOMMU_OPTION, &cmd);

	return ret < 0 ? ret : cmd.val64 != 0;
}

int ifd_object_compat(const struct ifd_log *log, int fd, uint16_t op, uint32_t *id)
{
	struct iommu_vfio_ioas cmd = { .size = sizeof(cmd), .op = op, .ioas_id = *id };
	int ret = ifd_sys_ioctl(log, fd, IOMMU_VFIO_IOAS, &cmd);

	if (!ret)
		*id = cmd.ioas_id;
	return ret;
}

int ifd_object_alloc(struct ifd_object *object)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int ret = ifd_sys_ioctl(object->log, object->fd, IOMMU_IOAS_ALLOC, &cmd);

	if (!ret && !cmd.out_ioas_id)
		ret = -EPROTO;
	if (ret)
		return ifd_fail(ret,
				ret == -EPROTO   ? "the kernel gave no object"
				: ret == -ENOMEM ? "memory is short, or the memory cgroup's limit is reached"
						 : NULL,
				"make an IOAS");
	object->id = cmd.out_ioas_id;
	return 0;
}

/* A queue of page faults, whose descriptor would keep it from being destroyed. */
int ifd_object_alloc_other(struct ifd_object *object)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };
	int ret = ifd_sys_ioctl(object->log, object->fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	if (ret)
		return ret;
	ifd_sys_close((int)cmd.out_fault_fd);
	object->id = cmd.out_fault_id;
	return object->id ? 0 : -EPROTO;
}

void ifd_object_destroy(const struct ifd_object *object)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = object->id };
	int ret;

	/* The kernel may hold it for a moment, on behalf of another call that is about to end. */
	for (int i = 0; i < TRIES; i++) {
		ret = ifd_sys_ioctl(object->log, object->fd, IOMMU_DESTROY, &cmd);
		if (ret != -EBUSY)
			break;
		ifd_sys_sleep_ms(1);
	}
	if (ret)
		ifd_error(object->log, "destroying iommufd object %u: %s", object->id, IFD_STRERROR(ret));
}

static uint32_t kernels_flags(const struct ifd_map *map)
{
	return IOMMU_IOAS_MAP_FIXED_IOVA | (map->flags & IOMMUFD_MAP_READ ? IOMMU_IOAS_MAP_READABLE : 0) |
	       (map->flags & IOMMUFD_MAP_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : 0);
}

static int map_file(const struct ifd_object *object, const struct ifd_map *map)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = kernels_flags(map),
		.ioas_id = object->id,
		.fd = map->file->fd,
		.start = map->vaddr.start - map->file->start,
		.length = ifd_map_len(map),
		.iova = map->iova.start,
	};

	return ifd_sys_ioctl(object->log, object->fd, IOMMU_IOAS_MAP_FILE, &cmd);
}

int ifd_object_copy(const struct ifd_object *object, uint32_t from, const struct ifd_map *map)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = kernels_flags(map),
		.dst_ioas_id = object->id,
		.src_ioas_id = from,
		.length = ifd_map_len(map),
		.dst_iova = map->iova.start,
		.src_iova = map->iova.start,
	};

	return ifd_sys_ioctl(object->log, object->fd, IOMMU_IOAS_COPY, &cmd);
}

int ifd_object_map(const struct ifd_object *object, const struct ifd_map *map)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = kernels_flags(map),
		.ioas_id = object->id,
		.user_va = map->vaddr.start,
		.length = ifd_map_len(map),
		.iova = map->iova.start,
	};

	if (ifd_file_is_kernels(map->file))
		return map_file(object, map);
	return ifd_sys_ioctl(object->log, object->fd, IOMMU_IOAS_MAP, &cmd);
}

/* The number of ranges may change between two calls, so ask until they fit. */
static int ask_limits(const struct ifd_object *object, struct iommufd_range **ranges, size_t *count,
		      uint64_t *alignment)
{
	uint32_t room = 16;

	for (int i = 0; i < TRIES; i++) {
		struct iommufd_range *mine = calloc(room, sizeof(*mine));
		struct iommu_ioas_iova_ranges cmd = { .size = sizeof(cmd), .ioas_id = object->id, .num_iovas = room };
		int ret;

		if (!mine)
			return ifd_fail(-ENOMEM, NULL, "ask for the permitted IOVAs");
		cmd.allowed_iovas = (uintptr_t)mine;
		ret = ifd_sys_ioctl(object->log, object->fd, IOMMU_IOAS_IOVA_RANGES, &cmd);
		if (!ret && cmd.num_iovas <= room) {
			*ranges = mine;
			*count = cmd.num_iovas;
			*alignment = cmd.out_iova_alignment;
			return 0;
		}
		free(mine);
		if (ret != -EMSGSIZE || cmd.num_iovas <= room || cmd.num_iovas > RANGES_MAX)
			return ifd_fail(ret && ret != -EMSGSIZE ? ret : -EPROTO, NULL, "ask for the permitted IOVAs");
		room = cmd.num_iovas;
	}
	return ifd_fail(-EPROTO, "their number keeps growing", "ask for the permitted IOVAs");
}

int ifd_object_limits(const struct ifd_object *object, struct iommufd_range **ranges, size_t *count,
		      uint64_t *alignment)
{
	struct iommufd_range *mine = NULL;
	uint64_t align = 0;
	size_t n = 0;
	int ret = ask_limits(object, &mine, &n, &align);

	if (ret)
		return ret;
	ret = ifd_check_limits(mine, n, align);
	if (ret) {
		free(mine);
		return ret;
	}
	*ranges = mine;
	*count = n;
	*alignment = align;
	return 0;
}
