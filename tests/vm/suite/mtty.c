/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "mtty.h"

#define FIFO 15 /* one less than fit */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_msg(write(fd, text, strlen(text)) >= 0, "%s: %s", path, strerror(errno));
	close(fd);
}

void mtty_remove(const char *uuid)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/mdev/devices/%s/remove", uuid);
	write_file(path, "1");
}

void mtty_create(const char *uuid, unsigned int ports)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/mdev/devices/%s", uuid);
	if (!access(path, F_OK))
		mtty_remove(uuid);
	snprintf(path, sizeof(path), "/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-%u/create", ports);
	write_file(path, uuid);
}

void mtty_write(struct iommufd_device *dev, uint32_t port, uint64_t reg, uint8_t value)
{
	ok(iommufd_device_region_write(dev, IOMMUFD_PCI_BAR0 + port, reg, &value, sizeof(value)));
}

uint8_t mtty_read(struct iommufd_device *dev, uint32_t port, uint64_t reg)
{
	uint8_t value = 0;

	ok(iommufd_device_region_read(dev, IOMMUFD_PCI_BAR0 + port, reg, &value, sizeof(value)));
	return value;
}

void mtty_fill(struct iommufd_device *dev, uint32_t port, uint8_t seed)
{
	mtty_write(dev, port, MTTY_FIFO_CONTROL, 0x07); /* on, and empty */
	mtty_write(dev, port, MTTY_LINE_CONTROL, seed & 0x3f);
	mtty_write(dev, port, MTTY_MODEM_CONTROL, seed & 0x03);
	mtty_write(dev, port, MTTY_SCRATCH, (uint8_t)(seed + 1));
	for (uint8_t i = 0; i < FIFO; i++)
		mtty_write(dev, port, MTTY_DATA, (uint8_t)(seed ^ (i * 7)));
}

void mtty_check(struct iommufd_device *dev, uint32_t port, uint8_t seed)
{
	ck_assert_uint_eq(mtty_read(dev, port, MTTY_LINE_CONTROL), seed & 0x3f);
	ck_assert_uint_eq(mtty_read(dev, port, MTTY_MODEM_CONTROL), seed & 0x03);
	ck_assert_uint_eq(mtty_read(dev, port, MTTY_SCRATCH), (uint8_t)(seed + 1));
	for (uint8_t i = 0; i < FIFO; i++) {
		ck_assert_uint_eq(mtty_read(dev, port, MTTY_LINE_STATUS) & 1, 1);
		ck_assert_uint_eq(mtty_read(dev, port, MTTY_DATA), (uint8_t)(seed ^ (i * 7)));
	}
	ck_assert_uint_eq(mtty_read(dev, port, MTTY_LINE_STATUS) & 1, 0);
}
