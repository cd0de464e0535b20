/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * tests/vm/run joins QEMU's monitor with the virtio port `monitor`. It speaks JSON: one object a line, an answer has
 * the id of its command, and between answers there may be events, and what an earlier test has not read.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qemu.h"
#include "vm.h"

static bool has_name(const char *port, const char *name)
{
	char path[320], its[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", port);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(its, sizeof(its), file))
		its[0] = '\0';
	fclose(file);
	its[strcspn(its, "\n")] = '\0';
	return !strcmp(its, name);
}

static FILE *monitor_open(void)
{
	DIR *ports = opendir("/sys/class/virtio-ports");
	const struct dirent *entry;
	char path[320] = "";
	int fd;

	ck_assert_ptr_nonnull(ports);
	while ((entry = readdir(ports)))
		if (has_name(entry->d_name, "monitor"))
			snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
	closedir(ports);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "this machine has no port for QEMU's monitor: \"%s\": %s", path, strerror(errno));
	return fdopen(fd, "r");
}

/* The text of a JSON string, from behind its first quotation mark. Only ASCII is written other than as it is. */
static void unquote(const char *text, char *out, size_t size)
{
	size_t used = 0;

	while (*text && *text != '"' && used + 1 < size) {
		if (*text == '\\' && *++text && strchr("rn", *text)) {
			if (*text++ == 'n')
				out[used++] = '\n';
			continue;
		}
		out[used++] = *text++;
	}
	out[used] = '\0';
}

__attribute__((format(printf, 3, 0))) static void ask(char *answer, size_t size, const char *format, va_list args)
{
	static unsigned int number;
	char command[512], line[1024], id[64];
	FILE *monitor = monitor_open();
	const char *found = NULL;
	char *text = NULL;
	size_t room = 0;

	vsnprintf(command, sizeof(command), format, args);
	ck_assert_msg(!strpbrk(command, "\"\\"), "this command would have to be quoted: %s", command);
	snprintf(id, sizeof(id), "\"id\": \"%d-%u\"", getpid(), ++number);
	/* The first has an effect once, and later an answer without our id. */
	snprintf(line, sizeof(line),
		 "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"human-monitor-command\",\"arguments\":"
		 "{\"command-line\":\"%s\"},%s}\n",
		 command, id);
	ck_assert_int_eq(write(fileno(monitor), line, strlen(line)), (ssize_t)strlen(line));
	do
		ck_assert_msg(getline(&text, &room, monitor) > 0, "QEMU does not answer \"%s\"", command);
	while (!strstr(text, id));
	found = strstr(text, "\"return\": \"");
	ck_assert_msg(found, "QEMU does not take \"%s\": %s", command, text);
	unquote(found + strlen("\"return\": \""), answer, size);
	free(text);
	fclose(monitor);
}

void vm_qemu_ask(char *answer, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	ask(answer, size, format, args);
	va_end(args);
}

void vm_qemu(const char *format, ...)
{
	char answer[1024];
	va_list args;

	va_start(args, format);
	ask(answer, sizeof(answer), format, args);
	va_end(args);
	ck_assert_msg(!*answer, "QEMU: %s", answer);
}

bool vm_qemu_has(const char *id)
{
	char answer[4096], line[80];

	snprintf(line, sizeof(line), "\n%s (child<", id);
	answer[0] = '\n';
	vm_qemu_ask(answer + 1, sizeof(answer) - 1, "qom-list /machine/peripheral");
	return strstr(answer, line);
}

START_TEST(a_command_reaches_qemu_and_its_answer_comes_back)
{
	char answer[256];

	for (int i = 0; i < 3; i++) {
		vm_qemu_ask(answer, sizeof(answer), "info status");
		ck_assert_str_eq(answer, "VM status: running\n");
	}
	ck_assert(vm_qemu_has("empty"));
	ck_assert(!vm_qemu_has("emp"));
	vm_qemu_ask(answer, sizeof(answer), "device_del nothing");
	ck_assert_ptr_nonnull(strstr(answer, "'nothing' not found"));
	/* Somebody who does not wait for the answer leaves it to the next. */
	for (int i = 0; i < 3; i++) {
		pid_t child = fork();

		if (!child) {
			FILE *monitor = monitor_open();

			_exit(dprintf(fileno(monitor), "{\"execute\":\"qmp_capabilities\"}\n") < 0);
		}
		ck_assert_int_eq(waitpid(child, NULL, 0), child);
		vm_qemu_ask(answer, sizeof(answer), "info status");
		ck_assert_str_eq(answer, "VM status: running\n");
	}
}
END_TEST

void add_qemu_tests(TCase *tc)
{
	tcase_add_test(tc, a_command_reaches_qemu_and_its_answer_comes_back);
}
