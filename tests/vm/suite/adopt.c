/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Adopting what somebody else has set up already. */
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vm.h"

/* VFIO_DEVICE_BIND_IOMMUFD, which headers before Linux 6.6 lack. */
#define BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)

/* A container as another program would hand it over: with a group in it and its type chosen. */
static int foreign_container(const char *address, int *group)
{
	int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%d", vm_group(address));
	*group = open(path, O_RDWR | O_CLOEXEC);
	ck_assert(container >= 0 && *group >= 0);
	ck_assert_int_eq(ioctl(*group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	ck_assert_int_eq(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
	return container;
}

START_TEST(a_container_that_serves_already_is_taken_over)
{
	unsigned char *pages = memory(4 * PAGE);
	struct vfio_iommu_type1_dma_map theirs = {
		.argsz = sizeof(theirs),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (uintptr_t)(pages + 3 * PAGE),
		.iova = 0x800000,
		.size = PAGE,
	};
	uint64_t iova = 0x100000, second = 0x200000, taken = theirs.iova, forbidden = MSI_WINDOW;
	struct bed bed = { .ctx = NULL };
	struct edu edu;
	struct vfio_iommu_type1_dma_unmap ours = { .argsz = sizeof(ours), .iova = iova };
	int group, container = foreign_container(NVME, &group);

	ck_assert_int_eq(ioctl(container, VFIO_IOMMU_MAP_DMA, &theirs), 0);
	ok(iommufd_ctx_from_fd(container, NULL, &bed.ctx));
	ck_assert_uint_eq(iommufd_ctx_backend(bed.ctx), IOMMUFD_BACKEND_VFIO);
	ok(iommufd_ioas_new(bed.ctx, &bed.ioas));
	ck_assert_int_eq(iommufd_ioas_ranges(bed.ioas, NULL, 0), 2);
	fails(iommufd_ioas_map(bed.ioas, pages, PAGE, RW | IOMMUFD_MAP_FIXED, &forbidden), -EINVAL, "not permitted");
	/* It goes to the kernel at once, which knows of what is not in the library's index. */
	ok(iommufd_ioas_map(bed.ioas, pages, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	fails(iommufd_ioas_map(bed.ioas, pages, PAGE, RW | IOMMUFD_MAP_FIXED, &taken), -EEXIST,
	      "not made through this IOAS");
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ok(iommufd_ioas_map(bed.ioas, pages + PAGE, PAGE, RW | IOMMUFD_MAP_FIXED, &second));
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, iova, pages, second, pages + PAGE);

	/* The other group stays, so the kernel keeps the mappings. */
	edu_detach(&edu);
	ok(iommufd_ioas_unmap(bed.ioas, second, PAGE, NULL));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ok(iommufd_ioas_map(bed.ioas, pages + PAGE, PAGE, RW | IOMMUFD_MAP_FIXED, &second));
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, iova, pages, second, pages + PAGE);

	/* And when it leaves while ours is there. */
	ck_assert_int_eq(ioctl(group, VFIO_GROUP_UNSET_CONTAINER), 0);
	edu_copy_works(&edu, second, pages + PAGE, iova, pages);
	edu_detach(&edu);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, iova, pages, second, pages + PAGE);

	/* What we mapped goes with our IOAS, though the container stays. */
	ck_assert_int_eq(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	bed_close(&bed);
	ours.size = PAGE;
	ck_assert_int_eq(ioctl(container, VFIO_IOMMU_UNMAP_DMA, &ours), 0);
	ck_assert_uint_eq(ours.size, 0);
	close(group);
	close(container);
}
END_TEST

START_TEST(a_place_that_the_owner_of_the_container_uses_is_passed_over)
{
	unsigned char *pages = memory(4 * PAGE);
	struct vfio_iommu_type1_dma_map theirs = {
		.argsz = sizeof(theirs),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (uintptr_t)pages,
		.size = PAGE,
	};
	struct iommufd_map maps[] = {
		{ .vaddr = pages, .len = PAGE, .flags = RW },
		{ .vaddr = pages + PAGE, .len = PAGE, .flags = RW },
		{ .vaddr = pages, .len = PAGE, .flags = RW | IOMMUFD_MAP_FIXED, .iova = 9 * PAGE }
	};
	struct bed bed = { .ctx = NULL };
	struct iommufd_dma dma;
	struct edu edu;
	int group, container = foreign_container(NVME, &group);

	for (theirs.iova = PAGE; theirs.iova < 40 * PAGE; theirs.iova += PAGE)
		if (theirs.iova != 4 * PAGE) /* a gap, which may be used */
			ck_assert_int_eq(ioctl(container, VFIO_IOMMU_MAP_DMA, &theirs), 0);
	ok(iommufd_ctx_from_fd(container, NULL, &bed.ctx));
	ok(iommufd_ioas_new(bed.ctx, &bed.ioas));
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	edu_setup(&edu, bed.dev);

	/* Who asks for a place gets that one or none, and then nothing is left of the others. */
	fails(iommufd_ioas_map_batch(bed.ioas, maps, 3, NULL), -EEXIST, "nothing was mapped");
	fails(iommufd_ioas_unmap(bed.ioas, 0, 1 << 20, NULL), -ENOENT, "");
	ok(iommufd_ioas_map_batch(bed.ioas, maps, 2, NULL));
	ck_assert_uint_ne(maps[0].iova, maps[1].iova);
	edu_copy_works(&edu, maps[0].iova, pages, maps[1].iova, pages + PAGE);
	ok(iommufd_dma_alloc(bed.ioas, 2 * PAGE, RW, &dma));
	edu_copy_works(&edu, dma.iova, dma.vaddr, dma.iova + PAGE, (char *)dma.vaddr + PAGE);
	iommufd_dma_free(bed.ioas, &dma);
	bed_close(&bed);
	close(group);
	close(container);
}
END_TEST

/* Both ends of a page and another one, by a device that was just attached. */
static void moves_data(struct bed *bed)
{
	struct iommufd_dma dma;
	struct edu edu;

	ok(iommufd_device_attach(bed->dev, bed->ioas));
	edu_setup(&edu, bed->dev);
	ok(iommufd_dma_alloc(bed->ioas, 2 * PAGE, RW, &dma));
	edu_copy_works(&edu, dma.iova, dma.vaddr, dma.iova + PAGE, (char *)dma.vaddr + PAGE);
	iommufd_dma_free(bed->ioas, &dma);
	edu_unmap(&edu);
}

static const char *context_node(void)
{
	return vm_backend == IOMMUFD_BACKEND_IOMMUFD ? "/dev/iommu" : "/dev/vfio/vfio";
}

/* What a privileged process opened serves one that may open nothing. */
START_TEST(a_group_that_somebody_else_opened_is_enough)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = vm_backend };
	struct bed bed = { .ctx = NULL };
	char path[64];
	int node, group;

	snprintf(path, sizeof(path), "/dev/vfio/%d", vm_group(EDU));
	node = open(context_node(), O_RDWR | O_CLOEXEC);
	group = open(path, O_RDWR | O_CLOEXEC);
	ck_assert(node >= 0 && group >= 0);
	vm_become_user(1 << 20);
	ok(iommufd_ctx_from_fd(node, &opts, &bed.ctx));
	fails(iommufd_ctx_add_group(bed.ctx, node), -EINVAL, "open a group's node");
	fails(iommufd_ctx_add_group(bed.ctx, -1), -EBADF, "open one");
	ok(iommufd_ctx_add_group(bed.ctx, group));
	fails(iommufd_ctx_add_group(bed.ctx, group), -EBUSY, "has it open already");
	close(node);
	close(group);
	ok(iommufd_ioas_new(bed.ctx, &bed.ioas));
	for (int i = 0; i < 2; i++) { /* the group stays when its device goes */
		ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
		moves_data(&bed);
		iommufd_device_free(bed.dev);
	}
	fails(iommufd_device_new(bed.ctx, NVME, &bed.dev), -EACCES, "has the mode"); /* that group was not given */
	bed.dev = NULL;
	bed_close(&bed);
}
END_TEST

START_TEST(a_node_that_is_bound_already_is_taken_with_its_iommufd)
{
	struct {
		uint32_t argsz, flags;
		int32_t iommufd;
		uint32_t out_devid;
	} bind = { .argsz = sizeof(bind) };
	struct bed bed = { .ctx = NULL };
	char path[128];
	int device;

	vm_cdev(EDU, path, sizeof(path));
	device = open(path, O_RDWR | O_CLOEXEC);
	bind.iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(ioctl(device, BIND_IOMMUFD, &bind), 0);
	vm_become_user(1 << 20);
	ok(iommufd_ctx_from_fd(bind.iommufd, NULL, &bed.ctx));
	ok(iommufd_ioas_new(bed.ctx, &bed.ioas));
	ok(iommufd_device_from_fd(bed.ctx, device, &bed.dev));
	close(device);
	moves_data(&bed);
	ok(iommufd_device_detach(bed.dev));
	moves_data(&bed);
	bed_close(&bed);
}
END_TEST

void add_adopt_tests(TCase *tc)
{
	if (!vm_path->by_node)
		tcase_add_test(tc, a_group_that_somebody_else_opened_is_enough);
	else
		tcase_add_test(tc, a_node_that_is_bound_already_is_taken_with_its_iommufd);
	if (vm_backend == IOMMUFD_BACKEND_VFIO && !vm_path->compat) {
		tcase_add_test(tc, a_container_that_serves_already_is_taken_over);
		tcase_add_test(tc, a_place_that_the_owner_of_the_container_uses_is_passed_over);
	}
}
