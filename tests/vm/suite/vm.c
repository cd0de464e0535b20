/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The program that runs in the guest: finds out which backends there are, and runs every test on each. */
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vm.h"

uint32_t vm_backend;

/* ---- The kernel's log, test by test ---- */

#define TROUBLE "WARNING:|BUG:|Oops|refcount_t|list_(add|del) corruption|DMAR:.*fault|UBSAN|general protection"

static int kmsg = -1;
static regex_t trouble, expected;
static bool expects;

static void watch_kernel(void)
{
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(kmsg, 0);
	lseek(kmsg, 0, SEEK_END);
	expects = false;
}

void vm_expect_kernel(const char *regex)
{
	ck_assert_int_eq(regcomp(&expected, regex, REG_EXTENDED | REG_NOSUB), 0);
	expects = true;
	printf("# expect-kernel: %s\n", regex);
	fflush(stdout);
}

/* As the drivers of Intel's and of virtio's IOMMU say it; the first tells of the fault's register in a line of its own. */
void vm_expect_fault(const char *address, uint64_t iova)
{
	char regex[256];

	snprintf(regex, sizeof(regex),
		 "DMAR: DRHD: handling fault status reg|DMAR: \\[DMA .*device \\[(0000:)?%s\\] fault addr "
		 "0x%lx...[^0-9a-f]|"
		 "page fault from EP [0-9]+ at 0x%lx...[^0-9a-f]",
		 strchr(address, ':') + 1, (unsigned long)(iova / PAGE), (unsigned long)(iova / PAGE));
	vm_expect_kernel(regex);
}

static void check_kernel(void)
{
	char line[1024];
	ssize_t n;

	ck_assert_int_eq(regcomp(&trouble, TROUBLE, REG_EXTENDED | REG_NOSUB), 0);
	while ((n = read(kmsg, line, sizeof(line) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		line[n > 0 ? n : 0] = '\0';
		if (regexec(&trouble, line, 0, NULL, 0) || (expects && !regexec(&expected, line, 0, NULL, 0)))
			continue;
		ck_abort_msg("the kernel complained: %s", line);
	}
	regfree(&trouble);
	if (expects)
		regfree(&expected);
	close(kmsg);
}

/* ---- Backends ---- */

static void use_iommufd(void)
{
	vm_backend = IOMMUFD_BACKEND_IOMMUFD;
}

static void use_vfio(void)
{
	vm_backend = IOMMUFD_BACKEND_VFIO;
}

static const struct {
	const char *name, *node;
	void (*use)(void);
} backends[] = {
	{ "iommufd", "/dev/iommu", use_iommufd },
	{ "vfio", "/dev/vfio/vfio", use_vfio },
};

static const struct {
	const char *name;
	void (*add)(TCase *tc);
} files[] = {
	{ "ctx", add_ctx_tests },     { "ioas", add_ioas_tests },       { "contract", add_contract_tests },
	{ "dma", add_dma_tests },     { "device", add_device_tests },   { "region", add_region_tests },
	{ "irq", add_irq_tests },     { "refusal", add_refusal_tests }, { "permission", add_permission_tests },
	{ "fork", add_fork_tests },   { "replace", add_replace_tests }, { "batch", add_batch_tests },
	{ "adopt", add_adopt_tests },
};

static TCase *add_case(Suite *suite, const char *name, const char *where, void (*use)(void))
{
	static char names[64][64];
	static size_t used;
	TCase *tc;

	snprintf(names[used], sizeof(names[0]), "%s on %s", name, where);
	tc = tcase_create(names[used++]);
	tcase_set_timeout(tc, 60);
	if (use)
		tcase_add_checked_fixture(tc, use, NULL);
	tcase_add_checked_fixture(tc, watch_kernel, check_kernel);
	suite_add_tcase(suite, tc);
	return tc;
}

/* The tests of each backend that is here; without an IOMMU, those for that. */
static void add_backends(Suite *suite, bool iommu)
{
	for (size_t b = 0; b < sizeof(backends) / sizeof(backends[0]); b++) {
		bool there = !access(backends[b].node, F_OK);

		printf("# backend %s: %s\n", backends[b].name, there ? "is here" : "is not on this machine");
		backends[b].use(); /* some tests are for one backend */
		for (size_t f = 0; there && iommu && f < sizeof(files) / sizeof(files[0]); f++)
			files[f].add(add_case(suite, files[f].name, backends[b].name, backends[b].use));
		if (there && !iommu)
			add_noiommu_tests(add_case(suite, "noiommu", backends[b].name, backends[b].use));
	}
}

/*
 * What is found decides which tests run, so a part that went missing would take its tests along unseen. Hence the
 * machine's file says what it must have.
 */
static void check_machine(bool iommu)
{
	const char *has = getenv("TEST_HAS");
	char found[64];

	snprintf(found, sizeof(found), "%s%s%s", access("/dev/iommu", F_OK) ? "" : "iommufd ",
		 access("/dev/vfio/vfio", F_OK) ? "" : "vfio ", iommu ? "iommu " : "");
	found[strlen(found) ? strlen(found) - 1 : 0] = '\0';
	if (!has || !strcmp(has, found))
		return;
	printf("Bail out! The machine has \"%s\", not \"%s\"\n", found, has);
	exit(EXIT_FAILURE);
}

int main(void)
{
	Suite *suite = suite_create("vm");
	bool noiommu = vm_noiommu(EDU);
	bool iommu = !noiommu && vm_group(EDU) >= 0;
	SRunner *runner;
	int failed;

	printf("# IOMMU: %s\n", iommu ? "is here" : "is not on this machine");
	check_machine(iommu);
	if (iommu) {
		add_backends(suite, true);
		add_iommu_tests(add_case(suite, "IOMMU", "this machine", NULL));
	} else if (noiommu) {
		add_backends(suite, false);
	} else {
		add_no_iommu_tests(add_case(suite, "no IOMMU", "this machine", NULL));
	}
	if (access("/dev/iommu", F_OK))
		add_no_iommufd_tests(add_case(suite, "no iommufd", "this machine", NULL));
	add_probe_tests(add_case(suite, "probe", "this machine", NULL));
	fflush(stdout);

	runner = srunner_create(suite);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
