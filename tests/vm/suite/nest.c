/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <stdio.h>
#include <sys/ioctl.h>

#include "nest.h"
#include "uapi/iommufd.h"

static void count_errors(void *data, int level, const char *message)
{
	if (level > IOMMUFD_LOG_WARN)
		return;
	printf("# logged: %s\n", message);
	fflush(stdout);
	__atomic_add_fetch((unsigned int *)data, 1, __ATOMIC_RELAXED);
}

static void open_ctx(struct nest *nest, struct mock_device *mock, unsigned int *errors)
{
	struct iommufd_ctx_opts opts = {
		.struct_size = sizeof(opts),
		.log_level = IOMMUFD_LOG_WARN,
		.log = errors ? count_errors : NULL,
		.log_data = errors,
	};

	iommufd_device_free(mock->dev);
	mock->dev = NULL;
	ok(iommufd_ctx_from_fd(mock->fd, &opts, &nest->ctx));
	mock_take(mock, nest->ctx, &nest->dev);
}

void nest_fill(struct nest *nest, struct iommufd_ctx *ctx, struct iommufd_device *dev)
{
	struct iommufd_viommu_opts opts = {
		.struct_size = sizeof(opts),
		.type = MOCK_VIOMMU_TYPE,
		.data = &nest->data,
		.data_len = sizeof(nest->data),
	};

	nest->data = (struct mock_viommu_data){ .in = NEST_DATA };
	ok(iommufd_ioas_new(ctx, &nest->ioas));
	if (!nest->pages)
		nest->pages = memory((size_t)2 * PAGE);
	for (unsigned int i = 0; i < 2; i++)
		ok(iommufd_ioas_map(nest->ioas, nest->pages + i * PAGE, PAGE, RW | IOMMUFD_MAP_FIXED,
				    &(uint64_t){ NEST_IOVA + i * PAGE }));
	ok(iommufd_faultq_new(ctx, &nest->faultq));
	ok(iommufd_hwpt_new(dev, nest->ioas, NEST_PARENT_OPTS, &nest->parent));
	ok(iommufd_viommu_new(dev, nest->parent, &opts, &nest->viommu));
	ok(iommufd_viommu_hwpt_new(nest->viommu, dev, NEST_HWPT_OPTS(nest->faultq), &nest->hwpt));
	ok(iommufd_vdevice_new(nest->viommu, dev, NEST_VIRT_ID, &nest->vdevice));
	ok(iommufd_veventq_new(nest->viommu, MOCK_VEVENTQ_TYPE, 4, &nest->veventq));
	for (unsigned int i = 0; i < 2; i++)
		ok(iommufd_hwqueue_new(nest->viommu, MOCK_HW_QUEUE_TYPE, i, NEST_IOVA + i * PAGE, PAGE,
				       &nest->hwqueue[i]));
	ok(iommufd_device_attach_hwpt(dev, nest->hwpt));
}

void nest_open(struct nest *nest, struct mock_device *mock, unsigned int *errors)
{
	unsigned char *pages = nest->pages;

	*nest = (struct nest){ .pages = pages };
	open_ctx(nest, mock, errors);
	nest_fill(nest, nest->ctx, nest->dev);
}

#define FREE(kind, handle)                     \
	do {                                   \
		iommufd_##kind##_free(handle); \
		(handle) = NULL;               \
	} while (0)

void nest_free(struct nest *nest, enum nest_handle which)
{
	switch (which) {
	case NEST_CTX:
		FREE(ctx, nest->ctx);
		break;
	case NEST_IOAS:
		FREE(ioas, nest->ioas);
		break;
	case NEST_DEVICE:
		FREE(device, nest->dev);
		break;
	case NEST_PARENT:
		FREE(hwpt, nest->parent);
		break;
	case NEST_VIOMMU:
		FREE(viommu, nest->viommu);
		break;
	case NEST_HWPT:
		FREE(hwpt, nest->hwpt);
		break;
	case NEST_VDEVICE:
		FREE(vdevice, nest->vdevice);
		break;
	case NEST_VEVENTQ:
		FREE(veventq, nest->veventq);
		break;
	case NEST_HWQUEUE0:
		FREE(hwqueue, nest->hwqueue[0]);
		break;
	case NEST_HWQUEUE1:
		FREE(hwqueue, nest->hwqueue[1]);
		break;
	case NEST_FAULTQ:
		FREE(faultq, nest->faultq);
		break;
	default:
		ck_abort_msg("%d is no handle", (int)which);
	}
}

void nest_close(struct nest *nest)
{
	for (int i = 0; i < NEST_HANDLES; i++)
		nest_free(nest, (enum nest_handle)i);
}

void nest_numbers(int fd, uint32_t *numbers, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

		ck_assert_int_eq(ioctl(fd, IOMMU_IOAS_ALLOC, &cmd), 0);
		numbers[i] = cmd.out_ioas_id;
	}
	for (unsigned int i = 0; i < count; i++) {
		struct iommu_destroy cmd = { .size = sizeof(cmd), .id = numbers[i] };

		ck_assert_int_eq(ioctl(fd, IOMMU_DESTROY, &cmd), 0);
	}
}

void nest_bed_open(struct nest_bed *bench)
{
	*bench = (struct nest_bed){ .ctx = NULL };
	ok(iommufd_ctx_new(NULL, &bench->ctx));
	mock_open(&bench->mock, bench->ctx, 0);
	nest_fill(&bench->nest, bench->ctx, bench->mock.dev);
}

void nest_bed_close(struct nest_bed *bench)
{
	ok(iommufd_device_detach(bench->mock.dev));
	nest_close(&bench->nest);
	mock_close(&bench->mock);
	iommufd_ctx_free(bench->ctx);
}
