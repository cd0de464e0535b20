/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

#include "feature.h"
#include "handle.h"
#include "internal.h"
#include "reset.h"
#include "udev.h"
#include "uapi/vfio.h"

#define SAME(name) _Static_assert((int)IOMMUFD_MIGRATION_##name == (int)VFIO_DEVICE_STATE_##name, "it is the kernel's")
SAME(ERROR);
SAME(STOP);
SAME(RUNNING);
SAME(STOP_COPY);
SAME(RESUMING);
SAME(RUNNING_P2P);
SAME(PRE_COPY);
SAME(PRE_COPY_P2P);

/* What is moved in one call at most: so a count of bytes fits into any type. */
#define MOVE_MAX (1u << 30)

struct iommufd_migration {
	struct ifd_handle handle; /* its descriptor is the stream */
	unsigned int attach;      /* of the device: which one it is of */
	uint32_t can;             /* VFIO_MIGRATION flags */
	uint32_t state;           /* as we know it */
	bool nonblock;
	bool reinit;  /* the flags of what is told of PRE_COPY mean something */
	bool writing; /* which way the stream goes */
	bool refused; /* the device did not take what was written */
};

/* What a device must be able to do for a state; 0 for what all can. What saves has the state to go to when it ends. */
struct state {
	char name[13];
	uint8_t needs;
	uint8_t after; /* 0 where nothing is saved */
};

static const struct state states[] = {
	[VFIO_DEVICE_STATE_ERROR] = { "ERROR", 0, 0 },
	[VFIO_DEVICE_STATE_STOP] = { "STOP", 0, 0 },
	[VFIO_DEVICE_STATE_RUNNING] = { "RUNNING", 0, 0 },
	[VFIO_DEVICE_STATE_STOP_COPY] = { "STOP_COPY", 0, VFIO_DEVICE_STATE_STOP },
	[VFIO_DEVICE_STATE_RESUMING] = { "RESUMING", 0, 0 },
	[VFIO_DEVICE_STATE_RUNNING_P2P] = { "RUNNING_P2P", VFIO_MIGRATION_P2P, 0 },
	[VFIO_DEVICE_STATE_PRE_COPY] = { "PRE_COPY", VFIO_MIGRATION_PRE_COPY, VFIO_DEVICE_STATE_RUNNING },
	[VFIO_DEVICE_STATE_PRE_COPY_P2P] = { "PRE_COPY_P2P", VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY,
					     VFIO_DEVICE_STATE_RUNNING_P2P },
};

#define STATES (sizeof(states) / sizeof(states[0]))

static bool has(const struct iommufd_migration *m, uint32_t state)
{
	return (states[state].needs & m->can) == states[state].needs;
}

static bool is_precopy(uint32_t state)
{
	return states[state].needs & VFIO_MIGRATION_PRE_COPY;
}

static bool has_stream(uint32_t state)
{
	return state == VFIO_DEVICE_STATE_RESUMING || states[state].after;
}

static void end_stream(struct iommufd_migration *m)
{
	ifd_sys_close(m->handle.fd);
	m->handle.fd = -1;
	m->refused = false;
}

/* ---- The kernel's answers, without words ---- */

/* Somebody may have reset the device, and what streams belonged to is then over. */
static int ask_state(struct iommufd_migration *m)
{
	struct vfio_device_feature_mig_state data = { .data_fd = -1 };
	int ret = ifd_feature(m->handle.dev, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_GET, &data,
			      sizeof(data));

	if (ret)
		return ret;
	if (data.device_state >= STATES || !has(m, data.device_state))
		return -EPROTO;
	m->state = data.device_state;
	if (!(m->writing ? m->state == VFIO_DEVICE_STATE_RESUMING : states[m->state].after))
		end_stream(m);
	return 0;
}

static int take_stream(struct iommufd_migration *m, int fd)
{
	int ret;

	m->handle.fd = fd;
	m->writing = m->state == VFIO_DEVICE_STATE_RESUMING;
	ret = m->nonblock ? ifd_sys_set_nonblock(fd) : 0;
	if (ret)
		end_stream(m);
	return ret;
}

/* The stream goes on from one state that saves to another, even where another handle has it. */
static int change_state(struct iommufd_migration *m, uint32_t to)
{
	struct vfio_device_feature_mig_state data = { .device_state = to, .data_fd = -1 };
	bool goes_on = states[m->state].after && states[to].after;
	int ret = ifd_feature(m->handle.dev, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_SET, &data,
			      sizeof(data));

	if (ret)
		return ret;
	if (!goes_on)
		end_stream(m);
	m->state = to;
	if (data.data_fd < 0)
		return has_stream(to) && !goes_on ? -EPROTO : 0;
	return has_stream(to) && m->handle.fd < 0 ? take_stream(m, data.data_fd) : -EPROTO;
}

/* ---- Begin and end ---- */

static int check(const struct iommufd_migration *m, const char *what)
{
	const struct iommufd_device *dev = m->handle.dev;
	int ret = ifd_device_ready(dev, what);

	if (ret || m->attach == dev->attachment)
		return ret;
	return ifd_fail(-ENOTCONN, "free the handle, and make a new one", "%s of %s: it was detached meanwhile", what,
			dev->found->name);
}

/* From here on the kernel tells of new first bytes. It cannot be taken back, and changes nothing else. */
static int want_reinit(struct iommufd_migration *m)
{
	struct iommufd_device *dev = m->handle.dev;
	int ret = iommufd_device_has(dev, IOMMUFD_FEATURE_PRECOPY_REINIT);

	if (ret > 0) {
		ret = ifd_feature(dev, VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 | VFIO_DEVICE_FEATURE_SET, NULL, 0);
		m->reinit = !ret;
	}
	return ret;
}

static int begin(struct iommufd_migration *m)
{
	struct vfio_device_feature_migration data = { .flags = 0 };
	int ret = ifd_feature(m->handle.dev, VFIO_DEVICE_FEATURE_MIGRATION | VFIO_DEVICE_FEATURE_GET, &data,
			      sizeof(data));

	if (ret)
		return ret;
	if (!(data.flags & VFIO_MIGRATION_STOP_COPY))
		return -EOPNOTSUPP;
	m->can = (uint32_t)data.flags;
	ret = m->can & VFIO_MIGRATION_PRE_COPY ? want_reinit(m) : 0;
	return ret ? ret : ask_state(m);
}

EXPORT int iommufd_migration_new(struct iommufd_device *dev, uint32_t flags, struct iommufd_migration **out)
{
	static const char what[] = "prepare to move the state of";
	struct iommufd_migration *m;
	int ret = ifd_device_ready(dev, "migration");

	if (ret)
		return ret;
	if (flags & ~(uint32_t)IOMMUFD_MIGRATION_NONBLOCK)
		return ifd_fail(-EINVAL, "use IOMMUFD_MIGRATION_NONBLOCK or 0", "%s %s with the flags 0x%x", what,
				dev->found->name, flags);
	m = ifd_handle_new(dev->ctx, sizeof(*m));
	if (!m)
		return ifd_fail(-ENOMEM, NULL, "%s %s", what, dev->found->name);
	ifd_handle_need_device(&m->handle, dev);
	m->attach = dev->attachment;
	m->nonblock = flags & IOMMUFD_MIGRATION_NONBLOCK;
	ret = begin(m);
	if (!ret) {
		atomic_store(&dev->moves, true);
		*out = m;
		return 0;
	}
	ifd_fail_feature(dev, ret, ret == -EOPNOTSUPP ? "its state cannot be read while it is stopped" : NULL, what);
	ifd_handle_put(&m->handle);
	return ret;
}

/* A device whose state was being read goes on as it was. */
static void let_go(struct iommufd_migration *m)
{
	const struct iommufd_device *dev = m->handle.dev;
	int ret;

	if (ifd_in_child(dev->ctx) || !dev->attached || m->attach != dev->attachment || m->handle.fd < 0)
		return;
	ret = ask_state(m);
	if (!ret && m->handle.fd >= 0 && !m->writing)
		ret = change_state(m, states[m->state].after);
	if (ret || m->state == VFIO_DEVICE_STATE_RESUMING)
		ifd_warn(&dev->ctx->log, "%s stays in %s: %s", dev->found->name, states[m->state].name,
			 ret ? IFD_STRERROR(ret) : "it can be reset");
}

EXPORT void iommufd_migration_free(struct iommufd_migration *m)
{
	if (!m)
		return;
	let_go(m);
	ifd_handle_put(&m->handle);
}

/*
 * A detach may leave the device open, and what follows shall find it as after an open. One that stood still is reset
 * for that: it is not to go on from there, since what was moved may run elsewhere by now.
 */
int ifd_migration_end(struct iommufd_device *dev)
{
	struct vfio_device_feature_mig_state data = { .data_fd = -1 };
	struct ifd_words words;
	int ret;

	if (!atomic_exchange(&dev->moves, false))
		return 0;
	ret = ifd_feature(dev, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_GET, &data, sizeof(data));
	if (!ret && data.device_state == VFIO_DEVICE_STATE_RUNNING)
		return 0;
	if (!ret && data.device_state > VFIO_DEVICE_STATE_RESUMING) { /* it runs there too */
		data.device_state = VFIO_DEVICE_STATE_RUNNING;
		if (!ifd_feature(dev, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_SET, &data,
				 sizeof(data)))
			return 0;
	}
	ifd_words_keep(&words);
	ret = ifd_reset_alone(dev);
	ifd_words_restore(&words);
	return ret;
}

static int check_state(const struct iommufd_migration *m, uint32_t state)
{
	return state < STATES ? 0
			      : ifd_fail(-EINVAL, "use one of the IOMMUFD_MIGRATION constants", "state %u of %s", state,
					 m->handle.dev->found->name);
}

EXPORT int iommufd_migration_has(const struct iommufd_migration *m, uint32_t state)
{
	int ret = ifd_ctx_check(m->handle.ctx, "migration");

	if (!ret)
		ret = check_state(m, state);
	return ret ? ret : has(m, state);
}

static int get_state(struct iommufd_migration *m)
{
	int ret = ask_state(m);

	return ret ? ifd_fail_feature(m->handle.dev, ret, ret == -EPROTO ? "it is in none of its states" : NULL,
				      "ask for the state of")
		   : 0;
}

EXPORT int iommufd_migration_get_state(struct iommufd_migration *m, uint32_t *state)
{
	int ret = check(m, "migration");

	if (!ret)
		ret = get_state(m);
	if (!ret)
		*state = m->state;
	return ret;
}

static int fail_arc(const struct iommufd_migration *m, uint32_t from, uint32_t to, int err, const char *hint)
{
	return ifd_fail(err, hint, "bring %s from %s to %s", m->handle.dev->found->name, states[from].name,
			states[to].name);
}

/* What leads nowhere. */
static int check_arc(const struct iommufd_migration *m, uint32_t to)
{
	uint32_t from = m->state;

	if (to == VFIO_DEVICE_STATE_ERROR)
		return fail_arc(m, from, to, -EINVAL, "only a failure leads there");
	if (!has(m, to))
		return fail_arc(m, from, to, -EOPNOTSUPP, "the device does not have it: see iommufd_migration_has()");
	if (from == VFIO_DEVICE_STATE_ERROR)
		return fail_arc(m, from, to, -EIO, "it has failed: iommufd_migration_abort() resets it");
	if (from == VFIO_DEVICE_STATE_RESUMING && m->handle.fd < 0)
		return fail_arc(m, from, to, -EBUSY,
				"another handle began to write its state: iommufd_migration_abort() resets it");
	if (from == VFIO_DEVICE_STATE_RESUMING && m->refused)
		return fail_arc(m, from, to, -EBUSY,
				"it refused what was written: iommufd_migration_abort() resets it");
	if (from == VFIO_DEVICE_STATE_STOP_COPY && is_precopy(to))
		return fail_arc(m, from, to, -EINVAL, "let it run before");
	return 0;
}

/* One that came where it should, but whose stream got no descriptor, is of no use there: so back, if there is a way. */
static int fail_change(struct iommufd_migration *m, uint32_t from, uint32_t to, int err)
{
	char hint[IFD_HINT_MAX] = "";
	int ret = ask_state(m);

	if (!ret && m->state == to && has_stream(to) && m->handle.fd < 0 && !has_stream(from) && !change_state(m, from))
		ret = ask_state(m);
	if (ret)
		ifd_hint(hint, "it does not tell where it is now");
	else
		ifd_hint(hint, "it is now in %s", states[m->state].name);
	if (err == -EMFILE || err == -ENFILE)
		ifd_hint(hint, "; raise the limit of open files, see ulimit -n");
	else if (err == -EPROTO)
		ifd_hint(hint, "; the kernel gave a stream where none begins, or none where one does");
	else if (m->state == VFIO_DEVICE_STATE_ERROR)
		ifd_hint(hint, "; iommufd_migration_abort() resets it");
	else if (from == VFIO_DEVICE_STATE_RESUMING)
		ifd_hint(hint, "; what was written is not the whole state of such a device: write the rest, or call "
			       "iommufd_migration_abort()");
	return fail_arc(m, from, to, err, hint);
}

EXPORT int iommufd_migration_set_state(struct iommufd_migration *m, uint32_t state)
{
	uint32_t from;
	int ret = check(m, "migration");

	if (!ret)
		ret = check_state(m, state);
	if (!ret)
		ret = get_state(m);
	if (ret)
		return ret;
	from = m->state;
	if (from == state && state != VFIO_DEVICE_STATE_ERROR)
		return 0;
	ret = check_arc(m, state);
	if (ret)
		return ret;
	ret = change_state(m, state);
	return ret ? fail_change(m, from, state, ret) : 0;
}

static int reset(struct iommufd_migration *m)
{
	int ret = ifd_device_reset(m->handle.dev);

	if (ret)
		return ret;
	ret = get_state(m);
	if (!ret && m->state != VFIO_DEVICE_STATE_RUNNING)
		ret = ifd_fail(-EIO, "close the device, and open it again", "reset %s: it is in %s afterwards",
			       m->handle.dev->found->name, states[m->state].name);
	return ret;
}

EXPORT int iommufd_migration_abort(struct iommufd_migration *m)
{
	int ret = check(m, "migration");

	if (ret)
		return ret;
	ret = ask_state(m);
	if (!ret && m->state == VFIO_DEVICE_STATE_RUNNING)
		return 0;
	if (ret || m->state == VFIO_DEVICE_STATE_ERROR || m->state == VFIO_DEVICE_STATE_RESUMING)
		return reset(m);
	ret = change_state(m, VFIO_DEVICE_STATE_RUNNING);
	if (!ret)
		return 0;
	ifd_warn(&m->handle.ctx->log, "%s is reset, since it does not leave %s: %s", m->handle.dev->found->name,
		 states[m->state].name, IFD_STRERROR(ret));
	return reset(m);
}

/* ---- The stream ---- */

static int fail_stream(const struct iommufd_migration *m, int err, const char *hint, const char *what)
{
	if (err == -ENODEV)
		hint = "the stream is over: the device was reset";
	return ifd_fail(err, hint, "%s %s, in %s", what, m->handle.dev->found->name, states[m->state].name);
}

static const char no_stream[] = "iommufd_migration_set_state() begins one";

EXPORT int iommufd_migration_fd(const struct iommufd_migration *m)
{
	int ret = check(m, "stream");

	if (!ret && m->handle.fd < 0)
		ret = fail_stream(m, -EINVAL, no_stream, "descriptor of the stream of");
	return ret ? ret : m->handle.fd;
}

/* Some drivers have nothing to say until the device stops, and call it the end. */
EXPORT int iommufd_migration_read(struct iommufd_migration *m, void *buf, size_t size, size_t *len)
{
	static const char what[] = "read the state of";
	const char *hint = NULL;
	ssize_t n = check(m, "stream");

	if (n)
		return (int)n;
	if (m->handle.fd < 0 || m->writing)
		return fail_stream(m, -EINVAL, no_stream, what);
	if (!size)
		return fail_stream(m, -EINVAL, "give room for a byte at least", what);
	size = size < MOVE_MAX ? size : MOVE_MAX;
	n = ifd_sys_read(m->handle.fd, buf, size);
	if (n >= 0 && (size_t)n > size)
		n = -EPROTO;
	if (!n && is_precopy(m->state))
		n = -ENOMSG;
	if (n == -ENOMSG)
		hint = "nothing for now: ask later, or stop the device";
	if (n < 0)
		return fail_stream(m, (int)n, hint, what);
	*len = (size_t)n;
	return 0;
}

static const char refused[] = "the device does not take it: see whether it is of such a device, then call "
			      "iommufd_migration_abort()";

EXPORT int iommufd_migration_write(struct iommufd_migration *m, const void *buf, size_t size, size_t *len)
{
	static const char what[] = "write the state of";
	ssize_t n = check(m, "stream");

	if (n)
		return (int)n;
	if (m->handle.fd < 0 || !m->writing)
		return fail_stream(m, -EINVAL, no_stream, what);
	if (m->refused)
		return fail_stream(m, -EBUSY, refused, what);
	size = size < MOVE_MAX ? size : MOVE_MAX;
	if (size)
		n = ifd_sys_write(m->handle.fd, buf, size);
	if (n > 0 ? (size_t)n > size : !n && size)
		n = -EPROTO;
	if (n < 0 && n != -EAGAIN)
		m->refused = true;
	if (n < 0)
		return fail_stream(m, (int)n, m->refused ? refused : NULL, what);
	*len = (size_t)n;
	return 0;
}

EXPORT int iommufd_migration_precopy_info(struct iommufd_migration *m, struct iommufd_precopy_info *info)
{
	static const char what[] = "ask how much there is to read of";
	struct vfio_precopy_info kernels = { .argsz = sizeof(kernels) };
	struct iommufd_precopy_info mine = { .state = m->state };
	int ret = ifd_info_check(info, IFD_END_OF(struct iommufd_precopy_info, state), "precopy info");

	if (!ret)
		ret = check(m, "stream");
	if (ret)
		return ret;
	if (m->handle.fd < 0 || !is_precopy(m->state))
		return fail_stream(m, -EINVAL, "only in PRE_COPY and PRE_COPY_P2P there is an answer", what);
	ret = ifd_sys_ioctl(&m->handle.ctx->log, m->handle.fd, VFIO_MIG_GET_PRECOPY_INFO, &kernels);
	if (ret)
		return fail_stream(m, ret, NULL, what);
	mine.initial_bytes = kernels.initial_bytes;
	mine.dirty_bytes = kernels.dirty_bytes;
	mine.flags = m->reinit ? kernels.flags & VFIO_PRECOPY_INFO_REINIT : 0;
	ifd_info_write(info, &mine, sizeof(mine));
	return 0;
}

EXPORT int iommufd_migration_data_size(struct iommufd_migration *m, uint64_t *bytes)
{
	struct vfio_device_feature_mig_data_size data = { .stop_copy_length = 0 };
	int ret = check(m, "migration");

	if (ret)
		return ret;
	ret = ifd_feature(m->handle.dev, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE | VFIO_DEVICE_FEATURE_GET, &data,
			  sizeof(data));
	if (ret)
		return ifd_fail_feature(m->handle.dev, ret, NULL, "ask how long the state is of");
	*bytes = data.stop_copy_length;
	return 0;
}
