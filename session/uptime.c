/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads since when the socket unit, or without systemd the parent process, accepts connections.
 * proxxy-conn.c calls it for /api/status.
 */
#include "session/uptime.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* proxxy.socket writes this file when it is activated: a copy of /proc/uptime, in seconds since
 * boot. */
#define ACTIVATED "/run/proxxy/activated"

/* Reads a small file into line[0..size), NUL-terminated. Returns false if it is empty or cannot be
 * read. */
static bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	size_t n;

	if (!file)
		return false;
	n = fread(line, 1, size - 1, file);
	fclose(file);
	line[n] = '\0';
	return n > 0;
}

/* Returns when proxxy.socket was activated, in seconds since boot, or -1 if the parent is not
 * systemd. The parent's own start would be the boot. */
static int64_t socket_activated(void)
{
	char line[128];
	int64_t seconds;

	return getppid() == 1 && read_line(ACTIVATED, line, sizeof(line)) && sscanf(line, "%" SCNd64, &seconds) == 1 ?
		       seconds :
		       -1;
}

/* Returns when a process started, in seconds since boot, or -1. It is field 22 of /proc/PID/stat,
 * in clock ticks (proc(5)). Fields are counted from the last parenthesis, because the command's
 * name before it may contain spaces and parentheses. */
static int64_t process_started(pid_t pid)
{
	const int64_t hz = sysconf(_SC_CLK_TCK);
	char path[64], line[1024];
	const char *at;
	int64_t ticks;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (hz <= 0 || !read_line(path, line, sizeof(line)))
		return -1;
	at = strrchr(line, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at && sscanf(at, " %" SCNd64, &ticks) == 1 ? ticks / hz : -1;
}

int64_t uptime_seconds(void)
{
	int64_t since = socket_activated();
	struct timespec now;

	if (since < 0)
		since = process_started(getppid());
	if (since < 0 || clock_gettime(CLOCK_BOOTTIME, &now) < 0 || now.tv_sec < since)
		return 0;
	return now.tv_sec - since;
}
