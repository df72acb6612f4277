/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps used identifiers as empty files in a directory, and deletes expired ones. single_use.c
 * calls it.
 */
#include "session/replay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto.h"
#include "lib/error.h"

enum {
	NAME_LEN = 2 * CRYPTO_HASH_LEN,
	SWEEP_DIGIT = 1, /* of a name: decides whether to sweep */
	SWEPT_DIGIT = 2, /* decides which files a sweep looks at */
};

/* True if a file's name is a hash, as crypto_hash_hex() makes it. */
static bool is_ours(const char *name)
{
	return strlen(name) == NAME_LEN && strspn(name, "0123456789abcdef") == NAME_LEN;
}

/* Deletes expired files. To bound the work, each sweep looks only at names whose third hex digit
 * equals that of name: a random digit, so 1/16 of them, and other ones in another sweep. mtime is
 * the expiry. REPLAY_SLACK protects a file between its creation and futimens(). */
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
	for (int n = 0; n < REPLAY_SWEEP_MAX && (entry = readdir(entries)); n++) {
		struct stat st;

		if (is_ours(entry->d_name) && entry->d_name[SWEPT_DIGIT] == name[SWEPT_DIGIT] &&
		    fstatat(directory, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_mtime + REPLAY_SLACK < now)
			unlinkat(directory, entry->d_name, 0);
	}
	closedir(entries);
}

/* Takes the jti by creating its file. Returns as replay_take(). */
static int take(int directory, const char *name, int64_t expires)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = (time_t)expires } };
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), rc;

	if (fd < 0)
		return errno == EEXIST ? ERR_PAYLOAD_USED : ERR_CONFIG;
	rc = futimens(fd, times) == 0 ? OK : ERR_CONFIG;
	close(fd);
	/* The caller checked the expiry some time ago. If the payload has expired since, an earlier
	 * file of this name may have been swept, so O_EXCL proves nothing. */
	if (rc == OK && time(NULL) > expires)
		rc = ERR_PAYLOAD_EXPIRED;
	return rc;
}

int replay_take(const char *directory, const void *id, size_t len, int64_t expires)
{
	char name[NAME_LEN + 1];
	int rc = crypto_hash_hex(id, len, name), fd;

	if (rc < 0)
		return rc;
	fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ERR_CONFIG;
	rc = take(fd, name, expires);
	if (rc == OK && name[SWEEP_DIGIT] == '0')
		sweep(fd, name, time(NULL));
	close(fd);
	return rc;
}

bool replay_taken(const char *directory, const void *id, size_t len)
{
	char name[NAME_LEN + 1];
	struct stat st;
	int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const bool taken = fd >= 0 && crypto_hash_hex(id, len, name) == OK &&
			   fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;

	if (fd >= 0)
		close(fd);
	return taken;
}
