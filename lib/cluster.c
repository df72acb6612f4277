/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads cluster files. lib/access.c calls it for payloads without a console ticket.
 */
#include "lib/cluster.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/error.h"
#include "lib/list.h"

#define TOKEN_PREFIX "PVEAPIToken="
#define CREDENTIAL_PREFIX "cluster-"
#define SUFFIX ".conf"

static bool parse_hosts(void *at, const struct setting *s, const char *value)
{
	struct console parsed; /* for the members of its host */
	struct cluster *cluster = at;
	const char *item;
	size_t len;

	(void)s;
	cluster->n_hosts = 0;
	while ((item = list_next(&value, &len))) {
		char text[CONSOLE_AUTHORITY_MAX + 1];
		struct cluster_host *host = &cluster->hosts[cluster->n_hosts];

		if (cluster->n_hosts == CLUSTER_HOSTS_MAX || len >= sizeof(text))
			return false;
		memcpy(text, item, len);
		text[len] = '\0';
		if (payload_parse_host(text, &parsed) < 0)
			return false;
		memcpy(host->host, parsed.host, sizeof(host->host));
		host->is_address = parsed.host_is_address;
		host->port = parsed.host_port;
		cluster->n_hosts++;
	}
	return true;
}

/* Accepts USER@REALM!NAME=SECRET, with or without the name of Proxmox's header field. */
static bool parse_token(void *at, const struct setting *s, const char *value)
{
	struct cluster *cluster = at;
	const char *token = strncmp(value, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) == 0 ? value + strlen(TOKEN_PREFIX) :
										      value;
	const char *at_sign = strchr(token, '@'), *bang = strchr(token, '!'), *equals = strchr(token, '=');
	size_t len = strlen(token);

	(void)s;
	cluster->token[0] = '\0';
	if (len == 0)
		return true; /* the fallback */
	if (!at_sign || !bang || !equals || at_sign == token || bang < at_sign || equals < bang || !equals[1] ||
	    strlen(TOKEN_PREFIX) + len >= sizeof(cluster->token))
		return false;
	for (const char *c = token; *c; c++)
		if (*c <= ' ' || *c >= 0x7F)
			return false;
	snprintf(cluster->token, sizeof(cluster->token), TOKEN_PREFIX "%s", token);
	return true;
}

static bool parse_ca_file(void *at, const struct setting *s, const char *value)
{
	return (!*value || *value == '/') && settings_parse_text(at, s, value);
}

static bool parse_fingerprints(void *at, const struct setting *s, const char *value)
{
	struct cluster *cluster = at;

	(void)s;
	return config_parse_fingerprints(value, cluster->fingerprints, &cluster->n_fingerprints);
}

static const struct setting table[] = {
	{ "HOSTS", "", "The cluster's hosts, at most 32: names or addresses, with :port unless it is 8006", parse_hosts,
	  0, 0, 0 },
	{ "TOKEN", "", "An API token of Proxmox: USER@REALM!NAME=SECRET", parse_token, 0, 0, 0 },
	{ "CA_FILE", "", "The absolute path of a PEM file with the CA of the hosts' certificates", parse_ca_file,
	  offsetof(struct cluster, ca_file), 0, SETTINGS_PATH_MAX },
	{ "FINGERPRINTS", "", "SHA-256 fingerprints of the hosts' certificates, comma-separated", parse_fingerprints, 0,
	  0, 0 },
};
static const struct settings settings = { table, sizeof(table) / sizeof(table[0]) };

/* Loads the file at path. Returns as cluster_find(). */
static int load(const char *path, const char *name, size_t name_len, struct cluster *ret, char *why, size_t size)
{
	int rc = settings_load_file(&settings, ret, path, why, size);

	if (rc > 0 && (ret->n_hosts == 0 || !*ret->token))
		rc = error_why(why, size, ERR_CONFIG, "%s: %s is missing", path, ret->n_hosts == 0 ? "HOSTS" : "TOKEN");
	if (rc <= 0) {
		cluster_wipe(ret);
		ret->name[0] = '\0';
		return rc;
	}
	memcpy(ret->name, name, name_len);
	ret->name[name_len] = '\0';
	return CLUSTER_FOUND;
}

int cluster_find(const struct config *config, const char *name, struct cluster *ret, char *why, size_t size)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	char path[SETTINGS_PATH_MAX + 100];
	int rc = CLUSTER_NONE;

	if (credentials) {
		snprintf(path, sizeof(path), "%.4000s/" CREDENTIAL_PREFIX "%s" SUFFIX, credentials, name);
		rc = load(path, name, strlen(name), ret, why, size);
	}
	if (rc == CLUSTER_NONE) {
		snprintf(path, sizeof(path), "%s/%s" SUFFIX, config->cluster_directory, name);
		rc = load(path, name, strlen(name), ret, why, size);
	}
	return rc;
}

/* What cluster_each() was called with. */
struct walk {
	const char *prefix; /* of the files' names */
	cluster_use *use;
	void *argument;
	struct cluster *cluster;
	char *why;
	size_t size;
};

/* Loads one file. Returns as cluster_each(). */
static int visit_file(void *at, const char *path)
{
	const struct walk *walk = at;
	const char *name = strrchr(path, '/') + 1;
	const size_t prefix = strlen(walk->prefix), len = strlen(name) - strlen(SUFFIX);
	int rc;

	if (strncmp(name, walk->prefix, prefix) != 0 || !keys_name_valid(name + prefix, len - prefix))
		return CLUSTER_NONE;
	rc = load(path, name + prefix, len - prefix, walk->cluster, walk->why, walk->size);
	if (rc == CLUSTER_FOUND)
		rc = walk->use(walk->argument, path, walk->cluster);
	if (rc != CLUSTER_FOUND) {
		cluster_wipe(walk->cluster);
		walk->cluster->name[0] = '\0';
	}
	return rc;
}

int cluster_each(const struct config *config, cluster_use *use, void *argument, struct cluster *cluster, char *why,
		 size_t size)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	struct walk walk = { CREDENTIAL_PREFIX, use, argument, cluster, why, size };
	int rc = CLUSTER_NONE;

	if (credentials)
		rc = settings_each_file(credentials, visit_file, &walk, why, size);
	walk.prefix = "";
	if (rc == CLUSTER_NONE)
		rc = settings_each_file(config->cluster_directory, visit_file, &walk, why, size);
	return rc;
}

const struct cluster_host *cluster_host(const struct config *config, const struct cluster *cluster, const char *host,
					uint16_t port)
{
	const uint16_t usual = (uint16_t)config->upstream_port, wanted = port ? port : usual;

	for (size_t i = 0; i < cluster->n_hosts; i++) {
		const struct cluster_host *other = &cluster->hosts[i];

		if (strcasecmp(other->host, host) == 0 && (other->port ? other->port : usual) == wanted)
			return other;
	}
	return NULL;
}

void cluster_use_host(const struct cluster_host *host, struct console *console)
{
	memcpy(console->host, host->host, sizeof(console->host));
	console->host_is_address = host->is_address;
	console->host_port = host->port;
}

struct search {
	const struct config *config;
	const struct console *console;
};

/* Reduces the cluster to the console's host. Returns CLUSTER_NONE if it does not list it. */
static int select_host(void *argument, const char *path, struct cluster *cluster)
{
	const struct search *search = argument;
	const struct cluster_host *host =
		cluster_host(search->config, cluster, search->console->host, search->console->host_port);

	(void)path;
	if (!host)
		return CLUSTER_NONE;
	cluster->hosts[0] = *host;
	cluster->n_hosts = 1;
	return CLUSTER_FOUND;
}

int cluster_find_host(const struct config *config, const struct console *console, struct cluster *ret, char *why,
		      size_t size)
{
	struct search search = { config, console };

	return cluster_each(config, select_host, &search, ret, why, size);
}

bool cluster_load_ca_file(const char *path, struct cluster *cluster)
{
	char why[512];
	const int rc = settings_load_file(&settings, cluster, path, why, sizeof(why));

	OPENSSL_cleanse(cluster->token, sizeof(cluster->token)); /* a second TOKEN line may be shorter */
	return rc > 0;
}

void cluster_wipe(struct cluster *cluster)
{
	OPENSSL_cleanse(cluster->token, strlen(cluster->token));
}
