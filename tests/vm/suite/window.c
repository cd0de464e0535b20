/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What can be mapped of a region and where; memory decode. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "vm.h"

#define RW_PROT (PROT_READ | PROT_WRITE)

enum {
	COMMAND = 0x04,
	COMMAND_MEMORY = 0x02,
};

static int event(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static struct iommufd_region_info info_of(struct iommufd_device *dev, uint32_t index)
{
	struct iommufd_region_info info = { .struct_size = sizeof(info) };

	ok(iommufd_device_region_info(dev, index, &info));
	return info;
}

/* ---- What can be mapped ---- */

START_TEST(a_bar_can_be_mapped_from_its_begin_to_its_end)
{
	struct iommufd_range areas[2] = { { 1, 2 }, { 3, 4 } };
	struct iommufd_region_info info;
	struct bed bed;

	bed_attach(&bed, EDU);
	info = info_of(bed.dev, IOMMUFD_PCI_BAR0);
	ck_assert_int_eq(iommufd_device_region_areas(bed.dev, IOMMUFD_PCI_BAR0, NULL, 0), 1);
	ck_assert_int_eq(iommufd_device_region_areas(bed.dev, IOMMUFD_PCI_BAR0, areas, 2), 1);
	ck_assert_uint_eq(areas[0].start, 0);
	ck_assert_uint_eq(areas[0].last, info.size - 1);
	ck_assert_uint_eq(areas[1].start, 3);
	ck_assert_int_eq(iommufd_device_region_areas(bed.dev, IOMMUFD_PCI_CONFIG, areas, 2), 0);
	ck_assert_int_eq(iommufd_device_region_areas(bed.dev, IOMMUFD_PCI_BAR1, areas, 2), 0);
	fails(iommufd_device_region_areas(bed.dev, 9, areas, 2), -EINVAL, "num_regions");
	bed_close(&bed);
}
END_TEST

/* The drive has its MSI-X table in the BAR with its registers, and so the kernel says of that BAR what it thinks. */
START_TEST(the_page_with_the_msix_table_can_be_mapped)
{
	struct iommufd_region_info info;
	struct bed bed;

	bed_attach(&bed, NVME);
	info = info_of(bed.dev, IOMMUFD_PCI_BAR0);
	ck_assert_uint_eq(info.flags, IOMMUFD_REGION_READ | IOMMUFD_REGION_WRITE | IOMMUFD_REGION_MMAP |
					      IOMMUFD_REGION_MSIX_MAPPABLE);
	ck_assert_uint_eq(info.type, 0);
	ck_assert_uint_eq(info.subtype, 0);
	bed_close(&bed);
}
END_TEST

START_TEST(a_whole_region_is_mapped_at_once)
{
	uint64_t size;
	void *all = NULL, *part;
	struct bed bed;
	uint32_t word;

	bed_attach(&bed, EDU);
	size = info_of(bed.dev, IOMMUFD_PCI_BAR0).size;
	ok(iommufd_device_region_map_all(bed.dev, IOMMUFD_PCI_BAR0, RW_PROT, &all));
	ok(iommufd_device_region_map(bed.dev, IOMMUFD_PCI_BAR0, 0, PAGE, RW_PROT, &part));
	iommufd_mmio_write32((char *)all + EDU_LIVENESS, 0x12345678);
	ck_assert_uint_eq(iommufd_mmio_read32((char *)part + EDU_LIVENESS), ~0x12345678u);
	ok(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_BAR0, size - 4, &word, 4));
	ck_assert_uint_eq(iommufd_mmio_read32((char *)all + size - 4), word);
	ok(iommufd_device_region_unmap(bed.dev, all));
	ck_assert_int_eq(msync((char *)all + size - PAGE, PAGE, MS_ASYNC), -1);
	fails(iommufd_device_region_unmap(bed.dev, all), -ENOENT, "region_map");

	all = NULL;
	fails(iommufd_device_region_map_all(bed.dev, IOMMUFD_PCI_CONFIG, PROT_READ, &all), -EOPNOTSUPP,
	      "iommufd_device_region_read()");
	fails(iommufd_device_region_map_all(bed.dev, IOMMUFD_PCI_BAR1, PROT_READ, &all), -ERANGE, "no such region");
	fails(iommufd_device_region_map_all(bed.dev, IOMMUFD_PCI_BAR0, PROT_EXEC, &all), -EINVAL, "PROT_READ");
	fails(iommufd_device_region_map_all(bed.dev, 9, PROT_READ, &all), -EINVAL, "num_regions");
	ck_assert_ptr_null(all);
	ok(iommufd_device_region_map_all(bed.dev, IOMMUFD_PCI_BAR0, RW_PROT, &all));
	bed_close(&bed);
	ck_assert_int_eq(msync(all, PAGE, MS_ASYNC), -1);
}
END_TEST

/* ---- Memory decode ---- */

static void decode_memory(struct bed *bed, bool on)
{
	uint16_t command;

	ok(iommufd_pci_config_read(bed->dev, COMMAND, &command, sizeof(command)));
	command = (uint16_t)(on ? command | COMMAND_MEMORY : command & ~COMMAND_MEMORY);
	ok(iommufd_pci_config_write(bed->dev, COMMAND, &command, sizeof(command)));
}

static sigjmp_buf back;

static void jump_back(int signal)
{
	(void)signal;
	siglongjmp(back, 1);
}

/* Whether an access by the caller ends in SIGBUS. */
static bool dies(const void *addr)
{
	struct sigaction action = { .sa_handler = jump_back }, old;
	volatile bool died = true;

	ck_assert_int_eq(sigaction(SIGBUS, &action, &old), 0);
	if (!sigsetjmp(back, 1)) {
		iommufd_mmio_read32(addr);
		died = false;
	}
	ck_assert_int_eq(sigaction(SIGBUS, &old, NULL), 0);
	return died;
}

START_TEST(while_memory_is_disabled_calls_fail_in_words_and_no_call_dies)
{
	uint32_t word = 0x01020304;
	int fd = event();
	struct bed bed;
	void *bar, *all;

	bed_attach(&bed, NVME);
	ok(iommufd_device_region_map(bed.dev, IOMMUFD_PCI_BAR0, 0, PAGE, RW_PROT, &bar));
	ck_assert(!dies(bar));
	decode_memory(&bed, false);
	ck_assert(dies(bar));
	fails(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_BAR0, 0, &word, 4), -EIO, "memory may be disabled");
	fails(iommufd_device_region_write(bed.dev, IOMMUFD_PCI_BAR0, 0x28, &word, 4), -EIO, "memory may be disabled");
	ck_assert_uint_eq(word, 0x01020304);
	/* What goes without it goes on, also what needs it for a moment: the kernel then enables it. */
	ok(iommufd_device_region_map_all(bed.dev, IOMMUFD_PCI_BAR0, RW_PROT, &all));
	ck_assert(dies(all));
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 0, 1, &fd));
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 1, 1, &fd));
	ok(iommufd_device_irq_trigger(bed.dev, IOMMUFD_PCI_MSIX, 0, 1));
	ok(iommufd_device_irq_disable(bed.dev, IOMMUFD_PCI_MSIX));
	ok(iommufd_device_region_unmap(bed.dev, all));

	decode_memory(&bed, true);
	ck_assert(!dies(bar));
	decode_memory(&bed, false);
	ok(iommufd_device_detach(bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	bed_close(&bed);
}
END_TEST

void add_window_tests(TCase *tc)
{
	tcase_add_test(tc, a_bar_can_be_mapped_from_its_begin_to_its_end);
	tcase_add_test(tc, the_page_with_the_msix_table_can_be_mapped);
	tcase_add_test(tc, a_whole_region_is_mapped_at_once);
	tcase_add_test(tc, while_memory_is_disabled_calls_fail_in_words_and_no_call_dies);
}
