/* SPDX-License-Identifier: Apache-2.0
 *
 * A client of Proxmox's API over libcurl and verified TLS, for the programs that administrators and
 * backends run: sends a request, and turns each failure into a sentence with a hint. curl_login.h
 * authenticates. proxxy-conn does not use it.
 */
#ifndef PROXXY_CURL_API_H
#define PROXXY_CURL_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/payload.h"

enum {
	API_TIMEOUT_S = 15, /* for one call; Proxmox takes 3 to refuse */
	API_USER_MAX = 256, /* bytes of a user or token, "user@realm!name", with its NUL */
	API_WHY_MAX = 512,  /* bytes of why, with its NUL */
	API_SECRETS_MAX = 2,
};

enum api_method { API_GET, API_POST, API_PUT, API_DELETE };

struct api_state; /* what libcurl needs between two calls */

/* A server and an identity. The caller owns the strings and sets the first group; all zero
 * otherwise. */
struct api {
	const char *program;        /* for User-Agent and errors: "proxxy-url" */
	const char *host;           /* name or address, IPv6 in brackets, with :port unless 8006 */
	const char *ca_file;        /* PEM that the server's certificate must chain to; "" for the system's store */
	const uint8_t *fingerprint; /* SHA-256 of the only certificate that is accepted; NULL to use ca_file */
	const char *untrusted;      /* a sentence: what to do if the certificate is not trusted; "" for none */
	const char *(*hint)(int status);      /* returns ". What to do" or "" for an HTTP status of 300 and above */
	const char *secrets[API_SECRETS_MAX]; /* texts that no error may contain, such as the password; or NULL */
	char *body;                           /* room for an answer's body, which may hold secrets */
	size_t body_size;                     /* bytes of body */

	size_t n_body;         /* bytes of the last answer's body */
	int status;            /* HTTP status of the last answer; 0 if there was none */
	char why[API_WHY_MAX]; /* a sentence about the last failure, without a secret */
	struct api_state *state;
};

/* Makes later calls send a header line, such as name "Authorization: " with a value that is secret.
 * Returns false if it is too long, or without memory. */
bool api_add_header(struct api *api, const char *name, const char *value);

/* Sends a request to path of the API ("/version"). fields is a form, or "" for none; a GET or
 * DELETE sends it as the query. Connections are kept for the next call.
 * Returns 0 and an answer's body, NUL-terminated, if the status is 200. Otherwise sets why and
 * returns an ERR_UPSTREAM code, ERR_CONFIG or ERR_SYSTEM. */
int api_call(struct api *api, enum api_method method, const char *path, const char *fields);

/* Parses the body of the last answer, {"data":…}. *ret_data is part of *ret_answer, which the
 * caller frees with strict_json_wipe(); it is NULL for "data":null. Returns 0 or
 * ERR_UPSTREAM_ANSWER. */
struct json_object;
int api_data(struct api *api, struct json_object **ret_answer, struct json_object **ret_data);

/* Returns true if Proxmox refused this parameter of the last call: its 400 names it. */
bool api_refused_parameter(const struct api *api, const char *name);

/* Ends the connection, and overwrites the identity and the last answer. Keeps why and status. */
void api_end(struct api *api);

#endif
