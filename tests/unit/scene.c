/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdlib.h>

#include "scene.h"
#include "uapi/iommufd.h"
#include "uapi/vfio.h"

#define RANGES 2

const struct iommufd_range scene_ranges[RANGES] = { { 0, 0xfedfffff }, { 0xfef00000, (UINT64_C(1) << 48) - 1 } };

static char device_name[] = SCENE_DEVICE, sibling_name[] = SCENE_SIBLING, other_name[] = SCENE_OTHER;
static char path[] = "/sys/devices/pci0000:00/somewhere", driver[] = "vfio-pci", kernels[] = "e1000e";
static char cdev[] = "/dev/vfio/devices/vfio0";

static const struct ifd_found device = { device_name, path, driver, cdev, 7, 0x12345678, 0x010802, true, false, false };
static struct ifd_found sibling = { sibling_name, path, driver, cdev, 7, 0x12345679, 0x010802, true, false, false };
static const struct ifd_found other = { other_name, path, driver, cdev, 8, 0x12345670, 0x010802, true, false, false };

/* ---- iommufd ---- */

static int ioas_alloc(int fd, void *arg)
{
	static uint32_t id;
	struct iommu_ioas_alloc *cmd = arg;

	(void)fd;
	cmd->out_ioas_id = ++id;
	return 0;
}

static int iova_ranges(int fd, void *arg)
{
	struct iommu_ioas_iova_ranges *cmd = arg;
	bool fits = cmd->num_iovas >= RANGES;

	(void)fd;
	if (fits)
		memcpy((void *)(uintptr_t)cmd->allowed_iovas, scene_ranges, sizeof(scene_ranges));
	cmd->num_iovas = RANGES;
	cmd->out_iova_alignment = SCENE_PAGE;
	return fits ? 0 : -EMSGSIZE;
}

/* ---- VFIO ---- */

static int check_extension(int fd, void *arg)
{
	(void)fd;
	return (uintptr_t)arg == VFIO_TYPE1v2_IOMMU || (uintptr_t)arg == VFIO_TYPE1_IOMMU;
}

static int group_status(int fd, void *arg)
{
	(void)fd;
	((struct vfio_group_status *)arg)->flags = VFIO_GROUP_FLAGS_VIABLE;
	return 0;
}

static int get_device_fd(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	return inject_fd();
}

static struct {
	unsigned int groups;
	int type;
} container;

static int set_container(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	container.groups++;
	return 0;
}

static int unset_container(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	if (!--container.groups)
		container.type = 0;
	return 0;
}

static int set_iommu(int fd, void *arg)
{
	(void)fd;
	container.type = (int)(uintptr_t)arg;
	return 0;
}

void scene_foreign_group(bool in)
{
	if (in)
		set_container(-1, NULL);
	else
		unset_container(-1, NULL);
	if (in)
		container.type = VFIO_TYPE1v2_IOMMU;
}

int scene_container_type(void)
{
	return container.type;
}

int scene_iommu_info(void *arg, uint64_t page_sizes, const struct iommufd_range *ranges, uint32_t count)
{
	struct {
		struct vfio_iommu_type1_info info;
		struct vfio_info_cap_header header;
		uint32_t nr_iovas, reserved;
		struct iommufd_range ranges[SCENE_MAX_RANGES];
	} answer = {
		.info = { .flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS, .iova_pgsizes = page_sizes },
		.header = { VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, 0 },
		.nr_iovas = count,
	};
	uint32_t room = ((struct vfio_iommu_type1_info *)arg)->argsz;

	if (!container.type)
		return -EINVAL;
	if (container.type == VFIO_NOIOMMU_IOMMU)
		return -ENOTTY;
	answer.info.argsz = (uint32_t)(offsetof(__typeof__(answer), ranges) + count * sizeof(*ranges));
	memcpy(answer.ranges, ranges, count * sizeof(*ranges));
	if (room >= answer.info.argsz) {
		answer.info.cap_offset = offsetof(__typeof__(answer), header);
		memcpy(arg, &answer, answer.info.argsz);
	} else {
		memcpy(arg, &answer.info, sizeof(answer.info));
	}
	return 0;
}

static int iommu_info(int fd, void *arg)
{
	(void)fd;
	return scene_iommu_info(arg, SCENE_PAGE | UINT64_C(1) << 21, scene_ranges, RANGES);
}

/* ---- Devices ---- */

static int bind_device(int fd, void *arg)
{
	(void)fd;
	((struct vfio_device_bind_iommufd *)arg)->out_devid = SCENE_DEVICE_ID;
	return 0;
}

static int device_info(int fd, void *arg)
{
	struct vfio_device_info *info = arg;

	(void)fd;
	info->flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	info->num_regions = VFIO_PCI_NUM_REGIONS;
	info->num_irqs = VFIO_PCI_NUM_IRQS;
	return 0;
}

static int region_info(int fd, void *arg)
{
	struct vfio_region_info *info = arg;

	(void)fd;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE | VFIO_REGION_INFO_FLAG_MMAP;
	info->size = 16 * SCENE_PAGE;
	info->offset = info->index * 16 * SCENE_PAGE;
	return 0;
}

static int irq_info(int fd, void *arg)
{
	struct vfio_irq_info *info = arg;

	(void)fd;
	info->flags = VFIO_IRQ_INFO_EVENTFD;
	info->count = info->index == VFIO_PCI_INTX_IRQ_INDEX ? 1 : 32;
	if (info->index == VFIO_PCI_INTX_IRQ_INDEX)
		info->flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	if (info->index == VFIO_PCI_MSI_IRQ_INDEX)
		info->flags |= VFIO_IRQ_INFO_NORESIZE;
	return 0;
}

/* What is too short is how it is asked whether the kernel knows the call. */
static int map_file(int fd, void *arg)
{
	(void)fd;
	return ((struct iommu_ioas_map_file *)arg)->size < sizeof(struct iommu_ioas_map_file) ? -EINVAL : 0;
}

static int feature(int fd, void *arg)
{
	const struct vfio_device_feature *cmd = arg;

	(void)fd;
	return (cmd->flags & VFIO_DEVICE_FEATURE_MASK) == VFIO_DEVICE_FEATURE_DMA_BUF ? inject_fd() : 0;
}

void scene_lends(void)
{
	inject_ioctl(IOMMU_IOAS_MAP_FILE, map_file);
	inject_ioctl(IOMMU_IOAS_COPY, inject_succeed);
	inject_ioctl(VFIO_DEVICE_FEATURE, feature);
}

void scene_kernel_has_sibling(bool has)
{
	sibling.driver = has ? kernels : driver;
	sibling.vfio = !has;
}

void scene_answers(void)
{
	static const struct {
		unsigned long request;
		inject_answer answer;
	} answers[] = {
		{ IOMMU_OPTION, inject_succeed },
		{ IOMMU_IOAS_ALLOC, ioas_alloc },
		{ IOMMU_DESTROY, inject_succeed },
		{ IOMMU_IOAS_IOVA_RANGES, iova_ranges },
		{ IOMMU_IOAS_MAP, inject_succeed },
		{ IOMMU_IOAS_UNMAP, inject_succeed },
		{ VFIO_DEVICE_BIND_IOMMUFD, bind_device },
		{ VFIO_DEVICE_ATTACH_IOMMUFD_PT, inject_succeed },
		{ VFIO_DEVICE_DETACH_IOMMUFD_PT, inject_succeed },
		{ VFIO_GET_API_VERSION, inject_succeed },
		{ VFIO_CHECK_EXTENSION, check_extension },
		{ VFIO_SET_IOMMU, set_iommu },
		{ VFIO_GROUP_GET_STATUS, group_status },
		{ VFIO_GROUP_SET_CONTAINER, set_container },
		{ VFIO_GROUP_UNSET_CONTAINER, unset_container },
		{ VFIO_GROUP_GET_DEVICE_FD, get_device_fd },
		{ VFIO_IOMMU_GET_INFO, iommu_info },
		{ VFIO_IOMMU_MAP_DMA, inject_succeed },
		{ VFIO_IOMMU_UNMAP_DMA, inject_succeed },
		{ VFIO_DEVICE_GET_INFO, device_info },
		{ VFIO_DEVICE_GET_REGION_INFO, region_info },
		{ VFIO_DEVICE_GET_IRQ_INFO, irq_info },
		{ VFIO_DEVICE_SET_IRQS, inject_succeed },
		{ VFIO_DEVICE_RESET, inject_succeed },
		{ VFIO_DEVICE_IOEVENTFD, inject_succeed },
	};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		inject_ioctl(answers[i].request, answers[i].answer);
	inject_nodes("/dev/");
	inject_device(&device);
	inject_device(&sibling);
	inject_device(&other);
}

void scene_open(struct scene *scene, uint32_t backend)
{
	struct iommufd_ctx_opts opts = { sizeof(opts), .backend = backend };

	scene_answers();
	ck_assert_int_eq(iommufd_ctx_new(&opts, &scene->ctx), 0);
	ck_assert_int_eq(iommufd_ioas_new(scene->ctx, &scene->ioas), 0);
	ck_assert_int_eq(iommufd_device_new(scene->ctx, SCENE_DEVICE, &scene->dev), 0);
}

static unsigned int others;

void scene_other_object(void)
{
	others++;
}

unsigned int scene_objects(void)
{
	return inject_ioctls(IOMMU_IOAS_ALLOC) + others - inject_ioctls(IOMMU_DESTROY);
}

void scene_close(struct scene *scene)
{
	iommufd_device_free(scene->dev);
	iommufd_ioas_free(scene->ioas);
	iommufd_ctx_free(scene->ctx);
	*scene = (struct scene){ .dev = NULL };
	ck_assert_uint_eq(inject_fds(), 0);
	ck_assert_uint_eq(inject_mapped(), 0);
	ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_SET_CONTAINER), inject_ioctls(VFIO_GROUP_UNSET_CONTAINER));
	ck_assert_uint_eq(scene_objects(), 0);
}

void scene_check_detached(const struct scene *scene)
{
	ck_assert_ptr_null(scene->dev->at.ioas);
	ck_assert_uint_eq(scene->dev->group->attached, 0);
	ck_assert_ptr_null(scene->dev->group->at.ioas);
	ck_assert(!scene->dev->group->joined);
	ck_assert_uint_eq(scene->ioas->attached, 0);
	ck_assert(!scene->ioas->serving);
	ck_assert_ptr_null(scene->ioas->ranges);
	ck_assert_uint_eq(inject_ioctls(VFIO_GROUP_SET_CONTAINER), inject_ioctls(VFIO_GROUP_UNSET_CONTAINER));
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_ATTACH_IOMMUFD_PT), inject_ioctls(VFIO_DEVICE_DETACH_IOMMUFD_PT));
}

void *scene_memory(uint64_t page)
{
	return (void *)(uintptr_t)(0x10000000 + page * SCENE_PAGE);
}

void scene_map(struct scene *scene, uint64_t iova, unsigned int pages)
{
	uint32_t flags = IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE | IOMMUFD_MAP_FIXED;

	ck_assert_int_eq(
		iommufd_ioas_map(scene->ioas, scene_memory(iova / SCENE_PAGE), pages * SCENE_PAGE, flags, &iova), 0);
}

void scene_map_at(struct scene *scene, uint64_t iova, uint64_t len)
{
	ck_assert_int_eq(iommufd_ioas_map(scene->ioas, (void *)(uintptr_t)(UINT64_C(1) << 30), len,
					  IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE | IOMMUFD_MAP_FIXED, &iova),
			 0);
}
