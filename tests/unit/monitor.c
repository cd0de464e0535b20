/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A monitor whose libudev says what a machine rarely does. Events of a real kernel are in tests/vm/suite/monitor.c. */
#include <errno.h>
#include <libudev.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libiommufd.h>

#include "inject.h"
#include "unit.h"

/* ---- libudev, as far as the library reads events by it: these functions come before its own ---- */

struct udev_device {
	const char *action, *subsystem, *path;
	int err; /* in place of an event */
};

static struct udev_device *script; /* ends with a member that is empty */

struct udev_device *udev_monitor_receive_device(struct udev_monitor *socket)
{
	(void)socket;
	errno = EAGAIN;
	if (!script || (!script->path && !script->err))
		return NULL;
	errno = script->err;
	return script++->err ? NULL : script - 1;
}

struct udev_device *udev_device_unref(struct udev_device *dev)
{
	(void)dev;
	return NULL;
}

const char *udev_device_get_action(struct udev_device *dev)
{
	return dev->action;
}

const char *udev_device_get_subsystem(struct udev_device *dev)
{
	return dev->subsystem;
}

const char *udev_device_get_syspath(struct udev_device *dev)
{
	return dev->path;
}

/* ---- The tests ---- */

static struct iommufd_monitor *open_with(struct udev_device *events)
{
	struct iommufd_monitor *mon = NULL;

	script = events;
	ck_assert_int_eq(iommufd_monitor_new(NULL, &mon), 0);
	return mon;
}

static void next_is(struct iommufd_monitor *mon, uint32_t type, const char *name, const char *path)
{
	struct iommufd_monitor_event event = { .struct_size = sizeof(event) };

	ck_assert_int_eq(iommufd_monitor_read(mon, &event), 1);
	ck_assert_uint_eq(event.type, type);
	ck_assert_str_eq(event.name, name);
	ck_assert_str_eq(event.path, path);
	ck_assert_ptr_null(event.cdev);
	ck_assert_int_eq(event.group, -1);
}

START_TEST(a_device_that_is_gone_is_named_by_what_the_event_says)
{
	struct iommufd_monitor_event event = { .struct_size = sizeof(event) };
	struct iommufd_monitor *mon = open_with((struct udev_device[]){
		{ "remove", "vfio-dev", "/sys/devices/pci0000:00/0000:00:0a.0/0000:04:00.0/vfio-dev/vfio3", 0 },
		{ "unbind", "pci", "/sys/devices/pci0000:00/0000:00:0a.0/0000:04:00.0", 0 },
		{ "remove", "pci", "/sys/devices/pci0000:00/0000:00:0a.0/0000:04:00.0", 0 },
		{ NULL, NULL, NULL, 0 },
	});

	next_is(mon, IOMMUFD_MONITOR_UNBOUND, "0000:04:00.0", "/sys/devices/pci0000:00/0000:00:0a.0/0000:04:00.0");
	next_is(mon, IOMMUFD_MONITOR_REMOVED, "0000:04:00.0", "/sys/devices/pci0000:00/0000:00:0a.0/0000:04:00.0");
	ck_assert_int_eq(iommufd_monitor_read(mon, &event), 0);
	iommufd_monitor_free(mon);
}
END_TEST

START_TEST(what_is_no_event_of_a_device_is_left_out)
{
	struct iommufd_monitor_event event = { .struct_size = sizeof(event), .type = 42 };
	struct iommufd_monitor *mon = open_with((struct udev_device[]){
		{ NULL, "pci", "/sys/devices/pci0000:00/0000:00:03.0", 0 },
		{ "change", "pci", "/sys/devices/pci0000:00/0000:00:03.0", 0 },
		{ "add", "vfio-dev", "/sys/devices/pci0000:00/0000:00:03.0/vfio-dev/vfio0", 0 },
		{ NULL, NULL, NULL, 0 },
	});

	ck_assert_int_eq(iommufd_monitor_read(mon, &event), 0);
	ck_assert_uint_eq(event.type, 42);
	iommufd_monitor_free(mon);
}
END_TEST

START_TEST(lost_events_are_told_and_the_next_ones_come)
{
	struct iommufd_monitor_event event = { .struct_size = sizeof(event), .type = 42 };
	struct iommufd_monitor *mon = open_with((struct udev_device[]){
		{ NULL, NULL, NULL, ENOBUFS },
		{ "remove", "mdev", "/sys/devices/virtual/mtty/mtty/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", 0 },
		{ NULL, NULL, NULL, ENOMEM },
		{ NULL, NULL, NULL, EINTR },
		{ NULL, NULL, NULL, 0 },
	});

	unit_fails(-ENOBUFS, iommufd_monitor_read(mon, &event));
	ck_assert_ptr_nonnull(strstr(iommufd_errmsg(), "iommufd_probe()"));
	ck_assert_uint_eq(event.type, 42);
	next_is(mon, IOMMUFD_MONITOR_REMOVED, "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001",
		"/sys/devices/virtual/mtty/mtty/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
	unit_fails(-ENOMEM, iommufd_monitor_read(mon, &event));
	ck_assert_int_eq(iommufd_monitor_read(mon, &event), 0);
	iommufd_monitor_free(mon);
}
END_TEST

START_TEST(no_memory_is_told)
{
	struct iommufd_monitor_event event = { .struct_size = sizeof(event), .type = 42 };
	struct iommufd_monitor *mon = open_with((struct udev_device[]){
				       { "remove", "pci", "/sys/devices/pci0000:00/0000:00:03.0", 0 },
				       { "remove", "pci", "/sys/devices/pci0000:00/0000:00:04.0", 0 },
				       { NULL, NULL, NULL, 0 },
			       }),
			       *second = NULL;

	inject_fail(INJECT_MEMORY, 1, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_monitor_read(mon, &event));
	ck_assert_uint_eq(event.type, 42);
	next_is(mon, IOMMUFD_MONITOR_REMOVED, "0000:00:04.0", "/sys/devices/pci0000:00/0000:00:04.0");
	inject_fail(INJECT_MEMORY, 1, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_monitor_new(NULL, &second));
	ck_assert_ptr_null(second);
	iommufd_monitor_free(mon);
}
END_TEST

START_TEST(a_child_process_takes_nothing_from_its_parent)
{
	struct udev_device events[] = {
		{ "remove", "pci", "/sys/devices/pci0000:00/0000:00:03.0", 0 },
		{ NULL, NULL, NULL, 0 },
	};
	struct iommufd_monitor_event event = { .struct_size = sizeof(event), .type = 42 };
	struct iommufd_monitor *mon = open_with(events);
	pid_t child = fork();
	int status;

	if (!child) {
		unit_fails(-EPERM, iommufd_monitor_read(mon, &event));
		ck_assert_ptr_eq(script, events);
		iommufd_monitor_free(mon);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	next_is(mon, IOMMUFD_MONITOR_REMOVED, "0000:00:03.0", "/sys/devices/pci0000:00/0000:00:03.0");
	iommufd_monitor_free(mon);
}
END_TEST

START_TEST(bad_options_are_refused)
{
	struct iommufd_monitor_opts opts = { .struct_size = sizeof(opts), .source = IOMMUFD_MONITOR_UDEV + 1 };
	struct iommufd_monitor_event event = { .struct_size = 8 };
	struct iommufd_monitor *mon = NULL;

	unit_fails(-EINVAL, iommufd_monitor_new(&opts, &mon));
	opts.source = IOMMUFD_MONITOR_KERNEL;
	opts.flags = 1;
	unit_fails(-EINVAL, iommufd_monitor_new(&opts, &mon));
	opts.flags = 0;
	opts.struct_size = 4;
	unit_fails(-EINVAL, iommufd_monitor_new(&opts, &mon));
	ck_assert_ptr_null(mon);
	opts.struct_size = sizeof(opts);
	ck_assert_int_eq(iommufd_monitor_new(&opts, &mon), 0);
	ck_assert_int_ge(iommufd_monitor_fd(mon), 0);
	unit_fails(-EINVAL, iommufd_monitor_read(mon, &event));
	iommufd_monitor_free(mon);
	iommufd_monitor_free(NULL);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_device_that_is_gone_is_named_by_what_the_event_says);
	tcase_add_test(tcase, what_is_no_event_of_a_device_is_left_out);
	tcase_add_test(tcase, lost_events_are_told_and_the_next_ones_come);
	tcase_add_test(tcase, no_memory_is_told);
	tcase_add_test(tcase, a_child_process_takes_nothing_from_its_parent);
	tcase_add_test(tcase, bad_options_are_refused);
}
