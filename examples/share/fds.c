/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <string.h>
#include <sys/socket.h>

#include "fds.h"

/* Room for two descriptors beside a message. */
union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(2 * sizeof(int))];
};

void hand_over(int to, struct message *message, const int fds[2])
{
	union control control = { .room = { 0 } };
	struct iovec iov = { message, sizeof(*message) };
	struct msghdr all = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};

	control.header = (struct cmsghdr){ CMSG_LEN(2 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.header), fds, 2 * sizeof(int));
	if (sendmsg(to, &all, 0) != (ssize_t)sizeof(*message))
		die("nothing can be sent");
}

void take(int from, struct message *message, int fds[2])
{
	union control control;
	struct iovec iov = { message, sizeof(*message) };
	struct msghdr all = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};

	if (recvmsg(from, &all, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*message) || !CMSG_FIRSTHDR(&all))
		die("nothing was received");
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&all)), 2 * sizeof(int));
}
