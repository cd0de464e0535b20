/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "caps.h"
#include "feature.h"
#include "internal.h"
#include "udev.h"
#include "uapi/vfio.h"

_Static_assert(IOMMUFD_FEATURE_PCI_VF_TOKEN == VFIO_DEVICE_FEATURE_PCI_VF_TOKEN &&
		       IOMMUFD_FEATURE_MIGRATION == VFIO_DEVICE_FEATURE_MIGRATION &&
		       IOMMUFD_FEATURE_LOW_POWER == VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY &&
		       IOMMUFD_FEATURE_LOW_POWER_EXIT == VFIO_DEVICE_FEATURE_LOW_POWER_EXIT &&
		       IOMMUFD_FEATURE_DMA_LOG == VFIO_DEVICE_FEATURE_DMA_LOGGING_START &&
		       IOMMUFD_FEATURE_MIGRATION_DATA_SIZE == VFIO_DEVICE_FEATURE_MIG_DATA_SIZE &&
		       IOMMUFD_FEATURE_MASTER == VFIO_DEVICE_FEATURE_BUS_MASTER &&
		       IOMMUFD_FEATURE_PRECOPY_REINIT == VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 &&
		       IOMMUFD_FEATURE_ZPCI_ERROR == VFIO_DEVICE_FEATURE_ZPCI_ERROR,
	       "the numbers are the kernel's");

#define FEATURES (IOMMUFD_FEATURE_ZPCI_ERROR + 1)
#define DATA_MAX 32

int ifd_feature(struct iommufd_device *dev, uint32_t flags, void *data, size_t size)
{
	uint64_t room[(sizeof(struct vfio_device_feature) + DATA_MAX) / sizeof(uint64_t)] = { 0 };
	struct vfio_device_feature *cmd = (struct vfio_device_feature *)room;
	int ret;

	cmd->argsz = (uint32_t)(sizeof(*cmd) + size);
	cmd->flags = flags;
	if (size)
		memcpy(cmd->data, data, size);
	ret = ifd_sys_ioctl(&dev->ctx->log, dev->fd, VFIO_DEVICE_FEATURE, cmd);
	if (size)
		memcpy(data, cmd->data, size);
	return ret;
}

int ifd_fail_feature(const struct iommufd_device *dev, int err, const char *hint, const char *what)
{
	char lacks[IFD_HINT_MAX] = "";

	if (err == -ENOTTY) {
		ifd_hint(lacks, "its driver %s does not have it, or the kernel is too old: see iommufd_device_has()",
			 dev->found->driver ? dev->found->driver : "");
		hint = lacks;
	}
	return ifd_fail(err, hint, "%s %s", what, dev->found->name);
}

/*
 * Some kernels know the newest feature and say of devices without PRE_COPY that this is invalid, where all others say
 * that they have no such thing. Nothing else about a mere question can be. And some have BARs that are no files.
 */
static int ask(struct iommufd_device *dev, uint32_t feature)
{
	int ret = ifd_feature(dev, feature | VFIO_DEVICE_FEATURE_PROBE, NULL, 0);

	return ret == -ENOTTY || ret == -EINVAL || ret == -EOPNOTSUPP ? 0 : ret ? ret : 1;
}

EXPORT int iommufd_device_has(struct iommufd_device *dev, uint32_t feature)
{
	int ret = ifd_device_ready(dev, "features");

	if (ret)
		return ret;
	if (feature >= FEATURES)
		return ifd_fail(-EINVAL, "use one of the IOMMUFD_FEATURE constants", "ask for feature %u of %s",
				feature, dev->found->name);
	if (atomic_load(&dev->features_known) >> feature & 1)
		return (int)(atomic_load(&dev->features) >> feature & 1);
	ret = ask(dev, feature);
	if (ret < 0)
		return ifd_fail(ret, NULL, "ask for feature %u of %s", feature, dev->found->name);
	atomic_fetch_or(&dev->features, (unsigned int)ret << feature);
	atomic_fetch_or(&dev->features_known, 1u << feature); /* after the answer, for threads that do not wait */
	return ret;
}

/* ---- The simple ones ---- */

EXPORT int iommufd_pci_set_vf_token(struct iommufd_device *dev, const unsigned char *token)
{
	unsigned char copy[16];
	int ret = ifd_device_ready(dev, "token");

	if (ret)
		return ret;
	if (!token)
		return ifd_fail(-EINVAL, "give 16 bytes", "set no token of %s", dev->found->name);
	memcpy(copy, token, sizeof(copy));
	ret = ifd_feature(dev, VFIO_DEVICE_FEATURE_PCI_VF_TOKEN | VFIO_DEVICE_FEATURE_SET, copy, sizeof(copy));
	if (ret == -ENOTTY)
		return ifd_fail(ret,
				"tokens are of physical functions with SR-IOV that are bound to vfio-pci (Linux 5.7)",
				"set the token of %s", dev->found->name);
	return ret ? ifd_fail_feature(dev, ret, NULL, "set the token of") : 0;
}

EXPORT int iommufd_device_set_master(struct iommufd_device *dev, bool on)
{
	struct vfio_device_feature_bus_master data = {
		.op = on ? VFIO_DEVICE_FEATURE_SET_MASTER : VFIO_DEVICE_FEATURE_CLEAR_MASTER,
	};
	int ret = ifd_device_ready(dev, "bus mastering");

	if (ret)
		return ret;
	ret = ifd_feature(dev, VFIO_DEVICE_FEATURE_BUS_MASTER | VFIO_DEVICE_FEATURE_SET, &data, sizeof(data));
	if (ret == -ENOTTY && dev->flags & VFIO_DEVICE_FLAGS_PCI)
		return ifd_fail(ret, "use iommufd_pci_set_master()", "change whether %s is a bus master",
				dev->found->name);
	return ret ? ifd_fail_feature(dev, ret, NULL, "change the bus mastering of") : 0;
}

/* ---- Errors on s390 ---- */

static int error_length(struct iommufd_device *dev, uint32_t *out)
{
	struct vfio_device_info request = { .argsz = sizeof(request) };
	struct vfio_device_info_cap_zpci_base cap;
	const struct vfio_device_info *info;
	size_t len, room;
	void *answer;
	const void *at = NULL;
	int ret =
		ifd_caps_ioctl(&dev->ctx->log, dev->fd, VFIO_DEVICE_GET_INFO, &request, sizeof(request), &answer, &len);

	if (ret)
		return ret;
	info = answer;
	if (info->flags & VFIO_DEVICE_FLAGS_CAPS)
		at = ifd_caps_find(answer, len, info->cap_offset, VFIO_DEVICE_INFO_CAP_ZPCI_BASE,
				   IFD_END_OF(struct vfio_device_info_cap_zpci_base, ccdf_err_length), &room);
	if (at) {
		memcpy(&cap, at, IFD_END_OF(struct vfio_device_info_cap_zpci_base, ccdf_err_length));
		*out = cap.ccdf_err_length;
	}
	free(answer);
	return at ? 0 : -EPROTO;
}

EXPORT int iommufd_device_zpci_error(struct iommufd_device *dev, void *buf, size_t size, size_t *len)
{
	static const char what[] = "read the last error of";
	struct vfio_device_feature_zpci_err data = { .data = (uintptr_t)buf };
	uint32_t need = 0;
	int ret = iommufd_device_has(dev, IOMMUFD_FEATURE_ZPCI_ERROR);

	if (ret < 0)
		return ret;
	ret = ret ? error_length(dev, &need) : -ENOTTY;
	if (!ret && (!buf || size < need))
		return ifd_fail(-ENOSPC, NULL, "%s %s: it has %u bytes", what, dev->found->name, need);
	if (!ret)
		ret = ifd_feature(dev, VFIO_DEVICE_FEATURE_ZPCI_ERROR | VFIO_DEVICE_FEATURE_GET, &data, sizeof(data));
	if (ret)
		return ifd_fail_feature(dev, ret, ret == -ENOMSG ? "there is none" : NULL, what);
	*len = need;
	return 0;
}

/* ---- Attach and detach ---- */

void ifd_feature_attached(struct iommufd_device *dev)
{
	atomic_store(&dev->features_known, 0);
	atomic_store(&dev->features, 0);
	atomic_store(&dev->moves, false);
}

/* Where a detach closes the device, the kernel ends these by itself. */
void ifd_feature_detach(struct iommufd_device *dev)
{
	int awake, logged, moved;

	if (dev->fd < 0)
		return;
	moved = ifd_migration_end(dev);
	if (moved)
		ifd_error(&dev->ctx->log, "%s may not run after the detach: %s", dev->found->name, IFD_STRERROR(moved));
	pthread_mutex_lock(&dev->lock);
	logged = ifd_dma_log_end(dev);
	awake = ifd_low_power_end(dev);
	dev->logging = dev->sleepy = false;
	pthread_mutex_unlock(&dev->lock);
	if (logged || awake)
		ifd_error(&dev->ctx->log, "%s still %s: %s", dev->found->name, logged ? "logs its DMA" : "may sleep",
			  IFD_STRERROR(logged ? logged : awake));
}
