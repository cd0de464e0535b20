/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A part of an Arm SMMUv3 that is handed to a guest: the test is the guest, and has page tables of its own in its
 * memory, which the nest parent shows to the device.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "uapi/iommufd.h"
#include "vm.h"

/* Of <linux/iommufd.h>. */
#define VEVENTQ_ARM_SMMUV3    1u
#define INVALIDATE_ARM_SMMUV3 1u

/* What the guest takes for physical memory, and how it uses its pages. */
#define RAM UINT64_C(0x10000000)
enum { CONTEXT, TABLE1, TABLE2, TABLE3, TABLE2_LOW, TABLE3_LOW, PAGE_FROM, PAGE_TO, PAGE_OTHER, PAGES };
#define PHYSICAL(page) (RAM + (uint64_t)(page)*PAGE)

/* Addresses that the guest gives to its device; other than those of the memory. */
#define FROM    UINT64_C(0x1234567000)
#define TO      (FROM + PAGE)
#define NOTHING (FROM + 2 * PAGE)
#define STREAM  UINT64_C(0x42)
#define ASID    UINT64_C(7)

/* Fields of a stream table entry, as far as a guest has any say. */
#define STE_VALID   UINT64_C(1)
#define STE_BYPASS  (UINT64_C(4) << 1)
#define STE_FIRST   (UINT64_C(5) << 1)
#define STE_CACHED  (UINT64_C(1) << 2 | UINT64_C(1) << 4 | UINT64_C(3) << 6)
#define STE_PRIVATE (UINT64_C(1) << 19) /* of which it has none */

/* Of a context descriptor, for tables of 4 KiB and addresses of 39 bits, which have three levels. */
#define CD_39_BITS UINT64_C(25)
#define CD_CACHED  (UINT64_C(1) << 8 | UINT64_C(1) << 10 | UINT64_C(3) << 12)
#define CD_NO_HIGH (UINT64_C(1) << 30)
#define CD_VALID   (UINT64_C(1) << 31)
#define CD_44_BITS (UINT64_C(4) << 32)
#define CD_AARCH64 (UINT64_C(1) << 41)
#define CD_REPORT  (UINT64_C(1) << 45)
#define CD_ABORT   (UINT64_C(1) << 46)
#define CD_OWN     (UINT64_C(1) << 47)
#define CD_ASID    (ASID << 48)
#define NORMAL     UINT64_C(0xff) /* memory attribute 0 */

/* Of a descriptor in a table. */
#define TT_NEXT UINT64_C(3)
#define TT_PAGE (UINT64_C(3) | UINT64_C(1) << 6 | UINT64_C(3) << 8 | UINT64_C(1) << 10 | UINT64_C(1) << 11)

/* Commands. */
#define TLBI_NH_ASID (UINT64_C(0x11) | ASID << 48)
#define TLBI_NH_VA   (UINT64_C(0x12) | ASID << 48)
#define CFGI_STE     UINT64_C(0x03)
#define CFGI_CD(sid) (UINT64_C(0x05) | (sid) << 32)

#define EVENT_TRANSLATION 0x10u

struct guest {
	struct bed bed;
	struct edu edu;
	struct iommufd_hwpt *parent, *hwpt;
	struct iommufd_viommu *viommu;
	struct iommufd_vdevice *vdevice;
	struct iommufd_veventq *events;
	uint64_t (*ram)[PAGE / sizeof(uint64_t)];
};

static void map_page(struct guest *guest, uint64_t iova, unsigned int page)
{
	guest->ram[TABLE1][iova >> 30 & 511] = PHYSICAL(TABLE2) | TT_NEXT;
	guest->ram[TABLE2][iova >> 21 & 511] = PHYSICAL(TABLE3) | TT_NEXT;
	guest->ram[TABLE3][iova >> 12 & 511] = PHYSICAL(page) | TT_PAGE;
}

static void fill_ram(struct guest *guest)
{
	uint64_t *context = guest->ram[CONTEXT];

	context[0] = CD_39_BITS | CD_CACHED | CD_NO_HIGH | CD_VALID | CD_44_BITS | CD_AARCH64 | CD_REPORT | CD_ABORT |
		     CD_OWN | CD_ASID;
	context[1] = PHYSICAL(TABLE1);
	context[3] = NORMAL;
	map_page(guest, FROM, PAGE_FROM);
	map_page(guest, TO, PAGE_TO);
}

static int new_viommu(struct guest *guest)
{
	struct iommufd_viommu_opts opts = { .struct_size = sizeof(opts), .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3 };

	return iommufd_viommu_new(guest->bed.dev, guest->parent, &opts, &guest->viommu);
}

/* A device with memory for a guest, and no more. */
static void open_parent(struct guest *guest)
{
	struct iommufd_hwpt_opts opts = { .struct_size = sizeof(opts), .flags = IOMMUFD_HWPT_NEST_PARENT };
	uint64_t iova = RAM;

	*guest = (struct guest){ .ram = memory(PAGES * PAGE) };
	bed_open_device(&guest->bed, EDU);
	ok(iommufd_ioas_map(guest->bed.ioas, guest->ram, PAGES * PAGE, RW | IOMMUFD_MAP_FIXED, &iova));
	ok(iommufd_hwpt_new(guest->bed.dev, guest->bed.ioas, &opts, &guest->parent));
}

static void open_viommu(struct guest *guest)
{
	open_parent(guest);
	fill_ram(guest);
	ok(new_viommu(guest));
}

static int new_nested(struct guest *guest, uint64_t ste0, uint64_t ste1, struct iommufd_hwpt **out)
{
	struct iommu_hwpt_arm_smmuv3 ste = { .ste = { ste0, ste1 } };
	struct iommufd_hwpt_opts opts = {
		.struct_size = sizeof(opts),
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data = &ste,
		.data_len = sizeof(ste),
	};

	return iommufd_viommu_hwpt_new(guest->viommu, guest->bed.dev, &opts, out);
}

static int new_translating(struct guest *guest, struct iommufd_hwpt **out)
{
	return new_nested(guest, STE_VALID | STE_FIRST | PHYSICAL(CONTEXT), STE_CACHED, out);
}

/* A guest whose device translates by the guest's tables, and then by ours. */
static void open_guest(struct guest *guest)
{
	open_viommu(guest);
	ok(iommufd_vdevice_new(guest->viommu, guest->bed.dev, STREAM, &guest->vdevice));
	ok(iommufd_veventq_new(guest->viommu, VEVENTQ_ARM_SMMUV3, 1024, &guest->events));
	ok(new_translating(guest, &guest->hwpt));
	ok(iommufd_device_attach_hwpt(guest->bed.dev, guest->hwpt));
	edu_setup(&guest->edu, guest->bed.dev);
}

static void close_guest(struct guest *guest)
{
	iommufd_veventq_free(guest->events);
	iommufd_vdevice_free(guest->vdevice);
	iommufd_hwpt_free(guest->hwpt);
	iommufd_viommu_free(guest->viommu);
	iommufd_hwpt_free(guest->parent);
	bed_close(&guest->bed);
	munmap(guest->ram, PAGES * PAGE);
}

START_TEST(without_coherent_devices_there_is_no_virtual_iommu)
{
	struct guest guest;

	open_parent(&guest);
	fails(new_viommu(&guest), -EOPNOTSUPP, "virtual");
	ck_assert_ptr_null(guest.viommu);
	close_guest(&guest);
}
END_TEST

START_TEST(a_device_does_dma_through_the_guests_page_tables_and_ours)
{
	struct guest guest;

	open_guest(&guest);
	edu_copy_works(&guest.edu, FROM, guest.ram[PAGE_FROM], TO, guest.ram[PAGE_TO]);
	close_guest(&guest);
}
END_TEST

/* A virtual stream ID must be there for a guest's tables, which its commands and events speak of. */
START_TEST(a_guests_tables_are_for_devices_that_it_knows)
{
	struct guest guest;

	open_viommu(&guest);
	ok(new_translating(&guest, &guest.hwpt));
	fails(iommufd_device_attach_hwpt(guest.bed.dev, guest.hwpt), -ENOENT, "iommufd_vdevice_new()");
	ok(iommufd_vdevice_new(guest.viommu, guest.bed.dev, STREAM, &guest.vdevice));
	ok(iommufd_device_attach_hwpt(guest.bed.dev, guest.hwpt));
	close_guest(&guest);
}
END_TEST

START_TEST(a_guest_may_let_a_device_pass_or_stop_it)
{
	static const uint64_t stops[] = { STE_VALID, 0 };
	struct guest guest;

	open_guest(&guest);
	iommufd_hwpt_free(guest.hwpt);
	ok(new_nested(&guest, STE_VALID | STE_BYPASS, 0, &guest.hwpt));
	ok(iommufd_device_replace_hwpt(guest.bed.dev, guest.hwpt));
	edu_copy_works(&guest.edu, PHYSICAL(PAGE_FROM), guest.ram[PAGE_FROM], PHYSICAL(PAGE_TO), guest.ram[PAGE_TO]);
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		iommufd_hwpt_free(guest.hwpt);
		ok(new_nested(&guest, stops[i], 0, &guest.hwpt));
		ok(iommufd_device_replace_hwpt(guest.bed.dev, guest.hwpt));
		memset(guest.ram[PAGE_TO], 0x5a, PAGE);
		edu_write_memory(&guest.edu, PHYSICAL(PAGE_TO), EDU_CHUNK);
		for (size_t byte = 0; byte < PAGE; byte++)
			ck_assert_uint_eq(((unsigned char *)guest.ram[PAGE_TO])[byte], 0x5a);
	}
	close_guest(&guest);
}
END_TEST

START_TEST(what_is_not_the_guests_to_say_is_refused)
{
	struct iommufd_hwpt *hwpt = NULL;
	struct guest guest;

	open_viommu(&guest);
	fails(new_nested(&guest, STE_VALID | STE_FIRST | PHYSICAL(CONTEXT), STE_PRIVATE, &hwpt), -EIO,
	      "the values that its IOMMU takes");
	fails(new_nested(&guest, STE_VALID | UINT64_C(6) << 1, 0, &hwpt), -EIO,
	      "its IOMMU takes"); /* the second stage */
	ck_assert_ptr_null(hwpt);
	close_guest(&guest);
}
END_TEST

/* The device goes on using what the IOMMU remembers until the guest has it forgotten, as on hardware. */
START_TEST(a_changed_table_counts_when_what_was_cached_is_thrown_away)
{
	static const uint64_t command[2] = { TLBI_NH_VA, TO | 1 };
	unsigned char *old, *new;
	struct guest guest;
	uint32_t done = 0;

	open_guest(&guest);
	old = (unsigned char *)guest.ram[PAGE_TO];
	new = (unsigned char *)guest.ram[PAGE_OTHER];
	edu_copy_works(&guest.edu, FROM, guest.ram[PAGE_FROM], TO, old);
	map_page(&guest, TO, PAGE_OTHER);
	edu_copy_works(&guest.edu, FROM, guest.ram[PAGE_FROM], TO, old);
	ck_assert_uint_eq(new[0] | new[1] | new[2], 0);
	ok(iommufd_viommu_invalidate(guest.viommu, INVALIDATE_ARM_SMMUV3, command, sizeof(command), 1, &done));
	ck_assert_uint_eq(done, 1);
	edu_copy_works(&guest.edu, FROM, guest.ram[PAGE_FROM], TO, new);
	close_guest(&guest);
}
END_TEST

/* The guest says its own stream ID; commands that are not for a guest, or for devices it has not, are refused. */
START_TEST(commands_are_handled_up_to_the_first_that_is_refused)
{
	static const uint64_t good[][2] = { { TLBI_NH_ASID, 0 }, { CFGI_CD(STREAM), 1 } };
	static const uint64_t bad[][2] = { { CFGI_STE, 0 }, { CFGI_CD(STREAM + 1), 1 }, { TLBI_NH_ASID, 1 } };
	uint64_t commands[3][2];
	struct guest guest;
	uint32_t done;

	open_guest(&guest);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(commands, good, sizeof(good));
		memcpy(commands[2], bad[i], sizeof(bad[i]));
		done = 0;
		fails(iommufd_viommu_invalidate(guest.viommu, INVALIDATE_ARM_SMMUV3, commands, sizeof(commands[0]), 3,
						&done),
		      -EIO, "entry 2 of 3");
		ck_assert_uint_eq(done, 2);
	}
	edu_copy_works(&guest.edu, FROM, guest.ram[PAGE_FROM], TO, guest.ram[PAGE_TO]);
	close_guest(&guest);
}
END_TEST

/* The kernel counts them, though it has sent none of them to the IOMMU. */
START_TEST(commands_before_one_that_is_refused_have_their_effect)
{
	static const uint64_t commands[2][2] = { { TLBI_NH_VA, TO | 1 }, { CFGI_STE, 0 } };
	struct guest guest;
	uint32_t done = 0;

	open_guest(&guest);
	edu_copy_works(&guest.edu, FROM, guest.ram[PAGE_FROM], TO, guest.ram[PAGE_TO]);
	map_page(&guest, TO, PAGE_OTHER);
	fails(iommufd_viommu_invalidate(guest.viommu, INVALIDATE_ARM_SMMUV3, commands, sizeof(commands[0]), 2, &done),
	      -EIO, "not what this entry says");
	ck_assert_uint_eq(done, 1);
	edu_copy_works(&guest.edu, FROM, guest.ram[PAGE_FROM], TO, guest.ram[PAGE_OTHER]);
	close_guest(&guest);
}
END_TEST

/* A device's interrupt is a write to an address that the kernel has chosen. The guest's tables must show it there. */
START_TEST(an_interrupt_goes_through_the_guests_tables)
{
	struct pollfd event = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .events = POLLIN };
	struct guest guest;

	open_guest(&guest);
	guest.ram[TABLE1][MSI_WINDOW >> 30 & 511] = PHYSICAL(TABLE2_LOW) | TT_NEXT;
	guest.ram[TABLE2_LOW][MSI_WINDOW >> 21 & 511] = PHYSICAL(TABLE3_LOW) | TT_NEXT;
	guest.ram[TABLE3_LOW][MSI_WINDOW >> 12 & 511] = MSI_WINDOW | TT_PAGE;
	ok(iommufd_device_irq_enable(guest.bed.dev, IOMMUFD_PCI_MSI, 0, 1, &event.fd));
	iommufd_mmio_write32((char *)guest.edu.bar + EDU_IRQ_RAISE, 1);
	ck_assert_int_eq(poll(&event, 1, 2000), 1);
	close_guest(&guest);
	close(event.fd);
}
END_TEST

START_TEST(a_fault_of_the_guests_tables_goes_to_the_guest)
{
	struct pollfd poller = { .events = POLLIN };
	struct iommufd_vevent event;
	struct guest guest;
	uint64_t data[4];

	open_guest(&guest);
	ck_assert_int_eq(iommufd_veventq_read(guest.events, &event, data, sizeof(data)), 0);
	edu_write_memory(&guest.edu, NOTHING, 4);
	poller.fd = iommufd_veventq_fd(guest.events);
	ck_assert_int_eq(poll(&poller, 1, 5000), 1); /* an interrupt of the IOMMU brings it */
	ck_assert_int_eq(iommufd_veventq_read(guest.events, &event, data, sizeof(data)), 1);
	ck_assert_uint_eq(event.flags, 0);
	ck_assert_uint_eq(event.len, sizeof(data));
	ck_assert_uint_eq(data[0] & 0xff, EVENT_TRANSLATION);
	ck_assert_uint_eq(data[0] >> 32, STREAM);
	ck_assert_uint_eq(data[2], NOTHING);
	close_guest(&guest);
}
END_TEST

/* Only these tables can say that what a device does is coherent, whatever it asks for. */
static bool coherent(void)
{
	return !access("/sys/firmware/acpi/tables/IORT", F_OK);
}

void add_nested_tests(TCase *tc)
{
	if (!vm_path->by_node || !vm_behind_smmuv3())
		return;
	if (!coherent()) {
		tcase_add_test(tc, without_coherent_devices_there_is_no_virtual_iommu);
		return;
	}
	tcase_add_test(tc, a_device_does_dma_through_the_guests_page_tables_and_ours);
	tcase_add_test(tc, a_guests_tables_are_for_devices_that_it_knows);
	tcase_add_test(tc, a_guest_may_let_a_device_pass_or_stop_it);
	tcase_add_test(tc, what_is_not_the_guests_to_say_is_refused);
	tcase_add_test(tc, a_changed_table_counts_when_what_was_cached_is_thrown_away);
	tcase_add_test(tc, commands_are_handled_up_to_the_first_that_is_refused);
	tcase_add_test(tc, commands_before_one_that_is_refused_have_their_effect);
	tcase_add_test(tc, an_interrupt_goes_through_the_guests_tables);
	tcase_add_test(tc, a_fault_of_the_guests_tables_goes_to_the_guest);
}
