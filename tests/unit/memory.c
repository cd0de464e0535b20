/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Which pages memory for DMA is made of, on a machine that has those that a test says. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"
#include "memory.h"
#include "uapi/pagemap.h"
#include "unit.h"

#define SMALL UINT64_C(4096)
#define HUGE  (UINT64_C(2) << 20)
#define GIANT (UINT64_C(1) << 30)

/* ---- The machine ---- */

static struct {
	bool has_giant, has_thp; /* pages of 1 GiB; transparent ones */
	size_t giants, huges;    /* that are free on all nodes together */
	size_t huges_of_node;    /* and on the one that memory is bound to, but for those that this process has */
	const char *thp_size, *free_text;
	bool comes; /* memory is there in transparent huge pages, when they are asked for; else see `part` */
	int part;   /* but the last (0), but the first (1), none (2) */
	int open_err, scan_err; /* of the kernel when it is asked for that */
	int populate_err, bind_err;
	unsigned long node_total, node_free, node_kept; /* KiB; free and not kept by the kernel; free, but kept */
} machine;

static char steps[512]; /* what was done, a word each */
static size_t mapped;
static unsigned int fail_in, opened;
static bool bound, huge, sealed, taken; /* taken: huge pages of the node, until they are unmapped */

static int step(const char *name)
{
	size_t used = strlen(steps);

	snprintf(steps + used, sizeof(steps) - used, "%s%s", used ? " " : "", name);
	return fail_in && !--fail_in ? -EIO : 0;
}

int __real_ifd_sys_mmap(int fd, uint64_t offset, size_t len, int prot, int flags, void **out);
int __real_ifd_sys_munmap(void *addr, size_t len);
int __real_ifd_sys_mprotect(void *addr, size_t len, int prot);
int __wrap_ifd_sys_mmap(int fd, uint64_t offset, size_t len, int prot, int flags, void **out);
int __wrap_ifd_sys_munmap(void *addr, size_t len);
int __wrap_ifd_sys_mprotect(void *addr, size_t len, int prot);
int __wrap_ifd_sys_madvise(void *addr, size_t len, int advice);
int __wrap_ifd_sys_mbind(void *addr, size_t len, unsigned int node);
int __wrap_ifd_sys_open(const char *path, int flags);
void __wrap_ifd_sys_close(int fd);
int __wrap_ifd_sys_ioctl_number(const struct ifd_log *log, int fd, unsigned long request, void *arg);
ssize_t __wrap_ifd_sys_read_text(const char *path, char *buf, size_t size);
int __wrap_ifd_sys_each_line(const char *path, ifd_sys_text_fn fn, void *data);
uint64_t __wrap_ifd_sys_page_size(void);

static int map_huge(size_t len, int flags, void **out)
{
	uint64_t size = UINT64_C(1) << (flags >> 26);
	size_t have = size == GIANT ? machine.giants : machine.huges;
	char *all;

	ck_assert(size == GIANT || size == HUGE);
	if (step(size == GIANT ? "map-1G" : "map-2M"))
		return -EIO;
	if (size == GIANT && !machine.has_giant)
		return -EINVAL;
	if (len / size > have)
		return -ENOMEM;
	ck_assert_int_eq(__real_ifd_sys_mmap(-1, 0, len + size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
					     (void **)&all),
			 0);
	*out = (void *)(((uintptr_t)all + size - 1) & ~(uintptr_t)(size - 1));
	if ((char *)*out > all)
		__real_ifd_sys_munmap(all, (size_t)((char *)*out - all));
	__real_ifd_sys_munmap((char *)*out + len, (size_t)(all + size - (char *)*out));
	mapped += len;
	return 0;
}

int __wrap_ifd_sys_mmap(int fd, uint64_t offset, size_t len, int prot, int flags, void **out)
{
	int ret;

	bound = false;
	sealed = true;
	ck_assert_int_eq(prot, PROT_NONE); /* else mlockall() has it there at once, of any node */
	huge = flags & MAP_HUGETLB;
	if (flags & MAP_HUGETLB)
		return map_huge(len, flags, out);
	ret = step("map");
	if (!ret)
		ret = __real_ifd_sys_mmap(fd, offset, len, prot, flags, out);
	mapped += ret ? 0 : len;
	return ret;
}

int __wrap_ifd_sys_munmap(void *addr, size_t len)
{
	ck_assert_uint_le(len, mapped);
	mapped -= len;
	taken = false;
	return __real_ifd_sys_munmap(addr, len);
}

/* From here on memory may be there. */
int __wrap_ifd_sys_mprotect(void *addr, size_t len, int prot)
{
	ck_assert_int_eq(prot, PROT_READ | PROT_WRITE);
	if (step("let"))
		return -EIO;
	sealed = false;
	return __real_ifd_sys_mprotect(addr, len, prot);
}

int __wrap_ifd_sys_madvise(void *addr, size_t len, int advice)
{
	const char *name = advice == MADV_DONTFORK     ? "keep"
			   : advice == MADV_HUGEPAGE   ? "join"
			   : advice == MADV_NOHUGEPAGE ? "part"
			   : advice == 23              ? "populate"
						       : "other";

	ck_assert_uint_eq((uintptr_t)addr % SMALL, 0);
	if (step(name))
		return -EIO;
	if (advice == 23 && machine.populate_err)
		return machine.populate_err;
	taken = advice == 23 && bound && huge;
	return taken && len / HUGE > machine.huges_of_node ? -EFAULT : 0;
}

int __wrap_ifd_sys_mbind(void *addr, size_t len, unsigned int node)
{
	char name[16];

	(void)addr;
	(void)len;
	snprintf(name, sizeof(name), "bind-%u", node);
	bound = true;
	return step(name) ? -EIO : machine.bind_err;
}

int __wrap_ifd_sys_open(const char *path, int flags)
{
	int ret = step("open");

	ret = ret ? ret : machine.open_err;
	ck_assert_str_eq(path, "/proc/self/pagemap");
	(void)flags;
	opened += !ret;
	return ret ? ret : 77;
}

void __wrap_ifd_sys_close(int fd)
{
	ck_assert_int_eq(fd, 77);
	opened--;
}

int __wrap_ifd_sys_ioctl_number(const struct ifd_log *log, int fd, unsigned long request, void *arg)
{
	const struct pm_scan_arg *scan = arg;
	struct page_region *run = (struct page_region *)(uintptr_t)scan->vec;
	int ret = step("scan");

	(void)log;
	ck_assert(fd == 77 && request == PAGEMAP_SCAN);
	ck_assert_uint_eq(scan->size, sizeof(*scan));
	ck_assert(scan->vec_len == 1 && scan->category_mask == PAGE_IS_HUGE && scan->return_mask == PAGE_IS_HUGE);
	if (ret || machine.scan_err)
		return ret ? ret : machine.scan_err;
	*run = (struct page_region){ scan->start, scan->end, PAGE_IS_HUGE };
	if (!machine.comes && machine.part)
		run->start += HUGE;
	else if (!machine.comes)
		run->end -= HUGE;
	return machine.comes || machine.part < 2;
}

ssize_t __wrap_ifd_sys_read_text(const char *path, char *buf, size_t size)
{
	const char *text = strstr(path, "hpage_pmd_size")      ? machine.thp_size
			   : strstr(path, "enabled")           ? "always madvise [never]\n"
			   : strstr(path, "has_memory")        ? "0-1\n"
			   : strstr(path, "2048kB/resv_")      ? NULL /* nodes do not tell */
			   : strstr(path, "node1/hugepages/")  ? taken ? "0\n" : "3\n"
			   : strstr(path, "kB/free_hugepages") ? machine.free_text
			   : strstr(path, "kB/resv_hugepages") ? "4\n" /* of those that are free */
							       : NULL;

	if (!text || (!machine.has_thp && strstr(path, "transparent_hugepage")))
		return -ENOENT;
	return snprintf(buf, size, "%s", text);
}

int __wrap_ifd_sys_each_line(const char *path, ifd_sys_text_fn fn, void *data)
{
	char line[64], total[64];

	ck_assert_str_eq(path, "/sys/devices/system/node/node1/meminfo");
	snprintf(line, sizeof(line), "Node 1 MemFree:       %lu kB", machine.node_free - 3 + machine.node_kept);
	snprintf(total, sizeof(total), "Node 1 MemTotal:       %lu kB", machine.node_total);
	if (!machine.node_free)
		return -ENOENT;
	ck_assert(fn(data, total) && fn(data, line) && fn(data, "Node 1 Active(file):          2 kB") &&
		  fn(data, "Node 1 Inactive(file):          3 kB") &&
		  fn(data, "Node 1 Active(anon):          9999999 kB") && fn(data, "Node 1 SReclaimable:      2 kB"));
	return 0;
}

uint64_t __wrap_ifd_sys_page_size(void)
{
	return SMALL;
}

/* ---- The tests ---- */

static struct iommufd_ctx ctx;
static struct iommufd_dma got;

/* A machine that has everything, and a wish of it. */
static int wish(size_t len, uint32_t pages, uint32_t node)
{
	struct ifd_memory_wish wish = { .ctx = &ctx, .len = len, .least = SMALL, .pages = pages, .node = node };
	int ret;

	*steps = '\0';
	got = (struct iommufd_dma){ (void *)1, 2, 3, 4 };
	ret = ifd_memory_new(&wish, &got);
	ck_assert_uint_eq(opened, 0);
	if (ret) {
		ck_assert(got.vaddr == (void *)1 && got.iova == 2 && got.len == 3 && got.page_size == 4);
		ck_assert_uint_eq(mapped, 0);
		unit_check_words(ret);
	} else {
		ck_assert_uint_eq(mapped, got.len);
		ck_assert_uint_ge(got.len, len);
		ck_assert_uint_eq((uintptr_t)got.vaddr % got.page_size, 0);
		ck_assert_uint_eq(got.len % got.page_size, 0);
		ck_assert(!sealed);
		__wrap_ifd_sys_munmap(got.vaddr, got.len);
	}
	return ret;
}

static void rich(void)
{
	memset(&machine, 0, sizeof(machine));
	machine.has_giant = machine.has_thp = machine.comes = true;
	machine.thp_size = "2097152\n";
	machine.free_text = "5\n";
	machine.giants = 2;
	machine.huges = machine.huges_of_node = 1024;
	machine.node_total = 8 * 1000;
	machine.node_kept = 1000;
	machine.node_free = 4000000;
	ctx.noiommu = false;
}

#define gets(call, size, what)                          \
	do {                                            \
		ck_assert_int_eq(call, 0);              \
		ck_assert_uint_eq(got.page_size, size); \
		ck_assert_str_eq(steps, what);          \
	} while (0)
#define lacks(err, call, words)              \
	do {                                 \
		ck_assert_int_eq(call, err); \
		unit_words_have(words);      \
	} while (0)

START_TEST(pages_of_one_kind_are_those_that_were_asked_for)
{
	rich();
	gets(wish(1, 0, 0), SMALL, "map keep let");
	ck_assert_uint_eq(got.len, SMALL);
	gets(wish(SMALL + 1, IOMMUFD_DMA_SMALL, 0), SMALL, "map keep let");
	ck_assert_uint_eq(got.len, 2 * SMALL);
	gets(wish(1, IOMMUFD_DMA_HUGE, 0), HUGE, "map-2M keep let populate");
	ck_assert_uint_eq(got.len, HUGE);
	gets(wish(1, IOMMUFD_DMA_HUGE_1G, 0), GIANT, "map-1G keep let populate");
	ck_assert_uint_eq(got.len, GIANT);
	gets(wish(HUGE + 1, IOMMUFD_DMA_THP, 0), HUGE, "map keep join let populate open scan");
	ck_assert_uint_eq(got.len, 2 * HUGE);
}
END_TEST

START_TEST(of_several_kinds_the_largest_that_can_be_had_is_taken)
{
	rich();
	unit_stale_words();
	gets(wish(GIANT, IOMMUFD_DMA_BEST, 0), GIANT, "map-1G keep let populate");
	machine.giants = 0;
	gets(wish(GIANT, IOMMUFD_DMA_BEST, 0), HUGE, "map-1G map-2M keep let populate");
	machine.has_giant = false;
	gets(wish(GIANT, IOMMUFD_DMA_BEST, 0), HUGE, "map-1G map-2M keep let populate");
	machine.huges = 511;
	gets(wish(GIANT, IOMMUFD_DMA_BEST, 0), HUGE, "map-1G map-2M map keep join let populate open scan");
	gets(wish(GIANT, IOMMUFD_DMA_HUGE_1G | IOMMUFD_DMA_SMALL, 0), SMALL, "map-1G map keep let");
	machine.has_thp = false;
	gets(wish(GIANT, IOMMUFD_DMA_BEST, 0), SMALL, "map-1G map-2M map keep let");
	ck_assert(unit_words_are_stale()); /* a larger kind that is not had is no failure */
}
END_TEST

START_TEST(pages_larger_than_the_buffer_are_passed_over_unless_nothing_smaller_will_do)
{
	rich();
	gets(wish(GIANT - 1, IOMMUFD_DMA_BEST, 0), HUGE, "map-2M keep let populate");
	gets(wish(HUGE - 1, IOMMUFD_DMA_BEST, 0), SMALL, "map keep let");
	gets(wish(1, IOMMUFD_DMA_HUGE | IOMMUFD_DMA_HUGE_1G, 0), HUGE, "map-2M keep let populate");
	gets(wish(1, IOMMUFD_DMA_THP | IOMMUFD_DMA_HUGE_1G, 0), HUGE, "map keep join let populate open scan");
}
END_TEST

START_TEST(a_kind_that_the_machine_lacks_is_named)
{
	rich();
	machine.has_giant = machine.has_thp = false;
	lacks(-EOPNOTSUPP, wish(1, IOMMUFD_DMA_HUGE_1G, 0), "no huge pages of 1 GiB");
	lacks(-EOPNOTSUPP, wish(1, IOMMUFD_DMA_THP, 0), "no transparent huge pages");
	rich();
	machine.thp_size = "3000000\n"; /* no power of two */
	lacks(-EOPNOTSUPP, wish(1, IOMMUFD_DMA_THP, 0), "no transparent huge pages");
	machine.thp_size = "1024\n";
	lacks(-EOPNOTSUPP, wish(1, IOMMUFD_DMA_THP, 0), "no transparent huge pages");
	machine.giants = 0;
	lacks(-ENOMEM, wish(GIANT + 1, IOMMUFD_DMA_HUGE_1G, 0), "2 huge pages of 1 GiB are needed and 1 are free");
	unit_words_have(": raise /sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages");
	machine.free_text = "6\n"; /* then it is not for want of them */
	lacks(-ENOMEM, wish(GIANT + 1, IOMMUFD_DMA_HUGE_1G, 0), "2 are free: a cgroup or the thread's memory policy");
}
END_TEST

START_TEST(transparent_pages_that_did_not_come_are_not_claimed)
{
	rich();
	machine.comes = false;
	for (machine.part = 0; machine.part < 3; machine.part++) {
		lacks(-ENOMEM, wish(2 * HUGE, IOMMUFD_DMA_THP, 0), "enabled: always madvise [never]");
		/* What came is kept: it may be huge in part. */
		gets(wish(2 * HUGE, IOMMUFD_DMA_THP | IOMMUFD_DMA_SMALL, 0), SMALL,
		     "map keep join let populate open scan");
		ck_assert_uint_eq(got.len, 2 * HUGE);
	}
	rich();
	machine.scan_err = -ENOTTY;
	lacks(-EOPNOTSUPP, wish(HUGE, IOMMUFD_DMA_THP, 0), "tells from Linux 6.7 on");
	machine.scan_err = -EINVAL;
	lacks(-EOPNOTSUPP, wish(HUGE, IOMMUFD_DMA_THP, 0), "tells from Linux 6.7 on");
	gets(wish(HUGE, IOMMUFD_DMA_THP | IOMMUFD_DMA_SMALL, 0), SMALL, "map keep join let populate open scan");
	machine.scan_err = -ENOMEM;
	lacks(-ENOMEM, wish(HUGE, IOMMUFD_DMA_THP, 0), "find out whether");
	machine.open_err = -EACCES; /* the process is not dumpable */
	lacks(-EACCES, wish(HUGE, IOMMUFD_DMA_THP, 0), "PR_SET_DUMPABLE");
	gets(wish(HUGE, IOMMUFD_DMA_THP | IOMMUFD_DMA_SMALL, 0), SMALL, "map keep join let populate open");
	machine.open_err = -ENOENT;
	lacks(-ENOENT, wish(HUGE, IOMMUFD_DMA_THP, 0), "/proc/self/pagemap does not tell");
}
END_TEST

START_TEST(memory_of_a_node_is_there_or_the_words_tell_why_not)
{
	rich();
	gets(wish(1, 0, 2), SMALL, "map keep bind-1 let populate");
	gets(wish(1, IOMMUFD_DMA_HUGE, 2), HUGE, "map-2M keep bind-1 let populate");
	gets(wish(1, IOMMUFD_DMA_THP, 2), HUGE, "map keep bind-1 join let populate open scan");
	machine.huges_of_node = 3;
	lacks(-ENOMEM, wish(4 * HUGE, IOMMUFD_DMA_HUGE, 2), "4 huge pages of 2 MiB are needed and 3 are free");
	unit_words_have("raise /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages");
	gets(wish(4 * HUGE, IOMMUFD_DMA_HUGE | IOMMUFD_DMA_SMALL, 2), SMALL,
	     "map-2M keep bind-1 let populate map keep bind-1 let populate");
	machine.node_free = 100;
	gets(wish(100 << 10, 0, 2), SMALL, "map keep bind-1 let populate");
	lacks(-ENOMEM, wish((100 << 10) + 1, 0, 2), "node 1 has 100 KiB to give");
	ck_assert_str_eq(steps, "map keep bind-1"); /* nothing of it was used, so nobody was killed for it */
	machine.node_kept = 0;                      /* the kernel has not even what it keeps */
	lacks(-ENOMEM, wish(1, 0, 2), "node 1 has 0 KiB to give");
	machine.node_total = 999999999; /* it keeps no more than 1 GiB */
	machine.node_kept = 1 << 20;
	gets(wish(100 << 10, 0, 2), SMALL, "map keep bind-1 let populate");
	gets(wish(HUGE, IOMMUFD_DMA_HUGE, 2), HUGE, "map-2M keep bind-1 let populate");
	machine.node_free = 0; /* no such file */
	gets(wish(GIANT, 0, 2), SMALL, "map keep bind-1 let populate");
	machine.bind_err = -EINVAL;
	lacks(-EINVAL, wish(1, 0, 2), "on node 1");
	unit_words_have("the nodes with memory are 0-1");
	machine.bind_err = -ENOSYS;
	lacks(-EOPNOTSUPP, wish(1, IOMMUFD_DMA_HUGE, 2), "CONFIG_NUMA");
	machine.bind_err = -EPERM;
	lacks(-EPERM, wish(1, 0, 2), "seccomp");
}
END_TEST

START_TEST(before_linux_5_14_only_huge_pages_of_a_node_cannot_be_had)
{
	rich();
	machine.populate_err = -EINVAL;
	gets(wish(1, IOMMUFD_DMA_HUGE, 0), HUGE, "map-2M keep let populate");
	gets(wish(1, 0, 2), SMALL, "map keep bind-1 let populate");
	lacks(-EOPNOTSUPP, wish(1, IOMMUFD_DMA_HUGE, 2), "Linux 5.14");
}
END_TEST

START_TEST(memory_that_is_only_locked_is_not_put_together_afterwards)
{
	rich();
	ctx.noiommu = true;
	gets(wish(1, 0, 0), SMALL, "map keep let part");
	gets(wish(1, IOMMUFD_DMA_THP, 0), HUGE, "map keep join let populate open scan part");
	gets(wish(1, IOMMUFD_DMA_HUGE, 0), HUGE, "map-2M keep let populate");
}
END_TEST

START_TEST(whichever_step_fails_nothing_is_left)
{
	static const uint32_t kinds[] = { IOMMUFD_DMA_SMALL, IOMMUFD_DMA_THP, IOMMUFD_DMA_HUGE, IOMMUFD_DMA_HUGE_1G };
	unsigned int all = 0;

	rich();
	for (uint32_t node = 0; node < 3; node += 2)
		for (size_t i = 0; i < 4; i++) {
			unsigned int nth = 1;

			for (;; nth++) {
				int ret;

				fail_in = nth;
				ret = wish(1, kinds[i], node);
				if (fail_in)
					break;
				ck_assert_int_lt(ret, 0);
				fail_in = nth; /* the same, and smaller pages will do */
				ck_assert_int_eq(wish(kinds[i] == IOMMUFD_DMA_HUGE_1G ? GIANT : HUGE,
						      kinds[i] | IOMMUFD_DMA_SMALL, node),
						 kinds[i] == IOMMUFD_DMA_SMALL ? -EIO : 0);
				ck_assert_uint_eq(got.page_size, kinds[i] == IOMMUFD_DMA_SMALL ? 4 : SMALL);
			}
			fail_in = 0;
			ck_assert_int_eq(wish(1, kinds[i], node), 0);
			all += nth - 1;
		}
	ck_assert_uint_eq(all, (3 + 7 + 4 + 4) + (5 + 8 + 5 + 5));
}
END_TEST

START_TEST(memory_of_a_machine_with_larger_pages_for_devices_is_so_aligned)
{
	struct ifd_memory_wish wanted = { .ctx = &ctx, .len = 1, .least = 0x10000 };

	rich();
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(ifd_memory_new(&wanted, &got), 0);
		ck_assert_uint_eq((uintptr_t)got.vaddr % 0x10000, 0);
		ck_assert_uint_eq(got.len, 0x10000);
		ck_assert_uint_eq(got.page_size, SMALL);
	}
	ck_assert_uint_eq(mapped, 8 * 0x10000);
	wanted.len = SIZE_MAX - 100;
	ck_assert_int_eq(ifd_memory_new(&wanted, &got), -EOVERFLOW);
	wanted.len = SIZE_MAX & ~UINT64_C(0xffff);
	ck_assert_int_eq(ifd_memory_new(&wanted, &got), -ENOMEM);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, pages_of_one_kind_are_those_that_were_asked_for);
	tcase_add_test(tcase, of_several_kinds_the_largest_that_can_be_had_is_taken);
	tcase_add_test(tcase, pages_larger_than_the_buffer_are_passed_over_unless_nothing_smaller_will_do);
	tcase_add_test(tcase, a_kind_that_the_machine_lacks_is_named);
	tcase_add_test(tcase, transparent_pages_that_did_not_come_are_not_claimed);
	tcase_add_test(tcase, memory_of_a_node_is_there_or_the_words_tell_why_not);
	tcase_add_test(tcase, before_linux_5_14_only_huge_pages_of_a_node_cannot_be_had);
	tcase_add_test(tcase, memory_that_is_only_locked_is_not_put_together_afterwards);
	tcase_add_test(tcase, whichever_step_fails_nothing_is_left);
	tcase_add_test(tcase, memory_of_a_machine_with_larger_pages_for_devices_is_so_aligned);
}
