/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file object.h
 * @brief Devices by their number in an iommufd: those of the library, and those that somebody else has bound.
 */
#ifndef LIBIOMMUFD_OBJECT_H
#define LIBIOMMUFD_OBJECT_H

#include <libiommufd/base.h>

IOMMUFD_BEGIN_DECLS

/**
 * How a device that somebody else has bound is attached, and what it is called. The caller sets `struct_size`.
 *
 * The callbacks return 0 or a negative errno, which for a way out goes to the log. They are called by the functions
 * that attach and detach the device, in the same thread, and must not call the library.
 */
struct iommufd_device_calls {
	size_t struct_size; /**< `sizeof(struct iommufd_device_calls)` */
	/** For the words of failures, not that of another device of the context; NULL: by its number. */
	const char *name;

	/**
	 * To the IOAS or page table of this number, also while it is attached; NULL when nobody can. With `detach`
	 * only.
	 */
	int (*attach)(void *data, uint32_t pt_id);
	/** From what it is attached to; NULL as `attach` is. */
	int (*detach)(void *data);
	/** The same for one of its PASIDs; NULL when it has none, or nobody can. With `pasid_detach` only. */
	int (*pasid_attach)(void *data, uint32_t pasid, uint32_t pt_id);
	/** From what it is attached to; NULL as `pasid_attach` is. */
	int (*pasid_detach)(void *data, uint32_t pasid);

	void *data; /**< handed to the callbacks */
};

/**
 * @brief A device that somebody else has bound to the iommufd of the context: another library, vDPA, a parent process.
 *
 * It can be asked for its IOMMU, page tables can be made for it, and it can be attached where `calls` say how. Its
 * registers, interrupts and reset are the other's business: those calls answer -EOPNOTSUPP. To free it detaches it, and
 * does not unbind it.
 *
 * @param ctx   a context of the iommufd backend
 * @param id    the number that binding it gave
 * @param calls how it is attached, or NULL when that is done elsewhere; copied
 * @param out   the device; give it to iommufd_device_free()
 *
 * @retval -EINVAL     `id` is 0; or a callback for a way in without one for the way out, or the reverse
 * @retval -E2BIG      `calls` has a member that this library does not know
 * @retval -ENOENT     the iommufd has no device with that number (Linux 6.6; before, nothing is looked at)
 * @retval -EBUSY      the context has a device of that name
 * @retval -EOPNOTSUPP the context's backend has no such numbers
 * @retval -ENOMEM     no memory
 *
 * Source: IOMMU_GET_HW_INFO (Linux 6.6).
 * @since 0.1
 */
int iommufd_device_from_id(struct iommufd_ctx *ctx, uint32_t id, const struct iommufd_device_calls *calls,
			   struct iommufd_device **out);

/**
 * @brief A device's number in the iommufd, for calls that the library does not make, and for the events that name it.
 *
 * @param dev the device
 * @return the number; 0 where it has none that is known: on VFIO, when it is reached by its group, and when its node
 *         bound before the library got it
 * @since 0.1
 */
uint32_t iommufd_device_id(const struct iommufd_device *dev);

IOMMUFD_END_DECLS

#endif
