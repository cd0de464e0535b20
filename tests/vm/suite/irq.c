/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vm.h"

static int event(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* How often an eventfd was signalled, waiting up to the time for a first one. */
static uint64_t signals(int fd, int ms)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	uint64_t count = 0;

	if (poll(&poller, 1, ms) == 1)
		ck_assert_int_eq(read(fd, &count, sizeof(count)), sizeof(count));
	return count;
}

static void raise_irq(struct edu *edu)
{
	iommufd_mmio_write32((char *)edu->bar + EDU_IRQ_RAISE, 1);
}

static void ack_irq(struct edu *edu)
{
	iommufd_mmio_write32((char *)edu->bar + EDU_IRQ_ACK, 1);
}

START_TEST(msi_signals_an_eventfd)
{
	int fd = event();
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSI, 0, 1, &fd));
	vm_is_silent(fd);
	raise_irq(&edu);
	ck_assert_uint_eq(signals(fd, 2000), 1);
	ack_irq(&edu);
	raise_irq(&edu);
	ck_assert_uint_eq(signals(fd, 2000), 1);
	ack_irq(&edu);

	ok(iommufd_device_irq_disable(bed.dev, IOMMUFD_PCI_MSI));
	ok(iommufd_device_irq_disable(bed.dev, IOMMUFD_PCI_MSI));
	vm_is_silent(fd);
	bed_close(&bed);
}
END_TEST

START_TEST(intx_is_masked_when_it_fires_until_it_is_unmasked)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };
	int fd = event();
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_device_irq_info(bed.dev, IOMMUFD_PCI_INTX, &info));
	ck_assert_uint_eq(info.count, 1);
	ck_assert(info.flags & IOMMUFD_IRQ_AUTOMASKED && info.flags & IOMMUFD_IRQ_MASKABLE);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_INTX, 0, 1, &fd));
	raise_irq(&edu);
	ck_assert_uint_eq(signals(fd, 2000), 1);
	/* The line is still up: only the mask keeps it from signalling again. */
	vm_is_silent(fd);
	ok(iommufd_device_irq_unmask(bed.dev, IOMMUFD_PCI_INTX, 0, 1));
	ck_assert_uint_eq(signals(fd, 2000), 1);
	ack_irq(&edu);
	ok(iommufd_device_irq_unmask(bed.dev, IOMMUFD_PCI_INTX, 0, 1));
	vm_is_silent(fd);

	ok(iommufd_device_irq_mask(bed.dev, IOMMUFD_PCI_INTX, 0, 1));
	raise_irq(&edu);
	vm_is_silent(fd);
	ok(iommufd_device_irq_unmask(bed.dev, IOMMUFD_PCI_INTX, 0, 1));
	ck_assert_uint_eq(signals(fd, 2000), 1);
	ack_irq(&edu);
	bed_close(&bed);
}
END_TEST

static void signal_event(int fd)
{
	ck_assert_int_eq(write(fd, &(uint64_t){ 1 }, sizeof(uint64_t)), sizeof(uint64_t));
}

/* Who handles it says so by an eventfd: then the line, which is still up, interrupts again, or nothing does. */
START_TEST(intx_is_unmasked_by_an_eventfd)
{
	int fd = event(), done = event(), other = event();
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_INTX, 0, 1, &fd));
	ok(iommufd_device_irq_set_resample(bed.dev, IOMMUFD_PCI_INTX, 0, done));
	raise_irq(&edu);
	ck_assert_uint_eq(signals(fd, 2000), 1);
	vm_is_silent(fd);
	signal_event(done);
	ck_assert_uint_eq(signals(fd, 2000), 1);
	ack_irq(&edu);
	signal_event(done);
	ck_assert_uint_eq(signals(done, 0), 0); /* the kernel has taken them */

	/* Another one takes its place, which the caller need not keep. */
	ok(iommufd_device_irq_set_resample(bed.dev, IOMMUFD_PCI_INTX, 0,
					   other)); /* the kernel is done with the first */
	vm_is_silent(fd);
	raise_irq(&edu);
	ck_assert_uint_eq(signals(fd, 2000), 1);
	signal_event(done);
	ck_assert_uint_eq(signals(done, 0), 1); /* nobody takes it any more */
	signal_event(other);
	ck_assert_uint_eq(signals(fd, 2000), 1);

	/* Then none: it is unmasked by a call again. */
	ok(iommufd_device_irq_set_resample(bed.dev, IOMMUFD_PCI_INTX, 0, -1));
	ok(iommufd_device_irq_set_resample(bed.dev, IOMMUFD_PCI_INTX, 0, -1));
	signal_event(other);
	ck_assert_uint_eq(signals(other, 0), 1);
	ok(iommufd_device_irq_unmask(bed.dev, IOMMUFD_PCI_INTX, 0, 1));
	ck_assert_uint_eq(signals(fd, 2000), 1);
	ack_irq(&edu);
	bed_close(&bed);
}
END_TEST

START_TEST(a_signal_that_was_there_before_unmasks_too)
{
	int fd = event(), done = event();
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_INTX, 0, 1, &fd));
	raise_irq(&edu);
	ck_assert_uint_eq(signals(fd, 2000), 1);
	signal_event(done);
	ok(iommufd_device_irq_set_resample(bed.dev, IOMMUFD_PCI_INTX, 0, done));
	ck_assert_uint_eq(signals(fd, 2000), 1);
	/* It ends with the type, and can then be set again. */
	ack_irq(&edu);
	ok(iommufd_device_irq_disable(bed.dev, IOMMUFD_PCI_INTX));
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_INTX, 0, 1, &fd));
	raise_irq(&edu);
	ck_assert_uint_eq(signals(fd, 2000), 1);
	signal_event(done);
	ck_assert_uint_eq(signals(done, 0), 1);
	signal_event(done);
	ok(iommufd_device_irq_set_resample(bed.dev, IOMMUFD_PCI_INTX, 0, done));
	ck_assert_uint_eq(signals(fd, 2000), 1);
	ack_irq(&edu);
	bed_close(&bed);
}
END_TEST

START_TEST(what_cannot_unmask_is_refused)
{
	int fd = event(), closed = event(), pipes[2];
	struct bed bed;

	ck_assert_int_eq(pipe(pipes), 0);
	bed_attach(&bed, EDU);
	fails(iommufd_device_irq_set_resample(bed.dev, IOMMUFD_PCI_INTX, 0, fd), -EINVAL, "enable it first");
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_INTX, 0, 1, &fd));
	close(closed); /* not sooner, or the number would be used again */
	fails(iommufd_device_irq_set_resample(bed.dev, IOMMUFD_PCI_INTX, 1, fd), -EINVAL, "which has 1");
	fails(iommufd_device_irq_set_resample(bed.dev, IOMMUFD_PCI_INTX, 0, closed), -EBADF, "open eventfd");
	fails(iommufd_device_irq_set_resample(bed.dev, IOMMUFD_PCI_INTX, 0, pipes[0]), -EINVAL, "open eventfd");
	fails(iommufd_device_irq_set_resample(bed.dev, IOMMUFD_PCI_MSI, 0, fd), -EOPNOTSUPP, "cannot be masked");
	fails(iommufd_device_irq_set_resample(bed.dev, IOMMUFD_PCI_REQ, 0, fd), -EOPNOTSUPP, "cannot be masked");
	fails(iommufd_device_irq_set_resample(bed.dev, 5, 0, fd), -EINVAL, "num_irqs");
	bed_close(&bed);
}
END_TEST

START_TEST(msix_vectors_have_eventfds_of_their_own)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };
	int fds[4] = { event(), event(), -1, event() };
	struct bed bed;

	bed_attach(&bed, NVME);
	ok(iommufd_device_irq_info(bed.dev, IOMMUFD_PCI_MSIX, &info));
	ck_assert_uint_ge(info.count, 4);
	ck_assert_uint_eq(info.enabled, 0);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 0, 4, fds));
	ok(iommufd_device_irq_info(bed.dev, IOMMUFD_PCI_MSIX, &info));
	ck_assert_uint_eq(info.enabled, 4);
	ok(iommufd_device_irq_trigger(bed.dev, IOMMUFD_PCI_MSIX, 1, 1));
	ck_assert_uint_eq(signals(fds[1], 2000), 1);
	ck_assert_uint_eq(signals(fds[0], 0), 0);
	ok(iommufd_device_irq_trigger(bed.dev, IOMMUFD_PCI_MSIX, 0, 4));
	ck_assert_uint_eq(signals(fds[0], 2000), 1);
	ck_assert_uint_eq(signals(fds[3], 2000), 1);
	ok(iommufd_device_irq_disable(bed.dev, IOMMUFD_PCI_MSIX));
	fails(iommufd_device_irq_trigger(bed.dev, IOMMUFD_PCI_MSIX, 0, 1), -EINVAL, "enable it first");
	bed_close(&bed);
}
END_TEST

START_TEST(an_eventfd_can_be_changed_while_enabled)
{
	int first = event(), second = event();
	struct bed bed;

	bed_attach(&bed, NVME);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 0, 1, &first));
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 0, 1, &second));
	ok(iommufd_device_irq_trigger(bed.dev, IOMMUFD_PCI_MSIX, 0, 1));
	ck_assert_uint_eq(signals(second, 2000), 1);
	ck_assert_uint_eq(signals(first, 0), 0);
	bed_close(&bed);
}
END_TEST

START_TEST(a_bad_eventfd_leaves_the_enabled_vectors_alone)
{
	int fds[2] = { event(), event() }, pipes[2];
	struct bed bed;

	ck_assert_int_eq(pipe(pipes), 0);
	bed_attach(&bed, NVME);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 0, 2, fds));
	fails(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 0, 2, (int[]){ fds[0], pipes[0] }), -EINVAL,
	      "open eventfd");
	ok(iommufd_device_irq_trigger(bed.dev, IOMMUFD_PCI_MSIX, 0, 2));
	ck_assert_uint_eq(signals(fds[0], 2000), 1);
	ck_assert_uint_eq(signals(fds[1], 2000), 1);
	bed_close(&bed);
}
END_TEST

START_TEST(requests_and_errors_can_be_disabled_whatever_was_enabled)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };
	int fds[2] = { event(), -1 };
	struct bed bed;

	bed_attach(&bed, NVME);
	for (int i = 0; i < 2; i++)
		for (uint32_t index = IOMMUFD_PCI_ERR; index <= IOMMUFD_PCI_REQ; index++) {
			ok(iommufd_device_irq_enable(bed.dev, index, 0, 1, &fds[i]));
			if (!i) {
				ok(iommufd_device_irq_trigger(bed.dev, index, 0, 1));
				ck_assert_uint_eq(signals(fds[i], 2000), 1);
			}
			ok(iommufd_device_irq_disable(bed.dev, index));
			ok(iommufd_device_irq_info(bed.dev, index, &info));
			ck_assert_uint_eq(info.enabled, 0);
		}
	bed_close(&bed);
}
END_TEST

START_TEST(one_type_of_interrupt_is_enabled_at_a_time)
{
	int fd = event();
	struct bed bed;

	bed_attach(&bed, EDU);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSI, 0, 1, &fd));
	fails(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_INTX, 0, 1, &fd), -EBUSY, "MSI is enabled");
	ok(iommufd_device_irq_disable(bed.dev, IOMMUFD_PCI_MSI));
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_INTX, 0, 1, &fd));
	bed_close(&bed);
}
END_TEST

START_TEST(interrupts_that_are_not_there_are_refused)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info), .count = 42 };
	int fd = event(), closed = event();
	struct bed bed;

	bed_attach(&bed, EDU);
	close(closed); /* not sooner, or the number would be used again */
	fails(iommufd_device_irq_info(bed.dev, 5, &info), -EINVAL, "num_irqs");
	fails(iommufd_device_irq_enable(bed.dev, UINT32_MAX, 0, 1, &fd), -EINVAL, "num_irqs");
	fails(iommufd_device_irq_disable(bed.dev, 5), -EINVAL, "num_irqs");
	fails(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSI, 0, 0, &fd), -EINVAL, "one vector at least");
	fails(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSI, 0, 2, &fd), -EINVAL, "which has 1");
	fails(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSI, 1, 1, &fd), -EINVAL, "which has 1");
	fails(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSI, UINT32_MAX, 2, &fd), -EINVAL, "which has 1");
	fails(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSIX, 0, 1, &fd), -EINVAL, "which has 0");
	fails(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSI, 0, 1, NULL), -EINVAL, "an eventfd for each");
	fails(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_MSI, 0, 1, &closed), -EBADF, "open eventfd");
	fails(iommufd_device_irq_unmask(bed.dev, IOMMUFD_PCI_INTX, 0, 1), -EINVAL, "enable it first");
	fails(iommufd_device_irq_mask(bed.dev, IOMMUFD_PCI_REQ, 0, 1), -EOPNOTSUPP, "cannot be masked");
	ck_assert_uint_eq(info.count, 42);
	/* After all that, nothing is enabled. */
	ok(iommufd_device_irq_info(bed.dev, IOMMUFD_PCI_MSI, &info));
	ck_assert_uint_eq(info.enabled, 0);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_INTX, 0, 1, &fd));
	bed_close(&bed);
}
END_TEST

/* As of a process that was moved into a folder that has nothing. */
START_TEST(interrupts_work_where_there_is_no_proc)
{
	char folder[] = "/tmp/no-proc-XXXXXX";
	int fd = event(), done = event(), closed = 500, pipes[2], root = open("/", O_PATH | O_CLOEXEC);
	struct bed bed;
	struct edu edu;

	ck_assert_int_eq(pipe(pipes), 0);
	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chroot(folder), 0);
	ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_INTX, 0, 1, &fd));
	ok(iommufd_device_irq_set_resample(bed.dev, IOMMUFD_PCI_INTX, 0, done));
	fails(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_INTX, 0, 1, &closed), -EBADF, "open eventfd");
	fails(iommufd_device_irq_set_resample(bed.dev, IOMMUFD_PCI_INTX, 0, closed), -EBADF, "open eventfd");
	fails(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_INTX, 0, 1, &pipes[0]), -EINVAL, "open eventfd");
	raise_irq(&edu);
	ck_assert_uint_eq(signals(fd, 2000), 1);
	ack_irq(&edu);
	/* What looks for leaks at the end wants its /proc back. */
	ck_assert(!fchdir(root) && !chroot("."));
	bed_close(&bed);
}
END_TEST

void add_irq_tests(TCase *tc)
{
	tcase_add_test(tc, msi_signals_an_eventfd);
	tcase_add_test(tc, intx_is_masked_when_it_fires_until_it_is_unmasked);
	tcase_add_test(tc, intx_is_unmasked_by_an_eventfd);
	tcase_add_test(tc, a_signal_that_was_there_before_unmasks_too);
	tcase_add_test(tc, what_cannot_unmask_is_refused);
	tcase_add_test(tc, msix_vectors_have_eventfds_of_their_own);
	tcase_add_test(tc, an_eventfd_can_be_changed_while_enabled);
	tcase_add_test(tc, a_bad_eventfd_leaves_the_enabled_vectors_alone);
	tcase_add_test(tc, requests_and_errors_can_be_disabled_whatever_was_enabled);
	tcase_add_test(tc, one_type_of_interrupt_is_enabled_at_a_time);
	tcase_add_test(tc, interrupts_that_are_not_there_are_refused);
	tcase_add_test(tc, interrupts_work_where_there_is_no_proc);
}
