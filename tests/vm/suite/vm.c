/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The program that runs in the guest: finds out which backends there are, and runs every test on each. */
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "door.h"
#include "mock.h"

/* ---- The kernel's log, test by test ---- */

#define TROUBLE                                                                                          \
	"WARNING:|BUG:|Oops|refcount_t|list_(add|del) corruption|DMAR:.*fault|UBSAN|general protection|" \
	"arm-smmu-v3 .*(event: |CMDQ error|timeout|overflow)"

static int kmsg = -1;
static regex_t trouble, expected;
static bool expects;

static void watch_kernel(void)
{
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(kmsg, 0);
	lseek(kmsg, 0, SEEK_END);
	expects = false;
	door_forget();
}

/* For tests/uapi-table: the numbers of what the kernel did for the library in this test. */
static void tell_made(void)
{
	uint32_t done = door_done();

	if (!done)
		return;
	printf("# made: %s:", tcase_name());
	for (unsigned int bit = 0; bit < 32; bit++)
		if (done >> bit & 1)
			printf(" 0x%x", 0x80 + bit);
	printf("\n");
	fflush(stdout);
}

void vm_expect_kernel(const char *regex)
{
	ck_assert_int_eq(regcomp(&expected, regex, REG_EXTENDED | REG_NOSUB), 0);
	expects = true;
	printf("# expect-kernel: %s\n", regex);
	fflush(stdout);
}

/*
 * As the drivers of Intel's, of virtio's and of Arm's IOMMU say it; the first tells of the fault's register in a line
 * of its own.
 */
void vm_expect_fault(const char *address, uint64_t iova)
{
	char regex[384];

	snprintf(regex, sizeof(regex),
		 "DMAR: DRHD: handling fault status reg|DMAR: \\[DMA .*device \\[(0000:)?%s\\] fault addr "
		 "0x%lx...[^0-9a-f]|"
		 "page fault from EP [0-9]+ at 0x%lx...[^0-9a-f]|"
		 "event: F_(TRANSLATION|PERMISSION) client: %s .* iova: 0x%lx...[^0-9a-f]",
		 strchr(address, ':') + 1, (unsigned long)(iova / PAGE), (unsigned long)(iova / PAGE), address,
		 (unsigned long)(iova / PAGE));
	vm_expect_kernel(regex);
}

static void check_kernel(void)
{
	char line[1024];
	ssize_t n;

	tell_made();
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

/* ---- ThreadSanitizer ---- */

/*
 * libudev has the key of its hash tables in a variable without a lock. Each table takes a copy, so that does no harm.
 * It also opens some descriptors, and closes others, where ThreadSanitizer does not see it; through door.c these calls
 * come from this program.
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "called_from_lib:libudev.so.1\nrace:^open64$\nrace:^fstat64$\n";
}

/* ---- Paths ---- */

struct file {
	const char *name;
	void (*add)(TCase *tc);
};

static const struct file files[] = {
	{ "ctx", add_ctx_tests },           { "ioas", add_ioas_tests },
	{ "contract", add_contract_tests }, { "dma", add_dma_tests },
	{ "pages", add_pages_tests },       { "pool", add_pool_tests },
	{ "device", add_device_tests },     { "region", add_region_tests },
	{ "window", add_window_tests },     { "irq", add_irq_tests },
	{ "pci", add_pci_tests },           { "driver", add_driver_tests },
	{ "mdev", add_mdev_tests },         { "vectors", add_vectors_tests },
	{ "refusal", add_refusal_tests },   { "permission", add_permission_tests },
	{ "fork", add_fork_tests },         { "replace", add_replace_tests },
	{ "batch", add_batch_tests },       { "batch-threads", add_batch_threads_tests },
	{ "adopt", add_adopt_tests },       { "words", add_words_tests },
	{ "diagnose", add_diagnose_tests }, { "handed", add_handed_tests },
	{ "bound", add_bound_tests },       { "inject", add_inject_tests },
	{ "threads", add_threads_tests },   { "threads-more", add_threads_more_tests },
	{ "stage", add_stage_tests },       { "hwpt", add_hwpt_tests },
	{ "file", add_file_tests },         { "copy", add_copy_tests },
	{ "allow", add_allow_tests },       { "place", add_place_tests },
	{ "process", add_process_tests },   { "coherent", add_coherent_tests },
	{ "dirty", add_dirty_tests },       { "reset", add_reset_tests },
	{ "peer", add_peer_tests },         { "peer-away", add_peer_away_tests },
	{ "dmabuf", add_dmabuf_tests },     { "uapi", add_uapi_tests },
	{ "smmuv3", add_smmuv3_tests },     { "nested", add_nested_tests },
};

/* For the machine `device`, which has what they need. */
static const struct file device_files[] = {
	{ "sriov", add_sriov_tests },     { "sriov-io", add_sriov_io_tests },
	{ "qemu", add_qemu_tests },       { "bars", add_bars_tests },
	{ "feature", add_feature_tests }, { "migration", add_migration_tests },
	{ "hotplug", add_hotplug_tests }, { "peer-device", add_peer_device_tests },
	{ "kvm", add_kvm_tests },         { "migration-life", add_migration_life_tests },
};

/* Of these for an older kernel what needs no more than the devices that every machine has. */
static const struct file lts_files[] = {
	{ "feature", add_feature_tests },
	{ "migration", add_migration_tests },
	{ "migration-life", add_migration_life_tests },
	{ "kvm", add_kvm_tests },
};

/* For the container that iommufd serves, which that machine has not. */
static const struct file compat_files[] = {
	{ "kvm", add_kvm_tests },
};

static const struct file noiommu_files[] = {
	{ "noiommu", add_noiommu_tests }, { "handed", add_handed_tests },     { "bound", add_bound_tests },
	{ "inject", add_inject_tests },   { "threads", add_threads_tests },   { "file", add_file_noiommu_tests },
	{ "uapi", add_uapi_tests },       { "coherent", add_coherent_tests }, { "dmabuf", add_dmabuf_noiommu_tests },
};

/* For older kernels, whose mock IOMMU knows less. */
static const struct file mock_lts_files[] = {
	{ "uapi", add_uapi_tests },
};

static const struct file mock_files[] = {
	{ "mock-bed", add_mock_bed_tests },     { "mock-fault", add_mock_fault_tests },
	{ "mock-hwpt", add_mock_hwpt_tests },   { "mock-ioas", add_mock_ioas_tests },
	{ "mock-fork", add_mock_fork_tests },   { "mock-order", add_mock_order_tests },
	{ "mock-queue", add_mock_queue_tests }, { "mock-viommu", add_mock_viommu_tests },
	{ "mock-dirty", add_mock_dirty_tests }, { "mock-dirty-fail", add_mock_dirty_fail_tests },
	{ "inject", add_inject_tests },         { "uapi", add_uapi_tests },
};

static TCase *add_case(Suite *suite, const char *name, const char *where, void (*use)(void))
{
	static char names[512][64];
	static size_t used;
	TCase *tc;

	snprintf(names[used], sizeof(names[0]), "%s on %s", name, where);
	tc = tcase_create(names[used++]);
	tcase_set_timeout(tc, 180); /* for what hangs: the slowest takes a sixth of it on an idle computer */
	tcase_set_tags(tc, name);
	if (use)
		tcase_add_checked_fixture(tc, use, NULL);
	tcase_add_checked_fixture(tc, watch_kernel, check_kernel);
	suite_add_tcase(suite, tc);
	return tc;
}

/* Whether the word is one of the list, which has a space on each side of each. */
static bool is_among(const char *list, const char *word)
{
	char one[96];

	snprintf(one, sizeof(one), " %s ", word);
	return strstr(list, one);
}

/*
 * $TEST_SHORT is such as "type1 intel/type1v2": paths, on all machines or on one, which are those of another machine
 * once more. There only this runs: how a device is reached, and the contract. What is asked for by tags runs.
 */
static const char short_files[] =
	" ctx contract device refusal permission replace batch adopt diagnose handed bound uapi ";

static bool is_short(const struct path *path)
{
	const char *machine = getenv("TEST_MACHINE"), *its = getenv("TEST_SHORT");
	char list[512], word[64];

	if (!machine || !its || getenv("CK_INCLUDE_TAGS"))
		return false;
	snprintf(list, sizeof(list), " %s ", its);
	snprintf(word, sizeof(word), "%s/%s", machine, path->name);
	return is_among(list, path->name) || is_among(list, word);
}

static void add_files(Suite *suite, const struct path *path, const struct file *list, size_t count)
{
	path->use(); /* some tests are for some paths */
	for (size_t f = 0; f < count; f++)
		if (list != files || !is_short(path) || is_among(short_files, list[f].name))
			list[f].add(add_case(suite, list[f].name, path->name, path->use));
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is(const char *variable, const char *value)
{
	const char *its = getenv(variable);

	return its && !strcmp(its, value);
}

/* What this machine shares with others runs there; here when it is asked for by tags. */
static bool only_device_files(void)
{
	return is("TEST_ONLY", "device") && !getenv("CK_INCLUDE_TAGS");
}

static void add_path(Suite *suite, const struct path *path)
{
	if (path->mock && path->there == mock_new)
		add_files(suite, path, mock_files, COUNT(mock_files));
	else if (path->mock)
		add_files(suite, path, mock_lts_files, COUNT(mock_lts_files));
	else if (path->noiommu)
		add_files(suite, path, noiommu_files, COUNT(noiommu_files));
	else if (!only_device_files())
		add_files(suite, path, files, COUNT(files));
	if (is("TEST_MACHINE", "device"))
		add_files(suite, path, device_files, COUNT(device_files));
	if (is("TEST_MACHINE", "lts") && !is_short(path))
		add_files(suite, path, lts_files, COUNT(lts_files));
	if (path->compat)
		add_files(suite, path, compat_files, COUNT(compat_files));
}

/*
 * $TEST_PATHS is such as "intel/type1v2 compat/compat": of a machine that it names, only these paths are tested. How
 * many of them it names, or with `path` whether that one.
 */
static unsigned int named(const char *path)
{
	const char *machine = getenv("TEST_MACHINE"), *paths = getenv("TEST_PATHS"), *at;
	char all[512], word[96];
	unsigned int count = 0;

	if (!machine || !paths)
		return 0;
	if (strlen(paths) + sizeof("  ") > sizeof(all)) {
		printf("Bail out! TEST_PATHS is longer than %zu bytes\n", sizeof(all) - sizeof("  "));
		exit(EXIT_FAILURE);
	}
	snprintf(all, sizeof(all), " %s ", paths);
	snprintf(word, sizeof(word), " %s/%s%s", machine, path ? path : "", path ? " " : "");
	for (at = strstr(all, word); at; at = strstr(at + 1, word))
		count++;
	return count;
}

static bool is_wanted(const struct path *path)
{
	return !named(NULL) || named(path->name);
}

/* Adds the tests of every path that is here, and lists them: "none" when there are none. */
static void add_paths(Suite *suite, char *found, size_t size)
{
	unsigned int wanted = 0;

	found[0] = '\0';
	for (size_t i = 0; vm_paths(i); i++) {
		const struct path *path = vm_paths(i);
		bool there = vm_has_path(path);

		printf("# path %s: %s\n", path->name,
		       !there             ? "is not on this machine"
		       : !is_wanted(path) ? "is left out"
		       : is_short(path)   ? "is here, in short"
					  : "is here");
		if (!there)
			continue;
		if (is_wanted(path)) {
			add_path(suite, path);
			wanted++;
		}
		snprintf(found + strlen(found), size - strlen(found), "%s%s", *found ? " " : "", path->name);
	}
	vm_path = NULL; /* the others go none */
	/* One that is misspelt would take its tests along unseen. */
	if (named(NULL) && wanted != named(NULL)) {
		printf("Bail out! TEST_PATHS names %u paths of this machine, which has %u of them\n", named(NULL),
		       wanted);
		exit(EXIT_FAILURE);
	}
	if (!*found)
		snprintf(found, size, "none");
}

/*
 * What is found decides which tests run, so a path that went missing would take its tests along unseen. Hence the
 * machine's file says what it must have.
 */
static void check_machine(const char *found)
{
	const char *has = getenv("TEST_HAS");

	if (!has || !strcmp(has, found))
		return;
	printf("Bail out! The machine has \"%s\", not \"%s\"\n", found, has);
	exit(EXIT_FAILURE);
}

static bool has_romfs(void)
{
	char text[4096];
	FILE *file = fopen("/proc/filesystems", "re");

	if (!file)
		return false;
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return strstr(text, "\tromfs\n");
}

/*
 * The same for what is not a path, and without which some tests are not there: KVM, the kernel's parent of mediated
 * devices, a file system for drives.
 */
static void check_gear(void)
{
	const char *gear = getenv("TEST_GEAR");
	char found[32];

	snprintf(found, sizeof(found), "%s%s%s", access("/dev/kvm", F_OK) ? "" : " kvm",
		 access("/sys/class/mdev_bus/mtty", F_OK) ? "" : " mtty", has_romfs() ? " romfs" : "");
	printf("# gear:%s\n", found);
	if (!gear || !strcmp(gear, *found ? found + 1 : ""))
		return;
	printf("Bail out! The machine has the gear \"%s\", not \"%s\"\n", *found ? found + 1 : "", gear);
	exit(EXIT_FAILURE);
}

char vm_twins[3][16];

static void read_twins(void)
{
	const char *twins = getenv("TEST_TWINS");

	if (!twins || sscanf(twins, "%15s %15s %15s", vm_twins[0], vm_twins[1], vm_twins[2]) == 3)
		return;
	printf("Bail out! TEST_TWINS is \"%s\", not three addresses\n", twins);
	exit(EXIT_FAILURE);
}

/* What has to do with the machine, and with no path. */
static void add_machine(Suite *suite, const char *found)
{
	if (!strcmp(found, "none"))
		add_no_iommu_tests(add_case(suite, "no IOMMU", "this machine", NULL));
	else
		add_monitor_tests(add_case(suite, "monitor", "this machine", NULL));
	if (strcmp(found, "none") && !vm_noiommu(EDU))
		add_iommu_tests(add_case(suite, "IOMMU", "this machine", NULL));
	if (access("/dev/iommu", F_OK))
		add_no_iommufd_tests(add_case(suite, "no iommufd", "this machine", NULL));
	if (is("TEST_MACHINE", "old"))
		add_multipath_tests(add_case(suite, "multipath", "this machine", NULL));
	add_probe_tests(add_case(suite, "probe", "this machine", NULL));
}

int main(void)
{
	Suite *suite = suite_create("vm");
	char found[256];
	SRunner *runner;
	int failed;

	read_twins();
	add_paths(suite, found, sizeof(found));
	check_machine(found);
	check_gear();
	if (!mock_here() && !only_device_files())
		add_machine(suite, found);
	fflush(stdout);

	runner = srunner_create(suite);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
