/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps the times of keys in a table in a file. limits.c calls it.
 */
#include "session/rates.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/error.h"

#define MINUTE INT64_C(60000000) /* microseconds */

enum {
	/* Another process holds a set's lock for some microseconds. If that process is stopped,
	 * this one continues without the lock after 20 ms: then two may pass as one. */
	LOCK_ATTEMPTS = 20,
	LOCK_WAIT_NS = 1000000,
};

struct entry {
	uint64_t key;
	/* If the key passed at regular intervals, the time of its next turn (the algorithm's TAT),
	 * in microseconds. In the past, and for an empty entry: it has all its tokens. */
	int64_t turn;
};

struct set {
	struct entry entries[RATES_PER_SET];
};

_Static_assert(sizeof(struct set) * RATES_SETS == RATES_FILE_MAX, "the file's size");

/* Returns the key's entry, or else the one that is worth least: that with the earliest turn.
 * Empties it if it is another key's, or from before the machine's last start. */
static struct entry *find(struct set *set, uint64_t key, int64_t now)
{
	struct entry *found = &set->entries[0];

	for (size_t i = 0; i < RATES_PER_SET; i++) {
		struct entry *entry = &set->entries[i];

		if (entry->turn < 0 || entry->turn > now + MINUTE)
			*entry = (struct entry){ 0 };
		if (entry->key == key) {
			found = entry;
			break;
		}
		if (entry->turn < found->turn)
			found = entry;
	}
	if (found->key != key)
		*found = (struct entry){ .key = key };
	return found;
}

/* Lets the entry's key pass. Returns as rates_pass(). */
static int pass(struct entry *entry, int per_minute, int64_t now, int *ret_seconds)
{
	const int64_t interval = MINUTE / per_minute, turn = entry->turn > now ? entry->turn : now;
	const int64_t wait = turn + interval - (now + MINUTE);

	if (wait > 0) {
		*ret_seconds = (int)((wait + 999999) / 1000000);
		return ERR_LIMIT_RATE;
	}
	entry->turn = turn + interval;
	return OK;
}

/* Locks the bytes of a set, unless another process keeps them locked. Returns 0, or ERR_SYSTEM with
 * errno if the file system has no such locks. */
static int lock(int fd, off_t place)
{
	const struct timespec moment = { .tv_nsec = LOCK_WAIT_NS };
	struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = place, .l_len = sizeof(struct set) };

	for (int n = 0; n < LOCK_ATTEMPTS; n++) {
		if (fcntl(fd, F_OFD_SETLK, &range) == 0)
			return OK;
		if (errno != EAGAIN && errno != EACCES)
			return ERR_SYSTEM;
		nanosleep(&moment, NULL);
	}
	return OK;
}

/* Does what rates_pass() does, in the file fd. */
static int pass_in(int fd, uint64_t key, int per_minute, int64_t now, int *ret_seconds)
{
	const off_t place = (off_t)(key % RATES_SETS * sizeof(struct set));
	struct set set = { 0 };
	ssize_t n;
	int rc = lock(fd, place);

	if (rc < 0)
		return rc;
	n = pread(fd, &set, sizeof(set), place);
	if (n < 0)
		return ERR_SYSTEM;
	if (n < (ssize_t)sizeof(set)) /* beyond the end of the file: nothing was written there yet */
		set = (struct set){ 0 };
	rc = pass(find(&set, key, now), per_minute, now, ret_seconds);
	if (rc == OK && pwrite(fd, &set, sizeof(set), place) != (ssize_t)sizeof(set))
		rc = ERR_SYSTEM;
	return rc;
}

int rates_pass(int directory, uint64_t key, int per_minute, int64_t now, int *ret_seconds)
{
	int fd = openat(directory, "rates", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), rc, error;

	if (fd < 0)
		return ERR_SYSTEM;
	rc = pass_in(fd, key, per_minute, now, ret_seconds);
	error = errno;
	close(fd); /* and drop the lock */
	errno = error;
	return rc;
}
