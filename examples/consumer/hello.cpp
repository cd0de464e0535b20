// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
// A C++ program that finds the library by pkg-config. Each handle has one owner: a unique_ptr fits.
#include <cstdlib>
#include <iostream>
#include <libiommufd.h>
#include <memory>
#include <string>

struct Free {
	void operator()(iommufd_ctx *ctx) const
	{
		iommufd_ctx_free(ctx);
	}
	void operator()(iommufd_report *report) const
	{
		iommufd_report_free(report);
	}
};

static void check(int result)
{
	if (result >= 0)
		return;
	std::cerr << "hello: " << iommufd_errmsg() << '\n';
	std::exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		const bool asked = argc == 2 && std::string(argv[1]) == "--help";

		(asked ? std::cout : std::cerr) << "usage: hello-cpp\n";
		return asked ? 0 : 2;
	}
	iommufd_report *found = nullptr;
	iommufd_report_info info{};
	iommufd_ctx *opened = nullptr;

	std::cout << "libiommufd " << iommufd_version() << ", from C++\n";
	check(iommufd_probe(&found));
	const std::unique_ptr<iommufd_report, Free> report(found);
	info.struct_size = sizeof(info);
	check(iommufd_report_get_info(report.get(), &info));
	check(iommufd_ctx_new(nullptr, &opened));
	const std::unique_ptr<iommufd_ctx, Free> ctx(opened);
	std::cout << info.devices << " devices in " << info.groups << " groups\n";
	std::cout << "backend " << iommufd_backend_name(iommufd_ctx_backend(ctx.get())) << '\n';
}
