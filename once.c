/* SPDX-License-Identifier: Apache-2.0
 *
 * Single use, see once.h.
 */
#include "once.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto.h"
#include "error.h"

enum { HASH_LEN = 32, NAME_LEN = 2 * HASH_LEN, SWEPT_DIGIT = 2 /* the first byte says whether to sweep */ };

static bool is_ours(const char *name)
{
	return strlen(name) == NAME_LEN && strspn(name, "0123456789abcdef") == NAME_LEN;
}

/* Removes files whose time, which is when they expire, is over, of those whose names have the same digit as name
 * has, at a place that chance has filled: a 16th of all, another one each time, so that none of the
 * first ONCE_SWEEP_MAX is out of reach, in whatever order they come. A new file's time is that of its making until its
 * maker has set it: the slack keeps it from being swept then. */
static void sweep(int directory, const char *name, time_t now)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!entries) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (int n = 0; n < ONCE_SWEEP_MAX && (entry = readdir(entries)); n++) {
		struct stat st;

		if (is_ours(entry->d_name) && entry->d_name[SWEPT_DIGIT] == name[SWEPT_DIGIT] &&
		    fstatat(directory, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtime + ONCE_SLACK < now)
			unlinkat(directory, entry->d_name, 0);
	}
	closedir(entries);
}

static int claim(int directory, const char *name, int64_t expires)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = (time_t)expires } };
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), rc;

	if (fd < 0)
		return errno == EEXIST ? ERR_PAYLOAD_USED : ERR_CONFIG;
	rc = futimens(fd, times) == 0 ? OK : ERR_CONFIG;
	close(fd);
	/* Whoever looked at the clock before it expired, and came here after the file of the first was swept away,
	 * is too late. A file is swept only when its time is over, so it is enough to look again. */
	if (rc == OK && time(NULL) > expires)
		rc = ERR_PAYLOAD_EXPIRED;
	return rc;
}

/* Gets the file's name and the first byte of its hash. Returns 0 or ERR_SYSTEM. */
static int name_file(const void *id, size_t len, char ret_name[NAME_LEN + 1], uint8_t *ret_first)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned hash_len = 0;

	if (EVP_Digest(id, len, hash, &hash_len, EVP_sha256(), NULL) != 1 || hash_len != HASH_LEN)
		return ERR_SYSTEM;
	crypto_hex_encode(ret_name, hash, HASH_LEN);
	*ret_first = hash[0];
	return OK;
}

int once_claim(const char *directory, const void *id, size_t len, int64_t expires)
{
	char name[NAME_LEN + 1];
	uint8_t first;
	int rc = name_file(id, len, name, &first), fd;

	if (rc < 0)
		return rc;
	fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ERR_CONFIG;
	rc = claim(fd, name, expires);
	if (rc == OK && first % ONCE_SWEEP_EVERY == 0)
		sweep(fd, name, time(NULL));
	close(fd);
	return rc;
}

bool once_claimed(const char *directory, const void *id, size_t len)
{
	char name[NAME_LEN + 1];
	struct stat st;
	uint8_t first;
	int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const bool claimed = fd >= 0 && name_file(id, len, name, &first) == OK &&
			     fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;

	if (fd >= 0)
		close(fd);
	return claimed;
}
