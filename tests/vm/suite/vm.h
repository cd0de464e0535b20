/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the tests in the guest share. They run as root, on the devices of tests/vm/machines/common. */
#ifndef VM_H
#define VM_H

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include <libiommufd.h>

#define EDU  "0000:00:03.0"
#define NVME "0000:00:04.0"
/*
 * These share an IOMMU group, and their places differ from machine to machine. The last has a driver of the kernel,
 * virtio-pci, that owns its DMA when bound.
 */
extern char vm_twins[3][16];
#define TWIN_A      vm_twins[0]
#define TWIN_B      vm_twins[1]
#define TWIN_VIRTIO vm_twins[2]

#define PAGE 4096u
#define RW   (IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE)

/*
 * Here no IOVA can be: on x86 interrupts are written there, on Arm the kernel has it for the same. It is 1 MiB long. In
 * words it is the mapping of its first page, and the range below.
 */
#if defined(__aarch64__)
#define MSI_WINDOW       UINT64_C(0x8000000)
#define MSI_WINDOW_PAGE  "0x8000000-0x8000fff"
#define MSI_WINDOW_BELOW "0x0-0x7ffffff"
#else
#define MSI_WINDOW       UINT64_C(0xfee00000)
#define MSI_WINDOW_PAGE  "0xfee00000-0xfee00fff"
#define MSI_WINDOW_BELOW "0x0-0xfedfffff"
#endif

/* A way from the program to a device. */
struct path {
	const char *name;
	uint32_t backend;
	bool (*there)(void); /* on this machine, as far as nodes tell */
	void (*use)(void);   /* sets the two variables below */
	bool by_node;        /* devices are opened by their own node */
	bool hide_nodes;     /* the library is not to see these nodes */
	bool hide_v2;        /* nor version 2 of type 1 */
	bool noiommu;        /* for devices without an IOMMU */
	bool compat;         /* iommufd serves the container */
	bool mock;           /* the kernel's own devices for tests, see mock.h, and no others */
};

/* The i-th of all paths, whether they are there or not; NULL behind the last. */
const struct path *vm_paths(size_t i);
bool vm_has_path(const struct path *path);

/* The path that the running test goes, and its backend. */
extern const struct path *vm_path;
extern uint32_t vm_backend;

/* Whether the library is to see 0 as the answer to an ioctl, on this path. */
bool vm_hides(unsigned long request, const void *arg);

/* A context with an IOAS, and perhaps a device that is attached to it. */
struct bed {
	struct iommufd_ctx *ctx;
	struct iommufd_ioas *ioas;
	struct iommufd_device *dev;
};

void bed_open(struct bed *bed);
void bed_open_device(struct bed *bed, const char *address);
void bed_attach(struct bed *bed, const char *address);
void bed_close(struct bed *bed);

/* Fails the test unless the call succeeds; its result. */
#define ok(call) vm_ok((call), #call, __FILE__, __LINE__)
int vm_ok(int ret, const char *call, const char *file, int line);

/* Fails the test unless the call gives this errno, with these words somewhere in the message. */
#define fails(call, err, words) vm_fails((call), err, words, #call, __FILE__, __LINE__)
void vm_fails(int ret, int err, const char *words, const char *call, const char *file, int line);

/* The same where the path cannot do what the test is about: tests/device-table tells what it answers instead. */
#define lacks(call, err, words) vm_lacks((call), err, words, #call, __FILE__, __LINE__)
void vm_lacks(int ret, int err, const char *words, const char *call, const char *file, int line);

/* Anonymous memory, not touched yet. */
void *memory(size_t len);

/* Binds a device to a driver, or with NULL to none, and waits until it is. */
void vm_bind(const char *address, const char *driver);

/* The driver that has a device, "" for none; until the next call. */
const char *vm_driver(const char *address);

/*
 * From now on a device that is bound to vfio-pci is enabled also while nobody has it open. Opening it then makes no use
 * of ACPI, whose interpreter frees what it has not got when the kernel's memory is short.
 */
void vm_keep_enabled(const char *address, bool on);

/* Where sysfs has a device, or with "/.." what is above it; `path` has room for PATH_MAX bytes. */
void vm_sysfs(const char *address, char *path);

/* The number of a device's IOMMU group, and the path of its node under /dev/vfio/devices; "" for none. */
int vm_group(const char *address);
bool vm_noiommu(const char *address);
void vm_cdev(const char *address, char *path, size_t size);

/* Becomes an ordinary user for good, without capabilities, with this limit of locked memory. */
void vm_become_user(size_t memlock);

/* Lets every user open the nodes that the path uses for a device. */
void vm_open_to_all(const char *address);

/* A process of its own that holds a device, attached, until our end of the pipe is closed. */
struct vm_other {
	pid_t pid;
	int leash;
	char words[64]; /* how the library is to name it */
};

void vm_hold(const char *address, struct vm_other *other);
void vm_let_go(const struct vm_other *other);

/* Fails the test unless the diagnosis of a device finds this about a subject, for the path's backend or for all. */
void vm_finds(const char *address, const char *subject, int err, const char *words);

/* From now on the kernel's log may have lines that match; any other sign of trouble still fails the test. */
void vm_expect_kernel(const char *regex);

/* From now on a device may be refused at this page by the IOMMU, and nothing else. */
void vm_expect_fault(const char *address, uint64_t iova);

/* Whether a device has a node of its own. */
bool vm_has_node(const char *address);

/*
 * Fails the test when an eventfd was signalled by an interrupt that a device has sent by now: each CPU has handled what
 * it was told of.
 */
void vm_is_silent(int fd);

int open_fds(void);

/* The first number of the kernel's version. */
unsigned long vm_linux(void);

/* Whether the kernel tells what is in transparent huge pages, and whether it knows NUMA nodes. */
bool vm_tells_huge(void);
bool vm_has_nodes(void);

/* How often a test is to do what it does: the variable of the environment, or the number. */
unsigned long vm_rounds(const char *variable, unsigned long usual);

/* How many mappings a VFIO container that is made from now on takes. False where the kernel has no such containers. */
#define VM_USUAL_MAP_LIMIT 65535
bool vm_set_map_limit(unsigned long limit);

/* Whether the IOMMU is Arm's. */
bool vm_behind_smmuv3(void);

/* Whether the path that is being tested can move an attached device: iommufd with nodes can. */
bool vm_can_replace(void);

/* Whether the twins are behind a bridge, and not on the same bus as the others. */
bool vm_twins_have_bridge(void);

/* Whether the path can map one device's memory for another. */
bool vm_can_lend(void);

/* ---- The edu device ---- */

struct edu {
	struct iommufd_device *dev;
	void *bar;
};

enum {
	EDU_ID = 0x00,
	EDU_LIVENESS = 0x04,
	EDU_FACTORIAL = 0x08,
	EDU_STATUS = 0x20,
	EDU_IRQ_STATUS = 0x24,
	EDU_IRQ_RAISE = 0x60,
	EDU_IRQ_ACK = 0x64,
	EDU_DMA_SRC = 0x80,
	EDU_DMA_DST = 0x88,
	EDU_DMA_COUNT = 0x90,
	EDU_DMA_CMD = 0x98,
	EDU_BUFFER = 0x40000,
};

/* Its buffer has 4096 bytes, but QEMU before 8 takes moving the last of them for a fatal mistake. */
#define EDU_CHUNK 2048u

/* Maps its registers and lets it be a bus master. */
void edu_setup(struct edu *edu, struct iommufd_device *dev);

/* A device is not detached while they are mapped; the second does both. */
void edu_unmap(struct edu *edu);
void edu_detach(struct edu *edu);

/* Moves up to EDU_CHUNK bytes between memory and the device's own buffer, and waits until it says that it is done. */
void edu_read_memory(struct edu *edu, uint64_t iova, size_t len);
void edu_write_memory(struct edu *edu, uint64_t iova, size_t len);

/* Fails the test unless the device moves a pattern from one IOVA to another. */
void edu_copy_works(struct edu *edu, uint64_t from, void *from_vaddr, uint64_t to, void *to_vaddr);

/* ---- Suites ---- */

/* Adds the tests of a file to a case that runs on vm_backend; vm.c calls it once for each backend that is there. */
void add_ctx_tests(TCase *tc);
void add_ioas_tests(TCase *tc);
void add_stage_tests(TCase *tc);
void add_hwpt_tests(TCase *tc);
void add_smmuv3_tests(TCase *tc);
void add_nested_tests(TCase *tc);
void add_contract_tests(TCase *tc);
void add_allow_tests(TCase *tc);
void add_place_tests(TCase *tc);
void add_copy_tests(TCase *tc);
void add_process_tests(TCase *tc);
void add_coherent_tests(TCase *tc);
void add_kvm_tests(TCase *tc);
void add_kvm_refusal_tests(TCase *tc);
void add_dma_tests(TCase *tc);
void add_pages_tests(TCase *tc);
void add_pool_tests(TCase *tc);
void add_device_tests(TCase *tc);
void add_region_tests(TCase *tc);
void add_window_tests(TCase *tc);
void add_bars_tests(TCase *tc);
void add_irq_tests(TCase *tc);
void add_pci_tests(TCase *tc);
void add_driver_tests(TCase *tc);
void add_mdev_tests(TCase *tc);
void add_vectors_tests(TCase *tc);
void add_refusal_tests(TCase *tc);
void add_file_tests(TCase *tc);
void add_fork_tests(TCase *tc);
void add_replace_tests(TCase *tc);
void add_batch_tests(TCase *tc);
void add_batch_threads_tests(TCase *tc);
void add_adopt_tests(TCase *tc);
void add_handed_tests(TCase *tc);
void add_bound_tests(TCase *tc);
void add_inject_tests(TCase *tc);
void add_permission_tests(TCase *tc);
void add_words_tests(TCase *tc);
void add_diagnose_tests(TCase *tc);
void add_threads_tests(TCase *tc);
void add_threads_more_tests(TCase *tc);
void add_dirty_tests(TCase *tc);
void add_uapi_tests(TCase *tc);
void add_reset_tests(TCase *tc);
void add_peer_tests(TCase *tc);
void add_peer_away_tests(TCase *tc);
void add_peer_device_tests(TCase *tc);
void add_dmabuf_tests(TCase *tc);

/* The same for the machine `device`. */
void add_sriov_tests(TCase *tc);
void add_sriov_io_tests(TCase *tc);
void add_qemu_tests(TCase *tc);
void add_feature_tests(TCase *tc);
void add_migration_tests(TCase *tc);
void add_migration_life_tests(TCase *tc);
void add_hotplug_tests(TCase *tc);

/* The same for the path `mock`. */
void add_mock_bed_tests(TCase *tc);
void add_mock_fault_tests(TCase *tc);
void add_mock_hwpt_tests(TCase *tc);
void add_mock_ioas_tests(TCase *tc);
void add_mock_fork_tests(TCase *tc);
void add_mock_order_tests(TCase *tc);
void add_mock_queue_tests(TCase *tc);
void add_mock_viommu_tests(TCase *tc);
void add_mock_dirty_tests(TCase *tc);
void add_mock_dirty_fail_tests(TCase *tc);

/* The same for tests of machines rather than of backends. */
void add_probe_tests(TCase *tc);
void add_multipath_tests(TCase *tc);
void add_monitor_tests(TCase *tc);
void add_noiommu_tests(TCase *tc);
void add_file_noiommu_tests(TCase *tc);
void add_dmabuf_noiommu_tests(TCase *tc);
void add_iommu_tests(TCase *tc);
void add_no_iommu_tests(TCase *tc);
void add_no_iommufd_tests(TCase *tc);

#endif
