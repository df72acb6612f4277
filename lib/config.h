/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads the settings and keys of a session (proxxy-conn): from the environment, else from the file
 * that PROXXY_CONFIG names and the files of its drop-in directory. man/proxxy.conf.5 describes
 * them.
 */
#ifndef PROXXY_CONFIG_H
#define PROXXY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "crypto.h"
#include "lib/keys.h"
#include "lib/settings.h"

enum {
	CONFIG_FINGERPRINTS_MAX = 64, /* one for each node of a large cluster */
	CONFIG_LIST_MAX = 2 * 1024,   /* bytes of a list of hosts, origins or networks, with its NUL */
	CONFIG_STORE_MAX = 512,       /* bytes of PROXXY_REPLAY_STORE, with its NUL */
	CONFIG_LIMIT_MAX = 4096,      /* of PROXXY_MAX_SESSIONS and the others: limits.h has as many slots */
};

/* What tells the client's address, if the peer is a trusted proxy. */
enum client_source {
	CLIENT_PEER, /* the socket's peer is the client */
	CLIENT_PROXY_PROTOCOL,
	CLIENT_FORWARDED,
	CLIENT_X_FORWARDED_FOR,
	CLIENT_X_REAL_IP,
	CLIENT_CF_CONNECTING_IP,
};

enum log_target { LOG_TO_AUTO, LOG_TO_JOURNAL, LOG_TO_SYSLOG, LOG_TO_STDERR };

/* The large members come last, those that are set by default first. Untouched pages of a static
 * struct config are never allocated. */
struct config {
	struct key keys[KEYS_MAX]; /* secret */
	size_t n_keys;             /* at least 1 after config_load() */
	bool tls_verify;
	bool accept_cbc, accept_jwe;
	int payload_lifetime; /* seconds */
	int64_t not_before;   /* Unix time in seconds; 0 if it is not set */
	int upstream_port;
	int port;                                     /* on which the foreground program listens */
	int request_timeout, connect_timeout;         /* seconds */
	int ping_interval, idle_timeout, session_max; /* seconds; 0 means off */
	enum log_target log;
	enum client_source client_source;
	/* Sessions at once, in total and for one client, guest and sub; new ones per minute and
	 * client. 0 is no limit. */
	int max_sessions, max_per_client, max_per_guest, max_per_sub, new_per_minute;
	bool store_failure_is_local; /* if the store does not answer, the state directory takes its place */
	char state_directory[256], cluster_directory[256];
	size_t n_fingerprints;
	char trusted_proxies[CONFIG_LIST_MAX]; /* networks, and "unix" for every UNIX socket */
	char allowed_hosts[CONFIG_LIST_MAX], allowed_origins[CONFIG_LIST_MAX]; /* lists as in host.h */
	char ca_file[SETTINGS_PATH_MAX];                                       /* "" for the system's directory */
	uint8_t fingerprints[CONFIG_FINGERPRINTS_MAX][CRYPTO_FINGERPRINT_LEN];
	char replay_store[CONFIG_STORE_MAX];         /* a URL, which may contain a password; "" for none */
	char store_password_file[SETTINGS_PATH_MAX]; /* "" for none */
	char readable[CONFIG_LIST_MAX];              /* absolute paths, for the first sandbox */
};

/* Reads all settings and the keys. Overwrites SIGNATURE_KEY and PROXXY_REPLAY_STORE in the
 * environment.
 * Returns 0. Otherwise returns ERR_CONFIG, and a sentence for the log in why[0..size) that holds no
 * secret; *ret_config then holds the values that were read before the error. So the caller can log
 * to the configured target and use the configured timeouts. */
int config_load(struct config *ret_config, char *why, size_t size);

/* Does the same without the keys. proxxy-url uses it to check a payload as a session would. The
 * caller then calls keys_wipe(). */
int config_load_settings(struct config *ret_config, char *why, size_t size);

/* Parses a list of at most CONFIG_FINGERPRINTS_MAX SHA-256 fingerprints, separated by commas.
 * Returns false if an item is none, or there are more. */
bool config_parse_fingerprints(const char *value, uint8_t fingerprints[][CRYPTO_FINGERPRINT_LEN], size_t *ret_n);

/* Overwrites the keys in *config. */
void config_wipe_keys(struct config *config);

/* Overwrites PROXXY_REPLAY_STORE in *config, which may contain a password. */
void config_wipe_store(struct config *config);

/* Prints the paths of the existing files that the settings are read from, one per line. */
void config_print_files(FILE *out);

/* Prints the names of the settings, for --help. */
void config_print_help(FILE *out);

/* Prints a commented settings file: each setting with its default and meaning, for --settings. */
void config_print_file(FILE *out);

#endif
