/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* MSI-X of a drive: vectors that come and go, and interrupts that must not. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nvme.h"

/* Longer than anything takes. */
#define PATIENCE_MS 20000

static int event(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* How often an eventfd was signalled, once it was. */
static uint64_t signals(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	uint64_t count;

	ck_assert_msg(poll(&poller, 1, PATIENCE_MS) == 1, "no interrupt in %d ms", PATIENCE_MS);
	ck_assert_int_eq(read(fd, &count, sizeof(count)), sizeof(count));
	return count;
}

static bool is_quiet(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) < 0 && errno == EAGAIN;
}

static uint32_t flags_of(struct iommufd_device *dev)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };

	ok(iommufd_device_irq_info(dev, IOMMUFD_PCI_MSIX, &info));
	return info.flags;
}

static uint32_t enabled(struct iommufd_device *dev)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };

	ok(iommufd_device_irq_info(dev, IOMMUFD_PCI_MSIX, &info));
	return info.enabled;
}

/* The kernel signals before its call returns. */
static void each_works(struct iommufd_device *dev, const int *fds, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		ok(iommufd_device_irq_trigger(dev, IOMMUFD_PCI_MSIX, i, 1));
		for (uint32_t other = 0; other < count; other++)
			if (fds[other] >= 0 && other != i)
				ck_assert_msg(is_quiet(fds[other]), "vector %u signals that of %u", i, other);
		if (fds[i] >= 0)
			ck_assert_uint_eq(signals(fds[i]), 1);
	}
}

/* ---- Vectors that are added ---- */

START_TEST(vectors_can_be_added_to_those_that_are_enabled)
{
	int fds[6] = { event(), event(), event(), event(), event(), event() };
	struct bed bed;
	bool anew;

	bed_attach(&bed, NVME);
	anew = flags_of(bed.dev) & IOMMUFD_IRQ_NORESIZE;
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 0, 2, fds));
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 2, 2, fds + 2));
	ck_assert_uint_eq(enabled(bed.dev), 4);
	/* Who waited for one of the first two looks at the drive, where there was a moment without them. */
	for (int i = 0; i < 2; i++)
		if (anew)
			ck_assert_uint_eq(signals(fds[i]), 1);
	for (int i = 0; i < 4; i++)
		ck_assert(is_quiet(fds[i]));
	each_works(bed.dev, fds, 4);
	/* Not the next one, and one that is there beside one that is not. */
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 5, 1, fds + 5));
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 3, 2, fds + 3));
	ck_assert_uint_eq(enabled(bed.dev), 6);
	for (int i = 0; i < 6; i++)
		is_quiet(fds[i]);
	each_works(bed.dev, fds, 6);
	bed_close(&bed);
}
END_TEST

START_TEST(the_first_vector_that_is_enabled_need_not_be_the_first)
{
	int fds[4] = { -1, -1, -1, event() };
	struct bed bed;

	bed_attach(&bed, NVME);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 3, 1, fds + 3));
	ck_assert_uint_eq(enabled(bed.dev), 4);
	each_works(bed.dev, fds, 4);
	fds[1] = event();
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 1, 1, fds + 1));
	ck_assert_uint_eq(enabled(bed.dev), 4);
	each_works(bed.dev, fds, 4);
	bed_close(&bed);
}
END_TEST

/* The caller's may be closed, and a program that is started does not have the library's. */
START_TEST(the_library_has_copies_of_eventfds_that_a_new_program_does_not_get)
{
	int fds[2] = { event(), event() }, kept = dup(fds[0]), before = open_fds(), flags, copies = 0;
	char path[64], target[64];
	struct bed bed;

	bed_attach(&bed, NVME);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 0, 2, fds));
	close(fds[0]);
	close(fds[1]);
	for (int fd = 0; fd < 256; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target));
		if (n < 0 || strncmp(target, "anon_inode:[eventfd]", (size_t)n) != 0 || fd == kept)
			continue;
		flags = fcntl(fd, F_GETFD);
		ck_assert_int_eq(flags, FD_CLOEXEC);
		copies++;
	}
	ck_assert_int_eq(copies, 2);
	ok(iommufd_device_irq_trigger(bed.dev, IOMMUFD_PCI_MSIX, 0, 1));
	ck_assert_uint_eq(signals(kept), 1);
	bed_close(&bed);
	ck_assert_int_eq(open_fds(), before - 2);
}
END_TEST

START_TEST(without_a_file_descriptor_left_all_is_as_it_was)
{
	int fds[4] = { event(), event(), event(), event() }, spare;
	struct rlimit limit, less;
	struct bed bed;

	bed_attach(&bed, NVME);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 0, 2, fds));
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	/* One is left where three are needed. */
	spare = dup(fds[0]);
	less = (struct rlimit){ (rlim_t)spare + 1, limit.rlim_max };
	close(spare);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &less), 0);
	fails(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 1, 3, fds + 1), -EMFILE, "ulimit -n");
	ck_assert_int_eq(dup(fds[0]), spare);
	close(spare);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_uint_eq(enabled(bed.dev), 2);
	each_works(bed.dev, fds, 2);
	bed_close(&bed);
}
END_TEST

START_TEST(a_child_that_frees_its_handles_takes_no_interrupt_away)
{
	int fd = event(), status;
	struct bed bed;
	pid_t child;

	bed_attach(&bed, NVME);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 0, 1, &fd));
	child = fork();
	if (!child) {
		fails(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 1, 1, &fd), -EPERM, "fork()");
		bed_close(&bed);
		_exit(42);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 42 << 8);
	ok(iommufd_device_irq_trigger(bed.dev, IOMMUFD_PCI_MSIX, 0, 1));
	ck_assert_uint_eq(signals(fd), 1);
	bed_close(&bed);
}
END_TEST

/* ---- Interrupts of a drive at work ---- */

/* A command that does nothing to the drive. */
static const struct nvme_cmd ask_queues = { .opcode = NVME_GET_FEATURES, .cdw10 = 7 };

/* Its completion comes with an interrupt, or has come already when there is one for another reason. */
static void await(struct nvme *nvme, struct nvme_queue *queue, int fd)
{
	struct nvme_cqe cqe;

	do
		signals(fd);
	while (!nvme_take(nvme, queue, &cqe));
	ck_assert_uint_eq(cqe.status >> 1, 0);
}

START_TEST(no_interrupt_is_lost_while_vectors_are_added)
{
	int fds[4] = { event(), event(), event(), event() };
	struct nvme nvme;
	struct bed bed;

	bed_attach(&bed, NVME);
	nvme_open(&nvme, bed.dev, bed.ioas);
	nvme_start(&nvme);
	for (int i = 0; i < 50; i++) {
		ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 0, 1, fds));
		for (uint32_t more = 1; more < 4; more++) {
			nvme_submit(&nvme, &nvme.admin, &ask_queues);
			ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, more, 1, fds + more));
			await(&nvme, &nvme.admin, fds[0]);
		}
		ok(iommufd_device_irq_disable(bed.dev, IOMMUFD_PCI_MSIX));
	}
	nvme_close(&nvme);
	bed_close(&bed);
}
END_TEST

/* What comes at the very moment may be lost, as it was once in some thousands: hence the trigger. */
START_TEST(no_interrupt_is_lost_while_an_eventfd_is_changed_and_triggered)
{
	int fds[2] = { event(), event() };
	struct nvme nvme;
	struct bed bed;

	bed_attach(&bed, NVME);
	nvme_open(&nvme, bed.dev, bed.ioas);
	nvme_start(&nvme);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 0, 1, fds));
	for (int i = 0; i < 200; i++) {
		nvme_submit(&nvme, &nvme.admin, &ask_queues);
		ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 0, 1, &fds[~i & 1]));
		ok(iommufd_device_irq_trigger(bed.dev, IOMMUFD_PCI_MSIX, 0, 1));
		await(&nvme, &nvme.admin, fds[~i & 1]);
	}
	nvme_close(&nvme);
	bed_close(&bed);
}
END_TEST

#define PER_RESET 100

/*
 * A hundred resets, or as many as $TEST_RESETS says.
 * Each command of the two queues, in turn, has to interrupt by its vector, and once; the eventfds are enabled before
 * the first reset and never again. One command at a time, since two interrupts of one vector may become one on their
 * way.
 */
START_TEST(ten_thousand_interrupts_come_across_a_hundred_resets)
{
	unsigned long resets = vm_rounds("TEST_RESETS", 100);
	int fds[4] = { event(), -1, event(), event() };
	struct nvme nvme;
	struct bed bed;

	bed_attach(&bed, NVME);
	nvme_open(&nvme, bed.dev, bed.ioas);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 0, 4, fds));
	nvme.admin.event = fds[0];
	nvme.io.event = fds[3];
	for (unsigned long reset = 0; reset < resets; reset++) {
		ok(iommufd_device_reset(bed.dev));
		nvme_start(&nvme);
		nvme_start_io(&nvme, 3); /* which takes two commands */
		for (int i = 2; i < PER_RESET; i += 2) {
			nvme_run(&nvme, &nvme.admin, &ask_queues, NULL);
			nvme_blocks(&nvme, NVME_READ, (uint64_t)i, 1, 0);
		}
	}
	ck_assert_uint_eq(nvme.admin.interrupts, resets * (PER_RESET / 2 + 1));
	ck_assert_uint_eq(nvme.io.interrupts, resets * (PER_RESET / 2 - 1));
	for (int i = 0; i < 4; i++)
		ck_assert(fds[i] < 0 || is_quiet(fds[i]));
	each_works(bed.dev, fds, 4);
	nvme_close(&nvme);
	bed_close(&bed);
}
END_TEST

START_TEST(errors_and_requests_are_told_of_after_a_reset_too)
{
	int fds[2] = { event(), event() };
	struct bed bed;

	bed_attach(&bed, NVME);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_ERR, 0, 1, fds));
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_REQ, 0, 1, fds + 1));
	ok(iommufd_device_reset(bed.dev));
	for (uint32_t i = 0; i < 2; i++) {
		ok(iommufd_device_irq_trigger(bed.dev, IOMMUFD_PCI_ERR + i, 0, 1));
		ck_assert_uint_eq(signals(fds[i]), 1);
		ck_assert(is_quiet(fds[!i]));
	}
	bed_close(&bed);
}
END_TEST

void add_vectors_tests(TCase *tc)
{
	tcase_set_timeout(tc, 900); /* a hundred resets take half a minute, and many times that on a busy computer */
	tcase_add_test(tc, vectors_can_be_added_to_those_that_are_enabled);
	tcase_add_test(tc, the_first_vector_that_is_enabled_need_not_be_the_first);
	tcase_add_test(tc, the_library_has_copies_of_eventfds_that_a_new_program_does_not_get);
	tcase_add_test(tc, without_a_file_descriptor_left_all_is_as_it_was);
	tcase_add_test(tc, a_child_that_frees_its_handles_takes_no_interrupt_away);
	tcase_add_test(tc, no_interrupt_is_lost_while_vectors_are_added);
	tcase_add_test(tc, no_interrupt_is_lost_while_an_eventfd_is_changed_and_triggered);
	tcase_add_test(tc, ten_thousand_interrupts_come_across_a_hundred_resets);
	tcase_add_test(tc, errors_and_requests_are_told_of_after_a_reset_too);
}
