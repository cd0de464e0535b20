/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What only an Arm SMMUv3 has: its registers, and page tables of the second stage. */
#include <glob.h>

#include "vm.h"

/* Fields of its registers. */
#define IDR0_S2P              (1u << 0)
#define IDR0_S1P              (1u << 1)
#define IDR0_TTF(idr0)        ((idr0) >> 2 & 3)
#define TTF_AARCH64           2u
#define IDR5_OAS(idr5)        ((idr5)&7)
#define IDR5_GRAN4K           (1u << 4)
#define FIRST_STAGE_LAST_IOVA ((UINT64_C(1) << 48) - 1)

static void open_smmu(struct bed *bed, struct iommufd_hw_smmuv3 *smmu)
{
	*smmu = (struct iommufd_hw_smmuv3){ .struct_size = sizeof(*smmu) };
	bed_open_device(bed, EDU);
	ok(iommufd_device_hw_smmuv3(bed->dev, smmu));
}

/* The last physical address, which is also the last one that the second stage translates. */
static uint64_t last_physical(const struct iommufd_hw_smmuv3 *smmu)
{
	static const unsigned int bits[] = { 32, 36, 40, 42, 44, 48, 52, 56 };

	return (UINT64_C(1) << bits[IDR5_OAS(smmu->idr[5])]) - 1;
}

static uint64_t last_iova(struct iommufd_ioas *ioas)
{
	struct iommufd_range ranges[16];
	int count = ok(iommufd_ioas_ranges(ioas, ranges, 16));

	ck_assert_int_le(count, 16);
	return ranges[count - 1].last;
}

START_TEST(an_smmuv3_tells_its_registers_before_any_address_space)
{
	struct iommufd_hw_info info = { .struct_size = sizeof(info) };
	struct iommufd_hw_amd amd = { .struct_size = sizeof(amd) };
	struct {
		uint32_t flags, reserved, idr[6], iidr, aidr;
	} raw;
	struct iommufd_hw_smmuv3 smmu;
	struct bed bed;

	open_smmu(&bed, &smmu);
	ok(iommufd_device_hw_info(bed.dev, &info, &raw, sizeof(raw)));
	ck_assert_uint_eq(info.type, IOMMUFD_HW_SMMUV3);
	ck_assert_uint_eq(info.data_len, sizeof(raw));
	ck_assert_mem_eq(smmu.idr, raw.idr, sizeof(raw.idr));
	ck_assert_uint_eq(smmu.iidr, raw.iidr);
	ck_assert_uint_eq(smmu.aidr, raw.aidr);
	ck_assert_uint_eq(smmu.flags, raw.flags);
	ck_assert_uint_eq(smmu.idr[0] & (IDR0_S1P | IDR0_S2P), IDR0_S1P | IDR0_S2P);
	ck_assert_uint_eq(IDR0_TTF(smmu.idr[0]), TTF_AARCH64);
	ck_assert_uint_ne(smmu.idr[5] & IDR5_GRAN4K, 0);
	fails(iommufd_device_hw_amd(bed.dev, &amd), -EOPNOTSUPP, "not an AMD IOMMU");
	bed_close(&bed);
}
END_TEST

/* That it is the second stage shows in the addresses: they are as wide as physical ones, in the first 48 bits. */
START_TEST(a_nest_parent_is_of_the_second_stage_and_a_device_does_dma_through_it)
{
	struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts), .flags = IOMMUFD_HWPT_NEST_PARENT };
	unsigned char *pages = memory(2 * PAGE);
	struct iommufd_hw_smmuv3 smmu;
	struct iommufd_hwpt *parent;
	uint64_t from, to;
	struct bed bed;
	struct edu edu;

	open_smmu(&bed, &smmu);
	ck_assert_uint_lt(last_physical(&smmu), FIRST_STAGE_LAST_IOVA);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ck_assert_uint_eq(last_iova(bed.ioas), FIRST_STAGE_LAST_IOVA);
	ok(iommufd_device_detach(bed.dev));

	ok(iommufd_hwpt_new(bed.dev, bed.ioas, &opts, &parent));
	ok(iommufd_device_attach_hwpt(bed.dev, parent));
	ck_assert_uint_eq(last_iova(bed.ioas), last_physical(&smmu));
	ok(iommufd_ioas_map(bed.ioas, pages, PAGE, IOMMUFD_MAP_READ, &from));
	ok(iommufd_ioas_map(bed.ioas, pages + PAGE, PAGE, RW, &to));
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, from, pages, to, pages + PAGE);

	ok(iommufd_ioas_unmap(bed.ioas, from, PAGE, NULL));
	vm_expect_fault(EDU, from);
	edu_read_memory(&edu, from, EDU_CHUNK);
	iommufd_hwpt_free(parent);
	bed_close(&bed);
	munmap(pages, 2 * PAGE);
}
END_TEST

START_TEST(a_nest_parent_is_nothing_else_besides)
{
	static const uint32_t besides[] = { IOMMUFD_HWPT_DIRTY, IOMMUFD_HWPT_PASID };
	struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts) };
	struct iommufd_hwpt *hwpt = NULL;
	struct bed bed;

	bed_open_device(&bed, EDU);
	for (size_t i = 0; i < sizeof(besides) / sizeof(besides[0]); i++) {
		opts.flags = IOMMUFD_HWPT_NEST_PARENT | besides[i];
		fails(iommufd_hwpt_new(bed.dev, bed.ioas, &opts, &hwpt), -EOPNOTSUPP, "page table");
	}
	ck_assert_ptr_null(hwpt);
	bed_close(&bed);
}
END_TEST

bool vm_behind_smmuv3(void)
{
	glob_t found;
	bool there = !glob("/sys/class/iommu/smmu3.*", 0, NULL, &found);

	globfree(&found);
	return there;
}

void add_smmuv3_tests(TCase *tc)
{
	if (!vm_path->by_node || !vm_behind_smmuv3())
		return;
	tcase_add_test(tc, an_smmuv3_tells_its_registers_before_any_address_space);
	tcase_add_test(tc, a_nest_parent_is_of_the_second_stage_and_a_device_does_dma_through_it);
	tcase_add_test(tc, a_nest_parent_is_nothing_else_besides);
}
