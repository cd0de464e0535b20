/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"
#include "memory.h"
#include "uapi/pagemap.h"

#define HUGE_SHIFT_BIT \
	26 /* where mmap() takes the size of huge pages; older libc headers lack this name and the next */
#define POPULATE_WRITE 23
#define THP            "/sys/kernel/mm/transparent_hugepage/"
#define NODES          "/sys/devices/system/node/"

/* From the largest to the smallest. */
static const struct kind {
	uint32_t flag;
	unsigned int shift; /* of those that are set aside: the power of two that is their size; else 0 */
	char name[6];
} kinds[] = {
	{ IOMMUFD_DMA_HUGE_1G, 30, "1 GiB" },
	{ IOMMUFD_DMA_HUGE, 21, "2 MiB" },
	{ IOMMUFD_DMA_THP, 0, "" },
	{ IOMMUFD_DMA_SMALL, 0, "" },
};

/* What a short file says, without the end of its line; "?" when it cannot be read. */
static const char *text_of(const char *path, char *buf, size_t size)
{
	if (ifd_sys_read_text(path, buf, size) < 0)
		return "?";
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

/* 0 for those that the kernel does not have. */
static uint64_t size_of(const struct kind *kind)
{
	uint64_t size = kind->flag == IOMMUFD_DMA_SMALL ? ifd_sys_page_size() : UINT64_C(1) << kind->shift;
	char text[32];

	if (kind->flag != IOMMUFD_DMA_THP)
		return size;
	size = strtoull(text_of(THP "hpage_pmd_size", text, sizeof(text)), NULL, 10);
	return size & (size - 1) || size < ifd_sys_page_size() ? 0 : size;
}

static int fail_small(int err, size_t len)
{
	return ifd_fail(err,
			err == -ENOMEM ? "ask for less: memory is short, or the limit of the process's address space, "
					 "see ulimit -v, or vm.overcommit_memory is in the way"
				       : NULL,
			"allocate %zu bytes for DMA", len);
}

/* The number that a file in the folder, whose name is that long, says; 0 for none. */
static unsigned long long count_of(char *folder, size_t used, size_t size, const char *name)
{
	char text[32];

	snprintf(folder + used, size - used, "/%s", name);
	return strtoull(text_of(folder, text, sizeof(text)), NULL, 10);
}

/* Whether the kernel lacks them altogether, or has given them away, or promised them: that it tells for no node. */
static int fail_huge(int err, const struct kind *kind, uint32_t node, size_t len)
{
	char folder[160] = "/sys/kernel/mm", hint[IFD_HINT_MAX] = "";
	unsigned long long free;
	size_t used;

	if (node)
		snprintf(folder, sizeof(folder), NODES "node%u", node - 1);
	used = strlen(folder);
	used += (size_t)snprintf(folder + used, sizeof(folder) - used, "/hugepages/hugepages-%lukB",
				 1ul << (kind->shift - 10));
	if (err == -EINVAL) /* by mmap() */
		return ifd_fail(-EOPNOTSUPP, "see /sys/kernel/mm/hugepages for those that there are",
				"allocate %zu bytes for DMA: this machine has no huge pages of %s", len, kind->name);
	free = count_of(folder, used, sizeof(folder), "free_hugepages") -
	       count_of(folder, used, sizeof(folder), "resv_hugepages");
	folder[used] = '\0';
	ifd_hint(hint, "%zu huge pages of %s are needed and %llu are free", len >> kind->shift, kind->name, free);
	if (len >> kind->shift > free)
		ifd_hint(hint, ": raise %s/nr_hugepages", folder);
	else
		ifd_hint(hint, ": a cgroup or the thread's memory policy is in the way");
	return ifd_fail(err, hint, "allocate %zu bytes of huge pages for DMA", len);
}

static int fail_get(int err, const struct kind *kind, uint32_t node, size_t len)
{
	return kind->shift ? fail_huge(err, kind, node, len) : fail_small(err, len);
}

/*
 * Addresses at a multiple of `align`, a power of two that may be more than the CPU's page size. Nobody may touch what
 * is there: in a process that has asked for all of its memory to be locked, by mlockall(), anything else would be there
 * at once, and of other pages and of another node than fit() asks for.
 */
static int map_aligned(size_t len, uint64_t align, int flags, void **out)
{
	size_t slack = align > ifd_sys_page_size() && !(flags & MAP_HUGETLB) ? (size_t)align : 0, head;
	void *all;
	int ret;

	if (len + slack < len)
		return -ENOMEM;
	ret = ifd_sys_mmap(-1, 0, len + slack, PROT_NONE, flags, &all);
	if (ret)
		return ret;
	head = slack ? (size_t)(-(uintptr_t)all & (align - 1)) : 0;
	if (head)
		ifd_sys_munmap(all, head);
	if (slack > head)
		ifd_sys_munmap((char *)all + head + len, slack - head);
	*out = (char *)all + head;
	return 0;
}

/* ---- NUMA ---- */

/*
 * KiB that a node can give, as far as that can be told: what is free, and half of what the kernel can free by
 * forgetting files, since some of it is at work. An eighth of a small node, or 1 GiB of a large one, it keeps.
 */
static bool add_free(void *data, const char *line)
{
	static const struct {
		char name[15];
		signed char share;
	} counted[] = { { "MemTotal", -8 },
			{ "MemFree", 1 },
			{ "Active(file)", 2 },
			{ "Inactive(file)", 2 },
			{ "SReclaimable", 2 } };
	long long size;
	char name[32];

	if (sscanf(line, "Node %*u %31[^:]: %lld", name, &size) == 2)
		for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
			if (!strcmp(name, counted[i].name)) {
				size /= counted[i].share;
				*(int64_t *)data += size > -(1 << 20) ? size : -(1 << 20);
				break;
			}
	return true;
}

/*
 * More than a node can give would not fail: the kernel kills a process to have it. Huge pages that were set aside are
 * none of that.
 */
static int check_room(uint32_t node, size_t len)
{
	int64_t room = 0;
	char path[64];

	snprintf(path, sizeof(path), NODES "node%u/meminfo", node - 1);
	if (ifd_sys_each_line(path, add_free, &room))
		return 0;
	room = room > 0 ? room : 0;
	if (len >> 10 <= (uint64_t)room)
		return 0;
	return ifd_fail(-ENOMEM, "ask for less, or for another node",
			"allocate %zu bytes for DMA: node %u has %" PRId64 " KiB to give", len, node - 1, room);
}

static int bind_to(uint32_t node, const struct iommufd_dma *dma)
{
	int ret = ifd_sys_mbind(dma->vaddr, dma->len, node - 1);
	char text[64], hint[IFD_HINT_MAX] = "";

	if (!ret)
		return 0;
	if (ret == -EINVAL)
		ifd_hint(hint,
			 "the nodes with memory are %s, and those that the process may use are Mems_allowed_list in "
			 "/proc/self/status",
			 text_of(NODES "has_memory", text, sizeof(text)));
	else if (ret == -ENOSYS)
		ifd_hint(hint, "leave out the node: the kernel is built without CONFIG_NUMA, or a container hides it");
	else if (ret == -EPERM)
		ifd_hint(hint, "leave out the node, or let the container's seccomp profile permit mbind()");
	return ifd_fail(ret == -ENOSYS ? -EOPNOTSUPP : ret, hint, "allocate %zu bytes for DMA on node %u", dma->len,
			node - 1);
}

/* ---- What makes memory fit for DMA ---- */

/*
 * All of it there, or an errno, which is positive when there are no words yet: who only touches huge pages that are not
 * there, of this node for instance, is killed. Before Linux 5.14 there is no such call. What was set aside was counted
 * by mmap() for all nodes together, so it is there then unless a node is asked for; the rest comes when it is pinned.
 */
static int populate(const struct kind *kind, uint32_t node, const struct iommufd_dma *dma)
{
	int ret = ifd_sys_madvise(dma->vaddr, dma->len, POPULATE_WRITE);

	if (!ret || (ret == -EINVAL && !(kind->shift && node)))
		return 0;
	if (ret == -EINVAL)
		return ifd_fail(-EOPNOTSUPP, "leave out the node: this needs MADV_POPULATE_WRITE (Linux 5.14)",
				"allocate %zu bytes of huge pages for DMA on node %u", dma->len, node - 1);
	return ret == -EFAULT ? ENOMEM : -ret;
}

/* 1 when all of it is in huge pages, 0 when not, or -errno where the kernel does not tell (before Linux 6.7). */
static int is_huge(const struct ifd_log *log, const struct iommufd_dma *dma)
{
	struct page_region run = { 0, 0, 0 };
	struct pm_scan_arg scan = {
		.size = sizeof(scan),
		.start = (uintptr_t)dma->vaddr,
		.end = (uintptr_t)dma->vaddr + dma->len,
		.vec = (uintptr_t)&run,
		.vec_len = 1,
		.category_mask = PAGE_IS_HUGE,
		.return_mask = PAGE_IS_HUGE,
	};
	int fd = ifd_sys_open("/proc/self/pagemap", 0), ret;

	if (fd < 0)
		return fd;
	ret = ifd_sys_ioctl_number(log, fd, PAGEMAP_SCAN, &scan);
	ifd_sys_close(fd);
	return ret < 0 ? ret : ret == 1 && run.start == scan.start && run.end == scan.end;
}

/* The kernel gives what it has: pages of the CPU's size in place of some huge ones, and that is no failure to it. */
static int look_for_huge(const struct ifd_memory_wish *wish, struct iommufd_dma *dma)
{
	int ret = is_huge(&wish->ctx->log, dma);
	char text[64], hint[IFD_HINT_MAX] = "";

	if (ret == 1)
		return 0;
	if (wish->pages & IOMMUFD_DMA_SMALL) {
		dma->page_size = (size_t)ifd_sys_page_size();
		return 0;
	}
	ifd_hint(hint, "add IOMMUFD_DMA_SMALL to take what comes: ");
	if (ret < 0) {
		bool old = ret == -ENOTTY || ret == -EINVAL;

		ifd_hint(hint, "/proc/self/pagemap %s",
			 old              ? "tells from Linux 6.7 on"
			 : ret == -EACCES ? "is closed to who has changed its user, see prctl(PR_SET_DUMPABLE)"
					  : "does not tell");
		return ifd_fail(old ? -EOPNOTSUPP : ret, hint,
				"find out whether %zu bytes for DMA are in transparent huge pages", dma->len);
	}
	ifd_hint(hint, "free memory is in smaller pieces, or something forbids them, such as " THP "enabled: %s",
		 text_of(THP "enabled", text, sizeof(text)));
	return ifd_fail(-ENOMEM, hint, "allocate %zu bytes of transparent huge pages for DMA", dma->len);
}

/*
 * Memory that no child process shares: a copy on write would part the process from what the device sees. Where it may
 * be no more than locked, it must not be put together to huge pages later: those are elsewhere. What came as huge pages
 * stays that. As populate().
 */
static int fit(const struct ifd_memory_wish *wish, const struct kind *kind, struct iommufd_dma *dma)
{
	bool thp = kind->flag == IOMMUFD_DMA_THP;
	int ret = ifd_sys_madvise(dma->vaddr, dma->len, MADV_DONTFORK);

	if (ret)
		return ifd_fail(ret, NULL, "keep %zu bytes for DMA from child processes", dma->len);
	if (wish->node)
		ret = bind_to(wish->node, dma);
	if (!ret && wish->node && !kind->shift)
		ret = check_room(wish->node, dma->len);
	if (ret)
		return ret;
	ret = thp ? ifd_sys_madvise(dma->vaddr, dma->len, MADV_HUGEPAGE) : 0;
	if (ret)
		return ifd_fail(ret, "leave out IOMMUFD_DMA_THP, or add IOMMUFD_DMA_SMALL",
				"ask for %zu bytes of transparent huge pages for DMA", dma->len);
	ret = ifd_sys_mprotect(dma->vaddr, dma->len, PROT_READ | PROT_WRITE);
	if (ret)
		return -ret;
	if (kind->flag != IOMMUFD_DMA_SMALL || wish->node)
		ret = populate(kind, wish->node, dma);
	if (!ret && thp)
		ret = look_for_huge(wish, dma);
	if (!ret && wish->ctx->noiommu && !kind->shift)
		ifd_sys_madvise(dma->vaddr, dma->len, MADV_NOHUGEPAGE); /* fails where there are no such pages */
	return ret;
}

static int attempt(const struct ifd_memory_wish *wish, const struct kind *kind, uint64_t size, struct iommufd_dma *out)
{
	uint64_t unit = size > wish->least ? size : wish->least;
	struct iommufd_dma dma = { .len = (size_t)((wish->len + (unit - 1)) & ~(unit - 1)), .page_size = (size_t)size };
	int flags = MAP_PRIVATE | MAP_ANONYMOUS, ret;

	if (!size)
		return ifd_fail(-EOPNOTSUPP, "leave out IOMMUFD_DMA_THP, or add IOMMUFD_DMA_SMALL",
				"allocate %zu bytes for DMA: no transparent huge pages, as far as " THP " tells",
				wish->len);
	if (dma.len < wish->len)
		return ifd_fail(-EOVERFLOW, "ask for less", "allocate %zu bytes for DMA", wish->len);
	if (kind->shift)
		flags |= MAP_HUGETLB | (int)kind->shift << HUGE_SHIFT_BIT;
	ret = map_aligned(dma.len, unit, flags, &dma.vaddr);
	if (ret)
		return fail_get(ret, kind, wish->node, dma.len);
	ret = fit(wish, kind, &dma);
	if (ret)
		ifd_sys_munmap(dma.vaddr, dma.len);
	else
		*out = dma;
	/* The words tell what is free: nothing is held any more. */
	return ret > 0 ? fail_get(-ret, kind, wish->node, dma.len) : ret;
}

int ifd_memory_new(const struct ifd_memory_wish *wish, struct iommufd_dma *out)
{
	uint32_t left = wish->pages ? wish->pages : IOMMUFD_DMA_SMALL;
	struct ifd_words words;
	int ret = 0;

	ifd_words_keep(&words);
	for (const struct kind *kind = kinds; left; kind++) {
		uint64_t size;

		if (!(left & kind->flag))
			continue;
		left &= ~kind->flag;
		size = size_of(kind);
		if (left && size > wish->len)
			continue;
		ret = attempt(wish, kind, size, out);
		if (!ret)
			break;
		if (left)
			ifd_info(&wish->ctx->log, "smaller pages are tried: %s", iommufd_errmsg());
	}
	if (!ret)
		ifd_words_restore(&words);
	return ret;
}
