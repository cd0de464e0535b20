/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A device's interrupts on their way into a VM, past the process. */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"
#include "kvm.h"
#include "udev.h"
#include "uapi/kvm.h"
#include "uapi/vfio.h"

struct iommufd_kvm_irqfd {
	struct iommufd_kvm *kvm;
	struct iommufd_device *dev;
	uint32_t index, vector, gsi;
	bool alone;          /* the type has one vector */
	bool assigned;       /* KVM has it */
	int event, resample; /* or -1 */
};

static int irqfd_set(const struct iommufd_kvm_irqfd *irqfd, uint32_t flags)
{
	struct kvm_irqfd cmd = { .fd = (uint32_t)irqfd->event, .gsi = irqfd->gsi, .flags = flags };

	if (flags & KVM_IRQFD_FLAG_RESAMPLE)
		cmd.resamplefd = (uint32_t)irqfd->resample;
	return ifd_sys_ioctl(&irqfd->dev->ctx->log, irqfd->kvm->vm, KVM_IRQFD, &cmd);
}

/* By now the vector may be somebody else's, or disabled. dev->lock is held. */
static bool is_ours(const struct iommufd_kvm_irqfd *irqfd)
{
	const struct ifd_irq *irq = &irqfd->dev->irqs[irqfd->index];

	return irqfd->vector < irq->enabled && irq->vectors[irqfd->vector].event >= 0 &&
	       irq->vectors[irqfd->vector].owner == irqfd;
}

/* dev->lock is held. */
static int silence(const struct iommufd_kvm_irqfd *irqfd)
{
	static const uint32_t trigger = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	static const int none = -1;
	struct ifd_irq *irq = &irqfd->dev->irqs[irqfd->index];
	int ret;

	if (irqfd->alone)
		ret = ifd_irq_set_off(irqfd->dev, irqfd->index);
	else
		ret = ifd_irq_set(irqfd->dev, trigger, irqfd->index, irqfd->vector, 1, &none);
	if (ret)
		return ret > 0 ? -EPROTO : ret;
	if (irqfd->alone) {
		ifd_irq_clear(irq);
	} else {
		ifd_sys_close(irq->vectors[irqfd->vector].event);
		irq->vectors[irqfd->vector].event = -1;
		irq->vectors[irqfd->vector].owner = NULL;
	}
	return 0;
}

/* First the VM, which would otherwise take an edge for an interrupt when the device is told to be silent. */
static void take_back(struct iommufd_kvm_irqfd *irqfd)
{
	struct iommufd_device *dev = irqfd->dev;
	int ret = irqfd->assigned ? irqfd_set(irqfd, KVM_IRQFD_FLAG_DEASSIGN) : 0;

	if (ret)
		ifd_error(&dev->ctx->log, "the VM keeps line %u until it ends: %s", irqfd->gsi, IFD_STRERROR(ret));
	pthread_mutex_lock(&dev->lock);
	ret = dev->attached && is_ours(irqfd) ? silence(irqfd) : 0;
	pthread_mutex_unlock(&dev->lock);
	if (ret)
		ifd_error(&dev->ctx->log, "interrupt type %u of %s stays enabled: %s", irqfd->index, dev->found->name,
			  IFD_STRERROR(ret));
}

EXPORT void iommufd_kvm_irqfd_free(struct iommufd_kvm_irqfd *irqfd)
{
	struct ifd_words words;

	if (!irqfd)
		return;
	ifd_words_keep(&words);
	if (!ifd_in_child(irqfd->dev->ctx))
		take_back(irqfd);
	ifd_sys_close(irqfd->event);
	ifd_sys_close(irqfd->resample);
	ifd_device_put(irqfd->dev);
	ifd_kvm_put(irqfd->kvm);
	free(irqfd);
	ifd_words_restore(&words);
}

static int fail_irqfd(const struct iommufd_kvm_irqfd *irqfd, int err)
{
	return ifd_fail(err,
			err == -EINVAL && irqfd->resample >= 0
				? "there is no such line, or the VM has no interrupt controller in the kernel that can "
				  "resample: KVM_CREATE_IRQCHIP first"
			: err == -EINVAL || err == -EAGAIN || err == -ENOTTY
				? "there is no such line, or the VM has no interrupt controller in the kernel: make it "
				  "first"
			: err == -EIO ? "the VM is dead"
				      : NULL,
			"interrupt line %u of the VM for %s", irqfd->gsi, irqfd->dev->found->name);
}

/* The VM first: it changes nothing in the device when it refuses. */
static int connect(struct iommufd_kvm_irqfd *irqfd)
{
	int ret = irqfd_set(irqfd, irqfd->resample >= 0 ? KVM_IRQFD_FLAG_RESAMPLE : 0);

	if (ret)
		return fail_irqfd(irqfd, ret);
	irqfd->assigned = true;
	ret = ifd_irq_enable_for(irqfd->dev, irqfd->index, irqfd->vector, irqfd->event, irqfd);
	if (!ret && irqfd->resample >= 0)
		ret = iommufd_device_irq_set_resample(irqfd->dev, irqfd->index, irqfd->vector, irqfd->resample);
	return ret;
}

static int make_events(struct iommufd_kvm_irqfd *irqfd, uint32_t flags)
{
	irqfd->event = ifd_sys_eventfd();
	if (irqfd->event >= 0 && flags & IOMMUFD_KVM_RESAMPLE)
		irqfd->resample = ifd_sys_eventfd();
	if (irqfd->event >= 0 && (irqfd->resample >= 0 || !(flags & IOMMUFD_KVM_RESAMPLE)))
		return 0;
	return ifd_fail(irqfd->event < 0 ? irqfd->event : irqfd->resample,
			"raise the limit of open files, see ulimit -n", "interrupt line %u of the VM for %s",
			irqfd->gsi, irqfd->dev->found->name);
}

static int check(struct iommufd_kvm *kvm, struct iommufd_device *dev, uint32_t index, uint32_t vector, uint32_t flags,
		 bool *alone)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };
	int ret = ifd_kvm_check(kvm, "lead an interrupt into a VM");

	if (!ret)
		ret = iommufd_device_irq_info(dev, index, &info);
	if (ret)
		return ret;
	if (flags & ~(uint32_t)IOMMUFD_KVM_RESAMPLE)
		return ifd_fail(-EINVAL, "use IOMMUFD_KVM_RESAMPLE or 0", "flags 0x%x of an interrupt for a VM", flags);
	if (flags && !(info.flags & IOMMUFD_IRQ_AUTOMASKED))
		return ifd_fail(-EINVAL, "leave the flag out", "resample interrupt type %u of %s: it is no level",
				index, dev->found->name);
	if (vector >= info.count)
		return ifd_fail(-EINVAL, "see count of iommufd_device_irq_info()",
				"vector %u of interrupt type %u of %s, which has %u", vector, index, dev->found->name,
				info.count);
	*alone = info.count == 1;
	return 0;
}

EXPORT int iommufd_kvm_irqfd_add(struct iommufd_kvm *kvm, struct iommufd_device *dev, uint32_t index, uint32_t vector,
				 uint32_t gsi, uint32_t flags, struct iommufd_kvm_irqfd **out)
{
	struct iommufd_kvm_irqfd *irqfd;
	bool alone = false;
	int ret = check(kvm, dev, index, vector, flags, &alone);

	if (ret)
		return ret;
	irqfd = calloc(1, sizeof(*irqfd));
	if (!irqfd)
		return ifd_fail(-ENOMEM, NULL, "interrupt line %u of the VM for %s", gsi, dev->found->name);
	ifd_device_get(dev);
	*irqfd = (struct iommufd_kvm_irqfd){ .kvm = ifd_kvm_get(kvm),
					     .dev = dev,
					     .index = index,
					     .vector = vector,
					     .gsi = gsi,
					     .alone = alone,
					     .event = -1,
					     .resample = -1 };
	ret = make_events(irqfd, flags);
	if (!ret)
		ret = connect(irqfd);
	if (ret) {
		iommufd_kvm_irqfd_free(irqfd);
		return ret;
	}
	*out = irqfd;
	return 0;
}
