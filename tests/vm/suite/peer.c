/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* One device's DMA into another one's memory. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "peer.h"

void peer_open_drive(struct pair *pair)
{
	ok(iommufd_device_new(pair->bed.ctx, NVME, &pair->drive));
	ok(iommufd_device_attach(pair->drive, pair->bed.ioas));
}

void peer_open(struct pair *pair)
{
	bed_attach(&pair->bed, EDU);
	edu_setup(&pair->edu, pair->bed.dev);
	pair->memory = memory(PAGE);
	ok(iommufd_ioas_map(pair->bed.ioas, pair->memory, PAGE, RW, &pair->at));
	peer_open_drive(pair);
}

void peer_close(struct pair *pair)
{
	iommufd_device_free(pair->drive);
	bed_close(&pair->bed);
}

void peer_puts(struct pair *pair, uint64_t iova, uint32_t word)
{
	*pair->memory = word;
	edu_read_memory(&pair->edu, pair->at, sizeof(word));
	edu_write_memory(&pair->edu, iova, sizeof(word));
}

uint32_t peer_gets(struct pair *pair, uint64_t iova)
{
	*pair->memory = 0;
	edu_read_memory(&pair->edu, iova, sizeof(*pair->memory));
	edu_write_memory(&pair->edu, pair->at, sizeof(*pair->memory));
	return *(volatile uint32_t *)pair->memory;
}

uint32_t peer_has(const struct pair *pair, uint64_t offset)
{
	uint32_t got = 0;

	ok(iommufd_device_region_read(pair->drive, IOMMUFD_PCI_BAR0, offset, &got, sizeof(got)));
	return got;
}

void peer_reaches(struct pair *pair, uint64_t iova)
{
	static uint32_t word = 0x00010001;

	word += 0x00010001;
	peer_puts(pair, iova + NVME_AQA, word);
	ck_assert_uint_eq(peer_has(pair, NVME_AQA), word);
	ck_assert_uint_eq(peer_gets(pair, iova + NVME_AQA), word);
}

void peer_lend(struct pair *pair, struct iommufd_ioas *ioas, uint64_t iova)
{
	uint64_t got = iova;

	ok(iommufd_ioas_map_region(ioas, pair->drive, IOMMUFD_PCI_BAR0, 0, PAGE, RW | IOMMUFD_MAP_FIXED, &got));
	ck_assert_uint_eq(got, iova);
}

START_TEST(a_device_writes_into_another_ones_registers_and_reads_them)
{
	uint64_t iova = 7, bytes;
	struct pair pair;
	void *vaddr;
	int fds;

	peer_open(&pair);
	if (!vm_can_lend()) {
		lacks(iommufd_ioas_map_region(pair.bed.ioas, pair.drive, IOMMUFD_PCI_BAR0, 0, PAGE, RW, &iova),
		      -EOPNOTSUPP, vm_path->compat ? "served by iommufd" : "Linux 6.19");
		ck_assert_uint_eq(iova, 7);
		peer_close(&pair);
		return;
	}
	peer_has(&pair, NVME_AQA);
	fds = open_fds();
	ok(iommufd_ioas_map_region(pair.bed.ioas, pair.drive, IOMMUFD_PCI_BAR0, 0, 2 * PAGE, RW, &iova));
	ck_assert_int_eq(open_fds(), fds);
	peer_reaches(&pair, iova);
	ck_assert_int_eq(iommufd_ioas_to_vaddr(pair.bed.ioas, iova, 1, &vaddr), -ENOENT);
	ok(iommufd_ioas_unmap(pair.bed.ioas, iova, 2 * PAGE, &bytes));
	ck_assert_uint_eq(bytes, 2 * PAGE);
	ck_assert_int_eq(open_fds(), fds);
	/* another part of it, for reading */
	ok(iommufd_ioas_map_region(pair.bed.ioas, pair.drive, IOMMUFD_PCI_BAR0, PAGE, PAGE, IOMMUFD_MAP_READ, &iova));
	peer_gets(&pair, iova);
	peer_close(&pair);
}
END_TEST

START_TEST(copies_of_it_and_of_a_part_come_back_as_well)
{
	struct iommufd_ioas *second;
	uint64_t all = 0, part = 0;
	struct pair pair;

	peer_open(&pair);
	ok(iommufd_ioas_new(pair.bed.ctx, &second));
	all = AT;
	ok(iommufd_ioas_map_region(second, pair.drive, IOMMUFD_PCI_BAR0, 0, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &all));
	ok(iommufd_ioas_copy(second, AT, 2 * PAGE, pair.bed.ioas, RW, &all));
	ok(iommufd_ioas_copy(second, AT, PAGE, pair.bed.ioas, RW, &part));
	peer_reaches(&pair, all);
	peer_reaches(&pair, part);
	ok(iommufd_device_reset(pair.drive));
	peer_reaches(&pair, all);
	peer_reaches(&pair, part);
	/* what it was copied from is not needed any more */
	iommufd_ioas_free(second);
	ok(iommufd_device_reset(pair.drive));
	peer_reaches(&pair, all);
	peer_reaches(&pair, part);
	peer_close(&pair);
}
END_TEST

/* ---- The device goes, or comes later ---- */

START_TEST(a_mapping_waits_for_a_device_that_is_detached)
{
	uint64_t iova = AT, bytes;
	struct iommufd_ioas *second;
	struct vm_other other;
	struct pair pair;

	peer_open(&pair);
	ok(iommufd_ioas_new(pair.bed.ctx, &second));
	peer_lend(&pair, pair.bed.ioas, AT);
	peer_lend(&pair, pair.bed.ioas, AT + PAGE);
	ok(iommufd_device_detach(pair.drive));
	fails(iommufd_ioas_map(pair.bed.ioas, pair.memory, PAGE, RW | IOMMUFD_MAP_FIXED, &iova), -EEXIST,
	      "0x10000000-0x10000fff is mapped");
	fails(iommufd_ioas_copy(pair.bed.ioas, AT, PAGE, pair.bed.ioas, RW, &iova), -ENODEV, "is detached");
	ok(iommufd_ioas_unmap(pair.bed.ioas, AT + PAGE, PAGE, &bytes));
	ck_assert_uint_eq(bytes, PAGE);
	vm_expect_fault(EDU, AT);
	peer_puts(&pair, AT, 0);
	ok(iommufd_device_attach(pair.drive, second));
	peer_reaches(&pair, AT);
	ok(iommufd_device_detach(pair.drive));
	ok(iommufd_device_attach(pair.drive, pair.bed.ioas));
	peer_reaches(&pair, AT);
	/* nothing of it keeps the device when it is freed */
	iommufd_device_free(pair.drive);
	vm_hold(NVME, &other);
	vm_let_go(&other);
	pair.drive = NULL;
	iommufd_ioas_free(second);
	peer_close(&pair);
}
END_TEST

START_TEST(a_mapping_of_a_device_that_was_freed_is_unmapped_like_others)
{
	struct pair pair;
	uint64_t bytes;

	peer_open(&pair);
	peer_lend(&pair, pair.bed.ioas, AT);
	iommufd_device_free(pair.drive);
	peer_open_drive(&pair);
	/* the old one is nobody's, the new one is of the new handle */
	peer_lend(&pair, pair.bed.ioas, AT + PAGE);
	ok(iommufd_device_reset(pair.drive));
	peer_reaches(&pair, AT + PAGE);
	ok(iommufd_ioas_unmap(pair.bed.ioas, AT, 2 * PAGE, &bytes));
	ck_assert_uint_eq(bytes, 2 * PAGE);
	peer_lend(&pair, pair.bed.ioas, AT);
	iommufd_device_free(pair.drive);
	pair.drive = NULL;
	ok(iommufd_ioas_unmap(pair.bed.ioas, pair.at, PAGE, NULL));
	ok(iommufd_ioas_unmap_all(pair.bed.ioas, &bytes));
	ck_assert_uint_eq(bytes, PAGE);
	peer_close(&pair);
}
END_TEST

START_TEST(handles_are_freed_in_any_order)
{
	static const unsigned char orders[][4] = { { 0, 1, 2, 3 }, { 3, 2, 1, 0 }, { 1, 0, 3, 2 }, { 2, 3, 0, 1 },
						   { 2, 0, 3, 1 }, { 1, 3, 0, 2 }, { 0, 2, 1, 3 }, { 3, 0, 2, 1 } };
	int fds = open_fds();

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct pair pair;

		peer_open(&pair);
		peer_lend(&pair, pair.bed.ioas, AT);
		for (int k = 0; k < 4; k++)
			switch (orders[i][k]) {
			case 0:
				iommufd_ctx_free(pair.bed.ctx);
				break;
			case 1:
				iommufd_ioas_free(pair.bed.ioas);
				break;
			case 2:
				iommufd_device_free(pair.bed.dev);
				break;
			default:
				iommufd_device_free(pair.drive);
			}
		munmap(pair.memory, PAGE);
		ck_assert_int_eq(open_fds(), fds);
	}
}
END_TEST

START_TEST(it_is_mapped_before_anything_is_attached_and_stays_when_nothing_is)
{
	struct iommufd_ioas *second;
	struct pair pair;

	peer_open(&pair);
	ok(iommufd_ioas_new(pair.bed.ctx, &second));
	ok(iommufd_ioas_map(second, pair.memory, PAGE, RW | IOMMUFD_MAP_FIXED, &pair.at));
	peer_lend(&pair, second, AT);
	for (int i = 0; i < 2; i++) {
		edu_detach(&pair.edu);
		ok(iommufd_device_reset(pair.drive));
		ok(iommufd_device_attach(pair.bed.dev, second));
		edu_setup(&pair.edu, pair.bed.dev);
		peer_reaches(&pair, AT);
	}
	iommufd_ioas_free(second);
	peer_close(&pair);
}
END_TEST

/* ---- Bad input ---- */

START_TEST(what_cannot_be_lent_is_refused)
{
	uint64_t iova = 7;
	struct pair pair;
	struct bed other;

	peer_open(&pair);
	bed_open(&other);
	fails(iommufd_ioas_map_region(other.ioas, pair.drive, IOMMUFD_PCI_BAR0, 0, PAGE, RW, &iova), -EINVAL,
	      "another context");
	fails(iommufd_ioas_map_region(pair.bed.ioas, pair.drive, IOMMUFD_PCI_BAR0, 0, PAGE, 0, &iova), -EINVAL,
	      "neither read nor write");
	fails(iommufd_ioas_map_region(pair.bed.ioas, pair.drive, IOMMUFD_PCI_BAR0, 0, 0, RW, &iova), -EINVAL,
	      "no bytes");
	fails(iommufd_ioas_map_region(pair.bed.ioas, pair.drive, IOMMUFD_PCI_BAR0, 8, PAGE, RW, &iova), -EINVAL,
	      "multiples");
	fails(iommufd_ioas_map_region(pair.bed.ioas, pair.drive, IOMMUFD_PCI_BAR0, 0, 1 << 30, RW, &iova), -ERANGE,
	      "inside of the region");
	fails(iommufd_ioas_map_region(pair.bed.ioas, pair.drive, IOMMUFD_PCI_CONFIG, 0, PAGE, RW, &iova), -EOPNOTSUPP,
	      "map region 7");
	fails(iommufd_ioas_map_region(pair.bed.ioas, pair.drive, 100, 0, PAGE, RW, &iova), -EINVAL, "num_regions");
	ok(iommufd_device_detach(pair.drive));
	fails(iommufd_ioas_map_region(pair.bed.ioas, pair.drive, IOMMUFD_PCI_BAR0, 0, PAGE, RW, &iova), -ENOTCONN,
	      "attach it");
	ck_assert_uint_eq(iova, 7);
	bed_close(&other);
	peer_close(&pair);
}
END_TEST

/* ---- Threads ---- */

struct racers {
	struct pair pair;
	struct iommufd_ioas *second;
	atomic_bool over;
	unsigned long mapped, copied;
};

/* While the drive is reset, its memory may be gone for a moment. */
static void *map_and_copy(void *data)
{
	struct racers *racers = data;
	uint64_t iova, copy;
	int ret;

	while (!racers->over) {
		iova = 2 * AT;
		ret = iommufd_ioas_map_region(racers->pair.bed.ioas, racers->pair.drive, IOMMUFD_PCI_BAR0, 0, PAGE,
					      RW | IOMMUFD_MAP_FIXED, &iova);
		ck_assert(!ret || ret == -ENODEV || ret == -EFAULT);
		if (ret)
			continue;
		racers->mapped++;
		ret = iommufd_ioas_copy(racers->pair.bed.ioas, AT, PAGE, racers->second, RW, &copy);
		ck_assert(!ret || ret == -ENODEV || ret == -EFAULT);
		if (!ret)
			ok(iommufd_ioas_unmap(racers->second, copy, PAGE, NULL));
		racers->copied += !ret;
		ok(iommufd_ioas_unmap(racers->pair.bed.ioas, iova, PAGE, NULL));
	}
	return NULL;
}

START_TEST(others_may_map_and_copy_it_while_it_is_reset)
{
	struct racers racers = { .over = false };
	struct pair *pair = &racers.pair;
	pthread_t thread;

	peer_open(pair);
	ok(iommufd_ioas_new(pair->bed.ctx, &racers.second));
	peer_lend(pair, pair->bed.ioas, AT);
	ck_assert_int_eq(pthread_create(&thread, NULL, map_and_copy, &racers), 0);
	for (int i = 0; i < 5; i++)
		ok(iommufd_device_reset(pair->drive));
	racers.over = true;
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	printf("# %s: %lu mapped, %lu copied beside 5 resets\n", vm_path->name, racers.mapped, racers.copied);
	peer_reaches(pair, AT);
	iommufd_ioas_free(racers.second);
	peer_close(pair);
}
END_TEST

void add_peer_tests(TCase *tc)
{
	tcase_add_test(tc, a_device_writes_into_another_ones_registers_and_reads_them);
	if (!vm_can_lend())
		return;
	tcase_add_test(tc, copies_of_it_and_of_a_part_come_back_as_well);
	tcase_add_test(tc, a_mapping_waits_for_a_device_that_is_detached);
	tcase_add_test(tc, a_mapping_of_a_device_that_was_freed_is_unmapped_like_others);
	tcase_add_test(tc, handles_are_freed_in_any_order);
	tcase_add_test(tc, it_is_mapped_before_anything_is_attached_and_stays_when_nothing_is);
	tcase_add_test(tc, what_cannot_be_lent_is_refused);
	tcase_add_test(tc, others_may_map_and_copy_it_while_it_is_reset);
}
