/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file ctx.h
 * @brief Contexts: choosing, opening and adopting a backend.
 */
#ifndef LIBIOMMUFD_CTX_H
#define LIBIOMMUFD_CTX_H

#include <libiommufd/base.h>

IOMMUFD_BEGIN_DECLS

/** The backends. */
enum {
	/** The first that is usable, in the order iommufd, VFIO; `$LIBIOMMUFD_BACKEND` may name one. */
	IOMMUFD_BACKEND_AUTO = 0,
	/**
	 * `/dev/iommu` (Linux 6.2), with devices opened by their own node (6.6), or by their group where they have
	 * none.
	 */
	IOMMUFD_BACKEND_IOMMUFD = 1,
	/** `/dev/vfio/vfio` and VFIO groups, with a type1v2 or type1 IOMMU. */
	IOMMUFD_BACKEND_VFIO = 2,
};

/** Flags of a context's options. */
enum {
	/**
	 * Let devices be opened that VFIO runs without an IOMMU. UNSAFE: such a device's DMA reaches all memory of the
	 * machine, so a mistake in the program or in the device can destroy or disclose anything. Only root can, and
	 * the administrator must have set vfio's parameter `enable_unsafe_noiommu_mode`. The addresses that such a
	 * device needs are those of iommufd_ioas_to_iovas(), and no others. Unless the device is opened by its own node
	 * (Linux 7.3), memory is kept in its place with mlock(), which does not count. The context unlocks a page with
	 * the last of its mappings, in whichever IOAS, but knows nothing of others: map it in one context only, and
	 * neither mlock() nor munlock() it yourself.
	 *
	 * Locked memory can still be moved, of which the log warns once: by compaction unless the sysctl
	 * `vm.compact_unevictable_allowed` is 0, by NUMA balancing unless `kernel.numa_balancing` is 0, by khugepaged,
	 * which puts pages together to a huge one, and by who asks for it, such as move_pages(). Buffers of
	 * iommufd_dma_alloc() are kept from khugepaged; do that for memory of your own by madvise() with
	 * MADV_NOHUGEPAGE, before it is mapped. Huge pages that were set aside (IOMMUFD_DMA_HUGE) are moved by none of
	 * the first three.
	 */
	IOMMUFD_CTX_NOIOMMU = 1u << 0,
};

/** What a context may be able to do, see iommufd_ctx_has(). */
enum {
	IOMMUFD_HAS_COPY = 1,           /**< mappings of one IOAS shown in another */
	IOMMUFD_HAS_MAP_FILE = 2,       /**< files mapped: by the kernel since Linux 6.13, else by the library */
	IOMMUFD_HAS_ALLOW_IOVAS = 3,    /**< a list of the only IOVAs that may be picked */
	IOMMUFD_HAS_HUGE_PAGES = 4,     /**< huge pages of an IOAS switched off */
	IOMMUFD_HAS_RLIMIT_MODE = 5,    /**< locked memory counted for the process, in place of the user */
	IOMMUFD_HAS_VFIO_IOAS = 6,      /**< an IOAS for old calls of VFIO on the same iommufd */
	IOMMUFD_HAS_CHANGE_PROCESS = 7, /**< locked memory handed over to another process (Linux 6.14) */
	IOMMUFD_HAS_HW_INFO = 8,        /**< a device's IOMMU tells what it is (Linux 6.6) */
	IOMMUFD_HAS_HWPT = 9,           /**< page tables of one's own (Linux 6.6) */
	IOMMUFD_HAS_NESTING = 10,       /**< page tables that a guest fills, and their invalidation (Linux 6.8) */
	IOMMUFD_HAS_DIRTY = 11,         /**< which pages were written is told (iommufd: Linux 6.7) */
	IOMMUFD_HAS_FAULTS = 12,        /**< queues of page faults (Linux 6.11) */
	IOMMUFD_HAS_VIOMMU = 13,        /**< virtual IOMMUs (Linux 6.13) */
	IOMMUFD_HAS_VDEVICE = 14,       /**< their devices (Linux 6.13) */
	IOMMUFD_HAS_VEVENTQ = 15,       /**< their queues of events (Linux 6.15) */
	IOMMUFD_HAS_HW_QUEUE = 16,      /**< their queues in hardware (Linux 6.17) */
	IOMMUFD_HAS_PHYSICAL = 17,      /**< memory for devices without an IOMMU kept by the kernel (Linux 7.3) */
	IOMMUFD_HAS_REPLACE = 18,       /**< devices that have a node moved while attached (Linux 6.6) */
};

/** How much a context's log callback hears. A level includes those with a smaller number. */
enum {
	IOMMUFD_LOG_NONE = 0,  /**< nothing */
	IOMMUFD_LOG_ERROR = 1, /**< what the library could not undo, for instance while freeing */
	IOMMUFD_LOG_WARN = 2,  /**< what works but is not what one would expect, for instance a backend passed over */
	IOMMUFD_LOG_INFO = 3,  /**< decisions: the backend, the IOMMU type, replayed mappings */
	IOMMUFD_LOG_DEBUG = 4, /**< each ioctl with its arguments and its result */
};

/**
 * @brief A log callback.
 *
 * It is called from the thread that called the library, or from one that iommufd_ioas_map_batch() has made, and must
 * not call the library itself.
 *
 * @param data    as given in the options
 * @param level   one of IOMMUFD_LOG_ERROR to IOMMUFD_LOG_DEBUG
 * @param message a line without its end of line, valid during the call
 */
typedef void (*iommufd_log_fn)(void *data, int level, const char *message);

/** Options of a context. Set `struct_size`, leave at zero what does not matter. */
struct iommufd_ctx_opts {
	size_t struct_size; /**< `sizeof(struct iommufd_ctx_opts)` */
	uint32_t backend;   /**< IOMMUFD_BACKEND_AUTO, or the one backend to use and no other */
	uint32_t log_level; /**< how much `log` hears: IOMMUFD_LOG_NONE to IOMMUFD_LOG_DEBUG */
	uint32_t flags;     /**< IOMMUFD_CTX bits */
	/**
	 * How pinned memory is to be counted: IOMMUFD_MEMLOCK_USER or IOMMUFD_MEMLOCK_PROCESS; 0 leaves it as it is,
	 * which is by user on iommufd and by process on VFIO. To change it takes CAP_SYS_RESOURCE, and an iommufd in
	 * which there is nothing yet.
	 */
	uint32_t memlock_mode;
	iommufd_log_fn log; /**< the callback, or NULL for silence */
	void *log_data;     /**< handed to `log` */
};

/**
 * @brief Open a context.
 *
 * With IOMMUFD_BACKEND_AUTO the choice is made here, once, and never changes. `$LIBIOMMUFD_BACKEND` set to `iommufd`
 * or `vfio` then forces one; the variable is not looked at in programs that run with raised privileges, nor when the
 * options name a backend. `$LIBIOMMUFD_LOG` set to `error`, `warn`, `info` or `debug` writes to the standard error
 * stream when the options have no callback. Nothing is attached or mapped, and no device is touched.
 *
 * @param opts options, or NULL for all defaults
 * @param out  the new context; give it to iommufd_ctx_free()
 *
 * @retval -EINVAL     a member of `opts` or `$LIBIOMMUFD_BACKEND` has a value that means nothing
 * @retval -E2BIG      `opts` has a member that this library does not know
 * @retval -ENOENT     the kernel has no node for the backend: no `/dev/iommu`, no `/dev/vfio/vfio`
 * @retval -EACCES     the node is there, and its permissions are in the way
 * @retval -ENODEV     the node is there, and the kernel's driver for it is not
 * @retval -EOPNOTSUPP the container serves no IOMMU type that this library knows; or VFIO was to count by user
 * @retval -EPERM      how memory is counted may be changed with CAP_SYS_RESOURCE only
 * @retval -ENOMEM     no memory
 *
 * With IOMMUFD_BACKEND_AUTO and no usable backend the result is that of iommufd, and the words have the reasons of
 * both.
 *
 * Source: `open("/dev/iommu")` (Linux 6.2); `open("/dev/vfio/vfio")`, VFIO_GET_API_VERSION, VFIO_CHECK_EXTENSION.
 * @since 0.1
 */
int iommufd_ctx_new(const struct iommufd_ctx_opts *opts, struct iommufd_ctx **out);

/**
 * @brief Adopt an open file descriptor: of `/dev/iommu`, or of a VFIO container.
 *
 * Which of the two it is, is found by asking the kernel. The descriptor is duplicated and stays the caller's. A
 * container serves one IOAS of the context at a time; a second one beside it opens a container of its own. Mappings
 * that others have made in it are not known: a place that one of them has is refused with -EEXIST when it is asked for
 * with IOMMUFD_MAP_FIXED, and else passed over. What is mapped before the container has a group keeps its place, and an
 * attach fails when that is taken by then.
 *
 * @param fd   the descriptor
 * @param opts options, or NULL; `opts->backend` must be AUTO or fit what the descriptor is
 * @param out  the new context; give it to iommufd_ctx_free()
 *
 * @retval -EBADF  `fd` is not open
 * @retval -EINVAL `fd` is neither an iommufd nor a container, or not of the backend that `opts` names; or see
 *                 iommufd_ctx_new() for the options
 * @retval -E2BIG, -EPERM, -EOPNOTSUPP  as for iommufd_ctx_new()
 * @retval -EBUSY  there is something in the iommufd, so that it is too late to change how memory is counted
 * @retval -EMFILE no file descriptor is left
 * @retval -ENOMEM no memory
 *
 * Source: IOMMU_OPTION, which only an iommufd answers when asked for IOMMU_OPTION_RLIMIT_MODE; VFIO_GET_API_VERSION.
 * @since 0.1
 */
int iommufd_ctx_from_fd(int fd, const struct iommufd_ctx_opts *opts, struct iommufd_ctx **out);

/**
 * @brief Adopt an open node of an IOMMU group, `/dev/vfio/NUMBER`.
 *
 * Devices of that group are then opened through it, by either backend, also where the process may not open nodes
 * itself. The descriptor is duplicated and stays the caller's; the kernel lets a group be opened once, so it must have
 * been opened for this.
 *
 * A group that is in no container is put into one when a device of it is attached, and (VFIO) taken out with the last.
 * One that is in a container then is left there, also at the end: who put it there takes it out. That container must be
 * the one that the context has adopted, and no other; on VFIO, attach to the IOAS that was made first. The kernel does
 * not tell where a group is. iommufd_device_attach() finds out another container and says -EBUSY, but on VFIO, where
 * the context has adopted a container, only while that one has no other group (where iommufd serves it, while it never
 * had one): so to give what belongs together is up to the caller. While devices are used and mappings are kept, leave
 * it there: with the last group a container loses all mappings, which is not seen when a group comes back in the
 * meantime.
 *
 * Another device of the group may be in use by who handed it over, in the same container. Iommufd by group refuses
 * that, since all of a group are in one address space: ours is not theirs.
 *
 * @param ctx the context; it holds the group until it is freed
 * @param fd  the descriptor
 *
 * @retval -EBADF  `fd` is not open
 * @retval -EINVAL `fd` is no group's node
 * @retval -EBUSY  the context has a device of the group open, or has adopted it already
 * @retval -ENOMEM, -EMFILE  no memory, no file descriptor left
 *
 * Source: the node's device number; VFIO_GROUP_GET_STATUS and VFIO_GROUP_GET_DEVICE_FD later.
 * @since 0.1
 */
int iommufd_ctx_add_group(struct iommufd_ctx *ctx, int fd);

/**
 * @brief Free a context. IOASes and devices that were made from it stay usable; the last of them frees the rest.
 *
 * @param ctx the context, or NULL
 * @since 0.1
 */
void iommufd_ctx_free(struct iommufd_ctx *ctx);

/**
 * @brief Which backend a context uses.
 *
 * @param ctx the context
 * @return IOMMUFD_BACKEND_IOMMUFD or IOMMUFD_BACKEND_VFIO, never AUTO
 * @since 0.1
 */
uint32_t iommufd_ctx_backend(const struct iommufd_ctx *ctx);

/**
 * @brief The name of a backend: `auto`, `iommufd` or `vfio`.
 *
 * @param backend one of the IOMMUFD_BACKEND constants
 * @return a constant string; `unknown` for any other value
 * @since 0.1
 */
const char *iommufd_backend_name(uint32_t backend);

/**
 * @brief The context's file descriptor: the iommufd, or the container that was opened or adopted first.
 *
 * @param ctx the context
 * @return the descriptor; it stays the library's and is closed with the context
 * @since 0.1
 */
int iommufd_ctx_fd(const struct iommufd_ctx *ctx);

/**
 * @brief Whether a context can do something, before it is tried.
 *
 * Of iommufd the kernel is asked, in a way that changes nothing, and each thing once a context. What the library does
 * by itself where the kernel cannot is there. The answer is of the kernel and of the library: what needs hardware can
 * still be refused for a device, see iommufd_device_hw_info(). That alone tells whether a device has PASIDs, for which
 * the kernel has no answer without one. What is not there is refused with -ENOTTY or -EOPNOTSUPP by the calls that need
 * it.
 *
 * @param ctx     the context
 * @param feature one of the IOMMUFD_HAS constants
 * @return 1 when it can, 0 when it cannot
 *
 * @retval -EINVAL this library does not know the feature
 *
 * Source: each ioctl with a size that is too small: EINVAL when the kernel knows it, and ENOTTY when it does not.
 * @since 0.1
 */
int iommufd_ctx_has(const struct iommufd_ctx *ctx, uint32_t feature);

/**
 * @brief Let old calls of VFIO on the iommufd, and devices that are opened by their group there, use an IOAS.
 *
 * An iommufd can stand for a VFIO container in a program that knows no better. One IOAS of it is what such calls map
 * in, and what a device is attached to when its group hands it out. The library lends it for the moment of an attach by
 * group, and gives it back.
 *
 * @param ctx  the context
 * @param ioas the IOAS, of this context; when it is destroyed, there is none any more
 *
 * @retval -EINVAL     the IOAS is of another context
 * @retval -EOPNOTSUPP on VFIO
 *
 * Source: IOMMU_VFIO_IOAS (Linux 6.2).
 * @since 0.1
 */
int iommufd_ctx_set_compat_ioas(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas);

/**
 * @brief Which IOAS they use.
 *
 * @param ctx the context
 * @param id  its number, to be held against iommufd_ioas_id(): the kernel or another program may have made it
 *
 * @retval -ENOENT     there is none
 * @retval -EOPNOTSUPP on VFIO
 * @retval -EPROTO     the kernel's answer contradicts itself
 *
 * Source: IOMMU_VFIO_IOAS (Linux 6.2).
 * @since 0.1
 */
int iommufd_ctx_get_compat_ioas(struct iommufd_ctx *ctx, uint32_t *id);

/**
 * @brief Let them use none any more. It is no failure when there was none.
 *
 * @param ctx the context
 *
 * @retval -EOPNOTSUPP on VFIO
 *
 * Source: IOMMU_VFIO_IOAS (Linux 6.2).
 * @since 0.1
 */
int iommufd_ctx_clear_compat_ioas(struct iommufd_ctx *ctx);

/**
 * @brief Whether another process can take over what is pinned, see iommufd_ctx_change_process().
 *
 * All IOASes of the context are looked at: each mapping must be of a file, by iommufd_ioas_map_file(). What was mapped
 * through another context, by another process for instance, is not known here.
 *
 * @param ctx the context
 * @return 0 when it can
 *
 * @retval -EINVAL     a mapping is of this process's memory or of a dma-buf; the words name it
 * @retval -EBUSY      another thread is mapping or unmapping; the words name the place
 * @retval -ENOTTY     the kernel does not know it
 * @retval -EOPNOTSUPP on VFIO
 *
 * Source: IOMMU_IOAS_CHANGE_PROCESS (Linux 6.14).
 * @since 0.1
 */
int iommufd_ctx_can_change_process(struct iommufd_ctx *ctx);

/**
 * @brief Make this process the one that the pinned memory of the whole iommufd is counted for.
 *
 * For a program that replaces itself while devices go on: the old process hands the descriptor of the iommufd to the
 * new one, which adopts it with iommufd_ctx_from_fd() and calls this. What is mapped stays mapped meanwhile. From then
 * on the limit of locked memory is the new process's, and the old one may end. The kernel counts for the new one before
 * it stops counting for the old one: where both are of one user, whose memory is counted, the limit must have room for
 * both.
 *
 * @param ctx the context, in the new process
 *
 * @retval -EINVAL     a mapping is of a process's memory, or of a dma-buf: see iommufd_ctx_can_change_process()
 * @retval -EBUSY      something is being mapped
 * @retval -ENOMEM     this process's limit of locked memory does not permit it
 * @retval -ENOTTY     the kernel does not know it
 * @retval -EOPNOTSUPP on VFIO
 *
 * Source: IOMMU_IOAS_CHANGE_PROCESS (Linux 6.14).
 * @since 0.1
 */
int iommufd_ctx_change_process(struct iommufd_ctx *ctx);

IOMMUFD_END_DECLS

#endif
