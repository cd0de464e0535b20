/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Page tables and what an IOMMU tells of itself, on emulated hardware. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "vm.h"

#define VTD_CAP_WIDTH(cap) (((cap) >> 16 & 0x3f) + 1) /* maximum guest address width */

START_TEST(an_intel_iommu_tells_its_registers_before_any_address_space)
{
	struct iommufd_hw_info info = { .struct_size = sizeof(info) };
	struct iommufd_hw_vtd vtd = { .struct_size = sizeof(vtd) };
	uint64_t raw[3];
	struct bed bed;

	bed_open_device(&bed, EDU);
	iommufd_ioas_free(bed.ioas);
	bed.ioas = NULL;
	ck_assert_uint_gt(iommufd_device_id(bed.dev), 0);
	ok(iommufd_device_hw_info(bed.dev, &info, raw, sizeof(raw)));
	if (info.type == IOMMUFD_HW_VTD) {
		ok(iommufd_device_hw_vtd(bed.dev, &vtd));
		ck_assert_uint_eq(vtd.cap, raw[1]);
		ck_assert_uint_eq(vtd.ecap, raw[2]);
		ck_assert_uint_ge(VTD_CAP_WIDTH(vtd.cap), 39);
		ck_assert_uint_eq(info.data_len, sizeof(raw));
	} else {
		fails(iommufd_device_hw_vtd(bed.dev, &vtd), -EOPNOTSUPP, "not Intel VT-d");
	}
	/* QEMU's IOMMUs note nothing, and its devices have no PASIDs. */
	ck_assert_uint_eq(info.capabilities & IOMMUFD_HW_CAN_DIRTY, 0);
	ck_assert_uint_eq(info.pasid_bits, 0);
	bed_close(&bed);
}
END_TEST

START_TEST(a_device_without_a_number_has_neither_iommu_nor_page_table)
{
	struct iommufd_hw_info info = { .struct_size = sizeof(info) };
	struct iommufd_hw_vtd vtd = { .struct_size = sizeof(vtd) };
	struct iommufd_hw_smmuv3 smmuv3 = { .struct_size = sizeof(smmuv3) };
	struct iommufd_hw_amd amd = { .struct_size = sizeof(amd) };
	struct iommufd_hwpt *hwpt = NULL;
	struct iommufd_device *dev = NULL;
	struct iommufd_faultq *faultq = NULL;
	const char *words = vm_backend == IOMMUFD_BACKEND_VFIO ? "use the backend iommufd" : "by its own node";
	struct bed bed;

	bed_attach(&bed, EDU);
	ck_assert_uint_eq(iommufd_device_id(bed.dev), 0);
	fails(iommufd_device_hw_info(bed.dev, &info, NULL, 0), -EOPNOTSUPP, words);
	fails(iommufd_hwpt_new(bed.dev, bed.ioas, NULL, &hwpt), -EOPNOTSUPP, words);
	fails(iommufd_device_pasid_attach(bed.dev, 1, bed.ioas, NULL), -EOPNOTSUPP, words);
	fails(iommufd_device_pasid_replace(bed.dev, 1, bed.ioas, NULL), -EOPNOTSUPP, words);
	fails(iommufd_device_pasid_detach(bed.dev, 1), -ENOTCONN, "attach it first");
	fails(iommufd_device_hw_vtd(bed.dev, &vtd), -EOPNOTSUPP, words);
	fails(iommufd_device_hw_smmuv3(bed.dev, &smmuv3), -EOPNOTSUPP, words);
	fails(iommufd_device_hw_amd(bed.dev, &amd), -EOPNOTSUPP, words);
	ck_assert_ptr_null(hwpt);
	if (vm_backend == IOMMUFD_BACKEND_VFIO) {
		fails(iommufd_device_from_id(bed.ctx, 1, NULL, &dev), -EOPNOTSUPP, words);
		fails(iommufd_faultq_new(bed.ctx, &faultq), -EOPNOTSUPP, words);
	}
	ck_assert(!dev && !faultq);
	bed_close(&bed);
}
END_TEST

START_TEST(a_device_does_dma_through_a_page_table_that_was_made_for_it)
{
	unsigned char *from = memory(PAGE), *to = memory(PAGE);
	uint64_t from_iova, to_iova;
	struct iommufd_hwpt *hwpt;
	struct edu edu;
	struct bed bed;

	bed_open_device(&bed, EDU);
	ok(iommufd_ioas_map(bed.ioas, from, PAGE, IOMMUFD_MAP_READ, &from_iova));
	ok(iommufd_hwpt_new(bed.dev, bed.ioas, NULL, &hwpt));
	ok(iommufd_ioas_map(bed.ioas, to, PAGE, RW, &to_iova));
	ok(iommufd_device_attach_hwpt(bed.dev, hwpt));
	iommufd_hwpt_free(hwpt);
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, from_iova, from, to_iova, to);
	bed_close(&bed);
	munmap(to, PAGE);
	munmap(from, PAGE);
}
END_TEST

START_TEST(what_the_hardware_lacks_is_said)
{
	struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts), .flags = IOMMUFD_HWPT_DIRTY };
	struct iommufd_hwpt *hwpt = NULL;
	struct bed bed;

	bed_open_device(&bed, EDU);
	fails(iommufd_hwpt_new(bed.dev, bed.ioas, &opts, &hwpt), -EOPNOTSUPP, "does not track dirty pages");
	opts.flags = IOMMUFD_HWPT_NEST_PARENT;
	fails(iommufd_hwpt_new(bed.dev, bed.ioas, &opts, &hwpt), -EOPNOTSUPP, "leave IOMMUFD_HWPT_NEST_PARENT out");
	fails(iommufd_device_pasid_attach(bed.dev, 1, bed.ioas, NULL), -EOPNOTSUPP, "PASID");
	ck_assert_ptr_null(hwpt);
	bed_close(&bed);
}
END_TEST

START_TEST(all_devices_of_a_group_are_attached_to_the_same_page_table)
{
	struct iommufd_hwpt *one, *two;
	struct iommufd_device *sibling;
	struct bed bed;

	bed_open_device(&bed, TWIN_A);
	ok(iommufd_device_new(bed.ctx, TWIN_B, &sibling));
	ok(iommufd_hwpt_new(bed.dev, bed.ioas, NULL, &one));
	ok(iommufd_hwpt_new(bed.dev, bed.ioas, NULL, &two));
	ok(iommufd_device_attach_hwpt(bed.dev, one));
	fails(iommufd_device_attach_hwpt(sibling, two), -EBUSY, "another page table");
	fails(iommufd_device_attach(sibling, bed.ioas), -EBUSY, "another");
	ok(iommufd_device_attach_hwpt(sibling, one));
	fails(iommufd_device_replace_hwpt(sibling, two), -EBUSY, "moves as a whole");
	ok(iommufd_device_detach(bed.dev));
	ok(iommufd_device_replace_hwpt(sibling, two));
	iommufd_device_free(sibling);
	iommufd_hwpt_free(two);
	iommufd_hwpt_free(one);
	bed_close(&bed);
}
END_TEST

/* ---- DMA that goes on while the device is moved ---- */

#define FROM   UINT64_C(0x100000)
#define TO     UINT64_C(0x200000)
#define ROUNDS 25u
#define TRIES  50u

/* The device that does DMA goes between an IOAS and a page table of another; each has a further device, that stays. */
struct mover {
	struct bed bed;
	struct iommufd_device *there, *here;
	struct iommufd_ioas *other;
	struct iommufd_hwpt *hwpt;
	unsigned char *from, *to;
	pthread_t thread;
	atomic_bool stop;
	unsigned long moves;
	int error;
};

static void *keep_moving(void *arg)
{
	struct mover *mover = arg;

	while (!mover->stop && !mover->error)
		mover->error = ++mover->moves % 2 ? iommufd_device_replace_hwpt(mover->bed.dev, mover->hwpt)
						  : iommufd_device_replace(mover->bed.dev, mover->bed.ioas);
	return NULL;
}

static void map_both(struct mover *mover, struct iommufd_ioas *ioas)
{
	uint64_t from = FROM, to = TO;

	ok(iommufd_ioas_map(ioas, mover->from, PAGE, RW | IOMMUFD_MAP_FIXED, &from));
	ok(iommufd_ioas_map(ioas, mover->to, PAGE, RW | IOMMUFD_MAP_FIXED, &to));
}

static void start_moving(struct mover *mover)
{
	*mover = (struct mover){ .from = memory(PAGE), .to = memory(PAGE) };
	bed_attach(&mover->bed, EDU);
	ok(iommufd_ioas_new(mover->bed.ctx, &mover->other));
	map_both(mover, mover->bed.ioas);
	map_both(mover, mover->other);
	ok(iommufd_device_new(mover->bed.ctx, TWIN_A, &mover->here));
	ok(iommufd_device_attach(mover->here, mover->bed.ioas));
	ok(iommufd_device_new(mover->bed.ctx, NVME, &mover->there));
	ok(iommufd_hwpt_new(mover->there, mover->other, NULL, &mover->hwpt));
	ok(iommufd_device_attach_hwpt(mover->there, mover->hwpt));
	ck_assert_int_eq(pthread_create(&mover->thread, NULL, keep_moving, mover), 0);
}

static void stop_moving(struct mover *mover)
{
	mover->stop = true;
	pthread_join(mover->thread, NULL);
	ok(mover->error);
	ck_assert_uint_gt(mover->moves, ROUNDS);
	iommufd_device_free(mover->there);
	iommufd_device_free(mover->here);
	iommufd_hwpt_free(mover->hwpt);
	iommufd_ioas_free(mover->other);
	bed_close(&mover->bed);
	munmap(mover->to, PAGE);
	munmap(mover->from, PAGE);
}

/* From memory into the device and back, elsewhere; how many bytes are not what they should be. */
static unsigned int lost_in_transfer(struct mover *mover, struct edu *edu, unsigned int seed)
{
	unsigned int wrong = 0;

	for (size_t i = 0; i < EDU_CHUNK; i++)
		mover->from[i] = (unsigned char)(i * 7 + seed * 31 + 1);
	memset(mover->to, 0, EDU_CHUNK);
	edu_read_memory(edu, FROM, EDU_CHUNK);
	edu_write_memory(edu, TO, EDU_CHUNK);
	for (size_t i = 0; i < EDU_CHUNK; i++)
		wrong += mover->from[i] != mover->to[i];
	return wrong;
}

START_TEST(no_byte_is_lost_while_a_device_at_work_is_moved)
{
	struct mover mover;
	struct edu edu;

	start_moving(&mover);
	edu_setup(&edu, mover.bed.dev);
	for (unsigned int round = 0; round < ROUNDS; round++)
		ck_assert_uint_eq(lost_in_transfer(&mover, &edu, round), 0);
	printf("# %u bytes each way, %lu moves of the device meanwhile, none wrong\n", ROUNDS * EDU_CHUNK, mover.moves);
	fflush(stdout);
	stop_moving(&mover);
}
END_TEST

/*
 * As their drivers for Linux have it, Intel's IOMMU and Arm's SMMUv3 let nothing through for a moment; the device
 * has to try again.
 */
START_TEST(a_transfer_that_a_move_has_hit_succeeds_when_it_is_made_again)
{
	unsigned int hit = 0, tries = 0;
	struct mover mover;
	struct edu edu;

	vm_expect_kernel("DMAR: DRHD: handling fault status reg|DMAR: \\[DMA .* fault addr 0x[12]00... |"
			 "event: C_BAD_CD client: " EDU " ");
	start_moving(&mover);
	edu_setup(&edu, mover.bed.dev);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		for (tries = 0; tries < TRIES && lost_in_transfer(&mover, &edu, round); tries++)
			hit++;
		ck_assert_uint_lt(tries, TRIES);
	}
	printf("# %u bytes each way, %lu moves of the device meanwhile, %u transfers made again\n", ROUNDS * EDU_CHUNK,
	       mover.moves, hit);
	fflush(stdout);
	stop_moving(&mover);
}
END_TEST

static bool behind_intel(void)
{
	return !access("/sys/bus/pci/devices/" EDU "/iommu/intel-iommu", F_OK);
}

void add_hwpt_tests(TCase *tc)
{
	if (!vm_path->by_node) {
		tcase_add_test(tc, a_device_without_a_number_has_neither_iommu_nor_page_table);
		return;
	}
	tcase_add_test(tc, an_intel_iommu_tells_its_registers_before_any_address_space);
	tcase_add_test(tc, a_device_does_dma_through_a_page_table_that_was_made_for_it);
	tcase_add_test(tc, what_the_hardware_lacks_is_said);
	tcase_add_test(tc, all_devices_of_a_group_are_attached_to_the_same_page_table);
	if (behind_intel() || vm_behind_smmuv3())
		tcase_add_test(tc, a_transfer_that_a_move_has_hit_succeeds_when_it_is_made_again);
	else
		tcase_add_test(tc, no_byte_is_lost_while_a_device_at_work_is_moved);
}
