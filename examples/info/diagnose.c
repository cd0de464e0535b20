/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <libiommufd.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"

bool diagnose(const char *address, bool as_json)
{
	struct iommufd_finding finding = { .struct_size = sizeof(finding) };
	bool stopped[] = { false, false, false }; /* what holds for each backend, and what for one */
	struct iommufd_diagnosis *diagnosis;
	json *doc = json_object_new_object();
	bool usable;

	if (iommufd_diagnose(address, &diagnosis)) {
		fprintf(stderr, "info: %s\n", iommufd_errmsg());
		exit(1);
	}
	add_string(doc, "device", address);
	for (uint32_t i = 0; iommufd_diagnosis_finding(diagnosis, i, &finding) == 0; i++) {
		json *entry = json_object_new_object();

		add_string(entry, "subject", finding.subject);
		if (finding.backend)
			add_string(entry, "backend", iommufd_backend_name(finding.backend));
		json_object_object_add(entry, "fine", json_object_new_boolean(!finding.error));
		add_string(entry, "words", finding.words);
		json_object_array_add(list_in(doc, "findings"), entry);
		if (finding.error && finding.backend < 3)
			stopped[finding.backend] = true;
	}
	usable = !stopped[IOMMUFD_BACKEND_AUTO] && !(stopped[IOMMUFD_BACKEND_IOMMUFD] && stopped[IOMMUFD_BACKEND_VFIO]);
	json_object_object_add(doc, "usable", json_object_new_boolean(usable));
	show(doc, as_json);
	iommufd_diagnosis_free(diagnosis);
	return usable;
}
