/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The objects behind the handles, and what the library's files share. Internal.
 *
 * Locks, in the order in which they are taken:
 *   pool->lock   a pool of small objects, see there: also while it maps more memory
 *   ctx->lending mappings of devices' memory: their making, and their renewal in all IOASes; what lends is not detached
 *   ioas->gate   shared by map and unmap, exclusive for attach, detach and unmap_all: the set of attached devices, the
 *                permitted ranges and the alignment do not change under a mapping that is being made
 *   ctx->pins    where the library locks memory: so that it does not unlock what another thread has just mapped
 *   ctx->opening opening and closing of devices
 *   dev->command PCI's command register of a device: from reading it to writing it
 *   dev->lock    a device's region mappings and interrupts
 *   ctx->lock    the list of groups and who has claimed them; a leaf, no ioctl under it
 *   index.lock   what is mapped; a leaf, no ioctl under it
 *   kvm->lock    the devices of a VM; a leaf, no ioctl under it
 *   those of queues and virtual IOMMUs, see there: leaves, held across their own ioctls, reads and writes
 */
#ifndef IFD_INTERNAL_H
#define IFD_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libiommufd.h>

#include "backend.h"
#include "err.h"
#include "index.h"
#include "irq.h"
#include "log.h"
#include "opts.h"
#include "region.h"
#include "sys.h"

#define EXPORT __attribute__((visibility("default")))

/* The end of a member: the size of a structure whose first release ended with it. */
#define IFD_END_OF(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

#define IFD_DEV_IOMMU "/dev/iommu"
#define IFD_DEV_VFIO  "/dev/vfio/vfio"

/* What a device, or a PASID of one, is attached to. */
struct ifd_target {
	struct iommufd_ioas *ioas; /* NULL for nothing */
	struct iommufd_hwpt *hwpt; /* a page table that shows it, or NULL where the kernel picks one */
};

static inline bool ifd_target_is(const struct ifd_target *a, const struct ifd_target *b)
{
	return a->ioas == b->ioas && a->hwpt == b->hwpt;
}

/* An IOMMU group that has an open device in a context. Guarded by ctx->lock, but `fd`: see there. */
struct ifd_group {
	struct ifd_group *next;
	int id;
	unsigned int opened;   /* devices that are open, and one more when its node was adopted */
	unsigned int attached; /* of these, the ones that are attached, or about to be */
	struct ifd_target at;  /* where, while `attached` is not 0 */
	int fd;         /* the group's node, where it is used: from the first opened device to the last; else -1 */
	bool adopted;   /* the node is somebody else's too, and stays open as long as the context */
	bool contained; /* iommufd: that is its container; guarded by ctx->opening */
	bool theirs;    /* VFIO: somebody else has put it into its container, and takes it out; see `joined` */
	/* VFIO: in whose container it is; with a reference of its own while no device is attached there any more */
	struct iommufd_ioas *joined;

	/* Where its node is used: whose VM it is, or NULL; how many devices are open for that; whether KVM knows. */
	struct iommufd_kvm *kvm; /* guarded by ctx->opening, as the other two */
	unsigned int kvm_users;
	bool kvm_knows;
};

struct iommufd_ctx {
	atomic_uint refs;      /* the owner, each IOAS, each device */
	bool noiommu;          /* devices without an IOMMU may be opened */
	uint32_t memlock_mode; /* that was asked for: an IOMMUFD_MEMLOCK constant, or 0 */
	bool adopted;          /* `fd` is a copy of one that is somebody else's too */
	bool orphan;           /* its owner has freed it, so no device will be opened any more; guarded by `opening` */
	struct ifd_log log;
	const struct ifd_backend *backend;
	char *passed_over;       /* AUTO: why it is not the first one, or NULL */
	int fd;                  /* the iommufd; VFIO: a container, see container_free */
	pthread_mutex_t opening; /* held while devices are opened and closed, since two may share a group's node */
	struct iommufd_device *devices; /* that are open; guarded by `opening` */
	pthread_mutex_t lock;
	struct ifd_group *groups;
	struct iommufd_ioas *ioases; /* all of them; guarded by `lock` */
	pthread_mutex_t pins; /* where memory is locked: held from there to the index, and from there to the unlock */
	struct iommufd_ioas *unpinned;      /* whose memory is locked; guarded by `pins` */
	pthread_mutex_t lending;            /* from asking for a device's memory to having it mapped, see peer.h */
	struct ifd_peer *peers;             /* pieces of devices' memory that are mapped; guarded by `lock` */
	atomic_int maps_files;              /* iommufd: what map-file.c knows of the kernel */
	atomic_bool warned;                 /* that what is locked may move all the same */
	const volatile unsigned char *home; /* a page that the kernel wipes in child processes: 0 there, 1 here */
	atomic_uint known, has;  /* features: which were asked for, and which of them are there; a bit each */
	atomic_uint attachments; /* that there were */
	atomic_uint calling;     /* callbacks that threads are in, see check.c */
	struct ifd_call *calls;  /* these; guarded by `lock` */
	bool container_free;     /* VFIO: no IOAS has `fd` as its container; guarded by `lock` */
};

struct iommufd_ioas {
	struct iommufd_ioas *next; /* in ctx->ioases; guarded by ctx->lock */
	atomic_uint refs;          /* the owner, each attached device */
	struct iommufd_ctx *ctx;
	struct ifd_index index; /* each translation loads its begin and `ctx`: what is written often is not between */
	pthread_rwlock_t gate;

	/* guarded by the gate */
	unsigned int attached;        /* devices */
	unsigned int pasids;          /* that are attached */
	unsigned int unseen_pasids;   /* of these, the ones whose page tables do not tell of writes */
	struct iommufd_range *ranges; /* permitted, ascending; NULL while nothing is attached */
	size_t num_ranges;
	_Atomic uint64_t alignment;
	/* Translation reads the two without the gate, the first one first. */
	atomic_uint physical;               /* attached devices without an IOMMU: they use physical addresses */
	atomic_uint unpinned;               /* of these, those for which the library has to keep memory in its place */
	struct iommufd_ioas *next_unpinned; /* in ctx->unpinned */
	struct iommufd_hwpt *hwpts;         /* page tables that somebody made of it; guarded by the gate */
	struct iommufd_device *users;       /* devices that are attached; guarded by the gate */
	bool tracking;                      /* which pages are written is being watched; guarded by the gate */

	/* Of these, what the library picks is taken; each is inside of one of `ranges`. NULL for all of `ranges`. */
	struct iommufd_range *allowed;
	size_t num_allowed;

	/* What the library does not pick, ascending and apart; guarded by the gate. */
	struct iommufd_range *spared;
	size_t num_spared;

	/* the backend's own */
	uint32_t id;         /* iommufd: the object; 0 for none */
	int container;       /* VFIO: or -1 */
	atomic_bool serving; /* VFIO: the container has a group and a type, as far as we know, and so takes mappings */
};

/* A part of a region that is mapped into the process. */
struct ifd_window {
	struct ifd_window *next;
	void *addr;
	size_t len;
};

/* VFIO has nine regions for PCI. Devices add to them, but not so many. */
#define IFD_MAX_REGIONS 1024

struct iommufd_device {
	atomic_uint refs;                 /* the owner, each handle that needs it open */
	struct iommufd_device *next;      /* in ctx->devices */
	struct iommufd_device *next_user; /* in the `users` of the IOAS that it is attached to */
	struct iommufd_ctx *ctx;
	struct ifd_found *found;   /* what discovery knew when it was opened */
	struct ifd_group *group;   /* or NULL */
	atomic_bool attached;      /* what calls beside a move ask */
	atomic_uint attachment;    /* the last one's number, by which no other one of the context goes */
	struct ifd_target at;      /* attached to, which it holds; or no IOAS. Guarded by the gate of its IOAS */
	struct ifd_pasid *pasids;  /* that are attached */
	const struct ifd_way *way; /* iommufd: how it is reached */
	uint32_t id;               /* iommufd: its object, from the open on; 0 where it is reached by its group */
	struct iommufd_device_calls calls; /* of who has bound it, where that is somebody else */
	bool has_token;
	bool sriov; /* a virtual function of what VFIO has, or what has some: the kernel may ask for a token */
	unsigned char token[16]; /* of the physical function */
	struct iommufd_kvm *kvm; /* the virtual machine that has it, or NULL */
	struct iommufd_device *next_of_kvm;
	atomic_int snooped; /* as KVM sees it, see kvm.h; -ENOTCONN while not attached */
	bool unpinned;      /* without an IOMMU, and the kernel does not keep memory in its place for it */
	int fd;             /* VFIO device; iommufd: from the open on, VFIO: while attached; else -1 */
	uint32_t flags;     /* VFIO_DEVICE_FLAGS, while attached */
	uint32_t num_regions, num_irqs;
	pthread_mutex_t command; /* held from reading PCI's command register to writing it */
	unsigned int commanded;  /* how often the caller wrote it; guarded by `command` */
	pthread_mutex_t lock;
	struct ifd_window *windows;
	struct ifd_ioevent *ioevents;
	bool lends;       /* its memory may be mapped for others: while it is attached; guarded by ctx->lending */
	atomic_uint lent; /* pieces of it that are, or shall be again */
	struct ifd_irq irqs[IFD_MAX_IRQS];
	struct ifd_region *regions;           /* of num_regions, while attached; NULL before the first is asked for */
	atomic_uint features_known, features; /* which were asked for, and which of them there are; a bit each */
	atomic_bool logging;                  /* it notes its DMA; written under `lock` */
	atomic_bool moves;                    /* somebody has a handle for its state, or had one in this attach */
	bool sleepy;                          /* it may go into low power, as far as we know; guarded by `lock` */
	bool woken;                           /* since then, and others do not have its memory back; the same */
};

/* ctx.c */

/* What $LIBIOMMUFD_BACKEND names, IOMMUFD_BACKEND_AUTO for nothing; -EINVAL with words when it names none. */
int ifd_backend_from_env(uint32_t *wanted);

struct iommufd_ctx *ifd_ctx_get(struct iommufd_ctx *ctx);
void ifd_ctx_put(struct iommufd_ctx *ctx);

/*
 * A child process has copies of the handles and of their file descriptors, but the kernel's objects are its parent's.
 * There the frees close and free only; everything else is refused.
 */
static inline bool ifd_in_child(const struct iommufd_ctx *ctx)
{
	return !*ctx->home;
}

/* For what the frees do: in a child no lock is taken, since whoever held it at the fork is not there to release it. */
static inline void ifd_lock(const struct iommufd_ctx *ctx, pthread_mutex_t *lock)
{
	if (!ifd_in_child(ctx))
		pthread_mutex_lock(lock);
}

static inline void ifd_unlock(const struct iommufd_ctx *ctx, pthread_mutex_t *lock)
{
	if (!ifd_in_child(ctx))
		pthread_mutex_unlock(lock);
}

/* hwinfo.c: 0, or -EOPNOTSUPP with words for a device that has no number in an iommufd. */
int ifd_device_numbered(const struct iommufd_device *dev, const char *what);

/* device.c */
void ifd_device_get(struct iommufd_device *dev);
void ifd_device_put(struct iommufd_device *dev);

/* ioas.c */
void ifd_ioas_get(struct iommufd_ioas *ioas);
void ifd_ioas_put(struct iommufd_ioas *ioas);

/*
 * The first IOAS of a context, or the one after `ioas`, which is put; the last gives NULL. Who walks on to the end
 * holds each for as long as it looks at it, and no lock.
 */
struct iommufd_ioas *ifd_ioas_step(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas);

/* The gates of two, which may be one, exclusively; or shared. */
void ifd_gates_lock(struct iommufd_ioas *a, struct iommufd_ioas *b);
void ifd_gates_share(struct iommufd_ioas *a, struct iommufd_ioas *b);
void ifd_gates_unlock(struct iommufd_ioas *a, struct iommufd_ioas *b);

/* With the gate held exclusively: asks the backend for ranges and alignment anew, after the set of devices changed. */
int ifd_ioas_refresh(struct iommufd_ioas *ioas);

/* The same after something went away, which can only permit more: a failure is a warning in the log. */
void ifd_ioas_refresh_after(struct iommufd_ioas *ioas);

/* The first mapping that is not inside of one of the ranges or not aligned, or NULL. Gate held exclusively. */
const struct ifd_map *ifd_ioas_misfit(struct iommufd_ioas *ioas, const struct iommufd_range *ranges, size_t count,
				      uint64_t alignment);

/* Whether a range is inside of one of the permitted ones. */
bool ifd_permitted(const struct iommufd_range *ranges, size_t count, uint64_t start, uint64_t last);

/* What a kernel says that it permits: ascending ranges, and a power of two. 0, or -EPROTO with words. */
int ifd_check_limits(const struct iommufd_range *ranges, size_t count, uint64_t alignment);

/* attach.c. The first: -EINVAL with words when it is of another context. */
int ifd_target_check(const struct iommufd_device *dev, const struct ifd_target *to);
void ifd_target_get(const struct ifd_target *target);

/* Of a device that is attached. It cannot fail. What is mapped of its regions is unmapped. */
void ifd_device_detach(struct iommufd_device *dev);

/* Both gates held exclusively. The caller gives up what it was attached to. With words. */
int ifd_device_move(struct iommufd_device *dev, const struct ifd_target *from, const struct ifd_target *to);
void ifd_target_put(const struct ifd_target *target);

/* pasid.c: when the device is freed. In a child process the kernel is not asked. */
void ifd_pasid_detach_all(struct iommufd_device *dev);

/*
 * check.c: 0, or in a child process -EPERM, and in a callback -EDEADLK; the second also -ENOTCONN. With words that name
 * `what`.
 */
int ifd_ctx_check(const struct iommufd_ctx *ctx, const char *what);
int ifd_device_attached(const struct iommufd_device *dev, const char *what);

/* Around a callback of the caller's, by the thread that calls it: in one, there may be one of another context. */
struct ifd_call {
	pthread_t thread;
	struct ifd_call *next;
};
void ifd_ctx_call_begin(struct iommufd_ctx *ctx, struct ifd_call *call);
void ifd_ctx_call_end(struct iommufd_ctx *ctx, struct ifd_call *call);

/* As ifd_device_attached(), and there is a descriptor: -EOPNOTSUPP where that is somebody else's. */
int ifd_device_ready(const struct iommufd_device *dev, const char *what);

/* region.c: without what the public call does afterwards. */
int ifd_region_write(struct iommufd_device *dev, uint32_t index, uint64_t offset, const void *buf, size_t len);

/*
 * region.c: where in the device's descriptor a part of a region is that can be mapped; `prot` as for mmap(). With
 * words.
 */
int ifd_region_window(struct iommufd_device *dev, uint32_t index, uint64_t offset, size_t len, int prot, uint64_t *at);

/* region.c, irq.c: before the device's file descriptor goes or the device is detached. */
void ifd_region_close_all(struct iommufd_device *dev);
void ifd_irq_disable_all(struct iommufd_device *dev);

/* In a child process: what is known of interrupts goes, and the kernel is not asked. */
void ifd_irq_forget_all(struct iommufd_device *dev);

/*
 * irq-arm.c: after a reset, everything that is enabled is armed again: eventfds, what unmasks, masks. 0, or -errno with
 * words; what could be armed is.
 */
int ifd_irq_rearm(struct iommufd_device *dev);

/* reset.c: like iommufd_device_reset(), but also of a device that does not say that it can be reset. With words. */
int ifd_device_reset(struct iommufd_device *dev);

/*
 * phys.c: devices without an IOMMU. The gate is held, exclusively for the first two. Those that can fail do so with
 * words; each does nothing where no such device is attached. Between begin and end memory is locked for a mapping that
 * is not in the index yet, unlocked for one that is not there any more, and locked anew for one that goes back there.
 */
int ifd_phys_attach(const struct iommufd_device *dev, struct iommufd_ioas *ioas);
void ifd_phys_detach(const struct iommufd_device *dev, struct iommufd_ioas *ioas);
void ifd_phys_begin(struct iommufd_ioas *ioas);
void ifd_phys_end(struct iommufd_ioas *ioas);
int ifd_phys_pin(const struct iommufd_ioas *ioas, const struct ifd_map *map);
void ifd_phys_unpin(const struct iommufd_ioas *ioas, const struct ifd_map *map);
void ifd_phys_keep(const struct iommufd_ioas *ioas, const struct ifd_map *map);

/* What may still move pages that are locked, and what prevents it, as things are now: words to follow "memory". */
const char *ifd_phys_may_move(void);

/* pci.c: bus mastering off, so that a device does not go on in the next IOAS; on VFIO the kernel does it anyway. */
void ifd_pci_quiet(struct iommufd_device *dev);

/* group.c */
struct ifd_group *ifd_group_open(struct iommufd_ctx *ctx, int id);
void ifd_group_close(struct iommufd_ctx *ctx, struct ifd_group *group);
void ifd_group_close_all(struct iommufd_ctx *ctx);

/* When the owner frees the context; the caller holds ctx->opening. */
void ifd_group_orphan_all(struct iommufd_ctx *ctx);
int ifd_group_claim(struct iommufd_device *dev, const struct ifd_target *to);
void ifd_group_unclaim(struct iommufd_device *dev);

/*
 * The claim goes elsewhere; -EBUSY with words when others of the group have one too, unless they all stay in the IOAS
 * and only the table changes that the kernel or the library picked.
 */
int ifd_group_move(struct iommufd_device *dev, const struct ifd_target *to);

#endif
