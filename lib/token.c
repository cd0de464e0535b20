/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>
#include <stdio.h>

#include "explain.h"
#include "internal.h"
#include "sriov.h"
#include "token.h"
#include "udev.h"

#define SET_IT "open it without, and set that by iommufd_pci_set_vf_token()"

static int fail_unwanted(const struct iommufd_device *dev, int err, const char *hint)
{
	return ifd_fail(err, hint, "open %s with a token", dev->found->name);
}

static int check_vf(struct iommufd_device *dev, const struct ifd_found *pf)
{
	char hint[IFD_HINT_MAX] = "";

	dev->sriov = pf->vfio;
	if (pf->vfio || !dev->has_token)
		return 0;
	ifd_hint(hint,
		 "its physical function %s is bound to %s, not to vfio-pci, so that none is asked for: leave vf_token "
		 "at NULL",
		 pf->name, pf->driver ? pf->driver : "no driver");
	return fail_unwanted(dev, -EINVAL, hint);
}

static int fail_look(const struct iommufd_device *dev, int err)
{
	return ifd_fail(err, NULL, "ask for the physical and virtual functions of %s", dev->found->name);
}

/* Whether a virtual function is in use only the kernel knows. */
static int check_other(struct iommufd_device *dev)
{
	char vf[IOMMUFD_PCI_NAME_SIZE];
	uint32_t total = 0;
	int ret = ifd_sriov_link(dev->found, "virtfn0", vf);

	dev->sriov = !ret;
	if (ret == -ENOENT)
		ret = dev->has_token ? ifd_sriov_total(dev->found, &total) : 0;
	if (ret)
		return fail_look(dev, ret);
	if (dev->sriov || !dev->has_token)
		return 0;
	return fail_unwanted(dev, -EINVAL,
			     total ? "it has no virtual functions now, and would take this for their new token: " SET_IT
				   : "it is no virtual function: leave vf_token at NULL");
}

int ifd_token_check(struct iommufd_device *dev)
{
	struct ifd_found *pf;
	int ret = ifd_sriov_pf(dev->found, &pf);

	if (ret <= 0)
		return ret ? fail_look(dev, ret) : check_other(dev);
	ret = check_vf(dev, pf);
	ifd_found_free(pf);
	return ret;
}

static bool is_vf(const struct iommufd_device *dev)
{
	char pf[IOMMUFD_PCI_NAME_SIZE];

	return !ifd_sriov_link(dev->found, "physfn", pf);
}

void ifd_hint_token(char *hint, const struct iommufd_device *dev)
{
	char pf[IOMMUFD_PCI_NAME_SIZE];
	bool vf = !ifd_sriov_link(dev->found, "physfn", pf);

	if (vf)
		ifd_hint(hint, "it is a virtual function of %s, which is bound to vfio-pci: ", pf);
	else
		ifd_hint(hint, "virtual functions of it are in use: ");
	if (dev->has_token)
		ifd_hint(hint, "the token is not the one that %s", vf ? "who has that one open has set" : "they have");
	else
		ifd_hint(hint, "give the token of %s as vf_token of iommufd_device_new_opts()", vf ? pf : "these");
}

/* The kernel would open the device without. */
static int fail_unasked(const struct iommufd_device *dev)
{
	if (is_vf(dev))
		return fail_unwanted(dev, -ENOTTY,
				     "this kernel asks for none at a device's own node, which takes Linux 6.17: leave "
				     "vf_token at NULL");
	return fail_unwanted(
		dev, -EINVAL,
		"none of its virtual functions is in use, and it would take this for their new token: " SET_IT);
}

int ifd_token_settle(struct iommufd_device *dev, int fd, ifd_token_ask ask)
{
	char hint[IFD_HINT_MAX] = "";
	int ret;

	if (!dev->sriov)
		return 0;
	ret = ask(dev, fd, NULL);
	if (!ret && dev->has_token)
		return fail_unasked(dev);
	if (ret == -EACCES && dev->has_token)
		ret = ask(dev, fd, dev->token);
	if (ret == -EACCES) {
		ifd_hint_token(hint, dev);
		return ifd_fail(ret, hint, "open %s", dev->found->name);
	}
	/*
	 * The open itself tells better what else is in the way. Of a virtual function, or without a token, it sets
	 * none.
	 */
	if (!ret || !dev->has_token || is_vf(dev))
		return 0;
	if (ret == -EBUSY)
		ifd_hint_busy(hint, dev->found, fd);
	return fail_unwanted(dev, ret, hint);
}

void ifd_token_name(const struct ifd_found *found, const unsigned char *token, char name[IFD_TOKEN_NAME_MAX])
{
	int len = snprintf(name, IFD_TOKEN_NAME_MAX, "%.64s%s", found->name, token ? " vf_token=" : "");

	for (int i = 0; token && i < 16; i++)
		len += snprintf(name + len, IFD_TOKEN_NAME_MAX - (size_t)len, "%s%02x",
				i >= 4 && i <= 10 && !(i % 2) ? "-" : "", token[i]);
}

int ifd_token_look(const struct ifd_found *found, char *words)
{
	struct ifd_found *pf;
	int err = 0;

	if (ifd_sriov_pf(found, &pf) <= 0)
		return 0;
	if (pf->vfio) {
		ifd_hint(words,
			 "its physical function %s is bound to %s: it is opened with the token of that one only, as "
			 "vf_token of iommufd_device_new_opts(); before Linux 6.17 its own node wants none",
			 pf->name, pf->driver);
		err = -EACCES;
	} else {
		ifd_hint(words, "its physical function %s is bound to %s: it is opened without a token", pf->name,
			 pf->driver ? pf->driver : "no driver");
	}
	ifd_found_free(pf);
	return err;
}
