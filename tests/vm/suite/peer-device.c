/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What only the machine `device` has: a BAR of memory, functions of one bus in groups of their own, and a plug. */
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qemu.h"
#include "vm.h"

#define MEMORY     "0000:00:06.0"
#define MEMORY_LEN 0x100000u
#define CARD       "0000:03:00.0" /* a drive with virtual functions */
#define FUNCTION   "0000:03:00.1"
#define PLUGGED    "0000:04:00.0"

#define AT UINT64_C(0x20000000)

static const unsigned char token[16] = "one of sixteen.";

/* ---- From one device's DMA into the memory of another ---- */

struct pair {
	struct bed bed; /* with edu */
	struct edu edu;
	struct iommufd_device *other;
	unsigned char *pages, *bar; /* the other one's memory, as the process sees it */
	uint64_t at;                /* of the pages */
};

static void pair_open(struct pair *pair)
{
	void *bar;

	bed_attach(&pair->bed, EDU);
	edu_setup(&pair->edu, pair->bed.dev);
	pair->pages = memory(PAGE);
	ok(iommufd_ioas_map(pair->bed.ioas, pair->pages, PAGE, RW, &pair->at));
	ok(iommufd_device_new(pair->bed.ctx, MEMORY, &pair->other));
	ok(iommufd_device_attach(pair->other, pair->bed.ioas));
	ok(iommufd_device_region_map(pair->other, IOMMUFD_PCI_BAR2, 0, MEMORY_LEN, PROT_READ | PROT_WRITE, &bar));
	pair->bar = bar;
}

static void pair_close(struct pair *pair)
{
	iommufd_device_free(pair->other);
	bed_close(&pair->bed);
}

/* A chunk goes from memory into the BAR, and by another place in it back into memory. */
static void moves(struct pair *pair, uint64_t iova)
{
	const size_t far = MEMORY_LEN - EDU_CHUNK;

	edu_copy_works(&pair->edu, pair->at, pair->pages, iova, pair->bar);
	edu_copy_works(&pair->edu, iova, pair->bar, iova + far, pair->bar + far);
	edu_copy_works(&pair->edu, iova + far, pair->bar + far, pair->at, pair->pages);
}

START_TEST(bytes_go_from_device_to_device)
{
	struct pair pair;
	uint64_t iova = 0;

	pair_open(&pair);
	ok(iommufd_ioas_map_region(pair.bed.ioas, pair.other, IOMMUFD_PCI_BAR2, 0, MEMORY_LEN, RW, &iova));
	ck_assert_uint_eq(iova % MEMORY_LEN, 0); /* so that large pages can be used */
	moves(&pair, iova);
	pair_close(&pair);
}
END_TEST

START_TEST(bytes_go_there_again_after_the_memory_was_away)
{
	uint64_t iova = AT;
	struct pair pair;
	uint16_t command, off;

	pair_open(&pair);
	ok(iommufd_ioas_map_region(pair.bed.ioas, pair.other, IOMMUFD_PCI_BAR2, 0, MEMORY_LEN, RW | IOMMUFD_MAP_FIXED,
				   &iova));
	ok(iommufd_pci_config_read(pair.other, PCI_COMMAND, &command, sizeof(command)));
	off = (uint16_t)(command & ~PCI_COMMAND_MEMORY);
	ok(iommufd_pci_config_write(pair.other, PCI_COMMAND, &off, sizeof(off)));
	ok(iommufd_pci_config_write(pair.other, PCI_COMMAND, &command, sizeof(command)));
	moves(&pair, AT);
	pair_close(&pair);
}
END_TEST

START_TEST(bytes_go_there_again_after_the_device_could_sleep)
{
	uint64_t iova = AT;
	struct pair pair;

	pair_open(&pair);
	ok(iommufd_ioas_map_region(pair.bed.ioas, pair.other, IOMMUFD_PCI_BAR2, 0, MEMORY_LEN, RW | IOMMUFD_MAP_FIXED,
				   &iova));
	ok(iommufd_device_low_power_enter(pair.other, -1));
	ok(iommufd_device_low_power_exit(pair.other));
	moves(&pair, AT);
	pair_close(&pair);
}
END_TEST

/* ---- A bus with more than one group ---- */

static void set_functions(unsigned int count)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_numvfs", CARD);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fprintf(file, "%u", count);
	ck_assert_int_eq(fclose(file), 0);
}

static int open_with_token(struct iommufd_ctx *ctx, const char *address, struct iommufd_device **out)
{
	const struct iommufd_device_opts opts = { .struct_size = sizeof(opts), .vf_token = token };

	return iommufd_device_new_opts(ctx, address, &opts, out);
}

/* A process that has the virtual function until the pipe is closed. */
static pid_t hold_function(int *leash)
{
	int ready[2], pipes[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(pipes), 0);
	pid = fork();
	if (!pid) {
		struct bed bed;

		close(pipes[1]);
		bed_open(&bed);
		ok(open_with_token(bed.ctx, FUNCTION, &bed.dev));
		ok(iommufd_device_attach(bed.dev, bed.ioas));
		ck_assert_int_eq(write(ready[1], "", 1), 1);
		_exit((int)read(pipes[0], &byte, 1));
	}
	close(pipes[0]);
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*leash = pipes[1];
	return pid;
}

START_TEST(a_hot_reset_names_who_has_a_function_of_the_bus)
{
	struct iommufd_pci_affected infos[2];
	char words[64];
	struct bed bed;
	int leash, status;
	size_t count;
	pid_t pid;

	bed_open(&bed);
	ok(iommufd_device_new(bed.ctx, CARD, &bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ok(iommufd_pci_set_vf_token(bed.dev, token));
	ok(iommufd_pci_hot_reset(bed.dev)); /* alone on its bus */
	set_functions(1);
	ck_assert_int_ne(vm_group(CARD), vm_group(FUNCTION));
	pid = hold_function(&leash);
	snprintf(words, sizeof(words), "%s: it or its group is open in process %d (vm-suite)", FUNCTION, pid);
	fails(iommufd_pci_hot_reset(bed.dev), -EBUSY, words);
	ok(iommufd_pci_hot_reset_info(bed.dev, infos, 2, &count));
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(infos[0].flags, IOMMUFD_PCI_AFFECTED_OPEN);
	ck_assert_str_eq(infos[1].address, FUNCTION);
	ck_assert_uint_eq(infos[1].flags, IOMMUFD_PCI_AFFECTED_BLOCKS);
	close(leash);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	fails(iommufd_pci_hot_reset(bed.dev), -EBUSY, "nobody that can be seen has it open");
	iommufd_device_free(bed.dev);
	bed.dev = NULL;
	set_functions(0);
	bed_close(&bed);
}
END_TEST

START_TEST(a_hot_reset_names_another_context_of_the_same_process)
{
	struct iommufd_device *function;
	struct bed bed, other;
	char words[64];

	bed_open(&bed);
	ok(iommufd_device_new(bed.ctx, CARD, &bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	ok(iommufd_pci_set_vf_token(bed.dev, token));
	set_functions(1);
	bed_open(&other);
	ok(open_with_token(other.ctx, FUNCTION, &function));
	ok(iommufd_device_attach(function, other.ioas));
	snprintf(words, sizeof(words), "%s: it or its group is open in this process", FUNCTION);
	fails(iommufd_pci_hot_reset(bed.dev), -EBUSY, words);
	iommufd_device_free(function);
	bed_close(&other);
	iommufd_device_free(bed.dev);
	bed.dev = NULL;
	set_functions(0);
	bed_close(&bed);
}
END_TEST

/* Whether a port, alone with its device, is a slot that can be reset is up to the kernel: the effect is the same. */
START_TEST(a_hot_reset_of_one_device_gives_its_memory_back)
{
	uint64_t iova = AT;
	uint32_t mask = 0;
	struct pair pair;

	pair_open(&pair);
	iommufd_device_free(pair.other);
	ok(iommufd_device_new(pair.bed.ctx, CARD, &pair.other));
	ok(iommufd_device_attach(pair.other, pair.bed.ioas));
	ok(iommufd_ioas_map_region(pair.bed.ioas, pair.other, IOMMUFD_PCI_BAR0, 0, PAGE, RW | IOMMUFD_MAP_FIXED,
				   &iova));
	for (int i = 0; i < 2; i++) {
		*(uint32_t *)(void *)pair.pages = 5;
		edu_read_memory(&pair.edu, pair.at, sizeof(mask));
		edu_write_memory(&pair.edu, AT + 0x0c, sizeof(mask));
		ok(iommufd_device_region_read(pair.other, IOMMUFD_PCI_BAR0, 0x0c, &mask, sizeof(mask)));
		ck_assert_uint_eq(mask, 5);
		ok(iommufd_pci_hot_reset(pair.other));
		ok(iommufd_device_region_read(pair.other, IOMMUFD_PCI_BAR0, 0x0c, &mask, sizeof(mask)));
		ck_assert_uint_eq(mask, 0);
	}
	pair_close(&pair);
}
END_TEST

/* ---- A device that is unplugged; hotplug.c has one that is pulled out ---- */

START_TEST(memory_that_was_lent_can_be_unmapped_after_its_device_was_unplugged)
{
	uint64_t iova = AT, bytes;
	struct iommufd_device *gone;
	struct bed bed;

	vm_qemu("device_add edu,bus=empty,id=plugged");
	for (int i = 0; i < 500 && access("/sys/bus/pci/devices/" PLUGGED, F_OK); i++)
		usleep(20000);
	vm_bind(PLUGGED, "vfio-pci");
	bed_attach(&bed, EDU);
	ok(iommufd_device_new(bed.ctx, PLUGGED, &gone));
	ok(iommufd_device_attach(gone, bed.ioas));
	ok(iommufd_ioas_map_region(bed.ioas, gone, IOMMUFD_PCI_BAR0, 0, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	vm_qemu("device_del plugged");
	iommufd_device_free(gone);
	for (int i = 0; i < 1000 && vm_qemu_has("plugged"); i++)
		usleep(20000);
	ck_assert(!vm_qemu_has("plugged"));
	ok(iommufd_ioas_unmap(bed.ioas, AT, PAGE, &bytes));
	ck_assert_uint_eq(bytes, PAGE);
	bed_close(&bed);
}
END_TEST

void add_peer_device_tests(TCase *tc)
{
	tcase_add_test(tc, bytes_go_from_device_to_device);
	tcase_add_test(tc, bytes_go_there_again_after_the_memory_was_away);
	tcase_add_test(tc, bytes_go_there_again_after_the_device_could_sleep);
	tcase_add_test(tc, a_hot_reset_of_one_device_gives_its_memory_back);
	tcase_add_test(tc, a_hot_reset_names_who_has_a_function_of_the_bus);
	tcase_add_test(tc, a_hot_reset_names_another_context_of_the_same_process);
	tcase_add_test(tc, memory_that_was_lent_can_be_unmapped_after_its_device_was_unplugged);
}
