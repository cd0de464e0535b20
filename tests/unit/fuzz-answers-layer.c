/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What a kernel in its right mind answers about features of a device, resets of a bus, and VMs. */
#include <errno.h>
#include <string.h>

#include "fuzz-answers.h"
#include "uapi/kvm.h"
#include "uapi/vfio.h"

/* ---- Features ---- */

/* A stream is a file, and so is memory for others. */
static int set_state(struct fuzz_file *file, void *data)
{
	struct vfio_device_feature_mig_state state;
	uint32_t to;

	memcpy(&state, data, sizeof(state));
	to = state.device_state;
	state.data_fd = -1;
	if (to == VFIO_DEVICE_STATE_RESUMING ||
	    ((to == VFIO_DEVICE_STATE_STOP_COPY || to >= VFIO_DEVICE_STATE_PRE_COPY) &&
	     file->state != VFIO_DEVICE_STATE_STOP_COPY && file->state < VFIO_DEVICE_STATE_PRE_COPY))
		state.data_fd = fuzz_open(FUZZ_STREAM);
	file->state = to;
	memcpy(data, &state, sizeof(state));
	return 0;
}

static void log_report(const void *data)
{
	struct vfio_device_feature_dma_logging_report report;

	memcpy(&report, data, sizeof(report));
	fuzz_check(report.page_size && report.length, "a report of no pages");
	fuzz_dirty_bits(report.bitmap, (report.length / report.page_size + 63) / 64 * 8);
}

static int feature(struct fuzz_file *file, void *arg)
{
	struct vfio_device_feature *cmd = arg;
	uint64_t can = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY;
	struct vfio_device_feature_mig_state state = { .device_state = file->state };

	if (cmd->flags & VFIO_DEVICE_FEATURE_PROBE)
		return fuzz_byte() & 1 ? -ENOTTY : 0;
	switch (cmd->flags) {
	case VFIO_DEVICE_FEATURE_MIGRATION | VFIO_DEVICE_FEATURE_GET:
		memcpy(cmd->data, &can, sizeof(can));
		return 0;
	case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_GET:
		memcpy(cmd->data, &state, sizeof(state));
		return 0;
	case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_SET:
		return set_state(file, cmd->data);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT | VFIO_DEVICE_FEATURE_GET:
		log_report(cmd->data);
		return 0;
	case VFIO_DEVICE_FEATURE_DMA_BUF | VFIO_DEVICE_FEATURE_GET:
		return fuzz_open(FUZZ_MEMORY);
	default:
		return 0;
	}
}

static int reset(struct fuzz_file *file, void *arg)
{
	(void)arg;
	file->state = VFIO_DEVICE_STATE_RUNNING;
	return 0;
}

static int precopy_info(struct fuzz_file *file, void *arg)
{
	fuzz_check(file->kind == FUZZ_STREAM && arg, "what is no stream is asked how much there is to read");
	return 0;
}

/* ---- Resets of a bus ---- */

/* The device itself, and its sibling. */
static int hot_reset_info(struct fuzz_file *file, void *arg)
{
	struct vfio_pci_hot_reset_info *info = arg;
	uint32_t fits = (info->argsz - (uint32_t)sizeof(*info)) / (uint32_t)sizeof(info->devices[0]);

	(void)file;
	info->flags = fuzz_byte() & 1 ? VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED : 0;
	info->count = 2;
	for (uint8_t i = 0; i < 2 && i < fits; i++) {
		memset(&info->devices[i], 0, sizeof(info->devices[i]));
		info->devices[i].group_id = info->flags ? VFIO_PCI_DEVID_OWNED : 7;
		info->devices[i].devfn = (uint8_t)(3 << 3 | i);
	}
	return fits < 2 ? -ENOSPC : 0;
}

static int hot_reset(struct fuzz_file *file, void *arg)
{
	struct vfio_pci_hot_reset *cmd = arg;

	(void)file;
	for (uint32_t i = 0; i < cmd->count; i++)
		fuzz_check(fuzz_file(cmd->group_fds[i]), "a reset by group %d, which is not open", cmd->group_fds[i]);
	return 0;
}

/* ---- VMs ---- */

static int create_device(struct fuzz_file *file, void *arg)
{
	struct kvm_create_device *cmd = arg;

	(void)file;
	if (!(cmd->flags & KVM_CREATE_DEVICE_TEST))
		cmd->fd = (uint32_t)fuzz_open(FUZZ_KINDS);
	return 0;
}

static int irqfd(struct fuzz_file *file, void *arg)
{
	const struct kvm_irqfd *cmd = arg;

	(void)file;
	fuzz_check(fuzz_file((int)cmd->fd), "descriptor %u is to interrupt a VM, which is not open", cmd->fd);
	return 0;
}

static int attr(struct fuzz_file *file, void *arg)
{
	(void)file;
	(void)arg;
	return 0;
}

/* These share their numbers with what is asked of containers. */
const struct fuzz_ioctl fuzz_device_ioctls[] = {
	{ VFIO_DEVICE_FEATURE, feature, 1 },
	{ VFIO_DEVICE_RESET, reset, 0 },
	{ VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, hot_reset_info, 1 },
	{ VFIO_DEVICE_PCI_HOT_RESET, hot_reset, 0 },
	{ 0, NULL, 0 },
};

const struct fuzz_ioctl fuzz_other_ioctls[] = {
	{ VFIO_MIG_GET_PRECOPY_INFO, precopy_info, sizeof(struct vfio_precopy_info) },
	{ KVM_CREATE_DEVICE, create_device, 0 },
	{ KVM_IRQFD, irqfd, 0 },
	{ KVM_SET_DEVICE_ATTR, attr, 0 },
	{ KVM_HAS_DEVICE_ATTR, attr, 0 },
	{ 0, NULL, 0 },
};

/* A feature of this kind gives a file: by its answer or in it. */
bool fuzz_feature_gives_file(const void *arg)
{
	const struct vfio_device_feature *cmd = arg;
	uint32_t number = cmd->flags & VFIO_DEVICE_FEATURE_MASK;

	return (number == VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE && cmd->flags & VFIO_DEVICE_FEATURE_SET) ||
	       number == VFIO_DEVICE_FEATURE_DMA_BUF;
}
