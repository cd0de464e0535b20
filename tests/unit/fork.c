/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a child process does when it frees its parent's handles: it closes and frees, and asks the kernel for nothing.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"

#define RW (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)

static void free_in_child(struct scene *scene, struct iommufd_dma *dma)
{
	unsigned int asked = inject_count(INJECT_IOCTL);
	struct iommufd_range range;
	uint64_t iova;
	void *vaddr;

	/* What needs no kernel needs locks. */
	unit_fails(-EPERM, iommufd_ioas_to_iova(scene->ioas, scene_memory(0), 1, &iova));
	unit_fails(-EPERM, iommufd_ioas_to_vaddr(scene->ioas, 0x40000, 1, &vaddr));
	unit_fails(-EPERM, iommufd_ioas_to_iovas(scene->ioas, &(struct iovec){ scene_memory(0), 1 }, 1, NULL, 0));
	unit_fails(-EPERM, iommufd_ioas_ranges(scene->ioas, &range, 1));
	unit_fails(-EPERM, iommufd_device_region_unmap(scene->dev, scene_memory(0)));

	iommufd_dma_free(scene->ioas, dma);
	iommufd_device_free(scene->dev);
	iommufd_ioas_free(scene->ioas);
	iommufd_ctx_free(scene->ctx);
	/*
	 * The buffer and the window were never here, so neither is unmapped, though both are on the parent's account.
	 */
	ck_assert_uint_eq(inject_mapped(), 2 * SCENE_PAGE);
	ck_assert_uint_eq(inject_fds(), 0);
	ck_assert_uint_eq(inject_count(INJECT_IOCTL), asked);
}

/* With `held`, another thread was at work everywhere when the process was forked. */
static void fork_and_free(uint32_t backend, bool held)
{
	struct iommufd_dma dma;
	struct scene scene;
	void *window;
	int status, event = eventfd(0, EFD_CLOEXEC);
	pid_t child;

	scene_open(&scene, backend);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_int_eq(iommufd_device_region_map(scene.dev, 0, 0, SCENE_PAGE, 1, &window), 0);
	ck_assert_int_eq(iommufd_dma_alloc(scene.ioas, SCENE_PAGE, RW, &dma), 0);
	ck_assert_int_eq(iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_INTX, 0, 1, &event), 0);
	ck_assert_int_eq(iommufd_device_irq_set_resample(scene.dev, IOMMUFD_PCI_INTX, 0, event), 0);
	ck_assert_int_eq(iommufd_device_ioeventfd_add(scene.dev, 0, 0, 4, 1, event), 0);
	if (held) {
		pthread_rwlock_wrlock(&scene.ioas->gate);
		pthread_mutex_lock(&scene.ctx->opening);
		pthread_mutex_lock(&scene.dev->lock);
		pthread_mutex_lock(&scene.ctx->lock);
		pthread_mutex_lock(&scene.ioas->index.lock);
	}
	child = fork();
	if (!child) {
		alarm(10);
		free_in_child(&scene, &dma);
		_exit(42);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42, "the child ended with 0x%x",
		      (unsigned int)status);
	if (held) {
		pthread_mutex_unlock(&scene.ioas->index.lock);
		pthread_mutex_unlock(&scene.ctx->lock);
		pthread_mutex_unlock(&scene.dev->lock);
		pthread_mutex_unlock(&scene.ctx->opening);
		pthread_rwlock_unlock(&scene.ioas->gate);
	}
	iommufd_dma_free(scene.ioas, &dma);
	scene_close(&scene);
}

START_TEST(a_child_frees_without_asking_the_kernel)
{
	fork_and_free((uint32_t)_i, false);
}
END_TEST

START_TEST(a_child_does_not_wait_for_a_thread_that_it_does_not_have)
{
	fork_and_free((uint32_t)_i, true);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, a_child_frees_without_asking_the_kernel, IOMMUFD_BACKEND_IOMMUFD,
			    IOMMUFD_BACKEND_VFIO + 1);
	tcase_add_loop_test(tcase, a_child_does_not_wait_for_a_thread_that_it_does_not_have, IOMMUFD_BACKEND_IOMMUFD,
			    IOMMUFD_BACKEND_VFIO + 1);
}
