/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Diagnoses: their handles, and that they hold also where a file or memory cannot be had. */
#include <errno.h>

#include "scene.h"

static struct iommufd_diagnosis *const untouched = (void *)1;

START_TEST(a_finding_fills_what_the_caller_knows)
{
	struct iommufd_finding info = { .struct_size = sizeof(info), .subject = "untouched" };
	struct iommufd_diagnosis *diagnosis;
	struct scene scene;
	uint32_t count = 0;

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(iommufd_diagnose(SCENE_DEVICE, &diagnosis), 0);
	info.struct_size--;
	unit_fails(-EINVAL, iommufd_diagnosis_finding(diagnosis, 0, &info));
	ck_assert_str_eq(info.subject, "untouched");
	info.struct_size++;
	while (!iommufd_diagnosis_finding(diagnosis, count, &info))
		count++;
	unit_fails(-ENOENT, iommufd_diagnosis_finding(diagnosis, count, &info));
	unit_fails(-ENOENT, iommufd_diagnosis_finding(diagnosis, UINT32_MAX, &info));
	ck_assert_uint_eq(count, 12); /* four about the device, four about each backend */
	iommufd_diagnosis_free(diagnosis);
	iommufd_diagnosis_free(NULL);
	scene_close(&scene);
}
END_TEST

START_TEST(without_memory_there_is_no_diagnosis)
{
	struct iommufd_diagnosis *diagnosis = untouched;
	struct scene scene;

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	inject_fail(INJECT_MEMORY, 1, -ENOMEM);
	unit_fails(-ENOMEM, iommufd_diagnose(SCENE_DEVICE, &diagnosis));
	ck_assert_ptr_eq(diagnosis, untouched);
	scene_close(&scene);
}
END_TEST

START_TEST(a_backend_that_cannot_be_opened_is_a_finding_and_leaves_nothing_open)
{
	struct iommufd_finding info = { .struct_size = sizeof(info) };
	struct iommufd_diagnosis *diagnosis;
	unsigned int fds, found = 0;
	struct scene scene;

	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	fds = inject_fds();
	inject_fail(INJECT_OPEN, 1, -EMFILE);
	ck_assert_int_eq(iommufd_diagnose(SCENE_DEVICE, &diagnosis), 0);
	ck_assert(inject_failed());
	for (uint32_t i = 0; !iommufd_diagnosis_finding(diagnosis, i, &info); i++)
		if (!strcmp(info.subject, "backend") && info.error == -EMFILE) {
			ck_assert_uint_eq(info.backend, IOMMUFD_BACKEND_IOMMUFD);
			ck_assert_ptr_nonnull(strstr(info.words, "ulimit -n"));
			found++;
		}
	ck_assert_uint_eq(found, 1);
	ck_assert_uint_eq(inject_fds(), fds);
	iommufd_diagnosis_free(diagnosis);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_finding_fills_what_the_caller_knows);
	tcase_add_test(tcase, without_memory_there_is_no_diagnosis);
	tcase_add_test(tcase, a_backend_that_cannot_be_opened_is_a_finding_and_leaves_nothing_open);
}
