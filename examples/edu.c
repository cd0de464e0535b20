/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* edu [ADDRESS]: drives QEMU's educational PCI device: registers, DMA both ways, and an interrupt. */
#include <libiommufd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* Registers in BAR 0. See docs/specs/edu in QEMU's sources. */
enum {
	EDU_ID = 0x00,         /* version in the high half, 0x00ed in the low one */
	EDU_LIVENESS = 0x04,   /* reads as the inverse of what was written */
	EDU_FACTORIAL = 0x08,  /* write n, read n! */
	EDU_STATUS = 0x20,     /* bit 0: still computing */
	EDU_IRQ_STATUS = 0x24, /* what the interrupt was raised with */
	EDU_IRQ_RAISE = 0x60,
	EDU_IRQ_ACK = 0x64,
	EDU_DMA_SRC = 0x80,
	EDU_DMA_DST = 0x88,
	EDU_DMA_COUNT = 0x90,
	EDU_DMA_CMD = 0x98,
};

/* Bits of EDU_DMA_CMD, and what the device raises at the end of a transfer. */
enum { DMA_START = 1, DMA_FROM_DEVICE = 2, DMA_IRQ = 4, IRQ_DMA_DONE = 0x100 };

/* The device's own memory, at an address that only it knows. Not all versions let a transfer go up to its very end. */
enum { EDU_BUFFER = 0x40000, LENGTH = 2048, TIMEOUT_MS = 5000 };

static const char usage[] = "usage: edu [ADDRESS]\n"
			    "  ADDRESS  an educational device of QEMU, bound to a VFIO driver (0000:00:03.0)\n"
			    "  --help   print this\n";

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "edu: %s\n", what);
	exit(1);
}

static void wait_clear(const char *bar, int reg, uint32_t bit)
{
	for (int ms = 0; iommufd_mmio_read32(bar + reg) & bit; ms++) {
		if (ms == TIMEOUT_MS)
			die("the device does not finish");
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

static void wait_irq(char *bar, int efd, uint32_t expected)
{
	struct pollfd event = { .fd = efd, .events = POLLIN };
	uint64_t count;

	if (poll(&event, 1, TIMEOUT_MS) != 1 || read(efd, &count, sizeof(count)) != sizeof(count))
		die("no interrupt arrived");
	uint32_t status = iommufd_mmio_read32(bar + EDU_IRQ_STATUS);
	iommufd_mmio_write32(bar + EDU_IRQ_ACK, status);
	if (status != expected)
		die("the interrupt has a wrong status");
	printf("interrupt with status 0x%x\n", status);
}

static void check_registers(char *bar)
{
	uint32_t id = iommufd_mmio_read32(bar + EDU_ID);

	if ((id & 0xffff) != 0x00ed)
		die("this is no edu device");
	iommufd_mmio_write32(bar + EDU_LIVENESS, 0x12345678);
	if (iommufd_mmio_read32(bar + EDU_LIVENESS) != ~0x12345678u)
		die("the device does not invert");
	iommufd_mmio_write32(bar + EDU_FACTORIAL, 10);
	wait_clear(bar, EDU_STATUS, 1);
	uint32_t factorial = iommufd_mmio_read32(bar + EDU_FACTORIAL);
	printf("version %u.%u, 10! is %u\n", id >> 24, (id >> 16) & 0xff, factorial);
	if (factorial != 3628800)
		die("the device cannot multiply");
}

static void start_dma(char *bar, uint64_t src, uint64_t dst, uint32_t cmd)
{
	iommufd_mmio_write64(bar + EDU_DMA_SRC, src);
	iommufd_mmio_write64(bar + EDU_DMA_DST, dst);
	iommufd_mmio_write64(bar + EDU_DMA_COUNT, LENGTH);
	iommufd_mmio_write64(bar + EDU_DMA_CMD, cmd | DMA_START);
}

/* Random bytes go to the device and come back elsewhere: the second half of the buffer. */
static void check_dma(char *bar, const struct iommufd_dma *buf, int efd)
{
	char *sent = buf->vaddr, *received = sent + LENGTH;

	for (int done = 0; done < LENGTH; done += 256) /* getrandom() gives at least 256 bytes in one piece */
		if (getrandom(sent + done, 256, 0) != 256)
			die("no random bytes");
	start_dma(bar, iommufd_dma_addr(buf, sent), EDU_BUFFER, 0);
	wait_clear(bar, EDU_DMA_CMD, DMA_START);
	printf("%d bytes to the device, seen by polling\n", LENGTH);
	start_dma(bar, EDU_BUFFER, iommufd_dma_addr(buf, received), DMA_FROM_DEVICE | DMA_IRQ);
	wait_irq(bar, efd, IRQ_DMA_DONE);
	if (memcmp(sent, received, LENGTH))
		die("the bytes that came back are not those that were sent");
	printf("%d bytes from the device, all as they were sent\n", LENGTH);
}

int main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "0000:00:03.0";
	const int rw = PROT_READ | PROT_WRITE, efd = eventfd(0, EFD_CLOEXEC);
	struct iommufd_ctx *ctx = NULL;
	struct iommufd_ioas *ioas = NULL;
	struct iommufd_device *dev = NULL;
	struct iommufd_dma buf = { .len = 0 };
	void *bar = NULL;

	if (argc > 2 || address[0] == '-') {
		int asked = argc == 2 && !strcmp(address, "--help");

		fputs(usage, asked ? stdout : stderr);
		return asked ? 0 : 2;
	}
	if (efd < 0)
		die("no eventfd");
	if (iommufd_ctx_new(NULL, &ctx) || iommufd_ioas_new(ctx, &ioas) || iommufd_device_new(ctx, address, &dev) ||
	    iommufd_device_attach(dev, ioas) || iommufd_pci_set_master(dev, true) ||
	    iommufd_device_region_map(dev, IOMMUFD_PCI_BAR0, 0, 4096, rw, &bar) ||
	    iommufd_device_irq_enable(dev, IOMMUFD_PCI_MSI, 0, 1, &efd) ||
	    iommufd_dma_alloc(ioas, 2 * LENGTH, IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE, &buf))
		die(iommufd_errmsg());

	printf("backend %s\ndevice %s\n", iommufd_backend_name(iommufd_ctx_backend(ctx)), address);
	check_registers(bar);
	iommufd_mmio_write32((char *)bar + EDU_IRQ_RAISE, 0x1);
	wait_irq(bar, efd, 0x1);
	check_dma(bar, &buf, efd);

	iommufd_dma_free(ioas, &buf);
	iommufd_device_free(dev);
	iommufd_ioas_free(ioas);
	iommufd_ctx_free(ctx);
	close(efd);
	return 0;
}
