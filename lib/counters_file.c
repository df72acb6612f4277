/* SPDX-License-Identifier: Apache-2.0
 *
 * The layout of the file of the counters. session/counters.c and status/metrics.c call it.
 */
#include "lib/counters_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "proxxy\r\n"

_Static_assert(sizeof(struct counters) <= 4096, "a session maps one page");
_Static_assert(sizeof(struct counters) % sizeof(uint64_t) == 0 && offsetof(struct counters, opened) == 16,
	       "the layout has no gaps, on all processors");

#define SECONDS(n) ((n) * 1000)
#define HOURS(n) SECONDS((n) * 3600)

const uint32_t counters_connecting_bounds[COUNTERS_BOUNDS] = { 10,         25,          50,          100,
							       250,        500,         SECONDS(1),  2500,
							       SECONDS(5), SECONDS(10), SECONDS(20), SECONDS(60) };
const uint32_t counters_duration_bounds[COUNTERS_BOUNDS] = { SECONDS(1),   SECONDS(10),  SECONDS(30),   SECONDS(60),
							     SECONDS(300), SECONDS(900), SECONDS(1800), HOURS(1),
							     HOURS(2),     HOURS(4),     HOURS(8),      HOURS(24) };

size_t counters_bucket(const uint32_t bounds[COUNTERS_BOUNDS], int64_t ms)
{
	size_t i = 0;

	while (i < COUNTERS_BOUNDS && ms > bounds[i])
		i++;
	return i;
}

size_t counters_index(int code)
{
	return code <= 0 && code > -COUNTERS_OTHER ? (size_t)-code : COUNTERS_OTHER;
}

void counters_init(struct counters *c)
{
	*c = (struct counters){ .version = COUNTERS_VERSION, .size = sizeof(*c) };
	memcpy(c->magic, MAGIC, sizeof(c->magic));
}

bool counters_layout_is_ours(const struct counters *c)
{
	return memcmp(c->magic, MAGIC, sizeof(c->magic)) == 0 && c->version == COUNTERS_VERSION &&
	       c->size == sizeof(*c);
}

/* Returns 0 if fd is a regular file of this layout, else -EINVAL or another -errno. */
static int check(int fd)
{
	struct counters head;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size != sizeof(struct counters) ||
	    pread(fd, &head, offsetof(struct counters, opened), 0) != offsetof(struct counters, opened))
		return -EINVAL;
	return counters_layout_is_ours(&head) ? 0 : -EINVAL;
}

int counters_file_open(const char *directory, int flags)
{
	char path[COUNTERS_PATH_MAX];
	int fd, rc;

	if (snprintf(path, sizeof(path), "%s/" COUNTERS_NAME, directory) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP || errno == ENXIO || errno == EISDIR ? -EINVAL : -errno;
	rc = check(fd);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

int counters_file_read(const char *directory, struct counters *ret_counters)
{
	const int fd = counters_file_open(directory, O_RDONLY);
	struct counters c;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = pread(fd, &c, sizeof(c), 0);
	close(fd);
	if (n != sizeof(c))
		return n < 0 ? -EIO : -EINVAL;
	*ret_counters = c;
	return 0;
}
