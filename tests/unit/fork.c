/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a child process does when it frees its parent's handles: it closes and frees, and asks the kernel for nothing.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

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

/* ---- Pools ---- */

static sem_t asked, answered;

/* The kernel takes its time to map. */
static int map_late(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	sem_post(&asked);
	sem_wait(&answered);
	return 0;
}

static void *grow(void *pool)
{
	struct iommufd_dma one;

	return iommufd_pool_get(pool, &one) ? pool : NULL;
}

/* With `grows`, another thread of the parent is waiting for the kernel, and has the pool locked. */
static void fork_with_pool(uint32_t backend, bool grows)
{
	unsigned long map = backend == IOMMUFD_BACKEND_IOMMUFD ? IOMMU_IOAS_MAP : VFIO_IOMMU_MAP_DMA;
	struct iommufd_pool *pool;
	struct iommufd_dma one;
	struct scene scene;
	pthread_t thread;
	void *failed;
	int status;
	pid_t child;

	scene_open(&scene, backend);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
	ck_assert_int_eq(iommufd_pool_new(scene.ioas, 65536, RW, NULL, &pool), 0);
	ck_assert_int_eq(iommufd_pool_get(pool, &one), 0);
	if (grows) {
		ck_assert(!sem_init(&asked, 0, 0) && !sem_init(&answered, 0, 0));
		inject_ioctl(map, map_late);
		ck_assert_int_eq(pthread_create(&thread, NULL, grow, pool), 0);
		sem_wait(&asked);
	}
	child = fork();
	if (!child) {
		unsigned int calls = inject_count(INJECT_IOCTL);
		size_t mapped = inject_mapped();

		alarm(10);
		unit_fails(-EPERM, iommufd_pool_get(pool, &one));
		unit_fails(-EPERM, iommufd_pool_put(pool, one.vaddr));
		unit_fails(-EPERM, iommufd_pool_new(scene.ioas, 64, RW, NULL, &pool));
		iommufd_pool_free(pool);
		ck_assert_uint_eq(inject_mapped(), mapped); /* it was never here */
		ck_assert_uint_eq(inject_count(INJECT_IOCTL), calls);
		_exit(42);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42, "the child ended with 0x%x",
		      (unsigned int)status);
	if (grows) {
		sem_post(&answered);
		ck_assert_int_eq(pthread_join(thread, &failed), 0);
		ck_assert_ptr_null(failed);
	}
	ck_assert_int_eq(iommufd_pool_put(pool, one.vaddr), 0);
	iommufd_pool_free(pool);
	scene_close(&scene);
}

START_TEST(a_child_frees_a_pool_that_it_does_not_have)
{
	fork_with_pool((uint32_t)_i, false);
}
END_TEST

START_TEST(a_child_frees_a_pool_that_a_thread_of_its_parent_was_growing)
{
	fork_with_pool((uint32_t)_i, true);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, a_child_frees_a_pool_that_it_does_not_have, IOMMUFD_BACKEND_IOMMUFD,
			    IOMMUFD_BACKEND_VFIO + 1);
	tcase_add_loop_test(tcase, a_child_frees_a_pool_that_a_thread_of_its_parent_was_growing,
			    IOMMUFD_BACKEND_IOMMUFD, IOMMUFD_BACKEND_VFIO + 1);
	tcase_add_loop_test(tcase, a_child_frees_without_asking_the_kernel, IOMMUFD_BACKEND_IOMMUFD,
			    IOMMUFD_BACKEND_VFIO + 1);
	tcase_add_loop_test(tcase, a_child_does_not_wait_for_a_thread_that_it_does_not_have, IOMMUFD_BACKEND_IOMMUFD,
			    IOMMUFD_BACKEND_VFIO + 1);
}
