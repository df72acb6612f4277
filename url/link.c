/* SPDX-License-Identifier: Apache-2.0
 *
 * Chooses the cluster, and makes the details of a link. The settings of proxxy, if this machine has
 * them, say where the cluster files are and how long a link may be valid.
 */
#include "url/link.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "lib/config.h"
#include "lib/error.h"
#include "lib/strict_json.h"

#define SUFFIX ".conf"

/* The names of the cluster files on this machine. */
struct names {
	const char *wanted; /* or NULL */
	bool found;         /* wanted is one of them */
	unsigned n;
	char first[KEY_NAME_MAX + 1];
	char list[256]; /* as many as fit, separated by ", " */
};

static int add_name(void *argument, const char *path)
{
	struct names *names = argument;
	const char *name = strrchr(path, '/') + 1;
	const int len = (int)(strlen(name) - strlen(SUFFIX));
	const size_t at = strlen(names->list);

	if (!keys_name_valid(name, (size_t)len))
		return OK;
	if (names->n++ == 0)
		snprintf(names->first, sizeof(names->first), "%.*s", len, name);
	if (names->wanted && strlen(names->wanted) == (size_t)len && strncmp(names->wanted, name, (size_t)len) == 0)
		names->found = true;
	snprintf(names->list + at, sizeof(names->list) - at, "%s%.*s", at > 0 ? ", " : "", len, name);
	return OK;
}

/* Returns the cluster's name, which is a setting's or in names. Otherwise returns NULL, and sets
 * why. */
static const char *choose(const struct config *config, const char *wanted, struct names *names, char *why, size_t size)
{
	static const char advice[] = "with --cluster or PROXXY_CLUSTER";

	*names = (struct names){ .wanted = wanted };
	if (settings_each_file(config->cluster_directory, add_name, names, why, size) < 0) {
		const size_t at = strlen(why);

		if (wanted) /* proxxy may read it */
			return wanted;
		snprintf(why + at, size - at, ". Name a cluster %s", advice);
		return NULL;
	}
	if (wanted)
		return wanted;
	if (names->n == 1)
		return names->first;
	error_why(why, size, ERR_CONFIG,
		  names->n == 0 ?
			  "there is no cluster file in %s%.0s: proxxy-setup makes one. If proxxy runs on another "
			  "machine, name its cluster %s" :
			  "%s has several cluster files: %s. Choose one %s",
		  config->cluster_directory, names->list, advice);
	return NULL;
}

void link_add_claims(struct json_object *details, const struct url_options *o)
{
	if (o->sub)
		strict_json_add_string(details, "sub", o->sub);
	if (o->origin && *o->origin)
		strict_json_add_string(details, "origin", o->origin);
	if (o->client)
		strict_json_add_string(details, "client", o->client);
	if (o->session_max)
		strict_json_add_integer(details, "session_max", o->session_max);
}

/* Writes a warning to why, or "". */
static void warn(const struct config *config, const struct names *names, int lifetime, char *why, size_t size)
{
	size_t at = 0;

	why[0] = '\0';
	if (names->wanted && names->n > 0 && !names->found)
		at = (size_t)snprintf(why, size, "%s/%s" SUFFIX " does not exist", config->cluster_directory,
				      names->wanted);
	if (lifetime > config->payload_lifetime && at < size)
		snprintf(why + at, size - at,
			 "%sproxxy refuses this link unless its PROXXY_PAYLOAD_LIFETIME is at least %d; here it is %d",
			 at > 0 ? "; " : "", lifetime, config->payload_lifetime);
}

int link_details(const struct url_options *o, const struct backend *backend, struct json_object **ret_details,
		 int *ret_lifetime, char *why, size_t size)
{
	static struct config config;
	struct names names = { 0 };
	const char *cluster = o->cluster ? o->cluster : *backend->cluster ? backend->cluster : NULL;
	int rc = config_load_settings(&config, why, size), lifetime = o->lifetime;
	struct json_object *details;

	keys_wipe();
	if (rc < 0 && !o->host && !cluster)
		return rc;
	if (rc < 0) { /* they are not needed; proxxy may be able to read them */
		config.payload_lifetime = URL_LIFETIME_MAX;
	} else if (!o->host) {
		cluster = choose(&config, cluster, &names, why, size);
		if (!cluster)
			return ERR_CONFIG;
	}
	if (lifetime == 0)
		lifetime = config.payload_lifetime < URL_LIFETIME_DEFAULT ? config.payload_lifetime :
									    URL_LIFETIME_DEFAULT;
	details = json_object_new_object();
	strict_json_add_integer(details, "vmid", o->vmid);
	strict_json_add_string(details, "type", o->type);
	strict_json_add_string(details, o->host ? "host" : "cluster", o->host ? o->host : cluster);
	if (o->node)
		strict_json_add_string(details, "node", o->node);
	if (o->terminal)
		strict_json_add_string(details, "protocol", "term");
	link_add_claims(details, o);
	warn(&config, &names, lifetime, why, size);
	*ret_details = details;
	*ret_lifetime = lifetime;
	return OK;
}
