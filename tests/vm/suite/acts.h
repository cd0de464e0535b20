/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Each public call that makes system calls, as a row of the table that inject.c goes through. */
#ifndef ACTS_H
#define ACTS_H

#include <limits.h>

#include "vm.h"

/* What a call gives. */
union out {
	struct iommufd_ctx *ctx;
	struct iommufd_ioas *ioas;
	struct iommufd_device *dev;
	struct iommufd_report *report;
	struct iommufd_diagnosis *diagnosis;
	void *addr;
	uint64_t number;
	uint32_t on;
	unsigned char bytes[192];
	struct iommufd_dma dma;
	struct iommufd_pool *pool;
	struct iommufd_map maps[3];
	struct iommufd_range ranges[4];
	struct iommufd_segment segments[8];
	struct iommufd_region_info region;
	struct iommufd_irq_info irq;
	struct iommufd_device_info info;
	struct iommufd_hw_info hw;
	struct iommufd_sriov_info sriov;
	struct iommufd_pci_bar bar;
	struct iommufd_pci_msix msix;
	struct iommufd_mdev_type type;
	struct iommufd_monitor *monitor;
};

/* What is there before a call. Made once a row; after each call undo() brings it back to what it was. */
struct stage {
	struct bed bed;
	struct iommufd_ioas *second;
	struct iommufd_device *other; /* attached to bed.ioas too, or NULL */
	struct iommufd_ctx *fresh;    /* a context without anything */
	bool handed;                  /* the container serves without any device of ours */
	uint32_t id;                  /* the object of bed.ioas, where iommufd has it */
	unsigned char *pages;         /* STAGE_PAGES, of which stage_map_all() has mapped the first four */
	int file, event;
	union out out;
	uint64_t facts; /* what out has behind a handle, where that is to be the same each time */
};

#define STAGE_PAGES 16

/*
 * Pages 0 and 1 are neighbours and two mappings, pages 2 and 3 are one behind a hole. At the free one there is nothing.
 */
#define STAGE_FIRST UINT64_C(0x100000)
#define STAGE_LAST  (STAGE_FIRST + 6 * PAGE - 1)
#define STAGE_FREE  UINT64_C(0x200000)

enum needs {
	NEEDS_CONTEXT, /* with an IOAS and its mappings */
	NEEDS_DEVICE,  /* open */
	NEEDS_ATTACHED,
};

/* A system call that a call can do without. */
struct survival {
	unsigned long call;
	unsigned int turn; /* which of that name, counted from 1 */
#define EACH 0
/*
 * The n-th one, while the kernel lacks memory: it says EBUSY of a BAR that it cannot claim, and that is tried again. A
 * kernel that claims BARs when the device is opened, as newer ones do, does not come there.
 */
#define WITHOUT_MEMORY(n) (1u << 31 | (n))
};

struct act {
	const char *name;
	enum needs needs;
	int (*call)(struct stage *stage);
	void (*undo)(struct stage *stage); /* NULL where nothing has changed */

	void (*prepare)(struct stage *stage); /* NULL where nothing else is needed */
	void (*finish)(struct stage *stage);  /* what undoes that; NULL where the stage does */
	bool (*on)(void);                     /* whether the path has it; NULL for every path */
	bool (*opens)(void);                  /* whether the kernel opens a device in it; NULL for never */
	const char *address;                  /* of the device, EDU when it is NULL */
	size_t size;                          /* of the structure that the call fills, which begins with it */
	const struct survival *survives;      /* ends with 0 */
	bool spends;                          /* when it survives, it may take one file descriptor more */
	bool halfway;                         /* when it survives, some of it may not be done */
	bool by_steps;                        /* when it fails, some of it may be done */
	bool keeps;                           /* it takes back by what all of has failed: one descriptor stays */
	bool handle;                          /* it gives an address, which need not be the same each time */
	bool silent;                          /* it makes no system call; every other one does */
	bool seldom;                          /* but this one not on every path */
	bool fatal;                           /* no kernel survives being short of memory in it */
	bool costly;                          /* it takes so long that only some of its system calls are tried */
};

/* A device that cannot be looked at in sysfs counts as one that is there. */
#define LOOKS_WHETHER_THERE     \
	{                       \
		DOOR_STAT, EACH \
	}
#define SURVIVES(...) ((const struct survival[]){ __VA_ARGS__, { 0, 0 } })

/*
 * Contexts and mappings; buffers; more about address spaces; devices; what drivers have beside the usual; virtual
 * functions; VMs; configuration space; mediated devices and the monitor; what only the mock IOMMU has. A row without a
 * name ends each.
 */
extern const struct act acts[], dma_acts[], ioas_acts[], device_acts[], feature_acts[], sriov_acts[], kvm_acts[],
	pci_acts[], system_acts[], mock_acts[];

/* Whether dirty pages are told while the device is attached; from now on. */
bool tells_dirty(void);
void stage_track(struct stage *stage);

/* How the path reaches a device. */
bool by_node(void);
bool by_group(void);

void stage_open(struct stage *stage, const struct act *act);
void stage_close(struct stage *stage);

/* The context, the IOASes and the mappings anew, of an iommufd or a container that is open. */
void stage_adopt(struct stage *stage, int fd);

/* The node of the group of EDU becomes the stage's file. */
void stage_open_group(struct stage *stage);

#endif
