/* SPDX-License-Identifier: Apache-2.0
 *
 * Implements proxxy-conn --check, which deploy/setup and operators run, and the warnings about
 * unsafe settings that each session logs.
 */
#include "session/check.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "lib/error.h"
#include "lib/list.h"
#include "lib/pages.h"
#include "lib/payload.h"
#include "lib/store_url.h"
#include "lib/terminal.h"
#include "session/algorithms.h"
#include "session/limits.h"
#include "session/store.h"
#include "session/upstream.h"

/* True if a list of networks has one with every address. */
static bool has_everyone(const char *list)
{
	const char *item;
	size_t len;

	while ((item = list_next(&list, &len)))
		if (len >= 2 && memcmp(item + len - 2, "/0", 2) == 0)
			return true;
	return false;
}

void check_warn(const struct config *config, void (*warn)(const char *message))
{
	if (!config->tls_verify)
		warn("PROXXY_TLS_VERIFY is off: anyone on the way to Proxmox can pose as it and take "
		     "tickets and consoles");
	if (!config->accept_jwe)
		warn("PROXXY_PAYLOADS is cbc: payloads are not authenticated, do not expire, and can be changed on "
		     "their way");
	if (config->client_source != CLIENT_PEER && has_everyone(config->trusted_proxies))
		warn("PROXXY_TRUSTED_PROXIES has every address: anyone who connects can choose the address that the "
		     "log, the claim client and the limits use");
}

/* Prints a sentence to standard error. Under systemd it gets a log level, which the journal strips
 * (sd-daemon(3)). */
static void print_warning(const char *message)
{
	fprintf(stderr, "%sproxxy-conn: %s\n", getenv("JOURNAL_STREAM") ? "<4>" : "", message);
}

/* Warns about settings that sessions do not log: the defaults, and one that only has no effect. */
static void warn_of_defaults(const struct config *config)
{
	const char *proxies = config->trusted_proxies;
	size_t len;

	if (config->client_source != CLIENT_PEER && !list_next(&proxies, &len))
		print_warning("PROXXY_CLIENT_ADDRESS has no effect, because PROXXY_TRUSTED_PROXIES is empty");
	if (config->accept_cbc && !*config->ca_file && !*config->allowed_hosts && config->n_fingerprints == 0)
		print_warning(
			"payloads of the format cbc are accepted, Proxmox's certificate may come from any public CA, "
			"and proxxy connects to any host: someone who changes a payload could make proxxy send the "
			"payload's ticket to their machine. Set PROXXY_CA_FILE to the cluster's own CA, or "
			"PROXXY_ALLOWED_HOSTS");
	if (config->accept_cbc && config->accept_jwe)
		print_warning(
			"payloads of the format cbc are accepted, which are not authenticated and do not expire. When "
			"all backends send JWE, set PROXXY_PAYLOADS=jwe");
}

/* Warns of items of PROXXY_READABLE that have no effect, or too much of it. */
static void warn_of_readable(const struct config *config)
{
	const char *list = config->readable, *item;
	char path[SETTINGS_PATH_MAX], message[SETTINGS_PATH_MAX + 100];
	struct stat st, root;
	size_t len;

	while ((item = list_next(&list, &len))) {
		snprintf(path, sizeof(path), "%.*s", (int)len, item);
		if (stat(path, &st) < 0) {
			snprintf(message, sizeof(message), "PROXXY_READABLE %s has no effect: %s", path,
				 strerror(errno));
			print_warning(terminal_clean(message));
		} else if (stat("/", &root) == 0 && st.st_dev == root.st_dev && st.st_ino == root.st_ino) {
			print_warning("PROXXY_READABLE has /: code that breaks into a session could read every file "
				      "that the user proxxy may read");
		}
	}
}

/* True if the store is on this machine. */
static bool is_loopback(const struct store_url *url)
{
	return strcmp(url->host, "localhost") == 0 ||
	       (url->host_is_address &&
		(host_in_network("127.0.0.0/8", url->host) || host_in_network("::1", url->host)));
}

/* Asks the shared store, if there is one. Returns 0, or an error with words in why[0..size). */
static int check_store(const struct config *config, char *why, size_t size)
{
	static struct store_url url;
	char error[STORE_WHY_MAX], place[STORE_PLACE_MAX], warning[STORE_PLACE_MAX + 200];
	const bool is_set = *config->replay_store && store_url_parse(config->replay_store, &url);
	int rc;

	if (!is_set)
		return OK;
	OPENSSL_cleanse(url.password, sizeof(url.password));
	store_url_place(&url, place);
	rc = store_check(config, error, sizeof(error));
	if (rc < 0)
		return error_why(why, size, rc, "%s%s", rc == ERR_STORE ? "PROXXY_REPLAY_STORE " : "", error);
	printf("the store at %s answers\n", place);
	if (!url.tls && !*url.path && !is_loopback(&url)) {
		snprintf(warning, sizeof(warning),
			 "PROXXY_REPLAY_STORE %s is used without TLS: who can read the network reads the password, and "
			 "who can change it lets links be used again. rediss:// has TLS",
			 place);
		print_warning(terminal_clean(warning));
	}
	return OK;
}

/* What check_cluster() needs. */
struct check {
	const struct config *config;
	char *why;
	size_t size;
};

/* Loads the CA file that a session with this payload needs. Returns 0, or an error with words in
 * why[0..size). */
static int check_tls(const struct config *config, const struct access *access, char *why, size_t size)
{
	static struct upstream upstream PAGED;
	int rc;

	upstream_init(&upstream);
	rc = upstream_prepare(&upstream, config, access);
	if (rc < 0)
		error_why(why, size, rc, "%s", upstream.detail);
	upstream_close(&upstream);
	return rc;
}

/* Checks what TLS needs of a cluster file, and warns if other users can read its token. */
static int check_cluster(void *argument, const char *path, struct cluster *cluster)
{
	static struct access access PAGED;
	struct check *check = argument;
	struct stat st;
	char warning[SETTINGS_PATH_MAX + 100];
	int rc;

	printf("cluster %s is read from %s\n", cluster->name, path);
	if (stat(path, &st) == 0 && (st.st_mode & S_IROTH)) {
		snprintf(warning, sizeof(warning),
			 "%s can be read by every user, and has an API token: make it root:proxxy, "
			 "mode 0640",
			 path);
		print_warning(terminal_clean(warning));
	}
	access.cluster = *cluster;
	rc = check_tls(check->config, &access, check->why, check->size);
	cluster_wipe(&access.cluster);
	return rc < 0 ? rc : CLUSTER_NONE;
}

int check_settings(void)
{
	static const struct access no_payload;
	static struct cluster cluster PAGED;
	static struct config config PAGED;
	char why[512] = "";
	struct check check = { &config, why, sizeof(why) };
	int rc = config_load(&config, why, sizeof(why));

	config_print_files(stdout);
	config_wipe_keys(&config);
	if (rc == OK && algorithms_restrict() < 0)
		rc = error_why(why, sizeof(why), ERR_SYSTEM, "OpenSSL does not start");
	if (rc == OK)
		rc = check_tls(&config, &no_payload, why, sizeof(why));
	if (rc == OK)
		rc = cluster_each(&config, check_cluster, &check, &cluster, why, sizeof(why));
	if (rc == OK)
		rc = check_store(&config, why, sizeof(why));
	config_wipe_store(&config);
	if (rc < 0) {
		print_warning(terminal_clean(why));
		return rc == ERR_STORE ? EX_UNAVAILABLE : EX_CONFIG;
	}
	check_warn(&config, print_warning);
	warn_of_defaults(&config);
	warn_of_readable(&config);
	if (!limits_check(&config, why, sizeof(why)))
		print_warning(terminal_clean(why));
	return puts("proxxy-conn: the settings, the key and the cluster files are in order") < 0;
}
