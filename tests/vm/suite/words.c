/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Each failure's words have the evidence that explains it. What is said is printed too, to be read by people. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm.h"

#define says(call, err, words)                      \
	do {                                        \
		fails(call, err, words);            \
		printf("# %s\n", iommufd_errmsg()); \
		fflush(stdout);                     \
	} while (0)

/* ---- Others that have the device ---- */

START_TEST(a_device_in_use_names_the_process)
{
	struct vm_other other;
	struct bed bed;

	vm_hold(EDU, &other);
	bed_open(&bed);
	says(iommufd_device_new(bed.ctx, EDU, &bed.dev), vm_path->by_node ? -EINVAL : -EBUSY, other.words);
	ck_assert_ptr_null(bed.dev);
	vm_let_go(&other);
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	bed_close(&bed);
}
END_TEST

/* Whose group somebody else owns: the node of the other device can be opened, but not be bound. */
START_TEST(a_group_that_another_process_owns_names_it)
{
	struct vm_other other;
	struct bed bed;

	vm_hold(TWIN_A, &other);
	bed_open(&bed);
	says(iommufd_device_new(bed.ctx, TWIN_B, &bed.dev), vm_path->by_node ? -EPERM : -EBUSY, other.words);
	vm_let_go(&other);
	ok(iommufd_device_new(bed.ctx, TWIN_B, &bed.dev));
	bed_close(&bed);
}
END_TEST

START_TEST(a_device_in_the_hands_of_another_user_says_who_can_find_out)
{
	struct vm_other other;
	struct bed bed;

	vm_open_to_all(EDU);
	vm_hold(EDU, &other);
	vm_become_user(1 << 20);
	bed_open(&bed);
	if (vm_path->by_node)
		says(iommufd_device_new(bed.ctx, EDU, &bed.dev), -EINVAL, "by a process that cannot be seen from here");
	else
		says(iommufd_device_new(bed.ctx, EDU, &bed.dev), -EBUSY,
		     "by nobody that this process can see: look as root");
	bed_close(&bed);
	vm_let_go(&other);
}
END_TEST

START_TEST(a_device_bound_and_its_group_open_is_named)
{
	char path[64], words[64];
	struct bed bed;
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/%d", vm_group(EDU));
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	snprintf(words, sizeof(words), "is open in this process, %d (vm-suite)", getpid());
	bed_open(&bed);
	says(iommufd_device_new(bed.ctx, EDU, &bed.dev), -EBUSY, words);
	close(fd);
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	bed_close(&bed);
}
END_TEST

/* ---- Drivers and modules ---- */

START_TEST(a_siblings_driver_is_named)
{
	char words[64];
	struct bed bed;

	vm_bind(TWIN_VIRTIO, "virtio-pci");
	bed_open(&bed);
	snprintf(words, sizeof(words), "%s is bound to virtio-pci", TWIN_VIRTIO);
	says(iommufd_device_new(bed.ctx, TWIN_A, &bed.dev), -EPERM, words);
	bed_close(&bed);
	vm_bind(TWIN_VIRTIO, "vfio-pci");
}
END_TEST

/* A group's device can be taken from VFIO until it is asked for. */
START_TEST(a_driver_that_was_bound_meanwhile_is_named)
{
	struct bed bed;

	bed_open_device(&bed, EDU);
	vm_bind(EDU, NULL);
	says(iommufd_device_attach(bed.dev, bed.ioas), -ENODEV, "it is now bound to no driver: bind it to vfio-pci");
	vm_bind(EDU, "vfio-pci");
	bed_close(&bed);
}
END_TEST

static const char *unsafe_interrupts(void)
{
	return vm_backend == IOMMUFD_BACKEND_IOMMUFD || vm_path->compat
		       ? "/sys/module/iommufd/parameters/allow_unsafe_interrupts"
		       : "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts";
}

static void allow_unsafe_interrupts(bool allow)
{
	int fd = open(unsafe_interrupts(), O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, allow ? "Y" : "N", 1), 1);
	close(fd);
}

/* Only a machine without isolated interrupts is started with the parameter on. */
static bool interrupts_are_isolated(void)
{
	char value = 'N';
	int fd = open(unsafe_interrupts(), O_RDONLY | O_CLOEXEC);
	bool isolated = fd < 0 || read(fd, &value, 1) < 1 || value != 'Y';

	if (fd >= 0)
		close(fd);
	return isolated;
}

START_TEST(interrupts_that_are_not_isolated_name_the_right_modules_parameter)
{
	const char *words = strstr(unsafe_interrupts(), "iommufd")
				    ? "iommufd's parameter allow_unsafe_interrupts is off"
				    : "vfio_iommu_type1's parameter allow_unsafe_interrupts is off";
	struct bed bed;
	int ret;

	bed_open(&bed);
	allow_unsafe_interrupts(false);
	ret = iommufd_device_new(bed.ctx, EDU, &bed.dev);
	if (!ret)
		ret = iommufd_device_attach(bed.dev, bed.ioas);
	allow_unsafe_interrupts(true); /* before a failure ends this test, since others want it too */
	says(ret, -EPERM, words);
	ck_assert_int_eq(!bed.dev, vm_path->by_node);
	iommufd_device_free(bed.dev);
	bed.dev = NULL;
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	bed_close(&bed);
}
END_TEST

/* What is open in a process that does nothing with it, until our end of a pipe is closed. */
static int keep_open_elsewhere(void)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	if (!fork()) {
		char byte;

		close(ends[1]);
		_exit(read(ends[0], &byte, 1) != 0);
	}
	close(ends[0]);
	return ends[1];
}

START_TEST(who_handed_a_device_over_is_not_taken_for_its_owner)
{
	static const char words[] = "no driver or process that can be seen has the group";
	char path[128];
	struct bed bed;
	int fd, leash, ret;

	snprintf(path, sizeof(path), "/dev/vfio/%d", vm_group(EDU));
	if (vm_path->by_node)
		vm_cdev(EDU, path, sizeof(path));
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	leash = keep_open_elsewhere();
	bed_open(&bed);
	if (!vm_path->by_node) {
		ok(iommufd_ctx_add_group(bed.ctx, fd));
		ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	}
	allow_unsafe_interrupts(false);
	ret = vm_path->by_node ? iommufd_device_from_fd(bed.ctx, fd, &bed.dev)
			       : iommufd_device_attach(bed.dev, bed.ioas);
	allow_unsafe_interrupts(true);
	fails(ret, -EPERM, words);
	bed_close(&bed);
	close(leash);
	close(fd);
}
END_TEST

/* ---- Memory ---- */

static void map_says(struct bed *bed, void *addr, size_t len, const char *words)
{
	uint64_t iova = 42;

	says(iommufd_ioas_map(bed->ioas, addr, len, RW, &iova), -EFAULT, words);
	ck_assert_uint_eq(iova, 42);
}

START_TEST(memory_that_cannot_be_pinned_is_told_what_it_is)
{
	int shorter = memfd_create("shorter", MFD_CLOEXEC);
	unsigned char *pages = memory(3 * PAGE), *file;
	char words[128];
	struct bed bed;

	bed_attach(&bed, EDU);
	snprintf(words, sizeof(words), "0x%lx-0x%lx is read-only", (unsigned long)(pages + PAGE),
		 (unsigned long)(pages + 2 * PAGE - 1));
	mprotect(pages + PAGE, PAGE, PROT_READ);
	map_says(&bed, pages, 3 * PAGE, words);
	munmap(pages + PAGE, PAGE);
	snprintf(words, sizeof(words), "nothing is mapped at 0x%lx-0x%lx", (unsigned long)(pages + PAGE),
		 (unsigned long)(pages + 2 * PAGE - 1));
	map_says(&bed, pages, 3 * PAGE, words);

	ck_assert_int_ge(shorter, 0);
	ck_assert_int_eq(ftruncate(shorter, PAGE), 0);
	file = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, shorter, 0);
	ck_assert_ptr_ne(file, MAP_FAILED);
	map_says(&bed, file, 2 * PAGE, "/memfd:shorter (deleted) is mapped at 0x");
	close(shorter);
	bed_close(&bed);
}
END_TEST

START_TEST(a_devices_memory_is_told_from_others)
{
	struct bed bed;
	void *bar;

	bed_attach(&bed, EDU);
	ok(iommufd_device_region_map(bed.dev, IOMMUFD_PCI_BAR0, 0, PAGE, PROT_READ | PROT_WRITE, &bar));
	map_says(&bed, bar, PAGE, "is a device's memory");
	bed_close(&bed);
}
END_TEST

START_TEST(locked_memory_is_counted)
{
	struct iommufd_dma dma, more = { .len = 0 };
	struct bed bed;

	vm_open_to_all(EDU);
	vm_become_user(64 << 10);
	bed_attach(&bed, EDU);
	ok(iommufd_dma_alloc(bed.ioas, 32 << 10, RW, &dma));
	says(iommufd_dma_alloc(bed.ioas, 48 << 10, RW, &more), -ENOMEM,
	     "49152 more bytes are to be pinned, and the memlock limit is 65536 bytes, counted per ");
	fails(iommufd_dma_alloc(bed.ioas, 48 << 10, RW, &more), -ENOMEM, "of which this process uses 32768");
	bed_close(&bed);
}
END_TEST

/* The contract's row tries that there is a limit; this one, that the words have the one that holds. */
START_TEST(too_many_mappings_name_the_limit_and_its_parameter)
{
	unsigned char *page = memory(PAGE);
	uint64_t left, iova;
	struct bed bed;

	ck_assert(vm_set_map_limit(64));
	bed_attach(&bed, EDU);
	ok(iommufd_ioas_maps_left(bed.ioas, &left));
	ck_assert_uint_eq(left, 64);
	while (left--)
		ok(iommufd_ioas_map(bed.ioas, page, PAGE, IOMMUFD_MAP_READ, &iova));
	says(iommufd_ioas_map(bed.ioas, page, PAGE, IOMMUFD_MAP_READ, &iova), -ENOSPC,
	     "a container takes 64 mappings, see the parameter dma_entry_limit");
	bed_close(&bed);
	ck_assert(vm_set_map_limit(VM_USUAL_MAP_LIMIT));
}
END_TEST

/* ---- Places ---- */

START_TEST(what_is_in_the_way_is_named)
{
	uint64_t iova = 0x200000, inside = 0x200000, reserved = MSI_WINDOW;
	unsigned char *pages = memory(2 * PAGE);
	struct bed bed;

	bed_open_device(&bed, EDU);
	ok(iommufd_ioas_map(bed.ioas, pages, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	says(iommufd_ioas_map(bed.ioas, pages, PAGE, RW | IOMMUFD_MAP_FIXED, &inside), -EEXIST,
	     "0x200000-0x201fff is mapped");
	ok(iommufd_ioas_map(bed.ioas, pages, PAGE, RW | IOMMUFD_MAP_FIXED, &reserved));
	says(iommufd_device_attach(bed.dev, bed.ioas), -EADDRINUSE, "the mapping " MSI_WINDOW_PAGE);
	bed_close(&bed);
}
END_TEST

void add_words_tests(TCase *tc)
{
	char group[64];

	snprintf(group, sizeof(group), "/dev/vfio/%d", vm_group(EDU));
	tcase_add_test(tc, a_device_in_use_names_the_process);
	tcase_add_test(tc, a_group_that_another_process_owns_names_it);
	tcase_add_test(tc, a_device_in_the_hands_of_another_user_says_who_can_find_out);
	if (!access(group, F_OK))
		tcase_add_test(tc, a_device_bound_and_its_group_open_is_named);
	tcase_add_test(tc, a_siblings_driver_is_named);
	if (!vm_path->by_node) /* a bound node keeps its driver */
		tcase_add_test(tc, a_driver_that_was_bound_meanwhile_is_named);
	if (!interrupts_are_isolated()) {
		tcase_add_test(tc, interrupts_that_are_not_isolated_name_the_right_modules_parameter);
		tcase_add_test(tc, who_handed_a_device_over_is_not_taken_for_its_owner);
	}
	tcase_add_test(tc, memory_that_cannot_be_pinned_is_told_what_it_is);
	if (vm_backend == IOMMUFD_BACKEND_IOMMUFD || vm_path->compat) /* type1 can map it */
		tcase_add_test(tc, a_devices_memory_is_told_from_others);
	tcase_add_test(tc, locked_memory_is_counted);
	if (vm_backend == IOMMUFD_BACKEND_VFIO && !vm_path->compat) /* iommufd has no limit */
		tcase_add_test(tc, too_many_mappings_name_the_limit_and_its_parameter);
	tcase_add_test(tc, what_is_in_the_way_is_named);
}
