/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#if defined(__x86_64__)
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest.h"
#include "vm.h"

/* ---- What the guest does ---- */

#define RAM    0x10000u
#define CODE   0x1000u
#define STACK  0x8000u
#define CALLS  0x800u /* a byte for each line */
#define EVENTS 0x840u
#define BAR    0xe0000u    /* by ES */
#define APIC   0xfee00000u /* by FS */

/* The first vectors of the old interrupt controllers, and of the messages. */
#define PIC_VECTOR 0x20
#define MSI_VECTOR 0x50
#define MSI_LINES  4

#define COMMAND_PORT 0x10

extern const unsigned char guest_code[], guest_intx[], guest_msi[], guest_code_end[];

/*
 * The controllers are set up for line 10, which is a level; then it asks for what to do. It waits with its eyes open,
 * since a HLT behind STI is not safe from an interrupt in between in every emulation. The handlers look whether edu has
 * a reason, as a driver does, and acknowledge it.
 */
__asm__(".pushsection .rodata\n"
	".code16\n"
	".macro to port, value\n	mov $\\value, %al\n	out %al, $\\port\n.endm\n"
	".macro handle line\n"
	"	incb 0x800 + \\line\n"
	"	testl $1, %es:0x24\n"
	"	jz 1f\n"
	"	movl $1, %es:0x64\n"
	"	incb 0x840 + \\line\n"
	"1:	movb $1, 0x880\n"
	".endm\n"

	"guest_code:\n"
	"	to 0x20, 0x11\n	to 0xa0, 0x11\n"
	"	to 0x21, 0x20\n	to 0xa1, 0x28\n"
	"	to 0x21, 4\n	to 0xa1, 2\n"
	"	to 0x21, 1\n	to 0xa1, 1\n"
	"	to 0x21, 0xfb\n	to 0xa1, 0xfb\n"
	"	mov $0x4d1, %dx\n	mov $4, %al\n	out %al, %dx\n"
	"	movl $0x1ff, %fs:0xf0\n"
	"1:	in $0x10, %al\n"
	"	movb $0, 0x880\n"
	"	cmp $1, %al\n"
	"	je 2f\n"
	"	ja 4f\n"
	"	movl $1, %es:0x60\n"
	"2:	sti\n"
	"3:	cmpb $0, 0x880\n	je 3b\n"
	"	cli\n	jmp 1b\n"
	"4:	sti\n	nop\n	nop\n	cli\n	jmp 1b\n"

	"guest_intx:\n"
	"	push %ax\n"
	"	handle 10\n"
	"	to 0xa0, 0x20\n	to 0x20, 0x20\n"
	"	pop %ax\n	iret\n"

	".irp line, 0, 1, 2, 3\n"
	".balign 64\n"
	".if \\line == 0\nguest_msi:\n.endif\n"
	"	handle 24 + \\line\n"
	"	movl $0, %fs:0xb0\n"
	"	iret\n"
	".endr\n"
	"guest_code_end:\n"
	".code64\n"
	".popsection\n");

#define MSI_HANDLER 64 /* bytes of each */

/* ---- The machine around it ---- */

static int ask(int fd, unsigned long request, const char *name, void *arg)
{
	int ret = ioctl(fd, request, arg);

	ck_assert_msg(ret >= 0, "%s: %s", name, strerror(errno));
	return ret;
}

#define kvm(fd, request, arg) ask(fd, request, #request, (void *)(uintptr_t)(arg))

static void give_memory(struct guest *guest, unsigned int slot, uint64_t at, void *memory, size_t len)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .guest_phys_addr = at, .memory_size = len, .userspace_addr = (uintptr_t)memory
	};

	kvm(guest->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void set_vector(struct guest *guest, unsigned int vector, const unsigned char *handler)
{
	uint16_t offset = (uint16_t)(CODE + (handler - guest_code)), segment = 0;
	unsigned char *entry = (unsigned char *)guest->ram + vector * 4;

	memcpy(entry, &offset, sizeof(offset));
	memcpy(entry + sizeof(offset), &segment, sizeof(segment));
}

static void load(struct guest *guest)
{
	memcpy((unsigned char *)guest->ram + CODE, guest_code, (size_t)(guest_code_end - guest_code));
	set_vector(guest, PIC_VECTOR + GUEST_INTX, guest_intx);
	for (unsigned int i = 0; i < MSI_LINES; i++)
		set_vector(guest, MSI_VECTOR + i, guest_msi + i * MSI_HANDLER);
}

static void route(struct guest *guest)
{
	struct kvm_irq_routing *routing =
		calloc(1, sizeof(*routing) + (1 + MSI_LINES) * sizeof(struct kvm_irq_routing_entry));
	struct kvm_irq_routing_entry *entry;

	ck_assert_ptr_nonnull(routing);
	routing->nr = 1 + MSI_LINES;
	entry = routing->entries;
	entry->gsi = GUEST_INTX;
	entry->type = KVM_IRQ_ROUTING_IRQCHIP;
	entry->u.irqchip.irqchip = KVM_IRQCHIP_PIC_SLAVE;
	entry->u.irqchip.pin = GUEST_INTX - 8;
	for (unsigned int i = 0; i < MSI_LINES; i++) {
		entry++;
		entry->gsi = GUEST_MSI + i;
		entry->type = KVM_IRQ_ROUTING_MSI;
		entry->u.msi.address_lo = APIC;
		entry->u.msi.data = MSI_VECTOR + i;
	}
	kvm(guest->vm, KVM_SET_GSI_ROUTING, routing);
	free(routing);
}

static void set_cpuid(struct guest *guest)
{
	enum { ENTRIES = 256 };
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + ENTRIES * sizeof(cpuid->entries[0]));

	ck_assert_ptr_nonnull(cpuid);
	cpuid->nent = ENTRIES;
	kvm(guest->kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
	kvm(guest->cpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
}

static void set_registers(struct guest *guest)
{
	struct kvm_regs regs = { .rip = CODE, .rsp = STACK, .rflags = 2 };
	struct kvm_sregs sregs;

	kvm(guest->cpu, KVM_GET_SREGS, &sregs);
	sregs.cs.base = sregs.cs.selector = 0;
	sregs.es.base = BAR;
	sregs.es.selector = BAR >> 4;
	sregs.fs.base = APIC;
	kvm(guest->cpu, KVM_SET_SREGS, &sregs);
	kvm(guest->cpu, KVM_SET_REGS, &regs);
}

/* Runs until it asks for something to do. */
static void run(struct guest *guest)
{
	const struct kvm_run *run = guest->run;

	kvm(guest->cpu, KVM_RUN, 0);
	ck_assert_msg(run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN &&
			      run->io.port == COMMAND_PORT,
		      "the guest stopped for reason %u", run->exit_reason);
}

void guest_do(struct guest *guest, unsigned char what)
{
	const struct kvm_run *state = guest->run;

	*((unsigned char *)guest->run + state->io.data_offset) = what;
	run(guest);
}

void guest_open(struct guest *guest)
{
	guest->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	ck_assert_msg(guest->kvm >= 0, "/dev/kvm: %s", strerror(errno));
	guest->vm = kvm(guest->kvm, KVM_CREATE_VM, 0);
	kvm(guest->vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	kvm(guest->vm, KVM_CREATE_IRQCHIP, 0);
	guest->ram = memory(RAM);
	give_memory(guest, 0, 0, guest->ram, RAM);
	guest->cpu = kvm(guest->vm, KVM_CREATE_VCPU, 0);
	guest->run_len = (size_t)kvm(guest->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	guest->run = mmap(NULL, guest->run_len, PROT_READ | PROT_WRITE, MAP_SHARED, guest->cpu, 0);
	ck_assert_ptr_ne(guest->run, MAP_FAILED);
	load(guest);
	route(guest);
	set_cpuid(guest);
	set_registers(guest);
	run(guest); /* its interrupt controllers take nothing before it has set them up */
}

void guest_close(struct guest *guest)
{
	munmap(guest->run, guest->run_len);
	close(guest->cpu);
	close(guest->vm);
	close(guest->kvm);
	munmap(guest->ram, RAM);
}

void guest_give(struct guest *guest, void *bar)
{
	give_memory(guest, 1, BAR, bar, PAGE);
}

unsigned int guest_calls(const struct guest *guest, unsigned int gsi)
{
	return ((const unsigned char *)guest->ram)[CALLS + gsi];
}

unsigned int guest_count(const struct guest *guest, unsigned int gsi)
{
	return ((const unsigned char *)guest->ram)[EVENTS + gsi];
}
#endif
