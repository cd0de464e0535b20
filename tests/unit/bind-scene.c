/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "bind-scene.h"
#include "err.h"
#include "sys.h"
#include "udev.h"
#include "unit.h"

struct sim sim;

void reset(const char *driver, const char *override)
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

	if (sim.mediated && !strcmp(address, PATH "/" UUID)) {
		*out = ifd_found_new(UUID);
		(*out)->group = sim.group;
		return 0;
	}
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
	bool below_all = !strcmp(found->path, "/sys/class/block/nvme0n1");

	ck_assert(below_all || !strcmp(found->name, DEVICE));
	if (!strcmp(subsystem, "block") && sim.shared && !below_all) {
		fn(data, &(struct ifd_below){ "nvme0c3n1", PATH "/nvme/nvme3/nvme0c3n1", NULL, 0, 0 });
	} else if (!strcmp(subsystem, "mdev") && sim.mediated) {
		fn(data, &(struct ifd_below){ DEVICE, PATH, NULL, 0, 0 });
		fn(data, &(struct ifd_below){ UUID, PATH "/" UUID, NULL, 0, 0 });
	} else if (!strcmp(subsystem, "block")) {
		ck_assert(sim.shared == below_all);
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
	if (!strncmp(path, "/dev/nvme", strlen("/dev/nvme"))) {
		ck_assert_int_eq(flags & (O_ACCMODE | O_EXCL), O_RDONLY | O_EXCL);
		if (sim.claimed && !strcmp(path, "/dev/nvme0n1p1"))
			return -EBUSY;
		sim.group_fds++;
		return 1000;
	}
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
		return sim.slow ? -ETIMEDOUT : 0;
	}
	ck_assert_msg(sscanf(path, "/sys/bus/%*[^/]/drivers/%63[^/]/%15s", driver, what) == 2, "%s", path);
	if (!strcmp(what, "bind")) {
		int ret = sim.half_gone ? -ETIMEDOUT : bind_it(driver);

		return sim.slow ? -ETIMEDOUT : ret;
	}
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

void is_at(const char *driver, const char *override)
{
	ck_assert_str_eq(sim.driver, driver);
	ck_assert_str_eq(sim.override, override);
	ck_assert_uint_eq(sim.group_fds, 0);
}
