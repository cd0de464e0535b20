/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>

#include "feature.h"
#include "internal.h"
#include "peer.h"
#include "udev.h"
#include "uapi/vfio.h"

/*
 * The kernel has one errno for what is no eventfd and for what may sleep already. The first is looked at before, but
 * for where that cannot be told. dev->lock is held.
 */
static int enter(struct iommufd_device *dev, int eventfd)
{
	struct vfio_device_low_power_entry_with_wakeup data = { .wakeup_eventfd = eventfd };
	uint32_t feature =
		eventfd == -1 ? VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY : VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP;
	int ret = ifd_feature(dev, feature | VFIO_DEVICE_FEATURE_SET, &data, eventfd == -1 ? 0 : sizeof(data));

	if (ret == -EINVAL && (eventfd == -1 || dev->sleepy))
		return -EBUSY;
	if (!ret)
		dev->sleepy = true;
	return ret;
}

EXPORT int iommufd_device_low_power_enter(struct iommufd_device *dev, int eventfd)
{
	static const char what[] = "allow low power to";
	int ret = ifd_device_ready(dev, "low power");

	if (!ret && eventfd != -1)
		ret = ifd_irq_check_eventfd(eventfd, what, dev->found->name);
	if (ret)
		return ret;
	/* Nobody maps its memory for others meanwhile. */
	pthread_mutex_lock(&dev->ctx->lending);
	pthread_mutex_lock(&dev->lock);
	ret = enter(dev, eventfd);
	pthread_mutex_unlock(&dev->lock);
	pthread_mutex_unlock(&dev->ctx->lending);
	return ret ? ifd_fail_feature(dev, ret,
				      ret == -EBUSY || ret == -EINVAL
					      ? "give an open eventfd; or it may sleep already, which "
						"iommufd_device_low_power_exit() ends"
					      : NULL,
				      what)
		   : 0;
}

int ifd_low_power_end(struct iommufd_device *dev)
{
	return dev->sleepy ? ifd_feature(dev, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | VFIO_DEVICE_FEATURE_SET, NULL, 0)
			   : 0;
}

/* What other devices map of it the kernel has taken back when it might sleep, for good where that is a dma-buf. */
EXPORT int iommufd_device_low_power_exit(struct iommufd_device *dev)
{
	int ret = ifd_device_ready(dev, "low power");
	bool renews;

	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	ret = ifd_feature(dev, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | VFIO_DEVICE_FEATURE_SET, NULL, 0);
	if (!ret) {
		dev->woken |= dev->sleepy;
		dev->sleepy = false;
	}
	renews = dev->woken;
	pthread_mutex_unlock(&dev->lock);
	if (ret)
		return ifd_fail_feature(dev, ret, NULL, "end low power of");
	if (renews)
		ret = ifd_peers_restore(dev);
	pthread_mutex_lock(&dev->lock);
	dev->woken = ret;
	pthread_mutex_unlock(&dev->lock);
	return ret;
}
