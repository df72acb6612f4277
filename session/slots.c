/* SPDX-License-Identifier: Apache-2.0
 *
 * Takes slots by locking bytes of files. limits.c calls it.
 */
#include "session/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/error.h"

enum { FILE_BITS = 8, SLOT_BITS = 6 };
_Static_assert(SLOTS_FILES == 1 << FILE_BITS && SLOTS_PER_FILE == 1 << SLOT_BITS, "a lock's place has 62 bits");

/* Opens the file for the slots of a key from number group * SLOTS_PER_FILE on. Returns a
 * descriptor, or -1 with errno. */
static int open_file(int directory, uint64_t key, int group)
{
	const unsigned number = ((unsigned)(key >> (64 - FILE_BITS)) + (unsigned)group) % SLOTS_FILES;
	char name[3];

	snprintf(name, sizeof(name), "%02x", number);
	return openat(directory, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* Locks the byte of a slot. Returns 0, SLOTS_FULL if another process has it, or ERR_SYSTEM with
 * errno. */
static int lock(int fd, uint64_t key, int slot)
{
	const uint64_t place = (key << FILE_BITS >> FILE_BITS << SLOT_BITS) + (unsigned)slot % SLOTS_PER_FILE;
	struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)place, .l_len = 1 };

	if (fcntl(fd, F_OFD_SETLK, &range) == 0)
		return OK;
	return errno == EAGAIN || errno == EACCES ? SLOTS_FULL : ERR_SYSTEM;
}

int slots_take(int directory, uint64_t key, int limit, unsigned start)
{
	int slot = (int)(start % (unsigned)limit), group = -1, fd = -1, rc = SLOTS_FULL;

	for (int n = 0; n < limit && rc == SLOTS_FULL; n++) {
		if (slot / SLOTS_PER_FILE != group) {
			if (fd >= 0)
				close(fd);
			group = slot / SLOTS_PER_FILE;
			fd = open_file(directory, key, group);
		}
		rc = fd >= 0 ? lock(fd, key, slot) : ERR_SYSTEM;
		slot = slot + 1 < limit ? slot + 1 : 0;
	}
	if (rc == OK)
		return fd;
	if (fd >= 0) {
		const int error = errno;

		close(fd);
		errno = error;
	}
	return rc;
}
