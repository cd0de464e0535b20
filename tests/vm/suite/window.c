/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What can be mapped of a region and where; memory decode; what the kernel writes when an eventfd is signalled. */
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
	int fd = event(), bell = event();
	struct bed bed;
	void *bar, *all;

	bed_attach(&bed, NVME);
	ok(iommufd_device_region_map(bed.dev, IOMMUFD_PCI_BAR0, 0, PAGE, RW_PROT, &bar));
	ok(iommufd_device_ioeventfd_add(bed.dev, IOMMUFD_PCI_BAR0, 0x28, 4, 0x5000, bell));
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
	ck_assert_int_eq(write(bell, &(uint64_t){ 1 }, 8), 8);
	ok(iommufd_device_region_unmap(bed.dev, all));

	decode_memory(&bed, true);
	ck_assert(!dies(bar));
	ok(iommufd_device_region_read(bed.dev, IOMMUFD_PCI_BAR0, 0x28, &word, 4));
	ck_assert_uint_ne(word, 0x5000);
	decode_memory(&bed, false);
	ok(iommufd_device_region_unmap(bed.dev, bar));
	ok(iommufd_device_detach(bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	bed_close(&bed);
}
END_TEST

/* ---- Writes by eventfd ---- */

/* The kernel writes while the eventfd is signalled, or soon, from another thread of its own. */
static void rings(struct bed *bed, int bell, uint64_t offset, uint32_t width, uint64_t value)
{
	uint64_t now = ~value;

	ok(iommufd_device_region_write(bed->dev, IOMMUFD_PCI_BAR0, offset, &now, width));
	ck_assert_int_eq(write(bell, &(uint64_t){ 1 }, 8), 8);
	for (int i = 0; i < 2000; i++) {
		now = 0;
		ok(iommufd_device_region_read(bed->dev, IOMMUFD_PCI_BAR0, offset, &now, width));
		if (now == value)
			return;
		usleep(10000);
	}
	ck_abort_msg("at 0x%lx there is 0x%lx, not 0x%lx", (unsigned long)offset, (unsigned long)now,
		     (unsigned long)value);
}

/* Where the drive keeps the address of a queue: plain storage, of which the lowest 12 bits are none. */
#define STORAGE 0x28

START_TEST(the_kernel_writes_when_an_eventfd_is_signalled)
{
	int bell = event(), other = event();
	struct bed bed;

	bed_attach(&bed, NVME);
	ok(iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE, 4, 0x12345000, bell));
	rings(&bed, bell, STORAGE, 4, 0x12345000);
	rings(&bed, bell, STORAGE, 4, 0x12345000);
	ck_assert_int_lt(read(bell, &(uint64_t){ 0 }, 8), 0); /* the kernel has taken the signal */
	/* Another value for the same place is another one. */
	ok(iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE, 4, 0x54321000, other));
	rings(&bed, other, STORAGE, 4, 0x54321000);
	rings(&bed, bell, STORAGE, 4, 0x12345000);
	fails(iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE, 4, 0x54321000, bell), -EEXIST, "remove that");

	ok(iommufd_device_ioeventfd_remove(bed.dev, 0, STORAGE, 4, 0x12345000));
	fails(iommufd_device_ioeventfd_remove(bed.dev, 0, STORAGE, 4, 0x12345000), -ENOENT, "ioeventfd_add");
	ck_assert_int_eq(write(bell, &(uint64_t){ 1 }, 8), 8);
	rings(&bed, other, STORAGE, 4, 0x54321000);
	ck_assert_int_eq(read(bell, &(uint64_t){ 0 }, 8), 8); /* nobody has */

	/* What a reset takes from the registers it does not take from the kernel. */
	ok(iommufd_device_reset(bed.dev));
	rings(&bed, other, STORAGE, 4, 0x54321000);
	bed_close(&bed);
}
END_TEST

/* On iommufd the device stays open in the kernel. */
START_TEST(the_kernel_writes_no_more_after_a_detach)
{
	uint32_t word = 0x11111000, now;
	int bell = event();
	struct bed bed;

	bed_attach(&bed, NVME);
	ok(iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE, 4, 0x12345000, bell));
	ok(iommufd_device_detach(bed.dev));
	fails(iommufd_device_ioeventfd_remove(bed.dev, 0, STORAGE, 4, 0x12345000), -ENOTCONN, "attach");
	fails(iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE, 4, 0x12345000, bell), -ENOTCONN, "attach");
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ok(iommufd_device_region_write(bed.dev, 0, STORAGE, &word, 4));
	ck_assert_int_eq(write(bell, &(uint64_t){ 1 }, 8), 8);
	ck_assert_int_eq(read(bell, &(uint64_t){ 0 }, 8), 8); /* nobody has taken it */
	ok(iommufd_device_region_read(bed.dev, 0, STORAGE, &now, 4));
	ck_assert_uint_eq(now, word);
	ok(iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE, 4, 0x12345000, bell));
	rings(&bed, bell, STORAGE, 4, 0x12345000);
	bed_close(&bed);
}
END_TEST

START_TEST(writes_by_eventfd_that_cannot_be_are_refused)
{
	int bell = event(), closed = event(), pipes[2];
	struct bed bed;
	uint32_t table;
	uint8_t cap;

	ck_assert_int_eq(pipe(pipes), 0);
	bed_attach(&bed, NVME);
	close(closed);
	fails(iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE, 3, 0, bell), -EINVAL, "1, 2, 4 or 8");
	fails(iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE, 0, 0, bell), -EINVAL, "1, 2, 4 or 8");
	fails(iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE, 16, 0, bell), -EINVAL, "1, 2, 4 or 8");
	fails(iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE + 2, 4, 0, bell), -EINVAL, "multiple");
	fails(iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE, 4, UINT64_C(1) << 32, bell), -EINVAL, "this width");
	fails(iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE, 1, 256, bell), -EINVAL, "this width");
	fails(iommufd_device_ioeventfd_add(bed.dev, 0, UINT64_C(1) << 40, 4, 0, bell), -ERANGE, "inside of the region");
	fails(iommufd_device_ioeventfd_add(bed.dev, IOMMUFD_PCI_BAR5, 0, 4, 0, bell), -ERANGE, "no such region");
	fails(iommufd_device_ioeventfd_add(bed.dev, 9, 0, 4, 0, bell), -EINVAL, "num_regions");
	fails(iommufd_device_ioeventfd_add(bed.dev, IOMMUFD_PCI_CONFIG, 0x3c, 1, 0, bell), -EINVAL, "only BARs");
	fails(iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE, 4, 0, -1), -EBADF, "open eventfd");
	fails(iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE, 4, 0, closed), -EBADF, "open eventfd");
	fails(iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE, 4, 0, pipes[1]), -EINVAL, "open eventfd");
	/* The MSI-X table is the kernel's. */
	ok(iommufd_pci_config_read(bed.dev, 0x34, &cap, 1));
	for (uint8_t id = 0; ok(iommufd_pci_config_read(bed.dev, cap, &id, 1)), id != 0x11;)
		ok(iommufd_pci_config_read(bed.dev, cap + 1u, &cap, 1));
	ok(iommufd_pci_config_read(bed.dev, cap + 4u, &table, 4));
	ck_assert_uint_eq(table & 7, 0);
	fails(iommufd_device_ioeventfd_add(bed.dev, 0, table, 4, 0, bell), -EINVAL, "MSI-X table");
	bed_close(&bed);
}
END_TEST

START_TEST(the_kernel_has_a_limit_of_writes_by_eventfd)
{
	int bell = event(), ret = 0;
	struct bed bed;
	uint32_t n;

	bed_attach(&bed, NVME);
	for (n = 0; n < 100000 && !ret; n++)
		ret = iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE, 4, n << 12, bell);
	fails(ret, -ENOSPC, "remove one");
	ok(iommufd_device_ioeventfd_remove(bed.dev, 0, STORAGE, 4, 0));
	ok(iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE, 4, (n - 1) << 12, bell));
	fails(iommufd_device_ioeventfd_add(bed.dev, 0, STORAGE, 4, 0, bell), -ENOSPC, "remove one");
	bed_close(&bed);
}
END_TEST

void add_window_tests(TCase *tc)
{
	tcase_add_test(tc, a_bar_can_be_mapped_from_its_begin_to_its_end);
	tcase_add_test(tc, the_page_with_the_msix_table_can_be_mapped);
	tcase_add_test(tc, a_whole_region_is_mapped_at_once);
	tcase_add_test(tc, while_memory_is_disabled_calls_fail_in_words_and_no_call_dies);
	tcase_add_test(tc, the_kernel_writes_when_an_eventfd_is_signalled);
	tcase_add_test(tc, the_kernel_writes_no_more_after_a_detach);
	tcase_add_test(tc, writes_by_eventfd_that_cannot_be_are_refused);
	tcase_add_test(tc, the_kernel_has_a_limit_of_writes_by_eventfd);
}
