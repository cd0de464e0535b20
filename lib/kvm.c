/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "kvm.h"
#include "udev.h"
#include "uapi/kvm.h"

/* ---- The handle ---- */

int ifd_kvm_check(const struct iommufd_kvm *kvm, const char *what)
{
	return kvm->home == getpid() ? 0
				     : ifd_fail(-EPERM, "free what the parent made, and make a VM here",
						"%s: the handle was made before fork()", what);
}

struct iommufd_kvm *ifd_kvm_get(struct iommufd_kvm *kvm)
{
	atomic_fetch_add(&kvm->refs, 1);
	return kvm;
}

void ifd_kvm_put(struct iommufd_kvm *kvm)
{
	if (!kvm || atomic_fetch_sub(&kvm->refs, 1) != 1)
		return;
	ifd_sys_close(kvm->device);
	ifd_sys_close(kvm->vm);
	/* In a child process it may be the lock of a thread that is not there. */
	if (!pthread_mutex_trylock(&kvm->lock)) {
		pthread_mutex_unlock(&kvm->lock);
		pthread_mutex_destroy(&kvm->lock);
	}
	free(kvm);
}

EXPORT void iommufd_kvm_free(struct iommufd_kvm *kvm)
{
	ifd_kvm_put(kvm);
}

/* What a descriptor is, as /proc has it; empty where it cannot be read. */
static void name_fd(int fd, char *name, size_t size)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (ifd_sys_readlink(link, name, size) < 0)
		*name = '\0';
}

static int fail_vm(int err, int fd)
{
	char name[128], hint[IFD_HINT_MAX] = "";

	name_fd(fd, name, sizeof(name));
	if (err == -EBUSY)
		ifd_hint(hint, "it has one already: give that one's descriptor to iommufd_kvm_from_fd()");
	else if (err == -ENODEV)
		ifd_hint(hint, "this kernel's KVM knows no VFIO: it takes CONFIG_KVM_VFIO");
	else if (err == -EIO)
		ifd_hint(hint, "the VM is another process's, or dead");
	else if (err == -EMFILE)
		ifd_hint(hint, "raise the limit of open files, see ulimit -n");
	else if (err == -EBADF || (err != -ENOMEM && err != -EPROTO))
		ifd_hint(hint, "%s%s%sgive the descriptor of a VM, as KVM_CREATE_VM of /dev/kvm gave it",
			 *name ? "it is " : "", name, *name ? ": " : "");
	/* What is no VM says it in many ways. */
	if (err == -ENOTTY || err == -ENOSYS || err == -EOPNOTSUPP)
		err = -EINVAL;
	return ifd_fail(err, hint, "have file descriptor %d, a VM, know of devices", fd);
}

/* The kernel's own device of VFIO in a VM, or with TEST nothing but whether there could be one: a descriptor, or 0. */
static int create_device(int vm, uint32_t flags)
{
	struct kvm_create_device cmd = { .type = KVM_DEV_TYPE_VFIO, .fd = UINT32_MAX, .flags = flags };
	int ret = ifd_sys_ioctl(NULL, vm, KVM_CREATE_DEVICE, &cmd);

	if (ret || flags & KVM_CREATE_DEVICE_TEST)
		return ret;
	return cmd.fd <= INT_MAX ? (int)cmd.fd : -EPROTO;
}

static int set_attr(const struct ifd_log *log, int device, unsigned long request, uint64_t attr, int fd)
{
	int32_t number = fd;
	struct kvm_device_attr cmd = { .group = KVM_DEV_VFIO_FILE, .attr = attr, .addr = (uintptr_t)&number };

	return ifd_sys_ioctl(log, device, request, &cmd);
}

/* Other devices of KVM may have an attribute of the same number. */
static int check_device(int copy, int fd)
{
	char name[128];
	int ret;

	name_fd(copy, name, sizeof(name));
	ret = set_attr(NULL, copy, KVM_HAS_DEVICE_ATTR, KVM_DEV_VFIO_FILE_ADD, -1);
	if (ret == -EIO)
		return ifd_fail(ret, "the VM is another process's, or dead", "adopt file descriptor %d", fd);
	if (!ret && (strncmp(name, "anon_inode:kvm-", 15) != 0 || !strcmp(name, "anon_inode:kvm-vfio")))
		return 0;
	return ifd_fail(-EINVAL, "give what KVM_CREATE_DEVICE gave for KVM_DEV_TYPE_VFIO",
			"adopt file descriptor %d: it is %s", fd, *name ? name : "no such device of KVM");
}

/* Takes over both descriptors. */
static int kvm_new(int vm, int device, struct iommufd_kvm **out)
{
	struct iommufd_kvm *kvm = calloc(1, sizeof(*kvm));

	if (!kvm) {
		ifd_sys_close(device);
		ifd_sys_close(vm);
		return ifd_fail(-ENOMEM, NULL, "tell a VM of devices");
	}
	kvm->refs = 1;
	kvm->vm = vm;
	kvm->device = device;
	kvm->home = getpid();
	pthread_mutex_init(&kvm->lock, NULL);
	*out = kvm;
	return 0;
}

EXPORT int iommufd_kvm_new(int vm_fd, struct iommufd_kvm **out)
{
	int vm = ifd_sys_dup(vm_fd), device;

	if (vm < 0)
		return fail_vm(vm, vm_fd);
	device = create_device(vm, 0);
	if (device >= 0)
		return kvm_new(vm, device, out);
	ifd_sys_close(vm);
	return fail_vm(device, vm_fd);
}

EXPORT int iommufd_kvm_from_fd(int device_fd, int vm_fd, struct iommufd_kvm **out)
{
	int device, ret, vm = ifd_sys_dup(vm_fd);

	if (vm < 0)
		return fail_vm(vm, vm_fd);
	device = ifd_sys_dup(device_fd);
	if (device < 0)
		ret = ifd_fail(device,
			       device == -EBADF ? "give an open one" : "raise the limit of open files, see ulimit -n",
			       "adopt file descriptor %d", device_fd);
	else
		ret = check_device(device, device_fd);
	if (!ret) {
		ret = create_device(vm, KVM_CREATE_DEVICE_TEST);
		ret = ret ? fail_vm(ret, vm_fd) : 0;
	}
	if (!ret)
		return kvm_new(vm, device, out);
	ifd_sys_close(device);
	ifd_sys_close(vm);
	return ret;
}

/* ---- Devices ---- */

void ifd_kvm_enter(struct iommufd_device *dev)
{
	struct iommufd_kvm *kvm = dev->kvm;

	if (!kvm)
		return;
	dev->snooped = -ENOTCONN;
	pthread_mutex_lock(&kvm->lock);
	dev->next_of_kvm = kvm->devices;
	kvm->devices = dev;
	pthread_mutex_unlock(&kvm->lock);
}

void ifd_kvm_leave(struct iommufd_device *dev)
{
	struct iommufd_kvm *kvm = dev->kvm;
	struct iommufd_device **at;

	if (!kvm)
		return;
	ifd_lock(dev->ctx, &kvm->lock);
	for (at = &kvm->devices; *at != dev; at = &(*at)->next_of_kvm)
		;
	*at = dev->next_of_kvm;
	ifd_unlock(dev->ctx, &kvm->lock);
}

int ifd_kvm_add(const struct iommufd_kvm *kvm, const struct ifd_log *log, int fd, const char *what)
{
	int ret = set_attr(log, kvm->device, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_FILE_ADD, fd);

	if (!ret)
		return 0;
	return ifd_fail(ret,
			ret == -EEXIST   ? "the VM knows it already: leave kvm at NULL, or let who told it take it back"
			: ret == -EINVAL ? "KVM does not take it: for a device's node that needs Linux 6.6"
			: ret == -EIO    ? "the VM is another process's, or dead"
					 : NULL,
			"tell the VM of %s", what);
}

void ifd_kvm_del(const struct iommufd_kvm *kvm, const struct iommufd_ctx *ctx, int fd, const char *what)
{
	int ret;

	if (ifd_in_child(ctx))
		return;
	ret = set_attr(&ctx->log, kvm->device, KVM_SET_DEVICE_ATTR, KVM_DEV_VFIO_FILE_DEL, fd);
	if (ret)
		ifd_error(&ctx->log, "the VM keeps %s until it ends: %s", what, IFD_STRERROR(ret));
}

/* ---- Coherency ---- */

/*
 * Without an IOMMU of its own a device can do as it likes, and a mediated one has none: KVM counts both as such. 1 or
 * 0, or -errno.
 */
static int behind_iommu(const struct iommufd_device *dev)
{
	char link[PATH_MAX], target[PATH_MAX];
	ssize_t ret;

	if (dev->found->noiommu || !*dev->found->path)
		return 0;
	snprintf(link, sizeof(link), "%s/iommu", dev->found->path);
	ret = ifd_sys_readlink(link, target, sizeof(target));
	return ret == -ENOENT ? 0 : ret < 0 ? (int)ret : 1;
}

int ifd_kvm_look(const struct iommufd_device *dev, struct iommufd_ioas *ioas)
{
	return dev->kvm && !dev->found->noiommu ? dev->ctx->backend->snooped(ioas) : 1;
}

void ifd_kvm_learn(struct iommufd_device *dev, struct iommufd_ioas *ioas, int before)
{
	int ret;

	if (!dev->kvm)
		return;
	ret = behind_iommu(dev);
	if (ret > 0)
		ret = dev->ctx->backend->snooped(ioas);
	else if (!ret)
		before = 1;
	/* It was so before: whether this device is like the others cannot be told. */
	if (!ret && before != 1)
		ret = before < 0 ? before : -EOPNOTSUPP;
	dev->snooped = ret;
}

void ifd_kvm_forget(struct iommufd_device *dev)
{
	dev->snooped = -ENOTCONN;
}

/* One that can is enough; else one of which nothing is known. The caller holds the lock. */
static int summary(const struct iommufd_kvm *kvm, char *name, size_t size)
{
	int ret = 1;

	for (const struct iommufd_device *dev = kvm->devices; dev; dev = dev->next_of_kvm) {
		int snooped = dev->snooped;

		if (!snooped)
			return 0;
		if (snooped < 0 && ret > 0) {
			ret = snooped;
			snprintf(name, size, "%s", dev->found->name);
		}
	}
	return ret;
}

EXPORT int iommufd_kvm_no_snoop_blocked(struct iommufd_kvm *kvm)
{
	char name[64];
	int ret = ifd_kvm_check(kvm, "ask about no-snoop");

	if (ret)
		return ret;
	pthread_mutex_lock(&kvm->lock);
	ret = summary(kvm, name, sizeof(name));
	pthread_mutex_unlock(&kvm->lock);
	return ret >= 0 ? ret
			: ifd_fail(ret,
				   ret == -ENOTCONN ? "attach it to an IOAS first"
				   : ret == -EOPNOTSUPP
					   ? "another device in its IOAS can, and the kernel tells it of all together: "
					     "attach it to an IOAS of its own, or take it for one that can"
					   : "it could not be found out at the attach",
				   "whether %s can get around the CPU's caches", name);
}

EXPORT int iommufd_device_is_coherent(const struct iommufd_device *dev)
{
	const char *hint = NULL;
	int ret = ifd_ctx_check(dev->ctx, "ask for coherency");

	if (ret)
		return ret;
	ret = behind_iommu(dev);
	if (ret > 0)
		return 1; /* VFIO and iommufd take no other */
	if (!ret)
		hint = !*dev->found->path    ? "ask who has bound it"
		       : dev->found->noiommu ? "it has no IOMMU: the architecture of the machine says so"
					     : "it has no IOMMU of its own: its driver says so";
	return ifd_fail(ret ? ret : -EOPNOTSUPP, hint, "whether DMA of %s is coherent", dev->found->name);
}
