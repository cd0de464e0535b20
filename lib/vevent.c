/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>

#include "internal.h"
#include "uapi/iommufd.h"
#include "viommu.h"

/* No vendor's event is known to have more than 32 bytes. */
#define DATA_MAX 4096u

/* The kernel's numbers go from 0 to INT_MAX, and on from 0. */
#define SEQUENCE_MASK ((uint32_t)INT_MAX)

struct iommufd_veventq {
	struct ifd_handle handle; /* needs the virtual IOMMU */
	pthread_mutex_t lock;     /* reading, and what follows; a leaf */
	uint32_t next;            /* the number that the next event has, modulo 2^31, when none was lost */
};

static const struct ifd_reason refusals[] = {
	{ -EEXIST, "the virtual IOMMU has a queue of this type: use that one, or free it" },
	{ -EOPNOTSUPP, "give one of IOMMU_VEVENTQ_TYPE_*, which is not 0" },
	{ -EMFILE, "raise the limit of open files, see ulimit -n" },
	{ -ENOENT, "the virtual IOMMU's object is gone" },
	{ 0, NULL },
};

static void leave(struct ifd_handle *handle)
{
	pthread_mutex_destroy(&((struct iommufd_veventq *)handle)->lock);
}

EXPORT int iommufd_veventq_new(struct iommufd_viommu *viommu, uint32_t type, uint32_t depth,
			       struct iommufd_veventq **out)
{
	static const char what[] = "make a queue of events";
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd), .viommu_id = viommu->handle.id, .type = type, .veventq_depth = depth
	};
	struct iommufd_ctx *ctx = viommu->handle.ctx;
	struct iommufd_veventq *q;
	int ret = ifd_ctx_check(ctx, what);

	if (ret)
		return ret;
	if (!depth || depth > IOMMUFD_VEVENTQ_MAX_DEPTH)
		return ifd_fail(-EINVAL, "1 to IOMMUFD_VEVENTQ_MAX_DEPTH are possible", "%s with room for %" PRIu32,
				what, depth);
	q = ifd_handle_new(ctx, sizeof(*q));
	if (!q)
		return ifd_fail(-ENOMEM, NULL, "%s", what);
	pthread_mutex_init(&q->lock, NULL);
	q->handle.leave = leave;
	ifd_handle_need(&q->handle, &viommu->handle);
	ret = ifd_handle_make(&q->handle, IOMMU_VEVENTQ_ALLOC, &cmd, &cmd.out_veventq_id, &cmd.out_veventq_fd);
	ret = ifd_handle_made(&q->handle, ret, IOMMU_VEVENTQ_ALLOC, refusals, what);
	if (!ret)
		*out = q;
	return ret;
}

EXPORT void iommufd_veventq_free(struct iommufd_veventq *q)
{
	if (q)
		ifd_handle_put(&q->handle);
}

EXPORT int iommufd_veventq_fd(const struct iommufd_veventq *q)
{
	int ret = ifd_ctx_check(q->handle.ctx, "file descriptor of a queue of events");

	return ret ? ret : q->handle.fd;
}

struct entry {
	struct iommufd_vevent_header header;
	unsigned char data[DATA_MAX];
};

/*
 * The kernel gives as many events as fit, does not tell where one ends, and has its own idea of their length. So it is
 * asked for a header, then for a little more, until the first event fits: what it has too much is less than a header,
 * in which no second one fits. Returns the bytes of that event, with its header.
 */
static ssize_t read_one(const struct iommufd_veventq *q, struct entry *entry, size_t size)
{
	const size_t header = sizeof(entry->header);
	ssize_t n;

	for (size_t room = 0;; room = room + header < size ? room + header : size) {
		n = ifd_sys_read(q->handle.fd, entry, header + room);
		if (n != -EINVAL || room == size)
			break;
	}
	if (n == -EINVAL)
		return -EMSGSIZE;
	return n > 0 && (size_t)n < header ? -EPROTO : n;
}

static ssize_t read_locked(struct iommufd_veventq *q, struct iommufd_vevent *event, void *data, size_t size)
{
	struct entry entry;
	ssize_t n = read_one(q, &entry, size < DATA_MAX ? size : DATA_MAX);
	size_t len;
	bool only_lost;

	if (n <= 0)
		return n;
	len = (size_t)n - sizeof(entry.header);
	only_lost = entry.header.flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
	if (len > size || len > DATA_MAX || only_lost != !len || entry.header.sequence > SEQUENCE_MASK)
		return -EPROTO;
	*event = (struct iommufd_vevent){
		.sequence = entry.header.sequence,
		.lost = ((entry.header.sequence - q->next) & SEQUENCE_MASK) + only_lost,
		.len = (uint32_t)len,
	};
	event->flags = event->lost ? IOMMUFD_VEVENT_LOST : 0;
	q->next = entry.header.sequence + 1;
	if (len)
		memcpy(data, entry.data, len);
	return 1;
}

EXPORT int iommufd_veventq_read(struct iommufd_veventq *q, struct iommufd_vevent *event, void *data, size_t size)
{
	ssize_t n = ifd_ctx_check(q->handle.ctx, "read an event");

	if (n)
		return (int)n;
	pthread_mutex_lock(&q->lock);
	n = read_locked(q, event, data, size);
	pthread_mutex_unlock(&q->lock);
	if (n < 0)
		return ifd_fail((int)n, n == -EMSGSIZE ? "the next one has more data: give more room" : NULL,
				"read an event with up to %zu bytes of data", size);
	return (int)n;
}
