/* SPDX-License-Identifier: Apache-2.0
 *
 * A session's settings, from the environment, else from the file that PROXXY_CONFIG names and its
 * drop-in directory; and the keys.
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
	CONFIG_FINGERPRINTS_MAX = 64, /* one a node of a large cluster */
	CONFIG_LIST_MAX = 2 * 1024,   /* bytes of a list of hosts or origins */
};

enum log_target { LOG_TO_AUTO, LOG_TO_JOURNAL, LOG_TO_SYSLOG, LOG_TO_STDERR };

/* What is large comes last: its pages cost nothing until they are used. */
struct config {
	struct key keys[KEYS_MAX];
	size_t n_keys; /* at least 1 */
	bool tls_verify;
	bool accept_cbc, accept_jwe;
	int payload_lifetime; /* seconds */
	int upstream_port;
	int port; /* where the foreground program listens; a session has its connection already */
	int request_timeout, connect_timeout; /* seconds */
	int ping_interval, idle_timeout, session_max; /* seconds; 0 is never */
	enum log_target log;
	char state_directory[256];
	size_t n_fingerprints;
	uint8_t fingerprints[CONFIG_FINGERPRINTS_MAX][CRYPTO_FINGERPRINT_LEN];
	char allowed_hosts[CONFIG_LIST_MAX], allowed_origins[CONFIG_LIST_MAX]; /* as host.h has them */
	char ca_file[SETTINGS_PATH_MAX]; /* "" for the system's directory */
};

/* Reads all of it. SIGNATURE_KEY is overwritten in the environment.
 * Returns 0, or ERR_CONFIG with a sentence for the log in why[0..size) that holds no secret.
 * *ret_config is filled as far as it was understood in either case, so that the error can be
 * logged where the operator wants it and answered in time. */
int config_load(struct config *ret_config, char *why, size_t size);

/* The same without the keys: how a session would judge a payload. */
int config_load_settings(struct config *ret_config, char *why, size_t size);

/* Overwrites the keys. */
void config_wipe_keys(struct config *config);

/* Prints which files the settings are read from, one a line. */
void config_print_files(FILE *out);

/* Prints the settings' names, for --help; and with their defaults and meanings, as the commented file. */
void config_print_help(FILE *out);
void config_print_file(FILE *out);

#endif
