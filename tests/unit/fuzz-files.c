/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The kernel that lies: what files say, of themselves and when they are read. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "fuzz-answers.h"
#include "sys.h"
#include "uapi/iommufd.h"

#define TMPFS_MAGIC   0x01021994
#define DMA_BUF_MAGIC 0x444d4142
#define MEMORY_SIZE   (UINT64_C(64) << 20)

static uint64_t sometimes(uint64_t right)
{
	return fuzz_byte() >= 0xe8 ? fuzz_number(right) : right;
}

/* ---- Places in files ---- */

static ssize_t move(int fd, void *buf, size_t len, uint64_t offset)
{
	int err = fuzz_mood();
	uint8_t how;

	fuzz_file_of(fd);
	fuzz_check(offset <= INT64_MAX && len <= INT64_MAX - offset, "an access to %zu bytes at 0x%llx", len,
		   (unsigned long long)offset);
	if (err)
		return err;
	how = fuzz_byte();
	for (size_t i = 0; buf && i < len; i++)
		((unsigned char *)buf)[i] = i < 8 ? fuzz_byte() : 0;
	if (how < 0xe0)
		return (ssize_t)len;
	return how & 1 ? (ssize_t)(len / 2) : (ssize_t)(len + how);
}

ssize_t __wrap_ifd_sys_pread(int fd, void *buf, size_t len, uint64_t offset);
ssize_t __wrap_ifd_sys_pread(int fd, void *buf, size_t len, uint64_t offset)
{
	return move(fd, buf, len, offset);
}

ssize_t __wrap_ifd_sys_pwrite(int fd, const void *buf, size_t len, uint64_t offset);
ssize_t __wrap_ifd_sys_pwrite(int fd, const void *buf, size_t len, uint64_t offset)
{
	(void)buf;
	return move(fd, NULL, len, offset);
}

/* ---- Queues ---- */

/* Faults of 40 bytes each; as many as fit, or fewer. */
static ssize_t read_faults(void *buf, size_t len)
{
	size_t fits = len / sizeof(struct iommu_hwpt_pgfault), count = fits - fuzz_byte() % (fits + 1);
	struct iommu_hwpt_pgfault fault;

	for (size_t i = 0; i < count; i++) {
		fault = (struct iommu_hwpt_pgfault){ .flags = fuzz_byte() & 3, .dev_id = fuzz_byte() & 7 };
		fault.cookie = fuzz_byte() & 15;
		fault.pasid = (uint32_t)sometimes(0);
		memcpy((char *)buf + i * sizeof(fault), &fault, sizeof(fault));
	}
	return (ssize_t)(count * sizeof(fault));
}

/* One event, when it fits. */
static ssize_t read_events(void *buf, size_t len)
{
	struct iommufd_vevent_header header = { .flags = fuzz_byte() & 1,
						.sequence = (uint32_t)sometimes(fuzz_byte()) };
	size_t more = header.flags ? 0 : 1 + fuzz_byte();

	if (len < sizeof(header) + more)
		return -EINVAL;
	memcpy(buf, &header, sizeof(header));
	memset((char *)buf + sizeof(header), 1, more);
	return (ssize_t)(sizeof(header) + more);
}

ssize_t __wrap_ifd_sys_read(int fd, void *buf, size_t len);
ssize_t __wrap_ifd_sys_read(int fd, void *buf, size_t len)
{
	struct fuzz_file *file = fuzz_file_of(fd);
	int err = fuzz_mood();
	ssize_t n;

	if (err)
		return err;
	n = file->kind == FUZZ_FAULTS ? read_faults(buf, len) : read_events(buf, len);
	fuzz_tell("  read %zu bytes of %d: %zd", len, fd, n);
	return n < 0 ? n : (ssize_t)(sometimes((uint64_t)n) & INT64_MAX);
}

ssize_t __wrap_ifd_sys_write(int fd, const void *buf, size_t len);
ssize_t __wrap_ifd_sys_write(int fd, const void *buf, size_t len)
{
	int err = fuzz_mood();

	fuzz_check((fuzz_file_of(fd)->kind == FUZZ_FAULTS || fuzz_file_of(fd)->kind == FUZZ_STREAM) && buf,
		   "%zu bytes are written to what is no queue", len);
	return err ? err : (ssize_t)(sometimes(len) & INT64_MAX);
}

/* ---- What they are ---- */

static int tell(enum fuzz_kind kind, struct stat *st)
{
	int err = fuzz_mood();

	if (err)
		return err;
	if (kind == FUZZ_MEMORY)
		*st = (struct stat){ .st_mode = S_IFREG | 0600, .st_size = (off_t)sometimes(MEMORY_SIZE) };
	else
		*st = (struct stat){ .st_mode = S_IFCHR | 0600, .st_rdev = makedev(10, 196) };
	return 0;
}

int __wrap_ifd_sys_stat(const char *path, struct stat *st);
int __wrap_ifd_sys_stat(const char *path, struct stat *st)
{
	(void)path;
	return tell(FUZZ_KINDS, st);
}

int __wrap_ifd_sys_fstat(int fd, struct stat *st);
int __wrap_ifd_sys_fstat(int fd, struct stat *st)
{
	return tell(fuzz_file_of(fd)->kind, st);
}

int __wrap_ifd_sys_fstatfs(int fd, struct statfs *fs);
int __wrap_ifd_sys_fstatfs(int fd, struct statfs *fs)
{
	int err = fuzz_mood();

	fuzz_file_of(fd);
	if (err)
		return err;
	*fs = (struct statfs){ .f_type = fuzz_byte() < 0xe8 ? TMPFS_MAGIC : DMA_BUF_MAGIC,
			       .f_bsize = (__typeof__(fs->f_bsize))sometimes(4096) };
	return 0;
}

int __wrap_ifd_sys_fcntl(int fd, int command);
int __wrap_ifd_sys_fcntl(int fd, int command)
{
	int err = fuzz_mood();

	fuzz_file_of(fd);
	return err ? err : (int)(sometimes(command == F_GETFL ? O_RDWR : 0) & INT32_MAX);
}

/* ---- Text ---- */

/* What the file should say, or noise of any length. */
static ssize_t say(const char *text, char *buf, size_t size)
{
	int err = fuzz_mood();
	size_t len;

	if (err)
		return err;
	len = fuzz_byte();
	if (len < 0xe0) {
		snprintf(buf, size, "%s", text);
		return (ssize_t)strlen(buf);
	}
	len = len == 0xff ? size - 1 : len & 31;
	len = len < size ? len : size - 1;
	for (size_t i = 0; i < len; i++)
		buf[i] = fuzz_dry() ? "0x -\n9f"[i % 7] : (char)fuzz_byte();
	buf[len] = '\0';
	return (ssize_t)len;
}

ssize_t __wrap_ifd_sys_read_text(const char *path, char *buf, size_t size);
ssize_t __wrap_ifd_sys_read_text(const char *path, char *buf, size_t size)
{
	if (strstr(path, "reserved_regions"))
		return say("0x00000000fee00000 0x00000000feefffff msi\n", buf, size);
	if (strstr(path, "uid_map"))
		return say("         0          0 4294967295\n", buf, size);
	return say("65535\n", buf, size);
}

ssize_t __wrap_ifd_sys_readlink(const char *path, char *buf, size_t size);
ssize_t __wrap_ifd_sys_readlink(const char *path, char *buf, size_t size)
{
	if (!strncmp(path, "/proc/", strlen("/proc/")))
		return say("anon_inode:[eventfd]", buf, size);
	/* Of a device: most have nothing to do with virtual functions. */
	if (fuzz_byte() < 0xc0)
		return -ENOENT;
	return say(strstr(path, "physfn") ? "../0000:00:04.0" : "../0000:00:03.1", buf, size);
}

int __wrap_ifd_sys_each_name(const char *path, ifd_sys_text_fn fn, void *data);
int __wrap_ifd_sys_each_name(const char *path, ifd_sys_text_fn fn, void *data)
{
	int err = fuzz_mood();

	(void)path;
	for (uint8_t left = fuzz_byte() & 3; !err && left; left--)
		if (!fn(data, fuzz_byte() & 1 ? "4711" : "."))
			break;
	return err;
}
