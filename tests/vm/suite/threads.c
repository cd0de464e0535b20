/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Several threads at once, on a kernel. Their work is counted, not timed, so that a slow machine does the same. They
 * note what is wrong, since libcheck's asserts are for one thread, and the library's log is listened to: where the
 * index and the kernel differ it warns. ThreadSanitizer sees the rest.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "threads.h"

#define MAPPERS 3
#define CALLS   250 /* of each mapper */
#define ROUNDS  4   /* of what takes a device out of an IOAS and back */

/* What is mapped at an IOVA is this far into the pool, whoever maps it. Far above what the library picks by itself. */
#define WINDOW       0x40000000u
#define WINDOW_PAGES 64u

static unsigned char *pool, *elsewhere;
static atomic_uint warnings;
static char warning[300];

void worker_expect(struct worker *worker, bool right, const char *what, int ret)
{
	if (!right && !*worker->wrong)
		snprintf(worker->wrong, sizeof(worker->wrong), "%s gave %d: %s", what, ret, iommufd_errmsg());
}

void worker_must(struct worker *worker, int ret, const char *what)
{
	worker_expect(worker, !ret, what, ret);
}

static uint64_t below(struct worker *worker, uint64_t end)
{
	worker->state = worker->state * 6364136223846793005u + 1442695040888963407u;
	return (worker->state >> 33) % end;
}

/* What is told of any device without an IOMMU is no news here. */
static void hear(void *data, int level, const char *line)
{
	bool usual = strstr(line, "UNSAFE") || strstr(line, "is only locked");

	(void)data;
	if (level <= IOMMUFD_LOG_WARN && !usual && !atomic_fetch_add(&warnings, 1))
		snprintf(warning, sizeof(warning), "%s", line);
}

void threads_open(struct bed *bed)
{
	struct iommufd_ctx_opts opts = {
		.struct_size = sizeof(opts),
		.backend = vm_backend,
		.flags = vm_path->noiommu ? IOMMUFD_CTX_NOIOMMU : 0,
		.log_level = IOMMUFD_LOG_WARN,
		.log = hear,
	};

	*bed = (struct bed){ .ctx = NULL };
	pool = memory(WINDOW_PAGES * PAGE);
	elsewhere = memory(4 * PAGE);
	ok(iommufd_ctx_new(&opts, &bed->ctx));
	ok(iommufd_ioas_new(bed->ctx, &bed->ioas));
}

void threads_check_log(void)
{
	ck_assert_msg(!atomic_load(&warnings), "the log has %u warnings, the first: %s", atomic_load(&warnings),
		      warning);
}

/* ---- Mapping ---- */

static struct iommufd_map some_map(struct worker *worker)
{
	uint64_t page = below(worker, WINDOW_PAGES - 3);

	return (struct iommufd_map){
		.vaddr = pool + page * PAGE,
		.len = (1 + below(worker, 4)) * PAGE,
		.iova = WINDOW + page * PAGE,
		.flags = RW | IOMMUFD_MAP_FIXED,
	};
}

static void map_fixed(struct worker *worker)
{
	struct iommufd_map map = some_map(worker);
	int ret = iommufd_ioas_map(worker->bed->ioas, map.vaddr, map.len, map.flags, &map.iova);

	worker_expect(worker, !ret || ret == -EEXIST, "a fixed map", ret);
	worker->mapped += ret ? 0 : map.len;
}

static void map_batch(struct worker *worker)
{
	struct iommufd_batch_opts opts = {
		.struct_size = sizeof(opts),
		.flags = below(worker, 2) ? IOMMUFD_BATCH_POPULATE : 0,
		.threads = (uint32_t)below(worker, 4),
	};
	struct iommufd_map maps[3];
	int ret;

	for (int i = 0; i < 3; i++)
		maps[i] = some_map(worker);
	ret = iommufd_ioas_map_batch(worker->bed->ioas, maps, 3, &opts);
	worker_expect(worker, !ret || ret == -EEXIST, "a batch", ret);
	for (int i = 0; i < 3 && !ret; i++)
		worker->mapped += maps[i].len;
}

static void map_any(struct worker *worker)
{
	uint64_t iova = 0, bytes = 0;
	int ret = iommufd_ioas_map(worker->bed->ioas, elsewhere, 2 * PAGE, RW, &iova);

	worker_expect(worker, !ret && iova, "a map", ret);
	worker->mapped += ret ? 0 : 2 * PAGE;
	/* Another thread may have unmapped everything in between, and a third may have mapped there. */
	ret = iommufd_ioas_unmap(worker->bed->ioas, iova, 2 * PAGE, &bytes);
	worker_expect(worker, !ret || ret == -ENOENT || ret == -EBUSY, "an unmap of one's own", ret);
	worker->unmapped += bytes;
}

static void unmap(struct worker *worker)
{
	uint64_t bytes = 0, iova = WINDOW + below(worker, WINDOW_PAGES) * PAGE;
	int ret = iommufd_ioas_unmap(worker->bed->ioas, iova, (1 + below(worker, 16)) * PAGE, &bytes);

	worker_expect(worker, !ret || ret == -ENOENT || ret == -EINVAL || ret == -EBUSY, "an unmap", ret);
	worker_expect(worker, !ret == !!bytes, "the bytes of an unmap", ret);
	worker->unmapped += bytes;
}

static void unmap_all(struct worker *worker)
{
	uint64_t bytes = 0;
	int ret = iommufd_ioas_unmap_all(worker->bed->ioas, &bytes);

	worker_expect(worker, !ret, "an unmap of everything", ret);
	worker->unmapped += bytes;
}

static void translate(struct worker *worker)
{
	uint64_t offset = below(worker, WINDOW_PAGES * PAGE - 64), iova = 0, left;
	struct iovec iov = { pool + offset, 64 };
	struct iommufd_segment segment;
	struct iommufd_range range;
	void *vaddr = NULL;
	int ret;

	ret = iommufd_ioas_to_vaddr(worker->bed->ioas, WINDOW + offset, 1, &vaddr);
	worker_expect(worker, ret == -ENOENT || (!ret && vaddr == pool + offset), "to_vaddr", ret);
	ret = iommufd_ioas_to_iova(worker->bed->ioas, pool + offset, 1, &iova);
	worker_expect(worker, ret == -ENOENT || (!ret && iova == WINDOW + offset), "to_iova", ret);
	ret = iommufd_ioas_to_iovas(worker->bed->ioas, &iov, 1, &segment, 1);
	if (!vm_path->noiommu) /* where the addresses are others */
		worker_expect(worker, ret == -ENOENT || (ret == 1 && segment.addr == WINDOW + offset), "to_iovas", ret);
	MUST(worker, iommufd_ioas_maps_left(worker->bed->ioas, &left));
	ret = iommufd_ioas_ranges(worker->bed->ioas, &range, 1);
	worker_expect(worker, ret > 0, "ranges", ret);
}

static void *map_and_unmap(void *arg)
{
	struct worker *worker = arg;

	for (int i = 0; i < CALLS && !*worker->wrong; i++) {
		uint64_t what = below(worker, 100);

		if (what < 30)
			map_fixed(worker);
		else if (what < 40)
			map_batch(worker);
		else if (what < 50)
			map_any(worker);
		else if (what < 69)
			unmap(worker);
		else if (what < 70)
			unmap_all(worker);
		else
			translate(worker);
	}
	return NULL;
}

/* ---- Devices that come and go ---- */

static void use(struct worker *worker, struct iommufd_device *dev)
{
	struct iommufd_device_info info = { .struct_size = sizeof(info) };
	uint32_t id = 0;

	MUST(worker, iommufd_pci_config_read(dev, 0, &id, sizeof(id)));
	worker_expect(worker, id && id != UINT32_MAX, "the device's identity", 0);
	MUST(worker, iommufd_device_get_info(dev, &info));
	worker_expect(worker, info.flags & IOMMUFD_DEVICE_ATTACHED, "the device's flags", 0);
}

/* To an IOAS of its own and back, where the path can do that. */
static void move(struct worker *worker, struct iommufd_device *dev)
{
	struct iommufd_ioas *own = NULL;

	MUST(worker, iommufd_ioas_new(worker->bed->ctx, &own));
	if (*worker->wrong)
		return;
	MUST(worker, iommufd_device_replace(dev, own));
	use(worker, dev);
	MUST(worker, iommufd_device_replace(dev, worker->bed->ioas));
	iommufd_ioas_free(own);
}

static void *attach_and_detach(void *arg)
{
	struct worker *worker = arg;
	struct iommufd_device *dev = NULL;

	for (int i = 0; i < ROUNDS && !*worker->wrong; i++) {
		if (!dev)
			MUST(worker, iommufd_device_new(worker->bed->ctx, worker->address, &dev));
		if (dev)
			MUST(worker, iommufd_device_attach(dev, worker->bed->ioas));
		if (*worker->wrong)
			break;
		use(worker, dev);
		if (vm_can_replace() && i % 2)
			move(worker, dev);
		if (i % 3 < 2)
			MUST(worker, iommufd_device_detach(dev));
		if (i % 3 > 0) {
			iommufd_device_free(dev);
			dev = NULL;
		}
	}
	iommufd_device_free(dev);
	return NULL;
}

/* ---- At once ---- */

void worker_start(struct worker *worker, struct bed *bed, const char *address, int number, void *(*work)(void *))
{
	*worker = (struct worker){ .bed = bed, .address = address, .number = number, .state = (uint64_t)number };
	ck_assert_int_eq(pthread_create(&worker->thread, NULL, work, worker), 0);
}

void worker_join(struct worker *worker)
{
	pthread_join(worker->thread, NULL);
}

void worker_check(const struct worker *worker)
{
	ck_assert_msg(!*worker->wrong, "thread %d: %s", worker->number, worker->wrong);
}

/* The kernel takes a mapping wherever the index has none, and counts as many bytes as the index when all goes. */
static void check_agreement(struct bed *bed, uint64_t expected)
{
	uint64_t bytes, empty = 0;
	void *vaddr;

	ok(iommufd_device_new(bed->ctx, EDU, &bed->dev));
	ok(iommufd_device_attach(bed->dev, bed->ioas));
	for (uint64_t page = 0; page < WINDOW_PAGES; page++) {
		uint64_t iova = WINDOW + page * PAGE;

		if (!iommufd_ioas_to_vaddr(bed->ioas, iova, PAGE, &vaddr))
			continue;
		ok(iommufd_ioas_map(bed->ioas, pool + page * PAGE, PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
		empty += PAGE;
	}
	ok(iommufd_ioas_unmap_all(bed->ioas, &bytes));
	ck_assert_uint_eq(bytes, expected + empty);
	threads_check_log();
}

START_TEST(threads_map_unmap_and_translate_while_devices_come_and_go)
{
	struct worker mappers[MAPPERS], movers[2];
	int fds = open_fds();
	uint64_t expected = 0;
	struct bed bed;

	threads_open(&bed);
	worker_start(&movers[0], &bed, EDU, 0, attach_and_detach);
	worker_start(&movers[1], &bed, NVME, 1, attach_and_detach);
	for (int i = 0; i < MAPPERS; i++)
		worker_start(&mappers[i], &bed, NULL, 2 + i, map_and_unmap);
	for (int i = 0; i < MAPPERS; i++)
		worker_join(&mappers[i]);
	for (int i = 0; i < 2; i++)
		worker_join(&movers[i]);

	for (int i = 0; i < 2; i++)
		worker_check(&movers[i]);
	for (int i = 0; i < MAPPERS; i++) {
		worker_check(&mappers[i]);
		expected += mappers[i].mapped - mappers[i].unmapped;
	}
	check_agreement(&bed, expected);
	bed_close(&bed);
	threads_check_log();
	ck_assert_int_eq(open_fds(), fds);
}
END_TEST

/* ---- Handles of one context ---- */

/* The twins share a group, so they share an IOAS too, unless there is no IOMMU. */
static void *make_use_and_free(void *arg)
{
	struct worker *worker = arg;

	for (int i = 0; i < ROUNDS && !*worker->wrong; i++) {
		struct iommufd_dma buf = { .len = 0 };
		struct iommufd_device *dev = NULL;
		struct iommufd_ioas *ioas = worker->bed->ioas, *own = NULL;
		uint64_t iova = 0;

		MUST(worker, iommufd_ioas_new(worker->bed->ctx, &own));
		if (worker->number < 2)
			ioas = own;
		MUST(worker, iommufd_device_new(worker->bed->ctx, worker->address, &dev));
		if (*worker->wrong)
			return NULL;
		MUST(worker, iommufd_ioas_map(own, pool, 4 * PAGE, RW, &iova));
		MUST(worker, iommufd_device_attach(dev, ioas));
		MUST(worker, iommufd_dma_alloc(ioas, 3 * PAGE, RW, &buf));
		if (*worker->wrong)
			return NULL;
		memset(buf.vaddr, 7, buf.len);
		use(worker, dev);
		MUST(worker, iommufd_ioas_to_iova(own, pool + PAGE, PAGE, &iova));
		iommufd_dma_free(ioas, &buf);
		if (i % 2)
			iommufd_ioas_free(own);
		iommufd_device_free(dev);
		if (i % 2 == 0)
			iommufd_ioas_free(own);
	}
	return NULL;
}

START_TEST(threads_make_use_and_free_handles_of_one_context)
{
	const char *const addresses[] = { EDU, NVME, TWIN_A, TWIN_B };
	struct worker workers[4];
	int fds = open_fds();
	struct bed bed;

	threads_open(&bed);
	for (int i = 0; i < 4; i++)
		worker_start(&workers[i], &bed, addresses[i], i, make_use_and_free);
	for (int i = 0; i < 4; i++)
		worker_join(&workers[i]);
	for (int i = 0; i < 4; i++)
		worker_check(&workers[i]);
	check_agreement(&bed, 0);
	bed_close(&bed);
	threads_check_log();
	ck_assert_int_eq(open_fds(), fds);
}
END_TEST

void add_threads_tests(TCase *tc)
{
	tcase_add_test(tc, threads_map_unmap_and_translate_while_devices_come_and_go);
	tcase_add_test(tc, threads_make_use_and_free_handles_of_one_context);
	add_threads_device_tests(tc);
}
