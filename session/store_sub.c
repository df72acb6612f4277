/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps a session's entry in the shared store. single_use.c calls it before the client is
 * accepted, relay_time.c while it relays, and proxxy-conn.c at the end.
 */
#include "session/store_sub.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "crypto.h"
#include "lib/error.h"
#include "lib/io.h"
#include "session/log.h"
#include "session/store.h"

enum {
	MEMBER_BYTES = 16, /* random: no two sessions have the same */
	ID_MAX = KEY_NAME_MAX + 1 + CLAIMS_SUB_MAX + 1,
};

#define PREFIX "proxxy:sub:"

/* Adds the member ARGV[1] to the set KEYS[1], or renews it, for ARGV[2] s on the store's clock.
 * Does nothing if the set has ARGV[3] members already (0: no limit), and returns 0, else 1. The key
 * expires with its last member. */
static const char script[] = "local now = tonumber(redis.call('TIME')[1])\n"
			     "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)\n"
			     "local limit = tonumber(ARGV[3])\n"
			     "if limit > 0 and redis.call('ZCARD', KEYS[1]) >= limit then return 0 end\n"
			     "redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])\n"
			     "redis.call('EXPIRE', KEYS[1], ARGV[2])\n"
			     "return 1";

static struct {
	bool held;
	bool unanswered; /* a renewal was sent, and its answer has not come */
	int64_t next;    /* when to renew it, an io_now() */
	char key[sizeof(PREFIX) + 2 * CRYPTO_HASH_LEN];
	char member[2 * MEMBER_BYTES + 1];
} entry;

/* Sets the entry's key and member. The kid before the sub gives each key's holder subs of its own;
 * a kid has no ':'. Returns 0 or ERR_SYSTEM. */
static int name_entry(const struct access *a)
{
	uint8_t random[MEMBER_BYTES];
	char id[ID_MAX];
	const int n = snprintf(id, sizeof(id), "%s:%s", a->kid, a->claims.sub);

	memcpy(entry.key, PREFIX, strlen(PREFIX));
	if (crypto_hash_hex(id, (size_t)n, entry.key + strlen(PREFIX)) < 0 || RAND_bytes(random, sizeof(random)) != 1)
		return ERR_SYSTEM;
	crypto_hex_encode(entry.member, random, sizeof(random));
	return OK;
}

/* The command that adds or renews the entry; life is STORE_SUB_LIFE_S as text. */
#define ENTER(limit) ((store_command){ "EVAL", script, "1", entry.key, entry.member, life, limit })

int store_sub_enter(const struct access *a, const struct config *config, char *why, size_t size)
{
	char life[12], limit[12];
	struct store_answer answer;
	int rc;

	if (!*config->replay_store || !config->max_per_sub || !*a->claims.sub)
		return OK;
	if (name_entry(a) < 0)
		return ERR_SYSTEM;
	snprintf(life, sizeof(life), "%d", STORE_SUB_LIFE_S);
	snprintf(limit, sizeof(limit), "%d", config->max_per_sub);
	rc = store_ask(config, ENTER(limit), &answer, why, size);
	if (rc < 0)
		return store_judge(config, rc, why);
	if (answer.kind != STORE_INTEGER || answer.integer != 1)
		return error_why(why, size, ERR_LIMIT_SUB, "PROXXY_MAX_PER_SUB is %d, on all machines together",
				 config->max_per_sub);
	entry.held = true;
	entry.next = io_now() + STORE_SUB_RENEW_S * INT64_C(1000);
	return OK;
}

/* Goes on without an entry. */
static void lose(const char *why)
{
	char message[STORE_WHY_MAX + 120];

	snprintf(message, sizeof(message),
		 "PROXXY_REPLAY_STORE: %s. This session does not count any more for "
		 "PROXXY_MAX_PER_SUB on other machines",
		 why);
	log_warning(message);
	entry.held = false;
	store_close();
}

int64_t store_sub_renew(int64_t now)
{
	char why[STORE_WHY_MAX] = "", life[12];
	int rc = OK;

	if (!entry.held)
		return INT64_MAX;
	if (now < entry.next)
		return entry.next;
	entry.next = now + STORE_SUB_RENEW_S * INT64_C(1000);
	snprintf(life, sizeof(life), "%d", STORE_SUB_LIFE_S);
	rc = store_collect(why, sizeof(why));
	if (rc > 0)
		entry.unanswered = false;
	/* At most one renewal is on its way: a store that is stopped gets no pile of them. */
	if (rc >= 0 && !entry.unanswered) {
		rc = store_post(ENTER("0"), why, sizeof(why));
		entry.unanswered = rc == OK;
	}
	if (rc == ERR_STORE)
		lose(why);
	return entry.held ? entry.next : INT64_MAX;
}

bool store_sub_is_held(void)
{
	return entry.held;
}

void store_sub_leave(void)
{
	char why[STORE_WHY_MAX];

	if (!entry.held)
		return;
	entry.held = false;
	/* Unread answers would make close(2) reset the connection. */
	if (store_collect(why, sizeof(why)) >= 0)
		store_post((store_command){ "ZREM", entry.key, entry.member }, why, sizeof(why));
	store_close();
}
