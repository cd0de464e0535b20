/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file viommu.h
 * @brief Virtual IOMMUs: a part of a real IOMMU that is handed to a guest, with its devices, events and queues.
 *
 * Only iommufd has them (Linux 6.13), for IOMMUs whose driver does. Types and data are the vendor's, and go to the
 * kernel and come from it as they are. Their layouts are those of `<linux/iommufd.h>`.
 *
 * Handles may be freed in any order: what others still need stays inside, and the kernel's objects are destroyed in the
 * order that it wants.
 */
#ifndef LIBIOMMUFD_VIOMMU_H
#define LIBIOMMUFD_VIOMMU_H

#include <libiommufd/base.h>
#include <libiommufd/hwpt.h>

IOMMUFD_BEGIN_DECLS

/* ---- Virtual IOMMUs ---- */

/** What kind of virtual IOMMU is wanted. Set `struct_size`. */
struct iommufd_viommu_opts {
	size_t struct_size; /**< `sizeof(struct iommufd_viommu_opts)` */
	uint32_t flags;     /**< none is known: 0 */
	uint32_t type;      /**< IOMMU_VIOMMU_TYPE_* of the kernel */
	void *data;         /**< read and written by the kernel, and not kept; NULL for none */
	size_t data_len;    /**< bytes */
};

/**
 * @brief Make a virtual IOMMU.
 *
 * @param dev    a device behind the real one
 * @param parent made with IOMMUFD_HWPT_NEST_PARENT: what the guest takes for physical memory; may be freed before it
 * @param opts   type and data
 * @param out    the virtual IOMMU; give it to iommufd_viommu_free()
 *
 * @retval -EINVAL     no nest parent, or of another context; an unknown flag; data that the IOMMU does not take
 * @retval -E2BIG      `opts` has a member that this library does not know
 * @retval -ENOENT     an object is gone
 * @retval -EOPNOTSUPP the IOMMU or its driver has no virtual ones, or not of this type; the device has no number; not
 *                     on this backend
 * @retval -ENOTTY     the kernel is older than Linux 6.13
 *
 * Source: IOMMU_VIOMMU_ALLOC (Linux 6.13).
 * @since 0.1
 */
int iommufd_viommu_new(struct iommufd_device *dev, struct iommufd_hwpt *parent, const struct iommufd_viommu_opts *opts,
		       struct iommufd_viommu **out);

/**
 * @brief Free a virtual IOMMU, and unmap what iommufd_viommu_mmap() gave.
 *
 * @param viommu the virtual IOMMU, or NULL
 * @since 0.1
 */
void iommufd_viommu_free(struct iommufd_viommu *viommu);

/**
 * @brief The number of its object in the iommufd, for calls that the library does not make.
 *
 * @param viommu the virtual IOMMU
 * @return the number, never 0
 * @since 0.1
 */
uint32_t iommufd_viommu_id(const struct iommufd_viommu *viommu);

/**
 * @brief Make a page table that a guest has filled, as iommufd_hwpt_new_nested() does, in a virtual IOMMU.
 *
 * @param viommu the virtual IOMMU; it may be freed before the page table
 * @param dev    a device behind it
 * @param opts   options with the vendor's data; IOMMUFD_HWPT_PASID is the only flag
 * @param out    the page table; give it to iommufd_hwpt_free()
 *
 * @retval others as iommufd_hwpt_new_nested()
 *
 * Source: IOMMU_HWPT_ALLOC (Linux 6.13 for virtual IOMMUs).
 * @since 0.1
 */
int iommufd_viommu_hwpt_new(struct iommufd_viommu *viommu, struct iommufd_device *dev,
			    const struct iommufd_hwpt_opts *opts, struct iommufd_hwpt **out);

/**
 * @brief Throw away what the IOMMU has cached for a guest, in page tables or in devices.
 *
 * More entries than the kernel takes at once (2^19) are handed over piece by piece.
 *
 * @param viommu    the virtual IOMMU
 * @param data_type IOMMU_VIOMMU_INVALIDATE_DATA_* of the kernel
 * @param entries   `count` entries of the vendor's layout
 * @param entry_len bytes of one
 * @param count     how many; 0 asks whether the IOMMU knows the type
 * @param done      how many were handled, also when it fails: go on behind them; or NULL
 *
 * @retval others as iommufd_hwpt_invalidate()
 *
 * Source: IOMMU_HWPT_INVALIDATE (Linux 6.13 for virtual IOMMUs).
 * @since 0.1
 */
int iommufd_viommu_invalidate(struct iommufd_viommu *viommu, uint32_t data_type, const void *entries, size_t entry_len,
			      uint32_t count, uint32_t *done);

/**
 * @brief Map registers that the virtual IOMMU lets a guest have. A child process does not get them.
 *
 * @param viommu the virtual IOMMU
 * @param offset as the data of iommufd_viommu_new() came back with, and no other
 * @param len    the same
 * @param out    where they are, for reading and writing
 *
 * @retval -EINVAL one of the two is no multiple of the page size, or `len` is 0
 * @retval -ENXIO  nothing to be mapped begins there and has this length
 * @retval -ENOMEM no memory
 *
 * Source: mmap() of the iommufd (Linux 6.17).
 * @since 0.1
 */
int iommufd_viommu_mmap(struct iommufd_viommu *viommu, uint64_t offset, size_t len, void **out);

/**
 * @brief Unmap them. iommufd_viommu_free() does it too.
 *
 * @param viommu the virtual IOMMU
 * @param addr   what iommufd_viommu_mmap() gave
 *
 * @retval -ENOENT it gave no such address
 * @since 0.1
 */
int iommufd_viommu_munmap(struct iommufd_viommu *viommu, void *addr);

/* ---- Their devices ---- */

/**
 * @brief Tell a virtual IOMMU what the guest knows a device as.
 *
 * @param viommu  the virtual IOMMU
 * @param dev     the device. It may be freed before; it then stays open in the kernel until this one is freed
 * @param virt_id a stream ID, a requester ID: what identifies it to the virtual IOMMU
 * @param out     the virtual device; give it to iommufd_vdevice_free()
 *
 * @retval -EINVAL     the two are of different contexts, or the device is behind another IOMMU
 * @retval -EEXIST     the device has one already, or another one has the number
 * @retval -EOPNOTSUPP the device has no number, or not on this backend
 * @retval -ENOTTY     the kernel is older than Linux 6.13
 *
 * Source: IOMMU_VDEVICE_ALLOC (Linux 6.13).
 * @since 0.1
 */
int iommufd_vdevice_new(struct iommufd_viommu *viommu, struct iommufd_device *dev, uint64_t virt_id,
			struct iommufd_vdevice **out);

/**
 * @brief Free a virtual device.
 *
 * @param vdevice the virtual device, or NULL
 * @since 0.1
 */
void iommufd_vdevice_free(struct iommufd_vdevice *vdevice);

/**
 * @brief The number of its object in the iommufd, for calls that the library does not make.
 *
 * @param vdevice the virtual device
 * @return the number, never 0
 * @since 0.1
 */
uint32_t iommufd_vdevice_id(const struct iommufd_vdevice *vdevice);

/* ---- Their events ---- */

/** Most events that a queue can be made for. */
#define IOMMUFD_VEVENTQ_MAX_DEPTH (1u << 19)

/** What an event is like. */
enum {
	IOMMUFD_VEVENT_LOST = 1u << 0, /**< `lost` events before it did not fit */
};

/** An event, or the news that some were lost. */
struct iommufd_vevent {
	uint32_t flags;    /**< IOMMUFD_VEVENT_LOST */
	uint32_t sequence; /**< its number, 0 to 2^31 - 1 and then from 0 again; lost ones are counted too */
	uint32_t lost;     /**< how many are missing between the one that was read before and this one */
	uint32_t len;      /**< bytes of the vendor's data; 0 when there is no event here, only lost ones */
};

/**
 * @brief Make a queue of a virtual IOMMU's events of one type.
 *
 * @param viommu the virtual IOMMU; it may be freed before the queue
 * @param type   IOMMU_VEVENTQ_TYPE_* of the kernel
 * @param depth  how many events it holds: 1 to IOMMUFD_VEVENTQ_MAX_DEPTH; further ones are lost
 * @param out    the queue; give it to iommufd_veventq_free()
 *
 * @retval -EINVAL     the depth is out of range
 * @retval -EEXIST     the virtual IOMMU has a queue of this type
 * @retval -EOPNOTSUPP the type is 0
 * @retval -ENOTTY     the kernel is older than Linux 6.15
 * @retval -EMFILE     no file descriptor is left
 *
 * Source: IOMMU_VEVENTQ_ALLOC (Linux 6.15).
 * @since 0.1
 */
int iommufd_veventq_new(struct iommufd_viommu *viommu, uint32_t type, uint32_t depth, struct iommufd_veventq **out);

/**
 * @brief Free a queue of events.
 *
 * @param q the queue, or NULL
 * @since 0.1
 */
void iommufd_veventq_free(struct iommufd_veventq *q);

/**
 * @brief The queue's file descriptor, for poll(): readable when there is an event, or some were lost.
 *
 * It stays the library's. Do not read it, or the library takes what it does not see for lost.
 *
 * @param q the queue
 * @return the descriptor
 *
 * @retval -EPERM in a child process
 * @since 0.1
 */
int iommufd_veventq_fd(const struct iommufd_veventq *q);

/**
 * @brief Take one event out of the queue. Does not wait.
 *
 * @param q     the queue
 * @param event what there was
 * @param data  room for the vendor's data
 * @param size  bytes; more than 4096 are not needed
 * @return 1, or 0 when there is nothing
 *
 * @retval -EMSGSIZE the next event has more data than `size`; it stays in the queue
 * @retval -ENOMEM   no memory; nothing was taken
 * @retval -EPROTO   the kernel gave something that is no event
 *
 * Source: read() of the queue (Linux 6.15).
 * @since 0.1
 */
int iommufd_veventq_read(struct iommufd_veventq *q, struct iommufd_vevent *event, void *data, size_t size);

/* ---- Their queues ---- */

/**
 * @brief Let the hardware read a queue in the guest's memory by itself.
 *
 * The memory must be contiguous physically: a huge page is, see IOMMUFD_DMA_HUGE. It cannot be unmapped from the IOAS
 * (-EBUSY) as long as the queue is there.
 *
 * @param viommu the virtual IOMMU; it may be freed before the queue
 * @param type   IOMMU_HW_QUEUE_TYPE_* of the kernel
 * @param index  which of the virtual IOMMU's. Most want them made in ascending order; the library destroys them in the
 *               other one, whatever order they are freed in
 * @param iova   where the queue is, in the IOAS that the nest parent shows
 * @param len    bytes
 * @param out    the queue; give it to iommufd_hwqueue_free()
 *
 * @retval -EINVAL     `len` is 0, or the hardware has no such queue
 * @retval -EOVERFLOW  it goes past 2^64
 * @retval -EEXIST     there is one of this index
 * @retval -EIO        the queue of the index before is not there
 * @retval -ENOENT     not all of it is mapped
 * @retval -EFAULT     the memory is not contiguous
 * @retval -EOPNOTSUPP the IOMMU has no such queues
 * @retval -ENOTTY     the kernel is older than Linux 6.17
 *
 * Source: IOMMU_HW_QUEUE_ALLOC (Linux 6.17).
 * @since 0.1
 */
int iommufd_hwqueue_new(struct iommufd_viommu *viommu, uint32_t type, uint32_t index, uint64_t iova, uint64_t len,
			struct iommufd_hwqueue **out);

/**
 * @brief Free a queue. It stays inside as long as one of a higher index is there.
 *
 * @param q the queue, or NULL
 * @since 0.1
 */
void iommufd_hwqueue_free(struct iommufd_hwqueue *q);

/**
 * @brief The number of its object in the iommufd, for calls that the library does not make.
 *
 * @param q the queue
 * @return the number, never 0
 * @since 0.1
 */
uint32_t iommufd_hwqueue_id(const struct iommufd_hwqueue *q);

IOMMUFD_END_DECLS

#endif
