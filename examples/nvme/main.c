/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Drives an NVMe drive: writes, reads back and compares, then measures. */
#include "bench.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: nvme [OPTIONS]\n"
	"  -d ADDRESS  the drive, bound to a VFIO driver (0000:00:04.0)\n"
	"  -q DEPTH    measure with DEPTH commands on their way in a queue, up to 128 (first 1, then 8)\n"
	"  -n QUEUES   with so many queues, up to 16 (1); the kernel's driver has as many times DEPTH\n"
	"  -b BYTES    with commands of so many bytes, up to 2 MiB (one block)\n"
	"  -S          one place after the other, in place of random ones\n"
	"  -w          write, in place of read\n"
	"  -t SECONDS  for so long (2)\n"
	"  -r TIMES    so often, and tell the median (once; 3 times with --compare)\n"
	"  -l          then once more, to tell how long the commands took: the clock is read more often\n"
	"  -s MIB      before all that write, read back and compare so many MiB (4)\n"
	"  -g LOOKS    before a doorbell is rung, look so often for further completions (30: for a drive that is\n"
	"              emulated; 1 is best for one that is not)\n"
	"  -i          wait for MSI-X interrupts instead of polling, as the kernel's driver does always\n"
	"  -H          put the data in huge pages, but for the kernel's driver\n"
	"  --compare   measure only, in turns with the kernel's own driver, to which the drive is given\n"
	"  --help      print this\n"
	"The first MIB of namespace 1 are overwritten and put back at the end, also after any signal\n"
	"but SIGKILL, and when nobody reads the output any more; with --compare only -w overwrites them.\n";

volatile sig_atomic_t stopped;

static void stop(int number)
{
	stopped = number;
}

/*
 * Every signal that would end the program here and now asks it to stop instead, but for those that tell of a mistake in
 * it: there is no going on after them. What is ignored stays so: nohup wants it.
 */
static void heed_signals(void)
{
	/* What the library is about is done to the end; all that sleeps here wakes up nevertheless. */
	const struct sigaction action = { .sa_handler = stop, .sa_flags = SA_RESTART };
	static const int others[] = { SIGCHLD, SIGCONT, SIGTSTP,  SIGTTIN,
				      SIGTTOU, SIGURG,  SIGWINCH, /* do not end it */
				      SIGSEGV, SIGBUS,  SIGILL,   SIGFPE,
				      SIGABRT, SIGTRAP, SIGSYS };
	struct sigaction was;
	uint32_t i;

	/* It fails, as it should, for what cannot be caught and what the C library keeps for itself. */
	for (int signal = 1; signal <= SIGRTMAX; signal++) {
		for (i = 0; i < sizeof(others) / sizeof(*others) && others[i] != signal; i++)
			;
		if (i == sizeof(others) / sizeof(*others) && !sigaction(signal, NULL, &was) &&
		    was.sa_handler != SIG_IGN)
			sigaction(signal, &action, NULL);
	}
}

static uint32_t number(const char *text, unsigned long max)
{
	unsigned long value = strtoul(text, NULL, 10);

	/* Digits only: to the function above, -1 is a large number. */
	if (text[strspn(text, "0123456789")] || value < 1 || value > max) {
		nvme_fail("%s is not a number from 1 to %lu", text, max);
		exit(2);
	}
	return (uint32_t)value;
}

static uint32_t size_of_command(const char *text)
{
	uint32_t bytes = number(text, NVME_MAX_TRANSFER);

	if (bytes % 512) {
		nvme_fail("%s is not a number of whole blocks: they have 512 bytes or more", text);
		exit(2);
	}
	return bytes;
}

/* Options that have no value. */
static bool set_flag(struct options *opts, int option)
{
	switch (option) {
	case 'S':
		return opts->sequential = true;
	case 'w':
		return opts->write = true;
	case 'l':
		return opts->latency = true;
	case 'i':
		return opts->interrupts = true;
	case 'H':
		return opts->huge = true;
	case 'c':
		return opts->compare = true;
	default:
		return false;
	}
}

static void set_option(struct options *opts, int option)
{
	switch (option) {
	case 'd':
		opts->address = optarg;
		break;
	case 'q':
		opts->depth = number(optarg, MAX_DEPTH);
		break;
	case 'n':
		opts->queues = number(optarg, NVME_MAX_QUEUES);
		break;
	case 'b':
		opts->bytes = size_of_command(optarg);
		break;
	case 't':
		opts->seconds = number(optarg, 86400);
		break;
	case 'r':
		opts->times = number(optarg, MAX_TIMES);
		break;
	case 's':
		opts->mib = number(optarg, 512);
		break;
	case 'g':
		opts->looks = number(optarg, 1000000);
		break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		if (!set_flag(opts, option)) {
			fputs(usage, stderr);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	static const struct option words[] = { { "help", no_argument, NULL, 'h' },
					       { "compare", no_argument, NULL, 'c' },
					       { NULL, 0, NULL, 0 } };
	struct options opts = { .address = "0000:00:04.0", .queues = 1, .seconds = 2, .mib = 4, .looks = 30 };
	int option, result;

	opterr = 0; /* the usage says it all */
	while ((option = getopt_long(argc, argv, "d:q:n:b:Swt:r:ls:g:iH", words, NULL)) != -1)
		set_option(&opts, option);
	if (optind < argc || (opts.compare && opts.latency)) {
		fputs(usage, stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0); /* who reads through a pipe has each line when it is true */
	heed_signals();
	result = opts.compare ? compare(&opts) : drive(&opts);
	/* All is put back: now the signal may do what it always does. */
	if (stopped) {
		nvme_fail("stopped by signal %d", (int)stopped);
		signal(stopped, SIG_DFL);
		raise(stopped);
	}
	if (ferror(stdout))
		result = nvme_fail("not all could be printed");
	return result ? 1 : 0;
}
