/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A C program that finds the library by pkg-config: says its version, what was found, and which backend opens. */
#include <libiommufd.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct iommufd_report *report = NULL;
	struct iommufd_report_info info = { .struct_size = sizeof(info) };
	struct iommufd_ctx *ctx = NULL;

	if (argc > 1) {
		int asked = argc == 2 && !strcmp(argv[1], "--help");

		fputs("usage: hello-c\n", asked ? stdout : stderr);
		return asked ? 0 : 2;
	}
	printf("libiommufd %s, from C\n", iommufd_version());
	if (iommufd_probe(&report) || iommufd_report_get_info(report, &info) || iommufd_ctx_new(NULL, &ctx)) {
		fprintf(stderr, "hello: %s\n", iommufd_errmsg());
		iommufd_report_free(report);
		return 1;
	}
	printf("%u devices in %u groups\n", info.devices, info.groups);
	printf("backend %s\n", iommufd_backend_name(iommufd_ctx_backend(ctx)));
	iommufd_ctx_free(ctx);
	iommufd_report_free(report);
	return 0;
}
