/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Which devices are bound to VFIO, as a monitor tells it; hotplug.c has those that come and go. */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor.h"
#include "vm.h"

struct iommufd_monitor *monitor_open(void)
{
	struct iommufd_monitor *mon = NULL;

	ok(iommufd_monitor_new(NULL, &mon));
	return mon;
}

bool monitor_next(struct iommufd_monitor *mon, const char *address, struct iommufd_monitor_event *event)
{
	*event = (struct iommufd_monitor_event){ .struct_size = sizeof(*event) };
	while (ok(iommufd_monitor_read(mon, event)))
		if (!strcmp(event->name, address))
			return true;
	return false;
}

void monitor_await(struct iommufd_monitor *mon, const char *address, uint32_t type, struct iommufd_monitor_event *event)
{
	struct pollfd poller = { .fd = iommufd_monitor_fd(mon), .events = POLLIN };
	struct iommufd_monitor_event mine;

	while (!monitor_next(mon, address, &mine))
		ck_assert_int_eq(poll(&poller, 1, -1), 1);
	ck_assert_uint_eq(mine.type, type);
	if (event)
		*event = mine;
}

START_TEST(a_device_is_told_of_that_vfio_has_and_that_it_gives_up)
{
	struct iommufd_monitor *mon = monitor_open();
	struct iommufd_monitor_event event;
	char path[PATH_MAX], cdev[128];

	vm_sysfs(EDU, path);
	vm_bind(EDU, NULL);
	monitor_await(mon, EDU, IOMMUFD_MONITOR_UNBOUND, &event);
	ck_assert_str_eq(event.path, path);
	ck_assert_ptr_null(event.driver);
	ck_assert_ptr_null(event.cdev);
	ck_assert_int_eq(event.group, -1);

	vm_bind(EDU, "vfio-pci");
	monitor_await(mon, EDU, IOMMUFD_MONITOR_BOUND, &event);
	vm_cdev(EDU, cdev, sizeof(cdev));
	ck_assert_str_eq(event.path, path);
	ck_assert_str_eq(event.driver, "vfio-pci");
	if (*cdev)
		ck_assert_str_eq(event.cdev, cdev);
	else
		ck_assert_ptr_null(event.cdev);
	ck_assert_int_eq(event.group, vm_group(EDU));
	iommufd_monitor_free(mon);
}
END_TEST

START_TEST(a_device_that_another_driver_has_is_not_told_of)
{
	struct iommufd_monitor *mon = monitor_open();
	struct iommufd_monitor_event event;

	vm_bind(NVME, "nvme");
	vm_bind(NVME, "vfio-pci");
	monitor_await(mon, NVME, IOMMUFD_MONITOR_UNBOUND, NULL);
	monitor_await(mon, NVME, IOMMUFD_MONITOR_BOUND, &event);
	ck_assert_str_eq(event.driver, "vfio-pci");
	ck_assert(!monitor_next(mon, NVME, &event));
	iommufd_monitor_free(mon);
}
END_TEST

static void set_buffer(const struct iommufd_monitor *mon, int size)
{
	ck_assert_int_eq(setsockopt(iommufd_monitor_fd(mon), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
}

/* As when a program does not read for long: it must know, and hear what comes after. */
START_TEST(events_that_were_lost_are_told)
{
	struct iommufd_monitor_event event = { .struct_size = sizeof(event) };
	struct iommufd_monitor *mon = monitor_open();
	int fd = open("/sys/bus/pci/devices/" EDU "/uevent", O_WRONLY | O_CLOEXEC), lost = 0, ret;

	ck_assert_int_ge(fd, 0);
	set_buffer(mon, 1);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(write(fd, "change", 6), 6);
	close(fd);
	while ((ret = iommufd_monitor_read(mon, &event))) {
		ck_assert_str_eq(strerror(-ret), strerror(ENOBUFS));
		fails(ret, -ENOBUFS, "iommufd_probe()");
		lost++;
	}
	ck_assert_int_eq(lost, 1);
	set_buffer(mon, 100000);
	vm_bind(EDU, NULL);
	monitor_await(mon, EDU, IOMMUFD_MONITOR_UNBOUND, NULL);
	vm_bind(EDU, "vfio-pci");
	monitor_await(mon, EDU, IOMMUFD_MONITOR_BOUND, NULL);
	iommufd_monitor_free(mon);
}
END_TEST

#define UUID  "0f2a1d5c-6b7e-4c11-9d37-5a8e4b1c2d30"
#define MDEVS "/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1"

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0 && write(fd, text, strlen(text)) > 0, "%s: %s", path, strerror(errno));
	close(fd);
}

START_TEST(a_mediated_device_comes_and_goes_by_its_uuid)
{
	struct iommufd_monitor *mon = monitor_open();
	struct iommufd_monitor_event event;

	write_to(MDEVS "/create", UUID);
	monitor_await(mon, UUID, IOMMUFD_MONITOR_ADDED, NULL);
	monitor_await(mon, UUID, IOMMUFD_MONITOR_BOUND, &event);
	ck_assert_str_eq(strrchr(event.path, '/') + 1, UUID);
	ck_assert_ptr_nonnull(event.driver);
	write_to("/sys/bus/mdev/devices/" UUID "/remove", "1");
	monitor_await(mon, UUID, IOMMUFD_MONITOR_UNBOUND, &event);
	ck_assert_str_eq(strrchr(event.path, '/') + 1, UUID);
	monitor_await(mon, UUID, IOMMUFD_MONITOR_REMOVED, NULL);
	iommufd_monitor_free(mon);
}
END_TEST

/* As udev's rules would have it, where there is one; here there is none, and nobody sends its events. */
START_TEST(the_source_is_the_one_that_was_asked_for)
{
	struct iommufd_monitor_opts opts = { .struct_size = sizeof(opts), .source = IOMMUFD_MONITOR_UDEV };
	struct iommufd_monitor *daemon, *kernel;
	struct iommufd_monitor_event event;

	ok(iommufd_monitor_new(&opts, &daemon));
	opts.source = IOMMUFD_MONITOR_KERNEL;
	ok(iommufd_monitor_new(&opts, &kernel));
	vm_bind(EDU, NULL);
	monitor_await(kernel, EDU, IOMMUFD_MONITOR_UNBOUND, NULL);
	vm_bind(EDU, "vfio-pci");
	monitor_await(kernel, EDU, IOMMUFD_MONITOR_BOUND, NULL);
	ck_assert(!monitor_next(daemon, EDU, &event));
	iommufd_monitor_free(daemon);
	iommufd_monitor_free(kernel);
}
END_TEST

START_TEST(an_ordinary_user_hears_it_too)
{
	int told[2], status;
	char byte;
	pid_t child;

	ck_assert_int_eq(pipe(told), 0);
	child = fork();
	if (!child) {
		struct iommufd_monitor *mon;

		vm_become_user(0);
		mon = monitor_open();
		ck_assert_int_eq(write(told[1], "", 1), 1);
		monitor_await(mon, EDU, IOMMUFD_MONITOR_UNBOUND, NULL);
		iommufd_monitor_free(mon);
		_exit(0);
	}
	ck_assert_int_eq(read(told[0], &byte, 1), 1);
	vm_bind(EDU, NULL);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	vm_bind(EDU, "vfio-pci");
}
END_TEST

/* A test that failed may have left them otherwise. */
static void bind_both(void)
{
	vm_bind(EDU, "vfio-pci");
	vm_bind(NVME, "vfio-pci");
}

void add_monitor_tests(TCase *tc)
{
	tcase_add_checked_fixture(tc, bind_both, NULL);
	tcase_add_test(tc, a_device_is_told_of_that_vfio_has_and_that_it_gives_up);
	tcase_add_test(tc, a_device_that_another_driver_has_is_not_told_of);
	tcase_add_test(tc, events_that_were_lost_are_told);
	if (!access(MDEVS, F_OK)) /* the kernels that are built here have it */
		tcase_add_test(tc, a_mediated_device_comes_and_goes_by_its_uuid);
	tcase_add_test(tc, the_source_is_the_one_that_was_asked_for);
	tcase_add_test(tc, an_ordinary_user_hears_it_too);
}
