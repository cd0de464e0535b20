/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A scene with a VM, and a KVM that remembers what it was told of. */
#ifndef KVM_SCENE_H
#define KVM_SCENE_H

#include "kvm.h"
#include "scene.h"

#define ALONE    "0000:00:0a.0" /* by itself in a group */
#define NODELESS "0000:00:0b.0" /* as ALONE, without a node of its own */

/* How many nodes KVM knows of; and the descriptor of the last VM. */
extern unsigned int kvm_scene_known;
extern int kvm_scene_fd;

/* A scene whose further devices, the two above, are behind an IOMMU as sysfs shows it. */
void kvm_scene_open(struct scene *scene, uint32_t backend);

/* Checks too that KVM knows of nothing any more. */
void kvm_scene_close(struct scene *scene);
void kvm_scene_forget_folder(void);

/* A VM that knows of nothing. */
struct iommufd_kvm *kvm_scene_vm(void);

int kvm_scene_device(struct iommufd_ctx *ctx, const char *address, struct iommufd_kvm *kvm,
		     struct iommufd_device **dev);

#endif
