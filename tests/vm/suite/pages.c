/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Which pages buffers are made of, and of which NUMA node. The machines have set 16 huge pages of 2 MiB aside. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "uapi/pagemap.h"
#include "vm.h"

#define HUGE_PAGE ((size_t)2 << 20)
#define NODES     "/sys/devices/system/node/"

bool vm_tells_huge(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), ret, err;

	ck_assert_int_ge(fd, 0);
	ret = ioctl(fd, PAGEMAP_SCAN, &(struct pm_scan_arg){ .size = 1 });
	err = errno;
	close(fd);
	ck_assert_int_eq(ret, -1);
	return err != ENOTTY;
}

bool vm_has_nodes(void)
{
	return !access(NODES "node0", F_OK);
}

/* KiB that smaps has under a name, of the part of the process's memory where an address is. */
static unsigned long smaps(const void *addr, const char *name)
{
	unsigned long start, end, size;
	FILE *file = fopen("/proc/self/smaps", "re");
	bool here = false;
	char line[256];

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = (unsigned long)addr >= start && (unsigned long)addr < end;
		else if (here && !strncmp(line, name, strlen(name)) &&
			 sscanf(line + strlen(name), ": %lu kB", &size) == 1)
			break;
		size = 0;
	}
	fclose(file);
	return size;
}

/* A device copies something from the start of the buffer to its last page. */
static void is_used(struct edu *edu, const struct iommufd_dma *dma)
{
	char *last = (char *)dma->vaddr + dma->len - PAGE;

	for (size_t i = 0; i < dma->len; i += PAGE)
		ck_assert_uint_eq(((unsigned char *)dma->vaddr)[i], 0);
	edu_copy_works(edu, dma->iova, dma->vaddr, iommufd_dma_addr(dma, last), last);
}

/* The same, and that is all that it is there for. */
static void is_used_up(const struct bed *bed, struct edu *edu, struct iommufd_dma *dma)
{
	is_used(edu, dma);
	iommufd_dma_free(bed->ioas, dma);
}

static void transparent_huge_pages_come(const struct bed *bed, struct edu *edu)
{
	struct iommufd_dma dma = { .len = 0 };

	ok(iommufd_dma_alloc(bed->ioas, 3 * HUGE_PAGE, RW | IOMMUFD_DMA_THP, &dma));
	ck_assert_uint_eq(dma.page_size, HUGE_PAGE);
	ck_assert_uint_ge(smaps(dma.vaddr, "AnonHugePages"), 3 * 2048);
	is_used_up(bed, edu, &dma);
}

START_TEST(a_buffer_says_of_which_pages_it_is)
{
	struct iommufd_dma dma;
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_dma_alloc(bed.ioas, PAGE + 1, RW, &dma));
	ck_assert_uint_eq(dma.page_size, PAGE);
	ck_assert_uint_eq(dma.len, 2 * PAGE);
	is_used_up(&bed, &edu, &dma);
	ck_assert_uint_eq(dma.page_size, 0);

	ok(iommufd_dma_alloc(bed.ioas, HUGE_PAGE + 1, RW | IOMMUFD_DMA_HUGE, &dma));
	ck_assert_uint_eq(dma.page_size, HUGE_PAGE);
	ck_assert_uint_eq(dma.len, 2 * HUGE_PAGE);
	ck_assert_uint_eq(smaps(dma.vaddr, "KernelPageSize"), 2048);
	is_used_up(&bed, &edu, &dma);
	bed_close(&bed);
}
END_TEST

START_TEST(transparent_huge_pages_are_there_when_the_kernel_says_so)
{
	struct iommufd_dma dma = { .len = 0 };
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	if (vm_tells_huge()) {
		transparent_huge_pages_come(&bed, &edu);
	} else {
		fails(iommufd_dma_alloc(bed.ioas, 3 * HUGE_PAGE, RW | IOMMUFD_DMA_THP, &dma), -EOPNOTSUPP,
		      "add IOMMUFD_DMA_SMALL to take what comes");
		ok(iommufd_dma_alloc(bed.ioas, 3 * HUGE_PAGE, RW | IOMMUFD_DMA_THP | IOMMUFD_DMA_SMALL, &dma));
		ck_assert_uint_eq(dma.page_size, PAGE);
		is_used_up(&bed, &edu, &dma);
	}
	bed_close(&bed);
}
END_TEST

static void allow_thp(const char *when)
{
	int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_WRONLY | O_CLOEXEC);

	ck_assert_int_eq(write(fd, when, strlen(when)), (ssize_t)strlen(when));
	close(fd);
}

START_TEST(transparent_huge_pages_that_are_forbidden_are_not_claimed)
{
	struct iommufd_dma dma = { .len = 0 };
	struct bed bed;

	bed_attach(&bed, EDU);
	allow_thp("never");
	fails(iommufd_dma_alloc(bed.ioas, HUGE_PAGE, RW | IOMMUFD_DMA_THP, &dma),
	      vm_tells_huge() ? -ENOMEM : -EOPNOTSUPP,
	      vm_tells_huge() ? "always madvise [never]" : "tells from Linux 6.7 on");
	ok(iommufd_dma_alloc(bed.ioas, HUGE_PAGE, RW | IOMMUFD_DMA_THP | IOMMUFD_DMA_SMALL, &dma));
	ck_assert_uint_eq(dma.page_size, PAGE);
	ck_assert_uint_eq(smaps(dma.vaddr, "AnonHugePages"), 0);
	iommufd_dma_free(bed.ioas, &dma);
	allow_thp("always");
	bed_close(&bed);
}
END_TEST

/* All of those that are set aside, and one more: that is an errno and no signal. */
START_TEST(when_huge_pages_are_used_up_the_next_best_are_taken)
{
	uint32_t no_giant = RW | IOMMUFD_DMA_HUGE | IOMMUFD_DMA_THP | IOMMUFD_DMA_SMALL;
	struct iommufd_dma all, dma = { .len = 0 };
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	ok(iommufd_dma_alloc(bed.ioas, 16 * HUGE_PAGE, no_giant, &all));
	ck_assert_uint_eq(all.page_size, HUGE_PAGE);
	ck_assert_uint_eq(smaps(all.vaddr, "KernelPageSize"), 2048);
	fails(iommufd_dma_alloc(bed.ioas, HUGE_PAGE, RW | IOMMUFD_DMA_HUGE, &dma), -ENOMEM,
	      "1 huge pages of 2 MiB are needed and 0 are free");
	ok(iommufd_dma_alloc(bed.ioas, HUGE_PAGE, RW | IOMMUFD_DMA_BEST, &dma));
	ck_assert_uint_eq(dma.page_size, vm_tells_huge() ? HUGE_PAGE : PAGE);
	ck_assert_uint_eq(smaps(dma.vaddr, "KernelPageSize"), 4);
	is_used_up(&bed, &edu, &dma);
	ok(iommufd_dma_alloc(bed.ioas, HUGE_PAGE, RW | IOMMUFD_DMA_HUGE | IOMMUFD_DMA_SMALL, &dma));
	ck_assert_uint_eq(dma.page_size, PAGE);
	iommufd_dma_free(bed.ioas, &dma);
	iommufd_dma_free(bed.ioas, &all);
	ok(iommufd_dma_alloc(bed.ioas, HUGE_PAGE, RW | IOMMUFD_DMA_HUGE, &dma));
	iommufd_dma_free(bed.ioas, &dma);
	bed_close(&bed);
}
END_TEST

/* No machine has memory enough for such a page: there are none, or the CPU lacks them. */
START_TEST(a_page_of_one_gibibyte_that_is_not_there_is_refused_with_words)
{
	bool known = !access("/sys/kernel/mm/hugepages/hugepages-1048576kB", F_OK);
	struct iommufd_dma dma = { .len = 0 };
	struct bed bed;

	bed_attach(&bed, EDU);
	fails(iommufd_dma_alloc(bed.ioas, 1, RW | IOMMUFD_DMA_HUGE_1G, &dma), known ? -ENOMEM : -EOPNOTSUPP,
	      known ? "1 huge pages of 1 GiB are needed and 0 are free" : "no huge pages of 1 GiB");
	ok(iommufd_dma_alloc(bed.ioas, 1, RW | IOMMUFD_DMA_HUGE_1G | IOMMUFD_DMA_SMALL, &dma));
	ck_assert_uint_eq(dma.page_size, PAGE);
	iommufd_dma_free(bed.ioas, &dma);
	bed_close(&bed);
}
END_TEST

static size_t memory_of_the_machine(void)
{
	return (size_t)sysconf(_SC_PHYS_PAGES) * PAGE;
}

/* Each page, as the kernel tells it. */
static void is_of_node(const struct iommufd_dma *dma, unsigned int node)
{
	for (size_t at = 0; at < dma->len; at += dma->page_size) {
		void *page = (char *)dma->vaddr + at;
		int where = -1;

		ck_assert_int_eq(syscall(SYS_move_pages, 0, 1ul, &page, NULL, &where, 0), 0);
		ck_assert_int_eq(where, (int)node);
	}
}

static unsigned int huge_pages_of(unsigned int node)
{
	unsigned int count = 0;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), NODES "node%u/hugepages/hugepages-2048kB/free_hugepages", node);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%u", &count), 1);
	fclose(file);
	return count;
}

/* Where memory would come of the first node, were none asked for. */
static void run_on_the_first_node(void)
{
	cpu_set_t first;

	ck_assert(!access(NODES "node0/cpu0", F_OK) && !access(NODES "node1/cpu1", F_OK));
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(first), &first), 0);
}

static void comes_of_node(struct bed *bed, struct edu *edu, unsigned int node)
{
	static const uint32_t kinds[] = { IOMMUFD_DMA_SMALL, IOMMUFD_DMA_HUGE, IOMMUFD_DMA_THP | IOMMUFD_DMA_SMALL };
	struct iommufd_dma_opts opts = { .struct_size = sizeof(opts), .node = node + 1 };
	struct iommufd_dma dma = { .len = 0 };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		ok(iommufd_dma_alloc_opts(bed->ioas, i ? 2 * HUGE_PAGE : 3 * PAGE, RW | kinds[i], &opts, &dma));
		is_of_node(&dma, node);
		is_used_up(bed, edu, &dma);
	}
}

/* A kernel that knows nodes is only on a machine that has two. */
START_TEST(memory_is_of_the_node_that_is_asked_for)
{
	struct iommufd_dma_opts opts = { .struct_size = sizeof(opts), .node = 1 };
	struct iommufd_dma dma = { .len = 0 };
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	if (!vm_has_nodes()) {
		fails(iommufd_dma_alloc_opts(bed.ioas, PAGE, RW, &opts, &dma), -EOPNOTSUPP, "CONFIG_NUMA");
		bed_close(&bed);
		return;
	}
	run_on_the_first_node();
	comes_of_node(&bed, &edu, 0);
	comes_of_node(&bed, &edu, 1);
	bed_close(&bed);
}
END_TEST

START_TEST(what_a_node_does_not_have_is_refused_with_words)
{
	struct iommufd_dma_opts opts = { .struct_size = sizeof(opts) };
	struct iommufd_dma dma = { .len = 0 };
	struct bed bed;
	char words[128];

	bed_attach(&bed, EDU);
	for (unsigned int node = 0; vm_has_nodes() && node < 2; node++) {
		unsigned int huge = huge_pages_of(node);

		opts.node = node + 1;
		ok(iommufd_dma_alloc_opts(bed.ioas, huge * HUGE_PAGE, RW | IOMMUFD_DMA_HUGE, &opts, &dma));
		is_of_node(&dma, node);
		iommufd_dma_free(bed.ioas, &dma);
		snprintf(words, sizeof(words),
			 "%u huge pages of 2 MiB are needed and %u are free: raise " NODES "node%u", huge + 1, huge,
			 node);
		fails(iommufd_dma_alloc_opts(bed.ioas, (huge + 1) * HUGE_PAGE, RW | IOMMUFD_DMA_HUGE, &opts, &dma),
		      -ENOMEM, words);
		snprintf(words, sizeof(words), "node %u has ", node);
		fails(iommufd_dma_alloc_opts(bed.ioas, memory_of_the_machine() - PAGE, RW, &opts, &dma), -ENOMEM,
		      words);
	}
	opts.node = 3;
	fails(iommufd_dma_alloc_opts(bed.ioas, PAGE, RW, &opts, &dma), vm_has_nodes() ? -EINVAL : -EOPNOTSUPP,
	      vm_has_nodes() ? "the nodes with memory are 0-1," : "CONFIG_NUMA");
	opts.node = UINT32_MAX;
	fails(iommufd_dma_alloc_opts(bed.ioas, PAGE, RW, &opts, &dma), -EINVAL, "node");
	bed_close(&bed);
}
END_TEST

/* More than there is would get a process killed. */
START_TEST(what_a_node_is_said_to_give_comes_and_nobody_is_killed)
{
	struct iommufd_dma_opts opts = { .struct_size = sizeof(opts) };
	struct iommufd_dma dma = { .len = 0 };
	struct bed bed;

	bed_open(&bed);
	for (unsigned int node = 0; vm_has_nodes() && node < 2; node++) {
		unsigned long room = 0;
		const char *words;

		opts.node = node + 1;
		fails(iommufd_dma_alloc_opts(bed.ioas, memory_of_the_machine() - PAGE, RW, &opts, &dma), -ENOMEM,
		      " has ");
		words = strstr(iommufd_errmsg(), " has ");
		ck_assert_ptr_nonnull(words);
		ck_assert_int_eq(sscanf(words, " has %lu KiB", &room), 1);
		ck_assert_uint_gt(room, 64 << 10);
		room = room / 4 * 4 - 1024; /* the library and the test take some of it meanwhile */
		ok(iommufd_dma_alloc_opts(bed.ioas, room << 10, RW, &opts, &dma));
		ck_assert_uint_eq(smaps(dma.vaddr, "Rss"), room);
		iommufd_dma_free(bed.ioas, &dma);
	}
	bed_close(&bed);
}
END_TEST

/* Then memory is there as soon as a process may touch it. */
START_TEST(a_process_that_locks_all_of_its_memory_gets_the_pages_that_it_asks_for)
{
	struct iommufd_dma dma = { .len = 0 };
	struct bed bed;
	struct edu edu;

	bed_attach(&bed, EDU);
	edu_setup(&edu, bed.dev);
	allow_thp("madvise");
	ck_assert_int_eq(mlockall(MCL_FUTURE), 0);
	if (vm_tells_huge())
		transparent_huge_pages_come(&bed, &edu);
	ok(iommufd_dma_alloc(bed.ioas, 3 * PAGE, RW, &dma));
	is_used_up(&bed, &edu, &dma);
	if (vm_has_nodes()) {
		run_on_the_first_node();
		comes_of_node(&bed, &edu, 1);
	}
	munlockall();
	allow_thp("always");
	bed_close(&bed);
}
END_TEST

START_TEST(options_are_read_by_their_size)
{
	struct {
		struct iommufd_dma_opts opts;
		uint64_t unknown;
	} newer = { { .struct_size = sizeof(newer) }, 0 };
	struct iommufd_dma dma = { .len = 0 };
	struct bed bed;

	bed_open(&bed);
	ok(iommufd_dma_alloc_opts(bed.ioas, 1, RW, &newer.opts, &dma));
	iommufd_dma_free(bed.ioas, &dma);
	newer.unknown = 1;
	fails(iommufd_dma_alloc_opts(bed.ioas, 1, RW, &newer.opts, &dma), -E2BIG, "older than the program");
	newer.opts.struct_size = 8;
	fails(iommufd_dma_alloc_opts(bed.ioas, 1, RW, &newer.opts, &dma), -EINVAL, "struct_size");
	newer.opts = (struct iommufd_dma_opts){ .struct_size = sizeof(newer.opts), .reserved = 1 };
	fails(iommufd_dma_alloc_opts(bed.ioas, 1, RW, &newer.opts, &dma), -EINVAL, "reserved");
	bed_close(&bed);
}
END_TEST

void add_pages_tests(TCase *tc)
{
	tcase_add_test(tc, a_buffer_says_of_which_pages_it_is);
	tcase_add_test(tc, transparent_huge_pages_are_there_when_the_kernel_says_so);
	tcase_add_test(tc, transparent_huge_pages_that_are_forbidden_are_not_claimed);
	tcase_add_test(tc, when_huge_pages_are_used_up_the_next_best_are_taken);
	tcase_add_test(tc, a_page_of_one_gibibyte_that_is_not_there_is_refused_with_words);
	tcase_add_test(tc, memory_is_of_the_node_that_is_asked_for);
	tcase_add_test(tc, what_a_node_does_not_have_is_refused_with_words);
	tcase_add_test(tc, what_a_node_is_said_to_give_comes_and_nobody_is_killed);
	tcase_add_test(tc, a_process_that_locks_all_of_its_memory_gets_the_pages_that_it_asks_for);
	tcase_add_test(tc, options_are_read_by_their_size);
}
