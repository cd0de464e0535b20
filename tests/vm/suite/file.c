/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Files for devices: a memfd, a file of tmpfs, huge pages, a dma-buf. */
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/udmabuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "door.h"
#include "vm.h"

#define HUGE UINT64_C(0x200000)
#define AT   UINT64_C(0x10000000)

static int memfd(unsigned int flags, size_t size)
{
	int fd = memfd_create("guest", MFD_CLOEXEC | flags);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static unsigned char *view_of(int fd, size_t size)
{
	unsigned char *view = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ck_assert_ptr_ne(view, MAP_FAILED);
	return view;
}

/* A page from the file to memory and back, by the device. */
static void moves(struct edu *edu, uint64_t iova, unsigned char *view, uint64_t other_iova, unsigned char *other)
{
	edu_copy_works(edu, iova, view, other_iova, other);
	edu_copy_works(edu, other_iova, other, iova, view);
}

START_TEST(a_device_reaches_a_memfd_whose_descriptor_was_closed)
{
	int fd = memfd(0, 4 * PAGE);
	unsigned char *view = view_of(fd, 4 * PAGE);
	struct iommufd_dma dma;
	uint64_t iova = 7, bytes;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_dma_alloc(bed.ioas, PAGE, RW, &dma));
	ok(iommufd_ioas_map_file(bed.ioas, fd, PAGE, 3 * PAGE, RW, &iova));
	close(fd);
	ck_assert_uint_eq(iova % PAGE, 0);
	ck_assert_uint_ne(iova, 0);
	moves(&edu, iova, view + PAGE, dma.iova, dma.vaddr);
	moves(&edu, iova + 2 * PAGE, view + 3 * PAGE, dma.iova, dma.vaddr);
	fails(iommufd_ioas_unmap(bed.ioas, iova, PAGE, NULL), -EINVAL, "whole mappings");
	ok(iommufd_ioas_unmap(bed.ioas, iova, 3 * PAGE, &bytes));
	ck_assert_uint_eq(bytes, 3 * PAGE);
	bed_close(&bed);
}
END_TEST

START_TEST(a_file_of_tmpfs_may_be_read_by_who_may_not_write_it)
{
	char path[] = "/dev/file-XXXXXX"; /* it is a tmpfs */
	int fd = mkstemp(path), ro;
	struct iommufd_dma dma;
	unsigned char *view;
	uint64_t iova = AT;
	struct bed bed;
	struct edu edu;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, PAGE), 0);
	view = view_of(fd, PAGE);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(ro, 0);
	unlink(path);
	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_dma_alloc(bed.ioas, PAGE, RW, &dma));
	fails(iommufd_ioas_map_file(bed.ioas, ro, 0, PAGE, RW, &iova), -EACCES, "opened for reading only");
	ok(iommufd_ioas_map_file(bed.ioas, ro, 0, PAGE, IOMMUFD_MAP_READ | IOMMUFD_MAP_FIXED, &iova));
	edu_copy_works(&edu, AT, view, dma.iova, dma.vaddr);
	fails(iommufd_ioas_copy(bed.ioas, AT, PAGE, bed.ioas, RW, &iova), -EPERM, "for reading only");
	close(ro);
	close(fd);
	bed_close(&bed);
}
END_TEST

/* Also a piece that begins and ends inside of a huge page. */
START_TEST(huge_pages_are_reached_whole_and_in_part)
{
	int fd = memfd(MFD_HUGETLB, 2 * HUGE);
	unsigned char *view = view_of(fd, 2 * HUGE);
	uint64_t whole = 7, part = 7;
	size_t before = door_mapped();
	struct iommufd_dma dma;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	before = door_mapped();
	edu_setup(&edu, bed.dev);
	ok(iommufd_dma_alloc(bed.ioas, PAGE, RW, &dma));
	ok(iommufd_ioas_map_file(bed.ioas, fd, HUGE, HUGE, RW, &whole));
	ck_assert_uint_eq(whole % HUGE, 0); /* so that the IOMMU can use a large page */
	ok(iommufd_ioas_map_file(bed.ioas, fd, HUGE - 2 * PAGE, 5 * PAGE, RW, &part));
	close(fd);
	moves(&edu, whole + HUGE - PAGE, view + 2 * HUGE - PAGE, dma.iova, dma.vaddr);
	moves(&edu, part, view + HUGE - 2 * PAGE, dma.iova, dma.vaddr);
	moves(&edu, part + 2 * PAGE, view + HUGE, whole + 3 * PAGE, view + HUGE + 3 * PAGE);
	iommufd_dma_free(bed.ioas, &dma);
	ok(iommufd_ioas_unmap_all(bed.ioas, NULL));
	edu_detach(&edu);
	ck_assert_uint_eq(door_mapped(), before);
	bed_close(&bed);
}
END_TEST

START_TEST(no_address_leads_to_a_mapping_of_a_file_or_from_it)
{
	int fd = memfd(0, 2 * PAGE);
	unsigned char *view = view_of(fd, 2 * PAGE);
	struct iommufd_segment segment;
	struct iovec iov = { view, PAGE };
	uint64_t file = AT, mem = 7, got = 7;
	void *vaddr = NULL;
	struct bed bed;

	bed_attach(&bed, EDU);
	ok(iommufd_ioas_map_file(bed.ioas, fd, 0, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &file));
	ck_assert_int_eq(iommufd_ioas_to_vaddr(bed.ioas, AT, 1, &vaddr), -ENOENT);
	ck_assert_int_eq(iommufd_ioas_to_iova(bed.ioas, view, 1, &got), -ENOENT);
	ck_assert_int_eq(iommufd_ioas_to_iova(bed.ioas, NULL, 1, &got), -ENOENT); /* where it begins in the file */
	ck_assert_int_eq(iommufd_ioas_to_iovas(bed.ioas, &iov, 1, &segment, 1), -ENOENT);
	/* but the same memory by its address is found */
	ok(iommufd_ioas_map(bed.ioas, view, PAGE, RW, &mem));
	ok(iommufd_ioas_to_iova(bed.ioas, view, PAGE, &got));
	ck_assert_uint_eq(got, mem);
	ok(iommufd_ioas_unmap(bed.ioas, AT, 2 * PAGE, NULL));
	ok(iommufd_ioas_to_iova(bed.ioas, view, PAGE, &got));
	close(fd);
	bed_close(&bed);
}
END_TEST

START_TEST(what_the_library_maps_into_the_process_goes_with_the_mapping)
{
	int fd = memfd(0, 16 * PAGE), fds = open_fds();
	uint64_t iova, copy;
	size_t before;
	struct bed bed;

	bed_open(&bed);
	before = door_mapped();
	for (int i = 0; i < 16; i++)
		ok(iommufd_ioas_map_file(bed.ioas, fd, (uint64_t)i * PAGE, PAGE, RW, &iova));
	ok(iommufd_ioas_copy(bed.ioas, iova, PAGE, bed.ioas, RW, &copy));
	if (vm_backend == IOMMUFD_BACKEND_VFIO)
		ck_assert_uint_eq(door_mapped(), before + 16 * PAGE);
	ok(iommufd_ioas_unmap(bed.ioas, iova, PAGE, NULL)); /* the copy has it still */
	if (vm_backend == IOMMUFD_BACKEND_VFIO)
		ck_assert_uint_eq(door_mapped(), before + 16 * PAGE);
	ok(iommufd_ioas_unmap(bed.ioas, copy, PAGE, NULL));
	if (vm_backend == IOMMUFD_BACKEND_VFIO)
		ck_assert_uint_eq(door_mapped(), before + 15 * PAGE);
	iommufd_ioas_free(bed.ioas);
	bed.ioas = NULL;
	ck_assert_uint_eq(door_mapped(), before);
	bed_close(&bed);
	ck_assert_int_eq(open_fds(), fds);
	close(fd);
}
END_TEST

START_TEST(what_cannot_be_had_is_refused_before_the_kernel_is_asked)
{
	int fd = memfd(MFD_ALLOW_SEALING, 4 * PAGE), other;
	uint64_t iova = 7, bytes;
	int ends[2];
	struct bed bed;

	bed_attach(&bed, EDU);
	fails(iommufd_ioas_map_file(bed.ioas, fd, 0, PAGE, 0, &iova), -EINVAL, "IOMMUFD_MAP_READ");
	fails(iommufd_ioas_map_file(bed.ioas, fd, 0, PAGE, RW | 1u << 30, &iova), -EINVAL, "IOMMUFD_MAP flags");
	fails(iommufd_ioas_map_file(bed.ioas, fd, 0, 0, RW, &iova), -EINVAL, "length in bytes");
	fails(iommufd_ioas_map_file(bed.ioas, fd, 17, PAGE, RW, &iova), -EINVAL, "iommufd_ioas_alignment()");
	fails(iommufd_ioas_map_file(bed.ioas, fd, 0, 100, RW, &iova), -EINVAL, "iommufd_ioas_alignment()");
	fails(iommufd_ioas_map_file(bed.ioas, fd, UINT64_MAX - (PAGE - 1), 2 * PAGE, RW, &iova), -EOVERFLOW, "length");
	fails(iommufd_ioas_map_file(bed.ioas, fd, PAGE, 4 * PAGE, RW, &iova), -EINVAL,
	      "bytes 0x1000-0x4fff of file descriptor");
	fails(iommufd_ioas_map_file(bed.ioas, fd, PAGE, 4 * PAGE, RW, &iova), -EINVAL, "ends after 0x4000 bytes");
	fails(iommufd_ioas_map_file(bed.ioas, -1, 0, PAGE, RW, &iova), -EBADF, "open one");

	other = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	fails(iommufd_ioas_map_file(bed.ioas, other, 0, PAGE, IOMMUFD_MAP_READ, &iova), -EINVAL, "only a memfd");
	close(other);
	other = open("/dev/zero", O_RDWR | O_CLOEXEC); /* a node in a tmpfs */
	fails(iommufd_ioas_map_file(bed.ioas, other, 0, PAGE, RW, &iova), -EINVAL, "only a memfd");
	close(other);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	fails(iommufd_ioas_map_file(bed.ioas, ends[0], 0, PAGE, RW, &iova), -EINVAL, "only a memfd");
	close(ends[0]);
	close(ends[1]);
	other = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fails(iommufd_ioas_map_file(bed.ioas, other, 0, PAGE, IOMMUFD_MAP_READ, &iova), -EINVAL, "only a memfd");
	close(other);
	fails(iommufd_ioas_map_file(bed.ioas, iommufd_ctx_fd(bed.ctx), 0, PAGE, RW, &iova), -EINVAL, "only a memfd");
	ck_assert_uint_eq(iova, 7);
	ok(iommufd_ioas_unmap_all(bed.ioas, &bytes));
	ck_assert_uint_eq(bytes, 0);
	close(fd);
	bed_close(&bed);
}
END_TEST

/* The kernel would let the device write what nobody else may. */
START_TEST(what_a_descriptor_may_not_do_a_device_may_not_either)
{
	int fd = memfd(MFD_ALLOW_SEALING, PAGE), again;
	char path[64];
	uint64_t iova = 7;
	struct bed bed;

	bed_attach(&bed, EDU);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_WRONLY | O_CLOEXEC);
	fails(iommufd_ioas_map_file(bed.ioas, again, 0, PAGE, RW, &iova), -EACCES, "for writing only");
	close(again);
	again = open(path, O_PATH | O_CLOEXEC);
	fails(iommufd_ioas_map_file(bed.ioas, again, 0, PAGE, RW, &iova), -EBADF, "O_PATH");
	close(again);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	fails(iommufd_ioas_map_file(bed.ioas, fd, 0, PAGE, RW, &iova), -EPERM, "sealed against writing");
	ck_assert_uint_eq(iova, 7);
	again = open(path, O_RDONLY | O_CLOEXEC);
	ok(iommufd_ioas_map_file(bed.ioas, again, 0, PAGE, IOMMUFD_MAP_READ, &iova));
	close(again);
	close(fd);
	bed_close(&bed);
}
END_TEST

START_TEST(files_are_there_at_the_first_attach_and_at_the_next)
{
	int fd = memfd(0, 2 * PAGE);
	unsigned char *view = view_of(fd, 2 * PAGE);
	uint64_t iova = AT, got;
	struct bed bed;
	struct edu edu;

	bed_open_device(&bed, EDU);
	ok(iommufd_ioas_map_file(bed.ioas, fd, 0, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	fails(iommufd_ioas_map_file(bed.ioas, fd, 0, PAGE, RW | IOMMUFD_MAP_FIXED, &iova), -EEXIST, "is mapped");
	close(fd);
	for (int i = 0; i < 2; i++) {
		ok(iommufd_device_attach(bed.dev, bed.ioas));
		edu_setup(&edu, bed.dev);
		moves(&edu, AT, view, AT + PAGE, view + PAGE);
		edu_detach(&edu);
	}
	ok(iommufd_ioas_unmap_all(bed.ioas, &got));
	ck_assert_uint_eq(got, 2 * PAGE);
	bed_close(&bed);
}
END_TEST

START_TEST(an_attach_names_the_piece_of_a_file_that_is_not_there_any_more)
{
	int good = memfd(0, PAGE), fd = memfd(0, 4 * PAGE);
	uint64_t iova = AT;
	struct bed bed;

	bed_open_device(&bed, EDU);
	ok(iommufd_ioas_map_file(bed.ioas, good, 0, PAGE, RW, &iova));
	iova = AT;
	ok(iommufd_ioas_map_file(bed.ioas, fd, 2 * PAGE, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ck_assert_int_eq(ftruncate(fd, 3 * PAGE), 0);
	fails(iommufd_device_attach(bed.dev, bed.ioas), -EFAULT,
	      "the mapping of bytes 0x2000-0x3fff of a file at IOVA 0x10000000 cannot be made");
	fails(iommufd_device_attach(bed.dev, bed.ioas), -EFAULT, "it was cut off");
	ck_assert_int_eq(ftruncate(fd, 4 * PAGE), 0);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	close(fd);
	close(good);
	bed_close(&bed);
}
END_TEST

START_TEST(files_count_as_pinned_memory_and_the_words_name_the_piece)
{
	int fd = memfd(0, 20 * PAGE);
	uint64_t iova = AT;
	struct bed bed;

	vm_open_to_all(EDU);
	vm_become_user(64 << 10);
	bed_open_device(&bed, EDU);
	ok(iommufd_ioas_map_file(bed.ioas, fd, PAGE, 17 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	fails(iommufd_device_attach(bed.dev, bed.ioas), -ENOMEM, "memlock limit is 65536");
	fails(iommufd_device_attach(bed.dev, bed.ioas), -ENOMEM, "bytes 0x1000-0x11fff of a file");
	ok(iommufd_ioas_unmap_all(bed.ioas, NULL));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	fails(iommufd_ioas_map_file(bed.ioas, fd, PAGE, 17 * PAGE, RW, &iova), -ENOMEM,
	      "bytes 0x1000-0x11fff of a file");
	ok(iommufd_ioas_map_file(bed.ioas, fd, PAGE, 12 * PAGE, RW, &iova));
	close(fd);
	bed_close(&bed);
}
END_TEST

START_TEST(a_part_of_a_file_mapping_is_copied_and_outlives_it)
{
	int fd = memfd(0, 4 * PAGE);
	unsigned char *view = view_of(fd, 4 * PAGE);
	struct iommufd_ioas *second;
	uint64_t iova = AT, copy = 7;
	void *vaddr;
	struct bed bed;
	struct edu edu;

	bed_open_device(&bed, EDU);
	ok(iommufd_ioas_new(bed.ctx, &second));
	ok(iommufd_ioas_map_file(second, fd, 0, 4 * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	close(fd);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	edu_setup(&edu, bed.dev);
	ok(iommufd_ioas_copy(second, AT + PAGE, 2 * PAGE, bed.ioas, RW, &copy));
	iommufd_ioas_free(second);
	moves(&edu, copy, view + PAGE, copy + PAGE, view + 2 * PAGE);
	ck_assert_int_eq(iommufd_ioas_to_vaddr(bed.ioas, copy, 1, &vaddr), -ENOENT);
	edu_detach(&edu);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	edu_setup(&edu, bed.dev);
	moves(&edu, copy, view + PAGE, copy + PAGE, view + 2 * PAGE);
	bed_close(&bed);
}
END_TEST

/* ---- dma-bufs ---- */

static bool maps_dmabufs(void)
{
	return vm_backend == IOMMUFD_BACKEND_IOMMUFD && vm_linux() >= 7;
}

START_TEST(a_dma_buf_of_ordinary_memory_is_refused)
{
	int fd = memfd(MFD_ALLOW_SEALING, 2 * PAGE), dev = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), buf;
	struct udmabuf_create create = { .memfd = (uint32_t)fd, .flags = UDMABUF_FLAGS_CLOEXEC, .size = 2 * PAGE };
	uint64_t iova = 7;
	struct bed bed;

	ck_assert_int_ge(dev, 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	buf = ioctl(dev, UDMABUF_CREATE, &create);
	ck_assert_int_ge(buf, 0);
	bed_attach(&bed, EDU);
	fails(iommufd_ioas_map_file(bed.ioas, buf, 0, 3 * PAGE, RW, &iova), -EINVAL, "ends after 0x2000 bytes");
	if (maps_dmabufs())
		fails(iommufd_ioas_map_file(bed.ioas, buf, 0, 2 * PAGE, RW, &iova), -EOPNOTSUPP, "map the memfd");
	else if (vm_backend == IOMMUFD_BACKEND_VFIO)
		fails(iommufd_ioas_map_file(bed.ioas, buf, 0, 2 * PAGE, RW, &iova), -EOPNOTSUPP,
		      "it is a dma-buf; VFIO's containers have no such thing");
	else
		fails(iommufd_ioas_map_file(bed.ioas, buf, 0, 2 * PAGE, RW, &iova), -EOPNOTSUPP, "it takes Linux 6.13");
	ck_assert_uint_eq(iova, 7);
	close(buf);
	close(dev);
	close(fd);
	bed_close(&bed);
}
END_TEST

/* As linux/vfio.h of Linux 6.19 has it. */
struct export
{
	uint32_t argsz, flags;
	uint32_t region_index, open_flags, dma_buf_flags, nr_ranges;
	struct {
		uint64_t offset, length;
	} ranges[1];
};
#define VFIO_DEVICE_FEATURE_CALL _IO(';', 100 + 17)
#define FEATURE_GET_DMA_BUF      (1u << 16 | 11)

static void set_command(struct iommufd_device *dev, unsigned int command)
{
	uint16_t value = (uint16_t)command;

	ok(iommufd_pci_config_write(dev, PCI_COMMAND, &value, sizeof(value)));
}

START_TEST(a_devices_memory_is_mapped_as_a_dma_buf_until_the_device_takes_it_back)
{
	struct export export = {
		.argsz = sizeof(export),
		.flags = FEATURE_GET_DMA_BUF,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr_ranges = 1,
		.ranges = { { 0, 0x100000 } },
	};
	uint64_t iova = AT, bytes;
	struct iommufd_device *other;
	uint16_t command;
	struct bed bed;
	int buf;

	bed_attach(&bed, EDU);
	ok(iommufd_device_new(bed.ctx, TWIN_A, &other));
	ok(iommufd_device_attach(other, bed.ioas));
	buf = ioctl(iommufd_device_fd(other), VFIO_DEVICE_FEATURE_CALL, &export);
	ck_assert_msg(buf >= 0, "no dma-buf: %s", strerror(errno));
	ok(iommufd_ioas_map_file(bed.ioas, buf, 0, 0x100000, RW | IOMMUFD_MAP_FIXED, &iova));
	iova = 7;
	fails(iommufd_ioas_map_file(bed.ioas, buf, PAGE, 0x100000, RW, &iova), -EINVAL, "ends after 0x100000 bytes");
	ok(iommufd_ioas_map_file(bed.ioas, buf, PAGE, PAGE, RW, &iova));
	ok(iommufd_ioas_copy(bed.ioas, AT, PAGE, bed.ioas, RW, &iova));

	/* while the device's memory is switched off, and when it is on again */
	ok(iommufd_pci_config_read(other, PCI_COMMAND, &command, sizeof(command)));
	set_command(other, command & ~(unsigned int)PCI_COMMAND_MEMORY);
	iova = 7;
	fails(iommufd_ioas_map_file(bed.ioas, buf, 0, PAGE, RW, &iova), -ENODEV, "has taken the memory back");
	ck_assert_uint_eq(iova, 7);
	set_command(other, command | PCI_COMMAND_MEMORY);
	ok(iommufd_ioas_map_file(bed.ioas, buf, 0, PAGE, RW, &iova));
	ok(iommufd_ioas_unmap_all(bed.ioas, &bytes));
	ck_assert_uint_eq(bytes, 0x100000 + 3 * PAGE);
	close(buf);
	iommufd_device_free(other);
	bed_close(&bed);
}
END_TEST

void add_file_tests(TCase *tc)
{
	tcase_add_test(tc, a_device_reaches_a_memfd_whose_descriptor_was_closed);
	tcase_add_test(tc, a_file_of_tmpfs_may_be_read_by_who_may_not_write_it);
	tcase_add_test(tc, huge_pages_are_reached_whole_and_in_part);
	tcase_add_test(tc, no_address_leads_to_a_mapping_of_a_file_or_from_it);
	tcase_add_test(tc, what_the_library_maps_into_the_process_goes_with_the_mapping);
	tcase_add_test(tc, what_cannot_be_had_is_refused_before_the_kernel_is_asked);
	tcase_add_test(tc, what_a_descriptor_may_not_do_a_device_may_not_either);
	tcase_add_test(tc, files_are_there_at_the_first_attach_and_at_the_next);
	tcase_add_test(tc, an_attach_names_the_piece_of_a_file_that_is_not_there_any_more);
	tcase_add_test(tc, files_count_as_pinned_memory_and_the_words_name_the_piece);
	tcase_add_test(tc, a_part_of_a_file_mapping_is_copied_and_outlives_it);
	if (!access("/dev/udmabuf", F_OK))
		tcase_add_test(tc, a_dma_buf_of_ordinary_memory_is_refused);
	if (maps_dmabufs())
		tcase_add_test(tc, a_devices_memory_is_mapped_as_a_dma_buf_until_the_device_takes_it_back);
}

/* ---- Without an IOMMU ---- */

START_TEST(a_device_without_an_iommu_and_a_file_do_not_meet)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts),
					 .backend = vm_backend,
					 .flags = IOMMUFD_CTX_NOIOMMU };
	int fd = memfd(0, PAGE);
	struct iommufd_ioas *second;
	uint64_t iova = 7;
	struct bed bed = { .ctx = NULL };

	ok(iommufd_ctx_new(&opts, &bed.ctx));
	ok(iommufd_ioas_new(bed.ctx, &bed.ioas));
	ok(iommufd_ioas_new(bed.ctx, &second));
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	ok(iommufd_ioas_map_file(bed.ioas, fd, 0, PAGE, RW, &iova));
	fails(iommufd_device_attach(bed.dev, bed.ioas), -EOPNOTSUPP, "for files there are none");
	ok(iommufd_device_attach(bed.dev, second));
	fails(iommufd_ioas_map_file(second, fd, 0, PAGE, RW, &iova), -EOPNOTSUPP, "for files there are none");
	fails(iommufd_ioas_copy(bed.ioas, iova, PAGE, second, RW, &iova), -EOPNOTSUPP, "for files there are none");
	close(fd);
	iommufd_ioas_free(second);
	bed_close(&bed);
}
END_TEST

void add_file_noiommu_tests(TCase *tc)
{
	tcase_add_test(tc, a_device_without_an_iommu_and_a_file_do_not_meet);
}
