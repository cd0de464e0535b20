/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Virtual IOMMUs, events and invalidation, with answers that no kernel here gives. */
#include <errno.h>
#include <limits.h>

#include "hwpt.h"
#include "scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"
#include "viommu.h"

/* ---- Objects ---- */

static struct scene scene;
static uint32_t last_id, destroyed[16];
static unsigned int made, num_destroyed;

static uint32_t new_id(void)
{
	made++;
	return ++last_id;
}

static int hwpt_alloc(int fd, void *arg)
{
	(void)fd;
	((struct iommu_hwpt_alloc *)arg)->out_hwpt_id = new_id();
	return 0;
}

static int viommu_alloc(int fd, void *arg)
{
	(void)fd;
	((struct iommu_viommu_alloc *)arg)->out_viommu_id = new_id();
	return 0;
}

static int vdevice_alloc(int fd, void *arg)
{
	(void)fd;
	((struct iommu_vdevice_alloc *)arg)->out_vdevice_id = new_id();
	return 0;
}

static int veventq_alloc(int fd, void *arg)
{
	struct iommu_veventq_alloc *cmd = arg;

	(void)fd;
	cmd->out_veventq_id = new_id();
	cmd->out_veventq_fd = (uint32_t)inject_fd();
	return 0;
}

static int hwqueue_alloc(int fd, void *arg)
{
	(void)fd;
	((struct iommu_hw_queue_alloc *)arg)->out_hw_queue_id = new_id();
	return 0;
}

static int destroy(int fd, void *arg)
{
	(void)fd;
	ck_assert_uint_lt(num_destroyed, 16);
	destroyed[num_destroyed++] = ((struct iommu_destroy *)arg)->id;
	return 0;
}

static struct iommufd_hwpt *parent;
static struct iommufd_viommu *viommu;
static struct iommufd_veventq *veventq;

static int new_viommu(struct iommufd_viommu **out)
{
	struct iommufd_viommu_opts opts = { .struct_size = sizeof(opts), .type = 1 };

	return iommufd_viommu_new(scene.dev, parent, &opts, out);
}

/* A virtual IOMMU and a queue of its events, which only an iommufd has. */
static void setup(void)
{
	struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts), .flags = IOMMUFD_HWPT_NEST_PARENT };

	scene_answers();
	inject_ioctl(IOMMU_HWPT_ALLOC, hwpt_alloc);
	inject_ioctl(IOMMU_VIOMMU_ALLOC, viommu_alloc);
	inject_ioctl(IOMMU_VDEVICE_ALLOC, vdevice_alloc);
	inject_ioctl(IOMMU_VEVENTQ_ALLOC, veventq_alloc);
	inject_ioctl(IOMMU_HW_QUEUE_ALLOC, hwqueue_alloc);
	inject_ioctl(IOMMU_DESTROY, destroy);
	ck_assert_int_eq(iommufd_ctx_new(&(struct iommufd_ctx_opts){ sizeof(struct iommufd_ctx_opts),
								     .backend = IOMMUFD_BACKEND_IOMMUFD },
					 &scene.ctx),
			 0);
	ck_assert_int_eq(iommufd_ioas_new(scene.ctx, &scene.ioas), 0);
	ck_assert_int_eq(iommufd_device_new(scene.ctx, SCENE_DEVICE, &scene.dev), 0);
	ck_assert_int_eq(iommufd_hwpt_new(scene.dev, scene.ioas, &opts, &parent), 0);
	ck_assert_int_eq(new_viommu(&viommu), 0);
	ck_assert_int_eq(iommufd_veventq_new(viommu, 1, 8, &veventq), 0);
}

static void teardown(void)
{
	iommufd_veventq_free(veventq);
	iommufd_viommu_free(viommu);
	iommufd_hwpt_free(parent);
	iommufd_device_free(scene.dev);
	iommufd_ioas_free(scene.ioas);
	iommufd_ctx_free(scene.ctx);
	inject_queue(NULL, NULL);
	ck_assert_uint_eq(inject_fds(), 0);
	ck_assert_uint_eq(inject_mapped(), 0);
	ck_assert_uint_eq(num_destroyed, made + inject_ioctls(IOMMU_IOAS_ALLOC));
}

/* ---- Events ---- */

static struct {
	struct iommufd_vevent_header header;
	unsigned char data[32];
} entry;
static size_t entry_len;

/* As the kernel does, with one event. */
static ssize_t read_event(int fd, void *buf, size_t len)
{
	(void)fd;
	if (len < entry_len)
		return -EINVAL;
	memcpy(buf, &entry, entry_len);
	return (ssize_t)entry_len;
}

static void event_is(uint32_t sequence, uint32_t flags, size_t len)
{
	entry.header = (struct iommufd_vevent_header){ .flags = flags, .sequence = sequence };
	entry_len = sizeof(entry.header) + len;
	inject_queue(read_event, NULL);
}

static void expect_event(uint32_t sequence, uint32_t flags, size_t len, uint32_t lost)
{
	struct iommufd_vevent event;
	unsigned char data[64];

	event_is(sequence, flags, len);
	ck_assert_int_eq(iommufd_veventq_read(veventq, &event, data, sizeof(data)), 1);
	ck_assert_uint_eq(event.sequence, sequence);
	ck_assert_uint_eq(event.len, len);
	ck_assert_uint_eq(event.lost, lost);
	ck_assert_uint_eq(event.flags, lost ? IOMMUFD_VEVENT_LOST : 0);
}

START_TEST(events_are_counted_across_the_end_of_their_numbers)
{
	expect_event(0, 0, 32, 0);
	expect_event(2, 0, 1, 1);
	expect_event(INT_MAX - 1, 0, 7, INT_MAX - 4);
	expect_event(INT_MAX, 0, 8, 0);
	expect_event(0, 0, 9, 0);
	expect_event(INT_MAX, 0, 16, INT_MAX - 1);
	expect_event(1, 0, 31, 1);
	expect_event(4, IOMMU_VEVENTQ_FLAG_LOST_EVENTS, 0, 3);
	expect_event(5, 0, 4, 0);
	expect_event(6, IOMMU_VEVENTQ_FLAG_LOST_EVENTS, 0, 1);
	expect_event(8, IOMMU_VEVENTQ_FLAG_LOST_EVENTS, 0, 2);
}
END_TEST

static void is_no_event(uint32_t sequence, uint32_t flags, size_t len)
{
	struct iommufd_vevent event = { .sequence = 99 };
	unsigned char data[64];

	event_is(sequence, flags, len);
	unit_fails(-EPROTO, iommufd_veventq_read(veventq, &event, data, sizeof(data)));
	ck_assert_uint_eq(event.sequence, 99);
}

START_TEST(what_is_no_event_is_told)
{
	struct iommufd_vevent event;

	is_no_event(0, 0, 0);
	is_no_event(0, IOMMU_VEVENTQ_FLAG_LOST_EVENTS, 4);
	is_no_event((uint32_t)INT_MAX + 1, 0, 4);
	entry_len = 7;
	unit_fails(-EPROTO, iommufd_veventq_read(veventq, &event, NULL, 0));
	expect_event(0, 0, 4, 0); /* nothing was counted meanwhile */
	event_is(1, 0, 32);
	unit_fails(-EMSGSIZE, iommufd_veventq_read(veventq, &event, entry.data, 31));
	unit_fails(-EMSGSIZE, iommufd_veventq_read(veventq, &event, NULL, 0));
	inject_fail(INJECT_READ, 2, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_veventq_read(veventq, &event, entry.data, 32));
	expect_event(1, 0, 32, 0);
}
END_TEST

/* ---- Invalidation ---- */

#define PIECE (UINT32_C(1) << 19)

static struct iommu_hwpt_invalidate pieces[8];
static uint32_t claims[8]; /* what is said to be done; UINT32_MAX leaves what was asked for */
static unsigned int num_pieces;
static int piece_fails;

static int invalidate(int fd, void *arg)
{
	struct iommu_hwpt_invalidate *cmd = arg;

	(void)fd;
	ck_assert_uint_lt(num_pieces, 8);
	pieces[num_pieces] = *cmd;
	if (claims[num_pieces] != UINT32_MAX)
		cmd->entry_num = claims[num_pieces];
	return ++num_pieces == (unsigned int)piece_fails ? -EIO : 0;
}

static int invalidate_all(uint32_t count, uint32_t *done)
{
	num_pieces = 0;
	inject_ioctl(IOMMU_HWPT_INVALIDATE, invalidate);
	return iommufd_viommu_invalidate(viommu, 5, (void *)0x1000, 16, count, done);
}

static void claim(const uint32_t *what, unsigned int count, int fails_at)
{
	memset(claims, 0xff, sizeof(claims));
	for (unsigned int i = 0; i < count; i++)
		claims[i] = what[i];
	piece_fails = fails_at;
}

START_TEST(entries_go_to_the_kernel_in_pieces_and_on_behind_what_was_done)
{
	uint32_t done = 0;

	claim(NULL, 0, 0);
	ck_assert_int_eq(invalidate_all(3 * PIECE + 1, &done), 0);
	ck_assert_uint_eq(done, 3 * PIECE + 1);
	ck_assert_uint_eq(num_pieces, 4);
	for (unsigned int i = 0; i < 4; i++) {
		ck_assert_uint_eq(pieces[i].hwpt_id, iommufd_viommu_id(viommu));
		ck_assert_uint_eq(pieces[i].data_uptr, 0x1000 + (uint64_t)i * PIECE * 16);
		ck_assert_uint_eq(pieces[i].entry_num, i < 3 ? PIECE : 1);
		ck_assert_uint_eq(pieces[i].entry_len, 16);
		ck_assert_uint_eq(pieces[i].data_type, 5);
	}
	/* One that does less than it was asked for, and does not say why. */
	claim((const uint32_t[]){ 3 }, 1, 0);
	ck_assert_int_eq(invalidate_all(10, &done), 0);
	ck_assert_uint_eq(done, 10);
	ck_assert_uint_eq(num_pieces, 2);
	ck_assert_uint_eq(pieces[1].data_uptr, 0x1000 + 3 * 16);
	ck_assert_uint_eq(pieces[1].entry_num, 7);
	claim(NULL, 0, 0);
	ck_assert_int_eq(invalidate_all(0, &done), 0);
	ck_assert_uint_eq(done, 0);
	ck_assert_uint_eq(num_pieces, 1);
}
END_TEST

START_TEST(what_a_failing_invalidation_has_done_is_told_and_not_more)
{
	uint32_t done = 0;

	claim((const uint32_t[]){ PIECE, 7 }, 2, 2);
	unit_fails(-EIO, invalidate_all(2 * PIECE, &done));
	ck_assert_uint_eq(done, PIECE + 7);
	unit_words_have("entry 524295 of 1048576");
	/* The kernel did not get to write it. */
	claim(NULL, 0, 2);
	unit_fails(-EIO, invalidate_all(2 * PIECE, &done));
	ck_assert_uint_eq(done, PIECE);
	claim((const uint32_t[]){ 0 }, 1, 0);
	unit_fails(-EPROTO, invalidate_all(10, &done));
	ck_assert_uint_eq(done, 0);
	claim((const uint32_t[]){ 4, 7 }, 2, 0);
	unit_fails(-EPROTO, invalidate_all(10, &done));
	ck_assert_uint_eq(done, 4);
	claim((const uint32_t[]){ 11 }, 1, 1);
	unit_fails(-EIO, invalidate_all(10, &done));
	ck_assert_uint_eq(done, 0);
}
END_TEST

/* ---- Objects that cannot be made ---- */

static int with_number_0(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	return 0;
}

static int queue_with_number_0(int fd, void *arg)
{
	(void)fd;
	((struct iommu_veventq_alloc *)arg)->out_veventq_fd = (uint32_t)inject_fd();
	return 0;
}

static int new_vdevice(void)
{
	struct iommufd_vdevice *out = NULL;
	int ret = iommufd_vdevice_new(viommu, scene.dev, 1, &out);

	ck_assert(!ret == !!out);
	iommufd_vdevice_free(out);
	return ret;
}

static int new_veventq(void)
{
	struct iommufd_veventq *out = NULL;
	int ret = iommufd_veventq_new(viommu, 2, 1, &out);

	ck_assert(!ret == !!out);
	iommufd_veventq_free(out);
	return ret;
}

static int new_hwqueue(void)
{
	struct iommufd_hwqueue *out = NULL;
	int ret = iommufd_hwqueue_new(viommu, 2, 1, 0, 1, &out);

	ck_assert(!ret == !!out);
	iommufd_hwqueue_free(out);
	return ret;
}

static int new_one(void)
{
	struct iommufd_viommu *out = NULL;
	int ret = new_viommu(&out);

	ck_assert(!ret == !!out);
	iommufd_viommu_free(out);
	return ret;
}

static const struct {
	unsigned long request;
	int (*make)(void);
	inject_answer answer, no_number;
	const char *since;
} kinds[] = {
	{ IOMMU_VIOMMU_ALLOC, new_one, viommu_alloc, with_number_0, "Linux 6.13" },
	{ IOMMU_VDEVICE_ALLOC, new_vdevice, vdevice_alloc, with_number_0, "Linux 6.13" },
	{ IOMMU_VEVENTQ_ALLOC, new_veventq, veventq_alloc, queue_with_number_0, "Linux 6.15" },
	{ IOMMU_HW_QUEUE_ALLOC, new_hwqueue, hwqueue_alloc, with_number_0, "Linux 6.17" },
};

START_TEST(an_object_that_cannot_be_made_leaves_nothing_and_the_words_say_why)
{
	unsigned int fds = inject_fds(), refs = viommu->handle.refs, devs = scene.dev->refs;
	unsigned int parents = parent->handle.refs;

	inject_ioctl_fail(kinds[_i].request, 1, 1, -ENOTTY);
	unit_fails(-ENOTTY, kinds[_i].make());
	unit_words_have(kinds[_i].since);
	inject_ioctl(kinds[_i].request, kinds[_i].no_number);
	unit_fails(-EPROTO, kinds[_i].make());
	inject_ioctl(kinds[_i].request, kinds[_i].answer);
	inject_fail(INJECT_MEMORY, 1, 1);
	unit_fails(-ENOMEM, kinds[_i].make());
	ck_assert(inject_failed());
	ck_assert_uint_eq(inject_fds(), fds);
	ck_assert_uint_eq(viommu->handle.refs, refs);
	ck_assert_uint_eq(parent->handle.refs, parents);
	ck_assert_uint_eq(scene.dev->refs, devs);
	ck_assert_int_eq(kinds[_i].make(), 0);
	ck_assert_uint_eq(viommu->handle.refs, refs);
}
END_TEST

START_TEST(hardware_queues_are_destroyed_from_the_last_to_the_first)
{
	struct iommufd_hwqueue *q[3], *other = NULL;
	uint32_t ids[3];

	for (unsigned int i = 0; i < 3; i++) {
		if (i == 1)
			ck_assert_int_eq(iommufd_hwqueue_new(viommu, 3, 0, 0, 1, &other), 0);
		ck_assert_int_eq(iommufd_hwqueue_new(viommu, 2, i, 0, 1, &q[i]), 0);
		ids[i] = iommufd_hwqueue_id(q[i]);
	}
	for (unsigned int i = 0; i < 2; i++)
		iommufd_hwqueue_free(q[i]);
	ck_assert_uint_eq(num_destroyed, 0);
	iommufd_hwqueue_free(other); /* of another type, which nothing needs */
	ck_assert_uint_eq(num_destroyed, 1);
	iommufd_hwqueue_free(q[2]);
	ck_assert_uint_eq(num_destroyed, 4);
	for (unsigned int i = 0; i < 3; i++)
		ck_assert_uint_eq(destroyed[1 + i], ids[2 - i]);
	ck_assert_ptr_null(viommu->hwqueues);
}
END_TEST

START_TEST(registers_that_children_would_get_are_not_mapped)
{
	size_t mapped = inject_mapped();
	void *addr = NULL;

	inject_fail(INJECT_MADVISE, 1, -EINVAL);
	unit_fails(-EINVAL, iommufd_viommu_mmap(viommu, 0, SCENE_PAGE, &addr));
	ck_assert(inject_failed());
	ck_assert_uint_eq(inject_mapped(), mapped);
	inject_fail(INJECT_MMAP, 1, -ENXIO);
	unit_fails(-ENXIO, iommufd_viommu_mmap(viommu, 0, SCENE_PAGE, &addr));
	inject_fail(INJECT_MEMORY, 1, 1);
	unit_fails(-ENOMEM, iommufd_viommu_mmap(viommu, 0, SCENE_PAGE, &addr));
	ck_assert_ptr_null(addr);
	ck_assert_uint_eq(inject_mapped(), mapped);
}
END_TEST

START_TEST(registers_beyond_what_a_file_can_have_are_not_asked_for)
{
	static const uint64_t both[][2] = {
		{ UINT64_C(1) << 63, SCENE_PAGE },
		{ SCENE_PAGE, UINT64_C(1) << 63 },
		{ INT64_MAX - SCENE_PAGE + 1, SCENE_PAGE },
		{ UINT64_MAX - SCENE_PAGE + 1, SCENE_PAGE },
	};
	unsigned int asked = inject_count(INJECT_MMAP);
	void *addr = NULL;

	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
		unit_fails(-EINVAL, iommufd_viommu_mmap(viommu, both[i][0], both[i][1], &addr));
		unit_words_have("as the data came back");
	}
	ck_assert_ptr_null(addr);
	ck_assert_uint_eq(inject_count(INJECT_MMAP), asked);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, events_are_counted_across_the_end_of_their_numbers);
	tcase_add_test(tcase, what_is_no_event_is_told);
	tcase_add_test(tcase, entries_go_to_the_kernel_in_pieces_and_on_behind_what_was_done);
	tcase_add_test(tcase, what_a_failing_invalidation_has_done_is_told_and_not_more);
	tcase_add_loop_test(tcase, an_object_that_cannot_be_made_leaves_nothing_and_the_words_say_why, 0,
			    sizeof(kinds) / sizeof(kinds[0]));
	tcase_add_test(tcase, hardware_queues_are_destroyed_from_the_last_to_the_first);
	tcase_add_test(tcase, registers_that_children_would_get_are_not_mapped);
	tcase_add_test(tcase, registers_beyond_what_a_file_can_have_are_not_asked_for);
}
