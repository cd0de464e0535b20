/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Several threads that use one device. */
#include "threads.h"

static void regions(struct worker *worker, struct iommufd_device *dev)
{
	struct iommufd_region_info info = { .struct_size = sizeof(info) };
	uint32_t id = 0;
	void *bar = NULL;

	MUST(worker, iommufd_device_region_info(dev, IOMMUFD_PCI_BAR0, &info));
	MUST(worker, iommufd_device_region_read(dev, IOMMUFD_PCI_BAR0, EDU_ID, &id, sizeof(id)));
	worker_expect(worker, (id & 0xff) == 0xed, "the register", (int)id);
	MUST(worker, iommufd_device_region_map(dev, IOMMUFD_PCI_BAR0, 0, PAGE, PROT_READ, &bar));
	if (!bar)
		return;
	worker_expect(worker, iommufd_mmio_read32(bar) == id, "the register in the window", 0);
	MUST(worker, iommufd_device_region_unmap(dev, bar));
}

static void interrupts(struct worker *worker, struct iommufd_device *dev)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };
	int none = -1, ret;

	MUST(worker, iommufd_device_irq_info(dev, IOMMUFD_PCI_MSI, &info));
	MUST(worker, iommufd_device_irq_enable(dev, IOMMUFD_PCI_MSI, 0, 1, &none));
	ret = iommufd_device_irq_trigger(dev, IOMMUFD_PCI_MSI, 0, 1);
	worker_expect(worker, !ret || ret == -EINVAL, "a trigger", ret); /* another thread may have disabled it */
	MUST(worker, iommufd_device_irq_disable(dev, IOMMUFD_PCI_MSI));
}

static void *use_device(void *arg)
{
	struct worker *worker = arg;

	for (int i = 0; i < 40 && !*worker->wrong; i++) {
		regions(worker, worker->bed->dev);
		interrupts(worker, worker->bed->dev);
	}
	return NULL;
}

/* To another IOAS and back. */
static void *move_device(void *arg)
{
	struct worker *worker = arg;
	struct iommufd_ioas *other = NULL;

	MUST(worker, iommufd_ioas_new(worker->bed->ctx, &other));
	for (int i = 0; i < 80 && !*worker->wrong; i++)
		MUST(worker, iommufd_device_replace(worker->bed->dev, i % 2 ? worker->bed->ioas : other));
	iommufd_ioas_free(other);
	return NULL;
}

START_TEST(threads_use_regions_and_interrupts_of_one_device)
{
	int fds = open_fds(), threads = vm_can_replace() ? 4 : 3;
	struct worker workers[4];
	struct bed bed;

	threads_open(&bed);
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	for (int i = 0; i < threads; i++)
		worker_start(&workers[i], &bed, NULL, i, i < 3 ? use_device : move_device);
	for (int i = 0; i < threads; i++)
		worker_join(&workers[i]);
	for (int i = 0; i < threads; i++)
		worker_check(&workers[i]);
	bed_close(&bed);
	threads_check_log();
	ck_assert_int_eq(open_fds(), fds);
}
END_TEST

static pthread_barrier_t gate;

/* All at the same time, which is the first time. */
static void *use_bar_first(void *arg)
{
	struct worker *worker = arg;

	pthread_barrier_wait(&gate);
	regions(worker, worker->bed->dev);
	return NULL;
}

START_TEST(threads_may_be_the_first_to_use_a_region_at_the_same_time)
{
	struct worker workers[4];
	struct bed bed;

	threads_open(&bed);
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	pthread_barrier_init(&gate, NULL, 4);
	for (int round = 0; round < 25; round++) {
		ok(iommufd_device_attach(bed.dev, bed.ioas));
		for (int i = 0; i < 4; i++)
			worker_start(&workers[i], &bed, NULL, i, use_bar_first);
		for (int i = 0; i < 4; i++)
			worker_join(&workers[i]);
		for (int i = 0; i < 4; i++)
			worker_check(&workers[i]);
		ok(iommufd_device_detach(bed.dev));
	}
	pthread_barrier_destroy(&gate);
	bed_close(&bed);
	threads_check_log();
}
END_TEST

void add_threads_device_tests(TCase *tc)
{
	tcase_add_test(tc, threads_use_regions_and_interrupts_of_one_device);
	tcase_add_test(tc, threads_may_be_the_first_to_use_a_region_at_the_same_time);
}
