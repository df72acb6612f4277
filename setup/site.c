/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds out the cluster's name, nodes and CA, and which of its hosts a session can use.
 */
#include "setup/site.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#include "lib/error.h"
#include "lib/strict_json.h"
#include "setup/files.h"
#include "setup/report.h"
#include "setup/request.h"

enum {
	PATH_MAX_LEN = CONSOLE_HOST_MAX + 64, /* bytes of an API path, with its NUL */
	NODE_TIMEOUT_MS = 3000,               /* for the certificate of another node, at each of its names */
	NAMES_MAX = 8,                        /* names of another node that are tried */
};

#define ROOT_CA "pve-root-ca.pem"

/* --- the cluster -------------------------------------------------------------------------- */

/* Sets s->name: the option, else the cluster's name, else that of the only node. */
static int choose_name(struct setup *s, const char *cluster)
{
	const char *name = s->options.name ? s->options.name : *cluster ? cluster : s->node;

	if (!keys_name_valid(name, strlen(name)) || *name == '.')
		return report_error(EX_USAGE, "\"%.64s\" cannot be the name of a cluster file. Choose one with --name",
				    name);
	snprintf(s->name, sizeof(s->name), "%.32s", name);
	return files_name(s);
}

static void add_host(struct setup *s, const struct console *host)
{
	struct cluster_host *to = &s->cluster.hosts[s->cluster.n_hosts++];

	memcpy(to->host, host->host, sizeof(to->host));
	to->is_address = host->host_is_address;
	to->port = host->host_port;
}

int site_identify(struct setup *s, struct json_object **ret_answer, struct json_object **ret_nodes)
{
	const char *cluster = "", *node = NULL;
	int rc = request_list(&s->api, "/cluster/status", "", ret_answer, ret_nodes);

	if (rc != EX_OK)
		return rc;
	for (size_t i = 0; i < json_object_array_length(*ret_nodes); i++) {
		struct json_object *entry = json_object_array_get_idx(*ret_nodes, i);

		if (strcmp(request_text(entry, "type"), "cluster") == 0)
			cluster = request_text(entry, "name");
		else if (request_flag(entry, "local", false))
			node = request_text(entry, "name");
	}
	if (node && host_is_name(node, strlen(node))) {
		snprintf(s->node, sizeof(s->node), "%s", node);
		add_host(s, &s->options.address);
		rc = choose_name(s, cluster);
	} else {
		rc = report_error(EX_PROTOCOL, "%s: its answer to /cluster/status names no node", s->options.host);
	}
	if (rc != EX_OK)
		strict_json_wipe(*ret_answer);
	return rc;
}

/* --- trust -------------------------------------------------------------------------------- */

/* Returns what node answers about its certificates, an array, which the caller frees by
 * *ret_answer; or NULL, with api's why set. */
static struct json_object *fetch_certificates(struct api *api, const char *node, struct json_object **ret_answer)
{
	char path[PATH_MAX_LEN];
	struct json_object *list = NULL;

	*ret_answer = NULL;
	snprintf(path, sizeof(path), "/nodes/%s/certificates/info", node);
	if (api_call(api, API_GET, path, "") < 0 || api_data(api, ret_answer, &list) < 0)
		return NULL;
	return json_object_is_type(list, json_type_array) ? list : NULL;
}

/* Copies the cluster's CA to s->ca, or "" if Proxmox does not show it. */
static void take_ca(struct setup *s)
{
	struct json_object *answer, *list = fetch_certificates(&s->api, s->node, &answer);
	struct json_object *entry = list ? request_find(list, "filename", ROOT_CA) : NULL;
	const char *pem = request_text(entry, "pem");

	s->ca[0] = '\0';
	if (strncmp(pem, "-----BEGIN CERTIFICATE-----", 27) == 0 && strlen(pem) + 1 < sizeof(s->ca))
		snprintf(s->ca, sizeof(s->ca), "%s%s", pem, pem[strlen(pem) - 1] == '\n' ? "" : "\n");
	strict_json_wipe(answer);
}

static void add_fingerprint(struct setup *s, const uint8_t fingerprint[CRYPTO_FINGERPRINT_LEN])
{
	for (size_t i = 0; i < s->cluster.n_fingerprints; i++)
		if (memcmp(s->cluster.fingerprints[i], fingerprint, CRYPTO_FINGERPRINT_LEN) == 0)
			return;
	if (s->cluster.n_fingerprints < CONFIG_FINGERPRINTS_MAX)
		memcpy(s->cluster.fingerprints[s->cluster.n_fingerprints++], fingerprint, CRYPTO_FINGERPRINT_LEN);
}

/* Decides how sessions verify HOST's certificate, and says it. */
static void choose_trust(struct setup *s)
{
	const struct console *host = &s->options.address;
	const struct certificate *c = &s->certificate;

	if (certificate_verified_by(c, s->ca, host)) {
		s->trust = SETUP_TRUST_CA;
		report_step("trust", "the cluster's CA, which has signed the certificate");
	} else if (certificate_verified_by_system(c, host)) {
		s->trust = SETUP_TRUST_SYSTEM;
		report_step("trust", "the CAs of this system, one of which has signed the certificate");
		if (*s->config.ca_file)
			report_step("", "Warning: PROXXY_CA_FILE is set (%s), and counts instead. Remove that setting",
				    s->config.ca_file);
	} else {
		s->trust = SETUP_TRUST_FINGERPRINTS;
		add_fingerprint(s, c->fingerprint);
		report_step("trust",
			    "the certificate's fingerprint, because %s. Run proxxy-setup again when this "
			    "certificate is replaced",
			    certificate_expired(c)          ? "it has expired" :
			    certificate_signed_by(c, s->ca) ? "it is not for this name or address" :
							      "neither the cluster's CA nor one of this system has "
							      "signed it");
	}
}

/* --- hosts -------------------------------------------------------------------------------- */

/* Another node: its names and the certificate that pveproxy shows there, as Proxmox says. */
struct node {
	const char *names[NAMES_MAX]; /* parts of Proxmox's answers */
	size_t n_names;
	bool has_fingerprint;
	uint8_t fingerprint[CRYPTO_FINGERPRINT_LEN];
};

static void add_name(struct node *node, const char *name)
{
	if (node->n_names == NAMES_MAX || !*name || *name == '*' || strcasecmp(name, "localhost") == 0)
		return;
	for (size_t i = 0; i < node->n_names; i++)
		if (strcasecmp(node->names[i], name) == 0)
			return;
	node->names[node->n_names++] = name;
}

/* Reads the names in the certificate of pveproxy: pveproxy-ssl.pem, if the administrator or ACME
 * has put one there, else pve-ssl.pem. */
static void read_certificate(struct json_object *list, struct node *node)
{
	struct json_object *entry = request_find(list, "filename", "pveproxy-ssl.pem"), *names;
	const char *fingerprint;

	if (!entry)
		entry = request_find(list, "filename", "pve-ssl.pem");
	fingerprint = request_text(entry, "fingerprint");
	node->has_fingerprint = crypto_fingerprint(fingerprint, strlen(fingerprint), node->fingerprint) == 0;
	if (!json_object_object_get_ex(entry, "san", &names) || !json_object_is_type(names, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(names); i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(names, i));

		/* The node's address is a name already; others may be of networks that only
		 * nodes have. */
		if (name && host_is_name(name, strlen(name)) && !host_looks_like_ipv4(name, strlen(name)))
			add_name(node, name);
	}
}

/* Returns true if a session would verify the certificate c of host. */
static bool is_trusted(const struct setup *s, const struct node *node, const struct certificate *c,
		       const struct console *host)
{
	switch (s->trust) {
	case SETUP_TRUST_CA:
		return certificate_verified_by(c, s->ca, host);
	case SETUP_TRUST_SYSTEM:
		return certificate_verified_by_system(c, host);
	default:
		return node->has_fingerprint && memcmp(node->fingerprint, c->fingerprint, sizeof(c->fingerprint)) == 0;
	}
}

/* Tries the node's names. Adds the first that works, else writes to why[0..size) what is wrong:
 * with the certificate at one of them, else with the connection. */
static bool add_node(struct setup *s, const struct node *node, char *why, size_t size)
{
	static struct console host; /* too large for the stack */

	snprintf(why, size, "it has no address");
	for (size_t i = 0; i < node->n_names; i++) {
		struct certificate c;
		char words[256];
		bool trusted;
		int rc;

		if (payload_parse_host(node->names[i], &host) < 0)
			continue;
		host.host_port = s->options.address.host_port;
		rc = certificate_fetch(&host, NODE_TIMEOUT_MS, &c, words, sizeof(words));
		if (rc < 0) {
			if (i == 0) /* its address; the names may not be in DNS */
				snprintf(why, size, "%s", words);
			continue;
		}
		trusted = is_trusted(s, node, &c, &host);
		if (trusted && s->trust == SETUP_TRUST_FINGERPRINTS)
			add_fingerprint(s, c.fingerprint);
		if (trusted)
			add_host(s, &host);
		else
			snprintf(why, size, "its certificate at %.100s would not be trusted", node->names[i]);
		certificate_free(&c);
		if (trusted)
			return true;
	}
	return false;
}

/* Adds another node, entry of /cluster/status, or says why not. */
static void consider_node(struct setup *s, struct json_object *entry)
{
	const char *name = request_text(entry, "name");
	struct json_object *answer = NULL, *list;
	struct node node = { 0 };
	char why[512];
	bool added = false;

	if (!host_is_name(name, strlen(name)))
		return;
	if (!request_flag(entry, "online", true)) {
		snprintf(why, sizeof(why), "it is offline");
	} else if (!(list = fetch_certificates(&s->api, name, &answer))) {
		snprintf(why, sizeof(why), "%s", s->api.why);
	} else {
		add_name(&node, request_text(entry, "ip"));
		read_certificate(list, &node);
		added = add_node(s, &node, why, sizeof(why));
	}
	if (!added)
		report_step("", "node %s is not added: %s", name, why);
	strict_json_wipe(answer);
}

int site_explore(struct setup *s, struct json_object *nodes)
{
	take_ca(s);
	choose_trust(s);
	for (size_t i = 0; i < json_object_array_length(nodes); i++) {
		struct json_object *entry = json_object_array_get_idx(nodes, i);

		if (strcmp(request_text(entry, "type"), "node") != 0 || request_flag(entry, "local", false))
			continue;
		if (s->cluster.n_hosts == CLUSTER_HOSTS_MAX) {
			report_step("", "more than %d hosts: the others are not added", CLUSTER_HOSTS_MAX);
			break;
		}
		consider_node(s, entry);
	}
	return EX_OK;
}

void site_keep_hosts(struct setup *s)
{
	char text[2048] = "";
	size_t at = 0;

	/* A fingerprint that is gone from the file may have been of any host. */
	for (size_t i = 0; i < s->before.n_hosts && s->trust != SETUP_TRUST_FINGERPRINTS; i++) {
		const struct cluster_host *host = &s->before.hosts[i];

		if (s->cluster.n_hosts == CLUSTER_HOSTS_MAX ||
		    cluster_host(&s->config, &s->cluster, host->host, host->port))
			continue;
		s->cluster.hosts[s->cluster.n_hosts++] = *host;
		report_step("", "%s stays in the list, though it does not answer or would not be trusted now",
			    host->host);
	}
	for (size_t i = 0; i < s->cluster.n_hosts && at < sizeof(text); i++) {
		const int n =
			snprintf(text + at, sizeof(text) - at, "%s%s", i > 0 ? ", " : "", s->cluster.hosts[i].host);

		at += n > 0 ? (size_t)n : 0;
	}
	report_step("hosts", "%s", text);
}
