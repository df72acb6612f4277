/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads proxxy-url's settings and keys: from the environment, else from the file that
 * PROXXY_URL_CONFIG names and the files of its drop-in directory. They say where browsers reach
 * proxxy and the console pages, and, for --ask, where Proxmox's API is and how to authenticate
 * there. man/proxxy-url.1 describes them.
 */
#ifndef PROXXY_BACKEND_H
#define PROXXY_BACKEND_H

#include <stdbool.h>
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
	struct key keys[KEYS_MAX]; /* secret; the first seals */
	size_t n_keys;
	char host[CONSOLE_HOST_MAX + 16]; /* of Proxmox's API; "" for the guest's node */
	char token_file[SETTINGS_PATH_MAX];
	char user[PROXMOX_USER_MAX]; /* "" to use the token */
	char password_file[SETTINGS_PATH_MAX];
	char ca_file[SETTINGS_PATH_MAX];  /* "" for the system's store */
	char cluster[KEY_NAME_MAX + 1];   /* name of a cluster file; "" if not set */
	char page[BACKEND_URL_MAX];       /* URL of the console pages, ending in a slash; "" if not set */
	char websocket[BACKEND_URL_MAX];  /* URL of proxxy; "" if neither it nor page is set */
	char origin[HOST_ORIGIN_MAX + 1]; /* of page */
};

/* Reads all settings and the keys, but not the token and password files. Overwrites SIGNATURE_KEY
 * in the environment. The caller wipes the keys with backend_wipe().
 * Returns 0. Otherwise returns ERR_CONFIG, and a sentence in why[0..size) that holds no secret. */
int backend_load(struct backend *ret, char *why, size_t size);

/* Reads the file at path to text, NUL-terminated. It must have one line, which is secret. setting
 * is the name of the setting, for the error message.
 * Returns 0. Otherwise returns ERR_CONFIG, and a sentence in why[0..size). */
int backend_read_secret(const char *path, const char *setting, char text[BACKEND_SECRET_MAX], char *why, size_t size);

/* Finds the API token, USER@REALM!NAME=SECRET, in text. Removes the parts of a header
 * (Authorization:, PVEAPIToken=), and quotes and spaces around it. Changes text.
 * Returns a pointer into text. Otherwise returns NULL, and in why[0..size) the end of a sentence
 * whose subject is the file; it holds nothing of text. */
const char *backend_token(char *text, char *why, size_t size);

/* Returns true if text can be the name of a cluster file, without ".conf" (lib/cluster.h). */
bool backend_cluster_valid(const char *text);

/* Overwrites the keys. */
void backend_wipe(struct backend *backend);

/* Prints the names of the settings, for --help. */
void backend_print_help(FILE *out);

/* Prints a commented settings file: each setting with its default and meaning, for --settings. */
void backend_print_file(FILE *out);

#endif
