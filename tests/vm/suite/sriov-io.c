/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A drive's virtual function at work: NVM Express Base Specification 2.0, section 8.26. */
#include <sys/eventfd.h>
#include <unistd.h>

#include "nvme.h"
#include "sriov.h"

/* What is done, with queues (0) or interrupts (1), how many. */
enum { PRIMARY_TAKES = 1, SECONDARY_GETS = 8, SECONDARY_STARTS = 9 };

static unsigned int manage(struct nvme *pf, unsigned int what, unsigned int resource, unsigned int cntlid,
			   unsigned int count)
{
	struct nvme_cmd cmd = { .opcode = NVME_VIRT_MGMT,
				.cdw10 = what | resource << 8 | cntlid << 16,
				.cdw11 = count };

	return nvme_try(pf, &pf->admin, &cmd, NULL);
}

/* A structure that the drive tells of itself, in `data`. */
static void identify(struct nvme *nvme, unsigned int structure)
{
	struct nvme_cmd cmd = { .opcode = NVME_IDENTIFY, .prp1 = nvme->data_iova, .cdw10 = structure };

	memset(nvme->data, 0, PAGE);
	nvme_run(nvme, &nvme->admin, &cmd, NULL);
}

static unsigned int own_number(struct nvme *nvme)
{
	identify(nvme, 0x01);
	return nvme->data[78] | (unsigned int)nvme->data[79] << 8;
}

/* The number of the controller behind a virtual function, counted from 1, with what it has. */
static unsigned int secondary(struct nvme *pf, unsigned int function, unsigned int *queues, bool *online)
{
	identify(pf, 0x15);
	for (unsigned int i = 0; i < pf->data[0]; i++) {
		const unsigned char *entry = pf->data + 32 + (size_t)32 * i;

		if ((entry[8] | (unsigned int)entry[9] << 8) != function)
			continue;
		*queues = entry[10];
		*online = entry[4] & 1;
		return entry[0] | (unsigned int)entry[1] << 8;
	}
	ck_abort_msg("the drive has no controller for virtual function %u", function);
}

enum { ATTACH = 0, DETACH = 1 };

static void attach_namespace(struct nvme *pf, unsigned int what, unsigned int cntlid)
{
	struct nvme_cmd cmd = { .opcode = NVME_NS_ATTACH, .nsid = 1, .prp1 = pf->data_iova, .cdw10 = what };
	uint16_t list[] = { 1, (uint16_t)cntlid };

	memset(pf->data, 0, PAGE);
	memcpy(pf->data, list, sizeof(list));
	nvme_run(pf, &pf->admin, &cmd, NULL);
}

/* The first namespace that a controller has, or 0. */
static unsigned int first_namespace(struct nvme *nvme)
{
	identify(nvme, 0x02);
	return nvme->data[0];
}

/*
 * QEMU says of every controller that it has the namespace already when the drive's own has it, perhaps from an earlier
 * test. What the drive's own has not it must not be asked to detach: QEMU would abort.
 */
static void share_namespace(struct nvme *pf, unsigned int cntlid)
{
	unsigned int own = own_number(pf);

	if (first_namespace(pf))
		attach_namespace(pf, DETACH, own);
	attach_namespace(pf, ATTACH, cntlid);
	attach_namespace(pf, ATTACH, own);
}

/* The drive's flexible queues and interrupts are its own at first: they are free after a reset, without functions. */
static void free_resources(struct nvme *pf)
{
	unsigned int cntlid = own_number(pf);

	ck_assert_uint_eq(manage(pf, PRIMARY_TAKES, 0, cntlid, 0), 0);
	ck_assert_uint_eq(manage(pf, PRIMARY_TAKES, 1, cntlid, 0), 0);
	ok(iommufd_device_reset(pf->dev));
	nvme_start(pf);
}

/* An admin queue and one for I/O, one interrupt, and the drive's namespace. */
static void start_function(struct nvme *pf, unsigned int function)
{
	unsigned int queues, cntlid;
	bool online;

	cntlid = secondary(pf, function, &queues, &online);
	ck_assert(!online);
	ck_assert_uint_eq(manage(pf, SECONDARY_GETS, 0, cntlid, 2), 0);
	ck_assert_uint_eq(manage(pf, SECONDARY_GETS, 1, cntlid, 1), 0);
	ck_assert_uint_eq(manage(pf, SECONDARY_STARTS, 0, cntlid, 0), 0);
	secondary(pf, function, &queues, &online);
	ck_assert(online);
	ck_assert_uint_eq(queues, 2);
	share_namespace(pf, cntlid);
}

static void fill(unsigned char *data, unsigned int seed)
{
	for (unsigned int i = 0; i < PAGE; i++)
		data[i] = (unsigned char)(seed + i * 7 + i / 251);
}

static bool is_filled(const unsigned char *data, unsigned int seed)
{
	for (unsigned int i = 0; i < PAGE; i++)
		if (data[i] != (unsigned char)(seed + i * 7 + i / 251))
			return false;
	return true;
}

#define TRANSFERS 16u

#define BLOCKS (PAGE / NVME_BLOCK)

/* What one controller writes, the other one reads. */
static void move_both_ways(struct nvme *pf, struct nvme *vf)
{
	for (unsigned int i = 0; i < TRANSFERS; i++) {
		fill(vf->data, i);
		nvme_blocks(vf, NVME_WRITE, (uint64_t)32 * i, BLOCKS, 0);
		memset(pf->data, 0, PAGE);
		nvme_blocks(pf, NVME_READ, (uint64_t)32 * i, BLOCKS, 0);
		ck_assert_msg(is_filled(pf->data, i), "transfer %u", i);

		fill(pf->data, i + 100);
		nvme_blocks(pf, NVME_WRITE, (uint64_t)32 * i, BLOCKS, 0);
		memset(vf->data, 0, PAGE);
		nvme_blocks(vf, NVME_READ, (uint64_t)32 * i, BLOCKS, 0);
		ck_assert_msg(is_filled(vf->data, i + 100), "transfer %u back", i);
	}
}

START_TEST(a_drives_virtual_function_does_io_with_its_token)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct bed pf_bed, vf_bed;
	struct nvme pf, vf;
	uint64_t drop;

	vfs_none(DRIVE);
	bed_attach(&pf_bed, DRIVE);
	nvme_open(&pf, pf_bed.dev, pf_bed.ioas);
	nvme_start(&pf);
	free_resources(&pf);
	ok(iommufd_pci_set_vf_token(pf_bed.dev, vf_token));
	ok(iommufd_pci_set_num_vfs(DRIVE, 2));
	start_function(&pf, 2);
	nvme_start_io(&pf, -1);

	bed_open(&vf_bed);
	fails(iommufd_device_new(vf_bed.ctx, vf_of(DRIVE, 1), &vf_bed.dev), -EACCES, DRIVE);
	ok(vf_open_with(&vf_bed, vf_of(DRIVE, 1), vf_token));
	ok(iommufd_device_attach(vf_bed.dev, vf_bed.ioas));
	nvme_open(&vf, vf_bed.dev, vf_bed.ioas);
	ok(iommufd_device_irq_enable(vf_bed.dev, IOMMUFD_PCI_MSIX, 0, 1, &fd));
	nvme_start(&vf);
	nvme_start_io(&vf, 0);
	ck_assert_uint_eq(first_namespace(&vf), 1);
	while (read(fd, &drop, sizeof(drop)) > 0)
		;         /* of the admin queue, whose commands are done */
	vf.io.event = fd; /* from now on it waits for the interrupt alone */
	move_both_ways(&pf, &vf);
	ck_assert_uint_ge(vf.io.interrupts, 2 * TRANSFERS);

	nvme_close(&vf);
	bed_close(&vf_bed);
	nvme_close(&pf);
	vfs_none(DRIVE);
	bed_close(&pf_bed);
	close(fd);
}
END_TEST

void add_sriov_io_tests(TCase *tc)
{
	tcase_add_test(tc, a_drives_virtual_function_does_io_with_its_token);
}
