/* SPDX-License-Identifier: Apache-2.0
 *
 * Replaces the functions that read files for a fuzzed session (the linker's --wrap): settings, used
 * jti, cluster files; and those that prepare the process. The world's settings choose the results.
 */
#include <stdio.h>

#include "lib/access.h"
#include "lib/cluster.h"
#include "lib/config.h"
#include "lib/error.h"
#include "session/limits.h"
#include "session/single_use.h"
#include "session/store.h"
#include "session/store_sub.h"
#include "tests/fuzz/session/payloads.h"
#include "tests/fuzz/session/world.h"

int __wrap_config_load(struct config *ret, char *why, size_t size);
int __wrap_single_use_take(const struct access *a, const struct config *c, char *why, size_t size);
int __wrap_single_use_look(const struct access *a, const struct config *c, char *why, size_t size);
int __wrap_store_check(const struct config *c, char *why, size_t size);
int64_t __wrap_store_sub_renew(int64_t now);
void __wrap_store_sub_leave(void);
int __wrap_limits_admit_client(struct limits *l, const struct config *config, const struct client *client);
int __wrap_limits_admit_console(struct limits *l, const struct config *config, const struct access *access);
int __wrap_limits_retry_after(const struct limits *l, int code);
bool __wrap_limits_check(const struct config *config, char *why, size_t size);
int64_t __wrap_uptime_seconds(void);
int __wrap_cluster_find(const struct config *c, const char *name, struct cluster *ret, char *why, size_t size);
int __wrap_cluster_find_host(const struct config *c, const struct console *console, struct cluster *ret, char *why,
			     size_t size);

int __wrap_config_load(struct config *ret, char *why, size_t size)
{
	static const int pings[] = { 30, 0, 1, 5 }, idles[] = { 0, 10, 60, 1 }, maxes[] = { 0, 60, 5, 3600 },
			 waits[] = { 10, 1, 10, 60 };
	const struct world_settings s = world.settings;

	*ret = (struct config){
		.n_keys = 1,
		.tls_verify = !(s.config & 0x10),
		.accept_cbc = !(s.config & 0x40),
		.accept_jwe = !(s.config & 0x20),
		.payload_lifetime = 300,
		.not_before = (s.upstream & 15) == 7 ? WORLD_EPOCH - 60 : 0,
		.cluster_directory = "modelled",
		.upstream_port = 8006,
		.request_timeout = waits[s.timers >> 6],
		.connect_timeout = waits[s.timers >> 6],
		.ping_interval = pings[s.timers & 3],
		.idle_timeout = idles[s.timers >> 2 & 3],
		.session_max = maxes[s.timers >> 4 & 3],
		.log = (enum log_target)(s.config & 3),
		.client_source = s.config & 4 ? (enum client_source)(1 + (s.upstream >> 4) % 5) : CLIENT_PEER,
		.trusted_proxies = "192.0.2.0/24,unix",
		.replay_store = "redis://store",
		.store_password_file = "modelled",
		.store_failure_is_local = true,
		.readable = "/modelled",
	};
	ret->keys[0] = sealing_key;
	if (s.config & 0x80)
		snprintf(ret->allowed_origins, sizeof(ret->allowed_origins), "https://*.example.com");
	if (!(s.config & 8))
		return OK;
	ret->n_keys = 0;
	snprintf(why, size, "SIGNATURE_KEY: key 1 is not 64 hex digits");
	return ERR_CONFIG;
}

int __wrap_single_use_take(const struct access *a, const struct config *c, char *why, size_t size)
{
	static const int results[] = { OK, OK, ERR_PAYLOAD_USED, ERR_CONFIG };
	const int rc = *a->claims.jti ? results[world.settings.rest >> 5 & 3] : OK;

	REQUIRE(*c->replay_store && *c->store_password_file && c->store_failure_is_local, "a store that is wiped");
	if (rc == ERR_CONFIG && world.settings.config & 2)
		return error_why(why, size, ERR_STORE, "store:6379: modelled");
	if (rc == ERR_CONFIG)
		snprintf(why, size, "PROXXY_STATE_DIRECTORY %.60s: modelled", c->state_directory);
	return rc;
}

int __wrap_single_use_look(const struct access *a, const struct config *c, char *why, size_t size)
{
	(void)c, (void)why, (void)size;
	return *a->claims.jti && (world.settings.rest >> 5 & 3) == 2 ? ERR_PAYLOAD_USED : OK;
}

int __wrap_store_check(const struct config *c, char *why, size_t size)
{
	(void)c, (void)why, (void)size;
	return OK;
}

int64_t __wrap_store_sub_renew(int64_t now)
{
	(void)now;
	return INT64_MAX;
}

void __wrap_store_sub_leave(void)
{
}

/* Returns the result that the settings choose, if it is one of the first call or of the second. */
static int limit(struct limits *l, bool first)
{
	static const int results[] = {
		ERR_LIMIT_CLIENT, ERR_LIMIT_RATE, ERR_LIMIT_TOTAL, OK, ERR_LIMIT_GUEST, ERR_LIMIT_SUB, OK, OK
	};
	const unsigned which = world.settings.upstream & 7;

	if (!(world.settings.config & 4) || first != (which < 4))
		return OK;
	if (results[which] == OK)
		l->warn("limits are not enforced: modelled");
	else
		snprintf(l->why, sizeof(l->why), "PROXXY_MAX: modelled");
	return results[which];
}

int __wrap_limits_admit_client(struct limits *l, const struct config *config, const struct client *client)
{
	REQUIRE(config->n_keys > 0 && *client->peer, "a client of which nothing is known");
	return limit(l, true);
}

int __wrap_limits_admit_console(struct limits *l, const struct config *config, const struct access *access)
{
	REQUIRE(config->n_keys == 0 && access->console.vmid, "a console without a guest");
	return limit(l, false);
}

int __wrap_limits_retry_after(const struct limits *l, int code)
{
	(void)l;
	return code <= ERR_LIMIT_CLIENT && code >= ERR_STORE ? LIMITS_RETRY_AFTER : 0;
}

bool __wrap_limits_check(const struct config *config, char *why, size_t size)
{
	(void)config;
	(void)why;
	(void)size;
	return true;
}

/* Nothing is counted: the file is not this process's alone. */
void __wrap_counters_open(const char *state_directory, int64_t now);
void __wrap_counters_open(const char *state_directory, int64_t now)
{
	(void)state_directory;
	(void)now;
}

int64_t __wrap_uptime_seconds(void)
{
	return 12345;
}

/* The cluster file "main" lists the host pve1. It may be missing or unreadable. */
static int find_cluster(const struct config *c, struct cluster *ret, char *why, size_t size)
{
	static const int results[] = { CLUSTER_FOUND, CLUSTER_FOUND, CLUSTER_NONE, ERR_CONFIG };
	const int rc = results[world.settings.rest >> 5 & 3];

	if (rc == CLUSTER_FOUND)
		payloads_cluster(ret);
	if (rc == ERR_CONFIG)
		snprintf(why, size, "%s/main.conf: modelled", c->cluster_directory);
	return rc;
}

int __wrap_cluster_find(const struct config *c, const char *name, struct cluster *ret, char *why, size_t size)
{
	return strcmp(name, "main") == 0 ? find_cluster(c, ret, why, size) : CLUSTER_NONE;
}

int __wrap_cluster_find_host(const struct config *c, const struct console *console, struct cluster *ret, char *why,
			     size_t size)
{
	return strcmp(console->host, "pve1") == 0 ? find_cluster(c, ret, why, size) : CLUSTER_NONE;
}

/* Does nothing: it is for the whole process, which runs many sessions here. */
void __wrap_prefault(void);
void __wrap_prefault(void)
{
}

int __wrap_algorithms_restrict(void);
int __wrap_algorithms_restrict(void)
{
	return 0;
}
