/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Virtual functions, and the token that they are opened with. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sriov.h"

const unsigned char vf_token[16] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
				     0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe };
const unsigned char other_token[16] = { 0xff };

void vfs_none(const char *pf)
{
	ok(iommufd_pci_set_num_vfs(pf, 0));
}

int vf_open_with(struct bed *bed, const char *address, const unsigned char *with)
{
	struct iommufd_device_opts opts = { .struct_size = sizeof(opts), .vf_token = with };

	return iommufd_device_new_opts(bed->ctx, address, &opts, &bed->dev);
}

/* A physical function whose token is `token`, attached, with so many virtual ones. */
static void open_pf(struct bed *bed, const char *address, uint32_t vfs)
{
	vfs_none(address);
	bed_attach(bed, address);
	ok(iommufd_pci_set_vf_token(bed->dev, vf_token));
	ok(iommufd_pci_set_num_vfs(address, vfs));
}

static void close_pf(struct bed *bed, const char *address)
{
	vfs_none(address);
	bed_close(bed);
}

const char *vf_of(const char *pf, uint32_t index)
{
	static char name[IOMMUFD_PCI_NAME_SIZE];

	ok(iommufd_pci_get_vf(pf, index, name, sizeof(name)));
	return name;
}

static struct iommufd_sriov_info info_of(const char *address)
{
	struct iommufd_sriov_info info = { .struct_size = sizeof(info) };

	ok(iommufd_pci_sriov_get_info(address, &info));
	return info;
}

static void set_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
}

/* ---- Numbers and names ---- */

START_TEST(virtual_functions_are_made_found_and_taken_away)
{
	char name[IOMMUFD_PCI_NAME_SIZE] = "untouched", node[128];
	struct iommufd_sriov_info info;
	struct bed bed;

	vfs_none(CARD);
	info = info_of(CARD);
	ck_assert_uint_eq(info.flags, IOMMUFD_SRIOV_PF);
	ck_assert_uint_eq(info.max_vfs, CARD_VFS);
	ck_assert_uint_eq(info.num_vfs, 0);
	ck_assert_str_eq(info.pf, "");
	fails(iommufd_pci_get_vf(CARD, 0, name, sizeof(name)), -ENOENT, "how many it has");
	ck_assert_str_eq(name, "untouched");

	bed_attach(&bed, CARD);
	ok(iommufd_pci_set_num_vfs(CARD, 3));
	ok(iommufd_pci_set_num_vfs(CARD, 3));
	ck_assert_uint_eq(info_of(CARD).num_vfs, 3);
	for (uint32_t i = 0; i < 3; i++) {
		info = info_of(vf_of(CARD, i));
		ck_assert_uint_eq(info.flags, IOMMUFD_SRIOV_VF | IOMMUFD_SRIOV_TOKEN);
		ck_assert_str_eq(info.pf, CARD);
		ck_assert_uint_eq(info.index, i);
		ck_assert_uint_eq(info.max_vfs, 0);
		if (vm_path->by_node)
			vm_cdev(vf_of(CARD, i), node, sizeof(node));
		else
			snprintf(node, sizeof(node), "/dev/vfio/%d", vm_group(vf_of(CARD, i)));
		ck_assert_int_eq(access(node, R_OK | W_OK), 0);
	}
	fails(iommufd_pci_get_vf(CARD, 3, name, sizeof(name)), -ENOENT, "virtual function 3 of " CARD);
	fails(iommufd_pci_get_vf(CARD, 0, name, 4), -ERANGE, "IOMMUFD_PCI_NAME_SIZE");
	ck_assert_str_eq(name, "untouched");

	ok(iommufd_pci_set_num_vfs(CARD, 0));
	ck_assert_uint_eq(info_of(CARD).num_vfs, 0);
	ck_assert_uint_eq(info_of(EDU).flags, 0);
	bed_close(&bed);
}
END_TEST

START_TEST(a_number_of_virtual_functions_that_cannot_be_is_refused)
{
	char vf[IOMMUFD_PCI_NAME_SIZE];

	vfs_none(CARD);
	fails(iommufd_pci_set_num_vfs(CARD, CARD_VFS + 1), -ERANGE, "it can have 8");
	fails(iommufd_pci_set_num_vfs(CARD, UINT32_MAX), -ERANGE, "it can have 8");
	fails(iommufd_pci_set_num_vfs(EDU, 1), -EOPNOTSUPP, "it has no SR-IOV");
	fails(iommufd_pci_set_num_vfs(EDU, 0), -EOPNOTSUPP, "it has no SR-IOV");
	fails(iommufd_pci_set_num_vfs("0000:00:1e.5", 1), -ENOENT, "0000:00:1e.5");
	fails(iommufd_pci_set_num_vfs("nonsense", 1), -EINVAL, "PCI address");
	ck_assert_uint_eq(info_of(CARD).num_vfs, 0);

	ok(iommufd_pci_set_num_vfs(CARD, 1));
	fails(iommufd_pci_set_num_vfs(CARD, 2), -EBUSY, "it has 1: set it to 0 first");
	snprintf(vf, sizeof(vf), "%s", vf_of(CARD, 0));
	fails(iommufd_pci_set_num_vfs(vf, 1), -EOPNOTSUPP, "being a virtual function of " CARD);
	ck_assert_uint_eq(info_of(CARD).num_vfs, 1);
	vfs_none(CARD);
}
END_TEST

START_TEST(a_driver_that_makes_no_virtual_functions_is_named)
{
	vfs_none(CARD);
	set_file("/sys/module/vfio_pci/parameters/enable_sriov", "0");
	fails(iommufd_pci_set_num_vfs(CARD, 1), -EOPNOTSUPP, "enable_sriov is off");
	set_file("/sys/module/vfio_pci/parameters/enable_sriov", "1");
	vm_bind(CARD, NULL);
	fails(iommufd_pci_set_num_vfs(CARD, 1), -ENODEV, "no driver");
	vm_bind(CARD, "vfio-pci");
	ok(iommufd_pci_set_num_vfs(CARD, 1));
	vfs_none(CARD);
}
END_TEST

/* A process that holds a virtual function until it is told to end; or gives it back when the kernel asks for it. */
static pid_t hold(const char *address, bool gives_back, int *leash)
{
	int ends[2], ready[2], efd = eventfd(0, EFD_CLOEXEC);
	uint64_t count;
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		struct bed bed;

		close(ends[1]);
		bed_open(&bed);
		ok(vf_open_with(&bed, address, vf_token));
		ok(iommufd_device_attach(bed.dev, bed.ioas));
		ok(iommufd_device_irq_enable(bed.dev, IOMMUFD_PCI_REQ, 0, 1, &efd));
		ck_assert_int_eq(write(ready[1], "x", 1), 1);
		if (gives_back) {
			ck_assert_int_eq(read(efd, &count, sizeof(count)), sizeof(count));
			bed_close(&bed);
		}
		_exit((int)read(ends[0], &byte, 1));
	}
	close(efd);
	close(ends[0]);
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*leash = ends[1];
	return pid;
}

static void let_go(pid_t pid, int leash)
{
	close(leash);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(virtual_functions_in_use_are_not_taken_away)
{
	struct bed pf, vf;
	char words[64];
	pid_t pid;
	int leash;

	open_pf(&pf, CARD, 2);
	bed_open(&vf);
	ok(vf_open_with(&vf, vf_of(CARD, 1), vf_token));
	ok(iommufd_device_attach(vf.dev, vf.ioas));
	fails(iommufd_pci_set_num_vfs(CARD, 0), -EBUSY, "this process");
	bed_close(&vf);

	pid = hold(vf_of(CARD, 1), false, &leash);
	snprintf(words, sizeof(words), "process %d", pid);
	fails(iommufd_pci_set_num_vfs(CARD, 0), -EBUSY, words);
	fails(iommufd_pci_set_num_vfs(CARD, 0), -EBUSY, vf_of(CARD, 1));
	ck_assert_uint_eq(info_of(CARD).num_vfs, 2);
	let_go(pid, leash);
	close_pf(&pf, CARD);
}
END_TEST

/* The driver would take its virtual functions away first, one after the other. */
START_TEST(a_physical_function_whose_virtual_ones_are_in_use_stays_with_its_driver)
{
	struct iommufd_driver_state was = { .struct_size = sizeof(was) };
	char words[64];
	struct bed pf;
	pid_t pid;
	int leash;

	open_pf(&pf, CARD, 2);
	bed_close(&pf);
	pid = hold(vf_of(CARD, 1), true, &leash);
	snprintf(words, sizeof(words), "process %d", pid);
	fails(iommufd_driver_restore(CARD, NULL, 0), -EBUSY, words);
	fails(iommufd_driver_restore(CARD, NULL, 0), -EBUSY, vf_of(CARD, 1));
	ck_assert_uint_eq(info_of(CARD).num_vfs, 2);
	ck_assert_str_eq(vm_driver(CARD), "vfio-pci");
	/* By force it is taken away from who has it, and that is asked first. */
	ok(iommufd_driver_restore(CARD, NULL, IOMMUFD_DRIVER_FORCE));
	ck_assert_str_eq(vm_driver(CARD), "");
	ck_assert_uint_eq(info_of(CARD).num_vfs, 0);
	let_go(pid, leash);
	ok(iommufd_driver_bind(CARD, NULL, 0, &was));
}
END_TEST

/*
 * Who has the last one open is waited for when no link to any is left: until then they are not said to be gone, and a
 * second call does not wait without an end.
 */
START_TEST(virtual_functions_that_are_on_their_way_are_neither_there_nor_gone)
{
	char path[] = "/sys/bus/pci/devices/" CARD "/sriov_numvfs", byte = 0;
	struct bed pf;
	pid_t user, kernel;
	int leash;

	open_pf(&pf, CARD, 1);
	user = hold(vf_of(CARD, 0), false, &leash);
	kernel = fork();
	if (!kernel) { /* as somebody does it who asks nobody */
		int fd = open(path, O_WRONLY | O_CLOEXEC);

		close(leash); /* or the user never ends */
		_exit(write(fd, "0", 1) != 1);
	}
	while (!iommufd_pci_get_vf(CARD, 0, &byte, 0) || iommufd_pci_get_vf(CARD, 0, &byte, 0) == -ERANGE)
		usleep(10000);
	fails(iommufd_pci_set_num_vfs(CARD, 0), -ETIMEDOUT, "try again then");
	fails(iommufd_pci_set_num_vfs(CARD, 2), -ETIMEDOUT, "try again then");
	let_go(user, leash);
	ck_assert_int_eq(waitpid(kernel, NULL, 0), kernel);
	ok(iommufd_pci_set_num_vfs(CARD, 0));
	close_pf(&pf, CARD);
}
END_TEST

/* ---- The token ---- */

START_TEST(a_virtual_function_is_opened_with_the_right_token_only)
{
	struct bed pf, vf;

	open_pf(&pf, CARD, 1);
	bed_open(&vf);
	fails(iommufd_device_new(vf.ctx, vf_of(CARD, 0), &vf.dev), -EACCES, "virtual function of " CARD);
	fails(vf_open_with(&vf, vf_of(CARD, 0), NULL), -EACCES, "give the token of " CARD);
	fails(vf_open_with(&vf, vf_of(CARD, 0), other_token), -EACCES,
	      "not the one that who has that one open has set");
	ck_assert_ptr_null(vf.dev);
	ok(vf_open_with(&vf, vf_of(CARD, 0), vf_token));
	ok(iommufd_device_attach(vf.dev, vf.ioas));
	ok(iommufd_device_detach(vf.dev));
	ok(iommufd_device_attach(vf.dev, vf.ioas));
	bed_close(&vf);
	close_pf(&pf, CARD);
}
END_TEST

START_TEST(a_node_that_is_handed_over_needs_the_token_too)
{
	struct iommufd_device_opts opts = { .struct_size = sizeof(opts) };
	struct bed pf, vf;
	char node[128];
	int fd;

	open_pf(&pf, CARD, 1);
	bed_open(&vf);
	vm_cdev(vf_of(CARD, 0), node, sizeof(node));
	fd = open(node, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	if (vm_backend == IOMMUFD_BACKEND_IOMMUFD) {
		fails(iommufd_device_from_fd(vf.ctx, fd, &vf.dev), -EACCES, "give the token of " CARD);
		opts.vf_token = other_token;
		fails(iommufd_device_from_fd_opts(vf.ctx, fd, &opts, &vf.dev), -EACCES, "the token is not the one");
		opts.vf_token = vf_token;
		ok(iommufd_device_from_fd_opts(vf.ctx, fd, &opts, &vf.dev));
		ok(iommufd_device_attach(vf.dev, vf.ioas));
	} else {
		opts.vf_token = vf_token;
		lacks(iommufd_device_from_fd_opts(vf.ctx, fd, &opts, &vf.dev), -EOPNOTSUPP,
		      "the backend vfio has no device nodes");
	}
	close(fd);
	bed_close(&vf);
	close_pf(&pf, CARD);
}
END_TEST

/* Whether the virtual function is opened with a token. */
static bool opens_with(const char *vf, const unsigned char *with)
{
	struct bed bed;
	int ret;

	bed_open(&bed);
	ret = vf_open_with(&bed, vf, with);
	if (!ret)
		ok(iommufd_device_attach(bed.dev, bed.ioas));
	else
		ck_assert_int_eq(ret, -EACCES);
	bed_close(&bed);
	return !ret;
}

START_TEST(a_token_that_nobody_asks_for_is_refused_and_sets_none)
{
	struct bed pf, bed;

	bed_open(&bed);
	fails(vf_open_with(&bed, EDU, vf_token), -EINVAL, "it is no virtual function: leave vf_token at NULL");
	fails(vf_open_with(&bed, NVME, vf_token), -EINVAL, "it is no virtual function");
	open_pf(&pf, CARD, 0);
	iommufd_device_free(pf.dev);
	pf.dev = NULL;
	fails(vf_open_with(&bed, CARD, other_token), -EINVAL, "iommufd_pci_set_vf_token()");
	ok(iommufd_pci_set_num_vfs(CARD, 1));
	/* The kernel would set this one, and say that all is well. */
	fails(vf_open_with(&bed, CARD, other_token), -EINVAL, "none of its virtual functions is in use");
	ck_assert_ptr_null(bed.dev);
	ck_assert(!opens_with(vf_of(CARD, 0), other_token));
	ck_assert(opens_with(vf_of(CARD, 0), vf_token));
	ok(vf_open_with(&bed, CARD, NULL));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	bed_close(&bed);
	close_pf(&pf, CARD);
}
END_TEST

START_TEST(a_physical_function_whose_virtual_ones_are_in_use_is_opened_with_their_token_only)
{
	struct bed pf, vf, bed;

	open_pf(&pf, CARD, 1);
	bed_open(&vf);
	ok(vf_open_with(&vf, vf_of(CARD, 0), vf_token));
	ok(iommufd_device_attach(vf.dev, vf.ioas));
	iommufd_device_free(pf.dev);
	pf.dev = NULL;

	bed_open(&bed);
	fails(vf_open_with(&bed, CARD, NULL), -EACCES, "virtual functions of it are in use: give the token");
	fails(vf_open_with(&bed, CARD, other_token), -EACCES, "not the one that they have");
	ok(vf_open_with(&bed, CARD, vf_token));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	bed_close(&vf);
	bed_close(&bed);
	ck_assert(opens_with(vf_of(CARD, 0), vf_token));
	close_pf(&pf, CARD);
}
END_TEST

START_TEST(who_has_the_physical_function_sets_the_token_anew)
{
	struct bed pf, vf;
	int ret;

	open_pf(&pf, CARD, 1);
	ok(iommufd_pci_set_vf_token(pf.dev, other_token));
	ck_assert(!opens_with(vf_of(CARD, 0), vf_token));
	ck_assert(opens_with(vf_of(CARD, 0), other_token));

	/* Between the open and the attach it counts where the group hands out the device. */
	bed_open(&vf);
	ok(vf_open_with(&vf, vf_of(CARD, 0), other_token));
	ok(iommufd_pci_set_vf_token(pf.dev, vf_token));
	ret = iommufd_device_attach(vf.dev, vf.ioas);
	if (vm_path->by_node)
		ok(ret);
	else
		fails(ret, -EACCES, "not the one that who has that one open has set");
	bed_close(&vf);
	close_pf(&pf, CARD);
}
END_TEST

/* A physical function that a driver of the kernel has: its virtual ones have no token. */
START_TEST(without_vfio_at_the_physical_function_there_is_no_token)
{
	char vf[IOMMUFD_PCI_NAME_SIZE];
	struct bed bed;

	vfs_none(DRIVE);
	vm_bind(DRIVE, "nvme");
	set_file("/sys/bus/pci/devices/" DRIVE "/sriov_drivers_autoprobe", "0");
	ok(iommufd_pci_set_num_vfs(DRIVE, 1));
	snprintf(vf, sizeof(vf), "%s", vf_of(DRIVE, 0));
	ck_assert_uint_eq(info_of(vf).flags, IOMMUFD_SRIOV_VF);
	vm_bind(vf, "vfio-pci");
	bed_open(&bed);
	fails(vf_open_with(&bed, vf, vf_token), -EINVAL, DRIVE " is bound to nvme");
	vm_finds(vf, "token", 0, DRIVE " is bound to nvme");
	ok(vf_open_with(&bed, vf, NULL));
	ok(iommufd_device_attach(bed.dev, bed.ioas));
	bed_close(&bed);
	vfs_none(DRIVE);
	set_file("/sys/bus/pci/devices/" DRIVE "/sriov_drivers_autoprobe", "1");
	vm_bind(DRIVE, "vfio-pci");
}
END_TEST

START_TEST(a_diagnosis_tells_of_the_token)
{
	vfs_none(CARD);
	ok(iommufd_pci_set_num_vfs(CARD, 1));
	vm_finds(vf_of(CARD, 0), "token", -EACCES, CARD " is bound to vfio-pci");
	vfs_none(CARD);
}
END_TEST

/* VTCTRL and STATUS of an Intel 82576 virtual function, whose link is that of the card. */
START_TEST(a_cards_virtual_function_has_registers_of_its_own)
{
	struct iommufd_region_info info = { .struct_size = sizeof(info) };
	uint32_t status = 0;
	uint16_t id = 0;
	struct bed pf, vf;

	open_pf(&pf, CARD, CARD_VFS);
	bed_open(&vf);
	ok(vf_open_with(&vf, vf_of(CARD, CARD_VFS - 1), vf_token));
	ok(iommufd_device_attach(vf.dev, vf.ioas));
	ok(iommufd_pci_config_read(vf.dev, 2, &id, sizeof(id)));
	ck_assert_uint_eq(id, 0x10ca);
	ok(iommufd_device_region_info(vf.dev, IOMMUFD_PCI_BAR0, &info));
	ck_assert_uint_ge(info.size, PAGE);
	ok(iommufd_device_region_read(vf.dev, IOMMUFD_PCI_BAR0, 8, &status, sizeof(status)));
	ck_assert_uint_ne(status, UINT32_MAX);
	ck_assert_uint_ne(status, 0);
	bed_close(&vf);
	close_pf(&pf, CARD);
}
END_TEST

void add_sriov_tests(TCase *tc)
{
	tcase_add_test(tc, virtual_functions_are_made_found_and_taken_away);
	tcase_add_test(tc, a_number_of_virtual_functions_that_cannot_be_is_refused);
	tcase_add_test(tc, a_driver_that_makes_no_virtual_functions_is_named);
	tcase_add_test(tc, virtual_functions_in_use_are_not_taken_away);
	tcase_add_test(tc, a_physical_function_whose_virtual_ones_are_in_use_stays_with_its_driver);
	tcase_add_test(tc, virtual_functions_that_are_on_their_way_are_neither_there_nor_gone);
	tcase_add_test(tc, a_virtual_function_is_opened_with_the_right_token_only);
	tcase_add_test(tc, a_node_that_is_handed_over_needs_the_token_too);
	tcase_add_test(tc, a_token_that_nobody_asks_for_is_refused_and_sets_none);
	tcase_add_test(tc, a_physical_function_whose_virtual_ones_are_in_use_is_opened_with_their_token_only);
	tcase_add_test(tc, who_has_the_physical_function_sets_the_token_anew);
	tcase_add_test(tc, without_vfio_at_the_physical_function_there_is_no_token);
	tcase_add_test(tc, a_diagnosis_tells_of_the_token);
	tcase_add_test(tc, a_cards_virtual_function_has_registers_of_its_own);
}
