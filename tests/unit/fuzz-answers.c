/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <string.h>

#include "fuzz-answers.h"
#include "uapi/iommufd.h"
#include "uapi/kvm.h"
#include "uapi/vfio.h"

#define PAGE UINT64_C(4096)

static uint32_t last_id;

uint32_t fuzz_new_id(void)
{
	return ++last_id;
}

void fuzz_answers_start(void)
{
	last_id = 0;
}

/* ---- iommufd ---- */

static int option(struct fuzz_file *file, void *arg)
{
	struct iommu_option *cmd = arg;

	if (file->kind != FUZZ_IOMMUFD && fuzz_byte() < 0xc0)
		return -ENOTTY;
	cmd->val64 = fuzz_byte() & 1;
	return 0;
}

static int ioas_alloc(struct fuzz_file *file, void *arg)
{
	struct iommu_ioas_alloc *cmd = arg;

	(void)file;
	cmd->out_ioas_id = fuzz_new_id();
	return 0;
}

static struct iommu_iova_range range(uint32_t i)
{
	if (i < 2)
		return i ? (struct iommu_iova_range){ 0xfef00000, (UINT64_C(1) << 39) - 1 }
			 : (struct iommu_iova_range){ 0, 0xfedfffff };
	return (struct iommu_iova_range){ (UINT64_C(1) << 39) + i * 16 * PAGE,
					  (UINT64_C(1) << 39) + (i * 16 + 15) * PAGE - 1 };
}

static uint32_t how_many(void)
{
	uint8_t byte = fuzz_byte();

	return byte < 0xc0 ? 2 : byte & 0x3f;
}

static int iova_ranges(struct fuzz_file *file, void *arg)
{
	struct iommu_ioas_iova_ranges *cmd = arg;
	struct iommu_iova_range *ranges = (void *)(uintptr_t)cmd->allowed_iovas;
	uint32_t room = cmd->num_iovas;

	(void)file;
	cmd->num_iovas = how_many();
	cmd->out_iova_alignment = PAGE;
	for (uint32_t i = 0; i < room && i < cmd->num_iovas; i++)
		ranges[i] = range(i);
	return cmd->num_iovas <= room ? 0 : -EMSGSIZE;
}

void fuzz_check_map(uint64_t iova, uint64_t len)
{
	fuzz_check(len && iova + (len - 1) >= iova && !((iova | len) & (PAGE - 1)),
		   "the kernel is asked for 0x%llx bytes at IOVA 0x%llx", (unsigned long long)len,
		   (unsigned long long)iova);
}

static int ioas_map(struct fuzz_file *file, void *arg)
{
	struct iommu_ioas_map *cmd = arg;

	(void)file;
	fuzz_check_map(cmd->iova, cmd->length);
	return 0;
}

static int ioas_unmap(struct fuzz_file *file, void *arg)
{
	struct iommu_ioas_unmap *cmd = arg;

	(void)file;
	fuzz_check_map(cmd->iova, cmd->length);
	return 0;
}

static int get_pa(struct fuzz_file *file, void *arg)
{
	struct iommu_ioas_noiommu_get_pa *cmd = arg;

	(void)file;
	if (cmd->length > PAGE - cmd->iova % PAGE)
		cmd->length = PAGE - cmd->iova % PAGE;
	cmd->out_phys = cmd->iova ^ (fuzz_byte() * PAGE);
	return 0;
}

static int vfio_ioas(struct fuzz_file *file, void *arg)
{
	struct iommu_vfio_ioas *cmd = arg;

	if (cmd->op == IOMMU_VFIO_IOAS_GET) {
		cmd->ioas_id = file->compat;
		return file->compat ? 0 : -ENODEV;
	}
	file->compat = cmd->op == IOMMU_VFIO_IOAS_SET ? cmd->ioas_id : 0;
	return 0;
}

/* ---- Containers and groups ---- */

static int bind_iommufd(struct fuzz_file *file, void *arg)
{
	(void)file;
	((struct vfio_device_bind_iommufd *)arg)->out_devid = fuzz_new_id();
	return 0;
}

static int plain(struct fuzz_file *file, void *arg)
{
	(void)file;
	(void)arg;
	return 0;
}

static int check_extension(struct fuzz_file *file, void *arg)
{
	uintptr_t type = (uintptr_t)arg;

	(void)file;
	return type == VFIO_TYPE1v2_IOMMU || type == VFIO_TYPE1_IOMMU || type == VFIO_NOIOMMU_IOMMU;
}

static int set_iommu(struct fuzz_file *file, void *arg)
{
	if (!file->groups || file->type)
		return -EINVAL;
	file->type = (unsigned int)(uintptr_t)arg;
	return 0;
}

static int group_status(struct fuzz_file *file, void *arg)
{
	((struct vfio_group_status *)arg)->flags =
		VFIO_GROUP_FLAGS_VIABLE | (file->container ? VFIO_GROUP_FLAGS_CONTAINER_SET : 0);
	return 0;
}

static int set_container(struct fuzz_file *file, void *arg)
{
	struct fuzz_file *container = fuzz_file(*(int *)arg);

	fuzz_check(container, "a group is put into a container that is not open");
	if (file->container)
		return -EINVAL;
	container->groups++;
	file->container = *(int *)arg;
	return 0;
}

static int unset_container(struct fuzz_file *file, void *arg)
{
	struct fuzz_file *container = fuzz_file(file->container);

	(void)arg;
	if (!file->container)
		return -EINVAL;
	file->container = 0;
	if (container && !--container->groups)
		container->type = 0;
	return 0;
}

static int get_device(struct fuzz_file *file, void *arg)
{
	struct fuzz_file *container = fuzz_file(file->container);

	(void)arg;
	if (!container || (container->kind == FUZZ_IOMMUFD && !container->compat && !file->noiommu))
		return -EINVAL;
	return fuzz_open(FUZZ_DEVICE);
}

/* Capabilities are aligned as kernels before 6.6 had them: to 4. */
static int container_info(struct fuzz_file *file, void *arg)
{
	struct vfio_iommu_type1_info *out = arg;
	uint32_t count = how_many(), room = out->argsz;
	struct {
		struct vfio_iommu_type1_info info;
		struct vfio_iommu_type1_info_dma_avail left;
		struct vfio_info_cap_header header;
		uint32_t nr_iovas, reserved;
		unsigned char ranges[64 * sizeof(struct iommu_iova_range)];
	} answer = {
		.info = { .flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS, .iova_pgsizes = PAGE | 2 << 20 },
		.left = { { VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 1, offsetof(__typeof__(answer), header) }, 65535 },
		.header = { VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, 0 },
		.nr_iovas = count,
	};

	if (!file->type)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++)
		memcpy(answer.ranges + i * sizeof(range(i)),
		       &(struct iommu_iova_range){ range(i).start, range(i).last }, sizeof(struct iommu_iova_range));
	answer.info.argsz = (uint32_t)(offsetof(__typeof__(answer), ranges) + count * sizeof(struct iommu_iova_range));
	if (room >= answer.info.argsz) {
		answer.info.cap_offset = offsetof(__typeof__(answer), left);
		memcpy(arg, &answer, answer.info.argsz);
	} else {
		memcpy(arg, &answer.info, sizeof(answer.info));
	}
	return 0;
}

static int map_dma(struct fuzz_file *file, void *arg)
{
	struct vfio_iommu_type1_dma_map *cmd = arg;

	fuzz_check_map(cmd->iova, cmd->size);
	return file->type ? 0 : -EINVAL;
}

static int unmap_dma(struct fuzz_file *file, void *arg)
{
	struct vfio_iommu_type1_dma_unmap *cmd = arg;
	struct vfio_bitmap bitmap;

	fuzz_check_map(cmd->iova, cmd->size);
	if (!file->type)
		return -EINVAL;
	if (cmd->flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP) {
		memcpy(&bitmap, cmd->data, sizeof(bitmap));
		fuzz_dirty_bits(bitmap.data, bitmap.size);
	}
	return 0;
}

static int dirty_pages(struct fuzz_file *file, void *arg)
{
	struct vfio_iommu_type1_dirty_bitmap *cmd = arg;
	struct vfio_iommu_type1_dirty_bitmap_get range;

	if (!file->type)
		return -EINVAL;
	if (cmd->flags & VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP) {
		memcpy(&range, cmd->data, sizeof(range));
		fuzz_check_map(range.iova, range.size);
		fuzz_dirty_bits(range.bitmap.data, range.bitmap.size);
	}
	return 0;
}

/* ---- Devices ---- */

static int device_info(struct fuzz_file *file, void *arg)
{
	struct vfio_device_info *info = arg;

	(void)file;
	info->flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	info->num_regions = VFIO_PCI_NUM_REGIONS;
	info->num_irqs = VFIO_PCI_NUM_IRQS;
	return 0;
}

static int region_info(struct fuzz_file *file, void *arg)
{
	struct vfio_region_info *info = arg;
	struct {
		struct vfio_region_info info;
		struct vfio_info_cap_header type;
		uint32_t pad;
		struct vfio_info_cap_header sparse;
		uint32_t nr_areas, reserved;
		uint32_t areas[2][4];
	} answer = {
		.info = { sizeof(answer), 15, info->index, offsetof(__typeof__(answer), type), 16 * PAGE,
			  (uint64_t)info->index << 40 },
		.type = { VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 1, offsetof(__typeof__(answer), sparse) },
		.sparse = { VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0 },
		.nr_areas = 2,
		.areas = { { 0, 0, 4096, 0 }, { 8192, 0, 16384, 0 } },
	};

	(void)file;
	if (info->index == VFIO_PCI_VGA_REGION_INDEX)
		return -EINVAL;
	if (info->index == VFIO_PCI_BAR1_REGION_INDEX && info->argsz < sizeof(answer)) {
		answer.info.cap_offset = 0;
	} else if (info->index == VFIO_PCI_BAR1_REGION_INDEX) {
		memcpy(info, &answer, sizeof(answer));
		return 0;
	} else {
		answer.info.flags &= ~(uint32_t)VFIO_REGION_INFO_FLAG_CAPS;
		answer.info.argsz = sizeof(*info);
	}
	*info = answer.info;
	return 0;
}

static int irq_info(struct fuzz_file *file, void *arg)
{
	struct vfio_irq_info *info = arg;

	(void)file;
	info->flags = VFIO_IRQ_INFO_EVENTFD;
	info->count = info->index == VFIO_PCI_INTX_IRQ_INDEX ? 1 : 32;
	if (info->index == VFIO_PCI_INTX_IRQ_INDEX)
		info->flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	if (info->index == VFIO_PCI_MSI_IRQ_INDEX)
		info->flags |= VFIO_IRQ_INFO_NORESIZE;
	return 0;
}

/* ---- The table ---- */

static const struct fuzz_ioctl answers[] = {
	{ IOMMU_OPTION, option, sizeof(struct iommu_option) },
	{ IOMMU_IOAS_ALLOC, ioas_alloc, sizeof(struct iommu_ioas_alloc) },
	{ IOMMU_DESTROY, plain, 0 },
	{ IOMMU_IOAS_IOVA_RANGES, iova_ranges, sizeof(struct iommu_ioas_iova_ranges) },
	{ IOMMU_IOAS_MAP, ioas_map, sizeof(struct iommu_ioas_map) },
	{ IOMMU_IOAS_UNMAP, ioas_unmap, sizeof(struct iommu_ioas_unmap) },
	{ IOMMU_IOAS_NOIOMMU_GET_PA, get_pa, sizeof(struct iommu_ioas_noiommu_get_pa) },
	{ IOMMU_VFIO_IOAS, vfio_ioas, sizeof(struct iommu_vfio_ioas) },
	{ VFIO_GET_API_VERSION, plain, 0 },
	{ VFIO_CHECK_EXTENSION, check_extension, 0 },
	{ VFIO_SET_IOMMU, set_iommu, 0 },
	{ VFIO_GROUP_GET_STATUS, group_status, sizeof(struct vfio_group_status) },
	{ VFIO_GROUP_SET_CONTAINER, set_container, 0 },
	{ VFIO_GROUP_UNSET_CONTAINER, unset_container, 0 },
	{ VFIO_GROUP_GET_DEVICE_FD, get_device, 0 },
	{ VFIO_IOMMU_GET_INFO, container_info, 1 },
	{ VFIO_IOMMU_MAP_DMA, map_dma, sizeof(struct vfio_iommu_type1_dma_map) },
	{ VFIO_IOMMU_UNMAP_DMA, unmap_dma, sizeof(struct vfio_iommu_type1_dma_unmap) },
	{ VFIO_IOMMU_DIRTY_PAGES, dirty_pages, 0 },
	{ VFIO_DEVICE_BIND_IOMMUFD, bind_iommufd, sizeof(struct vfio_device_bind_iommufd) },
	{ VFIO_DEVICE_ATTACH_IOMMUFD_PT, plain, sizeof(struct vfio_device_attach_iommufd_pt) },
	{ VFIO_DEVICE_DETACH_IOMMUFD_PT, plain, 0 },
	{ VFIO_DEVICE_GET_INFO, device_info, sizeof(struct vfio_device_info) },
	{ VFIO_DEVICE_GET_REGION_INFO, region_info, 1 },
	{ VFIO_DEVICE_GET_IRQ_INFO, irq_info, sizeof(struct vfio_irq_info) },
	{ VFIO_DEVICE_SET_IRQS, plain, 0 },
	{ VFIO_DEVICE_RESET, plain, 0 },
	{ VFIO_DEVICE_IOEVENTFD, plain, 0 },
	{ 0, NULL, 0 },
};

static const struct fuzz_ioctl *look(const struct fuzz_ioctl *table, unsigned long request)
{
	while (table->request && table->request != request)
		table++;
	return table->request ? table : NULL;
}

/* Requests that share a number differ by the file. */
static const struct fuzz_ioctl *find(const struct fuzz_file *file, unsigned long request)
{
	const struct fuzz_ioctl *ioctl = file->kind == FUZZ_DEVICE ? look(fuzz_device_ioctls, request) : NULL;

	if (!ioctl)
		ioctl = look(answers, request);
	if (!ioctl)
		ioctl = look(fuzz_object_ioctls, request);
	if (!ioctl)
		ioctl = look(fuzz_other_ioctls, request);
	fuzz_check(ioctl, "ioctl 0x%lx is not known here", request);
	return ioctl;
}

/* What is shorter than it ever was is how the library asks an iommufd whether there is such a call. */
static bool is_short(unsigned long request, const void *arg)
{
	uint32_t size;

	if (_IOC_TYPE(request) != IOMMUFD_TYPE || _IOC_NR(request) < 0x80)
		return false;
	memcpy(&size, arg, sizeof(size));
	return size == sizeof(size);
}

int fuzz_answer(struct fuzz_file *file, unsigned long request, void *arg)
{
	if (is_short(request, arg))
		return -EINVAL;
	return find(file, request)->answer(file, arg);
}

size_t fuzz_answer_spans(const struct fuzz_file *file, unsigned long request, void *arg, struct fuzz_span spans[2])
{
	const struct iommu_ioas_iova_ranges *ranges;
	const struct iommu_hw_info *info;
	size_t size = find(file, request)->size;
	uint32_t argsz;

	if (!size || fuzz_gives_file(file, request, arg))
		return 0;
	memcpy(&argsz, arg, sizeof(argsz));
	spans[0] = (struct fuzz_span){ arg, size > 1 && !is_short(request, arg) ? size : argsz };
	if (request == IOMMU_IOAS_IOVA_RANGES) {
		ranges = arg;
		spans[1] = (struct fuzz_span){ (void *)(uintptr_t)ranges->allowed_iovas,
					       ranges->num_iovas * sizeof(struct iommu_iova_range) };
		return 2;
	}
	if (request == IOMMU_GET_HW_INFO && argsz == sizeof(*info)) {
		info = arg;
		spans[1] = (struct fuzz_span){ (void *)(uintptr_t)info->data_uptr, info->data_len };
		return info->data_len ? 2 : 1;
	}
	return 1;
}

bool fuzz_gives_file(const struct fuzz_file *file, unsigned long request, const void *arg)
{
	if (file->kind == FUZZ_DEVICE && request == VFIO_DEVICE_FEATURE)
		return fuzz_feature_gives_file(arg);
	return request == KVM_CREATE_DEVICE || request == IOMMU_FAULT_QUEUE_ALLOC || request == IOMMU_VEVENTQ_ALLOC;
}

bool fuzz_is_unmap(unsigned long request)
{
	return request == IOMMU_IOAS_UNMAP || request == VFIO_IOMMU_UNMAP_DMA;
}
