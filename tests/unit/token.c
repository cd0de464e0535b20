/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Tokens, held against what the kernel does with them: who needs one, who must not give one, and what is left alone. */
#include <errno.h>

#include "functions.h"
#include "scene.h"
#include "uapi/vfio.h"

static const unsigned char right[16] = {
	0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe,
};
static const unsigned char wrong[16] = { 0xff };
static const char right_text[] = "01234567-89ab-cdef-1032-547698badcfe";
static const char wrong_text[] = "ff000000-0000-0000-0000-000000000000";

/* ---- The kernel ---- */

static struct {
	bool knows;     /* tokens at a device's own node */
	bool is_vf;     /* what is opened; its physical function has vfio-pci */
	bool in_use;    /* the virtual function */
	bool contained; /* the group */
	const unsigned char *token;
	unsigned int sets; /* how often a token was set by an open */
	unsigned int opened;
} kernel;

static int match(const unsigned char *token)
{
	if (kernel.is_vf || kernel.in_use)
		return token && !memcmp(token, kernel.token, 16) ? 0 : -EACCES;
	kernel.sets += token != NULL;
	return 0;
}

static int bind_device(int fd, void *arg)
{
	struct vfio_device_bind_iommufd *cmd = arg;
	bool given = cmd->flags & VFIO_DEVICE_BIND_FLAG_TOKEN;
	int ret;

	if (!kernel.knows && cmd->flags)
		return -EINVAL;
	ret = kernel.knows ? match(given ? (const unsigned char *)(uintptr_t)cmd->token_uuid_ptr : NULL) : 0;
	if (ret)
		return ret;
	if (cmd->iommufd == fd) /* which is none */
		return -EBADFD;
	kernel.opened++;
	cmd->out_devid = 1234;
	return 0;
}

static int group_status(int fd, void *arg)
{
	(void)fd;
	((struct vfio_group_status *)arg)->flags =
		VFIO_GROUP_FLAGS_VIABLE | (kernel.contained ? VFIO_GROUP_FLAGS_CONTAINER_SET : 0);
	return 0;
}

static int set_container(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	kernel.contained = true;
	scene_foreign_group(true);
	return 0;
}

static int unset_container(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	kernel.contained = false;
	scene_foreign_group(false);
	return 0;
}

static int get_device(int fd, void *arg)
{
	const char *name = arg, *text = strstr(name, " vf_token=");
	int ret;

	(void)fd;
	ck_assert(!strncmp(name, kernel.is_vf ? FUNCTIONS_VF : FUNCTIONS_PF, strlen(FUNCTIONS_PF)));
	if (text)
		text += strlen(" vf_token=");
	ck_assert(!text || !strcmp(text, right_text) || !strcmp(text, wrong_text));
	ret = match(!text ? NULL : !strcmp(text, right_text) ? right : wrong);
	if (ret)
		return ret;
	if (!kernel.contained)
		return -EINVAL;
	kernel.opened++;
	return inject_fd();
}

/* ---- The scene ---- */

static struct scene scene;

static void open_scene(uint32_t backend, bool vf)
{
	scene_open(&scene, backend);
	functions_open(true);
	memset(&kernel, 0, sizeof(kernel));
	kernel.knows = true;
	kernel.is_vf = vf;
	kernel.token = right;
	inject_ioctl(VFIO_DEVICE_BIND_IOMMUFD, bind_device);
	inject_ioctl(VFIO_GROUP_GET_STATUS, group_status);
	inject_ioctl(VFIO_GROUP_SET_CONTAINER, set_container);
	inject_ioctl(VFIO_GROUP_UNSET_CONTAINER, unset_container);
	inject_ioctl(VFIO_GROUP_GET_DEVICE_FD, get_device);
}

static void close_scene(void)
{
	functions_close();
	scene_close(&scene);
}

static struct iommufd_device *const untouched = (void *)1;

static int try(const unsigned char *token)
{
	struct iommufd_device_opts opts = { .struct_size = sizeof(opts), .vf_token = token };
	unsigned int sets = kernel.sets, opened = kernel.opened;
	struct iommufd_device *dev = untouched;
	int ret = iommufd_device_new_opts(scene.ctx, kernel.is_vf ? FUNCTIONS_VF : FUNCTIONS_PF, &opts, &dev);

	ck_assert_uint_eq(kernel.sets, sets);
	if (ret) {
		ck_assert_uint_eq(kernel.opened, opened);
		ck_assert_ptr_eq(dev, untouched);
		return ret;
	}
	ret = iommufd_device_attach(dev, scene.ioas);
	ck_assert_uint_eq(kernel.opened, opened + !ret);
	iommufd_device_free(dev);
	return ret;
}

static const uint32_t backends[] = { IOMMUFD_BACKEND_IOMMUFD, IOMMUFD_BACKEND_VFIO };

START_TEST(a_virtual_function_is_opened_with_the_right_token_only)
{
	open_scene(backends[_i], true);
	unit_fails(-EACCES, try(NULL));
	unit_words_have("open " FUNCTIONS_VF);
	unit_words_have("virtual function of " FUNCTIONS_PF);
	unit_words_have("give the token of " FUNCTIONS_PF);
	unit_fails(-EACCES, try(wrong));
	unit_words_have("not the one that who has that one open has set");
	ck_assert_int_eq(try(right), 0);
	close_scene();
}
END_TEST

START_TEST(a_kernel_that_asks_for_no_token_at_a_node_gets_none)
{
	open_scene(IOMMUFD_BACKEND_IOMMUFD, true);
	kernel.knows = false;
	unit_fails(-ENOTTY, try(right));
	unit_words_have("Linux 6.17");
	ck_assert_int_eq(try(NULL), 0);
	close_scene();
}
END_TEST

START_TEST(without_vfio_at_the_physical_function_the_kernel_is_not_asked)
{
	unsigned int before;

	open_scene(backends[_i], true);
	functions_bind_pf("nvme");
	before = inject_count(INJECT_IOCTL);
	unit_fails(-EINVAL, try(right));
	unit_words_have(FUNCTIONS_PF " is bound to nvme");
	functions_bind_pf(NULL);
	unit_fails(-EINVAL, try(right));
	unit_words_have("is bound to no driver");
	ck_assert_uint_eq(inject_count(INJECT_IOCTL), before);
	close_scene();
}
END_TEST

START_TEST(a_physical_function_gets_no_token_by_accident)
{
	unsigned int before;

	open_scene(backends[_i], false);
	unit_fails(-EINVAL, try(wrong));
	unit_words_have("none of its virtual functions is in use");
	unit_words_have("iommufd_pci_set_vf_token()");
	ck_assert_int_eq(try(NULL), 0);

	functions_write("virtfn0", NULL);
	before = inject_count(INJECT_IOCTL);
	unit_fails(-EINVAL, try(wrong));
	unit_words_have("it has no virtual functions now");
	functions_write("sriov_totalvfs", NULL);
	unit_fails(-EINVAL, try(wrong));
	unit_words_have("it is no virtual function: leave vf_token at NULL");
	ck_assert_uint_eq(inject_count(INJECT_IOCTL), before);
	close_scene();
}
END_TEST

START_TEST(a_physical_function_whose_virtual_one_is_in_use_needs_its_token)
{
	open_scene(backends[_i], false);
	kernel.in_use = true;
	unit_fails(-EACCES, try(NULL));
	unit_words_have("virtual functions of it are in use: give the token of these");
	unit_fails(-EACCES, try(wrong));
	unit_words_have("not the one that they have");
	ck_assert_int_eq(try(right), 0);
	close_scene();
}
END_TEST

START_TEST(where_the_kernel_cannot_be_asked_a_physical_function_gets_no_token)
{
	open_scene(IOMMUFD_BACKEND_VFIO, false);
	kernel.contained = true;
	unit_fails(-EBUSY, try(wrong));
	unit_words_have("with a token");
	kernel.contained = false;
	inject_ioctl_fail(VFIO_GROUP_GET_DEVICE_FD, 1, 1, -ENODEV);
	unit_fails(-ENODEV, try(wrong));
	close_scene();
}
END_TEST

/* It may have been right when the device was opened. */
START_TEST(a_group_that_wants_another_token_at_the_attach_says_so)
{
	unsigned char mine[16];
	struct iommufd_device_opts opts = { .struct_size = sizeof(opts), .vf_token = mine };
	struct iommufd_device *dev;

	open_scene(IOMMUFD_BACKEND_VFIO, true);
	memcpy(mine, right, sizeof(mine));
	ck_assert_int_eq(iommufd_device_new_opts(scene.ctx, FUNCTIONS_VF, &opts, &dev), 0);
	memset(mine, 0, sizeof(mine)); /* the library has a copy */
	kernel.token = wrong;
	unit_fails(-EACCES, iommufd_device_attach(dev, scene.ioas));
	unit_words_have("not the one that who has that one open has set");
	kernel.token = right;
	ck_assert_int_eq(iommufd_device_attach(dev, scene.ioas), 0);
	iommufd_device_free(dev);
	close_scene();
}
END_TEST

START_TEST(a_link_that_leads_to_nothing_is_no_reason_to_open)
{
	char far[64];

	open_scene(IOMMUFD_BACKEND_IOMMUFD, true);
	functions_link("physfn", "../0000:07:00.0");
	unit_fails(-ENOENT, try(right));
	unit_words_have("physical and virtual functions");
	memset(far, 'x', sizeof(far));
	far[sizeof(far) - 1] = '\0';
	functions_link("physfn", far);
	unit_fails(-EPROTO, try(NULL));
	ck_assert_uint_eq(kernel.opened, 0);
	close_scene();
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, a_virtual_function_is_opened_with_the_right_token_only, 0, 2);
	tcase_add_test(tcase, a_kernel_that_asks_for_no_token_at_a_node_gets_none);
	tcase_add_loop_test(tcase, without_vfio_at_the_physical_function_the_kernel_is_not_asked, 0, 2);
	tcase_add_loop_test(tcase, a_physical_function_gets_no_token_by_accident, 0, 2);
	tcase_add_loop_test(tcase, a_physical_function_whose_virtual_one_is_in_use_needs_its_token, 0, 2);
	tcase_add_test(tcase, where_the_kernel_cannot_be_asked_a_physical_function_gets_no_token);
	tcase_add_test(tcase, a_group_that_wants_another_token_at_the_attach_says_so);
	tcase_add_test(tcase, a_link_that_leads_to_nothing_is_no_reason_to_open);
}
