/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "holders.h"
#include "internal.h"
#include "probe.h"
#include "token.h"
#include "udev.h"

/* Up to five about the device, up to five about each backend. */
#define FINDINGS_MAX 16

struct finding {
	const char *subject;
	char *words;
	uint32_t backend;
	int error;
};

struct iommufd_diagnosis {
	struct finding findings[FINDINGS_MAX];
	uint32_t count;
	bool no_memory;
};

static void add(struct iommufd_diagnosis *out, const char *subject, uint32_t backend, int error, const char *words)
{
	struct finding *finding = &out->findings[out->count];

	if (out->count == FINDINGS_MAX)
		return;
	*finding = (struct finding){ subject, strdup(words), backend, error };
	out->no_memory |= !finding->words;
	out->count++;
}

/* ---- The device ---- */

static void look_at_iommu(struct iommufd_diagnosis *out, const struct ifd_found *found)
{
	char words[IFD_HINT_MAX] = "";

	ifd_hint_iommu(words, found);
	if (*words)
		add(out, "iommu", 0, found->noiommu ? -EOPNOTSUPP : -ENODEV, words);
	else
		add(out, "iommu", 0, 0, "its DMA goes through an IOMMU");
}

static void look_at_driver(struct iommufd_diagnosis *out, const struct ifd_found *found)
{
	char words[IFD_HINT_MAX] = "";

	ifd_hint(words, "it is bound to %s", found->driver ? found->driver : "no driver");
	if (!found->vfio) {
		ifd_hint(words, ": ");
		ifd_hint_bind(words, found);
	}
	add(out, "driver", 0, found->vfio ? 0 : -ENODEV, words);
}

static void look_at_token(struct iommufd_diagnosis *out, const struct ifd_found *found)
{
	char words[IFD_HINT_MAX] = "";
	int err = ifd_token_look(found, words);

	if (*words)
		add(out, "token", 0, err, words);
}

static void look_at_group(struct iommufd_diagnosis *out, const struct ifd_found *found)
{
	char words[IFD_HINT_MAX] = "";

	if (ifd_hint_siblings(words, found)) {
		add(out, "group", 0, -EPERM, words);
	} else if (found->group >= 0) {
		ifd_hint(words, "no driver that would be in the way has a device of IOMMU group %d", found->group);
		add(out, "group", 0, 0, words);
	}
}

static void look_at_users(struct iommufd_diagnosis *out, const struct ifd_found *found)
{
	char words[IFD_HINT_MAX] = "";
	bool used = ifd_hint_holders(words, found, -1);

	add(out, "users", 0, used ? -EBUSY : 0, used ? words : "no process that can be seen has it or its group open");
}

/* ---- The backends ---- */

static void look_at_node(struct iommufd_diagnosis *out, const struct ifd_backend *backend,
			 const struct ifd_found *found)
{
	char path[128], words[IFD_HINT_MAX] = "";
	int ret;

	if (!found->vfio) /* the node comes with the driver */
		return;
	backend->device_node(found, path, sizeof(path));
	ret = ifd_sys_access(path);
	if (!ret && found->noiommu && !ifd_may_do_without_iommu())
		ret = -EPERM;
	if (ret)
		ifd_hint(words, "%s: %s (", path, IFD_STRERROR(ret));
	if (ret == -EPERM)
		ifd_hint_rawio(words);
	else if (ret)
		ifd_hint_open(words, ret, path, "the kernel does not make it, or nobody does in this /dev");
	ifd_hint(words, ret ? ")" : "%s may be opened", path);
	add(out, "node", backend->id, ret, words);
}

static void look_at_limits(struct iommufd_diagnosis *out, const struct ifd_candidate *candidate)
{
	uint32_t id = candidate->backend->id;
	char words[IFD_HINT_MAX] = "";

	ifd_hint(words,
		 ifd_unsafe_interrupts(candidate->module) == 1
			 ? "%s's parameter allow_unsafe_interrupts is on, so that any device is taken"
			 : "%s's parameter allow_unsafe_interrupts is not on, so the device is refused if its "
			   "interrupts are not isolated, which shows only then",
		 candidate->module);
	add(out, "interrupts", id, 0, words);
	*words = '\0';
	ifd_hint_limit(words, candidate->memlock_mode == IOMMUFD_MEMLOCK_PROCESS);
	add(out, "memlock", id, 0, words);
}

/* The kernel pins memory for a device without an IOMMU only if that has a node of its own. */
static void look_at_pages(struct iommufd_diagnosis *out, const struct ifd_backend *backend,
			  const struct ifd_found *found)
{
	char path[128], words[IFD_HINT_MAX] = "";

	backend->device_node(found, path, sizeof(path));
	if (!found->noiommu || (found->cdev && !strcmp(path, found->cdev)))
		return;
	ifd_hint(words, "its memory %s", ifd_phys_may_move());
	add(out, "pages", backend->id, 0, words);
}

static void look_at_backend(struct iommufd_diagnosis *out, const struct ifd_backend *backend,
			    const struct ifd_found *found)
{
	struct ifd_candidate candidate = { .backend = backend };
	int fd = backend->open(NULL, &candidate);

	add(out, "backend", backend->id, fd < 0 ? fd : 0, fd < 0 ? iommufd_errmsg() : candidate.usable);
	if (fd < 0)
		return;
	ifd_sys_close(fd);
	look_at_node(out, backend, found);
	look_at_limits(out, &candidate);
	look_at_pages(out, backend, found);
}

EXPORT int iommufd_diagnose(const char *address, struct iommufd_diagnosis **out)
{
	struct iommufd_diagnosis *mine;
	struct ifd_found *found;
	int ret = ifd_udev_find(address, &found);

	if (ret)
		return ret;
	mine = calloc(1, sizeof(*mine));
	if (mine) {
		look_at_iommu(mine, found);
		look_at_driver(mine, found);
		look_at_token(mine, found);
		look_at_group(mine, found);
		look_at_users(mine, found);
		for (size_t i = 0; ifd_backends[i]; i++)
			look_at_backend(mine, ifd_backends[i], found);
	}
	ifd_found_free(found);
	if (!mine || mine->no_memory) {
		iommufd_diagnosis_free(mine);
		return ifd_fail(-ENOMEM, NULL, "diagnose %s", address);
	}
	*out = mine;
	return 0;
}

EXPORT int iommufd_diagnosis_finding(const struct iommufd_diagnosis *diagnosis, uint32_t index,
				     struct iommufd_finding *info)
{
	const struct finding *finding;
	int ret = ifd_info_check(info, IFD_END_OF(struct iommufd_finding, error), "finding");

	if (ret)
		return ret;
	if (index >= diagnosis->count)
		return ifd_fail(-ENOENT, "that was the last one", "finding %u of a diagnosis that has %u", index,
				diagnosis->count);
	finding = &diagnosis->findings[index];
	ifd_info_write(info,
		       &(struct iommufd_finding){
			       .subject = finding->subject,
			       .words = finding->words,
			       .backend = finding->backend,
			       .error = finding->error,
		       },
		       sizeof(*info));
	return 0;
}

EXPORT void iommufd_diagnosis_free(struct iommufd_diagnosis *diagnosis)
{
	for (uint32_t i = 0; diagnosis && i < diagnosis->count; i++)
		free(diagnosis->findings[i].words);
	free(diagnosis);
}
