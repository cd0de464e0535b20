/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The other side: a process that was handed what it needs, and may open nothing. */
#include <libiommufd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "fds.h"

/* Registers in BAR 0 of the device, and its own memory at an address that only it knows. */
enum { DMA_SRC = 0x80, DMA_DST = 0x88, DMA_COUNT = 0x90, DMA_CMD = 0x98, DEVICE_BUFFER = 0x40000, LENGTH = 2048 };

static void move(char *bar, uint64_t src, uint64_t dst, uint64_t cmd)
{
	iommufd_mmio_write64(bar + DMA_SRC, src);
	iommufd_mmio_write64(bar + DMA_DST, dst);
	iommufd_mmio_write64(bar + DMA_COUNT, LENGTH);
	iommufd_mmio_write64(bar + DMA_CMD, cmd);
	while (iommufd_mmio_read64(bar + DMA_CMD) & 1)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* A buffer that is too large for its limit is no reason to give up. */
void drive(int from, const char *address)
{
	struct iommufd_ctx_opts opts = { .struct_size = sizeof(opts) };
	struct iommufd_ctx *ctx = NULL;
	struct iommufd_ioas *ioas = NULL;
	struct iommufd_device *dev = NULL;
	struct iommufd_dma buf = { .len = 0 };
	const uint32_t rw = IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE;
	struct message message;
	void *bar;
	int fds[2];

	take(from, &message, fds);
	opts.backend = message.backend;
	if (iommufd_ctx_from_fd(fds[0], &opts, &ctx) || iommufd_ioas_new(ctx, &ioas) ||
	    (message.by_node ? iommufd_device_from_fd(ctx, fds[1], &dev)
			     : iommufd_ctx_add_group(ctx, fds[1]) || iommufd_device_new(ctx, address, &dev)) ||
	    iommufd_device_attach(dev, ioas) || iommufd_pci_set_master(dev, true) ||
	    iommufd_device_region_map(dev, IOMMUFD_PCI_BAR0, 0, 4096, PROT_READ | PROT_WRITE, &bar))
		die(iommufd_errmsg());
	for (size_t len = 1 << 20; iommufd_dma_alloc(ioas, len, rw, &buf); len /= 4) {
		fprintf(stderr, "share: %s\n", iommufd_errmsg());
		if (len <= 2 * LENGTH)
			die("not even the smallest buffer");
		fprintf(stderr, "share: tries with a quarter of that\n");
	}
	memset(buf.vaddr, 0x5a, LENGTH);
	move(bar, iommufd_dma_addr(&buf, buf.vaddr), DEVICE_BUFFER, 1);
	move(bar, DEVICE_BUFFER, iommufd_dma_addr(&buf, (char *)buf.vaddr + LENGTH), 3);
	if (memcmp(buf.vaddr, (char *)buf.vaddr + LENGTH, LENGTH))
		die("the bytes that came back are not those that were sent");
	printf("backend %s\nuser %u: %d bytes to the device and back, in a buffer of %zu bytes\n",
	       iommufd_backend_name(iommufd_ctx_backend(ctx)), (unsigned int)getuid(), LENGTH, buf.len);
	iommufd_dma_free(ioas, &buf);
	iommufd_device_free(dev);
	iommufd_ioas_free(ioas);
	iommufd_ctx_free(ctx);
}
