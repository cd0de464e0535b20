/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* bind [OPTIONS] [ADDRESS...]: takes devices from their drivers for VFIO, gives them back, or lists what is there. */
#include <errno.h>
#include <getopt.h>
#include <libiommufd.h>
#include <stdbool.h>
#include <stdio.h>

static const char usage[] =
	"usage: bind [OPTIONS] [ADDRESS...]\n"
	"  ADDRESS        a PCI address, or a directory under /sys; without one devices are listed\n"
	"  --driver NAME  bind it to this driver, not to the best one of VFIO\n"
	"  --restore      give it back: the kernel picks the driver\n"
	"  --force        also where somebody uses it\n"
	"  --help         print this\n";

/* Its own node is all that is to know of a device with iommufd; with VFIO it is the one of its group. */
static void show(const struct iommufd_found_info *found)
{
	printf("%s  %04x:%04x  ", found->name, found->pci_id >> 16, found->pci_id & 0xffff);
	if (found->group >= 0)
		printf("group %-3d  ", found->group);
	else
		printf("no group   ");
	printf("%s", found->driver ? found->driver : "-");
	if (found->cdev)
		printf("  %s", found->cdev);
	printf("%s\n", found->flags & IOMMUFD_FOUND_NOIOMMU ? "  without an IOMMU: UNSAFE" : "");
}

static int list(void)
{
	struct iommufd_found_info found = { .struct_size = sizeof(found) };
	struct iommufd_report *report;

	if (iommufd_probe(&report)) {
		fprintf(stderr, "bind: %s\n", iommufd_errmsg());
		return 1;
	}
	for (uint32_t i = 0; !iommufd_report_device(report, i, &found); i++)
		show(&found);
	iommufd_report_free(report);
	return 0;
}

static bool move(const char *address, const char *driver, bool restore, uint32_t flags)
{
	struct iommufd_driver_state was = { .struct_size = sizeof(was) };
	int ret = restore ? iommufd_driver_restore(address, NULL, flags)
			  : iommufd_driver_bind(address, driver, flags, &was);

	if (ret == -EALREADY && !restore)
		printf("%s has this driver already\n", address);
	else if (ret)
		fprintf(stderr, "bind: %s\n", iommufd_errmsg());
	else if (restore)
		printf("%s is the kernel's\n", address);
	else
		printf("%s is bound; it had %s\n", address, *was.driver ? was.driver : "no driver");
	return !ret || ret == -EALREADY;
}

int main(int argc, char **argv)
{
	static const struct option words[] = {
		{ "driver", required_argument, NULL, 'd' },
		{ "restore", no_argument, NULL, 'r' },
		{ "force", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *driver = NULL;
	bool restore = false;
	uint32_t flags = 0;
	int option, failed = 0;

	opterr = 0; /* the usage says it all */
	while ((option = getopt_long(argc, argv, "", words, NULL)) != -1) {
		if (option == 'd') {
			driver = optarg;
		} else if (option == 'r') {
			restore = true;
		} else if (option == 'f') {
			flags = IOMMUFD_DRIVER_FORCE;
		} else {
			fputs(usage, option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : 2;
		}
	}
	if ((restore && driver) || (optind == argc && (restore || driver || flags))) {
		fputs(usage, stderr);
		return 2;
	}
	if (optind == argc)
		return list();
	for (; optind < argc; optind++)
		failed += !move(argv[optind], driver, restore, flags);
	return failed > 0;
}
