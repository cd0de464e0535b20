/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Hardware page tables. Internal. */
#ifndef IFD_HWPT_H
#define IFD_HWPT_H

#include <stdbool.h>
#include <stdint.h>

#include "handle.h"

struct iommufd_faultq;
struct iommufd_hwpt_opts;

struct iommufd_hwpt {
	struct ifd_handle handle;      /* needs: a nested one its parent or vIOMMU; its queue of faults */
	struct iommufd_hwpt *next;     /* in ioas->hwpts, unless it is nested; guarded by the gate */
	struct iommufd_ioas *ioas;     /* what it shows, or what the one below it shows; held by whichever shows it */
	struct iommufd_faultq *faultq; /* where its faults go, or NULL */
	uint32_t flags;                /* IOMMUFD_HWPT bits */
	bool nested;
	bool ours; /* made by the library for who is attached to the IOAS, and so stands for that */
};

/*
 * Gate of the IOAS held exclusively. A paging one, as iommufd_hwpt_new() makes it of options that were checked, with
 * words; and a reference to one given up there, which may be the last: the words of an earlier failure stay.
 */
int ifd_hwpt_show(struct iommufd_device *dev, struct iommufd_ioas *ioas, const struct iommufd_hwpt_opts *opts,
		  struct iommufd_hwpt **out);
void ifd_hwpt_drop(struct iommufd_hwpt *hwpt);

/* Makes a nested one above a nest parent: `below` is the handle of that, or of a virtual IOMMU over it. With words. */
int ifd_hwpt_new_above(struct iommufd_device *dev, const struct iommufd_hwpt *parent, struct ifd_handle *below,
		       const struct iommufd_hwpt_opts *opts, struct iommufd_hwpt **out);

#endif
