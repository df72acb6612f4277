/* SPDX-License-Identifier: Apache-2.0
 *
 * Decides whose sessions count together, and applies the limits of the settings. proxxy-conn.c
 * calls it before it starts OpenSSL, and again when the payload is open.
 */
#include "session/limits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/big_endian.h"
#include "lib/error.h"
#include "session/rates.h"
#include "session/slots.h"

_Static_assert((int)CONFIG_LIMIT_MAX <= (int)SLOTS_MAX, "each limit that can be set has slots");

/* Different numbers, so that a client, say, and a guest do not share slots. */
enum kind { ALL_SESSIONS = 1, OF_CLIENT, OF_GUEST, OF_SUB };

enum {
	HASHED_MAX = 640, /* bytes that name a guest or a sub; the longest is a host with its port */
};

/* Returns a hash of x. Two numbers never have the same (this is the last step of SplitMix64), so
 * that no client can choose an address that shares another's slots. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
	return x ^ x >> 31;
}

static uint64_t key_of(enum kind kind, uint64_t x)
{
	return mix(x ^ mix(kind));
}

/* Hashes text[0..len), which others may choose. Returns 0 or ERR_SYSTEM. */
static int hash(enum kind kind, const char *text, size_t len, uint64_t *ret_key)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	uint64_t x;

	if (EVP_Digest(text, len, digest, NULL, EVP_sha256(), NULL) != 1)
		return ERR_SYSTEM;
	memcpy(&x, digest, sizeof(x));
	*ret_key = key_of(kind, x);
	return OK;
}

uint64_t limits_client_key(const char *address)
{
	/* IPv4-mapped addresses, and those that a translator in front makes (RFC 6052). */
	static const uint8_t prefixes[][12] = { { [10] = 0xFF, 0xFF }, { 0x00, 0x64, 0xFF, 0x9B } };
	/* In the place of a /64. ff00::/8 are multicast addresses, which no client has. */
	const uint64_t ipv4 = UINT64_C(0xFF00) << 48;
	uint8_t bytes[16];

	if (inet_pton(AF_INET, address, bytes) == 1)
		return ipv4 | big_endian(bytes, 4);
	if (inet_pton(AF_INET6, address, bytes) != 1)
		return 0;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (memcmp(bytes, prefixes[i], sizeof(prefixes[i])) == 0)
			return ipv4 | big_endian(bytes + 12, 4);
	return big_endian(bytes, 8);
}

/* --- the files ---------------------------------------------------------------------------- */

/* Microseconds. Continues while the machine is suspended, and no one can set it. */
static int64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

/* Warns that the limits cannot be kept, with errno. Returns OK: the session goes on. */
static int go_without(struct limits *l, const struct config *config)
{
	char message[LIMITS_WHY_MAX];

	l->broken = true;
	snprintf(message, sizeof(message), "limits are not enforced: %.100s/limits cannot be used: %.60s",
		 config->state_directory, strerror(errno));
	l->warn(message);
	return OK;
}

/* Opens the directory, and makes it when it is missing. Returns a descriptor, or -1 with errno. */
static int open_directory(const struct config *config)
{
	const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	char path[sizeof(config->state_directory) + sizeof("/limits")];
	int fd;

	snprintf(path, sizeof(path), "%s/limits", config->state_directory);
	fd = open(path, flags);
	if (fd >= 0 || errno != ENOENT || (mkdir(path, 0700) < 0 && errno != EEXIST))
		return fd;
	return open(path, flags);
}

/* Takes one of limit slots of a key. Keeps it open until the process ends. Returns 0, or code with
 * l->why if there is none. */
static int take(struct limits *l, const struct config *config, int directory, uint64_t key, int limit, int code)
{
	/* Sessions begin at different nanoseconds, so they begin with different slots. */
	const int rc = slots_take(directory, key, limit, (unsigned)mix((uint64_t)clock_now()));

	if (rc >= 0)
		return OK;
	if (rc == SLOTS_FULL)
		return code;
	return go_without(l, config);
}

/* --- the limits --------------------------------------------------------------------------- */

/* Admits a client of which nothing but the address is known, "" for none. */
static int admit(struct limits *l, const struct config *config, int directory, uint64_t client)
{
	const int per_client = client ? config->max_per_client : 0, per_minute = client ? config->new_per_minute : 0;
	int rc = OK;

	/* The rate comes last: whoever is refused has not used a token. */
	if (per_client)
		rc = take(l, config, directory, key_of(OF_CLIENT, client), per_client, ERR_LIMIT_CLIENT);
	if (rc < 0)
		return error_why(l->why, sizeof(l->why), rc,
				 "PROXXY_MAX_PER_CLIENT is %d; a proxy must be in PROXXY_TRUSTED_PROXIES", per_client);
	if (config->max_sessions && !l->broken)
		rc = take(l, config, directory, key_of(ALL_SESSIONS, 0), config->max_sessions, ERR_LIMIT_TOTAL);
	if (rc < 0)
		return error_why(l->why, sizeof(l->why), rc, "PROXXY_MAX_SESSIONS is %d", config->max_sessions);
	if (per_minute && !l->broken)
		rc = rates_pass(directory, key_of(OF_CLIENT, client), per_minute, clock_now(), &l->rate_seconds);
	if (rc == ERR_LIMIT_RATE)
		return error_why(l->why, sizeof(l->why), rc,
				 "PROXXY_NEW_PER_MINUTE is %d; a proxy must be in PROXXY_TRUSTED_PROXIES", per_minute);
	return rc < 0 ? go_without(l, config) : OK;
}

int limits_admit_client(struct limits *l, const struct config *config, const struct client *client)
{
	const uint64_t key = client->is_proxy ? 0 : limits_client_key(client->address);
	int directory, rc;

	if (!config->max_sessions && (!key || (!config->max_per_client && !config->new_per_minute)))
		return OK;
	directory = open_directory(config);
	if (directory < 0)
		return go_without(l, config);
	rc = admit(l, config, directory, key);
	close(directory);
	return rc;
}

static int admit_guest(struct limits *l, const struct config *config, int directory, const struct access *access)
{
	const struct console *console = &access->console;
	const bool in_cluster = *access->cluster.name;
	char text[HASHED_MAX], authority[CONSOLE_AUTHORITY_MAX];
	uint64_t key;
	int rc;

	if (!config->max_per_guest)
		return OK;
	snprintf(text, sizeof(text), "%s %s %s %u", in_cluster ? "cluster" : "host",
		 in_cluster ? access->cluster.name : console_authority(console, config->upstream_port, authority),
		 console->type, console->vmid);
	rc = hash(OF_GUEST, text, strlen(text), &key);
	if (rc == OK)
		rc = take(l, config, directory, key, config->max_per_guest, ERR_LIMIT_GUEST);
	if (rc == ERR_LIMIT_GUEST)
		error_why(l->why, sizeof(l->why), rc, "PROXXY_MAX_PER_GUEST is %d", config->max_per_guest);
	return rc;
}

/* The subs of different keys are different subs. A kid has no ':'. */
static int admit_sub(struct limits *l, const struct config *config, int directory, const struct access *access)
{
	char text[HASHED_MAX];
	uint64_t key;
	int rc;

	if (!config->max_per_sub || !*access->claims.sub)
		return OK;
	snprintf(text, sizeof(text), "%s:%s", access->kid, access->claims.sub);
	rc = hash(OF_SUB, text, strlen(text), &key);
	if (rc == OK)
		rc = take(l, config, directory, key, config->max_per_sub, ERR_LIMIT_SUB);
	if (rc == ERR_LIMIT_SUB)
		error_why(l->why, sizeof(l->why), rc, "PROXXY_MAX_PER_SUB is %d", config->max_per_sub);
	return rc;
}

int limits_admit_console(struct limits *l, const struct config *config, const struct access *access)
{
	int directory, rc;

	if (l->broken || (!config->max_per_guest && (!config->max_per_sub || !*access->claims.sub)))
		return OK;
	directory = open_directory(config);
	if (directory < 0)
		return go_without(l, config);
	rc = admit_guest(l, config, directory, access);
	if (rc == OK && !l->broken)
		rc = admit_sub(l, config, directory, access);
	close(directory);
	return rc;
}

int limits_retry_after(const struct limits *l, int code)
{
	switch (code) {
	case ERR_LIMIT_RATE:
		return l->rate_seconds;
	case ERR_LIMIT_CLIENT:
	case ERR_LIMIT_GUEST:
	case ERR_LIMIT_SUB:
	case ERR_LIMIT_TOTAL:
	case ERR_STORE:
		return LIMITS_RETRY_AFTER;
	default:
		return 0;
	}
}

bool limits_check(const struct config *config, char *why, size_t size)
{
	const bool is_limited = config->max_sessions || config->max_per_client || config->max_per_guest ||
				config->max_per_sub || config->new_per_minute;
	char path[sizeof(config->state_directory) + sizeof("/limits")];

	snprintf(path, sizeof(path), "%s/.", config->state_directory); /* not a file */
	if (access(path, W_OK | X_OK) < 0) {
		snprintf(why, size, "%.255s cannot be used: %s. %s", config->state_directory, strerror(errno),
			 is_limited ? "Limits are not enforced without it, and links with a jti are refused" :
				      "Links with a jti are refused without it");
		return false;
	}
	snprintf(path, sizeof(path), "%s/limits", config->state_directory);
	if (!is_limited || access(path, W_OK | X_OK) == 0 || errno == ENOENT) /* the first session makes it */
		return true;
	snprintf(why, size, "%.255s cannot be used: %s. Limits are not enforced without it", path, strerror(errno));
	return false;
}
