/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Which driver has a device. By driver_override: a bus asks that driver then and no other, and no other device of it.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "explain.h"
#include "holders.h"
#include "internal.h"
#include "node.h"
#include "sysfs.h"
#include "udev.h"

#define PCI_BRIDGE 0x0604 /* class and subclass */

/* A driver may load firmware, and train what its device has, before it is done with taking it. */
#define TAKE_MS 30000u

/* What a bus calls its VFIO driver, and whether a device that is bound to it can be opened, or is a parent of such. */
static const struct bus {
	const char *name, *driver;
	bool opens;
} buses[] = {
	{ "pci", "vfio-pci", true },       { "platform", "vfio-platform", true }, { "amba", "vfio-amba", true },
	{ "fsl-mc", "vfio-fsl-mc", true }, { "cdx", "vfio-cdx", true },           { "ap", "vfio_ap", false },
	{ "css", "vfio_ccw", false },
};

/* A device on its way from one driver to another. */
struct move {
	struct ifd_found *found;
	const struct bus *bus;
	uint32_t flags;
	bool begun;     /* something was written */
	bool late;      /* a driver is left with it that is not done, and keeps its override */
	const char *to; /* the driver that shall have it, "" for none, NULL for any */
	struct iommufd_driver_state was;
	char what[160]; /* the beginning of all words */
};

/* ---- Files ---- */

static void device_file(const struct move *move, const char *name, char *path)
{
	snprintf(path, PATH_MAX, "%s/%s", move->found->path, name);
}

/* `driver` may be NULL for a file of the bus itself. */
static void bus_file(const struct move *move, const char *driver, const char *name, char *path)
{
	if (driver)
		snprintf(path, PATH_MAX, "/sys/bus/%s/drivers/%s%s", move->bus->name, driver, name);
	else
		snprintf(path, PATH_MAX, "/sys/bus/%s/%s", move->bus->name, name);
}

/* "" for none. */
static int driver_now(const struct move *move, char *driver, size_t size)
{
	char path[PATH_MAX];
	int ret;

	device_file(move, "driver", path);
	*driver = '\0';
	ret = ifd_sysfs_link(path, driver, size);
	return !ret || ret == -ENOENT ? 0 : ifd_fail(ret, NULL, "%s: which driver it has", move->what);
}

static bool is_loaded(const struct move *move, const char *driver)
{
	char path[PATH_MAX];
	struct stat st;

	bus_file(move, driver, "", path);
	return !ifd_sys_stat(path, &st);
}

/* ---- What must be so before anything is changed ---- */

static int check_flags(uint32_t flags)
{
	return flags & ~(uint32_t)IOMMUFD_DRIVER_FORCE
		       ? ifd_fail(-EINVAL, "use IOMMUFD_DRIVER bits", "bind a device with flags 0x%x", flags)
		       : 0;
}

static int check_name(const char *driver)
{
	size_t len = strlen(driver);

	if (len && len < IOMMUFD_DRIVER_NAME && !strpbrk(driver, "/\n") && *driver != '.')
		return 0;
	return ifd_fail(-EINVAL, "give a name as under /sys/bus/pci/drivers", "bind a device to the driver \"%.64s\"",
			driver);
}

static int find_bus(struct move *move)
{
	char path[PATH_MAX], name[32];
	const char *hint = "only devices that have a file driver_override can be bound so";
	int ret;

	device_file(move, "subsystem", path);
	ret = ifd_sysfs_link(path, name, sizeof(name));
	if (ret)
		return ifd_fail(ret, NULL, "%s: which bus it is on", move->what);
	for (size_t i = 0; i < sizeof(buses) / sizeof(buses[0]); i++)
		if (!strcmp(buses[i].name, name))
			move->bus = &buses[i];
	if (!strcmp(name, "mdev"))
		hint = "a mediated device is VFIO's from the start, see iommufd_mdev_create()";
	else if (move->found->pci_class >> 8 == PCI_BRIDGE)
		hint = "a bridge cannot be handed out, only what is behind it";
	else if (move->bus)
		return 0;
	return ifd_fail(-EOPNOTSUPP, hint, "%s", move->what);
}

/* What the device has now, into `was`. */
static int find_state(struct move *move)
{
	char path[PATH_MAX];
	ssize_t n;
	int ret = driver_now(move, move->was.driver, sizeof(move->was.driver));

	if (ret)
		return ret;
	device_file(move, "driver_override", path);
	n = ifd_sysfs_read_locked(path, move->was.driver_override, sizeof(move->was.driver_override), move->what);
	if (n == -ENOENT)
		return ifd_fail(-EOPNOTSUPP, "this bus, or a kernel of this age, has no driver_override", "%s: read %s",
				move->what, path);
	if (n < 0)
		return (int)n;
	if (!strcmp(move->was.driver_override, "(null)"))
		*move->was.driver_override = '\0';
	return 0;
}

static int start(struct move *move, const char *address, uint32_t flags, const char *verb)
{
	int ret;

	*move = (struct move){ .flags = flags, .was.struct_size = sizeof(move->was) };
	ret = check_flags(flags);
	if (!ret)
		ret = ifd_udev_find(address, &move->found);
	if (ret)
		return ret;
	snprintf(move->what, sizeof(move->what), "%s %s", verb, move->found->name);
	ret = find_bus(move);
	if (!ret)
		ret = find_state(move);
	return ret;
}

static int check_loaded(const struct move *move, const char *driver)
{
	char hint[IFD_HINT_MAX] = "";

	if (is_loaded(move, driver))
		return 0;
	ifd_hint(hint, "load it: modprobe %s", driver);
	return ifd_fail(-ENOENT, hint, "%s: there is no driver %s on the bus %s", move->what, driver, move->bus->name);
}

/* vfio-pci would refuse the device, and say so in the kernel's log alone. */
static int check_iommu(const struct move *move)
{
	static const char noiommu[] = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
	char hint[IFD_HINT_MAX] = "", value[8] = "";

	if (move->found->group >= 0 || (ifd_sys_read_text(noiommu, value, sizeof(value)) > 0 && *value == 'Y'))
		return 0;
	ifd_hint_iommu(hint, move->found);
	return ifd_fail(-ENODEV, hint, "%s", move->what);
}

/* ---- Moving ---- */

static int write_override(struct move *move, const char *driver)
{
	char path[PATH_MAX], line[IOMMUFD_DRIVER_NAME + 1];
	int ret;

	device_file(move, "driver_override", path);
	snprintf(line, sizeof(line), "%s\n", driver); /* an empty line is none */
	ret = ifd_sysfs_write(path, line, move->what);
	move->begun |= !ret || ret == -ETIMEDOUT;
	return ret;
}

/*
 * A device loses its link to the driver before the driver lets go of it, and who uses it is waited for in between. The
 * kernel then says that it has bound it when it has not, or binds it some day. To write what is no word for its power
 * takes the lock that is held all this while, and does nothing. A kernel without power management has no such file; but
 * there a device without a driver is not enabled either.
 */
static int check_let_go(const struct move *move)
{
	struct ifd_found alone = *move->found; /* the users of other devices of the group do not matter */
	char path[PATH_MAX], hint[IFD_HINT_MAX] = "", count[16] = "";
	int ret;

	alone.group = -1;
	device_file(move, "power/control", path);
	ret = ifd_sys_write_text_within(path, "?", IFD_LET_GO_MS);
	if (ret == -ETIMEDOUT)
		return ifd_sysfs_fail(ret, path, move->what);
	device_file(move, "enable", path);
	if (ret != -ENOENT || ifd_sysfs_read(path, count, sizeof(count)) < 1 || !strcmp(count, "0"))
		return 0;
	if (!ifd_hint_holders(hint, &alone, -1))
		ifd_hint(hint, "where nobody has it, echo 0 > %s", path);
	ifd_hint(hint, "; try again then");
	return ifd_fail(-EBUSY, hint, "%s: its last driver has not let go of it yet", move->what);
}

/* `group` keeps everybody else from the device until it is unbound, where the kernel has groups. */
static int claim(const struct move *move, const char *driver, int *group)
{
	*group = -1;
	if (!*driver || move->flags & IOMMUFD_DRIVER_FORCE)
		return 0;
	return ifd_sysfs_unused(move->found, move->what, group);
}

static int unbind(const struct move *move, const char *driver)
{
	char path[PATH_MAX];

	bus_file(move, driver, "/unbind", path);
	return *driver ? ifd_sysfs_write(path, move->found->name, move->what) : 0;
}

/* The link to a driver is there before the driver has said whether it takes the device, and says nothing so far. */
static int fail_late(struct move *move, const char *path)
{
	move->late = true;
	return ifd_fail(-ETIMEDOUT,
			"the driver is not done with taking it, or somebody else has the device's lock; the kernel "
			"goes on: see later which driver has it. driver_override is left for that",
			"%s: write to %s", move->what, path);
}

static int bind_now(struct move *move, const char *driver)
{
	char path[PATH_MAX], now[IOMMUFD_DRIVER_NAME], hint[IFD_HINT_MAX] = "";
	int ret, said;

	bus_file(move, driver, "/bind", path);
	said = ifd_sys_write_text_within(path, move->found->name, TAKE_MS);
	if (said == -ETIMEDOUT)
		return fail_late(move, path);
	ret = driver_now(move, now, sizeof(now));
	if (ret || !strcmp(now, driver))
		return ret;
	if (said == -EACCES || said == -EROFS || said == -EAGAIN)
		return ifd_sysfs_fail(said, path, move->what);
	if (*now)
		ifd_hint(hint, "%s has it: somebody else binds it at this moment", now);
	else
		ifd_hint(hint, "it said: %s; the kernel's log may say more, see dmesg", IFD_STRERROR(said));
	return ifd_fail(*now ? -EBUSY : -EIO, hint, "%s: %s does not take it", move->what, driver);
}

/* The kernel picks a driver, or none. */
static int probe(struct move *move)
{
	char path[PATH_MAX];
	int ret;

	bus_file(move, NULL, "drivers_probe", path);
	ret = ifd_sys_write_text_within(path, move->found->name, TAKE_MS);
	if (ret == -ETIMEDOUT)
		return fail_late(move, path);
	return ret ? ifd_sysfs_fail(ret, path, move->what) : 0;
}

/* From the driver that it has now: NULL for what the kernel picks, "" for none. */
static int move_to(struct move *move, const char *override, const char *driver)
{
	char now[IOMMUFD_DRIVER_NAME];
	int ret = driver_now(move, now, sizeof(now)), group = -1;
	bool stays = driver ? !strcmp(now, driver) : *now && !move->found->vfio;

	if (!ret && !*now)
		ret = check_let_go(move);
	move->to = driver;
	if (!ret && !stays)
		ret = claim(move, now, &group);
	if (!ret)
		ret = write_override(move, override);
	if (!ret && !stays)
		ret = unbind(move, now);
	ifd_sys_close(group);
	if (ret || stays)
		return ret;
	return !driver ? probe(move) : *driver ? bind_now(move, driver) : 0;
}

/* Whether the driver may be given back that the device had: it has none, or one that this call has bound it to. */
static bool is_ours(const struct move *move)
{
	char now[IOMMUFD_DRIVER_NAME];

	return !driver_now(move, now, sizeof(now)) && (!*now || (move->to && !strcmp(now, move->to)));
}

/* After a failure, whose words stay, and are followed by those of what cannot be put back. */
static int put_back(struct move *move, int err)
{
	struct move back = *move;
	struct ifd_words words;
	int ret;

	if (!move->begun || move->late)
		return err;
	ifd_words_keep(&words);
	back.flags |= IOMMUFD_DRIVER_FORCE; /* only what this call has bound it to is in the way */
	/* A driver that is still at it would be waited for once more, and who else binds it has it. */
	ret = err == -ETIMEDOUT || !is_ours(move) ? write_override(move, move->was.driver_override)
						  : move_to(&back, move->was.driver_override, move->was.driver);
	if (!ret) {
		ifd_words_restore(&words);
		return err;
	}
	/* The words of both, as far as there is room. */
	return ifd_fail(err, words.text, "%s, and then give it back to \"%s\"", move->what, move->was.driver);
}

static int finish(struct move *move, int ret)
{
	ifd_found_free(move->found);
	return ret;
}

/* ---- The calls ---- */

static int pick(const struct move *move, const char *driver, char *picked)
{
	int ret = 0;

	if (driver ? !strcmp(move->was.driver, driver) : move->found->vfio)
		return ifd_fail(-EALREADY, "there is nothing to do", "%s: it is bound to %s", move->what,
				move->was.driver);
	if (driver)
		snprintf(picked, IOMMUFD_DRIVER_NAME, "%s", driver);
	else
		ret = ifd_best_driver(move->found, move->bus->name, move->bus->driver, picked, IOMMUFD_DRIVER_NAME);
	if (!ret)
		ret = check_loaded(move, picked);
	/* Queues and channels of s390 are in no group. */
	if (!ret && move->bus->opens && strstr(picked, "vfio"))
		ret = check_iommu(move);
	return ret;
}

/* What VFIO makes for a device that it has. */
static int await_nodes(struct move *move)
{
	return move->bus->opens && strstr(move->found->driver ? move->found->driver : "", "vfio")
		       ? ifd_node_appear(&move->found, move->what)
		       : 0;
}

static int bind_to(struct move *move, const char *driver)
{
	struct ifd_found *now;
	int ret = move_to(move, driver, driver);

	if (!ret)
		ret = ifd_udev_find(move->found->path, &now);
	if (!ret) {
		ifd_found_free(move->found);
		move->found = now;
		ret = await_nodes(move);
	}
	return ret ? put_back(move, ret) : 0;
}

EXPORT int iommufd_driver_bind(const char *address, const char *driver, uint32_t flags,
			       struct iommufd_driver_state *was)
{
	char picked[IOMMUFD_DRIVER_NAME] = "";
	struct move move;
	int ret = 0;

	if (was)
		ret = ifd_info_check(was, IFD_END_OF(struct iommufd_driver_state, driver_override), "driver state");
	if (!ret && driver)
		ret = check_name(driver);
	if (ret)
		return ret;
	ret = start(&move, address, flags, "bind");
	if (!ret)
		ret = pick(&move, driver, picked);
	if (!ret)
		ret = bind_to(&move, picked);
	if (!ret && was)
		ifd_info_write(was, &move.was, sizeof(move.was));
	return finish(&move, ret);
}

static int read_was(const struct iommufd_driver_state *was, struct iommufd_driver_state *to)
{
	int ret = ifd_opts_read(to, sizeof(*to), IFD_END_OF(struct iommufd_driver_state, driver_override), was,
				"driver state");

	if (ret)
		return ret;
	if (!memchr(to->driver, '\0', sizeof(to->driver)) ||
	    !memchr(to->driver_override, '\0', sizeof(to->driver_override)))
		return ifd_fail(-EINVAL, "give what iommufd_driver_bind() filled",
				"a driver state has names without end");
	if (*to->driver)
		ret = check_name(to->driver);
	if (!ret && *to->driver_override)
		ret = check_name(to->driver_override);
	return ret;
}

EXPORT int iommufd_driver_restore(const char *address, const struct iommufd_driver_state *was, uint32_t flags)
{
	struct iommufd_driver_state to;
	struct move move;
	int ret = read_was(was, &to);

	if (ret)
		return ret;
	ret = start(&move, address, flags, "give back");
	if (!ret && *to.driver)
		ret = check_loaded(&move, to.driver);
	if (!ret) {
		ret = move_to(&move, to.driver_override, was ? to.driver : NULL);
		if (ret)
			ret = put_back(&move, ret);
	}
	return finish(&move, ret);
}
