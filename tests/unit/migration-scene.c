/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>

#include "migration-scene.h"

struct mover_kernel mover_kernel;

bool mover_saves(uint32_t state)
{
	return state == STOP_COPY || state == PRE_COPY || state == PRE_COPY_P2P;
}

static int set_state(struct vfio_device_feature_mig_state *data)
{
	uint32_t from = mover_kernel.state, to = data->device_state;
	bool begins = to == RESUMING || (mover_saves(to) && !mover_saves(from));

	data->data_fd = -1;
	mover_kernel.sets++;
	mover_kernel.last_set = to;
	if (mover_kernel.refuse) {
		mover_kernel.state = mover_kernel.refuse_at == STAYS ? from : mover_kernel.refuse_at;
		return mover_kernel.refuse;
	}
	if (from != to && (mover_kernel.stream > 0 || (begins && !mover_kernel.stream)))
		data->data_fd = inject_fd();
	mover_kernel.state = to;
	return 0;
}

static int feature(int fd, void *arg)
{
	struct vfio_device_feature *cmd = arg;
	struct vfio_device_feature_mig_state state = { mover_kernel.state, -1 };
	struct vfio_device_feature_mig_data_size size = { 1234 };
	int ret = 0;

	(void)fd;
	if (cmd->flags & VFIO_DEVICE_FEATURE_PROBE)
		return mover_kernel.old ? -ENOTTY : 0;
	switch (cmd->flags) {
	case VFIO_DEVICE_FEATURE_MIGRATION | VFIO_DEVICE_FEATURE_GET:
		memcpy(cmd->data, &mover_kernel.can, sizeof(mover_kernel.can));
		return 0;
	case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_GET:
		memcpy(cmd->data, &state, sizeof(state));
		return mover_kernel.ask;
	case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_SET:
		memcpy(&state, cmd->data, sizeof(state));
		ret = set_state(&state);
		memcpy(cmd->data, &state, sizeof(state));
		return ret;
	case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE | VFIO_DEVICE_FEATURE_GET:
		memcpy(cmd->data, &size, sizeof(size));
		return 0;
	case VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 | VFIO_DEVICE_FEATURE_SET:
		mover_kernel.v2++;
		return 0;
	default:
		ck_abort_msg("feature 0x%x", cmd->flags);
	}
}

static int reset(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	mover_kernel.resets++;
	mover_kernel.state = mover_kernel.after_reset;
	return 0;
}

struct iommufd_migration *mover_open(struct scene *scene, uint64_t can, uint32_t state, uint32_t flags)
{
	struct iommufd_migration *m = NULL;

	scene_open(scene, IOMMUFD_BACKEND_VFIO);
	inject_ioctl(VFIO_DEVICE_FEATURE, feature);
	inject_ioctl(VFIO_DEVICE_RESET, reset);
	inject_queue(NULL, NULL);
	memset(&mover_kernel, 0, sizeof(mover_kernel));
	mover_kernel.can = can;
	mover_kernel.state = state;
	mover_kernel.after_reset = RUNNING;
	mover_kernel.refuse_at = STAYS;
	ck_assert_int_eq(iommufd_device_attach(scene->dev, scene->ioas), 0);
	ck_assert_msg(!iommufd_migration_new(scene->dev, flags, &m), "%s", iommufd_errmsg());
	return m;
}

void mover_close(struct scene *scene, struct iommufd_migration *m)
{
	iommufd_migration_free(m);
	scene_close(scene);
}

void mover_is_in(struct iommufd_migration *m, uint32_t state)
{
	uint32_t told = 99;

	ck_assert_int_eq(iommufd_migration_get_state(m, &told), 0);
	ck_assert_uint_eq(told, state);
	ck_assert_uint_eq(mover_kernel.state, state);
}
