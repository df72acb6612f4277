/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses proxxy-setup's command line, and prints its help.
 */
#ifndef PROXXY_SETUP_OPTIONS_H
#define PROXXY_SETUP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "crypto.h"
#include "lib/payload.h"

enum {
	SETUP_PATHS_MAX = 8,       /* --path may be given several times */
	SETUP_PATH_MAX = 128,      /* bytes of a path in Proxmox's access control, with its NUL */
	SETUP_TOKEN_NAME_MAX = 32, /* characters */
	SETUP_PAGE_MAX = 480,      /* characters; the limit of PROXXY_PAGE is some bytes above it */
};

/* The strings are those of argv. */
struct setup_options {
	const char *host;       /* HOST as it was given */
	struct console address; /* its host members */
	const char *name;       /* of the cluster file, or NULL */
	const char *user;       /* who makes the changes, "root@pam" by default */
	const char *token_file; /* of that user's API token, "-" for standard input; NULL to ask for a password */
	const char *token_name; /* of the token that is made */
	const char *paths[SETUP_PATHS_MAX];
	size_t n_paths;
	const char *page; /* URL of the console pages, or NULL */
	uint32_t vmid;    /* the guest to try; 0 to choose one */
	bool has_fingerprint;
	uint8_t fingerprint[CRYPTO_FINGERPRINT_LEN];
	bool new_token; /* make the token anew, even if it works */
	bool dry_run, undo, yes;
	char why[160]; /* the error, after SETUP_OPTIONS_ERROR */
};

enum setup_options_result { SETUP_OPTIONS_ERROR, SETUP_OPTIONS_RUN, SETUP_OPTIONS_HELP, SETUP_OPTIONS_VERSION };

/* Parses the command line into *ret, and checks what it can without the network. Returns
 * SETUP_OPTIONS_ERROR and sets ret->why for an invalid command line. Reorders argv, as getopt(3)
 * does. */
enum setup_options_result setup_options_parse(struct setup_options *ret, int argc, char **argv);

/* Prints one screen of help. Returns EX_OK. */
int setup_options_usage(FILE *out);

#endif
