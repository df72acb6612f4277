/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the names of processes in /proc. metrics.c calls it.
 */
#include "status/processes.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAME_SIZE = 16 + 1 }; /* bytes of comm, with its line feed, and a NUL */

/* True if pid, a name in /proc, is a process with that name. */
static bool has_name(const char *pid, const char *name)
{
	char path[280], comm[NAME_SIZE] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false; /* it has ended */
	n = read(fd, comm, sizeof(comm) - 1);
	close(fd);
	comm[strcspn(comm, "\n")] = '\0';
	return n > 0 && strcmp(comm, name) == 0;
}

int processes_count(const char *name)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int n = 0;

	/* With the mount option hidepid, only the processes of one's own user are there. */
	if (!proc || access("/proc/1/comm", R_OK) < 0) {
		if (proc)
			closedir(proc);
		return -1;
	}
	while ((entry = readdir(proc)))
		n += entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && has_name(entry->d_name, name);
	closedir(proc);
	return n;
}
