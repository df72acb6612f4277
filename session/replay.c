/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps the used jti as empty files in a directory, and deletes expired ones. proxxy-conn.c calls
 * it before it accepts a client.
 */
#include "session/replay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto.h"
#include "lib/error.h"

enum {
	HASH_LEN = 32,
	NAME_LEN = 2 * HASH_LEN,
	SWEPT_DIGIT = 2, /* not 0 or 1: the first byte decides whether to sweep */
};

/* True if a file's name is a hash, as name_file() makes it. */
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

int replay_take(const char *directory, const void *id, size_t len, int64_t expires)
{
	char name[NAME_LEN + 1];
	uint8_t first;
	int rc = name_file(id, len, name, &first), fd;

	if (rc < 0)
		return rc;
	fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ERR_CONFIG;
	rc = take(fd, name, expires);
	if (rc == OK && first % REPLAY_SWEEP_EVERY == 0)
		sweep(fd, name, time(NULL));
	close(fd);
	return rc;
}

bool replay_taken(const char *directory, const void *id, size_t len)
{
	char name[NAME_LEN + 1];
	struct stat st;
	uint8_t first;
	int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const bool taken = fd >= 0 && name_file(id, len, name, &first) == OK &&
			   fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;

	if (fd >= 0)
		close(fd);
	return taken;
}

/* --- a payload's jti ---------------------------------------------------------------------- */

enum { ID_MAX = KEY_NAME_MAX + 1 + CLAIMS_JTI_MAX + 1 };

/* Writes the jti's identifier and returns its length. The kid before it gives each key a namespace
 * of its own, so that the holder of one key cannot use up another key's payloads. A kid has no ':',
 * so the prefix is unambiguous. */
static size_t make_id(const struct access *a, char id[ID_MAX])
{
	return (size_t)snprintf(id, ID_MAX, "%s:%s", a->kid, a->claims.jti);
}

bool replay_is_used(const struct access *a, const struct config *config)
{
	char id[ID_MAX];

	return *a->claims.jti && replay_taken(config->state_directory, id, make_id(a, id));
}

int replay_use_jti(struct access *a, const struct config *config)
{
	char id[ID_MAX];
	int rc;

	if (!*a->claims.jti)
		return OK;
	rc = replay_take(config->state_directory, id, make_id(a, id), a->claims.expires + ACCESS_LEEWAY);
	if (rc == ERR_CONFIG)
		snprintf(a->why, sizeof(a->why), "PROXXY_STATE_DIRECTORY %.60s, which a jti needs: %s",
			 config->state_directory, strerror(errno));
	return rc;
}
