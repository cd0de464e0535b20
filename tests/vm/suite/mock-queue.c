/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A virtual IOMMU's events, and the queues that its hardware reads. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "nest.h"

#define DEPTH 4
#define RACES 2500

/* ---- Events ---- */

static void trigger(const struct nest_bed *bench, unsigned int count)
{
	while (count--)
		ck_assert_int_eq(mock_trigger_vevent(&bench->mock), 0);
}

static bool readable(const struct nest_bed *bench)
{
	struct pollfd one = { .fd = ok(iommufd_veventq_fd(bench->nest.veventq)), .events = POLLIN };

	return poll(&one, 1, 0) == 1 && one.revents & POLLIN;
}

/* With room for several: one comes. */
static void expect_event(const struct nest_bed *bench, uint32_t sequence, uint32_t lost)
{
	struct mock_event events[8] = { { 0 } };
	struct iommufd_vevent event;

	ck_assert_int_eq(ok(iommufd_veventq_read(bench->nest.veventq, &event, events, sizeof(events))), 1);
	ck_assert_uint_eq(event.sequence, sequence);
	ck_assert_uint_eq(event.lost, lost);
	ck_assert_uint_eq(event.flags, lost ? IOMMUFD_VEVENT_LOST : 0);
	ck_assert_uint_eq(event.len, sizeof(events[0]));
	ck_assert_uint_eq(events[0].vdevice, NEST_VIRT_ID);
	ck_assert_uint_eq(events[1].vdevice, 0);
}

static void expect_lost(const struct nest_bed *bench, uint32_t sequence, uint32_t lost)
{
	struct iommufd_vevent event;
	struct mock_event data = { 0 };

	ck_assert_int_eq(ok(iommufd_veventq_read(bench->nest.veventq, &event, &data, sizeof(data))), 1);
	ck_assert_uint_eq(event.sequence, sequence);
	ck_assert_uint_eq(event.lost, lost);
	ck_assert_uint_eq(event.flags, IOMMUFD_VEVENT_LOST);
	ck_assert_uint_eq(event.len, 0);
	ck_assert_uint_eq(data.vdevice, 0);
}

static void expect_nothing(const struct nest_bed *bench)
{
	struct iommufd_vevent event;

	ck_assert(!readable(bench));
	ck_assert_int_eq(ok(iommufd_veventq_read(bench->nest.veventq, &event, NULL, 0)), 0);
}

START_TEST(events_are_read_one_by_one_with_the_devices_virtual_number)
{
	struct nest_bed bench;

	nest_bed_open(&bench);
	expect_nothing(&bench);
	trigger(&bench, 3);
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert(readable(&bench));
		expect_event(&bench, i, 0);
	}
	expect_nothing(&bench);
	nest_bed_close(&bench);
}
END_TEST

START_TEST(events_that_do_not_fit_are_counted)
{
	struct nest_bed bench;

	nest_bed_open(&bench);
	trigger(&bench, DEPTH + 3); /* 0 to 3 fit, 4 to 6 do not */
	for (uint32_t i = 0; i < DEPTH; i++)
		expect_event(&bench, i, 0);
	ck_assert(readable(&bench));
	expect_lost(&bench, 6, 3);
	expect_nothing(&bench);
	trigger(&bench, 1);
	expect_event(&bench, 7, 0);
	/* The news is overtaken by an event that fits: its number tells as much. */
	trigger(&bench, DEPTH + 2); /* 8 to 11 fit, 12 and 13 do not */
	expect_event(&bench, 8, 0);
	trigger(&bench, 1); /* 14 */
	expect_event(&bench, 9, 0);
	expect_event(&bench, 10, 0);
	expect_event(&bench, 11, 0);
	expect_event(&bench, 14, 2);
	expect_nothing(&bench);
	/* And read before more are lost. */
	trigger(&bench, DEPTH + 1); /* 15 to 18 fit, 19 does not */
	for (uint32_t i = 15; i < 19; i++)
		expect_event(&bench, i, 0);
	expect_lost(&bench, 19, 1);
	trigger(&bench, DEPTH + 2);
	for (uint32_t i = 20; i < 24; i++)
		expect_event(&bench, i, 0);
	expect_lost(&bench, 25, 2);
	expect_nothing(&bench);
	nest_bed_close(&bench);
}
END_TEST

START_TEST(an_event_that_has_no_room_stays)
{
	struct mock_event data = { 0 };
	struct iommufd_vevent event = { .sequence = 77 };
	struct nest_bed bench;

	nest_bed_open(&bench);
	trigger(&bench, 1);
	fails(iommufd_veventq_read(bench.nest.veventq, &event, NULL, 0), -EMSGSIZE, "more room");
	fails(iommufd_veventq_read(bench.nest.veventq, &event, &data, sizeof(data) - 1), -EMSGSIZE, "more room");
	ck_assert_uint_eq(event.sequence, 77);
	expect_event(&bench, 0, 0);
	nest_bed_close(&bench);
}
END_TEST

START_TEST(an_event_queue_that_cannot_be_is_refused)
{
	struct iommufd_veventq *q = NULL;
	struct nest_bed bench;

	nest_bed_open(&bench);
	fails(iommufd_veventq_new(bench.nest.viommu, MOCK_VEVENTQ_TYPE, 1, &q), -EEXIST, "use that one");
	fails(iommufd_veventq_new(bench.nest.viommu, 0, 1, &q), -EOPNOTSUPP, "IOMMU_VEVENTQ_TYPE");
	fails(iommufd_veventq_new(bench.nest.viommu, 1, 0, &q), -EINVAL, "IOMMUFD_VEVENTQ_MAX_DEPTH");
	fails(iommufd_veventq_new(bench.nest.viommu, 1, IOMMUFD_VEVENTQ_MAX_DEPTH + 1, &q), -EINVAL,
	      "IOMMUFD_VEVENTQ_MAX_DEPTH");
	ck_assert_ptr_null(q);
	ok(iommufd_veventq_new(bench.nest.viommu, 1, IOMMUFD_VEVENTQ_MAX_DEPTH, &q));
	iommufd_veventq_free(q);
	nest_bed_close(&bench);
}
END_TEST

/* ---- Hardware queues ---- */

/*
 * The mock IOMMU takes every queue that goes for number 0, and so has number 1 for ever once that was made. Hence one
 * that has none yet.
 */
static struct iommufd_viommu *fresh_viommu(const struct nest_bed *bench)
{
	struct iommufd_viommu_opts opts = { .struct_size = sizeof(opts), .type = MOCK_VIOMMU_TYPE };
	struct iommufd_viommu *viommu;

	ok(iommufd_viommu_new(bench->mock.dev, bench->nest.parent, &opts, &viommu));
	return viommu;
}

START_TEST(memory_of_a_hardware_queue_cannot_be_unmapped)
{
	struct nest_bed bench;

	nest_bed_open(&bench);
	fails(iommufd_ioas_unmap(bench.nest.ioas, NEST_IOVA, PAGE, NULL), -EBUSY, "hardware queue");
	nest_free(&bench.nest, NEST_HWQUEUE0); /* which stays, since the other one needs it */
	fails(iommufd_ioas_unmap(bench.nest.ioas, NEST_IOVA, PAGE, NULL), -EBUSY, "hardware queue");
	fails(iommufd_ioas_unmap(bench.nest.ioas, NEST_IOVA, (uint64_t)2 * PAGE, NULL), -EBUSY, "hardware queue");
	nest_free(&bench.nest, NEST_HWQUEUE1);
	ok(iommufd_ioas_unmap(bench.nest.ioas, NEST_IOVA, (uint64_t)2 * PAGE, NULL));
	nest_bed_close(&bench);
}
END_TEST

static int new_queue(struct iommufd_viommu *viommu, uint32_t index, uint64_t iova, uint64_t len,
		     struct iommufd_hwqueue **out)
{
	return iommufd_hwqueue_new(viommu, MOCK_HW_QUEUE_TYPE, index, iova, len, out);
}

START_TEST(a_hardware_queue_that_cannot_be_is_refused)
{
	struct iommufd_hwqueue *q = NULL;
	struct iommufd_viommu *viommu;
	struct nest_bed bench;

	nest_bed_open(&bench);
	viommu = fresh_viommu(&bench);
	ck_assert_uint_ne(iommufd_hwqueue_id(bench.nest.hwqueue[0]), iommufd_hwqueue_id(bench.nest.hwqueue[1]));
	fails(new_queue(bench.nest.viommu, 0, NEST_IOVA, PAGE, &q), -EEXIST, "free the queue");
	fails(new_queue(viommu, MOCK_HW_QUEUES, NEST_IOVA, PAGE, &q), -EINVAL, "of this index");
	fails(new_queue(viommu, UINT32_MAX, NEST_IOVA, PAGE, &q), -EINVAL, "of this index");
	fails(new_queue(viommu, 0, NEST_IOVA, 0, &q), -EINVAL, "length in bytes");
	fails(new_queue(viommu, 0, UINT64_MAX - 10, PAGE, &q), -EOVERFLOW, "past 2^64");
	fails(new_queue(viommu, 0, NEST_IOVA + PAGE, (uint64_t)2 * PAGE, &q), -ENOENT, "map all of it");
	fails(new_queue(viommu, 0, NEST_IOVA + 64 * PAGE, PAGE, &q), -ENOENT, "map all of it");
	fails(iommufd_hwqueue_new(viommu, 0, 0, NEST_IOVA, PAGE, &q), -EOPNOTSUPP, "of this type");
	fails(iommufd_hwqueue_new(viommu, 1, 0, NEST_IOVA, PAGE, &q), -EOPNOTSUPP, "of this type");
	fails(new_queue(viommu, 1, NEST_IOVA, PAGE, &q), -EIO, "index before");
	ck_assert_ptr_null(q);
	iommufd_viommu_free(viommu);
	nest_bed_close(&bench);
}
END_TEST

static pthread_barrier_t start;

static void *free_queue(void *q)
{
	pthread_barrier_wait(&start);
	iommufd_hwqueue_free(q);
	return NULL;
}

static void wait_a_while(unsigned int turns)
{
	for (volatile unsigned int i = 0; i < turns; i++)
		;
}

/* Queue 1 is made while queue 0 goes: who comes first differs from round to round. */
static int race(const struct nest_bed *bench, unsigned int turns)
{
	struct iommufd_viommu *viommu = fresh_viommu(bench);
	struct iommufd_hwqueue *first, *second = NULL;
	pthread_t thread;
	int ret;

	ok(new_queue(viommu, 0, NEST_IOVA, PAGE, &first));
	ck_assert_int_eq(pthread_create(&thread, NULL, free_queue, first), 0);
	pthread_barrier_wait(&start);
	wait_a_while(turns);
	ret = new_queue(viommu, 1, NEST_IOVA + PAGE, PAGE, &second);
	pthread_join(thread, NULL);
	iommufd_hwqueue_free(second);
	iommufd_viommu_free(viommu);
	return ret;
}

START_TEST(a_hardware_queue_that_goes_while_the_next_is_made_leaves_nothing)
{
	unsigned int made = 0, late = 0;
	struct nest_bed bench;
	uint32_t lowest;
	int fd;

	nest_bed_open(&bench);
	fd = ok(iommufd_ctx_fd(bench.ctx));
	nest_free(&bench.nest, NEST_HWQUEUE1);
	nest_free(&bench.nest, NEST_HWQUEUE0);
	lowest = mock_lowest_id(fd);
	pthread_barrier_init(&start, NULL, 2);
	for (unsigned int i = 0; i < RACES; i++) {
		int ret = race(&bench, i % 100 * 30);

		ck_assert_msg(!ret || ret == -EIO, "%s", iommufd_errmsg());
		made += !ret;
		late += ret == -EIO;
		ck_assert_uint_eq(mock_lowest_id(fd), lowest);
	}
	pthread_barrier_destroy(&start);
	printf("# %u made, %u too late\n", made, late);
	ck_assert_uint_gt(made, 0);
	ck_assert_uint_gt(late, 0);
	nest_bed_close(&bench);
}
END_TEST

/* One page of a file twice is not contiguous; a huge page is. */
START_TEST(a_hardware_queue_wants_contiguous_memory)
{
	int file = memfd_create("queue", MFD_CLOEXEC);
	struct iommufd_hwqueue *q = NULL;
	uint64_t iova = NEST_IOVA + 64 * PAGE;
	struct iommufd_viommu *viommu;
	struct iommufd_dma dma;
	unsigned char *twice;
	struct nest_bed bench;

	nest_bed_open(&bench);
	viommu = fresh_viommu(&bench);
	ck_assert(file >= 0 && !ftruncate(file, PAGE));
	twice = memory((size_t)2 * PAGE);
	for (unsigned int i = 0; i < 2; i++)
		ck_assert(mmap(twice + i * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) !=
			  MAP_FAILED);
	ok(iommufd_ioas_map(bench.nest.ioas, twice, (size_t)2 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	fails(new_queue(viommu, 0, iova, (uint64_t)2 * PAGE, &q), -EFAULT, "contiguous");
	ok(iommufd_ioas_unmap(bench.nest.ioas, iova, (uint64_t)2 * PAGE, NULL));
	ok(iommufd_dma_alloc(bench.nest.ioas, (size_t)2 << 20, RW | IOMMUFD_DMA_HUGE, &dma));
	ok(new_queue(viommu, 0, dma.iova, dma.len, &q));
	iommufd_hwqueue_free(q);
	/* Not from its beginning, and not in pages. */
	ok(new_queue(viommu, 0, dma.iova + PAGE + 512, (uint64_t)3 * PAGE, &q));
	iommufd_hwqueue_free(q);
	iommufd_dma_free(bench.nest.ioas, &dma);
	iommufd_viommu_free(viommu);
	close(file);
	nest_bed_close(&bench);
}
END_TEST

void add_mock_queue_tests(TCase *tc)
{
	tcase_add_test(tc, events_are_read_one_by_one_with_the_devices_virtual_number);
	tcase_add_test(tc, events_that_do_not_fit_are_counted);
	tcase_add_test(tc, an_event_that_has_no_room_stays);
	tcase_add_test(tc, an_event_queue_that_cannot_be_is_refused);
	tcase_add_test(tc, memory_of_a_hardware_queue_cannot_be_unmapped);
	tcase_add_test(tc, a_hardware_queue_that_cannot_be_is_refused);
	tcase_add_test(tc, a_hardware_queue_that_goes_while_the_next_is_made_leaves_nothing);
	tcase_add_test(tc, a_hardware_queue_wants_contiguous_memory);
}
