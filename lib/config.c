/* SPDX-License-Identifier: Apache-2.0
 *
 * Defines proxxy-conn's settings in one table, and parses their values.
 */
#include "lib/config.h"

#include <openssl/crypto.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/error.h"
#include "lib/host.h"
#include "lib/list.h"
#include "lib/store_url.h"

#define DEFAULT_CONFIG "/etc/proxxy/proxxy.conf"

static bool parse_switch(void *config, const struct setting *s, const char *value)
{
	const bool on = strcasecmp(value, "on") == 0;

	if (!on && strcasecmp(value, "off") != 0)
		return false;
	memcpy((char *)config + s->offset, &on, sizeof(on));
	return true;
}

static bool parse_path(void *config, const struct setting *s, const char *value)
{
	return *value == '/' && settings_parse_text(config, s, value);
}

static bool parse_paths(void *config, const struct setting *s, const char *value)
{
	const char *list = value, *item;
	size_t len;

	while ((item = list_next(&list, &len)))
		if (*item != '/' || len >= SETTINGS_PATH_MAX)
			return false;
	return settings_parse_text(config, s, value);
}

static bool parse_hosts(void *config, const struct setting *s, const char *value)
{
	return host_list_valid(value) && settings_parse_text(config, s, value);
}

static bool parse_origins(void *config, const struct setting *s, const char *value)
{
	return host_origins_valid(value) && settings_parse_text(config, s, value);
}

/* Parses Unix time in seconds, or "". settings_parse_number() has no room for it. */
static bool parse_time(void *config, const struct setting *s, const char *value)
{
	const size_t digits = strspn(value, "0123456789");
	int64_t number = 0;

	if (value[digits] != '\0' || digits > 11)
		return false;
	for (size_t i = 0; i < digits; i++)
		number = number * 10 + (value[i] - '0');
	memcpy((char *)config + s->offset, &number, sizeof(number));
	return true;
}

static bool parse_payloads(void *at, const struct setting *s, const char *value)
{
	struct config *config = at;
	const char *item;
	size_t len;

	(void)s;
	config->accept_cbc = config->accept_jwe = false;
	while ((item = list_next(&value, &len))) {
		if (len == 3 && strncmp(item, "cbc", len) == 0)
			config->accept_cbc = true;
		else if (len == 3 && strncmp(item, "jwe", len) == 0)
			config->accept_jwe = true;
		else
			return false;
	}
	return config->accept_cbc || config->accept_jwe;
}

/* Stores the index of value in names[0..n) in an int or enum. */
static bool parse_name(const char *const names[], size_t n, const char *value, int *ret)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(value, names[i]) == 0) {
			*ret = (int)i;
			return true;
		}
	return false;
}

static bool parse_client_source(void *config, const struct setting *s, const char *value)
{
	static const char *const names[] = { "peer",      "proxy-protocol",  "forwarded", "x-forwarded-for",
					     "x-real-ip", "cf-connecting-ip" };
	int index = 0;

	(void)s;
	if (!parse_name(names, sizeof(names) / sizeof(names[0]), value, &index))
		return false;
	((struct config *)config)->client_source = (enum client_source)index;
	return true;
}

/* A list of networks, and "unix". */
static bool parse_proxies(void *config, const struct setting *s, const char *value)
{
	const char *list = value, *item;
	char network[64];
	size_t len;

	while ((item = list_next(&list, &len))) {
		if (len == 4 && strncmp(item, "unix", len) == 0)
			continue;
		if (len >= sizeof(network))
			return false;
		memcpy(network, item, len);
		network[len] = '\0';
		if (!host_is_network(network))
			return false;
	}
	return settings_parse_text(config, s, value);
}

/* "" or the URL of a store, which may contain a password. */
static bool parse_store(void *config, const struct setting *s, const char *value)
{
	struct store_url url;
	bool valid;

	if (strcmp(((struct config *)config)->replay_store, value) == 0)
		return true; /* "" in most cases: do not touch the page */
	valid = !*value || store_url_parse(value, &url);
	if (*value)
		OPENSSL_cleanse(&url, sizeof(url));
	config_wipe_store(config); /* the value of an earlier file may be longer */
	return valid && settings_parse_text(config, s, value);
}

static bool parse_store_failure(void *config, const struct setting *s, const char *value)
{
	static const char *const names[] = { "refuse", "local" };
	int index = 0;

	(void)s;
	if (!parse_name(names, sizeof(names) / sizeof(names[0]), value, &index))
		return false;
	((struct config *)config)->store_failure_is_local = index == 1;
	return true;
}

static bool parse_log(void *config, const struct setting *s, const char *value)
{
	static const char *const names[] = { "auto", "journal", "syslog", "stderr" };
	int index = 0;

	(void)s;
	if (!parse_name(names, sizeof(names) / sizeof(names[0]), value, &index))
		return false;
	((struct config *)config)->log = (enum log_target)index;
	return true;
}

bool config_parse_fingerprints(const char *value, uint8_t fingerprints[][CRYPTO_FINGERPRINT_LEN], size_t *ret_n)
{
	const char *item;
	size_t len, n = 0;

	while ((item = list_next(&value, &len))) {
		if (n == CONFIG_FINGERPRINTS_MAX || crypto_fingerprint(item, len, fingerprints[n]) < 0)
			return false;
		n++;
	}
	*ret_n = n;
	return true;
}

static bool parse_fingerprints(void *at, const struct setting *s, const char *value)
{
	struct config *config = at;

	(void)s;
	return config_parse_fingerprints(value, config->fingerprints, &config->n_fingerprints);
}

#define MEMBER(member) offsetof(struct config, member)
#define NUMBER(member) settings_parse_number, MEMBER(member)
#define SIZE(member) 0, (int)sizeof(((struct config *)NULL)->member)

static const struct setting table[] = {
	{ "SIGNATURE_KEY", "",
	  "The key shared with the backend: 64 hex digits, or several name:hex separated by "
	  "commas. Better kept in PROXXY_KEY_FILE",
	  keys_parse_text, 0, 0, 0 },
	{ "PROXXY_KEY_FILE", KEY_FILE, "File with that key or keys, read if it exists", keys_parse_file, 0, 0, 0 },
	{ "PROXXY_PAYLOADS", "cbc,jwe",
	  "Payload formats that are accepted: cbc, jwe. Only jwe alone refuses unauthenticated payloads",
	  parse_payloads, 0, 0, 0 },
	{ "PROXXY_PAYLOAD_LIFETIME", "300", "How many seconds ahead a jwe payload's exp may be",
	  NUMBER(payload_lifetime), 1, 86400 },
	{ "PROXXY_NOT_BEFORE", "",
	  "Unix time in seconds: jwe payloads made earlier are refused. \"date +%s\" prints the time", parse_time,
	  MEMBER(not_before), 0, 0 },
	{ "PROXXY_CLUSTER_DIRECTORY", "/etc/proxxy/clusters",
	  "Directory of the cluster files: hosts, token and CA of each Proxmox cluster", parse_path,
	  MEMBER(cluster_directory), SIZE(cluster_directory) },
	{ "PROXXY_STATE_DIRECTORY", "/var/lib/proxxy",
	  "Directory that holds the jti of used payloads until the payloads expire", parse_path,
	  MEMBER(state_directory), SIZE(state_directory) },
	{ "PROXXY_READABLE", "",
	  "Files and directories that a session may read besides the usual ones: absolute paths, comma-separated. For "
	  "name service modules, or CAs that links lead to",
	  parse_paths, MEMBER(readable), SIZE(readable) },
	{ "PROXXY_ALLOWED_HOSTS", "",
	  "Hosts that proxxy may connect to: names, *.wildcards, addresses and networks, "
	  "comma-separated. Default: all but loopback, link-local, multicast and metadata services",
	  parse_hosts, MEMBER(allowed_hosts), SIZE(allowed_hosts) },
	{ "PROXXY_ALLOWED_ORIGINS", "",
	  "Origins whose pages may open consoles, comma-separated: "
	  "https://panel.example.com. Default: any",
	  parse_origins, MEMBER(allowed_origins), SIZE(allowed_origins) },
	{ "PROXXY_CLIENT_ADDRESS", "peer",
	  "What tells the client's address behind a proxy: proxy-protocol, forwarded, x-forwarded-for, "
	  "x-real-ip or cf-connecting-ip. With peer, nothing does",
	  parse_client_source, 0, 0, 0 },
	{ "PROXXY_TRUSTED_PROXIES", "127.0.0.0/8,::1,unix",
	  "Proxies that are believed: addresses and networks (192.0.2.0/24), comma-separated; unix for UNIX sockets",
	  parse_proxies, MEMBER(trusted_proxies), SIZE(trusted_proxies) },
	{ "PROXXY_MAX_SESSIONS", "0", "Sessions at once on this machine; 0 is no limit, 4096 the highest",
	  NUMBER(max_sessions), 0, CONFIG_LIMIT_MAX },
	{ "PROXXY_MAX_PER_CLIENT", "64",
	  "Sessions at once for a client's address; an IPv6 /64 is one. 0 is no limit, 4096 the highest",
	  NUMBER(max_per_client), 0, CONFIG_LIMIT_MAX },
	{ "PROXXY_MAX_PER_GUEST", "64", "Sessions at once for a guest; 0 is no limit, 4096 the highest",
	  NUMBER(max_per_guest), 0, CONFIG_LIMIT_MAX },
	{ "PROXXY_MAX_PER_SUB", "0", "Sessions at once for a payload's sub; 0 is no limit, 4096 the highest",
	  NUMBER(max_per_sub), 0, CONFIG_LIMIT_MAX },
	{ "PROXXY_NEW_PER_MINUTE", "120",
	  "New sessions per minute for a client's address; 0 is no limit, 4096 the highest", NUMBER(new_per_minute), 0,
	  CONFIG_LIMIT_MAX },
	{ "PROXXY_REPLAY_STORE", "",
	  "Valkey or Redis that several machines share, for single use and PROXXY_MAX_PER_SUB: "
	  "redis://host:6379/0, rediss://… with TLS, or unix:///path",
	  parse_store, MEMBER(replay_store), SIZE(replay_store) },
	{ "PROXXY_STORE_SECRET_FILE", "", "File with the store's password", settings_parse_text,
	  MEMBER(store_password_file), SIZE(store_password_file) },
	{ "PROXXY_STORE_FAILURE", "refuse",
	  "If the store does not answer within 1 s: refuse, or local to use only this machine's state",
	  parse_store_failure, 0, 0, 0 },
	{ "PROXXY_UPSTREAM_PORT", "8006", "Proxmox's port, if the payload's host has none", NUMBER(upstream_port), 1,
	  65535 },
	{ "PROXXY_CA_FILE", "", "PEM file of the CAs that Proxmox's certificate may chain to. Default: the system's",
	  settings_parse_text, MEMBER(ca_file), SIZE(ca_file) },
	{ "PROXXY_FINGERPRINTS", "", "SHA-256 fingerprints of certificates that are accepted as well, comma-separated",
	  parse_fingerprints, 0, 0, 0 },
	{ "PROXXY_TLS_VERIFY", "on", "on or off. With off, anyone on the network can pose as Proxmox", parse_switch,
	  MEMBER(tls_verify), 0, 0 },
	{ "PROXXY_REQUEST_TIMEOUT", "10", "Seconds for the client's request", NUMBER(request_timeout), 1, 3600 },
	{ "PROXXY_CONNECT_TIMEOUT", "20",
	  "Seconds for DNS, TCP, TLS, Proxmox's answers and the console's login. Proxmox takes 3 s to refuse a ticket",
	  NUMBER(connect_timeout), 1, 3600 },
	{ "PROXXY_PING_INTERVAL", "20", "Seconds of silence before a Ping to the client; 0 is off",
	  NUMBER(ping_interval), 0, 86400 },
	{ "PROXXY_IDLE_TIMEOUT", "0",
	  "Seconds after which a session ends if no data passed in any direction; 0 is never", NUMBER(idle_timeout), 0,
	  31536000 },
	{ "PROXXY_SESSION_MAX", "0", "Seconds that a session may last; 0 is no limit", NUMBER(session_max), 0,
	  31536000 },
	{ "PROXXY_LOG", "auto", "journal, syslog, stderr, or auto, which chooses by what standard error is", parse_log,
	  0, 0, 0 },
	{ "PORT", "8443", "Port of the foreground program and the container. systemd and xinetd have their own setting",
	  NUMBER(port), 1, 65535 },
};
static const struct settings settings = { table, sizeof(table) / sizeof(table[0]) };

static const char *config_path(void)
{
	const char *path = getenv("PROXXY_CONFIG");

	return path && *path ? path : DEFAULT_CONFIG;
}

int config_load_settings(struct config *ret_config, char *why, size_t size)
{
	char *const texts[] = {
		ret_config->trusted_proxies, ret_config->allowed_hosts, ret_config->allowed_origins,
		ret_config->ca_file,         ret_config->replay_store,  ret_config->store_password_file,
		ret_config->readable,
	};

	memset(ret_config, 0, offsetof(struct config, trusted_proxies));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (*texts[i]) /* else do not touch the page */
			*texts[i] = '\0';
	return settings_load(&settings, ret_config, config_path(), why, size);
}

int config_load(struct config *ret_config, char *why, size_t size)
{
	int rc = config_load_settings(ret_config, why, size);
	char *store = getenv("PROXXY_REPLAY_STORE");

	if (store)
		OPENSSL_cleanse(store, strlen(store)); /* the memory that /proc/PID/environ shows */
	if (rc == OK)
		return keys_load(ret_config->keys, &ret_config->n_keys, why, size);
	keys_wipe();
	return rc;
}

void config_wipe_keys(struct config *config)
{
	OPENSSL_cleanse(config->keys, sizeof(config->keys));
	config->n_keys = 0;
}

void config_wipe_store(struct config *config)
{
	OPENSSL_cleanse(config->replay_store, strlen(config->replay_store));
}

void config_print_files(FILE *out)
{
	settings_print_files(config_path(), out);
}

void config_print_help(FILE *out)
{
	settings_print_names(&settings, out);
}

void config_print_file(FILE *out)
{
	fputs("# Settings of proxxy under systemd, under xinetd, in the container and in the foreground.\n"
	      "# KEY=VALUE lines; the environment overrides them. See proxxy.conf(5).\n"
	      "# Each session reads them when it begins: a change applies from the next session on.\n"
	      "# It is best to put your settings into proxxy.conf.d/site.conf beside this file. The files\n"
	      "# proxxy.conf.d/*.conf are read after this one; the last line for a setting counts.\n",
	      out);
	settings_print_file(&settings, out);
}
