/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Virtual IOMMUs: their data, registers, page tables, devices; and what is thrown away in them. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nest.h"
#include "uapi/iommufd.h"

static int new_viommu(const struct nest_bed *bench, uint32_t type, void *data, size_t len, struct iommufd_viommu **out)
{
	struct iommufd_viommu_opts opts = { .struct_size = sizeof(opts), .type = type, .data = data, .data_len = len };

	return iommufd_viommu_new(bench->mock.dev, bench->nest.parent, &opts, out);
}

/* ---- Data and registers ---- */

START_TEST(a_virtual_iommus_data_comes_back_and_its_registers_are_mapped)
{
	struct nest_bed bench;
	const struct mock_viommu_data *data = &bench.nest.data;
	void *addr = NULL, *again = NULL, *none = NULL;

	nest_bed_open(&bench);
	ck_assert_uint_eq(data->out, NEST_DATA);
	ck_assert_uint_ne(iommufd_viommu_id(bench.nest.viommu), 0);
	ok(iommufd_viommu_mmap(bench.nest.viommu, data->out_offset, data->out_length, &addr));
	ok(iommufd_viommu_mmap(bench.nest.viommu, data->out_offset, data->out_length, &again));
	ck_assert_uint_eq(*(volatile uint32_t *)addr, NEST_DATA);
	*(volatile uint32_t *)addr = 77;
	ck_assert_uint_eq(*(volatile uint32_t *)again, 77);
	fails(iommufd_viommu_mmap(bench.nest.viommu, data->out_offset, data->out_length / 2, &none), -ENXIO,
	      "came back");
	fails(iommufd_viommu_mmap(bench.nest.viommu, data->out_offset + PAGE, data->out_length, &none), -ENXIO,
	      "came back");
	fails(iommufd_viommu_mmap(bench.nest.viommu, data->out_offset + PAGE, PAGE, &none), -ENXIO, "came back");
	fails(iommufd_viommu_mmap(bench.nest.viommu, data->out_offset + 1, data->out_length, &none), -EINVAL,
	      "came back");
	fails(iommufd_viommu_mmap(bench.nest.viommu, data->out_offset, data->out_length + 1, &none), -EINVAL,
	      "came back");
	fails(iommufd_viommu_mmap(bench.nest.viommu, data->out_offset, 0, &none), -EINVAL, "came back");
	ck_assert_ptr_null(none);
	fails(iommufd_viommu_munmap(bench.nest.viommu, (char *)addr + PAGE), -ENOENT, "iommufd_viommu_mmap() gave");
	ok(iommufd_viommu_munmap(bench.nest.viommu, addr));
	fails(iommufd_viommu_munmap(bench.nest.viommu, addr), -ENOENT, "iommufd_viommu_mmap() gave");
	ck_assert_uint_eq(*(volatile uint32_t *)again, 77);
	nest_bed_close(&bench); /* unmaps the other one, or its object could not be destroyed */
}
END_TEST

/*
 * A child that lives on has copies of all descriptors. Those of queues it gives back; what was mapped is not to be
 * there, or the object could not be destroyed.
 */
START_TEST(a_living_child_does_not_keep_the_registers)
{
	uint32_t numbers[2][NEST_OBJECTS];
	struct iommufd_ctx *ctx;
	struct mock_device mock;
	struct nest nest = { .pages = NULL };
	unsigned int errors = 0;
	int ready[2];
	pid_t child;
	void *addr;
	char byte;

	ok(iommufd_ctx_new(NULL, &ctx));
	mock_open(&mock, ctx, 0);
	nest_numbers(mock.fd, numbers[0], NEST_OBJECTS);
	nest_open(&nest, &mock, &errors);
	ok(iommufd_viommu_mmap(nest.viommu, nest.data.out_offset, nest.data.out_length, &addr));
	ck_assert_int_eq(pipe(ready), 0);
	child = fork();
	if (!child) {
		nest_free(&nest, NEST_DEVICE);
		nest_free(&nest, NEST_HWPT);
		nest_free(&nest, NEST_VEVENTQ);
		nest_free(&nest, NEST_FAULTQ);
		ck_assert_int_eq(write(ready[1], "", 1), 1);
		pause();
		_exit(0);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_uint_eq(*(volatile uint32_t *)addr, NEST_DATA);
	nest_close(&nest);
	ck_assert_uint_eq(errors, 0);
	nest_numbers(mock.fd, numbers[1], NEST_OBJECTS);
	ck_assert_mem_eq(numbers[0], numbers[1], sizeof(numbers[0]));
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	mock_close(&mock);
	iommufd_ctx_free(ctx);
}
END_TEST

static void in_child(const struct nest_bed *bench)
{
	struct iommufd_viommu *viommu = NULL;
	struct iommufd_vdevice *vdevice = NULL;
	struct iommufd_veventq *veventq = NULL;
	struct iommufd_hwqueue *hwqueue = NULL;
	struct iommufd_faultq *faultq = NULL;
	struct iommufd_vevent event;
	struct iommufd_fault fault;
	struct nest nest = bench->nest;
	uint32_t done = 9;
	void *addr = NULL;

	fails(new_viommu(bench, MOCK_VIOMMU_TYPE, NULL, 0, &viommu), -EPERM, "before fork()");
	fails(iommufd_vdevice_new(nest.viommu, bench->mock.dev, 1, &vdevice), -EPERM, "before fork()");
	fails(iommufd_veventq_new(nest.viommu, 1, 1, &veventq), -EPERM, "before fork()");
	fails(iommufd_hwqueue_new(nest.viommu, 1, 0, NEST_IOVA, PAGE, &hwqueue), -EPERM, "before fork()");
	fails(iommufd_faultq_new(bench->ctx, &faultq), -EPERM, "before fork()");
	fails(iommufd_viommu_mmap(nest.viommu, 0, PAGE, &addr), -EPERM, "before fork()");
	fails(iommufd_viommu_munmap(nest.viommu, addr), -EPERM, "before fork()");
	fails(iommufd_viommu_invalidate(nest.viommu, 0, NULL, 0, 0, &done), -EPERM, "before fork()");
	fails(iommufd_hwpt_invalidate(nest.hwpt, 0, NULL, 0, 0, &done), -EPERM, "before fork()");
	fails(iommufd_veventq_fd(nest.veventq), -EPERM, "before fork()");
	fails(iommufd_veventq_read(nest.veventq, &event, NULL, 0), -EPERM, "before fork()");
	fails(iommufd_faultq_fd(nest.faultq), -EPERM, "before fork()");
	fails(iommufd_faultq_read(nest.faultq, &fault, 1), -EPERM, "before fork()");
	fails(iommufd_faultq_respond(nest.faultq, 1, 0), -EPERM, "before fork()");
	ck_assert(!viommu && !vdevice && !veventq && !hwqueue && !faultq && !addr && !done);
	nest_close(&nest);
	iommufd_device_free(bench->mock.dev);
	iommufd_ctx_free(bench->ctx);
}

START_TEST(a_child_is_refused_and_what_it_frees_stays_its_parents)
{
	struct nest_bed bench;
	int status;
	pid_t child;

	nest_bed_open(&bench);
	child = fork();
	if (!child) {
		in_child(&bench);
		_exit(42);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	ck_assert_int_eq(mock_trigger_vevent(&bench.mock), 0);
	ck_assert_int_eq(mock_check_iotlb(bench.mock.fd, iommufd_hwpt_id(bench.nest.hwpt), 0, NEST_IOTLB), 0);
	nest_bed_close(&bench);
}
END_TEST

START_TEST(a_virtual_iommu_that_cannot_be_is_refused)
{
	struct iommufd_viommu_opts opts = { .struct_size = sizeof(opts), .type = MOCK_VIOMMU_TYPE };
	struct mock_viommu_data data = { .in = 1 };
	struct iommufd_viommu *viommu = NULL;
	struct iommufd_hwpt *plain;
	struct nest_bed bench, other;

	nest_bed_open(&bench);
	nest_bed_open(&other);
	ok(iommufd_hwpt_new(bench.mock.dev, bench.nest.ioas, NULL, &plain));
	fails(new_viommu(&bench, 0, NULL, 0, &viommu), -EOPNOTSUPP, "of this type");
	fails(new_viommu(&bench, 1, NULL, 0, &viommu), -EOPNOTSUPP, "of this type");
	fails(new_viommu(&bench, MOCK_VIOMMU_TYPE, &data, 3, &viommu), -EINVAL, "another length");
	fails(new_viommu(&bench, MOCK_VIOMMU_TYPE, &data, 0, &viommu), -EINVAL, "or neither");
	fails(new_viommu(&bench, MOCK_VIOMMU_TYPE, NULL, sizeof(data), &viommu), -EINVAL, "or neither");
	fails(new_viommu(&bench, MOCK_VIOMMU_TYPE, &data, (size_t)1 << 33, &viommu), -EINVAL, "or neither");
	fails(new_viommu(&bench, MOCK_VIOMMU_TYPE, (void *)8, sizeof(data), &viommu), -EFAULT, "virtual IOMMU");
	opts.flags = 1;
	fails(iommufd_viommu_new(bench.mock.dev, bench.nest.parent, &opts, &viommu), -EINVAL, "flags at 0");
	opts = (struct iommufd_viommu_opts){ .struct_size = 7 };
	fails(iommufd_viommu_new(bench.mock.dev, bench.nest.parent, &opts, &viommu), -EINVAL, "struct_size");
	opts = (struct iommufd_viommu_opts){ .struct_size = sizeof(opts), .type = MOCK_VIOMMU_TYPE };
	fails(iommufd_viommu_new(bench.mock.dev, bench.nest.parent, NULL, &viommu), -EOPNOTSUPP, "of this type");
	fails(iommufd_viommu_new(bench.mock.dev, plain, &opts, &viommu), -EINVAL, "IOMMUFD_HWPT_NEST_PARENT");
	fails(iommufd_viommu_new(bench.mock.dev, bench.nest.hwpt, &opts, &viommu), -EINVAL, "IOMMUFD_HWPT_NEST_PARENT");
	fails(iommufd_viommu_new(bench.mock.dev, other.nest.parent, &opts, &viommu), -EINVAL, "context");
	ck_assert_ptr_null(viommu);
	ck_assert_uint_eq(data.out, 0);
	iommufd_hwpt_free(plain);
	nest_bed_close(&other);
	nest_bed_close(&bench);
}
END_TEST

START_TEST(a_nested_page_table_that_cannot_be_is_refused)
{
	struct iommufd_hwpt_opts opts = *NEST_HWPT_OPTS(NULL);
	struct iommufd_hwpt *hwpt = NULL;
	struct nest_bed bench, other;

	nest_bed_open(&bench);
	nest_bed_open(&other);
	fails(iommufd_viommu_hwpt_new(bench.nest.viommu, bench.mock.dev, NULL, &hwpt), -EINVAL, "describe");
	fails(iommufd_viommu_hwpt_new(bench.nest.viommu, other.mock.dev, &opts, &hwpt), -EINVAL, "context");
	opts.data_len = 3;
	fails(iommufd_viommu_hwpt_new(bench.nest.viommu, bench.mock.dev, &opts, &hwpt), -EINVAL, "length");
	opts.data_len = sizeof(struct mock_hwpt_data);
	opts.data_type++;
	fails(iommufd_viommu_hwpt_new(bench.nest.viommu, bench.mock.dev, &opts, &hwpt), -EOPNOTSUPP, "type 57006");
	opts.data_type--;
	opts.flags = IOMMUFD_HWPT_NEST_PARENT;
	fails(iommufd_viommu_hwpt_new(bench.nest.viommu, bench.mock.dev, &opts, &hwpt), -EINVAL, "flags");
	ck_assert_ptr_null(hwpt);
	nest_bed_close(&other);
	nest_bed_close(&bench);
}
END_TEST

/* Which of the devices that share an IOMMU it is for is what the virtual device says. */
START_TEST(a_nested_page_table_takes_who_has_a_virtual_device)
{
	struct mock_device second;
	struct nest_bed bench;

	nest_bed_open(&bench);
	mock_open(&second, bench.ctx, 0);
	fails(iommufd_device_attach_hwpt(second.dev, bench.nest.hwpt), -ENOENT, "make a virtual device of it first");
	ok(iommufd_device_attach(second.dev, bench.nest.ioas));
	fails(iommufd_device_replace_hwpt(second.dev, bench.nest.hwpt), -ENOENT, "make a virtual device of it first");
	fails(iommufd_device_replace_hwpt(second.dev, bench.nest.hwpt), -ENOENT, "to another page table");
	ok(iommufd_device_detach(second.dev));
	mock_close(&second);
	nest_bed_close(&bench);
}
END_TEST

/* ---- Devices ---- */

START_TEST(a_virtual_device_keeps_its_device_open)
{
	struct iommufd_vdevice *vdevice;
	struct iommufd_device *again = NULL;
	struct mock_device second;
	struct nest_bed bench;

	nest_bed_open(&bench);
	mock_open(&second, bench.ctx, 0);
	ok(iommufd_vdevice_new(bench.nest.viommu, second.dev, 5, &vdevice));
	iommufd_device_free(second.dev);
	second.dev = NULL;
	fails(iommufd_device_from_id(bench.ctx, second.id, NULL, &again), -EBUSY, "free it and its virtual devices");
	ck_assert_ptr_null(again);
	iommufd_vdevice_free(vdevice);
	ok(iommufd_device_from_id(bench.ctx, second.id, NULL, &again));
	iommufd_device_free(again);
	mock_close(&second);
	nest_bed_close(&bench);
}
END_TEST

START_TEST(a_device_has_one_number_in_one_virtual_iommu)
{
	struct iommufd_vdevice *vdevice = NULL;
	struct mock_device second;
	struct nest_bed bench, other;

	nest_bed_open(&bench);
	nest_bed_open(&other);
	mock_open(&second, bench.ctx, 0);
	ck_assert_uint_ne(iommufd_vdevice_id(bench.nest.vdevice), 0);
	fails(iommufd_vdevice_new(bench.nest.viommu, bench.mock.dev, 5, &vdevice), -EEXIST, "that it has");
	fails(iommufd_vdevice_new(bench.nest.viommu, second.dev, NEST_VIRT_ID, &vdevice), -EEXIST, "no other one has");
	fails(iommufd_vdevice_new(bench.nest.viommu, other.mock.dev, 5, &vdevice), -EINVAL, "context");
	ck_assert_ptr_null(vdevice);
	ok(iommufd_vdevice_new(bench.nest.viommu, second.dev, UINT64_MAX, &vdevice));
	iommufd_vdevice_free(vdevice);
	ok(iommufd_vdevice_new(bench.nest.viommu, second.dev, 0, &vdevice));
	/* The handle is gone, and the device is still open. */
	iommufd_device_free(second.dev);
	second.dev = NULL;
	iommufd_vdevice_free(vdevice);
	mock_close(&second);
	nest_bed_close(&other);
	nest_bed_close(&bench);
}
END_TEST

/* What somebody destroys behind the library's back. */
static void destroy(const struct nest_bed *bench, uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	ck_assert_int_eq(ioctl(bench->mock.fd, IOMMU_DESTROY, &cmd), 0);
}

START_TEST(objects_that_were_destroyed_elsewhere_are_told_of)
{
	struct iommufd_veventq *veventq = NULL;
	struct iommufd_hwqueue *hwqueue = NULL;
	struct iommufd_vdevice *vdevice = NULL;
	struct iommufd_viommu *viommu = NULL;
	struct iommufd_hwpt *hwpt = NULL;
	struct nest_bed bench;
	uint32_t done = 9;

	nest_bed_open(&bench);
	ok(iommufd_device_detach(bench.mock.dev));
	for (int i = NEST_HWPT; i <= NEST_HWQUEUE1; i++)
		if (i != NEST_HWQUEUE0)
			nest_free(&bench.nest, (enum nest_handle)i);
	nest_free(&bench.nest, NEST_HWQUEUE0);
	destroy(&bench, iommufd_viommu_id(bench.nest.viommu));
	fails(iommufd_vdevice_new(bench.nest.viommu, bench.mock.dev, 1, &vdevice), -ENOENT, "gone");
	fails(iommufd_veventq_new(bench.nest.viommu, MOCK_VEVENTQ_TYPE, 1, &veventq), -ENOENT, "gone");
	fails(iommufd_hwqueue_new(bench.nest.viommu, MOCK_HW_QUEUE_TYPE, 0, NEST_IOVA, PAGE, &hwqueue), -ENOENT, "");
	fails(iommufd_viommu_invalidate(bench.nest.viommu, MOCK_VIOMMU_INVALIDATE_DATA, NULL, 0, 0, &done), -ENOENT,
	      "");
	/* As the kernel says it of a page table's parent. */
	fails(iommufd_viommu_hwpt_new(bench.nest.viommu, bench.mock.dev, NEST_HWPT_OPTS(NULL), &hwpt), -EINVAL, "");
	destroy(&bench, iommufd_hwpt_id(bench.nest.parent));
	fails(new_viommu(&bench, MOCK_VIOMMU_TYPE, NULL, 0, &viommu), -ENOENT, "gone");
	ck_assert(!veventq && !hwqueue && !vdevice && !viommu && !hwpt && !done);
	nest_close(&bench.nest);
	mock_close(&bench.mock);
	iommufd_ctx_free(bench.ctx);
}
END_TEST

/* ---- Invalidation ---- */

static void check_iotlb(const struct nest_bed *bench, uint32_t from, uint32_t value)
{
	for (uint32_t i = from; i < MOCK_CACHE_ENTRIES; i++)
		ck_assert_int_eq(mock_check_iotlb(bench->mock.fd, iommufd_hwpt_id(bench->nest.hwpt), i, value), 0);
}

static int throw_iotlb(const struct nest_bed *bench, const struct mock_hwpt_invalidate *entries, uint32_t count,
		       uint32_t *done)
{
	return iommufd_hwpt_invalidate(bench->nest.hwpt, MOCK_HWPT_INVALIDATE_DATA, entries, sizeof(*entries), count,
				       done);
}

START_TEST(entries_of_a_page_table_are_thrown_away_and_what_was_done_is_told)
{
	struct mock_hwpt_invalidate entries[3] = { { 0, 0 }, { 0, 9 }, { 0, 1 } };
	struct nest_bed bench;
	uint32_t done = 7;

	nest_bed_open(&bench);
	check_iotlb(&bench, 0, NEST_IOTLB);
	ok(throw_iotlb(&bench, NULL, 0, &done));
	ck_assert_uint_eq(done, 0);
	fails(throw_iotlb(&bench, entries, 3, &done), -EINVAL, "entry 1 of 3");
	ck_assert_uint_eq(done, 1);
	check_iotlb(&bench, 1, NEST_IOTLB);
	ck_assert_int_eq(mock_check_iotlb(bench.mock.fd, iommufd_hwpt_id(bench.nest.hwpt), 0, 0), 0);
	/* Mended, and on behind what was done. */
	entries[1].entry = 2;
	ok(throw_iotlb(&bench, entries + done, 3 - done, &done));
	ck_assert_uint_eq(done, 2);
	ck_assert_int_eq(mock_check_iotlb(bench.mock.fd, iommufd_hwpt_id(bench.nest.hwpt), 1, 0), 0);
	ck_assert_int_eq(mock_check_iotlb(bench.mock.fd, iommufd_hwpt_id(bench.nest.hwpt), 2, 0), 0);
	check_iotlb(&bench, 3, NEST_IOTLB);
	entries[0].flags = MOCK_INVALIDATE_ALL;
	ok(throw_iotlb(&bench, entries, 1, NULL));
	check_iotlb(&bench, 0, 0);
	nest_bed_close(&bench);
}
END_TEST

START_TEST(entries_that_mean_nothing_are_refused)
{
	struct mock_hwpt_invalidate entry = { 0, 0 };
	struct nest_bed bench;
	uint32_t done = 7;

	nest_bed_open(&bench);
	fails(iommufd_hwpt_invalidate(bench.nest.parent, MOCK_HWPT_INVALIDATE_DATA, &entry, sizeof(entry), 1, &done),
	      -EINVAL, "not nested");
	ck_assert_uint_eq(done, 0);
	done = 7;
	fails(iommufd_hwpt_invalidate(bench.nest.hwpt, MOCK_HWPT_INVALIDATE_DATA, &entry, 0, 1, &done), -EINVAL,
	      "a byte");
	fails(iommufd_hwpt_invalidate(bench.nest.hwpt, MOCK_HWPT_INVALIDATE_DATA, &entry, PAGE + 1, 1, &done), -EINVAL,
	      "a byte");
	fails(iommufd_hwpt_invalidate(bench.nest.hwpt, MOCK_HWPT_INVALIDATE_DATA, NULL, sizeof(entry), 1, &done),
	      -EINVAL, "a byte");
	ck_assert_uint_eq(done, 0);
	done = 7;
	fails(iommufd_hwpt_invalidate(bench.nest.hwpt, MOCK_INVALIDATE_DATA_WRONG, &entry, sizeof(entry), 1, &done),
	      -EINVAL, "data type 0xdadbeef");
	ck_assert_uint_eq(done, 0);
	fails(iommufd_hwpt_invalidate(bench.nest.hwpt, MOCK_HWPT_INVALIDATE_DATA, &entry, 3, 1, &done), -EINVAL,
	      "entry 0 of 1");
	fails(iommufd_hwpt_invalidate(bench.nest.hwpt, MOCK_HWPT_INVALIDATE_DATA, (void *)8, sizeof(entry), 1, &done),
	      -EFAULT, "entry 0 of 1");
	entry.flags = 2;
	fails(throw_iotlb(&bench, &entry, 1, &done), -EOPNOTSUPP, "what this entry says");
	check_iotlb(&bench, 0, NEST_IOTLB);
	nest_bed_close(&bench);
}
END_TEST

/* More than two calls' worth, with one that is wrong in the third. */
START_TEST(more_entries_than_the_kernel_takes_at_once_are_all_thrown_away)
{
	const uint32_t piece = UINT32_C(1) << 19, count = 2 * piece + 5;
	struct mock_hwpt_invalidate *entries = calloc(count, sizeof(*entries));
	struct nest_bed bench;
	uint32_t done = 0;

	nest_bed_open(&bench);
	entries[piece - 1].entry = 1;
	entries[piece].entry = 2;
	entries[count - 1].entry = 3;
	entries[count - 2].entry = 4;
	fails(throw_iotlb(&bench, entries, count, &done), -EINVAL, "entry 1048579 of 1048581");
	ck_assert_uint_eq(done, count - 2);
	check_iotlb(&bench, 3, NEST_IOTLB);
	entries[count - 2].entry = 0;
	ok(throw_iotlb(&bench, entries, count, &done));
	ck_assert_uint_eq(done, count);
	check_iotlb(&bench, 0, 0);
	free(entries);
	nest_bed_close(&bench);
}
END_TEST

START_TEST(a_devices_cache_is_thrown_away_by_its_virtual_number)
{
	struct mock_viommu_invalidate entries[3] = { { 0, NEST_VIRT_ID, 0 }, { 0, NEST_VIRT_ID, 2 }, { 0, 5, 1 } };
	struct nest_bed bench;
	uint32_t done = 7;

	nest_bed_open(&bench);
	ok(iommufd_viommu_invalidate(bench.nest.viommu, MOCK_VIOMMU_INVALIDATE_DATA, NULL, 0, 0, &done));
	fails(iommufd_viommu_invalidate(bench.nest.viommu, MOCK_VIOMMU_INVALIDATE_DATA, entries, sizeof(entries[0]), 3,
					&done),
	      -EINVAL, "entry 2 of 3");
	ck_assert_uint_eq(done, 2);
	for (uint32_t i = 0; i < MOCK_CACHE_ENTRIES; i++)
		ck_assert_int_eq(mock_check_dev_cache(&bench.mock, i, i % 2 ? MOCK_DEV_CACHE_DEFAULT : 0), 0);
	entries[0].flags = MOCK_INVALIDATE_ALL;
	ok(iommufd_viommu_invalidate(bench.nest.viommu, MOCK_VIOMMU_INVALIDATE_DATA, entries, sizeof(entries[0]), 1,
				     NULL));
	for (uint32_t i = 0; i < MOCK_CACHE_ENTRIES; i++)
		ck_assert_int_eq(mock_check_dev_cache(&bench.mock, i, 0), 0);
	nest_bed_close(&bench);
}
END_TEST

void add_mock_viommu_tests(TCase *tc)
{
	tcase_add_test(tc, a_virtual_iommus_data_comes_back_and_its_registers_are_mapped);
	tcase_add_test(tc, a_living_child_does_not_keep_the_registers);
	tcase_add_test(tc, a_child_is_refused_and_what_it_frees_stays_its_parents);
	tcase_add_test(tc, a_virtual_iommu_that_cannot_be_is_refused);
	tcase_add_test(tc, a_nested_page_table_that_cannot_be_is_refused);
	tcase_add_test(tc, a_nested_page_table_takes_who_has_a_virtual_device);
	tcase_add_test(tc, a_virtual_device_keeps_its_device_open);
	tcase_add_test(tc, a_device_has_one_number_in_one_virtual_iommu);
	tcase_add_test(tc, objects_that_were_destroyed_elsewhere_are_told_of);
	tcase_add_test(tc, entries_of_a_page_table_are_thrown_away_and_what_was_done_is_told);
	tcase_add_test(tc, entries_that_mean_nothing_are_refused);
	tcase_add_test(tc, more_entries_than_the_kernel_takes_at_once_are_all_thrown_away);
	tcase_add_test(tc, a_devices_cache_is_thrown_away_by_its_virtual_number);
}
