/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * share [-u UID] [-m KIB] [ADDRESS]: a privileged process opens a context's and a device's nodes and hands them over a
 * Unix socket to a process that may open nothing, which then lets QEMU's educational device move data.
 */
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <libiommufd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fds.h"

static const char usage[] = "usage: share [OPTIONS] [ADDRESS]\n"
			    "  ADDRESS  an educational device of QEMU, bound to a VFIO driver (0000:00:03.0)\n"
			    "  -u UID   the user that drives it (1000)\n"
			    "  -m KIB   that user's limit of locked memory (64)\n"
			    "  --help   print this\n";

_Noreturn void die(const char *what)
{
	fprintf(stderr, "share: %s\n", what);
	exit(1);
}

/* The privileged side: which node it is depends on the backend, and on what the kernel has. */
static void serve(int to, const char *address)
{
	struct iommufd_found_info found = { .struct_size = sizeof(found) };
	struct iommufd_report *report;
	struct iommufd_ctx *ctx;
	struct message message;
	char path[64];
	int fds[2];

	if (iommufd_ctx_new(NULL, &ctx) || iommufd_probe(&report))
		die(iommufd_errmsg());
	for (uint32_t i = 0; !found.name || strcmp(found.name, address); i++)
		if (iommufd_report_device(report, i, &found))
			die("there is no such device");
	message.backend = iommufd_ctx_backend(ctx);
	message.by_node = message.backend == IOMMUFD_BACKEND_IOMMUFD && found.cdev;
	snprintf(path, sizeof(path), "/dev/vfio/%d", found.group);
	fds[0] = iommufd_ctx_fd(ctx);
	fds[1] = open(message.by_node ? found.cdev : path, O_RDWR | O_CLOEXEC);
	if (fds[1] < 0)
		die("the device's node cannot be opened");
	printf("backend %s, and %s, handed over\n", iommufd_backend_name(message.backend),
	       message.by_node ? found.cdev : path);
	fflush(stdout);
	hand_over(to, &message, fds);
	close(fds[1]);
	iommufd_report_free(report);
	iommufd_ctx_free(ctx);
}

static unsigned int number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value > UINT32_MAX) {
		fputs(usage, stderr);
		exit(2);
	}
	return (unsigned int)value;
}

int main(int argc, char **argv)
{
	static const struct option words[] = { { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	const char *address = "0000:00:03.0";
	unsigned int uid = 1000, kib = 64;
	int option, ends[2], status;

	opterr = 0; /* the usage says it all */
	while ((option = getopt_long(argc, argv, "u:m:", words, NULL)) != -1) {
		if (option == 'u') {
			uid = number(optarg);
		} else if (option == 'm') {
			kib = number(optarg);
		} else {
			fputs(usage, option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : 2;
		}
	}
	if (optind + 1 < argc) {
		fputs(usage, stderr);
		return 2;
	}
	if (optind < argc)
		address = argv[optind];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		die("no socket");
	if (!fork()) {
		struct rlimit limit = { (rlim_t)kib << 10, (rlim_t)kib << 10 };

		if (setrlimit(RLIMIT_MEMLOCK, &limit) || setgroups(0, NULL) || setgid(uid) || setuid(uid))
			die("another user can only be made by root");
		drive(ends[1], address);
		return 0;
	}
	serve(ends[0], address);
	if (wait(&status) < 0 || !WIFEXITED(status))
		return 1;
	return WEXITSTATUS(status);
}
