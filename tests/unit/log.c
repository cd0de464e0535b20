/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Who hears what. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "sys.h"
#include "token.h"
#include "trace.h"
#include "udev.h"
#include "unit.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

struct heard {
	int count, level;
	char line[1100];
};

static void hear(void *data, int level, const char *message)
{
	struct heard *heard = data;

	heard->count++;
	heard->level = level;
	snprintf(heard->line, sizeof(heard->line), "%s", message);
	errno = EXDEV; /* a callback may do as it likes with it */
}

static struct ifd_log log_to(struct heard *heard, uint32_t level)
{
	struct iommufd_ctx_opts opts = { sizeof(opts), .log_level = level, .log = hear, .log_data = heard };
	struct ifd_log log;

	*heard = (struct heard){ .count = 0 };
	ck_assert_int_eq(ifd_log_init(&log, &opts), 0);
	return log;
}

static void write_all(const struct ifd_log *log)
{
	ifd_error(log, "message %d", 1);
	ifd_warn(log, "message %d", 2);
	ifd_info(log, "message %d", 3);
	ifd_debug(log, "message %d", 4);
}

/* What write_all() puts on the standard error stream of a context whose options name no callback. */
static const char *on_stderr(const char *variable)
{
	static char text[1024];
	struct iommufd_ctx_opts opts = { sizeof(opts), .log_level = IOMMUFD_LOG_DEBUG };
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	struct ifd_log log;
	ssize_t len;

	if (variable)
		setenv("LIBIOMMUFD_LOG", variable, 1);
	else
		unsetenv("LIBIOMMUFD_LOG");
	ck_assert(file && saved >= 0);
	dup2(fileno(file), STDERR_FILENO);
	ifd_log_init(&log, &opts);
	write_all(&log);
	dup2(saved, STDERR_FILENO);
	close(saved);
	len = pread(fileno(file), text, sizeof(text) - 1, 0);
	fclose(file);
	ck_assert_int_ge(len, 0);
	text[len] = '\0';
	return text;
}

START_TEST(a_level_hears_itself_and_what_is_more_urgent)
{
	for (uint32_t level = IOMMUFD_LOG_NONE; level <= IOMMUFD_LOG_DEBUG; level++) {
		struct heard heard;
		struct ifd_log log = log_to(&heard, level);

		write_all(&log);
		ck_assert_int_eq(heard.count, (int)level);
		ck_assert_int_eq(heard.level, (int)level);
	}
}
END_TEST

START_TEST(a_message_is_formatted_and_errno_stays)
{
	struct heard heard;
	struct ifd_log log = log_to(&heard, IOMMUFD_LOG_WARN), *to = &log;

	errno = ENOENT;
	ifd_warn(to, "%s has %d", "it", 7);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_str_eq(heard.line, "it has 7");
}
END_TEST

START_TEST(a_message_that_is_too_long_is_cut_off)
{
	struct heard heard;
	struct ifd_log log = log_to(&heard, IOMMUFD_LOG_WARN), *to = &log;
	char much[8000];

	memset(much, 'x', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	ifd_warn(to, "%s", much);
	ck_assert_int_eq(heard.count, 1);
	ck_assert_uint_eq(strspn(heard.line, "x"), strlen(heard.line));
	ck_assert_uint_ge(strlen(heard.line), 500);
}
END_TEST

START_TEST(no_log_is_silence)
{
	const struct ifd_log *nobody = NULL;

	write_all(nobody);
	ck_assert(!ifd_log_on(nobody, IOMMUFD_LOG_ERROR));
}
END_TEST

START_TEST(a_level_that_is_none_is_refused)
{
	struct iommufd_ctx_opts opts = { sizeof(opts), .log_level = IOMMUFD_LOG_DEBUG + 1, .log = hear };
	struct ifd_log log;

	unit_fails(-EINVAL, ifd_log_init(&log, &opts));
	unit_words_have("log level 5");
	opts.log_level = UINT32_MAX;
	unit_fails(-EINVAL, ifd_log_init(&log, &opts));
}
END_TEST

START_TEST(without_a_callback_and_a_variable_nothing_is_written)
{
	ck_assert_str_eq(on_stderr(NULL), "");
	ck_assert_str_eq(on_stderr(""), "");
	ck_assert_str_eq(on_stderr("none"), "");
	ck_assert_str_eq(on_stderr("everything"), "");
	ck_assert_str_eq(on_stderr("DEBUG"), "");
}
END_TEST

START_TEST(the_variable_makes_the_standard_error_stream_hear)
{
	ck_assert_str_eq(on_stderr("error"), "libiommufd: error: message 1\n");
	ck_assert_str_eq(on_stderr("warn"), "libiommufd: error: message 1\nlibiommufd: warn: message 2\n");
	ck_assert_ptr_null(strstr(on_stderr("info"), "message 4"));
	ck_assert_ptr_nonnull(strstr(on_stderr("info"), "libiommufd: info: message 3\n"));
	ck_assert_ptr_nonnull(strstr(on_stderr("debug"), "libiommufd: debug: message 4\n"));
}
END_TEST

START_TEST(a_callback_is_not_overruled_by_the_variable)
{
	struct heard heard;
	struct ifd_log log;

	setenv("LIBIOMMUFD_LOG", "debug", 1);
	log = log_to(&heard, IOMMUFD_LOG_ERROR);
	write_all(&log);
	ck_assert_int_eq(heard.count, 1);
	log = log_to(&heard, IOMMUFD_LOG_NONE);
	write_all(&log);
	ck_assert_int_eq(heard.count, 0);
}
END_TEST

START_TEST(a_debug_line_names_the_ioctl_its_arguments_and_its_result)
{
	struct iommu_ioas_map map = { .size = sizeof(map),
				      .flags = 7,
				      .ioas_id = 3,
				      .user_va = 0x7f0000000000,
				      .length = 0x2000,
				      .iova = 0x10000 };
	struct heard heard;
	struct ifd_log log = log_to(&heard, IOMMUFD_LOG_DEBUG);

	ifd_trace_ioctl(&log, 5, IOMMU_IOAS_MAP, &map, 0);
	ck_assert_int_eq(heard.level, IOMMUFD_LOG_DEBUG);
	ck_assert_str_eq(heard.line, "fd 5: IOMMU_IOAS_MAP flags=0x7 ioas_id=0x3 user_va=0x7f0000000000 length=0x2000 "
				     "iova=0x10000: 0");
	ifd_trace_ioctl(&log, 5, IOMMU_IOAS_MAP, &map, -EEXIST);
	ck_assert_ptr_nonnull(strstr(heard.line, "iova=0x10000: File exists"));
}
END_TEST

START_TEST(a_debug_line_reads_an_argument_as_what_it_is)
{
	struct heard heard;
	struct ifd_log log = log_to(&heard, IOMMUFD_LOG_DEBUG);
	char name[] = "0000:00:03.0", with_token[IFD_TOKEN_NAME_MAX];
	const unsigned char token[16] = { 0x01, 0x23, 0x45, 0x67 };
	int container = 12;

	ifd_token_name(&(struct ifd_found){ .name = name }, token, with_token);
	ck_assert_ptr_nonnull(strstr(with_token, "01234567")); /* which is a secret */

	ifd_trace_ioctl(&log, 1, VFIO_CHECK_EXTENSION, (void *)3, 1); /* a number, not an address */
	ck_assert_str_eq(heard.line, "fd 1: VFIO_CHECK_EXTENSION 3: 1");
	ifd_trace_ioctl(&log, 2, VFIO_GROUP_SET_CONTAINER, &container, 0);
	ck_assert_str_eq(heard.line, "fd 2: VFIO_GROUP_SET_CONTAINER 12: 0");
	ifd_trace_ioctl(&log, 2, VFIO_GROUP_GET_DEVICE_FD, name, 9);
	ck_assert_str_eq(heard.line, "fd 2: VFIO_GROUP_GET_DEVICE_FD 0000:00:03.0: 9");
	ifd_trace_ioctl(&log, 2, VFIO_GROUP_GET_DEVICE_FD, with_token, -EACCES);
	ck_assert_str_eq(heard.line, "fd 2: VFIO_GROUP_GET_DEVICE_FD 0000:00:03.0: Permission denied");
	ifd_trace_ioctl(&log, 2, VFIO_GROUP_UNSET_CONTAINER, NULL, 0);
	ck_assert_str_eq(heard.line, "fd 2: VFIO_GROUP_UNSET_CONTAINER: 0");
	ifd_trace_ioctl(&log, 2, 0x1234, NULL, 0);
	ck_assert_str_eq(heard.line, "fd 2: ioctl 0x1234: 0");
}
END_TEST

START_TEST(each_ioctl_that_is_made_is_heard_at_debug_and_only_there)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = 4 };
	struct heard heard;
	struct ifd_log log = log_to(&heard, IOMMUFD_LOG_DEBUG);
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ifd_sys_ioctl(&log, fd, IOMMU_DESTROY, &destroy), -ENOTTY);
	ck_assert_int_eq(heard.count, 1);
	ck_assert_ptr_nonnull(strstr(heard.line, "IOMMU_DESTROY id=0x4: "));
	log = log_to(&heard, IOMMUFD_LOG_INFO);
	ck_assert_int_eq(ifd_sys_ioctl(&log, fd, IOMMU_DESTROY, &destroy), -ENOTTY);
	ck_assert_int_eq(heard.count, 0);
	close(fd);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_level_hears_itself_and_what_is_more_urgent);
	tcase_add_test(tcase, a_message_is_formatted_and_errno_stays);
	tcase_add_test(tcase, a_message_that_is_too_long_is_cut_off);
	tcase_add_test(tcase, no_log_is_silence);
	tcase_add_test(tcase, a_level_that_is_none_is_refused);
	tcase_add_test(tcase, without_a_callback_and_a_variable_nothing_is_written);
	tcase_add_test(tcase, the_variable_makes_the_standard_error_stream_hear);
	tcase_add_test(tcase, a_callback_is_not_overruled_by_the_variable);
	tcase_add_test(tcase, a_debug_line_names_the_ioctl_its_arguments_and_its_result);
	tcase_add_test(tcase, a_debug_line_reads_an_argument_as_what_it_is);
	tcase_add_test(tcase, each_ioctl_that_is_made_is_heard_at_debug_and_only_there);
}
