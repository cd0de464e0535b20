/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Parts of regions that are mapped into the process. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "internal.h"
#include "pci.h"
#include "udev.h"
#include "uapi/vfio.h"

/*
 * Where the CPU's huge pages begin. A BAR that is as large begins there in physical memory too, since a BAR's place is
 * a multiple of its size; so a huge page fits where the address is as far into one as the offset in the region.
 */
#define HUGE     (UINT64_C(1) << 21)
#define GIGANTIC (UINT64_C(1) << 30)

/* Another thread may take an address while it is free for a moment. */
#define TRIES 20

/* What a window is to be: `start` and `len` are in the region. */
struct wish {
	const struct ifd_region *region;
	uint64_t start;
	size_t len;
	int prot;
};

/* ---- Where ---- */

/* An address that has nothing and is as far into a huge page as the window's start. It is not kept. */
static int find_place(const struct wish *wish, uint64_t align, char **out)
{
	void *all;
	int ret;

	if (align > SIZE_MAX - wish->len)
		return -ENOMEM;
	ret = ifd_sys_mmap(-1, 0, wish->len + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, &all);
	if (ret)
		return ret;
	ifd_sys_munmap(all, wish->len + align);
	*out = (char *)all + ((wish->start - (uintptr_t)all) & (align - 1));
	return 0;
}

/* At this very address; -EEXIST when something is there. Kernels before 4.17 take the address for a suggestion. */
static int map_at(int fd, uint64_t offset, size_t len, int prot, int flags, void *addr)
{
	void *got = addr;
	int ret = ifd_sys_mmap(fd, offset, len, prot, flags | MAP_FIXED_NOREPLACE, &got);

	if (ret || got == addr)
		return ret;
	ifd_sys_munmap(got, len);
	return -EEXIST;
}

/* ---- What ---- */

static int map_area(struct iommufd_device *dev, const struct wish *wish, uint64_t start, size_t len, void *addr)
{
	int ret, tries = 0;

	do
		ret = map_at(dev->fd, wish->region->info->offset + start, len, wish->prot, MAP_SHARED, addr);
	while (ifd_region_again(ret, &tries));
	/* Linux 6.12 and later then have it in huge pages; others know nothing of it. */
	if (!ret && len >= HUGE)
		ifd_sys_madvise(addr, len, MADV_HUGEPAGE);
	return ret;
}

/* The next part of a window from `at` on: what can be mapped, or what lies before that and cannot. */
static uint64_t part_end(const struct wish *wish, uint64_t at, bool *mappable)
{
	uint64_t end = wish->start + wish->len;

	*mappable = false;
	for (size_t i = 0; i < wish->region->num_areas; i++) {
		const struct iommufd_range *area = &wish->region->areas[i];

		if (area->last < at)
			continue;
		*mappable = area->start <= at;
		if (!*mappable)
			return area->start < end ? area->start : end;
		return area->last < end ? area->last + 1 : end;
	}
	return end;
}

/* All of it or nothing, part after part, so that there is nobody else's in between. */
static int map_parts(struct iommufd_device *dev, const struct wish *wish, char *addr)
{
	uint64_t at = wish->start, end;
	bool mappable;
	int ret = 0;

	for (; at < wish->start + wish->len; at = end) {
		char *to = addr + (at - wish->start);

		end = part_end(wish, at, &mappable);
		ret = mappable ? map_area(dev, wish, at, end - at, to)
			       : map_at(-1, 0, end - at, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, to);
		if (ret)
			break;
	}
	if (ret && at > wish->start)
		ifd_sys_munmap(addr, at - wish->start);
	return ret;
}

static int map_placed(struct iommufd_device *dev, const struct wish *wish, void **out)
{
	uint64_t align = wish->len >= GIGANTIC ? GIGANTIC : wish->len >= HUGE ? HUGE : ifd_sys_page_size();
	char *addr;
	int ret;

	for (int i = 0; i < TRIES; i++) {
		ret = find_place(wish, align, &addr);
		if (!ret)
			ret = map_parts(dev, wish, addr);
		if (ret != -EEXIST)
			break;
	}
	if (!ret)
		*out = addr;
	return ret == -EEXIST ? -ENOMEM : ret;
}

static int map_plain(struct iommufd_device *dev, const struct wish *wish, void **out)
{
	int ret, tries = 0;

	do
		ret = ifd_sys_mmap(dev->fd, wish->region->info->offset + wish->start, wish->len, wish->prot, MAP_SHARED,
				   out);
	while (ifd_region_again(ret, &tries));
	return ret;
}

static int window_new(struct iommufd_device *dev, uint32_t index, const struct wish *wish, bool plain, void **out)
{
	struct ifd_window *window = calloc(1, sizeof(*window));
	int ret = -ENOMEM;

	if (window)
		ret = plain ? map_plain(dev, wish, &window->addr) : map_placed(dev, wish, &window->addr);
	/* A copy in a child process would keep the device open. */
	if (!ret) {
		ret = ifd_sys_madvise(window->addr, wish->len, MADV_DONTFORK);
		if (ret)
			ifd_sys_munmap(window->addr, wish->len);
	}
	if (ret) {
		free(window);
		return ifd_fail(ret, ret == -EBUSY ? ifd_region_busy : NULL, "map region %u of %s", index,
				dev->found->name);
	}
	window->len = wish->len;
	pthread_mutex_lock(&dev->lock);
	window->next = dev->windows;
	dev->windows = window;
	pthread_mutex_unlock(&dev->lock);
	*out = window->addr;
	return 0;
}

/* ---- Checks ---- */

static bool in_area(const struct ifd_region *region, uint64_t offset, size_t len)
{
	for (size_t i = 0; i < region->num_areas; i++)
		if (offset >= region->areas[i].start && offset <= region->areas[i].last &&
		    len - 1 <= region->areas[i].last - offset)
			return true;
	return false;
}

static int check_mappable(const struct iommufd_device *dev, uint32_t index, const struct ifd_region *region)
{
	return !region->info->size || region->info->flags & VFIO_REGION_INFO_FLAG_MMAP
		       ? 0
		       : ifd_fail(-EOPNOTSUPP, "use iommufd_device_region_read() and iommufd_device_region_write()",
				  "map region %u of %s", index, dev->found->name);
}

/* The last page of a region is mapped whole. */
static uint64_t whole_pages(const struct ifd_region *region)
{
	uint64_t page = ifd_sys_page_size();

	return (region->info->size + page - 1) & ~(page - 1);
}

static int check_window(const struct iommufd_device *dev, uint32_t index, const struct ifd_region *region,
			uint64_t offset, size_t len)
{
	int ret = check_mappable(dev, index, region);

	if (!ret)
		ret = ifd_region_check_range(dev, index, whole_pages(region), offset, len);
	if (ret || in_area(region, offset, len))
		return ret;
	return ifd_fail(-EOPNOTSUPP, "map the parts beside it, and reach it by iommufd_device_region_read()",
			"map 0x%" PRIx64 " of region %u of %s: the device hides some of it", offset, index,
			dev->found->name);
}

static int check_prot(const struct iommufd_device *dev, int prot)
{
	return prot && !(prot & ~(PROT_READ | PROT_WRITE))
		       ? 0
		       : ifd_fail(-EINVAL, "use PROT_READ, PROT_WRITE or both",
				  "map a region of %s with protection 0x%x", dev->found->name, (unsigned int)prot);
}

/* ---- Calls ---- */

/* What iommufd_device_region_map() is given. */
static int check_wish(struct iommufd_device *dev, uint32_t index, struct wish *wish)
{
	int ret = 0;

	if (!wish->len || ((wish->start | wish->len) & (ifd_sys_page_size() - 1)))
		ret = ifd_fail(-EINVAL, "let both be multiples of the page size, and the length not 0",
			       "map %zu bytes at 0x%" PRIx64 " of a region of %s", wish->len, wish->start,
			       dev->found->name);
	if (!ret)
		ret = check_prot(dev, wish->prot);
	if (!ret)
		ret = ifd_region_get(dev, "region", index, &wish->region);
	return ret ? ret : check_window(dev, index, wish->region, wish->start, wish->len);
}

int ifd_region_window(struct iommufd_device *dev, uint32_t index, uint64_t offset, size_t len, int prot, uint64_t *at)
{
	struct wish wish = { .start = offset, .len = len, .prot = prot };
	int ret = check_wish(dev, index, &wish);

	if (!ret)
		*at = wish.region->info->offset + offset;
	return ret;
}

EXPORT int iommufd_device_region_map(struct iommufd_device *dev, uint32_t index, uint64_t offset, size_t len, int prot,
				     void **out)
{
	struct wish wish = { .start = offset, .len = len, .prot = prot };
	int ret = ifd_device_ready(dev, "map a region");

	if (!ret)
		ret = check_wish(dev, index, &wish);
	if (!ret)
		ret = ifd_pci_check_there(dev, "map a region of");
	return ret ? ret : window_new(dev, index, &wish, len < HUGE, out);
}

EXPORT int iommufd_device_region_map_all(struct iommufd_device *dev, uint32_t index, int prot, void **out)
{
	struct wish wish = { .prot = prot };
	int ret = ifd_device_ready(dev, "map a region");

	if (!ret)
		ret = check_prot(dev, prot);
	if (!ret)
		ret = ifd_region_get(dev, "region", index, &wish.region);
	if (!ret && !wish.region->info->size)
		ret = ifd_region_check_range(dev, index, 0, 0, 1);
	if (!ret)
		ret = check_mappable(dev, index, wish.region);
	if (ret)
		return ret;
	if (!wish.region->num_areas)
		return ifd_fail(-EOPNOTSUPP, "use iommufd_device_region_read() and iommufd_device_region_write()",
				"map region %u of %s: the device hides all of it", index, dev->found->name);
	wish.len = (size_t)whole_pages(wish.region);
	if (wish.len != whole_pages(wish.region))
		return ifd_fail(-ENOMEM, "map parts of it", "map region %u of %s: it is larger than all addresses",
				index, dev->found->name);
	ret = ifd_pci_check_there(dev, "map a region of");
	return ret ? ret : window_new(dev, index, &wish, false, out);
}

static void window_free(struct ifd_window *window)
{
	ifd_sys_munmap(window->addr, window->len);
	free(window);
}

EXPORT int iommufd_device_region_unmap(struct iommufd_device *dev, void *addr)
{
	struct ifd_window **at = &dev->windows, *window;
	int ret = ifd_ctx_check(dev->ctx, "unmap a region");

	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	while (*at && (*at)->addr != addr)
		at = &(*at)->next;
	window = *at;
	if (window)
		*at = window->next;
	pthread_mutex_unlock(&dev->lock);

	if (!window)
		return ifd_fail(-ENOENT, "give an address that iommufd_device_region_map() gave", "unmap %p of %s",
				addr, dev->found->name);
	window_free(window);
	return 0;
}

int ifd_window_check_none(struct iommufd_device *dev)
{
	unsigned int count = 0;

	pthread_mutex_lock(&dev->lock);
	for (const struct ifd_window *window = dev->windows; window; window = window->next)
		count++;
	pthread_mutex_unlock(&dev->lock);
	return count ? ifd_fail(-EBUSY, "unmap them with iommufd_device_region_unmap(), or free the device",
				"detach %s: %u of its windows %s mapped", dev->found->name, count,
				count == 1 ? "is" : "are")
		     : 0;
}

/* The kernel counts a mapping as a use of the device, which would then not be closed. */
void ifd_window_close_all(struct iommufd_device *dev)
{
	struct ifd_window *window;

	while ((window = dev->windows)) {
		dev->windows = window->next;
		if (ifd_in_child(dev->ctx))
			free(window); /* it has no copy */
		else
			window_free(window);
	}
}
