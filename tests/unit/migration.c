/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Moving a device from state to state: what a kernel answers when something goes wrong. */
#include <errno.h>

#include "migration-scene.h"

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
		{ MOVER_ALL, "11111111" },
		{ MOVER_ALL | 1u << 20, "11111111" },
	};
	struct iommufd_migration *m;
	struct scene scene;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		m = mover_open(&scene, rows[i].can, RUNNING, 0);
		for (uint32_t state = 0; state < 8; state++) {
			ck_assert_int_eq(iommufd_migration_has(m, state), rows[i].has[state] - '0');
			if (rows[i].has[state] == '0')
				unit_fails(-EOPNOTSUPP, iommufd_migration_set_state(m, state));
		}
		unit_fails(-EINVAL, iommufd_migration_has(m, 8));
		unit_fails(-EINVAL, iommufd_migration_set_state(m, 8));
		ck_assert_uint_eq(mover_kernel.sets, 0);
		ck_assert_uint_eq(mover_kernel.v2, !!(rows[i].can & VFIO_MIGRATION_PRE_COPY));
		mover_close(&scene, m);
	}
}
END_TEST

START_TEST(what_makes_no_sense_is_no_migration)
{
	struct iommufd_migration *m, *none = NULL;
	struct scene scene;

	m = mover_open(&scene, MOVER_ALL, RUNNING, 0);
	unit_fails(-EINVAL, iommufd_migration_new(scene.dev, 2, &none));
	mover_kernel.can = VFIO_MIGRATION_P2P;
	unit_fails(-EOPNOTSUPP, iommufd_migration_new(scene.dev, 0, &none));
	mover_kernel.can = VFIO_MIGRATION_STOP_COPY;
	mover_kernel.state = PRE_COPY;
	unit_fails(-EPROTO, iommufd_migration_new(scene.dev, 0, &none));
	for (mover_kernel.state = 8; mover_kernel.state; mover_kernel.state <<= 1)
		unit_fails(-EPROTO, iommufd_migration_new(scene.dev, 0, &none));
	mover_kernel.ask = -EIO;
	unit_fails(-EIO, iommufd_migration_new(scene.dev, 0, &none));
	inject_fail(INJECT_MEMORY, 1, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_migration_new(scene.dev, 0, &none));
	ck_assert_ptr_null(none);
	mover_kernel.ask = 0;
	mover_kernel.state = RUNNING;
	mover_close(&scene, m);
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

	m = mover_open(&scene, MOVER_ALL, RUNNING, 0);
	fds = inject_fds();
	unit_fails(-EINVAL, iommufd_migration_fd(m));
	for (size_t i = 0; i < sizeof(way) / sizeof(way[0]); i++) {
		bool stays = mover_saves(mover_kernel.state) && mover_saves(way[i]),
		     has = mover_saves(way[i]) || way[i] == RESUMING;

		ck_assert_msg(!iommufd_migration_set_state(m, way[i]), "%zu: %s", i, iommufd_errmsg());
		mover_is_in(m, way[i]);
		ck_assert_uint_eq(inject_fds(), fds + has);
		if (!has)
			unit_fails(-EINVAL, iommufd_migration_fd(m));
		else if (stays)
			ck_assert_int_eq(iommufd_migration_fd(m), fd);
		else
			fd = iommufd_migration_fd(m);
	}
	ck_assert_uint_eq(mover_kernel.sets, sizeof(way) / sizeof(way[0]));
	/* Where it is already it need not go. */
	ck_assert_int_eq(iommufd_migration_set_state(m, RESUMING), 0);
	ck_assert_uint_eq(mover_kernel.sets, sizeof(way) / sizeof(way[0]));
	mover_close(&scene, m);
}
END_TEST

START_TEST(ways_that_lead_nowhere_are_refused_before_the_kernel_is_asked)
{
	struct iommufd_migration *m;
	struct scene scene;

	m = mover_open(&scene, MOVER_ALL, RUNNING, 0);
	unit_fails(-EINVAL, iommufd_migration_set_state(m, IOMMUFD_MIGRATION_ERROR));
	ck_assert_int_eq(iommufd_migration_set_state(m, STOP_COPY), 0);
	unit_fails(-EINVAL, iommufd_migration_set_state(m, PRE_COPY));
	unit_words_have("from STOP_COPY to PRE_COPY");
	unit_fails(-EINVAL, iommufd_migration_set_state(m, PRE_COPY_P2P));
	ck_assert_int_ge(iommufd_migration_fd(m), 0);
	mover_kernel.state = IOMMUFD_MIGRATION_ERROR;
	for (uint32_t state = STOP; state <= PRE_COPY_P2P; state++) {
		unit_fails(-EIO, iommufd_migration_set_state(m, state));
		unit_words_have("iommufd_migration_abort()");
	}
	ck_assert_uint_eq(mover_kernel.sets, 1);
	mover_close(&scene, m);
}
END_TEST

START_TEST(a_change_that_fails_on_its_way_tells_where_it_ended)
{
	struct iommufd_migration *m;
	struct scene scene;

	m = mover_open(&scene, MOVER_ALL, RUNNING, 0);
	mover_kernel.refuse = -EBUSY;
	mover_kernel.refuse_at = RUNNING_P2P;
	unit_fails(-EBUSY, iommufd_migration_set_state(m, STOP));
	unit_words_have("from RUNNING to STOP");
	unit_words_have("it is now in RUNNING_P2P");
	mover_kernel.refuse_at = IOMMUFD_MIGRATION_ERROR;
	unit_fails(-EBUSY, iommufd_migration_set_state(m, STOP));
	unit_words_have("iommufd_migration_abort()");
	mover_kernel.refuse = 0;
	ck_assert_int_eq(iommufd_migration_abort(m), 0);
	ck_assert_uint_eq(mover_kernel.resets, 1);
	mover_is_in(m, RUNNING);

	/* A stream that was left on the way is over. */
	ck_assert_int_eq(iommufd_migration_set_state(m, STOP_COPY), 0);
	mover_kernel.refuse = -EIO;
	mover_kernel.refuse_at = STOP;
	unit_fails(-EIO, iommufd_migration_set_state(m, RUNNING));
	unit_fails(-EINVAL, iommufd_migration_fd(m));
	mover_kernel.refuse = 0;
	mover_close(&scene, m);
}
END_TEST

START_TEST(without_a_descriptor_for_the_stream_it_goes_back)
{
	struct iommufd_migration *m;
	struct scene scene;

	m = mover_open(&scene, MOVER_ALL, RUNNING, 0);
	mover_kernel.refuse = -EMFILE;
	mover_kernel.refuse_at = STOP_COPY;
	unit_fails(-EMFILE, iommufd_migration_set_state(m, STOP_COPY));
	unit_words_have("ulimit -n");
	ck_assert_uint_eq(mover_kernel.sets, 2);
	ck_assert_uint_eq(mover_kernel.last_set, RUNNING);

	/* In the middle of a stream it does not: that would begin another one. */
	mover_kernel.refuse = 0;
	mover_kernel.state = RUNNING;
	ck_assert_int_eq(iommufd_migration_set_state(m, STOP_COPY), 0);
	mover_kernel.sets = 0;
	mover_kernel.refuse = -EMFILE;
	mover_kernel.refuse_at = RESUMING;
	unit_fails(-EMFILE, iommufd_migration_set_state(m, RESUMING));
	ck_assert_uint_eq(mover_kernel.sets, 1);
	unit_words_have("it is now in RESUMING");
	mover_kernel.refuse = 0;
	unit_fails(-EBUSY, iommufd_migration_set_state(m, RUNNING));
	ck_assert_int_eq(iommufd_migration_abort(m), 0);
	mover_close(&scene, m);
}
END_TEST

START_TEST(a_stream_too_many_or_too_few_is_a_mistake_of_the_kernel)
{
	struct iommufd_migration *m;
	struct scene scene;

	m = mover_open(&scene, MOVER_ALL, RUNNING, 0);
	mover_kernel.stream = -1;
	unit_fails(-EPROTO, iommufd_migration_set_state(m, PRE_COPY));
	unit_fails(-EINVAL, iommufd_migration_fd(m));
	mover_is_in(m, RUNNING);
	unit_fails(-EPROTO, iommufd_migration_set_state(m, RESUMING));
	ck_assert_int_eq(iommufd_migration_abort(m), 0);
	mover_close(&scene, m);
}
END_TEST

/* ---- The end ---- */

START_TEST(giving_up_leads_back_to_running_from_any_state)
{
	struct iommufd_migration *m;
	struct scene scene;

	for (uint32_t state = 0; state < 8; state++) {
		unsigned int fds;

		m = mover_open(&scene, MOVER_ALL, RUNNING, 0);
		fds = inject_fds();
		if (state)
			ck_assert_int_eq(iommufd_migration_set_state(m, state), 0);
		mover_kernel.state = state;
		ck_assert_int_eq(iommufd_migration_abort(m), 0);
		mover_is_in(m, RUNNING);
		ck_assert_uint_eq(mover_kernel.resets, state == IOMMUFD_MIGRATION_ERROR || state == RESUMING);
		ck_assert_uint_eq(inject_fds(), fds);
		mover_close(&scene, m);
	}
}
END_TEST

START_TEST(giving_up_resets_what_does_not_run_otherwise)
{
	struct iommufd_migration *m;
	struct scene scene;

	m = mover_open(&scene, MOVER_ALL, STOP, 0);
	mover_kernel.refuse = -EIO;
	ck_assert_int_eq(iommufd_migration_abort(m), 0);
	ck_assert_uint_eq(mover_kernel.resets, 1);
	mover_kernel.state = mover_kernel.after_reset = IOMMUFD_MIGRATION_ERROR;
	unit_fails(-EIO, iommufd_migration_abort(m));
	unit_words_have("it is in ERROR afterwards");
	inject_ioctl_fail(VFIO_DEVICE_RESET, 1, 1, -EPERM);
	unit_fails(-EPERM, iommufd_migration_abort(m));
	/* A device that does not say that it can be reset is reset all the same: it moves, so it can. */
	scene.dev->flags &= ~(uint32_t)VFIO_DEVICE_FLAGS_RESET;
	mover_kernel.after_reset = RUNNING;
	ck_assert_int_eq(iommufd_migration_abort(m), 0);
	mover_close(&scene, m);
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
		m = mover_open(&scene, MOVER_ALL, RUNNING, 0);
		ck_assert_int_eq(iommufd_migration_set_state(m, state), 0);
		unit_stale_words();
		iommufd_migration_free(m);
		ck_assert(unit_words_are_stale());
		ck_assert_uint_eq(mover_kernel.state, after[state]);
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

	m = mover_open(&scene, MOVER_ALL, RESUMING, 0);
	unit_fails(-EINVAL, iommufd_migration_write(m, "a", 1, &len));
	unit_fails(-EBUSY, iommufd_migration_set_state(m, STOP));
	unit_words_have("another handle");
	ck_assert_uint_eq(mover_kernel.sets, 0);
	ck_assert_int_eq(iommufd_migration_abort(m), 0);
	ck_assert_int_eq(iommufd_migration_set_state(m, RESUMING), 0);
	ck_assert_int_ge(iommufd_migration_fd(m), 0);
	mover_close(&scene, m);
}
END_TEST

START_TEST(a_reset_by_somebody_else_ends_the_stream)
{
	struct iommufd_migration *m;
	struct scene scene;
	unsigned int fds;

	m = mover_open(&scene, MOVER_ALL, RUNNING, 0);
	fds = inject_fds();
	ck_assert_int_eq(iommufd_migration_set_state(m, STOP_COPY), 0);
	ck_assert_int_eq(iommufd_device_reset(scene.dev), 0);
	mover_is_in(m, RUNNING);
	ck_assert_uint_eq(inject_fds(), fds);
	unit_fails(-EINVAL, iommufd_migration_fd(m));
	mover_close(&scene, m);
}
END_TEST

START_TEST(a_handle_is_of_one_attach_and_holds_its_device)
{
	struct iommufd_migration *m;
	uint64_t bytes = 7;
	struct scene scene;
	uint32_t state = 7;
	size_t len = 7;

	m = mover_open(&scene, MOVER_ALL, RUNNING, 0);
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
	ck_assert_uint_eq(mover_kernel.sets, 1);
	ck_assert_uint_eq(mover_kernel.resets, 1);
	iommufd_device_free(scene.dev);
	scene.dev = NULL;
	iommufd_ioas_free(scene.ioas);
	scene.ioas = NULL;
	iommufd_ctx_free(scene.ctx);
	scene.ctx = NULL;
	ck_assert_uint_gt(inject_fds(), 0);
	iommufd_migration_free(m);
	ck_assert_uint_eq(mover_kernel.sets, 1);
	scene_close(&scene);
}
END_TEST

/* What stood still is reset, what ran goes on; and one whose handle is gone was begun all the same. */
START_TEST(a_detach_brings_a_device_back_to_running)
{
	static const bool resets[] = { true, true, false, true, true, false, false, false };
	struct iommufd_migration *m;
	struct scene scene;

	for (uint32_t state = 0; state < 8; state++)
		for (int freed = 0; freed < 2; freed++) {
			m = mover_open(&scene, MOVER_ALL, RUNNING, 0);
			mover_kernel.state = state;
			if (freed)
				iommufd_migration_free(m);
			mover_kernel.sets = 0;
			unit_stale_words();
			ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
			ck_assert(unit_words_are_stale());
			ck_assert_uint_eq(mover_kernel.state, RUNNING);
			ck_assert_uint_eq(mover_kernel.resets, resets[state]);
			ck_assert_uint_eq(mover_kernel.sets, !resets[state] && state != RUNNING);
			/* Another attach, in which nobody moves it. */
			ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
			mover_kernel.state = STOP;
			ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
			ck_assert_uint_eq(mover_kernel.state, STOP);
			mover_close(&scene, freed ? NULL : m);
		}
}
END_TEST

START_TEST(a_detach_resets_what_does_not_run_otherwise)
{
	struct iommufd_migration *m;
	struct scene scene;

	m = mover_open(&scene, MOVER_ALL, PRE_COPY, 0);
	mover_kernel.refuse = -EIO;
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	ck_assert_uint_eq(mover_kernel.state, RUNNING);
	ck_assert_uint_eq(mover_kernel.resets, 1);
	mover_close(&scene, m);

	m = mover_open(&scene, MOVER_ALL, STOP, 0);
	inject_ioctl_fail(VFIO_DEVICE_RESET, 1, 1, -EAGAIN);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0);
	ck_assert_uint_eq(mover_kernel.resets, 1);
	mover_close(&scene, m);

	m = mover_open(&scene, MOVER_ALL, STOP, 0);
	inject_ioctl_fail(VFIO_DEVICE_RESET, 1, 1, -EIO);
	ck_assert_int_eq(iommufd_device_detach(scene.dev), 0); /* it is in the log */
	scene_check_detached(&scene);
	mover_close(&scene, m);
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
	tcase_add_test(tc, giving_up_leads_back_to_running_from_any_state);
	tcase_add_test(tc, giving_up_resets_what_does_not_run_otherwise);
	tcase_add_test(tc, a_device_goes_on_when_its_handle_is_freed);
	tcase_add_test(tc, what_another_handle_began_to_write_can_only_be_reset);
	tcase_add_test(tc, a_reset_by_somebody_else_ends_the_stream);
	tcase_add_test(tc, a_handle_is_of_one_attach_and_holds_its_device);
	tcase_add_test(tc, a_detach_brings_a_device_back_to_running);
	tcase_add_test(tc, a_detach_resets_what_does_not_run_otherwise);
}
