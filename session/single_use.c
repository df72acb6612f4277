/* SPDX-License-Identifier: Apache-2.0
 *
 * Uses up a payload's jti, in the shared store and in this machine's directory, and counts the
 * session there. proxxy-conn.c calls it before it accepts a client.
 */
#include "session/single_use.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypto.h"
#include "lib/error.h"
#include "session/replay.h"
#include "session/store.h"
#include "session/store_sub.h"

#define PREFIX "proxxy:jti:"

enum {
	ID_MAX = KEY_NAME_MAX + 1 + CLAIMS_JTI_MAX + 1,
	KEY_MAX = sizeof(PREFIX) + 2 * CRYPTO_HASH_LEN,
	/* Seconds that the store keeps a jti after the payload expired: by so much the clocks of
	 * machines may differ. */
	STORE_SLACK = 600,
};

/* Writes the jti's identifier and returns its length. The kid before it gives each key a namespace
 * of its own, so that the holder of one key cannot use up another key's payloads. A kid has no ':',
 * so the prefix is unambiguous. */
static size_t make_id(const struct access *a, char id[ID_MAX])
{
	return (size_t)snprintf(id, ID_MAX, "%s:%s", a->kid, a->claims.jti);
}

/* Returns when a's jti may be forgotten, in seconds since 1970. */
static int64_t expiry(const struct access *a)
{
	return a->claims.expires + ACCESS_LEEWAY;
}

/* Asks the store: takes the jti, or only looks. Returns 0 if it is free, ERR_PAYLOAD_USED, or an
 * error. If PROXXY_STORE_FAILURE is local, a failure of the store counts as free. */
static int ask_store(const struct access *a, const struct config *config, bool take, char *why, size_t size)
{
	char id[ID_MAX], key[KEY_MAX] = PREFIX, seconds[24];
	store_command set = { "SET", key, "1", "NX", "EX", seconds }, exists = { "EXISTS", key };
	struct store_answer answer = { 0 };
	bool free;
	int rc = crypto_hash_hex(id, make_id(a, id), key + strlen(PREFIX));

	if (rc < 0)
		return rc;
	snprintf(seconds, sizeof(seconds), "%lld", (long long)(expiry(a) - time(NULL) + STORE_SLACK));
	rc = store_ask(config, take ? set : exists, &answer, why, size);
	if (rc < 0)
		return store_judge(config, rc, why);
	free = take ? answer.kind == STORE_TEXT : answer.kind == STORE_INTEGER && answer.integer == 0;
	return free ? OK : ERR_PAYLOAD_USED;
}

int single_use_look(const struct access *a, const struct config *config, char *why, size_t size)
{
	char id[ID_MAX];
	int rc = OK;

	if (!*a->claims.jti)
		return OK;
	if (replay_taken(config->state_directory, id, make_id(a, id)))
		return ERR_PAYLOAD_USED;
	if (*config->replay_store)
		rc = ask_store(a, config, false, why, size);
	store_close();
	return rc;
}

/* Takes a's jti, in the store and in the directory. Returns as single_use_take(). */
static int take_jti(const struct access *a, const struct config *config, char *why, size_t size)
{
	char id[ID_MAX];
	int rc = OK;

	if (!*a->claims.jti)
		return OK;
	/* A link that was opened here is refused without asking the store. */
	if (*config->replay_store && replay_taken(config->state_directory, id, make_id(a, id)))
		return ERR_PAYLOAD_USED;
	if (*config->replay_store)
		rc = ask_store(a, config, true, why, size);
	if (rc < 0)
		return rc;
	rc = replay_take(config->state_directory, id, make_id(a, id), expiry(a));
	if (rc == ERR_CONFIG)
		snprintf(why, size, "PROXXY_STATE_DIRECTORY %.60s, which a jti needs: %s", config->state_directory,
			 strerror(errno));
	return rc;
}

int single_use_take(const struct access *a, const struct config *config, char *why, size_t size)
{
	int rc = store_sub_enter(a, config, why, size);

	if (rc == OK)
		rc = take_jti(a, config, why, size);
	if (!store_sub_is_held())
		store_close();
	return rc;
}
