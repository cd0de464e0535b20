/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file report.h
 * @brief What this machine offers, found without side effects: backends, devices, limits.
 */
#ifndef LIBIOMMUFD_REPORT_H
#define LIBIOMMUFD_REPORT_H

#include <libiommufd/base.h>

IOMMUFD_BEGIN_DECLS

/** The whole report in numbers. The caller sets `struct_size`. */
struct iommufd_report_info {
	size_t struct_size;     /**< `sizeof(struct iommufd_report_info)` */
	uint64_t memlock_limit; /**< RLIMIT_MEMLOCK in bytes, UINT64_MAX when unlimited */
	uint32_t chosen;        /**< what AUTO would open now, with `$LIBIOMMUFD_BACKEND`; AUTO for none */
	uint32_t memlock_mode;  /**< how the chosen backend counts: one of the IOMMUFD_MEMLOCK constants */
	uint32_t candidates;    /**< how many entries iommufd_report_candidate() has */
	uint32_t devices;       /**< how many entries iommufd_report_device() has */
	uint32_t groups;        /**< how many IOMMU groups those devices are in */
	uint32_t cdevs;         /**< how many of those devices have a node under `/dev/vfio/devices` */
};

/** Facts about a candidate. */
enum {
	/** `/dev/vfio/vfio` is the one that iommufd serves (CONFIG_IOMMUFD_VFIO_CONTAINER) */
	IOMMUFD_CANDIDATE_COMPAT = 1u << 0,
	/** the container offers the unsafe noiommu type, see IOMMUFD_CTX_NOIOMMU */
	IOMMUFD_CANDIDATE_NOIOMMU = 1u << 1,
};

/** One backend, as iommufd_ctx_new() would find it. The caller sets `struct_size`. */
struct iommufd_candidate_info {
	size_t struct_size;     /**< `sizeof(struct iommufd_candidate_info)` */
	const char *name;       /**< `iommufd` or `vfio`; constant */
	const char *node;       /**< the device node that was opened; constant */
	const char *reason;     /**< a sentence, also when usable; lives as long as the report */
	uint32_t backend;       /**< one of the IOMMUFD_BACKEND constants */
	int32_t error;          /**< 0 when usable, otherwise a negative errno */
	uint32_t type1_version; /**< of a container: 2, 1, or 0 when it has neither; 0 for iommufd */
	uint32_t flags;         /**< IOMMUFD_CANDIDATE bits */
};

/**
 * One device of a bus that VFIO has drivers for. The caller sets `struct_size`. Strings live as long as the report;
 * NULL for none.
 */
struct iommufd_found_info {
	size_t struct_size; /**< `sizeof(struct iommufd_found_info)` */
	const char *name;   /**< PCI address, mdev UUID, or how else its bus calls it; see `path` */
	const char *path;   /**< its directory in sysfs */
	const char *driver; /**< the driver that it is bound to, or NULL */
	const char *cdev;   /**< its node under `/dev/vfio/devices`, or NULL */
	int32_t group;      /**< its IOMMU group, or -1 */
	uint32_t pci_id;    /**< vendor in the high half, device in the low one; 0 when it is no PCI device */
	uint32_t pci_class; /**< base class, subclass and programming interface, 24 bits; 0 when it is no PCI device */
	uint32_t flags;     /**< IOMMUFD_FOUND bits */
};

/** Flags of a device in a report. */
enum {
	IOMMUFD_FOUND_VFIO = 1u << 0,    /**< its driver is a VFIO driver, so that it can be opened */
	IOMMUFD_FOUND_NOIOMMU = 1u << 1, /**< it runs without an IOMMU: UNSAFE, see IOMMUFD_CTX_NOIOMMU */
};

/**
 * @brief Look at what is there. Opens and closes nodes, but binds, attaches, maps and changes nothing.
 *
 * A machine with nothing usable is no failure: the report then says so.
 *
 * @param out the report; give it to iommufd_report_free()
 *
 * @retval -ENOMEM no memory
 * @since 0.1
 */
int iommufd_probe(struct iommufd_report **out);

/**
 * @brief Free a report, and with it the strings that came out of it.
 *
 * @param report the report, or NULL
 * @since 0.1
 */
void iommufd_report_free(struct iommufd_report *report);

/**
 * @brief The report in numbers.
 *
 * @param report the report
 * @param info   filled; `info->struct_size` is read first
 *
 * @retval -EINVAL `struct_size` is smaller than in the first release, or no size of a structure
 * @since 0.1
 */
int iommufd_report_get_info(const struct iommufd_report *report, struct iommufd_report_info *info);

/**
 * @brief One backend of the report, in the order in which AUTO tries them.
 *
 * @param report the report
 * @param index  from 0
 * @param info   filled; `info->struct_size` is read first
 *
 * @retval -ENOENT `index` is not below `candidates`
 * @retval -EINVAL `struct_size` is smaller than in the first release, or no size of a structure
 * @since 0.1
 */
int iommufd_report_candidate(const struct iommufd_report *report, uint32_t index, struct iommufd_candidate_info *info);

/**
 * @brief One device of the report: those with an IOMMU group or a VFIO driver, in the order of their names.
 *
 * @param report the report
 * @param index  from 0
 * @param info   filled; `info->struct_size` is read first
 *
 * @retval -ENOENT `index` is not below `devices`
 * @retval -EINVAL `struct_size` is smaller than in the first release, or no size of a structure
 * @since 0.1
 */
int iommufd_report_device(const struct iommufd_report *report, uint32_t index, struct iommufd_found_info *info);

IOMMUFD_END_DECLS

#endif
