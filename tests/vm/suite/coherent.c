/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What a VM asks about its devices and the CPU's caches. The VM has no CPU, so that it takes no more than a KVM. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vm.h"

#define SNOOP_CONTROL 7 /* a bit of Intel's register ECAP */

static int new_vm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = ioctl(kvm, KVM_CREATE_VM, 0);

	ck_assert_msg(vm >= 0, "KVM_CREATE_VM: %s", strerror(errno));
	close(kvm);
	return vm;
}

static int open_for(struct bed *bed, const char *address, struct iommufd_kvm *kvm)
{
	struct iommufd_device_opts opts = { .struct_size = sizeof(opts), .kvm = kvm };

	return iommufd_device_new_opts(bed->ctx, address, &opts, &bed->dev);
}

/* Only Intel's IOMMUs tell in sysfs; of the others on these machines none can. */
static int can_block(const char *address)
{
	char path[128];
	unsigned long ecap = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu/intel-iommu/ecap", address);
	file = fopen(path, "r");
	if (file && fscanf(file, "%lx", &ecap) != 1)
		ck_abort_msg("%s has no number", path);
	if (file)
		fclose(file);
	return (int)(ecap >> SNOOP_CONTROL & 1);
}

START_TEST(no_snoop_is_blocked_where_the_iommu_can)
{
	struct iommufd_hw_vtd vtd = { .struct_size = sizeof(vtd) };
	int vm = new_vm(), expected = can_block(EDU);
	struct iommufd_kvm *kvm;
	struct bed bed;

	ok(iommufd_kvm_new(vm, &kvm));
	bed_open(&bed);
	ck_assert_int_eq(ok(iommufd_kvm_no_snoop_blocked(kvm)), 1);
	ok(open_for(&bed, EDU, kvm));
	fails(iommufd_kvm_no_snoop_blocked(kvm), -ENOTCONN, EDU);
	for (int i = 0; i < 2; i++) {
		ok(iommufd_device_attach(bed.dev, bed.ioas));
		ck_assert_int_eq(ok(iommufd_kvm_no_snoop_blocked(kvm)), expected);
		ok(iommufd_device_detach(bed.dev));
		fails(iommufd_kvm_no_snoop_blocked(kvm), -ENOTCONN, "attach it");
	}
	if (vm_path->by_node && !iommufd_device_hw_vtd(bed.dev, &vtd))
		ck_assert_int_eq((int)(vtd.ecap >> SNOOP_CONTROL & 1), expected);
	printf("# %s: no-snoop is %sblocked\n", vm_path->name, expected ? "" : "not ");
	bed_close(&bed);
	ck_assert_int_eq(ok(iommufd_kvm_no_snoop_blocked(kvm)), 1);
	iommufd_kvm_free(kvm);
	close(vm);
}
END_TEST

/* Where all can get around the caches, a device that comes to another cannot be told from one that cannot. */
START_TEST(behind_a_stranger_it_is_known_only_where_no_snoop_is_blocked)
{
	int vm = new_vm();
	struct iommufd_device *stranger;
	struct iommufd_kvm *kvm;
	struct bed bed;

	ok(iommufd_kvm_new(vm, &kvm));
	bed_open(&bed);
	ok(iommufd_device_new(bed.ctx, NVME, &stranger));
	ok(iommufd_device_attach(stranger, bed.ioas));
	ok(open_for(&bed, EDU, kvm));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	if (can_block(EDU))
		ck_assert_int_eq(ok(iommufd_kvm_no_snoop_blocked(kvm)), 1);
	else
		fails(iommufd_kvm_no_snoop_blocked(kvm), -EOPNOTSUPP, "an IOAS of its own");
	iommufd_device_free(stranger);
	bed_close(&bed);
	iommufd_kvm_free(kvm);
	close(vm);
}
END_TEST

START_TEST(dma_behind_an_iommu_is_coherent)
{
	struct bed bed;

	bed_open_device(&bed, EDU);
	ck_assert_int_eq(ok(iommufd_device_is_coherent(bed.dev)), 1);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ck_assert_int_eq(ok(iommufd_device_is_coherent(bed.dev)), 1);
	bed_close(&bed);
}
END_TEST

START_TEST(nothing_blocks_no_snoop_without_an_iommu_and_coherency_is_not_known)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts),
					 .backend = vm_backend,
					 .flags = IOMMUFD_CTX_NOIOMMU };
	struct bed bed = { .ctx = NULL };
	struct iommufd_kvm *kvm;
	int vm = new_vm();

	ok(iommufd_kvm_new(vm, &kvm));
	ok(iommufd_ctx_new(&opts, &bed.ctx));
	ok(iommufd_ioas_new(bed.ctx, &bed.ioas));
	ok(open_for(&bed, EDU, kvm));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ck_assert_int_eq(ok(iommufd_kvm_no_snoop_blocked(kvm)), 0);
	fails(iommufd_device_is_coherent(bed.dev), -EOPNOTSUPP, "it has no IOMMU");
	bed_close(&bed);
	iommufd_kvm_free(kvm);
	close(vm);
}
END_TEST

START_TEST(a_vm_needs_a_kvm)
{
	struct iommufd_kvm *kvm = (void *)1;

	/* What a program has that could not open /dev/kvm, or opened something else. */
	fails(iommufd_kvm_new(-1, &kvm), -EBADF, "KVM_CREATE_VM of /dev/kvm");
	fails(iommufd_kvm_new(STDERR_FILENO, &kvm), -EINVAL, "KVM_CREATE_VM of /dev/kvm");
	ck_assert_ptr_eq(kvm, (void *)1);
}
END_TEST

void add_coherent_tests(TCase *tc)
{
	bool has_kvm = !access("/dev/kvm", F_OK);

	if (vm_path->noiommu && has_kvm)
		tcase_add_test(tc, nothing_blocks_no_snoop_without_an_iommu_and_coherency_is_not_known);
	if (!vm_path->noiommu)
		tcase_add_test(tc, dma_behind_an_iommu_is_coherent);
	if (!vm_path->noiommu && has_kvm) {
		tcase_add_test(tc, no_snoop_is_blocked_where_the_iommu_can);
		tcase_add_test(tc, behind_a_stranger_it_is_known_only_where_no_snoop_is_blocked);
	}
	tcase_add_test(tc, a_vm_needs_a_kvm);
}
