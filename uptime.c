/* SPDX-License-Identifier: Apache-2.0
 *
 * Uptime, see uptime.h.
 */
#include "uptime.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Field 22 of /proc/PID/stat: start time in clock ticks since boot (proc(5)). Fields are counted
 * behind the command's name, which may hold spaces and parentheses itself. Returns -1 when it
 * cannot be read. */
static int64_t start_ticks(pid_t pid)
{
	char path[64], line[1024];
	const char *at;
	FILE *file;
	int64_t ticks;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	line[fread(line, 1, sizeof(line) - 1, file)] = '\0';
	fclose(file);
	at = strrchr(line, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at && sscanf(at, " %" SCNd64, &ticks) == 1 ? ticks : -1;
}

int64_t uptime_seconds(void)
{
	const int64_t start = start_ticks(getppid()), hz = sysconf(_SC_CLK_TCK);
	struct timespec now;

	if (start < 0 || hz <= 0 || clock_gettime(CLOCK_BOOTTIME, &now) < 0)
		return 0;
	return now.tv_sec > start / hz ? now.tv_sec - start / hz : 0;
}
