/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvm-scene.h"
#include "uapi/kvm.h"

/* What KVM knows of: which descriptors it was told, each an open file. */
static int known[8];
unsigned int kvm_scene_known;
int kvm_scene_fd;

static int create_device(int fd, void *arg)
{
	struct kvm_create_device *cmd = arg;

	(void)fd;
	ck_assert_uint_eq(cmd->type, KVM_DEV_TYPE_VFIO);
	if (!(cmd->flags & KVM_CREATE_DEVICE_TEST))
		cmd->fd = (uint32_t)inject_fd();
	return 0;
}

static int set_attr(int device, void *arg)
{
	const struct kvm_device_attr *cmd = arg;
	int fd = *(const int32_t *)(uintptr_t)cmd->addr;
	unsigned int i = 0;

	(void)device;
	ck_assert_uint_eq(cmd->group, KVM_DEV_VFIO_FILE);
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	while (i < kvm_scene_known && known[i] != fd)
		i++;
	if (cmd->attr == KVM_DEV_VFIO_FILE_ADD) {
		ck_assert_msg(i == kvm_scene_known, "KVM is told of descriptor %d twice", fd);
		known[kvm_scene_known++] = fd;
	} else {
		ck_assert_uint_eq(cmd->attr, KVM_DEV_VFIO_FILE_DEL);
		ck_assert_msg(i < kvm_scene_known, "KVM never heard of descriptor %d", fd);
		known[i] = known[--kvm_scene_known];
	}
	return 0;
}

struct iommufd_kvm *kvm_scene_vm(void)
{
	struct iommufd_kvm *kvm;

	kvm_scene_known = 0;
	inject_ioctl(KVM_CREATE_DEVICE, create_device);
	inject_ioctl(KVM_SET_DEVICE_ATTR, set_attr);
	inject_ioctl(KVM_HAS_DEVICE_ATTR, inject_succeed);
	kvm_scene_fd = memfd_create("vm", MFD_CLOEXEC);
	ck_assert_int_eq(iommufd_kvm_new(kvm_scene_fd, &kvm), 0);
	return kvm;
}

int kvm_scene_device(struct iommufd_ctx *ctx, const char *address, struct iommufd_kvm *kvm, struct iommufd_device **dev)
{
	struct iommufd_device_opts opts = { .struct_size = sizeof(opts), .kvm = kvm };

	return iommufd_device_new_opts(ctx, address, &opts, dev);
}

/* ---- Two devices that have an IOMMU, as sysfs shows it ---- */

static char folder[64], link_to_iommu[80];

void kvm_scene_open(struct scene *scene, uint32_t backend)
{
	static char alone_name[] = ALONE, nodeless_name[] = NODELESS, driver[] = "vfio-pci";
	static char cdev[] = "/dev/vfio/devices/vfio9";
	static const struct ifd_found alone = {
		.name = alone_name, .path = folder, .driver = driver, .cdev = cdev, .group = 9, .vfio = true
	};
	static const struct ifd_found nodeless = {
		.name = nodeless_name, .path = folder, .driver = driver, .group = 10, .vfio = true
	};

	scene_open(scene, backend);
	snprintf(folder, sizeof(folder), "/tmp/unit-kvm-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(link_to_iommu, sizeof(link_to_iommu), "%s/iommu", folder);
	ck_assert_int_eq(symlink("dmar0", link_to_iommu), 0);
	inject_device(&alone);
	inject_device(&nodeless);
}

void kvm_scene_forget_folder(void)
{
	unlink(link_to_iommu);
	rmdir(folder);
	close(kvm_scene_fd);
}

void kvm_scene_close(struct scene *scene)
{
	kvm_scene_forget_folder();
	scene_close(scene);
	ck_assert_uint_eq(kvm_scene_known, 0);
}
