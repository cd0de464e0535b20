/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Answers with a chain of capabilities, such as no kernel should give. */
#include <errno.h>
#include <stdlib.h>

#include "caps.h"
#include "scene.h"
#include "uapi/vfio.h"

#define HEADER ((uint32_t)sizeof(struct vfio_info_cap_header))
#define WANTED 5

/* An answer of exactly `len` bytes, so that AddressSanitizer sees a step too far. */
static unsigned char *answer_new(size_t len)
{
	unsigned char *answer = calloc(1, len);

	ck_assert_ptr_nonnull(answer);
	return answer;
}

static void put(unsigned char *answer, uint32_t at, uint16_t id, uint32_t next)
{
	struct vfio_info_cap_header header = { id, 1, next };

	memcpy(answer + at, &header, sizeof(header));
}

START_TEST(a_capability_is_found_wherever_it_is_in_the_chain)
{
	unsigned char *answer = answer_new(96);
	size_t room = 0;

	put(answer, 32, 1, 64); /* the chain may go back and forth */
	put(answer, 64, 2, 48);
	put(answer, 48, WANTED, 80);
	put(answer, 80, 3, 0);
	ck_assert_ptr_eq(ifd_caps_find(answer, 96, 32, 1, HEADER, &room), answer + 32);
	ck_assert_uint_eq(room, 64);
	ck_assert_ptr_eq(ifd_caps_find(answer, 96, 32, WANTED, HEADER, &room), answer + 48);
	ck_assert_uint_eq(room, 48);
	ck_assert_ptr_eq(ifd_caps_find(answer, 96, 32, 3, 16, &room), answer + 80);
	ck_assert_uint_eq(room, 16);
	ck_assert_ptr_null(ifd_caps_find(answer, 96, 32, 4, HEADER, &room));
	ck_assert_ptr_null(ifd_caps_find(answer, 96, 0, 1, HEADER, &room));
	free(answer);
}
END_TEST

START_TEST(the_first_of_two_is_taken)
{
	unsigned char *answer = answer_new(64);
	size_t room;

	put(answer, 32, WANTED, 16);
	put(answer, 16, WANTED, 0);
	ck_assert_ptr_eq(ifd_caps_find(answer, 64, 32, WANTED, HEADER, &room), answer + 32);
	free(answer);
}
END_TEST

START_TEST(a_chain_that_loops_ends)
{
	unsigned char *answer = answer_new(64);
	size_t room;

	put(answer, 16, 1, 16);
	ck_assert_ptr_null(ifd_caps_find(answer, 64, 16, WANTED, HEADER, &room));
	put(answer, 16, 1, 32);
	put(answer, 32, 2, 48);
	put(answer, 48, 3, 16);
	ck_assert_ptr_null(ifd_caps_find(answer, 64, 16, WANTED, HEADER, &room));
	ck_assert_ptr_eq(ifd_caps_find(answer, 64, 16, 3, HEADER, &room), answer + 48);
	free(answer);
}
END_TEST

START_TEST(a_chain_that_leaves_the_answer_ends)
{
	static const uint32_t outside[] = { 57, 63, 64, 65, 72, 4096, UINT32_MAX - 7, UINT32_MAX };
	unsigned char *answer = answer_new(64);
	size_t room;

	memset(answer, WANTED, 64); /* anything that is read would have the id, if the bytes are these */
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		put(answer, 16, 1, outside[i]);
		ck_assert_ptr_null(ifd_caps_find(answer, 64, outside[i], WANTED * 0x101, HEADER, &room));
		ck_assert_ptr_null(ifd_caps_find(answer, 64, 16, WANTED * 0x101, HEADER, &room));
	}
	ck_assert_ptr_null(ifd_caps_find(answer, 0, 8, WANTED, HEADER, &room));
	free(answer);
}
END_TEST

START_TEST(a_capability_that_is_cut_off_is_none)
{
	unsigned char *answer = answer_new(64);
	size_t room;

	put(answer, 48, WANTED, 0);
	ck_assert_ptr_eq(ifd_caps_find(answer, 64, 48, WANTED, 16, &room), answer + 48);
	ck_assert_ptr_null(ifd_caps_find(answer, 64, 48, WANTED, 17, &room));
	put(answer, 56, WANTED, 0);
	ck_assert_ptr_eq(ifd_caps_find(answer, 64, 56, WANTED, HEADER, &room), answer + 56);
	ck_assert_uint_eq(room, HEADER);
	free(answer);
}
END_TEST

START_TEST(what_is_found_in_random_bytes_lies_inside_of_them)
{
	uint64_t seed = unit_seed(), state = seed, end = unit_now() + 300;

	while (unit_now() < end) {
		size_t len = unit_below(&state, 80), size = HEADER + unit_below(&state, 24), room = 0;
		unsigned char *answer = answer_new(len ? len : 1);
		const unsigned char *found;

		for (size_t i = 0; i < len; i++)
			answer[i] = (unsigned char)(unit_below(&state, 3) ? 0 : unit_below(&state, 80));
		found = ifd_caps_find(answer, len, (uint32_t)unit_below(&state, 90), (uint16_t)unit_below(&state, 4),
				      size, &room);
		if (found)
			ck_assert_msg(found >= answer && found + room == answer + len && room >= size,
				      "seed %llu: at %td with %zu of %zu", (unsigned long long)seed, found - answer,
				      room, len);
		free(answer);
	}
}
END_TEST

/* ---- The ioctl that asks until the answer fits ---- */

static uint32_t wants[16]; /* what the answers say that they need, one after the other, the last one for ever */
static size_t asked;

static int grow(int fd, void *arg)
{
	struct vfio_region_info *info = arg;
	uint32_t needed = wants[asked];

	(void)fd;
	ck_assert_uint_eq(info->index, 3); /* the request is there each time */
	ck_assert_uint_ge(info->argsz, sizeof(*info));
	memset((unsigned char *)arg + sizeof(*info), 0xee, info->argsz - sizeof(*info)); /* has the room it claims */
	asked += asked < 15;
	if (needed)
		info->argsz = needed;
	else
		info->argsz += 8;
	return 0;
}

static int ask(void **answer, size_t *len)
{
	struct vfio_region_info request = { .argsz = sizeof(request), .index = 3 };
	int fd = inject_fd(), ret;

	inject_ioctl(VFIO_DEVICE_GET_REGION_INFO, grow);
	asked = 0;
	*answer = NULL;
	*len = 1;
	ret = ifd_caps_ioctl(NULL, fd, VFIO_DEVICE_GET_REGION_INFO, &request, sizeof(request), answer, len);
	ifd_sys_close(fd);
	ck_assert(ret == 0 || (ret < 0 && !*answer && *len == 1));
	return ret;
}

START_TEST(an_answer_that_fits_at_once_is_asked_for_once)
{
	static const uint32_t enough[] = { sizeof(struct vfio_region_info), 4, 1 };
	void *answer;
	size_t len;

	for (size_t i = 0; i < 3; i++) {
		unsigned int before = inject_ioctls(VFIO_DEVICE_GET_REGION_INFO);

		wants[0] = enough[i];
		ck_assert_int_eq(ask(&answer, &len), 0);
		ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_GET_REGION_INFO), before + 1);
		ck_assert_uint_ge(len, sizeof(struct vfio_region_info));
		memset(answer, 0, len); /* all of it is ours */
		free(answer);
	}
}
END_TEST

START_TEST(an_answer_that_needs_more_room_gets_it)
{
	void *answer;
	size_t len;

	wants[0] = 100;
	wants[1] = 200;
	wants[2] = 200;
	ck_assert_int_eq(ask(&answer, &len), 0);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_GET_REGION_INFO), 3);
	ck_assert_uint_eq(len, 200);
	memset(answer, 0, len);
	free(answer);
}
END_TEST

START_TEST(an_answer_that_grows_for_ever_is_given_up)
{
	void *answer;
	size_t len;

	wants[0] = 0;
	ck_assert_int_eq(ask(&answer, &len), -EPROTO);
	ck_assert_uint_le(inject_ioctls(VFIO_DEVICE_GET_REGION_INFO), 64);
}
END_TEST

START_TEST(an_answer_out_of_all_proportion_is_not_asked_for_again)
{
	void *answer;
	size_t len;

	wants[0] = UINT32_MAX;
	ck_assert_int_eq(ask(&answer, &len), -EPROTO);
	wants[0] = 64u << 20;
	ck_assert_int_eq(ask(&answer, &len), -EPROTO);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_GET_REGION_INFO), 2);
}
END_TEST

static int positive(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	return 3;
}

START_TEST(a_failure_is_passed_on_and_what_is_neither_is_a_breach_of_protocol)
{
	struct vfio_region_info request = { .argsz = sizeof(request) };
	void *answer = NULL;
	int fd = inject_fd();
	size_t len;

	inject_ioctl(VFIO_DEVICE_GET_REGION_INFO, positive);
	ck_assert_int_eq(
		ifd_caps_ioctl(NULL, fd, VFIO_DEVICE_GET_REGION_INFO, &request, sizeof(request), &answer, &len),
		-EPROTO);
	inject_ioctl_fail(VFIO_DEVICE_GET_REGION_INFO, 1, 1, -EIO);
	ck_assert_int_eq(
		ifd_caps_ioctl(NULL, fd, VFIO_DEVICE_GET_REGION_INFO, &request, sizeof(request), &answer, &len), -EIO);
	inject_fail(INJECT_MEMORY, 1, -ENOMEM);
	ck_assert_int_eq(
		ifd_caps_ioctl(NULL, fd, VFIO_DEVICE_GET_REGION_INFO, &request, sizeof(request), &answer, &len),
		-ENOMEM);
	ck_assert_ptr_null(answer);
	ifd_sys_close(fd);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_capability_is_found_wherever_it_is_in_the_chain);
	tcase_add_test(tcase, the_first_of_two_is_taken);
	tcase_add_test(tcase, a_chain_that_loops_ends);
	tcase_add_test(tcase, a_chain_that_leaves_the_answer_ends);
	tcase_add_test(tcase, a_capability_that_is_cut_off_is_none);
	tcase_add_test(tcase, what_is_found_in_random_bytes_lies_inside_of_them);
	tcase_add_test(tcase, an_answer_that_fits_at_once_is_asked_for_once);
	tcase_add_test(tcase, an_answer_that_needs_more_room_gets_it);
	tcase_add_test(tcase, an_answer_that_grows_for_ever_is_given_up);
	tcase_add_test(tcase, an_answer_out_of_all_proportion_is_not_asked_for_again);
	tcase_add_test(tcase, a_failure_is_passed_on_and_what_is_neither_is_a_breach_of_protocol);
}
