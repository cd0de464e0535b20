/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm.h"

int vm_ok(int ret, const char *call, const char *file, int line)
{
	if (ret < 0)
		_ck_assert_failed(file, line, "Assertion failed", "%s gave %d: %s", call, ret, iommufd_errmsg());
	_mark_point(file, line);
	return ret;
}

void vm_fails(int ret, int err, const char *words, const char *call, const char *file, int line)
{
	const char *said = iommufd_errmsg();

	if (ret != err)
		_ck_assert_failed(file, line, "Assertion failed", "%s gave %d (%s), not %d (%s): %s", call, ret,
				  strerror(-ret), err, strerror(-err), said);
	if (!strstr(said, words) || !strstr(said, strerror(-err)))
		_ck_assert_failed(file, line, "Assertion failed", "%s: \"%s\" is not in the words \"%s\"", call, words,
				  said);
	_mark_point(file, line);
}

void vm_lacks(int ret, int err, const char *words, const char *call, const char *file, int line)
{
	vm_fails(ret, err, words, call, file, line);
	printf("# lacks: %s | %s | %s | %s\n", tcase_name(), vm_path->name, strerrorname_np(-err), iommufd_errmsg());
	fflush(stdout);
}

void bed_open(struct bed *bed)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts), .backend = vm_backend };

	*bed = (struct bed){ .ctx = NULL };
	ok(iommufd_ctx_new(&opts, &bed->ctx));
	ck_assert_uint_eq(iommufd_ctx_backend(bed->ctx), vm_backend);
	ok(iommufd_ioas_new(bed->ctx, &bed->ioas));
}

void bed_open_device(struct bed *bed, const char *address)
{
	bed_open(bed);
	ok(iommufd_device_new(bed->ctx, address, &bed->dev));
}

void bed_attach(struct bed *bed, const char *address)
{
	bed_open_device(bed, address);
	ok(iommufd_device_attach(bed->dev, bed->ioas));
}

void bed_close(struct bed *bed)
{
	iommufd_device_free(bed->dev);
	iommufd_ioas_free(bed->ioas);
	iommufd_ctx_free(bed->ctx);
}

bool vm_has_node(const char *address)
{
	char path[128];

	vm_cdev(address, path, sizeof(path));
	return *path;
}

bool vm_twins_have_bridge(void)
{
	return strncmp(TWIN_A, EDU, strlen("0000:00:")) != 0;
}

bool vm_can_replace(void)
{
	return vm_path->by_node;
}

void *memory(size_t len)
{
	void *addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(addr, MAP_FAILED);
	return addr;
}

/* Quiet where the file is not there: a device without a driver has none to unbind. */
static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return n >= 0;
}

static bool bound_to(const char *address, const char *driver)
{
	char path[128], target[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", address);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return !driver;
	target[n] = '\0';
	return driver && !strcmp(strrchr(target, '/') + 1, driver);
}

void vm_bind(const char *address, const char *driver)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver/unbind", address);
	write_text(path, address);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", address);
	ck_assert(write_text(path, driver ? driver : "none"));
	write_text("/sys/bus/pci/drivers_probe", address);
	for (int i = 0; i < 100 && !bound_to(address, driver); i++)
		usleep(20000);
	ck_assert_msg(bound_to(address, driver), "%s cannot be bound to %s", address, driver ? driver : "nothing");
}

const char *vm_driver(const char *address)
{
	static char target[256];
	char path[128];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", address);
	n = readlink(path, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	return n < 0 ? "" : strrchr(target, '/') + 1;
}

void vm_keep_enabled(const char *address, bool on)
{
	char path[128];

	vm_bind(address, NULL); /* who has a driver is enabled by that alone */
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", address);
	ck_assert(write_text(path, on ? "1" : "0"));
	vm_bind(address, "vfio-pci");
}

int vm_group(const char *address)
{
	char path[128], target[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", address);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -1;
	target[n] = '\0';
	return atoi(strrchr(target, '/') + 1);
}

bool vm_noiommu(const char *address)
{
	char path[128], name[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group/name", address);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		name[0] = '\0';
	fclose(file);
	return !strcmp(name, "vfio-noiommu\n");
}

void vm_sysfs(const char *address, char *path)
{
	char link[128];

	snprintf(link, sizeof(link), "/sys/bus/pci/devices/%s", address);
	ck_assert_ptr_nonnull(realpath(link, path));
}

void vm_cdev(const char *address, char *path, size_t size)
{
	char dir[128];
	const struct dirent *entry;
	DIR *children;

	path[0] = '\0';
	snprintf(dir, sizeof(dir), "/sys/bus/pci/devices/%s/vfio-dev", address);
	children = opendir(dir);
	while (children && (entry = readdir(children)))
		if (entry->d_name[0] != '.')
			snprintf(path, size, "/dev/vfio/devices/%.64s", entry->d_name);
	if (children)
		closedir(children);
	if (access(path, F_OK)) /* the kernel has the child even where it has no nodes */
		path[0] = '\0';
}

void vm_become_user(size_t memlock)
{
	struct rlimit limit = { .rlim_cur = memlock, .rlim_max = memlock };

	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setresgid(1000, 1000, 1000), 0);
	ck_assert_int_eq(setresuid(1000, 1000, 1000), 0);
}

void vm_open_to_all(const char *address)
{
	char path[128];

	ck_assert_int_eq(chmod(vm_backend == IOMMUFD_BACKEND_IOMMUFD ? "/dev/iommu" : "/dev/vfio/vfio", 0666), 0);
	if (vm_path->by_node)
		vm_cdev(address, path, sizeof(path));
	else
		snprintf(path, sizeof(path), "/dev/vfio/%d", vm_group(address));
	ck_assert_int_eq(chmod(path, 0666), 0);
}

void vm_hold(const char *address, struct vm_other *other)
{
	int ready[2], leash[2];
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(leash), 0);
	other->pid = fork();
	if (!other->pid) {
		struct bed bed;

		close(leash[1]);
		bed_attach(&bed, address);
		ck_assert_int_eq(write(ready[1], "", 1), 1);
		_exit((int)read(leash[0], &byte, 1));
	}
	close(leash[0]);
	other->leash = leash[1];
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	snprintf(other->words, sizeof(other->words), "is open in process %d (vm-suite)", other->pid);
}

void vm_let_go(const struct vm_other *other)
{
	int status;

	close(other->leash);
	ck_assert_int_eq(waitpid(other->pid, &status, 0), other->pid);
	ck_assert_int_eq(status, 0);
}

unsigned long vm_linux(void)
{
	struct utsname name;

	return uname(&name) ? 0 : strtoul(name.release, NULL, 10);
}

/* A CPU takes the interrupts that are waiting for it before a program that has moved there goes on. */
void vm_is_silent(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	cpu_set_t all, one;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all)) {
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
		}
	ck_assert_int_eq(sched_setaffinity(0, sizeof(all), &all), 0);
	ck_assert_msg(!poll(&poller, 1, 0), "an eventfd was signalled that should not have been");
}

int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* ---- The edu device ---- */

enum {
	EDU_DMA_START = 1,
	EDU_DMA_TO_MEMORY = 2,
};

void edu_setup(struct edu *edu, struct iommufd_device *dev)
{
	edu->dev = dev;
	ok(iommufd_pci_set_master(dev, true));
	ok(iommufd_device_region_map(dev, IOMMUFD_PCI_BAR0, 0, PAGE, PROT_READ | PROT_WRITE, &edu->bar));
}

void edu_unmap(struct edu *edu)
{
	ok(iommufd_device_region_unmap(edu->dev, edu->bar));
	edu->bar = NULL;
}

void edu_detach(struct edu *edu)
{
	edu_unmap(edu);
	ok(iommufd_device_detach(edu->dev));
}

static char *at(const struct edu *edu, unsigned int offset)
{
	return (char *)edu->bar + offset;
}

static void edu_dma(struct edu *edu, uint64_t src, uint64_t dst, size_t len, uint64_t direction)
{
	iommufd_mmio_write64(at(edu, EDU_DMA_SRC), src);
	iommufd_mmio_write64(at(edu, EDU_DMA_DST), dst);
	iommufd_mmio_write64(at(edu, EDU_DMA_COUNT), len);
	iommufd_mmio_write64(at(edu, EDU_DMA_CMD), EDU_DMA_START | direction);
	for (int i = 0; i < 1000 && iommufd_mmio_read64(at(edu, EDU_DMA_CMD)) & EDU_DMA_START; i++)
		usleep(10000);
	ck_assert_msg(!(iommufd_mmio_read64(at(edu, EDU_DMA_CMD)) & EDU_DMA_START), "the device never ended its DMA");
}

void edu_read_memory(struct edu *edu, uint64_t iova, size_t len)
{
	edu_dma(edu, iova, EDU_BUFFER, len, 0);
}

void edu_write_memory(struct edu *edu, uint64_t iova, size_t len)
{
	edu_dma(edu, EDU_BUFFER, iova, len, EDU_DMA_TO_MEMORY);
}

void edu_copy_works(struct edu *edu, uint64_t from, void *from_vaddr, uint64_t to, void *to_vaddr)
{
	unsigned char *src = from_vaddr, *dst = to_vaddr;

	for (size_t i = 0; i < EDU_CHUNK; i++)
		src[i] = (unsigned char)rand();
	memset(dst, 0, EDU_CHUNK);
	edu_read_memory(edu, from, EDU_CHUNK);
	edu_write_memory(edu, to, EDU_CHUNK);
	for (size_t i = 0; i < EDU_CHUNK; i++)
		ck_assert_msg(dst[i] == src[i], "byte %zu is 0x%02x, not 0x%02x", i, dst[i], src[i]);
}

bool vm_set_map_limit(unsigned long limit)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", limit);
	return write_text("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit", text);
}

unsigned long vm_rounds(const char *variable, unsigned long usual)
{
	const char *value = getenv(variable);

	return value ? strtoul(value, NULL, 10) : usual;
}
