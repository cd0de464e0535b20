/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Groups that are in a container already when they are adopted: who put them there takes them out. */
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vm.h"

#define FIRST  UINT64_C(0x100000)
#define SECOND UINT64_C(0x200000)
#define THIRD  UINT64_C(0x300000)
#define THEIRS UINT64_C(0x800000)

/* What another program hands over: an iommufd or a container, and a group in it. */
struct handed {
	int node, group;
};

static int open_node(void)
{
	int node = open(vm_backend == IOMMUFD_BACKEND_IOMMUFD ? "/dev/iommu" : "/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(node, 0);
	return node;
}

static void place(const struct handed *handed)
{
	ck_assert_int_eq(ioctl(handed->group, VFIO_GROUP_SET_CONTAINER, &handed->node), 0);
}

static void choose_type(const struct handed *handed)
{
	unsigned long type = vm_path->noiommu   ? VFIO_NOIOMMU_IOMMU
			     : vm_path->hide_v2 ? VFIO_TYPE1_IOMMU
						: VFIO_TYPE1v2_IOMMU;

	if (vm_backend == IOMMUFD_BACKEND_VFIO)
		ck_assert_int_eq(ioctl(handed->node, VFIO_SET_IOMMU, type), 0);
}

static void open_both(struct handed *handed, const char *address)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%s%d", vm_path->noiommu ? "noiommu-" : "", vm_group(address));
	handed->node = open_node();
	handed->group = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(handed->group, 0);
}

static void set_up(struct handed *handed, const char *address)
{
	open_both(handed, address);
	place(handed);
	choose_type(handed);
}

static bool placed(const struct handed *handed)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };

	ck_assert_int_eq(ioctl(handed->group, VFIO_GROUP_GET_STATUS, &status), 0);
	return status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET;
}

static void take_out_and_close(const struct handed *handed)
{
	ck_assert(placed(handed));
	ck_assert_int_eq(ioctl(handed->group, VFIO_GROUP_UNSET_CONTAINER), 0);
	close(handed->group);
	close(handed->node);
}

static void adopt(struct bed *bed, int node, int group)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = vm_backend };

	opts.flags = vm_path->noiommu ? IOMMUFD_CTX_NOIOMMU : 0;
	*bed = (struct bed){ .ctx = NULL };
	ok(iommufd_ctx_from_fd(node, &opts, &bed->ctx));
	ok(iommufd_ctx_add_group(bed->ctx, group));
	ok(iommufd_ioas_new(bed->ctx, &bed->ioas));
}

static void map_at(struct bed *bed, void *addr, uint64_t iova)
{
	ok(iommufd_ioas_map(bed->ioas, addr, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
}

/* What is mapped at the first two places is where it should be, where addresses are translated. */
static void copies(struct bed *bed, unsigned char *pages)
{
	struct edu edu;

	edu_setup(&edu, bed->dev);
	if (!vm_path->noiommu)
		edu_copy_works(&edu, FIRST, pages, SECOND, pages + PAGE);
	edu_unmap(&edu);
}

/* Both ends of a page and another one, where addresses are translated. */
static void works(struct bed *bed)
{
	struct iommufd_dma dma;
	struct edu edu;

	edu_setup(&edu, bed->dev);
	if (!vm_path->noiommu) {
		ok(iommufd_dma_alloc(bed->ioas, 2 * PAGE, RW, &dma));
		edu_copy_works(&edu, dma.iova, dma.vaddr, dma.iova + PAGE, (char *)dma.vaddr + PAGE);
		iommufd_dma_free(bed->ioas, &dma);
	}
	edu_unmap(&edu);
}

START_TEST(a_group_is_left_in_the_container_in_which_it_was_handed_over)
{
	struct handed handed;
	struct bed bed;

	set_up(&handed, EDU);
	adopt(&bed, handed.node, handed.group);
	for (int i = 0; i < 3; i++) {
		ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
		ok(iommufd_device_attach(bed.dev, bed.ioas));
		works(&bed);
		ok(iommufd_device_detach(bed.dev));
		ck_assert(placed(&handed));
		ok(iommufd_device_attach(bed.dev, bed.ioas));
		works(&bed);
		iommufd_device_free(bed.dev);
		ck_assert(placed(&handed));
	}
	bed.dev = NULL;
	bed_close(&bed);
	take_out_and_close(&handed);
}
END_TEST

START_TEST(a_group_that_was_handed_over_without_its_container_is_taken_out_again)
{
	unsigned char *pages = memory(2 * PAGE);
	struct handed handed;
	struct bed bed;

	open_both(&handed, EDU);
	adopt(&bed, handed.node, handed.group);
	map_at(&bed, pages, FIRST);
	map_at(&bed, pages + PAGE, SECOND);
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	for (int i = 0; i < 2; i++) {
		place(&handed);
		choose_type(&handed);
		ok(iommufd_device_attach(bed.dev, bed.ioas));
		copies(&bed, pages);
		ok(iommufd_device_detach(bed.dev));
		ck_assert(placed(&handed));
		/* From here on it is in none, so that it is for us to put it there. */
		ck_assert_int_eq(ioctl(handed.group, VFIO_GROUP_UNSET_CONTAINER), 0);
		ok(iommufd_device_attach(bed.dev, bed.ioas));
		copies(&bed, pages);
		ok(iommufd_device_detach(bed.dev));
		ck_assert_int_eq(placed(&handed), vm_backend == IOMMUFD_BACKEND_IOMMUFD);
		if (placed(&handed)) /* on an iommufd it stays until its node is closed */
			ck_assert_int_eq(ioctl(handed.group, VFIO_GROUP_UNSET_CONTAINER), 0);
	}
	bed_close(&bed);
	close(handed.group);
	close(handed.node);
}
END_TEST

START_TEST(a_group_in_another_container_is_refused)
{
	struct handed handed;
	struct iommufd_device *other;
	struct iommufd_ioas *further;
	int node = open_node();
	struct bed bed;

	set_up(&handed, EDU);
	adopt(&bed, node, handed.group);
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	fails(iommufd_device_attach(bed.dev, bed.ioas), -EBUSY, "in another container");
	ck_assert(placed(&handed));
	bed_close(&bed);

	adopt(&bed, handed.node, handed.group);
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	if (vm_backend == IOMMUFD_BACKEND_VFIO) {
		ok(iommufd_ioas_new(bed.ctx, &further));
		fails(iommufd_device_attach(bed.dev, further), -EBUSY, "in another container");
		ok(iommufd_device_new(bed.ctx, NVME, &other)); /* makes it serve, for others */
		ok(iommufd_device_attach(other, further));
		fails(iommufd_device_attach(bed.dev, further), -EBUSY, "in another container");
		iommufd_device_free(other);
		iommufd_ioas_free(further);
	}
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	bed_close(&bed);
	take_out_and_close(&handed);
	close(node);
}
END_TEST

START_TEST(a_group_in_a_container_is_refused_by_a_context_that_has_opened_its_own)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = vm_backend };
	struct bed bed = { .ctx = NULL };
	struct iommufd_device *other;
	struct handed handed;

	set_up(&handed, EDU);
	opts.flags = vm_path->noiommu ? IOMMUFD_CTX_NOIOMMU : 0;
	ok(iommufd_ctx_new(&opts, &bed.ctx));
	ok(iommufd_ctx_add_group(bed.ctx, handed.group));
	ok(iommufd_ioas_new(bed.ctx, &bed.ioas));
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	fails(iommufd_device_attach(bed.dev, bed.ioas), -EBUSY, "in another container");
	ok(iommufd_device_new(bed.ctx, NVME, &other)); /* makes it serve, for others */
	ok(iommufd_device_attach(other, bed.ioas));
	fails(iommufd_device_attach(bed.dev, bed.ioas), -EBUSY, "in another container");
	ck_assert(placed(&handed));
	iommufd_device_free(other);
	bed_close(&bed);
	take_out_and_close(&handed);
}
END_TEST

/* As this library leaves one behind, without a compat IOAS. */
START_TEST(a_group_on_another_iommufd_is_refused_also_where_that_one_attaches_devices_to_nothing)
{
	struct handed handed;
	struct bed first, bed;
	int node = open_node();

	open_both(&handed, EDU);
	adopt(&first, handed.node, handed.group);
	ok(iommufd_device_new(first.ctx, EDU, &first.dev));
	ok(iommufd_device_attach(first.dev, first.ioas));
	bed_close(&first);

	adopt(&bed, node, handed.group);
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	fails(iommufd_device_attach(bed.dev, bed.ioas), -EBUSY, "in another container");
	ck_assert(placed(&handed));
	ck_assert_int_eq(ioctl(handed.group, VFIO_GROUP_UNSET_CONTAINER), 0);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	works(&bed);
	bed_close(&bed);
	take_out_and_close(&handed);
	close(node);
}
END_TEST

/* ---- With a container's mappings ---- */

static int try_to_map(const struct handed *handed, void *addr, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (uintptr_t)addr,
		.iova = iova,
		.size = PAGE,
	};

	return ioctl(handed->node, VFIO_IOMMU_MAP_DMA, &map) ? -errno : 0;
}

static bool mapped(const struct handed *handed, void *page, uint64_t iova)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = iova, .size = PAGE };
	int ret = try_to_map(handed, page, iova);

	if (ret == -EEXIST)
		return true;
	ck_assert_int_eq(ret, 0);
	ck_assert_int_eq(ioctl(handed->node, VFIO_IOMMU_UNMAP_DMA, &unmap), 0);
	return false;
}

START_TEST(what_is_mapped_into_a_container_that_was_handed_over_stays_until_it_is_unmapped_or_the_ioas_is_freed)
{
	unsigned char *pages = memory(4 * PAGE);
	struct handed handed;
	struct bed bed;
	struct edu edu;

	set_up(&handed, EDU);
	ck_assert_int_eq(try_to_map(&handed, pages + 3 * PAGE, THEIRS), 0);
	adopt(&bed, handed.node, handed.group);
	map_at(&bed, pages, FIRST);
	ck_assert(mapped(&handed, pages, FIRST));
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	map_at(&bed, pages + PAGE, SECOND);
	copies(&bed, pages);
	ok(iommufd_device_detach(bed.dev));
	ck_assert(mapped(&handed, pages, FIRST));
	ok(iommufd_ioas_unmap(bed.ioas, SECOND, PAGE, NULL));
	ck_assert(!mapped(&handed, pages, SECOND));
	map_at(&bed, pages + 2 * PAGE, THIRD);
	ck_assert(mapped(&handed, pages, THIRD));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, THIRD, pages + 2 * PAGE, FIRST, pages);

	iommufd_device_free(bed.dev);
	bed.dev = NULL;
	bed_close(&bed);
	ck_assert(!mapped(&handed, pages, FIRST));
	ck_assert(!mapped(&handed, pages, THIRD));
	ck_assert(mapped(&handed, pages, THEIRS));
	take_out_and_close(&handed);
}
END_TEST

START_TEST(a_container_that_was_handed_over_without_a_type_gets_one_and_what_was_mapped)
{
	unsigned char *pages = memory(2 * PAGE);
	struct handed handed;
	struct bed bed;

	open_both(&handed, EDU);
	place(&handed);
	adopt(&bed, handed.node, handed.group);
	map_at(&bed, pages, FIRST);
	map_at(&bed, pages + PAGE, SECOND);
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	for (int i = 0; i < 2; i++) {
		ok(iommufd_device_attach(bed.dev, bed.ioas));
		copies(&bed, pages);
		ok(iommufd_device_detach(bed.dev));
		ck_assert(mapped(&handed, pages, FIRST));
	}
	bed_close(&bed);
	ck_assert(!mapped(&handed, pages, FIRST));
	ck_assert(!mapped(&handed, pages, SECOND));
	take_out_and_close(&handed);
}
END_TEST

START_TEST(mappings_that_do_not_fit_keep_it_out_and_leave_nothing_in_the_container)
{
	unsigned char *pages = memory(2 * PAGE);
	struct handed handed;
	struct bed bed;

	open_both(&handed, EDU);
	adopt(&bed, handed.node, handed.group);
	map_at(&bed, pages, FIRST);
	map_at(&bed, pages + PAGE, THEIRS);
	place(&handed);
	choose_type(&handed);
	ck_assert_int_eq(try_to_map(&handed, pages, THEIRS), 0);
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	fails(iommufd_device_attach(bed.dev, bed.ioas), -EEXIST, "at IOVA 0x800000 cannot be made");
	ck_assert(placed(&handed));
	ck_assert(!mapped(&handed, pages, FIRST));
	ok(iommufd_ioas_unmap(bed.ioas, THEIRS, PAGE, NULL));
	ck_assert(mapped(&handed, pages, THEIRS));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ck_assert(mapped(&handed, pages, FIRST));
	bed_close(&bed);
	ck_assert(!mapped(&handed, pages, FIRST));
	take_out_and_close(&handed);
}
END_TEST

/* ---- With another device of the group in use ---- */

START_TEST(a_device_works_beside_one_that_who_handed_the_group_over_uses)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct handed handed;
	struct bed bed;
	int theirs;

	set_up(&handed, TWIN_A);
	theirs = ioctl(handed.group, VFIO_GROUP_GET_DEVICE_FD, TWIN_A);
	ck_assert_int_ge(theirs, 0);
	adopt(&bed, handed.node, handed.group);
	ok(iommufd_device_new(bed.ctx, TWIN_B, &bed.dev));
	if (vm_backend == IOMMUFD_BACKEND_IOMMUFD) { /* whose IOAS is the compat one, and a group has one */
		fails(iommufd_device_attach(bed.dev, bed.ioas), -EINVAL, "attached to another address space");
	} else {
		for (int i = 0; i < 2; i++) {
			ok(iommufd_device_attach(bed.dev, bed.ioas));
			works(&bed);
			ok(iommufd_device_detach(bed.dev));
		}
	}
	ck_assert_int_eq(ioctl(theirs, VFIO_DEVICE_GET_INFO, &info), 0);
	bed_close(&bed);
	ck_assert_int_eq(ioctl(theirs, VFIO_DEVICE_GET_INFO, &info), 0);
	close(theirs);
	take_out_and_close(&handed);
}
END_TEST

void add_handed_tests(TCase *tc)
{
	if (vm_path->by_node)
		return;
	tcase_add_test(tc, a_group_is_left_in_the_container_in_which_it_was_handed_over);
	tcase_add_test(tc, a_group_that_was_handed_over_without_its_container_is_taken_out_again);
	if (vm_backend == IOMMUFD_BACKEND_VFIO || !vm_path->noiommu) /* else nothing of the iommufd is used */
		tcase_add_test(tc, a_group_in_another_container_is_refused);
	if (!vm_path->noiommu)
		tcase_add_test(tc, a_device_works_beside_one_that_who_handed_the_group_over_uses);
	if (vm_backend == IOMMUFD_BACKEND_IOMMUFD && !vm_path->noiommu)
		tcase_add_test(tc,
			       a_group_on_another_iommufd_is_refused_also_where_that_one_attaches_devices_to_nothing);
	if (vm_backend != IOMMUFD_BACKEND_VFIO)
		return;
	tcase_add_test(tc, a_group_in_a_container_is_refused_by_a_context_that_has_opened_its_own);
	if (vm_path->noiommu)
		return;
	tcase_add_test(
		tc,
		what_is_mapped_into_a_container_that_was_handed_over_stays_until_it_is_unmapped_or_the_ioas_is_freed);
	tcase_add_test(tc, a_container_that_was_handed_over_without_a_type_gets_one_and_what_was_mapped);
	tcase_add_test(tc, mappings_that_do_not_fit_keep_it_out_and_leave_nothing_in_the_container);
}
