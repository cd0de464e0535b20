/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "mock.h"
#include "uapi/iommufd.h"

int mock_ioctl(int fd, struct mock_command *cmd)
{
	int ret;

	cmd->size = sizeof(*cmd);
	ret = ioctl(fd, MOCK_IOCTL, cmd);
	return ret < 0 ? -errno : ret;
}

/* A DMA buffer without a page is not made. */
static int ask_for_dmabuf(void)
{
	struct mock_command cmd = { .op = MOCK_DMABUF_GET };
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC), ret;

	if (fd < 0)
		return -ENOTTY;
	ret = mock_ioctl(fd, &cmd);
	close(fd);
	return ret;
}

bool mock_here(void)
{
	static int here = -1;

	if (here < 0)
		here = ask_for_dmabuf() != -ENOTTY;
	return here;
}

bool mock_new(void)
{
	return ask_for_dmabuf() == -EINVAL;
}

bool mock_old(void)
{
	return ask_for_dmabuf() == -EOPNOTSUPP;
}

/* ---- Devices ---- */

static uint32_t new_ioas(int fd)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	ck_assert_int_eq(ioctl(fd, IOMMU_IOAS_ALLOC, &cmd), 0);
	return cmd.out_ioas_id;
}

static void destroy(int fd, uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	ck_assert_msg(!ioctl(fd, IOMMU_DESTROY, &cmd), "object %u cannot be destroyed: %s", id, strerror(errno));
}

void mock_take(struct mock_device *mock, struct iommufd_ctx *ctx, struct iommufd_device **out)
{
	struct iommufd_device_calls calls = {
		.struct_size = sizeof(calls),
		.attach = mock_attach,
		.detach = mock_detach,
		.pasid_attach = mock_pasid_attach,
		.pasid_detach = mock_pasid_detach,
		.data = mock,
	};

	ok(iommufd_device_from_id(ctx, mock->id, &calls, out));
}

void mock_open(struct mock_device *mock, struct iommufd_ctx *ctx, uint32_t flags)
{
	struct mock_command cmd = { .op = MOCK_DOMAIN_FLAGS, .domain.flags = flags };

	*mock = (struct mock_device){ .fd = fcntl(iommufd_ctx_fd(ctx), F_DUPFD_CLOEXEC, 0) };
	ck_assert_int_ge(mock->fd, 0);
	mock->scratch = new_ioas(mock->fd);
	cmd.id = mock->scratch;
	ck_assert_int_eq(mock_ioctl(mock->fd, &cmd), 0);
	mock->mock = cmd.domain.out_mock;
	mock->id = cmd.domain.out_device;
	mock->hwpt = cmd.domain.out_hwpt;
	mock_take(mock, ctx, &mock->dev);
}

void mock_close(struct mock_device *mock)
{
	iommufd_device_free(mock->dev);
	destroy(mock->fd, mock->mock);
	destroy(mock->fd, mock->scratch);
	close(mock->fd);
}

uint32_t mock_lowest_id(int fd)
{
	uint32_t id = new_ioas(fd);

	destroy(fd, id);
	return id;
}

int mock_attach(void *data, uint32_t pt)
{
	struct mock_device *mock = data;
	struct mock_command cmd = { .op = MOCK_DOMAIN_REPLACE, .id = mock->mock, .replace.pt = pt };
	int ret = mock_ioctl(mock->fd, &cmd);

	if (!ret)
		mock->hwpt = cmd.replace.pt;
	return ret;
}

int mock_detach(void *data)
{
	struct mock_device *mock = data;

	return mock_attach(mock, mock->scratch);
}

static uint32_t *place_of(struct mock_device *mock, uint32_t pasid)
{
	for (size_t i = 0; i < MOCK_PASIDS; i++)
		if (mock->pasids[i] == pasid)
			return &mock->pasids[i];
	return NULL;
}

int mock_pasid_attach(void *data, uint32_t pasid, uint32_t pt)
{
	struct mock_device *mock = data;
	uint32_t *place = place_of(mock, pasid);
	struct mock_command cmd = {
		.op = place ? MOCK_PASID_REPLACE : MOCK_PASID_ATTACH,
		.id = mock->mock,
		.pasid = { pasid, pt },
	};
	int ret;

	place = place ? place : place_of(mock, 0);
	ck_assert_ptr_nonnull(place);
	ret = mock_ioctl(mock->fd, &cmd);
	if (!ret)
		*place = pasid;
	return ret;
}

int mock_pasid_detach(void *data, uint32_t pasid)
{
	struct mock_device *mock = data;
	struct mock_command cmd = { .op = MOCK_PASID_DETACH, .id = mock->mock, .pasid.pasid = pasid };
	uint32_t *place = place_of(mock, pasid);

	if (place)
		*place = 0;
	return mock_ioctl(mock->fd, &cmd);
}

int mock_check_pasid(const struct mock_device *mock, uint32_t pasid, uint32_t hwpt)
{
	struct mock_command cmd = { .op = MOCK_PASID_CHECK_HWPT, .id = mock->mock, .pasid = { pasid, hwpt } };

	return mock_ioctl(mock->fd, &cmd);
}

void mock_trigger_iopf(const struct mock_device *mock, uint32_t pasid, uint32_t group, uint32_t permission,
		       uint64_t addr)
{
	struct mock_command cmd = {
		.op = MOCK_TRIGGER_IOPF,
		.iopf = { mock->id, pasid, group, permission, addr },
	};

	ck_assert_int_eq(mock_ioctl(mock->fd, &cmd), 0);
}

int mock_trigger_vevent(const struct mock_device *mock)
{
	return mock_ioctl(mock->fd, &(struct mock_command){ .op = MOCK_TRIGGER_VEVENT, .vevent.device = mock->id });
}

int mock_check_dev_cache(const struct mock_device *mock, uint32_t entry, uint32_t value)
{
	struct mock_command cmd = { .op = MOCK_CHECK_DEV_CACHE, .id = mock->id, .check_cache = { entry, value } };

	return mock_ioctl(mock->fd, &cmd);
}

/* ---- What is about an iommufd ---- */

int mock_add_reserved(int fd, uint32_t ioas, uint64_t start, uint64_t length)
{
	struct mock_command cmd = { .op = MOCK_ADD_RESERVED, .id = ioas, .add_reserved = { start, length } };

	return mock_ioctl(fd, &cmd);
}

int mock_check_map(int fd, uint32_t hwpt, uint64_t iova, const void *addr, size_t length)
{
	struct mock_command cmd = {
		.op = MOCK_CHECK_MAP,
		.id = hwpt,
		.check_map = { iova, length, (uintptr_t)addr },
	};

	return mock_ioctl(fd, &cmd);
}

int mock_check_refs(int fd, const void *addr, size_t length, uint32_t refs)
{
	struct mock_command cmd = { .op = MOCK_CHECK_REFS, .check_refs = { length, (uintptr_t)addr, refs } };

	return mock_ioctl(fd, &cmd);
}

int mock_dirty(int fd, uint32_t hwpt, uint64_t iova, uint64_t length, uint64_t page_size, const void *bitmap)
{
	struct mock_command cmd = {
		.op = MOCK_DIRTY,
		.id = hwpt,
		.dirty = { 0, iova, length, page_size, (uintptr_t)bitmap, 0 },
	};
	int ret = mock_ioctl(fd, &cmd);

	return ret ? ret : (int)cmd.dirty.out_dirty;
}

int mock_check_iotlb(int fd, uint32_t hwpt, uint32_t entry, uint32_t value)
{
	struct mock_command cmd = { .op = MOCK_CHECK_IOTLB, .id = hwpt, .check_cache = { entry, value } };

	return mock_ioctl(fd, &cmd);
}

void mock_memory_limit(int fd, uint32_t limit)
{
	struct mock_command cmd = { .op = MOCK_MEMORY_LIMIT, .memory_limit.limit = limit };

	ck_assert_int_eq(mock_ioctl(fd, &cmd), 0);
}

/* ---- Accesses ---- */

int mock_access(int fd, uint32_t ioas, uint32_t flags)
{
	struct mock_command cmd = { .op = MOCK_CREATE_ACCESS, .id = ioas, .create_access.flags = flags };
	int ret = mock_ioctl(fd, &cmd);

	return ret ? ret : (int)cmd.create_access.out_fd;
}

int mock_access_pin(int fd, int access, uint64_t iova, size_t length, const void *addr, uint32_t flags, uint32_t *pins)
{
	struct mock_command cmd = {
		.op = MOCK_ACCESS_PAGES,
		.id = (uint32_t)access,
		.access_pages = { flags, 0, iova, length, (uintptr_t)addr },
	};
	int ret = mock_ioctl(fd, &cmd);

	if (!ret)
		*pins = cmd.access_pages.out_pages;
	return ret;
}

int mock_access_unpin(int fd, int access, uint32_t pins)
{
	struct mock_command cmd = {
		.op = MOCK_DESTROY_ACCESS_PAGES,
		.id = (uint32_t)access,
		.destroy_access_pages.pages = pins,
	};

	return mock_ioctl(fd, &cmd);
}

int mock_access_rw(int fd, int access, uint64_t iova, void *addr, size_t length, uint32_t flags)
{
	struct mock_command cmd = {
		.op = MOCK_ACCESS_RW,
		.id = (uint32_t)access,
		.access_rw = { iova, length, (uintptr_t)addr, flags },
	};

	return mock_ioctl(fd, &cmd);
}

int mock_access_replace(int fd, int access, uint32_t ioas)
{
	struct mock_command cmd = {
		.op = MOCK_ACCESS_REPLACE_IOAS,
		.id = (uint32_t)access,
		.access_replace_ioas.ioas = ioas,
	};

	return mock_ioctl(fd, &cmd);
}

/* ---- DMA buffers ---- */

/* The ioctl does not always tell which descriptor it has made; the kernel takes the lowest one that is free. */
int mock_dmabuf(int fd, size_t length)
{
	struct mock_command cmd = {
		.op = MOCK_DMABUF_GET,
		.dmabuf_get = { (uint32_t)length, O_RDWR | O_CLOEXEC },
	};
	int lowest = fcntl(fd, F_DUPFD_CLOEXEC, 0), ret;

	ck_assert_int_ge(lowest, 0);
	close(lowest);
	ret = mock_ioctl(fd, &cmd);
	ck_assert_int_ge(ret, 0);
	ck_assert(!ret || ret == lowest);
	ck_assert_int_ge(fcntl(lowest, F_GETFD), 0);
	return lowest;
}

void mock_dmabuf_revoke(int fd, int dmabuf, bool revoked)
{
	struct mock_command cmd = { .op = MOCK_DMABUF_REVOKE, .dmabuf_revoke = { dmabuf, revoked } };

	ck_assert_int_eq(mock_ioctl(fd, &cmd), 0);
}

/* ---- Memory ---- */

char *mock_scattered(unsigned int pages)
{
	char *addr = memory((size_t)pages * PAGE);
	int fd = memfd_create("page", MFD_CLOEXEC);

	ck_assert_int_eq(ftruncate(fd, PAGE), 0);
	for (unsigned int i = 0; i < pages; i++)
		ck_assert_ptr_ne(
			mmap(addr + (size_t)i * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0),
			MAP_FAILED);
	close(fd);
	return addr;
}
