/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Binding, in a sysfs that is made up: whatever fails, the device has its driver and its override again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "sys.h"
#include "unit.h"
#include "udev.h"

#include <libiommufd/bind.h>

#define DEVICE "0000:00:04.0"
#define PATH   "/sys/devices/pci0000:00/" DEVICE

/* ---- A device, two drivers and what the kernel does with them ---- */

static struct {
	char driver[64], override[64], subsystem[16];
	int group;
	uint32_t class;
	bool no_group_node, busy_group, mounted, up, deaf, held;
	bool half_gone, old, no_power; /* of its last driver; where all is told under the lock; without power */
	const char *thief;             /* who binds it in the moment that it has no driver */
	const char *refuses;           /* a driver that does not want the device */
	int refuses_with;
	bool late;                                /* its nodes do not come */
	unsigned int calls, fail_at, fails_after; /* of writes: the first that fails */
	unsigned int group_fds, unbinds;
	int fail_with;
	const char *alias;  /* a line of modules.alias */
	const char *loaded; /* a third driver, of a module of this name */
} sim;

static void reset(const char *driver, const char *override)
{
	memset(&sim, 0, sizeof(sim));
	snprintf(sim.driver, sizeof(sim.driver), "%s", driver);
	snprintf(sim.override, sizeof(sim.override), "%s", override);
	snprintf(sim.subsystem, sizeof(sim.subsystem), "pci");
	sim.group = 7;
	sim.class = 0x010802;
}

static bool is_driver(const char *name)
{
	return !strcmp(name, "nvme") || !strcmp(name, "vfio-pci") || (sim.loaded && !strcmp(name, sim.loaded));
}

static char *copy(const char *text)
{
	return *text ? strdup(text) : NULL;
}

int __wrap_ifd_udev_find(const char *address, struct ifd_found **out);
int __wrap_ifd_udev_find(const char *address, struct ifd_found **out)
{
	bool vfio = strstr(sim.driver, "vfio");

	if (strcmp(address, DEVICE) != 0 && strcmp(address, PATH) != 0)
		return ifd_fail(-ENOENT, NULL, "find the device %s", address);
	*out = calloc(1, sizeof(**out));
	**out = (struct ifd_found){ .name = strdup(DEVICE),
				    .path = strdup(PATH),
				    .driver = copy(sim.driver),
				    .cdev = vfio ? strdup("/dev/vfio/devices/vfio0") : NULL,
				    .group = sim.group,
				    .pci_id = 0x12345678,
				    .pci_class = sim.class,
				    .vfio = vfio };
	return 0;
}

int __wrap_ifd_udev_group(int group, struct ifd_found_list *list);
int __wrap_ifd_udev_group(int group, struct ifd_found_list *list)
{
	(void)group;
	*list = (struct ifd_found_list){ .count = 0 };
	return 0;
}

void __wrap_ifd_udev_below(const struct ifd_found *found, const char *subsystem, ifd_below_fn fn, void *data);
void __wrap_ifd_udev_below(const struct ifd_found *found, const char *subsystem, ifd_below_fn fn, void *data)
{
	ck_assert_str_eq(found->name, DEVICE);
	if (!strcmp(subsystem, "block")) {
		fn(data, &(struct ifd_below){ "nvme0c0", PATH "/nvme0c0", NULL, 0, 0 });
		fn(data, &(struct ifd_below){ "nvme0n1", PATH "/nvme0n1", "/dev/nvme0n1", 259, 0 });
		fn(data, &(struct ifd_below){ "nvme0n1p1", PATH "/nvme0n1p1", "/dev/nvme0n1p1", 259, 1 });
	} else if (!strcmp(subsystem, "net")) {
		fn(data, &(struct ifd_below){ "eth0", PATH "/eth0", NULL, 0, 0 });
	}
}

ssize_t __wrap_ifd_sys_readlink(const char *path, char *buf, size_t size);
ssize_t __wrap_ifd_sys_readlink(const char *path, char *buf, size_t size)
{
	if (!strcmp(path, PATH "/subsystem"))
		return snprintf(buf, size, "../../bus/%s", sim.subsystem);
	if (!strcmp(path, PATH "/driver"))
		return *sim.driver ? snprintf(buf, size, "../../bus/pci/drivers/%s", sim.driver) : -ENOENT;
	return -ENOENT;
}

ssize_t __wrap_ifd_sys_read_text(const char *path, char *buf, size_t size);
ssize_t __wrap_ifd_sys_read_text(const char *path, char *buf, size_t size)
{
	if (!strcmp(path, PATH "/driver_override"))
		return snprintf(buf, size, "%s\n", *sim.override ? sim.override : "(null)");
	if (!strcmp(path, PATH "/eth0/flags"))
		return snprintf(buf, size, "0x100%c\n", sim.up ? '3' : '2');
	if (!strcmp(path, PATH "/modalias"))
		return snprintf(buf, size, "pci:v00001234d00005678sv0sd0bc01sc08i02\n");
	if (!strcmp(path, "/proc/sys/kernel/osrelease"))
		return snprintf(buf, size, "7.3.0\n");
	return -ENOENT;
}

static const char *const mounts[] = {
	"21 1 0:20 / /proc rw - proc proc rw",
	"nonsense",
	"36 25 259:1 / /home rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw",
};

int __wrap_ifd_sys_each_line(const char *path, ifd_sys_text_fn fn, void *data);
int __wrap_ifd_sys_each_line(const char *path, ifd_sys_text_fn fn, void *data)
{
	if (!strcmp(path, "/proc/self/mountinfo"))
		for (size_t i = 0; i < (sim.mounted ? 3 : 2) && fn(data, mounts[i]); i++)
			;
	if (!strcmp(path, "/lib/modules/7.3.0/modules.alias") && sim.alias) {
		fn(data, "alias pci:v*d*sv*sd*bc01sc08i02* nvme");
		fn(data, "alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci");
		fn(data, sim.alias);
	}
	return 0;
}

int __wrap_ifd_sys_each_name(const char *path, ifd_sys_text_fn fn, void *data);
int __wrap_ifd_sys_each_name(const char *path, ifd_sys_text_fn fn, void *data)
{
	if (sim.held && !strcmp(path, PATH "/nvme0n1/holders"))
		fn(data, "dm-0");
	if (sim.loaded && !strcmp(path, "/sys/module/special_vfio_pci/drivers"))
		fn(data, "pci:special-vfio");
	return 0;
}

int __wrap_ifd_sys_stat(const char *path, struct stat *st);
int __wrap_ifd_sys_stat(const char *path, struct stat *st)
{
	char driver[64];

	(void)st;
	if (sscanf(path, "/sys/bus/%*[^/]/drivers/%63[^/]", driver) == 1)
		return is_driver(driver) ? 0 : -ENOENT;
	return !strcmp(path, "/sys/class/vfio/7") && !sim.no_group_node ? 0 : -ENOENT;
}

int __wrap_ifd_sys_access(const char *path);
int __wrap_ifd_sys_access(const char *path)
{
	(void)path;
	return sim.late ? -ENOENT : 0;
}

int __wrap_ifd_sys_open(const char *path, int flags);
int __wrap_ifd_sys_open(const char *path, int flags)
{
	(void)flags;
	ck_assert_str_eq(path, "/dev/vfio/7");
	if (sim.busy_group)
		return -EBUSY;
	sim.group_fds++;
	return 1000;
}

void __wrap_ifd_sys_close(int fd);
void __wrap_ifd_sys_close(int fd)
{
	ck_assert(fd < 0 || fd == 1000);
	sim.group_fds -= fd == 1000;
}

static int bind_it(const char *driver)
{
	if (*sim.driver)
		return -EBUSY;
	if (sim.refuses && !strcmp(driver, sim.refuses))
		return sim.refuses_with;
	if (!is_driver(driver) || (*sim.override && strcmp(sim.override, driver) != 0))
		return -ENODEV;
	snprintf(sim.driver, sizeof(sim.driver), "%s", driver);
	return 0;
}

/* Somebody else is at it, and waits for who has the device open. */
static bool is_locked(const char *path)
{
	return sim.half_gone && (sim.old || !strstr(path, "driver_override"));
}

ssize_t __wrap_ifd_sys_read_text_within(const char *path, char *buf, size_t size, unsigned int ms);
ssize_t __wrap_ifd_sys_read_text_within(const char *path, char *buf, size_t size, unsigned int ms)
{
	ck_assert_uint_gt(ms, 0);
	return is_locked(path) ? -ETIMEDOUT : __wrap_ifd_sys_read_text(path, buf, size);
}

static int write_bound(const char *path, const char *text)
{
	char driver[64], what[16];

	ck_assert_str_eq(text, DEVICE);
	if (!strcmp(path, "/sys/bus/pci/drivers_probe")) {
		if (!*sim.driver && !sim.half_gone)
			bind_it(*sim.override ? sim.override : "nvme");
		return 0;
	}
	ck_assert_msg(sscanf(path, "/sys/bus/%*[^/]/drivers/%63[^/]/%15s", driver, what) == 2, "%s", path);
	if (!strcmp(what, "bind"))
		return sim.half_gone ? -ETIMEDOUT : bind_it(driver);
	ck_assert_str_eq(what, "unbind");
	ck_assert_str_eq(driver, sim.driver);
	sim.unbinds++;
	if (sim.deaf)
		return -ETIMEDOUT;
	snprintf(sim.driver, sizeof(sim.driver), "%s", sim.thief ? sim.thief : "");
	return 0;
}

int __wrap_ifd_sys_write_text_within(const char *path, const char *text, unsigned int ms);
int __wrap_ifd_sys_write_text_within(const char *path, const char *text, unsigned int ms)
{
	ck_assert_uint_gt(ms, 0);
	if (!strcmp(path, PATH "/power/control")) { /* which changes nothing */
		ck_assert_str_eq(text, "?");
		return sim.no_power ? -ENOENT : sim.half_gone ? -ETIMEDOUT : -EINVAL;
	}
	sim.calls++;
	if (sim.fail_at && sim.calls >= sim.fail_at && sim.calls < sim.fail_at + sim.fails_after)
		return sim.fail_with;
	if (strcmp(path, PATH "/driver_override") != 0)
		return write_bound(path, text);
	if (is_locked(path))
		return -ETIMEDOUT;
	snprintf(sim.override, sizeof(sim.override), "%s", text);
	sim.override[strcspn(sim.override, "\n")] = '\0';
	return 0;
}

/* Nobody waits here. */
uint64_t __wrap_ifd_sys_now_ms(void);
uint64_t __wrap_ifd_sys_now_ms(void)
{
	static uint64_t now;

	return now += 100;
}

int __wrap_ifd_sys_wait_readable(int fd, unsigned int ms);
int __wrap_ifd_sys_wait_readable(int fd, unsigned int ms)
{
	(void)fd;
	(void)ms;
	return 0;
}

void __wrap_ifd_sys_sleep_ms(unsigned int ms);
void __wrap_ifd_sys_sleep_ms(unsigned int ms)
{
	(void)ms;
}

static void is_at(const char *driver, const char *override)
{
	ck_assert_str_eq(sim.driver, driver);
	ck_assert_str_eq(sim.override, override);
	ck_assert_uint_eq(sim.group_fds, 0);
}

static struct iommufd_driver_state was = { .struct_size = sizeof(was) };

/* ---- Whatever fails ---- */

START_TEST(wherever_a_write_fails_all_is_as_it_was)
{
	unsigned int steps;

	reset("nvme", "");
	ck_assert_int_eq(iommufd_driver_bind(DEVICE, NULL, 0, &was), 0);
	is_at("vfio-pci", "vfio-pci");
	steps = sim.calls;
	ck_assert_uint_eq(steps, 3); /* override, unbind, bind */
	for (unsigned int i = 1; i <= steps; i++) {
		reset("nvme", "");
		sim.fail_at = i;
		sim.fails_after = 1;
		sim.fail_with = -ENOMEM;
		unit_fails(i == 3 ? -EIO : -ENOMEM, iommufd_driver_bind(DEVICE, NULL, 0, &was));
		is_at("nvme", "");
	}
	reset("vfio-pci", "vfio-pci");
	snprintf(was.driver, sizeof(was.driver), "nvme");
	was.driver_override[0] = '\0';
	ck_assert_int_eq(iommufd_driver_restore(DEVICE, &was, 0), 0);
	is_at("nvme", "");
	steps = sim.calls;
	for (unsigned int i = 1; i <= steps; i++) {
		reset("vfio-pci", "vfio-pci");
		sim.fail_at = i;
		sim.fails_after = 1;
		sim.fail_with = -EACCES;
		unit_fails(-EACCES, iommufd_driver_restore(DEVICE, &was, 0));
		unit_words_have("run it as root");
		is_at("vfio-pci", "vfio-pci");
	}
}
END_TEST

START_TEST(what_cannot_be_put_back_is_told_of)
{
	reset("nvme", "");
	sim.fail_at = 3;
	sim.fails_after = 100;
	sim.fail_with = -ENOMEM;
	unit_fails(-EIO, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("give it back to \"nvme\"");
	unit_words_have("vfio-pci does not take it"); /* the first reason is not lost */
	is_at("", "vfio-pci");
}
END_TEST

START_TEST(a_driver_that_refuses_is_told_with_its_errno_and_the_old_one_comes_back)
{
	reset("nvme", "nvme");
	sim.refuses = "vfio-pci";
	sim.refuses_with = -EINVAL;
	unit_fails(-EIO, iommufd_driver_bind(DEVICE, "vfio-pci", 0, &was));
	unit_words_have("it said: Invalid argument");
	is_at("nvme", "nvme");
}
END_TEST

START_TEST(nodes_that_do_not_come_are_a_failure_that_is_taken_back)
{
	reset("nvme", "");
	sim.late = true;
	unit_fails(-ENOENT, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("nobody made it within a second");
	is_at("nvme", "");
	sim.no_group_node = true; /* and where there is no group, the device's own is what counts */
	unit_fails(-ENOENT, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	is_at("nvme", "");
}
END_TEST

START_TEST(a_driver_that_does_not_let_go_keeps_the_device_and_the_override_is_as_it_was)
{
	reset("vfio-pci", "vfio-pci");
	sim.deaf = true;
	unit_fails(-ETIMEDOUT, iommufd_driver_restore(DEVICE, NULL, 0));
	unit_words_have("goes on waiting");
	is_at("vfio-pci", "vfio-pci");
	ck_assert_uint_eq(sim.unbinds, 1); /* it is not waited for twice */
}
END_TEST

/* ---- While somebody else is at it ---- */

static struct iommufd_driver_state nothing = { .struct_size = sizeof(nothing) };

START_TEST(what_a_driver_has_not_let_go_of_is_not_waited_for_and_nothing_is_said_to_be_done)
{
	for (unsigned int i = 0; i < 2; i++) {
		reset("", "");
		sim.half_gone = true;
		sim.old = i;
		unit_fails(-ETIMEDOUT, iommufd_driver_bind(DEVICE, NULL, 0, &was));
		unit_words_have("try again then");
		unit_fails(-ETIMEDOUT, iommufd_driver_restore(DEVICE, NULL, 0));
		unit_words_have("try again then");
		unit_fails(-ETIMEDOUT, iommufd_driver_restore(DEVICE, &nothing, IOMMUFD_DRIVER_FORCE));
		ck_assert_uint_eq(sim.calls, 0); /* nothing is left behind that binds it some day */
		is_at("", "");
	}
	/* A kernel without power management: at the latest the bind tells. */
	reset("", "");
	sim.half_gone = sim.no_power = true;
	unit_fails(-ETIMEDOUT, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	is_at("", "");
}
END_TEST

START_TEST(who_else_binds_it_in_between_keeps_it)
{
	reset("nvme", "");
	sim.thief = "vfio-thief";
	unit_fails(-EBUSY, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("vfio-thief has it: somebody else binds it");
	is_at("vfio-thief", "");
	ck_assert_uint_eq(sim.unbinds, 1);
}
END_TEST

/* Others may have begun, and gone on after. */
START_TEST(where_nothing_was_begun_nothing_is_put_back)
{
	reset("nvme", "");
	sim.fail_at = 1;
	sim.fails_after = 100;
	sim.fail_with = -EACCES;
	unit_fails(-EACCES, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	ck_assert_ptr_null(strstr(iommufd_errmsg(), "give it back"));
	ck_assert_uint_eq(sim.calls, 1);
}
END_TEST

START_TEST(a_process_that_cannot_be_made_is_told_as_what_it_is)
{
	reset("nvme", "");
	sim.fail_at = 1;
	sim.fails_after = 1;
	sim.fail_with = -EAGAIN;
	unit_fails(-EAGAIN, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("a process of its own");
	reset("nvme", "");
	sim.fail_at = 1;
	sim.fails_after = 1;
	sim.fail_with = -ENOMEM;
	unit_fails(-ENOMEM, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("MADV_DONTFORK");
	is_at("nvme", "");
}
END_TEST

/* ---- Who uses it ---- */

START_TEST(what_the_system_uses_is_not_taken_unless_by_force)
{
	for (unsigned int i = 0; i < 3; i++) {
		reset("nvme", "");
		sim.mounted = i == 0;
		sim.up = i == 1;
		sim.held = i == 2;
		unit_fails(-EBUSY, iommufd_driver_bind(DEVICE, NULL, 0, &was));
		unit_words_have(i == 0   ? "(/dev/nvme0n1p1 is mounted at /home)"
				: i == 1 ? "(eth0 is up, which ends with: ip link set down dev eth0)"
					 : "(/dev/nvme0n1 is a part of dm-0)");
		ck_assert_uint_eq(sim.calls, 0);
		is_at("nvme", "");
		ck_assert_int_eq(iommufd_driver_bind(DEVICE, NULL, IOMMUFD_DRIVER_FORCE, &was), 0);
		is_at("vfio-pci", "vfio-pci");
	}
}
END_TEST

START_TEST(a_group_that_somebody_has_whom_nobody_sees_is_in_use)
{
	reset("vfio-pci", "vfio-pci");
	sim.busy_group = true;
	unit_fails(-EBUSY, iommufd_driver_restore(DEVICE, NULL, 0));
	unit_words_have("by nobody that this process can see");
	ck_assert_uint_eq(sim.unbinds, 0);
	is_at("vfio-pci", "vfio-pci");
	ck_assert_int_eq(iommufd_driver_restore(DEVICE, NULL, IOMMUFD_DRIVER_FORCE), 0);
	is_at("nvme", "");
}
END_TEST

/* ---- Which driver ---- */

START_TEST(the_driver_that_is_made_for_a_device_is_the_best)
{
	reset("nvme", "");
	sim.alias = "alias vfio_pci:v00001234d00005678sv*sd*bc*sc*i* special_vfio_pci";
	unit_fails(-ENOENT, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("special_vfio_pci that is made for it is not loaded");
	ck_assert_uint_eq(sim.calls, 0);
	sim.loaded = "special-vfio";
	ck_assert_int_eq(iommufd_driver_bind(DEVICE, NULL, 0, &was), 0);
	is_at("special-vfio", "special-vfio");
	unit_fails(-EALREADY, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("special-vfio");
	reset("nvme", "");
	sim.alias = "alias vfio_pci:v00001234d00009999sv*sd*bc*sc*i* special_vfio_pci"; /* for another one */
	ck_assert_int_eq(iommufd_driver_bind(DEVICE, NULL, 0, &was), 0);
	is_at("vfio-pci", "vfio-pci");
}
END_TEST

/* It is VFIO's, and what its best driver would be does not matter. */
START_TEST(what_vfio_has_is_bound_already_also_where_its_best_driver_is_not_loaded)
{
	reset("vfio-pci", "vfio-pci");
	sim.alias = "alias vfio_pci:v00001234d00005678sv*sd*bc*sc*i* special_vfio_pci";
	unit_fails(-EALREADY, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("vfio-pci");
	ck_assert_uint_eq(sim.calls, 0);
}
END_TEST

/* Queues and channels of s390 make no DMA of their own: they are in no group, and cannot be opened. */
START_TEST(a_queue_without_a_group_is_bound)
{
	static const char *const pairs[][2] = { { "ap", "vfio_ap" }, { "css", "vfio_ccw" } };

	for (size_t i = 0; i < 2; i++) {
		reset("nvme", "");
		snprintf(sim.subsystem, sizeof(sim.subsystem), "%s", pairs[i][0]);
		sim.group = -1;
		sim.loaded = pairs[i][1];
		ck_assert_int_eq(iommufd_driver_bind(DEVICE, NULL, 0, &was), 0);
		is_at(pairs[i][1], pairs[i][1]);
	}
}
END_TEST

START_TEST(a_driver_whose_name_has_spaces_gets_its_device_back)
{
	reset("Prestera DX", "");
	sim.loaded = "Prestera DX";
	ck_assert_int_eq(iommufd_driver_bind(DEVICE, NULL, 0, &was), 0);
	is_at("vfio-pci", "vfio-pci");
	ck_assert_str_eq(was.driver, "Prestera DX");
	ck_assert_int_eq(iommufd_driver_restore(DEVICE, &was, 0), 0);
	is_at("Prestera DX", "");
	ck_assert_int_eq(iommufd_driver_bind(DEVICE, "vfio-pci", 0, NULL), 0);
	ck_assert_int_eq(iommufd_driver_bind(DEVICE, "Prestera DX", 0, NULL), 0);
	is_at("Prestera DX", "Prestera DX");
}
END_TEST

START_TEST(what_cannot_be_bound_is_refused_before_anything_is_written)
{
	reset("nvme", "");
	sim.group = -1;
	unit_fails(-ENODEV, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("switch the IOMMU on");
	reset("nvme", "");
	snprintf(sim.subsystem, sizeof(sim.subsystem), "usb");
	unit_fails(-EOPNOTSUPP, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	snprintf(sim.subsystem, sizeof(sim.subsystem), "mdev");
	unit_fails(-EOPNOTSUPP, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	unit_words_have("iommufd_mdev_create()");
	reset("nvme", "");
	sim.class = 0x060400;
	unit_fails(-EOPNOTSUPP, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	reset("nvme", "");
	memset(sim.override, 'x', 63);
	unit_fails(-ENAMETOOLONG, iommufd_driver_bind(DEVICE, NULL, 0, &was));
	ck_assert_uint_eq(sim.calls, 0);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, wherever_a_write_fails_all_is_as_it_was);
	tcase_add_test(tcase, what_cannot_be_put_back_is_told_of);
	tcase_add_test(tcase, a_driver_that_refuses_is_told_with_its_errno_and_the_old_one_comes_back);
	tcase_add_test(tcase, nodes_that_do_not_come_are_a_failure_that_is_taken_back);
	tcase_add_test(tcase, a_driver_that_does_not_let_go_keeps_the_device_and_the_override_is_as_it_was);
	tcase_add_test(tcase, what_a_driver_has_not_let_go_of_is_not_waited_for_and_nothing_is_said_to_be_done);
	tcase_add_test(tcase, who_else_binds_it_in_between_keeps_it);
	tcase_add_test(tcase, where_nothing_was_begun_nothing_is_put_back);
	tcase_add_test(tcase, a_process_that_cannot_be_made_is_told_as_what_it_is);
	tcase_add_test(tcase, what_the_system_uses_is_not_taken_unless_by_force);
	tcase_add_test(tcase, a_group_that_somebody_has_whom_nobody_sees_is_in_use);
	tcase_add_test(tcase, the_driver_that_is_made_for_a_device_is_the_best);
	tcase_add_test(tcase, what_vfio_has_is_bound_already_also_where_its_best_driver_is_not_loaded);
	tcase_add_test(tcase, a_queue_without_a_group_is_bound);
	tcase_add_test(tcase, a_driver_whose_name_has_spaces_gets_its_device_back);
	tcase_add_test(tcase, what_cannot_be_bound_is_refused_before_anything_is_written);
}
