/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What has to do with a VM, which the machine can have. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "acts.h"
#include "door.h"
#include "uapi/iommufd.h"

/* There is one at a time. Its handle is there for the calls that need it. */
static int vm, device;
static struct iommufd_kvm *kvm;

static void make_vm(struct stage *stage)
{
	int node = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	(void)stage;
	vm = ioctl(node, KVM_CREATE_VM, 0);
	ck_assert_msg(vm >= 0, "KVM_CREATE_VM: %s", strerror(errno));
	close(node);
}

static void close_vm(struct stage *stage)
{
	(void)stage;
	close(vm);
}

static void make_device(struct stage *stage)
{
	struct kvm_create_device cmd = { .type = KVM_DEV_TYPE_VFIO };

	make_vm(stage);
	ck_assert_int_eq(ioctl(vm, KVM_CREATE_DEVICE, &cmd), 0);
	device = (int)cmd.fd;
}

static void close_device(struct stage *stage)
{
	close(device);
	close_vm(stage);
}

static void make_handle(struct stage *stage)
{
	make_vm(stage);
	ok(iommufd_kvm_new(vm, &kvm));
}

static void free_handle(struct stage *stage)
{
	iommufd_kvm_free(kvm);
	close_vm(stage);
}

static int kvm_new(struct stage *stage)
{
	return iommufd_kvm_new(vm, (struct iommufd_kvm **)&stage->out.addr);
}

static int kvm_from_fd(struct stage *stage)
{
	return iommufd_kvm_from_fd(device, vm, (struct iommufd_kvm **)&stage->out.addr);
}

static void undo_kvm(struct stage *stage)
{
	iommufd_kvm_free(stage->out.addr);
}

/* ---- Devices ---- */

static int open_device(struct stage *stage, struct iommufd_device **dev)
{
	struct iommufd_device_opts opts = { .struct_size = sizeof(opts), .kvm = kvm };

	return iommufd_device_new_opts(stage->bed.ctx, EDU, &opts, dev);
}

static int device_new(struct stage *stage)
{
	return open_device(stage, &stage->out.dev);
}

static void free_device(struct stage *stage)
{
	iommufd_device_free(stage->out.dev);
}

static void have_device(struct stage *stage)
{
	make_handle(stage);
	ok(open_device(stage, &stage->bed.dev));
}

static int attach(struct stage *stage)
{
	return iommufd_device_attach(stage->bed.dev, stage->bed.ioas);
}

static void undo_attach(struct stage *stage)
{
	ok(iommufd_device_detach(stage->bed.dev));
}

/* The device has no KVM in it: its IOMMU is looked for. */
static int is_coherent(struct stage *stage)
{
	int ret = iommufd_device_is_coherent(stage->bed.dev);

	stage->facts = ret == 1;
	return ret < 0 ? ret : 0;
}

static bool has_iommu(void)
{
	return !vm_path->noiommu;
}

/* ---- Interrupts ---- */

static void make_irqchip(struct stage *stage)
{
	make_handle(stage);
	ck_assert_int_eq(ioctl(vm, KVM_CREATE_IRQCHIP, 0), 0);
}

static int add_message(struct stage *stage)
{
	return iommufd_kvm_irqfd_add(kvm, stage->bed.dev, IOMMUFD_PCI_MSI, 0, 5, 0,
				     (struct iommufd_kvm_irqfd **)&stage->out.addr);
}

static int add_level(struct stage *stage)
{
	return iommufd_kvm_irqfd_add(kvm, stage->bed.dev, IOMMUFD_PCI_INTX, 0, 5, IOMMUFD_KVM_RESAMPLE,
				     (struct iommufd_kvm_irqfd **)&stage->out.addr);
}

static void undo_irqfd(struct stage *stage)
{
	iommufd_kvm_irqfd_free(stage->out.addr);
}

/* ---- The table ---- */

static bool has_kvm(void)
{
	return !access("/dev/kvm", F_OK);
}

/* What a descriptor is, which only the words tell; or whether another of KVM's things has the attribute. */
#define NAMES                       \
	{                           \
		DOOR_READLINK, EACH \
	}
/* Without an answer about the caches the attach is none the worse. */
#define ATTACHES                                                                                              \
	SURVIVES({ VFIO_IOMMU_GET_INFO, 1 }, { VFIO_GROUP_GET_DEVICE_FD, 1 }, { VFIO_CHECK_EXTENSION, EACH }, \
		 { IOMMU_VFIO_IOAS, EACH }, NAMES)

const struct act kvm_acts[] = {
	{ "iommufd_kvm_new", NEEDS_CONTEXT, kvm_new, .undo = undo_kvm, .prepare = make_vm, .finish = close_vm,
	  .on = has_kvm, .handle = true },
	{ "iommufd_kvm_from_fd", NEEDS_CONTEXT, kvm_from_fd, .undo = undo_kvm, .prepare = make_device,
	  .finish = close_device, .on = has_kvm, .survives = SURVIVES(NAMES), .handle = true },
	{ "iommufd_device_new_opts, kvm", NEEDS_CONTEXT, device_new, .undo = free_device, .prepare = make_handle,
	  .finish = free_handle, .on = has_kvm, .opens = by_node, .handle = true },
	{ "iommufd_device_attach, kvm", NEEDS_CONTEXT, attach, .undo = undo_attach, .prepare = have_device,
	  .finish = free_handle, .on = has_kvm, .opens = by_group, .survives = ATTACHES },
	{ "iommufd_device_is_coherent", NEEDS_DEVICE, is_coherent, .on = has_iommu },
	{ "iommufd_kvm_irqfd_add", NEEDS_ATTACHED, add_message, .undo = undo_irqfd, .prepare = make_irqchip,
	  .finish = free_handle, .on = has_kvm, .survives = SURVIVES(LOOKS_WHETHER_THERE, NAMES), .handle = true },
	{ "iommufd_kvm_irqfd_add, INTx", NEEDS_ATTACHED, add_level, .undo = undo_irqfd, .prepare = make_irqchip,
	  .finish = free_handle, .on = has_kvm, .survives = SURVIVES(LOOKS_WHETHER_THERE, NAMES), .keeps = true,
	  .handle = true },
	{ .name = NULL },
};
