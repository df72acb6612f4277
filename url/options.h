/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses proxxy-url's command line, and prints its help.
 */
#ifndef PROXXY_URL_OPTIONS_H
#define PROXXY_URL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
	URL_LIFETIME_DEFAULT = 300,      /* seconds; the default of PROXXY_PAYLOAD_LIFETIME */
	URL_LIFETIME_ASKED = 60,         /* seconds, if Proxmox has been asked: its console waits 10 */
	URL_LIFETIME_MAX = 24 * 60 * 60, /* seconds; the maximum of PROXXY_PAYLOAD_LIFETIME */
	URL_TITLE_MAX = 200,             /* bytes of a page's title */
};

/* The strings are those of argv, and NULL if they are not given. */
struct url_options {
	const char *command;  /* "seal", "open" or "keygen"; NULL for a console */
	const char *key_name; /* keygen's argument */
	const char *type;     /* "qemu" or "lxc" */
	const char *cluster;  /* name of a cluster file */
	const char *host;     /* a host that a cluster file lists */
	const char *node;     /* not NULL if ask is set */
	const char *sub, *origin, *client, *title;
	uint32_t vmid;             /* 0 for a command */
	int lifetime, session_max; /* seconds; 0 if not given */
	bool ask;                  /* request the console from Proxmox, and seal its answer */
	bool terminal, vnc, browser, json, once;
	bool jwe, cbc;           /* if neither, the format is JWE */
	char **viewer_arguments; /* the arguments after "--", up to a NULL */
	char why[160];           /* the error, after URL_OPTIONS_ERROR */
};

enum url_options_result {
	URL_OPTIONS_ERROR,
	URL_OPTIONS_COMMAND, /* a command, or a console */
	URL_OPTIONS_HELP,
	URL_OPTIONS_VERSION,
	URL_OPTIONS_SETTINGS,
};

/* Parses the command line into *ret, and checks what it can without the settings. Returns
 * URL_OPTIONS_ERROR and sets ret->why for an invalid command line. Reorders argv, as getopt(3)
 * does. */
enum url_options_result url_options_parse(struct url_options *ret, int argc, char **argv);

/* Prints one screen of help. Returns EX_OK. */
int url_options_usage(FILE *out);

#endif
