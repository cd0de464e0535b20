/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * info [--json]: what this machine offers: backends, limits, and devices by IOMMU group. Devices that are bound to
 * VFIO are opened and attached for a moment, to learn which I/O virtual addresses they permit.
 * info [--json] DEVICE: what would keep this device from being used, without opening it.
 */
#include <libiommufd.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

/* What shows only while a device is attached, or the words that tell why it cannot be. */
static json *try_attach(const char *name)
{
	json *result = json_object_new_object();
	struct iommufd_ctx *ctx = NULL;
	struct iommufd_ioas *ioas = NULL;
	struct iommufd_device *dev = NULL;
	struct iommufd_range ranges[32];
	int count = 0;

	if (iommufd_ctx_new(NULL, &ctx) || iommufd_ioas_new(ctx, &ioas) || iommufd_device_new(ctx, name, &dev) ||
	    iommufd_device_attach(dev, ioas) || (count = iommufd_ioas_ranges(ioas, ranges, 32)) < 0)
		add_string(result, "error", iommufd_errmsg());
	else
		add_hex(result, "alignment", iommufd_ioas_alignment(ioas));
	for (int i = 0; i < count && i < 32; i++) {
		json *range = json_object_new_object();
		add_hex(range, "start", ranges[i].start);
		add_hex(range, "last", ranges[i].last);
		json_object_array_add(list_in(result, "iova"), range);
	}
	iommufd_device_free(dev);
	iommufd_ioas_free(ioas);
	iommufd_ctx_free(ctx);
	return result;
}

static void add_device(json *groups, const struct iommufd_found_info *info)
{
	json *dev = json_object_new_object();
	char id[16], group[16], class[16];

	snprintf(id, sizeof(id), "%04x:%04x", info->pci_id >> 16, info->pci_id & 0xffff);
	snprintf(group, sizeof(group), "%d", info->group);
	add_string(dev, "name", info->name);
	add_string(dev, "id", info->pci_id ? id : NULL);
	snprintf(class, sizeof(class), "0x%06x", info->pci_class);
	add_string(dev, "class", class);
	add_string(dev, "driver", info->driver);
	add_string(dev, "cdev", info->cdev);
	json_object_object_add(dev, "openable", json_object_new_boolean((info->flags & IOMMUFD_FOUND_VFIO) != 0));
	json_object_object_add(dev, "unsafe", json_object_new_boolean((info->flags & IOMMUFD_FOUND_NOIOMMU) != 0));
	if (info->flags & IOMMUFD_FOUND_VFIO)
		json_object_object_add(dev, "attached", try_attach(info->name));
	json_object_array_add(list_in(groups, group), dev);
}

static void add_candidate(json *doc, const struct iommufd_candidate_info *info)
{
	json *entry = json_object_new_object();

	add_string(entry, "name", info->name);
	add_string(entry, "node", info->node);
	json_object_object_add(entry, "usable", json_object_new_boolean(info->error == 0));
	add_string(entry, "reason", info->reason);
	json_object_object_add(entry, "type1", json_object_new_int64(info->type1_version));
	json_object_object_add(entry, "compat", json_object_new_boolean(info->flags & IOMMUFD_CANDIDATE_COMPAT));
	json_object_array_add(list_in(doc, "candidates"), entry);
}

static int report(bool as_json)
{
	static const char *const modes[] = { "unknown", "not counted", "per user", "per process" };
	struct iommufd_report *report = NULL;
	struct iommufd_report_info info = { .struct_size = sizeof(info) };
	struct iommufd_candidate_info candidate = { .struct_size = sizeof(candidate) };
	struct iommufd_found_info found = { .struct_size = sizeof(found) };
	json *doc = json_object_new_object(), *groups = json_object_new_object();

	if (iommufd_probe(&report) || iommufd_report_get_info(report, &info)) {
		fprintf(stderr, "info: %s\n", iommufd_errmsg());
		return 1;
	}
	add_string(doc, "version", iommufd_version());
	add_string(doc, "chosen", info.chosen ? iommufd_backend_name(info.chosen) : NULL);
	add_string(doc, "memlock_mode", info.memlock_mode < 4 ? modes[info.memlock_mode] : modes[0]);
	if (!as_json)
		add_amount(doc, "memlock_limit", info.memlock_limit);
	else if (info.memlock_limit == UINT64_MAX)
		json_object_object_add(doc, "memlock_limit", NULL);
	else
		json_object_object_add(doc, "memlock_limit", json_object_new_int64((int64_t)info.memlock_limit));
	for (uint32_t i = 0; iommufd_report_candidate(report, i, &candidate) == 0; i++)
		add_candidate(doc, &candidate);
	for (uint32_t i = 0; iommufd_report_device(report, i, &found) == 0; i++)
		add_device(groups, &found);
	json_object_object_add(doc, "groups", groups);
	show(doc, as_json);
	iommufd_report_free(report);
	return 0;
}

static const char usage[] =
	"usage: info [--json] [DEVICE]\n"
	"  DEVICE  say what would keep this device from being used, and nothing else\n"
	"  --json  print JSON\n"
	"  --help  print this\n"
	"The exit status is 1 when DEVICE cannot be used or nothing can be told, 2 after a mistake in usage.\n"
	"Without DEVICE, devices that are bound to VFIO are opened for a moment, and so reset.\n";

int main(int argc, char **argv)
{
	bool as_json = argc > 1 && !strcmp(argv[1], "--json");
	int left = argc - 1 - as_json;

	if (left > 1 || (left && *argv[argc - 1] == '-')) {
		bool asked = argc == 2 && !strcmp(argv[1], "--help");

		fputs(usage, asked ? stdout : stderr);
		return asked ? 0 : 2;
	}
	return left ? !diagnose(argv[argc - 1], as_json) : report(as_json);
}
