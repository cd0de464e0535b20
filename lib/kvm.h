/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Telling KVM of devices, and knowing what it makes of them. Internal. */
#ifndef IFD_KVM_H
#define IFD_KVM_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

struct ifd_log;
struct iommufd_ctx;
struct iommufd_device;
struct iommufd_ioas;

struct iommufd_kvm {
	atomic_uint refs;               /* the owner, each device that is open for it, each irqfd */
	int vm, device;                 /* descriptors */
	pid_t home;                     /* the process that made it, which alone the kernel lets use it */
	pthread_mutex_t lock;           /* a leaf, no ioctl under it */
	struct iommufd_device *devices; /* that are open for it; guarded by `lock` */
};

/* 0, or -EPERM with words in a child process. */
int ifd_kvm_check(const struct iommufd_kvm *kvm, const char *what);

/* The put takes NULL. */
struct iommufd_kvm *ifd_kvm_get(struct iommufd_kvm *kvm);
void ifd_kvm_put(struct iommufd_kvm *kvm);

/*
 * An open device is on the list of its VM; both do nothing for one that has none. The second also in a child process.
 */
void ifd_kvm_enter(struct iommufd_device *dev);
void ifd_kvm_leave(struct iommufd_device *dev);

/*
 * Tells KVM of a node, of a device before it is bound, of a group before it hands out a device; `what` is for the
 * words. The second takes it back before the node is closed, since KVM holds the open file; what the kernel refuses
 * goes to the log.
 */
int ifd_kvm_add(const struct iommufd_kvm *kvm, const struct ifd_log *log, int fd, const char *what);
void ifd_kvm_del(const struct iommufd_kvm *kvm, const struct iommufd_ctx *ctx, int fd, const char *what);

/*
 * Whether the IOMMU keeps a device from getting around the CPU's caches, which is a fact of the hardware, is found out
 * at the attach: the kernel tells it of all that is in an IOAS, so it is asked before and after. The gate is held
 * exclusively. All do nothing for a device without a VM.
 */
int ifd_kvm_look(const struct iommufd_device *dev, struct iommufd_ioas *ioas);
void ifd_kvm_learn(struct iommufd_device *dev, struct iommufd_ioas *ioas, int before);
void ifd_kvm_forget(struct iommufd_device *dev);

#endif
