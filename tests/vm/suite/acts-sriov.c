/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "acts.h"
#include "sriov.h"

/* VFIO_DEVICE_BIND_IOMMUFD, which headers before Linux 6.6 lack. */
#define BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)

static struct bed pf;
static char vf[IOMMUFD_PCI_NAME_SIZE];

static bool has_card(void)
{
	return !access("/sys/bus/pci/devices/" CARD, F_OK);
}

static void one_vf(struct stage *stage)
{
	(void)stage;
	vfs_none(CARD);
	ok(iommufd_pci_set_num_vfs(CARD, 1));
	ok(iommufd_pci_get_vf(CARD, 0, vf, sizeof(vf)));
}

static void no_vf(struct stage *stage)
{
	(void)stage;
	vfs_none(CARD);
}

static int get_info(struct stage *stage)
{
	return iommufd_pci_sriov_get_info(EDU, &stage->out.sriov);
}

static int get_info_of_vf(struct stage *stage)
{
	return iommufd_pci_sriov_get_info(vf, &stage->out.sriov);
}

static int get_vf(struct stage *stage)
{
	return iommufd_pci_get_vf(CARD, 0, (char *)stage->out.bytes, sizeof(stage->out.bytes));
}

static int set_num_vfs(struct stage *stage)
{
	(void)stage;
	return iommufd_pci_set_num_vfs(CARD, 1);
}

static void open_pf(struct stage *stage)
{
	one_vf(stage);
	bed_attach(&pf, CARD);
	ok(iommufd_pci_set_vf_token(pf.dev, vf_token));
}

static void close_pf(struct stage *stage)
{
	no_vf(stage);
	bed_close(&pf);
}

static int open_vf(struct stage *stage)
{
	struct iommufd_device_opts opts = { .struct_size = sizeof(opts), .vf_token = vf_token };

	return iommufd_device_new_opts(stage->bed.ctx, vf, &opts, &stage->out.dev);
}

static void free_vf(struct stage *stage)
{
	iommufd_device_free(stage->out.dev);
}

/*
 * What the kernel would say of no token, and of this one, is asked first; then it says so once more at the open itself.
 */
#define ASKS                                                                                                           \
	SURVIVES({ BIND_IOMMUFD, 1 }, { BIND_IOMMUFD, 2 }, { VFIO_GROUP_GET_STATUS, 2 }, { VFIO_GROUP_GET_STATUS, 3 }, \
		 { VFIO_GROUP_GET_DEVICE_FD, EACH })

/*
 * Linux 7.3 takes apart what it has not put together when it has no memory for a virtual function, and needs memory to
 * give one to who opens it: see vm_keep_enabled().
 */
const struct act sriov_acts[] = {
	{ "iommufd_pci_sriov_get_info", NEEDS_CONTEXT, get_info, .size = sizeof(struct iommufd_sriov_info) },
	{ "iommufd_pci_sriov_get_info, a virtual function", NEEDS_CONTEXT, get_info_of_vf, .prepare = one_vf,
	  .finish = no_vf, .on = has_card, .size = sizeof(struct iommufd_sriov_info) },
	{ "iommufd_pci_get_vf", NEEDS_CONTEXT, get_vf, .prepare = one_vf, .finish = no_vf, .on = has_card },
	{ "iommufd_pci_set_num_vfs", NEEDS_CONTEXT, set_num_vfs, .undo = no_vf, .prepare = no_vf, .on = has_card,
	  .costly = true, .fatal = true },
	{ "iommufd_device_new_opts, a virtual function", NEEDS_CONTEXT, open_vf, .undo = free_vf, .prepare = open_pf,
	  .finish = close_pf, .on = has_card, .handle = true, .fatal = true, .survives = ASKS },
	{ .name = NULL },
};
