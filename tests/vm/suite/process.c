/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* An iommufd that others have to do with: VFIO's calls on it, and a process that takes it over. */
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm.h"

static bool iommufd(void)
{
	return vm_backend == IOMMUFD_BACKEND_IOMMUFD;
}

START_TEST(vfios_calls_work_on_the_ioas_that_was_set)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = 0x100000, .size = PAGE };
	struct iommufd_ioas *foreign;
	uint64_t iova = 0x100000;
	struct bed bed, other;
	uint32_t id = 7;

	bed_open(&bed);
	bed_open(&other);
	foreign = other.ioas;
	if (!iommufd()) {
		fails(iommufd_ctx_set_compat_ioas(bed.ctx, bed.ioas), -EOPNOTSUPP, "use the backend iommufd");
		fails(iommufd_ctx_get_compat_ioas(bed.ctx, &id), -EOPNOTSUPP, "use the backend iommufd");
		fails(iommufd_ctx_clear_compat_ioas(bed.ctx), -EOPNOTSUPP, "use the backend iommufd");
		ck_assert_uint_eq(id, 7);
		bed_close(&other);
		bed_close(&bed);
		return;
	}
	fails(iommufd_ctx_get_compat_ioas(bed.ctx, &id), -ENOENT, "there is none");
	ck_assert_uint_eq(id, 7);
	ok(iommufd_ctx_clear_compat_ioas(bed.ctx));
	fails(iommufd_ctx_set_compat_ioas(bed.ctx, foreign), -EINVAL, "from this context");
	ok(iommufd_ctx_set_compat_ioas(bed.ctx, bed.ioas));
	ok(iommufd_ctx_get_compat_ioas(bed.ctx, &id));
	ck_assert_uint_eq(id, iommufd_ioas_id(bed.ioas));

	/* an old call finds what the library has mapped */
	ok(iommufd_ioas_map(bed.ioas, memory(PAGE), PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ck_assert_int_eq(ioctl(iommufd_ctx_fd(bed.ctx), VFIO_IOMMU_UNMAP_DMA, &unmap), 0);
	ck_assert_uint_eq(unmap.size, PAGE);

	/* an attach by group needs it for itself, and gives it back */
	ok(iommufd_device_new(bed.ctx, EDU, &bed.dev));
	ok(iommufd_ioas_unmap_all(bed.ioas, NULL));
	ok(iommufd_ioas_new(bed.ctx, &foreign));
	ok(iommufd_device_attach(bed.dev, foreign));
	ok(iommufd_ctx_get_compat_ioas(bed.ctx, &id));
	ck_assert_uint_eq(id, iommufd_ioas_id(bed.ioas));
	iommufd_ioas_free(foreign);

	ok(iommufd_ctx_clear_compat_ioas(bed.ctx));
	fails(iommufd_ctx_get_compat_ioas(bed.ctx, &id), -ENOENT, "there is none");
	bed_close(&other);
	bed_close(&bed);
}
END_TEST

START_TEST(an_ioas_that_is_gone_is_not_there_for_vfios_calls)
{
	uint32_t id = 7;
	struct bed bed;

	bed_open(&bed);
	ok(iommufd_ctx_set_compat_ioas(bed.ctx, bed.ioas));
	iommufd_ioas_free(bed.ioas);
	bed.ioas = NULL;
	fails(iommufd_ctx_get_compat_ioas(bed.ctx, &id), -ENOENT, "there is none");
	bed_close(&bed);
}
END_TEST

/* ---- Another process ---- */

#define FILE_PAGES 12

/* The kernel counts for the new process before it stops counting for the old one: both are of one user. */
#define LIMIT (2 * FILE_PAGES * PAGE)

static unsigned long pinned(pid_t pid)
{
	unsigned long kib = 0;
	char path[64], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file) && sscanf(line, "VmPin: %lu", &kib) != 1)
		;
	fclose(file);
	return kib;
}

static int memfd(unsigned char **view)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)FILE_PAGES * PAGE), 0);
	*view = mmap(NULL, (size_t)FILE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(*view, MAP_FAILED);
	return fd;
}

static bool changes_process(void)
{
	return iommufd() && vm_linux() >= 7;
}

START_TEST(what_stands_in_the_way_of_another_process_is_named)
{
	uint64_t file = 0x200000, mem = 0x100000;
	struct iommufd_ioas *second;
	unsigned char *view;
	struct bed bed;
	int fd = memfd(&view);

	bed_open(&bed);
	if (!changes_process()) {
		fails(iommufd_ctx_can_change_process(bed.ctx), iommufd() ? -ENOTTY : -EOPNOTSUPP,
		      iommufd() ? "it takes Linux 6.14" : "use the backend iommufd");
		fails(iommufd_ctx_change_process(bed.ctx), iommufd() ? -ENOTTY : -EOPNOTSUPP,
		      iommufd() ? "it takes Linux 6.14" : "use the backend iommufd");
		close(fd);
		bed_close(&bed);
		return;
	}
	ok(iommufd_ctx_can_change_process(bed.ctx));
	ok(iommufd_ioas_map_file(bed.ioas, fd, 0, PAGE, RW | IOMMUFD_MAP_FIXED, &file));
	ok(iommufd_ctx_can_change_process(bed.ctx));
	ok(iommufd_ctx_change_process(bed.ctx));
	ok(iommufd_ioas_new(bed.ctx, &second));
	ok(iommufd_ioas_map(second, view, 2 * PAGE, RW | IOMMUFD_MAP_FIXED, &mem));
	fails(iommufd_ctx_can_change_process(bed.ctx), -EINVAL,
	      "the mapping 0x100000-0x101fff is of this process's memory");
	fails(iommufd_ctx_can_change_process(bed.ctx), -EINVAL, "iommufd_ioas_map_file()");
	fails(iommufd_ctx_change_process(bed.ctx), -EINVAL, "the mapping 0x100000-0x101fff");
	iommufd_ioas_free(second);
	ok(iommufd_ctx_can_change_process(bed.ctx));
	close(fd);
	bed_close(&bed);
}
END_TEST

/* The new process: 0, or the number of the step that failed. */
static int take_over(int fd, unsigned long before, size_t small)
{
	struct rlimit limit = { .rlim_cur = small, .rlim_max = small };
	struct iommufd_ctx *ctx;

	if (small) /* less than what is pinned */
		return setrlimit(RLIMIT_MEMLOCK, &limit) || iommufd_ctx_from_fd(fd, NULL, &ctx) ||
		       iommufd_ctx_change_process(ctx) != -ENOMEM || !strstr(iommufd_errmsg(), "memlock limit") ||
		       pinned(getpid()) != before;
	if (pinned(getpid()) != before)
		return 2;
	if (iommufd_ctx_from_fd(fd, NULL, &ctx))
		return 3;
	if (iommufd_ctx_can_change_process(ctx) || iommufd_ctx_change_process(ctx))
		return 4;
	if (pinned(getpid()) != before + FILE_PAGES * PAGE / 1024)
		return 5;
	iommufd_ctx_free(ctx);
	return 0;
}

static int in_another_process(struct bed *bed, size_t small, bool (*meanwhile)(void))
{
	int done[2], leash[2], status = 1, step = 0;
	char byte = 0;
	pid_t pid;

	ck_assert_int_eq(pipe(done), 0);
	ck_assert_int_eq(pipe(leash), 0);
	pid = fork();
	if (!pid) {
		close(leash[1]);
		byte = (char)take_over(iommufd_ctx_fd(bed->ctx), 0, small);
		if (write(done[1], &byte, 1) != 1)
			_exit(1);
		_exit((int)read(leash[0], &byte, 1));
	}
	close(leash[0]);
	ck_assert_int_eq(read(done[0], &byte, 1), 1);
	step = byte;
	if (!step && meanwhile && !meanwhile())
		step = -1;
	close(leash[1]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	close(done[0]);
	close(done[1]);
	return step;
}

static bool nothing_is_pinned_here(void)
{
	return pinned(getpid()) == 0;
}

/* As an ordinary user, since nothing counts for who has CAP_IPC_LOCK. */
START_TEST(pinned_files_are_counted_for_the_process_that_takes_them_over)
{
	uint64_t iova = 0x200000, mem = 7;
	unsigned char *view;
	struct bed bed;
	struct edu edu;
	int fd;

	vm_open_to_all(EDU);
	vm_become_user(LIMIT);
	fd = memfd(&view);
	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_ioas_map_file(bed.ioas, fd, 0, (size_t)FILE_PAGES * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	close(fd);
	ck_assert_uint_eq(pinned(getpid()), FILE_PAGES * PAGE / 1024);
	ok(iommufd_ctx_can_change_process(bed.ctx));

	/* one whose limit is too small changes nothing */
	ck_assert_int_eq(in_another_process(&bed, PAGE, NULL), 0);
	ck_assert_uint_eq(pinned(getpid()), FILE_PAGES * PAGE / 1024);

	ck_assert_int_eq(in_another_process(&bed, 0, nothing_is_pinned_here), 0);
	ck_assert_uint_eq(pinned(getpid()), 0);
	/* that process is gone, and the device goes on */
	edu_copy_works(&edu, iova, view, iova + PAGE, view + PAGE);

	/* and back; the user's count was right all the time, so that the rest of the limit is there and no more */
	ok(iommufd_ctx_change_process(bed.ctx));
	ck_assert_uint_eq(pinned(getpid()), FILE_PAGES * PAGE / 1024);
	fails(iommufd_ioas_map(bed.ioas, memory(LIMIT), (FILE_PAGES + 1) * PAGE, RW, &mem), -ENOMEM,
	      "memlock limit is");
	ok(iommufd_ioas_map(bed.ioas, memory(LIMIT), (size_t)FILE_PAGES * PAGE, RW, &mem));
	bed_close(&bed);
}
END_TEST

void add_process_tests(TCase *tc)
{
	tcase_add_test(tc, vfios_calls_work_on_the_ioas_that_was_set);
	if (iommufd())
		tcase_add_test(tc, an_ioas_that_is_gone_is_not_there_for_vfios_calls);
	tcase_add_test(tc, what_stands_in_the_way_of_another_process_is_named);
	if (changes_process())
		tcase_add_test(tc, pinned_files_are_counted_for_the_process_that_takes_them_over);
}
