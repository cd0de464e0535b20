/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The kernel's mock IOMMU (CONFIG_IOMMUFD_TEST): devices without hardware, whose faults, events and written pages are
 * made by a test ioctl. No installed header has its layout, so it is declared here; mock-bed.c sees that the kernel
 * thinks the same of its size.
 *
 * Helpers fail the test where what they do cannot fail for a good reason. Those that check return 0 or -errno.
 */
#ifndef MOCK_H
#define MOCK_H

#include "vm.h"

/* ---- The test ioctl ---- */

enum {
	MOCK_ADD_RESERVED = 1,
	MOCK_DOMAIN,
	MOCK_CHECK_MAP,
	MOCK_CHECK_REFS,
	MOCK_CREATE_ACCESS,
	MOCK_DESTROY_ACCESS_PAGES,
	MOCK_ACCESS_PAGES,
	MOCK_ACCESS_RW,
	MOCK_MEMORY_LIMIT,
	MOCK_DOMAIN_REPLACE,
	MOCK_ACCESS_REPLACE_IOAS,
	MOCK_DOMAIN_FLAGS,
	MOCK_DIRTY,
	MOCK_CHECK_IOTLB,
	MOCK_TRIGGER_IOPF,
	MOCK_CHECK_DEV_CACHE,
	MOCK_TRIGGER_VEVENT,
	MOCK_PASID_ATTACH,
	MOCK_PASID_REPLACE,
	MOCK_PASID_DETACH,
	MOCK_PASID_CHECK_HWPT,
	MOCK_DMABUF_GET,
	MOCK_DMABUF_REVOKE,
};

/* `id` is what the operation is about: an IOAS, a page table, a mock device, or the descriptor of an access. */
struct mock_command {
	uint32_t size;
	uint32_t op;
	uint32_t id;
	uint32_t reserved;
	union {
		struct {
			uint64_t start, length;
		} add_reserved;
		struct {
			uint32_t out_mock, out_hwpt, out_device, flags;
		} domain;
		struct {
			uint32_t pt;
		} replace;
		struct {
			uint64_t iova, length, addr;
		} check_map;
		struct {
			uint64_t length, addr;
			uint32_t refs;
		} check_refs;
		struct {
			uint32_t out_fd, flags;
		} create_access;
		struct {
			uint32_t pages;
		} destroy_access_pages;
		struct {
			uint32_t flags, out_pages;
			uint64_t iova, length, addr;
		} access_pages;
		struct {
			uint64_t iova, length, addr;
			uint32_t flags;
		} access_rw;
		struct {
			uint32_t limit;
		} memory_limit;
		struct {
			uint32_t ioas;
		} access_replace_ioas;
		struct {
			uint32_t flags;
			uint64_t iova, length, page_size, addr, out_dirty;
		} dirty;
		struct {
			uint32_t entry, value;
		} check_cache; /* of a nested page table, or of a device */
		struct {
			uint32_t device, pasid, group, permission;
			uint64_t addr;
		} iopf;
		struct {
			uint32_t device;
		} vevent;
		struct {
			uint32_t pasid, pt;
		} pasid;
		struct {
			uint32_t length, flags;
		} dmabuf_get;
		struct {
			int32_t fd;
			uint32_t revoked;
		} dmabuf_revoke;
	};
	uint32_t last;
};

#define MOCK_IOCTL _IO(';', 0xa0)

/* What the mock IOMMU is like. */
enum {
	MOCK_APERTURE_START = 1 << 24,
	MOCK_APERTURE_LAST = 0x7fffffff,
	MOCK_PAGE = 2048, /* less than the CPU's, which catches who mixes the two up */
	MOCK_HUGE_PAGE = 512 * MOCK_PAGE,
	MOCK_PASID_BITS = 20,
	MOCK_CACHE_ENTRIES = 4, /* of a nested page table's IOTLB, and of a device's cache */
	MOCK_HW_QUEUES = 2,     /* of a virtual IOMMU */
	/*
	 * Every second attach of this PASID fails with ENOMEM, as long as it is not detached: a replacement is undone.
	 */
	MOCK_PASID_FAILING = 1024,
};

/* Flags of mock devices. */
enum {
	MOCK_NO_DIRTY = 1 << 0,
	MOCK_PASID = 1 << 2,
};

/* Flags of accesses: the first at their making, the others at each use. */
enum {
	MOCK_ACCESS_NEEDS_PIN = 1 << 0,
	MOCK_ACCESS_WRITE = 1 << 0,
	MOCK_ACCESS_SLOW = 1 << 2, /* for reading and writing bytes, not for pages */
};

/* ---- Its vendor data ---- */

#define MOCK_HW_INFO_TYPE           0xfeedbeefu
#define MOCK_HW_INFO_VALUE          0xdeadbeefu
#define MOCK_HWPT_DATA              0xdeadu
#define MOCK_HWPT_INVALIDATE_DATA   0xdeadbeefu
#define MOCK_VIOMMU_TYPE            0xdeadbeefu
#define MOCK_VIOMMU_INVALIDATE_DATA 0xdeadbeefu
#define MOCK_INVALIDATE_DATA_WRONG  0xdadbeefu /* the IOMMU knows that it knows none such */
#define MOCK_VEVENTQ_TYPE           0xbeefbeefu
#define MOCK_HW_QUEUE_TYPE          0xdeadbeefu
#define MOCK_IOTLB_DEFAULT          0xbadbeefu
#define MOCK_DEV_CACHE_DEFAULT      0xbaddadu
#define MOCK_INVALIDATE_ALL         1u

struct mock_hw_info {
	uint32_t flags, value;
};

/* Of a nested page table: what each entry of its IOTLB is at first. */
struct mock_hwpt_data {
	uint32_t iotlb;
	uint32_t table; /* of a paging one: 0, or 1 for huge pages */
};

struct mock_hwpt_invalidate {
	uint32_t flags, entry;
};

/* `out` becomes `in`; a page can be mapped at the offset, and its first word is `in` too. */
struct mock_viommu_data {
	uint32_t in, out;
	uint64_t out_offset, out_length;
};

struct mock_viommu_invalidate {
	uint32_t flags, vdevice, entry;
};

struct mock_event {
	uint32_t vdevice;
};

/* ---- Devices ---- */

#define MOCK_PASIDS 8

struct mock_device {
	int fd;                       /* a copy of the context's iommufd, so that the context may be freed first */
	uint32_t scratch;             /* an IOAS for a device that is attached to nothing, as a test sees it */
	uint32_t mock;                /* for the test ioctl */
	uint32_t id;                  /* of the device, for iommufd */
	uint32_t hwpt;                /* what it was attached to last, as the kernel tells: the page table */
	uint32_t pasids[MOCK_PASIDS]; /* that are attached; 0 for a free place */
	struct iommufd_device *dev;
};

/* A device in the iommufd of a context, attached to nothing as far as the library knows. */
void mock_open(struct mock_device *mock, struct iommufd_ctx *ctx, uint32_t flags);

/* A handle of the device in another context of the same iommufd, or where the first one was freed. */
void mock_take(struct mock_device *mock, struct iommufd_ctx *ctx, struct iommufd_device **out);

/* The library's handle too, unless it is NULL by now. The caller's page tables of it must have been freed. */
void mock_close(struct mock_device *mock);

/* The number that the next object will get, the lowest that is free: the same as before when nothing is left. */
uint32_t mock_lowest_id(int fd);

/* What iommufd_device_from_id() calls: 0 or -errno. Attaching once more is a replacement. */
int mock_attach(void *mock, uint32_t pt);
int mock_detach(void *mock);
int mock_pasid_attach(void *mock, uint32_t pasid, uint32_t pt);
int mock_pasid_detach(void *mock, uint32_t pasid);

/* 0 when the PASID has this page table, with 0 none; -EINVAL when not. */
int mock_check_pasid(const struct mock_device *mock, uint32_t pasid, uint32_t hwpt);

/* A page request of the device; `pasid` 0 for none, `permission` as in the event that arrives. */
void mock_trigger_iopf(const struct mock_device *mock, uint32_t pasid, uint32_t group, uint32_t permission,
		       uint64_t addr);

/* An event of the device's virtual IOMMU; -ENOENT while it has none. */
int mock_trigger_vevent(const struct mock_device *mock);

/* 0 when this entry of the device's cache is this. */
int mock_check_dev_cache(const struct mock_device *mock, uint32_t entry, uint32_t value);

/* ---- What is about an iommufd ---- */

/* Whether this machine has the mock IOMMU; one that knows all of the above, or an older one. */
bool mock_here(void);
bool mock_new(void);
bool mock_old(void);

/* The test ioctl itself: 0, a count, or -errno. Sets `size`. */
int mock_ioctl(int fd, struct mock_command *cmd);

/* Makes a range of an IOAS one that nothing can be mapped to. */
int mock_add_reserved(int fd, uint32_t ioas, uint64_t start, uint64_t length);

/* 0 when the page table maps these IOVAs to the memory at `addr`; whole mock pages. */
int mock_check_map(int fd, uint32_t hwpt, uint64_t iova, const void *addr, size_t length);

/* 0 when each page of the memory is pinned this often, -EIO when not; whole pages of the CPU. */
int mock_check_refs(int fd, const void *addr, size_t length, uint32_t refs);

/* Lets devices write what the bitmap says, a bit a page of `page_size`, from `iova` on; how many bits were set. */
int mock_dirty(int fd, uint32_t hwpt, uint64_t iova, uint64_t length, uint64_t page_size, const void *bitmap);

/* 0 when this entry of a nested page table's IOTLB is this. */
int mock_check_iotlb(int fd, uint32_t hwpt, uint32_t entry, uint32_t value);

/* How much memory the kernel takes for lists of pages at once, 65536 by itself: small values make it go round more. */
void mock_memory_limit(int fd, uint32_t limit);

/* ---- Accesses: what a mediated device does ---- */

/* A descriptor; closing it ends the access. -errno. */
int mock_access(int fd, uint32_t ioas, uint32_t flags);

/* Pins pages, and checks that they are those at `addr` unless that is NULL; the number of the pins. -errno. */
int mock_access_pin(int fd, int access, uint64_t iova, size_t length, const void *addr, uint32_t flags, uint32_t *pins);
int mock_access_unpin(int fd, int access, uint32_t pins);

/* Reads or writes memory that is mapped. */
int mock_access_rw(int fd, int access, uint64_t iova, void *addr, size_t length, uint32_t flags);

int mock_access_replace(int fd, int access, uint32_t ioas);

/* ---- Memory ---- */

/*
 * The same page of memory so many times over: neighbours are never neighbours in memory, so that no IOMMU makes one
 * large page of them.
 */
char *mock_scattered(unsigned int pages);

/* ---- DMA buffers ---- */

/* A dma-buf of up to 512 pages, that can be mapped like one of a PCI device. */
int mock_dmabuf(int fd, size_t length);
void mock_dmabuf_revoke(int fd, int dmabuf, bool revoked);

#endif
