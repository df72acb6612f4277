/* SPDX-License-Identifier: Apache-2.0
 *
 * proxxy-url's command line.
 */
#ifndef PROXXY_URL_OPTIONS_H
#define PROXXY_URL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
	URL_LIFETIME_DEFAULT = 60,       /* seconds; Proxmox itself gives a console 10 */
	URL_LIFETIME_MAX = 24 * 60 * 60, /* seconds; PROXXY_PAYLOAD_LIFETIME's largest */
	URL_TITLE_MAX = 200,             /* bytes of a page's title */
};

/* Strings are argv's. */
struct url_options {
	const char *command;  /* "seal", "open", "keygen"; NULL for a console */
	const char *key_name; /* keygen's, or NULL */
	const char *node, *type, *origin, *client, *title; /* NULL when not given; type is there for a console */
	uint32_t vmid;
	int lifetime, session_max; /* seconds */
	bool xterm, vnc, json, jwe, cbc; /* neither format: JWE */
	char **viewer_arguments; /* what is behind "--", to a NULL */
	char why[128];           /* what is wrong */
};

enum url_options_result { URL_OPTIONS_WRONG, URL_OPTIONS_COMMAND, URL_OPTIONS_HELP, URL_OPTIONS_VERSION, URL_OPTIONS_SETTINGS };

/* Takes the command line into *ret, and checks what can be checked without settings. URL_OPTIONS_WRONG comes with
 * ret->why. Changes argv's order, as getopt does. */
enum url_options_result url_options_parse(struct url_options *ret, int argc, char **argv);

/* Prints a screen of help. Returns an exit status. */
int url_options_usage(FILE *out);

#endif
