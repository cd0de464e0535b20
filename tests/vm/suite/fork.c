/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A child process has copies of the handles, and the kernel's objects are its parent's. */
#include <sys/wait.h>
#include <unistd.h>

#include "vm.h"

/* Runs it in a child process, where failed assertions count as well. */
static void in_child(void (*run)(struct bed *bed, struct iommufd_dma *dma), struct bed *bed, struct iommufd_dma *dma)
{
	int status;
	pid_t child = fork();

	if (!child) {
		run(bed, dma);
		_exit(42);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static int fds_before;

static void free_all(struct bed *bed, struct iommufd_dma *dma)
{
	iommufd_dma_free(bed->ioas, dma);
	ck_assert_uint_eq(dma->len, 0);
	bed_close(bed);
	ck_assert_int_eq(open_fds(), fds_before);
}

static void free_all_in_another_order(struct bed *bed, struct iommufd_dma *dma)
{
	iommufd_ctx_free(bed->ctx);
	iommufd_dma_free(bed->ioas, dma);
	iommufd_ioas_free(bed->ioas);
	iommufd_device_free(bed->dev);
	ck_assert_int_eq(open_fds(), fds_before);
}

START_TEST(what_a_child_frees_stays_its_parents)
{
	unsigned char *pages = memory(2 * PAGE);
	struct iommufd_dma dma;
	uint64_t iova;
	struct bed bed;
	struct edu edu;

	fds_before = open_fds();
	bed_attach(&bed, EDU);
	ok(iommufd_dma_alloc(bed.ioas, PAGE, RW, &dma));
	ok(iommufd_ioas_map(bed.ioas, pages, 2 * PAGE, RW, &iova));
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, iova, pages, dma.iova, dma.vaddr);

	in_child(free_all, &bed, &dma);
	in_child(free_all_in_another_order, &bed, &dma);

	edu_copy_works(&edu, iova, pages, dma.iova, dma.vaddr);
	edu_copy_works(&edu, dma.iova, dma.vaddr, iova + PAGE, pages + PAGE);
	ok(iommufd_ioas_unmap(bed.ioas, iova, 2 * PAGE, NULL));
	iommufd_dma_free(bed.ioas, &dma);
	edu_detach(&edu);
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	bed_close(&bed);
	ck_assert_int_eq(open_fds(), fds_before);
}
END_TEST

static void try_everything(struct bed *bed, struct iommufd_dma *dma)
{
	struct iommufd_dma another = { .len = 0 };
	struct iommufd_ioas *ioas = NULL;
	struct iommufd_device *dev = NULL;
	struct iommufd_ctx *ctx = NULL;
	uint64_t iova = 7, bytes = 7;
	uint32_t id;

	fails(iommufd_ioas_new(bed->ctx, &ioas), -EPERM, "before fork()");
	fails(iommufd_ctx_has(bed->ctx, IOMMUFD_HAS_COPY), -EPERM, "before fork()");
	fails(iommufd_device_new(bed->ctx, NVME, &dev), -EPERM, "before fork()");
	fails(iommufd_device_from_fd(bed->ctx, 0, &dev), -EPERM, "before fork()");
	fails(iommufd_device_attach(bed->dev, bed->ioas), -EPERM, "before fork()");
	fails(iommufd_device_detach(bed->dev), -EPERM, "before fork()");
	fails(iommufd_device_reset(bed->dev), -EPERM, "before fork()");
	fails(iommufd_device_region_read(bed->dev, IOMMUFD_PCI_CONFIG, 0, &id, sizeof(id)), -EPERM, "before fork()");
	fails(iommufd_ioas_map(bed->ioas, memory(PAGE), PAGE, RW, &iova), -EPERM, "before fork()");
	fails(iommufd_ioas_unmap(bed->ioas, dma->iova, dma->len, &bytes), -EPERM, "before fork()");
	fails(iommufd_ioas_unmap_all(bed->ioas, &bytes), -EPERM, "before fork()");
	fails(iommufd_dma_alloc(bed->ioas, PAGE, RW, &another), -EPERM, "before fork()");
	ck_assert(!ioas && !dev && iova == 7 && bytes == 7 && !another.len);

	ok(iommufd_ctx_new(NULL, &ctx));
	ok(iommufd_ioas_new(ctx, &ioas));
	ok(iommufd_ioas_map(ioas, memory(PAGE), PAGE, RW, &iova));
	iommufd_ioas_free(ioas);
	iommufd_ctx_free(ctx);
}

START_TEST(a_child_is_refused_everything_but_a_context_of_its_own)
{
	struct iommufd_dma dma;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	ok(iommufd_dma_alloc(bed.ioas, 2 * PAGE, RW, &dma));
	in_child(try_everything, &bed, &dma);
	edu_setup(&edu, bed.dev);
	edu_copy_works(&edu, dma.iova, dma.vaddr, dma.iova + PAGE, (char *)dma.vaddr + PAGE);
	iommufd_dma_free(bed.ioas, &dma);
	bed_close(&bed);
}
END_TEST

/* A child that does nothing at all still has the descriptors. */
START_TEST(a_living_child_holds_a_group_that_its_parent_detaches)
{
	struct iommufd_ioas *second;
	struct bed bed;
	int status, pipes[2];
	char byte;
	pid_t child;

	bed_attach(&bed, EDU);
	ok(iommufd_ioas_new(bed.ctx, &second));
	ck_assert_int_eq(pipe(pipes), 0);
	child = fork();
	if (!child) {
		close(pipes[1]);
		_exit(read(pipes[0], &byte, 1) != 0);
	}
	ok(iommufd_device_detach(bed.dev));
	if (!vm_path->by_node && !vm_path->compat)
		fails(iommufd_device_attach(bed.dev, second), -EBUSY, "a child process has it");
	close(pipes[1]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ok(iommufd_device_attach(bed.dev, second));
	iommufd_ioas_free(second);
	bed_close(&bed);
}
END_TEST

void add_fork_tests(TCase *tc)
{
	tcase_add_test(tc, a_living_child_holds_a_group_that_its_parent_detaches);
	tcase_add_test(tc, what_a_child_frees_stays_its_parents);
	tcase_add_test(tc, a_child_is_refused_everything_but_a_context_of_its_own);
}
