/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a program and measures the most memory of its own that it ever has: bench/peak PROGRAM
 *
 * A process's memory shrinks only in system calls. So the program is stopped before and after each
 * of its system calls (ptrace(2)), and what /proc says about its memory is read: the largest value
 * is the exact peak, if the program has one thread. At its end, "peak: N KiB" goes to standard
 * error.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Returns the KiB that a process has of its own now, or 0 if it has ended: anonymous memory, with
 * the pages of files that it has changed. "Private" would include the program's own pages, which
 * are shared as soon as a second session runs. */
static long own_memory(int fd)
{
	static const char name[] = "\nAnonymous:";
	char text[4096];
	const char *line;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	line = strstr(text, name);
	if (!line)
		fail("no anonymous memory in smaps_rollup");
	return strtol(line + strlen(name), NULL, 10);
}

int main(int argc, char **argv)
{
	char path[64];
	long peak = 0;
	int status, signal = 0, fd;
	pid_t pid;

	if (argc != 2) {
		fputs("Usage: peak PROGRAM\n", stderr);
		return 1;
	}
	pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execl(argv[1], argv[1], NULL);
		fail(argv[1]);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) < 0)
		fail("ptrace");
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail(path);
	for (;;) {
		long now;

		if (ptrace(PTRACE_SYSCALL, pid, NULL, signal) < 0 || waitpid(pid, &status, 0) != pid)
			fail("ptrace");
		if (!WIFSTOPPED(status))
			break;
		signal = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
		now = own_memory(fd);
		if (now > peak)
			peak = now;
	}
	fprintf(stderr, "peak: %ld KiB\n", peak);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
