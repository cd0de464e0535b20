/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Configuration space as numbers, the command register, and how it is noticed that nobody answers. */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scene.h"
#include "uapi/vfio.h"

/* What a kernel has that knows children of devices; those of a scene have none. */
#define CHILDREN    "/sys/class/vfio-dev"
#define TAKEN       "it was taken away: free it"
#define REGION_SIZE (16 * SCENE_PAGE) /* as a scene has it */

static struct scene scene;

static void open_attached(void)
{
	scene_open(&scene, IOMMUFD_BACKEND_IOMMUFD);
	ck_assert_int_eq(iommufd_device_attach(scene.dev, scene.ioas), 0);
}

/* ---- Numbers ---- */

START_TEST(a_number_is_little_endian_on_the_bus_and_one_access)
{
	unsigned char bytes[4] = { 0x78, 0x56, 0x34, 0x12 };
	unsigned int reads;
	uint32_t word = 0;
	uint16_t half = 0;
	uint8_t byte = 0;

	open_attached();
	ck_assert_int_eq(iommufd_pci_config_write(scene.dev, 0x40, bytes, 4), 0);
	reads = inject_count(INJECT_PREAD);
	ck_assert_int_eq(iommufd_pci_config_read32(scene.dev, 0x40, &word), 0);
	ck_assert_int_eq(iommufd_pci_config_read16(scene.dev, 0x42, &half), 0);
	ck_assert_int_eq(iommufd_pci_config_read8(scene.dev, 0x43, &byte), 0);
	ck_assert_uint_eq(inject_count(INJECT_PREAD) - reads, 3);
	ck_assert_uint_eq(word, 0x12345678);
	ck_assert_uint_eq(half, 0x1234);
	ck_assert_uint_eq(byte, 0x12);
	ck_assert_int_eq(iommufd_pci_config_write32(scene.dev, 0x44, 0x89abcdef), 0);
	ck_assert_int_eq(iommufd_pci_config_write16(scene.dev, 0x48, 0x0123), 0);
	ck_assert_int_eq(iommufd_pci_config_read(scene.dev, 0x44, bytes, 4), 0);
	ck_assert(bytes[0] == 0xef && bytes[3] == 0x89);
	ck_assert_int_eq(iommufd_pci_config_read(scene.dev, 0x48, bytes, 2), 0);
	ck_assert(bytes[0] == 0x23 && bytes[1] == 0x01);
	scene_close(&scene);
}
END_TEST

START_TEST(a_number_that_is_not_aligned_or_beyond_is_refused)
{
	uint32_t word = 7;
	uint16_t half = 7;
	unsigned int reads;

	open_attached();
	reads = inject_count(INJECT_PREAD);
	unit_fails(-EINVAL, iommufd_pci_config_read32(scene.dev, 0x42, &word));
	unit_fails(-EINVAL, iommufd_pci_config_read16(scene.dev, 0x41, &half));
	unit_fails(-EINVAL, iommufd_pci_config_write32(scene.dev, 0x41, 1));
	unit_fails(-EINVAL, iommufd_pci_config_write16(scene.dev, 0x43, 1));
	unit_fails(-ERANGE, iommufd_pci_config_read32(scene.dev, (uint32_t)REGION_SIZE, &word));
	unit_fails(-ERANGE, iommufd_pci_config_write8(scene.dev, UINT32_MAX, 1));
	ck_assert_uint_eq(inject_count(INJECT_PREAD), reads);
	ck_assert_uint_eq(word, 7);
	ck_assert_uint_eq(half, 7);
	scene_close(&scene);
}
END_TEST

/* ---- The command register ---- */

START_TEST(memory_and_bus_mastering_are_bits_of_their_own)
{
	uint16_t command;

	open_attached();
	ck_assert_int_eq(iommufd_pci_config_write16(scene.dev, 0x04, 0x0400), 0);
	ck_assert_int_eq(iommufd_pci_set_memory(scene.dev, true), 0);
	ck_assert_int_eq(iommufd_pci_set_master(scene.dev, true), 0);
	ck_assert_int_eq(iommufd_pci_config_read16(scene.dev, 0x04, &command), 0);
	ck_assert_uint_eq(command, 0x0406);
	ck_assert_int_eq(iommufd_pci_set_memory(scene.dev, false), 0);
	ck_assert_int_eq(iommufd_pci_config_read16(scene.dev, 0x04, &command), 0);
	ck_assert_uint_eq(command, 0x0404);
	scene_close(&scene);
}
END_TEST

static bool was_locked;

static void look_at_lock(void)
{
	was_locked = pthread_mutex_trylock(&scene.dev->command) == EBUSY;
	if (!was_locked)
		pthread_mutex_unlock(&scene.dev->command);
}

/* Two threads may each change a bit of theirs. */
START_TEST(nobody_else_writes_the_register_between_reading_and_writing_it)
{
	open_attached();
	inject_after(INJECT_PREAD, look_at_lock);
	ck_assert_int_eq(iommufd_pci_set_master(scene.dev, true), 0);
	ck_assert(was_locked);
	was_locked = false;
	inject_after(INJECT_PWRITE, look_at_lock);
	ck_assert_int_eq(iommufd_pci_config_write16(scene.dev, 0x04, 0x0400), 0);
	ck_assert(was_locked);
	look_at_lock();
	ck_assert(!was_locked);
	scene_close(&scene);
}
END_TEST

/* ---- A device that was pulled out ---- */

/* What the device has in its registers, whoever asks. */
static void have_registers(uint32_t region, uint64_t offset, const void *bytes, size_t len)
{
	ck_assert_int_eq(pwrite(scene.dev->fd, bytes, len, (off_t)(region * REGION_SIZE + offset)), (ssize_t)len);
}

static void reads_ones(uint32_t region, uint64_t offset)
{
	uint32_t word = 0;

	ck_assert_int_eq(iommufd_device_region_read(scene.dev, region, offset, &word, sizeof(word)), 0);
	ck_assert_uint_eq(word, UINT32_MAX);
}

/* Also after its driver began to let go of it, while who has it open may go on. */
START_TEST(ones_are_what_a_device_says_while_it_is_there)
{
	unsigned int looked;

	open_attached();
	have_registers(0, 0x10, "\xff\xff\xff\xff", 4);
	have_registers(IOMMUFD_PCI_CONFIG, 0x40, "\xff\xff\xff\xff", 4);
	looked = inject_count(INJECT_STAT);
	reads_ones(0, 0x10);
	reads_ones(IOMMUFD_PCI_CONFIG, 0x40);
	ck_assert_uint_gt(inject_count(INJECT_STAT), looked);
	inject_there(CHILDREN);
	reads_ones(0, 0x10);
	reads_ones(IOMMUFD_PCI_CONFIG, 0x40);
	ck_assert_int_eq(iommufd_pci_set_master(scene.dev, true), 0);
	/* Whatever it has there, it is there. */
	have_registers(IOMMUFD_PCI_CONFIG, 0x06, "\xff\xff", 2);
	inject_there("/sys/devices/pci0000:00/somewhere/vfio-dev");
	reads_ones(0, 0x10);
	reads_ones(IOMMUFD_PCI_CONFIG, 0x40);
	ck_assert_int_eq(iommufd_pci_set_master(scene.dev, false), 0);
	inject_there(NULL);
	scene_close(&scene);
}
END_TEST

START_TEST(other_bytes_than_ones_are_not_looked_into)
{
	unsigned char bytes[4] = { 0 };
	unsigned int looked;

	open_attached();
	have_registers(0, 0x10, "\xff\xff\xff\xfe\xff\xff\xff", 7);
	inject_there(CHILDREN);
	have_registers(IOMMUFD_PCI_CONFIG, 0x06, "\xff\xff", 2);
	looked = inject_count(INJECT_STAT);
	ck_assert_int_eq(iommufd_device_region_read(scene.dev, 0, 0x10, bytes, 4), 0);
	ck_assert_int_eq(memcmp(bytes, "\xff\xff\xff\xfe", 4), 0);
	ck_assert_int_eq(iommufd_device_region_read(scene.dev, 0, 0x13, bytes, 4), 0);
	ck_assert_int_eq(iommufd_device_region_read(scene.dev, 0, 0x10, bytes, 0), 0);
	ck_assert_uint_eq(inject_count(INJECT_STAT), looked);
	inject_there(NULL);
	scene_close(&scene);
}
END_TEST

START_TEST(what_was_pulled_out_is_told_by_all_that_ask_it)
{
	unsigned int writes, windows, armed;
	void *window = NULL;
	uint32_t word;
	int event = eventfd(0, EFD_CLOEXEC);

	open_attached();
	have_registers(0, 0x10, "\xff\xff\xff\xff", 4);
	have_registers(IOMMUFD_PCI_CONFIG, 0x06, "\xff\xff", 2);
	inject_there(CHILDREN);
	writes = inject_count(INJECT_PWRITE);
	windows = inject_count(INJECT_MMAP);
	armed = inject_ioctls(VFIO_DEVICE_SET_IRQS);
	unit_fails(-EIO, iommufd_device_region_read(scene.dev, 0, 0x10, &word, 4));
	unit_words_have("read from " SCENE_DEVICE ": Input/output error (it was taken away: free it)");
	unit_fails(-EIO, iommufd_pci_config_read(scene.dev, 0x06, &word, 2));
	unit_words_have(TAKEN);
	unit_fails(-EIO, iommufd_pci_find_cap(scene.dev, 1, 0, &word));
	unit_words_have(TAKEN);
	unit_fails(-EIO, iommufd_pci_config_write8(scene.dev, 0x3c, 7));
	unit_words_have(TAKEN);
	unit_fails(-EIO, iommufd_pci_set_master(scene.dev, true));
	unit_words_have(TAKEN);
	unit_fails(-EIO, iommufd_pci_set_memory(scene.dev, false));
	unit_words_have(TAKEN);
	unit_fails(-EIO, iommufd_device_region_map(scene.dev, 0, 0, SCENE_PAGE, PROT_READ, &window));
	unit_words_have(TAKEN);
	unit_fails(-EIO, iommufd_device_region_map_all(scene.dev, 0, PROT_READ, &window));
	unit_words_have(TAKEN);
	unit_fails(-EIO, iommufd_device_irq_enable(scene.dev, IOMMUFD_PCI_MSI, 0, 1, &event));
	unit_words_have(TAKEN);
	ck_assert_ptr_null(window);
	ck_assert_uint_eq(inject_count(INJECT_PWRITE), writes);
	ck_assert_uint_eq(inject_count(INJECT_MMAP), windows);
	ck_assert_uint_eq(inject_ioctls(VFIO_DEVICE_SET_IRQS), armed);
	inject_there(NULL);
	close(event);
	scene_close(&scene);
}
END_TEST

void unit_tests(TCase *tcase)
{
	tcase_add_test(tcase, ones_are_what_a_device_says_while_it_is_there);
	tcase_add_test(tcase, other_bytes_than_ones_are_not_looked_into);
	tcase_add_test(tcase, what_was_pulled_out_is_told_by_all_that_ask_it);
	tcase_add_test(tcase, a_number_is_little_endian_on_the_bus_and_one_access);
	tcase_add_test(tcase, a_number_that_is_not_aligned_or_beyond_is_refused);
	tcase_add_test(tcase, memory_and_bus_mastering_are_bits_of_their_own);
	tcase_add_test(tcase, nobody_else_writes_the_register_between_reading_and_writing_it);
}
