/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A VM with devices: interrupts that come into it past the process. What else is refused is in kvm-refusal.c. */
#include "vm.h"

#if !defined(__x86_64__)
void add_kvm_tests(TCase *tc)
{
	(void)tc; /* the guest's instructions are for x86 */
}
#else
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest.h"

/* A VM, and a bed whose device was opened for it. */
struct scene {
	struct guest guest;
	struct iommufd_kvm *kvm;
	struct bed bed;
	struct edu edu;
};

static int open_for(struct iommufd_ctx *ctx, const char *address, struct iommufd_kvm *kvm, struct iommufd_device **dev)
{
	struct iommufd_device_opts opts = { .struct_size = sizeof(opts), .kvm = kvm };

	return iommufd_device_new_opts(ctx, address, &opts, dev);
}

static void scene_begin(struct scene *scene, const char *address)
{
	guest_open(&scene->guest);
	ok(iommufd_kvm_new(scene->guest.vm, &scene->kvm));
	bed_open(&scene->bed);
	ok(open_for(scene->bed.ctx, address, scene->kvm, &scene->bed.dev));
	ok(iommufd_device_attach(scene->bed.dev, scene->bed.ioas));
}

static void scene_begin_edu(struct scene *scene, const char *address)
{
	scene_begin(scene, address);
	edu_setup(&scene->edu, scene->bed.dev);
	guest_give(&scene->guest, scene->edu.bar);
}

/* The guest has a mapping of the device's, so it goes first. */
static void scene_end(struct scene *scene)
{
	guest_close(&scene->guest);
	bed_close(&scene->bed);
	iommufd_kvm_free(scene->kvm);
}

static unsigned int enabled(struct iommufd_device *dev, uint32_t index)
{
	struct iommufd_irq_info info = { .struct_size = sizeof(info) };

	ok(iommufd_device_irq_info(dev, index, &info));
	return info.enabled;
}

/* ---- Interrupts ---- */

#define TIMES 100

/*
 * The guest has its device interrupt, and a handler counts what the device was the reason of. Software emulation does
 * some of it twice, once in thousands, so that only what is lost is a mistake.
 */
static void raise_once(struct scene *scene, uint32_t gsi)
{
	unsigned int before = guest_count(&scene->guest, gsi);

	guest_do(&scene->guest, GUEST_RAISE);
	ck_assert_uint_ne(guest_count(&scene->guest, gsi), before);
}

static void raise_in_guest(uint32_t index, uint32_t gsi, uint32_t flags)
{
	struct iommufd_kvm_irqfd *irqfd;
	struct scene scene;

	scene_begin_edu(&scene, EDU);
	ok(iommufd_kvm_irqfd_add(scene.kvm, scene.bed.dev, index, 0, gsi, flags, &irqfd));
	for (unsigned int i = 0; i < TIMES; i++)
		raise_once(&scene, gsi);
	iommufd_kvm_irqfd_free(irqfd);
	ck_assert_uint_eq(enabled(scene.bed.dev, index), 0);
	printf("# %s: %d interrupts of edu by %s came into the VM\n", vm_path->name, TIMES,
	       index == IOMMUFD_PCI_MSI ? "MSI" : "INTx, each unmasked by the guest's end of interrupt");
	scene_end(&scene);
}

START_TEST(a_message_of_the_device_comes_into_the_vm_past_the_process)
{
	raise_in_guest(IOMMUFD_PCI_MSI, GUEST_MSI, 0);
}
END_TEST

/* A second one would never come if the end of the first had not unmasked it. */
START_TEST(a_level_comes_into_the_vm_again_and_again_since_its_end_unmasks_it)
{
	raise_in_guest(IOMMUFD_PCI_INTX, GUEST_INTX, IOMMUFD_KVM_RESAMPLE);
}
END_TEST

START_TEST(an_interrupt_that_was_taken_out_comes_to_the_process)
{
	struct pollfd poller = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .events = POLLIN };
	struct iommufd_kvm_irqfd *irqfd;
	struct scene scene;
	unsigned int count;

	scene_begin_edu(&scene, EDU);
	ok(iommufd_kvm_irqfd_add(scene.kvm, scene.bed.dev, IOMMUFD_PCI_MSI, 0, GUEST_MSI, 0, &irqfd));
	raise_once(&scene, GUEST_MSI);
	count = guest_count(&scene.guest, GUEST_MSI);
	iommufd_kvm_irqfd_free(irqfd);
	ok(iommufd_device_irq_enable(scene.bed.dev, IOMMUFD_PCI_MSI, 0, 1, &poller.fd));
	iommufd_mmio_write32((char *)scene.edu.bar + EDU_IRQ_RAISE, 1);
	ck_assert_int_eq(poll(&poller, 1, -1), 1);
	guest_do(&scene.guest, GUEST_LOOK);
	ck_assert_uint_eq(guest_count(&scene.guest, GUEST_MSI), count);
	close(poller.fd);
	scene_end(&scene);
}
END_TEST

START_TEST(an_irqfd_leaves_alone_what_is_not_its_own_any_more)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct iommufd_kvm_irqfd *irqfd;
	struct scene scene;

	scene_begin_edu(&scene, EDU);
	/* Somebody else has enabled it since. */
	ok(iommufd_kvm_irqfd_add(scene.kvm, scene.bed.dev, IOMMUFD_PCI_MSI, 0, GUEST_MSI, 0, &irqfd));
	ok(iommufd_device_irq_enable(scene.bed.dev, IOMMUFD_PCI_MSI, 0, 1, &fd));
	iommufd_kvm_irqfd_free(irqfd);
	ck_assert_uint_eq(enabled(scene.bed.dev, IOMMUFD_PCI_MSI), 1);
	ok(iommufd_device_irq_disable(scene.bed.dev, IOMMUFD_PCI_MSI));
	/* It was detached in between, and by now is attached elsewhere. */
	ok(iommufd_kvm_irqfd_add(scene.kvm, scene.bed.dev, IOMMUFD_PCI_MSI, 0, GUEST_MSI, 0, &irqfd));
	guest_close(&scene.guest);
	edu_detach(&scene.edu);
	ok(iommufd_device_attach(scene.bed.dev, scene.bed.ioas));
	ok(iommufd_device_irq_enable(scene.bed.dev, IOMMUFD_PCI_INTX, 0, 1, &fd));
	iommufd_kvm_irqfd_free(irqfd);
	ck_assert_uint_eq(enabled(scene.bed.dev, IOMMUFD_PCI_INTX), 1);
	close(fd);
	bed_close(&scene.bed);
	iommufd_kvm_free(scene.kvm);
}
END_TEST

#define VECTORS 4

static void vector_comes(struct scene *scene, uint32_t vector)
{
	unsigned int before = guest_calls(&scene->guest, GUEST_MSI + vector);

	ok(iommufd_device_irq_trigger(scene->bed.dev, IOMMUFD_PCI_MSIX, vector, 1));
	while (guest_calls(&scene->guest, GUEST_MSI + vector) == before)
		guest_do(&scene->guest, GUEST_WAIT);
}

START_TEST(each_vector_has_a_line_of_its_own)
{
	static const int none[VECTORS] = { -1, -1, -1, -1 };
	struct iommufd_kvm_irqfd *irqfds[VECTORS];
	struct iommufd_device *edu;
	struct scene scene;
	unsigned int calls;
	void *bar;

	scene_begin(&scene, NVME);
	/* The guest's handlers look at an edu device, whichever has interrupted. */
	ok(iommufd_device_new(scene.bed.ctx, EDU, &edu));
	ok(iommufd_device_attach(edu, scene.bed.ioas));
	ok(iommufd_device_region_map(edu, IOMMUFD_PCI_BAR0, 0, PAGE, PROT_READ | PROT_WRITE, &bar));
	guest_give(&scene.guest, bar);
	ok(iommufd_device_irq_enable(scene.bed.dev, IOMMUFD_PCI_MSIX, 0, VECTORS, none));
	for (uint32_t i = 0; i < VECTORS; i++)
		ok(iommufd_kvm_irqfd_add(scene.kvm, scene.bed.dev, IOMMUFD_PCI_MSIX, i, GUEST_MSI + i, 0, &irqfds[i]));
	for (uint32_t gone = 0; gone < VECTORS; gone++) {
		for (uint32_t i = gone; i < VECTORS; i++)
			vector_comes(&scene, i);
		/* The others go on without it. */
		iommufd_kvm_irqfd_free(irqfds[gone]);
		ck_assert_uint_eq(enabled(scene.bed.dev, IOMMUFD_PCI_MSIX), VECTORS);
		calls = guest_calls(&scene.guest, GUEST_MSI + gone);
		ok(iommufd_device_irq_trigger(scene.bed.dev, IOMMUFD_PCI_MSIX, gone, 1));
		guest_do(&scene.guest, GUEST_LOOK);
		ck_assert_uint_eq(guest_calls(&scene.guest, GUEST_MSI + gone), calls);
	}
	guest_close(&scene.guest);
	iommufd_device_free(edu);
	bed_close(&scene.bed);
	iommufd_kvm_free(scene.kvm);
}
END_TEST

/* ---- Lives ---- */

enum { KVM, IRQFD, DEVICE, IOAS, CONTEXT, HANDLES };

/* The order with this number, of all that there are. */
static void order_of(unsigned int number, unsigned int order[HANDLES])
{
	unsigned int left[HANDLES] = { KVM, IRQFD, DEVICE, IOAS, CONTEXT };

	for (unsigned int i = 0; i < HANDLES; i++) {
		unsigned int at = number % (HANDLES - i);

		number /= HANDLES - i;
		order[i] = left[at];
		left[at] = left[HANDLES - i - 1];
	}
}

static void free_handle(struct scene *scene, struct iommufd_kvm_irqfd *irqfd, unsigned int which)
{
	if (which == KVM)
		iommufd_kvm_free(scene->kvm);
	else if (which == IRQFD)
		iommufd_kvm_irqfd_free(irqfd);
	else if (which == DEVICE)
		iommufd_device_free(scene->bed.dev);
	else if (which == IOAS)
		iommufd_ioas_free(scene->bed.ioas);
	else
		iommufd_ctx_free(scene->bed.ctx);
}

#define ORDERS                              120

/* What were left over would hold the device, or the VM's only place for what KVM knows of VFIO. */
START_TEST(handles_can_be_freed_in_any_order)
{
	unsigned int order[HANDLES];
	struct iommufd_kvm_irqfd *irqfd;
	struct scene scene;
	int fds;

	guest_open(&scene.guest);
	fds = open_fds();
	for (unsigned int number = 0; number < ORDERS; number++) {
		bool level = number & 1;

		ok(iommufd_kvm_new(scene.guest.vm, &scene.kvm));
		bed_open(&scene.bed);
		ok(open_for(scene.bed.ctx, EDU, scene.kvm, &scene.bed.dev));
		ok(iommufd_device_attach(scene.bed.dev, scene.bed.ioas));
		ok(iommufd_kvm_irqfd_add(scene.kvm, scene.bed.dev, level ? IOMMUFD_PCI_INTX : IOMMUFD_PCI_MSI, 0,
					 level ? GUEST_INTX : GUEST_MSI, level ? IOMMUFD_KVM_RESAMPLE : 0, &irqfd));
		order_of(number, order);
		for (unsigned int i = 0; i < HANDLES; i++)
			free_handle(&scene, irqfd, order[i]);
		ck_assert_int_eq(open_fds(), fds);
	}
	guest_close(&scene.guest);
}
END_TEST

START_TEST(a_vm_that_goes_before_its_device_stays_until_that_goes)
{
	int fds = open_fds();
	struct iommufd_kvm_irqfd *irqfd;
	struct scene scene;

	scene_begin_edu(&scene, EDU);
	ok(iommufd_kvm_irqfd_add(scene.kvm, scene.bed.dev, IOMMUFD_PCI_MSI, 0, GUEST_MSI, 0, &irqfd));
	guest_do(&scene.guest, GUEST_RAISE);
	guest_close(&scene.guest);
	iommufd_kvm_free(scene.kvm);
	iommufd_mmio_write32((char *)scene.edu.bar + EDU_IRQ_RAISE, 1);
	edu_detach(&scene.edu);
	ok(iommufd_device_attach(scene.bed.dev, scene.bed.ioas));
	iommufd_kvm_irqfd_free(irqfd);
	bed_close(&scene.bed);
	ck_assert_int_eq(open_fds(), fds);
}
END_TEST

/* KVM would refuse a group that it is told of twice, and keep one that it is not told of the end of. */
START_TEST(two_devices_of_a_group_are_one_vms)
{
	struct iommufd_kvm_irqfd *irqfds[2];
	struct iommufd_device *second, *none = (void *)1;
	struct iommufd_kvm *other;
	struct guest stranger;
	unsigned int before;
	struct scene scene;
	struct edu edu;

	scene_begin_edu(&scene, TWIN_A);
	guest_open(&stranger);
	ok(iommufd_kvm_new(stranger.vm, &other));
	if (vm_path->by_node) {
		ok(open_for(scene.bed.ctx, TWIN_B, other, &second));
		iommufd_device_free(second);
	} else {
		fails(open_for(scene.bed.ctx, TWIN_B, other, &none), -EBUSY, "another VM's");
	}
	iommufd_kvm_free(other);
	guest_close(&stranger);

	ok(open_for(scene.bed.ctx, TWIN_B, scene.kvm, &second));
	ok(iommufd_device_attach(second, scene.bed.ioas));
	edu_setup(&edu, second);
	ok(iommufd_kvm_irqfd_add(scene.kvm, scene.bed.dev, IOMMUFD_PCI_MSI, 0, GUEST_MSI, 0, &irqfds[0]));
	ok(iommufd_kvm_irqfd_add(scene.kvm, second, IOMMUFD_PCI_MSI, 0, GUEST_MSI + 1, 0, &irqfds[1]));
	for (unsigned int i = 1; i <= 2; i++) {
		raise_once(&scene, GUEST_MSI);
		before = guest_calls(&scene.guest, GUEST_MSI + 1);
		iommufd_mmio_write32((char *)edu.bar + EDU_IRQ_RAISE, 1);
		while (guest_calls(&scene.guest, GUEST_MSI + 1) == before)
			guest_do(&scene.guest, GUEST_WAIT);
		iommufd_mmio_write32((char *)edu.bar + EDU_IRQ_ACK, 1);
	}
	iommufd_kvm_irqfd_free(irqfds[0]);
	guest_close(&scene.guest);
	iommufd_device_free(scene.bed.dev);
	/* The group is still the VM's. */
	ok(open_for(scene.bed.ctx, TWIN_A, scene.kvm, &scene.bed.dev));
	ok(iommufd_device_attach(scene.bed.dev, scene.bed.ioas));
	iommufd_device_free(second);
	iommufd_kvm_irqfd_free(irqfds[1]);
	bed_close(&scene.bed);
	iommufd_kvm_free(scene.kvm);
}
END_TEST

START_TEST(an_irqfd_that_cannot_be_leaves_the_interrupt_as_it_was)
{
	struct iommufd_kvm_irqfd *irqfd = (void *)1;
	struct iommufd_kvm *bare;
	struct scene scene;
	int vm, fds;

	scene_begin(&scene, EDU);
	vm = ioctl(scene.guest.kvm, KVM_CREATE_VM, 0);
	ok(iommufd_kvm_new(vm, &bare));
	fds = open_fds();
#define add(kvm, index, vector, gsi, flags) iommufd_kvm_irqfd_add(kvm, scene.bed.dev, index, vector, gsi, flags, &irqfd)
	fails(add(scene.kvm, 99, 0, GUEST_MSI, 0), -EINVAL, "num_irqs");
	fails(add(scene.kvm, IOMMUFD_PCI_MSI, 1, GUEST_MSI, 0), -EINVAL, "which has 1");
	fails(add(scene.kvm, IOMMUFD_PCI_MSI, 0, GUEST_MSI, 2), -EINVAL, "IOMMUFD_KVM_RESAMPLE or 0");
	fails(add(scene.kvm, IOMMUFD_PCI_MSI, 0, GUEST_MSI, IOMMUFD_KVM_RESAMPLE), -EINVAL, "it is no level");
	/* A VM without an interrupt controller. */
	fails(add(bare, IOMMUFD_PCI_MSI, 0, GUEST_MSI, 0), -EINVAL, "make it first");
	/* The VM has it by then, and gives it back. */
	ok(iommufd_device_irq_enable(scene.bed.dev, IOMMUFD_PCI_INTX, 0, 1, &(int){ -1 }));
	fails(add(scene.kvm, IOMMUFD_PCI_MSI, 0, GUEST_MSI, 0), -EBUSY, "INTx is enabled");
	ok(iommufd_device_irq_disable(scene.bed.dev, IOMMUFD_PCI_INTX));
	ck_assert_uint_eq(enabled(scene.bed.dev, IOMMUFD_PCI_MSI), 0);
	ck_assert_int_eq(open_fds(), fds);
	ok(iommufd_device_detach(scene.bed.dev));
	fails(add(scene.kvm, IOMMUFD_PCI_MSI, 0, GUEST_MSI, 0), -ENOTCONN, "attach it");
#undef add
	ck_assert_ptr_eq(irqfd, (void *)1);
	iommufd_kvm_free(bare);
	close(vm);
	iommufd_kvm_irqfd_free(NULL);
	scene_end(&scene);
}
END_TEST

void add_kvm_tests(TCase *tc)
{
	tcase_add_test(tc, a_message_of_the_device_comes_into_the_vm_past_the_process);
	tcase_add_test(tc, a_level_comes_into_the_vm_again_and_again_since_its_end_unmasks_it);
	tcase_add_test(tc, an_interrupt_that_was_taken_out_comes_to_the_process);
	tcase_add_test(tc, an_irqfd_leaves_alone_what_is_not_its_own_any_more);
	tcase_add_test(tc, each_vector_has_a_line_of_its_own);
	tcase_add_test(tc, handles_can_be_freed_in_any_order);
	tcase_add_test(tc, a_vm_that_goes_before_its_device_stays_until_that_goes);
	tcase_add_test(tc, two_devices_of_a_group_are_one_vms);
	tcase_add_test(tc, an_irqfd_that_cannot_be_leaves_the_interrupt_as_it_was);
	add_kvm_refusal_tests(tc);
}
#endif
