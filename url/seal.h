/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks the details of a console as proxxy will, and seals them as a payload.
 */
#ifndef PROXXY_SEAL_H
#define PROXXY_SEAL_H

#include <json-c/json_types.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/keys.h"
#include "lib/payload.h"

enum { SEAL_PAYLOAD_MAX = 16 * 1024 }; /* bytes of a payload, with its NUL; a request head has 16 KiB */

/* Returns true if details has no console ticket: proxxy then requests the console. */
bool seal_is_link(struct json_object *details);

/* How to seal. */
struct seal_options {
	bool cbc;     /* the older format, else JWE */
	bool once;    /* add a jti also to details without a console ticket */
	int lifetime; /* seconds, for exp; 0 for the default of the kind */
};

/* Adds the claims exp, iat and jti that details does not have. Details without a console ticket
 * get a jti only if once is set. Checks and seals details with key.
 * Returns 0. Otherwise returns ERR_PAYLOAD_INVALID (proxxy or Proxmox would refuse this payload)
 * or ERR_SYSTEM, and a sentence in why[0..size) that holds no secret. */
int seal_details(struct json_object *details, const struct seal_options *o, const struct key *key,
		 char payload[SEAL_PAYLOAD_MAX], char *why, size_t size);

#endif
