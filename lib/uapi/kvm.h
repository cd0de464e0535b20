/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The ioctls of KVM that this library makes: layouts and numbers of the kernel's binary interface, in our own words.
 * The names are the kernel's, so never include <linux/kvm.h> beside this file.
 */
#ifndef IFD_UAPI_KVM_H
#define IFD_UAPI_KVM_H

#include <stdint.h>
#include <sys/ioctl.h>

#define KVMIO 0xAE

/* ---- Of a VM, and only for the process that made it: EIO to others ---- */

/*
 * `fd` is the answer. Of some types, VFIO among them, a VM can have one: EBUSY. ENODEV: no such type. TEST makes none.
 */
struct kvm_create_device {
	uint32_t type;
	uint32_t fd;
	uint32_t flags;
};
#define KVM_CREATE_DEVICE      _IOWR(KVMIO, 0xe0, struct kvm_create_device)
#define KVM_CREATE_DEVICE_TEST 1
#define KVM_DEV_TYPE_VFIO      4

/*
 * From now on a signal of the eventfd is an edge of the line `gsi`. With RESAMPLE it is a level: it falls when the VM
 * has handled it, and `resamplefd` is signalled. DEASSIGN finds by `fd` and `gsi`, and finding nothing is a success.
 */
struct kvm_irqfd {
	uint32_t fd;
	uint32_t gsi;
	uint32_t flags;
	uint32_t resamplefd;
	uint8_t pad[16];
};
#define KVM_IRQFD               _IOW(KVMIO, 0x76, struct kvm_irqfd)
#define KVM_IRQFD_FLAG_DEASSIGN (1 << 0)
#define KVM_IRQFD_FLAG_RESAMPLE (1 << 1)

/* ---- Of such a device ---- */

struct kvm_device_attr {
	uint32_t flags;
	uint32_t group;
	uint64_t attr;
	uint64_t addr;
};
#define KVM_SET_DEVICE_ATTR _IOW(KVMIO, 0xe1, struct kvm_device_attr)
#define KVM_HAS_DEVICE_ATTR _IOW(KVMIO, 0xe3, struct kvm_device_attr)

/*
 * The one of VFIO: `addr` points to a descriptor of 32 bits, of a group's node, or since Linux 6.6 of a device's. The
 * numbers are those of the older KVM_DEV_VFIO_GROUP, _GROUP_ADD and _GROUP_DEL. KVM holds the open file until then.
 */
#define KVM_DEV_VFIO_FILE     1
#define KVM_DEV_VFIO_FILE_ADD 1
#define KVM_DEV_VFIO_FILE_DEL 2

#endif
