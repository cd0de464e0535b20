/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "acts.h"
#include "door.h"
#include "uapi/iommufd.h"

/* VFIO_DEVICE_BIND_IOMMUFD and _DETACH_IOMMUFD_PT, which headers before Linux 6.6 lack. */
#define BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#define DETACH_PT    _IO(VFIO_TYPE, VFIO_BASE + 20)

/* ---- Devices ---- */

static uint64_t group_of(const struct iommufd_device *dev)
{
	struct iommufd_device_info info = { .struct_size = sizeof(info) };

	ok(iommufd_device_get_info(dev, &info));
	return (uint64_t)info.group;
}

static int device_new(struct stage *stage)
{
	int ret = iommufd_device_new(stage->bed.ctx, EDU, &stage->out.dev);

	stage->facts = ret ? 0 : group_of(stage->out.dev);
	return ret;
}

static void free_device(struct stage *stage)
{
	iommufd_device_free(stage->out.dev);
}

static void open_node(struct stage *stage)
{
	char path[128];

	vm_cdev(EDU, path, sizeof(path));
	stage->file = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(stage->file, 0);
}

static int device_from_fd(struct stage *stage)
{
	int ret = iommufd_device_from_fd(stage->bed.ctx, stage->file, &stage->out.dev);

	stage->facts = ret ? 0 : group_of(stage->out.dev);
	return ret;
}

/* As somebody else leaves it who has bound it to the iommufd. */
static void open_bound_node(struct stage *stage)
{
	struct {
		uint32_t argsz, flags;
		int32_t iommufd;
		uint32_t out_devid;
	} bind = { .argsz = sizeof(bind) };
	int iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	open_node(stage);
	bind.iommufd = iommufd;
	ck_assert_int_eq(ioctl(stage->file, BIND_IOMMUFD, &bind), 0);
	stage_adopt(stage, iommufd);
	close(iommufd);
}

/* A node that was bound stays so until it is closed. */
static void free_device_and_node(struct stage *stage)
{
	free_device(stage);
	close(stage->file);
	open_node(stage);
}

static int attach(struct stage *stage)
{
	return iommufd_device_attach(stage->bed.dev, stage->bed.ioas);
}

static void undo_attach(struct stage *stage)
{
	ok(iommufd_device_detach(stage->bed.dev));
}

/* So that the next attach is the first one of the device's group again. */
static void undo_first_attach(struct stage *stage)
{
	iommufd_device_free(stage->bed.dev);
	ok(iommufd_device_new(stage->bed.ctx, EDU, &stage->bed.dev));
}

/* Another device of the group is there. */
static void attach_other(struct stage *stage)
{
	ok(iommufd_device_new(stage->bed.ctx, TWIN_A, &stage->other));
	ok(iommufd_device_attach(stage->other, stage->bed.ioas));
}

/* The stage as it is when another program has put the device's group into the container, or onto the iommufd. */
static void hand_over(struct stage *stage)
{
	int node = open(vm_backend == IOMMUFD_BACKEND_IOMMUFD ? "/dev/iommu" : "/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	unsigned long type = vm_path->noiommu   ? VFIO_NOIOMMU_IOMMU
			     : vm_path->hide_v2 ? VFIO_TYPE1_IOMMU
						: VFIO_TYPE1v2_IOMMU;

	ck_assert_int_ge(node, 0);
	stage_open_group(stage);
	ck_assert_int_eq(ioctl(stage->file, VFIO_GROUP_SET_CONTAINER, &node), 0);
	if (vm_backend == IOMMUFD_BACKEND_VFIO)
		ck_assert_int_eq(ioctl(node, VFIO_SET_IOMMU, type), 0);
	stage_adopt(stage, node);
	stage->handed = true;
	close(node);
	ok(iommufd_ctx_add_group(stage->bed.ctx, stage->file));
	ok(iommufd_device_new(stage->bed.ctx, EDU, &stage->bed.dev));
}

static void hand_over_attached(struct stage *stage)
{
	hand_over(stage);
	ok(attach(stage));
}

static int detach(struct stage *stage)
{
	return iommufd_device_detach(stage->bed.dev);
}

static void undo_detach(struct stage *stage)
{
	ok(attach(stage));
}

/* What is known of regions is forgotten. */
static void reattach(struct stage *stage)
{
	ok(detach(stage));
	ok(attach(stage));
}

static int replace(struct stage *stage)
{
	return iommufd_device_replace(stage->bed.dev, stage->second);
}

static void undo_replace(struct stage *stage)
{
	ok(iommufd_device_replace(stage->bed.dev, stage->bed.ioas));
}

bool by_node(void)
{
	return vm_path->by_node;
}

static int get_info(struct stage *stage)
{
	return iommufd_device_get_info(stage->bed.dev, &stage->out.info);
}

static int reset(struct stage *stage)
{
	return iommufd_device_reset(stage->bed.dev);
}

/* ---- Resets of a bus ---- */

/* Without an IOMMU each device has a group of its own, and the twin would have to be opened too. */
static bool twins_are_one_group(void)
{
	return !vm_path->noiommu && vm_twins_have_bridge();
}

static int hot_reset(struct stage *stage)
{
	return iommufd_pci_hot_reset(stage->bed.dev);
}

static int hot_reset_info(struct stage *stage)
{
	struct iommufd_pci_affected infos[3];
	size_t count = 0;
	int ret = iommufd_pci_hot_reset_info(stage->bed.dev, infos, 3, &count);

	if (!ret)
		stage->out.number = count;
	return ret;
}

/* ---- A device's memory for others ---- */

/* Where nobody looks, since what is mapped there has no address in the process. */
#define REGION_AT UINT64_C(0x300000)

static int map_region(struct stage *stage)
{
	uint64_t iova = REGION_AT;

	return iommufd_ioas_map_region(stage->bed.ioas, stage->bed.dev, IOMMUFD_PCI_BAR0, 0, PAGE,
				       RW | IOMMUFD_MAP_FIXED, &iova);
}

static void unmap_region(struct stage *stage)
{
	ok(iommufd_ioas_unmap(stage->bed.ioas, REGION_AT, PAGE, NULL));
}

static void lend(struct stage *stage)
{
	ok(map_region(stage));
}

static bool by_dmabuf(void)
{
	return vm_linux() >= 7;
}

static int region_dmabuf(struct stage *stage)
{
	const struct iommufd_region_part part = { 0, PAGE };
	int fd = -1, ret = iommufd_device_region_dmabuf(stage->bed.dev, IOMMUFD_PCI_BAR0, &part, 1, RW, &fd);

	close(fd);
	return ret;
}

/* ---- Regions ---- */

static int region_info(struct stage *stage)
{
	return iommufd_device_region_info(stage->bed.dev, IOMMUFD_PCI_BAR0, &stage->out.region);
}

static int region_read(struct stage *stage)
{
	return iommufd_device_region_read(stage->bed.dev, IOMMUFD_PCI_BAR0, EDU_ID, stage->out.bytes, 4);
}

static int region_write(struct stage *stage)
{
	return iommufd_device_region_write(stage->bed.dev, IOMMUFD_PCI_BAR0, EDU_LIVENESS, "word", 4);
}

static int region_map(struct stage *stage)
{
	return iommufd_device_region_map(stage->bed.dev, IOMMUFD_PCI_BAR0, 0, PAGE, PROT_READ, &stage->out.addr);
}

static int region_map_all(struct stage *stage)
{
	return iommufd_device_region_map_all(stage->bed.dev, IOMMUFD_PCI_BAR0, PROT_READ, &stage->out.addr);
}

static void undo_region_map(struct stage *stage)
{
	ok(iommufd_device_region_unmap(stage->bed.dev, stage->out.addr));
	reattach(stage);
}

static int region_areas(struct stage *stage)
{
	int ret = iommufd_device_region_areas(stage->bed.dev, IOMMUFD_PCI_BAR0, stage->out.ranges, 4);

	return ret < 0 ? ret : 0;
}

static int ioeventfd_add(struct stage *stage)
{
	return iommufd_device_ioeventfd_add(stage->bed.dev, IOMMUFD_PCI_BAR0, EDU_LIVENESS, 4, 1, stage->event);
}

static int ioeventfd_remove(struct stage *stage)
{
	return iommufd_device_ioeventfd_remove(stage->bed.dev, IOMMUFD_PCI_BAR0, EDU_LIVENESS, 4, 1);
}

static void have_ioeventfd(struct stage *stage)
{
	ok(ioeventfd_add(stage));
}

static void have_no_ioeventfd(struct stage *stage)
{
	ok(ioeventfd_remove(stage));
	reattach(stage);
}

static int config_read(struct stage *stage)
{
	return iommufd_pci_config_read(stage->bed.dev, 0, stage->out.bytes, 4);
}

static int config_write(struct stage *stage)
{
	return iommufd_pci_config_write(stage->bed.dev, 0x3c, "\x07", 1);
}

static int set_master(struct stage *stage)
{
	return iommufd_pci_set_master(stage->bed.dev, true);
}

/* ---- Interrupts ---- */

static int irq_info(struct stage *stage)
{
	return iommufd_device_irq_info(stage->bed.dev, IOMMUFD_PCI_MSI, &stage->out.irq);
}

static int irq_enable(struct stage *stage)
{
	return iommufd_device_irq_enable(stage->bed.dev, IOMMUFD_PCI_MSI, 0, 1, &stage->event);
}

static int irq_disable(struct stage *stage)
{
	return iommufd_device_irq_disable(stage->bed.dev, IOMMUFD_PCI_MSI);
}

static void have_msi(struct stage *stage)
{
	ok(irq_enable(stage));
}

static void have_no_msi(struct stage *stage)
{
	ok(irq_disable(stage));
}

static int irq_enable_msix(struct stage *stage)
{
	int fds[3] = { stage->event, -1, stage->event };

	return iommufd_device_irq_enable(stage->bed.dev, IOMMUFD_PCI_MSIX, 0, 3, fds);
}

static void have_no_msix(struct stage *stage)
{
	ok(iommufd_device_irq_disable(stage->bed.dev, IOMMUFD_PCI_MSIX));
}

static int irq_trigger(struct stage *stage)
{
	return iommufd_device_irq_trigger(stage->bed.dev, IOMMUFD_PCI_MSI, 0, 1);
}

static void have_intx(struct stage *stage)
{
	ok(iommufd_device_irq_enable(stage->bed.dev, IOMMUFD_PCI_INTX, 0, 1, &stage->event));
}

static int irq_mask(struct stage *stage)
{
	return iommufd_device_irq_mask(stage->bed.dev, IOMMUFD_PCI_INTX, 0, 1);
}

static int irq_unmask(struct stage *stage)
{
	return iommufd_device_irq_unmask(stage->bed.dev, IOMMUFD_PCI_INTX, 0, 1);
}

static int irq_set_resample(struct stage *stage)
{
	return iommufd_device_irq_set_resample(stage->bed.dev, IOMMUFD_PCI_INTX, 0, stage->event);
}

static void have_no_resample(struct stage *stage)
{
	ok(iommufd_device_irq_set_resample(stage->bed.dev, IOMMUFD_PCI_INTX, 0, -1));
}

static void have_some_msix(struct stage *stage)
{
	ok(iommufd_device_irq_enable(stage->bed.dev, IOMMUFD_PCI_MSIX, 0, 1, &stage->event));
}

static int irq_enable_more(struct stage *stage)
{
	return iommufd_device_irq_enable(stage->bed.dev, IOMMUFD_PCI_MSIX, 1, 1, &stage->event);
}

static void have_no_more_msix(struct stage *stage)
{
	have_no_msix(stage);
	have_some_msix(stage);
}

/* ---- The table ---- */

/*
 * Whether the container serves already: when not, that is seen as soon as it is told to. And by group on an iommufd,
 * whether somebody else holds the device: the attempt to get it is to fail.
 */
#define ATTACHES SURVIVES({ VFIO_IOMMU_GET_INFO, 1 }, { VFIO_GROUP_GET_DEVICE_FD, 1 })
/* What the kernel would not destroy stays in the iommufd, and the log tells. */
#define LEAVES_QUEUES SURVIVES({ IOMMU_DESTROY, EACH })
/* It goes on whatever fails, and tells the log: there is nothing to go back to. */
#define DETACHES                                                                                           \
	SURVIVES({ VFIO_DEVICE_GET_REGION_INFO, EACH }, { DOOR_PREAD, EACH }, { DOOR_PWRITE, EACH },       \
		 { DETACH_PT, EACH }, { VFIO_GROUP_UNSET_CONTAINER, EACH }, { VFIO_IOMMU_GET_INFO, EACH }, \
		 { VFIO_IOMMU_DIRTY_PAGES, EACH })

/* Whether it is an eventfd, the kernel then tells. */
#define LOOKS_AT_EVENTFD SURVIVES({ DOOR_READLINK, EACH })

/* What is said of a device beside its address, by sysfs. */
#define LOOKS_UP SURVIVES({ DOOR_OPEN, EACH }, { DOOR_READLINK, EACH })

const struct act device_acts[] = {
	{ "iommufd_device_new", NEEDS_CONTEXT, device_new, .undo = free_device, .opens = by_node, .handle = true },
	{ "iommufd_device_from_fd", NEEDS_CONTEXT, device_from_fd, .undo = free_device_and_node, .prepare = open_node,
	  .on = by_node, .opens = by_node, .handle = true },
	{ "iommufd_device_from_fd, bound", NEEDS_CONTEXT, device_from_fd, .undo = free_device,
	  .prepare = open_bound_node, .on = by_node, .survives = LEAVES_QUEUES, .handle = true },
	{ "iommufd_device_attach", NEEDS_DEVICE, attach, .undo = undo_attach, .opens = by_group, .survives = ATTACHES },
	{ "iommufd_device_attach, the first", NEEDS_DEVICE, attach, .undo = undo_first_attach, .opens = by_group,
	  .survives = ATTACHES },
	{ "iommufd_device_attach, beside another", NEEDS_DEVICE, attach, .undo = undo_attach, .prepare = attach_other,
	  .address = TWIN_B, .opens = by_group, .survives = ATTACHES },
	{ "iommufd_device_attach, handed over", NEEDS_CONTEXT, attach, .undo = undo_attach, .prepare = hand_over,
	  .on = by_group, .opens = by_group, .survives = ATTACHES },
	{ "iommufd_device_detach, handed over", NEEDS_CONTEXT, detach, .undo = undo_detach,
	  .prepare = hand_over_attached, .on = by_group, .survives = DETACHES, .halfway = true },
	{ "iommufd_device_detach", NEEDS_ATTACHED, detach, .undo = undo_detach, .survives = DETACHES, .halfway = true },
	{ "iommufd_device_attach, tracked", NEEDS_DEVICE, attach, .undo = undo_attach, .prepare = stage_track,
	  .on = tells_dirty, .opens = by_group, .survives = ATTACHES },
	{ "iommufd_device_detach, tracked", NEEDS_ATTACHED, detach, .undo = undo_detach, .prepare = stage_track,
	  .on = tells_dirty, .survives = DETACHES, .halfway = true },
	{ "iommufd_device_replace", NEEDS_ATTACHED, replace, .undo = undo_replace, .on = by_node },
	{ "iommufd_device_get_info", NEEDS_ATTACHED, get_info, .size = sizeof(struct iommufd_device_info),
	  .silent = true },
	{ "iommufd_device_reset", NEEDS_ATTACHED, reset, .address = NVME, .by_steps = true },
	{ "iommufd_device_reset, lent", NEEDS_ATTACHED, reset, .prepare = lend, .finish = unmap_region,
	  .on = vm_can_lend, .address = NVME, .by_steps = true },
	{ "iommufd_pci_hot_reset", NEEDS_ATTACHED, hot_reset, .on = twins_are_one_group, .address = TWIN_A,
	  .by_steps = true, .costly = true },
	{ "iommufd_pci_hot_reset_info", NEEDS_ATTACHED, hot_reset_info, .on = vm_twins_have_bridge, .address = TWIN_A,
	  .survives = LOOKS_UP },
	{ "iommufd_ioas_map_region", NEEDS_ATTACHED, map_region, .undo = unmap_region, .on = vm_can_lend,
	  .survives = SURVIVES({ IOMMU_OPTION, EACH }) }, /* only iommufd answers that */
	{ "iommufd_device_region_dmabuf", NEEDS_ATTACHED, region_dmabuf, .on = by_dmabuf, .address = NVME },
	{ "iommufd_device_region_info", NEEDS_ATTACHED, region_info, .undo = reattach,
	  .size = sizeof(struct iommufd_region_info) },
	{ "iommufd_device_region_read", NEEDS_ATTACHED, region_read, .undo = reattach,
	  .survives = SURVIVES({ DOOR_PREAD, WITHOUT_MEMORY(1) }) },
	{ "iommufd_device_region_write", NEEDS_ATTACHED, region_write, .undo = reattach,
	  .survives = SURVIVES({ DOOR_PWRITE, WITHOUT_MEMORY(1) }) },
	{ "iommufd_device_region_map", NEEDS_ATTACHED, region_map, .undo = undo_region_map, .handle = true,
	  .survives = SURVIVES(LOOKS_WHETHER_THERE, { DOOR_MMAP, WITHOUT_MEMORY(1) }) },
	{ "iommufd_device_region_map_all", NEEDS_ATTACHED, region_map_all, .undo = undo_region_map, .handle = true,
	  .survives = SURVIVES(LOOKS_WHETHER_THERE, { DOOR_MMAP, WITHOUT_MEMORY(2) }) }, /* the first finds the place */
	{ "iommufd_device_region_areas", NEEDS_ATTACHED, region_areas, .undo = reattach },
	{ "iommufd_device_ioeventfd_add", NEEDS_ATTACHED, ioeventfd_add, .undo = have_no_ioeventfd,
	  .survives = LOOKS_AT_EVENTFD },
	{ "iommufd_device_ioeventfd_remove", NEEDS_ATTACHED, ioeventfd_remove, .undo = have_ioeventfd,
	  .prepare = have_ioeventfd },
	{ "iommufd_pci_config_read", NEEDS_ATTACHED, config_read, .undo = reattach },
	{ "iommufd_pci_config_write", NEEDS_ATTACHED, config_write, .undo = reattach,
	  .survives = SURVIVES(LOOKS_WHETHER_THERE) },
	{ "iommufd_pci_set_master", NEEDS_ATTACHED, set_master, .undo = reattach,
	  .survives = SURVIVES(LOOKS_WHETHER_THERE) },
	{ "iommufd_device_irq_info", NEEDS_ATTACHED, irq_info, .size = sizeof(struct iommufd_irq_info) },
	{ "iommufd_device_irq_enable", NEEDS_ATTACHED, irq_enable, .undo = have_no_msi,
	  .survives = SURVIVES(LOOKS_WHETHER_THERE, { DOOR_READLINK, EACH }) },
	{ "iommufd_device_irq_enable, MSI-X", NEEDS_ATTACHED, irq_enable_msix, .undo = have_no_msix, .address = NVME,
	  .survives = SURVIVES(LOOKS_WHETHER_THERE, { DOOR_READLINK, EACH }) },
	{ "iommufd_device_irq_enable, more MSI-X", NEEDS_ATTACHED, irq_enable_more, .undo = have_no_more_msix,
	  .prepare = have_some_msix, .address = NVME,
	  /* where they are enabled anew, a trigger of all for what came meanwhile */
	  .survives = SURVIVES(LOOKS_WHETHER_THERE, { DOOR_READLINK, EACH }, { VFIO_DEVICE_SET_IRQS, 3 }) },
	{ "iommufd_device_irq_disable", NEEDS_ATTACHED, irq_disable, .undo = have_msi, .prepare = have_msi },
	{ "iommufd_device_irq_mask", NEEDS_ATTACHED, irq_mask, .prepare = have_intx },
	{ "iommufd_device_irq_unmask", NEEDS_ATTACHED, irq_unmask, .prepare = have_intx },
	{ "iommufd_device_irq_set_resample", NEEDS_ATTACHED, irq_set_resample, .undo = have_no_resample,
	  .prepare = have_intx, .survives = LOOKS_AT_EVENTFD },
	{ "iommufd_device_irq_trigger", NEEDS_ATTACHED, irq_trigger, .prepare = have_msi },
	{ .name = NULL },
};
