/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings and keys: from the environment, else from the file PROXXY_CONFIG names; keys from a
 * systemd credential, a key file, or the setting SIGNATURE_KEY. One table drives it all.
 */
#ifndef PROXXY_CONFIG_H
#define PROXXY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "crypto.h"

enum {
	CONFIG_KEYS_MAX = 8,          /* the current one and old ones that still open */
	CONFIG_KID_MAX = 32,          /* characters of a key's name */
	CONFIG_FINGERPRINTS_MAX = 64, /* one a node of a large cluster */
	CONFIG_LIST_MAX = 2 * 1024,   /* bytes of a list of hosts or origins */
	CONFIG_VALUE_MAX = 8 * 1024,  /* bytes of a setting's value; 64 fingerprints with colons take 6,144 */
	CONFIG_FILE_MAX = 64 * 1024,  /* bytes of the settings' file */
};

struct config_key {
	char kid[CONFIG_KID_MAX + 1]; /* "" when it has no name */
	uint8_t key[CRYPTO_KEY_LEN];  /* secret */
};

enum log_target { LOG_TO_AUTO, LOG_TO_JOURNAL, LOG_TO_SYSLOG, LOG_TO_STDERR };

struct config {
	struct config_key keys[CONFIG_KEYS_MAX];
	size_t n_keys; /* at least 1 */
	uint8_t fingerprints[CONFIG_FINGERPRINTS_MAX][CRYPTO_FINGERPRINT_LEN];
	size_t n_fingerprints;
	char ca_file[4096]; /* "" for the system's directory */
	bool tls_verify;
	bool accept_cbc, accept_jwe;
	int payload_lifetime; /* seconds */
	char allowed_hosts[CONFIG_LIST_MAX], allowed_origins[CONFIG_LIST_MAX]; /* as host.h has them */
	char state_directory[256];
	int upstream_port;
	int port; /* where the foreground program listens; a session has its connection already */
	int request_timeout, connect_timeout; /* seconds */
	int ping_interval, idle_timeout, session_max; /* seconds; 0 is never */
	enum log_target log;
};

/* Reads all of it. SIGNATURE_KEY is overwritten in the environment.
 * Returns 0, or ERR_CONFIG with a sentence for the log in why[0..size) that holds no secret.
 * *ret_config is filled as far as it was understood in either case, so that the error can be
 * logged where the operator wants it and answered in time. */
int config_load(struct config *ret_config, char *why, size_t size);

/* Overwrites the keys. */
void config_wipe_keys(struct config *config);

/* Prints the settings' names, for --help; and with their defaults and meanings, as the commented file. */
void config_print_help(FILE *out);
void config_print_file(FILE *out);

#endif
