/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Moving the state of a device: what a kernel answers when something goes wrong. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "scene.h"
#include "uapi/vfio.h"

#define STOP         IOMMUFD_MIGRATION_STOP
#define RUNNING      IOMMUFD_MIGRATION_RUNNING
#define STOP_COPY    IOMMUFD_MIGRATION_STOP_COPY
#define RESUMING     IOMMUFD_MIGRATION_RESUMING
#define RUNNING_P2P  IOMMUFD_MIGRATION_RUNNING_P2P
#define PRE_COPY     IOMMUFD_MIGRATION_PRE_COPY
#define PRE_COPY_P2P IOMMUFD_MIGRATION_PRE_COPY_P2P

#define STAYS 99

#define ALL (VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY)

/* The device, as far as a test lets it be one: what it can do, where it is, and what it says to the next change. */
static struct {
	uint64_t can;
	uint32_t state;
	int refuse;         /* instead of a change */
	uint32_t refuse_at; /* and where it then is, or STAYS */
	int stream;         /* -1 none, 0 as a kernel would, 1 always */
	unsigned int sets, resets, v2;
	uint32_t last_set;
	int ask; /* instead of telling the state */
	uint32_t after_reset;
	bool old; /* and so knows no flags of what is told of PRE_COPY */
} kernel;

static bool saves(uint32_t state)
{
	return state == STOP_COPY || state == PRE_COPY || state == PRE_COPY_P2P;
}

static int set_state(struct vfio_device_feature_mig_state *data)
{
	uint32_t from = kernel.state, to = data->device_state;
	bool begins = to == RESUMING || (saves(to) && !saves(from));

	data->data_fd = -1;
	kernel.sets++;
	kernel.last_set = to;
	if (kernel.refuse) {
		kernel.state = kernel.refuse_at == STAYS ? from : kernel.refuse_at;
		return kernel.refuse;
	}
	if (from != to && (kernel.stream > 0 || (begins && !kernel.stream)))
		data->data_fd = inject_fd();
	kernel.state = to;
	return 0;
}

static int feature(int fd, void *arg)
{
	struct vfio_device_feature *cmd = arg;
	struct vfio_device_feature_mig_state state = { kernel.state, -1 };
	struct vfio_device_feature_mig_data_size size = { 1234 };
	int ret = 0;

	(void)fd;
	if (cmd->flags & VFIO_DEVICE_FEATURE_PROBE)
		return kernel.old ? -ENOTTY : 0;
	switch (cmd->flags) {
	case VFIO_DEVICE_FEATURE_MIGRATION | VFIO_DEVICE_FEATURE_GET:
		memcpy(cmd->data, &kernel.can, sizeof(kernel.can));
		return 0;
	case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_GET:
		memcpy(cmd->data, &state, sizeof(state));
		return kernel.ask;
	case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_SET:
		memcpy(&state, cmd->data, sizeof(state));
		ret = set_state(&state);
		memcpy(cmd->data, &state, sizeof(state));
		return ret;
	case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE | VFIO_DEVICE_FEATURE_GET:
		memcpy(cmd->data, &size, sizeof(size));
		return 0;
	case VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 | VFIO_DEVICE_FEATURE_SET:
		kernel.v2++;
		return 0;
	default:
		ck_abort_msg("feature 0x%x", cmd->flags);
	}
}

static int reset(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	kernel.resets++;
	kernel.state = kernel.after_reset;
	return 0;
}

static struct iommufd_migration *open_with(struct scene *scene, uint64_t can, uint32_t state, uint32_t flags)
{
	struct iommufd_migration *m = NULL;

	scene_open(scene, IOMMUFD_BACKEND_VFIO);
	inject_ioctl(VFIO_DEVICE_FEATURE, feature);
	inject_ioctl(VFIO_DEVICE_RESET, reset);
	inject_queue(NULL, NULL);
	memset(&kernel, 0, sizeof(kernel));
	kernel.can = can;
	kernel.state = state;
	kernel.after_reset = RUNNING;
	kernel.refuse_at = STAYS;
	ck_assert_int_eq(iommufd_device_attach(scene->dev, scene->ioas), 0);
	ck_assert_msg(!iommufd_migration_new(scene->dev, flags, &m), "%s", iommufd_errmsg());
	return m;
}

static void close_all(struct scene *scene, struct iommufd_migration *m)
{
	iommufd_migration_free(m);
	scene_close(scene);
}

static void is_in(struct iommufd_migration *m, uint32_t state)
{
	uint32_t told = 99;

	ck_assert_int_eq(iommufd_migration_get_state(m, &told), 0);
	ck_assert_uint_eq(told, state);
	ck_assert_uint_eq(kernel.state, state);
}

/* ---- What a device has ---- */

START_TEST(a_device_has_the_states_that_its_driver_tells)
{
	static const struct {
		uint64_t can;
		const char *has; /* state by state */
	} rows[] = {
		{ VFIO_MIGRATION_STOP_COPY, "11111000" },
		{ VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P, "11111100" },
		{ VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY, "11111010" },
		{ ALL, "11111111" },
		{ ALL | 1u << 20, "11111111" },
	};
	struct iommufd_migration *m;
	struct scene scene;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		m = open_with(&scene, rows[i].can, RUNNING, 0);
		for (uint32_t state = 0; state < 8; state++) {
			ck_assert_int_eq(iommufd_migration_has(m, state), rows[i].has[state] - '0');
			if (rows[i].has[state] == '0')
				unit_fails(-EOPNOTSUPP, iommufd_migration_set_state(m, state));
		}
		unit_fails(-EINVAL, iommufd_migration_has(m, 8));
		unit_fails(-EINVAL, iommufd_migration_set_state(m, 8));
		ck_assert_uint_eq(kernel.sets, 0);
		ck_assert_uint_eq(kernel.v2, !!(rows[i].can & VFIO_MIGRATION_PRE_COPY));
		close_all(&scene, m);
	}
}
END_TEST

START_TEST(what_makes_no_sense_is_no_migration)
{
	struct iommufd_migration *m, *none = NULL;
	struct scene scene;

	m = open_with(&scene, ALL, RUNNING, 0);
	unit_fails(-EINVAL, iommufd_migration_new(scene.dev, 2, &none));
	kernel.can = VFIO_MIGRATION_P2P;
	unit_fails(-EOPNOTSUPP, iommufd_migration_new(scene.dev, 0, &none));
	kernel.can = VFIO_MIGRATION_STOP_COPY;
	kernel.state = PRE_COPY;
	unit_fails(-EPROTO, iommufd_migration_new(scene.dev, 0, &none));
	for (kernel.state = 8; kernel.state; kernel.state <<= 1)
		unit_fails(-EPROTO, iommufd_migration_new(scene.dev, 0, &none));
	kernel.ask = -EIO;
	unit_fails(-EIO, iommufd_migration_new(scene.dev, 0, &none));
	inject_fail(INJECT_MEMORY, 1, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_migration_new(scene.dev, 0, &none));
	ck_assert_ptr_null(none);
	kernel.ask = 0;
	kernel.state = RUNNING;
	close_all(&scene, m);
}
END_TEST

/* ---- From one state to another ---- */

START_TEST(streams_are_there_exactly_in_the_states_that_have_one)
{
	static const uint32_t way[] = { PRE_COPY, PRE_COPY_P2P, STOP_COPY, STOP,        RESUMING,
					RUNNING,  STOP_COPY,    RUNNING,   RUNNING_P2P, PRE_COPY_P2P,
					PRE_COPY, RUNNING,      STOP,      STOP_COPY,   RESUMING };
	unsigned int fds;
	struct iommufd_migration *m;
	struct scene scene;
	int fd = -1;

	m = open_with(&scene, ALL, RUNNING, 0);
	fds = inject_fds();
	unit_fails(-EINVAL, iommufd_migration_fd(m));
	for (size_t i = 0; i < sizeof(way) / sizeof(way[0]); i++) {
		bool stays = saves(kernel.state) && saves(way[i]), has = saves(way[i]) || way[i] == RESUMING;

		ck_assert_msg(!iommufd_migration_set_state(m, way[i]), "%zu: %s", i, iommufd_errmsg());
		is_in(m, way[i]);
		ck_assert_uint_eq(inject_fds(), fds + has);
		if (!has)
			unit_fails(-EINVAL, iommufd_migration_fd(m));
		else if (stays)
			ck_assert_int_eq(iommufd_migration_fd(m), fd);
		else
			fd = iommufd_migration_fd(m);
	}
	ck_assert_uint_eq(kernel.sets, sizeof(way) / sizeof(way[0]));
	/* Where it is already it need not go. */
	ck_assert_int_eq(iommufd_migration_set_state(m, RESUMING), 0);
	ck_assert_uint_eq(kernel.sets, sizeof(way) / sizeof(way[0]));
	close_all(&scene, m);
}
END_TEST

START_TEST(ways_that_lead_nowhere_are_refused_before_the_kernel_is_asked)
{
	struct iommufd_migration *m;
	struct scene scene;

	m = open_with(&scene, ALL, RUNNING, 0);
	unit_fails(-EINVAL, iommufd_migration_set_state(m, IOMMUFD_MIGRATION_ERROR));
	ck_assert_int_eq(iommufd_migration_set_state(m, STOP_COPY), 0);
	unit_fails(-EINVAL, iommufd_migration_set_state(m, PRE_COPY));
	unit_words_have("from STOP_COPY to PRE_COPY");
	unit_fails(-EINVAL, iommufd_migration_set_state(m, PRE_COPY_P2P));
	ck_assert_int_ge(iommufd_migration_fd(m), 0);
	kernel.state = IOMMUFD_MIGRATION_ERROR;
	for (uint32_t state = STOP; state <= PRE_COPY_P2P; state++) {
		unit_fails(-EIO, iommufd_migration_set_state(m, state));
		unit_words_have("iommufd_migration_abort()");
	}
	ck_assert_uint_eq(kernel.sets, 1);
	close_all(&scene, m);
}
END_TEST

START_TEST(a_change_that_fails_on_its_way_tells_where_it_ended)
{
	struct iommufd_migration *m;
	struct scene scene;

	m = open_with(&scene, ALL, RUNNING, 0);
	kernel.refuse = -EBUSY;
	kernel.refuse_at = RUNNING_P2P;
	unit_fails(-EBUSY, iommufd_migration_set_state(m, STOP));
	unit_words_have("from RUNNING to STOP");
	unit_words_have("it is now in RUNNING_P2P");
	kernel.refuse_at = IOMMUFD_MIGRATION_ERROR;
	unit_fails(-EBUSY, iommufd_migration_set_state(m, STOP));
	unit_words_have("iommufd_migration_abort()");
	kernel.refuse = 0;
	ck_assert_int_eq(iommufd_migration_abort(m), 0);
	ck_assert_uint_eq(kernel.resets, 1);
	is_in(m, RUNNING);

	/* A stream that was left on the way is over. */
	ck_assert_int_eq(iommufd_migration_set_state(m, STOP_COPY), 0);
	kernel.refuse = -EIO;
	kernel.refuse_at = STOP;
	unit_fails(-EIO, iommufd_migration_set_state(m, RUNNING));
	unit_fails(-EINVAL, iommufd_migration_fd(m));
	kernel.refuse = 0;
	close_all(&scene, m);
}
END_TEST

START_TEST(without_a_descriptor_for_the_stream_it_goes_back)
{
	struct iommufd_migration *m;
	struct scene scene;

	m = open_with(&scene, ALL, RUNNING, 0);
	kernel.refuse = -EMFILE;
	kernel.refuse_at = STOP_COPY;
	unit_fails(-EMFILE, iommufd_migration_set_state(m, STOP_COPY));
	unit_words_have("ulimit -n");
	ck_assert_uint_eq(kernel.sets, 2);
	ck_assert_uint_eq(kernel.last_set, RUNNING);

	/* In the middle of a stream it does not: that would begin another one. */
	kernel.refuse = 0;
	kernel.state = RUNNING;
	ck_assert_int_eq(iommufd_migration_set_state(m, STOP_COPY), 0);
	kernel.sets = 0;
	kernel.refuse = -EMFILE;
	kernel.refuse_at = RESUMING;
	unit_fails(-EMFILE, iommufd_migration_set_state(m, RESUMING));
	ck_assert_uint_eq(kernel.sets, 1);
	unit_words_have("it is now in RESUMING");
	kernel.refuse = 0;
	unit_fails(-EBUSY, iommufd_migration_set_state(m, RUNNING));
	ck_assert_int_eq(iommufd_migration_abort(m), 0);
	close_all(&scene, m);
}
END_TEST

START_TEST(a_stream_too_many_or_too_few_is_a_mistake_of_the_kernel)
{
	struct iommufd_migration *m;
	struct scene scene;

	m = open_with(&scene, ALL, RUNNING, 0);
	kernel.stream = -1;
	unit_fails(-EPROTO, iommufd_migration_set_state(m, PRE_COPY));
	unit_fails(-EINVAL, iommufd_migration_fd(m));
	is_in(m, RUNNING);
	unit_fails(-EPROTO, iommufd_migration_set_state(m, RESUMING));
	ck_assert_int_eq(iommufd_migration_abort(m), 0);
	close_all(&scene, m);
}
END_TEST

/* ---- Streams ---- */

static ssize_t moved;
static size_t asked_for;

static ssize_t give(int fd, void *buf, size_t len)
{
	(void)fd;
	asked_for = len;
	if (moved > 0 && (size_t)moved <= len)
		memset(buf, 0x5a, (size_t)moved);
	return moved;
}

static ssize_t take(int fd, const void *buf, size_t len)
{
	(void)fd;
	(void)buf;
	asked_for = len;
	return moved;
}

START_TEST(reading_tells_how_much_came_and_why_nothing_did)
{
	unsigned char buf[64] = { 0 };
	struct iommufd_migration *m;
	struct scene scene;
	size_t len = 7;

	m = open_with(&scene, ALL, RUNNING, 0);
	inject_queue(give, take);
	unit_fails(-EINVAL, iommufd_migration_read(m, buf, sizeof(buf), &len));
	unit_words_have("in RUNNING");
	ck_assert_int_eq(iommufd_migration_set_state(m, PRE_COPY), 0);
	unit_fails(-EINVAL, iommufd_migration_read(m, buf, 0, &len));
	unit_fails(-EINVAL, iommufd_migration_write(m, buf, 1, &len));
	ck_assert_uint_eq(len, 7);
	moved = 10;
	ck_assert_int_eq(iommufd_migration_read(m, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, 10);
	ck_assert(buf[9] == 0x5a && buf[10] == 0);
	len = 7;
	moved = 0;
	unit_fails(-ENOMSG, iommufd_migration_read(m, buf, sizeof(buf), &len));
	moved = -ENOMSG;
	unit_fails(-ENOMSG, iommufd_migration_read(m, buf, sizeof(buf), &len));
	moved = -EAGAIN;
	unit_fails(-EAGAIN, iommufd_migration_read(m, buf, sizeof(buf), &len));
	moved = sizeof(buf) + 1;
	unit_fails(-EPROTO, iommufd_migration_read(m, buf, sizeof(buf), &len));
	moved = -ENODEV;
	unit_fails(-ENODEV, iommufd_migration_read(m, buf, sizeof(buf), &len));
	unit_words_have("the device was reset");
	ck_assert_uint_eq(len, 7);

	ck_assert_int_eq(iommufd_migration_set_state(m, STOP_COPY), 0);
	moved = 0;
	ck_assert_int_eq(iommufd_migration_read(m, buf, sizeof(buf), &len), 0);
	ck_assert_uint_eq(len, 0);
	ck_assert_int_eq(iommufd_migration_read(m, buf, SIZE_MAX, &len), 0);
	ck_assert_uint_eq(asked_for, 1 << 30);
	close_all(&scene, m);
}
END_TEST

START_TEST(what_a_device_refused_leads_to_a_reset_only)
{
	static const int errors[] = { -EFAULT, -ENOMEM, -EINVAL };
	struct iommufd_migration *m;
	struct scene scene;
	size_t len = 7;

	m = open_with(&scene, ALL, RUNNING, 0);
	inject_queue(give, take);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(iommufd_migration_set_state(m, RESUMING), 0);
		kernel.sets = 0;
		unit_fails(-EINVAL, iommufd_migration_read(m, &len, 1, &len));
		moved = 3;
		ck_assert_int_eq(iommufd_migration_write(m, "abcd", 4, &len), 0);
		ck_assert_uint_eq(len, 3);
		asked_for = 99;
		ck_assert_int_eq(iommufd_migration_write(m, "abcd", 0, &len), 0);
		ck_assert_uint_eq(len, 0);
		ck_assert_uint_eq(asked_for, 99);
		moved = -EAGAIN;
		unit_fails(-EAGAIN, iommufd_migration_write(m, "d", 1, &len));
		moved = errors[i];
		unit_fails(errors[i], iommufd_migration_write(m, "d", 1, &len));
		unit_words_have("iommufd_migration_abort()");
		moved = 1;
		unit_fails(-EBUSY, iommufd_migration_write(m, "d", 1, &len));
		unit_fails(-EBUSY, iommufd_migration_set_state(m, RUNNING));
		ck_assert_uint_eq(kernel.sets, 0);
		ck_assert_int_eq(iommufd_migration_abort(m), 0);
		ck_assert_uint_eq(kernel.sets, 0);
		is_in(m, RUNNING);
	}
	ck_assert_uint_eq(kernel.resets, 3);
	ck_assert_int_eq(iommufd_migration_set_state(m, RESUMING), 0);
	moved = 2;
	unit_fails(-EPROTO, iommufd_migration_write(m, "d", 1, &len));
	close_all(&scene, m);
}
END_TEST

START_TEST(an_incomplete_stream_can_be_completed)
{
	struct iommufd_migration *m;
	struct scene scene;
	size_t len;

	m = open_with(&scene, ALL, RUNNING, 0);
	inject_queue(give, take);
	ck_assert_int_eq(iommufd_migration_set_state(m, RESUMING), 0);
	kernel.refuse = -EINVAL;
	unit_fails(-EINVAL, iommufd_migration_set_state(m, RUNNING));
	unit_words_have("write the rest");
	kernel.refuse = 0;
	moved = 1;
	ck_assert_int_eq(iommufd_migration_write(m, "d", 1, &len), 0);
	ck_assert_int_eq(iommufd_migration_set_state(m, RUNNING), 0);
	ck_assert_uint_eq(kernel.resets, 0);
	close_all(&scene, m);
}
END_TEST

START_TEST(a_stream_waits_or_does_not_as_was_said)
{
	struct iommufd_migration *m;
	struct scene scene;

	for (uint32_t flags = 0; flags < 2; flags++) {
		m = open_with(&scene, ALL, RUNNING, flags);
		ck_assert_int_eq(iommufd_migration_set_state(m, STOP_COPY), 0);
		ck_assert_int_eq(!!(fcntl(iommufd_migration_fd(m), F_GETFL) & O_NONBLOCK), flags);
		close_all(&scene, m);
	}
}
END_TEST

static uint32_t precopy_flags;
static int precopy_answer;

static int precopy(int fd, void *arg)
{
	struct vfio_precopy_info *info = arg;

	(void)fd;
	ck_assert_uint_eq(info->argsz, sizeof(*info));
	*info = (struct vfio_precopy_info){ sizeof(*info), precopy_flags, 11, 22 };
	return precopy_answer;
}

START_TEST(how_much_there_is_to_read_is_told_in_pre_copy)
{
	struct iommufd_precopy_info info = { .struct_size = sizeof(info) }, small = { .struct_size = 8 };
	struct iommufd_migration *m;
	struct scene scene;
	uint64_t bytes = 7;

	m = open_with(&scene, ALL, RUNNING, 0);
	inject_ioctl(VFIO_MIG_GET_PRECOPY_INFO, precopy);
	precopy_answer = 0;
	precopy_flags = ~(uint32_t)0;
	unit_fails(-EINVAL, iommufd_migration_precopy_info(m, &info));
	ck_assert_int_eq(iommufd_migration_set_state(m, PRE_COPY_P2P), 0);
	unit_fails(-EINVAL, iommufd_migration_precopy_info(m, &small));
	ck_assert_uint_eq(info.initial_bytes, 0);
	ck_assert_int_eq(iommufd_migration_precopy_info(m, &info), 0);
	ck_assert(info.initial_bytes == 11 && info.dirty_bytes == 22 && info.state == PRE_COPY_P2P);
	ck_assert_uint_eq(info.flags, IOMMUFD_PRECOPY_REINIT);
	precopy_answer = -EINVAL;
	unit_fails(-EINVAL, iommufd_migration_precopy_info(m, &info));
	ck_assert_int_eq(iommufd_migration_set_state(m, STOP_COPY), 0);
	precopy_answer = 0;
	unit_fails(-EINVAL, iommufd_migration_precopy_info(m, &info));
	ck_assert_int_eq(iommufd_migration_data_size(m, &bytes), 0);
	ck_assert_uint_eq(bytes, 1234);
	close_all(&scene, m);
}
END_TEST

START_TEST(flags_of_an_older_kernel_mean_nothing)
{
	struct iommufd_precopy_info info = { .struct_size = sizeof(info), .flags = 7 };
	struct iommufd_migration *first, *m;
	struct scene scene;

	first = open_with(&scene, ALL, RUNNING, 0);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0); /* what it has is forgotten */
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	iommufd_migration_free(first);
	kernel.old = true;
	kernel.v2 = 0;
	ck_assert_int_eq(iommufd_migration_new(scene.dev, 0, &m), 0);
	inject_ioctl(VFIO_MIG_GET_PRECOPY_INFO, precopy);
	precopy_answer = 0;
	precopy_flags = ~(uint32_t)0;
	ck_assert_int_eq(iommufd_migration_set_state(m, PRE_COPY), 0);
	ck_assert_int_eq(iommufd_migration_precopy_info(m, &info), 0);
	ck_assert_uint_eq(info.flags, 0);
	ck_assert_uint_eq(kernel.v2, 0);
	close_all(&scene, m);
}
END_TEST

/* ---- The end ---- */

START_TEST(giving_up_leads_back_to_running_from_any_state)
{
	struct iommufd_migration *m;
	struct scene scene;

	for (uint32_t state = 0; state < 8; state++) {
		unsigned int fds;

		m = open_with(&scene, ALL, RUNNING, 0);
		fds = inject_fds();
		if (state)
			ck_assert_int_eq(iommufd_migration_set_state(m, state), 0);
		kernel.state = state;
		ck_assert_int_eq(iommufd_migration_abort(m), 0);
		is_in(m, RUNNING);
		ck_assert_uint_eq(kernel.resets, state == IOMMUFD_MIGRATION_ERROR || state == RESUMING);
		ck_assert_uint_eq(inject_fds(), fds);
		close_all(&scene, m);
	}
}
END_TEST

START_TEST(giving_up_resets_what_does_not_run_otherwise)
{
	struct iommufd_migration *m;
	struct scene scene;

	m = open_with(&scene, ALL, STOP, 0);
	kernel.refuse = -EIO;
	ck_assert_int_eq(iommufd_migration_abort(m), 0);
	ck_assert_uint_eq(kernel.resets, 1);
	kernel.state = kernel.after_reset = IOMMUFD_MIGRATION_ERROR;
	unit_fails(-EIO, iommufd_migration_abort(m));
	unit_words_have("it is in ERROR afterwards");
	inject_ioctl_fail(VFIO_DEVICE_RESET, 1, 1, -EPERM);
	unit_fails(-EPERM, iommufd_migration_abort(m));
	/* A device that does not say that it can be reset is reset all the same: it moves, so it can. */
	scene.dev->flags &= ~(uint32_t)VFIO_DEVICE_FLAGS_RESET;
	kernel.after_reset = RUNNING;
	ck_assert_int_eq(iommufd_migration_abort(m), 0);
	close_all(&scene, m);
}
END_TEST

START_TEST(a_device_goes_on_when_its_handle_is_freed)
{
	static const uint32_t after[] = {
		[STOP] = STOP,        [RUNNING] = RUNNING,         [STOP_COPY] = STOP,           [RESUMING] = RESUMING,
		[PRE_COPY] = RUNNING, [RUNNING_P2P] = RUNNING_P2P, [PRE_COPY_P2P] = RUNNING_P2P,
	};
	struct iommufd_migration *m;
	struct scene scene;

	for (uint32_t state = STOP; state <= PRE_COPY_P2P; state++) {
		m = open_with(&scene, ALL, RUNNING, 0);
		ck_assert_int_eq(iommufd_migration_set_state(m, state), 0);
		unit_stale_words();
		iommufd_migration_free(m);
		ck_assert(unit_words_are_stale());
		ck_assert_uint_eq(kernel.state, after[state]);
		scene_close(&scene);
	}
	iommufd_migration_free(NULL);
}
END_TEST

START_TEST(what_another_handle_began_to_write_can_only_be_reset)
{
	struct iommufd_migration *m;
	struct scene scene;
	size_t len = 7;

	m = open_with(&scene, ALL, RESUMING, 0);
	unit_fails(-EINVAL, iommufd_migration_write(m, "a", 1, &len));
	unit_fails(-EBUSY, iommufd_migration_set_state(m, STOP));
	unit_words_have("another handle");
	ck_assert_uint_eq(kernel.sets, 0);
	ck_assert_int_eq(iommufd_migration_abort(m), 0);
	ck_assert_int_eq(iommufd_migration_set_state(m, RESUMING), 0);
	ck_assert_int_ge(iommufd_migration_fd(m), 0);
	close_all(&scene, m);
}
END_TEST

START_TEST(a_reset_by_somebody_else_ends_the_stream)
{
	struct iommufd_migration *m;
	struct scene scene;
	unsigned int fds;

	m = open_with(&scene, ALL, RUNNING, 0);
	fds = inject_fds();
	ck_assert_int_eq(iommufd_migration_set_state(m, STOP_COPY), 0);
	ck_assert_int_eq(iommufd_device_reset(scene.dev), 0);
	is_in(m, RUNNING);
	ck_assert_uint_eq(inject_fds(), fds);
	unit_fails(-EINVAL, iommufd_migration_fd(m));
	close_all(&scene, m);
}
END_TEST

START_TEST(a_handle_is_of_one_attach_and_holds_its_device)
{
	struct iommufd_migration *m;
	uint64_t bytes = 7;
	struct scene scene;
	uint32_t state = 7;
	size_t len = 7;

	m = open_with(&scene, ALL, RUNNING, 0);
	ck_assert_int_eq(iommufd_migration_set_state(m, STOP_COPY), 0);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	for (int i = 0; i < 2; i++) {
		unit_fails(-ENOTCONN, iommufd_migration_get_state(m, &state));
		unit_fails(-ENOTCONN, iommufd_migration_set_state(m, RUNNING));
		unit_fails(-ENOTCONN, iommufd_migration_abort(m));
		unit_fails(-ENOTCONN, iommufd_migration_fd(m));
		unit_fails(-ENOTCONN, iommufd_migration_read(m, &bytes, 1, &len));
		unit_fails(-ENOTCONN, iommufd_migration_write(m, &bytes, 1, &len));
		unit_fails(-ENOTCONN, iommufd_migration_data_size(m, &bytes));
		if (!i)
			ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	}
	unit_words_have("make a new one");
	ck_assert(state == 7 && len == 7 && bytes == 7);
	ck_assert_uint_eq(kernel.sets, 1);
	iommufd_device_free(scene.dev);
	scene.dev = NULL;
	iommufd_ioas_free(scene.ioas);
	scene.ioas = NULL;
	iommufd_ctx_free(scene.ctx);
	scene.ctx = NULL;
	ck_assert_uint_gt(inject_fds(), 0);
	iommufd_migration_free(m);
	ck_assert_uint_eq(kernel.sets, 1);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tc)
{
	tcase_add_test(tc, a_device_has_the_states_that_its_driver_tells);
	tcase_add_test(tc, what_makes_no_sense_is_no_migration);
	tcase_add_test(tc, streams_are_there_exactly_in_the_states_that_have_one);
	tcase_add_test(tc, ways_that_lead_nowhere_are_refused_before_the_kernel_is_asked);
	tcase_add_test(tc, a_change_that_fails_on_its_way_tells_where_it_ended);
	tcase_add_test(tc, without_a_descriptor_for_the_stream_it_goes_back);
	tcase_add_test(tc, a_stream_too_many_or_too_few_is_a_mistake_of_the_kernel);
	tcase_add_test(tc, reading_tells_how_much_came_and_why_nothing_did);
	tcase_add_test(tc, what_a_device_refused_leads_to_a_reset_only);
	tcase_add_test(tc, an_incomplete_stream_can_be_completed);
	tcase_add_test(tc, a_stream_waits_or_does_not_as_was_said);
	tcase_add_test(tc, how_much_there_is_to_read_is_told_in_pre_copy);
	tcase_add_test(tc, flags_of_an_older_kernel_mean_nothing);
	tcase_add_test(tc, giving_up_leads_back_to_running_from_any_state);
	tcase_add_test(tc, giving_up_resets_what_does_not_run_otherwise);
	tcase_add_test(tc, a_device_goes_on_when_its_handle_is_freed);
	tcase_add_test(tc, what_another_handle_began_to_write_can_only_be_reset);
	tcase_add_test(tc, a_reset_by_somebody_else_ends_the_stream);
	tcase_add_test(tc, a_handle_is_of_one_attach_and_holds_its_device);
}
