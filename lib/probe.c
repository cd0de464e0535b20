/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "internal.h"
#include "probe.h"
#include "udev.h"

#define MAX_CANDIDATES 4

struct iommufd_report {
	struct iommufd_report_info info;
	struct ifd_candidate candidates[MAX_CANDIDATES];
	struct ifd_found_list found;
};

static int try_backend(const struct ifd_backend *backend, struct ifd_candidate *candidate)
{
	int fd;

	candidate->backend = backend;
	fd = backend->open(NULL, candidate);
	candidate->error = fd < 0 ? fd : 0;
	candidate->reason = strdup(fd < 0 ? iommufd_errmsg() : candidate->usable);
	ifd_sys_close(fd);
	return candidate->reason ? 0 : -ENOMEM;
}

static uint32_t memlock_mode(const struct iommufd_report *report)
{
	for (uint32_t i = 0; i < report->info.candidates; i++)
		if (report->candidates[i].backend->id == report->info.chosen)
			return ifd_has_ipc_lock() ? IOMMUFD_MEMLOCK_NONE : report->candidates[i].memlock_mode;
	return IOMMUFD_MEMLOCK_UNKNOWN;
}

static void count_devices(struct iommufd_report *report)
{
	const struct ifd_found_list *found = &report->found;

	report->info.devices = (uint32_t)found->count;
	for (size_t i = 0; i < found->count; i++) {
		bool seen = found->devices[i]->group < 0;

		for (size_t j = 0; j < i && !seen; j++)
			seen = found->devices[j]->group == found->devices[i]->group;
		report->info.groups += !seen;
		report->info.cdevs += found->devices[i]->cdev != NULL;
	}
}

static int fill(struct iommufd_report *report)
{
	uint32_t wanted;
	bool sane = !ifd_backend_from_env(&wanted);
	int ret;

	for (size_t i = 0; ifd_backends[i] && i < MAX_CANDIDATES; i++) {
		ret = try_backend(ifd_backends[i], &report->candidates[i]);

		report->info.candidates++;
		if (ret)
			return ret;
		if (sane && !report->candidates[i].error && report->info.chosen == IOMMUFD_BACKEND_AUTO &&
		    (wanted == IOMMUFD_BACKEND_AUTO || wanted == ifd_backends[i]->id))
			report->info.chosen = ifd_backends[i]->id;
	}
	report->info.memlock_limit = ifd_sys_memlock_limit();
	report->info.memlock_mode = memlock_mode(report);
	ret = ifd_udev_group(-1, &report->found);
	if (!ret)
		count_devices(report);
	return ret;
}

EXPORT int iommufd_probe(struct iommufd_report **out)
{
	struct iommufd_report *report = calloc(1, sizeof(*report));
	int ret = report ? fill(report) : -ENOMEM;

	if (ret) {
		iommufd_report_free(report);
		return ifd_fail(ret, NULL, "look at what this machine offers");
	}
	*out = report;
	return 0;
}

EXPORT void iommufd_report_free(struct iommufd_report *report)
{
	if (!report)
		return;
	for (size_t i = 0; i < MAX_CANDIDATES; i++)
		free(report->candidates[i].reason);
	ifd_found_list_free(&report->found);
	free(report);
}

EXPORT int iommufd_report_get_info(const struct iommufd_report *report, struct iommufd_report_info *info)
{
	int ret = ifd_info_check(info, IFD_END_OF(struct iommufd_report_info, cdevs), "report info");

	if (!ret)
		ifd_info_write(info, &report->info, sizeof(report->info));
	return ret;
}

static int check_index(uint32_t index, uint32_t count, const char *what)
{
	return index < count ? 0
			     : ifd_fail(-ENOENT, "see iommufd_report_get_info()", "%s %u of a report that has %u", what,
					index, count);
}

EXPORT int iommufd_report_candidate(const struct iommufd_report *report, uint32_t index,
				    struct iommufd_candidate_info *info)
{
	const struct ifd_candidate *candidate;
	int ret;

	ret = ifd_info_check(info, IFD_END_OF(struct iommufd_candidate_info, flags), "candidate info");
	if (!ret)
		ret = check_index(index, report->info.candidates, "candidate");
	if (ret)
		return ret;
	candidate = &report->candidates[index];
	ifd_info_write(info,
		       &(struct iommufd_candidate_info){
			       .name = candidate->backend->name,
			       .node = candidate->backend->node,
			       .reason = candidate->reason,
			       .backend = candidate->backend->id,
			       .error = candidate->error,
			       .type1_version = candidate->type1_version,
			       .flags = candidate->flags,
		       },
		       sizeof(*info));
	return 0;
}

EXPORT int iommufd_report_device(const struct iommufd_report *report, uint32_t index, struct iommufd_found_info *info)
{
	const struct ifd_found *found;
	int ret;

	ret = ifd_info_check(info, IFD_END_OF(struct iommufd_found_info, flags), "device of a report");
	if (!ret)
		ret = check_index(index, report->info.devices, "device");
	if (ret)
		return ret;
	found = report->found.devices[index];
	ifd_info_write(
		info,
		&(struct iommufd_found_info){
			.name = found->name,
			.path = found->path,
			.driver = found->driver,
			.cdev = found->cdev,
			.group = found->group,
			.pci_id = found->pci_id,
			.pci_class = found->pci_class,
			.flags = (found->vfio ? IOMMUFD_FOUND_VFIO : 0) | (found->noiommu ? IOMMUFD_FOUND_NOIOMMU : 0),
		},
		sizeof(*info));
	return 0;
}
