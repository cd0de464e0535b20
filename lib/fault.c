/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "fault.h"
#include "hwpt.h"
#include "internal.h"
#include "uapi/iommufd.h"

/* What one read takes at most. The kernel cuts longer reads off at 2 GiB, in the middle of a fault. */
#define READ_MAX (1u << 20)

/* The two have the same size, so that the caller's memory serves for the read. */
_Static_assert(sizeof(struct iommufd_fault) == sizeof(struct iommu_hwpt_pgfault), "both are one fault");
_Static_assert(IOMMUFD_FAULT_PASID == (int)IOMMU_PGFAULT_FLAGS_PASID_VALID &&
		       IOMMUFD_FAULT_LAST == (int)IOMMU_PGFAULT_FLAGS_LAST_PAGE &&
		       IOMMUFD_FAULT_READ == (int)IOMMU_PGFAULT_PERM_READ &&
		       IOMMUFD_FAULT_PRIV == (int)IOMMU_PGFAULT_PERM_PRIV &&
		       IOMMUFD_FAULT_INVALID == (int)IOMMUFD_PAGE_RESP_INVALID,
	       "the numbers are the kernel's");

/*
 * A group that waits for its answer. The kernel gives the lowest number that is free, also that of one that it has just
 * answered by itself. Hence the generation, which makes the rest of our cookie.
 */
struct ifd_fault_group {
	uint32_t cookie, generation;
	uint32_t device_id, pasid; /* PASID 0 for the device itself */
};

static void leave(struct ifd_handle *handle)
{
	struct iommufd_faultq *q = (struct iommufd_faultq *)handle;

	free(q->groups);
	pthread_mutex_destroy(&q->lock);
}

static const struct ifd_reason refusals[] = {
	{ -EMFILE, "raise the limit of open files, see ulimit -n" },
	{ 0, NULL },
};

EXPORT int iommufd_faultq_new(struct iommufd_ctx *ctx, struct iommufd_faultq **out)
{
	static const char what[] = "make a queue of page faults";
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };
	struct iommufd_faultq *q;
	int ret = ifd_ctx_check(ctx, what);

	if (ret)
		return ret;
	q = ifd_handle_new(ctx, sizeof(*q));
	if (!q)
		return ifd_fail(-ENOMEM, NULL, "%s", what);
	pthread_mutex_init(&q->lock, NULL);
	q->handle.leave = leave;
	ret = ifd_handle_make(&q->handle, IOMMU_FAULT_QUEUE_ALLOC, &cmd, &cmd.out_fault_id, &cmd.out_fault_fd);
	ret = ifd_handle_made(&q->handle, ret, IOMMU_FAULT_QUEUE_ALLOC, refusals, what);
	if (!ret)
		*out = q;
	return ret;
}

EXPORT void iommufd_faultq_free(struct iommufd_faultq *q)
{
	if (q)
		ifd_handle_put(&q->handle);
}

EXPORT int iommufd_faultq_fd(const struct iommufd_faultq *q)
{
	int ret = ifd_ctx_check(q->handle.ctx, "file descriptor of a queue of page faults");

	return ret ? ret : q->handle.fd;
}

/* ---- The groups. All with the lock held. ---- */

static struct ifd_fault_group *find(struct iommufd_faultq *q, uint32_t cookie)
{
	for (size_t i = 0; i < q->num_groups; i++)
		if (q->groups[i].cookie == cookie)
			return &q->groups[i];
	return NULL;
}

static void forget(struct iommufd_faultq *q, struct ifd_fault_group *group)
{
	*group = q->groups[--q->num_groups];
}

/*
 * Before a read: what was taken out of the kernel and could not be noted could never be answered. The old array is
 * freed last, since a child process that begins to be in between frees the one that the queue has.
 */
static int make_room(struct iommufd_faultq *q, size_t more)
{
	struct ifd_fault_group *groups, *old = q->groups;
	size_t room = q->num_groups + more;

	if (room <= q->room)
		return 0;
	room = room > 2 * q->room ? room : 2 * q->room;
	groups = calloc(room, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	if (q->num_groups)
		memcpy(groups, old, q->num_groups * sizeof(*groups));
	q->groups = groups;
	q->room = room;
	free(old);
	return 0;
}

/* A number that is there already is one that the kernel has answered by itself, and given to another group since. */
static void note(struct iommufd_faultq *q, const struct iommu_hwpt_pgfault *fault)
{
	struct ifd_fault_group *group = find(q, fault->cookie);

	if (!group)
		group = &q->groups[q->num_groups++];
	if (!++q->generation)
		q->generation = 1;
	*group = (struct ifd_fault_group){
		.cookie = fault->cookie,
		.generation = q->generation,
		.device_id = fault->dev_id,
		.pasid = fault->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID ? fault->pasid : 0,
	};
}

/* From the kernel's faults to ours, in the same memory. */
static void translate(struct iommufd_faultq *q, struct iommufd_fault *faults, size_t count)
{
	struct iommu_hwpt_pgfault fault;
	uint32_t last = 0;

	for (size_t i = 0; i < count; i++) {
		memcpy(&fault, &faults[i], sizeof(fault));
		if (!i || fault.cookie != last)
			note(q, &fault);
		last = fault.cookie;
		faults[i] = (struct iommufd_fault){
			.cookie = (uint64_t)q->generation << 32 | fault.cookie,
			.addr = fault.addr,
			.flags = fault.flags,
			.device_id = fault.dev_id,
			.pasid = fault.pasid,
			.group = fault.grpid,
			.perm = fault.perm,
			.length = fault.length,
		};
	}
}

/* ---- Reading and answering ---- */

/*
 * A group that does not fit is an error to newer kernels. To Linux 6.11 and 6.12 it is nothing, but the queue stays
 * readable: and does so the second time, when it was not a fault that came in between.
 */
static ssize_t read_groups(const struct iommufd_faultq *q, struct iommufd_fault *faults, size_t len)
{
	for (int i = 0; i < 2; i++) {
		ssize_t n = ifd_sys_read(q->handle.fd, faults, len);

		if (n || ifd_sys_wait_readable(q->handle.fd, 0) <= 0)
			return n;
	}
	return -EMSGSIZE;
}

static ssize_t read_locked(struct iommufd_faultq *q, struct iommufd_fault *faults, size_t max)
{
	ssize_t n = make_room(q, max);

	if (!n)
		n = read_groups(q, faults, max * sizeof(*faults));
	if (n < 0)
		return n == -EINVAL ? -EMSGSIZE : n;
	if ((size_t)n > max * sizeof(*faults) || (size_t)n % sizeof(*faults))
		return -EPROTO;
	translate(q, faults, (size_t)n / sizeof(*faults));
	return n / (ssize_t)sizeof(*faults);
}

EXPORT int iommufd_faultq_read(struct iommufd_faultq *q, struct iommufd_fault *faults, size_t max)
{
	ssize_t n = ifd_ctx_check(q->handle.ctx, "read page faults");

	if (n)
		return (int)n;
	if (!max)
		return ifd_fail(-EINVAL, "give room for at least one group of them", "read no page faults");
	if (max > READ_MAX)
		max = READ_MAX;
	pthread_mutex_lock(&q->lock);
	n = read_locked(q, faults, max);
	pthread_mutex_unlock(&q->lock);
	if (n < 0)
		return ifd_fail((int)n,
				n == -EMSGSIZE ? "a group is read as a whole, and the next one has more: give more room"
					       : NULL,
				"read %zu page faults", max);
	return (int)n;
}

/* Nobody reads meanwhile, so the number is still of the group, or of none. */
static int respond_locked(struct iommufd_faultq *q, uint64_t cookie, uint32_t code)
{
	struct iommu_hwpt_page_response response = { .cookie = (uint32_t)cookie, .code = code };
	struct ifd_fault_group *group = find(q, response.cookie);
	ssize_t n;

	if (!group || group->generation != cookie >> 32)
		return -ENOENT;
	n = ifd_sys_write(q->handle.fd, &response, sizeof(response));
	if (n == -EINVAL)
		n = -ENOENT;
	else if (n >= 0)
		n = n == sizeof(response) ? 0 : -EPROTO;
	if (!n || n == -ENOENT)
		forget(q, group);
	return (int)n;
}

EXPORT int iommufd_faultq_respond(struct iommufd_faultq *q, uint64_t cookie, uint32_t code)
{
	int ret = ifd_ctx_check(q->handle.ctx, "answer a page fault");

	if (ret)
		return ret;
	if (code > IOMMUFD_FAULT_INVALID)
		return ifd_fail(-EINVAL, "use IOMMUFD_FAULT_SUCCESS or IOMMUFD_FAULT_INVALID",
				"answer a page fault with %" PRIu32, code);
	pthread_mutex_lock(&q->lock);
	ret = respond_locked(q, cookie, code);
	pthread_mutex_unlock(&q->lock);
	return ret ? ifd_fail(ret,
			      ret == -ENOENT ? "it was answered, or its device was detached or moved: let it go" : NULL,
			      "answer page fault 0x%" PRIx64, cookie)
		   : 0;
}

/* ---- Devices that go ---- */

static struct iommufd_faultq *queue_of(const struct iommufd_hwpt *hwpt)
{
	return hwpt ? hwpt->faultq : NULL;
}

uint32_t ifd_faults_mark(const struct iommufd_hwpt *hwpt)
{
	struct iommufd_faultq *q = queue_of(hwpt);
	uint32_t mark;

	if (!q)
		return 0;
	pthread_mutex_lock(&q->lock);
	mark = q->generation;
	pthread_mutex_unlock(&q->lock);
	return mark;
}

void ifd_faults_drop(const struct iommufd_hwpt *hwpt, uint32_t dev_id, uint32_t pasid, uint32_t mark)
{
	struct iommufd_faultq *q = queue_of(hwpt);

	if (!q)
		return;
	pthread_mutex_lock(&q->lock);
	for (size_t i = q->num_groups; i-- > 0;) {
		struct ifd_fault_group *group = &q->groups[i];

		/* The difference, since the generation wraps. */
		if (group->device_id == dev_id && group->pasid == pasid && mark - group->generation <= INT32_MAX)
			forget(q, group);
	}
	pthread_mutex_unlock(&q->lock);
}
