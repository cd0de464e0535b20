/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A child process has copies of page tables, queues and virtual IOMMUs, and may free them only. */
#include <sys/wait.h>
#include <unistd.h>

#include "nest.h"

struct scene {
	struct mock_device mock, other;
	struct iommufd_ctx *ctx; /* of the first mock device, whose handle is the nest's */
	struct nest nest;
	struct iommufd_hwpt *own; /* shows the IOAS too; PASID 1 of the other device is attached to it, as that is */
	uint32_t before[2], after[2];
	unsigned int errors;
	int fds;
};

static void scene_open(struct scene *scene)
{
	struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts), .flags = IOMMUFD_HWPT_PASID };

	*scene = (struct scene){ .fds = open_fds() };
	ok(iommufd_ctx_new(NULL, &scene->ctx));
	mock_open(&scene->mock, scene->ctx, 0);
	nest_numbers(scene->mock.fd, scene->before, 2);
	nest_open(&scene->nest, &scene->mock, &scene->errors);
	mock_open(&scene->other, scene->nest.ctx, MOCK_PASID);
	ok(iommufd_hwpt_new(scene->other.dev, scene->nest.ioas, &opts, &scene->own));
	ok(iommufd_device_attach_hwpt(scene->other.dev, scene->own));
	ok(iommufd_device_pasid_attach(scene->other.dev, 1, NULL, scene->own));
}

/* All that the kernel keeps for the parent does still what it is for. */
static void all_works(struct scene *scene)
{
	struct mock_viommu_invalidate entry = { 0, NEST_VIRT_ID, 1 };
	struct nest *nest = &scene->nest;
	struct iommufd_vevent event;
	struct iommufd_fault fault;
	struct mock_event data;

	ck_assert_int_eq(mock_check_pasid(&scene->other, 1, iommufd_hwpt_id(scene->own)), 0);
	mock_trigger_iopf(&scene->mock, 0, 1, IOMMUFD_FAULT_READ, NEST_IOVA);
	ck_assert_int_eq(ok(iommufd_faultq_read(nest->faultq, &fault, 1)), 1);
	ok(iommufd_faultq_respond(nest->faultq, fault.cookie, IOMMUFD_FAULT_SUCCESS));
	ck_assert_int_eq(mock_trigger_vevent(&scene->mock), 0);
	ck_assert_int_eq(ok(iommufd_veventq_read(nest->veventq, &event, &data, sizeof(data))), 1);
	ck_assert_uint_eq(data.vdevice, NEST_VIRT_ID);
	ok(iommufd_viommu_invalidate(nest->viommu, MOCK_VIOMMU_INVALIDATE_DATA, &entry, sizeof(entry), 1, NULL));
	/* which the hardware queues hold */
	fails(iommufd_ioas_unmap(nest->ioas, NEST_IOVA, PAGE, NULL), -EBUSY, "");
	ok(iommufd_device_replace_hwpt(nest->dev, nest->parent));
	ok(iommufd_device_replace_hwpt(nest->dev, nest->hwpt));
}

static void scene_close(struct scene *scene)
{
	ok(iommufd_device_pasid_detach(scene->other.dev, 1));
	ok(iommufd_device_detach(scene->other.dev));
	iommufd_hwpt_free(scene->own);
	mock_close(&scene->other);
	nest_close(&scene->nest);
	nest_numbers(scene->mock.fd, scene->after, 2);
	ck_assert_uint_eq(scene->after[0], scene->before[0]);
	ck_assert_uint_eq(scene->after[1], scene->before[1]);
	mock_close(&scene->mock);
	iommufd_ctx_free(scene->ctx);
	ck_assert_uint_eq(scene->errors, 0);
	ck_assert_int_eq(open_fds(), scene->fds);
}

/* Failed assertions count there as well. */
static void in_child(void (*run)(struct scene *scene), struct scene *scene)
{
	int status;
	pid_t child = fork();

	if (!child) {
		alarm(10);
		run(scene);
		_exit(42);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 42, "the child ended with 0x%x",
		      (unsigned int)status);
}

#define REFUSED(call) fails(call, -EPERM, "before fork()")

static void try_everything(struct scene *scene)
{
	struct mock_viommu_invalidate entry = { 0, NEST_VIRT_ID, 1 };
	struct iommufd_viommu_opts opts = { .struct_size = sizeof(opts), .type = MOCK_VIOMMU_TYPE };
	struct iommufd_hw_info info = { .struct_size = sizeof(info) };
	struct iommufd_range range = { NEST_IOVA, NEST_IOVA + PAGE - 1 };
	struct nest *nest = &scene->nest;
	struct iommufd_device *dev = NULL;
	struct iommufd_vevent event;
	struct iommufd_fault fault;
	uint64_t iova = 7, bitmap = 7;
	void *made = NULL;
	uint32_t id = 7;

	REFUSED(iommufd_ioas_copy(nest->ioas, NEST_IOVA, PAGE, nest->ioas, RW, &iova));
	REFUSED(iommufd_ioas_map_file(nest->ioas, 0, 0, PAGE, RW, &iova));
	REFUSED(iommufd_ioas_allow(nest->ioas, &range, 1));
	REFUSED(iommufd_ioas_set_huge_pages(nest->ioas, 0));
	REFUSED(iommufd_ioas_get_huge_pages(nest->ioas, &id));
	REFUSED(iommufd_ioas_dirty_start(nest->ioas));
	REFUSED(iommufd_ioas_dirty_stop(nest->ioas));
	REFUSED(iommufd_ioas_dirty_read(nest->ioas, NEST_IOVA, PAGE, PAGE, 0, &bitmap, sizeof(bitmap)));
	REFUSED(iommufd_ioas_unmap_dirty(nest->ioas, NEST_IOVA, PAGE, PAGE, &bitmap, sizeof(bitmap), &iova));
	REFUSED(iommufd_ctx_set_compat_ioas(nest->ctx, nest->ioas));
	REFUSED(iommufd_ctx_get_compat_ioas(nest->ctx, &id));
	REFUSED(iommufd_ctx_clear_compat_ioas(nest->ctx));
	REFUSED(iommufd_ctx_can_change_process(nest->ctx));
	REFUSED(iommufd_ctx_change_process(nest->ctx));
	REFUSED(iommufd_device_from_id(nest->ctx, scene->mock.id, NULL, &dev));
	REFUSED(iommufd_device_hw_info(nest->dev, &info, NULL, 0));
	REFUSED(iommufd_device_attach_hwpt(nest->dev, nest->hwpt));
	REFUSED(iommufd_device_replace_hwpt(nest->dev, nest->parent));
	REFUSED(iommufd_device_pasid_attach(scene->other.dev, 2, NULL, scene->own));
	REFUSED(iommufd_device_pasid_replace(scene->other.dev, 1, nest->ioas, NULL));
	REFUSED(iommufd_device_pasid_detach(scene->other.dev, 1));
	REFUSED(iommufd_hwpt_new(nest->dev, nest->ioas, NULL, (struct iommufd_hwpt **)&made));
	REFUSED(iommufd_hwpt_new_nested(nest->dev, nest->parent, NEST_HWPT_OPTS(NULL), (struct iommufd_hwpt **)&made));
	REFUSED(iommufd_hwpt_invalidate(nest->hwpt, MOCK_HWPT_INVALIDATE_DATA, &entry, sizeof(entry), 1, NULL));
	REFUSED(iommufd_faultq_new(nest->ctx, (struct iommufd_faultq **)&made));
	REFUSED(iommufd_faultq_fd(nest->faultq));
	REFUSED(iommufd_faultq_read(nest->faultq, &fault, 1));
	REFUSED(iommufd_faultq_respond(nest->faultq, 1, IOMMUFD_FAULT_SUCCESS));
	REFUSED(iommufd_viommu_new(nest->dev, nest->parent, &opts, (struct iommufd_viommu **)&made));
	REFUSED(iommufd_viommu_hwpt_new(nest->viommu, nest->dev, NEST_HWPT_OPTS(NULL), (struct iommufd_hwpt **)&made));
	REFUSED(iommufd_viommu_invalidate(nest->viommu, MOCK_VIOMMU_INVALIDATE_DATA, &entry, sizeof(entry), 1, NULL));
	REFUSED(iommufd_viommu_mmap(nest->viommu, nest->data.out_offset, nest->data.out_length, &made));
	REFUSED(iommufd_viommu_munmap(nest->viommu, nest->pages));
	REFUSED(iommufd_vdevice_new(nest->viommu, nest->dev, 1, (struct iommufd_vdevice **)&made));
	REFUSED(iommufd_veventq_new(nest->viommu, MOCK_VEVENTQ_TYPE, 1, (struct iommufd_veventq **)&made));
	REFUSED(iommufd_veventq_fd(nest->veventq));
	REFUSED(iommufd_veventq_read(nest->veventq, &event, NULL, 0));
	REFUSED(iommufd_hwqueue_new(nest->viommu, MOCK_HW_QUEUE_TYPE, 0, NEST_IOVA, PAGE,
				    (struct iommufd_hwqueue **)&made));
	ck_assert(!made && !dev && iova == 7 && bitmap == 7 && id == 7);
}

START_TEST(a_child_is_refused_all_but_to_free)
{
	struct scene scene;

	scene_open(&scene);
	in_child(try_everything, &scene);
	all_works(&scene);
	scene_close(&scene);
}
END_TEST

static void free_all(struct scene *scene)
{
	iommufd_device_free(scene->other.dev);
	iommufd_hwpt_free(scene->own);
	nest_close(&scene->nest);
	iommufd_ctx_free(scene->ctx);
	close(scene->mock.fd);
	close(scene->other.fd);
	ck_assert_int_eq(open_fds(), scene->fds);
}

static void free_backwards(struct scene *scene)
{
	for (unsigned int which = NEST_HANDLES; which-- > 0;)
		nest_free(&scene->nest, which);
	free_all(scene);
}

/* The registers that the parent has mapped are not there in a child. */
START_TEST(what_a_child_frees_stays_its_parents)
{
	struct scene scene;
	uint32_t *registers;
	void *window;

	scene_open(&scene);
	ok(iommufd_viommu_mmap(scene.nest.viommu, scene.nest.data.out_offset, scene.nest.data.out_length, &window));
	registers = window;
	in_child(free_all, &scene);
	in_child(free_backwards, &scene);
	ck_assert_uint_eq(registers[0], NEST_DATA);
	all_works(&scene);
	scene_close(&scene);
}
END_TEST

void add_mock_fork_tests(TCase *tc)
{
	tcase_add_test(tc, a_child_is_refused_all_but_to_free);
	tcase_add_test(tc, what_a_child_frees_stays_its_parents);
}
