/* SPDX-License-Identifier: Apache-2.0
 *
 * The backend's settings: from the environment, else from the file that PROXXY_URL_CONFIG names, and the keys. Where
 * Proxmox is and who asks it, and where the browser finds proxxy.
 */
#ifndef PROXXY_BACKEND_H
#define PROXXY_BACKEND_H

#include <stddef.h>
#include <stdio.h>

#include "lib/host.h"
#include "lib/keys.h"
#include "lib/settings.h"
#include "url/proxmox.h"

enum {
	BACKEND_URL_MAX = 512,     /* bytes of a setting that is a URL, with its NUL */
	BACKEND_SECRET_MAX = 1024, /* bytes of a file with a token or a password */
};

struct backend {
	struct key keys[KEYS_MAX]; /* the first seals */
	size_t n_keys;
	char host[CONSOLE_HOST_MAX + 16]; /* of Proxmox's API; "" for the guest's node */
	char token_file[SETTINGS_PATH_MAX];
	char user[PROXMOX_USER_MAX]; /* "" for the token */
	char password_file[SETTINGS_PATH_MAX];
	char ca_file[SETTINGS_PATH_MAX]; /* "" for the system's store */
	char page[BACKEND_URL_MAX];      /* where the console pages are, with a slash at the end; "" when not set */
	char websocket[BACKEND_URL_MAX]; /* where proxxy is; "" when neither it nor page is set */
	char origin[HOST_ORIGIN_MAX + 1]; /* of page */
};

/* Reads all of it but what token_file and password_file hold, and the keys. SIGNATURE_KEY is overwritten in the
 * environment. Returns 0, or ERR_CONFIG with a sentence in why[0..size) that holds no secret. */
int backend_load(struct backend *ret, char *why, size_t size);

/* Reads a file that holds one line, a secret, into text, NUL-terminated. setting is the name that the sentence in why
 * gives. Returns 0 or ERR_CONFIG. */
int backend_read_secret(const char *path, const char *setting, char text[BACKEND_SECRET_MAX], char *why, size_t size);

/* Returns the API token in text, USER@REALM!NAME=SECRET, without a header's parts (Authorization:,
 * PVEAPIToken=) and without quotes or spaces around it. Changes text. Returns NULL if there is no
 * token, with a sentence in why[0..size) that holds nothing of text. */
const char *backend_token(char *text, char *why, size_t size);

/* Overwrites the keys. */
void backend_wipe(struct backend *backend);

/* Prints the settings' names, for --help; and with their defaults and meanings, as the commented file. */
void backend_print_help(FILE *out);
void backend_print_file(FILE *out);

#endif
